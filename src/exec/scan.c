/*
 * scan.c - runs a scan: evaluates the parameters, sends the statement, and turns each record into a slot.
 *
 * Nothing is sent before the first row is wanted, so EXPLAIN and an unused subplan cost no call.  A
 * datum lives in row_cxt until the next row is asked for.
 */
#include "base/ampsf.h"
#include "exec/scan.h"

#include "access/table.h"
#include "executor/executor.h"
#include "foreign/foreign.h"
#include "miscadmin.h"
#include "nodes/nodeFuncs.h"
#include "org/limits.h"
#include "plan/plan_private.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"

/* The names to cut from each record, and a converter for each column to fill. */
static void
prepare_fields(AmpsfScanState *state, ForeignScan *plan)
{
	List *attnums = list_nth(plan->fdw_private, AMPSF_SCAN_ATTNUMS);
	List *sources = list_nth(plan->fdw_private, AMPSF_SCAN_SOURCES);
	TupleDesc desc = RelationGetDescr(state->relation);

	state->nfields = list_length(state->fields);
	state->field_names = palloc0(sizeof(char *) * state->nfields);
	state->values = palloc0(sizeof(AmpsfValue) * state->nfields);
	for (int i = 0; i < state->nfields; i++)
		state->field_names[i] = strVal(list_nth(state->fields, i));

	state->ncolumns = list_length(attnums);
	state->attnums = palloc0(sizeof(int) * state->ncolumns);
	state->sources = palloc0(sizeof(int) * state->ncolumns);
	state->conv = palloc0(sizeof(AmpsfColumnConv) * state->ncolumns);
	for (int i = 0; i < state->ncolumns; i++)
	{
		state->attnums[i] = list_nth_int(attnums, i);
		state->sources[i] = list_nth_int(sources, i);
		ampsf_convert_init(&state->conv[i], TupleDescAttr(desc, state->attnums[i] - 1),
						   ampsf_column(RelationGetRelid(state->relation), state->attnums[i]),
						   CurrentMemoryContext);
	}
}

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
	state->relation = node->ss.ss_currentRelation;
	state->object = strVal(list_nth(plan->fdw_private, AMPSF_SCAN_OBJECT));
	state->fields = list_nth(plan->fdw_private, AMPSF_SCAN_FIELDS);
	state->quals = list_nth(plan->fdw_private, AMPSF_SCAN_QUALS);
	state->limit = intVal(list_nth(plan->fdw_private, AMPSF_SCAN_LIMIT));
	state->column = -1;
	if (eflags & EXEC_FLAG_EXPLAIN_ONLY)
		return;

	state->table = ampsf_table_options(RelationGetRelid(state->relation));
	state->serverid = GetForeignTable(RelationGetRelid(state->relation))->serverid;
	state->userid = ampsf_scan_user(plan, estate);
	prepare_fields(state, plan);

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
	state->row_cxt = AllocSetContextCreate(estate->es_query_cxt, "ampsf_fdw row", ALLOCSET_DEFAULT_SIZES);
}

/* Evaluates the parameters and prints the statement, into param_cxt. */
static void
bind_statement(ForeignScanState *node)
{
	AmpsfScanState *state = node->fdw_state;
	ExprContext *econtext = node->ss.ps.ps_ExprContext;
	AmpsfBind bind = {.nparams = state->nparams,
					  .types = state->param_types,
					  .values = state->param_values,
					  .nulls = state->param_nulls};
	MemoryContext old;
	ListCell *lc;
	int i = 0;

	MemoryContextReset(state->param_cxt);
	old = MemoryContextSwitchTo(state->param_cxt);
	foreach (lc, state->param_exprs)
	{
		ExprState *expr = lfirst(lc);

		state->param_values[i] = ExecEvalExpr(expr, econtext, &state->param_nulls[i]);
		i++;
	}
	state->soql = ampsf_deparse_select(state->object, state->fields, state->quals, &bind);
	state->must_recheck = bind.must_recheck;
	MemoryContextSwitchTo(old);
}

