-- Partitions, inheritance children and branches of UNION ALL that are foreign tables: pruning, asynchronous
-- append, what is done per partition, and rows that move.
\getenv url SANDBOX_URL
CREATE SERVER sf2 FOREIGN DATA WRAPPER ampsf_fdw OPTIONS (instance_url :'url');
CREATE USER MAPPING FOR CURRENT_USER SERVER sf2 OPTIONS (client_id 'sandbox', client_secret 'sandbox');
CREATE FUNCTION explain_analyze(query text) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE line text; BEGIN
	FOR line IN EXECUTE 'EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF, BUFFERS OFF) ' || query LOOP
		RETURN NEXT regexp_replace(line, 'rows=(\d+)\.00', 'rows=\1');
	END LOOP;
END $$;

-- the first three characters of an Id tell the object: records of several objects in one table
CREATE TABLE record (id text COLLATE "C", name text, ownerid text, createddate timestamptz) PARTITION BY RANGE (id);
CREATE FOREIGN TABLE r_account PARTITION OF record FOR VALUES FROM ('001') TO ('002') SERVER sf OPTIONS (object 'Account', rows '94');
CREATE FOREIGN TABLE r_contact PARTITION OF record FOR VALUES FROM ('003') TO ('004') SERVER sf2 OPTIONS (object 'Contact', rows '170');
CREATE FOREIGN TABLE r_opportunity PARTITION OF record FOR VALUES FROM ('006') TO ('007') SERVER sf OPTIONS (object 'Opportunity', rows '116');
CREATE TABLE r_local PARTITION OF record DEFAULT;
INSERT INTO record VALUES ('local1', 'Local', NULL, '2020-01-01'), ('local2', 'Acme', NULL, NULL);
CREATE TABLE copy AS SELECT tableoid::regclass AS part, * FROM record;
SELECT part, count(*) FROM copy GROUP BY part ORDER BY part;

-- asynchronous where several are asked; the rows are those of one after the other
EXPLAIN (COSTS OFF) SELECT * FROM record;
SELECT (SELECT count(*) FROM record) AS n,
	(SELECT count(*) FROM (SELECT tableoid::regclass, * FROM record EXCEPT ALL SELECT * FROM copy) t) AS extra,
	(SELECT count(*) FROM (SELECT * FROM copy EXCEPT ALL SELECT tableoid::regclass, * FROM record) t) AS missing;
SET enable_async_append = off;
EXPLAIN (COSTS OFF) SELECT * FROM record;
RESET enable_async_append;
ALTER SERVER sf OPTIONS (ADD async_capable 'false');
ALTER FOREIGN TABLE r_opportunity OPTIONS (ADD async_capable 'true');
EXPLAIN (COSTS OFF) SELECT * FROM record;
ALTER SERVER sf OPTIONS (DROP async_capable);
ALTER FOREIGN TABLE r_opportunity OPTIONS (DROP async_capable);
SELECT explain_analyze($$ SELECT * FROM record WHERE name LIKE 'A%' AND length(name) > 10 $$);
-- a condition that one of them cannot satisfy, and one that none can
SELECT tableoid::regclass, count(*) FROM record WHERE ownerid = '0055g000000001AAAA' OR name = 'Acme' GROUP BY 1 ORDER BY 1;
\! $SANDBOXCTL mark
SELECT count(*) FROM record WHERE createddate < '-infinity';
\! $SANDBOXCTL soql | sort

