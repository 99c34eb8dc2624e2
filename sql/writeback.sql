-- Write-back: what users change in a mirror is queued in the same transaction, and sent.
\set SHOW_CONTEXT never
\! $SANDBOXCTL reset demo >/dev/null
CREATE SCHEMA w;
SET search_path = w;
-- what a mirror and its object do not have in common: nothing
\getenv srcdir PG_ABS_SRCDIR
\set include :srcdir '/sql/include/differences.sql'
\i :include
-- entries since they were last looked at
CREATE TABLE seen AS SELECT 0::bigint AS id;
CREATE FUNCTION entries(OUT operation text, OUT state text, OUT old jsonb, OUT new jsonb, OUT sent jsonb, OUT error_code text, OUT message text,
	OUT fields text, OUT pending boolean, OUT settled boolean)
RETURNS SETOF record LANGUAGE plpgsql AS $$
BEGIN
	RETURN QUERY SELECT e.operation, e.state, CASE WHEN e.operation = 'update' THEN e.old END, e.new, e.sent, e.error_code, e.message, e.fields,
		e.pending, e.settled FROM ampsf.writeback e, seen WHERE e.id > seen.id ORDER BY e.id;
	UPDATE seen SET id = (SELECT max(e.id) FROM ampsf.writeback e);
END $$;

SELECT ampsf.mirror('crm.contact', writeback => true);
CALL ampsf.sync('contact');
SELECT ampsf.mirror('crm.account', writeback => true);
CALL ampsf.sync('account');
SELECT ampsf.unmirror('account');
DROP TABLE account;
SELECT target, enabled, conflicts, queued FROM ampsf.writeback_status;
CREATE TABLE c AS SELECT id, row_number() OVER (ORDER BY id) AS n FROM contact;
SELECT id AS c1 FROM c WHERE n = 1 \gset
SELECT id AS c2 FROM c WHERE n = 2 \gset
SELECT id AS c3 FROM c WHERE n = 3 \gset

-- only columns that changed are queued, and sent
BEGIN;
UPDATE contact SET title = 'Head of Things' WHERE id = :'c1';
UPDATE contact SET title = title WHERE id = :'c2';
INSERT INTO contact (lastname, donotcall) VALUES ('Curie', true) RETURNING id ~ '^new-\d{14}$' AS key;
DELETE FROM contact WHERE id = :'c3';
COMMIT;
SELECT * FROM entries();
UPDATE seen SET id = 0;
CALL ampsf.writeback('contact');
SELECT * FROM entries();
SELECT differences('contact', 'crm.contact');
SELECT id ~ '^003\w{15}$' AS id, systemmodstamp IS NOT NULL AS stamp, donotcall FROM contact WHERE lastname = 'Curie';
SELECT title FROM crm.contact WHERE id = :'c1';
-- a transaction that is rolled back queues nothing
BEGIN;
UPDATE contact SET title = 'Nobody' WHERE id = :'c1';
ROLLBACK;
SELECT * FROM entries();
-- our own change is none for the next run
CREATE VIEW last_run AS SELECT kind, inserted, updated, deleted FROM ampsf.mirror_run ORDER BY id DESC LIMIT 1;
CALL ampsf.sync('contact');
SELECT * FROM last_run;
SELECT rows = (SELECT count(*) FROM contact) AS counted FROM ampsf.mirror_definition;

-- changes of one row are sent as one; what was deleted before it was sent never is
UPDATE contact SET title = 'First' WHERE id = :'c1';
UPDATE contact SET title = 'Second', department = 'D' WHERE id = :'c1';
INSERT INTO contact (lastname) VALUES ('Meitner');
UPDATE contact SET title = 'Physicist', lastname = 'Meitner, Lise' WHERE lastname = 'Meitner';
\! $SANDBOXCTL mark
CALL ampsf.writeback('contact');
\! $SANDBOXCTL calls | grep -v oauth2 | sed -E 's/00[0-9A-Za-z]{16}/ID/g; s/q=[^ ]*/q=.../'
SELECT * FROM entries();
INSERT INTO contact (lastname) VALUES ('Mayfly');
DELETE FROM contact WHERE lastname = 'Mayfly';
\! $SANDBOXCTL mark
CALL ampsf.writeback('contact');
\! $SANDBOXCTL calls
SELECT * FROM entries();
SELECT differences('contact', 'crm.contact'), count(*) FILTER (WHERE lastname = 'Meitner, Lise' AND title = 'Physicist') FROM contact;

