-- Formula fields change without the row's time changing: a mirror reads them again on a schedule of their own.
\set SHOW_CONTEXT never
\! $SANDBOXCTL reset demo >/dev/null
CREATE SCHEMA f;
SET search_path = f;
\getenv srcdir PG_ABS_SRCDIR
\set include :srcdir '/sql/include/differences.sql'
\i :include
CREATE VIEW last_run AS SELECT state, chunks, inserted, updated, deleted, formulas, calls, interruptions
	FROM ampsf.mirror_run ORDER BY id DESC LIMIT 1;
CREATE FOREIGN TABLE invoice (id text OPTIONS (field 'Id'), amount numeric OPTIONS (field 'Amount__c'),
	gross numeric OPTIONS (field 'Gross__c', calculated 'true'), caption text OPTIONS (field 'Caption__c', calculated 'true'),
	customer text OPTIONS (field 'Account__r.Name'), status text OPTIONS (field 'Status__c'),
	createddate timestamptz OPTIONS (field 'CreatedDate'), systemmodstamp timestamptz OPTIONS (field 'SystemModstamp'))
	SERVER sf OPTIONS (object 'Invoice__c');

-- which columns: formulas, fields of parents, and what the owner names
SELECT ampsf.mirror('invoice', 'bills', formula_every => '1 hour', formula_columns => '{status}', chunk_rows => 20);
SELECT ampsf.mirror_formulas(d) FROM ampsf.mirror_definition d;
SELECT ampsf.mirror('crm.invoice__c', 'plain');
SELECT ampsf.mirror_formulas(d) FROM ampsf.mirror_definition d WHERE target = 'plain'::regclass;
CALL ampsf.sync('bills');
SELECT differences('bills', 'invoice'), (SELECT count(*) > 40 FROM bills) AS several_chunks;
-- the first run has read them all
SELECT formulas_at = watermark AS as_of_first_run FROM ampsf.mirror_status WHERE target = 'bills'::regclass;

-- a parent's name changes, and no invoice tells
UPDATE crm.account SET name = name || ' (renamed)' WHERE id IN (SELECT account__c FROM crm.invoice__c);
CALL ampsf.sync('bills');
SELECT differences('bills', 'invoice') > 0 AS stale, formulas FROM last_run;
-- until it is time
UPDATE ampsf.mirror_definition SET formulas_at = formulas_at - interval '1 hour' WHERE target = 'bills'::regclass;
CREATE TABLE versions AS SELECT id, xmin::text AS version FROM bills;
\! $SANDBOXCTL mark
CALL ampsf.sync('bills');
\! $SANDBOXCTL soql | grep -v SystemModstamp | sed -E 's/[0-9]{4}-[0-9-]+T[0-9:]+Z/TIME/g' | uniq -c
SELECT state, chunks > 3 AS chunks, inserted, updated, deleted, formulas, interruptions FROM last_run;
SELECT differences('bills', 'invoice');
SELECT formulas_at = watermark AS refreshed FROM ampsf.mirror_status WHERE target = 'bills'::regclass;
-- rows that are the same are not written
SELECT count(*) FILTER (WHERE b.xmin::text <> v.version) = (SELECT formulas FROM last_run) AS only_changed, count(*) FILTER (WHERE b.customer IS NULL AND b.xmin::text <> v.version) AS needless
	FROM bills b JOIN versions v USING (id);
CALL ampsf.sync('bills');
SELECT formulas FROM last_run;

-- a field that was named is refreshed like a formula; one that was not is not
SELECT min(id) AS one FROM bills WHERE status <> 'Overdue' \gset
\setenv ONE :one
\! $SANDBOXCTL set $ONE Status__c=Overdue Amount__c=123 >/dev/null
UPDATE ampsf.mirror_definition SET formulas_at = formulas_at - interval '1 hour' WHERE target = 'bills'::regclass;
CALL ampsf.sync('bills');
SELECT formulas FROM last_run;
SELECT count(*) FILTER (WHERE b.status <> i.status) AS status, count(*) FILTER (WHERE b.amount IS DISTINCT FROM i.amount) AS amount FROM bills b JOIN invoice i USING (id);
UPDATE bills b SET amount = i.amount FROM invoice i WHERE i.id = b.id AND i.amount IS DISTINCT FROM b.amount;

