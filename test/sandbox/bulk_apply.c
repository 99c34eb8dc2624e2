/*
 * bulk_apply.c - the rows of an ingest job, written by the same rules as those of REST.
 *
 * Owns: what a column's name means, and the three results.  Must not know: HTTP, SQL but for
 * hardDelete.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "bulk.h"
#include "bulk_csv.h"
#include "config.h"
#include "rest.h"
#include "store_internal.h"

/* Rows that are written while the store is locked. */
#define SLICE 100
#define PAUSE_US 20
#define BATCH 10000
#define MAX_COLUMNS 5000
#define MAX_HEADER 32000
#define MAX_FIELD 32000
#define MAX_RECORD 400000
/* Failed rows show the Id that they were given from this version on. */
#define FAILED_ID 53

typedef struct Column
{
	char *name;			  /* as it was written */
	const Field *field;	  /* that is set; of a parent's key: the lookup */
	const Object *parent; /* whose key it is, or NULL */
	const Field *key;
} Column;

/* Rows of a result that are kept until their batch has ended, since results have another order. */
typedef struct Pile
{
	BulkResult *result;
	Buf text;
	uint32_t lengths[BATCH];
	int64_t n;
} Pile;

typedef struct Apply
{
	BulkJob *job;
	CsvReader csv;
	CsvRow row;
	Column *columns;
	int n;
	int id;	 /* the column of the Id, -1: none */
	int key; /* of the external id of an upsert */
	Pile done, refused;
	bool locked; /* the next row is: a fault */
} Apply;

/* ---- columns ---- */

/* Rel.Field or Type:Rel.Field */
static bool
resolve_parent(const Object *o, Column *c, const char *dot)
{
	const char *colon = memchr(c->name, ':', (size_t) (dot - c->name));
	const char *rel = colon ? colon + 1 : c->name;
	const Field *via = schema_relationship(o, rel, (size_t) (dot - rel));
	const char *target = NULL;

	if (via == NULL)
		return false;
	for (int i = 0; i < via->n_reference_to; i++)
		if (colon == NULL
				? via->n_reference_to == 1
				: strlen(via->reference_to[i]) == (size_t) (colon - c->name) &&
					  strncasecmp(via->reference_to[i], c->name, (size_t) (colon - c->name)) == 0)
			target = via->reference_to[i];
	c->field = via;
	c->parent = target ? schema_find(target, strlen(target)) : NULL;
	c->key = c->parent ? schema_field(c->parent, dot + 1, strlen(dot + 1)) : NULL;
	return c->key != NULL && (c->key->external_id || c->key->id_lookup);
}

static bool
resolve(const Object *o, Column *c)
{
	const char *dot = strchr(c->name, '.');

	if (dot != NULL)
		return resolve_parent(o, c, dot);
	c->field = schema_field(o, c->name, strlen(c->name));
	return c->field != NULL;
}

static bool __attribute__((format(printf, 2, 3))) fail(char **error, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	if (vasprintf(error, fmt, ap) < 0)
		abort();
	va_end(ap);
	return false;
}

static int
find_column(const Apply *a, const Field *f)
{
	for (int i = 0; i < a->n; i++)
		if (a->columns[i].field == f && a->columns[i].key == NULL)
			return i;
	return -1;
}

/* The names of the first row; false where the whole job fails. */
static bool
read_header(Apply *a, char **error)
{
	const BulkJob *j = a->job;
	size_t len;

	if (!csv_next(&a->csv, &a->row))
		return fail(error, "InvalidBatch : The content is empty");
	if (a->row.other_end)
		return fail(error,
					"ClientInputError : LineEnding is invalid on user data. Current LineEnding "
					"setting is %s",
					j->crlf ? "CRLF" : "LF");
	if (a->row.error != NULL || a->row.n > MAX_COLUMNS || a->row.text.len > MAX_HEADER)
		return fail(error, "InvalidBatch : The header cannot be read: %s",
					a->row.error ? a->row.error : "it is too long");
	a->columns = calloc((size_t) a->row.n, sizeof(*a->columns));
	if (a->columns == NULL)
		abort();
	for (a->n = 0; a->n < a->row.n; a->n++)
		a->columns[a->n].name = strdup(csv_cell(&a->row, a->n, &len));
	return true;
}

