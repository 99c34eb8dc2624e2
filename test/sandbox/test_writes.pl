#!/usr/bin/perl
# test_writes.pl BINARY - what the sandbox's org does with writes beyond single rows: graphs, trees, conditions, files, rules.
#
# Starts the binary itself, on a free port.  Ends with "N passed, N failed".
use strict;
use warnings;
no warnings qw(exec);
use JSON::PP;
use FindBin qw($Bin);
require "$Bin/test_http.pl";
our ($binary, $tmp, $json, $passed, $failed, $pid, $url, $token, $D);

sub node { my ($m, $u, $ref, $body, $headers) = @_; return { method => $m, url => "$D/$u", referenceId => $ref, $body ? (body => $body) : (), $headers ? (httpHeaders => $headers) : () } }
sub graph { my (@graphs) = @_; my $n = 0; return http('POST', "$D/composite/graph", body => { graphs => [map { { graphId => 'g' . $n++, compositeRequest => $_ } } @graphs] }) }
sub composite { my ($all, @subs) = @_; return http('POST', "$D/composite", body => { allOrNone => $all ? JSON::PP::true : JSON::PP::false, compositeRequest => \@subs }) }
sub count { my ($object, $where) = @_; return soql("SELECT COUNT() FROM $object WHERE $where")->{json}{totalSize} }
# What became of the nodes of the nth graph: a status each, with the code of an error.
sub statuses { my ($list) = @_; return join ' ', map { $_->{httpStatusCode} . (ref $_->{body} eq 'ARRAY' && exists $_->{body}[0]{errorCode} ? " $_->{body}[0]{errorCode}" : '') } @$list }
sub outcome { my ($r, $n) = @_; return statuses($r->{json}{graphs}[$n]{graphResponse}{compositeResponse}) }
sub codes { my ($r) = @_; return join ' ', map { $_->{success} ? 'ok' : $_->{errors}[0]{statusCode} } @{ $r->{json} } }

