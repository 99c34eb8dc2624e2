-- Lookups of mirrors as foreign keys: there for whoever looks, and nothing fails for them.
\set SHOW_CONTEXT never
\! $SANDBOXCTL reset demo >/dev/null
CREATE SCHEMA m;
SET search_path = m;
CREATE VIEW keys AS SELECT conrelid::regclass AS child, a.attname AS lookup, confrelid::regclass AS parent, convalidated AS valid,
	-- that it enforces nothing is told by the constraint itself, or by its triggers
	NOT coalesce((to_jsonb(k) ->> 'conenforced')::boolean, EXISTS (SELECT FROM pg_trigger t WHERE t.tgconstraint = k.oid AND t.tgenabled <> 'D')) AS free
	FROM pg_constraint k JOIN pg_attribute a ON a.attrelid = conrelid AND a.attnum = conkey[1]
	WHERE contype = 'f' AND connamespace = 'm'::regnamespace ORDER BY 1, 2;
-- the child first: its parent is not there yet; children whose parents are not visible are children, too
SELECT ampsf.mirror('crm.contact', foreign_keys => true);
CALL ampsf.sync('contact');
SELECT * FROM keys;
SELECT ampsf.mirror('crm.account', foreign_keys => true);
CALL ampsf.sync('contact');
SELECT count(*) > 0 AS orphans FROM contact c WHERE accountid IS NOT NULL AND NOT EXISTS (SELECT FROM account a WHERE a.id = c.accountid);
SELECT * FROM keys;
CALL ampsf.sync('account');
CALL ampsf.sync('contact');
SELECT * FROM keys;
SELECT warning FROM ampsf.mirror_status;
-- rows come and go in any order
INSERT INTO crm.account (name) VALUES ('Parent');
INSERT INTO crm.contact (lastname, accountid) SELECT 'Child', id FROM crm.account WHERE name = 'Parent';
CALL ampsf.sync('contact');
SELECT count(*) FROM contact WHERE lastname = 'Child' AND accountid IS NOT NULL;
CALL ampsf.sync('account');
DELETE FROM crm.account WHERE name = 'Parent';
SELECT pg_sleep(1.1);
CALL ampsf.sync('account');
SELECT count(*) FROM account WHERE name = 'Parent';
CALL ampsf.sync('contact');
-- a constraint that enforces, as a restored dump has it, is made free with the next run
DO $$ DECLARE t record; BEGIN
	FOR t IN SELECT tgrelid::regclass AS r, tgname FROM pg_trigger WHERE tgisinternal AND tgrelid = 'm.contact'::regclass LOOP
		EXECUTE format('ALTER TABLE %s ENABLE TRIGGER %I', t.r, t.tgname);
	END LOOP;
END $$;
CALL ampsf.sync('contact');
SELECT * FROM keys WHERE child = 'contact'::regclass;
-- who asks for none has none
SELECT ampsf.mirror('crm.opportunity');
CALL ampsf.sync('opportunity');
SELECT * FROM keys WHERE child = 'opportunity'::regclass;
-- a parent that is no unique column has none; it is told
CREATE TABLE by_time (LIKE account, PRIMARY KEY (id, createddate)) PARTITION BY RANGE (createddate);
CREATE TABLE by_time_1 PARTITION OF by_time DEFAULT;
SELECT ampsf.unmirror('account');
SELECT ampsf.mirror('crm.account', 'by_time', existing => true);
SELECT ampsf.mirror('crm.case', foreign_keys => true);
CALL ampsf.sync('case');
SELECT child, lookup, parent FROM keys WHERE child = 'case'::regclass;
SELECT regexp_replace(warning, ' from accountid.*there is', ' from accountid: ... there is') AS warning FROM ampsf.mirror_status WHERE target = 'case'::regclass;
