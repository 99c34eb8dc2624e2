/*
 * soql_parse.c - tokens to tree: the grammar of SOQL by recursive descent.
 *
 * Owns: what is syntax.  Must not know: the schema, SQLite.  Whatever a name means is for the
 * check.
 */
#include <stdlib.h>
#include <strings.h>
#include "soql_ast.h"

static Query *parse_query(Ctx *cx, Query *outer);
static Cond *parse_conditions(Ctx *cx, Query *q);
static Expr *parse_expr(Ctx *cx);

static const struct
{
	const char *name;
	Func fn;
} functions[] = {
	{"AVG", FN_AVG},
	{"COUNT", FN_COUNT},
	{"COUNT_DISTINCT", FN_COUNT_DISTINCT},
	{"MIN", FN_MIN},
	{"MAX", FN_MAX},
	{"SUM", FN_SUM},
	{"GROUPING", FN_GROUPING},
	{"CALENDAR_MONTH", FN_CALENDAR_MONTH},
	{"CALENDAR_QUARTER", FN_CALENDAR_QUARTER},
	{"CALENDAR_YEAR", FN_CALENDAR_YEAR},
	{"DAY_IN_MONTH", FN_DAY_IN_MONTH},
	{"DAY_IN_WEEK", FN_DAY_IN_WEEK},
	{"DAY_IN_YEAR", FN_DAY_IN_YEAR},
	{"DAY_ONLY", FN_DAY_ONLY},
	{"FISCAL_MONTH", FN_FISCAL_MONTH},
	{"FISCAL_QUARTER", FN_FISCAL_QUARTER},
	{"FISCAL_YEAR", FN_FISCAL_YEAR},
	{"HOUR_IN_DAY", FN_HOUR_IN_DAY},
	{"WEEK_IN_MONTH", FN_WEEK_IN_MONTH},
	{"WEEK_IN_YEAR", FN_WEEK_IN_YEAR},
	{"convertTimezone", FN_CONVERT_TIMEZONE},
	{"toLabel", FN_TOLABEL},
	{"FORMAT", FN_FORMAT},
	{"convertCurrency", FN_CONVERT_CURRENCY},
	{"DISTANCE", FN_DISTANCE},
};

static const Token *
peek(Ctx *cx, int ahead)
{
	int i = cx->at + ahead;

	return &cx->tokens[i < cx->n_tokens ? i : cx->n_tokens - 1];
}

static Slice
token_text(Ctx *cx, const Token *t)
{
	return (Slice){cx->text + t->pos, (size_t) t->len};
}

static void __attribute__((noreturn)) unexpected(Ctx *cx, const Token *t)
{
	if (t->kind == TK_EOF)
		soql_fail(cx, "MALFORMED_QUERY", t->pos, "unexpected token: '<EOF>'");
	soql_fail(cx, "MALFORMED_QUERY", t->pos, "unexpected token: '%.*s'", t->len, cx->text + t->pos);
}

static bool
at_word(Ctx *cx, int ahead, const char *word)
{
	const Token *t = peek(cx, ahead);

	return t->kind == TK_NAME && slice_is(token_text(cx, t), word);
}

static bool
at_punct(Ctx *cx, int ahead, const char *p)
{
	const Token *t = peek(cx, ahead);

	return t->kind == TK_PUNCT && slice_is(token_text(cx, t), p);
}

static bool
take_word(Ctx *cx, const char *word)
{
	if (!at_word(cx, 0, word))
		return false;
	cx->at++;
	return true;
}

static bool
take_punct(Ctx *cx, const char *p)
{
	if (!at_punct(cx, 0, p))
		return false;
	cx->at++;
	return true;
}

static void
need_word(Ctx *cx, const char *word)
{
	if (!take_word(cx, word))
		unexpected(cx, peek(cx, 0));
}

static void
need_punct(Ctx *cx, const char *p)
{
	if (!take_punct(cx, p))
		unexpected(cx, peek(cx, 0));
}

static Slice
need_name(Ctx *cx)
{
	const Token *t = peek(cx, 0);

	if (t->kind != TK_NAME)
		unexpected(cx, t);
	cx->at++;
	return token_text(cx, t);
}

