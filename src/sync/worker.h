/*
 * worker.h - the processes of a database: a launcher, and workers that it starts.
 */
#ifndef AMPSF_WORKER_H
#define AMPSF_WORKER_H

#include "postgres.h"

#define AMPSF_KIND_LEN 16

/* What a worker is told: its bgw_extra. */
typedef struct AmpsfWorkOrder
{
	Oid database;
	Oid owner;
	int64 key;
	char kind[AMPSF_KIND_LEN];
	uint32 segment; /* of the launcher's shared memory */
	int slot;		/* the worker's place in it */
} AmpsfWorkOrder;

/* What it tells its launcher when it ends. */
typedef struct AmpsfWorkReport
{
	volatile bool done;	   /* it ended in order */
	volatile bool started; /* it got as far as its work */
	char error[400];	   /* "": none */
} AmpsfWorkReport;

/* _PG_init calls it.  When the library is preloaded: looks for work once the server has started. */
extern void ampsf_launcher_init(void);
/*
 * Called when a foreign table is used: the first time in a backend, what was to be done in this
 * database before the server was started anew is taken up.  Cheap.
 */
extern void ampsf_launcher_first_use(void);

#endif
