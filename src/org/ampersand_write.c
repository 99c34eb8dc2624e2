/*
 * ampersand_write.c - writes by Ampersand's Write API: up to 100 records a call, deletes one by
 * one; implements row_sink.h.
 *
 * An asynchronous write is an operation, which is asked after until it ends.  It tells the Ids of
 * the records that were written, in no order: so records that are created go one by one then, since
 * nobody could say whose Id is missing.  Must not know: tables, columns, the executor.
 */
#include "postgres.h"

#include "org/ampersand.h"

#include "base/ampsf.h"
#include "base/error.h"
#include "miscadmin.h"
#include "org/row_batch.h"
#include "storage/latch.h"
#include "utils/memutils.h"
#include "utils/wait_event.h"

/* Calls that are under way at once. */
#define AT_ONCE 5
/* Bytes of the records of a flush. */
#define TEXT_MAX (4 * 1024 * 1024)
/* Milliseconds between questions after an operation. */
#define POLL_FIRST 100
#define POLL_MAX 5000

/* A call, and the operation that it began. */
typedef struct Unit
{
	int first, n;
	char *operation; /* that is not known to have ended */
	bool open;		 /* sent, and its rows have no outcome */
} Unit;

typedef struct AmpersandSink
{
	AmpsfRowBatch b;
	char *object;
	bool async, all_or_none;
	const char *const *headers;
	int unit_rows;
	Unit *units;	   /* [max_rows] */
	AmpsfCall **calls; /* [max_rows] of the units; NULL: judged, or not begun */
	int nunits;
	AmpsfCall *failed_call;
	char *problem; /* of an answer that makes no sense */
	bool lost;	   /* nobody knows what became of it */
} AmpersandSink;

/* -------- sending -------- */

static void
add_record(const AmpersandSink *sink, StringInfo out, const AmpsfBatchRow *row)
{
	appendStringInfoChar(out, '{');
	if (sink->b.op != AMPSF_INSERT)
		appendStringInfo(out, "\"id\":\"%s\"%s", row->id, row->len > 0 ? "," : "");
	appendBinaryStringInfo(out, sink->b.text.data + row->off, (int) row->len);
	appendStringInfoChar(out, '}');
}

/* "Name: value" as {"key":...,"value":...}: Ampersand sends them on to Salesforce. */
static void
add_headers(const AmpersandSink *sink, StringInfo out)
{
	if (sink->headers == NULL || *sink->headers == NULL)
		return;
	appendStringInfoString(out, ",\"headers\":[");
	for (const char *const *h = sink->headers; *h; h++)
	{
		const char *colon = strchr(*h, ':');

		appendStringInfoString(out, h == sink->headers ? "{\"key\":" : ",{\"key\":");
		ampsf_ampersand_quote(out, pnstrdup(*h, colon - *h));
		appendStringInfoString(out, ",\"value\":");
		ampsf_ampersand_quote(out, colon + 1 + strspn(colon + 1, " "));
		appendStringInfoChar(out, '}');
	}
	appendStringInfoChar(out, ']');
}

static void
send_unit(AmpersandSink *sink, int u)
{
	Unit *unit = &sink->units[u];
	const AmpsfServerOptions *o = ampsf_session_options(sink->b.session);
	AmpsfCallSpec spec = {
		.host = AMPSF_TO_WRITE_API, .stats = sink->b.stats, .usage = sink->b.usage};
	StringInfoData body;

	initStringInfo(&body);
	appendStringInfoString(&body, "{\"groupRef\":");
	ampsf_ampersand_quote(&body, o->group_ref);
	appendStringInfo(&body, ",\"type\":\"%s\"",
					 sink->b.op == AMPSF_INSERT	  ? "create"
					 : sink->b.op == AMPSF_UPDATE ? "update"
												  : "delete");
	if (sink->b.op != AMPSF_DELETE)
		appendStringInfo(&body, ",\"mode\":\"%s\"", sink->async ? "asynchronous" : "synchronous");
	if (sink->unit_rows == 1)
	{
		appendStringInfoString(&body, ",\"record\":");
		add_record(sink, &body, &sink->b.rows[unit->first]);
	}
	else
	{
		appendStringInfo(&body, ",\"batchPolicy\":{\"allOrNone\":%s},\"batch\":[",
						 sink->all_or_none ? "true" : "false");
		for (int i = 0; i < unit->n; i++)
		{
			appendStringInfoString(&body, i == 0 ? "{\"record\":" : ",{\"record\":");
			add_record(sink, &body, &sink->b.rows[unit->first + i]);
			appendStringInfoChar(&body, '}');
		}
		appendStringInfoChar(&body, ']');
	}
	add_headers(sink, &body);
	appendStringInfoChar(&body, '}');
	spec.method = "POST";
	spec.path = ampsf_ampersand_path(sink->b.session,
									 psprintf("integrations/%s/objects/%s", o->integration_id,
											  ampsf_ampersand_segment(sink->object)));
	spec.body = body.data;
	spec.body_len = body.len;
	spec.content_type = "application/json";
	/* An operation that was begun twice would update twice, which does no harm; creates would. */
	spec.idempotent = sink->b.op != AMPSF_INSERT;
	unit->open = true;
	sink->calls[u] = ampsf_call_start(sink->b.session, &spec, sink->b.call_cxt);
	pfree(body.data);
}