sub test_graph
{
	my $r = graph([ node('POST', 'sobjects/Account', 'acc', { Name => 'Graph A' }),
			node('POST', 'sobjects/Contact/', 'con', { LastName => 'Graph', AccountId => '@{acc.id}' }),
			node('PATCH', 'sobjects/Account/@{acc.id}', 'again', { Phone => '@{con.id}' }),
			node('PATCH', 'sobjects/Account/Ext_Id__c/graph-1', 'ups', { Name => 'Graph B', ParentId => '@{acc.id}' }),
			node('GET', 'sobjects/Account/@{acc.id}?fields=Name,Phone', 'get'),
			node('DELETE', 'sobjects/Contact/@{con.id}', 'del') ],
		[ node('POST', 'sobjects/Account', 'acc', { Name => 'Graph C' }) ]);
	check($r->{status} == 200 && outcome($r, 0) eq '201 201 204 201 200 204' && outcome($r, 1) eq '201', 'a graph of every kind of node', $r->{body});
	my $c = $r->{json}{graphs}[0]{graphResponse}{compositeResponse};
	check($c->[4]{body}{Phone} eq $c->[1]{body}{id} && $c->[4]{body}{Name} eq 'Graph A', 'references', $r->{body});
	check(count('Account', "ParentId = '$c->[0]{body}{id}'") == 1, 'the same of an upsert');

	$r = graph([ node('POST', 'sobjects/Account', 'a', { Name => 'Never' }), node('DELETE', "sobjects/Account/$c->[3]{body}{id}", 'd'), node('POST', 'sobjects/Contact', 'b', {}), node('POST', 'sobjects/Account', 'c', { Name => 'Never' }) ],
		[ node('POST', 'sobjects/Account', 'a', { Name => 'Graph D' }) ]);
	check(outcome($r, 0) eq '400 PROCESSING_HALTED 400 PROCESSING_HALTED 400 REQUIRED_FIELD_MISSING 400 PROCESSING_HALTED' && !$r->{json}{graphs}[0]{isSuccessful}, 'a graph that fails', $r->{body});
	check($r->{json}{graphs}[0]{graphResponse}{compositeResponse}[0]{body}[0]{message} eq 'The transaction was rolled back since another operation in the same transaction failed.', 'its message');
	check(count('Account', "Name = 'Never'") == 0 && count('Account', "Id = '$c->[3]{body}{id}'") == 1, 'nothing of it is left');
	check(outcome($r, 1) eq '201' && count('Account', "Name = 'Graph D'") == 1, 'the others are for themselves');
	$r = graph([ node('POST', 'sobjects/Account', 'a', { Name => 'Never' }), node('POST', 'sobjects/Contact', 'b', { LastName => 'x', AccountId => '@{nobody.id}' }) ]);
	check(outcome($r, 0) eq '400 PROCESSING_HALTED 400 PROCESSING_HALTED' && $r->{body} =~ /No value for nobody.id found in nobody/, 'a reference to nothing', $r->{body});

	my $big = graph([ map { node('POST', 'sobjects/Account', "r$_", { Name => 'Big graph' }) } 1 .. 500 ]);
	check($big->{json}{graphs}[0]{isSuccessful} && count('Account', "Name = 'Big graph'") == 500, 'a graph of 500 nodes', substr $big->{body}, 0, 300);
	is_error(graph([ map { node('POST', 'sobjects/Account', "r$_", { Name => 'Bigger' }) } 1 .. 300 ], [ map { node('POST', 'sobjects/Account', "r$_", { Name => 'Bigger' }) } 1 .. 201 ]), 400, 'LIMIT_EXCEEDED', '501 nodes in all');
	check(count('Account', "Name = 'Bigger'") == 0, 'none of them is written');
	is_error(graph(map { [ node('POST', 'sobjects/Account', 'r', { Name => 'Many' }) ] } 1 .. 76), 400, 'LIMIT_EXCEEDED', '76 graphs');
	check(graph(map { [ node('POST', 'sobjects/Account', 'r', { Name => 'Many' }) ] } 1 .. 75)->{status} == 200, '75 graphs');
	my $chain = sub { my ($n) = @_; graph([ map { node('POST', 'sobjects/Account', "r$_", { Name => 'Chain', $_ > 1 ? (ParentId => '@{r' . ($_ - 1) . '.id}') : () }) } 1 .. $n ]) };
	check($chain->(15)->{json}{graphs}[0]{isSuccessful}, 'a depth of 15');
	is_error($chain->(16), 400, 'LIMIT_EXCEEDED', 'a depth of 16', 'depth');
	my @kinds = map { my $o = $_; map { node($_, "sobjects/$o/Id/x", "$o$_") } qw(GET PATCH DELETE) } qw(Account Contact Lead Case Task);
	check(graph(\@kinds)->{status} == 200, '15 different nodes');
	is_error(graph([ @kinds, node('POST', 'sobjects/Account', 'x', {}) ]), 400, 'LIMIT_EXCEEDED', '16 different nodes', 'different nodes');
	$r = graph(map { [ node('POST', 'sobjects/Contact', 'a', $_ == 17 ? { LastName => 'Late' } : {}) ] } 1 .. 17);
	check(outcome($r, 14) eq '400 REQUIRED_FIELD_MISSING' && outcome($r, 15) eq '400 PROCESSING_HALTED' && outcome($r, 16) eq '400 PROCESSING_HALTED', 'after 15 failures the rest is halted', outcome($r, 15));
	check(count('Contact', "LastName = 'Late'") == 0, 'and not written');

	for my $bad ([ GET => 'query?q=SELECT+Id+FROM+Account' ], [ POST => 'composite/sobjects' ], [ GET => 'sobjects/Account' ], [ GET => 'sobjects/Account/describe' ], [ PUT => 'sobjects/Account/x' ], [ GET => 'limits' ], [ POST => 'sobjects/Account/x' ])
	{
		is_error(graph([ node(@$bad, 'x') ]), 400, 'INVALID_INPUT', "$bad->[0] $bad->[1] in a graph", 'not supported in a composite graph');
	}
	my $ids = sub { http('POST', "$D/composite/graph", body => { graphs => [map { { graphId => $_, compositeRequest => [ node('POST', 'sobjects/Account', 'r', { Name => 'Ids' }) ] } } @_] }) };
	is_error($ids->('a', 'a'), 400, 'INVALID_INPUT', 'a graphId twice', 'Duplicate graphId');
	is_error($ids->($_), 400, 'INVALID_INPUT', "graphId '$_'") for '', '-a', 'a.b', 'a' x 40;
	check($ids->('1-a_b')->{status} == 200 && count('Account', "Name = 'Ids'") == 1, 'a good one');
	is_error(http('POST', '/services/data/v49.0/composite/graph', body => {}), 404, 'NOT_FOUND', 'graphs are of 50.0');
}

