-- One at a time does anything with a mirror's rows: a run, whose lock is the session's since it has many
-- transactions, or one transaction.  While a run has chunks for several sessions, each of them has the same
-- lock in share.  Nothing but locks says who reads a chunk: who dies lets go of it.

CREATE FUNCTION @extschema@.mirror_holders(target regclass, OUT pid integer, OUT mode text)
RETURNS SETOF record
LANGUAGE sql STABLE STRICT SET search_path = pg_catalog, pg_temp AS $$
	SELECT l.pid, l.mode FROM pg_locks l WHERE l.locktype = 'advisory' AND l.granted
		AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
		AND l.classid = hashtext('@extschema@.mirror')::oid AND l.objid = target::oid AND l.objsubid = 2
$$;
COMMENT ON FUNCTION @extschema@.mirror_holders(regclass) IS 'sessions that are at a mirror; of mirrors';

-- Has the run's rest chunks for several sessions?
CREATE FUNCTION @extschema@.mirror_parallel(d @extschema@.mirror_definition) RETURNS boolean
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
	SELECT d.parallel > 1 AND d.stage = 'rows' AND d.cursor_column IS NOT NULL
		AND (d.read_to < d.run_started - interval '1 hour' OR EXISTS (SELECT FROM @extschema@.mirror_chunk c WHERE c.target = d.target))
$$;
COMMENT ON FUNCTION @extschema@.mirror_parallel(@extschema@.mirror_definition) IS 'of mirrors';

CREATE FUNCTION @extschema@.mirror_sessions(target regclass) RETURNS integer
LANGUAGE sql STABLE STRICT SET search_path = pg_catalog, pg_temp AS $$
	SELECT CASE WHEN @extschema@.mirror_parallel(d) THEN d.parallel ELSE 1 END
	FROM @extschema@.mirror_definition d WHERE d.target = mirror_sessions.target
$$;
COMMENT ON FUNCTION @extschema@.mirror_sessions(regclass) IS 'how many sessions may work at a mirror now; of mirrors';

CREATE FUNCTION @extschema@.mirror_unfinished(target regclass) RETURNS boolean
LANGUAGE sql STABLE STRICT SET search_path = pg_catalog, pg_temp AS $$
	SELECT d.parallel > 1 AND d.stage <> 'idle' FROM @extschema@.mirror_definition d WHERE d.target = mirror_unfinished.target
$$;
COMMENT ON FUNCTION @extschema@.mirror_unfinished(regclass) IS 'a run that may be shared is not at its end; of mirrors';

-- taken: this session has the mirror; for itself, or a share of its run.
CREATE FUNCTION @extschema@.mirror_lock(target regclass, OUT taken boolean, OUT resumed boolean, OUT shared boolean)
LANGUAGE plpgsql STRICT SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	d @extschema@.mirror_definition := @extschema@.mirror_find(target);
	class integer := hashtext('@extschema@.mirror');
	began timestamptz := clock_timestamp();
BEGIN
	-- A session that was interrupted between two steps has it still.
	shared := false;
	taken := EXISTS (SELECT FROM @extschema@.mirror_holders(target) h WHERE h.pid = pg_backend_pid() AND h.mode = 'ExclusiveLock')
		OR pg_try_advisory_lock(class, target::oid::integer);
	WHILE NOT taken AND @extschema@.mirror_wait(target, began) LOOP
		taken := pg_try_advisory_lock(class, target::oid::integer);
	END LOOP;
	-- Read again: who had the lock until now may have changed it.
	d := @extschema@.mirror_find(target);
	resumed := d.stage <> 'idle';
	IF taken AND resumed THEN
		UPDATE @extschema@.mirror_run r SET interruptions = interruptions + 1, state = 'running',
			resumed = clock_timestamp(), resumed_rows = r.rows_read WHERE r.id = d.run;
	ELSIF NOT taken THEN
		resumed := false;
		began := clock_timestamp();
		-- Who begins a run, or takes it up, shares it in a moment.
		WHILE NOT shared AND clock_timestamp() < began + interval '2 seconds' AND @extschema@.mirror_parallel(@extschema@.mirror_find(target))
			AND (SELECT count(*) FROM @extschema@.mirror_holders(target) h WHERE h.pid <> pg_backend_pid()) < d.parallel LOOP
			shared := EXISTS (SELECT FROM @extschema@.mirror_holders(target) h WHERE h.pid = pg_backend_pid())
				OR pg_try_advisory_lock_shared(class, target::oid::integer);
			IF NOT shared THEN
				PERFORM pg_sleep(0.02);
			END IF;
		END LOOP;
		taken := shared;
	END IF;
