#!/usr/bin/perl
# Writing rows by collections and by Bulk ingest jobs, against jsforce doing the same, near the org and 150 ms away;
# API calls per 10,000 rows; the peak memory of a large INSERT.
#
#   test/bench/writes.pl        AMPSF_BENCH_WRITES=20000 rows of a round
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use AmpsfBench qw($rows $runs median seconds compare table npm_folder skipped);

my $n = $ENV{AMPSF_BENCH_WRITES} || 20_000;
my ($npm, $why) = npm_folder();
skipped('jsforce', $why) unless $npm;
system("cp $AmpsfBench::root/test/bench/npm/writer.js $npm/") if $npm;
my $tag = 0;

for my $latency (0, 150)
{
	my $c = AmpsfBench->start(rows => 10, args => "--latency-ms $latency");
	my $few = $latency ? int($n / 4) : $n;
	for my $how ('collections', 'bulk')
	{
		$c->sql("CREATE SCHEMA $how", "IMPORT FOREIGN SCHEMA crm LIMIT TO (contact) FROM SERVER sf INTO $how",
			"ALTER FOREIGN TABLE $how.contact OPTIONS (ADD write_transport '$how')");
	}
	my $values = sub { "SELECT '$_[0] ' || g, 'First', 'Title ' || g, 'a' || g || '\@example.com' FROM generate_series(1, $few) g" };
	my $ours = sub {
		my ($how) = @_;
		return sub { $tag++; $c->time_sql("INSERT INTO $how.contact (lastname, firstname, title, email) " . $values->("ours$tag")) };
	};
	my $theirs = sub {
		my ($how) = @_;
		return sub {
			local @ENV{ keys %{ $c->{env} }, 'TOKEN' } = (values %{ $c->{env} }, $c->{token} //= $c->token);
			$tag++;
			return seconds('node', "$npm/writer.js", $how, $few, "theirs$tag");
		};
	};
	$_->() for map { $ours->($_) } 'collections', 'bulk';
	my $t = compare(map { (["ours $_" => $ours->($_)], $npm ? ["jsforce $_" => $theirs->($_)] : ()) } 'collections', 'bulk');
	# A larger number is better: what jsforce takes, in times of what we take.
	table("$few rows inserted, an org that answers $latency ms later; ratio: times as fast as jsforce", $t, $few,
		map { (["jsforce, $_", "jsforce $_", "ours $_", $_ eq 'bulk' ? 'at least 3' : 'at least 1'], ["INSERT, $_", "ours $_"]) } 'collections', 'bulk');
	print "\n| | API calls per 10,000 rows |\n|---|---:|\n";
	for my $how ('collections', 'bulk')
	{
		printf "| INSERT, %s | %.0f |\n", $how, 10_000 / $few * $c->calls_of(sub { $ours->($how)->() });
		printf "| jsforce, %s | %.0f |\n", $how, 10_000 / $few * $c->calls_of(sub { $theirs->($how)->() }) if $npm;
	}
	$c->stop;
}

# Memory does not depend on how many rows there are.
my $c = AmpsfBench->start(rows => 10);
my %peak;
for my $many (10_000, $rows)
{
	my $text = $c->psql('-c', 'SET client_min_messages = warning', '-c', "ALTER SERVER sf OPTIONS (@{[$many == 10_000 ? 'ADD' : 'SET']} write_transport 'bulk')",
		'-c', "INSERT INTO crm.contact (lastname, email) SELECT 'row ' || g, 'a' || g || '\@example.com' FROM generate_series(1, $many) g",
		'-c', q{SELECT (regexp_match(pg_read_file('/proc/' || pg_backend_pid() || '/status'), 'VmHWM:\s+(\d+)'))[1]});
	($peak{$many}) = $text =~ /(\d+)\s*$/;
}
print "\n| rows inserted by Bulk | peak memory of the backend, MB |\n|---:|---:|\n";
printf "| %d | %.1f |\n", $_, $peak{$_} / 1024 for 10_000, $rows;
$c->stop;
