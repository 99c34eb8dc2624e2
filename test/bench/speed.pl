#!/usr/bin/perl
# Reading a table over Bulk and over REST, against everything else that reads the same rows; time to the first row,
# API calls, and two workers against one.
#
#   test/bench/speed.pl [sum|every|load|jsforce|drain|first|calls|parallel]...
#
# Prints Markdown tables, all or those that are named.  AMPSF_BENCH_ROWS, AMPSF_BENCH_RUNS; AMPSF_BENCH_SLOW=0: without jsforce.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use AmpsfBench qw($rows $runs $build columns fields median seconds compare table npm_folder skipped);

my %wanted = map { $_ => 1 } @ARGV ? @ARGV : qw(sum every load jsforce drain first calls parallel);
print "Filling an org with $rows contacts ...\n";
my $c = AmpsfBench->start;
my ($cols, $all, $one) = (join(', ', columns()), 'SELECT ' . join(', ', fields()) . ' FROM Contact', 'SELECT MailingLatitude FROM Contact');
my $turned = join ', ', reverse columns();
my %set;
for my $how ('bulk', 'rest')
{
	$c->sql("CREATE SCHEMA $how", "IMPORT FOREIGN SCHEMA crm LIMIT TO (contact) FROM SERVER sf INTO $how",
		"ALTER FOREIGN TABLE $how.contact OPTIONS (ADD transport '$how')");
	$set{$how} = {
		sum   => sub { $c->time_sql("SELECT sum(mailinglatitude) FROM $how.contact") },
		every => sub { $c->time_sql('SELECT sum(mailinglatitude), ' . join(', ', map { "count($_) FILTER (WHERE true)" } columns()) . " FROM $how.contact") },
		ctas  => sub { $c->time_sql('DROP TABLE IF EXISTS u', "CREATE UNLOGGED TABLE u AS SELECT $cols FROM $how.contact") },
		drain => sub { $c->time_drain("SELECT $cols FROM $how.contact") },
		first => sub { $c->time_sql('BEGIN', "DECLARE c CURSOR FOR SELECT $cols FROM $how.contact", 'FETCH FORWARD 1 FROM c') },
	};
}

# The rows as a CSV file, which is the very result of a job, and as a table.
my @pages = $c->bulk_pages($all);
my $csv   = "$c->{dir}/rows.csv";
system("curl -fsS -H 'Authorization: Bearer $c->{token}' '$pages[0]' >$csv") == 0 or die;
system("curl -fsS -H 'Authorization: Bearer $c->{token}' '$_' | sed 1d >>$csv") == 0 or die for @pages[ 1 .. $#pages ];
system('chmod', '644', $csv);
$c->sql("CREATE UNLOGGED TABLE t AS SELECT $cols FROM bulk.contact", 'CREATE UNLOGGED TABLE rival (LIKE t)');
my $file = eval {
	$c->sql(
		'CREATE EXTENSION file_fdw', 'CREATE SERVER files FOREIGN DATA WRAPPER file_fdw',
		"DO \$\$ BEGIN EXECUTE (SELECT 'CREATE FOREIGN TABLE csv (' || string_agg(format('%I %s OPTIONS (force_null ''true'')', attname,
			format_type(atttypid, atttypmod)), ', ' ORDER BY attnum) || ') SERVER files OPTIONS (filename ''$csv'', format ''csv'', header ''true'')'
			FROM pg_attribute WHERE attrelid = 't'::regclass AND attnum > 0); END \$\$");
	1;
};
printf "%d rows, %.0f bytes each as CSV; the medians of %d rounds\n", $c->sql('SELECT count(*) FROM t'), (-s $csv) / $rows, $runs;
my $same = $c->sql('SELECT count(*) FROM (SELECT * FROM t EXCEPT ALL SELECT * FROM csv) x') if $file;
die "the CSV has other rows than the table\n" if $file && $same != 0;

