-- One sender at a time; a failure puts the next run off, longer each time.
CREATE FUNCTION @extschema@.writeback_failed(target regclass, error text[]) RETURNS text[]
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	UPDATE @extschema@.writeback_definition w SET failures = w.failures + 1, last_error = error[1],
			next_run = clock_timestamp() + least(interval '5 seconds' * power(2, least(w.failures, 20)), interval '1 hour')
		WHERE w.target = writeback_failed.target;
	RETURN ARRAY[error[1], error[2], coalesce(nullif(error[3], ''), format('Changes of mirror %s were being sent.', target)),
		coalesce(nullif(error[4], ''), 'What was not sent stays in ampsf.writeback, and is sent by the next run.')];
END $$;
COMMENT ON FUNCTION @extschema@.writeback_failed(regclass, text[]) IS 'of write-back';

CREATE FUNCTION @extschema@.writeback_rest(target regclass, settled boolean) RETURNS void
LANGUAGE sql SET search_path = pg_catalog, pg_temp AS $$
	UPDATE @extschema@.writeback_definition w SET failures = 0, last_error = NULL,
			next_run = CASE WHEN settled THEN '-infinity' ELSE clock_timestamp() + interval '3 seconds' END
		WHERE w.target = writeback_rest.target
$$;
COMMENT ON FUNCTION @extschema@.writeback_rest(regclass, boolean) IS 'of write-back';

-- Steps, each committed: choose and compare; send and record; read again, which may be what is left of a run that was
-- interrupted; tell later changes of it.
CREATE PROCEDURE @extschema@.writeback_sync(target regclass, INOUT busy boolean, INOUT error text[])
LANGUAGE plpgsql AS $$
DECLARE
	stage text := 'recover';
	last boolean := false;
	settled boolean := true;
	sent boolean := false;
	more boolean;
	n integer;
	message text;
	code text;
	detail text;
	hint text;
BEGIN
	error := NULL;
	-- In a transaction of the caller's this fails, before anything is done.
	COMMIT;
	busy := NOT @extschema@.writeback_lock(target);
	COMMIT;
	IF busy THEN
		RETURN;
	END IF;
	LOOP
		BEGIN
			IF stage OPERATOR(pg_catalog.=) 'recover' THEN
				PERFORM @extschema@.writeback_recover(target);
				stage := 'settle';
			ELSIF stage OPERATOR(pg_catalog.=) 'pick' THEN
				n := @extschema@.writeback_pick(target);
				last := n IS NULL;
				stage := CASE WHEN n OPERATOR(pg_catalog.>) 0 THEN 'send' WHEN last THEN 'settle' ELSE 'pick' END;
			ELSIF stage OPERATOR(pg_catalog.=) 'send' THEN
				error := @extschema@.writeback_send(target);
				last := error IS NOT NULL;
				sent := sent OR NOT last;
				stage := 'settle';
			ELSIF stage OPERATOR(pg_catalog.=) 'settle' THEN
				SELECT e.settled, e.more INTO settled, more FROM @extschema@.writeback_settle(target) e;
				stage := CASE WHEN more THEN 'settle' ELSE 'rebase' END;
			ELSE
				PERFORM @extschema@.writeback_rebase(target);
				EXIT WHEN last;
				stage := 'pick';
			END IF;
		EXCEPTION WHEN query_canceled OR OTHERS THEN
			GET STACKED DIAGNOSTICS message = MESSAGE_TEXT, code = RETURNED_SQLSTATE, detail = PG_EXCEPTION_DETAIL,
				hint = PG_EXCEPTION_HINT;
			error := coalesce(error, ARRAY[message, code, detail, hint]);
			EXIT;
		END;
		COMMIT;
	END LOOP;
	IF error IS NULL THEN
		PERFORM @extschema@.writeback_rest(target, settled);
	ELSE
		-- After some that went through it is the first failure of a row.
		IF sent THEN
			PERFORM @extschema@.writeback_rest(target, settled);
		END IF;
		error := @extschema@.writeback_failed(target, error);
	END IF;
	COMMIT;
	PERFORM @extschema@.writeback_unlock(target);