-- what cannot be written is refused at once
UPDATE contact SET createddate = now() WHERE id = :'c1';
UPDATE contact SET id = 'new-x' WHERE id = :'c1';
INSERT INTO contact (id, lastname) VALUES ('0035g00000ZZZZZAAA', 'x');
INSERT INTO contact (lastname, createddate) VALUES ('x', now());
TRUNCATE contact;
SELECT * FROM entries();
-- columns of the table's own are nobody's business
ALTER TABLE contact ADD COLUMN note text;
UPDATE contact SET note = 'mine' WHERE id = :'c1';
SELECT * FROM entries();
INSERT INTO contact (lastname, note) VALUES ('Noted', 'kept');
CALL ampsf.writeback('contact');
SELECT * FROM entries();
SELECT id LIKE '003%' AS id, note FROM contact WHERE note IS NOT NULL ORDER BY note;

-- the org refuses: the row is again as the org has it, the values are in the entry, to be sent again with others
INSERT INTO contact (title) VALUES ('Nameless');
UPDATE contact SET email = 'no address' WHERE id = :'c2';
CALL ampsf.writeback('contact');
SELECT * FROM entries();
SELECT count(*) FILTER (WHERE title = 'Nameless') AS nameless, count(*) FILTER (WHERE email = 'no address') AS bad FROM contact;
SELECT differences('contact', 'crm.contact');
SELECT max(id) AS entry FROM ampsf.writeback WHERE operation = 'insert' AND state = 'refused' \gset
SELECT ampsf.writeback_retry(:entry, new => '{"lastname": "Named"}') > :entry AS again;
CALL ampsf.writeback('contact');
SELECT * FROM entries();
SELECT lastname, title FROM contact WHERE title = 'Nameless';
SELECT ampsf.writeback_retry(0);
SELECT ampsf.writeback_retry((SELECT min(id) FROM ampsf.writeback WHERE state = 'done')) = 0;

-- changes that the org makes of what is sent are no conflicts with what was changed after it
BEGIN;
INSERT INTO contact (lastname, title) VALUES ('Blank', 'trimmed   '), ('Short life', 'trimmed   ');
UPDATE contact SET title = 'trimmed too   ' WHERE id = :'c2';
INSERT INTO contact (lastname) VALUES ('Between');
UPDATE contact SET title = 'once more' WHERE id = :'c2' OR lastname = 'Blank';
DELETE FROM contact WHERE lastname = 'Short life';
COMMIT;
CALL ampsf.writeback('contact');
SELECT operation, state, fields, old FROM entries() WHERE operation <> 'delete' ORDER BY operation, old::text;
SELECT count(*) FROM crm.contact WHERE lastname = 'Short life';

