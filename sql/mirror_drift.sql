-- What becomes of a mirror when the object's fields come, go and change.
\set SHOW_CONTEXT never
\! $SANDBOXCTL reset demo >/dev/null
CREATE SCHEMA m;
SET search_path = m;
\getenv srcdir PG_ABS_SRCDIR
\set include :srcdir '/sql/include/differences.sql'
\i :include
CREATE VIEW last_run AS SELECT kind, state, inserted, updated, compared, interruptions, error FROM ampsf.mirror_run ORDER BY id DESC LIMIT 1;
CREATE VIEW status AS SELECT target, phase, failures, warning FROM ampsf.mirror_status;
CREATE FOREIGN TABLE invoice (id text OPTIONS (field 'Id'), name text OPTIONS (field 'Name'), status text OPTIONS (field 'Status__c', type 'picklist'),
	notes text OPTIONS (field 'Notes__c', type 'textarea', filterable 'false'), systemmodstamp timestamptz OPTIONS (field 'SystemModstamp'), createddate timestamptz OPTIONS (field 'CreatedDate'))
	SERVER sf OPTIONS (object 'Invoice__c');
SELECT ampsf.mirror('invoice', 'kept');
CALL ampsf.sync('kept');
-- fields that the foreign table has never had are none of the mirror's
SELECT count(*) FROM ampsf.drift('kept');
SELECT count(*) > 10 AS others FROM ampsf.drift('invoice');

-- a new field: what would be done, and what the next comparison does
\! $SANDBOXCTL schema 'add Invoice__c {"name": "Region__c", "type": "string", "length": 20}' 'add Invoice__c {"name": "Score__c", "type": "int"}' >/dev/null
SELECT id AS first FROM kept ORDER BY id LIMIT 1 \gset
\setenv FIRST :first
\! $SANDBOXCTL set $FIRST Region__c=North Score__c=7 >/dev/null
SELECT ampsf.drift('kept');
CALL ampsf.sync('kept');
SELECT attname FROM pg_attribute WHERE attrelid = 'kept'::regclass AND attnum > 6;
UPDATE ampsf.mirror_definition SET compare_asked = true;
CALL ampsf.sync('kept');
\! $SANDBOXCTL mark
CALL ampsf.sync('kept');
-- only it is read
\! $SANDBOXCTL soql | sed -E 's/[0-9]{4}-[0-9-]+T[0-9:]+Z/TIME/g'
SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute WHERE attrelid = 'kept'::regclass AND attnum > 6;
SELECT region__c, score__c FROM kept WHERE id = :'first';
SELECT differences('kept', 'invoice');
SELECT count(*) FROM ampsf.drift('kept');
SELECT * FROM status;

-- a field that goes: the run goes on without it, its values stay, the foreign table and what stands on it too
CREATE VIEW on_it AS SELECT id, region__c FROM invoice;
\! $SANDBOXCTL schema 'remove Invoice__c Region__c' >/dev/null
SELECT ampsf.drift('kept');
\! $SANDBOXCTL mark
CALL ampsf.sync('kept');
\! $SANDBOXCTL soql | sed -E 's/[0-9]{4}-[0-9-]+T[0-9:]+Z/TIME/g'
SELECT kind, state, error FROM last_run;
SELECT * FROM status;
SELECT region__c FROM kept WHERE id = :'first';
UPDATE crm.invoice__c SET notes__c = 'changed' WHERE id = :'first';
CALL ampsf.sync('kept');
SELECT region__c, notes FROM kept WHERE id = :'first';
UPDATE ampsf.mirror_definition SET compare_asked = true;
CALL ampsf.sync('kept');
SELECT problem FROM ampsf.verify('kept', repair => true, thorough => true);
SELECT region__c, notes FROM kept WHERE id = :'first';

