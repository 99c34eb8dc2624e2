/*
 * store_row.c - rows between memory and SQLite.
 *
 * Owns: the prepared statements for whole rows.  Must not know: rules.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "event.h"
#include "store_internal.h"

typedef struct Statements
{
	sqlite3_stmt *insert;
	sqlite3_stmt *update;
	sqlite3_stmt *select;
} Statements;

static Statements *statements;
static int n_statements;

static Statements *
statements_of(const Object *o)
{
	if (!statements)
	{
		n_statements = schema_count();
		statements = calloc(n_statements, sizeof(Statements));
	}
	return &statements[o->index];
}

void
row_end(void)
{
	int i;

	for (i = 0; i < n_statements; i++)
	{
		sqlite3_finalize(statements[i].insert);
		sqlite3_finalize(statements[i].update);
		sqlite3_finalize(statements[i].select);
	}
	free(statements);
	statements = NULL;
	n_statements = 0;
}

Row *
row_new(const Object *o)
{
	Row *r = calloc(1, sizeof(Row));

	if (r)
	{
		r->o = o;
		r->v = calloc(o->n_fields, sizeof(Value));
		r->given = calloc(o->n_fields, sizeof(bool));
	}
	if (!r || !r->v || !r->given)
		schema_die("out of memory");
	return r;
}

void
row_free(Row *r)
{
	int i;

	if (!r)
		return;
	for (i = 0; i < r->o->n_fields; i++)
		free(r->v[i].s);
	free(r->v);
	free(r->given);
	free(r);
}

void
value_clear(Value *v)
{
	free(v->s);
	memset(v, 0, sizeof(*v));
}

void
value_copy(Value *to, const Value *from)
{
	char *s = from->s ? strdup(from->s) : NULL;

	free(to->s);
	*to = *from;
	to->s = s;
}

bool
value_same(const Value *a, const Value *b)
{
	if (a->kind != b->kind)
		return false;
	switch (a->kind)
	{
		case V_INT:
			return a->i == b->i;
		case V_REAL:
			return a->d == b->d;
		case V_TEXT:
			return strcmp(a->s, b->s) == 0;
		default:
			return true;
	}
}

Row *
row_copy(const Row *r)
{
	Row *c = row_new(r->o);
	int i;

	for (i = 0; i < r->o->n_fields; i++)
		value_copy(&c->v[i], &r->v[i]);
	c->deleted = r->deleted;
	return c;
}

static void
make_select(const Object *o, sqlite3_stmt **s)
{
	Buf b;
	int i;

	buf_init(&b);
	buf_adds(&b, "SELECT \"IsDeleted\"");
	for (i = 0; i < o->n_fields; i++)
		if (o->fields[i].stored)
			buf_addf(&b, ", \"%s\"", o->fields[i].name);
	buf_addf(&b, " FROM \"%s\" WHERE \"Id\" = ?1", o->name);
	*s = store_prepare(b.data);
	buf_free(&b);
}

static void
read_value(sqlite3_stmt *s, int col, Value *v)
{
	switch (sqlite3_column_type(s, col))
	{
		case SQLITE_INTEGER:
			v->kind = V_INT;
			v->i = sqlite3_column_int64(s, col);
			break;
		case SQLITE_FLOAT:
			v->kind = V_REAL;
			v->d = sqlite3_column_double(s, col);
			break;
		case SQLITE_NULL:
			v->kind = V_NULL;
			break;
		default:
			v->kind = V_TEXT;
			v->s = strdup((const char *) sqlite3_column_text(s, col));
			break;
	}
}

Row *
row_load(const Object *o, const char *id)
{
	Statements *st = statements_of(o);
	Row *r = NULL;
	int col = 1;
	int i;

	if (!st->select)
		make_select(o, &st->select);
	sqlite3_bind_text(st->select, 1, id, -1, SQLITE_TRANSIENT);
	if (sqlite3_step(st->select) == SQLITE_ROW)
	{
		r = row_new(o);
		r->deleted = sqlite3_column_int(st->select, 0);
		for (i = 0; i < o->n_fields; i++)
			if (o->fields[i].stored)
				read_value(st->select, col++, &r->v[i]);
	}
	sqlite3_reset(st->select);
	return r;
}

static void
bind_value(sqlite3_stmt *s, int n, const Field *f, const Value *v)
{
	switch (v->kind)
	{
		case V_INT:
			sqlite3_bind_int64(s, n, v->i);
			break;
		case V_REAL:
			sqlite3_bind_double(s, n, v->d);
			break;
		case V_TEXT:
			sqlite3_bind_text(s, n, v->s, -1, SQLITE_STATIC);
			break;
		default:
			if (f->type == FT_BOOLEAN)
				sqlite3_bind_int(s, n, 0);
			else
				sqlite3_bind_null(s, n);
			break;
	}
}

static int
bind_row(sqlite3_stmt *s, const Row *r)
{
	int n = 0;
	int i;

	for (i = 0; i < r->o->n_fields; i++)
		if (store_field_written(&r->o->fields[i]))
			bind_value(s, ++n, &r->o->fields[i], &r->v[i]);
	return n;
}

/* Runs a write; what SQLite itself refuses is a defect, but must not end the server. */
static bool
run(sqlite3_stmt *s, StoreError *e)
{
	int rc = sqlite3_step(s);

	sqlite3_reset(s);
	sqlite3_clear_bindings(s);
	if (rc != SQLITE_DONE)
	{
		store_error_set(e, 500, "UNKNOWN_EXCEPTION", "%s", sqlite3_errmsg(store_db()));
		return false;
	}
	store_changed();
	return true;
}

