# Transactions whose changes are sent when they commit: under every fault, a cancel and a kill the org has
# all of them or none, here they are committed only if there, and what nobody knows is said to be unknown.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use AmpsfTest;
use Test::More;

my $c = AmpsfTest->start(seed => 'empty');
$c->run_sql(<<'SQL');
ALTER SERVER sf OPTIONS (ADD max_retries '2');
CREATE TABLE here (tag text);
CREATE FOREIGN TABLE there (id text OPTIONS (field 'Id'), lastname text, title text, department text)
	SERVER sf OPTIONS (object 'Contact', write_at 'commit');
CREATE FOREIGN TABLE now (id text OPTIONS (field 'Id'), lastname text, title text, department text) SERVER sf OPTIONS (object 'Contact');
INSERT INTO now (lastname, department) SELECT i, 'old' FROM generate_series(1, 3) i;
SQL

my $graph = '*/composite/graph';
my $n = 0;

# (rows of the org, rows here) after it
sub state_of
{
	my ($tag) = @_;
	return $c->value("SELECT count(*) FROM now WHERE department = '$tag' OR title = '$tag'; SELECT count(*) FROM here WHERE tag = '$tag'");
}

sub doubts { return $c->value('SELECT count(*) FROM ampsf.write_error; DELETE FROM ampsf.write_error'); }

# Faults that strike once, and for ever.
my @faults = (
	['503',                     'do=status;status=503'],
	['502',                     'do=status;status=502'],
	['500',                     'do=status;status=500'],
	['reset before the answer', 'do=reset-before'],
	['reset after the work',    'do=reset-after'],
	['reset inside the body',   'do=reset-middle'],
	['truncated JSON',          'do=truncate-json'],
	['slow bytes',              'do=slow;bytes-per-second=20000'],
	['delay',                   'do=delay;ms=700'],
	['wrong content type',      'do=content-type'],
	['HTML page',               'do=html'],
	['expired token',           'do=expire-token'],
);
for my $f (@faults)
{
	my ($name, $do) = @$f;
	for my $verb ('INSERT', 'UPDATE')
	{
		for my $often ('once', 'for ever')
		{
			my $tag = 'fault' . ++$n;
			my $change =
			  $verb eq 'INSERT'
			  ? "INSERT INTO there (lastname, department) SELECT i, '$tag' FROM generate_series(1, 3) i"
			  : "UPDATE there SET title = '$tag' WHERE department = 'old'";
			$c->fault("path=$graph;count=" . ($often eq 'once' ? 1 : 0) . ";$do");
			my $r = $c->psql("BEGIN; INSERT INTO here VALUES ('$tag'); $change; COMMIT;");
			my $struck = $c->struck;
			$c->clear_faults;
			my $state   = AmpsfTest::sqlstate($r);
			my $end     = state_of($tag);
			my $doubts  = doubts();
			my $allowed =
			    $state eq ''      ? qr/^3\n1$/
			  : $state eq '08007' ? qr/^[03]\n0$/
			  :                     qr/^0\n0$/;
			$end =~ s/\n/ there, /;
			(my $want = "$allowed") =~ s/\\n/ there, /;
			like($end, qr/$want/, "$verb, $name $often: " . ($state || 'committed') . ", $end here")
			  or diag($r->{err});
			ok(!$r->{hung} && $struck > 0, '... and the fault has struck');
			is($doubts, $state eq '08007' ? 3 : 0, '... ampsf.write_error has what is in doubt');
			ok(!($verb eq 'UPDATE' && $often eq 'once' && $do =~ /reset/ && $state ne ''), '... what does no harm is sent again');
			is($state, '08007', '... what may have been made is unknown') if $verb eq 'INSERT' && $do =~ /reset-(after|middle)|truncate/;
		}
	}
}

# A row that stays locked.
$c->fault("path=$graph;count=0;do=lock-row");
{
	my $r = $c->psql("BEGIN; INSERT INTO here VALUES ('locked'); INSERT INTO there (lastname, department) VALUES ('l', 'locked'); COMMIT;");
	$c->clear_faults;
	is(AmpsfTest::sqlstate($r), '55P03', 'a row that stays locked is an error of its own');
	is(state_of('locked'), "0\n0", '... and nothing is written');
}