-- pruned when planned, when begun, and with each outer row
EXPLAIN (COSTS OFF) SELECT name FROM record WHERE id BETWEEN '003' AND '005';
SELECT id AS account FROM copy WHERE part = 'r_account'::regclass ORDER BY id LIMIT 1 \gset
SELECT id AS contact FROM copy WHERE part = 'r_contact'::regclass ORDER BY id LIMIT 1 \gset
SET plan_cache_mode = force_generic_plan;
PREPARE one(text) AS SELECT tableoid::regclass, name FROM record WHERE id = $1;
SELECT explain_analyze($$ EXECUTE one('001') $$);
EXECUTE one(:'account');
EXECUTE one(:'contact');
EXECUTE one('local2');
EXECUTE one('zzz');
EXECUTE one(NULL);
PREPARE several(text[]) AS SELECT tableoid::regclass, name FROM record WHERE id = ANY ($1) ORDER BY 1;
EXECUTE several(ARRAY[:'account', :'contact', 'local1']);
RESET plan_cache_mode;
SELECT tableoid::regclass, name FROM record WHERE id = (SELECT min(id) FROM copy WHERE part = 'r_contact'::regclass);
CREATE TABLE wanted (n int, id text COLLATE "C");
INSERT INTO wanted VALUES (1, :'account'), (2, :'contact'), (3, 'local1'), (4, :'account'), (5, NULL), (6, 'none');
SET enable_hashjoin = off; SET enable_mergejoin = off; SET enable_material = off;
SELECT w.n, r.part, r.name FROM wanted w LEFT JOIN LATERAL (SELECT tableoid::regclass AS part, name FROM record WHERE id = w.id OFFSET 0) r ON true ORDER BY w.n;
-- the same with a parameter that prunes nothing: each scan asks anew, all together
SELECT w.n, r.* FROM (VALUES (1, '2024-04-10'::timestamptz), (2, '2024-06-01'), (3, NULL), (4, '2024-06-01')) w (n, t),
	LATERAL (SELECT count(*), min(id) FROM (SELECT id FROM record WHERE createddate < w.t OFFSET 0) t) r ORDER BY w.n;
SELECT w.n, (SELECT count(*) FROM copy WHERE createddate < w.t) AS count FROM (VALUES (1, '2024-04-10'::timestamptz), (2, '2024-06-01'), (3, NULL), (4, '2024-06-01')) w (n, t) ORDER BY 1;
-- and a rescan that is left before its end, with answers under way
SELECT w.n, r.id IS NOT NULL AS found FROM generate_series(1, 5) w (n), LATERAL (SELECT id FROM record WHERE length(name) > w.n LIMIT 1) r ORDER BY 1;
SELECT n, EXISTS (SELECT FROM record WHERE length(name) = n) AS here, EXISTS (SELECT FROM copy WHERE length(name) = n) AS there FROM generate_series(1, 12, 3) n;
RESET enable_hashjoin; RESET enable_mergejoin; RESET enable_material;

-- order, and LIMIT
SELECT count(*) FROM (SELECT id, row_number() OVER () AS n FROM (SELECT id FROM record ORDER BY id) t) a
	JOIN (SELECT id, row_number() OVER () AS n FROM (SELECT id FROM copy ORDER BY id) t) b USING (id, n);
