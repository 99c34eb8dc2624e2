-- Few rows or very many come through the same statements here, so that each is planned for what it is given.

-- Keys of new rows in what is to be sent become their Ids; true if nothing stands in the way of the entry.
CREATE FUNCTION @extschema@.writeback_refer(entry bigint) RETURNS boolean
LANGUAGE plpgsql STRICT SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	w @extschema@.writeback;
	r record;
	free boolean := true;
BEGIN
	SELECT * INTO w FROM @extschema@.writeback e WHERE e.id = entry;
	FOR r IN SELECT v.value, i.state, i.record_id FROM jsonb_each_text(coalesce(w.old, '{}')) v
			JOIN @extschema@.writeback i ON i.local_id = v.value COLLATE "C" AND i.owner = w.owner AND i.state = 'done' WHERE v.value LIKE 'new-%'
		UNION SELECT v.value, i.state, i.record_id FROM jsonb_each_text(coalesce(w.new, '{}')) v
			JOIN @extschema@.writeback i ON i.local_id = v.value COLLATE "C" AND i.owner = w.owner WHERE v.value LIKE 'new-%' LOOP
		IF r.state = 'done' THEN
			UPDATE @extschema@.writeback e SET
				old = (SELECT jsonb_object_agg(o.key, CASE WHEN o.value = to_jsonb(r.value) THEN to_jsonb(r.record_id) ELSE o.value END)
					FROM jsonb_each(e.old) o),
				new = (SELECT jsonb_object_agg(o.key, CASE WHEN o.value = to_jsonb(r.value) THEN to_jsonb(r.record_id) ELSE o.value END)
					FROM jsonb_each(e.new) o)
				WHERE e.id = entry;
		ELSIF r.state IN ('queued', 'sending', 'in doubt') THEN
			UPDATE @extschema@.writeback e SET waits_for = r.value WHERE e.id = entry;
			free := false;
		ELSE
			PERFORM @extschema@.writeback_close(entry, 'refused', 'NOT_CREATED', format('The row %s, which it refers to, was not created.', r.value));
			RETURN false;
		END IF;
	END LOOP;
	RETURN free;
END $$;
COMMENT ON FUNCTION @extschema@.writeback_refer(bigint) IS 'of write-back';

-- Changes that were made while their rows were being created: those have their Ids now.
CREATE FUNCTION @extschema@.writeback_map(d @extschema@.mirror_definition) RETURNS void
LANGUAGE sql SET search_path = pg_catalog, pg_temp SET enable_nestloop = on SET enable_hashjoin = off SET enable_mergejoin = off AS $$
	UPDATE @extschema@.writeback e SET record_id = i.record_id FROM @extschema@.writeback i
		WHERE e.target = d.target AND e.state = 'queued' AND e.operation <> 'insert' AND e.record_id >= 'new-' AND e.record_id < 'new.'
			AND i.local_id = e.record_id AND i.owner = e.owner AND i.state = 'done'
$$;
COMMENT ON FUNCTION @extschema@.writeback_map(@extschema@.mirror_definition) IS 'of write-back';

-- The next changes that can be sent together, in the order in which they were made: of one operation, and of
-- each row what was changed meanwhile.  Rows with changes that cannot be sent yet are passed over.
CREATE FUNCTION @extschema@.writeback_next(d @extschema@.mirror_definition, most integer, OUT ids bigint[], OUT operation text)
-- In the order of the queue, whatever is known of its size: a hundred thousand may have come just now.
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_custom_plan
	SET enable_sort = off SET enable_bitmapscan = off SET enable_nestloop = on SET enable_hashjoin = off SET enable_mergejoin = off AS $$
DECLARE
	w record;
	new_rows text[];
	refer bigint[];
