-- What one statement cannot hold: lists that are cut into several, and fields that are.  All against copies.
\set VERBOSITY terse
SET client_min_messages = warning;
CREATE TABLE contact AS SELECT * FROM crm.contact;
CREATE TABLE account AS SELECT * FROM crm.account;
CREATE FUNCTION many(prefix text, n int, width int DEFAULT 0) RETURNS text[] LANGUAGE sql STABLE AS $$
	SELECT array_agg(prefix || rpad(g::text, width, 'x') ORDER BY g) FROM generate_series(1, n) g $$;
-- Ids that look like any, and are of no row.
CREATE FUNCTION ids(n int) RETURNS text[] LANGUAGE sql STABLE AS $$
	SELECT array_agg('003' || lpad(g::text, 12, '0') || 'AAA' ORDER BY g) FROM generate_series(100000, 99999 + n) g $$;
-- The lengths and the calls of the statements since the last mark.
CREATE FUNCTION explained(query text) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
	line text;
BEGIN
	FOR line IN EXECUTE 'EXPLAIN (ANALYZE, VERBOSE, COSTS OFF, TIMING OFF, SUMMARY OFF) ' || query LOOP
		IF line ~ '(Statements|API Calls|Rows Removed)' THEN
			RETURN NEXT regexp_replace(trim(line), '\.00', '');
		END IF;
	END LOOP;
END $$;

-- 10,000 Ids, of which 40 are of rows.
SELECT array_agg(id ORDER BY id) AS some FROM (SELECT id FROM contact ORDER BY id LIMIT 40) s \gset
CREATE TABLE wanted AS SELECT array_agg(i ORDER BY random()) AS list FROM unnest(ids(9960) || :'some'::text[]) i;
SELECT explained($$SELECT lastname, email FROM crm.contact WHERE id = ANY (ARRAY(SELECT unnest(list) FROM wanted))$$);
SELECT count(*), count(DISTINCT id) = 40 AS all FROM crm.contact WHERE id = ANY (ARRAY(SELECT unnest(list) FROM wanted));
-- The Id need not be among the columns, and duplicates and nulls in the list are none in the result.
SELECT count(*), md5(string_agg(lastname, ',' ORDER BY lastname COLLATE "C")) = (SELECT md5(string_agg(lastname, ',' ORDER BY lastname COLLATE "C")) FROM contact WHERE id = ANY (:'some')) AS same
	FROM crm.contact WHERE id = ANY (ARRAY(SELECT unnest(list || list || NULL::text || list) FROM wanted));
SELECT count(*) FROM crm.contact WHERE id = ANY (ARRAY(SELECT NULL::text FROM generate_series(1, 10)));
-- With other conditions, a limit, an order, aggregates.
SELECT count(*) = (SELECT count(*) FROM contact WHERE id = ANY (:'some') AND email IS NOT NULL) AS same
	FROM crm.contact WHERE id = ANY (ARRAY(SELECT unnest(list) FROM wanted)) AND email IS NOT NULL;
SELECT array_agg(id) = (:'some'::text[])[1:5] AS same FROM (SELECT id FROM crm.contact WHERE id = ANY (ARRAY(SELECT unnest(list) FROM wanted)) ORDER BY id COLLATE "C" LIMIT 5) f;
SELECT count(*) FROM (SELECT 1 FROM crm.contact WHERE id = ANY (ARRAY(SELECT unnest(list) FROM wanted)) LIMIT 7 OFFSET 3) f;

-- Texts: one that differs by case only is in two statements, and its row comes once.
SELECT count(*), count(*) = (SELECT count(*) FROM contact WHERE lastname = ANY (many('nobody ', 9000) || (SELECT array_agg(lastname) FROM contact WHERE id = ANY (:'some')))) AS same
	FROM crm.contact WHERE lastname = ANY (ARRAY(SELECT unnest(many('nobody ', 9000) || (SELECT array_agg(lastname) FROM contact WHERE id = ANY (:'some')))));
