/*
 * ingest_job.h - one ingest job: created, uploaded, closed, and asked for until Salesforce is
 * through with it.
 *
 * Only for bulk_ingest.c.  Nothing of a job is written before it is closed, so up to there
 * everything may be repeated.
 */
#ifndef AMPSF_INGEST_JOB_H
#define AMPSF_INGEST_JOB_H

#include "postgres.h"
#include "net/http.h"
#include "org/bulk_job.h"
#include "org/ingest_part.h"
#include "wire/csv_scan.h"

typedef enum AmpsfIngestPhase
{
	AMPSF_JOB_NEW,
	AMPSF_JOB_CREATING,
	AMPSF_JOB_UPLOADING,
	AMPSF_JOB_CLOSING,
	AMPSF_JOB_WAITING, /* until it is asked for */
	AMPSF_JOB_ASKING,
	AMPSF_JOB_ENDED /* the outcome of its rows can be told */
} AmpsfIngestPhase;

/* What is known of a row that is on none of the lists. */
typedef enum AmpsfIngestVerdict
{
	AMPSF_VERDICT_WRITTEN,
	AMPSF_VERDICT_NOT_SENT,
	AMPSF_VERDICT_DOUBT,
	AMPSF_VERDICT_SIDE /* goes through collections */
} AmpsfIngestVerdict;

/* The lists of a job, in the order in which they are read. */
typedef enum AmpsfIngestList
{
	AMPSF_LIST_FAILED,
	AMPSF_LIST_UNPROCESSED,
	AMPSF_LIST_NONE
} AmpsfIngestList;

typedef struct AmpsfIngestJob
{
	struct AmpsfIngestJob *next;
	MemoryContext cxt;
	AmpsfIngestPart *part;
	AmpsfIngestPhase phase;
	char id[AMPSF_JOB_ID_SIZE];
	char *upload_path;
	bool closed; /* Salesforce may have begun to write */
	int uploads;
	AmpsfCall *call;
	MemoryContext creating_cxt; /* of the call that creates it, which may have to outlive us */
	AmpsfHttpAlarm alarm;
	int interval;

	/* when it has ended */
	AmpsfIngestVerdict verdict;
	int64 written; /* rows, as it counts them */
	AmpsfIngestList list;
	AmpsfCall *list_call;
	AmpsfCsvScan *scan;
	AmpsfValue *values;
	size_t pos;
	int64 list_rows, pass_over; /* read; and to be, for they were read before it broke off */
	int tries;
	int64 listed;  /* rows on the lists */
	int unmatched; /* rows on the lists that are like none of ours */
	int rest;	   /* where the rows that are on none of them go on */
} AmpsfIngestJob;

/* What the jobs of one sink share. */
typedef struct AmpsfIngestRun
{
	MemoryContext cxt;
	AmpsfSession *session;
	AmpsfWriteSpec spec;
	struct AmpsfUsage *usage;
	bool no_jobs; /* Salesforce refuses them for the object, or altogether */

	bool failed; /* why: */
	bool doubt;
	char *failed_what;
	AmpsfCall *failed_call;
	char *failed_job, *failed_detail;
} AmpsfIngestRun;

/* The part is the job's from now on. */
extern AmpsfIngestJob *ampsf_ingest_begin(AmpsfIngestRun *run, AmpsfIngestPart *part);
/* As far as it goes without waiting. */
extern void ampsf_ingest_step(AmpsfIngestRun *run, AmpsfIngestJob *job);
/* It will not be waited for any longer, and ends as it is. */
extern void ampsf_ingest_give_up(const AmpsfIngestRun *run, AmpsfIngestJob *job);
/* Whatever it waits for is not waited for; a job that is being created will be deleted. */
extern void ampsf_ingest_leave(const AmpsfIngestRun *run, AmpsfIngestJob *job);
/*
 * The job as a whole has come to nothing, or nobody knows to what; the first one that did is what
 * the error will be about.  what: "create a Bulk ingest job"; detail: NULL, if job's call tells.
 */
extern void ampsf_ingest_fail(AmpsfIngestRun *run, AmpsfIngestJob *job, AmpsfIngestVerdict verdict,
							  const char *what, const char *detail);
/* ereport(ERROR): what ampsf_ingest_fail() was told first. */
extern void ampsf_ingest_raise(const AmpsfIngestRun *run) __attribute__((noreturn));

#endif
