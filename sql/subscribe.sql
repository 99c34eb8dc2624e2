-- Subscriptions to change events: what they are, the channels that are made for them in the org, and how events
-- become rows.  The worker that follows them is tested in test/t/events.t.
\set SHOW_CONTEXT never
\! $SANDBOXCTL reset demo >/dev/null
-- names of channels hold what is of this cluster alone
CREATE FUNCTION plain(text) RETURNS text LANGUAGE sql AS $$ SELECT regexp_replace($1, 'ampsf_[0-9a-f]{10}', 'ampsf_X', 'g') $$;
CREATE FUNCTION org(what text) RETURNS SETOF text LANGUAGE sql AS $$
	SELECT plain(r ->> 'DeveloperName') FROM jsonb_array_elements((ampsf.request('sf', 'GET',
		'tooling/query?q=SELECT DeveloperName FROM PlatformEventChannel' || what)).body -> 'records') r ORDER BY 1
$$;
CREATE FUNCTION members() RETURNS TABLE (name text, channel text, entity text, enriched jsonb, filter text) LANGUAGE sql AS $$
	SELECT plain(m.b ->> 'FullName'), plain(m.b #>> '{Metadata,eventChannel}'), m.b #>> '{Metadata,selectedEntity}',
		m.b #> '{Metadata,enrichedFields}', m.b #>> '{Metadata,filterExpression}'
	FROM jsonb_array_elements((ampsf.request('sf', 'GET', 'tooling/query?q=SELECT Id FROM PlatformEventChannelMember')).body -> 'records') r,
		LATERAL (SELECT (ampsf.request('sf', 'GET', 'tooling/sobjects/PlatformEventChannelMember/' || (r ->> 'Id'))).body AS b) m ORDER BY 1
$$;
CREATE VIEW mine AS SELECT id, server, plain(channel) AS channel, objects, state, worker, received, lost, replay_id, epoch, last_error
	FROM ampsf.subscription_status ORDER BY id;

-- a channel of its own
SELECT ampsf.subscribe('sf', ARRAY['account', 'Contact', 'ACCOUNT', 'invoice__c'], events => ARRAY['Update', 'create'],
	enriched_fields => '{"Account": ["Industry"]}', filter => '{"contact": "Title != null"}') AS sub \gset
SELECT * FROM mine;
SELECT events, enriched_fields, filter, keep, channel_id IS NOT NULL AS own, cardinality(member_ids) FROM ampsf.subscription;
SELECT org('');
SELECT * FROM members();
-- what a worker would do
SELECT kind, key, owner::regrole, due <= now() AS due FROM ampsf.subscription_work_due();
SELECT ampsf.pause_subscription(:sub);
SELECT state FROM mine;
SELECT * FROM ampsf.subscription_work_due();
SELECT ampsf.resume_subscription(:sub);
SELECT state FROM mine;

-- one that exists
SELECT ampsf.subscribe('sf', channel => 'ChangeEvents', replay => 'earliest') AS std \gset
SELECT ampsf.subscribe('sf', ARRAY['Account'], channel => (SELECT channel FROM ampsf.subscription WHERE id = :sub), replay => '12') AS other \gset
SELECT * FROM mine;

-- taken down, with all that belongs to it, and nothing else
SELECT ampsf.unsubscribe(:other);
SELECT org('');
SELECT ampsf.unsubscribe(:sub);
SELECT org('');
SELECT * FROM members();
SELECT ampsf.unsubscribe(:std);
SELECT * FROM mine;
-- somebody else has taken it down in the org
SELECT ampsf.subscribe('sf', ARRAY['Account', 'Contact']) AS sub \gset
SELECT (ampsf.request('sf', 'DELETE', 'tooling/sobjects/PlatformEventChannelMember/' || m)).status
	FROM ampsf.subscription, unnest(member_ids) m;
SELECT (ampsf.request('sf', 'DELETE', 'tooling/sobjects/PlatformEventChannel/' || channel_id)).status FROM ampsf.subscription;
SELECT ampsf.unsubscribe(:sub);
SELECT * FROM mine;

-- what is made in the org goes with the transaction, or the savepoint
BEGIN;
SELECT ampsf.subscribe('sf', ARRAY['Account']) IS NOT NULL AS made;
SAVEPOINT s;
SELECT ampsf.subscribe('sf', ARRAY['Contact']) IS NOT NULL AS made;
SELECT count(*) FROM org('');
ROLLBACK TO s;
SELECT count(*) FROM org('');
SELECT entity FROM members();
ROLLBACK;
SELECT count(*) FROM org('');
SELECT * FROM members();
BEGIN;
SELECT ampsf.subscribe('sf', ARRAY['Account']) IS NOT NULL AS made;
SAVEPOINT s;
SELECT ampsf.subscribe('sf', ARRAY['Contact']) IS NOT NULL AS made;
RELEASE s;
COMMIT;
SELECT count(*) FROM org('');
SELECT ampsf.unsubscribe(id) FROM ampsf.subscription;
SELECT count(*) FROM org('');
BEGIN;
SELECT ampsf.subscribe('sf', ARRAY['Account']) IS NOT NULL AS made;
PREPARE TRANSACTION 'events';
SELECT count(*) FROM org('');
-- an org that is out of reach just then: the rest is found by its name, and only ours
SELECT (ampsf.request('sf', 'POST', 'tooling/sobjects/PlatformEventChannel',
	'{"FullName": "ampsf_other_1__chn", "Metadata": {"channelType": "data", "label": "x"}}')).status;
\! $SANDBOXCTL fault 'path=*/tooling/sobjects/*;method=DELETE;count=2;do=status;status=503' >/dev/null
BEGIN;
SELECT ampsf.subscribe('sf', ARRAY['Account']) IS NOT NULL AS made;
ROLLBACK;
\! $SANDBOXCTL nofaults >/dev/null
SELECT count(*) FROM org('');
SELECT ampsf.subscribe('sf', ARRAY['Contact']) AS sub \gset
SELECT count(*) FROM org('');
SELECT entity FROM members();
SELECT ampsf.unsubscribe(:sub);
SELECT org('');

-- errors, each with what to do; nothing is left of what was half made
\set VERBOSITY default
SELECT ampsf.subscribe('sf', ARRAY['nothing']);
SELECT ampsf.subscribe('sf', ARRAY['Account', 'RecordType']);
SELECT ampsf.subscribe('sf', ARRAY['Account'], enriched_fields => '["Nonsense"]');
SELECT ampsf.subscribe('sf', ARRAY['Account'], filter => '"Industry = "');
SELECT ampsf.subscribe('sf', ARRAY['Account'], filter => '"Nonsense = 1"');
\! curl -fsS -X POST "$SANDBOX_URL/__sandbox/events?entities=1" >/dev/null
SELECT ampsf.subscribe('sf', ARRAY['Account', 'Contact']);
\! curl -fsS -X POST "$SANDBOX_URL/__sandbox/events?entities=5" >/dev/null
SELECT org('');
SELECT * FROM members();
SELECT ampsf.subscribe('sf');
SELECT ampsf.subscribe('sf', ARRAY['Account'], events => ARRAY['merge']);
SELECT ampsf.subscribe('sf', ARRAY['Account'], replay => 'yesterday');
SELECT ampsf.subscribe('sf', ARRAY['Account'], watch_fields => '"Name"');
SELECT ampsf.subscribe('sf', ARRAY['Account'], watch_fields => '{"Contact": ["Name"]}');
SELECT ampsf.subscribe('sf', ARRAY['Account'], filter => '["Name"]');
SELECT ampsf.subscribe('sf', ARRAY['Account'], channel => 'Sales__chn');
SELECT ampsf.subscribe('sf', ARRAY['Account'], channel => '/event/Order__e');
SELECT ampsf.subscribe('sf', ARRAY['Account'], channel => 'ChangeEvents', filter => '"Name != null"');
SELECT ampsf.subscribe('nowhere', ARRAY['Account']);
SELECT ampsf.subscribe('sf', ARRAY['Account'], keep => NULL);
SELECT ampsf.unsubscribe(4711);
BEGIN READ ONLY;
SELECT ampsf.subscribe('sf', ARRAY['Account']);
ROLLBACK;
CREATE SERVER through FOREIGN DATA WRAPPER ampsf_fdw OPTIONS (connection 'ampersand', project '0d4f6c2e-7a51-4c1c-9a53-2f1f0c9d8e7b',
	group_ref 'acme', integration 'salesforce');
SELECT ampsf.subscribe('through', ARRAY['Account']);
\set VERBOSITY terse

-- events as rows: one for each record, fields by their names, numbers in full, nulls as they were told
SELECT ampsf.subscribe('sf', ARRAY['Contact', 'Account', 'Invoice__c'], channel => 'ChangeEvents',
	watch_fields => '{"account": ["Name", "billingaddress"]}', events => ARRAY['create', 'update', 'delete']) AS sub \gset
CREATE FUNCTION event(replay bigint, object text, ids text[], type text, payload jsonb DEFAULT '{}', changed text[] DEFAULT '{}',
	key text DEFAULT 'k', stamp bigint DEFAULT 1745500706683) RETURNS jsonb LANGUAGE sql AS $$
	SELECT jsonb_build_object('channel', '/data/ChangeEvents', 'data', jsonb_build_object('schema', 's', 'event', jsonb_build_object('replayId', replay),
		'payload', jsonb_build_object('ChangeEventHeader', jsonb_build_object('entityName', object, 'recordIds', ids, 'changeType', type,
			'changeOrigin', 'com/salesforce/api/rest/62.0;client=x', 'transactionKey', key, 'sequenceNumber', 1, 'commitTimestamp', stamp,
			'commitNumber', 1745500706683617281, 'commitUser', '0055g0000000001AAA', 'changedFields', changed)) || payload))
$$;
CREATE FUNCTION store(VARIADIC messages jsonb[]) RETURNS integer LANGUAGE sql AS $$
	SELECT ampsf.events_store((SELECT max(id) FROM ampsf.subscription), (jsonb_build_array(jsonb_build_object('channel', '/meta/connect',
		'successful', true)) || to_jsonb(messages))::text)
$$;
CREATE VIEW rows AS SELECT replay_id, epoch, object, record_id, type, changed_fields, values FROM ampsf.change ORDER BY id;
SELECT store(
	event(9007199254740993, 'Contact', '{003000000000001AAA,003000000000002AAA}', 'UPDATE', '{"Name": {"LastName": "Curie"},
		"MailingAddress": {"City": "Paris", "State": null}, "Title": null, "LastModifiedDate": "2025-04-24T13:18:26.000Z"}',
		'{Name.LastName,MailingAddress.City,MailingAddress.State,MailingAddress.Street,Title,LastModifiedDate}'),
	event(9007199254740994, 'Account', '{001000000000001AAA}', 'CREATE', '{"Name": "Acme", "AnnualRevenue": 12345678901234567890.12,
		"Place__c": {"latitude": 1.50, "longitude": -2}, "ShippingAddress": null}'),
	event(9007199254740995, 'Invoice__c', '{a00000000000001AAA}', 'DELETE'),
	event(9007199254740996, 'Opportunity', '{006000000000001AAA}', 'CREATE', '{"Name": "not ours"}'),
	event(9007199254740997, 'Contact', '{003000000000001AAA}', 'UNDELETE', '{"Title": "not wanted"}'));
