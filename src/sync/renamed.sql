-- What knows a server by its name gets the new one in the transaction of ALTER SERVER ... RENAME.  (Tables, schemas
-- and roles are kept as oids, which a dump writes as names.)
CREATE FUNCTION @extschema@.server_renamed(old name, new name) RETURNS void
LANGUAGE plpgsql STRICT SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	-- In this order, as whoever stores events.
	UPDATE @extschema@.subscription s SET server = new WHERE s.server = old;
	PERFORM @extschema@.change_lock(old);
	PERFORM @extschema@.change_lock(new);
	UPDATE @extschema@.change c SET server = new WHERE c.server = old;
END $$;
COMMENT ON FUNCTION @extschema@.server_renamed(name, name) IS 'of subscriptions';

-- As the extension's owner: rows of all roles.
CREATE FUNCTION @extschema@.server_altered() RETURNS event_trigger
LANGUAGE C SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME', 'ampsf_sql_server_altered';
COMMENT ON FUNCTION @extschema@.server_altered() IS 'follows a server to its new name; of subscriptions';

CREATE EVENT TRIGGER ampsf_server_altered ON ddl_command_end WHEN TAG IN ('ALTER SERVER')
	EXECUTE FUNCTION @extschema@.server_altered();
COMMENT ON EVENT TRIGGER ampsf_server_altered IS 'subscriptions and change events follow a server to its new name';
