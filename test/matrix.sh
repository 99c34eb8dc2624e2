#!/bin/bash
# Builds the extension with warnings as errors, and runs the SQL suites and those TAP tests in which majors
# of PostgreSQL differ most, on the majors of the next Debian releases, in chroots that it makes (in
# AMPSF_CHROOTS, default /var/tmp/ampsf-chroot) and keeps for the next run.  The mirror is the one that
# this machine's own apt uses.
#
#   test/matrix.sh [17] [18]          AMPSF_TAP="async parallel" test/matrix.sh    other TAP tests: test/t/NAME.t
#
# Last line "N passed, N failed" (", N skipped" where no chroot can be had: no root, no debootstrap, no mirror).
set -uo pipefail

root=$(cd "$(dirname "$0")/.." && pwd)
chroots=${AMPSF_CHROOTS:-/var/tmp/ampsf-chroot}
logs=$root/build/test/matrix
passed=0 failed=0 skipped=0
# Asynchronous scans, interrupts, hooks and callbacks of transactions, background workers, shared memory.
tap=${AMPSF_TAP-async cancel transaction parallel schedule events writeback}
mkdir -p "$logs"

if [ $# -gt 0 ]; then majors=("$@"); else majors=(17 18); fi

skip()
{
	echo "skipped  PostgreSQL $major: $*"
	skipped=$((skipped + 1))
}

# Makes or completes the chroot $r of $suite with PostgreSQL $major.
prepare()
{
	local mirror script=() need
	need="postgresql-$major postgresql-server-dev-$major build-essential libcurl4-openssl-dev libjson-c-dev libssl-dev"
	need="$need libmicrohttpd-dev libsqlite3-dev zlib1g-dev pkg-config curl openssl perl procps"
	[ "$(cat "$r/.ampsf-ready" 2>/dev/null)" != "$need" ] || return 0
	if [ ! -e "$r/usr/bin/apt-get" ]; then
		command -v debootstrap >/dev/null || apt-get install -q -y --no-install-recommends debootstrap >/dev/null 2>&1
		command -v debootstrap >/dev/null || { echo 'no debootstrap'; return 1; }
		mirror=$(apt-get indextargets --format '$(REPO_URI) $(COMPONENT)' 'Created-By: Packages' 2>/dev/null |
			awk '$2 == "main" && $1 !~ /security/ { print $1; exit }')
		[ -n "$mirror" ] || { echo 'apt names no mirror'; return 1; }
		# A release newer than this debootstrap is made like sid.
		[ -e "/usr/share/debootstrap/scripts/$suite" ] || script=(/usr/share/debootstrap/scripts/sid)
		rm -rf "$r"
		mkdir -p "$chroots"
		debootstrap --variant=minbase "$suite" "$r" "$mirror" "${script[@]}" || return 1
	fi
	printf '#!/bin/sh\nexit 101\n' >"$r/usr/sbin/policy-rc.d"
	chmod 755 "$r/usr/sbin/policy-rc.d"
	cp /etc/resolv.conf /etc/hosts "$r/etc/" 2>/dev/null
	# A release that is not out yet may be behind on its mirror: that is no reason to do without it here.
	echo 'Acquire::Check-Valid-Until "false";' >"$r/etc/apt/apt.conf.d/90ampsf"
	# shellcheck disable=SC2086
	inside 'apt-get update -q && apt-get install -y -q --no-install-recommends "$@" && apt-get clean' $need || return 1
	echo "$need" >"$r/.ampsf-ready"
}

# Runs shell text in the chroot, in a mount namespace of its own: nothing has to be unmounted, whatever
# happens.
inside()
{
	local text=$1
	shift
	# shellcheck disable=SC2016
	unshare --mount --propagation private sh -c '
		r=$1 text=$2; shift 2
		mount --bind /proc "$r/proc" && mount --rbind /dev "$r/dev" && mkdir -p "$r/dev/shm" || exit 1
		exec env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive \
			${http_proxy:+http_proxy="$http_proxy"} ${https_proxy:+https_proxy="$https_proxy"} \
			chroot "$r" sh -c "$text" sh "$@"' sh "$r" "$text" "$@" </dev/null
}

# The tracked files and those about to be.
sources()
{
	if git -C "$root" rev-parse --git-dir >/dev/null 2>&1; then
		git -C "$root" ls-files -co --exclude-standard -z | (cd "$root" && xargs -0 ls -d 2>/dev/null)
	else
		(cd "$root" && find . -path ./build -prune -o -type f -not -name '*.o' -not -name '*.so' -print)
	fi
}

one()
{
	local log=$logs/$major.log
	r=$chroots/$suite
	if [ "$(id -u)" != 0 ]; then skip 'a chroot needs root'; return; fi
	if ! prepare >"$log.prepare" 2>&1; then
		skip "no chroot of $suite: $(tail -1 "$log.prepare")"
		return
	fi
	rm -rf "$r/ampsf"
	mkdir -p "$r/ampsf"
	sources | tar -C "$root" -cf - -T - | tar -C "$r/ampsf" -xf - --no-same-owner
	if inside 'cd /ampsf && make -j2 WERROR=1 PG_CONFIG=/usr/lib/postgresql/$1/bin/pg_config' "$major" >"$log.build" 2>&1; then
		echo "ok       PostgreSQL $major: build without a warning"
		passed=$((passed + 1))
	else
		echo "not ok   PostgreSQL $major: build"
		grep -E 'error: |warning: |\*\*\* ' "$log.build" | head -20
		failed=$((failed + 1))
		return
	fi
	if ! inside 'cd /ampsf && make -j2 -C test/sandbox WARN=' >"$log.sandbox" 2>&1; then
		echo "not ok   PostgreSQL $major: the sandbox does not build"
		grep -E 'error: |\*\*\* ' "$log.sandbox" | head -20
		failed=$((failed + 1))
		return
	fi
	inside 'cd /ampsf && PG_CONFIG=/usr/lib/postgresql/$1/bin/pg_config test/regress.sh' "$major" >"$log" 2>&1
	add "$log"
	[ -n "$tap" ] || return 0
	inside 'cd /ampsf && PG_CONFIG=/usr/lib/postgresql/$1/bin/pg_config AMPSF_BUILD=/ampsf AMPSF_TAP=$2 test/run.sh tap' \
		"$major" "$tap" >"$log.tap" 2>&1
	add "$log.tap"
}

# Shows a run, and counts what its last line says.
add()
{
	sed "s/^/  [$major] /" "$1"
	if [[ $(tail -1 "$1") =~ ^([0-9]+)\ passed,\ ([0-9]+)\ failed(,\ ([0-9]+)\ skipped)?$ ]]; then
		passed=$((passed + BASH_REMATCH[1]))
		failed=$((failed + BASH_REMATCH[2]))
		skipped=$((skipped + ${BASH_REMATCH[4]:-0}))
	else
		failed=$((failed + 1))
	fi
}

for major in "${majors[@]}"; do
	case $major in
		17) suite=trixie ;;
		18) suite=forky ;;
		*) echo "matrix.sh: no Debian release known for PostgreSQL $major" >&2; exit 2 ;;
	esac
	one
done

if [ $skipped -gt 0 ]; then
	echo "$passed passed, $failed failed, $skipped skipped"
else
	echo "$passed passed, $failed failed"
fi
[ $failed -eq 0 ]
