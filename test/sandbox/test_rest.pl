#!/usr/bin/perl
# test_rest.pl BINARY - the sandbox's HTTP side: every resource and every way in which it refuses.
#
# Starts the binary itself, on a free port.  Ends with "N passed, N failed".
use strict;
use warnings;
no warnings qw(exec);
use IO::Socket::INET;
use JSON::PP;
use MIME::Base64 qw(encode_base64);
use POSIX ();
use FindBin qw($Bin);
require "$Bin/test_http.pl";
our ($binary, $tmp, $json, $passed, $failed, $pid, $url, $token, $D);

my @client = (client_id => 'sandbox', client_secret => 'sandbox');

sub test_oauth
{
	my $r = oauth({ grant_type => 'client_credentials', @client });
	my $j = $r->{json} || {};
	check($r->{status} == 200 && $j->{access_token} =~ /^00D\w{12}!AQ/, 'client credentials', $r->{body});
	check(!exists $j->{expires_in} && !exists $j->{refresh_token}, 'neither expires_in nor refresh_token');
	check($j->{instance_url} eq $url, 'instance_url is the URL used', $r->{body});
	check($j->{issued_at} =~ /^\d{13}$/ && $j->{token_type} eq 'Bearer', 'issued_at in milliseconds');
	open my $o, '-|', 'sh', '-c', "printf %s '$j->{id}$j->{issued_at}' | openssl dgst -sha256 -hmac sandbox -binary | openssl base64 -A";
	check(<$o> eq $j->{signature}, 'signature', $j->{signature});
	$token = $j->{access_token};
	$r = oauth({ grant_type => 'client_credentials' },
		headers => { Authorization => 'Basic ' . encode_base64('sandbox:sandbox', '') });
	check($r->{status} == 200, 'client by HTTP Basic', $r->{body});
	$r = oauth({ grant_type => 'refresh_token', refresh_token => 'sandbox', @client });
	check($r->{status} == 200 && !exists $r->{json}{refresh_token}, 'refresh without rotation', $r->{body});
	$r = oauth({ grant_type => 'refresh_token', refresh_token => 'sandbox-user', client_id => 'sandbox-user' });
	check($r->{status} == 200, 'refresh without a secret', $r->{body});
	$r = oauth({ grant_type => 'client_credentials', @client, format => 'urlencoded' });
	check($r->{body} =~ /^access_token=00D/, 'urlencoded answer', $r->{body});
	$r = oauth({ grant_type => 'client_credentials', @client, format => 'xml' });
	check($r->{body} =~ m{<OAuth><access_token>00D}, 'XML answer', $r->{body});

	my @bad = (
		[{ grant_type => 'refresh_token', refresh_token => 'no', @client }, 'invalid_grant', 'expired access/refresh token'],
		[{ grant_type => 'client_credentials', client_id => 'x', client_secret => 'y' }, 'invalid_client_id', 'client identifier invalid'],
		[{ grant_type => 'client_credentials', client_id => 'sandbox', client_secret => 'y' }, 'invalid_client', 'invalid client credentials'],
		[{ grant_type => 'client_credentials', client_id => 'sandbox-no-user', client_secret => 'sandbox' }, 'invalid_grant', 'no client credentials user enabled'],
		[{ grant_type => 'client_credentials', client_id => 'sandbox-not-approved', client_secret => 'sandbox' }, 'invalid_app_access', 'user is not admin approved to access this app'],
		[{ grant_type => 'magic', @client }, 'unsupported_grant_type', 'grant type not supported'],
		[{ grant_type => 'password', username => 'a', password => 'b', @client }, 'invalid_grant', 'authentication failure'],
		[{ grant_type => 'authorization_code', code => 'x', redirect_uri => 'y', @client }, 'invalid_grant', 'invalid authorization code'],
		[{ grant_type => 'urn:ietf:params:oauth:grant-type:jwt-bearer', assertion => 'a.b.c' }, 'invalid_grant', 'invalid assertion'],
	);
	is_oauth_error(oauth($_->[0]), 400, $_->[1], $_->[2], "token $_->[0]{grant_type}") for @bad;
	is_oauth_error(
		oauth({ grant_type => 'client_credentials', @client }, headers => { Host => 'login.salesforce.com' }),
		400, 'invalid_grant', 'request not supported on this domain', 'login host');
	check(http('GET', '/services/oauth2/token', token => undef)->{json}{error} eq 'invalid_request', 'token by GET');

	$r = oauth({ token => $token, @client }, path => '/services/oauth2/introspect');
	check($r->{json}{active} && $r->{json}{username} eq 'admin@sandbox.example', 'introspect', $r->{body});
	$r = oauth({ token => $token, client_id => 'sandbox-user', client_secret => 'sandbox' }, path => '/services/oauth2/introspect');
	check($r->{body} eq '{"active":false}', 'introspect by another app', $r->{body});
	$r = http('GET', '/services/oauth2/userinfo');
	check($r->{status} == 200 && $r->{json}{preferred_username} eq 'admin@sandbox.example', 'userinfo', $r->{body});
	$r = http('GET', '/services/oauth2/userinfo', token => 'x');
	check($r->{status} == 403 && $r->{body} eq 'Bad_OAuth_Token', 'userinfo with a bad token', $r->{body});
	(my $id = $j->{id}) =~ s{^\Q$url\E}{};
	$r = http('GET', $id);
	check($r->{status} == 200 && $r->{json}{username} eq 'admin@sandbox.example', 'identity', $r->{body});
	$r = oauth({ token => $token }, path => '/services/oauth2/revoke');
	check($r->{status} == 200 && $r->{body} eq '', 'revoke', "$r->{status} $r->{body}");
	is_error(soql('SELECT Id FROM Account'), 401, 'INVALID_SESSION_ID', 'revoked token', 'Session expired or invalid');
	check(oauth({ token => $token }, path => '/services/oauth2/revoke')->{status} == 400, 'revoke twice');
	login();
}

