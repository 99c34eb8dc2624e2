#!/bin/bash
# What workers gain: the same statements by one process and by several, in turn, over the org and the cluster of
# the environment (as test/cluster.sh prints it), whose contacts are many (--seed big:1000000).
#
#   test/bench/parallel.sh [runs [workers...]]     5 runs, 0 1 2 workers
#
# Prints a line for each transport and statement: the median seconds for each number of workers, and its ratio to
# that of one process.  Bulk jobs keep their results for the next one, where the sandbox was told to.
set -euo pipefail

: "${PGHOST:?run test/cluster.sh first}" "${SANDBOX_URL:?}"
runs=${1:-5}
[ $# -eq 0 ] || shift
[ $# -gt 0 ] || set -- 0 1 2

sql()
{
	psql -X -A -t -q -v ON_ERROR_STOP=1 "$@"
}

# Seconds of one run: transport, workers, statement.
run()
{
	sql <<-SQL | sed -n 's/^Time: \([0-9.]*\) ms.*/\1/p' | tail -1
		SET client_min_messages = warning;
		ALTER SERVER sf OPTIONS ($option transport '$1');
		SET max_parallel_workers_per_gather = $2;
		SET parallel_setup_cost = 0;
		SET parallel_tuple_cost = 0;
		SET min_parallel_table_scan_size = 0;
		SELECT ampsf.disconnect('sf');
		\\o /dev/null
		\\timing on
		$3;
		\\timing off
		DROP TABLE IF EXISTS bench_parallel;
	SQL
}

option=ADD
[ -z "$(sql -c "SELECT 1 FROM pg_foreign_server, unnest(srvoptions) o WHERE srvname = 'sf' AND o LIKE 'transport=%'")" ] || option=SET
fields='id, lastname, firstname, email, phone, birthdate, createddate, systemmodstamp, accountid, title, mailingcity, mailinglatitude'
names=('sum(length(lastname))' "count of $(echo "$fields" | wc -w) fields as text" 'CREATE UNLOGGED TABLE AS')
statements=(
	'SELECT sum(length(lastname)) FROM crm.contact'
	"SELECT count(c::text) FROM (SELECT $fields FROM crm.contact) c"
	"CREATE UNLOGGED TABLE bench_parallel AS SELECT $fields FROM crm.contact")

for transport in bulk rest; do
	for i in "${!statements[@]}"; do
		for ((n = 0; n <= runs; n++)); do
			for workers in "$@"; do
				echo "$workers $(run "$transport" "$workers" "${statements[$i]}") $n"
				option=SET
			done
		done | awk -v what="$transport, ${names[$i]}" -v order="$*" '
			$3 > 0 { t[$1] = t[$1] " " $2 } # the first is a warming-up
			END {
				n = split(order, w, " ")
				line = sprintf("%-45s", what)
				for (k = 1; k <= n; k++) {
					m = split(t[w[k]], v, " ")
					for (i = 1; i <= m; i++) for (j = i + 1; j <= m; j++) if (v[j] + 0 < v[i] + 0) { x = v[i]; v[i] = v[j]; v[j] = x }
					median = v[int((m + 1) / 2)] / 1000
					if (k == 1) first = median
					line = line sprintf("  %s workers %.2f s (%.2f)", w[k], median, first / median)
				}
				print line
			}'
		option=SET
	done
done
