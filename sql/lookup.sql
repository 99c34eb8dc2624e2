-- Joins of local tables with foreign ones: the foreign table is asked by the keys of the other side.
\set VERBOSITY terse
SET client_min_messages = warning;

-- The same rows here; and a function that runs a query over both.
CREATE SCHEMA here;
DO $$
DECLARE t name;
BEGIN
	FOREACH t IN ARRAY '{account,contact,opportunity,task,lead}'::name[] LOOP
		EXECUTE format('CREATE TABLE here.%1$I AS SELECT * FROM crm.%1$I', t);
	END LOOP;
END $$;
-- how: the kind of join; calls: how often Salesforce was asked; rows: of the result; same: as over the copies.
CREATE FUNCTION compare(query text) RETURNS TABLE (how text, calls int, rows bigint, same boolean) LANGUAGE plpgsql AS $$
DECLARE line text; copy text := replace(query, 'crm.', 'here.');
BEGIN
	calls := 0;
	FOR line IN EXECUTE 'EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF) ' || query LOOP
		IF line ~ 'API Calls' THEN calls := calls + substring(line FROM 'API Calls: (\d+)')::int; END IF;
		IF line ~ '(Join|Nested Loop|Custom Scan).*\(actual' THEN
			how := concat_ws(', ', how, btrim(substring(line FROM '([A-Z][^(]*(\(Ampsf Key Lookup\))?) \((actual|never)')));
		END IF;
	END LOOP;
	EXECUTE format('SELECT count(*) FROM (%s) q', query) INTO rows;
	EXECUTE format('SELECT NOT EXISTS ((SELECT q::text FROM (%1$s) q EXCEPT ALL SELECT q::text FROM (%2$s) q) UNION ALL '
		'(SELECT q::text FROM (%2$s) q EXCEPT ALL SELECT q::text FROM (%1$s) q))', query, copy) INTO same;
	how := replace(how, 'Right ', '');
	RETURN NEXT;
END $$;
-- A plan, without what differs between versions of PostgreSQL, and without long lists of fields.
CREATE FUNCTION plan(query text, options text DEFAULT 'COSTS OFF') RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE line text;
BEGIN
	FOR line IN EXECUTE format('EXPLAIN (%s) %s', options, query) LOOP
		IF line !~ 'Memory|Disabled|Output:' THEN
			RETURN NEXT regexp_replace(regexp_replace(line, 'rows=(\d+)\.\d\d', 'rows=\1'), 'SELECT Id, IsDeleted,.* FROM', 'SELECT (all) FROM');
		END IF;
	END LOOP;
END $$;
\set actual 'ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF, BUFFERS OFF'
-- The rows in their order, as one text, are the same.
CREATE FUNCTION same_order(query text) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE a text; b text;
BEGIN
	EXECUTE format('SELECT string_agg(q::text, E''\n'') FROM (%s) q', query) INTO a;
	EXECUTE format('SELECT string_agg(q::text, E''\n'') FROM (%s) q', replace(query, 'crm.', 'here.')) INTO b;
	RETURN a = b;
END $$;

-- Local tables with what keys can be: once, again, in another case, null, empty, nobody's.
CREATE TABLE signups AS
	SELECT row_number() OVER (ORDER BY id)::int AS n, email, 'web' AS source FROM here.contact WHERE email IS NOT NULL ORDER BY id LIMIT 40;
INSERT INTO signups VALUES (1001, NULL, 'null'), (1002, NULL, 'null'), (1003, 'nobody@nowhere.example', 'none'), (1004, '', 'empty');
INSERT INTO signups SELECT n + 2000, upper(email), 'upper' FROM signups WHERE n < 6;
INSERT INTO signups SELECT n + 3000, email, 'again' FROM signups WHERE n < 12;
INSERT INTO signups SELECT n + 4000, email || ' ', 'blank' FROM signups WHERE n < 4;
CREATE TABLE orders AS
	SELECT row_number() OVER (ORDER BY id)::int AS n, accountid AS account, id AS contact, id::char(18) AS contact_char,
		left(id, 15) AS contact15, lastname::varchar(20) AS name, ext_id__c AS ext FROM here.contact;
