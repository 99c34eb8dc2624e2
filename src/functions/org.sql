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
