-- Aggregates, groups and DISTINCT: every answer is compared with PostgreSQL's own over a local copy of the rows.
\set VERBOSITY terse
SET client_min_messages = warning;

CREATE SCHEMA copy;
CREATE TABLE copy.account AS TABLE crm.account;
CREATE TABLE copy.contact AS TABLE crm.contact;
CREATE TABLE copy.opportunity AS TABLE crm.opportunity;

-- The rows of a query here and there ($ is the schema), in any order; and where the grouping was done.
CREATE FUNCTION compared(query text, OUT same boolean, OUT n bigint, OUT soql text) LANGUAGE plpgsql AS $$
DECLARE line text; r text; l text;
BEGIN
	EXECUTE format('SELECT string_agg(t::text, E''\n'' ORDER BY t::text), count(*) FROM (%s) t', replace(query, '$', 'crm')) INTO r, n;
	EXECUTE format('SELECT string_agg(t::text, E''\n'' ORDER BY t::text) FROM (%s) t', replace(query, '$', 'copy')) INTO l;
	same := r IS NOT DISTINCT FROM l;
	FOR line IN EXECUTE 'EXPLAIN (COSTS OFF) ' || replace(query, '$', 'crm') LOOP
		IF line ~ 'SOQL: ' AND soql IS NULL THEN soql := replace(regexp_replace(line, '^.*SOQL: ', ''), '(InitPlan 1).col1', '$0'); END IF;
	END LOOP;
END $$;

-- keys of each kind
SELECT c.* FROM (VALUES
	($$SELECT accountid, count(*) FROM $.opportunity GROUP BY accountid$$),
	($$SELECT isclosed, iswon, count(*), count(accountid), count(amount), count(description) FROM $.opportunity GROUP BY 1, 2$$),
	($$SELECT closedate, count(*) FROM $.opportunity GROUP BY closedate$$),
	($$SELECT numberofemployees, min(createddate), max(systemmodstamp) FROM $.account GROUP BY numberofemployees$$),
	($$SELECT fiscalyear, min(closedate), max(closedate), count(DISTINCT accountid), count(DISTINCT closedate) FROM $.opportunity GROUP BY fiscalyear$$),
	-- nulls are a group
	($$SELECT parentid, count(*), count(parentid) FROM $.account GROUP BY parentid$$),
	($$SELECT parentid, count(*), max(numberofemployees), min(createddate) FROM $.account WHERE parentid IS NULL GROUP BY parentid$$),
	-- text without case, numbers with fractions, datetimes, Ids: not there
	($$SELECT industry, count(*) FROM $.account GROUP BY industry$$),
	($$SELECT stagename, isclosed, count(*) FROM $.opportunity GROUP BY 1, 2$$),
	($$SELECT amount, count(*) FROM $.opportunity GROUP BY amount$$),
	($$SELECT createddate, count(*) FROM $.opportunity GROUP BY createddate$$),
	($$SELECT id, count(*) FROM $.opportunity GROUP BY id$$),
	($$SELECT date_trunc('year', closedate), count(*) FROM $.opportunity GROUP BY 1$$),
	-- and aggregates that are not
	($$SELECT accountid, count(DISTINCT stagename), max(amount), sum(amount), avg(probability) FROM $.opportunity GROUP BY accountid$$),
	($$SELECT accountid, max(name COLLATE "C"), bool_and(isclosed), array_agg(closedate ORDER BY closedate) FROM $.opportunity GROUP BY accountid$$),
	($$SELECT accountid, count(*) FILTER (WHERE isclosed) FROM $.opportunity GROUP BY accountid$$),
	($$SELECT isclosed, count(isclosed), max(isclosed::int) FROM $.opportunity GROUP BY isclosed$$),
	($$SELECT isclosed, percentile_disc(0.5) WITHIN GROUP (ORDER BY closedate) FROM $.opportunity GROUP BY isclosed$$),
	($$SELECT isclosed, iswon, count(*), grouping(isclosed) FROM $.opportunity GROUP BY ROLLUP (isclosed, iswon)$$),
	($$SELECT isclosed, count(*) FROM $.opportunity GROUP BY GROUPING SETS ((isclosed), ())$$),
	($$SELECT count(*) FROM $.opportunity GROUP BY ()$$),
	-- conditions
	($$SELECT isclosed, count(*) FROM $.opportunity WHERE closedate > '2024-06-01' GROUP BY isclosed$$),
	($$SELECT isclosed, count(*) FROM $.opportunity WHERE closedate IN ('2024-07-07', '2026-09-09', '4000-12-31') GROUP BY isclosed$$),
	($$SELECT isclosed, count(*) FROM $.opportunity WHERE accountid <> ALL ('{0015g0000000001AAA,0015g0000000002AAA}') GROUP BY isclosed$$),
	($$SELECT isclosed, count(*) FROM $.opportunity WHERE stagename = 'Prospecting' GROUP BY isclosed$$),
	($$SELECT isclosed, count(*) FROM $.opportunity WHERE closedate > 'infinity' GROUP BY isclosed$$),
	($$SELECT isclosed, count(*) FROM $.opportunity WHERE closedate < '1600-01-01' GROUP BY isclosed$$),
	($$SELECT isclosed, count(*) FROM $.opportunity WHERE closedate > NULL GROUP BY isclosed$$),
	($$SELECT isclosed, count(*) FROM $.opportunity WHERE false GROUP BY isclosed$$),
	($$SELECT isclosed, count(*) FROM $.opportunity WHERE amount > 1e300 GROUP BY isclosed$$)) v(q), compared(q) c;

