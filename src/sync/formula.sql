-- Formula and roll-up fields, and fields of parents, change without the row's time changing: no window shows
-- it.  On a schedule of their own all rows' Ids and those fields are read again, and nothing else.

-- The columns that are read so: what the foreign table says of its fields, and what the owner has named.
CREATE FUNCTION @extschema@.mirror_formulas(d @extschema@.mirror_definition) RETURNS name[]
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
	SELECT coalesce(array_agg(c.name ORDER BY c.attnum), '{}') FROM @extschema@.mirror_shared(d) c
	WHERE lower(c.field) <> 'id' AND c.name IS DISTINCT FROM d.cursor_column
		AND (c.calculated OR strpos(c.field, '.') > 0 OR c.name = ANY (d.formula_columns))
$$;
COMMENT ON FUNCTION @extschema@.mirror_formulas(@extschema@.mirror_definition) IS
	'columns of a mirror whose fields change without a time; of mirrors';

CREATE FUNCTION @extschema@.mirror_formulas_due(d @extschema@.mirror_definition) RETURNS boolean
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
	SELECT coalesce(d.formulas_at <= d.run_started - d.formula_every, d.formula_every IS NOT NULL)
		AND cardinality(@extschema@.mirror_formulas(d)) > 0
$$;
COMMENT ON FUNCTION @extschema@.mirror_formulas_due(@extschema@.mirror_definition) IS 'of mirrors';

-- How long after a run the next one is: formula fields may want it sooner.
CREATE FUNCTION @extschema@.mirror_interval(d @extschema@.mirror_definition) RETURNS interval
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
	SELECT CASE WHEN d.formula_every < d.every AND cardinality(@extschema@.mirror_formulas(d)) > 0
		THEN least(d.every, greatest(d.formulas_at + d.formula_every - d.run_started, interval '1 second')) ELSE d.every END
$$;
COMMENT ON FUNCTION @extschema@.mirror_interval(@extschema@.mirror_definition) IS 'of mirrors';

-- Rows of a chunk are looked up one by one: a join that reads the whole mirror would do so for every chunk.
CREATE FUNCTION @extschema@.mirror_by_lookups(statement text, low timestamptz, high timestamptz) RETURNS bigint
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET enable_hashjoin = off SET enable_mergejoin = off AS $$
DECLARE
	n bigint;
BEGIN
	EXECUTE statement USING low, high;
	GET DIAGNOSTICS n = ROW_COUNT;
	RETURN n;
END $$;
COMMENT ON FUNCTION @extschema@.mirror_by_lookups(text, timestamptz, timestamptz) IS 'of mirrors';

-- A chunk of it, or of any columns that are to be read again.  Chunks are spans of time of creation, which no
-- change of a row moves; the mirror itself knows where they end.  spans: the beginning of the chunk, and the ends of
-- it and of those behind it; null: not begun.  changed: since when values are so, for the history.
CREATE FUNCTION @extschema@.mirror_read_columns(
	d @extschema@.mirror_definition, formulas name[], changed timestamptz, INOUT spans timestamptz[], OUT updated bigint)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	key name := @extschema@.mirror_key(d);
	wanted bigint := @extschema@.mirror_wanted(d, greatest(d.failures, d.shrink));
	was boolean;
	time_was timestamptz;
	statement text;
BEGIN
	updated := 0;
	IF cardinality(formulas) = 0 THEN
		spans := '{}';
		RETURN;
	END IF;
	-- After a failure what is left is divided again, into smaller chunks.
	IF spans IS NULL OR d.failures > 0 THEN
		spans := ARRAY[coalesce(spans[1], '-infinity')];
		IF d.created_column IS NOT NULL THEN
			EXECUTE format('SELECT $1 || array_agg(DISTINCT date_trunc(''second'', c.made)) FILTER (WHERE c.n %% $2 = 0 AND c.n < c.total - $2 / 4 AND date_trunc(''second'', c.made) > $1[1]) '
				'FROM (SELECT t.%I AS made, row_number() OVER (ORDER BY t.%1$I) AS n, count(*) OVER () AS total FROM %s t WHERE t.%1$I >= $1[1]) c',
				d.created_column, d.target) INTO spans USING spans, wanted;
		END IF;
		spans := spans || 'infinity'::timestamptz;
	END IF;
	was := @extschema@.mirror_applying(true);
	time_was := @extschema@.mirror_change_time(changed);
	statement := format('WITH g AS MATERIALIZED (SELECT s.%3$I, %4$s FROM %5$s s WHERE %6$s%7$s) '
		'UPDATE %1$s t SET %2$s FROM g WHERE g.%3$I = t.%3$I AND ROW(%8$s) IS DISTINCT FROM ROW(%9$s)',
		d.target, (SELECT string_agg(format('%I = g.%1$I', f), ', ') FROM unnest(formulas) f), key,
		(SELECT string_agg(format('s.%I', f), ', ') FROM unnest(formulas) f), d.source,
		concat_ws(' AND ', CASE WHEN spans[1] > '-infinity' THEN format('s.%I >= $1', d.created_column) END,
			CASE WHEN spans[2] < 'infinity' THEN format('s.%I < $2', d.created_column) END,
			CASE WHEN spans[1] = '-infinity' AND spans[2] = 'infinity' THEN 'true' END),
		@extschema@.mirror_filter(d),
		(SELECT string_agg(format('t.%I', f) || @extschema@.mirror_compared(d, f), ', ') FROM unnest(formulas) f),
		(SELECT string_agg(format('g.%I', f) || @extschema@.mirror_compared(d, f), ', ') FROM unnest(formulas) f));
	IF @extschema@.mirror_by_index(d.target, key) THEN
		updated := @extschema@.mirror_by_lookups(statement, spans[1], spans[2]);
	ELSE
		EXECUTE statement USING spans[1], spans[2];
		GET DIAGNOSTICS updated = ROW_COUNT;
	END IF;
	PERFORM @extschema@.mirror_change_time(time_was);
	PERFORM @extschema@.mirror_applying(was);
	spans := spans[2:];
	IF cardinality(spans) < 2 THEN
		spans := '{}';
	END IF;
END $$;
COMMENT ON FUNCTION @extschema@.mirror_read_columns(@extschema@.mirror_definition, name[], timestamptz, timestamptz[]) IS
	'reads a chunk of Ids and some columns; of mirrors';

-- Types that know no equality are compared as text.
CREATE FUNCTION @extschema@.mirror_compared(d @extschema@.mirror_definition, name name) RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
	SELECT CASE WHEN a.atttypid IN ('json'::regtype, 'xml'::regtype, 'point'::regtype) THEN '::text' ELSE '' END
	FROM pg_attribute a WHERE a.attrelid = d.target AND a.attname = mirror_compared.name AND NOT a.attisdropped
$$;
COMMENT ON FUNCTION @extschema@.mirror_compared(@extschema@.mirror_definition, name) IS 'of mirrors';
