#!/usr/bin/perl
# Random queries over foreign tables and over local copies of the same rows must have equal results.
#
#   differential.pl [--seed N] [--count M] [--only K] [--label TEXT] [--show] [--max-failures F]
#
# Runs in the cluster of the environment (eval "$(test/cluster.sh start DIR --seed demo)"), after setup.sql, which it
# runs itself if need be.  Query K of seed N is always the same over the same org: --only K runs it alone, --show
# prints it.  A query that fails is made smaller while it still fails, then reported with its plan and the first
# rows that differ.  Rows are compared as multisets, or in their order where the query determines it; an error
# equals an error of the same SQLSTATE.  Last line "N passed, N failed".
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Differential::Org;
use Differential::Query qw(make statements smaller);
use Differential::Session;
use File::Temp qw(tempdir);
use Getopt::Long;

my %o = (seed => 1, count => 1000, label => '', 'max-failures' => 10);
GetOptions(\%o, 'seed=i', 'count=i', 'only=i', 'label=s', 'show', 'max-failures=i', 'stop-on-failure') or exit 2;
$| = 1;
my $dir = tempdir('ampsf-differential-XXXXXX', DIR => '/tmp', CLEANUP => 1);
my %session = map { $_ => Differential::Session->new($_, $dir) } qw(crm near);
setup() if ($session{near}->run("SELECT 1 FROM near.account LIMIT 0"))[0]{state} ne '00000';
my $org = Differential::Org->new($session{near});
my %seen = (queries => 0, rows => 0, errors => 0);
my %errors;
my ($passed, $failed) = (0, 0);

for my $n (defined $o{only} ? $o{only} : 1 .. $o{count})
{
	srand($o{seed} * 1000003 + $n);
	my $q = make($org);
	if ($o{show})
	{
		binmode STDOUT, ':raw';
		print "-- query $n ($q->{shape}, $q->{around})\n";
		print "$_->{sql};\n" for statements($q);
	}
	my $r = compare($q);
	$seen{queries}++;
	$seen{rows}++ if $r->{rows};
	$seen{errors}++, $errors{ $r->{state} }++ if $r->{state} ne '00000';
	if ($o{show})
	{
		print "-- $r->{rows} rows, $r->{state} ", $session{near}->complaint, "\n";
	}
	if (!defined $r->{difference})
	{
		$passed++;
		next;
	}
	$failed++;
	report($n, $q, $r);
	last if $failed >= $o{'max-failures'};
}
printf "%s%d queries, %d of them with rows, %d with the same error (%s)\n", $o{label} ? "$o{label}: " : '', $seen{queries}, $seen{rows},
  $seen{errors}, join(', ', map { "$_: $errors{$_}" } sort keys %errors);
$_->close for values %session;
print "$passed passed, $failed failed\n";
exit($failed ? 1 : 0);

sub setup
{
	my $bindir = do { my $c = $ENV{PG_CONFIG} || 'pg_config'; `$c --bindir` };
	chomp $bindir;
	system("$bindir/psql", '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-f', "$FindBin::Bin/setup.sql") == 0 or die "setup.sql failed\n";
	return;
}

# Runs a query on both sides: {difference => text or undef, rows => how many, state => SQLSTATE of the query}.
sub compare
{
	my ($q)  = @_;
	my @list = statements($q);
	my @sql  = map { $_->{sql} } @list;
	$session{$_}->start(@sql) for qw(crm near);
	my %got = map { $_ => [$session{$_}->results(scalar @sql)] } qw(crm near);
	# A crash of one backend ends the other's too.
	if (grep { $_->{state} eq 'psql_gone' } map { @$_ } values %got)
	{
		$_->reconnect for values %session;
	}
	my %r = (rows => 0, state => '00000');
	my ($crash) = grep { $got{crm}[$_]{state} eq 'psql_gone' } 0 .. $#list;
	if (defined $crash)
	{
		return { rows => 0, state => 'psql_gone', statement => $list[$crash], difference => "foreign: $got{crm}[$crash]{complaint}" };
	}
	for my $i (0 .. $#list)
	{
		my ($far, $near) = ($got{crm}[$i], $got{near}[$i]);
		$r{rows} += @{ $near->{rows} };
		$r{state} = $near->{state} if $near->{state} ne '00000' && $r{state} eq '00000';
		next if defined $r{difference};
		$r{difference} = difference($far, $near, $list[$i]{ordered});
		$r{statement} = $list[$i] if defined $r{difference};
	}
	return \%r;
}

sub difference
{
	my ($far, $near, $ordered) = @_;
	if ($far->{state} ne $near->{state})
	{
		return "foreign: SQLSTATE $far->{state} " . ($far->{complaint} || $session{crm}->complaint)
		  . "local: SQLSTATE $near->{state} " . ($near->{complaint} || $session{near}->complaint);
	}
	my ($a, $b) = ($far->{rows}, $near->{rows});
	return if @$a == @$b && !grep { $a->[$_] ne $b->[$_] } 0 .. $#$a;
	my %count;
	$count{$_}++ for @$b;
	$count{$_}-- for @$a;
	my @more = grep { $count{$_} < 0 } sort keys %count;
	my @less = grep { $count{$_} > 0 } sort keys %count;
	if (!@more && !@less)
	{
		return unless $ordered;
		my ($i) = grep { $a->[$_] ne $b->[$_] } 0 .. $#$a;
		return "another order, from row " . ($i + 1) . "\n  foreign: " . shown($a->[$i]) . "\n  local:   " . shown($b->[$i]) . "\n";
	}
	my $text = sprintf "%d rows in place of %d\n", scalar @$a, scalar @$b;
	$text .= "  foreign only: " . shown($_) . "\n" for grep { defined } @more[0 .. 2];
	$text .= "  local only:   " . shown($_) . "\n" for grep { defined } @less[0 .. 2];
	return $text;
}

sub shown
{
	my ($row) = @_;
	$row =~ s/\x1f/ | /g;
	return length $row > 300 ? substr($row, 0, 300) . '...' : $row;
}

# The smallest version of a query that still fails, as far as single steps lead.
sub shrink
{
	my ($q) = @_;
	my $tries = 400;
	STEP:
	while (1)
	{
		for my $less (smaller($q))
		{
			last STEP if $tries-- <= 0;
			my $r = compare($less);
			next unless defined $r->{difference};
			$q = $less;
			next STEP;
		}
		last;
	}
	return $q;
}

sub report
{
	my ($n, $whole, $first) = @_;
	my $q    = shrink($whole);
	my $r    = compare($q);
	# What depends on luck, such as the contents of memory, may have become too small to fail.
	($q, $r) = ($whole, $first) unless defined $r->{difference};
	my @list = statements($q);
	print "not ok - ", $o{label} ? "$o{label}, " : '', "seed $o{seed}, query $n ($q->{shape}, $q->{around})\n";
	print "  $_->{sql};\n" for @list;
	print $r->{difference};
	my ($main) = grep { $_->{main} } @list;
	my @before = grep { $_->{sql} =~ /^(SET|PREPARE)/ } @list;
	my $sql = $main->{sql};
	$sql =~ s/^DECLARE c (SCROLL )?CURSOR FOR //;
	my @plan = $session{crm}->run((map { $_->{sql} } @before), "EXPLAIN (VERBOSE, COSTS OFF) $sql", 'DEALLOCATE ALL', map({ "RESET $_->[0]" } @{ $q->{settings} }));
	print "    $_\n" for @{ $plan[@before]{rows} };
	if (grep { $_->{state} eq 'psql_gone' } @plan)
	{
		$_->reconnect for values %session;
	}
	print "\n";
	return;
}
