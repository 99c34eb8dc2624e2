-- Whether what a mirror stands on is there, and whose it is.

-- Foreign table and table may have been changed by anybody: what cannot be followed is told before anything is done.
CREATE FUNCTION @extschema@.mirror_check(d @extschema@.mirror_definition) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	key name := @extschema@.mirror_key(d);
	place regclass;
BEGIN
	IF NOT EXISTS (SELECT FROM pg_foreign_table f WHERE f.ftrelid = d.source) THEN
		RAISE EXCEPTION USING ERRCODE = 'undefined_table', MESSAGE = format('the foreign table of mirror %s is gone', d.target),
			HINT = format('After SELECT ampsf.unmirror(%L) another one can take its place: SELECT ampsf.mirror(..., existing => true).', d.target);
	ELSIF key IS NULL THEN
		RAISE EXCEPTION USING ERRCODE = 'undefined_column', MESSAGE = format('%s has no column for the field Id', d.source),
			HINT = 'A mirror is kept by Ids.';
	END IF;
	FOREACH place IN ARRAY ARRAY[d.target, d.history] LOOP
		IF EXISTS (SELECT FROM pg_class c WHERE c.oid = place)
				AND NOT EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = place AND a.attname = key AND NOT a.attisdropped) THEN
			RAISE EXCEPTION USING ERRCODE = 'undefined_column',
				MESSAGE = format('%s has no column "%s", which has the Ids in %s', place, key, d.source),
				HINT = 'Give the columns one name: ALTER TABLE ... RENAME COLUMN.';
		END IF;
	END LOOP;
END $$;
COMMENT ON FUNCTION @extschema@.mirror_check(@extschema@.mirror_definition) IS 'raises what a mirror lacks; of mirrors';

-- The name of what stands beside a table, in its schema, qualified: the table's name is cut where both are too long.
CREATE FUNCTION @extschema@.mirror_beside(relation regclass, suffix text) RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
	SELECT format('%I.%I', n.nspname, left(c.relname, l) || suffix)
	FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace, generate_series(length(c.relname), 1, -1) l
	WHERE c.oid = relation AND octet_length(left(c.relname, l)) + octet_length(suffix) < 64
	ORDER BY l DESC LIMIT 1
$$;
COMMENT ON FUNCTION @extschema@.mirror_beside(regclass, text) IS 'of mirrors';

-- REASSIGN OWNED and ALTER TABLE do not know of mirrors.
CREATE FUNCTION @extschema@.set_mirror_owner(target regclass, owner regrole) RETURNS void
LANGUAGE plpgsql STRICT SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	name text;
BEGIN
	IF NOT current_setting('is_superuser')::boolean THEN
		RAISE EXCEPTION USING ERRCODE = 'insufficient_privilege', MESSAGE = 'must be superuser to give a mirror to another role';
	ELSIF NOT EXISTS (SELECT FROM @extschema@.mirror_definition d WHERE d.target = set_mirror_owner.target) THEN
		RAISE EXCEPTION USING ERRCODE = 'undefined_object', MESSAGE = format('%s is not a mirror', target);
	ELSIF NOT pg_has_role(owner, (SELECT c.relowner FROM pg_class c WHERE c.oid = target), 'USAGE') THEN
		RAISE EXCEPTION USING ERRCODE = 'insufficient_privilege', MESSAGE = format('role %s does not own table %s', owner, target),
			HINT = format('ALTER TABLE %s OWNER TO %s;', target, owner);
	ELSIF NOT pg_try_advisory_xact_lock(hashtext('@extschema@.mirror'), target::oid::integer) THEN
		RAISE EXCEPTION USING ERRCODE = 'object_in_use', MESSAGE = format('mirror %s is being synchronized by another session', target);
	END IF;
	FOREACH name IN ARRAY ARRAY['mirror_definition', 'mirror_run', 'mirror_chunk', 'merge', 'writeback', 'writeback_definition'] LOOP
		EXECUTE format('UPDATE @extschema@.%I SET owner = $1 WHERE target = $2', name) USING owner, target;
	END LOOP;
	PERFORM @extschema@.wake();
END $$;
COMMENT ON FUNCTION @extschema@.set_mirror_owner(regclass, regrole) IS 'who runs a mirror from now on: for superusers, when the table has got another owner';
