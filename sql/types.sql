-- Every type of field, read and written back; other SQL types than IMPORT's; values that do not fit.
\set VERBOSITY terse
SET client_min_messages = warning;
SET timezone = 'Asia/Kolkata';
SET datestyle = 'SQL, DMY';

SELECT a.attname, format_type(a.atttypid, a.atttypmod) AS type, a.attnotnull AS not_null, array_to_string(a.attfdwoptions, ' ') AS options
FROM pg_attribute a WHERE attrelid = 'crm.invoice__c'::regclass AND attnum > 0 AND attname NOT LIKE 'last%' ORDER BY attnum;

-- what is written is what is read
INSERT INTO crm.invoice__c (ext_id__c, case_key__c, account__c, amount__c, tax__c, quantity__c, weight__c, discount__c, due_date__c, paid_at__c, cutoff_time__c, paid__c,
		status__c, tags__c, notes__c, terms__c, remark__c, contact_email__c, document_url__c, hotline__c, location__latitude__s, location__longitude__s)
	SELECT 'types-1', 'Types-1', min(id), 1234567890123.45, 0.0001, 999999999999, -0.000001, 12.5, '29/02/2024', '2024-02-29 23:59:59+05:30', '13:14:15', true,
		'Void', 'Export;Urgent', E'line 1\nline "2"\t\\ é 漢字 🎉 \u00a0 end', '<b>bold</b>', 'it''s', 'a@example.com', 'https://example.com/?q=1&r=%20', '+49 30 1234', -33.8688, 151.2093
	FROM crm.account;
INSERT INTO crm.invoice__c (ext_id__c) VALUES ('types-2');
\x on
SELECT amount__c, tax__c, quantity__c, weight__c, discount__c, due_date__c, paid_at__c, cutoff_time__c, paid__c, status__c, tags__c, notes__c, terms__c, remark__c, contact_email__c,
	document_url__c, hotline__c, location__c, location__latitude__s FROM crm.invoice__c WHERE ext_id__c = 'types-1';
SELECT ext_id__c, case_key__c, amount__c, due_date__c, paid_at__c, cutoff_time__c, paid__c, status__c, tags__c, notes__c, location__c FROM crm.invoice__c WHERE ext_id__c = 'types-2';
\x off
SELECT notes__c = E'line 1\nline "2"\t\\ é 漢字 🎉 \u00a0 end' AS same_text FROM crm.invoice__c WHERE ext_id__c = 'types-1';

-- the seed's extremes arrive whole
SELECT max(length(notes__c)) AS longest_text FROM crm.invoice__c;
SELECT min(due_date__c), max(due_date__c) FROM crm.invoice__c;
SELECT min(amount__c), max(amount__c), min(abs(weight__c)) FILTER (WHERE weight__c <> 0) AS smallest FROM crm.invoice__c;

-- other SQL types for the same fields
CREATE DOMAIN short_text AS text CHECK (length(VALUE) < 20);
CREATE DOMAIN required_date AS date NOT NULL;
CREATE TYPE invoice_status AS ENUM ('Draft', 'Sent', 'Paid', 'Overdue', 'Void');
CREATE FOREIGN TABLE other_types (
	id char(18) OPTIONS (field 'Id'),
	ext varchar(20) OPTIONS (field 'Ext_Id__c'),
	amount float8 OPTIONS (field 'Amount__c'),
	tax real OPTIONS (field 'Tax__c'),
	quantity bigint OPTIONS (field 'Quantity__c'),
	discount numeric OPTIONS (field 'Discount__c'),
	due short_text OPTIONS (field 'Due_Date__c', type 'date'),
	paid_at timestamp OPTIONS (field 'Paid_At__c'),
	paid_on date OPTIONS (field 'Paid_At__c', type 'string'),
	paid text OPTIONS (field 'Paid__c', type 'boolean'),
	status invoice_status OPTIONS (field 'Status__c', type 'picklist'),
	tags text[] OPTIONS (field 'Tags__c'),
	place json OPTIONS (field 'Location__c', type 'location')
) SERVER sf OPTIONS (object 'Invoice__c');
\x on
SELECT ext, amount, tax, quantity, discount, due, paid_at, paid, status, tags, place FROM other_types WHERE ext = 'types-1';
\x off
SELECT ext FROM other_types WHERE amount = 1234567890123.45 AND quantity = 999999999999 AND paid_at = '29/02/2024 18:29:59' AND status = 'Void' AND 'Export' = ANY (tags) AND ext LIKE 'types%';
EXPLAIN (VERBOSE, COSTS OFF) SELECT ext FROM other_types WHERE amount = 1234567890123.45 AND quantity = 999999999999 AND paid_at = '29/02/2024 18:29:59' AND status = 'Void' AND 'Export' = ANY (tags) AND paid = 'true';