-- target lists, and keys that nothing shows
SELECT c.* FROM (VALUES
	($$SELECT count(*) * 2 + 1, isclosed::text || '!', now() > '2020-01-01' FROM $.opportunity GROUP BY isclosed$$),
	($$SELECT 1 AS one FROM $.opportunity GROUP BY isclosed$$),
	($$SELECT count(*) FROM $.opportunity GROUP BY isclosed, iswon$$),
	($$SELECT FROM $.opportunity GROUP BY closedate$$),
	($$SELECT 'x' AS x, isclosed, count(*) FROM $.opportunity GROUP BY 1, 2$$),
	($$SELECT 'x' AS x, count(*) FROM $.opportunity GROUP BY 1$$),
	($$SELECT 'x' AS x, count(*) FROM $.opportunity WHERE amount > 1e300 GROUP BY 1$$),
	($$SELECT isclosed, isclosed AS again, count(*), count(*) AS more, count(1) FROM $.opportunity GROUP BY 1, 2$$),
	($$SELECT isclosed, count(NULL) FROM $.opportunity GROUP BY 1$$),
	($$SELECT accountid, min(DISTINCT closedate), max(DISTINCT closedate) FROM $.opportunity GROUP BY 1$$),
	($$SELECT accountid, count(*) FROM $.opportunity WHERE accountid = '0015g0000000001AAA' GROUP BY 1$$),
	($$SELECT isclosed, count(*) FROM $.opportunity WHERE accountid = '0015g0000000001AAA' GROUP BY accountid, isclosed$$),
	($$SELECT isclosed, count(*), generate_series(1, 2) FROM $.opportunity GROUP BY 1$$),
	($$SELECT isclosed, count(*), (SELECT count(*) FROM $.account a WHERE a.isdeleted <> o.isclosed) FROM $.opportunity o GROUP BY isclosed$$),
	($$SELECT isclosed, count(*), sum(count(*)) OVER (), rank() OVER (ORDER BY count(*) DESC) FROM $.opportunity GROUP BY 1$$),
	($$SELECT id, (SELECT count(*) FROM $.opportunity o WHERE o.accountid = a.id) FROM $.account a$$),
	($$SELECT id, (SELECT max(closedate) FROM $.opportunity o WHERE o.accountid = a.id AND isclosed HAVING count(*) > 1) FROM $.account a$$),
	($$SELECT (SELECT count(o.accountid)) FROM $.opportunity o GROUP BY isclosed$$),
	($$SELECT * FROM $.account a, LATERAL (SELECT accountid, count(*) AS n FROM $.opportunity o WHERE accountid = a.id GROUP BY 1) x$$)) v(q), compared(q) c;

