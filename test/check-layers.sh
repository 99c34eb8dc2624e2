#!/bin/sh
# Fails where an arrow points upward: who may include whom, where the one look at PostgreSQL's version is,
# which files know curl, json-c and libmicrohttpd, and that no file outgrows its reader.
#
#   test/check-layers.sh [TREE]       checks the tree (default: this one)
#   test/check-layers.sh --self-test  shows that every rule can fail
set -eu

max_lines=900

# One line of awk input per include: FILE <tab> LINE <tab> INCLUDED.
includes()
{
	find ampsf_fdw.c src test/sandbox test/unit test/fuzz test/bench -name '*.[ch]' 2>/dev/null |
		sort | xargs -r grep -nE '^[[:space:]]*#[[:space:]]*include' /dev/null |
		sed -nE 's/^([^:]+):([0-9]+):[[:space:]]*#[[:space:]]*include[[:space:]]*([<"][^>"]+[>"]).*/\1\t\2\t\3/p'
}

check()
{
	cd "$1"
	bad=$(
		includes | awk -F'\t' '
		BEGIN {
			floor["wire"] = 1; floor["base"] = 2; floor["net"] = 3; floor["org"] = 4
			floor["plan"] = floor["schema"] = floor["functions"] = 5
			floor["exec"] = floor["sync"] = 6
		}
		function say(why) { printf "%s:%s: includes %s: %s\n", $1, $2, $3, why }
		{
			name = substr($3, 2, length($3) - 2)
			quoted = substr($3, 1, 1) == "\""
			n = split($1, part, "/")
			m = split(name, inc, "/")
		}
		# The sandbox and the extension share nothing, or a mistake of one would hide in the other.
		$1 ~ /^test\/sandbox\// {
			if (quoted && (name ~ /(^|\/)src\// || (m == 2 && inc[1] in floor)))
				say("the sandbox knows nothing of the extension")
			if (name ~ /microhttpd/ && part[n] ~ /^(rest_.*|oauth.*|admin)\.c$/)
				say("resources know http.h, never libmicrohttpd")
			if (name ~ /^(postgres|fmgr|utils\/|libpq)/)
				say("the sandbox knows nothing of PostgreSQL")
			next
		}
		$1 ~ /^test\// { next }
		quoted && name ~ /(^|\/)(sandbox|test)\// { say("the extension knows nothing of its tests"); next }
		name ~ /(^|\/)curl\// && $1 !~ /^src\/net\/http[^\/]*\.c$/ { say("only src/net/http*.c knows libcurl") }
		name ~ /json-c/ && $1 !~ /^src\/wire\/json_doc\.[ch]$/ { say("only src/wire/json_doc.c knows json-c") }
		$1 == "ampsf_fdw.c" { next }
		{
			me = part[2]
			if (!(me in floor)) { printf "%s: unknown floor %s\n", $1, me; next }
		}
		me == "wire" && part[n] !~ /^json_doc\./ {
			if (name !~ /^wire\// && (quoted || m > 1) && name !~ /^sys\// && name !~ /intrin\.h$/)
				say("wire/ is free of PostgreSQL, so that it unit-tests and fuzzes alone")
			next
		}
		quoted && name ~ /\.\.\// { say("write the path from src/"); next }
		quoted && m == 2 && inc[1] in floor && inc[1] != me {
			if (floor[inc[1]] > floor[me]) say("an arrow upward, from " me " to " inc[1])
			if (floor[inc[1]] == floor[me]) say(me " and " inc[1] " stand side by side")
		}'
		{
			find ampsf_fdw.c src -name '*.[ch]' 2>/dev/null | sort |
				xargs -r grep -nE 'PG_VERSION_NUM|PG_MAJORVERSION' /dev/null | grep -v '^src/base/compat\.h:' |
				sed 's/$/   <- only src\/base\/compat.h looks at the version/' || true
		}
		find ampsf_fdw.c src test -name '*.[ch]' -not -path '*/node_modules/*' 2>/dev/null | sort |
			while read -r f; do
				n=$(wc -l < "$f")
				[ "$n" -le $max_lines ] || echo "$f: $n lines, more than $max_lines"
			done
		if [ -f ampsf_fdw.c ]; then
			n=$(wc -l < ampsf_fdw.c)
			[ "$n" -le 250 ] || echo "ampsf_fdw.c: $n lines, more than 250"
		fi
	)
	if [ -n "$bad" ]; then
		printf '%s\n' "$bad"
		return 1
	fi
}

# Each case is one file that breaks one rule; the last ones break none.
self_test()
{
	failed=0
	tried=0
	tmp=$(mktemp -d)
	trap 'rm -rf "$tmp"' EXIT

	try() # expected(bad|good) file text
	{
		rm -rf "$tmp/tree"
		mkdir -p "$tmp/tree/src/base" "$(dirname "$tmp/tree/$2")"
		printf '%b' "$3" > "$tmp/tree/$2"
		tried=$((tried + 1))
		if (check "$tmp/tree") > "$tmp/out" 2>&1; then got=good; else got=bad; fi
		if [ "$got" != "$1" ]; then
			failed=$((failed + 1))
			printf 'check-layers: %s with %.80s was found %s\n' "$2" "$3" "$got"
			cat "$tmp/out"
		fi
	}

	try bad src/base/a.c '#include "net/session.h"\n'
	try bad src/net/a.c '#include "org/describe.h"\n'
	try bad src/org/a.c '  #  include "plan/x.h"\n'
	try bad src/plan/a.c '#include "exec/x.h"\n'
	try bad src/plan/a.h '#include "schema/x.h"\n'
	try bad src/schema/a.c '#include "functions/x.h"\n'
	try bad src/functions/a.c '#include "plan/x.h"\n'
	try bad src/exec/a.c '#include "sync/x.h"\n'
	try bad src/exec/a.c '#include "../base/error.h"\n'
	try bad src/other/a.c '#include "base/error.h"\n'
	try bad src/wire/a.c '#include "postgres.h"\n'
	try bad src/wire/a.c '#include "base/error.h"\n'
	try bad src/wire/a.c '#include <json-c/json.h>\n'
	try bad src/org/a.c '#include <curl/curl.h>\n'
	try bad src/net/http.h '#include <curl/curl.h>\n'
	try bad src/org/a.c '#if PG_VERSION_NUM >= 160000\n#endif\n'
	try bad src/org/a.c '#include "../test/sandbox/buf.h"\n'
	try bad test/sandbox/a.c '#include "wire/sfid.h"\n'
	try bad test/sandbox/a.c '#include "../../src/wire/sfid.h"\n'
	try bad test/sandbox/rest_a.c '#include <microhttpd.h>\n'
	try bad test/sandbox/oauth_a.c '#include <microhttpd.h>\n'
	try bad src/base/a.c "$(yes '/**/\n' | head -901 | tr -d '\n')"
	try bad ampsf_fdw.c "$(yes '/**/\n' | head -251 | tr -d '\n')"

	try good src/exec/a.c '#include "postgres.h"\n#include "plan/x.h"\n#include "exec/y.h"\n#include "utils/rel.h"\n'
	try good src/wire/json_doc.c '#include "postgres.h"\n#include <json-c/json.h>\n'
	try good src/wire/a.c '#include <stddef.h>\n#include <emmintrin.h>\n#include "wire/a.h"\n'
	try good src/net/http_curl.c '#include <curl/curl.h>\n#include "base/error.h"\n'
	try good src/base/compat.h '#if PG_VERSION_NUM >= 160000\n#endif\n'
	try good ampsf_fdw.c '#include "exec/x.h"\n#include "schema/x.h"\n'
	try good test/sandbox/server.c '#include <microhttpd.h>\n#include "http.h"\n'
	try good test/unit/a.c '#include "wire/sfid.h"\n'

	echo "check-layers --self-test: $((tried - failed)) of $tried as expected"
	[ $failed -eq 0 ]
}

case ${1-} in
	--self-test) self_test ;;
	*) check "${1:-$(dirname "$0")/..}" ;;
esac