bool
row_insert(Row *r, StoreError *e)
{
	const Object *o = r->o;
	Statements *st = statements_of(o);

	if (!st->insert)
	{
		Buf b;
		int n = 0;
		int i;

		buf_init(&b);
		buf_addf(&b, "INSERT INTO \"%s\" (", o->name);
		for (i = 0; i < o->n_fields; i++)
			if (store_field_written(&o->fields[i]))
				buf_addf(&b, "%s\"%s\"", n++ ? ", " : "", o->fields[i].name);
		buf_adds(&b, ") VALUES (?");
		for (i = 1; i < n; i++)
			buf_adds(&b, ", ?");
		buf_addc(&b, ')');
		st->insert = store_prepare(b.data);
		buf_free(&b);
	}
	event_touch(o, row_text(r, "Id"));
	bind_row(st->insert, r);
	return run(st->insert, e);
}

bool
row_update(Row *r, StoreError *e)
{
	const Object *o = r->o;
	Statements *st = statements_of(o);
	int n;

	if (!st->update)
	{
		Buf b;
		int i;

		n = 0;
		buf_init(&b);
		buf_addf(&b, "UPDATE \"%s\" SET ", o->name);
		for (i = 0; i < o->n_fields; i++)
			if (store_field_written(&o->fields[i]))
				buf_addf(&b, "%s\"%s\" = ?", n++ ? ", " : "", o->fields[i].name);
		buf_adds(&b, " WHERE \"Id\" = ?");
		st->update = store_prepare(b.data);
		buf_free(&b);
	}
	event_touch(o, row_text(r, "Id"));
	n = bind_row(st->update, r);
	sqlite3_bind_text(st->update, n + 1, row_text(r, "Id"), -1, SQLITE_STATIC);
	return run(st->update, e);
}

Value *
row_value(const Row *r, const char *field)
{
	const Field *f = schema_field(r->o, field, strlen(field));

	return f ? &r->v[f->index] : NULL;
}

const char *
row_text(const Row *r, const char *field)
{
	const Value *v = row_value(r, field);

	return v && v->kind == V_TEXT ? v->s : NULL;
}

double
row_real(const Row *r, const char *field, double otherwise)
{
	const Value *v = row_value(r, field);

	if (v && v->kind == V_REAL)
		return v->d;
	if (v && v->kind == V_INT)
		return v->i;
	return otherwise;
}

bool
row_true(const Row *r, const char *field)
{
	return row_real(r, field, 0) != 0;
}

bool
row_given(const Row *r, const char *field)
{
	const Field *f = schema_field(r->o, field, strlen(field));

	return f && r->given[f->index];
}

bool
row_null(const Row *r, const char *field)
{
	const Value *v = row_value(r, field);

	return !v || v->kind == V_NULL;
}

void
row_set_null(Row *r, const char *field)
{
	Value *v = row_value(r, field);

	if (v)
		value_clear(v);
}

void
row_set_text(Row *r, const char *field, const char *s)
{
	Value *v = row_value(r, field);
	char *copy;

	if (!v)
		return;
	copy = s && *s ? strdup(s) : NULL;
	value_clear(v);
	v->s = copy;
	v->kind = copy ? V_TEXT : V_NULL;
}

void
row_set_int(Row *r, const char *field, int64_t i)
{
	Value *v = row_value(r, field);

	if (!v)
		return;
	value_clear(v);
	v->kind = V_INT;
	v->i = i;
}

void
row_set_real(Row *r, const char *field, double d)
{
	Value *v = row_value(r, field);

	if (!v)
		return;
	value_clear(v);
	v->kind = V_REAL;
	v->d = d;
}

char *
lookup_text(const char *object, const char *id, const char *field)
{
	Buf sql;
	sqlite3_stmt *s;
	char *out = NULL;

	if (!id || !schema_find(object, strlen(object)))
		return NULL;
	buf_init(&sql);
	buf_addf(&sql, "SELECT \"%s\" FROM \"%s\" WHERE \"Id\" = ?1", field, object);
	if (sqlite3_prepare_v2(store_db(), sql.data, -1, &s, NULL) == SQLITE_OK)
	{
		sqlite3_bind_text(s, 1, id, -1, SQLITE_STATIC);
		if (sqlite3_step(s) == SQLITE_ROW && sqlite3_column_text(s, 0))
			out = strdup((const char *) sqlite3_column_text(s, 0));
		sqlite3_finalize(s);
	}
	buf_free(&sql);
	return out;
}
