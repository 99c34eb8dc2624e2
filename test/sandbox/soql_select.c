/*
 * soql_select.c - the SELECT list against the schema: what a record will show, in which order, by
 * which key.
 *
 * Owns: the tree of Outs that the renderer walks.  Must not know: SQL, how values are printed.
 */
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include "soql_ast.h"

static void
mark_select(Join *j)
{
	for (; j; j = j->parent)
		j->in_select = true;
}

static void
set_key(Ctx *cx, Out *o, const char *key)
{
	o->key = key;
	o->lead = ctx_printf(cx, ",\"%s\":", key);
	o->lead_len = strlen(o->lead);
}

static OutKind
kind_of(FieldType t)
{
	switch (t)
	{
		case FT_ID:
		case FT_REFERENCE:
		case FT_DATE:
		case FT_DATETIME:
		case FT_TIME:
			return OUT_PLAIN;
		case FT_BOOLEAN:
			return OUT_BOOL;
		case FT_INT:
		case FT_LONG:
			return OUT_INT;
		case FT_DOUBLE:
		case FT_CURRENCY:
		case FT_PERCENT:
			return OUT_DOUBLE;
		case FT_BASE64:
			return OUT_BASE64;
		case FT_ADDRESS:
		case FT_LOCATION:
			return OUT_COMPOUND;
		case FT_ANYTYPE:
		case FT_COMPLEX:
			return OUT_ANY;
		default:
			return OUT_TEXT;
	}
}

static void out_init(Ctx *cx, Out *o, Expr *e, const char *key);

/* The parts of an address or location, by their key in the answer; addresses in alphabetical order.
 */
static void
add_components(Ctx *cx, Out *o, Expr *e)
{
	static const char *const keys[] = {"city",		"country",	 "countryCode", "geocodeAccuracy",
									   "latitude",	"longitude", "postalCode",	"state",
									   "stateCode", "street"};
	const Object *obj = e->join->object;
	const Field *whole = e->field;
	bool address = whole->type == FT_ADDRESS;
	size_t stem = strlen(whole->name);

	/* BillingAddress -> BillingCity; Place__c -> Place__Latitude__s */
	if (address && stem >= 7 && strcmp(whole->name + stem - 7, "Address") == 0)
		stem -= 7;
	else if (stem > 3 && strcmp(whole->name + stem - 3, "__c") == 0)
		stem -= 3;
	for (size_t k = 0; k < sizeof(keys) / sizeof(keys[0]); k++)
		for (int i = 0; i < obj->n_fields; i++)
		{
			const Field *f = &obj->fields[i];
			const char *tail;
			size_t n = strlen(keys[k]);
			Expr *part;
			Out *p;

			if (f == whole || f->compound == NULL || strcmp(f->compound, whole->name) != 0 ||
				strncmp(f->name, whole->name, stem) != 0)
				continue;
			tail = f->name + stem;
			while (*tail == '_')
				tail++;
			if (strncasecmp(tail, keys[k], n) != 0 ||
				(tail[n] != '\0' && strcmp(tail + n, "__s") != 0))
				continue;
			part = ctx_alloc(cx, sizeof(*part));
			part->join = e->join;
			part->field = f;
			part->type = f->type;
			p = PUSH(cx, o->parts);
			out_init(cx, p, part, keys[k]);
		}
}

static void
out_init(Ctx *cx, Out *o, Expr *e, const char *key)
{
	o->kind = kind_of(e->type);
	o->expr = e;
	o->field = e->field;
	o->object = e->join ? e->join->object : NULL;
	set_key(cx, o, key);
	if (o->kind == OUT_COMPOUND)
		add_components(cx, o, e);
}

/* The list that a join's fields go into: the record's own, or the nested object of a parent. */
static OutVec *
outs_of(Ctx *cx, Join *j, Join *base, OutVec *top)
{
	OutVec *up;
	Out *o;

	if (j == base)
		return top;
	up = outs_of(cx, j->parent, base, top);
	for (int i = 0; i < up->n; i++)
		if (up->v[i].kind == OUT_PARENT && up->v[i].join == j)
			return &up->v[i].parts;
	o = PUSH(cx, *up);
	o->kind = OUT_PARENT;
	o->join = j;
	o->object = j->object;
	set_key(cx, o, j->via->relationship);
	return &o->parts;
}

