/*
 * bulk_ingest.c - writes through ingest jobs of Bulk API 2.0: many rows for a few calls.
 *
 * Rows are collected into parts, files of CSV.  A full part becomes a job: created, uploaded,
 * closed, and asked for at growing intervals until Salesforce is through with it, while the next
 * part is filled; so memory depends neither on the number of rows nor on their size.  Then the
 * job's lists of failed and unprocessed rows are read, each is matched to what was sent, and the
 * job's counts must add up: what is on neither list was written.  Nothing of a job is written
 * before it is closed, so up to there everything may be repeated.
 *
 * What CSV cannot say, and rows that somebody else had locked, go through collections at the side.
 * Must not know: tables, columns, the executor.
 */
#include "postgres.h"

#include "base/ampsf.h"
#include "base/error.h"
#include "miscadmin.h"
#include "org/ingest_job.h"
#include "org/row_sink.h"
#include "utils/memutils.h"
#include "wire/csv_scan.h"
#include "wire/text.h"

/* Rows and bytes of a part.  Salesforce takes 100 MB. */
#define PART_ROWS 100000
#define PART_BYTES (90 * 1000 * 1000)
/* Parts that Salesforce works on at the same time. */
#define MAX_JOBS 2
/* How often a list of rows is asked for that breaks off. */
#define LIST_TRIES 4
#define LIST_WINDOW (256 * 1024)
/* Outcomes handed out at once. */
#define OUTCOMES 500
/* The network is looked after each time so many rows were added. */
#define ROWS_BETWEEN_LOOKS 256

typedef struct Ingest
{
	AmpsfRowSink base;
	AmpsfIngestRun run; /* its session is held */
	MemoryContext cxt;
	MemoryContext result_cxt;
	MemoryContextCallback on_reset;
	AmpsfIngestColumns *columns;
	AmpsfIngestPart *part; /* being filled; NULL: none */
	AmpsfIngestJob *jobs;  /* in the order of their parts */
	AmpsfRowSink *side;	   /* collections; NULL: not needed so far */
	AmpsfWriteResult *results;
} Ingest;

/* How many are not through? */
static int
step_all(Ingest *sink)
{
	int busy = 0;

	for (AmpsfIngestJob *job = sink->jobs; job; job = job->next)
	{
		ampsf_ingest_step(&sink->run, job);
		busy += job->phase != AMPSF_JOB_ENDED;
	}
	if (sink->run.failed)
		sink->base.failed = true;
	return busy;
}

/* Waits until no more than so many jobs are busy. */
static void
wait_for_jobs(Ingest *sink, int most)
{
	for (;;)
	{
		uint64 moves = ampsf_call_moves();

		CHECK_FOR_INTERRUPTS();
		if (step_all(sink) <= most)
			return;
		ampsf_call_drive();
		if (ampsf_call_moves() == moves)
			ampsf_call_sleep();
	}
}

static void
begin_job(Ingest *sink, AmpsfIngestPart *part)
{
	AmpsfIngestJob **last = &sink->jobs;

	while (*last)
		last = &(*last)->next;
	*last = ampsf_ingest_begin(&sink->run, part);
}

/* All that was asked of Salesforce has been told. */
static void
forget_job(Ingest *sink, AmpsfIngestJob *job)
{
	AmpsfIngestJob **at = &sink->jobs;

	while (*at != job)
		at = &(*at)->next;
	*at = job->next;
	/* Of rows in doubt the job itself is the only witness. */
	if (job->id[0] && job->verdict == AMPSF_VERDICT_DOUBT)
		ampsf_ingest_abort(sink->run.session, job->id);
	else if (job->id[0])
		ampsf_ingest_discard(sink->run.session, job->id,
							 job->phase == AMPSF_JOB_ENDED && job->closed);
	if (job->scan)
		ampsf_csv_scan_free(job->scan);
	ampsf_ingest_leave(&sink->run, job);
	ampsf_part_free(job->part);
	MemoryContextDelete(job->cxt);
	pfree(job);
}