SELECT * FROM rows;
SELECT DISTINCT committed, commit_number, commit_user, transaction_key, sequence, origin, server, channel, owner FROM ampsf.change;
SELECT received, replay_id FROM mine;
-- watched fields: updates of others are left out, the place goes on
SELECT store(
	event(9007199254740998, 'Account', '{001000000000001AAA}', 'UPDATE', '{"Phone": "1"}', '{Phone,LastModifiedDate}'),
	event(9007199254740999, 'Account', '{001000000000001AAA}', 'UPDATE', '{"BillingAddress": {"City": "Ulm"}}', '{BillingAddress.City}'),
	event(9007199254741000, 'Account', '{001000000000001AAA}', 'UPDATE', '{"Name": "B"}', '{name}'),
	event(9007199254741001, 'Account', '{001000000000002AAA}', 'UPDATE', '{"Phone": "1"}', '{Phone}'));
SELECT replay_id, changed_fields FROM rows WHERE replay_id > 9007199254740997;
SELECT received, replay_id FROM mine;
-- gaps are never left out; what stands for no record has no Id
SELECT store(
	event(9007199254741002, 'Account', '{001000000000001AAA}', 'GAP_UPDATE'),
	event(9007199254741003, 'Account', '{001*}', 'GAP_UNDELETE'),
	event(9007199254741004, 'Contact', '{000000000000000AAA}', 'GAP_OVERFLOW'),
	event(9007199254741005, 'Contact', '{}', 'GAP_DELETE'));
