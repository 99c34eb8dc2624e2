#!/usr/bin/perl
# test_changes.pl BINARY - how the sandbox's org changes by itself: late writes, its clock, merges, the recycle bin, fields.
#
# Starts the binary itself, on a free port.  Ends with "N passed, N failed".
use strict;
use warnings;
no warnings qw(exec);
use FindBin qw($Bin);
use JSON::PP;
use POSIX ();
use Time::HiRes qw(time);
require "$Bin/test_http.pl";
our ($binary, $tmp, $json, $passed, $failed, $pid, $url, $token, $D);

sub org { my (%o) = @_; my $r = post_admin('org?' . form(%o)); die "org: $r->{body}" if $r->{status} != 200; return $r->{json} }
sub create { my ($object, %v) = @_; my $r = http('POST', "$D/sobjects/$object", body => \%v); die "create: $r->{body}" if $r->{status} != 201; return $r->{json}{id} }
sub change { my ($object, $id, %v) = @_; my $r = http('PATCH', "$D/sobjects/$object/$id", body => \%v); return check($r->{status} == 204, "update of $object", $r->{body}) }
sub row { my ($object, $id, @fields) = @_; return soql('SELECT ' . join(',', @fields) . " FROM $object WHERE Id = '$id'")->{json}{records}[0] }
sub deleted_row { my ($object, $id, @fields) = @_; return http('GET', "$D/queryAll?q=" . enc('SELECT ' . join(',', @fields) . " FROM $object WHERE Id = '$id'"))->{json}{records}[0] }
sub seconds { my ($stamp) = @_; my @t = $stamp =~ /^(\d+)-(\d+)-(\d+)T(\d+):(\d+):(\d+)/; return Time::Local::timegm(@t[5, 4, 3, 2], $t[1] - 1, $t[0]) }
sub date_of { my ($r) = @_; my ($d, $m, $y, $h, $min, $s) = $r->{headers}{date} =~ /^\w+, (\d+) (\w+) (\d+) (\d+):(\d+):(\d+) GMT$/ or return 0;
	return Time::Local::timegm($s, $min, $h, $d, index('JanFebMarAprMayJunJulAugSepOctNovDec', $m) / 3, $y) }
require Time::Local;

# A write waits; those that follow are not late.
sub late_one
{
	for (1 .. 1200) { last if http('GET', '/__sandbox/org', token => undef)->{json}{late}; select undef, undef, undef, 0.1 }
	org('late-percent' => 0);
}

sub test_late
{
	my $before = create('Account', Name => 'before');
	org('late-percent' => 100, 'late-ms' => 600000);
	my $late = fork;
	if (!$late)
	{
		# its own files, as both ask at once
		our $tmp = "$tmp/late";
		mkdir $tmp;
		my $r = http('PATCH', "$D/sobjects/Account/$before", body => { Name => 'late' });
		POSIX::_exit($r->{status} == 204 ? 0 : 1);
	}
	late_one();
	# a second further on
	select undef, undef, undef, 1.2;
	my $seen = row('Account', $before, 'Name');
	my $next = create('Account', Name => 'next');
	org('late-ms' => 0);
	waitpid $late, 0;
	check($? == 0, 'a late write is done');
	check($seen->{Name} eq 'before', 'it is not seen before it ends', $json->encode($seen));
	my ($a, $b) = (row('Account', $before, 'Name', 'SystemModstamp'), row('Account', $next, 'SystemModstamp'));
	check($a->{Name} eq 'late' && $a->{SystemModstamp} lt $b->{SystemModstamp}, 'and is older than what was seen before it', "$a->{SystemModstamp} $b->{SystemModstamp}");
	# somebody else wrote the row meanwhile: the order of stamps is that of the writes
	org('late-percent' => 100, 'late-ms' => 600000);
	$late = fork;
	if (!$late)
	{
		our $tmp = "$tmp/late";
		POSIX::_exit(http('PATCH', "$D/sobjects/Account/$before", body => { Name => 'last' })->{status} == 204 ? 0 : 1);
	}
	late_one();
	select undef, undef, undef, 1.2;
	change('Account', $before, Name => 'between');
	my $between = row('Account', $before, 'SystemModstamp');
	org('late-ms' => 0);
	waitpid $late, 0;
	$a = row('Account', $before, 'Name', 'SystemModstamp');
	check($a->{Name} eq 'last' && $a->{SystemModstamp} eq $between->{SystemModstamp}, 'a late write does not set a row back', "$a->{Name} $a->{SystemModstamp} $between->{SystemModstamp}");
	# a share of them
	org('late-percent' => 50, 'late-ms' => 60);
	my $slow = 0;
	for (1 .. 30) { my $t = time; create('Lead', LastName => 'x', Company => 'y'); $slow++ if time - $t > 0.055 }
	# on a machine that is busy others take that long, too
	check($slow > 3, 'a share of the writes is late', $slow);
	org('late-percent' => 0);
}

