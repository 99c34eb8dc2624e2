/*
 * bulk_query.c - query jobs: creating one, making its result, handing out the pages.
 *
 * Owns: the locators.  Must not know: libmicrohttpd, SQLite.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "bulk.h"
#include "bulk_render.h"
#include "config.h"
#include "fault.h"

/* Rows that are written while the store is locked. */
#define SLICE 2000
/* Others get their turn between two slices. */
#define PAUSE_US 50
#define RESULT_PAGES 5

/* ---- creating ---- */

static void
refuse(Response *w, SoqlError *e)
{
	res_error(w, 400, e->code, e->message);
	soql_error_free(e);
}

/* The statement as a job, or NULL with the answer filled. */
static BulkJob *
new_query(Request *r, Response *w, const char *soql, bool all, json_object *o)
{
	SoqlOptions opt = {all, r->version, config.readings};
	SoqlError e = {0};
	BulkStatement st;
	BulkJob *j;
	bool ok;

	store_lock();
	store_set_user(r->user_id);
	ok = bulk_check(soql, &opt, &st, &e);
	store_unlock();
	if (!ok)
	{
		refuse(w, &e);
		return NULL;
	}
	if (bulk_refused(st.object))
	{
		res_errorf(w, 400, "INVALIDENTITY", "Entity '%s' is not supported by the Bulk API.",
				   st.object->name);
		return NULL;
	}
	j = bulk_new(r, all ? BULK_QUERY_ALL : BULK_QUERY, st.object);
	j->soql = strdup(soql);
	j->pk_chunking = !st.bounded;
	if (!bulk_format(j, o, w))
	{
		bulk_release(j);
		return NULL;
	}
	return j;
}

void
bulk_query_create(Request *r, Response *w)
{
	json_object *o = req_json(r, w);
	const char *soql;
	const char *operation;
	BulkJob *j = NULL;

	if (o == NULL)
		return;
	soql = bulk_text(o, "query");
	operation = bulk_text(o, "operation");
	if (soql != NULL)
		r->soql = strdup(soql);
	if (!json_object_is_type(o, json_type_object))
		res_error(w, 400, "JSON_PARSER_ERROR", "The request body must be a JSON object");
	else if (operation == NULL ||
			 (strcasecmp(operation, "query") != 0 && strcasecmp(operation, "queryAll") != 0))
		res_errorf(w, 400, "API_ERROR", "Invalid operation: %s", operation ? operation : "null");
	else if (soql == NULL || *soql == '\0')
		res_error(w, 400, "API_ERROR", "A query has to be specified");
	else if (bulk_storage_full())
		res_errorf(w, 400, "EXCEEDEDQUOTA",
				   "Max bulk v2 query result size stored (%lld) kb per 24 hrs has been exceeded",
				   (long long) bulk_settings.storage_mb * 1024);
	else
		j = new_query(r, w, soql, strcasecmp(operation, "queryAll") == 0, o);
	json_object_put(o);
	if (j == NULL)
		return;
	r->job = strdup(j->id);
	bulk_strike(j, r->fault);
	bulk_json(&w->body, j, BULK_SHOW_CREATED);
	w->status = 200;
	if (!bulk_add(j))
	{
		res_errorf(w, 400, "LIMIT_EXCEEDED",
				   "Max bulk v2 query jobs (%d) per 24 hrs has been reached",
				   bulk_settings.query_jobs);
		return;
	}
	bulk_release(j);
}

/* ---- making the result ---- */

typedef struct Work
{
	BulkJob *job;
	SoqlCursor *cursor;
	BulkRender *render;
	BulkResult *result;
	uint64_t version; /* of the store whose rows these are */
	unsigned schema;  /* and of its objects */
} Work;

/* The rows are those of now, in an order that is not that of their Ids. */
static bool
open_work(Work *k, char **error)
{
	BulkJob *j = k->job;
	SoqlOptions opt = {j->operation == BULK_QUERY_ALL, j->version, config.readings};
	BulkStatement st = {0};
	SoqlError e = {0};
	Buf header;

	store_lock();
	k->result = bulk_keep_find(j);
	if (k->result != NULL)
	{
		store_unlock();
		return true;
	}
	k->version = store_version();
	k->schema = schema_generation();
	store_set_user(j->user_id);
	if (bulk_check(j->soql, &opt, &st, &e))
		k->cursor = soql_open(j->soql, strlen(j->soql), &opt, &e);
	if (k->cursor == NULL)
	{
		store_unlock();
		if (asprintf(error, "%s: %s", e.code, e.message) < 0)
			abort();
		soql_error_free(&e);
		return false;
	}
	if (!st.ordered && !bulk_settings.natural)
		bulk_shuffle(k->cursor);
	k->render = bulk_render_open(k->cursor, j->delimiter, j->crlf);
	store_unlock();
	buf_init(&header);
	bulk_render_header(k->render, &header);
	k->result = bulk_result_new(header.data, header.len, bulk_settings.page_rows);
	buf_free(&header);
	return true;
}

