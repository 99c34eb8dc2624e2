-- INSERT that finds its rows by an external id, ON CONFLICT DO NOTHING, and parents by their external ids.
SET client_min_messages = notice;
\set SHOW_CONTEXT errors
\! $SANDBOXCTL reset demo >/dev/null
CREATE FOREIGN TABLE invoice (id text OPTIONS (field 'Id'), ext text OPTIONS (field 'Ext_Id__c'), amount numeric OPTIONS (field 'Amount__c'),
	status text OPTIONS (field 'Status__c'), notes text OPTIONS (field 'Notes__c'), created boolean OPTIONS (ampsf_created 'true'))
	SERVER sf OPTIONS (object 'Invoice__c', upsert_key 'Ext_Id__c');
CREATE TABLE copy (ext text PRIMARY KEY, amount numeric, status text, notes text);

-- the same as INSERT ... ON CONFLICT DO UPDATE of the columns that are given
INSERT INTO invoice (ext, amount, notes) VALUES ('u-1', 1, 'first'), ('u-2', 2, NULL) RETURNING ext, amount, created, id IS NOT NULL AS id;
INSERT INTO copy (ext, amount, notes) VALUES ('u-1', 1, 'first'), ('u-2', 2, NULL);
\! $SANDBOXCTL mark
INSERT INTO invoice (ext, amount) VALUES ('u-2', 22), ('u-3', 3), ('u-1', 11);
INSERT INTO copy (ext, amount) VALUES ('u-2', 22), ('u-3', 3), ('u-1', 11) ON CONFLICT (ext) DO UPDATE SET amount = excluded.amount;
\! $SANDBOXCTL calls | grep sobjects
INSERT INTO invoice (ext, notes) VALUES ('u-1', NULL), ('u-4', 'new') RETURNING ext, created, amount, notes;
INSERT INTO copy (ext, notes) VALUES ('u-1', NULL), ('u-4', 'new') ON CONFLICT (ext) DO UPDATE SET notes = excluded.notes;
SELECT ext, amount, notes FROM copy EXCEPT SELECT ext, amount, notes FROM invoice WHERE ext LIKE 'u-%';
SELECT ext, amount, notes FROM invoice WHERE ext LIKE 'u-%' ORDER BY 1;
-- many, twice
INSERT INTO invoice (ext, amount) SELECT 'many-' || i, i FROM generate_series(1, 450) i;
\! $SANDBOXCTL mark
INSERT INTO invoice (ext, amount) SELECT 'many-' || i, i + 1 FROM generate_series(1, 450) i;
\echo :ROW_COUNT
\! $SANDBOXCTL calls | grep sobjects
SELECT count(*), sum(amount) FROM invoice WHERE ext LIKE 'many-%';
COPY invoice (ext, amount) FROM stdin;
u-1	100
u-5	5
\.
SELECT ext, amount FROM invoice WHERE ext IN ('u-1', 'u-5') ORDER BY 1;
EXPLAIN (VERBOSE, COSTS OFF) INSERT INTO invoice (ext, amount) SELECT 'x', 1;
-- what cannot be: no key, one key twice in a call, a key that is no external id, no column for it
INSERT INTO invoice (amount) VALUES (1);
INSERT INTO invoice (ext, amount) VALUES ('u-6', 1), ('u-7', 2), ('U-6', 3);
SELECT ext FROM invoice WHERE ext IN ('u-6', 'u-7');
ALTER FOREIGN TABLE invoice OPTIONS (ADD batch_size '1');
INSERT INTO invoice (ext, amount) VALUES ('u-6', 1), ('u-6', 3);
SELECT ext, amount FROM invoice WHERE ext = 'u-6';
ALTER FOREIGN TABLE invoice OPTIONS (DROP batch_size, SET upsert_key 'Notes__c');
INSERT INTO invoice (ext, amount) VALUES ('u-8', 1);
ALTER FOREIGN TABLE invoice OPTIONS (SET upsert_key 'No_Such__c');
INSERT INTO invoice (ext, amount) VALUES ('u-8', 1);
ALTER FOREIGN TABLE invoice OPTIONS (SET upsert_key 'Not an API name');
ALTER FOREIGN TABLE invoice OPTIONS (SET upsert_key 'Ext_Id__c');
INSERT INTO invoice (ext) VALUES ('u-1') ON CONFLICT DO NOTHING;
-- UPDATE and DELETE go by the Id; an update creates nothing
UPDATE invoice SET amount = 0 WHERE ext = 'u-1' RETURNING ext, amount, created;
DELETE FROM invoice WHERE ext = 'u-5' RETURNING ext, created;
-- an answer that was lost: the call is repeated, for the rows are known by their key
\! $SANDBOXCTL mark
\! $SANDBOXCTL fault 'path=*/composite/sobjects/*;method=PATCH;count=1;do=reset-after'
INSERT INTO invoice (ext, amount) VALUES ('u-9', 9), ('u-10', 10);
\! $SANDBOXCTL nofaults
\! $SANDBOXCTL calls | grep sobjects
SELECT ext, amount FROM invoice WHERE ext IN ('u-9', 'u-10') ORDER BY 1;

-- the column that tells is no field: null elsewhere, in every kind of query, and never sent
SELECT ext, created FROM invoice WHERE ext = 'u-1' AND created IS NULL;
SELECT count(*), count(created), bool_or(created) FROM invoice WHERE ext LIKE 'u-%';
SELECT DISTINCT created FROM invoice WHERE ext LIKE 'u-%' ORDER BY created;
SELECT i.ext, i.created, i IS NULL AS isnull FROM invoice i JOIN crm.invoice__c c ON c.id = i.id WHERE i.ext = 'u-1';
SELECT (i).* FROM (SELECT i FROM invoice i WHERE ext = 'u-1' OFFSET 0) s \gset v_
\echo :v_ext
ANALYZE invoice;
INSERT INTO invoice (ext, created) VALUES ('u-1', true);
UPDATE invoice SET created = false;

