/*
 * soql_render.c - rows to the JSON of records.  This is the hot path of the sandbox.
 *
 * Must not know: SOQL text.  Statements live for one call only, so that the database may be
 * reopened between two pages.
 */
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include "soql_run.h"
#include "store.h"

static void render_list(SoqlCursor *c, Buf *b, OutVec *list, sqlite3_stmt *st);

static void
add_int(Buf *b, int64_t v)
{
	char text[24];
	char *p = text + sizeof(text);
	uint64_t u = v < 0 ? 0 - (uint64_t) v : (uint64_t) v;

	do
		*--p = (char) ('0' + u % 10);
	while ((u /= 10) != 0);
	if (v < 0)
		*--p = '-';
	buf_add(b, p, (size_t) (text + sizeof(text) - p));
}

/* Text that cannot need escaping: Ids, dates. */
static void
add_plain(Buf *b, sqlite3_stmt *st, int column)
{
	const void *s = sqlite3_column_text(st, column);
	size_t n;

	if (s == NULL)
	{
		buf_add(b, "null", 4);
		return;
	}
	n = (size_t) sqlite3_column_bytes(st, column);
	buf_reserve(b, n + 2);
	b->data[b->len] = '"';
	memcpy(b->data + b->len + 1, s, n);
	b->data[b->len + n + 1] = '"';
	b->len += n + 2;
	b->data[b->len] = '\0';
}

void
render_value(Buf *b, OutKind kind, sqlite3_stmt *st, int column)
{
	const char *s;
	int type;

	switch (kind)
	{
		case OUT_PLAIN:
			add_plain(b, st, column);
			return;
		case OUT_INT:
		case OUT_DOUBLE:
		case OUT_BOOL:
		case OUT_ANY:
			type = sqlite3_column_type(st, column);
			if (type == SQLITE_NULL)
				buf_add(b, kind == OUT_BOOL ? "false" : "null", kind == OUT_BOOL ? 5 : 4);
			else if (kind == OUT_BOOL)
				buf_adds(b, sqlite3_column_int(st, column) ? "true" : "false");
			else if (kind == OUT_INT || (kind == OUT_ANY && type == SQLITE_INTEGER))
				add_int(b, sqlite3_column_int64(st, column));
			else if (kind == OUT_DOUBLE || type == SQLITE_FLOAT)
				buf_json_double(b, sqlite3_column_double(st, column));
			else
			{
				s = (const char *) sqlite3_column_text(st, column);
				buf_json(b, s, (size_t) sqlite3_column_bytes(st, column));
			}
			return;
		default:
			s = (const char *) sqlite3_column_text(st, column);
			if (s == NULL)
				buf_add(b, "null", 4);
			else
				buf_json(b, s, (size_t) sqlite3_column_bytes(st, column));
	}
}

/* {city: ..., street: ...}, or null where every part is. */
static void
render_compound(SoqlCursor *c, Buf *b, Out *o, sqlite3_stmt *st)
{
	bool any = false;

	for (int i = 0; i < o->parts.n && !any; i++)
		any = sqlite3_column_type(st, o->parts.v[i].column) != SQLITE_NULL;
	if (!any)
	{
		buf_add(b, "null", 4);
		return;
	}
	for (int i = 0; i < o->parts.n; i++)
	{
		Out *p = &o->parts.v[i];

		/* the lead begins with the comma */
		buf_addc(b, i == 0 ? '{' : ',');
		buf_add(b, p->lead + 1, p->lead_len - 1);
		render_value(b, p->kind, st, p->column);
	}
	buf_addc(b, '}');
}

static void
render_attributes(SoqlCursor *c, Buf *b, const char *type, const char *url_type, const char *id)
{
	buf_adds(b, "{\"attributes\":{\"type\":\"");
	buf_adds(b, type);
	buf_adds(b, "\",\"url\":\"/services/data/v");
	buf_adds(b, c->opt.version);
	buf_adds(b, "/sobjects/");
	buf_adds(b, url_type);
	buf_addc(b, '/');
	buf_adds(b, id);
	buf_add(b, "\"}", 2);
}

static void
render_parent(SoqlCursor *c, Buf *b, Out *o, sqlite3_stmt *st, bool typeof_branch)
{
	const char *id = (const char *) sqlite3_column_text(st, o->id_column);
	const char *type = o->object->name;

	if (id == NULL)
	{
		buf_add(b, "null", 4);
		return;
	}
	if (o->join->polymorphic)
		type = (const char *) sqlite3_column_text(st, o->column);
	render_attributes(c, b, typeof_branch ? type : o->object->name, type, id);
	render_list(c, b, &o->parts, st);
	buf_addc(b, '}');
}

