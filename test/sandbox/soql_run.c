/*
 * soql_run.c - runs a statement and remembers its rows, so that later writes do not move its pages.
 *
 * Must not know: HTTP, how a record is printed.
 */
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include "soql_run.h"
#include "store.h"

bool
statement_prepare(Ctx *cx, Query **out)
{
	Query *q;

	func_register(store_db());
	lex_statement(cx);
	q = parse_statement(cx);
	check_statement(cx, q);
	*out = q;
	return true;
}

sqlite3_stmt *
statement_compile(Ctx *cx, const char *sql)
{
	sqlite3_stmt *st = NULL;

	if (sqlite3_prepare_v2(store_db(), sql, -1, &st, NULL) != SQLITE_OK)
	{
		/* what SQLite cannot take is too large or too deep: anything else would be a fault of this
		 * program */
		fprintf(stderr, "soql: %s: %s\n", sqlite3_errmsg(store_db()), sql);
		soql_fail(cx, "QUERY_TOO_COMPLICATED", -1,
				  "Query is either selecting too many fields or the filter conditions are too "
				  "complicated.");
	}
	return st;
}

bool
statement_step(Ctx *cx, sqlite3_stmt *st)
{
	int rc = sqlite3_step(st);

	if (rc == SQLITE_ROW)
		return true;
	if (rc == SQLITE_DONE)
		return false;
	fprintf(stderr, "soql: %s\n", sqlite3_errmsg(store_db()));
	sqlite3_finalize(st);
	soql_fail(cx, "UNKNOWN_EXCEPTION", -1, "An unexpected error occurred.");
}

static void
run_rows(SoqlCursor *c)
{
	sqlite3_stmt *st = statement_compile(&c->cx, sql_rowids(&c->cx, c->q));
	int64_t cap = 0;

	while (statement_step(&c->cx, st))
	{
		if (c->total == cap)
		{
			cap = cap ? cap * 2 : 1024;
			c->rowids = realloc(c->rowids, sizeof(*c->rowids) * (size_t) cap);
			if (c->rowids == NULL)
				abort();
		}
		c->rowids[c->total++] = sqlite3_column_int64(st, 0);
	}
	sqlite3_finalize(st);
	sql_render(&c->cx, c->q);
	render_prepare(&c->cx, c->q);
}

static void
run_count(SoqlCursor *c)
{
	sqlite3_stmt *st = statement_compile(&c->cx, sql_count(&c->cx, c->q));

	if (statement_step(&c->cx, st))
		c->total = sqlite3_column_int64(st, 0);
	sqlite3_finalize(st);
}

/* Aggregate queries cannot page, so their rows are few and are rendered at once. */
static void
run_aggregate(SoqlCursor *c)
{
	Query *q = c->q;
	sqlite3_stmt *st = statement_compile(&c->cx, sql_aggregate(&c->cx, q));

	c->ends = calloc(SOQL_MAX_GROUPS, sizeof(*c->ends));
	if (c->ends == NULL)
		abort();
	while (statement_step(&c->cx, st))
	{
		if (c->total == SOQL_MAX_GROUPS)
		{
			sqlite3_finalize(st);
			soql_fail(&c->cx, SOQL_OVERFLOW_CODE(c->opt.readings), -1, "%s", SOQL_OVERFLOW_TEXT);
		}
		buf_adds(&c->rows, "{\"attributes\":{\"type\":\"AggregateResult\"}");
		for (int i = 0; i < q->outs.n; i++)
		{
			buf_add(&c->rows, q->outs.v[i].lead, q->outs.v[i].lead_len);
			render_value(&c->rows, q->outs.v[i].kind, st, i);
		}
		buf_addc(&c->rows, '}');
		c->ends[c->total++] = c->rows.len;
	}
	sqlite3_finalize(st);
}

/* False with the error of the context filled. */
static bool
run(SoqlCursor *c)
{
	if (setjmp(c->cx.env) != 0)
		return false;
	statement_prepare(&c->cx, &c->q);
	if (c->q->count_star)
		run_count(c);
	else if (c->q->aggregate)
		run_aggregate(c);
	else
		run_rows(c);
	return true;
}

static SoqlCursor *
new_cursor(const char *text, size_t len, const SoqlOptions *opt, SoqlError *e)
{
	SoqlCursor *c = calloc(1, sizeof(*c));

	if (c == NULL || (c->text = malloc(len + 1)) == NULL)
		abort();
	memcpy(c->text, text, len);
	c->text[len] = '\0';
	c->opt = *opt;
	snprintf(c->version, sizeof(c->version), "%s", opt->version ? opt->version : "62.0");
	c->opt.version = c->version;
	buf_init(&c->rows);
	ctx_init(&c->cx, c->text, len, &c->opt, e);
	return c;
}

SoqlCursor *
soql_open(const char *text, size_t len, const SoqlOptions *opt, SoqlError *e)
{
	SoqlCursor *c = new_cursor(text, len, opt, e);

	if (run(c))
		return c;
	soql_close(c);
	return NULL;
}

/* Reads the parent's statement once more, since a tree lives with its cursor. */
static bool
prepare_child(SoqlCursor *c, int out)
{
	Query *whole;

	if (setjmp(c->cx.env) != 0)
		return false;
	statement_prepare(&c->cx, &whole);
	sql_render(&c->cx, whole);
	render_prepare(&c->cx, whole);
	c->q = whole->outs.v[out].sub;
	return true;
}

SoqlCursor *
open_child(const SoqlCursor *parent, int out, int64_t *rowids, int64_t n)
{
	SoqlError e = {0};
	SoqlCursor *c = new_cursor(parent->text, strlen(parent->text), &parent->opt, &e);

	c->rowids = rowids;
	c->total = n;
	if (prepare_child(c, out))
		return c;
	/* it was accepted before */
	fprintf(stderr, "soql: %s\n", e.message);
	abort();
}

void
soql_page_children(SoqlCursor *c, int batch, SoqlChildHook hook, void *arg)
{
	c->child_batch = batch;
	c->child_hook = hook;
	c->child_arg = arg;
	c->paged_children = false;
}

bool
soql_paged_children(const SoqlCursor *c)
{
	return c->paged_children;
}

void
soql_close(SoqlCursor *c)
{
	if (c == NULL)
		return;
	ctx_free(&c->cx);
	buf_free(&c->rows);
	free(c->ends);
	free(c->rowids);
	free(c->text);
	free(c);
}

int64_t
soql_total(const SoqlCursor *c)
{
	return c->total;
}

bool
soql_is_count(const SoqlCursor *c)
{
	return c->q->count_star;
}

bool
soql_is_aggregate(const SoqlCursor *c)
{
	return c->q->aggregate;
}

bool
soql_has_offset(const SoqlCursor *c)
{
	return c->q->has_offset;
}

const Object *
soql_object(const SoqlCursor *c)
{
	return c->q->object;
}

int
soql_long_text_fields(const SoqlCursor *c)
{
	return c->q->long_text;
}

bool
soql_has_children(const SoqlCursor *c)
{
	return c->q->has_children;
}
