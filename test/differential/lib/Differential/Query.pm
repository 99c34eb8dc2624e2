# A random query as a structure, its text, and smaller versions of it.
#
#   select, group, having, order: lists of texts     where: a list of condition trees
#   from: [{table => text, alias => name}, {join => 'LEFT JOIN', table, alias, on => [trees]}...]
#   distinct, limit, offset       lits: the literals, see Condition
#   around: how it is run: plain, prepared, cursor, cte, count, subquery
#   settings: [[name, value]...]  ordered: whether the order of its rows says something
package Differential::Query;

use strict;
use warnings;
use Differential::Condition qw(condition lit semi);
use Differential::Literal qw(pick chance number);
use Exporter 'import';

our @EXPORT_OK = qw(make statements smaller);

my @settings = (
	map({ [$_, 'off'] } qw(enable_hashjoin enable_mergejoin enable_nestloop enable_material enable_memoize enable_hashagg enable_sort
		  enable_incremental_sort enable_seqscan enable_async_append enable_partition_pruning)),
	['enable_partitionwise_join', 'on'], ['enable_partitionwise_aggregate', 'on'], ['timezone', "'America/New_York'"],
	['timezone', "'Asia/Kathmandu'"], ['datestyle', "'SQL, DMY'"], ['extra_float_digits', '-5'], ['from_collapse_limit', '1'], ['join_collapse_limit', '1'],
	['geqo_threshold', '2'], ['cursor_tuple_fraction', '1'], ['work_mem', "'64kB'"], ['standard_conforming_strings', 'on'],
	['constraint_exclusion', 'on'], ['plan_cache_mode', 'force_generic_plan'], ['plan_cache_mode', 'force_custom_plan']);

my %shapes = (
	single => 26, joined => 18, relatives => 12, keyed => 10, grouped => 16, top => 12, distinct => 5, lateral => 6, scalar => 4, set => 5,
	unrelated => 3, self => 2);

# A query over the org's tables, by what rand() says.
sub make
{
	my ($org) = @_;
	my $q = { lits => [], aliases => 0, select => [], from => [], where => [], group => [], having => [], order => [], settings => [], around => 'plain' };
	my $at = rand 119;
	my $shape;
	for (sort keys %shapes)
	{
		$shape = $_;
		last if ($at -= $shapes{$_}) < 0;
	}
	$q->{shape} = $shape;
	{
		no strict 'refs';
		&{"make_$shape"}($q, $org);
	}
	$q->{settings} = [map { pick(@settings) } 1 .. number(1, 3)] if chance(0.35);
	surround($q) if $q->{around} eq 'plain';
	return $q;
}

# -------- from and where --------

sub add_alias
{
	my ($q, $table, %join) = @_;
	my $alias = { name => 't' . ++$q->{aliases}, table => $table };
	push @{ $q->{from} }, { table => $table->{sql}, alias => $alias->{name}, %join };
	push @{ $q->{scope} }, $alias;
	return $alias;
}

# Most queries are about the objects that have many relatives and values.
sub some_table
{
	my ($org) = @_;
	my @rich = grep { $_->{name} =~ /^(account|contact|opportunity|case|invoice__c|invoice_tags|lead|task|people|contact_flat|contact_account)$/ } @{ $org->{foreign} };
	return chance(0.7) ? pick(@rich) : pick(@{ $org->{foreign} });
}

sub add_where
{
	my ($q, $most) = @_;
	push @{ $q->{where} }, condition($q, $q->{scope}, pick(0, 0, 1, 2)) for 1 .. number(0, $most);
	return;
}

