/*
 * live_view.h - what has changed in an object since its mirror's watermark.
 */
#ifndef AMPSF_LIVE_VIEW_H
#define AMPSF_LIVE_VIEW_H

#include "postgres.h"
#include "fmgr.h"

/* The functions that a live view consists of: rows that are now, and Ids of those they replace. */
extern Datum ampsf_sql_live_rows(PG_FUNCTION_ARGS);
extern Datum ampsf_sql_live_ids(PG_FUNCTION_ARGS);

/*
 * What one of them, of that Oid, would ask the org of a mirror now, palloc'ed; false: it would
 * fail.
 */
extern bool ampsf_live_question(Oid target, Oid function, char **soql, const char **log_from);

/* live_scan.c: makes EXPLAIN tell it. */
extern void ampsf_live_scan_init(void);

#endif
