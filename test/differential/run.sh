#!/bin/bash
# The differential test: random queries over foreign tables and over copies of the same rows, see differential.pl.
#
#   test/differential/run.sh                     what the test command runs: fixed seeds, two orgs, every reading
#   test/differential/run.sh --seed N --count M [--org push:300] [--sandbox-args "--readings second"]
#                                                one run of M queries
#
# Starts clusters of its own.  The last line is "N passed, N failed".
set -uo pipefail

root=$(cd "$(dirname "$0")/../.." && pwd)
seed='' count='' org=push:120 args=''
while [ $# -gt 0 ]; do
	case $1 in
		--seed) seed=$2; shift 2 ;;
		--count) count=$2; shift 2 ;;
		--org) org=$2; shift 2 ;;
		--sandbox-args) args=$2; shift 2 ;;
		*) sed -n '2,9s/^# \{0,1\}//p' "$0" >&2; exit 2 ;;
	esac
done

dir=''
trap '[ -z "$dir" ] || { "$root/test/cluster.sh" stop "$dir"; rm -rf "$dir"; }' EXIT
trap 'exit 130' INT TERM HUP
passed=0 failed=0

# One cluster, one org, one series of queries.
run() # label, org, arguments of the sandbox, seed, count
{
	local out env
	dir=$(mktemp -d /tmp/ampsf-diff-XXXXXX)
	# The clock stands still: what depends on it must not differ between the copy and the query.
	if ! env=$("$root/test/cluster.sh" start "$dir" --seed "$2" --sandbox-args "--now 2024-06-01T00:00:00Z $3"); then
		echo "not ok - $1: no cluster"
		failed=$((failed + 1))
		return
	fi
	out=$(eval "$env"; perl "$root/test/differential/differential.pl" --label "$1" --seed "$4" --count "$5")
	echo "$out" | sed '$d'
	set -- "$1" $(echo "$out" | tail -1 | sed -n 's/^\([0-9]*\) passed, \([0-9]*\) failed$/\1 \2/p')
	if [ $# -ne 3 ]; then
		echo "not ok - $1: ended early"
		set -- "$1" 0 1
	fi
	passed=$((passed + $2)) failed=$((failed + $3))
	"$root/test/cluster.sh" stop "$dir"
	rm -rf "$dir"
	dir=''
}

if [ -n "$seed$count" ]; then
	run "${args:-$org}" "$org" "$args" "${seed:-1}" "${count:-1000}"
else
	run demo demo '' 1 2000
	run push push:120 '' 2 4000
	run 'second readings' push:120 '--readings second' 3 2000
	# Each question that no document settles, answered the other way.
	n=100
	for other in '--max-parents 35' '--null-desc first' '--lookup-nulls asked' '--negated-nulls skip' '--inner-nulls poison' \
		'--group-text exact' '--group-overflow malformed' '--accents folded' '--trailing-blanks ignored' '--fractions refuse' \
		'--integers int32' '--pages short' '--record-counts stale'; do
		n=$((n + 1))
		run "$other" push:40 "$other" $n 120
	done
fi
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
