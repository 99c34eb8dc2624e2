-- Rows written by ingest jobs of Bulk API 2.0: the same as by collections, each with its outcome.
\set VERBOSITY terse
SET timezone = 'UTC';
SET client_min_messages = warning;

-- Every type and value, both ways: what exists is written once more, under other keys, and texts that CSV could take for something else.
SELECT string_agg(quote_ident(attname), ', ' ORDER BY attnum) AS cols FROM pg_attribute
	WHERE attrelid = 'crm.invoice__c'::regclass AND attnum > 0 AND NOT attisdropped AND NOT coalesce('createable=false' = ANY (attfdwoptions), false)
	AND attname <> ALL ('{ext_id__c,case_key__c,unique_code__c}') \gset
CREATE TABLE source AS SELECT row_number() OVER (ORDER BY id) AS no, * FROM crm.invoice__c
	WHERE parent_invoice__c IS NULL AND (account__c IS NULL OR account__c IN (SELECT id FROM crm.account));
CREATE FUNCTION odd(no bigint) RETURNS text LANGUAGE sql IMMUTABLE AS $$ SELECT (ARRAY['#N/A', '#n/a', 'a^b', '^', '"', '""', 'say "hi"', E'two\nlines', E'two\r\nlines', 'a, b; c', 'tab' || chr(9), 'NULL', 'null', 'true', '007', '1e5', E'back\\slash', 'Grüße 🚀', '=1+1', repeat('x', 255), '#', '#N/A '])[no] $$;
UPDATE source SET notes__c = odd(no) WHERE odd(no) IS NOT NULL;
UPDATE source SET notes__c = repeat('long ', 6500) || 'x' WHERE no = 30;
UPDATE source SET notes__c = repeat('"^', 15900) WHERE no = 31;
ALTER SERVER sf OPTIONS (ADD write_transport 'collections');
INSERT INTO crm.invoice__c (ext_id__c, :cols) SELECT 'C-' || no, :cols FROM source;
ALTER SERVER sf OPTIONS (SET write_transport 'bulk');
\! $SANDBOXCTL mark
INSERT INTO crm.invoice__c (ext_id__c, :cols) SELECT 'B-' || no, :cols FROM source;
\! $SANDBOXCTL calls | sed 's/7[0-9a-zA-Z]\{17\}/JOB/g; s/?.*//; s/ [0-9]*$//' | grep -v DELETE
CREATE TABLE written AS SELECT substr(ext_id__c, 3) AS no, left(ext_id__c, 1) AS how, :cols FROM crm.invoice__c WHERE ext_id__c LIKE 'B-%' OR ext_id__c LIKE 'C-%';
SELECT how, count(*) FROM written GROUP BY how ORDER BY how;
SELECT count(*) AS differ FROM (SELECT no, :cols FROM written WHERE how = 'B' EXCEPT SELECT no, :cols FROM written WHERE how = 'C') d;
SELECT no, how, left(notes__c, 60) AS notes FROM written WHERE no::int <= 22 AND how = 'B' AND notes__c IS DISTINCT FROM (SELECT notes__c FROM source s WHERE s.no::text = written.no) ORDER BY no::int;
SELECT bool_and(length(notes__c) IN (32501, 31800)) AS long FROM written WHERE no IN ('30', '31');

-- Updates: of some columns to null, of some to values; columns that are not named stay.
\! $SANDBOXCTL mark
UPDATE crm.invoice__c SET status__c = NULL, amount__c = amount__c + 1, notes__c = CASE WHEN notes__c = '#N/A' THEN '#N/A' ELSE upper(notes__c) END WHERE ext_id__c LIKE 'B-%';
\! $SANDBOXCTL calls | grep -c 'jobs/ingest'
SELECT count(*) AS all, count(*) FILTER (WHERE b.status__c IS NULL AND b.amount__c IS NOT DISTINCT FROM c.amount__c + 1 AND b.tax__c IS NOT DISTINCT FROM c.tax__c AND upper(c.notes__c) IS NOT DISTINCT FROM upper(b.notes__c)) AS right
	FROM crm.invoice__c b JOIN written c ON c.how = 'C' AND 'B-' || c.no = b.ext_id__c;
