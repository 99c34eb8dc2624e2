/*
 * bulk_query.c - a SOQL query as a job of Bulk API 2.0; implements row_source.h.
 *
 * A job is created, asked for at growing intervals until it is complete, and its result is read
 * page by page. A page is CSV of any length, cut while it arrives: a window of it is kept, and the
 * socket waits when nobody reads.  Pages behind it are on their way, see bulk_pages.h.  So there are
 * a few windows of memory, whatever the number and the width of the rows.
 *
 * A page that breaks off is asked for again and its first rows are passed over: a job's result does
 * not change, and a sum over the bytes that were given tells whether that holds. An end that comes
 * at another count of rows than was announced, for the page or for the job, is an error.
 *
 * Where several processes share the result, one creates the job and waits for it, and each reads
 * the pages that it claims, see page_chain.h. Must not know: PostgreSQL's executor, what the fields
 * mean.
 */
#include "postgres.h"

#include "org/row_source.h"

#include "base/error.h"
#include "base/guc.h"
#include "base/progress.h"
#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "net/http.h"
#include "net/usage.h"
#include "org/bulk_job.h"
#include "org/bulk_pages.h"
#include "org/page_chain.h"
#include "utils/memutils.h"
#include "wire/bytesum.h"
#include "wire/csv_scan.h"
#include "wire/json_doc.h"
#include "wire/soql_object.h"
#include "wire/text.h"
#include "wire/utf8.h"

/* No row can be longer: palloc's limit, less than that of StringInfo. */
#define MAX_WINDOW ((size_t) 512 * 1024 * 1024)
/* Milliseconds between two questions about a job at most. */
#define LAST_INTERVAL 10000

#define WHAT_RESULT "read the result of a Bulk query"

typedef enum BulkPhase
{
	BULK_NEW,
	BULK_CREATING,
	BULK_WAITING, /* until the next question */
	BULK_ASKING,
	BULK_READING,
	BULK_END
} BulkPhase;

typedef struct BulkQuery
{
	AmpsfRowSource src; /* first: the rest of the world sees this */
	MemoryContext cxt;
	MemoryContextCallback on_reset;
	AmpsfSession *session;
	AmpsfStats *stats;
	AmpsfUsage *usage;
	char *soql;
	bool all_rows;
	int nfields;
	const uint8 *kinds;
	int *typed; /* [ntyped] the fields that are no strings */
	int ntyped;
	const void *progress;
	AmpsfShare *share; /* NULL: all pages are ours */
	bool shared_job;   /* the job is not ours to discard */

	BulkPhase phase;
	char id[AMPSF_JOB_ID_SIZE]; /* "" before it exists */
	bool complete;
	AmpsfCall *call; /* create or info */
	/* Of the call that creates it, which may have to outlive us: nobody knows the Id before. */
	MemoryContext creating_cxt;
	AmpsfHttpAlarm alarm;
	int interval;

	AmpsfCsvScan *scan;
	AmpsfBulkPages pages;
	bool next_known;  /* the page's headers have been read */
	bool is_last;	  /* and there is none after it */
	int64 announced;  /* rows of the page, -1: it does not say */
	size_t pos;		  /* cut so far, of the part at hand */
	size_t row_start; /* where the row began that was cut last */
	bool header_too;  /* it was the first, and the header was cut with it */
	size_t checked;	  /* of it, what is known to be UTF-8 */
	bool page_over;	  /* no byte will be added to the part */
	int page_no;	  /* from 1 */
	int64 page_rows;  /* given, or passed over */
	AmpsfByteSum sum; /* of the page's bytes up to summed */
	size_t summed;	  /* of the part at hand */
	bool resting;	  /* it has broken off, and is asked for again at the alarm */
	int resumed;
	int64 pass_over; /* rows that were given before it broke off, and their sum */
	AmpsfByteSum given;
	int64 earlier_rows; /* of the pages before it */
	int64 counted;		/* rows that the statistics know of: a rewind reads them again */
	AmpsfValue *peeked;
} BulkQuery;

/* Will there be a job, or is there one, whose Id we do not know? */
static bool
is_expecting(const BulkQuery *q)
{
	int status = q->call ? ampsf_call_status(q->call) : 0;

	return q->call && !q->id[0] &&
		   (ampsf_call_in_flight(q->call) || (status >= 200 && status <= 299));
}

