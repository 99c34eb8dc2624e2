# Write-back: wherever a sender dies, and whatever becomes of a call, each change has one outcome, nothing is
# created twice, and mirror and org are the same in the end.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use AmpsfTest;
use JSON::PP;
use Test::More;
use Time::HiRes qw(sleep time);

my $seed = $ENV{AMPSF_TEST_SEED} || 1;
my $rounds = $ENV{AMPSF_WRITEBACK_ROUNDS} || 6;
srand($seed);
diag("random changes: AMPSF_TEST_SEED=$seed AMPSF_WRITEBACK_ROUNDS=$rounds");

# What users commit is to last here, though the cluster's commits are not: senders see to theirs themselves.
my $c = AmpsfTest->start(seed => 'demo', conf => ['log_min_messages = fatal']);
$c->run_sql('CREATE ROLE durable SUPERUSER LOGIN; ALTER ROLE durable SET synchronous_commit = on');

sub sender
{
	return $c->value("SELECT pid FROM pg_stat_activity WHERE (query ILIKE 'CALL ampsf.writeback%' OR backend_type = 'ampsf writeback') "
		  . "AND pid <> pg_backend_pid() ORDER BY backend_type <> 'ampsf writeback' LIMIT 1");
}

# A sender dies as soon as a fault has struck, or when the condition says so.
sub kill_sender
{
	my ($when) = @_;
	my $job = $c->background("CALL ampsf.writeback()");
	my $caught = $c->poll($when || sub { return $c->struck > 0 });
	my $dead = $c->crash(sender());
	$c->finish($job);
	return $caught && $dead;
}

# The org has carried out what it does not tell.
sub written { return $c->answered > 0; }

sub outcome
{
	return $c->value('SELECT state FROM ampsf.writeback ORDER BY id DESC LIMIT 1');
}

$c->run_sql("SELECT ampsf.mirror('crm.contact', writeback => true); CALL ampsf.sync('contact')");
my $read = 'path=*/query*;match=FROM Contact';
my $write = 'path=*/composite*';

# -------- killed between every two steps --------
my %make = (
	insert => "INSERT INTO contact (lastname, title) VALUES ('NAME', 'new')",
	update => "UPDATE contact SET title = 'NAME' WHERE lastname = 'Base 1'",
	delete => "DELETE FROM contact WHERE lastname = 'NAME'",
	'insert by key' => "INSERT INTO contact (lastname, ext_id__c) VALUES ('NAME', 'NAME')");
my $n = 0;
$c->run_sql("INSERT INTO contact (lastname) SELECT 'Base ' || i FROM generate_series(1, 20) i; CALL ampsf.writeback()");

