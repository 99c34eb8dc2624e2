#!/bin/bash
# A throwaway PostgreSQL with the extension, and the sandbox org next to it.
#
#   test/cluster.sh start DIR [--seed S] [--sandbox-args "..."] [--conf "name = value"]...
#                             [--sandbox-url URL] [--bare|--blank] [--valgrind]
#   test/cluster.sh stop DIR
#   test/cluster.sh env DIR
#
# start prints "export" lines: eval "$(test/cluster.sh start DIR)".  It builds nothing and installs
# nothing: it takes build/sandbox/ampsf-sandbox and the built extension as they are (AMPSF_BUILD names
# another folder with ampsf_fdw.so) and snapshots them, with the binaries of the PostgreSQL that PG_CONFIG
# names, into DIR.  So neither root nor a writable PostgreSQL is needed, and clusters do not see each other.
#
# --sandbox-url  uses a sandbox that runs already
# --bare         the extension only: no server, no tables      --blank   not even the extension
# --valgrind     the backends run under valgrind; reports in DIR/valgrind.*
# Started by root, everything runs as user postgres, who must be able to reach DIR.
set -euo pipefail

root=$(cd "$(dirname "$0")/.." && pwd)
PG_CONFIG=${PG_CONFIG:-pg_config}
AMPSF_BUILD=${AMPSF_BUILD:-$root}
AMPSF_SANDBOX=${AMPSF_SANDBOX:-$root/build/sandbox/ampsf-sandbox}
port=54321 # names the socket file only: nothing listens on TCP

die()
{
	echo "cluster.sh: $*" >&2
	exit 1
}

usage()
{
	sed -n '2,20s/^# \{0,1\}//p' "$0" >&2
	exit 2
}

as_owner()
{
	if [ "$(id -u)" = 0 ]; then
		(cd / && exec runuser -u postgres -- "$@")
	else
		(cd / && exec "$@")
	fi
}

# A pid counts only while it still is the program that this DIR started.
sandbox_pid()
{
	local pid
	pid=$(cat "$dir/sandbox.pid" 2>/dev/null) || return 1
	[ "$(readlink "/proc/$pid/exe" 2>/dev/null)" = "$dir/bin/ampsf-sandbox" ] && echo "$pid"
}

postmaster_pid()
{
	local pid
	pid=$(head -1 "$dir/data/postmaster.pid" 2>/dev/null) || return 1
	[ -n "$pid" ] && [ "$(readlink "/proc/$pid/cwd" 2>/dev/null)" = "$dir/data" ] && echo "$pid"
}

wait_gone() # pid tenths-of-seconds
{
	local n=$2
	while kill -0 "$1" 2>/dev/null; do
		[ "$n" -gt 0 ] || return 1
		n=$((n - 1))
		sleep 0.1
	done
}

stop()
{
	local pid
	[ -e "$dir/.ampsf-cluster" ] || return 0
	# PostgreSQL first, so that its backends still find the org; then without asking.
	if pid=$(postmaster_pid); then
		kill -INT "$pid" 2>/dev/null || true
		wait_gone "$pid" 300 || { kill -QUIT "$pid" 2>/dev/null || true; wait_gone "$pid" 100; } ||
			{ kill -KILL "$pid" 2>/dev/null || true; }
	fi
	if pid=$(sandbox_pid); then
		kill -TERM "$pid" 2>/dev/null || true
		wait_gone "$pid" 50 || kill -KILL "$pid" 2>/dev/null || true
	fi
	# What went over the wire is checked as a whole at the end of a test run.
	if [ -n "${AMPSF_COLLECT_LOG-}" ] && [ -s "$dir/sandbox.log" ]; then
		cat "$dir/sandbox.log" >>"$AMPSF_COLLECT_LOG"
	fi
	# Who has been killed may still be about to end, and write.
	local n=100
	until rm -rf "${dir:?}/data" "${dir:?}/pg" "${dir:?}/bin" "$dir/sandbox.pid" "$dir/sandbox.port" "$dir/env" 2>/dev/null; do
		n=$((n - 1))
		[ $n -gt 0 ] || return 0
		sleep 0.1
	done
}

