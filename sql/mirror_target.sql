-- Mirrors in tables that are there already, of any kind.
\set SHOW_CONTEXT never
\! $SANDBOXCTL reset demo >/dev/null
CREATE SCHEMA m;
SET search_path = m;
-- rows that are not the org's, or not as the org has them; of both sides' columns
\getenv srcdir PG_ABS_SRCDIR
\set include :srcdir '/sql/include/differences.sql'
\i :include
CREATE VIEW last_run AS SELECT target, kind, state, inserted, updated, deleted, compared FROM ampsf.mirror_run ORDER BY id DESC LIMIT 1;
CREATE FOREIGN TABLE lead (id text OPTIONS (field 'Id') NOT NULL, lastname text OPTIONS (field 'LastName'), status text OPTIONS (field 'Status', type 'picklist'),
	company text OPTIONS (field 'Company'), numberofemployees integer OPTIONS (field 'NumberOfEmployees'), createddate timestamptz OPTIONS (field 'CreatedDate'),
	isdeleted boolean OPTIONS (field 'IsDeleted'), systemmodstamp timestamptz OPTIONS (field 'SystemModstamp')) SERVER sf OPTIONS (object 'Lead');

-- a plain table with columns in another order, wider ones, some of its own, a generated one, and rows
CREATE TABLE plain (note text DEFAULT 'mine', systemmodstamp timestamptz, numberofemployees bigint, company varchar(255), lastname varchar(80),
	createddate timestamptz, id varchar(18) PRIMARY KEY, upper_name text GENERATED ALWAYS AS (upper(lastname)) STORED, isdeleted boolean);
INSERT INTO plain (id, lastname, note) SELECT id, 'before', 'kept' FROM crm.lead ORDER BY id LIMIT 3;
INSERT INTO plain (id, lastname) VALUES ('00Q5g00000ZZZZZAAA', 'nobody''s');
SELECT ampsf.mirror('lead', 'plain');
SELECT ampsf.mirror('lead', 'plain', existing => true);
SELECT rows FROM ampsf.mirror_status;
CALL ampsf.sync('plain');
SELECT * FROM last_run;
SELECT differences('plain', 'lead');
SELECT count(*) FILTER (WHERE note = 'kept') AS kept, count(*) FILTER (WHERE note = 'mine') > 10 AS new, count(*) FILTER (WHERE upper_name = upper(lastname)) = count(*) AS generated,
	count(DISTINCT id) = count(*) AS once FROM plain;
-- what the table did not have was added
SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute WHERE attrelid = 'plain'::regclass AND attnum > 0 ORDER BY attnum;
SELECT warning FROM ampsf.mirror_status;
INSERT INTO crm.lead (lastname, company) VALUES ('Curie', 'target');
UPDATE crm.lead SET status = 'Working - Contacted' WHERE id IN (SELECT id FROM plain ORDER BY id LIMIT 2);
DELETE FROM crm.lead WHERE id IN (SELECT id FROM plain ORDER BY id DESC OFFSET 3 LIMIT 2);
SELECT pg_sleep(1.1);
CALL ampsf.sync('plain');
SELECT * FROM last_run;
SELECT differences('plain', 'lead');
-- a name that is too long for a column of the table: it gets the type of what comes
UPDATE plain SET company = left(company, 10);
ALTER TABLE plain ALTER COLUMN company TYPE varchar(10);
UPDATE crm.lead SET company = 'longer than that' WHERE lastname = 'Curie';
CALL ampsf.sync('plain');
SELECT company FROM plain WHERE lastname = 'Curie';