INSERT INTO orders VALUES (9001, NULL, NULL, NULL, NULL, NULL, NULL), (9002, 'x', 'x', 'x', 'x', 'x', 'x');
CREATE TABLE days AS SELECT closedate AS day, amount::int8 AS whole, createddate AS at, amount::float8 AS dbl FROM here.opportunity ORDER BY id LIMIT 30;
ANALYZE signups;
ANALYZE orders;
ANALYZE days;

-- What it looks like.
SELECT plan('SELECT s.n, c.lastname FROM signups s JOIN crm.contact c ON c.email = s.email');
SELECT plan('SELECT s.n, c.lastname FROM signups s LEFT JOIN crm.contact c ON s.email = c.email AND c.lastname > s.source AND c.mailingcity IS NOT NULL WHERE c.title IS NULL', 'VERBOSE, COSTS OFF');
SELECT plan('SELECT s.n, c.lastname FROM signups s JOIN crm.contact c ON c.email = s.email AND length(c.lastname) > s.n', :'actual');
DO $$
DECLARE j jsonb;
BEGIN
	EXECUTE 'EXPLAIN (FORMAT JSON, ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF) SELECT s.n, c.lastname FROM signups s JOIN crm.contact c ON c.email = s.email AND length(c.lastname) > 4 WHERE s.n < 4' INTO j;
	j := j -> 0 -> 'Plan';
	RAISE WARNING '% | % | % | % | % | % | %', j -> 'Custom Plan Provider', j -> 'Join Type', j -> 'Key', j -> 'Batch Size', j -> 'Batches', j -> 'Keys', j -> 'Plans' -> 1 -> 'API Calls';
END $$;
\! $SANDBOXCTL mark
SELECT s.n, c.lastname FROM signups s JOIN crm.contact c ON c.email = s.email WHERE s.n IN (1, 2, 1001, 3001) OR s.n > 4000 ORDER BY s.n, c.id;
\! $SANDBOXCTL soql

-- Every kind of join, by a key that is unique and by one that is not.
SELECT * FROM compare('SELECT s.n, c.id, c.lastname FROM signups s JOIN crm.contact c ON c.email = s.email');
SELECT * FROM compare('SELECT s.n, c.id, c.lastname FROM signups s LEFT JOIN crm.contact c ON c.email = s.email');
SELECT * FROM compare('SELECT s.n, c.id, c.lastname FROM crm.contact c RIGHT JOIN signups s ON c.email = s.email AND c.lastname < ''H''');
SELECT * FROM compare('SELECT s.n FROM signups s WHERE EXISTS (SELECT FROM crm.contact c WHERE c.email = s.email)');
SELECT * FROM compare('SELECT s.n FROM signups s WHERE NOT EXISTS (SELECT FROM crm.contact c WHERE c.email = s.email)');
SELECT * FROM compare('SELECT s.n FROM signups s WHERE s.email IN (SELECT email FROM crm.contact)');
SELECT * FROM compare('SELECT c.id FROM crm.contact c WHERE c.email IN (SELECT email FROM signups)');
SELECT * FROM compare('SELECT c.id FROM crm.contact c WHERE EXISTS (SELECT FROM signups s WHERE s.email = c.email AND s.n < 20)');
SELECT * FROM compare('SELECT o.n, c.lastname FROM orders o JOIN crm.contact c ON c.id = o.contact WHERE o.n % 4 = 0');
SELECT * FROM compare('SELECT o.n, c.lastname FROM orders o LEFT JOIN crm.contact c ON c.id = o.contact AND c.email IS NOT NULL WHERE o.n % 4 = 0 OR o.n > 9000');
SELECT * FROM compare('SELECT o.n FROM orders o WHERE o.n % 4 > 2 AND EXISTS (SELECT FROM crm.contact c WHERE c.id = o.contact AND c.lastname <> ''Smith'')');
SELECT * FROM compare('SELECT o.n FROM orders o WHERE (o.n % 7 > 5 OR o.n > 9000) AND NOT EXISTS (SELECT FROM crm.contact c WHERE c.id = o.contact AND c.email IS NULL)');
-- full joins are not
SELECT * FROM compare('SELECT s.n, c.id FROM signups s FULL JOIN crm.contact c ON c.email = s.email');

