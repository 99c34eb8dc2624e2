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