END $$;
COMMENT ON PROCEDURE @extschema@.writeback_sync(regclass, boolean, text[]) IS 'of write-back';

-- The caller's mirrors with changes to be sent.
CREATE FUNCTION @extschema@.writeback_open(OUT targets regclass[], OUT waiting bigint)
LANGUAGE sql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
	SELECT coalesce(array_agg(w.target ORDER BY w.target::oid), '{}'), sum(w.n)::bigint FROM (
		SELECT e.target, count(*) FILTER (WHERE e.state <> 'in doubt') AS n FROM @extschema@.writeback e
			JOIN @extschema@.writeback_definition d ON d.target = e.target
		WHERE NOT e.settled AND e.owner = quote_ident(current_user)::regrole
		GROUP BY e.target) w
$$;
COMMENT ON FUNCTION @extschema@.writeback_open() IS 'of write-back';

CREATE PROCEDURE @extschema@.writeback(target regclass DEFAULT NULL)
LANGUAGE plpgsql AS $$
DECLARE
	busy boolean;
	error text[];
	problem text[];
	todo record;
	waiting bigint;
	t regclass;
BEGIN
	PERFORM @extschema@.mirror_commits('@extschema@.writeback()');
	IF target IS NOT NULL THEN
		CALL @extschema@.writeback_sync(target, busy, error);
		IF busy THEN
			RAISE EXCEPTION USING ERRCODE = 'object_in_use',
				MESSAGE = pg_catalog.format('changes of mirror %s are being sent by another session', target);
		ELSIF error IS NOT NULL THEN
			RAISE EXCEPTION USING MESSAGE = error[1], ERRCODE = error[2], DETAIL = error[3], HINT = error[4];
		END IF;
		RETURN;
	END IF;
	-- Rows of one may wait for those of another, so all have their turn as long as there is progress.
	LOOP
		SELECT * INTO todo FROM @extschema@.writeback_open();
		EXIT WHEN waiting IS NOT NULL AND todo.waiting OPERATOR(pg_catalog.>=) waiting;
		waiting := todo.waiting;
		EXIT WHEN waiting IS NULL;
		FOREACH t IN ARRAY todo.targets LOOP
			CALL @extschema@.writeback_sync(t, busy, error);
			problem := coalesce(problem, error);
		END LOOP;
		EXIT WHEN problem IS NOT NULL;
	END LOOP;
	IF problem IS NOT NULL THEN
		RAISE EXCEPTION USING MESSAGE = problem[1], ERRCODE = problem[2], DETAIL = problem[3], HINT = problem[4];
	END IF;
END $$;
COMMENT ON PROCEDURE @extschema@.writeback(regclass) IS
	'sends what was changed in a mirror that is written back, or in all of the caller''s, now; commits as it goes';

-- Of mirrors whose tables are gone.
CREATE FUNCTION @extschema@.writeback_forget() RETURNS void
LANGUAGE sql SET search_path = pg_catalog, pg_temp AS $$
	DELETE FROM @extschema@.writeback w WHERE NOT EXISTS (SELECT FROM pg_class c WHERE c.oid = w.target);
	DELETE FROM @extschema@.writeback_definition w WHERE NOT EXISTS (SELECT FROM pg_class c WHERE c.oid = w.target)
$$;
COMMENT ON FUNCTION @extschema@.writeback_forget() IS 'of write-back';

-- -------- by hand --------

CREATE FUNCTION @extschema@.writeback_entry(id bigint) RETURNS @extschema@.writeback
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	w @extschema@.writeback;
BEGIN
	SELECT * INTO w FROM @extschema@.writeback e WHERE e.id = writeback_entry.id
		AND e.owner = quote_ident(current_user)::regrole FOR UPDATE;
	IF NOT FOUND THEN
		RAISE EXCEPTION USING ERRCODE = 'no_data_found', MESSAGE = format('there is no change %s of a mirror of yours', coalesce(id::text, 'null')),
			HINT = 'The table ampsf.writeback lists them.';
	END IF;
	RETURN w;
END $$;
COMMENT ON FUNCTION @extschema@.writeback_entry(bigint) IS 'of write-back';

