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
-- large ones
INSERT INTO version (title, path, data) SELECT 'large', 'large.bin', decode(repeat(md5('x'), 400000), 'hex');
\! $SANDBOXCTL mark
SELECT size, length(data), md5(data) = md5(decode(repeat(md5('x'), 400000), 'hex')) AS same FROM version WHERE path = 'large.bin';