SELECT * FROM rows WHERE replay_id > 9007199254741001;
-- the same once more is stored once
SELECT store(
	event(9007199254741002, 'Account', '{001000000000001AAA}', 'GAP_UPDATE'),
	event(9007199254741003, 'Account', '{001*}', 'GAP_UNDELETE'));
SELECT count(*) FROM ampsf.change;
-- what no text of PostgreSQL's can hold, and what is no event
SELECT ampsf.events_store(:sub, '[{"channel": "/data/x", "data": {"event": {"replayId": 9007199254741010}, "payload": {"Title": "a\u0000\u0000b\\u0000",
	"ChangeEventHeader": {"entityName": "Contact", "changeType": "CREATE", "recordIds": ["003000000000009AAA"]}}}}]');
SELECT values FROM ampsf.change WHERE replay_id = 9007199254741010;
SELECT ampsf.events_store(:sub, '[{"channel": "/data/x", "data": {"event": {"replayId": 9007199254741011}, "payload": {"Title": "\ud83dx \uDE00 \ud83d\uDE00 \ud83d\ud83d\ude00\ude00 \\ud83d \u00e9",
	"ChangeEventHeader": {"entityName": "Contact", "changeType": "CREATE", "recordIds": ["003000000000009AAA"]}}}}]');
