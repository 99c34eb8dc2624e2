-- Mirrors of what nobody expects: names, settings, tables and roles that change under them.
\set SHOW_CONTEXT never
\! $SANDBOXCTL reset demo >/dev/null
CREATE SCHEMA m;
SET search_path = m;
CREATE VIEW last_run AS SELECT kind, state, inserted, updated, deleted, formulas, compared FROM ampsf.mirror_run ORDER BY id DESC LIMIT 1;

-- names; options as PostgreSQL's booleans are written
CREATE FOREIGN TABLE "Sel ""ect"" ä'b.c" ("Id" text OPTIONS (field 'Id'), "user" text OPTIONS (field 'LastName'), "a""b'c %s $1" text OPTIONS (field 'FirstName'),
	"excluded" text OPTIONS (field 'Title'), t text OPTIONS (field 'Email'), g timestamptz OPTIONS (field 'CreatedDate'), m timestamptz OPTIONS (field 'SystemModstamp'),
	x boolean OPTIONS (field 'IsDeleted'), f text OPTIONS (field 'Name', calculated 'On'), i text OPTIONS (field 'Account.Name')) SERVER sf OPTIONS (object 'Contact', include_deleted 'TRUE');
COMMENT ON COLUMN "Sel ""ect"" ä'b.c"."a""b'c %s $1" IS 'it''s %s $$ a';
SELECT ampsf.mirror('"Sel ""ect"" ä''b.c"', '"My ""le''ü %s $1"', live_view => true, history => true, formula_every => '1 second', live_formulas => true, deletes => 'mark');
CALL ampsf.sync('"My ""le''ü %s $1"');
SELECT count(*) = (SELECT count(*) FROM crm.contact) AS alive, count(*) FILTER (WHERE x) AS deleted FROM "My ""le'ü %s $1";
SELECT * FROM ampsf.verify('"My ""le''ü %s $1"');
UPDATE crm.contact SET lastname = 'Xx' WHERE id IN (SELECT id FROM crm.contact ORDER BY id DESC LIMIT 2);
SELECT count(*) FILTER (WHERE "user" = 'Xx') AS now, count(*) = (SELECT count(*) FROM crm.contact) AS all FROM "My ""le'ü %s $1_now";
UPDATE "My ""le'ü %s $1" SET f = 'wrong' WHERE "Id" IN (SELECT "Id" FROM "My ""le'ü %s $1" ORDER BY "Id" LIMIT 3);
UPDATE ampsf.mirror_definition SET formulas_at = formulas_at - interval '1 hour';
CALL ampsf.sync('"My ""le''ü %s $1"');
SELECT updated, formulas FROM last_run;
SELECT count(*) FROM ampsf.drift('"My ""le''ü %s $1"');
SELECT ampsf.unmirror('"My ""le''ü %s $1"');
-- 63 bytes
SELECT ampsf.mirror('crm.account', repeat('x', 63), live_view => true, history => true);
SELECT ampsf.mirror('crm.account', repeat('ä', 31), live_view => true, history => true);
SELECT relname, octet_length(relname) FROM pg_class WHERE relnamespace = 'm'::regnamespace AND relname ~ '_(now|history)$' ORDER BY 1;
SELECT count(ampsf.unmirror(target)) FROM ampsf.mirror_status;

