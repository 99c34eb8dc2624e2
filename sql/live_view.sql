-- The live view of a mirror: the mirror, and what changed since its last run, for one call.
\set SHOW_CONTEXT never
\! $SANDBOXCTL reset demo >/dev/null
CREATE SCHEMA l;
SET search_path = l;
\getenv srcdir PG_ABS_SRCDIR
\set include :srcdir '/sql/include/differences.sql'
\i :include
CREATE FUNCTION plan(query text) RETURNS SETOF text LANGUAGE plpgsql AS $$
BEGIN
	RETURN QUERY EXECUTE 'EXPLAIN (COSTS off) ' || query;
END $$;
SELECT ampsf.mirror('crm.contact', live_view => true);
-- not before the first run has ended
SELECT count(*) FROM contact_now;
SELECT count(*) > 0 AS plan FROM plan('SELECT * FROM contact_now');
CALL ampsf.sync('contact');
SELECT differences('contact_now', 'crm.contact');

-- others change rows; no run sees to it, but the view does
INSERT INTO crm.contact (lastname, title) VALUES ('Curie', 'a'), ('Meitner', 'b');
UPDATE crm.contact SET title = 'changed' WHERE id IN (SELECT id FROM contact ORDER BY id LIMIT 5);
CREATE TABLE gone AS SELECT id FROM contact ORDER BY id DESC LIMIT 4;
DELETE FROM crm.contact WHERE id IN (SELECT id FROM gone);
SELECT differences('contact', 'crm.contact') > 0 AS stale;
\! $SANDBOXCTL mark
SELECT count(*) FILTER (WHERE title = 'changed') AS changed, count(*) FILTER (WHERE id IN (SELECT id FROM gone)) AS gone,
	count(*) FILTER (WHERE lastname IN ('Curie', 'Meitner')) AS new FROM contact_now;
\! $SANDBOXCTL calls | sed -E 's/(start|end)=[^&]*/\1=TIME/g; s/\?q=.*/?q=.../'
\! $SANDBOXCTL soql | sed -E 's/SELECT .* FROM/SELECT ... FROM/; s/[0-9]{4}-[0-9-]+T[0-9:]+Z/TIME/g'
SELECT differences('contact_now', 'crm.contact');

-- a call for each statement, however it uses the view
\! $SANDBOXCTL mark
SELECT lastname, title FROM contact_now WHERE id = (SELECT min(id) FROM contact);
SELECT count(*) FROM contact_now a JOIN contact_now b USING (id) WHERE a.title = 'changed';
WITH c AS (SELECT * FROM contact_now) SELECT count(*) FROM c WHERE EXISTS (SELECT FROM contact_now n WHERE n.reportstoid = c.id) AND c.title <> (SELECT max(title) FROM contact_now);
SELECT (SELECT lastname FROM contact_now n WHERE n.id = g.id) FROM (VALUES ((SELECT min(id) FROM contact)), ((SELECT max(id) FROM gone))) g (id);
\! $SANDBOXCTL calls | grep -c /composite
-- prepared statements ask each time they run
PREPARE p(text) AS SELECT title FROM contact_now WHERE lastname = $1;
EXECUTE p('Curie');
UPDATE crm.contact SET title = 'other' WHERE lastname = 'Curie';
EXECUTE p('Curie');
SET plan_cache_mode = force_generic_plan;
EXECUTE p('Curie');
EXECUTE p('Meitner');
RESET plan_cache_mode;
\! $SANDBOXCTL calls | grep -c /composite
-- within a transaction too, and in a cursor
BEGIN;
SELECT count(*) FROM contact_now WHERE title = 'other';
UPDATE crm.contact SET title = 'third' WHERE lastname = 'Curie';
SELECT count(*) FROM contact_now WHERE title = 'other';
DECLARE c SCROLL CURSOR FOR SELECT lastname FROM contact_now WHERE title = 'third';
SAVEPOINT s;
FETCH c;
SELECT 1 / 0 FROM contact_now;
ROLLBACK TO s;
FETCH c;
MOVE BACKWARD ALL c;
FETCH c;
COMMIT;
-- what an index would find, it finds
SET enable_seqscan = off;
\pset format unaligned
SELECT regexp_replace(regexp_replace(btrim(l), 'SELECT .* FROM', 'SELECT ... FROM'), '\d+-\d+-\d+T[0-9:]+Z', 'TIME') FROM plan($$SELECT lastname FROM contact_now WHERE id = '003'$$) l WHERE l ~ 'Asked|Deletions|Index|Live|Function';
\pset format aligned
RESET enable_seqscan;