-- HAVING
SELECT c.* FROM (VALUES
	($$SELECT accountid, count(*) FROM $.opportunity GROUP BY 1 HAVING count(*) > 1$$),
	($$SELECT accountid FROM $.opportunity GROUP BY 1 HAVING count(*) BETWEEN 1 AND 3 AND max(closedate) >= '2025-01-01'$$),
	($$SELECT accountid FROM $.opportunity GROUP BY 1 HAVING max(closedate) = '4000-12-31' OR count(*) = 8$$),
	($$SELECT accountid, count(*) FROM $.opportunity GROUP BY 1 HAVING max(closedate) > 'infinity'$$),
	($$SELECT accountid, count(*) FROM $.opportunity GROUP BY 1 HAVING max(closedate) < 'infinity'$$),
	($$SELECT accountid, count(*) FROM $.opportunity GROUP BY 1 HAVING count(*) > NULL$$),
	($$SELECT accountid, count(*) FROM $.opportunity GROUP BY 1 HAVING count(*) <> 2$$),
	($$SELECT accountid, count(*) FROM $.opportunity GROUP BY 1 HAVING count(*) IN (1, 8)$$),
	($$SELECT accountid, count(*) FROM $.opportunity GROUP BY 1 HAVING count(*) > 1.5$$),
	($$SELECT accountid, count(*) FROM $.opportunity GROUP BY 1 HAVING 2 > count(*)$$),
	($$SELECT accountid, count(*) FROM $.opportunity GROUP BY 1 HAVING count(*) % 2 = 0$$),
	($$SELECT accountid, count(*) FROM $.opportunity GROUP BY 1 HAVING sum(amount) > 1000$$),
	($$SELECT accountid, count(*) FROM $.opportunity GROUP BY 1 HAVING accountid IS NULL OR count(*) = 2$$),
	($$SELECT accountid, count(*) FROM $.opportunity GROUP BY 1 HAVING accountid IS NULL$$),
	($$SELECT accountid, count(*) FROM $.opportunity GROUP BY 1 HAVING count(*) > (SELECT count(*) / 60 FROM $.opportunity)$$),
	($$SELECT accountid, count(*) FROM $.opportunity GROUP BY 1 HAVING exists (SELECT FROM $.account a WHERE a.id = accountid AND a.isdeleted)$$),
	($$SELECT accountid, count(*) FROM $.opportunity GROUP BY 1 HAVING false$$),
	($$SELECT parentid, min(numberofemployees) FROM $.account GROUP BY 1 HAVING min(numberofemployees) > -5$$),
	($$SELECT parentid, min(numberofemployees) FROM $.account GROUP BY 1 HAVING min(numberofemployees) < 12345678901234567890$$),
	($$SELECT parentid, count(*) FROM $.account GROUP BY 1 HAVING max(createddate) > '2024-01-14 00:00:00.5+00'$$),
	($$SELECT parentid, count(*) FROM $.account GROUP BY 1 HAVING max(numberofemployees) IS NULL$$),
	($$SELECT count(*) FROM $.opportunity HAVING count(*) > 5$$),
	($$SELECT count(*) FROM $.opportunity HAVING count(*) < 5$$),
	($$SELECT 1 AS one FROM $.opportunity HAVING max(closedate) > '2020-01-01'$$),
	($$SELECT max(closedate) FROM $.opportunity WHERE amount > 1e300 HAVING count(*) = 0$$),
	($$SELECT count(*) FROM $.opportunity HAVING false$$)) v(q), compared(q) c;

-- FILTER, where all aggregates have the same
SELECT c.* FROM (VALUES
	($$SELECT count(*) FILTER (WHERE isclosed), max(closedate) FILTER (WHERE isclosed) FROM $.opportunity$$),
	($$SELECT count(*) FILTER (WHERE closedate > '2025-01-01') FROM $.opportunity WHERE isclosed$$),
	($$SELECT count(*) FILTER (WHERE amount > 1e300) FROM $.opportunity$$),
	($$SELECT count(*) FILTER (WHERE false) FROM $.opportunity$$),
	($$SELECT count(*) FILTER (WHERE NULL) FROM $.opportunity$$),
	($$SELECT count(*) FILTER (WHERE stagename = 'Prospecting') FROM $.opportunity$$),
	($$SELECT count(*) FILTER (WHERE isclosed), count(*) FROM $.opportunity$$),
	($$SELECT count(*), count(*) FILTER (WHERE isclosed) FROM $.opportunity$$),
	($$SELECT count(*) FILTER (WHERE isclosed), count(*) FILTER (WHERE NOT isclosed) FROM $.opportunity$$)) v(q), compared(q) c;

