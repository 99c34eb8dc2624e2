# A mirror of many rows needs no more memory than one of few, whatever is done with it; nor does an answer of the event bus
# with many events need much more than its own size.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use AmpsfTest;
use Test::More;

my $small   = 4000;
my $large   = $ENV{AMPSF_TEST_MIRROR_ROWS} || 60000;
my $more_kb = 12 * 1024;
# Shared buffers count as resident once they were touched: there are few of them.  So is room for sorts.
my $c = AmpsfTest->start(seed => "big:$small", conf => [ 'shared_buffers = 1MB', "work_mem = '1MB'", "temp_buffers = '800kB'", 'default_statistics_target = 10', 'ampsf.max_sync_workers = 4' ]);
my %peak;

# What a new backend that runs some statements has at its peak.
sub run_peak
{
	my ($what, @statements) = @_;
	my $r = $c->psql(join(";\n", @statements, q{SELECT substring(pg_read_file('/proc/self/status') FROM 'VmHWM:\s+(\d+) kB')}), limit => 900);
	is($r->{err}, '', "$what runs");
	return $1 if $r->{out} =~ /(\d+)$/;
	return 1e9;
}

$c->run_sql(q{CREATE FOREIGN TABLE person (id text OPTIONS (field 'Id'), lastname text OPTIONS (field 'LastName'), email text OPTIONS (field 'Email'),
	createddate timestamptz OPTIONS (field 'CreatedDate'), systemmodstamp timestamptz OPTIONS (field 'SystemModstamp')) SERVER sf OPTIONS (object 'Contact', transport 'bulk')});
for my $rows ($small, $large)
{
	$c->reset_org("big:$rows") if $rows != $small;
	my $lost = int($rows / 2);
	my $due  = "UPDATE ampsf.mirror_definition SET compare_asked = true WHERE target = 'p'::regclass";
	# In the order in which they follow each other: what each of them needs, and how much of it is left to do.
	my @steps = (
		[ 'a backfill', "CALL ampsf.sync('p')" ],
		[ 'a comparison of equal Ids', $due, "CALL ampsf.sync('p')" ],
		[ 'a comparison that misses half of them', "DELETE FROM p WHERE id IN (SELECT id FROM p ORDER BY systemmodstamp LIMIT $lost)", $due, "CALL ampsf.sync('p')" ],
		[ 'a comparison that finds half of them too many', "INSERT INTO p SELECT 'x' || id FROM p LIMIT $lost", $due, "CALL ampsf.sync('p')" ],
		[ 'a run that reads all of it again', "UPDATE ampsf.mirror_definition SET watermark = '2020-01-01' WHERE target = 'p'::regclass", "CALL ampsf.sync('p')" ],
		[ 'a check by counts', "SELECT count(*) FROM ampsf.verify('p')" ],
		[ 'a thorough check', "SELECT count(*) FROM ampsf.verify('p', thorough => true)" ],
		[ 'a repair', "DELETE FROM p WHERE hashtext(id) % 5 = 0", "SELECT count(*) FROM ampsf.verify('p', repair => true)" ],
		[ 'formula fields', "UPDATE ampsf.mirror_definition SET formula_every = '1 second', formulas_at = NULL WHERE target = 'p'::regclass", "CALL ampsf.sync('p')" ],
		[ 'a history', "SELECT ampsf.history('p')", "UPDATE ampsf.mirror_definition SET formula_every = NULL WHERE target = 'p'::regclass",
			"DELETE FROM p WHERE id IN (SELECT id FROM p ORDER BY systemmodstamp LIMIT $lost)", $due, "CALL ampsf.sync('p')" ],
	);
	$c->run_sql("SELECT ampsf.mirror('person', 'p', chunk_rows => 2000)");
	$c->run_sql("SELECT ampsf.pause('p')");
	for my $step (@steps)
	{
		my ($what, @statements) = @$step;
		my $kb = run_peak("$what of $rows rows", @statements);
		if ($rows == $small)
		{
			$peak{$what} = $kb;
			next;
		}
		cmp_ok($kb - $peak{$what}, '<', $more_kb, "... and needs no more memory than of $small, within 12 MB");
		diag("$what: peak $peak{$what} kB of $small rows, $kb kB of $rows");
	}
	is($c->value('SELECT count(*), (SELECT count(*) FROM p) FROM person'), "$rows|$rows", 'the mirror has all rows');
	is($c->differences('p', 'person'), 0, '... as they are');
	$c->run_sql("SELECT ampsf.unmirror('p'); DROP TABLE p, p_history");
}

# -------- an answer with all events of a long absence --------
{
	my $n = 8000;
	$c->reset_org("big:$n");
	$c->admin('POST', 'events?timeout-ms=2000&batch=100000&daily=1000000');
	$c->run_sql("SELECT ampsf.subscribe('sf', ARRAY['Contact'])");
	ok($c->poll(sub { return $c->psql('SELECT state FROM ampsf.subscription_status')->{out} eq 'connected' }), 'a subscription is followed');
	$c->rest('PATCH', 'sobjects/Contact/' . $c->value('SELECT min(id) FROM crm.contact'), { Title => 'one' });
	ok($c->poll(sub { return $c->value('SELECT count(*) FROM ampsf.change') eq '1' }), 'an event comes');
	my $peak = sub { return $c->value("SELECT substring(pg_read_file('/proc/' || worker || '/status') FROM 'VmHWM:\\s+(\\d+) kB') FROM ampsf.subscription_status"); };
	my $before = $peak->();
	$c->run_sql('UPDATE ampsf.subscription SET paused = true');
	ok($c->poll(sub { return $c->value('SELECT worker IS NULL FROM ampsf.subscription_status') eq 't' }), 'it pauses');
	$c->run_sql("UPDATE crm.contact SET description = 'changed ' || id || repeat('.', 300)");
	$c->run_sql('UPDATE ampsf.subscription SET paused = false; SELECT ampsf.wake()');
	ok($c->poll(sub { return $c->value('SELECT count(*) FROM ampsf.change') > $n }), "$n events come in one answer");
	my $kb = $peak->();
	is($c->value('SELECT count(*), count(DISTINCT replay_id), max(replay_id) = (SELECT replay_id FROM ampsf.subscription) FROM ampsf.change'),
		($n + 1) . '|' . ($n + 1) . '|t', '... each once, and the place is behind the last');
	cmp_ok($kb - $before, '<', 40 * 1024, '... for which the worker needs less than 40 MB more');
	diag("events: peak of the worker $before kB before, $kb kB after an answer with $n");
}

done_testing();
