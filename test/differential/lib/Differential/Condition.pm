# Conditions: trees of {op => AND | OR | NOT, args => [...]} over texts of SQL.
#
# A literal stands in a text as \x02 number \x03 and is in the query's list, so that the same query can be
# printed with constants and with parameters.
package Differential::Condition;

use strict;
use warnings;
use Differential::Literal qw(pick chance number value quote);
use Exporter 'import';

our @EXPORT_OK = qw(condition lit semi);

# A value of a column's kind, as it stands in a text.
sub lit
{
	my ($q, $column) = @_;
	return literal($q, sub { return value($column); });
}

sub literal
{
	my ($q, $make) = @_;
	my ($sql, $type) = $make->();
	push @{ $q->{lits} }, { sql => $sql, type => $type, make => $make };
	return "\x02$#{ $q->{lits} }\x03";
}

# aliases: [{name, table}...].  depth: how far AND and OR may nest.
sub condition
{
	my ($q, $aliases, $depth) = @_;
	if ($depth > 0 && chance(0.45))
	{
		my $op = pick('AND', 'AND', 'OR', 'OR', 'NOT');
		return { op => $op, args => [map { condition($q, $aliases, $depth - 1) } 1 .. ($op eq 'NOT' ? 1 : number(2, 3))] };
	}
	my $alias = pick(@$aliases);
	my $from  = chance(0.9) ? $alias->{table}{filled} : $alias->{table}{columns};
	# The kind first: most columns are texts, and half of the rest would hardly ever be asked for.
	my %kinds = map { $_->{kind} => 1 } @$from;
	my $kind  = pick(sort keys %kinds, $kinds{text} ? ('text') : ());
	my $c     = pick(grep { $_->{kind} eq $kind } @$from);
	return leaf($q, "$alias->{name}.$c->{sql}", $c, $alias, $aliases);
}

sub comparison { return pick('=', '=', '<>', '<>', '<', '<=', '>', '>='); }

# A list of values, as IN's or as an array.
sub values_list { my ($q, $c, $n) = @_; return join ', ', map { lit($q, $c) } 1 .. $n; }

sub array_of
{
	my ($q, $c) = @_;
	my $type = $c->{kind} eq 'id' || $c->{kind} eq 'ref' ? 'text' : $c->{type};
	return literal($q, sub {
		my @v = map { (value($c))[0] } 1 .. number(0, 5);
		return ('ARRAY[' . join(', ', map({ "($_)::$type" } @v)) . "]::$type\[]", "$type\[]");
	});
}

# What any column can be asked.
sub common_leaf
{
	my ($q, $x, $c, $alias, $aliases) = @_;
	my $kind = $c->{kind};
	return "$x IS " . pick('', 'NOT ') . 'NULL' if chance(0.3) || $kind eq 'json';
	return "$x IS " . pick('', 'NOT ') . 'DISTINCT FROM ' . lit($q, $c) if chance(0.3);
	if (chance(0.3))
	{
		# two columns of one kind
		my $other = pick(@$aliases);
		my @same  = grep { $_->{kind} eq $kind && $_->{folds} == $c->{folds} } @{ $other->{table}{filled} };
		return "$x " . comparison() . " $other->{name}." . pick(@same)->{sql} if @same;
	}
	return "coalesce($x, " . lit($q, $c) . ') ' . comparison() . ' ' . lit($q, $c) if chance(0.3) && $kind ne 'int' && $kind ne 'num';
	return "CASE WHEN $x IS NULL THEN " . pick('true', 'false') . " ELSE $x " . comparison() . ' ' . lit($q, $c) . ' END' if chance(0.3);
	return "$x " . pick('=', '>', '<=') . " (SELECT " . pick('min', 'max') . "($c->{sql}) FROM $alias->{table}{sql})"
	  if chance(0.4) && $kind =~ /^(num|int|date|stamp|text|id|ref)$/ && !$c->{folds};
	return pick('random() >= 0', 'random() < 2', "clock_timestamp() > '2001-01-01'", "$x IS NOT NULL AND random() > -1", 'true', 'false', 'NULL::boolean',
		"$alias->{name} IS NOT NULL", "NOT ($alias->{name} IS NULL)", '1 = 2');
}

