--
-- Functions for users.
--
SELECT ampsf.version() ~ '^ampsf_fdw 1\.0, PostgreSQL [0-9.]+.*, libcurl/[0-9.]+ ' AS ok;
SELECT count(*) > 20 AS ok, count(DISTINCT context) AS contexts FROM ampsf.options();
SELECT name FROM ampsf.options() WHERE secret ORDER BY name;

-- limits: what is left goes down with each call
SELECT name, max > 0 AS max, used = max - remaining AS used FROM ampsf.limits('sf') WHERE name = 'DailyApiRequests';
SELECT (SELECT used FROM ampsf.limits('sf') WHERE name = 'DailyApiRequests') <
	   (SELECT used FROM ampsf.limits('sf') WHERE name = 'DailyApiRequests') AS counted;
SELECT ampsf.limits('nowhere');

-- query: records as they are
SELECT r - 'attributes' AS r FROM ampsf.query('sf', $$SELECT COUNT(Id) n, MIN(Amount__c) FROM Invoice__c WHERE Name = 'nobody'$$) r;
SELECT r->'attributes'->>'type' AS type, r->>'Name' IS NOT NULL AS name, r->'Owner'->>'Username' AS owner
  FROM ampsf.query('sf', 'SELECT Name, Owner.Username FROM Account ORDER BY Id LIMIT 1') r;
SELECT jsonb_typeof(r->'Contacts'->'records') AS kind
  FROM ampsf.query('sf', 'SELECT Id, (SELECT Id FROM Contacts) FROM Account WHERE Id IN (SELECT AccountId FROM Contact) LIMIT 1') r;
-- all of them, over two pages
INSERT INTO crm.contact (lastname) SELECT 'Page ' || i FROM generate_series(1, 100) i;
ALTER SERVER sf OPTIONS (ADD page_size '200');
SELECT (SELECT count(DISTINCT r->>'Id') FROM ampsf.query('sf', 'SELECT Id FROM Contact') r) =
	   (SELECT (r->>'totalSize')::int FROM ampsf.query('sf', 'SELECT COUNT() FROM Contact') r) AS complete,
	   (SELECT (r->>'totalSize')::int FROM ampsf.query('sf', 'SELECT COUNT() FROM Contact') r) BETWEEN 201 AND 400 AS two_pages;
ALTER SERVER sf OPTIONS (DROP page_size);
-- deleted rows too
SELECT (SELECT count(*) FROM ampsf.query('sf', 'SELECT Id FROM Account', include_deleted => true)) >
	   (SELECT count(*) FROM ampsf.query('sf', 'SELECT Id FROM Account')) AS more,
	   (SELECT count(*) FROM ampsf.query('sf', 'SELECT Id FROM Account WHERE IsDeleted = true', true)) > 0 AS deleted;
-- a count is the answer's own number, even none
SELECT * FROM ampsf.query('sf', E' select\tcount ( ) FROM Account WHERE Name = ''nobody''');
SELECT * FROM ampsf.query('sf', 'SELECT Id FROM Account WHERE Name = ''nobody''');
-- text beyond ASCII and JSON's own signs come through
SELECT r->>'Name' = convert_from(convert_to(r->>'Name', 'UTF8'), 'UTF8') AS same, count(*) > 0 AS any
  FROM ampsf.query('sf', 'SELECT Name FROM Account') r WHERE r->>'Name' ~ '[^ -~]' OR r->>'Name' ~ '["\\]' GROUP BY 1;
-- what the org refuses is an error
SELECT * FROM ampsf.query('sf', 'SELECT Nonsense FROM Account');
SELECT * FROM ampsf.query('sf', 'DELETE FROM Account');
SELECT * FROM ampsf.query('sf', '  ');
SELECT * FROM ampsf.query('nowhere', 'SELECT Id FROM Account');
SELECT * FROM ampsf.query('sf', NULL);

-- disconnect: forgets logins, and the next use makes one
SELECT ampsf.disconnect('sf');
SELECT ampsf.disconnect('sf');
SELECT count(*) FROM ampsf.query('sf', 'SELECT Id FROM Account LIMIT 1');
SELECT ampsf.disconnect();
SELECT ampsf.disconnect('nowhere');

-- doctor: all is well
CREATE FUNCTION examine(server name) RETURNS TABLE (step text, status text, detail text, advice text)
LANGUAGE sql AS $$
	SELECT d.step, d.status, regexp_replace(regexp_replace(d.detail, '127\.0\.0\.1:\d+', 'HOST', 'g'), '\d+ of \d+|^\d+ objects', 'N'),
		   d.advice
	  FROM ampsf.doctor(server) d
$$;
SELECT * FROM examine('sf');
-- no mapping
DROP USER MAPPING FOR postgres SERVER sf;
SELECT step, status, detail LIKE 'user mapping not found for %' AS no_mapping, advice FROM examine('sf') WHERE status <> 'skipped';
-- a wrong secret: everything up to the login is well
CREATE USER MAPPING FOR postgres SERVER sf OPTIONS (client_id 'sandbox', client_secret 'not the secret');
SELECT step, status, advice IS NOT NULL AS advice FROM examine('sf');
SELECT bool_or(d::text LIKE '%not the secret%') AS leaks FROM ampsf.doctor('sf') d;
-- a version that the org does not have
ALTER SERVER sf OPTIONS (ADD api_version '999.0');
SELECT * FROM examine('sf') WHERE step = 'API version';
ALTER SERVER sf OPTIONS (DROP api_version);
-- nobody listens there
ALTER SERVER sf OPTIONS (SET instance_url 'http://127.0.0.1:1');
SELECT step, status, advice FROM examine('sf');
-- a host that no token may be sent to
ALTER SERVER sf OPTIONS (SET instance_url 'https://salesforce.example.com');
SELECT step, status, detail, advice FROM examine('sf') WHERE status <> 'skipped';
SELECT * FROM ampsf.doctor('nowhere');
-- a server of somebody else
CREATE FOREIGN DATA WRAPPER other;
CREATE SERVER theirs FOREIGN DATA WRAPPER other;
SELECT * FROM ampsf.doctor('theirs');

-- who may: nobody but those who are let
SET ROLE guest;
SELECT ampsf.version() IS NOT NULL AS ok;
SELECT * FROM ampsf.doctor('sf');
SELECT * FROM ampsf.limits('sf');
SELECT * FROM ampsf.query('sf', 'SELECT Id FROM Account');
SELECT ampsf.comment('crm');
SELECT ampsf.disconnect('sf'); -- EXECUTE, but no USAGE
RESET ROLE;
GRANT EXECUTE ON FUNCTION ampsf.query(name, text, boolean) TO guest;
SET ROLE guest;
SELECT * FROM ampsf.query('sf', 'SELECT Id FROM Account');
RESET ROLE;

-- everything is explained
SELECT p.oid::regprocedure FROM pg_proc p JOIN pg_depend d ON d.objid = p.oid AND d.classid = 'pg_proc'::regclass
 WHERE d.refobjid = (SELECT oid FROM pg_extension WHERE extname = 'ampsf_fdw') AND d.deptype = 'e' AND obj_description(p.oid, 'pg_proc') IS NULL;
