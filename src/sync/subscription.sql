-- Subscriptions to change events: what each is, how far it has come, and the channels in the org that are made for
-- them.  Each role sees and changes its own; its worker runs as its owner.
CREATE TABLE @extschema@.subscription (
	id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	owner regrole NOT NULL DEFAULT pg_catalog.quote_ident(current_user)::pg_catalog.regrole,
	server name NOT NULL,
	channel text NOT NULL,
	objects text[],
	events text[] NOT NULL,
	watch_fields jsonb,
	enriched_fields jsonb,
	filter jsonb,
	keep interval NOT NULL CHECK (keep >= '0'),
	channel_id text,
	member_ids text[],
	made timestamptz NOT NULL DEFAULT clock_timestamp(),
	paused boolean NOT NULL DEFAULT false,
	replay_id bigint,
	replay_before bigint,
	epoch integer NOT NULL DEFAULT 0,
	from_earliest boolean NOT NULL DEFAULT false,
	first_connected timestamptz,
	state text NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'connecting', 'connected', 'failed')),
	heartbeat timestamptz,
	last_event timestamptz,
	last_committed timestamptz,
	received bigint NOT NULL DEFAULT 0,
	lost integer NOT NULL DEFAULT 0,
	quota_left bigint,
	quota_max bigint,
	quota_seen timestamptz,
	pruned timestamptz,
	failures integer NOT NULL DEFAULT 0,
	next_try timestamptz NOT NULL DEFAULT now(),
	last_error text
);
COMMENT ON TABLE @extschema@.subscription IS 'subscriptions to change events: what each is, and how far it has come; see the view subscription_status';
COMMENT ON COLUMN @extschema@.subscription.objects IS 'null: all of which the channel tells';
COMMENT ON COLUMN @extschema@.subscription.channel_id IS 'of a channel that was made for the subscription, and is taken down with it';
COMMENT ON COLUMN @extschema@.subscription.replay_id IS 'of the latest event that is in ampsf.change, or was left out of it';
COMMENT ON COLUMN @extschema@.subscription.replay_before IS
	'the one before it, from which to go on where the org gives the same id to several events: the rest of them may have been under way';
COMMENT ON COLUMN @extschema@.subscription.epoch IS 'grows when the org no longer knows the replay id: those of different epochs do not compare';
ALTER TABLE @extschema@.subscription ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON @extschema@.subscription TO PUBLIC
	USING (owner = (SELECT pg_catalog.quote_ident(current_user)::pg_catalog.regrole));
-- Events that are stored and not yet applied belong to the replay id, and their numbers to the mirrors.
SELECT pg_catalog.pg_extension_config_dump('@extschema@.subscription', '');
SELECT pg_catalog.pg_extension_config_dump('@extschema@.subscription_id_seq', '');
SELECT pg_catalog.pg_extension_config_dump('@extschema@.change', '');
SELECT pg_catalog.pg_extension_config_dump('@extschema@.change_id_seq', '');

CREATE FUNCTION @extschema@.subscription_worker(subscription bigint) RETURNS integer
LANGUAGE C STABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'ampsf_sql_subscription_worker';
COMMENT ON FUNCTION @extschema@.subscription_worker(bigint) IS 'the process that follows a subscription; null: none; of change events';

CREATE VIEW @extschema@.subscription_status WITH (security_invoker = true) AS
	SELECT s.id, s.server, s.owner, s.channel, s.objects,
		CASE WHEN s.paused THEN 'paused'
			WHEN w.pid IS NOT NULL THEN s.state
			WHEN s.failures OPERATOR(pg_catalog.>) 0 THEN 'failed'
			ELSE 'waiting' END AS state,
		w.pid AS worker, s.heartbeat, s.last_event, s.last_event OPERATOR(pg_catalog.-) s.last_committed AS lag,
		s.received, s.lost, s.replay_id, s.epoch, s.quota_left, s.quota_max, s.failures, s.next_try, s.last_error
	FROM @extschema@.subscription s, LATERAL (SELECT @extschema@.subscription_worker(s.id) AS pid) w;
COMMENT ON VIEW @extschema@.subscription_status IS
	'subscriptions: state, worker process (null: none), when the org last answered, last event and how long it took to '
	'get here, events received, delivered events that the org has left today, last error';
GRANT SELECT ON @extschema@.subscription_status TO PUBLIC;

