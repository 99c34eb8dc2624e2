-- Transactions: what a rollback cannot undo is told; with write_at 'commit' changes wait for the commit.
SET client_min_messages = notice;
\set SHOW_CONTEXT errors
\! $SANDBOXCTL reset demo >/dev/null
CREATE VIEW t AS SELECT lastname, title FROM crm.contact WHERE department = 'xact' ORDER BY lastname COLLATE "C";

-- write_at 'statement', the default: written at once, and one warning for a rollback
BEGIN;
INSERT INTO crm.contact (lastname, department) VALUES ('a', 'xact'), ('b', 'xact');
UPDATE crm.contact SET title = 'x' WHERE department = 'xact' AND lastname = 'a';
INSERT INTO crm.account (name) VALUES ('xact');
DELETE FROM crm.account WHERE name = 'xact';
ROLLBACK;
TABLE t;
-- nothing written, nothing said
BEGIN; SELECT count(*) FROM t; ROLLBACK;
BEGIN; UPDATE crm.contact SET title = 'y' WHERE department = 'xact' AND lastname = 'nobody'; ROLLBACK;
BEGIN; INSERT INTO crm.contact (lastname, department) VALUES ('c', 'xact'); COMMIT;
-- an error that tells of all that its statement wrote says enough; of earlier ones the warning does
ALTER FOREIGN TABLE crm.contact OPTIONS (ADD batch_size '2');
INSERT INTO crm.contact (lastname, department, email) SELECT 'd' || i, 'xact', CASE i WHEN 4 THEN 'no mail' END FROM generate_series(1, 4) i;
BEGIN;
INSERT INTO crm.contact (lastname, department) VALUES ('e', 'xact');
-- (client and server do not agree on the order of an error and the warning: without it here)
SET client_min_messages = error;
INSERT INTO crm.contact (lastname, department, email) SELECT 'f' || i, 'xact', CASE i WHEN 3 THEN 'no mail' END FROM generate_series(1, 3) i;
ROLLBACK;
SET client_min_messages = notice;
ALTER FOREIGN TABLE crm.contact OPTIONS (DROP batch_size);
-- subtransactions: the first that is rolled back, and the transaction
BEGIN;
INSERT INTO crm.contact (lastname, department) VALUES ('h0', 'xact');
SAVEPOINT s;
INSERT INTO crm.contact (lastname, department) VALUES ('h1', 'xact');
SAVEPOINT s2;
INSERT INTO crm.contact (lastname, department) VALUES ('h2', 'xact');
RELEASE s2;
ROLLBACK TO s;
INSERT INTO crm.contact (lastname, department) VALUES ('h3', 'xact');
ROLLBACK TO s;
COMMIT;
DO $$
BEGIN
	FOR i IN 1 .. 3 LOOP
		BEGIN
			INSERT INTO crm.contact (lastname, department) VALUES ('i' || i, 'xact');
			RAISE division_by_zero;
		EXCEPTION WHEN division_by_zero THEN
		END;
	END LOOP;
END $$;
SELECT count(*) FROM t;
BEGIN;
INSERT INTO crm.contact (lastname, department) VALUES ('j', 'xact');
SET client_min_messages = error;
PREPARE TRANSACTION 'ampsf';
SET client_min_messages = notice;
-- read-only transactions and COPY
BEGIN READ ONLY;
UPDATE crm.contact SET title = 'z';
ROLLBACK;
DELETE FROM crm.contact WHERE department = 'xact';