-- the org's row was changed meanwhile: other columns do not matter
UPDATE crm.contact SET department = 'Theirs' WHERE id = :'c1';
UPDATE contact SET title = 'Ours' WHERE id = :'c1';
CALL ampsf.writeback('contact');
SELECT * FROM entries();
SELECT title, department FROM contact WHERE id = :'c1';
-- the same column: reported, and the mirror is the org's
UPDATE crm.contact SET title = 'Theirs' WHERE id = :'c1';
UPDATE contact SET title = 'Ours again', department = 'Ours' WHERE id = :'c1';
CALL ampsf.writeback('contact');
SELECT state, org, fields, message FROM ampsf.writeback ORDER BY id DESC LIMIT 1;
SELECT title, department FROM contact WHERE id = :'c1';
-- sent all the same, by hand
SELECT ampsf.writeback_retry((SELECT max(id) FROM ampsf.writeback), force => true) IS NOT NULL AS again;
CALL ampsf.writeback('contact');
SELECT title, department FROM crm.contact WHERE id = :'c1';
-- both to the same value: no conflict
UPDATE crm.contact SET title = 'Agreed' WHERE id = :'c1';
UPDATE contact SET title = 'Agreed' WHERE id = :'c1';
CALL ampsf.writeback('contact');
SELECT state, message FROM ampsf.writeback ORDER BY id DESC LIMIT 1;
-- a delete of a row that was changed
UPDATE crm.contact SET title = 'Needed' WHERE id = :'c2';
DELETE FROM contact WHERE id = :'c2';
CALL ampsf.writeback('contact');
SELECT state, fields FROM ampsf.writeback ORDER BY id DESC LIMIT 1;
SELECT title FROM contact WHERE id = :'c2';
-- the other policies
SELECT ampsf.set_writeback('contact', conflicts => 'mine');
UPDATE crm.contact SET title = 'Theirs' WHERE id = :'c1';
UPDATE contact SET title = 'Mine' WHERE id = :'c1';
CALL ampsf.writeback('contact');
SELECT state FROM ampsf.writeback ORDER BY id DESC LIMIT 1;
SELECT title FROM crm.contact WHERE id = :'c1';
SELECT ampsf.set_writeback('contact', conflicts => 'theirs');
UPDATE crm.contact SET title = 'Theirs' WHERE id = :'c1';
UPDATE contact SET title = 'Lost' WHERE id = :'c1';
CALL ampsf.writeback('contact');
SELECT state, new, message FROM ampsf.writeback ORDER BY id DESC LIMIT 1;
SELECT c.title, o.title FROM contact c JOIN crm.contact o USING (id) WHERE id = :'c1';
SELECT ampsf.set_writeback('contact', conflicts => 'anyone');
SELECT ampsf.set_writeback('contact', conflicts => 'report');
-- the row is gone there
SELECT id AS c4 FROM contact WHERE lastname = 'Named' \gset
SELECT id AS c5 FROM contact WHERE lastname = 'Meitner, Lise' \gset
DELETE FROM crm.contact WHERE id IN (:'c4', :'c5');
UPDATE contact SET title = 'Too late' WHERE id = :'c4';
DELETE FROM contact WHERE id = :'c5';
CALL ampsf.writeback('contact');
SELECT operation, state, error_code, message FROM ampsf.writeback ORDER BY id DESC LIMIT 2;
SELECT count(*) FROM contact WHERE id IN (:'c4', :'c5');
SELECT differences('contact', 'crm.contact');

SELECT id AS c8 FROM c WHERE n = 8 \gset
-- meanwhile runs leave alone what was not sent
UPDATE contact SET title = 'Waits' WHERE id = :'c8';
DELETE FROM contact WHERE id = (SELECT id FROM c WHERE n = 6);
INSERT INTO contact (lastname) VALUES ('Waits');
UPDATE crm.contact SET department = 'Meanwhile' WHERE id = :'c8';
UPDATE crm.contact SET department = 'Meanwhile' WHERE id = (SELECT id FROM c WHERE n = 7);
UPDATE ampsf.mirror_definition SET compared_at = compared_at - interval '2 days';
SELECT pg_sleep(1.1);
CALL ampsf.sync('contact');
SELECT * FROM last_run;
SELECT id, title, department FROM contact WHERE id IN (SELECT id FROM c WHERE n IN (6, 7, 8)) OR lastname = 'Waits' ORDER BY id COLLATE "C";
SELECT id, problem FROM ampsf.verify('contact', thorough => true, repair => true) ORDER BY id COLLATE "C";
SELECT queued, sending, unsettled, failures FROM ampsf.writeback_status;
SELECT ampsf.unmirror('contact');
CALL ampsf.writeback('contact');
SELECT count(*) FROM ampsf.verify('contact', thorough => true);
SELECT id = :'c8' AS first, title, department FROM contact WHERE title = 'Waits' OR lastname = 'Waits' ORDER BY 1;
SELECT differences('contact', 'crm.contact'), rows = (SELECT count(*) FROM contact) AS counted FROM ampsf.mirror_definition;
-- a change that is not to be sent after all
UPDATE contact SET title = 'Regretted' WHERE id = :'c1';
SELECT ampsf.writeback_drop(max(id)) FROM ampsf.writeback;
CALL ampsf.writeback('contact');
SELECT title FROM contact WHERE id = :'c1';

