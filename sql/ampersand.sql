-- Through Ampersand: its proxy gives the same rows and takes the same writes as the org itself.
\set SHOW_CONTEXT never
SET client_min_messages = warning;
SELECT u AS org, replace(u, '127.0.0.1', '127.0.0.2') AS proxy, replace(u, '127.0.0.1', '127.0.0.3') AS write,
	replace(u, '127.0.0.1', '127.0.0.4') AS read, replace(u, '127.0.0.1', '127.0.0.5') AS platform
FROM (SELECT split_part(o, '=', 2) AS u FROM pg_foreign_server, unnest(srvoptions) o
	WHERE srvname = 'sf' AND o LIKE 'instance_url=%') s \gset

-- which options go together
CREATE SERVER wrong FOREIGN DATA WRAPPER ampsf_fdw OPTIONS (workspace 'acme', project '0d4f6c2e-7a51-4c1c-9a53-2f1f0c9d8e7b');
CREATE SERVER wrong FOREIGN DATA WRAPPER ampsf_fdw OPTIONS (connection 'ampersand');
CREATE SERVER wrong FOREIGN DATA WRAPPER ampsf_fdw OPTIONS (connection 'ampersand', project 'my-project', group_ref 'acme', integration 'salesforce');
CREATE SERVER wrong FOREIGN DATA WRAPPER ampsf_fdw OPTIONS (connection 'ampersand', project '0d4f6c2e-7a51-4c1c-9a53-2f1f0c9d8e7b', group_ref 'acme');
CREATE SERVER wrong FOREIGN DATA WRAPPER ampsf_fdw OPTIONS (connection 'ampersand', project '0d4f6c2e-7a51-4c1c-9a53-2f1f0c9d8e7b', group_ref E'acme\r\nX: y', integration 'salesforce');
CREATE SERVER wrong FOREIGN DATA WRAPPER ampsf_fdw OPTIONS (connection 'ampersand', project '0d4f6c2e-7a51-4c1c-9a53-2f1f0c9d8e7b',
	group_ref 'acme', integration 'salesforce', api_key 'sandbox-api-key');

CREATE SERVER amp FOREIGN DATA WRAPPER ampsf_fdw OPTIONS (connection 'ampersand', project '0d4f6c2e-7a51-4c1c-9a53-2f1f0c9d8e7b',
	integration 'salesforce', group_ref 'acme', proxy_url :'proxy');
SELECT step, status, advice FROM ampsf.doctor('amp') WHERE status = 'failed';
CREATE USER MAPPING FOR CURRENT_USER SERVER amp OPTIONS (client_id 'sandbox', client_secret 'sandbox');
CREATE SCHEMA amp;
IMPORT FOREIGN SCHEMA crm LIMIT TO (account, contact, invoice__c) FROM SERVER amp INTO amp;
ALTER USER MAPPING FOR CURRENT_USER SERVER amp OPTIONS (ADD api_key 'sandbox-api-key');
IMPORT FOREIGN SCHEMA crm LIMIT TO (account, contact, invoice__c) FROM SERVER amp INTO amp;
ALTER USER MAPPING FOR CURRENT_USER SERVER amp OPTIONS (DROP client_id, DROP client_secret, SET api_key 'sandbox api-key');
IMPORT FOREIGN SCHEMA crm LIMIT TO (account, contact, invoice__c) FROM SERVER amp INTO amp;
ALTER USER MAPPING FOR CURRENT_USER SERVER amp OPTIONS (SET api_key 'nonsense-4711');
IMPORT FOREIGN SCHEMA crm LIMIT TO (account, contact, invoice__c) FROM SERVER amp INTO amp;
ALTER USER MAPPING FOR CURRENT_USER SERVER sf OPTIONS (ADD api_key 'sandbox-api-key');
SELECT count(*) FROM crm.account;
ALTER USER MAPPING FOR CURRENT_USER SERVER sf OPTIONS (DROP api_key);
ALTER USER MAPPING FOR CURRENT_USER SERVER amp OPTIONS (SET api_key 'sandbox-api-key');
IMPORT FOREIGN SCHEMA crm LIMIT TO (account, contact, invoice__c) FROM SERVER amp INTO amp;
SELECT step, status FROM ampsf.doctor('amp');

