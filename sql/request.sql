-- ampsf.request() and its shorthands: what is sent, what comes back, and what is refused before a byte is sent.
\pset null '(null)'

-- An answer in JSON; headers; a header of ours.
SELECT status, headers->>'content-type' AS type, headers ? 'sforce-limit-info' AS quota, body->'totalSize' AS n, bytes
FROM ampsf.request('sf', 'GET', 'query?q=SELECT Name FROM Account WHERE Name LIKE ''A%'' LIMIT 1');
SELECT status, body->>'errorCode' IS NULL AS ok, jsonb_typeof(body) FROM ampsf.request('sf', 'get', '/services/data/');
SELECT status, headers->>'content-type' AS type, body, bytes FROM ampsf.request('sf', 'HEAD', 'limits');
SELECT body->'headers' AS sent FROM ampsf.request('sf', 'GET', '/services/apexrest/echo/x?a=1&b=a@b.c',
	headers => '{"X-Custom": "yes", "Accept": "text/csv", "Sforce-Call-Options": "client=other"}');

-- A status is a result, not an error.
SELECT status, body FROM ampsf.request('sf', 'GET', 'sobjects/Nonsense');
SELECT status, body->0->>'errorCode' AS code FROM ampsf.request('sf', 'GET', 'query?q=SELECT FROM');

-- Writes; an update's answer has no body.
CREATE TEMP TABLE made AS
	SELECT body->>'id' AS id FROM ampsf.request('sf', 'POST', 'sobjects/Account', '{"Name": "By request: ä"}');
SELECT status, body, bytes FROM made, ampsf.request('sf', 'PATCH', 'sobjects/Account/' || id, '{"Phone": "1"}');
SELECT status, body->>'Name' AS name, body->>'Phone' AS phone
FROM made, ampsf.request('sf', 'GET', 'sobjects/Account/' || id || '?fields=Name,Phone');
SELECT status, body FROM made, ampsf.request('sf', 'DELETE', 'sobjects/Account/' || id);

-- Apex REST, Tooling and Connect.
SELECT status, body->>'method' AS method, body->>'body' AS body
FROM ampsf.request('sf', 'PUT', '/services/apexrest/echo', '{"a": [1, null, "ü"]}');
SELECT body->>'body' AS body, body->'headers'->>'Content-Type' AS type
FROM ampsf.request('sf', 'POST', '/services/apexrest/echo', to_jsonb(E'a,b\n1,"2"'::text), '{"Content-Type": "text/csv"}');
SELECT status, body FROM ampsf.request('sf', 'POST', '/services/apexrest/fail', '{}');
SELECT body->>'entityTypeName' AS entity, body->'size' AS size
FROM ampsf.request('sf', 'GET', 'tooling/query?q=SELECT Id FROM User LIMIT 1');
SELECT status, left(body->>'orgId', 3) AS org FROM ampsf.request('sf', 'GET', 'connect/organization');

-- Bodies that are no JSON, or that jsonb cannot hold.
SELECT status, body, convert_from(bytes, 'UTF8') AS text FROM ampsf.request('sf', 'GET', '/services/apexrest/text');
SELECT status, body, bytes FROM ampsf.request('sf', 'GET', '/services/apexrest/bytes');
SELECT status, body, convert_from(bytes, 'UTF8') AS text FROM ampsf.request('sf', 'GET', '/services/apexrest/nul');

-- A redirect is shown, not followed, and a cookie is not shown.
SELECT status, headers->>'location' AS location, headers ? 'set-cookie' AS cookie
FROM ampsf.request('sf', 'GET', '/services/apexrest/away');

-- Nothing but the server's host.
CREATE FUNCTION refused(path text, method text DEFAULT 'GET', headers jsonb DEFAULT NULL) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	PERFORM ampsf.request('sf', method, path, NULL, headers);
	RETURN 'was sent';
EXCEPTION WHEN OTHERS THEN
	RETURN sqlstate || ': ' || sqlerrm;
END $$;
SELECT path, refused(path) FROM unnest(ARRAY[
	'https://evil.example/', 'http:evil', 'HTTPS://evil.example', 'x:y', '//evil.example/', '/\evil.example', '\\evil',
	'@evil.example/', '/services/data@evil', '.evil.example/', E'/services/data\r\nX: y', E'sobjects\t', E'sobjects\n', '',
	'?q=1', '/', '/x', '/servicesx/', '/services/../secur', 'sobjects/..', 'sobjects/%2e%2E/x', 'sobjects//x', 'a/./b',
	'/services/%0d%0a', '/services/x%00/../oauth2/token', '/services/%5cevil', 'x#y', '/services/oauth2/token', '/services/%6fAuth2/authorize',
	'/services/oauth2/singleaccess', '/services/oauth2/userinfo/x', 'sobjects/Account?_HttpMethod=PATCH',
	'x?a=1&%5fhttpMethod=DELETE']) AS path;
SELECT status, body ? 'user_id' AS me FROM ampsf.request('sf', 'GET', '/services/oauth2/userinfo');
SELECT headers, refused('sobjects', 'GET', headers) FROM unnest(ARRAY[
	'{"Authorization": "Bearer x"}', '{"authorization": "x"}', '{"Host": "evil"}', '{"Cookie": "sid=1"}',
	'{"Content-Length": 3}', '{"transfer-encoding": "chunked"}', '{"X-HTTP-Method-Override": "DELETE"}',
	'{"Proxy-Authorization": "x"}', '{"A: b": "c"}', '{"": "c"}', '{"Accept": "x\r\nHost: evil"}', '{"Accept": "ä"}',
	'{"Accept": ["a"]}', '["Accept"]', '"x"']::jsonb[]) AS headers;
