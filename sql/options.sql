--
-- Options: one table drives the validator, the readers and the documentation.
--
SELECT context, name, left(value, 30) AS value, default_value, secret FROM ampsf.options();

-- server: the shortest that works, and the longest
CREATE SERVER s1 FOREIGN DATA WRAPPER ampsf_fdw OPTIONS (workspace 'acme');
CREATE SERVER s2 FOREIGN DATA WRAPPER ampsf_fdw OPTIONS (
	instance_url 'https://acme--dev.sandbox.my.salesforce.com/', login_url 'https://test.salesforce.com', module 'crm',
	api_version '58.0', page_size '500', ca_file '/etc/ssl/ca.pem', connect_timeout '5', request_timeout '60',
	max_retries '0', max_response_mb '64', compression 'off', call_cost '0', updatable 'no');
-- one of the two addresses, and not both
CREATE SERVER bad FOREIGN DATA WRAPPER ampsf_fdw;
CREATE SERVER bad FOREIGN DATA WRAPPER ampsf_fdw OPTIONS (workspace 'acme', instance_url 'https://acme.my.salesforce.com');
ALTER SERVER s1 OPTIONS (DROP workspace);
ALTER SERVER s1 OPTIONS (DROP workspace, ADD instance_url 'https://acme.my.salesforce.com');
-- a workspace is a name
ALTER SERVER s2 OPTIONS (DROP instance_url, ADD workspace 'acme.example.com/x');
ALTER SERVER s2 OPTIONS (DROP instance_url, ADD workspace 'acme@evil');
ALTER SERVER s2 OPTIONS (DROP instance_url, ADD workspace '');
ALTER SERVER s2 OPTIONS (DROP instance_url, ADD workspace 'acme--dev.sandbox');
ALTER SERVER s2 OPTIONS (DROP workspace, ADD instance_url 'https://acme.my.salesforce.com:8443');

-- addresses: https, a host, nothing else
ALTER SERVER s1 OPTIONS (SET instance_url 'acme.my.salesforce.com');
ALTER SERVER s1 OPTIONS (SET instance_url 'ftp://acme.my.salesforce.com');
ALTER SERVER s1 OPTIONS (SET instance_url 'http://acme.my.salesforce.com');
ALTER SERVER s1 OPTIONS (SET instance_url 'https://');
ALTER SERVER s1 OPTIONS (SET instance_url 'https://acme.my.salesforce.com/services');
ALTER SERVER s1 OPTIONS (SET instance_url 'https://user:pw@acme.my.salesforce.com');
ALTER SERVER s1 OPTIONS (SET instance_url 'https://acme.my.salesforce.com?x=1');
ALTER SERVER s1 OPTIONS (SET instance_url 'https://acme.my.salesforce.com#x');
ALTER SERVER s1 OPTIONS (SET instance_url E'https://acme.my.sales\nforce.com');
ALTER SERVER s1 OPTIONS (SET instance_url 'https://acme.my.salesforce.com:port');
ALTER SERVER s1 OPTIONS (SET instance_url 'http://127.0.0.1.example.com');
ALTER SERVER s1 OPTIONS (SET instance_url 'HTTPS://Acme.my.salesforce.com');
ALTER SERVER s1 OPTIONS (ADD login_url 'http://login.salesforce.com');
-- plain http to this machine is a superuser's decision
SET ampsf.allow_http_loopback = off;
ALTER SERVER s1 OPTIONS (SET instance_url 'http://127.0.0.1:8089');
ALTER SERVER s1 OPTIONS (SET instance_url 'http://localhost:8089');
SET ampsf.allow_http_loopback = on;
ALTER SERVER s1 OPTIONS (SET instance_url 'http://127.0.0.1:8089');
ALTER SERVER s1 OPTIONS (SET instance_url 'http://localhost:8089');
ALTER SERVER s1 OPTIONS (SET instance_url 'http://[::1]:8089');
SET ROLE guest;
SET ampsf.allow_http_loopback = off;
SET ampsf.allowed_hosts = '*';
RESET ROLE;

