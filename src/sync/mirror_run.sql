-- What follows when deletions have been seen to, or something that a comparison found has been read.
CREATE FUNCTION @extschema@.mirror_after(d @extschema@.mirror_definition) RETURNS text
LANGUAGE sql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
	SELECT CASE WHEN EXISTS (SELECT FROM @extschema@.mirror_chunk c WHERE c.target = d.target) THEN 'deletes'
		WHEN @extschema@.mirror_formulas_due(d) THEN 'formulas' ELSE 'idle' END
$$;
COMMENT ON FUNCTION @extschema@.mirror_after(@extschema@.mirror_definition) IS 'stage of a run; of mirrors';

-- One step of a run, to be committed: begin it, or read a chunk, or see to deletions.  Rows and how far they
-- go are one transaction, so that whatever interrupts a run, the next step goes on where the last one ended.
CREATE FUNCTION @extschema@.mirror_step(target regclass) RETURNS boolean
LANGUAGE plpgsql STRICT SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	d @extschema@.mirror_definition := @extschema@.mirror_claim(target);
	before record;
	after record;
	high timestamptz := 'infinity';
	n_inserted bigint := 0;
	n_updated bigint := 0;
	n_deleted bigint := 0;
	n_chunks integer := 0;
	log record;
	by_ids boolean := false;
	counted bigint;
	chunk integer;
	pile boolean := false;
	whole boolean := false;
	since timestamptz;
	n bigint;
	n_formulas bigint := 0;
