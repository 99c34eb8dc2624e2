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
-- what the org could not count is no equality
\! $SANDBOXCTL fault 'path=*/query*;count=0;do=status;status=400;code=QUERY_TIMEOUT;message=too long' >/dev/null
SELECT * FROM ampsf.verify('l');
\! $SANDBOXCTL nofaults >/dev/null
SELECT (ampsf.span_counts('lead', 'SystemModstamp', 'part', '2025-03-01 12:20:00+00', '2025-03-01 12:21:00+00')).rows;
SELECT (ampsf.span_counts('lead', 'SystemModstamp', 'part', '2025-03-01 12:20:10+00', '2025-03-01 12:20:12+00')).rows;
SELECT (ampsf.span_counts('lead', 'SystemModstamp', 'hour', '2025-03-01 00:00+00', '2025-03-02 00:00+00')).rows;
SELECT ampsf.span_counts('lead', 'Nothing__c', 'part', '2025-03-01 12:20:00+00', '2025-03-01 12:21:00+00');
