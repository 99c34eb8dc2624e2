-- The live columns of a foreign table, with the fields that they stand for.
CREATE FUNCTION @extschema@.mirror_columns(
	relation regclass, OUT attnum smallint, OUT name name, OUT field text, OUT type text, OUT collation text,
	OUT filterable boolean, OUT not_null boolean, OUT calculated boolean)
RETURNS SETOF record
LANGUAGE sql STABLE STRICT SET search_path = pg_catalog, pg_temp AS $$
	SELECT a.attnum, a.attname, coalesce(o.o ->> 'field', a.attname), format_type(a.atttypid, a.atttypmod),
		CASE WHEN a.attcollation <> t.typcollation THEN a.attcollation::regcollation::text END,
		coalesce((o.o ->> 'filterable')::boolean, true), a.attnotnull,
		coalesce((o.o ->> 'calculated')::boolean, false)
	FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid
		LEFT JOIN LATERAL (SELECT jsonb_object_agg(option_name, option_value) AS o
			FROM pg_options_to_table(a.attfdwoptions)) o ON true
	WHERE a.attrelid = relation AND a.attnum > 0 AND NOT a.attisdropped
	ORDER BY a.attnum
$$;
COMMENT ON FUNCTION @extschema@.mirror_columns(regclass) IS 'columns of a foreign table with their fields; of mirrors';

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
		-- digits before the point, and behind it
		CROSS JOIN LATERAL (SELECT regexp_match(m.type, '^numeric[(]([0-9]+),([0-9]+)[)]')::integer[] AS n) source
		CROSS JOIN LATERAL (SELECT ARRAY[(a.atttypmod - 4) >> 16 & 65535, a.atttypmod - 4 & 2047] AS n) target
	WHERE m.name <> ALL (d.left_out) AND (a.attname IS NULL
		OR a.attgenerated = '' AND ((a.atttypid, m.type) IN (('integer'::regtype, 'bigint'), ('integer'::regtype, 'numeric'), ('bigint'::regtype, 'numeric'),
				('date'::regtype, 'timestamp with time zone'))
			OR m.type = 'text' AND a.atttypid IN ('integer'::regtype, 'bigint'::regtype, 'numeric'::regtype, 'boolean'::regtype,
				'date'::regtype, 'time'::regtype, 'timestamptz'::regtype)
			OR a.atttypid = 'numeric'::regtype AND a.atttypmod >= 4
				AND (m.type = 'numeric' OR source.n[2] > target.n[2] OR source.n[1] - source.n[2] > target.n[1] - target.n[2])))
	ORDER BY m.attnum
$$;
COMMENT ON FUNCTION @extschema@.mirror_changes(@extschema@.mirror_definition) IS 'columns of a mirror that are to follow; of mirrors';

-- Those that a mirror reads: it has them too, the org has not lost them, and they take what comes as it is.
-- Generated columns of the table are its owner's.
CREATE FUNCTION @extschema@.mirror_shared(
	d @extschema@.mirror_definition, OUT attnum smallint, OUT name name, OUT field text, OUT type text,
	OUT collation text, OUT calculated boolean, OUT as_text text)
RETURNS SETOF record
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
	SELECT c.attnum, c.name, c.field, c.type, c.collation, c.calculated,
		-- types that know no equality are compared as text
		CASE WHEN a.atttypid IN ('json'::regtype, 'xml'::regtype, 'point'::regtype) THEN '::text' ELSE '' END
	FROM @extschema@.mirror_columns(d.source) c
		JOIN pg_attribute a ON a.attrelid = d.target AND a.attname = c.name AND NOT a.attisdropped AND a.attgenerated = ''
	WHERE c.name <> ALL (d.left_out) AND c.name <> ALL (ARRAY(SELECT n.name FROM @extschema@.mirror_changes(d) n))
	ORDER BY c.attnum
$$;
COMMENT ON FUNCTION @extschema@.mirror_shared(@extschema@.mirror_definition) IS
	'columns that a mirror reads: those of its foreign table without those whose fields are gone; of mirrors';