# PostgreSQL finds its files relative to its own executable.  A tree with real executables and links to
# the rest is a PostgreSQL of our own, into which the extension goes without touching the system's.
stage()
{
	local bindir sharedir pkglibdir f
	bindir=$("$PG_CONFIG" --bindir) || die "no $PG_CONFIG: run test/install-deps.sh, or set PG_CONFIG"
	sharedir=$("$PG_CONFIG" --sharedir)
	pkglibdir=$("$PG_CONFIG" --pkglibdir)
	[ -x "$bindir/postgres" ] || die "no PostgreSQL server in $bindir: run test/install-deps.sh"
	[ -f "$AMPSF_BUILD/ampsf_fdw.so" ] || die "no $AMPSF_BUILD/ampsf_fdw.so: run make"
	mkdir -p "$dir/pg$bindir" "$dir/pg$pkglibdir" "$dir/pg$sharedir/extension"
	for f in postgres initdb pg_ctl; do
		cp "$bindir/$f" "$dir/pg$bindir/"
	done
	for f in "$pkglibdir"/*; do
		ln -sfn "$f" "$dir/pg$pkglibdir/"
	done
	for f in "$sharedir"/*; do
		[ "${f##*/}" = extension ] || ln -sfn "$f" "$dir/pg$sharedir/"
	done
	for f in "$sharedir"/extension/*; do
		case ${f##*/} in
			ampsf_fdw*) ;;
			*) ln -sfn "$f" "$dir/pg$sharedir/extension/" ;;
		esac
	done
	rm -f "$dir/pg$pkglibdir/ampsf_fdw.so"
	cp "$AMPSF_BUILD/ampsf_fdw.so" "$dir/pg$pkglibdir/"
	cp "$root"/ampsf_fdw.control "$AMPSF_BUILD"/ampsf_fdw--*.sql "$dir/pg$sharedir/extension/"
	pgbin=$dir/pg$bindir
	psql=$bindir/psql
}

start_sandbox()
{
	if [ -n "$sandbox_url" ]; then
		SANDBOX_URL=$sandbox_url
		return
	fi
	[ -x "$AMPSF_SANDBOX" ] || die "no $AMPSF_SANDBOX: run make sandbox"
	mkdir -p "$dir/bin"
	cp "$AMPSF_SANDBOX" "$dir/bin/ampsf-sandbox"
	[ "$(id -u)" != 0 ] || chown -R postgres "$dir/bin"
	as_owner touch "$dir/sandbox.log"
	# shellcheck disable=SC2086 # the arguments are words
	as_owner sh -c 'd=$1; shift; cd "$d"; setsid "$@" >"$d/sandbox.out" 2>&1 </dev/null & echo $! >"$d/sandbox.pid"' \
		sh "$dir" "$dir/bin/ampsf-sandbox" --port 0 --port-file "$dir/sandbox.port" \
		--log "$dir/sandbox.log" --seed "$seed" $sandbox_args
	# a large seed takes its time
	local all=$((10 * ${AMPSF_SANDBOX_PATIENCE:-300}))
	local n=$all
	until [ -s "$dir/sandbox.port" ]; do
		kill -0 "$(cat "$dir/sandbox.pid")" 2>/dev/null || die "the sandbox did not start: $(tail -5 "$dir/sandbox.out")"
		n=$((n - 1))
		[ $n -gt 0 ] || die "the sandbox did not answer in $((all / 10)) seconds: $(tail -5 "$dir/sandbox.out")"
		sleep 0.1
	done
	SANDBOX_URL=http://127.0.0.1:$(cat "$dir/sandbox.port")
}

start_postgres()
{
	as_owner "$pgbin/initdb" -D "$dir/data" -A trust -U postgres --no-sync -E UTF8 --locale=C.UTF-8 \
		>"$dir/initdb.log" 2>&1 || die "initdb failed: $(tail -5 "$dir/initdb.log")"
	{
		echo "listen_addresses = ''"
		echo "unix_socket_directories = '$dir'"
		echo "port = $port"
		# Nothing here outlives the test, and plans must not change under it.
		printf '%s\n' 'fsync = off' 'synchronous_commit = off' 'full_page_writes = off' 'autovacuum = off' \
			'jit = off' 'shared_buffers = 64MB' 'max_connections = 40' "timezone = 'UTC'" \
			"lc_messages = 'C'" "log_line_prefix = '%p %q%u '" 'ampsf.allow_http_loopback = on' \
			'ampsf.max_sync_workers = 0'
		printf '%s\n' "${conf[@]}"
	} | as_owner tee -a "$dir/data/postgresql.conf" >/dev/null
	local server=$pgbin/postgres
	if [ "$valgrind" = 1 ]; then
		# pg_ctl wants an executable; valgrind then follows the postmaster into every backend.
		server=$dir/pg/valgrind-postgres
		cat >"$server" <<-WRAP
			#!/bin/sh
			exec valgrind --quiet --trace-children=yes --leak-check=full --show-leak-kinds=definite \\
				--errors-for-leak-kinds=definite --num-callers=40 --error-markers=VALGRINDERROR-BEGIN,VALGRINDERROR-END \\
				--log-file=$dir/valgrind.%p "$pgbin/postgres" "\$@"
		WRAP
		chmod 755 "$server"
	fi
	as_owner "$pgbin/pg_ctl" -D "$dir/data" -l "$dir/postgres.log" -p "$server" -t 300 -w start \
		>"$dir/pg_ctl.log" 2>&1 || die "PostgreSQL did not start: $(tail -5 "$dir/postgres.log" 2>/dev/null)"
}