/* The first branch whose object the lookup points to; the last branch takes any. */
static void
render_typeof(SoqlCursor *c, Buf *b, Out *o, sqlite3_stmt *st)
{
	for (int i = 0; i < o->branches.n; i++)
		if (i == o->branches.n - 1 ||
			sqlite3_column_type(st, o->branches.v[i].id_column) != SQLITE_NULL)
		{
			render_parent(c, b, &o->branches.v[i], st, true);
			return;
		}
}

static void
render_base64(SoqlCursor *c, Buf *b, Out *o, sqlite3_stmt *st)
{
	if (!sqlite3_column_int(st, o->column))
	{
		buf_add(b, "null", 4);
		return;
	}
	buf_adds(b, "\"/services/data/v");
	buf_adds(b, c->opt.version);
	buf_adds(b, "/sobjects/");
	buf_adds(b, o->object->name);
	buf_addc(b, '/');
	buf_adds(b, (const char *) sqlite3_column_text(st, o->id_column));
	buf_addc(b, '/');
	buf_adds(b, o->field->name);
	buf_addc(b, '"');
}

static void
render_record(SoqlCursor *c, Buf *b, Query *q, sqlite3_stmt *st)
{
	const void *id = sqlite3_column_text(st, 1);

	buf_add(b, q->prefix, q->prefix_len);
	buf_add(b, id, (size_t) sqlite3_column_bytes(st, 1));
	buf_add(b, "\"}", 2);
	render_list(c, b, &q->outs, st);
	buf_addc(b, '}');
}

static sqlite3_stmt *
statement(const char *sql, sqlite3_stmt **kept)
{
	if (*kept == NULL && sqlite3_prepare_v2(store_db(), sql, -1, kept, NULL) != SQLITE_OK)
	{
		fprintf(stderr, "soql: %s: %s\n", sqlite3_errmsg(store_db()), sql);
		*kept = NULL;
	}
	return *kept;
}

/*
 * The head of a child's query result.  Rows beyond the batch stay with a cursor of their own; returns
 * how many are to be printed here.
 */
static int64_t
child_head(SoqlCursor *c, Buf *b, const Out *o, int64_t *ids, int64_t n)
{
	/* only the children of the statement itself, not theirs */
	bool own = o >= c->q->outs.v && o < c->q->outs.v + c->q->outs.n;
	const char *locator;
	int64_t *copy;

	buf_addf(b, "{\"totalSize\":%lld,\"done\":", (long long) n);
	if (c->child_hook == NULL || !own || n <= c->child_batch)
	{
		buf_adds(b, "true,\"records\":[");
		return n;
	}
	copy = malloc(sizeof(*copy) * (size_t) n);
	if (copy == NULL)
		abort();
	memcpy(copy, ids, sizeof(*copy) * (size_t) n);
	locator = c->child_hook(c->child_arg, open_child(c, (int) (o - c->q->outs.v), copy, n));
	c->paged_children = true;
	buf_addf(b, "false,\"nextRecordsUrl\":\"/services/data/v%s/%s/%s-%d\",\"records\":[",
			 c->opt.version, c->opt.all_rows ? "queryAll" : "query", locator, c->child_batch);
	return c->child_batch;
}

/* A child subquery of one row: a query result of its own, or null where there is nothing. */
static void
render_child(SoqlCursor *c, Buf *b, Out *o, sqlite3_stmt *parent)
{
	Query *q = o->sub;
	sqlite3_stmt *rows = statement(q->sql_rows, &q->rows_stmt),
				 *st = statement(q->sql_render, &q->render_stmt);
	int64_t *ids = NULL, n = 0, cap = 0;

	if (rows && st)
	{
		sqlite3_bind_text(rows, 1, (const char *) sqlite3_column_text(parent, o->id_column), -1,
						  SQLITE_TRANSIENT);
		while (sqlite3_step(rows) == SQLITE_ROW)
		{
			if (n == cap)
			{
				cap = cap ? cap * 2 : 16;
				ids = realloc(ids, sizeof(*ids) * (size_t) cap);
				if (ids == NULL)
					abort();
			}
			ids[n++] = sqlite3_column_int64(rows, 0);
		}
		sqlite3_reset(rows);
	}
	if (n == 0)
	{
		buf_add(b, "null", 4);
		return;
	}
	n = child_head(c, b, o, ids, n);
	for (int64_t i = 0; i < n; i++)
	{
		sqlite3_bind_int64(st, 1, ids[i]);
		sqlite3_bind_int64(st, 2, ids[i]);
		if (sqlite3_step(st) == SQLITE_ROW)
		{
			if (i > 0)
				buf_addc(b, ',');
			render_record(c, b, q, st);
		}
		sqlite3_reset(st);
	}
	buf_adds(b, "]}");
	free(ids);
}