-- write_at 'commit'
ALTER FOREIGN TABLE crm.contact OPTIONS (ADD write_at 'later');
ALTER FOREIGN TABLE crm.contact OPTIONS (ADD write_at 'commit');
ALTER FOREIGN TABLE crm.account OPTIONS (ADD write_at 'commit');
\! $SANDBOXCTL mark
INSERT INTO crm.contact (lastname, department) VALUES ('a', 'xact'), ('b', 'xact');
\! $SANDBOXCTL calls | grep -v oauth
TABLE t;
\! $SANDBOXCTL mark
BEGIN;
INSERT INTO crm.contact (lastname, department) VALUES ('c', 'xact');
UPDATE crm.contact SET title = 'of ' || lastname || ' "\/ é' WHERE department = 'xact';
DELETE FROM crm.contact WHERE department = 'xact' AND lastname = 'b';
INSERT INTO crm.account (name) VALUES ('xact');
-- not there yet
TABLE t;
COMMIT;
\! $SANDBOXCTL calls | grep -v 'oauth\|query'
TABLE t;
SELECT name FROM crm.account WHERE name = 'xact';
-- a rollback leaves nothing
\! $SANDBOXCTL mark
BEGIN;
INSERT INTO crm.contact (lastname, department) VALUES ('d', 'xact');
DELETE FROM crm.contact WHERE department = 'xact';
ROLLBACK;
BEGIN;
INSERT INTO crm.contact (lastname, department) VALUES ('d', 'xact');
SELECT 1 / 0;
COMMIT;
\! $SANDBOXCTL calls | grep -v 'oauth\|query'
TABLE t;

-- the same statements on a local table and on the org
CREATE TABLE model (lastname text, title text);
CREATE FOREIGN TABLE remote (id text OPTIONS (field 'Id'), lastname text, title text, department text)
	SERVER sf OPTIONS (object 'Contact', write_at 'commit');
CREATE PROCEDURE put(a text, b text) LANGUAGE sql AS $$
	INSERT INTO model VALUES (a, b); INSERT INTO remote (lastname, title, department) VALUES (a, b, 'model') $$;
CREATE PROCEDURE change(a text, b text) LANGUAGE sql AS $$
	UPDATE model SET title = b WHERE lastname = a; UPDATE remote SET title = b WHERE lastname = a AND department = 'model' $$;
CREATE PROCEDURE drop(a text) LANGUAGE sql AS $$
	DELETE FROM model WHERE lastname = a; DELETE FROM remote WHERE lastname = a AND department = 'model' $$;
CREATE VIEW difference AS
	(TABLE model EXCEPT ALL SELECT lastname, title FROM remote WHERE department = 'model')
	UNION ALL (SELECT lastname, title FROM remote WHERE department = 'model' EXCEPT ALL TABLE model);
DO $$ BEGIN FOR i IN 1 .. 20 LOOP CALL put('m' || i, NULL); END LOOP; END $$;
SELECT count(*), (SELECT count(*) FROM difference) AS differ FROM model;
-- savepoints, released and rolled back, several deep
BEGIN;
CALL change('m1', 'kept');
SAVEPOINT a;
CALL change('m2', 'lost');
SAVEPOINT b;
CALL drop('m3');
SAVEPOINT c;
CALL put('m21', 'lost');
RELEASE c;
RELEASE b;
ROLLBACK TO a;
CALL change('m4', 'kept');
SAVEPOINT b;
CALL drop('m5');
RELEASE b;
SAVEPOINT b;
CALL drop('m6');
ROLLBACK TO b;
CALL put('m22', 'kept');
RELEASE a;
SAVEPOINT d;
CALL drop('m7');
ROLLBACK TO d;
COMMIT;
SELECT count(*), string_agg(lastname, ' ' ORDER BY lastname COLLATE "C") FILTER (WHERE title = 'kept') AS kept,
	(SELECT count(*) FROM difference) AS differ FROM model;
-- what was released belongs to the savepoint around it, also if that has changed nothing itself
BEGIN;
SAVEPOINT a;
SAVEPOINT b;
SAVEPOINT c;
CALL put('m23', 'lost');
RELEASE c;
RELEASE b;
ROLLBACK TO a;
SAVEPOINT b;
CALL put('m24', 'released');
RELEASE b;
RELEASE a;
COMMIT;
SELECT count(*) FILTER (WHERE title = 'released') AS released, (SELECT count(*) FROM difference) AS differ FROM model;
-- exception blocks in loops and in each other
DO $$
BEGIN
	FOR i IN 1 .. 20 LOOP
		BEGIN
			CALL change('m' || i, 'loop');
			BEGIN
				CALL put('n' || i, 'inner');
				IF i % 3 = 0 THEN RAISE division_by_zero; END IF;
			EXCEPTION WHEN division_by_zero THEN
				CALL put('o' || i, 'handler');
				IF i % 2 = 0 THEN RAISE; END IF;
			END;
			IF i % 5 = 0 THEN RAISE raise_exception; END IF;
		EXCEPTION WHEN division_by_zero THEN
			CALL drop('m' || i);
		WHEN raise_exception THEN
			CALL put('p' || i, 'outer');
		END;
	END LOOP;