CREATE TABLE cases AS SELECT array_agg(n) AS list FROM (SELECT unnest(many('between them ', 6000, 30)) UNION ALL SELECT lower(lastname) FROM contact UNION ALL SELECT upper(lastname) FROM contact UNION ALL SELECT lastname FROM contact) v (n);
SELECT explained($$SELECT 1 FROM crm.contact WHERE lastname = ANY (ARRAY(SELECT unnest(list) FROM cases))$$);
SELECT count(*) = (SELECT count(*) FROM contact) AS same, count(DISTINCT id) = count(*) AS once FROM crm.contact WHERE lastname = ANY (ARRAY(SELECT unnest(list) FROM cases));
-- Texts of 4,000 characters, as long as a literal may be, each with quotes that take twice the room.
SELECT explained($$SELECT name FROM crm.account WHERE name = ANY (ARRAY(SELECT unnest(many('it''s ', 60, 3990) || 'Acme'::text)))$$);
SELECT name FROM crm.account WHERE name = ANY (ARRAY(SELECT unnest(many('it''s ', 60, 3990) || 'Acme'::text)));

-- Numbers and days; NOT IN and a second list are left out, and checked here.
SELECT count(*) = (SELECT count(*) FROM account WHERE numberofemployees = ANY (ARRAY(SELECT generate_series(0, 40000)))) AS same
	FROM crm.account WHERE numberofemployees = ANY (ARRAY(SELECT generate_series(0, 40000)));
SELECT count(*) = (SELECT count(*) FROM contact WHERE id <> ALL (:'some')) AS same
	FROM crm.contact WHERE id <> ALL (ARRAY(SELECT unnest(list) FROM wanted));
SELECT count(*) = (SELECT count(*) FROM contact WHERE id = ANY (:'some') AND lastname = ANY (SELECT unnest(list) FROM cases)) AS same
	FROM crm.contact WHERE id = ANY (ARRAY(SELECT unnest(list) FROM wanted)) AND lastname = ANY (ARRAY(SELECT unnest(list) FROM cases));
SELECT count(*) = (SELECT count(*) FROM contact WHERE id = ANY (:'some') OR email IS NULL) AS same
	FROM crm.contact WHERE id = ANY (ARRAY(SELECT unnest(list) FROM wanted)) OR email IS NULL;

-- Parameters: a short list, a long one, and none.
PREPARE named(text[]) AS SELECT count(*) FROM crm.contact WHERE lastname = ANY ($1);
SET plan_cache_mode = force_generic_plan;
SELECT list[1:20] AS few, list AS lots FROM cases \gset
EXECUTE named(:'few');
EXECUTE named(:'lots');
EXECUTE named('{}');
EXECUTE named(NULL);
RESET plan_cache_mode;
-- Rescans: lists of which the statement says the same, with other values.
SET ampsf.enable_key_lookup = off;
CREATE TABLE lists AS SELECT 1 AS no, ids(9000) || :'some'::text[] AS list UNION ALL SELECT 2, ids(9000) || (:'some'::text[])[1:7] UNION ALL SELECT 3, ids(9000) UNION ALL SELECT 4, (:'some'::text[])[1:2];
SELECT no, (SELECT count(*) FROM crm.contact WHERE id = ANY (list)) FROM lists ORDER BY no;
-- Joins along lookups, and a join whose condition is the list.
SELECT count(*) = (SELECT count(*) FROM contact c JOIN account a ON a.id = c.accountid WHERE c.id = ANY (:'some')) AS same
	FROM crm.contact c JOIN crm.account a ON a.id = c.accountid WHERE c.id = ANY (ARRAY(SELECT unnest(list) FROM wanted));
-- A cursor, some rows of it; a subtransaction that fails in the middle.
BEGIN;
DECLARE c CURSOR FOR SELECT id FROM crm.contact WHERE id = ANY (ARRAY(SELECT unnest(list) FROM wanted));
MOVE 3 FROM c;
SAVEPOINT s;
SELECT 1 / (length(id) - 18) FROM crm.contact WHERE id = ANY (ARRAY(SELECT unnest(list) FROM wanted));
ROLLBACK TO s;
MOVE ALL FROM c;
COMMIT;
-- UPDATE of what a long list names.
BEGIN;
UPDATE crm.contact SET department = 'Split' WHERE id = ANY (ARRAY(SELECT unnest(list) FROM wanted));
COMMIT;
SELECT count(*), bool_and(id = ANY (:'some')) AS those FROM crm.contact WHERE department = 'Split';

