#!/bin/bash
# Runs a command with a sandbox of its own: SANDBOX_URL is in its environment.
#
#   [SEED=demo] [SANDBOX_ARGS="..."] test/with-sandbox.sh command...
set -euo pipefail

root=$(cd "$(dirname "$0")/.." && pwd)
dir=$(mktemp -d /tmp/ampsf-sandbox-XXXXXX)
pid=
end()
{
	if [ -n "$pid" ]; then
		kill -TERM "$pid" 2>/dev/null || true
		wait "$pid" 2>/dev/null || true
	fi
	if [ -n "${AMPSF_COLLECT_LOG-}" ] && [ -s "$dir/log" ]; then
		cat "$dir/log" >>"$AMPSF_COLLECT_LOG"
	fi
	rm -rf "$dir"
}
trap end EXIT
trap 'exit 130' INT TERM HUP

# shellcheck disable=SC2086
"${AMPSF_SANDBOX:-$root/build/sandbox/ampsf-sandbox}" --port 0 --port-file "$dir/port" --log "$dir/log" \
	--seed "${SEED:-demo}" ${SANDBOX_ARGS-} >"$dir/out" 2>&1 </dev/null &
pid=$!
n=3000
until [ -s "$dir/port" ]; do
	n=$((n - 1))
	if [ $n -eq 0 ] || ! kill -0 "$pid" 2>/dev/null; then
		echo "with-sandbox.sh: the sandbox did not start: $(tail -5 "$dir/out")" >&2
		exit 1
	fi
	sleep 0.1
done
SANDBOX_URL=http://127.0.0.1:$(cat "$dir/port")
SANDBOX_LOG=$dir/log
export SANDBOX_URL SANDBOX_LOG
"$@"