-- Keys of every type: Ids as text, char(n) and varchar; lookups; external ids; texts; numbers; dates; times.
SELECT * FROM compare('SELECT o.n, c.lastname FROM orders o JOIN crm.contact c ON c.id = o.contact_char WHERE o.n < 30');
SELECT * FROM compare('SELECT o.n, c.lastname FROM orders o JOIN crm.contact c ON c.id = o.contact15 WHERE o.n < 30');
SELECT * FROM compare('SELECT o.n, c.id FROM orders o JOIN crm.contact c ON c.accountid = o.account WHERE o.n < 7');
SELECT * FROM compare('SELECT o.n, c.id FROM orders o LEFT JOIN crm.contact c ON c.accountid = o.account WHERE o.n < 7 OR o.n > 9000');
SELECT * FROM compare('SELECT o.n, c.id FROM orders o JOIN crm.contact c ON c.lastname = o.name WHERE o.n < 20');
SELECT * FROM compare('SELECT o.n, c.id FROM orders o JOIN crm.contact c ON c.ext_id__c = o.ext WHERE o.n < 50');
SELECT * FROM compare('SELECT d.day, o.id FROM days d JOIN crm.opportunity o ON o.closedate = d.day');
SELECT * FROM compare('SELECT d.at, o.id FROM days d JOIN crm.opportunity o ON o.createddate = d.at');
SELECT * FROM compare('SELECT d.whole, a.id FROM (SELECT DISTINCT whole / 1000 AS whole FROM days LIMIT 5) d JOIN crm.account a ON a.numberofemployees = d.whole');
SELECT * FROM compare('SELECT v.x, a.id FROM (VALUES (10::int2), (100), (NULL), (-1)) v(x) JOIN crm.account a ON a.numberofemployees = v.x');
SELECT * FROM compare('SELECT v.x, a.id FROM (VALUES (10.0), (100), (NULL), (0.5), (''NaN'')) v(x) JOIN crm.account a ON a.annualrevenue = v.x');
-- a key that is computed, and keys of a subquery, a function, a series
SELECT * FROM compare('SELECT s.n, c.id FROM signups s JOIN crm.contact c ON c.email = rtrim(lower(s.email)) WHERE s.n > 2000');
SELECT * FROM compare('SELECT q.email, q.k, c.id FROM (SELECT email, count(*) k FROM signups GROUP BY email HAVING count(*) > 1) q LEFT JOIN crm.contact c USING (email)');
SELECT * FROM compare('SELECT u.e, c.id FROM unnest(ARRAY(SELECT email FROM signups WHERE n < 5)) u(e) JOIN crm.contact c ON c.email = u.e');

-- Two columns: one is the key.  Conditions of the foreign table go out with the keys.
SELECT * FROM compare('SELECT o.n, c.id FROM orders o JOIN crm.contact c ON c.accountid = o.account AND c.lastname = o.name WHERE o.n < 30');
SELECT plan('SELECT o.n FROM orders o JOIN crm.contact c ON c.id = o.contact AND c.lastname = o.name WHERE o.n < 30 AND c.hasoptedoutofemail = false');
SELECT * FROM compare('SELECT o.n FROM orders o JOIN crm.contact c ON c.id = o.contact AND c.lastname = o.name WHERE o.n < 30 AND c.hasoptedoutofemail = false');

