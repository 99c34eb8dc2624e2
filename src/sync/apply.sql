-- Change events applied to mirrors.

CREATE FUNCTION @extschema@.populate(base anyelement, foreign_table regclass, record jsonb) RETURNS anyelement
LANGUAGE C STABLE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'ampsf_sql_populate';
COMMENT ON FUNCTION @extschema@.populate(anyelement, regclass, jsonb) IS
	'a row with the columns replaced for whose fields a record (as REST gives it) has keys: converted as the foreign table does; columns go by the names of the foreign table''s';
