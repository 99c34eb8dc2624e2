-- Rows that Salesforce refuses, one by one: on_error, all_or_none, and the table that keeps them.
SET client_min_messages = notice;
\set SHOW_CONTEXT errors
\! $SANDBOXCTL reset demo >/dev/null
CREATE VIEW errors AS SELECT operation, relation, object, row_number AS n, record_id, "row", outcome, error_code, message, fields FROM ampsf.write_error ORDER BY id;

-- abort: the error lists what was written, and nothing is kept
INSERT INTO crm.contact (lastname, department) VALUES ('A1', 'abort'), (repeat('x', 81), 'abort'), ('A3', 'abort');
SELECT count(*) FROM ampsf.write_error;
SELECT lastname FROM crm.contact WHERE department = 'abort' ORDER BY 1;

-- continue: good rows go in, the others are kept; the counts are right
ALTER FOREIGN TABLE crm.contact OPTIONS (ADD on_error 'continue');
INSERT INTO crm.contact (lastname, department) VALUES ('C1', 'go'), (repeat('x', 81), 'go'), ('C3', 'go'), (NULL, 'go'), ('C5', 'go');
\echo :ROW_COUNT
SELECT lastname FROM crm.contact WHERE department = 'go' ORDER BY 1;
SELECT operation, relation, object, n, record_id, left("row" ->> 'LastName', 3) AS lastname, "row" ->> 'Department' AS department, outcome, error_code, message, fields FROM errors;
SELECT role = current_user::regrole AS mine, server, statement ~ '^INSERT INTO crm.contact' AS statement, "time" BETWEEN now() - interval '1 hour' AND now() + interval '1 hour' AS recently FROM ampsf.write_error;
DELETE FROM ampsf.write_error;
-- over several calls, with rows of a query, and what COPY counts
INSERT INTO crm.contact (lastname, department) SELECT CASE WHEN i % 100 = 7 THEN NULL ELSE 'Many ' || i END, 'many' FROM generate_series(1, 450) i;
\echo :ROW_COUNT
SELECT count(*) FROM crm.contact WHERE department = 'many';
SELECT array_agg(n ORDER BY n) FROM errors;
DELETE FROM ampsf.write_error;
COPY crm.contact (lastname, department) FROM stdin;
Copy 1	copy
\N	copy
Copy 3	copy
\.
SELECT lastname FROM crm.contact WHERE department = 'copy' ORDER BY 1;
SELECT n, "row" FROM errors;
DELETE FROM ampsf.write_error;
-- RETURNING shows what was written, and only that; so do AFTER triggers
INSERT INTO crm.contact (lastname, department) VALUES ('R1', 'ret'), (NULL, 'ret'), ('R3', 'ret') RETURNING lastname, id IS NOT NULL AS id;
CREATE FUNCTION tell() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE NOTICE '% %', TG_OP, coalesce(NEW.lastname, OLD.lastname); RETURN NULL; END $$;
CREATE TRIGGER t AFTER INSERT OR UPDATE OR DELETE ON crm.contact FOR EACH ROW EXECUTE FUNCTION tell();
INSERT INTO crm.contact (lastname, department) VALUES ('T1', 'ret'), (NULL, 'ret');
UPDATE crm.contact SET lastname = CASE lastname WHEN 'R1' THEN NULL ELSE lastname || '+' END WHERE department = 'ret';
DROP TRIGGER t ON crm.contact;
UPDATE crm.contact SET lastname = CASE lastname WHEN 'R1' THEN NULL ELSE lastname || '+' END WHERE department = 'ret' RETURNING lastname;
-- UPDATE and DELETE, collected and direct
UPDATE crm.contact SET lastname = CASE lastname WHEN 'R1' THEN repeat('y', 81) ELSE lastname || '+' END WHERE department = 'ret';
\echo :ROW_COUNT
SELECT lastname FROM crm.contact WHERE department = 'ret' ORDER BY 1;
SELECT operation, n, record_id IS NOT NULL AS id, left("row" ->> 'LastName', 1) AS lastname, error_code FROM errors;
TRUNCATE ampsf.write_error;
UPDATE crm.contact SET accountid = '001000000000000AAA' WHERE createddate >= '2020-01-01' AND department IS NOT NULL;
\echo :ROW_COUNT
SELECT operation, error_code, count(*) = (SELECT count(*) FROM crm.contact WHERE createddate >= '2020-01-01' AND department IS NOT NULL) AS "all" FROM errors GROUP BY 1, 2;
DELETE FROM ampsf.write_error;

-- a rollback, an exception, a savepoint: what was kept stays
BEGIN;
INSERT INTO crm.contact (lastname, department) VALUES (NULL, 'rolled back');
ROLLBACK;
DO $$
BEGIN
	INSERT INTO crm.contact (lastname, department) VALUES (NULL, 'exception');
	RAISE division_by_zero;
