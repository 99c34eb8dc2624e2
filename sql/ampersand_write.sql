-- Ampersand's Write API: what it writes is read back from the org by the direct way.
\set SHOW_CONTEXT never
SET client_min_messages = warning;
SELECT replace(u, '127.0.0.1', '127.0.0.2') AS proxy, replace(u, '127.0.0.1', '127.0.0.3') AS write,
	replace(u, '127.0.0.1', '127.0.0.4') AS read, replace(u, '127.0.0.1', '127.0.0.5') AS platform
FROM (SELECT split_part(o, '=', 2) AS u FROM pg_foreign_server, unnest(srvoptions) o
	WHERE srvname = 'sf' AND o LIKE 'instance_url=%') s \gset
CREATE SERVER amp FOREIGN DATA WRAPPER ampsf_fdw OPTIONS (connection 'ampersand', project '0d4f6c2e-7a51-4c1c-9a53-2f1f0c9d8e7b',
	integration 'salesforce', group_ref 'acme', proxy_url :'proxy', write_url :'write', read_url :'read', platform_url :'platform',
	write_via 'write_api');
CREATE USER MAPPING FOR CURRENT_USER SERVER amp OPTIONS (api_key 'sandbox-api-key');
CREATE SCHEMA amp;
IMPORT FOREIGN SCHEMA crm LIMIT TO (account, contact, campaign, invoice__c) FROM SERVER amp INTO amp;

-- what it needs, and what it cannot do
INSERT INTO amp.account (name) VALUES ('W 0');
ALTER SERVER amp OPTIONS (ADD integration_id '5b1f2f7e-6a0e-4b62-8a9e-0c3f5d7e9a11');
ALTER FOREIGN TABLE amp.account OPTIONS (ADD upsert_key 'Id');
INSERT INTO amp.account (name) VALUES ('W 0');
ALTER FOREIGN TABLE amp.account OPTIONS (DROP upsert_key, ADD write_transport 'bulk');
INSERT INTO amp.account (name) VALUES ('W 0');
ALTER FOREIGN TABLE amp.account OPTIONS (DROP write_transport, ADD write_at 'commit');
UPDATE amp.account SET name = 'W 0';
ALTER FOREIGN TABLE amp.account OPTIONS (DROP write_at, ADD hard_delete 'true');
DELETE FROM amp.account;
ALTER FOREIGN TABLE amp.account OPTIONS (DROP hard_delete, ADD if_unchanged 'true');
UPDATE amp.account SET name = 'W 0';
ALTER FOREIGN TABLE amp.account OPTIONS (DROP if_unchanged);
INSERT INTO amp.campaign (name) VALUES ('not in the manifest');
ALTER FOREIGN TABLE crm.campaign OPTIONS (ADD write_via 'write_api');
INSERT INTO crm.campaign (name) VALUES ('not through Ampersand');
ALTER FOREIGN TABLE crm.campaign OPTIONS (DROP write_via);
EXPLAIN (VERBOSE, COSTS OFF) UPDATE amp.account SET name = 'x';
EXPLAIN (VERBOSE, COSTS OFF) DELETE FROM amp.account;

-- INSERT, UPDATE, DELETE
\! $SANDBOXCTL mark
INSERT INTO amp.account (name, numberofemployees) SELECT 'W ' || g, g FROM generate_series(1, 250) g;
\! $SANDBOXCTL calls
INSERT INTO amp.account (name, phone) VALUES ('W "quoted" \ ä', E'tab\there') RETURNING name, phone, length(id) AS id, createddate IS NOT NULL AS created;
SELECT count(*), sum(numberofemployees), count(DISTINCT name) FROM crm.account WHERE name LIKE 'W %';
\! $SANDBOXCTL mark
UPDATE amp.account SET phone = name, numberofemployees = NULL WHERE name LIKE 'W 1%';
\! $SANDBOXCTL calls | sed 's/?.*//'
SELECT count(*), count(numberofemployees), bool_and(phone = name) FROM crm.account WHERE name LIKE 'W 1%';
\! $SANDBOXCTL mark
DELETE FROM amp.account WHERE name LIKE 'W 10%';
\! $SANDBOXCTL calls | sed 's/?.*//; s/001[0-9A-Za-z]*/ID/' | sort | uniq -c | sed 's/^ *//'
SELECT count(*) FROM crm.account WHERE name LIKE 'W 1%';