static void
enter(Ctx *cx)
{
	if (++cx->depth > SOQL_MAX_DEPTH)
		soql_fail(cx, "MALFORMED_QUERY", peek(cx, 0)->pos,
				  "The SOQL statement is nested too deeply.");
}

/* Words that cannot be an alias because a clause begins with them. */
static bool
at_clause(Ctx *cx)
{
	static const char *const words[] = {
		"FROM",		"USING",	"WHERE", "WITH",   "GROUP", "HAVING", "ORDER", "LIMIT", "OFFSET",
		"FOR",		"UPDATE",	"ALL",	 "SELECT", "AND",	"OR",	  "NOT",   "IN",	"LIKE",
		"INCLUDES", "EXCLUDES", "ASC",	 "DESC",   "NULLS", "FIRST",  "LAST",  "NULL"};

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (at_word(cx, 0, words[i]))
			return true;
	return false;
}

/* The number of GEOLOCATION(): signed, integer or decimal. */
static double
parse_coordinate(Ctx *cx)
{
	double sign = 1, v;
	const Token *t;

	if (take_punct(cx, "-"))
		sign = -1;
	else
		take_punct(cx, "+");
	t = peek(cx, 0);
	if (t->kind != TK_INT && t->kind != TK_DECIMAL)
		unexpected(cx, t);
	cx->at++;
	v = strtod(ctx_strndup(cx, cx->text + t->pos, (size_t) t->len), NULL);
	return sign * v;
}

/* field, GEOLOCATION(lat, lon), 'mi' ) */
static void
parse_distance(Ctx *cx, Expr *e)
{
	const Token *t;
	Slice unit;

	e->arg = parse_expr(cx);
	need_punct(cx, ",");
	need_word(cx, "GEOLOCATION");
	need_punct(cx, "(");
	t = peek(cx, 0);
	e->latitude = parse_coordinate(cx);
	need_punct(cx, ",");
	e->longitude = parse_coordinate(cx);
	if (e->latitude < -90 || e->latitude > 90 || e->longitude < -180 || e->longitude > 180)
		soql_fail(cx, "NUMBER_OUTSIDE_VALID_RANGE", t->pos,
				  "Latitude must be between -90 and 90, longitude between -180 and 180.");
	need_punct(cx, ")");
	need_punct(cx, ",");
	t = peek(cx, 0);
	if (t->kind != TK_STRING)
		unexpected(cx, t);
	cx->at++;
	unit = lex_decode(cx, t, false);
	e->miles = slice_is(unit, "mi");
	if (!e->miles && !slice_is(unit, "km"))
		soql_fail(cx, "MALFORMED_QUERY", t->pos, "DISTANCE unit must be 'mi' or 'km'");
}

/* A path, or a function of one. */
static Expr *
parse_expr(Ctx *cx)
{
	const Token *t = peek(cx, 0);
	Expr *e = ctx_alloc(cx, sizeof(*e));

	e->pos = t->pos;
	if (t->kind != TK_NAME)
		unexpected(cx, t);
	if (at_punct(cx, 1, "("))
	{
		for (size_t i = 0; i < sizeof(functions) / sizeof(functions[0]); i++)
			if (slice_is(token_text(cx, t), functions[i].name))
				e->fn = functions[i].fn;
		if (e->fn == FN_NONE)
			unexpected(cx, peek(cx, 1));
		cx->at += 2;
		enter(cx);
		if (e->fn == FN_DISTANCE)
			parse_distance(cx, e);
		else if (e->fn != FN_COUNT || !at_punct(cx, 0, ")"))
			e->arg = parse_expr(cx);
		cx->depth--;
		need_punct(cx, ")");
		return e;
	}
	if (at_word(cx, 0, "FROM") || at_word(cx, 0, "WHERE"))
		unexpected(cx, t);
	do
		*PUSH(cx, e->path) = need_name(cx);
	while (take_punct(cx, "."));
	return e;
}

/* ---- conditions ---- */

/* True if the word is a currency value such as USD5000. */
static bool
is_currency(Slice s)
{
	if (s.n < 4)
		return false;
	for (size_t i = 0; i < s.n; i++)
		if (i < 3 ? !((s.p[i] | 0x20) >= 'a' && (s.p[i] | 0x20) <= 'z')
				  : !(s.p[i] >= '0' && s.p[i] <= '9'))
			return false;
	return true;
}