sub test_composite
{
	my $rows = sub { my ($all, @names) = @_; return { allOrNone => $all ? JSON::PP::true : JSON::PP::false, records => [map { { attributes => { type => 'Account' }, defined $_ ? (Name => $_) : () } } @names] } };
	my $contact = node('POST', 'sobjects/Contact', 'c', { LastName => 'Beside' });
	my $r = composite(0, node('POST', 'composite/sobjects', 'rows', $rows->(0, 'Inner 1', undef)), $contact);
	check(statuses($r->{json}{compositeResponse}) eq '200 201' && count('Account', "Name = 'Inner 1'") == 1, 'a collection in a composite', $r->{body});
	$r = composite(0, node('POST', 'composite/sobjects', 'rows', $rows->(1, 'Inner 2', undef)), $contact);
	check(statuses($r->{json}{compositeResponse}) =~ / 201$/ && count('Account', "Name = 'Inner 2'") == 0, 'its own allOrNone', $r->{body});
	my $n = count('Contact', "LastName = 'Beside'");
	$r = composite(1, $contact, node('POST', 'composite/sobjects', 'rows', $rows->(0, 'Inner 3', undef)));
	check($r->{json}{compositeResponse}[0]{body}[0]{errorCode} eq 'PROCESSING_HALTED' && count('Account', "Name = 'Inner 3'") == 0 && count('Contact', "LastName = 'Beside'") == $n,
		'allOrNone of the composite goes for the collection', $r->{body});
	check($r->{json}{compositeResponse}[1]{body}[0]{errors}[0]{statusCode} eq 'ALL_OR_NONE_OPERATION_ROLLED_BACK', 'and its rows say so', $r->{body});
	is_error(composite(0, node('GET', 'limits', 'x', undef, { $_ => 'x' })), 400, 'INVALID_INPUT', "header $_ of a subrequest") for qw(Accept authorization Content-Type);
}

sub test_tree
{
	my $at = sub { my ($t, $ref) = @_; return (attributes => { type => $t, referenceId => $ref }) };
	my $plant = sub { http('POST', "$D/composite/tree/Account", body => { records => [@_] }) };
	my $r = $plant->(map { { $at->('Account', "r$_"), Name => 'Tree row' } } 1 .. 200);
	check($r->{status} == 201 && @{ $r->{json}{results} } == 200 && $r->{json}{results}[199]{referenceId} eq 'r200', '200 records', substr $r->{body}, 0, 200);
	$r = $plant->(map { { $at->('Account', "r$_"), Name => 'Tree rows' } } 1 .. 201);
	check($r->{status} == 400 && $r->{json}{hasErrors} && count('Account', "Name = 'Tree rows'") == 0, '201 records', substr $r->{body}, 0, 200);
	$r = $plant->(map { { $at->('Account', 'same'), Name => 'Tree same' } } 1 .. 2);
	check($r->{status} == 400 && $r->{json}{results}[0]{errors}[0]{message} eq 'Duplicate ReferenceId provided in the request.' && count('Account', "Name = 'Tree same'") == 0, 'a reference twice', $r->{body});
	my $deep = sub { my ($self, $n, $at_level) = @_; return { $at->('Account', "d$at_level"), Name => 'Deep', $at_level < $n ? (ChildAccounts => { records => [ $self->($self, $n, $at_level + 1) ] }) : () } };
	check($plant->($deep->($deep, 5, 1))->{status} == 201, 'five levels');
	check($plant->($deep->($deep, 6, 1))->{status} == 400, 'six levels');
}

