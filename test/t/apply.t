# Change events and mirrors: whatever comes when, and whatever dies meanwhile, once all events are applied the
# mirror is the org.  The events are made of random changes, by comparing each record with what was told of it last.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use AmpsfTest;
use Test::More;
use Time::HiRes qw(sleep);

my $c = AmpsfTest->start(seed => 'demo', conf => ['log_min_messages = error', 'synchronous_commit = on']);
my $seed = $ENV{AMPSF_TEST_SEED} || 1;
srand($seed);
diag("random changes: AMPSF_TEST_SEED=$seed");

$c->run_sql(<<'SQL');
CREATE FOREIGN TABLE few (key text OPTIONS (field 'Id'), who text OPTIONS (field 'LastName'), "Firm" text OPTIONS (field 'Company'),
	staff int OPTIONS (field 'NumberOfEmployees'), changed timestamptz OPTIONS (field 'LastModifiedDate')) SERVER sf OPTIONS (object 'lead');
CREATE TABLE told (id text PRIMARY KEY, record jsonb);
-- What a record is, without what no event tells.
CREATE FUNCTION look(ids text[]) RETURNS TABLE (id text, record jsonb) LANGUAGE sql AS $$
	SELECT r->>'Id', r - ARRAY['attributes', 'Name', 'SystemModstamp', 'Address', 'IsDeleted']
	FROM ampsf.query('sf', format('SELECT FIELDS(ALL) FROM Lead WHERE Id IN (%s) LIMIT 200', (SELECT string_agg(quote_literal(i), ',') FROM unnest(ids) i))) r
