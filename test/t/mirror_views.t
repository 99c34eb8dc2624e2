# The live view and the history of a mirror, and the refresh of its formula fields: while runs are under way, are
# killed or cancelled, and whatever the org answers.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use AmpsfTest;
use JSON::PP;
use Test::More;
use Time::HiRes qw(sleep);

my $c = AmpsfTest->start(seed => 'big:2000', conf => ['log_min_messages = error', 'synchronous_commit = on']);
my $seed = $ENV{AMPSF_TEST_SEED} || 1;
srand($seed);
diag("random changes: AMPSF_TEST_SEED=$seed");

my $columns = 'id, lastname, title, createddate, systemmodstamp';
$c->run_sql(<<'END');
CREATE FOREIGN TABLE person (id text OPTIONS (field 'Id'), lastname text OPTIONS (field 'LastName'), title text OPTIONS (field 'Title'),
	createddate timestamptz OPTIONS (field 'CreatedDate'), systemmodstamp timestamptz OPTIONS (field 'SystemModstamp'))
	SERVER sf OPTIONS (object 'Contact');
SELECT ampsf.mirror('person', 'p', chunk_rows => 200, lookback => '0', live_view => true, history => true);
END

# All columns of all rows, both ways.
# What must hold of a history at any time: no overlaps, nothing empty, and the open versions are the mirror.
sub history_faults
{
	my $open = "SELECT $columns FROM p_history WHERE upper_inf(valid)";
	my $rows = "SELECT $columns FROM p";
	return $c->value("SELECT (SELECT count(*) FROM p_history a JOIN p_history b ON a.id = b.id AND a.ctid < b.ctid AND a.valid && b.valid)"
		  . " + (SELECT count(*) FROM p_history WHERE isempty(valid) OR lower_inf(valid))"
		  . " + (SELECT count(*) FROM (($open EXCEPT $rows) UNION ALL ($rows EXCEPT $open)) d)");
}

my (@ids, @binned);

sub random_changes
{
	my ($n) = @_;
	for my $i (1 .. $n)
	{
		my $dice = rand;
		if ($dice < 0.25)
		{
			my $made = $c->rest_ok('POST', 'sobjects/Contact', { LastName => "New $i " . int(rand 1e6) }) or next;
			push @ids, $made;
		}
		elsif ($dice < 0.75) { $c->rest_ok('PATCH', "sobjects/Contact/$ids[rand @ids]", { Title => 'Title ' . int(rand 1e6) }) }
		elsif ($dice < 0.9)
		{
			my ($id) = splice @ids, int(rand @ids), 1;
			push @binned, $id if $c->rest_ok('DELETE', "sobjects/Contact/$id");
		}
		elsif (@binned)
		{
			my ($id) = splice @binned, int(rand @binned), 1;
			my ($status) = $c->http('POST', "/__sandbox/undelete?id=$id");
			push @ids, $id if $status == 200;
		}
	}
	return;
}

@ids = split /\n/, $c->value('SELECT id FROM person');

# -------- killed in a backfill: what is there has its versions, and the view waits for the rest --------
$c->kill_at("CALL ampsf.sync('p')", 'match=SELECT Id, ;skip=3');
is(history_faults(), 0, 'the versions are those of the rows');
is(AmpsfTest::sqlstate($c->psql('SELECT count(*) FROM p_now')), '55000', 'no live view of a part');
random_changes(20);
$c->run_sql("CALL ampsf.sync('p')");
is($c->differences('p_now', 'person', $columns), 0, 'the live view is the org');
is(history_faults(), 0, 'the history is right');

