/*
 * modify.c - the executor's callbacks for writes: INSERT, COPY FROM, rows routed to a partition,
 * UPDATE, DELETE.
 *
 * Must not know: JSON, HTTP, and when what was collected is sent (modify_flush.c).
 *
 * A row is sent at once, one call for each, where somebody looks at it right after it was written:
 * RETURNING, WITH CHECK OPTION, AFTER ROW triggers.  In all other cases rows are collected, up to
 * the table option batch_size; INSERT leaves the collecting to the executor.
 */
#include "base/ampsf.h"
#include "exec/modify.h"
#include "exec/modify_state.h"

#include "access/sysattr.h"
#include "access/xact.h"
#include "catalog/pg_type.h"
#include "executor/executor.h"
#include "foreign/foreign.h"
#include "plan/plan_modify.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"

#include "exec/scan.h"
#include "wire/sfid.h"

void
ampsf_modify_init(void)
{
	ampsf_modify_install();
}

static bool
has_after_row(const TriggerDesc *trig, AmpsfWriteOp op)
{
	if (trig == NULL)
		return false;
	return op == AMPSF_INSERT	? trig->trig_insert_after_row
		   : op == AMPSF_UPDATE ? trig->trig_update_after_row
								: trig->trig_delete_after_row;
}

static bool
has_after_statement(const TriggerDesc *trig, AmpsfWriteOp op)
{
	if (trig == NULL)
		return false;
	return op == AMPSF_INSERT	? trig->trig_insert_after_statement
		   : op == AMPSF_UPDATE ? trig->trig_update_after_statement
								: trig->trig_delete_after_statement;
}

AmpsfModifyState *
ampsf_modify_make(EState *estate, ResultRelInfo *rinfo, AmpsfWriteOp op)
{
	return ampsf_modify_make_for(estate, rinfo, op, ampsf_result_user(rinfo, estate));
}

AmpsfModifyState *
ampsf_modify_make_for(EState *estate, ResultRelInfo *rinfo, AmpsfWriteOp op, Oid userid)
{
	bool utility = estate->es_plannedstmt == NULL;
	MemoryContext cxt = utility ? AllocSetContextCreate(CurTransactionContext, "ampsf_fdw write",
														ALLOCSET_SMALL_SIZES)
								: estate->es_query_cxt;
	MemoryContext old = MemoryContextSwitchTo(estate->es_query_cxt);
	AmpsfModifyState *state = MemoryContextAllocZero(cxt, sizeof(AmpsfModifyState));
	int natts;

	state->estate = estate;
	state->utility = utility;
	state->subid = GetCurrentSubTransactionId();
	state->cxt = cxt;
	state->rinfo = rinfo;
	state->rel = rinfo->ri_RelationDesc;
	state->op = op;
	state->table = ampsf_table_options(RelationGetRelid(state->rel));
	state->serverid = GetForeignTable(RelationGetRelid(state->rel))->serverid;
	state->userid = userid;
	natts = RelationGetNumberOfAttributes(state->rel);
	state->columns = palloc0(sizeof(AmpsfColumn *) * Max(natts, 1));
	state->convs = palloc0(sizeof(AmpsfColumnConv *) * Max(natts, 1));
	state->id_attno = ampsf_id_column(state->rel);
	state->row_cxt = AllocSetContextCreate(estate->es_query_cxt, "ampsf_fdw row to write",
										   ALLOCSET_DEFAULT_SIZES);
	ampsf_modify_open(state);
	MemoryContextSwitchTo(old);
	return state;
}

/* An upsert without its key would be refused row by row. */
static void
check_upsert_key(AmpsfModifyState *state)
{
	const char *key = state->table->upsert_key;
	TupleDesc desc = RelationGetDescr(state->rel);

	if (key == NULL)
		return;
	for (int i = 0; i < desc->natts; i++)
		if (!TupleDescAttr(desc, i)->attisdropped &&
			pg_strcasecmp(ampsf_modify_column(state, i + 1)->field, key) == 0)
			return;
	ereport(ERROR, (errcode(ERRCODE_FDW_COLUMN_NAME_NOT_FOUND),
					errmsg("foreign table \"%s\" has no column for its upsert_key %s",
						   RelationGetRelationName(state->rel), key),
					errhint("ALTER FOREIGN TABLE %s ADD COLUMN ... OPTIONS (field '%s')",
							quote_identifier(RelationGetRelationName(state->rel)), key)));
}

