-- Files: read when a bytea column is selected, a call each; written as bytes.
SET client_min_messages = notice;
\set SHOW_CONTEXT errors
\! $SANDBOXCTL reset demo >/dev/null
CREATE FOREIGN TABLE version (id text OPTIONS (field 'Id'), title text OPTIONS (field 'Title'), path text OPTIONS (field 'PathOnClient'),
	size int OPTIONS (field 'ContentSize', createable 'false', updateable 'false'), data bytea OPTIONS (field 'VersionData', type 'base64')) SERVER sf OPTIONS (object 'ContentVersion');
CREATE TABLE copy (path text, data bytea);
INSERT INTO copy VALUES ('one.bin', '\x00'), ('two.bin', '\xfffe'), ('text.txt', convert_to('a "text" é' || chr(10), 'UTF8'));
INSERT INTO copy SELECT 'all.bin', decode(string_agg(lpad(to_hex(i % 256), 2, '0'), '' ORDER BY i), 'hex') FROM generate_series(0, 99999) i;
\! $SANDBOXCTL mark
INSERT INTO version (title, path, data) SELECT path, path, data FROM copy;
\! $SANDBOXCTL calls | grep sobjects
-- not selected, no call
\! $SANDBOXCTL mark
SELECT path, size FROM version WHERE path IN (SELECT path FROM copy) ORDER BY 1;
SELECT count(*) > 3 AS many FROM version;
\! $SANDBOXCTL calls | grep VersionData
-- selected: one for each row, counted
CREATE FUNCTION calls(q text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE line text;
BEGIN
	FOR line IN EXECUTE 'EXPLAIN (ANALYZE, VERBOSE, COSTS OFF, TIMING OFF, SUMMARY OFF) ' || q LOOP
		IF line ~ 'API Calls' THEN RETURN trim(line); END IF;
	END LOOP;
END $$;
\! $SANDBOXCTL mark
SELECT v.path, length(v.data), v.data = c.data AS same FROM version v JOIN copy c USING (path) ORDER BY 1;
\! $SANDBOXCTL calls | grep -c VersionData
SELECT calls($$SELECT data FROM version WHERE size = 2$$);
SELECT calls($$SELECT path FROM version WHERE size = 2$$);
-- of rows that are dropped here later, too
SELECT calls($$SELECT data FROM version WHERE size >= 1 ORDER BY id LIMIT 2$$);
-- NULL and empty; as text it is the address
ALTER FOREIGN TABLE version ADD COLUMN address text OPTIONS (field 'VersionData', type 'base64');
SELECT address ~ '^/services/data/v\d+\.0/sobjects/ContentVersion/068\w{15}/VersionData$' AS address, length(data) FROM version WHERE path = 'two.bin';
SELECT path FROM version WHERE data = '\xfffe' AND path LIKE '%.bin';
INSERT INTO version (title, path, data) VALUES ('r', 'ret.bin', '\x010203') RETURNING path, data, size;
UPDATE version SET title = 'new' WHERE path = 'ret.bin' RETURNING title, data;
-- many rows of several pages, other columns keep their values while files are fetched
SELECT count(*), bool_and(length(data) = size) AS sizes, count(DISTINCT path) = count(DISTINCT id) AS ids FROM (SELECT id, data, path, size FROM version) v;
SELECT count(*) FROM (SELECT a.data, b.path FROM version a JOIN version b ON a.id = b.id WHERE length(a.data) = b.size) s;
ANALYZE version;
-- what goes wrong: a file that is gone, a body that breaks off
\! $SANDBOXCTL fault 'path=*/VersionData;count=1;do=status;status=404;code=NOT_FOUND;message=gone'
SELECT length(data) FROM version WHERE path = 'two.bin';
\! $SANDBOXCTL nofaults
\! $SANDBOXCTL fault 'path=*/VersionData;count=1;do=status;status=503'
SELECT length(data) FROM version WHERE path = 'two.bin';
\! $SANDBOXCTL nofaults
-- large ones go as they are, a call for each; small ones in between as before
CREATE FUNCTION large(n int) RETURNS bytea LANGUAGE sql AS $$ SELECT decode(repeat(md5(n::text), n), 'hex') $$;
\! $SANDBOXCTL mark
INSERT INTO version (title, path, data) VALUES ('s1', 's1.bin', '\x01'), ('l1', 'l1.bin', large(400000)), ('s2', 's2.bin', '\x02'), ('s3', 's3.bin', '\x03'), ('l2', 'l2.bin', large(300000));
\echo :ROW_COUNT
\! $SANDBOXCTL calls | grep sobjects
SELECT path, size, CASE path WHEN 'l1.bin' THEN md5(data) = md5(large(400000)) WHEN 'l2.bin' THEN md5(data) = md5(large(300000)) ELSE length(data) = 1 END AS same
	FROM version WHERE path ~ '^[ls][123].bin' ORDER BY 1;
INSERT INTO version (title, path, data) VALUES ('l3', 'l3.bin', large(400000)) RETURNING id ~ '^068' AS id, path, length(data), size;
-- refused, and lost
INSERT INTO version (title, path, data) VALUES (repeat('t', 300), 'l4.bin', large(400000));
ALTER FOREIGN TABLE version OPTIONS (ADD on_error 'continue');
INSERT INTO version (title, path, data) VALUES ('s4', 's4.bin', '\x04'), (repeat('t', 300), 'l4.bin', large(400000)), ('s5', 's5.bin', '\x05');
SELECT row_number, outcome, error_code, "row" ->> 'PathOnClient' AS path FROM ampsf.write_error;
DELETE FROM ampsf.write_error;
\! $SANDBOXCTL fault 'path=*/sobjects/ContentVersion;count=1;do=reset-after'
INSERT INTO version (title, path, data) VALUES ('l5', 'l5.bin', large(400000));
\! $SANDBOXCTL nofaults
SELECT row_number, outcome, "row" ->> 'PathOnClient' AS path FROM ampsf.write_error;
DELETE FROM ampsf.write_error;
SELECT path FROM version WHERE path ~ '[ls][45].bin' ORDER BY 1;
-- an update, which may be repeated
CREATE FOREIGN TABLE attachment (id text OPTIONS (field 'Id'), name text OPTIONS (field 'Name'), parentid text OPTIONS (field 'ParentId', updateable 'false'),
	body bytea OPTIONS (field 'Body', type 'base64')) SERVER sf OPTIONS (object 'Attachment');
INSERT INTO attachment (name, parentid, body) SELECT 'a', id, '\x61' FROM crm.account ORDER BY id LIMIT 1;
\! $SANDBOXCTL fault 'path=*/sobjects/Attachment/*;count=1;do=reset-after'
\! $SANDBOXCTL mark
UPDATE attachment SET body = large(length(name) + 300000), name = name || 'b' WHERE name = 'a';
\! $SANDBOXCTL nofaults
\! $SANDBOXCTL calls | grep -c 'PATCH .*/sobjects/Attachment/00P'
SELECT name, md5(body) = md5(large(300001)) AS same FROM attachment WHERE name = 'ab';