/* -------- outcomes -------- */

static void
written(AmpersandSink *sink, AmpsfWriteResult *res, const char *id)
{
	ampsf_batch_written(&sink->b, res, sink->b.op == AMPSF_INSERT);
	if (id && strlen(id) < sizeof(res->id))
		strlcpy(res->id, id, sizeof(res->id));
}

static void
refused(AmpersandSink *sink, AmpsfWriteResult *res, const AmpsfApiError *err)
{
	MemoryContext old = MemoryContextSwitchTo(sink->b.result_cxt);

	res->outcome = AMPSF_REFUSED;
	res->code = pstrdup(err->code ? err->code : "Ampersand");
	res->message = err->message ? pstrdup(err->message) : NULL;
	res->fields = err->fields ? pstrdup(err->fields) : NULL;
	MemoryContextSwitchTo(old);
}

static void
in_doubt(AmpersandSink *sink, const Unit *unit, const char *problem)
{
	for (int i = 0; i < unit->n; i++)
		sink->b.results[unit->first + i].outcome = AMPSF_IN_DOUBT;
	sink->b.base.failed = sink->lost = true;
	if (problem && !sink->problem)
		sink->problem = MemoryContextStrdup(sink->b.cxt, problem);
}

/* The texts of [{"message":..}, ..], joined: they do not say which records they are about. */
static const char *
messages_of(AmpsfJson *list)
{
	StringInfoData buf;

	initStringInfo(&buf);
	for (int i = 0; i < ampsf_json_array_length(list); i++)
	{
		AmpsfJson *item = ampsf_json_array_get(list, i);
		const char *text =
			ampsf_json_is_object(item) ? ampsf_json_string(item, "message") : ampsf_json_text(item);

		if (text && strstr(buf.data, text) == NULL)
			appendStringInfo(&buf, "%s%s", buf.len ? "; " : "", text);
	}
	return buf.len ? buf.data : NULL;
}

/* Why a record was refused: what Salesforce has said of it, if that is told, or else what there is.
 */
static void
read_error(AmpsfJson *doc, AmpsfJson *result, AmpsfApiError *err)
{
	AmpsfJson *own = result ? ampsf_json_get(result, "errors") : NULL;
	const char *raw = ampsf_json_string(doc, "rawResponse");

	memset(err, 0, sizeof(*err));
	if (own && ampsf_json_array_length(own) > 0 &&
		ampsf_json_is_object(ampsf_json_array_get(own, 0)))
	{
		const char *text = ampsf_json_print(own);

		ampsf_error_parse(0, text, strlen(text), err);
	}
	else if (raw && (*raw == '[' || *raw == '{'))
		ampsf_error_parse(0, raw, strlen(raw), err);
	if (!err->message)
		err->message = own ? messages_of(own) : NULL;
	if (!err->message)
		err->message = messages_of(ampsf_json_get(doc, "errors"));
}

