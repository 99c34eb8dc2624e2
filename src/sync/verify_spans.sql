-- Where a mirror and the org differ, by counting: spans of time of creation, small enough to compare the Ids of.

-- The mirror's side: Ids, times of creation and stamps of the rows that are there.  Once something differs it is
-- looked at again and again, and so put by.
CREATE FUNCTION @extschema@.verify_mine(d @extschema@.mirror_definition) RETURNS text
LANGUAGE sql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
	SELECT CASE WHEN EXISTS (SELECT FROM pg_class c WHERE c.relnamespace = pg_my_temp_schema() AND c.relname = 'ampsf_mirror_times')
		THEN 'pg_temp.ampsf_mirror_times'
		ELSE format('(SELECT t.%I AS id, %s AS created, %s AS stamp FROM %s t WHERE %s)', @extschema@.mirror_key(d),
			coalesce('t.' || quote_ident(d.created_column), 'NULL::timestamptz'),
			coalesce('t.' || quote_ident(d.cursor_column), 'NULL::timestamptz'), d.target,
			CASE WHEN d.deletes = 'mark' THEN 't.deleted_at IS NULL' ELSE 'true' END) END
$$;
COMMENT ON FUNCTION @extschema@.verify_mine(@extschema@.mirror_definition) IS 'of verify()';

CREATE FUNCTION @extschema@.verify_keep(d @extschema@.mirror_definition) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	EXECUTE format('CREATE TEMPORARY TABLE ampsf_mirror_times ON COMMIT DROP AS SELECT id, created, stamp FROM %s m ORDER BY created',
		@extschema@.verify_mine(d));
	CREATE INDEX ON pg_temp.ampsf_mirror_times USING brin (created) WITH (pages_per_range = 32);
	ANALYZE pg_temp.ampsf_mirror_times;
END $$;
COMMENT ON FUNCTION @extschema@.verify_keep(@extschema@.mirror_definition) IS 'of verify()';

-- All that there is, where the org cannot group it: from the first row of either side to the end of the last second.
CREATE FUNCTION @extschema@.verify_range(d @extschema@.mirror_definition, OUT low timestamptz, OUT high timestamptz)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	first timestamptz;
	last timestamptz;
BEGIN
	EXECUTE format('SELECT min(m.created), max(m.created) FROM %s m', @extschema@.verify_mine(d)) INTO low, high;
	-- These come by an index.
	EXECUTE format('SELECT s.%1$I FROM %2$s s WHERE s.%1$I IS NOT NULL%3$s ORDER BY s.%1$I LIMIT 1',
		d.created_column, d.source, @extschema@.mirror_filter(d)) INTO first;
	EXECUTE format('SELECT s.%1$I FROM %2$s s WHERE s.%1$I IS NOT NULL%3$s ORDER BY s.%1$I DESC LIMIT 1',
		d.created_column, d.source, @extschema@.mirror_filter(d)) INTO last;
	low := date_trunc('second', least(low, first));
	high := date_trunc('second', greatest(high, last)) + interval '1 second';
END $$;
COMMENT ON FUNCTION @extschema@.verify_range(@extschema@.mirror_definition) IS 'of verify()';

-- Parts of a span whose counts differ; sizes: null where the org could not count.  Null: it could none of them.
CREATE FUNCTION @extschema@.verify_parts(
	d @extschema@.mirror_definition, unit text, low timestamptz, high timestamptz,
	OUT lows timestamptz[], OUT highs timestamptz[], OUT sizes bigint[])
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	field text := (SELECT c.field FROM @extschema@.mirror_columns(d.source) c WHERE c.name = d.cursor_column);
	-- as long as span_counts() makes them
	width interval := greatest(ceil(extract(epoch FROM CASE WHEN unit = 'part' THEN high - low END) / 5), 1) * interval '1 second';
	detail text;
