/*
 * collections.c - writes through sObject Collections: up to 200 rows in one call.
 *
 * Owns: the request bodies, what an answer says of every row, repeating rows that were locked, and
 * the judgement whether a call that went wrong may have been carried out.  Must not know: tables,
 * columns, the executor.
 *
 * Calls are made with allOrNone=false, so that every row has an outcome of its own.
 */
#include "postgres.h"

#include "common/pg_prng.h"
#include "miscadmin.h"
#include "portability/instr_time.h"
#include "storage/latch.h"
#include "utils/memutils.h"

#include "base/ampsf.h"
#include "base/error.h"
#include "org/row_sink.h"
#include "wire/json_doc.h"
#include "wire/sfid.h"
#include "wire/text.h"

/* How often a row that somebody else has locked is sent again. */
#define LOCK_RETRIES 3
/* The first pause before that, in milliseconds; it doubles, and half of it is random. */
#define LOCK_PAUSE 200
/* So many Ids are named when the outcome of a call is unknown. */
#define DOUBTFUL_IDS 10

/* One waiting row: its Id, and where its fields stand in the text. */
typedef struct SinkRow
{
	char id[AMPSF_SFID_LEN + 1];
	size_t off, len;
} SinkRow;

struct AmpsfRowSink
{
	AmpsfSession *session;
	AmpsfWriteOp op;
	char *object;
	int max_rows;
	AmpsfStats *stats;
	MemoryContext cxt;		  /* of the sink itself */
	MemoryContext call_cxt;	  /* of one call and its answer */
	MemoryContext result_cxt; /* of the outcomes handed out */
	int nrows;
	SinkRow *rows;			   /* [max_rows] */
	AmpsfWriteResult *results; /* [max_rows] */
	StringInfoData text;	   /* the fields of all waiting rows */
};

/* The rows of one call: their positions among those that wait. */
typedef struct Batch
{
	AmpsfRowSink *sink;
	int n;
	const int *pos;
} Batch;

static const char *const verbs[] = {"insert", "update", "delete"};
static const char *const nouns[] = {"an insert", "an update", "a delete"};

AmpsfRowSink *
ampsf_collections_open(AmpsfSession *session, AmpsfWriteOp op, const char *object, int max_rows,
					   AmpsfStats *stats)
{
	MemoryContext cxt =
		AllocSetContextCreate(CurrentMemoryContext, "ampsf collections", ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(cxt);
	AmpsfRowSink *sink = palloc0(sizeof(AmpsfRowSink));

	Assert(max_rows >= 1 && max_rows <= AMPSF_MAX_COLLECTION);
	sink->session = session;
	sink->op = op;
	sink->object = pstrdup(object);
	sink->max_rows = max_rows;
	sink->stats = stats;
	sink->cxt = cxt;
	sink->call_cxt = AllocSetContextCreate(cxt, "ampsf write call", ALLOCSET_DEFAULT_SIZES);
	sink->result_cxt = AllocSetContextCreate(cxt, "ampsf write results", ALLOCSET_SMALL_SIZES);
	sink->rows = palloc(sizeof(SinkRow) * max_rows);
	sink->results = palloc0(sizeof(AmpsfWriteResult) * max_rows);
	initStringInfo(&sink->text);
	MemoryContextSwitchTo(old);
	return sink;
}

int
ampsf_sink_add(AmpsfRowSink *sink, const char *id, const char *fields, size_t len)
{
	SinkRow *row;

	if (sink->nrows >= sink->max_rows)
		elog(ERROR, "write batch of %d rows is full", sink->max_rows);
	if (sink->nrows == 0)
		resetStringInfo(&sink->text); /* of a flush that failed */
	row = &sink->rows[sink->nrows];
	row->id[0] = '\0';
	if (sink->op != AMPSF_INSERT && !ampsf_sfid_canonicalize(id, strlen(id), row->id))
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("invalid Salesforce Id: \"%s\"", ampsf_clean_text(id, strlen(id)))));
	row->off = sink->text.len;
	row->len = 0;
	if (sink->op != AMPSF_DELETE)
	{
		appendBinaryStringInfo(&sink->text, fields, (int) len);
		row->len = len;
	}
	return ++sink->nrows;
}

size_t
ampsf_sink_bytes(const AmpsfRowSink *sink)
{
	return sink->text.len;
}

