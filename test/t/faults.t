# Every fault that the sandbox knows, against a read of several pages and against each kind of write:
# a read gives all rows or an error, never a part; a write is done once, or not at all, or its error says
# that the outcome is unknown.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use AmpsfTest;
use Test::More;

my $rows = 5000;    # three pages
my $c = AmpsfTest->start(seed => "big:$rows");
my $read = 'SELECT count(*), count(lower(lastname)), count(DISTINCT id) FROM crm.contact';
my $all  = "$rows|$rows|$rows";

# A failing call is repeated a few times; once is enough where it fails for ever.
$c->run_sql("ALTER SERVER sf OPTIONS (ADD max_retries '2')");

is($c->value($read), $all, 'without faults all rows are read');

my %page = (first => '*/query', next => '*/query/*');
# name => [what the sandbox does, what a fault that strikes once must end in: all, error or either]
my @read_faults = (
	['503',            'do=status;status=503',                                       'all'],
	['502',            'do=status;status=502',                                       'all'],
	['503 with Retry-After', 'do=status;status=503;retry-after=1',                   'all'],
	['500',            'do=status;status=500',                                       'either'],
	['404',            'do=status;status=404;code=NOT_FOUND;message=gone',            'error'],
	['reset before the answer',  'do=reset-before',                                  'all'],
	['reset after the work',     'do=reset-after',                                   'all'],
	['reset inside the body',    'do=reset-middle',                                  'either'],
	['truncated JSON', 'do=truncate-json',                                           'either'],
	['slow bytes',     'do=slow;bytes-per-second=2000000',                           'all'],
	['delay',          'do=delay;ms=700',                                            'all'],
	['wrong content type', 'do=content-type',                                        'either'],
	['HTML page',      'do=html',                                                    'either'],
	['expired token',  'do=expire-token',                                            'all'],
	['dead locator',   'do=dead-locator',                                            'either'],
	['locked row',     'do=lock-row',                                                'either'],
);

for my $f (@read_faults)
{
	my ($name, $do, $want) = @$f;
	for my $which ('first', 'next')
	{
		for my $often ('once', 'for ever')
		{
			my $count = $often eq 'once' ? 1 : 0;
			$c->clear_faults;
			$c->fault("path=$page{$which};count=$count;$do");
			my $r = $c->psql($read);
			my $struck = $c->struck;
			$c->clear_faults;
			my $end = $r->{hung} ? 'hung' : $r->{err} =~ /ERROR/ ? 'error' : $r->{out} eq $all ? 'all' : "'$r->{out}'";
			my $good =
			    $often eq 'once' && $want ne 'either' ? $end eq $want
			  :                                         $end =~ /^(all|error)$/;
			ok($good && $r->{out} =~ /^(\Q$all\E)?$/ && $struck > 0,
				"read: $name on the $which page, $often: $end")
			  or diag("expected $want, struck $struck\n$r->{err}");
		}
	}
}

# A fault that lasts ends in an error, not in silence.
for my $do ('do=status;status=503', 'do=reset-before', 'do=reset-middle', 'do=truncate-json', 'do=html')
{
	$c->fault("path=$page{next};count=0;$do");
	my $r = $c->psql($read);
	$c->clear_faults;
	like($r->{err}, qr/ERROR:  (08|58|HV|XX|53|57)\w{3}: /, "read: $do for ever is an error with a class of its own")
	  or diag($r->{out});
	unlike($r->{err}, qr/ERROR:  XX000/, "read: $do is not an internal error");
}

# An answer that never comes ends with the server's request_timeout.
$c->run_sql("ALTER SERVER sf OPTIONS (ADD request_timeout '1', SET max_retries '0')");
$c->fault("path=$page{next};count=0;do=delay;ms=3600000");
{
	my $r = $c->psql($read);
	ok(!$r->{hung} && $r->{err} =~ /ERROR:  (08|HV00N)/, 'read: an answer that does not come is an error of the connection')
	  or diag($r->{err});
}
$c->clear_faults;
$c->run_sql("ALTER SERVER sf OPTIONS (DROP request_timeout, SET max_retries '2')");