my ($npm, $why) = npm_folder();
my $slow = $npm && ($ENV{AMPSF_BENCH_SLOW} // 1);
sub rival
{
	my (@args) = @_;
	local @ENV{ keys %{ $c->{env} }, 'TOKEN' } = (values %{ $c->{env} }, $c->{token});
	return seconds('node', '--max-old-space-size=6000', "$npm/rivals.js", @args);
}
my $drain_csv = $file && sub { $c->time_drain("SELECT $cols FROM csv") };
my @one = $c->bulk_pages($one);
my %rest = (all => [ $c->rest_pages($all) ], one => [ $c->rest_pages($one) ]);
# Every page is rendered once before anything counts.
$set{$_}{sum}->(), $set{$_}{ctas}->() for 'bulk', 'rest';

my $t;
if ($wanted{sum})
{
	$t = compare(
		[ours => $set{bulk}{sum}], [rest => $set{rest}{sum}],
		$file ? [file => sub { $c->time_sql('SELECT sum(mailinglatitude) FROM csv') }] : (),
		[curl => sub { $c->time_curl(@one) }], [restcurl => sub { $c->time_curl(@{ $rest{one} }) }]);
	table('sum of one column', $t, $rows,
		['Bulk', 'ours'], ['file_fdw, the CSV of all columns', 'file', 'ours', '6'], ['curl alone, the pages of the Bulk result', 'curl', 'ours'],
		['REST', 'rest'], ['file_fdw', 'file', 'rest'], ['curl alone, the REST pages', 'restcurl', 'rest']);
}

if ($wanted{every})
{
	$t = compare(
		[ours => $set{bulk}{every}], [rest => $set{rest}{every}],
		$file ? [file => sub { $c->time_sql('SELECT sum(mailinglatitude), ' . join(', ', map { "count($_) FILTER (WHERE true)" } columns()) . ' FROM csv') }] : (),
		[curl => sub { $c->time_curl(@pages) }], [restcurl => sub { $c->time_curl(@{ $rest{all} }) }]);
	table('every column decoded and counted', $t, $rows,
		['Bulk', 'ours'], ['file_fdw', 'file', 'ours'], ['curl alone', 'curl', 'ours'], ['REST', 'rest'], ['file_fdw', 'file', 'rest'],
		['curl alone', 'restcurl', 'rest']);
}

if ($wanted{load})
{
	$t = compare(
		[ours => $set{bulk}{ctas}], [rest => $set{rest}{ctas}],
		$file ? [file => sub { $c->time_sql('DROP TABLE IF EXISTS u', "CREATE UNLOGGED TABLE u AS SELECT $cols FROM csv") }] : (),
		[copy => sub { $c->time_sql('TRUNCATE rival', "COPY rival FROM '$csv' (FORMAT csv, HEADER, FORCE_NULL ($cols))") }],
		[heap => sub { $c->time_sql('DROP TABLE IF EXISTS u', 'CREATE UNLOGGED TABLE u AS SELECT * FROM t') }],
		[formed => sub { $c->time_sql('DROP TABLE IF EXISTS u', "CREATE UNLOGGED TABLE u AS SELECT $turned FROM t") }],
		[curl => sub { $c->time_curl(@pages) }], [restcurl => sub { $c->time_curl(@{ $rest{all} }) }],
		$npm ? [pipe => sub { rival('http', 'rival', @pages) }] : ());
	table('CREATE UNLOGGED TABLE AS, 20 columns', $t, $rows,
		['Bulk', 'ours'], ['file_fdw', 'file', 'ours', '4'], ['COPY from the local CSV', 'copy', 'ours'], ['Node: HTTP into COPY', 'pipe', 'ours', '5'],
		['curl alone', 'curl', 'ours'], ['a local table', 'heap', 'ours'],
		['a local table, its columns in another order', 'formed', 'ours'],
		['REST', 'rest'], ['file_fdw', 'file', 'rest', '3'], ['COPY from the local CSV', 'copy', 'rest'],
		['curl alone', 'restcurl', 'rest']);
}

if ($wanted{jsforce} && $slow)
{
	# jsforce loses its place between two pages of a result: for it there is only one
	my $whole = sub { $c->ctl(bulk => 'page-rows=100000000'); my $s = rival('bulk', 'rival', $all); $c->ctl(bulk => 'page-rows=50000'); return $s };
	$t = compare([ours => $set{bulk}{ctas}], [bulk2 => $whole], [rest => $set{rest}{ctas}], [query => sub { rival('query', 'rival', $all) }]);
	table('CREATE UNLOGGED TABLE AS, against jsforce into COPY', $t, $rows,
		['Bulk', 'ours'], ['jsforce bulk2', 'bulk2', 'ours', '25'], ['REST', 'rest'], ['jsforce query', 'query', 'rest']);
}

if ($wanted{drain})
{
	$t = compare([ours => $set{bulk}{drain}], [rest => $set{rest}{drain}], $file ? [file => $drain_csv] : (), [heap => sub { $c->time_drain("SELECT $cols FROM t") }]);
	table('SELECT of 20 columns, read by psql', $t, $rows,
		['Bulk', 'ours'], ['file_fdw', 'file', 'ours'], ['a local table', 'heap', 'ours'], ['REST', 'rest'], ['file_fdw', 'file', 'rest']);
}

if ($wanted{first})
{
	$t = compare([bulk => $set{bulk}{first}], [rest => $set{rest}{first}]);
	table('Time to the first row of 20 columns (a cursor); the org has the result of the job already', $t, 0, ['Bulk', 'bulk'], ['REST', 'rest']);
}

if ($wanted{calls})
{
	print "\nAPI calls for all $rows rows\n\n| | calls |\n|---|---:|\n";
	printf "| %s | %d |\n", $_, $c->calls_of($set{$_}{ctas}) for 'bulk', 'rest';
}

if ($wanted{parallel})
{
	# Wherever they like: on one core two workers cannot gain.
	$c->pin(0);
	my %parallel;
	for my $how ('bulk', 'rest')
	{
		for my $workers (1, 2)
		{
			$parallel{"$how$workers"} = sub {
				# the seconds of the workers are not those of the leader
				return ($c->time_sql("SET max_parallel_workers_per_gather = $workers", 'SET parallel_leader_participation = off', 'SET parallel_setup_cost = 0',
					'SET parallel_tuple_cost = 0', 'SET min_parallel_table_scan_size = 0',
					'SELECT sum(mailinglatitude), ' . join(', ', map { "count($_) FILTER (WHERE true)" } columns()) . " FROM $how.contact"))[0];
			};
		}
	}
	$t = compare(map { [$_ => $parallel{$_}] } sort keys %parallel);
	table("Parallel scan, every column decoded; $c->{cores} cores for the org and the workers", $t, $rows,
		['Bulk, one worker', 'bulk1'], ['Bulk, two workers', 'bulk2', 'bulk1'], ['REST, one worker', 'rest1'], ['REST, two workers', 'rest2', 'rest1']);
}

skipped('Node and jsforce', $why) unless $npm;
skipped('file_fdw', 'the extension is not there') unless $file;
$c->stop;
