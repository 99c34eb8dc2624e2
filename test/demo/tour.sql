-- 1. Every object of the org becomes a table. The org is the sandbox on this machine;
--    a real one is named by its My Domain: OPTIONS (workspace 'acme').
CREATE EXTENSION ampsf_fdw;
CREATE SERVER sf FOREIGN DATA WRAPPER ampsf_fdw OPTIONS (instance_url '@SANDBOX_URL@');
CREATE USER MAPPING FOR CURRENT_USER SERVER sf OPTIONS (client_id 'sandbox', client_secret 'sandbox');
CREATE SCHEMA crm;
IMPORT FOREIGN SCHEMA crm FROM SERVER sf INTO crm;

-- 2. An incremental read: only what has changed since the last one, and only the columns that are
--    asked for. The filter goes to Salesforce; now() - interval '1 day' would as well.
SELECT name, industry, annualrevenue, systemmodstamp
FROM crm.account
WHERE systemmodstamp >= timestamptz '2024-01-10' + interval '3 days' AND annualrevenue BETWEEN 100000 AND 900000
LIMIT 5;

-- 3. A join along a lookup is one statement; sums are PostgreSQL's, since Salesforce adds in doubles.
SELECT a.industry, count(*) AS deals, sum(o.amount) AS pipeline
FROM crm.opportunity o JOIN crm.account a ON a.id = o.accountid
WHERE NOT o.isclosed AND a.industry IN ('Energy', 'Banking', 'Technology')
GROUP BY a.industry
ORDER BY pipeline DESC;

-- 4. What goes out, and how far Salesforce's answer is trusted: exact is its word,
--    superset is checked again here, local is done here.
EXPLAIN (VERBOSE, COSTS OFF)
SELECT lastname, email FROM crm.contact
WHERE email LIKE '%@example.com' AND createddate >= '2020-01-01' AND length(lastname) > 6;

-- 5. New rows. Salesforce gives the Id, and who wants it back row by row pays a call for each;
--    without RETURNING up to 200 rows are one call.
INSERT INTO crm.contact (firstname, lastname, email)
VALUES ('Marie', 'Curie', 'marie@example.com'), ('Lise', 'Meitner', 'lise@example.com')
RETURNING id, lastname;

-- 6. An update sends only the columns that it sets.
UPDATE crm.contact SET title = 'Professor'
WHERE email IN ('marie@example.com', 'lise@example.com')
RETURNING lastname, title;

-- 7. A delete puts the row into the org's recycle bin.
DELETE FROM crm.contact WHERE email = 'lise@example.com' RETURNING lastname;

-- 8. A local copy that is as fresh as its last refresh. With a unique index it is refreshed
--    without locking its readers out; pg_cron does that every five minutes:
--      SELECT cron.schedule('*/5 * * * *', 'REFRESH MATERIALIZED VIEW CONCURRENTLY pipeline');
CREATE MATERIALIZED VIEW pipeline AS
  SELECT id, name, stagename, amount FROM crm.opportunity WHERE NOT isclosed;
CREATE UNIQUE INDEX ON pipeline (id);
INSERT INTO crm.opportunity (name, stagename, closedate, amount)
  VALUES ('Radium, 1 g', 'Prospecting', current_date + 30, 100000);
SELECT count(*) AS before FROM pipeline WHERE name = 'Radium, 1 g';
REFRESH MATERIALIZED VIEW CONCURRENTLY pipeline;
SELECT name, stagename, amount FROM pipeline WHERE name = 'Radium, 1 g';

-- 9. A mirror is a table that follows its object: filled once, from then on only what has changed is read.
--    A background worker does so every five minutes; here it is called. The live view adds what has
--    changed since, for one call, and ampsf.verify() tells each row in which mirror and org differ: none.
SELECT ampsf.mirror('crm.contact', live_view => true);
CALL ampsf.sync('contact');
UPDATE crm.contact SET title = 'Nobel laureate' WHERE email = 'marie@example.com';
SELECT m.title AS mirror, n.title AS live FROM contact m JOIN contact_now n USING (id)
WHERE m.email = 'marie@example.com';
CALL ampsf.sync('contact');
SELECT title FROM contact WHERE email = 'marie@example.com';
SELECT * FROM ampsf.verify('contact');