static void
forget_creation(BulkQuery *q)
{
	if (!q->creating_cxt)
		return;
	if (is_expecting(q))
		ampsf_bulk_discard_created(q->session, q->call, q->creating_cxt);
	else
		MemoryContextDelete(q->creating_cxt);
	q->creating_cxt = NULL;
	q->call = NULL;
}

static void
forget_query(void *arg)
{
	BulkQuery *q = arg;

	ampsf_http_alarm_unset(&q->alarm);
	ampsf_csv_scan_free(q->scan);
	q->scan = NULL;
	forget_creation(q);
	if (q->id[0] && !q->shared_job)
		ampsf_bulk_discard(q->session, q->id, q->complete);
	q->id[0] = '\0';
	if (q->counted > 0)
	{
		const AmpsfStats read = {.rows = q->counted};

		ampsf_session_count(q->session, &read);
		ampsf_usage_rows(q->usage, q->counted);
	}
	ampsf_session_release(q->session);
}

static void
throw_reply(BulkQuery *q, const char *detail)
{
	ereport(ERROR,
			(errcode(ERRCODE_FDW_UNABLE_TO_CREATE_REPLY), errmsg("could not " WHAT_RESULT),
			 errdetail("Job %s, page %d: %s.", q->id, q->page_no, detail),
			 errcontext("SOQL: %.*s", pg_mbcliplen(q->soql, strlen(q->soql), 4000), q->soql)));
}

/* A call about the job was not answered well. */
static void __attribute__((noreturn))
throw_call(BulkQuery *q, const AmpsfCall *call, const char *what)
{
	if (ampsf_call_status(call) == 404 && q->id[0])
		ereport(
			ERROR,
			(errcode(ERRCODE_FDW_UNABLE_TO_CREATE_EXECUTION),
			 errmsg("Bulk query job %s is gone", q->id),
			 errdetail("Salesforce does not know it any more: somebody has deleted it."),
			 errhint("Run the statement again. ampsf.jobs_cleanup() spares jobs younger than its "
					 "second argument."),
			 errcontext("SOQL: %.*s", pg_mbcliplen(q->soql, strlen(q->soql), 4000), q->soql)));
	ampsf_call_throw(call, what, q->soql);
}

/* -------- the job -------- */

static AmpsfCall *
start_call(BulkQuery *q, const char *method, const char *path, const char *body, MemoryContext cxt)
{
	AmpsfCallSpec spec = {0};

	spec.method = method;
	spec.path = path;
	spec.body = body;
	spec.body_len = body ? strlen(body) : 0;
	/* A job that is created twice costs a job. */
	spec.idempotent = true;
	spec.stats = q->stats;
	spec.usage = q->usage;
	return ampsf_call_start(q->session, &spec, cxt);
}

static void
create_job(BulkQuery *q)
{
	StringInfoData body;
	char *soql = pg_server_to_any(q->soql, strlen(q->soql), PG_UTF8);
	size_t len = strlen(soql);

	ampsf_bulk_sweep();
	initStringInfo(&body);
	appendStringInfo(&body, "{\"operation\":\"%s\",\"query\":", q->all_rows ? "queryAll" : "query");
	enlargeStringInfo(&body, ampsf_quote_json(soql, len, NULL));
	body.len += ampsf_quote_json(soql, len, body.data + body.len);
	body.data[body.len] = '\0';
	appendStringInfoString(
		&body, ",\"contentType\":\"CSV\",\"columnDelimiter\":\"" AMPSF_BULK_DELIMITER_NAME
			   "\",\"lineEnding\":\"LF\"}");
	q->creating_cxt =
		AllocSetContextCreate(TopMemoryContext, "ampsf job creation", ALLOCSET_SMALL_SIZES);
	q->call = start_call(q, "POST", "jobs/query", body.data, q->creating_cxt);
	q->phase = BULK_CREATING;
	ampsf_progress_phase(q->progress, AMPSF_PHASE_CREATING);
	pfree(body.data);
	if (soql != q->soql)
		pfree(soql);
}

