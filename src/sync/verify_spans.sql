-- Where a mirror and the org differ, by counting: spans of time of creation, small enough to compare the Ids of.
CREATE FUNCTION @extschema@.verify_spans(d @extschema@.mirror_definition, OUT low timestamptz, OUT high timestamptz)
RETURNS SETOF record
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	-- Reading so many Ids is about as cheap as counting once more.
	enough CONSTANT bigint := 4000;
	stamp text := 't.' || quote_ident(d.cursor_column);
	field text := (SELECT c.field FROM @extschema@.mirror_columns(d.source) c WHERE c.name = d.cursor_column);
	units text[] := '{all}';
	lows timestamptz[] := '{-infinity}';
	highs timestamptz[] := '{infinity}';
	sizes bigint[] := ARRAY[NULL::bigint];
	unit text;
	next text;
	width interval;
	rows bigint;
	found record;
BEGIN
	WHILE cardinality(units) > 0 LOOP
		unit := units[1];
		low := lows[1];
		high := highs[1];
		rows := sizes[1];
		units := units[2:];
		lows := lows[2:];
		highs := highs[2:];
		sizes := sizes[2:];
		IF unit <> 'all' AND (rows <= enough OR high - low <= interval '1 second') THEN
			RETURN NEXT;
			CONTINUE;
		END IF;
		next := CASE unit WHEN 'all' THEN 'month' WHEN 'month' THEN 'day' WHEN 'day' THEN 'hour' ELSE 'part' END;
		-- as long as span_counts() makes them
		width := greatest(ceil(extract(epoch FROM CASE WHEN next = 'part' THEN high - low END) / 5), 1) * interval '1 second';
		EXECUTE format(
			'SELECT coalesce(array_agg(x.low ORDER BY x.low), ''{}'') AS lows, array_agg(x.high ORDER BY x.low) AS highs, '
			'array_agg(x.rows ORDER BY x.low) AS sizes, sum(x.rows) AS rows '
			'FROM (SELECT coalesce(o.low, l.low) AS low, coalesce(o.high, %1$s) AS high, greatest(o.rows, l.rows) AS rows '
				'FROM @extschema@.span_counts($1, $2, $3, $4, $5) o FULL JOIN (SELECT %2$s AS low, count(*) AS rows, max(%3$s) AS newest, '
				'count(DISTINCT %3$s) AS stamps FROM %4$s t WHERE %5$s AND t.%6$I >= $4 AND t.%6$I < $5 GROUP BY 1) l ON l.low = o.low '
				'WHERE (coalesce(o.rows, 0), o.newest, coalesce(o.stamps, 0)) IS DISTINCT FROM (coalesce(l.rows, 0), l.newest, coalesce(l.stamps, 0))) x',
			CASE WHEN next = 'part' THEN 'l.low + $6'
				ELSE format('(l.low AT TIME ZONE ''UTC'' + interval ''1 %s'') AT TIME ZONE ''UTC''', next) END,
			CASE WHEN next = 'part' THEN format('$4 + floor(extract(epoch FROM t.%I - $4) / extract(epoch FROM $6)) * $6', d.created_column)
				ELSE format('date_trunc(%L, t.%I, ''UTC'')', next, d.created_column) END,
			stamp, d.target, CASE WHEN d.deletes = 'mark' THEN 't.deleted_at IS NULL' ELSE 'true' END, d.created_column)
		INTO found USING d.source, field, next, low, high, width;
		-- Where most of it differs it is read as a whole; and so where counts of the parts do not show what those
		-- of the whole did: a time that two parts have.
		IF unit <> 'all' AND (cardinality(found.lows) = 0 OR cardinality(found.lows) > 1 AND found.rows > rows / 2) THEN
			RETURN NEXT;
			CONTINUE;
		END IF;
		units := array_fill(next, ARRAY[cardinality(found.lows)]) || units;
		lows := found.lows || lows;
		highs := found.highs || highs;
		sizes := found.sizes || sizes;
	END LOOP;
END $$;
COMMENT ON FUNCTION @extschema@.verify_spans(@extschema@.mirror_definition) IS 'of verify()';