END $$;
COMMENT ON FUNCTION @extschema@.mirror_lock(regclass) IS 'begins a run, or joins it; of mirrors';

-- Lets others in, where there is something for them to do.
CREATE FUNCTION @extschema@.mirror_share(target regclass) RETURNS boolean
LANGUAGE plpgsql STRICT SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	IF NOT @extschema@.mirror_parallel(@extschema@.mirror_find(target)) THEN
		RETURN false;
	END IF;
	PERFORM pg_advisory_lock_shared(hashtext('@extschema@.mirror'), target::oid::integer);
	PERFORM pg_advisory_unlock(hashtext('@extschema@.mirror'), target::oid::integer);
	PERFORM @extschema@.wake();
	RETURN true;
END $$;
COMMENT ON FUNCTION @extschema@.mirror_share(regclass) IS 'of mirrors';

-- Gives a share back.  True: nobody else has one, and the run is this session's alone.
CREATE FUNCTION @extschema@.mirror_alone(target regclass) RETURNS boolean
LANGUAGE plpgsql STRICT SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	PERFORM pg_advisory_unlock_shared(hashtext('@extschema@.mirror'), target::oid::integer);
	RETURN pg_try_advisory_lock(hashtext('@extschema@.mirror'), target::oid::integer);
END $$;
COMMENT ON FUNCTION @extschema@.mirror_alone(regclass) IS 'of mirrors';

CREATE FUNCTION @extschema@.mirror_unlock(target regclass) RETURNS void
LANGUAGE plpgsql STRICT SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	h record;
BEGIN
	FOR h IN SELECT * FROM @extschema@.mirror_holders(target) m WHERE m.pid = pg_backend_pid() LOOP
		IF h.mode = 'ExclusiveLock' THEN
			PERFORM pg_advisory_unlock(hashtext('@extschema@.mirror'), target::oid::integer);
		ELSE
			PERFORM pg_advisory_unlock_shared(hashtext('@extschema@.mirror'), target::oid::integer);
		END IF;
	END LOOP;
END $$;
COMMENT ON FUNCTION @extschema@.mirror_unlock(regclass) IS 'ends a run, or a share of it; of mirrors';

CREATE FUNCTION @extschema@.mirror_chunk_key(target regclass, number integer) RETURNS bigint
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
	SELECT hashtextextended(format('@extschema@.mirror_chunk %s %s', target::oid, number), 0)
$$;
COMMENT ON FUNCTION @extschema@.mirror_chunk_key(regclass, integer) IS 'the advisory lock of who reads a chunk; of mirrors';

CREATE FUNCTION @extschema@.mirror_chunk_add(
	d @extschema@.mirror_definition, low timestamptz, high timestamptz, ids text[], expected bigint, attempts integer) RETURNS integer
LANGUAGE sql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
	INSERT INTO @extschema@.mirror_chunk (target, number, low, high, ids, expected, attempts)
		SELECT d.target, coalesce(max(c.number), 0) + 1, mirror_chunk_add.low, mirror_chunk_add.high, mirror_chunk_add.ids,
			mirror_chunk_add.expected, mirror_chunk_add.attempts
		FROM @extschema@.mirror_chunk c WHERE c.target = d.target
		RETURNING number
