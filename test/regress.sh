#!/bin/bash
# The SQL suites (sql/*.sql against expected/*.out), each in a database of its own, all over one sandbox
# that is filled anew before each suite: their order does not matter and one can be run alone.
#
#   test/regress.sh [--outdir DIR] [suite...]
#
# Uses the cluster of the environment (PGHOST as test/cluster.sh prints it) or starts one for the run.
# Prints "ok NAME" or "not ok NAME" with the head of the difference; last line "N passed, N failed".
set -euo pipefail

root=$(cd "$(dirname "$0")/.." && pwd)
PG_CONFIG=${PG_CONFIG:-pg_config}
outdir=$root/build/regress
if [ "${1-}" = --outdir ]; then
	outdir=$2
	shift 2
fi
if [ $# -gt 0 ]; then
	suites=("$@")
else
	suites=()
	for f in "$root"/sql/*.sql; do
		f=${f##*/}
		suites+=("${f%.sql}")
	done
fi

own=no
if [ -z "${SANDBOX_URL-}" ] || [ -z "${PGHOST-}" ]; then
	own=yes
	dir=$(mktemp -d /tmp/ampsf-regress-XXXXXX)
	keep='cp "$dir/postgres.log" "$outdir/" 2>/dev/null || true; rm -rf "$dir"'
	# shellcheck disable=SC2064
	trap "'$root/test/cluster.sh' stop \"\$dir\"; $keep" EXIT
	trap 'exit 130' INT TERM HUP
	mkdir -p "$outdir"
	env=$("$root/test/cluster.sh" start "$dir" --seed demo)
	eval "$env"
fi

bindir=$("$PG_CONFIG" --bindir)
pg_regress=$(dirname "$("$PG_CONFIG" --pgxs)")/../../src/test/regress/pg_regress
template=$PGDATABASE
passed=0
failed=0

for suite in "${suites[@]}"; do
	out=$outdir/$suite
	rm -rf "$out"
	mkdir -p "$out"
	curl -fsS -X POST "$SANDBOX_URL/__sandbox/reset?seed=demo" >"$out/seed.log"
	"$bindir/psql" -X -q -v ON_ERROR_STOP=1 -d postgres \
		-c "SET client_min_messages = warning" -c "DROP DATABASE IF EXISTS regression_$suite WITH (FORCE)" \
		-c "CREATE DATABASE regression_$suite TEMPLATE \"$template\""
	start=$(date +%s%N)
	if PGDATABASE=regression_$suite "$pg_regress" --inputdir="$root" --outputdir="$out" --bindir="$bindir" \
		--use-existing --dbname="regression_$suite" "$suite" >"$out/pg_regress.log" 2>&1; then
		passed=$((passed + 1))
		printf 'ok      %-12s %5d ms\n' "$suite" $((($(date +%s%N) - start) / 1000000))
	else
		failed=$((failed + 1))
		printf 'not ok  %s\n' "$suite"
		if [ -s "$out/regression.diffs" ]; then
			head -60 "$out/regression.diffs"
		else
			tail -20 "$out/pg_regress.log"
		fi
	fi
	"$bindir/psql" -X -q -d postgres -c "DROP DATABASE regression_$suite WITH (FORCE)" || true
done

# The whole log, its end too: of a cluster of our own.
if [ $own = yes ]; then
	"$root/test/cluster.sh" stop "$dir"
	# shellcheck disable=SC2064
	trap "$keep" EXIT
	if "$root/test/check-log.sh" "$dir/postgres.log"; then
		passed=$((passed + 1))
		echo 'ok      server log'
	else
		failed=$((failed + 1))
		echo 'not ok  server log'
	fi
fi

echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
