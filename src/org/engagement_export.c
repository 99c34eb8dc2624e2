/*
 * engagement_export.c - the rows of an object by Account Engagement's Export API; implements
 * row_source.h.
 *
 * An export filters by the time at which records were created or changed, of a year at most.  What
 * was created when does not change while one export after the other runs, so the rows are cut by
 * createdAt: from the oldest record on, year by year.  It is not documented whether the bounds
 * belong to a range; so neighbours overlap, and rows of the overlap are left out when they come
 * again.
 *
 * A file of the result is read as a whole; they are asked for in the smallest size there is.  Must
 * not know: PostgreSQL's executor.
 */
#include "postgres.h"

#include <time.h>

#include "org/engagement.h"
#include "org/engagement_call.h"

#include "base/error.h"
#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "net/usage.h"
#include "storage/latch.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"
#include "base/compat.h"
#include "wire/csv_scan.h"
#include "wire/text.h"
#include "wire/wiretime.h"

#define EPOCH_SHIFT INT64CONST(946684800)
/* Seconds of a range, somewhat less than a year, and by how much neighbours overlap. */
#define RANGE (INT64CONST(360) * 86400)
#define OVERLAP 2
#define MAX_FIELDS 150
/* The smallest that the API takes. */
#define FILE_BYTES 10000000
/* Milliseconds between two questions for the state of an export. */
#define POLL_FIRST 200
#define POLL_MAX 15000

typedef struct Export
{
	AmpsfRowSource src; /* first */
	MemoryContext cxt;
	MemoryContextCallback on_reset;
	AmpsfSession *session;
	AmpsfStats *stats;
	AmpsfUsage *usage;
	AmpsfEngagementRequest request;
	const uint8 *kinds;
	int nfields;
	const char **fields; /* with Id and createdAt */
	int all_fields;
	int id, created;
	bool begun, at_end;
	int64 from, now; /* seconds: where the range under way begins, and where all of them end */
	bool last;		 /* it is the last range */
	HTAB *edge;		 /* Ids of the range before that may come again */
	HTAB *next_edge;

	MemoryContext job_cxt; /* of one export */
	List *files;		   /* of char *: paths */
	int file;			   /* the next */
	AmpsfCall *call;	   /* of the file that is being read; NULL: none */
	AmpsfCsvScan *scan;
	const char *text;
	size_t len, pos;
	AmpsfValue *values;
	bool has_peeked;
} Export;

static void throw_reply(Export *q, const char *detail) __attribute__((noreturn));

static void
throw_reply(Export *q, const char *detail)
{
	ereport(ERROR, (errcode(ERRCODE_FDW_UNABLE_TO_CREATE_REPLY),
					errmsg("could not export records from Account Engagement"),
					errdetail("Export of %s: %s.", q->request.object->name, detail)));
}

static void
append_json_text(StringInfo buf, const char *s)
{
	size_t len = strlen(s);

	enlargeStringInfo(buf, ampsf_quote_json(s, len, NULL));
	buf->len += ampsf_quote_json(s, len, buf->data + buf->len);
	buf->data[buf->len] = '\0';
}

/* A pause in which a cancel acts. */
static void
pause_for(long ms)
{
	(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, ms,
					 ampsf_wait_event());
	ResetLatch(MyLatch);
	CHECK_FOR_INTERRUPTS();
}

/* When the first record was created; false if there is none. */
static bool
find_oldest(Export *q, int64 *seconds)
{
	char *path = psprintf("%s?fields=id,createdAt&limit=1&deleted=all&orderBy=createdAt",
						  ampsf_engagement_path(q->request.object));
	AmpsfJson *doc =
		ampsf_engagement_json(q->session, path, "look for the oldest record", q->stats, q->job_cxt);
	AmpsfJson *list = ampsf_json_get(doc, "values");
	const char *text;
	int64 usecs;

	if (list == NULL || ampsf_json_array_length(list) == 0)
		return false;
	text = ampsf_json_string(ampsf_json_array_get(list, 0), "createdAt");
	if (text == NULL || !ampsf_parse_datetime(text, strlen(text), &usecs))
		throw_reply(q, "the oldest record has no createdAt");
	*seconds = EPOCH_SHIFT + usecs / 1000000 - 1;
	return true;
}

