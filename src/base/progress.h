/*
 * progress.h - how far a long read is, for the view ampsf.progress.
 *
 * PostgreSQL's own progress reports carry it (the shared array behind pg_stat_progress_copy and its
 * kin), under a command number that none of its views knows; so no library has to be preloaded.  A
 * backend has one such report: the first read to begin owns it, and a command of PostgreSQL's own,
 * such as COPY, goes before.
 */
#ifndef AMPSF_PROGRESS_H
#define AMPSF_PROGRESS_H

#include "postgres.h"
#include "base/stats.h"

typedef enum AmpsfProgressPhase
{
	AMPSF_PHASE_PAGES,	  /* REST pages are read */
	AMPSF_PHASE_CREATING, /* a Bulk job is created */
	AMPSF_PHASE_WAITING,  /* and worked on by Salesforce */
	AMPSF_PHASE_RESULTS	  /* its results are read */
} AmpsfProgressPhase;

/*
 * owner: any address that tells this read from others; a read that does not own the report is not
 * shown.  spent: where its calls and bytes are counted.
 */
extern void ampsf_progress_begin(const void *owner, Oid relid, const AmpsfStats *spent);
extern void ampsf_progress_phase(const void *owner, AmpsfProgressPhase phase);
extern void ampsf_progress_rows(const void *owner, int64 rows);
/* Rows of the whole result; -1 while not known. */
extern void ampsf_progress_expected(const void *owner, int64 expected);
/* Something was added to spent. */
extern void ampsf_progress_spent(const AmpsfStats *spent);
extern void ampsf_progress_end(const void *owner);

#endif
