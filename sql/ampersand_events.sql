-- Change events that Ampersand delivers: into ampsf.change, and into mirrors.
\set SHOW_CONTEXT never
SET client_min_messages = warning;
SET timezone = 'UTC';
SET datestyle = 'ISO';
SELECT replace(u, '127.0.0.1', '127.0.0.2') AS proxy FROM (SELECT split_part(o, '=', 2) AS u FROM pg_foreign_server, unnest(srvoptions) o
	WHERE srvname = 'sf' AND o LIKE 'instance_url=%') s \gset
CREATE SERVER amp FOREIGN DATA WRAPPER ampsf_fdw OPTIONS (connection 'ampersand', project '0d4f6c2e-7a51-4c1c-9a53-2f1f0c9d8e7b',
	integration 'salesforce', group_ref 'acme', proxy_url :'proxy');
CREATE USER MAPPING FOR CURRENT_USER SERVER amp OPTIONS (api_key 'sandbox-api-key', webhook_secret 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw');
CREATE SCHEMA amp;
CREATE SCHEMA m;
IMPORT FOREIGN SCHEMA crm LIMIT TO (account, lead) FROM SERVER amp INTO amp;
SET search_path = m;
CREATE FUNCTION hmac(key bytea, content bytea) RETURNS bytea LANGUAGE plpgsql AS $$
DECLARE
	inner_pad bytea := decode(repeat('36', 64), 'hex'); outer_pad bytea := decode(repeat('5c', 64), 'hex');
BEGIN
	FOR i IN 0 .. length(key) - 1 LOOP
		inner_pad := set_byte(inner_pad, i, get_byte(inner_pad, i) # get_byte(key, i));
		outer_pad := set_byte(outer_pad, i, get_byte(outer_pad, i) # get_byte(key, i));
	END LOOP;
	RETURN sha256(outer_pad || sha256(inner_pad || content));
END $$;
CREATE SEQUENCE message_id;
-- deliver(): one message with these entries, as Ampersand signs it
CREATE FUNCTION deliver(entries jsonb, object text DEFAULT 'account', id text DEFAULT 'msg_' || nextval('message_id')) RETURNS text LANGUAGE sql AS $$
	SELECT row(w.action, w.object, w.written, w.deleted, w.events, w.repeated)::text FROM (SELECT jsonb_build_object('action', 'subscribe', 'provider', 'salesforce', 'groupRef', 'acme',
			'objectName', 'company', 'rawObjectName', object, 'resultInfo', jsonb_build_object('type', 'inline', 'numRecords', jsonb_array_length(entries)), 'result', entries)::text AS body,
			extract(epoch FROM now())::bigint::text AS t) x,
		LATERAL ampsf.webhook(convert_to(x.body, 'UTF8'), jsonb_build_object('svix-id', id, 'svix-timestamp', t, 'svix-signature',
			'v1,' || encode(hmac(decode('MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw', 'base64'), convert_to(id || '.' || t || '.' || x.body, 'UTF8')), 'base64')), 'amp') w
$$;
CREATE VIEW told AS SELECT subscription, server, channel, object, record_id, type, changed_fields, "values", committed, commit_number, commit_user, transaction_key,
	sequence, origin FROM ampsf.change ORDER BY id DESC LIMIT 1;
\x on
-- as Ampersand's guide shows it: numbers that were rounded, what was set to null left out of the event and null in the record
SELECT deliver('[{"fields": {"annualrevenue": null, "id": "001Dp00000ZDgmxIAD", "website": null}, "mappedFields": {"accountName": "johnAmp"},
	"subscribeEventType": "update", "providerEventType": "UPDATE",
	"raw": {"AnnualRevenue": null, "Description": "Notes about the account", "Id": "001Dp00000ZDgmxIAD", "Name": "johnAmp", "Website": null,
		"attributes": {"type": "Account", "url": "/services/data/v59.0/sobjects/Account/001Dp00000ZDgmxIAD"}},
	"rawEvent": {"ChangeEventHeader": {"changeOrigin": "com/salesforce/api/soap/63.0;client=SfdcInternalAPI/", "changeType": "UPDATE",
			"changedFields": ["Description", "Website", "Fax", "LastModifiedDate"], "commitNumber": 1.7425588124556984e18, "commitTimestamp": 1744327345000,
			"commitUser": "005Dp000003Cd1SIAS", "entityName": "Account", "recordId": "001Dp00000ZDgmxIAD", "sequenceNumber": 1,
			"transactionKey": "00051705-2e99-d1e5-7e7a-48e3af682d07"},
		"Description": "Notes of the event", "LastModifiedDate": "2025-04-10T23:22:25.000Z"}}]');
TABLE told;
-- compound fields, with and without what they have in common; a number beyond all numbers
SELECT deliver('[{"subscribeEventType": "update", "rawEvent": {"LastModifiedDate": "2026-05-07T22:29:47.000Z", "Address": {"Street": "Main"}, "Name": {"FirstName": "Ada", "LastName": "L"},
	"ChangeEventHeader": {"commitNumber": 1e30, "entityName": "Lead", "changeType": "UPDATE", "commitTimestamp": 1778192987000, "recordIds": ["001bm000016htgPAAQ"],
		"changedFields": ["Name.FirstName", "Name.LastName", "Address.Street", "Address.PostalCode", "LastModifiedDate"]}}}]', 'lead');
