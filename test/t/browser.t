# A person's login, from end to end: ampsf.login_url(), a real browser at the sandbox's page, ampsf.login().
# Skipped where node, puppeteer-core or Chromium cannot be had.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use AmpsfTest qw(root_dir);
use File::Path qw(make_path);
use File::Temp qw(tempdir);
use Test::More;

my $work = ($ENV{BUILD} || root_dir() . '/build') . '/browser';
my ($chromium) = grep { -x $_ } map { my $p = $_; map { "$_/$p" } split /:/, $ENV{PATH} } qw(chromium chromium-browser google-chrome);
plan skip_all => 'no Chromium' unless $chromium;
for my $program (qw(node npm))
{
	plan skip_all => "no $program" unless grep { -x "$_/$program" } split /:/, $ENV{PATH};
}
make_path($work);
system('cp', root_dir() . '/test/browser/package.json', root_dir() . '/test/browser/login.js', $work) == 0 or BAIL_OUT("cannot copy to $work");
if (!-d "$work/node_modules/puppeteer-core")
{
	system("cd '$work' && npm install --no-audit --no-fund --no-package-lock --loglevel=error >npm.log 2>&1") == 0
	  or plan skip_all => 'npm cannot install puppeteer-core';
}

my $c = AmpsfTest->start(seed => 'demo', args => '--rotate-refresh-tokens');
my $base = tempdir('ampsf-browser-XXXXXX', DIR => '/tmp', CLEANUP => 1);
my $read = 'SELECT count(*) > 0 FROM crm.account';

sub browser
{
	my ($user, $decision) = @_;
	return "\\setenv AUTHORIZE :url\n"
	  . "\\! HOME='$base' node '$work/login.js' '$chromium' \"\$AUTHORIZE\" $user $decision > $base/address 2> $base/page\n"
	  . "\\set address `cat $base/address`\n";
}

sub page
{
	open(my $f, '<', "$base/page") or return '';
	local $/;
	return scalar <$f>;
}

$c->run_sql("DROP USER MAPPING FOR postgres SERVER sf; CREATE USER MAPPING FOR postgres SERVER sf OPTIONS (client_id 'sandbox-public')");
{
	my $r = $c->psql("SELECT ampsf.login_url('sf') AS url \\gset\n" . browser('user1@sandbox.example', 'allow')
		. "SELECT user_id ~ '^005', scope FROM ampsf.login('sf', :'address');\n$read;");
	is($r->{out}, "t|api refresh_token\nt", 'a browser, a person, a token') or diag($r->{err}, page());
	like(page(), qr/Logged in/, '... the page at the end says so');
	is($c->value($read), 't', '... and the next session reads by it');
	is(scalar(grep { ($_->{auth} || '') eq 'user1@sandbox.example' && $_->{path} =~ m{/query} } $c->log), 2, '... in the name of that person');
}
{
	my $r = $c->psql("SELECT ampsf.login_url('sf') AS url \\gset\n" . browser('admin@sandbox.example', 'deny')
		. "SELECT ampsf.login('sf', :'address');");
	like($r->{err}, qr/DETAIL:  Salesforce says access_denied/, 'a person who declines') or diag(page());
	is($c->value($read), 't', '... leaves the token that is there');
}
$c->run_sql("ALTER USER MAPPING FOR postgres SERVER sf OPTIONS (ADD redirect_uri 'https://127.0.0.1:9/callback')");
{
	my $r = $c->psql("SELECT ampsf.login_url('sf') AS url \\gset\n\\echo :url\n");
	like($r->{out}, qr/redirect_uri=https%3A%2F%2F127\.0\.0\.1%3A9%2Fcallback&/, 'another callback URL');
}

done_testing();
