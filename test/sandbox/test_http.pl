# test_http.pl - what the tests of the sandbox's HTTP side share: starting it, asking it, counting.
#
# Read by require; the names that it declares are the test's own.  Core perl and curl only.
use strict;
use warnings;
no warnings qw(exec);
use File::Temp qw(tempdir);
use IO::Socket::INET;
use JSON::PP;
use POSIX ();

our $binary = shift @ARGV or die "usage: $0 BINARY\n";
our $tmp = tempdir(CLEANUP => 1);
our $json = JSON::PP->new->utf8->canonical->allow_nonref;
our ($passed, $failed, $pid, $url, $token) = (0, 0);
my @wrapper = split ' ', $ENV{SANDBOX_WRAPPER} // '';

sub check
{
	my ($ok, $name, $detail) = @_;
	if ($ok) { $passed++ }
	else
	{
		$failed++;
		print "not ok: $name", defined $detail ? "\n    got: " . substr($detail, 0, 600) : '', "\n";
	}
	return $ok;
}

sub start
{
	my (@args) = @_;
	unlink "$tmp/port";
	$pid = fork;
	if (!$pid)
	{
		open STDOUT, '>>', "$tmp/out";
		open STDERR, '>&', \*STDOUT;
		exec @wrapper, $binary, '--port', 0, '--port-file', "$tmp/port", '--log', "$tmp/log", @args;
		POSIX::_exit(127);
	}
	for (1 .. 1200)
	{
		last if -s "$tmp/port";
		if (waitpid($pid, POSIX::WNOHANG()) != 0) { print `cat $tmp/out`; die "it did not start\n" }
		select undef, undef, undef, 0.05;
	}
	open my $in, '<', "$tmp/port" or die "no port file\n";
	chomp(my $port = <$in>);
	my $scheme = grep({ $_ eq '--tls-cert' } @args) ? 'https' : 'http';
	$url = "$scheme://127.0.0.1:$port";
}

sub stop
{
	my ($name) = @_;
	kill 'TERM', $pid;
	waitpid $pid, 0;
	check($? == 0, "$name ends cleanly on SIGTERM", "status $? " . `tail -5 $tmp/out`);
}
END { kill 'TERM', $pid if $pid }