END $$;
SELECT title, count(*), (SELECT count(*) FROM difference) AS differ FROM model GROUP BY 1 ORDER BY 1;
-- a procedure that commits and rolls back
CREATE PROCEDURE in_parts() LANGUAGE plpgsql AS $$
BEGIN
	FOR i IN 1 .. 6 LOOP
		CALL put('q' || i, 'part');
		IF i % 2 = 0 THEN COMMIT; ELSIF i = 3 THEN ROLLBACK; END IF;
	END LOOP;
END $$;
CALL in_parts();
SELECT string_agg(lastname, ' ' ORDER BY lastname) AS parts, (SELECT count(*) FROM difference) AS differ FROM model WHERE title = 'part';
-- triggers, one of them deferred to the commit; a cursor that is kept over it
CREATE FUNCTION also() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO remote (lastname, title, department) VALUES (NEW.lastname, NEW.title, 'model');
	RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER also AFTER INSERT ON model DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION also();
BEGIN;
INSERT INTO model VALUES ('r1', 'deferred'), ('r2', 'deferred');
SAVEPOINT s;
INSERT INTO model VALUES ('r3', 'deferred');
ROLLBACK TO s;
COMMIT;
SELECT count(*), (SELECT count(*) FROM difference) AS differ FROM model WHERE title = 'deferred';
DROP TRIGGER also ON model;
CREATE FUNCTION put_f(a text) RETURNS text LANGUAGE plpgsql AS $$ BEGIN CALL put(a, 'held'); RETURN a; END $$;
BEGIN;
DECLARE held CURSOR WITH HOLD FOR SELECT put_f('s' || i) FROM generate_series(1, 3) i;
FETCH 1 FROM held;
COMMIT;
FETCH ALL FROM held;
CLOSE held;
SELECT count(*), (SELECT count(*) FROM difference) AS differ FROM model WHERE title = 'held';
CREATE FUNCTION see() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	RAISE NOTICE '% % -> %', TG_OP, to_jsonb(OLD) - 'id', to_jsonb(NEW) - 'id';
	RETURN NULL;
END $$;
CREATE TRIGGER see AFTER INSERT OR UPDATE OR DELETE ON remote FOR EACH ROW EXECUTE FUNCTION see();
CALL put('t', 'trigger');
CALL change('t', 'seen');
CALL drop('t');
DROP TRIGGER see ON remote;
SELECT count(*) AS differ FROM difference;

-- what is returned: what the statement gives, and what was read
INSERT INTO remote (lastname, department) VALUES ('u', 'returning') RETURNING lastname, department || '!' AS department, tableoid::regclass;
INSERT INTO remote (lastname) VALUES ('u') RETURNING id;
INSERT INTO remote (lastname) VALUES ('u') RETURNING remote;
INSERT INTO remote (lastname) VALUES ('u') RETURNING *;
INSERT INTO remote (lastname) VALUES ('u') RETURNING title IS NULL;
UPDATE remote SET title = 'new' WHERE lastname = 'u' RETURNING lastname, title, department, id ~ '^003' AS id;
DELETE FROM remote WHERE lastname = 'u' RETURNING lastname, title;
CREATE VIEW checked AS SELECT lastname, department FROM remote WHERE department = 'checked' WITH CHECK OPTION;
INSERT INTO checked VALUES ('v', 'checked');
INSERT INTO checked VALUES ('v', 'other');
INSERT INTO checked (lastname) VALUES ('v');
DELETE FROM checked;
EXPLAIN (VERBOSE, COSTS OFF) INSERT INTO remote (lastname) VALUES ('u');
-- COPY
COPY remote (lastname, department) FROM stdin;
w1	copy
w2	copy
\.
BEGIN;
COPY remote (lastname, department) FROM stdin;
w3	copy
\.
ROLLBACK;
SELECT count(*) FROM remote WHERE department = 'copy';
DELETE FROM remote WHERE department = 'copy';