-- parents and children at once: what refers to a new row waits for its Id
SELECT ampsf.mirror('crm.account', writeback => true);
CALL ampsf.sync('account');
BEGIN;
INSERT INTO account (name) VALUES ('Parent') RETURNING id AS parent \gset
INSERT INTO account (name, parentid) VALUES ('Child', :'parent');
INSERT INTO contact (lastname, accountid) VALUES ('Of the new account', :'parent');
UPDATE contact SET accountid = :'parent' WHERE id = :'c1';
COMMIT;
CALL ampsf.writeback('contact');
SELECT queued, waiting FROM ampsf.writeback_status WHERE target = 'contact'::regclass;
SELECT count(*) FROM ampsf.writeback_work_due() WHERE key::oid::regclass = 'contact'::regclass;
CALL ampsf.writeback();
SELECT c.lastname, a.name FROM contact c JOIN account a ON a.id = c.accountid WHERE a.name = 'Parent' ORDER BY 1;
SELECT c.name, a.name, a.id ~ '^001' AS id FROM account c JOIN account a ON a.id = c.parentid WHERE a.name = 'Parent';
SELECT differences('contact', 'crm.contact'), differences('account', 'crm.account');
SELECT state, count(*) FROM ampsf.writeback WHERE NOT settled OR pending GROUP BY 1;
-- a parent that the org does not take
BEGIN;
INSERT INTO account (description) VALUES ('no name') RETURNING id AS parent \gset
INSERT INTO contact (lastname, accountid) VALUES ('Orphan', :'parent');
COMMIT;
CALL ampsf.writeback();
SELECT operation, state, error_code FROM ampsf.writeback ORDER BY id DESC LIMIT 2;
SELECT count(*) FROM contact WHERE lastname = 'Orphan';

-- COPY, ON CONFLICT, no Id in so many words, and more rows than a call has
COPY contact (lastname, title) FROM STDIN;
Copied	a
Copied	b
\.
INSERT INTO contact (id, lastname) VALUES (NULL, 'Null');
INSERT INTO contact (id, lastname, title) VALUES (:'c1', 'x', 'Upserted') ON CONFLICT (id) DO UPDATE SET title = excluded.title;
INSERT INTO contact (lastname, title) SELECT 'Many', 'm' || i FROM generate_series(1, 250) i;
\! $SANDBOXCTL mark
CALL ampsf.writeback('contact');
\! $SANDBOXCTL calls | grep -c composite
SELECT differences('contact', 'crm.contact'), count(*) FILTER (WHERE lastname = 'Many') AS many, count(*) FILTER (WHERE lastname IN ('Copied', 'Null')) AS few,
	count(*) FILTER (WHERE title = 'Upserted') AS upserted, count(*) FILTER (WHERE id LIKE 'new-%') AS unnamed FROM contact;
-- so many that they go by a job
ALTER FOREIGN TABLE crm.contact OPTIONS (ADD bulk_write_threshold '200');
UPDATE contact SET title = upper(title) WHERE lastname = 'Many';
\! $SANDBOXCTL mark
CALL ampsf.writeback('contact');
\! $SANDBOXCTL calls | grep -c jobs/ingest | sed 's/^[1-9][0-9]*$/by a job/'
DELETE FROM contact WHERE lastname = 'Many';
CALL ampsf.writeback('contact');
SELECT differences('contact', 'crm.contact'), count(*) FILTER (WHERE lastname = 'Many') AS many FROM contact;
SELECT rows = (SELECT count(*) FROM contact) AS counted FROM ampsf.mirror_definition WHERE target = 'contact'::regclass;
ALTER FOREIGN TABLE crm.contact OPTIONS (DROP bulk_write_threshold);

-- values of each type arrive as they were given
SET TimeZone = 'Asia/Kolkata';
SET extra_float_digits = 0;
CREATE TABLE o AS SELECT id FROM crm.opportunity ORDER BY id LIMIT 1;
SELECT ampsf.mirror('crm.opportunity', writeback => true);
CALL ampsf.sync('opportunity');
UPDATE opportunity SET amount = 1234567.89, probability = 33.3, closedate = '2031-02-03', description = E'two\nlines "quoted" \u00e9'
	WHERE id = (SELECT id FROM o);
