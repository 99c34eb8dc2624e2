-- Account Engagement: its objects as tables, what is asked for, and the same rows as a copy made without us.
\set ECHO none
SET client_min_messages = warning;
DO $$
BEGIN
	EXECUTE format('CREATE SERVER ae FOREIGN DATA WRAPPER ampsf_fdw OPTIONS (instance_url %L, engagement_url %1$L, '
		'module ''account_engagement'', business_unit_id ''0Uv5e0000000001CAA'')',
		(SELECT split_part(o, '=', 2) FROM pg_foreign_server, unnest(srvoptions) o
		 WHERE srvname = 'sf' AND o LIKE 'instance_url=%'));
END $$;
CREATE USER MAPPING FOR CURRENT_USER SERVER ae OPTIONS (client_id 'sandbox', client_secret 'sandbox');
CREATE SCHEMA ae;
CREATE SCHEMA copy;
\set ECHO all
-- the import
IMPORT FOREIGN SCHEMA account_engagement FROM SERVER ae INTO ae
	OPTIONS (extra_fields 'prospects.firstName, prospects.score integer, prospects.campaign.name, list-memberships.listId integer');
SELECT c.relname, count(*) AS columns,
	coalesce((SELECT o FROM unnest(ft.ftoptions) o WHERE o LIKE 'updatable%'), '') AS updatable,
	pg_relation_is_updatable(c.oid, false) AS events
FROM pg_class c JOIN pg_foreign_table ft ON ft.ftrelid = c.oid JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0
WHERE c.relnamespace = 'ae'::regnamespace GROUP BY c.oid, c.relname, ft.ftoptions ORDER BY c.relname COLLATE "C";
SELECT attname, format_type(atttypid, atttypmod) AS type, attnotnull AS not_null, attfdwoptions
FROM pg_attribute WHERE attrelid = 'ae.prospects'::regclass AND attnum > 0 AND
	attname IN ('id', 'email', 'updatedat', 'isdeleted', 'createdbyid', 'firstname', 'score', 'campaign_name', 'seats__c',
	'renewal__c', 'interests__c', 'newsletter__c', 'favorite_color__c') ORDER BY attnum;
CREATE SCHEMA few;
IMPORT FOREIGN SCHEMA account_engagement LIMIT TO ("list-memberships", Tags, external_activities, nonsense) FROM SERVER ae INTO few
	OPTIONS (case 'preserve');
SELECT c.relname, attname, format_type(atttypid, -1) AS type, attfdwoptions
FROM pg_attribute a JOIN pg_class c ON c.oid = attrelid
WHERE c.relnamespace = 'few'::regnamespace AND attnum > 0 ORDER BY c.relname COLLATE "C", attnum;
IMPORT FOREIGN SCHEMA crm FROM SERVER ae INTO few;
IMPORT FOREIGN SCHEMA account_engagement FROM SERVER ae INTO few OPTIONS (extra_fields 'prospects');
IMPORT FOREIGN SCHEMA account_engagement FROM SERVER ae INTO few OPTIONS (extra_fields 'nonsense.x');
IMPORT FOREIGN SCHEMA account_engagement FROM SERVER ae INTO few OPTIONS (extra_fields 'prospects.x blob');
IMPORT FOREIGN SCHEMA account_engagement FROM SERVER ae INTO few OPTIONS (multipicklist 'array');

