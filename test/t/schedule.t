# Background workers: started on demand, as the role whose work it is, one for each piece of work, and back after
# whatever ended them.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use AmpsfTest;
use Test::More;
use Time::HiRes qw(sleep);

my $c = AmpsfTest->start(seed => 'demo', conf => ['ampsf.max_sync_workers = 4', 'synchronous_commit = on']);

# One value, also while the server starts anew.
sub try
{
	my ($sql, %o) = @_;
	my $r = $c->psql($sql, %o);
	return $r->{err} =~ /ERROR|FATAL|error:/ ? '' : $r->{out};
}

sub becomes
{
	my ($sql, $value, $what, %o) = @_;
	my $got;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	return ok($c->poll(sub { $got = try($sql, %o); return ref $value ? $got =~ $value : $got eq $value; }), $what)
	  || diag("$sql gives $got", "\n", try('TABLE ampsf.workers', %o), "\n", try('SELECT * FROM ampsf.work_list()', %o), "\n",
		join("\n", grep { /ampsf|WARN/ } (split /\n/, $c->server_log)[-30 .. -1]));
}

sub phase { return "SELECT phase FROM ampsf.mirror_status WHERE target::text = '$_[0]'"; }
sub worker { my ($kind, %o) = @_; return try("SELECT pid FROM ampsf.workers WHERE kind = '$kind' LIMIT 1", %o); }
my $launchers = "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'ampsf launcher'";
my $delay = 'path=*/query*;count=0;do=delay;ms=';

# Another run of the mirror is done; resume: it is made due.
sub runs_again
{
	my ($target, $what, %o) = @_;
	my $done = "SELECT coalesce(max(id), 0) FROM ampsf.mirror_run WHERE target::text = '$target' AND state = 'done'";
	my $before = defined $o{before} ? $o{before} : $c->value($done, %o);
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	$c->run_sql("SELECT ampsf.resume('$target')", %o) if $o{resume};
	return becomes("SELECT ($done) > $before", 't', $what, %o);
}

# A run of the mirror that waits for the org.
sub caught_in_a_run
{
	my ($target) = @_;
	$c->poll(sub { return try("SELECT count(*) FROM ampsf.workers WHERE state = 'active'") eq '0' });
	$c->fault($delay . '3600000');
	$c->run_sql("SELECT ampsf.resume('$target')");
	my $pid;
	$c->poll(sub { return $c->struck > 0
			&& try("SELECT stage FROM ampsf.mirror_definition WHERE target::text = '$target'") ne 'idle'
			&& ($pid = try("SELECT pid FROM ampsf.workers WHERE kind = 'mirror' AND state = 'active'")) =~ /^\d+$/ });
	return $pid;
}

# -------- on demand --------
is($c->value($launchers), 0, 'there is no launcher before there is work');
$c->run_sql("SELECT ampsf.wake()");
$c->run_sql("SELECT ampsf.mirror('crm.contact', every => '1 hour')");
becomes(phase('contact'), 'ready', 'a new mirror fills by itself');
is($c->value('SELECT count(*) FROM contact'), $c->value('SELECT count(*) FROM crm.contact'), '... with all rows');
becomes('SELECT kind, target, owner FROM ampsf.workers ORDER BY kind', "launcher||postgres\nmirror||postgres", 'one launcher, and a worker that waits for more');
{
	$c->fault($delay . '300');
	my $runs = $c->value("SELECT ampsf.resume('contact'); SELECT count(*) FROM ampsf.mirror_run");
	is($c->psql("CALL ampsf.sync('contact')")->{err}, '', 'who asks for a run waits for the one in the background');
	cmp_ok($c->value('SELECT count(*) FROM ampsf.mirror_run'), '>', $runs, '... and has another one');
	$c->clear_faults;
}
$c->run_sql("SELECT ampsf.wake()") for 1 .. 5;
is($c->value($launchers), 1, 'waking it makes no second one');
$c->run_sql("BEGIN;\nSELECT ampsf.mirror('crm.account', 'undone');\nROLLBACK");
# From here on no mirror is due by itself, however long this takes.

