-- Who runs what is due: a launcher for each database, and workers that it starts, each as the role whose work
-- it is; or pg_cron, for mirrors.  Kinds of work: mirror (key: oid of the target), events (number of the
-- subscription), writeback (oid of the target).

CREATE FUNCTION @extschema@.wake(start boolean DEFAULT true) RETURNS void
LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'ampsf_sql_wake';
COMMENT ON FUNCTION @extschema@.wake(boolean) IS
	'has the background look at what there is to do when the transaction commits, and starts it if it does not run (start); what makes work does so itself';

CREATE FUNCTION @extschema@.stop_workers() RETURNS boolean
LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'ampsf_sql_stop_workers';
COMMENT ON FUNCTION @extschema@.stop_workers() IS
	'ends the background workers of this database, for DROP DATABASE for instance; the next use of a foreign table brings them back';

CREATE FUNCTION @extschema@.work_pressed() RETURNS boolean
LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'ampsf_sql_work_pressed';
COMMENT ON FUNCTION @extschema@.work_pressed() IS 'a worker has had its turn, and other work waits; of background workers';

-- The extension pg_cron, if it is there and the caller may use it.
CREATE FUNCTION @extschema@.cron_usable() RETURNS boolean
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
	-- cron.job is what pg_cron made, not what somebody called so
	SELECT EXISTS (SELECT FROM pg_extension e JOIN pg_depend d ON d.refclassid = 'pg_extension'::regclass AND d.refobjid = e.oid
			AND d.deptype = 'e' AND d.classid = 'pg_class'::regclass
		JOIN pg_class c ON c.oid = d.objid JOIN pg_namespace n ON n.oid = c.relnamespace
		WHERE e.extname = 'pg_cron' AND n.nspname = 'cron' AND c.relname = 'job'
			AND has_schema_privilege(n.oid, 'USAGE') AND has_table_privilege(c.oid, 'SELECT'))
$$;
COMMENT ON FUNCTION @extschema@.cron_usable() IS 'pg_cron is there, and the caller may use it; of mirrors';

-- Roles whose mirrors pg_cron runs.  It is asked only where it is there.
CREATE FUNCTION @extschema@.cron_owners() RETURNS SETOF name
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	IF @extschema@.cron_usable() THEN
		RETURN QUERY EXECUTE 'SELECT username::name FROM cron.job WHERE active AND database = current_database() '
			'AND command ILIKE ''%sync_due()%''';
	END IF;
END $$;
COMMENT ON FUNCTION @extschema@.cron_owners() IS 'roles whose mirrors pg_cron runs; of mirrors';

-- A role's mirrors have one job of pg_cron's, as long as there are any.
CREATE FUNCTION @extschema@.cron_follow() RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	mirrors boolean := EXISTS (SELECT FROM @extschema@.mirror_definition WHERE owner = quote_ident(current_user)::regrole);
	job text;
BEGIN
	IF NOT @extschema@.cron_usable() THEN
		RETURN;
	END IF;
	EXECUTE 'SELECT jobname::text FROM cron.job WHERE jobname = ''ampsf mirrors'' AND username = current_user '
		'AND database = current_database()' INTO job;
	IF mirrors AND NOT EXISTS (SELECT FROM @extschema@.cron_owners() o WHERE o = current_user) AND job IS NULL THEN
		EXECUTE 'SELECT cron.schedule(''ampsf mirrors'', ''* * * * *'', ''CALL ampsf.sync_due()'')';
	ELSIF NOT mirrors AND job IS NOT NULL THEN
		EXECUTE 'SELECT cron.unschedule(''ampsf mirrors'')';
	END IF;
EXCEPTION WHEN insufficient_privilege OR undefined_function THEN
	NULL; -- then the background worker does it
END $$;
COMMENT ON FUNCTION @extschema@.cron_follow() IS 'makes or takes away the caller''s job of pg_cron; of mirrors';

