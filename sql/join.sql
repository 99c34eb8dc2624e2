-- Joins that are one statement: along lookups, over several levels and parents, and with subqueries.
\set VERBOSITY terse
SET client_min_messages = warning;

-- The same rows here, for every object; and a function that runs a query over both.
CREATE SCHEMA here;
DO $$
DECLARE t name;
BEGIN
	FOREACH t IN ARRAY '{account,contact,opportunity,user,task,invoice__c,case,opportunitylineitem,pricebookentry,product2,campaign,campaignmember,lead}'::name[] LOOP
		EXECUTE format('CREATE TABLE here.%1$I AS SELECT * FROM crm.%1$I', t);
	END LOOP;
END $$;
-- scans: of the org; rows: of the result; same: as over the copies.
CREATE FUNCTION compare(query text) RETURNS TABLE (scans int, rows bigint, same boolean) LANGUAGE plpgsql AS $$
DECLARE line text; copy text := replace(query, 'crm.', 'here.');
BEGIN
	scans := 0;
	FOR line IN EXECUTE 'EXPLAIN ' || query LOOP
		scans := scans + (line ~ 'Foreign Scan')::int;
	END LOOP;
	EXECUTE format('SELECT count(*) FROM (%s) q', query) INTO rows;
	EXECUTE format('SELECT NOT EXISTS ((SELECT q::text FROM (%1$s) q EXCEPT ALL SELECT q::text FROM (%2$s) q) UNION ALL '
		'(SELECT q::text FROM (%2$s) q EXCEPT ALL SELECT q::text FROM (%1$s) q))', query, copy) INTO same;
	RETURN NEXT;
END $$;
CREATE FUNCTION soql(query text) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE line text;
BEGIN
	FOR line IN EXECUTE 'EXPLAIN (VERBOSE, COSTS OFF) ' || query LOOP
		IF line !~ 'Output:|Estimated' THEN RETURN NEXT line; END IF;
	END LOOP;
END $$;

-- Inner joins: the rows that have the parent.
SELECT soql('SELECT c.lastname, a.name FROM crm.contact c JOIN crm.account a ON a.id = c.accountid');
SELECT * FROM compare('SELECT c.lastname, a.name FROM crm.contact c JOIN crm.account a ON a.id = c.accountid');
SELECT * FROM compare('SELECT c.lastname, a.name FROM crm.account a, crm.contact c WHERE c.accountid = a.id AND a.industry IS NOT NULL AND c.email IS NOT NULL');
SELECT soql('SELECT c.id FROM crm.account a, crm.contact c WHERE c.accountid = a.id AND a.name = ''Acme'' AND NOT a.isdeleted AND a.createddate < now()');
SELECT * FROM compare('SELECT c.id FROM crm.account a, crm.contact c WHERE c.accountid = a.id AND a.name <> ''Acme'' AND NOT a.isdeleted');
-- the same parent twice, by one lookup and by two
SELECT soql('SELECT c.id, a.name, b.phone FROM crm.contact c JOIN crm.account a ON a.id = c.accountid JOIN crm.account b ON b.id = c.accountid');
SELECT * FROM compare('SELECT c.id, a.name, b.phone FROM crm.contact c JOIN crm.account a ON a.id = c.accountid JOIN crm.account b ON b.id = c.accountid');
SELECT soql('SELECT a.name, o.name, m.name FROM crm.account a JOIN crm."user" o ON o.id = a.ownerid JOIN crm."user" m ON m.id = a.createdbyid');
SELECT * FROM compare('SELECT a.name, o.name, m.name FROM crm.account a JOIN crm."user" o ON o.id = a.ownerid JOIN crm."user" m ON m.id = a.createdbyid');
-- an object's own parent, several levels, and a condition between two members
SELECT soql('SELECT a.name, p.name, g.name FROM crm.account a JOIN crm.account p ON p.id = a.parentid JOIN crm.account g ON g.id = p.parentid');
SELECT * FROM compare('SELECT a.name, p.name FROM crm.account a JOIN crm.account p ON p.id = a.parentid WHERE a.name > p.name');
SELECT soql('SELECT i.quantity, p.name, pr.name, a.name, u.name FROM crm.opportunitylineitem i JOIN crm.opportunity o ON o.id = i.opportunityid JOIN crm.account a ON a.id = o.accountid JOIN crm."user" u ON u.id = a.ownerid JOIN crm.pricebookentry p ON p.id = i.pricebookentryid JOIN crm.product2 pr ON pr.id = p.product2id WHERE pr.isactive AND o.amount > 1000');
SELECT * FROM compare('SELECT i.quantity, p.name, pr.name, a.name, u.name FROM crm.opportunitylineitem i JOIN crm.opportunity o ON o.id = i.opportunityid JOIN crm.account a ON a.id = o.accountid JOIN crm."user" u ON u.id = a.ownerid JOIN crm.pricebookentry p ON p.id = i.pricebookentryid JOIN crm.product2 pr ON pr.id = p.product2id WHERE pr.isactive AND o.amount > 1000');
SELECT soql('SELECT 1 FROM crm.account a JOIN crm.account b ON b.id = a.parentid JOIN crm.account c ON c.id = b.parentid JOIN crm.account d ON d.id = c.parentid JOIN crm.account e ON e.id = d.parentid JOIN crm.account f ON f.id = e.parentid JOIN crm.account g ON g.id = f.parentid');

