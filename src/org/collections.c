/*
 * collections.c - writes through sObject Collections: up to 200 rows in one call.
 *
 * Owns: the request bodies, what an answer says of every row, repeating rows that were locked, and
 * the judgement whether a call that went wrong may have been carried out.  Must not know: tables,
 * columns, the executor.
 *
 * Where rows must not have changed since they were read, each update is a request of its own, 25 of
 * them a composite call; rows to be deleted are read once more.
 *
 * Calls are made with allOrNone=false, so that every row has an outcome of its own, unless the
 * caller wants it otherwise.
 */
#include "postgres.h"

#include "common/pg_prng.h"
#include "miscadmin.h"
#include "portability/instr_time.h"
#include "storage/latch.h"
#include "utils/timestamp.h"
#include "utils/memutils.h"

#include "base/ampsf.h"
#include "base/error.h"
#include "org/multipart.h"
#include "org/row_batch.h"
#include "wire/json_doc.h"
#include "wire/sfid.h"
#include "wire/text.h"
#include "wire/wiretime.h"

/* How often a row that somebody else has locked is sent again. */
#define LOCK_RETRIES 3
/* The first pause before that, in milliseconds; it doubles, and half of it is random. */
#define LOCK_PAUSE 200
/* So many Ids are named when the outcome of a call is unknown. */
#define DOUBTFUL_IDS 10
/* One call takes no more bytes than about this, however few its rows. */
#define MAX_BYTES (4 * 1024 * 1024)

/* What is known of a row beyond what a batch holds. */
typedef struct RowExtra
{
	char parent[AMPSF_SFID_LEN + 1];
	int64 version;
	int fd; /* the body of a row with a file, which is a call of its own; 0: none */
	int64 body_len;
} RowExtra;

/* Why nothing more can be sent. */
typedef enum Failure
{
	FAILED_REFUSED, /* or never sent: the call tells */
	FAILED_LOST,
	FAILED_GATEWAY,
	FAILED_UNREADABLE
} Failure;

typedef struct Collections
{
	AmpsfRowBatch b;
	char *object;
	char *key;
	char *conditional; /* the field that tells when a row was changed */
	bool all_or_none;
	const char **headers;
	MemoryContext file_cxt; /* of the file of a row */
	RowExtra *extra;		/* [max_rows] */
	AmpsfCall *call;		/* the last; NULL: none, or its answer was read */
	Failure failure;
	int nfailed;					  /* rows of the call that failed */
	int failed[AMPSF_MAX_COLLECTION]; /* and their positions */
} Collections;

/* The rows of one call: their positions. */
typedef struct Batch
{
	Collections *sink;
	int n;
	const int *pos;
} Batch;

/* Is each row a request of its own, for that it has a condition? */
static bool
one_by_one(const Collections *sink)
{
	return sink->conditional != NULL && sink->b.op == AMPSF_UPDATE;
}

static bool
has_room(const AmpsfRowSink *base, size_t len)
{
	const Collections *sink = (const Collections *) base;

	if (base->waiting > 0 && (sink->extra[0].fd > 0 || len == AMPSF_FILE_ROW))
		return false;
	return ampsf_batch_has_room(base, len);
}

static void
copy_id(char *to, const char *id)
{
	if (!ampsf_sfid_canonicalize(id, strlen(id), to))
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("invalid Salesforce Id: \"%s\"", ampsf_clean_text(id, strlen(id)))));
}

static void
add(AmpsfRowSink *base, const AmpsfWriteRow *row)
{
	Collections *sink = (Collections *) base;
	AmpsfWriteRow canonical = *row;
	RowExtra *extra = &sink->extra[base->waiting];
	char id[AMPSF_SFID_LEN + 1];

	canonical.id = NULL;
	if (sink->b.op == AMPSF_UPDATE || sink->b.op == AMPSF_DELETE)
	{
		copy_id(id, row->id);
		canonical.id = id;
	}
	if (base->waiting == 0)
		MemoryContextReset(sink->file_cxt);
	memset(extra, 0, sizeof(*extra));
	extra->version = row->version;
	if (row->parent != NULL)
		strlcpy(extra->parent, row->parent, sizeof(extra->parent));
	if (row->file != NULL)
		extra->fd = ampsf_multipart_create(row->fields, row->len, row->file_field, row->file,
										   row->file_len, sink->file_cxt, &extra->body_len);
	ampsf_batch_add(base, &canonical);
}

