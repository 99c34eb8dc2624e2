# The way in: a person's login in a browser, secrets in files, logins of the Salesforce CLI, refresh tokens that
# rotate under many sessions; and that doctor knows every error of a login.
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
	conf => ["log_min_messages = debug1", "log_statement = 'none'", "log_min_error_statement = 'panic'"]);
my $read = 'SELECT count(*) > 0 FROM crm.account';
my $base = tempdir('ampsf-secret-XXXXXX', DIR => '/tmp', CLEANUP => 1);
chmod 0755, $base;
my ($uid, $gid) = $> == 0 ? (getpwnam 'postgres')[2, 3] : ($>, $();
($gid) = split / /, $gid;

sub mapping
{
	my ($options, $user) = @_;
	$user ||= 'postgres';
	$c->run_sql("DROP USER MAPPING IF EXISTS FOR $user SERVER sf; CREATE USER MAPPING FOR $user SERVER sf OPTIONS ($options)");
	$c->mark;
	return;
}

sub option
{
	my ($name, $user) = @_;
	$user ||= 'postgres';
	return $c->value("SELECT option_value FROM pg_user_mappings, pg_options_to_table(umoptions) WHERE usename = '$user' AND option_name = '$name'");
}

sub secret_file
{
	my ($name, $text, $mode) = @_;
	my $path = "$base/$name";
	open(my $f, '>', $path) or die "$path: $!";
	print $f $text;
	close $f;
	chmod $mode || 0600, $path;
	chown $uid, $gid, $path;
	return $path;
}

sub slurp
{
	open(my $f, '<', $_[0]) or return '';
	local $/;
	return scalar <$f>;
}

# What the person in front of the browser does, by curl.
my $person = q{\setenv AUTHORIZE :url
\! curl -s -D - -o /dev/null "${AUTHORIZE%%\?*}" -d "${AUTHORIZE#*\?}" -d username=USER -d password=sandbox -d decision=DECISION | sed -n 's/^Location: //p' | tr -d '\r' > BASE/location
\set location `cat BASE/location`
};

sub person
{
	my ($user, $decision) = @_;
	my $text = $person;
	$text =~ s/USER/$user/;
	$text =~ s/DECISION/$decision || 'allow'/e;
	$text =~ s/BASE/$base/g;
	return $text;
}

# -------- authorization code with PKCE --------

$c->run_sql(q{
	CREATE ROLE alice LOGIN; CREATE ROLE bob LOGIN;
	GRANT USAGE ON FOREIGN SERVER sf TO alice, bob;
	GRANT USAGE ON SCHEMA crm TO alice, bob; GRANT SELECT ON crm.account TO alice, bob;
	GRANT EXECUTE ON FUNCTION ampsf.login, ampsf.login_url, ampsf.doctor TO alice, bob;
	CREATE USER MAPPING FOR alice SERVER sf OPTIONS (client_id 'sandbox-public');
	CREATE USER MAPPING FOR bob SERVER sf OPTIONS (client_id 'sandbox', client_secret 'sandbox');
});
{
	my $r = $c->psql($read, user => 'alice');
	like($r->{err}, qr/HINT:.*ampsf\.login_url/, 'who has an app and no token yet is shown the way');
	$r = $c->psql("SELECT ampsf.login_url('sf') AS url \\gset\n" . person('user1@sandbox.example')
		. "SELECT user_id ~ '^005', scope FROM ampsf.login('sf', :'location');\n$read;", user => 'alice');
	is($r->{out}, "t|api refresh_token\nt", 'login by browser, with an app that has no secret') or diag($r->{err});
	is($r->{err}, '', '... says nothing of it');
	my ($authorize) = grep { $_->{path} eq '/services/oauth2/authorize' } $c->log;
	like(slurp("$base/location"), qr{/services/oauth2/success\?code=}, '... sent to the page that Salesforce has for it');
	is($c->value($read, user => 'alice'), 't', '... and another session reads with the token');
	like(option('refresh_token', 'alice'), qr/^5Aep861/, '... which the mapping keeps');
	ok((grep { ($_->{auth} || '') eq 'user1@sandbox.example' } $c->log) > 0, '... in the name of the person')
	  or diag(explain([ map { $_->{auth} } $c->log ]));
}
{
	my $old = option('client_secret', 'bob');
	my $r = $c->psql("SELECT ampsf.login_url('sf') AS url \\gset\n" . person('admin@sandbox.example')
		. "\\! sed -i 's/.*code=\\([^&]*\\).*/\\1/' $base/location\n\\set location `cat $base/location`\n"
		. "SELECT instance_url FROM ampsf.login('sf', :'location');\n$read;", user => 'bob');
	is($r->{out}, $c->url . "\nt", 'the code alone is enough, and an app with a secret sends both') or diag($r->{err});
}
{
	my $before = option('refresh_token', 'bob');
	my $r = $c->psql("SELECT ampsf.login_url('sf') AS url \\gset\n" . person('admin@sandbox.example')
		. "SELECT ampsf.login('sf', regexp_replace(:'location', 'state=.', 'state=_'));\n"
		. "SELECT ampsf.login('sf', regexp_replace(:'location', '&state=.*', ''));\n"
		. "SELECT ampsf.login('sf', 'https://x.example/?state=1');\n", user => 'bob');
	is(() = $r->{err} =~ /ERROR:  28000: the address does not belong to the login/g, 3, 'an answer with another state, or none, is not taken')
	  or diag($r->{err});
	$r = $c->psql("SELECT ampsf.login_url('sf') AS url \\gset\n" . person('admin@sandbox.example')
		. "SELECT ampsf.login_url('sf') IS NULL;\nSELECT ampsf.login('sf', split_part(split_part(:'location', 'code=', 2), '&', 1));", user => 'bob');
	like($r->{err}, qr/ERROR:  28\w{3}: .*\nDETAIL:  Salesforce says invalid_grant: invalid code verifier/, "a code of another login fails at the verifier");
	$r = $c->psql("SELECT ampsf.login_url('sf') AS url \\gset\n" . person('admin@sandbox.example')
		. "SELECT user_id IS NULL FROM ampsf.login('sf', :'location');\nSELECT ampsf.login('sf', :'location');", user => 'bob');
	like($r->{err}, qr/ERROR:  55000: no login was begun/, 'a login is finished once');
	$r = $c->psql("SELECT ampsf.login('sf', 'aPrx0000')", user => 'bob');
	like($r->{err}, qr/ERROR:  55000: no login was begun/, '... and not in another session');
	$r = $c->psql("SELECT ampsf.login_url('sf') AS url \\gset\n" . person('admin@sandbox.example', 'deny')
		. "SELECT ampsf.login('sf', :'location');", user => 'bob');
	like($r->{err}, qr/ERROR:  28\w{3}: .*\nDETAIL:  Salesforce says access_denied: end-user denied authorization\nHINT:/, 'a person who says no');
	$r = $c->psql("SELECT ampsf.login_url('sf', 'api') AS url \\gset\n" . person('admin@sandbox.example')
		. "SELECT ampsf.login('sf', :'location');", user => 'bob');
	like($r->{err}, qr/no refresh token; the scopes are: api\.\nHINT:.*refresh_token/, 'without the scope there is no refresh token');
	$r = $c->psql("BEGIN READ ONLY; SELECT ampsf.login('sf', 'x')", user => 'bob');
	like($r->{err}, qr/ERROR:  25006/, 'not in a transaction that reads only');
	isnt(option('refresh_token', 'bob'), '', 'the token of the login that succeeded is there');
}
$c->run_sql("DROP USER MAPPING FOR bob SERVER sf; CREATE USER MAPPING FOR PUBLIC SERVER sf OPTIONS (client_id 'sandbox-public')");
{
	my $r = $c->psql("SELECT ampsf.login_url('sf')", user => 'bob');
	like($r->{err}, qr/ERROR:  42704: .*no user mapping of its own/, "a person's token does not go into the mapping of PUBLIC");
}
$c->run_sql('DROP USER MAPPING FOR PUBLIC SERVER sf');

# -------- the Salesforce CLI --------

my ($host) = $c->url =~ m{//(.*)$};
$c->reset_org('demo');
mapping("sfdx_auth_url 'force://sandbox:sandbox:sandbox\@$host'");
is($c->value("$read; $read"), "t\nt", 'a login of the Salesforce CLI');
like(option('sfdx_auth_url'), qr{^force://sandbox:sandbox:5Aep861\S+\@\Q$host\E$}, '... whose token is replaced within');
is($c->value($read), 't', '... for the next session');
{
	my $r = $c->psql("ALTER USER MAPPING FOR postgres SERVER sf OPTIONS (SET sfdx_auth_url 'force://a:b:tok3n-4711\@other.my.salesforce.com'); $read");
	like($r->{err}, qr/ERROR:  22023: .*belongs to another org/, 'one of another org is refused before it is sent');
	unlike($r->{err}, qr/4711/, '... and not shown');
	$r = $c->psql("ALTER USER MAPPING FOR postgres SERVER sf OPTIONS (SET sfdx_auth_url 'force://secret-4711')");
	like($r->{err}, qr/ERROR:  22023: invalid value for option "sfdx_auth_url"/, 'another form is refused when it is stored');
	unlike($r->{err}, qr/4711/, '... and not shown');
	$r = $c->psql("ALTER USER MAPPING FOR postgres SERVER sf OPTIONS (SET sfdx_auth_url 'force://tok3n\@$host', ADD client_id 'x'); $read");
	like($r->{err}, qr/excludes all others/, '... and so is company');
}

# -------- files --------

$c->reset_org('demo');
my $secret = secret_file('secret', "sandbox\n");
my $token  = secret_file('token',  "sandbox\n");
mapping("client_id 'sandbox', client_secret_file '$secret'");
is($c->value($read), 't', 'client_secret_file: client credentials');
mapping("client_id 'sandbox', client_secret_file '$secret', refresh_token_file '$token'");
{
	my $r = $c->psql("$read;\n\\! curl -fsS -X POST " . $c->url . "/__sandbox/expire-sessions >/dev/null\n$read;\n");
	is($r->{out}, "t\nt", 'refresh_token_file') or diag($r->{err});
	like($r->{err}, qr/WARNING:.*could not be stored\nDETAIL:.*create file/, '... in a folder that cannot be written: a warning');
}
chmod 0777, $base;
$c->reset_org('demo');
$token = secret_file('token', "sandbox\n");
{
	my $r = $c->psql("$read;\n\\! curl -fsS -X POST " . $c->url . "/__sandbox/expire-sessions >/dev/null\n$read;\n");
	is($r->{out}, "t\nt", '... else the file is rewritten') or diag($r->{err});
	is($r->{err}, '', '... in silence');
	like(slurp($token), qr/^5Aep861\S+\n$/, '... with the token that is valid now');
	is((stat $token)[2] & 0777, 0600, '... for nobody else to read');
	is($c->value($read), 't', '... and the next session reads it');
}
chmod 0644, $secret;
{
	my $r = $c->psql($read);
	like($r->{err}, qr/ERROR:  42501: client secret file ".*" has group or world access/, 'a file that all may read is not taken');
}
secret_file('secret', "two words\n");
{
	my $r = $c->psql($read);
	like($r->{err}, qr/ERROR:  F0000: could not use client secret file/, '... nor one with something else in it');
	unlike($r->{err}, qr/two words/, '... which is not shown');
}
{
	my $r = $c->psql("CREATE USER MAPPING FOR bob SERVER sf OPTIONS (client_id 'sandbox', client_secret_file '$secret')", user => 'bob');
	like($r->{err}, qr/ERROR:  42501: permission denied to set option "client_secret_file"/, 'not everybody names files');
	$c->run_sql('GRANT pg_read_server_files TO bob');
	secret_file('secret', 'sandbox');
	$c->run_sql("CREATE USER MAPPING FOR bob SERVER sf OPTIONS (client_id 'sandbox', client_secret_file '$secret')", user => 'bob');
	is($c->value($read, user => 'bob'), 't', '... but a member of pg_read_server_files');
	$r = $c->psql("ALTER USER MAPPING FOR bob SERVER sf OPTIONS (ADD refresh_token_file '$token')", user => 'bob');
	like($r->{err}, qr/ERROR:  42501: permission denied to set option "refresh_token_file"/, '... who may not have them written');
	$c->run_sql('GRANT pg_write_server_files TO bob');
	$c->run_sql("ALTER USER MAPPING FOR bob SERVER sf OPTIONS (ADD refresh_token_file '$token')", user => 'bob');
	$c->run_sql('REVOKE pg_read_server_files, pg_write_server_files FROM bob; DROP USER MAPPING FOR bob SERVER sf');
}

# -------- rotation --------

$c->reset_org('demo');
mapping("client_id 'sandbox', client_secret 'sandbox', refresh_token 'sandbox'");
{
	# Many sessions at once, each of which logs in again and again.
	my @jobs = map { $c->background("SELECT count(*) < 0 FROM (SELECT ampsf.disconnect()) d; $read;" x 8) } 1 .. 6;
	my @r = map { $c->finish($_) } @jobs;
	is(join(',', map { my $o = $_->{out}; $o =~ s/[\nf]//g; $o } @r), join(',', ('t' x 8) x 6), 'six sessions that log in by one rotating token, all the time')
	  or diag(map { $_->{err} } @r);
	is(join('', map { $_->{err} } @r), '', '... without a word');
	is($c->logins, 48, '... each login once');
	is((grep { $_->{path} eq '/services/oauth2/token' && $_->{status} != 200 } $c->log) + 0, 0, '... and no token was sent twice');
	is($c->value($read), 't', '... and the mapping holds the last one');
}
{
	# A token that another session got in the place of ours is no reason for a new login.
	$c->mark;
	my $r = $c->psql("$read;\n\\! psql -X -q -t -A -h '$c->{env}{PGHOST}' -p $c->{env}{PGPORT} -U postgres -d $c->{env}{PGDATABASE} -c '$read' >/dev/null\n$read;\n$read;");
	is($r->{out}, "t\nt\nt", 'another session replaces the token meanwhile') or diag($r->{err});
	is($c->logins, 2, '... and ours does not log in again for it');
	# Salesforce kills the old access tokens with it?  Not here; but a token that dies is renewed with the new one.
	my $first = option('refresh_token');
	$r = $c->psql("$read;\nALTER USER MAPPING FOR postgres SERVER sf OPTIONS (SET refresh_token 'an-other-login');\n$read;\n"
		. "ALTER USER MAPPING FOR postgres SERVER sf OPTIONS (SET refresh_token '$first');\n");
	like($r->{err}, qr/expired access\/refresh token/, 'a token that a person stores is another login, at once');
}
$c->reset_org('demo');
mapping("client_id 'sandbox', client_secret 'sandbox', refresh_token 'sandbox'");
{
	# The statement's transaction is rolled back; the token is not.
	my $r = $c->psql("BEGIN; $read; ROLLBACK; BEGIN READ ONLY; $read; COMMIT;");
	is($r->{out}, "t\nt", 'a transaction that is rolled back, and one that reads only') or diag($r->{err});
	isnt(option('refresh_token'), 'sandbox', '... keep the new token');
	is($c->value($read), 't', '... which is good');
	$r = $c->psql("\\! curl -fsS -X POST " . $c->url . "/__sandbox/reset?seed=demo >/dev/null\n"
		. "BEGIN; ALTER USER MAPPING FOR postgres SERVER sf OPTIONS (SET refresh_token 'sandbox'); $read; COMMIT;");
	is($r->{out}, 't', 'a mapping altered in the same transaction') or diag($r->{err});
	is($c->value($read), 't', '... is given the new token there');
}
{
	# The statement is cancelled while the answer with the new token is on its way.
	$c->fault('path=/services/oauth2/token;count=1;do=slow;bytes-per-second=200');
	my $r = $c->psql("SET statement_timeout = 500; $read;");
	like($r->{err}, qr/ERROR:  57014/, 'a statement that is cancelled while its token is being replaced');
	$c->clear_faults;
	is($c->value($read), 't', '... does not lose it');
}
{
	# The server is killed right after.
	my $job = $c->background("$read;\nSELECT pg_sleep(3600);");
	ok($c->poll(sub { $c->value("SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep%' AND state = 'active'") eq '1' }), 'a session that has just logged in');
	my $pid = $c->value("SELECT pid FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep%'");
	ok($c->crash($pid), '... is killed, and all the server with it');
	$c->finish($job);
	is($c->value($read), 't', '... and the new token was on disk');
}

{
	# The processes of one statement do not exclude each other by locks, and their token dies for all at once.
	my $p = AmpsfTest->start(
		seed => 'big:3000', args => '--rotate-refresh-tokens',
		conf => [
			'max_parallel_workers_per_gather = 2', 'parallel_setup_cost = 0',
			'parallel_tuple_cost = 0',             'min_parallel_table_scan_size = 0' ]);
	$p->run_sql("DROP USER MAPPING FOR postgres SERVER sf; CREATE USER MAPPING FOR postgres SERVER sf OPTIONS (client_id 'sandbox', client_secret 'sandbox', refresh_token 'sandbox');"
		. "ALTER SERVER sf OPTIONS (ADD call_cost '1', ADD transport 'rest'); ALTER FOREIGN TABLE crm.contact OPTIONS (ADD page_size '200')");
	# Two scans at once: pages of one are asked for one after another.
	my $scan = 'SELECT count(l) FROM (SELECT lower(lastname) AS l FROM crm.contact UNION ALL SELECT lower(lastname) FROM crm.contact) q';
	like($p->value("EXPLAIN $scan"), qr/Parallel Append.*Parallel Foreign Scan/s, 'several processes');
	$p->mark;
	for my $skip (0, 2, 5, 8)
	{
		$p->fault("method=GET;path=*/query/*;skip=$skip;count=1;do=expire-token");
		# The first that renews it takes long enough for the others to want the same.
		$p->fault('path=/services/oauth2/token;skip=1;count=1;do=delay;ms=500');
		my $r = $p->psql($scan);
		is($r->{out}, '6000', "... whose token dies at page $skip") or diag($r->{err});
		$p->clear_faults;
	}
	is((grep { $_->{path} eq '/services/oauth2/token' && $_->{status} != 200 } $p->log) + 0, 0, '... use each refresh token once');
	$p->stop;
}
{
	# What Salesforce does with a token that is used twice, so that all of the above has shown something.
	$c->reset_org('demo');
	my $form = 'grant_type=refresh_token&client_id=sandbox&client_secret=sandbox&refresh_token=';
	my @answer = map { [ $c->http('POST', '/services/oauth2/token', $form . $_, 'application/x-www-form-urlencoded') ] } 'sandbox';
	my ($next) = $answer[0][1] =~ /"refresh_token":"([^"]+)"/;
	my ($old_status) = $c->http('POST', '/services/oauth2/token', $form . 'sandbox', 'application/x-www-form-urlencoded');
	my ($next_status) = $c->http('POST', '/services/oauth2/token', $form . $next, 'application/x-www-form-urlencoded');
	is("$answer[0][0] $old_status $next_status", '200 400 400', 'a token used twice takes the one that replaced it with it');
	$c->reset_org('demo');
}
{
	# No process is to be had that could store the token.
	my $full = AmpsfTest->start(seed => 'demo', args => '--rotate-refresh-tokens', conf => ['max_worker_processes = 0']);
	$full->run_sql("DROP USER MAPPING FOR postgres SERVER sf; CREATE USER MAPPING FOR postgres SERVER sf OPTIONS (client_id 'sandbox', client_secret 'sandbox', refresh_token 'sandbox')");
	my $r = $full->psql("$read;\n\\! curl -fsS -X POST " . $full->url . "/__sandbox/expire-sessions >/dev/null\n$read;\n");
	is($r->{out}, "t\nt", 'a token that cannot be stored: the session goes on with it') or diag($r->{err});
	is(() = $r->{err} =~ /WARNING:.*could not be stored\nDETAIL:  no background worker is free/g, 1, '... and warns, once') or diag($r->{err});
	$r = $full->psql($read);
	like($r->{err}, qr/expired access\/refresh token\nHINT:.*Log in anew/, '... the next one is told what to do');
	$full->stop;
}

# -------- doctor knows every error --------

mapping("client_id 'sandbox', client_secret 'sandbox'");
{
	my @errors = map { [split /\t/, $_, -1] } split /\n/, $c->value("SELECT concat_ws(E'\\t', error, coalesce(description, ''), cause, cure) FROM ampsf.login_errors()");
	ok(@errors > 25, 'there is a table of login errors');
	for my $e (@errors)
	{
		my ($error, $description, $cause, $cure) = @$e;
		my $text = $description || 'something that the table does not know';
		$c->fault("path=/services/oauth2/token;count=1;do=status;status=400;body={\"error\":\"$error\",\"error_description\":\"well, $text it is\"}");
		my $row = $c->value("SELECT status || E'\\t' || detail || E'\\t' || advice FROM ampsf.doctor('sf') WHERE step = 'login'");
		my ($status, $detail, $advice) = split /\t/, $row;
		is("$status/$advice", "failed/$cause $cure", "doctor knows $error: $text");
		like($detail, qr/Salesforce says \Q$error: well, $text it is\E/, '... and names it');
		$c->clear_faults;
	}
}

done_testing();