-- Whole rows, placeholders, and what is null by an outer join above.
SELECT * FROM compare('SELECT o.n, c FROM orders o JOIN crm.contact c ON c.id = o.contact WHERE o.n < 5');
SELECT * FROM compare('SELECT o, c.id FROM orders o LEFT JOIN crm.contact c ON c.id = o.contact WHERE o.n < 5 OR o.n > 9000');
SELECT * FROM compare('SELECT o.n, q.x, q.id FROM orders o LEFT JOIN (SELECT id, coalesce(email, ''none'') AS x FROM crm.contact) q ON q.id = o.contact WHERE o.n < 12 OR o.n > 9000');
SELECT * FROM compare('SELECT s.n, o.n AS m, q.x FROM signups s LEFT JOIN (orders o JOIN (SELECT id, coalesce(email, ''none'') AS x, lastname FROM crm.contact) q ON q.id = o.contact) ON o.n = s.n WHERE s.n < 8 OR s.n > 1000');
SELECT * FROM compare('SELECT s.n, a.id, b.id AS bid FROM signups s LEFT JOIN crm.contact a ON a.email = s.email LEFT JOIN crm.lead b ON b.email = a.email WHERE s.n < 20 OR s.n > 1000');
SELECT * FROM compare('SELECT s.n, c.id, a.name FROM signups s JOIN crm.contact c ON c.email = s.email LEFT JOIN crm.account a ON a.id = c.accountid WHERE s.n < 10');
-- between foreign tables that are not one statement
SELECT * FROM compare('SELECT l.id, c.id AS cid FROM crm.lead l JOIN crm.contact c ON c.email = l.email WHERE l.leadsource = ''Web''');
-- a join that is one statement is asked by keys as well: of the object, of a parent
SELECT plan('SELECT s.n, a.name FROM signups s JOIN crm.contact c ON c.email = s.email JOIN crm.account a ON a.id = c.accountid AND a.industry IS NOT NULL WHERE s.n < 10');
SELECT * FROM compare('SELECT s.n, c.id, a.name FROM signups s JOIN crm.contact c ON c.email = s.email JOIN crm.account a ON a.id = c.accountid WHERE s.n < 10');
SELECT * FROM compare('SELECT s.n, q.id, q.name FROM signups s LEFT JOIN (SELECT c.id, c.email, a.name FROM crm.contact c LEFT JOIN crm.account a ON a.id = c.accountid) q ON q.email = s.email WHERE s.n < 10 OR s.n > 1000');
SELECT * FROM compare('SELECT o.n, q.id FROM orders o JOIN (SELECT c.id, a.id AS aid FROM crm.contact c LEFT JOIN crm.account a ON a.id = c.accountid OFFSET 0) q ON q.aid = o.account WHERE o.n < 4');
SELECT * FROM compare('SELECT v.x, c.id, a.id AS aid FROM (SELECT DISTINCT account AS x FROM orders WHERE n < 6) v JOIN crm.account a ON a.id = v.x JOIN crm.contact c ON c.accountid = a.id');
-- a subquery in the condition
SELECT * FROM compare('SELECT s.n, c.id FROM signups s LEFT JOIN crm.contact c ON c.email = s.email AND (SELECT count(*) FROM orders o WHERE o.name = c.lastname) > 3 WHERE s.n < 30');

-- Batches: a call for each, and a key is asked for once.
ALTER FOREIGN TABLE crm.contact OPTIONS (ADD lookup_batch '5');
SET enable_hashjoin = off;
SET enable_mergejoin = off;
SET enable_nestloop = off;
SELECT * FROM compare('SELECT s.n, c.id, c.lastname FROM signups s JOIN crm.contact c ON c.email = s.email WHERE s.n < 13');
SELECT * FROM compare('SELECT s.n, c.id, c.lastname FROM signups s LEFT JOIN crm.contact c ON c.email = s.email WHERE s.n < 13 OR s.n > 1000');
SELECT * FROM compare('SELECT s.n FROM signups s WHERE NOT EXISTS (SELECT FROM crm.contact c WHERE c.email = s.email) AND (s.n < 13 OR s.n > 1000)');
SELECT * FROM compare('SELECT o.n, c.lastname FROM orders o JOIN crm.contact c ON c.id = o.contact WHERE o.n < 13');
SELECT * FROM compare('SELECT g, c.lastname FROM generate_series(1, 400) g JOIN orders o ON o.n = g % 3 + 1 JOIN crm.contact c ON c.id = o.contact');
SELECT plan('SELECT o.n, c.lastname FROM orders o LEFT JOIN crm.contact c ON c.id = o.contact WHERE o.n BETWEEN 10 AND 21', :'actual');
-- the order of the outer rows stays, so a LIMIT ends it after the first calls
SELECT plan('SELECT o.n, c.lastname FROM orders o JOIN crm.contact c ON c.id = o.contact ORDER BY o.n DESC LIMIT 4', :'actual');
SELECT same_order('SELECT o.n, c.lastname FROM orders o JOIN crm.contact c ON c.id = o.contact ORDER BY o.n DESC LIMIT 14');
SELECT same_order('SELECT o.n, c.lastname FROM orders o LEFT JOIN crm.contact c ON c.id = o.contact ORDER BY o.n DESC OFFSET 3');
RESET enable_hashjoin;
RESET enable_mergejoin;
RESET enable_nestloop;
ALTER FOREIGN TABLE crm.contact OPTIONS (SET lookup_batch '0');
ALTER FOREIGN TABLE crm.contact OPTIONS (SET lookup_batch '2001');
ALTER FOREIGN TABLE crm.contact OPTIONS (DROP lookup_batch);

