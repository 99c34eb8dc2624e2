-- Is a mirror of many rows right? By counts: months, then days, hours and parts of those that differ, and few Ids.
\set SHOW_CONTEXT never
\! $SANDBOXCTL reset big:30000 >/dev/null
CREATE SCHEMA v;
SET search_path = v;
CREATE FOREIGN TABLE person (id text OPTIONS (field 'Id'), lastname text OPTIONS (field 'LastName'), createddate timestamptz OPTIONS (field 'CreatedDate'),
	systemmodstamp timestamptz OPTIONS (field 'SystemModstamp')) SERVER sf OPTIONS (object 'Contact');
SELECT ampsf.mirror('person', 'p');
CALL ampsf.sync('p');
SELECT count(*) FROM p;
SELECT count(DISTINCT date_trunc('month', createddate, 'UTC')) AS months, max(n) FROM (SELECT createddate, count(*) OVER (PARTITION BY date_trunc('hour', createddate, 'UTC')) AS n FROM p) x;
\! $SANDBOXCTL mark
SELECT * FROM ampsf.verify('p');
\! $SANDBOXCTL soql
DELETE FROM p WHERE id = (SELECT id FROM p ORDER BY createddate, id OFFSET 12345 LIMIT 1);
\! $SANDBOXCTL mark
SELECT problem FROM ampsf.verify('p');
\! $SANDBOXCTL calls | grep -v oauth2
\! $SANDBOXCTL soql
-- it is read again
\! $SANDBOXCTL mark
SELECT problem FROM ampsf.verify('p', repair => true) ORDER BY 1;
\! $SANDBOXCTL calls | grep -v oauth2 | uniq -c
SELECT * FROM ampsf.verify('p');
-- where most of a month differs it is read as a whole
DELETE FROM p WHERE hashtext(id) % 3 = 0;
\! $SANDBOXCTL mark
SELECT problem, count(*) > 5000 AS thousands FROM ampsf.verify('p', repair => true) GROUP BY 1;
\! $SANDBOXCTL soql | sed -E "s/IN \(.*\)/IN (...)/" | sort | uniq -c
SELECT * FROM ampsf.verify('p');
SELECT count(*) FROM (SELECT * FROM p EXCEPT SELECT * FROM person) d;

-- a comparison that finds much leaves it to steps of its own: whiles of which much is wrong are read as a whole
UPDATE ampsf.mirror_definition SET chunk_rows = 5000, compare_asked = true WHERE target = 'p'::regclass;
DELETE FROM p WHERE id IN (SELECT id FROM p ORDER BY systemmodstamp, id LIMIT 11000) OR hashtext(id) % 37 = 0;
SELECT count(*) > 11000 AS many FROM person WHERE id NOT IN (SELECT id FROM p);
\! $SANDBOXCTL fault 'match=SELECT Id, LastName;skip=1;count=1;do=status;status=400;code=INVALID_TYPE;message=not now' >/dev/null
\! $SANDBOXCTL mark
CALL ampsf.sync('p');
\! $SANDBOXCTL soql | sed -E "s/>= 20[^ ]*Z$/>= .../"
SELECT low, high, cardinality(ids) > 100 AS ids FROM ampsf.mirror_chunk ORDER BY number;
-- and what was read of it stays
\! $SANDBOXCTL mark
CALL ampsf.sync('p');
\! $SANDBOXCTL soql | sed -E "s/IN \(.*\)/IN (...)/; s/>= 20[^ ]*Z/>= .../g" | uniq -c
SELECT chunks, compared, interruptions, state FROM ampsf.mirror_run WHERE target = 'p'::regclass ORDER BY id DESC OFFSET 1 LIMIT 1;
SELECT (SELECT count(*) FROM person) - count(*) AS missing, (SELECT d.rows FROM ampsf.mirror_definition d WHERE d.target = 'p'::regclass) - count(*) AS miscounted FROM p;
SELECT count(*) FROM ampsf.mirror_chunk;

-- columns that are read again look the rows of their chunk up, and versions those of the history: nobody reads all of a large table for each chunk
SELECT ampsf.history('p');
ANALYZE person;
ANALYZE p;
ANALYZE p_history;
UPDATE ampsf.mirror_definition SET shrink = 1 WHERE target = 'p'::regclass;
UPDATE p SET lastname = 'changed' WHERE createddate >= '2024-01-05' AND createddate < '2024-01-08';
BEGIN;
CREATE TEMPORARY TABLE scans AS SELECT relname, seq_scan, idx_scan FROM pg_stat_xact_user_tables WHERE relname IN ('p', 'p_history');
SELECT updated > 4000 AS updated, spans FROM ampsf.mirror_definition d,
	ampsf.mirror_read_columns(d, '{lastname}', '2026-01-01', '{2024-01-05, 2024-01-08, infinity}') WHERE d.target = 'p'::regclass;
SELECT relname, x.seq_scan - s.seq_scan AS read_as_a_whole, x.idx_scan - s.idx_scan > 4000 AS looked_up FROM pg_stat_xact_user_tables x JOIN scans s USING (relname) ORDER BY 1;
COMMIT;
SELECT count(*) FROM (SELECT * FROM p EXCEPT SELECT * FROM person) d;
SELECT count(*) > 4000 AS ended, count(*) = (SELECT count(*) FROM p WHERE createddate >= '2024-01-05' AND createddate < '2024-01-08') AS each FROM p_history WHERE NOT upper_inf(valid);