static AmpsfJson *
parse_answer(BulkQuery *q, const char *what, MemoryContext cxt)
{
	int status = ampsf_call_status(q->call);
	const char *text;
	size_t len;
	AmpsfJson *doc;

	if (status < 200 || status > 299)
		throw_call(q, q->call, what);
	text = ampsf_call_body(q->call, &len);
	doc = ampsf_json_parse(text, len, cxt);
	if (!doc)
		ereport(ERROR, (errcode(ERRCODE_FDW_UNABLE_TO_CREATE_REPLY), errmsg("could not %s", what),
						errdetail("The answer is not JSON (%zu bytes).", len)));
	return doc;
}

static void
schedule(BulkQuery *q)
{
	q->phase = BULK_WAITING;
	ampsf_progress_phase(q->progress, AMPSF_PHASE_WAITING);
	ampsf_http_alarm_set(&q->alarm, ampsf_http_now() + q->interval);
	q->interval = Max(q->interval, Min(q->interval + q->interval / 2 + 1, LAST_INTERVAL));
}

static void
take_created(BulkQuery *q, MemoryContext tmp)
{
	AmpsfJson *doc = parse_answer(q, "create a Bulk query job", tmp);

	if (!ampsf_job_id(doc, q->id))
		throw_reply(q, "the answer to its creation has no id");
	if (q->share)
		q->shared_job = ampsf_share_set_job(q->share, q->id);
	schedule(q);
}

static void
note_complete(BulkQuery *q)
{
	q->complete = true;
	if (q->shared_job)
		ampsf_share_job_ended(q->share);
}

/* How far is it? */
static void
take_info(BulkQuery *q, MemoryContext tmp)
{
	AmpsfJson *doc = parse_answer(q, "ask for the state of a Bulk query job", tmp);
	const char *state = ampsf_json_string(doc, "state");

	if (state && strcmp(state, "JobComplete") == 0)
	{
		note_complete(q);
		q->src.total = ampsf_json_int(doc, "numberRecordsProcessed", -1);
		if (q->src.total < 0)
			throw_reply(q, "the job does not tell how many rows it has");
		ampsf_progress_expected(q->progress, q->src.total);
		if (q->share)
			ampsf_share_set_total(q->share, q->src.total);
		q->phase = BULK_READING;
		ampsf_progress_phase(q->progress, AMPSF_PHASE_RESULTS);
		if (q->share)
			ampsf_bulk_pages_ask(&q->pages, NULL);
		else
			ampsf_bulk_pages_start(&q->pages, q->src.total);
	}
	else if (state && (strcmp(state, "UploadComplete") == 0 || strcmp(state, "InProgress") == 0))
		schedule(q);
	else
	{
		const char *why = ampsf_json_string(doc, "errorMessage");

		if (state && (strcmp(state, "Failed") == 0 || strcmp(state, "Aborted") == 0))
			note_complete(q);
		ereport(
			ERROR,
			(errcode(ERRCODE_FDW_UNABLE_TO_CREATE_EXECUTION),
			 errmsg("Bulk query job %s ended without a result", q->id),
			 errdetail("Its state is %s%s%s.", state ? state : "unknown", why ? ": " : "",
					   why ? ampsf_clean_text(why, strlen(why)) : ""),
			 errhint("The table's or server's option transport 'rest' reads without Bulk jobs."),
			 errcontext("SOQL: %.*s", pg_mbcliplen(q->soql, strlen(q->soql), 4000), q->soql)));
	}
}

/* -------- pages -------- */

static void
begin_page(BulkQuery *q)
{
	q->page_no = q->share ? q->share->page_no : q->page_no + 1;
	q->next_known = q->page_over = false;
	q->announced = -1;
	q->pos = q->checked = 0;
	q->page_rows = 0;
	q->pass_over = 0;
	q->resumed = 0;
	q->summed = 0;
	memset(&q->sum, 0, sizeof(q->sum));
	ampsf_csv_scan_reset(q->scan);
}

/* Takes what has been cut since the last time into the sum. */
static void
sum_up(BulkQuery *q, const char *part)
{
	ampsf_bytesum_add(&q->sum, part + q->summed, q->pos - q->summed);
	q->summed = q->pos;
}

