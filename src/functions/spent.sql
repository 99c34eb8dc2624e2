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
