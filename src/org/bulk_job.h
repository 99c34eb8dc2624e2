/*
 * bulk_job.h - getting rid of jobs of Bulk API 2.0.
 */
#ifndef AMPSF_BULK_JOB_H
#define AMPSF_BULK_JOB_H

#include "postgres.h"
#include "net/session.h"
#include "wire/json_doc.h"

/* Room for an Id and its NUL. */
#define AMPSF_JOB_ID_SIZE 24

/*
 * The delimiter of our jobs' results, and its name.  Nobody else is likely to choose it, which is
 * how jobs that a killed backend left behind are told from those of other programs: a job carries
 * no name of its client.
 */
#define AMPSF_BULK_DELIMITER '^'
#define AMPSF_BULK_DELIMITER_NAME "CARET"

/*
 * Nobody needs the job any more: it is aborted, unless it has ended, and deleted.  Returns at once,
 * and neither fails nor throws: what follows is done by and by when the backend uses the network,
 * at the end of the transaction, and at that of the backend.  Fit for a context callback.
 */
extern void ampsf_bulk_discard(AmpsfSession *session, const char *id, bool ended);
/*
 * The same for one whose creation has been sent and is not answered: call and the context that
 * holds it, a child of TopMemoryContext, are taken over.
 */
extern void ampsf_bulk_discard_created(AmpsfSession *session, AmpsfCall *call, MemoryContext cxt);
/* The same for an ingest job: rows that Salesforce has not come to are not written. */
extern void ampsf_ingest_discard(AmpsfSession *session, const char *id, bool ended);
extern void ampsf_ingest_discard_created(AmpsfSession *session, AmpsfCall *call, MemoryContext cxt);
/* Aborted, and left for who wants to know what became of its rows; ampsf.jobs_cleanup() finds it.
 */
extern void ampsf_ingest_abort(AmpsfSession *session, const char *id);
/* The Id that the answer to a creation tells; false if there is none. */
extern bool ampsf_job_id(AmpsfJson *answer, char id[AMPSF_JOB_ID_SIZE]);
/* Goes on with that, without waiting. */
extern void ampsf_bulk_sweep(void);

#endif