/* The page has broken off: once more from its start, and past what has been given. */
static void
resume_page(BulkQuery *q, const char *why)
{
	const AmpsfStats again = {.retries = 1};
	size_t len;

	if (q->resumed++ >= ampsf_session_options(q->session)->max_retries)
	{
		if (ampsf_call_look(q->pages.page.call) && ampsf_call_status(q->pages.page.call) == 0)
			throw_call(q, q->pages.page.call, WHAT_RESULT);
		throw_reply(q, why);
	}
	ereport(DEBUG1, (errmsg_internal("Bulk job %s, page %d is asked for again after " INT64_FORMAT
									 " rows: %s",
									 q->id, q->page_no, q->page_rows, why)));
	if (q->page_rows >= q->pass_over)
	{
		sum_up(q, ampsf_call_part(q->pages.page.call, &len));
		q->given = q->sum;
		q->pass_over = q->page_rows;
	}
	ampsf_call_free(q->pages.page.call);
	q->pages.page.call = NULL;
	ampsf_session_count(q->session, &again);
	if (q->stats)
		ampsf_stats_add(q->stats, &again);
	q->next_known = q->page_over = false;
	q->page_rows = 0;
	q->pos = q->checked = q->summed = 0;
	memset(&q->sum, 0, sizeof(q->sum));
	ampsf_csv_scan_reset(q->scan);
	q->resting = true;
	ampsf_http_alarm_set(&q->alarm, ampsf_http_now() + ampsf_backoff(q->resumed - 1, NULL));
}

/* The rows that were given before the page broke off have come again: are they the same? */
static void
check_given(BulkQuery *q, const char *part)
{
	sum_up(q, part);
	if (!ampsf_bytesum_equal(&q->sum, &q->given))
		throw_reply(q, "it broke off, and now begins with other rows than before");
}

/* The headers are there: how many rows, and where does it go on?  The next page may start at once.
 */
static void
read_headers(BulkQuery *q)
{
	const char *type = ampsf_call_header(q->pages.page.call, "Content-Type");
	const char *rows = ampsf_call_header(q->pages.page.call, "Sforce-NumberOfRecords");
	const char *locator = ampsf_call_header(q->pages.page.call, "Sforce-Locator");
	const AmpsfStats arrived = {.pages = 1};

	if (!type || pg_strncasecmp(type, "text/csv", 8) != 0)
		throw_reply(q, psprintf("it is not CSV but %s",
								type ? ampsf_clean_text(type, strlen(type)) : "of unknown type"));
	q->next_known = true;
	q->announced = rows ? strtoll(rows, NULL, 10) : -1;
	q->is_last = !locator || *locator == '\0' || strcmp(locator, "null") == 0;
	if (q->resumed == 0)
	{
		ampsf_session_count(q->session, &arrived);
		if (q->stats)
			q->stats->pages++;
	}
	if (q->share)
	{
		/* Not a second time for a page that is asked for again. */
		if (q->share->claimed)
			ampsf_share_tell(q->share, q->is_last ? NULL : locator);
	}
	else
		ampsf_bulk_pages_follow(&q->pages, q->is_last ? NULL : locator);
}

/* What has come since is UTF-8?  A character may be cut by the end of the part. */
static void
check_encoding(BulkQuery *q, const char *part, size_t len)
{
	q->checked += ampsf_utf8_valid(part + q->checked, len - q->checked);
	if (q->checked < len && (len - q->checked >= 4 || q->page_over))
		throw_reply(q, "it is not UTF-8");
}

typedef enum CutResult
{
	CUT_ROW,
	CUT_WAIT, /* for bytes */
	CUT_OVER  /* the page is through */
} CutResult;

/* The kinds that JSON would have told. */
static void
set_kinds(const BulkQuery *q, AmpsfValue *values)
{
	for (int i = 0; i < q->ntyped; i++)
	{
		AmpsfValue *v = &values[q->typed[i]];

		if (v->kind != AMPSF_VALUE_STRING)
			continue;
		if (q->kinds[q->typed[i]] == AMPSF_VALUE_NUMBER)
			v->kind = AMPSF_VALUE_NUMBER;
		else if (v->len == 4 && memcmp(v->ptr, "true", 4) == 0)
			v->kind = AMPSF_VALUE_TRUE;
		else if (v->len == 5 && memcmp(v->ptr, "false", 5) == 0)
			v->kind = AMPSF_VALUE_FALSE;
	}
}

