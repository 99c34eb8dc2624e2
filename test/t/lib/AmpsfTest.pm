# A cluster and a sandbox for one test file, and the few verbs that the tests need.
#
#   my $c = AmpsfTest->start(seed => 'big:5000', args => '--api-limit 100', conf => ['x = y']);
#   my $r = $c->psql('SELECT 1');          # {rc, out, err}; many statements run on after an error
#   my $v = $c->value('SELECT count(*) FROM crm.account');
#
# Only Perl's core modules.  Nothing here measures time; the limits only keep a hanging test from hanging
# for ever.
package AmpsfTest;

use strict;
use warnings;
use Cwd qw(abs_path);
use Exporter 'import';
use File::Basename qw(dirname);
use File::Temp qw(tempdir);
use IO::Socket::INET;
use JSON::PP;
use POSIX qw(:sys_wait_h);
use Test::More;
use Time::HiRes qw(sleep);

our @EXPORT_OK = qw(root_dir);

my $root = abs_path(dirname(abs_path(__FILE__)) . '/../../..');
my @running;
my $pg_config = $ENV{PG_CONFIG} || 'pg_config';
chomp(my $bindir = `$pg_config --bindir`);
my $patience = $ENV{AMPSF_TEST_TIMEOUT} || 300;    # seconds that one psql may take

sub root_dir { return $root; }

sub start
{
	my ($class, %o) = @_;
	my $base = tempdir('ampsf-tap-XXXXXX', DIR => '/tmp', CLEANUP => 1);
	chmod 0755, $base;
	my $dir = "$base/c";
	my @cmd = ("$root/test/cluster.sh", 'start', $dir, '--seed', $o{seed} || 'empty');
	push @cmd, '--sandbox-args', $o{args} if defined $o{args};
	push @cmd, '--conf', $_ for @{ $o{conf} || [] };
	push @cmd, '--bare'     if $o{bare};
	push @cmd, '--valgrind' if $o{valgrind};

	my $self = bless { base => $base, dir => $dir, owner => $$ }, $class;
	push @running, $self;
	my ($rc, $out, $err) = _run($patience * 3, undef, @cmd);
	BAIL_OUT("the cluster did not start: $err") if $rc != 0;
	while ($out =~ /^export (\w+)='?([^'\n]*)'?$/mg)
	{
		$self->{env}{$1} = $2;
	}
	$self->{url} = $self->{env}{SANDBOX_URL};
	($self->{port}) = $self->{url} =~ /:(\d+)$/;
	return $self;
}

sub stop
{
	my ($self) = @_;
	return if $self->{stopped} || $self->{owner} != $$;
	$self->{stopped} = 1;
	_run(120, undef, "$root/test/cluster.sh", 'stop', $self->{dir});
	return;
}

END
{
	my $status = $?;
	for my $c (@running)
	{
		if ($c->{owner} == $$ && !Test::More->builder->is_passing)
		{
			for my $log ('postgres.log', 'sandbox.out')
			{
				open(my $f, '<', "$c->{dir}/$log") or next;
				my @lines = <$f>;
				splice(@lines, 0, @lines - 30) if @lines > 30;
				diag("--- $log\n", @lines);
			}
		}
		$c->stop;
		next if $c->{owner} != $$;
		my ($rc, $out) = _run(60, undef, "$root/test/check-log.sh", "$c->{dir}/postgres.log");
		if ($rc != 0)
		{
			diag("the server's log holds what none may hold:\n$out");
			$status ||= 1;
		}
	}
	$? = $status;
}

sub url { return $_[0]{url}; }
sub dir { return $_[0]{dir}; }

# Runs a command; (exit status, stdout, stderr).  Killed when the patience ends: status -1.
sub _run
{
	my ($limit, $stdin, @cmd) = @_;
	my $job = _spawn($stdin, @cmd);
	return _reap($job, $limit);
}

sub _spawn
{
	my ($stdin, @cmd) = @_;
	my $out = File::Temp->new;
	my $err = File::Temp->new;
	my $in;
	if (defined $stdin)
	{
		$in = File::Temp->new;
		print $in $stdin;
		$in->flush;
	}
	my $pid = fork;
	die "fork: $!" unless defined $pid;
	if ($pid == 0)
	{
		open(STDIN,  '<', $in ? $in->filename : '/dev/null') or POSIX::_exit(126);
		open(STDOUT, '>', $out->filename)                    or POSIX::_exit(126);
		open(STDERR, '>', $err->filename)                    or POSIX::_exit(126);
		exec { $cmd[0] } @cmd or POSIX::_exit(127);
	}
	return { pid => $pid, out => $out, err => $err, in => $in };
}

