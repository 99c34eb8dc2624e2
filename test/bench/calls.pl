#!/usr/bin/perl
# API calls of typical queries, next to those of a foreign data wrapper without pushdown: that one reads every
# table of the query whole, a call for each page of 2,000 rows, and joins, filters and counts what it got.
#
#   test/bench/calls.pl [accounts]        prints a Markdown table; the org holds that many accounts (5000)
#
# Calls are counted by the org, not by who makes them: lines of its log below /services/data.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/../t/lib";
use AmpsfTest;
use POSIX qw(ceil);

my $accounts = $ARGV[0] || 5000;
my $c = AmpsfTest->start(seed => "push:$accounts", args => '--now 2026-07-01T00:00:00Z');

$c->run_sql(<<'SQL');
SET client_min_messages = warning;
CREATE TABLE signups AS SELECT email, n AS score FROM (SELECT email, row_number() OVER () AS n FROM
	(SELECT email FROM crm.contact WHERE email IS NOT NULL ORDER BY id LIMIT 1000) c) s WHERE n % 2 = 0;
INSERT INTO signups VALUES (NULL, 0), ('nobody@example.com', 1);
CREATE TABLE watched AS SELECT ext_id__c, n AS weight FROM (SELECT ext_id__c, row_number() OVER () AS n FROM crm.account LIMIT 300) a;
ANALYZE signups, watched;
CREATE MATERIALIZED VIEW pipeline AS SELECT id, name, stagename, amount FROM crm.opportunity WHERE NOT isclosed;
CREATE UNIQUE INDEX ON pipeline (id);
CREATE TABLE crm.people (id text, lastname text, email text, createddate timestamptz) PARTITION BY RANGE (id);
CREATE FOREIGN TABLE crm.people_contact PARTITION OF crm.people FOR VALUES FROM ('003') TO ('004') SERVER sf OPTIONS (object 'Contact');
CREATE FOREIGN TABLE crm.people_lead PARTITION OF crm.people FOR VALUES FROM ('00Q') TO ('00R') SERVER sf OPTIONS (object 'Lead');
ANALYZE crm.account, crm.contact, crm.opportunity, crm.invoice__c, crm.lead;
SQL
my $id      = $c->value('SELECT max(id) FROM crm.account');
my $contact = $c->value('SELECT max(id) FROM crm.contact WHERE email IS NOT NULL');

# What, the tables that it is about, the statement.
my @queries = (
	['one row by Id', 'account', "SELECT name, industry FROM crm.account WHERE id = '$id'"],
	['one row by external id', 'account', "SELECT name FROM crm.account WHERE ext_id__c = 'push-77'"],
	['fifty rows by a list of Ids', 'account', "SELECT name FROM crm.account WHERE id = ANY (ARRAY(SELECT id FROM crm.account LIMIT 50))"],
	['`count(*)`', 'contact', 'SELECT count(*) FROM crm.contact'],
	['`count(*)` of a condition', 'opportunity', "SELECT count(*) FROM crm.opportunity WHERE closedate >= '2024-06-01' AND NOT isclosed"],
	['`min`, `max` of a date', 'opportunity', 'SELECT min(closedate), max(closedate) FROM crm.opportunity'],
	['`GROUP BY` with `HAVING`', 'opportunity', 'SELECT accountid, count(*) FROM crm.opportunity GROUP BY accountid HAVING count(*) > 3'],
	['`GROUP BY` a flag', 'opportunity', 'SELECT isclosed, count(*), max(closedate) FROM crm.opportunity GROUP BY isclosed'],
	['`SELECT DISTINCT`', 'contact', 'SELECT DISTINCT ownerid FROM crm.contact'],
	['the ten latest', 'contact', 'SELECT lastname, createddate FROM crm.contact ORDER BY createddate DESC LIMIT 10'],
	['any ten rows', 'contact', 'SELECT lastname FROM crm.contact LIMIT 10'],
	['a day, by `::date`', 'contact', "SELECT lastname FROM crm.contact WHERE createddate::date = '2024-01-15'"],
	['what has changed since', 'account', "SELECT id, name FROM crm.account WHERE systemmodstamp >= timestamptz '2026-06-15'"],
	['text without case, by pattern', 'account', "SELECT id FROM crm.account WHERE name ILIKE 'alpha 4%'"],
	['join child to parent, condition on the parent', 'contact account',
		"SELECT c.lastname, a.name FROM crm.contact c JOIN crm.account a ON a.id = c.accountid WHERE a.numberofemployees > 4800 AND c.createddate >= '2024-01-01'"],
	['three levels', 'contact account user',
		"SELECT c.lastname, a.name, u.name FROM crm.contact c JOIN crm.account a ON a.id = c.accountid JOIN crm.\"user\" u ON u.id = a.ownerid WHERE c.id = '$contact'"],
	['parents that have a child (`EXISTS`)', 'account opportunity',
		"SELECT a.name FROM crm.account a WHERE a.numberofemployees > 4800 AND EXISTS (SELECT FROM crm.opportunity o WHERE o.accountid = a.id AND NOT o.isclosed)"],
	['parents that have none (`NOT EXISTS`)', 'account opportunity',
		"SELECT a.name FROM crm.account a WHERE a.numberofemployees > 4800 AND NOT EXISTS (SELECT FROM crm.opportunity o WHERE o.accountid = a.id)"],
	['500 local rows joined by e-mail', 'contact', 'SELECT s.score, c.id FROM signups s JOIN crm.contact c ON c.email = s.email'],
	['300 local rows joined by external id', 'account', 'SELECT w.weight, a.id FROM watched w LEFT JOIN crm.account a ON a.ext_id__c = w.ext_id__c'],
	['a partitioned table, one partition pruned', 'contact lead', "SELECT lastname FROM crm.people WHERE id = '$contact'"],
	['a partitioned table, both partitions', 'contact lead', "SELECT lastname FROM crm.people WHERE createddate >= '2026-06-01'"],
	['refresh of a materialized view', 'opportunity', 'REFRESH MATERIALIZED VIEW CONCURRENTLY pipeline'],
	['a condition that nothing can meet', 'account', "SELECT id FROM crm.account WHERE createddate = 'infinity'"]);

my %rows;
printf "An org of %s.\n\n", join ', ', map { "$rows{$_} $_ rows" }
  grep { $rows{$_} = $c->value(qq(SELECT count(*) FROM crm."$_")) } qw(account contact lead opportunity user);
print "| query | API calls | without pushdown |\n|---|--:|--:|\n";
my ($ours, $theirs) = (0, 0);
for (@queries)
{
	my ($what, $tables, $sql) = @$_;
	$c->mark;
	$c->value($sql);
	my @calls = grep { $_->{path} =~ m{^/services/data/} && !$_->{inner} } $c->log;
	my $whole = 0;
	$whole += ceil($rows{$_} / 2000) || 1 for split ' ', $tables;
	printf "| %s | %d | %d |\n", $what, scalar @calls, $whole;
	$ours += @calls;
	$theirs += $whole;
}
printf "| **all of them** | **%d** | **%d** |\n", $ours, $theirs;
$c->stop;
