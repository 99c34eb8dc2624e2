/*
 * bulk_render.c - the rows of a statement as Bulk API 2.0 writes them: CSV.
 *
 * Owns: what a bulk query refuses, the columns of its result and how values are written.  Must not
 * know: HTTP, jobs.
 */
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include "bulk_render.h"
#include "soql_run.h"
#include "store.h"

/* Runs of rows that shuffling keeps together, at most. */
#define BLOCK 4096

typedef struct Column
{
	char *name;
	OutKind kind;
	bool datetime;
	int column; /* of the statement */
} Column;

struct BulkRender
{
	SoqlCursor *cursor;
	char delimiter;
	const char *end;
	size_t end_len;
	Column *columns;
	int n;
};

/* ---- what is refused ---- */

static void __attribute__((noreturn)) refuse(Ctx *cx, const char *message)
{
	soql_fail(cx, "FEATURENOTENABLED", -1, "%s", message);
}

static void
check_item(Ctx *cx, const Item *it)
{
	const Expr *e = it->expr;

	if (it->kind == ITEM_TYPEOF)
		refuse(cx, "TYPEOF is not supported by the Bulk API");
	if (it->kind == ITEM_FIELDS)
		refuse(cx, "FIELDS() is not supported by the Bulk API");
	if (it->kind != ITEM_EXPR)
		refuse(cx, "Aggregate Relationships not supported in Bulk V2 Query with CSV content type");
	if (e->type == FT_ADDRESS || e->type == FT_LOCATION)
		soql_fail(cx, "FUNCTIONALITY_NOT_ENABLED", -1,
				  "Selecting compound data not supported in Bulk Query");
	if (e->type == FT_BASE64)
		refuse(cx, "Binary fields not supported in Bulk Query");
}

bool
bulk_check(const char *soql, const SoqlOptions *opt, BulkStatement *out, SoqlError *e)
{
	Ctx cx;
	Query *q;

	ctx_init(&cx, soql, strlen(soql), opt, e);
	if (setjmp(cx.env) != 0)
	{
		ctx_free(&cx);
		return false;
	}
	statement_prepare(&cx, &q);
	if (q->aggregate || q->count_star || q->grouped)
		refuse(&cx, q->grouped ? "GROUP BY is not supported by the Bulk API"
							   : "Aggregate functions are not supported by the Bulk API");
	if (q->has_offset)
		refuse(&cx, "OFFSET is not supported by the Bulk API");
	for (int i = 0; i < q->items.n; i++)
		check_item(&cx, &q->items.v[i]);
	out->object = q->object;
	out->ordered = q->order.n > 0;
	out->bounded = out->ordered || q->has_limit;
	ctx_free(&cx);
	return true;
}

/* ---- columns ---- */

static const Out *
find_out(const OutVec *list, const Expr *e)
{
	for (int i = 0; i < list->n; i++)
	{
		const Out *o = &list->v[i];
		const Out *in = o->kind == OUT_PARENT ? find_out(&o->parts, e) : NULL;

		if (in != NULL)
			return in;
		if (o->kind != OUT_PARENT && o->expr == e)
			return o;
	}
	return NULL;
}

static int
by_name(const void *a, const void *b)
{
	return strcasecmp(((const Column *) a)->name, ((const Column *) b)->name);
}

BulkRender *
bulk_render_open(SoqlCursor *c, char delimiter, bool crlf)
{
	BulkRender *b = calloc(1, sizeof(*b));
	Query *q = c->q;

	if (b == NULL || (b->columns = calloc((size_t) q->items.n, sizeof(Column))) == NULL)
		abort();
	b->cursor = c;
	b->delimiter = delimiter;
	b->end = crlf ? "\r\n" : "\n";
	b->end_len = crlf ? 2 : 1;
	for (int i = 0; i < q->items.n; i++)
	{
		const Item *it = &q->items.v[i];
		const Out *o = find_out(&q->outs, it->expr);
		Column *k;

		if (o == NULL)
			continue;
		k = &b->columns[b->n++];
		k->kind = o->kind;
		k->datetime = o->kind == OUT_PLAIN && it->expr->type == FT_DATETIME;
		k->column = o->column;
		k->name = strdup(it->alias.p || it->expr->fn != FN_NONE
							 ? o->key
							 : path_name(&c->cx, it->expr, q->joins.v[0]));
	}
	/* Results have followed the SELECT list since 50.0. */
	if (atoi(c->opt.version) < 50)
		qsort(b->columns, (size_t) b->n, sizeof(Column), by_name);
	return b;
}

void
bulk_render_close(BulkRender *b)
{
	if (b == NULL)
		return;
	for (int i = 0; i < b->n; i++)
		free(b->columns[i].name);
	free(b->columns);
	free(b);
}

void
bulk_render_header(const BulkRender *b, Buf *out)
{
	for (int i = 0; i < b->n; i++)
	{
		if (i > 0)
			buf_addc(out, b->delimiter);
		buf_addc(out, '"');
		buf_adds(out, b->columns[i].name);
		buf_addc(out, '"');
	}
	buf_add(out, b->end, b->end_len);
}

