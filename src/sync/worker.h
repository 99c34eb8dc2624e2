/*
 * worker.h - the processes of a database: a launcher, and workers that it starts.
 */
#ifndef AMPSF_WORKER_H
#define AMPSF_WORKER_H

#include "postgres.h"
#include "port/atomics.h"

#define AMPSF_KIND_LEN 16

/* What a worker is told when it is started: its bgw_extra. */
typedef struct AmpsfWorkOrder
{
	Oid database;
	Oid owner;
	int64 key;
	char kind[AMPSF_KIND_LEN];
	uint32 segment; /* of the launcher's shared memory */
	int slot;		/* the worker's place in it */
} AmpsfWorkOrder;

/*
 * Between a launcher and one of its workers.  A worker that has done its work is idle for a while,
 * logged in at the org: the launcher gives it more of the same kind and owner, or lets it go.
 */
typedef enum AmpsfWorkState
{
	AMPSF_WORK_BUSY, /* also: not begun yet */
	AMPSF_WORK_IDLE,
	AMPSF_WORK_ORDERED, /* by the launcher: key is to be done */
	AMPSF_WORK_LEAVING	/* it ends in order, or is to */
} AmpsfWorkState;

typedef struct AmpsfWorkSlot
{
	pg_atomic_uint32 state;
	int64 key;
	volatile bool began; /* it got as far as its work */
	char error[400];	 /* why it ended; "": no reason told */
} AmpsfWorkSlot;

/* _PG_init calls it.  When the library is preloaded: looks for work once the server has started. */
extern void ampsf_launcher_init(void);
/*
 * Called when a foreign table is used: the first time in a backend, what was to be done in this
 * database before the server was started anew is taken up.  Cheap.
 */
extern void ampsf_launcher_first_use(void);
/* The launcher calls it when it ends because there is nothing to do. */
extern void ampsf_launcher_idle(void);
/* The launcher of this database is to look; false if there is none. */
extern bool ampsf_launcher_nudge(void);

#endif
