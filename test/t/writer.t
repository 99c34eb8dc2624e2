# Random writers: thousands of INSERT, UPDATE and DELETE in transactions with savepoints, rollbacks, rows that are
# refused and faults of the network, several sessions at once; then the org is compared with a model that
# knows only the statements and their SQLSTATEs.  No row is lost, doubled, or said to be what it is not.
#
# AMPSF_WRITER_SEED, AMPSF_WRITER_ROUNDS: another run, a longer one.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use AmpsfTest;
use JSON::PP;
use Test::More;

my $seed   = $ENV{AMPSF_WRITER_SEED}   || 20261126;
my $rounds = $ENV{AMPSF_WRITER_ROUNDS} || 36;
srand $seed;
diag("seed $seed") if $ENV{AMPSF_WRITER_SEED};

my $c = AmpsfTest->start(seed => 'empty');
$c->run_sql(<<'SQL');
ALTER SERVER sf OPTIONS (ADD max_retries '1');
CREATE FOREIGN TABLE at_statement (id text OPTIONS (field 'Id'), lastname text, title text, department text) SERVER sf OPTIONS (object 'Contact');
CREATE FOREIGN TABLE at_commit (id text OPTIONS (field 'Id'), lastname text, title text, department text)
	SERVER sf OPTIONS (object 'Contact', write_at 'commit');
SQL

my @faults = ('do=reset-before', 'do=reset-after', 'do=reset-middle', 'do=truncate-json', 'do=status;status=503', 'do=status;status=502',
	'do=status;status=500', 'do=reset-after', 'do=reset-after', 'do=reset-middle', 'do=html', 'do=lock-row', 'do=expire-token', 'do=content-type', 'do=slow;bytes-per-second=100000');
my ($statements, $rolled_back, $refused, $unknown) = (0) x 4;
my @doubtful;    # rows in doubt, at least and at most
my $next = 0;

# -------- what a session does --------

# Statements: [kind, SQL, keys, title, bad]; bad: the key whose row Salesforce refuses, or '*'.
sub some_keys
{
	my ($w) = @_;
	my @keys = sort keys %{ $w->{states}[0] };
	push @keys, @{ $w->{fresh} };
	return map { $keys[rand @keys] } 1 .. 1 + int rand 4 if @keys;
	return ('nobody');
}

