-- Writing: INSERT, UPDATE, DELETE, COPY; what goes out, what comes back, and what a refusal says.
SET client_min_messages = notice;
\set SHOW_CONTEXT errors
\! $SANDBOXCTL reset demo >/dev/null

-- INSERT: one row, many rows, nothing, from a query
\! $SANDBOXCTL mark
INSERT INTO crm.contact (lastname, firstname) VALUES ('Curie', 'Marie');
INSERT INTO crm.contact (lastname, firstname, email) VALUES
	('Curie', 'Pierre', NULL), ('Joliot', 'Frédéric', 'f@example.org'), ('Meitner', NULL, '');
INSERT INTO crm.contact (lastname) SELECT 'nobody' WHERE false;
\! $SANDBOXCTL calls | grep -v oauth2
SELECT lastname, firstname, email, hasoptedoutofemail, ownerid IS NOT NULL AS owner FROM crm.contact
	WHERE lastname IN ('Curie', 'Joliot', 'Meitner', 'nobody') ORDER BY id;
-- 450 rows are three calls
\! $SANDBOXCTL mark
INSERT INTO crm.contact (lastname, department) SELECT 'Batch ' || i, 'batch' FROM generate_series(1, 450) i;
\! $SANDBOXCTL calls | grep -v oauth2
SELECT count(*), count(DISTINCT lastname) FROM crm.contact WHERE department = 'batch';
-- fewer to a call
ALTER FOREIGN TABLE crm.contact OPTIONS (ADD batch_size '2');
\! $SANDBOXCTL mark
INSERT INTO crm.contact (lastname, department) SELECT 'Small ' || i, 'small' FROM generate_series(1, 5) i;
UPDATE crm.contact SET title = 'T' WHERE department = 'small';
DELETE FROM crm.contact WHERE department = 'small';
\! $SANDBOXCTL calls | grep -v oauth2
ALTER FOREIGN TABLE crm.contact OPTIONS (DROP batch_size);

-- values come back as they were: every type, quotes, backslashes, line ends, other scripts, NULL
CREATE TABLE invoices AS SELECT * FROM crm.invoice__c LIMIT 0;
INSERT INTO invoices (ext_id__c, amount__c, quantity__c, discount__c, due_date__c, paid_at__c, cutoff_time__c, paid__c,
		status__c, notes__c, contact_email__c, document_url__c, location__latitude__s, location__longitude__s, short_text__c) VALUES
	('w-1', 12345678901234.56, 5, 12.5, '2024-02-29', '2024-02-29 23:59:59.123+00', '23:59:59.5', true,
		'Paid', E'a "quoted" \\ back\\slash\nline\r\nend\ttab '' single', 'a@example.org', 'https://example.org/?a=b&c=d', 48.85, -2.35, '北京 ☂ 😀 é'),
	('w-2', -0.01, NULL, NULL, NULL, NULL, NULL, false, NULL, NULL, NULL, NULL, NULL, NULL, '</script>%00'),
	('w-3', 0, 0, 0, '1700-01-01', '1970-01-01 00:00:00+00', '00:00', false, 'Draft', repeat('x', 131072), NULL, NULL, 0, 0, '{}[]",:');
INSERT INTO crm.invoice__c (ext_id__c, amount__c, quantity__c, discount__c, due_date__c, paid_at__c, cutoff_time__c, paid__c,
		status__c, notes__c, contact_email__c, document_url__c, location__latitude__s, location__longitude__s, short_text__c)
	SELECT ext_id__c, amount__c, quantity__c, discount__c, due_date__c, paid_at__c, cutoff_time__c, paid__c,
		status__c, notes__c, contact_email__c, document_url__c, location__latitude__s, location__longitude__s, short_text__c FROM invoices;
SELECT l.ext_id__c,
	(l.amount__c, l.quantity__c, l.discount__c, l.due_date__c, l.cutoff_time__c, l.paid__c, l.status__c, l.contact_email__c, l.document_url__c, l.short_text__c)
		IS NOT DISTINCT FROM
	(r.amount__c, r.quantity__c, r.discount__c, r.due_date__c, r.cutoff_time__c, r.paid__c, r.status__c, r.contact_email__c, r.document_url__c, r.short_text__c) AS same,
	l.notes__c IS NOT DISTINCT FROM r.notes__c AS notes, l.paid_at__c - r.paid_at__c AS lost,
	r.location__c
	FROM invoices l JOIN crm.invoice__c r USING (ext_id__c) ORDER BY 1;