sub _reap
{
	my ($job, $limit) = @_;
	my $left   = $limit / 0.02;
	my $status = -1;
	while ($left-- > 0)
	{
		if (waitpid($job->{pid}, WNOHANG) == $job->{pid})
		{
			$status = $? & 127 ? 128 + ($? & 127) : $? >> 8;
			$job->{done} = 1;
			last;
		}
		sleep 0.02;
	}
	if (!$job->{done})
	{
		kill 'KILL', $job->{pid};
		waitpid($job->{pid}, 0);
	}
	return ($status, _slurp($job->{out}->filename), _slurp($job->{err}->filename));
}

sub _slurp
{
	my ($name) = @_;
	open(my $f, '<:encoding(UTF-8)', $name) or return '';
	local $/;
	my $text = <$f>;
	return defined $text ? $text : '';
}

sub _psql_command
{
	my ($self, %o) = @_;
	my $e = $self->{env};
	return (
		"$bindir/psql", '-X', '-A', '-t', '-q', '-v', 'VERBOSITY=verbose', '-v', 'SHOW_CONTEXT=always',
		'-h', $e->{PGHOST}, '-p', $e->{PGPORT}, '-U', $o{user} || 'postgres', '-d', $o{db} || $e->{PGDATABASE});
}

# One psql session; with VERBOSITY verbose, so errors read "ERROR:  SQLSTATE: text".
sub psql
{
	my ($self, $sql, %o) = @_;
	my ($rc, $out, $err) = _run($o{limit} || $patience, $sql, $self->_psql_command(%o));
	chomp $out;
	diag("psql was killed after its patience ended: $sql") if $rc == -1;
	return { rc => $rc, out => $out, err => $err, hung => $rc == -1 };
}

# The one value, or the test dies with the error.
sub value
{
	my ($self, $sql, %o) = @_;
	my $r = $self->psql($sql, %o);
	die "$sql\n$r->{err}" if $r->{err} =~ /ERROR|FATAL/;
	return $r->{out};
}

sub run_sql
{
	my ($self, $sql, %o) = @_;
	$self->value($sql, %o);
	return;
}

# A session in the background; finish() waits for it.
sub background
{
	my ($self, $sql, %o) = @_;
	return _spawn($sql, $self->_psql_command(%o));
}

sub finish
{
	my ($self, $job) = @_;
	my ($rc, $out, $err) = _reap($job, $patience);
	chomp $out;
	return { rc => $rc, out => $out, err => $err, hung => $rc == -1 };
}