BEGIN
	SELECT * INTO before FROM @extschema@.mirror_spent();
	-- What the object has now is what it has always had, as far as the mirror knows.
	IF d.known_fields IS NULL THEN
		PERFORM @extschema@.mirror_look(target, false);
		d := @extschema@.mirror_find(target);
	END IF;
	PERFORM @extschema@.mirror_check(d);
	IF d.stage = 'idle' AND d.foreign_keys THEN
		d.key_warning := @extschema@.mirror_keys(d);
		UPDATE @extschema@.mirror_definition m SET key_warning = d.key_warning WHERE m.target = d.target;
	END IF;
	-- At each step: a run may wait for its foreign table to be mended.
	d.warning := @extschema@.mirror_follow(d);
	SELECT m.fill_columns, m.fill_spans, m.cursor_column, m.created_column, m.compare_asked
		INTO d.fill_columns, d.fill_spans, d.cursor_column, d.created_column, d.compare_asked
		FROM @extschema@.mirror_definition m WHERE m.target = d.target;
	IF d.stage <> 'idle' AND cardinality(d.fill_columns) > 0 THEN
		-- Columns that have come are filled first.
		SELECT g.spans INTO d.fill_spans FROM @extschema@.mirror_read_columns(d, d.fill_columns, NULL, d.fill_spans) g;
		UPDATE @extschema@.mirror_definition m SET fill_spans = nullif(d.fill_spans, '{}'),
				columns = CASE WHEN d.fill_spans = '{}' THEN m.columns || m.fill_columns ELSE m.columns END,
				fill_columns = CASE WHEN d.fill_spans = '{}' THEN '{}' ELSE m.fill_columns END
			WHERE m.target = d.target;
	ELSIF d.stage = 'idle' THEN
		SELECT o.server_time, CASE WHEN d.watermark IS NULL THEN o.record_count END INTO d.run_started, d.rows_expected
			FROM @extschema@.object_state(d.source) o;
		d.read_to := coalesce(d.watermark - d.lookback, '-infinity');
		DELETE FROM @extschema@.mirror_run r WHERE r.target = d.target AND r.id <= (
			SELECT o.id FROM @extschema@.mirror_run o WHERE o.target = d.target ORDER BY o.id DESC OFFSET 999 LIMIT 1);
		INSERT INTO @extschema@.mirror_run (target, kind) VALUES (d.target, CASE WHEN d.watermark IS NULL THEN 'backfill'
			WHEN d.cursor_column IS NULL THEN 'full' ELSE 'incremental' END) RETURNING id INTO d.run;
		d.shrink := greatest(d.shrink - 1, 0);
		d.stage := 'rows';
	ELSIF d.stage = 'rows' THEN
		n_chunks := 1;
		SELECT min(c.number) INTO chunk FROM @extschema@.mirror_chunk c WHERE c.target = d.target;
		IF chunk IS NOT NULL THEN
			SELECT c.inserted, c.updated INTO n_inserted, n_updated FROM @extschema@.mirror_chunk_read(d, chunk) c;
		ELSIF d.read_to < 'infinity' THEN
			-- A short while is read as a whole, and so is all of a small object: counting first would be a call of every run.
			whole := d.watermark IS NULL AND d.read_to = '-infinity' AND d.shrink = 0 AND coalesce(d.rows_expected <= d.chunk_rows, false);
			IF NOT whole AND d.cursor_column IS NOT NULL AND (d.read_to < d.run_started - interval '1 hour' OR d.shrink > 0) THEN
				SELECT c.high, c.pile INTO high, pile FROM @extschema@.mirror_chunk_end(d, d.read_to, 'infinity',
					@extschema@.mirror_wanted(d, d.shrink), d.rows_expected - d.rows) c;
			END IF;
			IF pile THEN
				PERFORM @extschema@.mirror_chunk_ids(d, d.read_to, high, @extschema@.mirror_wanted(d, d.shrink), 0);
				n_chunks := 0;
			ELSE
				SELECT g.inserted, g.updated INTO n_inserted, n_updated
					FROM @extschema@.mirror_read(d, @extschema@.mirror_span(d, d.read_to, high), d.read_to, high, NULL) g;
			END IF;
			d.read_to := high;
		ELSE
			n_chunks := 0;
		END IF;
		IF d.read_to = 'infinity' AND NOT EXISTS (SELECT FROM @extschema@.mirror_chunk c WHERE c.target = d.target) THEN
			-- What changes from now on is for the next run, which begins where this one began, and looks back
			-- further still: rows may become visible late, with an older time.
			-- All rows have been read, and so their formula fields.
			IF d.watermark IS NULL OR d.cursor_column IS NULL THEN
				d.formulas_at := d.run_started;
			END IF;
			IF d.watermark IS NULL THEN
				d.compared_at := d.run_started;
				-- Whether all have come: one statement's rows have been counted as they came.  Where the org cannot count
				-- so many, a comparison tells.
				BEGIN
					n := d.rows + n_inserted;
					IF NOT whole THEN
						EXECUTE format('SELECT count(*) FROM %s s WHERE true%s', d.source, @extschema@.mirror_filter(d)) INTO n;
					END IF;
				EXCEPTION WHEN query_canceled OR OTHERS THEN
					-- The org's time limit has the same code as a cancel, which is not to be swallowed.
					IF SQLERRM NOT LIKE 'could not %' THEN
						RAISE;
					END IF;
					n := NULL;
				END;
				d.compare_asked := d.compare_asked OR n IS DISTINCT FROM d.rows + n_inserted;
			END IF;
			d.watermark := d.run_started;
			d.deleted_to := coalesce(d.deleted_to, d.run_started);
			-- Of what was there at a moment of this run, nothing had been deleted before.
			d.stage := CASE WHEN whole AND d.cursor_column IS NOT NULL AND NOT d.compare_asked THEN @extschema@.mirror_after(d) ELSE 'deletes' END;
		END IF;
	ELSIF d.stage = 'formulas' THEN
		n_chunks := 1;
		SELECT g.updated, g.spans INTO n_formulas, d.formula_spans
			FROM @extschema@.mirror_read_columns(d, @extschema@.mirror_formulas(d), d.run_started, d.formula_spans) g;
		IF cardinality(d.formula_spans) = 0 THEN
			d.formula_spans := NULL;
			d.formulas_at := d.run_started;
			d.stage := 'idle';
		END IF;
	ELSIF EXISTS (SELECT FROM @extschema@.mirror_chunk c WHERE c.target = d.target) THEN
		-- What the comparison has found.
		n_chunks := 1;
		SELECT min(c.number) INTO chunk FROM @extschema@.mirror_chunk c WHERE c.target = d.target;
		SELECT c.inserted, c.updated INTO n_inserted, n_updated FROM @extschema@.mirror_chunk_read(d, chunk) c;
		d.stage := @extschema@.mirror_after(d);
	ELSE
		since := d.deleted_to - d.lookback;
		by_ids := d.cursor_column IS NULL OR d.compare_asked OR d.compared_at IS NULL
			OR d.compared_at <= d.run_started - d.compare_every
			OR since <= d.run_started - interval '15 days' + interval '5 minutes';
		IF NOT by_ids THEN
			SELECT * INTO log FROM @extschema@.deleted(d.source, least(since, d.run_started - interval '2 minutes'), d.run_started);
			-- No log, or one that begins later than what is known: only the comparison can tell.
			by_ids := log.ids IS NULL OR coalesce(log.earliest_available > since, false);
		END IF;
		IF by_ids THEN
			-- Once a day, as a rule, and never before Ids are read: what the object has become.
			PERFORM @extschema@.mirror_look(target, false);
			SELECT m.left_out, m.known_fields, m.drift_warning, m.cursor_column, m.created_column, m.warning
				INTO d.left_out, d.known_fields, d.drift_warning, d.cursor_column, d.created_column, d.warning
				FROM @extschema@.mirror_definition m WHERE m.target = d.target;
			SELECT g.inserted, g.updated, g.deleted INTO n_inserted, n_updated, n_deleted
				FROM @extschema@.mirror_compare(d, d.run_started) g;
			d.compared_at := d.run_started;
			d.compare_asked := false;
			d.deleted_to := d.run_started;
			-- What local changes have made uncertain is counted, unless some are still on their way.
			IF NOT EXISTS (SELECT FROM @extschema@.writeback w WHERE w.target = d.target AND NOT w.settled) THEN
				EXECUTE format('SELECT count(*) FROM %s', d.target) INTO counted;
			END IF;
		ELSE
			FOR i IN 1 .. cardinality(log.ids) BY 10000 LOOP
				n_deleted := n_deleted + @extschema@.mirror_remove(d, log.ids[i : i + 9999], log.times[i : i + 9999]);
			END LOOP;
			-- Events may have removed rows before: then what is new in the log is asked about.
			IF n_deleted > 0 OR d.last_event IS NOT NULL THEN
				PERFORM @extschema@.mirror_merges(d, ARRAY(SELECT g.id FROM unnest(log.ids, log.times) g (id, "time")
					WHERE n_deleted > 0 OR g."time" >= d.deleted_to - interval '1 minute'));
			END IF;
			d.deleted_to := least(coalesce(log.latest_covered, d.run_started), d.run_started);
		END IF;
		d.stage := @extschema@.mirror_after(d);
	END IF;
	IF d.stage = 'idle' THEN
		d.next_run := clock_timestamp() + CASE WHEN d.rerun THEN interval '0' ELSE @extschema@.mirror_interval(d) END;
		d.compare_asked := d.compare_asked OR d.rerun;
	END IF;
	SELECT * INTO after FROM @extschema@.mirror_spent();
	UPDATE @extschema@.mirror_run r SET chunks = r.chunks + n_chunks, inserted = r.inserted + n_inserted,
			updated = r.updated + n_updated, deleted = r.deleted + n_deleted, formulas = r.formulas + n_formulas, compared = r.compared OR by_ids,
			calls = r.calls + after.calls - before.calls, rows_read = r.rows_read + after.rows - before.rows,
			state = CASE WHEN d.stage = 'idle' THEN 'done' ELSE 'running' END,
			finished = CASE WHEN d.stage = 'idle' THEN clock_timestamp() END
		WHERE r.id = d.run;
	UPDATE @extschema@.mirror_definition m SET stage = d.stage, run = d.run, run_started = d.run_started,
			read_to = d.read_to, watermark = d.watermark, deleted_to = d.deleted_to, compared_at = d.compared_at,
			compare_asked = d.compare_asked, rerun = m.rerun AND d.stage <> 'idle', warning = d.warning, next_run = d.next_run, rows_expected = d.rows_expected,
			shrink = d.shrink, formula_spans = d.formula_spans, formulas_at = d.formulas_at,
			rows = coalesce(counted, m.rows + n_inserted - CASE WHEN d.deletes = 'remove' THEN n_deleted ELSE 0 END),
			failures = 0, last_error = NULL
		WHERE m.target = d.target;
	RETURN d.stage = 'idle';
