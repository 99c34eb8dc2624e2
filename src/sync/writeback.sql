-- Turns write-back of a mirror on or off, or changes what conflicts do.
CREATE FUNCTION @extschema@.set_writeback(
	target regclass, enabled boolean DEFAULT true, conflicts text DEFAULT NULL)
RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	d @extschema@.mirror_definition;
	s record;
	key name;
	part regclass;
	c record;
BEGIN
	IF target IS NULL OR enabled IS NULL THEN
		RAISE EXCEPTION USING ERRCODE = 'null_value_not_allowed', MESSAGE = 'the mirror is null, or whether it is written back';
	END IF;
	d := @extschema@.mirror_find(target);
	IF conflicts NOT IN ('report', 'mine', 'theirs') THEN
		RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value', MESSAGE = format('"%s" is no way to treat conflicts', conflicts),
			HINT = 'It is report, mine, or theirs.';
	END IF;
	key := @extschema@.mirror_key(d);
	IF enabled THEN
		SELECT * INTO s FROM @extschema@.writeback_source(d.source);
		IF NOT s.writable THEN
			RAISE EXCEPTION USING ERRCODE = 'feature_not_supported', MESSAGE = format('mirror %s cannot be written back', target),
				DETAIL = format('Foreign table %s is not writable row by row.', d.source),
				HINT = 'See its options updatable and write_via.';
		ELSIF d.history IS NOT NULL AND d.history = d.target THEN
			RAISE EXCEPTION USING ERRCODE = 'feature_not_supported', MESSAGE = format('mirror %s cannot be written back', target);
		END IF;
	END IF;
	INSERT INTO @extschema@.writeback_definition AS w (target, enabled, conflicts)
		VALUES (d.target, set_writeback.enabled, coalesce(set_writeback.conflicts, 'report'))
		ON CONFLICT ON CONSTRAINT writeback_definition_pkey DO UPDATE SET enabled = excluded.enabled,
			conflicts = coalesce(set_writeback.conflicts, w.conflicts), next_run = '-infinity', failures = 0;
	-- Triggers of partitions follow those of their table, but for TRUNCATE.
	FOR c IN SELECT t.tgname, t.tgrelid::regclass AS rel FROM pg_trigger t
		WHERE t.tgrelid IN (SELECT p.relid FROM pg_partition_tree(target) p UNION SELECT target) AND t.tgparentid = 0
			AND t.tgfoid = '@extschema@.writeback_trigger()'::regprocedure LOOP
		EXECUTE format('DROP TRIGGER %I ON %s', c.tgname, c.rel);
	END LOOP;
	IF enabled THEN
		FOR part IN SELECT p.relid FROM pg_partition_tree(target) p UNION SELECT target LOOP
			EXECUTE format('CREATE TRIGGER ampsf_writeback_truncate BEFORE TRUNCATE ON %s FOR EACH STATEMENT '
				'EXECUTE FUNCTION @extschema@.writeback_trigger()', part);
		END LOOP;
	END IF;
	IF enabled THEN
		EXECUTE format('CREATE TRIGGER ampsf_writeback_before BEFORE INSERT OR UPDATE OR DELETE ON %s FOR EACH ROW '
			'EXECUTE FUNCTION @extschema@.writeback_trigger()', target);
		EXECUTE format('CREATE TRIGGER ampsf_writeback_after AFTER INSERT OR UPDATE OR DELETE ON %s FOR EACH ROW '
			'EXECUTE FUNCTION @extschema@.writeback_trigger()', target);
		EXECUTE format('ALTER TABLE %s ALTER COLUMN %I SET DEFAULT @extschema@.writeback_key()', target, key);
	ELSE
		-- The foreign table, which knows the column, may be gone.
		FOR c IN SELECT a.attname FROM pg_attrdef g JOIN pg_attribute a ON a.attrelid = g.adrelid AND a.attnum = g.adnum
			JOIN pg_depend p ON p.classid = 'pg_attrdef'::regclass AND p.objid = g.oid AND p.refclassid = 'pg_proc'::regclass
			WHERE g.adrelid = target AND p.refobjid = '@extschema@.writeback_key()'::regprocedure LOOP
			EXECUTE format('ALTER TABLE %s ALTER COLUMN %I DROP DEFAULT', target, c.attname);
		END LOOP;
	END IF;
END $$;
COMMENT ON FUNCTION @extschema@.set_writeback(regclass, boolean, text) IS
	'turns write-back of a mirror on or off; conflicts: report, mine, or theirs; what is queued is sent either way';

