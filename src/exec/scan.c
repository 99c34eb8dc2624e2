/*
 * scan.c - runs a scan: evaluates the parameters, sends the statement, and turns each record into a
 * slot.
 *
 * Nothing is sent before the first row is wanted, so EXPLAIN and an unused subplan cost no call.  A
 * datum lives in row_cxt until the next row is asked for.
 */
#include "base/ampsf.h"
#include "base/progress.h"
#include "exec/parallel.h"
#include "exec/engagement_scan.h"
#include "exec/scan.h"

#include "executor/executor.h"
#include "foreign/foreign.h"
#include "miscadmin.h"
#include "nodes/nodeFuncs.h"
#include "org/limits.h"
#include "org/query.h"
#include "plan/plan_private.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"

/* Rows from one report of progress to the next. */
#define ROWS_A_REPORT 1000

void
ampsfBeginForeignScan(ForeignScanState *node, int eflags)
{
	ForeignScan *plan = castNode(ForeignScan, node->ss.ps.plan);
	EState *estate = node->ss.ps.state;
	AmpsfScanState *state;
	ListCell *lc;
	int i = 0;

	state = palloc0(sizeof(AmpsfScanState));
	node->fdw_state = state;
	ampsf_read_select(plan->fdw_private, &state->select);
	state->relid = (Oid) intVal(list_nth(plan->fdw_private, AMPSF_SCAN_RELID));
	state->limit = intVal(list_nth(plan->fdw_private, AMPSF_SCAN_LIMIT));
	state->plain = plan->scan.scanrelid > 0;
	/* Aggregates without GROUP BY: the slot has nothing else. */
	state->aggregates = plan->fdw_scan_tlist != NIL &&
						IsA(linitial_node(TargetEntry, plan->fdw_scan_tlist)->expr, Aggref);
	state->column = -1;
	state->async = node->ss.ps.async_capable;
	if (eflags & EXEC_FLAG_EXPLAIN_ONLY)
		return;

	state->table = ampsf_table_options(state->relid);
	state->serverid = GetForeignTable(state->relid)->serverid;
	state->userid = ampsf_scan_user(plan, estate);
	ampsf_scan_prepare_row(state, plan->fdw_private);
	if (!state->table->engagement)
		ampsf_scan_plan_statements(state);

	state->nparams = list_length(plan->fdw_exprs);
	state->param_exprs = ExecInitExprList(plan->fdw_exprs, &node->ss.ps);
	state->param_types = palloc0(sizeof(Oid) * state->nparams);
	state->param_values = palloc0(sizeof(Datum) * state->nparams);
	state->param_nulls = palloc0(sizeof(bool) * state->nparams);
	foreach (lc, plan->fdw_exprs)
		state->param_types[i++] = exprType(lfirst(lc));

	state->param_cxt =
		AllocSetContextCreate(estate->es_query_cxt, "ampsf_fdw parameters", ALLOCSET_SMALL_SIZES);
	state->source_cxt =
		AllocSetContextCreate(estate->es_query_cxt, "ampsf_fdw row source", ALLOCSET_DEFAULT_SIZES);
	state->row_cxt =
		AllocSetContextCreate(estate->es_query_cxt, "ampsf_fdw row", ALLOCSET_DEFAULT_SIZES);
	if (*state->select.group_by)
		ampsf_groups_begin(node);
}

static void
start_source(ForeignScanState *node)
{
	AmpsfScanState *state = node->fdw_state;

	state->started = true;
	state->ended = false;
	state->row = 0;
	if (!state->soql)
		return;
	MemoryContextReset(state->source_cxt);
	state->session = ampsf_session_get(state->serverid, state->userid);
	if (!state->source)
	{
		AmpsfQuerySpec spec = {0};
		AmpsfTransportSpec transport = {0};
		MemoryContext old = MemoryContextSwitchTo(state->source_cxt);

		spec.session = state->session;
		spec.soql = state->soql;
		spec.fields = state->keys;
		spec.nfields = state->nfields;
		spec.all_rows = state->table->include_deleted;
		spec.page_size = state->table->page_size;
		spec.limit = state->must_recheck ? -1 : state->limit;
		spec.stats = &state->stats;
		transport.transport = state->table->transport;
		transport.threshold = state->table->bulk_threshold;
		transport.object = state->select.object;
		transport.types = state->types;
		transport.pages_only = state->pages_only;
		spec.progress = state;
		spec.share = state->share;
		ampsf_progress_begin(state, state->relid, &state->stats);
		state->source = state->table->engagement ? ampsf_engagement_open(state, &spec)
						: state->statements		 ? ampsf_scan_open_statements(state, &spec)
												 : ampsf_query(&spec, &transport);
		state->source->ops->start(state->source);
		MemoryContextSwitchTo(old);
	}
}

/* An unfiltered read tells the object's size for nothing: remember it for the planner. */
static void
note_total(AmpsfScanState *state)
{
	if (state->plain && state->select.quals == NIL && state->select.bounds == NIL &&
		!state->table->include_deleted && state->source->total >= 0)
		ampsf_record_count_note(state->serverid, state->userid, state->select.object,
								state->source->total);
}