-- what Salesforce cannot keep is refused before it is sent
INSERT INTO crm.invoice__c (ext_id__c, due_date__c) VALUES ('w-9', '1699-12-31');
INSERT INTO crm.invoice__c (ext_id__c, due_date__c) VALUES ('w-9', 'infinity');

-- RETURNING: the Id and what was sent cost no further call, all else one
\! $SANDBOXCTL mark
INSERT INTO crm.contact (lastname, firstname) VALUES ('Noether', 'Emmy') RETURNING id, lastname, upper(firstname) AS f;
\! $SANDBOXCTL calls | grep -v oauth2
\! $SANDBOXCTL mark
INSERT INTO crm.contact (lastname, firstname) VALUES ('Noether', 'Max'), ('Noether', 'Fritz')
	RETURNING id, name, isdeleted, email, createddate > '2020-01-01' AS created, tableoid::regclass;
\! $SANDBOXCTL calls | grep -v oauth2
\! $SANDBOXCTL mark
UPDATE crm.contact SET title = 'Prof.' WHERE lastname = 'Noether' RETURNING id, title;
\! $SANDBOXCTL calls | grep -v oauth2
UPDATE crm.contact SET firstname = 'Emil' WHERE lastname = 'Noether' AND firstname = 'Max' RETURNING id, name, title, contact.email IS NULL AS email;
WITH c AS (INSERT INTO crm.contact (lastname) VALUES ('Cte') RETURNING id, lastname) SELECT c.id ~ '^003' AS id, lastname FROM c;
WITH c AS (UPDATE crm.contact SET title = 'unread' WHERE lastname = 'Cte') SELECT 1 AS one;
SELECT lastname, title FROM crm.contact WHERE lastname = 'Cte';
WITH c AS (DELETE FROM crm.contact WHERE lastname = 'Cte' RETURNING *) SELECT lastname, name, title FROM c;
\! $SANDBOXCTL mark
DELETE FROM crm.contact WHERE lastname = 'Noether' RETURNING name, title, contact IS NOT NULL AS row_not_null;
\! $SANDBOXCTL calls | grep -v oauth2

-- UPDATE: one, many, with a join, from a subquery; only what is set is sent; NULL is sent
\! $SANDBOXCTL mark
UPDATE crm.contact SET firstname = NULL, title = 'Dr.' WHERE lastname = 'Joliot';
UPDATE crm.contact SET title = left(lastname, 3) WHERE department = 'batch';
UPDATE crm.contact SET title = 'none' WHERE lastname = 'nobody';
\! $SANDBOXCTL calls | grep -v oauth2
SELECT lastname, firstname, title, email FROM crm.contact WHERE lastname = 'Joliot';
SELECT title, count(*) FROM crm.contact WHERE department = 'batch' GROUP BY 1;
CREATE TABLE salaries (lastname text, grade int);
INSERT INTO salaries VALUES ('Curie', 1), ('Meitner', 2), ('Meitner', 2), ('Nobody', 3);
UPDATE crm.contact c SET title = 'grade ' || grade FROM salaries s WHERE s.lastname = c.lastname;
SELECT lastname, firstname, title FROM crm.contact WHERE title LIKE 'grade%' ORDER BY id;
UPDATE crm.contact SET (title, department) = (SELECT 'of ' || count(*), 'x' FROM salaries) WHERE lastname = 'Meitner'
	RETURNING lastname, title, department;
UPDATE crm.contact SET lastname = lastname || '-Curie' WHERE lastname = 'Joliot' AND firstname IS NULL RETURNING lastname;

-- DELETE
\! $SANDBOXCTL mark
DELETE FROM crm.contact WHERE department = 'batch';
\! $SANDBOXCTL calls | grep -v oauth2
DELETE FROM crm.contact c USING salaries s WHERE s.lastname = c.lastname AND grade = 2;
SELECT count(*) FROM crm.contact WHERE department = 'batch' OR lastname = 'Meitner';

