# What other clients of an org do to it, at random: a process of its own, with its own dice.
#
#   my $w = AmpsfWriter->start(port => N, seed => N, objects => [...], every => 0.05);
#   spared => 'Lead'                         # of this object nothing is purged
#   my $did = $w->stop;                      # {create => 12, ...}
#
# Whatever the org refuses, or does not answer, is counted and forgotten: the others go on.
package AmpsfWriter;

use strict;
use warnings;
use File::Temp;
use IO::Socket::INET;
use JSON::PP;
use POSIX qw(:sys_wait_h);
use Time::HiRes qw(sleep time);

my $json = JSON::PP->new->utf8->canonical;
my $D = '/services/data/v62.0';

# Of each object: what a new row needs, what may be changed, what may be null, and lookups.
my %shape = (
	Account => {
		new => sub { (Name => 'Account ' . word()) },
		set => { Name => \&word, Phone => \&digits, AnnualRevenue => \&money, NumberOfEmployees => \&count, Industry => sub { one(qw(Banking Energy Media)) },
			BillingCity => \&word, BillingStreet => \&lines, Description => \&lines, Rating => sub { one(qw(Hot Warm Cold)) } },
		lookups => { ParentId => 'Account' }, mergeable => 1 },
	Contact => {
		new => sub { (LastName => word()) },
		set => { LastName => \&word, FirstName => \&word, Title => \&word, Email => sub { 'u' . digits() . '@example.com' }, MailingCity => \&word, Description => \&lines, Birthdate => \&day },
		lookups => { AccountId => 'Account' }, mergeable => 1 },
	Lead => {
		new => sub { (LastName => word(), Company => word()) },
		set => { Company => \&word, FirstName => \&word, Phone => \&digits, AnnualRevenue => \&money, Description => \&lines, City => \&word },
		lookups => {}, mergeable => 1 },
	Case => {
		new => sub { (Subject => word()) },
		set => { Subject => \&word, Description => \&lines, Priority => sub { one(qw(High Medium Low)) }, SuppliedName => \&word },
		lookups => { AccountId => 'Account', ContactId => 'Contact' }, mergeable => 1 },
	Opportunity => {
		new => sub { (Name => word(), StageName => 'Prospecting', CloseDate => day()) },
		set => { Name => \&word, Amount => \&money, CloseDate => \&day, StageName => sub { one('Prospecting', 'Qualification', 'Closed Lost') }, Description => \&lines },
		lookups => { AccountId => 'Account' } },
	Invoice__c => {
		new => sub { (Amount__c => money()) },
		set => { Amount__c => \&money, Tax__c => \&money, Due_Date__c => \&day, Short_Text__c => \&word, Notes__c => \&lines, Paid__c => sub { rand() < 0.5 ? JSON::PP::true : JSON::PP::false },
			Status__c => sub { one(qw(Draft Sent Paid)) }, Quantity__c => \&count },
		lookups => { Account__c => 'Account' } });
my %never_null = map { $_ => 1 } qw(Name LastName Company Subject StageName CloseDate Paid__c);

