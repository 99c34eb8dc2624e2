# An org and a cluster for a benchmark, times of what is run there, and tables of them.
#
# Everything that is compared runs in turn, round after round, and a ratio is the median of the ratios of the
# rounds: so what else the machine does hits both sides.  The org has one core and the backend another.
#
#   AMPSF_BENCH_ROWS=1000000 AMPSF_BENCH_RUNS=5
package AmpsfBench;

use strict;
use warnings;
use Cwd qw(abs_path);
use Exporter 'import';
use File::Basename qw(dirname);
use JSON::PP;
use Time::HiRes qw(time);

our @EXPORT_OK = qw($rows $runs $build columns fields median seconds compare table npm_folder skipped);

our $root  = abs_path(dirname(abs_path(__FILE__)) . '/../../..');
our $rows  = $ENV{AMPSF_BENCH_ROWS} || 1_000_000;
our $runs  = $ENV{AMPSF_BENCH_RUNS} || 5;
our $build = "$root/build/bench";
my $pg_config = $ENV{PG_CONFIG} || 'pg_config';
chomp(my $bindir = `$pg_config --bindir`);
my @started;
my $owner = $$;

# What a contact of seed big has filled, in the order of the tables; column => field.
my @fields = qw(Id AccountId LastName FirstName Salutation MailingStreet MailingCity MailingPostalCode MailingLatitude
  MailingLongitude Phone Email Title Department LeadSource Birthdate HasOptedOutOfEmail CreatedDate SystemModstamp Ext_Id__c);
sub fields { return @fields }
sub columns { return map { lc } @fields }

# ---- the org and the cluster ----