CREATE FUNCTION @extschema@.writeback_retry(id bigint, force boolean DEFAULT false, new jsonb DEFAULT NULL) RETURNS bigint
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	w @extschema@.writeback := @extschema@.writeback_entry(id);
	made bigint;
BEGIN
	IF w.state = 'in doubt' THEN
		IF NOT force THEN
			RAISE EXCEPTION USING ERRCODE = 'object_not_in_prerequisite_state', MESSAGE = format('nobody knows whether change %s was made', id),
				DETAIL = 'If it was, to send it again creates the row a second time.',
				HINT = 'Look for the row in the org; then writeback_drop(id), or writeback_retry(id, force => true).';
		END IF;
		UPDATE @extschema@.writeback e SET state = 'queued', head = NULL, sent = NULL, sent_as = NULL, message = NULL, finished = NULL,
				home = @extschema@.writeback_home(), new = CASE WHEN e.operation = 'insert' THEN e.new || coalesce(writeback_retry.new, '{}') ELSE e.new END
			WHERE e.target = w.target AND e.state = 'in doubt' AND e.head IS NOT DISTINCT FROM w.head AND (w.head IS NOT NULL OR e.id = w.id);
		made := w.id;
	ELSIF w.state IN ('refused', 'conflict', 'dropped') THEN
		-- The entry keeps its outcome: to send it again is another one.
		INSERT INTO @extschema@.writeback (target, owner, role, operation, record_id, local_id, old, new, base, forced)
			SELECT w.target, w.owner, w.role, w.operation, coalesce(k.key, w.record_id), k.key, w.old,
				CASE WHEN w.operation = 'delete' THEN NULL ELSE w.new || coalesce(writeback_retry.new, '{}') END, w.base, force
			FROM (SELECT CASE WHEN w.operation = 'insert' THEN @extschema@.writeback_key() END AS key) k
			RETURNING writeback.id INTO made;
	ELSE
		RAISE EXCEPTION USING ERRCODE = 'object_not_in_prerequisite_state', MESSAGE = format('change %s is %s', id, w.state),
			HINT = 'Only what was refused, in conflict, dropped or in doubt can be sent again.';
	END IF;
	PERFORM @extschema@.wake();
	RETURN made;
END $$;
COMMENT ON FUNCTION @extschema@.writeback_retry(bigint, boolean, jsonb) IS
	'sends again what was refused, in conflict or in doubt; force: over the org''s values; new: with other values; returns the entry''s number';

CREATE FUNCTION @extschema@.writeback_drop(id bigint) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	w @extschema@.writeback := @extschema@.writeback_entry(id);
BEGIN
	IF w.state NOT IN ('queued', 'in doubt') THEN
		RAISE EXCEPTION USING ERRCODE = 'object_not_in_prerequisite_state', MESSAGE = format('change %s is %s', id, w.state),
			HINT = 'Only what is queued or in doubt can be dropped.';
	END IF;
	PERFORM @extschema@.writeback_close(coalesce(w.head, w.id), 'dropped', NULL, 'Dropped by hand.');
	PERFORM @extschema@.wake();
END $$;
COMMENT ON FUNCTION @extschema@.writeback_drop(bigint) IS
	'a change that was not sent, or is in doubt, will not be sent; the mirror''s row becomes the org''s again';

CREATE FUNCTION @extschema@.writeback_found(id bigint, record_id text) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	w @extschema@.writeback := @extschema@.writeback_entry(id);
	d @extschema@.mirror_definition := @extschema@.mirror_find(w.target);
	head bigint := coalesce(w.head, w.id);
	found_id text;
BEGIN
	IF w.state <> 'in doubt' THEN
		RAISE EXCEPTION USING ERRCODE = 'object_not_in_prerequisite_state', MESSAGE = format('change %s is %s', id, w.state),
			HINT = 'Only of what is in doubt it can be said which row it is.';
	END IF;
	SELECT o.id INTO found_id FROM @extschema@.writeback_org(d, '{}', ARRAY[writeback_found.record_id]) o;
	IF found_id IS NULL THEN
		RAISE EXCEPTION USING ERRCODE = 'no_data_found', MESSAGE = format('the org has no row "%s" of mirror %s', record_id, w.target);
	END IF;
	PERFORM @extschema@.writeback_close(head, 'done', NULL, 'Found by hand.'), @extschema@.writeback_created(d, head, found_id),
		@extschema@.wake();
