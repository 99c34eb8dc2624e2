/*
 * row_batch.h - what sinks that keep their rows in memory until they are sent have in common: the
 * rows of one flush, and the outcomes of them.
 *
 * Such a sink is a struct that begins with AmpsfRowBatch.  Must not know: how rows are sent.
 */
#ifndef AMPSF_ROW_BATCH_H
#define AMPSF_ROW_BATCH_H

#include "net/usage.h"
#include "org/row_sink.h"
#include "wire/sfid.h"

typedef struct AmpsfBatchRow
{
	int64 number;
	uint32 flags;
	char id[AMPSF_SFID_LEN + 1];
	size_t off, len; /* of its fields in the text */
} AmpsfBatchRow;

typedef struct AmpsfRowBatch
{
	AmpsfRowSink base;
	AmpsfSession *session;
	AmpsfWriteOp op;
	int max_rows;
	size_t max_bytes; /* of their fields; one row fits, however long */
	AmpsfStats *stats;
	AmpsfUsage *usage;
	MemoryContext cxt;		   /* of the sink itself */
	MemoryContext call_cxt;	   /* of calls and their answers */
	MemoryContext result_cxt;  /* of the outcomes handed out */
	StringInfoData text;	   /* the fields of all rows */
	AmpsfBatchRow *rows;	   /* [max_rows] */
	AmpsfWriteResult *results; /* [max_rows] of the same rows */
	int known;				   /* outcomes to be handed out */
} AmpsfRowBatch;

/* A sink of so many bytes, zero but for the batch, in a context of its own below the current one.
 */
extern void *ampsf_batch_create(Size size, const AmpsfRowSinkOps *ops, const AmpsfWriteSpec *spec,
								int max_rows, size_t max_bytes);

/* has_room, add, results and close of row_sink.h. */
extern bool ampsf_batch_has_room(const AmpsfRowSink *sink, size_t len);
extern void ampsf_batch_add(AmpsfRowSink *sink, const AmpsfWriteRow *row);
extern int ampsf_batch_results(AmpsfRowSink *sink, AmpsfWriteResult **results);
extern void ampsf_batch_close(AmpsfRowSink *sink);

/*
 * The rows that wait are now those of a flush: how many; none of them is sent yet.  Should sending
 * raise, a later flush must not send them: who caught the error has been told about them.
 */
extern int ampsf_batch_begin(AmpsfRowBatch *batch);

extern void ampsf_batch_written(AmpsfRowBatch *batch, AmpsfWriteResult *res, bool created);

/*
 * Until the first of the calls is complete.  All are looked at: one that waits for a login, a slot
 * or a pause goes on by that.
 */
extern void ampsf_batch_wait(AmpsfCall **calls, int n);

#endif