-- records that are refused: a batch, of which it is not told which error is whose; one alone
INSERT INTO amp.account (name, numberofemployees) VALUES ('W a', 1), (NULL, 2), ('W b', 3);
SELECT name FROM crm.account WHERE name IN ('W a', 'W b') ORDER BY name;
ALTER FOREIGN TABLE amp.account OPTIONS (ADD on_error 'continue');
INSERT INTO amp.account (name, phone) VALUES ('W c', '1'), (NULL, '2'), ('W x', repeat('9', 50));
SELECT operation, row_number, outcome, error_code, fields, message FROM ampsf.write_error ORDER BY row_number;
TRUNCATE ampsf.write_error;
\! $SANDBOXCTL amp row-errors=on
INSERT INTO amp.account (name, phone) VALUES ('W d', '1'), (NULL, '2'), ('W x', repeat('9', 50));
SELECT operation, row_number, outcome, error_code, fields, message FROM ampsf.write_error ORDER BY row_number;
TRUNCATE ampsf.write_error;
ALTER FOREIGN TABLE amp.account OPTIONS (SET on_error 'abort', ADD all_or_none 'true');
INSERT INTO amp.account (name) VALUES ('W e'), (NULL);
SELECT name FROM crm.account WHERE name BETWEEN 'W c' AND 'W f' ORDER BY name;
ALTER FOREIGN TABLE amp.account OPTIONS (DROP on_error, DROP all_or_none);
\! $SANDBOXCTL amp deletes=off
DELETE FROM amp.account WHERE name = 'W d';
\! $SANDBOXCTL amp deletes=on

-- the headers of the table's options go on to Salesforce
ALTER FOREIGN TABLE amp.account OPTIONS (ADD client_name 'loader');
\! $SANDBOXCTL mark
INSERT INTO amp.account (name) VALUES ('W headers');
\! $SANDBOXCTL headers
ALTER FOREIGN TABLE amp.account OPTIONS (DROP client_name);

-- faults: refused, turned away, lost; nothing is written twice
\! $SANDBOXCTL fault 'path=/v1/*;do=status;status=400;body=required field not found'
INSERT INTO amp.account (name) VALUES ('W fault');
\! $SANDBOXCTL fault 'path=/v1/*;do=status;status=429;body={"title":"Too Many Requests","status":429}'
INSERT INTO amp.account (name) VALUES ('W turned away');
\! $SANDBOXCTL fault 'path=/v1/*;do=reset-after'
INSERT INTO amp.account (name) VALUES ('W lost');
\! $SANDBOXCTL fault 'path=/v1/*;do=reset-after'
UPDATE amp.account SET phone = 'twice' WHERE name = 'W lost';
\! $SANDBOXCTL fault 'path=/v1/*;do=status;status=500;body={"title":"Internal Server Error","status":500,"detail":"oops"}'
INSERT INTO amp.account (name) VALUES ('W fault');
\! $SANDBOXCTL fault 'path=/v1/*;do=truncate-json'
INSERT INTO amp.account (name) VALUES ('W half');
SELECT name, phone, count(*) FROM crm.account WHERE name IN ('W fault', 'W turned away', 'W lost', 'W half') GROUP BY 1, 2 ORDER BY 1;

-- asynchronous: operations
ALTER SERVER amp OPTIONS (ADD write_mode 'async');
\! $SANDBOXCTL mark
INSERT INTO amp.account (name) VALUES ('A 1'), ('A 2'), ('A 3') RETURNING name, length(id) AS id;
\! $SANDBOXCTL calls | grep v1 | sed 's/[0-9]\{12\} /N /' | sort | uniq -c | sed 's/^ *//'
\! $SANDBOXCTL mark
UPDATE amp.account SET phone = name WHERE name LIKE 'A _';
\! $SANDBOXCTL calls | grep v1 | sed 's/[0-9]\{12\} /N /'
SELECT name, phone FROM crm.account WHERE name LIKE 'A _' ORDER BY name;
INSERT INTO amp.account (name) VALUES (NULL);
ALTER FOREIGN TABLE amp.account OPTIONS (ADD on_error 'continue');
UPDATE amp.account SET name = CASE name WHEN 'A 2' THEN NULL ELSE name || '!' END WHERE name LIKE 'A _';
SELECT operation, length(record_id) AS id, outcome, error_code, message FROM ampsf.write_error;
SELECT name FROM crm.account WHERE name LIKE 'A _%' ORDER BY name;
TRUNCATE ampsf.write_error;
\! $SANDBOXCTL mark
INSERT INTO amp.account (name, phone) VALUES ('A 4', '4'), (NULL, '5'), ('A 6', '6');
\! $SANDBOXCTL calls | grep -c 'POST /v1'
SELECT operation, "row", outcome, error_code, message FROM ampsf.write_error;
SELECT name, phone FROM crm.account WHERE name LIKE 'A _' ORDER BY name;
ALTER FOREIGN TABLE amp.account OPTIONS (DROP on_error);
DELETE FROM amp.account WHERE name LIKE 'A _%';
SELECT count(*) FROM crm.account WHERE name LIKE 'A _%';
-- nobody answers for an operation
\! $SANDBOXCTL fault 'path=/v1/*/operations/*;do=status;status=404;body={"title":"Not Found","status":404,"detail":"operation not found"}'
INSERT INTO amp.account (name) VALUES ('A doubt');
SELECT operation, length(record_id) AS id, outcome, error_code, message FROM ampsf.write_error WHERE "row"->>'Name' = 'A doubt';
\! $SANDBOXCTL nofaults