SELECT changed_fields, "values", commit_number FROM told;
-- all of a new record, in milliseconds, with nulls for what is empty
SELECT deliver('[{"subscribeEventType": "create", "rawEvent": {"ChangeEventHeader": {"entityName": "Account", "recordIds": ["0015f00002J9YYEAA3"], "changeType": "CREATE", "sequenceNumber": 1,
	"commitTimestamp": 1712693965000, "commitNumber": 1082985383811, "commitUser": "0055f000005mc66AAA", "nulledFields": [], "diffFields": [], "changedFields": []},
	"Name": "Acme", "Type": null, "BillingAddress": null, "NumberOfEmployees": null, "Description": "Sample", "CreatedDate": 1712693965000, "LastModifiedDate": 1712693965000}}]');
SELECT type, changed_fields, "values", committed FROM told;
\x off
-- no event inside, only the record; or only its Id; one event of several records; kinds that are not known; and twice the same message
SELECT deliver('[{"id": "001000000000001AAA", "subscribeEventType": "update", "fieldsUpdated": ["name", "fax"], "fields": {"id": "001000000000001AAA", "name": "N", "fax": null, "phone": "1"}},
	{"id": "001000000000002AAA", "subscribeEventType": "delete"},
	{"subscribeEventType": "update", "raw": {"Id": "001000000000003AAA", "Phone": "2", "attributes": {"type": "Account"}}},
	{"subscribeEventType": "other", "providerEventType": "UNDELETE", "rawEvent": {"ChangeEventHeader": {"entityName": "Account", "recordIds": ["001000000000004AAA", "001000000000005AAA"],
		"changeType": "UNDELETE", "commitTimestamp": 1712693965000}, "Name": "back", "Fax": null}},
	{"subscribeEventType": "other", "providerEventType": "SNAPSHOT", "id": "001000000000006AAA"},
	{"subscribeEventType": "other", "rawEvent": {"ChangeEventHeader": {"entityName": "Account", "recordIds": ["001*"], "changeType": "GAP_UPDATE"}}},
	{"subscribeEventType": "other", "rawEvent": {"ChangeEventHeader": {"entityName": "Account", "recordIds": ["000000000000000AAA"], "changeType": "GAP_OVERFLOW"}}},
	{"subscribeEventType": "associationUpdate", "id": "x"}]', id => 'twice');
SELECT object, record_id, type, changed_fields, "values", committed FROM ampsf.change ORDER BY id DESC LIMIT 8;
SELECT deliver('[{"id": "001000000000001AAA", "subscribeEventType": "update"}]', id => 'twice');
SELECT id, action, object, events FROM ampsf.webhook_message WHERE id = 'twice';

-- mirrors follow by themselves
SELECT ampsf.mirror('amp.account');
CALL ampsf.sync('account');
SELECT id AS a FROM account ORDER BY id LIMIT 1 \gset
CREATE FUNCTION event(id text, kind text, vals jsonb, at bigint) RETURNS jsonb LANGUAGE sql AS $$
	SELECT jsonb_build_array(jsonb_build_object('id', id, 'subscribeEventType', lower(kind), 'rawEvent', jsonb_build_object('ChangeEventHeader', jsonb_build_object(
		'entityName', 'Account', 'changeType', kind, 'recordId', id, 'commitTimestamp', at, 'changedFields', (SELECT jsonb_agg(k) FROM jsonb_object_keys(vals) k)),
		'LastModifiedDate', at) || vals))
