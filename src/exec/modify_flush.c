/*
 * modify_flush.c - sends what a statement has collected, judges the outcomes, and sees to it that
 * nothing is still waiting when the statement reports success.
 *
 * Salesforce takes up to 200 rows in a call, the executor hands over one UPDATE or DELETE at a time
 * and has no moment at which it says "that was the last".  EndForeignModify would be too late: the
 * command's tag has been made up, AFTER triggers have run.  So the end of ExecutorRun is that
 * moment, found by ExecutorRun_hook: a failure still fails the statement before its triggers run,
 * and rows that turned out to be gone can still be taken from its count.  What runs later than that
 * (a WITH clause that nobody read) is sent by the end of ExecutorFinish.
 */
#include "base/ampsf.h"
#include "exec/modify_state.h"

#include "access/xact.h"
#include "executor/executor.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "base/error.h"
#include "wire/sfid.h"

/* Writes that are open in this backend, those of surrounding statements included. */
static dlist_head open_writes = DLIST_STATIC_INIT(open_writes);

/* Has this transaction written anything to Salesforce? */
static bool xact_wrote = false;

/* The statement whose error being raised tells itself how much was written. */
static EState *count_told = NULL;

static ExecutorRun_hook_type prev_run = NULL;
static ExecutorFinish_hook_type prev_finish = NULL;

static void
unlist(void *arg)
{
	AmpsfModifyState *state = arg;

	if (state->listed)
		dlist_delete(&state->node);
	state->listed = false;
}

/* Enters state into the list of open writes, which it leaves with its memory at the latest. */
void
ampsf_modify_open(AmpsfModifyState *state)
{
	dlist_push_tail(&open_writes, &state->node);
	state->listed = true;
	state->unlist.func = unlist;
	state->unlist.arg = state;
	MemoryContextRegisterResetCallback(state->estate->es_query_cxt, &state->unlist);
}

/* Rows that this statement, all of its tables together, has written so far. */
static int64
rows_written(EState *estate)
{
	int64 n = 0;
	dlist_iter iter;

	dlist_foreach(iter, &open_writes)
	{
		AmpsfModifyState *state = dlist_container(AmpsfModifyState, node, iter.cur);

		if (state->estate == estate)
			n += state->stats.rows;
	}
	return n;
}

/*
 * Whatever goes wrong in a statement, be it here, in its scan or in one of its expressions: rows of
 * earlier calls stay written, and the message has to say so.  Notices and warnings are left alone.
 */
static void
written_context(void *arg)
{
	EState *estate = arg;
	int64 n = rows_written(estate);
	int category = ERRCODE_TO_CATEGORY(geterrcode());

	if (count_told == estate)
	{
		count_told = NULL;
		return;
	}
	if (n > 0 && category != ERRCODE_SUCCESSFUL_COMPLETION && category != ERRCODE_WARNING &&
		category != ERRCODE_NO_DATA)
		errcontext("%lld %s of this statement %s written to Salesforce before and %s written",
				   (long long) n, n == 1 ? "row" : "rows", n == 1 ? "was" : "were",
				   n == 1 ? "stays" : "stay");
}

