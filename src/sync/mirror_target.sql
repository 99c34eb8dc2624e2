-- The table of a mirror: made, or taken as it is, whatever kind it is of.

-- Arguments of ampsf.mirror() that cannot be.
CREATE FUNCTION @extschema@.mirror_settings(
	every interval, deletes text, lookback interval, compare_every interval, chunk_rows integer, formula_every interval,
	parallel integer, drift text) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	wrong text;
	interval_ record;
BEGIN
	FOR interval_ IN SELECT * FROM (VALUES ('every', every, '0 seconds'::interval, false), ('lookback', lookback, NULL, false),
			('compare_every', compare_every, '0 seconds', false), ('formula_every', formula_every, '0 seconds', true)) v (name, value, above, optional) LOOP
		wrong := CASE WHEN interval_.value IS NULL AND NOT interval_.optional THEN 'must not be null'
			WHEN interval_.value <= interval_.above THEN 'must be greater than 0'
			WHEN interval_.value < '0' THEN 'must not be negative'
			WHEN interval_.value > '100 years' THEN 'must not be more than 100 years' END;
		IF wrong IS NOT NULL THEN
			RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value', MESSAGE = format('%s %s', interval_.name, wrong);
		END IF;
	END LOOP;
	IF coalesce(chunk_rows, 0) <= 0 THEN
		RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value', MESSAGE = 'chunk_rows must be greater than 0';
	ELSIF coalesce(deletes NOT IN ('remove', 'mark'), true) THEN
		RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value',
			MESSAGE = format('%s is no way to treat deleted rows', coalesce('"' || deletes || '"', 'null')), HINT = 'It is remove, or mark.';
	ELSIF coalesce(drift NOT IN ('follow', 'report'), true) THEN
		RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value',
			MESSAGE = format('%s is no way to treat fields that come and go', coalesce('"' || drift || '"', 'null')), HINT = 'It is follow, or report.';
	ELSIF coalesce(parallel NOT BETWEEN 1 AND 64, true) THEN
		RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value', MESSAGE = format('%s sessions cannot share a run', coalesce(parallel::text, 'null')),
			HINT = 'It is a number from 1 to 64.';
	END IF;
END $$;
COMMENT ON FUNCTION @extschema@.mirror_settings(interval, text, interval, interval, integer, interval, integer, text) IS
	'raises what a mirror cannot be told; of mirrors';

-- The table's qualified name: there, if it is to be, and not temporary.
CREATE FUNCTION @extschema@.mirror_place(target text, schema name, existing boolean) RETURNS text
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	parts text[];
	place text;
BEGIN
	IF target ~ '^[^"]*[[:space:]][^"]*$' THEN
		RAISE EXCEPTION USING ERRCODE = 'invalid_name', MESSAGE = format('"%s" is not the name of a table', target),
			HINT = format('A name that is not in small letters, digits and underscores is quoted: %s.', quote_ident(target));
	END IF;
	parts := parse_ident(target);
	IF cardinality(parts) = 1 THEN
		IF schema IS NULL THEN
			RAISE EXCEPTION USING ERRCODE = 'invalid_schema_name', MESSAGE = 'no schema has been selected to create in',
				HINT = 'Name the table with its schema, as the second argument of ampsf.mirror().';
		END IF;
		parts := ARRAY[schema::text] || parts;
	END IF;
	IF cardinality(parts) <> 2 THEN
		RAISE EXCEPTION USING ERRCODE = 'invalid_name', MESSAGE = format('"%s" is not the name of a table', target);
	ELSIF parts[1] ~ '^pg_(temp|toast)' THEN
		RAISE EXCEPTION USING ERRCODE = 'feature_not_supported', MESSAGE = 'a mirror cannot be a temporary table',
			HINT = 'Other sessions, which run it, would not see it.';
	ELSIF NOT EXISTS (SELECT FROM pg_namespace n WHERE n.nspname = parts[1]::name) THEN
		RAISE EXCEPTION USING ERRCODE = 'invalid_schema_name', MESSAGE = format('schema "%s" does not exist', parts[1]);
	END IF;
	place := format('%I.%I', parts[1], parts[2]);
	IF to_regclass(place) IS NOT NULL AND NOT existing THEN
		RAISE EXCEPTION USING ERRCODE = 'duplicate_table', MESSAGE = format('relation %s exists already', place),
			HINT = 'Name another table as the second argument of ampsf.mirror(), or take this one as it is: existing => true.';
	ELSIF to_regclass(place) IS NULL AND existing THEN
		RAISE EXCEPTION USING ERRCODE = 'undefined_table', MESSAGE = format('relation %s does not exist', place);
	END IF;
	RETURN place;
END $$;
COMMENT ON FUNCTION @extschema@.mirror_place(text, name, boolean) IS 'of mirrors';

