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
