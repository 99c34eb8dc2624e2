/*
 * ae_query.c - Account Engagement's reading: queries page by page, and single records; see ae.h.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ae.h"
#include "config.h"

#define DEFAULT_LIMIT 200
#define MAX_LIMIT 1000
#define MAX_OFFSET 2000
#define MAX_FILTERED 3
#define MAX_TOKENS 20000

/* Where a sequence of pages goes on. */
typedef struct Token
{
	char text[40];
	const AeObject *object;
	double made;
	char *where; /* of the query, without the place */
	const AeField *order;
	bool descending;
	int limit;
	int given; /* rows of the sequence so far */
	bool key_null;
	int64_t key; /* of the last row, and its id */
	char *key_text;
	int64_t id;
} Token;

static Token tokens[MAX_TOKENS];
static unsigned next_token;

void
ae_tokens_reset(void)
{
	for (int i = 0; i < MAX_TOKENS; i++)
	{
		free(tokens[i].where);
		free(tokens[i].key_text);
	}
	memset(tokens, 0, sizeof(tokens));
}

/* -------- answers -------- */

/* UTF-8 to ISO-8859-1: what it lacks is escaped. */
static void
add_latin1(Buf *out, const char *s)
{
	for (const unsigned char *p = (const unsigned char *) s; *p;)
	{
		unsigned c = *p;
		int more = c < 0x80 ? 0 : c < 0xe0 ? 1 : c < 0xf0 ? 2 : 3;

		if (more)
			c &= 0x3f >> more;
		for (p++; more > 0; more--)
			c = c << 6 | (*p++ & 0x3f);
		if (c < 0x100)
			buf_addc(out, (char) c);
		else if (c < 0x10000)
			buf_addf(out, "\\u%04x", c);
		else
			buf_addf(out, "\\u%04x\\u%04x", 0xd7c0 + (c >> 10), 0xdc00 + (c & 0x3ff));
	}
}

void
ae_answer(Response *w, int status, json_object *body)
{
	const char *text = json_object_to_json_string_ext(body, JSON_C_TO_STRING_PLAIN |
																JSON_C_TO_STRING_NOSLASHESCAPE);

	w->status = status;
	w->content_type = ae_settings.latin1 ? "application/json; charset=ISO-8859-1"
										 : "application/json; charset=utf-8";
	buf_clear(&w->body);
	if (ae_settings.latin1)
		add_latin1(&w->body, text);
	else
		buf_adds(&w->body, text);
	json_object_put(body);
}

/* -------- fields -------- */

static bool
find_path(const AeObject *o, char *name, AePath *path)
{
	char *dot;

	memset(path, 0, sizeof(*path));
	while ((dot = strchr(name, '.')) != NULL)
	{
		if (path->depth == 3)
			return false;
		*dot = '\0';
		path->of[path->depth] = ae_relation(o, name, &path->by[path->depth]);
		if (path->of[path->depth] == NULL)
			return false;
		o = path->of[path->depth];
		path->relation[path->depth] = name;
		path->depth++;
		name = dot + 1;
	}
	path->field = ae_field(o, name);
	return path->field != NULL;
}

AePath *
ae_paths(const AeObject *o, const char *fields, Response *w, int *n)
{
	char *copy, *save = NULL;
	AePath *paths;
	int most = 1;

	if (fields == NULL || *fields == '\0')
	{
		ae_error(w, 400, 13, "One or more required parameters are missing: fields");
		return NULL;
	}
	for (const char *p = fields; *p; p++)
		most += *p == ',';
	/* the texts behind the array, so that both are freed at once */
	paths = malloc(sizeof(AePath) * (size_t) most + strlen(fields) + 1);
	copy = (char *) (paths + most);
	strcpy(copy, fields);
	*n = 0;
	for (char *p = strtok_r(copy, ",", &save); p; p = strtok_r(NULL, ",", &save))
	{
		char name[128];

		snprintf(name, sizeof(name), "%s", p);
		if (!find_path(o, p, &paths[*n]))
		{
			free(paths);
			ae_errorf(w, 400, 180, "One or more of the specified fields are invalid: %s", name);
			return NULL;
		}
		(*n)++;
	}
	return paths;
}