sub test_code
{
	my $verifier = 'v' x 64;
	open my $o, '-|', 'sh', '-c', "printf %s $verifier | openssl dgst -sha256 -binary | openssl base64 -A";
	(my $challenge = <$o>) =~ tr{+/=}{-_}d;
	my %ask = (response_type => 'code', client_id => 'sandbox', redirect_uri => 'http://localhost:1/cb', state => 's&1',
		scope => 'api refresh_token', code_challenge => $challenge, code_challenge_method => 'S256');
	my $page = '/services/oauth2/authorize';
	my $r = http('GET', "$page?" . form(%ask), token => undef);
	check($r->{status} == 200 && $r->{body} =~ /<form/ && $r->{body} =~ /value="s&amp;1"/, 'consent page', $r->{body});
	my $post = sub { oauth({ %ask, username => 'admin@sandbox.example', password => 'sandbox', decision => 'allow', @_ }, path => $page) };
	$r = $post->(decision => 'deny');
	check($r->{headers}{location} =~ m{^http://localhost:1/cb\?error=access_denied&.*state=s%261$}, 'denied', $r->{headers}{location});
	$r = $post->(password => 'wrong');
	check($r->{status} == 200 && $r->{body} =~ /check your username/, 'wrong password', $r->{body});
	my $code = sub { my ($c) = $post->(@_)->{headers}{location} =~ /[?&]code=([^&]+)/; return $c };
	my $c = $code->();
	my %swap = (grant_type => 'authorization_code', code => $c, redirect_uri => $ask{redirect_uri}, code_verifier => $verifier, @client);
	$r = oauth(\%swap);
	check($r->{status} == 200 && $r->{json}{refresh_token} =~ /^5Aep861/, 'code for tokens', $r->{body});
	my $first = $r->{json}{refresh_token};
	is_oauth_error(oauth(\%swap), 400, 'invalid_grant', 'expired authorization code', 'code twice');
	is_oauth_error(oauth({ %swap, code => $code->(), code_verifier => 'w' x 64 }), 400, 'invalid_grant', 'invalid code verifier', 'wrong verifier');
	is_oauth_error(oauth({ %swap, code => $code->(), redirect_uri => 'http://localhost:1/x' }), 400,
		'redirect_uri_mismatch', 'redirect_uri must match configuration', 'other redirect');
	check(http('GET', "$page?" . form(%ask, redirect_uri => 'http://example.com/'), token => undef)->{status} == 400, 'redirect elsewhere');
	check(http('GET', "$page?" . form(%ask, client_id => 'x'), token => undef)->{body} =~ /client identifier invalid/, 'unknown client on the page');
	$r = http('GET', "$page?" . form(response_type => 'code', client_id => 'sandbox-public', redirect_uri => 'http://localhost/'), token => undef);
	check($r->{status} == 302 && $r->{headers}{location} =~ /error=invalid_request/, 'public client without PKCE', $r->{body});
	oauth({ %swap, code => $code->() }) for 1 .. 4;
	check(oauth({ grant_type => 'refresh_token', refresh_token => $first, @client })->{status} == 200, 'five approvals');
	oauth({ %swap, code => $code->() });
	is_oauth_error(oauth({ grant_type => 'refresh_token', refresh_token => $first, @client }),
		400, 'invalid_grant', 'expired access/refresh token', 'the sixth approval revokes the oldest');
}

sub test_door
{
	my $r = http('GET', '/services/data/', token => undef);
	check($r->{status} == 200 && $r->{json}[0]{version} eq '31.0' && $r->{json}[0]{label} eq q{Summer '14}, 'versions', $r->{body});
	my ($v60) = grep { $_->{version} eq '60.0' } @{ $r->{json} };
	check($v60->{label} eq q{Spring '24} && $v60->{url} eq '/services/data/v60.0', 'version 60', $json->encode($v60));
	check(http('GET', $D)->{json}{query} eq "$D/query", 'resource map');
	is_error(http('GET', '/services/data/v30.0/sobjects'), 410, 'UNSUPPORTED_API_VERSION', 'retired version');
	is_error(http('GET', '/services/data/v99.0/sobjects'), 404, 'NOT_FOUND', 'future version');
	is_error(http('GET', "$D/nothing"), 404, 'NOT_FOUND', 'unknown resource', 'The requested resource does not exist');
	is_error(http('GET', '/nothing'), 404, 'NOT_FOUND', 'unknown path');
	is_error(http('PUT', "$D/sobjects/Account", body => '{}'), 405, 'METHOD_NOT_ALLOWED', 'PUT', "HTTP Method 'PUT' not allowed");
	is_error(http('POST', "$D/query", body => '{}'), 405, 'METHOD_NOT_ALLOWED', 'query by POST');
	is_error(http('GET', "$D/limits", token => undef), 401, 'INVALID_SESSION_ID', 'no token');
	is_error(http('GET', "$D/limits", token => 'x'), 401, 'INVALID_SESSION_ID', 'unknown token');
	is_error(http('GET', "$D/limits", headers => { Authorization => 'Digest x' }), 401, 'INVALID_AUTH_HEADER', 'odd header');
	check(http('GET', "$D/limits", headers => { Authorization => "OAuth $token" })->{status} == 200, 'OAuth instead of Bearer');
	is_error(http('POST', "$D/sobjects/Account", body => 'x', headers => { 'Content-Type' => 'text/plain' }), 415, 'UNSUPPORTED_MEDIA_TYPE', 'text/plain');
	is_error(http('POST', "$D/sobjects/Account", body => '{"Name": }'), 400, 'JSON_PARSER_ERROR', 'bad JSON', 'line:1');
	is_error(http('POST', "$D/sobjects/Account", body => '{"Name": "x"} y'), 400, 'JSON_PARSER_ERROR', 'JSON and more');
	is_error(http('POST', "$D/sobjects/Account", body => ''), 400, 'JSON_PARSER_ERROR', 'no body');
	is_error(http('POST', "$D/sobjects/Account", body => "{\"Name\":\"\xff\"}"), 400, 'JSON_PARSER_ERROR', 'bad UTF-8');
	is_error(http('GET', "$D/query?q=" . 'x' x 16400), 414, 'URI_TOO_LONG', 'long URI');
	my $head = http('GET', "$D/limits?x=" . 'x' x 16000, headers => { 'X-Long' => 'y' x 500 });
	is_error($head, 431, 'REQUEST_HEADER_FIELDS_TOO_LARGE', 'long head');
	check(http('GET', "$D/limits?x=" . 'x' x 15000)->{status} == 200, 'a URI just within the limit');
	$r = http('GET', "$D/limits", headers => { 'X-PrettyPrint' => 1 });
	check($r->{body} =~ /\n  "DailyApiRequests"/ && $r->{headers}{'sforce-limit-info'} =~ m{^api-usage=\d+/100000$}, 'pretty print, limit info', $r->{body});
	check($r->{json}{DailyApiRequests}{Max} == 100000, 'limits');
	check(http('GET', '/services/data/v35.0/limits')->{headers}{warning} =~ /^299 /, 'old version warns');
	check(http('HEAD', "$D/limits")->{status} == 200, 'HEAD');
	$r = http('GET', "$D/limits/recordCount?sObjects=Account,Nothing,contact");
	check(@{ $r->{json}{sObjects} } == 2 && $r->{json}{sObjects}[1]{name} eq 'Contact', 'recordCount', $r->{body});
}

sub test_describe
{
	my $r = http('GET', "$D/sobjects");
	check($r->{json}{maxBatchSize} == 200 && grep({ $_->{name} eq 'Invoice__c' } @{ $r->{json}{sobjects} }), 'describeGlobal', $r->{body});
	$r = http('GET', "$D/sobjects/account/describe");
	check($r->{json}{name} eq 'Account' && $r->{json}{urls}{describe} eq "$D/sobjects/Account/describe", 'describe', $r->{body});
	my ($date, $etag) = @{ $r->{headers} }{qw(last-modified etag)};
	my $again = http('GET', "$D/sobjects/Account/describe", headers => { 'If-Modified-Since' => $date });
	check($again->{status} == 304 && $again->{body} eq '', 'describe not modified', $again->{status});
	check(http('GET', "$D/sobjects/Account/describe", headers => { 'If-None-Match' => $etag })->{status} == 304, 'describe by ETag');
	check(http('GET', "$D/sobjects/Account/describe", headers => { 'If-Modified-Since' => 'Mon, 01 Jan 2001 00:00:00 GMT' })->{status} == 200, 'describe modified');
	$r = http('GET', "$D/sobjects/Account");
	check($r->{json}{objectDescribe}{name} eq 'Account' && ref $r->{json}{recentItems} eq 'ARRAY', 'sobjects/Account', $r->{body});
	is_error(http('GET', "$D/sobjects/Nothing/describe"), 404, 'NOT_FOUND', 'unknown object');
}

sub contacts    # n contacts that the pages below are made of
{
	my ($n) = @_;
	for (my $i = 0 ; $i < $n ; $i += 200)
	{
		my @records = map { { attributes => { type => 'Contact' }, LastName => "Page $_" } } $i .. $i + 199;
		http('POST', "$D/composite/sobjects", body => { records => \@records });
	}
}

# More child rows than a batch: the rest is behind a locator of its own, which the user's limit does not count.
sub test_children
{
	my $acc = http('POST', "$D/sobjects/Account", body => { Name => 'Many children' })->{json}{id};
	for my $page (0 .. 2)
	{
		http('POST', "$D/composite/sobjects",
			body => { records => [map { { attributes => { type => 'Contact' }, AccountId => $acc, LastName => sprintf('Child %03d', $page * 200 + $_) } } 0 .. 199] });
	}
	my %h = (headers => { 'Sforce-Query-Options' => 'batchSize=250' });
	my $q = "SELECT Name, (SELECT LastName, Id FROM Contacts WHERE LastName != 'Child 005' ORDER BY LastName DESC) FROM Account WHERE Id = '$acc'";
	my ($r, $again) = (soql($q, %h), soql($q, %h));
	my $c = $r->{json}{records}[0]{Contacts};
	check($r->{json}{done} && $c->{totalSize} == 599 && !$c->{done} && @{ $c->{records} } == 249 && $c->{nextRecordsUrl} =~ m{/query/01g\w{15}-249$} && $c->{records}[0]{LastName} eq 'Child 599',
		'first child page', substr($r->{body}, 0, 300));
	check($again->{json}{records}[0]{Contacts}{nextRecordsUrl} ne $c->{nextRecordsUrl}, 'locators of children are not shared');
	http('PATCH', "$D/sobjects/Account/$acc", body => { Name => 'Meanwhile' });
	soql('SELECT Id, LastName FROM Contact', headers => { 'Sforce-Query-Options' => 'batchSize=200' }) for 1 .. 12;
	my @names = map { $_->{LastName} } @{ $c->{records} };
	while (!$c->{done})
	{
		$c = http('GET', $c->{nextRecordsUrl})->{json};
		last if ref $c ne 'HASH';
		push @names, map { $_->{LastName} } @{ $c->{records} };
	}
	check(join(' ', @names) eq join(' ', reverse map { sprintf 'Child %03d', $_ } grep { $_ != 5 } 0 .. 599), 'every child once, in order', "@names[0..5]");
	$c = soql("SELECT (SELECT Id FROM Contacts) FROM Account WHERE Id = '$acc'")->{json}{records}[0]{Contacts};
	check($c->{totalSize} == 600 && @{ $c->{records} } == 499, 'children come by 499: the parent counts');
	$c = http('GET', "$D/queryAll?q=" . enc("SELECT (SELECT Id FROM Contacts LIMIT 210) FROM Account WHERE Id = '$acc'"), headers => { 'Sforce-Query-Options' => 'batchSize=200' })->{json}{records}[0]{Contacts};
	check($c->{totalSize} == 210 && $c->{nextRecordsUrl} =~ m{/queryAll/} && @{ http('GET', $c->{nextRecordsUrl})->{json}{records} } == 11, 'LIMIT of children');
}

sub test_query
{
	contacts(2400);
	my $q = q{SELECT Id, LastName FROM Contact WHERE LastName LIKE 'Page %'};
	my $r = soql($q);
	check($r->{body} =~ m/^\{"totalSize":2400,"done":false,"nextRecordsUrl":"\Q$D\E\/query\/01g\w{15}-2000","records":\[\{"attributes"/,
		'first page', substr($r->{body}, 0, 200));
	my $next = $r->{json}{nextRecordsUrl};
	check(@{ $r->{json}{records} } == 2000, '2000 rows a page');
	my $p2 = http('GET', $next);
	check($p2->{json}{done} && !exists $p2->{json}{nextRecordsUrl} && @{ $p2->{json}{records} } == 400, 'last page', substr($p2->{body}, 0, 200));
	my %seen = map { $_->{Id} => 1 } @{ $r->{json}{records} }, @{ $p2->{json}{records} };
	check(keys %seen == 2400, 'every row once');
	check(http('GET', $next, gzip => 1)->{body} eq $p2->{body}, 'gzip is the same page');
	check(http('GET', $next, gzip => 1)->{headers}{'content-encoding'} eq 'gzip', 'gzip when asked');
	check(soql($q, gzip => 1)->{json}{totalSize} == 2400, 'gzip of head and cached page');
	is_error(http('GET', $next, token => other()), 400, 'INVALID_QUERY_LOCATOR', "another user's locator", 'invalid query locator');
	is_error(http('GET', "$D/query/01g5g0000000001AAA-2000"), 400, 'INVALID_QUERY_LOCATOR', 'unknown locator');
	(my $beyond = $next) =~ s/-2000$/-2400/;
	is_error(http('GET', $beyond), 400, 'INVALID_QUERY_LOCATOR', 'beyond the end');
	$r = soql($q, headers => { 'Sforce-Query-Options' => 'batchSize=500' });
	check(@{ $r->{json}{records} } == 500 && $r->{json}{nextRecordsUrl} =~ /-500$/, 'batchSize=500');
	check(@{ http('GET', $r->{json}{nextRecordsUrl})->{json}{records} } == 500, 'the batch size stays');
	check(@{ soql($q, headers => { 'Sforce-Query-Options' => 'batchSize=1' })->{json}{records} } == 200, 'batchSize below 200 is 200');
	check(@{ soql($q, headers => { 'Sforce-Query-Options' => 'batchSize=9999' })->{json}{records} } == 2000, 'batchSize above 2000 is 2000');
	$r = soql("$q ORDER BY Id LIMIT 2400 OFFSET 10", headers => { 'Sforce-Query-Options' => 'batchSize=200' });
	check($r->{json}{done} && @{ $r->{json}{records} } == 200, 'OFFSET gives the first batch only', substr($r->{body}, 0, 200));
	$r = soql('SELECT COUNT() FROM Contact WHERE LastName LIKE \'Page %\'');
	check($r->{body} eq '{"totalSize":2400,"done":true,"records":[]}', 'COUNT()', $r->{body});
	is_error(soql("SELECT LastName, COUNT(Id) FROM Contact WHERE LastName LIKE 'Page %' GROUP BY LastName LIMIT 300",
			headers => { 'Sforce-Query-Options' => 'batchSize=200' }), 400, 'EXCEEDED_ID_LIMIT', 'groups beyond a batch', 'does not support queryMore');
	my ($locator) = soql($q)->{json}{nextRecordsUrl};
	soql("$q AND Id != null AND LastName != 'x$_'") for 1 .. 9;
	check(http('GET', $locator)->{status} == 200, 'ten locators live');
	$locator = soql("$q AND LastName != 'y'")->{json}{nextRecordsUrl};
	soql("$q AND LastName != 'x$_'") for 1 .. 10;
	is_error(http('GET', $locator), 400, 'INVALID_QUERY_LOCATOR', 'the eleventh releases the oldest');
	my $before = soql($q);
	my $id = $before->{json}{records}[0]{Id};
	http('PATCH', "$D/sobjects/Contact/$id", body => { LastName => 'Page changed' });
	check(soql($q)->{json}{records}[0]{LastName} eq 'Page changed', 'a change is seen at once, cache or not');
	http('DELETE', "$D/sobjects/Contact/$id");
	check(soql($q)->{json}{totalSize} == 2399, 'a deleted row is gone');
	$r = http('GET', "$D/queryAll?q=" . enc("$q AND IsDeleted = true"));
	check($r->{json}{totalSize} == 1, 'queryAll has it', $r->{body});
	is_error(http('GET', "$D/query"), 400, 'MALFORMED_QUERY', 'no q');
	is_error(soql('SELEC Id FROM Account'), 400, 'MALFORMED_QUERY', 'malformed');
	is_error(soql('SELECT Foo FROM Account'), 400, 'INVALID_FIELD', 'unknown column', "No such column 'Foo' on entity 'Account'");
	is_error(soql('SELECT Id FROM Foo'), 400, 'INVALID_TYPE', 'unknown type', "sObject type 'Foo' is not supported");
	$r = http('GET', "$D/query?explain=" . enc('SELECT Id FROM Account'));
	check($r->{json}{plans}[0]{sobjectType} eq 'Account', 'explain', $r->{body});
	is_error(http('GET', "$D/query?explain=x"), 400, 'MALFORMED_QUERY', 'explain of nonsense');
}

sub other
{
	return oauth({ grant_type => 'refresh_token', refresh_token => 'sandbox-user', client_id => 'sandbox-user' })->{json}{access_token};
}

sub test_rows
{
	my $r = http('POST', "$D/sobjects/Account", body => { Name => 'Row', NumberOfEmployees => 5 });
	my $id = $r->{json}{id};
	check($r->{status} == 201 && $r->{json}{success} && $r->{headers}{location} eq "$D/sobjects/Account/$id", 'create', $r->{body});
	$r = http('GET', "$D/sobjects/Account/$id?fields=Name,numberofemployees");
	check($r->{status} == 200 && $r->{json}{NumberOfEmployees} == 5 && !exists $r->{json}{Phone}, 'read with fields', $r->{body});
	check(http('GET', "$D/sobjects/Account/" . substr($id, 0, 15))->{json}{Name} eq 'Row', 'read by 15 characters');
	is_error(http('GET', "$D/sobjects/Account/$id?fields=Foo"), 400, 'INVALID_FIELD', 'read an unknown field');
	is_error(http('GET', "$D/sobjects/Account/001000000000000AAA"), 404, 'NOT_FOUND', 'read no row');
	is_error(http('GET', "$D/sobjects/Account/abc"), 404, 'NOT_FOUND', 'read by no Id');
	check(http('GET', "$D/sobjects/Account/$id", headers => { 'If-Modified-Since' => $r->{headers}{'last-modified'} })->{status} == 304, 'row not modified');
	is_error(http('PATCH', "$D/sobjects/Account/$id", body => { Name => 'x' }, headers => { 'If-Unmodified-Since' => 'Mon, 01 Jan 2001 00:00:00 GMT' }),
		412, 'PRECONDITION_FAILED', 'update of what has changed');
	$r = http('PATCH', "$D/sobjects/Account/$id", body => { Name => 'Row 2', NumberOfEmployees => undef });
	check($r->{status} == 204 && $r->{body} eq '', 'update', "$r->{status} $r->{body}");
	check(!defined http('GET', "$D/sobjects/Account/$id")->{json}{NumberOfEmployees}, 'null clears');
	check(http('POST', "$D/sobjects/Account/$id?_HttpMethod=PATCH", body => { Name => 'Row 3' })->{status} == 204, '_HttpMethod=PATCH');
	is_error(http('PATCH', "$D/sobjects/Account/$id", body => { Id => $id }), 400, 'INVALID_FIELD', 'Id in the body', 'The Id field should not be specified in the sobject data.');
	is_error(http('PATCH', "$D/sobjects/Account/$id", body => { Foo => 1 }), 400, 'INVALID_FIELD', 'update an unknown field');
	$r = http('POST', "$D/sobjects/Contact", body => { FirstName => 'x' });
	is_error($r, 400, 'REQUIRED_FIELD_MISSING', 'required field', 'Required fields are missing: [LastName]');
	check($json->encode($r->{json}[0]{fields}) eq '["LastName"]', 'fields of the error', $r->{body});
	is_error(http('POST', "$D/sobjects/Nothing", body => {}), 404, 'NOT_FOUND', 'create of no object');

	my $key = "$D/sobjects/Invoice__c/Ext_Id__c/" . enc('a/b é');
	$r = http('PATCH', $key, body => { Amount__c => 1 });
	check($r->{status} == 201 && $r->{json}{created}, 'upsert inserts', $r->{body});
	my $inv = $r->{json}{id};
	$r = http('PATCH', $key, body => { Amount__c => 2 });
	check($r->{status} == 200 && !$r->{json}{created} && $r->{json}{id} eq $inv, 'upsert updates', $r->{body});
	check(http('PATCH', "/services/data/v45.0/sobjects/Invoice__c/Ext_Id__c/" . enc('a/b é'), body => { Amount__c => 3 })->{status} == 204, 'upsert of old versions');
	check(http('GET', $key)->{json}{Id} eq $inv, 'read by external id');
	is_error(http('GET', "$D/sobjects/Invoice__c/Ext_Id__c/none"), 404, 'NOT_FOUND', 'no such external id');
	is_error(http('PATCH', $key, body => { Ext_Id__c => 'x' }), 400, 'INVALID_FIELD', 'key in the body', 'The Ext_Id__c field should not be specified');
	is_error(http('PATCH', "$D/sobjects/Invoice__c/Amount__c/1", body => {}), 404, 'NOT_FOUND', 'no external id', 'Provided external ID field');
	check(http('DELETE', $key)->{status} == 204, 'delete by external id');
	$r = http('POST', "$D/sobjects/Account/Id", body => { Name => 'By Id' });
	check($r->{status} == 201 && $r->{json}{created}, 'POST to Id', $r->{body});
	check(http('DELETE', "$D/sobjects/Account/$id")->{status} == 204, 'delete');
	is_error(http('DELETE', "$D/sobjects/Account/$id"), 404, 'ENTITY_IS_DELETED', 'delete twice', 'entity is deleted');
	is_error(http('GET', "$D/sobjects/Account/$id"), 404, 'NOT_FOUND', 'read of a deleted row');
	my $gz = `printf '{"Name":"zipped"}' | gzip -c`;
	check(http('POST', "$D/sobjects/Account", body => $gz, headers => { 'Content-Encoding' => 'gzip' })->{status} == 201, 'gzip body');
	is_error(http('POST', "$D/sobjects/Account", body => 'plain', headers => { 'Content-Encoding' => 'gzip' }), 400, 'JSON_PARSER_ERROR', 'gzip body that is none');
	$r = http('POST', "$D/sobjects/ContentVersion", body => { Title => 'b', PathOnClient => 'b.txt', VersionData => encode_base64("bytes\0of", '') });
	my $cv = $r->{json}{id} // '';
	$r = http('GET', "$D/sobjects/ContentVersion/$cv/VersionData");
	check($r->{status} == 200 && $r->{body} eq "bytes\0of", 'blob', "$r->{status} $r->{body}");
}

sub test_collections
{
	my $known = http('POST', "$D/sobjects/Account", body => { Name => 'Known' })->{json}{id};
	my $gone = http('POST', "$D/sobjects/Account", body => { Name => 'Gone' })->{json}{id};
	http('DELETE', "$D/sobjects/Account/$gone");
	my $codes = http('PATCH', "$D/composite/sobjects",
		body => { records => [map { { attributes => { type => 'Account' }, Name => 'x', defined $_ ? (id => $_) : () } }
				('0015g0000000ZZZAAA', '003000000000001', 'junk', undef, $gone, $known)] });
	check(join(' ', map { $_->{success} ? 'ok' : $_->{errors}[0]{statusCode} . (exists $_->{id} ? ' with id' : '') } @{ $codes->{json} })
			eq 'NOT_FOUND MALFORMED_ID MALFORMED_ID MISSING_ARGUMENT ENTITY_IS_DELETED ok', 'ids that are none, row by row', $codes->{body});
	my $c = "$D/composite/sobjects";
	my @rows = map { { attributes => { type => 'Account' }, Name => "Coll $_" } } 1 .. 3;
	my $r = http('POST', $c, body => { records => \@rows });
	my @ids = map { $_->{id} } @{ $r->{json} };
	check($r->{status} == 200 && @ids == 3 && $r->{json}[2]{success} && !@{ $r->{json}[2]{errors} }, 'create three', $r->{body});
	my $names = sub { my $g = http('GET', "$c/Account?ids=" . join(',', @ids) . '&fields=Name'); return join '|', map { $_ ? $_->{Name} : 'null' } @{ $g->{json} } };
	check($names->() eq 'Coll 1|Coll 2|Coll 3', 'retrieve in order', $names->());
	$r = http('POST', "$c/Account", body => { ids => [@ids, '001000000000000AAA'], fields => ['Id'] });
	check(@{ $r->{json} } == 4 && !defined $r->{json}[3], 'retrieve by POST, null for a missing one', $r->{body});
	my @bad = ({ attributes => { type => 'Account' }, Name => 'Good' }, { attributes => { type => 'Contact' }, FirstName => 'x' });
	$r = http('POST', $c, body => { records => \@bad });
	my $e = $r->{json}[1];
	check($r->{status} == 200 && $r->{json}[0]{success} && !$e->{success} && !exists $e->{id}
		  && $e->{errors}[0]{statusCode} eq 'REQUIRED_FIELD_MISSING' && $e->{errors}[0]{fields}[0] eq 'LastName', 'one of two refused', $r->{body});
	my $before = soql('SELECT COUNT() FROM Account')->{json}{totalSize};
	$r = http('POST', $c, body => { allOrNone => JSON::PP::true, records => \@bad });
	check($r->{status} == 200 && $r->{json}[0]{errors}[0]{statusCode} eq 'ALL_OR_NONE_OPERATION_ROLLED_BACK', 'all or none', $r->{body});
	check(soql('SELECT COUNT() FROM Account')->{json}{totalSize} == $before, 'nothing written');
	$r = http('PATCH', $c, body => { records => [{ attributes => { type => 'Account' }, id => $ids[0], Name => 'New' }, { attributes => { type => 'Account' }, Name => 'x' },
				{ attributes => { type => 'Account' }, id => $ids[1], Foo => 1 }, { attributes => { type => 'Contact' }, id => $ids[1], LastName => 'y' }] });
	my @codes = map { $_->{success} ? 'ok' : $_->{errors}[0]{statusCode} } @{ $r->{json} };
	check("@codes" eq 'ok MISSING_ARGUMENT INVALID_FIELD MALFORMED_ID', 'update', $r->{body});
	my $up = sub { http('PATCH', "$c/Invoice__c/Ext_Id__c", body => { records => [map { { attributes => { type => 'Invoice__c' }, %$_ } } @_] }) };
	$r = $up->({ Ext_Id__c => 'C1', Amount__c => 1 }, { Ext_Id__c => 'C2' });
	check($r->{json}[0]{created} && $r->{json}[1]{created}, 'upsert inserts', $r->{body});
	$r = $up->({ Ext_Id__c => 'C1', Amount__c => 2 }, { Amount__c => 3 }, { Ext_Id__c => 'C3' }, { Ext_Id__c => 'c3' });
	@codes = map { $_->{success} ? ($_->{created} ? 'new' : 'old') : $_->{errors}[0]{statusCode} } @{ $r->{json} };
	check("@codes" eq 'old MISSING_ARGUMENT DUPLICATE_VALUE DUPLICATE_VALUE', 'upsert', $r->{body});
	is_error(http('POST', $c, body => { records => [] }), 400, 'REQUIRED_FIELD_MISSING', 'empty list', 'At least 1 record is required');
	is_error(http('POST', $c, body => { records => [(\%{ $rows[0] }) x 201] }), 400, 'EXCEEDED_ID_LIMIT', '201 records', 'record limit reached');
	is_error(http('POST', $c, body => { records => [{ Name => 'x' }] }), 400, 'INVALID_TYPE', 'no type');
	is_error(http('POST', $c, body => { records => [(@bad) x 6] }), 400, 'TOO_MANY_CHUNKS', '12 chunks');
	$r = http('DELETE', "$c?ids=$ids[0],abc,$ids[1]&allOrNone=true");
	@codes = map { $_->{success} ? 'ok' : $_->{errors}[0]{statusCode} } @{ $r->{json} };
	check("@codes" eq 'ALL_OR_NONE_OPERATION_ROLLED_BACK MALFORMED_ID ALL_OR_NONE_OPERATION_ROLLED_BACK', 'delete all or none', $r->{body});
	$r = http('DELETE', "$c?ids=" . join ',', @ids);
	check(3 == grep({ $_->{success} } @{ $r->{json} }), 'delete', $r->{body});
	check($names->() eq 'null|null|null', 'retrieve of deleted ones');
}

sub test_composite
{
	my $sub = sub { my ($m, $u, $ref, $body) = @_; return { method => $m, url => "$D/$u", referenceId => $ref, $body ? (body => $body) : () } };
	my $r = http('POST', "$D/composite", body => { compositeRequest => [
				$sub->('POST', 'sobjects/Account', 'acc', { Name => 'Comp' }),
				$sub->('POST', 'sobjects/Contact', 'con', { LastName => 'Comp', AccountId => '@{acc.id}' }),
				$sub->('GET', 'query?q=' . enc('SELECT Id, Name FROM Account WHERE Id = \'') . '@{acc.id}' . enc("'"), 'q'),
				$sub->('GET', 'sobjects/Account/@{q.records[0].Id}?fields=Name', 'get')] });
	my $c = $r->{json}{compositeResponse};
	check($r->{status} == 200 && join(' ', map { $_->{httpStatusCode} } @$c) eq '201 201 200 200' && $c->[3]{body}{Name} eq 'Comp'
		  && $c->[0]{httpHeaders}{Location} =~ m{/Account/}, 'composite with references', $r->{body});
	my @fail = ($sub->('POST', 'sobjects/Account', 'a', { Name => 'Undone' }), $sub->('POST', 'sobjects/Contact', 'b', {}), $sub->('GET', 'limits', 'c'));
	$r = http('POST', "$D/composite", body => { allOrNone => JSON::PP::true, compositeRequest => \@fail });
	check(join(' ', map { $_->{body}[0]{errorCode} } @{ $r->{json}{compositeResponse} }) eq 'PROCESSING_HALTED REQUIRED_FIELD_MISSING PROCESSING_HALTED', 'composite all or none', $r->{body});
	check(soql("SELECT COUNT() FROM Account WHERE Name = 'Undone'")->{json}{totalSize} == 0, 'composite rolled back');
	$r = http('POST', "$D/composite", body => { compositeRequest => [$sub->('GET', 'sobjects/Account/@{no.id}', 'x')] });
	check($r->{json}{compositeResponse}[0]{body}[0]{errorCode} eq 'PROCESSING_HALTED', 'unknown reference', $r->{body});
	is_error(http('POST', "$D/composite", body => { compositeRequest => [map { $sub->('GET', 'limits', "r$_") } 1 .. 26] }), 400, 'LIMIT_EXCEEDED', '26 subrequests');
	is_error(http('POST', "$D/composite", body => { compositeRequest => [map { $sub->('GET', 'query?q=x', "r$_") } 1 .. 6] }), 400, 'LIMIT_EXCEEDED', '6 queries');
	is_error(http('POST', "$D/composite", body => { compositeRequest => [map { $sub->('GET', 'limits', 'r') } 1 .. 2] }), 400, 'INVALID_INPUT', 'duplicate reference');
	my $deep = http('POST', "$D/composite", body => { compositeRequest => [$sub->('POST', 'composite', 'r', { compositeRequest => [] })] });
	check($deep->{json}{compositeResponse}[0]{httpStatusCode} == 404, 'no composite in a composite', $deep->{body});

	my $used = sub { http('GET', '/__sandbox/stats', token => undef)->{json}{apiCalls} };
	my $n = $used->();
	$r = http('POST', "$D/composite/batch", body => { batchRequests => [{ method => 'GET', url => 'v62.0/limits' }, { method => 'GET', url => 'v62.0/nothing' },
				{ method => 'PATCH', url => 'v62.0/sobjects/Account/001000000000000AAA', richInput => { Name => 'x' } }] });
	check($r->{json}{hasErrors} && join(' ', map { $_->{statusCode} } @{ $r->{json}{results} }) eq '200 404 404', 'batch', $r->{body});
	check($used->() == $n + 1, 'a batch is one call');
	$r = http('POST', "$D/composite/batch", body => { haltOnError => JSON::PP::true, batchRequests => [{ method => 'GET', url => 'v62.0/nothing' }, { method => 'GET', url => 'v62.0/limits' }] });
	check($r->{json}{results}[1]{statusCode} == 412 && $r->{json}{results}[1]{result}[0]{errorCode} eq 'BATCH_PROCESSING_HALTED', 'haltOnError', $r->{body});

	my $at = sub { my ($t, $ref) = @_; return (attributes => { type => $t, referenceId => $ref }) };
	$r = http('POST', "$D/composite/tree/Account", body => { records => [{ $at->('Account', 'r1'), Name => 'Tree', Contacts => { records => [{ $at->('Contact', 'r2'), LastName => 'Leaf' }] } }] });
	check($r->{status} == 201 && !$r->{json}{hasErrors} && @{ $r->{json}{results} } == 2, 'tree', $r->{body});
	check(soql("SELECT Account.Name FROM Contact WHERE LastName = 'Leaf'")->{json}{records}[0]{Account}{Name} eq 'Tree', 'tree links the child');
	$r = http('POST', "$D/composite/tree/Account", body => { records => [{ $at->('Account', 'r1'), Name => 'Tree 2', Contacts => { records => [{ $at->('Contact', 'r2') }] } }] });
	check($r->{status} == 400 && $r->{json}{hasErrors} && $r->{json}{results}[0]{referenceId} eq 'r2' && $r->{json}{results}[0]{errors}[0]{statusCode} eq 'REQUIRED_FIELD_MISSING', 'tree refused', $r->{body});
	check(soql("SELECT COUNT() FROM Account WHERE Name = 'Tree 2'")->{json}{totalSize} == 0, 'tree rolled back');
	$r = http('POST', "$D/composite/graph", body => { graphs => [{ graphId => 'g1', compositeRequest => [$sub->('POST', 'sobjects/Account', 'a', { Name => 'Graph' })] },
				{ graphId => 'g2', compositeRequest => [$sub->('POST', 'sobjects/Account', 'a', { Name => 'Graph' }), $sub->('POST', 'sobjects/Contact', 'b', {})] }] });
	check($r->{json}{graphs}[0]{isSuccessful} && !$r->{json}{graphs}[1]{isSuccessful}, 'graph', $r->{body});
	check(soql("SELECT COUNT() FROM Account WHERE Name = 'Graph'")->{json}{totalSize} == 1, 'a graph is a transaction');
}

sub test_replication
{
	post_admin('now?t=2030-05-01T12:00:00Z');
	is_error(http('POST', "$D/sobjects/Account", body => '{"Name":"a\u0000b"}'), 400, 'JSON_PARSER_ERROR', 'a NUL in a text');
	my $id = http('POST', "$D/sobjects/Account", body => { Name => 'Rep' })->{json}{id};
	my $gone = http('POST', "$D/sobjects/Account", body => { Name => 'Gone' })->{json}{id};
	post_admin('now?t=2030-05-01T12:20:00Z');
	http('DELETE', "$D/sobjects/Account/$gone");
	post_admin('now?t=2030-05-01T13:00:00Z');
	my $win = 'start=2030-05-01T11:00:00%2B00:00&end=2030-05-01T12:30:00Z';
	my $r = http('GET', "$D/sobjects/Account/updated/?$win");
	check($json->encode($r->{json}) eq qq({"ids":["$id"],"latestDateCovered":"2030-05-01T12:30:00.000+0000"}), 'updated', $r->{body});
	$r = http('GET', "$D/sobjects/Account/deleted/?$win");
	check($r->{json}{deletedRecords}[0]{id} eq $gone && $r->{json}{deletedRecords}[0]{deletedDate} eq '2030-05-01T12:20:00.000+0000'
		  && $r->{json}{earliestDateAvailable} eq '2030-04-16T13:00:00.000+0000', 'deleted', $r->{body});
	check(@{ http('GET', "$D/sobjects/Account/deleted?start=2030-05-01T11:00:00Z&end=2030-05-01T12:10:00Z")->{json}{deletedRecords} } == 0,
		'deleted goes by the time of the deletion, not of the last change');
	is_error(http('GET', "$D/sobjects/Account/deleted?start=2030-04-10T00:00:00Z&end=2030-05-01T00:00:00Z"), 400, 'INVALID_REPLICATION_DATE', 'deleted 21 days ago');
	check(http('GET', "$D/sobjects/Account/updated?start=2030-04-10T00:00:00Z&end=2030-05-01T00:00:00Z")->{status} == 200, 'updated 21 days ago');
	is_error(http('GET', "$D/sobjects/Account/updated?start=2030-03-10T00:00:00Z&end=2030-05-01T00:00:00Z"), 400, 'INVALID_REPLICATION_DATE', 'updated 52 days ago');
	is_error(http('GET', "$D/sobjects/Account/updated?start=2030-05-01T12:00:10Z&end=2030-05-01T12:00:50Z"), 400, 'INVALID_REPLICATION_DATE', 'half a minute', 'one minute');
	is_error(http('GET', "$D/sobjects/Account/updated?start=x&end=2030-05-01T12:00:50Z"), 400, 'INVALID_REPLICATION_DATE', 'no date');
	post_admin('now?t=off');
}

sub test_faults
{
	my $q = 'SELECT Id FROM Account LIMIT 5';
	fault('path=*/query;do=status;status=503;code=X;message=a;b;retry-after=7;skip=1;count=2');
	check(soql($q)->{status} == 200, 'skip=1');
	my $r = soql($q);
	is_error($r, 503, 'X', 'status fault', 'a;b');
	check($r->{headers}{'retry-after'} eq '7', 'Retry-After');
	check(soql($q)->{status} == 503 && soql($q)->{status} == 200, 'count=2');
	fault('match=LIMIT 5;do=html;status=502');
	check(soql('SELECT Id FROM Account LIMIT 4')->{status} == 200, 'match spares others');
	$r = soql($q);
	check($r->{status} == 502 && $r->{headers}{'content-type'} =~ /html/, 'html', $r->{body});
	fault("path=*/token;do=status;status=400;code=invalid_grant;message=no");
	is_oauth_error(oauth({ grant_type => 'client_credentials', @client }), 400, 'invalid_grant', 'no', 'fault of the token endpoint');

	my $count = sub { soql("SELECT COUNT() FROM Account WHERE Name = '$_[0]'")->{json}{totalSize} };
	my $write = sub { http('POST', "$D/sobjects/Account", body => { Name => $_[0] }) };
	fault('method=POST;path=*/Account;do=reset-before');
	$r = $write->('Fault 1');
	check($r->{curl} == 56 && $count->('Fault 1') == 0, 'reset before: nothing done', "curl $r->{curl}");
	fault('method=POST;path=*/Account;do=reset-after');
	$r = $write->('Fault 2');
	check($r->{curl} == 56 && $r->{status} == 0 && $count->('Fault 2') == 1, 'reset after: done, no answer', "curl $r->{curl} status $r->{status}");
	fault('method=POST;path=*/Account;do=reset-middle');
	$r = $write->('Fault 3');
	check($r->{curl} == 56 && $r->{status} == 201 && length $r->{body} && !$r->{json} && $count->('Fault 3') == 1, 'reset in the middle', "curl $r->{curl} $r->{body}");
	check(http('POST', '/__sandbox/faults', body => "do=status;status=$_", token => undef)->{status} == 400, "no fault of status $_") for 0, 100, 600, 99999;
	fault('path=*/query;do=truncate-json');
	$r = soql($q);
	check($r->{curl} == 0 && $r->{status} == 200 && !$r->{json} && $r->{headers}{'content-length'} == length $r->{body}, 'truncated JSON', $r->{body});
	fault('path=*/query;do=content-type');
	$r = soql($q);
	check($r->{headers}{'content-type'} =~ /^text\/html/ && $r->{json}{done}, 'content type', $r->{body});
	fault('path=*/query;do=slow;bytes-per-second=20000');
	check(soql($q)->{json}{totalSize} == 5, 'slow is whole');
	fault('path=*/query;do=delay;ms=30');
	check(soql($q)->{json}{totalSize} == 5, 'delay is whole');
	fault('path=*/query;do=hold');
	my $held = fork // die "fork: $!";
	if (!$held)
	{
		mkdir($tmp .= '/held');
		my $rows = soql($q)->{json}{totalSize} // 0;
		POSIX::_exit($rows == 5 ? 0 : 1);
	}
	my $struck = sub { http('GET', '/__sandbox/faults', token => undef)->{json}{faults}[0]{struck} };
	for (1 .. 1200) { last if $struck->(); select undef, undef, undef, 0.1 }
	check(waitpid($held, POSIX::WNOHANG()) == 0, 'a request is held');
	http('DELETE', '/__sandbox/faults', token => undef);
	check(waitpid($held, 0) == $held && $? == 0, 'until the faults are removed');
	fault('path=*/query;do=expire-token');
	is_error(soql($q), 401, 'INVALID_SESSION_ID', 'expire-token');
	is_error(soql($q), 401, 'INVALID_SESSION_ID', 'the token stays dead');
	login();
	my $next = soql('SELECT Id FROM Contact')->{json}{nextRecordsUrl};
	fault('path=*/query/*;do=dead-locator');
	is_error(http('GET', $next), 400, 'INVALID_QUERY_LOCATOR', 'dead-locator');
	fault('do=lock-row;count=2');
	is_error($write->('Fault 4'), 400, 'UNABLE_TO_LOCK_ROW', 'lock-row', 'unable to obtain exclusive access');
	$r = http('POST', "$D/composite/sobjects", body => { records => [map { { attributes => { type => 'Account' }, Name => "Fault $_" } } 5, 6] });
	check(!$r->{json}[0]{success} && $r->{json}[0]{errors}[0]{statusCode} eq 'UNABLE_TO_LOCK_ROW' && $r->{json}[1]{success}, 'lock-row of the first', $r->{body});
	$r = post_admin('faults', 'do=nothing');
	check($r->{status} == 400, 'a fault that makes no sense', $r->{body});
	fault('path=*;do=status;count=0');
	check(soql($q)->{status} == 503 && soql($q)->{status} == 503, 'count=0 is for ever');
	http('DELETE', '/__sandbox/faults', token => undef);
	check(soql($q)->{status} == 200, 'faults removed');
}

sub test_admin
{
	my $stats = sub { http('GET', '/__sandbox/stats', token => undef)->{json} };
	check(post_admin('reset?seed=empty')->{status} == 200, 'reset');
	check($stats->()->{apiCalls} == 0, 'reset zeroes the calls');
	my $id = http('POST', "$D/sobjects/Account", body => { Name => 'One' })->{json}{id};
	check(defined $id, 'sessions survive a reset');
	post_admin('reset?seed=empty');
	check(http('POST', "$D/sobjects/Account", body => { Name => 'One' })->{json}{id} eq $id, 'Ids begin anew');
	check(post_admin('reset?seed=nonsense')->{status} == 400, 'unknown seed');
	post_admin('api-limit?n=' . ($stats->()->{apiCalls} + 1));
	check(soql('SELECT Id FROM Account')->{status} == 200, 'the last call');
	is_error(soql('SELECT Id FROM Account'), 403, 'REQUEST_LIMIT_EXCEEDED', 'over the limit', 'TotalRequests Limit exceeded.');
	post_admin('api-limit?n=100000');
	post_admin('expire-sessions');
	is_error(soql('SELECT Id FROM Account'), 401, 'INVALID_SESSION_ID', 'expired by hand');
	login();
	check($stats->()->{openConnections} >= 1, 'open connections');
}

sub test_log
{
	open my $mark, '<:raw', "$tmp/log" or die;
	seek $mark, 0, 2;
	soql("SELECT Id FROM Account WHERE Name = 'a b+c' ", headers => { 'Sforce-Call-Options' => 'client=tester, defaultNamespace=x' });
	soql('SELECT nonsense');
	http('POST', "$D/composite", body => { compositeRequest => [{ method => 'GET', url => "$D/query?q=SELECT+Id+FROM+Lead", referenceId => 'r' }] });
	oauth({ grant_type => 'refresh_token', refresh_token => 'hush', @client });
	http('GET', "/services/oauth2/revoke?token=hush2", token => undef);
	http('GET', "$D/limits?oauth_token=hush3&x=kept&client_sec%72et=hush4");
	my @lines = map { $json->decode($_) } <$mark>;
	check($lines[0]{soql} eq "SELECT Id FROM Account WHERE Name = 'a b+c' " && $lines[0]{client} eq 'tester' && $lines[0]{auth} eq 'admin@sandbox.example', 'log of a query', $json->encode($lines[0]));
	check($lines[1]{soql} eq 'SELECT nonsense' && $lines[1]{status} == 400, 'log of a refused query', $json->encode($lines[1]));
	check($lines[2]{inner} && $lines[2]{soql} eq 'SELECT Id FROM Lead' && !$lines[3]{inner}, 'log of a subrequest', $json->encode($lines[2]));
	my $all = `cat $tmp/log`;
	check(index($all, $token) < 0 && index($all, 'hush') < 0 && index($all, 'client_secret') < 0, 'no secret in the log');
	check(index($all, '"query":"oauth_token&x=kept&client_sec%72et"') > 0, 'other parameters stay', $lines[-1]{query});
}

sub test_jwt
{
	my $sign = sub {
		my ($claims, $key) = @_;
		my $b64 = sub { my $t = encode_base64($_[0], ''); $t =~ tr{+/=}{-_}d; return $t };
		my $text = $b64->('{"alg":"RS256"}') . '.' . $b64->($json->encode($claims));
		open my $f, '>', "$tmp/jwt" or die;
		print $f $text;
		close $f;
		return "$text." . $b64->(scalar `openssl dgst -sha256 -sign $key $tmp/jwt`);
	};
	my %claims = (iss => 'sandbox', sub => 'admin@sandbox.example', aud => 'https://login.salesforce.com', exp => time + 180);
	my $try = sub { my ($change, $key) = @_; oauth({ grant_type => 'urn:ietf:params:oauth:grant-type:jwt-bearer', assertion => $sign->({ %claims, %$change }, $key || "$tmp/key.pem") }) };
	my $r = $try->({});
	check($r->{status} == 200 && !exists $r->{json}{refresh_token} && !exists $r->{json}{issued_at}, 'JWT', $r->{body});
	check($try->({ aud => $url })->{status} == 200, 'JWT for this host');
	is_oauth_error($try->({ aud => 'https://example.com' }), 400, 'invalid_grant', 'audience is invalid', 'JWT audience');
	is_oauth_error($try->({ exp => time - 5 }), 400, 'invalid_grant', 'invalid assertion', 'JWT too late');
	is_oauth_error($try->({ exp => time + 4000 }), 400, 'invalid_grant', 'invalid assertion', 'JWT too far ahead');
	is_oauth_error($try->({ sub => 'nobody@x' }), 400, 'invalid_grant', q{user hasn't approved this consumer}, 'JWT unknown user');
	is_oauth_error($try->({ iss => 'sandbox-not-approved' }), 400, 'invalid_grant', q{user hasn't approved this consumer}, 'JWT not approved');
	is_oauth_error($try->({ iss => 'nobody' }), 400, 'invalid_client_id', 'client identifier invalid', 'JWT unknown app');
	is_oauth_error($try->({}, "$tmp/other.pem"), 400, 'invalid_grant', 'invalid assertion', 'JWT of another key');
}

sub test_options
{
	system("openssl req -x509 -newkey rsa:2048 -nodes -keyout $tmp/key.pem -out $tmp/cert.pem -days 2 -subj /CN=127.0.0.1 >/dev/null 2>&1");
	system("openssl genrsa -out $tmp/other.pem 2048 >/dev/null 2>&1");
	start('--seed', 'empty', '--tls-cert', "$tmp/cert.pem", '--tls-key', "$tmp/key.pem", '--jwt-cert', "$tmp/cert.pem",
		'--rotate-refresh-tokens', '--fault', 'path=*/limits;do=status;status=500', '--session-seconds', 3600, '--api-limit', 50, '--now', '2024-05-01T12:00:00Z');
	my $r = oauth({ grant_type => 'refresh_token', refresh_token => 'sandbox', @client });
	check($r->{status} == 200 && $r->{json}{refresh_token} && $r->{json}{instance_url} =~ /^https:/, 'rotation over https', $r->{body});
	my $new = $r->{json}{refresh_token};
	$r = oauth({ grant_type => 'refresh_token', refresh_token => $new, @client });
	check($r->{status} == 200 && $r->{json}{refresh_token}, 'the new one works', $r->{body});
	$token = $r->{json}{access_token};
	my $newest = $r->{json}{refresh_token};
	check(http('GET', "$D/limits")->{status} == 500, '--fault');
	check(http('GET', "$D/limits")->{headers}{'sforce-limit-info'} =~ m{/50$}, '--api-limit');
	my $id = http('POST', "$D/sobjects/Account", body => { Name => 'Now' })->{json}{id};
	check(http('GET', "$D/sobjects/Account/$id")->{json}{CreatedDate} eq '2024-05-01T12:00:00.000+0000', '--now');
	fault('path=*/limits;do=reset-after');
	check(http('GET', "$D/limits")->{curl} != 0, 'reset over https');
	test_jwt();
	is_oauth_error(oauth({ grant_type => 'refresh_token', refresh_token => 'sandbox', @client }), 400, 'invalid_grant', 'expired access/refresh token', 'the old token is dead');
	is_oauth_error(oauth({ grant_type => 'refresh_token', refresh_token => $newest, @client }), 400, 'invalid_grant', 'expired access/refresh token', '... and takes its successors with it');
	stop('https');
	start('--seed', 'empty', '--session-seconds', 0, '--gzip', 'off', '--chunked', 'off');
	login();
	is_error(soql('SELECT Id FROM Account'), 401, 'INVALID_SESSION_ID', '--session-seconds 0');
	check(http('GET', '/services/data', token => undef, gzip => 1)->{headers}{'content-length'} > 0, '--chunked off');
	stop('second');
	start('--seed', 'empty', '--data', "$tmp/org.db", '--max-locators', 1, '--locator-seconds', 0);
	login();
	contacts(400);
	my %small = (headers => { 'Sforce-Query-Options' => 'batchSize=200' });
	is_error(http('GET', soql('SELECT Id FROM Contact', %small)->{json}{nextRecordsUrl}), 400, 'INVALID_QUERY_LOCATOR', '--locator-seconds 0');
	stop('third');
	start('--data', "$tmp/org.db", '--max-locators', 1);
	login();
	check(soql('SELECT COUNT() FROM Contact')->{json}{totalSize} == 400, '--data keeps the rows');
	my $first = soql('SELECT Id FROM Contact', %small)->{json}{nextRecordsUrl};
	soql('SELECT Id, Name FROM Contact', %small);
	is_error(http('GET', $first), 400, 'INVALID_QUERY_LOCATOR', '--max-locators 1');
	stop('fourth');
}

# What pushes much: groups, long statements, parents of every kind.
sub test_push
{
	post_admin('reset?seed=push:2500');
	my $groups = 'SELECT Birthdate, COUNT(Id) n FROM Contact GROUP BY Birthdate';
	is_error(soql($groups), 400, 'EXCEEDED_ID_LIMIT', 'more than 2,000 groups', 'Aggregate query does not support queryMore(), use LIMIT');
	is_error(soql("$groups LIMIT 2001"), 400, 'EXCEEDED_ID_LIMIT', 'LIMIT 2001');
	my $r = soql("$groups ORDER BY Birthdate DESC NULLS LAST LIMIT 2000");
	check($r->{json}{totalSize} == 2000 && $r->{json}{done} && @{ $r->{json}{records} } == 2000 && !exists $r->{json}{nextRecordsUrl}, '2,000 groups are one batch', substr($r->{body}, 0, 200));
	check($json->encode($r->{json}{records}[0]) =~ /^\{"Birthdate":"\d{4}-\d\d-\d\d","attributes":\{"type":"AggregateResult"\},"n":1\}$/, 'a group', $json->encode($r->{json}{records}[0]));
	$r = soql("$groups HAVING COUNT(Id) > 1");
	check($r->{json}{totalSize} == 1 && !defined $r->{json}{records}[0]{Birthdate}, 'the null group; HAVING counts before the limit', substr($r->{body}, 0, 300));
	check(soql("$groups ORDER BY Birthdate NULLS FIRST LIMIT 1 OFFSET 2000")->{json}{totalSize} == 1, 'OFFSET of groups');
	my %type = map { ($_->{Type} // 'null') => $_->{expr0} } @{ soql('SELECT What.Type, COUNT(Id) FROM Task GROUP BY What.Type')->{json}{records} };
	check(join(' ', sort keys %type) eq 'Account Campaign Case Invoice__c Opportunity null', 'groups of What.Type', $json->encode(\%type));
	for my $t (grep { $_ ne 'null' } keys %type)
	{
		check(soql("SELECT COUNT() FROM Task WHERE What.Type = '$t'")->{json}{totalSize} == $type{$t}, "tasks of $t");
	}
	$r = soql('SELECT Account.Parent.Parent.Parent.Parent.Name FROM Contact WHERE Account.Parent.Parent.Parent.Parent.Name != null LIMIT 1');
	check(defined eval { $r->{json}{records}[0]{Account}{Parent}{Parent}{Parent}{Parent}{Name} }, 'five levels', $r->{body});

	my $in = sub { 'SELECT Id FROM Contact WHERE LastName IN (' . join(',', map { sprintf "'%030d'", $_ } 1 .. $_[0]) . ')' };
	my $composite = sub { http('POST', "$D/composite", body => { compositeRequest => [{ method => 'GET', referenceId => 'q', url => "$D/query?q=" . enc($_[0]) }] })->{json}{compositeResponse}[0] };
	my $sub = $composite->($in->(3000));
	check($sub->{httpStatusCode} == 200 && $sub->{body}{totalSize} == 0, 'a statement of 99,000 characters by composite', $json->encode($sub));
	$sub = $composite->($in->(3100));
	check($sub->{httpStatusCode} == 400 && $sub->{body}[0]{errorCode} eq 'MALFORMED_QUERY', 'more than 100,000 are too many', $json->encode($sub));
	$r = soql($in->(600));
	check($r->{status} == 414 || $r->{status} == 431, 'a long URL is refused', $r->{status});
	$sub = http('POST', "$D/composite", body => { compositeRequest => [{ method => 'GET', referenceId => 'q', url => "$D/query?explain=" . enc($in->(600)) }] })->{json}{compositeResponse}[0];
	check($sub->{httpStatusCode} == 200 && $sub->{body}{plans}[0]{cardinality} == 0, 'explain by composite', $json->encode($sub));
	my $next = soql('SELECT Id FROM Contact')->{json}{nextRecordsUrl};
	$sub = http('POST', "$D/composite", body => { compositeRequest => [{ method => 'GET', referenceId => 'q', url => $next }] })->{json}{compositeResponse}[0];
	check(@{ $sub->{body}{records} } == 2000, 'a next page by composite', substr($json->encode($sub), 0, 200));
	$r = http('GET', "$D/limits/recordCount?sObjects=Account,Nothing,%20Contact");
	check($r->{body} eq '{"sObjects":[{"count":2433,"name":"Account"},{"count":4933,"name":"Contact"}]}', 'recordCount', $r->{body});
	my $id = http('POST', "$D/sobjects/Invoice__c", body => { Paid_At__c => '2024-05-06T07:08:09.987Z' })->{json}{id};
	check(http('GET', "$D/sobjects/Invoice__c/$id?fields=Paid_At__c")->{json}{Paid_At__c} eq '2024-05-06T07:08:09.000+0000', 'datetimes have whole seconds');
}

# Every other reading of what no document settles.
sub test_readings
{
	my $names = sub { join ' ', map { $_->{Name} // 'null' } @{ soql($_[0])->{json}{records} } };
	check(`$binary --help` =~ /--group-text fold\|exact/, 'help names the readings');
	check(system("$binary --group-text other >$tmp/err 2>&1") >> 8 == 2, 'no such reading');
	start('--seed', 'push', '--readings', 'second', '--milliseconds', 'keep', '--max-parents', 1, '--pages', 'short', '--record-counts', 'stale');
	login();
	my $r = soql('SELECT Id FROM Contact', headers => { 'Sforce-Query-Options' => 'batchSize=200' });
	my ($n, $pages, @sizes) = (0, 0);
	for (; $pages < 50; $r = http('GET', $r->{json}{nextRecordsUrl}))
	{
		$n += @{ $r->{json}{records} };
		push @sizes, scalar @{ $r->{json}{records} };
		$pages++;
		last if $r->{json}{done};
	}
	check($n == $r->{json}{totalSize} && $sizes[0] < 200, '--pages short loses nothing', "@sizes");
	$r = http('GET', "$D/limits/recordCount?sObjects=Contact")->{json}{sObjects}[0]{count};
	check($r < $n && $r > $n / 2, '--record-counts stale', $r);
	check(soql("SELECT COUNT() FROM Account WHERE Name = 'alpha'")->{json}{totalSize} == 8, '--accents, --trailing-blanks', soql("SELECT Name FROM Account WHERE Name = 'alpha'")->{body});
	check(soql("SELECT Name FROM Account WHERE Name = 'alpha' GROUP BY Name")->{json}{totalSize} == 8, '--group-text exact');
	is_error(soql('SELECT Id FROM Account WHERE CreatedDate > 2024-01-01T00:00:00.5Z'), 400, 'MALFORMED_QUERY', '--fractions refuse', "unexpected token: '.'");
	check(soql('SELECT COUNT() FROM Invoice__c WHERE Paid_At__c > 2020-01-01T00:00:00Z AND Paid_At__c < 2020-01-01T00:00:01Z')->{json}{totalSize} == 3, '--milliseconds keep');
	check($names->("SELECT Name FROM Account WHERE Id NOT IN (SELECT AccountId FROM Contact)") eq '', '--inner-nulls poison');
	check(soql('SELECT COUNT() FROM Account WHERE Rating != \'Hot\'')->{json}{totalSize}
			+ soql('SELECT COUNT() FROM Account WHERE Rating IN (\'Hot\', null)')->{json}{totalSize} == soql('SELECT COUNT() FROM Account')->{json}{totalSize}, '--negated-nulls skip');
	check(!defined soql('SELECT AnnualRevenue FROM Account ORDER BY AnnualRevenue DESC LIMIT 1')->{json}{records}[0]{AnnualRevenue}, '--null-desc first');
	check(defined soql('SELECT ParentId FROM Account ORDER BY ParentId NULLS LAST LIMIT 1')->{json}{records}[0]{ParentId}, '--lookup-nulls asked');
	is_error(soql('SELECT Owner.Name, Parent.Name FROM Account'), 400, 'MALFORMED_QUERY', '--max-parents', 'more than 1 different parent types');
	is_error(soql('SELECT Id FROM Account WHERE AnnualRevenue > 3000000000'), 400, 'MALFORMED_QUERY', '--integers int32', '3000000000');
	post_admin('reset?seed=push:2500');
	is_error(soql('SELECT CloseDate FROM Opportunity GROUP BY CloseDate'), 400, 'MALFORMED_QUERY', '--group-overflow malformed', 'does not support queryMore');
	stop('the other readings');
	start('--seed', 'push', '--readings', 'second', '--accents', 'distinct', '--trailing-blanks', 'count', '--group-text', 'fold');
	login();
	check(soql("SELECT COUNT() FROM Account WHERE Name = 'alpha'")->{json}{totalSize} == 3, 'a reading of its own behind --readings');
	check(soql("SELECT Name FROM Account WHERE Name = 'alpha' GROUP BY Name")->{json}{totalSize} == 1, '--group-text fold');
	check(@{ soql('SELECT Id FROM Contact', headers => { 'Sforce-Query-Options' => 'batchSize=200' })->{json}{records} } == 200, '--readings leaves --pages');
	stop('mixed readings');
}

start('--seed', 'demo');
login();
run_tests(\&test_oauth, \&test_code, \&test_door, \&test_describe, \&test_query, \&test_children, \&test_rows, \&test_collections,
	\&test_composite, \&test_replication, \&test_faults, \&test_push, \&test_admin, \&test_log);
stop('the sandbox');
run_tests(\&test_options, \&test_readings);
finish();