BEGIN
	PERFORM @extschema@.writeback_map(d);
	-- Or never will: the change was made while that was not known yet.
	UPDATE @extschema@.writeback e SET state = 'refused', pending = false, followed = true, finished = clock_timestamp(), error_code = 'NOT_CREATED',
			message = 'The row was not created.' FROM @extschema@.writeback i
		WHERE e.target = d.target AND e.state = 'queued' AND e.operation <> 'insert' AND e.record_id >= 'new-' AND e.record_id < 'new.'
			AND i.local_id = e.record_id AND i.owner = e.owner AND i.state IN ('refused', 'dropped');
	LOOP
		ids := '{}';
		operation := NULL;
		new_rows := '{}';
		refer := '{}';
		FOR w IN
			SELECT e.id, e.record_id, e.operation, e.old::text LIKE '%"new-%' OR e.new::text LIKE '%"new-%' AS refers
			FROM @extschema@.writeback e
			WHERE e.target = d.target AND e.state = 'queued' AND e.waits_for IS NULL
				AND e.id < coalesce((SELECT min(p.id) FROM @extschema@.writeback p WHERE p.target = e.target AND p.record_id = e.record_id
					AND p.pending AND (p.waits_for IS NOT NULL OR p.state <> 'queued')), e.id + 1)
			ORDER BY e.id LIMIT most LOOP
			operation := coalesce(operation, w.operation);
			IF w.operation = 'insert' THEN
				EXIT WHEN operation <> 'insert' OR cardinality(new_rows) = 200;
				new_rows := new_rows || w.record_id;
			ELSE
				-- of a row that is new itself
				EXIT WHEN w.operation <> operation AND NOT (operation = 'insert' AND w.record_id = ANY (new_rows));
			END IF;
			ids := ids || w.id;
			IF w.refers THEN
				refer := refer || w.id;
			END IF;
		END LOOP;
		EXIT WHEN coalesce((SELECT bool_and(@extschema@.writeback_refer(r)) FROM unnest(refer) r), true);
	END LOOP;
	ids := nullif(ids, '{}');
END $$;
COMMENT ON FUNCTION @extschema@.writeback_next(@extschema@.mirror_definition, integer) IS 'of write-back';

-- What is committed before a call, and after it, is to outlast a crash, or rows would be created twice.
CREATE FUNCTION @extschema@.writeback_durable() RETURNS void
LANGUAGE sql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
	SELECT set_config('synchronous_commit', 'local', true) WHERE current_setting('synchronous_commit') = 'off'
$$;
COMMENT ON FUNCTION @extschema@.writeback_durable() IS 'of write-back';

-- Makes changes ready to be sent: those of one row become one, and are compared with the org's row as it is now.
-- Committed before anything is sent, so that whoever comes after a crash knows what may have been.  How many rows
-- are to be sent; null if nothing is left.
CREATE FUNCTION @extschema@.writeback_pick(target regclass) RETURNS integer
LANGUAGE plpgsql STRICT SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_custom_plan SET enable_nestloop = off SET enable_bitmapscan = off AS $$
DECLARE
	d @extschema@.mirror_definition := @extschema@.mirror_find(target);
	policy text := (SELECT w.conflicts FROM @extschema@.writeback_definition w WHERE w.target = d.target);
	s record;
	most integer := (SELECT w.call_rows FROM @extschema@.writeback_definition w WHERE w.target = d.target);
	got record;
	problem record;
	columns text[];
	g record;
	clash text[];
	send jsonb;
	n integer := 0;
	shared text[] := ARRAY(SELECT m.name::text FROM @extschema@.mirror_shared(d) m);
