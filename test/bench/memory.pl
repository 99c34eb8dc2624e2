#!/usr/bin/perl
# Peak resident memory of a backend that reads all columns of a table, over Bulk and over REST.
#
#   test/bench/memory.pl [ROWS]...      10,000, AMPSF_BENCH_ROWS and ten times as many
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use AmpsfBench qw($rows $runs columns median);

# In a backend of its own: the peak is that of its life.
sub peak
{
	my ($c, $how) = @_;
	my $list = join ', ', map { "count($_) FILTER (WHERE true)" } columns();
	my $text = $c->sql("ALTER SERVER sf OPTIONS (SET transport '$how')", "SELECT FROM (SELECT $list FROM crm.contact) x",
		q{SELECT substring(pg_read_file('/proc/self/status') FROM 'VmHWM:\s*(\d+)')});
	return ($text =~ /(\d+)/)[0] / 1024;
}

my @sizes = @ARGV ? @ARGV : (10_000, $rows, 10 * $rows);
my (%peak, $least, $most);
$| = 1;
print "\nPeak resident memory of the backend in MB, 20 columns decoded and counted\n\n| rows | Bulk | REST |\n|---:|---:|---:|\n";
for my $n (@sizes)
{
	my ($free) = `cat /proc/meminfo` =~ /MemAvailable:\s+(\d+)/;
	# the org keeps its rows in memory
	if ($n > $free) { print "| $n | skipped: too little memory for the org | |\n"; next }
	my $c = AmpsfBench->start(rows => $n, cache => 200, buffers => '32MB');
	for my $how ('bulk', 'rest') { $peak{$n}{$how} = median(map { peak($c, $how) } 1 .. ($n > 100_000 ? 1 : 3)) }
	$c->stop;
	printf "| %d | %.1f | %.1f |\n", $n, $peak{$n}{bulk}, $peak{$n}{rest};
	$least //= $n;
	$most = $n;
}
printf "| more at %d than at %d (goal: at most 10 at 10,000,000) | %.1f | %.1f |\n", $most, $least, map { $peak{$most}{$_} - $peak{$least}{$_} } 'bulk', 'rest'
  if defined $most;