CALL ampsf.writeback('opportunity');
SELECT state, sent, error_code FROM ampsf.writeback ORDER BY id DESC LIMIT 1;
SELECT amount, probability, closedate, description FROM crm.opportunity WHERE id = (SELECT id FROM o);
UPDATE opportunity SET description = '', nextstep = NULL WHERE id = (SELECT id FROM o);
CALL ampsf.writeback('opportunity');
SELECT description IS NULL AS cleared FROM opportunity WHERE id = (SELECT id FROM o);
SELECT differences('opportunity', 'crm.opportunity');
RESET TimeZone;
RESET extra_float_digits;

-- partitions: a row that moves is one that changes
SELECT ampsf.unmirror('opportunity');
ALTER TABLE opportunity RENAME TO template;
CREATE TABLE opportunity (LIKE template, region text NOT NULL DEFAULT 'a', PRIMARY KEY (id, region)) PARTITION BY LIST (region);
CREATE TABLE opportunity_a PARTITION OF opportunity FOR VALUES IN ('a');
CREATE TABLE opportunity_b PARTITION OF opportunity FOR VALUES IN ('b');
SELECT ampsf.mirror('crm.opportunity', existing => true, writeback => true);
CALL ampsf.sync('opportunity');
BEGIN;
UPDATE opportunity SET region = 'b' WHERE id = (SELECT id FROM o);
UPDATE opportunity SET region = 'a', amount = 7 WHERE id = (SELECT id FROM o);
UPDATE opportunity_a SET amount = 8 WHERE id = (SELECT id FROM o);
INSERT INTO opportunity (name, stagename, closedate, region) VALUES ('Moving', 'Prospecting', '2031-01-01', 'a');
UPDATE opportunity SET region = 'b', name = 'Moved' WHERE name = 'Moving';
COMMIT;
SELECT operation, old, new FROM ampsf.writeback WHERE target = 'opportunity'::regclass ORDER BY id;
TRUNCATE opportunity_a;
CALL ampsf.writeback('opportunity');
SELECT tableoid::regclass, name, id ~ '^006' AS id FROM opportunity WHERE name = 'Moved';
SELECT amount FROM crm.opportunity WHERE id = (SELECT id FROM o);
SELECT differences('opportunity', 'crm.opportunity');

-- with a history, marks of deletion, and a table that refers to the mirror and follows its keys
SELECT ampsf.mirror('crm.lead', deletes => 'mark', history => true, writeback => true);
CALL ampsf.sync('lead');
CREATE TABLE visit (lead text REFERENCES lead ON UPDATE CASCADE, note text);
CREATE TABLE call (lead text REFERENCES lead, note text);
INSERT INTO lead (lastname, company) VALUES ('Visited', 'v'), ('Called', 'c');
INSERT INTO visit SELECT id, 'x' FROM lead WHERE lastname = 'Visited';
INSERT INTO call SELECT id, 'x' FROM lead WHERE lastname = 'Called';
CALL ampsf.writeback('lead');
SELECT l.lastname, l.id ~ '^00Q' AS id FROM visit v JOIN lead l ON l.id = v.lead;
SELECT state, pending, settled, message FROM ampsf.writeback WHERE target = 'lead'::regclass ORDER BY id;
CALL ampsf.sync('lead');
SELECT count(*) FROM lead WHERE lastname = 'Called';
DELETE FROM call;
CALL ampsf.writeback('lead');
SELECT state, pending, settled, message FROM ampsf.writeback WHERE target = 'lead'::regclass ORDER BY id;
SELECT lastname, id ~ '^00Q' AS id FROM lead WHERE lastname IN ('Called', 'Visited') ORDER BY 1;
UPDATE lead SET company = 'C & Co' WHERE lastname = 'Called';
CALL ampsf.writeback('lead');
DELETE FROM lead WHERE lastname = 'Called';
SELECT id AS gone FROM lead WHERE lastname = 'Visited' \gset
DELETE FROM crm.lead WHERE id = :'gone';
SELECT pg_sleep(1.1);
CALL ampsf.sync('lead');
SELECT lastname, deleted_at IS NOT NULL AS marked FROM lead WHERE lastname IN ('Called', 'Visited') ORDER BY 1;
DELETE FROM visit;
-- what the org has deleted already is only forgotten here
DELETE FROM lead WHERE lastname = 'Visited';
CALL ampsf.writeback('lead');
SELECT operation, state FROM ampsf.writeback WHERE target = 'lead'::regclass ORDER BY id;
SELECT DISTINCT ON (lastname) lastname, company, upper_inf(valid) AS current FROM lead_history WHERE lastname IN ('Called', 'Visited')
	ORDER BY lastname, lower(valid) DESC;