sub test_clock
{
	check(abs(date_of(http('GET', "$D/limits")) - time) < 5, 'the date of an answer');
	check(org(skew => 600)->{skew} == 600, 'the clock is set');
	my $r = http('GET', "$D/limits");
	check(abs(date_of($r) - time - 600) < 5, 'a clock that is ahead', $r->{headers}{date});
	my $id = create('Account', Name => 'ahead');
	check(abs(seconds(row('Account', $id, 'SystemModstamp')->{SystemModstamp}) - time - 600) < 5, 'and the stamps with it');
	org(skew => -600);
	change('Account', $id, Name => 'behind');
	check(abs(seconds(row('Account', $id, 'SystemModstamp')->{SystemModstamp}) - time + 600) < 5, 'a clock that is behind');
	check(post_admin('org?skew=much')->{status} == 400 && post_admin('org?tide=1')->{status} == 400, 'what is no setting');
	post_admin('reset?seed=demo');
	check(http('GET', '/__sandbox/org', token => undef)->{json}{skew} == 0, 'a reset sets the clock right');
}

sub test_deletes
{
	my $id = create('Account', Name => 'gone');
	my $stamp = row('Account', $id, 'SystemModstamp')->{SystemModstamp};
	select undef, undef, undef, 1.1;
	http('DELETE', "$D/sobjects/Account/$id");
	check(deleted_row('Account', $id, 'SystemModstamp')->{SystemModstamp} eq $stamp, 'a delete leaves SystemModstamp alone');
	org('delete-stamp' => 'moves');
	post_admin("undelete?id=$id");
	select undef, undef, undef, 1.1;
	$stamp = row('Account', $id, 'SystemModstamp')->{SystemModstamp};
	http('DELETE', "$D/sobjects/Account/$id");
	check(deleted_row('Account', $id, 'SystemModstamp')->{SystemModstamp} gt $stamp, 'or moves it');
	org('delete-stamp' => 'stays');

	# for good
	my $contact = create('Contact', LastName => 'left');
	http('DELETE', "$D/sobjects/Contact/$contact");
	check(post_admin("purge?id=$id")->{status} == 200 && !deleted_row('Account', $id, 'Id'), 'a row is purged');
	check(post_admin("undelete?id=$id")->{status} == 400, 'and does not come back');
	check(defined deleted_row('Contact', $contact, 'Id') && post_admin('purge?object=Contact')->{status} == 200 && !deleted_row('Contact', $contact, 'Id'), 'the recycle bin of an object');
	my $lead = create('Lead', LastName => 'left', Company => 'y');
	check(post_admin("purge?id=$lead")->{status} == 200 && !deleted_row('Lead', $lead, 'Id'), 'a live row is deleted and purged');
	check(post_admin('purge')->{status} == 200 && http('GET', "$D/queryAll?q=" . enc('SELECT COUNT() FROM Opportunity WHERE IsDeleted = true'))->{json}{totalSize} == 0, 'the whole bin');
	check(post_admin('purge?object=Nothing')->{status} == 400 && post_admin("purge?id=$lead")->{status} == 400, 'what is not there');
}

