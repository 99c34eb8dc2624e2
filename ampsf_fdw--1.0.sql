/* ampsf_fdw--1.0.sql */

-- complain if script is sourced in psql, rather than via CREATE EXTENSION
\echo Use "CREATE EXTENSION ampsf_fdw" to load this file. \quit

-- Names are qualified throughout: pg_catalog, which has a version() of its own, is searched first.
-- Each function says for itself who may call it.
GRANT USAGE ON SCHEMA @extschema@ TO PUBLIC;

CREATE FUNCTION @extschema@.ampsf_fdw_handler() RETURNS fdw_handler
LANGUAGE C STRICT AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.ampsf_fdw_handler() IS 'what the foreign data wrapper ampsf_fdw is made of';

CREATE FUNCTION @extschema@.ampsf_fdw_validator(text[], oid) RETURNS void
LANGUAGE C STRICT AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.ampsf_fdw_validator(text[], oid) IS 'checks options of the foreign data wrapper ampsf_fdw';

CREATE FOREIGN DATA WRAPPER ampsf_fdw
	HANDLER @extschema@.ampsf_fdw_handler
	VALIDATOR @extschema@.ampsf_fdw_validator;
COMMENT ON FOREIGN DATA WRAPPER ampsf_fdw IS 'Salesforce as foreign tables';

-- What needs no org.

CREATE FUNCTION @extschema@.version() RETURNS text
LANGUAGE C STABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'ampsf_sql_version';
COMMENT ON FUNCTION @extschema@.version() IS 'versions of ampsf_fdw, PostgreSQL and libcurl';

CREATE FUNCTION @extschema@.options(
	OUT context text, OUT name text, OUT value text, OUT default_value text, OUT secret boolean,
	OUT description text)
RETURNS SETOF record
LANGUAGE C STABLE STRICT PARALLEL SAFE ROWS 40 AS 'MODULE_PATHNAME', 'ampsf_sql_options';
COMMENT ON FUNCTION @extschema@.options() IS 'every option of servers, user mappings, foreign tables and columns';

CREATE FUNCTION @extschema@.login_errors(OUT error text, OUT description text, OUT cause text, OUT cure text)
RETURNS SETOF record
LANGUAGE C IMMUTABLE PARALLEL SAFE ROWS 40 AS 'MODULE_PATHNAME', 'ampsf_sql_login_errors';
COMMENT ON FUNCTION @extschema@.login_errors() IS
	'what may go wrong with a login, as Salesforce says it, with causes and cures; ampsf.doctor() goes by it';

CREATE FUNCTION @extschema@.pushdown(
	OUT field text, OUT operator text, OUT class text, OUT soql text, OUT note text)
RETURNS SETOF record
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE ROWS 60 AS 'MODULE_PATHNAME', 'ampsf_sql_pushdown';
COMMENT ON FUNCTION @extschema@.pushdown() IS
	'every condition that goes to Salesforce, as what, and whether its answer is trusted (exact) or checked again (superset)';

-- What talks to an org.  The caller needs USAGE on the server and a user mapping besides EXECUTE.

CREATE FUNCTION @extschema@.doctor(
	server name, OUT step text, OUT status text, OUT detail text, OUT advice text)
RETURNS SETOF record
LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE ROWS 10 AS 'MODULE_PATHNAME', 'ampsf_sql_doctor';
COMMENT ON FUNCTION @extschema@.doctor(name) IS
	'checks the way to an org step by step; status is ok, warning, failed or skipped, advice says what to do';
REVOKE EXECUTE ON FUNCTION @extschema@.doctor(name) FROM PUBLIC;

CREATE FUNCTION @extschema@.login_url(server name, scope text DEFAULT 'api refresh_token') RETURNS text
LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'ampsf_sql_login_url';
COMMENT ON FUNCTION @extschema@.login_url(name, text) IS
	'begins a login by browser: the address to open; finish with ampsf.login() in the same session';
REVOKE EXECUTE ON FUNCTION @extschema@.login_url(name, text) FROM PUBLIC;

CREATE FUNCTION @extschema@.login(
	server name, answer text, OUT user_id text, OUT instance_url text, OUT scope text)
LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'ampsf_sql_login';
COMMENT ON FUNCTION @extschema@.login(name, text) IS
	'ends a login by browser: answer is the address to which it was sent, or the code in it; stores a refresh '
	'token in the caller''s user mapping';
REVOKE EXECUTE ON FUNCTION @extschema@.login(name, text) FROM PUBLIC;

CREATE FUNCTION @extschema@.limits(
	server name, OUT name text, OUT max bigint, OUT remaining bigint, OUT used bigint)
RETURNS SETOF record
LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE ROWS 60 AS 'MODULE_PATHNAME', 'ampsf_sql_limits';
COMMENT ON FUNCTION @extschema@.limits(name) IS 'the org''s limits and what is left of them';
REVOKE EXECUTE ON FUNCTION @extschema@.limits(name) FROM PUBLIC;

CREATE FUNCTION @extschema@.disconnect(server name DEFAULT NULL) RETURNS integer
LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'ampsf_sql_disconnect';
COMMENT ON FUNCTION @extschema@.disconnect(name) IS
	'forgets this session''s logins at a server, or at all of them; returns how many';

CREATE FUNCTION @extschema@.query(server name, soql text, include_deleted boolean DEFAULT false)
RETURNS SETOF jsonb
LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'ampsf_sql_query';
COMMENT ON FUNCTION @extschema@.query(name, text, boolean) IS
	'records of a SOQL statement as Salesforce sends them; SELECT COUNT() gives {"totalSize": n}';
REVOKE EXECUTE ON FUNCTION @extschema@.query(name, text, boolean) FROM PUBLIC;

CREATE FUNCTION @extschema@.comment(schema name, server name DEFAULT NULL) RETURNS integer
LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'ampsf_sql_comment';
COMMENT ON FUNCTION @extschema@.comment(name, name) IS
	'comments on the foreign tables of a schema and their columns: labels, help texts, references and pick '
	'lists of the org; replaces comments that are there, returns how many';
REVOKE EXECUTE ON FUNCTION @extschema@.comment(name, name) FROM PUBLIC;

CREATE FUNCTION @extschema@.jobs_cleanup(
	server name, older_than interval DEFAULT '1 hour', OUT id text, OUT object text, OUT state text,
	OUT created timestamptz)
RETURNS SETOF record
LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE ROWS 10 AS 'MODULE_PATHNAME', 'ampsf_sql_jobs_cleanup';
COMMENT ON FUNCTION @extschema@.jobs_cleanup(name, interval) IS
	'aborts and deletes Bulk jobs that killed sessions left in the org; older_than spares those in use';
REVOKE EXECUTE ON FUNCTION @extschema@.jobs_cleanup(name, interval) FROM PUBLIC;

-- The org's other resources.

CREATE FUNCTION @extschema@.request(
	server name, method text, path text, body jsonb DEFAULT NULL, headers jsonb DEFAULT NULL,
	OUT status integer, OUT headers jsonb, OUT body jsonb, OUT bytes bytea)
LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'ampsf_sql_request';
COMMENT ON FUNCTION @extschema@.request(name, text, text, jsonb, jsonb) IS
	'one call of the org''s REST APIs, with any status as its result; a body that is no JSON comes as bytes. '
	'path is relative to /services/data/vXX.X/, or begins with a slash';
REVOKE EXECUTE ON FUNCTION @extschema@.request(name, text, text, jsonb, jsonb) FROM PUBLIC;

CREATE FUNCTION @extschema@.search(server name, sosl text, OUT object text, OUT id text, OUT record jsonb)
RETURNS SETOF record
LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'ampsf_sql_search';
COMMENT ON FUNCTION @extschema@.search(name, text) IS 'records that a SOSL statement finds, of several objects at once';
REVOKE EXECUTE ON FUNCTION @extschema@.search(name, text) FROM PUBLIC;

CREATE FUNCTION @extschema@.objects(
	server name, OUT name text, OUT label text, OUT label_plural text, OUT key_prefix text, OUT custom boolean,
	OUT queryable boolean, OUT searchable boolean, OUT createable boolean, OUT updateable boolean,
	OUT deletable boolean)
RETURNS SETOF record
LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'ampsf_sql_objects';
COMMENT ON FUNCTION @extschema@.objects(name) IS 'the objects that the user can see, and what may be done with them; one call';
REVOKE EXECUTE ON FUNCTION @extschema@.objects(name) FROM PUBLIC;

CREATE FUNCTION @extschema@.describe(
	server name, object text, OUT name text, OUT label text, OUT label_plural text, OUT key_prefix text,
	OUT custom boolean, OUT queryable boolean, OUT searchable boolean, OUT createable boolean,
	OUT updateable boolean, OUT deletable boolean, OUT fields integer, OUT child_relationships integer,
	OUT record_types integer, OUT description jsonb)
RETURNS SETOF record
LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE ROWS 1 AS 'MODULE_PATHNAME', 'ampsf_sql_describe';
COMMENT ON FUNCTION @extschema@.describe(name, text) IS 'one object; description is all that Salesforce says of it';
REVOKE EXECUTE ON FUNCTION @extschema@.describe(name, text) FROM PUBLIC;

