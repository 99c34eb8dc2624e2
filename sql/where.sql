-- Conditions: each is asked here and there, over the same rows. Shown: how many rows differ, how many there are, what is sent, and the class.
\set VERBOSITY terse
SET client_min_messages = warning;
SET timezone = 'Europe/Berlin';

CREATE TABLE account AS TABLE crm.account;
CREATE TABLE invoice AS TABLE crm.invoice__c;
CREATE FOREIGN TABLE crm.tagged (id text OPTIONS (field 'Id'), tags text[] OPTIONS (field 'Tags__c', type 'multipicklist'), vtags varchar[] OPTIONS (field 'Tags__c', type 'multipicklist')) SERVER sf OPTIONS (object 'Invoice__c');
CREATE TABLE tagged AS TABLE crm.tagged;
CREATE FOREIGN TABLE crm.utc (id text OPTIONS (field 'Id'), t timestamp OPTIONS (field 'Paid_At__c')) SERVER sf OPTIONS (object 'Invoice__c');
CREATE TABLE utc AS TABLE crm.utc;

CREATE FUNCTION explained(tab text, cond text, OUT soql text, OUT class text) LANGUAGE plpgsql AS $$
DECLARE plan json;
BEGIN
	EXECUTE format('EXPLAIN (VERBOSE, COSTS OFF, FORMAT json) SELECT id FROM crm.%s WHERE %s', tab, cond) INTO plan;
	plan := replace(plan::text, '(InitPlan 1).col1', '$0')::json->0->'Plan';
	IF plan->>'Node Type' = 'Result' THEN soql := 'no call'; class := 'exact'; RETURN; END IF;
	soql := CASE WHEN plan->>'SOQL' ~ ' WHERE ' THEN substring(plan->>'SOQL' FROM ' WHERE (.*)') WHEN plan->>'SOQL' ~ '^none' THEN 'no call'
		ELSE 'all rows' END;
	class := concat_ws(', ', CASE WHEN plan->>'Exact' IS NOT NULL THEN 'exact' END,
		'superset: ' || regexp_replace(plan->'Superset'->>0, '^.*\): ', ''), 'local: ' || regexp_replace(plan->'Local'->>0, '^.*\): ', ''));
END $$;

CREATE FUNCTION differ(tab text, cond text, OUT differ bigint, OUT n bigint) LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE format('SELECT count(*) FROM ((SELECT id FROM %1$s WHERE %2$s EXCEPT ALL SELECT id FROM crm.%3$s WHERE %2$s)
		UNION ALL (SELECT id FROM crm.%3$s WHERE %2$s EXCEPT ALL SELECT id FROM %1$s WHERE %2$s)) d', replace(tab, '__c', ''), cond, tab) INTO differ;
	EXECUTE format('SELECT count(*) FROM %s WHERE %s', replace(tab, '__c', ''), cond) INTO n;
END $$;

CREATE FUNCTION ask(tab text, conds text[], OUT condition text, OUT differ bigint, OUT n bigint, OUT soql text, OUT class text) RETURNS SETOF record
LANGUAGE sql AS $$ SELECT c, d.*, e.* FROM unnest(conds) WITH ORDINALITY AS u(c, o), differ(tab, c) d, explained(tab, c) e ORDER BY o $$;

\pset format unaligned
\pset fieldsep ' | '
\pset footer off

