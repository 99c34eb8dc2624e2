-- Rows that a mirror writes itself are no changes of a user's: triggers on the table can tell by the setting.
-- Who writes sets it, and sets back what it was:
--     was := mirror_applying(true);  ...  PERFORM mirror_applying(was);
CREATE FUNCTION @extschema@.mirror_applying(applying boolean) RETURNS boolean
LANGUAGE plpgsql STRICT SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	was boolean := coalesce(current_setting('ampsf.applying', true), 'off')::boolean;
BEGIN
	PERFORM set_config('ampsf.applying', CASE WHEN applying THEN 'on' ELSE 'off' END, true);
	RETURN was;
END $$;
COMMENT ON FUNCTION @extschema@.mirror_applying(boolean) IS
	'says that rows are a mirror''s own, until the end of the transaction; returns what was said before; of mirrors';

-- When the org changed the rows that are about to be written, where that is known better than by their own
-- times: of change events, and of formula fields.  For the history of a mirror; used like mirror_applying().
CREATE FUNCTION @extschema@.mirror_change_time(changed timestamptz) RETURNS timestamptz
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	was timestamptz := nullif(current_setting('ampsf.change_time', true), '')::timestamptz;
BEGIN
	PERFORM set_config('ampsf.change_time', coalesce(to_char(changed AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'), ''), true);
	RETURN was;
END $$;
COMMENT ON FUNCTION @extschema@.mirror_change_time(timestamptz) IS
	'says when rows were changed that are about to be written, null: by their own times; returns what was said before; of mirrors';

-- Of a table that shows deleted rows too (include_deleted), those are no rows of the mirror.
CREATE FUNCTION @extschema@.mirror_filter(d @extschema@.mirror_definition) RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
	SELECT coalesce((SELECT format(' AND NOT %I', c.name) FROM @extschema@.mirror_columns(d.source) c
		WHERE lower(c.field) = 'isdeleted' AND EXISTS (
			SELECT FROM pg_foreign_table f, pg_options_to_table(f.ftoptions) o WHERE f.ftrelid = d.source
				AND o.option_name = 'include_deleted' AND o.option_value::boolean)), '')
$$;
COMMENT ON FUNCTION @extschema@.mirror_filter(@extschema@.mirror_definition) IS 'condition for rows that are not deleted; of mirrors';

CREATE FUNCTION @extschema@.mirror_key(d @extschema@.mirror_definition) RETURNS name
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
	SELECT name FROM @extschema@.mirror_columns(d.source) WHERE lower(field) = 'id' LIMIT 1
$$;
COMMENT ON FUNCTION @extschema@.mirror_key(@extschema@.mirror_definition) IS 'the column of the Id; of mirrors';

-- Reads rows into the mirror: those that the condition finds ($1, $2: its values, $3: Ids).  What the org sends
-- is there as a whole, or nothing is.
CREATE FUNCTION @extschema@.mirror_read(
	d @extschema@.mirror_definition, condition text, low timestamptz, high timestamptz, ids text[],
	OUT inserted bigint, OUT updated bigint)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	names text;
	news text[];
	olds text;
	sets text[];
	key name := @extschema@.mirror_key(d);
	was boolean;
	mark text := CASE WHEN d.deletes = 'mark' THEN ', deleted_at = NULL' ELSE '' END;
	marked text := CASE WHEN d.deletes = 'mark' THEN ' OR t.deleted_at IS NOT NULL' ELSE '' END;
BEGIN
	SELECT string_agg(format('%I', c.name), ', '),
		ARRAY[string_agg(format('%I = excluded.%1$I', c.name), ', ') FILTER (WHERE c.name <> key),
			string_agg(format('%I = g.%1$I', c.name), ', ') FILTER (WHERE c.name <> key)],
		string_agg(format('t.%I%s', c.name, c.as_text), ', ') FILTER (WHERE c.name <> key),
		ARRAY[string_agg(format('excluded.%I%s', c.name, c.as_text), ', ') FILTER (WHERE c.name <> key),
			string_agg(format('g.%I%s', c.name, c.as_text), ', ') FILTER (WHERE c.name <> key)]
	INTO names, sets, olds, news
	FROM @extschema@.mirror_shared(d) c;
	IF olds IS NULL THEN
		olds := 'NULL';
		news := '{NULL,NULL}';
		sets := array_fill(format('%I = t.%1$I', key), '{2}');
	END IF;
	was := @extschema@.mirror_applying(true);
	condition := coalesce(condition, 'true') || @extschema@.mirror_filter(d);
	IF @extschema@.mirror_by_index(d.target, key) THEN
		EXECUTE format(
			'WITH done AS (INSERT INTO %s AS t (%s) SELECT %2$s FROM %s s WHERE %s ON CONFLICT (%I) DO UPDATE SET %s%s '
			'WHERE ROW(%s) IS DISTINCT FROM ROW(%s)%s RETURNING t.xmax = 0 AS new) '
			'SELECT count(*) FILTER (WHERE new), count(*) FILTER (WHERE NOT new) FROM done',
			d.target, names, d.source, condition, key, sets[1], mark, olds, coalesce(news[1], 'NULL'), marked)
		INTO inserted, updated USING low, high, ids;
	ELSE
		-- By what every kind of table can: a row whose partition key has changed moves by the UPDATE.  The rows are
		-- put by first, as the table's own types.  No second reader of the mirror writes meanwhile, or a row that both
		-- have might be there twice.
		EXECUTE format('CREATE TEMPORARY TABLE ampsf_mirror_rows ON COMMIT DROP AS SELECT %s FROM %s WHERE false', names, d.target);
		EXECUTE format('INSERT INTO pg_temp.ampsf_mirror_rows (%s) SELECT %1$s FROM %s s WHERE %s', names, d.source, condition)
			USING low, high, ids;
		EXECUTE format('CREATE UNIQUE INDEX ON pg_temp.ampsf_mirror_rows (%I)', key);
		ANALYZE pg_temp.ampsf_mirror_rows;
		PERFORM pg_advisory_xact_lock(hashtext('@extschema@.mirror_write'), d.target::oid::integer);
		EXECUTE format('UPDATE %s t SET %s%s FROM pg_temp.ampsf_mirror_rows g WHERE t.%I = g.%4$I AND (ROW(%s) IS DISTINCT FROM ROW(%s)%s)',
			d.target, sets[2], mark, key, olds, coalesce(news[2], 'NULL'), marked);
		GET DIAGNOSTICS updated = ROW_COUNT;
		EXECUTE format('INSERT INTO %s (%s) SELECT %2$s FROM pg_temp.ampsf_mirror_rows g WHERE NOT EXISTS (SELECT FROM %1$s t WHERE t.%3$I = g.%3$I)',
			d.target, names, key);
		GET DIAGNOSTICS inserted = ROW_COUNT;
		DROP TABLE pg_temp.ampsf_mirror_rows;
	END IF;
	PERFORM @extschema@.mirror_applying(was);
END $$;
COMMENT ON FUNCTION @extschema@.mirror_read(@extschema@.mirror_definition, text, timestamptz, timestamptz, text[]) IS
	'reads rows into a mirror; of mirrors';

-- Rows that the org has no longer.
CREATE FUNCTION @extschema@.mirror_remove(d @extschema@.mirror_definition, ids text[], times timestamptz[]) RETURNS bigint
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	n bigint;
	key name := @extschema@.mirror_key(d);
	flag name;
	was boolean := @extschema@.mirror_applying(true);
BEGIN
	IF d.deletes = 'remove' THEN
		PERFORM @extschema@.history_close(d, ids, times);
		EXECUTE format('DELETE FROM %s t WHERE t.%I = ANY ($1)', d.target, key) USING ids;
	ELSE
		SELECT c.name INTO flag FROM @extschema@.mirror_shared(d) c WHERE lower(c.field) = 'isdeleted';
		EXECUTE format('UPDATE %s t SET deleted_at = g.time%s FROM unnest($1, $2) g (id, time) '
			'WHERE t.%I = g.id AND t.deleted_at IS NULL',
			d.target, CASE WHEN flag IS NOT NULL THEN format(', %I = true', flag) ELSE '' END, key) USING ids, times;
	END IF;
	GET DIAGNOSTICS n = ROW_COUNT;
	PERFORM @extschema@.mirror_applying(was);
	RETURN n;
END $$;
COMMENT ON FUNCTION @extschema@.mirror_remove(@extschema@.mirror_definition, text[], timestamptz[]) IS
	'removes or marks rows of a mirror; of mirrors';

-- All Ids, with the cursor, of both sides.  It is the only way to see rows that were deleted past the recycle
-- bin; and it finds whatever else is missing or old.  That is read here, or, where it is much, left as chunks to the
-- next steps of the run.  Whatever the number of rows, no more than some Ids are held at a time.
CREATE FUNCTION @extschema@.mirror_compare(
	d @extschema@.mirror_definition, at timestamptz, OUT inserted bigint, OUT updated bigint, OUT deleted bigint)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	key name := @extschema@.mirror_key(d);
	live text := CASE WHEN d.deletes = 'mark' THEN 't.deleted_at IS NULL' ELSE 'true' END;
	-- A list of so many Ids is small; and it is one question about merges.
	most CONSTANT integer := 10000;
	lost text[];
	part text[];
	got record;
	n bigint;
BEGIN
	inserted := 0;
	updated := 0;
	deleted := 0;
	EXECUTE format('CREATE TEMPORARY TABLE ampsf_mirror_ids ON COMMIT DROP AS SELECT %I AS id, %s AS stamp FROM %s s WHERE true%s',
		key, coalesce(quote_ident(d.cursor_column), 'NULL::timestamptz'), d.source, @extschema@.mirror_filter(d));
	ANALYZE pg_temp.ampsf_mirror_ids;
	FOR lost IN EXECUTE format(
		'SELECT array_agg(l.id) FROM (SELECT t.%1$I AS id, (row_number() OVER () - 1) / $1 AS n FROM %2$s t '
		'WHERE %3$s AND NOT EXISTS (SELECT FROM pg_temp.ampsf_mirror_ids i WHERE i.id = t.%1$I)) l GROUP BY l.n',
		key, d.target, live) USING most LOOP
		deleted := deleted + @extschema@.mirror_remove(d, lost, array_fill(at, ARRAY[cardinality(lost)]));
		PERFORM @extschema@.mirror_merges(d, lost);
	END LOOP;
	EXECUTE format('CREATE TEMPORARY TABLE ampsf_mirror_wrong ON COMMIT DROP AS SELECT i.id FROM pg_temp.ampsf_mirror_ids i '
		'LEFT JOIN %1$s t ON t.%2$I = i.id AND %3$s WHERE t.%2$I IS NULL OR i.stamp IS DISTINCT FROM %4$s',
		d.target, key, live, coalesce('t.' || quote_ident(d.cursor_column), 'NULL'));
	GET DIAGNOSTICS n = ROW_COUNT;
	IF n > 10000 THEN
		PERFORM @extschema@.mirror_chunk_wrong(d);
	ELSIF n > 0 THEN
		FOR part IN SELECT array_agg(w.id) FROM (SELECT i.id, (row_number() OVER () - 1) / 2000 AS n FROM pg_temp.ampsf_mirror_wrong i) w
			GROUP BY w.n LOOP
			got := @extschema@.mirror_read(d, format('%I = ANY ($3)', key), NULL, NULL, part);
			inserted := inserted + got.inserted;
			updated := updated + got.updated;
		END LOOP;
	END IF;
	DROP TABLE pg_temp.ampsf_mirror_wrong;
	DROP TABLE pg_temp.ampsf_mirror_ids;
END $$;
COMMENT ON FUNCTION @extschema@.mirror_compare(@extschema@.mirror_definition, timestamptz) IS
	'compares all Ids of a mirror with the org''s; of mirrors';

-- The rows of a span of the cursor, which $1 and $2 begin and end; those without a time are with the first.
CREATE FUNCTION @extschema@.mirror_span(d @extschema@.mirror_definition, low timestamptz, high timestamptz) RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
	SELECT CASE
		WHEN d.cursor_column IS NULL OR (low = '-infinity' AND high = 'infinity') THEN 'true'
		WHEN low = '-infinity' THEN format('(%1$I < $2 OR %1$I IS NULL)', d.cursor_column)
		WHEN high = 'infinity' THEN format('%I >= $1', d.cursor_column)
		ELSE format('%1$I >= $1 AND %1$I < $2', d.cursor_column) END
$$;
COMMENT ON FUNCTION @extschema@.mirror_span(@extschema@.mirror_definition, timestamptz, timestamptz) IS 'condition for a span of time; of mirrors';

-- Where a chunk that begins at low ends: a time up to which there are about as many rows as wanted, or limit_,
-- when that is all.  Nothing here looks at all rows of a large object, for which the org would need too long: the
-- first row comes by its index, the number of all (rest) is somebody's estimate, and what is counted is the chunk
-- alone.  pile: more rows of one second than a chunk should have, which time cannot tell apart.
CREATE FUNCTION @extschema@.mirror_chunk_end(
	d @extschema@.mirror_definition, low timestamptz, limit_ timestamptz, wanted bigint, rest bigint,
	OUT high timestamptz, OUT n bigint, OUT pile boolean)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	filter text := @extschema@.mirror_filter(d);
	last timestamptz := least(limit_, d.run_started);
	first timestamptz;
	width interval;
	shrunk boolean := false;
BEGIN
	high := limit_;
	pile := false;
	EXECUTE format('SELECT %1$I FROM %2$s s WHERE %3$s%4$s ORDER BY %1$I LIMIT 1', d.cursor_column, d.source,
		CASE WHEN low = '-infinity' THEN format('%I IS NOT NULL', d.cursor_column) ELSE format('%I >= $1', d.cursor_column) END,
		filter) INTO first USING low;
	IF first IS NULL OR first >= last THEN
		RETURN;
	END IF;
	first := date_trunc('second', first);
	width := coalesce((last - first) * (wanted::float8 / greatest(rest, wanted)), last - first);
	LOOP
		width := greatest(date_trunc('second', width), interval '1 second');
		high := first + width;
		IF high >= last THEN
			high := limit_;
		END IF;
		EXECUTE format('SELECT count(*) FROM %2$s s WHERE %1$s%3$s', @extschema@.mirror_span(d, first, high), d.source, filter)
			INTO n USING first, high;
		IF n > 2 * wanted AND width > interval '1 second' THEN
			width := least(width, last - first) * (wanted::float8 / n);
			shrunk := true;
		ELSIF n < wanted / 4 AND high <> limit_ AND NOT shrunk THEN
			width := width * 4;
		ELSE
			EXIT;
		END IF;
	END LOOP;
	pile := n > 2 * wanted;
END $$;
COMMENT ON FUNCTION @extschema@.mirror_chunk_end(@extschema@.mirror_definition, timestamptz, timestamptz, bigint, bigint) IS
	'where a chunk of a mirror''s run ends; of mirrors';

-- About how many rows a chunk has: fewer after failures.
CREATE FUNCTION @extschema@.mirror_wanted(d @extschema@.mirror_definition, halvings integer) RETURNS bigint
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
	SELECT greatest(d.chunk_rows >> least(halvings, 20), least(d.chunk_rows, 1000))::bigint
$$;
COMMENT ON FUNCTION @extschema@.mirror_wanted(@extschema@.mirror_definition, integer) IS 'rows of a chunk; of mirrors';

CREATE FUNCTION @extschema@.mirror_spent(OUT calls bigint, OUT rows bigint)
LANGUAGE sql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
	SELECT coalesce(sum(u.calls), 0), coalesce(sum(u.rows), 0) FROM @extschema@.usage() u WHERE u.scope = 'backend'
$$;
COMMENT ON FUNCTION @extschema@.mirror_spent() IS 'calls and rows of this session so far; of mirrors';