-- after a run that has seen it all the window is that of the lookback
SELECT pg_sleep(1.1);
CALL ampsf.sync('contact');
SELECT differences('contact', 'crm.contact'), differences('contact_now', 'crm.contact');
UPDATE ampsf.mirror_definition SET lookback = '0' WHERE target = 'contact'::regclass;
SELECT pg_sleep(1.1);
CALL ampsf.sync('contact');
SELECT count(*) FROM ampsf.live_ids('contact');
SELECT differences('contact_now', 'crm.contact');
UPDATE ampsf.mirror_definition SET lookback = '10 minutes' WHERE target = 'contact'::regclass;
-- rows that come out of the recycle bin
SELECT id AS undeleted FROM gone LIMIT 1 \gset
\setenv UNDELETED :undeleted
\! $SANDBOXCTL undelete $UNDELETED >/dev/null
SELECT differences('contact_now', 'crm.contact'), count(*) FROM contact_now WHERE id = :'undeleted';

-- a mirror that is far behind costs a call for each page of rows
UPDATE ampsf.mirror_definition SET watermark = '2020-01-01' WHERE target = 'contact'::regclass;
ALTER FOREIGN TABLE crm.contact OPTIONS (ADD page_size '200');
\! $SANDBOXCTL mark
SELECT count(*) = (SELECT count(*) FROM crm.contact) AS same FROM contact_now;
\! $SANDBOXCTL calls | grep -v oauth2 | sed -E 's/(start|end)=[^&]*/\1=TIME/g; s/\?q=.*/?q=.../'
SELECT differences('contact_now', 'crm.contact');
ALTER FOREIGN TABLE crm.contact OPTIONS (DROP page_size);
-- but the log of deletions has 15 days
UPDATE ampsf.mirror_definition SET deleted_to = now() - interval '15 days' WHERE target = 'contact'::regclass;
SELECT count(*) FROM contact_now;
CALL ampsf.sync('contact');
SELECT differences('contact_now', 'crm.contact');