/* A literal that is a word: null, true, TODAY, LAST_N_DAYS:5, USD5000. */
static void
parse_word_literal(Ctx *cx, Literal *l)
{
	const Token *t = peek(cx, 0), *n;
	Slice s = token_text(cx, t);
	bool takes_n;

	cx->at++;
	l->text = s;
	if (slice_is(s, "null"))
		l->kind = LIT_NULL;
	else if (slice_is(s, "true") || slice_is(s, "false"))
	{
		l->kind = LIT_BOOL;
		l->is_true = slice_is(s, "true");
	}
	else if ((l->formula = date_formula(s, &takes_n)) >= 0)
	{
		l->kind = LIT_RANGE;
		if (!takes_n)
			return;
		need_punct(cx, ":");
		n = peek(cx, 0);
		if (n->kind != TK_INT)
			unexpected(cx, n);
		if (n->len > 6 ||
			(l->n = strtol(ctx_strndup(cx, cx->text + n->pos, (size_t) n->len), NULL, 10)) < 1)
			soql_fail(cx, "MALFORMED_QUERY", n->pos,
					  "Invalid number of units in date literal: %.*s", n->len, cx->text + n->pos);
		cx->at++;
	}
	else if (is_currency(s))
		l->kind = LIT_CURRENCY;
	else
		unexpected(cx, t);
}

static void
parse_literal(Ctx *cx, Literal *l, bool like)
{
	const Token *t = peek(cx, 0);

	l->pos = t->pos;
	if (at_punct(cx, 0, ":"))
		soql_fail(cx, "MALFORMED_QUERY", t->pos, "Bind variables only allowed in Apex code");
	if (at_punct(cx, 0, "-") || at_punct(cx, 0, "+"))
	{
		l->negative = at_punct(cx, 0, "-");
		cx->at++;
		t = peek(cx, 0);
		if (t->kind != TK_INT && t->kind != TK_DECIMAL)
			unexpected(cx, t);
	}
	switch (t->kind)
	{
		case TK_NAME:
			parse_word_literal(cx, l);
			return;
		case TK_STRING:
			l->kind = LIT_STRING;
			l->text = lex_decode(cx, t, like);
			break;
		case TK_INT:
		case TK_DECIMAL:
			l->kind = LIT_NUMBER;
			l->is_int = t->kind == TK_INT;
			l->text = token_text(cx, t);
			break;
		case TK_DATE:
		case TK_DATETIME:
		case TK_TIME:
			l->kind = t->kind == TK_DATE	   ? LIT_DATE
					  : t->kind == TK_DATETIME ? LIT_DATETIME
											   : LIT_TIME;
			l->text = token_text(cx, t);
			break;
		default:
			unexpected(cx, t);
	}
	cx->at++;
}

static void
parse_literal_list(Ctx *cx, Cond *c)
{
	do
		parse_literal(cx, PUSH(cx, c->values), false);
	while (take_punct(cx, ","));
}

/* SELECT field FROM object [WHERE ...] of IN ( ); whatever else it has is refused by name. */
static Query *
parse_semijoin(Ctx *cx, Query *outer)
{
	Query *q;
	int pos = peek(cx, 0)->pos;

	q = parse_query(cx, outer);
	q->semijoin = true;
	if (q->order.n > 0 || q->has_limit || q->has_offset || q->grouped || q->count_star)
		soql_fail(cx, "MALFORMED_QUERY", pos,
				  "Semi join sub-selects cannot use ORDER BY, LIMIT, OFFSET, GROUP BY or COUNT()");
	if (q->items.n != 1 || q->items.v[0].kind != ITEM_EXPR || q->items.v[0].alias.p)
		soql_fail(cx, "MALFORMED_QUERY", pos, "Semi join sub-selects can only query one field");
	return q;
}