# One request by curl: {status, headers (lower case), body, json, curl (exit code)}.
sub http
{
	my ($method, $path, %o) = @_;
	my @cmd = ('curl', '-sk', '-D', "$tmp/head", '-o', "$tmp/body", '-X', $method, '-m', 300);
	my %headers = (%{ $o{headers} || {} });
	my $token_used = exists $o{token} ? $o{token} : $token;
	$headers{Authorization} //= "Bearer $token_used" if defined $token_used;
	$headers{'Content-Type'} //= 'application/json' if defined $o{body};
	push @cmd, '-I' if $method eq 'HEAD';
	push @cmd, map { ('-H', $headers{$_} eq '' ? "$_:" : "$_: $headers{$_}") } keys %headers;
	if (defined $o{body})
	{
		open my $f, '>:raw', "$tmp/send" or die;
		print $f ref $o{body} ? $json->encode($o{body}) : $o{body};
		close $f;
		push @cmd, '--data-binary', "\@$tmp/send";
	}
	push @cmd, '--compressed' if $o{gzip};
	unlink "$tmp/head", "$tmp/body";
	my $rc = system(@cmd, $path =~ /^http/ ? $path : "$url$path") >> 8;
	my %r = (curl => $rc, status => 0, headers => {}, body => '');
	if (open my $h, '<', "$tmp/head")
	{
		for (<$h>)
		{
			$r{status} = $1 if m{^HTTP/\S+ (\d+)};
			$r{headers}{ lc $1 } = $2 if /^([^:]+): (.*?)\r?$/;
		}
	}
	if (open my $b, '<:raw', "$tmp/body") { local $/; $r{body} = <$b> // '' }
	$r{json} = eval { $json->decode($r{body}) };
	return \%r;
}

sub form
{
	my (%f) = @_;
	return join '&', map { my $v = $f{$_}; $v =~ s/([^A-Za-z0-9._~-])/sprintf '%%%02X', ord $1/ge; "$_=$v" }
	  sort keys %f;
}

sub oauth
{
	my ($fields, %o) = @_;
	return http(
		'POST', $o{path} // '/services/oauth2/token',
		token => undef,
		body => form(%$fields),
		headers => { 'Content-Type' => 'application/x-www-form-urlencoded', %{ $o{headers} || {} } });
}

sub enc { my ($s) = @_; $s =~ s/([^A-Za-z0-9._~-])/sprintf '%%%02X', ord $1/ge; return $s }

our $D = '/services/data/v62.0';
sub soql { my ($q, %o) = @_; return http('GET', "$D/query?q=" . enc($q), %o) }

sub is_error    # array form
{
	my ($r, $status, $code, $name, $message) = @_;
	my $e = ref $r->{json} eq 'ARRAY' ? $r->{json}[0] : {};
	check(
		$r->{status} == $status && ($e->{errorCode} // '') eq $code
		  && (!defined $message || index($e->{message}, $message) >= 0),
		"$name: $status $code", "$r->{status} $r->{body}");
}

sub is_oauth_error
{
	my ($r, $status, $error, $description, $name) = @_;
	my $e = ref $r->{json} eq 'HASH' ? $r->{json} : {};
	check(
		$r->{status} == $status && ($e->{error} // '') eq $error
		  && ($e->{error_description} // '') eq $description,
		"$name: $error ($description)", "$r->{status} $r->{body}");
}

sub post_admin { my ($path, $body) = @_; return http('POST', "/__sandbox/$path", token => undef, body => $body // '') }

sub login
{
	$token = oauth({ grant_type => 'client_credentials', client_id => 'sandbox', client_secret => 'sandbox' })
	  ->{json}{access_token};
}

# ---- bulk jobs ----

# The rows of a CSV with its header, by a second reading of the format than the sandbox's.
sub csv
{
	my ($text, $delimiter, $end) = (@_, ',', "\n");
	my (@rows, @row);
	for (my $at = 0; $at < length $text;)
	{
		my $value = '';
		if (substr($text, $at, 1) eq '"')
		{
			my $close = $at;
			# a quote after a quote is one of the text
			do { $close = index $text, '"', $close + 1; return [] if $close < 0 }
			  while (substr($text, $close + 1, 1) eq '"' && ++$close);
			($value = substr $text, $at + 1, $close - $at - 1) =~ s/""/"/g;
			$at = $close + 1;
		}
		else
		{
			pos($text) = $at;
			$text =~ /\G[^"\Q$delimiter\E\r\n]*/g;
			$value = $&;
			$at = pos $text;
		}
		push @row, $value;
		if (substr($text, $at, 1) eq $delimiter) { $at++; next }
		return [] if substr($text, $at, length $end) ne $end;
		$at += length $end;
		push @rows, [@row];
		@row = ();
	}
	return @row ? [] : \@rows;
}

# Asks until the job has ended, and returns what was said last.
sub ended
{
	my ($id, $kind) = (@_, 'query');
	my $r;
	for (1 .. 6000)
	{
		$r = http('GET', "$D/jobs/$kind/$id");
		last if ($r->{json}{state} // '') =~ /JobComplete|Failed|Aborted/;
		select undef, undef, undef, 0.02;
	}
	return $r;
}

# A job that has ended, by its Id.
sub setting { my (%o) = @_; return post_admin('bulk?' . form(%o)) }
sub fault { my ($spec) = @_; my $r = post_admin('faults', $spec); die "fault $spec: $r->{body}" if $r->{status} != 200 }

# Every test, then the end of the program.
sub finish
{
	$pid = 0;
	print "$passed passed, $failed failed\n";
	exit($failed ? 1 : 0);
}

sub run_tests
{
	for my $t (@_)
	{
		eval { $t->(); 1 } or check(0, 'a test went wrong', $@);
	}
}

1;
