-- Change events applied to mirrors.
\set SHOW_CONTEXT never
\! $SANDBOXCTL reset demo >/dev/null
CREATE SCHEMA m;
SET search_path = m;
SET timezone = 'UTC';
SET datestyle = 'ISO';
-- an event as ampsf.change has it
CREATE FUNCTION event(object text, id text, type text, vals jsonb DEFAULT NULL, at timestamptz DEFAULT date_trunc('second', clock_timestamp()),
	changed text[] DEFAULT NULL, subscription bigint DEFAULT 1) RETURNS void LANGUAGE sql AS $$
	INSERT INTO ampsf.change (subscription, server, replay_id, object, record_id, type, changed_fields, "values", committed)
	VALUES (subscription, 'sf', (SELECT coalesce(max(replay_id), 0) + 1 FROM ampsf.change), object, id, type,
		coalesce(changed, CASE type WHEN 'UPDATE' THEN (SELECT array_agg(k) FROM jsonb_object_keys(vals) k) END),
		CASE WHEN type IN ('CREATE', 'UPDATE', 'UNDELETE') THEN '{}'::jsonb
			|| CASE WHEN vals ? 'LastModifiedDate' OR at IS NULL THEN '{}'::jsonb
				ELSE jsonb_build_object('LastModifiedDate', to_char(at, 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')) END || coalesce(vals, '{}') END, at)
$$;
\getenv srcdir PG_ABS_SRCDIR
\set include :srcdir '/sql/include/differences.sql'
\i :include
CREATE VIEW last_run AS SELECT target, kind, state, events, inserted, updated, deleted, calls FROM ampsf.mirror_run ORDER BY id DESC LIMIT 1;

SELECT ampsf.mirror('crm.account');
SELECT id AS a FROM crm.account ORDER BY id LIMIT 1 \gset
SELECT id AS b FROM crm.account ORDER BY id OFFSET 1 LIMIT 1 \gset
SELECT id AS c FROM crm.account ORDER BY id OFFSET 2 LIMIT 1 \gset
-- a mirror that is not filled yet takes none; and the first run makes up for them
SELECT event('Account', :'a', 'UPDATE', '{"Description": "before"}', '2020-01-01');
SELECT ampsf.mirror_apply('account');
CALL ampsf.sync('account');
SELECT description FROM account WHERE id = :'a';
SELECT events, last_event, event_error FROM ampsf.mirror_status;
SELECT * FROM last_run;

-- what was changed is set, and nothing else; a null is a value; names and columns without case; no call is made
SELECT description, phone, name FROM account WHERE id = :'a';
UPDATE account SET fax = 'untouched' WHERE id = :'a';
SELECT event('account', :'a', 'UPDATE', '{"DESCRIPTION": "told", "Phone": null, "AnnualRevenue": 12.50, "NumberOfEmployees": 7, "Nonsense__c": 1}', '2030-01-01 00:00:01');
\! $SANDBOXCTL mark
SELECT ampsf.mirror_apply('account');
\! $SANDBOXCTL calls
SELECT description, phone, fax, annualrevenue, numberofemployees, lastmodifieddate, systemmodstamp FROM account WHERE id = :'a';
SELECT * FROM last_run;
SELECT events, last_event FROM ampsf.mirror_status;
SELECT ampsf.mirror_apply('account');
-- of several of one record the last word counts, of each field its own; none is written twice
SELECT event('Account', :'a', 'UPDATE', jsonb_build_object('Site', 's' || n) || CASE WHEN n % 2 = 0 THEN jsonb_build_object('Fax', n) ELSE '{}' END,
	'2030-01-01 00:00:02'::timestamptz + n * interval '1 ms') FROM generate_series(1, 5) n;
SELECT event('Account', :'b', 'UPDATE', '{"Site": "b"}', '2030-01-01');
CREATE TABLE versions (id text, site text);
CREATE FUNCTION noted() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO m.versions VALUES (NEW.id, NEW.site); RETURN NEW; END $$;
CREATE TRIGGER noted AFTER UPDATE ON account FOR EACH ROW EXECUTE FUNCTION noted();
SELECT ampsf.mirror_apply_due(1);
SELECT site, fax, lastmodifieddate FROM account WHERE id = :'a';
SELECT id = :'a' AS a, site FROM versions ORDER BY site;
DROP TRIGGER noted ON account;
-- an event that is older than the row is passed over; one of the same second is not
SELECT event('Account', :'a', 'UPDATE', '{"Site": "older"}', '2030-01-01 00:00:01');
SELECT ampsf.mirror_apply('account');
SELECT site FROM account WHERE id = :'a';
SELECT event('Account', :'a', 'UPDATE', '{"Site": "same second"}', '2030-01-01 00:00:02');
SELECT ampsf.mirror_apply('account');
SELECT site FROM account WHERE id = :'a';
-- nor is one that was committed later than the row's time, though it has an older one: a late transaction, a roll-up
SELECT event('Account', :'a', 'UPDATE', '{"Site": "late", "LastModifiedDate": "2029-01-01T00:00:00.000Z"}', '2030-01-01 00:01:00');
SELECT ampsf.mirror_apply('account');
SELECT site, lastmodifieddate, systemmodstamp FROM account WHERE id = :'a';
-- one that came by a webhook, where order is not sure, makes that the row is read again
SELECT event('Account', :'a', 'UPDATE', '{"Site": "overtaken"}', '2030-01-01 00:00:01', subscription => NULL),
	event('Account', :'b', 'UPDATE', '{"Site": "overtaken"}', '2029-01-01', subscription => NULL);
\! $SANDBOXCTL mark
SELECT ampsf.mirror_apply_due();
\! $SANDBOXCTL soql | sed -E 's/SELECT .* FROM/SELECT ... FROM/; s/001[A-Za-z0-9]{15}/ID/g'
SELECT differences('account', 'crm.account');

-- a new record: read, since no event tells its formulas and SystemModstamp; one call for all of a batch
INSERT INTO crm.account (name, billingcity, annualrevenue) VALUES ('Made 1', 'Ulm', 1), ('Made 2', 'Bonn', 2);
SELECT event('Account', id, 'CREATE', jsonb_build_object('Name', name), lastmodifieddate) FROM crm.account WHERE name LIKE 'Made _';
\! $SANDBOXCTL mark
SELECT ampsf.mirror_apply('account');
\! $SANDBOXCTL calls | sed -E 's/query\?.*/query/'
SELECT count(*) FROM account WHERE name LIKE 'Made _' AND systemmodstamp IS NOT NULL;
-- which a run finds there already: nothing to read
SELECT event('Account', id, 'CREATE', jsonb_build_object('Name', name), lastmodifieddate) FROM crm.account WHERE name LIKE 'Made _';
\! $SANDBOXCTL mark
SELECT ampsf.mirror_apply('account');
\! $SANDBOXCTL calls
SELECT * FROM last_run;
SELECT differences('account', 'crm.account');

-- a change of a row that is not there is read; so is a part of a compound field, a field that was changed and is not told, a parent
DELETE FROM account WHERE id IN (:'a', :'b');
UPDATE ampsf.mirror_definition SET rows = rows - 2;
SELECT event('Account', :'a', 'UPDATE', '{"Site": "x"}');
UPDATE crm.account SET billingcity = 'Köln', phone = '0221' WHERE id = :'c';
SELECT event('Account', :'c', 'UPDATE', '{"BillingCity": "Köln"}');
SELECT ampsf.mirror_apply('account');
SELECT billingcity, billingaddress ->> 'city' AS city, phone FROM account WHERE id = :'c';
UPDATE crm.account SET fax = '4711' WHERE id = :'c';
SELECT event('Account', :'c', 'UPDATE', '{"Site": "not the org''s"}', changed => ARRAY['Site', 'Fax', 'Else__c']);
SELECT ampsf.mirror_apply('account');
SELECT fax FROM account WHERE id = :'c';
-- gaps: told that something changed, but not what
UPDATE crm.account SET fax = '4712' WHERE id = :'c';
SELECT event('Account', :'c', 'GAP_UPDATE'), event('Account', :'b', 'GAP_CREATE');
SELECT ampsf.mirror_apply('account');
SELECT fax FROM account WHERE id = :'c';
SELECT differences('account', 'crm.account');
-- values that do not fit: the foreign scan has the last word
ALTER TABLE account ADD CONSTRAINT sane CHECK (numberofemployees > 0) NOT VALID;
SELECT event('Account', :'c', 'UPDATE', '{"NumberOfEmployees": "many"}', '2030-01-01');
SELECT ampsf.mirror_apply('account');
SELECT event('Account', :'c', 'UPDATE', '{"NumberOfEmployees": -1}', '2030-01-01');
SELECT ampsf.mirror_apply('account');
SELECT differences('account', 'crm.account');
SELECT rows = (SELECT count(*) FROM account) AS rows FROM ampsf.mirror_status;

-- deletions and what comes back
SELECT name AS deleted FROM account WHERE id = :'b' \gset
DELETE FROM crm.opportunity WHERE accountid = :'b';
UPDATE crm.contact SET accountid = NULL WHERE accountid = :'b';
DELETE FROM crm."case" WHERE accountid = :'b';
DELETE FROM crm.account WHERE id = :'b';
SELECT event('Account', :'b', 'DELETE', at => '2030-01-01');
SELECT ampsf.mirror_apply('account');
SELECT count(*) FROM account WHERE id = :'b';
SELECT event('Account', :'b', 'DELETE'), event('Account', :'b', 'UPDATE', '{"Site": "too late"}');
SELECT ampsf.mirror_apply('account');
SELECT count(*) FROM account WHERE id = :'b';
\setenv B :b
\! $SANDBOXCTL undelete $B >/dev/null
SELECT event('Account', :'b', 'UNDELETE', jsonb_build_object('Name', :'deleted'));
SELECT ampsf.mirror_apply('account');
SELECT name = :'deleted' AS back FROM account WHERE id = :'b';
-- a deletion that the row has survived
SELECT event('Account', :'b', 'DELETE', at => '2001-01-01');
SELECT ampsf.mirror_apply('account');
SELECT count(*) FROM account WHERE id = :'b';
-- made and deleted between two looks; deleted, and back
SELECT event('Account', '001A000010khO8JIAU', 'CREATE', '{"Name": "short"}'), event('Account', '001A000010khO8JIAU', 'GAP_DELETE'),
	event('Account', :'b', 'DELETE', at => '2030-01-01'), event('Account', :'b', 'UNDELETE', '{}', '2030-01-01');
SELECT ampsf.mirror_apply('account');
SELECT differences('account', 'crm.account');
SELECT rows = (SELECT count(*) FROM account) AS rows FROM ampsf.mirror_status;

-- events of a webhook come in any order: of several the org says what is so
DELETE FROM crm.account WHERE name = 'Made 1';
SELECT id AS made FROM account WHERE name = 'Made 1' \gset
SELECT event('Account', :'made', 'DELETE', subscription => NULL), event('Account', :'made', 'UPDATE', '{"Site": "before"}', subscription => NULL),
	event('Account', :'c', 'DELETE', subscription => NULL), event('Account', :'c', 'UPDATE', '{"Site": "not so"}', subscription => NULL);
SELECT ampsf.mirror_apply('account');
SELECT differences('account', 'crm.account');
-- nor is a time that is not told taken for new
SELECT event('Account', :'c', 'UPDATE', '{"Site": "not so"}', NULL, subscription => NULL);
SELECT ampsf.mirror_apply('account');
SELECT differences('account', 'crm.account');

-- marked in place of removed
SELECT ampsf.mirror('crm.lead', deletes => 'mark');
CALL ampsf.sync('lead');
SELECT id AS l FROM lead ORDER BY id LIMIT 1 \gset
SELECT event('Lead', :'l', 'DELETE', at => '2030-05-06 07:08:09.123');
SELECT ampsf.mirror_apply('lead');
SELECT deleted_at, isdeleted FROM lead WHERE id = :'l';
SELECT event('Lead', :'l', 'UPDATE', '{"Company": "x"}', '2030-06-01');
SELECT ampsf.mirror_apply('lead');
SELECT deleted_at, isdeleted, differences('lead', 'crm.lead') FROM lead WHERE id = :'l';
-- the name of a person is made of parts
UPDATE crm.lead SET lastname = 'Lovelace', firstname = 'Ada' WHERE id = :'l';
SELECT event('Lead', :'l', 'UPDATE', '{"LastName": "Lovelace", "FirstName": "Ada"}');
SELECT ampsf.mirror_apply('lead');
SELECT name FROM lead WHERE id = :'l';

-- what events cannot tell: a run that begins now, and compares
SELECT event('Lead', NULL, 'GAP_OVERFLOW');
SELECT ampsf.mirror_apply('lead');
SELECT next_run <= now() AS due, compare_asked FROM ampsf.mirror_definition WHERE target = 'lead'::regclass;
SELECT event('Lead', '00Q*', 'GAP_UPDATE'), event('Lead', '000000000000000AAA', 'GAP_OVERFLOW'), event('Lead', NULL, 'LOST');
-- in the middle of a run, which may have passed the place: another one follows
UPDATE ampsf.mirror_definition SET stage = 'deletes', compare_asked = false, compared_at = watermark, run_started = watermark, next_run = 'infinity' WHERE target = 'lead'::regclass;
SELECT ampsf.mirror_apply('lead');
SELECT rerun, compare_asked FROM ampsf.mirror_definition WHERE target = 'lead'::regclass;
SELECT ampsf.mirror_step('lead');
SELECT next_run <= clock_timestamp() AS due, compare_asked, rerun FROM ampsf.mirror_definition WHERE target = 'lead'::regclass;
CALL ampsf.sync('lead');
SELECT compared FROM ampsf.mirror_run ORDER BY id DESC LIMIT 1;
SELECT next_run > clock_timestamp() + interval '4 minutes' AS at_rest, compare_asked, rerun FROM ampsf.mirror_definition WHERE target = 'lead'::regclass;
-- a run that failed is not asked for at once, and events go on
UPDATE ampsf.mirror_definition SET every = '1 day' WHERE target = 'lead'::regclass;
\! $SANDBOXCTL fault 'path=*/query*;match=FROM Lead;count=9;do=status;status=400;body=[{"errorCode":"MALFORMED_QUERY","message":"x"}]'
CALL ampsf.sync('lead');
\! $SANDBOXCTL nofaults
SELECT next_run < clock_timestamp() + interval '6 minutes' AS soon, next_run > clock_timestamp() + interval '4 minutes' AS not_at_once, failures FROM ampsf.mirror_status WHERE target = 'lead'::regclass;
SELECT event('Lead', NULL, 'GAP_OVERFLOW'), event('Lead', :'l', 'UPDATE', '{"Company": "while it waits"}', '2030-09-01');
SELECT ampsf.mirror_apply('lead');
SELECT company FROM lead WHERE id = :'l';
SELECT next_run > clock_timestamp() + interval '4 minutes' AS not_at_once, rerun FROM ampsf.mirror_definition WHERE target = 'lead'::regclass;
CALL ampsf.sync('lead');
SELECT next_run <= clock_timestamp() AS due, compare_asked, rerun FROM ampsf.mirror_definition WHERE target = 'lead'::regclass;
CALL ampsf.sync('lead');
SELECT differences('lead', 'crm.lead');

-- columns of other names, parents, few columns: a new row that events tell in full is not read
CREATE FOREIGN TABLE few (key varchar(18) OPTIONS (field 'Id'), "The title" text OPTIONS (field 'Name'), quiet boolean OPTIONS (field 'IsDeleted'),
	changed timestamptz OPTIONS (field 'LastModifiedDate'), size int OPTIONS (field 'NumberOfEmployees')) SERVER sf OPTIONS (object 'ACCOUNT');
CREATE FOREIGN TABLE parents (id text, ownerid text, boss text OPTIONS (field 'Owner.Name'), changed timestamptz OPTIONS (field 'LastModifiedDate'))
	SERVER sf OPTIONS (object 'Account');
SELECT ampsf.mirror('few', 'few_copy'), ampsf.mirror('parents', 'parents_copy');
CALL ampsf.sync('few_copy');
CALL ampsf.sync('parents_copy');
SELECT id AS other_user FROM crm."user" WHERE id <> (SELECT ownerid FROM parents_copy WHERE id = :'c') AND isactive ORDER BY id LIMIT 1 \gset
UPDATE crm.account SET ownerid = :'other_user' WHERE id = :'c';
SELECT event('Account', '001A000010khO8KIAU', 'CREATE', '{"Name": "all told"}', '2030-07-01'),
	event('Account', '001A000010khO8KIAU', 'UPDATE', '{"NumberOfEmployees": 5}', '2030-07-01'),
	event('Account', :'c', 'UPDATE', jsonb_build_object('OwnerId', :'other_user'));
\! $SANDBOXCTL mark
SELECT ampsf.mirror_apply('few_copy');
\! $SANDBOXCTL calls
SELECT * FROM few_copy WHERE key = '001A000010khO8KIAU';
SELECT ampsf.mirror_apply('parents_copy');
SELECT differences('parents_copy', 'parents');
-- all at once, in more than one go
SELECT ampsf.mirror_apply_due();
SELECT ampsf.mirror_apply_due();
-- a column that the mirror kept when its foreign table lost it
ALTER FOREIGN TABLE few DROP COLUMN size;
SELECT event('Account', '001A000010khO8KIAU', 'UPDATE', '{"NumberOfEmployees": 6, "Name": "new"}', '2030-08-01');
SELECT ampsf.mirror_apply('few_copy');
SELECT "The title", size FROM few_copy WHERE key = '001A000010khO8KIAU';

-- each event is a version of a history, though they are applied together
SELECT ampsf.history('few_copy');
SELECT event('Account', '001A000010khO8KIAU', 'UPDATE', jsonb_build_object('Name', 'version ' || n), '2030-08-01 00:00:01'::timestamptz + n * interval '1 hour')
	FROM generate_series(1, 3) n;
SELECT event('Account', '001A000010khO8KIAU', 'DELETE', at => '2030-08-01 09:00:00'), event('Account', '001A000010khO8LIAU', 'CREATE', '{"Name": "other"}', '2030-08-01 10:00:00');
SELECT event('Account', '001A000010khO8KIAU', 'CREATE', '{"Name": "back"}', '2030-08-01 11:00:00');
SELECT ampsf.mirror_apply_due();
SELECT key, "The title", valid FROM few_copy_history WHERE key IN ('001A000010khO8KIAU', '001A000010khO8LIAU') ORDER BY 1, 3;
SELECT ampsf.mirror_apply_due();

-- who may, and when: others' events and mirrors, a pause, a run under way
SELECT ampsf.pause('few_copy');
SELECT event('Account', '001A000010khO8KIAU', 'UPDATE', '{"Name": "paused"}', '2030-08-02');
SELECT ampsf.mirror_apply('few_copy');
SELECT events_waiting FROM ampsf.mirror_status WHERE target = 'few_copy'::regclass;
SELECT ampsf.resume('few_copy');
SELECT ampsf.mirror_apply('few_copy');
SELECT "The title" FROM few_copy WHERE key = '001A000010khO8KIAU';
CREATE ROLE somebody;
GRANT USAGE ON SCHEMA ampsf, m TO somebody;
SET ROLE somebody;
SELECT event('Account', '001A000010khO8KIAU', 'UPDATE', '{"Name": "not mine"}', '2030-08-03');
SELECT ampsf.mirror_apply('few_copy');
SELECT ampsf.mirror_apply_due();
RESET ROLE;
SELECT ampsf.mirror_apply('few_copy');
DROP OWNED BY somebody;
DELETE FROM ampsf.change WHERE owner = 'somebody'::regrole;
DROP ROLE somebody;
-- one mirror that fails is no hindrance to others, and says why
SELECT ampsf.mirror_apply_due();
SELECT event('Account', '001A000010khO8KIAU', 'UPDATE', '{"Name": "forbidden"}', '2030-08-04');
CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'not with me'; END $$;
CREATE TRIGGER refuse BEFORE UPDATE ON few_copy FOR EACH ROW EXECUTE FUNCTION refuse();
SELECT ampsf.mirror_apply_due();
SELECT target, event_error, events_waiting FROM ampsf.mirror_status WHERE event_error IS NOT NULL;
DROP TRIGGER refuse ON few_copy;
SELECT ampsf.mirror_apply_due();
SELECT target, event_error FROM ampsf.mirror_status WHERE event_error IS NOT NULL;
SELECT "The title" FROM few_copy WHERE key = '001A000010khO8KIAU';
-- a user's triggers can tell them from other writes
CREATE FUNCTION said() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE NOTICE 'applying: %', current_setting('ampsf.applying', true); RETURN NULL; END $$;
CREATE TRIGGER said AFTER UPDATE OR DELETE ON few_copy FOR EACH ROW EXECUTE FUNCTION said();
SELECT event('Account', '001A000010khO8KIAU', 'UPDATE', '{"Name": "by itself"}', '2030-08-05');
SELECT ampsf.mirror_apply('few_copy');
SELECT event('Account', '001A000010khO8KIAU', 'DELETE', at => '2030-08-06');
SELECT ampsf.mirror_apply('few_copy');
SELECT coalesce(nullif(current_setting('ampsf.applying', true), ''), 'off');
-- a run makes all equal again
CALL ampsf.sync('account');
SELECT differences('account', 'crm.account');
