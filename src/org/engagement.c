/*
 * engagement.c - a query of Account Engagement's API v5, page by page; implements row_source.h.
 *
 * A token leads from page to page, for 100,000 rows; then a sequence of its own begins behind the
 * last Id. Where rows come by a datetime, it begins at the last second, and rows that were given
 * before are left out. An object that cannot be filtered is read newest first until its rows are
 * too old; if a sequence does not get that far, all rows are read by Id, but for those given.  An
 * end that is not announced is an error.
 *
 * The next page is asked for when it is needed: a page that waits to be read would hold one of the
 * five calls that the business unit has.  Must not know: PostgreSQL's executor, what the fields
 * mean.
 */
#include "postgres.h"

#include "org/engagement.h"
#include "org/engagement_call.h"

#include "base/error.h"
#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "net/usage.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"
#include "wire/text.h"
#include "wire/wiretime.h"

/* Seconds from 1970 to PostgreSQL's 2000. */
#define EPOCH_SHIFT INT64CONST(946684800)

typedef struct EngagementQuery
{
	AmpsfRowSource src; /* first */
	MemoryContext cxt;
	MemoryContextCallback on_reset;
	AmpsfSession *session;
	AmpsfStats *stats;
	AmpsfUsage *usage;
	AmpsfEngagementRequest request; /* what the sequence under way began with */
	bool stops;						/* newest first, and the end is where rows are too old */
	int page_size;
	char *fields; /* of the address, escaped */
	int nfields;  /* of the reader */
	int id, time; /* indexes of Id and of the datetime that rows come by (-1: none) in values */

	AmpsfJsonScan *scan;
	AmpsfCall *page;
	bool page_taken; /* its text is being read */
	MemoryContext text_cxt;
	const char *text;
	size_t len, pos;
	bool exceeded; /* the page says that the sequence ends here, and the data does not */
	int page_no;
	int64 page_rows;
	int64 sequence_rows; /* of the sequence under way */
	int64 sequence_new;	 /* of these, not given before */
	int64 rows, counted;
	int64 last_id, last_time;
	AmpsfValue *values; /* with those that the reader has not asked for */
	HTAB *given;		/* Ids of the sequence under way, where they are needed */
	HTAB *before;		/* and of the one before it */
	bool has_peeked;
	bool at_end;
	bool redaction_told;
} EngagementQuery;

/* -------- texts -------- */

char *
ampsf_engagement_escape(const char *text)
{
	size_t len = strlen(text);
	char *out = palloc(len * 3 + 1);

	out[ampsf_quote_url(text, len, out)] = '\0';
	return out;
}

char *
ampsf_engagement_time(int64 seconds)
{
	char text[AMPSF_TIME_BUF];
	int n = ampsf_print_datetime((seconds - EPOCH_SHIFT) * INT64CONST(1000000), text);

	return psprintf("%.*s+00:00", n - 1, text); /* without the Z */
}

/* -------- the request -------- */

static void
append_filter(StringInfo buf, bool escaped, const char *name, const char *value)
{
	appendStringInfo(buf, "&%s=%s", name, escaped ? ampsf_engagement_escape(value) : value);
}

/* The parameters of a query behind fields, either as they are sent or to be read. */
static void
append_parameters(StringInfo buf, const AmpsfEngagementRequest *request, bool escaped)
{
	const AmpsfEngagementObject *object = request->object;

	if (request->id_from > 0)
		append_filter(buf, escaped, "idGreaterThanOrEqualTo",
					  psprintf(INT64_FORMAT, request->id_from));
	if (request->id_to < PG_INT64_MAX)
		append_filter(buf, escaped, "idLessThanOrEqualTo", psprintf(INT64_FORMAT, request->id_to));
	if (object->filter && request->time_from > PG_INT64_MIN)
		append_filter(buf, escaped, psprintf("%sAfterOrEqualTo", object->filter),
					  ampsf_engagement_time(request->time_from));
	if (object->filter && request->time_to < PG_INT64_MAX)
		append_filter(buf, escaped, psprintf("%sBeforeOrEqualTo", object->filter),
					  ampsf_engagement_time(request->time_to));
	if (request->deleted)
		append_filter(buf, escaped, "deleted", "all");
	append_filter(buf, escaped, "orderBy",
				  psprintf("%s%s", request->order, request->descending ? " DESC" : ""));
}

