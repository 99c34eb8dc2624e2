/*
 * write_queue.h - changes that wait for the commit of the transaction (write_at 'commit').
 *
 * A list in the order of the changes, cut back when a subtransaction is rolled back; beyond
 * work_mem it is in a temporary file.  Must not know: when it is sent (write_xact.c), HTTP.
 */
#ifndef AMPSF_WRITE_QUEUE_H
#define AMPSF_WRITE_QUEUE_H

#include "postgres.h"
#include "base/options.h"
#include "org/row_sink.h"
#include "utils/rel.h"

/* Where changes go: a table, in somebody's name.  For the rest of the transaction. */
typedef struct AmpsfQueueTarget
{
	Oid serverid, userid;
	AmpsfWriteOp op;
	char *table;	/* its name */
	char *relation; /* the same, qualified */
	char *object, *key;
	const char *const *headers;
	bool batches; /* commit_overflow */
	int64 first;  /* where its first change is; -1: there is none */
} AmpsfQueueTarget;

/* One change that is read back. */
typedef struct AmpsfQueued
{
	const AmpsfQueueTarget *target;
	int64 number; /* row of its statement */
	uint32 flags;
	char id[19];
	char *fields; /* valid until the next is read */
	size_t len;
} AmpsfQueued;

typedef struct AmpsfQueueMark
{
	int64 end, changes;
	bool mixed; /* changes for several logins */
} AmpsfQueueMark;

/*
 * A sink that takes rows into the queue; it needs no session.  rows: counts them.  The sink has no
 * outcomes to tell.
 */
extern AmpsfRowSink *ampsf_queue_open(Relation rel, const AmpsfTableOptions *table, Oid serverid,
									  Oid userid, const AmpsfWriteSpec *spec, int64 *rows);

/* Once: who wants to know that the current (sub)transaction is about to add something. */
extern void ampsf_queue_init(void (*before_add)(void));

extern void ampsf_queue_mark(AmpsfQueueMark *mark);
/* Takes back all that was added since. */
extern void ampsf_queue_cut(const AmpsfQueueMark *mark);
extern int64 ampsf_queue_changes(void);
/* Reads from the first change on; false at the end. */
extern void ampsf_queue_rewind(void);
extern bool ampsf_queue_next(AmpsfQueued *change);
/* Before the end of the transaction, unless it is rolled back: nothing can be read after that. */
extern void ampsf_queue_close(void);
/* At the end of the transaction. */
extern void ampsf_queue_forget(void);

#endif
