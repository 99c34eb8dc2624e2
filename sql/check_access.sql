-- What the org keeps from the user that the app runs as: nobody shall take a column for absent, or for null.
\set SHOW_CONTEXT never
SET client_min_messages = warning;
\! $SANDBOXCTL reset demo >/dev/null
\pset format unaligned
\pset fieldsep ' | '
\pset null '-'
CREATE SCHEMA a;
SET search_path = a;
-- two users of the org: the administrator is this role's, user1 the reader's
CREATE ROLE regress_ampsf_reader;
CREATE USER MAPPING FOR regress_ampsf_reader SERVER sf OPTIONS (client_id 'sandbox-user', client_secret 'sandbox');
GRANT USAGE ON FOREIGN SERVER sf TO regress_ampsf_reader;
GRANT USAGE ON SCHEMA crm, a TO regress_ampsf_reader;
GRANT SELECT ON ALL TABLES IN SCHEMA crm TO regress_ampsf_reader;

-- nothing is kept back: and that has been asked
SELECT * FROM ampsf.check_access('sf');
SELECT * FROM ampsf.check_access('sf', 'Account');
SELECT * FROM ampsf.check_access('crm.account');

-- fields: of standard and custom objects, of a package, for all or for one, to be seen or written
\! $SANDBOXCTL schema 'add Invoice__c {"name": "acme__Region__c", "type": "string", "length": 20, "label": "Région"}' >/dev/null
\! $SANDBOXCTL schema 'hide Invoice__c acme__Region__c user1@sandbox.example' 'hide Account Industry' 'hide Account BillingAddress user1@sandbox.example' >/dev/null
\! $SANDBOXCTL schema 'hide Account BillingCity user1@sandbox.example' 'readonly Account Phone user1@sandbox.example' 'readonly Account Fax' >/dev/null
\! $SANDBOXCTL mark
SELECT field, label, type, access, found_by, hint FROM ampsf.check_access('sf', 'account');
\! $SANDBOXCTL calls
\! $SANDBOXCTL soql
SELECT object, field, access FROM ampsf.check_access('sf', 'Invoice__c');
-- not one row of a field that nobody could write
SELECT count(*) FROM ampsf.check_access('sf', 'Invoice__c') WHERE access = 'read only';

-- the other user
SET ROLE regress_ampsf_reader;
-- not everybody's, but with a right to the table
SELECT * FROM ampsf.check_access('sf', 'Account');
SELECT * FROM ampsf.check_access('sf');
SELECT field, access, column_name FROM ampsf.check_access('crm.account'::regclass);
RESET ROLE;
GRANT EXECUTE ON FUNCTION ampsf.check_access(name, text) TO regress_ampsf_reader;
SET ROLE regress_ampsf_reader;
SELECT field, access FROM ampsf.check_access('sf', 'Account');
SELECT object, field, label, type, access FROM ampsf.check_access('sf', 'invoice__c');
RESET ROLE;

-- objects
\! $SANDBOXCTL schema 'forbid Lead read user1@sandbox.example' 'forbid Case delete user1@sandbox.example' 'forbid Campaign create user1@sandbox.example' >/dev/null
\! $SANDBOXCTL schema 'forbid Campaign edit user1@sandbox.example' 'forbid Campaign delete user1@sandbox.example' 'forbid Task create user1@sandbox.example' 'forbid Task delete user1@sandbox.example' >/dev/null
SELECT object, access FROM ampsf.check_access('sf');
SET ROLE regress_ampsf_reader;
SELECT * FROM ampsf.check_access('sf');
SELECT object, label, access, found_by, hint FROM ampsf.check_access('sf', 'Lead');
SELECT object, label, access, found_by FROM ampsf.check_access('crm.lead'::regclass);
SELECT object, access, found_by, hint FROM ampsf.check_access('sf', 'Nonesuch');
-- what cannot be written at all: not field by field
SELECT object, field, access, hint FROM ampsf.check_access('sf', 'Campaign');
RESET ROLE;
SELECT step, status, detail, advice FROM ampsf.doctor('sf') WHERE step = 'objects hidden';

-- the Tooling API fails: what somebody may do tells nearly as much
\! $SANDBOXCTL fault 'path=*/tooling/query;do=status;status=400;code=UNKNOWN_EXCEPTION;message=An unexpected error occurred;count=0' >/dev/null
SET ROLE regress_ampsf_reader;
\! $SANDBOXCTL mark
SELECT * FROM ampsf.check_access('sf', 'Account');
SELECT object, access, found_by, hint FROM ampsf.check_access('sf');
SELECT object, access, found_by FROM ampsf.check_access('sf', 'Lead');
SELECT object, access, found_by, hint FROM ampsf.check_access('sf', 'Nonesuch');
\! $SANDBOXCTL soql
RESET ROLE;
SELECT step, status, detail FROM ampsf.doctor('sf') WHERE step = 'objects hidden';
\! $SANDBOXCTL nofaults >/dev/null