/* The next row of the page out of what has come. */
static CutResult
cut_row(BulkQuery *q, AmpsfValue *values)
{
	const char *part;
	size_t len;

	for (;;)
	{
		AmpsfCsvResult r;

		part = ampsf_call_part(q->pages.page.call, &len);
		if (q->checked < len)
			check_encoding(q, part, len);
		q->row_start = q->pos;
		if (unlikely(q->page_rows == 0))
			q->header_too = !ampsf_csv_scan_has_header(q->scan);
		r = ampsf_csv_scan_next(q->scan, part, q->checked, &q->pos, q->page_over, values);
		if (likely(r == AMPSF_CSV_ROW))
		{
			q->page_rows++;
			if (unlikely(q->page_rows <= q->pass_over))
			{
				if (q->page_rows == q->pass_over)
					check_given(q, part);
				continue;
			}
			set_kinds(q, values);
			return CUT_ROW;
		}
		if (r == AMPSF_CSV_MORE)
		{
			size_t rest = len - q->pos;

			if (rest > MAX_WINDOW / 2)
				throw_reply(q, "a row is too long");
			sum_up(q, part);
			ampsf_call_consume(q->pages.page.call, q->pos, rest * 2);
			q->checked -= q->pos;
			q->pos = q->summed = 0;
			if (!q->share)
				ampsf_bulk_pages_ahead(&q->pages);
			return CUT_WAIT;
		}
		/* Whether an empty result has a header at least is not documented. */
		if (q->page_over && len == 0 && q->page_rows == 0 && q->src.total == 0)
			return CUT_OVER;
		if (r == AMPSF_CSV_BAD)
		{
			resume_page(q, ampsf_csv_scan_error(q->scan));
			return CUT_WAIT;
		}
		if (q->announced >= 0 && q->page_rows != q->announced)
		{
			char *why = psprintf(INT64_FORMAT " rows were announced, " INT64_FORMAT " came",
								 q->announced, q->page_rows);

			if (q->page_rows > q->announced)
				throw_reply(q, why);
			resume_page(q, why);
			return CUT_WAIT;
		}
		if (q->page_rows < q->pass_over)
			throw_reply(q, "it broke off, and now ends before the rows that it had");
		return CUT_OVER;
	}
}

static void
end_page(BulkQuery *q)
{
	q->earlier_rows += q->page_rows;
	ampsf_bulk_pages_turn(&q->pages);
	if (q->share)
	{
		int64 rows, total;

		if (!ampsf_share_page_done(q->share, q->page_rows, &rows, &total))
			throw_reply(q, psprintf("the result ended after " INT64_FORMAT
									" rows, the job processed " INT64_FORMAT,
									rows, total));
		return;
	}
	if (q->is_last)
	{
		q->phase = BULK_END;
		if (q->src.total >= 0 && q->earlier_rows != q->src.total)
			throw_reply(q, psprintf("the result ended after " INT64_FORMAT
									" rows, the job processed " INT64_FORMAT,
									q->earlier_rows, q->src.total));
		return;
	}
	begin_page(q);
}

/* Asks for a page that nobody else reads. */
static void
ask_shared(BulkQuery *q)
{
	if (!ampsf_share_claim(q->share))
	{
		q->phase = BULK_END;
		return;
	}
	ampsf_bulk_pages_ask(&q->pages, *q->share->address ? q->share->address : NULL);
	begin_page(q);
}

/* A step of the page that is being read.  CUT_OVER: the result has ended. */
static CutResult
read_page(BulkQuery *q, AmpsfValue *values)
{
	for (;;)
	{
		CutResult r;

		if (unlikely(q->resting))
		{
			if (q->alarm.due > ampsf_http_now())
				return CUT_WAIT;
			ampsf_http_alarm_unset(&q->alarm);
			q->resting = false;
			ampsf_bulk_pages_ask_again(&q->pages);
		}
		if (q->share && !q->pages.page.call)
			ask_shared(q);
		if (q->phase == BULK_END)
			return CUT_OVER;
		if (!q->page_over && ampsf_call_look(q->pages.page.call))
		{
			int status = ampsf_call_status(q->pages.page.call);

			if (ampsf_call_begun(q->pages.page.call) && status == 0)
			{
				resume_page(q, "it broke off");
				continue;
			}
			if (status == 400 && q->page_no == 1 && ampsf_bulk_pages_ask_unlisted(&q->pages))
				continue;
			if (status != 200)
			{
				if (status >= 200 && status <= 299)
					throw_reply(q, psprintf("its answer has the status %d", status));
				throw_call(q, q->pages.page.call, WHAT_RESULT);
			}
			q->page_over = true;
		}
		if (!q->next_known)
		{
			if (!ampsf_call_begun(q->pages.page.call) && !q->page_over)
				return CUT_WAIT;
			read_headers(q);
		}
		r = cut_row(q, values);
		if (r == CUT_WAIT && q->page_over)
			continue; /* asked for again, or bytes are left in the part */
		if (r != CUT_OVER)
			return r;
		end_page(q);
	}
}

