-- Quota: what a statement may spend, what is left for others, and who spent what on what.
\set SHOW_CONTEXT never
\! $SANDBOXCTL reset demo >/dev/null
-- what was spent since the last look; the first calls log in and are counted as they are
CREATE FUNCTION spent() RETURNS TABLE (server name, "user" name, object text, kind text, calls bigint, retries bigint, sent boolean, rows bigint)
LANGUAGE plpgsql SET client_min_messages = warning AS $$
BEGIN
	CREATE TEMP TABLE IF NOT EXISTS before (LIKE ampsf.usage);
	CREATE TEMP TABLE now ON COMMIT DROP AS SELECT * FROM ampsf.usage u WHERE u.scope = 'backend';
	RETURN QUERY SELECT n.server, n."user", n.object, n.kind, n.calls - coalesce(b.calls, 0), n.retries - coalesce(b.retries, 0),
			n.bytes_out > coalesce(b.bytes_out, 0), n.rows - coalesce(b.rows, 0)
		FROM now n LEFT JOIN before b ON (b.server, b."user", b.kind) = (n.server, n."user", n.kind) AND b.object IS NOT DISTINCT FROM n.object
		WHERE n.calls > coalesce(b.calls, 0)
		ORDER BY n."user" COLLATE "C", n.object COLLATE "C" NULLS LAST, n.kind COLLATE "C";
	TRUNCATE before;
	INSERT INTO before SELECT * FROM now;
END $$;

-- reads, writes and the rest
SELECT count(lower(lastname)) FROM crm.contact WHERE lastname IS NOT NULL;
INSERT INTO crm.contact (lastname, department) SELECT 'Usage ' || i, 'usage' FROM generate_series(1, 250) i;
UPDATE crm.contact SET title = 'u' WHERE department = 'usage';
DELETE FROM crm.contact WHERE department = 'usage';
SELECT count(*) FROM ampsf.query('sf', 'SELECT Id, (SELECT Id FROM Contacts) FROM Account WHERE Name != ''(from x)'' LIMIT 3');
SELECT count(*) > 10 AS limits FROM ampsf.limits('sf');
SELECT * FROM spent();
-- a repeated call is a call
\! $SANDBOXCTL fault 'path=*/query;count=1;do=status;status=503'
SELECT count(lower(lastname)) FROM crm.contact WHERE lastname = 'nobody';
\! $SANDBOXCTL nofaults
SELECT * FROM spent();
-- by the user who runs the statement; each sees their own
CREATE ROLE usage_reader;
GRANT USAGE ON SCHEMA crm TO usage_reader;
GRANT SELECT ON crm.contact TO usage_reader;
CREATE USER MAPPING FOR usage_reader SERVER sf OPTIONS (client_id 'sandbox', client_secret 'sandbox');
SET ROLE usage_reader;
SELECT count(lower(lastname)) FROM crm.contact WHERE lastname = 'nobody';
SELECT server, "user", object, kind, calls, rows FROM ampsf.usage;
RESET ROLE;
SELECT * FROM spent();
SELECT DISTINCT scope, since < now() AS began FROM ampsf.usage;

-- what a write will cost
CREATE FUNCTION estimate(statement text) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
	line text;
BEGIN
	FOR line IN EXECUTE 'EXPLAIN (VERBOSE) ' || statement LOOP
		IF line ~ 'Operation|Estimated|Read Back' THEN RETURN NEXT btrim(line); END IF;
	END LOOP;
END $$;
SELECT estimate($$INSERT INTO crm.contact (lastname) SELECT 'x' FROM generate_series(1, 1000)$$);
SELECT estimate($$INSERT INTO crm.contact (lastname) SELECT 'x' FROM generate_series(1, 250000)$$);
SELECT estimate($$INSERT INTO crm.contact (lastname) SELECT 'x' FROM generate_series(1, 10) RETURNING email$$);
SELECT estimate($$DELETE FROM crm.contact WHERE id IN ('0035g00000000001', '0035g00000000002')$$);
ALTER FOREIGN TABLE crm.contact OPTIONS (ADD write_at 'commit');
SELECT estimate($$INSERT INTO crm.contact (lastname) SELECT 'x' FROM generate_series(1, 1000)$$);
ALTER FOREIGN TABLE crm.contact OPTIONS (DROP write_at);
DROP FUNCTION estimate;