static bool
check_header(Apply *a, char **error)
{
	const BulkJob *j = a->job;
	bool deletes = j->operation == BULK_DELETE || j->operation == BULK_HARD_DELETE;

	for (int i = 0; i < a->n; i++)
	{
		if (!resolve(j->object, &a->columns[i]))
			return fail(error, "InvalidBatch : Field name not found : %s", a->columns[i].name);
		for (int k = 0; k < i; k++)
			if (strcasecmp(a->columns[k].name, a->columns[i].name) == 0)
				return fail(error, "InvalidBatch : Duplicate field name : %s", a->columns[i].name);
	}
	a->id = find_column(a, schema_field(j->object, "Id", 2));
	a->key = j->key ? find_column(a, j->key) : -1;
	if (deletes && (a->n != 1 || a->id != 0))
		return fail(error, "InvalidBatch : Delete batch must contain only ids");
	if (j->operation == BULK_UPDATE && a->id < 0)
		return fail(error, "InvalidBatch : Field name not found : Id");
	if (j->operation == BULK_UPSERT && a->key < 0)
		return fail(error, "InvalidBatch : Field name not found : %s", j->key->name);
	return true;
}

/* ---- results ---- */

/* The header of a result: ours in quotes, the client's names as they are. */
static BulkResult *
new_result(const Apply *a, const char *first, const char *second)
{
	BulkResult *r;
	Buf b;

	buf_init(&b);
	if (first != NULL)
		buf_addf(&b, "\"%s\"%c\"%s\"", first, a->job->delimiter, second);
	for (int i = 0; i < a->n; i++)
	{
		if (i > 0 || first != NULL)
			buf_addc(&b, a->job->delimiter);
		buf_adds(&b, a->columns[i].name);
	}
	buf_adds(&b, a->job->crlf ? "\r\n" : "\n");
	r = bulk_result_new(b.data, b.len, INT32_MAX);
	buf_free(&b);
	return r;
}

/* A value of the client's, as the org writes it: numbers in its own way. */
static void
add_original(Buf *b, const Column *c, const char *s, size_t n)
{
	FieldType t = c->field && c->key == NULL ? c->field->type : FT_STRING;
	char *end;
	double d;

	if (n > 0 && (t == FT_DOUBLE || t == FT_CURRENCY || t == FT_PERCENT))
	{
		d = strtod(s, &end);
		if (*end == '\0')
		{
			buf_addc(b, '"');
			buf_json_double(b, d);
			buf_addc(b, '"');
			return;
		}
	}
	csv_quote(b, s, n);
}

/* The cells of the row at hand, as far as the header goes. */
static void
add_cells(const Apply *a, Buf *b)
{
	for (int i = 0; i < a->n; i++)
	{
		size_t n = 0;
		const char *s = i < a->row.n ? csv_cell(&a->row, i, &n) : "";

		if (i > 0)
			buf_addc(b, a->job->delimiter);
		add_original(b, &a->columns[i], s, n);
	}
	buf_adds(b, a->job->crlf ? "\r\n" : "\n");
}

static void
pile_add(Apply *a, Pile *p, const char *first, const char *second)
{
	size_t from = p->text.len;

	csv_quote(&p->text, first, strlen(first));
	buf_addc(&p->text, a->job->delimiter);
	csv_quote(&p->text, second, strlen(second));
	buf_addc(&p->text, a->job->delimiter);
	add_cells(a, &p->text);
	p->lengths[p->n++] = (uint32_t) (p->text.len - from);
}

/* A batch has ended: its rows go to the result, the last one first. */
static void
pile_flush(Pile *p)
{
	size_t end = p->text.len;

	while (p->n > 0)
	{
		end -= p->lengths[--p->n];
		bulk_result_add(p->result, p->text.data + end, &p->lengths[p->n], 1);
	}
	buf_clear(&p->text);
}

/* CODE:message:FIELD1,FIELD2 -- */
static void
refuse_row(Apply *a, const char *id, StoreError *e)
{
	Buf text;

	buf_init(&text);
	buf_addf(&text, "%s:%s:", e->code, e->message);
	for (int i = 0; i < e->n_fields; i++)
		buf_addf(&text, "%s%s", i ? "," : "", e->fields[i]);
	buf_adds(&text, e->n_fields > 0 ? " --" : "--");
	pile_add(a, &a->refused, atoi(a->job->version) >= FAILED_ID ? id : "", text.data);
	buf_free(&text);
	store_error_free(e);
}

/* ---- rows ---- */

static const char *
xsd_type(FieldType t)
{
	switch (t)
	{
		case FT_BOOLEAN:
			return "xsd:boolean";
		case FT_INT:
			return "xsd:int";
		case FT_LONG:
			return "xsd:long";
		case FT_DOUBLE:
		case FT_CURRENCY:
		case FT_PERCENT:
			return "xsd:double";
		case FT_DATE:
			return "xsd:date";
		case FT_DATETIME:
			return "xsd:dateTime";
		case FT_TIME:
			return "xsd:time";
		case FT_BASE64:
			return "xsd:base64Binary";
		default:
			return "xsd:string";
	}
}