-- Left joins keep the others, with nulls; a condition on the parent filters what was joined.
SELECT soql('SELECT c.lastname, a.name, a.isdeleted FROM crm.contact c LEFT JOIN crm.account a ON a.id = c.accountid');
SELECT * FROM compare('SELECT c.lastname, a.name, a.isdeleted FROM crm.contact c LEFT JOIN crm.account a ON a.id = c.accountid');
SELECT soql('SELECT c.lastname FROM crm.contact c LEFT JOIN crm.account a ON a.id = c.accountid WHERE a.industry IS NULL');
SELECT * FROM compare('SELECT c.lastname FROM crm.contact c LEFT JOIN crm.account a ON a.id = c.accountid WHERE a.industry IS NULL');
SELECT * FROM compare('SELECT c.lastname FROM crm.contact c LEFT JOIN crm.account a ON a.id = c.accountid WHERE a.isdeleted IS NOT TRUE');
SELECT * FROM compare('SELECT c.lastname FROM crm.contact c LEFT JOIN crm.account a ON a.id = c.accountid WHERE a.numberofemployees > 10 OR a.id IS NULL');
SELECT * FROM compare('SELECT a.name, p.name, g.name, u.name FROM crm.account a LEFT JOIN crm.account p ON p.id = a.parentid LEFT JOIN crm.account g ON g.id = p.parentid LEFT JOIN crm."user" u ON u.id = p.ownerid');
SELECT * FROM compare('SELECT c.name, a.name, u.name FROM crm.contact c JOIN crm.account a ON a.id = c.accountid LEFT JOIN crm."user" u ON u.id = a.ownerid');
-- not along a lookup, not the parent's whole rows, or filtered before: PostgreSQL's work
SELECT * FROM compare('SELECT c.lastname, a.name FROM crm.contact c LEFT JOIN crm.account a ON a.id = c.accountid AND a.industry IS NOT NULL');
SELECT * FROM compare('SELECT c.lastname, a.name FROM crm.contact c LEFT JOIN crm.account a ON a.id = c.accountid AND c.email IS NOT NULL');
SELECT * FROM compare('SELECT c.name, x.name, x.u FROM crm.contact c LEFT JOIN (SELECT a.id, a.name, u.name AS u FROM crm.account a JOIN crm."user" u ON u.id = a.ownerid) x ON x.id = c.accountid');
SELECT * FROM compare('SELECT a.name, c.lastname FROM crm.account a LEFT JOIN crm.contact c ON c.accountid = a.id');
SELECT * FROM compare('SELECT a.name, c.lastname FROM crm.account a FULL JOIN crm.contact c ON c.accountid = a.id');
SELECT * FROM compare('SELECT a.name, c.lastname FROM crm.account a JOIN crm.contact c ON c.mailingcity = a.billingcity');
SELECT * FROM compare('SELECT a.name, c.lastname FROM crm.account a JOIN crm.contact c ON c.accountid < a.id');
SELECT count(a), count(c) FROM crm.contact c JOIN crm.account a ON a.id = c.accountid;
SELECT count(*) FROM crm.contact c JOIN crm.account a ON a.id = c.accountid AND a.tableoid = 'crm.account'::regclass;

