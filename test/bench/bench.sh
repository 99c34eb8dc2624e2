#!/bin/bash
# Benchmarks, as tables of medians and of ratios: what is compared runs in turn in the same run, so a machine's
# speed and its other work cancel out; figures of different runs do not compare.  docs/performance.md tells how
# to read them.
#
#   [AMPSF_BENCH_ROWS=1000000] [AMPSF_BENCH_RUNS=5] [AMPSF_BENCH_SLOW=0] test/bench/bench.sh [PART...]
#
# Parts: calls      API calls of typical queries, next to those that an FDW without pushdown needs
#        decoders   the readers of JSON and CSV alone
#        speed      Bulk and REST against file_fdw, COPY, curl, Node and jsforce; SLOW=0: without jsforce
#        memory     peak memory at 10,000 rows, at ROWS and at ten times ROWS
#        latency    with an org that answers 150 ms later
#        writes     INSERT by collections and by Bulk jobs against jsforce, near and 150 ms away
#        mirrors    backfills, calls at rest and for changes, and how long a change takes to arrive
set -euo pipefail

cd "$(dirname "$0")/../.."
mkdir -p build/bench
{ make -s -j2 && make -s -j2 sandbox; } >build/bench/build.log 2>&1 || { tail -20 build/bench/build.log >&2; exit 1; }
[ $# -gt 0 ] || set -- calls decoders speed memory latency writes mirrors
for part in "$@"; do
	perl "test/bench/$part.pl"
	echo
done