-- IS DISTINCT FROM, of every type
SELECT * FROM ask('account', ARRAY[
	$$name IS NOT DISTINCT FROM 'Acme'$$, $$name IS DISTINCT FROM 'Acme'$$, $$name IS NOT DISTINCT FROM ''$$, $$industry IS NOT DISTINCT FROM NULL$$, $$industry IS DISTINCT FROM NULL$$,
	$$parentid IS NOT DISTINCT FROM '0015g0000000001AAA'$$, $$parentid IS DISTINCT FROM '0015g0000000001AAA'$$, $$parentid IS DISTINCT FROM '0015g0000000001'$$,
	$$annualrevenue IS NOT DISTINCT FROM 200000$$, $$annualrevenue IS DISTINCT FROM 200000$$, $$200000 IS DISTINCT FROM annualrevenue$$, $$annualrevenue IS NOT DISTINCT FROM 1234567890123456789$$,
	$$annualrevenue IS DISTINCT FROM 1234567890123456789$$, $$annualrevenue IS DISTINCT FROM 'NaN'$$,
	$$isdeleted IS NOT DISTINCT FROM false$$, $$isdeleted IS DISTINCT FROM false$$,
	$$createddate IS NOT DISTINCT FROM '2024-01-16 13:14:20'$$, $$createddate IS DISTINCT FROM '2024-01-16 13:14:20'$$, $$createddate IS DISTINCT FROM '2024-01-16 13:14:20.5'$$, $$createddate IS DISTINCT FROM 'infinity'$$,
	$$annualrevenue IS DISTINCT FROM numberofemployees$$, $$NOT (name IS NOT DISTINCT FROM 'Acme' AND annualrevenue IS DISTINCT FROM 200000)$$]);
SELECT * FROM ask('invoice__c', ARRAY[
	$$case_key__c IS NOT DISTINCT FROM 'KEY-003'$$, $$case_key__c IS DISTINCT FROM 'KEY-003'$$, $$due_date__c IS DISTINCT FROM '2024-02-29'$$, $$due_date__c IS NOT DISTINCT FROM '5000-01-01'$$,
	$$status__c IS DISTINCT FROM 'Draft'$$, $$tags__c IS NOT DISTINCT FROM 'Urgent'$$]);
-- its value may be null, as a parameter
SET plan_cache_mode = force_generic_plan;
PREPARE text_is(text) AS SELECT (SELECT count(*) FROM crm.account WHERE industry IS NOT DISTINCT FROM $1), (SELECT count(*) FROM account WHERE industry IS NOT DISTINCT FROM $1);
PREPARE ref_is(text) AS SELECT (SELECT count(*) FROM crm.account WHERE parentid IS NOT DISTINCT FROM $1), (SELECT count(*) FROM account WHERE parentid IS NOT DISTINCT FROM $1),
	(SELECT count(*) FROM crm.account WHERE parentid IS DISTINCT FROM $1), (SELECT count(*) FROM account WHERE parentid IS DISTINCT FROM $1);
PREPARE flag_is(bool) AS SELECT (SELECT count(*) FROM crm.account WHERE isdeleted IS NOT DISTINCT FROM $1), (SELECT count(*) FROM account WHERE isdeleted IS NOT DISTINCT FROM $1),
	(SELECT count(*) FROM crm.account WHERE isdeleted IS DISTINCT FROM $1), (SELECT count(*) FROM account WHERE isdeleted IS DISTINCT FROM $1);
\! $SANDBOXCTL mark
EXECUTE text_is('Technology');
EXECUTE text_is(NULL);
EXECUTE ref_is('0015g0000000001AAA');
EXECUTE ref_is(NULL);
EXECUTE flag_is(true);
EXECUTE flag_is(NULL);
\! $SANDBOXCTL soql
RESET plan_cache_mode;