static void
close_work(Work *k)
{
	/* the tree's memory is its own: no lock */
	bulk_render_close(k->render);
	soql_close(k->cursor);
}

static void
make_result(Work *k, char **error)
{
	uint32_t lengths[SLICE];
	int64_t total = soql_total(k->cursor);
	Buf rows;

	buf_init(&rows);
	for (int64_t at = 0; at < total && !bulk_unwanted(k->job); at += SLICE)
	{
		int64_t n = total - at < SLICE ? total - at : SLICE;

		buf_clear(&rows);
		store_lock();
		/* a field may have gone that is asked for */
		if (k->schema != schema_generation() && *error == NULL)
			*error = strdup("InvalidBatch : The object has changed");
		n = bulk_unwanted(k->job) || *error ? 0
											: bulk_render_rows(k->render, at, n, &rows, lengths);
		store_unlock();
		bulk_result_add(k->result, rows.data ? rows.data : "", lengths, n);
		if (at + SLICE < total)
			nap(PAUSE_US);
	}
	buf_free(&rows);
	bulk_result_end(k->result);
	close_work(k);
	store_lock();
	if (!bulk_unwanted(k->job) && *error == NULL)
		bulk_keep_add(k->job, k->version, k->result);
	store_unlock();
}

bool
bulk_run_query(BulkJob *j, char **error)
{
	Work k = {.job = j};

	if (j->finished != BULK_OPEN)
		return false;
	if (!open_work(&k, error))
		return false;
	if (k.cursor != NULL)
		make_result(&k, error);
	bulk_lock();
	j->result = k.result;
	j->processed = bulk_result_rows(k.result);
	bulk_unlock();
	return *error == NULL;
}

/* ---- locators ---- */

/* Unlike a number, it cannot be made up: behind the row follows a part that only the job knows. */
static unsigned
seal(const BulkJob *j, long long row)
{
	unsigned h = 2166136261u ^ (unsigned) j->generation;

	for (const char *p = j->id; *p; p++)
		h = (h ^ (unsigned char) *p) * 16777619u;
	for (int i = 0; i < 8; i++)
		h = (h ^ (unsigned char) (row >> (8 * i))) * 16777619u;
	return h & 0xfffff;
}

/*
 * whole: it stands for all rows up to the next of its kind, as resultPages needs it; the page of
 * another may be short.
 */
static void
make_locator(const BulkJob *j, int64_t row, bool whole, char out[64])
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
	char plain[40];
	int n = snprintf(plain, sizeof(plain), "%lld%c%05x", (long long) row, whole ? '-' : '.',
					 seal(j, row));
	int o = 0;

	for (int i = 0; i < n; i += 3)
	{
		unsigned v = (unsigned) plain[i] << 16;
		int left = n - i;

		v |= left > 1 ? (unsigned) plain[i + 1] << 8 : 0;
		v |= left > 2 ? (unsigned) plain[i + 2] : 0;
		for (int k = 0; k < (left > 2 ? 4 : left + 1); k++)
			out[o++] = digits[v >> (18 - 6 * k) & 63];
	}
	out[o] = '\0';
}

/* The row that the locator stands for; -1 if the job never gave it. */
static int64_t
read_locator(const BulkJob *j, const char *locator, int64_t rows, bool *whole)
{
	char plain[64];
	char again[64];
	unsigned v = 0;
	int bits = 0, n = 0;
	char *rest;
	int64_t row;

	for (const char *p = locator; *p && n < (int) sizeof(plain) - 1; p++)
	{
		int d = *p >= 'A' && *p <= 'Z'	 ? *p - 'A'
				: *p >= 'a' && *p <= 'z' ? *p - 'a' + 26
				: *p >= '0' && *p <= '9' ? *p - '0' + 52
				: *p == '-'				 ? 62
				: *p == '_'				 ? 63
										 : -1;

		if (d < 0)
			return -1;
		v = (v << 6 | (unsigned) d) & 0xffffff;
		bits += 6;
		if (bits >= 8)
		{
			bits -= 8;
			plain[n++] = (char) (v >> bits);
		}
	}
	plain[n] = '\0';
	row = strtoll(plain, &rest, 10);
	if (row < 0 || row > rows)
		return -1;
	*whole = *rest == '-';
	make_locator(j, row, *whole, again);
	return strcmp(again, locator) == 0 ? row : -1;
}