BEGIN
	PERFORM @extschema@.writeback_durable();
	SELECT * INTO s FROM @extschema@.writeback_source(d.source);
	-- The org finds out what is created only one by one, so Bulk jobs are for the others.
	IF s.bulk_from IS NOT NULL AND most >= 200 AND (SELECT count(*) FROM (SELECT FROM @extschema@.writeback e
		WHERE e.target = d.target AND e.state = 'queued' AND e.operation <> 'insert' LIMIT s.bulk_from) q) >= s.bulk_from THEN
		most := greatest(s.bulk_from, 200) * 5;
	END IF;
	LOOP
		SELECT * INTO got FROM @extschema@.writeback_next(d, most) x;
		IF got.ids IS NULL THEN
			RETURN NULL;
		END IF;
		-- unless somebody has dropped one just now
		EXIT WHEN (SELECT count(*) FROM (SELECT FROM @extschema@.writeback e WHERE e.id = ANY (got.ids) AND e.state = 'queued' FOR UPDATE) l)
			= cardinality(got.ids);
	END LOOP;
	-- What would fail before anything is sent fails here, where nothing is in doubt yet.
	SELECT * INTO problem FROM @extschema@.writeback_rows(d.source, got.operation, '{}', '{}', NULL, false);
	IF FOUND THEN
		RAISE EXCEPTION USING MESSAGE = problem.message, ERRCODE = problem.id, DETAIL = coalesce(problem.code, ''),
			HINT = coalesce(problem.fields, '');
	END IF;
	columns := CASE got.operation
		WHEN 'delete' THEN @extschema@.writeback_columns(d.source)
		WHEN 'update' THEN ARRAY(SELECT DISTINCT k FROM @extschema@.writeback e, jsonb_object_keys(e.new) k WHERE e.id = ANY (got.ids)) END;
	FOR g IN
		WITH r AS MATERIALIZED (
			SELECT e.record_id, min(e.id) AS head, array_agg(e.id) AS ids, bool_or(e.operation = 'delete') AS gone,
				bool_or(e.forced) AS forced, bool_or(e.doubtful) AS doubtful, max(e.attempts) AS attempts
			FROM @extschema@.writeback e WHERE e.id = ANY (got.ids) GROUP BY e.record_id),
		o AS MATERIALIZED (
			SELECT x.* FROM @extschema@.writeback_org(d, columns,
				CASE WHEN got.operation <> 'insert' THEN ARRAY(SELECT r.record_id FROM r) ELSE '{}' END) x
			WHERE got.operation <> 'insert')
		SELECT r.*, o.id AS org_id, o.stamp, o.fields,
			(SELECT jsonb_object_agg(v.key, v.value ORDER BY e.id) FROM @extschema@.writeback e, jsonb_each(e.new) v WHERE e.id = ANY (r.ids)) AS new,
			(SELECT jsonb_object_agg(v.key, v.value ORDER BY e.id DESC) FROM @extschema@.writeback e, jsonb_each(e.old) v
				WHERE e.id = ANY (r.ids) AND got.operation <> 'insert') AS old,
			(SELECT jsonb_object_agg(v.key, v.value ORDER BY e.id) FROM @extschema@.writeback e, jsonb_each(e.tried) v WHERE e.id = ANY (r.ids)) AS tried
		FROM r LEFT JOIN o ON o.id = r.record_id ORDER BY r.head LOOP
		UPDATE @extschema@.writeback e SET head = g.head WHERE e.id = ANY (g.ids);
		IF got.operation = 'insert' AND g.gone THEN
			PERFORM @extschema@.writeback_close(g.head, 'dropped', NULL, 'The row was deleted before it was sent.');
			CONTINUE;
		ELSIF g.new IS NOT NULL AND NOT ARRAY(SELECT jsonb_object_keys(g.new)) <@ shared THEN
			PERFORM @extschema@.writeback_close(g.head, 'refused', 'INVALID_FIELD', 'The org has this field no longer, or hides it.',
				array_to_string(ARRAY(SELECT jsonb_object_keys(g.new) EXCEPT SELECT unnest(shared)), ', '));
			CONTINUE;
		ELSIF got.operation = 'insert' THEN
			send := jsonb_strip_nulls(coalesce(g.new, '{}'));
		ELSIF g.org_id IS NULL THEN
			PERFORM @extschema@.writeback_close(g.head, CASE got.operation WHEN 'delete' THEN 'done' ELSE 'conflict' END, 'ENTITY_IS_DELETED',
				'The org has the row no longer.');
			CONTINUE;
		ELSE
			-- Changed there, and otherwise than here.
			clash := ARRAY(SELECT o.key FROM jsonb_each(CASE got.operation WHEN 'delete' THEN g.fields ELSE g.new END) o
				WHERE g.fields ? o.key AND NOT @extschema@.writeback_same(g.fields -> o.key, g.old -> o.key)
					AND (got.operation = 'delete' OR NOT @extschema@.writeback_same(g.fields -> o.key, g.new -> o.key))
					AND NOT (coalesce(g.tried ? o.key, false) AND @extschema@.writeback_same(g.fields -> o.key, g.tried -> o.key))
				ORDER BY o.key);
			IF cardinality(clash) > 0 AND NOT g.forced AND policy <> 'mine' THEN
				PERFORM @extschema@.writeback_close(g.head, CASE policy WHEN 'theirs' THEN 'dropped' ELSE 'conflict' END, NULL,
					'The org''s row has changed, too.', array_to_string(clash, ', '),
					(SELECT jsonb_object_agg(c, g.fields -> c) FROM unnest(clash) c));
				CONTINUE;
			END IF;
			send := (SELECT jsonb_object_agg(o.key, o.value) FROM jsonb_each(g.new) o
				WHERE NOT g.fields ? o.key OR NOT @extschema@.writeback_same(g.fields -> o.key, o.value));
			IF got.operation = 'update' AND send IS NULL THEN
				PERFORM @extschema@.writeback_close(g.head, 'done', NULL, 'The org had these values already.');
				CONTINUE;
			END IF;
		END IF;
		UPDATE @extschema@.writeback e SET state = 'sending', started = clock_timestamp(), attempts = g.attempts + 1
			WHERE e.id = ANY (g.ids);
		UPDATE @extschema@.writeback e SET sent = send, sent_base = g.stamp,
				sent_as = CASE WHEN got.operation = 'insert' AND g.doubtful THEN 'upsert' ELSE got.operation END
			WHERE e.id = g.head;
		n := n + 1;
	END LOOP;
	RETURN n;
