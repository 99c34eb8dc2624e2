# While a backend waits for Salesforce, cancel, statement_timeout and terminate act at once, and what is
# left behind is a usable session with no connection leaked.  The answers waited for take an hour, so a
# backend that does not listen fails the test by not ending.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use AmpsfTest;
use Test::More;

my $c = AmpsfTest->start(seed => 'big:5000');
my $read   = 'SELECT count(lower(lastname)) FROM crm.contact';
my $fds    = "SELECT count(*) FROM pg_ls_dir('/proc/self/fd')";
my $never  = 'do=delay;ms=3600000';

# A login under way belongs to the session, which may need what it answers (a rotated refresh token): it
# outlives the statement, the next one shares it, and when it fails the one after makes another.
$c->run_sql("ALTER SERVER sf OPTIONS (ADD request_timeout '4')");
for my $where (['login', '*/oauth2/token'], ['first page', '*/query'], ['next page', '*/query/*'])
{
	my ($name, $path) = @$where;
	$c->fault("path=$path;count=1;$never");
	my $again = $name eq 'login' ? 'SELECT count(id) FROM crm.account;' : '';
	my $r = $c->psql("SET statement_timeout = '300ms'; $read; RESET statement_timeout;\n\\o /dev/null\n$again\n\\o\n$read;");
	is(AmpsfTest::sqlstate($r), '57014', "statement_timeout during $name") or diag($r->{err});
	is($r->{out}, '5000', "... and the same session reads on afterwards") or diag($r->{err});
	$c->clear_faults;
}
$c->run_sql("ALTER SERVER sf OPTIONS (DROP request_timeout)");

# Writes as well: the outcome is unknown, and that is said.
$c->fault("path=*/composite/sobjects*;count=1;$never");
{
	my $r = $c->psql("SET statement_timeout = '300ms'; INSERT INTO crm.contact (lastname) VALUES ('Cancelled'); RESET statement_timeout; SELECT 'usable';");
	is(AmpsfTest::sqlstate($r), '57014', 'statement_timeout during a write');
	is($r->{out}, 'usable', '... and the session is usable');
}
$c->clear_faults;

# The other functions that wait.
$c->fault("path=*/limits*;count=0;$never");
{
	my $r = $c->psql("SET statement_timeout = '300ms'; SELECT count(*) FROM ampsf.limits('sf');");
	is(AmpsfTest::sqlstate($r), '57014', 'statement_timeout during ampsf.limits');
}
$c->clear_faults;

# pg_cancel_backend and pg_terminate_backend from another session.
sub waiting_pid
{
	my ($marker) = @_;
	my $pid;
	$c->poll(sub {
		return 0 unless $c->struck;
		$pid = $c->value("SELECT pid FROM pg_stat_activity WHERE state = 'active' AND query LIKE '%$marker%' AND pid <> pg_backend_pid()");
		return $pid ne '';
	});
	return $pid;
}

$c->fault("path=*/query;count=1;$never");
{
	my $job = $c->background("SELECT /* cancelme */ count(lower(lastname)) FROM crm.contact;\n$read;\n");
	my $pid = waiting_pid('cancelme');
	is($c->value("SELECT pg_cancel_backend($pid)"), 't', 'pg_cancel_backend');
	my $r = $c->finish($job);
	is(AmpsfTest::sqlstate($r), '57014', '... ends the wait');
	is($r->{out}, '5000', '... and the session reads on');
}
$c->clear_faults;

$c->fault("path=*/query;count=1;$never");
{
	my $job = $c->background("SELECT /* killme */ count(lower(lastname)) FROM crm.contact;\n");
	my $pid = waiting_pid('killme');
	ok($c->poll(sub { $c->value("SELECT wait_event_type FROM pg_stat_activity WHERE pid = $pid") eq 'Extension' }),
		'a backend that waits for Salesforce says so in pg_stat_activity');
	is($c->value("SELECT pg_terminate_backend($pid)"), 't', 'pg_terminate_backend');
	my $r = $c->finish($job);
	like($r->{err}, qr/terminating connection|server closed the connection/, '... ends the wait');
	unlike($c->server_log, qr/server process \(PID \d+\) was terminated by signal/, '... and nothing crashed');
}
$c->clear_faults;
# The client's ends of the connections to the sandbox that are still established.
sub connections
{
	my $port = sprintf '%04X', $c->{port};
	open(my $f, '<', '/proc/net/tcp') or die "/proc/net/tcp: $!";
	return scalar grep { /^\s*\d+: \S+ 0100007F:$port 01 / } <$f>;
}
ok($c->poll(sub { return connections() == 0 }), 'ended backends leave no connection behind')
  or diag(connections());

# Ten cancelled reads use no more descriptors than one.
{
	my $once = "SET statement_timeout = '200ms'; $read; RESET statement_timeout; ";
	$c->fault("path=*/query/*;count=0;$never");
	my $r = $c->psql("\\o /dev/null\nSELECT count(id) FROM crm.account;\n$once\n\\o\n$fds;\n" . $once x 10 . "$fds;");
	my @n = $r->{out} =~ /(\d+)/g;
	is(scalar(@n), 2, 'both counts were taken') or diag($r->{out}, $r->{err});
	# A connection may be there at one time and not at the other: who was cancelled early had not opened it.
	cmp_ok($n[1], '<=', $n[0] + 2, 'cancelled reads leak no descriptor');
	$c->clear_faults;
}

# Errors, aborted subtransactions and cursors closed early leak none either.
{
	my $work = q{
		DO $$ DECLARE i int; r record; BEGIN
			FOR i IN 1..5 LOOP
				BEGIN
					FOR r IN SELECT lastname FROM crm.contact LOOP
						RAISE EXCEPTION 'enough';
					END LOOP;
				EXCEPTION WHEN raise_exception THEN NULL;
				END;
			END LOOP;
		END $$;
		BEGIN; DECLARE cur CURSOR FOR SELECT lastname FROM crm.contact; FETCH 1 FROM cur; CLOSE cur; COMMIT;
		SELECT 1/0 FROM crm.contact;
	};
	my $r = $c->psql("\\o /dev/null\n$work\n\\o\n$fds;\n\\o /dev/null\n" . "$work\n" x 8 . "\\o\n$fds;\n");
	my @n = $r->{out} =~ /^(\d+)$/mg;
	is(scalar(@n), 2, 'both counts were taken') or diag($r->{out}, $r->{err});
	# The next page may have come over a connection of its own, or not.
	cmp_ok($n[1], '<=', $n[0] + 2, 'errors, subtransactions and early closed cursors leak no descriptor');
}

done_testing();
