#!/bin/sh
# run.sh - builds the page of examples/ampersand and checks its amp.yaml against the rules of the format.
#
# Packages go into build/ only.  Prints "ok" and "not ok" lines and a sum; exit 77 and "skipped" where node or
# the packages cannot be had.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
work=${BUILD:-$root/build}/ampersand-example
example=$root/examples/ampersand

skip()
{
	echo "skipped: $*"
	exit 77
}

# As package-lock.json says, unless that is what is installed.
install() # folder
{
	! cmp -s "$1/package-lock.json" "$1/.installed" || return 0
	(cd "$1" && npm ci --no-audit --no-fund --loglevel=error) >"$1/npm.log" 2>&1 ||
		skip "npm cannot install the packages: $(grep -m1 -iE 'ERR' "$1/npm.log" | cut -c1-120)"
	cp "$1/package-lock.json" "$1/.installed"
}

command -v node >/dev/null 2>&1 || skip 'no node'
command -v npm >/dev/null 2>&1 || skip 'no npm'
mkdir -p "$work/page" "$work/check"
rm -rf "$work/page/src" "$work/page/dist" "$work/check/out"
cp -R "$example/page/." "$work/page/"
cp "$here"/*.js "$here"/package*.json "$work/check/"
install "$work/page"
install "$work/check"

# As a customer of Ampersand would build it, but with nobody's .env.local.
cd "$work/page"
rm -f .env.local
status=0
if VITE_AMPERSAND_PROJECT=project-4711 VITE_AMPERSAND_API_KEY=key-0815 VITE_AMPERSAND_INTEGRATION=salesforce \
	VITE_AMPERSAND_GROUP_REF=acme VITE_AMPERSAND_CONSUMER_REF=ada npm run --silent build >"$work/build.log" 2>&1; then
	echo 'ok - the page is built'
	sum='1 passed, 0 failed'
else
	echo 'not ok - the page is built'
	tail -n 20 "$work/build.log"
	sum='0 passed, 1 failed'
	status=1
fi

# Its statements and settings, for node.
node_modules/.bin/esbuild src/sql.ts src/settings.ts --format=esm --outdir="$work/check/out" --log-level=error
node "$work/check/check-amp.js" "$example" "$root/docs/options.md" || status=1

chromium=$(command -v chromium || command -v chromium-browser || command -v google-chrome || true)
rm -rf "$work/browser"
mkdir -p "$work/browser"
if [ -z "$chromium" ]; then
	echo 'no Chromium: the page is not opened'
	sum="$sum, 1 skipped"
elif [ "$status" -eq 0 ]; then
	openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=api.withampersand.com \
		-keyout "$work/browser/key.pem" -out "$work/browser/cert.pem" 2>"$work/browser/openssl.log"
	HOME=$work/browser node "$work/check/browse-page.js" "$chromium" "$work/page/dist" "$work/browser" || status=1
fi
echo "$sum"
exit $status
