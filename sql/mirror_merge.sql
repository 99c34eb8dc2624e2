-- Rows that were merged: gone, and one can follow where to.
\set SHOW_CONTEXT never
\! $SANDBOXCTL reset demo >/dev/null
CREATE SCHEMA m;
SET search_path = m;
INSERT INTO crm.account (name) VALUES ('Mayfly');
SELECT ampsf.mirror('crm.account'), ampsf.mirror('crm.account', 'marked', deletes => 'mark'), ampsf.mirror('crm.contact');
CALL ampsf.sync_due();
SELECT id AS a FROM account ORDER BY id LIMIT 1 \gset
SELECT id AS b FROM account ORDER BY id OFFSET 1 LIMIT 1 \gset
SELECT id AS c FROM account ORDER BY id OFFSET 2 LIMIT 1 \gset
SELECT id AS d FROM account WHERE name = 'Mayfly' \gset
SELECT id AS child FROM contact WHERE accountid = :'b' ORDER BY id LIMIT 1 \gset
\setenv A :a
\setenv B :b
\setenv C :c
\! $SANDBOXCTL merge $A $B >/dev/null
DELETE FROM crm.account WHERE id = :'d';
SELECT pg_sleep(1.1);
UPDATE ampsf.mirror_definition SET next_run = now();
\! $SANDBOXCTL mark
CALL ampsf.sync('account');
\! $SANDBOXCTL soql | grep Master | sed -E 's/^SELECT Id, IsDeleted.*/(rows)/; s/ AND Id IN .*/ AND Id IN .../'
CALL ampsf.sync_due();
SELECT count(*) FROM account WHERE id IN (:'b', :'d');
SELECT target, loser = :'b' AS b, master = :'a' AS a FROM ampsf.merge ORDER BY target::text;
SELECT id = :'b' AS b, isdeleted, deleted_at IS NOT NULL AS deleted, masterrecordid = :'a' AS a FROM marked WHERE id IN (:'b', :'d') ORDER BY id;
-- children follow by a change of their own
SELECT accountid = :'a' AS moved FROM contact WHERE id = :'child';
-- nothing new, no question
\! $SANDBOXCTL mark
CALL ampsf.sync('account');
\! $SANDBOXCTL soql | grep -c 'MasterRecordId != null'
-- merged again: the way ends at the last one; and the comparison of Ids, which has no log, asks as well
\! $SANDBOXCTL merge $C $A >/dev/null
UPDATE ampsf.mirror_definition SET compare_asked = true;
CALL ampsf.sync('account');
SELECT ampsf.merged_into('account', :'b') = :'c' AS c, ampsf.merged_into('account', :'c') = :'c' AS itself, ampsf.merged_into('account', :'d') = :'d' AS deleted;
-- many that are gone at once are not listed
INSERT INTO crm.contact (lastname) SELECT 'Many ' || n FROM generate_series(1, 210) n;
CALL ampsf.sync('contact');
DELETE FROM crm.contact WHERE lastname ~ '^Many ';
SELECT id AS e FROM contact WHERE lastname !~ '^Many ' ORDER BY id LIMIT 1 \gset
SELECT id AS f FROM contact WHERE lastname !~ '^Many ' ORDER BY id OFFSET 1 LIMIT 1 \gset
\setenv E :e
\setenv F :f
\! $SANDBOXCTL merge $E $F >/dev/null
SELECT pg_sleep(1.1);
\! $SANDBOXCTL mark
CALL ampsf.sync('contact');
\! $SANDBOXCTL soql | grep 'MasterRecordId != null'
SELECT count(*) FROM ampsf.merge WHERE target = 'contact'::regclass;
SELECT deleted FROM ampsf.mirror_run ORDER BY id DESC LIMIT 1;
-- others see their own only
CREATE ROLE regress_merge;
SET ROLE regress_merge;
SELECT count(*) FROM ampsf.merge;
RESET ROLE;
DROP ROLE regress_merge;
SELECT ampsf.unmirror('contact');
SELECT count(*) FROM ampsf.merge WHERE target = 'contact'::regclass;
-- what is no Id is no row of the org's: no call
SELECT * FROM ampsf.mirror_merged('crm.contact', '{x}');