-- Keys in plenty, in few calls; long ones in more; with quotes; and one that no field can hold.
SET enable_hashjoin = off;
SET enable_mergejoin = off;
SET enable_nestloop = off;
ALTER FOREIGN TABLE crm.contact OPTIONS (ADD lookup_batch '2000');
SELECT * FROM compare('SELECT g, c.id FROM generate_series(1, 1500) g LEFT JOIN crm.contact c ON c.email = ''person'' || g || ''@mail.example''');
SELECT * FROM compare('SELECT g, c.id FROM generate_series(1, 30) g JOIN crm.contact c ON c.lastname = CASE g WHEN 29 THEN ''O''''Neill'' ELSE repeat(g::text, 1990) END');
SELECT * FROM compare('SELECT v.x, c.id FROM (VALUES (''O''''Neill''), (''back\slash''), (repeat(''x'', 5000)), (E''two\nlines''), (''50%'')) v(x) LEFT JOIN crm.contact c ON c.lastname = v.x');
ALTER FOREIGN TABLE crm.contact OPTIONS (DROP lookup_batch);
RESET enable_hashjoin;
RESET enable_mergejoin;
RESET enable_nestloop;

-- Joined by trial, in memory that does not stay.
SET geqo_threshold = 2;
SELECT * FROM compare('SELECT s.n, c.lastname, l.company, a.name FROM signups s JOIN crm.contact c ON c.email = s.email LEFT JOIN crm.lead l ON l.email = s.email LEFT JOIN crm.account a ON a.id = c.accountid WHERE s.n < 9');
RESET geqo_threshold;

-- Little memory: several batches, the same rows.
CREATE TABLE many AS SELECT g AS n, (SELECT contact FROM orders WHERE orders.n = g % 50 + 1) AS contact,
	(SELECT email FROM signups WHERE signups.n = g % 40 + 1) AS email, repeat('x', 40) AS filler FROM generate_series(1, 3000) g;
ANALYZE many;
SET work_mem = '64kB';
SELECT * FROM compare('SELECT m.n, c.id FROM many m JOIN crm.contact c ON c.id = m.contact');
SELECT * FROM compare('SELECT m.n, c.id FROM many m LEFT JOIN crm.contact c ON c.email = m.email');
RESET work_mem;