static void
append_json(StringInfo buf, const char *s)
{
	size_t len = strlen(s);
	size_t need = ampsf_quote_json(s, len, NULL);

	enlargeStringInfo(buf, (int) need);
	ampsf_quote_json(s, len, buf->data + buf->len);
	buf->len += (int) need;
	buf->data[buf->len] = '\0';
}

/* {"allOrNone":...,"records":[...]} of the batch, in the current context. */
static void
build_body(const Batch *batch, StringInfo buf)
{
	Collections *sink = batch->sink;

	initStringInfo(buf);
	appendStringInfo(buf, "{\"allOrNone\":%s,\"records\":[", sink->all_or_none ? "true" : "false");
	for (int i = 0; i < batch->n; i++)
	{
		AmpsfBatchRow *row = &sink->b.rows[batch->pos[i]];

		appendStringInfoString(buf, i > 0 ? ",{\"attributes\":{\"type\":"
										  : "{\"attributes\":{\"type\":");
		append_json(buf, sink->object);
		appendStringInfoChar(buf, '}');
		if (sink->b.op == AMPSF_UPDATE)
			appendStringInfo(buf, ",\"id\":\"%s\"", row->id);
		if (row->len > 0)
		{
			appendStringInfoChar(buf, ',');
			appendBinaryStringInfo(buf, sink->b.text.data + row->off, (int) row->len);
		}
		appendStringInfoChar(buf, '}');
	}
	appendStringInfoString(buf, "]}");
}

/* composite/sobjects?ids=...&allOrNone=...; canonical Ids need no escaping. */
static char *
build_delete_path(const Batch *batch)
{
	StringInfoData buf;

	initStringInfo(&buf);
	appendStringInfoString(&buf, "composite/sobjects?ids=");
	for (int i = 0; i < batch->n; i++)
	{
		if (i > 0)
			appendStringInfoChar(&buf, ',');
		appendStringInfoString(&buf, batch->sink->b.rows[batch->pos[i]].id);
	}
	appendStringInfo(&buf, "&allOrNone=%s", batch->sink->all_or_none ? "true" : "false");
	return buf.data;
}

/*
 * A cancel or a shutdown while the answer is awaited leaves the outcome open, of which the session
 * tells; here is what was at stake.  Any other error raised under it speaks for itself.
 */
static void
cancel_context(void *arg)
{
	const Batch *batch = arg;
	int code = geterrcode();

	if (code == ERRCODE_QUERY_CANCELED || code == ERRCODE_ADMIN_SHUTDOWN)
		errcontext("%s of %d %s (object %s)", ampsf_write_verb(batch->sink->b.op), batch->n,
				   batch->n == 1 ? "row" : "rows", batch->sink->object);
}

/*
 * A request of its own for each row, up to 25 in a composite call: only such a request can have a
 * condition, that of If-Unmodified-Since.  The table's headers are for each of them.
 */
static void
build_composite(const Batch *batch, StringInfo buf)
{
	Collections *sink = batch->sink;
	const char *version = ampsf_session_version(sink->b.session);

	initStringInfo(buf);
	appendStringInfo(buf, "{\"allOrNone\":%s,\"compositeRequest\":[",
					 sink->all_or_none ? "true" : "false");
	for (int i = 0; i < batch->n; i++)
	{
		AmpsfBatchRow *row = &sink->b.rows[batch->pos[i]];
		char date[AMPSF_TIME_BUF];

		ampsf_print_http_date(sink->extra[batch->pos[i]].version, date);
		appendStringInfo(buf,
						 "%s{\"method\":\"PATCH\",\"url\":\"/services/data/v%s/sobjects/%s/%s\","
						 "\"referenceId\":\"r%d\",\"httpHeaders\":{\"If-Unmodified-Since\":\"%s\"",
						 i > 0 ? "," : "", version, sink->object, row->id, i, date);
		for (const char *const *h = sink->headers; *h != NULL; h++)
		{
			int len = (int) strcspn(*h, ":");

			/* The client's name belongs to the call. */
			if (pg_strncasecmp(*h, "Sforce-Call-Options", 19) == 0)
				continue;
			appendStringInfo(buf, ",\"%.*s\":", len, *h);
			append_json(buf, *h + len + 2);
		}
		appendStringInfoChar(buf, '}');
		appendStringInfo(buf, ",\"body\":{%.*s}", (int) row->len, sink->b.text.data + row->off);
		appendStringInfoChar(buf, '}');
	}
	appendStringInfoString(buf, "]}");
}

