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

#include "base/error.h"
#include "net/slots.h"
#include "net/usage.h"
#include "org/row_sink.h"
#include "utils/memutils.h"

typedef struct EngagementRow
{
	int64 number;
	uint32 flags;
	char id[19];
	size_t off, len; /* of its fields in the text */
} EngagementRow;

typedef struct EngagementSink
{
	AmpsfRowSink base;
	MemoryContext cxt, call_cxt, result_cxt;
	AmpsfSession *session;
	const AmpsfEngagementObject *object;
	AmpsfWriteOp op;
	char *key;
	int max_rows;
	AmpsfStats *stats;
	AmpsfUsage *usage;
	StringInfoData text;
	EngagementRow *rows;	   /* [max_rows] */
	AmpsfWriteResult *results; /* [max_rows] */
	AmpsfCall **calls;		   /* [max_rows] under way, or the one that failed */
	int known;
	AmpsfCall *failed_call;
	bool lost; /* nobody knows what became of it */
} EngagementSink;

static bool
has_room(const AmpsfRowSink *base, size_t len)
{
	return base->waiting < ((const EngagementSink *) base)->max_rows;
}

static void
add(AmpsfRowSink *base, const AmpsfWriteRow *row)
{
	EngagementSink *sink = (EngagementSink *) base;
	EngagementRow *to;

	if (base->waiting >= sink->max_rows)
		elog(ERROR, "write batch of %d rows is full", sink->max_rows);
	if (base->waiting == 0)
	{
		sink->known = 0;
		resetStringInfo(&sink->text);
	}
	to = &sink->rows[base->waiting];
	memset(to, 0, sizeof(*to));
	to->number = row->number;
	to->flags = row->flags;
	if (row->id)
		strlcpy(to->id, row->id, sizeof(to->id));
	to->off = sink->text.len;
	if (sink->op != AMPSF_DELETE)
	{
		appendBinaryStringInfo(&sink->text, row->fields, (int) row->len);
		to->len = row->len;
	}
	base->waiting++;
}

/* {"matchEmail":...,"prospect":{...},"fields":["id"]}: the address is one of the row's own values.
 */
static char *
upsert_body(const EngagementSink *sink, const EngagementRow *row)
{
	const char *fields = sink->text.data + row->off;
	char *record = psprintf("{%.*s}", (int) row->len, fields);
	AmpsfJson *doc = ampsf_json_parse(record, strlen(record), sink->call_cxt);
	AmpsfJson *email = doc ? ampsf_json_get(doc, sink->key) : NULL;

	if (email == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_NOT_NULL_VIOLATION),
				 errmsg("a row to be upserted into %s has no %s", sink->object->name, sink->key)));
	return psprintf("{\"matchEmail\":%s,\"prospect\":%s,\"fields\":[\"id\"]}",
					ampsf_json_print(email), record);
}

static AmpsfCall *
start_call(EngagementSink *sink, const EngagementRow *row)
{
	AmpsfCallSpec spec = {.engagement = true, .stats = sink->stats, .usage = sink->usage};
	char *path = ampsf_engagement_path(sink->object);

	spec.idempotent = sink->op != AMPSF_INSERT;
	switch (sink->op)
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
	if (sink->op == AMPSF_INSERT || sink->op == AMPSF_UPDATE)
		spec.body = psprintf("{%.*s}", (int) row->len, sink->text.data + row->off);
	if (spec.body)
	{
		spec.body_len = strlen(spec.body);
		spec.content_type = "application/json";
	}
	return ampsf_call_start(sink->session, &spec, sink->call_cxt);
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
	AmpsfWriteResult *res = &sink->results[row];
	int status = ampsf_call_status(call);
	AmpsfApiError err = {0};
	MemoryContext old = MemoryContextSwitchTo(sink->result_cxt);

	if (status >= 200 && status <= 299)
	{
		res->outcome = AMPSF_WRITTEN;
		/* An upsert answers 201 for what it has created; without content it does not say. */
		res->created = sink->op == AMPSF_INSERT || (sink->op == AMPSF_UPSERT && status == 201);
		if (sink->op == AMPSF_INSERT || sink->op == AMPSF_UPSERT)
			read_id(call, res, sink->call_cxt);
		if (sink->stats)
			sink->stats->rows++;
		ampsf_usage_rows(sink->usage, 1);
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
			if (!sink->base.failed || (unknown && !sink->lost))
			{
				sink->failed_call = call;
				sink->lost = unknown;
			}
			sink->base.failed = true;
		}
	}
	MemoryContextSwitchTo(old);
	if (sink->failed_call != call)
		ampsf_call_free(call);
	sink->calls[row] = NULL;
}

/* Until the first of the calls is complete.  All are looked at: one that waits for a login or a
 * slot goes on by that. */
