-- UPDATE and DELETE whose rows Salesforce finds alone: Ids are read and written, and no row passes the executor.
SET client_min_messages = notice;
\set SHOW_CONTEXT errors
\! $SANDBOXCTL reset demo >/dev/null
CREATE FUNCTION plan(q text, options text DEFAULT '') RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE line text;
BEGIN
	FOR line IN EXECUTE 'EXPLAIN (VERBOSE, COSTS OFF' || options || ') ' || q LOOP
		CONTINUE WHEN line ~ 'Output:|Buffers:|Planning|Memory|Superset:|Exact:|Filter:|Local:';
		line := regexp_replace(line, '(Bytes \w+): [1-9]\d*', '\1: N');
		RETURN NEXT regexp_replace(line, 'rows=(\d+)\.00', 'rows=\1');
	END LOOP;
END $$;
CREATE FUNCTION is_direct(q text) RETURNS boolean LANGUAGE sql AS
	$$ SELECT bool_or(line ~ 'Foreign (Update|Delete)') FROM plan(q) line $$;

INSERT INTO crm.invoice__c (ext_id__c, amount__c, status__c, paid__c, due_date__c)
	SELECT 'd-' || i, i, CASE i % 3 WHEN 0 THEN 'Draft' WHEN 1 THEN 'Sent' END, i % 2 = 0, date '2030-01-01' + i FROM generate_series(1, 450) i;
-- a local copy goes through the same statements
CREATE TABLE copy AS SELECT id, ext_id__c, amount__c, status__c, paid__c, due_date__c, discount__c FROM crm.invoice__c;
CREATE FUNCTION also(q text) RETURNS TABLE (org bigint, copy bigint, same boolean) LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE format(q, 'crm.invoice__c'); GET DIAGNOSTICS org = ROW_COUNT;
	EXECUTE format(q, 'copy'); GET DIAGNOSTICS copy = ROW_COUNT;
	SELECT NOT EXISTS (
		(TABLE copy EXCEPT ALL SELECT id, ext_id__c, amount__c, status__c, paid__c, due_date__c, discount__c FROM crm.invoice__c)
		UNION ALL
		(SELECT id, ext_id__c, amount__c, status__c, paid__c, due_date__c, discount__c FROM crm.invoice__c EXCEPT ALL TABLE copy)) INTO same;
	RETURN NEXT;
END $$;
SELECT * FROM also('SELECT FROM %s');

-- which are direct, and what is read and written
SELECT plan('UPDATE crm.invoice__c SET discount__c = 5 WHERE amount__c > 200 AND due_date__c IS NOT NULL');
SELECT plan('DELETE FROM crm.invoice__c WHERE amount__c > 440');
SELECT is_direct('UPDATE crm.invoice__c SET discount__c = 5') AS "all", is_direct('UPDATE crm.invoice__c SET due_date__c = current_date') AS stable,
	is_direct('UPDATE crm.invoice__c SET discount__c = (SELECT 5)') AS initplan, is_direct('DELETE FROM crm.invoice__c') AS del,
	is_direct('UPDATE crm.invoice__c SET discount__c = NULL, status__c = DEFAULT WHERE paid__c') AS nulls;
SELECT is_direct('UPDATE crm.invoice__c SET discount__c = amount__c') AS var, is_direct('UPDATE crm.invoice__c SET discount__c = random()') AS volatile,
	is_direct('UPDATE crm.invoice__c SET discount__c = 5 WHERE ext_id__c = ''x''') AS superset,
	is_direct('DELETE FROM crm.invoice__c WHERE amount__c + 1 > 2') AS local, is_direct('DELETE FROM crm.invoice__c RETURNING id') AS returning,
	is_direct('DELETE FROM crm.invoice__c i USING copy c WHERE i.id = c.id') AS "join";
