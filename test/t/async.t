# Partitions and branches of UNION ALL are asked at the same time, and rows come from whichever has some.
# Requests that are held for an hour prove both: what is under way together with them was not waited for,
# and a query that needs them would not end.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use AmpsfTest;
use Test::More;

my $c    = AmpsfTest->start(seed => 'demo');
my $hold = 'do=delay;ms=3600000';
my $fds  = "SELECT count(*) FROM pg_ls_dir('/proc/self/fd')";

# A table of records of several objects: partitions by the prefix of the Id, two of them at another server.
$c->run_sql(<<SQL);
	CREATE SERVER sf2 FOREIGN DATA WRAPPER ampsf_fdw OPTIONS (instance_url '@{[$c->url]}');
	CREATE USER MAPPING FOR postgres SERVER sf2 OPTIONS (client_id 'sandbox', client_secret 'sandbox');
	CREATE TABLE record (id text COLLATE "C", name text, createddate timestamptz) PARTITION BY RANGE (id);
	CREATE FOREIGN TABLE r_account PARTITION OF record FOR VALUES FROM ('001') TO ('002') SERVER sf OPTIONS (object 'Account');
	CREATE FOREIGN TABLE r_contact PARTITION OF record FOR VALUES FROM ('003') TO ('004') SERVER sf OPTIONS (object 'Contact');
	CREATE FOREIGN TABLE r_opportunity PARTITION OF record FOR VALUES FROM ('006') TO ('007') SERVER sf2 OPTIONS (object 'Opportunity');
	CREATE FOREIGN TABLE r_lead PARTITION OF record FOR VALUES FROM ('00Q') TO ('00R') SERVER sf2 OPTIONS (object 'Lead');
SQL
my $sum  = 'SELECT count(*), sum(hashtext(id || name)::bigint) FROM record';
my $want = $c->value("SET enable_async_append = off; $sum");
like($c->value("EXPLAIN (COSTS OFF) SELECT * FROM record"), qr/(Async Foreign Scan.*){4}/s, 'all partitions are asynchronous');

# A session that fetches n rows by a cursor and then rests, or does what is told; returns when it has the rows.
# leave() ends it.
my $serial = 0;

sub fetch
{
	my ($query, $n, $then) = @_;
	my $mark = 'rest' . ++$serial;
	my $done = $c->dir . "/../$mark";
	my $job  = $c->background("BEGIN;\nDECLARE c CURSOR FOR $query;\nFETCH $n FROM c;\n\\! touch $done\n" . ($then || 'SELECT pg_sleep(3600)') . ";\n");
	return $job if $c->poll(sub { -e $done });
	leave($job);
	return;
}

sub leave
{
	my ($job) = @_;
	return { out => '', err => 'there were no rows' } unless $job;
	$c->psql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()");
	return $c->finish($job);
}

# How many requests each fault has struck.
sub held { return join ',', map { "$_->{struck}" } @{ $c->admin('GET', 'faults')->{faults} }; }