-- partitioned by time, by list, by the Id's hash
CREATE TABLE by_time (LIKE plain) PARTITION BY RANGE (createddate);
CREATE TABLE by_time_1 PARTITION OF by_time FOR VALUES FROM (MINVALUE) TO ('2025-01-01');
CREATE TABLE by_time_2 PARTITION OF by_time DEFAULT;
SELECT ampsf.mirror('lead', 'by_time', existing => true);
ALTER TABLE by_time ADD PRIMARY KEY (id, createddate);
SELECT ampsf.mirror('lead', 'by_time', existing => true, deletes => 'mark');
CREATE TABLE by_status (note text DEFAULT 'mine', systemmodstamp timestamptz, numberofemployees bigint, company varchar(255), lastname varchar(80),
	createddate timestamptz, id varchar(18) NOT NULL, upper_name text GENERATED ALWAYS AS (upper(lastname)) STORED, isdeleted boolean, status text NOT NULL)
	PARTITION BY LIST (status);
-- a partition with columns in an order of its own
CREATE TABLE by_status_1 (status text NOT NULL, id varchar(18) NOT NULL, lastname varchar(80), note text, systemmodstamp timestamptz, numberofemployees bigint, company varchar(255),
	createddate timestamptz, upper_name text GENERATED ALWAYS AS (upper(lastname)) STORED, isdeleted boolean);
ALTER TABLE by_status ADD PRIMARY KEY (status, id);
ALTER TABLE by_status ATTACH PARTITION by_status_1 FOR VALUES IN ('Open - Not Contacted');
CREATE TABLE by_status_2 PARTITION OF by_status DEFAULT;
SELECT ampsf.mirror('lead', 'by_status', existing => true);
CREATE TABLE by_hash (id text PRIMARY KEY, lastname text, systemmodstamp timestamptz) PARTITION BY HASH (id);
CREATE TABLE by_hash_1 PARTITION OF by_hash FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE by_hash_2 PARTITION OF by_hash FOR VALUES WITH (MODULUS 2, REMAINDER 1);
CREATE FOREIGN TABLE small (id text OPTIONS (field 'Id'), lastname text OPTIONS (field 'LastName'), systemmodstamp timestamptz OPTIONS (field 'SystemModstamp')) SERVER sf OPTIONS (object 'Lead');
SELECT ampsf.mirror('small', 'by_hash', existing => true);
CALL ampsf.sync_due();
SELECT target, kind, state, inserted = (SELECT count(*) FROM crm.lead) AS all FROM ampsf.mirror_run WHERE target <> 'plain'::regclass ORDER BY id;
SELECT differences('by_time', 'lead') AS by_time, differences('by_status', 'lead') AS by_status, differences('by_hash', 'small') AS by_hash;
SELECT (SELECT count(*) > 0 FROM by_time_1) AND (SELECT count(*) > 0 FROM by_time_2) AS by_time, (SELECT count(*) > 0 FROM by_hash_1) AND (SELECT count(*) > 0 FROM by_hash_2) AS by_hash;
-- changes; a row whose partition is another one moves
SELECT id AS mover FROM by_status_1 ORDER BY id LIMIT 1 \gset
SELECT tableoid::regclass FROM by_status WHERE id = :'mover';
UPDATE crm.lead SET status = 'Closed - Converted', lastname = 'Mover' WHERE id = :'mover';
INSERT INTO crm.lead (lastname, company) VALUES ('Meitner', 'target');
CREATE TABLE gone AS SELECT id FROM by_hash ORDER BY id LIMIT 3;
DELETE FROM crm.lead WHERE id IN (SELECT id FROM gone);
SELECT pg_sleep(1.1);
UPDATE ampsf.mirror_definition SET next_run = now();
SELECT max(id) AS before FROM ampsf.mirror_run \gset
CALL ampsf.sync_due();
SELECT target, kind, inserted, updated, deleted FROM ampsf.mirror_run WHERE id > :before ORDER BY target::text;
SELECT tableoid::regclass, lastname FROM by_status WHERE id = :'mover';
SELECT differences('by_status', 'lead') AS by_status, differences('by_hash', 'small') AS by_hash;
SELECT count(*) FROM by_time t JOIN gone USING (id) WHERE t.deleted_at IS NOT NULL AND t.isdeleted;
-- without a change nothing is written
CREATE TABLE versions AS SELECT id, xmin::text AS version FROM by_status;
UPDATE ampsf.mirror_definition SET compare_asked = true;
CALL ampsf.sync('by_status');
SELECT * FROM last_run;
SELECT count(*) FROM by_status c JOIN versions v USING (id) WHERE c.xmin::text <> v.version;
-- undeleted, repaired, and with a new column of the foreign table
SELECT id AS undeleted FROM gone LIMIT 1 \gset
\setenv UNDELETED :undeleted
\! $SANDBOXCTL undelete $UNDELETED >/dev/null
CALL ampsf.sync('by_time');
SELECT deleted_at, isdeleted FROM by_time WHERE id = :'undeleted';
DELETE FROM by_status WHERE id = :'mover';
SELECT problem FROM ampsf.verify('by_status', repair => true);
ALTER FOREIGN TABLE lead ADD COLUMN email text OPTIONS (field 'Email', type 'email');
CALL ampsf.sync('by_status');
SELECT differences('by_status', 'lead'), count(email) > 0 AS email FROM by_status;
SELECT count(*) FROM (SELECT id FROM by_time GROUP BY 1 HAVING count(*) > 1 UNION ALL SELECT id FROM by_status GROUP BY 1 HAVING count(*) > 1) d;

