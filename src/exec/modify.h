/*
 * modify.h - the executor's callbacks for INSERT, UPDATE, DELETE and COPY FROM.
 */
#ifndef AMPSF_MODIFY_H
#define AMPSF_MODIFY_H

#include "postgres.h"
#include "foreign/fdwapi.h"
#include "nodes/execnodes.h"

/* Called once from _PG_init: hooks and transaction callbacks. */
extern void ampsf_modify_init(void);

extern void ampsfBeginForeignModify(ModifyTableState *mtstate, ResultRelInfo *rinfo,
									List *fdw_private, int subplan_index, int eflags);
extern TupleTableSlot *ampsfExecForeignInsert(EState *estate, ResultRelInfo *rinfo,
											  TupleTableSlot *slot, TupleTableSlot *planSlot);
extern TupleTableSlot **ampsfExecForeignBatchInsert(EState *estate, ResultRelInfo *rinfo,
													TupleTableSlot **slots,
													TupleTableSlot **planSlots, int *numSlots);
extern int ampsfGetForeignModifyBatchSize(ResultRelInfo *rinfo);
extern TupleTableSlot *ampsfExecForeignUpdate(EState *estate, ResultRelInfo *rinfo,
											  TupleTableSlot *slot, TupleTableSlot *planSlot);
extern TupleTableSlot *ampsfExecForeignDelete(EState *estate, ResultRelInfo *rinfo,
											  TupleTableSlot *slot, TupleTableSlot *planSlot);
extern void ampsfEndForeignModify(EState *estate, ResultRelInfo *rinfo);
extern void ampsfBeginForeignInsert(ModifyTableState *mtstate, ResultRelInfo *rinfo);
extern void ampsfEndForeignInsert(EState *estate, ResultRelInfo *rinfo);
extern void ampsfExplainForeignModify(ModifyTableState *mtstate, ResultRelInfo *rinfo,
									  List *fdw_private, int subplan_index,
									  struct ExplainState *es);

extern void ampsfBeginDirectModify(ForeignScanState *node, int eflags);
extern TupleTableSlot *ampsfIterateDirectModify(ForeignScanState *node);
extern void ampsfEndDirectModify(ForeignScanState *node);
extern void ampsfExplainDirectModify(ForeignScanState *node, struct ExplainState *es);

extern void ampsfExecForeignTruncate(List *rels, DropBehavior behavior, bool restart_seqs);

#endif
