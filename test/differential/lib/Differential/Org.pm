# The tables that queries are made of: their columns by kind, their lookups, and values that occur in them.
#
# Kinds: id ref text flag int num date stamp time list (an array) json other.
package Differential::Org;

use strict;
use warnings;

my %kind_of = (
	'text' => 'text', 'boolean' => 'flag', 'integer' => 'int', 'bigint' => 'int', 'date' => 'date',
	'timestamp with time zone' => 'stamp', 'time without time zone' => 'time', 'text[]' => 'list', 'jsonb' => 'json');

# Reads all that from the database, through a session over near.
sub new
{
	my ($class, $near) = @_;
	my $self = bless { tables => {} }, $class;
	my @rows = query($near, <<'SQL');
SELECT c.relname, n.nspname, a.attname, format_type(a.atttypid, a.atttypmod), o.option_name, o.option_value,
	a.attcollation NOT IN (0, 100), coalesce(f.attnotnull, false)
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
LEFT JOIN pg_class fc ON fc.relname = c.relname AND fc.relnamespace = 'crm'::regnamespace
LEFT JOIN pg_attribute f ON f.attrelid = fc.oid AND f.attname = a.attname
LEFT JOIN LATERAL pg_options_to_table(f.attfdwoptions) o ON true
WHERE n.nspname IN ('near', 'common') AND c.relkind IN ('r', 'p', 'v') AND NOT c.relispartition
ORDER BY c.relname, a.attnum, o.option_name
SQL
	for (@rows)
	{
		my ($table, $schema, $name, $type, $option, $value, $folds, $notnull) = @$_;
		my $t = $self->{tables}{$table} ||= { name => $table, sql => qq("$table"), local => $schema eq 'common', columns => [] };
		my $c = $t->{byname}{$name};
		if (!$c)
		{
			my $kind = $kind_of{$type} || ($type =~ /^numeric/ ? 'num' : 'other');
			$kind = 'id' if $name eq 'id' && !$t->{local};
			$c = { name => $name, sql => qq("$name"), type => $type, kind => $kind, folds => $folds eq 't', notnull => $notnull eq 't' };
			$t->{byname}{$name} = $c;
			push @{ $t->{columns} }, $c;
		}
		$c->{"option_$option"} = $value if $option ne '<null>';
	}
	for my $t (values %{ $self->{tables} })
	{
		for my $c (@{ $t->{columns} })
		{
			$c->{kind} = 'id'  if ($c->{option_type} || '') eq 'id';
			$c->{kind} = 'ref' if $c->{option_reference_to} || ($t->{name} =~ /^(open_deal|mail_barrier)$/ && $c->{name} eq 'accountid');
			$c->{parents} = [map { lc } split /,/, $c->{option_reference_to} || 'Account'] if $c->{kind} eq 'ref';
		}
		sample($near, $t);
		$t->{columns} = [grep { $_->{kind} ne 'other' } @{ $t->{columns} }];
		$t->{filled}  = [grep { $_->{name} eq 'id' || @{ $_->{values} } } @{ $t->{columns} }];
	}
	# Lookups as [child, column, parent]; a polymorphic one once for each of its parents.
	for my $t (map { $self->{tables}{$_} } sort keys %{ $self->{tables} })
	{
		next if $t->{local};
		for my $c (grep { $_->{kind} eq 'ref' && @{ $_->{values} } } @{ $t->{columns} })
		{
			for my $parent (grep { $self->{tables}{$_} } @{ $c->{parents} })
			{
				push @{ $self->{lookups} }, [$t, $c, $self->{tables}{$parent}];
				push @{ $t->{up} },         [$c, $self->{tables}{$parent}];
				push @{ $self->{tables}{$parent}{down} }, [$t, $c];
			}
		}
	}
	$self->{foreign} = [map { $self->{tables}{$_} } grep { !$self->{tables}{$_}{local} && @{ $self->{tables}{$_}{filled} } > 1 }
		  sort keys %{ $self->{tables} }];
	$self->{common} = [map { $self->{tables}{$_} } grep { $self->{tables}{$_}{local} } sort keys %{ $self->{tables} }];
	return $self;
}

sub query
{
	my ($session, $sql) = @_;
	my ($r) = $session->run($sql);
	die "$sql\n" . $session->complaint if $r->{state} ne '00000';
	return map { [split /\x1f/, $_, -1] } @{ $r->{rows} };
}

# Up to forty values of each column.
sub sample
{
	my ($session, $t) = @_;
	my %found;
	my @parts = map {
		my $c = $_->{sql};
		$_->{values} = [];
		"(SELECT '$_->{name}', v FROM (SELECT DISTINCT left($c\::text, 3000) AS v FROM $t->{sql} WHERE $c IS NOT NULL) q ORDER BY md5(v) LIMIT 40)"
	} @{ $t->{columns} };
	for (query($session, join ' UNION ALL ', @parts))
	{
		my ($name, $value) = @$_;
		push @{ $t->{byname}{$name}{values} }, $value;
	}
	return;
}

1;
