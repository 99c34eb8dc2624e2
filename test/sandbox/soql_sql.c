/*
 * soql_sql.c - a checked statement as SQLite statements: which rows, how many, which groups, what a
 * row shows.
 *
 * Owns: the order of rows (creation order where the statement asks for none; clients may not rely
 * on it) and where nulls sort.  Must not know: printing.
 */
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include "soql_ast.h"
#include "store.h"

static const char *
keep(Ctx *cx, Buf *b)
{
	char *s = ctx_strndup(cx, b->data, b->len);

	buf_free(b);
	return s;
}

/* WHERE of the object itself: the recycle bin, the parent of a child subquery, the scope, the
 * condition. */
void
sql_where(Ctx *cx, Buf *b, Query *q)
{
	int t = q->joins.v[0]->number;

	buf_adds(b, " WHERE ");
	if (cx->opt->all_rows)
		buf_adds(b, "1");
	else
		buf_addf(b, "t%d.\"IsDeleted\"=0", t);
	if (q->child_field)
		buf_addf(b, " AND t%d.\"%s\"=?1", t, q->child_field->name);
	if (slice_is(q->scope, "mine") || slice_is(q->scope, "mineAndMyGroups"))
		buf_addf(b, " AND t%d.\"OwnerId\"='%s'", t, store_admin_id());
	else if (q->scope.p && !slice_is(q->scope, "everything"))
		buf_adds(b, " AND 0"); /* no teams, territories or delegates in this org */
	if (q->where)
	{
		buf_adds(b, " AND ");
		sql_cond(cx, b, q, q->where);
	}
}

/* Nulls of a lookup, and of a parent that may be missing, are on top whatever the statement says.
 */
static bool
nulls_first(const Ctx *cx, const Order *o)
{
	const Expr *e = o->expr;

	if (!cx->opt->readings.lookup_nulls_asked && e->fn == FN_NONE &&
		(e->type == FT_REFERENCE || e->join->parent))
		return true;
	if (o->nulls_given)
		return o->nulls_first;
	return !o->desc || cx->opt->readings.null_first_on_desc;
}

static void
direction(const Ctx *cx, Buf *b, const Order *o)
{
	bool first = nulls_first(cx, o);

	if (o->desc)
		buf_adds(b, " DESC");
	if (first == o->desc)
		buf_adds(b, first ? " NULLS FIRST" : " NULLS LAST");
}

/* value: the SQL of the value where it has a name of its own (ROLLUP), or NULL. */
static void
order_item(Ctx *cx, Buf *b, const Order *o, const char *value)
{
	const Expr *e = o->expr;

	if ((e->fn == FN_NONE || e->fn == FN_MIN || e->fn == FN_MAX) &&
		e->field->type == FT_PICKLIST && e->field->object && e->field->n_picklist > 0)
	{
		buf_addf(b, "soql_rank(%d,%d,", e->field->object->index, e->field->index);
		if (value)
			buf_adds(b, value);
		else
			sql_expr(cx, b, e);
		buf_addc(b, ')');
		direction(cx, b, o);
		buf_addc(b, ',');
	}
	if (value)
	{
		buf_adds(b, value);
		if (type_is_text(e->type) && !(e->field && e->field->case_sensitive))
			buf_adds(b, " COLLATE SFCI");
	}
	else
	{
		sql_expr(cx, b, e);
		sql_collation(b, e);
	}
	direction(cx, b, o);
}

static void
order_by(Ctx *cx, Buf *b, Query *q)
{
	buf_adds(b, " ORDER BY ");
	for (int i = 0; i < q->order.n; i++)
	{
		order_item(cx, b, &q->order.v[i], NULL);
		buf_addc(b, ',');
	}
	buf_addf(b, "t%d.rowid", q->joins.v[0]->number);
}

static void
limit(Buf *b, const Query *q)
{
	if (q->has_limit || q->has_offset)
		buf_addf(b, " LIMIT %lld", q->has_limit ? (long long) q->limit : -1LL);
	if (q->has_offset)
		buf_addf(b, " OFFSET %lld", (long long) q->offset);
}

/* The rowids of the result, in order; of a child subquery, for the parent whose Id is ?1. */
const char *
sql_rowids(Ctx *cx, Query *q)
{
	Buf b;

	buf_init(&b);
	buf_addf(&b, "SELECT t%d.rowid", q->joins.v[0]->number);
	sql_from(cx, &b, q, false);
	sql_where(cx, &b, q);
	order_by(cx, &b, q);
	limit(&b, q);
	return keep(cx, &b);
}

const char *
sql_count(Ctx *cx, Query *q)
{
	Buf b;
	bool cut = q->has_limit || q->has_offset;

	buf_init(&b);
	buf_adds(&b, cut ? "SELECT count(*) FROM (SELECT 1" : "SELECT count(*)");
	sql_from(cx, &b, q, false);
	sql_where(cx, &b, q);
	if (cut)
	{
		limit(&b, q);
		buf_addc(&b, ')');
	}
	return keep(cx, &b);
}

/* ---- aggregates ---- */

/* One SELECT over the groups of the mask; named: its columns are c0.. and o0.. for an outer SELECT.
 */
