# Account Engagement: more than 100,000 rows, calls at once, the day's calls, and failures.  A read gives all rows or
# an error; a write is done once, or not at all, or its error says that nobody knows.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use AmpsfTest;
use Test::More;
use Time::HiRes qw(sleep);

my $c = AmpsfTest->start(seed => 'empty', args => '--ae-prospects 250000');
my $url = $c->url;
$c->run_sql(<<"END");
SET client_min_messages = warning;
CREATE SERVER ae FOREIGN DATA WRAPPER ampsf_fdw OPTIONS (instance_url '$url', engagement_url '$url',
	module 'account_engagement', business_unit_id '0Uv5e0000000001CAA', max_retries '2');
CREATE USER MAPPING FOR postgres SERVER ae OPTIONS (client_id 'sandbox', client_secret 'sandbox');
CREATE SCHEMA ae;
IMPORT FOREIGN SCHEMA account_engagement FROM SERVER ae INTO ae OPTIONS (extra_fields 'prospects.firstName');
END

sub set { $c->admin('POST', "ae?$_[0]"); }
sub counters { return $c->admin('GET', 'ae-stats'); }
sub calls { return scalar grep { $_->{path} =~ m{^/api/v5/} } $c->log; }

# ---- more rows than a sequence of tokens gives ----