/* The row, if the batch is one with a file. */
static const RowExtra *
file_of(const Batch *batch)
{
	const RowExtra *extra = &batch->sink->extra[batch->pos[0]];

	return extra->fd > 0 ? extra : NULL;
}

/* Sends the call, and waits for its answer. */
static void
run_call(const Batch *batch)
{
	Collections *sink = batch->sink;
	AmpsfCallSpec spec = {0};
	ErrorContextCallback errcb;
	StringInfoData body = {0};

	/* A row that was written once has changed: the condition would refuse it the second time. */
	spec.idempotent = sink->b.op != AMPSF_INSERT && !one_by_one(sink);
	spec.headers = sink->headers;
	spec.stats = sink->b.stats;
	spec.usage = sink->b.usage;
	if (file_of(batch) != NULL)
	{
		const char *id = sink->b.rows[batch->pos[0]].id;

		spec.method = sink->b.op == AMPSF_INSERT ? "POST" : "PATCH";
		spec.path = sink->b.op == AMPSF_INSERT ? psprintf("sobjects/%s", sink->object)
											   : psprintf("sobjects/%s/%s", sink->object, id);
		spec.content_type = AMPSF_MULTIPART_TYPE;
		spec.body_fd = file_of(batch)->fd;
	}
	else if (one_by_one(sink))
	{
		build_composite(batch, &body);
		spec.method = "POST";
		spec.path = "composite";
	}
	else if (sink->b.op == AMPSF_DELETE)
	{
		spec.method = "DELETE";
		spec.path = build_delete_path(batch);
	}
	else
	{
		build_body(batch, &body);
		spec.method = sink->b.op == AMPSF_INSERT ? "POST" : "PATCH";
		spec.path = sink->b.op == AMPSF_UPSERT
						? psprintf("composite/sobjects/%s/%s", sink->object, sink->key)
						: "composite/sobjects";
	}
	spec.body = body.data;
	spec.body_len = spec.body_fd > 0 ? file_of(batch)->body_len : body.len;
	sink->call = ampsf_call_start(sink->b.session, &spec, sink->b.call_cxt);
	if (body.data != NULL)
		pfree(body.data);

	errcb.callback = cancel_context;
	errcb.arg = (void *) batch;
	errcb.previous = error_context_stack;
	error_context_stack = &errcb;
	ampsf_call_wait(sink->call);
	error_context_stack = errcb.previous;
}

/* The call came to nothing, or nobody knows: its rows have that outcome, and throw_failure() will
 * tell. */
static void
fail(const Batch *batch, Failure failure, AmpsfOutcome outcome, const AmpsfApiError *err)
{
	Collections *sink = batch->sink;

	sink->b.base.failed = true;
	sink->failure = failure;
	sink->nfailed = batch->n;
	for (int i = 0; i < batch->n; i++)
	{
		AmpsfWriteResult *res = &sink->b.results[batch->pos[i]];

		sink->failed[i] = batch->pos[i];
		res->outcome = outcome;
		res->code = err && err->code ? MemoryContextStrdup(sink->b.result_cxt, err->code) : NULL;
		res->message =
			err && err->message ? MemoryContextStrdup(sink->b.result_cxt, err->message) : NULL;
		res->fields = NULL;
	}
}

/*
 * Nobody knows whether these rows were written.  Creates are never sent again, for that could
 * double them; the others have been sent again before this is reached.
 */