/*
 * May rows of an UPDATE or DELETE wait for others?  Not where a row must be read back, and not in a
 * WITH clause with AFTER triggers, which may run before we hear of its end.  What DELETE returns is
 * known before.
 */
static bool
may_collect(const ModifyTable *plan, const ResultRelInfo *rinfo, AmpsfWriteOp op, List *fetch)
{
	const TriggerDesc *trig = rinfo->ri_TrigDesc;

	/* Who has been shown a row as written must not hear later that it was refused. */
	if (ampsf_table_options(RelationGetRelid(rinfo->ri_RelationDesc))->skip_failed &&
		(plan->returningLists != NIL || plan->withCheckOptionLists != NIL ||
		 has_after_row(trig, op)))
		return false;
	if (!plan->canSetTag && (has_after_row(trig, op) || has_after_statement(trig, op)))
		return false;
	return op == AMPSF_DELETE || fetch == NIL;
}

/* What an UPDATE or DELETE needs to know its rows by. */
static void
find_identity(AmpsfModifyState *state, Plan *subplan)
{
	Oid type = TupleDescAttr(RelationGetDescr(state->rel), state->id_attno - 1)->atttypid;
	Oid output;
	bool varlena;

	state->id_junk = ExecFindJunkAttributeInTlist(subplan->targetlist,
												  ampsf_id_junk_name(state->rel, state->id_attno));
	if (!AttributeNumberIsValid(state->id_junk))
		elog(ERROR, "could not find the Id among the columns of the plan");
	if (state->table->if_unchanged)
		state->version_junk = ExecFindJunkAttributeInTlist(
			subplan->targetlist, ampsf_id_junk_name(state->rel, ampsf_version_column(state->rel)));
	state->old_junk = ExecFindJunkAttributeInTlist(subplan->targetlist, "wholerow");
	getTypeOutputInfo(type, &output, &varlena);
	fmgr_info_cxt(output, &state->id_output, state->estate->es_query_cxt);
}

static void
remember_ids(AmpsfModifyState *state)
{
	HASHCTL ctl = {0};

	ctl.keysize = AMPSF_SFID_LEN + 1;
	ctl.entrysize = AMPSF_SFID_LEN + 1;
	ctl.hcxt = state->estate->es_query_cxt;
	state->seen =
		hash_create("ampsf_fdw rows seen", 1024, &ctl, HASH_ELEM | HASH_STRINGS | HASH_CONTEXT);
}

void
ampsfBeginForeignModify(ModifyTableState *mtstate, ResultRelInfo *rinfo, List *fdw_private,
						int subplan_index, int eflags)
{
	ModifyTable *plan = castNode(ModifyTable, mtstate->ps.plan);
	EState *estate = mtstate->ps.state;
	AmpsfModifyState *state;
	TriggerDesc *trig = rinfo->ri_TrigDesc;
	MemoryContext old;
	ListCell *lc;

	if (eflags & EXEC_FLAG_EXPLAIN_ONLY)
		return;
	state = ampsf_modify_make(estate, rinfo,
							  plan->operation == CMD_INSERT	  ? AMPSF_INSERT
							  : plan->operation == CMD_UPDATE ? AMPSF_UPDATE
															  : AMPSF_DELETE);
	rinfo->ri_FdwState = state;
	old = MemoryContextSwitchTo(estate->es_query_cxt);
	foreach (lc, (List *) list_nth(fdw_private, AMPSF_MODIFY_TARGETS))
		state->targets = bms_add_member(state->targets, lfirst_int(lc));
	state->fetch = list_nth(fdw_private, AMPSF_MODIFY_FETCH);
	state->returns = plan->returningLists != NIL || plan->withCheckOptionLists != NIL ||
					 has_after_row(trig, state->op);
	if (state->table->write_at_commit)
		ampsf_modify_at_commit(
			state, plan->returningLists ? list_nth(plan->returningLists, subplan_index) : NIL,
			plan->withCheckOptionLists ? list_nth(plan->withCheckOptionLists, subplan_index) : NIL,
			rinfo->ri_RangeTableIndex);
	state->set_tag = mtstate->canSetTag;
	if (state->op == AMPSF_INSERT)
		check_upsert_key(state);
	state->skips_duplicates = intVal(list_nth(fdw_private, AMPSF_MODIFY_NOTHING)) != 0;
	if (state->op == AMPSF_INSERT)
		state->collects = ampsfGetForeignModifyBatchSize(rinfo) > 1 && !state->returns &&
						  may_collect(plan, rinfo, state->op, state->fetch);
	else
	{
		find_identity(state, outerPlanState(mtstate)->plan);
		state->collects = may_collect(plan, rinfo, state->op, state->fetch);
		if (intVal(list_nth(fdw_private, AMPSF_MODIFY_JOINED)))
			remember_ids(state);
	}
	MemoryContextSwitchTo(old);
}