/* Is it read newest first, until rows are too old? */
static bool
set_order(AmpsfEngagementRequest *request)
{
	const AmpsfEngagementObject *object = request->object;
	bool stops =
		!object->filter && object->newest && request->time_from > PG_INT64_MIN &&
		(!request->order || (strcmp(request->order, object->newest) == 0 && request->descending));

	if (stops)
	{
		request->order = object->newest;
		request->descending = true;
	}
	else if (!request->order)
		request->order = "id";
	return stops;
}

char *
ampsf_engagement_print(const AmpsfEngagementRequest *request)
{
	AmpsfEngagementRequest copy = *request;
	bool stops = set_order(&copy);
	StringInfoData buf;

	initStringInfo(&buf);
	appendStringInfo(&buf, "%s?fields=", ampsf_engagement_path(copy.object));
	for (int i = 0; i < copy.nfields; i++)
		appendStringInfo(&buf, "%s%s", i ? "," : "", copy.fields[i]);
	append_parameters(&buf, &copy, false);
	if (stops)
		appendStringInfo(&buf, " until %s < %s", copy.object->newest,
						 ampsf_engagement_time(copy.time_from));
	return buf.data;
}

/* -------- asking -------- */

static void throw_reply(EngagementQuery *q, const char *detail) __attribute__((noreturn));

static void
throw_reply(EngagementQuery *q, const char *detail)
{
	ereport(ERROR, (errcode(ERRCODE_FDW_UNABLE_TO_CREATE_REPLY),
					errmsg("could not read records from Account Engagement"),
					errdetail("Page %d of %s: %s.", q->page_no, q->request.object->name, detail)));
}

static void
ask(EngagementQuery *q, const char *token)
{
	MemoryContext tmp = AllocSetContextCreate(q->cxt, "ampsf address", ALLOCSET_SMALL_SIZES);
	MemoryContext old = MemoryContextSwitchTo(tmp);
	AmpsfCallSpec spec = {.method = "GET",
						  .idempotent = true,
						  .engagement = true,
						  .stats = q->stats,
						  .usage = q->usage};
	StringInfoData path;

	initStringInfo(&path);
	appendStringInfo(&path, "%s?fields=%s", ampsf_engagement_path(q->request.object), q->fields);
	if (token)
		appendStringInfo(&path, "&nextPageToken=%s", ampsf_engagement_escape(token));
	else
	{
		appendStringInfo(&path, "&limit=%d", q->page_size);
		append_parameters(&path, &q->request, true);
	}
	spec.path = path.data;
	if (q->page)
		ampsf_call_free(q->page);
	q->page = NULL;
	q->page_taken = false;
	q->page = ampsf_call_start(q->session, &spec, q->cxt);
	MemoryContextSwitchTo(old);
	MemoryContextDelete(tmp);
}