/* Moves the job as far as it goes without waiting; true: it is being read, or through. */
static bool
move_job(BulkQuery *q)
{
	for (;;)
	{
		switch (q->phase)
		{
			case BULK_NEW:
				create_job(q);
				break;
			case BULK_CREATING:
			case BULK_ASKING:
			{
				MemoryContext tmp;

				if (!ampsf_call_look(q->call))
					return false;
				tmp = AllocSetContextCreate(q->cxt, "ampsf job", ALLOCSET_SMALL_SIZES);
				if (q->phase == BULK_CREATING)
					take_created(q, tmp);
				else
					take_info(q, tmp);
				MemoryContextDelete(tmp);
				ampsf_call_free(q->call);
				q->call = NULL;
				forget_creation(q);
				break;
			}
			case BULK_WAITING:
				if (q->alarm.due > ampsf_http_now())
					return false;
				ampsf_http_alarm_unset(&q->alarm);
				q->call = start_call(q, "GET", psprintf("jobs/query/%s", q->id), NULL, q->cxt);
				q->phase = BULK_ASKING;
				break;
			case BULK_READING:
				if (unlikely(q->page_no == 0))
				{
					if (!q->share && !ampsf_bulk_pages_started(&q->pages))
						return false;
					if (q->pages.page.call)
						begin_page(q);
				}
				return true;
			case BULK_END:
				return true;
		}
	}
}

/* -------- the row source -------- */

static void
query_start(AmpsfRowSource *src)
{
	BulkQuery *q = (BulkQuery *) src;

	if (q->phase == BULK_NEW)
		create_job(q);
}

/*
 * The next row without waiting: CUT_ROW fills values, CUT_OVER is the end, CUT_WAIT says that the
 * network must move first.
 */
static CutResult
advance(BulkQuery *q, AmpsfValue *values)
{
	MemoryContext old = MemoryContextSwitchTo(q->cxt);
	CutResult r = CUT_WAIT;

	if (move_job(q))
		r = q->phase == BULK_END ? CUT_OVER : read_page(q, values);
	MemoryContextSwitchTo(old);
	return r;
}

static AmpsfSourceState
query_poll(AmpsfRowSource *src)
{
	BulkQuery *q = (BulkQuery *) src;

	switch (advance(q, q->peeked))
	{
		case CUT_ROW:
			/* Put back: what is cut does not survive a move of the network, which may come before
			 * next(). */
			q->pos = q->row_start;
			q->page_rows--;
			if (q->page_rows == 0 && q->header_too)
				ampsf_csv_scan_reset(q->scan);
			return AMPSF_SOURCE_READY;
		case CUT_OVER:
			return AMPSF_SOURCE_END;
		case CUT_WAIT:
			break;
	}
	return AMPSF_SOURCE_PENDING;
}

static bool
query_next(AmpsfRowSource *src, AmpsfValue *values)
{
	BulkQuery *q = (BulkQuery *) src;
	CutResult r;

	while ((r = advance(q, values)) == CUT_WAIT)
	{
		uint64 moves = ampsf_call_moves();

		CHECK_FOR_INTERRUPTS();
		if (q->share && ampsf_share_is_closed(q->share))
			return false;
		ampsf_call_drive();
		if (ampsf_call_moves() == moves)
			ampsf_call_sleep();
	}
	if (r == CUT_OVER)
		return false;
	if (unlikely(q->earlier_rows + q->page_rows > q->counted))
	{
		q->counted++;
		if (q->stats)
			q->stats->rows++;
	}
	return true;
}