-- an answer that is not complete is an error
\! $SANDBOXCTL fault 'path=*/composite*;count=0;do=status;status=400;code=LIMIT_EXCEEDED;message=oops' >/dev/null
SELECT count(*) FROM contact_now;
\! $SANDBOXCTL nofaults >/dev/null
-- an org that wants no end of the log in the future is told its own time
\! $SANDBOXCTL fault 'path=*/composite;count=1;do=status;status=200;body={"compositeResponse":[{"body":[{"errorCode":"INVALID_REPLICATION_DATE","message":"endDate is in the future"}],"httpHeaders":{},"httpStatusCode":400,"referenceId":"log"},{"body":{"totalSize":0,"done":true,"records":[]},"httpHeaders":{},"httpStatusCode":200,"referenceId":"rows"}]}' >/dev/null
\! $SANDBOXCTL mark
SELECT differences('contact_now', 'crm.contact');
\! $SANDBOXCTL calls | grep -c '^POST.*composite'
\! $SANDBOXCTL nofaults >/dev/null
\! $SANDBOXCTL fault 'path=*/composite;count=2;do=status;status=200;body={"compositeResponse":[{"body":[{"errorCode":"INVALID_REPLICATION_DATE","message":"startDate before org replication enabled date"}],"httpHeaders":{},"httpStatusCode":400,"referenceId":"log"},{"body":{"totalSize":0,"done":true,"records":[]},"httpHeaders":{},"httpStatusCode":200,"referenceId":"rows"}]}' >/dev/null
SELECT count(*) FROM contact_now;
\! $SANDBOXCTL nofaults >/dev/null
-- a row that the log names, and that is there again, is there
SELECT id AS back FROM contact ORDER BY id OFFSET 20 LIMIT 1 \gset
SELECT id AS gone FROM contact ORDER BY id OFFSET 21 LIMIT 1 \gset
\setenv BACK :back
\setenv GONE :gone
\! $SANDBOXCTL fault "path=*/composite;count=2;do=status;status=200;body={\"compositeResponse\":[{\"body\":{\"deletedRecords\":[{\"id\":\"$BACK\",\"deletedDate\":\"2024-05-01T00:00:00.000+0000\"},{\"id\":\"$GONE\",\"deletedDate\":\"2024-05-01T00:00:00.000+0000\"}],\"earliestDateAvailable\":\"2024-01-01T00:00:00.000+0000\",\"latestDateCovered\":\"2024-01-01T00:00:00.000+0000\"},\"httpHeaders\":{},\"httpStatusCode\":200,\"referenceId\":\"log\"},{\"body\":{\"totalSize\":1,\"done\":true,\"records\":[{\"Id\":\"$BACK\",\"LastName\":\"Lazarus\"}]},\"httpHeaders\":{},\"httpStatusCode\":200,\"referenceId\":\"rows\"}]}" >/dev/null
SELECT lastname, count(*) FROM contact_now WHERE id IN (:'back', :'gone') GROUP BY 1;
SELECT id = :'back' AS back, id = :'gone' AS gone, deleted IS NOT NULL AS deleted FROM ampsf.live_ids('contact') ORDER BY 1;
\! $SANDBOXCTL nofaults >/dev/null
-- nor is what says less than it announces, or nothing
\! $SANDBOXCTL fault 'path=*/composite;count=1;do=status;status=200;body={"compositeResponse":[{"body":{"deletedRecords":[],"earliestDateAvailable":"2024-01-01T00:00:00.000+0000","latestDateCovered":"2024-01-01T00:00:00.000+0000"},"httpHeaders":{},"httpStatusCode":200,"referenceId":"log"},{"body":{"totalSize":2,"done":true,"records":[]},"httpHeaders":{},"httpStatusCode":200,"referenceId":"rows"}]}' >/dev/null
SELECT count(*) FROM contact_now;
\! $SANDBOXCTL nofaults >/dev/null
\! $SANDBOXCTL fault 'path=*/composite;count=1;do=status;status=200;body={"compositeResponse":[{"body":{"deletedRecords":null,"earliestDateAvailable":"2024-01-01T00:00:00.000+0000","latestDateCovered":"2024-01-01T00:00:00.000+0000"},"httpHeaders":{},"httpStatusCode":200,"referenceId":"log"}]}' >/dev/null
SELECT count(*) FROM contact_now;
\! $SANDBOXCTL nofaults >/dev/null
ALTER FOREIGN TABLE crm.contact ALTER COLUMN title OPTIONS (SET field 'Nothing__c');
SELECT count(*) FROM contact_now;
ALTER FOREIGN TABLE crm.contact ALTER COLUMN title OPTIONS (SET field 'Title');
ALTER FOREIGN TABLE crm.contact OPTIONS (SET object 'AccountHistory');
SELECT count(*) FROM contact_now;
ALTER FOREIGN TABLE crm.contact OPTIONS (SET object 'Contact');
SELECT differences('contact_now', 'crm.contact');

-- deletions as marks
SELECT ampsf.mirror('crm.account', 'marked', deletes => 'mark', live_view => true);
CALL ampsf.sync('marked');
INSERT INTO crm.account (name) VALUES ('Mayfly'), ('Dayfly');
CALL ampsf.sync('marked');
DELETE FROM crm.account WHERE name = 'Mayfly';
UPDATE crm.account SET name = 'Nightfly' WHERE name = 'Dayfly';
SELECT name, isdeleted, deleted_at IS NOT NULL AS marked FROM marked_now WHERE name ~ 'fly$' ORDER BY 1;
SELECT name, isdeleted, deleted_at IS NOT NULL AS marked FROM marked WHERE name ~ 'fly$' ORDER BY 1;
CALL ampsf.sync('marked');
SELECT name, isdeleted, deleted_at IS NOT NULL AS marked FROM marked_now WHERE name ~ 'fly$' ORDER BY 1;
SELECT count(*) - count(DISTINCT id) AS twice, count(deleted_at) AS marked FROM marked_now;

-- columns that come and go; an index, a column of one's own, a name that is no word
CREATE FOREIGN TABLE "In voice" ("Id" text OPTIONS (field 'Id'), amount integer OPTIONS (field 'Amount__c'), "Note s" text OPTIONS (field 'Notes__c'),
	gross numeric OPTIONS (field 'Gross__c', calculated 'true'), customer text OPTIONS (field 'Account__r.Name'),
	place jsonb OPTIONS (field 'Location__c', type 'location'), systemmodstamp timestamptz OPTIONS (field 'SystemModstamp')) SERVER sf OPTIONS (object 'Invoice__c');
