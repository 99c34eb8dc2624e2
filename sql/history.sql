-- History of a mirror: each version of a row, with the time for which it was so.
\set SHOW_CONTEXT never
\! $SANDBOXCTL reset demo >/dev/null
CREATE SCHEMA h;
SET search_path = h;
-- what must hold of any history: no overlap, nothing empty, the open versions are the mirror
CREATE FUNCTION faults(mirror regclass) RETURNS TABLE (fault text, n bigint) LANGUAGE plpgsql AS $$
DECLARE hist regclass := (mirror::text || '_history')::regclass; cols text; live text;
BEGIN
	SELECT string_agg(quote_ident(attname), ', ') INTO cols FROM pg_attribute
		WHERE attrelid = hist AND attnum > 0 AND NOT attisdropped AND attname <> 'valid';
	live := CASE WHEN (SELECT deletes FROM ampsf.mirror_definition WHERE target = mirror) = 'mark' THEN 'deleted_at IS NULL' ELSE 'true' END;
	RETURN QUERY EXECUTE format($q$
		SELECT 'overlap', count(*) FROM %1$s a JOIN %1$s b ON a.id = b.id AND a.ctid < b.ctid AND a.valid && b.valid HAVING count(*) > 0 UNION ALL
		SELECT 'empty', count(*) FROM %1$s WHERE isempty(valid) OR lower_inf(valid) HAVING count(*) > 0 UNION ALL
		SELECT 'missing', count(*) FROM (SELECT %2$s FROM %3$s WHERE %4$s EXCEPT SELECT %2$s FROM %1$s WHERE upper_inf(valid)) d HAVING count(*) > 0 UNION ALL
		SELECT 'extra', count(*) FROM (SELECT %2$s FROM %1$s WHERE upper_inf(valid) EXCEPT SELECT %2$s FROM %3$s WHERE %4$s) d HAVING count(*) > 0 $q$,
		hist, cols, mirror, live);
END $$;
SELECT ampsf.mirror('crm.contact', history => true, formula_every => '1 hour', formula_columns => '{department}');
SELECT attname FROM pg_attribute WHERE attrelid = 'contact_history'::regclass AND attnum > 0
EXCEPT SELECT attname FROM pg_attribute WHERE attrelid = 'contact'::regclass AND attnum > 0;
SELECT indexdef FROM pg_indexes WHERE tablename = 'contact_history' ORDER BY 1;
CALL ampsf.sync('contact');
SELECT * FROM faults('contact');
SELECT count(*) = (SELECT count(*) FROM contact) AS a_version_each, bool_and(lower(valid) = systemmodstamp) AS since_its_change FROM contact_history;

