# Change events: what the org tells comes into ampsf.change once, in order, whatever happens on the way.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use AmpsfTest;
use JSON::PP;
use Test::More;
use Time::HiRes qw(sleep);

# A part of an address that became null is left out: one of two readings, the other one is in suite subscribe.
my $c = AmpsfTest->start(seed => 'demo', args => '--null-parts absent', conf => [ 'ampsf.max_sync_workers = 4', 'log_min_messages = log' ]);

# What another client of the org does.
sub rest
{
	my ($method, $path, $body) = @_;
	my ($status, $text) = $c->rest($method, $path, $body);
	die "$method $path: $status $text" unless $status =~ /^2/;
	return $text ? decode_json($text) : undef;
}

sub events { return $c->admin('POST', "events?$_[0]"); }

sub status { return $c->value("SELECT $_[0] FROM ampsf.subscription_status ORDER BY id LIMIT 1"); }

sub connected
{
	my ($what) = @_;
	ok($c->poll(sub { return $c->psql('SELECT state FROM ampsf.subscription_status ORDER BY id LIMIT 1')->{out} eq 'connected' }), $what);
	return;
}

my @made;

# A new contact; its event is to come, and only once.
sub new_contact
{
	my ($name) = @_;
	my $id = rest('POST', 'sobjects/Contact', { LastName => $name })->{id};
	push @made, $id;
	return $id;
}

sub arrived
{
	my ($id, $what) = @_;
	ok($c->poll(sub { return $c->psql("SELECT count(*) FROM ampsf.change WHERE record_id = '$id'")->{out} ne '0' }), $what);
	return;
}

sub rows { return $c->value("SELECT type, $_[1] FROM ampsf.change WHERE record_id = '$_[0]' ORDER BY id"); }

events('timeout-ms=2000&scheme=oauth');
$c->run_sql("SELECT ampsf.subscribe('sf', ARRAY['Account', 'Contact', 'Invoice__c'])");
connected('a subscription is followed without more ado');
ok($c->poll(sub { return status('quota_left > 0, failures, last_error IS NULL, heartbeat IS NOT NULL') eq 't|0|t|t' }), 'its state is shown');

# -------- what is told --------
my $id = rest('POST', 'sobjects/Contact',
	{ FirstName => 'Marie', LastName => 'Curie', MailingCity => 'Paris', MailingStreet => 'Rue', Title => 'a' })->{id};
rest('PATCH', "sobjects/Contact/$id", { Title => undef, LastName => 'Sklodowska', MailingCity => undef });
rest('DELETE', "sobjects/Contact/$id");
$c->http('POST', "/__sandbox/undelete?id=$id");
arrived($id, 'events come');
$c->poll(sub { return $c->value("SELECT count(*) FROM ampsf.change WHERE record_id = '$id'") == 4 });
is(rows($id, "values ->> 'LastName', values ? 'Title', values ->> 'Title', values ? 'MailingCity', values ->> 'MailingCity', values ->> 'MailingStreet'"),
	"CREATE|Curie|t|a|t|Paris|Rue\nUPDATE|Sklodowska|t||t||\nDELETE||||||\nUNDELETE|Sklodowska|f||f||Rue",
	'each kind: values by the names of fields, explicit nulls, nothing that was not told');
is($c->value("SELECT changed_fields @> '{LastName,Title,MailingCity}' AND NOT changed_fields && '{MailingStreet,FirstName}' FROM ampsf.change "
	  . "WHERE record_id = '$id' AND type = 'UPDATE'"), 't', 'changed fields by the same names');
is($c->value("SELECT count(DISTINCT transaction_key), bool_and(commit_number > 2::bigint ^ 53), bool_and(origin LIKE '%rest%'), bool_and(commit_user LIKE '005%'), "
	  . "bool_and(abs(extract(epoch FROM received - committed)) < 60) FROM ampsf.change WHERE record_id = '$id'"),
	'4|t|t|t|t', 'transactions, with numbers in full');

# One event with many Ids is as many rows.
my @accounts = split /\n/, $c->value('SELECT id FROM crm.account ORDER BY id LIMIT 20');
$c->run_sql("UPDATE crm.account SET description = 'the same for all' WHERE id IN ('" . join("','", @accounts) . "')");
$c->poll(sub { return $c->value("SELECT count(*) FROM ampsf.change WHERE object = 'Account'") >= @accounts });
is($c->value("SELECT count(*), count(DISTINCT record_id), count(DISTINCT replay_id) < count(*) FROM ampsf.change WHERE object = 'Account' AND type = 'UPDATE'"),
	scalar(@accounts) . '|' . scalar(@accounts) . '|t', 'an event of many records is a row for each');