-- values
ALTER SERVER s1 OPTIONS (ADD module 'account_engagement');
ALTER SERVER s1 OPTIONS (ADD module 'erp');
ALTER SERVER s1 OPTIONS (ADD api_version '62');
ALTER SERVER s1 OPTIONS (ADD api_version 'v62.0');
ALTER SERVER s1 OPTIONS (ADD api_version '46.0');
ALTER SERVER s1 OPTIONS (ADD api_version '62.5');
ALTER SERVER s1 OPTIONS (ADD page_size '199');
ALTER SERVER s1 OPTIONS (ADD page_size '2001');
ALTER SERVER s1 OPTIONS (ADD page_size 'many');
ALTER SERVER s1 OPTIONS (ADD connect_timeout '0');
ALTER SERVER s1 OPTIONS (ADD request_timeout '-1');
ALTER SERVER s1 OPTIONS (ADD max_retries '21');
ALTER SERVER s1 OPTIONS (ADD max_response_mb '4096');
ALTER SERVER s1 OPTIONS (ADD call_cost '-1');
ALTER SERVER s1 OPTIONS (ADD compression 'perhaps');
ALTER SERVER s1 OPTIONS (ADD updatable '');
ALTER SERVER s1 OPTIONS (ADD ca_file 'ca.pem');

-- names: the nearest, the right place, or all of them
ALTER SERVER s1 OPTIONS (ADD pagesize '500');
ALTER SERVER s1 OPTIONS (ADD instanc_url 'https://acme.my.salesforce.com');
ALTER SERVER s1 OPTIONS (ADD object 'Account');
ALTER SERVER s1 OPTIONS (ADD wholly_different 'x');
-- secrets have no place where everybody can read them, and are not repeated in the error
ALTER SERVER s1 OPTIONS (ADD client_secret 'hunter2');
\echo :LAST_ERROR_SQLSTATE
ALTER SERVER s1 OPTIONS (ADD refresh_token 'hunter2');
ALTER SERVER s1 OPTIONS (ADD access_token 'hunter2');
ALTER SERVER s1 OPTIONS (ADD client_id 'x');
ALTER FOREIGN DATA WRAPPER ampsf_fdw OPTIONS (ADD client_secret 'hunter2');
ALTER FOREIGN DATA WRAPPER ampsf_fdw OPTIONS (ADD workspace 'acme');

-- user mapping: each way to log in
CREATE USER MAPPING FOR CURRENT_USER SERVER s1 OPTIONS (client_id 'id', client_secret 'x');
ALTER USER MAPPING FOR CURRENT_USER SERVER s1 OPTIONS (ADD refresh_token 'x');
ALTER USER MAPPING FOR CURRENT_USER SERVER s1 OPTIONS (DROP client_secret);
DROP USER MAPPING FOR CURRENT_USER SERVER s1;
CREATE USER MAPPING FOR CURRENT_USER SERVER s1 OPTIONS (client_id 'id', username 'a@b.example', private_key_file '/etc/key.pem');
DROP USER MAPPING FOR CURRENT_USER SERVER s1;
CREATE USER MAPPING FOR CURRENT_USER SERVER s1 OPTIONS (access_token 'x');
ALTER USER MAPPING FOR CURRENT_USER SERVER s1 OPTIONS (ADD private_key_file 'key.pem');
ALTER USER MAPPING FOR CURRENT_USER SERVER s1 OPTIONS (ADD client_secret '');
ALTER USER MAPPING FOR CURRENT_USER SERVER s1 OPTIONS (ADD clientid 'x');
ALTER USER MAPPING FOR CURRENT_USER SERVER s1 OPTIONS (ADD password 'hunter2');
ALTER USER MAPPING FOR CURRENT_USER SERVER s1 OPTIONS (ADD workspace 'acme');
DROP USER MAPPING FOR CURRENT_USER SERVER s1;
-- what does not make a login is told at the first use
CREATE USER MAPPING FOR CURRENT_USER SERVER s1;
SELECT * FROM ampsf.limits('s1');
ALTER USER MAPPING FOR CURRENT_USER SERVER s1 OPTIONS (ADD client_id 'id');
SELECT * FROM ampsf.limits('s1');
ALTER USER MAPPING FOR CURRENT_USER SERVER s1 OPTIONS (ADD username 'a@b.example');
SELECT * FROM ampsf.limits('s1');

