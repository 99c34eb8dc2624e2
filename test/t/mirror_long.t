# The proof of mirrors: other clients change an org at random while mirrors follow it by schedule and by events, with the
# org's faults and kill -9 of every kind of process mixed in.  In the end mirror and org are equal, by verify and by
# comparisons that know nothing of mirrors, and no event was lost or taken twice.
#
#   AMPSF_LONG_SECONDS=7200 AMPSF_TEST_SEED=42 prove -v -Itest/t/lib test/t/mirror_long.t
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use AmpsfComet;
use AmpsfTest;
use AmpsfWriter;
use JSON::PP;
use Test::More;
use Time::HiRes qw(sleep time);

my $seconds = $ENV{AMPSF_LONG_SECONDS} || 100;
my $seed = $ENV{AMPSF_TEST_SEED} || 1 + (time * 1000) % 1_000_000;
my %without = map { $_ => 1 } split /,/, $ENV{AMPSF_LONG_WITHOUT} || '';
diag("AMPSF_TEST_SEED=$seed AMPSF_LONG_SECONDS=$seconds");
srand $seed;

my $file = "/tmp/ampsf-long-$$";
mkdir $file or die "$file: $!";
chmod 0777, $file;
END { system 'rm', '-rf', $file if $file }
my $c = AmpsfTest->start(seed => 'push:150', conf => [ 'log_min_messages = error', 'ampsf.max_sync_workers = 6', 'max_worker_processes = 20' ],
	args => "--data $file/org --bulk-hard-delete on --org skew=-40 --bulk-page-rows 200");
my $dir = $c->dir;

# -------- small things --------
sub one { return $_[int rand @_] }

# While the server starts anew after a kill, nobody is let in.
sub ask
{
	my ($sql) = @_;
	my $r;
	for (1 .. 300)
	{
		$r = $c->psql($sql);
		return $r->{out} if $r->{err} !~ /ERROR|FATAL|could not connect|connection to server|server closed/;
		last if $r->{err} =~ /ERROR/ && $r->{err} !~ /57P0|terminating|server closed|ERROR:  55006/;
		sleep 0.1;
	}
	die "$sql\n$r->{err}";
}

sub until_true
{
	my ($what, $limit, $condition) = @_;
	my $until = time + $limit;
	while (time < $until)
	{
		return 1 if eval { $condition->() };
		sleep 0.2;
	}
	diag("not within $limit s: $what");
	return 0;
}

# A client that asks nothing at random.
my $client = bless { port => $c->{port} }, 'AmpsfWriter';

sub sandbox_pid
{
	open my $f, '<', "$dir/sandbox.pid" or return;
	chomp(my $pid = <$f>);
	return $pid;
}

# The org dies, and is back at the same address with the rows of its file.
sub kill_org
{
	my $pid = sandbox_pid() or return;
	my @args = split /\0/, do { local $/; open my $f, '<', "/proc/$pid/cmdline" or return; <$f> };
	shift @args;
	for (my $i = 0; $i < @args; $i++)
	{
		$args[$i + 1] = $c->{port} if $args[$i] eq '--port';
		splice @args, $i--, 2 if $args[$i] eq '--seed';
	}
	kill 'KILL', $pid;
	until_true('the org is dead', 10, sub { !kill 0, $pid });
	$c->as_owner('sh', '-c', 'd=$1; shift; cd "$d"; setsid "$@" >>"$d/sandbox.out" 2>&1 </dev/null & echo $! >"$d/sandbox.pid"',
		'sh', $dir, "$dir/bin/ampsf-sandbox", @args);
	until_true('the org is back', 20, sub { $client->admin('GET', 'stats')->{status} == 200 }) or BAIL_OUT('the org does not come back');
	return;
}

# -------- mirrors --------
my @schema = (
	'add Account {"name":"Score__c","type":"double","precision":18,"scale":0,"calculated":true}',
	'add Account {"name":"Invoiced__c","type":"currency","precision":18,"scale":2,"calculated":true,"sandbox":{"rollup":{"child":"Invoice__c","lookup":"Account__c","function":"sum","field":"Amount__c"}}}',
	q(add Invoice__c {"name":"Customer__c","type":"string","length":255,"calculated":true,"sandbox":{"formula":"sf_value('Account', \"Account__c\", 'Name')"}}));