static HTAB *
make_ids(EngagementQuery *q)
{
	HASHCTL ctl = {0};

	ctl.keysize = ctl.entrysize = sizeof(int64);
	ctl.hcxt = q->cxt;
	return hash_create("ampsf records given", 1024, &ctl, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
}

/* The sequence has come to the number of rows that it may have: where to go on. */
static void
next_sequence(EngagementQuery *q)
{
	bool by_id = strcmp(q->request.order, "id") == 0;

	if (q->sequence_new == 0)
		throw_reply(q, psprintf("more than %d records share one second of %s",
								AMPSF_ENGAGEMENT_SEQUENCE, q->request.order));
	if (by_id && q->request.descending)
		q->request.id_to = q->last_id - 1;
	else if (by_id)
		q->request.id_from = q->last_id + 1;
	else
	{
		/* What was given must not come again. */
		if (q->before)
			hash_destroy(q->before);
		q->before = q->given;
		q->given = NULL;
		if (q->stops)
		{
			q->request.order = "id";
			q->request.descending = q->stops = false;
			q->time = -1;
		}
		else if (!q->request.object->filter)
			ereport(
				ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("could not read all records of %s in order of %s", q->request.object->name,
						q->request.order),
				 errdetail("Account Engagement gives %d of them in that order, and cannot go on.",
						   AMPSF_ENGAGEMENT_SEQUENCE),
				 errhint("Leave out ORDER BY or LIMIT, or add a condition on %s.",
						 q->request.order)));
		else if (q->request.descending)
			q->request.time_to = q->last_time + 1;
		else
			q->request.time_from = q->last_time - 1;
		if (q->time >= 0)
			q->given = make_ids(q);
	}
	q->sequence_rows = q->sequence_new = 0;
	ask(q, NULL);
}

/* -------- taking a page -------- */

static void
look_at_warning(EngagementQuery *q)
{
	const char *warning = ampsf_call_header(q->page, "Pardot-Warning");

	q->exceeded = false;
	if (!warning)
		return;
	if (strncmp(warning, "203", 3) == 0)
		q->exceeded = true;
	else if (strncmp(warning, "202", 3) == 0 && !q->redaction_told)
	{
		q->redaction_told = true;
		ereport(WARNING,
				(errcode(ERRCODE_WARNING),
				 errmsg("Account Engagement leaves out records of %s that this user may not see",
						q->request.object->name)));
	}
}

static void
take_page(EngagementQuery *q)
{
	const AmpsfStats arrived = {.pages = 1};
	int status = ampsf_call_status(q->page);
	const char *type;
	MemoryContext old;

	if (status < 200 || status > 299)
		ampsf_call_throw(q->page, "read records from Account Engagement", NULL);
	q->page_no++;
	q->page_rows = 0;
	q->pos = 0;
	q->page_taken = true;
	ampsf_session_count(q->session, &arrived);
	if (q->stats)
		q->stats->pages++;
	look_at_warning(q);
	/* No content: nothing that this user may read. */
	if (status == 204)
	{
		q->at_end = true;
		return;
	}
	type = ampsf_call_header(q->page, "Content-Type");
	if (!type || pg_strncasecmp(type, "application/json", 16) != 0)
		throw_reply(q, psprintf("it is not JSON but %s",
								type ? ampsf_clean_text(type, strlen(type)) : "of unknown type"));
	MemoryContextReset(q->text_cxt);
	old = MemoryContextSwitchTo(q->text_cxt);
	q->text = ampsf_engagement_body(q->page, &q->len);
	MemoryContextSwitchTo(old);
	if (!pg_verify_mbstr(PG_UTF8, q->text, q->len, true))
		throw_reply(q, "it is not UTF-8");
	ampsf_json_scan_reset(q->scan);
}

/* Behind the last record of a page: the next page, the next sequence, or the end. */
static void
end_page(EngagementQuery *q)
{
	const char *token = ampsf_json_scan_next_url(q->scan);

	if (token)
		ask(q, token);
	else if (!ampsf_json_scan_done(q->scan))
		throw_reply(q, "it does not say whether there are more");
	else if (q->exceeded || q->sequence_rows >= AMPSF_ENGAGEMENT_SEQUENCE)
		next_sequence(q);
	else
		q->at_end = true;
}

static int64
read_integer(EngagementQuery *q, const AmpsfValue *v)
{
	char text[32];
	char *end;
	long long n;

	if (v->kind != AMPSF_VALUE_NUMBER || v->len >= sizeof(text))
		throw_reply(q, "a record has no id");
	memcpy(text, v->ptr, v->len);
	text[v->len] = '\0';
	n = strtoll(text, &end, 10);
	if (*end)
		throw_reply(q, "an id is no whole number");
	return n;
}