static void
add_field(Ctx *cx, Expr *e, const char *key, Join *base, OutVec *top, const char *shown)
{
	OutVec *list = outs_of(cx, e->join, base, top);

	mark_select(e->join);
	for (int i = 0; i < list->n; i++)
		if (strcasecmp(list->v[i].key, key) == 0)
		{
			if (list->v[i].kind == OUT_PARENT || list->v[i].kind == OUT_CHILD ||
				list->v[i].kind == OUT_TYPEOF)
				continue;
			soql_fail(cx, "INVALID_FIELD", e->pos, "duplicate field selected: %s", shown);
		}
	out_init(cx, PUSH(cx, *list), e, key);
}

/* Account.Name as the statement means it, with the names of the describe. */
const char *
path_name(Ctx *cx, const Expr *e, const Join *base)
{
	const char *name = e->field->name;

	for (const Join *j = e->join; j && j != base && j->parent; j = j->parent)
		name = ctx_printf(cx, "%s.%s", j->via->relationship, name);
	return name;
}

/* Custom long text: two of them and the API makes its batches smaller. */
static void
count_long_text(Query *q, const Expr *e)
{
	while (e->arg)
		e = e->arg;
	if (e->field && e->field->custom && e->field->type == FT_TEXTAREA && e->field->length > 255)
		q->long_text++;
}

static bool
aliasable(Func f)
{
	return f == FN_TOLABEL || f == FN_FORMAT || f == FN_CONVERT_CURRENCY || f == FN_DISTANCE;
}

static void
select_expr(Ctx *cx, Query *q, Item *it, int *exprs)
{
	Expr *e = it->expr, *leaf = e;
	const char *key, *shown;

	bind_expr(cx, q, e);
	if (it->alias.p && !aliasable(e->fn))
		soql_fail(cx, "MALFORMED_QUERY", it->pos, "only aggregate expressions use field aliasing");
	if (e->fn == FN_CONVERT_TIMEZONE)
		soql_fail(cx, "MALFORMED_QUERY", it->pos,
				  "convertTimezone() is only allowed in a date function");
	while (leaf->arg)
		leaf = leaf->arg;
	shown = path_name(cx, leaf, q->joins.v[0]);
	if (it->alias.p)
		key = shown = ctx_strndup(cx, it->alias.p, it->alias.n);
	else if (e->fn == FN_DISTANCE)
		key = shown = ctx_printf(cx, "expr%d", (*exprs)++);
	else
		key = leaf->field->name;
	count_long_text(q, e);
	if (it->alias.p || e->fn == FN_DISTANCE)
	{
		/* an alias stands in the record itself, also where the field is a parent's */
		Out *o;

		mark_select(e->join);
		for (int i = 0; i < q->outs.n; i++)
			if (strcasecmp(q->outs.v[i].key, key) == 0)
				soql_fail(cx, "MALFORMED_QUERY", it->pos, "duplicate alias: %s", key);
		o = PUSH(cx, q->outs);
		out_init(cx, o, e, key);
		return;
	}
	add_field(cx, e, key, q->joins.v[0], &q->outs, shown);
}

/* True if a top-level condition names at most 200 Ids: as good as a LIMIT for FIELDS(ALL). */
static bool
bounded_by_ids(const Query *q, const Cond *c)
{
	if (c == NULL)
		return false;
	if (c->kind == COND_AND)
	{
		for (int i = 0; i < c->args.n; i++)
			if (bounded_by_ids(q, c->args.v[i]))
				return true;
		return false;
	}
	return c->kind == COND_COMPARE && (c->op == OP_EQ || c->op == OP_IN) &&
		   c->left->fn == FN_NONE && c->left->type == FT_ID && c->left->join == q->joins.v[0] &&
		   c->values.n <= SOQL_MAX_FIELDS_LIMIT;
}