-- a copy, made by the direct way, and what differs from it
CREATE TABLE account AS TABLE crm.account;
CREATE TABLE contact AS TABLE crm.contact;
CREATE FUNCTION compare(tab text, condition text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	n bigint; differ bigint;
BEGIN
	EXECUTE format('SELECT count(*) FROM %I WHERE %s', tab, condition) INTO n;
	EXECUTE format('SELECT count(*) FROM ((SELECT x::text FROM %1$I x WHERE %2$s EXCEPT ALL SELECT x::text FROM amp.%1$I x WHERE %2$s)
		UNION ALL (SELECT x::text FROM amp.%1$I x WHERE %2$s EXCEPT ALL SELECT x::text FROM %1$I x WHERE %2$s)) d', tab, condition) INTO differ;
	RETURN format('%s: %s rows, %s differ', condition, n, differ);
END $$;
SELECT compare('account', c) FROM (VALUES ('true'), ('false'), ($$name LIKE 'A%'$$), ('annualrevenue > 1000000'), ('industry IS NULL')) v(c);
\! $SANDBOXCTL mark
SELECT compare('contact', 'true');
ALTER SERVER amp OPTIONS (ADD transport 'bulk');
SELECT compare('contact', 'true');
\! $SANDBOXCTL calls | sed 's/7[0-9a-zA-Z]\{17\}/JOB/g; s/01g[^?]*/LOCATOR/; s/?.*//' | grep -v DELETE | sort | uniq -c | sed 's/^ *//'
ALTER SERVER amp OPTIONS (DROP transport);
SELECT (SELECT array_agg(x::text ORDER BY x::text) FROM (SELECT a.name, c.lastname FROM amp.contact c JOIN amp.account a ON a.id = c.accountid) x) =
	(SELECT array_agg(x::text ORDER BY x::text) FROM (SELECT a.name, c.lastname FROM contact c JOIN account a ON a.id = c.accountid) x) AS joined,
	(SELECT array_agg(x::text ORDER BY x::text) FROM (SELECT accountid, count(*) FROM amp.contact GROUP BY accountid) x) =
	(SELECT array_agg(x::text ORDER BY x::text) FROM (SELECT accountid, count(*) FROM contact GROUP BY accountid) x) AS grouped;

-- what is written here is read there
INSERT INTO amp.account (name) VALUES ('By Ampersand'), ('By Ampersand too') RETURNING name, length(id) AS id;
UPDATE amp.account SET phone = '1' WHERE name = 'By Ampersand';
INSERT INTO amp.account (name) VALUES (NULL);
SELECT name, phone FROM crm.account WHERE name LIKE 'By Amp%' ORDER BY name;
DELETE FROM amp.account WHERE name LIKE 'By Amp%';
SELECT count(*) FROM crm.account WHERE name LIKE 'By Amp%';
ALTER SERVER amp OPTIONS (ADD write_transport 'bulk');
INSERT INTO amp.contact (lastname, title) SELECT 'Bulk by Ampersand', g::text FROM generate_series(1, 300) g;
DELETE FROM amp.contact WHERE lastname = 'Bulk by Ampersand' AND title > '5';
SELECT count(*), count(DISTINCT title) FROM crm.contact WHERE lastname = 'Bulk by Ampersand';
ALTER SERVER amp OPTIONS (DROP write_transport);
ALTER SERVER amp OPTIONS (ADD page_size '200');
\! $SANDBOXCTL mark
SELECT count(*), count(DISTINCT id) FROM amp.contact WHERE id IS NOT NULL AND lastname || 'x' <> 'x';
\! $SANDBOXCTL calls | sed 's/01g[^?]*/LOCATOR/; s/?.*//'
ALTER SERVER amp OPTIONS (DROP page_size);
SELECT status, body->'totalSize' AS n FROM ampsf.request('amp', 'GET', 'query?q=SELECT Id FROM Contact WHERE LastName = ''Bulk by Ampersand'' LIMIT 1');

-- the proxy renews the connection's token; the org's own errors are the org's
\! $SANDBOXCTL expire-sessions
SELECT count(*) > 0 AS rows FROM amp.account;
\! $SANDBOXCTL fault 'path=*/query;do=status;status=401;code=INVALID_SESSION_ID;message=Session expired or invalid'
SELECT count(*) > 0 AS rows FROM amp.account;
\! $SANDBOXCTL fault 'path=*/query;do=status;status=400;code=INVALID_FIELD;message=No such column'
SELECT name FROM amp.account;
\! $SANDBOXCTL fault 'path=*/query;do=status;status=502;body={"title":"Bad Gateway","status":502,"detail":"provider is unreachable"}'
SELECT count(*) > 0 AS rows FROM amp.account;
\! $SANDBOXCTL fault 'path=*/query;do=status;status=400;body={"title":"Bad Request","status":400,"detail":"X-Api-Key: sandbox-api-key, {\"api_key\":\"sandbox-api-key\"}, whsec_MfKQ9r8GKYqrTwjUPD8"}'
SELECT count(*) > 0 AS rows FROM amp.account;
\! $SANDBOXCTL nofaults
-- installations that are not there, or not for this
ALTER SERVER amp OPTIONS (SET integration 'no-proxy');
SELECT name FROM amp.account;
ALTER SERVER amp OPTIONS (SET integration 'nonsense');
SELECT name FROM amp.account;
SELECT count(*) FROM ampsf.limits('amp');
ALTER SERVER amp OPTIONS (ADD installation_id 'c0a8e6f4-2b7d-4e0f-9c55-7d1e3b5a8f21');
SELECT count(*) > 0 AS rows FROM amp.account;
ALTER SERVER amp OPTIONS (SET integration 'salesforce', SET project '0d4f6c2e-7a51-4c1c-9a53-2f1f0c9d8e70');
SELECT name FROM amp.account;
ALTER SERVER amp OPTIONS (SET project '0d4f6c2e-7a51-4c1c-9a53-2f1f0c9d8e7b');

-- 429: all of this server wait until X-Amp-Retry-After, writes as well, and nothing is written twice
\! $SANDBOXCTL amp throttle-seconds=2
\! $SANDBOXCTL fault 'path=*/composite/sobjects;do=status;status=429;code=REQUEST_LIMIT_EXCEEDED;message=too many'
INSERT INTO amp.account (name) VALUES ('Throttled') RETURNING name;
SELECT count(*) FROM crm.account WHERE name = 'Throttled';
\! $SANDBOXCTL amp retryable=false
\! $SANDBOXCTL fault 'path=*/query;do=status;status=429;code=REQUEST_LIMIT_EXCEEDED;message=too many'
\! $SANDBOXCTL mark
DO $$ BEGIN PERFORM name FROM amp.account; EXCEPTION WHEN OTHERS THEN RAISE WARNING '%', SQLSTATE; END $$;
\! $SANDBOXCTL calls | sed 's/?.*//'
\! sleep 2.1
\! $SANDBOXCTL amp retryable=true throttle-seconds=3000
\! $SANDBOXCTL fault 'path=*/query;do=status;status=429;code=REQUEST_LIMIT_EXCEEDED;message=too many'
DO $$ BEGIN PERFORM name FROM amp.account; EXCEPTION WHEN OTHERS THEN RAISE WARNING '%', SQLSTATE; END $$;
\! $SANDBOXCTL mark
DO $$
DECLARE detail text;
BEGIN
	DELETE FROM amp.account WHERE name = 'Throttled';
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL;
	RAISE WARNING '% % %', SQLSTATE, SQLERRM, regexp_replace(detail, 'before .*', 'before ...');
END $$;
\! $SANDBOXCTL calls | sed 's/?.*//'
\! $SANDBOXCTL amp-stats | sed 's/"forwarded":[0-9]*/"forwarded":N/'
\! $SANDBOXCTL reset demo

-- Account Engagement, by an integration of that module
CREATE SERVER amp_ae FOREIGN DATA WRAPPER ampsf_fdw OPTIONS (connection 'ampersand', project '0d4f6c2e-7a51-4c1c-9a53-2f1f0c9d8e7b',
	integration 'engagement', group_ref 'acme', proxy_url :'proxy', module 'account_engagement', business_unit_id '0Uv5e0000000001CAA');
CREATE USER MAPPING FOR CURRENT_USER SERVER amp_ae OPTIONS (api_key 'sandbox-api-key');
CREATE SERVER ae FOREIGN DATA WRAPPER ampsf_fdw OPTIONS (instance_url :'org', engagement_url :'org',
	module 'account_engagement', business_unit_id '0Uv5e0000000001CAA');
CREATE USER MAPPING FOR CURRENT_USER SERVER ae OPTIONS (client_id 'sandbox', client_secret 'sandbox');
CREATE SCHEMA amp_ae;
CREATE SCHEMA ae;
IMPORT FOREIGN SCHEMA account_engagement LIMIT TO (prospects, tags) FROM SERVER amp_ae INTO amp_ae;
IMPORT FOREIGN SCHEMA account_engagement LIMIT TO (prospects, tags) FROM SERVER ae INTO ae;
CREATE TABLE prospects AS TABLE ae.prospects;
SELECT count(*) > 1000 AS rows FROM prospects;
SELECT count(*) FROM (SELECT x::text FROM prospects x EXCEPT SELECT x::text FROM amp_ae.prospects x) d;
SELECT count(*) FROM (SELECT x::text FROM amp_ae.prospects x EXCEPT SELECT x::text FROM prospects x) d;
ALTER SERVER amp_ae OPTIONS (ADD transport 'bulk');
SELECT count(*) FROM (SELECT x::text FROM amp_ae.prospects x WHERE updatedat >= '2024-06-01' EXCEPT SELECT x::text FROM prospects x) d;
ALTER SERVER amp_ae OPTIONS (DROP transport);
INSERT INTO amp_ae.tags (name) VALUES ('by-ampersand') RETURNING name;
SELECT name FROM ae.tags WHERE name = 'by-ampersand';
SELECT step, status, detail FROM ampsf.doctor('amp_ae') WHERE step IN ('API version', 'login', 'business unit') AND status <> 'ok';
ALTER SERVER amp_ae OPTIONS (ADD write_via 'write_api', ADD integration_id '8c2e4d6f-1a3b-4c5d-9e7f-2b4d6f8a0c12');
INSERT INTO amp_ae.tags (name) VALUES ('by-write-api');
ALTER SERVER amp_ae OPTIONS (DROP write_via, DROP integration_id);
-- the proxy leads to one module's host
ALTER SERVER amp_ae OPTIONS (SET integration 'salesforce');
SELECT count(*) FROM amp_ae.tags;

-- a key shows nowhere
SELECT count(*) FROM pg_foreign_server, unnest(srvoptions) o WHERE o LIKE '%api-key%';