-- settings of the session that change what words mean
SELECT ampsf.mirror('crm.contact', 'set', live_view => true, history => true, chunk_rows => 50, deletes => 'mark');
SET DateStyle = 'SQL, DMY';
SET IntervalStyle = 'sql_standard';
SET TimeZone = 'America/Sao_Paulo';
SET bytea_output = 'escape';
SET standard_conforming_strings = off;
SET extra_float_digits = -15;
SET transform_null_equals = on;
SET quote_all_identifiers = on;
SET plpgsql.variable_conflict = 'use_column';
SET default_transaction_isolation = 'serializable';
CALL ampsf.sync('set');
INSERT INTO crm.contact (lastname) VALUES ('Kovalevskaya');
SELECT count(*) = (SELECT count(*) FROM crm.contact) AS now FROM set_now;
CALL ampsf.sync('set');
UPDATE set SET systemmodstamp = '2001-02-03 04:05' WHERE id IN (SELECT id FROM set ORDER BY id LIMIT 3);
DELETE FROM set WHERE id IN (SELECT id FROM set ORDER BY id OFFSET 10 LIMIT 2);
SELECT problem FROM ampsf.verify('set', repair => true) ORDER BY 1;
SELECT * FROM ampsf.verify('set', thorough => true);
RESET ALL;
SET search_path = m;
SELECT count(*) FROM ampsf.verify('set', thorough => true);
-- triggers that are not fired leave no version out
SET session_replication_role = replica;
INSERT INTO crm.contact (lastname) VALUES ('Germain');
CALL ampsf.sync('set');
RESET session_replication_role;
SELECT count(*) FROM set_history WHERE lastname = 'Germain' AND upper_inf(valid);
-- nothing is written by who may only read
SET default_transaction_read_only = on;
CALL ampsf.sync('set');
SELECT count(*) = (SELECT count(*) FROM crm.contact) AS now FROM set_now;
RESET default_transaction_read_only;
SELECT phase, last_error FROM ampsf.mirror_status;
SELECT ampsf.unmirror('set');

-- tables that change under it: moved and renamed ...
CREATE FOREIGN TABLE acc (id text OPTIONS (field 'Id'), name text OPTIONS (field 'Name'), type text OPTIONS (field 'Type'), createddate timestamptz OPTIONS (field 'CreatedDate'),
	systemmodstamp timestamptz OPTIONS (field 'SystemModstamp')) SERVER sf OPTIONS (object 'Account');
SELECT ampsf.mirror('acc', 'a', live_view => true, history => true);
CALL ampsf.sync('a');
CREATE SCHEMA n;
ALTER TABLE a RENAME TO b;
ALTER TABLE b SET SCHEMA n;
ALTER VIEW a_now RENAME TO n;
ALTER TABLE a_history RENAME TO h;
UPDATE crm.account SET name = 'Renamed' WHERE id = (SELECT min(id) FROM n.b);
CALL ampsf.sync('n.b');
SELECT (SELECT count(*) FROM n WHERE name = 'Renamed'), (SELECT count(*) FROM h WHERE name = 'Renamed');
-- ... a column: the live view follows, unless somebody builds on it, which is told
CREATE VIEW upon AS SELECT * FROM n;
ALTER TABLE n.b RENAME COLUMN type TO kind;
CALL ampsf.sync('n.b');
SELECT warning FROM ampsf.mirror_status;
DROP VIEW upon;
CALL ampsf.sync('n.b');
SELECT warning FROM ampsf.mirror_status;
SELECT count(type) = (SELECT count(type) FROM acc) AS type FROM n;
-- ... one that is dropped comes again, with all values
ALTER TABLE n.b DROP COLUMN type CASCADE;
CALL ampsf.sync('n.b');
SELECT count(type) = (SELECT count(type) FROM acc) AS type FROM n.b;
SELECT ampsf.live_view('n.b');
ALTER VIEW n.b_now RENAME TO n;
ALTER VIEW n.n SET SCHEMA m;
ALTER FOREIGN TABLE acc RENAME COLUMN type TO sort;
CALL ampsf.sync('n.b');
SELECT warning FROM ampsf.mirror_status;
SELECT count(sort) = (SELECT count(sort) FROM acc) AS sort FROM n;
-- ... that of the Ids: nothing is done until both have one name
ALTER FOREIGN TABLE acc RENAME COLUMN id TO sfid;
CALL ampsf.sync('n.b');
SELECT * FROM ampsf.verify('n.b');
ALTER TABLE n.b RENAME COLUMN id TO sfid;
CALL ampsf.sync('n.b');
ALTER TABLE h RENAME COLUMN id TO sfid;
CALL ampsf.sync('n.b');
SELECT phase, warning FROM ampsf.mirror_status;
SELECT count(*) FROM n;
-- ... those of times
ALTER FOREIGN TABLE acc RENAME COLUMN createddate TO made;
SELECT * FROM ampsf.verify('n.b');
CALL ampsf.sync('n.b');
SELECT count(*) FROM ampsf.verify('n.b');
ALTER FOREIGN TABLE acc DROP COLUMN systemmodstamp;
CALL ampsf.sync('n.b');
SELECT cursor_column, created_column, warning FROM ampsf.mirror_definition;
ALTER FOREIGN TABLE acc DROP COLUMN made;
CALL ampsf.sync('n.b');
SELECT kind, state, compared FROM last_run;
SELECT cursor_column, created_column FROM ampsf.mirror_definition;
-- ... a history that was dropped, and made again
DROP TABLE h;
SELECT ampsf.history('n.b');
DROP TABLE n.b_history;
-- ... the foreign table
DROP FOREIGN TABLE acc CASCADE;
CALL ampsf.sync('n.b');
SELECT * FROM ampsf.verify('n.b');
SELECT * FROM ampsf.drift('n.b');
SELECT ampsf.live_view('n.b');
SELECT count(*) FROM n;
EXPLAIN (COSTS OFF) SELECT FROM n WHERE false;
SELECT target, phase, last_error, events_waiting FROM ampsf.mirror_status;
SELECT ampsf.unmirror('n.b');
CREATE FOREIGN TABLE acc (id text OPTIONS (field 'Id'), name text OPTIONS (field 'Name'), systemmodstamp timestamptz OPTIONS (field 'SystemModstamp'), isdeleted boolean OPTIONS (field 'IsDeleted'))
	SERVER sf OPTIONS (object 'Account');