sub make_insert
{
	my ($w, $table) = @_;
	my $rows  = rand() < 0.07 ? 205 : 1 + int rand 5;
	my @keys  = map { 'k' . ++$next } 1 .. $rows;
	my $bad   = rand() < 0.08 ? $keys[rand @keys] : '';
	my $title = 't' . int rand 9;
	push @{ $w->{fresh} }, @keys[0 .. ($#keys > 3 ? 3 : $#keys)];
	my $values = join ', ', map { "('$_', " . ($_ eq $bad ? "repeat('x', 130)" : "'$title'") . ", '$w->{name}')" } @keys;
	return ['insert', "INSERT INTO $table (lastname, title, department) VALUES $values", \@keys, $title, $bad];
}

sub make_change
{
	my ($w, $table) = @_;
	my %seen;
	my @keys = grep { !$seen{$_}++ } some_keys($w);
	my $list = join ', ', map { "'$_'" } @keys;
	my $where = "WHERE department = '$w->{name}' AND lastname IN ($list)";
	return ['delete', "DELETE FROM $table $where", \@keys, undef, ''] if rand() < 0.4;
	my $bad   = rand() < 0.04 ? '*' : '';
	my $title = 'u' . int rand 9;
	return ['update', "UPDATE $table SET title = " . ($bad ? "repeat('y', 130)" : "'$title'") . " $where", \@keys, $title, $bad];
}

sub make_write
{
	my ($w, $table) = @_;
	return rand() < 0.45 ? make_insert($w, $table) : make_change($w, $table);
}

# A transaction, or statements of their own.
sub make_script
{
	my ($w, $table) = @_;
	my @script;
	$w->{fresh} = [];
	if (rand() < 0.2)
	{
		push @script, make_write($w, $table) for 1 .. 1 + int rand 4;
		return \@script;
	}
	my @savepoints;
	push @script, ['begin', 'BEGIN'];
	for (1 .. 6 + int rand 20)
	{
		my $dice = rand;
		if ($dice < 0.6) { push @script, make_write($w, $table); }
		elsif ($dice < 0.75)
		{
			push @savepoints, 's' . @savepoints;
			push @script, ['savepoint', "SAVEPOINT $savepoints[-1]", $savepoints[-1]];
		}
		elsif ($dice < 0.83 && @savepoints)
		{
			my $i = int rand @savepoints;
			push @script, ['to', "ROLLBACK TO $savepoints[$i]", $savepoints[$i]];
			$#savepoints = $i;
		}
		elsif ($dice < 0.88 && @savepoints)
		{
			my $i = int rand @savepoints;
			push @script, ['release', "RELEASE $savepoints[$i]", $savepoints[$i]];
			$#savepoints = $i - 1;
		}
		elsif ($dice < 0.93)
		{
			my $inner = make_insert($w, $table);
			$inner->[1] = "DO \$\$ BEGIN BEGIN $inner->[1]; RAISE division_by_zero; EXCEPTION WHEN OTHERS THEN NULL; END; END \$\$";
			$inner->[0] = 'block';
			push @script, $inner;
		}
		else { push @script, ['query', "SELECT count(*) >= 0 FROM $table WHERE department = '$w->{name}'"]; }
	}
	push @script, rand() < 0.75 ? ['commit', 'COMMIT'] : ['rollback', 'ROLLBACK'];
	return \@script;
}

sub as_psql
{
	my ($script) = @_;
	return join '', map { "$_->[1];\n\\echo \@:SQLSTATE :ROW_COUNT\n" } @$script;
}

# -------- the model --------

# A state is {key => title}; states are all that the org may be in.
sub applied
{
	my ($state, $op) = @_;
	my ($kind, undef, $keys, $title, $bad) = @$op;
	my %new = %$state;
	for my $k (@$keys)
	{
		if ($kind eq 'insert' || $kind eq 'block') { $new{$k} = $title if $k ne $bad; }
		elsif ($bad eq '*' || !exists $new{$k}) { next; }
		elsif ($kind eq 'update') { $new{$k} = $title; }
		else                      { delete $new{$k}; }
	}
	return \%new;
}

# The states after each of the calls that write it; a refused row is the last call's.
sub stages
{
	my ($state, $op) = @_;
	my ($kind, $sql, $keys, $title, $bad) = @$op;
	return applied($state, $op) if $kind eq 'update' || $kind eq 'delete' || @$keys <= 200;
	my @stages;
	for (my $from = 0; $from < @$keys; $from += 200)
	{
		my $to = $from + 199 > $#$keys ? $#$keys : $from + 199;
		push @stages, applied(@stages ? $stages[-1] : $state, [$kind, $sql, [@{$keys}[$from .. $to]], $title, $bad]);
		last if grep { $_ eq $bad } @{$keys}[$from .. $to];
	}
	return @stages;
}

sub text_of
{
	my ($state) = @_;
	return join ' ', map { "$_=$state->{$_}" } sort keys %$state;
}

sub distinct
{
	my %seen;
	return grep { !$seen{ text_of($_) }++ } @_;
}

sub hits
{
	my ($state, $op) = @_;
	return scalar @{ $op->[2] } if $op->[0] eq 'insert' || $op->[0] eq 'block';
	return scalar grep { exists $state->{$_} } @{ $op->[2] };
}

# Is the statement one that Salesforce refuses, in that state?
sub is_bad
{
	my ($state, $op) = @_;
	return $op->[4] ne '' && hits($state, $op) > 0;
}

# Written as the statements run: states after each of them.
sub play_statements
{
	my ($w, $script, $results, $faulty) = @_;
	my @states = @{ $w->{states} };
	for my $i (0 .. $#$script)
	{
		my ($op, $result) = ($script->[$i], $results->[$i]);
		my ($kind) = @$op;
		my ($code, $count) = @$result;
		next if $kind !~ /^(insert|update|delete|block)$/ || $code eq '25P02';
		$statements++;
		if ($kind eq 'block')
		{
			# The error is swallowed.
			@states = distinct($faulty ? (@states, map { stages($_, $op) } @states) : map { (stages($_, $op))[-1] } @states);
			$doubtful[1] += @{ $op->[2] } if $faulty;
		}
		elsif ($code eq '00000')
		{
			my @fit = grep { hits($_, $op) == $count && !is_bad($_, $op) } @states;
			return "statement $i says $count rows, " . join(' or ', map { hits($_, $op) } @states) . " are right" if !@fit;
			@states = map { applied($_, $op) } @fit;
		}
		elsif ($code eq '22001')
		{
			$refused++;
			my @fit = grep { is_bad($_, $op) } @states;
			return "statement $i was refused, wrongly" if !@fit;
			@states = map { (stages($_, $op))[-1] } @fit;
		}
		elsif (!$faulty) { return "statement $i failed with $code"; }
		elsif ($code eq '08007')
		{
			$unknown++;
			my @hits = sort { $a <=> $b } map { hits($_, $op) } @states;
			$doubtful[0] += $hits[0] > 200 ? 1 : $hits[0];
			$doubtful[1] += $hits[-1];
			@states = distinct(@states, map { stages($_, $op) } @states);
		}
		# Of several calls the first have been made.
		elsif (@{ $op->[2] } > 200) { @states = distinct(@states, map { stages($_, $op) } @states); }
	}
	return ('', @states);
}

# The changes of a transaction, for the state that its statements see: [what the state becomes, why not].
sub committed
{
	my ($state, $queue) = @_;
	my %new = %$state;
	my %gone;
	for my $op (@$queue)
	{
		my ($kind, undef, $keys, $title, $bad) = @$op;
		for my $k (@$keys)
		{
			if ($kind eq 'insert')
			{
				return (undef, '22001') if $k eq $bad;
				$new{$k} = $title;
				next;
			}
			next if !exists $state->{$k};    # it saw none
			if ($kind eq 'delete') { delete $new{$k}; $gone{$k} = 1; next; }
			return (undef, '40001') if $gone{$k};
			return (undef, '22001') if $bad eq '*';
			$new{$k} = $title;
		}
	}
	return (\%new, '');
}

# Written at commit.  The statements see what was there before, whatever was queued.
sub play_commit
{
	my ($w, $script, $results, $faulty) = @_;
	my @states = @{ $w->{states} };
	my (@queue, @marks, $open, $broken);
	my $send = sub {
		my ($code, $i) = @_;
		my (@after, %why);
		for my $s (@states)
		{
			my ($new, $why) = committed($s, \@queue);
			# A row that is gone while the others are sent is a matter of their order.
			if ($code eq '00000') { push @after, $new if $new; }
			elsif ($code eq '08007' && $faulty) { push @after, $s, $new ? $new : (); }
			elsif ($code eq $why) { push @after, $s; }
			elsif ($faulty) { push @after, $s; }
			$why{$why}++;
		}
		$refused++ if $code =~ /^(22001|40001)$/;
		if ($code eq '08007')
		{
			$unknown++;
			my @hits;
			for my $s (@states)
			{
				my $n = 0;
				$n += hits($s, $_) for @queue;
				push @hits, $n;
			}
			@hits = sort { $a <=> $b } @hits;
			$doubtful[0] += $hits[0];
			$doubtful[1] += $hits[-1];
		}
		@queue = ();
		return "commit $i ended in $code, not in " . join(' or ', map { $_ || '00000' } sort keys %why) if !@after;
		@states = distinct(@after);
		return '';
	};
	for my $i (0 .. $#$script)
	{
		my ($op, $result) = ($script->[$i], $results->[$i]);
		my ($kind) = @$op;
		my ($code, $count) = @$result;
		my $why = '';
		if ($kind eq 'begin') { $open = 1; $broken = 0; @marks = (); }
		elsif ($kind eq 'savepoint') { push @marks, [$op->[2], scalar @queue] if $code eq '00000'; }
		elsif ($kind eq 'to' || $kind eq 'release')
		{
			next if $code ne '00000';
			pop @marks while @marks && $marks[-1][0] ne $op->[2];
			$#queue = $marks[-1][1] - 1 if $kind eq 'to';
			$broken = 0;
			pop @marks if $kind eq 'release';
		}
		elsif ($kind eq 'rollback' || ($kind eq 'commit' && $broken)) { @queue = (); $open = 0; $rolled_back++; }
		elsif ($kind eq 'commit') { $open = 0; $why = @queue ? $send->($code, $i) : $code eq '00000' ? '' : "an empty commit failed with $code"; }
		elsif ($kind eq 'query') { next; }
		elsif ($kind eq 'block') { $statements++; return "block $i failed with $code" if $code ne '00000' && $code ne '25P02'; }
		elsif ($code ne '25P02')
		{
			$statements++;
			if ($open)
			{
				if ($code ne '00000')
				{
					my $changes = hits($states[0], $op);
					$changes += hits($states[0], $_) for @queue;
					return "statement $i failed with $code" if $code ne '54000' || $changes <= 500;
					$broken = 1;
					next;
				}
				return "statement $i says $count rows" if !grep { hits($_, $op) == $count } @states;
				push @queue, $op;
			}
			else
			{
				@queue = ($op);
				$why = $send->($code, $i);
			}
		}
		return $why if $why;
	}
	return ('', @states);
}

# -------- the org --------

sub org_state
{
	my ($w) = @_;
	my %state;
	my @twice;
	for my $line (split /\n/, $c->value("SELECT lastname || '=' || title FROM at_statement WHERE department = '$w->{name}'"))
	{
		my ($k, $t) = split /=/, $line;
		push @twice, $k if exists $state{$k};
		$state{$k} = $t;
	}
	return (\%state, @twice);
}

my $bad = 0;
for my $mode ('at_statement', 'at_commit')
{
	my @writers = map { { name => "$mode-$_", states => [ {} ] } } 1 .. 4;
	@doubtful = (0, 0);
	$c->run_sql('DELETE FROM ampsf.write_error');
	for my $round (1 .. $rounds)
	{
		my $fault = rand() < 0.65 ? $faults[rand @faults] : '';
		my $path  = $mode eq 'at_commit' ? '*/composite/graph' : '*/composite/sobjects*';
		my $times = rand() < 0.3 && $fault !~ /lock/ ? 0 : 1;
		$c->fault('path=' . $path . ';skip=' . int(rand 3) . ";count=$times;$fault") if $fault;
		for my $w (@writers)
		{
			$w->{script} = make_script($w, $mode);
			$w->{job}    = $c->background(as_psql($w->{script}));
		}
		for my $w (@writers)
		{
			my $r = $c->finish($w->{job});
			$w->{err}     = $r->{err};
			$w->{results} = [ map { [split] } $r->{out} =~ /^@(.*)$/mg ];
		}
		$c->clear_faults;
		for my $w (@writers)
		{
			my ($why, @states) =
			  @{ $w->{results} } != @{ $w->{script} } ? 'psql has not run all of it'
			  : $mode eq 'at_commit' ? play_commit($w, $w->{script}, $w->{results}, $fault)
			  :                        play_statements($w, $w->{script}, $w->{results}, $fault);
			my ($state, @twice) = org_state($w);
			my $is = text_of($state);
			$why ||= "rows are there twice: @twice" if @twice;
			if (!$why && !grep { text_of($_) eq $is } @states)
			{
				my %want = %{ $states[0] };
				my @differ = grep { ($want{$_} // '') ne ($state->{$_} // '') } sort keys %{ { %want, %$state } };
				$why = scalar(@states) . ' states are possible, the org is in another: '
				  . join(' ', map { "$_: " . ($want{$_} // 'absent') . ' is ' . ($state->{$_} // 'absent') } @differ);
			}
			$w->{states} = [$state];
			next if !$why;
			$bad++;
			fail("$w->{name}, round $round");
			diag("seed $seed, fault '$fault' ($times): $why");
			diag(join "\n", map { substr($w->{script}[$_][1], 0, 150) . "   -> @{ $w->{results}[$_] || ['?'] }" } 0 .. $#{ $w->{script} });
			diag(substr $w->{err}, 0, 3000);
			BAIL_OUT('enough') if $bad > 5;
		}
	}
	ok(!$bad, "$mode: the org is what the model says after each of $rounds rounds of four sessions");
	my $rows = 0;
	$rows += keys %{ $_->{states}[0] } for @writers;
	my $count = $c->value("SELECT totalsize FROM ampsf.query('sf', 'SELECT COUNT() FROM Contact WHERE Department LIKE ''$mode-%''') AS q(j), LATERAL (SELECT j->>'totalSize' AS totalsize) t");
	is($count, $rows, "... and the org counts as many rows itself");
	my $kept = $c->value("SELECT count(*) FROM ampsf.write_error WHERE outcome = 'in doubt'");
	ok($kept >= $doubtful[0] && $kept <= $doubtful[1], "... and ampsf.write_error has the rows that were in doubt")
	  or diag("$kept rows, $doubtful[0] to $doubtful[1] are right");
}
note("$statements statements, $rolled_back rollbacks, $refused refused, $unknown unknown");
ok($statements > $rounds * 40, 'there were plenty of statements');
ok($unknown > 0 && $refused > 0, '... some of them refused, and some with an outcome that nobody knows');

done_testing();