-- An OR of more than a statement holds.
SELECT string_agg(format('lastname = %L', 'nobody ' || rpad(g::text, 90, 'x')), ' OR ') || ' OR lastname = ''Curie'' OR email IS NULL' AS long_or FROM generate_series(1, 1500) g \gset
SELECT count(*) = (SELECT count(*) FROM contact WHERE :long_or) AS same FROM crm.contact WHERE :long_or;
SELECT count(*) = (SELECT count(*) FROM contact WHERE (:long_or) AND title IS NULL) AS same FROM crm.contact WHERE (:long_or) AND title IS NULL;
SELECT count(*) = (SELECT count(*) FROM contact WHERE (:long_or) AND title IS NULL) AS same FROM (SELECT 1 FROM crm.contact WHERE (:long_or) AND title IS NULL LIMIT 1000) f;

-- Fields: more names than a statement holds; the same in two tables, each of which can be asked at once.
CREATE TABLE paths AS SELECT row_number() OVER () AS no, prefix || substr(option, 7) AS path, format_type(atttypid, atttypmod) AS type
	FROM (VALUES ('Account.'), ('ReportsTo.Account.Parent.Parent.'), ('ReportsTo.ReportsTo.Account.Parent.'), ('ReportsTo.Account.Parent.Parent.Parent.'),
		('ReportsTo.ReportsTo.ReportsTo.Account.'), ('Account.Parent.Parent.'), ('ReportsTo.ReportsTo.ReportsTo.Account.Parent.'), ('ReportsTo.ReportsTo.Account.Parent.Parent.'), ('Account.Parent.Parent.Parent.'), ('Account.Parent.')) v (prefix), pg_attribute, unnest(attfdwoptions) option
	WHERE attrelid = 'crm.account'::regclass AND attnum > 0 AND option LIKE 'field=%' AND option !~ 'Address';
SELECT count(*), sum(length(path) + 2) AS all FROM paths;
DO $$
DECLARE
	statement text;
BEGIN
	FOR statement IN SELECT format('CREATE FOREIGN TABLE %I (id text, %s) SERVER sf OPTIONS (object ''Contact'')', name,
			string_agg(format('c%s %s OPTIONS (field %L)', no, type, path), ', ' ORDER BY no))
		FROM paths JOIN (VALUES ('wide', 0, 1), ('odd', 1, 2), ('even', 0, 2)) t (name, m, n) ON no % n = m GROUP BY name LOOP
		EXECUTE statement;
	END LOOP;
END $$;
SET ampsf.max_soql_length = 30000;
SELECT explained('TABLE wide');
CREATE TABLE halves AS SELECT e.id, to_jsonb(e) || to_jsonb(o) AS row FROM even e JOIN odd o USING (id);
SELECT count(*), count(*) FILTER (WHERE to_jsonb(w) = h.row) AS same, max((SELECT count(*) FROM jsonb_object_keys(jsonb_strip_nulls(to_jsonb(w))))) > 40 AS many_values
	FROM wide w FULL JOIN halves h USING (id);
-- Without the Id, with conditions, a limit, an order, a list that is too long as well, a cursor, rescans.
SELECT count(*) = (SELECT count(*) FROM crm.contact WHERE email IS NULL) AS same FROM (SELECT to_jsonb(w) - 'id' AS j FROM wide w JOIN contact USING (id) WHERE email IS NULL) f WHERE j <> '{}';
SELECT (SELECT to_jsonb(w) FROM wide w WHERE id = (:'some'::text[])[3]) = (SELECT row FROM halves WHERE id = (:'some'::text[])[3]) AS same;
SELECT array_agg(to_jsonb(w) = h.row) AS same FROM (SELECT * FROM wide ORDER BY id COLLATE "C" DESC LIMIT 3) w JOIN halves h USING (id);
SELECT explained('SELECT * FROM wide LIMIT 2') LIMIT 1;
SELECT count(to_jsonb(w)) AS all, sum((to_jsonb(w) = h.row)::int) AS same FROM wide w JOIN halves h USING (id) WHERE w.id = ANY (ARRAY(SELECT unnest(list) FROM wanted));
SELECT v.n, (SELECT count(to_jsonb(w)) FROM wide w WHERE w.id = ANY ((:'some'::text[])[1:v.n])) FROM generate_series(0, 3) v (n);
BEGIN;
DECLARE c CURSOR FOR SELECT to_jsonb(w) FROM wide w;
MOVE 5 FROM c;
CLOSE c;
COMMIT;
RESET ampsf.max_soql_length;
SELECT explained('TABLE wide');
