--
-- IMPORT FOREIGN SCHEMA: which objects, under which names, with which columns.
--
SELECT relname FROM pg_class WHERE relnamespace = 'crm'::regnamespace AND relkind = 'f' ORDER BY relname COLLATE "C";

CREATE VIEW columns AS
	SELECT c.relnamespace::regnamespace::text AS schema, c.relname AS tab, a.attnum,
		   a.attname AS col, format_type(a.atttypid, a.atttypmod) AS type, a.attnotnull AS not_null,
		   array_to_string(ARRAY(SELECT option_name || '=' || option_value
								   FROM pg_options_to_table(a.attfdwoptions) WITH ORDINALITY ORDER BY ordinality), ' ') AS options
	  FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
	 WHERE c.relkind = 'f';

-- every type of field
SELECT col, type, not_null, options FROM columns WHERE schema = 'crm' AND tab = 'invoice__c' ORDER BY attnum;
-- compound fields, whose parts are columns too
SELECT col, type, options FROM columns WHERE schema = 'crm' AND tab = 'contact' AND col LIKE 'mailing%' ORDER BY attnum;
-- a value of any type can only be read
SELECT col, type, options FROM columns WHERE schema = 'crm' AND tab = 'accounthistory' AND col ~ 'value|^field$' ORDER BY attnum;

-- table options: the object, the estimate, and whether it can be written at all
SELECT relname, array_to_string(ARRAY(SELECT option_name || '=' || CASE option_name WHEN 'rows' THEN (option_value::int > 0)::text ELSE option_value END
										FROM pg_options_to_table(ftoptions)), ' ') AS options
  FROM pg_foreign_table JOIN pg_class c ON c.oid = ftrelid
 WHERE relname IN ('account', 'accounthistory', 'invoice__c', 'user', 'case') ORDER BY 1;

-- names that SQL reserves are quoted, and work
SELECT count(*) > 0 AS ok FROM crm."case";
SELECT count(*) > 0 AS ok FROM crm."user";

-- LIMIT TO and EXCEPT take API names in any case
CREATE SCHEMA few;
IMPORT FOREIGN SCHEMA crm LIMIT TO (account, "Contact", INVOICE__C) FROM SERVER sf INTO few;
SELECT DISTINCT tab FROM columns WHERE schema = 'few' ORDER BY 1;
CREATE SCHEMA rest;
IMPORT FOREIGN SCHEMA crm EXCEPT ("Account", contact, attachment, accounthistory, campaign, campaignmember, "case", contentversion, event,
	lead, opportunity, opportunitylineitem, organization, pricebook2, pricebookentry, product2, recordtype) FROM SERVER sf INTO rest;
SELECT DISTINCT tab FROM columns WHERE schema = 'rest' ORDER BY 1;

-- names as Salesforce spells them, and LIMIT TO in whatever case
CREATE SCHEMA exact;
IMPORT FOREIGN SCHEMA crm LIMIT TO (accounthistory, "Invoice__c") FROM SERVER sf INTO exact
	OPTIONS (case 'preserve', multipicklist 'array');
SELECT tab, col, type, options FROM columns WHERE schema = 'exact' AND tab = 'AccountHistory' ORDER BY attnum;
SELECT tab, col, type, options FROM columns WHERE schema = 'exact' AND type = 'text[]';
SELECT count(*) FROM exact."Invoice__c" WHERE "Tags__c" IS NOT NULL AND cardinality("Tags__c") = 0;

-- a misspelt name is told, with the likely one; the rest is imported
CREATE SCHEMA typo;
IMPORT FOREIGN SCHEMA crm LIMIT TO (acount, invoice, lead, zzzzzzzz) FROM SERVER sf INTO typo;
SELECT DISTINCT tab FROM columns WHERE schema = 'typo';
IMPORT FOREIGN SCHEMA crm EXCEPT (acount) FROM SERVER sf INTO typo; -- lead is there already
SELECT DISTINCT tab FROM columns WHERE schema = 'typo';

-- what is refused
IMPORT FOREIGN SCHEMA public FROM SERVER sf INTO few;
IMPORT FOREIGN SCHEMA account_engagement FROM SERVER sf INTO few;
IMPORT FOREIGN SCHEMA crm FROM SERVER sf INTO few OPTIONS (import_default 'true');
IMPORT FOREIGN SCHEMA crm FROM SERVER sf INTO few OPTIONS (case 'upper');
IMPORT FOREIGN SCHEMA crm FROM SERVER sf INTO few OPTIONS (multipicklist 'json');

-- without a mapping there is nobody to ask as
SET ROLE guest;
IMPORT FOREIGN SCHEMA crm FROM SERVER sf INTO few; -- no USAGE
RESET ROLE;
GRANT USAGE ON FOREIGN SERVER sf TO guest;
GRANT CREATE, USAGE ON SCHEMA few TO guest;
SET ROLE guest;
\set VERBOSITY sqlstate
IMPORT FOREIGN SCHEMA crm FROM SERVER sf INTO few;
\set VERBOSITY default
RESET ROLE;
REVOKE USAGE ON FOREIGN SERVER sf FROM guest;

-- a statement that is kept and run twice is not changed by its first run
CREATE FUNCTION import_twice() RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	FOR i IN 1..2 LOOP
		DROP SCHEMA few CASCADE;
		CREATE SCHEMA few;
		IMPORT FOREIGN SCHEMA crm LIMIT TO ("Lead") FROM SERVER sf INTO few;
	END LOOP;
	RETURN (SELECT string_agg(DISTINCT tab, ',') FROM columns WHERE schema = 'few');
END $$;
SET client_min_messages = warning;
SELECT import_twice();
RESET client_min_messages;

-- the comments that the org has to offer
SELECT ampsf.comment('exact') = (SELECT count(*) + 2 FROM columns WHERE schema = 'exact') AS all_commented;
SELECT obj_description('exact."Invoice__c"'::regclass);
SELECT a.attname, col_description(a.attrelid, a.attnum)
  FROM pg_attribute a WHERE a.attrelid = 'exact."Invoice__c"'::regclass
   AND a.attname IN ('Id', 'OwnerId', 'Account__c', 'Status__c', 'Tags__c', 'Amount__c', 'Ext_Id__c') ORDER BY a.attnum;
SELECT ampsf.comment('nowhere');
SELECT ampsf.comment('public');
SELECT ampsf.comment('exact', 'nobody');
SELECT ampsf.comment(NULL) IS NULL AS nothing;
BEGIN READ ONLY;
SELECT ampsf.comment('exact');
ROLLBACK;
GRANT EXECUTE ON FUNCTION ampsf.comment(name, name) TO guest;
SET ROLE guest;
SELECT ampsf.comment('exact');
RESET ROLE;
GRANT USAGE ON FOREIGN SERVER sf TO guest;
CREATE USER MAPPING FOR guest SERVER sf OPTIONS (client_id 'sandbox', client_secret 'sandbox');
GRANT USAGE ON SCHEMA exact TO guest;
SET ROLE guest;
SELECT ampsf.comment('exact');
RESET ROLE;
