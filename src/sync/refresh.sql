-- Materialized views over foreign tables: refreshed only where something has changed.

CREATE FUNCTION @extschema@.changes_since(
	foreign_tables regclass[], stamps text[], since timestamptz[], until timestamptz[],
	OUT foreign_table regclass, OUT rows bigint, OUT newest timestamptz, OUT deleted bigint, OUT fingerprint text,
	OUT server_time timestamptz, OUT problem text)
RETURNS SETOF record
LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE ROWS 5 AS 'MODULE_PATHNAME', 'ampsf_sql_changes_since';
COMMENT ON FUNCTION @extschema@.changes_since(regclass[], text[], timestamptz[], timestamptz[]) IS
	'what has changed in objects: rows with a stamp since then, deletions between the times, and a fingerprint of both; one call for five objects';

-- Not dumped: a restored view is refreshed once, and a view may come after the rows that name it.
CREATE TABLE @extschema@.matview_state (
	matview regclass NOT NULL,
	source regclass NOT NULL,
	owner regrole NOT NULL DEFAULT pg_catalog.quote_ident(current_user)::pg_catalog.regrole,
	since timestamptz,
	rows bigint,
	newest timestamptz,
	deleted bigint,
	fingerprint text,
	server_time timestamptz,
	asked timestamptz NOT NULL DEFAULT clock_timestamp(),
	reason text,
	PRIMARY KEY (matview, source, owner)
);
COMMENT ON TABLE @extschema@.matview_state IS
	'of ampsf.refresh_if_changed(): the tables that a materialized view reads, as they were before its last refresh';
COMMENT ON COLUMN @extschema@.matview_state.since IS 'rows and deletions of an object are looked at from this time of the org on';
COMMENT ON COLUMN @extschema@.matview_state.fingerprint IS 'what there was since then; another one means a change; null: it cannot be told, or was changing';
COMMENT ON COLUMN @extschema@.matview_state.server_time IS 'the org''s time';
COMMENT ON COLUMN @extschema@.matview_state.reason IS 'why it was refreshed last';
ALTER TABLE @extschema@.matview_state ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON @extschema@.matview_state TO PUBLIC
	USING (owner = (SELECT pg_catalog.quote_ident(current_user)::pg_catalog.regrole));
GRANT SELECT, INSERT, UPDATE, DELETE ON @extschema@.matview_state TO PUBLIC;

-- Tables that are read, through views, partitions and children.  A foreign table that can be asked has a server.
CREATE FUNCTION @extschema@.matview_sources(matview regclass, OUT source regclass, OUT server oid, OUT stamp text, OUT askable boolean)
RETURNS SETOF record
LANGUAGE sql STABLE STRICT SET search_path = pg_catalog, pg_temp AS $$
	WITH RECURSIVE read (relid) AS (
		SELECT matview::oid
		UNION
		SELECT x.relid FROM read JOIN pg_class c ON c.oid = read.relid CROSS JOIN LATERAL (
			SELECT d.refobjid AS relid FROM pg_rewrite r JOIN pg_depend d ON d.classid = 'pg_rewrite'::regclass
				AND d.objid = r.oid AND d.refclassid = 'pg_class'::regclass
			WHERE r.ev_class = c.oid AND (c.relkind = 'v' OR c.oid = matview)
			UNION ALL
			SELECT i.inhrelid FROM pg_inherits i WHERE i.inhparent = c.oid) x
	)
	SELECT c.oid::regclass, f.ftserver,
		coalesce((SELECT n.name FROM @extschema@.mirror_columns(c.oid) m
			JOIN (VALUES (1, 'SystemModstamp'), (2, 'LastModifiedDate'), (3, 'CreatedDate'), (4, 'LoginTime')) n (rank, name)
				ON lower(n.name) = lower(m.field)
			WHERE m.type = 'timestamp with time zone' AND m.filterable ORDER BY n.rank LIMIT 1), 'SystemModstamp'),
		c.relkind <> 'f' OR (w.fdwhandler = '@extschema@.ampsf_fdw_handler()'::regprocedure
			AND NOT coalesce('module=account_engagement' = ANY (s.srvoptions), false))
	FROM read JOIN pg_class c ON c.oid = read.relid
		LEFT JOIN pg_foreign_table f ON f.ftrelid = c.oid LEFT JOIN pg_foreign_server s ON s.oid = f.ftserver
		LEFT JOIN pg_foreign_data_wrapper w ON w.oid = s.srvfdw
	WHERE c.relkind IN ('r', 'm', 'f') AND c.oid <> matview
	ORDER BY f.ftserver, c.oid