-- Before a mirror is forgotten.
CREATE FUNCTION @extschema@.writeback_end(target regclass) RETURNS void
LANGUAGE plpgsql STRICT SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	n bigint;
BEGIN
	IF NOT EXISTS (SELECT FROM @extschema@.writeback_definition w WHERE w.target = writeback_end.target) THEN
		RETURN;
	END IF;
	SELECT count(*) INTO n FROM @extschema@.writeback w WHERE w.target = writeback_end.target AND w.pending;
	IF n > 0 THEN
		RAISE EXCEPTION USING ERRCODE = 'object_in_use', MESSAGE = format('mirror %s has changes that were not sent', target),
			DETAIL = format('There are %s in ampsf.writeback.', n),
			HINT = 'CALL ampsf.writeback(target) sends them; ampsf.writeback_drop(id) drops one.';
	END IF;
	IF EXISTS (SELECT FROM @extschema@.writeback_definition w WHERE w.target = writeback_end.target AND w.enabled) THEN
		PERFORM @extschema@.set_writeback(target, false);
	END IF;
	DELETE FROM @extschema@.writeback w WHERE w.target = writeback_end.target;
	DELETE FROM @extschema@.writeback_definition w WHERE w.target = writeback_end.target;
END $$;
COMMENT ON FUNCTION @extschema@.writeback_end(regclass) IS 'of write-back';

