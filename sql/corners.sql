-- Reading where it is easy to go wrong: columns that are not of the field's type, values at the edge,
-- statements at their limit, encodings, and the objects under a running scan changed.
\set VERBOSITY terse
SET client_min_messages = warning;

-- real rounds and char(n) adds blanks: Salesforce may not compare what is not in the field.
CREATE FOREIGN TABLE odd (id text, weight real OPTIONS (field 'Weight__c'), code char(20) OPTIONS (field 'Case_Key__c'),
	paid_on date OPTIONS (field 'Paid_At__c', type 'datetime')) SERVER sf OPTIONS (object 'Invoice__c');
CREATE TABLE odd_copy AS SELECT id, weight, code FROM odd;
EXPLAIN (VERBOSE, COSTS OFF) SELECT id FROM odd WHERE weight = 0.1::real AND code LIKE '% ' AND paid_on >= '2020-01-01';
SELECT count(*) AS values, count(*) FILTER (WHERE here <> there) AS differ FROM (
	SELECT w, (SELECT count(*) FROM odd_copy WHERE weight = w) AS here, (SELECT count(*) FROM odd WHERE weight = w) AS there
	FROM (SELECT DISTINCT weight AS w FROM odd_copy WHERE weight IS NOT NULL) v) c;
SELECT (SELECT count(*) FROM odd WHERE code LIKE '% ') = (SELECT count(*) FROM odd_copy WHERE code LIKE '% ') AS same,
	(SELECT count(*) FROM odd_copy WHERE code LIKE '% ') > 0 AS any_row;

-- Any date may be compared with a timestamptz, though not every date can become one.
SET timezone = 'America/St_Johns';
SELECT (SELECT count(*) FROM crm.account WHERE createddate < d) = (SELECT count(*) FROM crm.account) AS below,
	(SELECT count(*) FROM crm.account WHERE createddate > d) AS above, (SELECT count(*) FROM crm.account WHERE createddate = d) AS at
	FROM (VALUES (date '5874897-12-31'), ('infinity')) v (d);
SELECT (SELECT count(*) FROM crm.account WHERE createddate > d) = (SELECT count(*) FROM crm.account) AS above,
	(SELECT count(*) FROM crm.account WHERE createddate <= d) AS below FROM (VALUES (date '4713-01-01 BC'), ('-infinity')) v (d);
EXPLAIN (VERBOSE, COSTS OFF) SELECT id FROM crm.account WHERE createddate >= date '2025-01-01';
EXPLAIN (VERBOSE, COSTS OFF) SELECT id FROM crm.account WHERE createddate >= timestamp '2025-01-01 00:00';
RESET timezone;

-- Aggregates over all rows are one row, even where there is nothing to ask.
PREPARE none(text) AS SELECT count(*), count(name), max(createddate), min(numberofemployees) FROM crm.account WHERE id = $1;
EXPLAIN (COSTS OFF) EXECUTE none('no Id');
EXECUTE none('no Id');
SET plan_cache_mode = force_generic_plan;
EXECUTE none(NULL);
RESET plan_cache_mode;
SELECT id, (SELECT count(*) FROM crm.account a WHERE a.parentid = v.id) FROM (VALUES (NULL), ('no Id')) v (id);
SELECT count(*) FROM (SELECT id FROM crm.account WHERE id = 'no Id' ORDER BY createddate LIMIT 1) none;
-- A number that is shown as text has the order of text, and real has ties that the field has not.
CREATE FOREIGN TABLE shown (id text, weight text OPTIONS (field 'Weight__c', type 'double')) SERVER sf OPTIONS (object 'Invoice__c');
EXPLAIN (COSTS OFF) SELECT max(weight) FROM shown;
EXPLAIN (COSTS OFF) SELECT id FROM odd ORDER BY weight, id LIMIT 1;

-- Lists share the room of a statement: one that finds none is left out, and everything is checked here.
CREATE FUNCTION many(prefix text, n int) RETURNS text[] LANGUAGE sql IMMUTABLE AS $$ SELECT array_agg(prefix || ' number ' || g ORDER BY g) FROM generate_series(1, n) g $$;
SELECT name FROM crm.account WHERE name = ANY (array(SELECT unnest(many('name', 3500) || 'Acme'::text))) AND isdeleted = false
	AND billingcity = ANY (array(SELECT unnest(many('city', 3500) || (SELECT array_agg(DISTINCT billingcity) FROM crm.account))));
