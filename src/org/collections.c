/*
 * collections.c - writes through sObject Collections: up to 200 rows in one call.
 *
 * Owns: the request bodies, what an answer says of every row, repeating rows that were locked, and
 * the judgement whether a call that went wrong may have been carried out.  Must not know: tables,
 * columns, the executor.
 *
 * Calls are made with allOrNone=false, so that every row has an outcome of its own, unless the
 * caller wants it otherwise.
 */
#include "postgres.h"

#include "common/pg_prng.h"
#include "miscadmin.h"
#include "portability/instr_time.h"
#include "storage/latch.h"
#include "utils/memutils.h"

#include "base/ampsf.h"
#include "base/error.h"
#include "net/usage.h"
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
/* One call takes no more bytes than about this, however few its rows. */
#define MAX_BYTES (4 * 1024 * 1024)

/* One row: what was added, and whether it has an outcome. */
typedef struct SinkRow
{
	int64 number;
	uint32 flags;
	char id[AMPSF_SFID_LEN + 1];
	char parent[AMPSF_SFID_LEN + 1];
	size_t off, len; /* of its fields in the text */
} SinkRow;

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
	AmpsfRowSink base;
	AmpsfSession *session;
	AmpsfWriteOp op;
	char *object;
	char *key;
	int max_rows;
	bool all_or_none;
	const char **headers;
	AmpsfStats *stats;
	AmpsfUsage *usage;
	MemoryContext cxt;		   /* of the sink itself */
	MemoryContext call_cxt;	   /* of one call and its answer */
	MemoryContext result_cxt;  /* of the outcomes handed out */
	SinkRow *rows;			   /* [max_rows] */
	AmpsfWriteResult *results; /* [max_rows] of the same rows */
	int known;				   /* outcomes to be handed out */
	StringInfoData text;	   /* the fields of all rows */
	AmpsfCall *call;		   /* the last; NULL: none, or its answer was read */
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

static const char *const verbs[] = {"insert", "update", "delete", "upsert"};
static const char *const nouns[] = {"an insert", "an update", "a delete", "an upsert"};

const char *
ampsf_write_verb(AmpsfWriteOp op)
{
	return verbs[op];
}

const char *
ampsf_write_noun(AmpsfWriteOp op)
{
	return nouns[op];
}

static bool
has_room(const AmpsfRowSink *base, size_t len)
{
	const Collections *sink = (const Collections *) base;

	return base->waiting < sink->max_rows &&
		   (base->waiting == 0 || sink->text.len + len <= MAX_BYTES);
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
	SinkRow *to;

	if (base->waiting >= sink->max_rows)
		elog(ERROR, "write batch of %d rows is full", sink->max_rows);
	if (base->waiting == 0)
	{
		sink->known = 0;
		resetStringInfo(&sink->text); /* of the rows before */
	}
	to = &sink->rows[base->waiting];
	memset(to, 0, sizeof(*to));
	to->number = row->number;
	to->flags = row->flags;
	if (sink->op == AMPSF_UPDATE || sink->op == AMPSF_DELETE)
		copy_id(to->id, row->id);
	if (row->parent != NULL)
		strlcpy(to->parent, row->parent, sizeof(to->parent));
	to->off = sink->text.len;
	if (sink->op != AMPSF_DELETE)
	{
		appendBinaryStringInfo(&sink->text, row->fields, (int) row->len);
		to->len = row->len;
	}
	base->waiting++;
}

static void
close_sink(AmpsfRowSink *base)
{
	MemoryContextDelete(((Collections *) base)->cxt);
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
		appendStringInfoString(&buf, batch->sink->rows[batch->pos[i]].id);
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
		errcontext("%s of %d %s (object %s)", verbs[batch->sink->op], batch->n,
				   batch->n == 1 ? "row" : "rows", batch->sink->object);
}

