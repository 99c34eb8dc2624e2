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

sub test_options
{
	start('--seed', 'demo', '--readings', 'second', '--now', '2030-05-01T12:00:00Z');
	login();
	my $id = http('POST', "$D/sobjects/Contact", body => { LastName => 'Condition' })->{json}{id};
	check(http('DELETE', "$D/sobjects/Contact/$id", headers => { 'If-Unmodified-Since' => 'Wed, 01 May 2030 11:00:00 GMT' })->{status} == 412, '--conditional-delete honoured');
	check(cleared() eq 'Wed, 01 May 2030 13:00:00 GMT', '--row-date modstamp');
	stop('the other readings');
}

start('--seed', 'demo');
login();
run_tests(\&test_graph, \&test_composite, \&test_tree, \&test_conditions);
stop('the sandbox');
run_tests(\&test_options);
finish();