END $$;
COMMENT ON FUNCTION @extschema@.mirror_step(regclass) IS 'one step of a run; true when the run is done; of mirrors';

-- Each failure doubles the wait, up to an hour.  Where only calls lack, which come back one by one, it is asked
-- more evenly.
CREATE FUNCTION @extschema@.mirror_failed(target regclass, chunk integer, error text[]) RETURNS text[]
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	d @extschema@.mirror_definition := @extschema@.mirror_find(target);
BEGIN
	UPDATE @extschema@.mirror_run r SET state = 'failed', error = mirror_failed.error[1] WHERE r.id = d.run AND r.state <> 'done';
	UPDATE @extschema@.mirror_definition m SET failures = m.failures + 1, last_error = mirror_failed.error[1],
			next_run = clock_timestamp() + CASE WHEN error[2] = '53400' THEN greatest(least(m.every, interval '1 hour'), interval '15 minutes')
				ELSE least(least(m.every, interval '5 minutes') * power(2, least(m.failures, 20)), interval '1 hour') END
		WHERE m.target = d.target;
	PERFORM @extschema@.mirror_halve(d, chunk);
	RETURN ARRAY[error[1], error[2], coalesce(nullif(error[3], ''), format('This was a run of mirror %s.', target)),
		coalesce(nullif(error[4], ''), 'The next run goes on where this one ended.')];