# -------- a statement sees rows and watermark of one moment, whatever runs commit meanwhile --------
for my $round (1 .. 4)
{
	random_changes(15);
	sleep 1.1;
	my $lock = 4711 + $round;
	my $locks = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objid = $lock AND";
	my $gate = $c->background("SELECT pg_advisory_lock($lock); SELECT pg_sleep(3600) AS gate");
	$c->poll(sub { return $c->value("$locks granted") });
	my $job = $c->background(<<"END");
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT count(*) > 0 FROM p;
SELECT pg_advisory_lock($lock);
SELECT count(*) FROM ((SELECT $columns FROM p_now EXCEPT SELECT $columns FROM person) UNION ALL (SELECT $columns FROM person EXCEPT SELECT $columns FROM p_now)) d;
SELECT count(*) > 0 FROM p WHERE id NOT IN (SELECT id FROM person) OR NOT EXISTS (SELECT FROM person);
COMMIT;
END
	# It has its snapshot, and waits for a run that commits.
	ok($c->poll(sub { return $c->value("$locks NOT granted") }), "round $round: a snapshot");
	$c->run_sql("CALL ampsf.sync('p')");
	$c->run_sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE '%AS gate' AND pid <> pg_backend_pid()");
	$c->finish($gate);
	my $r = $c->finish($job);
	like($r->{out}, qr/^t\n\n0\n/, "round $round: in an older snapshot the view is the org") or diag($r->{err});
	is($c->differences('p_now', 'person', $columns), 0, 'in a new one as well');
	is(history_faults(), 0, 'the history is right');
}

# -------- random changes, runs that are killed: the view is the org at any time --------
for my $round (1 .. 4)
{
	random_changes(20);
	is($c->differences('p_now', 'person', $columns), 0, "round $round: before a run");
	$c->kill_at("CALL ampsf.sync('p')", 'match=FROM Contact');
	is($c->differences('p_now', 'person', $columns), 0, 'after one that was killed');
	random_changes(10);
	my $job = $c->background("CALL ampsf.sync('p')");
	is($c->differences('p_now', 'person', $columns), 0, 'while one runs');
	is($c->finish($job)->{err}, '', 'which ends well');
	is($c->differences('p_now', 'person', $columns), 0, 'and after it');
	is(history_faults(), 0, 'the history is right');
}
sleep 1.1;
$c->run_sql("CALL ampsf.sync('p')");
is($c->differences('p', 'person', $columns), 0, 'the mirror is the org');

# -------- a view that is cancelled, and answers that break off --------
$c->fault('path=*/composite;count=0;do=delay;ms=3600000');
{
	my $r = $c->psql("SET statement_timeout = '300ms'; SELECT count(*) FROM p_now; RESET statement_timeout;\n"
		  . '\! curl -fsS -X DELETE ' . $c->url . "/__sandbox/faults >/dev/null\nSELECT count(*) > 0 FROM p_now;");
	is(AmpsfTest::sqlstate($r), '57014', 'statement_timeout acts while the org is asked');
	is($r->{out}, 't', 'the session goes on, and asks anew');
}
$c->clear_faults;
$c->run_sql("ALTER FOREIGN TABLE person OPTIONS (ADD page_size '200'); UPDATE ampsf.mirror_definition SET watermark = '2020-01-01'");
for my $fault ('path=*/query/*;count=9;do=truncate-json', 'path=*/query/*;skip=2;count=9;do=reset-middle', 'path=*/composite;count=9;do=truncate-json',
	'path=*/composite;count=9;do=html;status=200')
{
	$c->fault($fault);
	my $r = $c->psql("BEGIN; SAVEPOINT s; SELECT count(*) FROM p_now; ROLLBACK TO s; SELECT 'usable'; COMMIT;");
	like($r->{err}, qr/ERROR/, "$fault: an error");
	is($r->{out}, 'usable', 'and no part of an answer');
	$c->clear_faults;
	is($c->differences('p_now', 'person', $columns), 0, 'then the whole');
}
# More than fits into work_mem, in statements that fail as well as in those that end.
{
	my $files = "SELECT count(*) FROM pg_ls_tmpdir()";
	my $r = $c->psql("SET work_mem = '64kB'; SELECT count(*) FROM p_now; SELECT count(*) FROM p_now WHERE 1 / length(title) > 0 OR id = 'x' OR 1 / (length(id) - 18) > 0;"
		  . "BEGIN; DECLARE d CURSOR FOR SELECT id FROM p_now; SAVEPOINT s; FETCH 1 FROM d; SELECT 1 / 0; ROLLBACK TO s; MOVE ALL d; COMMIT; $files");
	is((split /\n/, $r->{out})[-1], '0', 'no temporary file stays');
	unlike($r->{err}, qr/WARNING|leak/, 'and no reference') or diag($r->{err});
}
$c->run_sql("ALTER FOREIGN TABLE person OPTIONS (DROP page_size)");
$c->run_sql("CALL ampsf.sync('p')");

