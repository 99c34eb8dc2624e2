-- Several processes share the pages of one result: the same rows as in a copy, each page asked for once.
\set VERBOSITY terse
SET client_min_messages = warning;
SET timezone = 'Asia/Kolkata';
\! $SANDBOXCTL reset big:3000
\! $SANDBOXCTL bulk page-rows=150 > /dev/null
\c -
\set VERBOSITY terse
SET client_min_messages = warning;
SET timezone = 'Asia/Kolkata';

-- By default only what is long is read so.
CREATE FUNCTION shared(query text) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE plan jsonb;
BEGIN
	EXECUTE 'EXPLAIN (FORMAT json) ' || query INTO plan;
	RETURN (SELECT count(*) FROM jsonb_path_query(plan, 'strict $.**.Plan ? (@."Node Type" == "Foreign Scan" && @."Parallel Aware" == true)'))
		+ (SELECT count(*) FROM jsonb_path_query(plan, 'strict $.**.Plans[*] ? (@."Node Type" == "Foreign Scan" && @."Parallel Aware" == true)'));
END $$;
CREATE FOREIGN TABLE small (id text OPTIONS (field 'Id'), name text OPTIONS (field 'Name')) SERVER sf OPTIONS (object 'Contact', rows '90000');
CREATE FOREIGN TABLE large (id text OPTIONS (field 'Id'), name text OPTIONS (field 'Name'), accountid text OPTIONS (field 'AccountId', type 'reference'))
	SERVER sf OPTIONS (object 'Contact', rows '110000');
CREATE FOREIGN TABLE large_off (id text OPTIONS (field 'Id'), name text OPTIONS (field 'Name')) SERVER sf OPTIONS (object 'Contact', rows '110000', parallel 'false');
SELECT t, shared(format('SELECT count(lower(name)) FROM %I', t)) FROM unnest('{small,large,large_off}'::text[]) t;
-- not where all rows would have to pass through the leader, or where rows are written or locked
SELECT q, shared(q) FROM unnest('{TABLE large,
	SELECT name FROM large FOR UPDATE,
	UPDATE large SET name = lower(name),
	"SELECT count(*) FROM large",
	"SELECT count(lower(name)) FROM (SELECT name FROM large LIMIT 10) q",
	"SELECT count(lower(name)) FROM large WHERE id = ''0035g000000002vAAA''"}'::text[]) q;
ALTER SERVER sf OPTIONS (ADD parallel 'false');
SELECT shared('SELECT count(lower(name)) FROM large');
ALTER FOREIGN TABLE large OPTIONS (ADD parallel 'true');
SELECT shared('SELECT count(lower(name)) FROM large');
ALTER SERVER sf OPTIONS (DROP parallel);
SET ampsf.statement_call_limit = 1000;
SELECT shared('SELECT count(lower(name)) FROM large');
RESET ampsf.statement_call_limit;
ALTER FOREIGN TABLE large OPTIONS (ADD no_such_option 'x');
ALTER FOREIGN TABLE large OPTIONS (SET parallel 'perhaps');
-- nor where the fields take several statements
DO $$ BEGIN
	EXECUTE (SELECT format('CREATE FOREIGN TABLE wide (%s) SERVER sf OPTIONS (object ''Contact'', rows ''200000'')',
		string_agg(format('c%s text OPTIONS (field %L)', n, rpad('F' || n || '_', 55, 'x') || '__c'), ', ')) FROM generate_series(1, 1100) n);
END $$;
SELECT shared('SELECT count(w.c1 || w.c1000) FROM wide w') AS two_fields, shared('SELECT count(lower(w::text)) FROM wide w') AS all_fields;
DROP FOREIGN TABLE wide;

-- From here on everything is.
SET max_parallel_workers_per_gather = 0;
CREATE SCHEMA local;
CREATE TABLE local.contact AS TABLE crm.contact;
CREATE TABLE local.account AS TABLE crm.account;
RESET max_parallel_workers_per_gather;
SET max_parallel_workers_per_gather = 2; SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0; SET min_parallel_table_scan_size = 0;
ALTER SERVER sf OPTIONS (ADD call_cost '1');
ALTER FOREIGN TABLE crm.contact OPTIONS (ADD page_size '200');
CREATE FUNCTION compare(query text, OUT scans bigint, OUT rows bigint, OUT same boolean) LANGUAGE plpgsql AS $$
BEGIN
	PERFORM set_config('search_path', 'crm, public', true);
	scans := shared(query);
	EXECUTE 'CREATE TEMP TABLE got AS SELECT q::text AS r FROM (' || query || ') q';
	PERFORM set_config('search_path', 'local, public', true);
	EXECUTE 'CREATE TEMP TABLE wanted AS SELECT q::text AS r FROM (' || query || ') q';
	SELECT count(*) INTO rows FROM got;
	SELECT NOT EXISTS ((TABLE got EXCEPT ALL TABLE wanted) UNION ALL (TABLE wanted EXCEPT ALL TABLE got)) INTO same;
	DROP TABLE got, wanted;