-- EXPLAIN: nothing is sent without ANALYZE
CREATE FUNCTION plan(q text, options text DEFAULT ', ANALYZE, TIMING OFF, SUMMARY OFF') RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE line text;
BEGIN
	FOR line IN EXECUTE 'EXPLAIN (VERBOSE, COSTS OFF' || options || ') ' || q LOOP
		CONTINUE WHEN line ~ 'Output:|SOQL:|Buffers:|Planning|Memory';
		line := regexp_replace(line, '(Bytes \w+): [1-9]\d*', '\1: N');
		RETURN NEXT regexp_replace(line, 'rows=(\d+)\.00', 'rows=\1');
	END LOOP;
END $$;
\! $SANDBOXCTL mark
CREATE FOREIGN TABLE small (id text OPTIONS (field 'Id'), lastname text OPTIONS (field 'LastName'), name text OPTIONS (field 'Name', updateable 'false'),
	department text OPTIONS (field 'Department')) SERVER sf OPTIONS (object 'Contact');
SELECT plan($$INSERT INTO small (lastname, department) SELECT 'x', 'y'$$, '');
SELECT plan($$INSERT INTO small (lastname) SELECT 'x' RETURNING id, lastname$$, '');
SELECT plan($$INSERT INTO small (lastname) SELECT 'x' RETURNING id, name, department$$, '');
SELECT plan($$UPDATE small SET lastname = 'x', department = NULL RETURNING id, lastname$$, '');
SELECT plan($$UPDATE small SET lastname = 'x' RETURNING name$$, '');
SELECT plan($$UPDATE small SET lastname = department FROM generate_series(1, 2)$$, '');
SELECT plan($$DELETE FROM small WHERE id = '003000000000000AAA' RETURNING department$$, '');
\! $SANDBOXCTL calls | grep -v oauth2
SELECT plan($$INSERT INTO crm.contact (lastname, department) SELECT 'Explain ' || i, 'explain' FROM generate_series(1, 201) i$$);
SELECT plan($$UPDATE crm.contact SET title = 'x' WHERE department = 'explain'$$);
SELECT plan($$DELETE FROM crm.contact WHERE department = 'explain'$$);

-- prepared statements, past the point where the plan becomes generic
PREPARE ins(text, text) AS INSERT INTO crm.contact (lastname, firstname) VALUES ($1, $2) RETURNING lastname, firstname;
EXECUTE ins('P', '1'); EXECUTE ins('P', NULL); EXECUTE ins('P', '3'); EXECUTE ins('P', '4'); EXECUTE ins('P', '5'); EXECUTE ins('P', '6'); EXECUTE ins('P', '7');
PREPARE upd(text, text) AS UPDATE crm.contact SET title = $1 WHERE lastname = 'P' AND firstname = $2;
EXECUTE upd('a', '1'); EXECUTE upd('b', '3'); EXECUTE upd('c', NULL); EXECUTE upd('d', '4'); EXECUTE upd('e', '5'); EXECUTE upd('f', '6'); EXECUTE upd(NULL, '1'); EXECUTE upd('g', '7');
SELECT firstname, title FROM crm.contact WHERE lastname = 'P' ORDER BY 1;
PREPARE del(text) AS DELETE FROM crm.contact WHERE lastname = $1;
SET plan_cache_mode = force_generic_plan;
EXECUTE del('P');
EXECUTE del('P');
RESET plan_cache_mode;
DEALLOCATE ALL;

-- defaults here are sent; DEFAULT without one, and columns that are not named, are left to Salesforce
ALTER FOREIGN TABLE crm.contact ALTER COLUMN leadsource SET DEFAULT 'Web';
\! $SANDBOXCTL mark
INSERT INTO crm.contact (lastname, title) VALUES ('Default', DEFAULT) RETURNING lastname, leadsource, title;
INSERT INTO crm.contact (id, lastname, leadsource) VALUES (DEFAULT, 'Default', NULL) RETURNING lastname, leadsource;
INSERT INTO crm.contact (id, lastname) VALUES (DEFAULT, 'Default'), (NULL, 'Default') RETURNING id IS NOT NULL AS id, leadsource;
ALTER FOREIGN TABLE crm.contact ALTER COLUMN leadsource DROP DEFAULT;
INSERT INTO crm.invoice__c DEFAULT VALUES RETURNING name LIKE 'INV-%' AS name, status__c, paid__c;
-- generated columns
CREATE FOREIGN TABLE gen (
	id text OPTIONS (field 'Id'),
	lastname text OPTIONS (field 'LastName'),
	firstname text OPTIONS (field 'FirstName'),
	greeting text OPTIONS (field 'Title') GENERATED ALWAYS AS ('Dear ' || firstname) STORED
) SERVER sf OPTIONS (object 'Contact');
INSERT INTO gen (lastname, firstname) VALUES ('Gen', 'A') RETURNING greeting;
SELECT lastname, title FROM crm.contact WHERE lastname = 'Gen';
UPDATE gen SET firstname = 'B' WHERE lastname = 'Gen';
SELECT title FROM crm.contact WHERE lastname = 'Gen';
INSERT INTO gen (lastname, greeting) VALUES ('Gen', 'x');
DELETE FROM gen WHERE lastname = 'Gen';
DROP FOREIGN TABLE gen;