CREATE FUNCTION @extschema@.fields(
	server name, object text, OUT n integer, OUT name text, OUT label text, OUT type text, OUT length integer,
	OUT "precision" integer, OUT scale integer, OUT nillable boolean, OUT createable boolean,
	OUT updateable boolean, OUT filterable boolean, OUT sortable boolean, OUT groupable boolean,
	OUT "unique" boolean, OUT external_id boolean, OUT custom boolean, OUT calculated boolean,
	OUT reference_to text[], OUT relationship text, OUT help text)
RETURNS SETOF record
LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE ROWS 60 AS 'MODULE_PATHNAME', 'ampsf_sql_fields';
COMMENT ON FUNCTION @extschema@.fields(name, text) IS 'the fields of an object, in Salesforce''s order';
REVOKE EXECUTE ON FUNCTION @extschema@.fields(name, text) FROM PUBLIC;

CREATE FUNCTION @extschema@.picklist_values(
	server name, object text, OUT field text, OUT n integer, OUT value text, OUT label text, OUT active boolean,
	OUT is_default boolean, OUT restricted boolean, OUT controller text)
RETURNS SETOF record
LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE ROWS 100 AS 'MODULE_PATHNAME', 'ampsf_sql_picklist_values';
COMMENT ON FUNCTION @extschema@.picklist_values(name, text) IS
	'the values of an object''s pick lists, inactive ones too; restricted: no other value is accepted; '
	'controller: the field on which the choice depends';
REVOKE EXECUTE ON FUNCTION @extschema@.picklist_values(name, text) FROM PUBLIC;

CREATE FUNCTION @extschema@.relationships(
	server name, OUT child text, OUT field text, OUT parent text, OUT to_parent text, OUT to_children text,
	OUT cascade_delete boolean, OUT restricted_delete boolean)
RETURNS SETOF record
LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'ampsf_sql_relationships';
COMMENT ON FUNCTION @extschema@.relationships(name) IS
	'every reference between objects: to_parent and to_children are its names in SOQL, up and down; '
	'one call for each 25 objects of the org';
REVOKE EXECUTE ON FUNCTION @extschema@.relationships(name) FROM PUBLIC;

CREATE FUNCTION @extschema@.report(
	server name, report_id text, OUT key text, OUT groups jsonb, OUT n integer, OUT record jsonb, OUT labels jsonb)
RETURNS SETOF record
LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'ampsf_sql_report';
COMMENT ON FUNCTION @extschema@.report(name, text) IS
	'runs a report: of each group its aggregates (n is null) and its rows; record has the values, labels what '
	'Salesforce shows; warns where a report has more rows than the API gives';
REVOKE EXECUTE ON FUNCTION @extschema@.report(name, text) FROM PUBLIC;

-- Ampersand, by whose proxy an org can be reached: what it does by itself.

CREATE FUNCTION @extschema@.trigger_read(
	server name, object text, since timestamptz DEFAULT NULL, until timestamptz DEFAULT NULL)
RETURNS text
LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'ampsf_sql_trigger_read';
COMMENT ON FUNCTION @extschema@.trigger_read(name, text, timestamptz, timestamptz) IS
	'Ampersand reads an object now, what changed after since or all of it, and delivers it to the destination of its amp.yaml; returns the operation';
REVOKE EXECUTE ON FUNCTION @extschema@.trigger_read(name, text, timestamptz, timestamptz) FROM PUBLIC;

CREATE FUNCTION @extschema@.operation(
	server name, id text, OUT status text, OUT action text, OUT objects jsonb, OUT result text, OUT record_ids jsonb,
	OUT processed bigint, OUT total bigint, OUT created timestamptz, OUT log jsonb)
LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'ampsf_sql_operation';
COMMENT ON FUNCTION @extschema@.operation(name, text) IS
	'what has become of an operation of Ampersand: in_progress, success or failure, and its log when it has ended; nulls if there is none';
REVOKE EXECUTE ON FUNCTION @extschema@.operation(name, text) FROM PUBLIC;

CREATE FUNCTION @extschema@.backfill_progress(
	server name, object text, OUT operation text, OUT processed bigint, OUT total bigint, OUT created timestamptz,
	OUT updated timestamptz)
LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'ampsf_sql_backfill_progress';
COMMENT ON FUNCTION @extschema@.backfill_progress(name, text) IS
	'how far Ampersand''s first read of an object has come; nulls if there was none';
REVOKE EXECUTE ON FUNCTION @extschema@.backfill_progress(name, text) FROM PUBLIC;

CREATE FUNCTION @extschema@.manifest(schema name, destination text DEFAULT 'webhook', schedule text DEFAULT '*/10 * * * *')
RETURNS text
LANGUAGE C STABLE STRICT PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'ampsf_sql_manifest';
COMMENT ON FUNCTION @extschema@.manifest(name, text, text) IS
	'an amp.yaml for the foreign tables of a schema: what Ampersand is to read and may write, and its proxy';

-- What Ampersand delivers.

CREATE TABLE @extschema@.webhook_target (
	object text NOT NULL,
	target regclass NOT NULL,
	PRIMARY KEY (object, target)
);
COMMENT ON TABLE @extschema@.webhook_target IS
	'which table takes the records of an object that Ampersand delivers: columns by the names of the fields, in lower case, and a unique "id"';
COMMENT ON COLUMN @extschema@.webhook_target.object IS 'the objectName of messages: that of amp.yaml, or the name it is mapped to; without case';
CREATE UNIQUE INDEX webhook_target_object ON @extschema@.webhook_target (lower(object));
SELECT pg_catalog.pg_extension_config_dump('@extschema@.webhook_target', '');

CREATE TABLE @extschema@.webhook_message (
	id text PRIMARY KEY,
	received timestamptz NOT NULL DEFAULT clock_timestamp(),
	action text,
	object text,
	written integer NOT NULL DEFAULT 0,
	deleted integer NOT NULL DEFAULT 0
);
COMMENT ON TABLE @extschema@.webhook_message IS
	'messages of Ampersand that ampsf.webhook() has taken: each is taken once. Rows older than a few days can be deleted';
SELECT pg_catalog.pg_extension_config_dump('@extschema@.webhook_message', '');

CREATE FUNCTION @extschema@.webhook_check(body bytea, headers jsonb, server name DEFAULT NULL) RETURNS text
LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'ampsf_sql_webhook_check';
COMMENT ON FUNCTION @extschema@.webhook_check(bytea, jsonb, name) IS
	'the id of a message that Ampersand has signed in the last five minutes; an error for any other';
REVOKE EXECUTE ON FUNCTION @extschema@.webhook_check(bytea, jsonb, name) FROM PUBLIC;

CREATE FUNCTION @extschema@.webhook_download(url text) RETURNS bytea
LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'ampsf_sql_webhook_download';
COMMENT ON FUNCTION @extschema@.webhook_download(text) IS
	'the content of an address on a host of ampsf.allowed_hosts, for messages that are too large';
REVOKE EXECUTE ON FUNCTION @extschema@.webhook_download(text) FROM PUBLIC;

-- One record into its table: the columns that it has, unless the row there is newer.
CREATE FUNCTION @extschema@.webhook_put(target regclass, entry jsonb, OUT written integer, OUT deleted integer)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	row jsonb;
	columns text[];
	newer text := '';
BEGIN
	written := 0;
	deleted := 0;
	IF entry->>'subscribeEventType' = 'delete' THEN
		EXECUTE format('DELETE FROM %s WHERE id = $1', target::text)
			USING coalesce(entry->>'id', entry->'fields'->>'id', entry->'raw'->>'Id');
		GET DIAGNOSTICS deleted = ROW_COUNT;
		RETURN;
	END IF;
	SELECT jsonb_object_agg(lower(k), v) INTO row
	FROM (SELECT key AS k, value AS v FROM jsonb_each(coalesce(nullif(entry->'fields', 'null'), '{}'))
		UNION ALL SELECT key, value FROM jsonb_each(coalesce(nullif(entry->'mappedFields', 'null'), '{}'))) f;
	row := coalesce(row, '{}') || CASE WHEN row ? 'id' THEN '{}'::jsonb
		ELSE jsonb_build_object('id', coalesce(entry->>'id', entry->'raw'->>'Id')) END;
	IF row->>'id' IS NULL THEN
		RAISE EXCEPTION USING ERRCODE = 'not_null_violation', MESSAGE = 'a record that Ampersand delivered has no Id',
			HINT = 'Add the field Id to the object in amp.yaml.';
	END IF;
	IF entry->'raw' IS NOT NULL THEN
		row := row || jsonb_build_object('raw', entry->'raw');
	END IF;
	-- Whose it is, for tables that several customers share.
	row := row || jsonb_build_object('group_ref', entry->'groupRef', 'installation_id', entry->'installationId');
	SELECT array_agg(quote_ident(attname) ORDER BY attnum) INTO columns FROM pg_attribute
	WHERE attrelid = target AND attnum > 0 AND NOT attisdropped AND attgenerated = '' AND row ? attname;
	IF 'systemmodstamp' = ANY (columns) THEN
		newer := format(' WHERE t.systemmodstamp IS NULL OR t.systemmodstamp <= excluded.systemmodstamp');
	END IF;
	EXECUTE format('INSERT INTO %1$s AS t (%2$s) SELECT %2$s FROM jsonb_populate_record(NULL::%1$s, $1) ON CONFLICT (id) DO %3$s',
		target::text, array_to_string(columns, ', '),
		CASE WHEN cardinality(columns) > 1 THEN 'UPDATE SET ' ||
			(SELECT string_agg(c || ' = excluded.' || c, ', ') FROM unnest(columns) c WHERE c <> 'id') || newer ELSE 'NOTHING' END)
		USING row;
	GET DIAGNOSTICS written = ROW_COUNT;