for my $op ('insert', 'update', 'delete', 'insert by key')
{
	$c->run_sql("ALTER FOREIGN TABLE crm.contact OPTIONS (ADD upsert_key 'Ext_Id__c')") if $op eq 'insert by key';
	for my $point ('compared', 'on its way', 'written, no answer', 'answered, not recorded', 'recorded, not read again')
	{
		next if $point eq 'compared' && $op =~ /^insert/;
		my $name = 'Killed ' . ++$n;
		$c->run_sql("INSERT INTO contact (lastname) VALUES ('$name'); CALL ampsf.writeback()") if $op eq 'delete';
		(my $sql = $make{$op}) =~ s/NAME/$name/g;
		$c->run_sql($sql, user => 'durable');
		my $caught;
		if ($point eq 'compared')
		{
			$c->fault("$read;do=hold");
			$caught = kill_sender();
		}
		elsif ($point eq 'on its way')
		{
			$c->fault("$write;do=hold");
			$caught = kill_sender();
		}
		elsif ($point eq 'written, no answer')
		{
			$c->mark;
			$c->fault("$write;do=stall");
			$caught = kill_sender(\&written);
		}
		elsif ($point eq 'answered, not recorded')
		{
			# Somebody has locked the queue when the answer comes.
			$c->fault("$write;do=hold");
			my $job = $c->background("SELECT set_config('application_name', 'sender', false); CALL ampsf.writeback()");
			$caught = $c->poll(sub { return $c->struck > 0 });
			my $lock = $c->background("BEGIN; LOCK ampsf.writeback IN SHARE MODE; SELECT pg_sleep(3600)");
			$caught &&= $c->poll(sub { return $c->value("SELECT count(*) FROM pg_locks WHERE relation = 'ampsf.writeback'::regclass AND mode = 'ShareLock' AND granted") });
			$c->clear_faults;
			$caught &&= $c->poll(sub { return $c->value("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'sender' AND wait_event_type = 'Lock'") });
			$caught &&= $c->crash($c->value("SELECT pid FROM pg_stat_activity WHERE application_name = 'sender'"));
			$c->finish($job);
			$c->finish($lock);
		}
		else
		{
			$c->fault($op =~ /^insert/ ? "$read;do=hold" : "$read;skip=1;do=hold");
			# What was deleted is not read again.
			$caught = $op eq 'delete' ? 1 : kill_sender();
		}
		ok($caught, "$op: the sender was killed: $point");
		$c->clear_faults;
		my $r = $c->psql('CALL ampsf.writeback()');
		is($r->{err}, '', "$op: the next one goes on");
		my $state = outcome();
		my $there = $c->value("SELECT count(*) FROM crm.contact WHERE " . ($op eq 'update' ? "title = '$name'" : "lastname = '$name'"));
		if ($op eq 'insert' && $point ne 'recorded, not read again')
		{
			is($state, 'in doubt', "$op: nobody knows") or diag($there);
			ok($there <= 1, "$op: it is not there twice");
			is($c->value("SELECT count(*) FROM contact WHERE lastname = '$name'"), 1, "$op: the row stays as it is meanwhile");
			if ($there)
			{
				$c->run_sql('SELECT ampsf.writeback_drop(max(id)) FROM ampsf.writeback');
			}
			else
			{
				like($c->psql('SELECT ampsf.writeback_retry(max(id)) FROM ampsf.writeback')->{err}, qr/55000/, "$op: not sent again without a word");
				$c->run_sql('SELECT ampsf.writeback_retry(max(id), force => true) FROM ampsf.writeback');
			}
			$c->run_sql('CALL ampsf.writeback()');
			is($c->value("SELECT count(*) FROM crm.contact WHERE lastname = '$name'"), 1, "$op: it is there once");
		}
		else
		{
			is($state, 'done', "$op: it is done");
			is($there, $op eq 'delete' ? 0 : 1, "$op: once");
		}
		$c->run_sql("CALL ampsf.sync('contact')");
	}
}
$c->run_sql('ALTER FOREIGN TABLE crm.contact OPTIONS (DROP upsert_key)');
is($c->differences('contact', 'crm.contact'), 0, 'the mirror is the org');
is($c->value("SELECT count(*) FROM ampsf.writeback WHERE pending OR NOT settled"), 0, 'nothing is left over');

# -------- calls that come to nothing, or of which nobody knows --------
$c->run_sql("ALTER SERVER sf OPTIONS (ADD max_retries '1')");
for my $do ('status;status=403;code=REQUEST_LIMIT_EXCEEDED', 'html', 'reset-before', 'reset-after', 'truncate-json', 'lock-row')
{
	for my $op ('insert', 'update', 'delete')
	{
		my $name = 'Fault ' . ++$n;
		$c->run_sql("INSERT INTO contact (lastname) VALUES ('$name'); CALL ampsf.writeback()") if $op eq 'delete';
		(my $sql = $make{$op}) =~ s/NAME/$name/g;
		$c->run_sql($sql);
		$c->fault("$write;count=3;do=$do");
		my $r = $c->psql('CALL ampsf.writeback()');
		$c->clear_faults;
		$r = $c->psql('CALL ampsf.writeback()');
		my $state = outcome();
		my $there = $c->value("SELECT count(*) FROM crm.contact WHERE " . ($op eq 'update' ? "title = '$name'" : "lastname = '$name'"));
		if ($op eq 'insert' && $state eq 'in doubt')
		{
			like($do, qr/reset|truncate|html/, "$do: an insert in doubt");
			ok($there <= 1, "$do: not twice");
			$c->run_sql('SELECT ampsf.writeback_drop(max(id)) FROM ampsf.writeback; CALL ampsf.writeback()');
		}
		else
		{
			is("$state $there", 'done ' . ($op eq 'delete' ? 0 : 1), "$do: $op, made good");
		}
	}
}
$c->run_sql("CALL ampsf.sync('contact')");
is($c->differences('contact', 'crm.contact'), 0, 'the mirror is the org');
is($c->value("SELECT rows = (SELECT count(*) FROM contact) FROM ampsf.mirror_definition"), 't', 'the rows were counted right');
my $failed = $c->value('SELECT failures, last_error FROM ampsf.writeback_status');
is($failed, '0|', 'and no failure is left');

