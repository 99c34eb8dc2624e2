-- Change events applied to mirrors: what was set is set, what an event cannot tell is read again.

-- Rows that no worker cleans up.
CREATE INDEX change_of_webhook ON @extschema@.change (id) WHERE subscription IS NULL;

CREATE FUNCTION @extschema@.populate(base anyelement, foreign_table regclass, record jsonb) RETURNS anyelement
LANGUAGE C STABLE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'ampsf_sql_populate';
COMMENT ON FUNCTION @extschema@.populate(anyelement, regclass, jsonb) IS
	'a row with the columns replaced for whose fields a record (as REST gives it) has keys: converted as the foreign table does; columns go by the names of the foreign table''s';

-- Whose events are a mirror's.
CREATE FUNCTION @extschema@.mirror_feed(d @extschema@.mirror_definition, OUT server name, OUT object_key text)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
	SELECT s.srvname, lower(coalesce((SELECT o.option_value FROM pg_options_to_table(f.ftoptions) o WHERE o.option_name = 'object'), c.relname))
	FROM pg_foreign_table f JOIN pg_foreign_server s ON s.oid = f.ftserver JOIN pg_class c ON c.oid = f.ftrelid
	WHERE f.ftrelid = d.source
$$;
COMMENT ON FUNCTION @extschema@.mirror_feed(@extschema@.mirror_definition) IS 'server and object of a mirror; of mirrors';

-- Columns of a mirror as events see them.  told: events carry the field, so that a new record's is complete.
-- made_of: fields of whose changes events tell in its place.
CREATE FUNCTION @extschema@.mirror_event_columns(
	d @extschema@.mirror_definition, OUT name name, OUT field text, OUT type oid, OUT told boolean, OUT made_of text[])
RETURNS SETOF record
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	RETURN QUERY SELECT c.name, x.field, t.atttypid,
		x.field IN ('id', 'isdeleted', 'createddate', 'createdbyid', 'lastmodifieddate', 'lastmodifiedbyid') OR (
			NOT c.calculated AND strpos(x.field, '.') = 0 AND NOT x.compound AND x.o ->> 'type' IS DISTINCT FROM 'base64'
			AND (coalesce((x.o ->> 'createable')::boolean, true) OR coalesce((x.o ->> 'updateable')::boolean, true))),
		CASE
			WHEN strpos(x.field, '.') > 0 THEN ARRAY[regexp_replace(split_part(x.field, '.', 1), '__r$', '__c'), split_part(x.field, '.', 1) || 'id']
			WHEN x.compound THEN (SELECT array_agg(CASE WHEN x.field ~ '__c$' THEN left(x.field, -1) || p || '__s'
				ELSE regexp_replace(x.field, 'address$', '') || p END) FROM unnest(ARRAY['street', 'city', 'state', 'statecode', 'postalcode',
				'country', 'countrycode', 'latitude', 'longitude', 'geocodeaccuracy']) p)
			WHEN x.field = 'name' THEN ARRAY['salutation', 'firstname', 'middlename', 'lastname', 'suffix'] END
	FROM @extschema@.mirror_columns(d.source) c
		JOIN pg_attribute a ON a.attrelid = d.source AND a.attnum = c.attnum
		JOIN pg_attribute t ON t.attrelid = d.target AND t.attname = c.name AND NOT t.attisdropped AND t.attgenerated = ''
		CROSS JOIN LATERAL (SELECT lower(c.field) AS field,
			coalesce((SELECT jsonb_object_agg(o.option_name, o.option_value) FROM pg_options_to_table(a.attfdwoptions) o), '{}') AS o,
			a.atttypid IN ('json'::regtype, 'jsonb'::regtype) AS compound) x
	WHERE c.name <> ALL (d.left_out)
	ORDER BY c.attnum;
END $$;
COMMENT ON FUNCTION @extschema@.mirror_event_columns(@extschema@.mirror_definition) IS 'columns of a mirror as change events see them; of mirrors';