-- The foreign table's comments.
CREATE FUNCTION @extschema@.mirror_comments(target regclass, source regclass, deletes text) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	c record;
BEGIN
	EXECUTE format('COMMENT ON TABLE %s IS %L', target,
		coalesce(obj_description(source, 'pg_class'), 'mirror of ' || source::text));
	FOR c IN SELECT m.name, col_description(source, m.attnum) AS note FROM @extschema@.mirror_columns(source) m
		WHERE col_description(source, m.attnum) IS NOT NULL LOOP
		EXECUTE format('COMMENT ON COLUMN %s.%I IS %L', target, c.name, c.note);
	END LOOP;
	IF deletes = 'mark' THEN
		EXECUTE format('COMMENT ON COLUMN %s.deleted_at IS %L', target, 'when the org deleted the row; null: it is there');
	END IF;
END $$;
COMMENT ON FUNCTION @extschema@.mirror_comments(regclass, regclass, text) IS 'of mirrors';

-- A unique index on the Id alone, which is what ON CONFLICT wants, and a heap, whose rows tell whether they are new.
CREATE FUNCTION @extschema@.mirror_by_index(target regclass, key name) RETURNS boolean
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
	SELECT EXISTS (SELECT FROM pg_class c JOIN pg_am m ON m.oid = c.relam JOIN pg_index i ON i.indrelid = c.oid
			JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = key AND NOT a.attisdropped
		WHERE c.oid = target AND c.relkind = 'r' AND m.amname = 'heap' AND i.indisunique AND i.indisvalid AND i.indimmediate
			AND i.indpred IS NULL AND i.indexprs IS NULL AND i.indnkeyatts = 1 AND i.indkey[0] = a.attnum)
		-- whose rows may be on other machines, and are written in two steps, as those of a partitioned table
		AND NOT EXISTS (SELECT FROM pg_extension WHERE extname = 'citus')
$$;
COMMENT ON FUNCTION @extschema@.mirror_by_index(regclass, name) IS
	'whether rows of a mirror are written by INSERT ... ON CONFLICT; of mirrors';

-- May a table that is there become a mirror?  Raises what it lacks.
CREATE FUNCTION @extschema@.mirror_fits(target regclass, source regclass, key name, deletes text) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	rel pg_class;
	c record;
	partition_key name[];
	found_id text;
	wrong text;