# The backend that commits, when its request is with the org; written: when the org has carried it out.
sub committing
{
	my ($tag, $written) = @_;
	my $pid;
	$c->poll(sub {
		$pid = $c->value("SELECT pid FROM pg_stat_activity WHERE application_name = '$tag' AND query LIKE 'COMMIT%' AND state = 'active'");
		return $pid && ($written ? $c->answered : $c->struck) > 0;
	}) or return;
	return $pid;
}

sub transaction
{
	my ($tag) = @_;
	return "SET application_name = '$tag';\nBEGIN;\nINSERT INTO here VALUES ('$tag');\n"
	  . "INSERT INTO there (lastname, department) SELECT i, '$tag' FROM generate_series(1, 3) i;\nCOMMIT;\n";
}

# Cancelled while the answer is on its way, and before the org has looked at the request.
for my $case (['slow answer', 'do=slow;bytes-per-second=20', 3], ['request not looked at', 'do=delay;ms=3600000', 0])
{
	my ($name, $do, $rows) = @$case;
	my $tag = 'cancel' . ++$n;
	$c->mark;
	$c->fault("path=$graph;count=1;$do");
	my $job = $c->background(transaction($tag));
	my $pid = committing($tag, $rows);
	ok($pid && $c->value("SELECT pg_cancel_backend($pid)") eq 't', "cancel, $name");
	my $r = $c->finish($job);
	$c->clear_faults;
	like($r->{err}, qr/ERROR:  57014.*whether it was applied is unknown/s, '... says that the outcome is unknown');
	is(doubts(), 3, '... so does ampsf.write_error');
	is(state_of($tag), "$rows\n0", "... $rows rows there, none here");
}

# Killed: before anything was sent, while the org works, after it has.
for my $case (['before the commit', '', 0], ['request not looked at', 'do=delay;ms=3600000', 0], ['answer on its way', 'do=slow;bytes-per-second=20', 3])
{
	my ($name, $do, $rows) = @$case;
	my $tag = 'kill' . ++$n;
	my $pid;
	$c->mark;
	$c->fault("path=$graph;count=1;$do") if $do;
	my $sql = transaction($tag);
	$sql =~ s/COMMIT;/SELECT pg_sleep(600);\nCOMMIT;/ if !$do;
	my $job = $c->background($sql);
	if ($do) { $pid = committing($tag, $rows); }
	else
	{
		$c->poll(sub { $pid = $c->value("SELECT pid FROM pg_stat_activity WHERE application_name = '$tag' AND query LIKE '%pg_sleep%' AND state = 'active'") });
	}
	ok($c->crash($pid), "kill -9, $name: the server comes back");
	$c->finish($job);
	$c->clear_faults;
	is(state_of($tag), "$rows\n0", "... $rows rows there, none here");
}

# The same of writes that do not wait: what the org has carried out stays.
for my $case (['request not looked at', 'do=delay;ms=3600000', 1], ['answer on its way', 'do=slow;bytes-per-second=20', 4])
{
	my ($name, $do, $rows) = @$case;
	my $tag = 'now' . ++$n;
	my $pid;
	$c->mark;
	$c->fault("path=*/composite/sobjects;skip=1;count=1;$do");
	my $job = $c->background("SET application_name = '$tag'; BEGIN; INSERT INTO here VALUES ('$tag');\n"
		. "INSERT INTO now (lastname, department) VALUES (0, '$tag');\nINSERT INTO now (lastname, department) SELECT i, '$tag' FROM generate_series(1, 3) i; COMMIT;");
	$c->poll(sub {
		$pid = $c->value("SELECT pid FROM pg_stat_activity WHERE application_name = '$tag' AND query LIKE '%INSERT%' AND state = 'active'");
		return $pid && ($rows > 1 ? $c->answered : $c->struck) > 0;
	});
	ok($c->crash($pid), "kill -9 of a statement, $name: the server comes back");
	$c->finish($job);
	$c->clear_faults;
	is(state_of($tag), "$rows\n0", "... $rows rows there, none here");
}

