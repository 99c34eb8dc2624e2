/*
 * org.h - what a test may set about the org at run time: how its clock goes, how late writes are
 * seen, what moves SystemModstamp.
 *
 * Must not know: HTTP, SQLite, SOQL.
 */
#ifndef SANDBOX_ORG_H
#define SANDBOX_ORG_H

#include <stdbool.h>
#include <time.h>
#include "buf.h"

typedef struct OrgSettings
{
	int skew;		   /* seconds by which the org's clock is ahead of this machine's */
	int late_percent;  /* writes that are seen later than they are stamped */
	int late_ms;	   /* and by how much */
	bool deletes_move; /* a delete moves SystemModstamp */
	bool rollups_move; /* a roll-up that changes moves that of its parent */
} OrgSettings;

extern OrgSettings org;

/* False if there is no such setting, or it has no such value. */
bool org_set(const char *name, const char *value);
void org_list(Buf *out);
/* What the command line said is what a reset goes back to. */
void org_keep(void);
void org_reset(void);

/*
 * A write begins; the caller holds no lock.  One of those that are late waits here, and gets the
 * time of its beginning, which is what its rows are stamped with; the others get 0.
 */
time_t org_late(void);

#endif
