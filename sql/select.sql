-- Reading: every answer is compared with PostgreSQL's own over a local copy of the same rows.
\set VERBOSITY terse
SET client_min_messages = warning;

CREATE TABLE account AS TABLE crm.account;
CREATE TABLE contact AS TABLE crm.contact;
CREATE TABLE invoice AS TABLE crm.invoice__c;
SELECT count(*) > 20 AS accounts, (SELECT count(*) FROM contact) > 100 AS contacts FROM account;

-- The same condition here and there: rows that differ, and how many there are.
CREATE FUNCTION same(tab text, remote text, cond text, OUT condition text, OUT differ bigint, OUT any_row boolean) LANGUAGE plpgsql AS $$
BEGIN
	condition := cond;
	EXECUTE format('SELECT count(*) FROM ((SELECT id FROM %1$s WHERE %3$s EXCEPT ALL SELECT id FROM %2$s WHERE %3$s)
		UNION ALL (SELECT id FROM %2$s WHERE %3$s EXCEPT ALL SELECT id FROM %1$s WHERE %3$s)) d', tab, remote, cond) INTO differ;
	EXECUTE format('SELECT EXISTS (SELECT FROM %s WHERE %s)', tab, cond) INTO any_row;
END $$;

SELECT s.* FROM (VALUES
	('true'), ('false'), ('NULL'),
	($$name = 'Acme'$$), ($$name = 'ACME'$$), ($$name <> 'Acme'$$), ($$name IN ('Acme', 'ACME')$$), ($$name NOT IN ('Acme', 'acme')$$),
	($$name LIKE 'A%'$$), ($$name LIKE 'a%'$$), ($$name LIKE '%\%%'$$), ($$name LIKE '_cme'$$), ($$name NOT LIKE 'A%'$$), ($$name ILIKE 'aC_E'$$),
	($$name LIKE '%''%'$$), ($$name LIKE '%\\%'$$), ($$name LIKE E'%\n%'$$), ($$name = ''$$), ($$name < 'M'$$), ($$name IS NULL$$), ($$name IS NOT NULL$$),
	($$industry IS NULL$$), ($$industry = 'Technology' OR industry IS NULL$$), ($$industry <> 'Technology'$$), ($$industry LIKE 'Tech%'$$),
	($$annualrevenue > 1000000$$), ($$annualrevenue <> 0$$), ($$annualrevenue IS NULL$$), ($$annualrevenue <= 0$$), ($$annualrevenue = 1e6$$),
	($$annualrevenue IN (0, 1000000)$$), ($$annualrevenue NOT IN (0, 1)$$), ($$annualrevenue < 'NaN'$$), ($$annualrevenue > 1234567890123456.7$$),
	($$numberofemployees BETWEEN 1 AND 500$$), ($$numberofemployees = ANY ('{1,NULL,100}')$$), ($$numberofemployees <> ALL ('{1,NULL}')$$), ($$numberofemployees > 2.5$$),
	($$createddate >= '2025-01-01Z'$$), ($$createddate < '2025-01-01 00:00:00.5Z'$$), ($$createddate <> '2025-01-01Z'$$), ($$createddate > '-infinity'$$),
	($$createddate = (SELECT min(createddate) FROM account)$$), ($$lastmodifieddate > createddate$$), ($$createddate::date = '2025-01-01'$$),
	($$createddate >= date '2025-01-01'$$), ($$createddate >= now() - interval '100 years'$$),
	($$isdeleted$$), ($$NOT isdeleted$$), ($$isdeleted IS NULL$$), ($$isdeleted IS NOT TRUE$$), ($$isdeleted = false$$),
	($$ownerid = (SELECT min(ownerid) FROM account)$$), ($$parentid IS NULL$$), ($$parentid IS NOT NULL$$), ($$parentid <> '001A000010khO8JIAU'$$),
	($$id IN (SELECT accountid FROM contact)$$), ($$NOT EXISTS (SELECT FROM contact c WHERE c.accountid = id)$$),
	($$(name = 'Acme' AND annualrevenue > 0) OR (industry IS NULL AND NOT isdeleted)$$),
	($$NOT (name = 'Acme' OR annualrevenue > 5)$$), ($$coalesce(industry, '-') = '-'$$), ($$(name, industry) = ('Acme', 'Technology')$$)
) v(c), same('account', 'crm.account', c) s;

