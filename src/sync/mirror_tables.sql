-- Mirrors: local tables that are kept equal to objects.  What a mirror asks of the org besides rows comes
-- by these three; who may read the foreign table may ask.

CREATE FUNCTION @extschema@.server_time(foreign_table regclass) RETURNS timestamptz
LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'ampsf_sql_server_time';
COMMENT ON FUNCTION @extschema@.server_time(regclass) IS 'the org''s clock; one call';

CREATE FUNCTION @extschema@.object_state(foreign_table regclass, OUT server_time timestamptz, OUT record_count bigint)
LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'ampsf_sql_object_state';
COMMENT ON FUNCTION @extschema@.object_state(regclass) IS
	'the org''s clock, and about how many rows the object has, as the org remembers it; null if it does not; one call';

CREATE FUNCTION @extschema@.deleted(
	foreign_table regclass, since timestamptz, until timestamptz, OUT ids text[], OUT times timestamptz[],
	OUT earliest_available timestamptz, OUT latest_covered timestamptz)
LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'ampsf_sql_deleted';
COMMENT ON FUNCTION @extschema@.deleted(regclass, timestamptz, timestamptz) IS
	'the org''s log of deletions, which goes back 15 days at most; null where the org refuses; one call';

CREATE FUNCTION @extschema@.span_counts(
	foreign_table regclass, stamp text, unit text, since timestamptz, until timestamptz,
	OUT low timestamptz, OUT high timestamptz, OUT rows bigint, OUT newest timestamptz, OUT stamps bigint)
RETURNS SETOF record
LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE ROWS 30 AS 'MODULE_PATHNAME', 'ampsf_sql_span_counts';
COMMENT ON FUNCTION @extschema@.span_counts(regclass, text, text, timestamptz, timestamptz) IS
	'of each month, day or hour (UTC), or fifth part, of a span in which rows were created: rows, the newest value of the field stamp, its different values; null of a part that has too many for the org to count; one call';

-- Definitions and their state.  Each role sees and changes its own, and a run is always its owner's: what a
-- definition names is reached with no other rights.  What the launcher computes with, for all roles, has bounds.
-- Times as an org has them: Salesforce's first is in 1700, its last in 4000.
CREATE DOMAIN @extschema@.org_time AS timestamptz CHECK (VALUE BETWEEN '1700-01-01 00:00:00Z' AND '4000-12-31 23:59:59Z');
COMMENT ON DOMAIN @extschema@.org_time IS 'of mirrors';