-- thousands of rows that were made within an hour, or even a second
CREATE FOREIGN TABLE lead (id text OPTIONS (field 'Id'), lastname text OPTIONS (field 'LastName'), company text OPTIONS (field 'Company'), createddate timestamptz OPTIONS (field 'CreatedDate', createable 'false'),
	systemmodstamp timestamptz OPTIONS (field 'SystemModstamp', createable 'false')) SERVER sf OPTIONS (object 'Lead');
\! $SANDBOXCTL now 2025-03-01T12:00:00Z >/dev/null
INSERT INTO lead (lastname, company) SELECT 'a' || i, 'load' FROM generate_series(1, 2500) i;
\! $SANDBOXCTL now 2025-03-01T12:20:10Z >/dev/null
INSERT INTO lead (lastname, company) SELECT 'b' || i, 'load' FROM generate_series(1, 5000) i;
\! $SANDBOXCTL now 2025-03-01T12:20:50Z >/dev/null
INSERT INTO lead (lastname, company) SELECT 'c' || i, 'load' FROM generate_series(1, 10) i;
\! $SANDBOXCTL now off >/dev/null
SELECT ampsf.mirror('lead', 'l', deletes => 'mark');
CALL ampsf.sync('l');
SELECT * FROM ampsf.verify('l');
DELETE FROM l WHERE id = (SELECT id FROM l WHERE lastname = 'b77');
UPDATE l SET deleted_at = now() WHERE lastname = 'c7';
\! $SANDBOXCTL mark
SELECT problem, count(*) FROM ampsf.verify('l', repair => true) GROUP BY 1;
\! $SANDBOXCTL soql | sed -E "s/IN \(.*\)/IN (...)/"
\! $SANDBOXCTL calls | grep -v -e oauth2 -e '^ ' | sort | uniq -c
SELECT * FROM ampsf.verify('l');
-- what the org cannot group is counted by fifths of all the time, and by fifths of those that it cannot count either
UPDATE ampsf.mirror_definition SET chunk_rows = 1000 WHERE target = 'l'::regclass;
\! $SANDBOXCTL fault 'path=*/query*;match=GROUP BY;count=0;do=status;status=400;code=QUERY_TIMEOUT;message=too long' >/dev/null
\! $SANDBOXCTL mark
SELECT * FROM ampsf.verify('l');
\! $SANDBOXCTL soql | sed -E 's/.*CreatedDate >= ([^ ]*) AND/\1/; s/CALENDAR.*GROUP/... GROUP/'
DELETE FROM l WHERE id = (SELECT id FROM l WHERE lastname = 'b77');
\! $SANDBOXCTL mark
SELECT problem, count(*) FROM ampsf.verify('l') GROUP BY 1;
\! $SANDBOXCTL soql | sed -E 's/.*CreatedDate >= ([^ ]*) AND/\1/; s/CALENDAR.*GROUP/... GROUP/'
\! $SANDBOXCTL fault 'match=CreatedDate < 2025-03-01T12:20:51Z;count=0;do=refuse-part;status=400;code=OPERATION_TOO_LARGE;message=too many' >/dev/null
\! $SANDBOXCTL mark
SELECT problem, count(*) FROM ampsf.verify('l') GROUP BY 1;
\! $SANDBOXCTL soql | sed -E 's/.*CreatedDate >= ([^ ]*) AND/\1/; s/CALENDAR.*GROUP/... GROUP/'
-- an org that counts nothing at all is asked for Ids
\! $SANDBOXCTL fault 'match=COUNT(;count=0;do=refuse-part;status=400;code=QUERY_TIMEOUT;message=too long' >/dev/null
SELECT problem, count(*) FROM ampsf.verify('l') GROUP BY 1;
\! $SANDBOXCTL nofaults >/dev/null
\! $SANDBOXCTL fault 'match=COUNT;count=0;do=status;status=400;code=QUERY_TIMEOUT;message=too long' >/dev/null
\! $SANDBOXCTL mark
SELECT problem, count(*) FROM ampsf.verify('l', repair => true) GROUP BY 1;
\! $SANDBOXCTL soql | grep -v COUNT | sed -E "s/IN \(.*\)/IN (...)/"
SELECT * FROM ampsf.verify('l');
-- what it refuses for another reason is no equality
\! $SANDBOXCTL nofaults >/dev/null
\! $SANDBOXCTL fault 'path=*/query*;count=0;do=status;status=400;code=INVALID_FIELD;message=no such thing' >/dev/null
SELECT * FROM ampsf.verify('l');
\! $SANDBOXCTL nofaults >/dev/null
SELECT (ampsf.span_counts('lead', 'SystemModstamp', 'part', '2025-03-01 12:20:00+00', '2025-03-01 12:21:00+00')).rows;
SELECT (ampsf.span_counts('lead', 'SystemModstamp', 'part', '2025-03-01 12:20:10+00', '2025-03-01 12:20:12+00')).rows;
SELECT (ampsf.span_counts('lead', 'SystemModstamp', 'hour', '2025-03-01 00:00+00', '2025-03-02 00:00+00')).rows;
SELECT ampsf.span_counts('lead', 'Nothing__c', 'part', '2025-03-01 12:20:00+00', '2025-03-01 12:21:00+00');
