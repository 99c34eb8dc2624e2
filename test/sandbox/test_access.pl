#!/usr/bin/perl
# test_access.pl BINARY - what users may not do and see, and what tells of it: EntityParticle, EntityDefinition, FieldPermissions, ObjectPermissions.
#
# Starts the binary itself, on a free port.  Ends with "N passed, N failed".
use strict;
use warnings;
use FindBin qw($Bin);
use JSON::PP;
require "$Bin/test_http.pl";
our ($binary, $tmp, $json, $passed, $failed, $pid, $url, $token, $D);
my $user;

sub rules
{
	for my $line (@_)
	{
		my $r = post_admin('schema', $line);
		check($r->{status} == 200, $line, $r->{body});
	}
}
sub no_rules { http('DELETE', '/__sandbox/schema', token => undef) }
sub tooling { my ($q, %o) = @_; return http('GET', "$D/tooling/query?q=" . enc($q), %o) }
sub names { my ($r, $key) = @_; return join ' ', map { $_->{$key} } @{ $r->{json}{records} } }
sub described { my ($object, $t) = @_; return http('GET', "$D/sobjects/$object/describe", defined $t ? (token => $t) : ()) }
sub field { my ($r, $name) = @_; return (grep { $_->{name} eq $name } @{ $r->{json}{fields} })[0] }
sub listed { my ($t) = @_; return map { $_->{name} => $_ } @{ http('GET', "$D/sobjects/", token => $t)->{json}{sobjects} } }

