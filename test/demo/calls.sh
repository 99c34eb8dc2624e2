#!/bin/sh
# Prints the requests that the sandbox has answered since the last time, one a line, and their SOQL.
n=$(cat "$DEMO_SEEN" 2>/dev/null || echo 0)
tail -n +$((n + 1)) "$SANDBOX_LOG" | perl -MJSON::PP -ne '
	my $r = decode_json($_);
	next if $r->{inner};
	printf "   -> %-4s %s%s  (%d, %d bytes)\n", $r->{method}, $r->{path},
		$r->{path} =~ m{/query$} ? "" : $r->{query} ne "" ? "?$r->{query}" : "", $r->{status}, $r->{bytes_out};
	if (defined $r->{soql}) { binmode STDOUT, ":utf8"; print "        $r->{soql}\n"; }'
wc -l <"$SANDBOX_LOG" >"$DEMO_SEEN"
