# Through Ampersand: the suites of the direct way give the same answers by its proxy; two connections and three roles
# in one session; a key that shows nowhere; operations that are not waited for; messages that come twice at once.
use strict;
use warnings;
use Digest::SHA qw(hmac_sha256_base64);
use FindBin;
use MIME::Base64 qw(decode_base64 encode_base64);
use lib "$FindBin::Bin/lib";
use AmpsfTest;
use Test::More;

my $key     = 'sandbox-api-key';
my $project = '0d4f6c2e-7a51-4c1c-9a53-2f1f0c9d8e7b';
my $c       = AmpsfTest->start(
	seed => 'demo',
	conf => [ "log_min_messages = debug1", "log_statement = 'none'", "log_min_error_statement = 'panic'" ]);
my %host = map { $_->[0] => "http://127.0.0.$_->[1]:$c->{port}" }[ proxy => 2 ], [ write => 3 ], [ read => 4 ], [ platform => 5 ];

sub amp_server
{
	my ($name, $more) = @_;
	return "CREATE SERVER $name FOREIGN DATA WRAPPER ampsf_fdw OPTIONS (connection 'ampersand', project '$project',
		integration 'salesforce', integration_id '5b1f2f7e-6a0e-4b62-8a9e-0c3f5d7e9a11', group_ref 'acme',"
	  . join(', ', map { "${_}_url '$host{$_}'" } sort keys %host) . ($more || '') . ');';
}

# The suites, in a database whose server is reached by the proxy.  Nothing may differ but that nobody logs in.
{
	my @suites = qw(select join write upsert transaction lookup bulk bulk_write);
	my $dir    = $c->dir . '/../suites';
	mkdir $dir;
	$c->run_sql('CREATE DATABASE proxied TEMPLATE sandbox', db => 'postgres');
	$c->run_sql(qq{
		ALTER SERVER sf OPTIONS (ADD connection 'ampersand', ADD project '$project',
			ADD installation_id 'c0a8e6f4-2b7d-4e0f-9c55-7d1e3b5a8f21', ADD proxy_url '$host{proxy}');
		ALTER USER MAPPING FOR postgres SERVER sf OPTIONS (DROP client_id, DROP client_secret, ADD api_key '$key')},
		db => 'proxied');
	my $root = AmpsfTest::root_dir();
	{
		local %ENV = (%ENV, %{ $c->{env} }, PGDATABASE => 'proxied');
		system("$root/test/regress.sh --outdir $dir @suites >$dir/log 2>&1");
	}
	for my $suite (@suites)
	{
		my @differ = grep { /^[<>]/ && !m{^< (1 )?POST /services/oauth2/token( 200)?$} }
		  `diff $root/expected/$suite.out $dir/$suite/results/$suite.out 2>&1`;
		ok(-s "$dir/$suite/results/$suite.out" && !@differ, "suite $suite by the proxy") or diag(@differ);
	}
	my @log = $c->log;
	ok((grep { $_->{path} =~ m{/query$} } @log) > 100, 'which has asked the org');
}

$c->run_sql(amp_server('amp') . amp_server('api', ", write_via 'write_api', write_mode 'async'") . qq{
	CREATE ROLE alice LOGIN; CREATE ROLE bob LOGIN; CREATE ROLE carol LOGIN;
	GRANT USAGE ON FOREIGN SERVER sf, amp, api TO alice, bob, carol;
	CREATE SCHEMA amp; CREATE SCHEMA api;
	CREATE USER MAPPING FOR postgres SERVER amp OPTIONS (api_key '$key');
	CREATE USER MAPPING FOR postgres SERVER api OPTIONS (api_key '$key');
	IMPORT FOREIGN SCHEMA crm LIMIT TO (account) FROM SERVER amp INTO amp;
	IMPORT FOREIGN SCHEMA crm LIMIT TO (account) FROM SERVER api INTO api;
	GRANT USAGE ON SCHEMA crm, amp, api TO alice, bob, carol;
	GRANT SELECT, INSERT ON crm.account, amp.account, api.account TO alice, bob, carol;
	CREATE USER MAPPING FOR alice SERVER sf OPTIONS (client_id 'sandbox', client_secret 'sandbox');
	CREATE USER MAPPING FOR alice SERVER amp OPTIONS (api_key '$key');
	CREATE USER MAPPING FOR bob SERVER amp OPTIONS (api_key 'bobs-wrong-key-4711');
	CREATE USER MAPPING FOR carol SERVER sf OPTIONS (client_id 'sandbox-user', client_secret 'sandbox');
});