# -------- as the owner --------
$c->run_sql(<<'SQL');
CREATE ROLE bob LOGIN;
CREATE ROLE carol LOGIN;
CREATE USER MAPPING FOR bob SERVER sf OPTIONS (client_id 'sandbox', client_secret 'sandbox');
GRANT USAGE ON FOREIGN SERVER sf TO bob, carol;
GRANT USAGE ON SCHEMA crm TO bob, carol;
GRANT SELECT ON crm.account, crm.lead TO bob, carol;
CREATE SCHEMA bob AUTHORIZATION bob;
CREATE SCHEMA carol AUTHORIZATION carol;
CREATE TABLE who (t text, s text, u text, super text, path text);
GRANT INSERT ON who TO bob;
CREATE FUNCTION who() RETURNS trigger LANGUAGE plpgsql AS
	$$BEGIN INSERT INTO public.who VALUES (tg_relid::regclass, session_user, current_user, current_setting('is_superuser'), current_setting('client_encoding') || ', ' || current_setting('transaction_isolation')); RETURN NEW; END$$;
GRANT USAGE ON SCHEMA public TO bob;
ALTER ROLE bob SET client_encoding = 'latin1';
ALTER ROLE bob SET default_transaction_isolation = 'serializable';
ALTER ROLE bob SET application_name = 'hidden';
SQL
$c->run_sql(<<'SQL', user => 'bob');
BEGIN;
SELECT ampsf.mirror('crm.account', 'bob.account', every => '1 day');
CREATE TRIGGER who AFTER INSERT ON bob.account EXECUTE FUNCTION who();
COMMIT;
SQL
becomes(phase('bob.account'), 'ready', 'another role\'s mirror');
is($c->value('SELECT DISTINCT s, u, super, path FROM who'), 'bob|bob|off|UTF8, read committed', '... is filled as that role');
is($c->value("SELECT count(*) > 0 FROM ampsf.workers WHERE owner = 'bob' AND kind = 'mirror'"), 't', '... by a process of its own');

# -------- what hinders a worker is told --------
$c->run_sql("SELECT ampsf.mirror('crm.account', 'carol.account', every => '1 day')", user => 'carol');
becomes(phase('carol.account'), 'failed', 'a role without user mapping');
like($c->value("SELECT last_error FROM ampsf.mirror_status WHERE target = 'carol.account'::regclass"), qr/user mapping/, '... is told why');
is($c->value("SELECT next_run > now() + interval '1 minute' FROM ampsf.mirror_status WHERE target = 'carol.account'::regclass"), 't', '... and the next run waits');
$c->run_sql("CREATE USER MAPPING FOR carol SERVER sf OPTIONS (client_id 'sandbox', client_secret 'sandbox'); ALTER ROLE carol NOLOGIN");
$c->run_sql("SET ROLE carol; SELECT ampsf.resume('carol.account')");
becomes("SELECT last_error, failures FROM ampsf.mirror_status WHERE target = 'carol.account'::regclass",
	'no background worker runs for role carol, which may not log in|0', 'a role that may not log in');
$c->run_sql("ALTER ROLE carol LOGIN; REVOKE CONNECT ON DATABASE sandbox FROM PUBLIC; GRANT CONNECT ON DATABASE sandbox TO bob; SELECT ampsf.wake()");
becomes("SELECT last_error FROM ampsf.mirror_status WHERE target = 'carol.account'::regclass",
	'no background worker runs for role carol, which may not connect to this database', 'one that may not connect');
$c->run_sql("GRANT CONNECT ON DATABASE sandbox TO PUBLIC; SELECT ampsf.wake()");
becomes(phase('carol.account'), 'ready', 'once it may, it goes on');