static void
select_fields(Ctx *cx, Query *q, Item *it)
{
	bool standard = slice_is(it->word, "STANDARD"), custom = slice_is(it->word, "CUSTOM");

	if (!standard && (!q->has_limit || q->limit > SOQL_MAX_FIELDS_LIMIT) &&
		!bounded_by_ids(q, q->where))
		soql_fail(cx, "MALFORMED_QUERY", -1,
				  "The SOQL FIELDS function must have a LIMIT of at most %d",
				  SOQL_MAX_FIELDS_LIMIT);
	for (int i = 0; i < q->object->n_fields; i++)
	{
		const Field *f = &q->object->fields[i];
		Expr *e;

		if (!schema_seen(f) || (standard && f->custom) || (custom && !f->custom))
			continue;
		e = ctx_alloc(cx, sizeof(*e));
		e->pos = it->pos;
		e->join = q->joins.v[0];
		e->field = f;
		e->type = f->type;
		count_long_text(q, e);
		add_field(cx, e, f->name, q->joins.v[0], &q->outs, f->name);
	}
}

static void
select_child(Ctx *cx, Query *q, Item *it)
{
	Query *sub = it->sub;
	Out *o;
	const char *key = NULL;
	int depth = 0;

	for (const Query *up = q; up; up = up->outer)
		depth++;
	if (depth > 4)
		soql_fail(cx, "MALFORMED_QUERY", it->pos,
				  "SOQL relationship queries cannot have more than 5 levels");
	if (sub->has_offset && !(q->has_limit && q->limit == 1))
		soql_fail(cx, "MALFORMED_QUERY", sub->offset_pos,
				  "A subquery can use OFFSET only if the parent query has a LIMIT 1 clause");
	check_statement(cx, sub);
	for (int i = 0; i < q->object->n_children; i++)
	{
		const ChildRelationship *r = &q->object->children[i];

		if (r->relationship && slice_is(sub->from.path.v[sub->from.path.n - 1], r->relationship))
			key = r->relationship;
	}
	for (int i = 0; i < q->outs.n; i++)
		if (strcasecmp(q->outs.v[i].key, key) == 0)
			soql_fail(cx, "MALFORMED_QUERY", it->pos,
					  "The SELECT list has the relationship '%s' more than once", key);
	o = PUSH(cx, q->outs);
	o->kind = OUT_CHILD;
	o->sub = sub;
	set_key(cx, o, key);
	q->has_children = true;
}

/* One WHEN or ELSE: its fields, as the parts of a parent object. */
static void
typeof_branch(Ctx *cx, TypeofBranch *b, Join *j, Out *o, Query *q)
{
	Out *branch = PUSH(cx, o->branches);

	branch->kind = OUT_PARENT;
	branch->join = j;
	branch->object = j->object;
	set_key(cx, branch, o->key);
	mark_select(j);
	for (int i = 0; b && i < b->fields.n; i++)
	{
		Expr *e = b->fields.v[i];

		e->join = j;
		bind_expr(cx, q, e);
		if (e->fn != FN_NONE)
			soql_fail(cx, "MALFORMED_QUERY", e->pos, "TYPEOF only takes fields");
		add_field(cx, e, e->field->name, j, &branch->parts, path_name(cx, e, j));
	}
}

static void
select_typeof(Ctx *cx, Query *q, Item *it)
{
	const Field *via = relationship_of(q->object, it->word);
	TypeofBranch *otherwise = NULL;
	Join *j;
	Out *o;

	if (via == NULL || (via->n_reference_to < 2 && !via->polymorphic))
		soql_fail(cx, "INVALID_FIELD", it->pos,
				  "TYPEOF must name a polymorphic relationship: '%.*s'", (int) it->word.n,
				  it->word.p);
	for (int i = 0; i < q->outs.n; i++)
		if (strcasecmp(q->outs.v[i].key, via->relationship) == 0)
			soql_fail(cx, "MALFORMED_QUERY", it->pos, "duplicate field selected: %s",
					  via->relationship);
	o = PUSH(cx, q->outs);
	o->kind = OUT_TYPEOF;
	set_key(cx, o, via->relationship);
	for (int i = 0; i < it->branches.n; i++)
	{
		TypeofBranch *b = &it->branches.v[i];
		const Object *target;
		bool known = false;

		if (b->type.n == 0)
		{
			otherwise = b;
			continue;
		}
		target = schema_find(b->type.p, b->type.n);
		for (int k = 0; k < via->n_reference_to; k++)
			known |= slice_is(b->type, via->reference_to[k]);
		if (!known)
			soql_fail(cx, "INVALID_TYPE", b->pos,
					  "'%.*s' is not a type that the relationship '%s' can refer to",
					  (int) b->type.n, b->type.p, via->relationship);
		if (target == NULL)
			continue; /* no row of this org can have that type */
		for (int k = 0; k < o->branches.n; k++)
			if (o->branches.v[k].object == target)
				soql_fail(cx, "MALFORMED_QUERY", b->pos,
						  "TYPEOF names the type '%s' more than once", target->name);
		typeof_branch(cx, b, bind_parent(cx, q, q->joins.v[0], via, target), o, q);
	}
	j = bind_parent(cx, q, q->joins.v[0], via, NULL);
	typeof_branch(cx, otherwise, j, o, q);
}

