-- Results by jobs of Bulk API 2.0: the same values as by pages, for every type, and when which is chosen.
\set VERBOSITY terse
SET client_min_messages = warning;
SET timezone = 'UTC';

-- Every column of every object, both ways.
CREATE FUNCTION transports(t text, OUT rows bigint, OUT same boolean) LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE format('ALTER FOREIGN TABLE crm.%I OPTIONS (ADD transport ''bulk'')', t);
	EXECUTE format('CREATE TEMP TABLE by_bulk AS SELECT * FROM crm.%I', t);
	EXECUTE format('ALTER FOREIGN TABLE crm.%I OPTIONS (SET transport ''rest'')', t);
	EXECUTE format('CREATE TEMP TABLE by_rest AS SELECT * FROM crm.%I', t);
	SELECT count(*) INTO rows FROM by_rest;
	SELECT NOT EXISTS ((SELECT b::text FROM by_bulk b EXCEPT ALL SELECT r::text FROM by_rest r)
		UNION ALL (SELECT r::text FROM by_rest r EXCEPT ALL SELECT b::text FROM by_bulk b)) INTO same;
	DROP TABLE by_bulk, by_rest;
	EXECUTE format('ALTER FOREIGN TABLE crm.%I OPTIONS (DROP transport)', t);
END $$;
\! $SANDBOXCTL mark
SELECT t, (transports(t)).* FROM unnest('{account,contact,opportunity,lead,task,case,user,invoice__c,campaign,product2}'::text[]) t;
\! $SANDBOXCTL calls | sed 's/7[0-9a-zA-Z]\{17\}/JOB/; s/?.*//; s/ [0-9]*$//' | grep jobs | sort -u

-- Auto: by the number of rows that the first page tells.
ALTER SERVER sf OPTIONS (ADD bulk_threshold '100');
\! $SANDBOXCTL mark
SELECT count(lower(name)) FROM crm.account;
SELECT count(lower(name)) FROM crm.contact;
SELECT count(lower(name)) FROM crm.contact WHERE email IS NOT NULL;
SELECT c.name FROM crm.contact c JOIN crm.account a ON a.id = c.accountid WHERE lower(a.name) = 'acme' ORDER BY c.id;
-- never where the statement is not for jobs, or few rows are wanted
SELECT count(*) FROM crm.contact;
SELECT lastname FROM crm.contact ORDER BY createddate LIMIT 1;
SELECT count(*) FROM (SELECT lastname FROM crm.contact LIMIT 2) q;
\! $SANDBOXCTL calls | sed 's/7[0-9a-zA-Z]\{17\}/JOB/; s/?.*//' | grep -v 'PATCH\|DELETE\|token' | uniq
ALTER SERVER sf OPTIONS (SET bulk_threshold '50000');

-- Rescans read the result once more, or another one for another value; a cursor that is left ends the job.
ALTER FOREIGN TABLE crm.contact OPTIONS (ADD transport 'bulk');
SET enable_hashjoin = off; SET enable_mergejoin = off; SET enable_material = off; SET ampsf.enable_key_lookup = off;
SELECT v, (SELECT count(lower(c.name)) FROM crm.contact c WHERE c.email IS NOT NULL AND c.hasoptedoutofemail = v) FROM (VALUES (true), (false), (false), (NULL)) x (v);
SELECT count(*), count(DISTINCT c.id) FROM (VALUES (1), (2), (3)) v (n) LEFT JOIN LATERAL (SELECT c.id FROM crm.contact c WHERE length(c.name) > v.n) c ON true;
RESET enable_hashjoin; RESET enable_mergejoin; RESET enable_material; RESET ampsf.enable_key_lookup;
BEGIN;
DECLARE c CURSOR FOR SELECT id FROM crm.contact;
MOVE 3 IN c;
SELECT relation, phase, rows > 0 AS rows, rows_expected FROM ampsf.progress;
CLOSE c;
COMMIT;
\! $SANDBOXCTL jobs
-- an empty result, one that cannot be asked for, a wrong value
SELECT count(lower(name)) FROM crm.contact WHERE email = 'nobody@nowhere.invalid';
SELECT count(lower(name)) FROM crm.contact WHERE id = 'no Id';
CREATE FOREIGN TABLE wrong (id text OPTIONS (field 'Id'), name int OPTIONS (field 'Name', type 'string')) SERVER sf OPTIONS (object 'Account', transport 'bulk');
\set VERBOSITY sqlstate
SELECT sum(name) FROM wrong;
\set VERBOSITY terse
CREATE FOREIGN TABLE unknown (id text OPTIONS (field 'Id'), x text OPTIONS (field 'No_Such__c')) SERVER sf OPTIONS (object 'Account', transport 'bulk');
\set VERBOSITY default
SELECT x FROM unknown;
\set VERBOSITY terse

-- An object that Bulk does not know: auto reads it by pages, and does not try again; bulk says so.
\! $SANDBOXCTL bulk refuse=Lead > /dev/null
ALTER SERVER sf OPTIONS (SET bulk_threshold '10');
\! $SANDBOXCTL mark
SELECT count(lower(name)) FROM crm.lead;
SELECT count(lower(company)) FROM crm.lead;
\! $SANDBOXCTL calls | sed 's/?.*//' | uniq -c | sed 's/^ *//'
ALTER FOREIGN TABLE crm.lead OPTIONS (ADD transport 'bulk');
SELECT ampsf.disconnect('sf') > 0 AS forgotten;
\set VERBOSITY default
SELECT count(lower(name)) FROM crm.lead;
\set VERBOSITY terse
\! $SANDBOXCTL bulk refuse= > /dev/null

-- Jobs that a killed session left: ours are known, and only those that are old enough.
\! $SANDBOXCTL get '/services/data/v62.0/jobs/query' | sed 's/.*"records"/records/'
SELECT * FROM ampsf.jobs_cleanup('sf');