-- TRUNCATE
CREATE FOREIGN TABLE cases (id text OPTIONS (field 'Id'), subject text) SERVER sf OPTIONS (object 'Case', write_at 'commit', truncatable 'true');
SELECT count(*) > 0 AS some FROM cases;
BEGIN; TRUNCATE cases; ROLLBACK;
SELECT count(*) > 0 AS some FROM cases;
TRUNCATE cases;
SELECT count(*) > 0 AS some FROM cases;
-- upsert by an external id, which goes into the address
CREATE FOREIGN TABLE invoice (ext text OPTIONS (field 'Ext_Id__c'), short text OPTIONS (field 'Short_Text__c'), amount numeric OPTIONS (field 'Amount__c'))
	SERVER sf OPTIONS (object 'Invoice__c', upsert_key 'Ext_Id__c', write_at 'commit');
\! $SANDBOXCTL mark
BEGIN;
INSERT INTO invoice VALUES ('x/1 "e"', 'a, "b": {c}', 1), ('x2', NULL, 2);
INSERT INTO invoice VALUES ('x2', 'again', 3);
COMMIT;
\! $SANDBOXCTL calls | grep -av 'oauth\|query'
SELECT * FROM invoice WHERE ext LIKE 'x%' AND amount < 4 ORDER BY amount;
INSERT INTO invoice VALUES (NULL, 'no key', 1);
-- options that contradict it
ALTER FOREIGN TABLE invoice OPTIONS (ADD on_error 'continue');
INSERT INTO invoice VALUES ('x3', 'c', 1);
ALTER FOREIGN TABLE invoice OPTIONS (DROP on_error);
ALTER FOREIGN TABLE cases OPTIONS (ADD hard_delete 'true');
INSERT INTO cases (subject) VALUES ('hard');
DELETE FROM cases;
DROP FOREIGN TABLE invoice, cases;
-- options that become headers, of each change
ALTER FOREIGN TABLE remote OPTIONS (ADD client_name 'by_graph');
INSERT INTO remote (lastname, department) VALUES ('h', 'header');
INSERT INTO remote (lastname, department) VALUES ('h', 'header');
ALTER FOREIGN TABLE remote OPTIONS (DROP client_name);
SELECT count(*) FROM remote WHERE department = 'header';
\! $SANDBOXCTL rule 'duplicate Contact LastName,Department alert' >/dev/null
INSERT INTO remote (lastname, department) VALUES ('h', 'header');
ALTER FOREIGN TABLE remote OPTIONS (ADD duplicate_rule 'allow');
INSERT INTO remote (lastname, department) VALUES ('h', 'header');
ALTER FOREIGN TABLE remote OPTIONS (DROP duplicate_rule);
\! $SANDBOXCTL norules
SELECT count(*) FROM remote WHERE department = 'header';
DELETE FROM remote WHERE department = 'header';

