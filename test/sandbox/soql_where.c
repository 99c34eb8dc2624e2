/*
 * soql_where.c - WHERE and HAVING against the schema: which operator a type has, which literal it
 * takes, where a semi-join may stand.
 *
 * Owns: the SQL form of literals.  Must not know: how conditions become SQL.
 */
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include "soql_ast.h"
#include "store.h"

static const char *
type_word(FieldType t, const char *given)
{
	switch (t)
	{
		case FT_ID:
		case FT_REFERENCE:
			return "id";
		case FT_BOOLEAN:
			return "boolean";
		case FT_INT:
		case FT_LONG:
			return "int";
		case FT_DOUBLE:
		case FT_PERCENT:
			return "double";
		case FT_CURRENCY:
			return "currency";
		case FT_DATE:
			return "date";
		case FT_DATETIME:
			return "dateTime";
		case FT_TIME:
			return "time";
		default:
			return given ? given : "string";
	}
}

/* The literal does not have the type of the field. */
static void __attribute__((noreturn)) bad_value(Ctx *cx, const Expr *e)
{
	bool quoted = type_is_text(e->type) || type_is_id(e->type);

	soql_fail(cx, "INVALID_FIELD", e->pos,
			  "value of filter criterion for field '%s' must be of type %s and should %sbe "
			  "enclosed in quotes",
			  expr_name(cx, e),
			  quoted && !type_is_id(e->type) ? "string" : type_word(e->type, NULL),
			  quoted ? "" : "not ");
}

static void __attribute__((noreturn)) bad_operator(Ctx *cx, const Expr *e)
{
	soql_fail(cx, "INVALID_QUERY_FILTER_OPERATOR", e->pos, "invalid operator on %s field",
			  type_word(e->type, e->fn == FN_NONE ? e->field->type_name : NULL));
}

static const char *
quoted(Ctx *cx, const char *s, size_t n)
{
	Buf b;
	char *copy;

	buf_init(&b);
	sql_string(&b, s, n);
	copy = ctx_strndup(cx, b.data, b.len);
	buf_free(&b);
	return copy;
}

/* TODAY and its kin: a half-open range of days or of instants. */
static void
convert_range(Ctx *cx, const Expr *e, Literal *l)
{
	char lo[11], hi[11];
	const char *tail = e->type == FT_DATETIME ? "T00:00:00.000+0000" : "";

	if (e->type != FT_DATE && e->type != FT_DATETIME)
		bad_value(cx, e);
	date_formula_range(l->formula, l->n, date_today(), lo, hi);
	l->sql = ctx_printf(cx, "'%s%s'", lo, tail);
	l->hi = ctx_printf(cx, "'%s%s'", hi, tail);
}

static void
convert_temporal(Ctx *cx, const Expr *e, Literal *l)
{
	char text[32];
	const char *dot;
	bool ok;

	if (l->kind == LIT_RANGE)
	{
		convert_range(cx, e, l);
		return;
	}
	if (l->kind != (e->type == FT_DATE		 ? LIT_DATE
					: e->type == FT_DATETIME ? LIT_DATETIME
											 : LIT_TIME))
		bad_value(cx, e);
	if (cx->opt->readings.no_fractions && e->type == FT_DATETIME &&
		(dot = memchr(l->text.p, '.', l->text.n)) != NULL)
		soql_fail(cx, "MALFORMED_QUERY", l->pos + (int) (dot - l->text.p), "unexpected token: '.'");
	if (e->type == FT_DATE)
		ok = date_literal(l->text, text);
	else if (e->type == FT_DATETIME)
		ok = datetime_literal(l->text, text);
	else
		ok = time_literal(l->text, text);
	if (!ok)
		soql_fail(cx, "INVALID_FIELD", l->pos, "Invalid %s: %.*s",
				  e->type == FT_DATE	   ? "date"
				  : e->type == FT_DATETIME ? "dateTime"
										   : "time",
				  (int) l->text.n, l->text.p);
	l->sql = quoted(cx, text, strlen(text));
}

static void
convert_id(Ctx *cx, const Expr *e, Literal *l)
{
	char id[SF_ID_LEN + 1];

	if (l->kind != LIT_STRING)
		bad_value(cx, e);
	if (!store_canonical_id(l->text.p, l->text.n, id))
		soql_fail(cx, "INVALID_QUERY_FILTER_OPERATOR", e->pos, "invalid ID field: %.*s",
				  (int) l->text.n, l->text.p);
	l->sql = quoted(cx, id, SF_ID_LEN);
}