static void
start_source(ForeignScanState *node)
{
	AmpsfScanState *state = node->fdw_state;

	state->started = true;
	state->row = 0;
	if (!state->soql)
		return;
	MemoryContextReset(state->source_cxt);
	state->session = ampsf_session_get(state->serverid, state->userid);
	if (!state->source)
	{
		AmpsfQuerySpec spec = {0};
		MemoryContext old = MemoryContextSwitchTo(state->source_cxt);

		spec.session = state->session;
		spec.soql = state->soql;
		spec.fields = state->field_names;
		spec.nfields = state->nfields;
		spec.all_rows = state->table->include_deleted;
		spec.page_size = state->table->page_size;
		spec.limit = state->must_recheck ? -1 : state->limit;
		spec.stats = &state->stats;
		state->source = ampsf_rest_query(&spec);
		state->source->ops->start(state->source);
		MemoryContextSwitchTo(old);
	}
}

/* Names the column and the row of a value that does not fit.  No catalog access: the transaction is broken. */
static void
conversion_context(void *arg)
{
	AmpsfScanState *state = arg;

	if (state->column >= 0)
		errcontext("field %s, column \"%s\" of foreign table \"%s\", row " INT64_FORMAT,
				   state->field_names[state->sources[state->column]],
				   NameStr(TupleDescAttr(RelationGetDescr(state->relation),
										 state->attnums[state->column] - 1)
							   ->attname),
				   RelationGetRelationName(state->relation), state->row);
}

static void
fill_slot(AmpsfScanState *state, TupleTableSlot *slot)
{
	ErrorContextCallback context;
	MemoryContext old;

	memset(slot->tts_isnull, true, sizeof(bool) * slot->tts_tupleDescriptor->natts);

	context.callback = conversion_context;
	context.arg = state;
	context.previous = error_context_stack;
	error_context_stack = &context;
	old = MemoryContextSwitchTo(state->row_cxt);
	for (int i = 0; i < state->ncolumns; i++)
	{
		int att = state->attnums[i] - 1;

		state->column = i;
		slot->tts_values[att] =
			ampsf_convert(&state->conv[i], &state->values[state->sources[i]], &slot->tts_isnull[att]);
	}
	state->column = -1;
	MemoryContextSwitchTo(old);
	error_context_stack = context.previous;
}

/* An unfiltered read tells the object's size for nothing: remember it for the planner. */
static void
note_total(AmpsfScanState *state)
{
	if (state->quals == NIL && !state->table->include_deleted && state->source->total >= 0)
		ampsf_record_count_note(state->serverid, state->userid, state->object, state->source->total);
}

TupleTableSlot *
ampsfIterateForeignScan(ForeignScanState *node)
{
	AmpsfScanState *state = node->fdw_state;
	TupleTableSlot *slot = node->ss.ss_ScanTupleSlot;

	if (!state->started)
	{
		bind_statement(node);
		start_source(node);
	}
	for (;;)
	{
		ExecClearTuple(slot);
		if (!state->source || !state->source->ops->next(state->source, state->values))
			return slot;
		if (state->row++ == 0)
			note_total(state);
		MemoryContextReset(state->row_cxt);
		fill_slot(state, slot);
		ExecStoreVirtualTuple(slot);
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
	MemoryContextReset(state->source_cxt);
}

void
ampsfReScanForeignScan(ForeignScanState *node)
{
	AmpsfScanState *state = node->fdw_state;

	if (!state->started)
		return;
	if (node->ss.ps.chgParam != NULL && state->nparams > 0)
	{
		char *before = state->soql ? MemoryContextStrdup(state->row_cxt, state->soql) : NULL;
		bool same;

		bind_statement(node);
		same = before && state->soql && strcmp(before, state->soql) == 0;
		if (before)
			pfree(before);
		if (!same)
			close_source(state);
	}
	/* The same statement: from memory, if all of it is still there. */
	state->row = 0;
	if (state->source && !state->source->ops->rewind(state->source))
		close_source(state);
	if (!state->source)
		state->started = false;
}

void
ampsfEndForeignScan(ForeignScanState *node)
{
	AmpsfScanState *state = node->fdw_state;

	if (state && state->source)
		close_source(state);
}