-- Deletes, and of rows that somebody has deleted meanwhile.
WITH gone AS MATERIALIZED (SELECT id FROM crm.invoice__c WHERE ext_id__c LIKE 'B-1%') DELETE FROM crm.invoice__c i USING gone WHERE i.id = gone.id;
SELECT count(*) FROM crm.invoice__c WHERE ext_id__c LIKE 'B-1%';
DELETE FROM crm.invoice__c WHERE ext_id__c LIKE 'B-%';
SELECT count(*) FROM crm.invoice__c WHERE ext_id__c LIKE 'B-%';

-- Auto: by how many rows there are.
ALTER SERVER sf OPTIONS (SET write_transport 'auto', ADD bulk_write_threshold '300');
\! $SANDBOXCTL mark
INSERT INTO crm.contact (lastname, title) SELECT 'few', g::text FROM generate_series(1, 299) g;
\! $SANDBOXCTL calls | sed 's/7[0-9a-zA-Z]\{17\}/JOB/g; s/?.*//; s/ [0-9]*$//' | grep -v DELETE
\! $SANDBOXCTL mark
INSERT INTO crm.contact (lastname, title) SELECT 'more', g::text FROM generate_series(1, 300) g;
\! $SANDBOXCTL calls | sed 's/7[0-9a-zA-Z]\{17\}/JOB/g; s/?.*//; s/ [0-9]*$//' | grep -v DELETE
SELECT lastname, count(*), count(DISTINCT title) FROM crm.contact WHERE lastname IN ('few', 'more') GROUP BY lastname ORDER BY lastname;
COPY (SELECT 'copied', g FROM generate_series(1, 1234) g) TO '/tmp/ampsf-bulk-write.csv' CSV;
\! $SANDBOXCTL mark
COPY crm.contact (lastname, title) FROM '/tmp/ampsf-bulk-write.csv' CSV;
\! $SANDBOXCTL calls | sed 's/7[0-9a-zA-Z]\{17\}/JOB/g; s/?.*//; s/ [0-9]*$//' | grep -v DELETE
\! rm -f /tmp/ampsf-bulk-write.csv
SELECT count(*), count(DISTINCT title) FROM crm.contact WHERE lastname = 'copied';
-- What returns a row goes by collections.
\! $SANDBOXCTL mark
WITH new AS (INSERT INTO crm.contact (lastname) SELECT 'returned' FROM generate_series(1, 3) g RETURNING id) SELECT count(*) FROM new;
\! $SANDBOXCTL calls | grep -c 'jobs/ingest'

-- Rows that are refused: the first is told, with Salesforce's words; the others of the job are written.
ALTER SERVER sf OPTIONS (SET write_transport 'bulk');
\set VERBOSITY default
\set SHOW_CONTEXT never
INSERT INTO crm.contact (lastname, email) SELECT 'refused', CASE WHEN g % 100 = 50 THEN 'no address' ELSE 'a@example.com' END FROM generate_series(1, 400) g;
SELECT count(*) FROM crm.contact WHERE lastname = 'refused';
-- Results in another order than the rows.
\! $SANDBOXCTL bulk order=shuffled
UPDATE crm.contact SET email = CASE WHEN title = '77' THEN 'no address' ELSE 'b@example.com' END WHERE lastname = 'more';
SELECT email, count(*) FROM crm.contact WHERE lastname = 'more' GROUP BY email;
\! $SANDBOXCTL bulk order=natural
\set VERBOSITY terse
-- An object that the Bulk API does not know: an error where Bulk was wanted, else collections.
\! $SANDBOXCTL bulk refuse=Contact
INSERT INTO crm.contact (lastname) VALUES ('not by Bulk');
ALTER SERVER sf OPTIONS (SET write_transport 'auto');
\! $SANDBOXCTL mark
INSERT INTO crm.contact (lastname, title) SELECT 'all the same', g FROM generate_series(1, 700) g;
\! $SANDBOXCTL calls | sed 's/7[0-9a-zA-Z]\{17\}/JOB/g; s/?.*//' | grep -v DELETE
SELECT count(*), count(DISTINCT title) FROM crm.contact WHERE lastname = 'all the same';
ALTER SERVER sf OPTIONS (SET write_transport 'bulk');
\! $SANDBOXCTL bulk refuse=
-- hard_delete needs the permission.
ALTER FOREIGN TABLE crm.contact OPTIONS (ADD hard_delete 'true');
DELETE FROM crm.contact WHERE lastname = 'returned';
SELECT count(*) FROM crm.contact WHERE lastname = 'returned';
\! $SANDBOXCTL bulk hard-delete=on
DELETE FROM crm.contact WHERE lastname IN ('returned', 'few');
ALTER FOREIGN TABLE crm.contact OPTIONS (DROP hard_delete, ADD include_deleted 'true');
SELECT lastname, count(*) FROM crm.contact WHERE lastname IN ('returned', 'few', 'more') GROUP BY lastname;
ALTER FOREIGN TABLE crm.contact OPTIONS (DROP include_deleted);
-- No job is left.
\! $SANDBOXCTL jobs