# Conditional headers: of rows of any object by their date, of accounts by their tag, never of a delete.
sub test_conditions
{
	post_admin('now?t=2030-05-01T12:00:00Z');
	my ($acc, $con) = map { http('POST', "$D/sobjects/$_->[0]", body => { $_->[1] => 'Condition' })->{json}{id} } [ Account => 'Name' ], [ Contact => 'LastName' ];
	my $patch = sub { my ($path, %h) = @_; return http('PATCH', "$D/sobjects/$path", body => { Phone => '1' }, headers => {%h})->{status} };
	my ($before, $then, $later) = ('Wed, 01 May 2030 11:59:59 GMT', 'Wed, 01 May 2030 12:00:00 GMT', 'Wed, 01 May 2030 13:00:00 GMT');
	check($patch->("Contact/$con", 'If-Unmodified-Since' => $then) == 204, 'not changed since');
	check($patch->("Contact/$con", 'If-Unmodified-Since' => $before) == 412, 'changed since');
	post_admin('now?t=2030-05-01T12:30:00Z');
	http('PATCH', "$D/sobjects/Contact/$con", body => { Title => 'x' });
	check($patch->("Contact/$con", 'If-Unmodified-Since' => $then) == 412, 'changed in between');
	check($patch->("Contact/$con", 'If-Unmodified-Since' => $later) == 204, 'not changed since that');
	check($patch->("Contact/$con", 'If-Unmodified-Since' => 'yesterday') == 400, 'no date');
	my $r = http('GET', "$D/sobjects/Contact/$con");
	check($r->{headers}{'last-modified'} eq 'Wed, 01 May 2030 12:30:00 GMT' && !exists $r->{headers}{etag}, 'headers of a contact', $json->encode($r->{headers}));
	check($patch->("Contact/$con", 'If-Match' => '"other"') == 204, 'a tag means nothing there');
	my $tag = http('GET', "$D/sobjects/Account/$acc")->{headers}{etag};
	check($patch->("Account/$acc", 'If-Match' => '"other"') == 412 && $patch->("Account/$acc", 'If-None-Match' => $tag) == 412, 'tags of an account');
	check($patch->("Account/$acc", 'If-Match' => 'bare') == 400, 'a tag without quotes');
	check($patch->("Account/$acc", 'If-Match' => qq("other", $tag)) == 204, 'one of several');
	check(http('GET', "$D/sobjects/Account/$acc", headers => { 'If-None-Match' => http('GET', "$D/sobjects/Account/$acc")->{headers}{etag} })->{status} == 304, '304');
	check(statuses(composite(0, node('PATCH', "sobjects/Contact/$con", 'x', { Phone => '2' }, { 'If-Unmodified-Since' => $then }), node('GET', "sobjects/Contact/$con", 'y'))->{json}{compositeResponse}) eq '412 PRECONDITION_FAILED 200', 'of a subrequest');
	$r = graph([ node('PATCH', "sobjects/Account/$acc", 'a', { Phone => '9' }), node('PATCH', "sobjects/Contact/$con", 'x', { Phone => '2' }, { 'If-Unmodified-Since' => $then }) ]);
	check(outcome($r, 0) eq '400 PROCESSING_HALTED 412 PRECONDITION_FAILED' && count('Account', "Id = '$acc' AND Phone = '9'") == 0, 'and of a graph', $r->{body});
	check(http('DELETE', "$D/sobjects/Contact/$con", headers => { 'If-Unmodified-Since' => $before })->{status} == 204, 'a delete has no conditions');
	check(cleared() eq 'Wed, 01 May 2030 12:30:00 GMT', 'changed by a user, not by the org');
	post_admin('now?t=off');
}

# A lookup that the org clears moves SystemModstamp alone; Last-Modified of the row then.
sub cleared
{
	my $acc = http('POST', "$D/sobjects/Account", body => { Name => 'To go' })->{json}{id};
	my $inv = http('POST', "$D/sobjects/Invoice__c", body => { Account__c => $acc })->{json}{id};
	post_admin('now?t=2030-05-01T13:00:00Z');
	http('DELETE', "$D/sobjects/Account/$acc");
	return http('GET', "$D/sobjects/Invoice__c/$inv")->{headers}{'last-modified'};
}