sub start
{
	my ($class, %o) = @_;
	my $dir = "/tmp/ampsf-bench-$$-" . scalar @started;
	push @started, $dir;
	my @cmd = (
		"$root/test/cluster.sh", 'start', $dir,
		'--seed', 'big:' . ($o{rows} // $rows),
		'--sandbox-args', join(' ', '--bulk-keep 32 --max-locators 1000', '--page-cache-mb', $o{cache} // int($rows / 300) + 500, $o{args} // ()),
		map { ('--conf', $_) } 'max_wal_size = 4GB', "shared_buffers = @{[$o{buffers} // '256MB']}", 'max_parallel_workers_per_gather = 0');
	local $ENV{AMPSF_SANDBOX_PATIENCE} = 60 + int(($o{rows} // $rows) / 20_000);
	open my $out, '-|', @cmd or die "cluster.sh: $!\n";
	my %env;
	while (<$out>) { $env{$1} = $2 if /^export (\w+)='?([^'\n]*)'?$/ }
	close $out or die "the cluster did not start\n";
	my $self = bless { dir => $dir, env => \%env, url => $env{SANDBOX_URL}, cores => cores() }, $class;
	$self->pin(1) unless $o{loose};
	# On loopback compression costs both sides more than it saves.
	$self->sql("ALTER SERVER sf OPTIONS (ADD compression 'false', ADD transport 'bulk')");
	return $self;
}

sub cores { chomp(my $n = `nproc 2>/dev/null` || 1); return $n }

sub first_line { my ($file) = @_; open my $f, '<', $file or return; chomp(my $l = <$f> // ''); return $l }

# The org to the first core, PostgreSQL to the second; or both wherever they like.
sub pin
{
	my ($self, $on) = @_;
	return if $self->{cores} < 2 || !defined first_line('/proc/self/stat') || system('command -v taskset >/dev/null') != 0;
	my $all = '0-' . ($self->{cores} - 1);
	my %core = (first_line("$self->{dir}/sandbox.pid") => $on ? 0 : $all, first_line("$self->{dir}/data/postmaster.pid") => $on ? 1 : $all);
	system("taskset -acp $core{$_} $_ >/dev/null") for keys %core;
	return;
}

sub stop
{
	my ($self) = @_;
	system("$root/test/cluster.sh", 'stop', $self->{dir});
	system('rm', '-rf', $self->{dir});
	@started = grep { $_ ne $self->{dir} } @started;
	return;
}

$SIG{$_} = sub { exit 130 } for qw(INT TERM HUP);
END
{
	my $status = $?;
	if ($$ == $owner) { system("$root/test/cluster.sh stop $_; rm -rf $_") for @started }
	$? = $status;
}

# ---- what is run there ----

sub psql
{
	my ($self, @args) = @_;
	my $pid = open(my $out, '-|') // die "fork: $!\n";
	if ($pid == 0)
	{
		@ENV{ keys %{ $self->{env} } } = values %{ $self->{env} };
		exec "$bindir/psql", '-X', '-A', '-t', '-q', '-v', 'ON_ERROR_STOP=1', @args;
	}
	local $/;
	my $text = <$out>;
	close $out or die "psql failed: @args\n";
	return $text;
}

sub sql { my ($self, @statements) = @_; chomp(my $t = $self->psql(map { ('-c', $_) } 'SET client_min_messages = warning', @statements)); return $t }

# What the last statement takes, those before it are preparation: seconds by psql's clock, and those that the backend
# was on a core, which the machine's other work changes less.
sub time_sql
{
	my ($self, @statements) = @_;
	my $last = pop @statements;
	my $cpu  = q{SELECT 'cpu ' || split_part(pg_read_file('/proc/self/schedstat'), ' ', 1)};
	my $text = $self->psql(map { ('-c', $_) } 'SET client_min_messages = warning', @statements, $cpu, '\\timing on', $last, '\\timing off', $cpu);
	my ($ms)  = $text =~ /^Time: ([\d.]+) ms/m or die "no time for $last\n";
	my @on = $text =~ /^cpu (\d+)/mg;
	return ($ms / 1000, ($on[1] - $on[0]) / 1e9);
}

# Seconds until psql has read, formatted and thrown away every row.
sub time_drain
{
	my ($self, $statement, @before) = @_;
	my $text = $self->psql('-v', 'FETCH_COUNT=10000', '-o', '/dev/null', (map { ('-c', $_) } @before), '-c', '\\timing on', '-c', $statement);
	my ($ms) = $text =~ /^Time: ([\d.]+) ms/m or die "no time for $statement\n";
	return $ms / 1000;
}

# Seconds of a command, as it says itself on its first line, or by the clock.
sub seconds
{
	my (@cmd) = @_;
	my $start = time;
	open my $out, '-|', @cmd or die "$cmd[0]: $!\n";
	my $said = <$out>;
	close $out or die "$cmd[0] failed\n";
	return defined $said && $said =~ /^([\d.]+)/ ? $1 : time - $start;
}

sub token
{
	my ($self) = @_;
	my $answer = `curl -fsS $self->{url}/services/oauth2/token -d 'grant_type=client_credentials&client_id=sandbox&client_secret=sandbox'`;
	return decode_json($answer)->{access_token};
}

# A call to the org: the decoded answer; headers and body are in files of the cluster's folder.
sub api
{
	my ($self, $method, $path, $body) = @_;
	$self->{token} //= $self->token;
	my @cmd = ('curl', '-fsS', '-X', $method, '-H', "Authorization: Bearer $self->{token}", '-D', "$self->{dir}/bench.head",
		'-o', "$self->{dir}/bench.body", "$self->{url}$path");
	push @cmd, '-H', 'Content-Type: application/json', '-d', encode_json($body) if $body;
	system(@cmd) == 0 or die "the org refused $path\n";
	open my $f, '<', "$self->{dir}/bench.body" or return;
	local $/;
	my $text = <$f>;
	return $text =~ /^[\[{]/ ? decode_json($text) : $text;
}

# Tells the org.
sub ctl
{
	my ($self, @command) = @_;
	local @ENV{ keys %{ $self->{env} } } = values %{ $self->{env} };
	system("$root/test/sandboxctl @command >/dev/null") == 0 or die "sandboxctl @command failed\n";
	return;
}

# A Bulk job that is ready: the addresses of its pages, in order.
sub bulk_pages
{
	my ($self, $soql) = @_;
	my $base = '/services/data/v62.0/jobs/query';
	my $id   = $self->api('POST', $base, { operation => 'query', query => $soql })->{id};
	my @pages;
	select(undef, undef, undef, 0.05) until $self->api('GET', "$base/$id")->{state} eq 'JobComplete';
	for (my $locator = ''; $locator ne 'null';)
	{
		my $path = "$base/$id/results" . ($locator eq '' ? '' : "?locator=$locator");
		$self->api('GET', $path);
		push @pages, "$self->{url}$path";
		open my $f, '<', "$self->{dir}/bench.head" or die;
		($locator) = map { /^Sforce-Locator: *(\S+)/i ? $1 : () } <$f>;
	}
	return @pages;
}

# The pages of a query over REST; the locators of this org count rows, so all are known after the first.
sub rest_pages
{
	my ($self, $soql) = @_;
	my $q = $soql =~ s/([^A-Za-z0-9_.~-])/sprintf('%%%02X', ord $1)/ger;
	my $first = "/services/data/v62.0/query?q=$q";
	my $page  = $self->api('GET', $first);
	my @pages = "$self->{url}$first";
	my ($base) = ($page->{nextRecordsUrl} // '') =~ /^(.*)-\d+$/;
	for (my $i = 2000; $i < $page->{totalSize}; $i += 2000) { push @pages, "$self->{url}$base-$i" }
	return @pages;
}

# Seconds that curl alone needs for these addresses, one after the other over one connection.
sub time_curl
{
	my ($self, @urls) = @_;
	my $config = "$self->{dir}/curl.cfg";
	open my $f, '>', $config or die;
	print $f "silent\nshow-error\nfail\nheader = \"Authorization: Bearer $self->{token}\"\n";
	print $f "url = \"$_\"\noutput = /dev/null\n" for @urls;
	close $f;
	return seconds('curl', '-K', $config);
}

# Requests of the last statement, as the org counts them.
sub calls_of
{
	my ($self, $what) = @_;
	my $log = $self->{env}{SANDBOX_LOG};
	my $from = -s $log;
	$what->();
	open my $f, '<', $log or die;
	seek $f, $from, 0;
	return scalar grep { m{"path":"/services/data} } <$f>;
}

# Where npm's packages are, or undef and why not.
sub npm_folder
{
	my $dir = "$build/npm";
	return $dir if -e "$dir/.installed";
	system('mkdir', '-p', $dir);
	return (undef, 'no node or npm') if system('command -v node npm >/dev/null 2>&1') != 0;
	system("cp $root/test/bench/npm/* $dir/");
	return (undef, 'npm cannot install')
	  if system("cd $dir && npm ci --no-audit --no-fund --loglevel=error >npm.log 2>&1 && touch .installed") != 0;
	return $dir;
}

# ---- comparing ----

sub median { my @v = sort { $a <=> $b } @_; return @v % 2 ? $v[$#v / 2] : ($v[$#v / 2] + $v[@v / 2]) / 2 }

sub skipped { my ($what, $why) = @_; print "$what: skipped ($why)\n"; return }

# [name, sub that gives seconds, and perhaps those on a core] in turn, $runs times; by name: the times of both kinds.
sub compare
{
	my (@candidates) = @_;
	my %times;
	for my $round (1 .. $runs)
	{
		for my $c (@candidates)
		{
			my ($seconds, $cpu) = $c->[1]->();
			push @{ $times{ $c->[0] } }, $seconds;
			push @{ $times{"$c->[0] cpu"} }, $cpu if defined $cpu;
		}
	}
	return \%times;
}

sub ratio { my ($a, $b) = @_; return $a && $b ? sprintf('%.2f', median(map { $a->[$_] / $b->[$_] } 0 .. $#$a)) : '' }

# Each line: what, its name, the name of what it is divided by, the goal for that ratio.
sub table
{
	my ($title, $times, $n, @lines) = @_;
	print "\n$title\n\n| | seconds | rows/s | ratio | on a core | ratio | goal |\n|---|---:|---:|---:|---:|---:|---|\n";
	for my $line (@lines)
	{
		my ($label, $name, $other, $goal) = @$line;
		my ($t, $cpu) = ($times->{$name}, $times->{"$name cpu"});
		if (!$t) { print "| $label | skipped | | | | | |\n"; next }
		printf "| %s | %.3f | %s | %s | %s | %s | %s |\n", $label, median(@$t), $n ? sprintf('%dk', $n / median(@$t) / 1000) : '',
		  $other ? ratio($t, $times->{$other}) : '', $cpu ? sprintf('%.3f', median(@$cpu)) : '', $other ? ratio($cpu, $times->{"$other cpu"}) : '', $goal // '';
	}
	return;
}

1;
