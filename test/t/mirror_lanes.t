# A long run of a mirror that several sessions share: each chunk is read once, whoever dies.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use AmpsfTest;
use Test::More;
use Time::HiRes qw(sleep);

my $c = AmpsfTest->start(seed => 'big:6000', conf => ['log_min_messages = error', 'synchronous_commit = on']);

sub sessions
{
	my ($target) = @_;
	return $c->value("SELECT coalesce((SELECT sessions FROM ampsf.mirror_progress WHERE target = '$target'::regclass), 0)");
}

sub chunks_done
{
	my ($target) = @_;
	return $c->value("SELECT coalesce((SELECT chunks FROM ampsf.mirror_run WHERE target = '$target'::regclass ORDER BY id DESC LIMIT 1), 0)");
}

# Sessions that share a run, and wait for the rows of a chunk each.  The first one reads some before.
sub share
{
	my ($target, $n, $chunks) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	$c->fault("path=*/query*;match=SELECT Id, ;skip=$chunks;count=0;do=hold");
	my @jobs = $c->background("CALL ampsf.sync('$target')");
	# Others find something to share then.
	$c->poll(sub { return $c->struck == 1 });
	push @jobs, map { $c->background("CALL ampsf.sync('$target')") } 2 .. $n;
	ok($c->poll(sub { return $c->struck == $n && sessions($target) == $n }), "$n sessions are at it");
	return @jobs;
}

# -------- three sessions share a backfill; a fourth is one too many --------
$c->run_sql("SELECT ampsf.mirror('crm.contact', chunk_rows => 250, parallel => 3)");
my @jobs = share('contact', 3, 3);
is(chunks_done('contact'), 3, 'chunks are done');
is(AmpsfTest::sqlstate($c->psql("CALL ampsf.sync('contact')")), '55006', 'a fourth one is refused');
is(AmpsfTest::sqlstate($c->psql("SELECT ampsf.verify('contact')")), '55006', 'nobody else uses the mirror meanwhile');
is($c->value("SELECT kind, sessions, share BETWEEN 0 AND 1, rows_per_second > 0, finish > now(), rows_expected FROM ampsf.mirror_progress"),
	'backfill|3|t|t|t|' . $c->value('SELECT count(*) FROM crm.contact'), 'the progress says how it goes');
is($c->value("SELECT bool_and(m.phase = 'backfill') FROM ampsf.mirror_status m"), 't', 'and the status');
# One of them is told to end, and one is cancelled: the last makes it good.
$c->run_sql("SELECT pg_terminate_backend(min(pid)), pg_cancel_backend(max(pid)) FROM ampsf.mirror_holders('contact')");
$c->clear_faults;
my @ends = map { $c->finish($_) } @jobs;
is(scalar(grep { $_->{err} eq '' } @ends), 1, 'one of three sessions came to its end');
is(scalar(grep { $_->{err} =~ /canceling statement/ } @ends), 1, 'one says that it was cancelled')
  or diag(map { "$_->{err}\n" } @ends);
is($c->value('SELECT kind, state FROM ampsf.mirror_run'), 'backfill|done', 'the run is done');
is($c->differences('contact', 'crm.contact'), 0, 'the mirror is the org');
is($c->value('SELECT count(*), sum(n) FROM (SELECT rows AS n FROM ampsf.mirror_status) s'), '1|' . $c->value('SELECT count(*) FROM contact'), 'the rows were counted right');
is($c->value('SELECT inserted FROM ampsf.mirror_run'), $c->value('SELECT count(*) FROM contact'), 'each was inserted once');
is($c->value('SELECT count(*) FROM ampsf.mirror_chunk'), 0, 'no chunk is left');
is($c->value("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'"), 0, 'nor a lock');