static void
add_expression(Buf *sql, const AePath *path, int depth, const char *field)
{
	for (int i = 0; i < depth; i++)
		buf_adds(sql, "(SELECT ");
	if (depth == 0)
		buf_addf(sql, "t.\"%s\"", field);
	else
		buf_addf(sql, "r%d.\"%s\"", depth - 1, field);
	for (int i = depth - 1; i >= 0; i--)
	{
		buf_addf(sql, " FROM \"%s\" r%d WHERE r%d.id = ", path->of[i]->name, i, i);
		if (i == 0)
			buf_addf(sql, "t.\"%s\")", path->by[i]->name);
		else
			buf_addf(sql, "r%d.\"%s\")", i - 1, path->by[i]->name);
	}
}

/* The columns of the paths: the ids on the way to each, and its value. */
void
ae_columns(Buf *sql, const AePath *paths, int n)
{
	for (int i = 0; i < n; i++)
	{
		for (int d = 0; d < paths[i].depth; d++)
		{
			add_expression(sql, &paths[i], d, paths[i].by[d]->name);
			buf_adds(sql, ", ");
		}
		add_expression(sql, &paths[i], paths[i].depth, paths[i].field->name);
		buf_adds(sql, ", ");
	}
}

json_object *
ae_row_of(sqlite3_stmt *st, const AePath *paths, int n)
{
	json_object *row = json_object_new_object();
	int column = 0;

	for (int i = 0; i < n; i++)
	{
		json_object *at = row;

		for (int d = 0; d < paths[i].depth; d++, column++)
		{
			json_object *parent = NULL;

			if (at == NULL)
				continue;
			if (!json_object_object_get_ex(at, paths[i].relation[d], &parent))
			{
				if (sqlite3_column_type(st, column) != SQLITE_NULL)
					parent = json_object_new_object();
				json_object_object_add(at, paths[i].relation[d], parent);
			}
			at = parent;
		}
		if (at)
			json_object_object_add(at, paths[i].field->name, ae_value(st, column, paths[i].field));
		column++;
	}
	return row;
}

json_object *
ae_row(const AeObject *o, int64_t id, const AePath *paths, int n)
{
	Buf sql = {0};
	sqlite3_stmt *st;
	json_object *row = NULL;

	buf_adds(&sql, "SELECT ");
	ae_columns(&sql, paths, n);
	buf_addf(&sql, "t.id FROM \"%s\" t WHERE t.id = %lld", o->name, (long long) id);
	st = ae_prepare(sql.data);
	if (sqlite3_step(st) == SQLITE_ROW)
		row = ae_row_of(st, paths, n);
	sqlite3_finalize(st);
	buf_free(&sql);
	return row;
}

void
ae_read(Request *r, Response *w, const AeObject *o, const char *id)
{
	char *end;
	long long number = strtoll(id, &end, 10);
	int state, n;
	AePath *paths;

	if (*id == '\0' || *end || number <= 0)
	{
		ae_error(w, 400, 16, "Invalid ID");
		return;
	}
	paths = ae_paths(o, req_param(r, "fields"), w, &n);
	if (paths == NULL)
		return;
	state = ae_row_state(o, number);
	if (state == 1)
		ae_answer(w, 200, ae_row(o, number, paths, n));
	else
	{
		ae_error(w, 404, 109, "The requested record was not found.");
		if (state == 2)
			res_header(w, "Pardot-Warning", "201;Record In Recycle Bin");
	}
	free(paths);
}

/* -------- the query -------- */

typedef struct Query
{
	const AeObject *object;
	Buf where;
	const AeField *order;
	bool descending;
	int limit, offset;
	int filtered; /* fields with filters */
	const AeField *fields[8];
} Query;

static bool
is_orderable(const AeObject *o, const AeField *f)
{
	return strcmp(f->name, "id") == 0 || strcmp(f->name, "createdAt") == 0 ||
		   strcmp(f->name, "updatedAt") == 0 || strcmp(f->name, "name") == 0 ||
		   (o->filter && strcmp(f->name, o->filter) == 0);
}

