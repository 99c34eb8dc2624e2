/*
 * soql_explain.c - the plans of ?explain=: what Salesforce's optimizer would say, from counting.
 *
 * Owns: what makes a condition selective.  Must not know: how rows are read here.
 */
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include "soql_run.h"
#include "store.h"

/* Whether the org has an index on the field: what every org indexes, and external ids. */
static bool
is_indexed(const Field *f)
{
	static const char *const names[] = {
		"Id", "Name", "OwnerId", "CreatedDate", "SystemModstamp", "RecordTypeId", "Email"};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strcmp(f->name, names[i]) == 0)
			return true;
	return f->external_id || f->unique || f->type == FT_REFERENCE;
}

/* Lookups and what every org indexes have wider bounds than the indices that somebody has asked for. */
static bool
is_standard_index(const Field *f)
{
	return !f->custom || f->type == FT_REFERENCE;
}

/* How many rows an index may lead to: 30 % of the first million and 15 % of the others, or 10 % and 5 %. */
static double
threshold(const Field *f, int64_t all)
{
	bool standard = is_standard_index(f);
	double first = all < 1000000 ? (double) all : 1e6;
	double t = (first + ((double) all - first) / 2) * (standard ? 0.3 : 0.1);
	double most = standard ? 1e6 : 333333;

	return t < most ? t : most;
}

/* Fields without repetition. */
typedef struct FieldSet
{
	const Field *v[64];
	int n;
} FieldSet;

static void
add_field(FieldSet *s, const Field *f)
{
	for (int i = 0; i < s->n; i++)
		if (s->v[i] == f)
			return;
	if (s->n < (int) (sizeof(s->v) / sizeof(s->v[0])))
		s->v[s->n++] = f;
}

/*
 * True if an index can find the rows of the condition: an indexed field of the object itself compared with
 * values, or an OR of such.  The fields are added to the set.
 */
static bool
is_sargable(const Query *q, const Cond *c, FieldSet *fields)
{
	if (c->kind == COND_OR)
	{
		for (int i = 0; i < c->args.n; i++)
			if (!is_sargable(q, c->args.v[i], fields))
				return false;
		return true;
	}
	if (c->kind != COND_COMPARE || c->left->fn != FN_NONE || c->left->join != q->joins.v[0] ||
		!is_indexed(c->left->field))
		return false;
	if (c->op == OP_NE || c->op == OP_NOT_IN || c->op == OP_INCLUDES || c->op == OP_EXCLUDES)
		return false;
	for (int i = 0; i < c->values.n; i++)
	{
		const Literal *l = &c->values.v[i];

		if (l->kind == LIT_NULL)
			return false;
		/* a pattern that begins with a wildcard */
		if (c->op == OP_LIKE && (l->text.n == 0 || l->text.p[0] == '%' || l->text.p[0] == '_'))
			return false;
	}
	add_field(fields, c->left->field);
	return true;
}

/* The fields of the object itself that are compared and have no index. */
static void
unindexed(const Query *q, const Cond *c, FieldSet *fields)
{
	if (c == NULL)
		return;
	for (int i = 0; i < c->args.n; i++)
		unindexed(q, c->args.v[i], fields);
	if ((c->kind == COND_COMPARE || c->kind == COND_SEMIJOIN) && c->left->fn == FN_NONE &&
		c->left->join == q->joins.v[0] && !is_indexed(c->left->field))
		add_field(fields, c->left->field);
}

/* The rows that the condition leaves, as the only one of the statement. */
static int64_t
count_matches(Ctx *cx, Query *q, Cond *only)
{
	sqlite3_stmt *st;
	Cond *where = q->where;
	bool has_limit = q->has_limit, has_offset = q->has_offset;
	int64_t n = 0;

	q->where = only;
	q->has_limit = q->has_offset = false;
	st = statement_compile(cx, sql_count(cx, q));
	q->where = where;
	q->has_limit = has_limit;
	q->has_offset = has_offset;
	if (statement_step(cx, st))
		n = sqlite3_column_int64(st, 0);
	sqlite3_finalize(st);
	return n;
}