-- JSON null, a missing value and an empty text are the same to Salesforce.  A local column may be a text where
-- the foreign one is none.
CREATE FUNCTION @extschema@.writeback_same(a jsonb, b jsonb) RETURNS boolean
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
	SELECT x.a IS NOT DISTINCT FROM x.b OR coalesce(x.a #>> '{}' = x.b #>> '{}', false)
	FROM (SELECT CASE WHEN a IN ('null', '""') THEN NULL ELSE a END AS a, CASE WHEN b IN ('null', '""') THEN NULL ELSE b END AS b) x
$$;
COMMENT ON FUNCTION @extschema@.writeback_same(jsonb, jsonb) IS 'of write-back';

-- Rows as the org has them now; values as the triggers write them.
CREATE FUNCTION @extschema@.writeback_org(
	d @extschema@.mirror_definition, columns text[], ids text[], OUT id text, OUT stamp timestamptz, OUT fields jsonb)
RETURNS SETOF record
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET timezone = 'UTC' SET extra_float_digits = 1 AS $$
DECLARE
	key name := @extschema@.mirror_key(d);
	stamp_column name := (SELECT s.stamp FROM @extschema@.writeback_source(d.source) s);
	list text;
BEGIN
	SELECT string_agg(format('s.%I', c.name), ', ') INTO list FROM @extschema@.mirror_shared(d) c
		WHERE c.name = ANY (columns) AND c.name <> key AND c.name <> ALL (d.left_out);
	RETURN QUERY EXECUTE format('SELECT g.id, g.stamp, coalesce(to_jsonb(g) -> ''f'', ''{}'') FROM (SELECT s.%I::text AS id, %s AS stamp, '
		'(SELECT f FROM (SELECT %s) f) AS f FROM %s s WHERE s.%I = ANY ($1)%s) g',
		key, coalesce('s.' || quote_ident(stamp_column) || '::timestamptz', 'NULL::timestamptz'), coalesce(list, ''), d.source,
		key, @extschema@.mirror_filter(d)) USING ids;
END $$;
COMMENT ON FUNCTION @extschema@.writeback_org(@extschema@.mirror_definition, text[], text[]) IS 'of write-back';

CREATE FUNCTION @extschema@.writeback_lock(target regclass) RETURNS boolean
LANGUAGE plpgsql STRICT SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	d @extschema@.mirror_definition := @extschema@.mirror_find(target);
	class integer := hashtext('@extschema@.writeback');
BEGIN
	-- A session that was interrupted between two steps has it still.
	RETURN EXISTS (SELECT FROM pg_locks l WHERE l.locktype = 'advisory' AND l.pid = pg_backend_pid() AND l.granted
			AND l.database = @extschema@.writeback_home() AND l.classid = class::oid AND l.objid = target::oid AND l.objsubid = 2)
		OR pg_try_advisory_lock(class, target::oid::integer);
END $$;
COMMENT ON FUNCTION @extschema@.writeback_lock(regclass) IS 'one sender at a time; of write-back';

CREATE FUNCTION @extschema@.writeback_unlock(target regclass) RETURNS void
LANGUAGE sql STRICT SET search_path = pg_catalog, pg_temp AS $$
	SELECT pg_advisory_unlock(hashtext('@extschema@.writeback'), target::oid::integer)
$$;
COMMENT ON FUNCTION @extschema@.writeback_unlock(regclass) IS 'of write-back';

-- An entry comes to an end; those that were sent with it, and those that were made after it, follow.
CREATE FUNCTION @extschema@.writeback_close(
	head_id bigint, outcome text, code text DEFAULT NULL, text text DEFAULT NULL, fields text DEFAULT NULL, org jsonb DEFAULT NULL)
RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	w @extschema@.writeback;
BEGIN
	UPDATE @extschema@.writeback e SET state = outcome, error_code = code, message = text, fields = writeback_close.fields,
			org = writeback_close.org, pending = outcome = 'in doubt', finished = clock_timestamp(), waits_for = NULL,
			followed = outcome <> 'done' OR e.id <> head_id OR e.operation = 'delete'
		WHERE e.head = head_id OR e.id = head_id;
	IF outcome IN ('done', 'in doubt') THEN
		RETURN;
	END IF;
	-- What was not taken is not what later changes of the row stand on.
	FOR w IN SELECT * FROM @extschema@.writeback e WHERE (e.head = head_id OR e.id = head_id) AND e.operation <> 'delete'
		ORDER BY e.id DESC LOOP
		IF w.operation = 'insert' THEN
			UPDATE @extschema@.writeback f SET state = 'refused', pending = false, followed = true, finished = clock_timestamp(),
					error_code = 'NOT_CREATED', message = 'The row was not created.'
				WHERE f.target = w.target AND f.record_id = w.record_id AND f.state = 'queued';
			UPDATE @extschema@.writeback f SET waits_for = NULL WHERE f.waits_for = w.record_id AND f.owner = w.owner;
		ELSE
			UPDATE @extschema@.writeback f SET old = f.old || (SELECT jsonb_object_agg(o.key, o.value) FROM jsonb_each(w.old) o
					WHERE f.old -> o.key = w.new -> o.key)
				WHERE f.target = w.target AND f.record_id = w.record_id AND f.state = 'queued' AND f.id > w.id
					AND EXISTS (SELECT FROM jsonb_each(w.old) o WHERE f.old -> o.key = w.new -> o.key);
		END IF;
	END LOOP;
END $$;
COMMENT ON FUNCTION @extschema@.writeback_close(bigint, text, text, text, text, jsonb) IS 'of write-back';

-- What a sender that was killed has left: nobody else is at it now.
CREATE FUNCTION @extschema@.writeback_recover(target regclass) RETURNS void
LANGUAGE plpgsql STRICT SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	d @extschema@.mirror_definition := @extschema@.mirror_find(target);
	w record;
BEGIN
	FOR w IN SELECT * FROM @extschema@.writeback e WHERE e.target = d.target AND e.state = 'sending' AND e.head = e.id LOOP
		PERFORM @extschema@.writeback_doubt(d, w.id, 'The sender was interrupted before it knew the answer.');
	END LOOP;
	-- What came by a dump may have been sent after it was made.  Updates and deletes are compared with the org anyhow.
	FOR w IN SELECT * FROM @extschema@.writeback e WHERE e.target = d.target AND e.state = 'queued' AND e.operation = 'insert'
		AND NOT e.doubtful AND e.home <> @extschema@.writeback_home() LOOP
		PERFORM @extschema@.writeback_doubt(d, w.id, 'The change came by a dump, and may have been sent since.');
	END LOOP;
	DELETE FROM @extschema@.writeback e WHERE e.target = d.target AND e.settled AND NOT e.pending AND e.state IN ('done', 'dropped')
		AND e.finished < clock_timestamp() - interval '7 days';
	-- whose rows have been created since, or never will be
	UPDATE @extschema@.writeback e SET waits_for = NULL WHERE e.target = d.target AND e.state = 'queued' AND e.waits_for IS NOT NULL
		AND NOT EXISTS (SELECT FROM @extschema@.writeback i WHERE i.local_id = e.waits_for AND i.owner = e.owner AND i.state IN ('queued', 'sending', 'in doubt'));
END $$;
COMMENT ON FUNCTION @extschema@.writeback_recover(regclass) IS 'of write-back';

-- Nobody knows whether it was written.  What names its row is asked for again; an insert is not repeated,
-- unless it has an external id, by which the org finds the row if it is there.
CREATE FUNCTION @extschema@.writeback_doubt(d @extschema@.mirror_definition, head_id bigint, why text) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	w @extschema@.writeback;
	key name := (SELECT s.upsert_column FROM @extschema@.writeback_source(d.source) s);
BEGIN
	SELECT * INTO w FROM @extschema@.writeback e WHERE e.id = head_id;
	IF w.operation <> 'insert' OR coalesce(coalesce(w.sent, w.new) ->> key, '') <> '' THEN
		UPDATE @extschema@.writeback e SET state = 'queued', doubtful = true, head = NULL, sent = NULL, sent_as = NULL,
				tried = coalesce(e.tried, '{}') || coalesce(w.sent, '{}')
			WHERE e.head = head_id OR e.id = head_id;
	ELSE
		PERFORM @extschema@.writeback_close(head_id, 'in doubt', NULL, why);
	END IF;
END $$;
COMMENT ON FUNCTION @extschema@.writeback_doubt(@extschema@.mirror_definition, bigint, text) IS 'of write-back';