SELECT name FROM crm.account WHERE name = ANY (many('name', 3500) || 'Acme'::text) AND id <> ALL (many('no Id', 3500));
SELECT name FROM crm.account WHERE (name = ANY (many('name', 3500) || 'Acme'::text) OR site = ANY (many('site', 3500))) AND billingcity <> ALL (many('city', 3500));

-- A scan that has begun goes on with the server and the mapping that it began with.
BEGIN;
DECLARE c CURSOR FOR SELECT id FROM crm.contact;
FETCH 1 FROM c;
DROP USER MAPPING FOR CURRENT_USER SERVER sf;
SAVEPOINT s;
\set VERBOSITY sqlstate
SELECT 1 FROM crm.contact;
\set VERBOSITY terse
ROLLBACK TO s;
FETCH RELATIVE 169 FROM c;
ROLLBACK;
BEGIN;
DECLARE c CURSOR FOR SELECT id FROM crm.contact;
FETCH 1 FROM c;
ALTER FOREIGN TABLE crm.contact OPTIONS (SET object 'Account');
ROLLBACK;

-- A function in a condition that itself reads, fails, and is caught.
CREATE FUNCTION contacts_of(account text) RETURNS bigint LANGUAGE plpgsql AS $$
BEGIN
	PERFORM 1 / (length(lastname) * 0) FROM crm.contact WHERE accountid = account;
	RETURN 0;
EXCEPTION WHEN division_by_zero THEN
	RETURN (SELECT count(*) FROM crm.contact WHERE accountid = account);
END $$;
SELECT count(*) > 0 AS any_row, sum(contacts_of(id)) = (SELECT count(*) FROM crm.contact WHERE accountid IN (SELECT id FROM crm.account)) AS same
	FROM crm.account WHERE contacts_of(id) >= 0;

-- Nothing to ask for, and a table of the most columns there can be.
CREATE FOREIGN TABLE none () SERVER sf OPTIONS (object 'Account');
SELECT count(*) = (SELECT count(*) FROM crm.account) AS same FROM none;
SELECT none FROM none LIMIT 1;
DO $$ BEGIN
	EXECUTE (SELECT format('CREATE FOREIGN TABLE wide (%s) SERVER sf OPTIONS (object ''Account'')',
		string_agg(format('c%s text OPTIONS (field ''%s'')', g, CASE g % 2 WHEN 0 THEN 'Name' ELSE 'Id' END), ', ')) FROM generate_series(1, 1600) g);
END $$;
SELECT c1600, c1 = c1599 AS same FROM wide WHERE c2 = 'Acme';

-- Text that the database's encoding has is found, in any encoding.
SELECT current_database() AS db
\gset
SELECT substring(array_to_string(srvoptions, ',') FROM 'instance_url=([^,]*)') AS url FROM pg_foreign_server
\gset
\set other :db _latin1
DROP DATABASE IF EXISTS :"other";
CREATE DATABASE :"other" ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0;
\c :"other"
SET client_encoding = 'UTF8';
SET client_min_messages = warning;
CREATE EXTENSION ampsf_fdw;
CREATE SERVER sf FOREIGN DATA WRAPPER ampsf_fdw OPTIONS (instance_url :'url');
CREATE USER MAPPING FOR CURRENT_USER SERVER sf OPTIONS (client_id 'sandbox', client_secret 'sandbox');
CREATE FOREIGN TABLE account (id text, name text OPTIONS (field 'Name'), billingcity text OPTIONS (field 'BillingCity')) SERVER sf OPTIONS (object 'Account');
SELECT name FROM account WHERE name = 'Acme' AND billingcity = 'Zürich';
SELECT count(*) > 0 AS found FROM account WHERE billingcity LIKE 'Zü%';
SELECT count(*) > 0 AS found FROM account WHERE billingcity IN ('São Paulo', 'Nowhere');
EXPLAIN (COSTS OFF) SELECT 1 FROM account WHERE billingcity = 'Zürich';
SELECT max(name) FROM account;
\c :"db"
DROP DATABASE :"other";
