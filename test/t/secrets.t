# Where secrets show: in user mappings, which PostgreSQL shows to those who may see them, and nowhere else.  A session
# does all that can be done with a login; then its traces are searched.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use AmpsfTest;
use File::Temp qw(tempdir);
use Test::More;

my $c = AmpsfTest->start(
	seed => 'demo',
	args => '--rotate-refresh-tokens',
	conf => [
		"log_min_messages = debug5",      "log_error_verbosity = verbose",
		"log_statement = 'none'",         "log_min_error_statement = 'panic'",
		"log_min_duration_statement = -1", "debug_print_plan = on",
		"track_activities = on",           "max_parallel_workers_per_gather = 2" ]);
my $base = tempdir('ampsf-secrets-XXXXXX', DIR => '/tmp', CLEANUP => 1);
chmod 0755, $base;

# A session id, a refresh token, a code, and what is wrong on purpose.
my $access = qr/00D\w{12,15}(?:!|%21)AQ/;
my $any    = qr/$access|5Aep861|wrong-4711|Bearer [^<\s]|code_verifier=[^<]|client_secret=[^<]/;

$c->run_sql(q{
	CREATE ROLE alice LOGIN; CREATE ROLE bob LOGIN;
	GRANT USAGE ON FOREIGN SERVER sf TO alice, bob; GRANT USAGE ON SCHEMA crm TO alice, bob;
	GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA crm TO alice, bob;
	GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA ampsf TO alice, bob;
	CREATE USER MAPPING FOR alice SERVER sf OPTIONS (client_id 'sandbox', client_secret 'sandbox');
	CREATE USER MAPPING FOR bob SERVER sf OPTIONS (client_id 'sandbox', client_secret 'wrong-4711');
});

# No secret in a text; of one that is, the surroundings are shown, not all.
sub clean
{
	my ($text, $pattern, $name) = @_;
	my ($hit) = $text =~ /(.{0,80}(?:$pattern).{0,40})/;
	return is($hit, undef, $name);
}

my $login = "SELECT ampsf.login_url('sf') AS url \\gset\n\\setenv AUTHORIZE :url\n"
  . "\\! curl -s -D - -o /dev/null \"\${AUTHORIZE%%\\?*}\" -d \"\${AUTHORIZE#*\\?}\" -d username=user1\@sandbox.example -d password=sandbox -d decision=allow | sed -n 's/^Location: //p' | tr -d '\\r' > $base/location\n"
  . "\\set location `cat $base/location`\n";

# All that a session says, but for what a person asks to be shown: the address of a login.
my $said = '';
my @work = (
	$login . "SELECT user_id, instance_url, scope FROM ampsf.login('sf', :'location');",
	"EXPLAIN (ANALYZE, VERBOSE, BUFFERS) SELECT a.name, c.lastname FROM crm.account a JOIN crm.contact c ON c.accountid = a.id WHERE a.name LIKE 'A%';",
	"\\! curl -fsS -X POST " . $c->url . "/__sandbox/expire-sessions >/dev/null\nSELECT count(*) FROM crm.account;",
	"INSERT INTO crm.account (name) VALUES ('secrets') RETURNING name; UPDATE crm.account SET phone = '1' WHERE name = 'secrets'; DELETE FROM crm.account WHERE name = 'secrets';",
	"INSERT INTO crm.account (name) VALUES (NULL);",
	"SELECT * FROM ampsf.doctor('sf');",
	"SELECT count(*) FROM ampsf.objects('sf'); SELECT count(*) FROM ampsf.search('sf', 'FIND {acme}');",
	"SELECT * FROM ampsf.request('sf', 'GET', '/services/apexrest/away');",
	"SELECT status, headers, body FROM ampsf.request('sf', 'GET', '/services/apexrest/echo', headers => '{\"X-Custom\": \"x\"}');",
	"SELECT ampsf.request('sf', 'GET', 'sobjects', headers => '{\"Authorization\": \"Bearer wrong\"}');",
	"SELECT * FROM ampsf.version(), ampsf.progress();",
	"SET statement_timeout = 300; SELECT count(*) FROM crm.account, pg_sleep(1);",
	"SELECT ampsf.login('sf', 'aPrxNoSuchCode');",
	"SHOW ALL;");