-- the copy, by another client
CREATE TABLE copy.raw (object text, r jsonb);
CREATE TEMP TABLE line (r text);
\copy line FROM PROGRAM '$SANDBOXCTL ae-rows prospects id,email,createdAt,updatedAt,isDeleted,firstName,score,campaign.name,seats__c,renewal__c deleted=all' (FORMAT csv, DELIMITER E'\x01', QUOTE E'\x02')
INSERT INTO copy.raw SELECT 'prospects', r::jsonb FROM line;
TRUNCATE line;
\copy line FROM PROGRAM '$SANDBOXCTL ae-rows visitors id,updatedAt,hostname,pageViewCount,isIdentified deleted=all' (FORMAT csv, DELIMITER E'\x01', QUOTE E'\x02')
INSERT INTO copy.raw SELECT 'visitors', r::jsonb FROM line;
TRUNCATE line;
\copy line FROM PROGRAM '$SANDBOXCTL ae-rows visitors id' (FORMAT csv, DELIMITER E'\x01', QUOTE E'\x02')
DELETE FROM copy.raw WHERE object = 'visitors' AND r->'id' NOT IN (SELECT r::jsonb->'id' FROM line);
CREATE TABLE copy.prospects AS SELECT (r->>'id')::bigint AS id, r->>'email' AS email, (r->>'createdAt')::timestamptz AS createdat,
	(r->>'updatedAt')::timestamptz AS updatedat, (r->>'isDeleted')::boolean AS isdeleted, r->>'firstName' AS firstname,
	(r->>'score')::bigint AS score, r->'campaign'->>'name' AS campaign_name, (r->>'seats__c')::numeric AS seats__c,
	(r->>'renewal__c')::date AS renewal__c FROM copy.raw WHERE object = 'prospects';
CREATE TABLE copy.visitors AS SELECT (r->>'id')::bigint AS id, (r->>'updatedAt')::timestamptz AS updatedat, r->>'hostname' AS hostname,
	(r->>'pageViewCount')::bigint AS pageviewcount, (r->>'isIdentified')::boolean AS isidentified FROM copy.raw WHERE object = 'visitors';
SELECT count(*), count(*) FILTER (WHERE isdeleted) FROM copy.prospects;

