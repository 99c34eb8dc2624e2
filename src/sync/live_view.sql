-- The live view of a mirror: its rows, less those that changed since its watermark, and those as they are now.

-- Both stand for one question, which a statement asks once however often it names the view.  They are stable:
-- the watermark that they go by is that of the statement's snapshot, as the mirror's rows are.
CREATE FUNCTION @extschema@.live_ids(target regclass, OUT id text, OUT deleted timestamptz) RETURNS SETOF record
LANGUAGE C STABLE STRICT PARALLEL RESTRICTED COST 10000 ROWS 100 AS 'MODULE_PATHNAME', 'ampsf_sql_live_ids';
COMMENT ON FUNCTION @extschema@.live_ids(regclass) IS 'Ids that changed, or were deleted, since a mirror''s watermark; of live views';

CREATE FUNCTION @extschema@.live_rows(target regclass) RETURNS SETOF record
LANGUAGE C STABLE STRICT PARALLEL RESTRICTED COST 10000 ROWS 100 AS 'MODULE_PATHNAME', 'ampsf_sql_live_rows';
COMMENT ON FUNCTION @extschema@.live_rows(regclass) IS 'rows that changed since a mirror''s watermark; of live views';

-- What the view is: null if there is none.  A column that the foreign table has not keeps what the mirror has.
CREATE FUNCTION @extschema@.live_view_text(d @extschema@.mirror_definition) RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
	WITH f AS (SELECT CASE WHEN d.live_formulas THEN @extschema@.mirror_formulas(d) ELSE '{}' END AS live),
	key AS (SELECT quote_ident(@extschema@.mirror_key(d)) AS key),
	-- Of rows that are still to be written back the mirror's are newer.
	kept AS (SELECT CASE WHEN EXISTS (SELECT FROM @extschema@.writeback_definition w WHERE w.target = d.target)
			THEN format(' AND NOT EXISTS (SELECT FROM @extschema@.writeback w WHERE w.target = %L::regclass AND w.record_id = %%s COLLATE "C" AND w.pending)', d.target)
			ELSE '' END AS not_pending),
	c AS (SELECT a.attnum, quote_ident(a.attname) AS name, s.name IS NOT NULL AS read,
			format_type(a.atttypid, a.atttypmod) AS type, s.type AS source_type, ' COLLATE ' || s.collation AS collate_as, lower(s.field) = 'isdeleted' AS flag,
			d.deletes = 'mark' AND a.attname = 'deleted_at' AND s.name IS NULL AS mark,
			coalesce(s.name = ANY ((SELECT live FROM f)::name[]), false) AS formula,
			CASE WHEN a.attgenerated <> '' THEN pg_get_expr(g.adbin, g.adrelid) END AS made
		FROM pg_attribute a LEFT JOIN @extschema@.mirror_shared(d) s ON s.name = a.attname
			LEFT JOIN pg_attrdef g ON g.adrelid = a.attrelid AND g.adnum = a.attnum
		WHERE a.attrelid = d.target AND a.attnum > 0 AND NOT a.attisdropped)
	SELECT format('SELECT %1$s FROM %2$s m%3$s WHERE NOT EXISTS (SELECT FROM @extschema@.live_ids(%2$L::regclass) g WHERE g.id = m.%4$s%9$s) '
			'UNION ALL SELECT %8$s FROM (SELECT %5$s FROM @extschema@.live_rows(%2$L::regclass) n (%6$s) LEFT JOIN %2$s m ON m.%4$s = n.%4$s WHERE true%10$s) x%7$s',
		string_agg(CASE WHEN formula THEN format('CASE WHEN f.%1$s IS NULL THEN m.%2$s ELSE f.%2$s%3$s END AS %2$s', (SELECT key FROM key), name,
			CASE WHEN type <> source_type THEN '::' || type ELSE '' END) ELSE 'm.' || name END, ', ' ORDER BY attnum),
		d.target,
		CASE WHEN bool_or(formula) THEN format(' LEFT JOIN %1$s f ON f.%2$s = m.%2$s', d.source, (SELECT key FROM key)) ELSE '' END,
		(SELECT key FROM key),
		string_agg(CASE WHEN mark THEN 'NULL::timestamptz AS ' || name WHEN NOT read THEN 'm.' || name
			WHEN type <> source_type THEN format('n.%1$s::%2$s AS %1$s', name, type) ELSE 'n.' || name END, ', ' ORDER BY attnum) FILTER (WHERE made IS NULL),
		string_agg(name || ' ' || source_type || coalesce(collate_as, ''), ', ' ORDER BY attnum) FILTER (WHERE read),
		CASE WHEN d.deletes = 'mark' THEN format(' UNION ALL SELECT %1$s FROM @extschema@.live_ids(%2$L::regclass) g JOIN %2$s m ON m.%3$s = g.id '
				'WHERE g.deleted IS NOT NULL%4$s',
			string_agg(CASE WHEN mark THEN format('coalesce(m.%1$s, g.deleted) AS %1$s', name) WHEN flag THEN 'true AS ' || name
				ELSE 'm.' || name END, ', ' ORDER BY attnum), d.target, (SELECT key FROM key), (SELECT format(not_pending, 'g.id') FROM kept)) ELSE '' END,
		-- what the table computes itself, of the row as it is now
		string_agg(coalesce('(' || made || ')::' || type, 'x.' || name), ', ' ORDER BY attnum),
		(SELECT format(not_pending, 'g.id') FROM kept), (SELECT format(not_pending, 'n.' || (SELECT key FROM key)) FROM kept))
	FROM c
$$;
COMMENT ON FUNCTION @extschema@.live_view_text(@extschema@.mirror_definition) IS 'of live views';