static bool
take_order(Query *q, const char *value, Response *w)
{
	char name[64];
	size_t n = strcspn(value, " ");

	snprintf(name, sizeof(name), "%.*s", (int) (n < 63 ? n : 63), value);
	q->order = ae_field(q->object, name);
	q->descending = strcmp(value + n, " DESC") == 0;
	if (q->order && is_orderable(q->object, q->order) &&
		(q->descending || value[n] == '\0' || strcmp(value + n, " ASC") == 0))
		return true;
	ae_errorf(w, 400, 19, "Invalid value specified for orderBy: %s", value);
	return false;
}

static bool
take_number(const char *value, int least, int most, int *out)
{
	char *end;
	long v = strtol(value, &end, 10);

	*out = (int) v;
	return *value && !*end && v >= least && v <= most;
}

static bool
note_filtered(Query *q, const AeField *f, Response *w)
{
	for (int i = 0; i < q->filtered; i++)
		if (q->fields[i] == f)
			return true;
	if (q->filtered == MAX_FILTERED)
	{
		ae_error(w, 400, 209,
				 "Too many fields have filters: The max number of 3 distinct fields with filters "
				 "was exceeded for "
				 "this query.");
		return false;
	}
	q->fields[q->filtered++] = f;
	return true;
}

/* idGreaterThan=5, updatedAtAfterOrEqualTo=...; false with the error answered. */
static bool
take_filter(Query *q, const char *name, const char *value, Response *w)
{
	static const struct
	{
		const char *word, *operator;
		bool time;
	} words[] = {
		{"GreaterThanOrEqualTo", ">=", false}, {"GreaterThan", ">", false},
		{"LessThanOrEqualTo", "<=", false},	   {"LessThan", "<", false},
		{"AfterOrEqualTo", ">=", true},		   {"After", ">", true},
		{"BeforeOrEqualTo", "<=", true},	   {"Before", "<", true},
	};
	size_t len = strlen(name);

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
	{
		size_t n = strlen(words[i].word);
		char field[64];
		const AeField *f;
		int64_t v;
		char *end;

		if (len <= n || len - n > 60 || strcmp(name + len - n, words[i].word) != 0)
			continue;
		snprintf(field, sizeof(field), "%.*s", (int) (len - n), name);
		f = ae_field(q->object, field);
		if (f == NULL ||
			strcmp(field, words[i].time ? (q->object->filter ? q->object->filter : "") : "id") != 0)
			break;
		if (words[i].time && !ae_parse_time(value, &v))
		{
			ae_errorf(w, 400, 7, "Invalid timestamp: %s", name);
			return false;
		}
		if (!words[i].time)
		{
			v = strtoll(value, &end, 10);
			if (*value == '\0' || *end || v < 0)
			{
				ae_errorf(w, 400, 16, "Invalid ID: %s", name);
				return false;
			}
		}
		buf_addf(&q->where, " AND t.\"%s\" %s %lld", field, words[i].operator,(long long) v);
		return note_filtered(q, f, w);
	}
	ae_errorf(w, 400, 5, "Invalid query parameters: %s", name);
	return false;
}

static bool
take_param(Query *q, const char *name, const char *value, Response *w)
{
	if (strcmp(name, "fields") == 0)
		return true;
	if (strcmp(name, "limit") == 0)
	{
		if (take_number(value, 1, MAX_LIMIT, &q->limit))
			return true;
		ae_error(w, 400, 23, "Invalid value specified for limit");
		return false;
	}
	if (strcmp(name, "offset") == 0)
	{
		if (take_number(value, 0, MAX_OFFSET, &q->offset))
			return true;
		ae_error(w, 400, 21, "Invalid value specified for offset");
		return false;
	}
	if (strcmp(name, "orderBy") == 0)
		return take_order(q, value, w);
	if (strcmp(name, "deleted") != 0)
		return take_filter(q, name, value, w);
	if (strcmp(value, "true") == 0)
		buf_adds(&q->where, " AND t.\"isDeleted\" = 1");
	else if (strcmp(value, "false") == 0)
		buf_adds(&q->where, " AND t.\"isDeleted\" = 0");
	else if (strcmp(value, "all") != 0)
	{
		ae_error(w, 400, 27, "Parameter deleted must be true or false");
		return false;
	}
	return true;
}