-- a run brings a row from the org before the sender knows that it has created it
CREATE FOREIGN TABLE keyed (id text OPTIONS (field 'Id'), lastname text OPTIONS (field 'LastName'), ext_id__c text OPTIONS (field 'Ext_Id__c'),
	systemmodstamp timestamptz OPTIONS (field 'SystemModstamp')) SERVER sf OPTIONS (object 'Contact', upsert_key 'Ext_Id__c');
ALTER SERVER sf OPTIONS (ADD max_retries '0');
SELECT ampsf.mirror('keyed', 'key_mirror', writeback => true);
CALL ampsf.sync('key_mirror');
ALTER TABLE key_mirror ADD COLUMN note text;
CREATE TABLE key_visit (k text REFERENCES key_mirror ON UPDATE CASCADE);
INSERT INTO key_mirror (lastname, ext_id__c, note) VALUES ('Lost', 'LOST-1', 'kept');
INSERT INTO key_visit SELECT id FROM key_mirror WHERE lastname = 'Lost';
\! $SANDBOXCTL fault 'path=*/composite*;do=reset-after' >/dev/null
CALL ampsf.writeback('key_mirror');
SELECT state, sent_as, doubtful FROM ampsf.writeback WHERE target = 'key_mirror'::regclass;
CALL ampsf.sync('key_mirror');
SELECT id ~ '^003' AS id, note FROM key_mirror WHERE lastname = 'Lost' ORDER BY 1;
CALL ampsf.writeback('key_mirror');
SELECT m.id ~ '^003' AS id, m.note, v.k = m.id AS visited FROM key_mirror m LEFT JOIN key_visit v ON v.k = m.id WHERE lastname = 'Lost';
SELECT state, sent_as, pending, settled, message FROM ampsf.writeback WHERE target = 'key_mirror'::regclass;
SELECT count(*) FROM crm.contact WHERE lastname = 'Lost';
-- without an external id: in doubt; what was made of the row waits, until somebody says what it is
INSERT INTO key_mirror (lastname) VALUES ('Doubtful');
\! $SANDBOXCTL fault 'path=*/composite*;do=reset-after' >/dev/null
CALL ampsf.writeback('key_mirror');
UPDATE key_mirror SET lastname = 'Doubted' WHERE lastname = 'Doubtful';
CALL ampsf.writeback('key_mirror');
SELECT operation, state, pending, message FROM ampsf.writeback WHERE target = 'key_mirror'::regclass ORDER BY id;
SELECT in_doubt, queued, waiting FROM ampsf.writeback_status WHERE target = 'key_mirror'::regclass;
SELECT count(*) FROM ampsf.writeback_work_due() WHERE key::oid::regclass = 'key_mirror'::regclass;
SELECT ampsf.writeback_drop(id) FROM ampsf.writeback WHERE state = 'in doubt';
CALL ampsf.writeback('key_mirror');
CALL ampsf.sync('key_mirror');
SELECT operation, state, pending, settled, error_code FROM ampsf.writeback WHERE target = 'key_mirror'::regclass ORDER BY id;
SELECT lastname, id ~ '^003' AS id FROM key_mirror WHERE lastname LIKE 'Doubt%';
-- or which row it is
INSERT INTO key_mirror (lastname) VALUES ('Doubtful again');
\! $SANDBOXCTL fault 'path=*/composite*;do=reset-after' >/dev/null
CALL ampsf.writeback('key_mirror');
UPDATE key_mirror SET lastname = 'Found' WHERE lastname = 'Doubtful again';
SELECT ampsf.writeback_found(id, '003000000000000AAA') FROM ampsf.writeback WHERE state = 'in doubt';
SELECT ampsf.writeback_found(w.id, c.id) FROM ampsf.writeback w, crm.contact c WHERE w.state = 'in doubt' AND c.lastname = 'Doubtful again';
CALL ampsf.writeback('key_mirror');
SELECT id ~ '^003' AS id, lastname FROM key_mirror WHERE lastname IN ('Found', 'Doubtful again');
SELECT operation, state, message FROM ampsf.writeback WHERE target = 'key_mirror'::regclass ORDER BY id DESC LIMIT 2;
SELECT rows = (SELECT count(*) FROM key_mirror) AS counted FROM ampsf.mirror_definition WHERE target = 'key_mirror'::regclass;
-- an update whose answer was lost, and that is changed before it is looked at again: the org's value is our own
\! $SANDBOXCTL fault 'path=*/composite*;do=reset-after' >/dev/null
UPDATE key_mirror SET lastname = 'Tried' WHERE lastname = 'Found';
\set VERBOSITY terse
CALL ampsf.writeback('key_mirror');
\set VERBOSITY default
UPDATE key_mirror SET lastname = 'Tried again' WHERE lastname = 'Tried';
CALL ampsf.writeback('key_mirror');
SELECT operation, state, new, sent, tried FROM ampsf.writeback WHERE target = 'key_mirror'::regclass ORDER BY id DESC LIMIT 2;
SELECT count(*) FROM crm.contact WHERE lastname = 'Tried again';
-- what came by a dump may have been sent since
INSERT INTO key_mirror (lastname) VALUES ('Dumped');
UPDATE ampsf.writeback SET home = 0 WHERE state = 'queued';
CALL ampsf.writeback('key_mirror');
SELECT state, message FROM ampsf.writeback WHERE target = 'key_mirror'::regclass ORDER BY id DESC LIMIT 1;
ALTER SERVER sf OPTIONS (DROP max_retries);
DROP TABLE key_visit, key_mirror;
DROP TABLE visit, call, lead, lead_history;