static Cond *
parse_comparison(Ctx *cx, Query *q)
{
	static const struct
	{
		const char *text;
		Op op;
	} ops[] = {{"=", OP_EQ},  {"!=", OP_NE}, {"<>", OP_NE}, {"<", OP_LT},
			   {"<=", OP_LE}, {">", OP_GT},	 {">=", OP_GE}};
	Cond *c = ctx_alloc(cx, sizeof(*c));
	int i;

	c->kind = COND_COMPARE;
	c->pos = peek(cx, 0)->pos;
	c->left = parse_expr(cx);
	for (i = 0; i < 7; i++)
		if (take_punct(cx, ops[i].text))
		{
			c->op = ops[i].op;
			parse_literal(cx, PUSH(cx, c->values), false);
			return c;
		}
	if (take_word(cx, "LIKE"))
	{
		c->op = OP_LIKE;
		parse_literal(cx, PUSH(cx, c->values), true);
		return c;
	}
	if (take_word(cx, "INCLUDES"))
		c->op = OP_INCLUDES;
	else if (take_word(cx, "EXCLUDES"))
		c->op = OP_EXCLUDES;
	else if (take_word(cx, "IN"))
		c->op = OP_IN;
	else if (at_word(cx, 0, "NOT") && at_word(cx, 1, "IN"))
	{
		cx->at += 2;
		c->op = OP_NOT_IN;
	}
	else
		unexpected(cx, peek(cx, 0));
	if (at_punct(cx, 0, ":"))
		soql_fail(cx, "MALFORMED_QUERY", peek(cx, 0)->pos,
				  "Bind variables only allowed in Apex code");
	need_punct(cx, "(");
	if ((c->op == OP_IN || c->op == OP_NOT_IN) && at_word(cx, 0, "SELECT"))
	{
		c->kind = COND_SEMIJOIN;
		c->sub = parse_semijoin(cx, q);
	}
	else
		parse_literal_list(cx, c);
	need_punct(cx, ")");
	return c;
}

static Cond *
parse_operand(Ctx *cx, Query *q)
{
	Cond *c;

	if (!take_punct(cx, "("))
		return parse_comparison(cx, q);
	enter(cx);
	c = parse_conditions(cx, q);
	cx->depth--;
	need_punct(cx, ")");
	return c;
}

/*
 * NOT x, or x, or x AND y ..., or x OR y ...: AND and OR do not mix without parentheses, and NOT
 * stands alone (in parentheses where it is an operand).
 */
static Cond *
parse_conditions(Ctx *cx, Query *q)
{
	Cond *first, *list;
	int pos = peek(cx, 0)->pos;

	if (take_word(cx, "NOT"))
	{
		list = ctx_alloc(cx, sizeof(*list));
		list->kind = COND_NOT;
		list->pos = pos;
		*PUSH(cx, list->args) = parse_operand(cx, q);
		return list;
	}
	first = parse_operand(cx, q);
	if (!at_word(cx, 0, "AND") && !at_word(cx, 0, "OR"))
		return first;
	list = ctx_alloc(cx, sizeof(*list));
	list->kind = at_word(cx, 0, "AND") ? COND_AND : COND_OR;
	list->pos = pos;
	*PUSH(cx, list->args) = first;
	while (take_word(cx, list->kind == COND_AND ? "AND" : "OR"))
		*PUSH(cx, list->args) = parse_operand(cx, q);
	return list;
}

/* ---- clauses ---- */

/* TYPEOF What WHEN Account THEN a, b ... [ELSE c] END */
static void
parse_typeof(Ctx *cx, Item *item)
{
	item->kind = ITEM_TYPEOF;
	item->word = need_name(cx);
	if (!at_word(cx, 0, "WHEN"))
		unexpected(cx, peek(cx, 0));
	for (;;)
	{
		bool is_when = take_word(cx, "WHEN");
		TypeofBranch *b;

		if (!is_when && !take_word(cx, "ELSE"))
			break;
		b = PUSH(cx, item->branches);
		b->pos = peek(cx, 0)->pos;
		if (is_when)
		{
			b->type = need_name(cx);
			need_word(cx, "THEN");
		}
		do
			*PUSH(cx, b->fields) = parse_expr(cx);
		while (take_punct(cx, ","));
		if (!is_when)
			break;
	}
	need_word(cx, "END");
}

