#!/bin/sh
# run.sh SANDBOX_BINARY - installs jsforce into build/ and drives a sandbox of its own with it.
#
# Exit 77 and "skipped" where node or the packages cannot be had.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../../.." && pwd)
binary=${1:?usage: run.sh SANDBOX_BINARY}
work=${BUILD:-$root/build}/check-jsforce

skip()
{
	echo "skipped: $*"
	exit 77
}

command -v node >/dev/null 2>&1 || skip 'no node'
command -v npm >/dev/null 2>&1 || skip 'no npm'
mkdir -p "$work"
cp "$here/package.json" "$here/package-lock.json" "$here/check.js" "$work/"
if [ ! -d "$work/node_modules/jsforce" ]; then
	(cd "$work" && npm ci --no-audit --no-fund --loglevel=error) >"$work/npm.log" 2>&1 ||
		skip "npm cannot install jsforce: $(tail -n 1 "$work/npm.log")"
fi

rm -f "$work/port" "$work/requests.log"
"$binary" --port 0 --port-file "$work/port" --seed demo --log "$work/requests.log" >"$work/sandbox.out" 2>&1 &
pid=$!
trap 'kill "$pid" 2>/dev/null || true' EXIT
n=300
while [ ! -s "$work/port" ]; do
	n=$((n - 1))
	if [ $n -eq 0 ] || ! kill -0 "$pid" 2>/dev/null; then
		cat "$work/sandbox.out"
		echo '0 passed, 1 failed'
		exit 1
	fi
	sleep 0.1
done
status=0
SANDBOX_URL=http://127.0.0.1:$(cat "$work/port") SANDBOX_LOG="$work/requests.log" node "$work/check.js" || status=$?
exit $status
