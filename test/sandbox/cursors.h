/*
 * cursors.h - open query results and the locators by which a client turns their pages.
 *
 * A result may be shared: the same statement over unchanged rows is not run again.  The caller
 * holds store_lock() around every call.  Must not know: HTTP.
 */
#ifndef SANDBOX_CURSORS_H
#define SANDBOX_CURSORS_H

#include "soql.h"

typedef struct Result
{
	uint64_t id; /* for the page cache */
	SoqlCursor *cursor;
	char *key;
	uint64_t store_version; /* when it was run */
	char version[8];		/* API version of the URLs in its records */
	int locators;			/* that hold it */
	bool in_use;			/* by the running request */
	uint64_t last_used;
	struct Result *next;
} Result;

typedef struct Locator
{
	char id[19];
	char user_id[19];
	Result *result;
	int batch;
	double opened;
	bool finished; /* its last page has been fetched */
	bool child;	   /* of a child subquery: not counted against the user's limit */
	struct Locator *next;
} Locator;

/*
 * The result of a statement: run now, or the shared one.  NULL with *e filled if it is refused.  It
 * stays valid until result_done().
 */
Result *result_open(const char *soql, const SoqlOptions *opt, SoqlError *e);
void result_done(Result *r);

/* A new locator; where the user has too many, finished ones are released first, then the oldest. */
Locator *locator_open(Result *r, const char *user_id, int batch);
/* For the rows of a child subquery; the cursor is the locator's from then on. */
Locator *locator_open_child(SoqlCursor *child, const char *version, const char *user_id, int batch);
/* NULL if it is unknown, expired, or another user's. */
Locator *locator_find(const char *id, const char *user_id);
void locator_kill(const char *id);
int locator_count(void);
/* Releases everything: before the objects change, or the org is filled again, and Ids begin anew.
 */
void cursors_close(void);
void cursors_reset(void);

#endif
