/*
 * modify_state.h - what the files of modify share; nobody else includes it.
 *
 *   modify.c		  the executor's callbacks
 *   modify_row.c	  a slot into the JSON of a row, and an answer back into a slot
 *   modify_flush.c	  calls, their outcomes, and the moments at which what waits is sent
 */
#ifndef AMPSF_MODIFY_STATE_H
#define AMPSF_MODIFY_STATE_H

#include "postgres.h"
#include "base/options.h"
#include "base/stats.h"
#include "exec/convert.h"
#include "lib/ilist.h"
#include "nodes/execnodes.h"
#include "org/row_sink.h"
#include "utils/hsearch.h"

/* rinfo->ri_FdwState: one statement's writes to one table.  Lives in es_query_cxt. */
typedef struct AmpsfModifyState
{
	dlist_node node; /* in the list of open writes */
	bool listed;
	MemoryContextCallback unlist;
	EState *estate;
	Relation rel;
	ResultRelInfo *rinfo;
	AmpsfWriteOp op;
	AmpsfTableOptions *table;
	Oid serverid, userid;
	AmpsfSession *session; /* NULL until the first row */
	AmpsfRowSink *sink;	   /* the same */
	AmpsfStats stats;	   /* rows: that have been written */
	AmpsfStats read_stats; /* of reading rows back */
	bool copy;			   /* COPY FROM: no plan, and not under the executor */

	/* columns, by attribute number - 1; made when first used */
	AmpsfColumn **columns;
	AmpsfColumnConv **convs;
	Bitmapset *targets; /* that the statement names: sent even if NULL */
	List *fetch;		/* IntList: read back after each row */
	bool returns;		/* somebody looks at the row after it was written */

	/* the row's identity */
	AttrNumber id_attno; /* in the table; 0: no column shows it */
	AttrNumber id_junk;	 /* in the plan's slot; 0: not an UPDATE or DELETE */
	AttrNumber old_junk; /* the whole old row, likewise */
	FmgrInfo id_output;
	HTAB *seen; /* Ids so far, where a join may give one row twice; else NULL */

	/* collecting rows */
	bool collects; /* across Exec calls, to be sent when the statement ends at the latest */
	bool set_tag;  /* rows count in the command's tag */
	int waiting;
	int64 sent;			 /* rows that were handed to Salesforce so far */
	int64 vanished;		 /* of these, rows that no longer existed */
	bool *may_be_parent; /* [batch] the row sets a reference, so its own end is not the only reading
						  */

	MemoryContext row_cxt; /* of one row's JSON */
	int column;			   /* being converted, for error messages; 0: none */
} AmpsfModifyState;

/* One call takes no more bytes than about this, however few its rows. */
#define AMPSF_WRITE_BYTES (4 * 1024 * 1024)

/* modify_row.c */
extern AmpsfColumn *ampsf_modify_column(AmpsfModifyState *state, AttrNumber attno);
/* The fields of a row to be inserted, or updated; *references: is a reference among them? In
 * row_cxt. */
extern void ampsf_modify_fields(AmpsfModifyState *state, TupleTableSlot *slot, StringInfo buf,
								bool *references);
/* Puts the Id and what must be read back into the slot of a row that was written. */
extern void ampsf_modify_complete(AmpsfModifyState *state, TupleTableSlot *slot, const char *id);
/* Puts the row that was deleted into slot. */
extern void ampsf_modify_old_row(AmpsfModifyState *state, TupleTableSlot *slot,
								 TupleTableSlot *planSlot);

/* modify_flush.c */
extern void ampsf_modify_open(AmpsfModifyState *state);
extern void ampsf_modify_add(AmpsfModifyState *state, const char *id, TupleTableSlot *slot);
/*
 * Sends what waits; ERROR if a row was refused.  With one row: false if it no longer existed, and
 * its Id in id (may be NULL).
 */
extern bool ampsf_modify_flush(AmpsfModifyState *state, char *id);
extern void ampsf_modify_close(AmpsfModifyState *state);
extern void ampsf_modify_install(void);

#endif
