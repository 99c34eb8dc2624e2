# A short run of the backend under valgrind: no invalid access and no lost memory with a function of ours
# in its stack.  Skipped where valgrind is missing.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
BEGIN { $ENV{AMPSF_TEST_TIMEOUT} ||= 600; }
use AmpsfTest;
use Test::More;

plan skip_all => 'valgrind is not installed' if system('valgrind --version >/dev/null 2>&1') != 0;

my $c = AmpsfTest->start(seed => 'big:2500', args => '--rotate-refresh-tokens', conf => ['ampsf.max_sync_workers = 1'], valgrind => 1);
my $r = $c->psql(q{
	SELECT count(*), count(lower(lastname)), count(systemmodstamp) FROM crm.contact;
	SELECT count(*) FROM crm.contact WHERE systemmodstamp >= now() - interval '1 day' AND lastname <> 'x';
	SELECT count(*) FROM (SELECT * FROM crm.contact LIMIT 20) t;
	EXPLAIN (VERBOSE, ANALYZE) SELECT id FROM crm.contact WHERE lastname LIKE 'a%' LIMIT 5;
	INSERT INTO crm.contact (lastname, title) SELECT 'Valgrind', 'x' FROM generate_series(1, 5) RETURNING id;
	UPDATE crm.contact SET title = 'y' WHERE lastname = 'Valgrind';
	DELETE FROM crm.contact WHERE lastname = 'Valgrind';
	SELECT count(*) FROM ampsf.limits('sf');
	SELECT count(*) FROM ampsf.query('sf', 'SELECT Id FROM Contact LIMIT 3');
	SELECT count(*) FROM ampsf.doctor('sf');
	SELECT count(*) FROM ampsf.query('sf', 'SELECT Nothing FROM Contact');
	BEGIN; DECLARE cur CURSOR FOR SELECT lastname FROM crm.contact; FETCH 1 FROM cur; ROLLBACK;
	CREATE SCHEMA again; IMPORT FOREIGN SCHEMA crm LIMIT TO (account, contact) FROM SERVER sf INTO again;
	SELECT 1 FROM crm.contact WHERE 1 / (length(lastname) - length(lastname)) = 1;
	SELECT 'end', ampsf.disconnect('sf') IS NULL;
}, limit => 600);
like($r->{out}, qr/^2500\|2500\|2500$/m, 'the scans ran under valgrind') or diag($r->{err});
like($r->{out}, qr/^end\|/m, 'to the end') or diag($r->{err});
unlike($r->{err}, qr/server closed the connection/, 'and the backend lived');

# The way in, and the rest of the org: a login by code, a refresh token that is replaced and stored, calls and refusals.
$r = $c->psql(q{
	SELECT status, body->'totalSize', bytes FROM ampsf.request('sf', 'GET', 'query?q=SELECT Id FROM Contact LIMIT 3', headers => '{"X-Custom": "1"}');
	SELECT status, body->>'body' FROM ampsf.request('sf', 'POST', '/services/apexrest/echo', '{"a": 1}');
	SELECT status, length(bytes) FROM ampsf.request('sf', 'GET', '/services/apexrest/nul');
	SELECT ampsf.request('sf', 'GET', '/services/%6fauth2/token');
	SELECT count(*) > 0 FROM ampsf.objects('sf'), ampsf.fields('sf', 'Account'), ampsf.describe('sf', 'Account');
	SELECT count(*) > 0 FROM ampsf.relationships('sf'), ampsf.picklist_values('sf', 'Account');
	SELECT count(*) FROM ampsf.search('sf', 'FIND {nothing} RETURNING Account(Name)');
	SELECT count(*) > 0 FROM ampsf.report('sf', '00O5g0000000002');
	ALTER USER MAPPING FOR postgres SERVER sf OPTIONS (ADD refresh_token 'sandbox');
	SELECT count(*) FROM crm.account; SELECT count(*) FROM (SELECT ampsf.disconnect('sf')) d; SELECT count(*) FROM crm.account;
	SELECT ampsf.login('sf', 'x');
	SELECT ampsf.login_url('sf') AS url \gset
	\setenv AUTHORIZE :url
	\set location `curl -s -D - -o /dev/null "${AUTHORIZE%%\?*}" -d "${AUTHORIZE#*\?}" -d username=admin@sandbox.example -d password=sandbox -d decision=allow | sed -n 's/^Location: //p' | tr -d '\r'`
	SELECT ampsf.login('sf', replace(:'location', 'state=', 'state=x'));
	SELECT scope FROM ampsf.login('sf', :'location');
	SELECT count(*) FROM crm.account;
	ALTER USER MAPPING FOR postgres SERVER sf OPTIONS (DROP refresh_token, DROP rotation);
}, limit => 600);
like($r->{out}, qr/^200\|3\|\n200\|\{"a": 1\}\n200\|10\n.*\n100\n1\n100\napi refresh_token\n100$/s, 'calls and logins under valgrind') or diag($r->{out}, $r->{err});

