-- Write-back: what users change in a mirror is queued by triggers, in the same transaction, and sent to the
-- org by its owner's worker.  Results stay beside the changes.
CREATE SEQUENCE @extschema@.writeback_id;
CREATE SEQUENCE @extschema@.writeback_key;
COMMENT ON SEQUENCE @extschema@.writeback_key IS 'numbers of the keys that new rows have until the org gives them Ids';
GRANT USAGE ON SEQUENCE @extschema@.writeback_key TO PUBLIC;

CREATE FUNCTION @extschema@.writeback_home() RETURNS oid
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
	SELECT d.oid FROM pg_database d WHERE d.datname = current_database()
$$;
COMMENT ON FUNCTION @extschema@.writeback_home() IS 'this database; of write-back';

CREATE TABLE @extschema@.writeback (
	id bigint PRIMARY KEY DEFAULT pg_catalog.nextval('@extschema@.writeback_id'),
	target regclass NOT NULL,
	owner regrole NOT NULL,
	role name NOT NULL,
	operation text NOT NULL,
	record_id text COLLATE "C" NOT NULL,
	local_id text COLLATE "C",
	old jsonb,
	new jsonb,
	base timestamptz,
	state text NOT NULL DEFAULT 'queued',
	pending boolean NOT NULL DEFAULT true,
	settled boolean NOT NULL DEFAULT false,
	followed boolean NOT NULL DEFAULT false,
	head bigint,
	sent_as text,
	sent jsonb,
	sent_base timestamptz,
	tried jsonb,
	org jsonb,
	error_code text,
	message text,
	fields text,
	attempts integer NOT NULL DEFAULT 0,
	forced boolean NOT NULL DEFAULT false,
	doubtful boolean NOT NULL DEFAULT false,
	waits_for text COLLATE "C",
	follows bigint,
	queued timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
	started timestamptz,
	finished timestamptz,
	transaction xid8 NOT NULL DEFAULT pg_catalog.pg_current_xact_id(),
	home oid NOT NULL DEFAULT @extschema@.writeback_home()
);
COMMENT ON TABLE @extschema@.writeback IS 'changes of mirrors that are written back: what is to be sent, and what became of it';
COMMENT ON COLUMN @extschema@.writeback.owner IS 'of the mirror: who sends';
COMMENT ON COLUMN @extschema@.writeback.role IS 'who made the change';
COMMENT ON COLUMN @extschema@.writeback.operation IS 'insert, update, delete';
COMMENT ON COLUMN @extschema@.writeback.record_id IS 'Id of the row; of one that the org does not have yet, its key here';
COMMENT ON COLUMN @extschema@.writeback.local_id IS 'of an insert: the key that the row had before it got its Id';
COMMENT ON COLUMN @extschema@.writeback.old IS 'of an update the changed columns, of a delete all, as they were here';
COMMENT ON COLUMN @extschema@.writeback.new IS 'of an update the changed columns, of an insert all that are given';
COMMENT ON COLUMN @extschema@.writeback.base IS 'when the org had last changed the row, as the mirror knew it';
COMMENT ON COLUMN @extschema@.writeback.state IS
	'queued; sending: somebody is at it, or was interrupted; done; refused by the org; conflict: the org''s row has changed '
	'too; in doubt: nobody knows whether the row was created; dropped: was not sent, and will not be';
