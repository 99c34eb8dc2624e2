/*
 * modify_state.h - what the files of modify share; nobody else includes it.
 *
 *   modify.c		  the executor's callbacks
 *   modify_direct.c  UPDATE and DELETE of rows that the executor never sees
 *   modify_row.c	  a slot into the JSON of a row, and an answer back into a slot
 *   modify_flush.c	  the moments at which what waits is sent
 *   modify_outcome.c  what became of the rows, and what is said of it
 */
#ifndef AMPSF_MODIFY_STATE_H
#define AMPSF_MODIFY_STATE_H

#include "postgres.h"
#include "base/options.h"
#include "base/stats.h"
#include "exec/convert.h"
#include "exec/write_xact.h"
#include "lib/ilist.h"
#include "nodes/execnodes.h"
#include "org/row_sink.h"
#include "utils/hsearch.h"
#include "wire/sfid.h"

/* So many Ids of rows that were written are told by an error. */
#define AMPSF_LISTED_IDS 20

/* rinfo->ri_FdwState: one statement's writes to one table.  Lives in es_query_cxt. */
typedef struct AmpsfModifyState
{
	dlist_node node; /* in the list of open writes */
	AmpsfXactWriter writer;
	bool listed;
	MemoryContextCallback unlist;
	EState *estate;
	/* COPY or TRUNCATE: what has been sent must be known when the transaction is aborted, and by
	 * then the executor's memory is gone. */
	bool utility;
	SubTransactionId subid; /* in which it is, then */
	MemoryContext cxt;		/* of the sink and of what it needs */
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
	AttrNumber id_attno;			 /* in the table; 0: no column shows it */
	AttrNumber id_junk;				 /* in the plan's slot; 0: not an UPDATE or DELETE */
	AttrNumber version_junk;		 /* when the row last changed; 0: nobody asks */
	int64 version;					 /* of the row that is being added */
	char parent[AMPSF_SFID_LEN + 1]; /* likewise: what its first reference names; empty: nothing */
	bool files;						 /* large contents are sent as they are, not in JSON */
	AttrNumber file_attno;			 /* of the row that is being added: its file; 0: none */
	const char *file;				 /* in row_cxt */
	size_t file_len;
	AttrNumber old_junk; /* the whole old row, likewise */
	FmgrInfo id_output;
	HTAB *seen; /* Ids so far, where a join may give one row twice; else NULL */

	/* collecting rows */
	bool collects;	/* across Exec calls, to be sent when the statement ends at the latest */
	bool set_tag;	/* rows count in the command's tag */
	bool pending;	/* rows were added, and their outcomes are not all known */
	int64 added;	/* rows that were handed to the sink so far: the number of the last */
	int64 queued;	/* of these, rows that wait for the commit */
	int64 vanished; /* of these, rows that no longer existed */
	int64 failed;	/* and rows that are in ampsf.write_error */
	int64 listed_ids;
	char ids[AMPSF_LISTED_IDS][AMPSF_SFID_LEN + 1]; /* of the first rows that were written */
	bool skips_duplicates;							/* ON CONFLICT DO NOTHING */
	struct AmpsfWriteErrors *errors;				/* NULL until there is one */

	/* a batch of the executor's: which of its rows were not written */
	int64 batch_first; /* number of the first; 0: there is no batch */
	int batch_rows;
	bool *batch_skipped; /* [batch_rows] */

	MemoryContext row_cxt; /* of one row's JSON */
	int column;			   /* being converted, for error messages; 0: none */
} AmpsfModifyState;

/* The row sets a reference: that something is gone does not mean that the row is. */
#define AMPSF_ROW_REFERS 1

/* What became of the rows of a flush. */
typedef struct AmpsfFlushed
{
	int64 rows;
	int64 gone;					 /* of an UPDATE, did not exist */
	int64 skipped;				 /* of these, were refused and passed over */
	char id[AMPSF_SFID_LEN + 1]; /* of the last that was written */
	bool created;				 /* the last that was written was not there before */
} AmpsfFlushed;

