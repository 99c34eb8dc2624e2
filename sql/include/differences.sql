-- Rows that only one of the two has, by the columns that both have.
CREATE FUNCTION differences(mirror regclass, source regclass) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE n bigint; cols text;
BEGIN
	SELECT string_agg(quote_ident(m.attname) || CASE WHEN m.atttypid <> s.atttypid THEN '::text' ELSE '' END, ', ') INTO cols
		FROM pg_attribute s JOIN pg_attribute m ON m.attrelid = mirror AND m.attname = s.attname
		WHERE s.attrelid = source AND s.attnum > 0 AND NOT s.attisdropped AND m.attgenerated = '';
	EXECUTE format('SELECT count(*) FROM ((SELECT %3$s FROM %1$s EXCEPT ALL SELECT %3$s FROM %2$s) UNION ALL '
		'(SELECT %3$s FROM %2$s EXCEPT ALL SELECT %3$s FROM %1$s)) d', mirror, source, cols) INTO n;
	RETURN n;
END $$;
