/*
 * modify_flush.c - sends what a statement has collected, and sees to it that nothing is still
 * waiting when the statement reports success.
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
#include "exec/write_error.h"

#include "access/xact.h"
#include "catalog/pg_type_d.h"
#include "executor/executor.h"
#include "storage/ipc.h"
#include "exec/write_queue.h"
#include "org/ampersand.h"
#include "plan/plan_modify.h"
#include "plan/write_api.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/rel.h"

#include "org/engagement.h"
#include "plan/engagement_scan.h"

static ExecutorRun_hook_type prev_run = NULL;
static ExecutorFinish_hook_type prev_finish = NULL;

static void
rescue(AmpsfModifyState *state, void *arg)
{
	ampsf_modify_rescue(state);
}

/* A session that is terminated, or a server that stops, while an answer is awaited. */
static void
rescue_at_exit(int code, Datum arg)
{
	ampsf_modify_each(NULL, rescue, NULL);
}

/* finish: and waits for all outcomes; else a Bulk job goes on while other rows are added. */
static void
send_rows(AmpsfModifyState *state, bool finish, AmpsfFlushed *out)
{
	AmpsfFlushed ignored;
	ErrorContextCallback errcb = {error_context_stack, ampsf_modify_written_context, state->estate};

	if (out == NULL)
		out = &ignored;
	memset(out, 0, sizeof(*out));
	if (state->sink == NULL || !state->pending)
		return;
	ampsf_xact_writing();
	/* COPY does not run under the executor's hooks. */
	if (state->copy)
		error_context_stack = &errcb;
	ampsf_modify_send(state, finish);
	error_context_stack = errcb.previous;
	ampsf_modify_judge(state, out);
	if (finish)
		state->pending = false;
}

void
ampsf_modify_flush(AmpsfModifyState *state, AmpsfFlushed *out)
{
	send_rows(state, true, out);
}

void
ampsf_modify_flush_full(AmpsfModifyState *state)
{
	if (!state->sink->ops->has_room(state->sink, 0))
		send_rows(state, !state->collects, NULL);
}

const char *const *
ampsf_write_headers(const AmpsfTableOptions *table)
{
	const char **headers = palloc0(sizeof(char *) * 4);
	int n = 0;
	bool b;

	if (table->client_name != NULL)
		headers[n++] = psprintf("Sforce-Call-Options: client=%s", table->client_name);
	if (table->assignment_rule != NULL)
		headers[n++] = psprintf("Sforce-Auto-Assign: %s", !parse_bool(table->assignment_rule, &b)
															  ? table->assignment_rule
														  : b ? "TRUE"
															  : "FALSE");
	if (table->allow_duplicates)
		headers[n++] = pstrdup("Sforce-Duplicate-Rule-Header: allowSave=true");
	return headers;
}

/* Makes the connection when the first row comes: a statement without rows costs no call and no
 * login. */
static void
open_sink(AmpsfModifyState *state)
{
	static bool registered = false;
	MemoryContext old = MemoryContextSwitchTo(state->cxt);
	AmpsfWriteSpec spec = {0};

	if (state->table->engagement)
		ampsf_engagement_check_options(state->rel);
	if (state->table->write_api)
		ampsf_write_api_check(state->rel);
	spec.op =
		state->op == AMPSF_INSERT && state->table->upsert_key != NULL ? AMPSF_UPSERT : state->op;
	spec.object = state->table->object;
	spec.key = state->table->upsert_key;
	spec.max_rows = state->table->batch_size;
	spec.all_or_none = state->table->all_or_none;
	if (state->version_junk > 0)
		spec.conditional = ampsf_modify_column(state, ampsf_version_column(state->rel))->field;
	spec.headers = ampsf_write_headers(state->table);
	spec.stats = &state->stats;
	spec.files = state->files;
	if (state->table->write_at_commit)
	{
		ampsf_modify_check_commit(state);
		state->sink = ampsf_queue_open(state->rel, state->table, state->serverid, state->userid,
									   &spec, &state->queued);
		MemoryContextSwitchTo(old);
		return;
	}
	/* Runs while memory and shared memory are still there. */
	if (!registered)
		before_shmem_exit(rescue_at_exit, (Datum) 0);
	registered = true;
	state->session = ampsf_session_get(state->serverid, state->userid);
	spec.session = state->session;
	spec.hard_delete = state->table->hard_delete;
	state->sink = state->table->engagement ? ampsf_engagement_open_sink(&spec)
				  : state->table->write_api
					  ? ampsf_ampersand_open_sink(&spec, state->table->write_async)
					  : ampsf_write_open(&spec,
										 state->collects ? state->table->write_transport
														 : AMPSF_WRITE_COLLECTIONS,
										 state->table->bulk_write_threshold);
	ampsf_modify_open_errors(state);
	MemoryContextSwitchTo(old);
}

void
ampsf_modify_add_fields(AmpsfModifyState *state, const char *id, const char *fields, size_t len,
						uint32 flags)
{
	AmpsfWriteRow row = {0};

	if (state->sink == NULL)
		open_sink(state);
	if (!state->sink->ops->has_room(state->sink, state->file_attno > 0 ? AMPSF_FILE_ROW : len))
		send_rows(state, !state->collects, NULL);
	/* What waits for the commit has no outcome before. */
	state->pending = !state->table->write_at_commit;
	row.number = ++state->added;
	row.id = id;
	row.fields = fields;
	row.len = len;
	row.flags = flags;
	if (state->file_attno > 0)
	{
		row.file_field = ampsf_modify_column(state, state->file_attno)->field;
		row.file = state->file;
		row.file_len = state->file_len;
	}
	row.version = state->version;
	row.parent = state->parent[0] != '\0' ? state->parent : NULL;
	state->sink->ops->add(state->sink, &row);
}

