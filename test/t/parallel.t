# A scan that several processes share meets every fault of a page, in whichever process it strikes: it ends with
# all rows as they are, or in an error, never with some of the rows or with any twice; and, however it ends, it
# leaves no job behind but where the server crashed.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use AmpsfTest;
use Test::More;

my $rows = 3000;    # fifteen pages
my $c = AmpsfTest->start(
	seed => "big:$rows",
	args => '--bulk-page-rows 200 --rotate-refresh-tokens',
	conf => [
		'max_parallel_workers_per_gather = 2', 'parallel_setup_cost = 0',
		'parallel_tuple_cost = 0',             'min_parallel_table_scan_size = 0']);
my $read  = q{SELECT count(*) || ' ' || sum(hashtextextended(c::text, 0)) FROM crm.contact c};
my $never = 'do=delay;ms=3600000';

$c->run_sql("ALTER SERVER sf OPTIONS (ADD max_retries '2', ADD call_cost '1', ADD transport 'rest'); ALTER FOREIGN TABLE crm.contact OPTIONS (ADD page_size '200')");
my $all = $c->value("SET max_parallel_workers_per_gather = 0; $read");
like($all, qr/^$rows /, 'all rows, by one process');
like($c->value("EXPLAIN $read"), qr/Parallel Foreign Scan/, 'from here on by several');

sub transport { $c->run_sql("ALTER SERVER sf OPTIONS (SET transport '$_[0]')"); return; }
sub jobs { return scalar @{ $c->admin('GET', 'jobs')->{jobs} }; }

# psql does not wait for the end of its backend.
sub settle
{
	return $c->poll(sub { $c->value(q{SELECT count(*) FROM pg_stat_activity WHERE backend_type IN ('client backend', 'parallel worker')}) == 1 });
}