# Joins along lookups, upwards and downwards, from what is in scope.
sub add_joins
{
	my ($q, $n) = @_;
	for (1 .. $n)
	{
		my $from = pick(@{ $q->{scope} });
		my @ways = map({ [$_->[0]{sql}, 'id', $_->[1]] } (@{ $from->{table}{up} || [] }) x 3);
		push @ways, map({ ['id', $_->[1]{sql}, $_->[0]] } @{ $from->{table}{down} || [] }) unless $q->{down}++ > 1;
		next unless @ways;
		my ($left, $right, $table) = @{ pick(@ways) };
		my $type  = pick('JOIN', 'JOIN', 'JOIN', 'LEFT JOIN', 'LEFT JOIN', 'LEFT JOIN', 'LEFT JOIN', 'RIGHT JOIN', 'FULL JOIN');
		my $alias = add_alias($q, $table, join => $type);
		my ($a, $b) = ("$from->{name}.$left", "$alias->{name}.$right");
		my $item = $q->{from}[-1];
		$item->{on} = [chance(0.5) ? "$a = $b" : "$b = $a"];
		push @{ $item->{on} }, condition($q, [$from, $alias, $alias], pick(0, 0, 1)) if $type ne 'FULL JOIN' && chance(0.2);
	}
	return;
}

# -------- select and order --------

sub columns
{
	my ($q, $kinds, %o) = @_;
	return map {
		my $a = $_;
		map { { %$_, text => "$a->{name}.$_->{sql}" } } grep { !$kinds || $_->{kind} =~ /^($kinds)$/ } @{ $a->{table}{filled} }
	} @{ $o{scope} || $q->{scope} };
}

sub add_select
{
	my ($q) = @_;
	my @columns = columns($q);
	push @{ $q->{select} }, map { pick(@columns)->{text} } 1 .. number(1, 5);
	push @{ $q->{select} }, pick(@{ $q->{scope} })->{name} if chance(0.04);
	push @{ $q->{select} }, pick(@{ $q->{scope} })->{name} . '.tableoid::regclass' if chance(0.02) && !$q->{scope}[0]{table}{view};
	push @{ $q->{select} }, 'length(' . pick(columns($q, 'id|text|ref'))->{text} . ')' if chance(0.1);
	return;
}

# Order by a few keys, then by every Id, so that the whole order is determined.
sub add_order
{
	my ($q) = @_;
	my @columns = grep { !$_->{folds} } columns($q, 'id|ref|text|flag|int|num|date|stamp|time');
	my @sorted  = columns($q, 'int|num|date|stamp');
	my @keys    = map { chance(0.6) && @sorted ? pick(@sorted) : pick(@columns) } 1 .. number(1, 2);
	push @{ $q->{order} }, map { $_->{text} . pick('', ' ASC', ' DESC') . pick('', '', ' NULLS FIRST', ' NULLS LAST') } @keys;
	push @{ $q->{order} }, map { $_->{table}{local} ? "$_->{name}.n" : "$_->{name}.id" . pick('', '', ' DESC') } @{ $q->{scope} };
	$q->{ordered} = !grep { $_->{table}{name} =~ /^(contact_nocase|account_deals|common)$/ } @{ $q->{scope} };
	if ($q->{ordered})
	{
		$q->{limit}  = pick(0, 1, 2, 3, 5, 10, 25, 100, 2500) if chance(0.8);
		$q->{offset} = pick(0, 1, 2, 3, 10, 40, 1999, 2001) if chance(0.4);
	}
	return;
}

# -------- shapes --------

sub make_single
{
	my ($q, $org) = @_;
	add_alias($q, some_table($org));
	add_where($q, 4);
	add_select($q);
	return;
}

sub make_joined
{
	my ($q, $org) = @_;
	add_alias($q, some_table($org));
	add_joins($q, number(1, 4));
	add_where($q, 3);
	add_select($q);
	add_order($q) if chance(0.3);
	return;
}

# Semi- and anti-joins.
sub make_relatives
{
	my ($q, $org) = @_;
	my $a = add_alias($q, some_table($org));
	add_joins($q, 1) if chance(0.3);
	push @{ $q->{where} }, semi($q, $org, pick(@{ $q->{scope} }), pick(0, 0, 1)) for 1 .. pick(1, 1, 1, 2, 3);
	$q->{where} = [{ op => 'OR', args => [@{ $q->{where} }, condition($q, $q->{scope}, 0)] }] if chance(0.1);
	add_where($q, 2);
	add_select($q);
	add_order($q) if chance(0.2);
	return;
}

