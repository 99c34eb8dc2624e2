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
use POSIX ();
use Test::More;
use Time::HiRes qw(sleep time);

my $seconds = $ENV{AMPSF_LONG_SECONDS} || 100;
my $seed = $ENV{AMPSF_TEST_SEED} || 1;
my %without = map { $_ => 1 } split /,/, $ENV{AMPSF_LONG_WITHOUT} || '';
binmode $_, ':encoding(UTF-8)' for map { Test::More->builder->$_ } qw(output failure_output todo_output);
diag("AMPSF_TEST_SEED=$seed AMPSF_LONG_SECONDS=$seconds");
srand $seed;

my $file = "/tmp/ampsf-long-$$";
mkdir $file or die "$file: $!";
chmod 0777, $file;
my $me = $$;
END
{
	if ($$ == $me)
	{
		my $status = $?;
		# So that the logs are shown.
		Test::More->builder->is_passing(0) if $status;
		system 'rm', '-rf', $file;
		$? = $status;
	}
}
my $c = AmpsfTest->start(seed => 'push:150', conf => [ 'log_min_messages = error', 'ampsf.max_sync_workers = 6', 'max_worker_processes = 20', 'session_preload_libraries = ampsf_fdw' ],
	args => "--data $file/org --bulk-hard-delete on --org skew=-40 --org late-percent=10 --org late-ms=1500 --events daily=100000000 --bulk-page-rows 200");
my $dir = $c->dir;

# -------- small things --------
sub one { return $_[int rand @_] }

# Whole rows, both ways, knowing nothing of mirrors.
sub compare
{
	my ($here, $there, @o) = @_;
	return ask("SELECT 'here ' || t FROM (($here) EXCEPT ALL ($there)) t UNION ALL SELECT 'there ' || t FROM (($there) EXCEPT ALL ($here)) t ORDER BY 1 DESC LIMIT 10", @o);
}

# While the server starts anew after a kill, nobody is let in.
sub ask
{
	my ($sql, @o) = @_;
	my $r;
	for (1 .. 1800)
	{
		$r = $c->psql($sql, @o);
		return $r->{out} if $r->{err} !~ /ERROR|FATAL|could not connect|connection to server|server closed/;
		last if $r->{err} =~ /ERROR/ && $r->{err} !~ /57P0|terminating|server closed|ERROR:  55006/;
		sleep 0.1;
	}
	die "$sql\n$r->{err}";
}

