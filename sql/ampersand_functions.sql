-- What Ampersand does by itself: reads that are asked for, operations, progress; and an amp.yaml for what is here.
\set SHOW_CONTEXT never
SET client_min_messages = warning;
SELECT replace(u, '127.0.0.1', '127.0.0.2') AS proxy, replace(u, '127.0.0.1', '127.0.0.3') AS write,
	replace(u, '127.0.0.1', '127.0.0.4') AS read, replace(u, '127.0.0.1', '127.0.0.5') AS platform
FROM (SELECT split_part(o, '=', 2) AS u FROM pg_foreign_server, unnest(srvoptions) o
	WHERE srvname = 'sf' AND o LIKE 'instance_url=%') s \gset
CREATE SERVER amp FOREIGN DATA WRAPPER ampsf_fdw OPTIONS (connection 'ampersand', project '0d4f6c2e-7a51-4c1c-9a53-2f1f0c9d8e7b',
	integration 'salesforce', group_ref 'acme', proxy_url :'proxy', write_url :'write', read_url :'read', platform_url :'platform');
CREATE USER MAPPING FOR CURRENT_USER SERVER amp OPTIONS (api_key 'sandbox-api-key');

SELECT ampsf.trigger_read('sf', 'account');
SELECT ampsf.trigger_read('amp', 'account');
ALTER SERVER amp OPTIONS (ADD integration_id '5b1f2f7e-6a0e-4b62-8a9e-0c3f5d7e9a11');
SELECT (ampsf.backfill_progress('amp', 'account')).*;
ALTER SERVER amp OPTIONS (ADD installation_id 'c0a8e6f4-2b7d-4e0f-9c55-7d1e3b5a8f21');
SELECT (ampsf.backfill_progress('amp', 'account')).*;
SELECT ampsf.trigger_read('amp', 'account') AS op \gset
SELECT :'op' ~ '^[0-9a-f-]{36}$' AS operation;
SELECT status, action, objects, result, record_ids, processed, total = (SELECT count(*) FROM crm.account) AS total,
	created > now() - interval '1 hour' AS created, log FROM ampsf.operation('amp', :'op');
SELECT status, result, processed = total AS all, jsonb_array_length(log) AS log FROM ampsf.operation('amp', :'op');
SELECT operation = :'op' AS operation, processed = total AS all, updated >= created AS updated FROM ampsf.backfill_progress('amp', 'account');
-- a part of it: since is exclusive, until inclusive
SELECT max(systemmodstamp) AS latest FROM crm.account \gset
SELECT ampsf.trigger_read('amp', 'account', :'latest') AS op \gset
SELECT status FROM ampsf.operation('amp', :'op');
SELECT status, result, total FROM ampsf.operation('amp', :'op');
SELECT ampsf.trigger_read('amp', 'account', until => :'latest') AS op \gset
SELECT total = (SELECT count(*) FROM crm.account) AS all FROM ampsf.operation('amp', :'op');
-- what is refused
SELECT ampsf.trigger_read('amp', 'nonsense/../x?y');
SELECT ampsf.trigger_read('amp', 'account', 'infinity');
BEGIN READ ONLY;
SELECT ampsf.trigger_read('amp', 'account');
ROLLBACK;
SELECT (ampsf.operation('amp', '3efc0f0f-0000-4000-8000-999999999999')).status;
ALTER USER MAPPING FOR CURRENT_USER SERVER amp OPTIONS (SET api_key 'nonsense-4711');
SELECT ampsf.operation('amp', :'op');
SET ROLE guest;
SELECT ampsf.operation('amp', 'x');
SELECT ampsf.trigger_read('amp', 'x');
RESET ROLE;

-- amp.yaml
CREATE SCHEMA m;
SELECT ampsf.manifest('m');
IMPORT FOREIGN SCHEMA crm LIMIT TO (invoice__c) FROM SERVER sf INTO m;
CREATE FOREIGN TABLE m.again (name text, parent text OPTIONS (field 'Account.Name'), "y" text OPTIONS (field 'N'), created bool OPTIONS (ampsf_created 'true'))
	SERVER amp OPTIONS (object 'Contact');