SELECT values ->> 'Title' = U&'\FFFDx \FFFD \+01F600 \FFFD\+01F600\FFFD \\ud83d \00E9' AS halves FROM ampsf.change WHERE replay_id = 9007199254741011;
SELECT ampsf.events_store(:sub, '[{"channel": "/data/x", "data": {"payload": null}}, {"channel": "/data/x"}, {}, 1, {"channel": "/data/x",
	"data": {"event": {"replayId": 99999999999999999999}, "payload": {"ChangeEventHeader": {"changedFields": 1, "recordIds": 1}}}}]');
SELECT replay_id FROM mine;
-- the org no longer knows the place: a row for each object, and then the earliest that there is, whatever its ids
UPDATE ampsf.subscription SET channel_id = 'one of its own';
UPDATE ampsf.subscription SET replay_before = NULL;
SELECT replay FROM ampsf.subscription_begin(:sub);
SELECT store(event(9007199254741011, 'Account', '{001000000000003AAA}', 'DELETE'));
SELECT ampsf.events_lost(:sub, '400::The replayId');
SELECT replay FROM ampsf.subscription_begin(:sub);
SELECT * FROM rows WHERE type = 'LOST';
SELECT store(event(9007199254741011, 'Account', '{001000000000003AAA}', 'DELETE'),
	event(9007199254741011, 'Account', '{001000000000003AAA}', 'DELETE', key => 'of another org'));
SELECT store(event(7, 'Account', '{001000000000003AAA}', 'DELETE', key => 'of another org too'));
SELECT replay_id, epoch FROM rows WHERE type = 'DELETE' AND epoch = 1;
SELECT lost, replay_id, epoch FROM mine;
SELECT ampsf.events_lost(:sub, 'again');
SELECT ampsf.events_lost(:sub, 'and again');
SELECT count(*) FROM ampsf.change WHERE type = 'LOST';
-- one that has been connected and heard of nothing must not miss what was told while nobody listened
UPDATE ampsf.subscription SET from_earliest = false, first_connected = NULL;
SELECT replay FROM ampsf.subscription_begin(:sub);
SELECT ampsf.subscription_beat(:sub, 'connected');
SELECT replay FROM ampsf.subscription_begin(:sub);
SELECT store(event(1, 'Contact', '{003000000000005AAA}', 'CREATE', key => 'long ago'),
	event(2, 'Contact', '{003000000000006AAA}', 'CREATE', key => 'now', stamp => (extract(epoch FROM now()) * 1000)::bigint));
SELECT record_id FROM ampsf.change WHERE replay_id < 3;

UPDATE ampsf.subscription SET channel_id = NULL;
-- where fields are added to events, those of several records have one id: it goes on from the one before, and the same
-- is stored once
UPDATE ampsf.subscription SET replay_id = NULL, replay_before = NULL;
SELECT store(event(20, 'Contact', '{003000000000007AAA}', 'CREATE', key => 'a', stamp => (extract(epoch FROM now()) * 1000)::bigint),
	event(30, 'Contact', '{003000000000008AAA}', 'DELETE', key => 'b', stamp => (extract(epoch FROM now()) * 1000)::bigint));
SELECT replay FROM ampsf.subscription_begin(:sub);
SELECT store(event(30, 'Contact', '{003000000000008AAA}', 'DELETE', key => 'b'), event(30, 'Contact', '{003000000000009AAA}', 'DELETE', key => 'b'));
SELECT record_id FROM ampsf.change WHERE replay_id = 30 ORDER BY id;
SELECT replay FROM ampsf.subscription_begin(:sub);
SELECT store(event(40, 'Contact', '{003000000000008AAA}', 'DELETE', key => 'c'));
SELECT replay FROM ampsf.subscription_begin(:sub);
-- the one before may be too old while it is not
SELECT ampsf.events_lost(:sub, '400::The replayId');
SELECT replay FROM ampsf.subscription_begin(:sub);
SELECT count(*) FROM ampsf.change WHERE type = 'LOST';
SELECT ampsf.events_lost(:sub, '400::The replayId');
SELECT replay FROM ampsf.subscription_begin(:sub);
SELECT count(*) FROM ampsf.change WHERE type = 'LOST';

