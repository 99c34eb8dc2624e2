/*
 * soql_expr.c - expressions, joins and conditions as SQLite text.
 *
 * Owns: two-valued logic.  Must not know: whole statements, printing.
 */
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include "soql_ast.h"
#include "store.h"

void
sql_ident(Buf *b, const char *name)
{
	buf_addc(b, '"');
	buf_adds(b, name);
	buf_addc(b, '"');
}

void
sql_string(Buf *b, const char *s, size_t n)
{
	buf_addc(b, '\'');
	for (size_t i = 0; i < n; i++)
	{
		if (s[i] == '\'')
			buf_addc(b, '\'');
		buf_addc(b, s[i]);
	}
	buf_addc(b, '\'');
}

/* The column of a target of a polymorphic lookup that answers for a field of the Name object; NULL
 * if none. */
static const Field *
target_field(const Object *target, const Field *f)
{
	const Field *t = strcmp(f->name, "Name") == 0 ? target->name_field
												  : schema_field(target, f->name, strlen(f->name));

	return t && t->stored ? t : NULL;
}

static void
polymorphic_column(Buf *b, const Join *j, const Field *f)
{
	int n = 0;

	if (strcmp(f->name, "Type") == 0)
	{
		buf_adds(b, "CASE");
		for (int i = 0; i < j->n_targets; i++)
			buf_addf(b, " WHEN t%d_%d.\"Id\" IS NOT NULL THEN '%s'", j->number, i,
					 j->targets[i]->name);
		buf_adds(b, j->n_targets ? " END" : " WHEN 0 THEN 0 END");
		return;
	}
	buf_adds(b, "coalesce(NULL");
	for (int i = 0; i < j->n_targets; i++)
	{
		const Field *t = target_field(j->targets[i], f);

		if (t)
			buf_addf(b, ",t%d_%d.\"%s\"", j->number, i, t->name);
		n += t != NULL;
	}
	if (n == 0 || f->type == FT_BOOLEAN)
		buf_adds(b, f->type == FT_BOOLEAN ? ",0" : ",NULL");
	buf_addc(b, ')');
}

/* A boolean is never null, also where there is no parent. */
void
sql_column(Buf *b, const Join *j, const Field *f)
{
	if (j->polymorphic)
		polymorphic_column(b, j, f);
	else if (j->parent && f->type == FT_BOOLEAN)
		buf_addf(b, "coalesce(t%d.\"%s\",0)", j->number, f->name);
	else
		buf_addf(b, "t%d.\"%s\"", j->number, f->name);
}

void
sql_collation(Buf *b, const Expr *e)
{
	if (!type_is_text(e->type))
		return;
	if (e->fn == FN_NONE && (!e->join->polymorphic || e->field->case_sensitive))
		return; /* the column has its own */
	if (e->fn != FN_NONE && e->field && e->field->case_sensitive)
		return;
	buf_adds(b, " COLLATE SFCI");
}

/* How values are told apart by GROUP BY and COUNT_DISTINCT. */
void
sql_distinct(const Ctx *cx, Buf *b, const Expr *e)
{
	if (cx->opt->readings.groups_exact && type_is_text(e->type))
		buf_adds(b, " COLLATE BINARY");
	else
		sql_collation(b, e);
}

/* Latitude and longitude of a location or address field. */
static void
component(Buf *b, const Expr *e, const char *which)
{
	const Object *o = e->join->object;

	for (int i = 0; i < o->n_fields; i++)
	{
		const Field *f = &o->fields[i];

		if (f->compound && strcmp(f->compound, e->field->name) == 0 && strcasestr(f->name, which) &&
			type_is_number(f->type))
		{
			sql_column(b, e->join, f);
			return;
		}
	}
	buf_adds(b, "NULL");
}