void
ampsfEndForeignModify(EState *estate, ResultRelInfo *rinfo)
{
	AmpsfModifyState *state = rinfo->ri_FdwState;

	rinfo->ri_FdwState = NULL;
	if (state != NULL)
		ampsf_modify_close(state);
}

/* COPY FROM, or rows that a partitioned table sends here. */
void
ampsfBeginForeignInsert(ModifyTableState *mtstate, ResultRelInfo *rinfo)
{
	EState *estate = mtstate->ps.state;
	Plan *plan = mtstate->ps.plan;
	AmpsfModifyState *state;
	TriggerDesc *trig = rinfo->ri_TrigDesc;
	ResultRelInfo *root = rinfo->ri_RootResultRelInfo;
	Bitmapset *named;
	MemoryContext old;
	int bit = -1;

	/*
	 * The partition is updated by this statement itself: its state is needed for that, and a row
	 * that is moved into it could be found there once more.
	 */
	if (rinfo->ri_FdwState != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("cannot route rows into foreign table \"%s\" while it is being updated",
						RelationGetRelationName(rinfo->ri_RelationDesc))));
	state = ampsf_modify_make(estate, rinfo, AMPSF_INSERT);
	rinfo->ri_FdwState = state;
	old = MemoryContextSwitchTo(estate->es_query_cxt);
	check_upsert_key(state);
	if (plan != NULL && IsA(plan, ModifyTable) &&
		castNode(ModifyTable, plan)->onConflictAction == ONCONFLICT_NOTHING)
	{
		ampsf_check_conflict(state->rel, castNode(ModifyTable, plan));
		state->skips_duplicates = true;
	}

	/* Columns that were named but cannot be written may be NULL; see ampsf_modify_fields. */
	named = ExecGetInsertedCols(rinfo, estate);
	while ((bit = bms_next_member(named, bit)) >= 0)
	{
		AttrNumber attno = bit + FirstLowInvalidHeapAttributeNumber;

		if (attno > 0 && ampsf_column_refusal(state->table->object,
											  ampsf_modify_column(state, attno), true) == NULL)
			state->targets = bms_add_member(state->targets, attno);
	}
	state->returns = rinfo->ri_returningList != NIL || rinfo->ri_WithCheckOptions != NIL ||
					 has_after_row(trig, AMPSF_INSERT);
	if (state->returns)
		state->fetch = ampsf_columns_to_fetch(
			state->rel, plan != NULL ? mtstate->resultRelInfo[0].ri_RangeTableIndex : 1,
			rinfo->ri_returningList, rinfo->ri_WithCheckOptions, has_after_row(trig, AMPSF_INSERT),
			state->targets);
	if (state->table->write_at_commit)
		ampsf_modify_at_commit(state, rinfo->ri_returningList, rinfo->ri_WithCheckOptions,
							   plan != NULL ? mtstate->resultRelInfo[0].ri_RangeTableIndex : 1);

	/* Before version 16, COPY hands over single rows. */
	state->copy = plan == NULL;
	state->collects = state->copy && !state->returns && !has_after_statement(trig, AMPSF_INSERT) &&
					  !(trig != NULL && trig->trig_insert_before_row) &&
					  !(root != NULL && has_after_statement(root->ri_TrigDesc, AMPSF_INSERT));
	MemoryContextSwitchTo(old);
}

void
ampsfEndForeignInsert(EState *estate, ResultRelInfo *rinfo)
{
	ampsfEndForeignModify(estate, rinfo);
}

int
ampsfGetForeignModifyBatchSize(ResultRelInfo *rinfo)
{
	AmpsfModifyState *state = rinfo->ri_FdwState;
	TriggerDesc *trig = rinfo->ri_TrigDesc;

	/* A BEFORE trigger of the next row expects to find the rows before it. */
	if (rinfo->ri_projectReturning != NULL || rinfo->ri_WithCheckOptions != NIL ||
		(trig != NULL && (trig->trig_insert_before_row || trig->trig_insert_after_row)))
		return 1;
	if (state != NULL)
		return state->returns ? 1 : state->table->batch_size;
	return ampsf_table_options(RelationGetRelid(rinfo->ri_RelationDesc))->batch_size;
}