-- Its columns of time.  What moves with every change comes first; rows of history objects are only ever created.
CREATE FUNCTION @extschema@.mirror_times(
	source regclass, left_out name[], OUT cursor_column name, OUT created_column name)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
	SELECT (array_agg(m.name ORDER BY w.n))[1], min(m.name::text) FILTER (WHERE w.f = 'createddate')
	FROM @extschema@.mirror_columns(source) m
		JOIN unnest(ARRAY['systemmodstamp', 'lastmodifieddate', 'createddate', 'logintime']) WITH ORDINALITY w (f, n)
			ON w.f = lower(m.field)
	WHERE m.type = 'timestamp with time zone' AND m.filterable AND m.name <> ALL (left_out)
$$;
COMMENT ON FUNCTION @extschema@.mirror_times(regclass, name[]) IS 'columns that say when a row was changed, and made; of mirrors';

CREATE FUNCTION @extschema@.mirror_find(target regclass) RETURNS @extschema@.mirror_definition
LANGUAGE plpgsql STRICT SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	d @extschema@.mirror_definition;
BEGIN
	SELECT * INTO d FROM @extschema@.mirror_definition m WHERE m.target = mirror_find.target;
	IF NOT FOUND THEN
		RAISE EXCEPTION USING ERRCODE = 'undefined_object', MESSAGE = format('%s is not a mirror of yours', target),
			HINT = 'The view ampsf.mirror_status lists them.';
	ELSIF d.owner <> quote_ident(current_user)::regrole THEN
		RAISE EXCEPTION USING ERRCODE = 'insufficient_privilege', MESSAGE = format('mirror %s is run by its owner only', target),
			HINT = CASE WHEN EXISTS (SELECT FROM pg_roles r WHERE r.oid = d.owner) THEN format('SET ROLE %s first.', d.owner)
				ELSE format('That role is gone: SELECT ampsf.set_mirror_owner(%L, ...) names another one.', target) END;
	END IF;
	RETURN d;
END $$;
COMMENT ON FUNCTION @extschema@.mirror_find(regclass) IS 'the caller''s mirror; of mirrors';

-- Who has a mirror that is in no run has it for a moment, to apply change events for instance: to be waited for.
CREATE FUNCTION @extschema@.mirror_wait(target regclass, began timestamptz) RETURNS boolean
LANGUAGE plpgsql STRICT SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	d @extschema@.mirror_definition := @extschema@.mirror_find(target);
BEGIN
	IF d.stage <> 'idle' OR clock_timestamp() > began + interval '10 seconds' THEN
		RETURN false;
	END IF;
	PERFORM pg_sleep(0.02);
	RETURN true;
END $$;
COMMENT ON FUNCTION @extschema@.mirror_wait(regclass, timestamptz) IS 'of mirrors';

CREATE FUNCTION @extschema@.mirror_claim(target regclass) RETURNS @extschema@.mirror_definition
LANGUAGE plpgsql STRICT SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	d @extschema@.mirror_definition := @extschema@.mirror_find(target);
	began timestamptz := clock_timestamp();
BEGIN
	WHILE NOT pg_try_advisory_xact_lock(hashtext('@extschema@.mirror'), target::oid::integer) LOOP
		IF NOT @extschema@.mirror_wait(target, began) THEN
			RAISE EXCEPTION USING ERRCODE = 'object_in_use', MESSAGE = format('mirror %s is being synchronized by another session', target),
				HINT = 'The view pg_locks tells which one holds the advisory lock.';
		END IF;
	END LOOP;
	RETURN @extschema@.mirror_find(target);
END $$;
COMMENT ON FUNCTION @extschema@.mirror_claim(regclass) IS 'the caller''s mirror, for this transaction alone; of mirrors';

CREATE FUNCTION @extschema@.mirror(
	foreign_table regclass, target text DEFAULT NULL, every interval DEFAULT '5 minutes',
	deletes text DEFAULT 'remove', lookback interval DEFAULT '10 minutes', compare_every interval DEFAULT '1 day',
	chunk_rows integer DEFAULT 100000, formula_every interval DEFAULT NULL, formula_columns name[] DEFAULT NULL,
	live_view boolean DEFAULT false, live_formulas boolean DEFAULT false, existing boolean DEFAULT false, parallel integer DEFAULT 1,
	drift text DEFAULT 'follow', foreign_keys boolean DEFAULT false, history boolean DEFAULT false,
	writeback boolean DEFAULT false, conflicts text DEFAULT 'report', schema name DEFAULT current_schema())
