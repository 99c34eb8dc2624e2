#!/usr/bin/perl
# The decoders alone, over the same bytes in memory: MB/s, and instructions a row as callgrind counts them, which no
# other work of the machine changes.
#
#   test/bench/decoders.pl
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use AmpsfBench qw($runs $build fields median);

my $root = $AmpsfBench::root;
chomp(my ($include, $lib) = map { `@{[$ENV{PG_CONFIG} || 'pg_config']} --$_` } 'includedir-server', 'pkglibdir');
system('mkdir', '-p', $build);
my $libcsv = system("echo '#include <csv.h>' | cc -E - >/dev/null 2>&1") == 0;
my $pg     = -e "$lib/libpgcommon.a";
my @cc     = ('cc', '-O2', '-g', "-I$root/src", '-D_GNU_SOURCE');
my @ours   = map { "$root/src/wire/$_.c" } 'json_scan', 'json_lex', 'json_unescape', 'csv_scan';
system(@cc, '-DFRONTEND', "-I$include", '-c', '-o', "$build/pg_json.o", "$FindBin::Bin/bench_pg_json.c") == 0 or $pg = 0;
system(@cc, $libcsv ? '-DWITH_LIBCSV' : (), $pg ? '-DWITH_PG_JSON' : (), '-o', "$build/bench_decode", "$FindBin::Bin/bench_decode.c", @ours,
	$pg ? ("$build/pg_json.o", "-L$lib", '-lpgcommon', '-lpgport') : (), '-ljson-c', $libcsv ? '-lcsv' : (), '-lpthread') == 0
  or die "bench_decode does not compile\n";

# Pages of the org: 2,000 records, and the same in CSV.
my $c   = AmpsfBench->start(rows => 2000);
my $all = 'SELECT ' . join(', ', fields()) . ' FROM Contact';
my @json = $c->rest_pages($all);
system('cp', "$c->{dir}/bench.body", "$build/page.json");
$c->bulk_pages($all);
system('cp', "$c->{dir}/bench.body", "$build/page.csv");
$c->stop;

my @pin = system('command -v taskset >/dev/null') == 0 && AmpsfBench::cores() > 1 ? ('taskset', '-c', '1') : ();
sub decode
{
	my ($decoder, $rounds, @before) = @_;
	open my $out, '-|', @before, "$build/bench_decode", $decoder, "$build/page." . ($decoder =~ /csv/ ? 'csv' : 'json'), $rounds, fields() or die;
	my @said = split ' ', <$out> // '';
	close $out or die "$decoder failed\n";
	return @said;
}

# Instructions a row: what one more reading of the page costs.
sub instructions
{
	my ($decoder) = @_;
	return undef if system('command -v valgrind >/dev/null') != 0;
	my @n;
	for my $rounds (1, 2)
	{
		decode($decoder, $rounds, 'valgrind', '-q', '--tool=callgrind', "--callgrind-out-file=$build/callgrind.$decoder", '--log-file=/dev/null');
		open my $f, '<', "$build/callgrind.$decoder" or die;
		push @n, map { /^(?:totals|summary): (\d+)/ ? $1 : () } <$f>;
	}
	return ($n[-1] - $n[0]) / 2000;
}

my %rounds = (json_scan => 200, csv_scan => 400, 'json-c' => 5, pg_json => 10, libcsv => 40);
my @rivals = (['json-c', 'json_scan', 20], $pg ? ['pg_json', 'json_scan', ''] : (), $libcsv ? ['libcsv', 'csv_scan', 8] : ());
my (%speed, %values);
for (1 .. $runs)
{
	for my $d ('json_scan', 'csv_scan', map { $_->[0] } @rivals)
	{
		my ($seconds, $bytes, $rows, $values) = decode($d, $rounds{$d}, @pin);
		push @{ $speed{$d} }, $bytes / $seconds / 1e6;
		$values{$d} = $values / $rounds{$d};
	}
}
$values{$_->[0]} == $values{ $_->[1] } or die "$_->[0] finds $values{$_->[0]} values, $_->[1] $values{$_->[1]}\n" for @rivals;
print "\nDecoders alone, 2,000 rows of 20 fields in memory; the medians of $runs rounds\n\n";
print "| | MB/s | ours is faster | goal | instructions a row | goal |\n|---|---:|---:|---|---:|---|\n";
my %goal = (json_scan => 5000, csv_scan => 1500);
for my $d ('json_scan', 'csv_scan')
{
	printf "| %s | %.0f | | | %s | %d |\n", $d, median(@{ $speed{$d} }), (sprintf '%.0f', instructions($d) // 'NaN'), $goal{$d};
	for my $r (grep { $_->[1] eq $d } @rivals)
	{
		my $name = $r->[0];
		my $x = median(map { $speed{$d}[$_] / $speed{$name}[$_] } 0 .. $runs - 1);
		printf "| %s | %.0f | %.1f | %s | %s | |\n", $name eq 'pg_json' ? 'PostgreSQL\'s JSON parser' : $name, median(@{ $speed{$name} }), $x, $r->[2],
		  (sprintf '%.0f', instructions($name) // 'NaN');
	}
}
print "libcsv: skipped (its header is not there)\n" unless $libcsv;
print "PostgreSQL's JSON parser: skipped\n" unless $pg;
