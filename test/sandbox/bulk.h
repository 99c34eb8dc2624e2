/*
 * bulk.h - the jobs of Bulk API 2.0: the table of them, what they are asked, and the thread that
 * works on them.
 *
 * A job belongs to the table; who holds one between two locks of the table holds a reference.
 * Locks: the store's may be held when the table's is taken, never the other way round.  Must not
 * know: libmicrohttpd.
 */
#ifndef SANDBOX_BULK_H
#define SANDBOX_BULK_H

#include "bulk_result.h"
#include "http.h"
#include "schema.h"
#include "store.h"

#define BULK_MAX_RETRIES 15
#define BULK_RETRIED "InternalServerError : The query was retried 15 times and did not succeed"

typedef enum BulkState
{
	BULK_OPEN,
	BULK_UPLOADED,
	BULK_RUNNING,
	BULK_COMPLETE,
	BULK_FAILED,
	BULK_ABORTED
} BulkState;

typedef enum BulkOperation
{
	BULK_QUERY,
	BULK_QUERY_ALL, /* the queries end here */
	BULK_INSERT,
	BULK_UPDATE,
	BULK_UPSERT,
	BULK_DELETE,
	BULK_HARD_DELETE
} BulkOperation;

typedef struct BulkJob
{
	char id[SF_ID_LEN + 1];
	char user_id[SF_ID_LEN + 1];
	char version[8];
	char *client; /* of Sforce-Call-Options, or NULL */
	BulkOperation operation;
	const Object *object;
	char *soql;
	const Field *key; /* upsert: its external id */
	char *assignment; /* assignmentRuleId, or NULL */
	char delimiter;
	bool crlf;
	bool pk_chunking; /* could be done for that statement */
	time_t created, modified;
	double started; /* when it was ready to be worked on: monotonic() */

	BulkState state;	/* that clients have been told */
	BulkState finished; /* that it will end in, once its time has come; BULK_OPEN: not yet known */
	BulkState fate;		/* fault: how it will end when that many rows have been written */
	int64_t stop_after; /* -1: all */
	int polls;			/* times that it was asked for since it was started */
	bool taken;			/* the thread has it */
	bool worked;		/* and has let go of it */
	bool stuck;			/* it never ends by itself */
	int retries;
	int64_t processed, failed;
	double took_ms;
	char *error;

	BulkResult *result; /* queries; ingest: the rows that were written */
	int generation;		/* of its locators */

	char *content; /* ingest: what was uploaded, until it has been worked on */
	size_t content_len;
	bool uploaded;
	bool multipart;
	bool lock_row; /* fault: the first row is locked */
	BulkResult *refused, *unprocessed;

	int refs;
	bool gone; /* deleted */
	struct BulkJob *next;
} BulkJob;

/* What tests set, by the command line or at run time; guarded by the table's lock. */
typedef struct BulkSettings
{
	int ms;					   /* that a job takes at least */
	int polls;				   /* times that a job is asked for before it may end */
	int page_rows;			   /* rows of a result page at most */
	int list_rows;			   /* jobs in a page of the list */
	int query_jobs;			   /* that may be created in 24 hours */
	int storage_mb;			   /* of results in 24 hours */
	int upload_mb;			   /* of one ingest job */
	int batches;			   /* of 10,000 rows in 24 hours */
	int keep;				   /* results kept for jobs that say the same */
	bool natural;			   /* results come in the order of Ids */
	bool empty_bare;		   /* a result without rows has no header */
	bool early_204;			   /* results of a job that is not complete: 204, not 400 */
	bool hard_delete;		   /* the users may */
	int batch_rows;			   /* of an ingest job in a batch */
	int rows;				   /* of ingest jobs in 24 hours */
	int chunk_ms;			   /* that 200 rows of an ingest job keep their locks */
	int workers;			   /* jobs that are worked on at a time */
	bool line_ends_everywhere; /* those inside of quotes have to be the job's too */
	bool blanks_fail_job;	   /* blanks outside of quotes: the whole job, not the row */
	char refuse[1000];		   /* objects that it has nothing to do with, separated by commas */
} BulkSettings;

extern BulkSettings bulk_settings;
/* One setting by its name; false if there is none or the value does not fit. */
bool bulk_set(const char *name, const char *value);
/* True if the object is in settings.refuse. */
bool bulk_refused(const Object *o);