-- hidden from this user, and shown again: then that column is read, and it alone
\! $SANDBOXCTL schema 'hide Invoice__c Notes__c' >/dev/null
CALL ampsf.sync('kept');
SELECT * FROM status;
SELECT notes FROM kept WHERE id = :'first';
SELECT id AS second FROM kept ORDER BY id OFFSET 1 LIMIT 1 \gset
\setenv SECOND :second
\! $SANDBOXCTL schema 'show Invoice__c Notes__c' >/dev/null
\! $SANDBOXCTL set $FIRST Notes__c= >/dev/null
\! $SANDBOXCTL set $SECOND 'Notes__c=while hidden' >/dev/null
SELECT ampsf.drift('kept');
UPDATE ampsf.mirror_definition SET compare_asked = true;
CALL ampsf.sync('kept');
\! $SANDBOXCTL mark
CALL ampsf.sync('kept');
\! $SANDBOXCTL soql | sed -E 's/[0-9]{4}-[0-9-]+T[0-9:]+Z/TIME/g'
SELECT id = :'first' AS first, notes FROM kept WHERE id IN (:'first', :'second') ORDER BY id;
SELECT * FROM status;

-- renamed: the new name is a new column, with all values, and the old one keeps what it has
\! $SANDBOXCTL schema 'rename Invoice__c Score__c Points__c' >/dev/null
CALL ampsf.sync('kept');
CALL ampsf.sync('kept');
SELECT score__c, points__c FROM kept WHERE id = :'first';
SELECT * FROM status;

-- wider: a number gets a fraction
\! $SANDBOXCTL schema 'change Invoice__c Points__c {"type": "double", "precision": 18, "scale": 3}' >/dev/null
\! $SANDBOXCTL set $SECOND Points__c=1.125 >/dev/null
UPDATE crm.invoice__c SET notes__c = 'wider' WHERE id = :'second';
SELECT ampsf.drift('kept');
CALL ampsf.sync('kept');
SELECT points__c, notes FROM kept WHERE id = :'second';
SELECT state, error FROM last_run;
SELECT format_type(atttypid, atttypmod) FROM pg_attribute WHERE attrelid IN ('kept'::regclass, 'invoice'::regclass) AND attname = 'points__c';
-- and then a text
\! $SANDBOXCTL schema 'change Invoice__c Points__c {"type": "string", "length": 40}' >/dev/null
\! $SANDBOXCTL set $SECOND 'Points__c=1 and a half' >/dev/null
UPDATE crm.invoice__c SET notes__c = 'text' WHERE id = :'second';
CALL ampsf.sync('kept');
SELECT points__c, notes FROM kept WHERE id = :'second';

-- a view of somebody's stands in the way of the type: told, and nothing fails
\! $SANDBOXCTL schema 'add Invoice__c {"name": "Level__c", "type": "int"}' >/dev/null
UPDATE ampsf.mirror_definition SET compare_asked = true;
CALL ampsf.sync('kept');
CALL ampsf.sync('kept');
CREATE VIEW in_the_way AS SELECT id, level__c FROM kept;
\! $SANDBOXCTL schema 'change Invoice__c Level__c {"type": "double", "precision": 18, "scale": 3}' >/dev/null
UPDATE ampsf.mirror_definition SET compare_asked = true;
CALL ampsf.sync('kept');
CALL ampsf.sync('kept');
SELECT * FROM status;
-- rather than to round what comes, the mirror leaves it out until it fits
\! $SANDBOXCTL set $SECOND Level__c=1.5 >/dev/null
UPDATE crm.invoice__c SET notes__c = 'in the way' WHERE id = :'second';
CALL ampsf.sync('kept');
SELECT level__c, notes FROM kept WHERE id = :'second';
DROP VIEW in_the_way;
CALL ampsf.sync('kept');
SELECT level__c FROM kept WHERE id = :'second';
SELECT * FROM status;