static void
judge_batch(AmpersandSink *sink, Unit *unit, int status, AmpsfJson *doc)
{
	AmpsfJson *list = ampsf_json_get(doc, "results");
	bool nothing = status == 422 && ampsf_json_int(doc, "successCount", 0) == 0;
	AmpsfApiError err;

	if (ampsf_json_array_length(list) != unit->n && !nothing)
	{
		in_doubt(sink, unit, "Ampersand's answer does not tell of every record of the batch.");
		return;
	}
	for (int i = 0; i < unit->n; i++)
	{
		AmpsfWriteResult *res = &sink->b.results[unit->first + i];
		AmpsfJson *one = i < ampsf_json_array_length(list) ? ampsf_json_array_get(list, i) : NULL;

		if (one && ampsf_json_bool(one, "success", false))
			written(sink, res, ampsf_json_string(one, "recordId"));
		else
		{
			read_error(doc, one, &err);
			refused(sink, res, &err);
		}
	}
}

static void
judge_single(AmpersandSink *sink, Unit *unit, int status, AmpsfJson *doc)
{
	AmpsfJson *result = ampsf_json_get(doc, "result");
	AmpsfWriteResult *res = &sink->b.results[unit->first];
	AmpsfApiError err;

	if (status != 422 && ampsf_json_bool(result, "success", false))
		written(sink, res, ampsf_json_string(result, "recordId"));
	else if (status == 422 || (result && !ampsf_json_bool(result, "success", true)))
	{
		read_error(doc, result, &err);
		refused(sink, res, &err);
	}
	else
		in_doubt(sink, unit, "Ampersand's answer does not tell what became of the record.");
}

/* A call that came to nothing as a whole, or nobody knows to what. */
static void
judge_failure(AmpersandSink *sink, Unit *unit, AmpsfCall *call, int status)
{
	bool unknown = ampsf_call_unknown_outcome(call) || status >= 500;
	AmpsfApiError err = {0};
	size_t len;
	const char *body = ampsf_call_body(call, &len);

	/* The first tells, unless a later one leaves something open. */
	if (!sink->b.base.failed || (unknown && !sink->lost))
	{
		sink->failed_call = call;
		sink->lost = unknown;
	}
	sink->b.base.failed = true;
	if (status != 0)
		ampsf_error_parse(status, body, len, &err);
	for (int i = 0; i < unit->n; i++)
	{
		AmpsfWriteResult *res = &sink->b.results[unit->first + i];

		if (unknown)
			res->outcome = AMPSF_IN_DOUBT;
		else if (status != 0)
			refused(sink, res, &err);
	}
}

static void
judge(AmpersandSink *sink, int u)
{
	Unit *unit = &sink->units[u];
	AmpsfCall *call = sink->calls[u];
	int status = ampsf_call_status(call);
	size_t len;
	const char *body = ampsf_call_body(call, &len);
	AmpsfJson *doc = NULL;

	if ((status >= 200 && status <= 299) || status == 422)
		doc = ampsf_json_parse(body, len, sink->b.call_cxt);
	if (doc && status == 422 && ampsf_json_string(doc, "operationId") == NULL &&
		ampsf_json_get(doc, "errors") == NULL)
		doc = NULL; /* the request itself was found wanting */
	if (doc == NULL && status >= 200 && status <= 299)
		in_doubt(sink, unit, "Ampersand's answer is not JSON.");
	else if (doc == NULL)
		judge_failure(sink, unit, call, status);
	else if (sink->async && sink->b.op != AMPSF_DELETE && status != 422)
	{
		const char *id = ampsf_json_string(doc, "operationId");

		if (id)
			unit->operation = MemoryContextStrdup(sink->b.call_cxt, id);
		else
			in_doubt(sink, unit, "Ampersand's answer names no operation.");
	}
	else if (sink->unit_rows == 1)
		judge_single(sink, unit, status, doc);
	else
		judge_batch(sink, unit, status, doc);
	if (sink->failed_call != call)
		ampsf_call_free(call);
	sink->calls[u] = NULL;
	unit->open = unit->operation != NULL;
}

/* -------- operations -------- */

static void
pause_for(long ms)
{
	(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, ms,
					 PG_WAIT_EXTENSION);
	ResetLatch(MyLatch);
	CHECK_FOR_INTERRUPTS();
}

static bool
is_in(AmpsfJson *ids, const char *id)
{
	for (int i = 0; i < ampsf_json_array_length(ids); i++)
	{
		const char *one = ampsf_json_text(ampsf_json_array_get(ids, i));

		/* The first 15 characters are the Id. */
		if (one && strncmp(one, id, 15) == 0)
			return true;
	}
	return false;
}

