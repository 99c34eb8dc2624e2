/*
 * ingest_job.c - see ingest_job.h.
 *
 * Must not know: where the rows come from, which of them failed.
 */
#include "postgres.h"

#include "org/ingest_job.h"

#include "base/error.h"
#include "base/guc.h"
#include "utils/memutils.h"
#include "wire/json_doc.h"

/* Milliseconds between two looks at a job, at most. */
#define LAST_INTERVAL 5000
/* How often the upload of a part is tried, each time with a job of its own. */
#define UPLOADS 3

AmpsfIngestJob *
ampsf_ingest_begin(AmpsfIngestRun *run, AmpsfIngestPart *part)
{
	MemoryContext cxt = AllocSetContextCreate(run->cxt, "ampsf ingest job", ALLOCSET_DEFAULT_SIZES);
	/* Not in cxt: who tidies up when all of run->cxt goes still looks at it. */
	AmpsfIngestJob *job = MemoryContextAllocZero(run->cxt, sizeof(AmpsfIngestJob));

	job->cxt = cxt;
	job->part = part;
	job->interval = ampsf_bulk_poll_interval;
	return job;
}

/* -------- calls -------- */

/* In cxt, not in the job's: what went wrong with a call is told when its job is forgotten. */
static AmpsfCall *
start_call(AmpsfIngestRun *run, const char *method, const char *path, const char *body,
		   MemoryContext cxt)
{
	AmpsfCallSpec spec = {.idempotent = true, .usage = run->usage, .stats = run->spec.stats};

	spec.method = method;
	spec.path = path;
	spec.body = body;
	spec.body_len = body ? strlen(body) : 0;
	return ampsf_call_start(run->session, &spec, cxt);
}

static void
create_job(AmpsfIngestRun *run, AmpsfIngestJob *job)
{
	static const char *const operations[] = {"insert", "update", "delete", "upsert"};
	char *body =
		psprintf("{\"object\":\"%s\",\"operation\":\"%s\",%s%s%s\"contentType\":\"CSV\","
				 "\"columnDelimiter\":\"" AMPSF_BULK_DELIMITER_NAME "\",\"lineEnding\":\"LF\"}",
				 run->spec.object,
				 run->spec.op == AMPSF_DELETE && run->spec.hard_delete ? "hardDelete"
																	   : operations[run->spec.op],
				 run->spec.op == AMPSF_UPSERT ? "\"externalIdFieldName\":\"" : "",
				 run->spec.op == AMPSF_UPSERT ? run->spec.key : "",
				 run->spec.op == AMPSF_UPSERT ? "\"," : "");

	ampsf_bulk_sweep();
	job->creating_cxt =
		AllocSetContextCreate(TopMemoryContext, "ampsf ingest job", ALLOCSET_SMALL_SIZES);
	job->call = start_call(run, "POST", "jobs/ingest", body, job->creating_cxt);
	job->phase = AMPSF_JOB_CREATING;
	pfree(body);
}

static void
upload(AmpsfIngestRun *run, AmpsfIngestJob *job)
{
	AmpsfCallSpec spec = {.usage = run->usage, .stats = run->spec.stats};
	size_t len;

	spec.method = "PUT";
	spec.path = job->upload_path;
	spec.body_fd = ampsf_part_seal(job->part, &len);
	spec.body_len = len;
	spec.content_type = "text/csv; charset=UTF-8";
	job->uploads++;
	job->call = ampsf_call_start(run->session, &spec, run->cxt);
	job->phase = AMPSF_JOB_UPLOADING;
}

static void
close_job(AmpsfIngestRun *run, AmpsfIngestJob *job)
{
	job->call = start_call(run, "PATCH", psprintf("jobs/ingest/%s", job->id),
						   "{\"state\":\"UploadComplete\"}", run->cxt);
	job->phase = AMPSF_JOB_CLOSING;
	job->closed = true;
}

static void
schedule(AmpsfIngestJob *job)
{
	job->phase = AMPSF_JOB_WAITING;
	ampsf_http_alarm_set(&job->alarm, ampsf_http_now() + job->interval);
	job->interval = Max(job->interval, Min(job->interval + job->interval / 2 + 1, LAST_INTERVAL));
}