SELECT name FROM record ORDER BY createddate, id LIMIT 4;
SELECT name FROM copy ORDER BY createddate, id LIMIT 4;
SELECT name FROM record ORDER BY createddate DESC NULLS LAST, id OFFSET 5 LIMIT 2;
SELECT name FROM copy ORDER BY createddate DESC NULLS LAST, id OFFSET 5 LIMIT 2;
-- each is asked for the first rows only
\! $SANDBOXCTL mark
SELECT count(*) FROM (SELECT name FROM record ORDER BY createddate DESC, id LIMIT 4) t;
\! $SANDBOXCTL soql | sort
EXPLAIN (COSTS OFF) SELECT id, createddate FROM record WHERE createddate < '2025-01-01' ORDER BY createddate DESC NULLS LAST LIMIT 3;
SELECT tableoid::regclass, createddate FROM record WHERE createddate < '2025-01-01' ORDER BY createddate DESC NULLS LAST LIMIT 3;
SELECT part, createddate FROM copy WHERE createddate < '2025-01-01' ORDER BY createddate DESC NULLS LAST LIMIT 3;
EXPLAIN (COSTS OFF) SELECT id FROM record WHERE createddate < '2025-01-01' OFFSET 10 LIMIT 5;
SELECT count(*), count(DISTINCT id) FROM (SELECT id FROM record WHERE createddate < '2025-01-01' OFFSET 10 LIMIT 5) t;
SELECT count(*), count(DISTINCT id) FROM (SELECT id FROM record ORDER BY createddate OFFSET 375 LIMIT 50) t;
SELECT (SELECT array_agg(createddate) FROM (SELECT createddate FROM record ORDER BY createddate NULLS FIRST OFFSET 1 LIMIT 200) t) = (SELECT array_agg(createddate) FROM (SELECT createddate FROM copy ORDER BY createddate NULLS FIRST OFFSET 1 LIMIT 200) t) AS same;
-- not where a row may still be dropped, or is one of a group, or the order is not Salesforce's
EXPLAIN (COSTS OFF) SELECT id FROM record WHERE length(name) > 3 LIMIT 5;
EXPLAIN (COSTS OFF) SELECT id FROM record ORDER BY name LIMIT 5;
EXPLAIN (COSTS OFF) SELECT DISTINCT ownerid FROM record LIMIT 5;
EXPLAIN (COSTS OFF) SELECT id, generate_series(1, 2) FROM record LIMIT 5;
EXPLAIN (COSTS OFF) SELECT id FROM record ORDER BY createddate FETCH FIRST 5 ROWS WITH TIES;
PREPARE bounded(int) AS SELECT count(*) FROM (SELECT id FROM record LIMIT $1) t;
EXECUTE bounded(3); EXECUTE bounded(300); EXECUTE bounded(NULL);
SELECT count(*) FROM (SELECT * FROM record LIMIT 100) t;
SELECT count(*) FROM (SELECT * FROM record OFFSET 300 LIMIT 100) t;
SELECT name FROM record WHERE id >= '006' AND id < '007' ORDER BY id LIMIT 1;
SELECT max(createddate) = (SELECT max(createddate) FROM copy) AS newest, count(*), count(ownerid) FROM record;

-- per partition
SET enable_partitionwise_aggregate = on; SET enable_partitionwise_join = on;
EXPLAIN (COSTS OFF) SELECT count(*), max(createddate) FROM record;
SELECT count(*), max(createddate) = (SELECT max(createddate) FROM copy) AS newest FROM record;
SELECT tableoid::regclass, count(*) FROM record GROUP BY tableoid ORDER BY 1;
SELECT count(*), sum(n) FROM (SELECT id, count(*) AS n FROM record GROUP BY id) t;
SELECT count(*), count(DISTINCT ownerid) FROM record;
EXPLAIN (COSTS OFF) SELECT a.id, b.name FROM record a JOIN record b USING (id);
SELECT count(*), count(*) FILTER (WHERE a.name = b.name) FROM record a JOIN record b USING (id);
SELECT count(*) FROM record a LEFT JOIN record b ON a.id = b.id AND b.name LIKE 'A%';
SELECT count(*) FROM copy a LEFT JOIN copy b ON a.id = b.id AND b.name LIKE 'A%';
SELECT count(*) FROM record a WHERE EXISTS (SELECT FROM record b WHERE b.id = a.id AND length(b.name) > 15);
SELECT count(*) FROM copy WHERE length(name) > 15;
SELECT count(*) FROM record a WHERE NOT EXISTS (SELECT FROM record b WHERE b.id = a.id AND length(b.name) > 15);
SELECT id FROM record ORDER BY id LIMIT 1;
SELECT id FROM copy ORDER BY id LIMIT 1;
-- a partition and the partition that its lookup points to are one statement
CREATE TABLE acc (id text COLLATE "C", name text, annualrevenue numeric) PARTITION BY RANGE (id);
CREATE FOREIGN TABLE acc1 PARTITION OF acc FOR VALUES FROM ('001') TO ('002') SERVER sf OPTIONS (object 'Account');
CREATE TABLE acc2 PARTITION OF acc FOR VALUES FROM ('009') TO ('00A');
CREATE TABLE con (accountid text COLLATE "C", lastname text, id text) PARTITION BY RANGE (accountid);
CREATE FOREIGN TABLE con1 PARTITION OF con FOR VALUES FROM ('001') TO ('002') SERVER sf OPTIONS (object 'Contact');
ALTER FOREIGN TABLE con1 ALTER accountid OPTIONS (ADD field 'AccountId', ADD type 'reference', ADD reference_to 'Account');
CREATE TABLE con2 PARTITION OF con FOR VALUES FROM ('009') TO ('00A');
INSERT INTO acc VALUES ('0099', 'Here', 2000);
INSERT INTO con VALUES ('0099', 'There', 'x');
CREATE TABLE copy_acc AS SELECT * FROM acc;
CREATE TABLE copy_con AS SELECT * FROM con;
EXPLAIN (COSTS OFF) SELECT c.lastname, a.name FROM con c JOIN acc a ON a.id = c.accountid WHERE a.annualrevenue > 1000;
SELECT count(*), count(a.name), count(c.lastname) FROM con c JOIN acc a ON a.id = c.accountid WHERE a.annualrevenue > 1000;
SELECT count(*), count(a.name), count(c.lastname) FROM copy_con c JOIN copy_acc a ON a.id = c.accountid WHERE a.annualrevenue > 1000;
SELECT count(*), count(a.name), count(a.*) FROM con c LEFT JOIN acc a ON a.id = c.accountid AND a.annualrevenue > 1000;
SELECT count(*), count(a.name), count(a.*) FROM copy_con c LEFT JOIN copy_acc a ON a.id = c.accountid AND a.annualrevenue > 1000;
SELECT count(*) FROM con c WHERE EXISTS (SELECT FROM acc a WHERE a.id = c.accountid AND annualrevenue > 1000);
SELECT count(*) FROM acc a WHERE NOT EXISTS (SELECT FROM con c WHERE a.id = c.accountid);
SELECT count(*) FROM copy_acc a WHERE NOT EXISTS (SELECT FROM copy_con c WHERE a.id = c.accountid);
SELECT count(*), max(a.annualrevenue), count(DISTINCT a.id) FROM con c JOIN acc a ON a.id = c.accountid;
SELECT count(*), max(a.annualrevenue), count(DISTINCT a.id) FROM copy_con c JOIN copy_acc a ON a.id = c.accountid;
SELECT sum(n), count(*), max(m) FROM (SELECT count(*) AS n, max(annualrevenue) AS m, id FROM acc GROUP BY id) t;
SELECT c.tableoid::regclass, a.tableoid::regclass, count(*) FROM con c JOIN acc a ON a.id = c.accountid GROUP BY 1, 2 ORDER BY 1;
RESET enable_partitionwise_aggregate; RESET enable_partitionwise_join;