# Writes.  A statement of three rows is one call; the state afterwards is looked up by a new session.
my $collections = '*/composite/sobjects*';
my @write_faults = (
	['503',                      'do=status;status=503'],
	['500',                      'do=status;status=500'],
	['reset before the answer',  'do=reset-before'],
	['reset after the work',     'do=reset-after'],
	['reset inside the body',    'do=reset-middle'],
	['truncated JSON',           'do=truncate-json'],
	['slow bytes',               'do=slow;bytes-per-second=2000'],
	['delay',                    'do=delay;ms=700'],
	['wrong content type',       'do=content-type'],
	['HTML page',                'do=html'],
	['expired token',            'do=expire-token'],
	['locked row',               'do=lock-row'],
);
my $n = 0;

for my $f (@write_faults)
{
	my ($name, $do) = @$f;
	for my $verb ('INSERT', 'UPDATE', 'DELETE')
	{
		my $tag = 'Fault' . ++$n;
		$c->run_sql("INSERT INTO crm.contact (lastname, title) SELECT '$tag', 'old' FROM generate_series(1, 3)")
		  if $verb ne 'INSERT';
		my $sql =
		    $verb eq 'INSERT' ? "INSERT INTO crm.contact (lastname, title) SELECT '$tag', 'new' FROM generate_series(1, 3)"
		  : $verb eq 'UPDATE' ? "UPDATE crm.contact SET title = 'new' WHERE lastname = '$tag'"
		  :                     "DELETE FROM crm.contact WHERE lastname = '$tag'";
		$c->fault("path=$collections;count=1;$do");
		my $r = $c->psql($sql);
		my $struck = $c->struck;
		$c->clear_faults;
		my ($old, $new) = split /\|/, $c->value(
			"SELECT count(*) FILTER (WHERE title = 'old'), count(*) FILTER (WHERE title = 'new') FROM crm.contact WHERE lastname = '$tag'");
		my $before = $verb eq 'INSERT' ? $old + $new == 0 : $old == 3 && $new == 0;
		my $after  = $verb eq 'DELETE' ? $old + $new == 0 : $old == 0 && $new == 3;
		my $failed  = $r->{err} =~ /ERROR/;
		my $unknown = AmpsfTest::sqlstate($r) eq '08007' && $r->{err} =~ /unknown/i;
		my $good    = !$failed ? $after : $before || ($after && $unknown);
		my $end     = !$failed ? 'done' : $unknown ? 'outcome unknown' : 'error';
		ok($good && $struck > 0 && !$r->{hung}, "$verb: $name: $end, state " . ($after ? 'after' : $before ? 'before' : 'BROKEN'))
		  or diag("old $old, new $new, struck $struck\n$r->{err}");

		if ($do eq 'do=reset-after' && $verb eq 'INSERT')
		{
			ok($unknown && $new == 3, 'INSERT: the answer lost after the work: unknown, and the rows are there once');
			like($r->{err}, qr/\b3\b/, 'INSERT: the error says how many rows are in doubt');
		}
		if ($do eq 'do=expire-token')
		{
			ok(!$failed && $after, "$verb: an expired token is renewed and the call repeated, as the org had refused it");
		}
		if ($do eq 'do=lock-row')
		{
			ok(!$failed && $after, "$verb: a locked row is tried again");
		}
	}
}

# A row that stays locked is an error that names it, and the other rows of the batch are accounted for.
$c->run_sql("INSERT INTO crm.contact (lastname, title) SELECT 'Locked', 'old' FROM generate_series(1, 3)");
$c->fault("path=$collections;count=0;do=lock-row");
{
	my $r = $c->psql("UPDATE crm.contact SET title = 'new' WHERE lastname = 'Locked'");
	like($r->{err}, qr/UNABLE_TO_LOCK_ROW/, 'UPDATE: a row that stays locked is an error that says so');
}
$c->clear_faults;

done_testing();