-- the time of change itself may be hidden: another one is taken
\! $SANDBOXCTL schema 'hide Invoice__c SystemModstamp' >/dev/null
CALL ampsf.sync('kept');
SELECT cursor_column, failures FROM ampsf.mirror_definition;
SELECT kind, state, compared FROM last_run;
\! $SANDBOXCTL schema 'show Invoice__c SystemModstamp' >/dev/null
UPDATE ampsf.mirror_definition SET compare_asked = true;
CALL ampsf.sync('kept');
SELECT cursor_column, failures FROM ampsf.mirror_definition;

-- a field of a parent's goes
CREATE FOREIGN TABLE child (id text OPTIONS (field 'Id'), name text OPTIONS (field 'Name'), industry text OPTIONS (field 'Account__r.Industry'), who text OPTIONS (field 'Owner.Name'),
	systemmodstamp timestamptz OPTIONS (field 'SystemModstamp')) SERVER sf OPTIONS (object 'Invoice__c');
SELECT ampsf.mirror('child', 'child_kept');
CALL ampsf.sync('child_kept');
\! $SANDBOXCTL schema 'hide Account Industry' >/dev/null
SELECT ampsf.drift('child_kept');
CALL ampsf.sync('child_kept');
SELECT phase, warning, (SELECT count(industry) > 0 FROM child_kept) AS kept FROM status WHERE target = 'child_kept'::regclass;
\! $SANDBOXCTL schema 'show Account Industry' >/dev/null
UPDATE ampsf.mirror_definition SET compare_asked = true;
CALL ampsf.sync('child_kept');
CALL ampsf.sync('child_kept');
SELECT phase, warning, differences('child_kept', 'child') FROM status WHERE target = 'child_kept'::regclass;
SELECT ampsf.unmirror('child_kept');

-- drift => 'report' only tells; and so does a mirror of a foreign table that is not its owner's
\! $SANDBOXCTL noschema
CREATE FOREIGN TABLE invoice2 (id text OPTIONS (field 'Id'), status text OPTIONS (field 'Status__c'), notes text OPTIONS (field 'Notes__c', type 'textarea', filterable 'false'),
	systemmodstamp timestamptz OPTIONS (field 'SystemModstamp'), weight integer OPTIONS (field 'Weight__c')) SERVER sf OPTIONS (object 'Invoice__c');
UPDATE crm.invoice__c SET weight__c = 1;
DROP VIEW on_it;
SELECT ampsf.unmirror('kept');
SELECT ampsf.mirror('invoice2', 'told', drift => 'report');
CALL ampsf.sync('told');
SELECT phase, failures, warning FROM status;
\! $SANDBOXCTL schema 'add Invoice__c {"name": "Region__c", "type": "string", "length": 20}' 'hide Invoice__c Notes__c' >/dev/null
SELECT ampsf.drift('told');
CALL ampsf.sync('told');
SELECT phase, failures, warning FROM status;
\! $SANDBOXCTL schema 'show Invoice__c Notes__c' >/dev/null
CREATE ROLE regress_drift;
GRANT USAGE, CREATE ON SCHEMA m TO regress_drift;
GRANT SELECT ON invoice2 TO regress_drift;
CREATE USER MAPPING FOR regress_drift SERVER sf OPTIONS (client_id 'sandbox', client_secret 'sandbox');
SET ROLE regress_drift;
SELECT ampsf.mirror('invoice2', 'm.theirs');
CALL ampsf.sync('theirs');
\! $SANDBOXCTL schema 'add Invoice__c {"name": "Zone__c", "type": "string", "length": 20}' 'hide Invoice__c Notes__c' >/dev/null
UPDATE ampsf.mirror_definition SET compare_asked = true;
CALL ampsf.sync('theirs');
SELECT target, phase, failures, warning FROM ampsf.mirror_status;
SELECT ampsf.drift('theirs');
RESET ROLE;
\! $SANDBOXCTL noschema
DROP OWNED BY regress_drift;
DROP ROLE regress_drift;
-- there is no third way
SELECT ampsf.mirror('invoice2', 'm.nowhere', drift => 'sometimes');
