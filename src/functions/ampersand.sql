-- Ampersand, by whose proxy an org can be reached: what it does by itself.

CREATE FUNCTION @extschema@.trigger_read(
	server name, object text, since timestamptz DEFAULT NULL, until timestamptz DEFAULT NULL)
RETURNS text
LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'ampsf_sql_trigger_read';
COMMENT ON FUNCTION @extschema@.trigger_read(name, text, timestamptz, timestamptz) IS
	'Ampersand reads an object now, what changed after since or all of it, and delivers it to the destination of its amp.yaml; returns the operation';
REVOKE EXECUTE ON FUNCTION @extschema@.trigger_read(name, text, timestamptz, timestamptz) FROM PUBLIC;

CREATE FUNCTION @extschema@.operation(
	server name, id text, OUT status text, OUT action text, OUT objects jsonb, OUT result text, OUT record_ids jsonb,
	OUT processed bigint, OUT total bigint, OUT created timestamptz, OUT log jsonb)
LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'ampsf_sql_operation';
COMMENT ON FUNCTION @extschema@.operation(name, text) IS
	'what has become of an operation of Ampersand: in_progress, success or failure, and its log when it has ended; nulls if there is none';
REVOKE EXECUTE ON FUNCTION @extschema@.operation(name, text) FROM PUBLIC;

CREATE FUNCTION @extschema@.backfill_progress(
	server name, object text, OUT operation text, OUT processed bigint, OUT total bigint, OUT created timestamptz,
	OUT updated timestamptz)
LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'ampsf_sql_backfill_progress';
COMMENT ON FUNCTION @extschema@.backfill_progress(name, text) IS
	'how far Ampersand''s first read of an object has come; nulls if there was none';
REVOKE EXECUTE ON FUNCTION @extschema@.backfill_progress(name, text) FROM PUBLIC;

CREATE FUNCTION @extschema@.manifest(
	schema name, destination text DEFAULT 'webhook', schedule text DEFAULT '*/10 * * * *', subscribe text[] DEFAULT NULL,
	watch_fields jsonb DEFAULT NULL)
RETURNS text
LANGUAGE C STABLE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'ampsf_sql_manifest';
COMMENT ON FUNCTION @extschema@.manifest(name, text, text, text[], jsonb) IS
	'an amp.yaml for the foreign tables of a schema: what Ampersand is to read and may write, whose changes it is to tell, and its proxy. subscribe: objects, null: all that have change events, if they are five at most, or those that are mirrored; watch_fields: whose changes are told, as of ampsf.subscribe()';

-- What Ampersand delivers.

CREATE TABLE @extschema@.webhook_target (
	object text NOT NULL,
	target regclass NOT NULL,
	PRIMARY KEY (object, target)
);
COMMENT ON TABLE @extschema@.webhook_target IS
	'which table takes the records of an object that Ampersand delivers: columns by the names of the fields, in lower case, and a unique "id"';
COMMENT ON COLUMN @extschema@.webhook_target.object IS 'the objectName of messages: that of amp.yaml, or the name it is mapped to; without case';
CREATE UNIQUE INDEX webhook_target_object ON @extschema@.webhook_target (lower(object));
SELECT pg_catalog.pg_extension_config_dump('@extschema@.webhook_target', '');

CREATE TABLE @extschema@.webhook_message (
	id text PRIMARY KEY,
	received timestamptz NOT NULL DEFAULT clock_timestamp(),
	action text,
	object text,
	written integer NOT NULL DEFAULT 0,
	deleted integer NOT NULL DEFAULT 0,
	events integer NOT NULL DEFAULT 0
);
COMMENT ON TABLE @extschema@.webhook_message IS
	'messages of Ampersand that ampsf.webhook() has taken: each is taken once. Rows older than a few days can be deleted';
SELECT pg_catalog.pg_extension_config_dump('@extschema@.webhook_message', '');

CREATE FUNCTION @extschema@.webhook_check(
	body bytea, headers jsonb, server name DEFAULT NULL, OUT message text, OUT signer name)
LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'ampsf_sql_webhook_check';
COMMENT ON FUNCTION @extschema@.webhook_check(bytea, jsonb, name) IS
	'the id of a message that Ampersand has signed in the last five minutes, and whose server''s secret says so; an error for any other';
REVOKE EXECUTE ON FUNCTION @extschema@.webhook_check(bytea, jsonb, name) FROM PUBLIC;