-- all or nothing
BEGIN;
INSERT INTO remote (lastname, department) VALUES ('x1', 'all');
UPDATE crm.contact SET email = 'no mail' WHERE department = 'xact' AND lastname = 'c';
INSERT INTO remote (lastname, department) VALUES ('x2', 'all');
COMMIT;
SELECT count(*) FROM remote WHERE department = 'all';
INSERT INTO remote (department) VALUES ('all');
-- also in a subtransaction's eyes: the transaction fails as a whole
BEGIN;
INSERT INTO model VALUES ('local', 'lost');
INSERT INTO remote (lastname, title) VALUES ('x3', repeat('x', 129));
COMMIT;
SELECT count(*) FROM model WHERE title = 'lost';
-- a row that others have deleted meanwhile: to be deleted, as wanted; to be updated, an error
CREATE FOREIGN TABLE other (id text OPTIONS (field 'Id'), lastname text, department text) SERVER sf OPTIONS (object 'Contact');
INSERT INTO other (lastname, department) VALUES ('y1', 'gone'), ('y2', 'gone'), ('y3', 'gone');
BEGIN;
DELETE FROM remote WHERE department = 'gone';
DELETE FROM other WHERE lastname = 'y2';
COMMIT;
SELECT count(*) FROM remote WHERE department = 'gone';
-- and where it is the only one
INSERT INTO other (lastname, department) VALUES ('y1', 'gone');
BEGIN;
DELETE FROM remote WHERE department = 'gone';
DELETE FROM other WHERE department = 'gone';
COMMIT;
SELECT count(*) FROM remote WHERE department = 'gone';
INSERT INTO other (lastname, department) VALUES ('y1', 'gone'), ('y2', 'gone');
BEGIN;
UPDATE remote SET title = 'lost' WHERE department = 'gone';
DELETE FROM other WHERE lastname = 'y2' AND department = 'gone';
\set VERBOSITY sqlstate
SET LOCAL client_min_messages = error;
COMMIT;
\set VERBOSITY default
SELECT lastname, title FROM remote WHERE department = 'gone';
-- a row that somebody has locked is tried again
\! $SANDBOXCTL fault 'path=*/composite/graph;count=2;do=lock-row'
\! $SANDBOXCTL mark
UPDATE remote SET title = 'locked' WHERE department = 'gone';
\! $SANDBOXCTL calls | grep 'graph\|  '
\! $SANDBOXCTL nofaults
SELECT lastname, title FROM remote WHERE department = 'gone';
DELETE FROM remote WHERE department = 'gone';

-- no more than 500
BEGIN;
INSERT INTO remote (lastname, department) SELECT 'z' || i, 'many' FROM generate_series(1, 500) i;
SAVEPOINT s;
INSERT INTO remote (lastname, department) VALUES ('z501', 'many');
ROLLBACK TO s;
\! $SANDBOXCTL mark
COMMIT;
\! $SANDBOXCTL calls | grep -v 'oauth\|query\|  '
SELECT count(*) FROM remote WHERE department = 'many';
-- rolled back changes are not among them
BEGIN;
UPDATE remote SET title = 'once' WHERE department = 'many' AND lastname < 'z3';
SAVEPOINT s;
UPDATE remote SET title = 'lost' WHERE department = 'many' AND lastname >= 'z3';
ROLLBACK TO s;
UPDATE remote SET title = 'twice' WHERE department = 'many' AND lastname >= 'z3';
COMMIT;
SELECT title, count(*) FROM remote WHERE department = 'many' GROUP BY 1 ORDER BY 1;
ALTER FOREIGN TABLE remote OPTIONS (ADD commit_overflow 'some');
ALTER FOREIGN TABLE remote OPTIONS (ADD commit_overflow 'batches');
-- beyond work_mem it is in a file
SET work_mem = '64kB';
BEGIN;
INSERT INTO remote (lastname, title, department) SELECT 'z' || i, repeat('é', 100), 'many' FROM generate_series(501, 900) i;
SAVEPOINT s;
INSERT INTO remote (lastname, title, department) SELECT 'z' || i, repeat('ü', 120), 'many' FROM generate_series(901, 1200) i;
ROLLBACK TO s;
INSERT INTO remote (lastname, title, department) SELECT 'z' || i, repeat('ö', 80), 'many' FROM generate_series(901, 1100) i;
\! $SANDBOXCTL mark
COMMIT;
\! $SANDBOXCTL calls | grep -v 'oauth\|query\|  '
RESET work_mem;
SELECT left(title, 1) AS title, length(title), count(*), count(DISTINCT lastname) FROM remote WHERE department = 'many' GROUP BY 1, 2 ORDER BY 2;
-- and a call that fails behind others says so
BEGIN;
DELETE FROM remote WHERE department = 'many' AND lastname <> 'z1';
INSERT INTO crm.contact (lastname, email) VALUES ('no', 'no mail');
COMMIT;
ALTER FOREIGN TABLE crm.contact OPTIONS (ADD commit_overflow 'batches');
BEGIN;
DELETE FROM remote WHERE department = 'many';
INSERT INTO crm.contact (lastname, email) VALUES ('no', 'no mail');
COMMIT;
SELECT count(*) FROM remote WHERE department = 'many';
DELETE FROM remote WHERE department = 'many';

