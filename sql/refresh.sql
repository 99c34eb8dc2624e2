-- Materialized views that are refreshed only when something has changed.
\set SHOW_CONTEXT never
\! $SANDBOXCTL reset demo >/dev/null
SET client_min_messages = error;
CREATE SCHEMA r;
SET search_path = r, public;
CREATE TABLE plain (a int);
CREATE TABLE parted (id text, lastname text) PARTITION BY LIST (id);
CREATE FOREIGN TABLE parted_lead PARTITION OF parted DEFAULT SERVER sf OPTIONS (object 'Lead');
CREATE VIEW inner_view AS SELECT * FROM crm.account;
CREATE VIEW outer_view AS SELECT id, name FROM inner_view;
CREATE MATERIALIZED VIEW people AS
	SELECT c.id, c.lastname, a.name FROM crm.contact c LEFT JOIN outer_view a ON a.id = c.accountid WITH NO DATA;
CREATE MATERIALIZED VIEW wide AS
	SELECT 'a' AS kind, count(*) FROM plain UNION ALL SELECT 'b', count(*) FROM parted UNION ALL SELECT 'c', count(*) FROM crm.contact;

-- what a view reads: through views, and the partitions of a table
SELECT source, stamp, askable FROM ampsf.matview_sources('people') ORDER BY source::text;
SELECT source, askable FROM ampsf.matview_sources('wide') ORDER BY source::text;

-- the first time, and when nothing has happened: one call for all objects
SELECT ampsf.refresh_if_changed('people');
SELECT (SELECT count(*) FROM people) = (SELECT count(*) FROM crm.contact) AS filled;
\! $SANDBOXCTL mark
SELECT ampsf.refresh_if_changed('people');
\! $SANDBOXCTL calls
\! $SANDBOXCTL soql | sed -E 's/[0-9]{4}-[0-9-]+T[0-9:]+Z/TIME/g'
SELECT source, since < server_time - interval '9 minutes' AS looks_back, fingerprint IS NOT NULL AS fingerprint, reason
	FROM ampsf.matview_state ORDER BY source::text;

-- what is done to a row is seen; each time once.
CREATE FUNCTION told(view regclass) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	IF NOT ampsf.refresh_if_changed(view) THEN
		RETURN 'no';
	END IF;
	RETURN max(reason) FROM ampsf.matview_state WHERE matview = view;
END $$;
-- Each time a minute later, for the org and here.
INSERT INTO crm.contact (lastname) VALUES ('Curie');
\! $SANDBOXCTL org skew=60 >/dev/null
UPDATE ampsf.matview_state SET asked = asked - interval '1 minute';
SELECT told('people');
SELECT count(*) FROM people WHERE lastname = 'Curie';
SELECT ampsf.refresh_if_changed('people');
UPDATE crm.contact SET lastname = 'Meitner' WHERE lastname = 'Curie';
\! $SANDBOXCTL org skew=120 >/dev/null
UPDATE ampsf.matview_state SET asked = asked - interval '1 minute';
SELECT told('people');
SELECT count(*) FROM people WHERE lastname = 'Meitner';
SELECT ampsf.refresh_if_changed('people');
-- a row that came and one that went
DELETE FROM crm.contact WHERE lastname = 'Meitner';
INSERT INTO crm.contact (lastname) VALUES ('Noether');
\! $SANDBOXCTL org skew=180 >/dev/null
UPDATE ampsf.matview_state SET asked = asked - interval '1 minute';
SELECT told('people');
SELECT string_agg(lastname, ' ') FROM people WHERE lastname IN ('Meitner', 'Noether');
SELECT ampsf.refresh_if_changed('people');
-- a row that was not changed lately: only the log of deletions tells that it is gone
CREATE MATERIALIZED VIEW leads AS SELECT id FROM crm.lead;
SELECT ampsf.refresh_if_changed('leads');
SELECT id AS gone FROM leads ORDER BY id LIMIT 1 \gset
DELETE FROM crm.lead WHERE id = :'gone';
\! $SANDBOXCTL org skew=240 >/dev/null
UPDATE ampsf.matview_state SET asked = asked - interval '1 minute';
SELECT told('leads');
SELECT count(*) FROM leads WHERE id = :'gone';
SELECT ampsf.refresh_if_changed('leads');
\setenv GONE :gone
\! $SANDBOXCTL undelete $GONE >/dev/null
\! $SANDBOXCTL org skew=300 >/dev/null
UPDATE ampsf.matview_state SET asked = asked - interval '1 minute';
SELECT told('leads');
SELECT count(*) FROM leads WHERE id = :'gone';
SELECT ampsf.refresh_if_changed('leads');
-- a row that may change once more in the second in which it was looked at
UPDATE crm.lead SET lastname = 'first' WHERE id = :'gone';
SELECT told('leads');
UPDATE crm.lead SET lastname = 'second' WHERE id = :'gone';
SELECT told('leads');
\! $SANDBOXCTL org skew=360 >/dev/null
UPDATE ampsf.matview_state SET asked = asked - interval '1 minute';
SELECT told('leads');
SELECT ampsf.refresh_if_changed('leads');

