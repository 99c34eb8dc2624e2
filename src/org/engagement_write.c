/*
 * engagement_write.c - writes to Account Engagement: a call for each record, several at once;
 * implements row_sink.h.
 *
 * Calls are sent together up to the number that a business unit may have under way; those of other
 * sessions count as well, see net/slots.h.  Creates are never sent again, but for those that were
 * turned away unseen. Must not know: tables, columns, the executor.
 */
#include "postgres.h"

#include "org/engagement.h"
#include "org/engagement_call.h"

#include "base/error.h"
#include "net/slots.h"
#include "org/row_batch.h"
#include "utils/memutils.h"

/* Bytes of the records of a flush. */
#define TEXT_MAX (4 * 1024 * 1024)

typedef struct EngagementSink
{
	AmpsfRowBatch b;
	const AmpsfEngagementObject *object;
	char *key;
	AmpsfCall **calls; /* [max_rows] under way, or the one that failed */
	AmpsfCall *failed_call;
	bool lost; /* nobody knows what became of it */
} EngagementSink;

/* {"matchEmail":...,"prospect":{...},"fields":["id"]}: the address is one of the row's own values.
 */
static char *
upsert_body(const EngagementSink *sink, const AmpsfBatchRow *row)
{
	const char *fields = sink->b.text.data + row->off;
	char *record = psprintf("{%.*s}", (int) row->len, fields);
	AmpsfJson *doc = ampsf_json_parse(record, strlen(record), sink->b.call_cxt);
	AmpsfJson *email = doc ? ampsf_json_get(doc, sink->key) : NULL;

	if (email == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_NOT_NULL_VIOLATION),
				 errmsg("a row to be upserted into %s has no %s", sink->object->name, sink->key)));
	return psprintf("{\"matchEmail\":%s,\"prospect\":%s,\"fields\":[\"id\"]}",
					ampsf_json_print(email), record);
}

static AmpsfCall *
start_call(EngagementSink *sink, const AmpsfBatchRow *row)
{
	AmpsfCallSpec spec = {.engagement = true, .stats = sink->b.stats, .usage = sink->b.usage};
	char *path = ampsf_engagement_path(sink->object);

	spec.idempotent = sink->b.op != AMPSF_INSERT;
	switch (sink->b.op)
	{
		case AMPSF_INSERT:
			spec.method = "POST";
			/* An external activity has no id. */
			spec.path = strcmp(sink->object->name, "external-activities") == 0
							? path
							: psprintf("%s?fields=id", path);
			break;
		case AMPSF_UPDATE:
			spec.method = "PATCH";
			spec.path = psprintf("%s/%s", path, row->id);
			break;
		case AMPSF_DELETE:
			spec.method = "DELETE";
			spec.path = psprintf("%s/%s", path, row->id);
			break;
		case AMPSF_UPSERT:
			spec.method = "POST";
			spec.path = psprintf("%s/do/upsertLatestByEmail", path);
			spec.body = upsert_body(sink, row);
			break;
	}
	if (sink->b.op == AMPSF_INSERT || sink->b.op == AMPSF_UPDATE)
		spec.body = psprintf("{%.*s}", (int) row->len, sink->b.text.data + row->off);
	if (spec.body)
	{
		spec.body_len = strlen(spec.body);
		spec.content_type = "application/json";
	}
	return ampsf_call_start(sink->b.session, &spec, sink->b.call_cxt);
}

/* The Id of what was created: in the answer, or at the end of its address. */
static void
read_id(AmpsfCall *call, AmpsfWriteResult *res, MemoryContext cxt)
{
	const char *location = ampsf_call_header(call, "Location");
	size_t len;
	const char *text = ampsf_engagement_body(call, &len);
	AmpsfJson *doc = len > 0 ? ampsf_json_parse(text, len, cxt) : NULL;
	const char *id = doc ? ampsf_json_string(doc, "id") : NULL;

	if (id == NULL && location && strrchr(location, '/') != NULL)
		id = strrchr(location, '/') + 1;
	if (id && strspn(id, "0123456789") == strlen(id) && strlen(id) < sizeof(res->id))
		strlcpy(res->id, id, sizeof(res->id));
}

/* Is it the record that is refused, and not the call of whoever sends it? */
static bool
is_about_record(int status, const AmpsfApiError *err)
{
	static const char *const others[] = {"46",	"49",  "60",  "66",	 "71",	"122", "181",
										 "182", "184", "198", "201", "202", "205"};

	if (status == 401 || status == 403 || status >= 500 || err->code == NULL)
		return false;
	for (size_t i = 0; i < lengthof(others); i++)
		if (strcmp(err->code, others[i]) == 0)
			return false;
	return true;
}