-- A reference to several objects: only what all of them have, and only inner joins.
SELECT soql('SELECT t.subject, c.name FROM crm.task t JOIN crm.contact c ON c.id = t.whoid');
SELECT * FROM compare('SELECT t.subject, c.name FROM crm.task t JOIN crm.contact c ON c.id = t.whoid');
SELECT * FROM compare('SELECT t.subject, a.name, c.id FROM crm.task t JOIN crm.account a ON a.id = t.whatid JOIN crm.contact c ON c.id = t.whoid');
SELECT * FROM compare('SELECT t.subject, c.email FROM crm.task t JOIN crm.contact c ON c.id = t.whoid');
SELECT * FROM compare('SELECT t.subject, c.name FROM crm.task t JOIN crm.contact c ON c.id = t.whoid WHERE c.email IS NOT NULL');
SELECT * FROM compare('SELECT t.subject, c.name FROM crm.task t LEFT JOIN crm.contact c ON c.id = t.whoid');
SELECT * FROM compare('SELECT t.subject, a.name FROM crm.task t JOIN crm.contact c ON c.id = t.whoid JOIN crm.account a ON a.id = c.accountid');

-- Semi-joins: with a parent they are joins, with children subqueries.
SELECT soql('SELECT c.lastname FROM crm.contact c WHERE c.accountid IN (SELECT id FROM crm.account WHERE industry IS NOT NULL)');
SELECT * FROM compare('SELECT c.lastname FROM crm.contact c WHERE c.accountid IN (SELECT id FROM crm.account WHERE name LIKE ''A%'')');
SELECT soql('SELECT a.name FROM crm.account a WHERE EXISTS (SELECT FROM crm.contact c WHERE c.accountid = a.id AND c.email IS NOT NULL)');
SELECT * FROM compare('SELECT a.name FROM crm.account a WHERE EXISTS (SELECT FROM crm.contact c WHERE c.accountid = a.id AND c.email IS NOT NULL)');
SELECT * FROM compare('SELECT a.name FROM crm.account a WHERE id IN (SELECT accountid FROM crm.contact) AND id IN (SELECT accountid FROM crm.opportunity WHERE iswon)');
SELECT soql('SELECT c.name FROM crm.contact c WHERE accountid IN (SELECT o.accountid FROM crm.opportunity o WHERE o.iswon)');
SELECT * FROM compare('SELECT c.name FROM crm.contact c WHERE accountid IN (SELECT o.accountid FROM crm.opportunity o WHERE o.iswon)');
SELECT * FROM compare('SELECT c.name, a.name FROM crm.contact c JOIN crm.account a ON a.id = c.accountid WHERE a.ownerid IN (SELECT id FROM crm."user" WHERE isactive) AND c.accountid IN (SELECT o.accountid FROM crm.opportunity o WHERE o.isclosed)');
-- what a subquery may not be: the same object, inexact, a third one, along a path
SELECT * FROM compare('SELECT a.name FROM crm.account a WHERE id IN (SELECT parentid FROM crm.account)');
SELECT * FROM compare('SELECT a.name FROM crm.account a WHERE id IN (SELECT accountid FROM crm.contact WHERE lastname = ''Smith'')');
SELECT * FROM compare('SELECT a.name FROM crm.account a WHERE id IN (SELECT accountid FROM crm.contact) AND id IN (SELECT accountid FROM crm.opportunity) AND id IN (SELECT accountid FROM crm."case")');
SELECT * FROM compare('SELECT a.name FROM crm.account a WHERE id IN (SELECT accountid FROM crm.contact WHERE email IS NOT NULL LIMIT 5) OR name = ''Acme''');
SELECT * FROM compare('SELECT c.name FROM crm.contact c JOIN crm.account a ON a.id = c.accountid WHERE a.id IN (SELECT accountid FROM crm.opportunity)');
-- parameters inside of a subquery
PREPARE won(boolean, timestamptz) AS SELECT count(*) FROM crm.account WHERE createddate > $2 AND id IN (SELECT accountid FROM crm.opportunity WHERE iswon = $1 AND createddate > $2);
SET plan_cache_mode = force_generic_plan;
EXPLAIN (VERBOSE, COSTS OFF) EXECUTE won(true, '2000-01-01');
EXECUTE won(true, '2000-01-01');
EXECUTE won(true, 'infinity');
EXECUTE won(NULL, '2000-01-01');
RESET plan_cache_mode;

