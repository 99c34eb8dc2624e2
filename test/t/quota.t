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

# What was spent, by this backend and by all of them.
{
	my $p = AmpsfTest->start(seed => 'big:10000', conf => [q{shared_preload_libraries = 'ampsf_fdw'}]);
	my $usage = q{SELECT object, kind, sum(calls), sum(rows) FROM ampsf.usage WHERE scope = '%s' AND object IS NOT NULL GROUP BY 1, 2 ORDER BY 1, 2};
	my $mine = sprintf($usage, 'backend');
	my $all  = sprintf($usage, 'server');

	is($p->value("$read; $mine; $all"), "10000\nContact|query|5|10000\nContact|query|5|10000", 'one backend: the server counts what it counts');
	is($p->value("$mine; $all"), 'Contact|query|5|10000', 'another one: nothing of its own, the same of the server');
	my @jobs = map { $p->background($read) } 1 .. 4;
	$p->finish($_) for @jobs;
	is($p->value($all), 'Contact|query|25|50000', 'four at once');
	my $stats = $p->stats->{apiCalls};
	is($p->value("SELECT sum(calls) FROM ampsf.usage WHERE scope = 'server'"), $stats, 'which is what the org counts');
	$p->psql("BEGIN; INSERT INTO crm.account (name) VALUES ('usage'); ROLLBACK");
	$p->psql("INSERT INTO crm.account (name) SELECT 'usage' FROM generate_series(1, 3) UNION ALL SELECT repeat('x', 300)");
	is($p->value("SELECT sum(calls), sum(rows) FROM ampsf.usage WHERE scope = 'server' AND object = 'Account'"), '2|4',
		'rows that were written count, whatever became of the transaction');
	my ($bin) = $p->value("SELECT count(*) FROM ampsf.usage WHERE scope = 'server' AND since <= now()");
	ok($bin > 0, 'and since when');
	$p->stop;
}

# Limits hold for a statement, not for a session; and all pages of a read count.
{
	my $r = $c->psql("SET ampsf.statement_call_limit = 4; $read");
	is(AmpsfTest::sqlstate($r), '53400', 'five pages with four calls: an error');
	is($r->{out}, '', '... and no row count');
	$c->mark;
	$r = $c->psql("SET ampsf.statement_call_limit = 5;\n$read;\n$read;");
	is($r->{out}, "10000\n10000", 'with five calls each of two statements is read');
	$c->api_limit($c->stats->{apiCalls} + 7);
	$c->run_sql("ALTER SERVER sf OPTIONS (ADD quota_reserve '3')");
	$c->mark;
	$r = $c->psql($read);
	is(AmpsfTest::sqlstate($r), '53400', 'the reserve is reached in the middle of a scan');
	like($r->{err}, qr/Option quota_reserve keeps 3\. 3 of the org's \d+ calls/, '... and says what is left');
	is(scalar(grep { $_->{path} =~ m{^/services/data/} && !$_->{inner} } $c->log), 4, '... without a call that would touch it');
	$c->run_sql("ALTER SERVER sf OPTIONS (DROP quota_reserve)");
	$c->api_limit(100000);
	is($c->value($read), '10000', 'without it all is read');
}

done_testing();
