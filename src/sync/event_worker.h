/*
 * event_worker.h - the process that follows a subscription to change events.
 */
#ifndef AMPSF_EVENT_WORKER_H
#define AMPSF_EVENT_WORKER_H

#include "postgres.h"

/*
 * Follows it as the current user, its owner, outside of any transaction, until the process is told
 * to end.  Returns when the subscription is gone or paused, or when something has gone wrong that
 * does not mend itself: that is recorded with the subscription, and when to try again.
 */
extern void ampsf_event_worker(int64 subscription);

#endif