CREATE TABLE @extschema@.mirror_definition (
	target regclass PRIMARY KEY,
	owner regrole NOT NULL DEFAULT pg_catalog.quote_ident(current_user)::pg_catalog.regrole,
	source regclass NOT NULL,
	cursor_column name,
	created_column name,
	deletes text NOT NULL CHECK (deletes IN ('remove', 'mark')),
	every interval NOT NULL CHECK (every > '0' AND every <= '100 years'),
	lookback interval NOT NULL CHECK (lookback >= '0' AND lookback <= '100 years'),
	compare_every interval NOT NULL CHECK (compare_every > '0' AND compare_every <= '100 years'),
	chunk_rows integer NOT NULL CHECK (chunk_rows > 0),
	paused boolean NOT NULL DEFAULT false,
	stage text NOT NULL DEFAULT 'idle' CHECK (stage IN ('idle', 'rows', 'deletes', 'formulas')),
	run bigint,
	run_started @extschema@.org_time,
	read_to timestamptz,
	watermark @extschema@.org_time,
	deleted_to @extschema@.org_time,
	compared_at @extschema@.org_time,
	compare_asked boolean NOT NULL DEFAULT false,
	rerun boolean NOT NULL DEFAULT false,
	rows bigint NOT NULL DEFAULT 0,
	rows_expected bigint,
	next_run timestamptz NOT NULL DEFAULT now(),
	failures integer NOT NULL DEFAULT 0,
	last_error text,
	warning text,
	applied_to bigint NOT NULL DEFAULT 0,
	events bigint NOT NULL DEFAULT 0,
	last_event timestamptz,
	event_error text,
	formula_every interval CHECK (formula_every > '0' AND formula_every <= '100 years'),
	formula_columns name[] NOT NULL DEFAULT '{}',
	formula_spans timestamptz[],
	formulas_at timestamptz,
	columns name[] NOT NULL DEFAULT '{}',
	columns_kept name[] NOT NULL DEFAULT '{}',
	fill_columns name[] NOT NULL DEFAULT '{}',
	fill_spans timestamptz[],
	left_out name[] NOT NULL DEFAULT '{}',
	known_fields text[],
	drift text NOT NULL DEFAULT 'follow' CHECK (drift IN ('follow', 'report')),
	drift_warning text,
	parallel integer NOT NULL DEFAULT 1 CHECK (parallel BETWEEN 1 AND 64),
	shrink integer NOT NULL DEFAULT 0,
	foreign_keys boolean NOT NULL DEFAULT false,
	key_warning text,
	follow_warning text,
	live_view regclass,
	live_text text,
	live_formulas boolean NOT NULL DEFAULT false,
	history regclass
);
COMMENT ON TABLE @extschema@.mirror_definition IS 'mirrors: what each is, and how far it has come; see the view mirror_status';
COMMENT ON COLUMN @extschema@.mirror_definition.run_started IS 'the org''s time when the run under way began; becomes the watermark';
COMMENT ON COLUMN @extschema@.mirror_definition.read_to IS 'of the run under way: rows whose cursor is less are in the mirror';
COMMENT ON COLUMN @extschema@.mirror_definition.watermark IS 'changes before this time of the org are in the mirror';
COMMENT ON COLUMN @extschema@.mirror_definition.deleted_to IS 'deletions before this time of the org are in the mirror';
COMMENT ON COLUMN @extschema@.mirror_definition.applied_to IS 'change events up to this id of ampsf.change are in the mirror';
COMMENT ON COLUMN @extschema@.mirror_definition.rerun IS 'events were lost during the run under way, and another one, which compares Ids, is to follow at once';
COMMENT ON COLUMN @extschema@.mirror_definition.last_event IS 'when the org committed the latest of them';
COMMENT ON COLUMN @extschema@.mirror_definition.event_error IS 'why events wait that are there';
COMMENT ON COLUMN @extschema@.mirror_definition.columns IS 'that are read, and right in all rows';
COMMENT ON COLUMN @extschema@.mirror_definition.columns_kept IS 'that were read, and have their last values';
COMMENT ON COLUMN @extschema@.mirror_definition.fill_columns IS 'that are new, or back, and are being read of all rows';
COMMENT ON COLUMN @extschema@.mirror_definition.left_out IS 'columns of the foreign table whose fields the org does not show';
COMMENT ON COLUMN @extschema@.mirror_definition.follow_warning IS 'what the table, its live view or its history cannot follow';
COMMENT ON COLUMN @extschema@.mirror_definition.known_fields IS 'fields that the object has shown so far, in small letters: what it shows besides is new';
COMMENT ON COLUMN @extschema@.mirror_definition.shrink IS 'chunks have half of chunk_rows for each of these: after failures';
COMMENT ON COLUMN @extschema@.mirror_definition.formula_columns IS 'to be read again as formula fields are, besides those';
COMMENT ON COLUMN @extschema@.mirror_definition.formula_spans IS 'of a refresh of formula fields under way: where the chunks still to be read begin and end';
COMMENT ON COLUMN @extschema@.mirror_definition.formulas_at IS 'formula fields of all rows are those of this time of the org, or later ones';
ALTER TABLE @extschema@.mirror_definition ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON @extschema@.mirror_definition TO PUBLIC
	USING (owner = (SELECT pg_catalog.quote_ident(current_user)::pg_catalog.regrole));
SELECT pg_catalog.pg_extension_config_dump('@extschema@.mirror_definition', '');

CREATE TABLE @extschema@.mirror_run (
	id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	target regclass NOT NULL,
	owner regrole NOT NULL DEFAULT pg_catalog.quote_ident(current_user)::pg_catalog.regrole,
	kind text NOT NULL,
	started timestamptz NOT NULL DEFAULT clock_timestamp(),
	finished timestamptz,
	state text NOT NULL DEFAULT 'running',
	chunks integer NOT NULL DEFAULT 0,
	inserted bigint NOT NULL DEFAULT 0,
	updated bigint NOT NULL DEFAULT 0,
	deleted bigint NOT NULL DEFAULT 0,
	formulas bigint NOT NULL DEFAULT 0,
	events bigint NOT NULL DEFAULT 0,
	compared boolean NOT NULL DEFAULT false,
	calls bigint NOT NULL DEFAULT 0,
	rows_read bigint NOT NULL DEFAULT 0,
	interruptions integer NOT NULL DEFAULT 0,
	resumed timestamptz NOT NULL DEFAULT clock_timestamp(),
	resumed_rows bigint NOT NULL DEFAULT 0,
	error text
);
COMMENT ON TABLE @extschema@.mirror_run IS 'runs of mirrors, the latest 1,000 of each; one that was interrupted is continued, and stays one run';
COMMENT ON COLUMN @extschema@.mirror_run.rows_read IS 'rows that came from the org, those unchanged since the last run too';
COMMENT ON COLUMN @extschema@.mirror_run.formulas IS 'rows of which only formula fields had changed';
COMMENT ON COLUMN @extschema@.mirror_run.events IS 'change events that were applied: runs of the kind events, one for all between two others';
COMMENT ON COLUMN @extschema@.mirror_run.compared IS 'all Ids were compared';
COMMENT ON COLUMN @extschema@.mirror_run.resumed IS 'when it was begun, or continued after its latest interruption, with resumed_rows read';
COMMENT ON COLUMN @extschema@.mirror_run.error IS 'of its latest failure';
CREATE INDEX ON @extschema@.mirror_run (target, id);
ALTER TABLE @extschema@.mirror_run ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON @extschema@.mirror_run TO PUBLIC
	USING (owner = (SELECT pg_catalog.quote_ident(current_user)::pg_catalog.regrole));

