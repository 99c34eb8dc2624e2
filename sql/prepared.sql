-- Prepared statements, cursors and subtransactions: plans that outlive what they were made from, and scans that
-- outlive what was done beside them.
\set VERBOSITY terse
SET client_min_messages = warning;
CREATE TABLE account AS SELECT * FROM crm.account;
CREATE TABLE contact AS SELECT * FROM crm.contact;

-- The sixth execution has a generic plan, which sends the same conditions.
PREPARE by(text, numeric, boolean, timestamptz, text[]) AS SELECT count(name), md5(max(name COLLATE "C")) FROM crm.account
	WHERE (industry = $1 OR $1 IS NULL) AND annualrevenue >= $2 AND isdeleted = $3 AND createddate < $4 AND rating = ANY ($5);
PREPARE here(text, numeric, boolean, timestamptz, text[]) AS SELECT count(name), md5(max(name COLLATE "C")) FROM account
	WHERE (industry = $1 OR $1 IS NULL) AND annualrevenue >= $2 AND isdeleted = $3 AND createddate < $4 AND rating = ANY ($5);
SELECT array_agg(DISTINCT rating ORDER BY rating) AS ratings FROM account \gset
\! $SANDBOXCTL mark
EXECUTE by('Banking', 0, false, 'infinity', :'ratings');
EXECUTE by('Banking', 0, false, 'infinity', :'ratings');
EXECUTE by('Banking', 0, false, 'infinity', :'ratings');
EXECUTE by('Banking', 0, false, 'infinity', :'ratings');
EXECUTE by('Banking', 0, false, 'infinity', :'ratings');
EXECUTE by('Banking', 0, false, 'infinity', :'ratings');
\! $SANDBOXCTL soql | sort | uniq -c
EXECUTE here('Banking', 0, false, 'infinity', :'ratings');
SET plan_cache_mode = force_generic_plan;
EXPLAIN (COSTS OFF) EXECUTE by(NULL, 1000000, false, '2030-01-01', '{Hot}');
EXECUTE by(NULL, 1000000, false, '2030-01-01', '{Hot}');
EXECUTE here(NULL, 1000000, false, '2030-01-01', '{Hot}');
EXECUTE by(NULL, 1000000.5, false, '2030-01-01', '{Hot,NULL,Cold}');
EXECUTE here(NULL, 1000000.5, false, '2030-01-01', '{Hot,NULL,Cold}');
-- whatever is null asks nothing
\! $SANDBOXCTL mark
EXECUTE by('Banking', NULL, false, 'infinity', :'ratings');
EXECUTE by('Banking', 0, NULL, 'infinity', :'ratings');
EXECUTE by('Banking', 0, false, NULL, :'ratings');
EXECUTE by('Banking', 0, false, 'infinity', NULL);
EXECUTE by('Banking', 0, false, 'infinity', '{}');
EXECUTE by('Banking', 0, false, '-infinity', :'ratings');
\! $SANDBOXCTL soql
-- LIMIT and OFFSET as parameters
PREPARE page(bigint, bigint) AS SELECT name FROM crm.account ORDER BY createddate, id COLLATE "C" LIMIT $1 OFFSET $2;
PREPARE first(bigint) AS SELECT createddate FROM crm.account ORDER BY createddate LIMIT $1;
EXPLAIN (VERBOSE, COSTS OFF) EXECUTE first(3);
EXECUTE first(2);
EXECUTE first(0);
EXECUTE first(-1);
SELECT count(*) FROM account;
CREATE TABLE all_rows AS EXECUTE first(NULL);
SELECT count(*) FROM all_rows;
RESET plan_cache_mode;

-- Options that change under a prepared statement: of the column, the table, the server.
CREATE FOREIGN TABLE t (id text OPTIONS (field 'Id'), name text OPTIONS (field 'Name'), label text OPTIONS (field 'Name'))
	SERVER sf OPTIONS (object 'Account');
PREPARE labels AS SELECT count(label), min(label COLLATE "C") FROM t WHERE name = 'Acme';
EXECUTE labels;
ALTER FOREIGN TABLE t ALTER label OPTIONS (SET field 'Phone');
EXECUTE labels;
ALTER FOREIGN TABLE t ALTER name OPTIONS (ADD filterable 'false');
EXPLAIN (VERBOSE, COSTS OFF) EXECUTE labels;
EXECUTE labels;
ALTER FOREIGN TABLE t OPTIONS (SET object 'Contact');
EXECUTE labels;
ALTER FOREIGN TABLE t ALTER label OPTIONS (SET field 'No_Such_Field__c');
EXECUTE labels;
ALTER FOREIGN TABLE t ALTER label OPTIONS (SET field 'Name');
ALTER SERVER sf OPTIONS (ADD api_version '61.0');
\! $SANDBOXCTL mark
EXECUTE labels;
\! $SANDBOXCTL calls | sed 's/?.*//' | tail -1
ALTER SERVER sf OPTIONS (DROP api_version);
ALTER FOREIGN TABLE t ALTER label TYPE varchar(3);
EXECUTE labels;

-- Conversion errors name column, row and field, and leave the session usable.
CREATE FOREIGN TABLE wrong (id text OPTIONS (field 'Id'), name int OPTIONS (field 'Name', type 'string')) SERVER sf OPTIONS (object 'Account');
\set VERBOSITY default
SELECT * FROM wrong ORDER BY id LIMIT 1;
\set VERBOSITY terse
SELECT count(*) FROM wrong;