ALTER FOREIGN TABLE "In voice" DROP COLUMN amount;
SELECT ampsf.mirror('"In voice"', '"Bill s"', live_view => true);
CALL ampsf.sync('"Bill s"');
SELECT differences('"Bill s_now"', '"In voice"');
CREATE ROLE regress_live;
GRANT SELECT ON "Bill s_now" TO regress_live WITH GRANT OPTION;
ALTER FOREIGN TABLE "In voice" ADD COLUMN quantity integer OPTIONS (field 'Weight__c');
ALTER FOREIGN TABLE "In voice" DROP COLUMN quantity;
ALTER FOREIGN TABLE "In voice" ADD COLUMN status text OPTIONS (field 'Status__c'), ADD COLUMN due text OPTIONS (field 'Due_Date__c');
SELECT differences('"Bill s_now"', '"Bill s"');
CALL ampsf.sync('"Bill s"');
SELECT differences('"Bill s_now"', '"In voice"');
ALTER TABLE "Bill s" ADD COLUMN mine integer;
UPDATE "Bill s" SET mine = 1;
ALTER FOREIGN TABLE "In voice" DROP COLUMN "Note s";
UPDATE crm.invoice__c SET status__c = 'Paid', notes__c = 'not seen' WHERE id IN (SELECT "Id" FROM "Bill s" WHERE "Note s" IS NOT NULL ORDER BY 1 LIMIT 3);
-- until the next run
SELECT count(*) FROM "Bill s_now";
CALL ampsf.sync('"Bill s"');
UPDATE crm.invoice__c SET status__c = 'Sent' WHERE id IN (SELECT "Id" FROM "Bill s" WHERE status = 'Paid');
SELECT differences('"Bill s_now"', '"In voice"'), count("Note s") = (SELECT count("Note s") FROM "Bill s") AS kept,
	count(mine) = (SELECT count(*) FROM "Bill s") AS mine, count(*) FILTER (WHERE "Note s" = 'not seen') AS not_seen FROM "Bill s_now";
-- a wider type; grants stay
UPDATE ampsf.mirror_definition SET live_formulas = false WHERE target = '"Bill s"'::regclass;
ALTER FOREIGN TABLE "In voice" DROP COLUMN due;
CALL ampsf.sync('"Bill s"');
ALTER TABLE "Bill s" DROP COLUMN due CASCADE;
SELECT to_regclass('"Bill s_now"');
SELECT ampsf.live_view('"Bill s"');
GRANT SELECT ON "Bill s_now" TO regress_live WITH GRANT OPTION;
ALTER FOREIGN TABLE "In voice" ADD COLUMN due date OPTIONS (field 'Due_Date__c');
CALL ampsf.sync('"Bill s"');
ALTER FOREIGN TABLE "In voice" ALTER COLUMN due TYPE text;
CALL ampsf.sync('"Bill s"');
SELECT differences('"Bill s_now"', '"In voice"');
SELECT format_type(atttypid, atttypmod) FROM pg_attribute WHERE attrelid = '"Bill s_now"'::regclass AND attname = 'due';
SELECT has_table_privilege('regress_live', '"Bill s_now"', 'SELECT WITH GRANT OPTION') AS granted;

-- a view of somebody's stands on it: the type stays, and the status says so
ALTER FOREIGN TABLE "In voice" ADD COLUMN day date OPTIONS (field 'Due_Date__c');
CREATE VIEW mine AS SELECT "Id", status FROM "Bill s_now";
CALL ampsf.sync('"Bill s"');
ALTER FOREIGN TABLE "In voice" ALTER COLUMN day TYPE text;
CALL ampsf.sync('"Bill s"');
SELECT warning AS told FROM ampsf.mirror_status WHERE target = '"Bill s"'::regclass;
SELECT count(*) > 0 AS rows FROM mine;
DROP VIEW mine;
CALL ampsf.sync('"Bill s"');
SELECT coalesce(warning ~ 'day', false) AS told FROM ampsf.mirror_status WHERE target = '"Bill s"'::regclass;
SELECT differences('"Bill s_now"', '"In voice"');