/* -------- the lists of an ended job -------- */

static void
ask_list(Ingest *sink, AmpsfIngestJob *job)
{
	static const char *const accept_csv[] = {"Accept: text/csv", NULL};
	AmpsfCallSpec spec = {.method = "GET",
						  .idempotent = true,
						  .usage = sink->run.usage,
						  .stats = sink->run.spec.stats};
	const char *const *names;
	int n = ampsf_part_columns(job->part, &names);
	const char **fields = palloc(sizeof(char *) * (n + 2));

	if (job->scan)
		ampsf_csv_scan_free(job->scan);
	for (int i = 0; i < n; i++)
		fields[i] = names[i];
	if (job->list == AMPSF_LIST_FAILED)
	{
		fields[n++] = "sf__Id";
		fields[n++] = "sf__Error";
	}
	job->scan = ampsf_csv_scan_create(fields, n, AMPSF_INGEST_DELIMITER);
	if (!job->scan)
		ereport(ERROR, (errcode(ERRCODE_OUT_OF_MEMORY), errmsg("out of memory")));
	job->values = MemoryContextAlloc(job->cxt, sizeof(AmpsfValue) * n);
	job->pos = 0;
	job->list_rows = 0;
	job->tries++;
	spec.path = psprintf("jobs/ingest/%s/%s/", job->id,
						 job->list == AMPSF_LIST_FAILED ? "failedResults" : "unprocessedrecords");
	spec.headers = accept_csv;
	spec.window = LIST_WINDOW;
	job->list_call = ampsf_call_start(sink->run.session, &spec, job->cxt);
}

/* The next row of the list into job->values: 1; 0 at its end; -1 if it cannot be read. */
static int
read_list(Ingest *sink, AmpsfIngestJob *job)
{
	for (;;)
	{
		uint64 moves = ampsf_call_moves();
		const char *part;
		size_t len;
		bool over;

		CHECK_FOR_INTERRUPTS();
		if (!job->list_call)
			ask_list(sink, job);
		over = ampsf_call_look(job->list_call);
		if (over && ampsf_call_status(job->list_call) != 200)
		{
			ampsf_call_free(job->list_call);
			job->list_call = NULL;
			if (job->tries >= LIST_TRIES)
				return -1;
			/* What was read once is not matched again. */
			job->pass_over = Max(job->pass_over, job->list_rows);
			continue;
		}
		if (over || ampsf_call_begun(job->list_call))
		{
			AmpsfCsvResult r;

			if (job->pos > 0)
				ampsf_call_consume(job->list_call, job->pos, 0);
			job->pos = 0;
			part = ampsf_call_part(job->list_call, &len);
			r = ampsf_csv_scan_next(job->scan, part, len, &job->pos, over, job->values);
			if (r == AMPSF_CSV_ROW)
			{
				if (job->list_rows++ < job->pass_over)
					continue;
				return 1;
			}
			if (r == AMPSF_CSV_BAD)
				return -1;
			if (r == AMPSF_CSV_END)
			{
				ampsf_call_free(job->list_call);
				job->list_call = NULL;
				return 0;
			}
			ampsf_call_consume(job->list_call, job->pos, len - job->pos + LIST_WINDOW);
			job->pos = 0;
		}
		ampsf_call_drive();
		if (ampsf_call_moves() == moves)
			ampsf_call_sleep();
	}
}

static char *
value_text(const AmpsfValue *value)
{
	char *text = palloc(value->len + 1);
	size_t len = value->len;

	if (value->kind == AMPSF_VALUE_NULL)
		len = 0;
	else if (value->kind == AMPSF_VALUE_DOUBLED)
		len = ampsf_csv_unquote(value->ptr, value->len, text);
	else
		memcpy(text, value->ptr, len);
	text[len] = '\0';
	return text;
}