/* The job's result stays as it is, and is read once more. */
static bool
query_rewind(AmpsfRowSource *src)
{
	BulkQuery *q = (BulkQuery *) src;

	if (q->share)
		return false;
	if (q->phase != BULK_READING && q->phase != BULK_END)
		return true;
	if (q->page_no <= 1 && q->earlier_rows + q->page_rows == 0 && q->phase == BULK_READING)
		return true;
	ampsf_http_alarm_unset(&q->alarm);
	q->resting = false;
	q->page_no = 0;
	q->earlier_rows = 0;
	q->phase = BULK_READING;
	ampsf_bulk_pages_start(&q->pages, q->src.total);
	return true;
}

AmpsfBulkAcceptance
ampsf_bulk_acceptance(AmpsfRowSource *src)
{
	BulkQuery *q = (BulkQuery *) src;
	MemoryContext old;

	if (q->phase == BULK_CREATING)
	{
		int status;

		if (!ampsf_call_look(q->call))
			return AMPSF_BULK_ASKED;
		/* The object, the user, the org: all else is an error of pages too. */
		status = ampsf_call_status(q->call);
		if (status == 400 || status == 403 || status == 404)
			return AMPSF_BULK_REFUSED;
		old = MemoryContextSwitchTo(q->cxt);
		move_job(q);
		MemoryContextSwitchTo(old);
	}
	return AMPSF_BULK_ACCEPTED;
}

void
ampsf_bulk_throw(AmpsfRowSource *src)
{
	ampsf_call_throw(((BulkQuery *) src)->call, "create a Bulk query job",
					 ((BulkQuery *) src)->soql);
}

static void
query_close(AmpsfRowSource *src)
{
	MemoryContextDelete(((BulkQuery *) src)->cxt);
	ampsf_bulk_sweep();
	ampsf_call_drive();
}

static const AmpsfRowSourceOps bulk_ops = {
	.start = query_start,
	.poll = query_poll,
	.next = query_next,
	.rewind = query_rewind,
	.close = query_close,
};

AmpsfRowSource *
ampsf_bulk_query(const AmpsfQuerySpec *spec)
{
	MemoryContext cxt =
		AllocSetContextCreate(CurrentMemoryContext, "ampsf Bulk query", ALLOCSET_SMALL_SIZES);
	MemoryContext old = MemoryContextSwitchTo(cxt);
	BulkQuery *q = palloc0(sizeof(BulkQuery));
	char object[AMPSF_USAGE_OBJECT];

	q->src.ops = &bulk_ops;
	q->src.total = -1;
	q->cxt = cxt;
	q->session = spec->session;
	q->stats = spec->stats;
	q->soql = pstrdup(spec->soql);
	(void) ampsf_soql_object(q->soql, object, sizeof(object));
	q->usage = ampsf_session_usage(q->session, object, "bulk query");
	q->all_rows = spec->all_rows;
	q->nfields = spec->nfields;
	q->kinds = spec->kinds;
	q->progress = spec->progress;
	q->typed = palloc(sizeof(int) * Max(spec->nfields, 1));
	for (int i = 0; i < spec->nfields; i++)
		if (spec->kinds[i] != AMPSF_VALUE_STRING)
			q->typed[q->ntyped++] = i;
	q->interval = ampsf_bulk_poll_interval;
	q->pages.cxt = cxt;
	q->pages.session = q->session;
	q->pages.stats = q->stats;
	q->pages.usage = q->usage;
	q->pages.id = q->id;
	q->share = spec->share;
	if (q->share && !q->share->first)
	{
		/* Somebody has created it, and it has a result. */
		strlcpy(q->id, ampsf_share_job(q->share), sizeof(q->id));
		q->shared_job = q->complete = true;
		q->src.total = ampsf_share_total(q->share);
		q->phase = BULK_READING;
	}
	q->peeked = palloc0(sizeof(AmpsfValue) * Max(spec->nfields, 1));
	ampsf_session_hold(q->session);
	q->on_reset.func = forget_query;
	q->on_reset.arg = q;
	MemoryContextRegisterResetCallback(cxt, &q->on_reset);
	q->scan = ampsf_csv_scan_create(spec->fields, spec->nfields, AMPSF_BULK_DELIMITER);
	if (!q->scan)
		ereport(ERROR, (errcode(ERRCODE_OUT_OF_MEMORY), errmsg("out of memory")));
	MemoryContextSwitchTo(old);
	return &q->src;
}