/* The text of the errors in an operation's log, which says more than its result. */
static const char *
read_logs(AmpersandSink *sink, const char *operation, MemoryContext cxt)
{
	char *path = ampsf_ampersand_path(
		sink->b.session, psprintf("operations/%s/logs", ampsf_ampersand_segment(operation)));
	AmpsfJson *logs = ampsf_ampersand_json(sink->b.session, AMPSF_TO_PLATFORM, path, NULL, true,
										   "read the log of an operation of Ampersand", cxt);
	StringInfoData buf;

	initStringInfo(&buf);
	for (int i = 0; logs && i < ampsf_json_array_length(logs); i++)
	{
		AmpsfJson *message = ampsf_json_get(ampsf_json_array_get(logs, i), "message");
		const char *text = message ? ampsf_json_string(message, "error") : NULL;

		if (text)
			appendStringInfo(&buf, "%s%s", buf.len ? "; " : "", text);
	}
	return buf.len ? buf.data : NULL;
}

static void
judge_operation(AmpersandSink *sink, Unit *unit, AmpsfJson *doc, bool success, MemoryContext cxt)
{
	AmpsfJson *meta = ampsf_json_get(doc, "metadata");
	AmpsfJson *ids = meta ? ampsf_json_get(meta, "successfulRecordIds") : NULL;
	AmpsfApiError err = {.message = ampsf_json_string(doc, "result")};
	bool logs_read = false;

	if (success && ids == NULL)
	{
		in_doubt(sink, unit,
				 "The operation has ended, and does not tell which records were written.");
		return;
	}
	for (int i = 0; i < unit->n; i++)
	{
		AmpsfWriteResult *res = &sink->b.results[unit->first + i];
		const char *first = sink->b.op == AMPSF_INSERT && ampsf_json_array_length(ids) > 0
								? ampsf_json_text(ampsf_json_array_get(ids, 0))
								: NULL;

		if (sink->b.op == AMPSF_INSERT ? first != NULL : is_in(ids, res->id))
			written(sink, res, first ? first : res->id);
		else
		{
			const char *more = logs_read ? NULL : read_logs(sink, unit->operation, cxt);

			logs_read = true;
			err.message = more ? more : err.message;
			refused(sink, res, &err);
		}
	}
}

/* NULL if there is no answer that could be read; *status: what came. */
static AmpsfJson *
ask(AmpersandSink *sink, const char *path, MemoryContext cxt, int *status)
{
	AmpsfCallSpec spec = {
		.host = AMPSF_TO_PLATFORM, .method = "GET", .path = path, .idempotent = true};
	AmpsfCall *call;
	const char *text;
	size_t len;

	spec.stats = sink->b.stats;
	spec.usage = sink->b.usage;
	call = ampsf_call_start(sink->b.session, &spec, cxt);
	ampsf_call_wait(call);
	*status = ampsf_call_status(call);
	text = ampsf_call_body(call, &len);
	return *status == 200 ? ampsf_json_parse(text, len, cxt) : NULL;
}

/* Waits for the end of all operations of the flush. */
static void
wait_for_operations(AmpersandSink *sink)
{
	MemoryContext cxt =
		AllocSetContextCreate(sink->b.call_cxt, "ampsf operation", ALLOCSET_SMALL_SIZES);

	for (int i = 0; i < sink->nunits; i++)
	{
		Unit *unit = &sink->units[i];

		for (long ms = POLL_FIRST; unit->operation; ms = Min(ms * 2, POLL_MAX))
		{
			char *path;
			AmpsfJson *doc;
			const char *status;
			int answer;

			MemoryContextReset(cxt);
			path = ampsf_ampersand_path(
				sink->b.session,
				psprintf("operations/%s", ampsf_ampersand_segment(unit->operation)));
			doc = ask(sink, path, cxt, &answer);
			status = doc ? ampsf_json_string(doc, "status") : NULL;
			if (status && strcmp(status, "in_progress") == 0)
			{
				pause_for(ms);
				continue;
			}
			if (status && (strcmp(status, "success") == 0 || strcmp(status, "failure") == 0))
				judge_operation(sink, unit, doc, strcmp(status, "success") == 0, cxt);
			else
				in_doubt(sink, unit,
						 psprintf("Ampersand was asked after operation %s, and answered with "
								  "status %d and no state.",
								  unit->operation, answer));
			unit->operation = NULL;
			unit->open = false;
		}
	}
	MemoryContextDelete(cxt);
}