-- LIKE and its kin
\! $SANDBOXCTL now 2024-06-15T12:00:00Z
INSERT INTO crm.account (name) VALUES ('Kelvin'), (U&'\212Aelvin'), (U&'D\0130YARBAKIR'), ('diyarbakir'), (U&'Stra\00DFe'), (U&'STRA\1E9EE'), (U&'\FB01n'), (U&'\017Falt'), (U&'e\0301clair'), ('per%cent'), ('under_score');
\! $SANDBOXCTL now off
DROP TABLE account; CREATE TABLE account AS TABLE crm.account;
SELECT * FROM ask('account', ARRAY[
	$$name LIKE 'Ac_e'$$, $$name LIKE '%\%%'$$, $$name LIKE '%\_%'$$, $$name LIKE 'a\c\m\e%'$$, $$name LIKE '%\\%'$$, $$name LIKE ''$$, $$name LIKE '%'$$, $$name NOT LIKE 'A%'$$, $$name LIKE 'a%b' ESCAPE '#'$$, $$name LIKE '100#%%' ESCAPE '#'$$,
	$$name ILIKE 'aC_E'$$, $$name ILIKE 'kelvin'$$, $$name ILIKE U&'\212Aelv%'$$, $$name ILIKE 'd_yarbak%'$$, $$name ILIKE 'diy%'$$, $$name ILIKE U&'%stra\00DFe%'$$, $$name ILIKE 'fin'$$, $$name ILIKE U&'\212A%'$$, $$name ILIKE '%\%%'$$, $$name NOT ILIKE 'a%'$$,
	$$starts_with(name, 'Ac')$$, $$name ^@ 'Ac'$$, $$name ^@ 'per%'$$, $$name ^@ 'under_'$$, $$name ^@ 'back\'$$, $$name ^@ ''$$, $$starts_with('Acme', name)$$, $$NOT starts_with(name, 'Ac')$$,
	$$lower(name) = 'acme'$$, $$lower(name) = 'ACME'$$, $$lower(name) = 'kelvin'$$, $$lower(name) = 'diyarbakir'$$, $$'acme' = lower(name)$$, $$lower(name) = lower('ACME')$$, $$lower(name) LIKE 'ac%'$$, $$lower(name) = 'per%cent'$$, $$lower(name) <> 'acme'$$, $$lower(name) IN ('acme', 'kelvin')$$,
	$$upper(name) = 'ACME'$$, $$upper(name) = 'FIN'$$, $$upper(name) = 'SALT'$$, $$upper(name) LIKE '%STRA%'$$, $$upper(name) = 'KELVIN'$$, $$upper(name) = 'Acme'$$,
	$$industry ILIKE 'tech%'$$, $$industry ^@ 'Tech'$$, $$lower(industry) = 'technology'$$, $$parentid LIKE '001%'$$, $$name ~ '^A'$$, $$name SIMILAR TO 'A%'$$, $$left(name, 2) = 'Ac'$$]);
SELECT count(*) FROM crm.account WHERE name LIKE 'back\';
SELECT count(*) FROM crm.account WHERE name ILIKE 'back\';
SELECT * FROM ask('invoice__c', ARRAY[$$case_key__c LIKE 'key%'$$, $$case_key__c ^@ 'KEY'$$, $$case_key__c ILIKE 'key-003'$$, $$lower(case_key__c) = 'key-003'$$]);