/* ---- aggregates ---- */

/* Grouped itself, or a function of a date that is: one of a datetime needs the function in GROUP BY. */
bool
is_grouped(const Query *q, const Expr *e)
{
	for (int i = 0; i < q->group.n; i++)
		if (expr_same(q->group.v[i], e))
			return true;
	return FN_IS_DATE(e->fn) && e->arg->type == FT_DATE && is_grouped(q, e->arg);
}

/* An aggregate, a grouped field, or a formatting function around one. */
static void
check_grouped(Ctx *cx, Query *q, const Expr *e)
{
	if (is_grouped(q, e))
		return;
	if (FN_IS_AGGREGATE(e->fn))
	{
		if (is_grouped(q, e->arg))
			soql_fail(cx, "MALFORMED_QUERY", e->pos, "Grouped field should not be aggregated: %s",
					  expr_name(cx, e));
		return;
	}
	if (e->fn == FN_GROUPING)
	{
		if (q->group_kind == GROUP_PLAIN || !is_grouped(q, e->arg))
			soql_fail(cx, "MALFORMED_QUERY", e->pos,
					  "GROUPING() needs a field of GROUP BY ROLLUP or GROUP BY CUBE: %s",
					  expr_name(cx, e));
		return;
	}
	if (aliasable(e->fn) && e->fn != FN_DISTANCE)
	{
		check_grouped(cx, q, e->arg);
		return;
	}
	soql_fail(cx, "MALFORMED_QUERY", e->pos, "Field must be grouped or aggregated: %s",
			  expr_name(cx, e));
}

static void
select_aggregate(Ctx *cx, Query *q, Item *it, int *exprs)
{
	Expr *e = it->expr;
	const char *key;

	if (it->kind == ITEM_SUBQUERY || it->kind == ITEM_TYPEOF || it->kind == ITEM_FIELDS)
		soql_fail(cx, "MALFORMED_QUERY", it->pos, "Aggregate queries cannot select %s",
				  it->kind == ITEM_SUBQUERY ? "subqueries"
				  : it->kind == ITEM_TYPEOF ? "TYPEOF"
											: "FIELDS()");
	bind_expr(cx, q, e);
	check_grouped(cx, q, e);
	join_in_where(e->join); /* an aggregate query is one statement */
	if (it->alias.p)
		key = ctx_strndup(cx, it->alias.p, it->alias.n);
	else if (e->fn == FN_NONE)
		key = e->field->name;
	else
		key = ctx_printf(cx, "expr%d", (*exprs)++);
	for (int i = 0; i < q->outs.n; i++)
		if (strcasecmp(q->outs.v[i].key, key) == 0)
			soql_fail(cx, "MALFORMED_QUERY", it->pos, "duplicate alias: %s", key);
	out_init(cx, PUSH(cx, q->outs), e, key);
}

void
check_select(Ctx *cx, Query *q)
{
	int exprs = 0, children = 0;

	for (int i = 0; i < q->items.n; i++)
	{
		Item *it = &q->items.v[i];

		if (q->aggregate)
			select_aggregate(cx, q, it, &exprs);
		else if (it->kind == ITEM_EXPR)
			select_expr(cx, q, it, &exprs);
		else if (it->kind == ITEM_FIELDS)
			select_fields(cx, q, it);
		else if (it->kind == ITEM_TYPEOF)
			select_typeof(cx, q, it);
		else
		{
			if (++children > SOQL_MAX_CHILDREN)
				soql_fail(cx, "MALFORMED_QUERY", it->pos,
						  "SOQL statements cannot query more than %d different child types.",
						  SOQL_MAX_CHILDREN);
			select_child(cx, q, it);
		}
	}
}