-- UNION ALL; a LIMIT of a branch is sent with it
EXPLAIN (COSTS OFF) SELECT id, 'account' AS kind FROM crm.account WHERE annualrevenue > 0 UNION ALL SELECT id, 'lead' FROM crm.lead UNION ALL SELECT 'x', 'nothing';
SELECT kind, count(*) FROM (SELECT id, 'account' AS kind FROM crm.account WHERE annualrevenue > 0 UNION ALL SELECT id, 'lead' FROM crm.lead UNION ALL SELECT 'x', 'nothing') t GROUP BY kind ORDER BY kind;
SELECT count(*) FROM crm.account WHERE annualrevenue > 0;
SELECT kind, count(*) FROM ((SELECT id, 'account' AS kind FROM crm.account LIMIT 3) UNION ALL (SELECT id, 'lead' FROM crm.lead LIMIT 2)) t GROUP BY kind ORDER BY kind;
EXPLAIN (COSTS OFF) SELECT count(*) FROM crm.account UNION ALL SELECT count(*) FROM crm.lead;
SELECT count(*) FROM crm.account UNION ALL SELECT count(*) FROM crm.lead ORDER BY 1;
-- two Appends that wait within each other
SELECT count(*) FROM (SELECT id, ownerid FROM crm.account UNION ALL SELECT id, ownerid FROM crm.lead) a
	JOIN (SELECT id FROM crm.lead UNION ALL SELECT id FROM crm.account) b ON a.id = b.id;
-- a cursor back and forth over one
BEGIN;
DECLARE c SCROLL CURSOR FOR SELECT id FROM crm.account UNION ALL SELECT id FROM crm.lead;
MOVE FORWARD ALL IN c;
MOVE BACKWARD ALL IN c;
MOVE FORWARD 100 IN c;
COMMIT;