-- foreign table and columns
CREATE FOREIGN TABLE t1 (
	id text,
	name text OPTIONS (field 'Name', type 'string', filterable 'true', sortable 'true', groupable 'true', case_sensitive 'false',
					   createable 'true', updateable 'true'),
	parent text OPTIONS (field 'Parent.Name')
) SERVER s1 OPTIONS (object 'Account', include_deleted 'true', updatable 'false', page_size '200', batch_size '1', rows '0');
ALTER FOREIGN TABLE t1 OPTIONS (SET object 'Account; DELETE');
ALTER FOREIGN TABLE t1 OPTIONS (SET object 'Account.Owner');
ALTER FOREIGN TABLE t1 OPTIONS (SET object '');
ALTER FOREIGN TABLE t1 OPTIONS (SET object '1Account');
ALTER FOREIGN TABLE t1 OPTIONS (SET include_deleted 'maybe');
ALTER FOREIGN TABLE t1 OPTIONS (SET batch_size '201');
ALTER FOREIGN TABLE t1 OPTIONS (SET batch_size '0');
ALTER FOREIGN TABLE t1 OPTIONS (SET rows '-1');
ALTER FOREIGN TABLE t1 OPTIONS (ADD field 'Name');
ALTER FOREIGN TABLE t1 OPTIONS (ADD updateable 'true');
ALTER FOREIGN TABLE t1 OPTIONS (ADD batchsize '1');
ALTER FOREIGN TABLE t1 ALTER name OPTIONS (SET field 'Name FROM Account WHERE Id');
ALTER FOREIGN TABLE t1 ALTER name OPTIONS (SET field 'Owner..Name');
ALTER FOREIGN TABLE t1 ALTER name OPTIONS (SET field '.Name');
ALTER FOREIGN TABLE t1 ALTER name OPTIONS (SET type 'varchar');
ALTER FOREIGN TABLE t1 ALTER name OPTIONS (SET sortable 'sometimes');
ALTER FOREIGN TABLE t1 ALTER name OPTIONS (ADD feild 'Name');
ALTER FOREIGN TABLE t1 ALTER name OPTIONS (ADD object 'Account');

-- who is no superuser names no files
CREATE ROLE clerk;
GRANT USAGE ON FOREIGN DATA WRAPPER ampsf_fdw TO clerk;
SET ROLE clerk;
CREATE SERVER s3 FOREIGN DATA WRAPPER ampsf_fdw OPTIONS (workspace 'acme', ca_file '/etc/passwd');
CREATE SERVER s3 FOREIGN DATA WRAPPER ampsf_fdw OPTIONS (workspace 'acme');
CREATE USER MAPPING FOR clerk SERVER s3 OPTIONS (client_id 'id', username 'a@b.example', private_key_file '/etc/shadow');
CREATE USER MAPPING FOR clerk SERVER s3 OPTIONS (client_id 'id', client_secret 'x');
RESET ROLE;
DROP SERVER s3 CASCADE;
REVOKE USAGE ON FOREIGN DATA WRAPPER ampsf_fdw FROM clerk;
DROP ROLE clerk;

-- unknown settings under the prefix are refused
SET ampsf.allow_http_loopbac = on;
DROP SERVER s1 CASCADE;
DROP SERVER s2 CASCADE;
