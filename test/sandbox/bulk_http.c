/*
 * bulk_http.c - the resources under jobs: which is asked for, the list, abort and delete, a job as
 * JSON.
 *
 * Runs without any lock.  Must not know: libmicrohttpd, SQLite.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "bulk.h"
#include "config.h"
#include "fault.h"
#include "rest.h"

#define OLDEST_QUERY 47
#define OLDEST_INGEST 41
#define OLDEST_PAGES 58

static const char *const state_names[] = {"Open",		 "UploadComplete", "InProgress",
										  "JobComplete", "Failed",		   "Aborted"};
static const char *const operation_names[] = {"query",	"queryAll", "insert",	 "update",
											  "upsert", "delete",	"hardDelete"};
static const struct
{
	const char *name;
	char delimiter;
} delimiters[] = {{"COMMA", ','},	  {"TAB", '\t'},  {"PIPE", '|'},
				  {"SEMICOLON", ';'}, {"CARET", '^'}, {"BACKQUOTE", '`'}};
#define N_DELIMITERS (sizeof(delimiters) / sizeof(delimiters[0]))

/* ---- a job as JSON ---- */

static void
add_time(Buf *b, const char *name, time_t t)
{
	char text[29];

	store_timestamp(t, text);
	buf_addf(b, ",\"%s\":\"%s\"", name, text);
}

static void
add_progress(Buf *b, const BulkJob *j)
{
	bool told = bulk_ended(j);

	if (bulk_is_query(j))
		buf_addf(b, ",\"isPkChunkingSupported\":%s", j->pk_chunking ? "true" : "false");
	buf_addf(b, ",\"retries\":%d,\"totalProcessingTime\":%lld", told ? j->retries : 0,
			 (long long) (told ? j->took_ms : 0));
	if (!bulk_is_query(j))
		buf_addf(b, ",\"apiActiveProcessingTime\":%lld,\"apexProcessingTime\":0",
				 (long long) (told ? j->took_ms : 0));
	if (!bulk_is_query(j) || told)
		buf_addf(b, ",\"numberRecordsProcessed\":%lld",
				 (long long) (!bulk_is_query(j) || j->state == BULK_COMPLETE ? j->processed : 0));
	if (!bulk_is_query(j))
		buf_addf(b, ",\"numberRecordsFailed\":%lld", (long long) j->failed);
	if (j->state == BULK_FAILED)
	{
		buf_adds(b, ",\"errorMessage\":");
		buf_jsons(b, j->error ? j->error : "Unknown");
	}
}

void
bulk_json(Buf *b, const BulkJob *j, BulkShow show)
{
	const char *delimiter = delimiters[0].name;

	for (size_t i = 0; i < N_DELIMITERS; i++)
		if (delimiters[i].delimiter == j->delimiter)
			delimiter = delimiters[i].name;
	buf_addf(b, "{\"id\":\"%s\",\"operation\":\"%s\",\"object\":\"%s\",\"createdById\":\"%s\"",
			 j->id, operation_names[j->operation], j->object->name, j->user_id);
	add_time(b, "createdDate", j->created);
	add_time(b, "systemModstamp", j->modified);
	buf_addf(b, ",\"state\":\"%s\"", state_names[j->state]);
	if (j->key != NULL)
		buf_addf(b, ",\"externalIdFieldName\":\"%s\"", j->key->name);
	if (j->assignment != NULL)
		buf_addf(b, ",\"assignmentRuleId\":\"%s\"", j->assignment);
	buf_addf(b, ",\"concurrencyMode\":\"Parallel\",\"contentType\":\"CSV\",\"apiVersion\":%s",
			 j->version);
	/* no slash at its begin */
	if (!bulk_is_query(j) && show != BULK_SHOW_CHANGED)
		buf_addf(b, ",\"contentUrl\":\"services/data/v%s/jobs/ingest/%s/batches\"", j->version,
				 j->id);
	if (show == BULK_SHOW_INFO || show == BULK_SHOW_LISTED)
		buf_addf(b, ",\"jobType\":\"%s\"", bulk_is_query(j) ? "V2Query" : "V2Ingest");
	if (show != BULK_SHOW_CHANGED)
		buf_addf(b, ",\"lineEnding\":\"%s\",\"columnDelimiter\":\"%s\"", j->crlf ? "CRLF" : "LF",
				 delimiter);
	if (show == BULK_SHOW_INFO)
		add_progress(b, j);
	buf_addc(b, '}');
}

const char *
bulk_text(json_object *o, const char *name)
{
	json_object *v;

	if (!json_object_is_type(o, json_type_object) || !json_object_object_get_ex(o, name, &v) ||
		!json_object_is_type(v, json_type_string))
		return NULL;
	return json_object_get_string(v);
}