/* CODE:message:FIELD1,FIELD2 -- */
static void
read_error(char *text, AmpsfWriteResult *res)
{
	char *colon = strchr(text, ':');
	size_t len = strlen(text);
	char *fields;

	res->code = text;
	if (!colon)
	{
		res->code = pstrdup("UNKNOWN_EXCEPTION");
		res->message = text;
		return;
	}
	*colon = '\0';
	res->message = colon + 1;
	if (len < 2 || strcmp(text + len - 2, "--") != 0 || !(fields = strrchr(res->message, ':')))
		return;
	text[len - 2] = '\0';
	*fields++ = '\0';
	len = strlen(fields);
	while (len > 0 && fields[len - 1] == ' ')
		fields[--len] = '\0';
	res->fields = len > 0 ? fields : NULL;
}

static AmpsfRowSink *
side_sink(Ingest *sink)
{
	if (!sink->side)
	{
		MemoryContext old = MemoryContextSwitchTo(sink->cxt);
		AmpsfWriteSpec spec = sink->run.spec;

		spec.max_rows = 200;
		sink->side = ampsf_collections_open(&spec);
		MemoryContextSwitchTo(old);
	}
	return sink->side;
}

/* The fields as the list repeats them, each as a string. */
static char *
echo_fields(const char *const *names, int n, const AmpsfValue *values, size_t *len)
{
	StringInfoData out;

	initStringInfo(&out);
	for (int i = 0; i < n; i++)
	{
		const char *dot = strchr(names[i], '.');
		char *text = value_text(&values[i]);

		if (values[i].kind == AMPSF_VALUE_NULL)
			continue;
		if (out.len > 0)
			appendStringInfoChar(&out, ',');
		if (dot)
			appendStringInfo(&out, "\"%.*s\":{\"%s\":", (int) (dot - names[i]), names[i], dot + 1);
		else
			appendStringInfo(&out, "\"%s\":", names[i]);
		enlargeStringInfo(&out, ampsf_quote_json(text, strlen(text), NULL));
		out.len += ampsf_quote_json(text, strlen(text), out.data + out.len);
		out.data[out.len] = '\0';
		if (dot)
			appendStringInfoChar(&out, '}');
		pfree(text);
	}
	*len = out.len;
	return out.data;
}

/*
 * The row of the list that was just read, as an outcome.  False if it is none: it was locked by
 * somebody else, and is sent again at the side.
 */
static bool
take_listed(Ingest *sink, AmpsfIngestJob *job, AmpsfWriteResult *res)
{
	const char *const *names;
	int n = ampsf_part_columns(job->part, &names);
	AmpsfWriteRow row;
	bool certain;
	int at = ampsf_part_find(job->part, job->values, &certain);
	bool unmatched = at < 0;

	memset(res, 0, sizeof(*res));
	job->listed++;
	if (unmatched)
	{
		/* Some row of ours it is: what is told of it is what the list says. */
		job->unmatched++;
		at = ampsf_part_rest(job->part, 0);
		if (at < 0)
			return false;
		ampsf_part_take(job->part, at);
	}
	/* By its key there is no other; nor does it harm to update or delete that one again. */
	if (at >= 0 && sink->run.spec.op != AMPSF_INSERT && !unmatched)
		certain = true;
	ampsf_part_row(job->part, at, true, &row);
	res->number = row.number;
	res->flags = row.flags;
	if (certain)
	{
		res->row = row.fields;
		res->row_len = row.len;
		if (row.id)
			strlcpy(res->id, row.id, sizeof(res->id));
	}
	else
		res->row = echo_fields(names, n, job->values, &res->row_len);
	if (job->list == AMPSF_LIST_UNPROCESSED)
	{
		res->outcome = AMPSF_NOT_SENT;
		return true;
	}
	res->outcome = AMPSF_REFUSED;
	if (!*res->id && job->values[n].kind != AMPSF_VALUE_NULL)
		strlcpy(res->id, value_text(&job->values[n]), sizeof(res->id));
	read_error(value_text(&job->values[n + 1]), res);
	/* Only what was refused for certain: to insert another one again would double it. */
	if (certain && strcmp(res->code, "UNABLE_TO_LOCK_ROW") == 0 &&
		!(sink->run.spec.op == AMPSF_DELETE && sink->run.spec.hard_delete))
	{
		side_sink(sink)->ops->add(sink->side, &row);
		return false;
	}
	return true;
}