-- a field that is hidden meanwhile
SELECT ampsf.mirror('crm.invoice__c', writeback => true);
CALL ampsf.sync('invoice__c');
SELECT min(id) AS i1 FROM invoice__c \gset
UPDATE invoice__c SET notes__c = 'noted' WHERE id = :'i1';
\! $SANDBOXCTL schema 'hide Invoice__c Notes__c' >/dev/null
CALL ampsf.sync('invoice__c');
UPDATE invoice__c SET remark__c = 'N-1' WHERE id = (SELECT max(id) FROM invoice__c);
CALL ampsf.writeback('invoice__c');
SELECT state, new, error_code, message, fields FROM ampsf.writeback WHERE target = 'invoice__c'::regclass ORDER BY id;
-- a call that is refused as a whole for one of its rows
\! $SANDBOXCTL fault 'path=*/composite*;match=spoilt;do=status;status=400;code=INVALID_FIELD;message=No such column;count=0' >/dev/null
INSERT INTO invoice__c (remark__c) SELECT CASE WHEN i = 7 THEN 'spoilt' ELSE 'r' || i END FROM generate_series(1, 12) i;
CALL ampsf.writeback('invoice__c');
SELECT state, error_code, message, count(*), min(new ->> 'remark__c') AS remark FROM ampsf.writeback
	WHERE target = 'invoice__c'::regclass AND operation = 'insert' GROUP BY 1, 2, 3 ORDER BY 1;
SELECT count(*) FROM crm.invoice__c WHERE remark__c ~ '^r\d+$';
SELECT failures, last_error FROM ampsf.writeback_status WHERE target = 'invoice__c'::regclass;
\! $SANDBOXCTL nofaults >/dev/null
\! $SANDBOXCTL noschema >/dev/null
DROP TABLE invoice__c;

-- others may change a mirror: it is sent by its owner; they see what became of their own changes
CREATE ROLE regress_wb_user;
GRANT USAGE ON SCHEMA w TO regress_wb_user;
GRANT SELECT, INSERT, UPDATE, DELETE ON contact TO regress_wb_user;
SET ROLE regress_wb_user;
UPDATE contact SET title = 'By another' WHERE id = :'c1';
INSERT INTO contact (lastname) VALUES ('By another');
SELECT operation, role, state FROM ampsf.writeback ORDER BY id;
UPDATE ampsf.writeback SET new = '{"title": "forged"}';
DELETE FROM ampsf.writeback;
CALL ampsf.writeback('contact');
SELECT ampsf.set_writeback('contact', false);
INSERT INTO ampsf.writeback (target, owner, role, operation, record_id) VALUES ('contact', 'postgres', 'postgres', 'delete', :'c1');
-- a trigger of another table is none of a mirror's
CREATE TEMPORARY TABLE t (id text);
CREATE TRIGGER t AFTER INSERT ON t FOR EACH ROW EXECUTE FUNCTION ampsf.writeback_trigger();
INSERT INTO t VALUES ('x');
DROP TABLE t;
RESET ROLE;
CALL ampsf.writeback('contact');
SELECT title FROM crm.contact WHERE id = :'c1';
DROP OWNED BY regress_wb_user;
DROP ROLE regress_wb_user;