BEGIN
	SELECT * INTO rel FROM pg_class WHERE oid = target;
	IF rel.relkind NOT IN ('r', 'p') OR rel.relpersistence = 't' OR rel.relispartition THEN
		RAISE EXCEPTION USING ERRCODE = 'wrong_object_type', MESSAGE = format('%s is no table that could be a mirror', target),
			HINT = 'It is a plain table, or a partitioned one as a whole.';
	ELSIF NOT @extschema@.mirror_owns(target) THEN
		RAISE EXCEPTION USING ERRCODE = 'insufficient_privilege', MESSAGE = format('must be owner of table %s', target);
	ELSIF EXISTS (SELECT FROM @extschema@.mirror_definition m WHERE m.target = mirror_fits.target) THEN
		RAISE EXCEPTION USING ERRCODE = 'duplicate_object', MESSAGE = format('%s is a mirror already', target);
	END IF;
	wrong := CASE WHEN rel.relpersistence = 'u' THEN 'is unlogged: a crash would empty it, and nobody would know'
		WHEN rel.relkind = 'r' AND EXISTS (SELECT FROM pg_inherits i WHERE i.inhparent = target) THEN 'has tables that inherit from it, whose rows would be its own'
		WHEN EXISTS (SELECT FROM pg_rewrite r WHERE r.ev_class = target) THEN 'has rules, which would write something else'
		WHEN row_security_active(target) THEN 'hides rows from this role by its policies' END;
	IF wrong IS NOT NULL THEN
		RAISE EXCEPTION USING ERRCODE = 'wrong_object_type', MESSAGE = format('%s is no table that could be a mirror', target),
			DETAIL = format('It %s.', wrong);
	END IF;
	FOR c IN SELECT m.name, m.type, a.attname AS own, a.attgenerated <> '' AS generated,
			format_type(a.atttypid, a.atttypmod) AS own_type,
			-- texts take all, others what becomes theirs without a cast and without a loss
			(a.atttypid = m.typid AND (a.atttypmod = -1 OR a.atttypmod = m.typmod OR a.atttypid = 'varchar'::regtype)
				OR a.atttypid IN ('text'::regtype, 'varchar'::regtype) AND m.typid <> 'bytea'::regtype
				OR a.atttypmod = -1 AND a.atttypid NOT IN ('real'::regtype, 'double precision'::regtype) AND EXISTS (
					SELECT FROM pg_cast k WHERE k.castsource = m.typid AND k.casttarget = a.atttypid AND k.castcontext = 'i')) AS fits
		FROM (SELECT s.*, f.atttypid AS typid, f.atttypmod AS typmod FROM @extschema@.mirror_columns(source) s
				JOIN pg_attribute f ON f.attrelid = source AND f.attnum = s.attnum) m
			LEFT JOIN pg_attribute a ON a.attrelid = target AND a.attname = m.name AND NOT a.attisdropped
		ORDER BY m.attnum LOOP
		IF c.name = key AND (c.own IS NULL OR c.generated OR c.own_type !~ '^(text|character varying)') THEN
			RAISE EXCEPTION USING ERRCODE = 'datatype_mismatch', MESSAGE = format('%s has no column "%s" for Ids', target, key),
				HINT = 'Its type is text, or varchar.';
		ELSIF NOT c.generated AND NOT c.fits THEN
			RAISE EXCEPTION USING ERRCODE = 'datatype_mismatch',
				MESSAGE = format('column "%s" of %s has type %s, where %s comes', c.name, target, c.own_type, c.type),
				HINT = format('ALTER TABLE %s ALTER COLUMN %I TYPE %s;', target, c.name, c.type);
		END IF;
	END LOOP;
	SELECT a.attname AS name INTO c FROM pg_attribute a WHERE a.attrelid = target AND a.attnum > 0 AND NOT a.attisdropped
		AND a.attnotnull AND NOT a.atthasdef AND a.attidentity = ''
		AND NOT EXISTS (SELECT FROM @extschema@.mirror_columns(source) m WHERE m.name = a.attname) LIMIT 1;
	IF FOUND THEN
		RAISE EXCEPTION USING ERRCODE = 'not_null_violation',
			MESSAGE = format('column "%s" of %s is never null, has no default, and is none of %s', c.name, target, source),
			HINT = 'Rows that the mirror adds leave it out.';
	END IF;
	SELECT coalesce(array_agg(a.attname), '{}') INTO partition_key FROM pg_partitioned_table p
		JOIN pg_attribute a ON a.attrelid = p.partrelid AND a.attnum = ANY (p.partattrs) WHERE p.partrelid = target;
	-- Of a partitioned table an index is unique with the partition key only.
	IF NOT EXISTS (SELECT FROM pg_index i WHERE i.indrelid = target AND i.indisunique AND i.indisvalid AND i.indimmediate
			AND i.indpred IS NULL AND i.indexprs IS NULL
			AND (SELECT bool_and(a.attname = key OR a.attname = ANY (partition_key)) AND bool_or(a.attname = key)
				FROM unnest(i.indkey[0:i.indnkeyatts - 1]) k JOIN pg_attribute a ON a.attrelid = target AND a.attnum = k)) THEN
		RAISE EXCEPTION USING ERRCODE = 'invalid_table_definition', MESSAGE = format('%s has no unique index on "%s"', target, key),
			HINT = format('ALTER TABLE %s ADD PRIMARY KEY (%s);', target,
				(SELECT string_agg(DISTINCT quote_ident(n), ', ' ORDER BY quote_ident(n)) FROM unnest(key || partition_key) n));
	END IF;
	EXECUTE format('SELECT t.%1$I FROM %2$s t GROUP BY 1 HAVING count(t.%1$I) > 1 OR length(t.%1$I) <> 18 LIMIT 1', key, target)
		INTO found_id;
	IF found_id IS NOT NULL THEN
		RAISE EXCEPTION USING ERRCODE = 'unique_violation',
			MESSAGE = format('%s has rows whose "%s" is none of Salesforce''s, or is there twice', target, key),
			DETAIL = format('One of them is "%s".', found_id),
			HINT = 'An Id has 18 characters.';
	END IF;
	IF deletes = 'mark' THEN
		SELECT format_type(a.atttypid, -1) AS type INTO c FROM pg_attribute a
			WHERE a.attrelid = target AND a.attname = 'deleted_at' AND NOT a.attisdropped;
		IF NOT FOUND THEN
			EXECUTE format('ALTER TABLE %s ADD COLUMN deleted_at timestamptz', target);
		ELSIF c.type <> 'timestamp with time zone' THEN
			RAISE EXCEPTION USING ERRCODE = 'datatype_mismatch', MESSAGE = format('column "deleted_at" of %s is no timestamptz', target);
		END IF;
	END IF;
END $$;
COMMENT ON FUNCTION @extschema@.mirror_fits(regclass, regclass, name, text) IS
	'raises why a table cannot be taken for a mirror; of mirrors';

-- The rest of ampsf.mirror(): what it has to remember of the table as it is.
CREATE FUNCTION @extschema@.mirror_begin(
	target regclass, existing boolean, parallel integer, drift text, foreign_keys boolean) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	d @extschema@.mirror_definition := @extschema@.mirror_find(target);
	n bigint := 0;
BEGIN
	IF existing THEN
		EXECUTE format('SELECT count(t.%I) FROM %s t', @extschema@.mirror_key(d), target) INTO n;
	END IF;
	UPDATE @extschema@.mirror_definition m
		SET parallel = mirror_begin.parallel, drift = mirror_begin.drift, foreign_keys = mirror_begin.foreign_keys,
			columns = (SELECT coalesce(array_agg(s.name), '{}') FROM @extschema@.mirror_shared(d) s),
			-- What was there before and is no row of the org goes with the first comparison.
			rows = n, compare_asked = n > 0
		WHERE m.target = d.target;
END $$;
COMMENT ON FUNCTION @extschema@.mirror_begin(regclass, boolean, integer, text, boolean) IS 'of mirrors';