static void
throw_unknown(const Collections *sink, const char *why)
{
	StringInfoData ids;
	int n = sink->nfailed;

	initStringInfo(&ids);
	if (sink->b.op == AMPSF_UPDATE || sink->b.op == AMPSF_DELETE)
	{
		for (int i = 0; i < n && i < DOUBTFUL_IDS; i++)
			appendStringInfo(&ids, "%s%s",
							 i > 0 ? ", " : " Ids: ", sink->b.rows[sink->failed[i]].id);
		appendStringInfoString(&ids, n > DOUBTFUL_IDS ? ", ..." : "");
		appendStringInfoString(&ids, n > 0 ? "." : "");
	}
	ereport(
		ERROR,
		(errcode(ERRCODE_TRANSACTION_RESOLUTION_UNKNOWN),
		 errmsg("the outcome of %s is unknown: %d %s of %s in doubt", ampsf_write_noun(sink->b.op),
				n, n == 1 ? "row" : "rows", sink->object),
		 errdetail("%s%s", why, ids.data),
		 one_by_one(sink)
			 ? errhint("The rows may or may not have been written. Read them again before you "
					   "repeat the statement.")
		 : sink->b.op == AMPSF_INSERT
			 ? errhint("The rows may or may not have been created. Look for them in Salesforce "
					   "before inserting them again.")
		 : sink->b.op == AMPSF_UPSERT
			 ? errhint("Repeating the statement is safe: the rows are found by field %s.",
					   sink->key)
			 : errhint("Repeating the statement is safe: it addresses the rows by their Ids.")));
}

static void throw_failure(AmpsfRowSink *base) __attribute__((noreturn));

static void
throw_failure(AmpsfRowSink *base)
{
	Collections *sink = (Collections *) base;
	int status = sink->call != NULL ? ampsf_call_status(sink->call) : 0;

	Assert(base->failed);
	switch (sink->failure)
	{
		case FAILED_LOST:
			throw_unknown(sink, "The connection was lost after the request had been sent.");
			break;
		case FAILED_GATEWAY:
			throw_unknown(sink, psprintf("The answer was HTTP status %d, without a word from "
										 "Salesforce itself.",
										 status));
			break;
		case FAILED_UNREADABLE:
			throw_unknown(sink, "Salesforce accepted the call, but its answer cannot be read.");
			break;
		case FAILED_REFUSED:
			ampsf_call_throw(sink->call,
							 psprintf("%s %d %s (object %s)", ampsf_write_verb(sink->b.op),
									  sink->nfailed, sink->nfailed == 1 ? "row" : "rows",
									  sink->object),
							 NULL);
			break;
	}
	pg_unreachable();
}

static void
read_errors(AmpsfJson *errors, AmpsfWriteResult *res)
{
	AmpsfJson *first = ampsf_json_array_get(errors, 0);
	AmpsfJson *fields = ampsf_json_get(first, "fields");
	const char *code = ampsf_json_string(first, "statusCode");
	const char *message = ampsf_json_string(first, "message");
	int nfields = ampsf_json_array_length(fields);

	if (code == NULL)
		code = ampsf_json_string(first, "errorCode");
	res->code = pstrdup(code != NULL ? code : "UNKNOWN_EXCEPTION");
	res->message = message != NULL ? pstrdup(message) : NULL;
	res->fields = NULL;
	if (nfields > 0)
	{
		StringInfoData buf;

		initStringInfo(&buf);
		for (int i = 0; i < nfields; i++)
		{
			const char *name = ampsf_json_text(ampsf_json_array_get(fields, i));

			if (name != NULL)
				appendStringInfo(&buf, "%s%s", buf.len > 0 ? ", " : "", name);
		}
		res->fields = buf.data;
	}
}

/*
 * The outcome of every row of the batch.  An answer that cannot be read means that rows may have
 * been written which nobody will hear of.
 */