# -------- processes that die --------
my $pid = caught_in_a_run('contact');
is($c->value("SELECT target, owner FROM ampsf.workers WHERE pid = $pid"), 'contact|postgres', 'the worker tells what it does');
is(AmpsfTest::sqlstate($c->psql("SELECT ampsf.verify('contact')")), '55006', '... and nobody else does it meanwhile');
$c->clear_faults;
my $before = $c->value("SELECT max(id) - 1 FROM ampsf.mirror_run WHERE target = 'contact'::regclass");
ok($c->crash($pid) && $c->poll(sub { return try($launchers) eq '1' && worker('launcher') }), 'a worker was killed: the launcher is back');
runs_again('contact', '... and the run goes on', before => $before);
is($c->value("SELECT state, interruptions > 0 FROM ampsf.mirror_run WHERE target = 'contact'::regclass ORDER BY id DESC LIMIT 1"), 'done|t', '... as the same run');

# What was being done may be why: the more often, the longer it waits.
$pid = caught_in_a_run('contact');
my $held = $c->struck;
$c->crash($pid);
my $again;
ok($c->poll(sub { $again = try("SELECT pid FROM ampsf.workers WHERE kind = 'mirror' AND state = 'active'"); return $again =~ /^\d+$/ && $again ne $pid && $c->struck > $held }),
	'killed, and another worker is at the same run');
$before = $c->value("SELECT max(id) - 1 FROM ampsf.mirror_run WHERE target = 'contact'::regclass");
$c->crash($again);
$c->clear_faults;
runs_again('contact', '... which is killed as well; the third one ends it', before => $before);
like($c->server_log, qr/was being done when the server crashed: it goes on in 1 seconds.*was being done when the server crashed: it goes on in 2 seconds/s,
	'a run that is there whenever the server crashes waits longer each time');

$pid = worker('launcher');
ok($c->crash($pid) && $c->poll(sub { my $p = worker('launcher'); return $p =~ /^\d+$/ && $p ne $pid }), 'the launcher was killed: another one');
runs_again('contact', '... which works', resume => 1);

$pid = caught_in_a_run('contact');
$c->run_sql("SELECT pg_terminate_backend($pid)");
becomes("SELECT last_error FROM ampsf.mirror_status WHERE target = 'contact'::regclass", 'the background worker was terminated', 'a worker that is terminated: the status says so');
is($c->value("SELECT failures, next_run > now() + interval '1 minute' FROM ampsf.mirror_status WHERE target = 'contact'::regclass"), '1|t', '... and it is not started at once again');
$c->clear_faults;
runs_again('contact', 'until resumed', resume => 1);

# -------- a run of somebody's who was killed is due, whenever the next one would be --------
$c->poll(sub { return try("SELECT count(*) FROM ampsf.workers WHERE state = 'active'") eq '0' });
$c->fault($delay . '3600000');
$before = $c->value("SELECT max(id) FROM ampsf.mirror_run WHERE target = 'contact'::regclass AND state = 'done'");
my $job = $c->background("CALL ampsf.sync('contact')");
ok($c->poll(sub { return try("SELECT stage = 'rows' AND next_run > now() FROM ampsf.mirror_definition WHERE target = 'contact'::regclass") eq 't' }),
	'somebody has a run made before its time');
is($c->value("SELECT count(*) FROM ampsf.work_list() WHERE key = 'contact'::regclass::oid::bigint AND due <= now()"), 0, '... which is nobody else\'s to do');
# What has the fault already keeps it; who goes on must not meet it.
$c->poll(sub { return $c->struck > 0 });
$c->clear_faults;
$c->crash($c->value("SELECT pid FROM pg_stat_activity WHERE query ILIKE 'CALL ampsf.sync(%' AND pid <> pg_backend_pid()"));
$c->finish($job);
runs_again('contact', '... until that session is killed: then it goes on', before => $before);

# -------- tables, roles, extensions and databases that go while work is done --------
$c->fault('path=*/query*;count=0;do=hold');
$c->run_sql("SET ROLE carol; SELECT ampsf.resume('carol.account')");
ok($c->poll(sub { return $c->struck > 0 && try("SELECT count(*) FROM ampsf.workers WHERE target = 'carol.account'") }), 'a run is under way');
$job = $c->background("DROP OWNED BY carol; DROP ROLE carol");
# What the run has locked is waited for.
$c->poll(sub { return try("SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'DROP OWNED BY carol%' AND wait_event_type = 'Lock'")
		|| try("SELECT count(*) FROM pg_roles WHERE rolname = 'carol'") eq '0' });
