# Rows written by ingest jobs of Bulk API 2.0 meet every fault that the sandbox knows, in each phase of a job: what the
# statement says of its rows is what the org has, none is there twice, and no job is left behind.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use AmpsfTest;
use Test::More;

my $rows = 600;
my $c = AmpsfTest->start(args => '--bulk-polls 1');
$c->run_sql("ALTER SERVER sf OPTIONS (ADD max_retries '2', ADD write_transport 'bulk', ADD transport 'rest')");
my $n = 0;

sub jobs { return scalar @{ $c->admin('GET', 'jobs')->{jobs} }; }

# psql does not wait for the end of its backend.
sub settle
{
	return $c->poll(sub { $c->value(q{SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'}) == 1 });
}

# Rows of the run that the org has, and how many are there more than once.
sub in_org
{
	my ($tag) = @_;
	return split /\|/, $c->value("SELECT count(*) || '|' || count(*) - count(DISTINCT title) FROM crm.contact WHERE lastname = '$tag'");
}

my %statement = (
	insert => sub { "INSERT INTO crm.contact (lastname, title, email) SELECT '$_[0]', g, CASE WHEN g = 77 THEN $_[1] ELSE 'a\@example.com' END FROM generate_series(1, $rows) g" },
);

# Runs it with the faults in force.  What it says: all written, so many written, in doubt.
sub run_write
{
	my ($sql, @faults) = @_;
	$c->fault($_) for @faults;
	my $r      = $c->psql($sql);
	# A job is deleted after its statement.
	my $struck = !@faults || $c->poll(sub { $c->struck });
	$c->clear_faults;
	return (hung => 1) if $r->{hung};
	my %end = (struck => $struck, err => $r->{err}, state => AmpsfTest::sqlstate($r));
	($end{written}) = $r->{err} =~ /(\d+) rows? of this statement (?:was|were) written/;
	$end{written} = $end{state} ? 0 : $rows if !defined $end{written};
	return %end;
}

my $poll   = 'method=GET;path=*/jobs/ingest/750???????????????';
my @phases = (
	['create',  'method=POST;path=*/jobs/ingest'],
	['upload',  'method=PUT;path=*/batches'],
	['close',   'method=PATCH;path=*/jobs/ingest/*'],
	['poll 1',  "$poll;skip=0"],
	['poll 2',  "$poll;skip=1"],
	['failed',  'method=GET;path=*/failedResults/'],
	['delete',  'method=DELETE;path=*/jobs/ingest/*'],
);
my $any = 'create|upload|close|poll 1|poll 2|failed|delete';

# What a fault that strikes once may end in: "all" (one row is refused always, for its address), "none", "doubt".
my @faults = (
	['expired token',         'do=expire-token',            [[$any, 'all']]],
	['503',                   'do=status;status=503',       [[$any, 'all']]],
	['500',                   'do=status;status=500',       [[$any, 'all']]],
	['page of a gateway',     'do=html;status=502',         [[$any, 'all']]],
	['403',                   'do=status;status=403;code=API_DISABLED_FOR_ORG', [['create|upload|close', 'none'], ['poll 1|poll 2', 'doubt'], ['failed|delete', 'all']]],
	['reset before the work', 'do=reset-before',            [[$any, 'all']]],
	['reset after the work',  'do=reset-after',             [[$any, 'all']]],
	['reset in the body',     'do=reset-middle',            [['create|poll 1|poll 2|failed', 'all']]],
	['half a body',           'do=truncate-json',           [['create', 'none'], ['poll 1|poll 2', 'doubt']]],
	['job failed',            'do=job-failed;message=Timeout : of something', [['poll 1|poll 2', 'any']]],
	['job aborted',           'do=job-aborted',             [['poll 1|poll 2', 'any']]],
	['job deleted',           'do=job-deleted',             [['poll 1|poll 2', 'doubt']]],
	['rows missing',          'do=drop-rows',               [['failed', 'any']]],
	['wrong header',          'do=bad-header',              [['failed', 'any']]],
	['bad CSV',               'do=bad-row',                 [['failed', 'any']]],
);

for my $f (@faults)
{
	my ($name, $do, $ends) = @$f;
	for my $e (@$ends)
	{
		for my $phase (grep { $_->[0] =~ /^(?:$e->[0])$/ } @phases)
		{
			my $tag = 'run' . ++$n;
			# Without a refused row there is no list of failed ones.
			my $bad = $phase->[0] eq 'failed' ? "'no address'" : "'b\@example.com'";
			my %end = run_write($statement{insert}->($tag, $bad), "$phase->[1];count=1;$do");
			my ($there, $twice) = in_org($tag);
			my $good  = $phase->[0] eq 'failed' ? $rows - 1 : $rows;
			my $doubt = ($end{state} || '') eq '08007';
			my $ok    = !$end{hung} && $end{struck} && $twice == 0
			  && ( $e->[1] eq 'all'   ? $there == $good && $end{written} == $good && !$doubt
				 : $e->[1] eq 'none'  ? $there == 0 && $end{state} && !$doubt
				 : $e->[1] eq 'doubt' ? $doubt
				 :                      $end{state} && ($doubt || $there == $end{written}));
			ok($ok, "$name, $phase->[0]: $e->[1]")
			  or diag("$there there, $twice twice, said $end{written}, " . ($end{struck} ? '' : 'not struck, ') . ($end{err} // ''));
			settle();
			my $left = jobs();
			$c->run_sql("SELECT count(*) FROM ampsf.jobs_cleanup('sf', '0')") if $left;
			# What is in doubt is left to be looked at.
			ok($left == 0 || $doubt || $do =~ /reset|truncate|403/, '... and no job is left') or diag("$left left");
			is(jobs(), 0, '... or it is found') if $left;
		}
	}
}

# What lasts ends in an error, and what it says is so.
for my $f (['503', 'do=status;status=503'], ['reset', 'do=reset-before'], ['reset after', 'do=reset-after'])
{
	for my $phase (grep { $_->[0] ne 'delete' } @phases)
	{
		my $tag = 'run' . ++$n;
		my $bad = $phase->[0] eq 'failed' ? "'no address'" : "'b\@example.com'";
		my %end = run_write($statement{insert}->($tag, $bad), "$phase->[1];count=0;$f->[1]");
		my ($there, $twice) = in_org($tag);
		my $doubt = ($end{state} || '') eq '08007';
		ok($end{struck} && $end{state} && $twice == 0 && ($doubt || $there == 0), "$f->[0] at each $phase->[0]: " . ($doubt ? 'in doubt' : 'none'))
		  or diag("$there there, $twice twice, said $end{written}, $end{err}");
		settle();
		$c->run_sql("SELECT count(*) FROM ampsf.jobs_cleanup('sf', '0')");
	}
}
is(jobs(), 0, 'no job is left');

# Rows that are in doubt are kept; with on_error continue, all that were not written are.
$c->run_sql('DELETE FROM ampsf.write_error');
{
	my %end = run_write($statement{insert}->('kept', "'b\@example.com'"), "$phases[3][1];do=status;status=403;code=API_DISABLED_FOR_ORG;count=9");
	is($end{state}, '08007', 'a job of which nobody knows');
	is($c->value("SELECT count(*) || ' ' || count(DISTINCT \"row\" ->> 'Title') || ' ' || min(outcome) || ' ' || max(outcome) FROM ampsf.write_error"),
		"$rows $rows in doubt in doubt", '... its rows are kept');
	$c->run_sql('DELETE FROM ampsf.write_error');
}
$c->run_sql("ALTER FOREIGN TABLE crm.contact OPTIONS (ADD on_error 'continue')");
{
	my %end = run_write($statement{insert}->('cont', "'no address'"));
	is($end{state}, '', 'on_error continue goes on') or diag($end{err});
	is((in_org('cont'))[0], $rows - 1, '... the others are written');
	is($c->value(q{SELECT string_agg(row_number || ' ' || outcome || ' ' || error_code || ' ' || ("row" ->> 'Title') || ' ' || ("row" ->> 'Email'), ',') FROM ampsf.write_error}),
		'77 refused INVALID_EMAIL_ADDRESS 77 no address', '... and the one that is refused is kept');
}
$c->run_sql("ALTER FOREIGN TABLE crm.contact OPTIONS (DROP on_error)");

# A cancel, a timeout, a kill: nothing twice, and no job that nobody finds.
for my $how ('cancel', 'terminate', 'kill')
{
	for my $phase (@phases[0 .. 3])
	{
		my $tag = 'end' . ++$n;
		$c->fault("$phase->[1];do=stall");
		my $job = $c->background($statement{insert}->($tag, "'b\@example.com'") . ";\n");
		my $pid;
		# What has no body, as the answer to an upload, cannot stall in it: then it may have ended.
		ok($c->poll(sub { my $struck = $c->struck; $pid = $c->value("SELECT pid FROM pg_stat_activity WHERE query LIKE 'INSERT%$tag%'"); $struck }), "$how, $phase->[0]: it waits");
		$how eq 'kill' ? $c->crash($pid) : $c->value("SELECT pg_${how}_backend($pid)") if $pid;
		my $end = $c->finish($job);
		$c->clear_faults;
		settle();
		my ($there, $twice) = in_org($tag);
		ok($twice == 0 && ($phase->[0] ne 'create' || $there == 0), '... nothing twice') or diag("$there there, $twice twice, $end->{err}");
		if ($how ne 'kill')
		{
			# Who is cancelled keeps what he knows; a backend that must end has no time for it.
			my $kept = $c->value("SELECT count(*) FROM ampsf.write_error WHERE outcome = 'in doubt' AND \"row\" ->> 'LastName' = '$tag'");
			ok($there == 0 || $kept == $rows || $how eq 'terminate' || $end->{err} eq '', '... and what is in doubt is kept') or diag("$there there, $kept kept, $end->{err}");
		}
		$c->run_sql("SELECT count(*) FROM ampsf.jobs_cleanup('sf', '0')");
		is(jobs(), 0, '... no job is left, or it is found');
	}
}

# Something else goes wrong in the statement, with a job at work: its rows are in doubt, and it is not gone on with.
$c->admin('POST', 'bulk?polls=100000');
for my $how ('insert', 'copy')
{
	$c->run_sql('DELETE FROM ampsf.write_error');
	# Rows keep coming, by which the network is looked after, until the job is asked for.
	my $now = $c->dir . "/../$how";
	my $sql = $how eq 'insert'
	  ? "INSERT INTO crm.contact (lastname, title) SELECT 'broken', g + CASE WHEN g <= 100000 OR g % 256 > 0 THEN 0 WHEN (pg_stat_file('$now', true)).size IS NULL THEN length(pg_sleep(0.3)::text) ELSE 1 / (g - g) END FROM generate_series(1, 300000) g"
	  : "COPY crm.contact (lastname, title) FROM PROGRAM 'seq -f broken,%.0f 101000; until [ -e $now ]; do sleep 0.3; seq -f broken,%.0f 256; done; echo broken,0,more' CSV";
	$c->mark;
	my $job = $c->background($sql);
	ok($c->poll(sub { grep { $_->{method} eq 'GET' && $_->{path} =~ m{/jobs/ingest/750\w+$} } $c->log }), "$how: a job is at work");
	system 'touch', $now;
	my $r = $c->finish($job);
	is(AmpsfTest::sqlstate($r), $how eq 'insert' ? '22012' : '22P04', "$how: it fails") or diag($r->{err});
	like($r->{err}, qr/WARNING: .* the outcome of 100000 rows sent for foreign table "contact" is unknown/, '... and warns');
	is($c->value(q{SELECT count(*) || ' ' || count(DISTINCT "row" ->> 'Title') || ' ' || min(outcome) || ' ' || max(outcome) FROM ampsf.write_error}),
		'100000 100000 in doubt in doubt', '... what is in doubt is kept');
	settle();
	is(join(' ', map { $_->{state} } @{ $c->admin('GET', 'jobs')->{jobs} }), 'Aborted', '... the job is there to be looked at');
	$c->run_sql("SELECT count(*) FROM ampsf.jobs_cleanup('sf', '0')");
}
$c->admin('POST', 'bulk?polls=1');

# Two sessions write at once.
{
	my @jobs = map { $c->background($statement{insert}->("both$_", "'b\@example.com'") . ";\n") } 1 .. 2;
	my @ends = map { $c->finish($_) } @jobs;
	is(join(' ', map { join '/', in_org("both$_") } 1 .. 2), "$rows/0 $rows/0", 'two sessions at once') or diag(map { $_->{err} } @ends);
}

done_testing();