/* Creates the export of the range under way; its id. */
static int64
create_export(Export *q)
{
	AmpsfCallSpec spec = {.method = "POST",
						  .path = "/api/v5/exports?fields=id,status",
						  .engagement = true,
						  .stats = q->stats,
						  .usage = q->usage};
	AmpsfCall *call;
	AmpsfJson *doc;
	const char *text;
	size_t len;
	int64 id;
	StringInfoData body;

	initStringInfo(&body);
	appendStringInfo(&body, "{\"object\":\"%s\",\"maxFileSizeBytes\":%d,\"fields\":[",
					 q->request.object->singular, FILE_BYTES);
	for (int i = 0; i < q->all_fields; i++)
	{
		appendStringInfoString(&body, i ? "," : "");
		append_json_text(&body, q->fields[i]);
	}
	appendStringInfo(&body,
					 "],\"procedure\":{\"name\":\"filter_by_created_at\",\"arguments\":{\"created_"
					 "after\":\"%s\"",
					 ampsf_engagement_time(q->from - OVERLAP));
	/* Without an end: until it is created. */
	if (!q->last)
		appendStringInfo(&body, ",\"created_before\":\"%s\"",
						 ampsf_engagement_time(q->from + RANGE));
	if (q->request.deleted)
		appendStringInfoString(&body, ",\"deleted\":\"all\"");
	appendStringInfoString(&body, "}}}");
	spec.body = body.data;
	spec.body_len = body.len;
	call = ampsf_call_start(q->session, &spec, q->job_cxt);
	ampsf_call_finish(call, "create an export", NULL);
	text = ampsf_engagement_body(call, &len);
	doc = ampsf_json_parse(text, len, q->job_cxt);
	id = doc ? ampsf_json_int(doc, "id", -1) : -1;
	if (id < 0)
		throw_reply(q, "the answer to its creation has no id");
	return id;
}

/* The path of a file; whatever host its address names, the token goes to the server's own. */
static char *
path_of(Export *q, const char *url)
{
	const char *path = strstr(url, "/api/v5/exports/");

	if (path == NULL || strpbrk(path, " \t\r\n#\\") != NULL)
		throw_reply(q, "the address of a file is none of an export");
	return pstrdup(path);
}

static void
wait_for_export(Export *q, int64 id)
{
	char *path =
		psprintf("/api/v5/exports/" INT64_FORMAT "?fields=id,status,isExpired,resultRefs", id);
	long ms = POLL_FIRST;
	MemoryContext doc_cxt =
		AllocSetContextCreate(q->job_cxt, "ampsf export state", ALLOCSET_SMALL_SIZES);

	for (;; ms = Min(ms * 2, POLL_MAX))
	{
		AmpsfJson *doc, *refs;
		const char *status;

		MemoryContextReset(doc_cxt);
		doc = ampsf_engagement_json(q->session, path, "ask for the state of an export", q->stats,
									doc_cxt);
		status = ampsf_json_string(doc, "status");
		if (status && strcmp(status, "Complete") == 0)
		{
			refs = ampsf_json_get(doc, "resultRefs");
			if (refs == NULL || ampsf_json_bool(doc, "isExpired", false))
				throw_reply(q, "it is complete, and has no files");
			for (int i = 0; i < ampsf_json_array_length(refs); i++)
			{
				const char *url = ampsf_json_text(ampsf_json_array_get(refs, i));

				q->files = lappend(q->files, path_of(q, url ? url : ""));
			}
			return;
		}
		if (status == NULL || strcmp(status, "Failed") == 0)
			throw_reply(q, status ? "it has failed" : "it has no status");
		pause_for(ms);
	}
}