static void
throw_row(AmpsfModifyState *state, const AmpsfWriteResult *res, int64 row, int others)
{
	AmpsfApiError err = {0, res->code, res->message, res->fields};
	int64 written = rows_written(state->estate);
	const char *hint = ampsf_error_hint(&err);
	const char *table = RelationGetRelationName(state->rel);
	StringInfoData detail;

	initStringInfo(&detail);
	appendStringInfoString(&detail, ampsf_clean_text(res->code, strlen(res->code)));
	if (res->message != NULL)
		appendStringInfo(&detail, ": %s", ampsf_clean_text(res->message, strlen(res->message)));
	if (res->fields != NULL)
		appendStringInfo(&detail, " (fields: %s)",
						 ampsf_clean_text(res->fields, strlen(res->fields)));
	if (others > 0)
		appendStringInfo(&detail, "\n%d more %s of the same call failed.", others,
						 others == 1 ? "row" : "rows");
	if (written == 0)
		appendStringInfoString(&detail, "\nNo row of this statement was written.");
	else
		appendStringInfo(&detail,
						 "\n%lld %s of this statement %s written before it failed and %s written.",
						 (long long) written, written == 1 ? "row" : "rows",
						 written == 1 ? "was" : "were", written == 1 ? "stays" : "stay");
	count_told = state->estate;
	ereport(ERROR, (errcode(ampsf_error_sqlstate(&err)),
					state->op == AMPSF_INSERT
						? errmsg("could not insert row %lld into foreign table \"%s\"",
								 (long long) row, table)
					: state->op == AMPSF_UPDATE
						? errmsg("could not update row %lld (Id %s) of foreign table \"%s\"",
								 (long long) row, res->id, table)
						: errmsg("could not delete row %lld (Id %s) from foreign table \"%s\"",
								 (long long) row, res->id, table),
					errdetail_internal("%s", detail.data), hint != NULL ? errhint("%s", hint) : 0));
}

/*
 * Was the row itself gone?  A refusal that names fields, or of a row that sets a reference, may as
 * well speak of the record that was referred to: that is an error.
 */
static bool
is_gone(AmpsfModifyState *state, const AmpsfWriteResult *res, bool references)
{
	if (state->op == AMPSF_INSERT || res->fields != NULL || references)
		return false;
	return strcmp(res->code, "ENTITY_IS_DELETED") == 0 || strcmp(res->code, "NOT_FOUND") == 0;
}

/*
 * Rows have been returned, or checked, as updated that another user had deleted meanwhile.  The
 * answer was wrong, so there must be none.
 */
static void
throw_gone(AmpsfModifyState *state, int gone)
{
	ereport(ERROR, (errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
					errmsg("%d %s to be updated in foreign table \"%s\" no longer existed", gone,
						   gone == 1 ? "row" : "rows", RelationGetRelationName(state->rel)),
					errhint("The statement can be repeated.")));
}

bool
ampsf_modify_flush(AmpsfModifyState *state, char *id)
{
	AmpsfWriteResult *results;
	AmpsfWriteResult *failed = NULL;
	ErrorContextCallback errcb = {error_context_stack, written_context, state->estate};
	int64 failed_row = 0;
	int gone = 0, others = 0;
	int n;

	if (state->waiting == 0)
		return true;
	state->waiting = 0;
	xact_wrote = true;
	/* COPY does not run under the executor's hooks. */
	if (state->copy)
		error_context_stack = &errcb;
	n = ampsf_sink_flush(state->sink, &results);
	error_context_stack = errcb.previous;

	for (int i = 0; i < n; i++)
	{
		if (results[i].success)
			continue;
		if (is_gone(state, &results[i], state->may_be_parent[i]))
			gone++;
		else if (failed == NULL)
		{
			failed = &results[i];
			failed_row = state->sent + i + 1;
		}
		else
			others++;
	}
	state->sent += n;
	if (failed != NULL)
		throw_row(state, failed, failed_row, others);
	if (id != NULL && n == 1)
		snprintf(id, AMPSF_SFID_LEN + 1, "%s", results[0].id);

	/*
	 * A row to be deleted that is gone already is as the statement wants it; and where the call had
	 * to be repeated, it was this statement that deleted it.
	 */
	if (state->op == AMPSF_DELETE || gone == 0)
		return true;
	if (state->collects && state->returns)
		throw_gone(state, gone);
	state->vanished += gone;
	if (state->collects && state->set_tag)
		state->estate->es_processed -= gone;
	return n != gone;
}

/* Makes the connection when the first row comes: a statement without rows costs no call and no
 * login. */
static void
open_sink(AmpsfModifyState *state)
{
	MemoryContext old = MemoryContextSwitchTo(state->estate->es_query_cxt);

	state->session = ampsf_session_get(state->serverid, state->userid);
	state->sink = ampsf_collections_open(state->session, state->op, state->table->object,
										 state->table->batch_size, &state->stats);
	state->may_be_parent = palloc0(sizeof(bool) * state->table->batch_size);
	MemoryContextSwitchTo(old);
}