$c->clear_faults;
is($c->finish($job)->{err}, '', 'its owner is dropped');
becomes("SELECT count(*) FROM ampsf.mirror_definition WHERE target::text ~ '^\\d+\$|carol'", 0, 'a mirror whose table and role are gone is forgotten');

# Who is in a database may need a while to leave it.
sub drop_database
{
	my ($how) = @_;
	return $c->poll(sub { return $c->psql("DROP DATABASE IF EXISTS two $how", db => 'postgres')->{err} !~ /ERROR/ });
}

sub other_database
{
	$c->psql('CREATE DATABASE two', db => 'postgres');
	$c->run_sql("CREATE EXTENSION ampsf_fdw; CREATE SERVER sf FOREIGN DATA WRAPPER ampsf_fdw OPTIONS (instance_url '"
		  . $c->url . "'); CREATE USER MAPPING FOR postgres SERVER sf OPTIONS (client_id 'sandbox', client_secret 'sandbox')", db => 'two');
	$c->run_sql("CREATE SCHEMA crm; IMPORT FOREIGN SCHEMA crm LIMIT TO (account) FROM SERVER sf INTO crm; SELECT ampsf.mirror('crm.account', every => '1 day')", db => 'two');
	return becomes(phase('account'), 'ready', 'a launcher in another database', db => 'two');
}
other_database();
is($c->value($launchers), 2, '... besides the first one');
$c->run_sql('SET client_min_messages = warning; DROP EXTENSION ampsf_fdw CASCADE', db => 'two');
# Unless it has noticed just now that it has nothing to do here.
like($c->psql('DROP DATABASE two', db => 'postgres')->{err}, qr/being accessed|^$/, 'a launcher is in the way of DROP DATABASE');
$c->psql('SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = \'two\'', db => 'postgres');
becomes($launchers, 1, 'it ends');
drop_database('');
other_database();
is(AmpsfTest::sqlstate($c->psql('SELECT ampsf.stop_workers()', db => 'two', user => 'bob')), '42501', 'stop_workers() is for the owner of the database');
is($c->value('SELECT ampsf.stop_workers()', db => 'two'), 't', 'stop_workers()');
becomes("SELECT count(*) FROM pg_stat_activity WHERE datname = 'two' AND pid <> pg_backend_pid()", 0, '... leaves none');
$c->run_sql('SELECT count(*) FROM crm.account', db => 'two');
becomes($launchers, 2, 'the next use brings it back');
ok(drop_database('WITH (FORCE)'), 'DROP DATABASE WITH (FORCE)');
becomes($launchers, 1, '... ends it');

# -------- a backfill that several workers share --------
$c->fault('path=*/query*;match=SELECT Id, ;skip=2;count=0;do=hold');
$c->run_sql("SELECT ampsf.mirror('crm.contact', 'shared', every => '1 day', chunk_rows => 10, parallel => 3)");
becomes("SELECT count(*) FROM ampsf.workers WHERE target = 'shared' AND state = 'active'", 3, 'several workers share a backfill');
$c->clear_faults;
becomes(phase('shared'), 'ready', '... until it is done');
is($c->value('SELECT count(*) FROM shared'), $c->value('SELECT count(*) FROM crm.contact'), '... with all rows');
is($c->value("SELECT count(*) FROM ampsf.mirror_run WHERE target = 'shared'::regclass"), 1, '... in one run');

# -------- long work makes room: one worker, a backfill of many chunks, and another mirror --------
$c->run_sql('SELECT ampsf.stop_workers()');
$c->psql("ALTER SYSTEM SET ampsf.max_sync_workers = 1;\nSELECT pg_reload_conf()");
$c->fault('path=*/query*;match=FROM Contact;count=0;do=delay;ms=1000');
$c->run_sql("SELECT ampsf.mirror('crm.contact', 'long', every => '1 day', chunk_rows => 5)");
becomes(phase('long'), 'backfill', 'a long backfill has begun');
$c->run_sql("SELECT ampsf.mirror('crm.lead', every => '1 day')");
is($c->value("SELECT count(*) FROM ampsf.workers WHERE kind = 'mirror'"), 1, 'there are no more workers than may be');
becomes(phase('lead'), 'ready', 'another mirror has its turn');
is($c->value(phase('long')), 'backfill', '... before the long one is done');
$c->clear_faults;
becomes(phase('long'), 'ready', 'which ends all the same');
is($c->value('SELECT count(*) FROM long'), $c->value('SELECT count(*) FROM crm.contact'), '... with all rows');