# -------- all of them die at once, twice --------
$c->run_sql("SELECT ampsf.mirror('crm.contact', 'killed', chunk_rows => 250, parallel => 2)");
for my $round (1, 2)
{
	@jobs = share('killed', 2, 4);
	ok($c->crash($c->value("SELECT min(pid) FROM ampsf.mirror_holders('killed')")), "round $round: both die");
	$c->finish($_) for @jobs;
	$c->clear_faults;
	is($c->value("SELECT d.rows = (SELECT count(*) FROM killed) AND d.stage = 'rows' FROM ampsf.mirror_definition d WHERE target = 'killed'::regclass"),
		't', 'the progress is that of the rows');
	cmp_ok($c->value("SELECT count(*) FROM ampsf.mirror_chunk"), '>', 0, 'chunks wait to be read');
	# A dump has the chunks, too: they are not read yet, and read_to is behind them.
	if ($round == 1)
	{
		my $e = $c->{env};
		my @at = ('-h', $e->{PGHOST}, '-p', $e->{PGPORT}, '-U', 'postgres');
		chomp(my $bin = qx{@{[$ENV{PG_CONFIG} || 'pg_config']} --bindir});
		$c->psql('CREATE DATABASE copy', db => 'postgres');
		is(system("$bin/pg_dump @at $e->{PGDATABASE} | $bin/psql -X -q -v ON_ERROR_STOP=1 -o /dev/null @at -d copy"), 0, 'dumped and restored');
		$c->run_sql("CALL ampsf.sync('killed')", db => 'copy');
		is($c->value('SELECT count(*) FROM ((TABLE killed EXCEPT TABLE crm.contact) UNION ALL (TABLE crm.contact EXCEPT TABLE killed)) d', db => 'copy'),
			0, 'the copy goes on, and is the org');
	}
	# Meanwhile rows change and go.
	$c->run_sql("UPDATE crm.contact SET title = 'round $round' WHERE id IN (SELECT id FROM killed ORDER BY random() LIMIT 20)");
	$c->run_sql("DELETE FROM crm.contact WHERE id IN (SELECT id FROM killed ORDER BY random() LIMIT 5)");
}
sleep 1.1;
$c->run_sql("CALL ampsf.sync('killed')");
is($c->value("SELECT kind, state, interruptions FROM ampsf.mirror_run WHERE target = 'killed'::regclass ORDER BY id"), "backfill|done|2\nincremental|done|0",
	'one run, continued twice, and one for what has changed since it began');
is($c->differences('killed', 'crm.contact'), 0, 'the mirror is the org');

# -------- chunks that are too much for the org: they are halved, and the run goes on --------
# Twice: that is as small as 4,000 rows become, if the same chunk has it both times.
$c->run_sql("SELECT ampsf.mirror('crm.contact', 'halved', chunk_rows => 4000, parallel => 2)");
$c->fault('path=*/query*;match=SELECT Id, ;count=2;do=status;status=400;code=QUERY_TIMEOUT');
@jobs = map { $c->background("CALL ampsf.sync('halved')") } 1 .. 2;
@ends = map { $c->finish($_) } @jobs;
# Who comes too late is refused: it is a small org.
is(scalar(grep { $_->{err} ne '' && $_->{err} !~ /being synchronized/ } @ends), 0, 'no session fails');
$c->clear_faults;
# In how many chunks depends on whose failed how often: mirror.t counts them for one session.
is($c->value("SELECT state, error IS NULL FROM ampsf.mirror_run WHERE target = 'halved'::regclass ORDER BY id LIMIT 1"), 'done|t', 'the run is done');
is($c->differences('halved', 'crm.contact'), 0, 'the mirror is the org');
# So it is where the org takes too long to say where a chunk ends.
$c->run_sql("SELECT ampsf.mirror('crm.contact', 'uncounted', chunk_rows => 4000, parallel => 2)");
$c->fault('path=*/query*;match=COUNT;count=2;do=status;status=400;code=QUERY_TIMEOUT');
@jobs = map { $c->background("CALL ampsf.sync('uncounted')") } 1 .. 2;
@ends = map { $c->finish($_) } @jobs;
$c->clear_faults;
is(scalar(grep { $_->{err} ne '' && $_->{err} !~ /being synchronized/ } @ends), 0, 'no session fails when counting takes too long');
is($c->differences('uncounted', 'crm.contact'), 0, 'the mirror is the org');
$c->run_sql("SELECT ampsf.unmirror('uncounted')");
# When the smallest are too much, it fails, and says so.
$c->run_sql("SELECT ampsf.unmirror('halved')");
$c->run_sql("SELECT ampsf.mirror('crm.contact', 'refused', chunk_rows => 4000)");
$c->fault('path=*/query*;match=SELECT Id, ;count=0;do=status;status=400;code=QUERY_TIMEOUT');
like($c->psql("CALL ampsf.sync('refused')")->{err}, qr/QUERY_TIMEOUT/, 'the org takes too long for the smallest chunk');
$c->clear_faults;
$c->run_sql("SELECT ampsf.unmirror('refused')");

# -------- many rows of one second: by their Ids, shared, into a table that is partitioned by another column --------
{
	my ($status) = $c->http('POST', '/__sandbox/now?t=2025-03-01T12:00:00Z');
	$c->run_sql("INSERT INTO crm.lead (lastname, company) SELECT 'Pile ' || i, 'pile' FROM generate_series(1, 3000) i");
	$c->http('POST', '/__sandbox/now?t=off');
	my $same = $c->value("SELECT count(DISTINCT systemmodstamp) FROM crm.lead WHERE company = 'pile'");
	is($same, 1, 'a pile of rows with one time');
	$c->run_sql("CREATE TABLE pile (LIKE crm.lead) PARTITION BY LIST (isconverted); CREATE TABLE pile_1 PARTITION OF pile DEFAULT; ALTER TABLE pile ADD PRIMARY KEY (id, isconverted)");
	$c->run_sql("SELECT ampsf.mirror('crm.lead', 'pile', existing => true, chunk_rows => 200, parallel => 2)");
	@jobs = share('pile', 2, 3);
	cmp_ok($c->value("SELECT count(*) FROM ampsf.mirror_chunk WHERE ids IS NOT NULL"), '>', 5, 'of a pile');
	my $pid = $c->value("SELECT min(pid) FROM ampsf.mirror_holders('pile')");
	$c->run_sql("SELECT pg_terminate_backend($pid)");
	$c->clear_faults;
	$c->finish($_) for @jobs;
	$c->run_sql("CALL ampsf.sync('pile')");
	is($c->differences('pile', 'crm.lead'), 0, 'the mirror is the org');
	is($c->value('SELECT count(*) FROM (SELECT id FROM pile GROUP BY 1 HAVING count(*) > 1) d'), 0, 'no row twice');
	cmp_ok($c->value("SELECT chunks FROM ampsf.mirror_run WHERE target = 'pile'::regclass ORDER BY id LIMIT 1"), '>', 14, 'in chunks');
}

