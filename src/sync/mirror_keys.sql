-- Lookups as foreign keys.  They say what belongs to what, to people, planner and tools; they enforce nothing.  A mirror
-- is what the org shows: a lookup may point to a row that this user may not see, to one that is in the recycle bin, or to one
-- that another mirror reads a minute later, and neither a run that fails nor a value that is left out would be the org's truth.
-- PostgreSQL 18 has NOT ENFORCED for that.  Before, a constraint is NOT VALID and its triggers are switched off, for which
-- it wants a superuser.

-- The lookups of a mirror whose parents are mirrored, too, and the statement that makes a key of one.
CREATE FUNCTION @extschema@.mirror_key_wanted(
	d @extschema@.mirror_definition, OUT name name, OUT parent regclass, OUT made oid, OUT statement text)
RETURNS SETOF record
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
	SELECT s.name, p.target, k.oid, format('ALTER TABLE %s ADD FOREIGN KEY (%I) REFERENCES %s (%I) %s', d.target, s.name, p.target, pk.name,
		CASE WHEN current_setting('server_version_num')::integer >= 180000 THEN 'NOT ENFORCED' ELSE 'NOT VALID' END)
	FROM @extschema@.mirror_shared(d) s
		JOIN pg_attribute a ON a.attrelid = d.source AND a.attnum = s.attnum
		JOIN LATERAL pg_options_to_table(a.attfdwoptions) o ON o.option_name = 'reference_to'
		CROSS JOIN LATERAL @extschema@.mirror_feed(d) f
		JOIN LATERAL (SELECT m.target, @extschema@.mirror_key(m) AS key FROM @extschema@.mirror_definition m
				JOIN pg_class c ON c.oid = m.target CROSS JOIN LATERAL @extschema@.mirror_feed(m) g
			WHERE m.owner = d.owner AND g.server = f.server AND g.object_key = lower(o.option_value)
			-- of several mirrors of one object the first
			ORDER BY m.target LIMIT 1) p ON true
		JOIN LATERAL (SELECT p.key AS name) pk ON true
		JOIN pg_attribute t ON t.attrelid = d.target AND t.attname = s.name AND NOT t.attisdropped
		LEFT JOIN pg_constraint k ON k.conrelid = d.target AND k.contype = 'f' AND k.confrelid = p.target AND k.conkey = ARRAY[t.attnum]
$$;
COMMENT ON FUNCTION @extschema@.mirror_key_wanted(@extschema@.mirror_definition) IS 'of mirrors';

-- At the beginning of each run: a parent's mirror may have come, and a constraint that was restored from a dump
-- enforces again.
CREATE FUNCTION @extschema@.mirror_keys(d @extschema@.mirror_definition) RETURNS text
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	new boolean := current_setting('server_version_num')::integer >= 180000;
	super boolean := current_setting('is_superuser')::boolean;
	problems text[] := '{}';
	problem text;
	c record;
	g record;
BEGIN
	IF NOT d.foreign_keys THEN
		RETURN NULL;
	ELSIF NOT new AND NOT super THEN
		RETURN 'no foreign keys: before PostgreSQL 18 only a superuser can have them not enforced';
	END IF;
	-- Others may be writing into one of the tables: then it is for the next run.
	FOR c IN SELECT * FROM @extschema@.mirror_key_wanted(d) LOOP
		IF c.made IS NULL THEN
			problem := @extschema@.mirror_try(c.statement);
			IF problem IS NOT NULL THEN
				problems := problems || format('no foreign key from %I: %s', c.name, problem);
				CONTINUE;
			END IF;
			SELECT k.made INTO c.made FROM @extschema@.mirror_key_wanted(d) k WHERE k.name = c.name;
		END IF;
		CONTINUE WHEN new;
		FOR g IN SELECT t.tgrelid, t.tgname FROM pg_trigger t WHERE t.tgconstraint = c.made AND t.tgisinternal AND t.tgenabled <> 'D' LOOP
			problem := @extschema@.mirror_try(format('ALTER TABLE %s DISABLE TRIGGER %I', g.tgrelid::regclass, g.tgname));
			IF problem IS NOT NULL THEN
				-- A key that enforces would make the run fail.
				PERFORM @extschema@.mirror_try((SELECT format('ALTER TABLE %s DROP CONSTRAINT %I', d.target, k.conname)
					FROM pg_constraint k WHERE k.oid = c.made));
				problems := problems || format('no foreign key from %I: %s', c.name, problem);
				EXIT;
			END IF;
		END LOOP;
	END LOOP;
	RETURN nullif(array_to_string(problems, '; '), '');
END $$;
COMMENT ON FUNCTION @extschema@.mirror_keys(@extschema@.mirror_definition) IS 'foreign keys of a mirror; of mirrors';