SELECT s.* FROM (VALUES
	($$case_key__c = 'Key-1'$$), ($$case_key__c = 'KEY-1'$$), ($$case_key__c <> 'Key-1'$$), ($$case_key__c NOT IN ('Key-1', 'key-1')$$), ($$case_key__c LIKE 'K%'$$),
	($$ext_id__c = 'INV-0001'$$), ($$ext_id__c = 'inv-0001'$$), ($$case_key__c IS NULL$$),
	($$due_date__c > '1700-01-01'$$), ($$due_date__c <= '4000-12-31'$$), ($$due_date__c <> '2024-02-29'$$), ($$due_date__c < '0001-01-01'$$), ($$due_date__c = 'infinity'$$), ($$due_date__c IS NULL$$),
	($$paid__c$$), ($$NOT paid__c$$), ($$amount__c > 0$$), ($$amount__c = 0.1$$), ($$amount__c <> 0.1$$), ($$amount__c < -1$$)
) v(c), same('invoice', 'crm.invoice__c', c) s;

-- whole rows are equal too, and so is what is computed from them
SELECT count(*) FROM (SELECT a::text FROM crm.account a EXCEPT SELECT a::text FROM account a) d;
SELECT count(*) FROM (SELECT i::text FROM crm.invoice__c i EXCEPT SELECT i::text FROM invoice i) d;
SELECT (SELECT count(*) FROM crm.contact) = (SELECT count(*) FROM contact) AS count,
	(SELECT sum(annualrevenue) FROM crm.account) = (SELECT sum(annualrevenue) FROM account) AS sum;

-- joins, subqueries, LATERAL, outer joins, DISTINCT, window, LIMIT
SELECT count(*) FROM (
	(SELECT c.lastname, a.name FROM crm.contact c JOIN crm.account a ON c.accountid = a.id
	 EXCEPT ALL SELECT c.lastname, a.name FROM contact c JOIN account a ON c.accountid = a.id)
	UNION ALL
	(SELECT c.lastname, a.name FROM contact c LEFT JOIN account a ON c.accountid = a.id AND a.industry = 'Technology'
	 EXCEPT ALL SELECT c.lastname, a.name FROM crm.contact c LEFT JOIN crm.account a ON c.accountid = a.id AND a.industry = 'Technology')) d;
SELECT (SELECT array_agg(n ORDER BY n COLLATE "C") FROM (SELECT a.name || count(*) AS n FROM crm.account a, LATERAL (SELECT FROM crm.contact c WHERE c.accountid = a.id) l GROUP BY a.name) x)
	= (SELECT array_agg(n ORDER BY n COLLATE "C") FROM (SELECT a.name || count(*) AS n FROM account a, LATERAL (SELECT FROM contact c WHERE c.accountid = a.id) l GROUP BY a.name) x) AS lateral;
SELECT (SELECT array_agg(DISTINCT industry) FROM crm.account) = (SELECT array_agg(DISTINCT industry) FROM account) AS distinct;
SELECT id = (SELECT id FROM account ORDER BY name COLLATE "C", id COLLATE "C" LIMIT 1 OFFSET 3) AS top FROM crm.account ORDER BY name COLLATE "C", id COLLATE "C" LIMIT 1 OFFSET 3;

-- one page, a rescan, a nested loop: the rows are read once
SET enable_hashjoin = off; SET enable_mergejoin = off;
\! $SANDBOXCTL mark
SELECT count(*) = (SELECT count(*) FROM account a JOIN account b ON a.name < b.site) AS nested FROM crm.account a JOIN crm.account b ON a.name < b.site;
\! $SANDBOXCTL soql
RESET enable_hashjoin; RESET enable_mergejoin;

-- a correlated subquery whose condition does not go out is answered from memory
\! $SANDBOXCTL mark
SELECT count(*) FROM generate_series(1, 3) g WHERE EXISTS (SELECT FROM crm.account WHERE length(name) > g);
\! $SANDBOXCTL soql