-- triggers: BEFORE may change and suppress, AFTER sees the row as it is
CREATE FUNCTION before_row() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	IF NEW.lastname = 'skip' THEN RETURN NULL; END IF;
	NEW.title := TG_OP; NEW.department := 'trigger';
	RETURN NEW;
END $$;
CREATE FUNCTION after_row() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	IF TG_OP = 'DELETE' THEN RAISE NOTICE '% old %', TG_OP, OLD.name; RETURN NULL; END IF;
	RAISE NOTICE '% old % new % % id %', TG_OP, CASE TG_OP WHEN 'UPDATE' THEN OLD.name END, NEW.name, NEW.title, NEW.id ~ '^003';
	RETURN NULL;
END $$;
CREATE FUNCTION after_statement() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	RAISE NOTICE '% statement: % rows', TG_OP, (SELECT count(*) FROM crm.contact WHERE department = 'trigger');
	RETURN NULL;
END $$;
CREATE TRIGGER b BEFORE INSERT OR UPDATE ON crm.contact FOR EACH ROW EXECUTE FUNCTION before_row();
CREATE TRIGGER s AFTER INSERT OR UPDATE OR DELETE ON crm.contact FOR EACH STATEMENT EXECUTE FUNCTION after_statement();
\! $SANDBOXCTL mark
INSERT INTO crm.contact (lastname) VALUES ('T1'), ('skip'), ('T2');
\! $SANDBOXCTL calls | grep sobjects
\! $SANDBOXCTL mark
UPDATE crm.contact SET firstname = 'f' WHERE department = 'trigger';
\! $SANDBOXCTL calls | grep sobjects
SELECT lastname, firstname, title FROM crm.contact WHERE department = 'trigger' ORDER BY 1;
CREATE TRIGGER a AFTER INSERT OR UPDATE OR DELETE ON crm.contact FOR EACH ROW EXECUTE FUNCTION after_row();
INSERT INTO crm.contact (lastname, firstname) VALUES ('T3', 'Three');
UPDATE crm.contact SET lastname = lower(lastname) WHERE department = 'trigger';
-- a WITH clause whose rows nobody reads is carried out, and before its triggers
WITH d AS (DELETE FROM crm.contact WHERE lastname = 't1') SELECT 1 AS one;
DELETE FROM crm.contact WHERE department = 'trigger';
DROP TRIGGER a ON crm.contact; DROP TRIGGER s ON crm.contact;
-- what a trigger sets must be writable too
CREATE OR REPLACE FUNCTION before_row() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN NEW.lastmodifieddate := '2020-01-01'; RETURN NEW; END $$;
INSERT INTO crm.contact (lastname) VALUES ('T4');
UPDATE crm.contact SET title = 'T5' WHERE lastname LIKE 'Curie';
DROP TRIGGER b ON crm.contact;

-- columns that cannot be written: refused before any call
\! $SANDBOXCTL mark
INSERT INTO crm.contact (lastname, createddate) VALUES ('x', now());
INSERT INTO crm.contact (id, lastname) VALUES ('003000000000000AAA', 'x');
UPDATE crm.contact SET name = 'x';
UPDATE crm.contact SET mailingaddress = '{}';
UPDATE crm.opportunity SET contactid = NULL;
CREATE FOREIGN TABLE parents (id text OPTIONS (field 'Id'), lastname text OPTIONS (field 'LastName'),
	account_name text OPTIONS (field 'Account.Name')) SERVER sf OPTIONS (object 'Contact');
