-- What is kept from the user that the app runs as: objects, fields, and columns that stand for them.

CREATE FUNCTION @extschema@.check_access(
	server name, object_name text, OUT object text, OUT field text, OUT column_name name, OUT label text, OUT type text,
	OUT access text, OUT found_by text, OUT hint text)
RETURNS SETOF record
LANGUAGE C VOLATILE PARALLEL UNSAFE ROWS 20 AS 'MODULE_PATHNAME', 'ampsf_sql_check_access';
COMMENT ON FUNCTION @extschema@.check_access(name, text) IS
	'fields of an object that are hidden from this user or cannot be written (object_name NULL: such objects); found_by says what was asked, access unknown that the org does not tell';
REVOKE EXECUTE ON FUNCTION @extschema@.check_access(name, text) FROM PUBLIC;

CREATE FUNCTION @extschema@.access_of_table(
	foreign_table regclass, OUT object text, OUT field text, OUT label text, OUT type text, OUT access text,
	OUT found_by text, OUT hint text)
RETURNS SETOF record
LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE ROWS 60 AS 'MODULE_PATHNAME', 'ampsf_sql_access_of_table';
COMMENT ON FUNCTION @extschema@.access_of_table(regclass) IS 'of checks of access';

-- What mirrors of the foreign table do about a column that can no longer be read.
CREATE FUNCTION @extschema@.access_hint(source regclass, col name) RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
	SELECT format('Column %I of %s asks for it all the same: queries that name it fail.', col, source)
		|| coalesce((SELECT string_agg(format(' Its mirror %s %s.', d.target, CASE WHEN col = ANY (d.left_out)
				THEN 'no longer reads it, and keeps the values of then' ELSE 'keeps the values that it has' END), '' ORDER BY d.target::text)
			FROM @extschema@.mirror_definition d WHERE d.source = access_hint.source), '')
$$;
COMMENT ON FUNCTION @extschema@.access_hint(regclass, name) IS 'of checks of access';

CREATE FUNCTION @extschema@.check_access(
	foreign_table regclass, OUT object text, OUT field text, OUT column_name name, OUT label text, OUT type text, OUT access text,
	OUT found_by text, OUT hint text)
RETURNS SETOF record
LANGUAGE plpgsql STRICT ROWS 20 SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	source regclass := coalesce((SELECT d.source FROM @extschema@.mirror_definition d WHERE d.target = foreign_table), foreign_table);
	columns jsonb := '{}'; -- by field, in lower case
	known jsonb;
	sure boolean;
	c record;
	a record;
BEGIN
	known := (SELECT coalesce(jsonb_agg(to_jsonb(f)), '[]') FROM @extschema@.access_of_table(source) f);
	sure := known->0->>'access' <> 'unknown';
	IF known->0->>'access' NOT IN ('hidden', 'gone') AND jsonb_array_length(known) > 1 THEN
		SELECT jsonb_object_agg(lower(m.field), to_jsonb(m)) INTO columns
			FROM @extschema@.mirror_drift(source, false) m;
	END IF;
	FOR a IN SELECT * FROM jsonb_to_recordset(known) AS f (object text, field text, label text, type text, access text, found_by text, hint text) LOOP
		object := a.object; field := a.field; label := a.label; type := a.type; access := a.access;
		found_by := a.found_by; hint := a.hint;
		column_name := CASE WHEN columns->lower(a.field)->>'change' <> 'new' THEN columns->lower(a.field)->>'name' END;
		IF a.access = 'hidden' AND column_name IS NOT NULL THEN
			hint := @extschema@.access_hint(source, column_name) || ' ' || hint;
		ELSIF a.access <> 'hidden' AND a.field IS NOT NULL AND column_name IS NULL THEN
			hint := concat_ws(' ', columns->lower(a.field)->>'statement', '-- ' || CASE WHEN a.access <> 'ok' THEN a.access END);
			access := 'not imported';
		END IF;
		columns := columns - coalesce(lower(a.field), '');
		CONTINUE WHEN access = 'ok' AND a.field IS NOT NULL;
		RETURN NEXT;
	END LOOP;
	-- Columns for whose fields nobody knows: the org's answer was about all of the object's own.
	FOR c IN SELECT k.field, k.name, k.statement FROM jsonb_each(columns) e, jsonb_to_record(e.value) AS k (field text, name name, change text, statement text)
			WHERE k.change = 'gone' ORDER BY k.name LOOP
		object := known->0->>'object'; field := c.field; column_name := c.name; label := NULL; type := NULL;
		access := CASE WHEN sure AND strpos(c.field, '.') = 0 THEN 'gone' ELSE 'unknown' END;
		found_by := CASE WHEN access = 'gone' THEN known->0->>'found_by' END;
		hint := CASE WHEN access = 'gone' THEN c.statement
			WHEN strpos(c.field, '.') > 0 THEN 'The field of a parent is gone, or hidden from this user: ask for the parent''s object.'
			ELSE 'The field is gone, or hidden from this user.' END;
		hint := @extschema@.access_hint(source, c.name) || ' ' || hint;
		RETURN NEXT;
	END LOOP;
END $$;
COMMENT ON FUNCTION @extschema@.check_access(regclass) IS
	'of a foreign table or a mirror: fields of its object that are hidden from this user, cannot be written, are not imported or gone; found_by says what was asked, and access unknown that the org does not tell';

-- A name alone is a server's, or else that of a foreign table in the caller's search_path.
CREATE FUNCTION @extschema@.check_access(
	server name, OUT object text, OUT field text, OUT column_name name, OUT label text, OUT type text, OUT access text,
	OUT found_by text, OUT hint text)
RETURNS SETOF record
LANGUAGE plpgsql ROWS 20 AS $$
DECLARE
	relation pg_catalog.regclass;
BEGIN
	IF NOT EXISTS (SELECT FROM pg_catalog.pg_foreign_server s WHERE s.srvname OPERATOR(pg_catalog.=) server) THEN
		BEGIN
			relation := pg_catalog.to_regclass(server::pg_catalog.text);
		EXCEPTION WHEN invalid_name THEN
			-- a server's name may be anything, this one is none
		END;
	END IF;
	IF relation IS NULL THEN
		RETURN QUERY SELECT * FROM @extschema@.check_access(server, NULL);
	ELSE
		RETURN QUERY SELECT * FROM @extschema@.check_access(relation);
	END IF;
END $$;
COMMENT ON FUNCTION @extschema@.check_access(name) IS
	'objects that are hidden from this user or cannot be written; the name of a foreign table or mirror does as well';
