# The life of a job of Bulk API 2.0: what the view ampsf.progress shows of it in each phase, that cancel and
# termination act in each, and that nothing is left of it in the org, whichever way the read ends; what others do
# to the rows meanwhile; jobs of several tables at the same time.  What is held here is held for an hour, so a
# backend that does not listen fails the test by not ending.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use AmpsfTest;
use JSON::PP;
use Test::More;

my $rows  = 3000;    # three pages
my $c     = AmpsfTest->start(seed => "big:$rows", args => '--bulk-page-rows 1000 --bulk-empty nothing --bulk-early 204');
my $read  = 'SELECT count(lower(lastname)) FROM crm.contact';
my $never = 'do=delay;ms=3600000';
my $poll  = 'method=GET;path=*/jobs/query/750???????????????';
my $serial = 'max_parallel_workers_per_gather = 0';
$c->run_sql("ALTER SERVER sf OPTIONS (ADD transport 'bulk', ADD max_retries '1'); ALTER DATABASE sandbox SET $serial");

sub jobs { return @{ $c->admin('GET', 'jobs')->{jobs} }; }

# psql does not wait for the end of its backend.
sub settle
{
	return $c->poll(sub { $c->value(q{SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'}) == 1 });
}

sub left
{
	settle();
	return scalar(jobs());
}

# The backend whose statement bears the mark.
sub pid_of
{
	my ($mark) = @_;
	my $pid = '';
	$c->poll(sub { ($pid = $c->value("SELECT pid FROM pg_stat_activity WHERE query LIKE '%$mark%' AND pid <> pg_backend_pid()")) ne '' });
	return $pid;
}

sub progress
{
	my ($pid) = @_;
	return $c->value("SELECT relation || '|' || phase || '|' || rows || '|' || coalesce(rows_expected::text, '-') || '|' || (bytes > 0)::text || '|' || calls FROM ampsf.progress WHERE pid = $pid");
}

# Each phase with the fault that holds it, and what is to be seen of it then: calls that were answered or sent, of
# which the login is none; bytes have come once a call was answered.
my @phases = (
	['the job is created',           "method=POST;path=*/jobs/query;$never",         'creating job|0|-|false|1'],
	['the job is waited for',        'method=POST;path=*/jobs/query;do=job-stuck',   'waiting for job|0|-|true|1'],
	['the job is asked for',         "$poll;$never",                                 'waiting for job|0|-|true|2'],
	['the first page is asked for',  "path=*/results;$never",                        'reading results|0|3000|true|3'],
	['the first page comes',         'path=*/results;do=stall;bytes=100',            'reading results|[1-9]|3000|true|4'],
	['the second page comes',        'path=*/results;skip=1;do=stall;bytes=100',     'reading results|1000|3000|true|5'],
	['the last page is asked for',   "path=*/results;skip=2;$never",                 'reading results|2000|3000|true|5'],
);
my $n = 0;

for my $p (@phases)
{
	my ($name, $fault, $want) = @$p;
	for my $how ('cancel', 'terminate')
	{
		my $mark = 'life' . ++$n;
		$c->fault($fault);
		# The one job that never ends is not asked for a second time.
		my $job = $c->background(
			($fault =~ /stuck/ ? "SET ampsf.bulk_poll_interval = '1h';\n" : '')
			  . "SELECT /* $mark */ count(lower(lastname)), count(id) FROM crm.contact;\nRESET ampsf.bulk_poll_interval;\n$read;\n");
		my $pid = pid_of($mark);
		my ($phase, $r, $expected, $bytes, $calls) = split /\|/, $want;
		my $seen = '';
		ok($c->poll(sub {
			return 0 unless $c->struck;
			$seen = progress($pid);
			return $seen =~ /^crm\.contact\|$phase\|/;
		}), "$how while $name: ampsf.progress shows it") or diag($seen);
		# What was sent is counted when it is sent, bytes when they have come.
		$c->poll(sub { $seen = progress($pid); my @s = split /\|/, $seen; $s[4] eq $bytes && $s[5] >= $calls });
		my @s = split /\|/, $seen;
		ok($s[2] <= $rows && ($r eq '0' ? $s[2] == 0 : 1) && $s[3] eq $expected && $s[4] eq $bytes && $s[5] >= $calls,
			"... rows $r, expected $expected, bytes, calls: $seen") or diag("wanted $want");
		ok($c->poll(sub { $c->value("SELECT wait_event_type FROM pg_stat_activity WHERE pid = $pid") eq 'Extension' }),
			'... and it waits, as pg_stat_activity says') if $how eq 'cancel';
		$c->value('SELECT pg_' . $how . "_backend($pid)");
		$c->clear_faults if $how eq 'cancel';
		my $end = $c->finish($job);
		is(AmpsfTest::sqlstate($end), $how eq 'cancel' ? '57014' : '57P01', '... which ends it');
		is($end->{out}, $rows, '... and the session reads on') if $how eq 'cancel';
		$c->clear_faults;
		# A job whose Id has not come yet cannot be discarded.
		my $left = left();
		$left -= $c->value("SELECT count(*) FROM ampsf.jobs_cleanup('sf', '0')") if $name =~ /created/ && $left;
		is($left, 0, '... and no job is left');
		is($c->value('SELECT count(*) FROM ampsf.progress'), 0, '... nor a report') if $how eq 'cancel';
	}
}

$c->fault('method=POST;path=*/jobs/query;count=0;do=job-stuck');
{
	my $r = $c->psql("SET statement_timeout = '500ms'; $read; RESET statement_timeout;\n"
		  . '\! curl -fsS -X DELETE ' . $c->url . "/__sandbox/faults >/dev/null\n$read;");
	is(AmpsfTest::sqlstate($r), '57014', 'statement_timeout while a job does not end');
	is($r->{out}, $rows, '... and the session reads on') or diag($r->{err});
	is(left(), 0, '... and no job is left');
}
$c->clear_faults;

# The answer to the creation comes so slowly that nobody knows the Id when the read is given up.
for my $how ('cancel', 'terminate')
{
	$c->fault('method=POST;path=*/jobs/query;do=slow;bytes-per-second=200');
	my $mark = 'slow' . ++$n;
	my $job = $c->background("SELECT /* $mark */ count(lower(lastname)) FROM crm.contact;\n" . ($how eq 'cancel' ? "SELECT 'on';\n" : ''));
	my $pid = pid_of($mark);
	ok($c->poll(sub { jobs() == 1 }), "$how while the creation is being answered: there is a job");
	$c->value('SELECT pg_' . $how . "_backend($pid)");
	$c->finish($job);
	is(left(), 0, '... which is found and deleted');
	$c->clear_faults;
}

# Whoever does not want all rows.
for my $q (
	['LIMIT',                        'SELECT count(*) FROM (SELECT lastname FROM crm.contact WHERE length(lastname) > 1 LIMIT 5) q', '5'],
	['EXISTS',                       'SELECT EXISTS (SELECT FROM crm.contact WHERE length(lastname) > 1)',                          't'],
	['a cursor that is closed',      "BEGIN; DECLARE c CURSOR FOR SELECT id FROM crm.contact; MOVE 5 IN c; CLOSE c; COMMIT; SELECT 'end'", 'end'],
	['a cursor that is left',        "BEGIN; DECLARE c CURSOR FOR SELECT id FROM crm.contact; MOVE 5 IN c; ROLLBACK; SELECT 'end'",        'end'],
	['an error in a row',            "SELECT 1 / (length(lastname) - length(lastname)) FROM crm.contact",                           ''],
	['a subtransaction that fails',  q{DO $$ BEGIN PERFORM 1 / (length(lastname) - length(lastname)) FROM crm.contact; EXCEPTION WHEN division_by_zero THEN NULL; END $$; SELECT 'end'}, 'end'],
	['a rescan',                     'SET enable_material = off; SET enable_hashjoin = off; SET enable_mergejoin = off; SELECT count(*) FROM generate_series(1, 3) g, LATERAL (SELECT id FROM crm.contact WHERE length(lastname) > g OFFSET 0) q', 9000],
  )
{
	my ($name, $sql, $want) = @$q;
	my $r = $c->psql($sql);
	is($r->{out}, $want, "$name: the result") or diag($r->{err});
	is(left(), 0, '... and no job is left');
}

# The result of a job without rows: in this org it has no header; in that of the SQL suites it has one.
{
	my $none = $c->psql("SELECT count(lower(name)) FROM crm.contact WHERE email = 'nobody\@nowhere.invalid'");
	is($none->{out}, '0', 'a result without rows, and without a header') or diag($none->{err});
	$c->fault('path=*/results;do=truncate-json;count=0');
	my $r = $c->psql("SELECT count(id) FROM crm.account WHERE name = 'Big Account 001'");
	is(AmpsfTest::sqlstate($r), 'HV00M', 'half of a row is an error') or diag($r->{out});
	$c->clear_faults;
	is(left(), 0, '... and no job is left');
}

# The same within one session, which lives on: jobs go as it uses the network, and at the ends of transactions.
{
	my $early = 'SELECT count(*) FROM (SELECT lastname FROM crm.contact WHERE length(lastname) > 1 LIMIT 5) q;';
	$c->mark;
	my $r = $c->psql($early x 5 . $read);
	is($r->{out}, join("\n", (5) x 5, $rows), 'five reads that are left early, and one to its end') or diag($r->{err});
	is(left(), 0, '... and no job is left');
	is(scalar(grep { $_->{method} eq 'DELETE' && $_->{status} == 204 } $c->log), 6, '... each was deleted');
}

# Backends that are killed leave their jobs; jobs_cleanup finds them, and spares what is young or not ours.
{
	my $token = $c->token;
	my $body  = '{"operation":"query","query":"SELECT Id FROM Account"}';
	my $s     = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $c->{port}) or die;
	print $s "POST /services/data/v62.0/jobs/query HTTP/1.0\r\nHost: x\r\nAuthorization: Bearer $token\r\nContent-Type: application/json\r\nContent-Length: "
	  . length($body) . "\r\n\r\n$body";
	my $answer = do { local $/; <$s> };
	like($answer, qr/^HTTP\S+ 200/, 'another program makes a job') or diag($answer);
	my ($other) = jobs();

	for my $fault ('method=POST;path=*/jobs/query;do=job-stuck', 'path=*/results;skip=1;do=stall')
	{
		$c->fault($fault);
		my $job = $c->background("SELECT /* killme$n */ count(lower(lastname)) FROM crm.contact;\n");
		my $pid = pid_of("killme$n");
		$n++;
		ok($c->poll(sub { $c->struck }), 'a read is under way');
		# The others end too, and the server comes back by itself.
		ok($c->crash($pid), '... the server is there again');
		my $r = $c->finish($job);
		like($r->{err}, qr/server closed the connection|lost/, '... its backend is killed');
		$c->clear_faults;
	}
	is(scalar(jobs()), 3, 'both jobs are left');
	is($c->value("SELECT count(*) FROM ampsf.jobs_cleanup('sf')"), 0, 'jobs_cleanup spares young jobs');
	is(scalar(jobs()), 3, '... indeed');
	$c->admin('POST', 'bulk?list-rows=1');
	is($c->value("SELECT string_agg(object || ' ' || state, ', ' ORDER BY state) FROM ampsf.jobs_cleanup('sf', '0')"),
		'Contact InProgress, Contact JobComplete', '... finds both when told to, over several pages of the list');
	my @after = jobs();
	is(join(' ', map { $_->{id} } @after), $other->{id}, '... and leaves that of the other program');
	$c->admin('POST', 'bulk?list-rows=1000');
	$c->reset_org("big:$rows");
}

# A job that somebody deletes: cleaned up by a second session that spares nothing.
{
	$c->fault('path=*/results;skip=1;do=stall;bytes=50');
	my $job = $c->background("SET client_min_messages = error; SELECT /* cleaned */ count(lower(lastname)) FROM crm.contact;\n");
	ok($c->poll(sub { $c->struck }), 'a read is under way');
	is($c->value("SELECT count(*) FROM ampsf.jobs_cleanup('sf', '0')"), 1, '... its job is deleted by a second session');
	my $pid = pid_of('cleaned');
	$c->run_sql("ALTER SERVER sf OPTIONS (ADD request_timeout '1')");
	$c->value("SELECT pg_cancel_backend($pid)");
	is(AmpsfTest::sqlstate($c->finish($job)), '57014', '... it can still be cancelled');
	$c->clear_faults;
	$c->run_sql("ALTER SERVER sf OPTIONS (DROP request_timeout)");
}

# A second session at the same time, each with its own job.
{
	$c->admin('POST', 'bulk?polls=2');
	$c->mark;
	my @both = map { $c->background("$read;\n") } 1 .. 2;
	is(join(' ', map { $c->finish($_)->{out} } @both), "$rows $rows", 'two sessions read the same rows at the same time');
	is(scalar(grep { $_->{method} eq 'POST' && $_->{path} =~ m{/jobs/query$} } $c->log), 2, '... by a job each');
	is(left(), 0, '... and none is left');
	$c->admin('POST', 'bulk?polls=0');
}

# Jobs of several tables overlap: the second is under way before the first has a result.
{
	$c->admin('POST', 'bulk?polls=1');
	$c->mark;
	is($c->value(q{SELECT count(*), count(DISTINCT id) FROM (SELECT id, name FROM crm.contact UNION ALL SELECT id, name FROM crm.account UNION ALL SELECT id, name FROM crm."user") q WHERE length(name) >= 0}),
		join('|', ($rows + 100 + $c->value('SELECT count(*) FROM crm."user"')) x 2), 'three tables by Bulk');
	my @calls = map { $_->{path} =~ /results/ ? 'read' : $_->{method} eq 'POST' && $_->{path} =~ /jobs/ ? 'create' : () } $c->log;
	is(join(' ', @calls[0 .. 3]), 'create create create read', '... the jobs of all are created before a result is read') or diag("@calls");
	is(left(), 0, '... and none is left');
	$c->admin('POST', 'bulk?polls=0');
}

# Rows change while a result is read: it is that of the moment when the job ran.
{
	my $r = $c->psql(<<SQL);
BEGIN;
DECLARE c CURSOR FOR SELECT id, lastname FROM crm.contact;
CREATE TEMP TABLE got AS SELECT id, lastname FROM crm.contact LIMIT 0;
DO \$\$
DECLARE r record; c refcursor := 'c'; n int := 0;
BEGIN
	LOOP
		FETCH c INTO r;
		EXIT WHEN NOT FOUND;
		INSERT INTO got VALUES (r.id, r.lastname);
		n := n + 1;
		IF n = 500 THEN
			DELETE FROM crm.contact WHERE id IN (SELECT id FROM (SELECT id FROM crm.contact ORDER BY id COLLATE "C" DESC LIMIT 400) q);
			INSERT INTO crm.contact (lastname) SELECT 'new' FROM generate_series(1, 300);
			UPDATE crm.contact SET lastname = 'other' WHERE id IN (SELECT id FROM (SELECT id FROM crm.contact ORDER BY id COLLATE "C" LIMIT 200) q);
		END IF;
	END LOOP;
END \$\$;
COMMIT;
SELECT count(*), count(DISTINCT id), count(*) FILTER (WHERE lastname IN ('new', 'other')) FROM got;
SELECT count(*), count(*) FILTER (WHERE lastname = 'new'), count(*) FILTER (WHERE lastname = 'other') FROM crm.contact;
SQL
	is($r->{out}, "$rows|$rows|0\n2900|300|200", 'deleted, new and changed rows do not show in a result that is being read') or diag($r->{err});
	is(left(), 0, '... and no job is left');

	# While the job itself runs, one row after the other changes: what is not touched is there once.
	$c->reset_org('big:20000');
	$c->admin('POST', 'bulk?polls=2&page-rows=1000');
	my $job = $c->background("SET ampsf.bulk_poll_interval = 100; CREATE TABLE snap AS SELECT id, lastname FROM crm.contact;\n");
	my $w   = $c->psql("DELETE FROM crm.contact WHERE lastname LIKE '%5'; INSERT INTO crm.contact (lastname) SELECT 'new' FROM generate_series(1, 1000);", limit => 300);
	is($w->{err}, '', 'rows are deleted and inserted while a job runs');
	$r = $c->finish($job);
	is($r->{err}, '', '... which ends well');
	is($c->value("SELECT count(*) - count(DISTINCT id), count(*) FILTER (WHERE lastname <> 'new' AND lastname NOT LIKE '%5') FROM snap"),
		'0|18000', '... no row is there twice, none that was not touched is missing');
	is(left(), 0, '... and no job is left');
	$c->admin('POST', 'bulk?polls=0');
}

# A hundred thousand rows with one timestamp, over both transports.
{
	$c->reset_org('big:100000');
	$c->admin('POST', 'bulk?page-rows=30000');
	$c->admin('POST', 'now?t=2026-01-02T03:04:05Z');
	$c->run_sql("UPDATE crm.contact SET title = 'same'", limit => 600);
	for my $transport ('bulk', 'rest')
	{
		$c->run_sql("ALTER SERVER sf OPTIONS (SET transport '$transport')");
		is($c->value(q{SELECT count(*), count(DISTINCT id), min(systemmodstamp), max(systemmodstamp) FROM crm.contact WHERE systemmodstamp >= '2026-01-02 03:04:05+00' AND length(title) = 4}),
			'100000|100000|2026-01-02 03:04:05+00|2026-01-02 03:04:05+00', "100,000 rows of one second by $transport");
		is($c->value(q{SELECT count(*) FROM crm.contact WHERE systemmodstamp > '2026-01-02 03:04:05+00' AND length(title) = 4}), '0', '... and none after it');
	}
	is(left(), 0, 'no job is left');
}

done_testing();