static void
date_function(Ctx *cx, Buf *b, const Expr *e)
{
	/* %s stands for the text of the date; the fiscal year is the calendar year */
	static const char *const forms[] = {
		[FN_CALENDAR_MONTH] = "CAST(substr(%,6,2) AS INTEGER)",
		[FN_CALENDAR_QUARTER] = "(CAST(substr(%,6,2) AS INTEGER)+2)/3",
		[FN_CALENDAR_YEAR] = "CAST(substr(%,1,4) AS INTEGER)",
		[FN_DAY_IN_MONTH] = "CAST(substr(%,9,2) AS INTEGER)",
		[FN_DAY_IN_WEEK] = "CAST(strftime('~w',substr(%,1,10)) AS INTEGER)+1",
		[FN_DAY_IN_YEAR] = "CAST(strftime('~j',substr(%,1,10)) AS INTEGER)",
		[FN_DAY_ONLY] = "substr(%,1,10)",
		[FN_FISCAL_MONTH] = "CAST(substr(%,6,2) AS INTEGER)",
		[FN_FISCAL_QUARTER] = "(CAST(substr(%,6,2) AS INTEGER)+2)/3",
		[FN_FISCAL_YEAR] = "CAST(substr(%,1,4) AS INTEGER)",
		[FN_HOUR_IN_DAY] = "CAST(substr(%,12,2) AS INTEGER)",
		[FN_WEEK_IN_MONTH] = "(CAST(substr(%,9,2) AS INTEGER)+6)/7",
		[FN_WEEK_IN_YEAR] = "(CAST(strftime('~j',substr(%,1,10)) AS INTEGER)+6)/7",
	};

	buf_addc(b, '(');
	for (const char *p = forms[e->fn]; *p; p++)
		if (*p == '%')
			sql_expr(cx, b, e->arg);
		else
			buf_addc(b, *p == '~' ? '%' : *p);
	buf_addc(b, ')');
}

static bool
has_picklist(const Field *f)
{
	return f->object != NULL && f->n_picklist > 0;
}

/* What toLabel() shows of a field: the value itself where it is no pick list's. */
static void
label_of(Ctx *cx, Buf *b, const Expr *e)
{
	bool listed = e->field && has_picklist(e->field);

	if (listed)
		buf_addf(b, "soql_label(%d,%d,", e->field->object->index, e->field->index);
	sql_expr(cx, b, e);
	if (listed)
		buf_addc(b, ')');
}

static void
aggregate(Ctx *cx, Buf *b, const Expr *e)
{
	static const char *const names[] = {
		[FN_AVG] = "avg(", [FN_COUNT] = "count(", [FN_COUNT_DISTINCT] = "count(DISTINCT ",
		[FN_MIN] = "min(", [FN_MAX] = "max(",	  [FN_SUM] = "sum("};
	bool ranked = (e->fn == FN_MIN || e->fn == FN_MAX) && e->field->type == FT_PICKLIST &&
				  has_picklist(e->field);

	/* the least picklist value is the first in the order of its definition */
	if (ranked)
		buf_addf(b, "substr(%ssoql_rank(%d,%d,", names[e->fn], e->field->object->index,
				 e->field->index);
	else
		buf_adds(b, names[e->fn]);
	sql_expr(cx, b, e->arg);
	if (ranked)
	{
		buf_adds(b, ")||");
		sql_expr(cx, b, e->arg);
		buf_adds(b, "),6)");
		return;
	}
	if (e->fn == FN_COUNT_DISTINCT)
		sql_distinct(cx, b, e->arg);
	else
		sql_collation(b, e->arg);
	buf_addc(b, ')');
}

static void
format_call(Ctx *cx, Buf *b, const Expr *e)
{
	const Expr *a = e->arg;
	char kind = a->type == FT_CURRENCY	 ? 'c'
				: a->type == FT_PERCENT	 ? 'p'
				: a->type == FT_DATE	 ? 'd'
				: a->type == FT_DATETIME ? 't'
				: a->type == FT_TIME	 ? 'h'
										 : 'n';
	int scale = a->type == FT_INT || a->type == FT_LONG || a->field == NULL ? 0 : a->field->scale;

	buf_addf(b, "soql_format('%c',%d,", kind, scale);
	sql_expr(cx, b, a);
	buf_addc(b, ')');
}