-- a change event that moves a row, and one of a new row
INSERT INTO ampsf.change (subscription, server, replay_id, object, record_id, type, changed_fields, "values", committed)
	VALUES (1, 'sf', 1, 'Lead', :'mover', 'UPDATE', '{Status}', '{"Status": "Open - Not Contacted"}', '2030-01-01'),
		(1, 'sf', 2, 'Lead', '00Q5g00000ZZZZYAAA', 'CREATE', NULL, '{"LastName": "Told", "Status": "Closed - Converted"}', '2030-01-01');
SELECT ampsf.mirror_apply('by_status'), ampsf.mirror_apply('by_hash');
SELECT tableoid::regclass FROM by_status WHERE id = :'mover';
SELECT lastname FROM by_hash WHERE id = '00Q5g00000ZZZZYAAA';
-- what does not fit
CREATE TABLE unkeyed (id text, lastname text);
SELECT ampsf.mirror('small', 'unkeyed', existing => true);
CREATE TABLE narrow (id text PRIMARY KEY, lastname text, numberofemployees smallint);
SELECT ampsf.mirror('lead', 'narrow', existing => true);
ALTER TABLE narrow ALTER COLUMN numberofemployees TYPE integer, ADD COLUMN mine integer NOT NULL;
SELECT ampsf.mirror('lead', 'narrow', existing => true);
ALTER TABLE narrow ALTER COLUMN mine SET DEFAULT 0, ADD COLUMN systemmodstamp timestamp;
SELECT ampsf.mirror('lead', 'narrow', existing => true);
ALTER TABLE narrow DROP COLUMN systemmodstamp;
INSERT INTO narrow (id) VALUES ('00Q5g0000000001');
SELECT ampsf.mirror('lead', 'narrow', existing => true);
TRUNCATE narrow;
SELECT ampsf.mirror('lead', 'narrow', existing => true);
SELECT ampsf.mirror('lead', 'narrow', existing => true);
SELECT ampsf.mirror('lead', 'nothing', existing => true);
SELECT ampsf.mirror('lead', 'by_time_1', existing => true);
SELECT ampsf.mirror('lead', 'last_run', existing => true);
SELECT ampsf.mirror('lead', 'another', parallel => 0);
CREATE ROLE regress_target;
GRANT USAGE ON SCHEMA m TO regress_target;
GRANT ALL ON plain, lead TO regress_target;
SET ROLE regress_target;
SELECT ampsf.mirror('m.lead', 'm.plain', existing => true);
RESET ROLE;
DROP OWNED BY regress_target;
DROP ROLE regress_target;