END $$;
COMMENT ON FUNCTION @extschema@.webhook_put(regclass, jsonb) IS 'one entry of a message''s result into its table; for ampsf.webhook()';
REVOKE EXECUTE ON FUNCTION @extschema@.webhook_put(regclass, jsonb) FROM PUBLIC;

CREATE FUNCTION @extschema@.webhook(
	body bytea, headers jsonb, server name DEFAULT NULL, OUT message text, OUT action text, OUT object text,
	OUT written integer, OUT deleted integer, OUT repeated boolean)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	doc jsonb;
	list jsonb;
	goal regclass;
	entry jsonb;
	done record;
BEGIN
	message := @extschema@.webhook_check(body, headers, server);
	doc := convert_from(body, 'UTF8')::jsonb;
	action := coalesce(doc->>'action', doc->>'notificationType');
	object := doc->>'objectName';
	written := 0;
	deleted := 0;
	-- Waits for a session that is taking the same message.
	INSERT INTO @extschema@.webhook_message (id, action, object) VALUES (message, webhook.action, webhook.object)
		ON CONFLICT (id) DO NOTHING;
	repeated := NOT FOUND;
	IF repeated OR doc->>'action' IS NULL OR doc->>'action' NOT IN ('read', 'subscribe') THEN
		RETURN;
	END IF;
	SELECT w.target INTO goal FROM @extschema@.webhook_target w WHERE lower(w.object) = lower(webhook.object);
	IF goal IS NULL THEN
		RAISE EXCEPTION USING ERRCODE = 'undefined_table',
			MESSAGE = format('no table takes the records of object "%s"', object),
			HINT = 'INSERT INTO ampsf.webhook_target (object, target) VALUES (''...'', ''...'').';
	END IF;
	list := doc->'result';
	IF doc->'resultInfo'->>'type' = 'url' THEN
		list := convert_from(@extschema@.webhook_download(doc->'resultInfo'->>'downloadUrl'), 'UTF8')::jsonb;
		list := CASE jsonb_typeof(list) WHEN 'object' THEN list->'result' ELSE list END;
	END IF;
	FOR entry IN SELECT value FROM jsonb_array_elements(coalesce(nullif(list, 'null'), '[]')) LOOP
		done := @extschema@.webhook_put(goal,
			entry || jsonb_build_object('groupRef', doc->'groupRef', 'installationId', doc->'installationId'));
		written := written + done.written;
		deleted := deleted + done.deleted;
	END LOOP;
	UPDATE @extschema@.webhook_message m SET written = webhook.written, deleted = webhook.deleted WHERE m.id = message;
END $$;
COMMENT ON FUNCTION @extschema@.webhook(bytea, jsonb, name) IS
	'takes a message that Ampersand delivers: checks its signature, and puts its records into the table of ampsf.webhook_target; a message that comes again changes nothing';
REVOKE EXECUTE ON FUNCTION @extschema@.webhook(bytea, jsonb, name) FROM PUBLIC;

-- What is being read right now.

CREATE FUNCTION @extschema@.progress(
	OUT pid integer, OUT relation regclass, OUT phase text, OUT rows bigint, OUT rows_expected bigint,
	OUT bytes bigint, OUT calls bigint)
RETURNS SETOF record
LANGUAGE C VOLATILE STRICT PARALLEL RESTRICTED ROWS 10 AS 'MODULE_PATHNAME', 'ampsf_sql_progress';
COMMENT ON FUNCTION @extschema@.progress() IS 'reads of foreign tables under way in this database; see the view';

CREATE VIEW @extschema@.progress AS SELECT * FROM @extschema@.progress();
COMMENT ON VIEW @extschema@.progress IS
	'reads of foreign tables under way in this database: relation, phase, rows so far and expected, bytes, calls';
GRANT SELECT ON @extschema@.progress TO PUBLIC;

-- What was spent.

CREATE FUNCTION @extschema@.usage(
	OUT scope text, OUT since timestamptz, OUT server oid, OUT "user" oid, OUT object text, OUT kind text,
	OUT calls bigint, OUT retries bigint, OUT bytes_in bigint, OUT bytes_out bigint, OUT rows bigint)
RETURNS SETOF record
LANGUAGE C VOLATILE STRICT PARALLEL RESTRICTED ROWS 50 AS 'MODULE_PATHNAME', 'ampsf_sql_usage';
COMMENT ON FUNCTION @extschema@.usage() IS 'API calls, bytes and rows by server, user, object and kind; see the view';

CREATE VIEW @extschema@.usage AS
	SELECT u.scope, u.since, s.srvname AS server, r.rolname AS "user", u.object, u.kind,
		u.calls, u.retries, u.bytes_in, u.bytes_out, u.rows
	FROM @extschema@.usage() u
		LEFT JOIN pg_catalog.pg_foreign_server s ON s.oid OPERATOR(pg_catalog.=) u.server
		LEFT JOIN pg_catalog.pg_roles r ON r.oid OPERATOR(pg_catalog.=) u."user";
COMMENT ON VIEW @extschema@.usage IS
	'API calls, retries, bytes and rows by server, user, object and kind: scope backend is this session, '
	'scope server all sessions of this database since PostgreSQL was started with ampsf_fdw in shared_preload_libraries';
GRANT SELECT ON @extschema@.usage TO PUBLIC;

-- Rows that could not be written.  Rows come by a background worker that acts as the owner, so that nobody
-- needs the right to insert; each role sees, and may delete, what was to be written in its name.

CREATE TABLE @extschema@.write_error (
	id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	"time" timestamptz NOT NULL DEFAULT clock_timestamp(),
	role regrole NOT NULL,
	server text NOT NULL,
	relation text NOT NULL,
	object text NOT NULL,
	operation text NOT NULL,
	statement text,
	row_number bigint NOT NULL,
	record_id text,
	"row" jsonb NOT NULL,
	outcome text NOT NULL,
	error_code text,
	message text,
	fields text[]
);
COMMENT ON TABLE @extschema@.write_error IS
	'rows that Salesforce refused, of tables with on_error continue, and rows of which nobody knows whether they were written; a rollback does not remove them';
COMMENT ON COLUMN @extschema@.write_error.relation IS 'the foreign table';
COMMENT ON COLUMN @extschema@.write_error.row_number IS 'the row''s place among those that the statement has sent to this table, from 1';
COMMENT ON COLUMN @extschema@.write_error.record_id IS 'Salesforce''s Id of the row, where it is known';
COMMENT ON COLUMN @extschema@.write_error."row" IS 'what was to be written, by Salesforce''s names of the fields';
COMMENT ON COLUMN @extschema@.write_error.outcome IS
	'refused: not written; in doubt: sent, but no answer came; not sent: not written, for the call did not reach Salesforce';
ALTER TABLE @extschema@.write_error ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON @extschema@.write_error TO PUBLIC
	USING (role = (SELECT pg_catalog.quote_ident(current_user)::pg_catalog.regrole));
GRANT SELECT, DELETE ON @extschema@.write_error TO PUBLIC;

-- Mirrors: local tables that are kept equal to objects.  What a mirror asks of the org besides rows comes
-- by these three; who may read the foreign table may ask.

CREATE FUNCTION @extschema@.server_time(foreign_table regclass) RETURNS timestamptz
LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'ampsf_sql_server_time';
COMMENT ON FUNCTION @extschema@.server_time(regclass) IS 'the org''s clock; one call';

CREATE FUNCTION @extschema@.record_count(foreign_table regclass) RETURNS bigint
LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'ampsf_sql_record_count';
COMMENT ON FUNCTION @extschema@.record_count(regclass) IS
	'about how many rows the object has, as the org remembers it; null if it does not; one call';

CREATE FUNCTION @extschema@.deleted(
	foreign_table regclass, since timestamptz, until timestamptz, OUT ids text[], OUT times timestamptz[],
	OUT earliest_available timestamptz, OUT latest_covered timestamptz)
LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'ampsf_sql_deleted';
COMMENT ON FUNCTION @extschema@.deleted(regclass, timestamptz, timestamptz) IS
	'the org''s log of deletions, which goes back 15 days at most; null where the org refuses; one call';

CREATE FUNCTION @extschema@.month_counts(
	foreign_table regclass, stamp text, OUT month timestamptz, OUT rows bigint, OUT newest timestamptz,
	OUT stamps bigint)
RETURNS SETOF record
LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE ROWS 100 AS 'MODULE_PATHNAME', 'ampsf_sql_month_counts';
COMMENT ON FUNCTION @extschema@.month_counts(regclass, text) IS
	'of each month (UTC) in which rows were created: rows, the newest value of the field stamp, its different values; one call';

