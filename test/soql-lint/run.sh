#!/bin/sh
# run.sh LOGFILE - checks every SOQL statement of a sandbox's log against two parsers that are not ours.
#
# Exit 77 and "skipped" where node or the packages cannot be had.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
log=${1:?usage: run.sh LOGFILE}
work=${BUILD:-$root/build}/soql-lint

skip()
{
	echo "skipped: $*"
	exit 77
}

command -v node >/dev/null 2>&1 || skip 'no node'
command -v npm >/dev/null 2>&1 || skip 'no npm'
mkdir -p "$work"
cp "$here/package.json" "$here/package-lock.json" "$here/soql-lint.js" "$work/"
if [ ! -d "$work/node_modules/antlr4ts" ]; then
	(cd "$work" && npm ci --no-audit --no-fund --loglevel=error) >"$work/npm.log" 2>&1 ||
		skip "npm cannot install the parsers: $(tail -n 1 "$work/npm.log")"
fi
# A statement that the sandbox refused for what it said is one that a test wanted refused.
grep -v '"status":400,' "$log" >"$work/accepted.log" || true
exec node "$work/soql-lint.js" "$work/accepted.log"
