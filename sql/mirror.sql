-- Mirrors: a local table that is kept equal to an object.
\set SHOW_CONTEXT never
\! $SANDBOXCTL reset demo >/dev/null
CREATE SCHEMA m;
SET search_path = m;
-- what a mirror and its object do not have in common: nothing
\getenv srcdir PG_ABS_SRCDIR
\set include :srcdir '/sql/include/differences.sql'
\i :include
CREATE VIEW last_run AS SELECT target, kind, state, chunks, inserted, updated, deleted, compared, calls, interruptions
	FROM ampsf.mirror_run ORDER BY id DESC LIMIT 1;

-- a mirror is a plain table, with a key and comments
SELECT ampsf.comment('crm');
SELECT ampsf.mirror('crm.contact');
SELECT count(*) = (SELECT count(*) FROM pg_attribute WHERE attrelid = 'crm.contact'::regclass AND attnum > 0) AS all_columns
	FROM pg_attribute WHERE attrelid = 'm.contact'::regclass AND attnum > 0;
SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conrelid = 'm.contact'::regclass AND contype = 'p';
SELECT obj_description('m.contact'::regclass), col_description('m.contact'::regclass, 1);
SELECT target, source, phase, rows, watermark, failures FROM ampsf.mirror_status;

-- backfill, and a run without changes
\! $SANDBOXCTL mark
CALL ampsf.sync('contact');
SELECT * FROM last_run;
SELECT differences('contact', 'crm.contact'), (SELECT count(*) FROM contact);
SELECT target, phase, rows, rows_expected, watermark IS NOT NULL AS watermark, runs FROM ampsf.mirror_status;
CALL ampsf.sync('contact');
SELECT * FROM last_run;
-- the window of a run begins ten minutes before the org's time at the beginning of the last one
\! $SANDBOXCTL mark
CALL ampsf.sync('contact');
\! $SANDBOXCTL soql | sed -E 's/SELECT .* FROM/SELECT ... FROM/; s/[0-9]{4}-[0-9-]+T[0-9:]+Z/TIME/g'
\! $SANDBOXCTL calls | grep -v oauth2 | sed -E 's/(start|end)=[^&]*/\1=TIME/g'

-- changes by others: new rows, changed ones, deleted ones
INSERT INTO crm.contact (lastname, title) VALUES ('Curie', 'a'), ('Meitner', 'b'), ('Noether', 'c');
UPDATE crm.contact SET title = 'changed' WHERE id IN (SELECT id FROM contact ORDER BY id LIMIT 5);
CREATE TABLE gone AS SELECT id FROM contact ORDER BY id DESC LIMIT 4;
DELETE FROM crm.contact WHERE id IN (SELECT id FROM gone);
SELECT pg_sleep(1.1);
CALL ampsf.sync('contact');
SELECT * FROM last_run;
SELECT differences('contact', 'crm.contact');
-- what did not change is not written, though it was read again
CREATE TABLE versions AS SELECT id, xmin::text AS version FROM contact;
CALL ampsf.sync('contact');
SELECT count(*) FROM contact c JOIN versions v USING (id) WHERE c.xmin::text <> v.version;
SELECT * FROM last_run;
-- rows that come out of the recycle bin
SELECT id AS undeleted FROM gone LIMIT 1 \gset
\setenv UNDELETED :undeleted
\! $SANDBOXCTL undelete $UNDELETED >/dev/null
CALL ampsf.sync('contact');
SELECT inserted FROM last_run;
SELECT differences('contact', 'crm.contact');

-- rows that nothing tells of: deleted past the recycle bin, or missed; all Ids are compared
\! $SANDBOXCTL bulk hard-delete=on >/dev/null
CREATE TABLE purged AS SELECT id FROM contact WHERE lastname IN ('Curie', 'Meitner', 'Noether');
ALTER FOREIGN TABLE crm.contact OPTIONS (ADD hard_delete 'true');
DELETE FROM crm.contact WHERE id IN (SELECT id FROM purged);
ALTER FOREIGN TABLE crm.contact OPTIONS (DROP hard_delete);
DELETE FROM contact WHERE id IN (SELECT id FROM contact ORDER BY id LIMIT 2);
UPDATE contact SET title = 'old', systemmodstamp = systemmodstamp - interval '1 day' WHERE id IN (SELECT id FROM contact ORDER BY id OFFSET 30 LIMIT 2);
UPDATE ampsf.mirror_definition SET compared_at = compared_at - interval '1 day', rows = rows + 5; -- and a count that is off
CALL ampsf.sync('contact');
SELECT inserted >= 2 AS inserted, updated >= 2 AS updated, deleted, compared FROM last_run;
SELECT d.rows - count(*) AS off FROM ampsf.mirror_definition d, contact GROUP BY d.rows;
SELECT differences('contact', 'crm.contact');
-- the log of deletions goes back 15 days: after a longer pause Ids are compared
UPDATE ampsf.mirror_definition SET deleted_to = deleted_to - interval '15 days';
CALL ampsf.sync('contact');
SELECT * FROM last_run;
CALL ampsf.sync('contact');
SELECT compared FROM last_run;