END $$;
COMMENT ON FUNCTION @extschema@.mirror_failed(regclass, integer, text[]) IS 'a step that failed; of mirrors';

-- When a mirror is due.  A run that was interrupted, and that nobody is at, is to go on now, whenever the next one
-- would be; so is one that has work for several.
CREATE FUNCTION @extschema@.mirror_next(d @extschema@.mirror_definition) RETURNS timestamptz
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
	SELECT CASE WHEN d.stage <> 'idle' AND d.failures = 0
			AND (@extschema@.mirror_parallel(d) OR NOT EXISTS (SELECT FROM @extschema@.mirror_holders(d.target)))
		THEN least(d.next_run, (SELECT r.started FROM @extschema@.mirror_run r WHERE r.id = d.run)) ELSE d.next_run END
$$;
COMMENT ON FUNCTION @extschema@.mirror_next(@extschema@.mirror_definition) IS 'when it is due; of mirrors';

CREATE FUNCTION @extschema@.mirror_due() RETURNS regclass[]
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	DELETE FROM @extschema@.mirror_definition d WHERE NOT EXISTS (SELECT FROM pg_class c WHERE c.oid = d.target);
	PERFORM @extschema@.writeback_forget();
	DELETE FROM @extschema@.mirror_chunk k WHERE NOT EXISTS (SELECT FROM pg_class c WHERE c.oid = k.target);
	DELETE FROM @extschema@.merge m WHERE NOT EXISTS (SELECT FROM pg_class c WHERE c.oid = m.target);
	RETURN coalesce((SELECT array_agg(d.target ORDER BY n.due) FROM @extschema@.mirror_definition d
			CROSS JOIN LATERAL @extschema@.mirror_next(d) n (due)
		WHERE d.owner = quote_ident(current_user)::regrole AND NOT d.paused AND n.due <= clock_timestamp()), '{}');