# A body of several parts: each a head and its bytes.
sub parts
{
	my ($method, $path, @parts) = @_;
	my $body = join '', map { "--bound\r\nContent-Disposition: form-data; name=\"$_->[0]\"" . ($_->[3] ? "; filename=\"$_->[3]\"" : '') . "\r\nContent-Type: $_->[1]\r\n\r\n$_->[2]\r\n" } @parts;
	return http($method, $path, body => "$body--bound--\r\n", headers => { 'Content-Type' => 'multipart/form-data; boundary="bound"' });
}

sub test_files
{
	my $bytes = join('', map { chr($_ % 256) } 0 .. 70000) . "\r\n--boun\0";
	my $row = sub { [ 'entity_content', 'application/json', $json->encode({@_}) ] };
	my $r = parts('POST', "$D/sobjects/ContentVersion", $row->(Title => 'Parts', PathOnClient => 'a.bin'), [ 'VersionData', 'application/octet-stream', $bytes, 'a.bin' ]);
	my $id = $r->{json}{id} // '';
	check($r->{status} == 201, 'a file in a part of its own', $r->{body});
	$r = http('GET', "$D/sobjects/ContentVersion/$id/VersionData");
	check($r->{status} == 200 && $r->{body} eq $bytes, 'comes back as it went', length $r->{body});
	$r = soql("SELECT VersionData, ContentSize FROM ContentVersion WHERE Id = '$id'")->{json}{records}[0];
	check($r->{VersionData} eq "$D/sobjects/ContentVersion/$id/VersionData" && $r->{ContentSize} == length $bytes, 'a query says where it is', $json->encode($r));
	check(parts('POST', "$D/sobjects/ContentVersion", $row->(Title => 'Empty', PathOnClient => 'e'), [ 'VersionData', 'text/plain', '', 'e' ])->{status} =~ /^[24]/, 'an empty file');
	is_error(parts('POST', "$D/sobjects/ContentVersion", $row->(Title => 'x', PathOnClient => 'x'), [ 'Title', 'text/plain', 'x', 'x' ]), 400, 'INVALID_MULTIPART_REQUEST', 'a part for a field without files');
	is_error(parts('POST', "$D/sobjects/ContentVersion", [ 'VersionData', 'text/plain', 'x', 'x' ], $row->(Title => 'x')), 400, 'INVALID_MULTIPART_REQUEST', 'the row comes first');
	is_error(parts('POST', "$D/sobjects/ContentVersion", [ 'entity_content', 'application/json', '{"Title":' ], [ 'VersionData', 'text/plain', 'x', 'x' ]), 400, 'JSON_PARSER_ERROR', 'a row that is no JSON');
	is_error(http('POST', "$D/sobjects/ContentVersion", body => 'x', headers => { 'Content-Type' => 'multipart/form-data; boundary=b' }), 400, 'INVALID_MULTIPART_REQUEST', 'no parts');
	is_error(http('POST', "$D/sobjects/ContentVersion", body => "--b\r\nContent-Type: application/json\r\n\r\n{}", headers => { 'Content-Type' => 'multipart/form-data; boundary=b' }), 400, 'INVALID_MULTIPART_REQUEST', 'a body that breaks off');
	is_error(http('GET', "$D/sobjects/ContentVersion/$id/Title"), 404, 'NOT_FOUND', 'a field without a file');
	is_error(http('GET', "$D/sobjects/ContentVersion/068000000000000AAA/VersionData"), 404, 'NOT_FOUND', 'a file of no row');
	my $acc = http('POST', "$D/sobjects/Account", body => { Name => 'Files' })->{json}{id};
	my $list = sub { [ 'collection', 'application/json', $json->encode({ allOrNone => JSON::PP::false, records => [@_] }) ] };
	my $att = sub { my ($part, %o) = @_; return { attributes => { type => 'Attachment', $part ? (binaryPartName => $part, binaryPartNameAlias => 'Body') : () }, ParentId => $acc, Name => $part // 'none', %o } };
	$r = parts('POST', "$D/composite/sobjects", $list->($att->('one'), $att->('two'), $att->(undef)), [ 'one', 'text/plain', 'first', '1' ], [ 'two', 'text/plain', 'second', '2' ]);
	check(codes($r) eq 'ok ok REQUIRED_FIELD_MISSING', 'files of a collection', $r->{body});
	my $two = $r->{json}[1]{id};
	check(http('GET', "$D/sobjects/Attachment/$two/Body")->{body} eq 'second', 'each to its row');
	is_error(parts('POST', "$D/composite/sobjects", $list->($att->('three')), [ 'one', 'text/plain', 'x', '1' ]), 400, 'INVALID_MULTIPART_REQUEST', 'a part that is not there');
	check(parts('PATCH', "$D/sobjects/Attachment/$two", [ 'entity_attachment', 'application/json', '{"Name":"changed"}' ], [ 'Body', 'text/plain', 'longer than before', 'x' ])->{status} == 204, 'a file is changed');
	$r = http('GET', "$D/sobjects/Attachment/$two")->{json};
	check($r->{BodyLength} == 18 && $r->{Name} eq 'changed' && $r->{Body} eq "$D/sobjects/Attachment/$two/Body", 'and its length', $json->encode($r));
	http('DELETE', "$D/sobjects/Account/$acc");
	is_error(http('GET', "$D/sobjects/Attachment/$two/Body"), 404, 'NOT_FOUND', 'an attachment goes with its parent');
}

sub rules { my ($text) = @_; my $r = post_admin('rules', $text); die $r->{body} if $r->{status} != 200; return { map { $_->{rule} => $_->{id} } @{ $r->{json}{rules} } } }

sub test_duplicates
{
	rules("duplicate Contact Email alert\nduplicate Account Name,Phone block\nduplicate Lead Email report");
	my $make = sub { my ($o, $f, %h) = @_; return http('POST', "$D/sobjects/$o", body => $f, headers => { %h ? ('Sforce-Duplicate-Rule-Header' => $h{header}) : () }) };
	my $con = { LastName => 'Dup', Email => 'dup@x.example' };
	my $id = $make->('Contact', $con)->{json}{id};
	my $r = $make->('Contact', { %$con, Email => 'DUP@x.example' });
	is_error($r, 400, 'DUPLICATES_DETECTED', 'a row that is there already', 'Use one of these records?');
	my $d = $r->{json}[0]{duplicateResut};
	check($d->{allowSave} && $d->{duplicateRuleEntityType} eq 'Contact' && $d->{matchResults}[0]{size} == 1 && join(' ', sort keys %{ $d->{matchResults}[0] }) eq 'entityType errors matchEngine matchRecords rule size success', 'what is said of it', $r->{body});
	check($json->encode($d->{matchResults}[0]{matchRecords}[0]{record}) eq qq({"Id":"$id","attributes":{"type":"Contact","url":"$D/sobjects/Contact/$id"}}), 'the row', $r->{body});
	check($r->{body} =~ /^\[\{"duplicateResut"/ && $r->{body} =~ /"errorCode":"DUPLICATES_DETECTED"\}\]$|"message":"[^"]*"/, 'the keys', $r->{body});
	$r = $make->('Contact', $con, header => 'allowSave=false; includeRecordDetails=true');
	check($r->{json}[0]{duplicateResut}{matchResults}[0]{matchRecords}[0]{record}{LastName} eq 'Dup', 'includeRecordDetails', $r->{body});
	check($make->('Contact', $con, header => 'allowSave=true; includeRecordDetails=true')->{status} == 201, 'allowSave');
	check(http('POST', '/services/data/v51.0/sobjects/Contact', body => $con, headers => { 'Sforce-Duplicate-Rule-Header' => 'allowSave=true' })->{status} == 400, 'the header is of 52.0');
	check($make->('Contact', { LastName => 'No mail' })->{status} == 201 && $make->('Contact', { LastName => 'No mail' })->{status} == 201, 'nothing is like nothing');
	my $other = $make->('Contact', { LastName => 'Other', Email => 'other@x.example' })->{json}{id};
	check(http('PATCH', "$D/sobjects/Contact/$other", body => { Title => 'x' })->{status} == 204, 'an update of something else');
	is_error(http('PATCH', "$D/sobjects/Contact/$other", body => { Email => 'dup@x.example' }), 400, 'DUPLICATES_DETECTED', 'an update that makes it one');
	$r = http('POST', "$D/composite/sobjects", body => { records => [map { { attributes => { type => 'Contact' }, LastName => 'c', Email => $_ } } 'dup@x.example', 'new@x.example'] });
	check(codes($r) eq 'DUPLICATES_DETECTED ok', 'rows of a collection', $r->{body});
	$r = http('POST', "$D/composite/sobjects", headers => { 'Sforce-Duplicate-Rule-Header' => 'allowSave=true' }, body => { records => [{ attributes => { type => 'Contact' }, LastName => 'c', Email => 'dup@x.example' }] });
	check(codes($r) eq 'ok', 'and with the header', $r->{body});
	check(statuses(composite(0, node('POST', 'sobjects/Contact', 'a', $con), node('POST', 'sobjects/Contact', 'b', $con, { 'Sforce-Duplicate-Rule-Header' => 'allowSave=true' }))->{json}{compositeResponse}) eq '400 DUPLICATES_DETECTED 201', 'the header of a subrequest');
	my $acc = { Name => 'Dup', Phone => '1' };
	$make->('Account', $acc);
	$r = $make->('Account', $acc, header => 'allowSave=true');
	check($r->{status} == 400 && !$r->{json}[0]{duplicateResut}{allowSave}, 'a rule that blocks', $r->{body});
	check($make->('Account', { Name => 'Dup', Phone => '2' })->{status} == 201, 'all of its fields count');
	$make->('Lead', { LastName => 'x', Company => 'x', Email => 'l@x.example' });
	check($make->('Lead', { LastName => 'x', Company => 'x', Email => 'l@x.example' })->{status} == 201, 'a rule that reports');
	check(post_admin('rules', 'duplicate Contact Nothing block')->{status} == 400, 'no rule');
	http('DELETE', '/__sandbox/rules', token => undef);
	check($make->('Contact', $con)->{status} == 201, 'without rules');
}

sub test_assignment
{
	my $user = soql("SELECT Id FROM User WHERE Username = 'user1\@sandbox.example'")->{json}{records}[0]{Id};
	my $rules = rules("assign Lead user1\@sandbox.example\nassign Case user1\@sandbox.example inactive");
	my ($lead_rule, $case_rule) = @$rules{ 'assign Lead user1@sandbox.example', 'assign Case user1@sandbox.example inactive' };
	check($lead_rule =~ /^01Q/ && $case_rule =~ /^01Q/, 'rules have Ids', $json->encode($rules));
	my $owner = sub { my ($o, $id) = @_; return http('GET', "$D/sobjects/$o/$id")->{json}{OwnerId} eq $user ? 'rule' : 'me' };
	my $make = sub { my ($o, $f, $h) = @_; my $r = http('POST', "$D/sobjects/$o", body => $f, headers => { defined $h ? ('Sforce-Auto-Assign' => $h) : () }); return $r->{status} == 201 ? $r->{json}{id} : $r->{json}[0]{errorCode} };
	my $lead = { LastName => 'Assign', Company => 'x' };
	check($owner->('Lead', $make->('Lead', $lead)) eq 'rule', 'without the header the active rule decides');
	check($owner->('Lead', $make->('Lead', $lead, 'true')) eq 'rule', 'TRUE');
	check($owner->('Lead', $make->('Lead', $lead, 'False')) eq 'me', 'FALSE');
	check($owner->('Lead', $make->('Lead', $lead, $lead_rule)) eq 'rule', 'a rule by its Id');
	check($make->('Lead', $lead, 'maybe') eq 'MALFORMED_ID', 'no Id');
	check($make->('Lead', $lead, '01Q000000000000AAA') eq 'INVALID_CROSS_REFERENCE_KEY', 'no rule');
	check($owner->('Case', $make->('Case', { Subject => 'x' })) eq 'me', 'a rule that is not active');
	check($owner->('Case', $make->('Case', { Subject => 'x' }, $case_rule)) eq 'rule', 'unless it is named');
	my $id = $make->('Lead', $lead, 'FALSE');
	http('PATCH', "$D/sobjects/Lead/$id", body => { Title => 'x' }, headers => { 'Sforce-Auto-Assign' => 'FALSE' });
	check($owner->('Lead', $id) eq 'me', 'an update with FALSE');
	http('PATCH', "$D/sobjects/Lead/$id", body => { Title => 'x' }, headers => { 'Sforce-Auto-Assign' => $lead_rule });
	check($owner->('Lead', $id) eq 'me', 'an update with a rule, which is for new rows');
	http('PATCH', "$D/sobjects/Lead/$id", body => { Title => 'y' });
	check($owner->('Lead', $id) eq 'rule', 'an update without');
	my $job = sub { my (%o) = @_; return http('POST', "$D/jobs/ingest", body => { object => 'Lead', operation => 'insert', %o }) };
	my $load = sub
	{
		my $j = $job->(@_)->{json}{id};
		http('PUT', "$D/jobs/ingest/$j/batches", body => "LastName,Company\nBulk,x\n", headers => { 'Content-Type' => 'text/csv' });
		http('PATCH', "$D/jobs/ingest/$j", body => { state => 'UploadComplete' });
		ended($j, 'ingest');
		return csv(http('GET', "$D/jobs/ingest/$j/successfulResults")->{body})->[1][0];
	};
	check($owner->('Lead', $load->()) eq 'me', 'a job without a rule');
	check($owner->('Lead', $load->(assignmentRuleId => $lead_rule)) eq 'rule', 'a job with one');
	check($job->(assignmentRuleId => $lead_rule)->{json}{assignmentRuleId} eq $lead_rule, 'that says so');
	is_error($job->(assignmentRuleId => $case_rule), 400, 'INVALIDJOB', 'the rule of another object', 'Invalid assignment rule');
	http('DELETE', '/__sandbox/rules', token => undef);
}

sub test_undelete
{
	my $id = http('POST', "$D/sobjects/Account", body => { Name => 'Back' })->{json}{id};
	my $child = http('POST', "$D/sobjects/Contact", body => { LastName => 'Back', AccountId => $id })->{json}{id};
	http('DELETE', "$D/sobjects/Account/$id");
	check(count('Contact', "Id = '$child'") == 0, 'a child goes with its parent');
	check(post_admin("undelete?id=$child")->{status} == 400, 'and cannot come back alone');
	check(post_admin("undelete?id=$id")->{status} == 200 && count('Account', "Id = '$id'") == 1 && count('Contact', "Id = '$child'") == 1, 'both come back');
	check(post_admin("undelete?id=$id")->{status} == 400, 'but once');
}

sub test_options
{
	start('--seed', 'demo', '--readings', 'second', '--rule', 'duplicate Contact LastName alert', '--now', '2030-05-01T12:00:00Z');
	login();
	my $id = http('POST', "$D/sobjects/Contact", body => { LastName => 'Condition' })->{json}{id};
	check(http('DELETE', "$D/sobjects/Contact/$id", headers => { 'If-Unmodified-Since' => 'Wed, 01 May 2030 11:00:00 GMT' })->{status} == 412, '--conditional-delete honoured');
	check(cleared() eq 'Wed, 01 May 2030 13:00:00 GMT', '--row-date modstamp');
	http('POST', "$D/sobjects/Contact", body => { LastName => 'Twice' });
	check(exists http('POST', "$D/sobjects/Contact", body => { LastName => 'Twice' })->{json}[0]{duplicateResult}, '--rule, --duplicate-key result');
	stop('the other readings');
}

start('--seed', 'demo');
login();
run_tests(\&test_graph, \&test_composite, \&test_tree, \&test_conditions, \&test_files, \&test_duplicates, \&test_assignment, \&test_undelete);
stop('the sandbox');
run_tests(\&test_options);
finish();