-- conditions: as many rows as there, and none that differs
CREATE FUNCTION compare(tab text, columns text, condition text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	n bigint;
	differ bigint;
BEGIN
	EXECUTE format('WITH a AS MATERIALIZED (SELECT %1$s FROM ae.%2$I WHERE %3$s), b AS (SELECT %1$s FROM copy.%2$I WHERE (%3$s)%4$s)
		SELECT (SELECT count(*) FROM a),
			(SELECT count(*) FROM ((TABLE a EXCEPT ALL TABLE b) UNION ALL (TABLE b EXCEPT ALL TABLE a)) d)',
		columns, tab, condition, CASE tab WHEN 'prospects' THEN ' AND NOT isdeleted' ELSE '' END) INTO n, differ;
	RETURN format('%s rows, %s differ', n, differ);
END $$;
SET timezone = 'America/New_York';
SELECT condition, compare('prospects', 'id, email, createdat, updatedat, isdeleted, firstname, score, campaign_name, seats__c, renewal__c', condition)
FROM (VALUES
	('true'),
	('id > 1010000'), ('id >= 1010000'), ('id < 1001000'), ('id <= 1001000'), ('id = 1010000'), ('id <> 1010000'),
	('1010000 < id'), ('id BETWEEN 1003000 AND 1004000'), ('id IN (1000000, 1000004, 1000005, 1014998)'),
	('id = ANY (ARRAY[]::bigint[])'), ('id = ANY (ARRAY[1000010, NULL]::int[])'), ('id NOT IN (1000000, 1000004)'),
	('id > -5'), ('id < 0'), ('id = 9223372036854775807'), ('id > 9223372036854775807'), ('id > 5::smallint'), ('id > NULL'), ('id > 1010000.5'),
	($$updatedat >= '2024-03-01'$$), ($$updatedat > '2024-03-01'$$), ($$updatedat < '2024-01-15'$$), ($$updatedat <= '2024-01-15'$$),
	($$updatedat = '2024-01-10 08:33:01+00'$$), ($$updatedat >= '2024-01-10 08:33:01+00' AND updatedat <= '2024-01-10 08:33:01+00'$$),
	($$updatedat > '2024-01-10 08:33:00.5+00' AND updatedat < '2024-01-10 08:33:01.5+00'$$),
	($$updatedat > '2024-01-10 08:33:01+00' AND updatedat < '2024-01-10 08:33:02+00'$$),
	($$updatedat >= '2024-01-10 08:33:01.000001+00' AND updatedat < '2024-01-11'$$), ($$updatedat <= '2024-01-10 08:33:00.999999+00'$$),
	($$updatedat >= date '2024-03-10'$$), ($$updatedat < timestamp '2024-03-10 02:30'$$), ($$updatedat > 'infinity'$$), ($$updatedat < 'infinity'$$),
	($$updatedat > '-infinity'$$), ($$updatedat <= '-infinity'$$), ($$updatedat > '1500-01-01'$$), ($$updatedat > '5000-01-01'$$), ($$updatedat < '1500-01-01'$$),
	($$updatedat BETWEEN '2024-02-01' AND '2024-02-03' AND id > 1005000 AND email LIKE '%7.com'$$),
	($$createdat >= '2024-01-15'$$), ($$updatedat <> '2024-01-10 08:33:01+00'$$), ($$updatedat >= '2024-03-10' OR id < 1000100$$),
	($$NOT (updatedat < '2024-03-10')$$), ($$updatedat IS NULL$$), ($$score > 990$$), ($$campaign_name IS NULL AND id < 1001000$$),
	($$firstname = 'Zoë 2 prospects'$$), ($$updatedat + interval '1 day' > '2024-03-14'$$), ($$id % 1000 = 0$$)
	) AS t(condition);
SELECT condition, compare('visitors', 'id, updatedat, hostname, pageviewcount, isidentified', condition)
FROM (VALUES
	('true'), ($$updatedat >= '2024-02-20'$$), ($$updatedat > '2024-02-20 10:00:00.5'$$), ($$updatedat < '2024-01-15'$$),
	($$updatedat BETWEEN '2024-02-01' AND '2024-02-10'$$), ($$updatedat >= '2024-02-20' AND id > 3000$$), ($$updatedat > 'infinity'$$),
	($$updatedat >= '2024-03-04 15:18:14-08'$$), ($$updatedat > '2024-03-04 15:18:14-08'$$), ($$updatedat >= '2030-01-01'$$), ($$isidentified AND pageviewcount > 900$$)) AS t(condition);
RESET timezone;

-- what is asked for
EXPLAIN (VERBOSE, COSTS OFF) SELECT email FROM ae.prospects WHERE id > 1001000 AND updatedat >= '2024-03-01' AND updatedat < '2024-03-10' AND email LIKE 'p%';
EXPLAIN (VERBOSE, COSTS OFF) SELECT id FROM ae.prospects WHERE createdat > '2024-03-01';
EXPLAIN (VERBOSE, COSTS OFF) SELECT id FROM ae.visitors WHERE updatedat >= '2024-03-01' AND updatedat < '2024-03-05';
EXPLAIN (COSTS OFF) SELECT id FROM ae.prospects WHERE id > 5 AND id < 5;
EXPLAIN (COSTS OFF) SELECT count(*) FROM ae.prospects;
EXPLAIN (COSTS OFF) SELECT p.id FROM ae.prospects p JOIN ae.list_memberships m ON m.listid = p.id;
EXPLAIN (COSTS OFF) SELECT p.id FROM ae.prospects p JOIN ae.campaigns c ON p.createdbyid = c.id;
EXPLAIN (COSTS OFF) SELECT createdbyid, count(*) FROM ae.prospects GROUP BY 1;
-- order
EXPLAIN (COSTS OFF) SELECT id FROM ae.prospects ORDER BY id DESC LIMIT 3;
SELECT id, updatedat FROM ae.prospects ORDER BY id DESC LIMIT 3;
EXPLAIN (COSTS OFF) SELECT id FROM ae.prospects ORDER BY updatedat LIMIT 3;
SELECT id, updatedat FROM ae.prospects ORDER BY updatedat LIMIT 3;
SELECT array_agg(id) = (SELECT array_agg(id ORDER BY updatedat DESC, id) FROM copy.prospects WHERE NOT isdeleted)
FROM (SELECT id FROM ae.prospects ORDER BY updatedat DESC, id) s;
EXPLAIN (COSTS OFF) SELECT id FROM ae.prospects ORDER BY createdat LIMIT 3;
EXPLAIN (COSTS OFF) SELECT id FROM ae.visitors ORDER BY updatedat DESC LIMIT 3;
SELECT id, updatedat FROM ae.visitors ORDER BY updatedat DESC, id LIMIT 3;
SELECT id, updatedat FROM copy.visitors ORDER BY updatedat DESC, id LIMIT 3;
EXPLAIN (COSTS OFF) SELECT id FROM ae.visitors ORDER BY updatedat DESC;
EXPLAIN (COSTS OFF) SELECT id FROM ae.visitors ORDER BY updatedat LIMIT 3;
EXPLAIN (COSTS OFF) SELECT id FROM ae.visitors WHERE updatedat >= '2024-03-01' ORDER BY id LIMIT 3;
EXPLAIN (COSTS OFF) SELECT id FROM ae.emails ORDER BY sentat LIMIT 3;
-- calls: pages of 1,000, no more rows than are wanted, the old ones of visitors not at all
\! $SANDBOXCTL mark
SELECT count(*) FROM ae.prospects;
\! $SANDBOXCTL calls
\! $SANDBOXCTL mark
SELECT id FROM ae.prospects LIMIT 2;
SELECT count(*) FROM ae.visitors WHERE updatedat >= '2024-02-28';
SELECT count(*) FROM ae.prospects WHERE updatedat > NULL;
\! $SANDBOXCTL calls
-- parameters
PREPARE since(timestamptz, bigint) AS SELECT count(*) FROM ae.prospects WHERE updatedat >= $1 AND id > $2;
SET plan_cache_mode = force_generic_plan;
EXPLAIN (COSTS OFF) EXECUTE since('2024-03-10', 5);
EXECUTE since('2024-03-10', 5);
EXECUTE since('2024-03-10', 1014000);
EXECUTE since(NULL, 5);
SELECT count(*) FROM copy.prospects WHERE updatedat >= '2024-03-10' AND id > 1014000 AND NOT isdeleted;
RESET plan_cache_mode;
SELECT t.id, p.email FROM (VALUES (1000000), (1000004), (7)) t(id) LEFT JOIN LATERAL (SELECT email FROM ae.prospects p WHERE p.id = t.id OFFSET 0) p ON true;
-- deleted rows
ALTER FOREIGN TABLE ae.prospects OPTIONS (ADD include_deleted 'true');
SELECT count(*), count(*) FILTER (WHERE isdeleted) FROM ae.prospects;
EXPLAIN (COSTS OFF) SELECT id FROM ae.prospects;
ALTER FOREIGN TABLE ae.prospects OPTIONS (DROP include_deleted);
-- other objects: each can be read as a whole
SELECT string_agg(relname || ' ' || (xpath('/row/n/text()', query_to_xml(format('SELECT count(t.*) AS n FROM ae.%I t', relname), false, true, '')))[1]::text,
	', ' ORDER BY relname COLLATE "C") FROM pg_class WHERE relnamespace = 'ae'::regnamespace;
SELECT id, recipientlistids, suppressionlistids FROM ae.engagement_studio_programs ORDER BY id LIMIT 2;
-- exports
ALTER FOREIGN TABLE ae.prospects OPTIONS (ADD transport 'bulk');
EXPLAIN (COSTS OFF) SELECT email FROM ae.prospects WHERE id > 1010000;
EXPLAIN (COSTS OFF) SELECT email FROM ae.prospects ORDER BY id LIMIT 1;
\! $SANDBOXCTL ae export-polls=1 export-rows=2000
\! $SANDBOXCTL mark
SELECT compare('prospects', 'id, email, createdat, updatedat, isdeleted, firstname, score, campaign_name, seats__c, renewal__c', 'true');
\! $SANDBOXCTL calls
SELECT compare('prospects', 'id, firstname', $$id > 1010000 AND updatedat >= '2024-03-01'$$);
SELECT id FROM ae.prospects ORDER BY id LIMIT 1;
ALTER FOREIGN TABLE ae.prospects OPTIONS (DROP transport);
-- what comes as ISO-8859-1
\! $SANDBOXCTL ae charset=ISO-8859-1
SELECT compare('prospects', 'id, firstname, campaign_name', 'id < 1002000');
\! $SANDBOXCTL ae charset=UTF-8
-- what cannot be had
SELECT count(*) FROM few.external_activities;
CREATE FOREIGN TABLE wrong (id bigint) SERVER ae OPTIONS (object 'account');
SELECT * FROM wrong;
CREATE FOREIGN TABLE wrong_field (id bigint, nonsense text) SERVER ae OPTIONS (object 'prospects');
SELECT * FROM wrong_field;
CREATE FOREIGN TABLE single (id bigint, interests__c text) SERVER ae OPTIONS (object 'prospects');
SELECT * FROM single;
CREATE FOREIGN TABLE prospects (id int, updatedat timestamptz, email text) SERVER ae;
SELECT id, email FROM prospects WHERE id < 1000010 AND updatedat > '2024-01-15';
ANALYZE ae.tags;
SELECT name, max, remaining IS NOT NULL AS told FROM ampsf.limits('ae');

SELECT step, status, regexp_replace(detail, '127.0.0.1:\d+|\d+ of (?=\d+ calls)', '...', 'g') AS detail FROM ampsf.doctor('ae') WHERE step IN ('login', 'business unit');
SELECT count(*) FROM ampsf.doctor('sf') WHERE step = 'business unit';

SET client_min_messages = notice;
SELECT ampsf.comment('ae');
SET client_min_messages = warning;

-- two modules and three roles in one session
CREATE ROLE engagement_reader;
CREATE ROLE engagement_other;
GRANT USAGE ON SCHEMA ae, crm TO engagement_reader, engagement_other;
GRANT SELECT ON ae.tags, crm.account TO engagement_reader, engagement_other;
CREATE USER MAPPING FOR engagement_reader SERVER ae OPTIONS (client_id 'sandbox', client_secret 'sandbox');
SELECT (SELECT count(*) FROM ae.tags) AS tags, (SELECT count(*) > 0 FROM crm.account) AS accounts;
SET ROLE engagement_reader;
SELECT count(*) FROM ae.tags;
-- no user mapping, in words that differ between versions
\set VERBOSITY sqlstate
SELECT count(*) FROM crm.account;
SELECT * FROM ampsf.request('ae', 'GET', '/api/v5/objects/tags/1000?fields=id');
SET ROLE engagement_other;
SELECT count(*) FROM ae.tags;
RESET ROLE;
\set VERBOSITY default
SELECT count(*) FROM ae.tags t, crm.account a WHERE a.name = t.name;
DROP OWNED BY engagement_reader, engagement_other;
DROP ROLE engagement_reader, engagement_other;

-- writes
INSERT INTO ae.prospects (email, firstname, score) VALUES ('ada@example.com', 'Ada', 5), ('grace@example.com', 'Ünal', NULL) RETURNING email, firstname, score, id > 1014998 AS new;
SELECT email, firstname, score FROM ae.prospects WHERE id > 1014998 ORDER BY id;
INSERT INTO ae.prospects (email) SELECT 'bulk' || i || '@example.com' FROM generate_series(1, 30) i;
UPDATE ae.prospects SET score = 7, favorite_color__c = 'red' WHERE id > 1014998 AND email LIKE 'bulk%';
SELECT count(*), sum(score) FROM ae.prospects WHERE id > 1014998;
DELETE FROM ae.prospects WHERE id > 1014998 AND email LIKE 'bulk%';
SELECT count(*) FROM ae.prospects WHERE id > 1014998;
-- refusals: before any call, and Account Engagement's own
INSERT INTO ae.campaigns (name) VALUES ('x');
UPDATE ae.dynamic_contents SET name = 'x';
INSERT INTO ae.prospects (email, createdat) VALUES ('x@example.com', now());
INSERT INTO ae.prospects (email) VALUES ('x@example.com') RETURNING updatedat;
ALTER FOREIGN TABLE ae.prospects OPTIONS (ADD batch_size '1');
INSERT INTO ae.prospects (email) VALUES ('x@example.com'), ('nonsense'), ('y@example.com');
ALTER FOREIGN TABLE ae.prospects OPTIONS (DROP batch_size);
INSERT INTO ae.prospects (firstname) VALUES ('x');
DELETE FROM ae.tags WHERE id = 1000;
SELECT count(*) FROM ae.prospects WHERE id > 1014998;
-- without content
\! $SANDBOXCTL ae writes=no-content
INSERT INTO ae.lists (name) VALUES ('quiet') RETURNING id > 1000 AS has_id, name;
UPDATE ae.lists SET name = 'quieter' WHERE name = 'quiet';
SELECT name FROM ae.lists WHERE name LIKE 'quiet%';
\! $SANDBOXCTL ae writes=silent
INSERT INTO ae.lists (name) VALUES ('silent') RETURNING id, name;
\! $SANDBOXCTL ae writes=content
-- upserts
ALTER FOREIGN TABLE ae.prospects OPTIONS (ADD upsert_key 'email');
INSERT INTO ae.prospects (email, firstname) VALUES ('ADA@example.com', 'Augusta'), ('new@example.com', 'New');
SELECT lower(email), firstname FROM ae.prospects WHERE id > 1014998 AND firstname IN ('Augusta', 'New') ORDER BY id;
ALTER FOREIGN TABLE ae.prospects OPTIONS (DROP upsert_key);
ALTER FOREIGN TABLE ae.lists OPTIONS (ADD upsert_key 'name');
INSERT INTO ae.lists (name) VALUES ('x');
ALTER FOREIGN TABLE ae.lists OPTIONS (DROP upsert_key, ADD write_at 'commit');
INSERT INTO ae.lists (name) VALUES ('x');
ALTER FOREIGN TABLE ae.lists OPTIONS (DROP write_at, ADD all_or_none 'true');
-- From version 16 on COPY hands over several lines at once.
\set SHOW_CONTEXT never
COPY ae.lists (name) FROM stdin;
x
\.
\set SHOW_CONTEXT errors
ALTER FOREIGN TABLE ae.lists OPTIONS (DROP all_or_none, ADD truncatable 'true');
TRUNCATE ae.lists;
COPY ae.lists (name) FROM stdin;
copied
\.
EXPLAIN (VERBOSE, COSTS OFF) DELETE FROM ae.lists WHERE name = 'copied';
DELETE FROM ae.lists WHERE name = 'copied';
COPY ae.campaigns (name) FROM stdin;
x
\.
-- any call
SELECT status, body FROM ampsf.request('ae', 'GET', '/api/v5/objects/tags/1000?fields=id,name');
SELECT status, body FROM ampsf.request('ae', 'GET', '/api/v5/objects/tags/1?fields=id,name');
SELECT status, body->>'name' AS name FROM ampsf.request('ae', 'GET', 'sobjects/Account/describe');
SELECT status FROM ampsf.request('sf', 'GET', '/api/v5/objects/tags/1?fields=id,name');
INSERT INTO few.external_activities (email, extension, type, value) VALUES ('ada@example.com', 'Shop', 'Order', '7');
BEGIN READ ONLY;
INSERT INTO ae.tags (name) VALUES ('x');
ROLLBACK;
-- the options of a server
CREATE SERVER wrong FOREIGN DATA WRAPPER ampsf_fdw OPTIONS (workspace 'acme', module 'account_engagement');
CREATE SERVER wrong FOREIGN DATA WRAPPER ampsf_fdw OPTIONS (workspace 'acme', module 'account_engagement', business_unit_id '0Uv');
ALTER SERVER ae OPTIONS (SET business_unit_id '0Uv000000000000AAA');
SELECT count(*) FROM ae.tags;
SELECT step, status, detail, advice FROM ampsf.doctor('ae') WHERE step = 'business unit';
ALTER SERVER ae OPTIONS (SET business_unit_id '0Uv5e0000000001CAA', SET engagement_url 'https://pardot.example.com');
SET ampsf.allowed_hosts = '*.salesforce.com, pi.pardot.com';
SELECT count(*) FROM ae.tags;
RESET ampsf.allowed_hosts;