static void
render_list(SoqlCursor *c, Buf *b, OutVec *list, sqlite3_stmt *st)
{
	Out *o = list->v;

	for (int i = 0; i < list->n; i++, o++)
	{
		buf_add(b, o->lead, o->lead_len);
		switch (o->kind)
		{
			case OUT_COMPOUND:
				render_compound(c, b, o, st);
				break;
			case OUT_PARENT:
				render_parent(c, b, o, st, false);
				break;
			case OUT_TYPEOF:
				render_typeof(c, b, o, st);
				break;
			case OUT_CHILD:
				render_child(c, b, o, st);
				break;
			case OUT_BASE64:
				render_base64(c, b, o, st);
				break;
			default:
				render_value(b, o->kind, st, o->column);
		}
	}
}

/* Makes what every record of the query begins with. */
void
render_prepare(Ctx *cx, Query *q)
{
	q->prefix =
		ctx_printf(cx, "{\"attributes\":{\"type\":\"%s\",\"url\":\"/services/data/v%s/sobjects/%s/",
				   q->object->name, cx->opt->version, q->object->name);
	q->prefix_len = strlen(q->prefix);
	for (int i = 0; i < q->outs.n; i++)
		if (q->outs.v[i].kind == OUT_CHILD)
			render_prepare(cx, q->outs.v[i].sub);
}

static void
release_statements(Query *q)
{
	sqlite3_finalize(q->rows_stmt);
	sqlite3_finalize(q->render_stmt);
	q->rows_stmt = q->render_stmt = NULL;
	for (int i = 0; i < q->outs.n; i++)
		if (q->outs.v[i].kind == OUT_CHILD)
			release_statements(q->outs.v[i].sub);
}

/*
 * The rows of the cursor from first on.  Runs of ascending rowids without wide gaps are read by one
 * scan, the others one by one.  A row that is gone for good is left out.
 */
static int64_t
render_rows(SoqlCursor *c, int64_t first, int64_t count, Buf *b)
{
	Query *q = c->q;
	sqlite3_stmt *st = statement(q->sql_render, &q->render_stmt);
	const int64_t *ids = c->rowids + first;
	int64_t done = 0, i = 0;

	while (st && i < count)
	{
		int64_t n = 1;

		while (i + n < count && ids[i + n] > ids[i + n - 1] && ids[i + n] - ids[i + n - 1] <= 8)
			n++;
		sqlite3_bind_int64(st, 1, ids[i]);
		sqlite3_bind_int64(st, 2, ids[i + n - 1]);
		while (n > 0 && sqlite3_step(st) == SQLITE_ROW)
		{
			int64_t rowid = sqlite3_column_int64(st, 0);

			for (; n > 0 && ids[i] < rowid; n--)
				i++;
			if (n == 0 || ids[i] != rowid)
				continue;
			if (done++ > 0)
				buf_addc(b, ',');
			render_record(c, b, q, st);
			i++;
			n--;
		}
		i += n;
		sqlite3_reset(st);
	}
	release_statements(q);
	return done;
}

int64_t
soql_render(SoqlCursor *c, int64_t first, int64_t count, Buf *out)
{
	size_t from;

	if (c->q->count_star || first < 0 || first >= c->total || count <= 0)
		return 0;
	if (count > c->total - first)
		count = c->total - first;
	if (!c->q->aggregate)
		return render_rows(c, first, count, out);
	for (int64_t i = first; i < first + count; i++)
	{
		from = i > 0 ? c->ends[i - 1] : 0;
		if (i > first)
			buf_addc(out, ',');
		buf_add(out, c->rows.data + from, c->ends[i] - from);
	}
	return count;
}

/* The statement SELECT <fields> of one object, made without text, for a single row. */
bool
soql_render_row(const Object *o, const char *id, const Field **fields, int n_fields,
				const char *version, Buf *out)
{
	SoqlError e = {0};
	SoqlOptions opt = {.version = version};
	SoqlCursor *c;
	Buf text;
	bool found;

	buf_init(&text);
	buf_adds(&text, "SELECT ");
	if (fields == NULL)
	{
		const char *comma = "";

		for (int i = 0; i < o->n_fields; i++)
			if (schema_seen(&o->fields[i]))
			{
				buf_addf(&text, "%s%s", comma, o->fields[i].name);
				comma = ",";
			}
	}
	else if (n_fields == 0)
		buf_adds(&text, "Id");
	for (int i = 0; fields && i < n_fields; i++)
	{
		bool seen = false;

		for (int k = 0; k < i; k++)
			seen |= fields[k] == fields[i];
		if (!seen)
			buf_addf(&text, "%s%s", i ? "," : "", fields[i]->name);
	}
	buf_addf(&text, " FROM %s WHERE Id='%s'", o->name, id);
	c = soql_open(text.data, text.len, &opt, &e);
	buf_free(&text);
	if (c == NULL)
	{
		soql_error_free(&e);
		return false;
	}
	found = soql_render(c, 0, 1, out) == 1;
	soql_close(c);
	return found;
}