-- LIMIT stops paging; so does closing a cursor
CREATE FOREIGN TABLE small_pages (id text OPTIONS (field 'Id'), lastname text OPTIONS (field 'LastName')) SERVER sf OPTIONS (object 'Contact', page_size '200');
\! $SANDBOXCTL reset big:700
\! $SANDBOXCTL mark
SELECT count(*) FROM (SELECT FROM small_pages LIMIT 3) x;
\! $SANDBOXCTL calls
\! $SANDBOXCTL mark
SELECT count(*), count(DISTINCT id) FROM (SELECT id FROM small_pages OFFSET 0) x;
\! $SANDBOXCTL calls
BEGIN;
DECLARE c CURSOR FOR SELECT id FROM small_pages;
FETCH 250 IN c \g /dev/null
MOVE 10 IN c;
CLOSE c;
DECLARE h CURSOR WITH HOLD FOR SELECT id FROM small_pages;
DECLARE s SCROLL CURSOR FOR SELECT id FROM small_pages;
MOVE FORWARD 210 IN s;
MOVE BACKWARD 100 IN s;
COMMIT;
MOVE FORWARD ALL IN h;
CLOSE h;
\! $SANDBOXCTL reset demo

-- deleted rows
CREATE FOREIGN TABLE account_all (id text OPTIONS (field 'Id'), isdeleted boolean OPTIONS (field 'IsDeleted')) SERVER sf OPTIONS (object 'Account', include_deleted 'true');
\! $SANDBOXCTL mark
SELECT count(*) FILTER (WHERE isdeleted) > 0 AS deleted, count(*) FILTER (WHERE NOT isdeleted) = (SELECT count(*) FROM account) AS live FROM account_all;
\! $SANDBOXCTL calls
SELECT count(*) > 0 AS only_deleted FROM account_all WHERE isdeleted;

-- a parent's field by its path
CREATE FOREIGN TABLE contact_path (id text OPTIONS (field 'Id'), lastname text OPTIONS (field 'LastName'), account text OPTIONS (field 'Account.Name'), owner text OPTIONS (field 'Account.Owner.Username'))
	SERVER sf OPTIONS (object 'Contact');
SELECT count(*) FROM (SELECT id, account FROM contact_path EXCEPT SELECT c.id, a.name FROM contact c LEFT JOIN account a ON c.accountid = a.id) d;
SELECT count(*) = (SELECT count(*) FROM contact c LEFT JOIN account a ON c.accountid = a.id WHERE a.name IS NULL) AS orphans FROM contact_path WHERE account IS NULL;

-- statements longer than an address may be, and longer than a statement may be
\! $SANDBOXCTL mark
SELECT count(*) FROM crm.account WHERE name IN (SELECT 'nobody' || g FROM generate_series(1, 3) g);
SELECT count(*) FROM crm.account WHERE name = ANY (ARRAY(SELECT 'somebody who is not there ' || g FROM generate_series(1, 1000) g));
SELECT count(*) = (SELECT count(*) FROM account) AS all_there FROM crm.account WHERE id = ANY (ARRAY(SELECT id FROM account) || ARRAY(SELECT '001A00000000' || lpad(g::text, 3, '0') || 'IAU' FROM generate_series(1, 999) g));
SELECT count(*) = (SELECT count(*) FROM account WHERE annualrevenue IS NOT NULL) AS list_left_out FROM crm.account
	WHERE annualrevenue = ANY (ARRAY(SELECT annualrevenue FROM account) || ARRAY(SELECT 1000000 + g FROM generate_series(1, 20000) g)::numeric[]);
\! $SANDBOXCTL calls

-- prepared statements, custom and generic
PREPARE p(text, numeric, timestamptz) AS SELECT count(*) FROM crm.account WHERE name <> $1 AND annualrevenue > $2 AND createddate < $3;
PREPARE q(text, numeric, timestamptz) AS SELECT count(*) FROM account WHERE name <> $1 AND annualrevenue > $2 AND createddate < $3;
SET plan_cache_mode = force_generic_plan;
EXECUTE p('Acme', 0, '2026-01-01');
EXECUTE q('Acme', 0, '2026-01-01');
EXECUTE p(NULL, 0, '2026-01-01');
EXECUTE p('Acme', 0.12345678901234567890, '2026-01-01 00:00:00.123456');
EXECUTE q('Acme', 0.12345678901234567890, '2026-01-01 00:00:00.123456');
RESET plan_cache_mode;