void
ampsf_sink_close(AmpsfRowSink *sink)
{
	MemoryContextDelete(sink->cxt);
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

/* {"allOrNone":false,"records":[...]} of the batch, in the current context. */
static void
build_body(const Batch *batch, StringInfo buf)
{
	AmpsfRowSink *sink = batch->sink;

	initStringInfo(buf);
	appendStringInfoString(buf, "{\"allOrNone\":false,\"records\":[");
	for (int i = 0; i < batch->n; i++)
	{
		SinkRow *row = &sink->rows[batch->pos[i]];

		appendStringInfoString(buf, i > 0 ? ",{\"attributes\":{\"type\":"
										  : "{\"attributes\":{\"type\":");
		append_json(buf, sink->object);
		appendStringInfoChar(buf, '}');
		if (sink->op == AMPSF_UPDATE)
			appendStringInfo(buf, ",\"id\":\"%s\"", row->id);
		if (row->len > 0)
		{
			appendStringInfoChar(buf, ',');
			appendBinaryStringInfo(buf, sink->text.data + row->off, (int) row->len);
		}
		appendStringInfoChar(buf, '}');
	}
	appendStringInfoString(buf, "]}");
}

/* composite/sobjects?ids=...&allOrNone=false; canonical Ids need no escaping. */
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
		appendStringInfoString(&buf, batch->sink->rows[batch->pos[i]].id);
	}
	appendStringInfoString(&buf, "&allOrNone=false");
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
		errcontext("%s of %d %s (object %s)", verbs[batch->sink->op], batch->n,
				   batch->n == 1 ? "row" : "rows", batch->sink->object);
}

static AmpsfCall *
run_call(const Batch *batch)
{
	AmpsfRowSink *sink = batch->sink;
	AmpsfCallSpec spec = {0};
	ErrorContextCallback errcb;
	AmpsfCall *call;
	StringInfoData body;

	spec.idempotent = sink->op != AMPSF_INSERT;
	spec.stats = sink->stats;
	if (sink->op == AMPSF_DELETE)
	{
		spec.method = "DELETE";
		spec.path = build_delete_path(batch);
	}
	else
	{
		build_body(batch, &body);
		spec.method = sink->op == AMPSF_INSERT ? "POST" : "PATCH";
		spec.path = "composite/sobjects";
		spec.body = body.data;
		spec.body_len = body.len;
	}
	call = ampsf_call_start(sink->session, &spec, sink->call_cxt);
	if (sink->op != AMPSF_DELETE)
		pfree(body.data);

	errcb.callback = cancel_context;
	errcb.arg = (void *) batch;
	errcb.previous = error_context_stack;
	error_context_stack = &errcb;
	ampsf_call_wait(call);
	error_context_stack = errcb.previous;
	return call;
}

/*
 * Nobody knows whether these rows were written.  Creates are never sent again, for that could
 * double them; updates and deletes have been sent again before this is reached.
 */
static void
throw_unknown(const Batch *batch, const char *why)
{
	AmpsfRowSink *sink = batch->sink;
	StringInfoData ids;

	initStringInfo(&ids);
	if (sink->op != AMPSF_INSERT)
	{
		for (int i = 0; i < batch->n && i < DOUBTFUL_IDS; i++)
			appendStringInfo(&ids, "%s%s", i > 0 ? ", " : " Ids: ", sink->rows[batch->pos[i]].id);
		appendStringInfoString(&ids, batch->n > DOUBTFUL_IDS ? ", ..." : "");
		appendStringInfoString(&ids, batch->n > 0 ? "." : "");
	}
	ereport(
		ERROR,
		(errcode(ERRCODE_TRANSACTION_RESOLUTION_UNKNOWN),
		 errmsg("the outcome of %s is unknown: %d %s of %s in doubt", nouns[sink->op], batch->n,
				batch->n == 1 ? "row" : "rows", sink->object),
		 errdetail("%s%s", why, ids.data),
		 sink->op == AMPSF_INSERT
			 ? errhint("The rows may or may not have been created. Look for them in Salesforce "
					   "before inserting them again.")
			 : errhint("Repeating the statement is safe: it addresses the rows by their Ids.")));
}

