/*
 * soql_bind.c - names to things: which object FROM means, which field a path means, by which
 * parents.
 *
 * Owns: the joins of a query, and the Name pseudo-object that stands for the parent of a
 * polymorphic lookup.  Must not know: clauses, SQLite.
 */
#include <stdlib.h>
#include <strings.h>
#include "soql_ast.h"

/* What every parent of a polymorphic lookup can be asked for; which it has is seen in its own
 * fields. */
#define NAME_FIELD(n, t, tn)                                                                       \
	{                                                                                              \
		.name = n, .type = t, .type_name = tn, .stored = true, .aggregatable = t != FT_BOOLEAN,    \
		.filterable = true, .groupable = true, .sortable = true, .nillable = true                  \
	}

static Field name_fields[] = {
	NAME_FIELD("Id", FT_ID, "id"),
	NAME_FIELD("Name", FT_STRING, "string"),
	NAME_FIELD("Type", FT_PICKLIST, "picklist"),
	NAME_FIELD("Alias", FT_STRING, "string"),
	NAME_FIELD("Email", FT_EMAIL, "email"),
	NAME_FIELD("FirstName", FT_STRING, "string"),
	NAME_FIELD("LastName", FT_STRING, "string"),
	NAME_FIELD("IsActive", FT_BOOLEAN, "boolean"),
	NAME_FIELD("Phone", FT_PHONE, "phone"),
	NAME_FIELD("Title", FT_STRING, "string"),
	NAME_FIELD("Username", FT_STRING, "string"),
	NAME_FIELD("ProfileId", FT_REFERENCE, "reference"),
	NAME_FIELD("UserRoleId", FT_REFERENCE, "reference"),
};

static Object name_object = {
	.name = "Name",
	.queryable = true,
	.fields = name_fields,
	.n_fields = sizeof(name_fields) / sizeof(name_fields[0]),
	.name_field = &name_fields[1],
};

bool
type_is_text(FieldType t)
{
	switch (t)
	{
		case FT_STRING:
		case FT_TEXTAREA:
		case FT_PICKLIST:
		case FT_MULTIPICKLIST:
		case FT_COMBOBOX:
		case FT_EMAIL:
		case FT_PHONE:
		case FT_URL:
		case FT_ENCRYPTED:
		case FT_ANYTYPE:
		case FT_COMPLEX:
		case FT_BASE64:
			return true;
		default:
			return false;
	}
}

bool
type_is_number(FieldType t)
{
	return t == FT_INT || t == FT_LONG || t == FT_DOUBLE || t == FT_CURRENCY || t == FT_PERCENT;
}

bool
type_is_id(FieldType t)
{
	return t == FT_ID || t == FT_REFERENCE;
}

static const Field *
field_of(const Object *o, Slice name)
{
	if (o != &name_object)
		return schema_seen_field(o, name.p, name.n);
	for (int i = 0; i < o->n_fields; i++)
		if (slice_is(name, o->fields[i].name))
			return &o->fields[i];
	return NULL;
}

const Field *
relationship_of(const Object *o, Slice name)
{
	return o == &name_object ? NULL : schema_relationship(o, name.p, name.n);
}

/* The name by which messages call an expression: the field's. */
const char *
expr_name(Ctx *cx, const Expr *e)
{
	while (e->arg)
		e = e->arg;
	if (e->field)
		return e->field->name;
	if (e->path.n == 0)
		return "Id";
	return ctx_strndup(cx, e->path.v[e->path.n - 1].p, e->path.v[e->path.n - 1].n);
}

/*
 * The join that reaches the parent behind a lookup, made if need be.  target: one object of a
 * polymorphic lookup (a branch of TYPEOF), or NULL for whatever the lookup points to.  NULL if the
 * org has no such object.
 */
