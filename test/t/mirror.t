# Mirrors: whatever ends a run, and whatever the org does meanwhile, the next run makes mirror and org equal.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use AmpsfTest;
use JSON::PP;
use Test::More;
use Time::HiRes qw(sleep);

my $c = AmpsfTest->start(seed => 'big:3000', conf => ['log_min_messages = error', 'synchronous_commit = on']);
my $seed = $ENV{AMPSF_TEST_SEED} || 1;
srand($seed);
diag("random changes: AMPSF_TEST_SEED=$seed");

my (@ids, @binned);

sub random_changes
{
	my ($n) = @_;
	my $done = 0;
	for my $i (1 .. $n)
	{
		my $dice = rand;
		if ($dice < 0.3)
		{
			my $made = $c->rest_ok('POST', 'sobjects/Contact', { LastName => "New $i " . int(rand 1e6) }) or next;
			push @ids, $made;
		}
		elsif ($dice < 0.75)
		{
			$c->rest_ok('PATCH', "sobjects/Contact/$ids[rand @ids]", { Title => 'Title ' . int(rand 1e6) }) or next;
		}
		elsif ($dice < 0.92)
		{
			my ($id) = splice @ids, int(rand @ids), 1;
			$c->rest_ok('DELETE', "sobjects/Contact/$id") or next;
			push @binned, $id;
		}
		elsif (@binned)
		{
			my ($id) = splice @binned, int(rand @binned), 1;
			my ($status) = $c->http('POST', "/__sandbox/undelete?id=$id");
			push @ids, $id if $status == 200;
		}
		$done++;
	}
	return $done;
}

@ids = split /\n/, $c->value('SELECT id FROM crm.contact');
$c->run_sql("SELECT ampsf.mirror('crm.contact', chunk_rows => 300)");

# -------- killed in a backfill: before the first chunk, between chunks, in the last one --------
for my $chunks (0, 2, 5)
{
	$c->kill_at("CALL ampsf.sync('contact')", "match=SELECT Id, ;skip=$chunks");
	my $state = $c->value('SELECT stage, rows = (SELECT count(*) FROM contact) FROM ampsf.mirror_definition');
	is($state, 'rows|t', "killed after $chunks chunks: the progress is that of the rows");
	random_changes(40);
}
sleep 1.1;
$c->run_sql("CALL ampsf.sync('contact')");
is($c->value('SELECT kind, state, interruptions FROM ampsf.mirror_run ORDER BY id'), "backfill|done|3\nincremental|done|0",
	'one run, continued three times, and one for what has changed since it began');
is($c->differences('contact', 'crm.contact'), 0, 'the mirror is the org');
is($c->value('SELECT count(*) FROM contact c JOIN contact d USING (id)'), $c->value('SELECT count(*) FROM contact'), 'no row twice');

# -------- incremental runs, with random changes between and during them, and killed --------
my $changed = 0;
for my $round (1 .. 6)
{
	$changed += random_changes(30);
	if ($round % 2)
	{
		$c->kill_at("CALL ampsf.sync('contact')", 'match=FROM Contact');
	}
	else
	{
		my $job = $c->background("CALL ampsf.sync('contact')");
		$changed += random_changes(10);
		my $r = $c->finish($job);
		is($r->{err}, '', "round $round: a run while rows change");
	}
}
sleep 1.1;
$c->run_sql("CALL ampsf.sync('contact')");
is($c->differences('contact', 'crm.contact'), 0, "after $changed changes: the mirror is the org");
is($c->value("SELECT count(*) FROM ampsf.verify('contact', thorough => true)"), 0, 'and verify says so');
is($c->value('SELECT rows = (SELECT count(*) FROM contact) FROM ampsf.mirror_status'), 't', 'the rows were counted right');
$changed = $c->value("SELECT count(*) FROM ampsf.mirror_run WHERE state = 'running'");
is($changed, 0, 'no run is left open');

# -------- faults of the org in each kind of call: told, nothing half done, and made good --------
for my $fault (
	'path=*/recordCount*;do=status;status=400;code=UNKNOWN_EXCEPTION',
	'path=*/deleted*;do=status;status=403;code=REQUEST_LIMIT_EXCEEDED',
	'path=*/deleted*;count=9;do=truncate-json',
	'path=*/query*;count=9;do=truncate-json',
	'path=*/query*;count=9;do=reset-middle')
{
	random_changes(12);
	my $before = $c->value('SELECT watermark, deleted_to, (SELECT md5(string_agg(t::text, chr(10) ORDER BY id)) FROM contact t) FROM ampsf.mirror_definition');
	$c->fault($fault);
	my $r = $c->psql("CALL ampsf.sync('contact')");
	like($r->{err}, qr/ERROR/, "$fault: the run fails");
	$c->clear_faults;
	is($c->value("SELECT failures > 0 AND last_error <> '' AND phase = 'failed' FROM ampsf.mirror_status"), 't', 'the status says so');
	is($c->value('SELECT watermark, deleted_to, (SELECT md5(string_agg(t::text, chr(10) ORDER BY id)) FROM contact t) FROM ampsf.mirror_definition'),
		$before, 'nothing was done')
	  if $fault =~ /query|recordCount/;
	sleep 1.1;
	$c->run_sql("CALL ampsf.sync('contact')");
	is($c->differences('contact', 'crm.contact'), 0, 'the next run makes it good');
}