# Of the pages that were asked for: how many, and how many of them more than once.
sub pages
{
	my %asked;
	$asked{"$_->{path}?" . ($_->{query} // '')}++ for grep { $_->{path} =~ m{/query(/01g.*)?$|/results$} && $_->{method} eq 'GET' } $c->log;
	return (scalar keys %asked, scalar grep { $_ > 1 } values %asked);
}

for my $transport ('rest', 'bulk', 'auto')
{
	transport($transport);
	$c->run_sql("ALTER SERVER sf OPTIONS (ADD bulk_threshold '1000')") if $transport eq 'auto';
	for my $leader ('on', 'off')
	{
		$c->mark;
		is($c->value("SET parallel_leader_participation = $leader; $read"), $all, "$transport, leader $leader: the same rows");
		my ($n, $twice) = pages();
		is("$n $twice", ($transport eq 'auto' ? 16 : 15) . ' 0', '... each page asked for once');
		is($c->logins, 1, '... by one login');
	}
	settle();
	is(jobs(), 0, '... and no job remains');
}

# name => [what the sandbox does, what it must end in where it strikes once: all, error or either]
my @faults = (
	['503',                     'do=status;status=503',                             'all'],
	['503 with Retry-After',    'do=status;status=503;retry-after=1',               'all'],
	['500',                     'do=status;status=500',                             'all'],
	['403',                     'do=status;status=403;code=API_DISABLED_FOR_ORG',   'error'],
	['404',                     'do=status;status=404;code=NOT_FOUND;message=gone', 'error'],
	['page of a gateway',       'do=html;status=502',                               'all'],
	['reset before the answer', 'do=reset-before',                                  'all'],
	['reset after the work',    'do=reset-after',                                   'all'],
	['reset inside the body',   'do=reset-middle',                                  'all'],
	['reset after the head',    'do=reset-middle;bytes=1',                          'all'],
	['truncated body',          'do=truncate-json',                                 'either'],
	['slow bytes',              'do=slow;bytes-per-second=1000000',                 'all'],
	['delay',                   'do=delay;ms=400',                                  'all'],
	['wrong content type',      'do=content-type',                                  'error'],
	['expired token',           'do=expire-token',                                  'all'],
	['dead locator',            'do=dead-locator',                                  'error'],
);
my @bulk_faults = (
	['job deleted',   'do=job-deleted', 'error'],
	['rows missing',  'do=drop-rows',   'all'],
	['wrong count',   'do=wrong-count', 'all'],
	['page left out', 'do=drop-page',   'error'],
	['early end',     'do=early-end',   'error'],
	['wrong header',  'do=bad-header',  'all'],
	['bad CSV',       'do=bad-row',     'all'],
	['invalid UTF-8', 'do=bad-utf8',    'error'],
);
my %page = (
	rest => 'method=GET;path=*/query/*',
	bulk => 'method=GET;path=*/results');

for my $transport ('rest', 'bulk')
{
	transport($transport);
	for my $f (@faults, $transport eq 'bulk' ? @bulk_faults : ())
	{
		my ($name, $do, $want) = @$f;
		my @broken;
		for my $skip (1, 6)
		{
			for my $leader ('on', 'off')
			{
				$c->fault("$page{$transport};skip=$skip;count=1;$do");
				my $r = $c->psql("SET parallel_leader_participation = $leader; $read");
				my $struck = $c->struck;
				$c->clear_faults;
				my $end = $r->{hung} ? 'hung' : $r->{err} =~ /ERROR|FATAL/ ? 'error' : $r->{out} eq $all ? 'all' : "'$r->{out}'";
				push @broken, "skip $skip, leader $leader: $end\n$r->{err}"
				  unless $struck && ($want eq 'either' ? $end =~ /^(all|error)$/ : $end eq $want) && ($end ne 'error' || $r->{out} eq '');
				push @broken, "XX000\n$r->{err}" if AmpsfTest::sqlstate($r) eq 'XX000';
			}
		}
		ok(!@broken, "$transport: $name on a page in the middle: $want") or diag(@broken);
	}
	for my $do ('do=status;status=503', 'do=reset-before', 'do=reset-middle', 'do=html')
	{
		$c->fault("$page{$transport};skip=3;count=0;$do");
		my $r = $c->psql($read);
		$c->clear_faults;
		ok($r->{out} eq '' && AmpsfTest::sqlstate($r) =~ /^(08|58|HV|53|57)/, "$transport: $do for ever is an error") or diag($r->{out}, $r->{err});
	}
	# The job's own faults strike before anybody has a page.
	next unless $transport eq 'bulk';
	for my $do ('job-failed', 'job-aborted', 'job-deleted')
	{
		$c->fault(($do eq 'job-deleted' ? 'method=GET;path=*/jobs/query/750???????????????' : 'method=POST;path=*/jobs/query') . ";do=$do");
		my $r = $c->psql($read);
		$c->clear_faults;
		is(AmpsfTest::sqlstate($r), 'HV00L', "$do: an error") or diag($r->{out}, $r->{err});
	}
	settle();
	is(jobs(), 0, 'no job remains of all these');
}

# A query that waits in several processes.
sub processes
{
	my ($marker) = @_;
	my ($leader, @workers);
	$c->poll(sub {
		return 0 unless $c->struck;
		my %found = map { split /\|/ } split /\n/,
		  $c->value("SELECT pid, backend_type FROM pg_stat_activity WHERE state = 'active' AND query LIKE '%$marker%' AND pid <> pg_backend_pid()");
		($leader) = grep { $found{$_} eq 'client backend' } keys %found;
		@workers = grep { $found{$_} eq 'parallel worker' } keys %found;
		return $leader && @workers == 2;
	}) or diag("not found: $marker");
	return ($leader, @workers);
}

for my $transport ('rest', 'bulk')
{
	transport($transport);
	my %where = ('a page' => "$page{$transport};skip=4;count=0;$never");
	$where{'the job'} = 'method=POST;path=*/jobs/query;count=0;do=job-stuck' if $transport eq 'bulk';
	for my $what (sort keys %where)
	{
		$c->fault($where{$what});
		my $r = $c->psql("SET statement_timeout = '700ms'; $read");
		is(AmpsfTest::sqlstate($r), '57014', "$transport: statement_timeout while waiting for $what");
		$c->clear_faults;

		for my $end ('pg_cancel_backend', 'pg_terminate_backend')
		{
			for my $who ('leader', 'worker')
			{
				next if "$end $who" eq 'pg_cancel_backend worker';
				my $marker = "$end of $who";
				$c->fault($where{$what});
				my $job = $c->background("SELECT /* $marker */ " . substr($read, length 'SELECT ') . ";\nSELECT 'alive';\n");
				my ($leader, @workers) = processes($marker);
				ok($c->poll(sub { $c->value("SELECT count(*) FROM ampsf.progress WHERE relation = 'crm.contact'::regclass") == 3 }), 'each process shows its progress')
				  if $who eq 'worker';
				$c->value("SELECT $end(" . ($who eq 'leader' ? $leader : $workers[0]) . ')');
				my $q = $c->finish($job);
				$c->clear_faults;
				ok(!$q->{hung} && $q->{err} =~ /57014|57P01|server closed the connection/ && $q->{out} eq ("$end $who" eq 'pg_terminate_backend leader' ? '' : 'alive'),
					"$transport: $marker, while waiting for $what")
				  or diag($q->{out}, $q->{err});
			}
		}
		ok(settle(), '... and all processes end');
		is(jobs(), 0, '... and leave no job') if $transport eq 'bulk';
	}
	# LIMIT is satisfied while pages are on their way to the others.
	$c->fault("$page{$transport};skip=4;count=0;$never");
	is($c->value("SELECT count(*) FROM (SELECT lower(name) FROM crm.contact LIMIT 20) q"), '20', "$transport: LIMIT ends without the pages that do not come");
	$c->clear_faults;
	settle();
	is(jobs(), 0, '... and leaves no job');

	# Several sessions at once, more than there can be workers for.
	my @all = map { $c->background($read) } 1 .. 6;
	is(join(' / ', map { $c->finish($_)->{out} } @all), join(' / ', ($all) x 6), "$transport: six sessions at once");
}

# A worker is killed: the server restarts; the job that is left in the org is found.
{
	transport('bulk');
	$c->fault("$page{bulk};skip=4;count=0;$never");
	my $job = $c->background("SELECT /* killed */ " . substr($read, length 'SELECT ') . ";\n");
	my ($leader, @workers) = processes('killed');
	ok($c->crash($workers[0]), 'a worker is killed: the server comes back');
	my $r = $c->finish($job);
	$c->clear_faults;
	like($r->{err}, qr/server closed the connection|terminating connection/, '... and the session has ended');
	is(jobs(), 1, '... the job is left');
	is($c->value("SELECT count(*) FROM ampsf.jobs_cleanup('sf', '0')"), '1', '... ampsf.jobs_cleanup() finds it');
	is(jobs(), 0, '... and discards it');
	is($c->value($read), $all, '... and a read has all rows');
}

# While the body of a page is still arriving, the page after it has been asked for; the body stops after its first
# bytes, and does not go on.
transport('rest');
for my $workers (0, 2)
{
	$c->mark;
	$c->fault("$page{rest};count=1;do=stall;bytes=1500");
	my $job = $c->background("SET max_parallel_workers_per_gather = $workers; SELECT /* stalled */ " . substr($read, length 'SELECT ') . ";\n");
	my $wanted = $workers ? 14 : 2;    # the others read all that follows
	ok($c->poll(sub { return grep({ $_->{path} =~ m{/query/01g} } $c->log) >= $wanted }), "$workers workers: pages are asked for while the one before them arrives")
	  or diag(map { "$_->{path}\n" } $c->log);
	my $pid = $c->value("SELECT pid FROM pg_stat_activity WHERE query LIKE '%stalled%' AND backend_type = 'client backend' AND pid <> pg_backend_pid()");
	$c->value("SELECT pg_cancel_backend($pid)");
	is(AmpsfTest::sqlstate($c->finish($job)), '57014', '... and a cancel ends all');
	$c->clear_faults;
	settle();
}

# A refresh token that rotates is used once: by the leader, for all.
$c->run_sql("ALTER USER MAPPING FOR postgres SERVER sf OPTIONS (ADD refresh_token 'sandbox')");
$c->mark;
is($c->value($read), $all, 'a refresh token that rotates is enough for all processes');
is($c->logins, 1, '... by one login');

done_testing();