static void
parse_item(Ctx *cx, Query *q)
{
	Item *item = PUSH(cx, q->items);

	item->pos = peek(cx, 0)->pos;
	if (at_punct(cx, 0, "(") && at_word(cx, 1, "SELECT"))
	{
		cx->at++;
		item->kind = ITEM_SUBQUERY;
		item->sub = parse_query(cx, q);
		need_punct(cx, ")");
		return;
	}
	if (at_word(cx, 0, "FIELDS") && at_punct(cx, 1, "("))
	{
		cx->at += 2;
		item->kind = ITEM_FIELDS;
		item->word = need_name(cx);
		if (!slice_is(item->word, "ALL") && !slice_is(item->word, "STANDARD") &&
			!slice_is(item->word, "CUSTOM"))
			unexpected(cx, peek(cx, -1));
		need_punct(cx, ")");
		return;
	}
	if (at_word(cx, 0, "TYPEOF") && peek(cx, 1)->kind == TK_NAME && !at_word(cx, 1, "FROM"))
	{
		cx->at++;
		parse_typeof(cx, item);
		return;
	}
	item->kind = ITEM_EXPR;
	item->expr = parse_expr(cx);
	if (peek(cx, 0)->kind == TK_NAME && !at_clause(cx))
		item->alias = need_name(cx);
}

static void
parse_select(Ctx *cx, Query *q)
{
	need_word(cx, "SELECT");
	if (at_word(cx, 0, "COUNT") && at_punct(cx, 1, "(") && at_punct(cx, 2, ")"))
	{
		cx->at += 3;
		q->count_star = true;
		return;
	}
	do
	{
		int pos = peek(cx, 0)->pos;
		Item *it;

		parse_item(cx, q);
		it = &q->items.v[q->items.n - 1];
		if (it->kind == ITEM_EXPR && it->expr->fn == FN_COUNT && it->expr->arg == NULL)
			soql_fail(cx, "MALFORMED_QUERY", pos,
					  "COUNT() must be the only element of the SELECT list");
	} while (take_punct(cx, ","));
}

static void
parse_from_item(Ctx *cx, FromAlias *f)
{
	f->pos = peek(cx, 0)->pos;
	do
		*PUSH(cx, f->path) = need_name(cx);
	while (take_punct(cx, "."));
	if (take_word(cx, "AS"))
		f->alias = need_name(cx);
	else if (peek(cx, 0)->kind == TK_NAME && !at_clause(cx))
		f->alias = need_name(cx);
}

/* WITH ...: what has no effect through this API is read and forgotten; data categories are for the
 * check. */
static void
parse_with(Ctx *cx, Query *q)
{
	const Token *t = peek(cx, 0);

	if (take_word(cx, "SECURITY_ENFORCED") || take_word(cx, "USER_MODE") ||
		take_word(cx, "SYSTEM_MODE"))
		return;
	if (take_word(cx, "DATA"))
	{
		need_word(cx, "CATEGORY");
		q->category_pos = t->pos;
		do
		{
			need_name(cx);
			if (!take_word(cx, "AT") && !take_word(cx, "ABOVE") && !take_word(cx, "BELOW") &&
				!take_word(cx, "ABOVE_OR_BELOW"))
				unexpected(cx, peek(cx, 0));
			if (take_punct(cx, "("))
			{
				do
					need_name(cx);
				while (take_punct(cx, ","));
				need_punct(cx, ")");
			}
			else
				need_name(cx);
		} while (take_word(cx, "AND"));
		return;
	}
	if (!take_word(cx, "RecordVisibilityContext"))
		unexpected(cx, t);
	need_punct(cx, "(");
	do
	{
		Literal l = {0};

		need_name(cx);
		need_punct(cx, "=");
		parse_literal(cx, &l, false);
	} while (take_punct(cx, ","));
	need_punct(cx, ")");
}

static void
parse_group(Ctx *cx, Query *q)
{
	bool parens = false;

	need_word(cx, "BY");
	q->grouped = true;
	if (at_punct(cx, 1, "(") && (at_word(cx, 0, "ROLLUP") || at_word(cx, 0, "CUBE")))
	{
		q->group_kind = at_word(cx, 0, "CUBE") ? GROUP_CUBE : GROUP_ROLLUP;
		cx->at += 2;
		parens = true;
	}
	do
		*PUSH(cx, q->group) = parse_expr(cx);
	while (take_punct(cx, ","));
	if (parens)
		need_punct(cx, ")");
	if (take_word(cx, "HAVING"))
		q->having = parse_conditions(cx, q);
}