-- DISTINCT
SELECT c.* FROM (VALUES
	($$SELECT DISTINCT accountid FROM $.opportunity$$),
	($$SELECT DISTINCT accountid, isclosed FROM $.opportunity WHERE closedate > '2024-01-01'$$),
	($$SELECT DISTINCT isclosed, 'x' AS x, iswon, isclosed AS again FROM $.opportunity$$),
	($$SELECT DISTINCT stagename FROM $.opportunity$$),
	($$SELECT DISTINCT isclosed, NOT isclosed FROM $.opportunity$$),
	($$SELECT DISTINCT 'x' AS x FROM $.opportunity$$),
	($$SELECT DISTINCT accountid FROM $.opportunity WHERE accountid = '0015g0000000001AAA'$$),
	($$SELECT DISTINCT ON (isclosed) isclosed, closedate FROM $.opportunity ORDER BY isclosed, closedate$$),
	($$SELECT DISTINCT count(*) FROM $.opportunity GROUP BY accountid$$),
	($$SELECT DISTINCT isclosed, count(*) OVER (PARTITION BY isclosed) FROM $.opportunity$$),
	($$SELECT count(*) FROM (SELECT DISTINCT accountid, closedate FROM $.opportunity) d$$),
	($$SELECT accountid FROM $.opportunity UNION SELECT accountid FROM $.contact$$),
	($$SELECT accountid FROM $.opportunity GROUP BY 1 INTERSECT SELECT accountid FROM $.contact GROUP BY 1$$),
	($$SELECT isclosed, count(*) FROM $.opportunity GROUP BY 1 UNION ALL SELECT isdeleted, count(*) FROM $.account GROUP BY 1$$),
	($$WITH g AS MATERIALIZED (SELECT accountid, count(*) AS n FROM $.opportunity GROUP BY 1) SELECT count(*), sum(n), (SELECT max(n) FROM g) FROM g$$),
	($$SELECT a.id, g.n FROM $.account a LEFT JOIN (SELECT accountid, count(*) AS n FROM $.opportunity GROUP BY 1) g ON g.accountid = a.id$$),
	($$SELECT count(*) FROM (SELECT id FROM $.opportunity LIMIT 7) x$$),
	($$SELECT isclosed IS NULL, count(*) FROM (SELECT isclosed FROM $.opportunity ORDER BY id COLLATE "C" OFFSET 100) x GROUP BY 1$$)) v(q), compared(q) c;

-- over joins along lookups, semi- and anti-joins
SELECT c.* FROM (VALUES
	($$SELECT a.ownerid, count(*) FROM $.opportunity o JOIN $.account a ON a.id = o.accountid GROUP BY 1$$),
	($$SELECT a.ownerid, count(*) FROM $.opportunity o LEFT JOIN $.account a ON a.id = o.accountid GROUP BY 1$$),
	($$SELECT a.id, count(*), max(o.closedate) FROM $.opportunity o JOIN $.account a ON a.id = o.accountid GROUP BY 1$$),
	($$SELECT a.id, count(a.id), count(*) FROM $.opportunity o LEFT JOIN $.account a ON a.id = o.accountid GROUP BY 1$$),
	($$SELECT a.isdeleted, count(*) FROM $.opportunity o JOIN $.account a ON a.id = o.accountid GROUP BY 1$$),
	($$SELECT a.isdeleted, count(*) FROM $.opportunity o LEFT JOIN $.account a ON a.id = o.accountid GROUP BY 1$$),
	($$SELECT a.numberofemployees, o.isclosed, count(*) FROM $.opportunity o JOIN $.account a ON a.id = o.accountid WHERE a.numberofemployees > 10 GROUP BY 1, 2$$),
	($$SELECT count(*), count(a.id), count(DISTINCT a.id) FROM $.opportunity o JOIN $.account a ON a.id = o.accountid$$),
	($$SELECT count(*), count(a.id) FROM $.opportunity o LEFT JOIN $.account a ON a.id = o.accountid$$),
	($$SELECT max(a.createddate) FROM $.opportunity o JOIN $.account a ON a.id = o.accountid$$),
	($$SELECT count(*) FROM $.contact WHERE accountid IN (SELECT id FROM $.account WHERE numberofemployees > 100)$$),
	($$SELECT count(*) FROM $.account WHERE id IN (SELECT accountid FROM $.opportunity WHERE isclosed)$$),
	($$SELECT parentid, count(*) FROM $.account a WHERE NOT EXISTS (SELECT FROM $.opportunity o WHERE o.accountid = a.id AND isclosed) GROUP BY 1$$),
	($$SELECT isclosed, count(*) FROM $.opportunity o WHERE EXISTS (SELECT FROM $.account a WHERE o.accountid = a.id AND numberofemployees > 100) GROUP BY 1$$)) v(q), compared(q) c;