rest('POST', 'sobjects/Invoice__c', { Amount__c => 1.5 });
ok($c->poll(sub { return $c->value("SELECT count(*) FROM ampsf.change WHERE object = 'Invoice__c'") eq '1' }), 'custom objects');

# Gaps and overflows.
events("gap=UPDATE&ids=$id");
events('gap=OVERFLOW&object=Account');
$c->poll(sub { return $c->value("SELECT count(*) FROM ampsf.change WHERE type LIKE 'GAP%'") == 2 });
is($c->value("SELECT type, object, record_id = '$id', values IS NULL FROM ampsf.change WHERE type LIKE 'GAP%' ORDER BY id"),
	"GAP_UPDATE|Contact|t|t\nGAP_OVERFLOW|Account||t", 'gaps');

# -------- who listens is told, after the commit --------
# psql tells what it has heard after each statement.
my $ear = $c->background("LISTEN ampsf_change;\n\\! touch $c->{base}/listening\n"
	  . join("\n", map { "SELECT pg_sleep(0.2) AS ear;" } 1 .. 3000));
$c->poll(sub { return -e "$c->{base}/listening" });
my $heard = new_contact('Heard');
arrived($heard, 'another event');
my $told = qr/"ampsf_change" with payload "\{"subscription" : 1, "objects" : \["Contact"\], "first" : \d+, "last" : \d+\}"/;
ok($c->poll(sub { return AmpsfTest::_slurp($ear->{out}->filename) =~ $told }), 'a notification names subscription, objects and rows');
$c->run_sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE '%AS ear;' AND pid <> pg_backend_pid()");
$c->finish($ear);

# -------- whatever happens to the connection, nothing is lost and nothing doubled --------
events('drop=all');
new_contact('after the session was dropped');
arrived($made[-1], 'the org has forgotten its client: a new handshake, from the last replay id');
for my $time ('once', 'twice', 'three times', 'four times')
{
	$c->expire_sessions;
	$c->login_again;
	new_contact("after the token died $time");
	arrived($made[-1], "the token has died $time: a new login");
}
is(status('failures'), '0', 'and no failure');
my @faults = (
	[ 'reset-before', 'the connection breaks before the answer' ],
	[ 'reset-middle', 'the connection breaks in the middle of the answer' ],
	[ 'reset-after', 'the answer is lost' ],
	[ 'truncate-json', 'half of an answer' ],
	[ 'status;status=503', 'a gateway without its server' ],
	[ 'status;status=401', 'no longer authorized, by HTTP' ],
	[ 'html;status=200', 'a page of somebody else' ],
	[ 'status;status=400;body=[{"channel":"/meta/connect","successful":false,"error":"400::no cookie present"}]', 'a cookie is missed' ]);
for my $f (@faults)
{
	$c->fault("path=/cometd/*;match=meta/connect;count=1;do=$f->[0]");
	new_contact($f->[1]);
	arrived($made[-1], $f->[1]);
	ok($c->poll(sub { return $c->struck > 0 }), '... which has happened');
	$c->clear_faults;
}
$c->fault('path=/cometd/*;match=meta/subscribe;count=1;do=reset-after');
events('drop=all');
new_contact('a subscription that was not answered');
arrived($made[-1], 'a subscription that was not answered');
$c->clear_faults;
events('busy=2');
events('drop=all');
new_contact('too busy');
arrived($made[-1], 'the org is too busy for handshakes, for a while');

for my $limit ([ 'daily=0', 'daily=25000', qr/daily limit exceeded/ ], [ 'clients=0&drop=all', 'clients=20', qr/concurrent user limit exceeded/ ])
{
	events($limit->[0]);
	new_contact("beyond the limit: $limit->[0]");
	ok($c->poll(sub { return status('last_error') =~ $limit->[2] }), "$limit->[0]: the reason is shown");
	is(status('failures'), '0', 'and it is tried again by itself');
	events($limit->[1]);
	arrived($made[-1], 'until there is room');
}