/* The value of an expression. */
void
sql_expr(Ctx *cx, Buf *b, const Expr *e)
{
	if (cx->rolled)
		for (int i = 0; i < cx->rolled->group.n; i++)
			if (!(cx->rolled_mask & 1u << i) && expr_same(cx->rolled->group.v[i], e))
			{
				buf_adds(b, "NULL");
				return;
			}
	if (e->fn == FN_NONE && e->type == FT_ENCRYPTED && e->field->object)
	{
		buf_addf(b, "soql_mask(%d,%d,", e->field->object->index, e->field->index);
		sql_column(b, e->join, e->field);
		buf_addc(b, ')');
	}
	else if (e->fn == FN_NONE)
		sql_column(b, e->join, e->field);
	else if (FN_IS_AGGREGATE(e->fn))
		aggregate(cx, b, e);
	else if (FN_IS_DATE(e->fn))
		date_function(cx, b, e);
	else if (e->fn == FN_GROUPING)
	{
		bool rolled = false;

		for (int i = 0; cx->rolled && i < cx->rolled->group.n; i++)
			rolled |= !(cx->rolled_mask & 1u << i) && expr_same(cx->rolled->group.v[i], e->arg);
		buf_adds(b, rolled ? "1" : "0");
	}
	else if (e->fn == FN_TOLABEL)
		label_of(cx, b, e->arg);
	else if (e->fn == FN_FORMAT)
		format_call(cx, b, e);
	else if (e->fn == FN_DISTANCE)
	{
		buf_adds(b, "soql_distance(");
		component(b, e->arg, "Latitude");
		buf_addc(b, ',');
		component(b, e->arg, "Longitude");
		buf_addf(b, ",%.17g,%.17g,%d)", e->latitude, e->longitude, e->miles);
	}
	else
		sql_expr(cx, b, e->arg); /* one time zone, one currency */
}

static void
one_join(Ctx *cx, Buf *b, const Join *j, const Object *o, int target)
{
	char alias[40];

	if (target >= 0)
		snprintf(alias, sizeof(alias), "t%d_%d", j->number, target);
	else
		snprintf(alias, sizeof(alias), "t%d", j->number);
	buf_adds(b, " LEFT JOIN ");
	sql_ident(b, o->name);
	buf_addf(b, " %s ON %s.\"Id\"=", alias, alias);
	sql_column(b, j->parent, j->via);
	if (!cx->opt->all_rows)
		buf_addf(b, " AND %s.\"IsDeleted\"=0", alias);
}

/* FROM with the parents that the statement needs; a parent in the recycle bin is there only for
 * queryAll. */
void
sql_from(Ctx *cx, Buf *b, const Query *q, bool for_select)
{
	buf_adds(b, " FROM ");
	sql_ident(b, q->object->name);
	buf_addf(b, " t%d", q->joins.v[0]->number);
	for (int i = 1; i < q->joins.n; i++)
	{
		const Join *j = q->joins.v[i];

		if (!(for_select ? j->in_select : j->in_where))
			continue;
		if (!j->polymorphic)
			one_join(cx, b, j, j->object, -1);
		for (int k = 0; k < j->n_targets; k++)
			one_join(cx, b, j, j->targets[k], k);
	}
}

/* ---- conditions ---- */

static void
left_side(Ctx *cx, Buf *b, const Expr *e)
{
	sql_expr(cx, b, e);
	sql_collation(b, e);
}

