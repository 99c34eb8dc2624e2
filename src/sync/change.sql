-- Change events: what the org told, a row for each record.  An event that names several records is as many
-- rows.  Rows of one server get their numbers one transaction after the other (change_lock), so that a reader
-- who remembers the highest one that it has seen misses none.
CREATE TABLE @extschema@.change (
	id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	received timestamptz NOT NULL DEFAULT clock_timestamp(),
	owner regrole NOT NULL DEFAULT pg_catalog.quote_ident(current_user)::pg_catalog.regrole,
	subscription bigint,
	server name NOT NULL,
	channel text,
	epoch integer,
	replay_id bigint,
	object text NOT NULL,
	object_key text GENERATED ALWAYS AS (pg_catalog.lower(object)) STORED,
	record_id text,
	type text NOT NULL,
	changed_fields text[],
	"values" jsonb,
	committed timestamptz,
	commit_number bigint,
	commit_user text,
	transaction_key text,
	sequence integer,
	origin text
);
COMMENT ON TABLE @extschema@.change IS 'change events, one row for each record, in the order in which the org committed them';
COMMENT ON COLUMN @extschema@.change.subscription IS 'that of ampsf.subscribe(); null: it came by Ampersand''s webhook';
COMMENT ON COLUMN @extschema@.change.replay_id IS 'the event''s place in its channel: increasing, with gaps';
COMMENT ON COLUMN @extschema@.change.object_key IS 'its name without case, as it is looked for';
COMMENT ON COLUMN @extschema@.change.epoch IS 'replay ids of different epochs do not compare: the org began to count anew, or no longer knew where we were';
COMMENT ON COLUMN @extschema@.change.record_id IS 'null: an event of a whole object (GAP_OVERFLOW, LOST)';
COMMENT ON COLUMN @extschema@.change.type IS
	'CREATE, UPDATE, DELETE, UNDELETE; GAP_ and one of them: changed, but not told how; GAP_OVERFLOW: more changes in a '
	'transaction than events can tell; LOST: events between the one before and this place are gone';
COMMENT ON COLUMN @extschema@.change.changed_fields IS 'of an update, Salesforce''s names of the fields; compound ones by their parts (BillingCity)';
COMMENT ON COLUMN @extschema@.change."values" IS
	'fields that the event carries, by the same names; a null was set, a field that is missing was not changed, or is empty in a new record';
COMMENT ON COLUMN @extschema@.change.committed IS 'when the org committed the transaction';
COMMENT ON COLUMN @extschema@.change.sequence IS 'the event''s place in its transaction, from 1';
COMMENT ON COLUMN @extschema@.change.origin IS 'which API and client made the change, as Salesforce tells it';
-- An event that is delivered again is stored once; after a refresh an org gives the same ids to others.
CREATE UNIQUE INDEX change_once ON @extschema@.change (subscription, replay_id, object, record_id, type, transaction_key, owner)
	NULLS NOT DISTINCT WHERE subscription IS NOT NULL AND type <> 'LOST';
CREATE INDEX change_object ON @extschema@.change (owner, server, object_key, id);
ALTER TABLE @extschema@.change ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON @extschema@.change TO PUBLIC
	USING (owner = (SELECT pg_catalog.quote_ident(current_user)::pg_catalog.regrole));

CREATE FUNCTION @extschema@.change_lock(server name) RETURNS void
LANGUAGE sql VOLATILE STRICT SET search_path = pg_catalog, pg_temp AS $$
	SELECT pg_advisory_xact_lock(hashtext('@extschema@.change'), hashtext(server))
$$;
COMMENT ON FUNCTION @extschema@.change_lock(name) IS 'taken by who adds to ampsf.change; of change events';
