/*
 * soql_check.c - a statement against the schema: the rules between its clauses.
 *
 * Owns: grouping, ordering, limits, scopes.  WHERE is soql_where.c, the SELECT list soql_select.c.
 * Must not know: SQL.
 */
#include <stdlib.h>
#include <strings.h>
#include "soql_ast.h"

bool
expr_same(const Expr *a, const Expr *b)
{
	if (a->fn != b->fn || (a->arg == NULL) != (b->arg == NULL))
		return false;
	if (a->fn == FN_DISTANCE &&
		(a->latitude != b->latitude || a->longitude != b->longitude || a->miles != b->miles))
		return false;
	if (a->arg)
		return expr_same(a->arg, b->arg);
	return a->join == b->join && a->field == b->field;
}

static bool
holds_aggregate(const Expr *e)
{
	for (; e; e = e->arg)
		if (FN_IS_AGGREGATE(e->fn) || FN_IS_DATE(e->fn) || e->fn == FN_GROUPING)
			return true;
	return false;
}

static void
check_group(Ctx *cx, Query *q)
{
	if (q->group_kind != GROUP_PLAIN && q->group.n > 3)
		soql_fail(cx, "MALFORMED_QUERY", q->group.v[3]->pos, "GROUP BY %s takes at most 3 fields",
				  q->group_kind == GROUP_CUBE ? "CUBE" : "ROLLUP");
	for (int i = 0; i < q->group.n; i++)
	{
		Expr *e = q->group.v[i];

		if (e->fn != FN_NONE && !FN_IS_DATE(e->fn))
			soql_fail(cx, "MALFORMED_QUERY", e->pos,
					  "GROUP BY takes fields and date functions only");
		bind_expr(cx, q, e);
		join_in_where(e->join);
		if (e->fn == FN_NONE && !e->field->groupable)
			soql_fail(cx, "INVALID_FIELD", e->pos, "field '%s' can not be grouped in a query call",
					  e->field->name);
		for (int k = 0; k < i; k++)
			if (expr_same(e, q->group.v[k]))
				soql_fail(cx, "MALFORMED_QUERY", e->pos, "duplicate field in GROUP BY: %s",
						  expr_name(cx, e));
	}
}

static void
check_order(Ctx *cx, Query *q)
{
	if (q->order.n > SOQL_MAX_ORDER)
		soql_fail(cx, "MALFORMED_QUERY", q->order.v[SOQL_MAX_ORDER].expr->pos,
				  "ORDER BY takes at most %d fields", SOQL_MAX_ORDER);
	for (int i = 0; i < q->order.n; i++)
	{
		Expr *e = q->order.v[i].expr;

		bind_expr(cx, q, e);
		join_in_where(e->join);
		if (q->aggregate)
		{
			if (!is_grouped(q, e) && !FN_IS_AGGREGATE(e->fn) && e->fn != FN_GROUPING)
				soql_fail(cx, "MALFORMED_QUERY", e->pos,
						  "Ordered field must be grouped or aggregated: %s", expr_name(cx, e));
		}
		else if (e->fn != FN_NONE && e->fn != FN_DISTANCE)
			soql_fail(cx, "MALFORMED_QUERY", e->pos,
					  "Ordered field must be grouped or aggregated: %s", expr_name(cx, e));
		if (e->fn == FN_NONE &&
			(!e->field->sortable || e->type == FT_ADDRESS || e->type == FT_LOCATION))
			soql_fail(cx, "INVALID_FIELD", e->pos, "field '%s' can not be sorted in a query call",
					  e->field->name);
	}
}

static bool
object_has_scope(const Object *o, Slice scope)
{
	json_object *list, *item, *name;

	if (slice_is(scope, "everything"))
		return true;
	if (o->describe == NULL || !json_object_object_get_ex(o->describe, "supportedScopes", &list) ||
		!json_object_is_type(list, json_type_array))
		return slice_is(scope, "mine") && schema_field(o, "OwnerId", 7) != NULL;
	for (size_t i = 0; i < json_object_array_length(list); i++)
	{
		item = json_object_array_get_idx(list, i);
		if (json_object_object_get_ex(item, "name", &name) &&
			slice_is(scope, json_object_get_string(name)))
			return true;
	}
	return false;
}

static void
check_scope(Ctx *cx, Query *q)
{
	static const char *const known[] = {"everything",		 "mine",	   "mineAndMyGroups",
										"delegated",		 "team",	   "my_territory",
										"my_team_territory", "scopingRule"};
	bool found = false;

	if (!q->scope.p)
		return;
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		found |= slice_is(q->scope, known[i]);
	if (!found)
		soql_fail(cx, "MALFORMED_QUERY", q->scope_pos, "unexpected token: '%.*s'", (int) q->scope.n,
				  q->scope.p);
	if (q->outer || !object_has_scope(q->object, q->scope))
		soql_fail(cx, "INVALID_QUERY_SCOPE", q->scope_pos, "scope '%.*s' is not supported for %s",
				  (int) q->scope.n, q->scope.p, q->object->name);
}

/* An aggregate over everything gives one row: nothing to sort or to cut. */
static void
check_ungrouped(Ctx *cx, Query *q)
{
	const char *clause = NULL;

	if (q->order.n > 0)
		clause = "ORDER BY";
	else if (q->count_star)
		return; /* COUNT() counts up to LIMIT */
	else if (q->has_limit)
		clause = "LIMIT";
	else if (q->has_offset)
		clause = "OFFSET";
	if (clause)
		soql_fail(cx, "MALFORMED_QUERY", -1,
				  "Non-grouped query that uses overall aggregate functions cannot also use %s",
				  clause);
}

/* Checks a statement or a child subquery; afterwards every name in it is bound. */
void
check_statement(Ctx *cx, Query *q)
{
	bind_from(cx, q);
	check_scope(cx, q);
	if (q->category_pos >= 0)
		soql_fail(cx, "MALFORMED_QUERY", q->category_pos,
				  "Data category filters are not supported for the object %s", q->object->name);
	q->aggregate = q->grouped || q->count_star;
	for (int i = 0; i < q->items.n; i++)
		q->aggregate |= q->items.v[i].kind == ITEM_EXPR && holds_aggregate(q->items.v[i].expr);
	if (q->aggregate && q->outer)
		soql_fail(cx, "MALFORMED_QUERY", q->items.n ? q->items.v[0].pos : q->from.pos,
				  "only root queries support aggregate expressions");
	if (q->count_star && q->grouped)
		soql_fail(cx, "MALFORMED_QUERY", q->from.pos, "COUNT() cannot be used with GROUP BY");
	check_where(cx, q);
	check_group(cx, q);
	check_select(cx, q);
	check_having(cx, q);
	if (q->aggregate && !q->grouped)
		check_ungrouped(cx, q);
	check_order(cx, q);
}