static void
bad_locator(Response *w)
{
	res_error(w, 400, "INVALID_QUERY_LOCATOR", "invalid query locator");
}

/* ---- handing it out ---- */

/* The result of a complete job, held; NULL with the answer filled. */
static BulkResult *
result_of(Request *r, Response *w, BulkJob *j)
{
	BulkResult *res = NULL;

	bulk_lock();
	if (r->fault != NULL && r->fault->kind == FAULT_DEAD_LOCATOR)
		j->generation++;
	if (bulk_other_version(r, w, j))
		;
	else if (j->state != BULK_COMPLETE && bulk_settings.early_204)
		w->status = 204;
	else if (j->state != BULK_COMPLETE)
		res_error(w, 400, "INVALIDJOBSTATE", "Results are available when the job is complete");
	else
		res = bulk_result_hold(j->result);
	bulk_unlock();
	return res;
}

/* How many rows the page has that begins at first. */
static int64_t
page_span(const BulkResult *res, int64_t first, int64_t asked, bool whole)
{
	int64_t n = bulk_result_span(res, first, asked);

	/* as large as asked for is no promise */
	if (config.short_pages && !whole && n > 1 && first + n < bulk_result_rows(res))
		n = n - n * (1 + first % 3) / 4;
	return n;
}

void
bulk_query_results(Request *r, Response *w, BulkJob *j)
{
	const char *max = req_param(r, "maxRecords");
	const char *locator = req_param(r, "locator");
	BulkResult *res = result_of(r, w, j);
	FaultKind fault = r->fault ? r->fault->kind : FAULT_NONE;
	int64_t total, first, n, next;
	int64_t asked = INT64_MAX;
	bool whole = false;
	char text[64];
	char *end = NULL;

	if (res == NULL)
		return;
	total = bulk_result_rows(res);
	first = locator ? read_locator(j, locator, total, &whole) : 0;
	if (max != NULL)
		asked = strtoll(max, &end, 10);
	if (first < 0 || (locator != NULL && first >= total && total > 0))
		bad_locator(w);
	else if (max != NULL && (end == max || *end || asked <= 0))
		res_error(w, 400, "API_ERROR", "maxRecords must be a positive number");
	else
	{
		n = page_span(res, first, asked, whole);
		next = first + n;
		/* faults that only who counts can see */
		if (fault == FAULT_DROP_PAGE && next < total)
			next += page_span(res, next, asked, whole);
		if (fault == FAULT_EARLY_END)
			next = total;
		snprintf(text, sizeof(text), "%lld", (long long) (fault == FAULT_WRONG_COUNT ? n + 1 : n));
		res_header(w, "Sforce-NumberOfRecords", text);
		if (next < total)
			make_locator(j, next, whole, text);
		res_header(w, "Sforce-Locator", next < total ? text : "null");
		bulk_send_rows(r, w, res, first, fault == FAULT_DROP_ROWS ? n / 2 : n);
	}
	bulk_result_release(res);
}

void
bulk_query_pages(Request *r, Response *w, BulkJob *j)
{
	const char *locator = req_param(r, "locator");
	BulkResult *res = result_of(r, w, j);
	char text[64];
	bool drop = r->fault != NULL && r->fault->kind == FAULT_DROP_PAGE;
	int64_t row, total;
	bool whole;

	if (res == NULL)
		return;
	total = bulk_result_rows(res);
	row = locator ? read_locator(j, locator, total, &whole) : 0;
	if (row < 0)
		bad_locator(w);
	else
	{
		w->status = 200;
		buf_adds(&w->body, "{\"resultPages\":[");
		for (int i = 0; i < RESULT_PAGES && (row < total || (row == 0 && i == 0)); i++)
		{
			int64_t span = bulk_result_span(res, row, INT64_MAX);

			if (i == 1 && drop && row + span < total)
			{
				row += span;
				span = bulk_result_span(res, row, INT64_MAX);
			}
			make_locator(j, row, true, text);
			buf_addf(&w->body,
					 "%s{\"resultUrl\":\"/services/data/v%s/jobs/query/%s/results?locator=%s\"}",
					 i ? "," : "", r->version, j->id, text);
			row += span;
		}
		buf_addc(&w->body, ']');
		if (row < total)
		{
			make_locator(j, row, true, text);
			buf_addf(
				&w->body,
				",\"nextRecordsUrl\":\"/services/data/v%s/jobs/query/%s/resultpages?locator=%s\"",
				r->version, j->id, text);
		}
		buf_addf(&w->body, ",\"done\":%s}", row < total ? "false" : "true");
	}
	bulk_result_release(res);
}