END $$;
CREATE TABLE transports (n int, transport text);
INSERT INTO transports VALUES (1, 'rest'), (2, 'bulk'), (3, 'auto');
ALTER SERVER sf OPTIONS (ADD transport 'rest', ADD bulk_threshold '1000');
CREATE FUNCTION compare_all(query text, OUT transport text, OUT scans bigint, OUT rows bigint, OUT same boolean) RETURNS SETOF record LANGUAGE plpgsql AS $$
BEGIN
	FOR transport IN SELECT t.transport FROM transports t ORDER BY n LOOP
		EXECUTE format('ALTER SERVER sf OPTIONS (SET transport %L)', transport);
		SELECT c.* INTO scans, rows, same FROM compare(query) c;
		RETURN NEXT;
	END LOOP;
END $$;
-- the rows themselves, and partial aggregates
SELECT * FROM compare_all('SELECT * FROM contact');
SELECT * FROM compare_all('SELECT count(lower(lastname)), sum(length(name)), min(birthdate), max(lower(email)), count(DISTINCT accountid) FROM contact');
SELECT * FROM compare_all('SELECT createddate::date, length(lastname), count(lower(id)), sum(mailinglatitude) FROM contact GROUP BY 1, 2');
SELECT * FROM compare_all('SELECT DISTINCT length(lastname), birthdate FROM contact WHERE birthdate > date ''1960-01-01''');
SELECT * FROM compare_all('SELECT id, row_number() OVER (ORDER BY lower(lastname), id) FROM contact WHERE length(lastname) > 9');
-- none, one, and what fits into one page
SELECT * FROM compare_all('SELECT id, lower(name) FROM contact WHERE birthdate > date ''2999-12-31''');
SELECT * FROM compare_all('SELECT count(lower(name)) FROM contact WHERE birthdate > date ''2999-12-31''');
SELECT * FROM compare_all('SELECT count(lower(name)) FROM contact WHERE lastname LIKE ''Codd 1%''');
-- joins: one statement, two of them hashed together by all, with a table of here, along a nested loop
SELECT * FROM compare_all('SELECT count(lower(c.name)), max(lower(a.name)) FROM contact c JOIN account a ON a.id = c.accountid');
SELECT * FROM compare_all('SELECT count(*), count(DISTINCT c.id || d.id) FROM contact c JOIN contact d ON lower(c.lastname) = lower(d.lastname) AND c.birthdate + 1 > d.birthdate');
SELECT * FROM compare_all('SELECT count(*), sum(length(c.name) + t.n) FROM contact c LEFT JOIN public.transports t ON t.n = length(c.lastname) - 8');
SELECT * FROM compare_all('SELECT count(*) FROM contact c WHERE NOT EXISTS (SELECT FROM contact d WHERE lower(d.lastname) = upper(c.lastname))');
SELECT * FROM compare_all('SELECT n, (SELECT count(lower(name)) + 0 * n FROM contact) FROM generate_series(1, 2) n');
BEGIN;
SET LOCAL enable_material = off; SET LOCAL enable_hashjoin = off; SET LOCAL enable_mergejoin = off; SET LOCAL ampsf.enable_key_lookup = off;
SELECT * FROM compare_all('SELECT v.n, count(*), sum(length(c.name)) FROM (VALUES (1), (2), (3)) v (n) LEFT JOIN contact c ON length(c.lastname) > v.n + 7 GROUP BY 1');
COMMIT;
-- several scans side by side
SELECT * FROM compare_all('SELECT count(lower(name)), sum(k) FROM (SELECT name, 1 AS k FROM contact WHERE birthdate < date ''1970-01-01'' UNION ALL SELECT name, 2 FROM contact) u');
-- parameters, those of an earlier plan too; a list too long to be sent; now() and current_user are the leader's
CREATE TABLE born AS SELECT birthdate FROM local.contact;
SELECT * FROM compare_all('SELECT count(lower(name)) FROM contact WHERE birthdate > (SELECT min(birthdate) + 3000 FROM public.born) AND createddate < now()');
SELECT * FROM compare_all('SELECT count(lower(name)) FROM contact WHERE lastname = ANY ((SELECT array_agg(lastname || repeat('' '', 3000)) FROM (SELECT lastname FROM local.contact LIMIT 50) q)::text[] || ''Codd 10''::text)');
ALTER SERVER sf OPTIONS (SET transport 'rest');
SET plan_cache_mode = force_generic_plan;
PREPARE born_after AS SELECT count(lower(name)) FROM crm.contact WHERE birthdate > $1;
EXPLAIN (COSTS OFF) EXECUTE born_after('1970-01-01');
SELECT v, count(lower(name)) FROM local.contact, (VALUES (date '1950-01-01'), ('1970-01-01')) v (v) WHERE birthdate > v GROUP BY 1 ORDER BY 1;
EXECUTE born_after('1950-01-01');
EXECUTE born_after('1970-01-01');
EXECUTE born_after(NULL);
RESET plan_cache_mode;