-- while it is read, where there is a key for that
CREATE FUNCTION refreshed_how(view regclass) RETURNS text LANGUAGE plpgsql AS $$
DECLARE file oid := pg_relation_filenode(view);
BEGIN
	RETURN CASE WHEN NOT ampsf.refresh_if_changed(view, at_least_every => '0 s') THEN 'not at all'
		WHEN pg_relation_filenode(view) = file THEN 'concurrently' ELSE 'anew' END;
END $$;
SELECT refreshed_how('people');
CREATE UNIQUE INDEX ON people (lower(id));
CREATE UNIQUE INDEX ON people (id) WHERE id > '0';
SELECT refreshed_how('people');
CREATE UNIQUE INDEX ON people (id);
SELECT refreshed_how('people');
SELECT DISTINCT reason FROM ampsf.matview_state WHERE matview = 'people'::regclass;

-- tables here count as well, mirrors and partitions among them
SELECT ampsf.refresh_if_changed('wide');
SELECT ampsf.refresh_if_changed('wide');
INSERT INTO plain VALUES (1);
SELECT told('wide');
SELECT count FROM wide WHERE kind = 'a';
UPDATE plain SET a = 2;
SELECT told('wide');
TRUNCATE plain;
SELECT told('wide');
SELECT count FROM wide WHERE kind = 'a';
SELECT ampsf.refresh_if_changed('wide');
INSERT INTO crm.lead (lastname, company) VALUES ('Planck', 'x');
\! $SANDBOXCTL org skew=420 >/dev/null
UPDATE ampsf.matview_state SET asked = asked - interval '1 minute';
SELECT told('wide');
CREATE TABLE parted_one PARTITION OF parted FOR VALUES IN ('1');
SELECT told('wide');
SELECT ampsf.mirror('crm.user', 'mirrored');
CALL ampsf.sync('mirrored');
CREATE MATERIALIZED VIEW of_mirror AS SELECT count(*) FROM mirrored;
SELECT ampsf.refresh_if_changed('of_mirror');
CALL ampsf.sync('mirrored');
\! $SANDBOXCTL mark
SELECT ampsf.refresh_if_changed('of_mirror');
\! $SANDBOXCTL calls
DELETE FROM mirrored WHERE id = (SELECT min(id) FROM mirrored);
SELECT told('of_mirror');

-- an object without a log of deletions is counted; more than five objects are two calls
CREATE MATERIALIZED VIEW histories AS SELECT count(*) FROM crm.accounthistory;
SELECT ampsf.refresh_if_changed('histories');
\! $SANDBOXCTL mark
SELECT ampsf.refresh_if_changed('histories');
\! $SANDBOXCTL calls
\! $SANDBOXCTL soql | sed -E 's/[0-9]{4}-[0-9-]+T[0-9:]+Z/TIME/g'
DROP MATERIALIZED VIEW histories;
CREATE MATERIALIZED VIEW six AS SELECT count(*) FROM crm.account, crm.contact, crm.lead, crm.opportunity, crm.task, crm.event WHERE false;
SELECT ampsf.refresh_if_changed('six');
\! $SANDBOXCTL mark
SELECT ampsf.refresh_if_changed('six');
\! $SANDBOXCTL calls

-- what cannot be told is taken for a change
CREATE EXTENSION file_fdw;
CREATE SERVER files FOREIGN DATA WRAPPER file_fdw;
CREATE FOREIGN TABLE nothing (a text) SERVER files OPTIONS (filename '/dev/null');
CREATE MATERIALIZED VIEW others AS SELECT count(*) FROM nothing;
SELECT ampsf.refresh_if_changed('others');
SELECT told('others');
CREATE FOREIGN TABLE unstamped (id text) SERVER sf OPTIONS (object 'AccountHistory');
CREATE MATERIALIZED VIEW histories AS SELECT count(*) FROM unstamped;
SELECT ampsf.refresh_if_changed('histories');
SELECT told('histories');
\! $SANDBOXCTL fault 'path=*/composite*;count=0;do=status;status=400;code=UNKNOWN_EXCEPTION;message=no' >/dev/null
SELECT ampsf.refresh_if_changed('people');
\! $SANDBOXCTL nofaults >/dev/null

-- a refresh that fails leaves things as they were
CREATE TABLE divisor AS SELECT 1 AS d;
CREATE MATERIALIZED VIEW fragile AS SELECT a.id, 1 / d AS x FROM crm.account a, divisor;
SELECT ampsf.refresh_if_changed('fragile');
UPDATE divisor SET d = 0;
SELECT ampsf.refresh_if_changed('fragile');
SELECT count(DISTINCT reason), min(reason) FROM ampsf.matview_state WHERE matview = 'fragile'::regclass;
UPDATE divisor SET d = 2;
SELECT told('fragile');

-- who may, and what it is
SELECT ampsf.refresh_if_changed('plain');
SET ROLE guest;
SELECT ampsf.refresh_if_changed('r.people');
SELECT count(*) FROM ampsf.matview_state;
RESET ROLE;
DROP MATERIALIZED VIEW fragile;
SELECT ampsf.refresh_if_changed('of_mirror');
SELECT count(*) FROM ampsf.matview_state WHERE matview::text ~ '^\d|fragile';
SELECT ampsf.unmirror('mirrored');
\! $SANDBOXCTL org skew=0 >/dev/null
DROP SCHEMA r CASCADE;