-- deletions as marks
SELECT ampsf.mirror('crm.account', 'm.marked', deletes => 'mark');
CALL ampsf.sync('marked');
INSERT INTO crm.account (name) VALUES ('Mayfly');
CALL ampsf.sync('marked');
DELETE FROM crm.account WHERE name = 'Mayfly';
SELECT pg_sleep(1.1);
CALL ampsf.sync('marked');
SELECT name, isdeleted, deleted_at IS NOT NULL AS marked FROM marked WHERE name = 'Mayfly';
SELECT id AS undeleted FROM marked WHERE name = 'Mayfly' \gset
\setenv UNDELETED :undeleted
\! $SANDBOXCTL undelete $UNDELETED >/dev/null
CALL ampsf.sync('marked');
SELECT name, isdeleted, deleted_at IS NOT NULL AS marked FROM marked WHERE name = 'Mayfly';
SELECT differences('marked', 'crm.account');
-- a mark that is wrong goes, though nothing else of the row differs
UPDATE marked SET deleted_at = now() WHERE id = (SELECT min(id) FROM marked);
SELECT problem FROM ampsf.verify('marked', repair => true);
SELECT count(deleted_at) FROM marked;

-- in chunks, each committed with its progress
SELECT ampsf.mirror('crm.opportunity', 'chunks', chunk_rows => 20);
CALL ampsf.sync('chunks');
SELECT chunks > 2 AS chunks, inserted = (SELECT count(*) FROM crm.opportunity) AS inserted, updated, interruptions FROM last_run;
SELECT differences('chunks', 'crm.opportunity');

-- more rows of one second than a chunk has: by their Ids
\! $SANDBOXCTL now 2025-03-01T12:00:00Z >/dev/null
INSERT INTO crm.lead (lastname, company) SELECT 'Pile ' || i, 'pile' FROM generate_series(1, 450) i;
\! $SANDBOXCTL now off >/dev/null
SELECT ampsf.mirror('crm.lead', 'pile', chunk_rows => 50);
CALL ampsf.sync('pile');
SELECT chunks BETWEEN 9 AND 20 AS chunks, state FROM last_run;
SELECT differences('pile', 'crm.lead'), count(*) FILTER (WHERE company = 'pile') FROM pile;
-- a row that becomes visible late, with an older time than others that were read
\! $SANDBOXCTL now $(date -u -d '-5 minutes' +%FT%TZ) >/dev/null
INSERT INTO crm.lead (lastname, company) VALUES ('Late', 'late');
\! $SANDBOXCTL now off >/dev/null
CALL ampsf.sync('pile');
SELECT lastname FROM pile WHERE company = 'late';

-- rows that are only ever created have no other time
SELECT ampsf.mirror('crm.accounthistory');
SELECT cursor_column FROM ampsf.mirror_definition WHERE target = 'accounthistory'::regclass;
CALL ampsf.sync('accounthistory');
SELECT differences('accounthistory', 'crm.accounthistory'), count(*) > 0 AS rows FROM accounthistory;
-- no time at all: everything is read, and all Ids are compared
CREATE FOREIGN TABLE timeless (id text OPTIONS (field 'Id'), name text OPTIONS (field 'Name')) SERVER sf OPTIONS (object 'Account');
SELECT ampsf.mirror('timeless', 'copy');
CALL ampsf.sync('copy');
SELECT differences('copy', 'timeless');
UPDATE crm.account SET name = 'Dayfly' WHERE name = 'Mayfly';
INSERT INTO crm.account (name) VALUES ('Nightfly');
CALL ampsf.sync('copy');
SELECT kind, inserted, updated, compared FROM last_run;
DELETE FROM crm.account WHERE name = 'Nightfly';
CALL ampsf.sync('copy');
SELECT deleted FROM last_run;
SELECT differences('copy', 'timeless');
-- a table that shows deleted rows
CREATE FOREIGN TABLE all_contacts (id text OPTIONS (field 'Id'), lastname text OPTIONS (field 'LastName'),
	isdeleted boolean OPTIONS (field 'IsDeleted'), systemmodstamp timestamptz OPTIONS (field 'SystemModstamp'))
	SERVER sf OPTIONS (object 'Contact', include_deleted 'true');
