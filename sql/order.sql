-- ORDER BY with LIMIT and OFFSET: of rows, of joins along lookups, of groups.  What ties may come in any order, so
-- queries show their sort keys, or have an end that does not tie.
\set VERBOSITY terse
SET client_min_messages = warning;

CREATE SCHEMA copy;
CREATE TABLE copy.account AS TABLE crm.account;
CREATE TABLE copy.contact AS TABLE crm.contact;
CREATE TABLE copy.opportunity AS TABLE crm.opportunity;

-- The rows of a query here and there ($ is the schema), in order; and what is sent first.
CREATE FUNCTION compared(query text, OUT same boolean, OUT n bigint, OUT soql text) LANGUAGE plpgsql AS $$
DECLARE line text; r text; l text;
BEGIN
	EXECUTE format('SELECT string_agg(t::text, E''\n''), count(*) FROM (%s) t', replace(query, '$', 'crm')) INTO r, n;
	EXECUTE format('SELECT string_agg(t::text, E''\n'') FROM (%s) t', replace(query, '$', 'copy')) INTO l;
	same := r IS NOT DISTINCT FROM l;
	FOR line IN EXECUTE 'EXPLAIN (COSTS OFF) ' || replace(query, '$', 'crm') LOOP
		IF line ~ 'SOQL: ' AND soql IS NULL THEN soql := regexp_replace(line, '^.*SOQL: ', ''); END IF;
	END LOOP;
END $$;

-- rows
SELECT c.* FROM (VALUES
	($$SELECT closedate FROM $.opportunity ORDER BY closedate LIMIT 5$$),
	($$SELECT closedate FROM $.opportunity ORDER BY closedate DESC LIMIT 5 OFFSET 3$$),
	($$SELECT closedate FROM $.opportunity ORDER BY closedate DESC LIMIT 5 OFFSET 114$$),
	($$SELECT closedate FROM $.opportunity ORDER BY closedate LIMIT 5 OFFSET 5000$$),
	($$SELECT closedate FROM $.opportunity ORDER BY closedate OFFSET 110$$),
	($$SELECT closedate FROM $.opportunity ORDER BY closedate LIMIT NULL OFFSET NULL$$),
	($$SELECT closedate FROM $.opportunity ORDER BY closedate LIMIT 0$$),
	($$SELECT numberofemployees FROM $.account ORDER BY numberofemployees LIMIT 12$$),
	($$SELECT numberofemployees FROM $.account ORDER BY numberofemployees DESC LIMIT 12$$),
	($$SELECT numberofemployees FROM $.account ORDER BY numberofemployees NULLS FIRST LIMIT 12$$),
	($$SELECT numberofemployees FROM $.account ORDER BY numberofemployees DESC NULLS LAST LIMIT 12$$),
	($$SELECT fiscalyear, closedate FROM $.opportunity ORDER BY fiscalyear DESC, closedate LIMIT 7$$),
	($$SELECT closedate FROM $.opportunity WHERE closedate IN ('2024-07-07', '2026-09-09', '4000-12-31') ORDER BY closedate LIMIT 2$$),
	($$SELECT closedate FROM $.opportunity WHERE fiscalyear = 2024 ORDER BY fiscalyear, closedate LIMIT 2$$),
	($$SELECT closedate + 1 FROM $.opportunity ORDER BY closedate LIMIT 2$$),
	($$SELECT isclosed, closedate FROM $.opportunity ORDER BY isclosed, closedate LIMIT 2$$),
	($$SELECT closedate FROM $.opportunity WHERE stagename = 'Prospecting' ORDER BY closedate LIMIT 2$$),
	($$SELECT amount FROM $.opportunity ORDER BY amount LIMIT 2$$),
	($$SELECT accountid FROM $.opportunity ORDER BY accountid COLLATE "C" LIMIT 2$$),
	($$SELECT closedate FROM $.opportunity ORDER BY closedate FETCH FIRST 2 ROWS WITH TIES$$),
	($$(SELECT closedate FROM $.opportunity ORDER BY closedate LIMIT 2) UNION ALL (SELECT closedate FROM $.opportunity ORDER BY closedate DESC LIMIT 1)$$)) v(q), compared(q) c;

