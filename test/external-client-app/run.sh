#!/bin/sh
# run.sh - converts examples/external-client-app with the Salesforce CLI, and compares what came out with its
# manifest: every component must be there, in the form that the Metadata API takes.
#
# The CLI is the one of the PATH, else npm's, into build/.  Prints "ok" and "not ok" lines and a sum; exit 77
# and "skipped" where it cannot be had.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
work=${BUILD:-$root/build}/external-client-app

skip()
{
	echo "skipped: $*"
	exit 77
}

mkdir -p "$work"
sf=$(command -v sf || true)
if [ -z "$sf" ]; then
	command -v node >/dev/null 2>&1 || skip 'no node'
	command -v npm >/dev/null 2>&1 || skip 'no npm'
	cp "$here/package.json" "$work/"
	sf=$work/node_modules/.bin/sf
	if [ ! -x "$sf" ]; then
		(cd "$work" && npm install --no-audit --no-fund --no-package-lock --loglevel=error) >"$work/npm.log" 2>&1 ||
			skip "npm cannot install the Salesforce CLI: $(tail -n 1 "$work/npm.log")"
	fi
fi

# Nothing of the caller's own orgs, and no word to anybody.
export HOME="$work/home" SF_DISABLE_TELEMETRY=true SF_AUTOUPDATE_DISABLE=true SF_SKIP_NEW_VERSION_CHECK=true
mkdir -p "$HOME"
rm -rf "$work/project" "$work/out"
cp -R "$root/examples/external-client-app" "$work/project"
cd "$work/project"
passed=0 failed=0
if "$sf" project convert source --root-dir force-app --output-dir "$work/out" >"$work/convert.log" 2>&1; then
	echo 'ok - sf project convert source'
	passed=$((passed + 1))
else
	echo 'not ok - sf project convert source'
	cat "$work/convert.log"
	echo '0 passed, 1 failed'
	exit 1
fi

# NAME TYPE for each member, sorted.
members()
{
	awk -F'[<>]' '/<members>/ { m[++n] = $3 } /<name>/ { for (i = 1; i <= n; i++) print m[i], $3; n = 0 }' "$1" | sort
}
members manifest/package.xml >"$work/wanted"
members "$work/out/package.xml" >"$work/got"
while read -r name type; do
	file=$(find "$work/out" -name "$name.*" | head -1)
	if grep -qxF "$name $type" "$work/got" && grep -q "<$type \|<ExternalClientAppSettings " "$file"; then
		echo "ok - $type $name"
		passed=$((passed + 1))
	else
		echo "not ok - $type $name is not in what the CLI made"
		failed=$((failed + 1))
	fi
done <"$work/wanted"
if cmp -s "$work/wanted" "$work/got"; then
	echo 'ok - nothing else'
	passed=$((passed + 1))
else
	echo 'not ok - the manifest and the conversion differ'
	diff "$work/wanted" "$work/got" || true
	failed=$((failed + 1))
fi
# A secret in the tree would be everybody's.
if grep -rqE '<consumer(Key|Secret)>' force-app; then
	echo 'not ok - no consumer key in the project'
	failed=$((failed + 1))
else
	echo 'ok - no consumer key in the project'
	passed=$((passed + 1))
fi
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