sub leaf
{
	my ($q, $x, $c, $alias, $aliases) = @_;
	my $kind = $c->{kind};
	return "$x " . pick('', '', 'NOT ') . 'IN (' . long_list($c) . ')' if $kind =~ /^(id|ref|text)$/ && !$c->{folds} && chance(0.01);
	return common_leaf(@_) if $kind eq 'json' || chance(0.2);
	return flag_leaf($q, $x, $c) if $kind eq 'flag';
	return list_leaf($q, $x, $c) if $kind eq 'list';
	return stamp_leaf($q, $x, $c) if $kind =~ /^(stamp|date)$/ && chance(0.4);
	return text_leaf($q, $x, $c) if $kind eq 'text' && !$c->{folds} && chance(0.45);
	return number_leaf($q, $x, $c) if $kind =~ /^(num|int)$/ && chance(0.15);
	my $not = pick('', '', 'NOT ');
	return pick(
		sub { "$x " . comparison() . ' ' . lit($q, $c) },
		sub { "$x " . comparison() . ' ' . lit($q, $c) },
		sub { "$x = " . lit($q, $c) },
		sub { "$x <> " . lit($q, $c) },
		sub { lit($q, $c) . ' ' . comparison() . " $x" },
		sub { "$x ${not}IN (" . values_list($q, $c, number(1, 5)) . ')' },
		sub { "$x IN (" . values_list($q, $c, number(1, 12)) . ')' },
		sub { "$x = ANY (" . array_of($q, $c) . ')' },
		sub { "$x <> ALL (" . array_of($q, $c) . ')' },
		sub { "$x ${not}BETWEEN " . pick('', 'SYMMETRIC ') . lit($q, $c) . ' AND ' . lit($q, $c) },
		sub { "$x >= " . lit($q, $c) . " AND $x < " . lit($q, $c) },
		sub { "$x " . pick('=', '<>', '>') . ' ' . pick('ANY', 'ALL') . ' (' . array_of($q, $c) . ')' },
	)->();
}

# More values than a statement can hold: known ones between many of nothing.
sub long_list
{
	my ($c) = @_;
	my @values = map { quote(Differential::Literal::utf8_whole(substr($_, 0, 100))) } @{ $c->{values} };
	my $prefix = $c->{kind} eq 'text' ? 'no such value of anything ' : '0015g00000';
	push @values, map { quote($prefix . sprintf('%05d', $_) . 'AAA') } 1 .. number(300, 1200);
	return join ', ', sort @values;
}

sub flag_leaf
{
	my ($q, $x, $c) = @_;
	return pick(
		sub { $x }, sub { $x }, sub { "NOT $x" },
		sub { "$x IS " . pick('', 'NOT ') . pick('TRUE', 'FALSE', 'UNKNOWN') },
		sub { "$x " . comparison() . ' ' . lit($q, $c) },
		sub { "$x IN (" . lit($q, $c) . ')' },
		sub { "$x = ANY (" . array_of($q, $c) . ')' },
		sub { "$x <> ALL (" . array_of($q, $c) . ')' },
		sub { "($x = " . lit($q, $c) . ') IS ' . pick('', 'NOT ') . pick('TRUE', 'FALSE') })->();
}

# A pattern made of a value; an escape is never its last character, which would be an error for some rows only.
sub pattern
{
	my ($c) = @_;
	my $s = (value({ %$c, kind => 'text' }))[0];
	$s = '' if $s eq 'NULL';
	$s =~ s/^'|'$//g;
	$s =~ s/''/'/g;
	$s = substr($s, 0, 20) if length $s > 20;
	$s =~ s/\\/pick('\\\\\\\\', '')/ge;
	$s =~ s/([%_])/chance(0.5) ? "\\$1" : $1/ge;
	$s =~ s/(.)/chance(0.15) && $1 =~ m{[a-z]} ? '_' : $1/ge;
	$s = pick("$s%", "%$s", "%$s%", $s, substr($s, 0, 3) . '%', substr($s, 0, 1) . '%' . substr($s, -1));
	$s = Differential::Literal::utf8_whole($s);
	my ($escapes) = $s =~ /(\\+)$/;
	$s .= '\\' if $escapes && length($escapes) % 2;
	return quote($s);
}

