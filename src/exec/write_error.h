/*
 * write_error.h - ampsf.write_error: rows that were not written, or of which nobody knows, kept by
 * a path of its own that a rollback does not reach.
 */
#ifndef AMPSF_WRITE_ERROR_H
#define AMPSF_WRITE_ERROR_H

#include "postgres.h"
#include "org/row_sink.h"

typedef struct AmpsfWriteErrors AmpsfWriteErrors;

/* What is the same for all rows of a statement's writes to one table. */
typedef struct AmpsfWriteErrorHead
{
	const char *server;
	const char *relation; /* qualified */
	const char *object;
	const char *operation; /* "insert" ... */
	const char *statement; /* may be NULL */
} AmpsfWriteErrorHead;

/* Copies head; lives in cxt and ends with it.  No process is started before the first row. */
extern AmpsfWriteErrors *ampsf_write_errors_open(const AmpsfWriteErrorHead *head,
												 MemoryContext cxt);
/*
 * Keeps all rows among results that are neither written nor queued, and those in skip[n] (may be
 * NULL) not either; returns how many it kept.  They are committed when this returns: the table has
 * them whatever becomes of the transaction.  Where that cannot be done, a WARNING tells the rows,
 * so that nothing is lost.  Does not ereport an ERROR, takes no interrupts; waits for disk only.
 */
extern int64 ampsf_write_errors_keep(AmpsfWriteErrors *log, const AmpsfWriteResult *results, int n,
									 const bool *skip);
extern void ampsf_write_errors_close(AmpsfWriteErrors *log);

/* "refused", "in doubt" ... */
extern const char *ampsf_outcome_name(AmpsfOutcome outcome);

/*
 * Between the session and its worker: a message is a row of the table, its texts in the order of
 * ampsf_write_error_columns, each as its length (-1: null) and its bytes.
 */
#define AMPSF_WRITE_ERROR_COLUMNS 12
#define AMPSF_WRITE_ERROR_MAGIC 0x616d7766
#define AMPSF_WRITE_ERROR_QUEUE (128 * 1024)

typedef struct AmpsfWriteErrorShared
{
	Oid database;
	Oid table;
	Oid role; /* in whose name the rows were to be written */
	struct PGPROC *session;
	pg_atomic_uint64 committed; /* messages that are safe */
} AmpsfWriteErrorShared;

/* Keys of the table of contents. */
#define AMPSF_WRITE_ERROR_KEY_SHARED 1
#define AMPSF_WRITE_ERROR_KEY_QUEUE 2

#endif