END $$;
COMMENT ON FUNCTION @extschema@.writeback_pick(regclass) IS 'of write-back';

-- Sends what was made ready, and records what became of it.  An error that kept something from being sent is
-- returned, not raised: message, SQLSTATE, detail, hint.
CREATE FUNCTION @extschema@.writeback_send(target regclass) RETURNS text[]
LANGUAGE plpgsql STRICT SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	d @extschema@.mirror_definition := @extschema@.mirror_find(target);
	policy text := (SELECT w.conflicts FROM @extschema@.writeback_definition w WHERE w.target = d.target);
	s record;
	call record;
	heads bigint[];
	outcomes record;
	o record;
	h bigint;
	tries integer;
	error text[];
	spoilt boolean := false;
	guarded boolean;
	bulk boolean;
	many boolean := (SELECT count(*) FROM (SELECT FROM @extschema@.writeback e
		WHERE e.target = d.target AND e.state = 'queued' LIMIT 1000) q) = 1000;
BEGIN
	PERFORM @extschema@.writeback_durable();
	SELECT * INTO s FROM @extschema@.writeback_source(d.source);
	FOR call IN SELECT e.sent_as, array_agg(e.id ORDER BY e.id) AS heads, array_agg(e.record_id ORDER BY e.id) AS ids,
			array_agg(e.sent ORDER BY e.id) AS rows, array_agg(e.sent_base ORDER BY e.id) AS stamps, count(*) AS n, bool_or(e.forced) AS forced
		FROM @extschema@.writeback e WHERE e.target = d.target AND e.state = 'sending' AND e.head = e.id GROUP BY e.sent_as LOOP
		bulk := call.sent_as IN ('update', 'delete') AND s.bulk_from IS NOT NULL AND call.n >= s.bulk_from;
		-- The condition makes each row a request of its own, so many rows are not sent under it unless asked for.
		guarded := call.sent_as = 'update' AND s.stamp IS NOT NULL AND policy <> 'mine' AND NOT bulk AND (s.if_unchanged OR NOT many)
			AND array_position(call.stamps, NULL) IS NULL;
		SELECT array_agg(r.n) AS n, array_agg(r.outcome) AS outcome, array_agg(r.id) AS id, array_agg(r.code) AS code,
				array_agg(r.message) AS message, array_agg(r.fields) AS fields
			INTO outcomes FROM @extschema@.writeback_rows(d.source, call.sent_as, call.ids, call.rows,
				CASE WHEN guarded THEN call.stamps END, bulk) r;
		FOR o IN SELECT * FROM unnest(outcomes.n, outcomes.outcome, outcomes.id, outcomes.code, outcomes.message, outcomes.fields)
			r (n, outcome, id, code, message, fields) LOOP
			IF o.n = 0 THEN
				error := ARRAY[o.message, o.id, o.code, o.fields];
				CONTINUE;
			END IF;
			h := call.heads[o.n];
			tries := (SELECT e.attempts FROM @extschema@.writeback e WHERE e.id = h);
			IF o.outcome = 'written' THEN
				PERFORM @extschema@.writeback_close(h, 'done');
				IF call.sent_as IN ('insert', 'upsert') THEN
					PERFORM @extschema@.writeback_created(d, h, o.id);
				END IF;
			ELSIF o.outcome = 'in doubt' THEN
				PERFORM @extschema@.writeback_doubt(d, h, coalesce(o.message, 'The connection was lost before the answer came.'));
			ELSIF o.outcome = 'not sent' AND call.n = 1 AND o.code IN ('INVALID_FIELD', 'INVALID_FIELD_FOR_INSERT_UPDATE', 'JSON_PARSER_ERROR') THEN
				-- A call that is refused for its one row: nothing is wrong but that.
				PERFORM @extschema@.writeback_close(h, 'refused', o.code, o.message, o.fields);
				spoilt := true;
			ELSIF o.outcome = 'not sent' OR o.code IN ('PRECONDITION_FAILED', 'UNABLE_TO_LOCK_ROW') AND tries < 10 THEN
				UPDATE @extschema@.writeback e SET state = 'queued', head = NULL, sent = NULL, sent_as = NULL,
						attempts = CASE WHEN o.outcome = 'not sent' THEN tries - 1 ELSE tries END
					WHERE e.head = h;
				spoilt := spoilt OR o.outcome = 'not sent' AND o.code IN ('INVALID_FIELD', 'INVALID_FIELD_FOR_INSERT_UPDATE', 'JSON_PARSER_ERROR');
			ELSIF o.code IN ('ENTITY_IS_DELETED', 'NOT_FOUND') AND call.sent_as = 'delete' THEN
				PERFORM @extschema@.writeback_close(h, 'done', 'ENTITY_IS_DELETED', o.message);
			ELSIF o.code = 'ENTITY_IS_DELETED' AND call.sent_as = 'update' AND o.fields IS NULL THEN
				PERFORM @extschema@.writeback_close(h, 'conflict', o.code, o.message);
			ELSIF o.code = 'PRECONDITION_FAILED' THEN
				PERFORM @extschema@.writeback_close(h, 'conflict', o.code, 'The org''s row changes all the time.');
			ELSE
				PERFORM @extschema@.writeback_close(h, 'refused', o.code, o.message, o.fields);
			END IF;
		END LOOP;
		-- One row spoils a whole call: it is found by ever fewer of them.
		UPDATE @extschema@.writeback_definition w
			SET call_rows = CASE WHEN spoilt THEN greatest(least(call.n, 200) / 4, 1) ELSE least(w.call_rows * 2, 200) END
			WHERE w.target = d.target AND (spoilt OR w.call_rows < 200);
		IF spoilt THEN
			error := NULL;
		END IF;
	END LOOP;
	PERFORM @extschema@.writeback_name(d);
	RETURN error;
