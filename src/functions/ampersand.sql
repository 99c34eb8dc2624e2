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

CREATE FUNCTION @extschema@.manifest(schema name, destination text DEFAULT 'webhook', schedule text DEFAULT '*/10 * * * *')
RETURNS text
LANGUAGE C STABLE STRICT PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'ampsf_sql_manifest';
COMMENT ON FUNCTION @extschema@.manifest(name, text, text) IS
	'an amp.yaml for the foreign tables of a schema: what Ampersand is to read and may write, and its proxy';

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
	deleted integer NOT NULL DEFAULT 0
);
COMMENT ON TABLE @extschema@.webhook_message IS
	'messages of Ampersand that ampsf.webhook() has taken: each is taken once. Rows older than a few days can be deleted';
SELECT pg_catalog.pg_extension_config_dump('@extschema@.webhook_message', '');

CREATE FUNCTION @extschema@.webhook_check(body bytea, headers jsonb, server name DEFAULT NULL) RETURNS text
LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'ampsf_sql_webhook_check';
COMMENT ON FUNCTION @extschema@.webhook_check(bytea, jsonb, name) IS
	'the id of a message that Ampersand has signed in the last five minutes; an error for any other';
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

CREATE FUNCTION @extschema@.webhook(
	body bytea, headers jsonb, server name DEFAULT NULL, OUT message text, OUT action text, OUT object text,
	OUT written integer, OUT deleted integer, OUT repeated boolean)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	doc jsonb;
	list jsonb;
	goal regclass;
	entry jsonb;
	done record;
BEGIN
	message := @extschema@.webhook_check(body, headers, server);
	doc := convert_from(body, 'UTF8')::jsonb;
	action := coalesce(doc->>'action', doc->>'notificationType');
	object := doc->>'objectName';
	written := 0;
	deleted := 0;
	-- Waits for a session that is taking the same message.
	INSERT INTO @extschema@.webhook_message (id, action, object) VALUES (message, webhook.action, webhook.object)
		ON CONFLICT (id) DO NOTHING;
	repeated := NOT FOUND;
	IF repeated OR doc->>'action' IS NULL OR doc->>'action' NOT IN ('read', 'subscribe') THEN
		RETURN;
	END IF;
	SELECT w.target INTO goal FROM @extschema@.webhook_target w WHERE lower(w.object) = lower(webhook.object);
	IF goal IS NULL THEN
		RAISE EXCEPTION USING ERRCODE = 'undefined_table',
			MESSAGE = format('no table takes the records of object "%s"', object),
			HINT = 'INSERT INTO ampsf.webhook_target (object, target) VALUES (''...'', ''...'').';
	END IF;
	list := doc->'result';
	IF doc->'resultInfo'->>'type' = 'url' THEN
		list := convert_from(@extschema@.webhook_download(doc->'resultInfo'->>'downloadUrl'), 'UTF8')::jsonb;
		list := CASE jsonb_typeof(list) WHEN 'object' THEN list->'result' ELSE list END;
	END IF;
	FOR entry IN SELECT value FROM jsonb_array_elements(coalesce(nullif(list, 'null'), '[]')) LOOP
		done := @extschema@.webhook_put(goal,
			entry || jsonb_build_object('groupRef', doc->'groupRef', 'installationId', doc->'installationId'));
		written := written + done.written;
		deleted := deleted + done.deleted;
	END LOOP;
	UPDATE @extschema@.webhook_message m SET written = webhook.written, deleted = webhook.deleted WHERE m.id = message;
END $$;
COMMENT ON FUNCTION @extschema@.webhook(bytea, jsonb, name) IS
	'takes a message that Ampersand delivers: checks its signature, and puts its records into the table of ampsf.webhook_target; a message that comes again changes nothing';
REVOKE EXECUTE ON FUNCTION @extschema@.webhook(bytea, jsonb, name) FROM PUBLIC;
