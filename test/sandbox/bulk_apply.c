/*
 * bulk_apply.c - the rows of an ingest job, written by the same rules as those of REST.
 *
 * Owns: the three results.  Must not know: HTTP, SQL.
 */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "bulk_apply.h"
#include "config.h"
#include "event.h"
#include "locks.h"
#include "org.h"
#include "rules_org.h"
#include "store_internal.h"

#define PAUSE_US 20
#define MAX_FIELD 32000
#define MAX_RECORD 400000
/* Failed rows show the Id that they were given from this version on. */
#define FAILED_ID 53

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
	if (b.len > 0)
		buf_adds(&b, a->job->crlf ? "\r\n" : "\n");
	r = bulk_result_new(b.data ? b.data : "", b.len, INT32_MAX);
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
	if (p->n == p->cap)
	{
		p->cap = p->cap ? p->cap * 2 : 1024;
		p->lengths = realloc(p->lengths, sizeof(*p->lengths) * (size_t) p->cap);
		if (p->lengths == NULL)
			abort();
	}
	p->lengths[p->n++] = (uint32_t) (p->text.len - from);
}

/* xorshift: the same job always has the same order. */
static uint64_t
next_random(Apply *a)
{
	a->random ^= a->random << 13;
	a->random ^= a->random >> 7;
	a->random ^= a->random << 17;
	return a->random;
}