bool
bulk_format(BulkJob *j, json_object *o, Response *w)
{
	const char *type = bulk_text(o, "contentType");
	const char *end = bulk_text(o, "lineEnding");
	const char *delimiter = bulk_text(o, "columnDelimiter");
	size_t i = 0;

	if (delimiter != NULL)
		while (i < N_DELIMITERS && strcmp(delimiters[i].name, delimiter) != 0)
			i++;
	if (type != NULL && strcmp(type, "CSV") != 0)
		res_errorf(w, 400, "API_ERROR", "Invalid contentType: %s", type);
	else if (end != NULL && strcmp(end, "LF") != 0 && strcmp(end, "CRLF") != 0)
		res_errorf(w, 400, "API_ERROR", "Invalid lineEnding: %s", end);
	else if (i == N_DELIMITERS)
		res_errorf(w, 400, "API_ERROR", "Invalid columnDelimiter: %s", delimiter);
	else
	{
		j->crlf = end != NULL && strcmp(end, "CRLF") == 0;
		j->delimiter = delimiters[i].delimiter;
		return true;
	}
	return false;
}

bool
bulk_other_version(const Request *r, Response *w, const BulkJob *j)
{
	if (strcmp(j->version, r->version) == 0)
		return false;
	res_errorf(w, 409, "API_ERROR",
			   "The job was created with API version %s and cannot be used with version %s",
			   j->version, r->version);
	return true;
}

/* ---- rows ---- */

void
bulk_send_rows(Request *r, Response *w, BulkResult *res, int64_t first, int64_t count)
{
	BulkRange range;
	const char *header;
	size_t len;

	(void) r;
	w->status = 200;
	w->content_type = "text/csv";
	bulk_result_range(res, first, count, &range);
	header = bulk_result_header(res, &len);
	if (!range.has_header && !(bulk_settings.empty_bare && bulk_result_rows(res) == 0))
		buf_add(&w->body, header, len);
	if (range.len == 0)
		return;
	if (range.memory != NULL)
		buf_add(&w->body, range.memory, range.len);
	else
	{
		w->from_file = true;
		w->fd = dup(range.fd);
		w->fd_at = range.at;
		w->fd_len = range.len;
	}
}

/* ---- the list ---- */

static bool
listed(const BulkJob *j, const char *type, const char *chunked, const char *mode)
{
	if (type != NULL && strcasecmp(type, bulk_is_query(j) ? "V2Query" : "V2Ingest") != 0)
		return false;
	if (chunked != NULL && (strcmp(chunked, "true") == 0) != (bulk_is_query(j) && j->pk_chunking))
		return false;
	return mode == NULL || strcasecmp(mode, "Parallel") == 0;
}

/*
 * All jobs of the org, of either kind unless jobType says which: those that were made last come
 * first, and the next page is always one of jobs/ingest.
 */
static void
list_jobs(Request *r, Response *w)
{
	const char *type = req_param(r, "jobType");
	const char *chunked = req_param(r, "isPkChunkingEnabled");
	const char *mode = req_param(r, "concurrencyMode");
	const char *locator = req_param(r, "queryLocator");
	const char *dash = locator ? strrchr(locator, '-') : NULL;
	long skip = dash ? strtol(dash + 1, NULL, 10) : 0;
	long n = 0, all = 0, shown = 0;
	BulkJob **found;

	if (locator != NULL && (dash == NULL || skip <= 0 || strncmp(locator, "01g", 3) != 0))
	{
		res_error(w, 400, "INVALID_QUERY_LOCATOR", "invalid query locator");
		return;
	}
	w->status = 200;
	bulk_lock();
	for (BulkJob *j = bulk_first(); j != NULL; j = j->next)
		all++;
	found = calloc((size_t) all + 1, sizeof(*found));
	if (found == NULL)
		abort();
	for (BulkJob *j = bulk_first(); j != NULL; j = j->next)
		if (listed(j, type, chunked, mode))
			found[n++] = j;
	buf_adds(&w->body, "{\"done\":");
	buf_adds(&w->body, n - skip > bulk_settings.list_rows ? "false" : "true");
	buf_adds(&w->body, ",\"records\":[");
	for (long i = n - 1 - skip; i >= 0 && shown < bulk_settings.list_rows; i--)
	{
		if (shown++ > 0)
			buf_addc(&w->body, ',');
		bulk_json(&w->body, found[i], BULK_SHOW_LISTED);
	}
	buf_addc(&w->body, ']');
	if (n - skip > bulk_settings.list_rows)
	{
		buf_addf(&w->body,
				 ",\"nextRecordsUrl\":\"/services/data/v%s/jobs/ingest?queryLocator=01gBULK-%ld",
				 r->version, skip + shown);
		if (type != NULL)
		{
			buf_adds(&w->body, "&jobType=");
			url_encode(&w->body, type);
		}
		buf_addc(&w->body, '"');
	}
	else
		buf_adds(&w->body, ",\"nextRecordsUrl\":null");
	buf_addc(&w->body, '}');
	bulk_unlock();
	free(found);
}

/* ---- one job ---- */

/* A fault on a request about a job ends the job there and then. */
static void
strike(BulkJob *j, const Fault *f)
{
	if (f == NULL)
		return;
	bulk_lock();
	if (f->kind == FAULT_JOB_STUCK)
		j->stuck = true;
	else if (f->kind == FAULT_JOB_DELETED && !j->gone)
		bulk_forget(j);
	else if (f->kind == FAULT_JOB_FAILED && !bulk_ended(j))
	{
		j->retries = BULK_MAX_RETRIES;
		bulk_end_as(j, BULK_FAILED, f->message ? f->message : BULK_RETRIED);
	}
	else if (f->kind == FAULT_JOB_ABORTED && !bulk_ended(j))
		bulk_end_as(j, BULK_ABORTED, NULL);
	bulk_unlock();
}