SELECT ampsf.mirror('all_contacts', 'alive');
CALL ampsf.sync('alive');
SELECT count(*) FILTER (WHERE isdeleted) AS deleted, count(*) = (SELECT count(*) FROM crm.contact) AS same FROM alive;

-- is a mirror right? one call says so; where it is not, Ids are compared, and only they are read again
\! $SANDBOXCTL mark
SELECT * FROM ampsf.verify('contact');
\! $SANDBOXCTL soql
DELETE FROM contact WHERE id IN (SELECT id FROM contact ORDER BY id LIMIT 1);
UPDATE contact SET title = 'old', systemmodstamp = systemmodstamp - interval '1 second' WHERE id IN (SELECT id FROM contact ORDER BY id OFFSET 60 LIMIT 2);
INSERT INTO contact (id, lastname, createddate, systemmodstamp) VALUES ('0035g00000ZZZZZAAA', 'nobody', '2024-06-15 12:00+00', '2024-06-15 12:00+00');
\! $SANDBOXCTL mark
SELECT problem, count(*) FROM ampsf.verify('contact') GROUP BY 1 ORDER BY 1;
\! $SANDBOXCTL soql | sed -E 's/[0-9]{4}-[0-9-]+T[0-9:]+Z/TIME/g' | sort | uniq -c
SELECT problem FROM ampsf.verify('contact', repair => true) ORDER BY 1;
SELECT count(*) FROM ampsf.verify('contact');
-- counts cannot see an old row among newer ones
SELECT problem, bool_and(org_stamp > mirror_stamp) AS newer FROM ampsf.verify('contact', repair => true, thorough => true) GROUP BY 1;
SELECT differences('contact', 'crm.contact');
SELECT count(*) AS marked FROM ampsf.verify('marked');
SELECT count(*) AS timeless FROM ampsf.verify('copy');
-- what the org changed after the last run is no fault of the mirror
INSERT INTO crm.contact (lastname) VALUES ('Lovelace');
SELECT count(*) FROM ampsf.verify('contact');
CALL ampsf.sync('contact');
SELECT count(*) FROM ampsf.verify('contact');

-- columns follow the foreign table: new ones are filled, those that go keep what they had
ALTER FOREIGN TABLE timeless ADD COLUMN industry text OPTIONS (field 'Industry'), DROP COLUMN name;
\! $SANDBOXCTL mark
CALL ampsf.sync('copy');
\! $SANDBOXCTL soql
SELECT differences('copy', 'timeless'), count(industry) > 0 AS industry, count(name) > 0 AS name FROM copy;
SELECT warning FROM ampsf.mirror_status WHERE target = 'copy'::regclass;

-- what an object has become, as statements
SELECT ampsf.drift('crm.contact');
CREATE FOREIGN TABLE drifted (id text OPTIONS (field 'Id'), lost text OPTIONS (field 'Lost__c'), systemmodstamp timestamptz OPTIONS (field 'SystemModstamp'),
	quantity integer OPTIONS (field 'Quantity__c'), amount integer OPTIONS (field 'Amount__c'), parent text OPTIONS (field 'Account__r.Name'))
	SERVER sf OPTIONS (object 'Invoice__c');
SELECT drift FROM ampsf.drift('drifted') WHERE drift !~ 'ADD COLUMN' OR drift ~ 'name|notes' ORDER BY 1;
SELECT ampsf.mirror('drifted', 'follows', drift => 'report');
-- a run that needs a field that is gone says so, where it is not to follow by itself
CALL ampsf.sync('follows');
SELECT drift FROM ampsf.drift('drifted') WHERE drift !~ 'ADD COLUMN' OR drift ~ 'notes' ORDER BY 1 \gexec
CALL ampsf.sync('follows');
SELECT differences('follows', 'drifted'), count(notes__c) > 0 AS notes FROM follows;
SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute WHERE attrelid = 'follows'::regclass AND attname IN ('amount', 'quantity', 'lost');
SELECT warning FROM ampsf.mirror_status WHERE target = 'follows'::regclass;
ALTER FOREIGN TABLE drifted DROP COLUMN notes__c;
ALTER FOREIGN TABLE drifted ADD COLUMN status text OPTIONS (field 'Status__c'), ADD COLUMN due date OPTIONS (field 'Due_Date__c');
SELECT * FROM ampsf.drift('follows') WHERE drift ~ 'follows';
\! $SANDBOXCTL mark
CALL ampsf.sync('follows');
\! $SANDBOXCTL soql | sed -E 's/[0-9]{4}-[0-9-]+T[0-9:]+Z/TIME/g'
SELECT differences('follows', 'drifted'), count(notes__c) > 0 AS notes FROM follows;
SELECT warning FROM ampsf.mirror_status WHERE target = 'follows'::regclass;