# A backend that is killed takes all others with it; true when the server is back.  As long as the dead process is
# there the postmaster has not seen it die, and would let a session in only to end it.
sub crash
{
	my ($self, $pid) = @_;
	return 0 unless ($pid // '') =~ /^\d+$/ && kill('KILL', $pid) == 1;
	return $self->poll(sub { return !kill 0, $pid }) && $self->poll(sub { return $self->psql('SELECT 1')->{out} eq '1' });
}

# Waits until the condition is true; false when patience ended.
sub poll
{
	my ($self, $condition) = @_;
	for (1 .. $patience * 10)
	{
		return 1 if $condition->();
		sleep 0.1;
	}
	return 0;
}

# pg_ctl of the cluster's own PostgreSQL, as its owner; (exit status, output).  data: another cluster's folder.
sub pg_ctl
{
	my ($self, $what, %o) = @_;
	return $self->as_owner("$self->{dir}/pg$bindir/pg_ctl", '-D', $o{data} || "$self->{dir}/data",
		'-l', $o{log} || "$self->{dir}/postgres.log", '-w', '-t', int(0.9 * $patience), '-s', $what, @{ $o{args} || [] });
}

sub as_owner
{
	my ($self, @cmd) = @_;
	unshift @cmd, 'runuser', '-u', 'postgres', '--' if $> == 0;
	my ($rc, $out, $err) = _run($patience, undef, @cmd);
	return ($rc, $out . $err);
}

# A request to the sandbox itself; (status, body).
sub http
{
	my ($self, $method, $path, $body, $type, @headers) = @_;
	$body = '' unless defined $body;
	my $s = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $self->{port}, Timeout => 30)
	  or die "no sandbox on port $self->{port}: $!";
	printf $s "%s %s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nConnection: close\r\nContent-Type: %s\r\n%sContent-Length: %d\r\n\r\n%s",
	  $method, $path, $self->{port}, $type || 'text/plain', join('', map { "$_\r\n" } @headers), length $body, $body;
	local $/;
	my $answer = <$s>;
	my ($head, $text) = split /\r\n\r\n/, $answer, 2;
	my ($status) = $head =~ m{^HTTP/1\.1 (\d+)};
	if ($head =~ /^Transfer-Encoding: chunked/mi)
	{
		my $joined = '';
		while ($text =~ s/^([0-9a-fA-F]+)\r\n//)
		{
			my $n = hex $1 or last;
			$joined .= substr($text, 0, $n, '');
			$text =~ s/^\r\n//;
		}
		$text = $joined;
	}
	return ($status, $text);
}

# A token by client credentials, as another client of the org would get one.
sub token
{
	my ($self) = @_;
	my ($status, $body) = $self->http('POST', '/services/oauth2/token',
		'grant_type=client_credentials&client_id=sandbox&client_secret=sandbox', 'application/x-www-form-urlencoded');
	die "no token: $status $body" unless $status == 200;
	return decode_json($body)->{access_token};
}

# A call of another client of the org, which keeps its token until login_again(): (status, body).
sub rest
{
	my ($self, $method, $path, $body) = @_;
	$self->{rest_token} ||= $self->token;
	return $self->http($method, "/services/data/v62.0/$path", defined $body ? encode_json($body) : '', 'application/json',
		"Authorization: Bearer $self->{rest_token}");
}

sub login_again { my ($self) = @_; delete $self->{rest_token}; return; }

# The Id, or "ok" where the answer has none; undef: refused.
sub rest_ok
{
	my ($self, @call) = @_;
	my ($status, $text) = $self->rest(@call);
	return undef unless $status =~ /^2/;
	return ($text || '') =~ /"id":"(\w{18})"/ ? $1 : 'ok';
}

# Rows that only one of two tables has, or has more often: how many.
sub differences
{
	my ($self, $one, $other, $columns) = @_;
	$columns ||= '*';
	my ($a, $b) = map { "SELECT $columns FROM $_ AS x" } $one, $other;
	return $self->value("SELECT count(*) FROM (($a EXCEPT ALL $b) UNION ALL ($b EXCEPT ALL $a)) d");
}

sub admin
{
	my ($self, $method, $what, $body) = @_;
	my ($status, $text) = $self->http($method, "/__sandbox/$what", $body);
	die "sandbox $what: $status $text" unless $status == 200;
	return decode_json($text);
}

sub fault           { return $_[0]->admin('POST',   'faults', $_[1]); }
sub clear_faults    { return $_[0]->admin('DELETE', 'faults'); }
sub reset_org       { return $_[0]->admin('POST',   "reset?seed=$_[1]"); }
sub expire_sessions { return $_[0]->admin('POST',   'expire-sessions'); }
sub api_limit       { return $_[0]->admin('POST',   "api-limit?n=$_[1]"); }
sub stats           { return $_[0]->admin('GET',    'stats'); }

# A session that is in the middle of a run: as soon as it waits for what is held, the backend dies.
sub kill_at
{
	my ($self, $sql, $held) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	$self->fault("path=*/query*;$held;count=0;do=hold");
	my $job = $self->background($sql);
	my $caught = $self->poll(sub { return $self->struck > 0 });
	my $pid = $self->value("SELECT pid FROM pg_stat_activity WHERE query ILIKE 'CALL ampsf.sync%' AND pid <> pg_backend_pid()");
	ok($caught && $self->crash($pid), 'a run is under way, and dies');
	$self->finish($job);
	$self->clear_faults;
	return;
}

# How many requests the faults in force have struck.
sub struck
{
	my ($self) = @_;
	my $n = 0;
	$n += $_->{struck} for @{ $self->admin('GET', 'faults')->{faults} };
	return $n;
}

# Requests that the faults struck, and that are in the log: the org is done with them.
sub answered
{
	my ($self) = @_;
	return scalar grep { $_->{fault} } $self->log;
}

# From here on log() tells what was requested.
sub mark
{
	my ($self) = @_;
	$self->{mark} += length for $self->_log_lines;
	return;
}

# The requests since mark(), decoded.
sub log
{
	my ($self) = @_;
	return map { decode_json($_) } $self->_log_lines;
}

# A line that is being written is not there yet.
sub _log_lines
{
	my ($self) = @_;
	open(my $f, '<:raw', $self->{env}{SANDBOX_LOG}) or die "$self->{env}{SANDBOX_LOG}: $!";
	seek $f, $self->{mark} ||= 0, 0;
	return grep { /\n\z/ } <$f>;
}

sub logins
{
	my ($self) = @_;
	return scalar grep { $_->{path} eq '/services/oauth2/token' } $self->log;
}

sub server_log { return _slurp("$_[0]{dir}/postgres.log"); }

sub sqlstate
{
	my ($r) = @_;
	return $r->{err} =~ /(?:ERROR|FATAL):  (\w{5}):/ ? $1 : '';
}

1;
