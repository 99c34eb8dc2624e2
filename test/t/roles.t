# Several roles: each reads with its own credentials, a view with its owner's; who has none is told so; and
# no secret shows anywhere that another role, a plan, an error or the server's log can show it.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use AmpsfTest;
use Test::More;

my $c = AmpsfTest->start(
	seed => 'demo',
	conf => ["log_min_messages = debug1", "log_statement = 'none'", "log_min_error_statement = 'panic'"]);

$c->run_sql(q{
	CREATE ROLE alice LOGIN; CREATE ROLE bob LOGIN; CREATE ROLE carol LOGIN;
	GRANT USAGE ON FOREIGN SERVER sf TO alice, bob, carol;
	GRANT USAGE ON SCHEMA crm TO alice, bob, carol;
	GRANT SELECT, INSERT ON crm.account TO alice, bob, carol;
	CREATE USER MAPPING FOR alice SERVER sf OPTIONS (client_id 'sandbox', client_secret 'sandbox');
	CREATE USER MAPPING FOR bob SERVER sf OPTIONS (client_id 'sandbox', client_secret 'bobs-wrong-secret-4711');
});

my $count = 'SELECT count(*) > 0 FROM crm.account';
is($c->value($count, user => 'alice'), 't', 'a role reads with its own mapping');

# bob's credentials are wrong: alice's must not be used for him, and his secret must not show.
{
	my $r = $c->psql($count, user => 'bob');
	like($r->{err}, qr/ERROR:  28\w{3}: .*log in/, 'wrong credentials are an error of authorization') or diag($r->{err});
	unlike($r->{err}, qr/4711/, '... that does not show the secret');
}
{
	my $r = $c->psql($count, user => 'carol');
	like($r->{err}, qr/user mapping not found/, 'a role without a mapping is told so');
}

# One session changes its role: each login is its own.
$c->mark;
{
	my $r = $c->psql("SET ROLE alice; $count; SET ROLE bob; $count; SET ROLE alice; $count; SET ROLE carol; $count;");
	is($r->{out}, "t\nt", 'in one session the roles do not share a login') or diag($r->{err});
	is($c->logins >= 2, 1, '... alice and bob each tried');
	is(scalar(grep { $_->{path} eq '/services/oauth2/token' && $_->{status} == 200 } $c->log), 1, '... and alice once only');
}

# PUBLIC's mapping is for those who have none.
$c->run_sql("CREATE USER MAPPING FOR PUBLIC SERVER sf OPTIONS (client_id 'sandbox', client_secret 'sandbox')");
is($c->value($count, user => 'carol'), 't', "PUBLIC's mapping serves who has none");
{
	my $r = $c->psql($count, user => 'bob');
	like($r->{err}, qr/ERROR:  28/, '... and not who has one');
}
$c->run_sql('DROP USER MAPPING FOR PUBLIC SERVER sf');

# A view reads with its owner's mapping and rights; security_invoker with the caller's.
$c->run_sql(q{
	CREATE SCHEMA app; GRANT USAGE, CREATE ON SCHEMA app TO alice; GRANT USAGE ON SCHEMA app TO bob, carol;
	SET ROLE alice;
	CREATE VIEW app.names AS SELECT id, name FROM crm.account;
	CREATE VIEW app.own AS SELECT id, name FROM crm.account;
	ALTER VIEW app.own SET (security_invoker = true);
	CREATE FUNCTION app.howmany() RETURNS bool LANGUAGE sql SECURITY DEFINER AS 'SELECT count(*) > 0 FROM crm.account';
	GRANT SELECT ON app.names, app.own TO bob, carol;
});
is($c->value('SELECT count(*) > 0 FROM app.names', user => 'carol'), 't', "a view reads with its owner's mapping");
is($c->value('SELECT count(*) > 0 FROM app.names', user => 'bob'),   't', '... whatever the caller has');
is($c->value('SELECT app.howmany()',               user => 'carol'), 't', '... and so does a security definer function');
{
	my $r = $c->psql('SELECT count(*) FROM app.own', user => 'carol');
	like($r->{err}, qr/user mapping not found/, "a security_invoker view reads with the caller's");
}

# A cached plan is not carried from one role to another.
{
	my $r = $c->psql("PREPARE q AS $count; SET ROLE alice; EXECUTE q; SET ROLE bob; EXECUTE q;");
	is($r->{out}, 't', 'a prepared statement reads with the mapping of the role that executes it');
	like($r->{err}, qr/ERROR:  28/, '... or fails with it');
}

# A changed mapping is noticed by a session that has logged in already.
{
	my $r = $c->psql("$count; ALTER USER MAPPING FOR postgres SERVER sf OPTIONS (SET client_secret 'changed-0815'); $count; "
		. "ALTER USER MAPPING FOR postgres SERVER sf OPTIONS (SET client_secret 'sandbox'); $count;");
	is($r->{out}, "t\nt", 'a changed mapping counts at once') or diag($r->{err});
	like($r->{err}, qr/ERROR:  28/, '... in both directions');
	unlike($r->{err}, qr/0815/, '... and shows no secret');
}

# Who may not write into the server's files may not have them read either.
{
	my $r = $c->psql("CREATE USER MAPPING FOR carol SERVER sf OPTIONS (client_id 'x', username 'y', private_key_file '/etc/passwd')", user => 'carol');
	like($r->{err}, qr/ERROR:  42501: /, 'a role that is no superuser names no files');
	$r = $c->psql("CREATE SERVER own FOREIGN DATA WRAPPER ampsf_fdw OPTIONS (workspace 'x')", user => 'carol');
	like($r->{err}, qr/permission denied/, '... and makes no server unasked');
}

# What alice can see of bob's mapping.
is($c->value("SELECT count(*) FROM pg_user_mappings WHERE usename = 'bob' AND umoptions IS NOT NULL", user => 'alice'),
	'0', "a role sees no other role's options");

# The plan, the error and the log.
{
	my $r = $c->psql("EXPLAIN (VERBOSE, ANALYZE) SELECT name FROM crm.account WHERE name = 'x'");
	unlike($r->{out}, qr/client_secret|Bearer|00D\w{12,15}!/, 'EXPLAIN shows neither secret nor token');
}
$c->fault('path=*/query;count=1;do=status;status=400;code=MALFORMED_QUERY;message=token 00D000000000001EAA!AQ8AQFAbcdefghijk.lmnop_secret rejected');
{
	my $r = $c->psql('SELECT count(name) FROM crm.account');
	like($r->{err}, qr/MALFORMED_QUERY/, "an org's error is shown");
	unlike($r->{err}, qr/lmnop_secret/, '... but not the token that it repeats');
}
$c->clear_faults;
{
	my $log = $c->server_log;
	ok(length $log > 0, 'there is a server log at debug1');
	unlike($log, qr/4711|0815|bobs-wrong/,   '... without any secret of a mapping');
	unlike($log, qr/Bearer |00D\w{12,15}!\S/, '... and without any token');
}

done_testing();