-- a limit for a statement
SET ampsf.statement_call_limit = 1;
SELECT count(lower(lastname)) FROM crm.contact WHERE lastname = 'nobody';
SELECT count(lower(lastname)) FROM crm.contact WHERE lastname = 'nobody';
\! $SANDBOXCTL mark
SELECT (SELECT count(lower(lastname)) FROM crm.contact WHERE lastname = 'nobody'),
	(SELECT count(lower(name)) FROM crm.account WHERE name = 'nobody');
\! $SANDBOXCTL calls
-- what runs inside a statement counts with it
DO $$
BEGIN
	PERFORM lower(lastname) FROM crm.contact WHERE lastname = 'nobody';
	PERFORM lower(lastname) FROM crm.contact WHERE lastname = 'nobody';
END $$;
-- a write says what it has done before
SET ampsf.statement_call_limit = 2;
\set SHOW_CONTEXT errors
INSERT INTO crm.contact (lastname, department) SELECT 'Limit ' || i, 'limit' FROM generate_series(1, 450) i;
\set SHOW_CONTEXT never
RESET ampsf.statement_call_limit;
SELECT count(*) FROM crm.contact WHERE department = 'limit';
SET ampsf.statement_call_limit = -1;
SHOW ampsf.statement_call_limit;

-- the org's reserve
ALTER SERVER sf OPTIONS (ADD quota_reserve 'ten');
ALTER SERVER sf OPTIONS (ADD quota_reserve '101%');
ALTER SERVER sf OPTIONS (ADD quota_reserve '%');
ALTER SERVER sf OPTIONS (ADD quota_reserve '-1');
ALTER SERVER sf OPTIONS (ADD quota_reserve '10%');
SELECT count(*) FROM crm.contact WHERE lastname = 'nobody';
\! $SANDBOXCTL reset demo
\! $SANDBOXCTL api-limit 10
SELECT ampsf.disconnect('sf');
-- of ten calls nine are there to be made
DO $$
DECLARE
	n int := 0;
	state text;
	message text;
	detail text;
	hint text;
BEGIN
	FOR i IN 1 .. 20 LOOP
		PERFORM lower(lastname) FROM crm.contact WHERE lastname = 'nobody';
		n := i;
	END LOOP;
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
	RAISE NOTICE '% statements, then % %', n, state, message;
	RAISE NOTICE '%', detail;
	RAISE NOTICE '%', hint;
END $$;
\! $SANDBOXCTL mark
INSERT INTO crm.contact (lastname) VALUES ('nobody');
\! $SANDBOXCTL calls
-- what is left can be asked for; a new session does not know it before its first call
SELECT remaining FROM ampsf.limits('sf') WHERE name = 'DailyApiRequests';
ALTER SERVER sf OPTIONS (SET quota_reserve '0');
\! $SANDBOXCTL api-limit 100000
SELECT count(*) FROM crm.contact WHERE lastname = 'nobody';
ALTER SERVER sf OPTIONS (SET quota_reserve '99990');
SELECT count(*) FROM crm.contact WHERE lastname = 'nobody';
SELECT count(*) FROM crm.contact WHERE lastname = 'nobody';
ALTER SERVER sf OPTIONS (DROP quota_reserve);
SELECT count(*) FROM crm.contact WHERE lastname = 'nobody';

DROP FUNCTION spent;
DROP USER MAPPING FOR usage_reader SERVER sf;
DROP OWNED BY usage_reader;
DROP ROLE usage_reader;
