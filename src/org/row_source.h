/*
 * row_source.h - the one face of everything that yields rows.
 *
 * The executor and the SQL functions know only this.
 */
#ifndef AMPSF_ROW_SOURCE_H
#define AMPSF_ROW_SOURCE_H

#include "postgres.h"
#include "net/session.h"
#include "wire/json_scan.h"

typedef enum AmpsfSourceState
{
	AMPSF_SOURCE_READY,	  /* next() will give a record without waiting */
	AMPSF_SOURCE_PENDING, /* an answer is on its way: wait on ampsf_call_fd() */
	AMPSF_SOURCE_END	  /* all records have been given */
} AmpsfSourceState;

typedef struct AmpsfRowSource AmpsfRowSource;

typedef struct AmpsfRowSourceOps
{
	/* Sends the first request, returns at once. */
	void (*start)(AmpsfRowSource *src);
	/*
	 * Whether a record is at hand, without waiting.  Drives the network only by accident (see
	 * ampsf_call_moves()): who polls calls ampsf_call_drive() first.  May ereport.
	 */
	AmpsfSourceState (*poll)(AmpsfRowSource *src);
	/*
	 * The next record, waiting if it must: values[nfields], valid until the following call.  False
	 * at the end of the data, and only then: whatever goes wrong is an ERROR.
	 */
	bool (*next)(AmpsfRowSource *src, AmpsfValue *values);
	/* Back to the first record with no call, if all records are still at hand; else false. */
	bool (*rewind)(AmpsfRowSource *src);
	/* Cancels what is under way and frees everything. */
	void (*close)(AmpsfRowSource *src);
} AmpsfRowSourceOps;

struct AmpsfRowSource
{
	const AmpsfRowSourceOps *ops;
	int64 total; /* rows of the whole result once known, else -1 */
};

typedef struct AmpsfQuerySpec
{
	AmpsfSession *session;
	const char *soql;
	const char *const *fields; /* what to cut from each record, as in json_scan.h */
	int nfields;
	bool all_rows; /* queryAll */
	int page_size; /* 0: Salesforce's default */
	int64 limit;   /* the reader needs no more; -1: unknown. Only a hint against prefetching */
	int max_pages; /* 0: all; else it ends after so many, though there may be more: for samples */
	/*
	 * Not NULL: set, in place of an error, if Salesforce answers that there are more groups than it
	 * gives; the query has no rows then.  REST only.
	 */
	bool *too_many_groups;
	AmpsfStats *stats; /* may be NULL */
	/*
	 * Of Bulk, whose values are all texts: what kind of value each field has, AMPSF_VALUE_STRING,
	 * AMPSF_VALUE_NUMBER or AMPSF_VALUE_TRUE (a boolean).
	 */
	const uint8 *kinds;
	const void *progress; /* who owns the report of progress; see base/progress.h */
	/*
	 * Not NULL: other processes read pages of the same result, and limit and max_pages are not
	 * looked at. Such a source has no poll() and no rewind(), and start() does nothing.
	 */
	struct AmpsfShare *share;
} AmpsfQuerySpec;

/* A query over REST; it lives in a child of the current context, and ends with it. */
extern AmpsfRowSource *ampsf_rest_query(const AmpsfQuerySpec *spec);
/*
 * The same as a job of Bulk API 2.0; page_size, limit and max_pages are not looked at.  The job is
 * aborted and deleted when the source is closed, or when its context ends.
 */
extern AmpsfRowSource *ampsf_bulk_query(const AmpsfQuerySpec *spec);

typedef enum AmpsfBulkAcceptance
{
	AMPSF_BULK_ASKED,
	AMPSF_BULK_ACCEPTED, /* there is a job */
	AMPSF_BULK_REFUSED	 /* the org makes no such job */
} AmpsfBulkAcceptance;

/* Without waiting, and without an error for a refusal, which ampsf_bulk_throw() tells. */
extern AmpsfBulkAcceptance ampsf_bulk_acceptance(AmpsfRowSource *bulk);
extern void ampsf_bulk_throw(AmpsfRowSource *bulk) __attribute__((noreturn));

#endif