-- Anti-joins: NOT EXISTS, and NOT IN where neither side can be null is none of ours.
SELECT soql('SELECT a.name FROM crm.account a WHERE NOT EXISTS (SELECT FROM crm.contact c WHERE c.accountid = a.id AND c.email IS NOT NULL)');
SELECT * FROM compare('SELECT a.name FROM crm.account a WHERE NOT EXISTS (SELECT FROM crm.contact c WHERE c.accountid = a.id AND c.email IS NOT NULL)');
SELECT soql('SELECT a.name FROM crm.account a LEFT JOIN crm.contact c ON c.accountid = a.id WHERE c.id IS NULL');
SELECT * FROM compare('SELECT a.name FROM crm.account a LEFT JOIN crm.contact c ON c.accountid = a.id WHERE c.id IS NULL');
SELECT soql('SELECT c.name FROM crm.contact c WHERE NOT EXISTS (SELECT FROM crm.account a WHERE a.id = c.accountid)');
SELECT * FROM compare('SELECT c.name FROM crm.contact c WHERE NOT EXISTS (SELECT FROM crm.account a WHERE a.id = c.accountid)');
SELECT * FROM compare('SELECT c.name FROM crm.contact c WHERE NOT EXISTS (SELECT FROM crm.account a WHERE a.id = c.accountid AND a.industry IS NOT NULL)');
SELECT * FROM compare('SELECT c.name FROM crm.contact c WHERE NOT EXISTS (SELECT FROM crm.opportunity o WHERE o.accountid = c.accountid)');
SELECT * FROM compare('SELECT a.name FROM crm.account a WHERE id NOT IN (SELECT accountid FROM crm.contact)');
SELECT * FROM compare('SELECT a.name FROM crm.account a WHERE id NOT IN (SELECT accountid FROM crm.contact WHERE accountid IS NOT NULL)');

-- Above a join: one call for a count, an order with a limit.
SELECT soql('SELECT count(*) FROM crm.contact c JOIN crm.account a ON a.id = c.accountid WHERE a.industry IS NOT NULL');
SELECT * FROM compare('SELECT count(*), max(c.createddate), min(c.createddate) FROM crm.contact c JOIN crm.account a ON a.id = c.accountid WHERE a.industry IS NOT NULL');
SELECT * FROM compare('SELECT count(*) FROM crm.account WHERE id IN (SELECT accountid FROM crm.contact WHERE email IS NOT NULL)');
SELECT soql('SELECT c.name, a.name FROM crm.contact c JOIN crm.account a ON a.id = c.accountid ORDER BY c.createddate DESC, c.id LIMIT 5');
SELECT soql('SELECT c.name, a.name FROM crm.contact c LEFT JOIN crm.account a ON a.id = c.accountid ORDER BY c.createddate DESC LIMIT 5');
SELECT * FROM compare('SELECT c.createddate, a.name FROM crm.contact c LEFT JOIN crm.account a ON a.id = c.accountid ORDER BY c.createddate DESC, c.id OFFSET 3 LIMIT 5');

-- Never where a row may have to be fetched again, or another user or server reads it.
SELECT soql('SELECT c.id FROM crm.contact c JOIN crm.account a ON a.id = c.accountid FOR UPDATE OF c');
EXPLAIN (COSTS OFF) UPDATE crm.contact c SET title = 'x' FROM crm.account a WHERE a.id = c.accountid AND a.name = 'Acme';
CREATE FOREIGN TABLE gone (id text OPTIONS (field 'Id'), name text OPTIONS (field 'Name')) SERVER sf OPTIONS (object 'Account', include_deleted 'true');
SELECT soql('SELECT c.id, g.name FROM crm.contact c JOIN gone g ON g.id = c.accountid');
INSERT INTO here.contact (id, name) SELECT c.id, a.name FROM crm.contact c JOIN crm.account a ON a.id = c.accountid LIMIT 2;

-- Rescans, cursors, a lateral subquery, a view, a CTE, a union.
SELECT * FROM compare('SELECT v.n, q.name FROM (VALUES (''Acme''), (''no such''), (NULL)) v (n) CROSS JOIN LATERAL (SELECT c.name FROM crm.contact c JOIN crm.account a ON a.id = c.accountid WHERE a.name = v.n) q');
SELECT * FROM compare('SELECT u.name, (SELECT count(*) FROM crm.contact c JOIN crm.account a ON a.id = c.accountid WHERE a.ownerid = u.id) FROM crm."user" u');
CREATE VIEW contacts AS SELECT c.name, a.name AS account, a.industry FROM crm.contact c LEFT JOIN crm.account a ON a.id = c.accountid;
SELECT soql('SELECT name FROM contacts');
SELECT soql('SELECT name, account FROM contacts WHERE industry IS NOT NULL');
BEGIN;
DECLARE c SCROLL CURSOR FOR SELECT c.name, a.name FROM crm.contact c JOIN crm.account a ON a.id = c.accountid ORDER BY c.id;
FETCH 2 FROM c;
FETCH LAST FROM c;
FETCH FIRST FROM c;
COMMIT;