/* left = value, in two-valued logic as long as no NOT is above. */
static void
equals(Ctx *cx, Buf *b, const Expr *e, const Literal *l)
{
	bool range = l->kind == LIT_RANGE;

	buf_addc(b, '(');
	left_side(cx, b, e);
	if (l->kind == LIT_NULL)
		buf_adds(b, e->type == FT_BOOLEAN ? "=0" : " IS NULL");
	else if (!range)
	{
		buf_addc(b, '=');
		buf_adds(b, l->sql);
	}
	else
	{
		buf_adds(b, ">=");
		buf_adds(b, l->sql);
		buf_adds(b, " AND ");
		left_side(cx, b, e);
		buf_addc(b, '<');
		buf_adds(b, l->hi);
	}
	buf_addc(b, ')');
}

static void
in_list(Ctx *cx, Buf *b, const Cond *c)
{
	bool first = true, plain = false;

	buf_addc(b, '(');
	for (int i = 0; i < c->values.n; i++)
	{
		const Literal *l = &c->values.v[i];

		if (l->kind != LIT_NULL && l->kind != LIT_RANGE)
		{
			plain = true;
			continue;
		}
		if (!first)
			buf_adds(b, " OR ");
		first = false;
		equals(cx, b, c->left, l);
	}
	if (plain)
	{
		if (!first)
			buf_adds(b, " OR ");
		first = true;
		left_side(cx, b, c->left);
		for (int i = 0; i < c->values.n; i++)
		{
			const Literal *l = &c->values.v[i];

			if (l->kind == LIT_NULL || l->kind == LIT_RANGE)
				continue;
			buf_adds(b, first ? " IN (" : ",");
			buf_adds(b, l->sql);
			first = false;
		}
		buf_addc(b, ')');
	}
	buf_addc(b, ')');
}

static void
inequality(Ctx *cx, Buf *b, const Cond *c)
{
	const Literal *l = &c->values.v[0];
	const char *op = c->op == OP_LT ? "<" : c->op == OP_LE ? "<=" : c->op == OP_GT ? ">" : ">=";
	const char *v = l->sql;

	if (l->kind == LIT_RANGE)
	{
		/* before, up to the end of, after, from the beginning of the range */
		op = c->op == OP_LT || c->op == OP_LE ? "<" : ">=";
		v = c->op == OP_LT || c->op == OP_GE ? l->sql : l->hi;
	}
	buf_addc(b, '(');
	left_side(cx, b, c->left);
	buf_adds(b, op);
	buf_adds(b, v);
	buf_addc(b, ')');
}

/*
 * Opens a negation, to be closed with negation_ends().  What is null counts as false below it, so that nulls
 * come back; in the other reading it stays null, and null is not true.
 */
static void
negation(const Ctx *cx, Buf *b)
{
	buf_adds(b, cx->opt->readings.nulls_not_negated ? "(NOT (" : "(NOT coalesce(");
}

static void
negation_ends(const Ctx *cx, Buf *b)
{
	buf_adds(b, cx->opt->readings.nulls_not_negated ? "))" : ",0))");
}

static void
not_equal(Ctx *cx, Buf *b, const Cond *c)
{
	const Literal *l = &c->values.v[0];

	if (l->kind == LIT_RANGE)
	{
		negation(cx, b);
		equals(cx, b, c->left, l);
		negation_ends(cx, b);
		return;
	}
	/* nulls differ from every value, or not */
	buf_addc(b, '(');
	left_side(cx, b, c->left);
	if (l->kind == LIT_NULL)
		buf_adds(b, c->left->type == FT_BOOLEAN ? "=1" : " IS NOT NULL");
	else
	{
		buf_adds(b, cx->opt->readings.nulls_not_negated ? "<>" : " IS NOT ");
		buf_adds(b, l->sql);
	}
	buf_addc(b, ')');
}

