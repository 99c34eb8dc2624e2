-- Is a mirror right?  Both sides count by month of creation, which is one call; months that differ are counted by
-- day, days by hour, hours by parts, until there are few enough Ids to compare.  Or, to be thorough, all Ids are
-- compared: an old row among newer ones leaves no trace in counts.
CREATE FUNCTION @extschema@.verify(
	target regclass, repair boolean DEFAULT false, thorough boolean DEFAULT false, OUT id text, OUT problem text, OUT org_stamp timestamptz,
	OUT mirror_stamp timestamptz)
RETURNS SETOF record
LANGUAGE plpgsql STRICT SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	d @extschema@.mirror_definition := @extschema@.mirror_claim(target);
	key name := @extschema@.mirror_key(d);
	live text := CASE WHEN d.deletes = 'mark' THEN 't.deleted_at IS NULL' ELSE 'true' END;
	stamp text := coalesce('t.' || quote_ident(d.cursor_column), 'NULL::timestamptz');
	lows timestamptz[] := '{-infinity}';
	highs timestamptz[] := '{infinity}';
	span text := 'true';
	wrong text[] := '{}';
	extra text[] := '{}';
	got record;
	n bigint := 0;
BEGIN
	IF NOT thorough AND d.cursor_column IS NOT NULL AND d.created_column IS NOT NULL THEN
		SELECT coalesce(array_agg(s.low), '{}'), array_agg(s.high) INTO lows, highs FROM @extschema@.verify_spans(d) s;
		span := format('%%1$s.%I >= $1 AND %%1$s.%1$I < $2', d.created_column);
	END IF;
	FOR i IN 1 .. cardinality(lows) LOOP
		EXECUTE format('CREATE TEMPORARY TABLE ampsf_mirror_ids ON COMMIT DROP AS '
			'SELECT t.%1$I AS id, %2$s AS stamp FROM %3$s t WHERE %4$s%5$s',
			key, stamp, d.source, format(span, 't'), @extschema@.mirror_filter(d))
			USING lows[i], highs[i];
		FOR verify.id, problem, org_stamp, mirror_stamp IN EXECUTE format(
			'SELECT coalesce(o.id, l.id), CASE WHEN EXISTS (SELECT FROM @extschema@.writeback w WHERE w.target = $4 '
			'AND w.record_id = coalesce(o.id, l.id) AND w.pending) THEN ''pending'' WHEN l.id IS NULL THEN ''missing'' WHEN o.id IS NULL THEN ''extra'' ELSE ''old'' END, '
			'o.stamp, l.stamp FROM pg_temp.ampsf_mirror_ids o FULL JOIN '
			'(SELECT t.%1$I AS id, %2$s AS stamp FROM %3$s t WHERE %4$s AND %5$s) l ON l.id = o.id '
			'WHERE (l.id IS NULL OR o.id IS NULL OR o.stamp IS DISTINCT FROM l.stamp) AND (o.stamp IS NULL OR o.stamp < $3) ORDER BY 1',
			key, stamp, d.target, live, format(span, 't'))
			USING lows[i], highs[i], coalesce(d.watermark, 'infinity'), d.target LOOP
			IF problem = 'extra' THEN
				extra := extra || verify.id;
			ELSIF problem <> 'pending' THEN
				wrong := wrong || verify.id;
			END IF;
			RETURN NEXT;
		END LOOP;
		DROP TABLE pg_temp.ampsf_mirror_ids;
	END LOOP;
	IF repair AND cardinality(extra) + cardinality(wrong) > 0 THEN
		IF cardinality(extra) > 0 THEN
			n := - @extschema@.mirror_remove(d, extra, array_fill(clock_timestamp(), ARRAY[cardinality(extra)]));
			n := CASE WHEN d.deletes = 'remove' THEN n ELSE 0 END;
		END IF;
		FOR i IN 1 .. cardinality(wrong) BY 2000 LOOP
			SELECT * INTO got FROM @extschema@.mirror_read(d, format('%I = ANY ($3)', key), NULL, NULL, wrong[i : i + 1999]);
			n := n + got.inserted;
		END LOOP;
		UPDATE @extschema@.mirror_definition m SET rows = m.rows + n WHERE m.target = d.target;
	END IF;
END $$;
COMMENT ON FUNCTION @extschema@.verify(regclass, boolean, boolean) IS
	'rows in which a mirror differs from the org as of its last run: missing, extra, old, or pending, which is to be written back; repair: reads those again; '
	'thorough: looks at each row''s Id and time, not at counts only';