-- lists
SELECT * FROM ask('account', ARRAY[
	$$name IN ('Acme')$$, $$name = ANY ('{Acme,NULL,ACME}'::varchar[])$$, $$name = ANY ('{}')$$, $$name = ANY (NULL::text[])$$, $$name = ANY ('{NULL}')$$, $$name = ANY ('{{Acme,ACME},{b,c}}')$$,
	$$numberofemployees = ANY ('{100,NULL,500}'::int[])$$, $$numberofemployees = ANY ('{100,500}'::bigint[])$$, $$numberofemployees = ANY ('{100,2.5}'::numeric[])$$, $$annualrevenue = ANY ('{200000,0.5}'::numeric[])$$,
	$$annualrevenue = ANY ('{200000,0.1}'::float8[])$$, $$numberofemployees <> ALL ('{}')$$, $$numberofemployees <> ALL ('{100}')$$, $$numberofemployees <> ALL ('{100,NULL}')$$, $$numberofemployees NOT IN (100, 500)$$, $$numberofemployees < 3000000000$$, $$numberofemployees > -3000000000$$, $$numberofemployees = 3000000000$$, $$numberofemployees <> 3000000000$$, $$numberofemployees IN (100, 3000000000)$$, $$numberofemployees IS DISTINCT FROM 3000000000$$, $$annualrevenue < 3000000000$$, $$annualrevenue = ANY ('{200000,-12345678901}')$$,
	$$parentid = ANY ('{0015g0000000001AAA,x,0015g0000000001}')$$, $$parentid <> ALL ('{x}')$$, $$parentid = ANY ('{x}')$$, $$ownerid = ANY (ARRAY(SELECT ownerid FROM account))$$, $$name = ANY (ARRAY(SELECT 'Acme' WHERE false))$$,
	$$name IN (current_database(), upper('acme'))$$, $$name IN ('Acme', industry)$$, $$name IN ('Acme', random()::text)$$, $$annualrevenue > ANY ('{1,2}')$$, $$name = ALL ('{Acme}')$$, $$name <> ANY ('{Acme}')$$,
	$$createddate IN ('2024-01-16 13:14:20', '2024-01-16 13:14:20.5', 'infinity', '1500-01-01')$$, $$createddate NOT IN ('2024-01-16 13:14:20', 'infinity')$$,
	$$(name, industry) = ('Acme', 'Technology')$$, $$(name, industry) > ('A', 'B')$$, $$(name, industry) IN (('Acme', 'Energy'), ('ACME', 'Banking'))$$,
	$$annualrevenue BETWEEN SYMMETRIC 900000 AND 100000$$, $$annualrevenue NOT BETWEEN 100000 AND 900000$$]);
PREPARE any_of(text[], int[]) AS SELECT (SELECT count(*) FROM crm.account WHERE name = ANY ($1)), (SELECT count(*) FROM account WHERE name = ANY ($1)),
	(SELECT count(*) FROM crm.account WHERE numberofemployees <> ALL ($2)), (SELECT count(*) FROM account WHERE numberofemployees <> ALL ($2));
SET plan_cache_mode = force_generic_plan;
EXECUTE any_of('{Acme,it''s}', '{100}');
EXECUTE any_of('{}', '{}');
EXECUTE any_of(NULL, NULL);
EXECUTE any_of('{NULL}', '{NULL,1}');
EXECUTE any_of('{{Acme,ACME},{x,y}}', '{{1},{100}}');
RESET plan_cache_mode;

-- booleans, and conditions of conditions
SELECT * FROM ask('account', ARRAY[
	$$isdeleted$$, $$NOT isdeleted$$, $$isdeleted = true$$, $$isdeleted <> true$$, $$isdeleted IS TRUE$$, $$isdeleted IS NOT TRUE$$, $$isdeleted IS FALSE$$, $$isdeleted IS NOT FALSE$$, $$isdeleted IS UNKNOWN$$, $$isdeleted IS NOT UNKNOWN$$,
	$$coalesce(isdeleted, false)$$, $$coalesce(isdeleted, true)$$, $$NOT coalesce(isdeleted, true)$$, $$coalesce(annualrevenue > 0, false)$$, $$coalesce(annualrevenue > 0, true)$$, $$(annualrevenue > 0) IS TRUE$$, $$(annualrevenue > 0) IS NOT TRUE$$,
	$$(annualrevenue > 0) IS UNKNOWN$$, $$CASE WHEN isdeleted THEN false ELSE true END$$, $$isdeleted = (name = 'Acme')$$, $$isdeleted < true$$,
	$$annualrevenue = CASE WHEN now() > '2020-01-01' THEN 200000 ELSE 0 END$$, $$annualrevenue = coalesce(NULL, 200000)$$, $$createddate < current_date$$, $$createddate > clock_timestamp()$$, $$createddate > localtimestamp - interval '1 day'$$]);