static void
compare(Ctx *cx, Buf *b, const Cond *c)
{
	switch (c->op)
	{
		case OP_EQ:
			equals(cx, b, c->left, &c->values.v[0]);
			return;
		case OP_NE:
			not_equal(cx, b, c);
			return;
		case OP_LIKE:
			buf_adds(b, "soql_like(");
			buf_adds(b, c->values.v[0].sql);
			buf_addc(b, ',');
			if (c->left->fn == FN_NONE && c->left->type == FT_PICKLIST)
				label_of(cx, b, c->left); /* LIKE knows labels only, = knows API names only */
			else
				sql_expr(cx, b, c->left);
			buf_adds(b, c->left->field && c->left->field->case_sensitive ? ",1)" : ",0)");
			return;
		case OP_IN:
			in_list(cx, b, c);
			return;
		case OP_NOT_IN:
			negation(cx, b);
			in_list(cx, b, c);
			negation_ends(cx, b);
			return;
		case OP_INCLUDES:
		case OP_EXCLUDES:
			if (c->op == OP_EXCLUDES)
				negation(cx, b);
			buf_adds(b, "soql_includes(");
			sql_expr(cx, b, c->left);
			for (int i = 0; i < c->values.n; i++)
			{
				buf_addc(b, ',');
				buf_adds(b, c->values.v[i].sql);
			}
			buf_addc(b, ')');
			if (c->op == OP_EXCLUDES)
				negation_ends(cx, b);
			return;
		default:
			inequality(cx, b, c);
	}
}

/* (SELECT field FROM ... AND field <test>) */
static void
inner_select(Ctx *cx, Buf *b, Query *s, const char *test)
{
	const Expr *inner = s->items.v[0].expr;

	buf_adds(b, "(SELECT ");
	sql_expr(cx, b, inner);
	sql_from(cx, b, s, false);
	sql_where(cx, b, s);
	buf_adds(b, " AND ");
	sql_expr(cx, b, inner);
	buf_adds(b, test);
	buf_addc(b, ')');
}

/* A null that the inner select finds equals nothing; in SQL's reading it leaves nothing that differs from all. */
static void
semijoin(Ctx *cx, Buf *b, Cond *c)
{
	bool poison = c->op == OP_NOT_IN && cx->opt->readings.inner_nulls_poison;

	if (poison)
	{
		buf_adds(b, "(NOT EXISTS ");
		inner_select(cx, b, c->sub, " IS NULL");
		buf_adds(b, " AND ");
	}
	if (c->op == OP_NOT_IN)
		negation(cx, b);
	buf_addc(b, '(');
	sql_expr(cx, b, c->left);
	buf_adds(b, " IN ");
	inner_select(cx, b, c->sub, " IS NOT NULL");
	buf_addc(b, ')');
	if (c->op == OP_NOT_IN)
		negation_ends(cx, b);
	if (poison)
		buf_addc(b, ')');
}

/* AND and OR as a balanced tree: SQLite limits the depth of an expression. */
static void
chain(Ctx *cx, Buf *b, Query *q, Cond *c, int from, int to)
{
	int mid = (from + to) / 2;

	if (to - from == 1)
	{
		sql_cond(cx, b, q, c->args.v[from]);
		return;
	}
	buf_addc(b, '(');
	chain(cx, b, q, c, from, mid);
	buf_adds(b, c->kind == COND_AND ? " AND " : " OR ");
	chain(cx, b, q, c, mid, to);
	buf_addc(b, ')');
}

/*
 * A condition that is true, or is false or null: what is null counts as false.  Since AND and OR
 * keep that reading, only NOT has to make it explicit.
 */
void
sql_cond(Ctx *cx, Buf *b, Query *q, Cond *c)
{
	switch (c->kind)
	{
		case COND_AND:
		case COND_OR:
			chain(cx, b, q, c, 0, c->args.n);
			return;
		case COND_NOT:
			negation(cx, b);
			sql_cond(cx, b, q, c->args.v[0]);
			negation_ends(cx, b);
			return;
		case COND_COMPARE:
			compare(cx, b, c);
			return;
		case COND_SEMIJOIN:
			semijoin(cx, b, c);
			return;
	}
}
