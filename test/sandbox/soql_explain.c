/*
 * soql_explain.c - the plans of ?explain=: what Salesforce's optimizer would say, from counting.
 *
 * Must not know: how rows are read here.
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

/* The first indexed field of the object itself that a condition of the top level can be looked up
 * by. */
static const Field *
leading_field(const Query *q, const Cond *c)
{
	if (c == NULL)
		return NULL;
	if (c->kind == COND_AND)
	{
		for (int i = 0; i < c->args.n; i++)
		{
			const Field *f = leading_field(q, c->args.v[i]);

			if (f)
				return f;
		}
		return NULL;
	}
	if (c->kind != COND_COMPARE || c->left->fn != FN_NONE || c->left->join != q->joins.v[0])
		return NULL;
	if (c->op == OP_NE || c->op == OP_NOT_IN || c->op == OP_LIKE || c->op == OP_INCLUDES ||
		c->op == OP_EXCLUDES)
		return NULL;
	for (int i = 0; i < c->values.n; i++)
		if (c->values.v[i].kind == LIT_NULL)
			return NULL;
	return is_indexed(c->left->field) ? c->left->field : NULL;
}

static int64_t
count_matches(Ctx *cx, Query *q)
{
	sqlite3_stmt *st;
	int64_t n = 0;

	q->has_limit = q->has_offset = false;
	st = statement_compile(cx, sql_count(cx, q));
	if (statement_step(cx, st))
		n = sqlite3_column_int64(st, 0);
	sqlite3_finalize(st);
	return n;
}

static void
add_plan(Buf *b, const Query *q, const char *operation, const Field *f, int64_t matches,
		 int64_t all, double cost, bool notes)
{
	buf_addf(b, "{\"cardinality\":%lld,\"fields\":[", (long long) matches);
	if (f)
		buf_jsons(b, f->name);
	buf_addf(b, "],\"leadingOperationType\":\"%s\",\"notes\":[", operation);
	if (notes)
		buf_addf(b,
				 "{\"description\":\"Not considering filter for optimization because "
				 "unindexed\",\"fields\":[\"IsDeleted\"],\"tableEnumOrId\":\"%s\"}",
				 q->object->name);
	buf_adds(b, "],\"relativeCost\":");
	buf_json_double(b, cost);
	buf_addf(b, ",\"sobjectCardinality\":%lld,\"sobjectType\":\"%s\"}", (long long) all,
			 q->object->name);
}

bool
soql_explain(const char *text, size_t len, const SoqlOptions *opt, Buf *out, SoqlError *e)
{
	Ctx cx;
	Query *q;
	const Field *f;
	int64_t matches, all;
	double share;

	ctx_init(&cx, text, len, opt, e);
	if (setjmp(cx.env) != 0)
	{
		ctx_free(&cx);
		return false;
	}
	statement_prepare(&cx, &q);
	matches = count_matches(&cx, q);
	all = store_count(q->object);
	share = all > 0 ? (double) matches / (double) all : 0;
	f = leading_field(q, q->where);
	buf_adds(out, "{\"plans\":[");
	if (f)
	{
		/* an index pays below the threshold of 30 % */
		bool pays = share <= 0.3;

		add_plan(out, q, pays ? "Index" : "TableScan", pays ? f : NULL, matches, all,
				 pays ? share / 0.3 : 1.0 + share, !pays);
		buf_addc(out, ',');
		add_plan(out, q, pays ? "TableScan" : "Index", pays ? NULL : f, matches, all,
				 pays ? 1.0 + share : share / 0.3, pays);
	}
	else
		add_plan(out, q, "TableScan", NULL, matches, all, 1.0 + share, true);
	buf_adds(out, "],\"sourceQuery\":");
	buf_json(out, text, len);
	buf_addc(out, '}');
	ctx_free(&cx);
	return true;
}
