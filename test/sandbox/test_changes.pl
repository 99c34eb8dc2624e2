#!/usr/bin/perl
# test_changes.pl BINARY - how the sandbox's org changes by itself: late writes, its clock, merges, the recycle bin, fields.
#
# Starts the binary itself, on a free port.  Ends with "N passed, N failed".
use strict;
use warnings;
no warnings qw(exec);
use FindBin qw($Bin);
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

sub test_late
{
	my $before = create('Account', Name => 'before');
	org('late-percent' => 100, 'late-ms' => 2100);
	my $began = time;
	my $late = fork;
	if (!$late)
	{
		# its own files, as both ask at once
		our $tmp = "$tmp/late";
		mkdir $tmp;
		my $r = http('PATCH', "$D/sobjects/Account/$before", body => { Name => 'late' });
		POSIX::_exit($r->{status} == 204 ? 0 : 1);
	}
	select undef, undef, undef, 1.2;
	org('late-percent' => 0);
	my $seen = row('Account', $before, 'Name');
	my $next = create('Account', Name => 'next');
	waitpid $late, 0;
	check($? == 0, 'a late write is done');
	check($seen->{Name} eq 'before', 'it is not seen before it ends', $json->encode($seen));
	my ($a, $b) = (row('Account', $before, 'Name', 'SystemModstamp'), row('Account', $next, 'SystemModstamp'));
	check($a->{Name} eq 'late' && $a->{SystemModstamp} lt $b->{SystemModstamp}, 'and is older than what was seen before it', "$a->{SystemModstamp} $b->{SystemModstamp}");
	# somebody else wrote the row meanwhile: the order of stamps is that of the writes
	org('late-percent' => 100, 'late-ms' => 2100);
	$late = fork;
	if (!$late)
	{
		our $tmp = "$tmp/late";
		POSIX::_exit(http('PATCH', "$D/sobjects/Account/$before", body => { Name => 'last' })->{status} == 204 ? 0 : 1);
	}
	select undef, undef, undef, 1.2;
	org('late-percent' => 0);
	change('Account', $before, Name => 'between');
	my $between = row('Account', $before, 'SystemModstamp');
	waitpid $late, 0;
	$a = row('Account', $before, 'Name', 'SystemModstamp');
	check($a->{Name} eq 'last' && $a->{SystemModstamp} eq $between->{SystemModstamp}, 'a late write does not set a row back', "$a->{Name} $a->{SystemModstamp} $between->{SystemModstamp}");
	# a share of them
	org('late-percent' => 50, 'late-ms' => 60);
	my $slow = 0;
	for (1 .. 30) { my $t = time; create('Lead', LastName => 'x', Company => 'y'); $slow++ if time - $t > 0.055 }
	check($slow > 3 && $slow < 27, 'a share of the writes is late', $slow);
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
}

start('--seed', 'demo');
login();
run_tests(\&test_late, \&test_clock, \&test_deletes, \&test_merge, \&test_silent, \&test_faults, \&test_file);
stop('the sandbox');
finish();