# An answer that does not come at all: a fifth of the advised time later the connection is given up.
$c->fault('path=/cometd/*;match=meta/connect;count=1;do=stall');
new_contact('no answer');
arrived($made[-1], 'no answer in time');
$c->clear_faults;

# Killed, again and again, in the middle of a stream of changes.
for my $round (1 .. 2)
{
	connected('followed');
	my $worker = status('worker');
	new_contact("round $round, $_") for 1 .. 5;
	ok($c->crash($worker), "round $round: killed");
	new_contact("round $round, while nobody listens");
	$c->run_sql('SELECT count(*) FROM crm.account');
}
arrived($made[-1], 'killed, and started again');
my $list = join "','", @made;
is($c->value("SELECT count(*), count(DISTINCT record_id), bool_and(type = 'CREATE') FROM ampsf.change WHERE record_id IN ('$list')"),
	scalar(@made) . '|' . scalar(@made) . '|t', 'every change once');
is($c->value("SELECT count(*) FROM (SELECT replay_id < lag(replay_id) OVER (ORDER BY id) AS back FROM ampsf.change) r WHERE back"), '0', 'in order');
is($c->value("SELECT array_agg(record_id ORDER BY id) = ARRAY['$list'] FROM ampsf.change WHERE record_id IN ('$list')"), 't', 'that of the changes');

# -------- a pause, and one that is too long --------
$c->run_sql('SELECT ampsf.pause_subscription(1)');
ok($c->poll(sub { return status('worker IS NULL') eq 't' }), 'a pause ends the worker');
is(status('state'), 'paused', 'and shows');
new_contact('in a pause');
$c->run_sql('SELECT ampsf.resume_subscription(1)');
arrived($made[-1], 'what was told in a pause comes after it');
$c->run_sql('SELECT ampsf.pause_subscription(1)');
$c->poll(sub { return status('worker IS NULL') eq 't' });
new_contact('never told');
my $never = pop @made;
events('expire=now');
$c->run_sql('SELECT ampsf.resume_subscription(1)');
connected('the events between are gone: it goes on');
ok($c->poll(sub { return $c->value("SELECT string_agg(object, ' ' ORDER BY object) FROM ampsf.change WHERE type = 'LOST'") eq 'Account Contact Invoice__c' }), 'and says so, of each object');
is(status('lost, epoch'), '1|1', 'in the status, too');
new_contact('after the loss');
arrived($made[-1], 'new ones come');
is(rows($never, 'id'), '', 'what was lost is not made up');

# -------- two roles, each with its own --------
$c->run_sql("GRANT USAGE ON FOREIGN SERVER sf TO guest; GRANT USAGE ON SCHEMA ampsf TO guest; GRANT EXECUTE ON FUNCTION ampsf.subscribe TO guest;"
	  . "CREATE USER MAPPING FOR guest SERVER sf OPTIONS (client_id 'sandbox', client_secret 'sandbox')");
$c->run_sql("SELECT ampsf.subscribe('sf', ARRAY['Contact'], events => ARRAY['create'], watch_fields => '[\"Title\"]')", user => 'guest');
ok($c->poll(sub { return $c->value('SELECT state FROM ampsf.subscription_status', user => 'guest') eq 'connected' }), 'a second role follows');
is($c->value("SELECT a.usename FROM pg_stat_activity a, ampsf.subscription_status s WHERE a.pid = s.worker AND s.owner = 'guest'::regrole"), 'guest', 'in its own name');
new_contact('for both');
arrived($made[-1], 'one event');
ok($c->poll(sub { return $c->value("SELECT count(*) FROM ampsf.change WHERE record_id = '$made[-1]'") eq '2' }), 'for two subscriptions');
is($c->value('SELECT count(*), count(DISTINCT owner) FROM ampsf.change', user => 'guest'), '1|1', 'each sees its own');
$c->run_sql('SELECT ampsf.unsubscribe(id) FROM ampsf.subscription_status', user => 'guest');
ok($c->poll(sub { return $c->value("SELECT count(*) FROM pg_stat_activity WHERE usename = 'guest' AND application_name LIKE 'ampsf events %'") eq '0' }),
	'unsubscribed, its worker has nothing to do');

