-- Write-back: what users change in a mirror is queued in the same transaction, and sent.
\set SHOW_CONTEXT never
\! $SANDBOXCTL reset demo >/dev/null
CREATE SCHEMA w;
SET search_path = w;
-- what a mirror and its object do not have in common: nothing
CREATE FUNCTION differences(mirror regclass, source regclass) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE n bigint; cols text;
BEGIN
	SELECT string_agg(quote_ident(attname), ', ') INTO cols FROM pg_attribute
		WHERE attrelid = source AND attnum > 0 AND NOT attisdropped;
	EXECUTE format('SELECT count(*) FROM ((SELECT %3$s FROM %1$s EXCEPT SELECT %3$s FROM %2$s) UNION ALL '
		'(SELECT %3$s FROM %2$s EXCEPT SELECT %3$s FROM %1$s)) d', mirror, source, cols) INTO n;
	RETURN n;
END $$;
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
