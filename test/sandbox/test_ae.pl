#!/usr/bin/perl
# test_ae.pl BINARY - Account Engagement of the sandbox: what it answers, and every way in which it refuses.
use strict;
use warnings;
use FindBin qw($Bin);
require "$Bin/test_http.pl";
our ($binary, $tmp, $json, $passed, $failed, $pid, $url, $token);

my $unit = '0Uv5e0000000001CAA';

# A call in the name of the business unit.
sub ae
{
	my ($method, $path, %o) = @_;
	$o{headers} = { 'Pardot-Business-Unit-Id' => $unit, %{ $o{headers} || {} } };
	return http($method, $path =~ m{^/} ? $path : "/api/v5/objects/$path", %o);
}

sub refused
{
	my ($r, $status, $code, $name, $text) = @_;
	my $e = ref $r->{json} eq 'HASH' ? $r->{json} : {};
	check($r->{status} == $status && ($e->{code} // 0) == $code && (!defined $text || index($e->{message}, $text) >= 0),
		"$name: $status, code $code", "$r->{status} $r->{body}");
}

sub ids { return join ',', map { $_->{id} } @{ $_[0]{json}{values} || [] } }

sub test_door
{
	refused(http('GET', '/api/v5/objects/tags?fields=id'), 400, 181, 'no business unit',
		'A required header is missing: Pardot-Business-Unit-Id header not found on request.');
	refused(ae('GET', 'tags?fields=id', headers => { 'Pardot-Business-Unit-Id' => 'x' }), 400, 182, 'no id of a unit');
	refused(ae('GET', 'tags?fields=id', headers => { 'Pardot-Business-Unit-Id' => '0Uv000000000000AAA' }), 400, 201, 'an unknown unit');
	refused(ae('GET', 'tags?fields=id', token => 'nonsense'), 401, 184, 'a wrong token');
	refused(ae('GET', 'tags?fields=id', token => undef), 401, 184, 'no token');
	refused(ae('GET', 'nonsense?fields=id'), 404, 198, 'no such object');
	refused(ae('GET', '/api/v5/tags?fields=id'), 404, 198, 'an object beside its place');
	refused(ae('PUT', 'tags?fields=id', body => {}), 405, 60, 'no such method');
	refused(ae('DELETE', 'campaigns/1000'), 405, 60, 'a method that the object has not');
	my $r = ae('GET', 'tags?fields=id&limit=1', headers => { 'X-Return-Api-Usage' => 1 });
	check(($r->{headers}{'x-api-usage'} // '') =~ m{^\d+/25000$}, 'x-api-usage', $r->{headers}{'x-api-usage'});
	check(!exists ae('GET', 'tags?fields=id&limit=1')->{headers}{'x-api-usage'}, 'x-api-usage only if asked for');
	my $a = ae('GET', 'account?fields=maximumDailyApiCalls,apiCallsUsed');
	check($a->{json}{maximumDailyApiCalls} == 25000 && $a->{json}{apiCallsUsed} > 1, 'the account', $a->{body});
	check(!exists $r->{headers}{'sforce-limit-info'}, 'calls are not the org\'s');
}

sub test_query
{
	my $r = ae('GET', 'prospects?fields=id,email,updatedAt,campaign.name');
	check(@{ $r->{json}{values} } == 200, 'a page has 200 rows by default', scalar @{ $r->{json}{values} });
	check($r->{headers}{'content-type'} eq 'application/json; charset=utf-8', 'content type', $r->{headers}{'content-type'});
	my $v = $r->{json}{values}[0];
	check($v->{id} == 1000000 && $v->{updatedAt} =~ /^2024-01-10T00:33:01-08:00$/, 'Ids are numbers, datetimes have an offset', $r->{body});
	check(exists $v->{campaign} && (!defined $v->{campaign} || exists $v->{campaign}{name}), 'a field of another object');
	my ($summer) = grep { $_->{updatedAt} =~ /-07:00$/ } @{ ae('GET', 'prospects?fields=updatedAt&orderBy=updatedAt%20DESC&limit=10')->{json}{values} };
	check(defined $summer, 'and the offset is that of the season');
	refused(ae('GET', 'prospects'), 400, 13, 'no fields', 'One or more required parameters are missing: fields');
	refused(ae('GET', 'prospects/1000000'), 400, 13, 'no fields of one');
	refused(ae('GET', 'prospects?fields=id,nonsense'), 400, 180, 'an unknown field', 'nonsense');
	refused(ae('GET', 'prospects?fields=ID'), 400, 180, 'names have case');
	refused(ae('GET', 'prospects?fields=campaign.folder.parentFolder.parentFolder.name'), 400, 180, 'too far away');
	refused(ae('GET', 'prospects?fields=id,interests__c'), 400, 224, 'a field of single records', 'interests__c');
	check(ae('GET', 'prospects/1000000?fields=id,interests__c')->{status} == 200, 'is read of one');
	refused(ae('GET', 'prospects?fields=id&limit=1001'), 400, 23, 'too many rows');
	refused(ae('GET', 'prospects?fields=id&limit=0'), 400, 23, 'no rows');
	refused(ae('GET', 'prospects?fields=id&orderBy=email'), 400, 19, 'an order that there is not');
	refused(ae('GET', 'prospects?fields=id&orderBy=id%20desc'), 400, 19, 'a direction that there is not');
	refused(ae('GET', 'prospects?fields=id&deleted=maybe'), 400, 27, 'deleted is true, false or all');
	refused(ae('GET', 'prospects?fields=id&email=x'), 400, 5, 'an unknown parameter');
	refused(ae('GET', 'prospects?fields=id&createdAtAfter=2024-01-01T00:00:00-08:00'), 400, 5, 'a filter that prospects have not');
	refused(ae('GET', 'visitors?fields=id&updatedAtAfterOrEqualTo=2024-01-01T00:00:00-08:00'), 400, 5, 'a filter that visitors have not');
	refused(ae('GET', 'prospects?fields=id&updatedAtAfterOrEqualTo=2024-01-01T00:00:00Z'), 400, 7, 'a time without an offset');
	refused(ae('GET', 'prospects?fields=id&updatedAtAfterOrEqualTo=2024-01-01T00:00:00+00:00'), 400, 7, 'a plus that is a blank');
	refused(ae('GET', 'prospects?fields=id&idGreaterThan=x'), 400, 16, 'an Id that is none');
	check(ids(ae('GET', 'tags?fields=id&idGreaterThan=1000&idLessThanOrEqualTo=1010')) eq '1004,1006,1010', 'bounds of Id');
	check(ids(ae('GET', 'tags?fields=id&orderBy=id%20DESC&limit=2')) eq '1118,1114', 'descending', ids(ae('GET', 'tags?fields=id&orderBy=id%20DESC&limit=2')));
	my $t = '2024-02-01T00:00:00%2B00:00';
	my $n = 0;
	for my $word ('AfterOrEqualTo', 'Before')
	{
		$n += @{ ae('GET', "tags?fields=id&limit=1000&updatedAt$word=$t")->{json}{values} };
	}
	check($n == 40, 'a time divides the rows', $n);
	my $all = @{ ae('GET', 'lists?fields=id&limit=1000&deleted=all')->{json}{values} };
	my $gone = @{ ae('GET', 'lists?fields=id&limit=1000&deleted=true')->{json}{values} };
	my $live = @{ ae('GET', 'lists?fields=id&limit=1000')->{json}{values} };
	check($all == 30 && $gone == 1 && $live == 29, 'the recycle bin', "$all $gone $live");
	refused(ae('GET', 'prospects/1?fields=id'), 404, 109, 'no such record', 'The requested record was not found.');
	refused(ae('GET', 'prospects/x?fields=id'), 400, 16, 'no Id');
	$r = ae('GET', 'prospects/1000040?fields=id');
	check($r->{status} == 404 && ($r->{headers}{'pardot-warning'} // '') eq '201;Record In Recycle Bin', 'a record in the bin', $r->{body});
}

sub test_tokens
{
	my $r = ae('GET', 'prospects?fields=id&limit=1000&orderBy=updatedAt%20DESC');
	my (%seen, $last);
	my $pages = 0;
	while (1)
	{
		$seen{ $_->{id} }++ for @{ $r->{json}{values} };
		$pages++;
		last unless defined $r->{json}{nextPageToken};
		check($r->{json}{nextPageUrl} =~ m{^\Q$url\E/api/v5/objects/prospects\?fields=id&nextPageToken=}, 'nextPageUrl', $r->{json}{nextPageUrl}) if $pages == 1;
		$last = $r->{json}{nextPageToken};
		my $next = ae('GET', "prospects?fields=id&nextPageToken=$last");
		check(ids(ae('GET', "prospects?fields=id&nextPageToken=$last")) eq ids($next), 'a token can be used again') if $pages == 1;
		$r = $next;
	}
	check($pages == 5 && keys %seen == 4948 && !grep({ $_ > 1 } values %seen), 'each row once', "$pages pages, " . keys %seen);
	check(exists $r->{json}{nextPageToken} && exists $r->{json}{nextPageUrl}, 'the last page says null');
	refused(ae('GET', "prospects?fields=id&limit=5&nextPageToken=$last"), 400, 5, 'a token and a limit');
	refused(ae('GET', "prospects?fields=id&orderBy=id&nextPageToken=$last"), 400, 5, 'a token and an order');
	refused(ae('GET', "prospects?fields=id&deleted=all&nextPageToken=$last"), 400, 5, 'a token and deleted');
	refused(ae('GET', "tags?fields=id&nextPageToken=$last"), 400, 211, 'a token of another object');
	refused(ae('GET', 'prospects?fields=id&nextPageToken=x'), 400, 211, 'a wrong token');
	post_admin('ae?sequence=300');
	$r = ae('GET', 'prospects?fields=id&limit=200');
	check(defined $r->{json}{nextPageToken}, 'a sequence begins');
	$r = ae('GET', "prospects?fields=id&nextPageToken=$r->{json}{nextPageToken}");
	check(!defined $r->{json}{nextPageToken} && ($r->{headers}{'pardot-warning'} // '') =~ /^203;/, 'and ends with a warning', $r->{headers}{'pardot-warning'});
	post_admin('ae?sequence=100000');
	post_admin('ae?token-seconds=0');
	$r = ae('GET', 'prospects?fields=id&limit=1');
	select undef, undef, undef, 0.05;
	refused(ae('GET', "prospects?fields=id&nextPageToken=$r->{json}{nextPageToken}"), 400, 210, 'a token that is too old');
	post_admin('ae?token-seconds=14400');
}

sub test_limits
{
	post_admin('ae?ms=600000');
	my @kids;
	for my $i (1 .. 7)
	{
		my $kid = fork;
		if (!$kid)
		{
			$tmp = "$tmp/kid$i";
			mkdir $tmp;
			my $r = ae('GET', 'tags?fields=id&limit=1');
			open my $f, '>', "$tmp/result";
			print $f "$r->{status} " . ($r->{json}{code} // 0);
			close $f;
			POSIX::_exit(0);
		}
		push @kids, $kid;
	}
	for (1 .. 1200)
	{
		my $n = http('GET', '/__sandbox/ae-stats', token => undef)->{json};
		last if $n->{mostAtOnce} == 5 && $n->{refusedAtOnce} == 2;
		select undef, undef, undef, 0.1;
	}
	post_admin('ae?ms=0');
	waitpid $_, 0 for @kids;
	my %got;
	for my $i (1 .. 7)
	{
		open my $f, '<', "$tmp/kid$i/result" or next;
		$got{ <$f> }++;
	}
	check(($got{'200 0'} // 0) == 5 && ($got{'400 66'} // 0) == 2, 'five calls at once', join ', ', map { "$_: $got{$_}" } sort keys %got);
	my $used = http('GET', '/__sandbox/ae-stats', token => undef)->{json}{calls};
	post_admin('ae?daily-limit=' . ($used + 1));
	check(ae('GET', 'tags?fields=id')->{status} == 200, 'the last call of the day');
	refused(ae('GET', 'tags?fields=id'), 400, 122, 'and one more');
	check(http('GET', '/services/data/v62.0/limits')->{status} == 200, 'the org goes on');
	post_admin('ae?daily-limit=25000');
	post_admin('ae?charset=ISO-8859-1');
	my $r = ae('GET', 'tags?fields=id,name&limit=1000');
	check($r->{headers}{'content-type'} eq 'application/json; charset=ISO-8859-1' && $r->{body} =~ /\xe9|\xfc|\xf1|\xeb/ && $r->{body} !~ /\xc3/, 'ISO-8859-1');
	post_admin('ae?charset=UTF-8');
	check(post_admin('ae?nonsense=1')->{status} == 400, 'no such setting');
}

sub test_write
{
	my $r = ae('POST', 'prospects?fields=id,email,firstName', body => { email => 'new@example.com', firstName => "\x{dc}" });
	my $id = $r->{json}{id};
	check($r->{status} == 201 && $r->{headers}{location} =~ m{/prospects/$id$} && $r->{json}{email} eq 'new@example.com', 'create', $r->{body});
	$r = ae('POST', 'prospects', body => { email => 'other@example.com' });
	check($r->{status} == 204 && $r->{body} eq '' && $r->{headers}{location}, 'create without fields', $r->{body});
	refused(ae('POST', 'prospects?fields=id', body => '{"email":"x@y.z"}', headers => { 'Content-Type' => 'text/plain' }), 400, 151, 'another content type');
	refused(ae('POST', 'prospects?fields=id', body => '', headers => { 'Content-Type' => 'application/json' }), 400, 152, 'no body');
	refused(ae('POST', 'prospects?fields=id', body => '{'), 400, 71, 'no JSON');
	refused(ae('POST', 'prospects?fields=id', body => {}), 400, 153, 'no e-mail', 'email');
	refused(ae('POST', 'prospects?fields=id', body => { email => 'x' }), 400, 4, 'no address');
	refused(ae('POST', 'prospects?fields=id', body => { email => 'x@y.z', nonsense => 1 }), 400, 154, 'an unknown property');
	refused(ae('POST', 'prospects?fields=id', body => { email => 'x@y.z', createdAt => '2024-01-01T00:00:00-08:00' }), 400, 180, 'a read-only property');
	refused(ae('POST', 'prospects?fields=id', body => { email => 'x@y.z', score => 'high' }), 400, 154, 'a value of another type');
	refused(ae('POST', 'email-templates?fields=id', body => { name => 'x', type => 'sound' }), 400, 154, 'a value that the list has not');
	refused(ae('POST', 'campaigns?fields=id', body => { name => 'x' }), 405, 60, 'an object that is read only');
	refused(ae('POST', 'prospects?fields=nonsense', body => { email => 'never@example.com' }), 400, 180, 'fields are looked at first');
	check(!grep({ $_->{email} eq 'never@example.com' } @{ ae('GET', "prospects?fields=email&idGreaterThan=$id")->{json}{values} }), 'and nothing was written');
	$r = ae('PATCH', "prospects/$id?fields=firstName", body => { firstName => 'B' });
	check($r->{status} == 200 && $r->{json}{firstName} eq 'B', 'update', $r->{body});
	check(ae('PATCH', "prospects/$id", body => { firstName => 'C' })->{status} == 204, 'update without fields');
	refused(ae('PATCH', 'prospects/1', body => { firstName => 'B' }), 404, 109, 'no such record');
	$r = ae('DELETE', "prospects/$id");
	check($r->{status} == 204 && $r->{body} eq '', 'delete');
	refused(ae('DELETE', "prospects/$id"), 404, 109, 'delete again');
	refused(ae('PATCH', "prospects/$id", body => { firstName => 'B' }), 400, 219, 'update of what is in the bin');
	refused(ae('DELETE', 'tags/1000'), 405, 108, 'a tag that is in use');
	my $u = 'prospects/do/upsertLatestByEmail';
	$r = ae('POST', $u, body => { matchEmail => 'OTHER@example.com', prospect => { firstName => 'X' }, fields => ['id', 'firstName', 'email'] });
	check($r->{status} == 200 && $r->{json}{email} eq 'other@example.com' && $r->{json}{firstName} eq 'X', 'upsert finds', $r->{body});
	$r = ae('POST', $u, body => { matchEmail => 'fresh@example.com', prospect => {}, fields => ['id', 'email'] });
	check($r->{status} == 201 && $r->{json}{email} eq 'fresh@example.com', 'upsert creates', $r->{body});
	refused(ae('POST', $u, body => { prospect => {} }), 400, 207, 'upsert without e-mail', 'matchEmail');
	refused(ae('POST', $u, body => { matchEmail => 'a@b', prospect => {}, x => 1 }), 400, 208, 'upsert with more');
	refused(ae('POST', 'prospects/do/nonsense', body => {}), 404, 205, 'no such action');
	post_admin('ae?writes=no-content');
	check(ae('POST', 'prospects?fields=id', body => { email => 'silent@example.com' })->{status} == 204, '204 instead of the record');
	post_admin('ae?writes=content');
}

sub test_export
{
	my $args = { created_after => '2023-12-01T00:00:00+00:00', created_before => '2024-10-01T00:00:00+00:00' };
	my $body = { object => 'prospect', fields => ['id', 'firstName', 'isDeleted'], procedure => { name => 'filter_by_created_at', arguments => $args } };
	my $e = '/api/v5/exports';
	post_admin('ae?export-polls=2');
	post_admin('ae?export-rows=1000');
	my $r = ae('POST', "$e?fields=id,status", body => $body);
	my $id = $r->{json}{id};
	check($r->{status} == 201 && $r->{json}{status} eq 'Waiting', 'an export is created', $r->{body});
	refused(ae('GET', "$e/$id"), 400, 13, 'an export wants fields');
	refused(ae('GET', "$e/$id/results/2001"), 400, 178, 'a result that is not there yet');
	ae('GET', "$e/$id?fields=status") for 1 .. 2;
	$r = ae('GET', "$e/$id?fields=status,resultRefs,isExpired");
	check($r->{json}{status} eq 'Complete' && @{ $r->{json}{resultRefs} } == 5, 'and is complete', $r->{body});
	my %seen;
	for my $ref (@{ $r->{json}{resultRefs} })
	{
		my $csv = ae('GET', $ref =~ s/^\Q$url\E//r);
		my @lines = split /\n(?=\d)/, $csv->{body};
		check($lines[0] =~ /^id,firstName,isDeleted/, 'a header in each file', $lines[0]);
		shift @lines;
		$seen{ (split /,/)[0] }++ for @lines;
	}
	check(keys(%seen) == 4948 && !grep({ $_ > 1 } values %seen), 'each row once', scalar keys %seen);
	$body->{procedure}{arguments} = { created_after => '2023-01-01T00:00:00+00:00', created_before => '2024-10-01T00:00:00+00:00' };
	refused(ae('POST', $e, body => $body), 400, 177, 'more than a year');
	$body->{procedure}{arguments} = {};
	refused(ae('POST', $e, body => $body), 400, 176, 'no beginning');
	$body->{procedure}{arguments} = { since => 'x' };
	refused(ae('POST', $e, body => $body), 400, 175, 'an unknown argument');
	$body->{procedure} = { name => 'everything', arguments => {} };
	refused(ae('POST', $e, body => $body), 400, 174, 'an unknown procedure');
	refused(ae('POST', $e, body => { %$body, object => 'tag' }), 400, 51, 'an object that cannot be exported');
	refused(ae('POST', $e, body => { %$body, fields => [map { "f$_" } 1 .. 151] }), 400, 180, 'too many fields');
	post_admin('ae?export-polls=0');
}

start('--seed', 'empty');
login();
test_door();
test_query();
test_tokens();
test_limits();
test_write();
test_export();
my $r = post_admin('reset');
check($r->{status} == 200 && ae('GET', 'prospects?fields=id&idGreaterThan=1014998')->{json}{values} && !@{ ae('GET', 'prospects?fields=id&idGreaterThan=1014998')->{json}{values} }, 'a reset fills it anew');
stop('Account Engagement');
start('--seed', 'empty', '--ae-prospects', 30, '--ae', 'daily-limit=1');
login();
check(@{ ae('GET', 'prospects?fields=id&deleted=all')->{json}{values} } == 30, '--ae-prospects');
refused(ae('GET', 'tags?fields=id'), 400, 122, '--ae');
stop('with options');
print "$passed passed, $failed failed\n";
exit($failed ? 1 : 0);
