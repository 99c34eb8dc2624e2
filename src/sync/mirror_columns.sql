CREATE FUNCTION @extschema@.mirror_drift(
	foreign_table regclass, fresh boolean DEFAULT true, OUT field text, OUT name text, OUT change text, OUT type text, OUT statement text, OUT length integer) RETURNS SETOF record
LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE ROWS 100 AS 'MODULE_PATHNAME', 'ampsf_sql_drift';
COMMENT ON FUNCTION @extschema@.mirror_drift(regclass, boolean) IS
	'fields of an object and columns of its foreign table, by a fresh describe; change: new, gone, wider, text (a number or time has become one), same; of mirrors';

-- May the caller change the foreign table of a mirror?
CREATE FUNCTION @extschema@.mirror_owns(source regclass) RETURNS boolean
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
	SELECT pg_has_role(c.relowner, 'USAGE') FROM pg_class c WHERE c.oid = source
$$;
COMMENT ON FUNCTION @extschema@.mirror_owns(regclass) IS 'of mirrors';

CREATE FUNCTION @extschema@.drift(relation regclass) RETURNS SETOF text
LANGUAGE plpgsql STRICT ROWS 10 SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	d @extschema@.mirror_definition;
	c record;
	dash text;
BEGIN
	SELECT * INTO d FROM @extschema@.mirror_definition m WHERE m.target = relation;
	IF NOT FOUND THEN
		RETURN QUERY SELECT m.statement FROM @extschema@.mirror_drift(relation) m WHERE m.change IN ('new', 'gone', 'wider');
		RETURN;
	END IF;
	PERFORM @extschema@.mirror_check(d);
	-- Nobody lets the mirror do it: a comment.
	dash := CASE WHEN d.drift = 'follow' AND @extschema@.mirror_owns(d.source) THEN '' ELSE '-- ' END;
	FOR c IN SELECT * FROM @extschema@.mirror_drift(d.source) LOOP
		IF c.change = 'gone' AND d.drift = 'follow' THEN
			RETURN NEXT format('-- column %I of %s is no longer read, and keeps its values: the org shows no field %s', c.name, d.target, c.field);
		ELSIF c.change = 'gone' THEN
			RETURN NEXT dash || c.statement;
		ELSIF c.change = 'new' AND lower(c.field) <> ALL (d.known_fields) THEN
			RETURN NEXT dash || c.statement;
			RETURN NEXT dash || format('ALTER TABLE %s ADD COLUMN %I %s;', d.target, c.name, c.type);
		ELSIF c.change = 'wider' THEN
			RETURN NEXT dash || c.statement;
			RETURN NEXT dash || format('ALTER TABLE %s ALTER COLUMN %I TYPE %s;', d.target, c.name, c.type);
		ELSIF c.change = 'same' AND c.name = ANY (d.left_out) THEN
			RETURN NEXT format('-- column %I of %s is read again: the org shows field %s', c.name, d.target, c.field);
		END IF;
	END LOOP;
	RETURN QUERY SELECT m.statement FROM @extschema@.mirror_changes(d) m;
END $$;
COMMENT ON FUNCTION @extschema@.drift(regclass) IS
	'of a foreign table, by a fresh describe: statements that make it what its object has become; of a mirror: what it will do, or would, to follow';

-- One statement of DDL that may not succeed: somebody's view may stand in its way, or somebody's long query, behind
-- which it would keep all others waiting.  Says why.
CREATE FUNCTION @extschema@.mirror_try(statement text) RETURNS text
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET lock_timeout = '2s' AS $$
BEGIN
	EXECUTE statement;
	RETURN NULL;
EXCEPTION WHEN OTHERS THEN
	RETURN SQLERRM;
END $$;
COMMENT ON FUNCTION @extschema@.mirror_try(text) IS 'of mirrors';

CREATE FUNCTION @extschema@.mirror_warning(kept name[], others text[]) RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
	SELECT nullif(concat_ws('; ', 'no longer read, with the values of then: '
			|| (SELECT string_agg(quote_ident(n), ', ' ORDER BY k) FROM unnest(kept) WITH ORDINALITY u (n, k)),
		(SELECT string_agg(o, '; ' ORDER BY k) FROM unnest(others) WITH ORDINALITY u (o, k) WHERE o <> '')), '')
$$;
COMMENT ON FUNCTION @extschema@.mirror_warning(name[], text[]) IS 'of mirrors';

