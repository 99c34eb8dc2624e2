#!/usr/bin/perl
# test_bulk.pl BINARY - query jobs of the sandbox's Bulk API 2.0 over HTTP, and what tests can make of them.
#
# Starts the binary itself, on a free port.  Ends with "N passed, N failed".
use strict;
use warnings;
no warnings qw(exec);
use FindBin qw($Bin);
require "$Bin/test_http.pl";
our ($binary, $tmp, $json, $passed, $failed, $pid, $url, $token, $D);

my $J = "$D/jobs";

sub create
{
	my ($soql, %o) = @_;
	my $version = delete $o{version} // '62.0';
	my $r = http('POST', "/services/data/v$version/jobs/query", body => { operation => 'query', query => $soql, %o });
	return $r;
}

sub info { my ($id) = @_; return http('GET', "$J/query/$id") }
sub results { my ($id, $query, %o) = @_; return http('GET', "$J/query/$id/results" . ($query ? "?$query" : ''), %o) }

sub job { my ($soql, %o) = @_; my $id = create($soql, %o)->{json}{id}; ended($id); return $id }

# All rows of a result, page by page; and what was said of the pages.
sub read_all
{
	my ($id, $query, $delimiter, $end) = @_;
	my ($locator, @rows, @counts, @headers);
	for (1 .. 1000)
	{
		my $r = results($id, join '&', grep { defined && length } $query, defined $locator ? "locator=$locator" : undef);
		return undef if $r->{status} != 200;
		my ($header, @page) = @{ csv($r->{body}, $delimiter // ',', $end // "\n") };
		push @headers, join ',', @{ $header // [] };
		push @rows, @page;
		push @counts, $r->{headers}{'sforce-numberofrecords'};
		$locator = $r->{headers}{'sforce-locator'};
		last if $locator eq 'null';
	}
	return { rows => \@rows, counts => \@counts, headers => \@headers };
}

sub test_job
{
	my $r = create('SELECT Id, Name FROM Account');
	my $j = $r->{json};
	my $id = $j->{id};
	check($r->{status} == 200, 'a query job is created with 200', $r->{body});
	check($id =~ /^750\w{15}$/, 'Id of a job', $id);
	check($j->{state} eq 'UploadComplete', 'and is never Open', $j->{state});
	check($r->{body} =~ /"apiVersion":62\.0/, 'apiVersion is a number', $r->{body});
	check(join(' ', sort keys %$j) eq 'apiVersion columnDelimiter concurrencyMode contentType createdById createdDate id lineEnding object operation state systemModstamp',
		'keys of a job that is created', $r->{body});
	check($j->{lineEnding} eq 'LF' && $j->{columnDelimiter} eq 'COMMA' && $j->{object} eq 'Account', 'defaults', $r->{body});
	$j = ended($id)->{json};
	check($j->{state} eq 'JobComplete' && $j->{jobType} eq 'V2Query' && $j->{retries} == 0, 'it completes', $json->encode($j));
	check($j->{numberRecordsProcessed} == soql('SELECT COUNT() FROM Account')->{json}{totalSize}, 'numberRecordsProcessed');
	check($j->{isPkChunkingSupported} && !ended(create('SELECT Id FROM Account ORDER BY Name')->{json}{id})->{json}{isPkChunkingSupported},
		'no chunks with ORDER BY');
	check(http('GET', "$J/query/" . substr($id, 0, 15))->{status} == 200, 'an Id of 15 characters');
	is_error(info('750000000000000AAA'), 404, 'NOT_FOUND', 'an unknown job', 'The requested resource does not exist');
	is_error(http('GET', "$J/ingest/$id"), 404, 'NOT_FOUND', 'a query job is no ingest job');
	is_error(http('GET', "/services/data/v46.0/jobs/query/$id"), 404, 'NOT_FOUND', 'query jobs are of 47.0');
	is_error(http('GET', "/services/data/v57.0/jobs/query/$id/resultPages"), 404, 'NOT_FOUND', 'resultPages are of 58.0');
	is_error(http('GET', "/services/data/v61.0/jobs/query/$id/results"), 409, 'API_ERROR', 'results by another version');
	is_error(http('PUT', "$J/query/$id"), 405, 'METHOD_NOT_ALLOWED', 'PUT');
	is_error(http('GET', "$J/query", token => 'dead'), 401, 'INVALID_SESSION_ID', 'without a session');
	is_error(http('PATCH', "$J/query/$id", body => { state => 'Aborted' }),
		400, 'INVALIDJOBSTATE', 'abort when it is complete', 'Aborting already Completed Job not allowed');
	check(http('DELETE', "$J/query/$id")->{status} == 204, 'delete');
	is_error(info($id), 404, 'NOT_FOUND', 'a deleted job');
	is_error(results($id), 404, 'NOT_FOUND', 'its results');
}

# A result that is kept is that of a job which says the same, until a row changes.
sub test_keep
{
	setting(keep => 2);
	my $soql = 'SELECT Id, Name FROM Account';
	my $first = read_all(job($soql))->{rows};
	my $second = read_all(job($soql))->{rows};
	check(@$first > 0 && $json->encode($first) eq $json->encode($second), 'a result that is kept');
	my $narrow = read_all(job('SELECT Id FROM Account'));
	check($narrow->{headers}[0] eq 'Id' && @{ $narrow->{rows} } == @$first, 'is not that of another statement');
	check(results(job($soql, columnDelimiter => 'PIPE'))->{body} =~ /^"?Id"?\|/, 'nor that of another format');
	my $new = http('POST', "$D/sobjects/Account", body => { Name => 'kept not' })->{json}{id};
	check((grep { $_->[0] eq $new } @{ read_all(job($soql))->{rows} }) == 1, 'nor that of other rows');
	http('DELETE', "$D/sobjects/Account/$new");
	setting(keep => 0);
}

sub test_csv
{
	http('POST', "$D/sobjects/Account", body => { Name => "say \"hi\",\r\nthen ^ ; | \t `", AnnualRevenue => 912260031, NumberOfEmployees => 7,
			Description => "line\nline" });
	my $soql = 'SELECT Id, Name, Parent.Name, AnnualRevenue, NumberOfEmployees, Description, IsDeleted, CreatedDate FROM Account';
	my $want = soql("$soql WHERE AnnualRevenue = 912260031")->{json}{records}[0];
	my %delimiters = (COMMA => ',', TAB => "\t", PIPE => '|', SEMICOLON => ';', CARET => '^', BACKQUOTE => '`');
	for my $name (sort keys %delimiters)
	{
		for my $end ('LF', 'CRLF')
		{
			my ($d, $e) = ($delimiters{$name}, $end eq 'LF' ? "\n" : "\r\n");
			my $id = job("$soql WHERE AnnualRevenue = 912260031", columnDelimiter => $name, lineEnding => $end);
			my $r = results($id);
			my $row = csv($r->{body}, $d, $e)->[1] // [];
			(my $date = $want->{CreatedDate}) =~ s/\+0000/Z/;
			check($r->{body} eq join($d, map { "\"$_\"" } qw(Id Name Parent.Name AnnualRevenue NumberOfEmployees Description IsDeleted CreatedDate)) . $e
				  . join($d, map { (my $v = $_) =~ s/"/""/g; "\"$v\"" } $want->{Id}, $want->{Name}, '', '9.12260031E8', 7, "line\nline", 'false', $date) . $e,
				"$name $end: the bytes", $r->{body});
			check(@$row == 8 && $row->[1] eq $want->{Name}, "$name $end: read again", $r->{body});
		}
	}
	my $id = job('SELECT Name, account.parent.name, ID, Account.Owner.Name, toLabel(Type) FROM Account');
	check(results($id)->{body} =~ /\A"Name","Parent.Name","Id","Owner.Name","Type"\n/, 'columns in the order of SELECT, by their names', substr results($id)->{body}, 0, 80);
	my $old = http('POST', '/services/data/v49.0/jobs/query', body => { operation => 'query', query => 'SELECT Name, Id, AccountNumber FROM Account' })->{json}{id};
	for (1 .. 100) { last if http('GET', "/services/data/v49.0/jobs/query/$old")->{json}{state} eq 'JobComplete' }
	check(http('GET', "/services/data/v49.0/jobs/query/$old/results")->{body} =~ /\A"AccountNumber","Id","Name"\n/, 'up to 49.0 in that of the alphabet');
	my $r = results(job('SELECT Id FROM Account LIMIT 3'));
	check($r->{headers}{'content-type'} =~ m{^text/csv} && $r->{headers}{'sforce-locator'} eq 'null' && $r->{headers}{'sforce-numberofrecords'} == 3, 'headers of a result');
	$r = results(job("SELECT Id FROM Account WHERE Name = 'nobody'"));
	check($r->{status} == 200 && $r->{body} eq "\"Id\"\n" && $r->{headers}{'sforce-numberofrecords'} == 0, 'no rows', $r->{body});
}

# Bulk and REST say the same of every field that both can show.
sub test_values
{
	for my $o (qw(Account Contact Opportunity Invoice__c Task Lead))
	{
		my %type = map { $_->{type} =~ /^(address|location|base64|complexvalue)$/ ? () : ($_->{name} => $_->{type}) }
		  @{ http('GET', "$D/sobjects/$o/describe")->{json}{fields} };
		my @names = ('Id', grep { $_ ne 'Id' } sort keys %type);
		my $list = join ',', @names;
		my %want = map { $_->{Id} => $_ } map { @{ soql("SELECT $list FROM $o LIMIT 2000 ")->{json}{records} } } 1;
		my $got = read_all(job("SELECT $list FROM $o"), '');
		my ($same, $wrong) = (0, '');
		for my $row (@{ $got->{rows} })
		{
			my $w = $want{ $row->[0] };
			for my $i (0 .. $#names)
			{
				my $v = $w->{ $names[$i] };
				my $t = $type{ $names[$i] };
				$v = !defined $v ? '' : $t eq 'boolean' ? ($v ? 'true' : 'false') : $v;
				$v =~ s/\+0000$/Z/ if $t eq 'datetime';
				my $g = $row->[$i];
				utf8::decode($g);
				my $ok = $t =~ /^(double|currency|percent|int|long)$/ && $v ne '' && $g ne '' ? $v == $g : $v eq $g;
				$ok ? $same++ : ($wrong = "$names[$i]: $g instead of $v");
			}
		}
		check($wrong eq '' && $same == @names * keys %want, "$o: every value as in REST", "$wrong $same");
	}
}

sub test_pages
{
	post_admin('reset?seed=push:500');
	my $total = soql('SELECT COUNT() FROM Contact')->{json}{totalSize};
	my %ids = map { $_->{Id} => 1 } map { @{ soql('SELECT Id FROM Contact')->{json}{records} } } 1;
	setting('page-rows' => 300);
	my $id = job('SELECT Id, Name FROM Contact');
	my $all = read_all($id, '');
	check(@{ $all->{rows} } == $total && $total > 910, 'all pages', scalar @{ $all->{rows} });
	check("@{ $all->{counts} }" eq '300 300 300 ' . ($total - 900), 'rows of the pages', "@{ $all->{counts} }");
	check("@{ $all->{headers} }" eq join(' ', ('Id,Name') x 4), 'each begins with the header', "@{ $all->{headers} }");
	check((grep { delete $ids{ $_->[0] } } @{ $all->{rows} }) == $total && !%ids, 'each row once');
	my @sorted = sort map { $_->[0] } @{ $all->{rows} };
	check("@sorted" ne join(' ', map { $_->[0] } @{ $all->{rows} }), 'not in the order of Ids');
	for my $n (1, 7, 299, 300, 301, 5000)
	{
		next if $n == 1 && !$ENV{BULK_SLOW};
		my $part = read_all($id, "maxRecords=$n");
		check(join(' ', map { $_->[0] } @{ $part->{rows} }) eq join(' ', map { $_->[0] } @{ $all->{rows} }), "maxRecords=$n: the same rows");
		check(!(grep { $_ > $n || $_ > 300 } @{ $part->{counts} }), "maxRecords=$n: no page is larger");
	}
	my $locator = results($id)->{headers}{'sforce-locator'};
	my $again = results($id, "locator=$locator")->{body};
	check($again eq results($id, "locator=$locator")->{body}, 'a locator may be used again');
	is_error(results($id, 'locator=MzAw'), 400, 'INVALID_QUERY_LOCATOR', 'a locator that was made up');
	is_error(results(job('SELECT Name FROM Contact'), "locator=$locator"), 400, 'INVALID_QUERY_LOCATOR', "another job's locator");
	is_error(results($id, 'maxRecords=0'), 400, 'API_ERROR', 'maxRecords=0');
	setting(order => 'natural');
	my $natural = read_all(job('SELECT Id, Name FROM Contact'), '');
	check("@sorted" eq join(' ', map { $_->[0] } @{ $natural->{rows} }), '--bulk-order natural');
	my $ordered = read_all(job('SELECT Name, Id FROM Contact ORDER BY Name DESC NULLS LAST, Id'), '');
	my $want = soql('SELECT Name, Id FROM Contact ORDER BY Name DESC NULLS LAST, Id')->{json}{records};
	check(join(' ', map { $_->[1] } @{ $ordered->{rows} }) eq join(' ', map { $_->{Id} } @$want), 'ORDER BY');
	setting(order => 'shuffled', 'page-rows' => 90);
	my ($next, @urls, @lengths) = ("$J/query/" . job('SELECT Id, Name FROM Contact') . '/resultPages');
	while ($next)
	{
		my $j = http('GET', $next)->{json};
		push @urls, map { $_->{resultUrl} } @{ $j->{resultPages} };
		push @lengths, scalar @{ $j->{resultPages} };
		$next = $j->{nextRecordsUrl};
		check($j->{done} ? !$next : $next =~ m{/resultpages\?locator=}, 'done of resultPages');
	}
	check("@lengths" eq '5 5 1', 'resultPages name five pages at a time', "@lengths");
	fault('path=*/resultPages;do=drop-page');
	my $fewer = http('GET', "$J/query/" . ($urls[0] =~ m{query/(\w+)/})[0] . '/resultPages')->{json}{resultPages};
	check($fewer->[0]{resultUrl} eq $urls[0] && $fewer->[1]{resultUrl} eq $urls[2], 'drop-page leaves the second page out');
	my @parts = map { my @p = @{ csv(http('GET', $_)->{body}) }; shift @p; map { $_->[0] } @p } @urls;
	check("@{[ sort @parts ]}" eq "@sorted", 'and these are all rows');
	setting('page-rows' => 50000);
}

sub test_gzip
{
	my $id = job('SELECT Id, Name, Email FROM Contact');
	my $plain = results($id)->{body};
	my $r = results($id, '', gzip => 1);
	check($r->{headers}{'content-encoding'} eq 'gzip' && $r->{body} eq $plain, 'gzip for who asks');
	check(length $plain > 0 && !exists results($id)->{headers}{'content-encoding'}, 'and not for others');
	# beyond what is kept in memory
	post_admin('reset?seed=big:20000');
	$id = job('SELECT Id, FirstName, LastName, Email, Phone, Title, MailingCity, MailingStreet FROM Contact');
	my $big = results($id);
	check(length $big->{body} > 1000000 && $big->{headers}{'content-length'} == length $big->{body}, 'a large result has a length');
	check(@{ csv($big->{body}) } == 20001, 'and all its rows');
	$r = results($id, '', gzip => 1);
	check($r->{body} eq $big->{body}, 'compressed it is the same');
	my $parts = read_all($id, 'maxRecords=777');
	my ($header, @rows) = @{ csv($big->{body}) };
	check($json->encode($parts->{rows}) eq $json->encode(\@rows), 'in parts out of a file too');
	post_admin('reset?seed=demo');
}

sub test_refused
{
	my @cases = (
		[ 'SELECT COUNT() FROM Account', 'FEATURENOTENABLED' ],
		[ 'SELECT COUNT(Id) FROM Account', 'FEATURENOTENABLED' ],
		[ 'SELECT MAX(CreatedDate) m FROM Account', 'FEATURENOTENABLED' ],
		[ 'SELECT Name FROM Account GROUP BY Name', 'FEATURENOTENABLED', 'GROUP BY' ],
		[ 'SELECT Id FROM Account LIMIT 5 OFFSET 2', 'FEATURENOTENABLED', 'OFFSET' ],
		[ 'SELECT TYPEOF What WHEN Account THEN Name END FROM Task', 'FEATURENOTENABLED', 'TYPEOF' ],
		[ 'SELECT Id, (SELECT Id FROM Contacts) FROM Account', 'FEATURENOTENABLED', 'Aggregate Relationships not supported in Bulk V2 Query' ],
		[ 'SELECT BillingAddress FROM Account', 'FUNCTIONALITY_NOT_ENABLED', 'Selecting compound data not supported in Bulk Query' ],
		[ 'SELECT Id, Account.BillingAddress FROM Contact', 'FUNCTIONALITY_NOT_ENABLED', 'Selecting compound data not supported in Bulk Query' ],
		[ 'SELECT VersionData FROM ContentVersion', 'FEATURENOTENABLED' ],
		[ 'SELECT FIELDS(STANDARD) FROM Account', 'FEATURENOTENABLED' ],
		[ 'SELECT Nothing FROM Account', 'INVALID_FIELD' ],
		[ 'SELECT Id FROM Nothing', 'INVALID_TYPE' ],
		[ 'SELECT Id FROM', 'MALFORMED_QUERY' ]);
	is_error(create($_->[0]), 400, $_->[1], $_->[0], $_->[2]) for @cases;
	is_error(create(''), 400, 'API_ERROR', 'no query');
	is_error(create('SELECT Id FROM Account', operation => 'insert'), 400, 'API_ERROR', 'another operation');
	is_error(create('SELECT Id FROM Account', contentType => 'JSON'), 400, 'API_ERROR', 'another contentType');
	is_error(create('SELECT Id FROM Account', columnDelimiter => 'SPACE'), 400, 'API_ERROR', 'another delimiter');
	is_error(create('SELECT Id FROM Account', lineEnding => 'CR'), 400, 'API_ERROR', 'another line ending');
	is_error(http('POST', "$J/query", body => '{'), 400, 'JSON_PARSER_ERROR', 'no JSON');
	is_error(http('POST', "$J/query", body => 'x', headers => { 'Content-Type' => 'text/csv' }), 415, 'UNSUPPORTED_MEDIA_TYPE', 'no media type for a job');
	setting(refuse => 'Task,contact');
	is_error(create('SELECT Id FROM Contact'), 400, 'INVALIDENTITY', 'an object that Bulk refuses', 'is not supported by the Bulk API');
	check(create('SELECT Contact.Name FROM Case')->{status} == 200, 'but as a parent it may be asked for');
	setting(refuse => '');
	check(create('SELECT Id FROM Account WHERE CALENDAR_YEAR(CreatedDate) > 2000 AND Id IN (SELECT AccountId FROM Contact)')->{status} == 200,
		'functions of dates and semi-joins may be in conditions');
}

sub test_deleted
{
	my $id = http('POST', "$D/sobjects/Account", body => { Name => 'Gone' })->{json}{id};
	http('DELETE', "$D/sobjects/Account/$id");
	my $soql = "SELECT Id, IsDeleted FROM Account WHERE Name = 'Gone'";
	check(@{ read_all(job($soql), '')->{rows} } == 0, 'query does not show deleted rows');
	my $all = read_all(job($soql, operation => 'queryAll'), '');
	check("@{ $all->{rows}[0] // [] }" eq "$id true", 'queryAll does');
}

sub test_states
{
	my %settings = (polls => 3);
	setting(%settings);
	my $id = create('SELECT Id FROM Account')->{json}{id};
	check(join(' ', map { info($id)->{json}{state} } 1 .. 5) eq 'UploadComplete InProgress InProgress JobComplete JobComplete', '--bulk-polls');
	$id = create('SELECT Id FROM Account')->{json}{id};
	is_error(results($id), 400, 'INVALIDJOBSTATE', 'results before the job is complete');
	is_error(http('GET', "$J/query/$id/resultPages"), 400, 'INVALIDJOBSTATE', 'pages before the job is complete');
	is_error(http('DELETE', "$J/query/$id"), 400, 'API_ERROR', 'delete before it has ended',
		'Error encountered when deleting the job because the job is not terminated');
	my $r = http('PATCH', "$J/query/$id", body => { state => 'Aborted' });
	check($r->{status} == 200 && $r->{json}{state} eq 'Aborted' && !exists $r->{json}{lineEnding} && !exists $r->{json}{columnDelimiter}, 'abort', $r->{body});
	check(info($id)->{json}{state} eq 'Aborted', 'and so it stays');
	is_error(results($id), 400, 'INVALIDJOBSTATE', 'results of an aborted job');
	is_error(http('PATCH', "$J/query/$id", body => { state => 'Aborted' }), 400, 'INVALIDJOBSTATE', 'abort once more');
	is_error(http('PATCH', "$J/query/$id", body => { state => 'UploadComplete' }), 400, 'INVALIDJOBSTATE', 'a state that query jobs are not given');
	check(http('DELETE', "$J/query/$id")->{status} == 204, 'delete what was aborted');
	setting(polls => 0, ms => 600000);
	$id = create('SELECT Id FROM Account')->{json}{id};
	check(info($id)->{json}{state} eq 'UploadComplete', '--bulk-ms');
	setting(ms => 0);
	check(info($id)->{json}{state} eq 'JobComplete', 'and at once without');
}

sub test_list
{
	post_admin('reset');
	setting('list-rows' => 3);
	my @ids = map { create("SELECT Id FROM Account LIMIT $_")->{json}{id} } 1 .. 7;
	my @seen;
	my $next = "$J/query?jobType=V2Query";
	my $pages = 0;
	while ($next)
	{
		my $j = http('GET', $next)->{json};
		push @seen, map { $_->{id} } @{ $j->{records} };
		$pages++;
		check(!$j->{nextRecordsUrl} == !!$j->{done}, 'done of the list');
		$next = $j->{nextRecordsUrl};
		check($next =~ m{/jobs/ingest\?queryLocator=01g}, 'the next page of the list') if $next;
	}
	check($pages == 3 && "@{[ sort @seen ]}" eq "@{[ sort @ids ]}", 'the list', "@seen");
	my $one = http('GET', "$J/query")->{json}{records}[0];
	check($one->{jobType} eq 'V2Query' && $one->{object} eq 'Account', 'a job of the list');
	check(!@{ http('GET', "$J/query?jobType=Classic")->{json}{records} }, 'by jobType');
	check(!@{ http('GET', "$J/query?isPkChunkingEnabled=true")->{json}{records} }, 'by isPkChunkingEnabled');
	check(!@{ http('GET', "$J/query?concurrencyMode=Serial")->{json}{records} }, 'by concurrencyMode');
	setting('list-rows' => 1000);
}

sub test_limits
{
	post_admin('reset');
	my $l = sub { http('GET', "$D/limits")->{json}{"DailyBulkV2Query$_[0]"} };
	setting('query-jobs' => 2, 'storage-mb' => 50);
	check($l->('Jobs')->{Max} == 2 && $l->('Jobs')->{Remaining} == 2, 'jobs in limits');
	job('SELECT Id FROM Account') for 1 .. 2;
	check($l->('Jobs')->{Remaining} == 0, 'jobs are counted');
	check($l->('FileStorageMB')->{Max} == 50 && $l->('FileStorageMB')->{Remaining} == 49, 'results are counted', $json->encode($l->('FileStorageMB')));
	is_error(create('SELECT Id FROM Account'), 400, 'LIMIT_EXCEEDED', 'too many jobs', 'Max bulk v2 query jobs (2) per 24 hrs');
	setting('query-jobs' => 10000, 'storage-mb' => 1);
	is_error(create('SELECT Id FROM Account'), 400, 'EXCEEDEDQUOTA', 'too much of results', 'kb per 24 hrs has been exceeded');
	setting('storage-mb' => 976562);
}

sub test_faults
{
	my $job = sub { create('SELECT Id, Name FROM Account')->{json}{id} };
	fault('path=*/jobs/query;method=POST;do=job-failed');
	my $j = ended($job->())->{json};
	check($j->{state} eq 'Failed' && $j->{retries} == 15 && $j->{errorMessage} =~ /retried 15 times/ && $j->{numberRecordsProcessed} == 0, 'job-failed', $json->encode($j));
	is_error(results($j->{id}), 400, 'INVALIDJOBSTATE', 'results of a failed job');
	setting(polls => 2);
	fault('path=*/jobs/query;method=POST;do=job-aborted');
	my $id = $job->();
	check(join(' ', map { info($id)->{json}{state} } 1 .. 3) eq 'UploadComplete InProgress Aborted', 'job-aborted, in its time');
	$id = $job->();
	fault('path=*/jobs/query/750*;method=GET;skip=1;message=Somebody : was here;do=job-failed');
	check(join(' ', map { info($id)->{json}{state} } 1 .. 2) eq 'UploadComplete Failed', 'job-failed, at once');
	check(info($id)->{json}{errorMessage} eq 'Somebody : was here', 'with a message');
	setting(polls => 0);
	fault('path=*/jobs/query;method=POST;do=job-stuck');
	$id = $job->();
	check(join(' ', map { info($id)->{json}{state} } 1 .. 3) !~ /JobComplete/, 'job-stuck');
	http('PATCH', "$J/query/$id", body => { state => 'Aborted' });
	check(info($id)->{json}{state} eq 'Aborted', 'until it is aborted');
	$id = job('SELECT Id, Name FROM Account');
	fault('path=*/results;do=job-deleted');
	is_error(results($id), 404, 'NOT_FOUND', 'job-deleted');
	post_admin('reset?seed=push:500');
	setting('page-rows' => 300);
	my $total = soql('SELECT COUNT() FROM Contact')->{json}{totalSize};
	$id = job('SELECT Id FROM Contact');
	my $good = results($id);
	my $rows = sub { scalar @{ csv($_[0]->{body}) } - 1 };
	fault('path=*/results;do=drop-rows');
	my $r = results($id);
	check($rows->($r) == 150 && $r->{headers}{'sforce-numberofrecords'} == 300, 'drop-rows');
	fault('path=*/results;do=wrong-count');
	$r = results($id);
	check($rows->($r) == 300 && $r->{headers}{'sforce-numberofrecords'} == 301, 'wrong-count');
	fault('path=*/results;do=drop-page');
	check(@{ read_all($id, '')->{rows} } == $total - 300, 'drop-page');
	fault('path=*/results;do=early-end;skip=1');
	check(@{ read_all($id, '')->{rows} } == 600, 'early-end');
	my $locator = $good->{headers}{'sforce-locator'};
	check(results($id, "locator=$locator")->{status} == 200, 'a locator of before');
	fault('path=*/results;do=dead-locator');
	is_error(results($id, "locator=$locator"), 400, 'INVALID_QUERY_LOCATOR', 'dead-locator');
	check(@{ read_all($id, '')->{rows} } == $total, 'the result can be read from its begin');
	fault('path=*/results;do=truncate-json');
	$r = results($id);
	check($r->{curl} == 0 && length $r->{body} == int(length($good->{body}) / 2), 'half a body');
	for my $f ([ 'reset-middle', 'in the middle' ], [ 'reset-before', 'before' ], [ 'reset-after', 'after' ])
	{
		fault("path=*/results;do=$f->[0]");
		check(results($id)->{curl} != 0, "connection reset $f->[1]");
	}
	fault('path=*/results;do=reset-middle;bytes=10');
	$r = results($id);
	check($r->{curl} != 0 && $r->{body} eq substr($good->{body}, 0, 10), 'reset after some bytes');
	fault('path=*/results;do=bad-header');
	check(csv(results($id)->{body})->[0][0] eq 'Hd', 'bad-header');
	fault('path=*/results;do=bad-row');
	$r = results($id);
	check(@{ csv($r->{body}) } == 0 && length $r->{body} == length $good->{body}, 'bad-row');
	fault('path=*/results;do=bad-utf8');
	$r = results($id);
	check($r->{body} =~ /"\xff/ && length $r->{body} == length $good->{body}, 'bad-utf8');
	fault('path=*/results;do=other-value');
	$r = results($id);
	my ($was, $is) = map { csv($_->{body}) } $good, $r;
	check($is->[1][0] ne $was->[1][0] && $r->{body} ne $good->{body}, 'other-value');
	$is->[1][0] = $was->[1][0];
	check(join('|', map { @$_ } @$is) eq join('|', map { @$_ } @$was), '... and nothing else');
	fault('path=*/jobs/query;method=POST;do=reset-after');
	my $before = @{ http('GET', "$J/query")->{json}{records} };
	$job->();
	check(@{ http('GET', "$J/query")->{json}{records} } == $before + 1, 'reset-after: the job has been created');
	fault('path=*/jobs/query/750*;do=status;status=500;count=2');
	check(info($id)->{status} == 500 && results($id)->{status} == 500 && info($id)->{status} == 200, 'status');
	# out of a file
	post_admin('reset?seed=big:20000');
	setting('page-rows' => 50000);
	$id = job('SELECT Id, FirstName, LastName, Email, Phone, Title, MailingCity, MailingStreet FROM Contact');
	my $whole = results($id)->{body};
	fault('path=*/results;do=reset-middle');
	$r = results($id);
	check($r->{curl} != 0 && length $r->{body} < length $whole && substr($whole, 0, length $r->{body}) eq $r->{body}, 'reset in the middle of a file');
	fault('path=*/results;do=drop-rows');
	check(@{ csv(results($id)->{body}) } == 10001, 'drop-rows of a file');
	fault('path=*/results;do=truncate-json');
	check(length results($id)->{body} == int(length($whole) / 2), 'half of a file');
	fault('path=*/results;do=slow;bytes-per-second=20000000');
	check(results($id)->{body} eq $whole, 'a slow file');
	post_admin('reset?seed=demo');
}

# The list of /__sandbox/jobs, and the log.
sub test_admin
{
	post_admin('reset?seed=demo');
	my $id = create('SELECT Id FROM Account LIMIT 2')->{json}{id};
	ended($id);
	http('GET', "$J/query/$id", headers => { 'Sforce-Call-Options' => 'client=me' });
	my ($j) = @{ http('GET', '/__sandbox/jobs', token => undef)->{json}{jobs} };
	check($j->{id} eq $id && $j->{state} eq 'JobComplete' && $j->{operation} eq 'query' && $j->{rows} == 2 && $j->{object} eq 'Account', 'jobs for tests');
	my ($created, $asked) = ('', '');
	open my $log, '<', "$tmp/log" or die;
	while (<$log>)
	{
		my $l = $json->decode($_);
		next unless ($l->{job} // '') eq $id;
		$created = $l->{soql} if $l->{method} eq 'POST';
		$asked = $l->{client} // '' if $l->{method} eq 'GET';
	}
	check($created eq 'SELECT Id FROM Account LIMIT 2' && $asked eq 'me', 'jobs and their statements in the log', "$created, $asked");
	check(setting('page-rows' => 0)->{status} == 400 && setting(nothing => 1)->{status} == 400, 'settings that make no sense');
	post_admin('reset');
	check(!@{ http('GET', '/__sandbox/jobs', token => undef)->{json}{jobs} }, 'reset forgets jobs');
	is_error(info($id), 404, 'NOT_FOUND', 'they are unknown');
}

# ---- ingest ----

sub test_meanwhile
{
	post_admin('reset?seed=big:100000');
	my $id = create('SELECT Id, Name, Email, Phone, MailingCity, MailingStreet, Title FROM Contact')->{json}{id};
	my $r = soql('SELECT Id FROM Account LIMIT 1');
	check($r->{status} == 200, 'a query while a job is worked on');
	my $second = create('SELECT Id FROM Contact')->{json}{id};
	http('PATCH', "$J/query/$id", body => { state => 'Aborted' });
	check(info($id)->{json}{state} =~ /Aborted|JobComplete/, 'the first one ends');
	check(ended($second)->{json}{numberRecordsProcessed} == 100000, 'and the second follows');
	my $last = create('SELECT Id, Name, Email, Phone, MailingCity, MailingStreet, Title FROM Contact')->{json}{id};
	post_admin('reset?seed=demo');
	is_error(info($last), 404, 'NOT_FOUND', 'a job whose org was filled anew');
	create('SELECT Id, Name FROM Contact') for 1 .. 3;
}

sub test_options
{
	start('--seed', 'push:100', '--readings', 'second', '--pages', 'short', '--bulk-page-rows', 150, '--bulk-polls', 1, '--data', "$tmp/org.db");
	login();
	my $total = soql('SELECT COUNT() FROM Contact')->{json}{totalSize};
	my $id = create("SELECT Id FROM Contact WHERE Name = 'nobody'")->{json}{id};
	check(results($id)->{status} == 204, '--bulk-early 204');
	check(join(' ', map { info($id)->{json}{state} } 1 .. 2) eq 'InProgress JobComplete', 'one question first');
	my $r = results($id);
	check($r->{status} == 200 && $r->{body} eq '', '--bulk-empty nothing', $r->{body});
	$id = job('SELECT Id FROM Contact');
	my $all = read_all($id, '');
	my %ids = map { $_->[0] => 1 } @{ $all->{rows} };
	check(keys %ids == $total && @{ $all->{rows} } == $total && @{ $all->{counts} } > 2, '--pages short', "@{ $all->{counts} }");
	my $pages = http('GET', "$J/query/$id/resultPages")->{json}{resultPages};
	my @parts = map { my @p = @{ csv(http('GET', $_->{resultUrl})->{body}) }; shift @p; map { $_->[0] } @p } @$pages;
	check(@parts == $total && @$pages == 2, 'pages of resultPages are whole', scalar @parts);
	my @left = glob "$tmp/*bulk*";
	check(!@left, 'no file is left behind', "@left");
	create('SELECT Id, Name FROM Contact');
	stop('a sandbox with a job');
	check(system($binary, '--bulk-polls', 'x') != 0, 'an option without a number');
}

start('--seed', 'demo');
login();
run_tests(\&test_job, \&test_keep, \&test_csv, \&test_values, \&test_pages, \&test_gzip, \&test_refused, \&test_deleted, \&test_states,
	\&test_list, \&test_limits, \&test_faults, \&test_admin, \&test_meanwhile);
stop('the sandbox');
run_tests(\&test_options);
finish();