-- Definitions and their state.  Each role sees and changes its own, and a run is always its owner's: what a
-- definition names is reached with no other rights.
CREATE TABLE @extschema@.mirror_definition (
	target regclass PRIMARY KEY,
	owner regrole NOT NULL DEFAULT pg_catalog.quote_ident(current_user)::pg_catalog.regrole,
	source regclass NOT NULL,
	cursor_column name,
	created_column name,
	deletes text NOT NULL CHECK (deletes IN ('remove', 'mark')),
	every interval NOT NULL CHECK (every > '0'),
	lookback interval NOT NULL CHECK (lookback >= '0'),
	compare_every interval NOT NULL CHECK (compare_every > '0'),
	chunk_rows integer NOT NULL CHECK (chunk_rows > 0),
	paused boolean NOT NULL DEFAULT false,
	stage text NOT NULL DEFAULT 'idle' CHECK (stage IN ('idle', 'rows', 'deletes')),
	run bigint,
	run_started timestamptz,
	read_to timestamptz,
	watermark timestamptz,
	deleted_to timestamptz,
	compared_at timestamptz,
	compare_asked boolean NOT NULL DEFAULT false,
	rows bigint NOT NULL DEFAULT 0,
	rows_expected bigint,
	next_run timestamptz NOT NULL DEFAULT now(),
	failures integer NOT NULL DEFAULT 0,
	last_error text,
	warning text
);
COMMENT ON TABLE @extschema@.mirror_definition IS 'mirrors: what each is, and how far it has come; see the view mirror_status';
COMMENT ON COLUMN @extschema@.mirror_definition.run_started IS 'the org''s time when the run under way began; becomes the watermark';
COMMENT ON COLUMN @extschema@.mirror_definition.read_to IS 'of the run under way: rows whose cursor is less are in the mirror';
COMMENT ON COLUMN @extschema@.mirror_definition.watermark IS 'changes before this time of the org are in the mirror';
COMMENT ON COLUMN @extschema@.mirror_definition.deleted_to IS 'deletions before this time of the org are in the mirror';
ALTER TABLE @extschema@.mirror_definition ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON @extschema@.mirror_definition TO PUBLIC
	USING (owner = (SELECT pg_catalog.quote_ident(current_user)::pg_catalog.regrole));
GRANT SELECT, INSERT, UPDATE, DELETE ON @extschema@.mirror_definition TO PUBLIC;
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
	compared boolean NOT NULL DEFAULT false,
	calls bigint NOT NULL DEFAULT 0,
	rows_read bigint NOT NULL DEFAULT 0,
	interruptions integer NOT NULL DEFAULT 0,
	error text
);
COMMENT ON TABLE @extschema@.mirror_run IS 'runs of mirrors, the latest 1,000 of each; one that was interrupted is continued, and stays one run';
COMMENT ON COLUMN @extschema@.mirror_run.rows_read IS 'rows that came from the org, those unchanged since the last run too';
COMMENT ON COLUMN @extschema@.mirror_run.compared IS 'all Ids were compared';
COMMENT ON COLUMN @extschema@.mirror_run.error IS 'of its latest failure';
CREATE INDEX ON @extschema@.mirror_run (target, id);
ALTER TABLE @extschema@.mirror_run ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON @extschema@.mirror_run TO PUBLIC
	USING (owner = (SELECT pg_catalog.quote_ident(current_user)::pg_catalog.regrole));
GRANT SELECT, INSERT, UPDATE, DELETE ON @extschema@.mirror_run TO PUBLIC;

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
		d.compared_at, d.next_run, d.failures, d.last_error, d.warning, r.runs, r.calls
	FROM @extschema@.mirror_definition d
		LEFT JOIN LATERAL (
			SELECT pg_catalog.count(*) AS runs, pg_catalog.sum(m.calls) AS calls FROM @extschema@.mirror_run m
			WHERE m.target OPERATOR(pg_catalog.=) d.target) r ON true;
COMMENT ON VIEW @extschema@.mirror_status IS
	'mirrors: phase, rows, how far behind the org''s present, last error, next run, calls spent';
GRANT SELECT ON @extschema@.mirror_status TO PUBLIC;

-- The live columns of a foreign table, with the fields that they stand for.
CREATE FUNCTION @extschema@.mirror_columns(
	relation regclass, OUT attnum smallint, OUT name name, OUT field text, OUT type text, OUT collation text,
	OUT filterable boolean, OUT not_null boolean)
RETURNS SETOF record
LANGUAGE sql STABLE STRICT SET search_path = pg_catalog, pg_temp AS $$
	SELECT a.attnum, a.attname, coalesce(o.o ->> 'field', a.attname), format_type(a.atttypid, a.atttypmod),
		CASE WHEN a.attcollation <> t.typcollation THEN a.attcollation::regcollation::text END,
		coalesce(o.o ->> 'filterable', 'true') IN ('true', 'on', 'yes', '1'), a.attnotnull
	FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid
		LEFT JOIN LATERAL (SELECT jsonb_object_agg(option_name, option_value) AS o
			FROM pg_options_to_table(a.attfdwoptions)) o ON true
	WHERE a.attrelid = relation AND a.attnum > 0 AND NOT a.attisdropped
	ORDER BY a.attnum
$$;
COMMENT ON FUNCTION @extschema@.mirror_columns(regclass) IS 'columns of a foreign table with their fields; of mirrors';

CREATE FUNCTION @extschema@.mirror_find(target regclass) RETURNS @extschema@.mirror_definition
LANGUAGE plpgsql STRICT SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	d @extschema@.mirror_definition;
BEGIN
	SELECT * INTO d FROM @extschema@.mirror_definition m WHERE m.target = mirror_find.target;
	IF NOT FOUND THEN
		RAISE EXCEPTION USING ERRCODE = 'undefined_object', MESSAGE = format('%s is not a mirror of yours', target),
			HINT = 'The view ampsf.mirror_status lists them.';
	ELSIF d.owner <> quote_ident(current_user)::regrole THEN
		RAISE EXCEPTION USING ERRCODE = 'insufficient_privilege', MESSAGE = format('mirror %s is run by its owner only', target),
			HINT = format('SET ROLE %s first.', d.owner);
	END IF;
	RETURN d;
END $$;
COMMENT ON FUNCTION @extschema@.mirror_find(regclass) IS 'the caller''s mirror; of mirrors';

-- One at a time does anything with a mirror's rows: a run, whose lock is the session's since it has many
-- transactions, or one transaction.
CREATE FUNCTION @extschema@.mirror_lock(target regclass, OUT taken boolean, OUT resumed boolean)
LANGUAGE plpgsql STRICT SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	d @extschema@.mirror_definition := @extschema@.mirror_find(target);
	class integer := hashtext('@extschema@.mirror');
BEGIN
	-- A session that was interrupted between two steps has it still.
	taken := EXISTS (SELECT FROM pg_locks l WHERE l.locktype = 'advisory' AND l.pid = pg_backend_pid() AND l.granted
			AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
			AND l.classid = class::oid AND l.objid = target::oid AND l.objsubid = 2)
		OR pg_try_advisory_lock(class, target::oid::integer);
	-- Read again: who had the lock until now may have changed it.
	d := @extschema@.mirror_find(target);
	resumed := d.stage <> 'idle';
	IF taken AND resumed THEN
		UPDATE @extschema@.mirror_run r SET interruptions = interruptions + 1, state = 'running' WHERE r.id = d.run;
	END IF;
END $$;
COMMENT ON FUNCTION @extschema@.mirror_lock(regclass) IS 'begins a run; of mirrors';

CREATE FUNCTION @extschema@.mirror_claim(target regclass) RETURNS @extschema@.mirror_definition
LANGUAGE plpgsql STRICT SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	d @extschema@.mirror_definition := @extschema@.mirror_find(target);
BEGIN
	IF NOT pg_try_advisory_xact_lock(hashtext('@extschema@.mirror'), target::oid::integer) THEN
		RAISE EXCEPTION USING ERRCODE = 'object_in_use', MESSAGE = format('mirror %s is being synchronized by another session', target),
			HINT = 'The view pg_locks tells which one holds the advisory lock.';
	END IF;
	RETURN @extschema@.mirror_find(target);
END $$;
COMMENT ON FUNCTION @extschema@.mirror_claim(regclass) IS 'the caller''s mirror, for this transaction alone; of mirrors';

CREATE FUNCTION @extschema@.mirror(
	foreign_table regclass, target text DEFAULT NULL, every interval DEFAULT '5 minutes',
	deletes text DEFAULT 'remove', lookback interval DEFAULT '10 minutes', compare_every interval DEFAULT '1 day',
	chunk_rows integer DEFAULT 100000, schema name DEFAULT current_schema())
RETURNS regclass
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	parts text[];
	place text;
	key name;
	cursor_column name;
	created_column name;
	made regclass;
	c record;
	ddl text;