# The first, the second and the last are held; the third answers.
$c->fault("match=$_;count=0;$hold") for 'FROM Account', 'FROM Contact', 'FROM Lead';
{
	my $job = fetch('SELECT tableoid::regclass, id IS NOT NULL FROM record', 116, 'FETCH 1 FROM c');
	ok($job, 'rows of one partition arrive while the others are held');
	ok($c->poll(sub { held() eq '1,1,1' }), '... and these have been asked, once each') or diag(held());
	my $r = leave($job);
	is(scalar(() = $r->{out} =~ /^r_opportunity\|t$/mg), 116, '... all rows of it') or diag($r->{out}, $r->{err});
}
{
	my $r = $c->psql("SELECT count(*) FROM (SELECT id FROM record LIMIT 50) t;\n$fds;");
	like($r->{out}, qr/^50\n/, 'a LIMIT that is reached does not wait for the others') or diag($r->{err});
}
{
	my $r = $c->psql("$fds;\n\\o /dev/null\nSET statement_timeout = '400ms';\n$sum;\nRESET statement_timeout;\n\\o\n$fds;\nSELECT name FROM r_opportunity LIMIT 1;\n");
	is(AmpsfTest::sqlstate($r), '57014', 'statement_timeout while all are waited for');
	my @lines = split /\n/, $r->{out};
	is(scalar(@lines), 3, '... and the session reads on') or diag($r->{out}, $r->{err});
}
{
	my $r = $c->psql(<<SQL);
	\\o /dev/null
	SELECT count(*) FROM r_opportunity;
	SET statement_timeout = '300ms'; $sum; $sum;
	\\o
	$fds;
	\\o /dev/null
	$sum; $sum; $sum; $sum; $sum; $sum;
	\\o
	$fds;
SQL
	my @n = split /\n/, $r->{out};
	# A connection may be there at one time and not at the other; those of a read are four.
	is(scalar(@n), 2, 'both counts were taken');
	cmp_ok($n[1], '<=', $n[0] + 3, 'cancelled asynchronous reads leak no descriptor') or diag($r->{out}, $r->{err});
}
$c->clear_faults;

# One fails while another is held and a third is being read.
$c->fault("match=FROM Account;count=0;$hold");
$c->fault('match=FROM Lead;count=0;do=status;status=400;code=INVALID_TYPE;message=no such thing');
{
	my $r = $c->psql("$sum;\nSELECT count(*) FROM r_opportunity;\nDO \$\$ BEGIN PERFORM count(*) FROM record; EXCEPTION WHEN OTHERS THEN RAISE NOTICE 'caught'; END \$\$;\nSELECT count(*) FROM r_contact;\n");
	like($r->{err}, qr/no such thing/, 'the error of one partition ends the query');
	like($r->{err}, qr/caught/, '... or its subtransaction');
	is($r->{out}, "116\n170", '... and the session reads on') or diag($r->{err});
}
$c->clear_faults;

# What is repeated is repeated for one, without holding up or spoiling the others.
for my $trouble (
	['busy server',        'count=2;do=status;status=503'],
	['throttled',          'count=1;do=status;status=429;retry-after=0'],
	['lost connection',    'count=1;do=reset-before'],
	['broken answer',      'count=1;do=reset-middle'],
	['dead session',       'count=1;do=expire-token'],
	['slow bytes',         'count=1;do=slow;bytes-per-second=50000'])
{
	my ($name, $spec) = @$trouble;
	$c->fault("path=*/query;match=FROM $_;$spec") for qw(Account Lead);
	my $r = $c->psql("$sum;\n$sum;\n");
	is($r->{out}, "$want\n$want", "all rows, once each: $name") or diag($r->{err});
	$c->clear_faults;
}
$c->fault('path=*/oauth2/token;count=1;do=status;status=503');
is($c->value($sum), $want, 'all rows after a login that was repeated');
$c->clear_faults;
$c->fault('path=*/oauth2/token;count=0;do=status;status=400;body={"error":"invalid_grant"}');
{
	my $r = $c->psql("$sum;\n");
	is(AmpsfTest::sqlstate($r), '28000', 'a login that fails for all') or diag($r->{err});
}
$c->clear_faults;

# With twenty branches, sixteen are asked; the others follow as these end.
my $twenty = join ' UNION ALL ', map { "SELECT $_ AS n, id FROM r_account" } 1 .. 20;
is($c->value("SELECT count(*), count(DISTINCT n), count(DISTINCT id) FROM ($twenty) t"), '1880|20|94', 'twenty branches');
$c->fault("match=FROM Account;count=0;$hold");
{
	my $job = $c->background("SELECT /* twenty */ count(*) FROM ($twenty) t;\n");
	ok($c->poll(sub { held() eq '16' }), 'sixteen of twenty are asked at the same time') or diag(held());
	$c->psql("SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE query LIKE '%twenty%' AND pid <> pg_backend_pid()");
	is(AmpsfTest::sqlstate($c->finish($job)), '57014', '... until they are cancelled');
	is(held(), '16', '... and no more than those');
}
$c->clear_faults;