my $live = 250000 - int((250000 - 14) / 97) - 1;    # every 97th is in the recycle bin
$c->mark;
is($c->value('SELECT count(*), count(DISTINCT id) FROM ae.prospects'), "$live|$live", 'all rows, beyond 100,000');
is(calls(), 248, '... in pages of 1,000');
is($c->value('SELECT count(*), count(DISTINCT id), count(*) FILTER (WHERE id >= before) FROM
	(SELECT id, lag(id) OVER () AS before FROM (SELECT id FROM ae.prospects ORDER BY id DESC) s) t'),
	"$live|$live|0", 'in descending order of Id');
for my $order ('updatedat', 'updatedat DESC')
{
	my $wrong = $order =~ /DESC/ ? '>' : '<';
	is($c->value("SELECT count(*), count(DISTINCT id), count(*) FILTER (WHERE updatedat $wrong before) FROM
		(SELECT id, updatedat, lag(updatedat) OVER () AS before FROM (SELECT id, updatedat FROM ae.prospects ORDER BY $order) s) t"),
		"$live|$live|0", "ORDER BY $order");
}
$c->mark;
is($c->value('SELECT count(*) FROM (SELECT id FROM ae.prospects ORDER BY updatedat DESC LIMIT 1500) t'), '1500', 'LIMIT');
is(calls(), 2, '... reads no further');
$c->run_sql("ALTER FOREIGN TABLE ae.prospects OPTIONS (ADD transport 'bulk')");
set('export-rows=100000');
is($c->value('SELECT count(*), count(DISTINCT id), count(firstname) FROM ae.prospects'),
	"$live|$live|" . $c->value('SELECT count(firstname) FROM (SELECT firstname FROM ae.prospects ORDER BY id) t'),
	'the same by exports');
$c->run_sql("ALTER FOREIGN TABLE ae.prospects OPTIONS (DROP transport)");

$c->admin('POST', 'ae?prospects=3000');
$c->reset_org('empty');
$live = 3000 - int((3000 - 14) / 97) - 1;
my $read = 'SELECT count(*), count(DISTINCT id) FROM ae.prospects';

# Exports of neighbouring ranges overlap: records of the seconds where one ends and the next begins.
for my $second (56 .. 59)
{
	$c->admin('POST', "now?t=2024-12-25T23:59:${second}Z");
	$c->run_sql("INSERT INTO ae.prospects (email) VALUES ('at$second\@example.com')");
}
for my $second (0 .. 2)
{
	$c->admin('POST', "now?t=2024-12-26T00:00:0${second}Z");
	$c->run_sql("INSERT INTO ae.prospects (email) VALUES ('at$second\@example.com')");
}
$c->admin('POST', 'now?t=off');
$live += 7;
$c->run_sql("ALTER FOREIGN TABLE ae.prospects OPTIONS (ADD transport 'bulk')");
is($c->value($read), "$live|$live", 'where one export ends and the next begins: no row lost or doubled');
$c->run_sql("ALTER FOREIGN TABLE ae.prospects OPTIONS (DROP transport)");

# ---- sequences that end early ----

my $condition = "FROM ae.visitors WHERE updatedat >= '2024-02-01'";
my $newest = $c->value("SELECT count(*), sum(hashint8(id)) FROM (SELECT id, updatedat FROM ae.visitors OFFSET 0) visitors WHERE updatedat >= '2024-02-01'");
set('sequence=500');
is($c->value("SELECT count(*), sum(hashint8(id)) $condition"), $newest, 'newest first, more than a sequence: no row lost or doubled');
set('sequence=1000');
like($c->psql('SELECT count(*) FROM (SELECT id FROM ae.visitors ORDER BY updatedat DESC LIMIT 1600) t')->{err},
	qr/ERROR:  54000: .*in order of updatedAt/, 'an order that cannot be taken up again: an error');
is($c->value('SELECT count(*) FROM (SELECT id FROM ae.visitors ORDER BY updatedat DESC LIMIT 900) t'), '900', '... but not where it is not needed');
is($c->value($read), "$live|$live", 'by Id');
# 300 records of one second
set('sequence=200');
$c->run_sql("ALTER FOREIGN TABLE ae.prospects OPTIONS (ADD page_size '200')");
$c->admin('POST', 'now?t=2026-06-01T12:00:00Z');
$c->run_sql("UPDATE ae.prospects SET firstname = 'same' WHERE id < 1000900");
$c->admin('POST', 'now?t=off');
like($c->psql('SELECT id FROM ae.prospects ORDER BY updatedat DESC')->{err}, qr/ERROR:  \w{5}: could not read records.*share one second/s,
	'more rows in a second than a sequence has: an error');
set('sequence=600');
is($c->value('SELECT count(*), count(DISTINCT id) FROM (SELECT id FROM ae.prospects ORDER BY updatedat DESC) t'), "$live|$live",
	'a second that is cut in two: no row lost or doubled');
is($c->value('SELECT count(*), count(DISTINCT id) FROM (SELECT id FROM ae.prospects ORDER BY updatedat) t'), "$live|$live", '... in either direction');
$c->run_sql('ALTER FOREIGN TABLE ae.prospects OPTIONS (DROP page_size)');
set('sequence=100000');
set('token-seconds=0');
like($c->psql($read)->{err}, qr/210: Page token has expired/, 'a token that is too old');
set('token-seconds=14400');

# ---- failures ----

is($c->value($read), "$live|$live", 'without faults all rows are read');
for my $f (
	['503', 'do=status;status=503', 'all'],
	['code 66', 'do=status;status=400;body={"code":66,"message":"too many"}', 'all'],
	['code 202', 'do=status;status=400;body={"code":202,"message":"Minute rate limit met"}', 'all'],
	['code 122', 'do=status;status=400;body={"code":122,"message":"Daily API rate limit met."}', 'error'],
	['reset before the answer', 'do=reset-before', 'all'],
	['reset inside the body', 'do=reset-middle', 'all'],
	['truncated JSON', 'do=truncate-json', 'error'],
	['content type', 'do=content-type', 'error'],
	['HTML page', 'do=html', 'all'],
	['expired token', 'do=expire-token', 'all'],
	['no word of a next page', 'do=status;status=200;body={"values":[{"id":1}]}', 'error'],
	['a record without an id', 'do=status;status=200;body={"values":[{"email":"x"}],"nextPageToken":null}', 'error'],
  )
{
	my ($name, $do, $want) = @$f;
	for my $skip (0, 1)
	{
		for my $count (1, 0)
		{
			$c->clear_faults;
			$c->fault("path=/api/v5/objects/prospects;skip=$skip;count=$count;$do");
			my $r = $c->psql($read);
			my $struck = $c->struck;
			my $end = $r->{err} =~ /ERROR/ ? 'error' : $r->{out} eq "$live|$live" ? 'all' : "'$r->{out}'";
			is($end, $count == 1 ? $want : 'error', "$name, page " . ($skip + 1) . ($count ? '' : ', for ever')) or diag($r->{err});
			ok($struck > 0, '... struck');
		}
	}
}
$c->clear_faults;

# ---- five calls at once ----

$c->reset_org('empty');
$live -= 7;
$c->fault('path=/api/v5/objects/*;count=0;do=hold');
my @jobs = map { $c->background($read) } 1 .. 9;
ok($c->poll(sub { $c->struck == 5 }), 'five calls are under way');
set('ms=20');
$c->clear_faults;
my @results = map { $c->finish($_) } @jobs;
is(scalar(grep { $_->{out} eq "$live|$live" } @results), 9, 'nine sessions at once');
my $n = counters();
cmp_ok($n->{mostAtOnce}, '<=', 5, '... never have more than five calls under way');
is($n->{refusedAtOnce}, 0, '... and none is refused');
# Others than this cluster take some of the five.
$c->run_sql("ALTER SERVER ae OPTIONS (SET max_retries '20')");
set('concurrent=2');
set('ms=10');
@jobs = map { $c->background($read) } 1 .. 4;
@results = map { $c->finish($_) } @jobs;
is(scalar(grep { $_->{out} eq "$live|$live" } @results), 4, 'code 66 is waited for');
$c->run_sql("ALTER SERVER ae OPTIONS (SET max_retries '2')");
set('concurrent=0');
$c->mark;
my $r = $c->psql($read);
like($r->{err}, qr/ERROR:  53400: could not read records.*66: /s, '... but not for ever');
is(calls(), 3, '... max_retries says how often');
set('concurrent=5');
# Slots of sessions that end in the middle of a call.
my $hold = 'path=/api/v5/objects/*;count=0;do=hold';
my $asleep = "SELECT count(*) FROM pg_stat_activity WHERE query = 'SELECT 1 FROM ae.tags'";
$c->admin('POST', 'reset?seed=empty');
$c->fault($hold);
@jobs = map { $c->background('SELECT 1 FROM ae.tags') } 1 .. 7;
ok($c->poll(sub { $c->struck == 5 && $c->value($asleep) == 7 }), 'five of seven sessions are in a call');
is($c->value("SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE query = 'SELECT 1 FROM ae.tags'"), '7', 'sessions are ended while they wait');
$c->finish($_) for @jobs;
$c->clear_faults;
# The org works on what nobody waits for any more.
$c->poll(sub { $c->psql('SELECT 1 FROM ae.tags')->{err} eq '' });
$c->admin('POST', 'reset?seed=empty');
$c->fault($hold);
@jobs = map { $c->background('SELECT count(*) FROM ae.tags') } 1 .. 7;
ok($c->poll(sub { $c->struck == 5 }), '... and give their slots back, all five');
$c->clear_faults;
@results = map { $c->finish($_) } @jobs;
is(scalar(grep { $_->{out} eq '40' } @results), 7, '... so that others have their turn');
cmp_ok(counters()->{mostAtOnce}, '<=', 5, '... and no more than five at once');
set('ms=0');

# ---- the calls of a day ----

$c->reset_org('empty');
$c->value($read);
my $used = counters()->{calls};
set('daily-limit=' . ($used + 2));
$r = $c->psql($read);
like($r->{err}, qr/ERROR:  53400: .*122: Daily API rate limit met\. \(\d+ of \d+ API calls used\)/s, 'the day ends in the middle of a read: an error');
is($r->{out}, '', '... and no count');
$c->mark;
$r = $c->psql($read);
ok(calls() == 1 && $r->{err} =~ /122/, '... and nobody runs against the wall');
set('daily-limit=25000');
$c->run_sql("ALTER SERVER ae OPTIONS (ADD quota_reserve '24999')");
$r = $c->psql('SELECT count(*) FROM ae.tags; SELECT count(*) FROM ae.tags; SELECT count(*) FROM ae.tags');
like($r->{err}, qr/ERROR:  53400: /, 'quota_reserve is of the business unit\'s calls') or diag($r->{out}, $r->{err});
is($c->value("SELECT max, used < 30 FROM ampsf.limits('ae')"), '25000|t', '... and limits can be asked all the same');
$c->run_sql("ALTER SERVER ae OPTIONS (DROP quota_reserve)");

# ---- writes ----

sub count_of { return $c->value("SELECT count(*) FROM ae.prospects WHERE id > 1008990 AND email = '$_[0]'"); }
my $w = 'path=/api/v5/objects/prospects;method=POST;count=1';
$c->fault("$w;do=reset-after");
$r = $c->psql("INSERT INTO ae.prospects (email) VALUES ('lost\@example.com')");
like($r->{err}, qr/ERROR:  08007: .*unknown/s, 'an answer that is lost: nobody knows');
is(count_of('lost@example.com'), '1', '... and the record was not created twice');
$c->clear_faults;
$c->fault("$w;do=status;status=400;body={\"code\":66,\"message\":\"too many\"}");
$c->run_sql("INSERT INTO ae.prospects (email) VALUES ('patient\@example.com')");
is(count_of('patient@example.com'), '1', 'a create that was turned away is sent again');
$c->clear_faults;
$c->fault("$w;do=status;status=503");
like($c->psql("INSERT INTO ae.prospects (email) VALUES ('busy\@example.com')")->{err}, qr/ERROR/, 'one that met another error is not');
is(count_of('busy@example.com'), '0', '... and does not exist');
$c->clear_faults;
$c->fault('path=/api/v5/objects/prospects/*;method=PATCH;count=1;do=reset-after');
$c->run_sql("UPDATE ae.prospects SET firstname = 'again' WHERE id > 1008990 AND email = 'lost\@example.com'");
is($c->value("SELECT firstname FROM ae.prospects WHERE id > 1008990 AND email = 'lost\@example.com'"), 'again', 'an update is repeated');
$c->clear_faults;
$c->fault('path=/api/v5/objects/prospects/*;method=DELETE;count=1;do=reset-after');
$r = $c->psql("DELETE FROM ae.prospects WHERE id > 1008990 AND email = 'lost\@example.com'");
is(count_of('lost@example.com'), '0', 'a delete as well') or diag($r->{err});
$c->clear_faults;
$c->mark;
$c->fault($hold);
my $many = $c->background("INSERT INTO ae.prospects (email) SELECT 'many' || i || '\@example.com' FROM generate_series(1, 12) i");
ok($c->poll(sub { $c->struck == 5 }), 'five creates at once');
$c->clear_faults;
is($c->finish($many)->{err}, '', '... of twelve');
is(calls(), 12, 'a call for each record');
is($c->value("SELECT count(*) FROM ae.prospects WHERE id > 1008990 AND email LIKE 'many%'"), '12', '... and all are there');
cmp_ok(counters()->{mostAtOnce}, '<=', 5, '... never more at once');
unlike($c->server_log, qr/00D\w{12}!|client_secret=/, 'no token in the server\'s log');
done_testing();