sub one { return $_[int rand @_] }
sub digits { return join '', map { int rand 10 } 1 .. 7 }
sub money { return int(rand 1e8) / 100 }
sub count { return int rand 5000 }
sub day { return sprintf '%04d-%02d-%02d', 2020 + int rand 10, 1 + int rand 12, 1 + int rand 28 }
sub word { return one(qw(Ada Bo Cleo)) . join("", map { one("a" .. "z", "\x{e9}", "\x{4e2d}", "'", ",", q("), "  ") } 1 .. 1 + int rand 9) . "z" }
sub lines { return join one("\n", ' ', ', '), map { word() } 1 .. 1 + int rand 6 }

sub start
{
	my ($class, %o) = @_;
	my $self = bless {%o, report => File::Temp->new(SUFFIX => '.json')}, $class;
	my $pid = fork;
	die "fork: $!" unless defined $pid;
	if ($pid == 0)
	{
		$SIG{$_} = 'DEFAULT' for qw(INT HUP);
		$self->_live;
		POSIX::_exit(0);
	}
	$self->{pid} = $pid;
	return $self;
}

# What was done, by kind; "refused" are those of the org's and of the wire.
sub stop
{
	my ($self) = @_;
	kill 'TERM', $self->{pid};
	waitpid $self->{pid}, 0;
	open my $f, '<', $self->{report}->filename or return {};
	local $/;
	my $text = <$f>;
	return $text ? $json->decode($text) : {};
}

sub _live
{
	my ($self) = @_;
	my $end = 0;
	local $SIG{TERM} = sub { $end = 1 };
	srand $self->{seed};
	$self->{did} = {};
	my $parent = getppid;
	until ($end || getppid != $parent)
	{
		my $verb = $self->_pick;
		my $object = one(@{ $self->{objects} });
		my $done = eval { $self->can("_$verb")->($self, $object) };
		$self->{did}{$done ? $verb : 'refused'} += $done || 1;
		sleep $self->{every} * rand 2;
	}
	open my $f, '>', $self->{report}->filename or return;
	print $f $json->encode($self->{did});
	close $f;
	return;
}

my @verbs = ([ change => 40 ], [ create => 16 ], [ several => 8 ], [ remove => 10 ], [ undelete => 5 ], [ merge => 5 ], [ move => 8 ], [ purge => 2 ], [ bulk => 3 ], [ silent => 3 ]);

sub _pick
{
	my ($self) = @_;
	my $all = 0;
	my %without = map { $_ => 1 } @{ $self->{without} || [] };
	my @can = grep { !$without{ $_->[0] } } @verbs;
	$all += $_->[1] for @can;
	my $dice = rand $all;
	for (@can)
	{
		return $_->[0] if ($dice -= $_->[1]) < 0;
	}
	return 'change';
}

# A request to the org; {status, json}.  Dies where nothing can be understood.
sub http
{
	my ($self, $method, $path, $body, %o) = @_;
	my $s = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $self->{port}, Timeout => 20) or die "no sandbox: $!";
	my $text = ref $body ? $json->encode($body) : defined $body ? $body : '';
	my $type = $o{type} || 'application/json';
	my $auth = $o{plain} ? '' : "Authorization: Bearer " . ($self->{token} || '') . "\r\n";
	local $SIG{PIPE} = 'IGNORE';
	$auth .= "Cookie: $o{cookie}\r\n" if $o{cookie};
	print $s "$method $path HTTP/1.0\r\nHost: x\r\n${auth}Content-Type: $type\r\nContent-Length: " . length($text) . "\r\n\r\n$text";
	my ($answer, $chunk) = ('');
	my $until = time + 30;
	while (time < $until)
	{
		my $in = '';
		vec($in, fileno $s, 1) = 1;
		next unless select $in, undef, undef, 0.5;
		my $n = sysread $s, $chunk, 65536;
		last unless $n;
		$answer .= $chunk;
	}
	my ($head, $rest) = split /\r\n\r\n/, $answer, 2;
	my ($status) = ($head || '') =~ m{^HTTP/\S+ (\d+)} or die 'no answer';
	if ($status == 401 && !$o{plain} && !$o{again})
	{
		$self->login;
		return $self->http($method, $path, $body, %o, again => 1);
	}
	return { status => $status, head => $head, text => $rest, json => scalar eval { $json->decode($rest) } };
}

sub login
{
	my ($self) = @_;
	my $r = $self->http('POST', '/services/oauth2/token', 'grant_type=client_credentials&client_id=sandbox&client_secret=sandbox',
		type => 'application/x-www-form-urlencoded', plain => 1);
	$self->{token} = $r->{json}{access_token};
	return;
}

sub rest { my ($self, $method, $path, $body) = @_; return $self->http($method, "$D/$path", $body) }
sub admin { my ($self, $method, $what, $body) = @_; return $self->http($method, "/__sandbox/$what", $body, plain => 1) }

# All records of a statement.
sub query
{
	my ($self, $soql) = @_;
	my @rows;
	$soql =~ s/([^A-Za-z0-9._~-])/sprintf '%%%02X', ord $1/ge;
	for (my $next = "$D/query?q=$soql"; $next;)
	{
		my $r = $self->http('GET', $next);
		die "query: $r->{status}" unless $r->{status} == 200 && $r->{json};
		push @rows, @{ $r->{json}{records} };
		$next = $r->{json}{nextRecordsUrl};
	}
	return \@rows;
}

# Some of the rows that were there a while ago.
sub _some
{
	my ($self, $object, $n) = @_;
	my $k = $self->{known}{$object} ||= { left => 0, ids => [] };
	if ($k->{left}-- <= 0 || @{ $k->{ids} } < 5)
	{
		$k->{ids} = [ map { $_->{Id} } @{ $self->query("SELECT Id FROM $object ORDER BY CreatedDate DESC LIMIT 1500") } ];
		$k->{left} = 40;
	}
	die 'no rows' unless @{ $k->{ids} };
	my %seen;
	return grep { !$seen{$_}++ } map { one(@{ $k->{ids} }) } 1 .. ($n || 1);
}

sub _values
{
	my ($self, $object, $n) = @_;
	my $set = $shape{$object}{set};
	my %v;
	for (1 .. ($n || 1 + int rand 3))
	{
		my $field = one(sort keys %$set);
		$v{$field} = !$never_null{$field} && rand() < 0.2 ? undef : $set->{$field}->();
	}
	return %v;
}

sub _new
{
	my ($self, $object) = @_;
	my %v = ($shape{$object}{new}->(), rand() < 0.5 ? $self->_values($object) : ());
	for my $f (sort keys %{ $shape{$object}{lookups} })
	{
		($v{$f}) = $self->_some($shape{$object}{lookups}{$f}) if rand() < 0.6;
	}
	delete $v{$_} for grep { !defined $v{$_} } keys %v;
	return \%v;
}

sub _good { return $_[0]{status} =~ /^2/ ? 1 : 0 }

sub _create { my ($self, $o) = @_; return _good($self->rest('POST', "sobjects/$o", $self->_new($o))) }
sub _change { my ($self, $o) = @_; my ($id) = $self->_some($o); return _good($self->rest('PATCH', "sobjects/$o/$id", { $self->_values($o) })) }
sub _remove { my ($self, $o) = @_; my ($id) = $self->_some($o); push @{ $self->{gone} }, $id; return _good($self->rest('DELETE', "sobjects/$o/$id")) }

sub _undelete
{
	my ($self) = @_;
	my $gone = $self->{gone} || [];
	return 0 unless @$gone;
	my ($id) = splice @$gone, int(rand @$gone), 1;
	return _good($self->admin('POST', "undelete?id=$id"));
}

# Rows of a collection are one transaction.
sub _several
{
	my ($self, $o) = @_;
	my $n = 2 + int rand 30;
	my $r;
	if (rand() < 0.5)
	{
		$r = $self->rest('POST', 'composite/sobjects', { allOrNone => JSON::PP::false, records => [map { { attributes => { type => $o }, %{ $self->_new($o) } } } 1 .. $n] });
	}
	elsif (rand() < 0.7)
	{
		my %v = $self->_values($o, 2);
		$r = $self->rest('PATCH', 'composite/sobjects', { allOrNone => JSON::PP::false, records => [map { { attributes => { type => $o }, Id => $_, %v } } $self->_some($o, $n)] });
	}
	else
	{
		my @ids = $self->_some($o, 1 + $n / 4);
		push @{ $self->{gone} }, @ids;
		$r = $self->rest('DELETE', 'composite/sobjects?ids=' . join(',', @ids));
	}
	return _good($r) && scalar grep { $_->{success} } @{ $r->{json} };
}

sub _merge
{
	my ($self, $o) = @_;
	$o = 'Account' unless $shape{$o}{mergeable};
	my ($master, @losers) = $self->_some($o, 2 + int rand 2);
	return 0 unless @losers;
	push @{ $self->{gone} }, @losers if rand() < 0.3;
	return _good($self->admin('POST', "merge?master=$master&losers=" . join(',', @losers), { $self->_values($o, 1) }));
}

# To another parent, or to none.
sub _move
{
	my ($self, $o) = @_;
	my @f = sort keys %{ $shape{$o}{lookups} } or return $self->_change($o);
	my $f = one(@f);
	my ($id) = $self->_some($o);
	my ($to) = rand() < 0.15 ? (undef) : $self->_some($shape{$o}{lookups}{$f});
	return 0 if defined $to && $to eq $id;
	return _good($self->rest('PATCH', "sobjects/$o/$id", { $f => $to }));
}

sub _purge
{
	my ($self, $o) = @_;
	return 0 if ($self->{spared} || '') eq $o;
	return _good($self->admin('POST', "purge?object=$o")) if rand() < 0.2;
	my ($id) = $self->_some($o);
	return _good($self->admin('POST', "purge?id=$id"));
}

# A formula that depends on what no row tells.
sub _silent
{
	my ($self) = @_;
	my ($id) = $self->_some('Account');
	return _good($self->admin('POST', "set?id=$id&Score__c=" . int rand 100));
}

sub _csv { return join ',', map { my $v = defined $_ ? "$_" : '#N/A'; $v =~ s/"/""/g; qq("$v") } @_ }

sub _bulk
{
	my ($self, $o) = @_;
	my $operation = one(qw(insert update update delete), ($self->{spared} || '') eq $o ? () : 'hardDelete');
	my (@lines, @ids);
	if ($operation eq 'insert')
	{
		my %v = $shape{$o}{new}->();
		my @f = sort keys %v;
		@lines = (join(',', @f), map { my %n = $shape{$o}{new}->(); _csv(map { $n{$_} } @f) } 1 .. 20 + int rand 250);
	}
	elsif ($operation eq 'update')
	{
		my %v = $self->_values($o, 2);
		my @f = sort grep { !ref $v{$_} } keys %v or return 0;
		@lines = (join(',', 'Id', @f), map { _csv($_, map { $v{$_} } @f) } $self->_some($o, 100));
	}
	else
	{
		@lines = ('Id', $self->_some($o, 15));
	}
	my $r = $self->rest('POST', 'jobs/ingest', { object => $o, operation => $operation, contentType => 'CSV', lineEnding => 'LF' });
	my $id = ref $r->{json} eq 'HASH' ? $r->{json}{id} : undef;
	return 0 unless $id;
	my $text = join("\n", @lines) . "\n";
	utf8::encode($text);
	return 0 unless _good($self->http('PUT', "$D/jobs/ingest/$id/batches", $text, type => 'text/csv'));
	return 0 unless _good($self->rest('PATCH', "jobs/ingest/$id", { state => 'UploadComplete' }));
	for (1 .. 100)
	{
		$r = $self->rest('GET', "jobs/ingest/$id");
		last if ($r->{json}{state} || 'Failed') =~ /JobComplete|Failed|Aborted/;
		sleep 0.1;
	}
	return ($r->{json}{numberRecordsProcessed} || 0) - ($r->{json}{numberRecordsFailed} || 0);
}

1;