END $$;
COMMENT ON FUNCTION @extschema@.writeback_found(bigint, text) IS
	'what was in doubt was created, as the row with that Id: it is done, and what waits for it goes on';

-- -------- in the background --------

-- Entries left by a sender that was killed are due, too; one that is at work holds the lock, so they are given time.
CREATE FUNCTION @extschema@.writeback_work_due(OUT kind text, OUT key bigint, OUT owner oid, OUT due timestamptz)
RETURNS SETOF record
LANGUAGE sql VOLATILE SET search_path = pg_catalog, pg_temp SET enable_sort = off SET enable_bitmapscan = off AS $$
	SELECT 'writeback', d.target::oid::bigint, d.owner::oid, greatest(d.next_run, e.due)
	FROM @extschema@.writeback_definition d
		JOIN @extschema@.mirror_definition m ON m.target = d.target AND NOT m.paused
		CROSS JOIN LATERAL (
			SELECT least(
				(SELECT min(CASE w.state WHEN 'sending' THEN w.started + interval '30 seconds' ELSE coalesce(w.finished, w.queued) END)
					FROM @extschema@.writeback w WHERE w.target = d.target AND NOT w.settled AND w.state <> 'queued'
						AND (NOT w.pending OR w.state IN ('sending', 'done'))),
				-- The first will do: a hundred thousand may wait, and this is asked for with each of them.
				(SELECT w.queued FROM @extschema@.writeback w WHERE w.target = d.target AND w.state = 'queued'
						AND (w.waits_for IS NULL OR NOT EXISTS (SELECT FROM @extschema@.writeback i
							WHERE i.local_id = w.waits_for AND i.owner = w.owner AND i.state IN ('queued', 'sending', 'in doubt')))
						-- what has to wait for an earlier change of its row
						AND NOT coalesce((SELECT true FROM @extschema@.writeback p WHERE p.target = w.target AND p.record_id = w.record_id AND p.pending
							AND p.id < w.id AND p.state = 'in doubt' LIMIT 1), false)
					ORDER BY w.id LIMIT 1)) AS due OFFSET 0) e
	WHERE e.due IS NOT NULL AND EXISTS (SELECT FROM pg_class c WHERE c.oid = d.target)
$$;
COMMENT ON FUNCTION @extschema@.writeback_work_due() IS 'changes to be sent, and since when; of background workers';

CREATE FUNCTION @extschema@.writeback_work_failed(key bigint, problem text, counts boolean) RETURNS void
LANGUAGE sql SET search_path = pg_catalog, pg_temp AS $$
	UPDATE @extschema@.writeback_definition w SET last_error = problem, failures = w.failures + counts::integer,
			next_run = CASE WHEN counts THEN greatest(w.next_run,
				clock_timestamp() + least(interval '5 seconds' * power(2, least(w.failures, 20)), interval '1 hour')) ELSE w.next_run END
		WHERE w.target = key::oid
$$;
COMMENT ON FUNCTION @extschema@.writeback_work_failed(bigint, text, boolean) IS 'a sender that could not begin, or was ended; of background workers';

CREATE PROCEDURE @extschema@.writeback_work(key bigint)
LANGUAGE plpgsql AS $$
DECLARE
	busy boolean;
	error text[];
	target regclass := key::pg_catalog.oid::pg_catalog.regclass;
BEGIN
	CALL @extschema@.writeback_sync(target, busy, error);
	-- The log has the first failure of a row.
	IF error IS NOT NULL AND EXISTS (SELECT FROM @extschema@.writeback_definition w
		WHERE w.target::pg_catalog.oid OPERATOR(pg_catalog.=) key::pg_catalog.oid AND w.failures OPERATOR(pg_catalog.=) 1) THEN
		RAISE LOG USING MESSAGE = pg_catalog.format('changes of mirror %s could not be sent: %s', target, error[1]), ERRCODE = error[2];
	END IF;
END $$;
COMMENT ON PROCEDURE @extschema@.writeback_work(bigint) IS 'sends changes in the background; of background workers';
