/*
 * bulk_pages.h - the pages of a Bulk job's result: where they are, and which are on their way.
 *
 * Each page's headers say where the one after it is.  That is a latency for each page, so for a
 * large result the org is asked for lists of the addresses (resultPages), and more than one page is
 * on its way.  The lists say what may be asked for early, never what is read: the page that
 * follows is the one that the headers name.  Where a list disagrees with them, where it cannot be
 * had or names something else than pages of this job, the headers alone are followed.
 *
 * Must not know: what is in a page, who else reads the job.
 */
#ifndef AMPSF_BULK_PAGES_H
#define AMPSF_BULK_PAGES_H

#include "postgres.h"
#include "net/session.h"
#include "nodes/pg_list.h"

/* On their way behind the page that is read; each holds a window of memory at most. */
#define AMPSF_PAGES_AHEAD 3

typedef struct AmpsfBulkPage
{
	AmpsfCall *call; /* NULL: there is none */
	char *locator;	 /* NULL: the first page */
} AmpsfBulkPage;

typedef struct AmpsfBulkPages
{
	/* set by who embeds it */
	MemoryContext cxt;
	AmpsfSession *session;
	AmpsfStats *stats;
	struct AmpsfUsage *usage;
	const char *id;

	AmpsfBulkPage page; /* that is read */
	AmpsfBulkPage ahead[AMPSF_PAGES_AHEAD];
	int nahead;
	List *listed;		/* char *: locators of pages behind those, not asked for yet */
	bool more;			/* there is another list */
	char *more_locator; /* of it; NULL: the first */
	AmpsfCall *list;	/* it was asked for */
	int unlisted;		/* pages that headers have named since, with which it begins */
} AmpsfBulkPages;

/* Begins with the first page of a result of so many rows; others are forgotten. */
extern void ampsf_bulk_pages_start(AmpsfBulkPages *p, int64 rows);
/* Has the first page been asked for?  false: its address is awaited. */
extern bool ampsf_bulk_pages_started(AmpsfBulkPages *p);
/* Asks for the page with that locator (NULL: the first), or once more for the one at hand. */
extern void ampsf_bulk_pages_ask(AmpsfBulkPages *p, const char *locator);
extern void ampsf_bulk_pages_ask_again(AmpsfBulkPages *p);
/* The first page was refused: true if a list had named it, and it is asked for without. */
extern bool ampsf_bulk_pages_ask_unlisted(AmpsfBulkPages *p);
/* The headers of the page at hand name the one after it (NULL: it is the last), which may start. */
extern void ampsf_bulk_pages_follow(AmpsfBulkPages *p, const char *locator);
/* The page at hand is being read on: asks for more of those behind it. */
extern void ampsf_bulk_pages_ahead(AmpsfBulkPages *p);
/* The page at hand is through, and the one after it is at hand, if there is one. */
extern void ampsf_bulk_pages_turn(AmpsfBulkPages *p);
/* Nothing is on its way any more. */
extern void ampsf_bulk_pages_forget(AmpsfBulkPages *p);

#endif