-- PL/pgSQL: loops, and errors that are caught leave the session usable
DO $$
DECLARE n int := 0; r record;
BEGIN
	FOR r IN SELECT id FROM crm.contact LOOP n := n + 1; END LOOP;
	IF n <> (SELECT count(*) FROM contact) THEN RAISE EXCEPTION 'loop saw % rows', n; END IF;
	FOR i IN 1 .. 3 LOOP
		BEGIN
			PERFORM * FROM small_pages WHERE 1 / (length(lastname) - length(lastname)) = 1;
		EXCEPTION WHEN division_by_zero THEN NULL;
		END;
	END LOOP;
	SELECT count(*) INTO n FROM crm.account;
	IF n <> (SELECT count(*) FROM account) THEN RAISE EXCEPTION 'afterwards % rows', n; END IF;
END $$;

-- objects and fields that are not there
CREATE FOREIGN TABLE no_object (id text) SERVER sf OPTIONS (object 'Nothing__c');
CREATE FOREIGN TABLE no_field (id text OPTIONS (field 'Id'), gone text OPTIONS (field 'Gone__c')) SERVER sf OPTIONS (object 'Account');
\set VERBOSITY default
SELECT * FROM no_object;
SELECT * FROM no_field;
SELECT count(*) > 0 AS still_works FROM (SELECT id FROM no_field) x;
-- a condition on a field that cannot be filtered, where no option says so
CREATE FOREIGN TABLE unfilterable (id text OPTIONS (field 'Id'), description text OPTIONS (field 'Description')) SERVER sf OPTIONS (object 'Account');
SELECT id FROM unfilterable WHERE description = 'x';
\set VERBOSITY terse

-- a column that is dropped, one that is added, one that is renamed
CREATE FOREIGN TABLE changing (a int OPTIONS (field 'NumberOfEmployees'), id text OPTIONS (field 'Id'), b text OPTIONS (field 'Name')) SERVER sf OPTIONS (object 'Account');
PREPARE ch AS SELECT * FROM changing WHERE id = (SELECT min(id) FROM account);
ALTER FOREIGN TABLE changing DROP COLUMN a;
ALTER FOREIGN TABLE changing RENAME COLUMN b TO title;
ALTER FOREIGN TABLE changing ADD COLUMN industry text OPTIONS (field 'Industry');
SELECT count(*) FROM (SELECT id, title, industry FROM changing EXCEPT SELECT id, name, industry FROM account) d;
SELECT tableoid::regclass, count(*) > 0 AS rows FROM changing GROUP BY 1;
SELECT count(*) FROM (SELECT c FROM changing c WHERE c IS NULL) d;

-- materialized views
CREATE MATERIALIZED VIEW mv AS SELECT id, name, annualrevenue FROM crm.account WHERE NOT isdeleted;
CREATE UNIQUE INDEX ON mv (id);
REFRESH MATERIALIZED VIEW CONCURRENTLY mv;
SELECT count(*) = (SELECT count(*) FROM account) AS refreshed FROM mv;

-- aggregates over all rows, computed there: the same as here
CREATE FUNCTION compared(remote text, local text, OUT query text, OUT same boolean) LANGUAGE plpgsql AS $$
DECLARE r text; l text;
BEGIN
	query := remote;
	EXECUTE format('SELECT string_agg(t::text, E''\n'') FROM (%s) t', remote) INTO r;
	EXECUTE format('SELECT string_agg(t::text, E''\n'') FROM (%s) t', local) INTO l;
	same := r IS NOT DISTINCT FROM l;
END $$;
\! $SANDBOXCTL mark
SELECT b.same, b.query FROM (VALUES
	($$SELECT count(*), count(industry), count(DISTINCT ownerid), count(annualrevenue), count(parentid) FROM TABLE$$),
	($$SELECT count(*) + 1, min(createddate), max(createddate), min(numberofemployees), max(numberofemployees) FROM TABLE WHERE annualrevenue > 0$$),
	($$SELECT count(*), max(createddate), min(numberofemployees) FROM TABLE WHERE annualrevenue < -1e12$$),
	($$SELECT count(*) FROM TABLE WHERE annualrevenue = 0.5 AND false$$),
	($$SELECT max(systemmodstamp) - min(systemmodstamp) FROM TABLE WHERE NOT isdeleted HAVING count(*) > 1$$),
	($$SELECT sum(annualrevenue), max(annualrevenue), max(name), count(DISTINCT name), bool_or(isdeleted) FROM TABLE$$),
	($$SELECT count(*) FILTER (WHERE industry IS NULL), count(*) FROM TABLE WHERE name <> 'Acme'$$)) v(q),
	compared(replace(q, 'TABLE', 'crm.account'), replace(q, 'TABLE', 'account')) b;