SELECT ampsf.mirror('acc', 'w', writeback => true);
DROP FOREIGN TABLE acc;
SELECT ampsf.unmirror('w');
SELECT count(*) FROM pg_attrdef WHERE adrelid = 'w'::regclass;
-- ... the table: it is not shown any longer
SELECT ampsf.mirror('crm.account', 'w2', history => true);
DROP TABLE w2;
SELECT count(*) FROM ampsf.mirror_status;
SELECT ampsf.mirror_due();

-- a wider type waits for the history, too, or its versions would be rounded
CREATE FOREIGN TABLE opp (id text OPTIONS (field 'Id'), amount integer OPTIONS (field 'Amount'), isdeleted boolean OPTIONS (field 'IsDeleted'),
	systemmodstamp timestamptz OPTIONS (field 'SystemModstamp')) SERVER sf OPTIONS (object 'Opportunity');
CREATE VIEW whole AS SELECT id FROM crm.opportunity WHERE amount = trunc(amount);
SELECT ampsf.mirror('opp', 'o', history => true, drift => 'report');
ALTER FOREIGN TABLE opp ALTER COLUMN amount TYPE numeric;
CREATE VIEW upon AS SELECT * FROM o_history;
CALL ampsf.sync('o');
SELECT warning FROM ampsf.mirror_status;
SELECT attrelid::regclass, format_type(atttypid, atttypmod) FROM pg_attribute WHERE attname = 'amount' AND attrelid IN ('o'::regclass, 'o_history'::regclass) ORDER BY 1;
DROP VIEW upon;
CALL ampsf.sync('o');
SELECT warning FROM ampsf.mirror_status;
SELECT count(*) FROM o JOIN crm.opportunity c USING (id) JOIN o_history h USING (id) WHERE upper_inf(h.valid) AND (o.amount IS DISTINCT FROM c.amount OR h.amount IS DISTINCT FROM c.amount);
SELECT ampsf.unmirror('o');