-- no more than 15 kinds of changes
DO $$
DECLARE
	o text;
BEGIN
	FOREACH o IN ARRAY ARRAY['Account', 'Contact', 'Lead', 'Opportunity', 'Case', 'Campaign'] LOOP
		EXECUTE format('CREATE FOREIGN TABLE k_%s (id text OPTIONS (field ''Id''), description text) SERVER sf OPTIONS (object %L, write_at ''commit'')', lower(o), o);
	END LOOP;
END $$;
CREATE PROCEDURE kinds(o text) LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE format('INSERT INTO k_%1$s (description) VALUES (''k''), (''k'')', o);
	EXECUTE format('UPDATE k_%1$s SET description = ''k'' WHERE id = (SELECT min(id) FROM k_%1$s)', o);
	EXECUTE format('DELETE FROM k_%1$s WHERE id = (SELECT max(id) FROM k_%1$s)', o);
END $$;
BEGIN;
CALL kinds('account');
CALL kinds('contact');
CALL kinds('lead');
CALL kinds('opportunity');
SAVEPOINT s;
CALL kinds('campaign');
ROLLBACK TO s;
CALL kinds('case');
CALL kinds('lead');
INSERT INTO k_campaign (description) VALUES ('k');
ROLLBACK;

-- two logins
CREATE SERVER sf2 FOREIGN DATA WRAPPER ampsf_fdw OPTIONS (instance_url 'http://127.0.0.1:1', write_at 'commit');
CREATE USER MAPPING FOR CURRENT_USER SERVER sf2 OPTIONS (client_id 'sandbox', client_secret 'sandbox');
CREATE FOREIGN TABLE elsewhere (id text OPTIONS (field 'Id'), lastname text) SERVER sf2 OPTIONS (object 'Contact');
BEGIN;
INSERT INTO remote (lastname, department) VALUES ('1', 'two');
INSERT INTO elsewhere (lastname) VALUES ('2');
COMMIT;
BEGIN;
SAVEPOINT s;
INSERT INTO remote (lastname, department) VALUES ('1', 'two');
ROLLBACK TO s;
INSERT INTO elsewhere (lastname) VALUES ('2');
ROLLBACK;
DROP SERVER sf2 CASCADE;

-- both kinds in one transaction
BEGIN;
INSERT INTO other (lastname, department) VALUES ('1', 'both');
INSERT INTO remote (lastname, department) VALUES ('2', 'both');
ROLLBACK;
SELECT lastname FROM other WHERE department = 'both';
DELETE FROM other WHERE department = 'both';
-- PREPARE TRANSACTION, read-only, and a commit that fails behind Salesforce's
BEGIN;
INSERT INTO remote (lastname) VALUES ('1');
PREPARE TRANSACTION 'ampsf';
BEGIN READ ONLY;
INSERT INTO remote (lastname) VALUES ('1');
ROLLBACK;
SELECT count(*) FROM remote WHERE lastname = '1';
-- the table is gone before the commit, the change is made
BEGIN;
CREATE FOREIGN TABLE brief (lastname text, department text) SERVER sf OPTIONS (object 'Contact', write_at 'commit');
INSERT INTO brief VALUES ('brief', 'gone');
DROP FOREIGN TABLE brief;
COMMIT;
SELECT lastname FROM remote WHERE department = 'gone';
-- calls are counted
SELECT kind, calls > 10 AS calls, rows > 2000 AS rows FROM ampsf.usage WHERE kind = 'graph';