$$;
COMMENT ON FUNCTION @extschema@.matview_sources(regclass) IS 'what a materialized view reads; of materialized views';

-- Of a local table: rows written so far, and its file.  After a crash the numbers begin anew, and that is told too.
CREATE FUNCTION @extschema@.local_fingerprint(source regclass) RETURNS text
LANGUAGE sql VOLATILE STRICT SET search_path = pg_catalog, pg_temp AS $$
	SELECT CASE WHEN current_setting('track_counts')::boolean THEN concat_ws('/', pg_relation_filenode(source),
		pg_stat_get_tuples_inserted(source) + pg_stat_get_xact_tuples_inserted(source),
		pg_stat_get_tuples_updated(source) + pg_stat_get_xact_tuples_updated(source),
		pg_stat_get_tuples_deleted(source) + pg_stat_get_xact_tuples_deleted(source),
		(SELECT extract(epoch FROM b.stats_reset) FROM pg_stat_bgwriter b)) END
$$;
COMMENT ON FUNCTION @extschema@.local_fingerprint(regclass) IS 'another one means a change of the table; of materialized views';

-- The sources with what the caller knows of them.
CREATE FUNCTION @extschema@.matview_known(
	matview regclass, OUT source regclass, OUT server oid, OUT stamp text, OUT askable boolean, OUT known boolean, OUT since timestamptz,
	OUT newest timestamptz, OUT fingerprint text, OUT server_time timestamptz, OUT asked timestamptz)
RETURNS SETOF record
LANGUAGE sql STABLE STRICT SET search_path = pg_catalog, pg_temp AS $$
	SELECT r.*, m.matview IS NOT NULL, m.since, m.newest, m.fingerprint, m.server_time, m.asked
	FROM @extschema@.matview_sources(matview) r LEFT JOIN @extschema@.matview_state m
		ON m.matview = matview_known.matview AND m.source = r.source AND m.owner = quote_ident(current_user)::regrole
$$;
COMMENT ON FUNCTION @extschema@.matview_known(regclass) IS 'of materialized views';

-- Has anything changed?  If so, the state is that of now: what is read after this shows it, or more.
CREATE FUNCTION @extschema@.matview_changed(matview regclass, at_least_every interval, lookback interval) RETURNS boolean
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	why text;
	asked record;
	f record;
	times jsonb := '{}';
	me regrole := quote_ident(current_user)::regrole;
