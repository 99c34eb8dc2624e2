# Servers, tables, schemas and roles get other names: mirrors, subscriptions and write-back go on, here and in a restored
# dump.  And what has the launcher begin without being asked: COMMIT PREPARED, and a session that preloads the library.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use AmpsfTest;
use Test::More;

my $c = AmpsfTest->start(seed => 'demo', conf => ['ampsf.max_sync_workers = 4', 'synchronous_commit = on', 'max_prepared_transactions = 2', 'max_worker_processes = 16']);

sub becomes
{
	my ($sql, $value, $what, %o) = @_;
	my $got;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	return ok($c->poll(sub { my $r = $c->psql($sql, %o); $got = "$r->{out}$r->{err}"; return $got eq $value }), $what)
	  || diag("$sql gives $got\n", map { $c->psql($_, %o)->{out} . "\n" } 'TABLE ampsf.subscription_status', 'TABLE ampsf.mirror_status', 'TABLE ampsf.workers', 'SELECT * FROM ampsf.work_list()');
}

my @etl = (user => 'etl');
$c->run_sql('CREATE ROLE etl LOGIN SUPERUSER; CREATE SCHEMA here; CREATE USER MAPPING FOR etl SERVER sf OPTIONS (client_id \'sandbox\', client_secret \'sandbox\')');
$c->run_sql("SELECT ampsf.subscribe('sf', '{Account,Contact}');
	SELECT ampsf.mirror('crm.account', 'here.account', every => '1 day', history => true, live_view => true);
	SELECT ampsf.mirror('crm.contact', 'here.contact', every => '1 day');
	SELECT ampsf.mirror('crm.lead', 'here.lead', every => '1 day', writeback => true)", @etl);
becomes("SELECT count(*) FROM ampsf.mirror_status WHERE phase = 'ready' AND failures = 0", 3, 'mirrors are filled');
becomes('SELECT state FROM ampsf.subscription_status', 'connected', 'the subscription is connected');

# -------- a server, with events that are still to be applied --------
$c->run_sql("SELECT ampsf.pause('here.contact')", @etl);
ok($c->rest_ok('POST', 'sobjects/Contact', { LastName => 'Waiting' }), 'another client makes a contact');
becomes("SELECT events_waiting FROM ampsf.mirror_status WHERE target = 'here.contact'::regclass", 1, 'its event waits for a mirror that is paused');
$c->psql("BEGIN;\nALTER SERVER sf RENAME TO never;\nROLLBACK");
is($c->value('SELECT s.server, c.server FROM ampsf.subscription s, ampsf.change c'), 'sf|sf', 'a name that was not committed');
$c->run_sql("ALTER SERVER sf OPTIONS (ADD page_size '1999')");
is($c->value('SELECT s.server, c.server FROM ampsf.subscription s, ampsf.change c'), 'sf|sf', 'an option is no name');
$c->run_sql('ALTER SERVER sf RENAME TO "The Org"');
is($c->value('SELECT s.server, c.server FROM ampsf.subscription s, ampsf.change c'), 'The Org|The Org', 'the new name');
is($c->value("SELECT events_waiting FROM ampsf.mirror_status WHERE target = 'here.contact'::regclass"), 1, '... under which the event waits');
$c->run_sql("SELECT ampsf.resume('here.contact')", @etl);
becomes("SELECT events FROM ampsf.mirror_status WHERE target = 'here.contact'::regclass", 1, '... and is applied');
$c->run_sql("CREATE ROLE ann LOGIN; GRANT USAGE ON FOREIGN SERVER \"The Org\" TO ann");
is(AmpsfTest::sqlstate($c->psql("SELECT ampsf.server_altered()", user => 'ann')), '39P03', 'nobody calls the trigger\'s function');
is($c->psql("SELECT ampsf.server_renamed('The Org', 'x'); SELECT server FROM ampsf.subscription", user => 'ann')->{out}, '', 'another role sees and changes nothing');
is($c->value('SELECT server FROM ampsf.subscription'), 'The Org', '... indeed');

# -------- tables, schemas, the owner --------
$c->run_sql('ALTER SCHEMA crm RENAME TO org; ALTER FOREIGN TABLE org.account RENAME TO konto; ALTER TABLE here.account RENAME TO firma; '
	  . 'ALTER TABLE here.account_history RENAME TO was; ALTER VIEW here.account_now RENAME TO jetzt; ALTER SCHEMA here RENAME TO da; '
	  . 'CREATE SCHEMA dort; ALTER TABLE da.lead SET SCHEMA dort; ALTER TABLE dort.lead RENAME TO spur; ALTER ROLE etl RENAME TO loader');
my @loader = (user => 'loader');
my $account = $c->rest_ok('POST', 'sobjects/Account', { Name => 'After' });
becomes("SELECT count(*) FROM da.firma WHERE id = '$account'", 1, 'an event arrives in the mirror that was renamed');
is($c->value("SELECT count(*) FROM da.was WHERE id = '$account'"), 1, '... and in its history');
is($c->value("SELECT name FROM da.jetzt WHERE id = '$account'", @loader), 'After', '... and in its live view');
$c->run_sql("UPDATE dort.spur SET company = 'Written back' WHERE id = (SELECT min(id) FROM dort.spur)", @loader);
becomes("SELECT count(*) FROM org.lead WHERE company = 'Written back'", 1, 'write-back goes on', @loader);
$c->rest_ok('PATCH', "sobjects/Account/$account", { Name => 'Later' });
is($c->psql("CALL ampsf.sync('da.firma')", @loader)->{err}, '', 'a run of the mirror');
is($c->value("SELECT name FROM da.firma WHERE id = '$account'"), 'Later', '... reads what changed');
is($c->value("SELECT count(*) FROM ampsf.mirror_status WHERE owner::text <> 'loader' OR failures > 0 OR warning IS NOT NULL"), 0, 'no failure, no warning');

# -------- a dump has the names of now --------
{
	my $e = $c->{env};
	my @at = ('-h', $e->{PGHOST}, '-p', $e->{PGPORT}, '-U', 'postgres');
	chomp(my $bin = qx{@{[$ENV{PG_CONFIG} || 'pg_config']} --bindir});
	my $file = $c->dir . '/dump.sql';
	my @copy = (db => 'copy', @loader);
	$c->psql('CREATE DATABASE copy', db => 'postgres');
	is(system("$bin/pg_dump", @at, '-f', $file, $e->{PGDATABASE}), 0, 'pg_dump');
	is(system("$bin/psql", '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-o', '/dev/null', @at, '-d', 'copy', '-f', $file), 0, 'restored');
	$c->run_sql('SELECT count(*) FROM org.case', @copy);
	becomes('SELECT state FROM ampsf.subscription_status', 'connected', 'the copy\'s subscription is connected', @copy);
	$account = $c->rest_ok('POST', 'sobjects/Account', { Name => 'For both' });
	becomes("SELECT count(*) FROM da.firma WHERE id = '$account'", 1, 'the event arrives in the copy', @copy);
	becomes("SELECT count(*) FROM da.firma WHERE id = '$account'", 1, '... and here');
	$c->run_sql('ALTER SERVER "The Org" RENAME TO copied', @copy);
	$account = $c->rest_ok('POST', 'sobjects/Account', { Name => 'For both, again' });
	becomes("SELECT count(*) FROM da.firma WHERE id = '$account'", 1, 'with another name the copy goes on', @copy);
	is($c->value('SELECT DISTINCT server FROM ampsf.change'), 'The Org', '... which is none here');
	$c->run_sql('SELECT ampsf.stop_workers()', @copy);
	$c->psql('DROP DATABASE copy WITH (FORCE)', db => 'postgres');
}

# -------- a restart: the first transaction of any session that preloads the library --------
my $launchers = "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'ampsf launcher'";
my $database = $c->{env}{PGDATABASE};
$c->run_sql("ALTER DATABASE $database SET session_preload_libraries = ampsf_fdw");
is(($c->pg_ctl('restart', args => [ '-m', 'immediate' ]))[0], 0, 'restart');
$account = $c->rest_ok('POST', 'sobjects/Account', { Name => 'Meanwhile' });
is($c->value('SELECT 1'), 1, 'some transaction that has nothing to do with the org');
becomes("SELECT count(*) FROM da.firma WHERE id = '$account'", 1, '... has brought the workers back');

# -------- two-phase commit --------
$c->run_sql('SELECT ampsf.unsubscribe(id) FROM ampsf.subscription; SELECT ampsf.unmirror(target) FROM ampsf.mirror_definition', @loader);
becomes($launchers, 0, 'nothing is left to do');
$c->run_sql("BEGIN;\nSELECT ampsf.mirror('org.case', 'da.kase', every => '1 day');\nPREPARE TRANSACTION 'later'");
becomes($launchers, 1, 'a mirror that is prepared has a launcher');
is($c->value('SELECT count(*) FROM ampsf.mirror_definition'), 0, '... that has nothing to do yet');
# In a session that does not know of ampsf_fdw.
$c->run_sql("ALTER DATABASE $database RESET session_preload_libraries");
$c->run_sql("COMMIT PREPARED 'later'");
becomes("SELECT count(*) FROM ampsf.mirror_status WHERE phase = 'ready' AND rows > 0", 1, 'COMMIT PREPARED: it fills by itself');
$c->run_sql("BEGIN;\nSELECT ampsf.unmirror('da.kase');\nPREPARE TRANSACTION 'never'");
$c->run_sql("ROLLBACK PREPARED 'never'");
$c->run_sql("SELECT ampsf.unmirror('da.kase')");
becomes($launchers, 0, 'and in the end there is none');
unlike($c->server_log, qr/PANIC|TRAP/, 'the log has nothing that should not be there');

done_testing();