static void
arm(Ctx *cx, Buf *b, Query *q, unsigned mask, bool named)
{
	bool first = true;
	Query *rolled = cx->rolled;

	buf_adds(b, "SELECT ");
	for (int i = 0; i < q->items.n; i++)
	{
		if (i > 0)
			buf_addc(b, ',');
		sql_expr(cx, b, q->items.v[i].expr);
		if (named)
			buf_addf(b, " AS c%d", i);
	}
	for (int i = 0; named && i < q->order.n; i++)
	{
		buf_addc(b, ',');
		sql_expr(cx, b, q->order.v[i].expr);
		buf_addf(b, " AS o%d", i);
	}
	cx->rolled = NULL; /* rows are chosen before fields are rolled up */
	sql_from(cx, b, q, false);
	sql_where(cx, b, q);
	cx->rolled = rolled;
	for (int i = 0; i < q->group.n; i++)
	{
		if (i < 32 && !(mask & 1u << i))
			continue;
		buf_adds(b, first ? " GROUP BY " : ",");
		sql_expr(cx, b, q->group.v[i]);
		sql_distinct(cx, b, q->group.v[i]);
		first = false;
	}
	if (q->grouped && first)
		buf_adds(b, " GROUP BY NULL");
	if (q->having)
	{
		buf_adds(b, " HAVING ");
		sql_cond(cx, b, q, q->having);
	}
}

/* One row a group; ROLLUP and CUBE as the union of their groupings. */
const char *
sql_aggregate(Ctx *cx, Query *q)
{
	Buf b;
	unsigned all = q->group.n >= 32 ? ~0u : (1u << q->group.n) - 1;
	bool rolled = q->group_kind != GROUP_PLAIN;

	buf_init(&b);
	if (!rolled)
		arm(cx, &b, q, all, false);
	else
	{
		cx->rolled = q;
		buf_adds(&b, "SELECT ");
		for (int i = 0; i < q->items.n; i++)
			buf_addf(&b, "%sc%d", i ? "," : "", i);
		buf_adds(&b, " FROM (");
		for (unsigned m = all + 1; m-- > 0;)
		{
			/* a roll-up drops fields from the end only */
			if (q->group_kind == GROUP_ROLLUP && (m & (m + 1)) != 0)
				continue;
			if (m != all)
				buf_adds(&b, " UNION ALL ");
			cx->rolled_mask = m;
			arm(cx, &b, q, m, true);
		}
		buf_addc(&b, ')');
		cx->rolled = NULL;
	}
	for (int i = 0; i < q->order.n; i++)
	{
		char name[16];

		snprintf(name, sizeof(name), "o%d", i);
		buf_adds(&b, i ? "," : " ORDER BY ");
		order_item(cx, &b, &q->order.v[i], rolled ? name : NULL);
	}
	limit(&b, q);
	return keep(cx, &b);
}

/* ---- what a row shows ---- */

static int
add_column(Buf *b, int *n)
{
	buf_addc(b, ',');
	return (*n)++;
}

static void columns_of(Ctx *cx, Buf *b, OutVec *outs, int *n, int id_column);

static void
column_of(Ctx *cx, Buf *b, Out *o, int *n, int id_column)
{
	static const Field id_field = {.name = "Id", .type = FT_ID},
					   type_field = {.name = "Type", .type = FT_STRING};

	switch (o->kind)
	{
		case OUT_COMPOUND:
			columns_of(cx, b, &o->parts, n, id_column);
			return;
		case OUT_PARENT:
			o->id_column = add_column(b, n);
			sql_column(b, o->join, &id_field);
			if (o->join->polymorphic)
			{
				o->column = add_column(b, n);
				sql_column(b, o->join, &type_field);
			}
			columns_of(cx, b, &o->parts, n, o->id_column);
			return;
		case OUT_TYPEOF:
			columns_of(cx, b, &o->branches, n, id_column);
			return;
		case OUT_CHILD:
			o->id_column = id_column;
			return;
		case OUT_BASE64:
			o->id_column = id_column;
			o->column = add_column(b, n);
			sql_expr(cx, b, o->expr);
			buf_adds(b, " IS NOT NULL");
			return;
		default:
			o->column = add_column(b, n);
			sql_expr(cx, b, o->expr);
	}
}

static void
columns_of(Ctx *cx, Buf *b, OutVec *outs, int *n, int id_column)
{
	for (int i = 0; i < outs->n; i++)
		column_of(cx, b, &outs->v[i], n, id_column);
}

/* Columns 0 and 1 are the rowid and the Id of the row itself; the others are told to the Outs. */
void
sql_render(Ctx *cx, Query *q)
{
	Buf b;
	int n = 2, t = q->joins.v[0]->number;

	buf_init(&b);
	buf_addf(&b, "SELECT t%d.rowid,t%d.\"Id\"", t, t);
	columns_of(cx, &b, &q->outs, &n, 1);
	sql_from(cx, &b, q, true);
	buf_addf(&b, " WHERE t%d.rowid BETWEEN ?1 AND ?2 ORDER BY t%d.rowid", t, t);
	q->sql_render = keep(cx, &b);
	for (int i = 0; i < q->outs.n; i++)
		if (q->outs.v[i].kind == OUT_CHILD)
		{
			q->outs.v[i].sub->sql_rows = sql_rowids(cx, q->outs.v[i].sub);
			sql_render(cx, q->outs.v[i].sub);
		}
}
