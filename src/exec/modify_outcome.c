/*
 * modify_outcome.c - what became of the rows that were sent: counts, refusals, rows that were gone,
 * and what an error says of it all.
 *
 * Must not know: when rows are sent.
 */
#include "base/ampsf.h"
#include "exec/modify_state.h"
#include "exec/write_error.h"

#include "executor/executor.h"
#include "foreign/foreign.h"
#include "tcop/tcopprot.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "base/error.h"

/* The statement whose error being raised tells itself how much was written. */
static EState *count_told = NULL;

void
ampsf_modify_outcome_reset(void)
{
	count_told = NULL;
}

typedef struct Written
{
	int64 rows;
	int listed;
	StringInfoData ids; /* ": 003..., 003..." */
} Written;

static void
add_rows(AmpsfModifyState *state, void *arg)
{
	Written *all = arg;

	all->rows += state->stats.rows;
	for (int i = 0; i < state->listed_ids && all->listed < AMPSF_LISTED_IDS; i++)
		appendStringInfo(&all->ids, "%s%s", all->listed++ > 0 ? ", " : ": ", state->ids[i]);
}

/* Rows that this statement, all of its tables together, has written so far. */
static void
rows_written(EState *estate, Written *all)
{
	memset(all, 0, sizeof(*all));
	initStringInfo(&all->ids);
	ampsf_modify_each(estate, add_rows, all);
	if (all->rows > all->listed && all->listed > 0)
		appendStringInfo(&all->ids, " and %lld more", (long long) (all->rows - all->listed));
}

/*
 * Whatever goes wrong in a statement, be it here, in its scan or in one of its expressions: rows of
 * earlier calls stay written, and the message has to say so.  Notices and warnings are left alone.
 */
void
ampsf_modify_written_context(void *arg)
{
	EState *estate = arg;
	Written all;
	int category = ERRCODE_TO_CATEGORY(geterrcode());

	if (count_told == estate)
	{
		count_told = NULL;
		return;
	}
	if (category == ERRCODE_SUCCESSFUL_COMPLETION || category == ERRCODE_WARNING ||
		category == ERRCODE_NO_DATA)
		return;
	rows_written(estate, &all);
	if (all.rows > 0)
	{
		ampsf_xact_told(all.rows);
		errcontext("%lld %s of this statement %s written to Salesforce before and %s written%s",
				   (long long) all.rows, all.rows == 1 ? "row" : "rows",
				   all.rows == 1 ? "was" : "were", all.rows == 1 ? "stays" : "stay", all.ids.data);
	}
	pfree(all.ids.data);
}

static void
throw_row(AmpsfModifyState *state, const AmpsfWriteResult *res, int64 others)
{
	AmpsfApiError err = {.code = res->code, .message = res->message, .fields = res->fields};
	bool changed = res->code != NULL && strcmp(res->code, "PRECONDITION_FAILED") == 0;
	const char *hint =
		changed ? "Somebody has changed the row since it was read. The statement can be repeated."
				: ampsf_error_hint(&err);
	const char *table = RelationGetRelationName(state->rel);
	StringInfoData detail;
	Written all;

	rows_written(state->estate, &all);
	initStringInfo(&detail);
	appendStringInfoString(&detail, ampsf_clean_text(res->code, strlen(res->code)));
	if (res->message != NULL)
		appendStringInfo(&detail, ": %s", ampsf_clean_text(res->message, strlen(res->message)));
	if (res->fields != NULL)
		appendStringInfo(&detail, " (fields: %s)",
						 ampsf_clean_text(res->fields, strlen(res->fields)));
	if (others > 0)
		appendStringInfo(&detail, "\n%lld more %s of the same call failed.", (long long) others,
						 others == 1 ? "row" : "rows");
	if (all.rows == 0)
		appendStringInfoString(&detail, "\nNo row of this statement was written.");
	else
		appendStringInfo(
			&detail, "\n%lld %s of this statement %s written before it failed and %s written%s.",
			(long long) all.rows, all.rows == 1 ? "row" : "rows", all.rows == 1 ? "was" : "were",
			all.rows == 1 ? "stays" : "stay", all.ids.data);
	count_told = state->estate;
	ampsf_xact_told(all.rows);
	ereport(ERROR,
			(errcode(changed ? ERRCODE_T_R_SERIALIZATION_FAILURE : ampsf_error_sqlstate(&err)),
			 state->op == AMPSF_INSERT
				 ? errmsg("could not insert row %lld into foreign table \"%s\"",
						  (long long) res->number, table)
			 : state->op == AMPSF_UPDATE
				 ? errmsg("could not update row %lld (Id %s) of foreign table \"%s\"",
						  (long long) res->number, res->id, table)
				 : errmsg("could not delete row %lld (Id %s) from foreign table \"%s\"",
						  (long long) res->number, res->id, table),
			 errdetail_internal("%s", detail.data), hint != NULL ? errhint("%s", hint) : 0));
}

