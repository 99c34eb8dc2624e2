#!/usr/bin/perl
# test_ingest.pl BINARY - ingest jobs of the sandbox's Bulk API 2.0 over HTTP, and what tests can make of them.
#
# Starts the binary itself, on a free port.  Ends with "N passed, N failed".
use strict;
use warnings;
no warnings qw(exec);
use FindBin qw($Bin);
require "$Bin/test_http.pl";
our ($binary, $tmp, $json, $passed, $failed, $pid, $url, $token, $D);

my $J = "$D/jobs";

sub ingest { my (%o) = @_; return http('POST', "$J/ingest", body => {%o}) }

sub upload
{
	my ($id, $text) = @_;
	return http('PUT', "$J/ingest/$id/batches", body => $text, headers => { 'Content-Type' => 'text/csv' });
}
sub state { my ($id, $state) = @_; return http('PATCH', "$J/ingest/$id", body => { state => $state }) }

# A job from its creation to its end; what it says then.
sub load
{
	my ($text, %o) = @_;
	my $r = ingest(operation => 'insert', %o);
	my $id = $r->{json}{id} or die "no job: $r->{body}";
	$r = upload($id, $text);
	die "no upload: $r->{body}" if $r->{status} != 201;
	state($id, 'UploadComplete');
	return ended($id, 'ingest')->{json};
}
sub part { my ($j, $which) = @_; return http('GET', "$J/ingest/$j->{id}/$which") }

# Rows of one of the three results, keyed by the column of that number.
sub by_column
{
	my ($j, $which, $column) = @_;
	my ($header, @rows) = @{ csv(part($j, $which)->{body}) };
	return { map { $_->[$column] => $_ } @rows };
}
sub row { my ($object, $id) = @_; return http('GET', "$D/sobjects/$object/$id")->{json} }

sub test_ingest
{
	post_admin('reset?seed=demo');
	my $r = ingest(object => 'Account', operation => 'insert');
	my $j = $r->{json};
	my $id = $j->{id};
	check($r->{status} == 200 && $j->{state} eq 'Open' && $id =~ /^750/, 'an ingest job is created with 200', $r->{body});
	check($j->{contentUrl} eq "services/data/v62.0/jobs/ingest/$id/batches", 'contentUrl without a slash before it', $j->{contentUrl});
	is_error(http('GET', "$J/query/$id"), 404, 'NOT_FOUND', 'an ingest job is no query job');
	is_error(part($j, 'successfulResults'), 400, 'INVALIDJOBSTATE', 'results of a job that is Open');
	is_error(http('PUT', "$J/ingest/$id/batches", body => '{}'), 415, 'UNSUPPORTED_MEDIA_TYPE', 'content that is no CSV');
	$r = upload($id, qq(Name,AnnualRevenue,Description,Ext_Id__c\nOne,912260031,"line\nx ""q""",b-1\nTwo,12.5,,b-2\n,5,no name,b-3\nBad,much,,b-4\nTwice,,,b-1\n));
	check($r->{status} == 201 && $r->{body} eq '', 'uploaded with 201', $r->{body});
	is_error(upload($id, "Name\nx\n"), 400, 'CLIENTINPUTERROR', 'a second upload', 'Found multiple contents');
	check(http('GET', "$J/ingest/$id")->{json}{state} eq 'Open', 'and is Open still');
	$r = state($id, 'UploadComplete');
	check($r->{status} == 200 && $r->{json}{state} eq 'UploadComplete' && !grep({ exists $r->{json}{$_} } qw(lineEnding columnDelimiter contentUrl)), 'closed', $r->{body});
	is_error(state($id, 'UploadComplete'), 400, 'INVALIDJOBSTATE', 'closed again');
	is_error(upload($id, "Name\nx\n"), 400, 'CLIENTINPUTERROR', 'an upload to a closed job');
	$j = ended($id, 'ingest')->{json};
	check($j->{state} eq 'JobComplete' && $j->{jobType} eq 'V2Ingest' && $j->{numberRecordsProcessed} == 5 && $j->{numberRecordsFailed} == 3, 'complete with failed rows', $json->encode($j));
	my $good = part($j, 'successfulResults/')->{body};
	check($good =~ /\A"sf__Id","sf__Created",Name,AnnualRevenue,Description,Ext_Id__c\n/, 'header of successfulResults', $good);
	my $rows = by_column($j, 'successfulResults', 5);
	check(join(' ', sort keys %$rows) eq 'b-1 b-2' && $rows->{'b-1'}[3] eq '9.12260031E8' && $rows->{'b-1'}[4] eq "line\nx \"q\"" && $rows->{'b-1'}[1] eq 'true', 'successful rows', $good);
	check(csv($good)->[1][5] eq 'b-2', 'in another order than they came');
	my $new = row('Account', $rows->{'b-1'}[0]);
	check($new->{Name} eq 'One' && $new->{AnnualRevenue} == 912260031 && $new->{Description} eq "line\nx \"q\"", 'as they are in the org');
	my $bad = part($j, 'failedResults/')->{body};
	check($bad =~ /\A"sf__Id","sf__Error",Name,AnnualRevenue,Description,Ext_Id__c\n/, 'header of failedResults', $bad);
	$rows = by_column($j, 'failedResults', 5);
	check($rows->{'b-3'}[1] eq 'REQUIRED_FIELD_MISSING:Required fields are missing: [Name]:Name --' && $rows->{'b-3'}[0] eq '', 'a row that is refused', $bad);
	check($rows->{'b-4'}[1] eq q(INVALID_FIELD:Failed to deserialize field at col 1. Due to, 'much' is not a valid value for the type xsd:double:AnnualRevenue --), 'a value that is none', $bad);
	check($rows->{'b-1'}[1] =~ /^DUPLICATE_VALUE:duplicate value found: Ext_Id__c duplicates value on record with id: \w{15}:--$/, 'a duplicate of the same job', $bad);
	check(part($j, 'unprocessedrecords')->{body} eq "Name,AnnualRevenue,Description,Ext_Id__c\n", 'nothing is unprocessed');
	fault('path=*/successfulResults*;do=drop-rows');
	my $all = @{ csv(part($j, 'successfulResults')->{body}) };
	check(@{ csv(part($j, 'successfulResults')->{body}) } > $all, 'drop-rows of a result');
	is_error(part($j, 'otherResults'), 404, 'NOT_FOUND', 'no other results');
	is_error(state($id, 'Aborted'), 400, 'INVALIDJOBSTATE', 'abort of a complete job', 'Aborting already Completed Job not allowed');
	check(http('DELETE', "$J/ingest/$id")->{status} == 204 && http('GET', "$J/ingest/$id")->{status} == 404, 'deleted');
}