# Joins with local tables, on whatever text the foreign table has.
sub make_keyed
{
	my ($q, $org) = @_;
	my $table = some_table($org);
	my $local = pick(@{ $org->{common} });
	my ($first, $second) = chance(0.5) ? ($table, $local) : ($local, $table);
	my $a = add_alias($q, $first);
	my $b = add_alias($q, $second, join => pick('JOIN', 'JOIN', 'LEFT JOIN', 'LEFT JOIN', 'RIGHT JOIN', 'FULL JOIN'));
	my ($far, $near) = $first == $local ? ($b, $a) : ($a, $b);
	my @keys = grep { !$_->{folds} } columns($q, 'id|ref', scope => [$far]);
	push @keys, grep { $_->{name} =~ /email|ext_id|case_key|unique_code/ && !$_->{folds} } columns($q, 'text', scope => [$far]);
	push @keys, pick(grep { !$_->{folds} } columns($q, 'text|id', scope => [$far]));
	my $key = pick(@keys);
	$q->{from}[1]{on} = [chance(0.5) ? "$key->{text} = $near->{name}.id" : "$near->{name}.id = $key->{text}"];
	push @{ $q->{from}[1]{on} }, condition($q, [$far], 0) if chance(0.2) && $q->{from}[1]{join} ne 'FULL JOIN';
	add_joins($q, 1) if chance(0.2);
	add_where($q, 2);
	add_select($q);
	add_order($q) if chance(0.25);
	return;
}

sub aggregate
{
	my ($q, $key) = @_;
	my @columns = grep { !$_->{folds} } columns($q, 'id|ref|text|flag|int|num|date|stamp|time');
	my $c       = pick(@columns);
	my @ids     = map { $_->{table}{local} ? "$_->{name}.n" : "$_->{name}.id" } @{ $q->{scope} };
	my $text    = pick(
		sub { 'count(*)' }, sub { 'count(*)' },
		sub { "count($c->{text})" },
		sub { "count(DISTINCT $c->{text})" },
		sub { my $o = pick(columns($q, 'int|num|date|stamp'), @columns); $o->{kind} eq 'flag' ? "bool_or($o->{text})" : pick('min', 'max') . "($o->{text})" },
		sub { my $o = pick(columns($q, 'int|num|date|stamp'), @columns); $o->{kind} eq 'flag' ? "bool_and($o->{text})" : pick('min', 'max') . "($o->{text})" },
		sub { my @n = columns($q, 'int|num'); @n ? pick('sum', 'avg', 'sum') . '(' . pick('', '', 'DISTINCT ') . pick(@n)->{text} . ')' : 'count(1)' },
		sub { "string_agg($c->{text}::text, ',' ORDER BY $c->{text}, " . join(', ', @ids) . ')' },
		sub { "count(*) + 1" })->();
	$text .= ' FILTER (WHERE ' . Differential::Condition::text_of(condition($q, $q->{scope}, pick(0, 0, 1))) . ')'
	  if $text !~ /\+ 1/ && chance(0.15);
	return $text;
}