# A fault in the middle, and a cancel: the ways out that are used least.
$c->fault('path=*/query/*;count=1;do=truncate-json');
$c->psql('SELECT count(lower(lastname)) FROM crm.contact', limit => 600);
$c->clear_faults;
$c->fault('path=*/query/*;count=1;do=delay;ms=3600000');
$r = $c->psql("SET statement_timeout = '2s'; SELECT count(lower(lastname)) FROM crm.contact", limit => 600);
is(AmpsfTest::sqlstate($r), '57014', 'a cancel under valgrind');
$c->clear_faults;

# Writes with every row's outcome: upserts, rows that are kept, conditions, files, a row in doubt.
$r = $c->psql(q{
	CREATE FOREIGN TABLE rows (id text OPTIONS (field 'Id'), lastname text OPTIONS (field 'LastName'), title text OPTIONS (field 'Title'), ext text OPTIONS (field 'Ext_Id__c'),
			changed timestamptz OPTIONS (field 'SystemModstamp'), account_ext text OPTIONS (parent_key 'Account.Ext_Id__c'), created boolean OPTIONS (ampsf_created 'true'))
		SERVER sf OPTIONS (object 'Contact', on_error 'continue', batch_size '3', client_name 'x', upsert_key 'Ext_Id__c');
	INSERT INTO rows (lastname, ext, account_ext) VALUES ('a', 'v1', NULL), (NULL, 'v2', NULL), ('c', 'v3', NULL), ('d', 'v4', 'nobody');
	INSERT INTO rows (lastname, ext) VALUES ('a', 'v1') RETURNING created;
	ALTER FOREIGN TABLE rows OPTIONS (ADD if_unchanged 'on', DROP upsert_key);
	UPDATE rows SET title = 'y' WHERE ext IN ('v1', 'v3');
	DELETE FROM rows WHERE ext = 'v3';
	INSERT INTO rows (lastname, ext) VALUES ('a', 'v1') ON CONFLICT DO NOTHING;
	ALTER FOREIGN TABLE rows OPTIONS (SET if_unchanged 'off');
	UPDATE rows SET title = 'z' WHERE id > '003' AND changed > '2100-01-01';
	INSERT INTO crm.contentversion (title, pathonclient, versiondata) SELECT 't', 'p', decode(repeat('ab', 5000000), 'hex') RETURNING id IS NOT NULL;
	SELECT length(versiondata) FROM crm.contentversion WHERE contentsize > 1000000;
	SELECT count(*) FROM ampsf.write_error;
	DELETE FROM rows WHERE ext = 'v1';
}, limit => 600);
like($r->{out}, qr/^f\nt\n5000000\n2$/, 'outcomes of rows under valgrind') or diag($r->{out}, $r->{err});
$c->fault('path=*/composite/sobjects;count=1;do=delay;ms=3600000');
$c->psql("SELECT count(*) FROM ampsf.limits('sf'); SET statement_timeout = '15s'; INSERT INTO crm.contact (lastname) VALUES ('doubt')", limit => 600);
$c->clear_faults;
is($c->value('SELECT count(*) FROM ampsf.write_error', limit => 600), '3', '... and a row in doubt');