TupleTableSlot **
ampsfExecForeignBatchInsert(EState *estate, ResultRelInfo *rinfo, TupleTableSlot **slots,
							TupleTableSlot **planSlots, int *numSlots)
{
	AmpsfModifyState *state = rinfo->ri_FdwState;

	int n = 0;

	state->batch_first = state->added + 1;
	state->batch_rows = *numSlots;
	state->batch_skipped =
		MemoryContextAllocZero(state->estate->es_query_cxt, sizeof(bool) * *numSlots);
	for (int i = 0; i < *numSlots; i++)
		ampsf_modify_add(state, NULL, slots[i]);
	if (state->collects)
		ampsf_modify_flush_full(state);
	else
		ampsf_modify_flush(state, NULL);
	/* The executor keeps the slots, in whatever order, and counts those that are given back. */
	for (int i = 0; i < *numSlots; i++)
	{
		TupleTableSlot *slot = slots[i];

		if (state->batch_skipped[i])
			continue;
		slots[i] = slots[n];
		slots[n++] = slot;
	}
	*numSlots = n;
	pfree(state->batch_skipped);
	state->batch_first = 0;
	return slots;
}

TupleTableSlot *
ampsfExecForeignInsert(EState *estate, ResultRelInfo *rinfo, TupleTableSlot *slot,
					   TupleTableSlot *planSlot)
{
	AmpsfModifyState *state = rinfo->ri_FdwState;
	AmpsfFlushed out;

	ampsf_modify_add(state, NULL, slot);
	if (state->collects)
	{
		ampsf_modify_flush_full(state);
		return slot;
	}
	ampsf_modify_flush(state, &out);
	if (out.skipped > 0)
		return NULL;
	ampsf_modify_complete(state, slot, &out);
	return slot;
}

/* When the row was changed last; timestamp without time zone shows UTC. */
static void
read_version(AmpsfModifyState *state, TupleTableSlot *planSlot)
{
	bool isnull;
	Datum datum = ExecGetJunkAttribute(planSlot, state->version_junk, &isnull);

	if (isnull)
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("row %lld of foreign table \"%s\" does not tell when it was changed",
						(long long) (state->added + 1), RelationGetRelationName(state->rel))));
	state->version = DatumGetTimestampTz(datum);
}

/*
 * The Id of the row that planSlot stands for, in id; false if the statement has had that row
 * before: as with local tables, the first of several matches is the one that counts.
 */
static bool
identify(AmpsfModifyState *state, TupleTableSlot *planSlot, char *id)
{
	bool isnull, found = false;
	Datum datum = ExecGetJunkAttribute(planSlot, state->id_junk, &isnull);
	MemoryContext old;
	char *text;
	size_t len;

	if (isnull)
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("row %lld of foreign table \"%s\" has no Id",
						(long long) (state->added + 1), RelationGetRelationName(state->rel))));
	MemoryContextReset(state->row_cxt);
	old = MemoryContextSwitchTo(state->row_cxt);
	text = OutputFunctionCall(&state->id_output, datum);
	len = strlen(text);
	while (len > 0 && text[len - 1] == ' ') /* char(n) */
		len--;
	/* A number, in Account Engagement. */
	if (state->table->engagement && len > 0 && len <= AMPSF_SFID_LEN &&
		strspn(text, "0123456789") == len)
		strlcpy(id, text, AMPSF_SFID_LEN + 1);
	else if (!ampsf_sfid_canonicalize(text, len, id))
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("row %lld of foreign table \"%s\" has an invalid Id: \"%s\"",
							   (long long) (state->added + 1), RelationGetRelationName(state->rel),
							   text)));
	MemoryContextSwitchTo(old);
	if (state->version_junk > 0)
		read_version(state, planSlot);
	if (state->seen != NULL)
		(void) hash_search(state->seen, id, HASH_ENTER, &found);
	return !found;
}

TupleTableSlot *
ampsfExecForeignUpdate(EState *estate, ResultRelInfo *rinfo, TupleTableSlot *slot,
					   TupleTableSlot *planSlot)
{
	AmpsfModifyState *state = rinfo->ri_FdwState;
	char id[AMPSF_SFID_LEN + 1];
	AmpsfFlushed out;

	if (!identify(state, planSlot, id))
		return NULL;
	ampsf_modify_add(state, id, slot);
	if (state->collects)
	{
		ampsf_modify_flush_full(state);
		return slot;
	}
	ampsf_modify_flush(state, &out);
	if (out.gone > 0 || out.skipped > 0)
		return NULL;
	ampsf_modify_complete(state, slot, &out);
	return slot;
}