/*
 * Was the row itself gone?  A refusal that names fields, or of a row that sets a reference, may as
 * well speak of the record that was referred to: that is an error.
 */
static bool
is_gone(AmpsfModifyState *state, const AmpsfWriteResult *res)
{
	if (res->outcome != AMPSF_REFUSED || state->op == AMPSF_INSERT || state->op == AMPSF_UPSERT ||
		res->fields != NULL || (res->flags & AMPSF_ROW_REFERS) != 0)
		return false;
	return strcmp(res->code, "ENTITY_IS_DELETED") == 0 || strcmp(res->code, "NOT_FOUND") == 0 ||
		   (state->table->engagement && strcmp(res->code, "109") == 0);
}

/*
 * Rows have been returned, or checked, as updated that another user had deleted meanwhile.  The
 * answer was wrong, so there must be none.
 */
static void
throw_gone(AmpsfModifyState *state, int64 gone)
{
	ereport(ERROR, (errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
					errmsg("%lld %s to be updated in foreign table \"%s\" no longer existed",
						   (long long) gone, gone == 1 ? "row" : "rows",
						   RelationGetRelationName(state->rel)),
					errhint("The statement can be repeated.")));
}

/*
 * A row to be deleted that is gone already is as the statement wants it; and where the call had to
 * be repeated, it was this statement that deleted it.
 */
static void
note_gone(AmpsfModifyState *state, int64 gone)
{
	if (state->op == AMPSF_DELETE || gone == 0)
		return;
	if (state->collects && state->returns)
		throw_gone(state, gone);
	state->vanished += gone;
	if (state->collects && state->set_tag)
		state->estate->es_processed -= gone;
}

static const char *
current_statement(AmpsfModifyState *state)
{
	return state->estate->es_sourceText != NULL ? state->estate->es_sourceText : debug_query_string;
}

/* Made before anything has gone wrong: catalogs can be read. */
void
ampsf_modify_open_errors(AmpsfModifyState *state)
{
	AmpsfWriteErrorHead head = {0};
	MemoryContext old = MemoryContextSwitchTo(state->row_cxt);

	head.server = GetForeignServer(state->serverid)->servername;
	head.relation = quote_qualified_identifier(get_namespace_name(RelationGetNamespace(state->rel)),
											   RelationGetRelationName(state->rel));
	head.object = state->table->object;
	head.operation = ampsf_write_verb(
		state->op == AMPSF_INSERT && state->table->upsert_key != NULL ? AMPSF_UPSERT : state->op);
	head.statement = current_statement(state);
	state->errors = ampsf_write_errors_open(&head, state->cxt);
	MemoryContextSwitchTo(old);
}

/* Called where an error is being handled already. */
void
ampsf_modify_rescue(AmpsfModifyState *state)
{
	AmpsfWriteResult *results;
	int64 doubtful = 0;
	int n;

	if (!state->pending || state->sink == NULL)
		return;
	state->pending = false;
	state->sink->ops->abandon(state->sink);
	while ((n = state->sink->ops->results(state->sink, &results)) > 0)
	{
		int64 doubt = 0;

		for (int i = 0; i < n; i++)
			doubt += results[i].outcome == AMPSF_IN_DOUBT;
		if (doubt > 0)
			(void) ampsf_write_errors_keep(state->errors, results, n, NULL);
		doubtful += doubt;
	}
	if (doubtful > 0)
		ereport(WARNING, (errmsg("the outcome of %lld %s sent for foreign table \"%s\" is unknown",
								 (long long) doubtful, doubtful == 1 ? "row" : "rows",
								 RelationGetRelationName(state->rel)),
						  errdetail("See ampsf.write_error.")));
}

/* Both may send, and so may be interrupted while an answer is awaited. */
static int
guarded(AmpsfModifyState *state, bool finish, AmpsfWriteResult **results)
{
	volatile int n = 0;

	PG_TRY();
	{
		if (results != NULL)
			n = state->sink->ops->results(state->sink, results);
		else
			state->sink->ops->flush(state->sink, finish);
	}
	PG_CATCH();
	{
		ampsf_modify_rescue(state);
		PG_RE_THROW();
	}
	PG_END_TRY();
	return n;
}

void
ampsf_modify_send(AmpsfModifyState *state, bool finish)
{
	(void) guarded(state, finish, NULL);
}

void
ampsf_modify_tell(AmpsfModifyState *state)
{
	if (state->vanished > 0)
		ereport(NOTICE, (errmsg("%lld %s to be updated in foreign table \"%s\" no longer existed",
								(long long) state->vanished, state->vanished == 1 ? "row" : "rows",
								RelationGetRelationName(state->rel))));
	if (state->failed > 0)
		ereport(NOTICE, (errmsg("%lld %s could not be %s foreign table \"%s\"",
								(long long) state->failed, state->failed == 1 ? "row" : "rows",
								state->op == AMPSF_INSERT	? "inserted into"
								: state->op == AMPSF_UPDATE ? "updated in"
															: "deleted from",
								RelationGetRelationName(state->rel)),
						 errdetail("See ampsf.write_error.")));
	state->vanished = state->failed = 0;
}