/* ---- bulk_job.c: the table ---- */

void bulk_lock(void);
void bulk_unlock(void);
/* A new job with an Id, not yet in the table. */
BulkJob *bulk_new(const Request *r, BulkOperation op, const Object *o);
/* Puts it into the table; false, and the job freed, when there have been too many today. */
bool bulk_add(BulkJob *j);
/* A reference, or NULL; the job's state has been brought up to date. */
BulkJob *bulk_find(const char *id);
void bulk_release(BulkJob *j);
/* Counts a question about its state, and waits a moment for what is nearly done. */
void bulk_poll(BulkJob *j);
/* Waits until the thread has let go of the job. */
void bulk_wait_work(BulkJob *j);
/* What a fault on the creation means for the job, which is not in the table yet. */
struct Fault;
void bulk_strike(BulkJob *j, const struct Fault *f);
/* One of the day's batches; false with the reason if they, or the day's rows, are used up. */
bool bulk_take_batch(char **error);
void bulk_count_rows(int64_t n);
/* These are called with the table locked. */
void bulk_start(BulkJob *j); /* it may be worked on */
void bulk_end_as(BulkJob *j, BulkState state, const char *error);
bool bulk_ended(const BulkJob *j);
void bulk_forget(BulkJob *j); /* takes it off the table */
BulkJob *bulk_first(void);
/* Today's counts, for limits. */
int64_t bulk_jobs_left(void);
int64_t bulk_batches_left(void);
int64_t bulk_storage_left(void);
bool bulk_storage_full(void);
/* All jobs go, and the thread rests, so that the org may be filled again; bulk_stop() also ends the
 * thread. */
void bulk_reset(void);
void bulk_stop(void);
void bulk_list_admin(Buf *out);

static inline bool
bulk_is_query(const BulkJob *j)
{
	return j->operation <= BULK_QUERY_ALL;
}

/* True if nobody wants the job's outcome any more; takes the table's lock. */
bool bulk_unwanted(const BulkJob *j);

/* ---- the work, done by the thread without any lock held ---- */

/* bulk_query.c: false with the job's error filled */
bool bulk_run_query(BulkJob *j, char **error);
/*
 * bulk_keep.c: the result of a job that said the same, if no row has changed since, or NULL; and
 * one to keep.  With store_lock() held.
 */
BulkResult *bulk_keep_find(const BulkJob *j);
void bulk_keep_add(const BulkJob *j, uint64_t version, BulkResult *r);
void bulk_keep_clear(void);
/* bulk_apply.c */
bool bulk_run_ingest(BulkJob *j, char **error);
BulkResult *bulk_never_applied(BulkJob *j); /* all rows, of a job that was not worked on */

/* ---- resources ---- */

/* bulk_http.c: everything under jobs; called without store_lock() */
void bulk_resource(Request *r, Response *w);
/* The job's JSON as its info shows it, or shorter. */
typedef enum BulkShow
{
	BULK_SHOW_CREATED,
	BULK_SHOW_CHANGED,
	BULK_SHOW_INFO,
	BULK_SHOW_LISTED
} BulkShow;
void bulk_json(Buf *b, const BulkJob *j, BulkShow show);
/* Reads columnDelimiter, lineEnding and contentType of a request; false with the answer filled. */
bool bulk_format(BulkJob *j, json_object *o, Response *w);
/* Results belong to the version that the job was created with: 409 for another. */
bool bulk_other_version(const Request *r, Response *w, const BulkJob *j);
const char *bulk_text(json_object *o, const char *name); /* NULL if it is absent or null */
/* The answer with rows of a result from first on; whole: no pages. */
void bulk_send_rows(Request *r, Response *w, BulkResult *res, int64_t first, int64_t count);

void bulk_query_create(Request *r, Response *w);			  /* bulk_query.c */
void bulk_query_results(Request *r, Response *w, BulkJob *j); /* GET results */
void bulk_query_pages(Request *r, Response *w, BulkJob *j);	  /* GET resultPages */
void bulk_ingest_create(Request *r, Response *w);			  /* bulk_ingest.c */
void bulk_ingest_upload(Request *r, Response *w, BulkJob *j); /* PUT batches */
void bulk_ingest_close(Request *r, Response *w, BulkJob *j);  /* state UploadComplete */
void bulk_ingest_results(Request *r, Response *w, BulkJob *j, const char *which); /* the CSVs */

#endif
