-- Is a mirror right?  Both sides count by month of creation, which is one call; months that differ are counted by
-- day, days by hour, hours by parts, until there are few enough Ids to compare.  Or, to be thorough, all Ids are
-- compared: an old row among newer ones leaves no trace in counts.
-- Ids that the org deleted after the last run, which the mirror has with right.  The log leaves seconds out.
CREATE FUNCTION @extschema@.verify_gone(d @extschema@.mirror_definition) RETURNS SETOF text
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	at timestamptz := clock_timestamp() + interval '1 day';
	log record;
BEGIN
	FOR attempt IN 1 .. 2 LOOP
		SELECT * INTO log FROM @extschema@.deleted(d.source, least(date_trunc('minute', d.deleted_to), at - interval '2 minutes'), at);
		EXIT WHEN log.ids IS NOT NULL;
		-- an org that wants no end in the future
		at := (@extschema@.object_state(d.source)).server_time;
	END LOOP;
	RETURN QUERY SELECT g.id FROM unnest(log.ids, log.times) g (id, "time") WHERE g."time" >= date_trunc('minute', d.deleted_to);
END $$;
COMMENT ON FUNCTION @extschema@.verify_gone(@extschema@.mirror_definition) IS 'of verify()';

CREATE FUNCTION @extschema@.verify(
	target regclass, repair boolean DEFAULT false, thorough boolean DEFAULT false, OUT id text, OUT problem text, OUT org_stamp timestamptz,
	OUT mirror_stamp timestamptz)
RETURNS SETOF record
LANGUAGE plpgsql STRICT SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	d @extschema@.mirror_definition := @extschema@.mirror_claim(target);
	key name := @extschema@.mirror_key(d);
	lows timestamptz[] := '{-infinity}';
	highs timestamptz[] := '{infinity}';
	span text := 'true';
	local text := 'true';
	part text[];
	got record;
	n bigint := 0;
BEGIN
	PERFORM @extschema@.mirror_check(d);
	IF NOT ARRAY(SELECT c.name FROM @extschema@.mirror_shared(d) c) @> array_remove(ARRAY[d.cursor_column, d.created_column], NULL) THEN
		RAISE EXCEPTION USING ERRCODE = 'object_not_in_prerequisite_state', MESSAGE = format('columns of mirror %s have changed since its last run', target),
			HINT = format('CALL ampsf.sync(%L) follows.', target);
	END IF;
	-- Nothing is held that grows with the rows.
	CREATE TEMPORARY TABLE ampsf_mirror_found (id text, problem text) ON COMMIT DROP;
	IF NOT thorough AND d.cursor_column IS NOT NULL AND d.created_column IS NOT NULL THEN
		SELECT coalesce(array_agg(s.low), '{}'), array_agg(s.high) INTO lows, highs FROM @extschema@.verify_spans(d) s;
		span := format('s.%I >= $1 AND s.%1$I < $2', d.created_column);
		local := 'm.created >= $1 AND m.created < $2';
	END IF;
	FOR i IN 1 .. cardinality(lows) LOOP
		EXECUTE format('CREATE TEMPORARY TABLE ampsf_mirror_ids ON COMMIT DROP AS SELECT s.%I AS id, %s AS stamp FROM %s s WHERE %s%s',
			key, coalesce('s.' || quote_ident(d.cursor_column), 'NULL::timestamptz'), d.source, span, @extschema@.mirror_filter(d))
			USING lows[i], highs[i];
		RETURN QUERY EXECUTE format(
			'WITH differ AS (SELECT coalesce(o.id, l.id) AS id, CASE WHEN EXISTS (SELECT FROM @extschema@.writeback w WHERE w.target = $4 '
				'AND w.record_id = coalesce(o.id, l.id) AND w.pending) THEN ''pending'' WHEN l.id IS NULL THEN ''missing'' WHEN o.id IS NULL THEN ''extra'' ELSE ''old'' END '
				'AS problem, o.stamp AS org, l.stamp AS mirror FROM pg_temp.ampsf_mirror_ids o FULL JOIN '
				'(SELECT m.id, m.stamp FROM %s m WHERE %s) l ON l.id = o.id '
				'WHERE (l.id IS NULL OR o.id IS NULL OR o.stamp IS DISTINCT FROM l.stamp) AND (o.stamp IS NULL OR o.stamp < $3) '
				-- asked only where there are such rows
				'AND (o.id IS NOT NULL OR l.id NOT IN (SELECT g FROM @extschema@.verify_gone($6) g))), '
			'kept AS (INSERT INTO pg_temp.ampsf_mirror_found SELECT f.id, f.problem FROM differ f WHERE $5 AND f.problem <> ''pending'') '
			'SELECT f.id, f.problem, f.org, f.mirror FROM differ f ORDER BY f.id',
			@extschema@.verify_mine(d), local)
			USING lows[i], highs[i], coalesce(d.watermark, 'infinity'), d.target, repair, d;
		DROP TABLE pg_temp.ampsf_mirror_ids;
	END LOOP;
	FOR part IN SELECT array_agg(f.id) FROM (SELECT x.id, (row_number() OVER () - 1) / 10000 AS n FROM pg_temp.ampsf_mirror_found x
			WHERE x.problem = 'extra') f GROUP BY f.n LOOP
		n := n - CASE WHEN d.deletes = 'remove' THEN 1 ELSE 0 END
			* @extschema@.mirror_remove(d, part, array_fill(clock_timestamp(), ARRAY[cardinality(part)]));
	END LOOP;
	FOR part IN SELECT array_agg(f.id) FROM (SELECT x.id, (row_number() OVER () - 1) / 2000 AS n FROM pg_temp.ampsf_mirror_found x
			WHERE x.problem <> 'extra') f GROUP BY f.n LOOP
		got := @extschema@.mirror_read(d, format('%I = ANY ($3)', key), NULL, NULL, part);
		n := n + got.inserted;
	END LOOP;
	IF n <> 0 THEN
		UPDATE @extschema@.mirror_definition m SET rows = m.rows + n WHERE m.target = d.target;
	END IF;
	DROP TABLE pg_temp.ampsf_mirror_found;
	IF to_regclass('pg_temp.ampsf_mirror_times') IS NOT NULL THEN
		DROP TABLE pg_temp.ampsf_mirror_times;
	END IF;
END $$;
COMMENT ON FUNCTION @extschema@.verify(regclass, boolean, boolean) IS
	'rows in which a mirror differs from the org as of its last run: missing, extra, old, or pending, which is to be written back; repair: reads those again; '
	'thorough: looks at each row''s Id and time, not at counts only';
