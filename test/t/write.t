# Rows of which nobody knows, and rows that were refused: whatever happens to the statement, the session or the
# worker that keeps them, they are in ampsf.write_error or in a warning, and the org has what the reports admit.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use AmpsfTest;
use Test::More;

my $c = AmpsfTest->start(seed => 'demo');
$c->run_sql(<<'SQL');
ALTER SERVER sf OPTIONS (ADD max_retries '1');
CREATE FOREIGN TABLE c (id text OPTIONS (field 'Id'), lastname text OPTIONS (field 'LastName'), title text, department text OPTIONS (field 'Department'), ext_id__c text)
	SERVER sf OPTIONS (object 'Contact', on_error 'continue', batch_size '3');
CREATE FOREIGN TABLE u (id text OPTIONS (field 'Id'), lastname text OPTIONS (field 'LastName'), title text, department text OPTIONS (field 'Department'), ext_id__c text)
	SERVER sf OPTIONS (object 'Contact', upsert_key 'Ext_Id__c', on_error 'continue', batch_size '3');
SQL
my $sobjects = '*/composite/sobjects*';
my $n = 0;

sub errors
{
	my ($columns) = @_;
	my $rows = $c->value("SELECT " . ($columns || "operation, outcome, row_number, \"row\" ->> 'LastName'") . " FROM ampsf.write_error ORDER BY id");
	$c->run_sql('DELETE FROM ampsf.write_error');
	return $rows;
}

# Seven rows are three calls, of which the second meets the fault, once or for ever.
my @faults = (
	['503',                     'do=status;status=503'],
	['502',                     'do=status;status=502'],
	['reset before the answer', 'do=reset-before'],
	['reset after the work',    'do=reset-after'],
	['reset inside the body',   'do=reset-middle'],
	['truncated JSON',          'do=truncate-json'],
	['HTML page',               'do=html'],
	['locked rows',             'do=lock-row'],
);
for my $f (@faults)
{
	my ($name, $do) = @$f;
	for my $verb ('insert', 'upsert', 'update', 'delete')
	{
		for my $often ($do =~ /status=503|reset-after/ ? ('once', 'for ever') : 'once')
		{
			my $tag = 'f' . ++$n;
			$c->run_sql("INSERT INTO c (lastname, department, title, ext_id__c) SELECT '$tag-' || i, '$tag', 'old', '$tag-' || i FROM generate_series(1, 7) i")
			  unless $verb eq 'insert';
			my $sql = {
				insert => "INSERT INTO c (lastname, department, title) SELECT '$tag-' || i, '$tag', 'new' FROM generate_series(1, 7) i",
				upsert => "INSERT INTO u (lastname, department, title, ext_id__c) SELECT '$tag-' || i, '$tag', 'new', '$tag-' || i FROM generate_series(1, 7) i",
				update => "UPDATE c SET title = 'new', lastname = lastname WHERE department = '$tag'",
				delete => "DELETE FROM c WHERE department = '$tag'",
			}->{$verb};
			$c->fault("path=$sobjects;skip=1;count=" . ($often eq 'once' ? 1 : 0) . ";$do");
			my $r = $c->psql($sql);
			my $struck = $c->struck;
			$c->clear_faults;
			my ($old, $new) = split /\|/, $c->value(
				"SELECT count(*) FILTER (WHERE title = 'old'), count(*) FILTER (WHERE title = 'new') FROM c WHERE department = '$tag'");
			my $written = $verb eq 'delete' ? 7 - $old : $new;
			my %kept = (refused => 0, 'in doubt' => 0, 'not sent' => 0);
			$kept{$_}++ for split /\n/, errors('outcome');
			my $failed = $r->{err} =~ /ERROR/;
			my $good;
			if (!$failed)
			{
				$good = $written + $kept{refused} == 7 && $kept{'in doubt'} + $kept{'not sent'} == 0;
			}
			else
			{
				# Three rows of the first call, those of the second perhaps; the last one was not sent.
				my $doubt = AmpsfTest::sqlstate($r) eq '08007';
				my $sure = 7 - $kept{refused} - $kept{'not sent'} - $kept{'in doubt'};
				$good = $sure == 3 && $kept{'not sent'} >= 1 && $kept{'in doubt'} == ($doubt ? 3 : 0)
				  && ($written == 3 || ($written == 6 && $doubt)) && $r->{err} =~ /3 rows of this statement were written/;
			}
			my $doubled = $verb ne 'delete' && $old + $new > 7;
			ok($good && !$doubled && $struck > 0 && !$r->{hung},
				"$verb, $name $often: " . ($failed ? 'error' : 'done') . ", $written written, "
				  . join(', ', map {"$kept{$_} $_"} sort keys %kept))
			  or diag("old $old, new $new, struck $struck\n$r->{err}");
		}
	}
}

# A cancel while the answer is awaited: the rows are in doubt, and kept, though the statement is gone.
$c->fault("path=$sobjects;count=1;do=delay;ms=3600000");
my $job = $c->background("INSERT INTO c (lastname, department) SELECT 'cancel ' || i, 'cancel' FROM generate_series(1, 2) i");
$c->poll(sub { $c->struck > 0 });
$c->run_sql("SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE query LIKE 'INSERT INTO c (%' AND pid <> pg_backend_pid()");
my $r = $c->finish($job);
is(AmpsfTest::sqlstate($r), '57014', 'a cancelled insert ends as cancelled');
like($r->{err}, qr/whether it was applied is unknown/, 'and says what is not known');
$c->clear_faults;
is(errors(), "insert|in doubt|1|cancel 1\ninsert|in doubt|2|cancel 2", 'its rows are kept');

