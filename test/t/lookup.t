# Key lookups while others write: a local table that is updated from Salesforce waits for another session's rows, and
# PostgreSQL then checks the join again with the rows as they are now.  And an org that fails between two batches
# is an error, not the end of the data.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use AmpsfTest;
use Test::More;

my $c = AmpsfTest->start(seed => 'demo');
$c->run_sql(<<'SQL');
	CREATE TABLE t (n int PRIMARY KEY, email text, lastname text, tag int);
	INSERT INTO t SELECT row_number() OVER (ORDER BY id), email, NULL, 0 FROM crm.contact WHERE email IS NOT NULL ORDER BY id LIMIT 6;
	ANALYZE t;
SQL

# Changes rows of t, and commits when another session waits for them.
sub change
{
	my ($changes) = @_;
	return $c->background(<<"SQL");
		BEGIN;
		$changes
		SELECT pg_advisory_lock(1);
		DO \$\$ BEGIN
			LOOP
				PERFORM pg_stat_clear_snapshot();
				EXIT WHEN EXISTS (SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query ~ '^ *(UPDATE t|SELECT t.n)');
				PERFORM pg_sleep(0.02);
			END LOOP;
		END \$\$;
		COMMIT;
SQL
}

# Until the other session has its locks.
sub wait_for_change
{
	$c->poll(sub { return $c->value("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND granted"); });
}

my $update = 'UPDATE t SET lastname = c.lastname, tag = tag + 1 FROM crm.contact c WHERE c.email = t.email';
like($c->value("EXPLAIN $update"), qr/Ampsf Key Lookup/, 'UPDATE of a local table looks keys up');
{
	my $other = change("UPDATE t SET email = (SELECT email FROM t WHERE n = 5) WHERE n = 1; UPDATE t SET tag = 10 WHERE n = 2;");
	wait_for_change();
	$c->run_sql($update);
	$c->finish($other);
	is($c->value('SELECT tag FROM t WHERE n = 1'), '0', 'a row whose key has changed meanwhile is not updated from the old key');
	is($c->value('SELECT tag FROM t WHERE n = 2'), '11', 'a row that has changed otherwise is, on top of the change');
	is($c->value('SELECT count(*) FROM t WHERE n > 2 AND tag = 1'), '4', '... and the others once');
}
{
	my $other = change("UPDATE t SET email = 'nobody' WHERE n = 3; UPDATE t SET tag = 77 WHERE n = 4;");
	wait_for_change();
	my $rows = $c->value('SELECT t.n, t.tag, count(*) OVER () > 5 FROM (SELECT t.n, t.tag FROM t JOIN crm.contact c ON c.email = t.email FOR UPDATE OF t) t WHERE t.n IN (3, 4) ORDER BY n LIMIT 1');
	$c->finish($other);
	is($rows, '4|77|f', 'locking rows: those that no longer match are gone, the others are as they are now');
}

# The second of two calls fails.
$c->run_sql("ALTER SERVER sf OPTIONS (ADD lookup_batch '2', ADD max_retries '0')");
{
	my $query = 'SET enable_hashjoin = off; SET enable_mergejoin = off; SET enable_nestloop = off; SELECT count(*) FROM t JOIN crm.contact c ON c.email = t.email';
	my $all = $c->value($query);
	$c->fault('path=*/query*;skip=1;count=1;do=status;status=500');
	my $r = $c->psql("$query;");
	like($r->{err}, qr/ERROR/, 'a call that fails is an error') or diag($r->{out});
	$c->clear_faults;
	is($c->value($query), $all, '... and the next lookup is whole');
}

$c->stop;
done_testing();
