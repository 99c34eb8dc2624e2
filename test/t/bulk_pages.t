# A large result of a Bulk job is read by lists of its pages' addresses (resultPages), several pages being on their
# way.  A list that is missing or wrong makes a read slower, and nothing else: all rows, in the order of the pages, or an
# error; and no address that a list may name is asked for unless it is one of the job's own pages.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use AmpsfTest;
use Test::More;

my $rows = 101000;    # as few as are worth a list; eleven pages, three lists
my $args = '--bulk-page-rows 10000';
my $c    = AmpsfTest->start(seed => "big:$rows", args => $args);
my $sum  = q{SELECT count(*) || ' ' || sum(hashtextextended(id || lastname || email, 0)) FROM crm.contact};
my $list = 'path=*/resultPages';    # their first; skip=1: the second

$c->run_sql("ALTER SERVER sf OPTIONS (ADD transport 'rest', ADD max_retries '2', ADD page_size '2000'); ALTER DATABASE sandbox SET max_parallel_workers_per_gather = 0");
my $all = $c->value($sum);
like($all, qr/^$rows /, 'all rows by REST');
$c->run_sql("ALTER SERVER sf OPTIONS (SET transport 'bulk')");

sub settle
{
	return $c->poll(sub { $c->value(q{SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'}) == 1 });
}

sub jobs { settle(); return scalar @{ $c->admin('GET', 'jobs')->{jobs} }; }

# How often lists and pages were asked for since the mark.
sub asked
{
	my %n = (resultPages => 0, results => 0);
	$_->{path} =~ m{/jobs/query/\w+/(\w+)$} and $n{$1}++ for $c->log;
	return "$n{resultPages} lists, $n{results} pages";
}

# Its end as "all", a SQLSTATE, or what is wrong.
sub run_read
{
	my ($sql, @faults) = @_;
	$c->clear_faults;
	$c->mark;
	$c->fault($_) for @faults;
	my $r      = $c->psql($sql);
	my $struck = $c->struck;
	$c->clear_faults;
	my $end =
	    $r->{hung}                 ? 'hung'
	  : @faults && !$struck        ? 'the fault did not strike'
	  : $r->{err} =~ /ERROR|FATAL/ ? ($r->{out} eq '' ? AmpsfTest::sqlstate($r) : 'rows and an error')
	  : $r->{out} eq $all          ? 'all'
	  :                              "'$r->{out}'";
	my $left = jobs();
	return ($left ? "$end, $left jobs left" : $end, $r->{err});
}

# ---- which calls ----

is((run_read($sum))[0], 'all', 'all rows by Bulk');
is(asked(), '3 lists, 11 pages', '... by lists of five pages, each page once');
my @order = map { $_->{path} =~ m{/jobs/query/\w+/(\w+)$} ? $1 : () } $c->log;
is($order[0], 'resultPages', '... the first of which comes before the first page');
my $ids = 'SELECT md5(string_agg(id, NULL)) FROM (SELECT id FROM crm.contact WHERE length(lastname) > 0) q';
my $listed = $c->value($ids);
$c->mark;
is($c->value("ALTER SERVER sf OPTIONS (ADD api_version '57.0'); $ids; ALTER SERVER sf OPTIONS (DROP api_version)"), $listed,
	'the same rows in the same order by the headers alone, in a version that knows no lists');
settle();
is(asked(), '0 lists, 11 pages', '... which is not asked for one');
$c->mark;
cmp_ok($c->value("SELECT count(lower(lastname)) FROM crm.contact WHERE lastname LIKE '%7'"), '<', 100001, 'a result that is not so large');
settle();
like(asked(), qr/^0 lists, /, '... is read without');

# ---- lists that are missing or wrong ----

my $elsewhere = '/services/data/v62.0/jobs/query/750000000000000AAA/results?locator=QQ';
my @urls = (
	['another host',       "http://localhost:1$elsewhere"],
	['this host, spelt out', $c->url . $elsewhere],
	['another job',        $elsewhere],
	['no result',          '/services/data/v62.0/query/01g000000000001AAA-2000'],
	['no address',         'locator'],
);
my @faults = (
	['403',                   'do=status;status=403;code=API_DISABLED_FOR_ORG', 'for good'],
	['404',                   'do=status;status=404;code=NOT_FOUND',            'for good'],
	['400',                   'do=status;status=400;code=API_ERROR',            'for good'],
	['500',                   'do=status;status=500',                           'once'],
	['503 with Retry-After',  'do=status;status=503;retry-after=1',             ''],
	['204',                   'do=status;status=204;body=',                     'once'],
	['page of a gateway',     'do=html;status=502',                             'once'],
	['reset before the work', 'do=reset-before',                                'once'],
	['reset after the work',  'do=reset-after',                                 'once'],
	['reset in the body',     'do=reset-middle',                                'once'],
	['half a body',           'do=truncate-json',                               'for good'],
	['expired token',         'do=expire-token',                                ''],
	['no JSON',               'do=status;status=200;body=pages',                'for good'],
	['another document',      'do=status;status=200;body={"done":true}',        'for good'],
	['no page',               'do=status;status=200;body={"resultPages":[],"done":true}', 'for good'],
	['pages that are none',   'do=status;status=200;body={"resultPages":[1,null],"done":true}', 'for good'],
	['a page left out',       'do=drop-page',                                   'for good'],
	map({ ["address of $_->[0]", qq(do=status;status=200;body={"resultPages":[{"resultUrl":"$_->[1]"}],"done":true}), 'for good'] } @urls),
);
for my $f (@faults)
{
	my ($name, $do, $lasting) = @$f;
	for my $n (0, 1)
	{
		my ($end, $err) = run_read($sum, "$list;skip=$n;$do");
		is($end, 'all', "$name, list " . ($n + 1)) or diag($err);
		my @strange = grep { $_->{path} =~ m{750000000000000AAA|/query/01g} } $c->log;
		is(scalar @strange, 0, '... is not followed') if $name =~ /address/;
	}
	next if $lasting eq '';
	$c->mark;
	$c->fault("$list;$do");
	my $r = $c->psql("$sum; $sum");
	$c->clear_faults;
	is($r->{out}, "$all\n$all", "$name: a session reads twice") or diag($r->{err});
	settle();
	my ($n) = asked() =~ /^(\d+)/;
	is($n, $lasting eq 'once' ? 4 : 1, '... and the second time ' . ($lasting eq 'once' ? 'by lists' : 'without asking for a list'));
}
for my $do ('do=status;status=500', 'do=reset-before', 'do=truncate-json')
{
	is((run_read($sum, "$list;count=0;$do"))[0], 'all', "never a list: $do");
	is(asked(), '1 lists, 11 pages', '... which is asked for once');
}
# The org forgets the locators that it gave.
{
	my ($end, $err) = run_read($sum, "$list;skip=0;do=dead-locator");
	is($end, 'all', 'locators that have become others before the first page') or diag($err);
	($end, $err) = run_read($sum, "$list;skip=1;do=dead-locator");
	like($end, qr/^(?:all|HV000)$/, "... and behind it: $end") or diag($err);
}

# ---- pages that are on their way ----

my @page_faults = (
	['503',           'do=status;status=503', 'all'],
	['reset in body', 'do=reset-middle',      'all'],
	['bad CSV',       'do=bad-row',           'all'],
	['rows missing',  'do=drop-rows',         'all'],
	['wrong count',   'do=wrong-count',       'all'],
	['job deleted',   'do=job-deleted',       'HV00L'],
	['403',           'do=status;status=403;code=API_DISABLED_FOR_ORG', '42501'],
	['page left out', 'do=drop-page',         'HV00M'],
	['early end',     'do=early-end',         'HV00M'],
	['dead locator',  'do=dead-locator',      'all|HV000'],
);
for my $f (@page_faults)
{
	my ($name, $do, $want) = @$f;
	for my $n (0, 1, 4, 5, 9)
	{
		my ($end, $err) = run_read($sum, "path=*/results;skip=$n;$do");
		# Pages on their way may come to the org in another order: the tenth to be asked for may be the last.
		my $ends = $n == 9 && $want eq 'HV00M' ? 'HV00M|all' : $want;
		like($end, qr/^(?:$ends)$/, "$name, page " . ($n + 1) . ": $end") or diag($err);
	}
}
# The first page alone was refused: it is asked for without what the list says.
is((run_read($sum, 'path=*/results;do=status;status=400;code=INVALID_QUERY_LOCATOR'))[0], 'all', 'the first page by no locator that is known');

# ---- whoever does not want all rows ----

for my $q (
	['LIMIT',             'SELECT count(*) FROM (SELECT lastname FROM crm.contact WHERE length(lastname) > 1 LIMIT 5) q', '5'],
	['a closed cursor',   "BEGIN; DECLARE c CURSOR FOR SELECT id FROM crm.contact; MOVE 25000 IN c; CLOSE c; COMMIT; SELECT 'end'", 'end'],
	['an error in a row', "SELECT 1 / (length(lastname) - length(lastname)) FROM crm.contact", ''],
	['a rescan',          'SET enable_material = off; SET enable_hashjoin = off; SET enable_mergejoin = off; SELECT count(*) FROM generate_series(1, 2) g, LATERAL (SELECT id FROM crm.contact WHERE length(lastname) > g - 5 OFFSET 0) q', 2 * $rows],
	['a cursor that goes back', "BEGIN; DECLARE c SCROLL CURSOR FOR SELECT id FROM crm.contact; MOVE 60000 IN c; MOVE BACKWARD ALL IN c; MOVE 55000 IN c; CLOSE c; COMMIT; SELECT 'end'", 'end'],
  )
{
	my ($name, $sql, $want) = @$q;
	my $r = $c->psql($sql);
	is($r->{out}, $want, "$name: the result") or diag($r->{err});
	is(jobs(), 0, '... and no job is left');
}
for my $held ("$list", "$list;skip=1", 'path=*/results;skip=3')
{
	$c->fault("$held;count=0;do=delay;ms=3600000");
	my $job = $c->background("SELECT /* held */ count(lower(lastname)), count(id) FROM crm.contact;\n");
	ok($c->poll(sub { $c->struck }), "cancel while held: $held");
	$c->value(q{SELECT count(pg_cancel_backend(pid)) FROM pg_stat_activity WHERE query LIKE '%/* held */%' AND pid <> pg_backend_pid()});
	$c->clear_faults;
	my $end = $c->finish($job);
	# without its second list the read gets by
	like(AmpsfTest::sqlstate($end) // '', $held =~ /resultPages;skip/ ? qr/^(?:57014)?$/ : qr/^57014$/, '... which ends it') or diag($end->{out}, $end->{err});
	is(jobs(), 0, '... and no job is left');
}
$c->stop;

# ---- the other reading: locators of lists are not those of headers unless a list has led to the page ----

$c = AmpsfTest->start(seed => "big:$rows", args => "$args --pages short --bulk-order natural");
$c->run_sql("ALTER SERVER sf OPTIONS (ADD transport 'bulk'); ALTER DATABASE sandbox SET max_parallel_workers_per_gather = 0");
is((run_read($sum))[0], 'all', 'pages that are shorter without a list');
is(asked(), '3 lists, 11 pages', '... are whole with it');
like((run_read($sum, "$list;do=status;status=404"))[0], qr/^all$/, '... and read by the headers where there is none');
$c->stop;

done_testing();
