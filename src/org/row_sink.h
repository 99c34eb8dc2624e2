/*
 * row_sink.h - the one face of everything that takes rows: rows go in, outcomes come out.
 *
 * sObject Collections implement it (collections.c).  Must not know: PostgreSQL's executor.
 */
#ifndef AMPSF_ROW_SINK_H
#define AMPSF_ROW_SINK_H

#include "postgres.h"
#include "lib/stringinfo.h"
#include "net/session.h"

typedef enum AmpsfWriteOp
{
	AMPSF_INSERT,
	AMPSF_UPDATE,
	AMPSF_DELETE
} AmpsfWriteOp;

/* What became of one row, in the order in which rows were added since the last flush. */
typedef struct AmpsfWriteResult
{
	bool success;
	char id[19];	  /* of the row; empty where an insert failed */
	char *code;		  /* Salesforce's statusCode, NULL on success */
	char *message;
	char *fields;	  /* comma-separated, or NULL */
} AmpsfWriteResult;

typedef struct AmpsfRowSink AmpsfRowSink;

/* Lives in a child of the current context and ends with it.  max_rows: 1..200. */
extern AmpsfRowSink *ampsf_collections_open(AmpsfSession *session, AmpsfWriteOp op, const char *object,
											int max_rows, AmpsfStats *stats);
/*
 * Adds one row.  fields: the inside of a JSON object without its braces and without "attributes"
 * ("LastName":"Curie","Email":null); ignored for AMPSF_DELETE.  id: NULL for AMPSF_INSERT.
 * Returns how many rows now wait.  The caller flushes when that reaches max_rows.
 */
extern int ampsf_sink_add(AmpsfRowSink *sink, const char *id, const char *fields, size_t len);
/* Bytes of fields that wait; a caller with long texts flushes before a call grows out of bounds. */
extern size_t ampsf_sink_bytes(const AmpsfRowSink *sink);
/*
 * Sends what waits, in one call, and gives the outcome of every row (results[n], valid until the next
 * flush).  A call that failed as a whole is an ERROR; one whose outcome is unknown is an ERROR that says
 * so (ERRCODE_TRANSACTION_RESOLUTION_UNKNOWN) and names how many rows are in doubt.  Rows refused with
 * UNABLE_TO_LOCK_ROW are sent again a few times before they count as failed.  Rows that were written are
 * counted in stats->rows at once, so that the count holds even when a later call raises.
 */
extern int ampsf_sink_flush(AmpsfRowSink *sink, AmpsfWriteResult **results);
extern void ampsf_sink_close(AmpsfRowSink *sink);

#endif
