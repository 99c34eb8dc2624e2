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

/* What fills a column of the slot. */
typedef struct AmpsfFill
{
	AmpsfColumnConv *conv;
	int source;	 /* index of the field */
	int slot;	 /* and of the slot's column */
	bool simple; /* not to be made a bigint, and of no domain: a null is a null */
} AmpsfFill;

/* node->fdw_state, in es_query_cxt. */
typedef struct AmpsfScanState
{
	/* from the plan */
	AmpsfSelect select;
	int nfields;
	const char **keys;	/* [nfields] what to cut from a record */
	const char **types; /* [nfields] Salesforce types */
	bool pages_only;	/* no statement for Bulk */
	int ncolumns;
	int *slots;			   /* [ncolumns] the slot's columns to fill, from 0 */
	int *sources;		   /* [ncolumns] the index of the field that fills it */
	char **relnames;	   /* [ncolumns] the table, for error messages */
	char **names;		   /* [ncolumns] and its column */
	AmpsfColumnConv *conv; /* [ncolumns] */
	bool files;			   /* one of them shows the content of a file */
	bool *whole;	  /* [ncolumns] a sum of integers: converted as numeric, then made a bigint */
	AmpsfFill *fills; /* [ncolumns] the same, as a row needs it */
	AmpsfRoom *room;  /* of the row at hand */
	Oid relid;
	bool plain;		 /* a scan of the table, nothing computed above it */
	bool aggregates; /* one row of aggregates over all rows, even if there are none */
	bool async;		 /* below an asynchronous Append: an empty slot may also mean "not yet" */
	AmpsfTableOptions *table;
	int64 limit;

	/* parameters */
	void *request; /* of an object of Account Engagement, else NULL; see engagement_scan.c */
	struct AmpsfGroups *groups; /* of a statement that groups, see groups.c */
	List *param_exprs;			/* of ExprState */
	int nparams;
	Oid *param_types;
	Datum *param_values;
	bool *param_nulls;
	MemoryContext param_cxt; /* their values, and the statement */

	/* of the current run */
	char *soql;		  /* NULL: no row can pass */
	List *statements; /* of char *: what is sent instead, if one statement cannot hold it; see
						 statements.c */
	List *wide;		  /* lists of the fields of each of them; NIL: all have the same */
	int64 skip;		  /* rows to pass over first: OFFSET */
	bool started;
	bool pending; /* async: the empty slot did mean that */
	bool ended;
	bool must_recheck; /* exact clauses too, see AmpsfBind */
	AmpsfRowSource *source;
	MemoryContext source_cxt;
	AmpsfValue *values; /* [nfields], and one more for an Id */
	MemoryContext row_cxt;

	/* for error messages */
	int64 row;
	int column; /* being converted: index into slots, -1: none */

	/* of a scan that several processes share, see parallel.c */
	struct AmpsfShare *share; /* NULL: it is read by this one alone */
	struct AmpsfLeave *leave; /* of the leader */
	MemoryContextCallback on_reset;

	AmpsfStats stats; /* of all runs */
	AmpsfSession *session;
	Oid serverid, userid;
} AmpsfScanState;

extern void ampsfBeginForeignScan(ForeignScanState *node, int eflags);
extern TupleTableSlot *ampsfIterateForeignScan(ForeignScanState *node);
extern void ampsfReScanForeignScan(ForeignScanState *node);
extern void ampsfEndForeignScan(ForeignScanState *node);

/*
 * For async.c.  Has it sent its statement?  Has it rows to come?  Was its empty slot a "not yet"?
 */
extern bool ampsf_scan_has_begun(ForeignScanState *node);
extern bool ampsf_scan_is_reading(ForeignScanState *node);
extern bool ampsf_scan_is_pending(ForeignScanState *node);

/* scan_row.c: the keys to cut from each record, and a converter for each column to fill. */
extern void ampsf_scan_prepare_row(AmpsfScanState *state, List *fdw_private);
/* A record in state->values into a slot; what it allocates lives until the next. */
extern void ampsf_scan_fill_slot(AmpsfScanState *state, TupleTableSlot *slot);

/* statements.c: evaluates the parameters and prints the statement, into param_cxt. */
extern void ampsf_scan_bind(ForeignScanState *node);
/* A statement with the parameters' values of the last bind, in the current context; NULL: no row
 * can pass. */
extern char *ampsf_scan_print(AmpsfScanState *state, const AmpsfSelect *select);
/* What the source of a statement needs to know, but for the statement and its fields. */
extern void ampsf_scan_spec(AmpsfScanState *state, AmpsfQuerySpec *spec);
/* Whether the fields are too many for one statement; and the source of the rows of several. */
extern void ampsf_scan_plan_statements(AmpsfScanState *state);
extern AmpsfRowSource *ampsf_scan_open_statements(AmpsfScanState *state, AmpsfQuerySpec *spec);

/* groups.c */
extern void ampsf_groups_begin(ForeignScanState *node);
extern TupleTableSlot *ampsf_groups_next(ForeignScanState *node);
extern void ampsf_groups_rescan(ForeignScanState *node);
extern void ampsf_groups_end(ForeignScanState *node);

/* explain.c */
extern void ampsfExplainForeignScan(ForeignScanState *node, struct ExplainState *es);
/* Calls, bytes, pages and retries, for EXPLAIN ANALYZE of scans and writes. */
extern void ampsf_explain_stats(const AmpsfStats *stats, struct ExplainState *es);
/* Of so many estimated rows, written in batches; read_back: and each read again. */
extern void ampsf_explain_write_calls(const AmpsfTableOptions *table, double rows, int batch,
									  bool read_back, struct ExplainState *es);

#endif