CREATE FUNCTION @extschema@.webhook_download(url text) RETURNS bytea
LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'ampsf_sql_webhook_download';
COMMENT ON FUNCTION @extschema@.webhook_download(text) IS
	'the content of an address on a host of ampsf.allowed_hosts, for messages that are too large';
REVOKE EXECUTE ON FUNCTION @extschema@.webhook_download(text) FROM PUBLIC;

-- One record into its table: the columns that it has, unless the row there is newer.
CREATE FUNCTION @extschema@.webhook_put(target regclass, entry jsonb, OUT written integer, OUT deleted integer)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	row jsonb;
	columns text[];
	newer text := '';
BEGIN
	written := 0;
	deleted := 0;
	IF entry->>'subscribeEventType' = 'delete' THEN
		EXECUTE format('DELETE FROM %s WHERE id = $1', target::text)
			USING coalesce(entry->>'id', entry->'fields'->>'id', entry->'raw'->>'Id');
		GET DIAGNOSTICS deleted = ROW_COUNT;
		RETURN;
	END IF;
	SELECT jsonb_object_agg(lower(k), v) INTO row
	FROM (SELECT key AS k, value AS v FROM jsonb_each(coalesce(nullif(entry->'fields', 'null'), '{}'))
		UNION ALL SELECT key, value FROM jsonb_each(coalesce(nullif(entry->'mappedFields', 'null'), '{}'))) f;
	row := coalesce(row, '{}') || CASE WHEN row ? 'id' THEN '{}'::jsonb
		ELSE jsonb_build_object('id', coalesce(entry->>'id', entry->'raw'->>'Id')) END;
	IF row->>'id' IS NULL THEN
		RAISE EXCEPTION USING ERRCODE = 'not_null_violation', MESSAGE = 'a record that Ampersand delivered has no Id',
			HINT = 'Add the field Id to the object in amp.yaml.';
	END IF;
	IF entry->'raw' IS NOT NULL THEN
		row := row || jsonb_build_object('raw', entry->'raw');
	END IF;
	-- Whose it is, for tables that several customers share.
	row := row || jsonb_build_object('group_ref', entry->'groupRef', 'installation_id', entry->'installationId');
	SELECT array_agg(quote_ident(attname) ORDER BY attnum) INTO columns FROM pg_attribute
	WHERE attrelid = target AND attnum > 0 AND NOT attisdropped AND attgenerated = '' AND row ? attname;
	IF 'systemmodstamp' = ANY (columns) THEN
		newer := format(' WHERE t.systemmodstamp IS NULL OR t.systemmodstamp <= excluded.systemmodstamp');
	END IF;
	EXECUTE format('INSERT INTO %1$s AS t (%2$s) SELECT %2$s FROM jsonb_populate_record(NULL::%1$s, $1) ON CONFLICT (id) DO %3$s',
		target::text, array_to_string(columns, ', '),
		CASE WHEN cardinality(columns) > 1 THEN 'UPDATE SET ' ||
			(SELECT string_agg(c || ' = excluded.' || c, ', ') FROM unnest(columns) c WHERE c <> 'id') || newer ELSE 'NOTHING' END)
		USING row;
	GET DIAGNOSTICS written = ROW_COUNT;
END $$;
COMMENT ON FUNCTION @extschema@.webhook_put(regclass, jsonb) IS 'one entry of a message''s result into its table; for ampsf.webhook()';
REVOKE EXECUTE ON FUNCTION @extschema@.webhook_put(regclass, jsonb) FROM PUBLIC;

-- The events of a message as rows of ampsf.change: one for each record.  An event says what changed, though it may
-- leave out what was set to null; what is missing there is taken from the record, as Ampersand read it afterwards.
CREATE FUNCTION @extschema@.webhook_events(
	doc jsonb, list jsonb, OUT object text, OUT record_id text, OUT type text, OUT changed_fields text[], OUT "values" jsonb,
	OUT committed timestamptz, OUT commit_number bigint, OUT commit_user text, OUT transaction_key text, OUT sequence integer, OUT origin text)