# -------- the org's reserve holds --------
$c->run_sql("ALTER SERVER sf OPTIONS (ADD quota_reserve '50%'); SELECT ampsf.stop_workers()");
$c->api_limit($c->stats->{apiCalls} + 5);
$c->mark;
$c->run_sql("SELECT ampsf.resume('contact')");
becomes("SELECT last_error FROM ampsf.mirror_status WHERE target = 'contact'::regclass", qr/^the API calls that are left .* are reserved/, 'a run stops before the reserve');
is($c->value("SELECT next_run BETWEEN now() + interval '10 minutes' AND now() + interval '1 hour' FROM ampsf.mirror_status WHERE target = 'contact'::regclass"), 't', '... and waits for calls');
cmp_ok(scalar(grep { $_->{path} =~ m{^/services/data/} } $c->log), '<=', 2, '... having made no more than it takes to know');
$c->api_limit(100000);
$c->run_sql("ALTER SERVER sf OPTIONS (DROP quota_reserve)");
runs_again('contact', 'with calls again it goes on', resume => 1);

# -------- the setting, and processes that are not to be had --------
$c->psql("ALTER SYSTEM SET ampsf.max_sync_workers = 0;\nSELECT pg_reload_conf()");
becomes("SELECT count(*) FROM ampsf.workers", 0, 'ampsf.max_sync_workers = 0 ends them');
$c->run_sql("SELECT ampsf.resume('contact'), count(*) FROM crm.contact");
sleep 0.5;
is($c->value($launchers), 0, '... and none is started');
$before = $c->value("SELECT max(id) FROM ampsf.mirror_run WHERE target = 'contact'::regclass");
$c->psql("ALTER SYSTEM SET ampsf.max_sync_workers = 4;\nALTER SYSTEM SET max_worker_processes = 1");
is(($c->pg_ctl('restart'))[0], 0, 'restart');
is($c->value($launchers), 0, 'no launcher after a restart without preloading');
like($c->psql("SELECT ampsf.resume('contact')")->{err}, qr/WARNING:  53400: no background worker is free/, 'no process for the launcher: a warning');
$c->psql('ALTER SYSTEM SET max_worker_processes = 2');
$c->pg_ctl('restart');
$c->run_sql('SELECT count(*) FROM crm.account');
becomes("SELECT last_error FROM ampsf.mirror_status WHERE target = 'contact'::regclass", qr/^no background worker is free/, 'no process for a worker: the status says so');
$c->psql('ALTER SYSTEM RESET max_worker_processes');
$c->pg_ctl('restart');
$c->run_sql('SELECT count(*) FROM crm.account');
runs_again('contact', 'the first use after a restart takes up what is due', before => $before);

# -------- a server that is told to stop does not wait for the org --------
$before = $c->value("SELECT max(id) FROM ampsf.mirror_run WHERE target = 'contact'::regclass");
caught_in_a_run('contact');
is(($c->pg_ctl('stop', args => ['-m', 'fast']))[0], 0, 'fast shutdown during a call');
$c->clear_faults;
$c->as_owner('sh', '-c', "echo \"shared_preload_libraries = 'ampsf_fdw'\" >>'" . $c->dir . "/data/postgresql.conf'");
is(($c->pg_ctl('start'))[0], 0, 'started again, preloaded');
runs_again('contact', 'preloaded, it goes on without being asked', before => $before);
becomes("SELECT count(*) FROM pg_stat_activity WHERE backend_type ~ 'ampsf (starter|launcher)'", 1, 'and databases without work have no launcher');