-- Subtransactions: an error rolls back to its savepoint, and scans that began before it go on.
BEGIN;
DECLARE c CURSOR FOR SELECT name FROM crm.contact ORDER BY id COLLATE "C";
FETCH 2 FROM c;
SAVEPOINT s;
SELECT sum(name) FROM wrong;
ROLLBACK TO s;
FETCH 1 FROM c;
SAVEPOINT s2;
DECLARE d CURSOR FOR SELECT name FROM crm.account ORDER BY id COLLATE "C";
FETCH 1 FROM d;
ROLLBACK TO s2;
FETCH 1 FROM d;
ROLLBACK TO s2;
FETCH 1 FROM c;
COMMIT;
CREATE FUNCTION tolerant() RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE r record;
BEGIN
	FOR r IN SELECT id, name FROM crm.account WHERE name = 'Acme' LOOP
		BEGIN
			PERFORM name FROM wrong WHERE id = r.id;
			RETURN NEXT 'read';
		EXCEPTION WHEN invalid_text_representation THEN
			RETURN NEXT 'caught for ' || r.name;
		END;
	END LOOP;
END $$;
SELECT tolerant();

-- Cursors: held over the commit, scrolled, moved, read to the end and begun again, several at a time.
BEGIN;
DECLARE h CURSOR WITH HOLD FOR SELECT name FROM crm.contact WHERE accountid IS NOT NULL ORDER BY id COLLATE "C";
FETCH 1 FROM h;
COMMIT;
FETCH 1 FROM h;
CLOSE h;
BEGIN;
DECLARE s SCROLL CURSOR FOR SELECT name FROM crm.contact ORDER BY id COLLATE "C";
DECLARE k CURSOR FOR SELECT a.name FROM crm.account a WHERE a.parentid IS NULL ORDER BY id COLLATE "C";
FETCH 1 FROM s;
FETCH 1 FROM k;
MOVE 100 IN s;
FETCH 1 FROM s;
FETCH 1 FROM k;
FETCH PRIOR FROM s;
FETCH ABSOLUTE 1 FROM s;
MOVE LAST IN s;
FETCH NEXT FROM s;
FETCH BACKWARD 1 FROM k;
ROLLBACK;
-- a loop in PL/pgSQL that is left early
DO $$
DECLARE r record; n int := 0;
BEGIN
	FOR r IN SELECT id FROM crm.contact LOOP
		n := n + 1;
		EXIT WHEN n = 3;
	END LOOP;
	RAISE WARNING '% rows', n;
END $$;

-- Rescans: the same parameter, another one, none.
SELECT v, (SELECT count(*) FROM crm.contact c WHERE c.accountid = v) = (SELECT count(*) FROM contact c WHERE c.accountid = v) AS same
	FROM (SELECT id FROM account ORDER BY id COLLATE "C" LIMIT 3) a (v), generate_series(1, 2) ORDER BY v COLLATE "C";
SELECT count(*) FROM account a, LATERAL (SELECT 1 FROM crm.contact c WHERE c.accountid = a.id AND c.lastname > 'M' LIMIT 1) q;
SELECT count(*) FROM account a, LATERAL (SELECT 1 FROM contact c WHERE c.accountid = a.id AND c.lastname > 'M' LIMIT 1) q;
WITH RECURSIVE up (id, parentid, level) AS (
	SELECT id, parentid, 0 FROM crm.account WHERE parentid IS NOT NULL
	UNION ALL SELECT a.id, a.parentid, level + 1 FROM up JOIN crm.account a ON a.id = up.parentid)
SELECT level, count(*) FROM up GROUP BY level ORDER BY level;

-- Collations: the order and the equality are PostgreSQL's.
CREATE COLLATION nocase (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
CREATE FOREIGN TABLE collated (id text OPTIONS (field 'Id'), name text OPTIONS (field 'Name') COLLATE nocase, c text OPTIONS (field 'Name') COLLATE "C",
	key text OPTIONS (field 'AccountNumber', case_sensitive 'true') COLLATE nocase) SERVER sf OPTIONS (object 'Account');
EXPLAIN (VERBOSE, COSTS OFF) SELECT id FROM collated WHERE name = 'ACME' AND c = 'ACME' AND key = 'a' AND id = 'x' COLLATE nocase;
SELECT count(*) FROM collated WHERE name = 'ACME';
SELECT count(*) FROM account WHERE lower(name) = 'acme';
SELECT count(*) FROM collated WHERE c = 'ACME';
SELECT c FROM collated WHERE c < 'Account 002' ORDER BY c LIMIT 2;
SELECT max(c) = (SELECT max(name COLLATE "C") FROM account) AS same FROM collated;
-- A filter that may be left out: what is sent depends on the value.
SET plan_cache_mode = force_generic_plan;
PREPARE maybe(text, text, boolean) AS SELECT count(*) FROM crm.account WHERE ($1 IS NULL OR parentid = $1) AND (rating = $2 OR $2 IS NULL) AND (isdeleted = $3 OR NOT coalesce($3, false));
EXPLAIN (COSTS OFF) EXECUTE maybe(NULL, NULL, NULL);
\! $SANDBOXCTL mark
EXECUTE maybe(NULL, NULL, NULL);
EXECUTE maybe('0015g0000000001AAA', NULL, false);
EXECUTE maybe(NULL, 'Hot', true);
\! $SANDBOXCTL soql
SELECT count(*), count(*) FILTER (WHERE parentid = '0015g0000000001AAA'), count(*) FILTER (WHERE rating = 'Hot' AND isdeleted) FROM account;
RESET plan_cache_mode;
