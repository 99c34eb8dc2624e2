#!/bin/bash
# What make demo runs: builds, starts a throwaway PostgreSQL and the sandbox org, shows the tour, ends both.
#   --shell   no tour: psql in that cluster, until it is left
set -euo pipefail

root=$(cd "$(dirname "$0")/../.." && pwd)
cd "$root"
shell=0
[ "${1-}" != --shell ] || shell=1

mkdir -p build/demo
build()
{
	echo "Building the extension and the sandbox ..."
	if ! { make -s -j2 && make -s -j2 sandbox; } >build/demo/build.log 2>&1; then
		tail -20 build/demo/build.log >&2
		echo "The build failed: build/demo/build.log" >&2
		exit 1
	fi
}
build

dir=${AMPSF_DEMO_DIR:-$(mktemp -u /tmp/ampsf-demo-XXXXXX)}
trap 'test/cluster.sh stop "$dir"; rm -rf "$dir"' EXIT
trap 'exit 130' INT TERM HUP
echo "Starting a throwaway PostgreSQL and a Salesforce org, both on this machine ..."
if [ $shell = 1 ]; then
	env=$(test/cluster.sh start "$dir" --seed demo)
else
	env=$(test/cluster.sh start "$dir" --seed demo --blank)
fi
eval "$env"
bindir=$("${PG_CONFIG:-pg_config}" --bindir)
export PATH=$bindir:$PATH

if [ $shell = 1 ]; then
	cat <<-TEXT

		The org is imported as schema crm:  \\det crm.*   \\d crm.account   SELECT * FROM crm.account LIMIT 5;
		What goes out is logged in $SANDBOX_LOG
		When you leave psql, all of this ends.

	TEXT
	trap '' INT # Ctrl-C cancels a query, it does not end the cluster
	psql -X
	exit
fi

# Each paragraph of tour.sql is a step: its words, its SQL, what went out, what came back.
export DEMO_SEEN=$dir/seen
wc -l <"$SANDBOX_LOG" >"$DEMO_SEEN"
chmod 666 "$DEMO_SEEN" 2>/dev/null || true
perl -e '
	my ($url, $calls, $file) = @ARGV;
	open(my $f, "<", $file) or die "$file: $!";
	local $/ = "";
	sub show { my ($t) = @_; $t =~ s/\x27/\x27\x27/g; print "\\echo \x27$t\x27\n"; }
	print "\\set ON_ERROR_STOP 1\n\\set QUIET 1\nSET client_min_messages = warning;\n";
	while (my $step = <$f>)
	{
		$step =~ s/\@SANDBOX_URL\@/$url/g;
		my @lines = split /\n/, $step;
		print "\\echo\n";
		while (@lines && $lines[0] =~ /^--(.*)/) { my $t = $1; $t =~ s/^ //; show($t); shift @lines; }
		print "\\echo\n";
		show("    $_") for @lines;
		print "\\echo\n";
		print "\\set QUIET 0\n", join("\n", @lines), "\n\\set QUIET 1\n";
		print "\\! $calls\n";
	}' "$SANDBOX_URL" "$root/test/demo/calls.sh" test/demo/tour.sql >"$dir/tour.psql"

# Line by line, so that psql and what it calls write in order.
stdbuf -oL psql -X -P pager=off -P footer=on -P null='(null)' -f "$dir/tour.psql" </dev/null
cat <<-TEXT

	That was all: the cluster and the org end now, nothing is left running.
	make demo-shell opens psql in such a cluster; README.md shows the way to a real org.
TEXT