static void
read_results(const Batch *batch)
{
	Collections *sink = batch->sink;
	size_t len;
	const char *body = ampsf_call_body(sink->call, &len);
	AmpsfJson *doc = ampsf_json_parse(body, len, sink->b.call_cxt);
	MemoryContext old;

	if (one_by_one(sink))
		doc = ampsf_json_get(doc, "compositeResponse");

	if (doc == NULL || !ampsf_json_is_array(doc) || ampsf_json_array_length(doc) != batch->n)
	{
		fail(batch, FAILED_UNREADABLE, AMPSF_IN_DOUBT, NULL);
		return;
	}
	old = MemoryContextSwitchTo(sink->b.result_cxt);
	for (int i = 0; i < batch->n; i++)
	{
		AmpsfJson *item = ampsf_json_array_get(doc, i);
		AmpsfWriteResult *res = &sink->b.results[batch->pos[i]];
		const char *id = ampsf_json_string(item, "id");
		int status = (int) ampsf_json_int(item, "httpStatusCode", 0);

		if (id != NULL)
			strlcpy(res->id, id, sizeof(res->id));
		if (one_by_one(sink) ? status >= 200 && status <= 299
							 : ampsf_json_bool(item, "success", false))
		{
			ampsf_batch_written(
				&sink->b, res,
				sink->b.op == AMPSF_INSERT ||
					(sink->b.op == AMPSF_UPSERT && ampsf_json_bool(item, "created", false)));
		}
		else
		{
			res->outcome = AMPSF_REFUSED;
			read_errors(ampsf_json_get(item, one_by_one(sink) ? "body" : "errors"), res);
		}
	}
	MemoryContextSwitchTo(old);
}

/*
 * Did the call as a whole come to nothing for certain?  Salesforce's own refusal, with an error
 * code of its, says so; a gateway's page or a broken connection does not.
 */
static bool
refused(AmpsfCall *call, AmpsfApiError *err)
{
	int status = ampsf_call_status(call);
	size_t len;
	const char *body = ampsf_call_body(call, &len);

	if (status == 0)
		return false;
	ampsf_error_parse(status, body, len, err);
	return status < 500 || err->code != NULL;
}

/* The answer to a row with a file is that of a single row. */
static bool
read_single(const Batch *batch, int status)
{
	Collections *sink = batch->sink;
	AmpsfWriteResult *res = &sink->b.results[batch->pos[0]];
	size_t len;
	const char *body = ampsf_call_body(sink->call, &len);
	AmpsfJson *doc = len > 0 ? ampsf_json_parse(body, len, sink->b.call_cxt) : NULL;
	const char *id = ampsf_json_string(doc, "id");
	MemoryContext old;

	if (status >= 400 && status < 500 && status != 401 && status != 403 &&
		ampsf_json_string(ampsf_json_array_get(doc, 0), "errorCode") != NULL)
	{
		old = MemoryContextSwitchTo(sink->b.result_cxt);
		res->outcome = AMPSF_REFUSED;
		read_errors(doc, res);
		MemoryContextSwitchTo(old);
		return true;
	}
	if (status < 200 || status > 299)
		return false;
	if (sink->b.op == AMPSF_INSERT && id == NULL)
	{
		fail(batch, FAILED_UNREADABLE, AMPSF_IN_DOUBT, NULL);
		return true;
	}
	if (id != NULL)
		strlcpy(res->id, id, sizeof(res->id));
	ampsf_batch_written(&sink->b, res, sink->b.op == AMPSF_INSERT);
	return true;
}

/* One call for the rows of the batch; fills their results. */
static void
send_batch(const Batch *batch)
{
	Collections *sink = batch->sink;
	AmpsfApiError err = {0};
	MemoryContext old;
	int status;

	sink->call = NULL;
	MemoryContextReset(sink->b.call_cxt);
	old = MemoryContextSwitchTo(sink->b.call_cxt);
	run_call(batch);
	status = ampsf_call_status(sink->call);
	if (file_of(batch) != NULL && read_single(batch, status))
		;
	else if (status >= 200 && status <= 299)
		read_results(batch);
	else if (status == 0 && ampsf_call_was_sent(sink->call))
		fail(batch, FAILED_LOST, AMPSF_IN_DOUBT, NULL);
	else if (status == 0)
		fail(batch, FAILED_REFUSED, AMPSF_NOT_SENT, NULL);
	else if (!ampsf_call_unknown_outcome(sink->call) && refused(sink->call, &err))
		fail(batch, FAILED_REFUSED, AMPSF_REFUSED, &err);
	else
		fail(batch, FAILED_GATEWAY, AMPSF_IN_DOUBT, NULL);
	MemoryContextSwitchTo(old);
	if (!sink->b.base.failed)
	{
		sink->call = NULL;
		MemoryContextReset(sink->b.call_cxt);
	}
}

