-- Who reads in whose name: each role by its own mapping, a view or a SECURITY DEFINER function by its owner's.
-- Codes, since the words for a missing mapping differ between versions and a login's failure names the port:
-- 42704 no mapping, 42501 no privilege, 28P01 the login was refused.
\set VERBOSITY sqlstate
SET client_min_messages = warning;

CREATE ROLE regress_ampsf_mapped;
CREATE ROLE regress_ampsf_unmapped;
CREATE ROLE regress_ampsf_wrong;
GRANT USAGE ON SCHEMA crm, public TO regress_ampsf_mapped, regress_ampsf_unmapped, regress_ampsf_wrong;
GRANT SELECT ON crm.account TO regress_ampsf_mapped, regress_ampsf_unmapped, regress_ampsf_wrong;
CREATE USER MAPPING FOR regress_ampsf_mapped SERVER sf OPTIONS (client_id 'sandbox', client_secret 'sandbox');
CREATE USER MAPPING FOR regress_ampsf_wrong SERVER sf OPTIONS (client_id 'sandbox', client_secret 'not the secret');

CREATE VIEW of_owner AS SELECT id, name FROM crm.account;
CREATE VIEW of_invoker WITH (security_invoker) AS SELECT id, name FROM crm.account;
CREATE FUNCTION by_definer() RETURNS boolean LANGUAGE sql SECURITY DEFINER AS 'SELECT count(*) > 0 FROM crm.account';
CREATE FUNCTION by_caller() RETURNS boolean LANGUAGE sql AS 'SELECT count(*) > 0 FROM crm.account';
GRANT SELECT ON of_owner, of_invoker TO PUBLIC;
-- One plan for all roles that execute it.
SET plan_cache_mode = force_generic_plan;
PREPARE p(text) AS SELECT name FROM crm.account WHERE name = $1;
EXECUTE p('Acme');

SET ROLE regress_ampsf_mapped;
EXECUTE p('Acme');
SELECT count(*) > 0 AS rows FROM of_invoker;
SELECT by_caller();

SET ROLE regress_ampsf_unmapped;
EXECUTE p('Acme');
SELECT count(*) > 0 AS rows FROM of_owner;
SELECT by_definer();
SELECT count(*) > 0 AS rows FROM of_invoker;
SELECT by_caller();
SELECT 1 FROM crm.contact;
-- Planning needs no mapping.
EXPLAIN (COSTS OFF) SELECT 1 FROM of_invoker;
SELECT ampsf.query('sf', 'SELECT Id FROM Account');
SELECT option FROM pg_user_mappings, unnest(umoptions) option WHERE usename = 'regress_ampsf_mapped';

SET ROLE regress_ampsf_wrong;
EXECUTE p('Acme');
SELECT count(*) > 0 AS rows FROM of_owner;
RESET ROLE;
EXECUTE p('Acme');

-- A cursor reads in the name of the role that declared it.
BEGIN;
DECLARE c CURSOR WITH HOLD FOR SELECT name FROM crm.account WHERE name = 'Acme';
SET LOCAL ROLE regress_ampsf_unmapped;
COMMIT;
FETCH ALL FROM c;
CLOSE c;

\set VERBOSITY terse
-- What a security barrier hides is never shown to a function, whatever it costs.
CREATE FUNCTION peek(text) RETURNS boolean LANGUAGE plpgsql COST 0.0000001 AS $$ BEGIN RAISE WARNING 'saw %', $1; RETURN true; END $$;
CREATE VIEW barrier WITH (security_barrier) AS SELECT id, name FROM crm.account WHERE name IN ('Acme') AND isdeleted = false;
EXPLAIN (VERBOSE, COSTS OFF) SELECT name FROM barrier WHERE peek(name);
SELECT name FROM barrier WHERE peek(name);

DROP OWNED BY regress_ampsf_mapped, regress_ampsf_unmapped, regress_ampsf_wrong;
DROP USER MAPPING IF EXISTS FOR regress_ampsf_mapped SERVER sf;
DROP USER MAPPING IF EXISTS FOR regress_ampsf_wrong SERVER sf;
DROP ROLE regress_ampsf_mapped, regress_ampsf_unmapped, regress_ampsf_wrong;