-- Parts of a run that are still to be read: a span of time, or Ids where one second has too many rows.  What is
-- behind read_to has none yet.
CREATE TABLE @extschema@.mirror_chunk (
	target regclass NOT NULL,
	number integer NOT NULL,
	owner regrole NOT NULL DEFAULT pg_catalog.quote_ident(current_user)::pg_catalog.regrole,
	low timestamptz NOT NULL,
	high timestamptz NOT NULL,
	ids text[],
	expected bigint,
	attempts integer NOT NULL DEFAULT 0,
	PRIMARY KEY (target, number)
);
COMMENT ON TABLE @extschema@.mirror_chunk IS 'chunks of runs that are still to be read, or are being read; see the view mirror_progress';
ALTER TABLE @extschema@.mirror_chunk ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON @extschema@.mirror_chunk TO PUBLIC
	USING (owner = (SELECT pg_catalog.quote_ident(current_user)::pg_catalog.regrole));
SELECT pg_catalog.pg_extension_config_dump('@extschema@.mirror_chunk', '');

-- Up to 10,000: more are as many.
CREATE FUNCTION @extschema@.mirror_events_waiting(d @extschema@.mirror_definition) RETURNS bigint
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	feed record;
BEGIN
	SELECT * INTO feed FROM @extschema@.mirror_feed(d);
	RETURN (SELECT count(*) FROM (SELECT FROM @extschema@.change c WHERE c.owner = d.owner AND c.server = feed.server
		AND c.object_key = feed.object_key AND c.id > d.applied_to ORDER BY c.owner, c.server, c.object_key, c.id LIMIT 10000) w);
END $$;
COMMENT ON FUNCTION @extschema@.mirror_events_waiting(@extschema@.mirror_definition) IS 'change events that are to be applied to a mirror; of mirrors';

CREATE VIEW @extschema@.mirror_status WITH (security_invoker = true) AS
	SELECT d.target, d.source, d.owner,
		CASE WHEN d.paused THEN 'paused'
			WHEN d.failures OPERATOR(pg_catalog.>) 0 THEN 'failed'
			WHEN d.watermark IS NULL AND d.stage OPERATOR(pg_catalog.=) 'idle' THEN 'new'
			WHEN d.watermark IS NULL THEN 'backfill'
			WHEN d.stage OPERATOR(pg_catalog.=) 'idle' THEN 'ready'
			ELSE d.stage END AS phase,
		d.rows, d.rows_expected, d.watermark,
		pg_catalog.clock_timestamp() OPERATOR(pg_catalog.-) d.watermark AS lag,
		d.compared_at, d.next_run, d.failures, d.last_error, d.warning, r.runs, r.calls,
		d.formulas_at, d.events, d.last_event, d.event_error,
		@extschema@.mirror_events_waiting(d) AS events_waiting
	FROM @extschema@.mirror_definition d
		LEFT JOIN LATERAL (
			SELECT pg_catalog.count(*) AS runs, pg_catalog.sum(m.calls) AS calls FROM @extschema@.mirror_run m
			WHERE m.target OPERATOR(pg_catalog.=) d.target) r ON true
	-- One whose table was dropped is forgotten soon.
	WHERE EXISTS (SELECT FROM pg_catalog.pg_class c WHERE c.oid OPERATOR(pg_catalog.=) d.target);
COMMENT ON VIEW @extschema@.mirror_status IS
	'mirrors: phase, rows, how far behind the org''s present, last error, next run, calls spent';
GRANT SELECT ON @extschema@.mirror_status TO PUBLIC;