# Together with another wrapper, which waits for sockets of its own.
SKIP:
{
	skip 'no postgres_fdw', 4 unless $c->psql('CREATE EXTENSION postgres_fdw')->{err} !~ /ERROR/;
	$c->run_sql(<<SQL);
	CREATE SERVER loopback FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host '$c->{env}{PGHOST}', port '$c->{env}{PGPORT}', dbname '$c->{env}{PGDATABASE}', async_capable 'true');
	CREATE USER MAPPING FOR postgres SERVER loopback;
	CREATE TABLE plain AS SELECT 'x' || i AS id, i AS delay FROM generate_series(1, 10) i;
	CREATE VIEW sleepy AS SELECT id FROM plain, LATERAL pg_sleep(3600);
	CREATE FOREIGN TABLE far (id text, delay int) SERVER loopback OPTIONS (table_name 'plain');
	CREATE FOREIGN TABLE far_sleepy (id text) SERVER loopback OPTIONS (table_name 'sleepy');
	ALTER SERVER sf OPTIONS (ADD page_size '200');
SQL
	my $ours = 'SELECT id FROM r_account UNION ALL SELECT id FROM r_contact UNION ALL SELECT id FROM r_lead';
	is($c->value("SELECT count(*) FROM (SELECT id FROM far UNION ALL $ours UNION ALL SELECT id FROM far) t"), '360', 'with postgres_fdw: all rows');
	# Were its socket the only one that is waited for, or waited for while rows of ours are there, these would not come.
	is(scalar(() = leave(fetch("SELECT id FROM far_sleepy UNION ALL $ours", 340))->{out} =~ /^\w{18}$/mg), 340, '... all of ours, while it sleeps');
	is(scalar(() = leave(fetch("$ours UNION ALL SELECT id FROM far_sleepy", 340))->{out} =~ /^\w{18}$/mg), 340, '... in any order');
	$c->fault("match=FROM Account;count=0;$hold");
	is($c->value("SELECT count(*) FROM ($ours UNION ALL SELECT id FROM far LIMIT 256) t"), '256', '... and its rows, while one of ours is held');
	$c->clear_faults;
}

# Many pages of several tables, read at the same time.
$c->reset_org('big:3000');
$c->run_sql('ALTER FOREIGN TABLE r_contact OPTIONS (ADD page_size \'200\')');
{
	my $branches = join ' UNION ALL ', map { "SELECT $_ AS n, id FROM r_contact WHERE length(name) % 4 <> $_" } 0 .. 5;
	my $q = "SELECT count(*), sum(hashtext(n || id)::bigint) FROM ($branches) t";
	$c->fault('path=*/query/*;skip=7;count=3;do=slow;bytes-per-second=100000');
	$c->fault('path=*/query/*;skip=15;count=3;do=reset-middle');
	my $r = $c->psql("$q;\nSET enable_async_append = off;\n$q;\n");
	my @n = split /\n/, $r->{out};
	is(scalar(@n), 2, 'six branches of fifteen pages each') or diag($r->{err});
	is($n[0], $n[1], '... are the same rows as one after the other');
	$c->clear_faults;
}

# The page after the one that is being read is fetched meanwhile: a cursor that rests has asked for it.  But
# not for who only wants some rows.
$c->run_sql("ALTER FOREIGN TABLE r_contact OPTIONS (SET page_size '2000')");
for my $n (100, 1000)
{
	$c->mark;
	my $job = fetch('SELECT id FROM r_contact', $n);
	ok($job, "$n rows are there");
	ok($c->poll(sub { scalar grep { $_->{path} =~ m{/query/} } $c->log }), '... and the next page comes') if $n > 250;
	leave($job);
	is(scalar(grep { $_->{path} =~ m{/query/} } $c->log), 0, '... without asking for more') if $n <= 250;
}

done_testing();
