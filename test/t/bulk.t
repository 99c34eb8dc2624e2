# A read by a job of Bulk API 2.0 meets every fault that the sandbox knows, in each of its phases: it ends with
# all rows as they are, or in an error of the right class, never with some of the rows or with any twice; and it
# leaves no job behind.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use AmpsfTest;
use Test::More;

my $rows = 3000;    # three pages
my $c = AmpsfTest->start(seed => "big:$rows", args => '--bulk-page-rows 1000 --bulk-polls 1');
my $sum  = q{SELECT count(*) || ' ' || sum(hashtextextended(c::text, 0)) FROM crm.contact c};
my $read = "SET max_parallel_workers_per_gather = 0; $sum";

$c->run_sql("ALTER SERVER sf OPTIONS (ADD max_retries '2', ADD transport 'rest')");
my $all = $c->value($sum);
like($all, qr/^$rows /, 'all rows by REST');
# By itself it begins with a page over REST, which is a phase too.
$c->run_sql("ALTER SERVER sf OPTIONS (SET transport 'auto', ADD bulk_threshold '100')");
# psql does not wait for the end of its backend.
sub settle
{
	return $c->poll(sub { $c->value(q{SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'}) == 1 });
}

$c->mark;
is($c->value($read), $all, 'the same rows by Bulk');
settle();
# A slow job is asked for once more.
like(join(' ', map { $_->{path} =~ m{/(token|describe|results)$} ? $1 : $_->{method} . ($_->{path} =~ /jobs/ ? ' job' : '') } $c->log),
	qr/^token GET describe POST job GET job(?: GET job)+ results results results DELETE job$/, '... by these calls');

sub jobs { return @{ $c->admin('GET', 'jobs')->{jobs} }; }

my $poll = 'method=GET;path=*/jobs/query/750???????????????';
my @phases = (
	['login',     'path=*/oauth2/token'],
	['REST page', 'method=GET;path=*/v62.0/query'],
	['describe',  'path=*/describe'],
	['create',    'method=POST;path=*/jobs/query'],
	['poll 1',    "$poll;skip=0"],
	['poll 2',    "$poll;skip=1"],
	['page 1',    'path=*/results;skip=0'],
	['page 2',    'path=*/results;skip=1'],
	['page 3',    'path=*/results;skip=2'],
	['delete',    'method=DELETE;path=*/jobs/query/*'],
);
my $any    = 'login|REST page|describe|create|poll 1|poll 2|page 1|page 2|page 3';
my $pages  = 'page 1|page 2|page 3';

# What a fault that strikes once ends in: "all", or the SQLSTATE; by phase where it matters.
my @faults = (
	['expired token',         'do=expire-token',                                [[$any, 'all']]],
	['503',                   'do=status;status=503',                           [[$any, 'all'], ['delete', 'all']]],
	['503 with Retry-After',  'do=status;status=503;retry-after=1',             [[$any, 'all']]],
	['500',                   'do=status;status=500',                           [[$any, 'all']]],
	['page of a gateway',     'do=html;status=502',                             [[$any, 'all']]],
	['403',                   'do=status;status=403;code=API_DISABLED_FOR_ORG', [['describe|create', 'all'], ["login|REST page|poll 1|poll 2|$pages", '42501']]],
	['404',                   'do=status;status=404;code=NOT_FOUND',            [['login', 'P0002'], ['REST page', 'P0002'], ['describe|create', 'all'], ["poll 1|poll 2|$pages", 'HV00L'], ['delete', 'all']]],
	['reset before the work', 'do=reset-before',                                [[$any, 'all'], ['delete', 'all']]],
	['reset after the work',  'do=reset-after',                                 [[$any, 'all'], ['delete', 'all']]],
	['reset in the body',     'do=reset-middle',                                [[$any, 'all']]],
	['reset after the head',  'do=reset-middle;bytes=1',                        [[$any, 'all']]],
	['half a body',           'do=truncate-json',                               [['login', 'HV00M|28000'], ['REST page', 'all'], ['describe|create|poll 1|poll 2', 'HV00M'], [$pages, 'all']]],
	['another content type',  'do=content-type',                                [['login|describe|create|poll 1|poll 2', 'all'], ["REST page|$pages", 'HV00M']]],
	['slow bytes',            'do=slow;bytes-per-second=2000000',               [[$any, 'all']]],
	['job failed',            'do=job-failed;message=Timeout : of something',   [['create|poll 1|poll 2', 'HV00L']]],
	['job aborted',           'do=job-aborted',                                 [['create|poll 1|poll 2', 'HV00L']]],
	['job deleted',           'do=job-deleted',                                 [["poll 1|poll 2|$pages", 'HV00L']]],
	['dead locator',          'do=dead-locator',                                [['page 1', 'all'], ['page 2|page 3', 'HV000']]],
	['rows missing',          'do=drop-rows',                                   [[$pages, 'all']]],
	['wrong count',           'do=wrong-count',                                 [[$pages, 'all']]],
	['page left out',         'do=drop-page',                                   [['page 1|page 2', 'HV00M']]],
	['early end',             'do=early-end',                                   [['page 1|page 2', 'HV00M']]],
	['wrong header',          'do=bad-header',                                  [[$pages, 'all']]],
	['bad CSV',               'do=bad-row',                                     [[$pages, 'all']]],
	['invalid UTF-8',         'do=bad-utf8',                                    [[$pages, 'HV00M']]],
);

# Runs the read with the faults in force; its end as "all", a SQLSTATE, or what is wrong.
sub run_read
{
	my (@faults) = @_;
	$c->clear_faults;
	$c->fault($_) for @faults;
	my $r      = $c->psql($read);
	# A job is deleted after its statement.
	my $struck = $c->poll(sub { $c->struck });
	$c->clear_faults;
	my $end =
	    $r->{hung}                  ? 'hung'
	  : !$struck                    ? 'the fault did not strike'
	  : $r->{err} =~ /ERROR|FATAL/  ? ($r->{out} eq '' ? AmpsfTest::sqlstate($r) : 'rows and an error')
	  : $r->{out} eq $all           ? 'all'
	  :                               "'$r->{out}'";
	return ($end, $r->{err});
}

# A job that nobody knows the Id of, as the answer to its creation was lost, is found by jobs_cleanup.
sub tidy
{
	my ($may_be_left) = @_;
	settle();
	my $left = jobs();
	return "$left left" if $left && !$may_be_left;
	$c->run_sql("SELECT count(*) FROM ampsf.jobs_cleanup('sf', '0')") if $left;
	return jobs() ? 'not cleaned up' : '';
}

for my $f (@faults)
{
	my ($name, $do, $ends) = @$f;
	for my $e (@$ends)
	{
		for my $phase (grep { $_->[0] =~ /^(?:$e->[0])$/ } @phases)
		{
			my ($end, $err) = run_read("$phase->[1];count=1;$do");
			my $left = tidy(($phase->[0] eq 'create' && $do =~ /reset|truncate/) || ($phase->[0] eq 'delete' && $do =~ /404/));
			ok($end =~ /^(?:$e->[1])$/ && $left eq '', "$name, $phase->[0]: $end" . ($left && ", $left"))
			  or diag("expected $e->[1]\n$err");
		}
	}
}

# What lasts ends in an error.
for my $f (
	['503',           'do=status;status=503',     'HV00N'],
	['reset',         'do=reset-before',          'HV00N'],
	['reset in body', 'do=reset-middle;bytes=99', 'HV00N'],
	['half a body',   'do=truncate-json',         'HV00M|28000'],
	['rows missing',  'do=drop-rows',             'HV00M'],
	['wrong count',   'do=wrong-count',           'HV00M'],
	['wrong header',  'do=bad-header',            'HV00M'],
	['bad CSV',       'do=bad-row',               'HV00M'],
  )
{
	for my $phase (@phases)
	{
		# what is left of the REST page tells how many rows there are, and Bulk reads them
		next if $phase->[0] eq 'delete' || ($f->[1] =~ /truncate/ && $phase->[0] eq 'REST page') || ($f->[1] =~ /rows|count|bad/ && $phase->[0] !~ /page \d/);
		my ($end, $err) = run_read("$phase->[1];count=0;$f->[1]");
		my $left = tidy($phase->[0] eq 'create');
		ok($end =~ /^(?:$f->[2])$/ && $left eq '', "$f->[0] for ever, $phase->[0]: $end" . ($left && ", $left"))
		  or diag("expected $f->[2]\n$err");
	}
}

# A page that stops in the middle has given rows; it goes on behind them, if they are what they were.
$c->run_sql("ALTER SERVER sf OPTIONS (ADD request_timeout '2')");
for my $n (0 .. 2)
{
	my $page = $n + 1;
	my ($end, $err) = run_read("path=*/results;skip=$n;do=stall");
	is($end, 'all', "page $page stalls after rows were given: it is asked for again, and these are passed over") or diag($err);
	($end, $err) = run_read("path=*/results;skip=$n;do=stall", 'path=*/results;skip=' . ($n + ($page < 3 ? 2 : 1)) . ';count=1;do=other-value');
	is($end, 'HV00M', "... if the rows are others, that is an error") or diag($err);
	like($err, qr/now begins with other rows/, '... that says so');
	is(tidy(), '', '... and no job is left');
}
{
	my ($end, $err) = run_read('path=*/results;count=0;do=stall');
	is($end, 'HV00N', 'a page that stalls again and again is an error') or diag($err);
	like($err, qr/request_timeout/, '... with advice');
}
for my $phase (grep { $_->[0] =~ /create|poll/ } @phases)
{
	my ($end, $err) = run_read("$phase->[1];do=delay;ms=3600000");
	like($end, qr/^HV00N$/, "no answer, $phase->[0]: $end") or diag($err);
	is(tidy($phase->[0] eq 'create'), '', '... and no job is left');
}
$c->run_sql("ALTER SERVER sf OPTIONS (DROP request_timeout)");

# The answer to a question for results that came too early has two readings; neither is an empty result.
{
	$c->fault('path=*/results;do=status;status=204;body=');
	my $r = $c->psql($read);
	$c->clear_faults;
	is(AmpsfTest::sqlstate($r), 'HV00M', 'a page with status 204 is an error, and not an empty result') or diag($r->{out});
}

# Limits of the org.
for my $limit (['query-jobs', '53400'], ['storage-mb', '53400'])
{
	my ($name, $state) = @$limit;
	$c->admin('POST', "bulk?$name=0");
	my $r = $c->psql("ALTER SERVER sf OPTIONS (SET transport 'bulk'); $read; ALTER SERVER sf OPTIONS (SET transport 'auto');");
	is(AmpsfTest::sqlstate($r), $state, "$name used up, transport bulk: $state") or diag($r->{out}, $r->{err});
	like($r->{err}, qr/HINT:.*transport 'rest'/, '... with advice');
	is($c->value($read), $all, '... transport auto reads by pages');
	$c->admin('POST', "bulk?$name=100000");
}
is($c->value($read), $all, 'and by Bulk again');

# The sandbox is killed in the middle of a page.  Last: there is no org any more.
{
	$c->fault('path=*/results;skip=1;do=stall;bytes=90000');
	my $job = $c->background("$read;\nSELECT 'usable';\n");
	ok($c->poll(sub { $c->struck }), 'a page is under way');
	open(my $f, '<', $c->dir . '/sandbox.pid') or die;
	my $pid = <$f> + 0;
	ok(kill('KILL', $pid), 'the org is killed');
	my $r = $c->finish($job);
	like(AmpsfTest::sqlstate($r), qr/^HV00N$/, '... which is an error of the connection') or diag($r->{err});
	is($r->{out}, 'usable', '... and the session lives');
}

done_testing();