END $$;
COMMENT ON FUNCTION @extschema@.mirror_due() IS 'the caller''s mirrors that are due; of mirrors';

CREATE FUNCTION @extschema@.mirror_paused(target regclass) RETURNS boolean
LANGUAGE sql STABLE STRICT SET search_path = pg_catalog, pg_temp AS $$
	SELECT coalesce((SELECT d.paused FROM @extschema@.mirror_definition d WHERE d.target = mirror_paused.target), true)
$$;
COMMENT ON FUNCTION @extschema@.mirror_paused(regclass) IS 'of mirrors';

-- Can what has failed be mended at once?  A chunk that takes the org too long is halved; a field that is gone, or
-- a value that does not fit, may be explained by what the object has become.
CREATE FUNCTION @extschema@.mirror_mend(target regclass, chunk integer, error text[], attempt integer) RETURNS boolean
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	d @extschema@.mirror_definition := @extschema@.mirror_find(target);
BEGIN
	IF error[1] LIKE 'could not %' AND error[3] ~ 'QUERY_TIMEOUT' AND d.stage IN ('rows', 'deletes') THEN
		RETURN @extschema@.mirror_halve(d, chunk);
	ELSIF error[2] ~ '^(22|42703|HV000|HV004|HV005)' THEN
		-- Another session that shares the run may have looked just before.
		RETURN @extschema@.mirror_look(target, true) OR attempt = 1 AND @extschema@.mirror_parallel(d) AND d.drift = 'follow';
	END IF;
	RETURN false;
EXCEPTION WHEN OTHERS THEN
	RETURN false;
END $$;
COMMENT ON FUNCTION @extschema@.mirror_mend(regclass, integer, text[], integer) IS 'whether a step that failed is worth another try now; of mirrors';

CREATE FUNCTION @extschema@.mirror_commits(caller text) RETURNS void
LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'ampsf_sql_commits';
COMMENT ON FUNCTION @extschema@.mirror_commits(text) IS 'an error in a transaction block; of mirrors';

-- Procedures that commit cannot set a search_path of their own: nothing below needs one.
CREATE PROCEDURE @extschema@.mirror_work(target regclass, scheduled boolean, INOUT busy boolean, INOUT error text[])
LANGUAGE plpgsql AS $$
DECLARE
	shared boolean := false;
	chunk integer;
	tried integer;
	mended integer := 0;
	done boolean;
	failed boolean;
	again boolean;
	message text;
	code text;
	detail text;
	hint text;
