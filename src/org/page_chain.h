/*
 * page_chain.h - the pages of one result, read by several processes.
 *
 * A page says where the one after it is, so there is always at most one page that nobody reads yet
 * and whose address is known.  Whoever is free claims it, asks for it, and tells the others the
 * address after it as soon as he has seen that; then he cuts the rows of his page while they do
 * the same with theirs.
 *
 * Who has claimed a page gives no row to the executor before he has told what follows: a process
 * that hands out rows may be stopped until its reader takes them, and that reader may be one of
 * those who wait for the address.
 */
#ifndef AMPSF_PAGE_CHAIN_H
#define AMPSF_PAGE_CHAIN_H

#include "postgres.h"
#include "base/stats.h"

/* Longer addresses of pages are refused. */
#define AMPSF_PAGE_ADDRESS_MAX 2048

typedef struct AmpsfPageChain AmpsfPageChain; /* in shared memory */

/* One process's part in it. */
typedef struct AmpsfShare
{
	AmpsfPageChain *chain;
	uint32 statement; /* hash: all processes must have printed the same */
	bool claimed;	  /* a page whose successor has not been told */
	bool first;		  /* of the page that was claimed last: it is the query itself */
	int page_no;	  /* its number, from 1 */
	char address[AMPSF_PAGE_ADDRESS_MAX]; /* "": of a job's first page */
} AmpsfShare;

extern Size ampsf_chain_size(int processes);
extern AmpsfPageChain *ampsf_chain_create(void *place, int processes);
/*
 * For another run, when nobody else reads any more; what was spent remains.  same: the statement is
 * that of the run before, whose job has a result, which is read once more; else the job has been
 * taken.
 */
extern void ampsf_chain_renew(AmpsfPageChain *chain, bool same);
/* Is there a job, and all of its result? */
extern bool ampsf_chain_has_result(AmpsfPageChain *chain);
/* Nobody wants the rest: whoever waits shall stop. */
extern void ampsf_chain_close(AmpsfPageChain *chain);
/* The Bulk job that the chain reads, for who will discard it; true only once. */
extern bool ampsf_chain_take_job(AmpsfPageChain *chain, char *id, Size size, bool *complete);
/* Adds up what processes spent that will end before it is shown. */
extern void ampsf_chain_add_spent(AmpsfPageChain *chain, const AmpsfStats *stats);
extern void ampsf_chain_spent(AmpsfPageChain *chain, AmpsfStats *stats);

/* In the current context; number: 0, 1 ... below processes. */
extern AmpsfShare *ampsf_share_join(AmpsfPageChain *chain, int number);
/*
 * Claims a page, waiting for its address if it must; false if there is none left, or the chain was
 * closed. A page that is claimed already stays so.
 */
extern bool ampsf_share_claim(AmpsfShare *share);
/* Tells where the page after the one that was claimed is; NULL: it is the last. */
extern void ampsf_share_tell(AmpsfShare *share, const char *address);
/*
 * All rows of a page have been given.  False if that was the last to be through, and rows are
 * missing, or too many.
 */
extern bool ampsf_share_page_done(AmpsfShare *share, int64 rows, int64 *all_rows, int64 *total);
extern bool ampsf_share_is_closed(AmpsfShare *share);

/* Rows of the whole result, -1 while not known.  Set before the first page's successor is told. */
extern void ampsf_share_set_total(AmpsfShare *share, int64 total);
extern int64 ampsf_share_total(AmpsfShare *share);
/* The pages are those of a job, which belongs to the chain now; false: it was closed. */
extern bool ampsf_share_set_job(AmpsfShare *share, const char *id);
extern void ampsf_share_job_ended(AmpsfShare *share);
/* "" if the pages are those of REST. */
extern const char *ampsf_share_job(AmpsfShare *share);

#endif
