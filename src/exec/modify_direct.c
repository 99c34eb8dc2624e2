/*
 * modify_direct.c - UPDATE and DELETE of rows that the executor never sees: their Ids go from the
 * scan straight into the calls that write; see plan_direct.c.
 *
 * node->fdw_state is the scan's; that of the writes is the result relation's, as elsewhere.
 */
#include "base/ampsf.h"
#include "exec/modify.h"
#include "exec/modify_state.h"

#include "executor/executor.h"
#include "executor/instrument.h"
#include "plan/plan_modify.h"
#include "utils/memutils.h"
#include "utils/rel.h"

#include "exec/scan.h"

static List *
direct_private(ForeignScanState *node)
{
	ForeignScan *plan = castNode(ForeignScan, node->ss.ps.plan);

	return list_nth(plan->fdw_private, AMPSF_SCAN_DIRECT);
}

void
ampsfBeginDirectModify(ForeignScanState *node, int eflags)
{
	ForeignScan *plan = castNode(ForeignScan, node->ss.ps.plan);
	EState *estate = node->ss.ps.state;
	List *direct = direct_private(node);
	AmpsfModifyState *state;
	MemoryContext old;
	ListCell *lc;

	ampsfBeginForeignScan(node, eflags);
	if (eflags & EXEC_FLAG_EXPLAIN_ONLY)
		return;
	state = ampsf_modify_make(estate, node->resultRelInfo,
							  plan->operation == CMD_UPDATE ? AMPSF_UPDATE : AMPSF_DELETE);
	node->resultRelInfo->ri_FdwState = state;
	old = MemoryContextSwitchTo(estate->es_query_cxt);
	foreach (lc, (List *) list_nth(direct, AMPSF_DIRECT_TARGETS))
		state->targets = bms_add_member(state->targets, lfirst_int(lc));
	MemoryContextSwitchTo(old);
	state->collects = true;
	state->set_tag = intVal(list_nth(direct, AMPSF_DIRECT_SET_TAG)) != 0;
}

/* What every row is given, from the values that the scan has evaluated with its parameters. */
static void
make_fields(ForeignScanState *node, AmpsfModifyState *state, StringInfo buf, bool *references)
{
	AmpsfScanState *scan = node->fdw_state;
	List *direct = direct_private(node);
	int at = intVal(list_nth(direct, AMPSF_DIRECT_VALUES));
	TupleTableSlot *slot = MakeSingleTupleTableSlot(RelationGetDescr(state->rel), &TTSOpsVirtual);
	ListCell *lc;

	ExecStoreAllNullTuple(slot);
	foreach (lc, (List *) list_nth(direct, AMPSF_DIRECT_TARGETS))
	{
		slot->tts_values[lfirst_int(lc) - 1] = scan->param_values[at];
		slot->tts_isnull[lfirst_int(lc) - 1] = scan->param_nulls[at];
		at++;
	}
	initStringInfo(buf);
	ampsf_modify_fields(state, slot, buf, references);
	ExecDropSingleTupleTableSlot(slot);
}

TupleTableSlot *
ampsfIterateDirectModify(ForeignScanState *node)
{
	AmpsfScanState *scan = node->fdw_state;
	EState *estate = node->ss.ps.state;
	AmpsfModifyState *state = node->resultRelInfo->ri_FdwState;
	MemoryContext old = MemoryContextSwitchTo(estate->es_query_cxt);
	StringInfoData fields = {0};
	bool references = false;
	TupleTableSlot *slot;

	for (;;)
	{
		char id[AMPSF_SFID_LEN + 1];

		slot = ampsfIterateForeignScan(node);
		if (TupIsNull(slot))
			break;

		if (state->op == AMPSF_UPDATE && fields.data == NULL)
			make_fields(node, state, &fields, &references);
		if (!ampsf_sfid_canonicalize(scan->values[0].ptr, scan->values[0].len, id))
			ereport(ERROR, (errcode(ERRCODE_FDW_UNABLE_TO_CREATE_REPLY),
							errmsg("Salesforce's answer holds a row of %s with an invalid Id",
								   state->table->object)));
		ampsf_modify_add_fields(state, id, fields.data, fields.len,
								references ? AMPSF_ROW_REFERS : 0);
		if (state->set_tag)
			estate->es_processed++;
		if (node->ss.ps.instrument)
			node->ss.ps.instrument->tuplecount += 1;
		ampsf_modify_flush_full(state);
	}
	ampsf_modify_flush(state, NULL);
	if (fields.data != NULL)
		pfree(fields.data);
	MemoryContextSwitchTo(old);
	return slot;
}

void
ampsfEndDirectModify(ForeignScanState *node)
{
	ResultRelInfo *rinfo = node->resultRelInfo;

	if (rinfo != NULL && rinfo->ri_FdwState != NULL)
		ampsf_modify_close(rinfo->ri_FdwState);
	ampsfEndForeignScan(node);
}

void
ampsfExplainDirectModify(ForeignScanState *node, ExplainState *es)
{
	ForeignScan *plan = castNode(ForeignScan, node->ss.ps.plan);
	Relation rel = node->resultRelInfo->ri_RelationDesc;
	AmpsfModifyState *state = node->resultRelInfo->ri_FdwState;
	const AmpsfTableOptions *table = ampsf_table_options(RelationGetRelid(rel));
	/* The Write API deletes one by one. */
	int batch = table->write_api && plan->operation == CMD_DELETE ? 1 : table->batch_size;

	ampsfExplainForeignScan(node, es);
	if (es->verbose)
		ExplainPropertyText(
			"Salesforce Operation",
			psprintf(table->write_at_commit ? "%s, at commit"
					 : batch == 1			? "%s, row by row"
											: "%s, batches of %d",
					 ampsf_modify_describe(rel, plan->operation,
										   list_nth(direct_private(node), AMPSF_DIRECT_TARGETS)),
					 batch),
			es);
	if (es->verbose && es->costs)
		ampsf_explain_write_calls(table, plan->scan.plan.plan_rows, batch, false, es);
	if (es->analyze && state != NULL)
	{
		if (state->table->write_at_commit)
			ExplainPropertyInteger("Rows Queued", NULL, state->queued, es);
		else
			ExplainPropertyInteger("Rows Written", NULL, state->stats.rows, es);
		ExplainPropertyInteger("Write Calls", NULL, state->stats.calls, es);
	}
}