-- Again and again: correlated, lateral, cursors, prepared statements.
SELECT * FROM compare('SELECT v.k, (SELECT string_agg(c.lastname, '','' ORDER BY c.id) FROM signups s JOIN crm.contact c ON c.email = s.email WHERE s.n <= v.k AND c.lastname > v.t) FROM (VALUES (3, ''A''), (5, ''M''), (5, ''M''), (0, ''A'')) v(k, t)');
SELECT * FROM compare('SELECT v.k, q.* FROM (VALUES (3), (6)) v(k), LATERAL (SELECT s.n, c.id FROM signups s JOIN crm.contact c ON c.email = s.email WHERE s.n < v.k ORDER BY s.n, c.id LIMIT 4) q');
BEGIN;
DECLARE c SCROLL CURSOR FOR SELECT o.n, c.lastname FROM orders o JOIN crm.contact c ON c.id = o.contact WHERE o.n < 6 ORDER BY o.n;
FETCH 2 FROM c;
FETCH LAST FROM c;
FETCH BACKWARD 2 FROM c;
FETCH ABSOLUTE 1 FROM c;
COMMIT;
BEGIN;
DECLARE h CURSOR WITH HOLD FOR SELECT o.n, c.lastname FROM orders o JOIN crm.contact c ON c.id = o.contact WHERE o.n < 6 ORDER BY o.n;
FETCH 1 FROM h;
COMMIT;
FETCH ALL FROM h;
CLOSE h;
PREPARE p(int, text) AS SELECT count(*), count(c.id) FROM signups s LEFT JOIN crm.contact c ON c.email = s.email AND c.lastname > $2 WHERE s.n < $1;
SET plan_cache_mode = force_generic_plan;
EXECUTE p(20, 'A');
EXECUTE p(5, 'M');
EXECUTE p(NULL, 'M');
RESET plan_cache_mode;
DEALLOCATE p;

-- Who may see what: a view with a barrier hides rows from conditions of whoever asks it.
CREATE VIEW adults WITH (security_barrier) AS SELECT id, lastname, email FROM crm.contact WHERE length(lastname) > 4;
CREATE VIEW signed WITH (security_barrier) AS SELECT n, email FROM signups WHERE n < 20;
CREATE FUNCTION tell(text) RETURNS text LANGUAGE plpgsql STABLE COST 0.0001 AS $$ BEGIN RAISE WARNING 'told %', $1; RETURN $1; END $$;
SELECT plan('SELECT v.n, a.id FROM signed v JOIN adults a ON a.email = v.email');
SELECT plan('SELECT v.n, c.id FROM signed v JOIN crm.contact c ON c.email = v.email');
SELECT count(*), count(DISTINCT v.n) FROM signed v JOIN adults a ON a.email = v.email;
SELECT count(*) FROM (SELECT n, email FROM signups WHERE n < 2) v JOIN adults a ON a.email = tell(v.email);
-- another user's mapping
GRANT SELECT ON crm.contact, signups TO guest;
GRANT USAGE ON SCHEMA crm TO guest;
CREATE VIEW owners AS SELECT s.n, c.lastname FROM signups s JOIN crm.contact c ON c.email = s.email WHERE s.n < 3;
GRANT SELECT ON owners TO guest;
SET ROLE guest;
SELECT count(*) FROM owners;
DO $$ BEGIN
	PERFORM count(*) FROM signups s JOIN crm.contact c ON c.email = s.email WHERE s.n < 3;
EXCEPTION WHEN undefined_object THEN RAISE WARNING 'guest has no user mapping'; END $$;
RESET ROLE;