END $$;
COMMENT ON FUNCTION @extschema@.writeback_send(regclass) IS 'of write-back';

-- The org has given a row its Id.  Until the row here has it too, nothing else is to bring it in a second time.
CREATE FUNCTION @extschema@.writeback_created(d @extschema@.mirror_definition, head_id bigint, id text) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	key text := (SELECT e.local_id FROM @extschema@.writeback e WHERE e.id = head_id);
BEGIN
	UPDATE @extschema@.writeback e SET record_id = writeback_created.id, pending = e.id = head_id
		WHERE e.head = head_id;
	UPDATE @extschema@.writeback e SET record_id = writeback_created.id
		WHERE e.target = d.target AND e.record_id = key AND e.state = 'queued';
	UPDATE @extschema@.writeback e SET waits_for = NULL WHERE e.waits_for = key AND e.owner = d.owner;
END $$;
COMMENT ON FUNCTION @extschema@.writeback_created(@extschema@.mirror_definition, bigint, text) IS 'of write-back';

-- Rows that were created get their Ids here, but for those that somebody is at.  A run or an event may have brought
-- one from the org before it was known to be the one here, which others refer to and which has the table's own columns.
CREATE FUNCTION @extschema@.writeback_rename(d @extschema@.mirror_definition, entries bigint[]) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_custom_plan AS $$
DECLARE
	key name := @extschema@.mirror_key(d);
	locals text[];
	ids text[];
	here text[];
	free text[];
	n bigint;
