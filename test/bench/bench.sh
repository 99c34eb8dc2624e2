#!/bin/bash
# Two tables: API calls of typical queries next to those that an FDW without pushdown needs (calls.pl), and the
# time of reading over REST, as ratios of times taken in the same run: a machine's speed and its other work
# cancel out, figures of different runs do not compare.
#
#   [AMPSF_BENCH_ROWS=1000000] [AMPSF_BENCH_RUNS=3] test/bench/bench.sh
set -euo pipefail

root=$(cd "$(dirname "$0")/../.." && pwd)
cd "$root"
rows=${AMPSF_BENCH_ROWS:-1000000}
runs=${AMPSF_BENCH_RUNS:-3}
mkdir -p build/bench
{ make -s -j2 && make -s -j2 sandbox; } >build/bench/build.log 2>&1 || { tail -20 build/bench/build.log >&2; exit 1; }
bindir=$("${PG_CONFIG:-pg_config}" --bindir)

perl test/bench/calls.pl
echo

dir=$(mktemp -u /tmp/ampsf-bench-XXXXXX)
trap 'test/cluster.sh stop "$dir"; rm -rf "$dir"' EXIT
trap 'exit 130' INT TERM HUP
echo "Filling an org with $rows contacts ..."
env=$(test/cluster.sh start "$dir" --seed "big:$rows" --conf 'max_wal_size = 4GB' --conf 'shared_buffers = 256MB' \
	--sandbox-args "--page-cache-mb $((rows / 400 + 500))")
eval "$env"
sql() { "$bindir/psql" -X -A -t -q -v ON_ERROR_STOP=1 "$@"; }

# On loopback compression costs both sides more than it saves.
sql -c "ALTER SERVER sf OPTIONS (ADD compression 'false')"

# The fields that this org's contacts have filled, in the table's order.
columns=$(sql -c "
	SELECT string_agg(quote_ident(attname), ', ' ORDER BY attnum) FROM pg_attribute,
		(SELECT to_jsonb(c) AS row FROM crm.contact c WHERE lastname IS NOT NULL LIMIT 1) r
	WHERE attrelid = 'crm.contact'::regclass AND attnum > 0 AND NOT attisdropped AND row->>attname IS NOT NULL
		AND jsonb_typeof(row->attname) <> 'object' AND attname <> 'id'")
columns=$(echo "id, $columns" | cut -d, -f1-20)
counts=$(echo "$columns" | sed 's/\([^, ][^, ]*\)/count(\1) FILTER (WHERE true)/g')
echo "Columns: $columns"

# Median seconds of a command, which prints the seconds that it took.
median()
{
	for _ in $(seq "$runs"); do "$@"; done | sort -n | awk '{ t[NR] = $1 } END { print t[int((NR + 1) / 2)] }'
}

# Seconds of the last statement, by psql's own clock; what precedes it is preparation.
timed()
{
	local prepare=$1 statement=$2
	sql -c "$prepare" -c '\timing on' -c "$statement" | awk '/^Time:/ { t = $2 } END { printf "%.3f\n", t / 1000 }'
}

# The very pages of a statement, by curl alone over one connection: what the wire and the sandbox cost.
raw_pages()
{
	local soql=$1 token first next total base
	token=$(curl -fsS "$SANDBOX_URL/services/oauth2/token" \
		-d 'grant_type=client_credentials&client_id=sandbox&client_secret=sandbox' |
		sed -n 's/.*"access_token":"\([^"]*\)".*/\1/p')
	curl -fsS -G -H "Authorization: Bearer $token" "$SANDBOX_URL/services/data/v62.0/query" \
		--data-urlencode "q=$soql" -o "$dir/first.json"
	first=$(head -c 600 "$dir/first.json")
	next=$(echo "$first" | sed -n 's/.*"nextRecordsUrl":"\([^"]*\)".*/\1/p' | head -1)
	total=$(echo "$first" | sed -n 's/.*"totalSize":\([0-9]*\).*/\1/p' | head -1)
	[ -n "$next" ] || return 1
	base=${next%-*}
	{
		printf 'header = "Authorization: Bearer %s"\n' "$token"
		for ((i = 2000; i < total; i += 2000)); do
			printf 'url = "%s%s-%d"\noutput = /dev/null\n' "$SANDBOX_URL" "$base" "$i"
		done
	} >"$dir/curl.cfg"
	chmod 600 "$dir/curl.cfg"
	local a b
	a=$(date +%s.%N)
	curl -fsS -K "$dir/curl.cfg"
	b=$(date +%s.%N)
	awk -v a="$a" -v b="$b" 'BEGIN { printf "%.3f\n", b - a }'
}

last_soql()
{
	grep '"soql":' "$SANDBOX_LOG" | tail -1 | perl -MJSON::PP -ne 'print decode_json($_)->{soql}'
}

ratio() # what, ours, other, name of other, goal
{
	awk -v w="$1" -v a="$2" -v b="$3" -v n="$4" -v g="$5" 'BEGIN {
		printf "%-42s %8.3f s  %-26s %8.3f s  ratio %5.2f   goal %s\n", w, a, n, b, a / b, g }'
}

fill="DROP TABLE IF EXISTS t; CREATE UNLOGGED TABLE t AS SELECT $columns FROM crm.contact"
echo "Warming up: the sandbox renders each page once, then serves it from memory ..."
sql -c "SET client_min_messages = warning; $fill"
soql_all=$(last_soql)
sql -c "SELECT count(lastname) FILTER (WHERE true) FROM crm.contact" >/dev/null
soql_one=$(last_soql)
csv=$dir/t.csv
sql -c "COPY t TO STDOUT (FORMAT csv)" >"$csv"
chmod 644 "$csv"

one=$(median timed '' 'SELECT count(lastname) FILTER (WHERE true) FROM crm.contact')
raw_one=$(median raw_pages "$soql_one")
all=$(median timed '' "SELECT $counts FROM crm.contact")
raw_all=$(median raw_pages "$soql_all")
ctas=$(median timed 'SET client_min_messages = warning; DROP TABLE IF EXISTS u' "CREATE UNLOGGED TABLE u AS SELECT $columns FROM crm.contact")
copy=$(median timed 'TRUNCATE u' "COPY u FROM '$csv' (FORMAT csv)")
heap=$(median timed 'SET client_min_messages = warning; DROP TABLE IF EXISTS v' 'CREATE UNLOGGED TABLE v AS SELECT * FROM t')

echo
echo "$rows rows, median of $runs"
ratio 'scan, one column' "$one" "$raw_one" 'curl, the same pages' '<= 4'
ratio 'scan, 20 columns' "$all" "$raw_all" 'curl, the same pages' '(none)'
ratio 'create table as select, 20 columns' "$ctas" "$copy" 'COPY from a local CSV' '<= 0.5'
ratio 'create table as select, 20 columns' "$ctas" "$heap" 'the same from a local table' '(none)'