sub test_merge
{
	my ($a, $b, $c) = map { create('Account', Name => "Merge $_") } qw(a b c);
	my $contact = create('Contact', LastName => 'Child', AccountId => $b);
	my $case = create('Case', Subject => 'Child', AccountId => $c);
	my $invoice = create('Invoice__c', Account__c => $b);
	my $task = create('Task', Subject => 'Child', WhatId => $b);
	my $below = create('Account', Name => 'Below', ParentId => $b);
	change('Account', $a, ParentId => $c);
	my $modified = row('Contact', $contact, 'LastModifiedDate', 'SystemModstamp');
	select undef, undef, undef, 1.1;
	my $r = post_admin("merge?master=$a&losers=$b,$c", '{"Phone":"1"}');
	check($r->{status} == 200, 'a merge', $r->{body});
	for ([ 'Contact', $contact, 'AccountId' ], [ 'Case', $case, 'AccountId' ], [ 'Invoice__c', $invoice, 'Account__c' ], [ 'Task', $task, 'WhatId' ], [ 'Account', $below, 'ParentId' ])
	{
		my ($object, $id, $field) = @$_;
		check((row($object, $id, $field)->{$field} // '') eq $a, "$object follows to the master");
	}
	check(!defined row('Account', $a, 'ParentId')->{ParentId}, 'the master is not its own parent');
	check(row('Account', $a, 'Phone')->{Phone} eq '1', 'the chosen values');
	my $after = row('Contact', $contact, 'LastModifiedDate', 'SystemModstamp');
	check($after->{LastModifiedDate} eq $modified->{LastModifiedDate} && $after->{SystemModstamp} gt $modified->{SystemModstamp}, 'the stamp of what followed');
	for my $loser ($b, $c)
	{
		my $row = deleted_row('Account', $loser, 'IsDeleted', 'MasterRecordId');
		check($row->{IsDeleted} && $row->{MasterRecordId} eq $a, 'a loser says who won', $json->encode($row));
	}
	my $end = POSIX::strftime('%Y-%m-%dT%H:%M:%S+00:00', gmtime(time + 120));
	my $start = POSIX::strftime('%Y-%m-%dT%H:%M:%S+00:00', gmtime(time - 600));
	check(http('GET', "$D/sobjects/Account/deleted?start=" . enc($start) . '&end=' . enc($end))->{body} =~ /$b/, 'and is among the deleted');
	check(post_admin("undelete?id=$b")->{status} == 200 && !defined row('Account', $b, 'MasterRecordId')->{MasterRecordId}, 'it can come back');
	check(row('Contact', $contact, 'AccountId')->{AccountId} eq $a, 'without its children');
	for my $object ([ 'Contact', LastName => 'm' ], [ 'Lead', LastName => 'm', Company => 'm' ], [ 'Case', Subject => 'm' ])
	{
		my ($name, @v) = @$object;
		my ($x, $y) = (create($name, @v), create($name, @v));
		check(post_admin("merge?master=$x&losers=$y")->{status} == 200 && (deleted_row($name, $y, 'MasterRecordId')->{MasterRecordId} // '') eq $x, "a merge of $name");
	}
	my ($o1, $o2) = map { create('Opportunity', Name => 'm', StageName => 'Prospecting', CloseDate => '2026-01-01') } 1 .. 2;
	check(post_admin("merge?master=$_->[0]&losers=$_->[1]")->{status} == 400, "no merge: $_->[2]")
	  for [ $o1, $o2, 'of opportunities' ], [ $a, $a, 'with itself' ], [ $a, $c, 'of a deleted row' ], [ $a, $contact, 'of two objects' ], [ $a, '', 'of nothing' ], [ $a, "$b,$b", 'of one twice' ];
}

sub test_silent
{
	my $id = create('Account', Name => 'Quiet');
	my $was = row('Account', $id, 'SystemModstamp', 'LastModifiedDate');
	select undef, undef, undef, 1.1;
	check(post_admin("set?id=$id&Rating=Hot&NumberOfEmployees=12")->{status} == 200, 'a value changes by itself');
	my $is = row('Account', $id, 'SystemModstamp', 'LastModifiedDate', 'Rating', 'NumberOfEmployees');
	check($is->{Rating} eq 'Hot' && $is->{NumberOfEmployees} == 12 && $is->{SystemModstamp} eq $was->{SystemModstamp} && $is->{LastModifiedDate} eq $was->{LastModifiedDate}, 'and no stamp with it', $json->encode($is));
	check(post_admin("set?id=$id&Rating=")->{status} == 200 && !defined row('Account', $id, 'Rating')->{Rating}, 'to null');
	check(post_admin("set?id=$id&NumberOfEmployees=x")->{status} == 400 && post_admin("set?id=$id&Nothing=x")->{status} == 400, 'what does not fit');
}

sub schema { return http('POST', '/__sandbox/schema', token => undef, body => join("\n", @_)) }
sub no_schema { return http('DELETE', '/__sandbox/schema', token => undef) }
sub described { my ($object, $field, $who) = @_; my ($f) = grep { $_->{name} eq $field } @{ http('GET', "$D/sobjects/$object/describe", defined $who ? (token => $who) : ())->{json}{fields} }; return $f }
sub rollup { my ($name, $function, $of) = @_; return qq({"name":"$name","type":"double","precision":18,"scale":2,"calculated":true,"sandbox":{"rollup":{"child":"Invoice__c","lookup":"Account__c","function":"$function") . ($of ? qq(,"field":"$of") : '') . '}}}' }
sub formula { my ($name, $type, $sql) = @_; return $json->encode({ name => $name, type => $type, calculated => JSON::PP::true, calculatedFormula => 'X', sandbox => { formula => $sql } }) }

sub test_formulas
{
	my $r = schema('add Account ' . rollup('Open_Invoices__c', 'count'), 'add Account ' . rollup('Invoiced__c', 'sum', 'Amount__c'),
		'add Invoice__c ' . formula('Customer__c', 'string', q(sf_value('Account', "Account__c", 'Name'))),
		'add Invoice__c ' . formula('Age__c', 'double', 'julianday(sf_today()) - julianday(substr("CreatedDate", 1, 10))'),
		'add Account {"name":"Score__c","type":"double","precision":18,"scale":0,"calculated":true}');
	check($r->{status} == 200, 'formulas and roll-ups are added', $r->{body});
	my $f = described('Invoice__c', 'Customer__c');
	check($f->{calculated} && !$f->{createable} && !$f->{updateable} && $f->{calculatedFormula} eq 'X' && !$f->{sandbox}, 'and described');

	my $account = create('Account', Name => 'Rolling');
	my $other = create('Account', Name => 'Other');
	my $invoice = create('Invoice__c', Account__c => $account, Amount__c => 10.5);
	create('Invoice__c', Account__c => $account, Amount__c => 2);
	my $sums = sub { my $a = row('Account', $_[0] // $account, 'Open_Invoices__c', 'Invoiced__c'); return join ' ', map { defined $_ ? $_ + 0 : 'null' } @$a{qw(Open_Invoices__c Invoiced__c)} };
	check($sums->() eq '2 12.5', 'roll-ups of inserts', $sums->());
	change('Invoice__c', $invoice, Amount__c => 20);
	check($sums->() eq '2 22', 'of an update', $sums->());
	change('Invoice__c', $invoice, Account__c => $other);
	check($sums->() eq '1 2' && $sums->($other) eq '1 20', 'of another parent', $sums->());
	http('DELETE', "$D/sobjects/Invoice__c/$invoice");
	check($sums->($other) eq '0 null', 'of a delete', $sums->($other));
	post_admin("undelete?id=$invoice");
	check($sums->($other) eq '1 20', 'of an undelete', $sums->($other));
	post_admin("merge?master=$account&losers=$other");
	check($sums->() eq '2 22', 'of a merge', $sums->());
	my $child = row('Invoice__c', $invoice, 'Customer__c', 'Age__c', 'SystemModstamp');
	check($child->{Customer__c} eq 'Rolling' && $child->{Age__c} == 0, 'formulas', $json->encode($child));
	select undef, undef, undef, 1.1;
	change('Account', $account, Name => 'Renamed');
	org(skew => 86400 * 3);
	my $later = row('Invoice__c', $invoice, 'Customer__c', 'Age__c', 'SystemModstamp');
	check($later->{Customer__c} eq 'Renamed' && $later->{Age__c} == 3 && $later->{SystemModstamp} eq $child->{SystemModstamp},
		'change with their parents and the clock, and no stamp with them', $json->encode($later));
	org(skew => 0);
	check(soql("SELECT COUNT() FROM Invoice__c WHERE Customer__c = 'Renamed'")->{json}{totalSize} == 2, 'a condition on one');
	my $stamp = row('Account', $account, 'SystemModstamp')->{SystemModstamp};
	select undef, undef, undef, 1.1;
	change('Invoice__c', $invoice, Amount__c => 1);
	check(row('Account', $account, 'SystemModstamp')->{SystemModstamp} eq $stamp && $sums->() eq '2 3', 'a roll-up leaves the stamp of its row alone', $sums->());
	org('rollup-stamp' => 'moves');
	change('Invoice__c', $invoice, Amount__c => 7);
	check(row('Account', $account, 'SystemModstamp')->{SystemModstamp} gt $stamp, 'or moves it');
	org('rollup-stamp' => 'stays');
	check(post_admin("set?id=$account&Score__c=4")->{status} == 200 && row('Account', $account, 'Score__c')->{Score__c} == 4, 'a formula that changes when a test wants it');
	is_error(http('PATCH', "$D/sobjects/Account/$account", body => { Score__c => 5 }), 400, 'INVALID_FIELD_FOR_INSERT_UPDATE', 'nobody writes a formula');
	no_schema();
	check(!described('Account', 'Score__c') && !described('Invoice__c', 'Age__c'), 'all of them go');
	change('Invoice__c', $invoice, Amount__c => 8);
}

sub test_fields
{
	my $id = create('Invoice__c', Short_Text__c => 'abc', Quantity__c => 3);
	check(schema('add Invoice__c {"name":"Region__c","type":"string","length":20,"externalId":true}')->{status} == 200, 'a field comes');
	change('Invoice__c', $id, Region__c => 'north');
	check(row('Invoice__c', $id, 'Region__c')->{Region__c} eq 'north' && described('Invoice__c', 'Region__c')->{length} == 20, 'and is used');
	check(http('PATCH', "$D/sobjects/Invoice__c/Region__c/north", body => { Quantity__c => 4 })->{status} == 200, 'as a key, too');
	is_error(http('PATCH', "$D/sobjects/Invoice__c/$id", body => { Region__c => 'x' x 30 }), 400, 'STRING_TOO_LONG', 'a text too long');
	check(schema('change Invoice__c Region__c {"length":40}', 'change Invoice__c Quantity__c {"scale":2}')->{status} == 200, 'a field is widened');
	change('Invoice__c', $id, Region__c => 'x' x 30, Quantity__c => 4.25);
	check(row('Invoice__c', $id, 'Quantity__c')->{Quantity__c} == 4.25 && described('Invoice__c', 'Region__c')->{length} == 40, 'and holds more');
	check(schema('change Account NumberOfEmployees {"type":"double"}')->{status} == 200 && described('Account', 'NumberOfEmployees')->{soapType} eq 'xsd:double', 'another type');
	check(schema('rename Invoice__c Short_Text__c Brief__c')->{status} == 200, 'a field gets another name');
	is_error(soql('SELECT Short_Text__c FROM Invoice__c'), 400, 'INVALID_FIELD', 'the old one is gone', q(No such column 'Short_Text__c'));
	check(row('Invoice__c', $id, 'Brief__c')->{Brief__c} eq 'abc' && !described('Invoice__c', 'Short_Text__c') && described('Invoice__c', 'Brief__c'), 'the values stay');
	my $modified = http('GET', "$D/sobjects/Invoice__c/describe")->{headers}{'last-modified'};
	check(http('GET', "$D/sobjects/Invoice__c/describe", headers => { 'If-Modified-Since' => $modified })->{status} == 304, 'a describe that has not changed');
	check(schema('remove Invoice__c Brief__c', 'remove Invoice__c Region__c')->{status} == 200, 'a field goes');
	is_error(soql('SELECT Brief__c FROM Invoice__c'), 400, 'INVALID_FIELD', 'for queries');
	is_error(http('PATCH', "$D/sobjects/Invoice__c/$id", body => { Brief__c => 'x' }), 400, 'INVALID_FIELD', 'for writes');
	check(http('GET', "$D/sobjects/Invoice__c/$id")->{body} =~ /Amount/ && http('GET', "$D/sobjects/Invoice__c/$id")->{body} !~ /Brief|gone/ && soql("SELECT FIELDS(ALL) FROM Invoice__c WHERE Id = '$id'")->{body} !~ /Brief|gone/,
		'for those who ask for everything');
	check(create('Invoice__c', Quantity__c => 1), 'rows are made without it');
	check(schema($_)->{status} == 400, "no: $_") for 'remove Account Name', 'rename Invoice__c Account__c X__c', 'remove Invoice__c Brief__c', 'add Invoice__c {"name":"Amount__c","type":"string"}',
	  'add Invoice__c {"name":"New__c","type":"tape"}', 'change Invoice__c Amount__c {"name":"Other__c"}', 'paint Invoice__c Amount__c', 'add';
	check(@{ http('GET', '/__sandbox/schema', token => undef)->{json} } == 7, 'what was changed');
	no_schema();
	check(described('Invoice__c', 'Short_Text__c') && row('Invoice__c', $id, 'Short_Text__c')->{Short_Text__c} eq 'abc' && !described('Invoice__c', 'Region__c'), 'as it was');
	check(described('Account', 'NumberOfEmployees')->{type} eq 'int', 'the types, too');
}

sub test_hidden
{
	my $user = oauth({ grant_type => 'client_credentials', client_id => 'sandbox-user', client_secret => 'sandbox' })->{json}{access_token};
	my $id = create('Contact', LastName => 'Seen', Title => 'Secret');
	check(schema('hide Contact Title user1@sandbox.example')->{status} == 200, 'a field is hidden');
	check(!described('Contact', 'Title', $user) && described('Contact', 'Title'), 'from that user');
	my $q = "SELECT Title FROM Contact WHERE Id = '$id'";
	check(soql($q)->{json}{records}[0]{Title} eq 'Secret', 'others see it');
	is_error(soql($q, token => $user), 400, 'INVALID_FIELD', 'he does not', q(No such column 'Title'));
	is_error(soql("SELECT Id FROM Contact WHERE Title = 'Secret'", token => $user), 400, 'INVALID_FIELD', 'nor in a condition');
	is_error(soql('SELECT Contact.Title FROM Case', token => $user), 400, 'INVALID_FIELD', 'nor by a path');
	check(http('GET', "$D/sobjects/Contact/$id", token => $user)->{body} !~ /Secret/ && http('GET', "$D/sobjects/Contact/$id")->{body} =~ /Secret/, 'nor in a whole row');
	my $all = "SELECT FIELDS(STANDARD) FROM Contact WHERE Id = '$id'";
	check(soql($all)->{body} =~ /Secret/ && soql($all, token => $user)->{body} !~ /Secret/, 'nor in all fields, though somebody else has just asked');
	is_error(http('PATCH', "$D/sobjects/Contact/$id", token => $user, body => { Title => 'x' }), 400, 'INVALID_FIELD_FOR_INSERT_UPDATE', 'he does not write it');
	my $job = { operation => 'query', query => 'SELECT Title FROM Contact' };
	check(http('POST', "$D/jobs/query", token => $user, body => $job)->{status} == 400 && http('POST', "$D/jobs/query", body => $job)->{status} == 200, 'nor does he export it');
	check(schema('show Contact Title user1@sandbox.example')->{status} == 200 && soql($q, token => $user)->{json}{records}[0]{Title} eq 'Secret', 'and he sees it again');
	schema('hide Contact Title');
	is_error(soql($q), 400, 'INVALID_FIELD', 'hidden from everybody');
	no_schema();
	check(soql($q)->{json}{records}[0]{Title} eq 'Secret', 'until all is as it was');
}

sub test_faults
{
	fault("path=*/limits;do=status;count=0;percent=40");
	my $n = grep { http('GET', "$D/limits")->{status} == 503 } 1 .. 60;
	check($n > 8 && $n < 45, 'a fault of a share of the requests', $n);
	http('DELETE', '/__sandbox/faults', token => undef);
}

# Ids are not given twice, though the rows are gone and the program is another.
sub test_file
{
	stop('the sandbox');
	start('--seed', 'empty', '--data', "$tmp/org.db");
	login();
	my $id = create('Account', Name => 'first');
	post_admin("purge?id=$id");
	kill 'KILL', $pid;
	waitpid $pid, 0;
	start('--data', "$tmp/org.db");
	login();
	check(create('Account', Name => 'second') gt $id, 'Ids go on behind purged rows', $id);
	# fields are as they were, too
	$id = create('Invoice__c', Short_Text__c => 'abc', Remark__c => 'r');
	schema('rename Invoice__c Short_Text__c Brief__c', 'remove Invoice__c Remark__c', 'add Invoice__c {"name":"Region__c","type":"string","length":20}',
		'add Account ' . rollup('Invoices__c', 'count'), 'hide Invoice__c Tax__c');
	change('Invoice__c', $id, Region__c => 'south');
	kill 'KILL', $pid;
	waitpid $pid, 0;
	start('--data', "$tmp/org.db");
	login();
	my $row = row('Invoice__c', $id, 'Brief__c', 'Region__c');
	check($row->{Brief__c} eq 'abc' && $row->{Region__c} eq 'south' && !described('Invoice__c', 'Remark__c') && !described('Invoice__c', 'Tax__c'), 'fields are those of the file', $json->encode($row));
	my $account = create('Account', Name => 'a');
	change('Invoice__c', $id, Account__c => $account);
	check(row('Account', $account, 'Invoices__c')->{Invoices__c} == 1, 'roll-ups, too');
	post_admin('reset?seed=empty');
	check(described('Invoice__c', 'Remark__c') && described('Invoice__c', 'Tax__c') && !described('Invoice__c', 'Region__c'), 'until a reset');
}

start('--seed', 'demo');
login();
run_tests(\&test_late, \&test_clock, \&test_deletes, \&test_merge, \&test_silent, \&test_formulas, \&test_fields, \&test_hidden, \&test_faults, \&test_file);
stop('the sandbox');
finish();
