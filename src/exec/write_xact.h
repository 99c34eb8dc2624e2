/*
 * write_xact.h - writes and transactions: what a rollback cannot undo is told, what waits for the
 * commit is sent then.
 *
 * Must not know: rows, slots.
 */
#ifndef AMPSF_WRITE_XACT_H
#define AMPSF_WRITE_XACT_H

#include "postgres.h"
#include "base/stats.h"
#include "lib/ilist.h"
#include "org/row_sink.h"

/* One statement's writes to one table; rows are counted by somebody else, in *stats. */
typedef struct AmpsfXactWriter
{
	dlist_node node;
	bool listed;
	const AmpsfStats *stats;
	int64 settled; /* rows that the transaction knows of */
	int level;
	AmpsfWriteOp op;
	NameData table;
} AmpsfXactWriter;

/* Called once from _PG_init. */
extern void ampsf_xact_init(void);

extern void ampsf_xact_writer_open(AmpsfXactWriter *writer, const AmpsfStats *stats,
								   AmpsfWriteOp op, const char *table);
/* Neither allocates nor raises. */
extern void ampsf_xact_writer_close(AmpsfXactWriter *writer);
/* Something is about to be sent. */
extern void ampsf_xact_writing(void);
/* The error being raised says itself that so many rows stay written. */
extern void ampsf_xact_told(int64 rows);
#endif