-- parameters, generic plans, rescans
PREPARE p(text, date, bigint) AS SELECT isclosed, count(*) FROM crm.opportunity WHERE accountid = $1 OR closedate > $2 GROUP BY 1 HAVING count(*) > $3 ORDER BY 1;
PREPARE l(text, date, bigint) AS SELECT isclosed, count(*) FROM copy.opportunity WHERE accountid = $1 OR closedate > $2 GROUP BY 1 HAVING count(*) > $3 ORDER BY 1;
SET plan_cache_mode = force_generic_plan;
EXPLAIN (COSTS OFF) EXECUTE p('0015g0000000001AAA', '2025-01-01', 1);
EXECUTE p('0015g0000000001AAA', '2025-01-01', 1);
EXECUTE l('0015g0000000001AAA', '2025-01-01', 1);
EXECUTE p('0015g0000000001AAA', '2025-01-01', 40);
EXECUTE p(NULL, 'infinity', 0);
EXECUTE p(NULL, NULL, NULL);
RESET plan_cache_mode;
\! $SANDBOXCTL mark
SELECT g, (SELECT string_agg(isclosed || ':' || n, ' ' ORDER BY isclosed) FROM (SELECT isclosed, count(*) AS n FROM crm.opportunity WHERE fiscalyear > 2023 + g % 2 GROUP BY isclosed) x) FROM generate_series(1, 4) g;
\! $SANDBOXCTL soql
BEGIN;
DECLARE c SCROLL CURSOR FOR SELECT isclosed, count(*) FROM crm.opportunity GROUP BY isclosed ORDER BY isclosed;
FETCH ALL IN c;
FETCH BACKWARD 1 IN c;
COMMIT;

-- one call for a count
\! $SANDBOXCTL mark
SELECT count(*) FROM crm.opportunity;
SELECT count(*) FROM crm.contact c JOIN crm.account a ON a.id = c.accountid WHERE a.numberofemployees > 100;
SELECT count(*) FROM crm.contact WHERE accountid IN (SELECT id FROM crm.account WHERE numberofemployees > 100);
\! $SANDBOXCTL calls
\! $SANDBOXCTL soql

-- sum and avg, if the table says so
SELECT compared($$SELECT isclosed, sum(amount), avg(amount), sum(fiscalyear) FROM $.opportunity GROUP BY 1$$);
ALTER FOREIGN TABLE crm.opportunity OPTIONS (ADD remote_sum 'on');
EXPLAIN (VERBOSE, COSTS OFF) SELECT isclosed, sum(amount), avg(amount), sum(fiscalyear), avg(fiscalyear) FROM crm.opportunity GROUP BY 1 HAVING sum(amount) > 100;
SELECT isclosed, pg_typeof(r.s) AS s, pg_typeof(r.a) AS a, pg_typeof(r.y) AS y, pg_typeof(r.z) AS z,
	abs(r.s - l.s) < 0.01 AS sums, abs(r.a - l.a) < 0.01 AS averages, r.y = l.y AS years, abs(r.z - l.z) < 0.01 AS average_years
FROM (SELECT isclosed, sum(amount) AS s, avg(amount) AS a, sum(fiscalyear) AS y, avg(fiscalyear) AS z FROM crm.opportunity GROUP BY 1) r
	JOIN (SELECT isclosed, sum(amount) AS s, avg(amount) AS a, sum(fiscalyear) AS y, avg(fiscalyear) AS z FROM copy.opportunity GROUP BY 1) l USING (isclosed) ORDER BY 1;
SELECT sum(amount), avg(amount), sum(fiscalyear), avg(fiscalyear), count(*) FROM crm.opportunity WHERE amount > 1e300;
SELECT sum(amount), sum(fiscalyear), count(*) FROM crm.opportunity WHERE closedate > 'infinity';
SELECT compared($$SELECT sum(DISTINCT fiscalyear) FROM $.opportunity$$);
EXPLAIN (COSTS OFF) SELECT accountid, sum(amount) FROM crm.opportunity GROUP BY 1 ORDER BY 2 DESC LIMIT 3;
ALTER FOREIGN TABLE crm.opportunity OPTIONS (SET remote_sum 'maybe');
ALTER FOREIGN TABLE crm.opportunity OPTIONS (DROP remote_sum);