static void
wait_for(EngagementSink *sink, int first, int end)
{
	for (;;)
	{
		bool complete;

		ampsf_call_drive();
		complete = ampsf_call_look(sink->calls[first]);
		for (int i = first + 1; i < end; i++)
			(void) ampsf_call_look(sink->calls[i]);
		if (complete)
			return;
		ampsf_call_sleep();
	}
}

static void
flush(AmpsfRowSink *base, bool finish)
{
	EngagementSink *sink = (EngagementSink *) base;
	int n = base->waiting;
	MemoryContext old;
	int started = 0, done = 0;

	if (n == 0)
		return;
	MemoryContextReset(sink->result_cxt);
	for (int i = 0; i < n; i++)
	{
		AmpsfWriteResult *res = &sink->results[i];
		EngagementRow *row = &sink->rows[i];

		memset(res, 0, sizeof(*res));
		res->number = row->number;
		res->flags = row->flags;
		res->outcome = AMPSF_NOT_SENT;
		strlcpy(res->id, row->id, sizeof(res->id));
		res->row = row->len > 0 ? sink->text.data + row->off : NULL;
		res->row_len = row->len;
		sink->calls[i] = NULL;
	}
	base->waiting = 0;
	sink->known = n;
	if (base->failed)
		return;
	MemoryContextReset(sink->call_cxt);
	old = MemoryContextSwitchTo(sink->call_cxt);
	while (done < n && !(base->failed && done == started))
	{
		while (started < n && started - done < AMPSF_SLOTS && !base->failed)
		{
			sink->calls[started] = start_call(sink, &sink->rows[started]);
			started++;
		}
		wait_for(sink, done, started);
		judge(sink, done++);
	}
	MemoryContextSwitchTo(old);
}

static int
results(AmpsfRowSink *base, AmpsfWriteResult **res)
{
	EngagementSink *sink = (EngagementSink *) base;
	int n = sink->known;

	*res = sink->results;
	sink->known = 0;
	return n;
}

/* Calls that were under way: nobody knows. */
static void
abandon(AmpsfRowSink *base)
{
	EngagementSink *sink = (EngagementSink *) base;

	base->failed = true;
	for (int i = 0; i < sink->known; i++)
	{
		AmpsfCall *call = sink->calls[i];

		if (call == NULL || sink->results[i].outcome != AMPSF_NOT_SENT)
			continue;
		if (ampsf_call_in_flight(call))
			sink->results[i].outcome = AMPSF_IN_DOUBT;
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
						errmsg("the outcome of %s is unknown", ampsf_write_noun(sink->op))));
	ampsf_call_throw(sink->failed_call,
					 psprintf("%s a record of %s", ampsf_write_verb(sink->op), sink->object->name),
					 NULL);
}

static void
close_sink(AmpsfRowSink *base)
{
	MemoryContextDelete(((EngagementSink *) base)->cxt);
}

static const AmpsfRowSinkOps sink_ops = {
	.name = "account engagement",
	.has_room = has_room,
	.add = add,
	.flush = flush,
	.results = results,
	.abandon = abandon,
	.raise = raise_failure,
	.close = close_sink,
};

AmpsfRowSink *
ampsf_engagement_open_sink(const AmpsfWriteSpec *spec)
{
	MemoryContext cxt = AllocSetContextCreate(CurrentMemoryContext, "ampsf engagement writes",
											  ALLOCSET_SMALL_SIZES);
	MemoryContext old = MemoryContextSwitchTo(cxt);
	EngagementSink *sink = palloc0(sizeof(EngagementSink));

	sink->base.ops = &sink_ops;
	sink->cxt = cxt;
	sink->call_cxt = AllocSetContextCreate(cxt, "ampsf engagement calls", ALLOCSET_DEFAULT_SIZES);
	sink->result_cxt = AllocSetContextCreate(cxt, "ampsf engagement results", ALLOCSET_SMALL_SIZES);
	sink->session = spec->session;
	sink->object = ampsf_engagement_object(spec->object);
	sink->op = spec->op;
	sink->key = spec->key ? pstrdup(spec->key) : NULL;
	sink->max_rows = Max(spec->max_rows, 1);
	sink->stats = spec->stats;
	sink->usage =
		ampsf_session_usage(spec->session, sink->object->name, ampsf_write_verb(spec->op));
	sink->rows = palloc(sizeof(EngagementRow) * sink->max_rows);
	sink->results = palloc0(sizeof(AmpsfWriteResult) * sink->max_rows);
	sink->calls = palloc0(sizeof(AmpsfCall *) * sink->max_rows);
	initStringInfo(&sink->text);
	MemoryContextSwitchTo(old);
	return &sink->base;
}