static int
compare_numbers(const void *a, const void *b)
{
	int64 x = ((const AmpsfWriteResult *) a)->number, y = ((const AmpsfWriteResult *) b)->number;

	return x < y ? -1 : x > y;
}

/* The next outcomes of rows of an ended job; 0 when all have been told. */
static int
read_outcomes(Ingest *sink, AmpsfIngestJob *job)
{
	int n = 0;

	while (job->list != AMPSF_LIST_NONE && n < OUTCOMES)
	{
		int got;

		/* Others have come back that are to be sent again: these first. */
		if (sink->side && !sink->side->ops->has_room(sink->side, 0))
			return n;
		got = read_list(sink, job);
		if (got > 0)
			n += take_listed(sink, job, &sink->results[n]);
		else if (got == 0)
		{
			bool more = job->list == AMPSF_LIST_FAILED &&
						job->written + job->listed < ampsf_part_rows(job->part);

			job->list = more ? AMPSF_LIST_UNPROCESSED : AMPSF_LIST_NONE;
			job->pass_over = job->tries = 0;
		}
		else
			ampsf_ingest_fail(&sink->run, job, AMPSF_VERDICT_DOUBT,
							  "read which rows of a Bulk ingest job failed",
							  "The list broke off, or is not what it should be.");
		if (job->list == AMPSF_LIST_NONE && job->verdict == AMPSF_VERDICT_WRITTEN &&
			job->written + job->listed != ampsf_part_rows(job->part))
			ampsf_ingest_fail(&sink->run, job, AMPSF_VERDICT_DOUBT,
							  "account for the rows of a Bulk ingest job",
							  psprintf("It wrote %lld rows, and has %lld on its lists of others, "
									   "of %d that were sent.",
									   (long long) job->written, (long long) job->listed,
									   ampsf_part_rows(job->part)));
	}
	/* The first that is told may be the only one that an error names. */
	qsort(sink->results, n, sizeof(AmpsfWriteResult), compare_numbers);
	if (sink->run.failed)
		sink->base.failed = true;
	for (;;)
	{
		AmpsfWriteResult *res = &sink->results[n];
		AmpsfWriteRow row;
		int at = ampsf_part_rest(job->part, job->rest);

		if (at < 0 || n == OUTCOMES)
			break;
		job->rest = at;
		if (job->verdict == AMPSF_VERDICT_SIDE && sink->side &&
			!sink->side->ops->has_room(sink->side, 0))
			break;
		ampsf_part_row(job->part, at, job->verdict != AMPSF_VERDICT_WRITTEN, &row);
		ampsf_part_take(job->part, at);
		if (job->verdict == AMPSF_VERDICT_SIDE)
		{
			side_sink(sink)->ops->add(sink->side, &row);
			continue;
		}
		n++;
		memset(res, 0, sizeof(*res));
		res->number = row.number;
		res->flags = row.flags;
		res->row = row.fields;
		res->row_len = row.len;
		if (row.id)
			strlcpy(res->id, row.id, sizeof(res->id));
		res->outcome = job->verdict == AMPSF_VERDICT_WRITTEN ? AMPSF_WRITTEN
					   : job->verdict == AMPSF_VERDICT_DOUBT ? AMPSF_IN_DOUBT
															 : AMPSF_NOT_SENT;
		res->created = res->outcome == AMPSF_WRITTEN && sink->run.spec.op == AMPSF_INSERT;
	}
	return n;
}

