-- History of a mirror: each version of a row with the time for which it was so.  Triggers on the mirror's table
-- keep it, so that whatever writes to the mirror does; statement by statement, since a chunk is a statement.
--
-- A version begins when the org says that the row was changed: at the row's own time, or at the one that who
-- writes knows better (mirror_change_time).  A change that is not later than the version it is made to replaces
-- that one where it stands, so that no range is empty and none overlap: of changes within a moment the last is
-- kept.  What a user changes locally is no version: the org's answer to it is.

CREATE FUNCTION @extschema@.history_columns(d @extschema@.mirror_definition, OUT attnum smallint, OUT name name, OUT type text, OUT collated text)
RETURNS SETOF record
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
	SELECT a.attnum, a.attname, format_type(a.atttypid, a.atttypmod),
		CASE WHEN a.attcollation <> t.typcollation THEN ' COLLATE ' || a.attcollation::regcollation::text ELSE '' END
	FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid
	WHERE a.attrelid = d.target AND a.attnum > 0 AND NOT a.attisdropped
		AND NOT (d.deletes = 'mark' AND a.attname = 'deleted_at')
	ORDER BY a.attnum
$$;
COMMENT ON FUNCTION @extschema@.history_columns(@extschema@.mirror_definition) IS 'columns of a mirror''s table that its history has; of history';

-- The latest versions end: the rows were deleted at those times.
CREATE FUNCTION @extschema@.history_close(d @extschema@.mirror_definition, ids text[], times timestamptz[]) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	IF EXISTS (SELECT FROM pg_class c WHERE c.oid = d.history) THEN
		EXECUTE format('UPDATE %s h SET valid = tstzrange(lower(h.valid), greatest(g.time, lower(h.valid) + interval ''1 ms'')) '
			'FROM unnest($1, $2) g (id, time) WHERE h.%I = g.id AND upper_inf(h.valid)', d.history, @extschema@.mirror_key(d))
			USING ids, times;
	END IF;
END $$;
COMMENT ON FUNCTION @extschema@.history_close(@extschema@.mirror_definition, text[], timestamptz[]) IS 'of history';

-- The settings of joins are changed below, and are the caller's again at the end.
CREATE FUNCTION @extschema@.history_keep() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET enable_hashjoin = on SET enable_mergejoin = on AS $$
DECLARE
	d @extschema@.mirror_definition;
	key name;
	names text;
	news text;
	starts text;
	alive text := 'true';
	changed timestamptz := nullif(current_setting('ampsf.change_time', true), '')::timestamptz;
	seen timestamptz;
BEGIN
	IF NOT coalesce(nullif(current_setting('ampsf.applying', true), '')::boolean, false) THEN
		RETURN NULL;
	END IF;
	SELECT m.* INTO d FROM @extschema@.mirror_definition m JOIN pg_class c ON c.oid = m.history WHERE m.target = TG_RELID;
	IF NOT FOUND THEN
		RETURN NULL;
	END IF;
	key := @extschema@.mirror_key(d);
	-- Where nothing tells when: the org's time when the run began that saw it.
	seen := CASE WHEN d.stage = 'idle' THEN clock_timestamp() ELSE d.run_started END;
	IF TG_OP = 'DELETE' THEN
		EXECUTE format('SELECT @extschema@.history_close($1, array_agg(o.%1$I::text), array_agg($2)) FROM old_rows o '
			'WHERE NOT EXISTS (SELECT FROM %2$s t WHERE t.%1$I = o.%1$I)', key, d.target) USING d, coalesce(changed, seen);
		RETURN NULL;
	END IF;
	SELECT string_agg(quote_ident(c.name), ', ' ORDER BY c.attnum), string_agg('n.' || quote_ident(c.name), ', ' ORDER BY c.attnum)
		INTO names, news FROM @extschema@.history_columns(d) c
			JOIN pg_attribute a ON a.attrelid = d.history AND a.attname = c.name AND NOT a.attisdropped;
	-- Of each row, not a constant: the planner would know that few versions begin after it, and read them all to find those.
	starts := format('coalesce(CASE WHEN n.%I IS NOT NULL THEN $1 END, %s$2)', key, 'n.' || quote_ident(d.cursor_column) || ', ');
	IF TG_OP = 'UPDATE' THEN
		-- An Id that a row has no longer.
		EXECUTE format('SELECT @extschema@.history_close($1, array_agg(o.%1$I::text), array_agg($2)) FROM old_rows o '
			'WHERE NOT EXISTS (SELECT FROM new_rows n WHERE n.%1$I = o.%1$I)', key) USING d, coalesce(changed, seen);
	END IF;
	IF d.deletes = 'mark' THEN
		EXECUTE format('SELECT @extschema@.history_close($1, array_agg(n.%I::text), array_agg(n.deleted_at)) FROM new_rows n '
			'WHERE n.deleted_at IS NOT NULL', key) USING d;
		alive := 'n.deleted_at IS NULL';
	END IF;
	-- Versions are looked up one by one: a join that reads the whole history would do so for every chunk.
	PERFORM set_config('enable_hashjoin', 'off', true), set_config('enable_mergejoin', 'off', true);
	EXECUTE format('UPDATE %1$s h SET (%2$s) = ROW(%3$s) FROM new_rows n WHERE h.%4$I = n.%4$I AND upper_inf(h.valid) '
		'AND lower(h.valid) >= %5$s AND %6$s', d.history, names, news, key, starts, alive) USING changed, seen;
	EXECUTE format('UPDATE %1$s h SET valid = tstzrange(lower(h.valid), %3$s) FROM new_rows n WHERE h.%2$I = n.%2$I AND upper_inf(h.valid) '
		'AND lower(h.valid) < %3$s AND %4$s', d.history, key, starts, alive) USING changed, seen;
	-- A row that comes back was away until it was seen again, where its own time is older than its end.
	EXECUTE format('INSERT INTO %1$s (%2$s, valid) SELECT %3$s, tstzrange(CASE WHEN l.ended > %5$s THEN greatest(l.ended, $2) ELSE %5$s END, NULL) '
		'FROM new_rows n LEFT JOIN LATERAL (SELECT upper(h.valid) AS ended FROM %1$s h WHERE h.%4$I = n.%4$I ORDER BY lower(h.valid) DESC LIMIT 1) l ON true '
		'WHERE %6$s AND NOT EXISTS (SELECT FROM %1$s o WHERE o.%4$I = n.%4$I AND upper_inf(o.valid))',
		d.history, names, news, key, starts, alive) USING changed, seen;
	RETURN NULL;