/*
 * Aggregates over all rows give one row even if no row can pass the condition, so that nothing was
 * asked: counts are 0, the others NULL.
 */
static TupleTableSlot *
row_of_nothing(ForeignScanState *node)
{
	AmpsfScanState *state = node->fdw_state;
	TupleTableSlot *slot = node->ss.ss_ScanTupleSlot;
	List *attnums =
		list_nth(castNode(ForeignScan, node->ss.ps.plan)->fdw_private, AMPSF_SCAN_ATTNUMS);
	ListCell *lc;

	state->row++;
	memset(slot->tts_isnull, true, sizeof(bool) * slot->tts_tupleDescriptor->natts);
	foreach (lc, attnums)
		if (lfirst_int(lc) == 0)
		{
			int att = state->slots[foreach_current_index(lc)];

			slot->tts_values[att] = Int64GetDatum(0);
			slot->tts_isnull[att] = false;
		}
	return ExecStoreVirtualTuple(slot);
}

/* The next record into state->values; false at the end, or (async) if none is at hand. */
static bool
next_record(AmpsfScanState *state)
{
	const AmpsfRowSourceOps *ops;

	state->pending = false;
	if (!state->source)
		return false;
	ops = state->source->ops;
	if (state->async && ops->poll(state->source) == AMPSF_SOURCE_PENDING)
	{
		state->pending = true;
		return false;
	}
	if (ops->next(state->source, state->values))
		return true;
	state->ended = true;
	return false;
}

TupleTableSlot *
ampsfIterateForeignScan(ForeignScanState *node)
{
	AmpsfScanState *state = node->fdw_state;
	TupleTableSlot *slot = node->ss.ss_ScanTupleSlot;

	if (state->groups)
		return ampsf_groups_next(node);
	if (!state->started)
	{
		ampsf_parallel_settle(node);
		ampsf_scan_bind(node);
		start_source(node);
	}
	for (;;)
	{
		ExecClearTuple(slot);
		if (!state->soql && state->aggregates && state->row == 0)
			return row_of_nothing(node);
		if (!next_record(state))
			return slot;
		if (state->row++ == 0)
			note_total(state);
		if (unlikely(state->row % ROWS_A_REPORT == 1))
		{
			ampsf_progress_rows(state, state->row);
			ampsf_progress_expected(state, state->source->total);
		}
		if (state->row <= state->skip)
			continue;
		ampsf_scan_fill_slot(state, slot);
		if (!state->must_recheck)
			return slot;
		else
		{
			ExprContext *econtext = node->ss.ps.ps_ExprContext;
			bool pass;

			econtext->ecxt_scantuple = slot;
			pass = ExecQual(node->fdw_recheck_quals, econtext);
			ResetExprContext(econtext);
			if (pass)
				return slot;
			CHECK_FOR_INTERRUPTS();
		}
	}
}

static void
close_source(AmpsfScanState *state)
{
	if (state->source)
		state->source->ops->close(state->source);
	state->source = NULL;
	ampsf_progress_end(state);
	MemoryContextReset(state->source_cxt);
}

void
ampsfReScanForeignScan(ForeignScanState *node)
{
	AmpsfScanState *state = node->fdw_state;

	if (!state->started)
		return;
	if (state->groups)
	{
		ampsf_groups_rescan(node);
		return;
	}
	if (node->ss.ps.chgParam != NULL && state->nparams > 0)
	{
		/* Of a list that was cut into parts it says nothing. */
		bool cut = state->statements != NIL;
		char *before = state->soql ? MemoryContextStrdup(state->row_cxt, state->soql) : NULL;
		bool same;

		ampsf_scan_bind(node);
		same =
			before && state->soql && strcmp(before, state->soql) == 0 && !cut && !state->statements;
		if (before)
			pfree(before);
		if (!same)
			close_source(state);
	}
	/* The same statement: from memory, if all of it is still there. */
	state->row = 0;
	state->ended = false;
	if (state->source &&
		(state->share || state->leave || !state->source->ops->rewind(state->source)))
		close_source(state);
	if (!state->source)
		state->started = false;
}

void
ampsfEndForeignScan(ForeignScanState *node)
{
	AmpsfScanState *state = node->fdw_state;

	/* Before anybody waits for the workers. */
	ampsfShutdownForeignScan(node);
	if (state && state->source)
		close_source(state);
	if (state && state->groups)
		ampsf_groups_end(node);
}

bool
ampsf_scan_has_begun(ForeignScanState *node)
{
	return ((AmpsfScanState *) node->fdw_state)->started;
}

bool
ampsf_scan_is_reading(ForeignScanState *node)
{
	AmpsfScanState *state = node->fdw_state;

	return state->source && !state->ended;
}

bool
ampsf_scan_is_pending(ForeignScanState *node)
{
	return ((AmpsfScanState *) node->fdw_state)->pending;
}
