# Values for a kind of column: some that occur in it, their neighbours, and those that break clients.
#
# value($column) returns (text of SQL, type that a parameter for it would have).
package Differential::Literal;

use strict;
use warnings;
use Exporter 'import';

our @EXPORT_OK = qw(pick chance number value quote);

sub pick   { return $_[int rand @_]; }
sub chance { return rand() < $_[0]; }
sub number { my ($from, $to) = @_; return $from + int rand($to - $from + 1); }

sub quote
{
	my ($s) = @_;
	$s =~ s/'/''/g;
	return "'$s'";
}

my @texts = (
	'', ' ', "'", "O'Brien", "''", '\\', '\\n', "a\\'b", '%', '_', '100%', 'a_b', '日本語', "\xc3\x89", "e\xcc\x81", 'ÅNGSTRÖM',
	'"', "two\nlines", "tab\there", 'null', 'NULL', 'true', '0', "\xf0\x9f\x98\x80", '&amp;', 'a;b', ';', "x\x07y", 'Alpha', 'ALPHA ',
	'straße', 'STRASSE', 'İ', 'ı', '{}', ':x', '$1', 'x' x 300);
my @ids = (
	'', 'abc', '001', '001000000000000', '001000000000000AAA', '0015g00000ZZZZZAAA', "001'", '0035g000000002vaaa', 'null',
	'500000000000000000000', '日本', '001000000000000AA', '  001000000000000AAA');
my @numbers = (
	'0', '-1', '1', '1e3', '0.1', '0.30000000000000004', '1e-10', '12345678901234567.89', '9007199254740993', '-0.0',
	'123456789012345678901234567890', '1e30', '99999999999999.99', "'NaN'::numeric", "'Infinity'::numeric", "'-Infinity'::numeric", '5',
	'100', '1000', '100000', '2.50', '-273.15');
my @integers = ('0', '1', '-1', '7', '10', '100', '2147483647', '-2147483648', '1000');
my @dates = (
	'infinity', '-infinity', '1699-12-31', '1700-01-01', '4000-12-31', '4001-01-01', '0001-01-01', '4713-01-01 BC', '2024-02-29',
	'2024-01-31', '2024-12-31', '1970-01-01', '9999-12-31');
my @stamps = (
	'infinity', '-infinity', '1699-12-31 23:59:59.9+00', '1700-01-01 00:00+00', '4000-12-31 23:59:59+00', '4001-01-01 00:00+00',
	'2024-02-29 12:00:00.5+00', '2024-01-15 00:00+00', '2024-01-15 00:00:00.000001+00', '2024-03-10 02:30-05', '2023-12-31 23:59:59.999999+00',
	'2024-06-01 00:00+05:45', '1970-01-01 00:00+00', '0044-03-15 BC', '9999-12-31 23:59:59+00');
my @times = ('00:00', '24:00', '23:59:59.999', '12:00', '00:00:00.0005', '09:30:00');

sub value
{
	my ($column) = @_;
	my $kind  = $column->{kind};
	my @known = @{ $column->{values} || [] };
	my $known = @known && chance(0.75) ? pick(@known) : undef;
	my $type  = { text => 'text', id => 'text', ref => 'text', flag => 'boolean', date => 'date', stamp => 'timestamptz', time => 'time',
		list => 'text[]', num => 'numeric', int => 'integer' }->{$kind} || 'text';

	return ('NULL', $type) if chance(0.02);
	if ($kind eq 'text')
	{
		$known = pick(@texts) unless defined $known;
		$known = substr($known, 0, 200) if length $known > 200 && chance(0.8);
		return (quote(utf8_whole(vary($known))), $type);
	}
	if ($kind eq 'id' || $kind eq 'ref')
	{
		return (quote(pick(@ids)), $type) unless defined $known;
		return (quote(chance(0.08) ? substr($known, 0, 15) : chance(0.04) ? lc $known : $known), $type);
	}
	if ($kind eq 'num')
	{
		return (pick(@numbers), pick('numeric', 'numeric', 'float8')) unless defined $known;
		return ($known, $type) if chance(0.6);
		return pick(["($known + 1)", 'numeric'], ["($known - 0.01)", 'numeric'], ["'$known'::float8", 'float8'], ["$known\::numeric(20,6)", 'numeric'],
			[int($known) % 1000000, 'integer'], [int($known) % 1000000, 'bigint'])->@*;
	}
	if ($kind eq 'int')
	{
		return pick([pick(@integers), 'integer'], ['3000000000', 'bigint'], ['1.5', 'numeric'], ["'1e10'::float8", 'float8'], ['-9223372036854775808', 'bigint'])
		  ->@* unless defined $known;
		return chance(0.7) ? ($known, pick('integer', 'integer', 'bigint', 'numeric')) : ('(' . ($known + pick(-1, 1)) . ')', 'integer');
	}
	if ($kind eq 'flag')
	{
		return (pick('true', 'false'), $type);
	}
	if ($kind eq 'date')
	{
		return pick(['current_date', 'date'], ['(current_date - 400)', 'date'], ['now()', 'timestamptz'], map({ [quote($_) . '::date', 'date'] } @dates))->@*
		  unless defined $known;
		return pick((["'$known'::date", 'date']) x 5, ["('$known'::date + 1)", 'date'], ["('$known'::date - 30)", 'date'],
			["'$known 12:00'::timestamptz", 'timestamptz'], ["'$known 00:00'::timestamp", 'timestamp'])->@*;
	}
	if ($kind eq 'stamp')
	{
		return pick(['now()', 'timestamptz'], ["(now() - interval '3 years')", 'timestamptz'], ['current_date', 'date'],
			["'2024-01-15'::date", 'date'], map({ [quote($_) . '::timestamptz', 'timestamptz'] } @stamps))->@* unless defined $known;
		return pick((["'$known'::timestamptz", 'timestamptz']) x 4, ["('$known'::timestamptz + interval '0.5 s')", 'timestamptz'],
			["('$known'::timestamptz - interval '1 us')", 'timestamptz'], ["('$known'::timestamptz + interval '1 day')", 'timestamptz'],
			["'$known'::timestamptz::date", 'date'], ["'$known'::timestamptz::timestamp", 'timestamp'])->@*;
	}
	if ($kind eq 'time')
	{
		return (quote(defined $known ? $known : pick(@times)) . '::time', $type);
	}
	if ($kind eq 'list')
	{
		my @words = map { defined $_ ? /([^{},"]+)/g : () } ($known, chance(0.3) ? pick(@known) : undef);
		push @words, pick(@texts) if !@words || chance(0.15);
		@words = grep { !/\n/ } @words;
		@words = map { chance(0.85) ? $_ : utf8_whole(vary($_)) } splice(@words, 0, number(1, 3));
		return ("'{}'::text[]", $type) if chance(0.03) || !@words;
		return ('ARRAY[' . join(', ', map({ chance(0.02) ? 'NULL' : quote($_) } @words)) . ']::text[]', $type);
	}
	return ('NULL', $type);
}

# The same text, or one that is nearly it.
sub vary
{
	my ($s) = @_;
	return $s if chance(0.7);
	return pick(lc $s, uc $s, "$s ", " $s", ucfirst lc $s, substr($s, 0, int(length($s) / 2)), "$s'", "$s\\");
}

# Bytes that are cut in the middle of a character are no text; nothing is known here but bytes.
sub utf8_whole
{
	my ($s) = @_;
	my $copy = $s;
	return $s if utf8::decode($copy);
	$s =~ s/[^\x01-\x7f]+//g;
	return $s;
}

1;