sub test_operations
{
	my $j = load("Name,Ext_Id__c,Phone,Description\nP,o-1,123,text\nQ,o-2,,\n", object => 'Account', lineEnding => 'LF');
	my %id = map { $_->[3] => $_->[0] } values %{ by_column($j, 'successfulResults', 3) };
	$j = load("Id,Phone,Description\n$id{'o-1'},,#N/A\n$id{'o-2'},456,x\n0015g00000zzzzzAAA,1,\n,2,\n", object => 'Account', operation => 'update');
	my $p = row('Account', $id{'o-1'});
	check($j->{numberRecordsProcessed} == 4 && $j->{numberRecordsFailed} == 2, 'update', $json->encode($j));
	check($p->{Phone} eq '123' && !defined $p->{Description}, 'an empty value says nothing, #N/A is null', $json->encode($p));
	my $bad = by_column($j, 'failedResults', 3);
	check($bad->{1}[0] eq '0015g00000zzzzzAAA' && $bad->{1}[1] =~ /^INVALID_CROSS_REFERENCE_KEY|^NOT_FOUND|^ENTITY_IS_DELETED/, 'an unknown row', join '|', @{ $bad->{1} // [] });
	check($bad->{2}[1] eq 'MISSING_ARGUMENT:Id not specified:Id --', 'a row without Id', join '|', @{ $bad->{2} // [] });
	my $good = by_column($j, 'successfulResults', 2);
	check($good->{ $id{'o-1'} }[1] eq 'false', 'sf__Created of an update');

	$j = load("Ext_Id__c|Name|Phone\r\no-1||9\r\no-3|New|8\r\n|Nameless|7\r\n", object => 'account', operation => 'upsert', externalIdFieldName => 'ext_id__C',
		columnDelimiter => 'PIPE', lineEnding => 'CRLF');
	check($j->{externalIdFieldName} eq 'Ext_Id__c' && $j->{numberRecordsFailed} == 1, 'upsert', $json->encode($j));
	my %created = map { $_->[2] => $_->[1] } @{ csv(part($j, 'successfulResults')->{body}, '|', "\r\n") };
	check($created{'o-1'} eq 'false' && $created{'o-3'} eq 'true', 'sf__Created of an upsert', $json->encode(\%created));
	check(row('Account', $id{'o-1'})->{Phone} eq '9', 'and what it wrote');

	$j = load("LastName,Account.Ext_Id__c,Email\nChild,o-1,c\@x.example\nOrphan,o-9,\n", object => 'Contact');
	$good = by_column($j, 'successfulResults', 2);
	check($j->{numberRecordsFailed} == 1 && row('Contact', $good->{Child}[0])->{AccountId} eq $id{'o-1'}, 'a parent by its external id', $json->encode($j));
	check(by_column($j, 'failedResults', 2)->{Orphan}[1] =~ /^INVALID_FIELD:Foreign key external ID: o-9 not found for field Ext_Id__c in entity Account:--/, 'a parent that is not there');
	$j = load("Id,Account.Ext_Id__c\n$good->{Child}[0],#N/A\n", object => 'Contact', operation => 'update');
	check($j->{numberRecordsFailed} == 0 && !defined row('Contact', $good->{Child}[0])->{AccountId}, '#N/A as a parent');
	$j = load("Subject,Contact:Who.Email\nCall,c\@x.example\n", object => 'Task');
	check($j->{numberRecordsFailed} == 0 && row('Task', csv(part($j, 'successfulResults')->{body})->[1][0])->{WhoId} eq $good->{Child}[0], 'a parent of several objects', $json->encode($j));

	my $gone = $id{'o-2'};
	$j = load("Id\n$gone\n$gone\n", object => 'Account', operation => 'delete');
	check($j->{numberRecordsProcessed} == 2 && $j->{numberRecordsFailed} == 1, 'delete', $json->encode($j));
	check(csv(part($j, 'failedResults')->{body})->[1][1] eq 'ENTITY_IS_DELETED:entity is deleted:--', 'what is deleted already');
	check(@{ http('GET', "$D/queryAll?q=" . enc("SELECT Id FROM Account WHERE Id = '$gone'"))->{json}{records} } == 1, 'it is in the recycle bin');
	is_error(ingest(object => 'Account', operation => 'hardDelete'), 400, 'FEATURENOTENABLED', 'hardDelete', 'special user profile permission');
	setting('hard-delete' => 'on');
	$gone = $id{'o-1'};
	$j = load("Id\n$gone\n", object => 'Account', operation => 'hardDelete');
	check($j->{numberRecordsFailed} == 0, 'hardDelete by who may', $json->encode($j));
	check(@{ http('GET', "$D/queryAll?q=" . enc("SELECT Id FROM Account WHERE Id = '$gone'"))->{json}{records} } == 0, 'it is nowhere');
	setting('hard-delete' => 'off');
}

sub test_ingest_refused
{
	is_error(ingest(object => 'Nothing', operation => 'insert'), 400, 'INVALIDENTITY', 'an unknown object');
	is_error(ingest(object => 'Account', operation => 'query'), 400, 'INVALIDOPERATION', 'an unknown operation');
	is_error(ingest(object => 'Account', operation => 'upsert'), 400, 'INVALIDJOB', 'upsert without a key', 'External ID was blank for Account');
	is_error(ingest(object => 'Account', operation => 'upsert', externalIdFieldName => 'Phone'), 400, 'INVALIDJOB', 'a key that is none', 'does not match an External ID');
	is_error(ingest(object => 'Account', operation => 'insert', columnDelimiter => 'DOT'), 400, 'API_ERROR', 'an unknown delimiter');
	setting(refuse => 'Account');
	is_error(ingest(object => 'Account', operation => 'insert'), 400, 'INVALIDENTITY', 'an object that Bulk refuses');
	setting(refuse => '');
	my $count = soql('SELECT COUNT() FROM Account')->{json}{totalSize};
	my @cases = (
		[ "Name,StageName_bad\nx,y\n", {}, 'InvalidBatch : Field name not found : StageName_bad' ],
		[ "Name,Parent.Phone\nx,y\n", {}, 'InvalidBatch : Field name not found : Parent.Phone' ],
		[ "Name,BillingAddress\nx,y\n", {}, 'InvalidBatch : Field name not found : BillingAddress' ],
		[ "Title,VersionData\nx,eA==\n", { object => 'ContentVersion' }, 'InvalidBatch : Field name not found : VersionData' ],
		[ "Name,name\nx,y\n", {}, 'InvalidBatch : Duplicate field name : name' ],
		[ "Name\r\nx\r\n", {}, 'ClientInputError : LineEnding is invalid on user data. Current LineEnding setting is LF' ],
		[ "Name,Phone\nx,y\n", { lineEnding => 'CRLF' }, 'ClientInputError : LineEnding is invalid on user data. Current LineEnding setting is CRLF' ],
		[ "Name\nx\n", { operation => 'update' }, 'InvalidBatch : Field name not found : Id' ],
		[ "Name\nx\n", { operation => 'upsert', externalIdFieldName => 'Ext_Id__c' }, 'InvalidBatch : Field name not found : Ext_Id__c' ],
		[ "Id,Name\n1,x\n", { operation => 'delete' }, 'InvalidBatch : Delete batch must contain only ids' ],
		[ '', {}, 'InvalidBatch : The content is empty' ]);
	for my $c (@cases)
	{
		my $j = load($c->[0], object => 'Account', %{ $c->[1] });
		check($j->{state} eq 'Failed' && $j->{errorMessage} eq $c->[2] && $j->{numberRecordsProcessed} == 0, $c->[2], $json->encode($j));
	}
	my $j = load("Name,Nothing\nx,y\n\"a \"\"b\"\"\",c\n", object => 'Account');
	check(part($j, 'unprocessedrecords')->{body} eq qq(Name,Nothing\n"x","y"\n"a ""b""","c"\n), 'rows of a failed job are unprocessed');
	$j = load(qq(Name,Phone\n"a" ,1\nb,"2"\nc\nd, "4"\n), object => 'Account');
	check($j->{numberRecordsProcessed} == 4 && $j->{numberRecordsFailed} == 3, 'rows that cannot be read', part($j, 'failedResults')->{body});
	check(soql('SELECT COUNT() FROM Account')->{json}{totalSize} == $count + 1, 'nothing else was written');
	$j = load(join("\n", 'Ext_Id__c,Paid_At__c', map { "when-$_->[0],$_->[1]" } ([ 1, '2024-05-06T07:08:09Z' ], [ 2, '2024-05-06T07:08:09.987+02:00' ], [ 3, '2024-05-06T07:08:09+0000' ],
				[ 4, '2024-05-06' ], [ 5, '2024-05-06 07:08:09Z' ], [ 6, '2024-05-06T07:08:09' ])) . "\n", object => 'Invoice__c');
	check(join(' ', sort keys %{ by_column($j, 'successfulResults', 2) }) eq 'when-1 when-2', 'forms of a datetime', part($j, 'failedResults')->{body});
	check(row('Invoice__c', by_column($j, 'successfulResults', 2)->{'when-2'}[0])->{Paid_At__c} eq '2024-05-06T05:08:09.000+0000', 'an offset counts');
	$j = load(qq(Name,Description\nlong,"@{[ 'x' x 32001 ]}"\n), object => 'Account');
	check($j->{numberRecordsFailed} == 1, 'a value of more than 32,000 characters');
	$j = load(qq(Name,Description\nlong,"@{[ "\xc3\xa9" x 32000 ]}"\n), object => 'Account');
	check($j->{numberRecordsFailed} == 0, 'characters are counted, not bytes', $json->encode($j));
	setting('upload-mb' => 0);
	is_error(upload(ingest(object => 'Account', operation => 'insert')->{json}{id}, "Name\nx\n"), 413, 'REQUEST_ENTITY_TOO_LARGE', 'content that is too large');
	setting('upload-mb' => 100, batches => 0);
	is_error(ingest(object => 'Account', operation => 'insert'), 400, 'EXCEEDEDQUOTA', 'no batches are left');
	setting(batches => 15000);
	check(http('GET', "$D/limits")->{json}{DailyBulkApiBatches}{Remaining} < 15000, 'batches are counted');
}

sub test_ingest_states
{
	my $id = ingest(object => 'Account', operation => 'insert')->{json}{id};
	my $r = state($id, 'Aborted');
	check($r->{status} == 200 && $r->{json}{state} eq 'Aborted', 'abort of a job that is Open', $r->{body});
	is_error(state($id, 'UploadComplete'), 400, 'INVALIDJOBSTATE', 'an aborted job cannot be closed');
	$id = ingest(object => 'Account', operation => 'insert')->{json}{id};
	is_error(http('DELETE', "$J/ingest/$id"), 400, 'API_ERROR', 'a job that is Open cannot be deleted');
	upload($id, "Name\nnever\n");
	state($id, 'Aborted');
	check(part({ id => $id }, 'unprocessedrecords')->{body} eq "Name\n\"never\"\n", 'its rows are unprocessed');
	check(soql("SELECT COUNT() FROM Account WHERE Name = 'never'")->{json}{totalSize} == 0, 'and not in the org');
	check(http('DELETE', "$J/ingest/$id")->{status} == 204, 'an aborted job can be deleted');
	setting(polls => 2);
	$id = ingest(object => 'Account', operation => 'insert')->{json}{id};
	upload($id, "Name\nin time\n");
	state($id, 'UploadComplete');
	check(join(' ', map { http('GET', "$J/ingest/$id")->{json}{state} } 1 .. 3) eq 'UploadComplete InProgress JobComplete', 'states of an ingest job');
	setting(polls => 0);
	fault('path=*/jobs/ingest;do=job-failed;message=TooManyLockFailure : of many');
	my $j = load("Name\nnobody\n", object => 'Account');
	check($j->{state} eq 'Failed' && $j->{errorMessage} eq 'TooManyLockFailure : of many', 'job-failed', $json->encode($j));
	fault('path=*/batches;do=lock-row');
	$j = load("Name\nlocked\nfree\n", object => 'Account');
	check($j->{numberRecordsFailed} == 1 && csv(part($j, 'failedResults')->{body})->[1][1] =~ /^UNABLE_TO_LOCK_ROW:unable to obtain exclusive access/, 'lock-row', $json->encode($j));
	fault('path=*/batches;do=reset-after');
	$id = ingest(object => 'Account', operation => 'insert')->{json}{id};
	upload($id, "Name\nx\n");
	is_error(upload($id, "Name\nx\n"), 400, 'CLIENTINPUTERROR', 'an upload without an answer was made');
}

sub test_multipart
{
	my $send = sub {
		my ($content, $job) = @_;
		my $body = join "\r\n", '--B', 'Content-Type: application/json', 'Content-Disposition: form-data; name="job"', '', $json->encode($job), '--B',
		  'Content-Type: text/csv', 'Content-Disposition: form-data; name="content"; filename="content"', '', $content, '--B--', '';
		return http('POST', "$J/ingest", body => $body, headers => { 'Content-Type' => 'multipart/form-data; boundary=B' });
	};
	my $r = $send->("Name\nPart one\nPart two", { object => 'Account', operation => 'insert', contentType => 'CSV' });
	check($r->{status} == 200 && $r->{json}{state} eq 'UploadComplete', 'job and content at once', $r->{body});
	my $j = ended($r->{json}{id}, 'ingest')->{json};
	check($j->{numberRecordsProcessed} == 2 && $j->{numberRecordsFailed} == 0, 'it is worked on without a close', $json->encode($j));
	check(soql("SELECT COUNT() FROM Account WHERE Name LIKE 'Part %'")->{json}{totalSize} == 2, 'and its rows are there');
	is_error($send->('x' x 100001, { object => 'Account', operation => 'insert' }), 400, 'EXCEEDEDQUOTA', 'more than 100,000 characters');
	is_error($send->("Name\n", { object => 'Nothing', operation => 'insert' }), 400, 'INVALIDENTITY', 'its job is looked at');
	is_error(http('POST', "$J/ingest", body => 'x', headers => { 'Content-Type' => 'multipart/form-data; boundary=B' }), 400, 'API_ERROR', 'no parts');
}

sub test_ingest_large
{
	post_admin('reset?seed=empty');
	my $text = "LastName,Email\n" . join '', map { "Load $_,l$_\@x.example\n" } 1 .. 12000;
	my $j = load($text, object => 'Contact');
	check($j->{numberRecordsProcessed} == 12000 && $j->{numberRecordsFailed} == 0, 'two batches', $json->encode($j));
	my ($header, @rows) = @{ csv(part($j, 'successfulResults')->{body}) };
	my %seen = map { $_->[2] => 1 } @rows;
	check(@rows == 12000 && keys %seen == 12000, 'each row in the result');
	check(15000 - http('GET', "$D/limits")->{json}{DailyBulkApiBatches}{Remaining} == 2, 'are counted as two');
	check(soql('SELECT COUNT() FROM Contact')->{json}{totalSize} == 12000, 'and in the org');
	post_admin('reset?seed=demo');
}

# What the work of a job keeps others from: nothing.

# Content of which nobody can tell where a row ends: nothing is written.
sub test_malformed
{
	my $count = soql('SELECT COUNT() FROM Account')->{json}{totalSize};
	my $parse = 'InvalidBatch : Failed to parse CSV. ';
	my @cases = (
		[ qq(Name,Phone\ngood,1\nb,"2\n), 'EOF reached before closing an opened quote', 1 ],
		[ qq(Name,Phone\ngood,1\n"b"x,2\n), 'Not expecting more text after end quote', 1 ],
		[ qq(Name,Phone\ngood,1\nsay "hi",2\n), 'Found unescaped quote. A value with quote should be within a quote', 1 ],
		[ qq(\xef\xbb\xbf"Name",Phone\ngood,1\n), 'Found unescaped quote. A value with quote should be within a quote', 0 ],
		[ qq(Name,Phone\ngood,1\n\xe9t\xe9,2\n), 'The content is not UTF-8', 2 ],
		[ qq(Name,Phone\ngood,1\na\xed\xa0\x80,2\n), 'The content is not UTF-8', 2 ],
		[ qq(Name,Phone\ngood,1\na\0b,2\n), 'The content is not UTF-8', 2 ]);
	for my $c (@cases)
	{
		my $j = load($c->[0], object => 'Account');
		check($j->{state} eq 'Failed' && $j->{errorMessage} eq $parse . $c->[1] && $j->{numberRecordsProcessed} == 0, $c->[1], $json->encode($j));
		check(@{ csv(part($j, 'unprocessedrecords')->{body}) } == ($c->[2] ? $c->[2] + 1 : 0), "$c->[1]: rows that can be read are unprocessed", part($j, 'unprocessedrecords')->{body});
		check(@{ csv(part($j, 'successfulResults')->{body}) } <= 1, 'none is successful');
	}
	my $j = load("\xef\xbb\xbfName\nx\n", object => 'Account');
	check($j->{errorMessage} eq "InvalidBatch : Field name not found : \x{feff}Name", 'a byte order mark is part of the first name', $json->encode($j));
	$j = load("Name,Phone\na,1\nb,2\r\nc,3\n", object => 'Account');
	check(($j->{errorMessage} // '') =~ /^ClientInputError : LineEnding is invalid on user data/, 'one row ends otherwise', $json->encode($j));
	check(soql('SELECT COUNT() FROM Account')->{json}{totalSize} == $count, 'nothing was written');
	$j = load(qq(Name,Description\n"a\r\nb","c\rd"\n), object => 'Account');
	check($j->{numberRecordsFailed} == 0 && row('Account', csv(part($j, 'successfulResults')->{body})->[1][0])->{Name} eq "a\r\nb", 'line ends inside of quotes');
	is_error(http('GET', "/services/data/v61.0/jobs/ingest/$j->{id}/failedResults"), 409, 'API_ERROR', 'results by another version');
}

# 200 rows are one call, as those of a collection are: none of them may be there twice.
sub test_chunks
{
	my @ids = map { $_->[0] } values %{ by_column(load("Name\n" . join('', map { "Chunk $_\n" } 1 .. 3), object => 'Account'), 'successfulResults', 0) };
	my $short = substr $ids[0], 0, 15;
	my $j = load("Id,Phone\n$ids[0],1\n$ids[1],2\n$short,3\n", object => 'Account', operation => 'update');
	my ($header, @bad) = @{ csv(part($j, 'failedResults')->{body}) };
	check($j->{numberRecordsFailed} == 2 && !grep({ $_->[1] ne "DUPLICATE_VALUE:Duplicate id specified: $_->[2]:Id --" } @bad), 'an Id twice in 200 rows', $json->encode(\@bad));
	check(!defined row('Account', $ids[0])->{Phone} && row('Account', $ids[1])->{Phone} eq '2', 'and neither is written');
	$j = load("Id,Phone\n$ids[0],1\n" . join('', map { "$ids[1],$_\n" } 2 .. 199) . "$ids[2],200\n$ids[0],201\n", object => 'Account', operation => 'update');
	check($j->{numberRecordsFailed} == 198 && row('Account', $ids[0])->{Phone} eq '201', 'twice, but not in the same 200', $json->encode($j));
	$j = load("Ext_Id__c,Name\nDup-1,a\ndup-1,b\nDup-2,c\n", object => 'Account', operation => 'upsert', externalIdFieldName => 'Ext_Id__c');
	check($j->{numberRecordsFailed} == 2 && by_column($j, 'failedResults', 3)->{a}[1] eq 'DUPLICATE_VALUE:Duplicate external id specified: Dup-1:Ext_Id__c --', 'an external id twice', part($j, 'failedResults')->{body});
	$j = load("Id,Name\n$ids[0],By Id\n,New\n", object => 'Account', operation => 'upsert', externalIdFieldName => 'Id');
	my $good = by_column($j, 'successfulResults', 3);
	check($good->{'By Id'}[1] eq 'false' && $good->{New}[1] eq 'true', 'upsert by Id', part($j, 'failedResults')->{body});
	my $r = http('PATCH', "$D/composite/sobjects", body => { records => [map { { attributes => { type => 'Account' }, id => $_->[0], Phone => $_->[1] } } [$ids[1], 'x'], [$ids[2], 'y'], [substr($ids[1], 0, 15), 'z']] });
	check(join(' ', map { $_->{success} ? 'ok' : $_->{errors}[0]{statusCode} } @{ $r->{json} }) eq 'DUPLICATE_VALUE ok DUPLICATE_VALUE', 'the same in a collection', $r->{body});
	my @order = map { $_->[2] } @{ csv(part(load("Name\n" . join('', map { "Order $_\n" } 1 .. 50), object => 'Account'), 'successfulResults')->{body}) };
	check("@order[1 .. 50]" ne join(' ', map { "Order $_" } 1 .. 50), 'results have an order of their own', "@order");
	setting(order => 'natural');
	@order = map { $_->[2] } @{ csv(part(load("Name\n" . join('', map { "Order $_\n" } 1 .. 50), object => 'Account'), 'successfulResults')->{body}) };
	check("@order[1 .. 50]" eq join(' ', map { "Order $_" } 1 .. 50), 'or that of the rows');
	setting(order => 'shuffled');
}

# How many rows a job says it has, and how many its three results have.
sub accounts
{
	my ($j) = @_;
	return join ' ', $j->{state}, $j->{numberRecordsProcessed}, $j->{numberRecordsFailed}, map { scalar(@{ csv(part($j, $_)->{body}) }) - 1 } qw(successfulResults failedResults unprocessedrecords);
}

# Jobs that end before all of their rows.
sub test_stopped
{
	my $text = "Name,Phone\n" . join '', map { $_ % 10 ? "Stop $_,1\n" : ",$_\n" } 1 .. 1000;
	fault('path=*/jobs/ingest;do=job-failed;rows=450;message=InternalServerError : x');
	my $j = load($text, object => 'Account');
	check(accounts($j) eq 'Failed 450 45 405 45 550' && $j->{errorMessage} eq 'InternalServerError : x', 'a job that fails after 450 rows', accounts($j));
	check(soql("SELECT COUNT() FROM Account WHERE Name LIKE 'Stop %'")->{json}{totalSize} == 405, 'what was written stays');
	fault('path=*/jobs/ingest;do=job-aborted;rows=0');
	check(accounts(load($text, object => 'Account')) eq 'Aborted 0 0 0 0 1000', 'one that is aborted before its first');
	fault('path=*/jobs/ingest;do=job-stuck;rows=10');
	my $id = ingest(object => 'Account', operation => 'insert')->{json}{id};
	upload($id, $text);
	state($id, 'UploadComplete');
	my $r;
	for (1 .. 1200) { $r = http('GET', "$J/ingest/$id"); last if $r->{json}{numberRecordsProcessed} == 10; select undef, undef, undef, 0.1 }
	check($r->{json}{state} eq 'InProgress' && $r->{json}{numberRecordsProcessed} == 10, 'one that gets stuck', $r->{body});
	is_error(http('DELETE', "$J/ingest/$id"), 400, 'API_ERROR', 'it cannot be deleted');
	state($id, 'Aborted');
	check(accounts(http('GET', "$J/ingest/$id")->{json}) eq 'Aborted 10 1 9 1 990', 'until it is aborted', accounts(http('GET', "$J/ingest/$id")->{json}));
	setting('chunk-ms' => 3000);
	$id = ingest(object => 'Account', operation => 'insert')->{json}{id};
	upload($id, $text);
	state($id, 'UploadComplete');
	for (1 .. 1200) { last if http('GET', "/__sandbox/jobs", token => undef)->{body} =~ /"id":"$id"[^}]*"rows":[2-8]00/; select undef, undef, undef, 0.1 }
	state($id, 'Aborted');
	$j = http('GET', "$J/ingest/$id")->{json};
	my ($state, $done, $failed, @parts) = split / /, accounts($j);
	check($state eq 'Aborted' && $done < 1000 && $done > 0 && $parts[0] + $parts[1] == $done && $done + $parts[2] == 1000, 'aborted at work', accounts($j));
	setting('chunk-ms' => 0, 'batch-rows' => 300, rows => 500);
	post_admin('reset?seed=demo');
	$j = load($text, object => 'Account');
	check(accounts($j) eq 'Failed 600 60 540 60 400' && $j->{errorMessage} eq 'ExceededQuota : The records of 24 hours are used up', 'no rows are left for the day', accounts($j));
	setting('batch-rows' => 100, rows => 150000000, batches => 4);
	check(load($text, object => 'Account')->{errorMessage} eq 'ExceededQuota : The batches of 24 hours are used up', 'nor batches');
	setting('batch-rows' => 10000, batches => 15000);
	post_admin('reset?seed=demo');
}

# Rows that somebody else has.
sub test_locks
{
	my ($a, $b) = map { $_->[0] } values %{ by_column(load("Name\nLock a\nLock b\n", object => 'Account'), 'successfulResults', 0) };
	my $code = sub { my ($r) = @_; return $r->{status} < 300 ? 'ok' : $r->{json}[0]{errorCode} };
	my $child = http('POST', "$D/sobjects/Contact", body => { LastName => 'Of a', AccountId => $a })->{json}{id};
	post_admin("locks?ids=$a");
	my $r = http('PATCH', "$D/sobjects/Account/$a", body => { Phone => '1' });
	is_error($r, 400, 'UNABLE_TO_LOCK_ROW', 'a locked row', "unable to obtain exclusive access to this record or 1 records: $a");
	check($code->(http('PATCH', "$D/sobjects/Account/$b", body => { Phone => '1' })) eq 'ok', 'another row');
	check($code->(http('POST', "$D/sobjects/Contact", body => { LastName => 'x', AccountId => $a })) eq 'UNABLE_TO_LOCK_ROW', 'a child of a locked row');
	check($code->(http('PATCH', "$D/sobjects/Contact/$child", body => { Title => 'x' })) eq 'UNABLE_TO_LOCK_ROW', 'one that hangs on it');
	check($code->(http('DELETE', "$D/sobjects/Contact/$child")) eq 'UNABLE_TO_LOCK_ROW', 'delete of it');
	check($code->(http('DELETE', "$D/sobjects/Account/$a")) eq 'UNABLE_TO_LOCK_ROW', 'delete of the row');
	$r = http('POST', "$D/composite/sobjects", body => { records => [map { { attributes => { type => 'Contact' }, LastName => 'c', AccountId => $_ } } $a, $b] });
	check(join(' ', map { $_->{success} ? 'ok' : $_->{errors}[0]{statusCode} } @{ $r->{json} }) eq 'UNABLE_TO_LOCK_ROW ok', 'rows of a collection', $r->{body});
	my $j = load("LastName,AccountId\nd,$a\ne,$b\n", object => 'Contact');
	check(by_column($j, 'failedResults', 2)->{d}[1] eq "UNABLE_TO_LOCK_ROW:unable to obtain exclusive access to this record or 1 records: $a:--" && $j->{numberRecordsFailed} == 1, 'rows of a job', $json->encode($j));
	check(@{ http('GET', '/__sandbox/locks', token => undef)->{json}{locks} } == 1, 'the locks');
	http('DELETE', '/__sandbox/locks', token => undef);
	check($code->(http('PATCH', "$D/sobjects/Account/$a", body => { Phone => '1' })) eq 'ok', 'when it is free again');

	post_admin("locks?times=2&ids=$a");
	check(join(' ', map { $code->(http('PATCH', "$D/sobjects/Account/$a", body => { Phone => '1' })) } 1 .. 3) eq 'UNABLE_TO_LOCK_ROW UNABLE_TO_LOCK_ROW ok', 'a lock for two refusals');

	# two jobs that write children of one parent
	setting(workers => 2, 'chunk-ms' => 1500);
	my @jobs = map { ingest(object => 'Contact', operation => 'insert')->{json}{id} } 1 .. 2;
	upload($_, "LastName,AccountId\n" . join '', map { "Two $_,$b\n" } 1 .. 600) for @jobs;
	state($_, 'UploadComplete') for @jobs;
	my @ends = map { ended($_, 'ingest')->{json} } @jobs;
	my @bad = map { my ($h, @rows) = @{ csv(part($_, 'failedResults')->{body}) }; @rows } @ends;
	check(@bad > 0 && @bad % 200 == 0 && !grep({ $_->[1] !~ /^UNABLE_TO_LOCK_ROW:.*: $b:--$/ } @bad), 'two jobs in each other\'s way', scalar(@bad) . ' ' . join '|', @{ $bad[0] // [] });
	check(soql("SELECT COUNT() FROM Contact WHERE LastName LIKE 'Two %'")->{json}{totalSize} == 1200 - @bad, 'the others are written');
	check(http('GET', '/__sandbox/locks', token => undef)->{body} =~ /"locks":\[\]/, 'nothing stays locked');
	setting(workers => 1, 'chunk-ms' => 0);
}

# The other readings.
sub test_options
{
	start('--seed', 'demo', '--readings', 'second', '--bulk-newlines', 'never', '--bulk-batch-rows', 100, '--bulk-workers', 4);
	login();
	my $j = load(qq(Name,Phone\na,1\nb, "4"\n), object => 'Account');
	check($j->{state} eq 'Failed' && $j->{numberRecordsProcessed} == 0, '--bulk-blanks job', $json->encode($j));
	for my $c ([ 'LF', qq(Name,Description\na,"b\nc"\n), 'JobComplete' ], [ 'LF', qq(Name,Description\na,"b\r\nc"\n), 'Failed' ], [ 'CRLF', qq(Name,Description\r\na,"b\r\nc"\r\n), 'JobComplete' ], [ 'CRLF', qq(Name,Description\r\na,"b\nc"\r\n), 'Failed' ])
	{
		$j = load($c->[1], object => 'Account', lineEnding => $c->[0]);
		check($j->{state} eq $c->[2] && ($j->{errorMessage} // 'LineEnding') =~ /LineEnding/, "--bulk-newlines never: $c->[0]", $json->encode($j));
	}
	my $id = csv(part(load("Name\na\n", object => 'Account'), 'successfulResults')->{body})->[1][0];
	$j = load("Id,Phone\n$id,1\n$id,2\n", object => 'Account', operation => 'update');
	check($j->{numberRecordsFailed} == 0 && row('Account', $id)->{Phone} eq '2', '--same-id-twice accept', $json->encode($j));
	stop('the other readings');
}

start('--seed', 'demo');
login();
run_tests(\&test_ingest, \&test_operations, \&test_ingest_refused, \&test_ingest_states, \&test_multipart, \&test_ingest_large,
	\&test_malformed, \&test_chunks, \&test_stopped, \&test_locks);
stop('the sandbox');
run_tests(\&test_options);
finish();