/* -------- the sink -------- */

static bool
has_room(const AmpsfRowSink *base, size_t len)
{
	const Ingest *sink = (const Ingest *) base;

	if (sink->side && !sink->side->ops->has_room(sink->side, len))
		return false;
	/* A value in quotes may grow, each quote in it to two. */
	return !sink->part || (ampsf_part_rows(sink->part) < PART_ROWS &&
						   ampsf_part_bytes(sink->part) + 2 * len < PART_BYTES);
}

static void
ship(Ingest *sink)
{
	if (sink->part)
		begin_job(sink, sink->part);
	sink->part = NULL;
}

static void
add(AmpsfRowSink *base, const AmpsfWriteRow *row)
{
	Ingest *sink = (Ingest *) base;

	base->waiting++;
	if (sink->run.no_jobs || !ampsf_ingest_expressible(sink->columns, row))
	{
		side_sink(sink)->ops->add(sink->side, row);
		return;
	}
	if (ampsf_ingest_widen(sink->columns, row) && sink->part)
	{
		wait_for_jobs(sink, MAX_JOBS - 1);
		ship(sink);
	}
	if (!sink->part)
	{
		MemoryContext old = MemoryContextSwitchTo(sink->cxt);

		sink->part = ampsf_part_open(sink->columns);
		MemoryContextSwitchTo(old);
	}
	ampsf_part_add(sink->part, row);
	if (sink->jobs && ampsf_part_rows(sink->part) % ROWS_BETWEEN_LOOKS == 0)
	{
		ampsf_call_drive();
		step_all(sink);
	}
}

static void
flush(AmpsfRowSink *base, bool finish)
{
	Ingest *sink = (Ingest *) base;

	base->waiting = 0;
	if (sink->side && sink->side->waiting > 0)
		sink->side->ops->flush(sink->side, true);
	if (base->failed)
	{
		ship(sink);
		for (AmpsfIngestJob *job = sink->jobs; job; job = job->next)
			if (job->phase == AMPSF_JOB_NEW)
				ampsf_ingest_fail(&sink->run, job, AMPSF_VERDICT_NOT_SENT, "", "");
	}
	else if (finish || !has_room(base, 0))
		ship(sink);
	else if (sink->part)
		base->waiting = ampsf_part_rows(sink->part);
	wait_for_jobs(sink, finish ? 0 : MAX_JOBS);
}

static int
results(AmpsfRowSink *base, AmpsfWriteResult **out)
{
	Ingest *sink = (Ingest *) base;
	MemoryContext old;
	AmpsfIngestJob *next = NULL;
	int n = 0;

	MemoryContextReset(sink->result_cxt);
	old = MemoryContextSwitchTo(sink->result_cxt);
	*out = sink->results;
	for (AmpsfIngestJob *job = sink->jobs; n == 0; job = next)
	{
		/* Rows at the side have an outcome when they have been sent. */
		if (sink->side)
		{
			bool full = !sink->side->ops->has_room(sink->side, 0);

			if (sink->side->waiting > 0 && (full || (!job && !sink->part)))
				sink->side->ops->flush(sink->side, true);
			n = sink->side->ops->results(sink->side, out);
			if (sink->side->failed)
				base->failed = true;
			if (n > 0)
				break;
		}
		if (!job)
			break;
		next = job->next;
		if (job->phase != AMPSF_JOB_ENDED)
			continue;
		*out = sink->results;
		n = read_outcomes(sink, job);
		if (n == 0 && (job->list != AMPSF_LIST_NONE || ampsf_part_rest(job->part, 0) >= 0))
			next = job; /* what is at the side must be sent first */
		else if (n == 0)
			forget_job(sink, job);
	}
	MemoryContextSwitchTo(old);
	return n;
}

