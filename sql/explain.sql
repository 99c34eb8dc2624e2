-- What is sent, what is trusted, and what it cost.
\set VERBOSITY terse
SET client_min_messages = warning;

CREATE FOREIGN TABLE ex_account (
	id text OPTIONS (field 'Id') NOT NULL,
	name text OPTIONS (field 'Name'),
	industry text OPTIONS (field 'Industry', type 'picklist'),
	ownerid text OPTIONS (field 'OwnerId', type 'reference'),
	description text OPTIONS (field 'Description', type 'textarea', filterable 'false'),
	annualrevenue numeric OPTIONS (field 'AnnualRevenue', type 'currency'),
	numberofemployees int OPTIONS (field 'NumberOfEmployees'),
	isdeleted boolean OPTIONS (field 'IsDeleted'),
	createddate timestamptz OPTIONS (field 'CreatedDate'),
	systemmodstamp timestamptz OPTIONS (field 'SystemModstamp')
) SERVER sf OPTIONS (object 'Account', rows '40');
CREATE FOREIGN TABLE ex_invoice (
	id text OPTIONS (field 'Id'),
	case_key text OPTIONS (field 'Case_Key__c', case_sensitive 'true'),
	due date OPTIONS (field 'Due_Date__c')
) SERVER sf OPTIONS (object 'Invoice__c', rows '60');

-- EXPLAIN alone makes no call, not even a login
\! $SANDBOXCTL mark
EXPLAIN (COSTS OFF) SELECT id FROM ex_account;
EXPLAIN (COSTS OFF) SELECT count(*) FROM ex_account;
\! $SANDBOXCTL calls

-- the three classes
EXPLAIN (VERBOSE, COSTS OFF) SELECT id FROM ex_account WHERE systemmodstamp >= '2025-01-01Z' AND name = 'O''Brien \ "Co"' AND reverse(name) = 'X';
EXPLAIN (VERBOSE, COSTS OFF) SELECT id FROM ex_account WHERE description = 'x' AND name <> 'x' AND name < 'm' AND ownerid > '005';

-- text: a superset, rechecked; never <>, ranges, NOT LIKE
EXPLAIN (COSTS OFF) SELECT id FROM ex_account WHERE name IN ('b', 'a', 'b', NULL);
EXPLAIN (COSTS OFF) SELECT id FROM ex_account WHERE name LIKE 'A_c%\_50\%''s';
EXPLAIN (COSTS OFF) SELECT id FROM ex_account WHERE name NOT LIKE 'A%' AND name ILIKE 'a%' AND industry LIKE 'A%';
EXPLAIN (COSTS OFF) SELECT id FROM ex_account WHERE name = '';
EXPLAIN (COSTS OFF) SELECT id FROM ex_account WHERE name IS NULL OR industry IS NOT NULL;
EXPLAIN (COSTS OFF) SELECT id FROM ex_invoice WHERE case_key <> 'a' AND case_key NOT IN ('b', 'c');

-- Ids: only what is spelled as Salesforce spells it can be equal
EXPLAIN (COSTS OFF) SELECT id FROM ex_account WHERE id = '001A000010khO8JIAU';
EXPLAIN (COSTS OFF) SELECT id FROM ex_account WHERE id = '001A000010khO8J';
EXPLAIN (COSTS OFF) SELECT id FROM ex_account WHERE id <> 'no id at all';
EXPLAIN (COSTS OFF) SELECT id FROM ex_account WHERE id IN ('001A000010khO8JIAU', 'x', '001A000010khO8JIAU');
EXPLAIN (COSTS OFF) SELECT id FROM ex_account WHERE ownerid <> '001A000010khO8JIAU';

-- numbers: exact up to 15 digits
EXPLAIN (COSTS OFF) SELECT id FROM ex_account WHERE annualrevenue > 1e6 AND numberofemployees BETWEEN 10 AND 20;
EXPLAIN (VERBOSE, COSTS OFF) SELECT id FROM ex_account WHERE annualrevenue < 1234567890123456.5;
EXPLAIN (VERBOSE, COSTS OFF) SELECT id FROM ex_account WHERE annualrevenue <> 1234567890123456.5;
EXPLAIN (COSTS OFF) SELECT id FROM ex_account WHERE annualrevenue < 'NaN' AND annualrevenue > '-Infinity';
EXPLAIN (COSTS OFF) SELECT id FROM ex_account WHERE annualrevenue = 'NaN';
EXPLAIN (COSTS OFF) SELECT id FROM ex_account WHERE numberofemployees <> 5 AND numberofemployees = ANY ('{3,1,2,1,NULL}');