EXCEPTION WHEN division_by_zero THEN
	RAISE NOTICE 'caught';
END $$;
BEGIN; SAVEPOINT s;
INSERT INTO crm.contact (lastname, department) VALUES (NULL, 'savepoint');
ROLLBACK TO s; COMMIT;
INSERT INTO crm.contact (lastname, department) SELECT NULL, (1 / (3 - i))::text FROM generate_series(1, 3) i;
SELECT "row" FROM errors;
DELETE FROM ampsf.write_error;

-- values come as they are: every kind of character, and JSON that jsonb cannot hold
CREATE FOREIGN TABLE odd (id text OPTIONS (field 'Id'), lastname text OPTIONS (field 'LastName'), department text OPTIONS (field 'Department'),
	title json OPTIONS (field 'Title', type 'string')) SERVER sf OPTIONS (object 'Contact', on_error 'continue');
INSERT INTO odd (department, title) VALUES (E'a "quoted" \\ é '' \t', '"x\u0000\\u0000"');
SELECT operation, relation, "row", error_code FROM errors;
DELETE FROM ampsf.write_error;

-- each role sees its own; nobody adds rows
CREATE ROLE regress_ampsf_a; CREATE ROLE "regress ampsf B";
GRANT USAGE ON SCHEMA crm TO regress_ampsf_a, "regress ampsf B";
GRANT SELECT, INSERT ON crm.contact TO regress_ampsf_a, "regress ampsf B";
GRANT USAGE ON FOREIGN SERVER sf TO regress_ampsf_a;
CREATE USER MAPPING IF NOT EXISTS FOR PUBLIC SERVER sf OPTIONS (client_id 'sandbox', client_secret 'sandbox');
SET ROLE regress_ampsf_a;
INSERT INTO crm.contact (department) VALUES ('of a');
SELECT role, "row" FROM ampsf.write_error;
SET ROLE "regress ampsf B";
INSERT INTO crm.contact (department) VALUES ('of b');
SELECT role, "row" FROM ampsf.write_error;
DELETE FROM ampsf.write_error WHERE "row" ->> 'Department' = 'of a';
INSERT INTO ampsf.write_error (role, server, relation, object, operation, row_number, "row", outcome) VALUES ('regress_ampsf_a', '', '', '', '', 1, '{}', '');
UPDATE ampsf.write_error SET server = '';
TRUNCATE ampsf.write_error;
DELETE FROM ampsf.write_error;
SELECT count(*) FROM ampsf.write_error;
RESET ROLE;
SELECT role, "row" FROM ampsf.write_error;
DELETE FROM ampsf.write_error;

-- all_or_none: of a call with a bad row nothing is written
ALTER FOREIGN TABLE crm.contact OPTIONS (ADD all_or_none 'on', SET on_error 'abort');
INSERT INTO crm.contact (lastname, department) VALUES ('N1', 'none'), (NULL, 'none'), ('N3', 'none');
SELECT count(*) FROM crm.contact WHERE department = 'none';
ALTER FOREIGN TABLE crm.contact OPTIONS (SET on_error 'continue', ADD batch_size '2');
INSERT INTO crm.contact (lastname, department) VALUES ('N1', 'none'), ('N2', 'none'), ('N3', 'none'), (NULL, 'none'), ('N5', 'none');
SELECT lastname FROM crm.contact WHERE department = 'none' ORDER BY 1;
SELECT n, "row", error_code FROM errors;
DELETE FROM ampsf.write_error;
\! $SANDBOXCTL mark
UPDATE crm.contact SET title = 'x' WHERE department = 'none';
\! $SANDBOXCTL calls | grep sobjects
-- the rows of such a call that was held up by a lock go once more, all of them
\! $SANDBOXCTL mark
\! $SANDBOXCTL fault 'path=*/composite/sobjects;count=1;do=lock-row'
UPDATE crm.contact SET title = 'y' WHERE department = 'none';
\! $SANDBOXCTL nofaults
\! $SANDBOXCTL calls | grep sobjects
SELECT lastname, title FROM crm.contact WHERE department = 'none' ORDER BY 1;
ALTER FOREIGN TABLE crm.contact OPTIONS (DROP on_error, DROP all_or_none, DROP batch_size);
SELECT count(*) FROM ampsf.write_error;
ALTER FOREIGN TABLE crm.contact OPTIONS (ADD on_error 'ignore');
ALTER FOREIGN TABLE crm.contact OPTIONS (ADD client_name E'a\nb');
ALTER FOREIGN TABLE crm.contact OPTIONS (ADD assignment_rule 'perhaps');
REVOKE ALL ON SCHEMA crm FROM regress_ampsf_a, "regress ampsf B"; REVOKE ALL ON crm.contact FROM regress_ampsf_a, "regress ampsf B";
DROP OWNED BY regress_ampsf_a; DROP ROLE regress_ampsf_a, "regress ampsf B";