/*
 * May contents be sent in a part of their own?  Only in a request for a single row, so neither as a
 * part of a transaction nor under a condition.
 */
static bool
sends_files(AmpsfModifyState *state)
{
	TupleDesc desc = RelationGetDescr(state->rel);

	if (state->op == AMPSF_DELETE || state->table->upsert_key != NULL ||
		state->table->write_at_commit || state->table->engagement || state->version_junk > 0)
		return false;
	for (int i = 0; i < desc->natts; i++)
		if (bms_is_member(i + 1, state->targets) && TupleDescAttr(desc, i)->atttypid == BYTEAOID &&
			strcmp(ampsf_modify_column(state, i + 1)->type, "base64") == 0)
			return true;
	return false;
}

/* slot is not looked at for a DELETE. */
void
ampsf_modify_add(AmpsfModifyState *state, const char *id, TupleTableSlot *slot)
{
	MemoryContext old;
	StringInfoData buf;
	bool references = false;
	ErrorContextCallback errcb = {error_context_stack, ampsf_modify_written_context, state->estate};

	if (state->sink == NULL)
		state->files = sends_files(state);
	MemoryContextReset(state->row_cxt);
	old = MemoryContextSwitchTo(state->row_cxt);
	initStringInfo(&buf);
	if (state->copy)
		error_context_stack = &errcb;
	if (state->op != AMPSF_DELETE)
		ampsf_modify_fields(state, slot, &buf, &references);
	error_context_stack = errcb.previous;
	MemoryContextSwitchTo(old);
	ampsf_modify_add_fields(state, id, buf.data, buf.len, references ? AMPSF_ROW_REFERS : 0);
}

void
ampsf_modify_close(AmpsfModifyState *state)
{
	ampsf_modify_flush(state, NULL);
	ampsf_modify_tell(state);
	ampsf_modify_unlist(state);
	if (state->errors != NULL)
		ampsf_write_errors_close(state->errors);
	state->errors = NULL;
	if (state->sink != NULL)
		state->sink->ops->close(state->sink);
	state->sink = NULL;
	if (state->utility)
		MemoryContextDelete(state->cxt);
}

static void
finish_table(AmpsfModifyState *state, void *arg)
{
	ampsf_modify_flush(state, NULL);
	ampsf_modify_tell(state);
}

/* Sends all that the statement has collected, and tells of rows that were gone. */
static void
flush_statement(EState *estate)
{
	MemoryContext old = MemoryContextSwitchTo(estate->es_query_cxt);

	ampsf_modify_each(estate, finish_table, NULL);
	MemoryContextSwitchTo(old);
}

/* A statement has failed, for whatever reason, and Salesforce may be at work on rows of it. */
static void
rescue_statement(EState *estate)
{
	ampsf_modify_each(estate, rescue, NULL);
}

static void
rescue_utility_in(AmpsfModifyState *state, void *arg)
{
	SubTransactionId subid = *(SubTransactionId *) arg;

	if (state->utility && (subid == InvalidSubTransactionId || state->subid == subid))
		ampsf_modify_rescue(state);
}

/* The same for COPY and TRUNCATE, which no hook sees from their beginning; subid 0: all of them. */
static void
rescue_utility(SubTransactionId subid)
{
	ampsf_modify_each(NULL, rescue_utility_in, &subid);
}

static void
run_hook(AMPSF_RUN_PARAMS)
{
	ErrorContextCallback errcb = {error_context_stack, ampsf_modify_written_context, desc->estate};

	error_context_stack = &errcb;
	PG_TRY();
	{
		if (prev_run != NULL)
			prev_run(AMPSF_RUN_ARGS);
		else
			standard_ExecutorRun(AMPSF_RUN_ARGS);
		flush_statement(desc->estate);
	}
	PG_CATCH();
	{
		rescue_statement(desc->estate);
		PG_RE_THROW();
	}
	PG_END_TRY();
	error_context_stack = errcb.previous;
}

static void
finish_hook(QueryDesc *desc)
{
	ErrorContextCallback errcb = {error_context_stack, ampsf_modify_written_context, desc->estate};

	error_context_stack = &errcb;
	PG_TRY();
	{
		if (prev_finish != NULL)
			prev_finish(desc);
		else
			standard_ExecutorFinish(desc);
		flush_statement(desc->estate);
	}
	PG_CATCH();
	{
		rescue_statement(desc->estate);
		PG_RE_THROW();
	}
	PG_END_TRY();
	error_context_stack = errcb.previous;
}

static void
xact_event(XactEvent event, void *arg)
{
	if (event == XACT_EVENT_ABORT)
		rescue_utility(InvalidSubTransactionId);
	switch (event)
	{
		case XACT_EVENT_COMMIT:
		case XACT_EVENT_ABORT:
		case XACT_EVENT_PREPARE:
			ampsf_modify_outcome_reset();
			break;
		default:
			break;
	}
}

static void
subxact_event(SubXactEvent event, SubTransactionId subid, SubTransactionId parent, void *arg)
{
	if (event == SUBXACT_EVENT_ABORT_SUB)
		rescue_utility(subid);
}

void
ampsf_modify_install(void)
{
	prev_run = ExecutorRun_hook;
	ExecutorRun_hook = run_hook;
	prev_finish = ExecutorFinish_hook;
	ExecutorFinish_hook = finish_hook;
	RegisterXactCallback(xact_event, NULL);
	RegisterSubXactCallback(subxact_event, NULL);
	ampsf_xact_init();
}