sub until_true
{
	my ($what, $limit, $condition) = @_;
	# Waiting costs nothing where all is well.
	$limit = 300 if $limit < 300;
	my $began = time;
	my $until = $began + $limit;
	while (time < $until)
	{
		if (eval { $condition->() })
		{
			note(sprintf '%s: %.1f s', $what, time - $began);
			return 1;
		}
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
	return (readlink "/proc/$pid/exe" || '') eq "$dir/bin/ampsf-sandbox" ? $pid : undef;
}

# The org dies, and is back at the same address with the rows of its file.
sub kill_org
{
	my $pid = sandbox_pid() or BAIL_OUT('the org has died by itself');
	my @args = split /\0/, do { local $/; open my $f, '<', "/proc/$pid/cmdline" or return; <$f> };
	shift @args;
	for (my $i = 0; $i < @args; $i++)
	{
		$args[$i + 1] = $c->{port} if $args[$i] eq '--port';
		splice @args, $i--, 2 if $args[$i] eq '--seed';
	}
	kill 'KILL', $pid;
	until_true('the org is dead', 300, sub { !kill 0, $pid });
	my $start = sub {
		$c->as_owner('sh', '-c', 'd=$1; shift; cd "$d"; setsid "$@" >>"$d/sandbox.out" 2>&1 </dev/null & echo $! >"$d/sandbox.pid"',
			'sh', $dir, "$dir/bin/ampsf-sandbox", @args);
	};
	# Somebody else may have its port for a moment.
	my $alive = sub { open my $f, '<', "$dir/sandbox.pid" or return 0; my $p = <$f> + 0; return kill 0, $p };
	until_true('the org is back', 300, sub { $start->() unless $alive->(); $client->admin('GET', 'stats')->{status} == 200 })
	  or BAIL_OUT('the org does not come back');
	return;
}

# -------- mirrors --------
my @schema = (
	'add Account {"name":"Score__c","type":"double","precision":18,"scale":0,"calculated":true}',
	'add Account {"name":"Invoiced__c","type":"currency","precision":18,"scale":2,"calculated":true,"sandbox":{"rollup":{"child":"Invoice__c","lookup":"Account__c","function":"sum","field":"Amount__c"}}}',
	q(add Invoice__c {"name":"Customer__c","type":"string","length":255,"calculated":true,"sandbox":{"formula":"sf_value('Account', \"Account__c\", 'Name')"}}));
$client->admin('POST', 'schema', join "\n", @schema)->{status} == 200 or BAIL_OUT('the org takes no fields');
ask('DROP SCHEMA crm CASCADE; CREATE SCHEMA crm; IMPORT FOREIGN SCHEMA crm FROM SERVER sf INTO crm;');

# By events: a subscription from before the first change, and mirrors that have no other run.
my @told = qw(Account Case Opportunity);
my $events = !$without{events};
my ($sub, $channel) = (0, '');
if ($events)
{
	$sub = ask(qq(SELECT ampsf.subscribe('sf', '{@{[join ',', @told]}}')));
	ok(until_true('the subscription is connected', 300, sub { ask('SELECT state FROM ampsf.subscription_status') eq 'connected' }), 'a worker follows the events');
	$channel = ask('SELECT channel FROM ampsf.subscription');
}

my $often = q(every => '2 seconds', lookback => '20 seconds', compare_every => '15 seconds');
my $never = q(every => '1 day', lookback => '20 seconds', compare_every => '1 day');
my %mirror = (
	account => { object => 'Account', how => "$often, formula_every => '4 seconds', chunk_rows => 100, history => true" },
	contact => { object => 'Contact', how => "$often, chunk_rows => 200, parallel => 2" },
	# Nothing is purged here, so that no comparison is needed, which would hide what else was missed.
	lead => { object => 'Lead', how => "every => '2 seconds', lookback => '20 seconds', deletes => 'mark', live_view => true", live => 'WHERE deleted_at IS NULL', plain => 1 },
	invoice__c => { object => 'Invoice__c', how => "$often, formula_every => '4 seconds', existing => true" },
	opportunity => { object => 'Opportunity', how => "$often, writeback => true", live => q(WHERE id !~ '^new-') },
	again => { object => 'Contact', how => "$often, chunk_rows => 50, parallel => 3" },
	case => { object => 'Case', how => $often });
@mirror{qw(account_events case_events)} = (
	{ object => 'Account', how => "$never, history => true", events => 1 },
	{ object => 'Case', how => $never, events => 1 }) if $events;
for my $m (keys %mirror)
{
	$mirror{$m}{source} = 'crm."' . lc($mirror{$m}{object}) . '"';
}
# A table that is there already, in parts.
ask('CREATE TABLE invoice__c (LIKE crm.invoice__c, PRIMARY KEY (id)) PARTITION BY HASH (id);'
	  . join '', map { "CREATE TABLE invoice_$_ PARTITION OF invoice__c FOR VALUES WITH (MODULUS 3, REMAINDER $_);" } 0 .. 2);
ask("SELECT ampsf.mirror('$mirror{$_}{source}', '\"$_\"', $mirror{$_}{how})") for sort keys %mirror;

# When a row has come that says when it was made.
ask(q(CREATE TABLE seen (way text, sent float8, at timestamptz DEFAULT clock_timestamp());
	CREATE FUNCTION seen() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
		INSERT INTO public.seen (way, sent) VALUES (TG_ARGV[0], substr(to_json(NEW) ->> TG_ARGV[1], 7)::float8); RETURN NULL; END $$;
	CREATE TRIGGER seen AFTER INSERT ON lead FOR EACH ROW WHEN (NEW.company LIKE 'probe %') EXECUTE FUNCTION seen('schedule', 'company');)
	  . ($events ? q(CREATE TRIGGER seen AFTER INSERT ON case_events FOR EACH ROW WHEN (NEW.subject LIKE 'probe %') EXECUTE FUNCTION seen('events', 'subject');) : ''));

# -------- what has to be so at any time: what belongs together is one transaction --------
my @histories = grep { $mirror{$_}{how} =~ /history/ } sort keys %mirror;
my $consistent = "BEGIN ISOLATION LEVEL REPEATABLE READ;\n" . join('',
	(map { "SELECT '$_: ' || d.rows || ' rows are known, ' || n || ' are there' FROM ampsf.mirror_definition d, (SELECT count(*) AS n FROM \"$_\") t "
			  . "WHERE d.target = '\"$_\"'::regclass AND d.rows <> n;\n" } grep { $mirror{$_}{how} !~ /writeback/ } sort keys %mirror),
	(map { "SELECT '${_}_history: ' || count(*) || ' versions at a time' FROM ${_}_history a JOIN ${_}_history b ON a.id = b.id AND a.valid && b.valid AND lower(a.valid) < lower(b.valid) HAVING count(*) > 0;\n"
			  . "SELECT '${_}_history: ' || count(*) || ' rows whose latest version is another' FROM $_ t FULL JOIN (SELECT * FROM ${_}_history WHERE upper_inf(valid)) h ON h.id = t.id "
			  . "WHERE (t.id, t.name, t.systemmodstamp) IS DISTINCT FROM (h.id, h.name, h.systemmodstamp) HAVING count(*) > 0;\n" } @histories),
	"SELECT 'stored beyond the place of the subscription: ' || count(*) FROM ampsf.change c JOIN ampsf.subscription s ON s.id = c.subscription AND s.epoch = c.epoch WHERE c.replay_id > s.replay_id HAVING count(*) > 0;\n",
	"SELECT 'applied beyond what is stored: ' || d.target FROM ampsf.mirror_definition d WHERE d.applied_to > (SELECT coalesce(max(id), 0) FROM ampsf.change);\n")
  . "COMMIT;";

sub check_consistent
{
	my ($after) = @_;
	my $wrong = ask($consistent);
	is($wrong, '', "after $after: what belongs together is there together");
	return;
}

# -------- the run --------
my %all = map { $mirror{$_}{object} => 1 } keys %mirror;
my @objects = sort keys %all;
my @writers = map { AmpsfWriter->start(port => $c->{port}, seed => $seed + $_, objects => \@objects, every => 0.06, spared => 'Lead') } 1 .. 3;

my @faults = (
	map({ "path=*/query*;count=2;$_" } 'do=status', 'do=reset-middle', 'do=reset-before', 'do=truncate-json', 'do=status;status=400;code=QUERY_TIMEOUT', 'do=expire-token', 'do=delay;ms=1500', 'do=html', 'do=dead-locator'),
	map({ "path=*/$_" } 'recordCount*;do=reset-after', 'deleted*;do=status;status=500', 'deleted*;do=reset-middle', 'limits*;do=expire-token', 'jobs/query*;do=status', 'jobs/query*;do=job-failed', 'results*;do=drop-rows'),
	'path=*/oauth2/token;do=status;status=503', 'count=4;do=expire-token',
	# Written, but who wrote is not told so.
	map({ "path=*/$_;method=POST;count=4;do=reset-after" } 'composite/sobjects*', 'composite/sobjects*', 'sobjects/Opportunity*'), 'percent=20;count=10;do=status', 'percent=20;count=10;do=reset-before');
push @faults, map({ "path=/cometd/*;count=2;$_" } 'do=status', 'do=reset-middle', 'do=reset-after', 'do=truncate-json', 'do=expire-token', 'do=html') if $events;
my %struck;

# What an administrator does to fields meanwhile: the mirrors follow by themselves.
my ($extra, @extra, %gone) = (0);

sub change_fields
{
	my $r = $client->admin('POST', 'schema', join "\n", @_);
	die "@_: $r->{text}" if $r->{status} != 200;
	return;
}

sub field_comes
{
	my $f = 'Extra_' . ++$extra . '__c';
	change_fields(qq(add Invoice__c {"name":"$f","type":"string","length":40}));
	push @extra, $f;
	my @ids = map { $_->{Id} } @{ $client->query('SELECT Id FROM Invoice__c ORDER BY CreatedDate LIMIT 40') };
	$client->rest('PATCH', 'composite/sobjects', { allOrNone => JSON::PP::false, records => [ map { { attributes => { type => 'Invoice__c' }, Id => $_, $f => "of $_" } } @ids ] });
	return;
}

# Every event that the org has told, by another client: before they are forgotten.
my %log;

sub remember_events
{
	# The faults are not meant for this client.
	$client->admin('DELETE', 'faults');
	my $tip = $client->admin('GET', 'events')->{json}{tip};
	my @events;
	for (1 .. 5)
	{
		@events = eval { AmpsfComet::replay($client, $channel, $tip) } and last;
		note("the test's own client of events: $@") if $@;
	}
	return 0 unless @events;
	for my $e (@events)
	{
		my $h = $e->{payload}{ChangeEventHeader};
		$log{ $e->{event}{replayId} } = { object => $h->{entityName}, type => $h->{changeType}, ids => [ grep { !/^0{12}/ } @{ $h->{recordIds} } ] };
	}
	return $tip;
}

# A user of this database, whose changes of a mirror are written back.
sub local_user
{
	my ($n, $end) = (0, 0);
	local $SIG{TERM} = sub { $end = 1 };
	my $parent = getppid;
	until ($end || getppid != $parent)
	{
		$n++;
		my $row = '(SELECT id FROM opportunity ORDER BY random() LIMIT 1)';
		my $do = one(("UPDATE opportunity SET nextstep = 'local $n' WHERE id = $row") x 5,
			("INSERT INTO opportunity (name, stagename, closedate) VALUES ('local $n', 'Prospecting', '2026-01-01')") x 2,
			"BEGIN; UPDATE opportunity SET nextstep = 'local $n' WHERE id = $row; INSERT INTO opportunity (name, stagename, closedate) VALUES ('local $n', 'Prospecting', '2026-01-01'); COMMIT",
			"BEGIN; UPDATE opportunity SET nextstep = 'never' WHERE id = $row; ROLLBACK",
			"UPDATE opportunity SET amount = $n, nextstep = 'local $n' WHERE id = $row",
			"DELETE FROM opportunity WHERE id = $row");
		$c->psql($do);
		sleep rand 0.4;
	}
	return;
}

my $local = fork;
if (!$local)
{
	local_user();
	POSIX::_exit(0);
}

# Somebody else's process, or nobody's.
sub kill_backend
{
	my ($condition) = @_;
	my $pid = ask("SELECT pid FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND $condition ORDER BY random() LIMIT 1");
	return 0 unless $pid =~ /^\d+$/;
	kill 'KILL', $pid;
	sleep 0.3;
	until_true('the server is back', 300, sub { $c->psql('SELECT 1')->{out} eq '1' }) or BAIL_OUT('the server does not come back');
	return 1;
}

# The server stops, as in a crash or in order, and starts.
sub restart_server
{
	my $how = one(qw(immediate immediate fast));
	my ($rc, $said) = $c->pg_ctl('restart', args => [ '-m', $how, '-t', 600 ]);
	$rc == 0 or BAIL_OUT("the server does not start again: $said");
	check_consistent("a restart ($how)");
	return;
}

# A mirror is filled from the beginning by several sessions, one of which may not live to see the end.
sub fill_again
{
	ask("BEGIN; SELECT ampsf.unmirror('again'); TRUNCATE again; SELECT ampsf.mirror('crm.contact', 'again', $mirror{again}{how}, existing => true); COMMIT");
	sleep rand 0.6;
	kill_backend("backend_type = 'ampsf mirror' AND state = 'active'") and check_consistent('kill -9 while a mirror is filled') if rand() < 0.5;
	return;
}

# A mirror that has not run for a while: its view has what the org has, as soon as nobody changes anything.
sub look_live
{
	ask("SELECT ampsf.pause('lead')");
	sleep 1 + rand 2;
	$client->admin('DELETE', 'faults');
	my @stopped = map { $_->{pid} } @writers;
	kill 'STOP', @stopped;
	my $columns = ask(q(SELECT string_agg(quote_ident(name), ', ') FROM ampsf.mirror_columns('crm.lead') WHERE NOT calculated));
	my @sides = ("SELECT $columns FROM lead_now WHERE deleted_at IS NULL", "SELECT $columns FROM crm.lead");
	# What was under way then, and what becomes visible late.
	ok(until_true('the live view is the org', 300, sub { compare(@sides) eq '' }), 'the live view of a mirror that rests is the org') or diag(compare(@sides));
	kill 'CONT', @stopped;
	ask("SELECT ampsf.resume('lead')");
	return;
}

# The copy is looked at in the end: it has its own way from here.
my $copies = 0;

sub dump_now
{
	my $e = $c->{env};
	my @at = ('-h', $e->{PGHOST}, '-p', $e->{PGPORT}, '-U', 'postgres');
	chomp(my $bin = qx{@{[$ENV{PG_CONFIG} || 'pg_config']} --bindir});
	$c->psql('DROP DATABASE IF EXISTS copy WITH (FORCE)', db => 'postgres');
	$copies = 0;
	$c->psql('CREATE DATABASE copy', db => 'postgres');
	# Nothing begins there by itself, least of all what is to be written back.
	$c->psql('ALTER DATABASE copy SET session_preload_libraries = plpgsql', db => 'postgres');
	system("$bin/pg_dump @at -f $file/dump.sql $e->{PGDATABASE}") == 0 && system("$bin/psql -X -q -v ON_ERROR_STOP=1 -o /dev/null @at -d copy -f $file/dump.sql") == 0
	  or die 'no dump';
	is(ask($consistent, db => 'copy'), '', 'a dump: what belongs together is there together');
	ask('UPDATE ampsf.mirror_definition SET paused = true; UPDATE ampsf.subscription SET paused = true; DELETE FROM ampsf.writeback', db => 'copy');
	$copies = 1;
	return;
}

my $named = 0;
my @troubles = (
	[ 6, 'fault', sub { my $f = one(@faults); $struck{faults}++; $client->admin('POST', 'faults', $f) } ],
	[ 2, 'expired sessions', sub { $client->admin('POST', 'expire-sessions') } ],
	$events ? (
		[ 1, 'clients forgotten', sub { $client->admin('POST', 'events?drop=all') } ],
		[ 1, 'busy', sub { $client->admin('POST', 'events?busy=2') } ],
		[ 2, 'events expired', sub {
				# As if nobody had listened for three days.
				ask("SELECT ampsf.pause_subscription($sub)");
				sleep 1.5;
				my $tip = remember_events();
				$client->admin('POST', "events?expire=$tip&drop=all") if $tip;
				ask("SELECT ampsf.resume_subscription($sub)");
			} ],
		[ 2, 'a gap', sub { my $o = one(@told); my $id = one(map { $_->{Id} } @{ $client->query("SELECT Id FROM $o LIMIT 100") }); $client->admin('POST', 'events?gap=' . one(qw(CREATE UPDATE UNDELETE)) . "&ids=$id") } ],
		[ 1, 'an overflow', sub { $client->admin('POST', 'events?gap=OVERFLOW&object=' . one(@told)) } ],
		[ 1, 'overflows', sub { $client->admin('POST', 'events?overflow=' . one(15, 100000)) } ]) : (),
	[ 1, 'a field comes', \&field_comes ],
	[ 1, 'a field goes', sub { my $f = shift @extra or die 'there is none'; change_fields("remove Invoice__c $f"); $gone{ lc $f } = 1 } ],
	[ 1, 'a field is hidden for a while', sub { change_fields('hide Contact Title'); sleep rand 3; change_fields('show Contact Title') } ],
	[ 1, 'a field gets longer', sub { change_fields('change Invoice__c Short_Text__c {"length":' . (31 + int rand 200) . '}') } ],
	# Back, too, by less than a run looks back.
	[ 1, 'another clock', sub { $client->admin('POST', 'org?skew=' . (-45 + int rand 11)) } ],
	[ 1, 'no calls left', sub {
			my $used = $client->admin('GET', 'stats')->{json}{apiCalls};
			$client->admin('POST', 'api-limit?n=' . ($used + int rand 20));
			sleep 1 + rand 2;
			$client->admin('POST', 'api-limit?n=100000000');
			ask('SELECT ampsf.resume(target) FROM ampsf.mirror_definition WHERE failures > 0 OR target = \'opportunity\'::regclass');
		} ],
	[ 1, 'another name of the server', sub { ask('ALTER SERVER ' . ask('SELECT srvname FROM pg_foreign_server') . ' RENAME TO sf' . ++$named) } ],
	[ 1, 'a restart', \&restart_server ],
	[ 1, 'filled again', \&fill_again ],
	[ 1, 'a look at the live view', \&look_live ],
	[ 1, 'a dump', \&dump_now ],
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
@troubles = grep { !$without{kills} || $_->[1] !~ /kill|restart|filled/ } @troubles;
my @bag = map { my $t = $_; ($t) x $t->[0] } @troubles;

until_true('mirrors are filled', 300, sub { ask('SELECT count(*) FROM ampsf.mirror_definition WHERE watermark IS NULL') eq '0' }) or fail('mirrors fill by themselves');
my $began = time;
# First without troubles: how long it takes is measured then.
my $calm = $seconds * 0.2;
while (time < $began + $seconds)
{
	if (time > $began + $calm)
	{
		my $t = one(@bag);
		# Faults strike this test's own calls, too.
		eval { $t->[2]->(); $struck{ $t->[1] }++; 1 } or note("$t->[1]: $@");
	}
	else
	{
		for ([ 'Case', Subject => 'probe ' . time ], [ 'Lead', LastName => 'p', Company => 'probe ' . time ])
		{
			my ($object, %v) = @$_;
			eval { $client->rest('POST', "sobjects/$object", \%v) };
		}
	}
	sleep(time > $began + $calm ? 0.5 + rand 1.5 : 0.3);
}

# -------- quiet --------
$client->admin('DELETE', 'faults');
$client->admin('POST', 'api-limit?n=100000000');
# Later than it has ever been.
$client->admin('POST', 'org?skew=-30');
kill 'CONT', map { $_->{pid} } @writers;
my %did;
for my $w (@writers)
{
	my $did = $w->stop;
	$did{$_} += $did->{$_} for keys %$did;
}
diag('changes: ' . join ', ', map { "$_ $did{$_}" } sort keys %did);
diag('troubles: ' . join ', ', map { "$_ $struck{$_}" } sort keys %struck);
kill 'TERM', $local;
waitpid $local, 0;
$client->admin('POST', 'org?late-percent=0');
$client->admin('POST', 'events?overflow=100000');
# Faults that wait for somebody to strike hold write-back up for longer each time.
ask("SELECT ampsf.resume('opportunity')");
# What is in doubt nobody sends again but a user, and later changes of the same row wait for that; the rest is taken or not.
ok(until_true('local changes are sent', 300, sub {
			ask("SELECT count(*) FROM ampsf.writeback w WHERE state IN ('queued', 'sending') AND NOT EXISTS (SELECT FROM ampsf.writeback d WHERE d.record_id = w.record_id AND d.state = 'in doubt')") eq '0'
		}), 'local changes are written back')
  or diag(ask('SELECT * FROM ampsf.writeback_status'));
sleep 1.2;
my $quiet = ask("SELECT ampsf.server_time('crm.account')");
my $status = 'SELECT target, stage, watermark, compared_at, formulas_at, failures, last_error, next_run FROM ampsf.mirror_definition ORDER BY 1::text';
if ($events)
{
	ask("SELECT ampsf.resume_subscription($sub)");
	# A run that an event asked for may have failed, or its session was killed.
	ask(q(SELECT ampsf.resume(target) FROM ampsf.mirror_definition WHERE failures > 0 OR stage <> 'idle'));
	remember_events();
	my $tip = $client->admin('GET', 'events')->{json}{tip};
	ok(until_true('all events are there', 300, sub { ask('SELECT replay_id FROM ampsf.subscription') >= $tip }), 'the subscription is where the org is')
	  or diag("tip $tip", ask('SELECT * FROM ampsf.subscription_status'));
	my $waits = q(SELECT d.target, d.applied_to, d.event_error, max(c.id), count(*) FROM ampsf.mirror_definition d JOIN ampsf.change c ON c.id > d.applied_to
		AND c.object_key = (ampsf.mirror_feed(d)).object_key WHERE d.target IN ('account_events'::regclass, 'case_events'::regclass) OR d.event_error IS NOT NULL GROUP BY 1, 2, 3);
	ok(until_true('events are applied', 300, sub { ask($waits) eq '' }), 'and mirrors have taken all events') or diag(ask($waits), "\n", ask($status));
	# One that fails now waits for minutes, unless it is told not to.
	ok(until_true('runs that events asked for', 300, sub {
		ask("SELECT ampsf.resume(target) FROM ampsf.mirror_definition WHERE NOT paused AND every > '1 hour' AND failures > 0");
		ask("SELECT count(*) FROM ampsf.mirror_definition WHERE NOT paused AND (stage <> 'idle' OR next_run < now() OR failures > 0 OR compare_asked OR rerun) AND every > '1 hour'") eq '0' }),
		'and the runs that events asked for are done') or diag(ask($status));
	for my $m (grep { $mirror{$_}{events} } sort keys %mirror)
	{
		my $columns = ask("SELECT string_agg(quote_ident(name), ', ') FROM ampsf.mirror_columns('$mirror{$m}{source}') WHERE NOT calculated AND lower(field) NOT IN ('systemmodstamp', 'invoiced__c', 'score__c')");
		is(compare("SELECT $columns FROM $m", "SELECT $columns FROM $mirror{$m}{source}"), '', "$m: by events alone, all that events tell");
	}
	check_consistent('the last event');

	# Each event once, and none that is not the org's.
	my %stored;
	for (split /\n/, ask("SELECT replay_id, record_id, type, count(*) FROM ampsf.change WHERE subscription = $sub AND type <> 'LOST' GROUP BY 1, 2, 3"))
	{
		my ($replay, $id, $type, $n) = split /\|/;
		$stored{"$replay $id"} = [ $type, $n ];
	}
	my @holes = map { [ split /\|/ ] } split /\n/, ask("SELECT coalesce((SELECT max(b.replay_id) FROM ampsf.change b WHERE b.id < c.id), 0), coalesce((SELECT min(a.replay_id) FROM ampsf.change a WHERE a.id > c.id), 1000000000) "
		  . "FROM ampsf.change c WHERE type = 'LOST'");
	my (@lost, @other, $covered, $told);
	for my $replay (sort { $a <=> $b } keys %log)
	{
		my $e = $log{$replay};
		for my $id (@{ $e->{ids} } ? @{ $e->{ids} } : '')
		{
			my $s = delete $stored{"$replay $id"};
			$told++;
			if ($s) { push @other, "$replay $id @$s" if $s->[0] ne $e->{type} || $s->[1] != 1 }
			elsif (grep { $_->[0] < $replay && $replay < $_->[1] } @holes) { $covered++ }
			else { push @lost, "$replay $id $e->{type}" }
		}
	}
	is("@lost[0 .. ($#lost > 5 ? 5 : $#lost)]", '', 'no event is lost');
	is("@other[0 .. ($#other > 5 ? 5 : $#other)]", '', 'none is there twice, or as another');
	my @made_up = sort keys %stored;
	is("@made_up[0 .. ($#made_up > 5 ? 5 : $#made_up)]", '', 'none is there that was not told');
	diag("events: $told, behind " . @holes . ' rows LOST: ' . ($covered || 0));
}

change_fields('show Contact Title');
ask("SELECT ampsf.resume(target) FROM ampsf.mirror_definition");
ask("UPDATE ampsf.mirror_definition SET compare_every = least(compare_every, '5 seconds'), every = least(every, '2 seconds') WHERE target <> 'lead'::regclass");
ok(until_true('mirrors are up to date', 300, sub {
			ask("SELECT count(*) FROM ampsf.mirror_definition WHERE NOT (stage = 'idle' AND watermark > '$quiet'::timestamptz AND (target = 'lead'::regclass OR compared_at > '$quiet'::timestamptz) "
				  . "AND (formula_every IS NULL OR formulas_at > '$quiet'::timestamptz) AND fill_columns = '{}' "
				  . "AND (target::text NOT IN ('contact', 'again') OR 'title' = ANY (columns)) AND (target <> 'invoice__c'::regclass OR columns @> '{@{[lc join ',', @extra]}}'))") eq '0'
		}), 'each mirror has had its run') or diag(ask($status));

# -------- the org and its mirrors --------
for my $m (sort keys %mirror)
{
	my $live = $mirror{$m}{live} || '';
	# Without a schedule for them formula fields are those of the row's last change.
	my @columns = grep { !$gone{$_} } split /\n/, ask("SELECT name FROM ampsf.mirror_columns('$mirror{$m}{source}')" . ($mirror{$m}{how} =~ /formula_every/ ? '' : ' WHERE NOT calculated'));
	my $columns = join ', ', map { qq("$_") } @columns;
	is(compare(qq(SELECT $columns FROM "$m" $live), "SELECT $columns FROM $mirror{$m}{source}"), '', "$m: every row and every value is the org's");
	is(ask("SELECT string_agg(v::text, ' ') FROM ampsf.verify('\"$m\"', thorough => true) v WHERE problem <> 'pending'"), '', "$m: verify finds nothing");
	# By another client, in another way.
	my %rows = map { my ($id, $stamp) = split /\|/; ($id => $stamp) } split /\n/, ask(qq(SELECT id || '|' || to_char(systemmodstamp AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS') FROM "$m" $live));
	my @differ = grep { ($rows{ $_->{Id} } || '') ne substr $_->{SystemModstamp}, 0, 19 } my @all = @{ $client->query("SELECT Id, SystemModstamp FROM $mirror{$m}{object}") };
	ok(!@differ && @all == keys %rows && @all > 0, "$m: " . @all . ' rows, as the REST API has them') or diag(encode_json([ @differ[0 .. 3] ]));
}
# What a dump had, and what came since.
if ($copies)
{
	my @copy = (db => 'copy');
	ask(q(UPDATE ampsf.mirror_definition SET compare_every = '1 second' WHERE target <> 'lead'::regclass), @copy);
	for my $m (grep { !/opportunity/ } sort keys %mirror)
	{
		my ($live, $columns) = ($mirror{$m}{live} || '');
		my $equal = sub {
			ask(qq(CALL ampsf.sync('"$m"')), @copy);
			$columns = ask("SELECT string_agg(quote_ident(name), ', ') FROM ampsf.mirror_columns('$mirror{$m}{source}') WHERE NOT calculated"
				  . (%gone ? " AND name NOT IN (@{[join ', ', map { qq('$_') } sort keys %gone]})" : ''), @copy);
			return compare(qq(SELECT $columns FROM "$m" $live), "SELECT $columns FROM $mirror{$m}{source}", @copy) eq '';
		};
		ok(until_true("$m of a dump", 300, $equal), "$m, restored from a dump: every row and every value is the org's")
		  or diag($columns, compare(qq(SELECT $columns FROM "$m" $live), "SELECT $columns FROM $mirror{$m}{source}", @copy));
	}
	$c->psql('DROP DATABASE copy WITH (FORCE)', db => 'postgres');
}
until_true('no mirror is due', 300, sub { ask("UPDATE ampsf.mirror_definition SET every = '1 day', next_run = now() + interval '1 day' WHERE stage = 'idle'; SELECT count(*) FROM ampsf.mirror_definition WHERE stage <> 'idle'") eq '0' });
check_consistent('the run');
for my $m (@histories)
{
	my $columns = join ', ', map { qq("$_") } split /\n/, ask("SELECT name FROM ampsf.mirror_columns('$mirror{$m}{source}')");
	is(ask("SELECT count(*) FROM ((SELECT $columns FROM $m EXCEPT SELECT $columns FROM ${m}_history WHERE upper_inf(valid)) UNION ALL (SELECT $columns FROM ${m}_history WHERE upper_inf(valid) EXCEPT SELECT $columns FROM $m)) d"),
		'0', "$m: the latest versions are the rows");
}

# -------- what was written back --------
is(ask(q(SELECT string_agg(name || ' ' || n, ', ') FROM (SELECT name, count(*) AS n FROM crm.opportunity WHERE name LIKE 'local %' GROUP BY 1) d WHERE n > 1)), '', 'no new row was created twice');
is(ask(q(SELECT count(*) FROM crm.opportunity WHERE nextstep = 'never')), '0', 'nothing was sent that was not committed');
# Nobody but local users writes this column: what was taken last is there.
is(ask(q(SELECT string_agg(w.record_id || ': ' || (w.new ->> 'nextstep') || ', not ' || coalesce(o.nextstep, 'null'), '; ') FROM (
		SELECT DISTINCT ON (record_id) * FROM ampsf.writeback WHERE operation = 'update' AND new ? 'nextstep' AND state IN ('done', 'in doubt') ORDER BY record_id, id DESC) w
	JOIN crm.opportunity o ON o.id = w.record_id WHERE w.state = 'done' AND o.nextstep IS DISTINCT FROM w.new ->> 'nextstep')), '', 'the last local change that was taken is the org\'s');
diag('write-back: ' . join ', ', split /\n/, ask("SELECT operation || ' ' || state || ' ' || count(*) FROM ampsf.writeback GROUP BY operation, state ORDER BY 1"));
is(ask("SELECT count(*) FROM ampsf.mirror_run WHERE state = 'running'"), '0', 'no run is left open');
diag('runs: ' . join ', ', split /\n/, ask("SELECT state || ' ' || count(*) || ' (' || sum(calls) || ' calls, ' || sum(interruptions) || ' interruptions)' FROM ampsf.mirror_run GROUP BY state ORDER BY 1"));
my $changes = 0;
$changes += $did{$_} for grep { $_ ne 'refused' } keys %did;
diag("calls of runs for a thousand changes: " . int(1000 * ask('SELECT sum(calls) FROM ampsf.mirror_run') / ($changes || 1)));
diag("from write to mirror, in calm (a run every two seconds): $_") for split /\n/, ask("SELECT format('by %s p50 %s ms, p99 %s ms of %s', way, round(1000 * percentile_cont(0.5) WITHIN GROUP (ORDER BY lag)), round(1000 * percentile_cont(0.99) WITHIN GROUP (ORDER BY lag)), count(*)) "
	  . "FROM (SELECT way, extract(epoch FROM min(at))::float8 - sent AS lag FROM seen GROUP BY way, sent) s GROUP BY way ORDER BY way");
done_testing();
