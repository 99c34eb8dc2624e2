-- if_unchanged, the options that are headers, and TRUNCATE.
SET client_min_messages = notice;
\set SHOW_CONTEXT errors
\! $SANDBOXCTL reset demo >/dev/null
CREATE FOREIGN TABLE person (id text OPTIONS (field 'Id'), lastname text OPTIONS (field 'LastName'), title text OPTIONS (field 'Title'),
	department text OPTIONS (field 'Department'), changed timestamptz OPTIONS (field 'SystemModstamp')) SERVER sf OPTIONS (object 'Contact', if_unchanged 'on');
CREATE FUNCTION touch(who text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN UPDATE crm.contact SET title = 'touched' WHERE id = who; RETURN 'after'; END $$;
\! $SANDBOXCTL now 2026-03-01T10:00:00Z >/dev/null
INSERT INTO person (lastname, department) SELECT 'U' || i, 'lost' FROM generate_series(1, 60) i;
\! $SANDBOXCTL now 2026-03-01T10:01:00Z >/dev/null
-- 25 to a call; what nobody has changed is written
\! $SANDBOXCTL mark
UPDATE person SET title = 'mine' WHERE department = 'lost';
\! $SANDBOXCTL calls | grep composite
SELECT title, count(*) FROM person WHERE department = 'lost' GROUP BY 1;
-- what somebody has changed is not
SET client_min_messages = error;
\! $SANDBOXCTL now 2026-03-01T10:02:00Z >/dev/null
UPDATE person SET title = CASE lastname WHEN 'U2' THEN touch(id) ELSE 'after' END WHERE lastname IN ('U1', 'U2', 'U3');
SELECT lastname, title FROM person WHERE lastname IN ('U1', 'U2', 'U3') ORDER BY 1;
SET client_min_messages = notice;
DO $$ BEGIN
	UPDATE person SET title = touch(id) WHERE lastname = 'U4';
EXCEPTION WHEN serialization_failure THEN RAISE NOTICE 'serialization failure: %', SQLERRM; END $$;
SET client_min_messages = error;
DELETE FROM person WHERE lastname = 'U5' AND touch(id) = 'after';
SET client_min_messages = notice;
\! $SANDBOXCTL mark
DELETE FROM person WHERE lastname = 'U20';
\! $SANDBOXCTL calls | grep composite
SELECT lastname, title FROM person WHERE lastname IN ('U4', 'U5') ORDER BY 1;
ALTER FOREIGN TABLE person OPTIONS (ADD on_error 'continue');
\! $SANDBOXCTL now 2026-03-01T10:03:00Z >/dev/null
UPDATE person SET title = CASE lastname WHEN 'U7' THEN touch(id) ELSE 'go on' END WHERE lastname IN ('U6', 'U7', 'U8') RETURNING lastname, title;
SELECT "row", error_code, message FROM ampsf.write_error;
DELETE FROM ampsf.write_error;
-- the condition is to the second: a change within the same second as the one that was read is not seen
UPDATE person SET title = CASE lastname WHEN 'U7' THEN touch(id) ELSE 'go on' END WHERE lastname IN ('U7');
SELECT lastname, title FROM person WHERE lastname = 'U7';
-- gone in the meantime; DELETE; refusals; RETURNING
CREATE FUNCTION vanish(who text) RETURNS text LANGUAGE plpgsql AS $$ BEGIN DELETE FROM crm.contact WHERE id = who; RETURN 'gone'; END $$;
UPDATE person SET title = vanish(id) WHERE lastname = 'U9';
DELETE FROM person WHERE lastname = 'U10' AND vanish(id) = 'gone';
DELETE FROM person WHERE lastname IN ('U11', 'U12') RETURNING lastname;
UPDATE person SET lastname = repeat('x', 81) WHERE lastname = 'U13';
SELECT "row" ->> 'LastName' = repeat('x', 81) AS "row", error_code, fields FROM ampsf.write_error;
DELETE FROM ampsf.write_error;
ALTER FOREIGN TABLE person OPTIONS (SET on_error 'abort');
UPDATE person SET department = 'found' WHERE lastname = 'U13' RETURNING lastname, department, changed;
-- never direct; and it needs a column
EXPLAIN (COSTS OFF) DELETE FROM person WHERE id = '003000000000000AAA';
EXPLAIN (VERBOSE, COSTS OFF) UPDATE person SET title = 'x' WHERE id = '003000000000000AAA';
ALTER FOREIGN TABLE person ALTER COLUMN changed OPTIONS (SET field 'CreatedDate');
UPDATE person SET title = 'x';
ALTER FOREIGN TABLE person ALTER COLUMN changed OPTIONS (SET field 'LastModifiedDate');
UPDATE person SET title = 'by date' WHERE lastname = 'U13' RETURNING title;
-- an answer that was lost is not asked for again: the row would have changed
\! $SANDBOXCTL fault 'path=*/composite;count=1;do=reset-after'
UPDATE person SET title = 'lost' WHERE lastname = 'U14';
\! $SANDBOXCTL nofaults
SELECT outcome, "row", operation FROM ampsf.write_error;
DELETE FROM ampsf.write_error;
SELECT lastname, title FROM person WHERE lastname = 'U14';
\! $SANDBOXCTL now off >/dev/null

-- headers
ALTER FOREIGN TABLE person OPTIONS (SET if_unchanged 'off', ADD client_name 'nightly-load', ADD assignment_rule 'off', ADD duplicate_rule 'allow');
\! $SANDBOXCTL mark
INSERT INTO person (lastname) VALUES ('H1');
UPDATE person SET title = 'x' WHERE lastname = 'H1';
\! $SANDBOXCTL headers | grep sobjects
ALTER FOREIGN TABLE person OPTIONS (DROP client_name, SET assignment_rule '01Q5g000000AbCd', SET duplicate_rule 'report', SET if_unchanged 'on');
\! $SANDBOXCTL mark
INSERT INTO person (lastname) VALUES ('H2');
\! $SANDBOXCTL headers | grep sobjects

-- what they do
ALTER FOREIGN TABLE person OPTIONS (DROP assignment_rule, SET if_unchanged 'off');
\! $SANDBOXCTL rule 'duplicate Contact LastName,Department alert' >/dev/null
INSERT INTO person (lastname, department) VALUES ('Twin', 'd');
INSERT INTO person (lastname, department) VALUES ('Twin', 'd');
ALTER FOREIGN TABLE person OPTIONS (SET duplicate_rule 'allow');
INSERT INTO person (lastname, department) VALUES ('Twin', 'd');
UPDATE person SET title = 'twin' WHERE lastname = 'Twin';
SELECT count(*) FROM person WHERE lastname = 'Twin' AND title = 'twin';
\! $SANDBOXCTL norules
SELECT username FROM crm.user WHERE isactive ORDER BY id DESC LIMIT 1 \gset
\setenv RULE 'assign Lead ':username
\! $SANDBOXCTL rule "$RULE" >/dev/null
CREATE FOREIGN TABLE lead (id text OPTIONS (field 'Id'), lastname text OPTIONS (field 'LastName'), company text OPTIONS (field 'Company'), owner text OPTIONS (field 'Owner.Username')) SERVER sf OPTIONS (object 'Lead');
INSERT INTO lead (lastname, company) VALUES ('Assigned', 'x') RETURNING owner = :'username' AS by_rule;
ALTER FOREIGN TABLE lead OPTIONS (ADD assignment_rule 'false');
INSERT INTO lead (lastname, company) VALUES ('Not', 'x') RETURNING owner = :'username' AS by_rule;
\! $SANDBOXCTL norules

-- TRUNCATE
\! $SANDBOXCTL reset demo >/dev/null
TRUNCATE crm.invoice__c;
ALTER FOREIGN TABLE crm.invoice__c OPTIONS (ADD truncatable 'on');
INSERT INTO crm.invoice__c (ext_id__c) SELECT 't-' || i FROM generate_series(1, 300) i;
SELECT count(*) AS before FROM crm.invoice__c;
\! $SANDBOXCTL mark
TRUNCATE crm.invoice__c;
\! $SANDBOXCTL soql
\! $SANDBOXCTL calls | grep sobjects | cut -c1-45
SELECT count(*) AS after FROM crm.invoice__c;
TRUNCATE crm.invoice__c;
-- several, of which one may not: nothing is done
ALTER FOREIGN TABLE crm.opportunity OPTIONS (ADD truncatable 'on');
TRUNCATE crm.opportunity, crm.contact;
SELECT count(*) > 0 AS there FROM crm.opportunity;
-- rows that Salesforce keeps: the statement ends, or tells of them
ALTER FOREIGN TABLE crm.account OPTIONS (ADD truncatable 'on');
BEGIN READ ONLY; TRUNCATE crm.account; ROLLBACK;
CREATE ROLE regress_ampsf_trunc;
GRANT USAGE ON SCHEMA crm TO regress_ampsf_trunc;
SET ROLE regress_ampsf_trunc;
TRUNCATE crm.account;
RESET ROLE;
ALTER FOREIGN TABLE crm.account OPTIONS (ADD on_error 'continue');
SELECT count(*) AS before FROM crm.account \gset
TRUNCATE crm.account;
SELECT error_code, count(*) AS kept, count(*) = (SELECT count(*) FROM crm.account) AS stay, count(*) < :before AS fewer FROM ampsf.write_error WHERE operation = 'delete' GROUP BY 1;
DELETE FROM ampsf.write_error;
ALTER FOREIGN TABLE crm.account OPTIONS (SET on_error 'abort');
\set VERBOSITY terse
TRUNCATE crm.account;
\set VERBOSITY default
TRUNCATE crm.opportunity RESTART IDENTITY CASCADE;
SELECT count(*) FROM crm.opportunity;
REVOKE ALL ON SCHEMA crm FROM regress_ampsf_trunc; DROP ROLE regress_ampsf_trunc;
