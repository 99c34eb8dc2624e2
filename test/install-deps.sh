#!/bin/bash
# Installs what a Debian machine lacks for building, the demo and, with --test, the tests.
# Says nothing and does nothing when all is there.  Asks sudo where it is not root.
set -euo pipefail

tests=0
[ "${1-}" != --test ] || tests=1

have()
{
	[ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

if ! command -v apt-get >/dev/null || ! command -v dpkg-query >/dev/null; then
	if ! "${PG_CONFIG:-pg_config}" --pgxs >/dev/null 2>&1; then
		echo 'This is no Debian: please install a C compiler, make, PostgreSQL 15 or later with its server headers,' >&2
		echo 'and the headers of libcurl, json-c, OpenSSL, libmicrohttpd, SQLite and zlib.' >&2
		exit 1
	fi
	exit 0
fi

# The PostgreSQL that is here, else the one that this Debian brings.
major=
if bindir=$("${PG_CONFIG:-pg_config}" --bindir 2>/dev/null) && [ -x "$bindir/postgres" ]; then
	major=$("${PG_CONFIG:-pg_config}" --version | sed 's/^[^0-9]*\([0-9]*\).*/\1/')
fi
if [ -z "$major" ]; then
	# shellcheck source=/dev/null
	case $(. /etc/os-release && echo "${VERSION_CODENAME-}") in
		bookworm) major=15 ;;
		trixie) major=17 ;;
		*) major=18 ;;
	esac
fi

wanted="build-essential libcurl4-openssl-dev libjson-c-dev libssl-dev libmicrohttpd-dev libsqlite3-dev zlib1g-dev pkg-config"
wanted="$wanted curl openssl perl procps"
# A PostgreSQL that Debian does not know of (built from source) is left alone.
if [ -z "${PG_CONFIG-}" ] || ! "$PG_CONFIG" --pgxs >/dev/null 2>&1; then
	wanted="$wanted postgresql-$major postgresql-server-dev-$major libpq-dev"
fi
optional=
if [ $tests = 1 ]; then
	# Without these a part of the tests is skipped.
	optional="valgrind clang-14 libclang-rt-14-dev chromium postgresql-$major-cron"
	command -v node >/dev/null || optional="$optional nodejs"
	command -v npm >/dev/null || optional="$optional npm"
fi

missing=
for p in $wanted; do have "$p" || missing="$missing $p"; done
lacking=
for p in $optional; do have "$p" || lacking="$lacking $p"; done
[ -n "$missing$lacking" ] || exit 0

sudo=
if [ "$(id -u)" != 0 ]; then
	if command -v sudo >/dev/null; then
		sudo=sudo
	else
		[ -n "$missing" ] || exit 0
		echo "Packages are missing and there is no sudo. As root:" >&2
		echo "  apt-get update && apt-get install -y --no-install-recommends$missing" >&2
		exit 1
	fi
fi

# Debian's package makes and starts a cluster of its own on port 5432.  We need none, and a machine that
# had no PostgreSQL before should have none running afterwards.
quiet=/etc/postgresql-common/createcluster.d/ampsf-no-main.conf
if [ -n "$missing" ]; then
	echo "Installing:$missing"
	if ! have "postgresql-$major"; then
		$sudo mkdir -p "${quiet%/*}"
		echo 'create_main_cluster = false' | $sudo tee "$quiet" >/dev/null
		trap '$sudo rm -f "$quiet"; $sudo rmdir --ignore-fail-on-non-empty "${quiet%/*}" 2>/dev/null || true' EXIT
	fi
	$sudo apt-get update -q -y >/dev/null || true
	# shellcheck disable=SC2086
	$sudo env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends $missing >/dev/null
fi
if [ -n "$lacking" ]; then
	[ -n "$missing" ] || $sudo apt-get update -q -y >/dev/null 2>&1 || true
	for p in $lacking; do
		case $(apt-cache policy "$p" 2>/dev/null) in
			*'Candidate: (none)'* | '') continue ;;
		esac
		echo "Installing for the tests: $p"
		$sudo env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends "$p" >/dev/null 2>&1 ||
			echo "  not installed: the tests that need it will be skipped" >&2
	done
fi