-- Where the column of a row's time is gone there is another one, or none.  True: it was so.
CREATE FUNCTION @extschema@.mirror_retime(target regclass) RETURNS boolean
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	UPDATE @extschema@.mirror_definition m SET cursor_column = t.cursor_column, created_column = t.created_column,
			compare_asked = m.compare_asked OR t.cursor_column IS DISTINCT FROM m.cursor_column
		FROM (SELECT d.target, s.* FROM @extschema@.mirror_definition d, @extschema@.mirror_times(d.source,
				d.left_out || ARRAY(SELECT c.name FROM @extschema@.mirror_columns(d.source) c WHERE NOT EXISTS (SELECT FROM pg_attribute a
					WHERE a.attrelid = d.target AND a.attname = c.name AND NOT a.attisdropped AND a.attgenerated = ''))) s) t
		WHERE m.target = mirror_retime.target AND t.target = m.target
			AND (t.cursor_column, t.created_column) IS DISTINCT FROM (m.cursor_column, m.created_column);
	RETURN FOUND;
END $$;
COMMENT ON FUNCTION @extschema@.mirror_retime(regclass) IS 'of mirrors';

-- Looks at what the object has become: one describe.  A field that is new to the mirror becomes a column of the
-- foreign table, a type that has become wider follows; a column whose field the org no longer shows is left out
-- by this mirror, and stays where it is.  All of it is undone by itself when the field is there again.
CREATE FUNCTION @extschema@.mirror_look(target regclass, failed boolean) RETURNS boolean
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	d @extschema@.mirror_definition := @extschema@.mirror_find(target);
	follow boolean := d.drift = 'follow';
	alter_it boolean := follow AND @extschema@.mirror_owns(d.source);
	known text[] := coalesce(d.known_fields, '{}');
	lost name[] := '{}';
	new text[] := '{}';
	gone text[] := '{}';
	wider text[] := '{}';
	told text;
	changed boolean := false;
	c record;
BEGIN
	FOR c IN SELECT * FROM @extschema@.mirror_drift(d.source) LOOP
		IF c.change = 'gone' THEN
			lost := lost || c.name::name;
			gone := gone || quote_ident(c.name);
		ELSIF c.change = 'new' AND d.known_fields IS NOT NULL AND lower(c.field) <> ALL (known) THEN
			IF alter_it AND @extschema@.mirror_try(c.statement) IS NULL THEN
				changed := true;
				known := known || lower(c.field);
			ELSE
				new := new || c.field;
			END IF;
		ELSIF c.change = 'wider' OR c.change = 'text' AND failed THEN
			IF alter_it AND @extschema@.mirror_try(c.statement) IS NULL THEN
				changed := true;
			ELSE
				wider := wider || format('%I (%s)', c.name, c.type);
			END IF;
		ELSIF lower(c.field) <> ALL (known) THEN
			known := known || lower(c.field);
		END IF;
		-- A table that was there before the mirror may have varchar(n).
		IF failed AND EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = d.target AND a.attname = c.name AND NOT a.attisdropped
				AND a.atttypid = 'varchar'::regtype AND a.atttypmod >= 4 AND a.atttypmod - 4 < coalesce(c.length, 1000000)) THEN
			IF follow AND @extschema@.mirror_try(format('ALTER TABLE %s ALTER COLUMN %I TYPE text', d.target, c.name)) IS NULL THEN
				changed := true;
			ELSE
				wider := wider || format('%I (text)', c.name);
			END IF;
		END IF;
	END LOOP;
	IF NOT follow THEN
		lost := d.left_out;
	END IF;
	changed := changed OR NOT (lost @> d.left_out AND lost <@ d.left_out);
	told := concat_ws('; ', 'new fields: ' || nullif(array_to_string(new, ', '), ''),
		'wider types: ' || nullif(array_to_string(wider, ', '), ''),
		CASE WHEN NOT follow THEN 'fields are gone: ' || nullif(array_to_string(gone, ', '), '') END);
	UPDATE @extschema@.mirror_definition m SET known_fields = known, left_out = lost,
			drift_warning = nullif(told, ''), warning = @extschema@.mirror_warning(
				d.columns_kept || ARRAY(SELECT n FROM unnest(lost) n WHERE n = ANY (d.columns)), ARRAY[told, d.key_warning, d.follow_warning])
		WHERE m.target = d.target;
	RETURN @extschema@.mirror_retime(target) OR changed;