BEGIN
	PERFORM pg_advisory_xact_lock(hashtext('@extschema@.matview_state'), matview::oid::integer);
	DELETE FROM @extschema@.matview_state m WHERE NOT EXISTS (SELECT FROM pg_class c WHERE c.oid = m.matview);
	IF NOT (SELECT relispopulated FROM pg_class WHERE oid = matview) THEN
		why := 'it was not populated';
	ELSIF NOT EXISTS (SELECT FROM @extschema@.matview_state m WHERE m.matview = matview_changed.matview AND m.owner = me)
		OR EXISTS (SELECT FROM @extschema@.matview_known(matview) r FULL JOIN (SELECT m.source FROM @extschema@.matview_state m
			WHERE m.matview = matview_changed.matview AND m.owner = me) m ON m.source = r.source
			WHERE m.source IS NULL OR r.source IS NULL) THEN
		why := 'what it reads was not known';
	ELSIF EXISTS (SELECT FROM @extschema@.matview_known(matview) r WHERE r.asked <= clock_timestamp() - least(at_least_every, interval '14 days')) THEN
		why := 'some time has passed';
	ELSE
		SELECT format(CASE WHEN r.newest IS NULL THEN '%s cannot be asked' ELSE '%s was changing' END, r.source) INTO why
			FROM @extschema@.matview_known(matview) r WHERE NOT r.askable OR r.fingerprint IS NULL LIMIT 1;
		IF why IS NULL THEN
			SELECT format('%s has changed', r.source) INTO why FROM @extschema@.matview_known(matview) r
				WHERE r.server IS NULL AND r.fingerprint IS DISTINCT FROM @extschema@.local_fingerprint(r.source) LIMIT 1;
		END IF;
		-- Nothing local: then the org.
		IF why IS NULL THEN
			SELECT array_agg(r.source) AS sources, array_agg(r.stamp) AS stamps, array_agg(r.since) AS since,
					array_agg(r.server_time + (clock_timestamp() - r.asked)) AS until INTO f
				FROM @extschema@.matview_known(matview) r WHERE r.server IS NOT NULL;
			FOR asked IN SELECT c.*, r.server, r.fingerprint AS before FROM @extschema@.changes_since(f.sources, f.stamps, f.since, f.until) c
				JOIN @extschema@.matview_known(matview) r ON r.source = c.foreign_table LOOP
				times := times || jsonb_build_object(asked.server, asked.server_time);
				IF asked.problem IS NOT NULL THEN
					why := coalesce(why, format('%s: %s', asked.foreign_table, asked.problem));
				ELSIF asked.fingerprint IS DISTINCT FROM asked.before THEN
					why := coalesce(why, format('%s has changed', asked.foreign_table));
				END IF;
			END LOOP;
		END IF;
	END IF;
	IF why IS NULL THEN
		RETURN false;
	END IF;

	DELETE FROM @extschema@.matview_state m WHERE m.matview = matview_changed.matview AND m.owner = me;
	INSERT INTO @extschema@.matview_state (matview, source, fingerprint, reason)
		SELECT matview, r.source, CASE WHEN r.server IS NULL THEN @extschema@.local_fingerprint(r.source) END, why
		FROM @extschema@.matview_sources(matview) r;
	FOR f IN SELECT DISTINCT ON (r.server) r.server, r.source FROM @extschema@.matview_sources(matview) r
		WHERE r.server IS NOT NULL AND r.askable AND times -> r.server::text IS NULL LOOP
		times := times || jsonb_build_object(f.server, @extschema@.server_time(f.source));
	END LOOP;
	SELECT array_agg(r.source) AS sources, array_agg(r.stamp) AS stamps, array_agg(r.now) AS until,
			array_agg(r.now - greatest(lookback, interval '2 minutes')) AS since INTO f
		FROM (SELECT r.*, (times ->> r.server::text)::timestamptz AS now FROM @extschema@.matview_sources(matview) r
			WHERE r.server IS NOT NULL AND r.askable) r;
	UPDATE @extschema@.matview_state m SET since = q.since, rows = c.rows, newest = c.newest, deleted = c.deleted,
			-- A row may change twice in the second that is its stamp.
			fingerprint = CASE WHEN c.problem IS NULL AND (c.newest IS NULL OR c.newest < c.server_time - interval '5 seconds')
				THEN c.fingerprint END, server_time = c.server_time,
			asked = clock_timestamp()
		FROM @extschema@.changes_since(f.sources, f.stamps, f.since, f.until) c
			JOIN unnest(f.sources, f.since) q (source, since) ON q.source = c.foreign_table
		WHERE m.matview = matview_changed.matview AND m.owner = me AND m.source = c.foreign_table;
	RETURN true;
END $$;
COMMENT ON FUNCTION @extschema@.matview_changed(regclass, interval, interval) IS 'has what it reads changed; of materialized views';

CREATE FUNCTION @extschema@.matview_concurrently(matview regclass) RETURNS boolean
LANGUAGE sql STABLE STRICT SET search_path = pg_catalog, pg_temp AS $$
	SELECT c.relispopulated AND EXISTS (SELECT FROM pg_index i WHERE i.indrelid = c.oid AND i.indisunique AND i.indimmediate
		AND i.indisvalid AND i.indpred IS NULL AND i.indexprs IS NULL)
	FROM pg_class c WHERE c.oid = matview
$$;
COMMENT ON FUNCTION @extschema@.matview_concurrently(regclass) IS 'can it be refreshed while it is read; of materialized views';

-- No search_path of its own: the view's functions find what they find in any other refresh.
CREATE FUNCTION @extschema@.refresh_if_changed(
	matview regclass, at_least_every interval DEFAULT '1 day', lookback interval DEFAULT '10 minutes')
RETURNS boolean
LANGUAGE plpgsql STRICT AS $$
BEGIN
	IF NOT EXISTS (SELECT FROM pg_catalog.pg_class c WHERE c.oid OPERATOR(pg_catalog.=) matview AND c.relkind OPERATOR(pg_catalog.=) 'm') THEN
		RAISE EXCEPTION USING ERRCODE = 'wrong_object_type', MESSAGE = pg_catalog.format('%s is not a materialized view', matview);
	END IF;
	IF NOT @extschema@.matview_changed(matview, at_least_every, lookback) THEN
		RETURN false;
	END IF;
	EXECUTE pg_catalog.format('REFRESH MATERIALIZED VIEW %s%s',
		CASE WHEN @extschema@.matview_concurrently(matview) THEN 'CONCURRENTLY ' ELSE '' END, matview);
	RETURN true;
END $$;
COMMENT ON FUNCTION @extschema@.refresh_if_changed(regclass, interval, interval) IS
	'refreshes a materialized view if one of the objects or tables that it reads has changed; one call for five objects; true: it did';