$client->admin('POST', 'schema', join "\n", @schema)->{status} == 200 or BAIL_OUT('the org takes no fields');
ask('DROP SCHEMA crm CASCADE; CREATE SCHEMA crm; IMPORT FOREIGN SCHEMA crm FROM SERVER sf INTO crm;');

my $often = q(every => '2 seconds', lookback => '20 seconds', compare_every => '15 seconds');
my $never = q(every => '1 day', lookback => '20 seconds', compare_every => '1 day');
# By schedule, and by events alone where there are events.
my %mirror = (
	account => { object => 'Account', how => "$often, formula_every => '4 seconds', chunk_rows => 100" },
	contact => { object => 'Contact', how => "$often, chunk_rows => 200" },
	lead => { object => 'Lead', how => "$often, deletes => 'mark'", live => 'WHERE deleted_at IS NULL' },
	invoice__c => { object => 'Invoice__c', how => "$often, formula_every => '4 seconds'" },
	opportunity => { object => 'Opportunity', how => $often },
	case => { object => 'Case', how => $often });
ask("SELECT ampsf.mirror('crm.\"$_\"', '\"$_\"', $mirror{$_}{how})") for sort keys %mirror;

# -------- what has to be so at any time: rows and what is known of them are one transaction --------
my $consistent = "BEGIN ISOLATION LEVEL REPEATABLE READ;\n" . join('',
	map { "SELECT '$_: ' || d.rows || ' rows are known, ' || n || ' are there' FROM ampsf.mirror_definition d, (SELECT count(*) AS n FROM \"$_\") t "
		  . "WHERE d.target = '\"$_\"'::regclass AND d.rows <> n;\n" } sort keys %mirror)
  . "COMMIT;";

sub check_consistent
{
	my ($after) = @_;
	my $wrong = ask($consistent);
	is($wrong, '', "after $after: rows and what is known of them agree");
	return;
}

# -------- the run --------
my @objects = map { $mirror{$_}{object} } sort keys %mirror;
my @writers = map { AmpsfWriter->start(port => $c->{port}, seed => $seed + $_, objects => \@objects, every => 0.06) } 1 .. 3;

my @faults = (
	map({ "path=*/query*;count=2;$_" } 'do=status', 'do=reset-middle', 'do=reset-before', 'do=truncate-json', 'do=status;status=400;code=QUERY_TIMEOUT', 'do=expire-token', 'do=delay;ms=1500', 'do=html', 'do=dead-locator'),
	map({ "path=*/$_" } 'recordCount*;do=reset-after', 'deleted*;do=status;status=500', 'deleted*;do=reset-middle', 'limits*;do=expire-token', 'jobs/query*;do=status', 'jobs/query*;do=job-failed', 'results*;do=drop-rows'),
	'path=*/oauth2/token;do=status;status=503', 'count=4;do=expire-token', 'percent=20;count=10;do=status', 'percent=20;count=10;do=reset-before');
my %struck;

# Somebody else's process, or nobody's.
sub kill_backend
{
	my ($condition) = @_;
	my $pid = ask("SELECT pid FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND $condition ORDER BY random() LIMIT 1");
	return 0 unless $pid =~ /^\d+$/;
	kill 'KILL', $pid;
	sleep 0.3;
	until_true('the server is back', 60, sub { $c->psql('SELECT 1')->{out} eq '1' }) or BAIL_OUT('the server does not come back');
	return 1;
}

my @troubles = (
	[ 6, 'fault', sub { my $f = one(@faults); $struck{faults}++; $client->admin('POST', 'faults', $f) } ],
	[ 2, 'expired sessions', sub { $client->admin('POST', 'expire-sessions') } ],
	[ 1, 'a later clock', sub { $client->admin('POST', 'org?skew=' . (-40 + ++$struck{'a later clock'})) } ],
	[ 2, 'kill -9 of the org', sub { kill_org() } ],
	[ 1, 'kill -9 of the launcher', sub { kill_backend("backend_type = 'ampsf launcher'") and check_consistent('kill -9 of the launcher') } ],
	[ 3, 'kill -9 of a worker', sub { kill_backend("backend_type LIKE 'ampsf %' AND backend_type <> 'ampsf launcher'") and check_consistent('kill -9 of a worker') } ],
	[ 1, 'end of a worker', sub { ask("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE backend_type LIKE 'ampsf %' ORDER BY random() LIMIT 1"); check_consistent('the end of a worker') } ],
	[ 1, 'kill -9 of CALL sync', sub {
			my $job = $c->background('CALL ampsf.sync(\'' . one(map { qq("$_") } sort keys %mirror) . '\')');
			sleep rand 0.3;
			my $done = kill_backend("query LIKE 'CALL ampsf.sync%'");
			$c->finish($job);
			check_consistent('kill -9 of CALL sync') if $done;
		} ]);