$$;
COMMENT ON FUNCTION @extschema@.mirror_chunk_add(@extschema@.mirror_definition, timestamptz, timestamptz, text[], bigint, integer) IS 'of mirrors';

-- Rows that time cannot tell apart, by their Ids: these are read first, and nothing else of them.
CREATE FUNCTION @extschema@.mirror_chunk_ids(
	d @extschema@.mirror_definition, low timestamptz, high timestamptz, wanted bigint, attempts integer) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	ids text[];
BEGIN
	FOR ids IN EXECUTE format('SELECT array_agg(i.id) FROM (SELECT s.%I AS id, (row_number() OVER () - 1) / $3 AS n FROM %s s WHERE %s%s) i GROUP BY i.n',
		@extschema@.mirror_key(d), d.source, @extschema@.mirror_span(d, low, high), @extschema@.mirror_filter(d)) USING low, high, wanted LOOP
		PERFORM @extschema@.mirror_chunk_add(d, low, high, ids, cardinality(ids), attempts);
	END LOOP;
END $$;
COMMENT ON FUNCTION @extschema@.mirror_chunk_ids(@extschema@.mirror_definition, timestamptz, timestamptz, bigint, integer) IS 'of mirrors';

-- What a comparison found missing or old (ampsf_mirror_wrong, among all of ampsf_mirror_ids), as chunks: where a
-- tenth of a while is wrong, all of it is read, which Bulk jobs do; elsewhere those Ids alone.
CREATE FUNCTION @extschema@.mirror_chunk_wrong(d @extschema@.mirror_definition) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	most CONSTANT integer := 10000;
	bounds timestamptz[];
	spans integer[] := '{}';
	ids text[];
	part record;
BEGIN
	ANALYZE pg_temp.ampsf_mirror_wrong;
	IF d.cursor_column IS NOT NULL THEN
		SELECT array_agg(DISTINCT date_trunc('second', c.stamp)) INTO bounds
			FROM (SELECT i.stamp, row_number() OVER (ORDER BY i.stamp) AS n FROM pg_temp.ampsf_mirror_ids i WHERE i.stamp IS NOT NULL) c
			WHERE c.n % d.chunk_rows = 1 OR d.chunk_rows = 1;
		FOR part IN SELECT c.n, c.wrong FROM (SELECT width_bucket(i.stamp, bounds) AS n, count(*) AS rows, count(w.id) AS wrong
					FROM pg_temp.ampsf_mirror_ids i LEFT JOIN pg_temp.ampsf_mirror_wrong w ON w.id = i.id WHERE i.stamp IS NOT NULL GROUP BY 1) c
				WHERE c.wrong > most / 10 AND c.wrong >= c.rows / 10 AND c.rows <= 2 * d.chunk_rows ORDER BY 1 LOOP
			PERFORM @extschema@.mirror_chunk_add(d, bounds[part.n], coalesce(bounds[part.n + 1], 'infinity'), NULL, part.wrong, 0);
			spans := spans || part.n;
		END LOOP;
	END IF;
	FOR ids IN SELECT array_agg(l.id) FROM (SELECT w.id, (row_number() OVER () - 1) / most AS n
			FROM pg_temp.ampsf_mirror_wrong w JOIN pg_temp.ampsf_mirror_ids i ON i.id = w.id
			WHERE coalesce(width_bucket(i.stamp, bounds), 0) <> ALL (spans)) l GROUP BY l.n LOOP
		PERFORM @extschema@.mirror_chunk_add(d, '-infinity', '-infinity', ids, cardinality(ids), 0);
	END LOOP;
END $$;
COMMENT ON FUNCTION @extschema@.mirror_chunk_wrong(@extschema@.mirror_definition) IS 'what a comparison found, as chunks to be read; of mirrors';

-- A chunk that has failed is smaller the next time: its rest becomes another one.
CREATE FUNCTION @extschema@.mirror_chunk_split(d @extschema@.mirror_definition, number integer) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	c @extschema@.mirror_chunk;
	wanted bigint;
	part record;