static void
parse_order(Ctx *cx, Query *q)
{
	need_word(cx, "BY");
	do
	{
		Order *o = PUSH(cx, q->order);

		o->expr = parse_expr(cx);
		if (take_word(cx, "DESC"))
			o->desc = true;
		else
			take_word(cx, "ASC");
		if (take_word(cx, "NULLS"))
		{
			o->nulls_given = true;
			o->nulls_first = take_word(cx, "FIRST");
			if (!o->nulls_first)
				need_word(cx, "LAST");
		}
	} while (take_punct(cx, ","));
}

static int64_t
parse_count(Ctx *cx, const char *what, int *pos)
{
	const Token *t;
	bool minus = take_punct(cx, "-");

	if (!minus)
		take_punct(cx, "+");
	t = peek(cx, 0);
	if (at_punct(cx, 0, ":"))
		soql_fail(cx, "MALFORMED_QUERY", t->pos, "Bind variables only allowed in Apex code");
	if (t->kind != TK_INT)
		unexpected(cx, t);
	*pos = t->pos;
	if (minus || t->len > 10 ||
		strtoll(ctx_strndup(cx, cx->text + t->pos, (size_t) t->len), NULL, 10) > 2147483647)
		soql_fail(cx, "NUMBER_OUTSIDE_VALID_RANGE", t->pos, "%s must be between 0 and 2147483647",
				  what);
	cx->at++;
	return strtoll(ctx_strndup(cx, cx->text + t->pos, (size_t) t->len), NULL, 10);
}

/* FOR VIEW | REFERENCE; UPDATE TRACKING [, VIEWSTAT]: no effect on the answer.  FOR UPDATE is Apex
 * only. */
static void
parse_tail(Ctx *cx)
{
	if (take_word(cx, "FOR") && !take_word(cx, "VIEW") && !take_word(cx, "REFERENCE"))
		unexpected(cx, peek(cx, 0));
	if (take_word(cx, "UPDATE"))
		do
			if (!take_word(cx, "TRACKING") && !take_word(cx, "VIEWSTAT"))
				unexpected(cx, peek(cx, 0));
		while (take_punct(cx, ","));
	if (at_word(cx, 0, "ALL") && at_word(cx, 1, "ROWS"))
		soql_fail(cx, "MALFORMED_QUERY", peek(cx, 0)->pos, "ALL ROWS not allowed in this context");
}

static Query *
parse_query(Ctx *cx, Query *outer)
{
	Query *q = ctx_alloc(cx, sizeof(*q));

	enter(cx);
	q->outer = outer;
	q->category_pos = -1;
	parse_select(cx, q);
	need_word(cx, "FROM");
	parse_from_item(cx, &q->from);
	while (take_punct(cx, ","))
		parse_from_item(cx, PUSH(cx, q->from_more));
	if (take_word(cx, "USING"))
	{
		take_word(cx, "SCOPE");
		q->scope_pos = peek(cx, 0)->pos;
		q->scope = need_name(cx);
	}
	if (take_word(cx, "WHERE"))
		q->where = parse_conditions(cx, q);
	if (take_word(cx, "WITH"))
		parse_with(cx, q);
	if (take_word(cx, "GROUP"))
		parse_group(cx, q);
	if (take_word(cx, "ORDER"))
		parse_order(cx, q);
	if (take_word(cx, "LIMIT"))
	{
		q->has_limit = true;
		q->limit = parse_count(cx, "SOQL limit", &q->limit_pos);
	}
	if (take_word(cx, "OFFSET"))
	{
		q->has_offset = true;
		q->offset = parse_count(cx, "SOQL offset", &q->offset_pos);
		if (q->offset > SOQL_MAX_OFFSET)
			soql_fail(cx, "NUMBER_OUTSIDE_VALID_RANGE", q->offset_pos,
					  "Maximum SOQL offset allowed is %d", SOQL_MAX_OFFSET);
	}
	parse_tail(cx);
	cx->depth--;
	return q;
}

Query *
parse_statement(Ctx *cx)
{
	Query *q = parse_query(cx, NULL);

	if (peek(cx, 0)->kind != TK_EOF)
		unexpected(cx, peek(cx, 0));
	return q;
}