BEGIN
	EXECUTE format(
		'SELECT coalesce(array_agg(x.low ORDER BY x.low), ''{}''), array_agg(x.high ORDER BY x.low), array_agg(x.rows ORDER BY x.low) '
		'FROM (SELECT coalesce(o.low, l.low) AS low, coalesce(o.high, %1$s) AS high, '
				'CASE WHEN o.low IS NULL OR o.rows IS NOT NULL THEN greatest(o.rows, l.rows) END AS rows '
			'FROM @extschema@.span_counts($1, $2, $3, $4, $5) o FULL JOIN (SELECT %2$s AS low, count(*) AS rows, max(t.stamp) AS newest, '
			'count(DISTINCT t.stamp) AS stamps FROM %3$s t WHERE t.created >= $4 AND t.created < $5 GROUP BY 1) l ON l.low = o.low '
			'WHERE o.low IS NOT NULL AND o.rows IS NULL '
			'OR (coalesce(o.rows, 0), o.newest, coalesce(o.stamps, 0)) IS DISTINCT FROM (coalesce(l.rows, 0), l.newest, coalesce(l.stamps, 0))) x',
		CASE WHEN unit = 'part' THEN 'least(l.low + $6, $5)'
			ELSE format('(l.low AT TIME ZONE ''UTC'' + interval ''1 %s'') AT TIME ZONE ''UTC''', unit) END,
		CASE WHEN unit = 'part' THEN '$4 + floor(extract(epoch FROM t.created - $4) / extract(epoch FROM $6)) * $6'
			ELSE format('date_trunc(%L, t.created, ''UTC'')', unit) END, @extschema@.verify_mine(d))
	INTO lows, highs, sizes USING d.source, field, unit, low, high, width;
EXCEPTION WHEN query_canceled OR OTHERS THEN
	-- The org's time limit has the same code as a cancel, which is not to be swallowed.
	GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL;
	IF SQLERRM NOT LIKE 'could not %' OR detail !~ 'QUERY_TIMEOUT|OPERATION_TOO_LARGE' THEN
		RAISE;
	END IF;
	lows := NULL;
END $$;
COMMENT ON FUNCTION @extschema@.verify_parts(@extschema@.mirror_definition, text, timestamptz, timestamptz) IS 'of verify()';

-- What the org cannot group by month, day or hour is divided into fifths, and those it cannot count into fifths again,
-- as long as there are more rows than a chunk has.
CREATE FUNCTION @extschema@.verify_spans(d @extschema@.mirror_definition, OUT low timestamptz, OUT high timestamptz)
RETURNS SETOF record
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	-- Reading so many Ids is about as cheap as counting once more.
	enough CONSTANT bigint := 4000;
	units text[] := '{all}';
	lows timestamptz[] := '{-infinity}';
	highs timestamptz[] := '{infinity}';
	sizes bigint[] := ARRAY[NULL::bigint];
	unit text;
	next text;
	rows bigint;
	mine bigint;
	kept boolean := false;
	refused integer := 0;
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
		IF unit <> 'all' THEN
			IF rows <= enough OR high - low <= interval '1 second' THEN
				RETURN NEXT;
				CONTINUE;
			END IF;
			IF NOT kept THEN
				PERFORM @extschema@.verify_keep(d);
				kept := true;
			END IF;
			IF rows IS NULL THEN
				-- Where the org refuses again and again, Ids are had sooner than counts.
				EXECUTE format('SELECT count(*) FROM %s m WHERE m.created >= $1 AND m.created < $2', @extschema@.verify_mine(d))
					INTO mine USING low, high;
				refused := refused + 1;
				IF mine <= d.chunk_rows OR refused > 50 THEN
					RETURN NEXT;
					CONTINUE;
				END IF;
			END IF;
		END IF;
		next := CASE unit WHEN 'all' THEN 'month' WHEN 'month' THEN 'day' WHEN 'day' THEN 'hour' ELSE 'part' END;
		SELECT * INTO found FROM @extschema@.verify_parts(d, next, low, high);
		IF found.lows IS NULL AND next <> 'part' THEN
			IF unit = 'all' THEN
				SELECT r.low, r.high INTO low, high FROM @extschema@.verify_range(d) r;
				CONTINUE WHEN low IS NULL;
			END IF;
			next := 'part';
			SELECT * INTO found FROM @extschema@.verify_parts(d, next, low, high);
		END IF;
		-- Where most of it differs it is read as a whole; and so where counts of the parts do not show what those
		-- of the whole did: a time that two parts have.
		IF found.lows IS NULL OR unit <> 'all' AND rows IS NOT NULL AND (cardinality(found.lows) = 0 OR cardinality(found.lows) > 1
			AND (SELECT coalesce(sum(s), 0) FROM unnest(found.sizes) s) > rows / 2) THEN
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