/* All parameters; *token where there is one. */
static bool
take_params(Request *r, Response *w, Query *q, const char **token)
{
	char *text = req_own(r, strdup(r->raw_query));
	char *save = NULL;
	bool deleted = false, others = false;

	*token = NULL;
	for (char *p = strtok_r(text, "&", &save); p; p = strtok_r(NULL, "&", &save))
	{
		char *eq = strchr(p, '=');
		const char *name, *value;

		if (eq)
			*eq = '\0';
		name = req_own(r, url_decode(p, strlen(p), true));
		value = eq ? req_own(r, url_decode(eq + 1, strlen(eq + 1), true)) : "";
		if (strcmp(name, "nextPageToken") == 0)
		{
			*token = value;
			continue;
		}
		deleted |= strcmp(name, "deleted") == 0;
		others |= strcmp(name, "fields") != 0;
		if (!take_param(q, name, value, w))
			return false;
	}
	if (*token && others)
	{
		ae_error(w, 400, 5,
				 "Invalid query parameters: only fields may be given with nextPageToken");
		return false;
	}
	if (!deleted)
		buf_adds(&q->where, " AND t.\"isDeleted\" = 0");
	return true;
}

static Token *
find_token(const AeObject *o, const char *text, Response *w)
{
	for (int i = 0; i < MAX_TOKENS; i++)
	{
		Token *t = &tokens[i];

		if (t->object != o || strcmp(t->text, text) != 0)
			continue;
		if (monotonic() - t->made <= ae_settings.token_seconds)
			return t;
		ae_error(w, 400, 210, "Page token has expired.");
		return NULL;
	}
	ae_error(w, 400, 211, "Page token is invalid.");
	return NULL;
}

static Token *
make_token(const Query *q, int given)
{
	Token *t = &tokens[next_token++ % MAX_TOKENS];

	free(t->where);
	free(t->key_text);
	memset(t, 0, sizeof(*t));
	snprintf(t->text, sizeof(t->text), "eyJ%08xT%u", next_token * 2654435761u, next_token);
	t->object = q->object;
	t->made = monotonic();
	t->where = strdup(q->where.data ? q->where.data : "");
	t->order = q->order;
	t->descending = q->descending;
	t->limit = q->limit;
	t->given = given;
	return t;
}

/* What lies behind the last row of the page before. */
static void
add_place(Buf *sql, const Token *t)
{
	const char *op = t->descending ? "<" : ">";
	const char *name = t->order->name;

	if (strcmp(name, "id") == 0)
		buf_addf(sql, " AND t.id %s %lld", op, (long long) t->id);
	else if (t->key_null && t->descending)
		buf_addf(sql, " AND t.\"%s\" IS NULL AND t.id < %lld", name, (long long) t->id);
	else if (t->key_null)
		buf_addf(sql, " AND (t.\"%s\" IS NOT NULL OR t.id > %lld)", name, (long long) t->id);
	else
	{
		bool may_be_null = strcmp(name, "createdAt") != 0 && strcmp(name, "updatedAt") != 0;

		/* For the index. */
		if (!may_be_null)
			buf_addf(sql, " AND t.\"%s\" %s= ?1", name, op);
		buf_addf(sql, " AND (t.\"%s\" %s ?1 OR (t.\"%s\" = ?1 AND t.id %s %lld)", name, op, name,
				 op, (long long) t->id);
		/* SQLite sorts nulls first, and so last when it goes down. */
		if (t->descending && may_be_null)
			buf_addf(sql, " OR t.\"%s\" IS NULL", name);
		buf_addc(sql, ')');
	}
}