# -------- a refusal is shown, and tried again later --------
sub told_of_failures { return scalar(() = $c->server_log =~ /subscription 1 failed: /g) }
my $failures_told = told_of_failures();
$c->run_sql("UPDATE ampsf.subscription SET channel = '/data/Nowhere__chn'");
events('drop=all');
ok($c->poll(sub { return status('state') eq 'failed' }), 'a channel that is gone: failed');
like(status('last_error'), qr/could not follow channel .*does ?n.t exist/, 'with the reason');
# It is tried again, and fails again.
ok($c->poll(sub { return status('failures > 0, next_try > now(), worker IS NULL') eq 't|t|t' }), 'until the next try');
ok($c->poll(sub { $c->run_sql('UPDATE ampsf.subscription SET next_try = now(); SELECT ampsf.wake()'); return status('failures > 1') eq 't' }), 'it fails again');
is(told_of_failures() - $failures_told, 1, 'and the log is told once');
$c->run_sql("UPDATE ampsf.subscription SET channel = regexp_replace(channel, 'Nowhere', (SELECT b.r ->> 'DeveloperName' FROM jsonb_array_elements("
	  . "(ampsf.request('sf', 'GET', 'tooling/query?q=SELECT Id, DeveloperName FROM PlatformEventChannel')).body -> 'records') b (r) LIMIT 1))");
$c->run_sql('SELECT ampsf.resume_subscription(1)');
connected('resumed');
new_contact('after the refusal');
arrived($made[-1], 'and nothing was missed');

$c->fault('path=/cometd/*;match=meta/subscribe;count=1;do=status;status=200;body=[{"channel":"/meta/subscribe","successful":false,'
	  . '"error":"403::User not allowed to subscribe CDC without View All Data permissions"}]');
events('drop=all');
ok($c->poll(sub { return status('last_error') =~ /View All Data permissions.*Give the user the permission/ }), 'a permission is missing: which, and what to do');
$c->clear_faults;
$c->run_sql('SELECT ampsf.resume_subscription(1)');
connected('resumed');

# -------- into mirrors, by themselves --------
$c->run_sql("SELECT ampsf.mirror('crm.contact', 'public.contact', every => '1 day')");
ok($c->poll(sub { return $c->value("SELECT phase FROM ampsf.mirror_status") eq 'ready' }), 'a mirror');
my $live = new_contact('Live');
ok($c->poll(sub { return $c->value("SELECT lastname FROM contact WHERE id = '$live'") eq 'Live' }), 'takes new rows');
rest('PATCH', "sobjects/Contact/$live", { Title => 'changed' });
ok($c->poll(sub { return $c->value("SELECT title FROM contact WHERE id = '$live'") eq 'changed' }), 'changes');
rest('DELETE', "sobjects/Contact/$live");
ok($c->poll(sub { return $c->value("SELECT count(*) FROM contact WHERE id = '$live'") eq '0' }), 'and deletions');
events("gap=UPDATE&ids=$id");
ok($c->poll(sub { return $c->value("SELECT applied_to >= (SELECT max(c.id) FROM ampsf.change c WHERE c.object = 'Contact') FROM ampsf.mirror_definition") eq 't' }), 'gaps too');

# -------- a pause that comes while a mirror reads what an event did not tell --------
events('timeout-ms=110000');
$c->fault('path=*/query*;count=0;do=hold');
events("gap=UPDATE&ids=$id");
ok($c->poll(sub { return $c->struck > 0 }), 'a row is read');
$c->run_sql('SELECT ampsf.pause_subscription(1)');
sleep 0.2; # so that the pause comes first: without it nothing is tested
$c->clear_faults;
ok($c->poll(sub { return status('worker IS NULL') eq 't' }), 'the worker ends when the row is there, long before the next answer of the org');
$c->run_sql('SELECT ampsf.resume_subscription(1)');
connected('resumed');

# -------- ends at once, and leaves nothing --------
my $worker = status('worker');
kill 'TERM', $worker;
ok($c->poll(sub { return !kill 0, $worker }), 'SIGTERM ends the worker');
$c->run_sql('SELECT count(*) FROM crm.account');
connected('another one takes its place');
$c->run_sql('SELECT ampsf.unsubscribe(1)');
is(scalar(keys %{ $c->admin('GET', 'events')->{selected} }), 0, 'nothing is left in the org');
ok($c->poll(sub { return $c->value("SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'ampsf events %'") eq '0' }), 'nor a worker');
is($c->value('SELECT count(*) FROM ampsf.change'), '0', 'nor a row');
unlike($c->server_log, qr/PANIC|TRAP|Assert|ERROR: /, 'no error in the log');

$c->stop;
done_testing;