# -------- a field goes while several read --------
$c->run_sql("SELECT ampsf.mirror('crm.contact', 'drifts', chunk_rows => 250, parallel => 2)");
@jobs = share('drifts', 2, 3);
$c->http('POST', '/__sandbox/schema', 'hide Contact Title');
$c->clear_faults;
@ends = map { $c->finish($_) } @jobs;
is(join('', map { $_->{err} } @ends), '', 'no session fails');
$c->run_sql("CALL ampsf.sync('drifts')");
like($c->value("SELECT warning FROM ampsf.mirror_status WHERE target = 'drifts'::regclass"), qr/no longer read.*title/, 'the status says what is no longer read');
$c->http('DELETE', '/__sandbox/schema');
$c->run_sql("UPDATE ampsf.mirror_definition SET compare_asked = true WHERE target = 'drifts'::regclass");
$c->run_sql("CALL ampsf.sync('drifts')") for 1, 2;
is($c->differences('drifts', 'crm.contact'), 0, 'and when it is there again, the mirror is the org');

# -------- a new column is filled in chunks, and goes on after a death where it was --------
$c->run_sql("CREATE FOREIGN TABLE narrow (id text OPTIONS (field 'Id'), lastname text OPTIONS (field 'LastName'), createddate timestamptz OPTIONS (field 'CreatedDate'), "
	  . "systemmodstamp timestamptz OPTIONS (field 'SystemModstamp')) SERVER sf OPTIONS (object 'Contact')");
$c->run_sql("SELECT ampsf.mirror('narrow', 'filled', chunk_rows => 1000)");
$c->run_sql("CALL ampsf.sync('filled')");
$c->run_sql("ALTER FOREIGN TABLE narrow ADD COLUMN title text OPTIONS (field 'Title')");
$c->fault('path=*/query*;match=SELECT Id, Title;skip=2;count=0;do=hold');
{
	my $job = $c->background("CALL ampsf.sync('filled')");
	my $left = "SELECT coalesce(cardinality(fill_spans), 0) FROM ampsf.mirror_definition WHERE target = 'filled'::regclass";
	ok($c->poll(sub { return $c->struck > 0 }), 'some chunks are filled');
	ok($c->crash($c->value("SELECT min(pid) FROM ampsf.mirror_holders('filled')")), 'the session dies');
	$c->finish($job);
	$c->clear_faults;
	my $rest = $c->value($left) - 1;
	cmp_ok($rest, '>', 1, 'others are left');
	$c->mark;
	$c->run_sql("CALL ampsf.sync('filled')");
	is(scalar(grep { ($_->{soql} || '') =~ /^SELECT Id, Title FROM/ } $c->log), $rest, 'the others are filled after that, and no other');
	is($c->differences('(SELECT id, lastname, createddate, systemmodstamp, title FROM filled)', 'narrow'), 0, 'the mirror is the org');
}

# -------- background workers share a run, and who asks for one meanwhile waits for its end --------
$c->run_sql('ALTER SYSTEM SET ampsf.max_sync_workers = 3');
$c->run_sql('SELECT pg_reload_conf()');
$c->fault('path=*/query*;match=SELECT Id, ;skip=3;count=0;do=hold');
$c->run_sql("SELECT ampsf.mirror('crm.contact', 'background', chunk_rows => 250, parallel => 3)");
ok($c->poll(sub { return $c->struck >= 2 && sessions('background') >= 2 }), 'workers are at it');
my $call = $c->background("CALL ampsf.sync('background')");
# It is the third, or a third worker came first: then it waits.
$c->poll(sub { return $c->value("SELECT count(*) FROM pg_stat_activity WHERE query ILIKE 'CALL ampsf.sync%' AND state = 'active'") > 0 && sessions('background') == 3 });
$c->clear_faults;
is($c->finish($call)->{err}, '', 'a session joins them, or waits');
is($c->value("SELECT phase FROM ampsf.mirror_status WHERE target = 'background'::regclass"), 'ready', 'the run is at its end then');
is($c->differences('background', 'crm.contact'), 0, 'the mirror is the org');

done_testing();