-- what cannot be: no call
SELECT * FROM ask('account', ARRAY[
	$$name = NULL$$, $$industry IS NULL AND industry = 'Energy'$$, $$industry IS NULL AND industry IS NOT NULL$$, $$parentid IS NULL AND parentid IN ('0015g0000000001AAA')$$, $$annualrevenue IS NULL AND annualrevenue > 5$$,
	$$industry IS NULL AND (industry <> ALL ('{}') OR name = 'Acme')$$, $$annualrevenue IS NULL AND annualrevenue <> ALL ('{}')$$, $$annualrevenue IS NULL AND annualrevenue IS DISTINCT FROM 5$$,
	$$annualrevenue > 1 AND annualrevenue = 'Infinity'$$, $$createddate > 'infinity'$$, $$createddate <= '-infinity'$$, $$createddate = '2024-01-01 00:00:00.000001'$$, $$createddate < '1600-01-01'$$, $$createddate > '4500-01-01'$$, $$createddate < '4500-01-01'$$,
	$$id = '001'$$, $$id = ''$$, $$name = ''$$, $$isdeleted IS NULL$$, $$annualrevenue < '-Infinity'$$, $$createddate::date > 'infinity'$$, $$extract(year FROM createddate) = 5000$$, $$extract(year FROM createddate) = 2024.5$$]);