/* -------- the sink -------- */

static void
flush(AmpsfRowSink *base, bool finish)
{
	AmpersandSink *sink = (AmpersandSink *) base;
	int n = ampsf_batch_begin(&sink->b), started = 0, done = 0;
	MemoryContext old;

	sink->nunits = 0;
	if (n == 0 || base->failed)
		return;
	for (int i = 0; i < n; i += sink->unit_rows)
	{
		Unit *unit = &sink->units[sink->nunits++];

		memset(unit, 0, sizeof(*unit));
		unit->first = i;
		unit->n = Min(sink->unit_rows, n - i);
	}
	memset(sink->calls, 0, sizeof(AmpsfCall *) * sink->nunits);
	MemoryContextReset(sink->b.call_cxt);
	old = MemoryContextSwitchTo(sink->b.call_cxt);
	while (done < sink->nunits && !(base->failed && done == started))
	{
		while (started < sink->nunits && started - done < AT_ONCE && !base->failed)
			send_unit(sink, started++);
		ampsf_batch_wait(sink->calls + done, started - done);
		judge(sink, done++);
	}
	if (sink->async)
		wait_for_operations(sink);
	MemoryContextSwitchTo(old);
}

/* Calls that were under way, and operations that may still run: nobody knows. */
static void
abandon(AmpsfRowSink *base)
{
	AmpersandSink *sink = (AmpersandSink *) base;

	base->failed = true;
	for (int u = 0; u < sink->nunits && sink->b.known > 0; u++)
	{
		Unit *unit = &sink->units[u];

		if (!unit->open || (sink->calls[u] && !ampsf_call_in_flight(sink->calls[u])))
			continue;
		for (int i = 0; i < unit->n; i++)
			sink->b.results[unit->first + i].outcome = AMPSF_IN_DOUBT;
		unit->open = false;
		sink->calls[u] = NULL;
	}
}

static void raise_failure(AmpsfRowSink *base) __attribute__((noreturn));

static void
raise_failure(AmpsfRowSink *base)
{
	AmpersandSink *sink = (AmpersandSink *) base;
	int status = sink->failed_call ? ampsf_call_status(sink->failed_call) : 0;

	if (sink->failed_call == NULL || status >= 500)
		ereport(ERROR,
				(errcode(ERRCODE_TRANSACTION_RESOLUTION_UNKNOWN),
				 errmsg("the outcome of %s is unknown", ampsf_write_noun(sink->b.op)),
				 status			 ? errdetail("Ampersand answered with status %d.", status)
				 : sink->problem ? errdetail_internal(
									   "%s", ampsf_clean_text(sink->problem, strlen(sink->problem)))
								 : 0,
				 errhint("Look at the records before you repeat the statement.")));
	ampsf_call_throw(sink->failed_call,
					 psprintf("%s records of %s", ampsf_write_verb(sink->b.op), sink->object),
					 NULL);
}

static const AmpsfRowSinkOps sink_ops = {
	.name = "write api",
	.has_room = ampsf_batch_has_room,
	.add = ampsf_batch_add,
	.flush = flush,
	.results = ampsf_batch_results,
	.abandon = abandon,
	.raise = raise_failure,
	.close = ampsf_batch_close,
};

AmpsfRowSink *
ampsf_ampersand_open_sink(const AmpsfWriteSpec *spec, bool async)
{
	AmpersandSink *sink =
		ampsf_batch_create(sizeof(AmpersandSink), &sink_ops, spec,
						   Max(Min(spec->max_rows, AMPSF_MAX_WRITE_API), 1), TEXT_MAX);
	int max_rows = sink->b.max_rows;

	sink->object = MemoryContextStrdup(sink->b.cxt, spec->object);
	sink->async = async && spec->op != AMPSF_DELETE;
	sink->all_or_none = spec->all_or_none;
	sink->headers = spec->headers;
	sink->unit_rows =
		spec->op == AMPSF_DELETE || (sink->async && spec->op == AMPSF_INSERT) ? 1 : max_rows;
	sink->units = MemoryContextAllocZero(sink->b.cxt, sizeof(Unit) * max_rows);
	sink->calls = MemoryContextAllocZero(sink->b.cxt, sizeof(AmpsfCall *) * max_rows);
	return &sink->b.base;
}