# Changes that wait for the commit: savepoints, a file, a refusal, an answer that is lost.
$r = $c->psql(q{
	CREATE FOREIGN TABLE late (id text OPTIONS (field 'Id'), lastname text, title text)
		SERVER sf OPTIONS (object 'Contact', write_at 'commit', commit_overflow 'batches');
	SET work_mem = '64kB';
	BEGIN;
	INSERT INTO late (lastname, title) SELECT 'late', repeat('x', 100) FROM generate_series(1, 400);
	SAVEPOINT s; INSERT INTO late (lastname) SELECT 'later' FROM generate_series(1, 300); ROLLBACK TO s;
	DO $$ BEGIN FOR i IN 1 .. 20 LOOP BEGIN INSERT INTO late (lastname) VALUES ('late'); IF i % 2 = 0 THEN RAISE division_by_zero; END IF;
		EXCEPTION WHEN division_by_zero THEN NULL; END; END LOOP; END $$;
	INSERT INTO late (lastname) SELECT 'late' FROM generate_series(1, 100);
	COMMIT;
	SELECT count(*) FROM late WHERE lastname LIKE 'late%';
	INSERT INTO late (title) VALUES ('nobody');
}, limit => 600);
is($r->{out}, '510', 'changes wait under valgrind') or diag($r->{err});
is(AmpsfTest::sqlstate($r), '23502', '... and a refusal') or diag($r->{err});
$c->fault('path=*/composite/graph;count=1;do=reset-after');
$r = $c->psql("INSERT INTO late (lastname) VALUES ('lost')", limit => 600);
is(AmpsfTest::sqlstate($r), '08007', '... and an outcome that nobody knows') or diag($r->{err});
$c->clear_faults;
$c->run_sql("DELETE FROM late WHERE lastname IN ('late', 'lost')", limit => 600);

# A live view: pages, a file of rows that do not fit into memory, an error in the middle, a cursor that is left; and counts of parts.
$r = $c->psql(q{
	CREATE FOREIGN TABLE person (id text OPTIONS (field 'Id'), lastname text OPTIONS (field 'LastName'), createddate timestamptz OPTIONS (field 'CreatedDate'),
		systemmodstamp timestamptz OPTIONS (field 'SystemModstamp'), address jsonb OPTIONS (field 'MailingAddress', type 'address'))
		SERVER sf OPTIONS (object 'Contact', page_size '500');
	\o /dev/null
	SELECT ampsf.mirror('person', 'p', live_view => true);
	CALL ampsf.sync('p');
	UPDATE ampsf.mirror_definition SET watermark = '2020-01-01', deleted_to = now() - interval '1 day';
	SET work_mem = '64kB';
	EXPLAIN (ANALYZE) SELECT count(*) FROM p_now;
	SELECT 1 / (length(id) - 18) FROM p_now;
	BEGIN; DECLARE cur CURSOR FOR SELECT lastname FROM p_now; FETCH 1 FROM cur; SAVEPOINT s; SELECT 1 / (length(id) - 18) FROM p_now; ROLLBACK;
	\o
	SELECT count(*) = (SELECT count(*) FROM person) FROM p_now a JOIN p_now b USING (id);
	SELECT sum(rows) > 0 FROM ampsf.span_counts('person', 'SystemModstamp', 'part', '2024-01-01', '2024-02-01');
	SELECT ampsf.unmirror('p');
	DROP TABLE p;
}, limit => 600);
like($r->{out}, qr/^t\nt/, 'a live view under valgrind') or diag($r->{out}, $r->{err});