static void
show_job(Response *w, BulkJob *j, BulkShow show)
{
	w->status = 200;
	bulk_lock();
	bulk_json(&w->body, j, show);
	bulk_unlock();
}

static void
abort_job(Response *w, BulkJob *j)
{
	static const char *const ends[] = {"Completed", "Failed", "Aborted"};
	BulkState state;

	bulk_lock();
	state = j->state;
	if (state < BULK_COMPLETE)
		bulk_end_as(j, BULK_ABORTED, NULL);
	bulk_unlock();
	if (state >= BULK_COMPLETE)
		res_errorf(w, 400, "INVALIDJOBSTATE", "Aborting already %s Job not allowed",
				   ends[state - BULK_COMPLETE]);
	else
		show_job(w, j, BULK_SHOW_CHANGED);
}

static void
change_job(Request *r, Response *w, BulkJob *j)
{
	json_object *o = req_json(r, w);
	const char *state;

	if (o == NULL)
		return;
	state = bulk_text(o, "state");
	if (state != NULL && strcmp(state, "Aborted") == 0)
		abort_job(w, j);
	else if (state != NULL && strcmp(state, "UploadComplete") == 0 && !bulk_is_query(j))
		bulk_ingest_close(r, w, j);
	else
		res_errorf(w, 400, "INVALIDJOBSTATE", "The state of a job cannot be changed to %s",
				   state ? state : "null");
	json_object_put(o);
}

static void
delete_job(Response *w, BulkJob *j)
{
	bool ended;

	bulk_lock();
	ended = bulk_ended(j) || (!bulk_is_query(j) && j->state == BULK_UPLOADED && !j->taken);
	if (ended && !j->gone)
		bulk_forget(j);
	bulk_unlock();
	if (ended)
		w->status = 204;
	else
		res_error(w, 400, "API_ERROR",
				  "Error encountered when deleting the job because the job is not terminated");
}

static void
job_resource(Request *r, Response *w, BulkJob *j)
{
	if (is_get(r))
	{
		bulk_poll(j);
		show_job(w, j, BULK_SHOW_INFO);
	}
	else if (strcmp(r->method, "PATCH") == 0)
		change_job(r, w, j);
	else if (strcmp(r->method, "DELETE") == 0)
		delete_job(w, j);
	else
		res_not_allowed(w, r, "DELETE,GET,HEAD,PATCH");
}

/* What is below a job: its rows, or where they come from. */
static void
part_resource(Request *r, Response *w, BulkJob *j, const char *part)
{
	bool get = is_get(r);

	if (bulk_is_query(j) && strcmp(part, "results") == 0)
	{
		if (get)
			bulk_query_results(r, w, j);
		else
			res_not_allowed(w, r, "GET,HEAD");
	}
	/* its own answers spell it in two ways */
	else if (bulk_is_query(j) && strcasecmp(part, "resultPages") == 0 &&
			 atoi(r->version) >= OLDEST_PAGES)
	{
		if (get)
			bulk_query_pages(r, w, j);
		else
			res_not_allowed(w, r, "GET,HEAD");
	}
	else if (!bulk_is_query(j) && strcmp(part, "batches") == 0)
	{
		if (strcmp(r->method, "PUT") == 0)
			bulk_ingest_upload(r, w, j);
		else
			res_not_allowed(w, r, "PUT");
	}
	else if (!bulk_is_query(j) && get)
		bulk_ingest_results(r, w, j, part);
	else
		res_not_found(w);
}

void
bulk_resource(Request *r, Response *w)
{
	const char *kind = r->n_seg > 1 ? r->seg[1] : "";
	bool query = strcmp(kind, "query") == 0;
	int n = r->n_seg;
	BulkJob *j;

	/* a slash at the end makes no other resource */
	while (n > 2 && r->seg[n - 1][0] == '\0')
		n--;
	if ((!query && strcmp(kind, "ingest") != 0) || r->inner || n > 4 ||
		atoi(r->version) < (query ? OLDEST_QUERY : OLDEST_INGEST))
	{
		res_not_found(w);
		return;
	}
	if (n == 2)
	{
		if (is_get(r))
			list_jobs(r, w);
		else if (strcmp(r->method, "POST") != 0)
			res_not_allowed(w, r, "GET,HEAD,POST");
		else if (query)
			bulk_query_create(r, w);
		else
			bulk_ingest_create(r, w);
		return;
	}
	r->job = strdup(r->seg[2]);
	j = bulk_find(r->seg[2]);
	if (j != NULL)
		strike(j, r->fault);
	if (j == NULL || bulk_is_query(j) != query || j->gone)
		res_not_found(w);
	else if (n == 3)
		job_resource(r, w, j);
	else
		part_resource(r, w, j, r->seg[3]);
	if (j != NULL)
		bulk_release(j);
}
