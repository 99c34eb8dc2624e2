-- A record as JSON into a row: the values that a foreign scan gives.
\set SHOW_CONTEXT never
-- what REST says of all rows, and what a scan makes of them
CREATE FUNCTION compare(source regclass, target regclass, OUT rows bigint, OUT wrong bigint) LANGUAGE plpgsql AS $$
DECLARE
	fields text; object text; page jsonb; path text; cols text;
BEGIN
	SELECT string_agg(field, ',' ORDER BY attnum), string_agg(quote_ident(name), ',' ORDER BY attnum) INTO fields, cols FROM ampsf.mirror_columns(source);
	SELECT coalesce(max(option_value), (SELECT relname FROM pg_class WHERE oid = source)) INTO object
		FROM pg_foreign_table, pg_options_to_table(ftoptions) WHERE ftrelid = source AND option_name = 'object';
	CREATE TEMP TABLE record (r jsonb) ON COMMIT DROP;
	path := format('query?q=SELECT %s FROM %s', fields, object);
	WHILE path IS NOT NULL LOOP
		page := (ampsf.request('sf', 'GET', path)).body;
		INSERT INTO record SELECT jsonb_array_elements(page->'records');
		path := page->>'nextRecordsUrl';
	END LOOP;
	EXECUTE format('WITH p AS (SELECT (ampsf.populate(NULL::%2$s, %1$L, r)).* FROM record), l AS (SELECT %3$s FROM p), s AS (SELECT %3$s FROM %1$s) '
		'SELECT (SELECT count(*) FROM s), (SELECT count(*) FROM (SELECT l::text FROM l EXCEPT ALL SELECT s::text FROM s) d) + '
		'(SELECT count(*) FROM (SELECT s::text FROM s EXCEPT ALL SELECT l::text FROM l) d)', source, target, cols) INTO rows, wrong;
	DROP TABLE record;
END $$;
SELECT c.relname, n.* FROM pg_class c, compare(c.oid, c.oid) n
	WHERE c.relkind = 'f' AND c.relnamespace = 'crm'::regnamespace ORDER BY 1;
-- a mirror's row, with more columns than the foreign table, in another order
CREATE TABLE copy (deleted_at timestamptz, LIKE crm.invoice__c, note text DEFAULT 'mine');
ALTER TABLE copy DROP COLUMN name, ADD COLUMN name text;
SELECT compare('crm.invoice__c', 'copy');

-- other types than IMPORT chooses, parents, renamed columns
CREATE DOMAIN short AS text CHECK (length(value) < 30);
CREATE FOREIGN TABLE other (id varchar(18), "The name" varchar(90) OPTIONS (field 'Name'), size float8 OPTIONS (field 'AnnualRevenue'),
	employees int8 OPTIONS (field 'NumberOfEmployees'), changed timestamp(0) OPTIONS (field 'LastModifiedDate'), boss text OPTIONS (field 'Owner.Name'),
	up text OPTIONS (field 'Parent.Owner.Name'), industry short, billingaddress jsonb)
	SERVER sf OPTIONS (object 'Account');
SELECT compare('other', 'other');
ALTER FOREIGN TABLE other ADD COLUMN new boolean OPTIONS (ampsf_created 'true');
\pset null NULL
\pset format unaligned
SELECT (ampsf.populate(NULL::other, 'other', '{}')).*;
SELECT ampsf.populate(NULL::other, 'other', '{"ID": "001", "NAME": "x", "annualrevenue": 12.50, "numberOfEmployees": 5.0, "lastModifiedDate": "2024-05-01T10:00:00.600+0000",
	"owner": {"name": "Ada"}, "Parent": {"Owner": {"Name": "Ben"}}, "Nonsense": 1, "Industry": "a\"b\\c\u00e4", "BillingAddress": {"city": "Ulm"}}') AS row \gset
SELECT :'row'::other;
-- what has no key stays; null is set; a parent that is missing has no fields, one that tells nothing of them changes nothing
SELECT ampsf.populate(:'row'::other, 'other', '{"AnnualRevenue": null}');
SELECT ampsf.populate(:'row'::other, 'other', '{"Owner": null, "parent": {"owner": null}, "The name": "no field"}');
SELECT ampsf.populate(:'row'::other, 'other', '{"Owner": {"attributes": {}}, "Parent": {}, "Owner.Name": "flat", "Parent.Owner": {"Name": "no path"}}');
SELECT ampsf.populate(:'row'::other, 'other', NULL), ampsf.populate(NULL::other, NULL, '{}') IS NULL;
-- milliseconds, as some deliveries of events have them
CREATE FOREIGN TABLE times (id text, at timestamptz, day date, clock time) SERVER sf OPTIONS (object 'X__c');
SET timezone = 'UTC';
SELECT ampsf.populate(NULL::times, 'times', '{"at": 1742558812455, "day": 1742515200000, "clock": 45296789}');
SELECT ampsf.populate(NULL::times, 'times', '{"at": -1.0, "day": -86400000, "clock": 0}');
SELECT ampsf.populate(NULL::times, 'times', '{"at": "2025-03-21T12:06:52Z", "day": "2025-03-21", "clock": "12:34:56.789Z"}');
-- errors are the scan's
SELECT ampsf.populate(NULL::times, 'times', '{"at": "yesterday"}');
SELECT ampsf.populate(NULL::times, 'times', '{"at": 1e30}');
SELECT ampsf.populate(NULL::times, 'times', '{"clock": 86400000}');
SELECT ampsf.populate(NULL::other, 'other', '{"Industry": "much too long for the domain that it is of"}');
SELECT ampsf.populate(NULL::other, 'other', '{"NumberOfEmployees": 1.5}');
\set SHOW_CONTEXT always
SELECT ampsf.populate(NULL::other, 'other', '{"NumberOfEmployees": 99999999999999999999}');
\set SHOW_CONTEXT never
SELECT ampsf.populate(NULL::other, 'other', '[]');
SELECT ampsf.populate(1, 'other', '{}');
SELECT ampsf.populate(NULL::record, 'other', '{}');
SELECT ampsf.populate(NULL::other, 'copy', '{}');
-- rows of tables that became wider, and anonymous ones
SELECT ampsf.populate(r, 'times', '{"day": "2025-01-02"}') FROM (SELECT 1 AS at0, date '2000-01-01' AS day) r;
CREATE TABLE narrow (id text);
INSERT INTO narrow VALUES ('1');
ALTER TABLE narrow ADD COLUMN at timestamptz DEFAULT '2020-02-02 00:00:00Z';
SELECT (ampsf.populate(n, 'times', '{"id": "2"}')).* FROM narrow n;
CREATE ROLE nobody_yet;
GRANT USAGE ON SCHEMA ampsf TO nobody_yet;
SET ROLE nobody_yet;
SELECT ampsf.populate(NULL::other, 'other', '{}');
RESET ROLE;
DROP OWNED BY nobody_yet;
DROP ROLE nobody_yet;