# A cancel: the sender says so, and what it knows is kept.
$c->run_sql("INSERT INTO contact (lastname) VALUES ('Cancelled'); UPDATE contact SET title = 'Cancelled' WHERE lastname = 'Base 2'");
$c->mark;
$c->fault("$write;do=stall");
my $cancelled = $c->background('CALL ampsf.writeback()');
$c->poll(\&written);
$c->run_sql("SELECT pg_cancel_backend(" . sender() . ")");
is(AmpsfTest::sqlstate($c->finish($cancelled)), '57014', 'cancelled');
$c->clear_faults;
is($c->value("SELECT string_agg(operation || ' ' || state, ', ' ORDER BY id) FROM (SELECT * FROM ampsf.writeback ORDER BY id DESC LIMIT 2) l"),
	'insert in doubt, update queued', 'what was on its way is in doubt, the rest is still to be sent');
$c->run_sql("SELECT ampsf.writeback_found(w.id, o.id) FROM ampsf.writeback w, crm.contact o WHERE w.state = 'in doubt' AND o.lastname = 'Cancelled'");
$c->run_sql('CALL ampsf.writeback()');
is($c->value("SELECT count(*) FROM contact c JOIN crm.contact o USING (id) WHERE c.lastname = 'Cancelled' OR c.title = 'Cancelled' AND o.title = 'Cancelled'"), 2, 'and done then');

# A row that is being read again can be changed meanwhile, and that change is not lost.
$c->run_sql("UPDATE contact SET title = 'Before' WHERE lastname = 'Base 3'");
$c->fault("$read;skip=1;do=hold");
my $slow = $c->background('CALL ampsf.writeback()');
$c->poll(sub { return $c->struck > 0 });
is($c->psql("SET lock_timeout = '10s'; UPDATE contact SET title = 'Meanwhile' WHERE lastname = 'Base 3'")->{err}, '', 'nobody waits for the org');
$c->clear_faults;
$c->finish($slow);
is($c->value("SELECT title FROM contact WHERE lastname = 'Base 3'"), 'Meanwhile', 'and what was read does not undo it');
$c->run_sql('CALL ampsf.writeback()');
is($c->value("SELECT title FROM crm.contact WHERE lastname = 'Base 3'"), 'Meanwhile', 'it is sent');

# -------- two writers, another client of the org, runs, and senders that die --------
my @rows = map { "Row $_" } 1 .. 30;
$c->run_sql("INSERT INTO contact (lastname, title) SELECT 'Row ' || i, 'none' FROM generate_series(1, 30) i; CALL ampsf.writeback()");
my %id = map { split /\|/ } split /\n/, $c->value("SELECT lastname, id FROM contact WHERE lastname LIKE 'Row %'");
my %department;
my $serial = 0;