sub text_leaf
{
	my ($q, $x, $c) = @_;
	my $pattern = sub { return literal($q, sub { return (pattern($c), 'text'); }); };
	my $not = pick('', '', 'NOT ');
	return pick(
		sub { "$x ${not}LIKE " . $pattern->() },
		sub { "$x ${not}LIKE " . $pattern->() },
		sub { "$x ${not}ILIKE " . $pattern->() },
		sub { "starts_with($x, " . lit($q, $c) . ')' },
		sub { "$x ^@ " . lit($q, $c) },
		sub { "$x LIKE ANY (" . literal($q, sub { return ('ARRAY[' . join(', ', map { pattern($c) } 1 .. number(1, 3)) . ']', 'text[]') }) . ')' },
		sub { 'lower(' . $x . ') = ' . pick('', 'lower') . '(' . lit($q, $c) . ')' },
		sub { "$x || 'x' = " . lit($q, $c) . " || 'x'" },
		sub { "length($x) " . comparison() . ' ' . number(0, 12) },
		sub { "$x ~ '^[A-Ma-m]'" },
		sub { "$x COLLATE \"C\" " . comparison() . ' ' . lit($q, $c) },
		sub { "$x = ANY (ARRAY(SELECT id FROM few))" },
		sub { "$x LIKE " . quote(pick('a!_b%', '%!%%', '!!%')) . " ESCAPE '!'" })->();
}

sub number_leaf
{
	my ($q, $x, $c) = @_;
	return pick(
		sub { "$x + 1 " . comparison() . ' ' . lit($q, $c) },
		sub { "abs($x) " . comparison() . ' ' . number(0, 1000) },
		sub { "$x\::float8 " . comparison() . ' ' . lit($q, $c) },
		sub { "round($x\::numeric, 1) = " . number(0, 100) },
		sub { "$x % 7 = " . number(0, 6) },
		sub { "-$x " . comparison() . ' ' . lit($q, $c) })->();
}

sub stamp_leaf
{
	my ($q, $x, $c) = @_;
	my $unit  = pick('microseconds', 'milliseconds', 'second', 'minute', 'hour', 'day', 'day', 'week', 'month', 'month', 'quarter', 'year', 'year', 'decade', 'century');
	my $field = pick('year', 'year', 'month', 'day', 'hour', 'minute', 'second', 'dow', 'isodow', 'doy', 'quarter', 'week', 'epoch', 'isoyear', 'millennium');
	$field = pick('year', 'month', 'day', 'dow', 'quarter', 'epoch') if $c->{kind} eq 'date';
	my $limit = { year => number(2018, 2027), isoyear => number(2018, 2027), month => number(0, 13), day => number(1, 31), doy => number(1, 366),
		epoch => number(1500000000, 1750000000), hour => number(0, 24) }->{$field};
	$limit = number(0, 6) unless defined $limit;
	my $zone = pick("'UTC'", "'America/New_York'", "'Asia/Kathmandu'");
	my @leaves = (
		sub { "date_trunc('$unit', $x) " . comparison() . ' ' . lit($q, $c) },
		sub { "date_trunc('$unit', $x) " . comparison() . " date_trunc('$unit', " . lit($q, $c) . '::timestamptz)' },
		sub { "date_trunc('$unit', $x) IN (" . values_list($q, $c, number(1, 3)) . ')' },
		sub { "extract($field FROM $x) " . comparison() . " $limit" },
		sub { "extract($field FROM $x) " . pick("BETWEEN $limit AND " . ($limit + 2), "IN ($limit, " . ($limit + 1) . ')') },
		sub { "date_part('$field', $x) " . comparison() . " $limit" });
	push @leaves, (
		sub { "$x\::date " . comparison() . ' ' . lit($q, { %$c, kind => 'date', values => [map { /^(\d{4}-\d\d-\d\d)/ ? $1 : () } @{ $c->{values} }] }) },
		sub { "$x\::date " . pick('IN (', 'NOT IN (') . values_list($q, { %$c, kind => 'date', values => [map { /^(\d{4}-\d\d-\d\d)/ ? $1 : () } @{ $c->{values} }] }, number(1, 3)) . ')' },
		sub { "date_trunc('$unit', $x, $zone) " . comparison() . ' ' . lit($q, $c) },
		sub { "($x AT TIME ZONE $zone)::date " . comparison() . " '2024-01-15'" },
		sub { "$x + interval '1 day' " . comparison() . ' ' . lit($q, $c) }) if $c->{kind} eq 'stamp';
	return pick(@leaves)->();
}

