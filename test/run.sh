#!/bin/bash
# All tests, from a fresh clone.  Each step's output is in build/test/NAME.log; what failed is shown.
#
#   test/run.sh [step...]      steps: layers build sandbox unit sandbox-tests fuzz sql differential tap docs demo jsforce
#                              soql-lint external-client-app ampersand-example
#
# Last line "N passed, N failed" (", N skipped" where something a test needs cannot be had).
set -uo pipefail

root=$(cd "$(dirname "$0")/.." && pwd)
cd "$root" || exit 1
export PG_CONFIG=${PG_CONFIG:-pg_config}
logs=$root/build/test
mkdir -p "$logs"
src=$logs/src # a copy of the sources: every object is compiled anew, with warnings as errors
export AMPSF_BUILD=${AMPSF_BUILD:-$src} # another build is for steps without the step build
export AMPSF_COLLECT_LOG=$logs/requests.log
jobs=$(nproc 2>/dev/null || echo 2)
passed=0 failed=0 skipped=0

say()
{
	printf '%-8s %s\n' "$1" "$2"
}

# One command, one test.
once() # name command...
{
	local name=$1
	shift
	if "$@" >"$logs/$name.log" 2>&1; then
		say ok "$name"
		passed=$((passed + 1))
	else
		say 'not ok' "$name   (build/test/$name.log)"
		grep -nE 'error: |warning: |\*\*\* |FAIL|not ok' "$logs/$name.log" | head -20 || true
		tail -5 "$logs/$name.log"
		failed=$((failed + 1))
		return 1
	fi
}

# A command whose output holds a line "N passed, N failed[, N skipped]"; several lines add up.
tally() # name command...
{
	local name=$1 status sums
	shift
	"$@" >"$logs/$name.log" 2>&1
	status=$?
	sums=$(awk '{ if (match($0, /[0-9]+ passed, [0-9]+ failed(, [0-9]+ skipped)?[.]?$/)) {
			split(substr($0, RSTART), w, /[ ,]+/); p += w[1]; f += w[3]; s += w[5]; n++ } }
		END { print n + 0, p + 0, f + 0, s + 0 }' "$logs/$name.log")
	# shellcheck disable=SC2086
	set -- $sums
	if [ "$1" -eq 0 ]; then
		if [ $status -eq 0 ]; then set -- 1 1 0 0; else set -- 1 0 1 0; fi
	elif [ $status -ne 0 ] && [ "$3" -eq 0 ]; then
		set -- "$1" "$2" 1 "$4"
	fi
	passed=$((passed + $2)) failed=$((failed + $3)) skipped=$((skipped + $4))
	if [ "$3" -eq 0 ]; then
		say ok "$name: $2 passed${4:+$([ "$4" -eq 0 ] || echo ", $4 skipped")}"
	else
		say 'not ok' "$name: $2 passed, $3 failed   (build/test/$name.log)"
		grep -E 'not ok|FAIL|error' "$logs/$name.log" | head -20 || true
		tail -15 "$logs/$name.log"
		return 1
	fi
}

skip() # name why
{
	say skipped "$1: $2"
	skipped=$((skipped + 1))
}

step_layers()
{
	once layers-self-test test/check-layers.sh --self-test
	once layers test/check-layers.sh
	once check-log-self-test test/check-log.sh --self-test
}

step_build()
{
	export AMPSF_BUILD=$src
	rm -rf "$src"
	mkdir -p "$src"
	tar -cf - --exclude='*.o' --exclude='*.so' --exclude='*.d' Makefile ampsf_fdw.c ampsf_fdw.control src |
		tar -C "$src" -xf -
	once build make -C "$src" -j"$jobs" WERROR=1 PG_CONFIG="$PG_CONFIG"
	once circles-self-test test/check-circles.sh --self-test
	once circles test/check-circles.sh "$src/src"
}

step_sandbox()
{
	once sandbox-build make sandbox -j"$jobs"
}

step_unit()
{
	tally unit make -s -C test/unit check
	if echo 'int main(void){return 0;}' | ${CC:-cc} -x c -fsanitize=address,undefined -o "$logs/san" - 2>/dev/null; then
		tally unit-sanitized make -s -C test/unit check SAN=1
		tally unit-scalar make -s -C test/unit check SAN=1 SCALAR=1
	else
		skip unit-sanitized 'the compiler has no sanitizers'
	fi
}

step_sandbox_tests()
{
	if make -C test/sandbox -n check >/dev/null 2>&1; then
		tally sandbox-tests make -s -C test/sandbox check
	else
		once sandbox-tests false
	fi
}

step_fuzz()
{
	[ -e test/fuzz/Makefile ] || { skip fuzz 'no targets'; return; }
	local cc
	cc=$(command -v clang || command -v clang-14 || command -v clang-19) || { skip fuzz 'no clang'; return; }
	if ! echo 'int LLVMFuzzerTestOneInput(const char *p, long n){return 0;}' |
		"$cc" -x c -fsanitize=fuzzer -o "$logs/fuzzprobe" - 2>/dev/null; then
		skip fuzz 'no libFuzzer'
		return
	fi
	tally fuzz make -s -C test/fuzz check CC="$cc"
}

step_sql()
{
	tally sql test/regress.sh --outdir "$logs/regress"
}

step_differential()
{
	tally differential test/differential/run.sh
}

