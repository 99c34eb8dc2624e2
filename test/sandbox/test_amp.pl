#!/usr/bin/perl
# test_amp.pl BINARY - Ampersand's hosts of the sandbox: what they let through, what they answer, and every way in
# which they refuse; answers have the form that Ampersand's own specification gives.
use strict;
use warnings;
use FindBin qw($Bin);
require "$Bin/test_http.pl";
our ($binary, $tmp, $json, $passed, $failed, $pid, $url, $token, $D);

my $project = '0d4f6c2e-7a51-4c1c-9a53-2f1f0c9d8e7b';
my %id      = (salesforce => '5b1f2f7e-6a0e-4b62-8a9e-0c3f5d7e9a11', engagement => '8c2e4d6f-1a3b-4c5d-9e7f-2b4d6f8a0c12');
my %inst    = (salesforce => 'c0a8e6f4-2b7d-4e0f-9c55-7d1e3b5a8f21', engagement => 'd1b9f705-3c8e-4f10-8d66-8e2f4c6b9032');

sub host { my ($n) = @_; (my $u = $url) =~ s/127\.0\.0\.1/127.0.0.$n/; return $u }

# A call through the proxy; undef takes a header away.
sub proxy
{
	my ($method, $path, %o) = @_;
	my %h = (
		'x-api-key' => 'sandbox-api-key', 'x-amp-proxy-version' => 1, 'x-amp-project-id' => $project,
		'x-amp-integration-name' => 'salesforce', 'x-amp-group-ref' => 'acme', %{ delete $o{headers} || {} });
	delete $h{$_} for grep { !defined $h{$_} } keys %h;
	return http($method, host(2) . $path, token => undef, headers => \%h, %o);
}

sub amp
{
	my ($n, $method, $path, %o) = @_;
	my %h = ('x-api-key' => 'sandbox-api-key', %{ delete $o{headers} || {} });
	return http($method, host($n) . "/v1/projects/$project/$path", token => undef, headers => \%h, %o);
}

sub write_api
{
	my ($body, $object, $integration) = @_;
	return amp(3, 'POST', "integrations/" . ($integration || $id{salesforce}) . "/objects/" . ($object || 'account'),
		body => ref $body eq 'HASH' ? { groupRef => 'acme', %$body } : $body);
}