static void
judge(EngagementSink *sink, int row)
{
	AmpsfCall *call = sink->calls[row];
	AmpsfWriteResult *res = &sink->b.results[row];
	int status = ampsf_call_status(call);
	AmpsfApiError err = {0};
	MemoryContext old = MemoryContextSwitchTo(sink->b.result_cxt);

	if (status >= 200 && status <= 299)
	{
		/* An upsert answers 201 for what it has created; without content it does not say. */
		ampsf_batch_written(&sink->b, res,
							sink->b.op == AMPSF_INSERT ||
								(sink->b.op == AMPSF_UPSERT && status == 201));
		if (sink->b.op == AMPSF_INSERT || sink->b.op == AMPSF_UPSERT)
			read_id(call, res, sink->b.call_cxt);
	}
	else
	{
		size_t len;
		const char *body = ampsf_engagement_body(call, &len);

		if (status != 0)
			ampsf_error_parse(status, body, len, &err);
		res->code = err.code ? pstrdup(err.code) : psprintf("HTTP %d", status);
		res->message = err.message ? pstrdup(err.message) : NULL;
		res->outcome = AMPSF_REFUSED;
		if (!is_about_record(status, &err))
		{
			bool unknown = ampsf_call_unknown_outcome(call) || (status >= 500 && err.code == NULL);

			res->outcome = unknown ? AMPSF_IN_DOUBT : status == 0 ? AMPSF_NOT_SENT : AMPSF_REFUSED;
			/* The first tells, unless a later one leaves something open. */
			if (!sink->b.base.failed || (unknown && !sink->lost))
			{
				sink->failed_call = call;
				sink->lost = unknown;
			}
			sink->b.base.failed = true;
		}
	}
	MemoryContextSwitchTo(old);
	if (sink->failed_call != call)
		ampsf_call_free(call);
	sink->calls[row] = NULL;
}

static void
flush(AmpsfRowSink *base, bool finish)
{
	EngagementSink *sink = (EngagementSink *) base;
	int n = ampsf_batch_begin(&sink->b);
	MemoryContext old;
	int started = 0, done = 0;

	if (n == 0 || base->failed)
		return;
	memset(sink->calls, 0, sizeof(AmpsfCall *) * n);
	MemoryContextReset(sink->b.call_cxt);
	old = MemoryContextSwitchTo(sink->b.call_cxt);
	while (done < n && !(base->failed && done == started))
	{
		while (started < n && started - done < AMPSF_SLOTS && !base->failed)
		{
			sink->calls[started] = start_call(sink, &sink->b.rows[started]);
			started++;
		}
		ampsf_batch_wait(sink->calls + done, started - done);
		judge(sink, done++);
	}
	MemoryContextSwitchTo(old);
}

/* Calls that were under way: nobody knows. */
static void
abandon(AmpsfRowSink *base)
{
	EngagementSink *sink = (EngagementSink *) base;

	base->failed = true;
	for (int i = 0; i < sink->b.known; i++)
	{
		AmpsfCall *call = sink->calls[i];

		if (call == NULL || sink->b.results[i].outcome != AMPSF_NOT_SENT)
			continue;
		if (ampsf_call_in_flight(call))
			sink->b.results[i].outcome = AMPSF_IN_DOUBT;
		sink->calls[i] = NULL;
	}
}

static void raise_failure(AmpsfRowSink *base) __attribute__((noreturn));

static void
raise_failure(AmpsfRowSink *base)
{
	EngagementSink *sink = (EngagementSink *) base;

	if (sink->failed_call == NULL)
		ereport(ERROR, (errcode(ERRCODE_TRANSACTION_RESOLUTION_UNKNOWN),
						errmsg("the outcome of %s is unknown", ampsf_write_noun(sink->b.op))));
	ampsf_call_throw(
		sink->failed_call,
		psprintf("%s a record of %s", ampsf_write_verb(sink->b.op), sink->object->name), NULL);
}

static const AmpsfRowSinkOps sink_ops = {
	.name = "account engagement",
	.has_room = ampsf_batch_has_room,
	.add = ampsf_batch_add,
	.flush = flush,
	.results = ampsf_batch_results,
	.abandon = abandon,
	.raise = raise_failure,
	.close = ampsf_batch_close,
};

AmpsfRowSink *
ampsf_engagement_open_sink(const AmpsfWriteSpec *spec)
{
	EngagementSink *sink = ampsf_batch_create(sizeof(EngagementSink), &sink_ops, spec,
											  Max(spec->max_rows, 1), TEXT_MAX);

	sink->object = ampsf_engagement_object(spec->object);
	sink->key = spec->key ? MemoryContextStrdup(sink->b.cxt, spec->key) : NULL;
	sink->calls = MemoryContextAllocZero(sink->b.cxt, sizeof(AmpsfCall *) * sink->b.max_rows);
	return &sink->b.base;
}
