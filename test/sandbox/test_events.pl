#!/usr/bin/perl
# test_events.pl BINARY - change events: what writes make of them, how they are asked for again, the Streaming API, and
# the channels that the Tooling API sets up.
use strict;
use warnings;
use FindBin qw($Bin);
use IO::Socket::INET;
use JSON::PP;
use Time::HiRes qw(time sleep);
require "$Bin/test_http.pl";
our ($binary, $tmp, $json, $passed, $failed, $pid, $url, $token, $D);

my $T = "$D/tooling/sobjects";
my ($client, $cookie);

sub events { my (%o) = @_; return post_admin('events?' . form(%o)) }

# One message to the Streaming API; the answer is a list of messages.
sub bayeux
{
	my ($m, %o) = @_;
	my $r = http(
		'POST', '/cometd/' . ($o{version} // '62.0'),
		body => [ ref $m eq 'ARRAY' ? @$m : $m ],
		headers => { Cookie => exists $o{cookie} ? $o{cookie} : $cookie // '', %{ $o{headers} || {} } },
		exists $o{token} ? (token => $o{token}) : ());
	return ref $r->{json} eq 'ARRAY' ? $r->{json} : [ { error => "$r->{status} $r->{body}" } ];
}

sub shake
{
	my (%o) = @_;
	my $r = http('POST', '/cometd/62.0',
		body => [ { channel => '/meta/handshake', id => '1', version => '1.0', minimumVersion => '1.0',
				supportedConnectionTypes => ['long-polling'], ext => { replay => JSON::PP::true }, %o } ]);
	return $r->{json}[0] if !$r->{json}[0]{successful};
	$client = $r->{json}[0]{clientId};
	($cookie) = $r->{headers}{'set-cookie'} =~ /^(BAYEUX_BROWSER=[^;]+)/;
	return $r->{json}[0];
}

sub subscribe
{
	my ($channel, $replay, %o) = @_;
	return bayeux({ channel => '/meta/subscribe', id => '2', clientId => $client, subscription => $channel,
			defined $replay ? (ext => { replay => { $channel => $replay } }) : () }, %o)->[-1];
}

# A connect that does not wait; the events, and the answer to the connect last.
sub poll
{
	my (%o) = @_;
	return bayeux({ channel => '/meta/connect', id => '3', clientId => $client, connectionType => 'long-polling',
			advice => { timeout => $o{wait} // 0 } }, %o);
}

# The payloads of the events that are there, and of one channel only.
sub told
{
	my ($channel) = @_;
	my @m = @{ poll() };
	check($m[-1]{successful}, 'the connect is answered', $json->encode($m[-1]));
	return map { $_->{data}{payload} } grep { $_->{data} && (!$channel || $_->{channel} eq $channel) } @m;
}

# A new client that hears what happens from now on.
sub listen_to
{
	my ($channel, $replay) = @_;
	shake();
	my $s = subscribe($channel // '/data/ChangeEvents', $replay // -1);
	check($s->{successful}, 'subscribed', $json->encode($s));
	poll();
}

sub rest { my ($method, $path, $body, %o) = @_; return http($method, "$D/$path", defined $body ? (body => $body) : (), %o) }

sub made
{
	my ($object, $body, %o) = @_;
	my $r = rest('POST', "sobjects/$object", $body, %o);
	die "$object: $r->{body}" if $r->{status} != 201;
	return $r->{json}{id};
}

sub same
{
	my ($got, $want, $name) = @_;
	my ($a, $b) = map { $json->encode($_) } $got, $want;
	return check($a eq $b, $name, "$a, wanted $b");
}

sub header { my ($p) = @_; return $p->{ChangeEventHeader} }

sub test_body
{
	events(select => 'Account,Contact,Invoice__c');
	listen_to();
	my $a = made('Account', { Name => 'One', BillingStreet => 'S', BillingLatitude => 1.5, AnnualRevenue => 7, Website => '' },
		headers => { 'Sforce-Call-Options' => 'client=tester, defaultNamespace=x' });
	my ($e, @more) = told();
	check(!@more, 'one event');
	my $h = delete $e->{ChangeEventHeader};
	same([ @{$h}{qw(entityName changeType recordIds changedFields sequenceNumber changeOrigin)} ],
		[ 'Account', 'CREATE', [$a], [], 1, 'com/salesforce/api/rest/62.0;client=tester' ], 'the header of a create');
	check("$h->{commitNumber}" > 2**53 && $h->{commitNumber} % 2 == 1, 'a commit number beyond what a double holds', $h->{commitNumber});
	check($h->{commitTimestamp} > 1e12 && $h->{commitTimestamp} % 1000 == 0, 'milliseconds', $h->{commitTimestamp});
	check($h->{transactionKey} =~ /^0000[0-9a-f]{4}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/, 'a transaction key', $h->{transactionKey});
	check($h->{commitUser} =~ /^005\w{15}$/, 'whose it is');
	check(!exists $h->{nulledFields} && !exists $h->{diffFields}, 'CometD knows no nulledFields');
	my $when = delete $e->{CreatedDate};
	check($when =~ /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/, 'times end in Z', $when);
	same($e, { Name => 'One', BillingAddress => { Street => 'S', Latitude => 1.5 }, AnnualRevenue => 7, OwnerId => $h->{commitUser},
			CreatedById => $h->{commitUser}, LastModifiedById => $h->{commitUser}, LastModifiedDate => $when,
			RecordTypeId => $e->{RecordTypeId} },
		'all that is not empty, compounds nested, no derived fields');

	rest('PATCH', "sobjects/Account/$a", { AnnualRevenue => undef, BillingCity => 'C', BillingStreet => undef, Name => 'One' });
	($e) = told();
	$h = delete $e->{ChangeEventHeader};
	same([ $h->{changeType}, [ sort @{ $h->{changedFields} } ], $h->{changeOrigin} ],
		[ 'UPDATE', [qw(AnnualRevenue BillingAddress.City BillingAddress.Street LastModifiedDate)], 'com/salesforce/api/rest/62.0' ], 'the header of an update');
	delete $e->{LastModifiedDate};
	same($e, { AnnualRevenue => undef, BillingAddress => { City => 'C', Street => undef } }, 'only what changed, with nulls');

	my $c = made('Contact', { LastName => 'L', FirstName => 'F', AccountId => $a });
	($e) = told();
	same([ $e->{Name}, $e->{AccountId}, $e->{DoNotCall} ], [ { LastName => 'L', FirstName => 'F' }, $a, JSON::PP::false ], 'a name is nested');
	rest('PATCH', "sobjects/Contact/$c", { LastName => 'M' });
	($e) = told();
	same([ $e->{Name}, header($e)->{changedFields} ], [ { LastName => 'M' }, [ 'Name.LastName', 'LastModifiedDate' ] ], 'a part of a name');

	my $i = made('Invoice__c', { Location__Latitude__s => 1, Location__Longitude__s => 2, Amount__c => 1.25, Tags__c => undef, Cutoff_Time__c => '10:00:00' });
	($e) = told();
	same([ $e->{Location__c}, $e->{Amount__c}, $e->{Cutoff_Time__c}, $e->{Paid__c} ], [ { Latitude => 1, Longitude => 2 }, 1.25, '10:00:00.000Z', JSON::PP::false ], 'a place');
	check($e->{Name} =~ /^INV-/ && !exists $e->{Gross__c} && !exists $e->{SystemModstamp} && !exists $e->{Id}, 'an auto-number, no formula', $json->encode($e));

	rest('DELETE', "sobjects/Account/$a");
	my @e = told();
	same([ map { [ header($_)->{entityName}, header($_)->{changeType}, header($_)->{sequenceNumber} ] } @e ],
		[ [ 'Account', 'DELETE', 1 ], [ 'Contact', 'DELETE', 2 ] ], 'a delete takes others with it, in one transaction');
	same([ map { scalar keys %$_ } @e ], [ 1, 1 ], 'a delete has a header only');
	check(header($e[0])->{transactionKey} eq header($e[1])->{transactionKey} && header($e[0])->{commitNumber} == header($e[1])->{commitNumber}, 'the same key');
	post_admin("undelete?id=$a");
	@e = told();
	same([ map { [ header($_)->{changeType}, header($_)->{changedFields} ] } @e ], [ [ 'UNDELETE', [] ], [ 'UNDELETE', [] ] ], 'an undelete');
	same([ $e[0]{Name}, $e[0]{BillingAddress}, $e[1]{Name} ], [ 'One', { City => 'C', Latitude => 1.5 }, { LastName => 'M', FirstName => 'F' } ], 'has all fields');
}

sub test_transactions
{
	events(select => 'Account,Contact,Invoice__c,Campaign');
	listen_to();
	my $r = rest('POST', 'composite/sobjects', { records => [ map { { attributes => { type => 'Account' }, Name => $_ } } 'a', 'b', 'b' ] });
	my @ids = map { $_->{id} } @{ $r->{json} };
	my @e = told();
	same([ map { [ $_->{Name}, header($_)->{sequenceNumber}, header($_)->{recordIds} ] } @e ],
		[ [ 'a', 1, [ $ids[0] ] ], [ 'b', 2, [ @ids[ 1, 2 ] ] ] ], 'the same change of several rows is one event');
	rest('PATCH', 'composite/sobjects', { records => [ map { { attributes => { type => 'Account' }, id => $_, Industry => 'Apparel' } } @ids ] });
	@e = told();
	same([ map { [ $_->{Industry}, header($_)->{recordIds} ] } @e ], [ [ 'Apparel', \@ids ] ], 'and of an update');
	rest('DELETE', 'composite/sobjects?ids=' . join ',', @ids);
	same([ map { header($_)->{recordIds} } told() ], [ \@ids ], 'and of a delete');

	rest('POST', 'composite/sobjects', { allOrNone => JSON::PP::true, records => [ { attributes => { type => 'Account' }, Name => 'x' }, { attributes => { type => 'Contact' } } ] });
	same([ told() ], [], 'what is rolled back is not told');
	my $before = header((sub { made('Account', { Name => 'x' }); told() })->())->{commitNumber};
	$r = rest('POST', 'composite/graph', { graphs => [ { graphId => 'g', compositeRequest => [
		{ method => 'POST', url => "$D/sobjects/Account", referenceId => 'a', body => { Name => 'first' } },
		{ method => 'PATCH', url => "$D/sobjects/Account/@\{a.id}", referenceId => 'b', body => { Name => 'second' } },
		{ method => 'POST', url => "$D/sobjects/Contact", referenceId => 'c', body => { LastName => 'x', AccountId => '@{a.id}' } } ] } ] });
	@e = told();
	same([ map { [ header($_)->{changeType}, $_->{Name} ] } @e ], [ [ 'CREATE', 'second' ], [ 'CREATE', { LastName => 'x' } ] ],
		'two changes of a row in a transaction are one event, with what was committed');
	check(header($e[0])->{commitNumber} > $before, 'commit numbers grow');

	$r = rest('POST', 'composite/tree/Account', { records => [ { attributes => { type => 'Account', referenceId => 'p' }, Name => 'tree', Contacts => { records => [ { attributes => { type => 'Contact', referenceId => 'k' }, LastName => 'leaf' } ] } } ] });
	same([ map { [ header($_)->{entityName}, header($_)->{sequenceNumber} ] } told() ], [ [ 'Account', 1 ], [ 'Contact', 2 ] ], 'a tree');
	my $up = rest('PATCH', 'sobjects/Invoice__c/Ext_Id__c/ev-1', { Amount__c => 1 })->{json}{id};
	rest('PATCH', 'sobjects/Invoice__c/Ext_Id__c/ev-1', { Amount__c => 2 });
	same([ map { [ header($_)->{changeType}, $_->{Amount__c} ] } told() ], [ [ 'CREATE', 1 ], [ 'UPDATE', 2 ] ], 'upserts');

	# the campaign's counters follow its members, which are not selected
	my $camp = made('Campaign', { Name => 'c' });
	my $who = made('Contact', { LastName => 'm' });
	told();
	made('CampaignMember', { CampaignId => $camp, ContactId => $who });
	@e = told();
	same([ map { [ header($_)->{entityName}, header($_)->{sequenceNumber}, $_->{NumberOfContacts} ] } @e ], [ [ 'Campaign', 2, 1 ] ],
		'what follows from a write; an object that is not selected leaves a gap in the sequence');
	# a merge: what pointed to the loser points to the master, the loser goes
	my ($master, $loser) = map { made('Account', { Name => $_ }) } 'master', 'loser';
	my $child = made('Contact', { LastName => 'child', AccountId => $loser });
	told();
	post_admin("merge?master=$master&losers=$loser", '{"Phone":"7"}');
	@e = told();
	same([ map { [ header($_)->{changeType}, header($_)->{recordIds}[0], exists $_->{AccountId} ? $_->{AccountId} : '', header($_)->{changedFields} ] } @e ],
		[ [ 'UPDATE', $child, $master, [ 'AccountId', 'LastModifiedDate' ] ], [ 'DELETE', $loser, '', [] ], [ 'UPDATE', $master, '', [ 'Phone', 'LastModifiedDate' ] ] ], 'a merge');
	check(3 == grep({ header($_)->{transactionKey} eq header($e[0])->{transactionKey} } @e), 'in one transaction');
	post_admin("set?id=$master&Phone=8");
	post_admin("purge?id=$loser");
	same([ told() ], [], 'values that change by themselves, and rows that are purged, are not told');
	# roll-ups are told, formulas are not
	post_admin('schema', 'add Account {"name":"Invoices__c","type":"double","precision":18,"calculated":true,"sandbox":{"rollup":{"child":"Invoice__c","lookup":"Account__c","function":"count"}}}');
	made('Invoice__c', { Account__c => $master });
	same([ map { [ header($_)->{entityName}, $_->{Invoices__c} ] } told() ], [ [ 'Invoice__c', undef ], [ 'Account', 1 ] ], 'a roll-up');
	http('DELETE', '/__sandbox/schema', token => undef);
	# created and deleted at once
	rest('POST', 'composite', { allOrNone => JSON::PP::true, compositeRequest => [
		{ method => 'POST', url => "$D/sobjects/Account", referenceId => 'a', body => { Name => 'short' } },
		{ method => 'DELETE', url => "$D/sobjects/Account/@\{a.id}", referenceId => 'b' } ] });
	same([ told() ], [], 'a row that came and went');
	# a lookup that a delete clears
	my $acc = made('Account', { Name => 'target' });
	my $inv = made('Invoice__c', { Account__c => $acc });
	told();
	rest('DELETE', "sobjects/Account/$acc");
	@e = told();
	same([ map { [ header($_)->{entityName}, header($_)->{changeType}, exists $_->{Account__c} ? $_->{Account__c} : '' ] } @e ],
		[ [ 'Account', 'DELETE', '' ], [ 'Invoice__c', 'UPDATE', undef ] ], 'a lookup that is cleared');
}

sub test_bulk
{
	events(select => 'Account');
	listen_to();
	my $job = rest('POST', 'jobs/ingest', { object => 'Account', operation => 'insert', contentType => 'CSV', lineEnding => 'LF' },
		headers => { 'Sforce-Call-Options' => 'client=loader' })->{json};
	http('PUT', "$D/jobs/ingest/$job->{id}/batches", body => "Name\n" . join('', map { "bulk $_\n" } 1 .. 250), headers => { 'Content-Type' => 'text/csv' });
	rest('PATCH', "jobs/ingest/$job->{id}", { state => 'UploadComplete' });
	my @e;
	for (1 .. 1200) { push @e, told(); last if @e >= 250; sleep 0.1 }
	check(@e == 250, 'an event for each row of a job', scalar @e);
	my %keys = map { header($_)->{transactionKey} => 1 } @e;
	check(keys %keys == 2, 'each 200 rows are a transaction', scalar keys %keys);
	check(header($e[0])->{changeOrigin} eq 'com/salesforce/api/bulkapi/62.0;client=loader', 'the origin', header($e[0])->{changeOrigin});
	check(header($e[199])->{sequenceNumber} == 200 && header($e[200])->{sequenceNumber} == 1, 'numbered in each');
	# more than an answer holds
	events(batch => 100);
	listen_to('/data/AccountChangeEvent', -2);
	my @n = map { scalar(my @x = told()) } 1 .. 3;
	check($n[0] == 100 || $n[1] == 100, 'in several answers', "@n");
	events(batch => 500);
}

sub test_gaps
{
	events(select => 'Account,Contact', overflow => 3);
	listen_to();
	my $r = rest('POST', 'composite/sobjects', { records => [ (map { { attributes => { type => 'Account' }, Name => "o$_" } } 1 .. 5), { attributes => { type => 'Contact' }, LastName => 'x' } ] });
	my @e = told();
	same([ map { [ header($_)->{entityName}, header($_)->{changeType}, header($_)->{sequenceNumber} ] } @e ],
		[ (map { [ 'Account', 'CREATE', $_ ] } 1 .. 3), [ 'Account', 'GAP_OVERFLOW', 4 ], [ 'Contact', 'GAP_OVERFLOW', 5 ] ],
		'beyond the first changes there is one event for each object');
	same([ header($e[3])->{recordIds}, scalar keys %{ $e[3] } ], [ ['000000000000000AAA'], 1 ], 'without record');
	events(overflow => 100000, 'max-bytes' => 2000);
	my $big = made('Account', { Name => 'big', Description => 'x' x 3000 });
	rest('PATCH', "sobjects/Account/$big", { Description => 'y' x 3000 });
	@e = told();
	same([ map { [ header($_)->{changeType}, header($_)->{recordIds}, header($_)->{changedFields}, scalar keys %$_ ] } @e ],
		[ [ 'GAP_CREATE', [$big], [], 1 ], [ 'GAP_UPDATE', [$big], [], 1 ] ], 'an event that is too large');
	events('max-bytes' => 1000000);
	check(events(gap => 'UPDATE', ids => "$big,001*")->{status} == 200, 'a gap on demand');
	events(gap => 'OVERFLOW', object => 'Contact');
	check(events(gap => 'UPDATE', ids => '500000000000000AAA')->{status} == 400, 'of an object that is not selected');
	same([ map { [ header($_)->{entityName}, header($_)->{changeType}, header($_)->{recordIds}, header($_)->{changeOrigin} ] } told() ],
		[ [ 'Account', 'GAP_UPDATE', [ $big, '001*' ], '' ], [ 'Contact', 'GAP_OVERFLOW', ['000000000000000AAA'], '' ] ], 'as they are told');
}

sub test_replay
{
	events(select => 'Account');
	listen_to();
	made('Account', { Name => "r$_" }) for 1 .. 8;
	my @m = grep { $_->{data} } @{ poll() };
	my @at = map { $_->{data}{event}{replayId} } @m;
	check(!(grep { $at[$_] <= $at[ $_ - 1 ] } 1 .. $#at) && $at[-1] - $at[0] > 7, 'replay ids grow, with gaps', "@at");
	check($m[0]{data}{schema} =~ /^[\w-]{22}$/ && $m[0]{data}{event}{EventUuid} =~ /^[0-9a-f-]{36}$/, 'schema and uuid');
	listen_to(undef, -1);
	same([ told() ], [], 'from now on');
	listen_to(undef, $at[4]);
	# the first connect after the subscription has told them
	shake();
	subscribe('/data/ChangeEvents', $at[4]);
	same([ map { $_->{Name} } told() ], [qw(r6 r7 r8)], 'behind an event');
	shake();
	subscribe('/data/AccountChangeEvent', -2);
	same([ (map { $_->{Name} } told())[ -2, -1 ] ], [qw(r7 r8)], 'all that is kept');
	my $bad = subscribe('/data/ChangeEvents', 12);
	same([ @{$bad}{qw(error successful subscription)} ], [ '400::The replayId {12} you provided was invalid.  Please provide a valid ID, -2 to replay all events, or -1 to replay only new events.', JSON::PP::false, '/data/ChangeEvents' ], 'a replay id that never was');
	check(subscribe('/data/ChangeEvents', $at[-1] + 1000)->{error} =~ /^400::The replayId/, 'or is not yet');
	check(subscribe('/data/ChangeEvents', -3)->{error} =~ /^400::The replayId \{-3\}/, 'or is none');
	events(expire => $at[4]);
	check(subscribe('/data/ChangeEvents', $at[4])->{error} =~ /^400::/ && subscribe('/data/ChangeEvents', $at[5])->{successful}, 'events up to one are too old');
	events(expire => 'now');
	check(subscribe('/data/ChangeEvents', $at[-1])->{error} =~ /^400::The replayId \{$at[-1]\}/, 'or was, longer ago than events are kept');
	check(subscribe('/data/ChangeEvents', -2)->{successful}, 'but -2 is always good');
	made('Account', { Name => 'after' });
	my ($e) = grep { $_->{data} } @{ poll() };
	check($e->{data}{event}{replayId} > $at[-1], 'the ids go on');
	events(retention => 0);
	shake();
	subscribe('/data/ChangeEvents', -2);
	same([ told() ], [], 'a retention of nothing');
	events(retention => 1);
	shake();
	made('Account', { Name => 'old' });
	subscribe('/data/ChangeEvents', -2);
	sleep 1.3;
	same([ told() ], [], 'what was not heard in time is gone');
	events(retention => 259200);
}

sub test_bayeux
{
	events(select => 'Account');
	my $h = shake();
	same([ @{$h}{qw(channel version minimumVersion supportedConnectionTypes ext id successful)} ],
		[ '/meta/handshake', '1.0', '1.0', ['long-polling'], { replay => JSON::PP::true, 'payload.format' => JSON::PP::true }, '1', JSON::PP::true ], 'a handshake');
	my $first = bayeux({ channel => '/meta/connect', id => 'x', clientId => $client, connectionType => 'long-polling' })->[0];
	same([ @{$first}{qw(advice id successful)} ], [ { interval => 0, timeout => 110000, reconnect => 'retry' }, 'x', JSON::PP::true ], 'the first connect does not wait, and tells how long the others do');
	my $t = time;
	my $m = poll(wait => 400);
	check(@$m == 1 && $m->[0]{successful} && !$m->[0]{advice} && time - $t >= 0.35, 'a connect waits');

	# messages that are refused
	my @bad = (
		[ { channel => '/meta/connect', clientId => $client, connectionType => 'websocket' }, '400::Invalid connection type websocket' ],
		[ { channel => '/meta/connect', connectionType => 'long-polling' }, '403::Client has not completed handshake' ],
		[ { channel => '/meta/connect', clientId => 'nobody', connectionType => 'long-polling' }, '403::Unknown client' ],
		[ { channel => '/meta/subscribe', clientId => $client }, '400::Channel name not specified' ],
		[ { channel => '/meta/subscribe', clientId => $client, subscription => 'data/ChangeEvents' }, "400::Channel subscriptions must start with a leading '/'" ],
		[ { channel => '/meta/subscribe', clientId => $client, subscription => '/data/Nope' }, '400::The channel you requested to subscribe to does not exist {/data/Nope}' ],
		[ { channel => '/meta/subscribe', clientId => $client, subscription => '/data/accountchangeevent' }, '400::The channel you requested to subscribe to does not exist {/data/accountchangeevent}' ],
		[ { channel => '/meta/subscribe', clientId => $client, subscription => '/data/AccountHistoryChangeEvent' }, '400::The channel you requested to subscribe to does not exist {/data/AccountHistoryChangeEvent}' ],
		[ { channel => '/meta/subscribe', clientId => $client, subscription => '/data/Missing__chn' }, '400::The channel you requested to subscribe to does not exist {/data/Missing__chn}' ],
		[ { channel => '/meta/subscribe', clientId => $client, subscription => '/meta/connect' }, '403::Restricted channel' ],
		[ { channel => '/meta/subscribe', clientId => $client, subscription => '/data/*' }, '403::Restricted channel' ],
		[ { channel => '/data/ChangeEvents', clientId => $client, data => {} }, '403:denied_by_security_policy:publish_denied' ],
	);
	for (@bad)
	{
		my $r = bayeux($_->[0])->[-1];
		check(!$r->{successful} && $r->{error} eq $_->[1], $_->[1], $json->encode($r));
	}
	my $r = bayeux($bad[2][0])->[0];
	same($r->{advice}, { interval => 0, reconnect => 'handshake' }, 'an unknown client shakes hands again');
	$r = poll(cookie => '')->[0];
	check($r->{error} eq "400::Client $client has established a session, but no BAYEUX_BROWSER cookie present", 'cookies are needed', $json->encode($r));
	check(poll(cookie => 'BAYEUX_BROWSER=other')->[0]{error} eq '403::Unknown client', 'and must be the right ones');

	# tokens
	$r = bayeux({ channel => '/meta/handshake', version => '1.0', supportedConnectionTypes => ['long-polling'] }, token => 'dead')->[0];
	same([ $r->{error}, $r->{ext}{sfdc}{failureReason}, $r->{advice} ], [ '403::Handshake denied', '401::Authentication invalid', { reconnect => 'none' } ], 'a handshake with a dead token');
	$r = bayeux({ channel => '/meta/handshake', version => '1.0', supportedConnectionTypes => ['long-polling'] }, token => undef)->[0];
	check($r->{ext}{sfdc}{failureReason} eq '401::Request requires authentication', 'without one');
	check(shake(supportedConnectionTypes => ['websocket'])->{error} =~ /^400::Invalid connection type/, 'another transport');
	events(busy => 1);
	check(shake()->{ext}{sfdc}{failureReason} eq '503::Server is too busy. Please try your request again later.', 'too busy');
	events(crowded => 1);
	check(shake()->{ext}{sfdc}{failureReason} =~ /^403::To protect all customers/, 'too many connections');
	shake();
	poll();
	post_admin('expire-sessions');
	$r = poll()->[0];
	same([ $r->{error}, $r->{advice} ], [ '401::Authentication invalid', { reconnect => 'none', interval => 0 } ], 'a session that ends meanwhile');
	login();
	check(poll()->[0]{error} eq '403::Unknown client', 'takes the client with it');

	# sizes and addresses
	$r = http('POST', '/cometd/62.0', body => '[' . ' ' x 33000 . ']');
	check($r->{status} == 413 && $r->{body} =~ /Maximum Request Size Exceeded/, 'a request that is too large');
	check(http('POST', '/cometd', body => '[]')->{body} =~ /API version in the URI is mandatory/, 'no version');
	check(http('POST', '/cometd/36.0', body => '[]')->{body} =~ /Unsupported API version\. Only API versions '37\.0' and above/, 'an old version');
	check(http('GET', '/cometd/62.0')->{status} == 405, 'GET');
	check(http('POST', '/cometd/62.0', body => '{')->{status} == 400, 'no JSON');
}

# A connect in a process of its own; the returned code waits for it and gives its messages.
sub waiting
{
	my ($ms) = @_;
	pipe my $in, my $out;
	my $child = fork;
	if (!$child)
	{
		$pid = 0;
		$tmp .= "/child";
		mkdir $tmp;
		my $m = poll(wait => $ms);
		print $out $json->encode($m), "\n";
		close $out;
		POSIX::_exit(0);
	}
	close $out;
	for (1 .. 1200)
	{
		last if http('GET', '/__sandbox/events', token => undef)->{body} =~ /"waiting":true/;
		sleep 0.1;
	}
	return sub { my $l = <$in>; waitpid $child, 0; return $json->decode($l) };
}

sub test_waiting
{
	events(select => 'Account');
	listen_to();
	my $end = waiting(100000);
	my $t = time;
	check(soql('SELECT COUNT() FROM Account')->{status} == 200 && time - $t < 90, 'others are answered while a connect waits');
	made('Account', { Name => 'woke' });
	my $m = $end->();
	check(@$m == 2 && $m->[0]{data}{payload}{Name} eq 'woke' && $m->[1]{channel} eq '/meta/connect' && time - $t < 95, 'an event ends the waiting', $json->encode($m));
	# a second connect takes over
	$end = waiting(100000);
	poll(wait => 0);
	$m = $end->();
	check(@$m == 1 && $m->[0]{successful}, 'a later connect ends the waiting');
	# events come later than their rows
	events(expire => 'now', 'lag-ms' => 1000000);
	listen_to();
	made('Account', { Name => 'slow' });
	same([ told() ], [], 'an event that lags');
	listen_to();
	events('lag-ms' => 1500);
	my @m = grep { $_->{data} } @{ poll(wait => 100000) };
	same([ map { $_->{data}{payload}{Name} } @m ], ['slow'], 'comes by itself, also to those who came in between');
	events('lag-ms' => 0);
	# the session is lost
	$end = waiting(100000);
	events(drop => 'all');
	$m = $end->();
	check($m->[0]{error} eq '403::Unknown client', 'a lost session ends the waiting', $json->encode($m));
	listen_to();
	$end = waiting(100000);
	post_admin('expire-sessions');
	$m = $end->();
	check($m->[0]{error} eq '401::Authentication invalid', 'a token that dies ends the waiting');
	login();
	check(poll()->[0]{error} eq '403::Unknown client', 'and the client');
	# somebody who hangs up takes no events along
	listen_to();
	my $sock = IO::Socket::INET->new(PeerAddr => $url =~ s{^http://}{}r) or die;
	my $body = $json->encode([ { channel => '/meta/connect', clientId => $client, connectionType => 'long-polling' } ]);
	print $sock "POST /cometd/62.0 HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer $token\r\nCookie: $cookie\r\nContent-Type: application/json\r\nContent-Length: ", length $body, "\r\n\r\n$body";
	$sock->flush;
	for (1 .. 1200) { last if http('GET', '/__sandbox/events', token => undef)->{body} =~ /"waiting":true/; sleep 0.1 }
	close $sock;
	for (1 .. 1200) { last if http('GET', '/__sandbox/events', token => undef)->{body} !~ /"waiting":true/; sleep 0.1 }
	made('Account', { Name => 'kept' });
	same([ map { $_->{Name} } told() ], ['kept'], 'somebody who hangs up takes no events along');
	listen_to();
	events('session-ms' => 200);
	sleep 0.5;
	check(poll()->[0]{error} eq '403::Unknown client', 'a client that is silent is forgotten');
	events('session-ms' => 40000, 'timeout-ms' => 300);
	shake();
	my $first = bayeux({ channel => '/meta/connect', clientId => $client, connectionType => 'long-polling' })->[0];
	check($first->{advice}{timeout} == 300, 'the advice follows the setting');
	$t = time;
	bayeux({ channel => '/meta/connect', clientId => $client, connectionType => 'long-polling' });
	check(time - $t >= 0.25 && time - $t < 90, 'and so does the waiting');
	events('timeout-ms' => 110000);
	# faults: what was sent is not sent again
	listen_to();
	made('Account', { Name => 'lost' });
	fault('path=/cometd/*;do=reset-middle');
	check(http('POST', '/cometd/62.0', headers => { Cookie => $cookie }, body => [ { channel => '/meta/connect', clientId => $client, connectionType => 'long-polling', advice => { timeout => 0 } } ])->{curl} != 0, 'the answer breaks off');
	same([ told() ], [], 'and is lost');
	fault('path=/cometd/*;do=status;status=503');
	check(http('POST', '/cometd/62.0', body => [])->{status} == 503, 'a refusal');
	http('DELETE', '/__sandbox/faults', token => undef);
	bayeux({ channel => '/meta/disconnect', clientId => $client });
	check(poll()->[0]{error} eq '403::Unknown client', 'a client that has gone');
	shake();
	subscribe('/data/ChangeEvents', -1);
	bayeux({ channel => '/meta/unsubscribe', clientId => $client, subscription => '/data/ChangeEvents' });
	made('Account', { Name => 'unheard' });
	same([ told() ], [], 'unsubscribed');
}

sub test_limits
{
	events(select => 'Account', delivered => 0, daily => 3);
	my $limit = sub { rest('GET', 'limits')->{json}{DailyDeliveredPlatformEvents} };
	same($limit->(), { Max => 3, Remaining => 3 }, 'the allocation');
	listen_to();
	made('Account', { Name => 'n' }) for 1 .. 2;
	check(told() == 2, 'two are delivered');
	same($limit->(), { Max => 3, Remaining => 1 }, 'and counted');
	made('Account', { Name => 'n' });
	told();
	my $r = poll()->[-1];
	check($r->{error} eq '403::Organization total events daily limit exceeded', 'then there is an end', $json->encode($r));
	events(delivered => 0, daily => 25000, clients => 1);
	check(poll()->[-1]{successful}, 'until the next day');
	shake();
	check(subscribe('/data/ChangeEvents', -1)->{error} eq '403::Organization concurrent user limit exceeded', 'clients at a time');
	events(clients => 1000, drop => 'all');
	my $user = oauth({ grant_type => 'client_credentials', client_id => 'sandbox-user', client_secret => 'sandbox' })->{json}{access_token};
	my $admin = $token;
	$token = $user;
	shake();
	check(subscribe('/data/ChangeEvents', -1)->{error} eq '403::User not allowed to subscribe CDC without View All Data permissions', 'not everybody may');
	check(subscribe('/data/AccountChangeEvent', -1)->{error} eq '403::Subscriber does not have access to the entity in this topic', 'nor one object');
	is_error(http('POST', "$T/PlatformEventChannel", body => { FullName => 'u__chn', Metadata => { channelType => 'data', label => 'u' } }), 403, 'INSUFFICIENT_ACCESS', 'nor set up channels');
	events('view-all-data' => 'all');
	check(subscribe('/data/ChangeEvents', -1)->{successful}, 'unless the org is so');
	events('view-all-data' => 'admin');
	$token = $admin;
	events(scheme => 'oauth');
	check(shake()->{error} eq '403::Handshake denied', 'the scheme Bearer is refused where that is asked for');
	check(bayeux({ channel => '/meta/handshake', version => '1.0', supportedConnectionTypes => ['long-polling'] }, headers => { Authorization => "OAuth $token" })->[0]{successful}, 'and OAuth is not');
	events(scheme => 'any');
}

sub channel { my ($name, %m) = @_; return http('POST', "$T/PlatformEventChannel", body => { FullName => $name, Metadata => { channelType => 'data', label => $name, %m } }) }

sub member
{
	my ($channel, $entity, %m) = @_;
	(my $name = "${channel}_$entity") =~ s/__+/_/g;
	return http('POST', "$T/PlatformEventChannelMember", body => { FullName => delete $m{name} // $name, Metadata => { eventChannel => $channel, selectedEntity => $entity, %m } });
}

sub tq { my ($q) = @_; return http('GET', "$D/tooling/query?q=" . enc($q)) }

sub test_tooling
{
	events(select => '', entities => 5);
	my $r = channel('amp_x__chn');
	check($r->{status} == 201 && $r->{json}{id} =~ /^0YL\w{15}$/, 'a channel', $r->{body});
	same([ @{ $r->{json} }{qw(success errors warnings infos)} ], [ JSON::PP::true, [], [], [] ], 'the form of the answer');
	my $id = $r->{json}{id};
	is_error(channel('amp_x__chn'), 400, 'DUPLICATE_DEVELOPER_NAME', 'the same again');
	is_error(channel('AMP_X__chn'), 400, 'DUPLICATE_DEVELOPER_NAME', 'in other letters');
	is_error(channel('amp_y'), 400, 'FIELD_INTEGRITY_EXCEPTION', 'no __chn');
	is_error(channel('a__b__chn'), 400, 'FIELD_INTEGRITY_EXCEPTION', 'two underscores');
	is_error(channel('1a__chn'), 400, 'FIELD_INTEGRITY_EXCEPTION', 'a digit first');
	is_error(channel('z__chn', channelType => 'other'), 400, 'INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST', 'a type that is none');
	is_error(channel('z__chn', label => ''), 400, 'REQUIRED_FIELD_MISSING', 'no label', 'Required field is missing: label');
	is_error(channel('z__chn', more => 1), 400, 'INVALID_FIELD', 'an unknown key');
	is_error(http('POST', "$T/PlatformEventChannel", body => { Metadata => { channelType => 'data', label => 'x' } }), 400, 'REQUIRED_FIELD_MISSING', 'no name', '[FullName]');
	is_error(http('POST', "$T/PlatformEventChannel", body => { FullName => 'z__chn' }), 400, 'REQUIRED_FIELD_MISSING', 'no metadata', '[Metadata]');
	$r = http('GET', "$T/PlatformEventChannel/$id");
	same([ @{ $r->{json} }{qw(Id FullName DeveloperName MasterLabel ChannelType Metadata)} ], [ $id, 'amp_x__chn', 'amp_x', 'amp_x__chn', 'data', { channelType => 'data', label => 'amp_x__chn' } ], 'read again');
	check(http('PATCH', "$T/PlatformEventChannel/$id", body => { FullName => 'amp_x__chn', Metadata => { channelType => 'data', label => 'new' } })->{status} == 204, 'another label');
	is_error(http('PATCH', "$T/PlatformEventChannel/$id", body => { FullName => 'amp_z__chn', Metadata => { channelType => 'data', label => 'new' } }), 400, 'FIELD_INTEGRITY_EXCEPTION', 'another name', 'does not match the full name amp_x__chn of the entity (id: ');
	is_error(http('PATCH', "$T/PlatformEventChannel/$id", body => { Metadata => { channelType => 'event', label => 'new' } }), 400, 'FIELD_INTEGRITY_EXCEPTION', 'another type');
	$r = tq("SELECT Id, MasterLabel FROM PlatformEventChannel WHERE DeveloperName = 'amp_x'");
	same($r->{json}{records}, [ { attributes => { type => 'PlatformEventChannel', url => "$T/PlatformEventChannel/$id" }, Id => $id, MasterLabel => 'new' } ], 'found by its name');
	same([ @{ $r->{json} }{qw(size totalSize done queryLocator entityTypeName)} ], [ 1, 1, JSON::PP::true, undef, 'PlatformEventChannel' ], 'in the envelope');
	is_error(tq("SELECT Id FROM PlatformEventChannel WHERE FullName = 'x'"), 400, 'INVALID_FIELD', 'FullName is no filter', "field 'FullName' can not be filtered in a query call");
	is_error(tq("SELECT Id, Foo FROM PlatformEventChannel"), 400, 'INVALID_FIELD', 'no such column', "No such column 'Foo' on entity 'PlatformEventChannel'");
	is_error(tq("SELECT Id FROM PlatformEventChannel WHERE"), 400, 'MALFORMED_QUERY', 'half a query');
	is_error(tq("SELECT Id FROM PlatformEventChannel LIMIT x"), 400, 'MALFORMED_QUERY', 'no number');
	channel('amp_w__chn');
	check(tq("SELECT Id FROM PlatformEventChannel WHERE DeveloperName LIKE 'a%\\_x'")->{json}{size} == 1 && tq("SELECT Id FROM PlatformEventChannel WHERE DeveloperName LIKE 'am\\_\\_x'")->{json}{size} == 0,
		'LIKE knows escapes');
	check(tq("SELECT Id FROM PlatformEventChannel WHERE DeveloperName LIKE 'am__x'")->{json}{size} == 1, 'and wild cards');
	same([ map { $_->{DeveloperName} } @{ tq('SELECT DeveloperName FROM PlatformEventChannel ORDER BY DeveloperName DESC LIMIT 1')->{json}{records} } ], ['amp_x'], 'order and limit');
	is_error(tq('SELECT FullName FROM PlatformEventChannel'), 400, 'MALFORMED_QUERY', 'FullName of several rows', 'no more than one row');
	check(tq("SELECT Metadata FROM PlatformEventChannel WHERE DeveloperName IN ('amp_x')")->{json}{records}[0]{Metadata}{label} eq 'new', 'metadata of one');
	check(tq('SELECT COUNT() FROM PlatformEventChannel')->{json}{size} == 2, 'counted');

	# members
	$r = member('amp_x__chn', 'AccountChangeEvent');
	check($r->{status} == 201 && $r->{json}{id} =~ /^0v8/, 'a member', $r->{body});
	my $m = $r->{json}{id};
	is_error(member('amp_x__chn', 'AccountChangeEvent'), 400, 'DUPLICATE_DEVELOPER_NAME', 'the same again');
	is_error(member('amp_x__chn', 'AccountChangeEvent', name => 'other'), 400, 'DUPLICATE_VALUE', 'under another name');
	is_error(member('amp_q__chn', 'AccountChangeEvent'), 400, 'INVALID_CROSS_REFERENCE_KEY', 'no such channel');
	is_error(member('amp_x__chn', 'Account'), 400, 'INVALID_CROSS_REFERENCE_KEY', 'no such entity');
	is_error(member('amp_x__chn', 'AccountHistoryChangeEvent'), 400, 'INVALID_CROSS_REFERENCE_KEY', 'an object without change events');
	is_error(member('amp_x__chn', 'ContactChangeEvent', name => 'a__b'), 400, 'FIELD_INTEGRITY_EXCEPTION', 'two underscores');
	is_error(member('amp_x__chn', '', name => 'none'), 400, 'REQUIRED_FIELD_MISSING', 'no entity', 'Required field is missing: selectedEntity');
	is_error(member('amp_x__chn', 'ContactChangeEvent', enrichedFields => [ { name => 'Foo' } ]), 400, 'INVALID_FIELD', 'an enriched field that is none');
	is_error(member('amp_x__chn', 'ContactChangeEvent', enrichedFields => [ { name => 'LastName' } ]), 400, 'INVALID_FIELD', 'a part of a compound');
	is_error(member('amp_x__chn', 'ContactChangeEvent', enrichedFields => [ { name => 'Description' } ]), 400, 'INVALID_FIELD', 'long text');
	is_error(member('amp_x__chn', 'ContactChangeEvent', enrichedFields => [ map { { name => 'Email' } } 1 .. 11 ]), 400, 'LIMIT_EXCEEDED', 'too many');
	$r = member('amp_x__chn', 'invoice__changeevent', name => 'amp_x_chn_Invoice');
	$r = http('GET', "$T/PlatformEventChannelMember/$r->{json}{id}");
	check($r->{json}{Metadata}{selectedEntity} eq 'Invoice__ChangeEvent', 'the name as the org has it', $r->{body});
	check($r->{json}{EventChannel} eq $id && $r->{json}{SelectedEntity} =~ /^01I/, 'Ids in the columns', $r->{body});
	$r = tq("SELECT Id, SelectedEntity FROM PlatformEventChannelMember WHERE EventChannel = '$id' AND SelectedEntity = 'AccountChangeEvent'");
	check($r->{json}{records}[0]{Id} eq $m, 'found by channel and entity', $r->{body});
	(my $old = $T) =~ s/62/50/;
	is_error(http('POST', "$old/PlatformEventChannelMember", body => { FullName => 'o', Metadata => { eventChannel => 'amp_x__chn', selectedEntity => 'CaseChangeEvent', enrichedFields => [] } }), 400, 'INVALID_FIELD', 'enriched fields before v51.0');
	$old =~ s/50/46/;
	is_error(http('POST', "$old/PlatformEventChannel", body => {}), 404, 'NOT_FOUND', 'channels before v47.0');
	my $full = { eventChannel => 'amp_x__chn', selectedEntity => 'AccountChangeEvent' };
	my $patch = sub { my (%m) = @_; return http('PATCH', "$T/PlatformEventChannelMember/$m", body => { FullName => 'amp_x_chn_AccountChangeEvent', Metadata => {%m} }) };
	check($patch->(%$full, filterExpression => "Industry = 'Apparel'")->{status} == 204, 'a filter later');
	is_error($patch->(eventChannel => 'amp_x__chn'), 400, 'REQUIRED_FIELD_MISSING', 'a change says all', 'Required field is missing: selectedEntity');
	is_error($patch->(%$full, selectedEntity => 'accountchangeevent'), 400, 'FIELD_INTEGRITY_EXCEPTION', 'as it was', 'Update is not supported for the selectedEntity field on platform event channel members.');
	is_error($patch->(%$full, eventChannel => 'amp_w__chn'), 400, 'FIELD_INTEGRITY_EXCEPTION', 'nor another channel', 'eventChannel');
	is_error($patch->(%$full, filterExpression => $_->[0]), 400, $_->[1], "filter: $_->[0]") for (
		[ 'Foo = 1', 'INVALID_FIELD' ], [ "Industry = Apparel", 'MALFORMED_QUERY' ], [ "Industry <> 'x'", 'MALFORMED_QUERY' ],
		[ "Industry = 'x' AND Type = 'y' OR Type = 'z'", 'MALFORMED_QUERY' ], [ "(Industry = 'x'", 'MALFORMED_QUERY' ],
		[ "AnnualRevenue = '1'", 'MALFORMED_QUERY' ], [ "AnnualRevenue LIKE '1'", 'MALFORMED_QUERY' ],
		[ "CreatedDate > TODAY", 'MALFORMED_QUERY' ], [ "CreatedDate > 2024-01-01", 'MALFORMED_QUERY' ],
		[ "ChangeEventHeader.recordIds = '001'", 'INVALID_FIELD' ], [ "BillingCity = 'x'", 'INVALID_FIELD' ],
		[ "Owner.Name = 'x'", 'INVALID_FIELD' ], [ "Industry > null", 'MALFORMED_QUERY' ], [ "Description = 'x'", 'INVALID_FIELD' ], [ "Industry LIKE 'x\\_'", 'MALFORMED_QUERY' ], [ "Industry = 'x\\\\'", 'MALFORMED_QUERY' ]);
	check($patch->(%$full, filterExpression => $_)->{status} == 204, "filter: $_") for (
		"Industry IN ('a', 'b') AND (NOT Type LIKE 'x%')", "CreatedDate >= 2024-01-01T00:00:00+01:00", "BillingAddress.City != null",
		"ChangeEventHeader.changeType != 'UPDATE' OR AnnualRevenue > 1.5", "");

	# five objects at a time
	member('ChangeEvents', $_) for 'ContactChangeEvent', 'LeadChangeEvent', 'CaseChangeEvent', 'AccountChangeEvent';
	$r = member('ChangeEvents', 'TaskChangeEvent');
	is_error($r, 400, 'LIMIT_EXCEEDED', 'a sixth object');
	is_error(http('DELETE', "$T/PlatformEventChannel/$id"), 400, 'DELETE_FAILED', 'a channel that has members');
	for (@{ tq("SELECT Id FROM PlatformEventChannelMember WHERE EventChannel = '$id'")->{json}{records} })
	{
		check(http('DELETE', "$T/PlatformEventChannelMember/$_->{Id}")->{status} == 204, 'a member goes');
	}
	check(http('DELETE', "$T/PlatformEventChannel/$id")->{status} == 204, 'then the channel');
	is_error(http('GET', "$T/PlatformEventChannel/$id"), 404, 'NOT_FOUND', 'gone');
	is_error(http('DELETE', "$T/PlatformEventChannel/$id"), 404, 'NOT_FOUND', 'twice');

	# what a relay needs
	channel('rel__chn');
	my $post = sub { my ($type, $name, %m) = @_; return http('POST', "$T/$type", body => { FullName => $name, Metadata => {%m} }) };
	$r = $post->('NamedCredential', 'amp_x', label => 'L', endpoint => 'arn:aws:US-EAST-2:1', principalType => 'NamedUser', protocol => 'NoAuthentication', generateAuthorizationHeader => JSON::PP::true);
	check($r->{status} == 201, 'a named credential', $r->{body});
	$r = $post->('EventRelayConfig', 'amp_x', destinationResourceName => 'callout:amp_x', eventChannel => 'rel__chn');
	check($r->{status} == 201, 'a relay', $r->{body});
	is_error($post->('EventRelayConfig', 'amp_x', destinationResourceName => 'callout:amp_x', eventChannel => 'rel__chn'), 400, 'FIELD_INTEGRITY_EXCEPTION', 'its channel is taken before its name is', 'referenced by an existing event relay');
	check(http('PATCH', "$T/EventRelayConfig/$r->{json}{id}", body => { FullName => 'amp_x', Metadata => { state => 'RUN' } })->{status} == 204, 'it runs');
	check(http('GET', "$T/EventRelayConfig/$r->{json}{id}")->{json}{State} eq 'RUN', 'and says so');
}

sub test_channels
{
	events(select => 'Account');
	channel('cust__chn');
	member('cust__chn', 'ContactChangeEvent', enrichedFields => [ { name => 'Email' }, { name => 'MailingAddress' } ]);
	listen_to('/data/cust__chn');
	subscribe('/data/ChangeEvents', -1);
	subscribe('/data/ContactChangeEvent', -1);
	my @ids = map { made('Contact', { LastName => "c$_", Email => "c$_\@x.example", MailingCity => 'M' }) } 1 .. 2;
	made('Account', { Name => 'a' });
	my @m = grep { $_->{data} } @{ poll() };
	same([ map { [ $_->{channel}, $_->{data}{payload}{ChangeEventHeader}{entityName} ] } @m ],
		[ (map { [ '/data/cust__chn', 'Contact' ] } 1 .. 2), [ '/data/ChangeEvents', 'Account' ] ], 'each channel has its objects');
	rest('PATCH', 'composite/sobjects', { records => [ map { { attributes => { type => 'Contact' }, id => $_, Title => 't' } } @ids ] });
	@m = grep { $_->{data} } @{ poll() };
	same([ map { [ $_->{data}{payload}{Title}, $_->{data}{payload}{Email}, $_->{data}{payload}{MailingAddress}, header($_->{data}{payload})->{recordIds}, header($_->{data}{payload})->{changedFields} ] } @m ],
		[ map { [ 't', "c$_\@x.example", { City => 'M' }, [ $ids[ $_ - 1 ] ], [ 'Title', 'LastModifiedDate' ] ] } 1, 2 ], 'enriched events are told row by row');
	check($m[0]{data}{event}{replayId} == $m[1]{data}{event}{replayId}, 'with the same replay id');
	rest('PATCH', "sobjects/Contact/$ids[0]", { Email => undef });
	my ($e) = told();
	same([ exists $e->{Email}, $e->{Email} ], [ 1, undef ], 'a change wins over the enrichment');
	rest('PATCH', "sobjects/Contact/$ids[0]", { Email => 'new@x.example', MailingStreet => 'St', MailingCity => undef });
	my $raw = http('POST', '/cometd/62.0', headers => { Cookie => $cookie }, body => [ { channel => '/meta/connect', clientId => $client, connectionType => 'long-polling' } ])->{body};
	check(1 == (() = $raw =~ /"Email":/g), 'a field is there once', $raw);
	check($raw =~ /"MailingAddress":\{"Street":"St","City":null\}/, 'a null that is new stays', $raw);
	rest('PATCH', "sobjects/Contact/$ids[0]", { MailingCity => 'Ci' });
	($e) = told();
	same($e->{MailingAddress}, { City => 'Ci', Street => 'St' }, 'the other parts of a compound come along');
	rest('DELETE', "sobjects/Contact/$ids[1]");
	($e) = told();
	same([ header($e)->{changeType}, $e->{Email} ], [ 'DELETE', 'c2@x.example' ], 'also of a delete');
	shake();
	subscribe('/data/cust__chn', -2);
	my ($up) = grep { header($_)->{changeType} eq 'UPDATE' && exists $_->{Title} } told();
	check(($up->{Email} // '') eq 'new@x.example', 'enriched by what is there when it is asked for', $json->encode($up));

	# a filter; what it names is enriched
	my $m = tq("SELECT Id FROM PlatformEventChannelMember WHERE DeveloperName = 'cust_chn_ContactChangeEvent'")->{json}{records}[0]{Id};
	my $filter = sub {
		my $r = http('PATCH', "$T/PlatformEventChannelMember/$m", body => { Metadata => { eventChannel => 'cust__chn', selectedEntity => 'ContactChangeEvent', filterExpression => $_[0] } });
		die $r->{body} if $r->{status} != 204;
		listen_to('/data/cust__chn');
	};
	my %test = (
		"ChangeEventHeader.changeType = 'UPDATE'" => [qw(UPDATE)],
		"ChangeEventHeader.changeType != 'UPDATE' OR DoNotCall = true" => [qw(CREATE UPDATE DELETE)],
		"DoNotCall = null" => [],
		"Name.LastName LIKE 'F_l%' AND Name.FirstName = null" => [qw(CREATE UPDATE DELETE)],
		"Name.LastName = 'FILTERED' AND Department IN ('x', 'y')" => [qw(UPDATE DELETE)],
		"Department NOT IN ('x')" => [qw(CREATE)],
		"(NOT Department = 'x') OR ChangeEventHeader.sequenceNumber > 1" => [qw(CREATE)],
		"Birthdate < 2000-01-01 AND CreatedDate > 2020-01-01T00:00:00Z" => [qw(CREATE UPDATE DELETE)],
	);
	for my $f (sort keys %test)
	{
		$filter->($f);
		my $c = made('Contact', { LastName => 'Filtered', DoNotCall => JSON::PP::true, Birthdate => '1999-12-31' });
		my @e = told();
		rest('PATCH', "sobjects/Contact/$c", { Department => 'x' });
		push @e, told();
		rest('DELETE', "sobjects/Contact/$c");
		push @e, told();
		same([ map { header($_)->{changeType} } @e ], $test{$f}, "filter: $f");
		check(exists $e[1]{Name}, 'and the field that it names is there') if $f =~ /^Name.LastName =/;
	}
	events(delivered => 0);
	$filter->("Department = 'nobody'");
	made('Contact', { LastName => 'unseen' });
	told();
	check(rest('GET', 'limits')->{json}{DailyDeliveredPlatformEvents}{Remaining} == 25000, 'what is kept back is not counted');
	# a field that the subscriber does not see
	made('Account', { Name => 'seen', Phone => '1', BillingCity => 'c', BillingStreet => 's' });
	post_admin('schema', "hide Account $_ admin\@sandbox.example") for 'Phone', 'BillingCity';
	shake();
	subscribe('/data/ChangeEvents', -2);
	my ($hidden) = grep { ($_->{Name} // '') eq 'seen' } told();
	same([ exists $hidden->{Phone}, $hidden->{BillingAddress}, header($hidden)->{changeType} ], [ '', { Street => 's' }, 'CREATE' ], 'a field that is hidden is not told');
	http('DELETE', '/__sandbox/schema', token => undef);
	# the channel goes while somebody listens
	listen_to('/data/cust__chn');
	http('DELETE', "$T/PlatformEventChannelMember/$m");
	my $c = made('Contact', { LastName => 'later' });
	same([ told() ], [], 'an object that is not selected any more');
	check(subscribe('/data/ContactChangeEvent', -1)->{successful}, 'its own channel is there all the same');
	my ($s) = rest('GET', 'sobjects/AccountChangeEvent/eventSchema');
	check($s->{status} == 200 && $s->{json}{name} eq 'AccountChangeEvent' && $s->{json}{fields}[0]{name} eq 'ChangeEventHeader', 'a schema', $s->{body});
	same(rest('GET', "event/eventSchema/$s->{json}{uuid}?payloadFormat=COMPACT")->{json}, $s->{json}, 'by its Id');
	check(rest('GET', 'event/eventSchema/none')->{status} == 404 && rest('GET', 'sobjects/NoChangeEvent/eventSchema')->{status} == 404, 'none');
}

# What somebody knows who only listens: $rows{Id} = { Field => value }, names as rows have them.
sub apply
{
	my ($rows, $p) = @_;
	my $h = $p->{ChangeEventHeader};
	for my $id (@{ $h->{recordIds} })
	{
		if ($h->{changeType} eq 'DELETE') { delete $rows->{$id}; next }
		die "$h->{changeType} of $id" if ($h->{changeType} eq 'UPDATE') != exists $rows->{$id};
		for my $f (grep { $_ ne 'ChangeEventHeader' } keys %$p)
		{
			my $v = $p->{$f};
			if (ref $v ne 'HASH') { $rows->{$id}{$f} = $v; next }
			(my $stem = $f) =~ s/Address$|^Name$//;
			$rows->{$id}{ $f =~ /__c$/ ? substr($f, 0, -1) . "${_}__s" : "$stem$_" } = $v->{$_} for keys %$v;
		}
	}
}

# The rows of the org, in the same form.
sub rows_of
{
	my (@objects) = @_;
	my %rows;
	for my $o (@objects)
	{
		my @fields = grep { !$_->{calculated} && $_->{type} !~ /^(address|location|base64|encryptedstring)$/
			  && $_->{name} !~ /^(IsDeleted|SystemModstamp|MasterRecordId|LastActivityDate|LastViewedDate|LastReferencedDate|PhotoUrl|IsEmailBounced)$/
			  && !($_->{name} eq 'Name' && $o eq 'Contact') } @{ rest('GET', "sobjects/$o/describe")->{json}{fields} };
		my $next = "$D/query?q=" . enc('SELECT ' . join(',', map { $_->{name} } @fields) . " FROM $o");
		while ($next)
		{
			my $page = http('GET', $next)->{json};
			for my $r (@{ $page->{records} })
			{
				my $id = $r->{Id};
				for (@fields)
				{
					my $v = $r->{ $_->{name} };
					$v =~ s/\+0000$/Z/ if defined $v && $_->{type} eq 'datetime';
					$rows{$id}{ $_->{name} } = $v if defined $v && $_->{name} ne 'Id';
				}
				$rows{$id} ||= {};
			}
			$next = $page->{nextRecordsUrl};
		}
	}
	return \%rows;
}

# Who listens from the beginning knows what is there, whatever was written and however.
sub test_mirror
{
	my @objects = qw(Account Contact Invoice__c Opportunity Campaign);
	events(select => join(',', @objects));
	shake();
	subscribe('/data/ChangeEvents', -1);
	my $known = {};
	my @ids;
	my $seed = $ENV{SEED} // int(rand(1 << 30));
	srand($seed);
	my $any = sub { my ($prefix) = @_; my @l = grep { /^$prefix/ } @ids; return @l ? $l[ rand @l ] : undef };
	my $record = sub {
		my ($o, $id) = @_;
		my %r = $o eq 'Account' ? (Name => 'a' . int rand 9, BillingCity => (undef, 'x', 'y')[ rand 3 ], Phone => (undef, '1')[ rand 2 ], ParentId => $any->('001'))
		  : $o eq 'Contact' ? (LastName => 'c' . int rand 9, FirstName => (undef, 'f')[ rand 2 ], AccountId => $any->('001'), Birthdate => (undef, '2000-01-01')[ rand 2 ], MailingStreet => (undef, 'm')[ rand 2 ])
		  : $o eq 'Opportunity' ? (Name => 'o', StageName => 'Prospecting', CloseDate => '2030-01-01', Amount => int rand 5, AccountId => $any->('001'), CampaignId => $any->('701'))
		  : $o eq 'Campaign' ? (Name => 'p' . int rand 3)
		  : (Amount__c => rand > 0.5 ? 1.5 : undef, Account__c => $any->('001'), Paid__c => rand > 0.5 ? JSON::PP::true : JSON::PP::false, Location__Latitude__s => 1, Location__Longitude__s => int rand 3);
		delete $r{ParentId} if $id;
		return \%r;
	};
	my %object = ('001' => 'Account', '003' => 'Contact', '006' => 'Opportunity', '701' => 'Campaign');
	my $object = sub { return $object{ substr $_[0], 0, 3 } || 'Invoice__c' };
	for my $n (1 .. 120)
	{
		my $what = rand;
		if ($what < 0.35)
		{
			my @r = map { my $o = $objects[ rand @objects ]; { attributes => { type => $o }, %{ $record->($o) } } } 1 .. 1 + rand 5;
			push @ids, map { $_->{id} // () } @{ rest('POST', 'composite/sobjects', { allOrNone => rand > 0.8 ? JSON::PP::true : JSON::PP::false, records => [ sort { $a->{attributes}{type} cmp $b->{attributes}{type} } @r ] })->{json} };
		}
		elsif ($what < 0.7 && @ids)
		{
			my %some = map { $ids[ rand @ids ] => 1 } 1 .. 4;
			rest('PATCH', 'composite/sobjects', { records => [ map { my $o = $object->($_); { attributes => { type => $o }, id => $_, %{ $record->($o, $_) } } } sort keys %some ] });
		}
		elsif ($what < 0.82 && @ids) { rest('DELETE', 'composite/sobjects?ids=' . join ',', map { $ids[ rand @ids ] } 1 .. 2) }
		elsif ($what < 0.9 && @ids) { post_admin('undelete?id=' . $ids[ rand @ids ]) }
		elsif ($what < 0.95 && (my $m = $any->('001'))) { post_admin("merge?master=$m&losers=" . $any->('001')) }
		elsif (my $a = $any->('001'))
		{
			my $r = rest('POST', 'composite', { allOrNone => JSON::PP::true, compositeRequest => [
				{ method => 'PATCH', url => "$D/sobjects/Account/$a", referenceId => 'a', body => { Name => 'twice' } },
				{ method => 'POST', url => "$D/sobjects/Contact", referenceId => 'b', body => { LastName => 'new', AccountId => $a } },
				{ method => 'PATCH', url => "$D/sobjects/Contact/@\{b.id}", referenceId => 'c', body => { Title => "t$n" } },
				{ method => rand > 0.5 ? 'DELETE' : 'PATCH', url => "$D/sobjects/Account/" . $ids[ rand @ids ], referenceId => 'd', body => { Name => 'x' } } ] });
			push @ids, map { $_->{body}{id} // () } grep { ref $_->{body} eq 'HASH' } @{ $r->{json}{compositeResponse} };
		}
		apply($known, $_) for told();
	}
	apply($known, $_) for told();
	my $there = rows_of(@objects);
	delete @{$there}{ grep { !exists $known->{$_} && !exists { map { $_ => 1 } @ids }->{$_} } keys %$there };
	my %seen = map { my $id = $_; $id => { map { defined $known->{$id}{$_} ? ($_ => $known->{$id}{$_}) : () } keys %{ $known->{$id} } } } keys %$known;
	my @wrong = grep { $json->encode($seen{$_} // 0) ne $json->encode($there->{$_} // 0) } sort keys %{ { %seen, %$there } };
	check(@ids > 10 && keys %$there > 3, 'rows that were written', scalar(@ids) . ' ' . keys %$there);
	check(!@wrong, 'who listens knows all rows', join "\n", "seed $seed, " . @wrong . ' differ', map { "$_\n      " . $json->encode($seen{$_} // 0) . "\n      " . $json->encode($there->{$_} // 0) } @wrong[ 0 .. ($#wrong > 2 ? 2 : $#wrong) ]);
}

sub test_restart
{
	events(select => 'Account');
	my $id = made('Account', { Name => 'kept' });
	channel('stay__chn');
	my $last = http('GET', '/__sandbox/events', token => undef)->{json}{last};
	stop('with a file');
	start('--data', "$tmp/org.db", '--events', 'timeout-ms=1000');
	login();
	shake();
	check(subscribe('/data/ChangeEvents', $last)->{successful}, 'replay ids outlive the program');
	check(tq("SELECT Id FROM PlatformEventChannel WHERE DeveloperName = 'stay'")->{json}{size} == 1, 'so do channels');
	poll();
	my $end = waiting(30000);
	my $t = time;
	stop('while a connect waits');
	check(time - $t < 10, 'and soon');
	$end->();
}

start('--seed', 'demo');
login();
check(http('GET', '/__sandbox/events', token => undef)->{json}{events} == 0, 'a seed makes no events');
made('Account', { Name => 'nobody asked' });
check(http('GET', '/__sandbox/events', token => undef)->{json}{events} == 0, 'nothing is selected at first');
run_tests(\&test_body, \&test_transactions, \&test_bulk, \&test_gaps, \&test_replay, \&test_bayeux, \&test_waiting, \&test_limits,
	\&test_tooling, \&test_channels, \&test_mirror);
post_admin('reset');
check(http('GET', '/__sandbox/events', token => undef)->{body} =~ /"events":0,.*"selected":\{\}/, 'a reset forgets all of it');
stop('the program');
start('--seed', 'empty', '--data', "$tmp/org.db", '--events', 'select=Account,Lead', '--events', 'daily=7');
login();
same(http('GET', '/__sandbox/events', token => undef)->{json}{selected}, { Account => 'ChangeEvents', Lead => 'ChangeEvents' }, 'selected by an option');
events(daily => 9);
post_admin('reset?seed=empty');
same([ @{ http('GET', '/__sandbox/events', token => undef)->{json} }{qw(remaining selected)} ], [ 7, { Account => 'ChangeEvents', Lead => 'ChangeEvents' } ], 'a reset goes back to the options');
test_restart();
start('--seed', 'empty', '--null-parts', 'absent', '--events', 'select=Account');
login();
listen_to();
my $a = made('Account', { Name => 'x', BillingCity => 'c', BillingStreet => 's' });
told();
rest('PATCH', "sobjects/Account/$a", { BillingCity => undef, BillingStreet => 't', Phone => undef });
my ($e) = told();
same([ $e->{BillingAddress}, $e->{ChangeEventHeader}{changedFields} ], [ { Street => 't' }, [ 'BillingAddress.Street', 'BillingAddress.City', 'LastModifiedDate' ] ], 'the other reading of parts that became null');
stop('the last');
finish();
