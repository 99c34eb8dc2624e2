#!/bin/bash
# What no server log may hold, whatever a test did: assertions, panics, processes that a fault of their own
# ended (a test's kill -9 may be there), and what PostgreSQL warns of when a resource was not given back.
#
#   test/check-log.sh FILE...      prints such lines; exit status 1 if there are any
#   test/check-log.sh --self-test
set -uo pipefail

bad='TRAP: |PANIC: |terminated by signal ([4-8]|11):'
bad="$bad|WARNING: .*(was not closed|reference leak|refcount leak|leaked|you don't own a lock|problem in alloc set)"
bad="$bad|ERROR: .*(is not owned by resource owner|invalid memory alloc)"

check()
{
	! grep -aHnE "$bad" "$@" 2>/dev/null
}

if [ "${1-}" = --self-test ]; then
	dir=$(mktemp -d) failed=0
	trap 'rm -rf "$dir"' EXIT
	while read -r verdict line; do
		echo "$line" >"$dir/log"
		check "$dir/log" >/dev/null && found=good || found=bad
		[ "$found" = "$verdict" ] || { echo "$found, not $verdict: $line"; failed=1; }
	done <<-'LINES'
		bad 12 TRAP: failed Assert("x"), File: "scan.c", Line: 1, PID: 12
		bad 12 postgres PANIC:  ERRORDATA_STACK_SIZE exceeded
		bad 12 LOG:  client backend (PID 9) was terminated by signal 11: Segmentation fault
		bad 12 LOG:  background worker "ampsf mirror" (PID 9) was terminated by signal 6: Aborted
		good 12 LOG:  client backend (PID 9) was terminated by signal 9: Killed
		bad 12 postgres WARNING:  resource was not closed: relation "account"
		bad 12 postgres WARNING:  snapshot reference leak: Snapshot 0x55 still referenced
		bad 12 postgres WARNING:  TupleDesc reference leak: TupleDesc 0x55 (16384,-1) still referenced
		bad 12 postgres WARNING:  buffer refcount leak: [001] (rel=base/1/2, blockNum=0, flags=0x0, refcount=1 1)
		bad 12 postgres WARNING:  you don't own a lock of type AccessShareLock
		bad 12 postgres WARNING:  problem in alloc set ExecutorState: detected write past chunk end
		good 12 postgres WARNING:  1 row written to Salesforce stays written though the transaction is rolled back
		good 12 postgres ERROR:  could not reach Salesforce
	LINES
	exit $failed
fi
check "$@"