BEGIN
	IF foreign_table IS NULL OR NOT EXISTS (
		SELECT FROM pg_foreign_table f JOIN pg_foreign_server s ON s.oid = f.ftserver
			JOIN pg_foreign_data_wrapper w ON w.oid = s.srvfdw
		WHERE f.ftrelid = foreign_table AND w.fdwhandler = '@extschema@.ampsf_fdw_handler()'::regprocedure) THEN
		RAISE EXCEPTION USING ERRCODE = 'wrong_object_type',
			MESSAGE = format('%s is not a foreign table of ampsf_fdw', coalesce(foreign_table::text, 'null'));
	END IF;
	IF EXISTS (SELECT FROM pg_foreign_table f JOIN pg_foreign_server s ON s.oid = f.ftserver
		WHERE f.ftrelid = foreign_table AND 'module=account_engagement' = ANY (s.srvoptions)) THEN
		RAISE EXCEPTION USING ERRCODE = 'feature_not_supported',
			MESSAGE = format('%s is a table of Account Engagement, which has no mirrors', foreign_table);
	END IF;
	IF deletes NOT IN ('remove', 'mark') THEN
		RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value', MESSAGE = format('"%s" is no way to treat deleted rows', deletes),
			HINT = 'It is remove, or mark.';
	END IF;
	parts := parse_ident(coalesce(target, quote_ident((SELECT relname FROM pg_class WHERE oid = foreign_table))));
	IF cardinality(parts) = 1 AND schema IS NOT NULL THEN
		parts := ARRAY[schema::text] || parts;
	END IF;
	IF cardinality(parts) <> 2 THEN
		RAISE EXCEPTION USING ERRCODE = 'invalid_name', MESSAGE = format('"%s" is not the name of a table', target);
	END IF;
	place := format('%I.%I', parts[1], parts[2]);
	IF to_regclass(place) IS NOT NULL THEN
		RAISE EXCEPTION USING ERRCODE = 'duplicate_table', MESSAGE = format('relation %s exists already', place),
			HINT = 'Name another table as the second argument of ampsf.mirror().';
	END IF;

	SELECT name INTO key FROM @extschema@.mirror_columns(foreign_table) WHERE lower(field) = 'id' LIMIT 1;
	IF key IS NULL THEN
		RAISE EXCEPTION USING ERRCODE = 'undefined_column', MESSAGE = format('%s has no column for the field Id', foreign_table),
			HINT = 'A mirror is kept by Ids.';
	END IF;
	-- What moves with every change comes first; rows of history objects are only ever created.
	SELECT m.name INTO cursor_column FROM @extschema@.mirror_columns(foreign_table) m
		JOIN unnest(ARRAY['systemmodstamp', 'lastmodifieddate', 'createddate', 'logintime']) WITH ORDINALITY w (f, n)
			ON w.f = lower(m.field)
		WHERE m.type = 'timestamp with time zone' AND m.filterable ORDER BY w.n LIMIT 1;
	SELECT m.name INTO created_column FROM @extschema@.mirror_columns(foreign_table) m
		WHERE lower(m.field) = 'createddate' AND m.type = 'timestamp with time zone' AND m.filterable LIMIT 1;

	SELECT string_agg(format('%I %s%s', m.name, m.type, ' COLLATE ' || m.collation), ', ' ORDER BY m.attnum)
		INTO ddl FROM @extschema@.mirror_columns(foreign_table) m;
	IF deletes = 'mark' THEN
		ddl := ddl || ', deleted_at timestamptz';
	END IF;
	EXECUTE format('CREATE TABLE %s (%s, PRIMARY KEY (%I))', place, ddl, key);
	made := place::regclass;
	EXECUTE format('COMMENT ON TABLE %s IS %L', place,
		coalesce(obj_description(foreign_table, 'pg_class'), 'mirror of ' || foreign_table::text));
	FOR c IN SELECT m.name, col_description(foreign_table, m.attnum) AS note FROM @extschema@.mirror_columns(foreign_table) m
		WHERE col_description(foreign_table, m.attnum) IS NOT NULL LOOP
		EXECUTE format('COMMENT ON COLUMN %s.%I IS %L', place, c.name, c.note);
	END LOOP;
	IF deletes = 'mark' THEN
		EXECUTE format('COMMENT ON COLUMN %s.deleted_at IS %L', place, 'when the org deleted the row; null: it is there');
	END IF;
	INSERT INTO @extschema@.mirror_definition (target, source, cursor_column, created_column, deletes, every, lookback,
			compare_every, chunk_rows)
		VALUES (made, foreign_table, cursor_column, created_column, deletes, every, lookback, compare_every, chunk_rows);
	RETURN made;
END $$;
COMMENT ON FUNCTION @extschema@.mirror(regclass, text, interval, text, interval, interval, integer, name) IS
	'makes a local table that CALL ampsf.sync(table) fills and keeps equal to the object; deletes: remove, or mark (deleted_at)';

CREATE FUNCTION @extschema@.unmirror(target regclass) RETURNS void
LANGUAGE plpgsql STRICT SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	PERFORM @extschema@.mirror_claim(target);
	DELETE FROM @extschema@.mirror_run r WHERE r.target = unmirror.target;
	DELETE FROM @extschema@.mirror_definition d WHERE d.target = unmirror.target;
END $$;
COMMENT ON FUNCTION @extschema@.unmirror(regclass) IS 'the table stays, with its rows, and is kept no longer';

CREATE FUNCTION @extschema@.pause(target regclass) RETURNS void
LANGUAGE plpgsql STRICT SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	PERFORM @extschema@.mirror_find(target);
	UPDATE @extschema@.mirror_definition d SET paused = true WHERE d.target = pause.target;
END $$;
COMMENT ON FUNCTION @extschema@.pause(regclass) IS 'ampsf.sync_due() passes the mirror over, and a run under way ends with its chunk';

CREATE FUNCTION @extschema@.resume(target regclass) RETURNS void
LANGUAGE plpgsql STRICT SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	PERFORM @extschema@.mirror_find(target);
	UPDATE @extschema@.mirror_definition d SET paused = false, next_run = least(next_run, now()), failures = 0
		WHERE d.target = resume.target;
END $$;
COMMENT ON FUNCTION @extschema@.resume(regclass) IS 'ends a pause, or the wait after a failure: the mirror is due now';

-- Of a table that shows deleted rows too (include_deleted), those are no rows of the mirror.
CREATE FUNCTION @extschema@.mirror_filter(d @extschema@.mirror_definition) RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
	SELECT coalesce((SELECT format(' AND NOT %I', c.name) FROM @extschema@.mirror_columns(d.source) c
		WHERE lower(c.field) = 'isdeleted' AND EXISTS (
			SELECT FROM pg_foreign_table f, pg_options_to_table(f.ftoptions) o WHERE f.ftrelid = d.source
				AND o.option_name = 'include_deleted' AND o.option_value IN ('true', 'on', 'yes', '1'))), '')
$$;
COMMENT ON FUNCTION @extschema@.mirror_filter(@extschema@.mirror_definition) IS 'condition for rows that are not deleted; of mirrors';

CREATE FUNCTION @extschema@.mirror_key(d @extschema@.mirror_definition) RETURNS name
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
	SELECT name FROM @extschema@.mirror_columns(d.source) WHERE lower(field) = 'id' LIMIT 1
$$;
COMMENT ON FUNCTION @extschema@.mirror_key(@extschema@.mirror_definition) IS 'the column of the Id; of mirrors';

-- Reads rows into the mirror: those that the condition finds ($1, $2: its values, $3: Ids).  One statement,
-- so a row that the org sends is there, or nothing is.
CREATE FUNCTION @extschema@.mirror_read(
	d @extschema@.mirror_definition, condition text, low timestamptz, high timestamptz, ids text[],
	OUT inserted bigint, OUT updated bigint)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	names text;
	sets text;
	olds text;
	news text;
	key name;
BEGIN
	SELECT string_agg(format('%I', c.name), ', ' ORDER BY c.attnum),
		string_agg(format('%I = excluded.%1$I', c.name), ', ' ORDER BY c.attnum) FILTER (WHERE lower(c.field) <> 'id'),
		string_agg(format('t.%I', c.name) || x.as_text, ', ' ORDER BY c.attnum) FILTER (WHERE lower(c.field) <> 'id'),
		string_agg(format('excluded.%I', c.name) || x.as_text, ', ' ORDER BY c.attnum) FILTER (WHERE lower(c.field) <> 'id'),
		min(c.name::text) FILTER (WHERE lower(c.field) = 'id')
	INTO names, sets, olds, news, key
	FROM @extschema@.mirror_columns(d.source) c
		JOIN pg_attribute a ON a.attrelid = d.target AND a.attname = c.name AND NOT a.attisdropped
		-- types that know no equality are compared as text
		CROSS JOIN LATERAL (SELECT CASE WHEN c.type IN ('json', 'xml', 'point') THEN '::text' ELSE '' END AS as_text) x;
	IF sets IS NULL THEN
		olds := 'NULL';
		news := 'NULL';
		sets := format('%I = excluded.%1$I', key);
	END IF;
	EXECUTE format(
		'WITH done AS (INSERT INTO %s AS t (%s) SELECT %2$s FROM %s s WHERE %s ON CONFLICT (%I) DO UPDATE SET %s%s '
		'WHERE ROW(%s) IS DISTINCT FROM ROW(%s)%s RETURNING t.xmax = 0 AS new) '
		'SELECT count(*) FILTER (WHERE new), count(*) FILTER (WHERE NOT new) FROM done',
		d.target, names, d.source, coalesce(condition, 'true') || @extschema@.mirror_filter(d), key, sets,
		CASE WHEN d.deletes = 'mark' THEN ', deleted_at = NULL' ELSE '' END, olds, news,
		CASE WHEN d.deletes = 'mark' THEN ' OR t.deleted_at IS NOT NULL' ELSE '' END)
	INTO inserted, updated USING low, high, ids;
END $$;
COMMENT ON FUNCTION @extschema@.mirror_read(@extschema@.mirror_definition, text, timestamptz, timestamptz, text[]) IS
	'reads rows into a mirror; of mirrors';

-- Rows that the org has no longer.
CREATE FUNCTION @extschema@.mirror_remove(d @extschema@.mirror_definition, ids text[], times timestamptz[]) RETURNS bigint
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	n bigint;
	key name := @extschema@.mirror_key(d);
	flag name;