/* A batch has ended: its rows go to the result, in an order that is not theirs. */
static void
pile_flush(Apply *a, Pile *p)
{
	size_t *starts = malloc(sizeof(*starts) * (size_t) (p->n + 1));
	int64_t *order = malloc(sizeof(*order) * (size_t) (p->n + 1));
	size_t at = 0;

	if (starts == NULL || order == NULL)
		abort();
	for (int64_t i = 0; i < p->n; i++)
	{
		int64_t k = bulk_settings.natural ? i : (int64_t) (next_random(a) % (uint64_t) (i + 1));

		starts[i] = at;
		at += p->lengths[i];
		order[i] = order[k];
		order[k] = i;
	}
	for (int64_t i = 0; i < p->n; i++)
		bulk_result_add(p->result, p->text.data + starts[order[i]], &p->lengths[order[i]], 1);
	p->n = 0;
	buf_clear(&p->text);
	free(starts);
	free(order);
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
	/* JSON may have an offset without a colon, CSV not */
	if (e->message == NULL && c->field->type == FT_DATETIME && n > 5 && s[n - 1] != 'Z' &&
		s[n - 3] != ':')
		store_error_set(e, 400, "JSON_PARSER_ERROR", "offset");
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

static size_t
characters(const char *s)
{
	size_t n = 0;

	for (; *s; s++)
		n += (*s & 0xc0) != 0x80;
	return n;
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
		if (characters(csv_cell(row, i, &n)) > MAX_FIELD)
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
		store_purge(j->object, id);
	return ok;
}

/* What tells a row from the others of its chunk: its Id, or its external id; 0 if nothing does. */
static uint64_t
row_key(const Apply *a, const CsvRow *row)
{
	int column = a->key >= 0 ? a->key : a->id;
	bool exact = a->key >= 0 && a->job->key->type != FT_ID && a->job->key->case_sensitive;
	char full[SF_ID_LEN + 1];
	uint64_t h = 14695981039346656037u;
	const char *s;
	size_t n;

	if (column >= row->n)
		return 0;
	s = csv_cell(row, column, &n);
	if (n == 0)
		return 0;
	/* an Id may be written in two ways */
	if (a->columns[column].field->type == FT_ID)
	{
		if (!store_canonical_id(s, n, full))
			return 0;
		s = full;
		exact = true;
	}
	for (; *s; s++)
		h = (h ^ (unsigned char) (exact ? *s : tolower((unsigned char) *s))) * 1099511628211u;
	return h | 1;
}

/* The keys of the rows that come next. */
static void
read_keys(Apply *a, int n)
{
	CsvReader ahead = a->csv;
	CsvRow row = {0};

	a->n_keys = 0;
	if ((a->job->operation != BULK_UPDATE && a->job->operation != BULK_UPSERT) ||
		(a->job->operation == BULK_UPDATE && config.twice_allowed))
		return;
	while (a->n_keys < n && csv_next(&ahead, &row))
		a->keys[a->n_keys++] = row_key(a, &row);
	csv_free(&row);
}

/* Two rows of a chunk that mean the same are both refused: which would be the last word? */
static bool
row_once(const Apply *a, int at, StoreError *e)
{
	int column = a->key >= 0 ? a->key : a->id;
	int same = 0;
	size_t n;

	if (at >= a->n_keys || a->keys[at] == 0)
		return true;
	for (int i = 0; i < a->n_keys; i++)
		same += a->keys[i] == a->keys[at];
	if (same == 1)
		return true;
	store_error_set(e, 400, "DUPLICATE_VALUE", "Duplicate %sid specified: %s",
					a->columns[column].field->type == FT_ID ? "" : "external ",
					csv_cell(&a->row, column, &n));
	store_error_field(e, a->columns[column].field->name);
	return false;
}

/* Returns whether the row has been written; it is the nth of its chunk. */
static bool
apply_row(Apply *a, int nth)
{
	char id[SF_ID_LEN + 1] = "";
	const char *given = "";
	json_object *values = NULL;
	StoreError e = {0};
	bool created = false, ok;
	size_t len;

	ok = row_fits(a, &e) && row_once(a, nth, &e);
	if (a->id >= 0 && a->id < a->row.n)
		given = csv_cell(&a->row, a->id, &len);
	if (ok && a->locked)
	{
		a->locked = ok = false;
		rules_lock_error(&e, *given ? given : a->job->object->key_prefix);
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
	/* nobody can tell where a row ends that cannot be read */
	while (a->n > 0 && csv_next(&a->csv, &a->row) && (a->row.error == NULL || a->row.blanks))
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

/* A chunk of rows; false at the end. */
static bool
apply_chunk(Apply *a, int n, int64_t *processed, int64_t *failed)
{
	bool more = true;
	time_t began = org_late();

	read_keys(a, n);
	store_lock();
	store_set_began(began);
	store_set_user(a->job->user_id);
	event_origin("bulkapi", a->job->version, a->job->client);
	/* an assignment rule has to be named */
	rules_headers(&(WriteHeaders){.no_assignment = a->job->assignment == NULL,
								  .assignment = a->job->assignment});
	locks_begin(a->job->id, bulk_settings.chunk_ms > 0);
	store_begin();
	for (int i = 0; i < n && more; i++)
	{
		more = csv_next(&a->csv, &a->row);
		if (!more)
			break;
		++*processed;
		if (!apply_row(a, i))
			++*failed;
	}
	store_commit();
	store_set_began(0);
	locks_pause();
	store_unlock();
	return more;
}

/* How long a chunk's transaction lasts beyond its work; nobody else may have its rows meanwhile. */
static void
hold_chunk(const BulkJob *j)
{
	double end = monotonic() + bulk_settings.chunk_ms / 1000.0;

	do
		nap(PAUSE_US);
	while (monotonic() < end && !bulk_unwanted(j));
	store_lock();
	locks_end(j->id);
	store_unlock();
}

/* Rows that may be written before something stops the job, or the next batch begins. */
static int
next_rows(const Apply *a, int64_t processed)
{
	int64_t n = CHUNK;

	if (n > bulk_settings.batch_rows - processed % bulk_settings.batch_rows)
		n = bulk_settings.batch_rows - processed % bulk_settings.batch_rows;
	if (a->job->stop_after >= 0 && n > a->job->stop_after - processed)
		n = a->job->stop_after - processed;
	return (int) n;
}

/* False with the job's error filled if the day's rows or batches are used up. */
static bool
apply_rows(Apply *a, char **error)
{
	BulkJob *j = a->job;
	int64_t processed = 0, failed = 0;
	bool more = true, ok = true;
	int n;

	while (more && !bulk_unwanted(j) && (n = next_rows(a, processed)) > 0)
	{
		int64_t before = processed;

		if (processed % bulk_settings.batch_rows == 0)
		{
			pile_flush(a, &a->done);
			pile_flush(a, &a->refused);
			if (a->csv.at < a->csv.end && !bulk_take_batch(error))
			{
				ok = false;
				break;
			}
		}
		more = apply_chunk(a, n, &processed, &failed);
		bulk_count_rows(processed - before);
		bulk_lock();
		j->processed = processed;
		j->failed = failed;
		bulk_unlock();
		hold_chunk(j);
	}
	pile_flush(a, &a->done);
	pile_flush(a, &a->refused);
	return ok;
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
	free(a->done.lengths);
	free(a->refused.lengths);
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
	a->random = (uint64_t) store_id_number(j->id) * 0x9e3779b97f4a7c15u | 1;
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
	bool ok =
		bulk_read_header(a, error) && bulk_check_header(a, error) && bulk_check_content(j, error);

	a->done.result = new_result(a, "sf__Id", "sf__Created");
	a->refused.result = new_result(a, "sf__Id", "sf__Error");
	if (ok && j->finished == BULK_OPEN)
		ok = apply_rows(a, error);
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

	bulk_read_header(a, &error);
	r = rest_of(a);
	free(error);
	apply_free(a);
	return r;
}