/* A row that was not written is passed over: the statement does not count it. */
static void
pass_over(AmpsfModifyState *state, const AmpsfWriteResult *res, AmpsfFlushed *out)
{
	out->skipped++;
	if (state->batch_first > 0 && res->number >= state->batch_first &&
		res->number < state->batch_first + state->batch_rows)
		state->batch_skipped[res->number - state->batch_first] = true;
	else if (state->collects && state->set_tag && !state->copy)
		state->estate->es_processed--;
}

/* Of a call that is all or nothing, the row that spoiled it comes before those that it spoiled. */
static bool
is_cause(const AmpsfWriteResult *res)
{
	return res->outcome != AMPSF_NOT_SENT &&
		   (res->code == NULL || strcmp(res->code, "ALL_OR_NONE_OPERATION_ROLLED_BACK") != 0);
}

/* The row that an error will be about, and how many there are like it. */
typedef struct Failure
{
	AmpsfWriteResult row;
	bool any;
	int64 others;
} Failure;

static void
note_failure(AmpsfModifyState *state, const AmpsfWriteResult *res, Failure *failure)
{
	MemoryContext old;

	if (failure->any && res->outcome == AMPSF_NOT_SENT)
		return;
	if (failure->any)
		failure->others++;
	if (failure->any && (is_cause(&failure->row) || !is_cause(res)))
		return;
	failure->any = true;
	failure->row = *res;
	/* It is told when other outcomes have been seen. */
	old = MemoryContextSwitchTo(state->estate->es_query_cxt);
	failure->row.code = res->code ? pstrdup(res->code) : NULL;
	failure->row.message = res->message ? pstrdup(res->message) : NULL;
	failure->row.fields = res->fields ? pstrdup(res->fields) : NULL;
	MemoryContextSwitchTo(old);
}

/* Sorts outcomes: skip[n], the rows that need not be kept. */
static void
judge_rows(AmpsfModifyState *state, AmpsfWriteResult *results, int n, bool *skip, AmpsfFlushed *out,
		   Failure *failure)
{
	int64 gone = 0, kept = 0;
	bool doubt = false;

	for (int i = 0; i < n; i++)
	{
		AmpsfWriteResult *res = &results[i];

		if (res->outcome == AMPSF_WRITTEN || res->outcome == AMPSF_QUEUED)
		{
			strlcpy(out->id, res->id, sizeof(out->id));
			out->created = res->created;
			/* What a Bulk job inserts has no Id that it tells. */
			if (res->outcome == AMPSF_WRITTEN && *res->id && state->listed_ids < AMPSF_LISTED_IDS)
				strlcpy(state->ids[state->listed_ids++], res->id, sizeof(state->ids[0]));
		}
		else if (is_gone(state, res))
		{
			skip[i] = true;
			gone++;
		}
		else if (state->skips_duplicates && res->outcome == AMPSF_REFUSED &&
				 strcmp(res->code, "DUPLICATE_VALUE") == 0)
		{
			skip[i] = true;
			pass_over(state, res, out);
		}
		else
		{
			note_failure(state, res, failure);
			kept++;
			doubt |= res->outcome == AMPSF_IN_DOUBT;
			if (state->table->skip_failed)
				pass_over(state, res, out);
		}
	}
	out->rows += n;
	out->gone += gone;
	/* What cannot be asked again must not be forgotten. */
	if (kept > 0 && (state->table->skip_failed || doubt))
		state->failed += ampsf_write_errors_keep(state->errors, results, n, skip);
	note_gone(state, gone);
}

void
ampsf_modify_judge(AmpsfModifyState *state, AmpsfFlushed *out)
{
	AmpsfRowSink *sink = state->sink;
	AmpsfWriteResult *results;
	Failure failure = {.any = false};
	bool stopped = false;
	int n;

	for (;;)
	{
		while ((n = guarded(state, false, &results)) > 0)
		{
			bool *skip = palloc0(sizeof(bool) * n);

			judge_rows(state, results, n, skip, out, &failure);
			pfree(skip);
			/* Calls that were not made need not be. */
			if (failure.any && !state->table->skip_failed && !stopped)
				break;
		}
		/* Whatever else is on its way will have an outcome, which the error must know. */
		if (stopped || sink->ops->stop == NULL ||
			!(sink->failed || (failure.any && !state->table->skip_failed)))
			break;
		sink->ops->stop(sink);
		stopped = true;
	}
	if (sink->failed)
		sink->ops->raise(sink);
	if (failure.any && !state->table->skip_failed)
		throw_row(state, &failure.row, failure.others);
}