-- Each page is asked for once, whoever asks.
\! $SANDBOXCTL mark
SELECT count(lower(name)) FROM crm.contact;
\! $SANDBOXCTL calls | grep -v token | sort | uniq -c | awk '$1 > 1 { print "twice: " $0 } END { print NR " calls" }'
\! $SANDBOXCTL mark
SET max_parallel_workers = 0;
SELECT count(lower(name)) FROM crm.contact;
RESET max_parallel_workers;
SET parallel_leader_participation = off;
SELECT count(lower(name)) FROM crm.contact;
RESET parallel_leader_participation;
\! $SANDBOXCTL calls | grep -v token | sort | uniq -c | awk '$1 != 2 { print "not twice: " $0 } END { print NR " calls" }'
CREATE FUNCTION spent(query text, OUT calls bigint, OUT launched bigint) LANGUAGE plpgsql AS $$
DECLARE plan jsonb;
BEGIN
	EXECUTE 'EXPLAIN (ANALYZE, FORMAT json) ' || query INTO plan;
	SELECT sum(v::bigint) INTO calls FROM jsonb_path_query(plan, 'strict $.**."API Calls"') v;
	SELECT sum(v::bigint) INTO launched FROM jsonb_path_query(plan, 'strict $.**."Workers Launched"') v;
END $$;
SELECT * FROM spent('SELECT count(lower(name)) FROM crm.contact');
SET parallel_leader_participation = off;
SELECT * FROM spent('SELECT count(lower(name)) FROM crm.contact');
RESET parallel_leader_participation;
ALTER SERVER sf OPTIONS (SET transport 'bulk');
SELECT * FROM spent('SELECT count(lower(name)) FROM crm.contact');
SET max_parallel_workers_per_gather = 0;
SELECT * FROM spent('SELECT count(lower(name)) FROM crm.contact');
SET max_parallel_workers_per_gather = 2;
-- a job's result is read as often as it is wanted, as by one process
SET enable_material = off;
SELECT * FROM spent('SELECT * FROM generate_series(1, 3) v LEFT JOIN LATERAL (SELECT count(c.id) FROM crm.contact c WHERE length(c.lastname) > 0) x ON v > 0');
RESET enable_material;
\! $SANDBOXCTL mark
SELECT count(lower(name)) FROM crm.contact;
\! $SANDBOXCTL calls | sed 's/ [0-9]*$//' | grep -v token | sort | uniq -c | sed 's/^ *//'
-- one login is for all
ALTER SERVER sf OPTIONS (SET transport 'rest');
SELECT count(lower(name)) FROM crm.contact;
SELECT ampsf.disconnect('sf') > 0 AS forgotten;
SET parallel_leader_participation = off;
\! $SANDBOXCTL mark
SELECT count(lower(name)) FROM crm.contact;
\! $SANDBOXCTL calls | grep -c token
RESET parallel_leader_participation;
ALTER SERVER sf OPTIONS (SET transport 'bulk');

-- An early end, a cursor, a function: right, and no job remains.
SELECT count(*) FROM (SELECT lower(name) FROM crm.contact LIMIT 10) q;
SELECT EXISTS (SELECT FROM crm.contact WHERE length(name) > 3);
BEGIN;
DECLARE c CURSOR FOR SELECT lower(name) FROM crm.contact;
MOVE 700 IN c;
CLOSE c;
COMMIT;
DO $$
DECLARE r record; n int := 0;
BEGIN
	FOR r IN SELECT lower(name) FROM crm.contact LOOP n := n + 1; END LOOP;
	RAISE WARNING '% rows', n;
END $$;
\! $SANDBOXCTL jobs