-- rows are kept for a while, those that a mirror has yet to take for longer
UPDATE ampsf.subscription SET keep = '0', pruned = NULL;
SELECT ampsf.mirror('crm.contact', 'public.contact') IS NOT NULL AS mirrored;
UPDATE ampsf.mirror_definition SET applied_to = (SELECT min(id) FROM ampsf.change WHERE object = 'Contact' AND type = 'LOST');
SELECT ampsf.subscription_beat(:sub, 'connected');
SELECT object, type, count(*) FROM ampsf.change GROUP BY 1, 2 ORDER BY 1, 2;
SELECT ampsf.unmirror('contact');
-- failures, and when to try again
BEGIN;
SELECT ampsf.subscription_failed(:sub, 'no such channel');
SELECT state, failures, next_try > now() + interval '9 seconds' AS later, last_error FROM ampsf.subscription_status;
SELECT ampsf.subscription_failed(:sub, 'no such channel');
SELECT failures, next_try > now() + interval '19 seconds' AS later FROM ampsf.subscription_status;
COMMIT;
SELECT ampsf.resume_subscription(:sub);
SELECT state, failures, next_try <= now() AS now FROM ampsf.subscription_status;
-- what the org has left of delivered events
SELECT ampsf.subscription_quota(:sub);
SELECT quota_left, quota_max FROM ampsf.subscription_status;

-- each role has its own; who may subscribe is granted
CREATE ROLE regress_ampsf_subscriber;
GRANT USAGE ON SCHEMA ampsf TO regress_ampsf_subscriber;
GRANT USAGE ON FOREIGN SERVER sf TO regress_ampsf_subscriber;
CREATE USER MAPPING FOR regress_ampsf_subscriber SERVER sf OPTIONS (client_id 'sandbox', client_secret 'sandbox');
SET ROLE regress_ampsf_subscriber;
SELECT ampsf.subscribe('sf', ARRAY['Account']);
SELECT ampsf.channel_call('sf', 'delete', 'PlatformEventChannel', '0YL');
SELECT * FROM mine;
RESET ROLE;
GRANT EXECUTE ON FUNCTION ampsf.subscribe TO regress_ampsf_subscriber;
GRANT SELECT ON mine TO regress_ampsf_subscriber;
SET ROLE regress_ampsf_subscriber;
SELECT ampsf.subscribe('sf', ARRAY['Account']) AS theirs \gset
SELECT id = :theirs AS theirs, state FROM ampsf.subscription_status;
SELECT ampsf.unsubscribe(:sub);
SELECT count(*) FROM ampsf.change;
SELECT ampsf.events_store(:sub, '[]');
INSERT INTO ampsf.change (server, object, type, owner) VALUES ('sf', 'Account', 'LOST', 'postgres');
RESET ROLE;
SELECT ampsf.unsubscribe(:theirs);
SELECT count(*) FROM ampsf.subscription;
SET ROLE regress_ampsf_subscriber;
SELECT ampsf.unsubscribe(:theirs);
RESET ROLE;
-- an org that cannot be reached any more
SELECT ampsf.subscribe('sf', ARRAY['Account']) AS own \gset
ALTER SERVER sf OPTIONS (SET instance_url 'http://127.0.0.1:9');
SELECT ampsf.unsubscribe(:own);
-- (with a warning, which names the channel)
SET client_min_messages = error;
SELECT ampsf.unsubscribe(:own, force => true);
RESET client_min_messages;
SELECT ampsf.unsubscribe(:sub);
SELECT count(*) FROM ampsf.change;
-- a role that is no more leaves its own to superusers
SET ROLE regress_ampsf_subscriber;
INSERT INTO ampsf.subscription (server, channel, events, keep) VALUES ('sf', '/data/ChangeEvents', '{CREATE}', '1 day');
SELECT replay FROM ampsf.subscription_begin((SELECT max(id) FROM ampsf.subscription));
RESET ROLE;
REVOKE EXECUTE ON FUNCTION ampsf.subscribe FROM regress_ampsf_subscriber;
SET ROLE regress_ampsf_subscriber;
SELECT replay FROM ampsf.subscription_begin((SELECT max(id) FROM ampsf.subscription));
RESET ROLE;
SELECT ampsf.unsubscribe(id) FROM ampsf.subscription;
DROP OWNED BY regress_ampsf_subscriber;
DROP ROLE regress_ampsf_subscriber;
SELECT ampsf.unsubscribe(id) FROM ampsf.subscription;
SELECT count(*) FROM ampsf.subscription;