static bool
is_2xx(const AmpsfCall *call)
{
	int status = ampsf_call_status(call);

	return status >= 200 && status <= 299;
}

static AmpsfJson *
read_answer(AmpsfIngestJob *job)
{
	size_t len;
	const char *text = ampsf_call_body(job->call, &len);

	return ampsf_json_parse(text, len, job->cxt);
}

/* Done with the call that job waited for. */
static void
drop_call(AmpsfIngestJob *job)
{
	if (job->call)
		ampsf_call_free(job->call);
	job->call = NULL;
	if (job->creating_cxt)
		MemoryContextDelete(job->creating_cxt);
	job->creating_cxt = NULL;
}

void
ampsf_ingest_leave(const AmpsfIngestRun *run, AmpsfIngestJob *job)
{
	int status = job->call ? ampsf_call_status(job->call) : 0;

	/* Its Id is not known yet, and nobody else would find it. */
	if (job->creating_cxt && job->call &&
		(ampsf_call_in_flight(job->call) || (status >= 200 && status <= 299)))
	{
		ampsf_ingest_discard_created(run->session, job->call, job->creating_cxt);
		job->call = NULL;
		job->creating_cxt = NULL;
	}
	drop_call(job);
	ampsf_http_alarm_unset(&job->alarm);
}

/* -------- how a job ends -------- */

void
ampsf_ingest_fail(AmpsfIngestRun *run, AmpsfIngestJob *job, AmpsfIngestVerdict verdict,
				  const char *what, const char *detail)
{
	job->phase = AMPSF_JOB_ENDED;
	job->verdict = verdict;
	job->list = AMPSF_LIST_NONE;
	ampsf_http_alarm_unset(&job->alarm);
	if (run->failed)
	{
		drop_call(job);
		return;
	}
	run->failed = true;
	run->doubt = verdict == AMPSF_VERDICT_DOUBT;
	run->failed_what = MemoryContextStrdup(run->cxt, what);
	run->failed_job = MemoryContextStrdup(run->cxt, job->id);
	if (detail)
	{
		run->failed_detail = MemoryContextStrdup(run->cxt, detail);
		drop_call(job);
	}
	else
	{
		run->failed_call = job->call;
		job->call = NULL;
		if (job->creating_cxt)
			MemoryContextSetParent(job->creating_cxt, run->cxt);
		job->creating_cxt = NULL;
	}
}

/* Salesforce is through with it. */
static void
end_job(AmpsfIngestRun *run, AmpsfIngestJob *job, AmpsfJson *doc, bool complete)
{
	const char *state = ampsf_json_string(doc, "state");
	const char *why = ampsf_json_string(doc, "errorMessage");
	int64 processed = ampsf_json_int(doc, "numberRecordsProcessed", -1);
	int64 failed = ampsf_json_int(doc, "numberRecordsFailed", -1);
	int64 rows = ampsf_part_rows(job->part);

	if (processed < 0 || failed < 0 || failed > processed || processed > rows)
	{
		ampsf_ingest_fail(
			run, job, AMPSF_VERDICT_DOUBT, "account for the rows of a Bulk ingest job",
			psprintf("It speaks of %lld rows processed and %lld failed, of %lld that were sent.",
					 (long long) processed, (long long) failed, (long long) rows));
		return;
	}
	job->written = processed - failed;
	if (!complete)
	{
		if (job->written == 0 && processed == 0)
		{
			ampsf_ingest_fail(run, job, AMPSF_VERDICT_NOT_SENT, "write by a Bulk ingest job",
							  psprintf("Its state is %s%s%s.", state, why ? ": " : "",
									   why ? ampsf_clean_text(why, strlen(why)) : ""));
			return;
		}
		ampsf_ingest_fail(run, job, AMPSF_VERDICT_WRITTEN, "write all rows by a Bulk ingest job",
						  psprintf("Its state is %s%s%s. Of %lld rows %lld were written.", state,
								   why ? ": " : "", why ? ampsf_clean_text(why, strlen(why)) : "",
								   (long long) rows, (long long) job->written));
	}
	job->phase = AMPSF_JOB_ENDED;
	job->verdict = AMPSF_VERDICT_WRITTEN;
	job->list = failed > 0		   ? AMPSF_LIST_FAILED
				: processed < rows ? AMPSF_LIST_UNPROCESSED
								   : AMPSF_LIST_NONE;
	if (run->spec.stats)
		run->spec.stats->rows += job->written;
}