-- a refresh that fails goes on with the chunk that failed, in smaller ones
UPDATE bills SET caption = 'stale';
UPDATE ampsf.mirror_definition SET formulas_at = formulas_at - interval '1 hour' WHERE target = 'bills'::regclass;
\! $SANDBOXCTL fault 'path=*/query*;skip=4;count=0;do=status;status=400;code=QUERY_TIMEOUT;message=too long' >/dev/null
CALL ampsf.sync('bills');
SELECT stage, cardinality(formula_spans) > 2 AS more, formula_spans[1] > '-infinity' AS some_done, (SELECT count(*) FROM bills WHERE caption = 'stale') BETWEEN 1 AND (SELECT count(*) - 1 FROM bills) AS some_stale
	FROM ampsf.mirror_definition WHERE target = 'bills'::regclass;
SELECT phase, failures FROM ampsf.mirror_status WHERE target = 'bills'::regclass;
\! $SANDBOXCTL nofaults >/dev/null
CALL ampsf.sync('bills');
SELECT differences('bills', 'invoice');
SELECT state, interruptions, formulas = (SELECT count(*) FROM bills) AS all_counted FROM ampsf.mirror_run WHERE target = 'bills'::regclass ORDER BY id DESC OFFSET 1 LIMIT 1;

-- without times everything is read each time, formulas too
CREATE FOREIGN TABLE timeless (id text OPTIONS (field 'Id'), gross numeric OPTIONS (field 'Gross__c', calculated 'true')) SERVER sf OPTIONS (object 'Invoice__c');
SELECT ampsf.mirror('timeless', 'copy', formula_every => '1 second');
CALL ampsf.sync('copy');
UPDATE copy SET gross = -1;
SELECT pg_sleep(1.1);
CALL ampsf.sync('copy');
SELECT updated > 0 AS updated, formulas FROM last_run;

-- a column that came later
ALTER FOREIGN TABLE invoice ADD COLUMN large boolean OPTIONS (field 'Large__c', calculated 'true');
CALL ampsf.sync('bills');
SELECT ampsf.mirror_formulas(d) FROM ampsf.mirror_definition d WHERE target = 'bills'::regclass;

-- deletions as marks
SELECT ampsf.mirror('invoice', 'marked', formula_every => '1 hour', deletes => 'mark');
CALL ampsf.sync('marked');
UPDATE marked SET deleted_at = '2024-01-01', gross = -1 WHERE id = (SELECT min(id) FROM marked);
UPDATE ampsf.mirror_definition SET formulas_at = formulas_at - interval '1 hour' WHERE target = 'marked'::regclass;
CALL ampsf.sync('marked');
SELECT count(deleted_at) AS still_marked, count(*) FILTER (WHERE gross = -1) AS stale FROM marked;

SELECT ampsf.mirror('invoice', 'wrong', formula_columns => '{nothing}');
SELECT ampsf.mirror('invoice', 'wrong', formula_columns => '{id}');
SELECT ampsf.mirror('invoice', 'wrong', formula_every => '0');

-- a mirror that runs seldom runs when its formula fields are due
SELECT ampsf.mirror('invoice', 'seldom', every => '1 day', formula_every => '1 hour');
CALL ampsf.sync('seldom');
SELECT next_run - now() BETWEEN '59 minutes' AND '1 hour' AS within_the_hour FROM ampsf.mirror_status WHERE target = 'seldom'::regclass;
UPDATE ampsf.mirror_definition SET formulas_at = formulas_at - interval '40 minutes' WHERE target = 'seldom'::regclass;
CALL ampsf.sync('seldom');
SELECT next_run - now() BETWEEN '19 minutes' AND '20 minutes' AS what_is_left FROM ampsf.mirror_status WHERE target = 'seldom'::regclass;
UPDATE ampsf.mirror_definition SET formula_every = '2 days' WHERE target = 'seldom'::regclass;
CALL ampsf.sync('seldom');
SELECT next_run - now() BETWEEN '23:59' AND '1 day' AS in_a_day FROM ampsf.mirror_status WHERE target = 'seldom'::regclass;