-- failures are told, and waited for
\! $SANDBOXCTL fault 'path=*/query*;count=0;do=status;status=400;code=QUERY_TIMEOUT;message=too long' >/dev/null
CALL ampsf.sync('contact');
SELECT phase, failures, last_error, next_run > now() + interval '4 minutes' AS later FROM ampsf.mirror_status WHERE target = 'contact'::regclass;
SELECT state, error FROM ampsf.mirror_run ORDER BY id DESC LIMIT 1;
\! $SANDBOXCTL nofaults >/dev/null
CALL ampsf.sync('contact');
SELECT kind, state, interruptions FROM ampsf.mirror_run WHERE target = 'contact'::regclass ORDER BY id DESC LIMIT 2;

-- by schedule
SELECT ampsf.pause('contact');
UPDATE ampsf.mirror_definition SET next_run = now() - interval '1 minute';
SELECT max(id) AS before FROM ampsf.mirror_run \gset
SELECT ampsf.unmirror('copy');
DROP TABLE alive;
CALL ampsf.sync_due();
SELECT target, state FROM ampsf.mirror_run WHERE id > :before ORDER BY target::text;
SELECT ampsf.resume('contact');
CALL ampsf.sync_due();
SELECT target, state FROM last_run;
SELECT count(*) FROM ampsf.mirror_definition;

-- each role has its own
CREATE ROLE regress_mirror;
GRANT USAGE, CREATE ON SCHEMA m TO regress_mirror;
GRANT USAGE ON SCHEMA crm TO regress_mirror;
GRANT SELECT ON crm.lead TO regress_mirror;
CREATE USER MAPPING FOR regress_mirror SERVER sf OPTIONS (client_id 'sandbox', client_secret 'sandbox');
CALL ampsf.sync('contact');
SET ROLE regress_mirror;
SELECT count(*) FROM ampsf.mirror_status;
CALL ampsf.sync('contact');
SELECT ampsf.unmirror('contact');
SELECT ampsf.server_time('crm.account');
INSERT INTO ampsf.mirror_definition (target, owner, source, deletes, every, lookback, compare_every, chunk_rows)
	VALUES ('contact', 'postgres', 'crm.lead', 'remove', '1 day', '0', '1 day', 1);
SELECT ampsf.mirror('crm.lead');
CALL ampsf.sync_due();
SELECT target, phase, rows > 0 AS rows FROM ampsf.mirror_status;
RESET ROLE;
CALL ampsf.sync('lead');
CALL ampsf.sync_due();
DROP TABLE lead;
DROP OWNED BY regress_mirror;
DROP ROLE regress_mirror;

-- what cannot be
SELECT ampsf.mirror('m.gone');
SELECT ampsf.mirror('crm.contact');
SELECT ampsf.mirror('crm.contact', 'a.b.c');
SELECT ampsf.mirror('crm.contact', 'two words');
SELECT ampsf.mirror('crm.case', deletes => 'forget');
SELECT ampsf.mirror('crm.case', every => '0');
SELECT ampsf.mirror('crm.case', every => NULL);
SELECT ampsf.mirror('crm.case', lookback => '-1 minute');
SELECT ampsf.mirror('crm.case', compare_every => '0');
SELECT ampsf.mirror('crm.case', chunk_rows => 0);
SELECT ampsf.mirror('crm.case', formula_every => '0');
CREATE FOREIGN TABLE keyless (name text OPTIONS (field 'Name')) SERVER sf OPTIONS (object 'Account');
SELECT ampsf.mirror('keyless', 'k');
CALL ampsf.sync('gone');
SELECT ampsf.deleted('m.gone', now(), now());
SELECT ampsf.span_counts('crm.account', 'Name) FROM Contact --', 'month', '-infinity', 'infinity');
SELECT ampsf.span_counts('crm.account', 'Name', 'minute', '-infinity', 'infinity');
SELECT ampsf.span_counts('crm.account', 'Name', 'hour', '2024-01-01', '2024-01-03');
SELECT ampsf.span_counts('crm.account', 'Name', 'part', '-infinity', 'infinity');
BEGIN;
CALL ampsf.sync('contact');
ROLLBACK;