BEGIN
	IF d.deletes = 'remove' THEN
		EXECUTE format('DELETE FROM %s t WHERE t.%I = ANY ($1)', d.target, key) USING ids;
	ELSE
		SELECT c.name INTO flag FROM @extschema@.mirror_columns(d.source) c
			JOIN pg_attribute a ON a.attrelid = d.target AND a.attname = c.name AND NOT a.attisdropped
			WHERE lower(c.field) = 'isdeleted';
		EXECUTE format('UPDATE %s t SET deleted_at = g.time%s FROM unnest($1, $2) g (id, time) '
			'WHERE t.%I = g.id AND t.deleted_at IS NULL',
			d.target, coalesce(format(', %I = true', flag), ''), key) USING ids, times;
	END IF;
	GET DIAGNOSTICS n = ROW_COUNT;
	RETURN n;
END $$;
COMMENT ON FUNCTION @extschema@.mirror_remove(@extschema@.mirror_definition, text[], timestamptz[]) IS
	'removes or marks rows of a mirror; of mirrors';

-- All Ids, with the cursor, of both sides.  It is the only way to see rows that were deleted past the recycle
-- bin; and it finds whatever else is missing or old.
CREATE FUNCTION @extschema@.mirror_compare(
	d @extschema@.mirror_definition, at timestamptz, OUT inserted bigint, OUT updated bigint, OUT deleted bigint)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	key name := @extschema@.mirror_key(d);
	live text := CASE WHEN d.deletes = 'mark' THEN 't.deleted_at IS NULL' ELSE 'true' END;
	lost text[];
	part text[];
	got record;
BEGIN
	inserted := 0;
	updated := 0;
	EXECUTE format('CREATE TEMPORARY TABLE ampsf_mirror_ids ON COMMIT DROP AS SELECT %I AS id, %s AS stamp FROM %s s WHERE true%s',
		key, coalesce(quote_ident(d.cursor_column), 'NULL::timestamptz'), d.source, @extschema@.mirror_filter(d));
	ANALYZE pg_temp.ampsf_mirror_ids;
	EXECUTE format('SELECT array_agg(t.%1$I) FROM %2$s t WHERE %3$s AND NOT EXISTS (SELECT FROM pg_temp.ampsf_mirror_ids i WHERE i.id = t.%1$I)',
		key, d.target, live) INTO lost;
	deleted := @extschema@.mirror_remove(d, lost, array_fill(at, ARRAY[coalesce(cardinality(lost), 0)]));
	FOR part IN EXECUTE format(
		'SELECT array_agg(id) FROM (SELECT i.id, (row_number() OVER () - 1) / 2000 AS n FROM pg_temp.ampsf_mirror_ids i '
		'LEFT JOIN %1$s t ON t.%2$I = i.id AND %3$s WHERE t.%2$I IS NULL OR i.stamp IS DISTINCT FROM %4$s) m GROUP BY n',
		d.target, key, live, coalesce('t.' || quote_ident(d.cursor_column), 'NULL')) LOOP
		got := @extschema@.mirror_read(d, format('%I = ANY ($3)', key), NULL, NULL, part);
		inserted := inserted + got.inserted;
		updated := updated + got.updated;
	END LOOP;
	DROP TABLE pg_temp.ampsf_mirror_ids;
END $$;
COMMENT ON FUNCTION @extschema@.mirror_compare(@extschema@.mirror_definition, timestamptz) IS
	'compares all Ids of a mirror with the org''s; of mirrors';

-- Where the next chunk ends: a time up to which there are about chunk_rows rows, or infinity when that is all.
-- Nothing here looks at all rows of a large object, for which the org would need too long: the first row comes
-- by its index, the number of all is the org's own estimate, and what is counted is the chunk alone.  After a
-- failure chunks are smaller.
CREATE FUNCTION @extschema@.mirror_chunk(d @extschema@.mirror_definition, OUT high timestamptz)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	wanted bigint := greatest(d.chunk_rows >> least(d.failures, 20), least(d.chunk_rows, 1000));
	first timestamptz;
	width interval;
	shrunk boolean := false;
	n bigint;
BEGIN
	high := 'infinity';
	EXECUTE format('SELECT %1$I FROM %2$s s WHERE %3$s%4$s ORDER BY %1$I LIMIT 1', d.cursor_column, d.source,
		CASE WHEN d.read_to = '-infinity' THEN format('%I IS NOT NULL', d.cursor_column) ELSE format('%I >= $1', d.cursor_column) END,
		@extschema@.mirror_filter(d)) INTO first USING d.read_to;
	IF first IS NULL OR first >= d.run_started THEN
		RETURN;
	END IF;
	first := date_trunc('second', first);
	width := (d.run_started - first) * (wanted::float8 / greatest(d.rows_expected - d.rows, wanted));
	width := coalesce(width, d.run_started - first);
	LOOP
		width := greatest(date_trunc('second', width), interval '1 second');
		high := first + width;
		IF high >= d.run_started THEN
			high := 'infinity';
			EXECUTE format('SELECT count(*) FROM %2$s s WHERE %1$I >= $1%3$s', d.cursor_column, d.source, @extschema@.mirror_filter(d))
				INTO n USING first;
		ELSE
			EXECUTE format('SELECT count(*) FROM %2$s s WHERE %1$I >= $1 AND %1$I < $2%3$s', d.cursor_column, d.source,
				@extschema@.mirror_filter(d)) INTO n USING first, high;
		END IF;
		-- Rows of one second cannot be told apart by time: they are one chunk, however many.
		IF n > 2 * wanted AND width > interval '1 second' THEN
			width := least(width, d.run_started - first) * (wanted::float8 / n);
			shrunk := true;
		ELSIF n < wanted / 4 AND high <> 'infinity' AND NOT shrunk THEN
			width := width * 4;
		ELSE
			EXIT;
		END IF;
	END LOOP;
END $$;
COMMENT ON FUNCTION @extschema@.mirror_chunk(@extschema@.mirror_definition) IS 'the next chunk of a mirror''s run; of mirrors';

CREATE FUNCTION @extschema@.mirror_spent(OUT calls bigint, OUT rows bigint)
LANGUAGE sql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
	SELECT coalesce(sum(u.calls), 0), coalesce(sum(u.rows), 0) FROM @extschema@.usage() u WHERE u.scope = 'backend'
$$;
COMMENT ON FUNCTION @extschema@.mirror_spent() IS 'calls and rows of this session so far; of mirrors';

-- Columns that the foreign table has and the mirror has not, and those whose type would round what comes, or
-- refuse it.  Other differences of types are somebody's choice.
CREATE FUNCTION @extschema@.mirror_changes(
	d @extschema@.mirror_definition, OUT name name, OUT new boolean, OUT statement text)
RETURNS SETOF record
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
	SELECT m.name, a.attname IS NULL,
		CASE WHEN a.attname IS NULL
			THEN format('ALTER TABLE %s ADD COLUMN %I %s%s;', d.target, m.name, m.type, ' COLLATE ' || m.collation)
			ELSE format('ALTER TABLE %s ALTER COLUMN %I TYPE %s;', d.target, m.name, m.type) END
	FROM @extschema@.mirror_columns(d.source) m
		LEFT JOIN pg_attribute a ON a.attrelid = d.target AND a.attname = m.name AND NOT a.attisdropped
	WHERE a.attname IS NULL
		OR (a.atttypid, m.type) IN (('integer'::regtype, 'bigint'), ('integer'::regtype, 'numeric'), ('bigint'::regtype, 'numeric'),
			('date'::regtype, 'timestamp with time zone'))
		OR m.type = 'text' AND a.atttypid IN ('integer'::regtype, 'bigint'::regtype, 'numeric'::regtype, 'boolean'::regtype,
			'date'::regtype, 'time'::regtype, 'timestamptz'::regtype, 'varchar'::regtype)
		OR m.type = 'numeric' AND a.atttypid = 'numeric'::regtype AND a.atttypmod >= 0
	ORDER BY m.attnum
$$;
COMMENT ON FUNCTION @extschema@.mirror_changes(@extschema@.mirror_definition) IS 'columns of a mirror that are to follow; of mirrors';

CREATE FUNCTION @extschema@.mirror_drift(foreign_table regclass) RETURNS SETOF text
LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE ROWS 10 AS 'MODULE_PATHNAME', 'ampsf_sql_drift';
COMMENT ON FUNCTION @extschema@.mirror_drift(regclass) IS 'of drift()';

CREATE FUNCTION @extschema@.drift(relation regclass) RETURNS SETOF text
LANGUAGE plpgsql STRICT ROWS 10 SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	d @extschema@.mirror_definition;
BEGIN
	SELECT * INTO d FROM @extschema@.mirror_definition m WHERE m.target = relation;
	IF NOT FOUND THEN
		RETURN QUERY SELECT * FROM @extschema@.mirror_drift(relation);
	ELSE
		RETURN QUERY SELECT * FROM @extschema@.mirror_drift(d.source);
		RETURN QUERY SELECT c.statement FROM @extschema@.mirror_changes(d) c;
	END IF;
END $$;
COMMENT ON FUNCTION @extschema@.drift(regclass) IS
	'statements that make a foreign table what its object has become, by a fresh describe; and of a mirror, what its next run does to follow';

-- Columns that the foreign table has got since are added, and filled: only they are read.  One that it has no
-- longer stays as it is.
CREATE FUNCTION @extschema@.mirror_follow(d @extschema@.mirror_definition, OUT warning text)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	added name[] := '{}';
	key name := @extschema@.mirror_key(d);
	c record;