# -------- a chunk that is too much for the org: smaller ones follow --------
{
	$c->run_sql("SELECT ampsf.mirror('crm.contact', name, chunk_rows => 4000) FROM (VALUES ('whole'), ('halved')) v (name)");
	$c->run_sql("CALL ampsf.sync('whole')");
	is($c->value("SELECT chunks FROM ampsf.mirror_run WHERE target = 'whole'::regclass"), 1, 'all in one chunk');
	$c->fault('path=*/query*;match=SELECT Id;count=0;do=status;status=400;code=QUERY_TIMEOUT');
	like($c->psql("CALL ampsf.sync('halved')")->{err}, qr/QUERY_TIMEOUT/, 'the org takes too long');
	$c->clear_faults;
	$c->run_sql("CALL ampsf.sync('halved')");
	is($c->value("SELECT chunks > 1, state FROM ampsf.mirror_run WHERE target = 'halved'::regclass ORDER BY id LIMIT 1"), 't|done', 'in more than one');
	is($c->differences('halved', 'crm.contact'), 0, 'the mirror is the org');
	# A hundred accounts, which nobody changes: one chunk is counted, and then all of them.
	$c->run_sql("SELECT ampsf.mirror('crm.account', 'uncounted', chunk_rows => 60)");
	$c->fault('path=*/query*;match=COUNT;skip=1;count=0;do=status;status=400;code=QUERY_TIMEOUT');
	$c->run_sql("CALL ampsf.sync('uncounted')");
	$c->clear_faults;
	is($c->value("SELECT state, compared FROM ampsf.mirror_run WHERE target = 'uncounted'::regclass"), 'done|t',
		'more rows than the org can count: Ids are compared');
	$c->run_sql("SELECT ampsf.unmirror('uncounted')");
	$c->run_sql("SELECT ampsf.unmirror('whole'), ampsf.unmirror('halved')");
}

# -------- a log of deletions that is refused is no log: Ids are compared --------
random_changes(12);
$c->fault('path=*/deleted*;do=status;status=400;code=INVALID_REPLICATION_DATE');
$c->run_sql("CALL ampsf.sync('contact')");
$c->clear_faults;
is($c->value('SELECT compared FROM ampsf.mirror_run ORDER BY id DESC LIMIT 1'), 't', 'all Ids were compared');
is($c->differences('contact', 'crm.contact'), 0, 'and nothing is left');

# -------- one run at a time; a cancelled one lets go --------
$c->fault('path=*/query*;match=FROM Contact;count=0;do=delay;ms=3600000');
# (pause() and resume() change what it has seen of its own state)
my $job = $c->background("SET default_transaction_isolation = 'repeatable read';\nCALL ampsf.sync('contact');\nSELECT pg_sleep(3600)");
ok($c->poll(sub { return $c->struck > 0 && $c->value("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'") > 0
			&& $c->value("SELECT stage FROM ampsf.mirror_definition") eq 'rows' }), 'a run waits for the org');
is(AmpsfTest::sqlstate($c->psql("SELECT ampsf.verify('contact')")), '55006', 'nobody else uses the mirror meanwhile');
$c->run_sql("SELECT ampsf.pause('contact'), ampsf.resume('contact')");
is(AmpsfTest::sqlstate($c->psql("CALL ampsf.sync('contact')")), '55006', 'a second one does not wait for it');
$c->run_sql("SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE query ILIKE 'CALL ampsf.sync%' AND pid <> pg_backend_pid()");
$c->clear_faults;
ok($c->poll(sub { return $c->value("SELECT count(*) FROM pg_stat_activity WHERE query ILIKE 'SELECT pg_sleep(3600)%'") > 0 }),
	'the session goes on after the cancel');
is($c->value("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'"), 0, 'its lock is gone');
is($c->value('SELECT last_error FROM ampsf.mirror_status'), 'canceling statement due to user request', 'the status says why the run ended');
$c->run_sql("CALL ampsf.sync('contact')");
is($c->differences('contact', 'crm.contact'), 0, 'the mirror is the org');
$c->run_sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query ILIKE 'SELECT pg_sleep(3600)%'");
$c->finish($job);

# -------- a dump has definitions and watermarks: its copy goes on from there --------
{
	my $e = $c->{env};
	my @at = ('-h', $e->{PGHOST}, '-p', $e->{PGPORT}, '-U', 'postgres');
	chomp(my $bin = qx{@{[$ENV{PG_CONFIG} || 'pg_config']} --bindir});
	my $file = $c->dir . '.sql';
	$c->psql('CREATE DATABASE copy', db => 'postgres');
	is(system("$bin/pg_dump", @at, '-f', $file, $e->{PGDATABASE}), 0, 'pg_dump');
	is(system("$bin/psql", '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-o', '/dev/null', @at, '-d', 'copy', '-f', $file), 0, 'restored');
	random_changes(20);
	sleep 1.1;
	$c->run_sql("CALL ampsf.sync('contact')", db => 'copy');
	is($c->value('SELECT kind FROM ampsf.mirror_run', db => 'copy'), 'incremental', 'the copy reads what has changed since the dump');
	is($c->value('SELECT count(*) FROM ((TABLE contact EXCEPT TABLE crm.contact) UNION ALL (TABLE crm.contact EXCEPT TABLE contact)) d', db => 'copy'),
		0, 'and is the org again');
}

done_testing();