-- an owner who may not write to the org, and then may
CREATE ROLE regress_wb_owner;
CREATE ROLE regress_wb_user;
GRANT USAGE, CREATE ON SCHEMA w TO regress_wb_owner;
GRANT USAGE ON SCHEMA w TO regress_wb_user;
GRANT USAGE ON SCHEMA crm TO regress_wb_owner;
GRANT SELECT ON crm.case TO regress_wb_owner;
CREATE USER MAPPING FOR regress_wb_owner SERVER sf OPTIONS (client_id 'sandbox', client_secret 'sandbox');
SET ROLE regress_wb_owner;
SELECT ampsf.mirror('crm.case', 'w.cases', writeback => true);
CALL ampsf.sync('cases');
GRANT SELECT, INSERT ON cases TO regress_wb_user;
SET ROLE regress_wb_user;
INSERT INTO cases (subject) VALUES ('By another');
SET ROLE regress_wb_owner;
CALL ampsf.writeback('cases');
SELECT operation, role, state FROM ampsf.writeback;
SELECT queued, failures, last_error FROM ampsf.writeback_status;
SELECT next_run > now() AS waits FROM ampsf.writeback_status;
SELECT ampsf.resume('cases');
SELECT failures, next_run > now() AS waits FROM ampsf.writeback_status;
RESET ROLE;
GRANT INSERT ON crm.case TO regress_wb_owner;
SET ROLE regress_wb_owner;
CALL ampsf.writeback();
SELECT operation, role, state FROM ampsf.writeback;
SELECT queued, failures, last_error FROM ampsf.writeback_status;
-- a failure after something went through is the first of a row
UPDATE ampsf.writeback_definition SET call_rows = 1, failures = 7;
INSERT INTO cases (subject) VALUES ('One'), ('Two');
\! $SANDBOXCTL fault 'path=*/composite*;method=POST;skip=1;do=status;status=403;code=REQUEST_LIMIT_EXCEEDED;message=None left;count=0' >/dev/null
\set VERBOSITY terse
CALL ampsf.writeback();
\set VERBOSITY default
\! $SANDBOXCTL nofaults >/dev/null
SELECT state, new ->> 'subject' AS subject FROM ampsf.writeback WHERE new ->> 'subject' IN ('One', 'Two') ORDER BY id;
SELECT queued, failures FROM ampsf.writeback_status;
CALL ampsf.writeback();
SELECT queued, failures FROM ampsf.writeback_status;
RESET ROLE;
DROP TABLE cases;
CALL ampsf.sync_due();
DROP OWNED BY regress_wb_owner, regress_wb_user;
DROP ROLE regress_wb_owner, regress_wb_user;

-- off: changes stay here, until a run finds the rows changed
SELECT ampsf.set_writeback('contact', false);
SELECT tgname FROM pg_trigger WHERE tgrelid = 'contact'::regclass AND NOT tgisinternal;
UPDATE contact SET title = 'Local' WHERE id = :'c1';
CALL ampsf.writeback('contact');
SELECT title FROM crm.contact WHERE id = :'c1';
SELECT ampsf.set_writeback('contact');
SELECT ampsf.unmirror('contact');
SELECT count(*) FROM pg_trigger WHERE tgrelid = 'contact'::regclass AND NOT tgisinternal;
DROP TABLE account;
CALL ampsf.sync_due();
SELECT target FROM ampsf.writeback_definition;
SELECT ampsf.set_writeback('contact');
SELECT ampsf.set_writeback(NULL);
ALTER FOREIGN TABLE crm.lead OPTIONS (ADD updatable 'false');
SELECT ampsf.mirror('crm.lead', writeback => true);