/* The text of a cell as a value of its field; NULL with *e filled if it is none. */
static json_object *
cell_value(const Column *c, int column, const char *s, size_t n, StoreError *e)
{
	json_object *json;
	Value v = {0};

	if (c->field->type == FT_BOOLEAN && n == 1 && (*s == '0' || *s == '1'))
		json = json_object_new_string(*s == '1' ? "true" : "false");
	else
		json = json_object_new_string_len(s, (int) n);
	rules_value(c->field, json, &v, e);
	value_clear(&v);
	/* what else is wrong with it is found again when it is written */
	if (e->message == NULL || strcmp(e->code, "JSON_PARSER_ERROR") != 0)
	{
		store_error_free(e);
		return json;
	}
	json_object_put(json);
	store_error_set(e, 400, "INVALID_FIELD",
					"Failed to deserialize field at col %d. Due to, '%s' is not a valid value for "
					"the type %s",
					column, s, xsd_type(c->field->type));
	store_error_field(e, c->field->name);
	return NULL;
}

static void
add_parent(json_object *values, const Column *c, const char *s)
{
	json_object *parent = json_object_new_object();
	json_object *attributes = json_object_new_object();

	json_object_object_add(attributes, "type", json_object_new_string(c->parent->name));
	json_object_object_add(parent, "attributes", attributes);
	json_object_object_add(parent, c->key->name, json_object_new_string(s));
	json_object_object_add(values, c->field->relationship, parent);
}

static bool
row_fits(const Apply *a, StoreError *e)
{
	const CsvRow *row = &a->row;
	size_t n;

	if (row->error != NULL)
		store_error_set(e, 400, "INVALID_CSV_ROW", "The row cannot be read: %s", row->error);
	else if (row->n != a->n)
		store_error_set(e, 400, "INVALID_CSV_ROW",
						"The row has %d values, but the header has %d names", row->n, a->n);
	else if (row->text.len > MAX_RECORD)
		store_error_set(e, 400, "INVALID_CSV_ROW", "The row has more than %d characters",
						MAX_RECORD);
	for (int i = 0; i < row->n && e->message == NULL; i++)
	{
		csv_cell(row, i, &n);
		if (n > MAX_FIELD)
			store_error_set(e, 400, "INVALID_CSV_ROW", "%s has more than %d characters",
							a->columns[i].name, MAX_FIELD);
	}
	return e->message == NULL;
}

/* What the row sets, without its Id and the key of an upsert; NULL with *e filled. */
static json_object *
row_values(const Apply *a, StoreError *e)
{
	json_object *values = json_object_new_object();

	for (int i = 0; i < a->n; i++)
	{
		const Column *c = &a->columns[i];
		size_t n;
		const char *s = csv_cell(&a->row, i, &n);
		json_object *v = NULL;

		/* an empty value says nothing */
		if (i == a->key || (i == a->id && a->job->operation != BULK_INSERT) || n == 0)
			continue;
		if (strcmp(s, "#N/A") == 0)
			json_object_object_add(values, c->field->name, NULL);
		else if (c->key != NULL)
			add_parent(values, c, s);
		else if ((v = cell_value(c, i, s, n, e)) != NULL)
			json_object_object_add(values, c->field->name, v);
		else
		{
			json_object_put(values);
			return NULL;
		}
	}
	return values;
}

/* For good, with what was deleted because of it. */
static void
purge(const Object *o, const char *id)
{
	for (int i = 0; i < schema_count(); i++)
	{
		const Object *x = schema_object(i);
		char sql[512];
		sqlite3_stmt *st;

		snprintf(sql, sizeof(sql), "DELETE FROM \"%s\" WHERE \"%s\" = ?1%s", x->name,
				 STORE_DELETED_WITH, x == o ? " OR \"Id\" = ?1" : "");
		st = store_prepare(sql);
		sqlite3_bind_text(st, 1, id, -1, SQLITE_STATIC);
		sqlite3_step(st);
		sqlite3_finalize(st);
	}
	store_changed();
}

static bool
write_row(Apply *a, json_object *values, const char *given, char id[SF_ID_LEN + 1], bool *created,
		  StoreError *e)
{
	const BulkJob *j = a->job;
	char *ids = NULL;
	size_t len;
	int matches;
	bool ok;

	*created = j->operation == BULK_INSERT;
	if (j->operation != BULK_INSERT && j->operation != BULK_UPSERT && *given == '\0')
	{
		store_error_set(e, 400, "MISSING_ARGUMENT", "Id not specified");
		store_error_field(e, "Id");
		return false;
	}
	switch (j->operation)
	{
		case BULK_INSERT:
			return store_insert(j->object, values, id, e);
		case BULK_UPDATE:
			ok = store_update(j->object, given, values, e);
			break;
		case BULK_UPSERT:
			ok = store_upsert(j->object, j->key, csv_cell(&a->row, a->key, &len), values, id,
							  created, &matches, &ids, e);
			free(ids);
			return ok;
		default:
			ok = store_delete(j->object, given, e);
	}
	store_canonical_id(given, strlen(given), id);
	if (ok && j->operation == BULK_HARD_DELETE)
		purge(j->object, id);
	return ok;
}

