-- What the queries run over: foreign tables in crm, the same rows copied into near, and in common the local
-- tables that both are joined with.  A query names no schema; search_path decides whom it asks.
SET client_min_messages = warning;

-- Arrays, declared scales, deleted rows, fields of parents as columns, columns whose collation folds case.
CREATE SCHEMA other;
IMPORT FOREIGN SCHEMA crm LIMIT TO (invoice__c) FROM SERVER sf INTO other OPTIONS (multipicklist 'array');
ALTER FOREIGN TABLE other.invoice__c RENAME TO invoice_tags;
ALTER FOREIGN TABLE other.invoice_tags SET SCHEMA crm;
IMPORT FOREIGN SCHEMA crm LIMIT TO (opportunity) FROM SERVER sf INTO other OPTIONS (numeric 'declared');
ALTER FOREIGN TABLE other.opportunity RENAME TO opportunity_declared;
ALTER FOREIGN TABLE other.opportunity_declared SET SCHEMA crm;
IMPORT FOREIGN SCHEMA crm LIMIT TO (account) FROM SERVER sf INTO other;
ALTER FOREIGN TABLE other.account RENAME TO account_all;
ALTER FOREIGN TABLE other.account_all OPTIONS (ADD include_deleted 'true');
ALTER FOREIGN TABLE other.account_all SET SCHEMA crm;
CREATE FOREIGN TABLE crm.contact_flat (
	id text NOT NULL,
	lastname text,
	email text OPTIONS (type 'email'),
	accountid text OPTIONS (field 'AccountId', type 'reference', reference_to 'Account'),
	account_id text OPTIONS (field 'Account.Id', type 'id'),
	account_name text OPTIONS (field 'Account.Name'),
	account_deleted boolean OPTIONS (field 'Account.IsDeleted'),
	account_employees integer OPTIONS (field 'Account.NumberOfEmployees'),
	account_created timestamptz OPTIONS (field 'Account.CreatedDate'),
	owner_name text OPTIONS (field 'Account.Owner.Name'))
	SERVER sf OPTIONS (object 'Contact');
CREATE COLLATION crm.nocase (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
CREATE FOREIGN TABLE crm.contact_nocase (
	id text NOT NULL,
	lastname text COLLATE crm.nocase,
	email text OPTIONS (type 'email') COLLATE crm.nocase,
	leadsource text OPTIONS (type 'picklist') COLLATE crm.nocase,
	accountid text OPTIONS (field 'AccountId', type 'reference', reference_to 'Account') COLLATE crm.nocase,
	birthdate date)
	SERVER sf OPTIONS (object 'Contact');

-- Pages so small that most scans have several.
ALTER FOREIGN TABLE crm.contact OPTIONS (ADD page_size '200');
ALTER FOREIGN TABLE crm.opportunity OPTIONS (ADD page_size '200');
ALTER FOREIGN TABLE crm.contact_flat OPTIONS (ADD page_size '200');

-- The copies.
CREATE SCHEMA near;
DO $$
DECLARE t name;
BEGIN
	FOR t IN SELECT foreign_table_name FROM information_schema.foreign_tables WHERE foreign_table_schema = 'crm' LOOP
		EXECUTE format('CREATE TABLE near.%1$I AS SELECT * FROM crm.%1$I', t);
	END LOOP;
END $$;
ANALYZE;

-- Two objects as the partitions of a table; their Ids begin with 003 and 00Q.
CREATE TABLE crm.people (id text, lastname text, email text, createddate timestamptz) PARTITION BY RANGE (id);
CREATE TABLE near.people (LIKE crm.people) PARTITION BY RANGE (id);
CREATE FOREIGN TABLE crm.people_contact PARTITION OF crm.people FOR VALUES FROM ('003') TO ('004')
	SERVER sf OPTIONS (object 'Contact');
CREATE FOREIGN TABLE crm.people_lead PARTITION OF crm.people FOR VALUES FROM ('00Q') TO ('00R')
	SERVER sf OPTIONS (object 'Lead');
CREATE TABLE near.people_contact PARTITION OF near.people FOR VALUES FROM ('003') TO ('004');
CREATE TABLE near.people_lead PARTITION OF near.people FOR VALUES FROM ('00Q') TO ('00R');
INSERT INTO near.people SELECT id, lastname, email, createddate FROM crm.people;

-- Views: a plain one, a barrier, a join and a grouping.
DO $$
DECLARE s name;
BEGIN
	FOREACH s IN ARRAY '{crm,near}'::name[] LOOP
		PERFORM set_config('search_path', s, true);
		CREATE VIEW open_deal AS SELECT id, name, amount, closedate, accountid, probability FROM opportunity WHERE NOT isclosed;
		CREATE VIEW mail_barrier WITH (security_barrier) AS
			SELECT id, lastname, email, accountid, createddate FROM contact WHERE email IS NOT NULL;
		CREATE VIEW contact_account AS
			SELECT c.id, c.lastname, c.email, a.name AS account, a.industry, a.numberofemployees, a.createddate
			FROM contact c LEFT JOIN account a ON a.id = c.accountid;
		CREATE VIEW account_deals AS
			SELECT accountid AS id, count(*) AS deals, max(closedate) AS closedate, min(amount) AS amount
			FROM opportunity GROUP BY accountid;
	END LOOP;
END $$;

-- Local rows to join with: keys with duplicates, nulls, other case, 15 characters, and keys of nothing.
CREATE SCHEMA common;
CREATE TABLE common.keys AS
	SELECT row_number() OVER () AS n, k AS id, date '2024-01-01' + (row_number() OVER ())::int % 400 AS day, length(k) % 7 AS amount
	FROM (SELECT id AS k FROM near.account WHERE ascii(right(id, 4)) % 2 = 0
		UNION ALL SELECT id FROM near.contact WHERE ascii(right(id, 4)) % 3 = 0
		UNION ALL SELECT accountid FROM near.opportunity WHERE ascii(right(id, 4)) % 2 = 1
		UNION ALL SELECT left(id, 15) FROM near.account WHERE ascii(right(id, 4)) % 4 = 1
		UNION ALL SELECT ext_id__c FROM near.account
		UNION ALL SELECT upper(ext_id__c) FROM near.contact WHERE ascii(right(id, 4)) % 5 = 1
		UNION ALL SELECT email FROM near.contact WHERE ascii(right(id, 4)) % 2 = 1
		UNION ALL SELECT upper(email) FROM near.contact WHERE ascii(right(id, 4)) % 4 = 1
		UNION ALL SELECT email FROM near.contact WHERE ascii(right(id, 4)) % 7 = 1
		UNION ALL VALUES (NULL), (''), ('nobody@example.com'), (NULL), ('''quoted\'), ('%')) q;
CREATE TABLE common.few AS SELECT * FROM common.keys WHERE n % 17 = 3;
CREATE TABLE common.none AS SELECT * FROM common.keys WHERE false;
ANALYZE common.keys, common.few, common.none;