BEGIN
	SELECT array_agg(e.local_id), array_agg(e.record_id) INTO locals, ids FROM @extschema@.writeback e WHERE e.id = ANY (entries);
	EXECUTE format('SELECT coalesce(array_agg(t.%1$I::text), ''{}'') FROM unnest($1) r (id) JOIN %2$s t ON t.%1$I = r.id', key, d.target)
		INTO here USING locals;
	EXECUTE format('SELECT coalesce(array_agg(l.id), ''{}'') FROM (SELECT t.%1$I::text AS id FROM unnest($1) r (id) JOIN %2$s t ON t.%1$I = r.id '
		'FOR UPDATE OF t SKIP LOCKED) l', key, d.target) INTO free USING here;
	EXECUTE format('DELETE FROM %1$s t USING unnest($1, $2) r (local, id) WHERE t.%2$I = r.id AND r.local = ANY ($3)', d.target, key)
		USING locals, ids, free;
	GET DIAGNOSTICS n = ROW_COUNT;
	UPDATE @extschema@.mirror_definition m SET rows = m.rows - n WHERE m.target = d.target AND n > 0;
	EXECUTE format('UPDATE %1$s t SET %2$I = r.id FROM unnest($1, $2) r (local, id) WHERE t.%2$I = r.local AND r.local = ANY ($3)', d.target, key)
		USING locals, ids, free;
	UPDATE @extschema@.writeback e SET pending = false,
			message = CASE WHEN e.message NOT LIKE 'The row cannot be given%' THEN e.message END
		WHERE e.id = ANY (entries) AND (e.local_id = ANY (free) OR NOT e.local_id = ANY (here));
END $$;
COMMENT ON FUNCTION @extschema@.writeback_rename(@extschema@.mirror_definition, bigint[]) IS 'of write-back';

CREATE FUNCTION @extschema@.writeback_name(d @extschema@.mirror_definition) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	entries bigint[] := ARRAY(SELECT e.id FROM @extschema@.writeback e
		WHERE e.target = d.target AND e.pending AND e.operation = 'insert' AND e.state = 'done' ORDER BY e.id);
	was boolean;
	wait text;
	problem text;
BEGIN
	IF entries = '{}' THEN
		RETURN;
	END IF;
	was := @extschema@.mirror_applying(true);
	wait := current_setting('lock_timeout');
	PERFORM set_config('lock_timeout', '2s', true);
	BEGIN
		PERFORM @extschema@.writeback_rename(d, entries);
	EXCEPTION WHEN OTHERS THEN
		-- One of them cannot: a key refers to it that does not follow, for instance.
		FOR i IN 1 .. cardinality(entries) LOOP
			BEGIN
				PERFORM @extschema@.writeback_rename(d, entries[i : i]);
			EXCEPTION WHEN OTHERS THEN
				GET STACKED DIAGNOSTICS problem = MESSAGE_TEXT;
				UPDATE @extschema@.writeback e SET message = 'The row cannot be given its Id here: ' || problem WHERE e.id = entries[i];
			END;
		END LOOP;
	END;
	PERFORM set_config('lock_timeout', wait, true), @extschema@.mirror_applying(was);
END $$;
COMMENT ON FUNCTION @extschema@.writeback_name(@extschema@.mirror_definition) IS 'of write-back';

-- What the org made of what was sent (defaults, rounded and trimmed values) is what later changes of the row, which
-- were made before that was known, stand on; else they would seem to be in conflict with it.  Called when the rows
-- have been read again: whatever is changed from then on stands on that.
CREATE FUNCTION @extschema@.writeback_rebase(target regclass) RETURNS void
LANGUAGE plpgsql STRICT SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_custom_plan AS $$
DECLARE
	d @extschema@.mirror_definition := @extschema@.mirror_find(target);
	heads bigint[] := ARRAY(SELECT e.id FROM @extschema@.writeback e
		WHERE e.target = d.target AND NOT e.followed AND e.state = 'done' AND e.head = e.id);
	w record;
	f record;
	left_over text[];
	part text[];