/* Fits the literal to the type of the left side.  '' is null, as everywhere in Salesforce. */
static void
convert_literal(Ctx *cx, const Expr *e, Op op, Literal *l)
{
	bool textual = type_is_text(e->type) || type_is_id(e->type);

	if (l->kind == LIT_STRING && textual && l->text.n == 0 && op != OP_LIKE)
		l->kind = LIT_NULL;
	if (l->kind == LIT_NULL)
	{
		if (op != OP_EQ && op != OP_NE && op != OP_IN && op != OP_NOT_IN)
			soql_fail(cx, "MALFORMED_QUERY", l->pos, "null can only be compared by = and !=");
		l->sql = "NULL";
	}
	else if (type_is_id(e->type))
		convert_id(cx, e, l);
	else if (type_is_text(e->type))
	{
		if (l->kind != LIT_STRING)
			bad_value(cx, e);
		l->sql = quoted(cx, l->text.p, l->text.n);
	}
	else if (type_is_number(e->type))
	{
		if (l->kind != LIT_NUMBER || ((e->type == FT_INT || e->type == FT_LONG) && !l->is_int))
			bad_value(cx, e);
		if (cx->opt->readings.int32_literals && l->is_int &&
			strtod(ctx_strndup(cx, l->text.p, l->text.n), NULL) > 2147483647.0 + l->negative)
			soql_fail(cx, "MALFORMED_QUERY", l->pos, "For input string: \"%.*s\"",
					  (int) l->text.n, l->text.p);
		l->sql = ctx_printf(cx, "%s%.*s", l->negative ? "-" : "", (int) l->text.n, l->text.p);
	}
	else if (e->type == FT_BOOLEAN)
	{
		if (l->kind != LIT_BOOL)
			bad_value(cx, e);
		l->sql = l->is_true ? "1" : "0";
	}
	else
		convert_temporal(cx, e, l);
}

static void
check_operator(Ctx *cx, const Expr *e, Op op)
{
	bool equality = op == OP_EQ || op == OP_NE;
	bool ok;

	if (e->fn == FN_DISTANCE)
		ok = op == OP_LT || op == OP_GT;
	else if (e->type == FT_MULTIPICKLIST)
		ok = equality || op == OP_INCLUDES || op == OP_EXCLUDES;
	else if (op == OP_INCLUDES || op == OP_EXCLUDES)
		ok = false;
	else if (op == OP_LIKE)
		ok = type_is_text(e->type);
	else if (e->type == FT_BOOLEAN)
		ok = equality || op == OP_IN || op == OP_NOT_IN;
	else
		ok = true;
	if (!ok)
		bad_operator(cx, e);
}

/* ---- semi-joins ---- */

/* True if the two Id or reference fields can hold Ids of a common object. */
static bool
same_target(const Field *a, const Object *oa, const Field *b, const Object *ob)
{
	int na = a->type == FT_ID ? 1 : a->n_reference_to;
	int nb = b->type == FT_ID ? 1 : b->n_reference_to;

	for (int i = 0; i < na; i++)
		for (int k = 0; k < nb; k++)
			if (strcasecmp(a->type == FT_ID ? oa->name : a->reference_to[i],
						   b->type == FT_ID ? ob->name : b->reference_to[k]) == 0)
				return true;
	return false;
}

static void
check_semijoin(Ctx *cx, Query *q, Cond *c, bool in_or, bool nested)
{
	static const char *const refused[] = {"ActivityHistory",
										  "Attachments",
										  "Attachment",
										  "Event",
										  "EventAttendee",
										  "Note",
										  "OpenActivity",
										  "AccountTag",
										  "ContactTag",
										  "CaseTag",
										  "EventTag",
										  "TaskTag",
										  "Task"};
	Query *s = c->sub;
	Expr *inner = s->items.v[0].expr;

	if (in_or)
		soql_fail(cx, "MALFORMED_QUERY", c->pos,
				  "Semi join sub-selects are not allowed with the 'OR' operator");
	if (q->semijoin)
		soql_fail(cx, "MALFORMED_QUERY", c->pos,
				  "Nesting of semi join sub-selects is not supported");
	if (nested || q->outer)
		soql_fail(cx, "MALFORMED_QUERY", c->pos,
				  "Semi join sub-selects are only allowed at the top level WHERE expressions and "
				  "not in nested WHERE expressions.");
	if (++cx->n_semijoins > SOQL_MAX_SEMIJOINS)
		soql_fail(cx, "MALFORMED_QUERY", c->pos,
				  "Maximum %d semi join sub-selects are allowed in a query", SOQL_MAX_SEMIJOINS);
	if (c->left->fn != FN_NONE || !type_is_id(c->left->type))
		soql_fail(cx, "MALFORMED_QUERY", c->pos,
				  "The left operand field in the where expression for outer query should be an id "
				  "field, cannot use: '%s'",
				  expr_name(cx, c->left));
	if (c->left->join != q->joins.v[0])
		soql_fail(cx, "MALFORMED_QUERY", c->pos,
				  "The left operand cannot have more than one level of relationships");
	if (s->scope.p)
		soql_fail(cx, "MALFORMED_QUERY", s->scope_pos,
				  "USING SCOPE is not allowed in semi join sub-selects");
	bind_from(cx, s);
	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++)
		if (strcasecmp(refused[i], s->object->name) == 0)
			soql_fail(cx, "MALFORMED_QUERY", s->from.pos,
					  "Entity '%s' is not supported for semi join inner selects", s->object->name);
	if (s->object == q->object)
		soql_fail(cx, "MALFORMED_QUERY", s->from.pos,
				  "The inner and outer selects should not be on the same object type");
	bind_expr(cx, s, inner);
	if (inner->fn != FN_NONE || !type_is_id(inner->type))
		soql_fail(cx, "MALFORMED_QUERY", inner->pos,
				  "The inner select field '%s' in the semi join sub-select should be an id field",
				  expr_name(cx, inner));
	if (inner->join != s->joins.v[0])
		soql_fail(cx, "MALFORMED_QUERY", inner->pos,
				  "The inner select field '%s' cannot have more than one level of relationships",
				  path_name(cx, inner, s->joins.v[0]));
	if (!same_target(c->left->field, c->left->join->object, inner->field, s->object))
		soql_fail(cx, "MALFORMED_QUERY", inner->pos,
				  "The selected field '%s' in the subquery and the left operand field in the where "
				  "expression in the outer query '%s' "
				  "should point to the same object type",
				  inner->field->name, c->left->field->name);
	check_where(cx, s);
}