# Two at a time: most of them wait.  Each has a cluster of its own.  AMPSF_TAP names some of them, for all.
step_tap()
{
	local t name all=0 files=(test/t/*.t)
	if [ -n "${AMPSF_TAP-}" ]; then
		files=()
		for t in $AMPSF_TAP; do
			files+=("test/t/$t.t")
		done
	fi
	printf '%s\n' "${files[@]}" | LOGS=$logs xargs -P "$((jobs < 2 ? 1 : 2))" -I{} sh -c '
		log=$LOGS/tap-$(basename "{}" .t)
		prove -v -Itest/t/lib "{}" >"$log.log" 2>&1
		echo $? >"$log.status"'
	for t in "${files[@]}"; do
		name=$(basename "$t" .t)
		local status n_ok n_not n_skip
		status=$(cat "$logs/tap-$name.status" 2>/dev/null || echo 1)
		rm -f "$logs/tap-$name.status"
		# "ok N" at the start of a line: subtests (indented) are summed up in their parent's line
		n_ok=$(grep -cE '^ok [0-9]+' "$logs/tap-$name.log")
		n_skip=$(grep -ciE '^ok [0-9]+ # skip|^1\.\.0 # skip|skipped: ' "$logs/tap-$name.log")
		[ "$n_skip" -eq 0 ] || n_skip=1
		n_not=$(grep -cE '^not ok [0-9]+' "$logs/tap-$name.log")
		[ "$status" -eq 0 ] || [ "$n_not" -gt 0 ] || n_not=1
		passed=$((passed + n_ok)) failed=$((failed + n_not)) skipped=$((skipped + n_skip))
		if [ "$n_not" -gt 0 ]; then
			say 'not ok' "tap-$name: $n_ok passed, $n_not failed   (build/test/tap-$name.log)"
			grep -E -A12 '^not ok|^#' "$logs/tap-$name.log" | head -80
			all=1
		elif [ "$n_ok" -eq 0 ]; then
			say skipped "tap-$name: $(grep -iE 'skip' "$logs/tap-$name.log" | head -1)"
		else
			say ok "tap-$name: $n_ok passed"
		fi
	done
	return $all
}

# npm's packages go into a build folder; where they cannot be had, that is no failure of ours.
npm_install() # folder
{
	[ ! -e "$1/.installed" ] || return 0
	command -v node >/dev/null && command -v npm >/dev/null || { echo 'no node or npm'; return 1; }
	(cd "$1" && { npm ci --no-audit --no-fund --loglevel=error || npm install --no-audit --no-fund --loglevel=error; }) \
		>"$1/npm.log" 2>&1 || { echo "npm cannot install: $(grep -m1 -iE 'ERR' "$1/npm.log" | cut -c1-120)"; return 1; }
	touch "$1/.installed"
}

# The tour runs to its end and leaves nothing running.
demo()
{
	AMPSF_DEMO_DIR=$(mktemp -u /tmp/ampsf-demo-XXXXXX)
	export AMPSF_DEMO_DIR
	test/demo/demo.sh || return 1
	local n=100
	while pgrep -f "^$AMPSF_DEMO_DIR/" >/dev/null; do
		n=$((n - 1))
		if [ $n -eq 0 ]; then
			pgrep -af "^$AMPSF_DEMO_DIR/"
			echo 'the demo left these running'
			return 1
		fi
		sleep 0.1
	done
}

step_demo()
{
	once demo demo
}

step_docs()
{
	once docs test/docs.sh --check
}

step_jsforce()
{
	local why dir=$root/build/check-jsforce
	[ -d test/sandbox/check-jsforce ] || { once jsforce false; return; }
	mkdir -p "$dir"
	cp test/sandbox/check-jsforce/* "$dir/"
	if ! why=$(npm_install "$dir"); then
		skip jsforce "$why"
		return
	fi
	tally jsforce test/with-sandbox.sh node "$dir/$(cd "$dir" && ls check*.js index.js 2>/dev/null | head -1)"
}

# An example has a script of its own, which fetches what it needs; where that cannot be had (the Salesforce CLI is
# large), that is no failure of ours.
example() # name
{
	local status=0
	test/"$1"/run.sh >"$logs/$1.run" 2>&1 || status=$?
	if [ $status -eq 77 ]; then
		skip "$1" "$(tail -1 "$logs/$1.run")"
	else
		tally "$1" sh -c 'cat "$1"; exit "$2"' - "$logs/$1.run" $status
	fi
}

step_external_client_app()
{
	example external-client-app
}

step_ampersand_example()
{
	example ampersand-example
}

step_soql_lint()
{
	local why dir=$root/build/soql-lint
	mkdir -p "$dir"
	cp test/soql-lint/*.js* "$dir/"
	if ! why=$(npm_install "$dir"); then
		skip soql-lint "$why"
		return
	fi
	# All but what the sandbox refused for what it said: that was a test's wish.
	grep -h '"soql":' "$logs/requests.log" 2>/dev/null | grep -vE '"status":400,' >"$logs/requests-soql.log"
	if [ ! -s "$logs/requests-soql.log" ]; then
		skip soql-lint 'no SOQL was sent'
		return
	fi
	tally soql-lint node "$dir/soql-lint.js" "$logs/requests-soql.log"
}

if [ $# -eq 0 ]; then
	rm -f "$logs"/*.log
	set -- layers build sandbox unit sandbox-tests fuzz sql differential tap docs demo jsforce soql-lint external-client-app \
		ampersand-example
fi
: >>"$AMPSF_COLLECT_LOG"
chmod 666 "$AMPSF_COLLECT_LOG" 2>/dev/null || true
for step in "$@"; do
	if [ "$step" = build ] || [ "$step" = sandbox ]; then
		if ! "step_$step"; then
			echo "$passed passed, $failed failed"
			exit 1
		fi
	else
		"step_${step//-/_}" || true
	fi
done

if [ $skipped -gt 0 ]; then
	echo "$passed passed, $failed failed, $skipped skipped"
else
	echo "$passed passed, $failed failed"
fi
[ $failed -eq 0 ]