BEGIN
	PERFORM pg_advisory_xact_lock(hashtext('@extschema@.mirror_plan'), d.target::oid::integer);
	SELECT * INTO c FROM @extschema@.mirror_chunk k WHERE k.target = d.target AND k.number = mirror_chunk_split.number;
	wanted := @extschema@.mirror_wanted(d, c.attempts);
	IF c.ids IS NOT NULL THEN
		IF cardinality(c.ids) > wanted THEN
			PERFORM @extschema@.mirror_chunk_add(d, c.low, c.high, c.ids[wanted + 1:], cardinality(c.ids) - wanted, c.attempts);
			UPDATE @extschema@.mirror_chunk k SET ids = c.ids[:wanted], expected = wanted WHERE k.target = d.target AND k.number = c.number;
		END IF;
		RETURN;
	END IF;
	SELECT * INTO part FROM @extschema@.mirror_chunk_end(d, c.low, c.high, wanted, c.expected);
	IF part.high < c.high THEN
		PERFORM @extschema@.mirror_chunk_add(d, part.high, c.high, NULL, c.expected - part.n, c.attempts);
	END IF;
	IF part.pile THEN
		PERFORM @extschema@.mirror_chunk_ids(d, c.low, part.high, wanted, c.attempts);
	END IF;
	-- Where it has become Ids, nothing is left of the span.
	UPDATE @extschema@.mirror_chunk k SET high = CASE WHEN part.pile THEN c.low ELSE part.high END, expected = part.n
		WHERE k.target = d.target AND k.number = c.number;
END $$;
COMMENT ON FUNCTION @extschema@.mirror_chunk_split(@extschema@.mirror_definition, integer) IS 'of mirrors';

-- Reads a chunk, which is done with that.
CREATE FUNCTION @extschema@.mirror_chunk_read(
	d @extschema@.mirror_definition, number integer, OUT inserted bigint, OUT updated bigint)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	c @extschema@.mirror_chunk;
	got record;
BEGIN
	inserted := 0;
	updated := 0;
	IF (SELECT k.attempts FROM @extschema@.mirror_chunk k WHERE k.target = d.target AND k.number = mirror_chunk_read.number) > 0 THEN
		PERFORM @extschema@.mirror_chunk_split(d, number);
	END IF;
	DELETE FROM @extschema@.mirror_chunk k WHERE k.target = d.target AND k.number = mirror_chunk_read.number RETURNING * INTO c;
	IF NOT FOUND THEN
		RETURN;
	ELSIF c.ids IS NULL THEN
		IF c.low < c.high THEN
			SELECT * INTO inserted, updated FROM @extschema@.mirror_read(d, @extschema@.mirror_span(d, c.low, c.high), c.low, c.high, NULL);
		END IF;
		RETURN;
	END IF;
	FOR i IN 1 .. cardinality(c.ids) BY 2000 LOOP
		got := @extschema@.mirror_read(d, format('%I = ANY ($3)', @extschema@.mirror_key(d)), NULL, NULL, c.ids[i : i + 1999]);
		inserted := inserted + got.inserted;
		updated := updated + got.updated;
	END LOOP;
END $$;
COMMENT ON FUNCTION @extschema@.mirror_chunk_read(@extschema@.mirror_definition, integer) IS 'of mirrors';

-- A chunk for this session: one that nobody reads, or the next one, which is found by one session at a time.
-- Null: there is none.
CREATE FUNCTION @extschema@.mirror_chunk_take(target regclass) RETURNS integer
LANGUAGE plpgsql STRICT SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	d @extschema@.mirror_definition;
	c record;
	part record;
	wanted bigint;
	spent record;
	number integer;