/* ---- conditions ---- */

static void
check_left(Ctx *cx, Query *q, Expr *e)
{
	const Expr *leaf = e;

	if (FN_IS_AGGREGATE(e->fn))
		soql_fail(cx, "MALFORMED_QUERY", e->pos, "Aggregate functions are not allowed in WHERE: %s",
				  "use HAVING");
	if (e->fn == FN_GROUPING || e->fn == FN_FORMAT || e->fn == FN_CONVERT_CURRENCY ||
		e->fn == FN_CONVERT_TIMEZONE)
		soql_fail(cx, "MALFORMED_QUERY", e->pos, "Function is not allowed in WHERE");
	bind_expr(cx, q, e);
	join_in_where(e->join);
	while (leaf->arg)
		leaf = leaf->arg;
	if (!leaf->field->filterable && e->fn != FN_DISTANCE)
		soql_fail(cx, "INVALID_FIELD", e->pos, "field '%s' can not be filtered in a query call",
				  leaf->field->name);
	if (leaf->type == FT_ADDRESS || leaf->type == FT_LOCATION)
		if (e->fn != FN_DISTANCE)
			soql_fail(cx, "INVALID_FIELD", e->pos, "field '%s' can not be filtered in a query call",
					  leaf->field->name);
}

static void
check_having_left(Ctx *cx, Query *q, Expr *e)
{
	bind_expr(cx, q, e);
	join_in_where(e->join);
	if (FN_IS_AGGREGATE(e->fn) || e->fn == FN_GROUPING)
		return;
	if (is_grouped(q, e))
		return;
	soql_fail(cx, "MALFORMED_QUERY", e->pos, "Field must be grouped or aggregated: %s",
			  expr_name(cx, e));
}

/*
 * in_or: directly under an OR of the top level; nested: under NOT, or under AND or OR in parentheses - what
 * Salesforce calls the top level are the operands of the outermost AND.
 */
static void
check_cond(Ctx *cx, Query *q, Cond *c, bool having, bool in_or, bool nested, int level)
{
	switch (c->kind)
	{
		case COND_AND:
		case COND_OR:
		case COND_NOT:
			for (int i = 0; i < c->args.n; i++)
				check_cond(cx, q, c->args.v[i], having, in_or || (c->kind == COND_OR && level == 0),
						   nested || c->kind == COND_NOT || level > 0,
						   level + 1);
			return;
		case COND_COMPARE:
			if (having)
				check_having_left(cx, q, c->left);
			else
				check_left(cx, q, c->left);
			check_operator(cx, c->left, c->op);
			for (int i = 0; i < c->values.n; i++)
				convert_literal(cx, c->left, c->op, &c->values.v[i]);
			return;
		case COND_SEMIJOIN:
			if (having)
				soql_fail(cx, "MALFORMED_QUERY", c->pos,
						  "Semi join sub-selects are not allowed in HAVING");
			check_left(cx, q, c->left);
			check_semijoin(cx, q, c, in_or, nested);
			return;
	}
}

void
check_where(Ctx *cx, Query *q)
{
	int outer = cx->n_semijoins;

	cx->n_semijoins = 0; /* the limit is per WHERE */
	if (q->where)
		check_cond(cx, q, q->where, false, false, false, 0);
	cx->n_semijoins = outer;
}

void
check_having(Ctx *cx, Query *q)
{
	if (q->having)
		check_cond(cx, q, q->having, true, false, false, 0);
}