-- Ids only, and 200 a call
\! $SANDBOXCTL mark
UPDATE crm.invoice__c SET discount__c = 1.5, due_date__c = '2031-12-31' WHERE amount__c <= 450 AND amount__c > 0 AND due_date__c > '2030-01-01' AND due_date__c < '2032-01-01';
UPDATE copy SET discount__c = 1.5, due_date__c = '2031-12-31' WHERE amount__c <= 450 AND amount__c > 0 AND due_date__c > '2030-01-01' AND due_date__c < '2032-01-01';
\! $SANDBOXCTL soql
\! $SANDBOXCTL calls | grep sobjects
SELECT * FROM also('SELECT FROM %s');
SELECT plan('UPDATE crm.invoice__c SET discount__c = 1.5 WHERE discount__c = 1.5', ', ANALYZE, TIMING OFF, SUMMARY OFF');

-- the same as a table here
SELECT * FROM also('UPDATE %s SET discount__c = NULL WHERE amount__c BETWEEN 10 AND 20');
SELECT * FROM also('UPDATE %s SET status__c = NULL, paid__c = false WHERE discount__c IS NULL');
SELECT * FROM also('UPDATE %s SET status__c = DEFAULT WHERE amount__c = 100');
SELECT * FROM also('UPDATE %s SET discount__c = (SELECT 7.25) WHERE paid__c');
SELECT * FROM also('UPDATE %s SET discount__c = 1 WHERE amount__c > 100000');
SELECT * FROM also('UPDATE %s SET discount__c = 1 WHERE false');
SELECT * FROM also('UPDATE %s SET discount__c = 2 WHERE amount__c IN (1, 2, 3, NULL) OR amount__c = ANY (SELECT 4)');
SELECT * FROM also('UPDATE %s SET discount__c = 3 WHERE amount__c IN (1, 2, 3)');
SELECT * FROM also('DELETE FROM %s WHERE amount__c IN (1, 2, 3) OR amount__c IS NULL');
SELECT * FROM also('WITH d AS (DELETE FROM %s WHERE amount__c IN (5, 6)) SELECT 1');
-- a list that no statement holds: rows are checked here, or it is cut
SELECT * FROM also(format('UPDATE %%s SET discount__c = 4 WHERE amount__c = ANY (ARRAY(SELECT g + 0.25 FROM generate_series(1, 20000) g) || ARRAY[7, 8]::numeric[])'));
SELECT * FROM also(format('DELETE FROM %%s WHERE amount__c = ANY (ARRAY(SELECT g + 0.25 FROM generate_series(1, 20000) g) || ARRAY[9, 10]::numeric[]) OR amount__c = 11'));

-- parameters, past the point where the plan becomes generic
PREPARE u(numeric, date) AS UPDATE crm.invoice__c SET discount__c = $1 WHERE due_date__c < $2;
PREPARE c(numeric, date) AS UPDATE copy SET discount__c = $1 WHERE due_date__c < $2;
SET plan_cache_mode = force_generic_plan;
SELECT is_direct('EXECUTE u(1, ''2020-01-01'')');
EXECUTE u(10, '2030-01-25'); EXECUTE c(10, '2030-01-25'); EXECUTE u(NULL, '2030-01-20'); EXECUTE c(NULL, '2030-01-20'); EXECUTE u(1, NULL); EXECUTE c(1, NULL);
SELECT * FROM also('SELECT FROM %s');
EXECUTE u(8, '2100-01-01'); EXECUTE c(8, '2100-01-01');
RESET plan_cache_mode;
SELECT * FROM also('SELECT FROM %s');