sub test_particles
{
	rules('add Invoice__c {"name": "acme__Region__c", "type": "string", "length": 20, "label": "Region"}', 'hide Invoice__c acme__Region__c user1@sandbox.example',
		'hide Account Industry');
	my $r = tooling("SELECT QualifiedApiName, NamespacePrefix, DeveloperName, Label, DataType, IsUpdatable, EntityDefinition.QualifiedApiName FROM EntityParticle "
		. "WHERE EntityDefinition.QualifiedApiName = 'Invoice__c' AND QualifiedApiName = 'acme__region__c'", token => $user);
	my $x = $r->{json}{records}[0];
	check($r->{status} == 200 && @{ $r->{json}{records} } == 1 && $r->{json}{size} == 1 && $r->{json}{entityTypeName} eq 'EntityParticle', 'a hidden field is told of', $r->{body});
	check("$x->{QualifiedApiName} $x->{NamespacePrefix} $x->{DeveloperName} $x->{Label} $x->{DataType}" eq 'acme__Region__c acme Region Region string' && $x->{IsUpdatable}, 'what it is', $r->{body});
	check($x->{EntityDefinition}{QualifiedApiName} eq 'Invoice__c' && $x->{attributes}{type} eq 'EntityParticle', 'and of what', $r->{body});
	check(!field(described('Invoice__c', $user), 'acme__Region__c') && field(described('Invoice__c'), 'acme__Region__c'), 'the describe leaves it out');
	my $all = names(tooling("SELECT QualifiedApiName FROM EntityParticle WHERE EntityDefinitionId = 'Account'"), 'QualifiedApiName');
	my $seen = join ' ', map { $_->{name} } @{ described('Account')->{json}{fields} };
	check($all =~ s/ Industry// && $all eq $seen, 'otherwise both have the same fields', "$all / $seen");
	check(tooling("SELECT COUNT() FROM EntityParticle WHERE EntityDefinition.QualifiedApiName IN ('Account', 'Contact')")->{json}{totalSize} > 100, 'of several objects');
	is_error(tooling('SELECT QualifiedApiName FROM EntityParticle'), 400, 'MALFORMED_QUERY', 'never of all', q(EntityParticle: a filter on a reified column is required [EntityDefinitionId,FieldDefinitionId,DurableId]));
	is_error(tooling("SELECT QualifiedApiName FROM EntityParticle WHERE DataType = 'phone'"), 400, 'MALFORMED_QUERY', 'nor by something else', q(a filter on a reified column));
	is_error(tooling("SELECT Nonesuch FROM EntityParticle WHERE EntityDefinitionId = 'Account'"), 400, 'INVALID_FIELD', 'a field that it has not', q(No such column 'Nonesuch' on entity 'EntityParticle'));
	is_error(soql("SELECT QualifiedApiName FROM EntityParticle WHERE EntityDefinitionId = 'Account'"), 400, 'INVALID_TYPE', 'it is one of the Tooling API');
	my @refused = ([ "WHERE QualifiedApiName != 'Account'", 'Only equals comparisons permitted' ], [ "WHERE QualifiedApiName LIKE 'A%'", 'Only equals comparisons permitted' ],
		[ "WHERE QualifiedApiName = 'Account' OR IsQueryable = true", 'Disjunctions not supported' ], [ 'GROUP BY QualifiedApiName', 'not yet supported by this SObject storage type' ]);
	is_error(tooling("SELECT QualifiedApiName FROM EntityDefinition $_->[0]"), 400, 'EXTERNAL_OBJECT_UNSUPPORTED_EXCEPTION', $_->[0], $_->[1]) for @refused;
	check(@{ tooling('SELECT QualifiedApiName FROM EntityDefinition LIMIT 2')->{json}{records} } > 2, 'LIMIT is ignored');
	is_error(tooling('SELECT QualifiedApiName FROM EntityDefinition WHERE'), 400, 'MALFORMED_QUERY', 'what is no SOQL', 'unexpected token');
	no_rules();
}

sub test_objects
{
	rules('forbid Lead read user1@sandbox.example', 'forbid Case create user1@sandbox.example', 'forbid Case edit user1@sandbox.example', 'forbid Case delete user1@sandbox.example');
	my %mine = listed($user);
	my %all = listed($token);
	check(!$mine{Lead} && $all{Lead}, 'the list of objects leaves it out');
	check(!$mine{Case}{createable} && !$mine{Case}{updateable} && !$mine{Case}{deletable} && $mine{Case}{queryable} && $all{Case}{createable}, 'and says what may not be done');
	is_error(described('Lead', $user), 404, 'NOT_FOUND', 'no describe', 'The requested resource does not exist');
	is_error(soql('SELECT Id FROM Lead', token => $user), 400, 'INVALID_TYPE', 'no query', q(sObject type 'Lead' is not supported));
	check(soql('SELECT Id FROM Lead')->{status} == 200, 'others ask');
	my $case = described('Case', $user);
	check(!$case->{json}{updateable} && !field($case, 'Subject')->{updateable} && !field($case, 'Subject')->{createable} && field(described('Case'), 'Subject')->{updateable}, 'the fields of what may not be written');
	my $id = http('POST', "$D/sobjects/Case", body => { Subject => 's' })->{json}{id};
	check(http('POST', "$D/sobjects/Case", token => $user, body => { Subject => 's' })->{status} == 400 && http('PATCH', "$D/sobjects/Case/$id", token => $user, body => { Subject => 't' })->{status} == 400
		  && http('DELETE', "$D/sobjects/Case/$id", token => $user)->{status} == 400, 'and it is not');
	my $q = 'SELECT QualifiedApiName FROM EntityDefinition WHERE IsCustomizable = true AND IsQueryable = true';
	check(names(tooling($q, token => $user), 'QualifiedApiName') =~ /\bCase\b.*\bLead\b/, 'EntityDefinition knows of all');
	check(names(soql('SELECT SobjectType FROM ObjectPermissions WHERE PermissionsRead = true GROUP BY SobjectType', token => $user), 'SobjectType') =~ /\bLead\b/, 'so does what somebody may do');
	rules('forbid Lead read');
	check(names(soql('SELECT SobjectType FROM ObjectPermissions GROUP BY SobjectType'), 'SobjectType') !~ /\bLead\b/, 'but for what nobody may');
	check(names(tooling($q), 'QualifiedApiName') =~ /\bLead\b/, 'that is there all the same');
	rules('allow Lead read');
	check({ listed($token) }->{Lead}, 'allowed again');
	no_rules();
	check({ listed($user) }->{Lead} && { listed($user) }->{Case}{createable}, 'all is as it was');
}

sub test_permissions
{
	rules('hide Contact Title', 'hide Contact Phone user1@sandbox.example', 'readonly Contact Fax', 'readonly Contact Department user1@sandbox.example');
	my $q = "SELECT Field, PermissionsEdit FROM FieldPermissions WHERE SobjectType = 'Contact' AND PermissionsRead = true GROUP BY Field, PermissionsEdit";
	my $r = soql($q, token => $user);
	my %edit;
	$edit{ $_->{Field} } = ($edit{ $_->{Field} } // 0) || ($_->{PermissionsEdit} ? 1 : 0) for @{ $r->{json}{records} };
	check($r->{json}{records}[0]{attributes}{type} eq 'AggregateResult', 'groups', $r->{body});
	check(!defined $edit{'Contact.Title'} && $edit{'Contact.Phone'} && !$edit{'Contact.Fax'} && $edit{'Contact.Department'}, 'what somebody may do with a field', $r->{body});
	check($edit{'Contact.MailingAddress'} && !defined $edit{'Contact.MailingCity'} && !defined $edit{'Contact.Id'}, 'an address is one, and what all may see is not there');
	my $contact = described('Contact', $user);
	check(!field($contact, 'Department')->{updateable} && !field($contact, 'Department')->{createable} && field($contact, 'Email')->{updateable}, 'what may only be read');
	my $id = http('POST', "$D/sobjects/Contact", body => { LastName => 'x', Department => 'd' })->{json}{id};
	is_error(http('PATCH', "$D/sobjects/Contact/$id", token => $user, body => { Department => 'e' }), 400, 'INVALID_FIELD_FOR_INSERT_UPDATE', 'is not written');
	check(soql("SELECT Department FROM Contact WHERE Id = '$id'", token => $user)->{json}{records}[0]{Department} eq 'd', 'but read');
	is_error(soql("SELECT Field, PermissionsRead FROM FieldPermissions GROUP BY Field"), 400, 'MALFORMED_QUERY', 'a field that is no group', 'Field must be grouped or aggregated: PermissionsRead');
	check(soql("SELECT ParentId FROM FieldPermissions WHERE Field = 'Contact.Phone' AND PermissionsRead = true")->{json}{totalSize} == soql('SELECT COUNT() FROM User')->{json}{totalSize} - 1, 'one of each who may');
	is_error(tooling('SELECT Field FROM FieldPermissions'), 400, 'INVALID_TYPE', 'none of the Tooling API');
	no_rules();
}

sub test_setup
{
	rules('forbid setup user1@sandbox.example');
	for my $q ("SELECT QualifiedApiName FROM EntityParticle WHERE EntityDefinitionId = 'Account'", 'SELECT QualifiedApiName FROM EntityDefinition')
	{
		is_error(tooling($q, token => $user), 400, 'INVALID_TYPE', $q, ' is not supported.');
		check(tooling($q)->{status} == 200, 'others ask');
	}
	is_error(soql('SELECT Field FROM FieldPermissions', token => $user), 400, 'INVALID_TYPE', 'FieldPermissions', q(sObject type 'FieldPermissions' is not supported.));
	is_error(soql('SELECT SobjectType FROM ObjectPermissions', token => $user), 400, 'INVALID_TYPE', 'ObjectPermissions', q(sObject type 'ObjectPermissions' is not supported.));
	(my $old = $D) =~ s/v[0-9.]+$/v48.0/;
	check(http('GET', "$old/query?q=" . enc('SELECT SobjectType FROM ObjectPermissions'), token => $user)->{status} == 200, 'in older versions anybody asks');
	check(soql('SELECT Id FROM Account', token => $user)->{status} == 200, 'rows are no setup');
	for my $line ('forbid Account', 'forbid Account paint', 'forbid Nonesuch read', 'forbid setup nobody@example.com', 'readonly Account Nonesuch')
	{
		my $r = post_admin('schema', $line);
		check($r->{status} == 400, "refused: $line", $r->{body});
	}
	no_rules();
}

# What is forbidden is so in a program that opens the file again.
sub test_file
{
	stop('the sandbox');
	start('--seed', 'demo', '--data', "$tmp/access.db");
	login();
	rules('forbid setup', 'forbid Lead read', 'readonly Contact Fax');
	kill 'KILL', $pid;
	waitpid $pid, 0;
	start('--data', "$tmp/access.db");
	login();
	my %all = listed($token);
	check(tooling('SELECT QualifiedApiName FROM EntityDefinition')->{status} == 400 && !$all{Lead} && !field(described('Contact'), 'Fax')->{updateable}, 'the file has it');
}

start('--seed', 'demo');
login();
$user = oauth({ grant_type => 'client_credentials', client_id => 'sandbox-user', client_secret => 'sandbox' })->{json}{access_token};
run_tests(\&test_particles, \&test_objects, \&test_permissions, \&test_setup, \&test_file);
stop('the sandbox');
finish();