BEGIN
	FOR w IN
		WITH s AS MATERIALIZED (
			SELECT e.record_id, max(e.id) AS id, bool_or(e.operation = 'insert') AS new,
				array_agg(DISTINCT k.k) FILTER (WHERE k.k IS NOT NULL) AS keys
			FROM @extschema@.writeback e LEFT JOIN LATERAL jsonb_object_keys(e.sent) k (k) ON true
			WHERE e.id = ANY (heads) AND EXISTS (SELECT FROM @extschema@.writeback q
				WHERE q.target = d.target AND q.record_id = e.record_id AND q.pending AND q.state = 'queued' AND coalesce(q.follows, 0) < e.id)
			GROUP BY e.record_id),
		o AS MATERIALIZED (
			SELECT x.* FROM @extschema@.writeback_org(d, @extschema@.writeback_columns(d.source), ARRAY(SELECT s.record_id FROM s)) x
			WHERE EXISTS (SELECT FROM s))
		SELECT s.*, o.fields FROM s JOIN o ON o.id = s.record_id LOOP
		left_over := CASE WHEN w.new THEN ARRAY(SELECT jsonb_object_keys(w.fields)) ELSE w.keys END;
		FOR f IN SELECT e.id, e.operation, e.old, e.follows FROM @extschema@.writeback e
			WHERE e.target = d.target AND e.record_id = w.record_id AND e.pending AND e.state = 'queued' ORDER BY e.id LOOP
			part := ARRAY(SELECT k FROM unnest(left_over) k WHERE w.fields ? k AND (f.operation = 'delete' OR f.old ? k));
			IF coalesce(f.follows, 0) < w.id THEN
				UPDATE @extschema@.writeback e SET follows = w.id,
						old = coalesce(e.old, '{}') || coalesce((SELECT jsonb_object_agg(k, w.fields -> k) FROM unnest(part) k), '{}')
					WHERE e.id = f.id;
			END IF;
			IF f.operation = 'update' THEN
				left_over := ARRAY(SELECT k FROM unnest(left_over) k WHERE NOT k = ANY (part));
			END IF;
		END LOOP;
	END LOOP;
	-- Where there are such changes the row itself is not as the org has it yet, and what is changed next stands on it.
	UPDATE @extschema@.writeback e SET followed = true WHERE e.id = ANY (heads) AND e.settled
		AND NOT EXISTS (SELECT FROM @extschema@.writeback q
			WHERE q.target = d.target AND q.record_id = e.record_id AND q.pending AND q.state = 'queued');
END $$;
COMMENT ON FUNCTION @extschema@.writeback_rebase(regclass) IS 'of write-back';

-- Rows whose changes have come to an end become what the org has: with its stamps and formulas, or without what
-- it has refused.  Rows are not locked while the org is asked: the table's trigger sees to those that are changed
-- meanwhile.  settled: nothing is left; more: but there is, to be done at once.
CREATE FUNCTION @extschema@.writeback_settle(target regclass, OUT settled boolean, OUT more boolean)
LANGUAGE plpgsql STRICT SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_custom_plan AS $$
DECLARE
	d @extschema@.mirror_definition := @extschema@.mirror_find(target);
	key name := @extschema@.mirror_key(d);
	was boolean;
	entries bigint[];
	rows text[];
	free text[];
	unlocked text[];
	gone text[];
	n bigint;
	delta bigint;