# So does a session that is terminated.
$c->fault("path=$sobjects;count=1;do=delay;ms=3600000");
my $session = $c->background("SET application_name = 'victim'; INSERT INTO c (lastname) SELECT 'killed ' || i FROM generate_series(1, 2) i");
ok($c->poll(sub { $c->struck > 0 }), 'a session waits for its answer');
$c->run_sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'victim'");
$c->finish($session);
$c->clear_faults;
ok($c->poll(sub { $c->value('SELECT count(*) FROM ampsf.write_error') == 2 }), 'a session that is terminated leaves its rows');
is(errors(), "insert|in doubt|1|killed 1\ninsert|in doubt|2|killed 2", 'as they are');

# Somebody holds the table: the worker gives up, and a warning has the rows.
my $holder = $c->background("SET application_name = 'holder'; BEGIN; LOCK TABLE ampsf.write_error; SELECT pg_sleep(600)");
$c->poll(sub { $c->value("SELECT count(*) FROM pg_locks WHERE relation = 'ampsf.write_error'::regclass AND mode = 'AccessExclusiveLock' AND granted") });
$r = $c->psql("INSERT INTO c (lastname, department) VALUES ('Good', 'held'), (NULL, 'held'), (NULL, 'held too')");
unlike($r->{err}, qr/ERROR/, 'rows that cannot be kept do not end the statement');
like($r->{err}, qr/WARNING:.*2 rows could not be kept/, 'a warning says how many');
like($r->{err}, qr/row 2, refused, REQUIRED_FIELD_MISSING.*"Department":"held"/, 'and what they were');
like($r->{err}, qr/row 3, refused, REQUIRED_FIELD_MISSING.*"Department":"held too"/, 'each of them');
$c->run_sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'holder'");
$c->finish($holder);
is(errors(), '', 'and the table has none');

# Rows that somebody holds: only those are tried again, and they are refused in the end.
$c->run_sql("INSERT INTO c (lastname, department) SELECT 'L' || i, 'locked' FROM generate_series(1, 3) i");
my ($held) = split /\n/, $c->value("SELECT id FROM c WHERE lastname = 'L2'");
$c->admin('POST', "locks?ids=$held");
$c->mark;
$r = $c->psql("UPDATE c SET title = 'mine', lastname = lastname WHERE department = 'locked'");
like($r->{err}, qr/NOTICE:.*1 row could not be updated/, 'a row that stays locked is told');
is($c->value("SELECT string_agg(lastname, ',' ORDER BY lastname) FROM c WHERE title = 'mine'"), 'L1,L3', 'the others are written');
is(errors('record_id, error_code'), "$held|UNABLE_TO_LOCK_ROW", 'it is kept');
my @sent = map { $_->{bytes_in} } grep { $_->{method} eq 'PATCH' } $c->log;
cmp_ok($sent[1], '<', $sent[0], 'only that row was sent again');
is($sent[$_], $sent[1], 'and again') for 2 .. $#sent;
$c->admin('DELETE', 'locks');

# They are tried again in the order of their parents, so that they do not wait for each other.
$c->run_sql(<<'SQL');
CREATE FOREIGN TABLE p (id text OPTIONS (field 'Id'), accountid text OPTIONS (field 'AccountId', type 'reference'), lastname text OPTIONS (field 'LastName'))
	SERVER sf OPTIONS (object 'Contact');
INSERT INTO p (lastname) VALUES ('S1'), ('S2'), ('S3');
SQL
my %id = map { split /\|/ } split /\n/, $c->value("SELECT lastname, id FROM p WHERE lastname ~ '^S[123]'");
$c->admin('POST', 'locks?ids=' . join(',', values %id));
my ($first, $second) = split /\n/, $c->value('SELECT id FROM crm.account ORDER BY id LIMIT 2');
$c->fault(qq~path=*/composite/sobjects;count=0;match="LastName":"S1"},{"attributes":{"type":"Contact"},"id":"$id{S3}";do=slow;bytes-per-second=1000000~);
$c->psql("UPDATE p SET accountid = CASE lastname WHEN 'S2' THEN '$second' ELSE '$first' END, lastname = lastname WHERE lastname ~ '^S[123]'");
cmp_ok($c->struck, '>', 0, 'rows of one parent are sent together when they are tried again');
$c->clear_faults;
$c->admin('DELETE', 'locks');
$c->stop;

# No room for a worker: nothing is lost either.
$c = AmpsfTest->start(seed => 'demo', conf => ['max_worker_processes = 0']);
$c->run_sql("ALTER FOREIGN TABLE crm.contact OPTIONS (ADD on_error 'continue')");
$r = $c->psql("INSERT INTO crm.contact (lastname, department) VALUES ('Good', 'w'), (NULL, 'w')");
like($r->{err}, qr/WARNING:.*1 row could not be kept.*\n.*DETAIL:.*row 2, refused.*"Department":"w"/, 'no worker: a warning has the rows');
is($c->value("SELECT count(*) FROM crm.contact WHERE department = 'w'"), '1', 'and the good ones are written');
like($c->server_log, qr/row 2, refused/, 'so has the server log');

done_testing();