\! $SANDBOXCTL soql

-- ORDER BY with LIMIT, computed there
\! $SANDBOXCTL mark
SELECT b.same, b.query FROM (VALUES
	($$SELECT annualrevenue FROM TABLE ORDER BY annualrevenue DESC LIMIT 5$$),
	($$SELECT numberofemployees FROM TABLE ORDER BY numberofemployees DESC LIMIT 5$$),
	($$SELECT numberofemployees FROM TABLE ORDER BY numberofemployees NULLS FIRST LIMIT 5 OFFSET 3$$),
	($$SELECT annualrevenue FROM TABLE ORDER BY annualrevenue DESC NULLS LAST LIMIT 5$$),
	($$SELECT annualrevenue FROM TABLE ORDER BY annualrevenue NULLS FIRST LIMIT 5 OFFSET 3$$),
	($$SELECT createddate, numberofemployees + 1 FROM TABLE WHERE annualrevenue > 0 ORDER BY createddate DESC, numberofemployees LIMIT 4 OFFSET 70$$),
	($$SELECT numberofemployees FROM TABLE ORDER BY numberofemployees OFFSET 80$$),
	($$SELECT numberofemployees FROM TABLE ORDER BY numberofemployees LIMIT 0$$),
	($$SELECT numberofemployees FROM TABLE ORDER BY numberofemployees LIMIT 1000000000000$$),
	($$SELECT name COLLATE "C" FROM TABLE ORDER BY name COLLATE "C" LIMIT 3$$),
	($$SELECT numberofemployees FROM TABLE ORDER BY -numberofemployees LIMIT 3$$),
	($$SELECT DISTINCT numberofemployees FROM TABLE ORDER BY numberofemployees LIMIT 3$$),
	($$SELECT numberofemployees, count(*) FROM TABLE GROUP BY 1 ORDER BY numberofemployees LIMIT 3$$),
	($$SELECT numberofemployees FROM TABLE WHERE name LIKE 'A%' ORDER BY numberofemployees LIMIT 3$$),
	($$SELECT numberofemployees, generate_series(1, 2) FROM TABLE ORDER BY numberofemployees LIMIT 3$$),
	($$SELECT numberofemployees FROM TABLE ORDER BY numberofemployees FETCH FIRST 2 ROWS WITH TIES$$),
	($$SELECT numberofemployees FROM TABLE UNION ALL SELECT numberofemployees FROM TABLE ORDER BY 1 LIMIT 3$$),
	($$SELECT (SELECT min(createddate) FROM TABLE t WHERE t.ownerid = a.ownerid), numberofemployees FROM TABLE a ORDER BY numberofemployees LIMIT 2$$),
	($$SELECT lag(numberofemployees) OVER (ORDER BY numberofemployees) FROM TABLE ORDER BY numberofemployees LIMIT 3$$)) v(q),
	compared(replace(q, 'TABLE', 'crm.account'), replace(q, 'TABLE', 'account')) b;
\! $SANDBOXCTL soql
PREPARE top(bigint, bigint) AS SELECT numberofemployees FROM crm.account ORDER BY numberofemployees LIMIT $1 OFFSET $2;
SET plan_cache_mode = force_generic_plan;
\! $SANDBOXCTL mark
EXECUTE top(2, 1);
EXECUTE top(NULL, 87);
EXECUTE top(0, NULL);
EXECUTE top(-1, 0);
EXECUTE top(1, -1);
\! $SANDBOXCTL soql
EXPLAIN (COSTS OFF) EXECUTE top(2, 1);
RESET plan_cache_mode;
EXPLAIN (VERBOSE, COSTS OFF) SELECT count(*) + 1, max(createddate) FROM crm.account WHERE annualrevenue > 0;
-- rows are locked, or whole: not there
EXPLAIN (COSTS OFF) SELECT id FROM contact_path LIMIT 2 FOR UPDATE;
EXPLAIN (COSTS OFF) SELECT c FROM small_pages c LIMIT 2;
