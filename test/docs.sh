#!/bin/bash
# Puts the tables that the extension itself holds (options, pushdown, functions) into README.md and docs/,
# between the lines "<!-- table NAME -->" and "<!-- end -->".
#
#   test/docs.sh           writes them
#   test/docs.sh --demo    and the output of the demo into README.md
#   test/docs.sh --check   fails where a document differs from the extension
set -euo pipefail

root=$(cd "$(dirname "$0")/.." && pwd)
cd "$root"
check=0 demo=0
case ${1-} in
	--check) check=1 ;;
	--demo) demo=1 ;;
esac

dir=$(mktemp -u /tmp/ampsf-docs-XXXXXX)
trap 'test/cluster.sh stop "$dir"; rm -rf "$dir"' EXIT
fail()
{
	echo "docs.sh: $*" >&2
	exit 1
}
trap 'exit 130' INT TERM HUP
env=$(test/cluster.sh start "$dir" --bare --sandbox-url http://127.0.0.1:9)
eval "$env"
bindir=$("${PG_CONFIG:-pg_config}" --bindir)

table() # heading query
{
	echo "$1"
	echo "$1" | sed 's/[^|]/-/g; s/-\{3,\}/---/g'
	local rows
	rows=$("$bindir/psql" -X -A -t -q -F ' | ' -v ON_ERROR_STOP=1 -c "$2") || exit 1
	printf '%s\n' "$rows" | sed 's/^/| /; s/$/ |/; s/|  |/| |/g'
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
			SELECT field, string_agg('\`' || sql || '\`', '<br>' ORDER BY n), class,
				string_agg('\`' || soql || '\`', '<br>' ORDER BY n), coalesce(note, '')
			FROM ampsf.pushdown() WITH ORDINALITY AS p(field, sql, class, soql, note, n)
			GROUP BY field, class, note ORDER BY min(min(n)) OVER (PARTITION BY field), min(n)" ;;
		settings) table '| setting | default | who | meaning |' "
			SELECT '\`' || name || '\`', '\`' || boot_val || '\`',
				CASE context WHEN 'superuser' THEN 'superuser' WHEN 'user' THEN 'anyone' ELSE context END,
				short_desc || coalesce(' ' || extra_desc, '')
			FROM pg_settings WHERE name LIKE 'ampsf.%' AND ampsf.version() IS NOT NULL ORDER BY name" ;;
		login-errors) table '| error | description | cause | cure |' "
			SELECT '\`' || error || '\`', coalesce('... ' || description || ' ...', ''), cause, cure
			FROM ampsf.login_errors() WITH ORDINALITY AS e(error, description, cause, cure, n) ORDER BY n" ;;
		functions) table '| function | result | meaning |' "
			SELECT '\`ampsf.' || proname || '(' || (
					SELECT coalesce(string_agg(a.name || ' ' || format_type(a.type, NULL)
						|| CASE WHEN a.n > pronargs - pronargdefaults THEN ' DEFAULT' ELSE '' END, ', ' ORDER BY a.n), '')
					FROM unnest(proargnames, proargtypes::oid[]) WITH ORDINALITY AS a(name, type, n)
					WHERE a.n <= pronargs) || ')\`',
				'\`' || CASE WHEN proretset THEN 'SETOF ' ELSE '' END || coalesce((
					SELECT '(' || string_agg(a.name || ' ' || format_type(a.type, NULL), ', ' ORDER BY a.n) || ')'
					FROM unnest(proargnames, proallargtypes) WITH ORDINALITY AS a(name, type, n)
					WHERE a.n > pronargs AND proallargtypes IS NOT NULL), format_type(prorettype, NULL)) || '\`',
				coalesce(obj_description(p.oid, 'pg_proc'), '')
			FROM pg_proc p WHERE pronamespace = 'ampsf'::regnamespace AND proname !~ '^(ampsf_fdw|mirror_)'
				AND coalesce(obj_description(p.oid, 'pg_proc'), '') !~ '(^|; )of [a-z -]+\$' ORDER BY proname, p.oid" ;;
		*) echo "docs.sh: no table $1" >&2; exit 1 ;;
	esac
}

# The library is loaded once, so that its settings are known.
"$bindir/psql" -X -A -t -q -c 'ALTER DATABASE sandbox SET session_preload_libraries = ampsf_fdw' >/dev/null

# The demo's output belongs to README.md as it is printed; addresses and Ids may differ from run to run, so
# it is written, never compared.
demo()
{
	test/demo/demo.sh 2>&1 | sed 's/127\.0\.0\.1:[0-9]*/127.0.0.1:43917/; s/[[:space:]]*$//' | cut -c1-200 >"$dir/demo.txt"
	awk -v demo="$dir/demo.txt" '
		/^<!-- demo -->$/ { print; print "```"; while ((getline line < demo) > 0) print line; print "```"; skip = 1 }
		/^<!-- \/demo -->$/ { skip = 0 }
		!skip { print }' README.md >"$dir/readme.txt"
	cp "$dir/readme.txt" README.md
}
[ $demo = 0 ] || demo

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
			make_table "${BASH_REMATCH[1]}" || fail "no table ${BASH_REMATCH[1]}"
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