# Two connections and three roles in one session: each call has the credentials of its role and server.
{
	my $count = sub { "SELECT count(*) > 0 FROM $_[0].account;" };
	$c->mark;
	my $r = $c->psql("SET ROLE alice; " . $count->('crm') . $count->('amp')
		  . "SET ROLE bob; " . $count->('amp') . $count->('crm')
		  . "SET ROLE carol; " . $count->('crm') . $count->('amp') . "SET ROLE alice; SELECT count(*) >= 0 FROM crm.account c JOIN amp.account a USING (id);");
	is($r->{out}, "t\nt\nt\nt", 'who has credentials reads, by both connections');
	like($r->{err}, qr/28000: could not run query\nDETAIL:  Ampersand answered with status 401/, 'a wrong key is an error of authorization');
	is(() = $r->{err} =~ /user mapping not found/g, 2, 'who has none is told so');
	unlike($r->{err}, qr/4711/, 'the key does not show');
	is($c->logins, 2, 'and each login at the org is made once');
}

# The key: in no log, plan, statistics, option of a server, or error.
{
	my $r = $c->psql("EXPLAIN (ANALYZE, VERBOSE) SELECT * FROM amp.account; SELECT * FROM ampsf.doctor('amp'); SELECT * FROM ampsf.usage;
		SELECT srvoptions FROM pg_foreign_server; SELECT query FROM pg_stat_activity; SELECT ampsf.request('amp', 'GET', 'nonsense');
		SELECT umoptions FROM pg_user_mappings WHERE usename = 'bob';", user => 'alice');
	unlike($r->{out} . $r->{err}, qr/api-key|4711/, 'the key shows nowhere to a role');
	unlike($c->server_log, qr/api-key|4711/, 'nor in the log at debug1');
	my $sandbox_log = do { open(my $f, '<', $c->{env}{SANDBOX_LOG}); local $/; <$f> };
	unlike($sandbox_log, qr/api-key/, 'nor in that of the sandbox');
}

# A write whose operation does not end is given up: what was sent is in doubt, and nothing says otherwise.
{
	$c->admin('POST', 'amp?polls=3600');
	$c->mark;
	my $job = $c->background("INSERT INTO api.account (name) VALUES ('Slow 1'), ('Slow 2');");
	ok($c->poll(sub { grep { $_->{path} =~ m{/operations/} } $c->log }), 'an operation is waited for');
	$c->run_sql("SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE query LIKE 'INSERT INTO api.account%'");
	my $r = $c->finish($job);
	like($r->{err}, qr/57014/, '... until it is cancelled');
	is($c->value(q{SELECT string_agg("row"->>'Name' || ' ' || outcome, ', ' ORDER BY 1) FROM
		(SELECT * FROM ampsf.write_error ORDER BY "row"->>'Name') e}), 'Slow 1 in doubt, Slow 2 in doubt', '... and the rows are in doubt')
	  or diag($r->{err});
	is($c->value("SELECT count(*) FROM crm.account WHERE name LIKE 'Slow _'"), 2, '... which here were written');
	$c->admin('POST', 'amp?polls=1');
}

# A message that comes twice at once is taken once; of one that was given up the other takes it.
{
	my $secret = 'MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw';
	$c->run_sql("ALTER USER MAPPING FOR postgres SERVER amp OPTIONS (ADD webhook_secret 'whsec_$secret');
		CREATE TABLE account (id text PRIMARY KEY, name text, n int DEFAULT 0);
		CREATE FUNCTION count_up() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.n := NEW.n + 1; RETURN NEW; END';
		CREATE TRIGGER t BEFORE INSERT OR UPDATE ON account FOR EACH ROW EXECUTE FUNCTION count_up();
		INSERT INTO ampsf.webhook_target VALUES ('account', 'account')");
	for my $end ('COMMIT', 'ROLLBACK')
	{
		my $id   = "msg_$end";
		my $body = qq({"action":"read","objectName":"account","resultInfo":{"type":"inline","numRecords":1},"result":[{"fields":{"id":"$end","name":"N"}}]});
		my $time = time;
		my $mac  = hmac_sha256_base64("$id.$time.$body", decode_base64($secret));
		$mac .= '=' while length($mac) % 4;
		my $call = qq{SELECT written, repeated FROM ampsf.webhook('$body',
			'{"svix-id": "$id", "svix-timestamp": "$time", "svix-signature": "v1,$mac"}');};
		my $locks = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objid = 4711 AND";
		my $gate = $c->background("SELECT pg_advisory_lock(4711); SELECT pg_sleep(3600) AS gate;");
		$c->poll(sub { $c->value("$locks granted") });
		my $first = $c->background("BEGIN; $call SELECT pg_advisory_lock(4711); $end;");
		ok($c->poll(sub { $c->value("$locks NOT granted") }), "$end: the first is at it");
		my $other = $c->background("SET application_name = 'other'; $call");
		ok($c->poll(sub { $c->value("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'other' AND wait_event_type = 'Lock'") }), "$end: the second waits for it");
		$c->run_sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE '%AS gate;' AND pid <> pg_backend_pid()");
		$c->finish($gate);
		my $second = $c->finish($other);
		is($second->{out}, $end eq 'COMMIT' ? '0|t' : '1|f', "$end: what the second sees") or diag($second->{err});
		like($c->finish($first)->{out}, qr/^1\|f/, "$end: the first has taken it");
		is($c->value("SELECT n FROM account WHERE id = '$end'"), 1, "$end: and its record was written once");
	}
}

done_testing();