-- changes, as the org dates them
SELECT id AS one FROM contact ORDER BY id LIMIT 1 \gset
SELECT id AS two FROM contact ORDER BY id OFFSET 1 LIMIT 1 \gset
SELECT to_char(n - interval '50 seconds', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') AS at_first, to_char(n - interval '40 seconds', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') AS at_second,
	to_char(n + interval '60 seconds', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') AS at_third FROM (SELECT now() AT TIME ZONE 'UTC') t (n) \gset
\setenv FIRST :at_first
\setenv SECOND :at_second
\setenv THIRD :at_third
\! $SANDBOXCTL now $FIRST >/dev/null
UPDATE crm.contact SET title = 'first' WHERE id IN (:'one', :'two');
CALL ampsf.sync('contact');
\! $SANDBOXCTL now $SECOND >/dev/null
UPDATE crm.contact SET title = 'second' WHERE id = :'one';
DELETE FROM crm.contact WHERE id = :'two';
\! $SANDBOXCTL now $THIRD >/dev/null
CALL ampsf.sync('contact');
SELECT * FROM faults('contact');
SELECT title, date_trunc('second', upper(valid) - lower(valid)) < interval '30 seconds' AS short, upper_inf(valid) AS open, lower(valid) = systemmodstamp AS dated
	FROM contact_history WHERE id = :'one' ORDER BY lower(valid);
SELECT title, date_trunc('second', upper(valid) - lower(valid)) < interval '30 seconds' AS short, upper_inf(valid) AS open FROM contact_history WHERE id = :'two' ORDER BY lower(valid);
-- as of any time
SELECT title FROM contact_history WHERE id = :'one' AND valid @> :'at_second'::timestamptz - interval '5 seconds';
SELECT count(*) FROM contact_history WHERE id = :'two' AND valid @> :'at_third'::timestamptz;
-- what is read again and has not changed is no version
SELECT count(*) AS before FROM contact_history \gset
CALL ampsf.sync('contact');
SELECT count(*) = :before AS same FROM contact_history;

-- a row that comes back was away meanwhile
\setenv UNDELETED :two
\! $SANDBOXCTL now off >/dev/null
\! $SANDBOXCTL undelete $UNDELETED >/dev/null
CALL ampsf.sync('contact');
SELECT * FROM faults('contact');
SELECT title, upper_inf(valid) AS open, lag(upper(valid)) OVER (ORDER BY lower(valid)) < lower(valid) AS gap FROM contact_history WHERE id = :'two' ORDER BY lower(valid);

-- changes that are not later than the version they are made to: that one is replaced
UPDATE ampsf.mirror_definition SET compare_asked = true;
SELECT count(*) AS before FROM contact_history \gset
SELECT set_config('ampsf.applying', 'on', false) \g /dev/null
UPDATE contact SET title = 'repaired' WHERE id = :'one';
UPDATE contact SET title = 'late', systemmodstamp = systemmodstamp - interval '1 hour' WHERE id = :'one';
SELECT count(*) - :before AS more FROM contact_history;
SELECT title, systemmodstamp < lower(valid) AS late FROM contact_history WHERE id = :'one' AND upper_inf(valid);
-- what is deleted and comes back within a moment, more than once, has no empty versions
DELETE FROM contact WHERE id = :'one';
INSERT INTO contact (id, title, systemmodstamp) VALUES (:'one', 'back', '2024-01-01');
DELETE FROM contact WHERE id = :'one';
INSERT INTO contact (id, title, systemmodstamp) VALUES (:'one', 'again', '2024-01-01');
-- a statement that moves an Id
UPDATE contact SET id = '003000000000000AAA' WHERE id = :'one';
SELECT * FROM faults('contact');
UPDATE contact SET id = :'one' WHERE id = '003000000000000AAA';
DELETE FROM contact WHERE id = '003000000000000AAA';
RESET ampsf.applying;
SELECT * FROM faults('contact');
CALL ampsf.sync('contact');
SELECT * FROM faults('contact');
SELECT count(*) FROM (SELECT * FROM contact EXCEPT SELECT * FROM crm.contact) d;

-- what a user changes here is no version; what a repair makes of it is as the org dates it
SELECT count(*) AS before FROM contact_history \gset
SELECT id AS three FROM contact ORDER BY id OFFSET 2 LIMIT 1 \gset
SELECT id AS four FROM contact ORDER BY id OFFSET 3 LIMIT 1 \gset
UPDATE contact SET title = 'mine', systemmodstamp = systemmodstamp - interval '1 second' WHERE id = :'three';
DELETE FROM contact WHERE id = :'four';
SELECT count(*) = :before AS none FROM contact_history;
SELECT problem FROM ampsf.verify('contact', repair => true, thorough => true) ORDER BY 1;
SELECT count(*) = :before AS none FROM contact_history;
SELECT * FROM faults('contact');

-- a time that is known better: of change events
SELECT count(*) AS before FROM contact_history WHERE id = :'three' \gset
BEGIN;
SELECT ampsf.mirror_applying(true);
SELECT ampsf.mirror_change_time('2037-01-02 03:04:05.678+00');
UPDATE contact SET title = 'told' WHERE id = :'three';
SELECT ampsf.mirror_change_time(NULL) = '2037-01-02 03:04:05.678+00' AS was;
COMMIT;
SELECT title, lower(valid) = '2037-01-02 03:04:05.678+00' AS at_that_time FROM contact_history WHERE id = :'three' AND upper_inf(valid);
SELECT * FROM faults('contact');
DELETE FROM contact_history WHERE id = :'three' AND upper_inf(valid);
UPDATE contact_history SET valid = tstzrange(lower(valid), NULL) WHERE id = :'three' AND upper(valid) = '2037-01-02 03:04:05.678+00';

-- formula fields: versions from the time of the refresh
SELECT count(*) AS before FROM contact_history \gset
SELECT set_config('ampsf.applying', 'on', false) \g /dev/null
UPDATE contact SET department = 'stale' WHERE id = :'three';
RESET ampsf.applying;
UPDATE ampsf.mirror_definition SET formulas_at = formulas_at - interval '1 hour', lookback = '0';
SELECT pg_sleep(1.1);
CALL ampsf.sync('contact');
SELECT formulas FROM ampsf.mirror_run ORDER BY id DESC LIMIT 1;
SELECT count(*) - :before AS more FROM contact_history;
SELECT department = 'stale' AS stale, lower(h.valid) = d.formulas_at AS by_refresh FROM contact_history h, ampsf.mirror_definition d WHERE h.id = :'three' ORDER BY lower(h.valid) DESC LIMIT 2;
SELECT * FROM faults('contact');

-- a deletion that is dated before the last change: the log leaves seconds out
SELECT id AS five FROM contact ORDER BY id OFFSET 4 LIMIT 1 \gset
SELECT ampsf.mirror_remove(d, ARRAY[:'five'], ARRAY[timestamptz '2000-01-01']) FROM ampsf.mirror_definition d WHERE target = 'contact'::regclass;
SELECT upper(valid) - lower(valid) AS "for" FROM contact_history WHERE id = :'five';
SELECT * FROM faults('contact');
SELECT problem FROM ampsf.verify('contact', repair => true);
SELECT count(*), count(*) FILTER (WHERE upper_inf(valid)) AS open FROM contact_history WHERE id = :'five';
SELECT * FROM faults('contact');

-- columns that come later
CREATE FOREIGN TABLE invoice (id text OPTIONS (field 'Id'), due date OPTIONS (field 'Due_Date__c'), systemmodstamp timestamptz OPTIONS (field 'SystemModstamp')) SERVER sf OPTIONS (object 'Invoice__c');
SELECT ampsf.mirror('invoice', 'bill', history => true);
CALL ampsf.sync('bill');
SELECT count(*) AS before FROM bill_history \gset
ALTER FOREIGN TABLE invoice ADD COLUMN status text OPTIONS (field 'Status__c'), ALTER COLUMN due TYPE text;
CALL ampsf.sync('bill');
SELECT count(*) = :before AS same, count(status) > 0 AS status FROM bill_history;
SELECT * FROM faults('bill');

-- deletions as marks; and an existing mirror, whose history begins with what it has
SELECT ampsf.mirror('crm.account', 'marked', deletes => 'mark');
CALL ampsf.sync('marked');
INSERT INTO crm.account (name) VALUES ('Mayfly'), ('Dayfly');
CALL ampsf.sync('marked');
SELECT ampsf.history('marked');
SELECT ampsf.history('marked');
SELECT * FROM faults('marked');
SELECT pg_sleep(1.1);
DELETE FROM crm.account WHERE name = 'Mayfly';
SELECT pg_sleep(1.1);
CALL ampsf.sync('marked');
SELECT m.name, upper(h.valid) = m.deleted_at AS to_its_end FROM marked m JOIN marked_history h USING (id) WHERE m.name ~ 'fly$' ORDER BY 1;
SELECT * FROM faults('marked');
SELECT id AS undeleted FROM marked WHERE name = 'Mayfly' \gset
\setenv UNDELETED :undeleted
\! $SANDBOXCTL undelete $UNDELETED >/dev/null
CALL ampsf.sync('marked');
SELECT upper_inf(valid) AS open FROM marked_history WHERE id = :'undeleted' ORDER BY lower(valid);
SELECT * FROM faults('marked');

-- no times at all: by the runs that saw it
CREATE FOREIGN TABLE timeless (id text OPTIONS (field 'Id'), name text OPTIONS (field 'Name')) SERVER sf OPTIONS (object 'Account');
SELECT ampsf.mirror('timeless', 'copy', history => true);
CALL ampsf.sync('copy');
SELECT pg_sleep(1.1);
UPDATE crm.account SET name = 'Nightfly' WHERE name = 'Dayfly';
CALL ampsf.sync('copy');
SELECT name, lower(h.valid) = d.watermark AS at_run FROM copy_history h, ampsf.mirror_definition d WHERE d.target = 'copy'::regclass AND name ~ '(Day|Night)fly' ORDER BY lower(h.valid);
SELECT * FROM faults('copy');

-- the table stays when the mirror is one no longer
SELECT ampsf.unmirror('copy');
SELECT count(*) FROM pg_trigger WHERE tgrelid = 'copy'::regclass;
SELECT ampsf.mirror('timeless', 'again');
ALTER TABLE copy_history RENAME TO again_history;
SELECT ampsf.history('again');
-- a history that was dropped is kept no longer, and hinders nobody
DROP TABLE bill_history;
UPDATE bill SET status = 'wrong', systemmodstamp = '2024-01-01';
CALL ampsf.sync('bill');
SELECT problem, count(*) > 0 FROM ampsf.verify('bill', repair => true, thorough => true) GROUP BY 1;
CREATE FOREIGN TABLE validated (id text OPTIONS (field 'Id'), valid text OPTIONS (field 'Name')) SERVER sf OPTIONS (object 'Account');
SELECT ampsf.mirror('validated', history => true, target => 'v');

-- a table that is there already, partitioned, with columns and types of its own: a row that moves keeps its history
CREATE FOREIGN TABLE lead (id text OPTIONS (field 'Id'), lastname text OPTIONS (field 'LastName'), status text OPTIONS (field 'Status'), createddate timestamptz OPTIONS (field 'CreatedDate'),
	systemmodstamp timestamptz OPTIONS (field 'SystemModstamp')) SERVER sf OPTIONS (object 'Lead');
CREATE TABLE by_status (note text DEFAULT 'mine', lastname varchar(80), id varchar(18) NOT NULL, upper_name text GENERATED ALWAYS AS (upper(lastname)) STORED,
	status text NOT NULL, createddate timestamptz, systemmodstamp timestamptz, PRIMARY KEY (id, status)) PARTITION BY LIST (status);
CREATE TABLE by_status_1 PARTITION OF by_status FOR VALUES IN ('Open - Not Contacted');
CREATE TABLE by_status_2 PARTITION OF by_status DEFAULT;
-- where the database can say that nothing overlaps, it does
CREATE EXTENSION btree_gist;
SELECT ampsf.mirror('lead', 'by_status', existing => true, history => true, live_view => true);
SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conrelid = 'by_status_history'::regclass AND contype IN ('c', 'x') ORDER BY 1;
CALL ampsf.sync('by_status');
SELECT * FROM faults('by_status');
SELECT id AS mover FROM by_status_1 ORDER BY id LIMIT 1 \gset
SELECT id AS goner FROM by_status_1 ORDER BY id OFFSET 1 LIMIT 1 \gset
UPDATE crm.lead SET status = 'Closed - Converted', lastname = 'Mover' WHERE id = :'mover';
DELETE FROM crm.lead WHERE id = :'goner';
SELECT lastname, upper_name, status, note FROM by_status_now WHERE id IN (:'mover', :'goner');
SELECT pg_sleep(1.1);
CALL ampsf.sync('by_status');
SELECT tableoid::regclass, lastname FROM by_status WHERE id IN (:'mover', :'goner');
SELECT status, lastname = upper(upper_name) AS upper, note, upper_inf(valid) AS open FROM by_status_history WHERE id = :'mover' ORDER BY valid;
SELECT count(*), bool_or(upper_inf(valid)) AS open FROM by_status_history WHERE id = :'goner';
SELECT * FROM faults('by_status');
SELECT count(*) FROM ((SELECT id, lastname, status FROM by_status_now EXCEPT SELECT id, lastname, status FROM lead) UNION ALL (SELECT id, lastname, status FROM lead EXCEPT SELECT id, lastname, status FROM by_status_now)) d;

-- change events: each is a version, from the time of its commit
CREATE FUNCTION event(id text, type text, at timestamptz, vals jsonb DEFAULT NULL) RETURNS void LANGUAGE sql AS $$
	INSERT INTO ampsf.change (subscription, server, replay_id, object, record_id, type, changed_fields, "values", committed)
	VALUES (1, 'sf', (SELECT coalesce(max(replay_id), 0) + 1 FROM ampsf.change), 'Lead', id, type, (SELECT array_agg(k) FROM jsonb_object_keys(vals) k),
		vals || jsonb_build_object('LastModifiedDate', to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')), at)
$$;
SELECT id AS told FROM by_status_1 ORDER BY id OFFSET 2 LIMIT 1 \gset
SELECT event(:'told', 'UPDATE', '2030-01-01 00:00:01+00', '{"LastName": "One"}');
SELECT event(:'told', 'UPDATE', '2030-01-01 00:00:02+00', '{"LastName": "Two"}');
SELECT event(:'told', 'UPDATE', '2030-01-01 00:00:03+00', '{"LastName": "Three", "Status": "Closed - Converted"}');
SELECT event(:'told', 'DELETE', '2030-01-01 00:00:04+00');
-- a worker commits each batch
SELECT ampsf.mirror_apply_due(1);
SELECT ampsf.mirror_apply_due();
SELECT lastname, status, upper(valid) - lower(valid) AS "for", extract(second FROM lower(valid)) AS since FROM by_status_history WHERE id = :'told' AND lower(valid) > '2029-01-01' ORDER BY valid;
SELECT * FROM faults('by_status');
-- it was undeleted, and the org says that it is as it was
SELECT event(:'told', 'UNDELETE', '2030-01-01 00:00:05+00', '{}');
SELECT ampsf.mirror_apply_due();
SELECT lastname, status, upper_inf(valid) AS open, lower(valid) >= '2030-01-01 00:00:04+00' AS behind FROM by_status_history WHERE id = :'told' ORDER BY valid DESC LIMIT 1;
SELECT * FROM faults('by_status');