/* -------- a job's steps -------- */

static void
take_created(AmpsfIngestRun *run, AmpsfIngestJob *job)
{
	AmpsfJson *doc;
	const char *id, *url;

	if (!is_2xx(job->call))
	{
		int status = ampsf_call_status(job->call);

		if (run->spec.any_transport && (status == 400 || status == 403 || status == 404))
		{
			ereport(DEBUG1, (errmsg_internal("no Bulk ingest job for %s, status %d",
											 run->spec.object, status)));
			drop_call(job);
			run->no_jobs = true;
			job->phase = AMPSF_JOB_ENDED;
			job->verdict = AMPSF_VERDICT_SIDE;
			job->list = AMPSF_LIST_NONE;
		}
		else
			ampsf_ingest_fail(run, job, AMPSF_VERDICT_NOT_SENT, "create a Bulk ingest job", NULL);
		return;
	}
	doc = read_answer(job);
	id = ampsf_json_string(doc, "id");
	url = ampsf_json_string(doc, "contentUrl");
	if (!id || strlen(id) >= AMPSF_JOB_ID_SIZE ||
		strspn(id, "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ") != strlen(id))
	{
		ampsf_ingest_fail(run, job, AMPSF_VERDICT_NOT_SENT, "create a Bulk ingest job",
						  "The answer has no id.");
		return;
	}
	strcpy(job->id, id);
	/* It comes without its first slash. */
	if (url && strncmp(url + (*url == '/'), "services/data/", 14) == 0)
		job->upload_path = MemoryContextStrdup(job->cxt, *url == '/' ? url : psprintf("/%s", url));
	else
		job->upload_path = MemoryContextStrdup(job->cxt, psprintf("jobs/ingest/%s/batches", id));
	drop_call(job);
	upload(run, job);
}

/* A part is uploaded once to a job: where it is not sure that it was, another job is made. */
static void
take_uploaded(AmpsfIngestRun *run, AmpsfIngestJob *job)
{
	int status = ampsf_call_status(job->call);

	if (is_2xx(job->call))
	{
		drop_call(job);
		close_job(run, job);
	}
	else if ((status == 0 || status >= 500) && job->uploads < UPLOADS)
	{
		drop_call(job);
		ampsf_ingest_discard(run->session, job->id, false);
		job->id[0] = '\0';
		create_job(run, job);
	}
	else
		ampsf_ingest_fail(run, job, AMPSF_VERDICT_NOT_SENT, "upload the rows of a Bulk ingest job",
						  NULL);
}

static void
take_closed(AmpsfIngestRun *run, AmpsfIngestJob *job)
{
	int status = ampsf_call_status(job->call);
	AmpsfApiError err;
	size_t len;
	const char *body = ampsf_call_body(job->call, &len);

	/* Refused for its state it is one that the first of two such calls has closed; it will tell. */
	if (!is_2xx(job->call))
	{
		ampsf_error_parse(status, body, len, &err);
		if (status == 0 || status >= 500)
		{
			ampsf_ingest_fail(run, job, AMPSF_VERDICT_DOUBT, "close a Bulk ingest job", NULL);
			return;
		}
		if (!err.code || pg_strcasecmp(err.code, "INVALIDJOBSTATE") != 0)
		{
			job->closed = false;
			ampsf_ingest_fail(run, job, AMPSF_VERDICT_NOT_SENT, "close a Bulk ingest job", NULL);
			return;
		}
	}
	drop_call(job);
	schedule(job);
}