sub work
{
	my ($user) = @_;
	for my $sql (@work)
	{
		my $r = $c->psql($sql, user => $user);
		ok(!$r->{hung}, 'done: ' . ($sql =~ /([^\n;]{1,50})/)[0]);
		$said .= "$r->{out}\n$r->{err}\n";
	}
	return;
}
work('alice');
work('bob');
for my $fault (
	'path=*/query;count=1;do=status;status=401;body=[{"errorCode":"INVALID_SESSION_ID","message":"00D5g00000000xyz!AQsecretsecretsecret is over"}]',
	'path=*/query;count=9;do=status;status=500;body=Authorization: Bearer 00D5g00000000xyz!AQsecretsecretsecret',
	'path=/services/oauth2/token;count=9;do=status;status=400;body={"error":"invalid_grant","error_description":"refresh_token=5Aep861secretsecretsecretsecret client_secret=wrong-4711"}',
	'path=/services/oauth2/token;count=9;do=truncate-json', 'path=/services/oauth2/token;count=9;do=reset-middle',
	'path=/services/oauth2/token;count=9;do=html')
{
	$c->expire_sessions;
	$c->fault($fault);
	my $r = $c->psql("SELECT count(*) FROM crm.contact; SELECT * FROM ampsf.doctor('sf');", user => 'alice');
	$said .= "$r->{out}\n$r->{err}\n";
	$c->clear_faults;
	# What the fault did to a token that was on its way is not the question here.
	$c->run_sql("ALTER USER MAPPING FOR alice SERVER sf OPTIONS (DROP refresh_token, DROP rotation)") if $fault =~ /oauth2/ && $c->value("SELECT umoptions::text ~ 'rotation' FROM pg_user_mappings WHERE usename = 'alice'") eq 't';
	$r = $c->psql($work[0], user => 'alice');
	$said .= "$r->{out}\n$r->{err}\n";
}
clean($said, $any, 'what the statements said holds no secret');
like($said, qr/<redacted>/, '... where Salesforce repeated one it is blacked out');
like($said, qr/\n0055g\w+\|http\S+\|api refresh_token\n/, '... and the logins succeeded');

my $log = $c->server_log;
ok(length $log > 100_000, 'the server log at debug5, with plans');
clean($log, $any, '... holds no secret');

# While it runs: a session and the worker that stores a token.
{
	my $job = $c->background("SELECT count(*) FROM crm.account; SELECT pg_sleep(3600);", user => 'alice');
	ok($c->poll(sub { $c->value("SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%pg_sleep(3600)%' AND usename = 'alice'") eq '1' }), 'a session at work');
	my $activity = $c->value('SELECT a::text FROM pg_stat_activity a');
	clean($activity, qr/$access|5Aep861/, '... shows no token in pg_stat_activity');
	clean($c->value('SELECT l::text FROM pg_locks l'), qr/$access|5Aep861/, '... nor in pg_locks');
	my $pid = $c->value("SELECT pid FROM pg_stat_activity WHERE usename = 'alice'");
	my $environment = -r "/proc/$pid/environ" ? do { local (@ARGV, $/) = ("/proc/$pid/environ"); <> } : '';
	my $title = do { local (@ARGV, $/) = ("/proc/$pid/cmdline"); <> };
	clean("$environment$title", qr/$access|5Aep861/, '... nor in its process title or environment');
	$c->run_sql("SELECT pg_terminate_backend($pid)");
	$c->finish($job);
}

# Settings, catalogs, statistics as somebody else sees them.
{
	my $seen = $c->value("SELECT * FROM pg_user_mappings; SELECT * FROM information_schema.user_mapping_options; SELECT * FROM pg_foreign_server; "
		. "SELECT name, setting, boot_val, reset_val FROM pg_settings; SELECT s::text FROM pg_stats s WHERE schemaname <> 'pg_catalog'; SELECT * FROM ampsf.options();", user => 'bob');
	clean($seen, qr/5Aep861|$access/, "another role sees no token in catalogs, settings or statistics");
	like($seen, qr/wrong-4711/, '... but its own mapping, by design');
}

# A dump has the mappings, by design, and nothing else.
{
	my $pg_dump = ($ENV{PG_CONFIG} || 'pg_config');
	chomp(my $bindir = `$pg_dump --bindir`);
	my $dump = `'$bindir/pg_dump' -h '$c->{env}{PGHOST}' -p $c->{env}{PGPORT} -U postgres -d $c->{env}{PGDATABASE} 2>&1`;
	like($dump, qr/CREATE USER MAPPING FOR alice .*refresh_token '5Aep861/s, 'a dump has the mappings');
	$dump =~ s/CREATE USER MAPPING FOR \w+ SERVER sf OPTIONS \(.*?\n\);//sg;
	clean($dump, $any, '... and no secret elsewhere');
}

# On disk: access tokens nowhere at all; refresh tokens in the catalog and its log only.
{
	my $data = $c->dir . '/data';
	is(`grep -rlaE '00D[[:alnum:]]{12,15}!AQ[[:alnum:]._]{20}' '$data' 2>/dev/null`, '', 'no access token on disk');
	my @files = grep { !m{/pg_wal/|/base/\d+/\d+(?:_\w+)?$} } split /\n/, `grep -rla 5Aep861 '$data' 2>/dev/null`;
	is("@files", '', 'refresh tokens in the tables and the WAL only');
	is(`grep -la 5Aep861 /dev/shm/PostgreSQL.* 2>/dev/null`, '', '... and none in shared memory that was left');
	clean($c->server_log, $any, 'the log, once more');
}

done_testing();