UPDATE parents SET account_name = 'x';
INSERT INTO parents (lastname, account_name) VALUES ('x', 'y');
ALTER FOREIGN TABLE parents DROP COLUMN id;
UPDATE parents SET lastname = 'x';
DELETE FROM parents;
ALTER FOREIGN TABLE parents OPTIONS (ADD updatable 'false');
INSERT INTO parents (lastname) VALUES ('x');
DROP FOREIGN TABLE parents;
INSERT INTO crm.contact (lastname) VALUES ('x') ON CONFLICT (id) DO NOTHING;
INSERT INTO crm.contact (lastname) VALUES ('x') ON CONFLICT (id) DO UPDATE SET lastname = 'y';
BEGIN READ ONLY;
INSERT INTO crm.contact (lastname) VALUES ('x');
ROLLBACK;
\! $SANDBOXCTL calls | grep -v oauth2

-- refusals by Salesforce: row, code, fields, and what had been written
INSERT INTO crm.contact (firstname) VALUES ('x');
INSERT INTO crm.contact (lastname) VALUES ('R1'), (repeat('x', 81)), ('R3'), (NULL), ('R5');
SELECT lastname FROM crm.contact WHERE lastname ~ '^R\d$' ORDER BY 1;
INSERT INTO crm.contact (lastname) SELECT CASE i WHEN 250 THEN repeat('x', 81) ELSE 'many' END FROM generate_series(1, 450) i;
SELECT count(*) FROM crm.contact WHERE lastname = 'many';
INSERT INTO crm.invoice__c (status__c) VALUES ('no such status');
INSERT INTO crm.invoice__c (ext_id__c) VALUES ('W-1');
INSERT INTO crm.contact (lastname, accountid) VALUES ('x', '001000000000000AAA');
INSERT INTO crm.contact (lastname, accountid) VALUES ('x', 'x');
UPDATE crm.contact SET lastname = CASE firstname WHEN 'Marie' THEN lastname ELSE repeat('x', 81) END WHERE lastname = 'Curie';
UPDATE crm.contact SET lastname = NULL WHERE lastname = 'R1' RETURNING id;
-- an error elsewhere in the statement tells as well what stays
UPDATE crm.contact SET title = (300 / (300 - row))::text
	FROM (SELECT id, row_number() OVER (ORDER BY id) AS row FROM crm.contact WHERE lastname = 'many') o
	WHERE o.id = contact.id AND lastname = 'many';
DO $$
BEGIN
	INSERT INTO crm.contact (firstname) VALUES ('x');
EXCEPTION WHEN not_null_violation THEN
	RAISE NOTICE 'caught: %', SQLERRM;
END $$;
-- after an error nothing waits: the next statement sends its own rows only
\! $SANDBOXCTL mark
UPDATE crm.contact SET title = 'ok' WHERE lastname = 'R1';
\! $SANDBOXCTL calls | grep sobjects