-- Locked by somebody else: sent again at the side, until it is free; and one that stays locked.
SELECT id AS locked FROM crm.contact WHERE lastname = 'more' AND title = '5' \gset
\setenv LOCKED :locked
\! curl -sS -o /dev/null -X POST "$SANDBOX_URL/__sandbox/locks?ids=$LOCKED"
\set VERBOSITY default
UPDATE crm.contact SET department = 'locked' WHERE lastname = 'more';
\! curl -sS -o /dev/null -X DELETE "$SANDBOX_URL/__sandbox/locks"
SELECT count(*) FROM crm.contact WHERE department = 'locked';
-- A job that stops in the middle: what it did not come to was not written.
\! $SANDBOXCTL reset demo
\! $SANDBOXCTL bulk batch-rows=100 batches=2
INSERT INTO crm.contact (lastname, title) SELECT 'in batches', g FROM generate_series(1, 500) g;
\! $SANDBOXCTL bulk batch-rows=10000 batches=15000
SELECT count(*) FROM crm.contact WHERE lastname = 'in batches';
\! $SANDBOXCTL jobs

-- Parents by their external ids: in a column of its own where it can be told so, else by collections.
\! $SANDBOXCTL reset demo
\set VERBOSITY terse
CREATE FOREIGN TABLE person (id text OPTIONS (field 'Id'), lastname text OPTIONS (field 'LastName'), title text OPTIONS (field 'Title'), account_ext text OPTIONS (parent_key 'Account.Ext_Id__c'),
	typed_ext text OPTIONS (parent_key 'Account.Ext_Id__c', reference_to 'Account')) SERVER sf OPTIONS (object 'Contact', write_transport 'bulk');
\! $SANDBOXCTL mark
INSERT INTO person (lastname, title, account_ext) SELECT 'child', g, CASE WHEN g % 10 < 8 THEN 'ACC-00' || 2 + g % 3 END FROM generate_series(1, 300) g;
\! $SANDBOXCTL calls | sed 's/7[0-9a-zA-Z]\{17\}/JOB/g; s/?.*//; s/ [0-9]*$//' | grep -v DELETE
SELECT account_ext, count(*) FROM person WHERE lastname = 'child' GROUP BY account_ext ORDER BY account_ext;
\! $SANDBOXCTL mark
INSERT INTO person (lastname, title, typed_ext) SELECT 'typed', g, 'ACC-002' FROM generate_series(1, 3) g;
\! $SANDBOXCTL calls | grep -c jobs
SELECT account_ext, count(*) FROM person WHERE lastname = 'typed' GROUP BY account_ext;
-- Upsert, duplicates that are passed over, and rows that are kept.
CREATE FOREIGN TABLE invoice (id text OPTIONS (field 'Id'), ext text OPTIONS (field 'Ext_Id__c', external_id 'true'), amount numeric OPTIONS (field 'Amount__c'), status text OPTIONS (field 'Status__c')) SERVER sf
	OPTIONS (object 'Invoice__c', write_transport 'bulk', upsert_key 'Ext_Id__c');