BEGIN
	FOR round IN 1 .. 2 LOOP
		FOR c IN SELECT k.number FROM @extschema@.mirror_chunk k WHERE k.target = mirror_chunk_take.target ORDER BY k.number LOOP
			CONTINUE WHEN NOT pg_try_advisory_lock(@extschema@.mirror_chunk_key(target, c.number));
			-- Who had it may have read it meanwhile.
			IF EXISTS (SELECT FROM @extschema@.mirror_chunk k WHERE k.target = mirror_chunk_take.target AND k.number = c.number) THEN
				RETURN c.number;
			END IF;
			PERFORM pg_advisory_unlock(@extschema@.mirror_chunk_key(target, c.number));
		END LOOP;
		-- Who waited for another session's next chunk looks once more: it may have left some.
		d := @extschema@.mirror_find(target);
		IF d.read_to = 'infinity' THEN
			RETURN NULL;
		END IF;
		PERFORM pg_advisory_xact_lock(hashtext('@extschema@.mirror_plan'), target::oid::integer);
	END LOOP;
	d := @extschema@.mirror_find(target);
	IF d.read_to = 'infinity' THEN
		RETURN NULL;
	END IF;
	SELECT * INTO spent FROM @extschema@.mirror_spent();
	wanted := @extschema@.mirror_wanted(d, d.shrink);
	SELECT * INTO part FROM @extschema@.mirror_chunk_end(d, d.read_to, 'infinity', wanted, d.rows_expected - d.rows
		- (SELECT coalesce(sum(k.expected), 0)::bigint FROM @extschema@.mirror_chunk k WHERE k.target = d.target));
	IF part.pile THEN
		PERFORM @extschema@.mirror_chunk_ids(d, d.read_to, part.high, wanted, 0);
		SELECT max(k.number) INTO number FROM @extschema@.mirror_chunk k WHERE k.target = d.target;
	ELSE
		number := @extschema@.mirror_chunk_add(d, d.read_to, part.high, NULL, part.n, 0);
	END IF;
	UPDATE @extschema@.mirror_run r SET calls = r.calls + s.calls - spent.calls, rows_read = r.rows_read + s.rows - spent.rows
		FROM @extschema@.mirror_spent() s WHERE r.id = d.run;
	UPDATE @extschema@.mirror_definition m SET read_to = part.high WHERE m.target = d.target;
	PERFORM pg_advisory_lock(@extschema@.mirror_chunk_key(target, number));
	RETURN number;
END $$;
COMMENT ON FUNCTION @extschema@.mirror_chunk_take(regclass) IS 'of mirrors';

CREATE FUNCTION @extschema@.mirror_chunk_leave(target regclass, number integer) RETURNS void
LANGUAGE sql VOLATILE STRICT SET search_path = pg_catalog, pg_temp AS $$
	SELECT pg_advisory_unlock(@extschema@.mirror_chunk_key(target, number))
$$;
COMMENT ON FUNCTION @extschema@.mirror_chunk_leave(regclass, integer) IS 'of mirrors';

-- One step of a session that has a share of a run.
CREATE FUNCTION @extschema@.mirror_chunk_work(target regclass, number integer) RETURNS void
LANGUAGE plpgsql STRICT SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	d @extschema@.mirror_definition := @extschema@.mirror_find(target);
	before record;
	after record;
	n_inserted bigint;
	n_updated bigint;
BEGIN
	PERFORM @extschema@.mirror_check(d);
	SELECT * INTO before FROM @extschema@.mirror_spent();
	SELECT * INTO n_inserted, n_updated FROM @extschema@.mirror_chunk_read(d, number);
	SELECT * INTO after FROM @extschema@.mirror_spent();
	UPDATE @extschema@.mirror_run r SET chunks = r.chunks + 1, inserted = r.inserted + n_inserted, updated = r.updated + n_updated,
			calls = r.calls + after.calls - before.calls, rows_read = r.rows_read + after.rows - before.rows, state = 'running'
		WHERE r.id = d.run;
	UPDATE @extschema@.mirror_definition m SET rows = m.rows + n_inserted, failures = 0, last_error = NULL WHERE m.target = d.target;
