#!/bin/sh
# run.sh - builds the page of examples/ampersand, opens it in Chromium, and checks amp.yaml, and what
# ampsf.manifest() writes, against the rules of the format.
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
(cd "$example/page" && tar -cf - --exclude=./node_modules --exclude=./dist --exclude='./.env*' .) | tar -C "$work/page" -xf -
cp "$here"/*.js "$here"/package*.json "$work/check/"
install "$work/page"
install "$work/check"

# As it would be built for a customer, but with nobody's .env.local: with a key, and for tokens.
cd "$work/page"
status=0 passed=0 failed=0
export VITE_AMPERSAND_PROJECT=project-4711 VITE_AMPERSAND_INTEGRATION=salesforce VITE_AMPERSAND_GROUP_REF=acme \
	VITE_AMPERSAND_CONSUMER_REF=ada
for mode in key token; do
	case $mode in
		key) export VITE_AMPERSAND_API_KEY=key-0815 VITE_AMPERSAND_TOKEN_URL='' ;;
		token) export VITE_AMPERSAND_API_KEY='' VITE_AMPERSAND_TOKEN_URL=/token ;;
	esac
	if npm run --silent build -- --outDir "dist/$mode" >"$work/build.log" 2>&1; then
		echo "ok - the page is built: $mode"
		passed=$((passed + 1))
	else
		echo "not ok - the page is built: $mode"
		tail -n 20 "$work/build.log"
		failed=$((failed + 1)) status=1
	fi
done
sum="$passed passed, $failed failed"

# Its statements and settings, for node.
node_modules/.bin/esbuild src/sql.ts src/settings.ts --format=esm --outdir="$work/check/out" --log-level=error
node "$work/check/check-amp.js" "$example" "$root/docs/options.md" \
	"$root/expected/ampersand_functions.out" || status=1

chromium=$(command -v chromium || command -v chromium-browser || command -v google-chrome || true)
rm -rf "$work/browser"
mkdir -p "$work/browser"
if [ -z "$chromium" ]; then
	echo 'no Chromium: the page is not opened'
	sum="$sum, 1 skipped"
elif [ "$status" -eq 0 ]; then
	openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=api.withampersand.com \
		-keyout "$work/browser/key.pem" -out "$work/browser/cert.pem" 2>"$work/browser/openssl.log"
	for mode in key token; do
		HOME=$work/browser node "$work/check/browse-page.js" "$chromium" "$work/page/dist/$mode" "$work/browser" $mode ||
			status=1
	done
fi
echo "$sum"
exit $status