CREATE FUNCTION @extschema@.mirror_work_due(OUT kind text, OUT key bigint, OUT owner oid, OUT due timestamptz)
RETURNS SETOF record
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	IF EXISTS (SELECT FROM @extschema@.mirror_definition d WHERE NOT EXISTS (SELECT FROM pg_class c WHERE c.oid = d.target)) THEN
		PERFORM @extschema@.mirror_due(); -- forgets them
	END IF;
	-- A long run has work for several: the number of each is in the upper half of its key.
	RETURN QUERY SELECT 'mirror', d.target::oid::bigint + (n::bigint << 32), d.owner::oid, @extschema@.mirror_next(d)
		FROM @extschema@.mirror_definition d LEFT JOIN pg_roles r ON r.oid = d.owner
			CROSS JOIN LATERAL generate_series(0, @extschema@.mirror_sessions(d.target) - 1) n
		WHERE NOT d.paused AND NOT EXISTS (SELECT FROM @extschema@.cron_owners() o WHERE o = r.rolname);
END $$;
COMMENT ON FUNCTION @extschema@.mirror_work_due() IS 'runs of mirrors, and when; of background workers';

CREATE FUNCTION @extschema@.mirror_work_failed(key bigint, problem text, counts boolean) RETURNS void
LANGUAGE sql SET search_path = pg_catalog, pg_temp AS $$
	UPDATE @extschema@.mirror_definition d SET last_error = problem, failures = d.failures + counts::integer,
		next_run = CASE WHEN counts THEN greatest(d.next_run,
			clock_timestamp() + least(least(d.every, interval '5 minutes') * power(2, least(d.failures, 20)), interval '1 hour')) ELSE d.next_run END
	WHERE d.target = (key & 4294967295)::oid
$$;
COMMENT ON FUNCTION @extschema@.mirror_work_failed(bigint, text, boolean) IS
	'a run that could not begin, or was ended from outside; of background workers';

CREATE PROCEDURE @extschema@.mirror_background(target regclass)
LANGUAGE plpgsql AS $$
DECLARE
	busy boolean;
	error text[];
BEGIN
	IF NOT (target OPERATOR(pg_catalog.=) ANY (@extschema@.mirror_due())) THEN
		RETURN; -- somebody was faster, or the table is gone, and with it the mirror
	END IF;
	CALL @extschema@.mirror_work(target, true, busy, error);
	IF error IS NOT NULL AND @extschema@.mirror_fails_first(target) THEN
		RAISE LOG USING MESSAGE = pg_catalog.format('mirror %s failed: %s', target, error[1]), ERRCODE = error[2];
	END IF;
END $$;
COMMENT ON PROCEDURE @extschema@.mirror_background(regclass) IS 'a run of a mirror by a background worker; of background workers';

CREATE FUNCTION @extschema@.mirror_in_background(target regclass) RETURNS boolean
LANGUAGE sql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
	SELECT EXISTS (SELECT FROM @extschema@.mirror_holders(target) h JOIN pg_stat_activity a ON a.pid = h.pid
		WHERE a.backend_type = 'ampsf mirror')
$$;
COMMENT ON FUNCTION @extschema@.mirror_in_background(regclass) IS 'a background worker has the mirror; of background workers';

CREATE FUNCTION @extschema@.mirror_fails_first(target regclass) RETURNS boolean
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
	SELECT d.failures = 1 FROM @extschema@.mirror_definition d WHERE d.target = mirror_fails_first.target
$$;
COMMENT ON FUNCTION @extschema@.mirror_fails_first(regclass) IS 'the failure is the first of its row, so the log is told; of background workers';

-- What there is to do in this database, of everybody if the caller sees it; due: when, or since when.
CREATE FUNCTION @extschema@.work_due(OUT kind text, OUT key bigint, OUT owner oid, OUT due timestamptz)
RETURNS SETOF record
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	RETURN QUERY SELECT * FROM @extschema@.mirror_work_due()
		UNION ALL SELECT * FROM @extschema@.subscription_work_due()
		UNION ALL SELECT * FROM @extschema@.writeback_work_due();
END $$;
COMMENT ON FUNCTION @extschema@.work_due() IS 'what there is to do in the background, and when; of background workers';

CREATE FUNCTION @extschema@.work_list(
	OUT kind text, OUT key bigint, OUT owner oid, OUT due timestamptz, OUT problem text)