$$;
SELECT deliver(event(:'a', 'UPDATE', '{"Description": "live", "Fax": null, "NumberOfEmployees": 5}', 1900000000000));
SELECT description, fax, numberofemployees, lastmodifieddate FROM account WHERE id = :'a';
-- one that comes too late, or in the same second: the org says what is so
SELECT deliver(event(:'a', 'UPDATE', '{"Description": "overtaken"}', 1899999999000));
SELECT a.description = o.description AS so FROM account a JOIN amp.account o USING (id) WHERE id = :'a';
SELECT deliver(event(:'a', 'DELETE', '{}', 1900000000000));
SELECT count(*) FROM account WHERE id = :'a';
SELECT kind, events, updated, deleted FROM ampsf.mirror_run ORDER BY id DESC LIMIT 1;
-- rows of a week ago go with the next message, but not those that a mirror waits for
UPDATE ampsf.change SET received = received - interval '8 days';
UPDATE ampsf.mirror_definition SET paused = true;
SELECT deliver(event(:'a', 'DELETE', '{}', 1900000000000));
UPDATE ampsf.change SET received = received - interval '8 days';
SELECT deliver('[{"subscribeEventType": "delete", "id": "00Q000000000001AAA"}]', 'lead');
SELECT object, record_id = :'a' AS a, type FROM ampsf.change ORDER BY id;

-- the org's own events, as they come that way: in the order of the commits, the other way round, and with runs between
\! $SANDBOXCTL events select=Account,Lead >/dev/null
UPDATE ampsf.mirror_definition SET paused = false;
SELECT ampsf.mirror('amp.lead');
CALL ampsf.sync('lead');
CREATE FUNCTION differences() RETURNS bigint LANGUAGE sql AS $$
	SELECT count(*) FROM ((TABLE m.lead EXCEPT TABLE amp.lead) UNION ALL (TABLE amp.lead EXCEPT TABLE m.lead)) d
$$;
SELECT count(*) FROM ampsf.change WHERE id > (SELECT applied_to FROM ampsf.mirror_definition WHERE target = 'lead'::regclass);
INSERT INTO amp.lead (lastname, company, city) SELECT 'New ' || g, 'Firm', 'Ulm' FROM generate_series(1, 4) g;
UPDATE amp.lead SET title = 'changed', phone = NULL WHERE id IN (SELECT id FROM lead ORDER BY id LIMIT 5);
UPDATE amp.lead SET lastname = 'Renamed', city = NULL WHERE id IN (SELECT id FROM lead ORDER BY id OFFSET 3 LIMIT 3);
DELETE FROM amp.lead WHERE id IN (SELECT id FROM lead ORDER BY id OFFSET 5 LIMIT 4);
UPDATE amp.lead SET description = 'twice', phone = '1' WHERE id IN (SELECT id FROM lead ORDER BY id LIMIT 2);
SELECT differences() > 0 AS different;
\set messages `$SANDBOXCTL amp-messages object=lead fields=Id,LastName,Phone,LastModifiedDate secret=MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw`
SELECT count(*) > 8 AS messages, bool_and(action = 'subscribe' AND NOT repeated) AS taken, sum(events) AS events
FROM jsonb_array_elements(:'messages') WITH ORDINALITY j (doc, n), LATERAL (SELECT * FROM ampsf.webhook(convert_to(doc->>'body', 'UTF8'), doc->'headers', 'amp') LIMIT n) w;
SELECT type, count(*), bool_and(commit_number IS NOT NULL AND committed IS NOT NULL AND sequence IS NOT NULL) AS complete FROM ampsf.change WHERE object = 'Lead' GROUP BY 1 ORDER BY 1;
SELECT differences();
-- again, with nothing known of them: other Ids, and the last first
SELECT (doc->>'replayId')::bigint AS last FROM jsonb_array_elements(:'messages') doc ORDER BY 1 DESC LIMIT 1 \gset
\setenv LAST :last
INSERT INTO amp.lead (lastname, company) SELECT 'Newer ' || g, 'Firm' FROM generate_series(1, 3) g;
UPDATE amp.lead SET title = 'once more', company = 'Other' WHERE lastname LIKE 'New%';
DELETE FROM amp.lead WHERE lastname IN ('New 2', 'Newer 3');
UPDATE amp.lead SET fax = '5' WHERE lastname LIKE 'New%';
SELECT differences() > 0 AS different;
\set messages `$SANDBOXCTL amp-messages object=Lead fields=Id,LastName secret=MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw after=$LAST`
SELECT bool_and(NOT repeated) AS taken FROM (SELECT doc FROM jsonb_array_elements(:'messages') WITH ORDINALITY j (doc, n) ORDER BY n DESC) j,
	LATERAL (SELECT * FROM ampsf.webhook(convert_to(doc->>'body', 'UTF8'), doc->'headers', 'amp')) w;
SELECT differences();
SELECT rows = (SELECT count(*) FROM lead) AS rows, event_error FROM ampsf.mirror_status WHERE target = 'lead'::regclass;
