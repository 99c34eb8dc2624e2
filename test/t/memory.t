# A scan of a million rows holds no more memory than a scan of a page.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use AmpsfTest;
use Test::More;

my $rows = $ENV{AMPSF_TEST_ROWS} || 1000000;
my $limit_kb = 100 * 1024;
my $c = AmpsfTest->start(seed => "big:$rows");
my $peak = q{SELECT substring(pg_read_file('/proc/self/status') FROM 'VmHWM:\s+(\d+) kB')};
# What one page needs, to print next to it.
my $all = q{count(*), count(lower(lastname)), count(email), count(phone), count(description), max(systemmodstamp) IS NOT NULL};

my $r = $c->psql("SELECT count(*) FROM (SELECT lastname FROM crm.contact LIMIT 10) t; $peak; "
	. "SELECT $all FROM crm.contact; $peak;", limit => 900);
my @line = split /\n/, $r->{out};
is(scalar(@line), 4, 'all statements ran') or diag($r->{err});
like($line[2] || '', qr/^$rows\|$rows\|/, "a scan of $rows rows reads all of them");
ok(($line[3] || 1e9) < $limit_kb, 'and its backend stays below 100 MB resident')
  or diag("peak $line[3] kB");
diag("peak of the backend: $line[1] kB after ten rows, $line[3] kB after $rows rows");

# So does a cursor that is left half way, and one sorted on disk.
$r = $c->psql("SET work_mem = '4MB'; SELECT count(*) FROM (SELECT lastname, id FROM crm.contact ORDER BY id OFFSET 1) t; $peak;", limit => 900);
@line = split /\n/, $r->{out};
is($line[0], $rows - 1, 'a sorted scan reads all rows') or diag($r->{err});
ok(($line[1] || 1e9) < $limit_kb, '... below 100 MB as well') or diag("peak $line[1] kB");

done_testing();