sub list_leaf
{
	my ($q, $x, $c) = @_;
	my $word = sub { literal($q, sub { my ($v) = @{ $c->{values} } ? pick(@{ $c->{values} }) =~ /([^{},"]+)/ : (); return (quote(defined $v ? $v : 'nothing'), 'text'); }) };
	return pick(
		sub { "$x @> " . lit($q, $c) }, sub { "$x && " . lit($q, $c) },
		sub { "$x @> " . lit($q, $c) }, sub { "$x && " . lit($q, $c) },
		sub { "$x <@ " . lit($q, $c) },
		sub { "$x = " . lit($q, $c) }, sub { "$x <> " . lit($q, $c) },
		sub { $word->() . " = ANY ($x)" }, sub { $word->() . " <> ALL ($x)" },
		sub { "cardinality($x) " . comparison() . ' ' . number(0, 3) },
		sub { "NOT ($x @> " . lit($q, $c) . ')' },
		sub { "$x IN (" . values_list($q, $c, 2) . ')' })->();
}

# IN, EXISTS and their negations over another object, for one alias of the query; undef if it has no relatives.
sub semi
{
	my ($q, $org, $alias, $depth) = @_;
	my $t = $alias->{table};
	my $inner = 's' . ++$q->{aliases};
	my $where = sub { my ($table) = @_; return chance(0.25) ? '' : ' AND ' . text_of(condition($q, [{ name => $inner, table => $table }], $depth)) };
	my @ways;
	for (@{ $t->{down} || [] })
	{
		my ($child, $lookup) = @$_;
		push @ways, sub { "$alias->{name}.id " . pick('', 'NOT ') . "IN (SELECT $inner.$lookup->{sql} FROM $child->{sql} $inner WHERE true" . $where->($child) . ')' };
		push @ways, sub { "$alias->{name}.id NOT IN (SELECT $inner.$lookup->{sql} FROM $child->{sql} $inner WHERE $inner.$lookup->{sql} IS NOT NULL" . $where->($child) . ')' };
		push @ways, (sub { pick('', 'NOT ') . "EXISTS (SELECT 1 FROM $child->{sql} $inner WHERE $inner.$lookup->{sql} = $alias->{name}.id" . $where->($child) . ')' }) x 2;
	}
	for (@{ $t->{up} || [] })
	{
		my ($lookup, $parent) = @$_;
		push @ways, sub { "$alias->{name}.$lookup->{sql} " . pick('', 'NOT ') . "IN (SELECT $inner.id FROM $parent->{sql} $inner WHERE true" . $where->($parent) . ')' };
		push @ways, sub { pick('', 'NOT ') . "EXISTS (SELECT FROM $parent->{sql} $inner WHERE $inner.id = $alias->{name}.$lookup->{sql}" . $where->($parent) . ')' };
		# siblings: two lookups to the same parent
		if (@{ $parent->{down} || [] })
		{
			my ($child, $theirs) = @{ pick(@{ $parent->{down} }) };
			push @ways, sub { "$alias->{name}.$lookup->{sql} " . pick('', 'NOT ') . "IN (SELECT $inner.$theirs->{sql} FROM $child->{sql} $inner WHERE $inner.$theirs->{sql} IS NOT NULL" . $where->($child) . ')' };
		}
	}
	my @texts = grep { $_->{kind} =~ /^(id|ref|text)$/ && !$_->{folds} } @{ $t->{filled} };
	my $key   = pick(@texts);
	push @ways, sub { "$alias->{name}.$key->{sql} IN (SELECT id FROM " . pick('keys', 'few', 'none') . ')' };
	push @ways, sub { pick('', 'NOT ') . "EXISTS (SELECT FROM " . pick('keys', 'few') . " $inner WHERE $inner.id = $alias->{name}.$key->{sql})" };
	return pick(@ways)->();
}

sub text_of
{
	my ($tree) = @_;
	return "($tree)" unless ref $tree;
	return '(NOT ' . text_of($tree->{args}[0]) . ')' if $tree->{op} eq 'NOT';
	return '(' . join(" $tree->{op} ", map { text_of($_) } @{ $tree->{args} }) . ')';
}

1;