-- What goes wrong in one process ends all; in a block that catches it life goes on.
CREATE FOREIGN TABLE wrong (id text OPTIONS (field 'Id'), email date OPTIONS (field 'Email', type 'string')) SERVER sf OPTIONS (object 'Contact', page_size '200');
\set VERBOSITY sqlstate
SELECT max(email) FROM wrong;
SET parallel_leader_participation = off;
SELECT max(email) FROM wrong;
ALTER SERVER sf OPTIONS (SET transport 'rest');
SELECT max(email) FROM wrong;
RESET parallel_leader_participation;
SELECT max(email) FROM wrong;
\set VERBOSITY terse
ALTER SERVER sf OPTIONS (SET transport 'bulk');
DO $$
BEGIN
	FOR i IN 1..3 LOOP
		BEGIN
			PERFORM max(email) FROM wrong;
		EXCEPTION WHEN invalid_datetime_format THEN
			RAISE WARNING 'caught, % others', (SELECT count(lower(name)) FROM crm.contact);
		END;
	END LOOP;
END $$;
\! $SANDBOXCTL jobs
-- no user mapping: said before any worker starts
CREATE ROLE nobody_there;
GRANT USAGE ON SCHEMA crm TO nobody_there;
GRANT SELECT ON crm.contact TO nobody_there;
SET ROLE nobody_there;
\set VERBOSITY sqlstate
SELECT count(lower(name)) FROM crm.contact;
\set VERBOSITY terse
RESET ROLE;
-- in the name of a view's owner
CREATE VIEW seen AS SELECT name, birthdate FROM crm.contact;
GRANT SELECT ON seen TO nobody_there;
SET ROLE nobody_there;
SELECT count(lower(name)) FROM seen;
RESET ROLE;
DROP VIEW seen;
REVOKE ALL ON crm.contact FROM nobody_there;
REVOKE ALL ON SCHEMA crm FROM nobody_there;
DROP ROLE nobody_there;

-- Deleted rows; partitions; an object that Bulk does not know.
DELETE FROM crm.contact WHERE lastname LIKE 'Codd 1%';
CREATE FOREIGN TABLE with_deleted (id text OPTIONS (field 'Id'), name text OPTIONS (field 'Name'), isdeleted boolean OPTIONS (field 'IsDeleted'))
	SERVER sf OPTIONS (object 'Contact', include_deleted 'true', page_size '200');
ALTER SERVER sf OPTIONS (SET transport 'rest');
SELECT shared('SELECT count(lower(name)) FROM with_deleted'), (SELECT count(lower(name)) FROM with_deleted) = (SELECT count(*) FROM local.contact) AS all_of_them,
	(SELECT count(lower(name)) FROM with_deleted WHERE isdeleted) = (SELECT count(*) FROM local.contact WHERE lastname LIKE 'Codd 1%') AS deleted;
DELETE FROM local.contact WHERE lastname LIKE 'Codd 1%';
CREATE TABLE person (id text COLLATE "C", name text) PARTITION BY RANGE (id);
CREATE FOREIGN TABLE person_contact PARTITION OF person FOR VALUES FROM ('003') TO ('004') SERVER sf OPTIONS (object 'Contact', page_size '200');
CREATE FOREIGN TABLE person_account PARTITION OF person FOR VALUES FROM ('001') TO ('002') SERVER sf OPTIONS (object 'Account');
SELECT shared('SELECT count(lower(name)) FROM person'), count(lower(name)) = (SELECT count(*) FROM local.contact) + (SELECT count(*) FROM local.account) AS all_of_them FROM person;
SET enable_partitionwise_aggregate = on; SET enable_partitionwise_join = on;
SELECT shared('SELECT left(id, 3), count(lower(name)) FROM person GROUP BY 1');
SELECT count(lower(p.name)) = (SELECT count(*) FROM local.contact) + (SELECT count(*) FROM local.account) AS all_of_them FROM person p JOIN person q ON q.id = p.id AND lower(q.name) = lower(p.name);
RESET enable_partitionwise_aggregate; RESET enable_partitionwise_join;
\! $SANDBOXCTL bulk refuse=Contact > /dev/null
\c -
SET max_parallel_workers_per_gather = 2; SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0; SET min_parallel_table_scan_size = 0;
ALTER SERVER sf OPTIONS (SET transport 'auto');
\! $SANDBOXCTL mark
SELECT count(lower(name)) = (SELECT count(*) FROM local.contact) AS all_of_them FROM crm.contact;
\! $SANDBOXCTL calls | grep -v token | sort | uniq -c | awk '/jobs/ { print } $1 > 1 { print "twice: " $0 } END { print NR " calls" }'
\! $SANDBOXCTL bulk refuse= page-rows=50000 > /dev/null