/* ---- values ---- */

/* Text between quotes, with the quotes in it doubled; the delimiter or line end follows. */
static inline void
add_text(Buf *b, const char *s, size_t n)
{
	buf_reserve(b, n * 2 + 4);
	b->data[b->len++] = '"';
	while (n > 0)
	{
		const char *quote = memchr(s, '"', n);
		size_t run = quote ? (size_t) (quote - s) + 1 : n;

		memcpy(b->data + b->len, s, run);
		b->len += run;
		if (quote != NULL)
			b->data[b->len++] = '"';
		s += run;
		n -= run;
	}
	b->data[b->len++] = '"';
}

static void
add_value(Buf *b, const Column *k, sqlite3_stmt *st)
{
	int type = sqlite3_column_type(st, k->column);
	const char *s;
	size_t n;

	if (type == SQLITE_NULL)
		buf_add(b, "\"\"", 2);
	else if (k->kind == OUT_BOOL)
		buf_adds(b, sqlite3_column_int(st, k->column) ? "\"true\"" : "\"false\"");
	else if (k->kind == OUT_DOUBLE || type == SQLITE_FLOAT)
	{
		buf_addc(b, '"');
		buf_json_double(b, sqlite3_column_double(st, k->column));
		buf_addc(b, '"');
	}
	else
	{
		s = (const char *) sqlite3_column_text(st, k->column);
		n = (size_t) sqlite3_column_bytes(st, k->column);
		if (k->datetime && n == 28)
		{
			/* kept as in REST, with +0000 at the end */
			buf_reserve(b, 28);
			b->data[b->len] = '"';
			memcpy(b->data + b->len + 1, s, 23);
			memcpy(b->data + b->len + 24, "Z\"", 2);
			b->len += 26;
		}
		else
			add_text(b, s, n);
	}
}

static void
add_row(const BulkRender *r, Buf *out, sqlite3_stmt *st)
{
	for (int i = 0; i < r->n; i++)
	{
		if (i > 0)
			out->data[out->len++] = r->delimiter;
		add_value(out, &r->columns[i], st);
		/* for what follows each value */
		buf_reserve(out, 4);
	}
	memcpy(out->data + out->len, r->end, r->end_len);
	out->len += r->end_len;
	out->data[out->len] = '\0';
}

int64_t
bulk_render_rows(BulkRender *r, int64_t first, int64_t count, Buf *out, uint32_t *lengths)
{
	SoqlCursor *c = r->cursor;
	const int64_t *ids = c->rowids + first;
	sqlite3_stmt *st = NULL;
	int64_t done = 0, i = 0;

	if (sqlite3_prepare_v2(store_db(), c->q->sql_render, -1, &st, NULL) != SQLITE_OK)
	{
		fprintf(stderr, "bulk: %s\n", sqlite3_errmsg(store_db()));
		return 0;
	}
	while (i < count)
	{
		int64_t n = 1;

		while (i + n < count && ids[i + n] > ids[i + n - 1] && ids[i + n] - ids[i + n - 1] <= 8)
			n++;
		sqlite3_bind_int64(st, 1, ids[i]);
		sqlite3_bind_int64(st, 2, ids[i + n - 1]);
		while (n > 0 && sqlite3_step(st) == SQLITE_ROW)
		{
			int64_t rowid = sqlite3_column_int64(st, 0);
			size_t from = out->len;

			for (; n > 0 && ids[i] < rowid; n--)
				i++;
			if (n == 0 || ids[i] != rowid)
				continue;
			buf_reserve(out, 4);
			add_row(r, out, st);
			lengths[done++] = (uint32_t) (out->len - from);
			i++;
			n--;
		}
		i += n;
		sqlite3_reset(st);
	}
	sqlite3_finalize(st);
	return done;
}

static int64_t
common_divisor(int64_t a, int64_t b)
{
	while (b != 0)
	{
		int64_t rest = a % b;

		a = b;
		b = rest;
	}
	return a;
}

/* Blocks of rows change their places: every stride-th one after the other, from the last on. */
void
bulk_shuffle(SoqlCursor *c)
{
	int64_t block = c->total / 16 > BLOCK ? BLOCK : c->total / 16 + 1;
	int64_t blocks = (c->total + block - 1) / block;
	int64_t stride = 7;
	int64_t *to;
	int64_t n = 0;

	if (c->total < 2)
		return;
	while (common_divisor(blocks, stride) != 1)
		stride++;
	if ((to = malloc(sizeof(*to) * (size_t) c->total)) == NULL)
		abort();
	for (int64_t i = 0; i < blocks; i++)
	{
		int64_t b = (blocks - 1 + i * stride) % blocks;
		int64_t first = b * block;
		int64_t rows = c->total - first < block ? c->total - first : block;

		memcpy(to + n, c->rowids + first, sizeof(*to) * (size_t) rows);
		n += rows;
	}
	free(c->rowids);
	c->rowids = to;
}
