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
	was boolean;
	place text;
	grants text;
BEGIN
	IF EXISTS (SELECT FROM @extschema@.mirror_changes(d) f WHERE NOT f.new) THEN
		SELECT l.place, l.grants INTO place, grants FROM @extschema@.live_view_suspend(d) l;
	END IF;
	FOR c IN SELECT m.name, f.statement, f.new, col_description(d.source, m.attnum) AS note
		FROM @extschema@.mirror_changes(d) f JOIN @extschema@.mirror_columns(d.source) m USING (name) LOOP
		EXECUTE c.statement;
		IF c.new AND c.note IS NOT NULL THEN
			EXECUTE format('COMMENT ON COLUMN %s.%I IS %L', d.target, c.name, c.note);
		END IF;
		added := added || c.name;
	END LOOP;
	PERFORM @extschema@.live_view_follow(d, place, grants);
	IF cardinality(added) > 0 AND d.rows > 0 THEN
		was := @extschema@.mirror_applying(true);
		-- The rows are put by first, or an UPDATE would keep all columns of them, to look again at rows that change meanwhile.
		EXECUTE format('WITH g AS MATERIALIZED (SELECT s.%3$I, %4$s FROM %5$s s WHERE num_nonnulls(%4$s) > 0%6$s) '
			'UPDATE %1$s t SET %2$s FROM g WHERE g.%3$I = t.%3$I',
			d.target, (SELECT string_agg(format('%I = g.%1$I', n), ', ') FROM unnest(added) n), key,
			(SELECT string_agg(format('s.%I', n), ', ') FROM unnest(added) n), d.source, @extschema@.mirror_filter(d));
		PERFORM @extschema@.mirror_applying(was);
	END IF;
	SELECT 'no longer read, with the values of then: ' || string_agg(quote_ident(a.attname), ', ' ORDER BY a.attnum) INTO warning
		FROM pg_attribute a WHERE a.attrelid = d.target AND a.attnum > 0 AND NOT a.attisdropped AND a.attname <> 'deleted_at'
			AND NOT EXISTS (SELECT FROM @extschema@.mirror_columns(d.source) m WHERE m.name = a.attname);
END $$;
COMMENT ON FUNCTION @extschema@.mirror_follow(@extschema@.mirror_definition) IS
	'makes a mirror''s columns those of its foreign table; of mirrors';
