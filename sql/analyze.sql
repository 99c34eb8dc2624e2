-- Estimates: ANALYZE and what it may cost, columns that name a row, Salesforce's own estimate.
CREATE TABLE contact AS TABLE crm.contact;
ANALYZE contact;

-- a small table is read as a whole: its statistics are those of a copy
\! $SANDBOXCTL mark
ANALYZE crm.contact;
\! $SANDBOXCTL calls
SELECT reltuples, relpages > 0 AS pages FROM pg_class WHERE oid = 'crm.contact'::regclass;
SELECT attname, f.null_frac, f.n_distinct, f.avg_width, c.null_frac, c.n_distinct, c.avg_width
FROM pg_stats f FULL JOIN pg_stats c USING (attname)
WHERE f.schemaname = 'crm' AND f.tablename = 'contact' AND c.schemaname = 'public' AND c.tablename = 'contact'
	AND (f.null_frac, f.n_distinct, f.avg_width, f.most_common_vals::text, f.most_common_freqs, f.histogram_bounds::text)
	IS DISTINCT FROM (c.null_frac, c.n_distinct, c.avg_width, c.most_common_vals::text, c.most_common_freqs, c.histogram_bounds::text);
-- as is every type of column
ANALYZE crm.invoice__c;
SELECT attname, null_frac < 1 AS filled, n_distinct <> 0 AS distinct_known FROM pg_stats WHERE tablename = 'invoice__c' ORDER BY attname;
-- and a choice of its rows is kept where fewer are wanted
SET default_statistics_target = 1;
CREATE FOREIGN TABLE acc (id text OPTIONS (field 'Id'), name text, shown_twice text OPTIONS (field 'Name'), owner text OPTIONS (field 'Owner.Name'))
	SERVER sf OPTIONS (object 'Account');
ALTER TABLE acc DROP COLUMN name;
\! $SANDBOXCTL mark
ANALYZE acc;
\! $SANDBOXCTL soql
SELECT attname, null_frac, n_distinct FROM pg_stats WHERE tablename = 'acc';

-- deleted rows are counted where they are read; limits/recordCount does not know them
DELETE FROM crm.lead WHERE email LIKE 'a%';
CREATE FOREIGN TABLE leads (id text OPTIONS (field 'Id'), isdeleted boolean OPTIONS (field 'IsDeleted')) SERVER sf OPTIONS (object 'Lead', include_deleted 'true');
\! $SANDBOXCTL mark
ANALYZE leads;
\! $SANDBOXCTL calls
SELECT reltuples = (SELECT count(*) FROM leads) AS all_rows, reltuples > (SELECT count(*) FROM crm.lead) AS deleted_too FROM pg_class WHERE relname = 'leads';

-- a large one is looked at all over, at twenty calls or fewer
RESET default_statistics_target;
\! $SANDBOXCTL reset big:50000
\c -
CREATE TABLE big AS TABLE crm.contact;
SELECT count(*) FROM big;
\c -
\! $SANDBOXCTL mark
ANALYZE crm.contact;
\! $SANDBOXCTL calls | grep -v token | sort | uniq -c | sed 's/^ *//'
\! $SANDBOXCTL soql | grep -c 'LIMIT 1666'
SELECT reltuples FROM pg_class WHERE oid = 'crm.contact'::regclass;
-- from all tenths of the table, and no row twice
SELECT n_distinct FROM pg_stats WHERE schemaname = 'crm' AND tablename = 'contact' AND attname = 'id';
SELECT bool_and(n BETWEEN 3 AND 30) AS spread
FROM (SELECT (substr(bound, 5)::int - 1) / 5000 AS tenth, count(*) AS n
	FROM pg_stats, unnest(histogram_bounds::text::text[]) AS bound
	WHERE schemaname = 'crm' AND tablename = 'contact' AND attname = 'ext_id__c' GROUP BY 1) t
HAVING count(*) = 10;
ANALYZE big;
SELECT attname, f.n_distinct AS sample, c.n_distinct AS copy
FROM pg_stats f JOIN pg_stats c USING (attname)
WHERE f.schemaname = 'crm' AND f.tablename = 'contact' AND c.tablename = 'big' AND c.null_frac < 1
	AND (abs(f.null_frac - c.null_frac) > 0.01 OR abs(f.avg_width - c.avg_width) > 2 OR sign(f.n_distinct) <> sign(c.n_distinct)
		OR f.n_distinct / c.n_distinct NOT BETWEEN 0.7 AND 1.4);