INSERT INTO invoice (ext, amount) SELECT 'up-' || g, g FROM generate_series(1, 250) g;
INSERT INTO invoice (ext, amount) SELECT 'UP-' || g, -g FROM generate_series(201, 450) g;
SELECT count(*), count(DISTINCT lower(ext)), sum(amount) = (SELECT sum(CASE WHEN g > 200 THEN -g ELSE g END) FROM generate_series(1, 450) g) AS right FROM invoice WHERE ext ~* '^up-';
ALTER FOREIGN TABLE invoice OPTIONS (DROP upsert_key);
INSERT INTO invoice (ext, amount) SELECT 'up-' || g, 0 FROM generate_series(441, 460) g ON CONFLICT DO NOTHING;
\echo :ROW_COUNT
SELECT count(*) FROM invoice WHERE ext ~* '^up-';
ALTER FOREIGN TABLE invoice OPTIONS (ADD on_error 'continue');
INSERT INTO invoice (ext, status) SELECT 'kept-' || g, CASE WHEN g % 7 = 0 THEN 'no such status' END FROM generate_series(1, 30) g;
\echo :ROW_COUNT
SELECT row_number, "row", error_code FROM ampsf.write_error ORDER BY row_number;
DELETE FROM ampsf.write_error;
-- Line ends of Windows within a text: some orgs would fail the whole job.
\! $SANDBOXCTL bulk newlines=never
INSERT INTO crm.contact (lastname, description) VALUES ('ends', E'one\r\ntwo'), ('ends', E'one\rtwo'), ('ends', E'one\ntwo'), ('ends', E'\\r\\n "quoted"');
SELECT length(description), md5(description) IN (md5(E'one\r\ntwo'), md5(E'one\rtwo'), md5(E'one\ntwo'), md5(E'\\r\\n "quoted"')) AS same FROM crm.contact WHERE lastname = 'ends' ORDER BY 1;
\! $SANDBOXCTL bulk newlines=quoted
\! $SANDBOXCTL jobs

-- Rows that look alike, texts that are the same number: what is kept is what was not written.
ALTER FOREIGN TABLE crm.contact OPTIONS (ADD on_error 'continue');
\! $SANDBOXCTL reset demo
\! $SANDBOXCTL bulk batch-rows=100 batches=2 order=shuffled
INSERT INTO crm.contact (lastname, title) SELECT 'alike', CASE WHEN g <= 200 THEN g::text ELSE '0' || g - 200 END FROM generate_series(1, 400) g;
\! $SANDBOXCTL bulk batch-rows=10000 batches=15000 order=natural
SELECT count(*), count(DISTINCT title), bool_and(title NOT LIKE '0%') AS first FROM crm.contact WHERE lastname = 'alike';
SELECT count(*), count(DISTINCT "row" ->> 'Title'), bool_and("row" ->> 'Title' LIKE '0%') AS others FROM ampsf.write_error;
DELETE FROM ampsf.write_error;
-- A row of nothing but defaults.
\! $SANDBOXCTL mark
INSERT INTO crm.invoice__c DEFAULT VALUES;
\! $SANDBOXCTL calls | sed 's/7[0-9a-zA-Z]\{17\}/JOB/g; s/?.*//; s/ [0-9]*$//' | grep -v DELETE
-- Rows that differ in a time only, in a list that writes their numbers otherwise: one that was locked is not taken for another, which would be there twice.
\! $SANDBOXCTL reset demo
SELECT id AS locked FROM crm.account ORDER BY id LIMIT 1 \gset
\setenv LOCKED :locked
\! $SANDBOXCTL lock times=1 $LOCKED
\set VERBOSITY sqlstate
INSERT INTO crm.invoice__c (account__c, paid_at__c, quantity__c, remark__c) SELECT :'locked', timestamptz '2024-01-01 00:00Z' + g * interval '1 hour', 12345678901, 'times' FROM generate_series(1, 20) g;
SELECT count(*), count(DISTINCT paid_at__c) FROM crm.invoice__c WHERE remark__c = 'times';
-- One that can be no other is sent again.
\! $SANDBOXCTL lock times=1 $LOCKED
INSERT INTO crm.invoice__c (account__c, paid_at__c, quantity__c, remark__c) SELECT :'locked', timestamptz '2024-01-01 00:00Z', 12345678900 + g, 'numbers' FROM generate_series(1, 20) g;
SELECT count(*), count(DISTINCT quantity__c) FROM crm.invoice__c WHERE remark__c = 'numbers';
\! $SANDBOXCTL unlock