typedef struct Plan
{
	FieldSet fields; /* none: a scan of the table */
	int64_t matches;
	double cost;
} Plan;

static int
by_cost(const void *a, const void *b)
{
	const Plan *p = a, *q = b;

	return p->cost < q->cost ? -1 : p->cost > q->cost;
}

static void
add_note(Buf *b, const Query *q, const char *field, bool first)
{
	buf_addf(b,
			 "%s{\"description\":\"Not considering filter for optimization because "
			 "unindexed\",\"fields\":[\"%s\"],\"tableEnumOrId\":\"%s\"}",
			 first ? "" : ",", field, q->object->name);
}

static void
add_plan(Buf *b, const Query *q, const Plan *p, const FieldSet *notes, int64_t all)
{
	buf_addf(b, "{\"cardinality\":%lld,\"fields\":[", (long long) p->matches);
	for (int i = 0; i < p->fields.n; i++)
		buf_addf(b, "%s\"%s\"", i ? "," : "", p->fields.v[i]->name);
	buf_addf(b, "],\"leadingOperationType\":\"%s\",\"notes\":[",
			 p->fields.n > 0 ? "Index" : "TableScan");
	for (int i = 0; i < notes->n; i++)
		add_note(b, q, notes->v[i]->name, i == 0);
	add_note(b, q, "IsDeleted", notes->n == 0);
	buf_adds(b, "],\"relativeCost\":");
	buf_json_double(b, p->cost);
	buf_addf(b, ",\"sobjectCardinality\":%lld,\"sobjectType\":\"%s\"}", (long long) all,
			 q->object->name);
}

/* Adds a plan for the condition if an index can lead to it. */
static int
consider(Ctx *cx, Query *q, Cond *c, int64_t all, Plan *p)
{
	double least = 0;

	p->fields.n = 0;
	if (!is_sargable(q, c, &p->fields))
		return 0;
	p->matches = count_matches(cx, q, c);
	for (int i = 0; i < p->fields.n; i++)
	{
		double t = threshold(p->fields.v[i], all);

		least = i == 0 || t < least ? t : least;
	}
	p->cost = p->matches == 0 ? 0 : (double) p->matches / (least > 0 ? least : 1);
	return 1;
}

/* Every plan, the best first. */
static void
explain(Ctx *cx, Query *q, Buf *out)
{
	int64_t all = store_count(q->object);
	bool several = q->where && q->where->kind == COND_AND;
	int n = 0, most = several ? q->where->args.n : 1;
	Plan *plans = ctx_alloc(cx, sizeof(*plans) * (size_t) (most + 1));
	FieldSet notes = {.n = 0};

	for (int i = 0; several && i < most; i++)
		n += consider(cx, q, q->where->args.v[i], all, &plans[n]);
	if (q->where && !several)
		n = consider(cx, q, q->where, all, &plans[n]);
	plans[n].fields.n = 0;
	plans[n].matches = count_matches(cx, q, q->where);
	plans[n].cost = 1 + (all > 0 ? (double) plans[n].matches / (double) all : 0);
	n++;
	qsort(plans, (size_t) n, sizeof(*plans), by_cost);
	unindexed(q, q->where, &notes);
	for (int i = 0; i < n; i++)
	{
		if (i > 0)
			buf_addc(out, ',');
		add_plan(out, q, &plans[i], &notes, all);
	}
}

bool
soql_explain(const char *text, size_t len, const SoqlOptions *opt, Buf *out, SoqlError *e)
{
	Ctx cx;
	Query *q;
	const size_t start = out->len;

	ctx_init(&cx, text, len, opt, e);
	if (setjmp(cx.env) != 0)
	{
		out->len = start;
		ctx_free(&cx);
		return false;
	}
	statement_prepare(&cx, &q);
	buf_adds(out, "{\"plans\":[");
	explain(&cx, q, out);
	buf_adds(out, "],\"sourceQuery\":");
	buf_json(out, text, len);
	buf_addc(out, '}');
	ctx_free(&cx);
	return true;
}