-- columns that show a field otherwise than it is
CREATE FOREIGN TABLE odd (year text OPTIONS (field 'FiscalYear', type 'int'), short smallint OPTIONS (field 'FiscalQuarter'), real real OPTIONS (field 'FiscalYear', type 'int'),
	account varchar(18) OPTIONS (field 'AccountId', type 'reference'), padded char(20) OPTIONS (field 'AccountId', type 'reference'),
	stage text OPTIONS (field 'StageName', case_sensitive 'true'), day text OPTIONS (field 'CloseDate', type 'date'), closed boolean OPTIONS (field 'IsClosed', groupable 'false'))
	SERVER sf OPTIONS (object 'Opportunity');
CREATE COLLATION nocase (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
CREATE TABLE odd_copy AS TABLE odd;
ALTER FOREIGN TABLE odd SET SCHEMA crm; ALTER TABLE odd_copy SET SCHEMA copy; ALTER TABLE copy.odd_copy RENAME TO odd;
SELECT c.* FROM (VALUES
	($$SELECT year, count(*) FROM $.odd GROUP BY 1$$), ($$SELECT short, min(short), count(*) FROM $.odd GROUP BY 1$$), ($$SELECT real, count(*) FROM $.odd GROUP BY 1$$),
	($$SELECT account, count(*) FROM $.odd GROUP BY 1$$), ($$SELECT account, count(padded) FROM $.odd GROUP BY 1$$), ($$SELECT padded, count(*) FROM $.odd GROUP BY 1$$),
	($$SELECT stage, count(*), count(DISTINCT account) FROM $.odd GROUP BY 1$$), ($$SELECT closed, count(*) FROM $.odd GROUP BY 1$$),
	($$SELECT day, count(*) FROM $.odd WHERE account IS NULL GROUP BY 1$$), ($$SELECT stage COLLATE "C", count(*) FROM $.odd GROUP BY 1$$),
	($$SELECT account, padded, count(*) FROM $.odd GROUP BY 1, 2$$)) v(q), compared(q) c;
ALTER FOREIGN TABLE crm.odd ALTER stage TYPE text COLLATE nocase;
EXPLAIN (COSTS OFF) SELECT stage, count(*) FROM crm.odd GROUP BY 1;

-- row security and views that hide rows
CREATE VIEW hidden WITH (security_barrier) AS SELECT * FROM crm.opportunity WHERE isclosed;
EXPLAIN (VERBOSE, COSTS OFF) SELECT iswon, count(*) FROM hidden WHERE closedate > '2024-01-01' GROUP BY iswon;
SELECT iswon, count(*) = (SELECT count(*) FROM copy.opportunity o WHERE isclosed AND closedate > '2024-01-01' AND o.iswon = h.iswon) AS same
FROM hidden h WHERE closedate > '2024-01-01' GROUP BY iswon ORDER BY 1;
-- rows that are locked
EXPLAIN (COSTS OFF) SELECT isclosed, count(*) FROM (SELECT isclosed FROM crm.opportunity FOR UPDATE) x GROUP BY 1;

-- more than 2,000 groups: in the order of a key, or grouped here; the same either way
\! $SANDBOXCTL reset push:2500
DROP TABLE copy.account, copy.contact, copy.opportunity;
CREATE TABLE copy.account AS SELECT id, ownerid, parentid, numberofemployees, createddate FROM crm.account;
CREATE TABLE copy.contact AS SELECT id, accountid, ownerid, reportstoid, createddate FROM crm.contact;
CREATE TABLE copy.opportunity AS SELECT id, accountid, closedate, fiscalyear, isclosed FROM crm.opportunity;
CREATE FUNCTION grouped(query text, OUT same boolean, OUT n bigint, OUT calls text) LANGUAGE plpgsql AS $$
DECLARE line text;
BEGIN
	EXECUTE format('SELECT count(*) FROM (%s) t', replace(query, '$', 'copy')) INTO n;
	EXECUTE format('SELECT count(*) = 0 FROM ((%1$s EXCEPT ALL %2$s) UNION ALL (%2$s EXCEPT ALL %1$s)) t', replace(query, '$', 'crm'), replace(query, '$', 'copy')) INTO same;
	-- the calls of the statements that group, and of the rows below them
	FOR line IN EXECUTE 'EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF, BUFFERS OFF) ' || replace(query, '$', 'crm') LOOP
		IF line ~ 'API Calls: ' THEN calls := concat_ws(' + ', calls, regexp_replace(line, '^.*API Calls: ', '')); END IF;
	END LOOP;
END $$;
SELECT g.*, q AS query FROM (VALUES
	($$SELECT accountid, count(*), min(createddate) FROM $.contact GROUP BY accountid$$),
	($$SELECT accountid FROM $.contact GROUP BY accountid$$),
	($$SELECT closedate, count(*), count(accountid) FROM $.opportunity GROUP BY closedate$$),
	($$SELECT closedate, count(*) FROM $.opportunity GROUP BY closedate HAVING count(*) > 0$$),
	($$SELECT numberofemployees, max(createddate) FROM $.account GROUP BY numberofemployees$$),
	($$SELECT DISTINCT numberofemployees, ownerid FROM $.account$$),
	($$SELECT accountid, closedate, isclosed, count(*) FROM $.opportunity GROUP BY 1, 2, 3$$),
	($$SELECT accountid, count(*) FROM $.contact GROUP BY 1 HAVING count(*) < 5 AND min(createddate) > '2000-01-01'$$),
	($$SELECT a.numberofemployees, count(*) FROM $.contact c JOIN $.account a ON a.id = c.accountid GROUP BY 1$$),
	-- one key has 2,000 groups of its own
	($$SELECT ownerid, accountid, createddate > '2000-01-01' FROM $.contact GROUP BY 1, 2, 3$$),
	($$SELECT ownerid, isdeleted, count(*) FROM crm.contact GROUP BY 1, 2$$)) v(q), grouped(q) g;
\! $SANDBOXCTL mark
SELECT count(*) FROM (SELECT accountid, count(*) FROM crm.contact GROUP BY 1 HAVING count(*) < 5) t;
\! $SANDBOXCTL soql
-- no key to page by, the rows; and a second run of the same, with other parameters and none
ALTER FOREIGN TABLE crm.contact ALTER accountid OPTIONS (ADD sortable 'false');
EXPLAIN (VERBOSE, COSTS OFF) SELECT accountid, count(*) + 1 FROM crm.contact GROUP BY 1 HAVING count(*) < 5;
SELECT g.*, q AS query FROM (VALUES
	($$SELECT accountid, count(*) + 1 FROM $.contact GROUP BY 1 HAVING count(*) < 5$$),
	($$SELECT DISTINCT accountid FROM $.contact$$),
	($$SELECT max(n), sum(n) FROM (SELECT accountid, count(*) AS n FROM $.contact GROUP BY 1) x$$)) v(q), grouped(q) g;
SELECT g, (SELECT count(*) FROM (SELECT accountid FROM crm.contact WHERE createddate > timestamptz '1900-01-01' + make_interval(years => g % 2 * 200) GROUP BY 1 OFFSET 0) x) FROM generate_series(1, 4) g;
SELECT g, (SELECT count(*) FROM (SELECT accountid, count(*) FROM crm.contact GROUP BY 1 HAVING count(*) + g > 2) x) FROM generate_series(1, 3) g;
ALTER FOREIGN TABLE crm.contact ALTER accountid OPTIONS (DROP sortable);
-- a page size of rows is none of groups
ALTER FOREIGN TABLE crm.contact OPTIONS (ADD page_size '200');
SELECT count(*) FROM (SELECT accountid FROM crm.contact GROUP BY 1) x;
ALTER FOREIGN TABLE crm.contact OPTIONS (DROP page_size);
-- a page may be smaller than it should be: refused with either of two codes, and asked by rows
\! $SANDBOXCTL fault 'path=*/query;match=GROUP BY;count=0;do=status;status=400;code=EXCEEDED_ID_LIMIT;message=Aggregate query does not support queryMore(), use LIMIT to restrict the results to a single batch'
SELECT g.*, q AS query FROM (VALUES ($$SELECT accountid, count(*) FROM $.contact GROUP BY accountid$$)) v(q), grouped(q) g;
\! $SANDBOXCTL nofaults
\! $SANDBOXCTL fault 'path=*/query;match=AccountId >=;count=0;do=status;status=400;code=MALFORMED_QUERY;message=Aggregate query does not support queryMore(), use LIMIT to restrict the results to a single batch'
SELECT g.*, q AS query FROM (VALUES ($$SELECT accountid, count(*) FROM $.contact GROUP BY accountid$$)) v(q), grouped(q) g;
\! $SANDBOXCTL nofaults
-- groups that do not add up
\! $SANDBOXCTL fault 'path=*/query;match=SELECT COUNT(Id) n;count=0;do=status;status=200;body={"totalSize":1,"done":true,"records":[{"n":1}]}'
SELECT g.*, q AS query FROM (VALUES ($$SELECT accountid, count(*) FROM $.contact GROUP BY accountid$$)) v(q), grouped(q) g;
\! $SANDBOXCTL nofaults
-- any other error is one
\! $SANDBOXCTL fault 'path=*/query;match=GROUP BY;do=status;status=400;code=MALFORMED_QUERY;message=field can not be grouped'
SELECT accountid, count(*) FROM crm.contact GROUP BY accountid;
\! $SANDBOXCTL nofaults
-- the first groups are one call
\! $SANDBOXCTL mark
SELECT array_agg(n) FROM (SELECT accountid, count(*) AS n FROM crm.contact GROUP BY 1 ORDER BY n DESC, accountid IS NULL LIMIT 3) x;
SELECT array_agg(n) FROM (SELECT accountid, count(*) AS n FROM crm.contact GROUP BY 1 ORDER BY n DESC LIMIT 3) x;
\! $SANDBOXCTL soql
-- estimates decide between pages of groups and rows
ANALYZE crm.account;
EXPLAIN (COSTS OFF) SELECT numberofemployees, count(*) FROM crm.account GROUP BY 1;
ALTER FOREIGN TABLE crm.account ALTER numberofemployees OPTIONS (ADD sortable 'false');
EXPLAIN (COSTS OFF) SELECT numberofemployees, count(*) FROM crm.account GROUP BY 1;
ALTER FOREIGN TABLE crm.account ALTER numberofemployees OPTIONS (DROP sortable);

-- partitions: each groups for itself where a key is the partitions'
\! $SANDBOXCTL reset demo
CREATE TABLE record (id text COLLATE "C", ownerid text, isdeleted boolean, year int) PARTITION BY LIST (year);
CREATE FOREIGN TABLE r_2024 PARTITION OF record FOR VALUES IN (2024) SERVER sf OPTIONS (object 'Opportunity');
CREATE FOREIGN TABLE r_2025 PARTITION OF record FOR VALUES IN (2025) SERVER sf OPTIONS (object 'Opportunity');
ALTER FOREIGN TABLE r_2024 ALTER year OPTIONS (field 'FiscalYear'), ALTER id OPTIONS (field 'Id'), ALTER ownerid OPTIONS (field 'OwnerId', type 'reference'), ALTER isdeleted OPTIONS (field 'IsDeleted');
ALTER FOREIGN TABLE r_2025 ALTER year OPTIONS (field 'FiscalYear'), ALTER id OPTIONS (field 'Id'), ALTER ownerid OPTIONS (field 'OwnerId', type 'reference'), ALTER isdeleted OPTIONS (field 'IsDeleted');
SET enable_partitionwise_aggregate = on;
EXPLAIN (VERBOSE, COSTS OFF) SELECT year, count(*) FROM record WHERE year IN (2024, 2025) GROUP BY year HAVING count(*) > 1;
EXPLAIN (COSTS OFF) SELECT ownerid, count(*) FROM record GROUP BY ownerid;
SELECT sum(n) = 2 * (SELECT count(*) FROM crm.opportunity) AS all_rows FROM (SELECT ownerid, count(*) AS n FROM record GROUP BY ownerid) x;
SELECT sum(n) = 2 * (SELECT count(*) FROM crm.opportunity) AS all_rows FROM (SELECT year, count(*) AS n FROM record GROUP BY year HAVING count(*) > 0) x;
-- groups are not waited for together
CREATE TABLE closed (closed boolean) PARTITION BY LIST (closed);
CREATE FOREIGN TABLE closed_yes PARTITION OF closed FOR VALUES IN (true) SERVER sf OPTIONS (object 'Opportunity');
CREATE FOREIGN TABLE closed_no PARTITION OF closed FOR VALUES IN (false) SERVER sf OPTIONS (object 'Opportunity');
ALTER FOREIGN TABLE closed_yes ALTER closed OPTIONS (field 'IsClosed');
ALTER FOREIGN TABLE closed_no ALTER closed OPTIONS (field 'IsClosed');
EXPLAIN (COSTS OFF) SELECT closed, count(*) FROM closed GROUP BY closed;
SELECT closed, count(*) FROM closed GROUP BY closed ORDER BY 1, 2;
EXPLAIN (COSTS OFF) SELECT count(*) FROM record;
RESET enable_partitionwise_aggregate;