sub problem
{
	my ($r, $status, $name, $text) = @_;
	my $e = ref $r->{json} eq 'HASH' ? $r->{json} : {};
	check($r->{status} == $status && ($e->{status} // 0) == $status && $e->{title} && $e->{requestId}
		  && (!defined $text || index($e->{detail}, $text) >= 0), "$name: $status", "$r->{status} $r->{body}");
}

sub text400
{
	my ($r, $text, $name) = @_;
	check($r->{status} == 400 && $r->{headers}{'content-type'} =~ m{^text/plain} && index($r->{body}, $text) >= 0, $name, "$r->{status} $r->{body}");
}

sub test_proxy
{
	my $q = "$D/query?q=SELECT+Id+FROM+Account+LIMIT+1";
	my $r = proxy('GET', $q);
	check($r->{status} == 200 && $r->{json}{totalSize} == 1, 'a query goes through', $r->{body});
	check($r->{headers}{'sforce-limit-info'}, 'and the headers of the org come back');
	problem(proxy('GET', $q, headers => { 'x-api-key' => undef }), 401, 'no key', 'missing');
	problem(proxy('GET', $q, headers => { 'x-api-key' => 'x' }), 401, 'a wrong key');
	problem(proxy('GET', $q, headers => { 'x-api-key' => undef, Authorization => 'Bearer eyJ' }), 401, 'a JWT');
	problem(proxy('GET', $q, headers => { Authorization => 'Bearer x' }), 401, 'a token of the client');
	problem(proxy('GET', $q, headers => { 'x-amp-proxy-version' => undef }), 400, 'no version');
	problem(proxy('GET', $q, headers => { 'x-amp-proxy-version' => 2 }), 400, 'another version');
	problem(proxy('GET', $q, headers => { 'x-amp-project-id' => undef }), 400, 'no project');
	problem(proxy('GET', $q, headers => { 'x-amp-project-id' => 'sandbox' }), 400, 'the name of a project');
	problem(proxy('GET', $q, headers => { 'x-amp-project-id' => $inst{salesforce} }), 404, 'another project');
	problem(proxy('GET', $q, headers => { 'x-amp-group-ref' => undef }), 400, 'no group', 'ErrNoInstallationOrGroupRefAndIntegrationNameCombination');
	problem(proxy('GET', $q, headers => { 'x-amp-group-ref' => 'other' }), 404, 'another group');
	problem(proxy('GET', $q, headers => { 'x-amp-integration-name' => 'no-proxy' }), 403, 'an integration without proxy');
	check(proxy('GET', $q, headers => { 'x-amp-integration-name' => 'nonsense', 'x-amp-installation-id' => $inst{salesforce} })->{status} == 200,
		'the Id of an installation wins');
	check(proxy('GET', '/__sandbox/stats')->{status} == 404, 'the sandbox itself is not behind it');
	check(proxy('GET', '/api/v5/objects/tags?fields=id')->{status} == 404, 'nor the host of another module');
	my %ae = ('x-amp-integration-name' => 'engagement', 'Pardot-Business-Unit-Id' => '0Uv5e0000000001CAA');
	$r = proxy('GET', '/api/v5/objects/prospects?fields=id&limit=2', headers => \%ae);
	check($r->{status} == 200 && @{ $r->{json}{values} } == 2, 'useModule leads to Account Engagement', $r->{body});
	check($r->{json}{nextPageUrl} =~ m{^\Q$url\E/api/v5/}, 'whose addresses are its own', $r->{json}{nextPageUrl});
	check(proxy('GET', $q, headers => { 'x-amp-integration-name' => 'engagement' })->{status} == 404, 'and not to the org');
	check(proxy('GET', '/api/v5/objects/prospects?fields=id', headers => { %ae, 'Pardot-Business-Unit-Id' => undef })->{json}{code} == 181,
		'the client says the business unit');
	# tokens
	post_admin('expire-sessions');
	check(proxy('GET', $q)->{status} == 200, 'a token that has ended is renewed');
	post_admin('faults', 'path=*/query;do=expire-token');
	check(proxy('GET', $q)->{status} == 200, 'also when that is seen at the org only');
	$r = proxy('POST', "$D/sobjects/Account", body => { Name => 'Via' });
	check($r->{status} == 201, 'a create', $r->{body});
	check(proxy('DELETE', "$D/sobjects/Account/$r->{json}{id}")->{status} == 204, 'a delete');
	check(proxy('GET', "$D/sobjects/Account/001000000000000AAA")->{status} == 404, 'the status of the org comes back');
	check(ref proxy('GET', "$D/nonsense")->{json} eq 'ARRAY', 'and its errors');
}

sub test_throttle
{
	my $q = "$D/limits";
	my %mode = ('X-Amp-Rate-Limiter-Mode' => 'throttle');
	post_admin('amp?throttle-seconds=3600');
	post_admin('faults', 'path=*/limits;do=status;status=429;code=REQUEST_LIMIT_EXCEEDED');
	my $r = proxy('GET', $q);
	check($r->{status} == 429 && !exists $r->{headers}{'x-amp-retry-after'}, 'without the mode a 429 is passed on');
	check(proxy('GET', $q)->{status} == 200, 'and nothing else happens');
	post_admin('faults', 'path=*/limits;do=status;status=429;code=REQUEST_LIMIT_EXCEEDED');
	$r = proxy('GET', $q, headers => \%mode);
	check($r->{status} == 429 && ($r->{headers}{'x-amp-retry-after'} // '') =~ /^\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d UTC$/
		  && $r->{headers}{'x-amp-retryable'} eq 'true', 'with it, it says when', $r->{headers}{'x-amp-retry-after'});
	my $before = http('GET', '/__sandbox/amp-stats', token => undef)->{json}{forwarded};
	problem(proxy('GET', $q, headers => \%mode), 429, 'until then nothing is forwarded');
	check(http('GET', '/__sandbox/amp-stats', token => undef)->{json}{forwarded} == $before, '... indeed');
	check(proxy('GET', $q)->{status} == 200, 'but without the mode it is');
	post_admin('reset?seed=demo');
	post_admin('amp?throttle-seconds=2');
	post_admin('faults', 'path=*/limits;do=status;status=429;code=REQUEST_LIMIT_EXCEEDED');
	check(proxy('GET', $q, headers => \%mode)->{status} == 429, 'for a while');
	sleep 3;
	check(proxy('GET', $q, headers => \%mode)->{status} == 200, 'and then again with it');
	post_admin('faults', 'path=*/limits;do=status;status=429;retry-after=60');
	$r = proxy('GET', $q, headers => \%mode);
	problem(proxy('GET', $q, headers => \%mode), 429, 'Retry-After of the org counts');
	post_admin('reset?seed=demo');
	check(proxy('GET', $q, headers => \%mode)->{status} == 200, 'a reset forgets it');
}

sub test_write
{
	my $r = write_api({ type => 'create', record => { name => 'One' } });
	my $one = $r->{json}{result}{recordId};
	check($r->{status} == 200 && $r->{json}{operationId} && $r->{json}{result}{success} && $one =~ /^001/, 'create of one', $r->{body});
	check(join(',', sort keys %{ $r->{json} }) eq 'operationId,result' && join(',', sort keys %{ $r->{json}{result} }) eq 'recordId,success',
		'and no more than is specified', $r->{body});
	$r = write_api({ type => 'update', mode => 'synchronous', record => { id => $one, phone => '1' } });
	check($r->{status} == 200 && $r->{json}{result}{recordId} eq $one, 'update of one', $r->{body});
	check(soql("SELECT Phone FROM Account WHERE Id = '$one'")->{json}{records}[0]{Phone} eq '1', 'which is done');
	$r = write_api({ type => 'create', batch => [ map { { record => { Name => "B$_" } } } 1 .. 100 ] });
	check($r->{status} == 200 && $r->{json}{successCount} == 100 && $r->{json}{failureCount} == 0 && @{ $r->{json}{results} } == 100
		  && !exists $r->{json}{errors}, 'a batch of 100', substr $r->{body}, 0, 200);
	$r = write_api({ type => 'create', batch => [ { record => { Name => 'C' } }, { record => { Phone => '1' } } ] });
	check($r->{status} == 200 && $r->{json}{successCount} == 1 && $r->{json}{failureCount} == 1 && @{ $r->{json}{errors} } == 1
		  && join(',', keys %{ $r->{json}{results}[1] }) eq 'success', 'a part of a batch fails', $r->{body});
	$r = write_api({ type => 'create', batchPolicy => { allOrNone => JSON::PP::true() }, batch => [ { record => { Name => 'D' } }, { record => {} } ] });
	check($r->{status} == 422 && $r->{json}{successCount} == 0 && $r->{json}{errors}[0]{message} eq 'Batch write failed: provider rolled back all records',
		'all or none', $r->{body});
	check(soql("SELECT COUNT() FROM Account WHERE Name = 'D'")->{json}{totalSize} == 0, 'none indeed');
	$r = write_api({ type => 'create', record => { nonsense__c => 1, name => 'x' } });
	check($r->{status} == 422 && !$r->{json}{result}{success} && $r->{json}{errors}[0]{message} =~ /^error writing account: bad request: No such column 'nonsense__c'/
		  && $r->{json}{rawResponse} =~ /INVALID_FIELD/, 'a record that is refused', $r->{body});
	$r = write_api({ type => 'delete', mode => 'asynchronous', record => { id => $one } });
	check($r->{status} == 200 && $r->{json}{result}{success}, 'a delete is never asynchronous', $r->{body});
	# what is refused
	text400(write_api('{'), 'no JSON', 'a body that is no JSON');
	text400(write_api({ record => { name => 'x' } }), 'required field not found', 'no type');
	text400(write_api({ type => 'upsert', record => {} }), 'type must be', 'an upsert');
	text400(write_api({ type => 'create', groupRef => 'other', record => {} }), 'installation', 'another group');
	text400(write_api({ type => 'create' }), 'required field not found', 'neither record nor batch');
	text400(write_api({ type => 'create', record => {}, batch => [ { record => {} } ] }), 'exactly one', 'both');
	text400(write_api({ type => 'create', batch => [] }), '1 to 100', 'an empty batch');
	text400(write_api({ type => 'create', batch => [ map { { record => {} } } 1 .. 101 ] }), '1 to 100', 'a batch of 101');
	text400(write_api({ type => 'create', batch => [ {} ] }), 'required field', 'no record in a batch');
	text400(write_api({ type => 'delete', batch => [ { record => { id => 'x' } } ] }), 'not supported', 'a batch of deletes');
	text400(write_api({ type => 'delete', record => { id => 'x', name => 'y' } }), 'id only', 'more than the id to delete');
	text400(write_api({ type => 'update', record => { name => 'y' } }), 'required field', 'no id to update');
	text400(write_api({ type => 'create', mode => 'later', record => {} }), 'mode', 'a mode that is none');
	text400(write_api({ type => 'create', retryPolicy => { deadlineHours => 1 }, record => {} }), 'asynchronous', 'a retryPolicy without cause');
	text400(write_api({ type => 'create', batchPolicy => {}, record => {} }), 'batches', 'a batchPolicy without cause');
	text400(write_api({ type => 'create', nonsense => 1, record => {} }), 'unknown', 'an unknown member');
	text400(write_api({ type => 'create', record => {} }, 'campaign'), 'manifest', 'an object that is not in the manifest');
	post_admin('amp?deletes=off');
	text400(write_api({ type => 'delete', record => { id => $one } }), 'not enabled', 'deletes that are not enabled');
	post_admin('amp?deletes=on');
	problem(write_api({ type => 'create', record => {} }, 'account', 'salesforce'), 404, 'an integration by its name');
	problem(amp(3, 'POST', "integrations/$id{salesforce}/objects/account", body => {}, headers => { 'x-api-key' => 'x' }), 401, 'a wrong key');
	problem(amp(4, 'GET', "operations/x"), 404, 'a host that does not know operations');
}

sub test_operations
{
	my $r = write_api({ type => 'create', mode => 'asynchronous', batch => [ { record => { Name => 'E' } }, { record => {} } ] });
	my $op = $r->{json}{operationId};
	check($r->{status} == 200 && join(',', keys %{ $r->{json} }) eq 'operationId', 'an asynchronous write', $r->{body});
	$r = amp(5, 'GET', "operations/$op");
	check($r->{json}{status} eq 'in_progress' && !exists $r->{json}{result}, 'is in progress', $r->{body});
	$r = amp(5, 'GET', "operations/$op");
	check($r->{json}{status} eq 'success' && $r->{json}{result} eq 'Batch write completed (1 succeeded, 1 failed)'
		  && @{ $r->{json}{metadata}{successfulRecordIds} } == 1, 'and then a success, of a part', $r->{body});
	check(!grep({ !exists $r->{json}{$_} } qw(id projectId integrationId installationId configId actionType createTime)), 'with all that is specified');
	$r = amp(5, 'GET', "operations/$op/logs");
	check($r->{json}[0]{severity} eq 'ERROR' && $r->{json}[0]{message}{error} =~ /Required fields/, 'its log', $r->{body});
	problem(amp(5, 'GET', 'operations/nonsense'), 404, 'no such operation');

	my $read = "integrations/$id{salesforce}/objects/account";
	my $progress = "integrations/$id{salesforce}/installations/$inst{salesforce}/objects/account/backfill-progress";
	problem(amp(5, 'GET', $progress), 404, 'no backfill');
	$r = amp(4, 'POST', $read, body => { groupRef => 'acme', mode => 'async', sinceTimestamp => '2020-01-01T00:00:00.123456789Z' });
	check($r->{status} == 201 && $r->{json}{operationId}, 'a read is triggered', $r->{body});
	check(amp(5, 'GET', $progress)->{json}{recordsEstimatedTotal} > 10, 'its progress');
	for my $wrong ({ mode => 'async' }, { groupRef => 'acme' }, { groupRef => 'acme', mode => 'sync' },
		{ groupRef => 'acme', mode => 'async', sinceTimestamp => 'yesterday' })
	{
		$r = amp(4, 'POST', $read, body => $wrong);
		problem($r, 400, 'a read that is not well asked for');
		check($r->{headers}{'content-type'} =~ m{^application/json}, 'which is declared as plain JSON');
	}
}

# Change events as the webhook tells them: of each record one entry, nulls lost, large numbers rounded.
sub test_messages
{
	use Digest::SHA qw(hmac_sha256_base64);
	use MIME::Base64 qw(decode_base64);
	my $secret = 'MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw';
	post_admin('events?select=Account,Contact');
	my $id = http('POST', "$D/sobjects/Account", body => { Name => 'Told', Phone => '1' })->{json}{id};
	http('PATCH', "$D/sobjects/Account/$id", body => { Phone => undef, Name => 'Told again' });
	http('POST', "$D/sobjects/Contact", body => { LastName => 'Other' });
	http('DELETE', "$D/sobjects/Account/$id");
	my $get = sub { return http('GET', '/__sandbox/amp-messages?' . form(@_), token => undef) };
	my $r = $get->(object => 'account', fields => 'Id,Name,Phone', secret => $secret);
	my @bodies = map { $json->decode($_->{body}) } @{ $r->{json} };
	check(@bodies == 3 && join(',', map { $_->{result}[0]{subscribeEventType} } @bodies) eq 'create,update,delete', 'three messages', $r->{body});
	check(!grep({ !exists $bodies[0]{$_} } qw(action projectId provider groupRef groupName installationId installationUpdateTime objectName resultInfo
				consumerRef consumerName)), 'with all that is specified');
	my $event = $bodies[1]{result}[0]{rawEvent};
	check($event->{Name} eq 'Told again' && !exists $event->{Phone} && grep({ $_ eq 'Phone' } @{ $event->{ChangeEventHeader}{changedFields} })
		  && $event->{ChangeEventHeader}{recordId} eq $id && !exists $event->{ChangeEventHeader}{recordIds}, 'nulls are lost', $r->{body});
	check($r->{body} =~ /commitNumber\\":\d{17}00[,}]/, 'large numbers are rounded', $r->{body});
	check($bodies[2]{result}[0]{id} eq $id && !exists $bodies[2]{result}[0]{raw}, 'a record that is gone has its Id only', $r->{body});
	for my $m (@{ $r->{json} })
	{
		my $h = $m->{headers};
		my $mac = hmac_sha256_base64("$h->{'svix-id'}.$h->{'svix-timestamp'}.$m->{body}", decode_base64($secret));
		check($h->{'svix-signature'} eq "v1,$mac" . '=' x (-length($mac) % 4), 'the signature');
	}
	check(@{ $get->(object => 'Account', fields => 'Id', secret => $secret, after => $r->{json}[1]{replayId})->{json} } == 1, 'those after one');
	check($get->(object => 'Account')->{status} == 400, 'without fields');
}

start('--seed', 'demo');
my $r = oauth({ grant_type => 'client_credentials', client_id => 'sandbox', client_secret => 'sandbox' });
$token = $r->{json}{access_token};
test_proxy();
test_throttle();
$token = oauth({ grant_type => 'client_credentials', client_id => 'sandbox', client_secret => 'sandbox' })->{json}{access_token};
test_write();
test_operations();
test_messages();
stop('Ampersand');
print "$passed passed, $failed failed\n";
exit($failed ? 1 : 0);