static int64
read_time(EngagementQuery *q, const AmpsfValue *v)
{
	int64 usecs;

	if (v->kind == AMPSF_VALUE_NULL || !ampsf_parse_datetime(v->ptr, v->len, &usecs))
		throw_reply(q, psprintf("a record has no %s", q->request.order));
	/* toward the past */
	return EPOCH_SHIFT + (usecs >= 0 ? usecs / 1000000 : -((-usecs + 999999) / 1000000));
}

/* Is it to be given?  Notes where it stands. */
static bool
note_record(EngagementQuery *q)
{
	bool known = false;

	q->sequence_rows++;
	q->last_id = read_integer(q, &q->values[q->id]);
	if (q->time >= 0)
	{
		q->last_time = read_time(q, &q->values[q->time]);
		if (q->stops && q->last_time < q->request.time_from)
		{
			q->at_end = true;
			return false;
		}
	}
	if (q->before)
		hash_search(q->before, &q->last_id, HASH_FIND, &known);
	/* A record that is changed while it is read by its time may come once more. */
	if (!known && q->given)
		hash_search(q->given, &q->last_id, HASH_ENTER, &known);
	if (known)
	{
		/* Of a row that the sequence before has given, too: the one after this must know it. */
		if (q->given)
			hash_search(q->given, &q->last_id, HASH_ENTER, NULL);
		return false;
	}
	q->sequence_new++;
	return true;
}

static void
count_row(EngagementQuery *q)
{
	const AmpsfStats read = {.rows = 1};

	if (++q->rows <= q->counted)
		return;
	q->counted++;
	ampsf_session_count(q->session, &read);
	ampsf_usage_rows(q->usage, 1);
	if (q->stats)
		q->stats->rows++;
}

/*
 * Goes on to the next record, which is then in q->values.  Without wait: PENDING where a page has
 * to come first.
 */
static AmpsfSourceState
advance(EngagementQuery *q, bool wait)
{
	if (!q->page && !q->at_end)
		ask(q, NULL);
	while (!q->at_end)
	{
		CHECK_FOR_INTERRUPTS();
		if (!q->page_taken)
		{
			if (wait)
				ampsf_call_wait(q->page);
			else if (!ampsf_call_look(q->page))
				return AMPSF_SOURCE_PENDING;
			take_page(q);
			continue;
		}
		switch (ampsf_json_scan_next(q->scan, q->text, q->len, &q->pos, true, q->values))
		{
			case AMPSF_JSON_RECORD:
				q->page_rows++;
				if (!note_record(q))
					break;
				count_row(q);
				return AMPSF_SOURCE_READY;
			case AMPSF_JSON_END:
				end_page(q);
				break;
			case AMPSF_JSON_MORE:
			case AMPSF_JSON_BAD:
				throw_reply(q, ampsf_json_scan_error(q->scan));
		}
	}
	return AMPSF_SOURCE_END;
}

/* -------- the row source -------- */

static void
query_start(AmpsfRowSource *src)
{
	EngagementQuery *q = (EngagementQuery *) src;

	if (!q->page && !q->at_end)
		ask(q, NULL);
}

static AmpsfSourceState
query_poll(AmpsfRowSource *src)
{
	EngagementQuery *q = (EngagementQuery *) src;
	AmpsfSourceState state = q->has_peeked ? AMPSF_SOURCE_READY : advance(q, false);

	q->has_peeked = state == AMPSF_SOURCE_READY;
	return state;
}

static bool
query_next(AmpsfRowSource *src, AmpsfValue *values)
{
	EngagementQuery *q = (EngagementQuery *) src;

	if (!q->has_peeked && advance(q, true) == AMPSF_SOURCE_END)
		return false;
	q->has_peeked = false;
	memcpy(values, q->values, sizeof(AmpsfValue) * q->nfields);
	return true;
}

