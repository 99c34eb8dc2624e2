# Where pg_cron is, it runs mirrors: a job for each role that may use it, as long as it has mirrors.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use AmpsfTest;
use Test::More;
use Time::HiRes qw(sleep);

chomp(my $libdir = qx{@{[$ENV{PG_CONFIG} || 'pg_config']} --pkglibdir});
plan skip_all => 'skipped: pg_cron is not installed' unless -e "$libdir/pg_cron.so";

my $c = AmpsfTest->start(
	seed => 'demo',
	conf => [
		'ampsf.max_sync_workers = 4', "shared_preload_libraries = 'pg_cron'", 'cron.database_name = sandbox',
		'cron.use_background_workers = on', 'max_worker_processes = 20']);
my $jobs = 'SELECT username, command, active FROM cron.job ORDER BY 1';
my $launchers = "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'ampsf launcher'";

# A run that is under way keeps it.
sub unmirror
{
	my ($target, %o) = @_;
	my $err;
	$c->poll(sub { ($err = $c->psql("SELECT ampsf.unmirror('$target')", %o)->{err}) !~ /being synchronized/ });
	is($err, '', "$target is no mirror any more");
	return;
}

$c->run_sql(<<'SQL');
CREATE EXTENSION pg_cron;
CREATE ROLE bob LOGIN;
CREATE USER MAPPING FOR bob SERVER sf OPTIONS (client_id 'sandbox', client_secret 'sandbox');
GRANT USAGE ON FOREIGN SERVER sf TO bob;
GRANT USAGE ON SCHEMA crm TO bob;
GRANT SELECT ON crm.account TO bob;
CREATE SCHEMA bob AUTHORIZATION bob;
SQL
$c->run_sql("SELECT ampsf.mirror('crm.contact', every => '1 second')");
is($c->value($jobs), 'postgres|CALL ampsf.sync_due()|t', 'a mirror makes a job');
$c->run_sql("SELECT ampsf.mirror('crm.lead')");
is($c->value($jobs), 'postgres|CALL ampsf.sync_due()|t', '... one for all');
ok($c->poll(sub { return $c->value($launchers) eq '0' }), 'there is nothing for a worker of our own');

# a role that may not use pg_cron
$c->run_sql("SELECT ampsf.mirror('crm.account', 'bob.account')", user => 'bob');
ok($c->poll(sub { return $c->value("SELECT phase FROM ampsf.mirror_status WHERE target = 'bob.account'::regclass") eq 'ready' }),
	'a role that may not use it has our worker');
is($c->value("SELECT count(*) FROM ampsf.workers WHERE owner = 'postgres' AND kind = 'mirror'"), 0, '... for its own mirrors alone');
unmirror('bob.account', user => 'bob');

# a role that may, with a job of its own making
$c->run_sql('GRANT USAGE ON SCHEMA cron TO bob');
$c->run_sql("SELECT cron.schedule('mine', '*/5 * * * *', 'call ampsf.sync_due()')", user => 'bob');
$c->run_sql("SELECT ampsf.mirror('crm.account', 'bob.account2')", user => 'bob');
is($c->value('SELECT count(*) FROM cron.job', user => 'bob'), 1, 'whoever has such a job gets no other');
is($c->value('SELECT count(*) FROM ampsf.work_list()'), 0, '... and it is relied on');
$c->run_sql("SELECT cron.alter_job(jobid, active => false) FROM cron.job WHERE username = 'bob'; SELECT ampsf.wake()");
ok($c->poll(sub { return $c->value("SELECT phase FROM ampsf.mirror_status WHERE target = 'bob.account2'::regclass") eq 'ready' }),
	'unless it is not active');
unmirror('bob.account2', user => 'bob');
is($c->value('SELECT jobname FROM cron.job', user => 'bob'), 'mine', 'what we have not made we do not take away');

# the job does its work
ok($c->poll(sub { return $c->value("SELECT count(*) FROM ampsf.mirror_status WHERE phase = 'ready'") eq '2' }), 'pg_cron fills the mirrors');
is($c->value('SELECT count(*) FROM contact'), $c->value('SELECT count(*) FROM crm.contact'), '... with all rows');
unmirror('contact');
is($c->value("SELECT count(*) FROM cron.job WHERE username = 'postgres'"), 1, 'the job stays as long as there are mirrors');
unmirror('lead');
is($c->value("SELECT count(*) FROM cron.job WHERE username = 'postgres'"), 0, '... and goes with the last');

done_testing();
