# The org's quota: what a statement costs is what EXPLAIN says, LIMIT stops paging, and an org that has
# no call left is an error, not an end of data.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use AmpsfTest;
use Test::More;

my $c = AmpsfTest->start(seed => 'big:10000');    # five pages
my $read = 'SELECT count(lower(lastname)) FROM crm.contact';

sub data_calls
{
	return scalar grep { $_->{path} =~ m{^/services/data/v[\d.]+/query} && !$_->{inner} } $c->log;
}

$c->mark;
is($c->value($read), '10000', 'all pages are read');
is(data_calls(), 5, '... with one call a page');

$c->mark;
{
	my $plan = $c->value("EXPLAIN (ANALYZE, VERBOSE, COSTS OFF, TIMING OFF) $read");
	my ($said) = $plan =~ /API calls?\D*(\d+)/i;
	my @calls = grep { $_->{path} =~ m{^/services/data/} && !$_->{inner} } $c->log;
	ok(defined $said && $said >= 5 && $said <= @calls + 1, 'EXPLAIN ANALYZE tells the calls') or diag($plan, scalar @calls);
}

$c->mark;
$c->value("EXPLAIN (VERBOSE) $read");
is(scalar($c->log), 0, 'EXPLAIN alone makes no call');

$c->mark;
is($c->value('SELECT count(*) FROM (SELECT lastname FROM crm.contact LIMIT 10) t'), '10', 'LIMIT');
is(data_calls(), 1, '... reads one page');

$c->mark;
is($c->value("SELECT count(*) FROM (SELECT lastname FROM crm.contact LIMIT 2500) t"), '2500', 'LIMIT beyond one page');
ok(data_calls() <= 2, '... reads two') or diag(data_calls());

$c->mark;
$c->value('BEGIN; DECLARE cur CURSOR FOR SELECT lastname FROM crm.contact; FETCH 10 FROM cur; CLOSE cur; COMMIT');
ok(data_calls() <= 2, 'a cursor that is closed early reads at most one page ahead') or diag(data_calls());

# The limit strikes in the middle of a scan.
{
	my $used = $c->stats->{apiCalls};
	$c->api_limit($used + 3);
	my $r = $c->psql($read);
	like($r->{err}, qr/ERROR:  \w{5}: /, 'the quota ends in the middle of a scan: an error');
	like($r->{err}, qr/REQUEST_LIMIT_EXCEEDED/, '... that names it');
	is($r->{out}, '', '... and no row count');
	$c->mark;
	$r = $c->psql($read);
	like($r->{err}, qr/REQUEST_LIMIT_EXCEEDED/, 'the next statement fails as well');
	ok(data_calls() <= 1, '... and is not repeated against the wall') or diag(data_calls());
	$c->api_limit(100000);
	is($c->value($read), '10000', 'with quota again all rows are read');
}

like($c->value("SELECT max, remaining FROM ampsf.limits('sf') WHERE name = 'DailyApiRequests'"), qr/^100000\|\d+$/,
	'ampsf.limits tells what is left');

done_testing();