static void
read_errors(AmpsfJson *item, AmpsfWriteResult *res)
{
	AmpsfJson *errors = ampsf_json_get(item, "errors");
	AmpsfJson *first = ampsf_json_array_get(errors, 0);
	AmpsfJson *fields = ampsf_json_get(first, "fields");
	const char *code = ampsf_json_string(first, "statusCode");
	const char *message = ampsf_json_string(first, "message");
	int nfields = ampsf_json_array_length(fields);

	if (code == NULL)
		code = ampsf_json_string(first, "errorCode");
	res->code = pstrdup(code != NULL ? code : "UNKNOWN_EXCEPTION");
	res->message = message != NULL ? pstrdup(message) : NULL;
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
read_results(const Batch *batch, AmpsfCall *call)
{
	AmpsfRowSink *sink = batch->sink;
	size_t len;
	const char *body = ampsf_call_body(call, &len);
	AmpsfJson *doc = ampsf_json_parse(body, len, sink->call_cxt);
	MemoryContext old;

	if (doc == NULL || !ampsf_json_is_array(doc) || ampsf_json_array_length(doc) != batch->n)
		throw_unknown(batch, "Salesforce accepted the call, but its answer cannot be read.");
	old = MemoryContextSwitchTo(sink->result_cxt);
	for (int i = 0; i < batch->n; i++)
	{
		AmpsfJson *item = ampsf_json_array_get(doc, i);
		AmpsfWriteResult *res = &sink->results[batch->pos[i]];
		const char *id = ampsf_json_string(item, "id");

		memset(res, 0, sizeof(*res));
		snprintf(res->id, sizeof(res->id), "%s", id != NULL ? id : sink->rows[batch->pos[i]].id);
		res->success = ampsf_json_bool(item, "success", false);
		if (!res->success)
			read_errors(item, res);
		else if (sink->stats != NULL)
			sink->stats->rows++;
	}
	MemoryContextSwitchTo(old);
}

/*
 * Did the call as a whole come to nothing for certain?  Salesforce's own refusal, with an error
 * code of its, says so; a gateway's page or a broken connection does not.
 */
static bool
refused(AmpsfCall *call)
{
	int status = ampsf_call_status(call);
	AmpsfApiError err = {0};
	size_t len;
	const char *body;

	if (status < 500)
		return status != 0;
	body = ampsf_call_body(call, &len);
	ampsf_error_parse(status, body, len, &err);
	return err.code != NULL;
}

/* One call for the rows of the batch; fills their results, or raises. */
static void
send_batch(const Batch *batch)
{
	AmpsfRowSink *sink = batch->sink;
	MemoryContext old;
	AmpsfCall *call;
	char *what;

	MemoryContextReset(sink->call_cxt);
	old = MemoryContextSwitchTo(sink->call_cxt);
	call = run_call(batch);
	if (ampsf_call_status(call) == 0 && ampsf_call_unknown_outcome(call))
		throw_unknown(batch, "The connection was lost after the request had been sent.");
	if (ampsf_call_status(call) < 200 || ampsf_call_status(call) > 299)
	{
		if (ampsf_call_status(call) != 0 && !refused(call))
			throw_unknown(batch, psprintf("The answer was HTTP status %d, without a word from "
										  "Salesforce itself.",
										  ampsf_call_status(call)));
		what = psprintf("%s %d %s (object %s)", verbs[sink->op], batch->n,
						batch->n == 1 ? "row" : "rows", sink->object);
		ampsf_call_throw(call, what, NULL);
	}
	MemoryContextSwitchTo(old);
	read_results(batch, call);
	MemoryContextReset(sink->call_cxt);
}

/* Waits before locked rows are tried again; interrupts act at once. */
static void
pause_before_retry(int attempt)
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

/* Of the batch's rows, those that were refused only because somebody held a lock: their positions.
 */
static int
find_locked(const Batch *batch, int *out)
{
	int n = 0;

	for (int i = 0; i < batch->n; i++)
	{
		const AmpsfWriteResult *res = &batch->sink->results[batch->pos[i]];

		if (!res->success && strcmp(res->code, "UNABLE_TO_LOCK_ROW") == 0)
			out[n++] = batch->pos[i];
	}
	return n;
}

int
ampsf_sink_flush(AmpsfRowSink *sink, AmpsfWriteResult **results)
{
	int pos[AMPSF_MAX_COLLECTION];
	Batch batch = {sink, sink->nrows, pos};
	int n = sink->nrows;

	*results = sink->results;
	if (n == 0)
		return 0;
	MemoryContextReset(sink->result_cxt);
	for (int i = 0; i < n; i++)
		pos[i] = i;

	/*
	 * Should this fail, the rows must not be sent by a later flush: a caller that caught the error
	 * has been told about them.
	 */
	sink->nrows = 0;
	send_batch(&batch);
	for (int attempt = 0; attempt < LOCK_RETRIES; attempt++)
	{
		int locked[AMPSF_MAX_COLLECTION];
		Batch again = {sink, find_locked(&batch, locked), locked};

		if (again.n == 0)
			break;
		pause_before_retry(attempt);
		send_batch(&again);
		if (sink->stats != NULL)
			sink->stats->retries++;
	}
	resetStringInfo(&sink->text);
	return n;
}