static HTAB *
make_ids(MemoryContext cxt)
{
	HASHCTL ctl = {0};

	ctl.keysize = ctl.entrysize = sizeof(int64);
	ctl.hcxt = cxt;
	return hash_create("ampsf records given", 64, &ctl, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
}

/* Runs the export of the next range; false if there is none. */
static bool
next_range(Export *q)
{
	MemoryContext old;

	MemoryContextReset(q->job_cxt);
	q->files = NIL;
	q->file = 0;
	old = MemoryContextSwitchTo(q->job_cxt);
	if (!q->begun)
	{
		q->begun = true;
		q->at_end = !find_oldest(q, &q->from);
	}
	else if (q->last)
		q->at_end = true;
	else
		q->from += RANGE;
	if (!q->at_end)
	{
		q->last = q->from + RANGE > q->now;
		if (q->edge)
			hash_destroy(q->edge);
		q->edge = q->next_edge;
		q->next_edge = make_ids(q->cxt);
		wait_for_export(q, create_export(q));
	}
	MemoryContextSwitchTo(old);
	return !q->at_end;
}

static void
open_file(Export *q)
{
	AmpsfCallSpec spec = {.method = "GET",
						  .idempotent = true,
						  .engagement = true,
						  .stats = q->stats,
						  .usage = q->usage};
	const AmpsfStats arrived = {.pages = 1};
	const char *headers[] = {"Accept: text/csv", NULL};

	spec.path = list_nth(q->files, q->file++);
	spec.headers = headers;
	q->call = ampsf_call_start(q->session, &spec, q->cxt);
	ampsf_call_finish(q->call, "read the result of an export", NULL);
	q->text = ampsf_engagement_body(q->call, &q->len);
	/* Some programs put a mark before the text. */
	q->pos = q->len >= 3 && memcmp(q->text, "\xef\xbb\xbf", 3) == 0 ? 3 : 0;
	if (!pg_verify_mbstr(PG_UTF8, q->text, q->len, true))
		throw_reply(q, "a file of it is not UTF-8");
	ampsf_csv_scan_reset(q->scan);
	ampsf_session_count(q->session, &arrived);
	if (q->stats)
		q->stats->pages++;
}

static void
set_kinds(Export *q)
{
	for (int i = 0; i < q->nfields; i++)
	{
		AmpsfValue *v = &q->values[i];

		if (v->kind != AMPSF_VALUE_STRING || q->kinds[i] == AMPSF_VALUE_STRING)
			continue;
		if (q->kinds[i] == AMPSF_VALUE_NUMBER)
			v->kind = AMPSF_VALUE_NUMBER;
		else if ((v->len == 4 && memcmp(v->ptr, "true", 4) == 0) || (v->len == 1 && *v->ptr == '1'))
			v->kind = AMPSF_VALUE_TRUE;
		else if ((v->len == 5 && memcmp(v->ptr, "false", 5) == 0) ||
				 (v->len == 1 && *v->ptr == '0'))
			v->kind = AMPSF_VALUE_FALSE;
	}
}

static int64
integer_of(Export *q, const AmpsfValue *v)
{
	char text[32];
	char *end;
	long long n;

	if (v->kind != AMPSF_VALUE_STRING && v->kind != AMPSF_VALUE_NUMBER)
		throw_reply(q, "a row has no id");
	snprintf(text, sizeof(text), "%.*s", (int) Min(v->len, 30), v->ptr);
	n = strtoll(text, &end, 10);
	if (*end || end == text)
		throw_reply(q, "an id is no whole number");
	return n;
}

/* Is the row wanted, and not one that the range before has given? */
static bool
is_wanted(Export *q)
{
	int64 id = integer_of(q, &q->values[q->id]);
	const AmpsfValue *created = &q->values[q->created];
	int64 usecs, seconds;
	bool known = false;

	if (created->kind == AMPSF_VALUE_NULL ||
		!ampsf_parse_datetime(created->ptr, created->len, &usecs))
		throw_reply(q, "a row has no createdAt");
	seconds = EPOCH_SHIFT + usecs / 1000000;
	if (q->edge && seconds <= q->from + 1)
		hash_search(q->edge, &id, HASH_FIND, &known);
	if (!q->last && seconds >= q->from + RANGE - OVERLAP - 1)
		hash_search(q->next_edge, &id, HASH_ENTER, NULL);
	return !known && id >= q->request.id_from && id <= q->request.id_to;
}

static bool
advance(Export *q)
{
	const AmpsfStats read = {.rows = 1};

	while (!q->at_end)
	{
		CHECK_FOR_INTERRUPTS();
		if (q->call == NULL)
		{
			if (q->file < list_length(q->files))
				open_file(q);
			else
				(void) next_range(q);
			continue;
		}
		switch (ampsf_csv_scan_next(q->scan, q->text, q->len, &q->pos, true, q->values))
		{
			case AMPSF_CSV_ROW:
				if (!is_wanted(q))
					break;
				set_kinds(q);
				ampsf_session_count(q->session, &read);
				ampsf_usage_rows(q->usage, 1);
				if (q->stats)
					q->stats->rows++;
				return true;
			case AMPSF_CSV_END:
				ampsf_call_free(q->call);
				q->call = NULL;
				break;
			case AMPSF_CSV_MORE:
			case AMPSF_CSV_BAD:
				throw_reply(q, ampsf_csv_scan_error(q->scan));
		}
	}
	return false;
}

/* -------- the row source -------- */

static void
export_start(AmpsfRowSource *src)
{
}

static AmpsfSourceState
export_poll(AmpsfRowSource *src)
{
	Export *q = (Export *) src;

	q->has_peeked = q->has_peeked || advance(q);
	return q->has_peeked ? AMPSF_SOURCE_READY : AMPSF_SOURCE_END;
}

static bool
export_next(AmpsfRowSource *src, AmpsfValue *values)
{
	Export *q = (Export *) src;

	if (!q->has_peeked && !advance(q))
		return false;
	q->has_peeked = false;
	memcpy(values, q->values, sizeof(AmpsfValue) * q->nfields);
	return true;
}

static bool
export_rewind(AmpsfRowSource *src)
{
	return !((Export *) src)->begun;
}

static void
export_close(AmpsfRowSource *src)
{
	MemoryContextDelete(((Export *) src)->cxt);
}

static const AmpsfRowSourceOps export_ops = {
	.start = export_start,
	.poll = export_poll,
	.next = export_next,
	.rewind = export_rewind,
	.close = export_close,
};

static void
forget_export(void *arg)
{
	Export *q = arg;

	ampsf_csv_scan_free(q->scan);
	q->scan = NULL;
}

static int
place(Export *q, const char *name)
{
	for (int i = 0; i < q->all_fields; i++)
		if (strcmp(q->fields[i], name) == 0)
			return i;
	q->fields[q->all_fields] = name;
	return q->all_fields++;
}

AmpsfRowSource *
ampsf_engagement_export(const AmpsfEngagementRequest *request, const AmpsfQuerySpec *spec)
{
	MemoryContext cxt = AllocSetContextCreate(CurrentMemoryContext, "ampsf engagement export",
											  ALLOCSET_SMALL_SIZES);
	MemoryContext old = MemoryContextSwitchTo(cxt);
	Export *q = palloc0(sizeof(Export));

	q->src.ops = &export_ops;
	q->src.total = -1;
	q->cxt = cxt;
	q->session = spec->session;
	q->stats = spec->stats;
	q->usage = ampsf_session_usage(spec->session, request->object->name, "export");
	q->request = *request;
	q->kinds = spec->kinds;
	q->nfields = q->all_fields = request->nfields;
	q->fields = palloc(sizeof(char *) * (request->nfields + 2));
	memcpy(q->fields, request->fields, sizeof(char *) * request->nfields);
	q->id = place(q, "id");
	q->created = place(q, "createdAt");
	if (q->all_fields > MAX_FIELDS)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("could not export %d fields of %s", q->all_fields, request->object->name),
				 errdetail("An export has %d fields at most.", MAX_FIELDS),
				 errhint("Select fewer columns, or set the table's option transport to rest.")));
	q->now = (int64) time(NULL);
	q->values = palloc0(sizeof(AmpsfValue) * q->all_fields);
	q->job_cxt = AllocSetContextCreate(cxt, "ampsf export", ALLOCSET_DEFAULT_SIZES);
	q->on_reset.func = forget_export;
	q->on_reset.arg = q;
	MemoryContextRegisterResetCallback(cxt, &q->on_reset);
	q->scan = ampsf_csv_scan_create(q->fields, q->all_fields, ',');
	if (!q->scan)
		ereport(ERROR, (errcode(ERRCODE_OUT_OF_MEMORY), errmsg("out of memory")));
	MemoryContextSwitchTo(old);
	return &q->src;
}