/* Adds a row: slot is not looked at for a DELETE. */
void
ampsf_modify_add(AmpsfModifyState *state, const char *id, TupleTableSlot *slot)
{
	MemoryContext old;
	StringInfoData buf;
	bool references = false;
	ErrorContextCallback errcb = {error_context_stack, written_context, state->estate};

	if (state->sink == NULL)
		open_sink(state);
	MemoryContextReset(state->row_cxt);
	old = MemoryContextSwitchTo(state->row_cxt);
	initStringInfo(&buf);
	if (state->copy)
		error_context_stack = &errcb;
	if (state->op != AMPSF_DELETE)
		ampsf_modify_fields(state, slot, &buf, &references);
	error_context_stack = errcb.previous;
	MemoryContextSwitchTo(old);
	if (state->waiting > 0 && (state->waiting >= state->table->batch_size ||
							   ampsf_sink_bytes(state->sink) + buf.len > AMPSF_WRITE_BYTES))
		(void) ampsf_modify_flush(state, NULL);
	state->may_be_parent[state->waiting] = references;
	state->waiting = ampsf_sink_add(state->sink, id, buf.data, buf.len);
}

void
ampsf_modify_close(AmpsfModifyState *state)
{
	(void) ampsf_modify_flush(state, NULL);
	unlist(state);
	if (state->sink != NULL)
		ampsf_sink_close(state->sink);
	state->sink = NULL;
}

/* Sends all that the statement has collected, and tells of rows that were gone. */
static void
finish_statement(EState *estate)
{
	dlist_iter iter;

	dlist_foreach(iter, &open_writes)
	{
		AmpsfModifyState *state = dlist_container(AmpsfModifyState, node, iter.cur);

		if (state->estate != estate)
			continue;
		(void) ampsf_modify_flush(state, NULL);
		if (state->vanished > 0)
			ereport(NOTICE,
					(errmsg("%lld %s to be updated in foreign table \"%s\" no longer existed",
							(long long) state->vanished, state->vanished == 1 ? "row" : "rows",
							RelationGetRelationName(state->rel))));
		state->vanished = 0;
	}
}

static void
flush_statement(EState *estate)
{
	if (!dlist_is_empty(&open_writes))
	{
		MemoryContext old = MemoryContextSwitchTo(estate->es_query_cxt);

		finish_statement(estate);
		MemoryContextSwitchTo(old);
	}
}

static void
run_hook(AMPSF_RUN_PARAMS)
{
	ErrorContextCallback errcb = {error_context_stack, written_context, desc->estate};

	error_context_stack = &errcb;
	if (prev_run != NULL)
		prev_run(AMPSF_RUN_ARGS);
	else
		standard_ExecutorRun(AMPSF_RUN_ARGS);
	flush_statement(desc->estate);
	error_context_stack = errcb.previous;
}

static void
finish_hook(QueryDesc *desc)
{
	ErrorContextCallback errcb = {error_context_stack, written_context, desc->estate};

	error_context_stack = &errcb;
	if (prev_finish != NULL)
		prev_finish(desc);
	else
		standard_ExecutorFinish(desc);
	flush_statement(desc->estate);
	error_context_stack = errcb.previous;
}

static void
xact_event(XactEvent event, void *arg)
{
	switch (event)
	{
		case XACT_EVENT_PRE_PREPARE:
			if (xact_wrote)
				ereport(ERROR,
						(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
						 errmsg("cannot PREPARE a transaction that has written to Salesforce"),
						 errdetail(
							 "What was written is in effect already and cannot be rolled back.")));
			break;
		case XACT_EVENT_COMMIT:
		case XACT_EVENT_ABORT:
		case XACT_EVENT_PREPARE:
			xact_wrote = false;
			count_told = NULL;
			break;
		default:
			break;
	}
}

void
ampsf_modify_install(void)
{
	prev_run = ExecutorRun_hook;
	ExecutorRun_hook = run_hook;
	prev_finish = ExecutorFinish_hook;
	ExecutorFinish_hook = finish_hook;
	RegisterXactCallback(xact_event, NULL);
}