static void
take_info(AmpsfIngestRun *run, AmpsfIngestJob *job)
{
	AmpsfJson *doc;
	const char *state;

	if (!is_2xx(job->call))
	{
		ampsf_ingest_fail(run, job, AMPSF_VERDICT_DOUBT, "ask for the state of a Bulk ingest job",
						  NULL);
		return;
	}
	doc = read_answer(job);
	state = ampsf_json_string(doc, "state");
	drop_call(job);
	if (state && strcmp(state, "JobComplete") == 0)
		end_job(run, job, doc, true);
	else if (state && (strcmp(state, "Failed") == 0 || strcmp(state, "Aborted") == 0))
		end_job(run, job, doc, false);
	else if (state && (strcmp(state, "UploadComplete") == 0 || strcmp(state, "InProgress") == 0))
		schedule(job);
	else
		ampsf_ingest_fail(run, job, AMPSF_VERDICT_DOUBT, "ask for the state of a Bulk ingest job",
						  psprintf("Its state is %s.",
								   state ? ampsf_clean_text(state, strlen(state)) : "unknown"));
}

void
ampsf_ingest_step(AmpsfIngestRun *run, AmpsfIngestJob *job)
{
	MemoryContext old = MemoryContextSwitchTo(job->cxt);

	for (;;)
	{
		AmpsfIngestPhase phase = job->phase;

		if (phase == AMPSF_JOB_ENDED || (job->call && !ampsf_call_look(job->call)))
			break;
		switch (phase)
		{
			case AMPSF_JOB_NEW:
				create_job(run, job);
				break;
			case AMPSF_JOB_CREATING:
				take_created(run, job);
				break;
			case AMPSF_JOB_UPLOADING:
				take_uploaded(run, job);
				break;
			case AMPSF_JOB_CLOSING:
				take_closed(run, job);
				break;
			case AMPSF_JOB_WAITING:
				if (job->alarm.due > ampsf_http_now())
				{
					MemoryContextSwitchTo(old);
					return;
				}
				ampsf_http_alarm_unset(&job->alarm);
				job->call =
					start_call(run, "GET", psprintf("jobs/ingest/%s", job->id), NULL, run->cxt);
				job->phase = AMPSF_JOB_ASKING;
				break;
			case AMPSF_JOB_ASKING:
				take_info(run, job);
				break;
			case AMPSF_JOB_ENDED:
				break;
		}
	}
	MemoryContextSwitchTo(old);
}

void
ampsf_ingest_give_up(const AmpsfIngestRun *run, AmpsfIngestJob *job)
{
	ampsf_ingest_leave(run, job);
	if (job->list_call)
		ampsf_call_free(job->list_call);
	job->list_call = NULL;
	if (job->phase != AMPSF_JOB_ENDED)
		job->verdict = job->closed ? AMPSF_VERDICT_DOUBT : AMPSF_VERDICT_NOT_SENT;
	else if (job->list != AMPSF_LIST_NONE)
		job->verdict = AMPSF_VERDICT_DOUBT;
	job->list = AMPSF_LIST_NONE;
	job->phase = AMPSF_JOB_ENDED;
}

void
ampsf_ingest_raise(const AmpsfIngestRun *run)
{
	Assert(run->failed);
	if (run->doubt)
		ereport(ERROR,
				(errcode(ERRCODE_TRANSACTION_RESOLUTION_UNKNOWN),
				 errmsg("the outcome of %s is unknown: could not %s",
						ampsf_write_noun(run->spec.op), run->failed_what),
				 errdetail("Job %s of %s. %s", run->failed_job, run->spec.object,
						   run->failed_detail ? run->failed_detail : "The connection was lost."),
				 errhint("Setup > Bulk Data Load Jobs shows what became of the job's rows.")));
	if (run->failed_call)
		ampsf_call_throw(run->failed_call, run->failed_what, NULL);
	ereport(ERROR,
			(errcode(ERRCODE_FDW_UNABLE_TO_CREATE_EXECUTION),
			 errmsg("could not %s", run->failed_what),
			 errdetail("Job %s of %s. %s", run->failed_job, run->spec.object, run->failed_detail),
			 errhint("The option write_transport 'collections' writes without Bulk jobs.")));
}