Join *
bind_parent(Ctx *cx, Query *q, Join *from, const Field *via, const Object *target)
{
	Join *j;
	int parents = 0, most = cx->opt->readings.max_parents;

	if (most == 0)
		most = SOQL_MAX_PARENTS;
	for (int i = 0; i < q->joins.n; i++)
	{
		j = q->joins.v[i];
		parents += j->parent != NULL;
		if (j->parent == from && j->via == via &&
			(target ? j->object == target : !j->typeof_branch))
			return j;
	}
	if (parents >= most)
		soql_fail(cx, "MALFORMED_QUERY", -1,
				  "SOQL statements cannot query more than %d different parent types", most);
	j = ctx_alloc(cx, sizeof(*j));
	j->parent = from;
	j->via = via;
	j->typeof_branch = target != NULL;
	if (target)
		j->object = target;
	else if (via->n_reference_to > 1 || via->polymorphic)
	{
		j->polymorphic = true;
		j->object = &name_object;
		j->targets = ctx_alloc(cx, sizeof(*j->targets) * (size_t) (via->n_reference_to + 1));
		for (int i = 0; i < via->n_reference_to; i++)
		{
			const Object *o = schema_find(via->reference_to[i], strlen(via->reference_to[i]));

			if (o)
				j->targets[j->n_targets++] = o;
		}
	}
	else if (via->n_reference_to == 1)
		j->object = schema_find(via->reference_to[0], strlen(via->reference_to[0]));
	if (j->object == NULL)
		return NULL;
	j->number = cx->n_aliases++;
	*PUSH(cx, q->joins) = j;
	return j;
}

void
join_in_where(Join *j)
{
	for (; j; j = j->parent)
		j->in_where = true;
}

static void __attribute__((noreturn)) bad_relationship(Ctx *cx, int pos, Slice name)
{
	soql_fail(cx, "INVALID_FIELD", pos,
			  "Didn't understand relationship '%.*s' in field path. If you are attempting to use a "
			  "custom relationship, "
			  "be sure to append the '__r' after the custom relationship name. Please reference "
			  "your WSDL or the describe "
			  "call for the appropriate names.",
			  (int) name.n, name.p);
}

/* One step up; counts levels. */
static Join *
step(Ctx *cx, Query *q, Join *from, Slice name, int pos, int *level)
{
	const Field *via = relationship_of(from->object, name);
	Join *j = via ? bind_parent(cx, q, from, via, NULL) : NULL;

	if (j == NULL)
		bad_relationship(cx, pos, name);
	if (++*level > SOQL_MAX_LEVELS)
		soql_fail(cx, "MALFORMED_QUERY", pos,
				  "SOQL relationship path cannot have more than %d levels", SOQL_MAX_LEVELS);
	return j;
}

static int
level_of(const Join *j)
{
	int n = 0;

	for (; j->parent; j = j->parent)
		n++;
	return n;
}

static bool
slice_same(Slice a, Slice b)
{
	return a.p && b.p && a.n == b.n && strncasecmp(a.p, b.p, a.n) == 0;
}

/* What the first part of a path means where it is no relationship: an alias or the object itself.
 */
static Join *
path_start(Ctx *cx, Query *q, Slice first, int pos)
{
	Join *main = q->joins.v[0];

	if (slice_same(first, q->from.alias))
		return main;
	for (int i = 0; i < q->from_more.n; i++)
		if (slice_same(first, q->from_more.v[i].alias))
		{
			const FromAlias *f = &q->from_more.v[i];
			Join *j = main;
			int level = 0;

			for (int k = 1; k < f->path.n; k++)
				j = step(cx, q, j, f->path.v[k], f->pos, &level);
			return j;
		}
	if (relationship_of(main->object, first))
		return NULL;
	if (slice_is(first, main->object->name))
		return main;
	return NULL;
}