-- Writing.  A local table from Salesforce; Salesforce from a local table, with all of its rows read first.
CREATE TABLE enriched AS SELECT n, email, NULL::text AS lastname FROM signups;
ANALYZE enriched;
SELECT plan('UPDATE enriched e SET lastname = c.lastname FROM crm.contact c WHERE c.email = e.email AND e.n < 10');
UPDATE enriched e SET lastname = c.lastname FROM (SELECT email, max(lastname) AS lastname FROM crm.contact GROUP BY email) c WHERE c.email = e.email AND e.n < 10;
SELECT count(lastname), count(*) FROM enriched;
DELETE FROM enriched e USING crm.contact c WHERE c.email = e.email AND e.n < 6;
SELECT count(*) FROM enriched;
SELECT n FROM enriched e JOIN crm.contact c ON c.email = e.email WHERE e.n < 8 ORDER BY e.n FOR UPDATE OF e;
-- each name becomes the next one: no row may be met twice
SET enable_hashjoin = off;
SET enable_mergejoin = off;
SET enable_nestloop = off;
ALTER FOREIGN TABLE crm.lead OPTIONS (ADD lookup_batch '1', ADD batch_size '1');
CREATE TABLE renames (old text, new text);
INSERT INTO renames SELECT 'chain' || g, 'chain' || g + 1 FROM generate_series(1, 6) g;
ANALYZE renames;
INSERT INTO crm.lead (lastname, company) SELECT 'chain' || g, 'Chains' FROM generate_series(1, 3) g;
SELECT plan('UPDATE crm.lead l SET lastname = r.new FROM renames r WHERE l.lastname = r.old');
UPDATE crm.lead l SET lastname = r.new FROM renames r WHERE l.lastname = r.old;
SELECT lastname FROM crm.lead WHERE company = 'Chains' ORDER BY lastname;
-- whoever is missing, and twice in the list, is inserted twice, as into a local table
INSERT INTO crm.lead (lastname, company) SELECT v.n, 'Missing' FROM (VALUES ('m1'), ('m2'), ('m1'), ('chain2')) v(n) LEFT JOIN crm.lead l ON l.lastname = v.n WHERE l.id IS NULL;
SELECT lastname, count(*) FROM crm.lead WHERE company = 'Missing' GROUP BY lastname ORDER BY lastname;
DELETE FROM crm.lead l USING (VALUES ('m1'), ('chain2')) v(n) WHERE l.lastname = v.n;
SELECT lastname FROM crm.lead WHERE company IN ('Missing', 'Chains') ORDER BY lastname;
ALTER FOREIGN TABLE crm.lead OPTIONS (DROP lookup_batch, DROP batch_size);
RESET enable_hashjoin;
RESET enable_mergejoin;
RESET enable_nestloop;

-- A setting turns it off.  Then a nested loop asks a call for each row, if there are few.
SET ampsf.enable_key_lookup = off;
SELECT plan('SELECT s.n, c.lastname FROM signups s JOIN crm.contact c ON c.email = s.email');
ALTER SERVER sf OPTIONS (ADD call_cost '1');
SELECT plan('SELECT o.n, c.lastname FROM orders o JOIN crm.contact c ON c.id = o.contact WHERE o.n = 3');
SELECT plan('SELECT o.n, c.lastname FROM orders o JOIN crm.contact c ON c.email > o.name AND c.accountid = o.account AND c.lastname LIKE o.name || ''%'' WHERE o.n = 3', 'VERBOSE, COSTS OFF');
SELECT * FROM compare('SELECT o.n, c.lastname FROM orders o JOIN crm.contact c ON c.id = o.contact WHERE o.n < 4');
SELECT * FROM compare('SELECT o.n, c.lastname FROM orders o LEFT JOIN crm.contact c ON c.lastname = o.name AND c.accountid = o.account WHERE o.n IN (3, 4, 9001)');
SELECT * FROM compare('SELECT o.n, c.lastname FROM orders o JOIN crm.contact c ON c.lastname = o.name AND o.name = ''Smith''');
SELECT * FROM compare('SELECT d.day, o.id FROM (SELECT * FROM days LIMIT 2) d JOIN crm.opportunity o ON o.closedate >= d.day AND o.closedate < d.day + 3');
SELECT * FROM compare('SELECT d.day, o.id FROM (SELECT * FROM days LIMIT 2) d JOIN crm.opportunity o ON o.closedate >= d.day AND o.amount = d.whole');
SELECT * FROM compare('SELECT o.n, (SELECT count(*) FROM crm.contact c WHERE c.accountid = o.account) FROM orders o WHERE o.n < 4');
SELECT * FROM compare('SELECT o.n, q.id FROM orders o, LATERAL (SELECT c.id FROM crm.contact c WHERE c.accountid = o.account ORDER BY c.id LIMIT 1) q WHERE o.n < 4');
ALTER SERVER sf OPTIONS (DROP call_cost);
-- equal keys one after another are one call
SELECT plan('SELECT v.x, (SELECT c.lastname FROM crm.contact c WHERE c.id = v.x) FROM (SELECT contact AS x FROM orders, generate_series(1, 3) WHERE n IN (1, 2) ORDER BY n) v', :'actual');
