-- Messages that Ampersand delivers: signatures, made here without the extension; records into their table, once.
\set SHOW_CONTEXT never
SET client_min_messages = warning;
CREATE FUNCTION hmac(key bytea, content bytea) RETURNS bytea LANGUAGE plpgsql AS $$
DECLARE
	inner_pad bytea := decode(repeat('36', 64), 'hex'); outer_pad bytea := decode(repeat('5c', 64), 'hex');
BEGIN
	IF length(key) > 64 THEN key := sha256(key); END IF;
	FOR i IN 0 .. length(key) - 1 LOOP
		inner_pad := set_byte(inner_pad, i, get_byte(inner_pad, i) # get_byte(key, i));
		outer_pad := set_byte(outer_pad, i, get_byte(outer_pad, i) # get_byte(key, i));
	END LOOP;
	RETURN sha256(outer_pad || sha256(inner_pad || content));
END $$;
-- RFC 4231, test cases 1 and 2: this function is right
SELECT encode(hmac(decode(repeat('0b', 20), 'hex'), 'Hi There'), 'hex') = 'b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7' AS case1,
	encode(hmac('Jefe', 'what do ya want for nothing?'), 'hex') = '5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843' AS case2;
CREATE FUNCTION sign(id text, body text, secret text, age int DEFAULT 0) RETURNS jsonb LANGUAGE sql AS $$
	SELECT jsonb_build_object('Svix-Id', id, 'svix-timestamp', t, 'svix-signature',
		'v1,' || encode(hmac(decode(secret, 'base64'), convert_to(id || '.' || t || '.' || body, 'UTF8')), 'base64'))
	FROM (SELECT (extract(epoch FROM now())::bigint - age)::text AS t) x
$$;
CREATE FUNCTION deliver(id text, doc jsonb, secret text DEFAULT 'MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw', age int DEFAULT 0) RETURNS record LANGUAGE sql AS $$
	SELECT ampsf.webhook(convert_to(doc::text, 'UTF8'), sign(id, doc::text, secret, age))
$$;
CREATE FUNCTION message(object text, result jsonb, action text DEFAULT 'read') RETURNS jsonb LANGUAGE sql AS $$
	SELECT jsonb_build_object('action', action, 'projectId', '0d4f6c2e-7a51-4c1c-9a53-2f1f0c9d8e7b', 'provider', 'salesforce', 'groupRef', 'acme',
		'objectName', object, 'resultInfo', jsonb_build_object('type', 'inline', 'numRecords', jsonb_array_length(result)), 'result', result)
$$;
SELECT message('account', '[
	{"fields": {"id": "001A000010khO8JIAU", "name": "Acme ä", "annualrevenue": 12.5, "systemmodstamp": "2024-05-01T10:00:00.000+0000", "unknown": 1},
	 "mappedFields": {"Town": "Berlin"}, "raw": {"Id": "001A000010khO8JIAU", "attributes": {"type": "Account"}}},
	{"fields": {"name": "No id in fields"}, "raw": {"Id": "001A000010khO8KIAU"}}]') AS doc \gset

-- who may say so
SELECT deliver('msg_1', :'doc');
CREATE SERVER amp FOREIGN DATA WRAPPER ampsf_fdw OPTIONS (connection 'ampersand', project '0d4f6c2e-7a51-4c1c-9a53-2f1f0c9d8e7b', integration 'salesforce', group_ref 'acme');
CREATE USER MAPPING FOR CURRENT_USER SERVER amp OPTIONS (webhook_secret 'no secret!');
SELECT deliver('msg_1', :'doc');
ALTER USER MAPPING FOR CURRENT_USER SERVER amp OPTIONS (SET webhook_secret 'whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD, whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw');
SELECT deliver('msg_1', :'doc');
CREATE TABLE account (id text PRIMARY KEY, name text, annualrevenue numeric, town text, systemmodstamp timestamptz, raw jsonb, group_ref text, here text DEFAULT 'mine');
INSERT INTO ampsf.webhook_target VALUES ('Account', 'account');
SELECT deliver('msg_1', :'doc');
SELECT deliver('msg_1', :'doc');
SELECT * FROM account ORDER BY id;
SELECT id, action, object, written, deleted FROM ampsf.webhook_message;
-- the other secret is good as well; a third is not, nor an old message, one of the future, or one that was changed
SELECT deliver('msg_2', :'doc', 'C2FVsBQIhrscChlQIMV+b5sSYspob7oD');
SELECT deliver('msg_3', :'doc', 'AAAAsBQIhrscChlQIMV+b5sSYspob7oD');
SELECT deliver('msg_3', :'doc', age => 330);
SELECT deliver('msg_3', :'doc', age => -400);
SELECT deliver('msg_3', :'doc', age => 200);
SELECT ampsf.webhook('{"action":"x"}', sign('msg_4', '{"action":"y"}', 'MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw'));
SELECT ampsf.webhook('{"action":"y"}', sign('msg_4', '{"action":"y"}', 'MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw') || '{"Svix-Id": "msg_5"}');
SELECT ampsf.webhook('{"action":"y"}', sign('msg_4', '{"action":"y"}', 'MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw') - 'svix-signature');
SELECT ampsf.webhook('{"action":"y"}', sign('msg_4', '{"action":"y"}', 'MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw') || '{"svix-signature": "v1a,x v1, v1,AAAA v2,zzz"}');
SELECT ampsf.webhook('{"action":"y"}', '[]');
-- several signatures, as while a secret is changed
SELECT ampsf.webhook('{"action":"y"}', s || jsonb_build_object('svix-signature', 'v1,AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA= ' || (s->>'svix-signature')))
FROM sign('msg_6', '{"action":"y"}', 'MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw') s;

-- what is newer stays; what was not delivered stays; deletes
UPDATE account SET here = 'changed', name = 'here' WHERE id = '001A000010khO8JIAU';
SELECT deliver('msg_7', message('account', '[{"fields": {"id": "001A000010khO8JIAU", "name": "older", "systemmodstamp": "2024-04-01T00:00:00Z"}}]'));
SELECT deliver('msg_8', message('account', '[{"fields": {"id": "001A000010khO8JIAU", "name": "newer", "systemmodstamp": "2024-06-01T00:00:00Z"}, "subscribeEventType": "update"}]', 'subscribe'));
SELECT id, name, annualrevenue, town, here FROM account ORDER BY id;
SELECT deliver('msg_9', message('account', '[{"id": "001A000010khO8KIAU", "subscribeEventType": "delete"}, {"fields": {"id": "001A000010khO8LIAU", "name": "new"}}]', 'subscribe'));
SELECT id, name FROM account ORDER BY id;
-- all of a message or nothing of it, and then it can come again
SELECT deliver('msg_10', message('account', '[{"fields": {"id": "001A000010khO8MIAU", "name": "first"}}, {"fields": {"name": "no id"}}]'));
SELECT deliver('msg_11', message('account', '[{"fields": {"id": "001A000010khO8MIAU", "annualrevenue": "much"}}]'));
SELECT count(*) FROM account;
SELECT deliver('msg_10', message('account', '[{"fields": {"id": "001A000010khO8MIAU", "name": "first"}}]'));
SELECT deliver('msg_12', message('nonsense', '[]'));
SELECT deliver('msg_13', '{"action": "schema.watch", "objectName": "account", "result": {"createdFields": []}}');
SELECT deliver('msg_14', '{"notificationType": "read.backfill.done", "data": {}}');

-- a record that was too large for a message
SELECT split_part(o, '=', 2) AS org FROM pg_foreign_server, unnest(srvoptions) o WHERE srvname = 'sf' AND o LIKE 'instance_url=%' \gset
\! $SANDBOXCTL fault 'path=/large/*;count=2;do=status;status=200;body=[{"fields":{"id":"001A000010khO8NIAU","name":"large"}}]'
SELECT jsonb_build_object('action', 'read', 'objectName', 'account', 'resultInfo', jsonb_build_object('type', 'url', 'numRecords', 1, 'downloadUrl', :'org' || '/large/1?sig=x')) AS large \gset
SELECT deliver('msg_15', :'large');
SELECT name FROM account WHERE id = '001A000010khO8NIAU';
\! $SANDBOXCTL nofaults
SELECT deliver('msg_16', :'large');
SELECT deliver('msg_16', jsonb_set(:'large', '{resultInfo,downloadUrl}', '"https://evil.example.com/x"'));

-- rights: a role that may do nothing else
CREATE ROLE amp_hook;
GRANT USAGE ON SCHEMA ampsf TO amp_hook;
SET ROLE amp_hook;
SELECT ampsf.webhook('{}', '{}');
RESET ROLE;
GRANT EXECUTE ON FUNCTION ampsf.webhook(bytea, jsonb, name), ampsf.webhook_check(bytea, jsonb, name), ampsf.webhook_download(text), ampsf.webhook_put(regclass, jsonb) TO amp_hook;
GRANT SELECT ON ampsf.webhook_target TO amp_hook;
GRANT SELECT, INSERT, UPDATE ON ampsf.webhook_message TO amp_hook;
GRANT SELECT, INSERT, UPDATE, DELETE ON account TO amp_hook;
SET ROLE amp_hook;
SELECT deliver('msg_17', :'doc');
RESET ROLE;
CREATE USER MAPPING FOR amp_hook SERVER amp OPTIONS (webhook_secret 'MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw');
SET ROLE amp_hook;
SELECT deliver('msg_17', :'doc');
SELECT deliver('msg_19', message('account', '[{"id": "001A000010khO8KIAU", "subscribeEventType": "delete"}]', 'subscribe'));
SELECT owner, server, object, record_id, type FROM ampsf.change;
RESET ROLE;
CREATE SERVER amp2 FOREIGN DATA WRAPPER ampsf_fdw OPTIONS (connection 'ampersand', project '0d4f6c2e-7a51-4c1c-9a53-2f1f0c9d8e7b', integration 'other', group_ref 'acme');
CREATE USER MAPPING FOR PUBLIC SERVER amp2 OPTIONS (webhook_secret 'AAAAsBQIhrscChlQIMV+b5sSYspob7oD');
SELECT deliver('msg_18', :'doc');
SELECT message, written FROM ampsf.webhook(convert_to(:'doc', 'UTF8'), sign('msg_18', :'doc', 'AAAAsBQIhrscChlQIMV+b5sSYspob7oD'), 'amp2');
DROP OWNED BY amp_hook;
DROP ROLE amp_hook;
