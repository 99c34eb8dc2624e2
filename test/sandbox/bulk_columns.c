/*
 * bulk_columns.c - the content of an ingest job before its rows are looked at: what the names of
 * the columns mean, and whether it is CSV at all.
 *
 * Must not know: HTTP, SQLite.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "bulk_apply.h"

#define MAX_COLUMNS 5000
#define MAX_HEADER 32000

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
	/* CSV has neither files nor compound values */
	return c->field != NULL && c->field->type != FT_BASE64 && c->field->type != FT_ADDRESS &&
		   c->field->type != FT_LOCATION;
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

static bool
wrong_line_end(const BulkJob *j, char **error)
{
	return fail(error,
				"ClientInputError : LineEnding is invalid on user data. Current LineEnding setting "
				"is %s",
				j->crlf ? "CRLF" : "LF");
}

/* False where nobody can tell where the row ends, so that the whole job fails. */
static bool
readable(const BulkJob *j, const CsvRow *row, char **error)
{
	if (row->other_end)
		return wrong_line_end(j, error);
	if (row->error != NULL && (!row->blanks || bulk_settings.blanks_fail_job))
		return fail(error, "InvalidBatch : Failed to parse CSV. %s", row->error);
	return true;
}

bool
bulk_read_header(Apply *a, char **error)
{
	const BulkJob *j = a->job;
	size_t len;

	if (!csv_next(&a->csv, &a->row))
		return fail(error, "InvalidBatch : The content is empty");
	if (!readable(j, &a->row, error))
		return false;
	if (a->row.n > MAX_COLUMNS || a->row.text.len > MAX_HEADER)
		return fail(error, "InvalidBatch : The header is too long");
	a->columns = calloc((size_t) a->row.n, sizeof(*a->columns));
	if (a->columns == NULL)
		abort();
	for (a->n = 0; a->n < a->row.n; a->n++)
		a->columns[a->n].name = strdup(csv_cell(&a->row, a->n, &len));
	return true;
}

bool
bulk_check_header(Apply *a, char **error)
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

/* Length of the UTF-8 character at p; 0 if there is none. */
static int
utf8_length(const unsigned char *p, const unsigned char *end)
{
	int n = *p < 0x80 ? 1 : *p < 0xc2 ? 0 : *p < 0xe0 ? 2 : *p < 0xf0 ? 3 : *p < 0xf5 ? 4 : 0;

	if (n > end - p || *p == 0)
		return 0;
	for (int i = 1; i < n; i++)
		if ((p[i] & 0xc0) != 0x80)
			return 0;
	if ((*p == 0xe0 && p[1] < 0xa0) || (*p == 0xed && p[1] > 0x9f) || (*p == 0xf0 && p[1] < 0x90) ||
		(*p == 0xf4 && p[1] > 0x8f))
		return 0;
	return n;
}

/* A line end somewhere, quoted or not, that is not the job's. */
static bool
other_line_end(const BulkJob *j)
{
	const char *end = j->content + j->content_len;

	for (const char *p = j->content; p < end && (p = memchr(p, '\n', (size_t) (end - p))); p++)
		if ((p > j->content && p[-1] == '\r') != j->crlf)
			return true;
	return false;
}

bool
bulk_check_content(const BulkJob *j, char **error)
{
	const unsigned char *p = (const unsigned char *) j->content;
	const unsigned char *end = p + j->content_len;
	CsvReader csv;
	CsvRow row = {0};
	bool ok = true;
	int n;

	for (; p < end; p += n)
		if ((n = utf8_length(p, end)) == 0)
			return fail(error, "InvalidBatch : Failed to parse CSV. The content is not UTF-8");
	if (bulk_settings.line_ends_everywhere && other_line_end(j))
		return wrong_line_end(j, error);
	csv_open(&csv, j->content ? j->content : "", j->content_len, j->delimiter, j->crlf);
	while (ok && csv_next(&csv, &row))
		ok = readable(j, &row, error);
	csv_free(&row);
	return ok;
}
