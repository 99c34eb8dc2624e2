# A scan of a million rows holds no more memory than one of ten thousand, over either transport; nor do wide rows.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use AmpsfTest;
use Test::More;

my $rows = $ENV{AMPSF_TEST_ROWS} || 1000000;
my $limit_kb = 100 * 1024;
my $more_kb  = 10 * 1024;
my $c = AmpsfTest->start(seed => "big:$rows");
my $peak = q{SELECT substring(pg_read_file('/proc/self/status') FROM 'VmHWM:\s+(\d+) kB')};
my $all = q{count(*), count(lower(lastname)), count(email), count(phone), count(description), max(systemmodstamp) IS NOT NULL};

# The result of a statement, and the peak of the new backend that ran it.
sub run_peak
{
	my ($sql) = @_;
	my $r = $c->psql("$sql; $peak;", limit => 900);
	my ($result, $kb) = split /\n/, $r->{out};
	diag($r->{err}) if $r->{err} ne '';
	return ($result // '', $kb || 1e9);
}

$c->run_sql("ALTER SERVER sf OPTIONS (ADD transport 'auto'); ALTER DATABASE sandbox SET max_parallel_workers_per_gather = 0");
for my $transport ('bulk', 'rest')
{
	$c->run_sql("ALTER SERVER sf OPTIONS (SET transport '$transport')");
	my ($some, $small) = run_peak("SELECT $all FROM crm.contact WHERE lastname LIKE '%77'");
	like($some, qr/^(\d+)\|\1\|/, "$transport: a scan of one row in a hundred");
	my ($many, $large) = run_peak("SELECT $all FROM crm.contact");
	like($many, qr/^$rows\|$rows\|/, "$transport: a scan of $rows rows reads all of them");
	ok($large < $limit_kb, '... its backend stays below 100 MB resident') or diag("peak $large kB");
	ok($large - $small < $more_kb, '... and within 10 MB of the small one') or diag("peaks $small kB, $large kB");
	diag("$transport: peak of the backend $small kB after " . ($some =~ /^(\d+)/)[0] . " rows, $large kB after $rows rows");

	# So does one that is sorted on disk.
	my ($sorted, $kb) = run_peak("SET work_mem = '4MB'; SELECT count(*) FROM (SELECT lastname, id FROM crm.contact ORDER BY id OFFSET 1) t");
	is($sorted, $rows - 1, "$transport: a sorted scan reads all rows");
	ok($kb < $limit_kb, '... below 100 MB as well') or diag("peak $kb kB");
}

# Rows a hundred times as wide, of which far fewer fit into what is read ahead.
{
	$c->reset_org('big:2000');
	$c->run_sql("ALTER SERVER sf OPTIONS (SET transport 'bulk')");
	# Read slower than they come: what has come is packed, a thousand times smaller.
	my $wide = 'SELECT count(*), min(length(description)), max(length(description)) FROM crm.contact WHERE pg_sleep(0.001) IS NOT NULL';
	my ($some, $narrow) = run_peak($wide);
	$c->run_sql("UPDATE crm.contact SET description = repeat('wide and \"quoted\" ', 1700)");
	my ($many, $kb) = run_peak($wide);
	is($some, '2000||', 'bulk: narrow rows');
	is($many, '2000|30599|30599', 'bulk: rows of 30,599 characters');
	ok($kb - $narrow < $more_kb, '... need no more memory, within 10 MB') or diag("peaks $narrow kB, $kb kB");
	diag("bulk: peak of the backend $narrow kB for narrow rows, $kb kB for wide ones");
}

done_testing();