# Change events: a channel, one that goes with its transaction, and the worker, also when its client is forgotten.
$r = $c->psql(q{
	BEGIN; SELECT ampsf.subscribe('sf', ARRAY['Account']) IS NOT NULL; SAVEPOINT s; SELECT ampsf.subscribe('sf', ARRAY['Nothing']); ROLLBACK;
	SELECT ampsf.subscribe('sf', ARRAY['Account', 'Contact']) IS NOT NULL;
}, limit => 600);
is($r->{out}, "t\nt", 'channels under valgrind') or diag($r->{err});
my $state = 'SELECT state FROM ampsf.subscription_status';
ok($c->poll(sub { return $c->value($state) eq 'connected' }), 'a worker under valgrind');
for my $what ('before', 'after')
{
	$c->run_sql("INSERT INTO crm.contact (lastname) VALUES ('$what')", limit => 600);
	ok($c->poll(sub { return $c->value("SELECT count(*) FROM ampsf.change WHERE values ->> 'LastName' = '$what'") eq '1' }), "an event $what");
	$c->admin('POST', 'events?drop=all');
}
$c->run_sql("SELECT ampsf.unsubscribe(id) FROM ampsf.subscription; DELETE FROM crm.contact WHERE lastname IN ('before', 'after')", limit => 600);

# The same by Bulk: pages that break off and are asked for again, a job that is left, and a cancel.
$c->run_sql("ALTER SERVER sf OPTIONS (ADD transport 'bulk')", limit => 600);
$c->admin('POST', 'bulk?page-rows=700');
$c->fault('path=*/results;skip=1;do=reset-middle');
$c->fault('path=*/results;skip=3;do=bad-row');
$r = $c->psql(q{
	SELECT count(*), count(lower(lastname)), count(c::text) FROM crm.contact c;
	SELECT count(*) FROM (SELECT id FROM crm.contact UNION ALL SELECT id FROM crm.account) q WHERE length(id) = 18;
	SELECT count(*) FROM (SELECT * FROM crm.contact WHERE length(lastname) > 1 LIMIT 20) t;
	SELECT count(*) FROM ampsf.jobs_cleanup('sf', '0');
	SELECT 1 FROM crm.contact WHERE 1 / (length(lastname) - length(lastname)) = 1;
}, limit => 600);
like($r->{out}, qr/^2500\|2500\|2500\n2600\n20\n/, 'reads by Bulk under valgrind') or diag($r->{out}, $r->{err});
is(AmpsfTest::sqlstate($r), '22012', '... and an error in a row') or diag($r->{err});
$c->clear_faults;
$c->fault('method=POST;path=*/jobs/query;do=job-stuck');
$r = $c->psql("SET statement_timeout = '2s'; SELECT count(lower(lastname)) FROM crm.contact", limit => 600);
is(AmpsfTest::sqlstate($r), '57014', 'a job that does not end is cancelled under valgrind');
$c->clear_faults;
$c->fault('method=POST;path=*/jobs/query;do=slow;bytes-per-second=70');
$r = $c->psql("SET statement_timeout = '2s'; SELECT count(lower(lastname)) FROM crm.contact; SELECT pg_sleep(2), 'slept'", limit => 600);
is(AmpsfTest::sqlstate($r), '57014', 'a job is cancelled while its creation is answered');
$c->clear_faults;
my $dir = $c->dir;
$c->stop;

my ($reports, @ours) = (0);
for my $file (glob "$dir/valgrind.*")
{
	open(my $f, '<', $file) or next;
	local $/;
	my $text = <$f>;
	$reports++;
	while ($text =~ /VALGRINDERROR-BEGIN\n(.*?)VALGRINDERROR-END/sg)
	{
		my $block = $1;
		# PostgreSQL writes unused bytes of its log: that is below whoever commits.
		next if $block =~ /^==\d+== Syscall param pwrite64\(buf\)/;
		push @ours, $block if $block =~ /ampsf_|in [^\s)]*ampsf_fdw\.so/;
	}
}
ok($reports > 2, 'valgrind followed the backends');
is(scalar(@ours), 0, 'no invalid access and no leak of ours') or diag(@ours[0 .. ($#ours > 4 ? 4 : $#ours)]);

done_testing();
