-- What a role cannot do to the mirrors, events, write-back and materialized views of others.
\set VERBOSITY terse
\! $SANDBOXCTL reset demo >/dev/null
SET client_min_messages = error;
CREATE SCHEMA r;
SET search_path = r;
CREATE ROLE regress_mallory;
CREATE ROLE regress_etl;
GRANT USAGE, CREATE ON SCHEMA r TO regress_mallory, regress_etl;
GRANT USAGE ON SCHEMA crm TO regress_etl;
GRANT USAGE ON FOREIGN SERVER sf TO regress_etl;
GRANT SELECT, INSERT, UPDATE, DELETE ON crm.contact TO regress_etl;
CREATE USER MAPPING FOR regress_etl SERVER sf OPTIONS (client_id 'sandbox', client_secret 'sandbox');
-- one of a superuser's, who sees all rows, and one of a role's
SELECT ampsf.mirror('crm.contact', 'seen', writeback => true);
CALL ampsf.sync('seen');
SELECT min(id) AS id FROM seen \gset
SET ROLE regress_etl;
SELECT ampsf.mirror('crm.contact', 'own', writeback => true);
CALL ampsf.sync('own');
RESET ROLE;
CREATE TABLE later (id text PRIMARY KEY, lastname text);

-- a change that nobody made
SET ROLE regress_mallory;
INSERT INTO ampsf.writeback (target, owner, role, operation, record_id, old, new)
	VALUES ('seen', 'regress_mallory', 'postgres', 'update', :'id', '{"title": null}', '{"title": "forged"}');
INSERT INTO ampsf.writeback (target, owner, role, operation, record_id, old, new)
	VALUES ('own', 'regress_mallory', 'regress_etl', 'update', :'id', '{"title": null}', '{"title": "forged"}');
-- of a table of one's own it can be said, but the number is given
CREATE TABLE mine (id text PRIMARY KEY);
INSERT INTO ampsf.writeback (target, owner, role, operation, record_id, local_id, state, pending, settled, followed)
	VALUES ('mine', 'regress_mallory', 'regress_etl', 'insert', '001000000000000AAA', 'new-00000000000001', 'done', false, true, true);
INSERT INTO ampsf.writeback (id, target, owner, role, operation, record_id) VALUES (3, 'mine', 'regress_mallory', 'regress_etl', 'delete', 'x');
UPDATE ampsf.writeback SET id = 3;
UPDATE ampsf.writeback SET target = 'own'::regclass;
UPDATE ampsf.writeback SET role = 'postgres';
-- a table that is, or will be, another's mirror; a run, a chunk and a merge of it
INSERT INTO ampsf.mirror_definition (target, source, deletes, every, lookback, compare_every, chunk_rows)
	VALUES ('later', 'mine', 'remove', '1 day', '0', '1 day', 1);
INSERT INTO ampsf.mirror_definition (target, source, deletes, every, lookback, compare_every, chunk_rows)
	VALUES ('mine', 'mine', 'remove', '1 day', '0', '1 day', 1);
UPDATE ampsf.mirror_definition SET target = 'later'::regclass;
INSERT INTO ampsf.writeback_definition (target, conflicts) VALUES ('later', 'mine');
INSERT INTO ampsf.mirror_run (target, kind) VALUES ('own', 'backfill');
INSERT INTO ampsf.mirror_run (id, target, kind) OVERRIDING SYSTEM VALUE VALUES (100, 'mine', 'backfill');
INSERT INTO ampsf.mirror_chunk (target, number, low, high) VALUES ('own', 1, '-infinity', 'infinity');
INSERT INTO ampsf.merge (target, loser, master) VALUES ('own', :'id', :'id');
-- the number that another's event is to have, or its place
INSERT INTO ampsf.change (id, server, object, type) OVERRIDING SYSTEM VALUE VALUES (1, 'sf', 'Account', 'UPDATE');
INSERT INTO ampsf.subscription (id, server, channel, events, keep) OVERRIDING SYSTEM VALUE VALUES (1, 'sf', '/data/ChangeEvents', '{CREATE}', '1 day');
INSERT INTO ampsf.change (subscription, server, replay_id, object, record_id, type) VALUES (7, 'sf', 1, 'Contact', :'id', 'UPDATE');
RESET ROLE;
SELECT ampsf.unmirror('mine');
DELETE FROM ampsf.mirror_definition WHERE target = 'mine'::regclass;
-- the key of a new row, which goes where the row goes, whatever the other has said of it
SET ROLE regress_etl;
INSERT INTO ampsf.change (subscription, server, replay_id, object, record_id, type) VALUES (7, 'sf', 1, 'Contact', :'id', 'UPDATE');
INSERT INTO own (lastname) VALUES ('Curie') RETURNING id;
UPDATE own SET title = 'new-00000000000001' WHERE id = :'id';
CALL ampsf.writeback('own');
SELECT operation, state, sent ->> 'lastname' AS lastname, sent ->> 'title' ~ '^003' AS title FROM ampsf.writeback WHERE owner = 'regress_etl'::regrole ORDER BY id;
RESET ROLE;
CALL ampsf.writeback('seen');
SELECT id ~ '^003' AS id FROM own WHERE lastname = 'Curie';
SELECT count(*) FROM crm.contact WHERE title = 'forged';

-- two who may refresh a view do not know of each other
CREATE MATERIALIZED VIEW v AS SELECT id, lastname FROM crm.contact;
ALTER MATERIALIZED VIEW v OWNER TO regress_etl;
SET ROLE regress_mallory;
INSERT INTO ampsf.matview_state (matview, source) VALUES ('v', 'mine'::regclass);
RESET ROLE;
SELECT ampsf.refresh_if_changed('v');
SET ROLE regress_etl;
SELECT ampsf.refresh_if_changed('v');
RESET ROLE;
SELECT owner, source, reason FROM ampsf.matview_state WHERE source <> 'mine'::regclass ORDER BY owner::text;
\! $SANDBOXCTL reset demo >/dev/null
DROP SCHEMA r CASCADE;
DELETE FROM ampsf.writeback;
DROP OWNED BY regress_mallory, regress_etl;
DROP ROLE regress_mallory, regress_etl;