CREATE FOREIGN TABLE m.once_more (id text) SERVER amp OPTIONS (object 'contact', updatable 'false');
CREATE SERVER amp_ae FOREIGN DATA WRAPPER ampsf_fdw OPTIONS (connection 'ampersand', project '0d4f6c2e-7a51-4c1c-9a53-2f1f0c9d8e7b',
	integration 'My "engagement"', group_ref 'acme', module 'account_engagement', business_unit_id '0Uv5e0000000001CAA',
	engagement_url 'https://pi.demo.pardot.com');
CREATE FOREIGN TABLE m.visits (id bigint, updatedat timestamptz OPTIONS (field 'updatedAt')) SERVER amp_ae OPTIONS (updatable 'false');
\pset format unaligned
\pset tuples_only on
SELECT ampsf.manifest('m', 'my-webhook', '*/15 * * * *');
\pset tuples_only off
SELECT ampsf.manifest('m', 'my webhook');
SELECT ampsf.manifest('m', schedule => '*/5 * * * *');
SELECT ampsf.manifest('m', schedule => 'hourly');
-- whose changes are told: by default all that have change events, if they are few enough, or those with mirrors
CREATE SCHEMA s;
IMPORT FOREIGN SCHEMA crm LIMIT TO (account, contact, lead, opportunity, task, invoice__c, pricebook2) FROM SERVER sf INTO s;
CREATE FUNCTION lines(manifest text) RETURNS SETOF text LANGUAGE sql AS $$
	SELECT l FROM regexp_split_to_table(manifest, E'\n') l WHERE l ~ '(subscribe|objectName|Watch|^ {14}- |Event|Fields:)' AND l !~ 'requiredFields'
$$;
\pset tuples_only on
SELECT lines(ampsf.manifest('s')) \g | grep -n subscribe
DROP FOREIGN TABLE s.invoice__c;
SELECT substring(ampsf.manifest('s') FROM '    subscribe:.*(?=    write:)') AS manifest \g | grep -E 'subscribe|objectName'
SELECT ampsf.mirror('s.contact');
CREATE FOREIGN TABLE s."user" (id text) SERVER sf OPTIONS (object 'User');
SELECT substring(ampsf.manifest('s') FROM '    subscribe:.*(?=    write:)');
SELECT count(*) FROM lines(ampsf.manifest('s', subscribe => '{}')) l WHERE l ~ 'subscribe';
CREATE SCHEMA t;
CREATE FOREIGN TABLE t.lead (id text) SERVER sf OPTIONS (object 'Lead');
CREATE FOREIGN TABLE t.contact (id text OPTIONS (field 'Id'), lastname text OPTIONS (field 'LastName'), email text OPTIONS (field 'Email'),
	firm text OPTIONS (field 'AccountId'), boss text OPTIONS (field 'Owner.Name')) SERVER sf OPTIONS (object 'Contact');
SELECT ampsf.manifest('t', subscribe => '{LEAD,contact}', watch_fields => '{"lead": ["ID"], "Contact": ["lastname", "Email", "AccountId"]}');
SELECT ampsf.manifest('t', subscribe => '{lead}', watch_fields => '["id"]');
\pset tuples_only off
SELECT ampsf.manifest('s', subscribe => '{lead,quote}');
SELECT ampsf.manifest('s', subscribe => '{lead,NULL}');
SELECT ampsf.manifest('t', subscribe => '{contact}', watch_fields => '["Owner.Name"]');
SELECT ampsf.manifest('t', subscribe => '{lead}', watch_fields => '{"lead": "id"}');
SELECT ampsf.manifest('t', subscribe => '{lead}', watch_fields => '["id", 1]');
SELECT ampsf.manifest('m', subscribe => '{visits}');
SELECT ampsf.manifest(NULL) IS NULL;
SELECT ampsf.manifest('s', subscribe => '{account,opportunity,task,lead,user,contact}');