COMMENT ON COLUMN @extschema@.writeback.pending IS 'the mirror''s row is left as the user made it';
COMMENT ON COLUMN @extschema@.writeback.settled IS 'the mirror''s row is again as the org has it';
COMMENT ON COLUMN @extschema@.writeback.followed IS 'later changes of the row know what the org has made of this one';
COMMENT ON COLUMN @extschema@.writeback.follows IS 'the latest entry of the row of which that is known';
COMMENT ON COLUMN @extschema@.writeback.head IS 'the change with which this one was sent, as one';
COMMENT ON COLUMN @extschema@.writeback.sent IS 'what was sent: the changes of one row together, without what the org had already';
COMMENT ON COLUMN @extschema@.writeback.tried IS 'what was sent before, so that nobody knows whether the org has it: it is no conflict if it has';
COMMENT ON COLUMN @extschema@.writeback.org IS 'of a conflict: what the org has in these columns';
COMMENT ON COLUMN @extschema@.writeback.error_code IS 'Salesforce''s code';
COMMENT ON COLUMN @extschema@.writeback.waits_for IS 'key of a row that has to be created first';
COMMENT ON COLUMN @extschema@.writeback.transaction IS 'in which the change was made';
COMMENT ON COLUMN @extschema@.writeback.home IS 'the database in which the change was made: what came by pg_dump may have been sent since';
CREATE INDEX writeback_queue ON @extschema@.writeback (target, id) WHERE state IN ('queued', 'sending');
CREATE INDEX writeback_open ON @extschema@.writeback (target) WHERE NOT settled AND state <> 'queued';
CREATE INDEX writeback_changes ON @extschema@.writeback (target, record_id) WHERE state = 'queued' AND operation <> 'insert';
CREATE INDEX writeback_row ON @extschema@.writeback (target, record_id) WHERE pending;
CREATE INDEX writeback_head ON @extschema@.writeback (head) WHERE head IS NOT NULL;
-- A key is one row's for ever, among the mirrors of one owner.
CREATE UNIQUE INDEX writeback_key_of ON @extschema@.writeback (local_id, owner) WHERE local_id IS NOT NULL;
CREATE INDEX writeback_blocked ON @extschema@.writeback (target, record_id)
	WHERE pending AND (waits_for IS NOT NULL OR state <> 'queued');
CREATE INDEX writeback_unsettled ON @extschema@.writeback (target) WHERE NOT settled OR NOT followed;
CREATE INDEX writeback_waiting ON @extschema@.writeback (waits_for) WHERE waits_for IS NOT NULL;
CREATE INDEX writeback_done ON @extschema@.writeback (target, finished) WHERE settled;
ALTER TABLE @extschema@.writeback ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON @extschema@.writeback TO PUBLIC
	USING (owner = (SELECT pg_catalog.quote_ident(current_user)::pg_catalog.regrole));
CREATE POLICY mine ON @extschema@.writeback FOR SELECT TO PUBLIC USING (role = current_user);
GRANT USAGE ON SEQUENCE @extschema@.writeback_id TO PUBLIC;
SELECT pg_catalog.pg_extension_config_dump('@extschema@.writeback', 'WHERE NOT settled OR state IN (''refused'', ''conflict'')');
SELECT pg_catalog.pg_extension_config_dump('@extschema@.writeback_id', '');
SELECT pg_catalog.pg_extension_config_dump('@extschema@.writeback_key', '');

CREATE TABLE @extschema@.writeback_definition (
	target regclass PRIMARY KEY,
	owner regrole NOT NULL DEFAULT pg_catalog.quote_ident(current_user)::pg_catalog.regrole,
	enabled boolean NOT NULL DEFAULT true,
	conflicts text NOT NULL CHECK (conflicts IN ('report', 'mine', 'theirs')),
	call_rows integer NOT NULL DEFAULT 200,
	next_run timestamptz NOT NULL DEFAULT '-infinity',
	failures integer NOT NULL DEFAULT 0,
	last_error text
);
COMMENT ON TABLE @extschema@.writeback_definition IS 'mirrors that are written back; see ampsf.set_writeback() and the view writeback_status';
COMMENT ON COLUMN @extschema@.writeback_definition.call_rows IS
	'so many rows go together; fewer for a while after a call was refused as a whole because of one of them';
ALTER TABLE @extschema@.writeback_definition ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON @extschema@.writeback_definition TO PUBLIC
	USING (owner = (SELECT pg_catalog.quote_ident(current_user)::pg_catalog.regrole));
SELECT pg_catalog.pg_extension_config_dump('@extschema@.writeback_definition', '');

-- Triggers add rows in the name of the table's owner: who changes a mirror need not be who owns it.
CREATE FUNCTION @extschema@.writeback_trigger() RETURNS trigger
LANGUAGE C AS 'MODULE_PATHNAME', 'ampsf_sql_writeback_trigger';
COMMENT ON FUNCTION @extschema@.writeback_trigger() IS 'queues what users change in a mirror; of write-back';