END $$;
COMMENT ON FUNCTION @extschema@.mirror_look(regclass, boolean) IS
	'a fresh describe of a mirror''s object, and what follows from it; true if something has changed; of mirrors';

-- Columns that the foreign table has got since are added, and are to be filled.  One that it has no longer, or whose
-- field is gone, stays as it is, and is filled when it comes back.
CREATE FUNCTION @extschema@.mirror_follow(d @extschema@.mirror_definition, OUT warning text)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	fresh name[] := '{}';
	fill name[];
	now_read name[];
	kept name[];
	refused text[] := '{}';
	problem text;
	view_problem text;
	history_problem text;
	c record;
	place text;
	grants text;
BEGIN
	IF EXISTS (SELECT FROM @extschema@.mirror_changes(d) f WHERE NOT f.new) THEN
		SELECT l.place, l.grants INTO place, grants FROM @extschema@.live_view_suspend(d, false) l;
	END IF;
	FOR c IN SELECT m.name, m.type, f.statement, f.new, col_description(d.source, m.attnum) AS note
		FROM @extschema@.mirror_changes(d) f JOIN @extschema@.mirror_columns(d.source) m USING (name) LOOP
		problem := coalesce(CASE WHEN NOT c.new THEN @extschema@.history_widen(d, c.name, c.type) END, @extschema@.mirror_try(c.statement));
		IF problem IS NOT NULL THEN
			refused := refused || format('%s: %s', rtrim(c.statement, ';'), problem);
			CONTINUE;
		END IF;
		IF c.new AND c.note IS NOT NULL THEN
			EXECUTE format('COMMENT ON COLUMN %s.%I IS %L', d.target, c.name, c.note);
		END IF;
		fresh := fresh || c.name;
	END LOOP;
	-- A time that the table has not cannot be compared: it comes first.
	PERFORM @extschema@.mirror_retime(d.target);
	view_problem := @extschema@.live_view_follow(@extschema@.mirror_find(d.target), place, grants);
	history_problem := @extschema@.history_follow(d);
	now_read := (SELECT array_agg(s.name) FROM @extschema@.mirror_shared(d) s);
	-- To be filled: what is read and is not right in all rows.  A backfill that has not begun fills all columns.
	fill := ARRAY(SELECT n FROM unnest(now_read) n WHERE n <> @extschema@.mirror_key(d)
		AND (n = ANY (fresh || d.fill_columns) OR n <> ALL (d.columns)));
	IF d.watermark IS NULL AND d.stage = 'idle' THEN
		fill := '{}';
	END IF;
	kept := ARRAY(SELECT a.attname FROM pg_attribute a WHERE a.attrelid = d.target AND a.attnum > 0 AND NOT a.attisdropped
		AND a.attname = ANY (d.columns || d.columns_kept || d.fill_columns) AND a.attname <> ALL (now_read) ORDER BY a.attnum);
	now_read := ARRAY(SELECT n FROM unnest(now_read) n WHERE n <> ALL (fill));
	IF NOT (now_read @> d.columns AND now_read <@ d.columns) OR kept <> d.columns_kept OR fill <> d.fill_columns THEN
		-- What was told of the foreign table was told of it as it was: the next look tells again.
		d.drift_warning := CASE WHEN d.drift = 'follow' THEN d.drift_warning END;
		UPDATE @extschema@.mirror_definition m SET columns = now_read, columns_kept = kept, drift_warning = d.drift_warning,
				fill_columns = fill, fill_spans = CASE WHEN fill <@ d.fill_columns AND NOT fill && fresh THEN m.fill_spans END
			WHERE m.target = d.target;
	END IF;
	d.follow_warning := nullif(concat_ws('; ', VARIADIC refused || view_problem || history_problem), '');
	UPDATE @extschema@.mirror_definition m SET follow_warning = d.follow_warning
		WHERE m.target = d.target AND m.follow_warning IS DISTINCT FROM d.follow_warning;
	warning := @extschema@.mirror_warning(kept, ARRAY[d.drift_warning, d.key_warning, d.follow_warning]);
END $$;
COMMENT ON FUNCTION @extschema@.mirror_follow(@extschema@.mirror_definition) IS
	'makes a mirror''s columns those of its foreign table; of mirrors';