static void
stop(AmpsfRowSink *base)
{
	Ingest *sink = (Ingest *) base;

	ship(sink);
	base->waiting = 0;
	for (AmpsfIngestJob *job = sink->jobs; job; job = job->next)
		if (job->phase != AMPSF_JOB_ENDED && !job->closed)
			ampsf_ingest_give_up(&sink->run, job);
	wait_for_jobs(sink, 0);
}

static void
abandon(AmpsfRowSink *base)
{
	Ingest *sink = (Ingest *) base;

	ship(sink);
	for (AmpsfIngestJob *job = sink->jobs; job; job = job->next)
		ampsf_ingest_give_up(&sink->run, job);
	if (sink->side)
		sink->side->ops->abandon(sink->side);
	base->waiting = 0;
}

static void throw_failure(AmpsfRowSink *base) __attribute__((noreturn));

static void
throw_failure(AmpsfRowSink *base)
{
	Ingest *sink = (Ingest *) base;

	if (sink->side && sink->side->failed && !sink->run.failed_what)
		sink->side->ops->raise(sink->side);
	ampsf_ingest_raise(&sink->run);
}

/* Jobs that nobody waits for any more are aborted, and deleted if they cannot have written. */
static void
forget_sink(void *arg)
{
	Ingest *sink = arg;

	for (AmpsfIngestJob *job = sink->jobs; job; job = job->next)
	{
		/* Other calls have gone with the memory below ours. */
		if (!job->creating_cxt)
			job->call = NULL;
		ampsf_ingest_leave(&sink->run, job);
		if (job->scan)
			ampsf_csv_scan_free(job->scan);
		job->scan = NULL;
		if (job->id[0] && job->closed)
			ampsf_ingest_abort(sink->run.session, job->id);
		else if (job->id[0])
			ampsf_ingest_discard(sink->run.session, job->id, false);
	}
	sink->jobs = NULL;
	ampsf_session_release(sink->run.session);
}

static void
close_sink(AmpsfRowSink *base)
{
	Ingest *sink = (Ingest *) base;

	if (sink->side)
		sink->side->ops->close(sink->side);
	MemoryContextDelete(sink->cxt);
}

static const AmpsfRowSinkOps ingest_ops = {
	.name = "bulk",
	.has_room = has_room,
	.add = add,
	.flush = flush,
	.results = results,
	.stop = stop,
	.abandon = abandon,
	.raise = throw_failure,
	.close = close_sink,
};

AmpsfRowSink *
ampsf_ingest_open(const AmpsfWriteSpec *spec)
{
	MemoryContext cxt =
		AllocSetContextCreate(CurrentMemoryContext, "ampsf ingest", ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(cxt);
	static const char *const kinds[] = {"bulk insert", "bulk update", "bulk delete", "bulk upsert"};
	Ingest *sink = palloc0(sizeof(Ingest));

	sink->base.ops = &ingest_ops;
	sink->cxt = sink->run.cxt = cxt;
	sink->result_cxt = AllocSetContextCreate(cxt, "ampsf ingest results", ALLOCSET_DEFAULT_SIZES);
	sink->run.spec = *spec;
	sink->run.spec.object = pstrdup(spec->object);
	sink->run.spec.key = spec->key ? pstrdup(spec->key) : NULL;
	sink->run.spec.headers = NULL;
	sink->columns = ampsf_ingest_columns(spec->op, sink->run.spec.key, cxt);
	sink->results = palloc(sizeof(AmpsfWriteResult) * OUTCOMES);
	sink->run.session = spec->session;
	sink->run.usage = ampsf_session_usage(spec->session, spec->object, kinds[spec->op]);
	ampsf_session_hold(sink->run.session);
	sink->on_reset.func = forget_sink;
	sink->on_reset.arg = sink;
	MemoryContextRegisterResetCallback(cxt, &sink->on_reset);
	MemoryContextSwitchTo(old);
	return &sink->base;
}
