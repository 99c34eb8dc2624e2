#!/usr/bin/perl
# Mirrors: rows a second of a backfill, calls at rest and for a thousand changes, and how long a change takes to arrive.
#
#   AMPSF_BENCH_ROWS=200000 test/bench/mirrors.pl
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib", "$FindBin::Bin/../t/lib";
use AmpsfBench qw($runs columns median);
use AmpsfWriter;
use Time::HiRes qw(sleep time);

my $rows = $ENV{AMPSF_BENCH_ROWS} || 200_000;
$| = 1;

sub backfill
{
	my ($c, $how) = @_;
	$c->sql("SELECT ampsf.mirror('narrow', 'filled', chunk_rows => 50000, parallel => $how)");
	my ($s) = $c->time_sql("CALL ampsf.sync('filled')");
	my $calls = $c->sql('SELECT sum(calls) FROM ampsf.mirror_run');
	my $there = $c->sql('SELECT count(*) FROM filled');
	die "$there rows of $rows\n" if $there != $rows;
	$c->sql("SELECT ampsf.unmirror('filled')", 'DROP TABLE filled');
	return ($s, $calls);
}

print "\nBackfill of $rows contacts, 20 columns, by Bulk jobs: median of $runs\n\n| org | how | s | rows/s | times CREATE TABLE AS | calls |\n|---|---|---:|---:|---:|---:|\n";
for my $ms (0, 150)
{
	my $c = AmpsfBench->start(rows => $rows, args => "--latency-ms $ms", loose => 1);
	my @of = map { "ALTER FOREIGN TABLE narrow DROP COLUMN \"$_\"" } split /\n/, $c->sql("SELECT attname FROM pg_attribute WHERE attrelid = 'crm.contact'::regclass AND attnum > 0 AND NOT attisdropped AND attname <> ALL ('{@{[join ',', columns()]}}')");
	$c->sql('ALTER FOREIGN TABLE crm.contact SET SCHEMA public', 'ALTER FOREIGN TABLE contact RENAME TO narrow', @of, "ALTER SYSTEM SET ampsf.max_sync_workers = 4", 'SELECT pg_reload_conf()', "ALTER FOREIGN TABLE narrow OPTIONS (ADD transport 'bulk')");
	my %s;
	my %calls;
	for (1 .. $runs)
	{
		$c->sql('DROP TABLE IF EXISTS plain');
		my ($s) = $c->time_sql('CREATE TABLE plain AS SELECT * FROM narrow');
		push @{ $s{'CREATE TABLE AS'} }, $s;
		for my $lanes (1, 2, 4)
		{
			my ($t, $n) = backfill($c, $lanes);
			push @{ $s{"parallel => $lanes"} }, $t;
			$calls{"parallel => $lanes"} = $n;
		}
	}
	my $base = median(@{ $s{'CREATE TABLE AS'} });
	for my $how (sort keys %s)
	{
		my $m = median(@{ $s{$how} });
		printf "| %s | %s | %.1f | %d | %.2f | %s |\n", $ms ? "$ms ms away" : 'near', $how, $m, $rows / $m, $m / $base, $calls{$how} // '';
	}
	$c->stop;
}

# One at a time, by another client, each waited for.
my $c = AmpsfBench->start(rows => 5000, loose => 1);
my ($port) = $c->{url} =~ /:(\d+)$/;
my $client = bless { port => $port }, 'AmpsfWriter';
$c->sql("ALTER SYSTEM SET ampsf.max_sync_workers = 4", 'SELECT pg_reload_conf()', "ALTER SERVER sf OPTIONS (SET transport 'auto')",
	"SELECT ampsf.subscribe('sf', '{Account}')", "SELECT ampsf.mirror('crm.contact', every => '10 seconds')", "SELECT ampsf.mirror('crm.account', every => '1 day')",
	'CREATE TABLE seen (way text, sent float8, at timestamptz DEFAULT clock_timestamp())',
	'CREATE FUNCTION seen() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO public.seen (way, sent) VALUES (TG_ARGV[0], substr(to_json(NEW) ->> TG_ARGV[1], 7)::float8); RETURN NULL; END $$',
	q(CREATE TRIGGER seen AFTER UPDATE ON account FOR EACH ROW WHEN (NEW.phone LIKE 'probe %' AND NEW.phone IS DISTINCT FROM OLD.phone) EXECUTE FUNCTION seen('events', 'phone')),
	q(CREATE TRIGGER seen AFTER UPDATE ON contact FOR EACH ROW WHEN (NEW.title LIKE 'probe %' AND NEW.title IS DISTINCT FROM OLD.title) EXECUTE FUNCTION seen('every 10 seconds', 'title')));