-- What subscriptions need of the org besides events.  create: what it makes is removed again should the
-- transaction not be committed.
CREATE FUNCTION @extschema@.channel_call(
	server name, operation text, kind text, key text, body jsonb DEFAULT NULL, OUT status integer, OUT answer jsonb)
LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'ampsf_sql_channel_call';
COMMENT ON FUNCTION @extschema@.channel_call(name, text, text, text, jsonb) IS 'of subscriptions; for who may execute ampsf.subscribe(); of change events';

-- At the end of the transaction, if it is committed, that process looks what has become of its work.
CREATE FUNCTION @extschema@.nudge(pid integer) RETURNS void
LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'ampsf_sql_nudge';
COMMENT ON FUNCTION @extschema@.nudge(integer) IS 'wakes a worker at commit; of subscriptions';

CREATE FUNCTION @extschema@.subscription_changed(subscription bigint) RETURNS void
LANGUAGE plpgsql STRICT SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	PERFORM @extschema@.nudge(@extschema@.subscription_worker(subscription));
	PERFORM @extschema@.wake();
END $$;
COMMENT ON FUNCTION @extschema@.subscription_changed(bigint) IS 'of subscriptions';

CREATE FUNCTION @extschema@.subscription_find(subscription bigint) RETURNS @extschema@.subscription
LANGUAGE plpgsql STRICT SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	s @extschema@.subscription;
BEGIN
	SELECT * INTO s FROM @extschema@.subscription x WHERE x.id = subscription FOR UPDATE;
	IF NOT FOUND THEN
		RAISE EXCEPTION USING ERRCODE = 'undefined_object', MESSAGE = format('there is no subscription %s of yours', subscription),
			HINT = 'The view ampsf.subscription_status lists them.';
	ELSIF s.owner <> quote_ident(current_user)::regrole AND EXISTS (SELECT FROM pg_roles r WHERE r.oid = s.owner) THEN
		RAISE EXCEPTION USING ERRCODE = 'insufficient_privilege',
			MESSAGE = format('subscription %s is changed by its owner only', subscription),
			HINT = format('SET ROLE %s first.', s.owner);
	END IF;
	RETURN s;
END $$;
COMMENT ON FUNCTION @extschema@.subscription_find(bigint) IS 'the caller''s subscription; of subscriptions';

-- Account: AccountChangeEvent; Thing__c: Thing__ChangeEvent.
CREATE FUNCTION @extschema@.event_entity(object text) RETURNS text
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
	SELECT CASE WHEN object ~* '__c$' THEN left(object, -1) ELSE object END || 'ChangeEvent'
$$;
COMMENT ON FUNCTION @extschema@.event_entity(text) IS 'the name under which an object''s changes are told; of change events';

-- What is said of an object: {"Account": ...}, or the same for all.  An object's name has no case.
CREATE FUNCTION @extschema@.event_setting(setting jsonb, object text) RETURNS jsonb
LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
	SELECT CASE WHEN jsonb_typeof(setting) = 'object'
		THEN (SELECT e.value FROM jsonb_each(setting) e WHERE lower(e.key) = lower(object) LIMIT 1)
		ELSE setting END
$$;
COMMENT ON FUNCTION @extschema@.event_setting(jsonb, text) IS 'of subscriptions';

CREATE FUNCTION @extschema@.check_event_setting(setting jsonb, name text, kind text, objects text[]) RETURNS void
LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	e record;
BEGIN
	IF jsonb_typeof(setting) = 'object' THEN
		FOR e IN SELECT key, value FROM jsonb_each(setting) LOOP
			IF objects IS NOT NULL AND NOT EXISTS (SELECT FROM unnest(objects) o WHERE lower(o) = lower(e.key)) THEN
				RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value',
					MESSAGE = format('%s names %s, which is none of the objects', name, e.key);
			END IF;
			PERFORM @extschema@.check_event_setting(e.value, name, kind, NULL);
		END LOOP;
	ELSIF setting IS NOT NULL AND (jsonb_typeof(setting) <> kind OR (kind = 'array' AND EXISTS (
		SELECT FROM jsonb_array_elements(setting) f WHERE jsonb_typeof(f) <> 'string'))) THEN
		RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value', MESSAGE = format('%s is not what it should be', name),
			HINT = CASE kind WHEN 'array' THEN 'It is a list of fields, ["Name", "Phone"], or one for each object: {"Account": ["Name"]}.'
				ELSE 'It is an expression, "Industry = ''Banking''", or one for each object: {"Account": "Industry = ''Banking''"}.' END;
	END IF;
