#!/usr/bin/perl
# An org that answers 150 ms later: what a reading takes, against the latency of one call and the time that the
# transfer takes without any.
#
#   test/bench/latency.pl
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use AmpsfBench qw($rows $runs columns fields median compare table);

my $latency = 0.150;
my $near = AmpsfBench->start;
my $far  = AmpsfBench->start(args => '--latency-ms ' . $latency * 1000);
my %time;
for my $o ([near => $near], [far => $far])
{
	my ($name, $c) = @$o;
	for my $how ('bulk', 'rest')
	{
		my $cols = join ', ', columns();
		$c->sql("CREATE SCHEMA $how", "IMPORT FOREIGN SCHEMA crm LIMIT TO (contact) FROM SERVER sf INTO $how",
			"ALTER FOREIGN TABLE $how.contact OPTIONS (ADD transport '$how')");
		$time{"$name $how"} = sub { $c->time_sql('DROP TABLE IF EXISTS u', "CREATE UNLOGGED TABLE u AS SELECT $cols FROM $how.contact") };
		# REST with latency takes minutes: its pages are rendered by those who do not wait
		$time{"$name $how"}->() unless "$name $how" eq 'far rest';
	}
}
my $t = compare(map { [$_ => $time{$_}] } 'near bulk', 'far bulk', 'near rest');
my $once = { %$t, 'far rest' => [ ($time{'far rest'}->())[0] ] };
$once->{"ideal $_"} = [ map { $latency + $_ } @{ $t->{"near $_"} } ] for 'bulk', 'rest';
table("$rows rows into a table from an org that answers 150 ms later", $once, $rows,
	['Bulk', 'far bulk', 'ideal bulk', 'at most 1.15'], ['ideal: one latency and the time without', 'ideal bulk'],
	['REST', 'far rest', 'ideal rest'], ['ideal: one latency and the time without', 'ideal rest']);
$_->stop for $near, $far;