-- joins along lookups
SELECT c.* FROM (VALUES
	($$SELECT o.closedate, a.name FROM $.opportunity o JOIN $.account a ON a.id = o.accountid ORDER BY o.closedate DESC LIMIT 4$$),
	($$SELECT o.closedate FROM $.opportunity o LEFT JOIN $.account a ON a.id = o.accountid ORDER BY o.closedate LIMIT 4 OFFSET 2$$),
	($$SELECT a.numberofemployees FROM $.contact c JOIN $.account a ON a.id = c.accountid ORDER BY a.numberofemployees NULLS FIRST LIMIT 20$$),
	($$SELECT a.numberofemployees FROM $.contact c JOIN $.account a ON a.id = c.accountid ORDER BY a.numberofemployees DESC LIMIT 20$$),
	($$SELECT a.numberofemployees FROM $.contact c LEFT JOIN $.account a ON a.id = c.accountid ORDER BY a.numberofemployees DESC LIMIT 20$$),
	($$SELECT a.numberofemployees FROM $.contact c JOIN $.account a ON a.id = c.accountid ORDER BY a.numberofemployees LIMIT 20$$),
	($$SELECT a.numberofemployees FROM $.contact c JOIN $.account a ON a.id = c.accountid ORDER BY a.numberofemployees DESC NULLS LAST LIMIT 20$$),
	($$SELECT o.closedate FROM $.opportunity o WHERE EXISTS (SELECT FROM $.account a WHERE o.accountid = a.id AND numberofemployees > 100) ORDER BY 1 LIMIT 3$$),
	($$SELECT a.createddate FROM $.account a WHERE id IN (SELECT accountid FROM $.opportunity WHERE isclosed) ORDER BY 1 LIMIT 3$$)) v(q), compared(q) c;