-- A wrong value names the table it belongs to.
CREATE FOREIGN TABLE parent (id text OPTIONS (field 'Id'), name int OPTIONS (field 'Name', type 'string')) SERVER sf OPTIONS (object 'Account');
\set VERBOSITY default
SELECT c.id, p.name FROM crm.contact c JOIN parent p ON p.id = c.accountid ORDER BY c.id LIMIT 1;
SELECT * FROM compare('SELECT t.subject FROM crm.task t WHERE NOT EXISTS (SELECT FROM crm.account a WHERE a.id = t.whatid)');
-- A parent of one of several kinds has no path on to its own parents, also not to one that must not be there.
SELECT * FROM compare('SELECT t.subject FROM crm.task t JOIN crm.opportunity o ON o.id = t.whatid WHERE NOT EXISTS (SELECT FROM crm.user u WHERE u.id = o.ownerid)');
SELECT * FROM compare('SELECT t.subject FROM crm.task t JOIN crm.opportunity o ON o.id = t.whatid WHERE NOT EXISTS (SELECT FROM crm.account a WHERE a.id = o.accountid)');
-- Six levels, the last of them a parent that must not be there.
SELECT * FROM compare('SELECT c.id FROM crm.contact c JOIN crm.account a ON a.id = c.accountid JOIN crm.account b ON b.id = a.parentid JOIN crm.account d ON d.id = b.parentid JOIN crm.account e ON e.id = d.parentid WHERE NOT EXISTS (SELECT FROM crm.account f WHERE f.id = e.parentid)');
SELECT * FROM compare('SELECT c.id FROM crm.contact c JOIN crm.account a ON a.id = c.accountid JOIN crm.account b ON b.id = a.parentid JOIN crm.account d ON d.id = b.parentid JOIN crm.account e ON e.id = d.parentid JOIN crm.account g ON g.id = e.parentid WHERE NOT EXISTS (SELECT FROM crm.account f WHERE f.id = g.parentid)');
-- Many tables at once are joined by trial, in memory that does not stay.
SET geqo_threshold = 2;
SELECT * FROM compare('SELECT c.lastname, a.name, u.email, p.name FROM crm.contact c JOIN crm.account a ON a.id = c.accountid LEFT JOIN crm."user" u ON u.id = a.ownerid LEFT JOIN crm.account p ON p.id = a.parentid WHERE lower(a.name) <> u.name');
RESET geqo_threshold;
-- What the inner column equals is read as the outer table's column, also when it stands for another such column.
SET enable_hashjoin = off;
SELECT * FROM compare('SELECT a.industry FROM crm.account a WHERE EXISTS (SELECT FROM crm.contact c WHERE c.accountid = a.id AND c.id > ''003'') AND EXISTS (SELECT FROM crm.invoice__c i WHERE i.account__c = a.id) AND EXISTS (SELECT FROM crm.opportunity o WHERE o.accountid = a.id)');
RESET enable_hashjoin;
SELECT * FROM compare('SELECT a.industry FROM crm.account a WHERE EXISTS (SELECT FROM crm.contact c WHERE c.accountid = a.id AND c.id > ''003'') AND EXISTS (SELECT FROM crm.invoice__c i WHERE i.account__c = a.id)');
SELECT * FROM compare('SELECT o.name FROM crm.opportunity o JOIN crm.account a ON a.id = o.accountid WHERE o.accountid IN (SELECT accountid FROM crm.contact) AND a.id IN (SELECT account__c FROM crm.invoice__c) AND EXISTS (SELECT FROM crm."case" x WHERE x.accountid = o.accountid AND x.subject >= '''')');
-- tasks and events cannot be inside
SELECT * FROM compare('SELECT c.name FROM crm.contact c WHERE accountid IN (SELECT accountid FROM crm.task WHERE accountid IS NOT NULL)');
-- A subquery that has a parameter keeps it when the statement grows: with a parent, with another subquery.
SELECT * FROM compare('SELECT a.name FROM crm.account a WHERE a.id IN (SELECT c.accountid FROM crm.contact c WHERE c.createddate < timestamptz ''2024-05-05'' + interval ''1 day'') AND a.ownerid IN (SELECT u.id FROM crm."user" u WHERE u.createddate < now())');
SELECT * FROM compare('SELECT m.status FROM crm.campaignmember m WHERE m.createdbyid IN (SELECT c.createdbyid FROM crm.campaign c WHERE c.createdbyid IS NOT NULL AND date_trunc(''century'', c.createddate) <> ''2024-10-17 19:28:45''::timestamptz::timestamp) AND m.leadid IN (SELECT l.id FROM crm.lead l WHERE l.latitude <> -84.38271605493827::numeric(20,6))');