RETURNS SETOF record
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
	WITH entry AS (
		SELECT e.place, e.entry, coalesce(nullif(e.entry -> 'rawEvent' -> 'ChangeEventHeader', 'null'), '{}') AS header,
			CASE WHEN jsonb_typeof(e.entry -> 'rawEvent') = 'object' THEN e.entry -> 'rawEvent' END AS event,
			CASE WHEN jsonb_typeof(e.entry -> 'raw') = 'object' THEN (e.entry -> 'raw') - 'attributes'
				WHEN jsonb_typeof(e.entry -> 'fields') = 'object' THEN e.entry -> 'fields' ELSE '{}' END AS record
		FROM jsonb_array_elements(list) WITH ORDINALITY e (entry, place)
		WHERE e.entry ->> 'subscribeEventType' IS DISTINCT FROM 'associationUpdate'
	), told AS (
		SELECT e.*, upper(coalesce(e.header ->> 'changeType', CASE e.entry ->> 'subscribeEventType'
				WHEN 'other' THEN e.entry ->> 'providerEventType' ELSE e.entry ->> 'subscribeEventType' END)) AS type,
			coalesce(@extschema@.event_values(e.event), '{}') AS said,
			coalesce((SELECT jsonb_object_agg(lower(r.key), r.value) FROM jsonb_each(e.record) r), '{}') AS found,
			CASE WHEN e.header -> 'changedFields' IS NOT NULL THEN @extschema@.event_changed(e.header, e.event)
				WHEN jsonb_typeof(e.entry -> 'fieldsUpdated') = 'array' AND e.entry -> 'fieldsUpdated' <> '[]' THEN
					ARRAY(SELECT jsonb_array_elements_text(e.entry -> 'fieldsUpdated')) END AS changed
		FROM entry e
	), known AS (
		-- Of a kind that is not known it is said that something changed.
		SELECT t.*, CASE WHEN t.type ~ '^(GAP_)?(CREATE|UPDATE|DELETE|UNDELETE)$' OR t.type = 'GAP_OVERFLOW' THEN t.type ELSE 'GAP_UPDATE' END AS kind
		FROM told t
	)
	SELECT coalesce(k.header ->> 'entityName', k.entry -> 'raw' -> 'attributes' ->> 'type', doc ->> 'rawObjectName', doc ->> 'objectName'),
		CASE WHEN i.id ~ '^[0-9A-Za-z]{15,18}$' AND i.id !~ '^0+(AAA)?$' THEN i.id END, k.kind, CASE WHEN k.kind = 'UPDATE' THEN k.changed END,
		CASE k.kind
			WHEN 'UPDATE' THEN CASE WHEN k.changed IS NULL THEN coalesce(nullif(k.found, '{}'), k.said) ELSE (
				SELECT coalesce(jsonb_object_agg(f, coalesce(k.said -> f, k.found -> lower(f))), '{}')
				FROM (SELECT unnest(k.changed) UNION SELECT 'LastModifiedDate') c (f) WHERE k.said ? f OR k.found ? lower(f)) END
			-- An event of a new record leaves out what is empty.
			WHEN 'CREATE' THEN jsonb_strip_nulls(coalesce(nullif(k.said, '{}'), k.found))
			WHEN 'UNDELETE' THEN jsonb_strip_nulls(coalesce(nullif(k.said, '{}'), k.found)) END,
		timestamptz 'epoch' + @extschema@.event_number(k.header ->> 'commitTimestamp') * interval '1 millisecond',
		@extschema@.event_number(k.header ->> 'commitNumber'), k.header ->> 'commitUser', k.header ->> 'transactionKey',
		@extschema@.event_number(k.header ->> 'sequenceNumber')::integer, nullif(k.header ->> 'changeOrigin', '')
	FROM known k, LATERAL (
		SELECT r.id, r.place FROM jsonb_array_elements_text(CASE WHEN jsonb_typeof(k.header -> 'recordIds') = 'array'
			THEN k.header -> 'recordIds' ELSE '[]' END) WITH ORDINALITY r (id, place)
		UNION
		SELECT coalesce(k.header ->> 'recordId', k.entry ->> 'id', k.record ->> 'Id', k.record ->> 'id'), 0
			WHERE jsonb_typeof(k.header -> 'recordIds') IS DISTINCT FROM 'array' OR k.header -> 'recordIds' = '[]') i
	ORDER BY k.place, i.place
$$;
COMMENT ON FUNCTION @extschema@.webhook_events(jsonb, jsonb) IS 'change events of a message''s result; for ampsf.webhook()';

CREATE FUNCTION @extschema@.webhook(
	body bytea, headers jsonb, server name DEFAULT NULL, OUT message text, OUT action text, OUT object text,
	OUT written integer, OUT deleted integer, OUT events integer, OUT repeated boolean)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	signer name;
	doc jsonb;
	list jsonb;
	goal regclass;
	entry jsonb;
	done record;
	stored record;
