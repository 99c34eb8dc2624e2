/*
 * locks.h - rows that a transaction holds: whoever else writes them, or their children, is refused.
 *
 * A request's transaction is over before the next write begins, so only the chunks of ingest jobs
 * hold rows, as long as --bulk-chunk-ms says, and what a test has locked.  Salesforce waits up to
 * ten seconds for a lock; here a write is refused at once.  The caller holds store_lock().  Must
 * not know: HTTP, SQLite.
 */
#ifndef SANDBOX_LOCKS_H
#define SANDBOX_LOCKS_H

#include <stdbool.h>
#include "buf.h"

/* From here on rows are taken for that holder, until locks_pause(). */
void locks_begin(const char *holder, bool keep);
void locks_pause(void);
void locks_end(const char *holder); /* lets go of all that the holder has */
/* False if somebody else holds the row. */
bool locks_take(const char *id);
/* For tests: somebody holds the row, until that many writes have been refused; 0: for ever. */
void locks_hold(const char *id, int refusals);
void locks_clear(void);
void locks_list(Buf *out);

#endif
