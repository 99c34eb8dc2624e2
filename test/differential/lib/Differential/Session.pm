# One psql that runs scripts over one of the two schemas.
package Differential::Session;

use strict;
use warnings;
use IPC::Open2;

# schema: crm or near.  dir: a folder for the scripts and what psql complains about.
sub new
{
	my ($class, $schema, $dir) = @_;
	my $pg_config = $ENV{PG_CONFIG} || 'pg_config';
	chomp(my $bindir = `$pg_config --bindir`);
	my $self = bless { schema => $schema, script => "$dir/$schema.sql", complaints => "$dir/$schema.err", bindir => $bindir }, $class;
	unlink $self->{complaints};
	$self->connect;
	return $self;
}

# A new psql; a server that recovers from a crash is waited for.
sub connect
{
	my ($self) = @_;
	for (1 .. 60)
	{
		$self->spawn;
		print { $self->{to} } "\\echo there\n";
		my $line = readline $self->{from};
		last if defined $line && $line eq "there\n";
		$self->close;
		die 'no connection: ' . $self->complaint . "\n" if $_ == 60;
		sleep 1;
	}
	$self->run("SET search_path = $self->{schema}, common", "SET statement_timeout = '60s'", 'SET client_min_messages = error');
	return;
}

sub spawn
{
	my ($self) = @_;
	my $bindir = $self->{bindir};
	my $pid = open2(my $from, my $to, 'sh', '-c', 'exec "$@" 2>>"$0"', $self->{complaints},
		"$bindir/psql", '-X', '-q', '-A', '-t', '-F', "\x1f", '-R', "\x1e", '-P', 'null=<null>');
	binmode $_, ':raw' for $from, $to;
	$to->autoflush(1);
	@$self{qw(pid from to)} = ($pid, $from, $to);
	return;
}

# Runs the statements one after the other, errors or not.  For each: {state => SQLSTATE, rows => [...]}.
sub run
{
	my ($self, @statements) = @_;
	$self->start(@statements);
	return $self->results(scalar @statements);
}

# The two halves of run(), so that both sessions can work at the same time.
sub start
{
	my ($self, @statements) = @_;
	# A new file each time: psql may still have to see the end of the last one.
	unlink $self->{script};
	open(my $f, '>:raw', $self->{script}) or die "$self->{script}: $!";
	print $f "$_;\n\\echo '\x1d' :SQLSTATE\n" for @statements;
	close $f;
	$self->{seen} = -s $self->{complaints};
	print { $self->{to} } "\\i $self->{script}\n";
	return;
}

sub results
{
	my ($self, $count) = @_;
	my @results;
	my $text = '';
	while (@results < $count)
	{
		my $line = readline $self->{from};
		if (!defined $line)
		{
			# A crash is a result as well; psql_gone stands in the place of SQLSTATE.  reconnect() begins a new session.
			my $complaint = $self->complaint;
			push @results, map { { state => 'psql_gone', rows => [], complaint => $complaint } } @results + 1 .. $count;
			return @results;
		}
		if (my ($state) = $line =~ /^\x1d (\w{5})$/)
		{
			# No row prints nothing, a row of one empty value an empty line.
			my @rows = $text eq '' ? () : $text eq "\n" ? ('') : split(/\x1e/, $text, -1);
			$rows[-1] =~ s/\n\z// if @rows;
			push @results, { state => $state, rows => \@rows };
			$text = '';
			next;
		}
		$text .= $line;
	}
	return @results;
}

sub reconnect
{
	my ($self) = @_;
	$self->close;
	$self->connect;
	return;
}

# What psql said on stderr during the last run.
sub complaint
{
	my ($self) = @_;
	open(my $f, '<:raw', $self->{complaints}) or return '';
	seek $f, $self->{seen} || 0, 0;
	local $/;
	my $text = <$f>;
	return defined $text ? $text : '';
}

sub close
{
	my ($self) = @_;
	close $self->{to};
	waitpid $self->{pid}, 0;
	return;
}

1;
