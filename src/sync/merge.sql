-- Merges: rows that are gone since somebody made one of two.  What pointed to them points to the other one by a
-- change of its own; who has written their Ids elsewhere finds here what became of them.

CREATE FUNCTION @extschema@.mirror_merged(foreign_table regclass, ids text[], OUT loser text, OUT master text) RETURNS SETOF record
LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE ROWS 10 AS 'MODULE_PATHNAME', 'ampsf_sql_merged';
COMMENT ON FUNCTION @extschema@.mirror_merged(regclass, text[]) IS
	'those of some deleted rows that were merged, and into which; one call; of mirrors';

CREATE TABLE @extschema@.merge (
	target regclass NOT NULL,
	loser text NOT NULL,
	master text NOT NULL,
	owner regrole NOT NULL DEFAULT pg_catalog.quote_ident(current_user)::pg_catalog.regrole,
	seen timestamptz NOT NULL DEFAULT clock_timestamp(),
	PRIMARY KEY (target, loser)
);
COMMENT ON TABLE @extschema@.merge IS 'rows of mirrors that were merged into others, as the runs that saw them go found out';
COMMENT ON COLUMN @extschema@.merge.loser IS 'Id of the row that is gone';
COMMENT ON COLUMN @extschema@.merge.master IS 'Id of the row that it was merged into, which may have been merged itself since: see merged_into()';
ALTER TABLE @extschema@.merge ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON @extschema@.merge TO PUBLIC
	USING (owner = (SELECT pg_catalog.quote_ident(current_user)::pg_catalog.regrole));
SELECT pg_catalog.pg_extension_config_dump('@extschema@.merge', '');

-- Rows that have just gone: were they merged?  A call, of objects only that know merges.
CREATE FUNCTION @extschema@.mirror_merges(d @extschema@.mirror_definition, ids text[]) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	key name := @extschema@.mirror_key(d);
	master_column name;
	losers text[];
	masters text[];
	was boolean;
BEGIN
	IF coalesce(cardinality(ids), 0) = 0 OR NOT coalesce('masterrecordid' = ANY (d.known_fields), false) THEN
		RETURN;
	END IF;
	BEGIN
		SELECT array_agg(m.loser), array_agg(m.master) INTO losers, masters FROM @extschema@.mirror_merged(d.source, ids) m
			WHERE m.loser = ANY (ids);
	EXCEPTION WHEN fdw_column_name_not_found THEN
		-- hidden since
		RETURN;
	END;
	INSERT INTO @extschema@.merge (target, loser, master) SELECT d.target, m.loser, m.master FROM unnest(losers, masters) m (loser, master)
		ON CONFLICT ON CONSTRAINT merge_pkey DO UPDATE SET master = excluded.master WHERE merge.master <> excluded.master;
	SELECT c.name INTO master_column FROM @extschema@.mirror_shared(d) c WHERE lower(c.field) = 'masterrecordid';
	IF d.deletes = 'mark' AND master_column IS NOT NULL AND cardinality(losers) > 0 THEN
		was := @extschema@.mirror_applying(true);
		EXECUTE format('UPDATE %s t SET %I = m.master FROM unnest($1, $2) m (loser, master) WHERE t.%I = m.loser AND t.%2$I IS DISTINCT FROM m.master',
			d.target, master_column, key) USING losers, masters;
		PERFORM @extschema@.mirror_applying(was);
	END IF;
END $$;
COMMENT ON FUNCTION @extschema@.mirror_merges(@extschema@.mirror_definition, text[]) IS 'of mirrors';

CREATE FUNCTION @extschema@.merged_into(target regclass, id text) RETURNS text
LANGUAGE sql STABLE STRICT SET search_path = pg_catalog, pg_temp AS $$
	WITH RECURSIVE way (id, n) AS (
		SELECT merged_into.id, 0
		UNION ALL
		SELECT m.master, w.n + 1 FROM way w JOIN @extschema@.merge m ON m.target = merged_into.target AND m.loser = w.id WHERE w.n < 100)
	SELECT w.id FROM way w ORDER BY w.n DESC LIMIT 1
$$;
COMMENT ON FUNCTION @extschema@.merged_into(regclass, text) IS
	'the Id that a row of a mirror has now: its own, or that of the row that it was merged into, however often';
