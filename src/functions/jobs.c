/*
 * jobs.c - ampsf.jobs_cleanup(): Bulk jobs that nobody will discard any more.
 *
 * A backend that is killed, or whose connection is lost at the wrong moment, leaves its job in the
 * org, where it goes on and keeps its result for seven days.  Ours are known by their delimiter
 * (see org/bulk_job.h).  A job that is younger than the caller says may be one that another backend
 * is reading or writing by; what an ingest job has not come to is not written then.
 *
 * The lists are read to their ends before the first job goes: how a list pages that is changed
 * meanwhile is not documented.
 */
#include "postgres.h"

#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "functions/server_arg.h"
#include "org/bulk_job.h"
#include "org/json_call.h"
#include "wire/wiretime.h"

PG_FUNCTION_INFO_V1(ampsf_sql_jobs_cleanup);

/* One request about a job; its status.  A refusal is an answer: the job may have ended or gone
 * meanwhile. */
static int
tell(AmpsfSession *session, const char *method, const char *kind, const char *id, const char *body)
{
	AmpsfCallSpec spec = {.idempotent = true, .method = method, .body = body};
	AmpsfCall *call;
	int status;

	spec.usage = ampsf_session_usage(session, NULL, "job cleanup");
	spec.path = psprintf("jobs/%s/%s", kind, id);
	spec.body_len = body ? strlen(body) : 0;
	call = ampsf_call_start(session, &spec, CurrentMemoryContext);
	ampsf_call_wait(call);
	status = ampsf_call_status(call);
	if (status == 0 || status == 401 || status >= 500)
		ampsf_call_throw(call, "discard a Bulk job", NULL);
	ampsf_call_free(call);
	return status;
}

typedef struct LeftJob
{
	char id[AMPSF_JOB_ID_SIZE];
	const char *kind; /* query or ingest */
	const char *state;
	const char *object; /* or NULL */
	TimestampTz created;
} LeftJob;

/* The job, in the current context, if it is ours and old enough; else NULL. */
static LeftJob *
consider(AmpsfJson *job, TimestampTz before)
{
	const char *id = ampsf_json_string(job, "id");
	const char *state = ampsf_json_string(job, "state");
	const char *delimiter = ampsf_json_string(job, "columnDelimiter");
	const char *created = ampsf_json_string(job, "createdDate");
	const char *object = ampsf_json_string(job, "object");
	const char *type = ampsf_json_string(job, "jobType");
	LeftJob *left;
	int64 at;

	if (!id || !state || !delimiter || strcmp(delimiter, AMPSF_BULK_DELIMITER_NAME) != 0 ||
		!created || !ampsf_parse_datetime(created, strlen(created), &at) || at > before ||
		strlen(id) >= AMPSF_JOB_ID_SIZE)
		return NULL;
	left = palloc(sizeof(LeftJob));
	strcpy(left->id, id);
	/* A later page of the list of query jobs is, by the address of its sample, one of ingest jobs.
	 */
	left->kind = type && strcmp(type, "V2Ingest") == 0 ? "ingest" : "query";
	left->state = pstrdup(state);
	left->object = object ? pstrdup(object) : NULL;
	left->created = at;
	return left;
}

/* Aborts and deletes the job; a row about it. */
static void
discard(AmpsfSession *session, const LeftJob *left, ReturnSetInfo *rsinfo)
{
	Datum values[4];
	bool nulls[4] = {false};

	CHECK_FOR_INTERRUPTS();
	if (strcmp(left->state, "Open") == 0 || strcmp(left->state, "UploadComplete") == 0 ||
		strcmp(left->state, "InProgress") == 0)
		tell(session, "PATCH", left->kind, left->id, "{\"state\":\"Aborted\"}");
	if (tell(session, "DELETE", left->kind, left->id, NULL) >= 400)
		return;
	values[0] = CStringGetTextDatum(left->id);
	nulls[1] = left->object == NULL;
	values[1] = left->object ? CStringGetTextDatum(left->object) : (Datum) 0;
	values[2] = CStringGetTextDatum(left->state);
	values[3] = TimestampTzGetDatum(left->created);
	tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
}

Datum
ampsf_sql_jobs_cleanup(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	ForeignServer *server = ampsf_server_arg(NameStr(*PG_GETARG_NAME(0)));
	TimestampTz before = DatumGetTimestampTz(DirectFunctionCall2(
		timestamptz_mi_interval, TimestampTzGetDatum(GetCurrentTimestamp()), PG_GETARG_DATUM(1)));
	AmpsfSession *session = ampsf_session_get(server->serverid, GetUserId());
	static const char *const lists[] = {"jobs/query?jobType=V2Query",
										"jobs/ingest?jobType=V2Ingest"};
	MemoryContext pages[2];
	MemoryContext jobs = CurrentMemoryContext;
	List *found = NIL;
	ListCell *lc;
	int n = 0;

	PreventCommandIfReadOnly("ampsf.jobs_cleanup()");
	InitMaterializedSRF(fcinfo, 0);
	for (int i = 0; i < 2; i++)
		pages[i] =
			AllocSetContextCreate(CurrentMemoryContext, "ampsf jobs", ALLOCSET_DEFAULT_SIZES);
	for (int kind = 0; kind < (int) lengthof(lists); kind++)
	{
		const char *path = lists[kind];

		while (path)
		{
			MemoryContext page = pages[n++ % 2];
			AmpsfJson *doc, *list;

			MemoryContextReset(page);
			MemoryContextSwitchTo(page);
			doc = ampsf_json_call(session, path, NULL, "list Bulk jobs", page);
			list = ampsf_json_get(doc, "records");
			MemoryContextSwitchTo(jobs);
			for (int i = 0; i < ampsf_json_array_length(list); i++)
			{
				LeftJob *left = consider(ampsf_json_array_get(list, i), before);

				if (left)
					found = lappend(found, left);
			}
			path = ampsf_json_bool(doc, "done", true) ? NULL
													  : ampsf_json_string(doc, "nextRecordsUrl");
		}
	}
	foreach (lc, found)
		discard(session, lfirst(lc), rsinfo);
	for (int i = 0; i < 2; i++)
		MemoryContextDelete(pages[i]);
	return (Datum) 0;
}