@troubles = grep { !$without{kills} || $_->[1] !~ /kill/ } @troubles;
my @bag = map { my $t = $_; ($t) x $t->[0] } @troubles;

until_true('mirrors are filled', 60, sub { ask('SELECT count(*) FROM ampsf.mirror_definition WHERE watermark IS NULL') eq '0' }) or fail('mirrors fill by themselves');
$client->admin('POST', 'org?late-percent=10&late-ms=1500');
my $began = time;
# First without troubles: how long it takes is measured then.
my $calm = $seconds * 0.2;
while (time < $began + $seconds)
{
	if (time > $began + $calm)
	{
		my $t = one(@bag);
		$t->[2]->();
		$struck{ $t->[1] }++;
	}
	sleep 0.5 + rand 1.5;
}

# -------- quiet --------
$client->admin('DELETE', 'faults');
my %did;
for my $w (@writers)
{
	my $did = $w->stop;
	$did{$_} += $did->{$_} for keys %$did;
}
diag('changes: ' . join ', ', map { "$_ $did{$_}" } sort keys %did);
diag('troubles: ' . join ', ', map { "$_ $struck{$_}" } sort keys %struck);
$client->admin('POST', 'org?late-percent=0');
sleep 1.2;
my $quiet = ask("SELECT ampsf.server_time('crm.account')");
my $status = 'SELECT target, stage, watermark, compared_at, formulas_at, failures, last_error, next_run FROM ampsf.mirror_definition ORDER BY 1::text';
ask("SELECT ampsf.resume(target) FROM ampsf.mirror_definition");
ok(until_true('mirrors are up to date', 90, sub {
			ask("SELECT count(*) FROM ampsf.mirror_definition WHERE NOT (stage = 'idle' AND watermark > '$quiet'::timestamptz AND compared_at > '$quiet'::timestamptz "
				  . "AND (formula_every IS NULL OR formulas_at > '$quiet'::timestamptz))") eq '0'
		}), 'each mirror has had its run') or diag(ask($status));

# -------- the org and its mirrors --------
for my $m (sort keys %mirror)
{
	my $live = $mirror{$m}{live} || '';
	my $columns = ask("SELECT string_agg(quote_ident(attname), ', ') FROM pg_attribute WHERE attrelid = 'crm.\"$m\"'::regclass AND attnum > 0 AND NOT attisdropped");
	my ($here, $there) = (qq(SELECT $columns FROM "$m" $live), qq(SELECT $columns FROM crm."$m"));
	my $wrong = ask("SELECT 'here ' || t FROM (($here) EXCEPT ALL ($there)) t UNION ALL SELECT 'there ' || t FROM (($there) EXCEPT ALL ($here)) t ORDER BY 1 DESC LIMIT 10");
	is($wrong, '', "$m: every row and every value is the org's");
	is(ask("SELECT string_agg(v::text, ' ') FROM ampsf.verify('\"$m\"', thorough => true) v"), '', "$m: verify finds nothing");
	# By another client, in another way.
	my %rows = map { my ($id, $stamp) = split /\|/; ($id => $stamp) } split /\n/, ask(qq(SELECT id || '|' || to_char(systemmodstamp AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS') FROM "$m" $live));
	my @differ = grep { ($rows{ $_->{Id} } || '') ne substr $_->{SystemModstamp}, 0, 19 } my @all = @{ $client->query("SELECT Id, SystemModstamp FROM $mirror{$m}{object}") };
	ok(!@differ && @all == keys %rows && @all > 0, "$m: " . @all . ' rows, as the REST API has them') or diag(encode_json([ @differ[0 .. 3] ]));
}
check_consistent('the run');
is(ask("SELECT count(*) FROM ampsf.mirror_run WHERE state = 'running'"), '0', 'no run is left open');
diag('runs: ' . join ', ', split /\n/, ask("SELECT state || ' ' || count(*) || ' (' || sum(calls) || ' calls, ' || sum(interruptions) || ' interruptions)' FROM ampsf.mirror_run GROUP BY state ORDER BY 1"));
done_testing();