# -------- a dump has view, history and triggers: its copy goes on --------
{
	my $e = $c->{env};
	my @at = ('-h', $e->{PGHOST}, '-p', $e->{PGPORT}, '-U', 'postgres');
	chomp(my $bin = qx{@{[$ENV{PG_CONFIG} || 'pg_config']} --bindir});
	my $file = $c->dir . '.sql';
	$c->psql('CREATE DATABASE copy', db => 'postgres');
	is(system("$bin/pg_dump", @at, '-f', $file, $e->{PGDATABASE}), 0, 'pg_dump');
	is(system("$bin/psql", '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-o', '/dev/null', @at, '-d', 'copy', '-f', $file), 0, 'restored');
	unlink $file;
	random_changes(20);
	my $versions = $c->value('SELECT count(*) FROM p_history');
	local $c->{env}{PGDATABASE} = 'copy';
	is($c->differences('p_now', 'person', $columns), 0, 'the live view of the copy is the org');
	sleep 1.1;
	$c->run_sql("CALL ampsf.sync('p')");
	is($c->differences('p', 'person', $columns), 0, 'so is the copy, after a run');
	is(history_faults(), 0, 'and its history is right');
	ok($c->value('SELECT count(*) FROM p_history') > $versions, 'and has grown');
}

# -------- long queries: new columns come later to what they read --------
for my $what ('history', 'now')
{
	$c->run_sql("ALTER FOREIGN TABLE person ADD COLUMN $what text OPTIONS (field 'Email')");
	my $job = $c->background("BEGIN; SELECT count(*) FROM p_$what; SELECT pg_sleep(3600)");
	$c->poll(sub { return $c->value("SELECT count(*) FROM pg_stat_activity WHERE query ILIKE 'SELECT pg_sleep(3600)%'") > 0 });
	is($c->psql("SET lock_timeout = '20s'; CALL ampsf.sync('p')")->{err}, '', 'a run does not wait for it');
	my $has = "SELECT count(*) FROM pg_attribute WHERE attname = '$what' AND attrelid IN ('p_now'::regclass, 'p_history'::regclass)";
	is($c->value($has), $what eq 'history' ? 1 : 0, "p_$what is as it was");
	$c->run_sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query ILIKE 'SELECT pg_sleep(3600)%'");
	$c->finish($job);
	$c->run_sql("CALL ampsf.sync('p')");
	SKIP:
	{
		is($c->value($has), 2, 'until nobody reads it') or skip 'no column', 2;
		is($c->value("SELECT count(*) FROM p_history h JOIN p USING (id) WHERE upper_inf(valid) AND h.$what IS DISTINCT FROM p.$what"), 0, 'with all values');
		is($c->value("SELECT count($what) > 0 FROM p_now"), 't', 'in the view, too');
	}
}

# -------- a refresh of formula fields that is killed goes on with the chunk that it was at --------
$c->run_sql("SELECT ampsf.mirror('person', 'f', chunk_rows => 200, formula_every => '1 hour', formula_columns => '{title}'); CALL ampsf.sync('f')");
$c->http('POST', "/__sandbox/set?id=$_&Title=set") for @ids[1 .. 300];
$c->run_sql("UPDATE ampsf.mirror_definition SET formulas_at = formulas_at - interval '1 hour' WHERE target = 'f'::regclass");
$c->kill_at("CALL ampsf.sync('f')", 'match=SELECT Id, Title FROM;skip=4');
my $left = $c->value("SELECT cardinality(formula_spans) FROM ampsf.mirror_definition WHERE target = 'f'::regclass AND stage = 'formulas'");
ok($left > 2, 'some chunks are left') or diag($left);
$c->mark;
$c->run_sql("CALL ampsf.sync('f')");
is(scalar(grep { ($_->{soql} || '') =~ /^SELECT Id, Title FROM/ } $c->log), $left - 1, 'only they are read');
is($c->differences('f', 'person', $columns), 0, 'all values have come');

done_testing();