END $$;
COMMENT ON FUNCTION @extschema@.history_keep() IS 'trigger on the table of a mirror; of history';

CREATE FUNCTION @extschema@.history(target regclass) RETURNS regclass
LANGUAGE plpgsql STRICT SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	d @extschema@.mirror_definition := @extschema@.mirror_claim(target);
	key name := @extschema@.mirror_key(d);
	place text;
	made regclass;
	c record;
BEGIN
	IF EXISTS (SELECT FROM pg_class r WHERE r.oid = d.history) THEN
		RETURN d.history;
	END IF;
	PERFORM @extschema@.mirror_check(d);
	-- Triggers of one that was dropped.
	PERFORM @extschema@.history_stop(d);
	place := @extschema@.mirror_beside(d.target, '_history');
	IF to_regclass(place) IS NOT NULL THEN
		RAISE EXCEPTION USING ERRCODE = 'duplicate_table', MESSAGE = format('relation %s exists already', place),
			HINT = 'Rename it, if it is the history of an earlier mirror.';
	ELSIF EXISTS (SELECT FROM @extschema@.history_columns(d) h WHERE h.name = 'valid') THEN
		RAISE EXCEPTION USING ERRCODE = 'duplicate_column', MESSAGE = format('%s has a column "valid" of its own', target),
			HINT = 'Rename it: ALTER TABLE ... RENAME COLUMN, here and in the foreign table.';
	END IF;
	EXECUTE format('CREATE TABLE %s (%s, valid tstzrange NOT NULL CHECK (NOT isempty(valid) AND NOT lower_inf(valid)))', place,
		(SELECT string_agg(format('%I %s%s', h.name, h.type, h.collated), ', ' ORDER BY h.attnum) FROM @extschema@.history_columns(d) h));
	made := place::regclass;
	EXECUTE format('CREATE UNIQUE INDEX ON %s (%I, lower(valid))', made, key);
	EXECUTE format('CREATE UNIQUE INDEX ON %s (%I) WHERE upper_inf(valid)', made, key);
	-- The indexes and the trigger leave no room for overlaps; where the database can say so itself, it does.
	IF EXISTS (SELECT FROM pg_extension e WHERE e.extname = 'btree_gist') THEN
		EXECUTE format('ALTER TABLE %s ADD EXCLUDE USING gist (%I WITH =, valid WITH &&)', made, key);
	END IF;
	EXECUTE format('COMMENT ON TABLE %s IS %L', made, format('versions of the rows of %s, with the time for which each was so', d.target));
	EXECUTE format('COMMENT ON COLUMN %s.valid IS %L', made, 'from the change that made it so to the next one; without an end: it is so');
	FOR c IN SELECT h.name, col_description(d.target, h.attnum) AS note FROM @extschema@.history_columns(d) h
		WHERE col_description(d.target, h.attnum) IS NOT NULL LOOP
		EXECUTE format('COMMENT ON COLUMN %s.%I IS %L', made, c.name, c.note);
	END LOOP;
	-- Of rows that are there already no more is known than their last change.
	EXECUTE format('INSERT INTO %1$s (%2$s, valid) SELECT %2$s, tstzrange(coalesce(%3$s, $1), NULL) FROM %4$s t WHERE %5$s', made,
		(SELECT string_agg(quote_ident(h.name), ', ' ORDER BY h.attnum) FROM @extschema@.history_columns(d) h),
		coalesce('t.' || quote_ident(d.cursor_column), '$1'), d.target,
		CASE WHEN d.deletes = 'mark' THEN 't.deleted_at IS NULL' ELSE 'true' END
			-- nor of rows that the org does not have yet
			|| format(' AND NOT EXISTS (SELECT FROM @extschema@.writeback w WHERE w.target = %L::regclass AND w.record_id = t.%I COLLATE "C" '
				'AND w.operation = ''insert'' AND w.pending)', d.target, key)) USING coalesce(d.run_started, clock_timestamp());
	FOR c IN SELECT * FROM (VALUES ('insert', 'NEW TABLE AS new_rows'), ('update', 'OLD TABLE AS old_rows NEW TABLE AS new_rows'),
			('delete', 'OLD TABLE AS old_rows')) v (event, tables) LOOP
		EXECUTE format('CREATE TRIGGER ampsf_history_%1$s AFTER %1$s ON %2$s REFERENCING %3$s '
			'FOR EACH STATEMENT EXECUTE FUNCTION @extschema@.history_keep()', c.event, d.target, c.tables);
		-- A version is never left out, whatever session_replication_role says.
		EXECUTE format('ALTER TABLE %s ENABLE ALWAYS TRIGGER ampsf_history_%s', d.target, c.event);
	END LOOP;
	UPDATE @extschema@.mirror_definition m SET history = made WHERE m.target = d.target;
	RETURN made;