-- rows that vanish between reading and writing
CREATE FUNCTION vanish(victim text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN DELETE FROM crm.contact WHERE id = victim; RETURN 'gone'; END $$;
UPDATE crm.contact SET title = CASE lastname WHEN 'R3' THEN vanish(id) ELSE 'kept' END WHERE lastname IN ('R1', 'R3', 'R5');
SELECT lastname, title FROM crm.contact WHERE lastname ~ '^R\d$' ORDER BY 1;
UPDATE crm.contact SET title = vanish(id) WHERE lastname = 'R5' RETURNING lastname;
UPDATE crm.contact SET title = vanish(id) WHERE lastname = 'R1' RETURNING name;
INSERT INTO crm.contact (lastname) VALUES ('R6');
DELETE FROM crm.contact WHERE lastname = 'R6' AND vanish(id) = 'gone';

-- COPY
\! $SANDBOXCTL mark
COPY crm.contact (lastname, firstname, department) FROM stdin;
Copy	1	copy
Copy	\N	copy
Copy	"3"\\	copy
\.
\! $SANDBOXCTL calls | grep -v oauth2
SELECT firstname FROM crm.contact WHERE department = 'copy' ORDER BY id;
\set SHOW_CONTEXT never
COPY crm.contact (lastname, createddate) FROM stdin;
Copy	2024-01-01
\.
COPY crm.contact (lastname, department) FROM stdin;
\N	copy
Copy	copy
\.
\set SHOW_CONTEXT errors
DELETE FROM crm.contact WHERE department = 'copy';

-- WITH CHECK OPTION
CREATE VIEW copies AS SELECT id, lastname, department FROM small WHERE department = 'view' WITH CHECK OPTION;
INSERT INTO copies (lastname, department) VALUES ('V1', 'view');
INSERT INTO copies (lastname, department) VALUES ('V2', 'other');
UPDATE copies SET department = 'other';
UPDATE copies SET lastname = 'V3' RETURNING lastname, department;
DELETE FROM crm.contact WHERE lastname IN ('V2', 'V3');
DROP VIEW copies;

-- partitions: rows are routed, updates and deletes find theirs
CREATE TABLE people (department text, lastname text, id text) PARTITION BY LIST (department);
CREATE TABLE people_local PARTITION OF people FOR VALUES IN ('local');
CREATE FOREIGN TABLE people_sf (id text OPTIONS (field 'Id'), lastname text OPTIONS (field 'LastName'),
	department text OPTIONS (field 'Department'), title text OPTIONS (field 'Title')) SERVER sf OPTIONS (object 'Contact');
ALTER FOREIGN TABLE people_sf DROP COLUMN title;
ALTER TABLE people ATTACH PARTITION people_sf FOR VALUES IN ('sf');
\! $SANDBOXCTL mark
INSERT INTO people (lastname, department) SELECT 'Part ' || i, CASE WHEN i % 2 = 0 THEN 'sf' ELSE 'local' END FROM generate_series(1, 6) i;
COPY people (department, lastname) FROM stdin;
sf	Part 7
local	Part 8
sf	Part 9
\.
\! $SANDBOXCTL calls | grep sobjects
INSERT INTO people (lastname, department) VALUES ('Part 10', 'sf') RETURNING id ~ '^003' AS id, lastname, department, tableoid::regclass;
SELECT tableoid::regclass, lastname FROM people WHERE department IN ('sf', 'local') ORDER BY 1, 2;
UPDATE people SET lastname = lastname || '!' WHERE department IN ('sf', 'local');
SELECT tableoid::regclass, lastname, id IS NOT NULL AS id FROM people WHERE lastname LIKE '%!' ORDER BY 1, 2;
UPDATE people SET department = 'sf' WHERE department IN ('sf', 'local');
DELETE FROM people WHERE department = 'sf' RETURNING lastname;
UPDATE people SET department = 'sf' WHERE department = 'local' AND lastname LIKE 'Part 1%';
SELECT lastname FROM crm.contact WHERE department = 'sf';
DELETE FROM people WHERE department = 'sf';
DROP TABLE people;

-- transactions: a rollback here does not reach Salesforce; PREPARE is refused
BEGIN;
INSERT INTO crm.contact (lastname) VALUES ('Rolled back');
ROLLBACK;
SELECT count(*) FROM crm.contact WHERE lastname = 'Rolled back';
BEGIN;
INSERT INTO crm.contact (lastname) VALUES ('Prepared');
SET LOCAL client_min_messages = error;
PREPARE TRANSACTION 'ampsf';
ROLLBACK;

-- locked rows are tried again; those that stay locked are an error
\! $SANDBOXCTL mark
\! $SANDBOXCTL fault 'path=*/composite/sobjects;count=1;do=lock-row'
UPDATE crm.contact SET title = 'lock' WHERE lastname IN ('Rolled back', 'Prepared');
\! $SANDBOXCTL calls | grep sobjects
\! $SANDBOXCTL fault 'path=*/composite/sobjects;count=99;do=lock-row'
UPDATE crm.contact SET title = 'locked' WHERE lastname = 'Prepared';
\! $SANDBOXCTL nofaults
-- an insert whose answer is lost is not sent again
\! $SANDBOXCTL mark
\! $SANDBOXCTL fault 'path=*/composite/sobjects;method=POST;count=1;do=reset-after'
INSERT INTO crm.contact (lastname) VALUES ('Lost'), ('Lost');
\! $SANDBOXCTL nofaults
\! $SANDBOXCTL calls | grep sobjects
SELECT count(*) FROM crm.contact WHERE lastname = 'Lost';
-- an update is
\! $SANDBOXCTL fault 'path=*/composite/sobjects;method=PATCH;count=1;do=reset-after'
UPDATE crm.contact SET title = 'found' WHERE lastname = 'Lost';
\! $SANDBOXCTL nofaults
SELECT count(*) FROM crm.contact WHERE lastname = 'Lost' AND title = 'found';
