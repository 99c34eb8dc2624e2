#!/bin/bash
# Puts the tables that the extension itself holds (options, pushdown, functions) into README.md and docs/,
# between the lines "<!-- table NAME -->" and "<!-- end -->".
#
#   test/docs.sh           writes them
#   test/docs.sh --check   fails where a document differs from the extension
set -euo pipefail

root=$(cd "$(dirname "$0")/.." && pwd)
cd "$root"
check=0
[ "${1-}" != --check ] || check=1

dir=$(mktemp -u /tmp/ampsf-docs-XXXXXX)
trap 'test/cluster.sh stop "$dir"; rm -rf "$dir"' EXIT
trap 'exit 130' INT TERM HUP
env=$(test/cluster.sh start "$dir" --bare --sandbox-url http://127.0.0.1:9)
eval "$env"
bindir=$("${PG_CONFIG:-pg_config}" --bindir)

table() # heading query
{
	echo "$1"
	echo "$1" | sed 's/[^|]/-/g; s/-\{3,\}/---/g'
	"$bindir/psql" -X -A -t -F ' | ' -c "$2" | sed 's/^/| /; s/$/ |/'
}

options()
{
	table '| option | value | default | meaning |' "
		SELECT '\`' || option || '\`' || CASE WHEN secret THEN ' (secret)' ELSE '' END, value,
			coalesce(dflt, ''), replace(description, '|', '\\|')
		FROM ampsf.options() WITH ORDINALITY AS o(context, option, value, dflt, secret, description, n)
		WHERE context = '$1' ORDER BY n"
}

make_table()
{
	case $1 in
		options-server) options server ;;
		options-mapping) options 'user mapping' ;;
		options-table) options table ;;
		options-column) options column ;;
		pushdown) table '| field | SQL | class | SOQL | note |' "
			SELECT field, '\`' || sql || '\`', class, '\`' || soql || '\`', coalesce(note, '')
			FROM ampsf.pushdown() WITH ORDINALITY AS p(field, sql, class, soql, note, n) ORDER BY n" ;;
		settings) table '| setting | default | who | meaning |' "
			SELECT '\`' || name || '\`', '\`' || boot_val || '\`',
				CASE context WHEN 'superuser' THEN 'superuser' WHEN 'user' THEN 'anyone' ELSE context END,
				short_desc || coalesce(' ' || extra_desc, '')
			FROM pg_settings WHERE name LIKE 'ampsf.%' AND ampsf.version() IS NOT NULL ORDER BY name" ;;
		functions) table '| function | result | meaning |' "
			SELECT '\`ampsf.' || proname || '(' || pg_get_function_identity_arguments(p.oid) || ')\`',
				'\`' || replace(pg_get_function_result(p.oid), '|', '\\|') || '\`', coalesce(obj_description(p.oid), '')
			FROM pg_proc p WHERE pronamespace = 'ampsf'::regnamespace ORDER BY proname" ;;
		*) echo "docs.sh: no table $1" >&2; exit 1 ;;
	esac
}

# The library is loaded once, so that its settings are known.
"$bindir/psql" -X -A -t -q -c 'ALTER DATABASE sandbox SET session_preload_libraries = ampsf_fdw' >/dev/null

status=0
for f in README.md docs/*.md; do
	new=$dir/new.md
	while IFS= read -r line; do
		if [[ ${skipping-} = 1 ]]; then
			[[ $line == '<!-- end -->' ]] || continue
			skipping=0
		fi
		printf '%s\n' "$line"
		if [[ $line =~ ^\<!--\ table\ ([a-z-]+)\ --\>$ ]]; then
			make_table "${BASH_REMATCH[1]}"
			skipping=1
		fi
	done <"$f" >"$new"
	if ! cmp -s "$f" "$new"; then
		if [ $check = 1 ]; then
			echo "$f differs from the extension: run test/docs.sh"
			diff -u "$f" "$new" | head -20 || true
			status=1
		else
			cp "$new" "$f"
			echo "$f"
		fi
	fi
done
exit $status