-- values that do not fit: the type's own error, with the row and the column
\set VERBOSITY default
\set SHOW_CONTEXT errors
CREATE FOREIGN TABLE unfit (ext text OPTIONS (field 'Ext_Id__c'), n int OPTIONS (field 'Amount__c'), s smallint OPTIONS (field 'Quantity__c'), d required_date OPTIONS (field 'Due_Date__c'),
	v varchar(3) OPTIONS (field 'Status__c'), b boolean OPTIONS (field 'Remark__c'), p numeric(3,1) OPTIONS (field 'Amount__c')) SERVER sf OPTIONS (object 'Invoice__c');
SELECT n FROM unfit WHERE ext = 'types-1';
SELECT s FROM unfit WHERE ext = 'types-1';
SELECT d FROM unfit WHERE ext = 'types-2';
SELECT v FROM unfit WHERE ext = 'types-1';
SELECT b FROM unfit WHERE ext = 'types-1';
SELECT p FROM unfit WHERE ext = 'types-1';
\set VERBOSITY terse

-- values that Salesforce cannot keep are refused before anything is sent
\! $SANDBOXCTL mark
INSERT INTO crm.invoice__c (paid_at__c) VALUES ('infinity');
INSERT INTO crm.invoice__c (paid_at__c) VALUES ('01/01/1699 00:00');
INSERT INTO crm.invoice__c (due_date__c) VALUES ('01/01/4001');
UPDATE crm.invoice__c SET amount__c = 'NaN' WHERE false;
\! $SANDBOXCTL calls

-- settings of the session do not change what is sent or read
SET extra_float_digits = -10;
SET bytea_output = escape;
SET timezone = 'America/St_Johns';
SELECT paid_at__c FROM crm.invoice__c WHERE paid_at__c = timestamptz '29/02/2024 23:59:59+05:30' AND due_date__c = date '29/02/2024';
DELETE FROM crm.invoice__c WHERE ext_id__c IN ('types-1', 'types-2');

-- The API keeps more decimals than a field's scale: nothing is lost in numeric; numeric(p,s) shows them rounded, so its conditions stay here.
INSERT INTO crm.invoice__c (ext_id__c, amount__c, tax__c) VALUES ('types-3', 33.333333, 237.123456789);
SELECT amount__c, tax__c FROM crm.invoice__c WHERE amount__c = 33.333333 AND tax__c > 237.1234;
CREATE FOREIGN TABLE declared (ext text OPTIONS (field 'Ext_Id__c'), amount numeric(18,2) OPTIONS (field 'Amount__c', type 'currency')) SERVER sf OPTIONS (object 'Invoice__c');
SELECT amount FROM declared WHERE amount = 33.33 AND ext = 'types-3';
EXPLAIN (VERBOSE, COSTS OFF) SELECT amount FROM declared WHERE amount = 33.33;
EXPLAIN (COSTS OFF) SELECT ext FROM declared ORDER BY amount LIMIT 1;
DELETE FROM crm.invoice__c WHERE ext_id__c = 'types-3';
CREATE SCHEMA declared;
IMPORT FOREIGN SCHEMA crm LIMIT TO (invoice__c) FROM SERVER sf INTO declared OPTIONS (numeric 'declared');
SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute WHERE attrelid = 'declared.invoice__c'::regclass AND atttypid = 'numeric'::regtype ORDER BY attnum;
IMPORT FOREIGN SCHEMA crm LIMIT TO (account) FROM SERVER sf INTO declared OPTIONS (numeric 'float');
