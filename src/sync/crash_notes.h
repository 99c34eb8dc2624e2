/*
 * crash_notes.h - what was being done in a database, in case that the server crashes.
 *
 * Work that makes the server crash would do so again as soon as it is back: so the next launcher
 * finds here what was under way, and waits with it.  A launcher that ends in order leaves nothing.
 * Must not know: what is done.
 */
#ifndef AMPSF_CRASH_NOTES_H
#define AMPSF_CRASH_NOTES_H

#include "postgres.h"
#include "utils/timestamp.h"

#define AMPSF_NOTE_KIND_LEN 16

typedef struct AmpsfCrashNote
{
	char kind[AMPSF_NOTE_KIND_LEN];
	int64 key;
	int failures; /* before this time */
	TimestampTz started;
} AmpsfCrashNote;

/* Replaces what is noted of the database; 0: nothing.  Failing to is no error: LOG, once. */
extern void ampsf_crash_notes_write(Oid database, const AmpsfCrashNote *notes, int n);
/* At most max; how many. */
extern int ampsf_crash_notes_read(Oid database, AmpsfCrashNote *notes, int max);

#endif