sleep 0.2 until $c->sql("SELECT count(*) FROM ampsf.mirror_definition WHERE watermark IS NULL") == 0 && $c->sql('SELECT state FROM ampsf.subscription_status') eq 'connected';

sub calls { return $client->admin('GET', 'stats')->{json}{apiCalls} }

my %ids = map { my $o = $_; ($o => [ map { $_->{Id} } @{ $client->query("SELECT Id FROM $o ORDER BY Id LIMIT 100") } ]) } qw(Account Contact);
my $mine = 0;
sub change
{
	my ($object, $field, $n) = @_;
	$mine++;
	my $r = $client->rest('PATCH', "sobjects/$object/$ids{$object}[$n % 100]", { $field => 'probe ' . time });
	die "$r->{status} $r->{text}\n" if $r->{status} != 204;
	return;
}

print "\nFrom the beginning of a write by REST to the row of the mirror, org near, 500 changes one after the other\n\n| mirror | p50 ms | p99 ms | most | changes seen |\n|---|---:|---:|---:|---:|\n";
my $before = calls();
for my $n (1 .. 500)
{
	change('Account', 'Phone', $n);
	change('Contact', 'Title', $n) if $n % 5 == 0;
	sleep 0.06;
}
sleep 12;
print "| $_ |\n" for split /\n/, $c->sql("SELECT concat_ws(' | ', way, round(1000 * percentile_cont(0.5) WITHIN GROUP (ORDER BY lag)), round(1000 * percentile_cont(0.99) WITHIN GROUP (ORDER BY lag)), round(1000 * max(lag)), count(*)) "
	  . "FROM (SELECT way, extract(epoch FROM at)::float8 - sent AS lag FROM seen) s GROUP BY way ORDER BY way");
printf "\nCalls meanwhile: %d, of them %d for the changes themselves\n", calls() - $before, $mine;

print "\nAPI calls, limits included; long polls of change events are none\n\n| | calls |\n|---|---:|\n";
$c->sql("UPDATE ampsf.mirror_definition SET every = '1 day', next_run = now() + interval '1 day'");
sleep 3;
$before = calls();
sleep 60;
printf "| an hour of a subscription with a mirror, nothing happens | %d |\n", 60 * (calls() - $before);
for my $m (qw(account contact))
{
	$before = calls();
	$c->sql("CALL ampsf.sync('$m')");
	$before = calls();
	$c->sql("CALL ampsf.sync('$m')");
	next if $m eq 'account';
	printf "| a run without changes (session new) | %d |\n| an hour of a mirror that runs every 5 minutes | %d |\n", calls() - $before, 12 * $c->sql("SELECT calls FROM ampsf.mirror_run WHERE target = 'contact'::regclass ORDER BY id DESC LIMIT 1");
}
($before, $mine) = (calls(), 0);
change('Account', 'Phone', $_) for 1 .. 1000;
sleep 0.2 until $c->sql('SELECT count(*) FROM ampsf.mirror_definition d JOIN ampsf.change c ON c.id > d.applied_to WHERE d.target = \'account\'::regclass') == 0;
sleep 2;
printf "| a thousand updates by events | %d |\n", calls() - $before - $mine;
($before, $mine) = (calls(), 0);
change('Contact', 'Title', $_) for 1 .. 1000;
sleep 1.1;
$c->sql("CALL ampsf.sync('contact')");
printf "| a thousand updates (of 100 rows) by one run | %d |\n", calls() - $before - $mine;
$c->stop;
