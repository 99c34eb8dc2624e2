-- What the worker of a subscription does: each function is a transaction of its.  What becomes of the events in
-- mirrors is apply.sql.

-- Parts of compound fields come without what they have in common; here they have the names of the fields.
CREATE FUNCTION @extschema@.event_field(compound text, part text) RETURNS text
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
	SELECT CASE WHEN compound = 'Name' THEN part
		WHEN compound ~ '__c$' THEN left(compound, -1) || upper(left(part, 1)) || substr(part, 2) || '__s'
		WHEN compound ~ 'Address$' THEN left(compound, -7) || part
		ELSE compound || part END
$$;
COMMENT ON FUNCTION @extschema@.event_field(text, text) IS 'the field that is a part of a compound field in an event; of change events';

CREATE FUNCTION @extschema@.event_values(payload jsonb) RETURNS jsonb
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
	SELECT jsonb_object_agg(f.name, f.value) FROM (
		SELECT e.key, e.value FROM jsonb_each(payload) e
		WHERE e.key <> 'ChangeEventHeader' AND jsonb_typeof(e.value) <> 'object'
		UNION ALL
		SELECT @extschema@.event_field(e.key, p.key), p.value FROM jsonb_each(payload) e,
			jsonb_each(CASE WHEN jsonb_typeof(e.value) = 'object' THEN e.value ELSE '{}' END) p
		WHERE e.key <> 'ChangeEventHeader'
		UNION ALL
		-- A part that was emptied may be left out; other fields never are.
		SELECT @extschema@.event_field(split_part(c.field, '.', 1), split_part(c.field, '.', 2)), 'null'
		FROM jsonb_array_elements_text(CASE WHEN payload #>> '{ChangeEventHeader,changeType}' = 'UPDATE'
			AND jsonb_typeof(payload #> '{ChangeEventHeader,changedFields}') = 'array'
			THEN payload #> '{ChangeEventHeader,changedFields}' ELSE '[]' END) c (field)
		WHERE strpos(c.field, '.') > 0 AND payload #> string_to_array(c.field, '.') IS NULL
		UNION ALL
		-- An address that was emptied as a whole.
		SELECT @extschema@.event_field(e.key, p.part), 'null' FROM jsonb_each(payload) e,
			unnest(ARRAY['Street', 'City', 'State', 'StateCode', 'PostalCode', 'Country', 'CountryCode', 'Latitude', 'Longitude',
				'GeocodeAccuracy']) p (part)
		WHERE e.key ~ '^(Person)?(Billing|Shipping|Mailing|Other|Permanent)?Address$' AND e.value = 'null') f (name, value)
$$;
COMMENT ON FUNCTION @extschema@.event_values(jsonb) IS 'fields of an event by their names; null: there are none; of change events';

CREATE FUNCTION @extschema@.event_changed(header jsonb, payload jsonb) RETURNS text[]
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
	SELECT array_agg(n.name ORDER BY c.place, n.name)
	FROM jsonb_array_elements_text(CASE WHEN jsonb_typeof(header -> 'changedFields') = 'array' THEN header -> 'changedFields'
			ELSE '[]' END) WITH ORDINALITY c (field, place),
		LATERAL (
			SELECT @extschema@.event_field(split_part(c.field, '.', 1), split_part(c.field, '.', 2)) AS name WHERE strpos(c.field, '.') > 0
			UNION
			SELECT @extschema@.event_field(c.field, p.key) FROM jsonb_each(
				CASE WHEN jsonb_typeof(payload -> c.field) = 'object' THEN payload -> c.field ELSE '{}' END) p
			UNION
			SELECT c.field WHERE strpos(c.field, '.') = 0 AND jsonb_typeof(payload -> c.field) IS DISTINCT FROM 'object') n
$$;
COMMENT ON FUNCTION @extschema@.event_changed(jsonb, jsonb) IS 'changed fields of an event by their names; null: there are none; of change events';

-- An update is of interest if a field that is watched has changed; a compound field stands for its parts.
CREATE FUNCTION @extschema@.event_watched(watch jsonb, header jsonb, changed text[]) RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
	SELECT watch IS NULL OR changed IS NULL OR EXISTS (
		SELECT FROM jsonb_array_elements_text(watch) w
		WHERE lower(w) IN (SELECT lower(c) FROM unnest(changed) c UNION
			SELECT lower(split_part(f, '.', 1)) FROM jsonb_array_elements_text(header -> 'changedFields') f))
$$;
COMMENT ON FUNCTION @extschema@.event_watched(jsonb, jsonb, text[]) IS 'of change events';

CREATE FUNCTION @extschema@.event_number(value text) RETURNS bigint
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
	SELECT CASE WHEN value ~ '^-?[0-9]{1,19}$' THEN
		CASE WHEN value::numeric BETWEEN -9223372036854775808 AND 9223372036854775807 THEN value::bigint END END
$$;
COMMENT ON FUNCTION @extschema@.event_number(text) IS 'of change events';

-- The events of an answer as rows: one for each record, those that are not of interest left out.
CREATE FUNCTION @extschema@.event_rows(
	s @extschema@.subscription, answer jsonb, OUT place bigint, OUT replay_id bigint, OUT object text, OUT record_id text,
	OUT type text, OUT changed_fields text[], OUT "values" jsonb, OUT committed timestamptz, OUT commit_number bigint,
	OUT commit_user text, OUT transaction_key text, OUT sequence integer, OUT origin text)
RETURNS SETOF record
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
	WITH event AS MATERIALIZED (
		SELECT m.place, @extschema@.event_number(m.message #>> '{data,event,replayId}') AS replay_id,
			m.message #> '{data,payload}' AS payload, m.message #> '{data,payload,ChangeEventHeader}' AS header
		FROM jsonb_array_elements(answer) WITH ORDINALITY m (message, place)
		WHERE m.message ->> 'channel' NOT LIKE '/meta/%' AND jsonb_typeof(m.message #> '{data,payload,ChangeEventHeader}') = 'object'
	), told AS (
		SELECT e.*, e.header ->> 'entityName' AS object, e.header ->> 'changeType' AS type,
			@extschema@.event_changed(e.header, e.payload) AS changed_fields,
			@extschema@.event_number(e.header ->> 'commitTimestamp') AS stamp
		FROM event e
	)
	SELECT t.place, t.replay_id, t.object, r.record_id, t.type, t.changed_fields, @extschema@.event_values(t.payload),
		timestamptz 'epoch' + t.stamp * interval '1 millisecond', @extschema@.event_number(t.header ->> 'commitNumber'),
		t.header ->> 'commitUser', t.header ->> 'transactionKey', @extschema@.event_number(t.header ->> 'sequenceNumber')::integer,
		nullif(t.header ->> 'changeOrigin', '')
	FROM told t, LATERAL (
			-- "001*" and the Id of zeroes stand for no record.
			SELECT CASE WHEN i.id ~ '^[0-9A-Za-z]{15,18}$' AND i.id !~ '^0+(AAA)?$' THEN i.id END AS record_id, min(i.place) AS place
			FROM jsonb_array_elements_text(CASE WHEN jsonb_typeof(t.header -> 'recordIds') = 'array'
				AND t.header -> 'recordIds' <> '[]' THEN t.header -> 'recordIds' ELSE '["*"]' END) WITH ORDINALITY i (id, place)
			GROUP BY 1) r
	WHERE t.object IS NOT NULL AND t.type IS NOT NULL
		AND (s.objects IS NULL OR EXISTS (SELECT FROM unnest(s.objects) o WHERE lower(o) = lower(t.object)))
		AND (t.type = ANY (s.events) OR t.type ~ '^GAP_')
		AND (t.type <> 'UPDATE'
			OR @extschema@.event_watched(@extschema@.event_setting(s.watch_fields, t.object), t.header, t.changed_fields))
	ORDER BY t.place, r.place
$$;
COMMENT ON FUNCTION @extschema@.event_rows(@extschema@.subscription, jsonb) IS 'of change events';

CREATE FUNCTION @extschema@.event_notify(subscription bigint, objects text[], first bigint, last bigint) RETURNS void
LANGUAGE sql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
	SELECT pg_notify('ampsf_change', json_build_object('subscription', subscription,
		'objects', CASE WHEN octet_length(objects::text) < 7000 THEN objects END, 'first', first, 'last', last)::text)
$$;
COMMENT ON FUNCTION @extschema@.event_notify(bigint, text[], bigint, bigint) IS
	'tells who listens on ampsf_change; objects is null where they are too many to tell; of change events';

-- Where the worker begins; no row: there is nothing to do.
CREATE FUNCTION @extschema@.subscription_begin(
	subscription bigint, OUT server name, OUT channel text, OUT replay bigint)
RETURNS SETOF record
LANGUAGE plpgsql STRICT SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	-- It may have been taken back, or the row made by hand.
	IF NOT has_function_privilege('@extschema@.subscribe(name, text[], text[], jsonb, text, jsonb, jsonb, text, interval)', 'EXECUTE') THEN
		RAISE EXCEPTION USING ERRCODE = 'insufficient_privilege', MESSAGE = 'permission denied for function subscribe',
			HINT = format('GRANT EXECUTE ON FUNCTION ampsf.subscribe TO %I.', current_user);
	END IF;
	RETURN QUERY UPDATE @extschema@.subscription s SET state = 'connecting'
		WHERE s.id = subscription AND s.owner = quote_ident(current_user)::regrole AND NOT s.paused
		-- One that was connected and has not heard of any event yet must not begin with what is new now.
		RETURNING s.server, s.channel,
			coalesce(s.replay_before, s.replay_id, CASE WHEN s.from_earliest OR s.first_connected IS NOT NULL THEN -2 ELSE -1 END);
END $$;
COMMENT ON FUNCTION @extschema@.subscription_begin(bigint) IS 'of change events';

-- Is it still to be applied to a mirror?
CREATE FUNCTION @extschema@.change_needed(c @extschema@.change) RETURNS boolean
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
	SELECT EXISTS (SELECT FROM @extschema@.mirror_definition d, @extschema@.mirror_feed(d) f
		WHERE d.owner = c.owner AND d.applied_to < c.id AND f.server = c.server AND f.object_key = c.object_key)
$$;
COMMENT ON FUNCTION @extschema@.change_needed(@extschema@.change) IS 'of change events';

-- After each answer: false if there is nothing more to do.
CREATE FUNCTION @extschema@.subscription_beat(subscription bigint, state text, error text DEFAULT NULL) RETURNS boolean
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	s @extschema@.subscription;
	now timestamptz := clock_timestamp();
BEGIN
	SELECT * INTO s FROM @extschema@.subscription x WHERE x.id = subscription;
	IF NOT FOUND OR s.paused THEN
		RETURN false;
	END IF;
	IF state = 'connected' AND (s.state <> state OR s.heartbeat IS NULL OR s.heartbeat < now - interval '55 seconds') THEN
		UPDATE @extschema@.subscription x SET state = 'connected', heartbeat = now, failures = 0, last_error = NULL, next_try = now,
				first_connected = coalesce(x.first_connected, now)
			WHERE x.id = subscription;
	ELSIF state <> 'connected' AND (s.state <> state OR s.last_error IS DISTINCT FROM error) THEN
		UPDATE @extschema@.subscription x SET state = subscription_beat.state, last_error = coalesce(error, x.last_error)
			WHERE x.id = subscription;
	END IF;
	IF state = 'connected' AND (s.pruned IS NULL OR s.pruned < now - interval '10 minutes') THEN
		UPDATE @extschema@.subscription x SET pruned = now WHERE x.id = subscription;
		DELETE FROM @extschema@.change c WHERE c.subscription = subscription_beat.subscription AND c.received < now - s.keep
			AND NOT @extschema@.change_needed(c);
	END IF;
	RETURN true;
END $$;
COMMENT ON FUNCTION @extschema@.subscription_beat(bigint, text, text) IS 'of change events';

-- Rows, and the place up to which the org has told, are one transaction.  Null: there is nothing more to do.
CREATE FUNCTION @extschema@.events_store(subscription bigint, answer text) RETURNS integer
LANGUAGE plpgsql STRICT SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
	s @extschema@.subscription;
	messages jsonb;
	told record;
	stored record;
	since timestamptz;
BEGIN
	SELECT * INTO s FROM @extschema@.subscription x WHERE x.id = events_store.subscription AND x.owner = quote_ident(current_user)::regrole FOR UPDATE;
	IF NOT FOUND THEN
		RETURN NULL;
	END IF;
	BEGIN
		messages := answer;
	EXCEPTION WHEN untranslatable_character OR invalid_text_representation THEN
		-- The character NUL, and half of a pair of surrogates, which no text of PostgreSQL's can hold.
		messages := regexp_replace(
			regexp_replace(answer, E'(?<!\\\\)((?:\\\\\\\\)*)\\\\u(?:0000|[dD][89abAB]..(?!\\\\u[dD][c-fC-F]))', E'\\1\\\\ufffd', 'g'),
			E'(?<!\\\\|\\\\u[dD][89abAB]..)((?:\\\\\\\\)*)\\\\u[dD][c-fC-F]..', E'\\1\\\\ufffd', 'g');
	END;
	SELECT count(*) AS n, (array_agg(e.replay_id ORDER BY e.place DESC) FILTER (WHERE e.replay_id IS NOT NULL))[1] AS replay_id,
			timestamptz 'epoch' + max(e.stamp) * interval '1 millisecond' AS committed INTO told
		FROM (SELECT m.place, @extschema@.event_number(m.message #>> '{data,event,replayId}'),
				@extschema@.event_number(m.message #>> '{data,payload,ChangeEventHeader,commitTimestamp}')
			FROM jsonb_array_elements(messages) WITH ORDINALITY m (message, place)
			WHERE m.message ->> 'channel' NOT LIKE '/meta/%' AND jsonb_typeof(m.message -> 'data') = 'object') e (place, replay_id, stamp);
	-- Begun with the earliest only since nothing was known: what was before is not wanted.
	IF s.replay_id IS NULL AND NOT s.from_earliest THEN
		since := s.first_connected - interval '5 minutes';
	END IF;
	-- Events with fields that were added to them (enriched, or named by a filter) are told record by record under one id.
	IF s.enriched_fields IS NOT NULL OR s.filter IS NOT NULL OR s.channel_id IS NULL THEN
		s.replay_before := coalesce((
			SELECT e.replay_id FROM (
				SELECT m.place, @extschema@.event_number(m.message #>> '{data,event,replayId}')
				FROM jsonb_array_elements(messages) WITH ORDINALITY m (message, place)) e (place, replay_id)
			WHERE e.replay_id <> told.replay_id ORDER BY e.place DESC LIMIT 1),
			CASE WHEN s.replay_id <> told.replay_id THEN s.replay_id ELSE s.replay_before END);
	END IF;
	PERFORM @extschema@.change_lock(s.server);
	WITH added AS (
		INSERT INTO @extschema@.change (subscription, server, channel, epoch, replay_id, object, record_id, type, changed_fields,
				"values", committed, commit_number, commit_user, transaction_key, sequence, origin)
			SELECT s.id, s.server, s.channel, s.epoch, r.replay_id, r.object, r.record_id, r.type, r.changed_fields,
				r."values", r.committed, r.commit_number, r.commit_user, r.transaction_key, r.sequence, r.origin
			FROM @extschema@.event_rows(s, messages) WITH ORDINALITY r
			WHERE since IS NULL OR r.committed IS NULL OR r.committed >= since
			ORDER BY r.ordinality
			ON CONFLICT (subscription, replay_id, object, record_id, type, transaction_key, owner)
				WHERE subscription IS NOT NULL AND type <> 'LOST' DO NOTHING
			RETURNING id, object)
		SELECT count(*) AS n, min(a.id) AS first, max(a.id) AS last, array_agg(DISTINCT a.object) AS objects INTO stored FROM added a;
	UPDATE @extschema@.subscription x SET replay_id = coalesce(told.replay_id, x.replay_id), replay_before = s.replay_before, received = x.received + told.n,
			heartbeat = clock_timestamp(), last_event = clock_timestamp(), last_committed = coalesce(told.committed, x.last_committed)
		WHERE x.id = s.id AND told.n > 0;
	IF stored.n > 0 THEN
		PERFORM @extschema@.event_notify(s.id, stored.objects, stored.first, stored.last);
	END IF;
	RETURN stored.n;
END $$;
COMMENT ON FUNCTION @extschema@.events_store(bigint, text) IS 'of change events';

-- The objects of a subscription; of one that follows a whole channel, those that were told of, or are mirrored.
CREATE FUNCTION @extschema@.subscription_objects(s @extschema@.subscription) RETURNS SETOF text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
	SELECT o FROM unnest(s.objects) o
	UNION ALL
	SELECT min(o.object) FROM (
		SELECT c.object FROM @extschema@.change c WHERE c.subscription = s.id
		UNION
		SELECT f.object_key FROM @extschema@.mirror_definition d, @extschema@.mirror_feed(d) f
			WHERE d.owner = s.owner AND f.server = s.server) o
		WHERE s.objects IS NULL GROUP BY lower(o.object)
$$;
COMMENT ON FUNCTION @extschema@.subscription_objects(@extschema@.subscription) IS 'of change events';

-- The org no longer knows the place: what was between is gone.  Mirrors read what has changed since; from now on
-- the earliest that there is.
CREATE FUNCTION @extschema@.events_lost(subscription bigint, error text) RETURNS void
LANGUAGE plpgsql STRICT SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	s @extschema@.subscription;
	stored record;
BEGIN
	-- The one before it may be gone while it is not.
	UPDATE @extschema@.subscription x SET replay_before = NULL
		WHERE x.id = subscription AND x.owner = quote_ident(current_user)::regrole AND x.replay_before IS NOT NULL;
	IF FOUND THEN
		RETURN;
	END IF;
	UPDATE @extschema@.subscription x SET epoch = x.epoch + 1, replay_id = NULL, from_earliest = true, lost = x.lost + 1, last_error = error
		WHERE x.id = subscription AND x.owner = quote_ident(current_user)::regrole RETURNING * INTO s;
	IF NOT FOUND THEN
		RETURN;
	END IF;
	PERFORM @extschema@.change_lock(s.server);
	WITH added AS (
		INSERT INTO @extschema@.change (subscription, server, channel, epoch, object, type)
			SELECT s.id, s.server, s.channel, s.epoch, o.object, 'LOST' FROM @extschema@.subscription_objects(s) o (object)
			ORDER BY o.object
			RETURNING id, object)
		SELECT count(*) AS n, min(a.id) AS first, max(a.id) AS last, array_agg(a.object) AS objects INTO stored FROM added a;
	IF stored.n > 0 THEN
		PERFORM @extschema@.event_notify(s.id, stored.objects, stored.first, stored.last);
	END IF;
END $$;
COMMENT ON FUNCTION @extschema@.events_lost(bigint, text) IS 'of change events';

-- Each failure doubles the wait, from ten seconds to ten minutes.
CREATE FUNCTION @extschema@.subscription_failed(subscription bigint, error text) RETURNS boolean
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	first boolean;
BEGIN
	UPDATE @extschema@.subscription s SET state = 'failed', failures = s.failures + 1, last_error = error,
			next_try = clock_timestamp() + least(interval '10 seconds' * power(2, least(s.failures, 10)), interval '10 minutes')
		WHERE s.id = subscription RETURNING s.failures = 1 INTO first;
	RETURN coalesce(first, false);
END $$;
COMMENT ON FUNCTION @extschema@.subscription_failed(bigint, text) IS 'whether it is the first failure of a row; of change events';

CREATE FUNCTION @extschema@.subscription_quota(subscription bigint) RETURNS bigint
LANGUAGE plpgsql STRICT SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	s @extschema@.subscription;
	c record;
BEGIN
	SELECT * INTO s FROM @extschema@.subscription x WHERE x.id = subscription;
	IF s.quota_seen > clock_timestamp() - interval '1 hour' THEN
		RETURN s.quota_left;
	END IF;
	c := @extschema@.channel_call(s.server, 'limit', NULL, 'DailyDeliveredPlatformEvents');
	UPDATE @extschema@.subscription x SET quota_seen = clock_timestamp(), quota_max = (c.answer ->> 'Max')::bigint,
			quota_left = (c.answer ->> 'Remaining')::bigint
		WHERE x.id = subscription;
	RETURN (c.answer ->> 'Remaining')::bigint;
END $$;
COMMENT ON FUNCTION @extschema@.subscription_quota(bigint) IS 'of change events';

CREATE FUNCTION @extschema@.subscription_work_due(OUT kind text, OUT key bigint, OUT owner oid, OUT due timestamptz)
RETURNS SETOF record
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
	SELECT 'events', s.id, s.owner::oid, s.next_try FROM @extschema@.subscription s JOIN pg_roles r ON r.oid = s.owner
	WHERE NOT s.paused
$$;
COMMENT ON FUNCTION @extschema@.subscription_work_due() IS 'subscriptions that a worker has to follow; for the launcher; of change events';

CREATE FUNCTION @extschema@.subscription_work_failed(key bigint, problem text, counts boolean) RETURNS void
LANGUAGE sql SET search_path = pg_catalog, pg_temp AS $$
	UPDATE @extschema@.subscription s SET state = 'failed', last_error = problem, failures = s.failures + counts::integer,
		next_try = CASE WHEN counts THEN greatest(s.next_try, clock_timestamp() + interval '10 seconds') ELSE s.next_try END
	WHERE s.id = key
$$;
COMMENT ON FUNCTION @extschema@.subscription_work_failed(bigint, text, boolean) IS
	'a worker that could not begin, or was ended from outside; of background workers';