/* A path, from the object of FROM. */
static void
bind_path(Ctx *cx, Query *q, Expr *e)
{
	Join *j = q->joins.v[0], *start;
	int i = 0, level = 0;
	Slice last = e->path.v[e->path.n - 1];

	if (e->join)
		j = e->join; /* a branch of TYPEOF has set where it begins */
	else if (e->path.n > 1 && (start = path_start(cx, q, e->path.v[0], e->pos)) != NULL)
	{
		j = start;
		i = 1;
	}
	level = level_of(j);
	for (; i < e->path.n - 1; i++)
		j = step(cx, q, j, e->path.v[i], e->pos, &level);
	e->join = j;
	e->field = field_of(j->object, last);
	if (e->field == NULL)
		soql_fail(cx, "INVALID_FIELD", e->pos,
				  "No such column '%.*s' on entity '%s'. If you are attempting to use a custom "
				  "field, be sure to append the "
				  "'__c' after the custom field name. Please reference your WSDL or the describe "
				  "call for the appropriate "
				  "names.",
				  (int) last.n, last.p, j->object->name);
	e->type = e->field->type;
}

static void __attribute__((noreturn)) bad_argument(Ctx *cx, const Expr *e, const char *what)
{
	soql_fail(cx, "MALFORMED_QUERY", e->pos, "%s: %s", what, expr_name(cx, e));
}

static void
bind_date_function(Ctx *cx, Expr *e)
{
	const Expr *a = e->arg;

	if (a->fn != FN_NONE && a->fn != FN_CONVERT_TIMEZONE)
		bad_argument(cx, e, "Date functions only take a field");
	if (a->type != FT_DATETIME &&
		(a->type != FT_DATE || e->fn == FN_DAY_ONLY || e->fn == FN_HOUR_IN_DAY))
		bad_argument(cx, e, "Date function does not support the type of the field");
	e->type = e->fn == FN_DAY_ONLY ? FT_DATE : FT_INT;
}

static void
bind_aggregate(Ctx *cx, Expr *e)
{
	static const char *const names[] = {"", "AVG", "COUNT", "COUNT_DISTINCT", "MIN", "MAX", "SUM"};
	const Expr *a = e->arg;

	if (a == NULL)
		bad_argument(cx, e, "COUNT() is not allowed here");
	if (a->fn != FN_NONE)
		bad_argument(cx, e, "Aggregate functions only take a field");
	if (!a->field->aggregatable ||
		((e->fn == FN_AVG || e->fn == FN_SUM) && !type_is_number(a->type)))
		soql_fail(cx, "MALFORMED_QUERY", e->pos, "field %s does not support aggregate operator %s",
				  a->field->name, names[e->fn]);
	if (e->fn == FN_COUNT || e->fn == FN_COUNT_DISTINCT)
		e->type = FT_INT;
	else if (e->fn == FN_AVG)
		e->type = FT_DOUBLE;
	else
		e->type = a->type;
}

/* Binds an expression and what it is made of, and sets the type of its value. */
void
bind_expr(Ctx *cx, Query *q, Expr *e)
{
	const Expr *a;

	if (e->fn == FN_NONE)
	{
		bind_path(cx, q, e);
		return;
	}
	if (e->arg)
	{
		if (e->join && e->arg->join == NULL)
			e->arg->join = e->join;
		bind_expr(cx, q, e->arg);
		e->join = e->arg->join;
		e->field = e->arg->field;
	}
	a = e->arg;
	if (FN_IS_AGGREGATE(e->fn))
		bind_aggregate(cx, e);
	else if (FN_IS_DATE(e->fn))
		bind_date_function(cx, e);
	else if (e->fn == FN_GROUPING)
	{
		if (a->fn != FN_NONE && !FN_IS_DATE(a->fn))
			bad_argument(cx, e, "GROUPING() only takes a grouped field");
		e->type = FT_INT;
	}
	else if (e->fn == FN_CONVERT_TIMEZONE)
	{
		if (a->fn != FN_NONE || a->type != FT_DATETIME)
			bad_argument(cx, e, "convertTimezone() only takes a datetime field");
		e->type = FT_DATETIME;
	}
	else if (e->fn == FN_TOLABEL)
	{
		if (a->fn != FN_NONE ||
			(a->type != FT_PICKLIST && a->type != FT_MULTIPICKLIST && a->type != FT_STRING))
			bad_argument(cx, e, "toLabel() only takes a picklist field");
		e->type = FT_STRING;
	}
	else if (e->fn == FN_FORMAT)
	{
		if ((a->fn != FN_NONE && a->fn != FN_CONVERT_CURRENCY && !FN_IS_AGGREGATE(a->fn)) ||
			(!type_is_number(a->type) && a->type != FT_DATE && a->type != FT_DATETIME &&
			 a->type != FT_TIME))
			bad_argument(cx, e, "FORMAT() only takes a number, currency, date or time");
		e->type = FT_STRING;
	}
	else if (e->fn == FN_CONVERT_CURRENCY)
	{
		if (a->fn != FN_NONE || a->type != FT_CURRENCY)
			bad_argument(cx, e, "convertCurrency() only takes a currency field");
		e->type = FT_CURRENCY;
	}
	else if (e->fn == FN_DISTANCE)
	{
		if (a->fn != FN_NONE || (a->type != FT_LOCATION && a->type != FT_ADDRESS) ||
			a->join->polymorphic)
			bad_argument(cx, e, "DISTANCE() only takes a geolocation field");
		e->type = FT_DOUBLE;
	}
}