-- ON CONFLICT DO NOTHING: what Salesforce refuses as a duplicate is passed over, other refusals are errors
ALTER FOREIGN TABLE invoice OPTIONS (DROP upsert_key);
INSERT INTO invoice (ext, amount) VALUES ('n-1', 1), ('u-1', 1), ('n-2', 2) ON CONFLICT DO NOTHING;
\echo :ROW_COUNT
INSERT INTO invoice (ext, amount) VALUES ('n-3', 1), ('u-1', 1), ('n-3', 2) ON CONFLICT DO NOTHING RETURNING ext, amount, created;
SELECT ext, amount FROM invoice WHERE ext ~ '^(n-.|u-1)$' ORDER BY 1;
INSERT INTO invoice (ext, status) VALUES ('n-4', 'no such status'), ('u-1', NULL) ON CONFLICT DO NOTHING;
INSERT INTO invoice (ext, amount) SELECT 'many-' || i, 0 FROM generate_series(1, 460) i ON CONFLICT DO NOTHING;
\echo :ROW_COUNT
SELECT count(*), min(amount) FROM invoice WHERE ext LIKE 'many-%';
WITH n AS (INSERT INTO invoice (ext) VALUES ('u-1'), ('n-5') ON CONFLICT DO NOTHING RETURNING ext) SELECT * FROM n;
-- rows that a partitioned table sends there
CREATE TABLE bills (kind text, ext text, amount numeric) PARTITION BY LIST (kind);
CREATE TABLE bills_here PARTITION OF bills FOR VALUES IN ('here');
CREATE FOREIGN TABLE bills_sf PARTITION OF bills FOR VALUES IN ('Sent') SERVER sf OPTIONS (object 'Invoice__c');
ALTER FOREIGN TABLE bills_sf ALTER COLUMN kind OPTIONS (field 'Status__c'), ALTER COLUMN ext OPTIONS (field 'Ext_Id__c'), ALTER COLUMN amount OPTIONS (field 'Amount__c');
INSERT INTO bills VALUES ('here', 'u-1', 1), ('Sent', 'u-1', 2), ('Sent', 'b-1', 3) ON CONFLICT DO NOTHING;
\echo :ROW_COUNT
ALTER FOREIGN TABLE bills_sf OPTIONS (ADD upsert_key 'Ext_Id__c');
INSERT INTO bills VALUES ('here', 'u-1', 1), ('Sent', 'b-1', 5) ON CONFLICT DO NOTHING;
INSERT INTO bills VALUES ('Sent', 'b-1', 4), ('Sent', 'b-2', 4);
SELECT ext, amount FROM bills_sf WHERE ext ~ '^(b-.|u-1)$' ORDER BY 1;
DROP TABLE bills;

-- references by the parent's external id
CREATE FOREIGN TABLE person (id text OPTIONS (field 'Id'), lastname text OPTIONS (field 'LastName'), accountid text OPTIONS (field 'AccountId', type 'reference'),
	account_ext text OPTIONS (parent_key 'Account.Ext_Id__c'), account_name text OPTIONS (field 'Account.Name'),
	boss_ext text OPTIONS (parent_key 'ReportsTo.Ext_Id__c'), boss_name text OPTIONS (field 'ReportsTo.Name')) SERVER sf OPTIONS (object 'Contact');
SELECT name AS account FROM crm.account WHERE ext_id__c = 'ACC-002' \gset
INSERT INTO person (lastname, account_ext, boss_ext) VALUES ('P1', 'ACC-002', 'CON-0001'), ('P2', NULL, NULL), ('P3', 'acc-002', NULL);
INSERT INTO person (lastname, account_ext) VALUES ('P4', 'ACC-002') RETURNING lastname, account_ext, account_name = :'account' AS name, accountid IS NOT NULL AS id;
SELECT lastname, account_ext, account_name = :'account' AS name, boss_ext, boss_name IS NOT NULL AS boss FROM person WHERE lastname ~ '^P\d$' ORDER BY 1;
UPDATE person SET account_ext = NULL, boss_ext = 'CON-0002' WHERE lastname = 'P1';
UPDATE person SET account_ext = 'ACC-004' WHERE lastname IN ('P2', 'P3');
SELECT lastname, account_ext, boss_ext FROM person WHERE lastname ~ '^P\d$' ORDER BY 1;
-- no such parent, and a parent's field that is no key
INSERT INTO person (lastname, account_ext) VALUES ('P5', 'no such');
INSERT INTO person (lastname, account_name) VALUES ('P5', 'x');
ALTER FOREIGN TABLE person ALTER COLUMN account_name OPTIONS (ADD parent_key 'Account.Name');
INSERT INTO person (lastname, account_name) VALUES ('P5', 'x');
ALTER FOREIGN TABLE person ALTER COLUMN account_ext OPTIONS (SET parent_key 'Ext_Id__c');
ALTER FOREIGN TABLE person ALTER COLUMN boss_name OPTIONS (ADD parent_key 'ReportsTo.Ext_Id__c');
-- a direct UPDATE
EXPLAIN (VERBOSE, COSTS OFF) UPDATE person SET account_ext = 'ACC-002' WHERE id = '003000000000000AAA';
