-- The way in: logins by code, of the Salesforce CLI, by secrets in files; what is refused and with which hint.
-- With a real browser, and with rotating tokens, they are in test/t/login.t and browser.t.
\pset null '(null)'

CREATE FUNCTION said(sql text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	detail text;
	hint text;
	result text;
BEGIN
	IF sql LIKE 'SELECT%' THEN
		EXECUTE sql INTO result;
	ELSE
		EXECUTE sql;
	END IF;
	RETURN coalesce(result, 'done');
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
	RETURN regexp_replace(concat_ws(E'\n', sqlstate || ': ' || sqlerrm, nullif(detail, ''), nullif('-> ' || hint, '-> ')),
		'127.0.0.1:\d+', 'HOST', 'g');
END $$;

-- The address for the browser: everything in its place, the secrets new each time.
DROP USER MAPPING FOR CURRENT_USER SERVER sf;
SELECT said($$SELECT ampsf.login_url('sf')$$);
CREATE USER MAPPING FOR CURRENT_USER SERVER sf OPTIONS (client_id 'sandbox public & more');
SELECT said($$SELECT count(*) FROM crm.account$$);
CREATE TABLE urls AS SELECT n, ampsf.login_url('sf') AS url FROM generate_series(1, 2) n;
SELECT regexp_replace(regexp_replace(url, '127.0.0.1(%3A|:)\d+', 'HOST', 'g'), '(state|code_challenge)=[\w-]{43}(?=&|$)', '\1=...', 'g') FROM urls WHERE n = 1;
SELECT count(DISTINCT substring(url FROM 'state=([\w-]+)')) AS states, count(DISTINCT substring(url FROM 'code_challenge=([\w-]+)')) AS challenges FROM urls;
SELECT ampsf.login_url('sf', '') !~ 'scope' AS none, ampsf.login_url('sf', 'api refresh_token pardot_api') ~ 'scope=api%20refresh_token%20pardot_api&' AS others;
ALTER USER MAPPING FOR CURRENT_USER SERVER sf OPTIONS (ADD redirect_uri 'http://localhost:1717/OauthRedirect');
SELECT substring(ampsf.login_url('sf') FROM 'redirect_uri=([^&]+)') AS redirect_uri;
ALTER USER MAPPING FOR CURRENT_USER SERVER sf OPTIONS (SET redirect_uri 'localhost');
ALTER USER MAPPING FOR CURRENT_USER SERVER sf OPTIONS (SET redirect_uri E'http://localhost\r\nX: y');

-- Its end: what is no answer, or another's.  A state that fits is in test/t/login.t.
SELECT answer, said(format('SELECT ampsf.login(%L, %L)', 'sf', answer)) FROM unnest(ARRAY[
	'https://x.example/success?code=abc', 'https://x.example/?code=abc&state=', 'https://x.example/?state=xyz&code=abc',
	'https://x.example/#code=abc', '', '  ', 'a code', E'code\r\n', 'aPrxNotGivenToAnybody']) AS answer;
SELECT said($$SELECT ampsf.login('sf', 'aPrx')$$);
BEGIN READ ONLY;
SELECT ampsf.login('sf', 'x');
ROLLBACK;
CREATE ROLE regress_login;
SET ROLE regress_login;
SELECT said($$SELECT ampsf.login_url('sf')$$);
SELECT said($$SELECT ampsf.login('sf', 'x')$$);
SELECT count(*) > 20 AS everybody FROM ampsf.login_errors();
RESET ROLE;
DROP ROLE regress_login;

-- Options that do not go together.
ALTER USER MAPPING FOR CURRENT_USER SERVER sf OPTIONS (DROP redirect_uri, SET client_id 'sandbox');
ALTER USER MAPPING FOR CURRENT_USER SERVER sf OPTIONS (ADD access_token 'x');
SELECT said($$SELECT ampsf.login_url('sf')$$);
ALTER USER MAPPING FOR CURRENT_USER SERVER sf OPTIONS (DROP access_token, ADD client_secret 'a', ADD client_secret_file '/b');
SELECT said($$SELECT count(*) FROM crm.account$$);
ALTER USER MAPPING FOR CURRENT_USER SERVER sf OPTIONS (DROP client_secret, ADD refresh_token 'a', ADD refresh_token_file '/b');
SELECT said($$SELECT count(*) FROM crm.account$$);
ALTER USER MAPPING FOR CURRENT_USER SERVER sf OPTIONS (DROP refresh_token, DROP refresh_token_file, SET client_secret_file '/nowhere/secret');
SELECT said($$SELECT count(*) FROM crm.account$$);
ALTER USER MAPPING FOR CURRENT_USER SERVER sf OPTIONS (SET client_secret_file 'secret');
ALTER USER MAPPING FOR CURRENT_USER SERVER sf OPTIONS (DROP client_secret_file, DROP client_id, ADD sfdx_auth_url 'force://a:b:c@elsewhere.my.salesforce.com');
SELECT said($$SELECT count(*) FROM crm.account$$);
SELECT said($$SELECT ampsf.login_url('sf')$$);
ALTER USER MAPPING FOR CURRENT_USER SERVER sf OPTIONS (ADD client_id 'x');
SELECT said($$SELECT count(*) FROM crm.account$$);

-- The forms of an sfdx_auth_url.
SELECT url, said(format('ALTER USER MAPPING FOR CURRENT_USER SERVER sf OPTIONS (SET sfdx_auth_url %L)', url)) FROM unnest(ARRAY[
	'force://id:secret:token@host', 'force://id::token@host', 'force://token@host', 'force://id:secret:token@https://host/',
	'force://id:secret:token', 'force://id:secret@host', 'force://:secret:token@host', 'force://id:secret:@host', 'force://@host',
	'force://id:secret:token@', 'force://a:b:c:d@host', 'https://id:secret:token@host', 'force:', 'x']) AS url;

-- The CLI's login at work, for the host that the server has.
DO $$ BEGIN
	EXECUTE format('ALTER USER MAPPING FOR CURRENT_USER SERVER sf OPTIONS (DROP client_id, SET sfdx_auth_url %L)',
		'force://sandbox:sandbox:sandbox@' || (SELECT substring(o FROM '//(.*)$') FROM pg_foreign_server, unnest(srvoptions) o
			WHERE srvname = 'sf' AND o LIKE 'instance_url=%'));
END $$;
SELECT count(*) > 0 AS rows FROM crm.account;
SELECT status, detail ~ '^refresh token' AS by_refresh_token FROM ampsf.doctor('sf') WHERE step = 'login';

-- The table of errors: each with a cause and a cure, the special before the general.
SELECT count(*) AS errors, bool_and(cause ~ '\.$' AND cure ~ '\.$') AS sentences FROM ampsf.login_errors();
SELECT error FROM (SELECT error, description, n, min(n) FILTER (WHERE description IS NULL) OVER (PARTITION BY error) AS general
	FROM ampsf.login_errors() WITH ORDINALITY AS e(error, description, cause, cure, n)) e WHERE n > general;