-- A datetime of an event: as REST writes it, or in milliseconds.
CREATE FUNCTION @extschema@.mirror_instant(value jsonb) RETURNS timestamptz
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
	SELECT CASE jsonb_typeof(value) WHEN 'number' THEN to_timestamp((value #>> '{}')::float8 / 1000)
		WHEN 'string' THEN (value #>> '{}')::timestamptz END
$$;
COMMENT ON FUNCTION @extschema@.mirror_instant(jsonb) IS 'of mirrors';

-- The statements that put values ($2) into rows ($1: their Ids): an UPDATE of the columns that any of them
-- names, or an INSERT.
CREATE FUNCTION @extschema@.mirror_put(d @extschema@.mirror_definition, ids text[], vals jsonb[], new boolean) RETURNS bigint
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	source text := format('WITH s AS MATERIALIZED (SELECT u.id, u.v, @extschema@.populate(NULL::%s, %L, u.v) AS p FROM unnest($1, $2) u (id, v)) ',
		d.target, d.source);
	keys text[] := (SELECT array_agg(DISTINCT k) FROM unnest(vals) v, jsonb_object_keys(v) k);
	key name := @extschema@.mirror_key(d);
	was boolean;
	columns text;
	news text;
	olds text;
	sets text;
	n bigint := 0;
BEGIN
	SELECT string_agg(quote_ident(c.name), ', '), string_agg(x.value || x.as_text, ', '), string_agg('t.' || quote_ident(c.name) || x.as_text, ', '),
			string_agg(format('%I = %s', c.name, x.value), ', ')
		INTO columns, news, olds, sets
		FROM @extschema@.mirror_event_columns(d) c CROSS JOIN LATERAL (SELECT
			CASE WHEN new THEN format('(s.p).%I', c.name)
				-- These never go back.  The own value of the first follows with the next run, and can only be later.
				WHEN c.field IN ('systemmodstamp', 'lastmodifieddate') AND c.type = 'timestamptz'::regtype THEN format('greatest(t.%1$I, CASE WHEN s.v ? %2$L THEN (s.p).%1$I END)', c.name, c.field)
				ELSE format('CASE WHEN s.v ? %2$L THEN (s.p).%1$I ELSE t.%1$I END', c.name, c.field) END AS value,
			@extschema@.mirror_compared(d, c.name) AS as_text) x
		WHERE c.field = ANY (keys) AND (new OR c.field <> 'id');
	IF columns IS NULL THEN
		RETURN 0;
	END IF;
	was := @extschema@.mirror_applying(true);
	IF new THEN
		EXECUTE format('%s INSERT INTO %s (%s) SELECT %s FROM s WHERE NOT EXISTS (SELECT FROM %2$s t WHERE t.%5$I = s.id) ON CONFLICT DO NOTHING',
			source, d.target, columns, news, key)
			USING ids, vals;
	ELSE
		EXECUTE format('%s UPDATE %s t SET %s FROM s WHERE t.%I = s.id AND ROW(%s) IS DISTINCT FROM ROW(%s)',
			source, d.target, sets, key, olds, news) USING ids, vals;
	END IF;
	GET DIAGNOSTICS n = ROW_COUNT;
	PERFORM @extschema@.mirror_applying(was);
	RETURN n;
END $$;
COMMENT ON FUNCTION @extschema@.mirror_put(@extschema@.mirror_definition, text[], jsonb[], boolean) IS
	'puts values of change events into rows of a mirror; of mirrors';

-- What is to be done for each record of which the events from one id to another tell, all events of a record
-- taken together: nothing (the row is newer), remove, patch, insert, read, or check: read, and removed if it is
-- not there.
CREATE FUNCTION @extschema@.mirror_fold(
	d @extschema@.mirror_definition, server name, object_key text, low bigint, high bigint,
	OUT rid text, OUT what text, OUT at timestamptz, OUT vals jsonb)
RETURNS SETOF record
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	key name := @extschema@.mirror_key(d);
	stamps text;
	fields text[];
	parts text[];
	name_parts text[];
	stamp_here boolean;
	all_told boolean;
BEGIN
	SELECT 'greatest(' || string_agg(format('t.%I', c.name), ', ') FILTER (WHERE c.field IN ('systemmodstamp', 'lastmodifieddate')
				AND c.type = 'timestamptz'::regtype) || ')',
			array_agg(c.field), bool_and(c.told), coalesce(bool_or(c.field = 'systemmodstamp' AND c.type = 'timestamptz'::regtype), false),
			coalesce(max(c.made_of) FILTER (WHERE c.field = 'name'), '{}')
		INTO stamps, fields, all_told, stamp_here, name_parts FROM @extschema@.mirror_event_columns(d) c;
	parts := coalesce((SELECT array_agg(p) FROM @extschema@.mirror_event_columns(d) c, unnest(c.made_of) p WHERE c.field <> 'name'), '{}');
	RETURN QUERY EXECUTE format(
		'WITH e AS MATERIALIZED (SELECT c.id, c.record_id, c.type, c.subscription IS NULL AS loose, coalesce(c.committed, c.received) AS at, f.v, '
			't.%2$I IS NOT NULL AS known, t.%2$I IS NOT NULL AND %3$s AS here, '
			-- Of both the second counts: that of an event may be finer than that of a row.
			'coalesce(%3$s AND date_trunc(''second'', s.stamp) < date_trunc(''second'', %4$s) '
				-- Those of one second come in any order, too.
				'+ CASE WHEN c.subscription IS NULL AND c.type IN (''CREATE'', ''UPDATE'') THEN interval ''1 second'' ELSE interval ''0'' END, false) AS late, '
			's.stamp IS NULL AND c.subscription IS NULL OR '
			'f.v ?| $5 OR (f.v ?| $6 AND NOT f.v ? ''name'') OR EXISTS (SELECT FROM unnest(c.changed_fields) g '
				'WHERE NOT f.v ? lower(g) AND lower(g) = ANY ($5 || $6 || $7)) AS partial '
			'FROM @extschema@.change c LEFT JOIN %1$s t ON t.%2$I = c.record_id, LATERAL ('
				'SELECT coalesce(jsonb_object_agg(lower(x.key), x.value), ''{}'') AS v FROM jsonb_each(c.values) x) f, '
				-- A transaction may be committed long after it has stamped its rows, and a roll-up leaves their times as they are.
				'LATERAL (SELECT greatest(@extschema@.mirror_instant(f.v -> ''lastmodifieddate''), c.committed) AS stamp) s '
			'WHERE c.owner = $8 AND c.server = $1 AND c.object_key = $2 AND c.id > $3 AND c.id <= $4 AND c.record_id IS NOT NULL), '
		'r AS (SELECT e.record_id, (array_agg(e.type ORDER BY e.id DESC))[1] AS last, (array_agg(e.late ORDER BY e.id DESC))[1] AS late, '
			'(array_agg(e.type ORDER BY e.id))[1] AS first, max(e.at) AS at, bool_or(e.known) AS known, bool_or(e.here) AS here, '
			'bool_and(e.late) AS all_late, '
			-- Of one channel events come in order: a row that is newer has them.  Those of a webhook may be passed by later ones.
			'bool_or(e.late AND e.loose AND e.type = ''UPDATE'') AS overtaken, bool_or(e.loose) AS loose, bool_or(e.loose) AND min(e.id) <> max(e.id) AS mixed, '
			'bool_or(NOT e.late AND (e.partial OR e.type NOT IN (''CREATE'', ''UPDATE'', ''DELETE'', ''GAP_DELETE''))) AS partial, '
			'bool_or(e.type IN (''DELETE'', ''GAP_DELETE'')) AS gone, '
			-- In one pass: what is known of the rows is not enough to join them again.
			'jsonb_object_agg(x.key, x.value ORDER BY e.id) FILTER (WHERE x.key IS NOT NULL) AS v '
			'FROM e LEFT JOIN LATERAL jsonb_each(e.v) x ON NOT e.late GROUP BY 1) '
		'SELECT r.record_id, CASE '
			'WHEN r.mixed THEN CASE WHEN r.gone THEN ''check'' ELSE ''read'' END '
			'WHEN r.last IN (''DELETE'', ''GAP_DELETE'') THEN CASE WHEN r.here AND NOT r.late THEN ''remove'' ELSE ''nothing'' END '
			'WHEN r.overtaken THEN ''read'' '
			'WHEN r.all_late THEN ''nothing'' '
			'WHEN r.gone THEN ''check'' '
			'WHEN r.partial OR r.v IS NULL THEN ''read'' '
			'WHEN r.here THEN ''patch'' '
			'WHEN r.first = ''CREATE'' AND NOT r.known AND NOT r.loose AND $9 THEN ''insert'' '
			'ELSE ''read'' END, r.at, '
			'CASE WHEN $10 AND r.v ? ''lastmodifieddate'' THEN jsonb_build_object(''systemmodstamp'', r.v -> ''lastmodifieddate'') ELSE ''{}'' END '
			'|| CASE WHEN ''isdeleted'' = ANY ($7) THEN ''{"isdeleted": false}''::jsonb ELSE ''{}'' END || r.v || jsonb_build_object(''id'', r.record_id) '
		'FROM r',
		d.target, key, CASE WHEN d.deletes = 'mark' THEN 't.deleted_at IS NULL' ELSE 'true' END, coalesce(stamps, 'NULL::timestamptz'))
	USING server, object_key, low, high, parts, name_parts, fields, d.owner, all_told, stamp_here;
END $$;
COMMENT ON FUNCTION @extschema@.mirror_fold(@extschema@.mirror_definition, name, text, bigint, bigint) IS
	'what change events ask of a mirror, a row for each record; of mirrors';

-- Does an event say that something is not told?
CREATE FUNCTION @extschema@.mirror_of_all(event @extschema@.change) RETURNS boolean
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
	SELECT event.record_id IS NULL OR event.type IN ('GAP_OVERFLOW', 'LOST') OR event.record_id ~ '[*]|^0{12}'
$$;
COMMENT ON FUNCTION @extschema@.mirror_of_all(@extschema@.change) IS 'of mirrors';

-- Events that wait for a mirror, up to a few thousand, into its rows, in one transaction with how far they go.
-- How many they were; null: not now.  A run under way is not waited for: it takes them up when it ends.
CREATE FUNCTION @extschema@.mirror_apply(target regclass) RETURNS bigint
LANGUAGE plpgsql STRICT SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	d @extschema@.mirror_definition := @extschema@.mirror_find(target);
	feed record;
	before record;
	after record;
	batch record;
	high bigint;
	ids text[];
	reads text[];
	got record;
	n_inserted bigint := 0;
	n_updated bigint := 0;
	n_deleted bigint := 0;
	run bigint;
BEGIN
	feed := @extschema@.mirror_feed(d);
	IF d.paused OR d.watermark IS NULL THEN
		RETURN NULL;
	ELSIF NOT EXISTS (SELECT FROM @extschema@.change c WHERE c.owner = d.owner AND c.server = feed.server
			AND c.object_key = feed.object_key AND c.id > d.applied_to) THEN
		RETURN 0;
	ELSIF NOT pg_try_advisory_xact_lock(hashtext('@extschema@.mirror'), target::oid::integer) THEN
		RETURN NULL;
	END IF;
	d := @extschema@.mirror_find(target);
	PERFORM @extschema@.mirror_check(d);
	SELECT max(c.id), count(*) INTO high FROM (SELECT c.id FROM @extschema@.change c WHERE c.owner = d.owner AND c.server = feed.server
		AND c.object_key = feed.object_key AND c.id > d.applied_to ORDER BY c.id LIMIT 5000) c;
	-- A history has each version: no two events of one record go together.
	IF d.history IS NOT NULL THEN
		high := coalesce((SELECT min(c.id) - 1 FROM (
			SELECT c.id, row_number() OVER (PARTITION BY c.record_id ORDER BY c.id) AS n FROM @extschema@.change c
				WHERE c.owner = d.owner AND c.server = feed.server AND c.object_key = feed.object_key
					AND c.id > d.applied_to AND c.id <= high AND c.record_id IS NOT NULL) c WHERE c.n > 1), high);
	END IF;
	SELECT count(*) AS n, max(c.committed) AS committed, coalesce(bool_or(@extschema@.mirror_of_all(c)), false) AS of_all INTO batch
		FROM @extschema@.change c WHERE c.owner = d.owner AND c.server = feed.server AND c.object_key = feed.object_key
			AND c.id > d.applied_to AND c.id <= high;
	IF batch.n = 0 THEN
		RETURN NULL;
	END IF;
	SELECT * INTO before FROM @extschema@.mirror_spent();

	SELECT array_agg(f.rid) FILTER (WHERE f.what = 'remove') AS ids, array_agg(f.at) FILTER (WHERE f.what = 'remove') AS times,
			array_agg(f.rid ORDER BY f.rid) FILTER (WHERE f.what IN ('read', 'check')) AS reads,
			array_agg(f.rid ORDER BY f.rid) FILTER (WHERE f.what = 'check') AS checked, max(f.at) FILTER (WHERE f.what = 'check') AS checked_at,
			array_agg(f.rid ORDER BY f.rid) FILTER (WHERE f.what = 'patch') AS patched,
			array_agg(f.vals ORDER BY f.rid) FILTER (WHERE f.what = 'patch') AS patches,
			array_agg(f.rid ORDER BY f.rid) FILTER (WHERE f.what = 'insert') AS added,
			array_agg(f.vals ORDER BY f.rid) FILTER (WHERE f.what = 'insert') AS additions
		INTO got FROM @extschema@.mirror_fold(d, feed.server, feed.object_key, d.applied_to, high) f
		WHERE f.rid !~ '[*]|^0{12}';
	reads := coalesce(got.reads, '{}');
	-- What does not fit the columns is a case for the foreign scan, whose word counts.
	BEGIN
		IF got.patched IS NOT NULL THEN
			n_updated := @extschema@.mirror_put(d, got.patched, got.patches, false);
		END IF;
		IF got.added IS NOT NULL THEN
			n_inserted := @extschema@.mirror_put(d, got.added, got.additions, true);
		END IF;
	EXCEPTION WHEN data_exception OR check_violation OR not_null_violation THEN
		n_updated := 0;
		n_inserted := 0;
		reads := reads || coalesce(got.patched, '{}') || coalesce(got.added, '{}');
	END;
	IF got.ids IS NOT NULL THEN
		n_deleted := @extschema@.mirror_remove(d, got.ids, got.times);
	END IF;
	FOR i IN 1 .. cardinality(reads) BY 2000 LOOP
		SELECT * INTO after FROM @extschema@.mirror_read(d, format('%I = ANY ($3)', @extschema@.mirror_key(d)), NULL, NULL, reads[i : i + 1999]);
		n_inserted := n_inserted + after.inserted;
		n_updated := n_updated + after.updated;
	END LOOP;
	FOR i IN 1 .. coalesce(cardinality(got.checked), 0) BY 2000 LOOP
		EXECUTE format('SELECT array_agg(s.%1$I) FROM %2$s s WHERE s.%1$I = ANY ($1)%3$s', @extschema@.mirror_key(d), d.source,
			@extschema@.mirror_filter(d)) INTO ids USING got.checked[i : i + 1999];
		SELECT array_agg(c) INTO ids FROM unnest(got.checked[i : i + 1999]) c WHERE c <> ALL (coalesce(ids, '{}'));
		n_deleted := n_deleted + @extschema@.mirror_remove(d, ids, array_fill(got.checked_at, ARRAY[coalesce(cardinality(ids), 0)]));
	END LOOP;

	-- Or what was looked for by the old name was not found.
	IF feed.server IS DISTINCT FROM (@extschema@.mirror_feed(d)).server THEN
		RAISE EXCEPTION USING ERRCODE = 'serialization_failure', MESSAGE = format('server "%s" was renamed meanwhile', feed.server);
	END IF;
	SELECT * INTO after FROM @extschema@.mirror_spent();
	SELECT r.id INTO run FROM @extschema@.mirror_run r WHERE r.target = d.target AND r.kind = 'events' AND r.started > clock_timestamp() - interval '1 hour'
		AND r.id = (SELECT max(o.id) FROM @extschema@.mirror_run o WHERE o.target = d.target);
	IF run IS NULL THEN
		INSERT INTO @extschema@.mirror_run (target, kind, state) VALUES (d.target, 'events', 'done') RETURNING id INTO run;
	END IF;
	UPDATE @extschema@.mirror_run r SET events = r.events + batch.n, inserted = r.inserted + n_inserted, updated = r.updated + n_updated,
			deleted = r.deleted + n_deleted, calls = r.calls + after.calls - before.calls, rows_read = r.rows_read + after.rows - before.rows,
			finished = clock_timestamp()
		WHERE r.id = run;
	UPDATE @extschema@.mirror_definition m SET applied_to = high, events = m.events + batch.n,
			last_event = greatest(m.last_event, batch.committed), event_error = NULL,
			rows = m.rows + n_inserted - CASE WHEN d.deletes = 'remove' THEN n_deleted ELSE 0 END,
			-- Events of a whole object say that something is not told: a run that begins from now on finds it.  One that is half
			-- done may have passed the place; one that has failed is tried again in its own time.
			compare_asked = m.compare_asked OR batch.of_all, rerun = m.rerun OR batch.of_all AND m.stage <> 'idle',
			next_run = CASE WHEN batch.of_all AND m.failures = 0 THEN least(m.next_run, clock_timestamp()) ELSE m.next_run END
		WHERE m.target = d.target;
	IF batch.of_all THEN
		PERFORM @extschema@.wake();
	END IF;
	RETURN batch.n;
END $$;
COMMENT ON FUNCTION @extschema@.mirror_apply(regclass) IS
	'applies change events that wait for a mirror, some thousands; how many they were, null: not now; of mirrors';

-- The same, an error kept in the mirror's status: one that fails is no hindrance to others.
CREATE FUNCTION @extschema@.mirror_apply_one(target regclass) RETURNS bigint
LANGUAGE plpgsql STRICT SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	RETURN @extschema@.mirror_apply(target);
EXCEPTION WHEN OTHERS THEN
	UPDATE @extschema@.mirror_definition d SET event_error = SQLERRM
		WHERE d.target = mirror_apply_one.target AND d.event_error IS DISTINCT FROM SQLERRM;
	RETURN NULL;
END $$;
COMMENT ON FUNCTION @extschema@.mirror_apply_one(regclass) IS 'of mirrors';

CREATE FUNCTION @extschema@.mirror_apply_due(subscription bigint DEFAULT NULL) RETURNS bigint
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	target regclass;
	got bigint;
	n bigint := 0;
BEGIN
	-- In one order, whoever does it.
	FOR target IN SELECT d.target FROM @extschema@.mirror_definition d, LATERAL @extschema@.mirror_feed(d) f
		WHERE d.owner = quote_ident(current_user)::regrole AND NOT d.paused AND d.watermark IS NOT NULL
			AND EXISTS (SELECT FROM pg_class c WHERE c.oid = d.target)
			-- By the index, from there on: not all rows that there are.
			AND (SELECT c.id FROM @extschema@.change c WHERE c.owner = d.owner AND c.server = f.server AND c.object_key = f.object_key
				AND c.id > d.applied_to AND (mirror_apply_due.subscription IS NULL OR c.subscription = mirror_apply_due.subscription)
				ORDER BY c.owner, c.server, c.object_key, c.id LIMIT 1) IS NOT NULL
		ORDER BY d.target::oid LOOP
		LOOP
			got := @extschema@.mirror_apply_one(target);
			n := n + coalesce(got, 0);
			-- A worker commits each batch, and calls again.
			EXIT WHEN coalesce(got, 0) = 0 OR subscription IS NOT NULL;
		END LOOP;
	END LOOP;
	RETURN n;
END $$;
COMMENT ON FUNCTION @extschema@.mirror_apply_due(bigint) IS
	'applies change events that wait for the caller''s mirrors: all, or those for which some of a subscription wait; how many they were; of mirrors';