END $$;
COMMENT ON FUNCTION @extschema@.mirror_chunk_work(regclass, integer) IS 'of mirrors';

-- After a failure chunks are half as large.  False: they are as small as can be.
CREATE FUNCTION @extschema@.mirror_halve(d @extschema@.mirror_definition, chunk integer) RETURNS boolean
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	tried integer;
BEGIN
	IF d.cursor_column IS NULL OR d.stage <> 'rows' AND (d.stage <> 'deletes'
		OR NOT EXISTS (SELECT FROM @extschema@.mirror_chunk o WHERE o.target = d.target)) THEN
		RETURN false;
	END IF;
	UPDATE @extschema@.mirror_chunk k SET attempts = attempts + 1 WHERE k.target = d.target
		AND k.number = coalesce(chunk, (SELECT min(o.number) FROM @extschema@.mirror_chunk o WHERE o.target = d.target))
		RETURNING k.attempts INTO tried;
	tried := coalesce(tried, d.shrink + 1);
	UPDATE @extschema@.mirror_definition m SET shrink = greatest(m.shrink, tried) WHERE m.target = d.target;
	RETURN @extschema@.mirror_wanted(d, tried - 1) > @extschema@.mirror_wanted(d, tried);
END $$;
COMMENT ON FUNCTION @extschema@.mirror_halve(@extschema@.mirror_definition, integer) IS 'of mirrors';

-- What a run has read, is reading and has to read.
CREATE FUNCTION @extschema@.mirror_runs_now(
	OUT target regclass, OUT kind text, OUT started timestamptz, OUT sessions bigint, OUT chunks integer, OUT chunks_open bigint,
	OUT rows bigint, OUT rows_expected bigint, OUT share numeric, OUT rows_per_second numeric, OUT finish timestamptz)
RETURNS SETOF record
LANGUAGE sql STABLE ROWS 10 SET search_path = pg_catalog, pg_temp AS $$
	SELECT d.target, r.kind, r.started, h.sessions, r.chunks, c.open, n.rows, d.rows_expected,
		round(least(n.rows / nullif(d.rows_expected, 0)::numeric, 1), 3), round(n.rate, 1),
		clock_timestamp() + greatest(d.rows_expected - n.rows, 0) / nullif(n.rate, 0)::float8 * interval '1 second'
	FROM @extschema@.mirror_definition d JOIN @extschema@.mirror_run r ON r.id = d.run
		CROSS JOIN LATERAL (SELECT count(*) AS sessions, coalesce(sum(p.rows), 0) AS rows
			FROM (SELECT DISTINCT m.pid FROM @extschema@.mirror_holders(d.target) m) s
				LEFT JOIN @extschema@.progress() p ON p.pid = s.pid AND p.relation = d.source) h
		CROSS JOIN LATERAL (SELECT count(*) AS open FROM @extschema@.mirror_chunk k WHERE k.target = d.target) c
		CROSS JOIN LATERAL (SELECT (r.rows_read + h.rows)::bigint AS rows, CASE WHEN h.sessions > 0 THEN (r.rows_read + h.rows - r.resumed_rows)
			/ nullif(extract(epoch FROM clock_timestamp() - r.resumed), 0) END AS rate) n
	WHERE d.stage <> 'idle'
$$;
COMMENT ON FUNCTION @extschema@.mirror_runs_now() IS 'of mirrors; see the view mirror_progress';

CREATE VIEW @extschema@.mirror_progress AS SELECT * FROM @extschema@.mirror_runs_now();
COMMENT ON VIEW @extschema@.mirror_progress IS
	'runs of mirrors that are under way or interrupted: sessions at work, chunks that are done and that are still open, rows from '
	'the org and how many it is thought to have, rows a second since the run was begun or continued, and when it ends at this rate';
GRANT SELECT ON @extschema@.mirror_progress TO PUBLIC;