BEGIN
	settled := false;
	more := false;
	IF NOT EXISTS (SELECT FROM @extschema@.writeback e WHERE e.target = d.target AND NOT e.settled AND e.state <> 'queued'
		AND (NOT e.pending OR e.state = 'done')) THEN
		settled := true;
		RETURN;
	ELSIF NOT pg_try_advisory_xact_lock(hashtext('@extschema@.mirror'), target::oid::integer) THEN
		RETURN;
	END IF;
	PERFORM @extschema@.writeback_name(d), @extschema@.writeback_map(d);
	entries := ARRAY(SELECT e.id FROM @extschema@.writeback e WHERE e.target = d.target AND NOT e.settled AND e.state <> 'queued' AND NOT e.pending
		ORDER BY e.id LIMIT 2000);
	-- Rows that somebody is changing now are for later, or this would wait for them.
	rows := ARRAY(SELECT DISTINCT e.record_id FROM unnest(entries) x JOIN @extschema@.writeback e ON e.id = x);
	EXECUTE format('SELECT array_agg(r.id) FROM unnest($1) r (id) WHERE NOT EXISTS (SELECT FROM %1$s t WHERE t.%2$I = r.id)',
		d.target, key) INTO free USING rows;
	free := coalesce(free, '{}');
	BEGIN
		EXECUTE format('SELECT array_agg(l.id) FROM (SELECT t.%2$I::text AS id FROM unnest($1) r (id) JOIN %1$s t ON t.%2$I = r.id '
			'FOR UPDATE OF t SKIP LOCKED) l', d.target, key) INTO unlocked USING rows;
		RAISE EXCEPTION USING ERRCODE = 'AMPSF', MESSAGE = 'lets go of the rows';
	EXCEPTION WHEN SQLSTATE 'AMPSF' THEN
		free := free || coalesce(unlocked, '{}');
	END;
	gone := ARRAY(SELECT DISTINCT e.record_id FROM unnest(entries) x JOIN @extschema@.writeback e ON e.id = x
			JOIN unnest(free) f ON f = e.record_id
		WHERE (e.operation = 'delete' AND e.state = 'done' OR e.error_code = 'ENTITY_IS_DELETED'));
	delta := (SELECT count(*) FILTER (WHERE e.operation = 'insert') - count(*) FILTER (WHERE e.operation = 'delete')
		FROM unnest(entries) x JOIN @extschema@.writeback e ON e.id = x JOIN unnest(free) f ON f = e.record_id WHERE e.state = 'done');
	rows := ARRAY(SELECT r FROM unnest(free) r EXCEPT SELECT r FROM unnest(gone) r);
	-- Rows that were not created, or not by us.
	was := @extschema@.mirror_applying(true);
	EXECUTE format('DELETE FROM %s t WHERE t.%I = ANY ($1)', d.target, key)
		USING ARRAY(SELECT r FROM unnest(rows) r WHERE r LIKE 'new-%');
	PERFORM @extschema@.mirror_applying(was);
	IF cardinality(gone) > 0 THEN
		PERFORM @extschema@.history_close(d, gone, array_fill(clock_timestamp(), ARRAY[cardinality(gone)]));
		n := @extschema@.mirror_remove(d, gone, array_fill(clock_timestamp(), ARRAY[cardinality(gone)]));
		delta := delta - CASE WHEN d.deletes = 'remove' THEN n ELSE 0 END;
	END IF;
	rows := ARRAY(SELECT r FROM unnest(rows) r WHERE r NOT LIKE 'new-%');
	FOR i IN 1 .. cardinality(rows) BY 2000 LOOP
		PERFORM @extschema@.mirror_read(d, format('%I = ANY ($3)', key), NULL, NULL, rows[i : i + 1999]);
	END LOOP;
	IF d.history IS NOT NULL THEN
		-- A row that is already as the org has it, by the user's own change, is a version now.
		was := @extschema@.mirror_applying(true);
		EXECUTE format('UPDATE %s t SET %I = t.%2$I WHERE t.%2$I = ANY ($1)', d.target, key) USING rows;
		PERFORM @extschema@.mirror_applying(was);
	END IF;
	UPDATE @extschema@.writeback e SET settled = true FROM unnest(entries) x, unnest(free) f WHERE e.id = x AND e.record_id = f;
	GET DIAGNOSTICS n = ROW_COUNT;
	more := n > 0 AND cardinality(entries) = 2000;
	UPDATE @extschema@.mirror_definition m SET rows = m.rows + delta WHERE m.target = d.target AND delta <> 0;
	settled := NOT EXISTS (SELECT FROM @extschema@.writeback e WHERE e.target = d.target AND NOT e.settled AND e.state <> 'queued'
		AND (NOT e.pending OR e.state = 'done'));
END $$;
COMMENT ON FUNCTION @extschema@.writeback_settle(regclass) IS 'of write-back';