-- Makes the view, or makes it anew after its table or the foreign table got other columns.  soft: if it cannot be
-- now, since a query reads it, it stays as it is.
CREATE FUNCTION @extschema@.live_view_make(d @extschema@.mirror_definition, place text, soft boolean) RETURNS regclass
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	made regclass;
	text text := @extschema@.live_view_text(d);
BEGIN
	IF soft THEN
		IF @extschema@.mirror_try(format('CREATE OR REPLACE VIEW %s WITH (security_invoker = true) AS %s', place, text)) IS NOT NULL THEN
			RETURN NULL;
		END IF;
	ELSE
		EXECUTE format('CREATE OR REPLACE VIEW %s WITH (security_invoker = true) AS %s', place, text);
	END IF;
	made := place::regclass;
	EXECUTE format('COMMENT ON VIEW %s IS %L', made, format('%s, as the org has it now: its rows, and what changed since its last run', d.target));
	UPDATE @extschema@.mirror_definition m SET live_view = made, live_text = text, live_formulas = d.live_formulas WHERE m.target = d.target;
	RETURN made;
END $$;
COMMENT ON FUNCTION @extschema@.live_view_make(@extschema@.mirror_definition, text, boolean) IS 'of live views';

CREATE FUNCTION @extschema@.live_view(target regclass, formulas boolean DEFAULT NULL) RETURNS regclass
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	d @extschema@.mirror_definition := @extschema@.mirror_claim(target);
	at timestamptz;
	place text;
BEGIN
	IF d.target IS NULL THEN
		RETURN NULL;
	END IF;
	PERFORM @extschema@.mirror_check(d);
	IF d.cursor_column IS NULL THEN
		RAISE EXCEPTION USING ERRCODE = 'feature_not_supported', MESSAGE = format('mirror %s can have no live view', target),
			DETAIL = 'Its object has no field that tells when a row changed.';
	END IF;
	IF EXISTS (SELECT FROM pg_class c WHERE c.oid = d.live_view) THEN
		place := d.live_view;
	ELSE
		place := @extschema@.mirror_beside(d.target, '_now');
		IF to_regclass(place) IS NOT NULL THEN
			RAISE EXCEPTION USING ERRCODE = 'duplicate_table', MESSAGE = format('relation %s exists already', place);
		END IF;
		at := @extschema@.server_time(d.source);
		IF (SELECT l.ids IS NULL FROM @extschema@.deleted(d.source, at - interval '2 minutes', at) l) THEN
			RAISE EXCEPTION USING ERRCODE = 'feature_not_supported', MESSAGE = format('mirror %s can have no live view', target),
				DETAIL = 'The org keeps no log of deletions of its object.';
		END IF;
	END IF;
	d.live_formulas := coalesce(formulas, d.live_formulas);
	RETURN @extschema@.live_view_make(d, place, false);
END $$;
COMMENT ON FUNCTION @extschema@.live_view(regclass, boolean) IS
	'makes the view TABLE_now of a mirror: always as fresh as the org, for one call a statement; formulas: read formula fields from the org, too';

-- A column of a table cannot get another type while a view shows it: the view is put aside, with what others
-- were granted.  Where it cannot be, since a view of somebody else's stands on it or a query reads it, it stays,
-- and what was to be done is refused; or that is an error.
CREATE FUNCTION @extschema@.live_view_suspend(d @extschema@.mirror_definition, must boolean, OUT place text, OUT grants text)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	IF NOT EXISTS (SELECT FROM pg_class c WHERE c.oid = d.live_view) THEN
		RETURN;
	END IF;
	place := d.live_view;
	SELECT string_agg(format('GRANT %s ON %s TO %s%s', x.privilege_type, d.live_view,
			CASE WHEN x.grantee = 0 THEN 'PUBLIC' ELSE x.grantee::regrole::text END, CASE WHEN x.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END), '; ')
		INTO grants FROM pg_class c, aclexplode(c.relacl) x WHERE c.oid = d.live_view AND x.grantee <> c.relowner;
	IF must THEN
		EXECUTE format('DROP VIEW %s', d.live_view);
	ELSIF @extschema@.mirror_try(format('DROP VIEW %s', d.live_view)) IS NOT NULL THEN
		place := NULL;
		grants := NULL;
	END IF;
END $$;
COMMENT ON FUNCTION @extschema@.live_view_suspend(@extschema@.mirror_definition, boolean) IS 'of live views';

-- Columns have come or gone: so they do in the view.  place, grants: of a view that was put aside.  Says why it
-- could not be done.
CREATE FUNCTION @extschema@.live_view_follow(d @extschema@.mirror_definition, place text, grants text) RETURNS text
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	IF place IS NULL THEN
		IF NOT EXISTS (SELECT FROM pg_class c WHERE c.oid = d.live_view)
				OR d.live_text IS NOT DISTINCT FROM @extschema@.live_view_text(d)
				OR @extschema@.live_view_make(d, d.live_view::text, true) IS NOT NULL THEN
			RETURN NULL;
		END IF;
		-- A column that has another name or type now cannot be replaced in it.
		SELECT l.place, l.grants INTO place, grants FROM @extschema@.live_view_suspend(d, false) l;
		IF place IS NULL THEN
			RETURN format('the live view %s has not followed yet, since something stands on it or reads it', d.live_view);
		END IF;
	END IF;
	PERFORM @extschema@.live_view_make(d, place, false);
	IF grants IS NOT NULL THEN
		EXECUTE grants;
	END IF;
	RETURN NULL;
END $$;
COMMENT ON FUNCTION @extschema@.live_view_follow(@extschema@.mirror_definition, text, text) IS 'of live views';