-- triggers of the statement fire; those of rows keep rows from being written unseen
CREATE FUNCTION tell() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE NOTICE '% % %', TG_WHEN, TG_OP, TG_LEVEL; RETURN NULL; END $$;
CREATE TRIGGER t BEFORE UPDATE OR DELETE ON crm.invoice__c FOR EACH STATEMENT EXECUTE FUNCTION tell();
CREATE TRIGGER u AFTER UPDATE OR DELETE ON crm.invoice__c FOR EACH STATEMENT EXECUTE FUNCTION tell();
SELECT is_direct('DELETE FROM crm.invoice__c WHERE amount__c = 30');
DELETE FROM crm.invoice__c WHERE amount__c IN (30, 31);
DELETE FROM copy WHERE amount__c IN (30, 31);
DROP TRIGGER t ON crm.invoice__c; DROP TRIGGER u ON crm.invoice__c;
CREATE TRIGGER r AFTER DELETE ON crm.invoice__c FOR EACH ROW EXECUTE FUNCTION tell();
SELECT is_direct('DELETE FROM crm.invoice__c WHERE amount__c = 32') AS del, is_direct('UPDATE crm.invoice__c SET paid__c = true') AS upd;
DELETE FROM crm.invoice__c WHERE amount__c = 32;
DELETE FROM copy WHERE amount__c = 32;
DROP TRIGGER r ON crm.invoice__c;
-- as Salesforce sees it, transition tables cannot be had of a foreign table
CREATE TRIGGER n AFTER UPDATE ON crm.invoice__c REFERENCING NEW TABLE AS new FOR EACH STATEMENT EXECUTE FUNCTION tell();

-- a view's condition is part of the statement; with CHECK OPTION rows are looked at
CREATE VIEW paid AS SELECT * FROM crm.invoice__c WHERE paid__c;
SELECT is_direct('UPDATE paid SET discount__c = 9 WHERE amount__c < 50');
UPDATE paid SET discount__c = 9 WHERE amount__c < 50;
UPDATE copy SET discount__c = 9 WHERE amount__c < 50 AND paid__c;
SELECT * FROM also('SELECT FROM %s');
CREATE VIEW checked AS SELECT * FROM crm.invoice__c WHERE paid__c WITH CHECK OPTION;
SELECT is_direct('UPDATE checked SET paid__c = true');
\set VERBOSITY terse
UPDATE checked SET paid__c = false WHERE amount__c = 40;
\set VERBOSITY default
SELECT count(*) AS written FROM crm.invoice__c WHERE amount__c = 40 AND NOT paid__c;
UPDATE crm.invoice__c SET paid__c = true WHERE amount__c = 40;

-- refusals: what cannot be written, before any call; what Salesforce refuses, with what stays
\! $SANDBOXCTL mark
UPDATE crm.invoice__c SET createddate = now();
UPDATE crm.invoice__c SET due_date__c = '1699-12-31' WHERE amount__c = 50;
\! $SANDBOXCTL calls | grep sobjects
UPDATE crm.invoice__c SET status__c = 'no such status' WHERE amount__c IN (51, 52);
BEGIN READ ONLY;
DELETE FROM crm.invoice__c WHERE amount__c = 50;
ROLLBACK;
-- partitions: each is written its own way
CREATE TABLE bills (kind text, id text, ext_id__c text, amount__c numeric, discount__c numeric) PARTITION BY LIST (kind);
CREATE TABLE bills_here PARTITION OF bills FOR VALUES IN ('here');
CREATE FOREIGN TABLE bills_sf PARTITION OF bills FOR VALUES IN ('sf') SERVER sf OPTIONS (object 'Invoice__c');
ALTER FOREIGN TABLE bills_sf ALTER COLUMN kind OPTIONS (field 'Status__c'), ALTER COLUMN id OPTIONS (field 'Id');
INSERT INTO bills_here VALUES ('here', 'x', 'y', 60, 0), ('here', 'z', 'z', 1000, 0);
SELECT plan('UPDATE bills SET discount__c = 6 WHERE amount__c = 60');
UPDATE bills SET discount__c = 6 WHERE amount__c = 60;
UPDATE copy SET discount__c = 6 WHERE amount__c = 60;
SELECT kind, amount__c, discount__c FROM bills_here ORDER BY 2;
SELECT * FROM also('SELECT FROM %s');
DELETE FROM bills;
DELETE FROM copy;
SELECT * FROM also('SELECT FROM %s');