static void
run_page(Request *r, Response *w, Query *q, Token *from, const AePath *paths, int n)
{
	json_object *body = json_object_new_object();
	json_object *values = json_object_new_array_ext(q->limit);
	int given = from ? from->given : 0;
	int rows = 0;
	Token *next = NULL;
	Buf sql = {0};
	sqlite3_stmt *st;

	buf_adds(&sql, "SELECT ");
	ae_columns(&sql, paths, n);
	buf_addf(&sql, "t.id, t.\"%s\" FROM \"%s\" t WHERE 1=1%s", q->order->name, q->object->name,
			 q->where.data ? q->where.data : "");
	if (from)
		add_place(&sql, from);
	buf_adds(&sql, " ORDER BY ");
	if (strcmp(q->order->name, "id") != 0)
		buf_addf(&sql, "t.\"%s\"%s, ", q->order->name, q->descending ? " DESC" : "");
	buf_addf(&sql, "t.id%s LIMIT %d OFFSET %d", q->descending ? " DESC" : "", q->limit + 1,
			 q->offset);
	st = ae_prepare(sql.data);
	if (from && !from->key_null && strcmp(from->order->name, "id") != 0)
	{
		if (from->key_text)
			sqlite3_bind_text(st, 1, from->key_text, -1, SQLITE_STATIC);
		else
			sqlite3_bind_int64(st, 1, from->key);
	}
	while (sqlite3_step(st) == SQLITE_ROW)
	{
		int last = sqlite3_column_count(st) - 1;

		if (rows == q->limit)
		{
			/* There are more: they come with the token, if the sequence is not at its end. */
			if (given + rows >= ae_settings.sequence)
				res_header(w, "Pardot-Warning",
						   "203;Record count for nextPageToken sequence has been exceeded. No page "
						   "token returned.");
			else
				rows++;
			break;
		}
		json_object_array_add(values, ae_row_of(st, paths, n));
		rows++;
		if (rows == q->limit)
		{
			next = make_token(q, given + rows);
			next->id = sqlite3_column_int64(st, last - 1);
			next->key_null = sqlite3_column_type(st, last) == SQLITE_NULL;
			next->key = sqlite3_column_int64(st, last);
			if (sqlite3_column_type(st, last) == SQLITE_TEXT)
				next->key_text = strdup((const char *) sqlite3_column_text(st, last));
		}
	}
	sqlite3_finalize(st);
	buf_free(&sql);
	if (rows <= q->limit)
		next = NULL;
	json_object_object_add(body, "nextPageToken", next ? json_object_new_string(next->text) : NULL);
	if (next)
	{
		Buf url = {0};

		buf_addf(&url, "%s%s?fields=", r->base_url, q->object->path);
		url_encode(&url, req_param(r, "fields"));
		buf_addf(&url, "&nextPageToken=%s", next->text);
		json_object_object_add(body, "nextPageUrl", json_object_new_string(url.data));
		buf_free(&url);
	}
	else
		json_object_object_add(body, "nextPageUrl", NULL);
	json_object_object_add(body, "values", values);
	ae_answer(w, 200, body);
}

void
ae_query(Request *r, Response *w, const AeObject *o)
{
	Query q = {.object = o, .limit = DEFAULT_LIMIT};
	const char *token;
	Token *from = NULL;
	AePath *paths;
	int n;

	paths = ae_paths(o, req_param(r, "fields"), w, &n);
	if (paths == NULL)
		return;
	for (int i = 0; i < n; i++)
	{
		if (paths[i].field->custom == 'm' || paths[i].field->custom == 'c')
		{
			ae_errorf(w, 400, 224, "Invalid fields for request type: %s", paths[i].field->name);
			free(paths);
			return;
		}
	}
	q.order = ae_field(o, "id");
	if (take_params(r, w, &q, &token) &&
		(token == NULL || (from = find_token(o, token, w)) != NULL))
	{
		if (from)
		{
			buf_clear(&q.where);
			buf_adds(&q.where, from->where);
			q.order = from->order;
			q.descending = from->descending;
			q.limit = from->limit;
		}
		run_page(r, w, &q, from, paths, n);
	}
	buf_free(&q.where);
	free(paths);
}