-- an answer that tells a part, or of nothing, is no proof either
\! $SANDBOXCTL fault 'path=*/tooling/query;do=status;status=200;body={"done":false,"records":[{"QualifiedApiName":"Id"},{"QualifiedApiName":"Secret__c"}]}' >/dev/null
SELECT object, field, access, found_by, hint FROM ampsf.check_access('sf', 'Account');
\! $SANDBOXCTL fault 'path=*/tooling/query;do=status;status=200;body={"done":false,"records":[{"QualifiedApiName":"Account"}]}' >/dev/null
SELECT object, access, found_by, hint FROM ampsf.check_access('sf');
\! $SANDBOXCTL fault 'path=*/tooling/query;do=status;status=200;body={"done":true,"records":[]}' >/dev/null
SELECT object, access, found_by, hint FROM ampsf.check_access('sf', 'Account') WHERE field IS NULL;
\! $SANDBOXCTL fault 'path=*/tooling/query;do=status;status=200;body={}' >/dev/null
SELECT * FROM ampsf.check_access('sf', 'Account');

-- a user without View Setup and Configuration is told nothing: that is not 'all is well'
\! $SANDBOXCTL schema 'forbid setup user1@sandbox.example' >/dev/null
SET ROLE regress_ampsf_reader;
SELECT * FROM ampsf.check_access('sf');
SELECT * FROM ampsf.check_access('sf', 'Account');
SELECT object, field, column_name, access, found_by FROM ampsf.check_access('crm.account'::regclass);
SELECT object, access, found_by, hint FROM ampsf.check_access('sf', 'Lead');
SELECT object, access, found_by FROM ampsf.check_access('crm.lead'::regclass);
RESET ROLE;
\! $SANDBOXCTL schema 'forbid setup' >/dev/null
SELECT step, status, detail, advice FROM ampsf.doctor('sf') WHERE step = 'objects hidden';
\! $SANDBOXCTL noschema

-- a foreign table with some of the fields, and its mirror: a field is hidden, or goes, after the import
CREATE FOREIGN TABLE invoice (id text OPTIONS (field 'Id'), name text OPTIONS (field 'Name'), remark text OPTIONS (field 'Remark__c'),
	amount numeric OPTIONS (field 'Amount__c', type 'currency'), note text OPTIONS (field 'Notes__c', type 'textarea', filterable 'false'),
	owner text OPTIONS (field 'Owner.Name'), wrong text OPTIONS (field 'Account__r.Nonesuch'), systemmodstamp timestamptz OPTIONS (field 'SystemModstamp'))
	SERVER sf OPTIONS (object 'Invoice__c');
SELECT field, access FROM ampsf.check_access('invoice') WHERE access <> 'not imported';
SELECT field, type, access, hint FROM ampsf.check_access('invoice') WHERE field IN ('Status__c', 'CreatedDate') ORDER BY field;
ALTER FOREIGN TABLE invoice DROP COLUMN wrong;
SELECT ampsf.mirror('invoice', 'kept');
CALL ampsf.sync('kept');
SELECT count(note) > 0 AS notes FROM kept;
\! $SANDBOXCTL schema 'hide Invoice__c Notes__c admin@sandbox.example' 'remove Invoice__c Remark__c' 'readonly Invoice__c Amount__c' 'readonly Invoice__c Tax__c' >/dev/null
-- before the mirror has seen it, and after
\! $SANDBOXCTL mark
SELECT field, column_name, access, found_by, hint FROM ampsf.check_access('kept') WHERE access <> 'not imported';
\! $SANDBOXCTL calls
SELECT field, access, hint FROM ampsf.check_access('invoice') WHERE field = 'Tax__c';
SELECT note FROM invoice;
CALL ampsf.sync('kept');
SELECT field, column_name, access, hint FROM ampsf.check_access('kept') WHERE access IN ('hidden', 'gone');
SELECT ampsf.drift('kept');
SELECT count(note) > 0 AS notes FROM kept;
SELECT warning FROM ampsf.mirror_status;
\! $SANDBOXCTL noschema
SELECT field, access FROM ampsf.check_access('kept') WHERE access <> 'not imported';

-- what is no object, no server, no table
SELECT * FROM ampsf.check_access('nowhere');
SELECT * FROM ampsf.check_access('no where');
SELECT * FROM ampsf.check_access('pg_class');
SELECT * FROM ampsf.check_access(NULL::name);
SELECT * FROM ampsf.check_access('sf', 'O''Brien');
\! $SANDBOXCTL fault 'path=*/tooling/query;do=status;status=403;code=REQUEST_LIMIT_EXCEEDED;message=TotalRequests Limit exceeded' >/dev/null
\set VERBOSITY terse
SELECT * FROM ampsf.check_access('sf');
CALL ampsf.sync('kept');
DROP TABLE kept;
DROP OWNED BY regress_ampsf_reader;
DROP USER MAPPING IF EXISTS FOR regress_ampsf_reader SERVER sf;
DROP ROLE regress_ampsf_reader;