/* modify.c: rinfo's state for that operation, in es_query_cxt. */
extern AmpsfModifyState *ampsf_modify_make(EState *estate, ResultRelInfo *rinfo, AmpsfWriteOp op);
/* The same in the name of a user who is not the relation's. */
extern AmpsfModifyState *ampsf_modify_make_for(EState *estate, ResultRelInfo *rinfo,
											   AmpsfWriteOp op, Oid userid);
/* "update Contact (LastName, AccountId)" */
extern char *ampsf_modify_describe(Relation rel, CmdType op, List *targets);

/* modify_row.c */
extern AmpsfColumn *ampsf_modify_column(AmpsfModifyState *state, AttrNumber attno);
/* The fields of a row to be inserted, or updated; *references: is a reference among them? In
 * row_cxt. */
extern void ampsf_modify_fields(AmpsfModifyState *state, TupleTableSlot *slot, StringInfo buf,
								bool *references);
/* Puts the Id and what must be read back into the slot of a row that was written. */
extern void ampsf_modify_complete(AmpsfModifyState *state, TupleTableSlot *slot,
								  const AmpsfFlushed *out);
/* Puts the row that was deleted into slot. */
extern void ampsf_modify_old_row(AmpsfModifyState *state, TupleTableSlot *slot,
								 TupleTableSlot *planSlot);

/* modify_commit.c: for a table whose rows wait for the commit; see there. */
extern void ampsf_modify_at_commit(AmpsfModifyState *state, List *returning, List *checks,
								   Index rti);

/* ERROR if other options ask for what a row that waits cannot have. */
extern void ampsf_modify_check_commit(AmpsfModifyState *state);

/*
 * "LastName":"Curie" appended to buf, behind a comma unless it is the first: a column's value as
 * the field of a row to write.  Returns where the value begins in buf; its end for a parent's key.
 */
extern int ampsf_field_json(StringInfo buf, const AmpsfColumn *col, AmpsfColumnConv *conv,
							Datum value, bool isnull);

/* modify_open.c: enters state into the list of open writes, which it leaves with its memory at the
 * latest. */
extern void ampsf_modify_open(AmpsfModifyState *state);
extern void ampsf_modify_unlist(AmpsfModifyState *state);
/* Calls fn for all tables that one statement writes (estate NULL: that any does). */
extern void ampsf_modify_each(EState *estate, void (*fn)(AmpsfModifyState *state, void *arg),
							  void *arg);

/* modify_flush.c */
/* The table's options that are headers of each call. */
extern const char *const *ampsf_write_headers(const AmpsfTableOptions *table);
/* Adds a row, and before that sends those that wait if it does not fit. */
extern void ampsf_modify_add(AmpsfModifyState *state, const char *id, TupleTableSlot *slot);
/* The same for a row whose fields (in the form of AmpsfWriteRow) are there already. */
extern void ampsf_modify_add_fields(AmpsfModifyState *state, const char *id, const char *fields,
									size_t len, uint32 flags);
/* Sends what waits, and waits for all outcomes; ERROR if a row was refused.  out: may be NULL. */
extern void ampsf_modify_flush(AmpsfModifyState *state, AmpsfFlushed *out);
/* Sends if no row more would fit. */
extern void ampsf_modify_flush_full(AmpsfModifyState *state);
extern void ampsf_modify_close(AmpsfModifyState *state);
extern void ampsf_modify_install(void);

/* modify_outcome.c: sends what the sink has (finish: and waits for all outcomes); what it is
 * interrupted in is rescued. */
extern void ampsf_modify_send(AmpsfModifyState *state, bool finish);
/* Takes the outcomes that the sink has; ERROR for those that are one. */
extern void ampsf_modify_judge(AmpsfModifyState *state, AmpsfFlushed *out);
/* An error context callback: how much the statement (arg: its EState) has written before. */
extern void ampsf_modify_written_context(void *arg);
/* Makes state->errors. */
extern void ampsf_modify_open_errors(AmpsfModifyState *state);
/* What is to be said at a statement's end of rows that were passed over. */
extern void ampsf_modify_tell(AmpsfModifyState *state);
/* For an error that is being raised while rows were under way: keeps those in doubt. */
extern void ampsf_modify_rescue(AmpsfModifyState *state);
/* Forgets whose error tells that already. */
extern void ampsf_modify_outcome_reset(void);

#endif