END $$;
COMMENT ON FUNCTION @extschema@.history(regclass) IS
	'makes the table TABLE_history of a mirror: each version of a row from now on, with the time for which it was so';

-- Before a column of the mirror's table gets a wider type, that of the history does: or its versions would be rounded.
-- Says why it cannot.
CREATE FUNCTION @extschema@.history_widen(d @extschema@.mirror_definition, name name, type text) RETURNS text
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	RETURN @extschema@.mirror_try(format('ALTER TABLE %s ALTER COLUMN %I TYPE %s', d.history, name, type))
		FROM pg_attribute a WHERE a.attrelid = d.history AND a.attname = name AND NOT a.attisdropped;
END $$;
COMMENT ON FUNCTION @extschema@.history_widen(@extschema@.mirror_definition, name, text) IS 'of history';

-- Columns of the mirror's table have come, or become wider.  One that cannot be added, since a query reads the
-- history, comes with a later step, and what the rows have by then: says so.
CREATE FUNCTION @extschema@.history_follow(d @extschema@.mirror_definition) RETURNS text
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET lock_timeout = '2s' AS $$
DECLARE
	key name := @extschema@.mirror_key(d);
	problem text;
	problems text[] := '{}';
	c record;
BEGIN
	FOR c IN SELECT h.name, h.type, h.collated, a.attname IS NULL AS new
			FROM pg_class r CROSS JOIN @extschema@.history_columns(d) h
				LEFT JOIN pg_attribute a ON a.attrelid = r.oid AND a.attname = h.name AND NOT a.attisdropped
			WHERE r.oid = d.history AND format_type(a.atttypid, a.atttypmod) IS DISTINCT FROM h.type ORDER BY h.attnum LOOP
		IF NOT c.new THEN
			EXECUTE format('ALTER TABLE %s ALTER COLUMN %I TYPE %s', d.history, c.name, c.type);
			CONTINUE;
		END IF;
		problem := @extschema@.mirror_try(format('ALTER TABLE %s ADD COLUMN %I %s%s', d.history, c.name, c.type, c.collated));
		IF problem IS NULL THEN
			EXECUTE format('UPDATE %s h SET %I = t.%2$I FROM %s t WHERE t.%I = h.%4$I AND upper_inf(h.valid) AND t.%2$I IS NOT NULL',
				d.history, c.name, d.target, key);
		ELSE
			problems := problems || format('no column %I in history %s: %s', c.name, d.history, problem);
		END IF;
	END LOOP;
	RETURN nullif(array_to_string(problems, '; '), '');
END $$;
COMMENT ON FUNCTION @extschema@.history_follow(@extschema@.mirror_definition) IS 'of history';

-- The table stays as it is.
CREATE FUNCTION @extschema@.history_stop(d @extschema@.mirror_definition) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	name name;
BEGIN
	FOR name IN SELECT t.tgname FROM pg_trigger t
		WHERE t.tgrelid = d.target AND t.tgfoid = '@extschema@.history_keep()'::regprocedure LOOP
		EXECUTE format('DROP TRIGGER %I ON %s', name, d.target);
	END LOOP;
END $$;
COMMENT ON FUNCTION @extschema@.history_stop(@extschema@.mirror_definition) IS 'of history';