-- fewer rows, fewer calls
SET default_statistics_target = 4;
\! $SANDBOXCTL mark
ANALYZE crm.contact;
\! $SANDBOXCTL soql | sed 's/SELECT.*FROM/SELECT ... FROM/'
-- short pages are taken as they come: none is turned
ALTER FOREIGN TABLE crm.contact OPTIONS (ADD page_size '200');
SET default_statistics_target = 100;
\! $SANDBOXCTL mark
ANALYZE crm.contact;
\! $SANDBOXCTL calls | sort | uniq -c | sed 's/^ *//'
ALTER FOREIGN TABLE crm.contact OPTIONS (DROP page_size);
-- an Id that cannot be sorted by: the first rows
ALTER FOREIGN TABLE crm.contact ALTER COLUMN id OPTIONS (ADD sortable 'false');
\! $SANDBOXCTL mark
ANALYZE crm.contact;
\! $SANDBOXCTL soql | sed 's/SELECT.*FROM/SELECT ... FROM/'
\! $SANDBOXCTL calls | wc -l
ALTER FOREIGN TABLE crm.contact ALTER COLUMN id OPTIONS (DROP sortable);
-- what was counted before is wrong by far: COUNT() decides
\! $SANDBOXCTL reset big:5000
SET default_statistics_target = 1;
ALTER FOREIGN TABLE crm.contact OPTIONS (ADD page_size '200');
\! $SANDBOXCTL mark
ANALYZE crm.contact;
\! $SANDBOXCTL soql | sed 's/SELECT.*FROM/SELECT ... FROM/'
SELECT reltuples FROM pg_class WHERE oid = 'crm.contact'::regclass;
-- or the rows themselves
\! $SANDBOXCTL reset demo
\! $SANDBOXCTL mark
ANALYZE crm.contact;
\! $SANDBOXCTL soql | sed 's/SELECT.*FROM/SELECT ... FROM/'
SELECT reltuples FROM pg_class WHERE oid = 'crm.contact'::regclass;
ALTER FOREIGN TABLE crm.contact OPTIONS (DROP page_size);
RESET default_statistics_target;
-- a table without rows
\! $SANDBOXCTL reset empty
\c -
ANALYZE crm.contact;
SELECT reltuples FROM pg_class WHERE oid = 'crm.contact'::regclass;
\! $SANDBOXCTL reset demo
\c -

-- what goes wrong goes wrong for ANALYZE
\set VERBOSITY terse
\! $SANDBOXCTL fault 'path=*/query;do=status;status=400;code=INVALID_FIELD;message=No such column'
ANALYZE crm.contact;
\! $SANDBOXCTL nofaults
CREATE FOREIGN TABLE wrong (id text OPTIONS (field 'Id'), name integer OPTIONS (field 'Name')) SERVER sf OPTIONS (object 'Account');
ANALYZE wrong;
SET statement_timeout = '300ms';
\! $SANDBOXCTL fault 'path=*/query;do=delay;ms=20000'
ANALYZE crm.contact;
RESET statement_timeout;
\! $SANDBOXCTL nofaults
-- it is read in the name of the table's owner, whoever says ANALYZE
CREATE ROLE no_mapping;
ALTER FOREIGN TABLE acc OWNER TO no_mapping;
DO $$ BEGIN ANALYZE acc; EXCEPTION WHEN undefined_object THEN RAISE NOTICE 'no user mapping'; END $$;
ALTER FOREIGN TABLE acc OWNER TO CURRENT_USER;
DROP ROLE no_mapping;

-- partitions: each gives rows by its share
CREATE TABLE record (id text COLLATE "C", name text) PARTITION BY RANGE (id);
CREATE FOREIGN TABLE record_contact PARTITION OF record FOR VALUES FROM ('003') TO ('004') SERVER sf OPTIONS (object 'Contact');
CREATE FOREIGN TABLE record_lead PARTITION OF record FOR VALUES FROM ('00Q') TO ('00R') SERVER sf OPTIONS (object 'Lead');
ANALYZE record;
SELECT tablename, attname, null_frac, n_distinct FROM pg_stats WHERE tablename ~ '^record(_|$)' ORDER BY tablename, attname;
SELECT relname, reltuples FROM pg_class WHERE relname ~ '^record(_|$)' ORDER BY relname;