-- literals: digits without exponents, every special character, texts as long as a literal may be and longer
SELECT * FROM ask('account', ARRAY[
	$$annualrevenue = 1e5$$, $$annualrevenue = 2e5::float8$$, $$annualrevenue > 1e-7$$, $$annualrevenue > 1e-7::float8$$, $$annualrevenue <= 123456789012345$$, $$annualrevenue < 1234567890123456$$, $$annualrevenue <> 1e20$$, $$annualrevenue > '1e300'::float8$$,
	$$name = E'\b\f\n\r\t\\"'''$$, $$name = U&'\00E9\+01F600'$$, $$name LIKE E'%\t%'$$, $$site = repeat('x', 5) || '\'$$]);
SELECT (differ('account', format('name = repeat(%L, %s)', 'x', n))).*, (explained('account', format('name = repeat(%L, %s)', 'x', n))).soql IS DISTINCT FROM 'no call' AS call FROM unnest(ARRAY[4000, 4001]) n;
SELECT (differ('account', format('name LIKE repeat(%L, %s)', 'x', n))).*, (explained('account', format('name LIKE repeat(%L, %s)', 'x', n))).soql = 'all rows' AS all FROM unnest(ARRAY[4000, 4001]) n;
SELECT * FROM ask('account', ARRAY[$$description = 'x'$$, $$description IS NULL$$, $$description ILIKE 'x'$$, $$name COLLATE "POSIX" = 'Acme'$$]);
CREATE COLLATION nocase (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
SELECT * FROM ask('account', ARRAY[$$name COLLATE nocase = 'acme'$$, $$name = ANY ('{acme}' COLLATE nocase)$$, $$name IS NOT DISTINCT FROM 'acme' COLLATE nocase$$, $$name IS NOT DISTINCT FROM 'acme'$$]);

-- multi-select lists, as text and as array
SELECT * FROM ask('invoice__c', ARRAY[
	$$tags__c = 'Urgent'$$, $$tags__c = 'Urgent;Export'$$, $$tags__c = 'Export;Urgent'$$, $$tags__c = 'urgent'$$, $$tags__c = ''$$, $$tags__c = ';'$$, $$tags__c IN ('Urgent', 'Urgent;Export', 'Nothing such')$$, $$tags__c <> 'Urgent'$$, $$tags__c IS NULL$$, $$tags__c LIKE '%Urgent%'$$]);
SELECT * FROM ask('tagged', ARRAY[
	$$tags @> '{Urgent}'$$, $$tags @> '{Export,Urgent}'$$, $$tags @> '{urgent}'$$, $$tags @> '{}'$$, $$tags @> '{Urgent,NULL}'$$, $$tags @> '{"Urgent;Export"}'$$, $$tags @> '{""}'$$, $$tags @> '{{Urgent},{Export}}'$$, $$tags @> NULL$$, $$tags @> ARRAY['Öko & Fair', 'it''s']$$,
	$$tags && '{Urgent,Recurring}'$$, $$tags && '{}'$$, $$tags && '{NULL}'$$, $$tags && '{NULL,Urgent}'$$, $$tags && '{"Urgent;Export",""}'$$, $$'{Urgent}' && tags$$,
	$$tags <@ '{Urgent,Export}'$$, $$tags <@ '{}'$$, $$'{Urgent}' <@ tags$$, $$'{Urgent,Export}' @> tags$$, $$tags = '{Urgent,Export}'$$, $$tags = '{Export,Urgent}'$$, $$tags = '{}'$$, $$tags <> '{Urgent}'$$, $$tags IS NULL$$, $$tags IS NOT DISTINCT FROM '{Urgent}'$$,
	$$'Urgent' = ANY (tags)$$, $$'' = ANY (tags)$$, $$NULL = ANY (tags)$$, $$'Urgent' = ALL (tags)$$, $$'Urgent' <> ALL (tags)$$, $$'Urgent' <> ANY (tags)$$, $$'Urg%' LIKE ANY (tags)$$, $$tags[1] = 'Urgent'$$, $$cardinality(tags) = 2$$,
	$$vtags @> '{Urgent}'::varchar[]$$, $$'Urgent' = ANY (vtags)$$]);

-- functions of times
SELECT * FROM ask('account', ARRAY[
	$$date_trunc('month', createddate) = '2024-02-01'$$, $$date_trunc('month', createddate) = '2024-02-02'$$, $$date_trunc('month', createddate) <> '2024-02-01'$$, $$date_trunc('month', createddate) < '2024-02-02'$$, $$date_trunc('month', createddate) <= '2024-02-01'$$,
	$$date_trunc('month', createddate) > '2024-02-01'$$, $$date_trunc('month', createddate) >= '2024-02-01'$$, $$'2024-02-01' <= date_trunc('month', createddate)$$, $$date_trunc('month', createddate) IN ('2024-02-01', '2024-04-01', '2024-03-01')$$, $$date_trunc('month', createddate) NOT IN ('2024-02-01', '2024-04-01')$$,
	$$date_trunc('month', createddate) NOT IN ('2024-02-01', NULL)$$, $$date_trunc('month', createddate) = ANY ('{}')$$, $$date_trunc('month', createddate) <> ALL ('{}')$$, $$date_trunc('month', createddate) = NULL$$,
	$$date_trunc('week', createddate, 'America/New_York') = '2024-01-15 00:00-05'$$, $$date_trunc('hour', createddate) = '2024-01-16 13:00'$$, $$date_trunc('second', createddate) = '2024-01-16 13:14:20'$$, $$date_trunc('century', createddate) = '2001-01-01'$$, $$date_trunc('day', createddate) = date '2024-01-16'$$,
	$$date_trunc('Month', createddate) = '2024-02-01'$$, $$date_trunc('months', createddate) = '2024-02-01'$$, $$date_trunc('day', createddate, 'Etc/GMT+5') = '2024-01-16 05:00Z'$$, $$date_trunc('day', createddate, 'Europe/Paris') = '2024-01-16'$$,
	$$extract(year FROM createddate) = 2024$$, $$extract(year FROM createddate) IN (2022, 2024, 2025)$$, $$extract(year FROM createddate) BETWEEN 2020 AND 2023$$, $$extract(year FROM createddate)::int = 2024$$, $$date_part('year', createddate) > 2023.5$$, $$extract(isoyear FROM createddate) = 2024$$, $$extract(epoch FROM createddate) < 1706000000$$, $$extract(epoch FROM createddate)::int < 1706000000$$,
	$$extract(month FROM createddate) = 1$$, $$extract(dow FROM createddate) = 1$$,
	$$createddate::date = '2024-01-16'$$, $$createddate::date <> '2024-01-16'$$, $$createddate::date IN ('2024-01-16', '2024-01-17', '2024-01-20')$$, $$createddate::date BETWEEN '2024-01-16' AND '2024-01-18'$$, $$createddate::date < '2024-01-16'$$, $$createddate::date > timestamp '2024-01-16 12:00'$$, $$createddate::date > timestamptz '2024-01-16 12:00Z'$$, $$createddate::date = 'infinity'$$,
	$$createddate::timestamp < '2024-01-16 13:14:20'$$, $$createddate::timestamp < timestamptz '2024-01-16 13:14:20'$$, $$createddate AT TIME ZONE 'America/New_York' < '2024-01-16'$$, $$(createddate AT TIME ZONE 'Asia/Tokyo')::date = '2024-01-16'$$, $$date_trunc('day', createddate AT TIME ZONE 'Asia/Tokyo') AT TIME ZONE 'Asia/Tokyo' = '2024-01-15 16:00'$$,
	$$date_trunc('hour', createddate AT TIME ZONE 'Asia/Tokyo') AT TIME ZONE 'Asia/Tokyo' = '2024-01-15 16:00'$$, $$createddate AT TIME ZONE 'UTC' AT TIME ZONE 'Asia/Tokyo' < '2024-01-16'$$, $$createddate AT TIME ZONE current_setting('timezone') < '2024-01-16'$$, $$createddate::time < '12:00'$$, $$createddate + interval '1 day' > '2024-01-16'$$, $$age(createddate) > '1 day'$$, $$to_char(createddate, 'YYYY') = '2024'$$,
	$$date_trunc('month', createddate) = date_trunc('month', lastmodifieddate)$$, $$createddate::date = now()::date$$, $$createddate::date < now() - interval '1 year'$$]);
SELECT * FROM ask('invoice__c', ARRAY[
	$$date_trunc('month', due_date__c) = '2024-02-01'$$, $$date_trunc('month', due_date__c) > '2024-02-01'$$, $$date_trunc('month', due_date__c) = '2024-02-02'$$, $$date_trunc('quarter', due_date__c::timestamp) IN ('2024-01-01', '2024-04-01')$$, $$extract(year FROM due_date__c) = 2024$$, $$extract(year FROM due_date__c) <> 2024$$,
	$$extract(year FROM due_date__c) >= 1700$$, $$extract(year FROM due_date__c) IN (1700, 4000)$$, $$date_part('year', due_date__c) = 2024$$, $$extract(month FROM due_date__c) = 2$$, $$due_date__c::timestamptz <= '2024-02-29 12:00'$$, $$due_date__c::timestamp < '2024-02-29'$$, $$due_date__c + 1 > '2024-02-29'$$,
	$$paid_at__c::date = '2024-07-07'$$, $$paid_at__c::date <> '2024-07-07'$$, $$paid_at__c::date IS NULL$$]);
SELECT * FROM ask('utc', ARRAY[
	$$t::date = '2024-07-07'$$, $$date_trunc('month', t) = '2024-07-01'$$, $$extract(year FROM t) = 2024$$, $$t AT TIME ZONE 'Asia/Tokyo' < '2024-07-07'$$, $$date_trunc('day', t) AT TIME ZONE 'Asia/Tokyo' < '2024-07-07'$$, $$t::timestamptz < '2024-07-07'$$, $$t < timestamptz '2024-07-07'$$]);
CREATE FUNCTION days(n int, step int) RETURNS date[] LANGUAGE sql STABLE AS $$ SELECT array_agg(date '2024-01-10' + step * g) FROM generate_series(0, n - 1) g $$;
PREPARE day_is(date, date[]) AS SELECT (SELECT count(*) FROM crm.account WHERE createddate::date = $1), (SELECT count(*) FROM account WHERE createddate::date = $1),
	(SELECT count(*) FROM crm.account WHERE createddate::date = ANY ($2)), (SELECT count(*) FROM account WHERE createddate::date = ANY ($2));
SET plan_cache_mode = force_generic_plan;
\! $SANDBOXCTL mark
EXECUTE day_is('2024-01-16', '{2024-01-16,2024-01-17}');
SET timezone = 'Asia/Tokyo';
EXECUTE day_is('2024-01-16', '{}');
EXECUTE day_is(NULL, NULL);
EXECUTE day_is('infinity', days(400, 2));
EXECUTE day_is('0001-01-01', days(1001, 1));
\! $SANDBOXCTL soql
RESET plan_cache_mode;

-- clocks that are set forward and back, at midnight, by half an hour, by a whole day
INSERT INTO crm.invoice__c (ext_id__c, paid_at__c)
SELECT 'clock-' || row_number() OVER (), t FROM (
	SELECT c + n * interval '30 min' + s * interval '1 s' AS t
	FROM unnest('{2010-11-07 02:31Z,2020-11-01 05:00Z,2021-04-03 15:00Z,2021-10-02 15:30Z,2011-12-30 10:00Z,2018-11-04 03:00Z,2018-02-18 02:00Z,2024-03-31 01:00Z,2024-10-27 01:00Z}'::timestamptz[]) c,
		generate_series(-54, 54) n, unnest('{-1,0}'::int[]) s WHERE s = 0 OR n BETWEEN -3 AND 3) x;
CREATE FOREIGN TABLE crm.clock__c (id text OPTIONS (field 'Id'), ext text OPTIONS (field 'Ext_Id__c'), t timestamptz OPTIONS (field 'Paid_At__c')) SERVER sf OPTIONS (object 'Invoice__c');
CREATE TABLE clock AS SELECT * FROM crm.clock__c WHERE ext LIKE 'clock-%';
CREATE FUNCTION clocks(zone text, fn text, OUT tested bigint, OUT differ bigint) LANGUAGE plpgsql AS $$
DECLARE value text; op text; here bigint; there bigint;
BEGIN
	PERFORM set_config('timezone', zone, true);
	tested := 0; differ := 0;
	FOR value IN EXECUTE format('SELECT DISTINCT quote_literal(v) FROM (SELECT %1$s AS v, t, row_number() OVER (ORDER BY t) FROM clock) x WHERE row_number %% 97 = 7 OR t IN (''2021-04-03 14:59:59Z'', ''2020-11-01 04:59:59Z'', ''2010-11-07 02:30:59Z'')', fn) LOOP
		FOREACH op IN ARRAY '{=,<>,<,<=,>,>=}'::text[] LOOP
			EXECUTE format('SELECT coalesce(sum(hashtext(id)), 0) FROM crm.clock__c WHERE %s %s %s AND ext LIKE ''clock-%%''', fn, op, value) INTO there;
			EXECUTE format('SELECT coalesce(sum(hashtext(id)), 0) FROM clock WHERE %s %s %s', fn, op, value) INTO here;
			tested := tested + 1;
			differ := differ + (here <> there)::int;
		END LOOP;
	END LOOP;
END $$;
SELECT zone, fn, c.tested > 50 AS tested, c.differ FROM unnest('{America/St_Johns,America/Havana,Australia/Lord_Howe,Pacific/Apia,America/Sao_Paulo,Europe/Berlin}'::text[]) zone,
	unnest(ARRAY['t::date', $$date_trunc('day', t)$$, $$date_trunc('hour', t)$$, $$t AT TIME ZONE 'Australia/Lord_Howe'$$]) fn, clocks(zone, fn) c ORDER BY 1, 2;

-- exact ones are trusted: LIMIT and aggregates go along
SET timezone = 'UTC';
\! $SANDBOXCTL mark
SELECT count(*) FROM crm.account WHERE createddate::date = '2024-01-16' AND industry IS NOT NULL;
SELECT count(*) FROM (SELECT FROM crm.account WHERE extract(year FROM createddate) = 2024 AND parentid IS DISTINCT FROM '0015g0000000001AAA' LIMIT 3) x;
SELECT count(*) FROM (SELECT FROM crm.account WHERE name ILIKE 'a%' LIMIT 3) x;
\! $SANDBOXCTL soql