/* Returns whether the row has been written. */
static bool
apply_row(Apply *a)
{
	char id[SF_ID_LEN + 1] = "";
	const char *given = "";
	json_object *values = NULL;
	StoreError e = {0};
	bool created = false, ok;
	size_t len;

	ok = row_fits(a, &e);
	if (ok && a->id >= 0)
		given = csv_cell(&a->row, a->id, &len);
	if (ok && a->locked)
	{
		a->locked = ok = false;
		rest_lock_error(&e, *given ? given : a->job->object->key_prefix);
	}
	ok =
		ok && (values = row_values(a, &e)) != NULL && write_row(a, values, given, id, &created, &e);
	json_object_put(values);
	if (ok)
		pile_add(a, &a->done, id, created ? "true" : "false");
	else
		refuse_row(a, given, &e);
	return ok;
}

/* Rows that nobody looked at. */
static BulkResult *
rest_of(Apply *a)
{
	BulkResult *r = new_result(a, NULL, NULL);
	uint32_t length;
	Buf b;

	buf_init(&b);
	while (csv_next(&a->csv, &a->row))
	{
		buf_clear(&b);
		add_cells(a, &b);
		length = (uint32_t) b.len;
		bulk_result_add(r, b.data, &length, 1);
	}
	buf_free(&b);
	bulk_result_end(r);
	return r;
}

/* A slice of rows; false at the end. */
static bool
apply_slice(Apply *a, int n, int64_t *processed, int64_t *failed)
{
	bool more = true;

	store_lock();
	store_set_user(a->job->user_id);
	store_begin();
	for (int i = 0; i < n && more; i++)
	{
		more = csv_next(&a->csv, &a->row);
		if (!more)
			break;
		++*processed;
		if (!apply_row(a))
			++*failed;
	}
	store_commit();
	store_unlock();
	return more;
}

static void
apply_rows(Apply *a)
{
	BulkJob *j = a->job;
	int64_t processed = 0, failed = 0;
	bool more = true;

	while (more && !bulk_unwanted(j))
	{
		more = apply_slice(a, SLICE, &processed, &failed);
		if (more ? processed % BATCH == 0 : processed % BATCH > 0)
		{
			pile_flush(&a->done);
			pile_flush(&a->refused);
			bulk_count_batch();
		}
		bulk_lock();
		j->processed = processed;
		j->failed = failed;
		bulk_unlock();
		nap(PAUSE_US);
	}
	pile_flush(&a->done);
	pile_flush(&a->refused);
}

static void
apply_free(Apply *a)
{
	for (int i = 0; i < a->n; i++)
		free(a->columns[i].name);
	free(a->columns);
	csv_free(&a->row);
	buf_free(&a->done.text);
	buf_free(&a->refused.text);
	free(a);
}

static Apply *
apply_new(BulkJob *j)
{
	Apply *a = calloc(1, sizeof(*a));

	if (a == NULL)
		abort();
	a->job = j;
	a->id = a->key = -1;
	a->locked = j->lock_row;
	csv_open(&a->csv, j->content ? j->content : "", j->content_len, j->delimiter, j->crlf);
	return a;
}

bool
bulk_run_ingest(BulkJob *j, char **error)
{
	Apply *a = apply_new(j);
	BulkResult *unprocessed;
	char *content;
	/* rows of a job that fails for its header are shown as they came */
	bool ok = read_header(a, error) && check_header(a, error);

	a->done.result = new_result(a, "sf__Id", "sf__Created");
	a->refused.result = new_result(a, "sf__Id", "sf__Error");
	if (ok && j->finished == BULK_OPEN)
		apply_rows(a);
	bulk_result_end(a->done.result);
	bulk_result_end(a->refused.result);
	unprocessed = rest_of(a);
	bulk_lock();
	j->result = a->done.result;
	j->refused = a->refused.result;
	j->unprocessed = unprocessed;
	content = j->content;
	j->content = NULL;
	j->content_len = 0;
	bulk_unlock();
	free(content);
	apply_free(a);
	return ok;
}

BulkResult *
bulk_never_applied(BulkJob *j)
{
	Apply *a = apply_new(j);
	char *error = NULL;
	BulkResult *r;

	read_header(a, &error);
	r = rest_of(a);
	free(error);
	apply_free(a);
	return r;
}