RETURNS regclass
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	place text;
	key name;
	cursor_column name;
	created_column name;
	made regclass;
	ddl text;
	c_name name;
BEGIN
	existing := coalesce(existing, false);
	IF foreign_table IS NULL OR NOT EXISTS (
		SELECT FROM pg_foreign_table f JOIN pg_foreign_server s ON s.oid = f.ftserver
			JOIN pg_foreign_data_wrapper w ON w.oid = s.srvfdw
		WHERE f.ftrelid = foreign_table AND w.fdwhandler = '@extschema@.ampsf_fdw_handler()'::regprocedure) THEN
		RAISE EXCEPTION USING ERRCODE = 'wrong_object_type',
			MESSAGE = format('%s is not a foreign table of ampsf_fdw', coalesce(foreign_table::text, 'null'));
	END IF;
	IF EXISTS (SELECT FROM pg_foreign_table f JOIN pg_foreign_server s ON s.oid = f.ftserver
		WHERE f.ftrelid = foreign_table AND 'module=account_engagement' = ANY (s.srvoptions)) THEN
		RAISE EXCEPTION USING ERRCODE = 'feature_not_supported',
			MESSAGE = format('%s is a table of Account Engagement, which has no mirrors', foreign_table);
	END IF;
	PERFORM @extschema@.mirror_settings(every, deletes, lookback, compare_every, chunk_rows, formula_every, parallel, drift);
	FOREACH c_name IN ARRAY coalesce(formula_columns, '{}') LOOP
		IF NOT EXISTS (SELECT FROM @extschema@.mirror_columns(foreign_table) m WHERE m.name = c_name AND lower(m.field) <> 'id') THEN
			RAISE EXCEPTION USING ERRCODE = 'undefined_column',
				MESSAGE = format('%s has no column "%s" that could be read as a formula is', foreign_table, c_name);
		END IF;
	END LOOP;
	place := @extschema@.mirror_place(coalesce(target, quote_ident((SELECT relname FROM pg_class WHERE oid = foreign_table))), schema, existing);

	SELECT name INTO key FROM @extschema@.mirror_columns(foreign_table) WHERE lower(field) = 'id' LIMIT 1;
	IF key IS NULL THEN
		RAISE EXCEPTION USING ERRCODE = 'undefined_column', MESSAGE = format('%s has no column for the field Id', foreign_table),
			HINT = 'A mirror is kept by Ids.';
	ELSIF NOT EXISTS (SELECT FROM @extschema@.mirror_columns(foreign_table) m WHERE m.name = key AND m.type ~ '^(text|character varying)') THEN
		RAISE EXCEPTION USING ERRCODE = 'datatype_mismatch', MESSAGE = format('column "%s" of %s is no text, and has the Ids', key, foreign_table),
			HINT = format('ALTER FOREIGN TABLE %s ALTER COLUMN %I TYPE text;', foreign_table, key);
	ELSIF deletes = 'mark' AND EXISTS (SELECT FROM @extschema@.mirror_columns(foreign_table) m WHERE m.name = 'deleted_at') THEN
		RAISE EXCEPTION USING ERRCODE = 'duplicate_column', MESSAGE = format('%s has a column "deleted_at" of its own', foreign_table),
			HINT = 'A mirror that marks deletions has them there: ALTER FOREIGN TABLE ... RENAME COLUMN.';
	END IF;
	SELECT * INTO cursor_column, created_column FROM @extschema@.mirror_times(foreign_table, '{}');

	SELECT string_agg(format('%I %s%s', m.name, m.type, ' COLLATE ' || m.collation), ', ' ORDER BY m.attnum)
		INTO ddl FROM @extschema@.mirror_columns(foreign_table) m;
	IF deletes = 'mark' THEN
		ddl := ddl || ', deleted_at timestamptz';
	END IF;
	IF existing THEN
		made := place::regclass;
		PERFORM @extschema@.mirror_fits(made, foreign_table, key, deletes);
	ELSE
		EXECUTE format('CREATE TABLE %s (%s, PRIMARY KEY (%I))', place, ddl, key);
		made := place::regclass;
		PERFORM @extschema@.mirror_comments(made, foreign_table, deletes);
	END IF;
	BEGIN
		INSERT INTO @extschema@.mirror_definition (target, source, cursor_column, created_column, deletes, every, lookback,
				compare_every, chunk_rows, formula_every, formula_columns, applied_to)
			VALUES (made, foreign_table, cursor_column, created_column, deletes, every, lookback, compare_every, chunk_rows, formula_every,
				coalesce(formula_columns, '{}'), (SELECT coalesce(max(e.id), 0) FROM @extschema@.change e));
	EXCEPTION WHEN unique_violation THEN
		RAISE EXCEPTION USING ERRCODE = 'duplicate_object', MESSAGE = format('%s is a mirror already, of another role', made),
			HINT = format('A superuser can give it to you: SELECT ampsf.set_mirror_owner(%L, %L);', made, quote_ident(current_user));
	END;
	PERFORM @extschema@.mirror_begin(made, existing, parallel, drift, coalesce(foreign_keys, false));
	PERFORM @extschema@.cron_follow();
	PERFORM @extschema@.wake();
	IF live_view THEN
		PERFORM @extschema@.live_view(made, live_formulas);
	END IF;
	IF history THEN
		PERFORM @extschema@.history(made);
	END IF;
	IF writeback THEN
		PERFORM @extschema@.set_writeback(made, true, conflicts);
	END IF;
	RETURN made;
