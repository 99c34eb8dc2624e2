#!/usr/bin/perl
# Peak resident memory of a backend that reads all columns of a table, over Bulk and over REST.
#
#   test/bench/memory.pl
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use AmpsfBench qw($rows $runs columns fields median compare table skipped);

# In a backend of its own: the peak is that of its life.
sub peak
{
	my ($c, $how) = @_;
	my $list = join ', ', map { "count($_) FILTER (WHERE true)" } columns();
	my $text = $c->sql("ALTER SERVER sf OPTIONS (SET transport '$how')", "SELECT FROM (SELECT $list FROM crm.contact) x",
		q{SELECT substring(pg_read_file('/proc/self/status') FROM 'VmHWM:\s*(\d+)')});
	return ($text =~ /(\d+)/)[0] / 1024;
}

my %peak;
my @sizes = (10_000, $rows, 10 * $rows);
for my $n (@sizes)
{
	my ($free) = `cat /proc/meminfo` =~ /MemAvailable:\s+(\d+)/;
	# the org keeps its rows in memory
	if ($n * 1.0 > $free) { skipped("$n rows", 'the machine has too little memory for the org'); next }
	my $c = AmpsfBench->start(rows => $n, cache => 200, buffers => '32MB');
	for my $how ('bulk', 'rest') { $peak{$n}{$how} = median(map { peak($c, $how) } 1 .. 3) }
	$c->stop;
}
print "\nPeak resident memory of the backend in MB, 20 columns decoded and counted\n\n| rows | Bulk | REST |\n|---:|---:|---:|\n";
for my $n (@sizes)
{
	printf "| %d | %.1f | %.1f |\n", $n, $peak{$n}{bulk}, $peak{$n}{rest} if $peak{$n};
}
printf "| more than at 10,000 (goal: at most 10) | %.1f | %.1f |\n", map { $peak{ $sizes[2] }{$_} - $peak{10_000}{$_} } 'bulk', 'rest' if $peak{ $sizes[2] };