sub writer
{
	my ($me) = @_;
	my $sql = '';
	for (1 .. 25)
	{
		my $dice = rand;
		my $row = $rows[rand @rows];
		$serial++;
		if ($dice < 0.15)
		{
			$sql .= "INSERT INTO contact (lastname, title) VALUES ('W $serial', 'w');\n";
			$sql .= "UPDATE contact SET title = 'w $serial' WHERE lastname = 'W $serial';\n" if rand() < 0.4;
		}
		elsif ($dice < 0.25)
		{
			$sql .= "DELETE FROM contact WHERE id = (SELECT id FROM contact WHERE lastname LIKE 'W %' ORDER BY random() LIMIT 1);\n";
		}
		elsif ($dice < 0.35)
		{
			$sql .= "BEGIN; UPDATE contact SET title = 'rolled back $serial' WHERE lastname = '$row'; INSERT INTO contact (lastname) VALUES ('X $serial'); ROLLBACK;\n";
		}
		elsif ($dice < 0.45)
		{
			$sql .= "BEGIN; UPDATE contact SET title = 'first $serial' WHERE lastname = '$row'; SELECT pg_sleep(0.02); "
			  . "UPDATE contact SET title = 'second $serial' WHERE lastname = '$row'; COMMIT;\n";
		}
		else
		{
			$sql .= "UPDATE contact SET title = 'title $serial' WHERE lastname = '$row';\n";
		}
		$sql .= "SELECT pg_sleep(0.03);\n" if rand() < 0.5;
	}
	return $c->background($sql, user => 'durable');
}

for my $round (1 .. $rounds)
{
	# In the second half runs, events and sending are the background workers', too.
	if ($round == int($rounds / 2) + 1)
	{
		$c->run_sql("SELECT ampsf.subscribe('sf', ARRAY['Contact'])");
		$c->run_sql("ALTER SYSTEM SET ampsf.max_sync_workers = 4");
		$c->run_sql('SELECT pg_reload_conf()');
		$c->run_sql('SELECT ampsf.wake()');
		ok($c->poll(sub { return $c->value('SELECT state FROM ampsf.subscription_status') eq 'connected' }), 'events are followed');
	}
	my @jobs = (writer(1), writer(2), $c->background("CALL ampsf.sync('contact')"));
	push @jobs, $c->background("SELECT pg_sleep(0.1);\n" . "CALL ampsf.writeback();\nSELECT pg_sleep(0.1);\n" x 4);
	my @faults = ('reset-after', 'reset-middle', 'reset-before', 'html', 'delay;ms=300', 'lock-row');
	$c->fault("$write;percent=15;count=0;do=$faults[rand @faults]");
	for (1 .. 15)
	{
		my $row = $rows[rand @rows];
		my $value = "D $round.$_";
		$department{$row} = $value if $c->rest_ok('PATCH', "sobjects/Contact/$id{$row}", { Department => $value });
		$c->rest_ok('POST', 'sobjects/Contact', { LastName => "Remote $round.$_" }) if rand() < 0.2;
		sleep 0.02;
	}
	if ($round % 2)
	{
		$c->crash(sender());
	}
	$c->finish($_) for @jobs;
	$c->clear_faults;
}
ok($c->poll(sub { return $c->value('SELECT sum(events) FROM ampsf.mirror_status') > 0 }), 'events came, too');
$c->run_sql('ALTER SYSTEM SET ampsf.max_sync_workers = 0');
$c->run_sql('SELECT pg_reload_conf()');
$c->run_sql('SELECT ampsf.stop_workers()');
# A backoff after a failure is the worker's, not that of a call by hand.
$c->poll(sub {
	$c->psql('CALL ampsf.writeback()');
	# Behind a row in doubt all wait for that.
	return $c->value("SELECT count(*) FROM ampsf.writeback w WHERE state IN ('queued', 'sending') AND NOT EXISTS (SELECT FROM ampsf.writeback d WHERE d.record_id = w.record_id AND d.state = 'in doubt')") eq '0';
});
my $doubts = $c->value("SELECT count(*) FROM ampsf.writeback WHERE state = 'in doubt' AND head = id");
$c->run_sql("SELECT ampsf.writeback_drop(id) FROM ampsf.writeback WHERE state = 'in doubt' AND head = id");
$c->run_sql('CALL ampsf.writeback()');
sleep 1.1;
$c->run_sql("CALL ampsf.sync('contact')");
diag("entries: " . join(', ', split /\n/, $c->value("SELECT state || ' ' || operation || ' ' || count(*) FROM ampsf.writeback GROUP BY state, operation ORDER BY 1")) . "; in doubt: $doubts");
is($c->differences('contact', 'crm.contact'), 0, 'the mirror is the org');
is($c->value("SELECT count(*) FROM ampsf.verify('contact', thorough => true)"), 0, 'and verify says so');
is($c->value("SELECT count(*) FROM ampsf.writeback WHERE pending OR NOT settled OR state IN ('queued', 'sending', 'in doubt')"), 0, 'each change has its outcome');
is($c->value("SELECT string_agg(lastname, ', ') FROM (SELECT lastname FROM crm.contact WHERE lastname ~ '^(W|X|Row) ' GROUP BY 1 HAVING count(*) > 1) d"), '', 'no row was created twice');
is($c->value("SELECT count(*) FROM crm.contact WHERE lastname LIKE 'X %' OR title LIKE 'rolled back%'"), 0, 'nothing that was rolled back was sent');
is($c->value("SELECT string_agg(DISTINCT state || ': ' || coalesce(error_code, message), ', ') FROM ampsf.writeback WHERE operation = 'update' "
		. "AND record_id IN (SELECT id FROM contact WHERE lastname LIKE 'Row %') AND state <> 'done'"), '', 'no update was lost, and no conflict was invented');