static bool
query_rewind(AmpsfRowSource *src)
{
	EngagementQuery *q = (EngagementQuery *) src;

	/* Nothing read yet, or still on the first page. */
	if (q->page_no == 0)
		return true;
	if (q->page_no > 1 || !q->page_taken)
		return false;
	q->pos = 0;
	q->page_rows = q->rows = q->sequence_rows = q->sequence_new = 0;
	/* Without content there is nothing to be read again. */
	q->at_end = q->text == NULL;
	q->has_peeked = false;
	if (q->given)
	{
		hash_destroy(q->given);
		q->given = make_ids(q);
	}
	ampsf_json_scan_reset(q->scan);
	return true;
}

static void
query_close(AmpsfRowSource *src)
{
	MemoryContextDelete(((EngagementQuery *) src)->cxt);
}

static const AmpsfRowSourceOps query_ops = {
	.start = query_start,
	.poll = query_poll,
	.next = query_next,
	.rewind = query_rewind,
	.close = query_close,
};

static void
forget_query(void *arg)
{
	EngagementQuery *q = arg;

	ampsf_json_scan_free(q->scan);
	q->scan = NULL;
}

/* The place of a field among those asked for; it is added if need be. */
static int
place(const char **fields, int *n, const char *name)
{
	for (int i = 0; i < *n; i++)
		if (strcmp(fields[i], name) == 0)
			return i;
	fields[*n] = name;
	return (*n)++;
}

AmpsfRowSource *
ampsf_engagement_query(const AmpsfEngagementRequest *request, const AmpsfQuerySpec *spec)
{
	MemoryContext cxt =
		AllocSetContextCreate(CurrentMemoryContext, "ampsf engagement query", ALLOCSET_SMALL_SIZES);
	MemoryContext old = MemoryContextSwitchTo(cxt);
	EngagementQuery *q = palloc0(sizeof(EngagementQuery));
	const char **fields = palloc(sizeof(char *) * (request->nfields + 2));
	int n = request->nfields;
	StringInfoData names;

	q->src.ops = &query_ops;
	q->src.total = -1;
	q->cxt = cxt;
	q->session = spec->session;
	q->stats = spec->stats;
	q->usage = ampsf_session_usage(spec->session, request->object->name, "query");
	q->request = *request;
	q->stops = set_order(&q->request);
	q->request.order = pstrdup(q->request.order); /* the caller's may go with a parameter */
	q->nfields = request->nfields;
	memcpy(fields, request->fields, sizeof(char *) * request->nfields);
	q->id = place(fields, &n, "id");
	q->time = -1;
	if (strcmp(q->request.order, "id") != 0)
	{
		q->time = place(fields, &n, q->request.order);
		q->given = make_ids(q);
	}
	initStringInfo(&names);
	for (int i = 0; i < n; i++)
		appendStringInfo(&names, "%s%s", i ? "," : "", fields[i]);
	q->fields = ampsf_engagement_escape(names.data);
	q->page_size =
		spec->page_size > 0 ? Min(spec->page_size, AMPSF_ENGAGEMENT_PAGE) : AMPSF_ENGAGEMENT_PAGE;
	if (spec->limit >= 0 && spec->limit < q->page_size)
		q->page_size = Max(spec->limit, 1);
	q->values = palloc0(sizeof(AmpsfValue) * n);
	q->text_cxt = AllocSetContextCreate(cxt, "ampsf engagement page", ALLOCSET_DEFAULT_SIZES);
	q->on_reset.func = forget_query;
	q->on_reset.arg = q;
	MemoryContextRegisterResetCallback(cxt, &q->on_reset);
	q->scan = ampsf_json_scan_create(fields, n);
	if (!q->scan)
		ereport(ERROR, (errcode(ERRCODE_OUT_OF_MEMORY), errmsg("out of memory")));
	ampsf_json_scan_engagement(q->scan);
	MemoryContextSwitchTo(old);
	return &q->src;
}