$$;
CREATE FUNCTION tell(ids text[], kind text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	PERFORM ampsf.change_lock('sf');
	WITH now AS (
		SELECT i AS id, l.record, t.record AS old, jsonb_strip_nulls(l.record) AS entire,
			(SELECT jsonb_object_agg(x.key, x.value) FROM jsonb_each(l.record) x WHERE t.record->x.key IS DISTINCT FROM x.value) AS part
		FROM unnest(ids) i LEFT JOIN look(ids) l ON l.id = i LEFT JOIN told t ON t.id = i
	), kept AS (
		INSERT INTO told SELECT id, record FROM now WHERE record IS NOT NULL ON CONFLICT (id) DO UPDATE SET record = excluded.record)
	INSERT INTO ampsf.change (subscription, server, replay_id, object, record_id, type, changed_fields, "values", committed)
		SELECT 1, 'sf', (SELECT coalesce(max(replay_id), 0) + 1 FROM ampsf.change), 'Lead', id, kind,
			CASE WHEN kind = 'UPDATE' THEN ARRAY(SELECT jsonb_object_keys(part)) END,
			CASE kind WHEN 'UPDATE' THEN part WHEN 'CREATE' THEN entire WHEN 'UNDELETE' THEN entire END,
			coalesce((record->>'LastModifiedDate')::timestamptz, ampsf.server_time('crm.lead'))
		FROM now WHERE kind <> 'UPDATE' OR part IS NOT NULL;
END $$;
CREATE FUNCTION pick(n int) RETURNS text[] LANGUAGE sql VOLATILE AS $$
	SELECT array_agg(id) FROM (SELECT id FROM told WHERE record IS NOT NULL ORDER BY random() LIMIT n) t
$$;
CREATE FUNCTION change_org(n int) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
	dice float8;
	ids text[];
BEGIN
	FOR i IN 1 .. n LOOP
		dice := random();
		IF dice < 0.25 THEN
			WITH made AS (INSERT INTO crm.lead (lastname, company, city, numberofemployees) SELECT 'New ' || g || md5(random()::text), 'Firm',
				CASE WHEN random() < 0.5 THEN 'Ulm' END, CASE WHEN random() < 0.5 THEN g END FROM generate_series(1, 1 + (random() * 3)::int) g RETURNING id)
				SELECT array_agg(id) INTO ids FROM made;
			PERFORM tell(ids, 'CREATE');
		ELSIF dice < 0.8 THEN
			-- one event of several records, and several of one within a second
			ids := pick(1 + (random() * 2)::int);
			FOR k IN 1 .. 1 + (random() * 2)::int LOOP
				CASE (random() * 5)::int
					WHEN 0 THEN UPDATE crm.lead SET title = md5(random()::text), phone = NULL WHERE id = ANY (ids);
					WHEN 1 THEN UPDATE crm.lead SET lastname = 'Name ' || md5(random()::text) WHERE id = ANY (ids);
					WHEN 2 THEN UPDATE crm.lead SET city = 'Town ' || (random() * 100)::int, phone = (random() * 1e6)::int WHERE id = ANY (ids);
					WHEN 3 THEN UPDATE crm.lead SET numberofemployees = (random() * 1e6)::int, annualrevenue = (random() * 1e6)::numeric(10, 2) WHERE id = ANY (ids);
					WHEN 4 THEN UPDATE crm.lead SET description = E'lines\n' || md5(random()::text), numberofemployees = NULL WHERE id = ANY (ids);
					ELSE UPDATE crm.lead SET company = 'Firm "' || (random() * 100)::int || '" & Söhne' WHERE id = ANY (ids);
				END CASE;
				PERFORM tell(ids, CASE WHEN random() < 0.1 THEN 'GAP_UPDATE' ELSE 'UPDATE' END);
			END LOOP;
		ELSE
			ids := pick(1);
			DELETE FROM crm.lead WHERE id = ANY (ids);
			UPDATE told SET record = NULL WHERE id = ANY (ids);
			PERFORM tell(ids, CASE WHEN random() < 0.1 THEN 'GAP_DELETE' ELSE 'DELETE' END);
		END IF;
	END LOOP;
END $$;
SELECT setseed(0.5);
SELECT ampsf.mirror('crm.lead'), ampsf.mirror('crm.lead', 'marked', deletes => 'mark'), ampsf.mirror('few', 'few_copy');
CALL ampsf.sync('lead');
CALL ampsf.sync('marked');
CALL ampsf.sync('few_copy');
INSERT INTO told SELECT l.* FROM look((SELECT array_agg(id) FROM lead)) l;
SQL

# All columns of all rows, both ways.
sub differences
{
	return $c->value(<<'SQL');
	SELECT concat_ws(' ', (SELECT count(*) FROM ((SELECT * FROM lead EXCEPT SELECT * FROM crm.lead) UNION ALL (SELECT * FROM crm.lead EXCEPT SELECT * FROM lead)) d),
		(SELECT count(*) FROM ((SELECT to_jsonb(m) - 'deleted_at' FROM marked m WHERE deleted_at IS NULL EXCEPT SELECT to_jsonb(l) FROM crm.lead l)
			UNION ALL (SELECT to_jsonb(l) FROM crm.lead l EXCEPT SELECT to_jsonb(m) - 'deleted_at' FROM marked m WHERE deleted_at IS NULL)) d),
		(SELECT count(*) FROM ((TABLE few_copy EXCEPT TABLE few) UNION ALL (TABLE few EXCEPT TABLE few_copy)) d))
SQL
}

sub undelete_one
{
	my $id = $c->value('SELECT id FROM told WHERE record IS NULL ORDER BY random() LIMIT 1') or return;
	my ($status) = $c->http('POST', "/__sandbox/undelete?id=$id");
	$c->run_sql("SELECT tell(ARRAY['$id'], 'UNDELETE')") if $status == 200;
	return;
}

my $seeded = sprintf '%.4f', rand;
my $waiting = 'SELECT count(*) FROM ampsf.change c, ampsf.mirror_definition d WHERE c.id > d.applied_to';

# -------- in any order: events at once and late, runs between them that see what is not told yet --------
for my $round (1 .. 14)
{
	my $n = 1 + int(rand 12);
	$c->run_sql("SELECT setseed($seeded), change_org($n)");
	$seeded = sprintf '%.4f', rand;
	undelete_one() if rand() < 0.5;
	my $dice = rand;
	$c->run_sql("CALL ampsf.sync('lead')") if $dice < 0.3;
	$c->run_sql("CALL ampsf.sync('marked')") if $dice > 0.2 && $dice < 0.4;
	next if $dice > 0.7;
	$c->run_sql('SELECT ampsf.mirror_apply_due(1)');
	is($c->value($waiting), 0, "round $round: no event waits");
	is(differences(), '0 0 0', 'the mirrors are the org');
}
is($c->value("SELECT count(*) FROM ampsf.mirror_status s WHERE rows <> CASE target::text WHEN 'lead' THEN (SELECT count(*) FROM lead) "
			. "WHEN 'marked' THEN (SELECT count(*) FROM marked) ELSE (SELECT count(*) FROM few_copy) END"), 0, 'rows are counted right');
is($c->value("SELECT count(*) FROM ampsf.mirror_run WHERE kind = 'events' AND target = 'few_copy'::regclass AND rows_read > 0") ne '', 1, 'reads are counted');
is($c->value('SELECT count(*) FROM marked WHERE deleted_at IS NOT NULL') > 0, 1, 'deleted rows are marked');

# -------- several at once: changes, appliers, runs; nobody waits for ever, and nothing is lost --------
my @jobs = (
	$c->background("SELECT setseed(0.25), change_org(30)"),
	$c->background(join "\n", ('SELECT ampsf.mirror_apply_due(1);') x 40),
	$c->background(join "\n", ('SELECT ampsf.mirror_apply_due();') x 40),
	$c->background(join "\n", ("CALL ampsf.sync('lead');", "CALL ampsf.sync('marked');") x 5),
	$c->background(join "\n", ("CALL ampsf.sync('marked');", "SELECT ampsf.verify('lead');") x 5),
);
for my $job (@jobs)
{
	my $r = $c->finish($job);
	is(join("\n", grep { /ERROR/ && !/being synchronized by another session/ } split /\n/, $r->{err}), '', 'no error');
}
$c->run_sql('SELECT ampsf.mirror_apply_due()');
is(differences(), '0 0 0', 'the mirrors are the org');
is($c->value('SELECT count(event_error) FROM ampsf.mirror_definition'), 0, 'no event failed');

# -------- killed while rows are read for the events: nothing of the batch is there, then all of it --------
$c->run_sql("SELECT setseed(0.75), change_org(6), tell(pick(3), 'GAP_UPDATE')");
my $before = $c->value('SELECT array_agg((target, applied_to, events) ORDER BY target) FROM ampsf.mirror_definition');
my $rows = $c->value('SELECT md5(string_agg(l::text, chr(10) ORDER BY id)) FROM lead l');
$c->fault('path=*/query*;match=FROM Lead;count=0;do=delay;ms=3600000');
my $job = $c->background('SELECT ampsf.mirror_apply_due()');
ok($c->poll(sub { return $c->struck > 0 }), 'it waits for the org');
ok($c->crash($c->value("SELECT pid FROM pg_stat_activity WHERE query LIKE 'SELECT ampsf.mirror_apply_due%' AND pid <> pg_backend_pid()")), 'and dies');
$c->finish($job);
$c->clear_faults;
is($c->value('SELECT array_agg((target, applied_to, events) ORDER BY target) FROM ampsf.mirror_definition'), $before, 'no event counts as applied');
is($c->value('SELECT md5(string_agg(l::text, chr(10) ORDER BY id)) FROM lead l'), $rows, 'and no row has changed');
$c->run_sql('SELECT ampsf.mirror_apply_due()');
is(differences(), '0 0 0', 'after the next time the mirrors are the org');

# -------- events that are gone: what stands for them leads to a run --------
$c->run_sql('SELECT max(applied_to) AS past FROM ampsf.mirror_definition \gset
	SELECT setseed(0.1), change_org(12);
	DELETE FROM ampsf.change WHERE id > :past;
	SELECT change_org(2);
	INSERT INTO ampsf.change (subscription, server, object, type) VALUES (1, \'sf\', \'Lead\', \'LOST\');
	SELECT change_org(2);
	UPDATE ampsf.mirror_definition SET next_run = \'infinity\';
	SELECT ampsf.mirror_apply_due(1)');
isnt(differences(), '0 0 0', 'events are missing');
is($c->value('SELECT bool_and(next_run <= now() AND compare_asked) FROM ampsf.mirror_definition'), 't', 'the mirrors are due');
sleep 1.1;
$c->run_sql('CALL ampsf.sync_due()');
is(differences(), '0 0 0', 'and then they are the org');

# -------- many events: some thousands a time, and the same rows --------
$c->run_sql(q{
	INSERT INTO ampsf.change (subscription, server, replay_id, object, record_id, type, changed_fields, "values", committed)
		SELECT 1, 'sf', 1000000 + g, 'Lead', l.id, 'UPDATE', ARRAY['Title', 'LastModifiedDate'], jsonb_build_object('Title', 'n ' || g, 'LastModifiedDate', '2040-01-01T00:00:00.000Z'),
			'2040-01-01' FROM generate_series(1, 6000) g, LATERAL (SELECT id FROM lead ORDER BY id OFFSET g % 50 LIMIT 1) l;
	SELECT ampsf.mirror_apply_due(1);
	SELECT ampsf.mirror_apply_due(1);
});
is($c->value("SELECT count(*), count(DISTINCT title), min(substr(title, 3)::int), max(substr(title, 3)::int) FROM lead WHERE title LIKE 'n %'"),
	'50|50|5951|6000', 'of each row the last word');
is($c->value($waiting), 0, 'all are applied');

# -------- by Ampersand's webhook: several sessions take messages at once, each twice, in any order --------
$c->admin('POST', 'events?select=Lead');
$c->run_sql(<<"SQL");
CREATE SERVER amp FOREIGN DATA WRAPPER ampsf_fdw OPTIONS (connection 'ampersand', project '0d4f6c2e-7a51-4c1c-9a53-2f1f0c9d8e7b',
	integration 'salesforce', group_ref 'acme', proxy_url 'http://127.0.0.2:$c->{port}');
CREATE USER MAPPING FOR CURRENT_USER SERVER amp OPTIONS (api_key 'sandbox-api-key', webhook_secret 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw');
CREATE SCHEMA hooked;
IMPORT FOREIGN SCHEMA crm LIMIT TO (lead) FROM SERVER amp INTO hooked;
SELECT ampsf.mirror('hooked.lead', 'hooked.mirror');
CALL ampsf.sync('hooked.mirror');
SELECT setseed(0.6), change_org(25);
SQL
sub hooked
{
	return $c->value('SELECT count(*) FROM ((TABLE hooked.mirror EXCEPT TABLE hooked.lead) UNION ALL (TABLE hooked.lead EXCEPT TABLE hooked.mirror)) d');
}
isnt(hooked(), 0, 'the org has changed');
my ($status, $messages) = $c->http('GET', '/__sandbox/amp-messages?object=Lead&fields=Id,LastName,City,LastModifiedDate&secret=MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw');
$messages =~ s/'/''/g;
$c->run_sql("CREATE TABLE message AS SELECT n, m->>'body' AS body, m->'headers' AS headers FROM jsonb_array_elements('$messages') WITH ORDINALITY x (m, n)");
my $n = $c->value('SELECT count(*) FROM message');
@jobs = map {
	my $k = $_;
	$c->background(join "\n", map { "SELECT ampsf.webhook(convert_to(body, 'UTF8'), headers, 'amp') FROM message WHERE n = $_;" }
		  sort { ($a * 7 + $k) % 5 <=> ($b * 7 + $k) % 5 || $a <=> $b } grep { $_ % 4 == $k || ($_ + 1) % 4 == $k } 1 .. $n)
} 0 .. 3;
is($c->finish($_)->{err}, '', 'no error') for @jobs;
is($c->value('SELECT count(*) FROM ampsf.webhook_message'), $n, "each of $n messages is taken once");
is($c->value('SELECT sum(events) FROM ampsf.webhook_message'), $c->value("SELECT count(*) FROM ampsf.change WHERE server = 'amp'"), 'and its events are there');
$c->run_sql('SELECT ampsf.mirror_apply_due()');
is($c->value("SELECT count(*) FROM ampsf.change c, ampsf.mirror_definition d WHERE d.target = 'hooked.mirror'::regclass AND c.server = 'amp' AND c.id > d.applied_to"), 0,
	'no event waits');
is(hooked(), 0, 'the mirror is the org');

$c->stop;
done_testing;