BEGIN
	error := NULL;
	-- In a transaction of the caller's this fails, before anything is done.
	COMMIT;
	SELECT NOT l.taken, l.resumed, l.shared INTO busy, again, shared FROM @extschema@.mirror_lock(target) l;
	COMMIT;
	IF busy THEN
		RETURN;
	END IF;
	LOOP
		IF NOT shared THEN
			shared := @extschema@.mirror_share(target);
			COMMIT;
		END IF;
		done := false;
		failed := false;
		tried := chunk;
		BEGIN
			IF NOT shared THEN
				done := @extschema@.mirror_step(target);
			ELSIF chunk IS NULL THEN
				chunk := @extschema@.mirror_chunk_take(target);
				done := chunk IS NULL;
			ELSE
				PERFORM @extschema@.mirror_chunk_work(target, chunk);
				chunk := NULL;
			END IF;
			mended := 0;
		EXCEPTION WHEN query_canceled OR OTHERS THEN
			GET STACKED DIAGNOSTICS message = MESSAGE_TEXT, code = RETURNED_SQLSTATE, detail = PG_EXCEPTION_DETAIL,
				hint = PG_EXCEPTION_HINT;
			failed := true;
		END;
		COMMIT;
		-- By a transaction that sees what has made the other one fail, whatever their isolation.
		IF failed THEN
			mended := mended OPERATOR(pg_catalog.+) 1;
			-- Of who shares a run and has no chunk, no chunk is to blame.
			IF shared AND tried IS NULL THEN
				tried := 0;
			END IF;
			IF mended OPERATOR(pg_catalog.>) 20 OR NOT @extschema@.mirror_mend(target, tried, ARRAY[message, code, detail, hint], mended) THEN
				error := @extschema@.mirror_failed(target, tried, ARRAY[message, code, detail, hint]);
			END IF;
			chunk := NULL;
			COMMIT;
		END IF;
		-- Others may take what is left of it.
		PERFORM @extschema@.mirror_chunk_leave(target, CASE WHEN tried OPERATOR(pg_catalog.>) 0 THEN tried END);
		EXIT WHEN error IS NOT NULL;
		IF shared AND done THEN
			-- Nothing is left to share: who is the last goes on alone.
			shared := NOT @extschema@.mirror_alone(target);
			COMMIT;
			EXIT WHEN shared;
			done := false;
		END IF;
		-- The rest of an older run brings what was so then: who asks now wants what is so now.
		EXIT WHEN scheduled AND (done OR @extschema@.mirror_paused(target) OR @extschema@.work_pressed());
		EXIT WHEN done AND NOT again;
		again := again AND NOT done;
	END LOOP;
	PERFORM @extschema@.mirror_chunk_leave(target, chunk);
	PERFORM @extschema@.mirror_unlock(target);
	-- Change events that waited for the end of the run.
	WHILE error IS NULL AND @extschema@.mirror_apply_one(target) OPERATOR(pg_catalog.>) 0 LOOP
		COMMIT;
	END LOOP;
	COMMIT;
END $$;
COMMENT ON PROCEDURE @extschema@.mirror_work(regclass, boolean, boolean, text[]) IS 'a run, or a share of one; of mirrors';

CREATE PROCEDURE @extschema@.sync(target regclass)
LANGUAGE plpgsql AS $$
DECLARE
	busy boolean;
	error text[];
BEGIN
	IF target IS NULL THEN
		RAISE EXCEPTION USING ERRCODE = 'null_value_not_allowed', MESSAGE = 'the mirror is null';
	END IF;
	PERFORM @extschema@.mirror_commits('@extschema@.sync()');
	LOOP
		CALL @extschema@.mirror_work(target, false, busy, error);
		-- A run in the background is waited for: it began before, and may not have what is so now.
		-- So is one that this session has shared.
		EXIT WHEN error IS NOT NULL OR NOT (busy OR @extschema@.mirror_unfinished(target)) OR NOT @extschema@.mirror_in_background(target);
		PERFORM pg_catalog.pg_sleep(0.1);
	END LOOP;
	IF busy THEN
		RAISE EXCEPTION USING ERRCODE = 'object_in_use',
			MESSAGE = pg_catalog.format('mirror %s is being synchronized by another session', target);
	ELSIF error IS NOT NULL THEN
		RAISE EXCEPTION USING MESSAGE = error[1], ERRCODE = error[2], DETAIL = error[3], HINT = error[4];
	END IF;
END $$;
COMMENT ON PROCEDURE @extschema@.sync(regclass) IS
	'one run of a mirror, now; commits as it goes, and goes on where an interrupted run ended';

CREATE PROCEDURE @extschema@.sync_due()
LANGUAGE plpgsql AS $$
DECLARE
	target regclass;
	busy boolean;
	error text[];
BEGIN
	PERFORM @extschema@.mirror_commits('@extschema@.sync_due()');
	FOREACH target IN ARRAY @extschema@.mirror_due() LOOP
		CALL @extschema@.mirror_work(target, true, busy, error);
		IF error IS NOT NULL THEN
			RAISE WARNING USING MESSAGE = pg_catalog.format('mirror %s failed: %s', target, error[1]), ERRCODE = error[2];
		END IF;
	END LOOP;
END $$;
COMMENT ON PROCEDURE @extschema@.sync_due() IS
	'a run of each of the caller''s mirrors that is due; for pg_cron or any other scheduler, every minute or so';