-- tables that are none for a mirror
CREATE FOREIGN TABLE acc (id text OPTIONS (field 'Id'), name text OPTIONS (field 'Name'), systemmodstamp timestamptz OPTIONS (field 'SystemModstamp')) SERVER sf OPTIONS (object 'Account');
CREATE UNLOGGED TABLE t (LIKE acc, PRIMARY KEY (id));
SELECT ampsf.mirror('acc', 't', existing => true);
ALTER TABLE t SET LOGGED;
CREATE TABLE child () INHERITS (t);
SELECT ampsf.mirror('acc', 't', existing => true);
DROP TABLE child;
CREATE RULE r AS ON INSERT TO t DO INSTEAD NOTHING;
SELECT ampsf.mirror('acc', 't', existing => true);
DROP RULE r ON t;
SELECT ampsf.mirror('acc', 'pg_temp.t');
SELECT ampsf.mirror('acc', 'nowhere.t');
SELECT ampsf.mirror('acc', schema => NULL);
ALTER FOREIGN TABLE acc ADD COLUMN deleted_at text OPTIONS (field 'Type');
SELECT ampsf.mirror('acc', 'u', deletes => 'mark');
ALTER FOREIGN TABLE acc DROP COLUMN deleted_at;
CREATE FOREIGN TABLE numbers (id integer OPTIONS (field 'Id')) SERVER sf OPTIONS (object 'Account');
SELECT ampsf.mirror('numbers', 'u');
SELECT ampsf.mirror('acc', 'u', deletes => NULL);
SELECT ampsf.mirror('acc', 'u', parallel => NULL);
SELECT ampsf.mirror('acc', 'u', drift => NULL);
SELECT ampsf.mirror('acc', 'u', chunk_rows => NULL);
SELECT ampsf.mirror('acc', 'u', lookback => '1000000 days');
SELECT ampsf.mirror('acc', 'u', existing => NULL, foreign_keys => NULL);
CALL ampsf.sync(NULL);

-- what the org deleted after the last run is no difference
INSERT INTO crm.account (name) VALUES ('Mayfly'), ('Caddis');
CALL ampsf.sync('u');
DELETE FROM crm.account WHERE name IN ('Mayfly', 'Caddis');
INSERT INTO u (id, name) VALUES ('0015g00000ZZZZZAAA', 'nobody''s');
SELECT id, problem FROM ampsf.verify('u');
SELECT ampsf.unmirror('u');

-- roles: nobody's row is for a table that is not his, and none stops the work of others
CREATE ROLE regress_mine;
CREATE ROLE regress_other;
GRANT USAGE, CREATE ON SCHEMA m TO regress_mine, regress_other;
GRANT USAGE ON SCHEMA crm TO regress_mine, regress_other;
GRANT SELECT ON acc TO regress_mine, regress_other;
SET ROLE regress_other;
INSERT INTO ampsf.mirror_definition (target, source, deletes, every, lookback, compare_every, chunk_rows) VALUES ('t', 'acc', 'remove', '1 h', '0', '1 day', 1);
INSERT INTO ampsf.mirror_chunk (target, number, low, high) VALUES ('t', 1, '-infinity', 'infinity');
INSERT INTO ampsf.merge (target, loser, master) VALUES ('t', 'a', 'b');
SELECT ampsf.mirror('acc', 'mine');
UPDATE ampsf.mirror_definition SET target = 't';
UPDATE ampsf.mirror_definition SET parallel = 2, stage = 'rows', cursor_column = 'x', read_to = '-infinity', run_started = '4714-11-24 BC';
UPDATE ampsf.mirror_definition SET watermark = 'infinity';
UPDATE ampsf.mirror_definition SET every = '1000000 years';
RESET ROLE;
SELECT count(*) FROM ampsf.work_list();
ALTER TABLE t ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY p ON t USING (name > 'M');
ALTER TABLE t OWNER TO regress_mine;
SET ROLE regress_mine;
SELECT ampsf.mirror('acc', 't', existing => true);
RESET ROLE;
-- who is gone leaves mirrors, which a superuser gives to others
ALTER TABLE mine OWNER TO regress_mine;
REASSIGN OWNED BY regress_other TO regress_mine;
DROP OWNED BY regress_other;
DROP ROLE regress_other;
SELECT ampsf.resume('mine');
SET ROLE regress_mine;
SELECT ampsf.set_mirror_owner('mine', 'regress_mine');
SELECT ampsf.mirror('acc', 'mine', existing => true);
RESET ROLE;
SELECT ampsf.set_mirror_owner('crm.account', 'regress_mine');
CREATE ROLE regress_third;
SELECT ampsf.set_mirror_owner('mine', 'regress_third');
SELECT ampsf.set_mirror_owner('mine', 'regress_mine');
SET ROLE regress_mine;
SELECT target, owner FROM ampsf.mirror_status;
SELECT ampsf.unmirror('mine');
RESET ROLE;
DROP OWNED BY regress_mine;
DROP ROLE regress_mine, regress_third;