is($c->value("SELECT count(*) FROM ampsf.writeback WHERE state IN ('conflict', 'refused') "
		# of a row whose creation was in doubt, and was given up above
		. "AND error_code IS DISTINCT FROM 'NOT_CREATED'"), 0, 'nor of any other row')
  or diag($c->value("SELECT w.* FROM ampsf.writeback w WHERE record_id IN (SELECT record_id FROM ampsf.writeback WHERE state IN ('conflict', 'refused')) ORDER BY w.record_id, w.id"));
is($c->value("SELECT string_agg(c.lastname, ', ') FROM crm.contact c JOIN LATERAL (SELECT new ->> 'title' AS title FROM ampsf.writeback w "
		. "WHERE w.record_id = c.id AND w.new ? 'title' AND w.state = 'done' ORDER BY w.id DESC LIMIT 1) l ON true WHERE c.title <> l.title"), '',
	'of each row the last title is the org\'s');
my %org = map { split /\|/ } split /\n/, $c->value("SELECT lastname, department FROM crm.contact WHERE lastname LIKE 'Row %' AND department IS NOT NULL");
is_deeply(\%org, \%department, 'what the other client wrote into other columns is still there');
is($c->value("SELECT count(*) FROM ampsf.writeback w WHERE operation = 'insert' AND state = 'done' AND NOT EXISTS (SELECT FROM crm.contact o WHERE o.id = w.record_id) "
		. "AND NOT EXISTS (SELECT FROM ampsf.writeback d WHERE d.record_id = w.record_id AND d.operation = 'delete' AND d.state = 'done')"), 0, 'what is said to be created is there');

# -------- the background worker, woken by the commit --------
$c->run_sql('ALTER SYSTEM SET ampsf.max_sync_workers = 4');
$c->run_sql('SELECT pg_reload_conf()');
$c->run_sql("UPDATE contact SET title = 'By the worker' WHERE lastname = 'Row 1'");
ok($c->poll(sub { return $c->value("SELECT title FROM crm.contact WHERE lastname = 'Row 1'") eq 'By the worker' }), 'the worker sends');
ok($c->poll(sub { return $c->value("SELECT settled FROM ampsf.writeback ORDER BY id DESC LIMIT 1") eq 't' }), 'and settles');
$c->run_sql('SELECT ampsf.stop_workers()');

$c->stop;
done_testing();