-- dates and times
SET timezone = 'America/New_York';
EXPLAIN (COSTS OFF) SELECT id FROM ex_account WHERE createddate < '2025-06-01 00:00:00.5' AND createddate >= '2025-01-01 00:00:00.000001';
EXPLAIN (COSTS OFF) SELECT id FROM ex_account WHERE createddate = '2025-06-01 00:00:00.5';
EXPLAIN (COSTS OFF) SELECT id FROM ex_account WHERE createddate <> '2025-06-01 00:00:00.5';
EXPLAIN (COSTS OFF) SELECT id FROM ex_account WHERE createddate > '-infinity' AND createddate < '5000-01-01';
EXPLAIN (COSTS OFF) SELECT id FROM ex_account WHERE createddate > 'infinity';
EXPLAIN (COSTS OFF) SELECT id FROM ex_account WHERE createddate >= date '2025-01-01';
EXPLAIN (COSTS OFF) SELECT id FROM ex_invoice WHERE due >= '1699-12-31' AND due <> '2024-02-29' AND due < 'infinity';
EXPLAIN (COSTS OFF) SELECT id FROM ex_account WHERE systemmodstamp >= now() - interval '1 day';
RESET timezone;

-- booleans are never null
EXPLAIN (COSTS OFF) SELECT id FROM ex_account WHERE NOT isdeleted AND isdeleted IS NOT TRUE AND isdeleted IS NOT NULL;
EXPLAIN (COSTS OFF) SELECT id FROM ex_account WHERE isdeleted IS NULL;

-- AND inside OR has its parentheses; an OR with a local arm is local; an AND leaves its local part out
EXPLAIN (COSTS OFF) SELECT id FROM ex_account WHERE (numberofemployees = 1 AND NOT isdeleted) OR numberofemployees > 5;
EXPLAIN (COSTS OFF) SELECT id FROM ex_account WHERE numberofemployees = 1 OR reverse(name) = 'X';
EXPLAIN (VERBOSE, COSTS OFF) SELECT id FROM ex_account WHERE (numberofemployees = 1 AND reverse(name) = 'X') OR numberofemployees = 2;

-- volatile and foreign to SOQL
EXPLAIN (VERBOSE, COSTS OFF) SELECT id FROM ex_account WHERE annualrevenue > random() AND numberofemployees > length(name);

-- two columns of one field, whole rows, no column at all
CREATE FOREIGN TABLE ex_twice (a text OPTIONS (field 'Name'), b text OPTIONS (field 'NAME'), id text OPTIONS (field 'Id')) SERVER sf OPTIONS (object 'Account', rows '40');
EXPLAIN (COSTS OFF) SELECT * FROM ex_twice;
EXPLAIN (COSTS OFF) SELECT t FROM ex_twice t;
EXPLAIN (COSTS OFF) SELECT FROM ex_twice;

-- generic plans push the same clauses
PREPARE inc(timestamptz, text, text[]) AS SELECT id FROM ex_account WHERE systemmodstamp >= $1 AND name = $2 AND ownerid = ANY ($3);
SET plan_cache_mode = force_generic_plan;
EXPLAIN (VERBOSE, COSTS OFF) EXECUTE inc('2025-01-01Z', 'x', '{}');
\! $SANDBOXCTL mark
EXECUTE inc('2025-01-01Z', NULL, '{}');
EXECUTE inc('2025-01-01 00:00:00.25Z', 'nobody''s', '{005000000000001AAA,005A00000000001IAM,x}');
\! $SANDBOXCTL soql
RESET plan_cache_mode;

-- with ANALYZE: calls (PostgreSQL 18 counts rows in hundredths)
CREATE FUNCTION plan(query text) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE line text;
BEGIN
	FOR line IN EXECUTE 'EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF) ' || query LOOP
		RETURN NEXT replace(line, '.00 loops', ' loops');
	END LOOP;
END $$;
SELECT plan($$SELECT id FROM ex_account WHERE id = '001A000010khO8J'$$);
SELECT plan($$SELECT id FROM ex_account WHERE name = 'there is no such account'$$);

-- the planner takes one scan and a hash join, not a scan for each row
EXPLAIN (COSTS OFF) SELECT * FROM generate_series(1, 1000) g JOIN ex_account a ON a.numberofemployees = g;

-- the tables of options and operators
SELECT field, operator, class, soql FROM ampsf.pushdown() WHERE field LIKE '%text' ORDER BY 1, 2;
SELECT count(*) > 30 AS many, bool_and(description <> '') AS described FROM ampsf.options();

DROP FOREIGN TABLE ex_account, ex_invoice, ex_twice;