-- a field that is hidden from this user: the view goes on with what the mirror has
\! $SANDBOXCTL schema 'hide Invoice__c Due_Date__c' >/dev/null
SELECT count(*) FROM "Bill s_now";
CALL ampsf.sync('"Bill s"');
UPDATE crm.invoice__c SET status__c = 'Paid' WHERE id IN (SELECT "Id" FROM "Bill s" WHERE due IS NOT NULL ORDER BY 1 LIMIT 3);
SELECT count(due) = (SELECT count(due) FROM "Bill s") AS kept, count(due) > 0 AS due, count(*) FILTER (WHERE status = 'Paid') > 2 AS paid FROM "Bill s_now";
\! $SANDBOXCTL noschema >/dev/null
CALL ampsf.sync('"Bill s"');
SELECT differences('"Bill s_now"', '"In voice"');

-- formula fields that change without a time: as of the last refresh, or live
UPDATE "Bill s" SET gross = -1, customer = 'stale';
UPDATE ampsf.mirror_definition SET watermark = watermark + interval '1 hour' WHERE target = '"Bill s"'::regclass;
SELECT count(*) FILTER (WHERE gross = -1) > 0 AS stale FROM "Bill s_now";
SELECT ampsf.live_view('"Bill s"', formulas => true);
SELECT count(*) FILTER (WHERE gross = -1) AS stale, differences('"Bill s_now"', '"In voice"') FROM "Bill s_now";
-- of few rows by their Ids
\! $SANDBOXCTL mark
SELECT gross = -1 AS stale FROM "Bill s_now" WHERE "Id" = (SELECT min("Id") FROM "Bill s");
\! $SANDBOXCTL soql | sed -E "s/[0-9]{4}-[0-9-]+T[0-9:]+Z/TIME/g; s/'[^']*'/ID/"
SELECT ampsf.live_view('"Bill s"', formulas => false);
SELECT count(*) FILTER (WHERE gross = -1) > 0 AS stale FROM "Bill s_now";

-- who may read the mirror, but not the foreign table; and who may read both, by their own login
GRANT USAGE ON SCHEMA l, crm TO regress_live;
GRANT SELECT ON contact, contact_now TO regress_live;
SET ROLE regress_live;
SELECT count(*) FROM contact_now;
RESET ROLE;
GRANT SELECT ON crm.contact TO regress_live;
CREATE USER MAPPING FOR regress_live SERVER sf OPTIONS (client_id 'sandbox', client_secret 'sandbox');
SET ROLE regress_live;
SELECT count(*) = (SELECT count(*) FROM crm.contact) AS same FROM contact_now;
SELECT ampsf.live_view('contact');
RESET ROLE;

-- what a user has changed here, and was not sent yet, is newer than what the org has
UPDATE crm.contact SET title = 'theirs' WHERE id IN (SELECT id FROM contact ORDER BY id LIMIT 3);
SELECT ampsf.set_writeback('contact');
CALL ampsf.sync('contact');
SELECT id AS one FROM contact ORDER BY id LIMIT 1 \gset
SELECT id AS two FROM contact ORDER BY id OFFSET 1 LIMIT 1 \gset
SELECT id AS three FROM contact ORDER BY id OFFSET 2 LIMIT 1 \gset
UPDATE contact SET title = 'mine' WHERE id = :'one';
DELETE FROM contact WHERE id = :'two';
INSERT INTO contact (lastname, title) VALUES ('Hypatia', 'new');
SELECT title FROM contact_now WHERE id IN (:'one', :'two', :'three') OR lastname = 'Hypatia' ORDER BY title;
CALL ampsf.writeback('contact');
SELECT title FROM contact_now WHERE id IN (:'one', :'two', :'three') OR lastname = 'Hypatia' ORDER BY title;
SELECT differences('contact_now', 'crm.contact');
SELECT ampsf.set_writeback('contact', false);

-- without times there is none; nor without a log of deletions
CREATE FOREIGN TABLE timeless (id text OPTIONS (field 'Id'), name text OPTIONS (field 'Name')) SERVER sf OPTIONS (object 'Account');
SELECT ampsf.mirror('timeless', 'copy', live_view => true);
SELECT ampsf.mirror('crm.accounthistory', live_view => true);
SELECT ampsf.live_view('gone');
SELECT count(*) FROM ampsf.live_ids('gone');
-- it goes with the mirror; its table stays
SELECT ampsf.unmirror('contact');
SELECT to_regclass('contact_now'), to_regclass('contact');
DROP OWNED BY regress_live;
DROP ROLE regress_live;