/* Sends the call, and waits for its answer. */
static void
run_call(const Batch *batch)
{
	Collections *sink = batch->sink;
	AmpsfCallSpec spec = {0};
	ErrorContextCallback errcb;
	StringInfoData body;

	spec.idempotent = sink->op != AMPSF_INSERT;
	spec.headers = sink->headers;
	spec.stats = sink->stats;
	spec.usage = sink->usage;
	if (sink->op == AMPSF_DELETE)
	{
		spec.method = "DELETE";
		spec.path = build_delete_path(batch);
	}
	else
	{
		build_body(batch, &body);
		spec.method = sink->op == AMPSF_INSERT ? "POST" : "PATCH";
		spec.path = sink->op == AMPSF_UPSERT
						? psprintf("composite/sobjects/%s/%s", sink->object, sink->key)
						: "composite/sobjects";
		spec.body = body.data;
		spec.body_len = body.len;
	}
	sink->call = ampsf_call_start(sink->session, &spec, sink->call_cxt);
	if (sink->op != AMPSF_DELETE)
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

	sink->base.failed = true;
	sink->failure = failure;
	sink->nfailed = batch->n;
	for (int i = 0; i < batch->n; i++)
	{
		AmpsfWriteResult *res = &sink->results[batch->pos[i]];

		sink->failed[i] = batch->pos[i];
		res->outcome = outcome;
		res->code = err && err->code ? MemoryContextStrdup(sink->result_cxt, err->code) : NULL;
		res->message =
			err && err->message ? MemoryContextStrdup(sink->result_cxt, err->message) : NULL;
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
	if (sink->op == AMPSF_UPDATE || sink->op == AMPSF_DELETE)
	{
		for (int i = 0; i < n && i < DOUBTFUL_IDS; i++)
			appendStringInfo(&ids, "%s%s", i > 0 ? ", " : " Ids: ", sink->rows[sink->failed[i]].id);
		appendStringInfoString(&ids, n > DOUBTFUL_IDS ? ", ..." : "");
		appendStringInfoString(&ids, n > 0 ? "." : "");
	}
	ereport(
		ERROR,
		(errcode(ERRCODE_TRANSACTION_RESOLUTION_UNKNOWN),
		 errmsg("the outcome of %s is unknown: %d %s of %s in doubt", nouns[sink->op], n,
				n == 1 ? "row" : "rows", sink->object),
		 errdetail("%s%s", why, ids.data),
		 sink->op == AMPSF_INSERT
			 ? errhint("The rows may or may not have been created. Look for them in Salesforce "
					   "before inserting them again.")
		 : sink->op == AMPSF_UPSERT
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
							 psprintf("%s %d %s (object %s)", verbs[sink->op], sink->nfailed,
									  sink->nfailed == 1 ? "row" : "rows", sink->object),
							 NULL);
			break;
	}
	pg_unreachable();
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
	AmpsfJson *doc = ampsf_json_parse(body, len, sink->call_cxt);
	MemoryContext old;

	if (doc == NULL || !ampsf_json_is_array(doc) || ampsf_json_array_length(doc) != batch->n)
	{
		fail(batch, FAILED_UNREADABLE, AMPSF_IN_DOUBT, NULL);
		return;
	}
	old = MemoryContextSwitchTo(sink->result_cxt);
	for (int i = 0; i < batch->n; i++)
	{
		AmpsfJson *item = ampsf_json_array_get(doc, i);
		AmpsfWriteResult *res = &sink->results[batch->pos[i]];
		const char *id = ampsf_json_string(item, "id");

		if (id != NULL)
			strlcpy(res->id, id, sizeof(res->id));
		if (ampsf_json_bool(item, "success", false))
		{
			res->outcome = AMPSF_WRITTEN;
			res->created = sink->op == AMPSF_INSERT ||
						   (sink->op == AMPSF_UPSERT && ampsf_json_bool(item, "created", false));
			res->code = res->message = res->fields = NULL;
			if (sink->stats != NULL)
				sink->stats->rows++;
			ampsf_usage_rows(sink->usage, 1);
		}
		else
		{
			res->outcome = AMPSF_REFUSED;
			read_errors(item, res);
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

/* One call for the rows of the batch; fills their results. */
static void
send_batch(const Batch *batch)
{
	Collections *sink = batch->sink;
	AmpsfApiError err = {0};
	MemoryContext old;
	int status;

	sink->call = NULL;
	MemoryContextReset(sink->call_cxt);
	old = MemoryContextSwitchTo(sink->call_cxt);
	run_call(batch);
	status = ampsf_call_status(sink->call);
	if (status >= 200 && status <= 299)
		read_results(batch);
	else if (status == 0 && ampsf_call_unknown_outcome(sink->call))
		fail(batch, FAILED_LOST, AMPSF_IN_DOUBT, NULL);
	else if (status == 0)
		fail(batch, FAILED_REFUSED, AMPSF_NOT_SENT, NULL);
	else if (refused(sink->call, &err))
		fail(batch, FAILED_REFUSED, AMPSF_REFUSED, &err);
	else
		fail(batch, FAILED_GATEWAY, AMPSF_IN_DOUBT, NULL);
	MemoryContextSwitchTo(old);
	if (!sink->base.failed)
	{
		sink->call = NULL;
		MemoryContextReset(sink->call_cxt);
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

static int
by_parent(const void *a, const void *b, void *arg)
{
	const Collections *sink = arg;
	int x = *(const int *) a, y = *(const int *) b;
	int c = strcmp(sink->rows[x].parent, sink->rows[y].parent);

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
		const AmpsfWriteResult *res = &sink->results[batch->pos[i]];

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
	Batch batch = {sink, base->waiting, pos};

	if (batch.n == 0)
		return;
	MemoryContextReset(sink->result_cxt);
	for (int i = 0; i < batch.n; i++)
	{
		AmpsfWriteResult *res = &sink->results[i];
		SinkRow *row = &sink->rows[i];

		pos[i] = i;
		memset(res, 0, sizeof(*res));
		res->number = row->number;
		res->flags = row->flags;
		res->outcome = AMPSF_NOT_SENT;
		strlcpy(res->id, row->id, sizeof(res->id));
		res->row = row->len > 0 ? sink->text.data + row->off : NULL;
		res->row_len = row->len;
	}

	/*
	 * Should this raise, the rows must not be sent by a later flush: a caller that caught the error
	 * has been told about them.
	 */
	base->waiting = 0;
	sink->known = batch.n;
	if (base->failed)
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
		if (sink->stats != NULL)
			sink->stats->retries++;
	}
}

static int
results(AmpsfRowSink *base, AmpsfWriteResult **res)
{
	Collections *sink = (Collections *) base;
	int n = sink->known;

	*res = sink->results;
	sink->known = 0;
	return n;
}

/* Rows of a call that was under way: the session knows how far it got. */
static void
abandon(AmpsfRowSink *base)
{
	Collections *sink = (Collections *) base;

	base->failed = true;
	if (sink->call == NULL || !ampsf_call_in_flight(sink->call))
		return;
	for (int i = 0; i < sink->known; i++)
		if (sink->results[i].outcome == AMPSF_NOT_SENT)
			sink->results[i].outcome = AMPSF_IN_DOUBT;
}

static const AmpsfRowSinkOps collections_ops = {
	.name = "collections",
	.has_room = has_room,
	.add = add,
	.flush = flush,
	.results = results,
	.abandon = abandon,
	.raise = throw_failure,
	.close = close_sink,
};

AmpsfRowSink *
ampsf_collections_open(const AmpsfWriteSpec *spec)
{
	MemoryContext cxt =
		AllocSetContextCreate(CurrentMemoryContext, "ampsf collections", ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(cxt);
	Collections *sink = palloc0(sizeof(Collections));
	int nheaders = 0;

	Assert(spec->max_rows >= 1 && spec->max_rows <= AMPSF_MAX_COLLECTION);
	sink->base.ops = &collections_ops;
	sink->session = spec->session;
	sink->op = spec->op;
	sink->object = pstrdup(spec->object);
	sink->key = spec->key != NULL ? pstrdup(spec->key) : NULL;
	sink->max_rows = spec->max_rows;
	sink->all_or_none = spec->all_or_none;
	sink->stats = spec->stats;
	sink->usage = ampsf_session_usage(spec->session, spec->object, verbs[spec->op]);
	while (spec->headers != NULL && spec->headers[nheaders] != NULL)
		nheaders++;
	sink->headers = palloc0(sizeof(char *) * (nheaders + 1));
	for (int i = 0; i < nheaders; i++)
		sink->headers[i] = pstrdup(spec->headers[i]);
	sink->cxt = cxt;
	sink->call_cxt = AllocSetContextCreate(cxt, "ampsf write call", ALLOCSET_DEFAULT_SIZES);
	sink->result_cxt = AllocSetContextCreate(cxt, "ampsf write results", ALLOCSET_SMALL_SIZES);
	sink->rows = palloc(sizeof(SinkRow) * spec->max_rows);
	sink->results = palloc0(sizeof(AmpsfWriteResult) * spec->max_rows);
	initStringInfo(&sink->text);
	MemoryContextSwitchTo(old);
	return &sink->base;
}