RETURNS SETOF record
LANGUAGE sql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
	SELECT w.kind, w.key, w.owner, w.due,
		CASE WHEN r.oid IS NULL THEN 'its owner is no role any more'
			WHEN NOT r.rolcanlogin THEN format('no background worker runs for role %I, which may not log in', r.rolname)
			WHEN NOT has_database_privilege(r.oid, current_database(), 'CONNECT') THEN
				format('no background worker runs for role %I, which may not connect to this database', r.rolname) END
	FROM @extschema@.work_due() w LEFT JOIN pg_roles r ON r.oid = w.owner
$$;
COMMENT ON FUNCTION @extschema@.work_list() IS 'what the launcher starts workers for, and what hinders one; of background workers';

-- COMMIT PREPARED tells nobody, and is said in any session: as long as there is a prepared transaction that has
-- written to what work is made of, the launcher stays and looks often.
CREATE FUNCTION @extschema@.work_prepared() RETURNS boolean
LANGUAGE sql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
	SELECT EXISTS (SELECT FROM pg_prepared_xacts p WHERE p.database = current_database())
		AND EXISTS (SELECT FROM pg_locks l WHERE l.pid IS NULL AND l.locktype = 'relation' AND l.mode = 'RowExclusiveLock'
			AND l.database = (SELECT d.oid FROM pg_database d WHERE d.datname = current_database())
			AND l.relation IN ('@extschema@.mirror_definition'::regclass, '@extschema@.subscription'::regclass,
				'@extschema@.writeback'::regclass))
$$;
COMMENT ON FUNCTION @extschema@.work_prepared() IS 'a prepared transaction may have made work; of background workers';

-- Each kind records failures in its own way.
CREATE FUNCTION @extschema@.work_failed(kind text, key bigint, problem text, counts boolean) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	IF kind = 'mirror' THEN
		PERFORM @extschema@.mirror_work_failed(key, problem, counts);
	ELSIF kind = 'events' THEN
		PERFORM @extschema@.subscription_work_failed(key, problem, counts);
	ELSIF kind = 'writeback' THEN
		PERFORM @extschema@.writeback_work_failed(key, problem, counts);
	END IF;
END $$;
COMMENT ON FUNCTION @extschema@.work_failed(text, bigint, text, boolean) IS
	'records why a worker failed (counts), or cannot be started; of background workers';

CREATE PROCEDURE @extschema@.work(kind text, key bigint)
LANGUAGE plpgsql AS $$
BEGIN
	IF kind OPERATOR(pg_catalog.=) 'mirror' THEN
		CALL @extschema@.mirror_background((key OPERATOR(pg_catalog.&) 4294967295)::pg_catalog.oid::pg_catalog.regclass);
	ELSIF kind OPERATOR(pg_catalog.=) 'writeback' THEN
		CALL @extschema@.writeback_work(key);
	ELSE
		RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value', MESSAGE = pg_catalog.format('"%s" is no kind of work', kind);
	END IF;
END $$;
COMMENT ON PROCEDURE @extschema@.work(text, bigint) IS 'one piece of work, as its owner; of background workers';

CREATE VIEW @extschema@.workers AS
	SELECT a.pid, pg_catalog.substr(a.backend_type, 7) AS kind,
		CASE WHEN a.backend_type OPERATOR(pg_catalog.=) ANY ('{ampsf mirror,ampsf writeback}')
				THEN ((pg_catalog.substring(a.application_name, '[0-9]{1,18}$')::bigint OPERATOR(pg_catalog.&) 4294967295)::pg_catalog.oid::pg_catalog.regclass)::pg_catalog.text
			WHEN a.backend_type OPERATOR(pg_catalog.=) 'ampsf events' THEN pg_catalog.substring(a.application_name, '[0-9]+$') END AS target,
		a.usename AS owner, a.backend_start AS since, a.state, a.wait_event
	FROM pg_catalog.pg_stat_activity a
	WHERE a.datname OPERATOR(pg_catalog.=) pg_catalog.current_database()
		AND a.backend_type OPERATOR(pg_catalog.~) '^ampsf (launcher|mirror|events|writeback)$';
COMMENT ON VIEW @extschema@.workers IS
	'background workers of this database, those of other roles to members of pg_read_all_stats; target: the mirror, or the number of the subscription';
GRANT SELECT ON @extschema@.workers TO PUBLIC;