BEGIN
	SELECT c.message, c.signer INTO message, signer FROM @extschema@.webhook_check(body, headers, server) c;
	doc := convert_from(body, 'UTF8')::jsonb;
	action := coalesce(doc->>'action', doc->>'notificationType');
	object := doc->>'objectName';
	written := 0;
	deleted := 0;
	events := 0;
	-- Waits for a session that is taking the same message.
	INSERT INTO @extschema@.webhook_message (id, action, object) VALUES (message, webhook.action, webhook.object)
		ON CONFLICT (id) DO NOTHING;
	repeated := NOT FOUND;
	IF repeated OR doc->>'action' IS NULL OR doc->>'action' NOT IN ('read', 'subscribe') THEN
		RETURN;
	END IF;
	SELECT w.target INTO goal FROM @extschema@.webhook_target w WHERE lower(w.object) = lower(webhook.object);
	IF goal IS NULL AND doc->>'action' = 'read' THEN
		RAISE EXCEPTION USING ERRCODE = 'undefined_table',
			MESSAGE = format('no table takes the records of object "%s"', object),
			HINT = 'INSERT INTO ampsf.webhook_target (object, target) VALUES (''...'', ''...'').';
	END IF;
	list := doc->'result';
	IF doc->'resultInfo'->>'type' = 'url' THEN
		list := convert_from(@extschema@.webhook_download(doc->'resultInfo'->>'downloadUrl'), 'UTF8')::jsonb;
		list := CASE jsonb_typeof(list) WHEN 'object' THEN list->'result' ELSE list END;
	END IF;
	list := coalesce(nullif(list, 'null'), '[]');
	IF goal IS NOT NULL THEN
		FOR entry IN SELECT value FROM jsonb_array_elements(list) LOOP
			done := @extschema@.webhook_put(goal,
				entry || jsonb_build_object('groupRef', doc->'groupRef', 'installationId', doc->'installationId'));
			written := written + done.written;
			deleted := deleted + done.deleted;
		END LOOP;
	END IF;
	IF doc->>'action' = 'subscribe' THEN
		PERFORM @extschema@.change_lock(signer);
		IF NOT EXISTS (SELECT FROM pg_foreign_server f WHERE f.srvname = signer) THEN
			RAISE EXCEPTION USING ERRCODE = 'serialization_failure', MESSAGE = format('server "%s" was renamed meanwhile', signer),
				HINT = 'Ampersand delivers a message again that is not taken.';
		END IF;
		WITH added AS (
			INSERT INTO @extschema@.change (server, object, record_id, type, changed_fields, "values", committed, commit_number,
					commit_user, transaction_key, sequence, origin)
				SELECT signer, e.object, e.record_id, e.type, e.changed_fields, e."values", e.committed, e.commit_number,
					e.commit_user, e.transaction_key, e.sequence, e.origin
				FROM @extschema@.webhook_events(doc, list) WITH ORDINALITY e WHERE e.object IS NOT NULL ORDER BY e.ordinality
				RETURNING id, change.object)
			SELECT count(*) AS n, min(a.id) AS first, max(a.id) AS last, array_agg(DISTINCT a.object) AS objects INTO stored FROM added a;
		events := stored.n;
		IF events > 0 THEN
			PERFORM @extschema@.event_notify(NULL, stored.objects, stored.first, stored.last);
			PERFORM @extschema@.webhook_prune();
			PERFORM @extschema@.mirror_apply_due();
		END IF;
	END IF;
	UPDATE @extschema@.webhook_message m SET written = webhook.written, deleted = webhook.deleted, events = webhook.events WHERE m.id = message;
END $$;
COMMENT ON FUNCTION @extschema@.webhook(bytea, jsonb, name) IS
	'takes a message that Ampersand delivers: checks its signature, puts its records into the table of ampsf.webhook_target, and events into ampsf.change and the caller''s mirrors; a message that comes again changes nothing';
REVOKE EXECUTE ON FUNCTION @extschema@.webhook(bytea, jsonb, name) FROM PUBLIC;

-- Some with each message: rows of a week ago that no mirror waits for.
CREATE FUNCTION @extschema@.webhook_prune() RETURNS void
LANGUAGE sql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
	DELETE FROM @extschema@.change c USING (
		SELECT o.id FROM @extschema@.change o WHERE o.subscription IS NULL ORDER BY o.id LIMIT 100) o
	WHERE c.id = o.id AND c.received < now() - interval '7 days' AND NOT @extschema@.change_needed(c)
$$;
COMMENT ON FUNCTION @extschema@.webhook_prune() IS 'for ampsf.webhook()';