BEGIN
	FOR c IN SELECT m.name, f.statement, f.new, col_description(d.source, m.attnum) AS note
		FROM @extschema@.mirror_changes(d) f JOIN @extschema@.mirror_columns(d.source) m USING (name) LOOP
		EXECUTE c.statement;
		IF c.new AND c.note IS NOT NULL THEN
			EXECUTE format('COMMENT ON COLUMN %s.%I IS %L', d.target, c.name, c.note);
		END IF;
		added := added || c.name;
	END LOOP;
	IF cardinality(added) > 0 AND d.rows > 0 THEN
		-- The rows are put by first, or an UPDATE would keep all columns of them, to look again at rows that change meanwhile.
		EXECUTE format('WITH g AS MATERIALIZED (SELECT s.%3$I, %4$s FROM %5$s s WHERE num_nonnulls(%4$s) > 0%6$s) '
			'UPDATE %1$s t SET %2$s FROM g WHERE g.%3$I = t.%3$I',
			d.target, (SELECT string_agg(format('%I = g.%1$I', n), ', ') FROM unnest(added) n), key,
			(SELECT string_agg(format('s.%I', n), ', ') FROM unnest(added) n), d.source, @extschema@.mirror_filter(d));
	END IF;
	SELECT 'no longer read, with the values of then: ' || string_agg(quote_ident(a.attname), ', ' ORDER BY a.attnum) INTO warning
		FROM pg_attribute a WHERE a.attrelid = d.target AND a.attnum > 0 AND NOT a.attisdropped AND a.attname <> 'deleted_at'
			AND NOT EXISTS (SELECT FROM @extschema@.mirror_columns(d.source) m WHERE m.name = a.attname);
END $$;
COMMENT ON FUNCTION @extschema@.mirror_follow(@extschema@.mirror_definition) IS
	'makes a mirror''s columns those of its foreign table; of mirrors';

-- One step of a run, to be committed: begin it, or read a chunk, or see to deletions.  Rows and how far they
-- go are one transaction, so that whatever interrupts a run, the next step goes on where the last one ended.
CREATE FUNCTION @extschema@.mirror_step(target regclass) RETURNS boolean
LANGUAGE plpgsql STRICT SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	d @extschema@.mirror_definition := @extschema@.mirror_claim(target);
	before record;
	after record;
	high timestamptz := 'infinity';
	n_inserted bigint := 0;
	n_updated bigint := 0;
	n_deleted bigint := 0;
	n_chunks integer := 0;
	log record;
	by_ids boolean := false;
	condition text;
	since timestamptz;
	n bigint;
BEGIN
	SELECT * INTO before FROM @extschema@.mirror_spent();
	-- At each step: a run may wait for its foreign table to be mended.
	d.warning := @extschema@.mirror_follow(d);
	IF d.stage = 'idle' THEN
		d.run_started := @extschema@.server_time(d.source);
		d.read_to := coalesce(d.watermark - d.lookback, '-infinity');
		d.rows_expected := CASE WHEN d.watermark IS NULL THEN @extschema@.record_count(d.source) END;
		DELETE FROM @extschema@.mirror_run r WHERE r.target = d.target AND r.id <= (
			SELECT o.id FROM @extschema@.mirror_run o WHERE o.target = d.target ORDER BY o.id DESC OFFSET 999 LIMIT 1);
		INSERT INTO @extschema@.mirror_run (target, kind) VALUES (d.target, CASE WHEN d.watermark IS NULL THEN 'backfill'
			WHEN d.cursor_column IS NULL THEN 'full' ELSE 'incremental' END) RETURNING id INTO d.run;
		d.stage := 'rows';
	ELSIF d.stage = 'rows' THEN
		n_chunks := 1;
		-- A short while is read as a whole: counting first would be a call of every run.
		IF d.cursor_column IS NOT NULL AND (d.read_to < d.run_started - interval '1 hour' OR d.failures > 0) THEN
			high := @extschema@.mirror_chunk(d);
		END IF;
		condition := CASE
			WHEN d.cursor_column IS NULL OR (d.read_to = '-infinity' AND high = 'infinity') THEN NULL
			WHEN d.read_to = '-infinity' THEN format('(%1$I < $2 OR %1$I IS NULL)', d.cursor_column)
			WHEN high = 'infinity' THEN format('%I >= $1', d.cursor_column)
			ELSE format('%1$I >= $1 AND %1$I < $2', d.cursor_column) END;
		SELECT g.inserted, g.updated INTO n_inserted, n_updated
			FROM @extschema@.mirror_read(d, condition, d.read_to, high, NULL) g;
		d.read_to := high;
		IF high = 'infinity' THEN
			-- What changes from now on is for the next run, which begins where this one began, and looks back
			-- further still: rows may become visible late, with an older time.
			IF d.watermark IS NULL THEN
				d.compared_at := d.run_started;
				-- Whether all have come: where the org cannot count so many, a comparison tells.
				BEGIN
					EXECUTE format('SELECT count(*) FROM %s s WHERE true%s', d.source, @extschema@.mirror_filter(d)) INTO n;
				EXCEPTION WHEN query_canceled OR OTHERS THEN
					-- The org's time limit has the same code as a cancel, which is not to be swallowed.
					IF SQLERRM NOT LIKE 'could not %' THEN
						RAISE;
					END IF;
					n := NULL;
				END;
				d.compare_asked := n IS DISTINCT FROM d.rows + n_inserted;
			END IF;
			d.watermark := d.run_started;
			d.deleted_to := coalesce(d.deleted_to, d.run_started);
			d.stage := 'deletes';
		END IF;
	ELSE
		since := d.deleted_to - d.lookback;
		by_ids := d.cursor_column IS NULL OR d.compare_asked OR d.compared_at IS NULL
			OR d.compared_at <= d.run_started - d.compare_every
			OR since <= d.run_started - interval '15 days' + interval '5 minutes';
		IF NOT by_ids THEN
			SELECT * INTO log FROM @extschema@.deleted(d.source, least(since, d.run_started - interval '2 minutes'), d.run_started);
			-- No log, or one that begins later than what is known: only the comparison can tell.
			by_ids := log.ids IS NULL OR coalesce(log.earliest_available > since, false);
		END IF;
		IF by_ids THEN
			SELECT g.inserted, g.updated, g.deleted INTO n_inserted, n_updated, n_deleted
				FROM @extschema@.mirror_compare(d, d.run_started) g;
			d.compared_at := d.run_started;
			d.compare_asked := false;
			d.deleted_to := d.run_started;
		ELSE
			n_deleted := @extschema@.mirror_remove(d, log.ids, log.times);
			d.deleted_to := least(coalesce(log.latest_covered, d.run_started), d.run_started);
		END IF;
		d.stage := 'idle';
		d.next_run := clock_timestamp() + d.every;
	END IF;
	SELECT * INTO after FROM @extschema@.mirror_spent();
	UPDATE @extschema@.mirror_run r SET chunks = r.chunks + n_chunks, inserted = r.inserted + n_inserted,
			updated = r.updated + n_updated, deleted = r.deleted + n_deleted, compared = r.compared OR by_ids,
			calls = r.calls + after.calls - before.calls, rows_read = r.rows_read + after.rows - before.rows,
			state = CASE WHEN d.stage = 'idle' THEN 'done' ELSE 'running' END,
			finished = CASE WHEN d.stage = 'idle' THEN clock_timestamp() END
		WHERE r.id = d.run;
	UPDATE @extschema@.mirror_definition m SET stage = d.stage, run = d.run, run_started = d.run_started,
			read_to = d.read_to, watermark = d.watermark, deleted_to = d.deleted_to, compared_at = d.compared_at,
			compare_asked = d.compare_asked, warning = d.warning, next_run = d.next_run, rows_expected = d.rows_expected,
			rows = m.rows + n_inserted - CASE WHEN d.deletes = 'remove' THEN n_deleted ELSE 0 END,
			failures = 0, last_error = NULL
		WHERE m.target = d.target;
	RETURN d.stage = 'idle';
END $$;
COMMENT ON FUNCTION @extschema@.mirror_step(regclass) IS 'one step of a run; true when the run is done; of mirrors';

CREATE FUNCTION @extschema@.mirror_unlock(target regclass) RETURNS void
LANGUAGE sql STRICT SET search_path = pg_catalog, pg_temp AS $$
	SELECT pg_advisory_unlock(hashtext('@extschema@.mirror'), target::oid::integer)
$$;
COMMENT ON FUNCTION @extschema@.mirror_unlock(regclass) IS 'ends a run; of mirrors';

-- Each failure doubles the wait, up to an hour.
CREATE FUNCTION @extschema@.mirror_failed(target regclass, error text[]) RETURNS text[]
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	d @extschema@.mirror_definition := @extschema@.mirror_find(target);
BEGIN
	UPDATE @extschema@.mirror_run r SET state = 'failed', error = mirror_failed.error[1] WHERE r.id = d.run AND r.state <> 'done';
	UPDATE @extschema@.mirror_definition m SET failures = m.failures + 1, last_error = mirror_failed.error[1],
			next_run = clock_timestamp() + least(m.every * power(2, least(m.failures, 20)), greatest(m.every, interval '1 hour'))
		WHERE m.target = d.target;
	RETURN ARRAY[error[1], error[2], coalesce(nullif(error[3], ''), format('This was a run of mirror %s.', target)),
		coalesce(nullif(error[4], ''), 'The next run goes on where this one ended.')];