/* Waits before locked rows are tried again; interrupts act at once. */
void
ampsf_write_pause(int attempt)
{
	long ms = (long) LOCK_PAUSE << attempt;
	instr_time start;

	ms = ms / 2 + (long) (pg_prng_double(&pg_global_prng_state) * (ms / 2));
	INSTR_TIME_SET_CURRENT(start);
	for (;;)
	{
		instr_time now;
		long left;

		INSTR_TIME_SET_CURRENT(now);
		INSTR_TIME_SUBTRACT(now, start);
		left = ms - (long) INSTR_TIME_GET_MILLISEC(now);
		if (left <= 0)
			break;
		(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, left,
						 PG_WAIT_EXTENSION);
		ResetLatch(MyLatch);
		CHECK_FOR_INTERRUPTS();
	}
}

/*
 * Deletes have no conditions: the rows are read again just before, and those that have changed are
 * refused here.  Between that answer and the delete lies a window, of one call.  Which remain to be
 * sent goes into pos; false if the rows could not be read.
 */
static bool
check_versions(Collections *sink, const Batch *batch, int *pos, int *n)
{
	AmpsfCallSpec spec = {0};
	StringInfoData body;
	AmpsfJson *doc;
	AmpsfCall *call;
	MemoryContext old;
	const char *text;
	size_t len;
	int left = 0;

	MemoryContextReset(sink->b.call_cxt);
	old = MemoryContextSwitchTo(sink->b.call_cxt);
	initStringInfo(&body);
	appendStringInfoString(&body, "{\"ids\":[");
	for (int i = 0; i < batch->n; i++)
		appendStringInfo(&body, "%s\"%s\"", i > 0 ? "," : "", sink->b.rows[batch->pos[i]].id);
	appendStringInfo(&body, "],\"fields\":[\"Id\",\"%s\"]}", sink->conditional);
	spec.method = "POST";
	spec.path = psprintf("composite/sobjects/%s", sink->object);
	spec.body = body.data;
	spec.body_len = body.len;
	spec.idempotent = true;
	spec.stats = sink->b.stats;
	call = ampsf_call_start(sink->b.session, &spec, sink->b.call_cxt);
	ampsf_call_finish(call, psprintf("read again %d rows (object %s)", batch->n, sink->object),
					  NULL);
	text = ampsf_call_body(call, &len);
	doc = ampsf_json_parse(text, len, sink->b.call_cxt);
	if (!ampsf_json_is_array(doc) || ampsf_json_array_length(doc) != batch->n)
		return false;
	for (int i = 0; i < batch->n; i++)
	{
		int at = batch->pos[i];
		const char *value = ampsf_json_string(ampsf_json_array_get(doc, i), sink->conditional);
		int64 usecs;

		/* null: it is gone, of which the delete will tell. */
		if (value == NULL || (ampsf_parse_datetime(value, strlen(value), &usecs) &&
							  usecs / USECS_PER_SEC <= sink->extra[at].version / USECS_PER_SEC))
		{
			pos[left++] = at;
			continue;
		}
		sink->b.results[at].outcome = AMPSF_REFUSED;
		sink->b.results[at].code = MemoryContextStrdup(sink->b.result_cxt, "PRECONDITION_FAILED");
		sink->b.results[at].message =
			MemoryContextStrdup(sink->b.result_cxt, "The row has changed since it was read.");
	}
	MemoryContextSwitchTo(old);
	*n = left;
	return true;
}

static int
by_parent(const void *a, const void *b, void *arg)
{
	const Collections *sink = arg;
	int x = *(const int *) a, y = *(const int *) b;
	int c = strcmp(sink->extra[x].parent, sink->extra[y].parent);

	return c != 0 ? c : x - y;
}

/*
 * Of the batch's rows, those that were refused only because somebody held a lock: their positions,
 * rows of one parent together, so that they do not wait for each other.  Where all are written or
 * none, the others were held back by them.
 */