SELECT refused('sobjects', 'TRACE'), refused('sobjects', E'GET\r\nX'), refused('sobjects', ''), refused(NULL);
SELECT ampsf.request('sf', 'GET', 'sobjects', '{}');
SELECT ampsf.request('sf', 'POST', '/services/apexrest/echo', '{"a": 1}', '{"Content-Type": "text/csv"}');
SELECT ampsf.request('nowhere', 'GET', 'sobjects');

-- A transaction that reads only reads only.
BEGIN READ ONLY;
SELECT status FROM ampsf.request('sf', 'GET', 'limits');
SELECT status FROM ampsf.request('sf', 'HEAD', 'limits');
SAVEPOINT s;
SELECT status FROM ampsf.request('sf', 'POST', 'sobjects/Account', '{"Name": "x"}');
ROLLBACK TO s;
SELECT status FROM ampsf.request('sf', 'DELETE', 'sobjects/Account/001000000000001');
ROLLBACK;

-- Only a read is repeated.
\set QUIET on
\! curl -fsS -X POST "$SANDBOX_URL/__sandbox/faults" -d 'path=/services/apexrest/*;count=1;do=status;status=503' >/dev/null
SELECT status FROM ampsf.request('sf', 'GET', '/services/apexrest/text');
\! curl -fsS -X POST "$SANDBOX_URL/__sandbox/faults" -d 'path=/services/apexrest/*;count=1;do=status;status=503' >/dev/null
SELECT status FROM ampsf.request('sf', 'POST', '/services/apexrest/echo', '{}');
\! curl -fsS -X DELETE "$SANDBOX_URL/__sandbox/faults" >/dev/null

-- Who may.
CREATE ROLE regress_request;
SELECT p.proname, has_function_privilege('regress_request', p.oid, 'EXECUTE') FROM pg_proc p
WHERE pronamespace = 'ampsf'::regnamespace AND proname IN
	('request', 'search', 'describe', 'objects', 'fields', 'picklist_values', 'relationships', 'report', 'login', 'login_url')
ORDER BY proname;
GRANT EXECUTE ON FUNCTION ampsf.request TO regress_request;
SET ROLE regress_request;
SELECT ampsf.request('sf', 'GET', 'limits');
RESET ROLE;
REVOKE EXECUTE ON FUNCTION ampsf.request FROM regress_request;
DROP ROLE regress_request;

-- Shorthands
SELECT * FROM ampsf.objects('sf') WHERE name IN ('Account', 'Invoice__c', 'AccountHistory');
SELECT name, key_prefix, custom, deletable, fields > 50 AS many, child_relationships > 5 AS children,
	description->>'labelPlural' AS plural FROM ampsf.describe('sf', 'account');
SELECT * FROM ampsf.describe('sf', 'Nonsense');
SELECT * FROM ampsf.describe('sf', 'Account/../x');
SELECT name, type, length, "precision", scale, nillable, "unique", reference_to, relationship
FROM ampsf.fields('sf', 'Contact') WHERE name IN ('Id', 'LastName', 'AccountId', 'Email', 'MailingLatitude') ORDER BY n;
SELECT n, value, label, active, is_default, restricted, controller FROM ampsf.picklist_values('sf', 'Opportunity')
WHERE field = 'StageName' AND n <= 3;
SELECT * FROM ampsf.relationships('sf') WHERE parent = 'Account' AND child IN ('Contact', 'Case', 'Opportunity')
ORDER BY child, field;

-- Search
SELECT object, record->>'Name' AS name, id = record->>'Id' AS same_id FROM ampsf.search('sf',
	'FIND {acme*} IN NAME FIELDS RETURNING Account(Id, Name ORDER BY Name LIMIT 3), Contact(Id)');
SELECT object, count(*) > 0 AS some, bool_and(length(id) = 18) AS ids FROM ampsf.search('sf', 'FIND {a*} RETURNING Account(Name), Contact LIMIT 7') GROUP BY object;
SELECT * FROM ampsf.search('sf', 'FIND {x} RETURNING Account');
SELECT * FROM ampsf.search('sf', 'FIND {acme} RETURNING Account(Nonsense)');
SELECT * FROM ampsf.search('sf', 'find acme');
SELECT * FROM ampsf.search('sf', ' ');

-- Reports
SELECT key, groups, n, record->'ACCOUNT.NAME' AS name, labels->'SALES' AS sales FROM ampsf.report('sf', '00O5g0000000001')
WHERE n <= 3;
SELECT key, groups, record->'RowCount' = to_jsonb(count(*) FILTER (WHERE n IS NOT NULL) OVER (PARTITION BY key)) AS counted
FROM ampsf.report('sf', '00O5g0000000002') WHERE key = '0!T' ORDER BY n NULLS FIRST LIMIT 2;
SELECT (SELECT record->'RowCount' FROM ampsf.report('sf', '00O5g0000000002') WHERE key = 'T!T')
	= to_jsonb((SELECT count(*) FROM crm.opportunity)) AS all_counted;
SELECT * FROM ampsf.report('sf', '00O5g0000000009');
SELECT * FROM ampsf.report('sf', '../limits');