-- inheritance
CREATE TABLE person (id text, lastname text, email text);
CREATE FOREIGN TABLE p_contact () INHERITS (person) SERVER sf OPTIONS (object 'Contact');
CREATE FOREIGN TABLE p_lead (company text) INHERITS (person) SERVER sf2 OPTIONS (object 'Lead');
INSERT INTO person VALUES ('here', 'Local', 'a@example.com');
EXPLAIN (COSTS OFF) SELECT * FROM person WHERE email LIKE 'a%';
SELECT tableoid::regclass, count(*), count(email) FROM person GROUP BY 1 ORDER BY 1;
SELECT tableoid::regclass, count(p.*), min(p::text) LIKE '(%)' AS whole_row FROM person p WHERE lastname IN ('Local', (SELECT lastname FROM crm.lead ORDER BY id LIMIT 1)) GROUP BY 1 ORDER BY 1;
UPDATE person SET email = 'b@example.com' WHERE email = 'a@example.com' AND tableoid = 'person'::regclass;
\! $SANDBOXCTL mark
UPDATE person SET lastname = 'Moved' WHERE lastname = (SELECT lastname FROM crm.lead WHERE id = (SELECT min(id) FROM crm.lead));
\! $SANDBOXCTL calls | sort
SELECT tableoid::regclass, count(*) FROM person WHERE lastname = 'Moved' GROUP BY 1 ORDER BY 1;
DELETE FROM person WHERE lastname IN ('Moved', 'Local') AND tableoid <> 'p_contact'::regclass RETURNING tableoid::regclass, lastname;
-- the parent may be a foreign table itself
CREATE FOREIGN TABLE f_lead (id text, lastname text) SERVER sf OPTIONS (object 'Lead');
CREATE FOREIGN TABLE f_contact () INHERITS (f_lead) SERVER sf2 OPTIONS (object 'Contact');
SELECT tableoid::regclass, count(*) FROM f_lead GROUP BY 1 ORDER BY 1;
SELECT (SELECT count(*) FROM f_lead) AS all, (SELECT count(*) FROM ONLY f_lead) AS only, (SELECT min(id) FROM f_lead) = (SELECT min(id) FROM crm.contact) AS least;
SELECT count(*) FROM (SELECT id FROM f_lead ORDER BY id LIMIT 100) t;

-- rows go to the partition that their key says, and stay where they are
CREATE TABLE thing (region text, lastname text, company text, id text) PARTITION BY LIST (region);
CREATE FOREIGN TABLE t_lead PARTITION OF thing FOR VALUES IN ('remote') SERVER sf OPTIONS (object 'Lead');
ALTER FOREIGN TABLE t_lead ALTER region OPTIONS (ADD field 'State');
CREATE FOREIGN TABLE t_lead2 PARTITION OF thing FOR VALUES IN ('second') SERVER sf2 OPTIONS (object 'Lead');
ALTER FOREIGN TABLE t_lead2 ALTER region OPTIONS (ADD field 'State');
CREATE TABLE t_local PARTITION OF thing FOR VALUES IN ('local');
INSERT INTO thing VALUES ('remote', 'Routed1', 'Partition'), ('local', 'Here1', 'Partition'), ('remote', 'Routed2', 'Partition'), ('local', 'Here2', 'Partition');
SELECT region, lastname FROM thing WHERE company = 'Partition' AND region = 'remote' ORDER BY 2;
SELECT region, lastname FROM t_local ORDER BY 2;
-- from here to there: an INSERT there, and a DELETE here
UPDATE t_local SET region = 'remote' WHERE lastname = 'Here1';
UPDATE thing SET region = 'remote' WHERE lastname = 'Here1' AND region = 'local';
UPDATE thing SET region = 'remote' WHERE lastname = 'Here2';
SELECT region, lastname FROM t_lead WHERE company = 'Partition' ORDER BY 2;
SELECT region, lastname FROM t_local ORDER BY 2;
-- a row that is there stays there, as with any foreign table
UPDATE thing SET region = 'local' WHERE lastname = 'Routed1' AND region = 'remote';
SELECT region, lastname FROM t_lead WHERE company = 'Partition' ORDER BY 2;
DELETE FROM t_lead WHERE company = 'Partition';