-- groups
SELECT c.* FROM (VALUES
	($$SELECT n FROM (SELECT accountid, count(*) AS n FROM $.opportunity GROUP BY 1 ORDER BY 2 DESC LIMIT 10) x$$),
	($$SELECT n FROM (SELECT accountid, count(*) AS n FROM $.opportunity GROUP BY 1 ORDER BY 2 DESC LIMIT 10 OFFSET 20) x$$),
	($$SELECT fiscalyear, count(*), max(closedate) FROM $.opportunity GROUP BY 1 ORDER BY 1 DESC LIMIT 2$$),
	($$SELECT fiscalyear, count(*) FROM $.opportunity GROUP BY 1 ORDER BY 1 LIMIT 2 OFFSET 1$$),
	($$SELECT fiscalyear, isclosed, count(*) FROM $.opportunity GROUP BY 1, 2 ORDER BY 1, 3 LIMIT 3$$),
	($$SELECT closedate, count(*) FROM $.opportunity GROUP BY 1 ORDER BY max(closedate) LIMIT 3$$),
	($$SELECT fiscalyear FROM $.opportunity GROUP BY 1 ORDER BY max(createddate) LIMIT 3$$),
	($$SELECT fiscalyear FROM $.opportunity GROUP BY 1 HAVING count(*) > 10 ORDER BY 1 LIMIT 3$$),
	($$SELECT fiscalyear FROM $.opportunity GROUP BY 1 HAVING count(*) > 10 AND max(closedate) < '2026-01-01' ORDER BY 1 LIMIT 3$$),
	($$SELECT fiscalyear FROM $.opportunity GROUP BY 1 HAVING count(*) % 2 = 0 ORDER BY 1 LIMIT 3$$),
	($$SELECT fiscalyear FROM $.opportunity GROUP BY 1 HAVING count(*) > 1000 ORDER BY 1 LIMIT 3$$),
	($$SELECT fiscalyear, count(*) FROM $.opportunity GROUP BY 1 ORDER BY count(*) * -1, 1 LIMIT 3$$),
	($$SELECT fiscalyear, isclosed FROM $.opportunity GROUP BY 1, 2 ORDER BY isclosed, 1 LIMIT 3$$),
	($$SELECT numberofemployees, count(*) FROM $.account GROUP BY 1 ORDER BY 1 LIMIT 3$$),
	($$SELECT numberofemployees, count(*) FROM $.account GROUP BY 1 ORDER BY 1 NULLS FIRST LIMIT 3$$),
	($$SELECT DISTINCT fiscalyear FROM $.opportunity ORDER BY 1 LIMIT 3$$),
	($$SELECT DISTINCT fiscalyear FROM $.opportunity ORDER BY 1 DESC LIMIT 3 OFFSET 1$$),
	($$SELECT DISTINCT fiscalyear FROM $.opportunity WHERE closedate > 'infinity' ORDER BY 1 DESC LIMIT 3$$),
	($$SELECT DISTINCT count(*) FROM $.opportunity GROUP BY accountid ORDER BY 1 LIMIT 3$$),
	($$SELECT fiscalyear, count(*) FROM $.opportunity GROUP BY 1 ORDER BY 1 LIMIT 0$$),
	($$SELECT fiscalyear, count(*) FROM $.opportunity GROUP BY 1 ORDER BY 1 LIMIT 3000$$),
	($$SELECT fiscalyear, count(*) FROM $.opportunity GROUP BY 1 ORDER BY 1 LIMIT 3 OFFSET 1998$$),
	($$SELECT fiscalyear, count(*) FROM $.opportunity GROUP BY 1 ORDER BY 1 FETCH FIRST 2 ROWS WITH TIES$$),
	($$SELECT fiscalyear, count(*), sum(count(*)) OVER () FROM $.opportunity GROUP BY 1 ORDER BY 1 LIMIT 2$$),
	($$SELECT fiscalyear, count(*) FROM $.opportunity GROUP BY ROLLUP (1) ORDER BY 1 LIMIT 2$$),
	($$SELECT a.numberofemployees, count(*) FROM $.opportunity o JOIN $.account a ON a.id = o.accountid GROUP BY 1 ORDER BY 1 NULLS FIRST LIMIT 4$$),
	($$SELECT a.numberofemployees, count(*) FROM $.opportunity o JOIN $.account a ON a.id = o.accountid GROUP BY 1 ORDER BY 1 LIMIT 4$$)) v(q), compared(q) c;
SELECT count(*) FROM (SELECT accountid, count(*) FROM crm.opportunity GROUP BY 1 LIMIT 4) x;
EXPLAIN (COSTS OFF) SELECT accountid, count(*) FROM crm.opportunity GROUP BY 1 LIMIT 4;

-- parameters; a rescan with OFFSET
PREPARE top(int, bigint) AS SELECT fiscalyear, count(*) FROM crm.opportunity WHERE fiscalyear > $1 GROUP BY 1 ORDER BY 1 LIMIT $2;
SET plan_cache_mode = force_generic_plan;
EXPLAIN (COSTS OFF) EXECUTE top(2024, 2);
EXECUTE top(2024, 2);
SET plan_cache_mode = force_custom_plan;
EXPLAIN (COSTS OFF) EXECUTE top(2024, 2);
EXECUTE top(2024, 2);
RESET plan_cache_mode;
SELECT g, (SELECT string_agg(fiscalyear::text, ' ') FROM (SELECT fiscalyear FROM crm.opportunity WHERE fiscalyear > 2020 + g / 2 GROUP BY 1 ORDER BY 1 LIMIT 2 OFFSET 1) x) FROM generate_series(1, 8) g;

-- nulls of lookups and parents on top or as asked, the answer is the same
\! $SANDBOXCTL mark
SELECT (compared($$SELECT a.numberofemployees FROM $.contact c LEFT JOIN $.account a ON a.id = c.accountid ORDER BY 1 DESC LIMIT 30$$)).same;
\! $SANDBOXCTL soql