-- without ANALYZE: a column that names a row gives one, in joins as well
\! $SANDBOXCTL reset big:20000
\c -
CREATE FUNCTION estimate(query text, OUT rows numeric, OUT calls numeric) LANGUAGE plpgsql AS $$
DECLARE plan json;
BEGIN
	EXECUTE 'EXPLAIN (VERBOSE, FORMAT json) ' || query INTO plan;
	rows := plan #>> '{0,Plan,Plan Rows}';
	calls := plan #>> '{0,Plan,Estimated API Calls}';
END $$;
CREATE FOREIGN TABLE c (id text OPTIONS (field 'Id'), accountid text OPTIONS (field 'AccountId', type 'reference'), lastname text OPTIONS (field 'LastName'),
	email text OPTIONS (field 'Email', type 'email'), ext text OPTIONS (field 'Ext_Id__c', unique 'true'), birthdate date OPTIONS (field 'Birthdate'),
	createddate timestamptz OPTIONS (field 'CreatedDate')) SERVER sf OPTIONS (object 'Contact', rows '20000');
CREATE FOREIGN TABLE a (id text OPTIONS (field 'Id'), name text OPTIONS (field 'Name')) SERVER sf OPTIONS (object 'Account', rows '100');
SELECT q, e.* FROM (VALUES
	('TABLE c'),
	('SELECT * FROM c WHERE id = ''0035g000000002vAAA'''),
	('SELECT * FROM c WHERE id IN (''0035g000000002vAAA'', ''0035g000000002wAAA'')'),
	('SELECT * FROM c WHERE ext = ''BIG-7'''),
	('SELECT * FROM c WHERE lastname = ''BIG-7'''),
	('SELECT * FROM c WHERE accountid = ''0015g000000002vAAA'''),
	('SELECT * FROM c WHERE length(lastname) > 7'),
	('SELECT * FROM c LIMIT 3000'),
	('SELECT count(*) FROM c'),
	('SELECT c.lastname, a.name FROM c JOIN a ON a.id = c.accountid')) q(q), estimate(q) e;

-- Salesforce's estimate, if it is asked for: one call for a statement, and no more than once
ALTER FOREIGN TABLE c OPTIONS (ADD use_remote_estimate 'true');
SELECT count(*) FROM c WHERE birthdate < '1945-01-01';
\! $SANDBOXCTL mark
SELECT q, e.* FROM (VALUES
	('TABLE c'),
	('SELECT * FROM c WHERE birthdate < ''1945-01-01'''),
	('SELECT * FROM c WHERE birthdate < ''1945-01-01'' AND length(lastname) > 7'),
	('SELECT * FROM c WHERE birthdate < date ''1945-01-01'' + 0 * (now() - now() < interval ''1'')::int'),
	('SELECT * FROM c WHERE birthdate < (SELECT date ''1945-01-01'') AND email = ''x'''),
	('SELECT * FROM c WHERE createddate::date = ''2024-01-05'''),
	('SELECT * FROM c WHERE lastname IN (''Codd 9'', ''Codd 10'')'),
	('SELECT * FROM c WHERE id = ''not an id''')) q(q), estimate(q) e;
\! $SANDBOXCTL calls
\! $SANDBOXCTL soql
-- it speaks for each value of a parameter while plans are custom
PREPARE born AS SELECT count(*) FROM c WHERE birthdate < $1;
\! $SANDBOXCTL mark
EXPLAIN (COSTS OFF) EXECUTE born('1950-01-01');
\! $SANDBOXCTL soql
-- where it says nothing, planning goes on
\! $SANDBOXCTL fault 'path=*/query;do=status;status=500;count=0'
SELECT * FROM estimate('SELECT * FROM c WHERE birthdate < ''1946-01-01''');
\! $SANDBOXCTL nofaults
\! $SANDBOXCTL mark
SELECT * FROM estimate('SELECT * FROM c WHERE birthdate < ''1946-01-01''');
-- by the server's option too, which the table's can turn off; never where deleted rows are read
ALTER SERVER sf OPTIONS (ADD use_remote_estimate 'true');
ALTER FOREIGN TABLE c OPTIONS (SET use_remote_estimate 'false');
SELECT * FROM estimate('SELECT * FROM c WHERE birthdate < ''1947-01-01''');
ALTER FOREIGN TABLE c OPTIONS (DROP use_remote_estimate, ADD include_deleted 'true');
SELECT * FROM estimate('SELECT * FROM c WHERE birthdate < ''1947-01-01''');
\! $SANDBOXCTL calls
ALTER FOREIGN TABLE c OPTIONS (DROP include_deleted);
SELECT * FROM estimate('SELECT * FROM c WHERE birthdate < ''1947-01-01''');
\! $SANDBOXCTL calls