END $$;
COMMENT ON FUNCTION @extschema@.mirror_failed(regclass, text[]) IS 'a step that failed; of mirrors';

CREATE FUNCTION @extschema@.mirror_due() RETURNS regclass[]
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	DELETE FROM @extschema@.mirror_definition d WHERE NOT EXISTS (SELECT FROM pg_class c WHERE c.oid = d.target);
	RETURN coalesce((SELECT array_agg(d.target ORDER BY d.next_run) FROM @extschema@.mirror_definition d
		WHERE d.owner = quote_ident(current_user)::regrole AND NOT d.paused AND d.next_run <= clock_timestamp()), '{}');
END $$;
COMMENT ON FUNCTION @extschema@.mirror_due() IS 'the caller''s mirrors that are due; of mirrors';

CREATE FUNCTION @extschema@.mirror_paused(target regclass) RETURNS boolean
LANGUAGE sql STABLE STRICT SET search_path = pg_catalog, pg_temp AS $$
	SELECT coalesce((SELECT d.paused FROM @extschema@.mirror_definition d WHERE d.target = mirror_paused.target), true)
$$;
COMMENT ON FUNCTION @extschema@.mirror_paused(regclass) IS 'of mirrors';

-- Procedures that commit cannot set a search_path of their own: nothing below needs one.
CREATE PROCEDURE @extschema@.mirror_work(target regclass, scheduled boolean, INOUT busy boolean, INOUT error text[])
LANGUAGE plpgsql AS $$
DECLARE
	done boolean;
	again boolean;
	message text;
	code text;
	detail text;
	hint text;
BEGIN
	error := NULL;
	-- In a transaction of the caller's this fails, before anything is done.
	COMMIT;
	SELECT NOT l.taken, l.resumed INTO busy, again FROM @extschema@.mirror_lock(target) l;
	COMMIT;
	IF busy THEN
		RETURN;
	END IF;
	LOOP
		BEGIN
			done := @extschema@.mirror_step(target);
		EXCEPTION WHEN query_canceled OR OTHERS THEN
			GET STACKED DIAGNOSTICS message = MESSAGE_TEXT, code = RETURNED_SQLSTATE, detail = PG_EXCEPTION_DETAIL,
				hint = PG_EXCEPTION_HINT;
			error := @extschema@.mirror_failed(target, ARRAY[message, code, detail, hint]);
			done := true;
			again := false;
		END;
		COMMIT;
		-- The rest of an older run brings what was so then: who asks now wants what is so now.
		EXIT WHEN scheduled AND (done OR @extschema@.mirror_paused(target));
		EXIT WHEN done AND NOT again;
		again := again AND NOT done;
	END LOOP;
	PERFORM @extschema@.mirror_unlock(target);
END $$;
COMMENT ON PROCEDURE @extschema@.mirror_work(regclass, boolean, boolean, text[]) IS 'a run; of mirrors';

CREATE PROCEDURE @extschema@.sync(target regclass)
LANGUAGE plpgsql AS $$
DECLARE
	busy boolean;
	error text[];
BEGIN
	CALL @extschema@.mirror_work(target, false, busy, error);
	IF busy THEN
		RAISE EXCEPTION USING ERRCODE = 'object_in_use',
			MESSAGE = pg_catalog.format('mirror %s is being synchronized by another session', target);
	ELSIF error IS NOT NULL THEN
		RAISE EXCEPTION USING MESSAGE = error[1], ERRCODE = error[2], DETAIL = error[3], HINT = error[4];
	END IF;
END $$;
COMMENT ON PROCEDURE @extschema@.sync(regclass) IS
	'one run of a mirror, now; commits as it goes, and goes on where an interrupted run ended';

CREATE PROCEDURE @extschema@.sync_due()
LANGUAGE plpgsql AS $$
DECLARE
	target regclass;
	busy boolean;
	error text[];
BEGIN
	FOREACH target IN ARRAY @extschema@.mirror_due() LOOP
		CALL @extschema@.mirror_work(target, true, busy, error);
		IF error IS NOT NULL THEN
			RAISE WARNING USING MESSAGE = pg_catalog.format('mirror %s failed: %s', target, error[1]), ERRCODE = error[2];
		END IF;
	END LOOP;
END $$;
COMMENT ON PROCEDURE @extschema@.sync_due() IS
	'a run of each of the caller''s mirrors that is due; for pg_cron or any other scheduler, every minute or so';

-- Is a mirror right?  Both sides count by month of creation, which is one call; only in months that differ
-- the Ids are compared, or, to be thorough, in all: an old row among newer ones leaves no trace in counts.
CREATE FUNCTION @extschema@.verify(
	target regclass, repair boolean DEFAULT false, thorough boolean DEFAULT false, OUT id text, OUT problem text, OUT org_stamp timestamptz,
	OUT mirror_stamp timestamptz)
RETURNS SETOF record
LANGUAGE plpgsql STRICT SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	d @extschema@.mirror_definition := @extschema@.mirror_claim(target);
	key name := @extschema@.mirror_key(d);
	live text := CASE WHEN d.deletes = 'mark' THEN 't.deleted_at IS NULL' ELSE 'true' END;
	stamp text := coalesce('t.' || quote_ident(d.cursor_column), 'NULL::timestamptz');
	months timestamptz[] := '{-infinity}';
	month timestamptz;
	span text := 'true';
	wrong text[] := '{}';
	extra text[] := '{}';
	got record;
	n bigint := 0;
BEGIN
	IF NOT thorough AND d.cursor_column IS NOT NULL AND d.created_column IS NOT NULL THEN
		EXECUTE format(
			'SELECT coalesce(array_agg(coalesce(o.month, l.month) ORDER BY 1), ''{}'') FROM @extschema@.month_counts($1, $2) o '
			'FULL JOIN (SELECT date_trunc(''month'', t.%1$I, ''UTC'') AS month, count(*) AS rows, max(%2$s) AS newest, '
			'count(DISTINCT %2$s) AS stamps FROM %3$s t WHERE %4$s GROUP BY 1) l ON l.month = o.month '
			'WHERE (o.rows, o.newest, o.stamps) IS DISTINCT FROM (l.rows, l.newest, l.stamps)',
			d.created_column, stamp, d.target, live)
		INTO months USING d.source, (SELECT c.field FROM @extschema@.mirror_columns(d.source) c WHERE c.name = d.cursor_column);
		span := format('%%1$s.%I >= $1 AND %%1$s.%1$I < $2', d.created_column);
	END IF;
	FOREACH month IN ARRAY months LOOP
		EXECUTE format('CREATE TEMPORARY TABLE ampsf_mirror_ids ON COMMIT DROP AS '
			'SELECT t.%1$I AS id, %2$s AS stamp FROM %3$s t WHERE %4$s%5$s',
			key, stamp, d.source, format(span, 't'), @extschema@.mirror_filter(d))
			USING month, (month AT TIME ZONE 'UTC' + interval '1 month') AT TIME ZONE 'UTC';
		FOR verify.id, problem, org_stamp, mirror_stamp IN EXECUTE format(
			'SELECT coalesce(o.id, l.id), CASE WHEN l.id IS NULL THEN ''missing'' WHEN o.id IS NULL THEN ''extra'' ELSE ''old'' END, '
			'o.stamp, l.stamp FROM pg_temp.ampsf_mirror_ids o FULL JOIN '
			'(SELECT t.%1$I AS id, %2$s AS stamp FROM %3$s t WHERE %4$s AND %5$s) l ON l.id = o.id '
			'WHERE (l.id IS NULL OR o.id IS NULL OR o.stamp IS DISTINCT FROM l.stamp) AND (o.stamp IS NULL OR o.stamp < $3) ORDER BY 1',
			key, stamp, d.target, live, format(span, 't'))
			USING month, (month AT TIME ZONE 'UTC' + interval '1 month') AT TIME ZONE 'UTC', coalesce(d.watermark, 'infinity') LOOP
			IF problem = 'extra' THEN
				extra := extra || verify.id;
			ELSE
				wrong := wrong || verify.id;
			END IF;
			RETURN NEXT;
		END LOOP;
		DROP TABLE pg_temp.ampsf_mirror_ids;
	END LOOP;
	IF repair AND cardinality(extra) + cardinality(wrong) > 0 THEN
		IF cardinality(extra) > 0 THEN
			n := - @extschema@.mirror_remove(d, extra, array_fill(clock_timestamp(), ARRAY[cardinality(extra)]));
			n := CASE WHEN d.deletes = 'remove' THEN n ELSE 0 END;
		END IF;
		FOR i IN 1 .. cardinality(wrong) BY 2000 LOOP
			SELECT * INTO got FROM @extschema@.mirror_read(d, format('%I = ANY ($3)', key), NULL, NULL, wrong[i : i + 1999]);
			n := n + got.inserted;
		END LOOP;
		UPDATE @extschema@.mirror_definition m SET rows = m.rows + n WHERE m.target = d.target;
	END IF;
END $$;
COMMENT ON FUNCTION @extschema@.verify(regclass, boolean, boolean) IS
	'rows in which a mirror differs from the org as of its last run: missing, extra, old; repair: reads those again; '
	'thorough: looks at each row''s Id and time, not at counts only';