TupleTableSlot *
ampsfExecForeignDelete(EState *estate, ResultRelInfo *rinfo, TupleTableSlot *slot,
					   TupleTableSlot *planSlot)
{
	AmpsfModifyState *state = rinfo->ri_FdwState;
	char id[AMPSF_SFID_LEN + 1];
	AmpsfFlushed out;

	if (!identify(state, planSlot, id))
		return NULL;
	ampsf_modify_add(state, id, NULL);
	if (state->collects)
		ampsf_modify_flush_full(state);
	else
	{
		ampsf_modify_flush(state, &out);
		if (out.skipped > 0)
			return NULL;
	}
	if (state->returns)
		ampsf_modify_old_row(state, slot, planSlot);
	return slot;
}

char *
ampsf_modify_describe(Relation rel, CmdType op, List *targets)
{
	const char *key = ampsf_table_options(RelationGetRelid(rel))->upsert_key;
	StringInfoData buf;
	ListCell *lc;

	initStringInfo(&buf);
	appendStringInfo(&buf, "%s %s",
					 op == CMD_INSERT
						 ? (key != NULL ? psprintf("upsert by %s into", key) : "insert")
					 : op == CMD_UPDATE ? "update"
										: "delete",
					 ampsf_table_options(RelationGetRelid(rel))->object);
	foreach (lc, targets)
		appendStringInfo(&buf, "%s%s", foreach_current_index(lc) > 0 ? ", " : " (",
						 ampsf_column(RelationGetRelid(rel), lfirst_int(lc))->field);
	if (targets != NIL)
		appendStringInfoChar(&buf, ')');
	return buf.data;
}

void
ampsfExplainForeignModify(ModifyTableState *mtstate, ResultRelInfo *rinfo, List *fdw_private,
						  int subplan_index, ExplainState *es)
{
	ModifyTable *plan = castNode(ModifyTable, mtstate->ps.plan);
	AmpsfModifyState *state = rinfo->ri_FdwState;
	Relation rel = rinfo->ri_RelationDesc;

	if (es->verbose)
	{
		AmpsfTableOptions *table = ampsf_table_options(RelationGetRelid(rel));
		AmpsfWriteOp op = plan->operation == CMD_INSERT	  ? AMPSF_INSERT
						  : plan->operation == CMD_UPDATE ? AMPSF_UPDATE
														  : AMPSF_DELETE;
		char *text = ampsf_modify_describe(rel, plan->operation,
										   list_nth(fdw_private, AMPSF_MODIFY_TARGETS));
		int batch;

		if (op == AMPSF_INSERT)
			batch = ampsfGetForeignModifyBatchSize(rinfo);
		else if (!may_collect(plan, rinfo, op, list_nth(fdw_private, AMPSF_MODIFY_FETCH)))
			batch = 1;
		else
			batch = table->batch_size;
		if (table->if_unchanged && op == AMPSF_UPDATE)
			batch = Min(batch, AMPSF_MAX_BATCH);
		/* Account Engagement has a call for each record. */
		if (table->engagement || (table->write_api && op == AMPSF_DELETE))
			batch = 1;
		ExplainPropertyText("Salesforce Operation",
							table->write_at_commit ? psprintf("%s, at commit", text)
							: batch == 1		   ? psprintf("%s, row by row", text)
												   : psprintf("%s, batches of %d", text, batch),
							es);
		/* Of several partitions nobody knows which rows are whose. */
		if (es->costs && list_length(plan->resultRelations) == 1)
			ampsf_explain_write_calls(table, outerPlan(plan)->plan_rows, batch,
									  list_nth(fdw_private, AMPSF_MODIFY_FETCH) != NIL, es);
		if (list_nth(fdw_private, AMPSF_MODIFY_FETCH) != NIL && !table->write_at_commit)
		{
			List *names = NIL;
			ListCell *lc;

			foreach (lc, (List *) list_nth(fdw_private, AMPSF_MODIFY_FETCH))
				names = lappend(names, ampsf_column(RelationGetRelid(rel), lfirst_int(lc))->field);
			ExplainPropertyList("Read Back", names, es);
		}
	}
	if (es->analyze && state != NULL)
	{
		AmpsfStats all = state->stats;

		ampsf_stats_add(&all, &state->read_stats);
		if (state->table->write_at_commit)
			ExplainPropertyInteger("Rows Queued", NULL, state->queued, es);
		else
			ExplainPropertyInteger("Rows Written", NULL, state->stats.rows, es);
		ampsf_explain_stats(&all, es);
	}
}