CREATE FUNCTION @extschema@.writeback_key() RETURNS text
LANGUAGE sql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
	SELECT 'new-' || lpad(nextval('@extschema@.writeback_key')::text, 14, '0')
$$;
COMMENT ON FUNCTION @extschema@.writeback_key() IS 'a key for a row that has no Id yet; default of a mirror''s Id; of write-back';

CREATE FUNCTION @extschema@.writeback_source(
	source regclass, OUT stamp name, OUT upsert_key text, OUT upsert_column name, OUT if_unchanged boolean,
	OUT bulk_from integer, OUT writable boolean)
LANGUAGE C STABLE STRICT AS 'MODULE_PATHNAME', 'ampsf_sql_writeback_source';
COMMENT ON FUNCTION @extschema@.writeback_source(regclass) IS 'of write-back';

CREATE FUNCTION @extschema@.writeback_columns(source regclass) RETURNS text[]
LANGUAGE C STABLE STRICT AS 'MODULE_PATHNAME', 'ampsf_sql_writeback_columns';
COMMENT ON FUNCTION @extschema@.writeback_columns(regclass) IS 'columns that UPDATE can write; of write-back';

CREATE FUNCTION @extschema@.writeback_rows(
	source regclass, operation text, ids text[], rows jsonb[], stamps timestamptz[], bulk boolean,
	OUT n integer, OUT outcome text, OUT id text, OUT code text, OUT message text, OUT fields text)
RETURNS SETOF record
LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'ampsf_sql_writeback_rows';
COMMENT ON FUNCTION @extschema@.writeback_rows(regclass, text, text[], jsonb[], timestamptz[], boolean) IS
	'writes rows, and tells what became of each; of write-back';

CREATE VIEW @extschema@.writeback_status WITH (security_invoker = true) AS
	SELECT d.target, d.owner, d.enabled, d.conflicts, w.queued, w.waiting, w.sending, w.in_doubt,
		w.refused, w.conflict, w.oldest, pg_catalog.clock_timestamp() OPERATOR(pg_catalog.-) w.oldest AS lag,
		w.unsettled, d.next_run, d.failures, d.last_error
	FROM @extschema@.writeback_definition d
		LEFT JOIN LATERAL (
			SELECT pg_catalog.count(*) FILTER (WHERE e.state OPERATOR(pg_catalog.=) 'queued' AND e.waits_for IS NULL AND b.record_id IS NULL) AS queued,
				pg_catalog.count(*) FILTER (WHERE e.state OPERATOR(pg_catalog.=) 'queued' AND (e.waits_for IS NOT NULL OR b.record_id IS NOT NULL)) AS waiting,
				pg_catalog.count(*) FILTER (WHERE e.state OPERATOR(pg_catalog.=) 'sending') AS sending,
				pg_catalog.count(*) FILTER (WHERE e.state OPERATOR(pg_catalog.=) 'in doubt') AS in_doubt,
				pg_catalog.count(*) FILTER (WHERE e.state OPERATOR(pg_catalog.=) 'refused') AS refused,
				pg_catalog.count(*) FILTER (WHERE e.state OPERATOR(pg_catalog.=) 'conflict') AS conflict,
				pg_catalog.min(e.queued) FILTER (WHERE e.state OPERATOR(pg_catalog.=) ANY ('{queued,sending}')) AS oldest,
				pg_catalog.count(*) FILTER (WHERE NOT e.settled AND NOT e.pending) AS unsettled
			FROM @extschema@.writeback e LEFT JOIN (
				SELECT DISTINCT p.record_id FROM @extschema@.writeback p
				WHERE p.target OPERATOR(pg_catalog.=) d.target AND p.pending AND p.state OPERATOR(pg_catalog.=) 'in doubt'
			) b ON b.record_id OPERATOR(pg_catalog.=) e.record_id
			WHERE e.target OPERATOR(pg_catalog.=) d.target) w ON true;
COMMENT ON VIEW @extschema@.writeback_status IS
	'mirrors that are written back: changes that wait, and for how long, changes that the org did not take, last error';
GRANT SELECT ON @extschema@.writeback_status TO PUBLIC;