# A commit that fails behind Salesforce's: write skew between serializable transactions.
{
	$c->run_sql('CREATE TABLE skew (k int PRIMARY KEY, v int); INSERT INTO skew VALUES (1, 0), (2, 0)');
	my $gate = $c->background("SET application_name = 'gate'; SELECT pg_advisory_lock(7); SELECT pg_sleep(600);");
	$c->poll(sub { $c->value("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND granted") == 1 });
	my $late = $c->background(<<'SQL');
BEGIN ISOLATION LEVEL SERIALIZABLE;
SELECT sum(v) FROM skew;
UPDATE skew SET v = 1 WHERE k = 1;
INSERT INTO there (lastname, department) VALUES ('s', 'skew'), ('t', 'skew');
SELECT pg_advisory_lock(7);
COMMIT;
SQL
	$c->poll(sub { $c->value("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted") == 1 });
	$c->run_sql('BEGIN ISOLATION LEVEL SERIALIZABLE; SELECT sum(v) FROM skew; UPDATE skew SET v = 1 WHERE k = 2; COMMIT');
	$c->run_sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'gate'");
	$c->finish($gate);
	my $r = $c->finish($late);
	like($r->{err}, qr/ERROR:  40001/, 'a commit that fails behind that of Salesforce');
	like($r->{err}, qr/WARNING:  01000: 2 rows written to Salesforce stay written though the transaction is rolled back\n.*there: 2 inserted\. The commit failed after Salesforce had made the changes/,
		'... says what was made');
	is($c->value("SELECT count(*) FROM now WHERE department = 'skew'"), 2, '... and it was');
}

# What the SQL suite leaves out: an error and a warning at once.
{
	my $r = $c->psql("BEGIN; INSERT INTO now (lastname, department) VALUES ('w', 'warned'); SELECT 1 / 0; COMMIT");
	like($r->{err}, qr/ERROR:  22012/, 'an error in a transaction that has written');
	is(() = $r->{err} =~ /WARNING:  01000: 1 row written to Salesforce stays written/g, 1, '... one warning');
	$r = $c->psql("INSERT INTO now (lastname, department) SELECT CASE i WHEN 3 THEN NULL ELSE 'w' END, 'told' FROM generate_series(1, 3) i");
	like($r->{err}, qr/2 rows of this statement were written before it failed and stay written/, 'a statement of its own that fails tells what it wrote');
	unlike($r->{err}, qr/WARNING/, '... and no warning repeats it');
	$r = $c->psql("BEGIN; INSERT INTO now (lastname, department) VALUES ('w', 'told');\n"
		. "INSERT INTO now (lastname, department) SELECT CASE i WHEN 3 THEN NULL ELSE 'w' END, 'told' FROM generate_series(1, 3) i;\nCOMMIT;");
	like($r->{err}, qr/WARNING:  01000: 3 rows written/, '... unless more was written before');
	$r = $c->psql("BEGIN; INSERT INTO now (lastname, department) VALUES ('w', 'prepared'); PREPARE TRANSACTION 'x'");
	like($r->{err}, qr/ERROR:  0A000: cannot PREPARE.*/, 'PREPARE TRANSACTION is refused');
	like($r->{err}, qr/WARNING:  01000: 1 row written/, '... and the rows stay');
}

# Several at once.
{
	my @jobs;
	for my $s (1 .. 4)
	{
		my $sql = '';
		for my $i (1 .. 10)
		{
			$sql .= "BEGIN; INSERT INTO here VALUES ('many'); INSERT INTO there (lastname, department) VALUES ('s$s-$i', 'many'); "
			  . ($i % 3 ? 'COMMIT' : 'ROLLBACK') . ";\n";
		}
		push @jobs, $c->background($sql);
	}
	$c->finish($_) for @jobs;
	is(state_of('many'), "28\n28", 'four sessions at once: what was committed is there, and here');
}

done_testing();
