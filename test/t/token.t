# Tokens: expiry in the middle of a scan, revocation, rotation, JWT, a bare access token; and how many
# logins each of them costs.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use AmpsfTest;
use File::Temp qw(tempdir);
use Test::More;

my $base = tempdir('ampsf-key-XXXXXX', DIR => '/tmp', CLEANUP => 1);
chmod 0755, $base;
system("openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=ampsf-test -keyout $base/key.pem -out $base/cert.pem 2>/dev/null") == 0
  or BAIL_OUT('openssl cannot make a key');
system("openssl genrsa -out $base/other.pem 2048 2>/dev/null");
chmod 0600, "$base/key.pem", "$base/other.pem";
chmod 0644, "$base/cert.pem";
if ($> == 0)
{
	my ($uid, $gid) = (getpwnam 'postgres')[2, 3];
	chown $uid, $gid, "$base/key.pem", "$base/other.pem";
}

my $c = AmpsfTest->start(seed => 'big:5000', args => "--rotate-refresh-tokens --jwt-cert $base/cert.pem");
my $read = 'SELECT count(lower(lastname)) FROM crm.contact';

sub mapping
{
	my ($options) = @_;
	$c->run_sql("DROP USER MAPPING IF EXISTS FOR postgres SERVER sf; CREATE USER MAPPING FOR postgres SERVER sf OPTIONS ($options)");
	$c->mark;
	return;
}

# Client credentials
mapping("client_id 'sandbox', client_secret 'sandbox'");
is($c->value("$read; $read; $read;"), "5000\n5000\n5000", 'three reads in one session');
is($c->logins, 1, '... are one login');

$c->mark;
$c->fault('path=*/query/*;count=1;do=expire-token');
is($c->value($read), '5000', 'a token that expires between two pages costs no row');
is($c->logins, 2, '... but one login more');
$c->clear_faults;

$c->mark;
$c->fault('path=*/query/*;count=0;do=expire-token');
{
	my $r = $c->psql($read);
	like($r->{err}, qr/ERROR:  28/, 'a token that is refused again and again is an error');
	ok($c->logins <= 4, '... not a loop of logins') or diag($c->logins);
}
$c->clear_faults;

{
	my $r = $c->psql("$read;\n\\! curl -fsS -X POST " . $c->url . "/__sandbox/expire-sessions >/dev/null\n$read;\n");
	is($r->{out}, "5000\n5000", 'sessions revoked between two statements: the second logs in again') or diag($r->{err});
}

# disconnect() forgets the token.
$c->mark;
{
	my $r = $c->psql("$read; SELECT count(*) FROM (SELECT ampsf.disconnect('sf')) d; $read;");
	is($r->{out}, "5000\n1\n5000", 'ampsf.disconnect') or diag($r->{err});
	is($c->logins, 2, '... ends the login; the next read makes another');
}

# A refresh token that rotates: test/t/login.t
mapping("client_id 'sandbox', client_secret 'sandbox', refresh_token 'sandbox'");
{
	my $r = $c->psql("$read;\n\\! curl -fsS -X POST " . $c->url . "/__sandbox/expire-sessions >/dev/null\n$read;\n");
	is($r->{out}, "5000\n5000", 'a refresh token that rotates: the session goes on with the new one') or diag($r->{err});
	is($r->{err}, '', '... and has nothing to say about it');
	is($c->logins, 2, '... each login once');
	is($c->value($read), '5000', 'a new session finds the new token in the mapping');
	is($c->logins, 3, '... and needs one login');
}
$c->reset_org('big:5000');

# JWT
mapping("client_id 'sandbox', username 'admin\@sandbox.example', private_key_file '$base/key.pem'");
is($c->value("$read; $read;"), "5000\n5000", 'a JWT login');
is($c->logins, 1, '... is one login');
mapping("client_id 'sandbox', username 'admin\@sandbox.example', private_key_file '$base/other.pem'");
{
	my $r = $c->psql($read);
	like($r->{err}, qr/ERROR:  28\w{3}:/, 'a JWT signed by another key is refused');
}
mapping("client_id 'sandbox', username 'nobody\@sandbox.example', private_key_file '$base/key.pem'");
{
	my $r = $c->psql($read);
	like($r->{err}, qr/ERROR:  28\w{3}:/, 'a JWT for an unknown user is refused');
}
mapping("client_id 'sandbox', username 'admin\@sandbox.example', private_key_file '$base/none.pem'");
{
	my $r = $c->psql($read);
	like($r->{err}, qr/ERROR:  58P01: .*private key file/, 'a key file that is not there');
}
chmod 0644, "$base/key.pem";
mapping("client_id 'sandbox', username 'admin\@sandbox.example', private_key_file '$base/key.pem'");
{
	my $r = $c->psql($read);
	like($r->{err}, qr/group or world access/, 'a key file that all may read is not taken');
}
chmod 0600, "$base/key.pem";

# A token as it is
mapping("access_token '" . $c->token . "'");
is($c->value($read), '5000', 'a given access token');
is($c->logins, 0, '... needs no login');
$c->expire_sessions;
{
	my $r = $c->psql($read);
	like($r->{err}, qr/ERROR:  28\w{3}:/, '... and dies when it expires');
	unlike($r->{err}, qr/00D\w{12,15}!/, '... without being shown');
}

done_testing();