static void __attribute__((noreturn)) bad_object(Ctx *cx, int pos, Slice name)
{
	soql_fail(cx, "INVALID_TYPE", pos,
			  "sObject type '%.*s' is not supported. If you are attempting to use a custom object, "
			  "be sure to append the "
			  "'__c' after the entity name. Please reference your WSDL or the describe call for "
			  "the appropriate names.",
			  (int) name.n, name.p);
}

/* FROM of a child subquery: the name of a child relationship of the outer object. */
static void
bind_child(Ctx *cx, Query *q)
{
	const Object *parent = q->outer->object;
	Slice name = q->from.path.v[q->from.path.n - 1];
	const ChildRelationship *r = NULL;

	if (q->from.path.n == 1 ||
		(q->from.path.n == 2 && (slice_same(q->from.path.v[0], q->outer->from.alias) ||
								 slice_is(q->from.path.v[0], parent->name))))
		r = schema_child(parent, name.p, name.n);
	if (r)
		q->object = schema_find(r->child, strlen(r->child));
	if (q->object == NULL)
		soql_fail(cx, "INVALID_TYPE", q->from.pos,
				  "Didn't understand relationship '%.*s' in FROM part of query call. If you are "
				  "attempting to use a custom "
				  "relationship, be sure to append the '__r' after the custom relationship name. "
				  "Please reference your WSDL or "
				  "the describe call for the appropriate names.",
				  (int) name.n, name.p);
	q->child_field = schema_field(q->object, r->field, strlen(r->field));
	if (q->child_field == NULL)
		bad_object(cx, q->from.pos, name);
}

/* Sets q->object and the join of it; resolves the aliases of further FROM items, which are parents.
 */
void
bind_from(Ctx *cx, Query *q)
{
	Join *j;

	if (q->outer && !q->semijoin)
		bind_child(cx, q);
	else
	{
		Slice name = q->from.path.v[0];

		if (q->from.path.n == 1)
			q->object = schema_find(name.p, name.n);
		if (q->object == NULL || !schema_may(ACCESS_READ, q->object, NULL))
			bad_object(cx, q->from.pos, q->from.path.v[q->from.path.n - 1]);
	}
	if (!q->object->queryable)
		soql_fail(cx, "INVALID_TYPE_FOR_OPERATION", q->from.pos,
				  "entity type %s does not support query", q->object->name);
	j = ctx_alloc(cx, sizeof(*j));
	j->object = q->object;
	j->number = cx->n_aliases++;
	j->in_where = j->in_select = true;
	*PUSH(cx, q->joins) = j;
	for (int i = 0; i < q->from_more.n; i++)
	{
		const FromAlias *f = &q->from_more.v[i];

		if (f->path.n < 2 || !f->alias.p ||
			(!slice_same(f->path.v[0], q->from.alias) && !slice_is(f->path.v[0], q->object->name)))
			bad_object(cx, f->pos, f->path.v[0]);
		path_start(cx, q, f->alias, f->pos);
	}
}
