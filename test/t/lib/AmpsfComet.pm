# All change events that an org still has for a channel, read by a CometD client of its own.
package AmpsfComet;

use strict;
use warnings;
use JSON::PP;
use Time::HiRes qw(time);

my $json = JSON::PP->new->utf8->canonical;

# $writer is an AmpsfWriter: its login is used.  The events in their order, decoded.  Ends when the org has
# told nothing for a moment.
sub replay
{
	my ($writer, $channel, $tip) = @_;
	my ($n, $cookie, $client, @events) = (0, '');
	$writer->login;
	my $send = sub {
		my ($message) = @_;
		my @all = (ref $message eq 'ARRAY' ? @$message : $message);
		$_->{id} = ++$n for @all;
		$_->{clientId} = $client for grep { defined $client } @all;
		my $r = $writer->http('POST', '/cometd/62.0', [@all], cookie => $cookie);
		$cookie = join '; ', map { /^Set-Cookie: ([^;\r\n]+)/i ? $1 : () } split /\n/, $r->{head} unless $cookie;
		die "cometd: $r->{status} $r->{text}" unless $r->{status} == 200 && ref $r->{json} eq 'ARRAY';
		push @events, map { $_->{data} } grep { $_->{channel} eq $channel } @{ $r->{json} };
		my ($meta) = grep { $_->{channel} eq $all[0]{channel} } @{ $r->{json} };
		return $meta;
	};
	my $hand = $send->({ channel => '/meta/handshake', version => '1.0', supportedConnectionTypes => ['long-polling'], ext => { replay => JSON::PP::true } });
	die 'cometd: ' . $json->encode($hand) unless $hand->{successful};
	$client = $hand->{clientId};
	my $sub = $send->({ channel => '/meta/subscribe', subscription => $channel, ext => { replay => { $channel => -2 } } });
	die 'cometd: ' . $json->encode($sub) unless $sub->{successful};
	until (@events && $events[-1]{event}{replayId} >= $tip)
	{
		my $before = @events;
		my $meta = $send->({ channel => '/meta/connect', connectionType => 'long-polling', advice => { timeout => 1000 } });
		die 'cometd: ' . $json->encode($meta) unless $meta->{successful};
		last if @events == $before && $n > 4;
	}
	$send->({ channel => '/meta/disconnect' });
	return @events;
}

1;