END $$;
COMMENT ON FUNCTION @extschema@.mirror IS
	'makes a local table, or takes one that is there (existing), that CALL ampsf.sync(table) fills and keeps equal to the object; deletes: remove, or mark (deleted_at)';

CREATE FUNCTION @extschema@.unmirror(target regclass) RETURNS void
LANGUAGE plpgsql STRICT SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	PERFORM @extschema@.mirror_claim(target);
	PERFORM @extschema@.writeback_end(target);
	PERFORM @extschema@.live_view_suspend(d, true), @extschema@.history_stop(d) FROM @extschema@.mirror_definition d WHERE d.target = unmirror.target;
	DELETE FROM @extschema@.mirror_run r WHERE r.target = unmirror.target;
	DELETE FROM @extschema@.mirror_chunk c WHERE c.target = unmirror.target;
	DELETE FROM @extschema@.merge m WHERE m.target = unmirror.target;
	DELETE FROM @extschema@.mirror_definition d WHERE d.target = unmirror.target;
	PERFORM @extschema@.cron_follow();
	PERFORM @extschema@.wake(start => false);
END $$;
COMMENT ON FUNCTION @extschema@.unmirror(regclass) IS 'the table stays, with its rows, and is kept no longer';

CREATE FUNCTION @extschema@.pause(target regclass) RETURNS void
LANGUAGE plpgsql STRICT SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	PERFORM @extschema@.mirror_find(target);
	UPDATE @extschema@.mirror_definition d SET paused = true WHERE d.target = pause.target;
	PERFORM @extschema@.wake(start => false);
END $$;
COMMENT ON FUNCTION @extschema@.pause(regclass) IS 'ampsf.sync_due() passes the mirror over, and a run under way ends with its chunk';

CREATE FUNCTION @extschema@.resume(target regclass) RETURNS void
LANGUAGE plpgsql STRICT SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	PERFORM @extschema@.mirror_find(target);
	UPDATE @extschema@.mirror_definition d SET paused = false, next_run = least(next_run, now()), failures = 0
		WHERE d.target = resume.target;
	UPDATE @extschema@.writeback_definition w SET next_run = '-infinity', failures = 0 WHERE w.target = resume.target;
	PERFORM @extschema@.wake();
END $$;
COMMENT ON FUNCTION @extschema@.resume(regclass) IS 'ends a pause, or the wait after a failure: the mirror is due now, and so is what is to be written back';