static int
find_locked(const Batch *batch, int *out)
{
	Collections *sink = batch->sink;
	bool others = false;
	int n = 0;

	for (int i = 0; i < batch->n; i++)
	{
		const AmpsfWriteResult *res = &sink->b.results[batch->pos[i]];

		if (res->outcome != AMPSF_REFUSED)
			continue;
		if (strcmp(res->code, "UNABLE_TO_LOCK_ROW") == 0)
			out[n++] = batch->pos[i];
		else if (strcmp(res->code, "ALL_OR_NONE_OPERATION_ROLLED_BACK") != 0)
			others = true;
	}
	if (sink->all_or_none && n > 0)
	{
		if (others)
			return 0;
		n = batch->n;
		memcpy(out, batch->pos, sizeof(int) * n);
	}
	qsort_arg(out, n, sizeof(int), by_parent, sink);
	return n;
}

static void
flush(AmpsfRowSink *base, bool finish)
{
	Collections *sink = (Collections *) base;
	int pos[AMPSF_MAX_COLLECTION];
	Batch batch = {sink, ampsf_batch_begin(&sink->b), pos};

	if (batch.n == 0 || base->failed)
		return;
	for (int i = 0; i < batch.n; i++)
		pos[i] = i;
	if (sink->conditional != NULL && sink->b.op == AMPSF_DELETE &&
		!check_versions(sink, &batch, pos, &batch.n))
		ereport(ERROR, (errcode(ERRCODE_FDW_UNABLE_TO_CREATE_REPLY),
						errmsg("could not read again %d rows (object %s)", batch.n, sink->object),
						errdetail("Salesforce's answer cannot be read.")));
	if (batch.n == 0)
		return;
	send_batch(&batch);
	for (int attempt = 0; attempt < LOCK_RETRIES && !base->failed; attempt++)
	{
		int locked[AMPSF_MAX_COLLECTION];
		Batch again = {sink, find_locked(&batch, locked), locked};

		if (again.n == 0)
			break;
		ampsf_write_pause(attempt);
		send_batch(&again);
		if (sink->b.stats != NULL)
			sink->b.stats->retries++;
	}
}

/* Rows of a call that was under way: the session knows how far it got. */
static void
abandon(AmpsfRowSink *base)
{
	Collections *sink = (Collections *) base;

	base->failed = true;
	if (sink->call == NULL || !ampsf_call_in_flight(sink->call))
		return;
	for (int i = 0; i < sink->b.known; i++)
		if (sink->b.results[i].outcome == AMPSF_NOT_SENT)
			sink->b.results[i].outcome = AMPSF_IN_DOUBT;
}

static const AmpsfRowSinkOps collections_ops = {
	.name = "collections",
	.has_room = has_room,
	.add = add,
	.flush = flush,
	.results = ampsf_batch_results,
	.abandon = abandon,
	.raise = throw_failure,
	.close = ampsf_batch_close,
};

AmpsfRowSink *
ampsf_collections_open(const AmpsfWriteSpec *spec)
{
	bool single = spec->conditional != NULL && spec->op == AMPSF_UPDATE;
	Collections *sink;
	MemoryContext old;
	int nheaders = 0;

	Assert(spec->max_rows >= 1 && spec->max_rows <= AMPSF_MAX_COLLECTION);
	sink = ampsf_batch_create(sizeof(Collections), &collections_ops, spec,
							  single ? Min(spec->max_rows, AMPSF_MAX_BATCH) : spec->max_rows,
							  MAX_BYTES);
	old = MemoryContextSwitchTo(sink->b.cxt);
	sink->object = pstrdup(spec->object);
	sink->key = spec->key != NULL ? pstrdup(spec->key) : NULL;
	sink->conditional = spec->conditional != NULL ? pstrdup(spec->conditional) : NULL;
	sink->all_or_none = spec->all_or_none;
	while (spec->headers != NULL && spec->headers[nheaders] != NULL)
		nheaders++;
	sink->headers = palloc0(sizeof(char *) * (nheaders + 1));
	for (int i = 0; i < nheaders; i++)
		sink->headers[i] = pstrdup(spec->headers[i]);
	sink->file_cxt = AllocSetContextCreate(sink->b.cxt, "ampsf write file", ALLOCSET_SMALL_SIZES);
	sink->extra = palloc0(sizeof(RowExtra) * sink->b.max_rows);
	MemoryContextSwitchTo(old);
	return &sink->b.base;
}
