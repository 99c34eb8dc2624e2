/*
 * presence.h - which process does what: one at a time has a place.
 *
 * A place is a number of this cluster; who has it is known to every backend, without shared memory
 * that would have to be asked for when the server starts, and it is free as soon as the process is
 * gone, however it ended.  Users cannot take one by SQL, as they can an advisory lock.  Must not
 * know: what is done.
 */
#ifndef AMPSF_PRESENCE_H
#define AMPSF_PRESENCE_H

#include "postgres.h"

/* The launcher of a database; work that waits for a free worker; a worker of one piece of work. */
extern uint64 ampsf_place_launcher(Oid database);
extern uint64 ampsf_place_waiting(Oid database);
extern uint64 ampsf_place_work(Oid database, const char *kind, int64 key);

/* True if it is this process's now, or was before.  ERROR where files cannot be locked. */
extern bool ampsf_presence_take(uint64 place);
extern void ampsf_presence_give(uint64 place);
/* The process that has it, 0: none.  This process's own are not seen.  Never raises. */
extern int ampsf_presence_holder(uint64 place);

#endif
