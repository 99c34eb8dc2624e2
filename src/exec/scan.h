/*
 * scan.h - the executor's callbacks for scans.
 */
#ifndef AMPSF_SCAN_H
#define AMPSF_SCAN_H

#include "postgres.h"
#include "base/stats.h"
#include "exec/convert.h"
#include "foreign/fdwapi.h"
#include "nodes/execnodes.h"
#include "org/row_source.h"
#include "plan/plan_private.h"

/* node->fdw_state, in es_query_cxt. */
typedef struct AmpsfScanState
{
	/* from the plan */
	AmpsfSelect select;
	int nfields;
	const char **keys; /* [nfields] what to cut from a record */
	int ncolumns;
	int *slots;		   /* [ncolumns] the slot's columns to fill, from 0 */
	int *sources;	   /* [ncolumns] the index of the field that fills it */
	char **relnames;   /* [ncolumns] the table, for error messages */
	char **names;	   /* [ncolumns] and its column */
	AmpsfColumnConv *conv; /* [ncolumns] */
	Oid relid;
	bool plain;		   /* a scan of the table, nothing computed above it */
	bool aggregates;   /* one row of aggregates over all rows, even if there are none */
	bool async;		   /* below an asynchronous Append: an empty slot may also mean "not yet" */
	AmpsfTableOptions *table;
	int64 limit;

	/* parameters */
	List *param_exprs; /* of ExprState */
	int nparams;
	Oid *param_types;
	Datum *param_values;
	bool *param_nulls;
	MemoryContext param_cxt; /* their values, and the statement */

	/* of the current run */
	char *soql; /* NULL: no row can pass */
	int64 skip; /* rows to pass over first: OFFSET */
	bool started;
	bool pending; /* async: the empty slot did mean that */
	bool ended;
	bool must_recheck; /* exact clauses too, see AmpsfBind */
	AmpsfRowSource *source;
	MemoryContext source_cxt;
	AmpsfValue *values; /* [nfields] */
	MemoryContext row_cxt;

	/* for error messages */
	int64 row;
	int column; /* being converted: index into slots, -1: none */

	AmpsfStats stats; /* of all runs */
	AmpsfSession *session;
	Oid serverid, userid;
} AmpsfScanState;

extern void ampsfBeginForeignScan(ForeignScanState *node, int eflags);
extern TupleTableSlot *ampsfIterateForeignScan(ForeignScanState *node);
extern void ampsfReScanForeignScan(ForeignScanState *node);
extern void ampsfEndForeignScan(ForeignScanState *node);

/* For async.c.  Has it sent its statement?  Has it rows to come?  Was its empty slot a "not yet"? */
extern bool ampsf_scan_has_begun(ForeignScanState *node);
extern bool ampsf_scan_is_reading(ForeignScanState *node);
extern bool ampsf_scan_is_pending(ForeignScanState *node);

/* explain.c */
extern void ampsfExplainForeignScan(ForeignScanState *node, struct ExplainState *es);
/* Calls, bytes, pages and retries, for EXPLAIN ANALYZE of scans and writes. */
extern void ampsf_explain_stats(const AmpsfStats *stats, struct ExplainState *es);

#endif