END $$;
COMMENT ON FUNCTION @extschema@.check_event_setting(jsonb, text, text, text[]) IS 'of subscriptions';

-- Objects of the org are made one at a time; whatever fails, an error takes down those that were made.
CREATE FUNCTION @extschema@.channel_refused(what text, status integer, answer jsonb, entity text) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	e jsonb := CASE WHEN jsonb_typeof(answer) = 'array' THEN answer -> 0 ELSE coalesce(answer #> '{errors,0}', answer) END;
	code text := coalesce(e ->> 'errorCode', e ->> 'statusCode', format('status %s', status));
	message text := coalesce(e ->> 'message', '');
	is_limit boolean := code ~ 'LIMIT' OR message ~* E'\\m(limit|maximum)';
	hint text;
	denied boolean := status = 403 OR code ~ '^(INSUFFICIENT_ACCESS|API_DISABLED|CANNOT_INSERT_UPDATE)' OR message ~* 'insufficient (access|privileges)';
BEGIN
	hint := CASE
		WHEN is_limit AND entity IS NULL THEN
			'An org has room for 100 channels. ampsf.unsubscribe() takes down those that are no longer wanted.'
		WHEN is_limit THEN
			'Without an add-on an org tells of five objects, in all of its channels together: Change Data Capture in Setup lists '
			'them, ampsf.unsubscribe() gives up those of a subscription. A mirror without events needs none.'
		WHEN denied THEN
			'The login''s user needs the permission Customize Application to make a channel. One that exists can be given: '
			'channel => ''/data/ChangeEvents'' tells of the objects that are selected in Setup, Change Data Capture.'
		WHEN entity IS NOT NULL AND (code ~ '^(INVALID_FIELD|MALFORMED_QUERY)' OR message ~* 'filter|enrich') THEN
			format('filter is an expression with fields of %1$s and of ChangeEventHeader, enriched_fields are fields of %1$s that its events '
				'can carry.', entity)
		WHEN entity IS NOT NULL AND message ~* 'entity|not supported|not found|invalid' THEN
			format('Not every object has change events: if %s is one that has none, a mirror without events follows it.', entity)
		END;
	RAISE EXCEPTION USING
		ERRCODE = CASE WHEN is_limit THEN 'configuration_limit_exceeded' WHEN denied THEN 'insufficient_privilege'
			WHEN status = 404 THEN 'undefined_object' ELSE 'fdw_error' END,
		MESSAGE = format('could not %s', what), DETAIL = format('%s: %s', code, message),
		HINT = coalesce(hint, 'ampsf.doctor(server) tells what the login may do.');
END $$;
COMMENT ON FUNCTION @extschema@.channel_refused(text, integer, jsonb, text) IS 'of subscriptions';

-- Members first: whoever is interrupted finds the channel again, and with it what is left.
CREATE FUNCTION @extschema@.channel_remove(server name, name text, channel_id text, member_ids text[]) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	c record;
	key text;
	prefix text := substring(name from 'ampsf_[0-9a-f]+_[0-9]+') || '_chn_';
BEGIN
	FOREACH key IN ARRAY coalesce(member_ids, '{}') || (
		SELECT coalesce(array_agg(r ->> 'Id'), '{}')
		FROM @extschema@.channel_call(server, 'like', 'PlatformEventChannelMember', prefix) l, jsonb_array_elements(l.answer -> 'records') r
		WHERE l.status = 200 AND starts_with(r ->> 'DeveloperName', prefix) AND r ->> 'Id' <> ALL (coalesce(member_ids, '{}'))) LOOP
		c := @extschema@.channel_call(server, 'delete', 'PlatformEventChannelMember', key);
		IF c.status NOT IN (200, 204, 404) THEN
			PERFORM @extschema@.channel_refused(format('take an object out of channel %s', name), c.status, c.answer, NULL);
		END IF;
	END LOOP;
	c := @extschema@.channel_call(server, 'delete', 'PlatformEventChannel', channel_id);
	IF c.status NOT IN (200, 204, 404) THEN
		PERFORM @extschema@.channel_refused(format('remove channel %s', name), c.status, c.answer, NULL);
	END IF;
END $$;
COMMENT ON FUNCTION @extschema@.channel_remove(name, text, text, text[]) IS 'of subscriptions';

-- Channels whose names begin so are those of one role of one database for one server: each that is nobody's is the
-- rest of a transaction that could not take it down.
CREATE FUNCTION @extschema@.channel_prefix(server name) RETURNS text
LANGUAGE sql STABLE STRICT SET search_path = pg_catalog, pg_temp AS $$
	SELECT 'ampsf_' || substr(md5(format('%s/%s/%s/%s', (SELECT system_identifier FROM pg_control_system()),
		(SELECT oid FROM pg_database WHERE datname = current_database()), quote_ident(current_user)::regrole::oid, server)), 1, 10) || '_'
$$;
COMMENT ON FUNCTION @extschema@.channel_prefix(name) IS 'of subscriptions';

CREATE FUNCTION @extschema@.channel_sweep(server name) RETURNS void
LANGUAGE plpgsql STRICT SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	prefix text := @extschema@.channel_prefix(server);
	c record;
BEGIN
	-- Nobody is between making a channel and remembering it.
	PERFORM pg_advisory_xact_lock(hashtext('@extschema@.channel'), hashtext(prefix));
	FOR c IN SELECT r ->> 'Id' AS id, (r ->> 'DeveloperName') || '__chn' AS name
		FROM @extschema@.channel_call(server, 'like', 'PlatformEventChannel', prefix) l, jsonb_array_elements(l.answer -> 'records') r
		WHERE l.status = 200 AND starts_with(r ->> 'DeveloperName', prefix)
			AND NOT EXISTS (SELECT FROM @extschema@.subscription s WHERE s.channel_id = r ->> 'Id') LOOP
		PERFORM @extschema@.channel_remove(server, c.name, c.id, NULL);
	END LOOP;
END $$;
COMMENT ON FUNCTION @extschema@.channel_sweep(name) IS 'of subscriptions';

CREATE FUNCTION @extschema@.channel_make(
	id bigint, server name, objects text[], enriched_fields jsonb, filter jsonb,
	OUT name text, OUT channel_id text, OUT member_ids text[])
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	prefix text := @extschema@.channel_prefix(server);
	c record;
	object text;
	entity text;
BEGIN
	PERFORM @extschema@.channel_sweep(server);
	name := prefix || id || '__chn';
	c := @extschema@.channel_call(server, 'create', 'PlatformEventChannel', NULL, jsonb_build_object('FullName', name,
		'Metadata', jsonb_build_object('channelType', 'data', 'label', left(name, -5))));
	channel_id := c.answer ->> 'id';
	IF c.status NOT IN (200, 201) OR channel_id IS NULL THEN
		PERFORM @extschema@.channel_refused('make a channel for change events', c.status, c.answer, NULL);
	END IF;
	-- In an org with a namespace that comes before the name.
	c := @extschema@.channel_call(server, 'read', 'PlatformEventChannel', channel_id);
	name := coalesce(c.answer ->> 'FullName', name);
	FOREACH object IN ARRAY objects LOOP
		entity := @extschema@.event_entity(object);
		c := @extschema@.channel_call(server, 'create', 'PlatformEventChannelMember', NULL, jsonb_build_object(
			'FullName', replace(prefix || id || '_chn_' || entity, '__', '_'),
			'Metadata', jsonb_build_object('eventChannel', name, 'selectedEntity', entity,
				'enrichedFields', (SELECT jsonb_agg(jsonb_build_object('name', f))
					FROM jsonb_array_elements_text(@extschema@.event_setting(enriched_fields, object)) f),
				'filterExpression', coalesce(@extschema@.event_setting(filter, object) #>> '{}', ''))));
		IF c.status NOT IN (200, 201) OR c.answer ->> 'id' IS NULL THEN
			PERFORM @extschema@.channel_refused(format('have the changes of %s told', object), c.status, c.answer, object);
		END IF;
		member_ids := member_ids || (c.answer ->> 'id');
	END LOOP;
END $$;
COMMENT ON FUNCTION @extschema@.channel_make(bigint, name, text[], jsonb, jsonb) IS 'of subscriptions';

CREATE FUNCTION @extschema@.subscribe(
	server name, objects text[] DEFAULT NULL, events text[] DEFAULT NULL, watch_fields jsonb DEFAULT NULL,
	channel text DEFAULT NULL, enriched_fields jsonb DEFAULT NULL, filter jsonb DEFAULT NULL,
	replay text DEFAULT 'new', keep interval DEFAULT '7 days')
RETURNS bigint
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	known text[] := ARRAY['create', 'update', 'delete', 'undelete'];
	bad text;
	c record;
	subscription bigint;
	made record;
BEGIN
	IF server IS NULL OR keep IS NULL OR replay IS NULL THEN
		RAISE EXCEPTION USING ERRCODE = 'null_value_not_allowed', MESSAGE = 'server, replay and keep of a subscription cannot be null';
	END IF;
	PERFORM @extschema@.channel_call(server, 'check', NULL, NULL);
	SELECT e INTO bad FROM unnest(events) e WHERE lower(e) <> ALL (known) OR e IS NULL;
	IF FOUND THEN
		RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value', MESSAGE = format('"%s" is no event of a record', bad),
			HINT = 'events are of create, update, delete and undelete.';
	END IF;
	IF replay NOT IN ('new', 'earliest') AND replay !~ '^[0-9]{1,18}$' THEN
		RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value', MESSAGE = format('"%s" is nothing to begin with', replay),
			HINT = 'replay is new, earliest (as far back as the org keeps events, 72 hours), or the replay id of the last event that is known.';
	END IF;
	IF cardinality(objects) = 0 THEN
		objects := NULL;
	END IF;
	IF objects IS NULL AND channel IS NULL THEN
		RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value', MESSAGE = 'a subscription needs objects, or a channel',
			HINT = 'channel => ''/data/ChangeEvents'' follows all that is selected in Setup, Change Data Capture.';
	END IF;
	IF channel IS NOT NULL AND (enriched_fields IS NOT NULL OR filter IS NOT NULL) THEN
		RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value',
			MESSAGE = 'enriched_fields and filter are of a channel that is made for the subscription',
			HINT = 'Leave out channel, or the two.';
	END IF;
	PERFORM @extschema@.check_event_setting(watch_fields, 'watch_fields', 'array', objects);
	PERFORM @extschema@.check_event_setting(enriched_fields, 'enriched_fields', 'array', objects);
	PERFORM @extschema@.check_event_setting(filter, 'filter', 'string', objects);
	-- The names as the org writes them, each once.
	IF objects IS NOT NULL THEN
		SELECT o.name INTO bad FROM unnest(objects) o (name)
			WHERE (@extschema@.channel_call(server, 'object', NULL, o.name)).answer IS NULL LIMIT 1;
		IF FOUND THEN
			RAISE EXCEPTION USING ERRCODE = 'fdw_table_not_found', MESSAGE = format('the org has no object "%s"', bad),
				HINT = 'ampsf.objects(server) lists those that the login''s user can see.';
		END IF;
		SELECT array_agg(n.name ORDER BY n.place) INTO objects FROM (
			SELECT (@extschema@.channel_call(server, 'object', NULL, o.name)).answer #>> '{}' AS name, min(o.place) AS place
			FROM unnest(objects) WITH ORDINALITY o (name, place) GROUP BY 1) n;
	END IF;
	IF channel IS NOT NULL THEN
		IF channel !~ '/' THEN
			channel := '/data/' || channel;
		END IF;
		IF channel !~ '^/data/[A-Za-z][A-Za-z0-9_]*$' THEN
			RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value', MESSAGE = format('"%s" is no channel of change events', channel),
				HINT = 'It is /data/ChangeEvents, /data/AccountChangeEvent, or one of the org''s own, as /data/Sales__chn.';
		END IF;
		IF channel ~ '__chn$' THEN
			c := @extschema@.channel_call(server, 'find', 'PlatformEventChannel', substring(channel, '^/data/(.*)__chn$'));
			IF c.status = 200 AND jsonb_array_length(c.answer -> 'records') = 0 THEN
				RAISE EXCEPTION USING ERRCODE = 'undefined_object', MESSAGE = format('the org has no channel %s', channel),
					HINT = 'Names of channels are case-sensitive.  Without channel one is made.';
			END IF;
		END IF;
	END IF;
	INSERT INTO @extschema@.subscription AS s (server, channel, objects, events, watch_fields, enriched_fields, filter, keep,
			replay_id, from_earliest)
		VALUES (subscribe.server, coalesce(subscribe.channel, ''), subscribe.objects,
			coalesce((SELECT array_agg(DISTINCT upper(e) ORDER BY upper(e)) FROM unnest(subscribe.events) e),
				ARRAY['CREATE', 'DELETE', 'UNDELETE', 'UPDATE']),
			subscribe.watch_fields, subscribe.enriched_fields, subscribe.filter, subscribe.keep,
			CASE WHEN replay ~ '^[0-9]' THEN replay::bigint END, replay = 'earliest')
		RETURNING s.id INTO subscription;
	IF channel IS NULL THEN
		made := @extschema@.channel_make(subscription, server, objects, enriched_fields, filter);
		UPDATE @extschema@.subscription s SET channel = '/data/' || made.name, channel_id = made.channel_id, member_ids = made.member_ids
			WHERE s.id = subscription;
	END IF;
	PERFORM @extschema@.subscription_changed(subscription);
	RETURN subscription;
END $$;
COMMENT ON FUNCTION @extschema@.subscribe(name, text[], text[], jsonb, text, jsonb, jsonb, text, interval) IS
	'has the changes of objects told, as rows of ampsf.change; makes a channel in the org, or follows the one that is given. '
	'replay: new, earliest, or a replay id. keep: how long the rows stay';
REVOKE EXECUTE ON FUNCTION @extschema@.subscribe(name, text[], text[], jsonb, text, jsonb, jsonb, text, interval) FROM PUBLIC;

CREATE FUNCTION @extschema@.unsubscribe(subscription bigint, force boolean DEFAULT false) RETURNS void
LANGUAGE plpgsql STRICT SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	s @extschema@.subscription := @extschema@.subscription_find(subscription);
	message text;
	code text;
	detail text;
	hint text;
BEGIN
	IF s.channel_id IS NOT NULL THEN
		BEGIN
			PERFORM @extschema@.channel_remove(s.server, s.channel, s.channel_id, s.member_ids);
			PERFORM @extschema@.channel_sweep(s.server);
		EXCEPTION WHEN OTHERS THEN
			IF NOT force THEN
				GET STACKED DIAGNOSTICS message = MESSAGE_TEXT, code = RETURNED_SQLSTATE, detail = PG_EXCEPTION_DETAIL,
					hint = PG_EXCEPTION_HINT;
				RAISE EXCEPTION USING MESSAGE = message, ERRCODE = code,
					DETAIL = coalesce(nullif(detail, ''), format('The channel is %s.', s.channel)), HINT = concat_ws('  ', nullif(hint, ''),
					format('ampsf.unsubscribe(%s, force => true) gives the subscription up and leaves the channel in the org.', subscription));
			END IF;
			RAISE WARNING USING MESSAGE = format('channel %s may be left in the org: %s', s.channel, SQLERRM);
		END;
	END IF;
	PERFORM @extschema@.subscription_changed(subscription);
	DELETE FROM @extschema@.change c WHERE c.subscription = unsubscribe.subscription;
	DELETE FROM @extschema@.subscription x WHERE x.id = unsubscribe.subscription;
END $$;
COMMENT ON FUNCTION @extschema@.unsubscribe(bigint, boolean) IS
	'ends a subscription: its channel in the org, its worker, its rows in ampsf.change; force: even if the org cannot be reached';

CREATE FUNCTION @extschema@.pause_subscription(subscription bigint) RETURNS void
LANGUAGE plpgsql STRICT SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	PERFORM @extschema@.subscription_find(subscription);
	UPDATE @extschema@.subscription s SET paused = true WHERE s.id = subscription;
	PERFORM @extschema@.subscription_changed(subscription);
END $$;
COMMENT ON FUNCTION @extschema@.pause_subscription(bigint) IS 'ends the worker; the org keeps events for 72 hours';

CREATE FUNCTION @extschema@.resume_subscription(subscription bigint) RETURNS void
LANGUAGE plpgsql STRICT SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	PERFORM @extschema@.subscription_find(subscription);
	UPDATE @extschema@.subscription s SET paused = false, failures = 0, next_try = least(s.next_try, now()) WHERE s.id = subscription;
	PERFORM @extschema@.subscription_changed(subscription);
END $$;
COMMENT ON FUNCTION @extschema@.resume_subscription(bigint) IS
	'ends a pause, or the wait after a failure; goes on after the last event that is known';
