-- What roles may do with the tables of mirrors, subscriptions and write-back, beside the policies that show each role
-- its own rows.  Nobody gives a row its number, or speaks of a table that is not theirs: else they could take what
-- another's rows are to have, or be heard by whoever sees all rows.
DO $$
DECLARE
	t record;
BEGIN
	FOR t IN SELECT v.name, string_agg(quote_ident(a.attname), ', ') FILTER (WHERE a.attname <> 'id') AS given,
				string_agg(quote_ident(a.attname), ', ') FILTER (WHERE a.attname <> ALL (v.fixed)) AS changed,
				bool_or(a.attname = 'target') AS of_table
			FROM (VALUES ('mirror_definition', '{target}'::name[]), ('mirror_run', '{id, target}'), ('mirror_chunk', '{target}'), ('merge', '{target}'),
				('subscription', '{id}'), ('change', NULL), ('writeback_definition', '{target}'),
				('writeback', '{id, target, owner, role, operation, transaction}')) v (name, fixed)
			JOIN pg_attribute a ON a.attrelid = ('@extschema@.' || v.name)::regclass AND a.attnum > 0 AND a.attgenerated = ''
			GROUP BY v.name LOOP
		EXECUTE format('GRANT SELECT, DELETE, INSERT (%2$s) ON @extschema@.%1$I TO PUBLIC', t.name, t.given);
		IF t.changed IS NOT NULL THEN
			EXECUTE format('GRANT UPDATE (%2$s) ON @extschema@.%1$I TO PUBLIC', t.name, t.changed);
		END IF;
		IF t.of_table THEN
			EXECUTE format('CREATE POLICY of_own_table ON @extschema@.%I AS RESTRICTIVE FOR INSERT TO PUBLIC '
				'WITH CHECK (@extschema@.mirror_owns(target))', t.name);
		END IF;
	END LOOP;
END $$;