setup()
{
	export PGHOST=$dir PGPORT=$port PGUSER=postgres
	"$psql" -X -q -v ON_ERROR_STOP=1 -d postgres <<-SQL || die "could not set the database up"
		CREATE DATABASE sandbox;
		CREATE ROLE guest LOGIN;
	SQL
	[ "$bare" != 2 ] || return 0
	"$psql" -X -q -v ON_ERROR_STOP=1 -d sandbox -c "CREATE EXTENSION ampsf_fdw" || die "could not create the extension"
	[ "$bare" = 0 ] || return 0
	"$psql" -X -q -v ON_ERROR_STOP=1 -d sandbox <<-SQL || die "could not import the org: $(tail -5 "$dir/postgres.log")"
		SET client_min_messages = warning;
		CREATE SERVER sf FOREIGN DATA WRAPPER ampsf_fdw OPTIONS (instance_url '$SANDBOX_URL');
		CREATE USER MAPPING FOR postgres SERVER sf OPTIONS (client_id 'sandbox', client_secret 'sandbox');
		CREATE SCHEMA crm;
		IMPORT FOREIGN SCHEMA crm FROM SERVER sf INTO crm;
	SQL
}

start()
{
	if [ -e "$dir/.ampsf-cluster" ] && [ -s "$dir/env" ] && postmaster_pid >/dev/null &&
		{ [ ! -e "$dir/sandbox.pid" ] || sandbox_pid >/dev/null; }; then
		cat "$dir/env"
		return
	fi
	if [ -e "$dir" ] && [ ! -e "$dir/.ampsf-cluster" ] && [ -n "$(ls -A "$dir")" ]; then
		die "$dir is not empty and not a cluster of mine"
	fi
	[ ${#dir} -le 80 ] || die "$dir: a path so long cannot hold a socket (80 characters at most)"
	mkdir -p "$dir"
	touch "$dir/.ampsf-cluster"
	if [ "$(id -u)" = 0 ]; then
		getent passwd postgres >/dev/null || die "no user postgres: run test/install-deps.sh"
		chown postgres "$dir" "$dir/.ampsf-cluster"
		as_owner test -w "$dir" || die "user postgres cannot reach $dir: choose a folder such as /tmp/ampsf"
	fi
	stop
	rm -f "$dir"/*.log "$dir"/valgrind.*
	trap '[ $? = 0 ] || stop' EXIT
	trap 'exit 130' INT TERM HUP
	stage
	start_sandbox
	start_postgres
	setup
	{
		echo "export PGHOST='$dir'"
		echo "export PGPORT=$port"
		echo "export PGUSER=postgres"
		echo "export PGDATABASE=sandbox"
		echo "export SANDBOX_URL='$SANDBOX_URL'"
		if [ -n "$sandbox_url" ]; then
			echo "export SANDBOX_LOG='${SANDBOX_LOG-}'"
		else
			echo "export SANDBOX_LOG='$dir/sandbox.log'"
		fi
		echo "export SANDBOXCTL='$root/test/sandboxctl'"
	} >"$dir/env"
	cat "$dir/env"
}

[ $# -ge 2 ] || usage
command=$1
dir=$(realpath -m "$2")
shift 2
seed=demo sandbox_args="" sandbox_url="" bare=0 valgrind=0
conf=()
while [ $# -gt 0 ]; do
	case $1 in
		--seed) seed=$2; shift 2 ;;
		--sandbox-args) sandbox_args=$2; shift 2 ;;
		--sandbox-url) sandbox_url=$2; shift 2 ;;
		--conf) conf+=("$2"); shift 2 ;;
		--bare) bare=1; shift ;;
		--blank) bare=2; shift ;;
		--valgrind) valgrind=1; shift ;;
		*) usage ;;
	esac
done

case $command in
	start) start ;;
	stop) stop ;;
	env) cat "$dir/env" ;;
	*) usage ;;
esac