sub make_grouped
{
	my ($q, $org) = @_;
	add_alias($q, some_table($org));
	add_joins($q, number(1, 2)) if chance(0.3);
	push @{ $q->{where} }, semi($q, $org, $q->{scope}[0], 0) if chance(0.1);
	add_where($q, 2);
	my @columns = grep { !$_->{folds} } columns($q, 'id|ref|text|flag|int|num|date|stamp');
	for (1 .. pick(0, 1, 1, 1, 2))
	{
		my $c = pick(@columns);
		my $t = $c->{text};
		# texts with a scale of their own would make it a matter of luck which of two equal numbers is shown
		$t = "round($t, 2)" if $c->{kind} eq 'num';
		$t = pick("date_trunc('month', $t)", "extract(year FROM $t)", $t, $t, "$t\::date") if $c->{kind} eq 'stamp';
		$t = pick("extract(year FROM $t)", $t, $t) if $c->{kind} eq 'date';
		push @{ $q->{group} }, $t;
	}
	my @aggregates = map { aggregate($q) } 1 .. number(@{ $q->{group} } ? 0 : 1, 3);
	push @{ $q->{select} }, @{ $q->{group} }, @aggregates;
	push @{ $q->{having} }, pick('count(*)', 'count(*)', aggregate($q) =~ /^(count\(.*\))$/ ? $1 : 'count(*)') . ' ' . pick('>', '>=', '<', '=', '<>') . ' ' . number(0, 5) if chance(0.25);
	if (@{ $q->{group} } && chance(0.35))
	{
		push @{ $q->{order} }, map { $_ . pick('', ' DESC') . pick('', ' NULLS FIRST', ' NULLS LAST') } @{ $q->{group} };
		$q->{ordered} = 1;
		$q->{limit}  = pick(1, 2, 3, 10, 50) if chance(0.6);
		$q->{offset} = pick(0, 1, 2) if chance(0.2);
	}
	elsif (@{ $q->{group} } > 1 && chance(0.15))
	{
		$q->{group} = ['ROLLUP (' . join(', ', @{ $q->{group} }) . ')'];
	}
	return;
}

sub make_top
{
	my ($q, $org) = @_;
	add_alias($q, some_table($org));
	add_joins($q, number(1, 2)) if chance(0.3);
	add_where($q, 2);
	add_select($q);
	add_order($q);
	return;
}

sub make_distinct
{
	my ($q, $org) = @_;
	add_alias($q, some_table($org));
	add_joins($q, 1) if chance(0.3);
	add_where($q, 2);
	$q->{distinct} = 1;
	my @columns = grep { !$_->{folds} } columns($q, 'id|ref|text|flag|int|date|stamp');
	$q->{select} = [map { pick(@columns)->{text} } 1 .. number(1, 2)];
	if (chance(0.4))
	{
		$q->{order}   = [@{ $q->{select} }];
		$q->{ordered} = 1;
		$q->{limit}   = pick(1, 3, 10) if chance(0.7);
	}
	return;
}