# -------- a standby does nothing, until it is promoted --------
{
	chomp(my $bin = qx{@{[$ENV{PG_CONFIG} || 'pg_config']} --bindir});
	my $standby = $c->dir . '/standby';
	my $e = $c->{env};
	my @result = $c->as_owner("$bin/pg_basebackup", '-h', $e->{PGHOST}, '-p', $e->{PGPORT}, '-U', 'postgres', '-D', $standby, '-R', '-X', 'stream', '-c', 'fast');
	is($result[0], 0, 'base backup') or diag($result[1]);
	$c->as_owner('mkdir', "$standby/s");
	$c->as_owner('sh', '-c', "echo \"unix_socket_directories = '$standby/s'\" >>'$standby/postgresql.conf'");
	@result = $c->pg_ctl('start', data => $standby, log => "$standby/log");
	is($result[0], 0, 'the standby starts') or diag($result[1]);
	my $primary = $e->{PGHOST};
	$e->{PGHOST} = "$standby/s";
	becomes('SELECT pg_is_in_recovery()', 't', 'it is a standby');
	becomes('SELECT count(*) FROM crm.account', qr/^\d+$/, 'foreign tables are read there');
	is($c->value($launchers), 0, '... and no worker runs');
	is(($c->pg_ctl('promote', data => $standby))[0], 0, 'promoted');
	becomes("SELECT count(*) FROM ampsf.workers WHERE kind = 'launcher'", 1, '... it has a launcher');
	runs_again('contact', '... and mirrors go on', resume => 1);
	is($c->value("SELECT kind FROM ampsf.mirror_run WHERE target = 'contact'::regclass ORDER BY id DESC LIMIT 1"), 'incremental', '... from the watermark');
	$c->pg_ctl('stop', data => $standby, args => ['-m', 'immediate']);
	$e->{PGHOST} = $primary;
}

# -------- a restored dump goes on by itself --------
{
	my $e = $c->{env};
	my @at = ('-h', $e->{PGHOST}, '-p', $e->{PGPORT}, '-U', 'postgres');
	chomp(my $bin = qx{@{[$ENV{PG_CONFIG} || 'pg_config']} --bindir});
	my $file = $c->dir . '/dump.sql';
	$c->psql('CREATE DATABASE copy', db => 'postgres');
	is(system("$bin/pg_dump", @at, '-f', $file, $e->{PGDATABASE}), 0, 'pg_dump');
	is(system("$bin/psql", '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-o', '/dev/null', @at, '-d', 'copy', '-f', $file), 0, 'restored');
	$c->run_sql("INSERT INTO crm.contact (lastname) VALUES ('Later')");
	sleep 1.1;
	$c->run_sql("SELECT ampsf.resume('contact')", db => 'copy');
	becomes("SELECT count(*) FROM contact WHERE lastname = 'Later'", 1, 'the copy has what came after the dump', db => 'copy');
	is($c->value("SELECT DISTINCT kind FROM ampsf.mirror_run WHERE target = 'contact'::regclass", db => 'copy'), 'incremental', '... read from the watermark on');
	$c->run_sql('SELECT ampsf.stop_workers()', db => 'copy');
}

# -------- nothing left to do --------
ok($c->poll(sub { $c->psql("SELECT ampsf.unmirror(target) FROM ampsf.mirror_definition WHERE owner = 'postgres'::regrole")->{err} eq '' }), 'mirrors come to an end');
becomes($launchers, 1, 'there is a launcher as long as there is a mirror');
$c->run_sql("SELECT ampsf.pause('bob.account')", user => 'bob');
becomes("SELECT count(*) FROM pg_stat_activity WHERE backend_type ~ '^ampsf'", 0, 'without one to be kept there is none, and no worker');
$c->run_sql("SELECT ampsf.unmirror('bob.account')", user => 'bob');
is($c->value($launchers), 0, '... and nothing starts one');
my $log = $c->server_log;
unlike($log, qr/database \d+ does not exist|PANIC|TRAP/, 'the log has nothing that should not be there');
cmp_ok(scalar(() = $log =~ /no background worker is free/g), '<', 8, '... and tells things once');

done_testing();