# A subquery that runs again for each row of another table.
sub make_lateral
{
	my ($q, $org) = @_;
	my ($child, $lookup, $parent) = @{ pick(@{ $org->{lookups} }) };
	my $outer = add_alias($q, chance(0.7) ? $parent : $org->{tables}{few});
	my $inner = { name => 'l' . ++$q->{aliases}, table => $child };
	my $key   = $lookup->{sql};
	my @where = ("$inner->{name}.$key = $outer->{name}.id");
	push @where, Differential::Condition::text_of(condition($q, [$inner, $inner, $outer], pick(0, 0, 1))) if chance(0.5);
	push @where, Differential::Condition::text_of(semi($q, $org, $inner, 0)) if chance(0.1);
	my @some = map { "$inner->{name}.$_->{sql}" } grep { $_->{kind} ne 'json' } map { pick(@{ $child->{filled} }) } 1 .. 3;
	@some = ("$inner->{name}.id") unless @some;
	my $body = pick(
		"SELECT count(*) AS n, max($inner->{name}.id) AS m",
		'SELECT ' . join(', ', map { "$some[$_] AS c$_" } 0 .. $#some),
		'SELECT ' . join(', ', map { "$some[$_] AS c$_" } 0 .. $#some));
	my $tail = $body =~ /count/ ? '' : pick('', " ORDER BY $inner->{name}.id LIMIT " . number(1, 3), " ORDER BY $inner->{name}.id OFFSET 1");
	push @{ $q->{from} }, { join => pick('CROSS JOIN', 'LEFT JOIN', 'LEFT JOIN'), table => "LATERAL ($body FROM $child->{sql} $inner->{name} WHERE "
		  . join(' AND ', @where) . "$tail)", alias => 'sub', on => ['true'] };
	add_where($q, 2);
	$q->{select} = ["$outer->{name}.id", 'sub.*'];
	return;
}

# Subqueries in the select list.
sub make_scalar
{
	my ($q, $org) = @_;
	my ($child, $lookup, $parent) = @{ pick(@{ $org->{lookups} }) };
	my $up    = chance(0.5);
	my $outer = add_alias($q, $up ? $child : $parent);
	my $inner = { name => 'l' . ++$q->{aliases}, table => $up ? $parent : $child };
	my $key   = $up ? "$inner->{name}.id = $outer->{name}.$lookup->{sql}" : "$inner->{name}.$lookup->{sql} = $outer->{name}.id";
	my @plain = grep { $_->{kind} =~ /^(id|ref|text|int|num|date|stamp)$/ && !$_->{folds} } @{ $inner->{table}{filled} };
	my $what  = "$inner->{name}." . pick(@plain)->{sql};
	$what = pick("max($what)", 'count(*)', "count(DISTINCT $what)") unless $up && chance(0.5);
	my $extra = chance(0.3) && $what =~ /\(/ ? ' AND ' . Differential::Condition::text_of(condition($q, [$inner], 0)) : '';
	add_where($q, 2);
	$q->{select} = ["$outer->{name}.id", "(SELECT $what FROM $inner->{table}{sql} $inner->{name} WHERE $key$extra)"];
	return;
}

# UNION, INTERSECT, EXCEPT of two queries of the same columns, as a subquery.
sub make_set
{
	my ($q, $org) = @_;
	my ($one, $two) = (some_table($org), some_table($org));
	my @parts;
	my $n = number(1, 2);
	my @kinds = ('id', pick('text', 'stamp', 'flag', 'id'));
	for my $t ($one, $two, chance(0.3) ? some_table($org) : ())
	{
		my $a = { name => 'u' . ++$q->{aliases}, table => $t };
		my @list = map {
			my $kind = $_;
			my @of = grep { $_->{kind} eq $kind && !$_->{folds} } @{ $t->{filled} };
			@of ? "$a->{name}." . pick(@of)->{sql} : 'NULL'
		} @kinds[0 .. $n - 1];
		my @where = map { Differential::Condition::text_of(condition($q, [$a], pick(0, 1))) } 1 .. number(0, 2);
		push @parts, 'SELECT ' . join(', ', @list) . " FROM $t->{sql} $a->{name}" . (@where ? ' WHERE ' . join(' AND ', @where) : '');
	}
	my $op = pick('UNION ALL', 'UNION ALL', 'UNION ALL', 'UNION', 'INTERSECT', 'EXCEPT', 'EXCEPT ALL');
	push @{ $q->{from} }, { table => '(' . join(" $op ", @parts) . ')', alias => 'sub' };
	$q->{select} = ['sub.*'];
	if (chance(0.3))
	{
		$q->{select} = ['count(*)'];
	}
	return;
}

# Joins that are along no lookup.
sub make_unrelated
{
	my ($q, $org) = @_;
	my $a = add_alias($q, some_table($org));
	my $b = add_alias($q, some_table($org), join => pick('JOIN', 'LEFT JOIN'));
	my @left  = grep { !$_->{folds} } columns($q, 'id|ref|text', scope => [$a]);
	my @right = grep { !$_->{folds} } columns($q, 'id|ref|text', scope => [$b]);
	$q->{from}[1]{on} = [pick(@left)->{text} . ' = ' . pick(@right)->{text}];
	add_where($q, 3);
	$q->{select} = ['count(*)', 'count(DISTINCT ' . pick(@left)->{text} . ')'];
	return;
}

# One table twice.
sub make_self
{
	my ($q, $org) = @_;
	my $t = some_table($org);
	my $a = add_alias($q, $t);
	my $b = add_alias($q, $t, join => pick('JOIN', 'LEFT JOIN'));
	$q->{from}[1]{on} = ["$a->{name}.id = $b->{name}.id"];
	add_where($q, 3);
	add_select($q);
	return;
}

# How the query is run.
sub surround
{
	my ($q) = @_;
	my $how = rand;
	if ($how < 0.2 && @{ $q->{lits} })
	{
		$q->{around} = 'prepared';
		push @{ $q->{settings} }, ['plan_cache_mode', pick('force_generic_plan', 'force_generic_plan', 'force_custom_plan', 'auto')];
	}
	elsif ($how < 0.25 && $q->{ordered})
	{
		$q->{around} = 'cursor';
		my $scroll = $q->{scroll} = chance(0.5);
		my $some   = sub { number(1, 7) };
		$q->{moves} = [map {
			$scroll
			  ? pick('FETCH ' . $some->(), 'FETCH BACKWARD ' . $some->(), 'FETCH FIRST', 'FETCH LAST', 'FETCH ABSOLUTE ' . $some->(), 'MOVE BACKWARD ' . $some->(),
				'FETCH PRIOR', 'MOVE ' . $some->(), 'FETCH ALL', 'MOVE ABSOLUTE 0')
			  : pick('FETCH ' . $some->(), 'FETCH ' . $some->(), 'MOVE ' . $some->(), 'FETCH NEXT', 'FETCH ALL')
		} 1 .. number(2, 5)];
	}
	elsif ($how < 0.31)
	{
		$q->{around} = pick('cte', 'materialized', 'count', 'count', 'subquery', 'exists', 'array');
	}
	return;
}

# -------- text --------

sub body
{
	my ($q) = @_;
	my $text = 'SELECT ' . ($q->{distinct} ? 'DISTINCT ' : '') . join(', ', @{ $q->{select} });
	for (@{ $q->{from} })
	{
		$text .= $_->{join} ? " $_->{join} $_->{table} $_->{alias}" : " FROM $_->{table} $_->{alias}";
		$text .= ' ON ' . join(' AND ', map { Differential::Condition::text_of($_) } @{ $_->{on} }) if $_->{join} && $_->{join} ne 'CROSS JOIN';
	}
	$text .= ' WHERE ' . join(' AND ', map { Differential::Condition::text_of($_) } @{ $q->{where} }) if @{ $q->{where} };
	$text .= ' GROUP BY ' . join(', ', @{ $q->{group} })     if @{ $q->{group} };
	$text .= ' HAVING ' . join(' AND ', @{ $q->{having} })   if @{ $q->{having} };
	$text .= ' ORDER BY ' . join(', ', @{ $q->{order} })     if @{ $q->{order} };
	$text .= " LIMIT $q->{limit}"                            if defined $q->{limit};
	$text .= " OFFSET $q->{offset}"                          if defined $q->{offset};
	$text = "WITH w AS ($text) SELECT * FROM w"              if $q->{around} eq 'cte' && !$q->{ordered};
	$text = "WITH w AS MATERIALIZED ($text) SELECT * FROM w" if $q->{around} eq 'materialized';
	$text = "SELECT count(*) FROM ($text) w"                 if $q->{around} eq 'count';
	$text = "SELECT * FROM ($text) w"                        if $q->{around} eq 'subquery';
	$text = "SELECT EXISTS ($text)"                          if $q->{around} eq 'exists';
	return $text;
}

sub with_constants
{
	my ($q, $text) = @_;
	$text =~ s/\x02(\d+)\x03/$q->{lits}[$1]{sql}/g;
	return $text;
}

# The statements to be run, each {sql, ordered}; the query itself is the first that has the key main.
sub statements
{
	my ($q) = @_;
	my @list = map { { sql => "SET $_->[0] = $_->[1]" } } @{ $q->{settings} };
	my $body = body($q);
	my $ordered = $q->{ordered} && @{ $q->{order} } && $q->{around} !~ /^(materialized|subquery)$/;
	if ($q->{around} eq 'prepared')
	{
		my (@used, %number);
		$body =~ s/\x02(\d+)\x03/push @used, $1 unless $number{$1}; $number{$1} ||= @used; "\$$number{$1}"/ge;
		my @lits = map { $q->{lits}[$_] } @used;
		push @list, { sql => 'PREPARE p' . (@lits ? '(' . join(', ', map { $_->{type} } @lits) . ')' : '') . " AS $body", explain => $body };
		# the second call's values are made once and kept, so that a smaller query has them too
		$_->{again} = [$_->{make}->()] for grep { !$_->{again} } @lits;
		my @second = map { $_->{again}[1] eq $_->{type} ? $_->{again}[0] : $_->{sql} } @lits;
		my @calls  = map { @$_ ? '(' . join(', ', @$_) . ')' : '' } [map { $_->{sql} } @lits], \@second;
		push @list, { sql => "EXECUTE p$calls[0]", ordered => $ordered, main => 1 }, { sql => "EXECUTE p$calls[1]", ordered => $ordered };
		push @list, { sql => 'DEALLOCATE p' };
	}
	elsif ($q->{around} eq 'cursor')
	{
		push @list, { sql => 'BEGIN' }, { sql => 'DECLARE c ' . ($q->{scroll} ? 'SCROLL ' : '') . 'CURSOR FOR ' . with_constants($q, $body), main => 1 };
		push @list, map { { sql => "$_ FROM c", ordered => 1 } } @{ $q->{moves} };
		push @list, { sql => 'COMMIT' };
	}
	else
	{
		push @list, { sql => with_constants($q, $body), ordered => $ordered, main => 1 };
	}
	push @list, map { { sql => "RESET $_" } } do { my %seen; grep { !$seen{$_}++ } map { $_->[0] } @{ $q->{settings} } };
	return @list;
}

# -------- smaller queries --------

# Shallow copies, each with one thing less.  Some will not be valid; who asks finds out.
sub smaller
{
	my ($q) = @_;
	my @out;
	# Only the whole list of keys determines the order, and what LIMIT leaves.
	my $with = sub { my (%change) = @_; push @out, { %$q, $change{order} ? (ordered => 0, limit => undef, offset => undef) : (), %change }; };
	$with->(around => 'plain') if $q->{around} ne 'plain';
	for my $list (qw(settings where having group order moves))
	{
		my @all = @{ $q->{$list} || [] };
		for my $i (0 .. $#all)
		{
			my @less = @all;
			splice @less, $i, 1;
			$with->($list => \@less);
		}
	}
	for my $key (qw(limit offset distinct))
	{
		$with->($key => undef) if defined $q->{$key};
	}
	if (@{ $q->{select} } > 1)
	{
		for my $i (0 .. $#{ $q->{select} })
		{
			my @less = @{ $q->{select} };
			splice @less, $i, 1;
			$with->(select => \@less);
		}
	}
	for my $i (0 .. $#{ $q->{where} })
	{
		for my $tree (simpler($q->{where}[$i]))
		{
			my @less = @{ $q->{where} };
			$less[$i] = $tree;
			$with->(where => \@less);
		}
	}
	for my $i (1 .. $#{ $q->{from} })
	{
		my @less = @{ $q->{from} };
		splice @less, $i, 1;
		$with->(from => \@less, order => [grep { !/^\Q$q->{from}[$i]{alias}\E\./ } @{ $q->{order} }]);
		next if @{ $q->{from}[$i]{on} || [] } < 2;
		@less = @{ $q->{from} };
		$less[$i] = { %{ $less[$i] }, on => [$less[$i]{on}[0]] };
		$with->(from => \@less);
	}
	return @out;
}

# A condition with one part less, or one of its parts alone.
sub simpler
{
	my ($tree) = @_;
	return () unless ref $tree;
	my @out = @{ $tree->{args} };
	for my $i (0 .. $#{ $tree->{args} })
	{
		if (@{ $tree->{args} } > 2)
		{
			my @less = @{ $tree->{args} };
			splice @less, $i, 1;
			push @out, { %$tree, args => \@less };
		}
		for my $part (simpler($tree->{args}[$i]))
		{
			my @less = @{ $tree->{args} };
			$less[$i] = $part;
			push @out, { %$tree, args => \@less };
		}
	}
	return @out;
}

1;
