/*
 * modify_outcome.c - what became of the rows that were sent: counts, refusals, rows that were gone,
 * and what an error says of it all.
 *
 * Must not know: when rows are sent.
 */
#include "base/ampsf.h"
#include "exec/modify_state.h"

#include "executor/executor.h"
#include "utils/builtins.h"
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

static void
add_rows(AmpsfModifyState *state, void *arg)
{
	*(int64 *) arg += state->stats.rows;
}

/* Rows that this statement, all of its tables together, has written so far. */
static int64
rows_written(EState *estate)
{
	int64 n = 0;

	ampsf_modify_each(estate, add_rows, &n);
	return n;
}

/*
 * Whatever goes wrong in a statement, be it here, in its scan or in one of its expressions: rows of
 * earlier calls stay written, and the message has to say so.  Notices and warnings are left alone.
 */
void
ampsf_modify_written_context(void *arg)
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
throw_row(AmpsfModifyState *state, const AmpsfWriteResult *res, int64 others)
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
		appendStringInfo(&detail, "\n%lld more %s of the same call failed.", (long long) others,
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
	return strcmp(res->code, "ENTITY_IS_DELETED") == 0 || strcmp(res->code, "NOT_FOUND") == 0;
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

void
ampsf_modify_judge(AmpsfModifyState *state, AmpsfFlushed *out)
{
	AmpsfRowSink *sink = state->sink;
	AmpsfWriteResult *results;
	int n;

	while ((n = sink->ops->results(sink, &results)) > 0)
	{
		AmpsfWriteResult *failed = NULL;
		int64 others = 0, gone = 0;

		for (int i = 0; i < n; i++)
		{
			AmpsfWriteResult *res = &results[i];

			if (res->outcome == AMPSF_WRITTEN)
			{
				strlcpy(out->id, res->id, sizeof(out->id));
				out->created = res->created;
			}
			else if (is_gone(state, res))
				gone++;
			else if (failed == NULL)
				failed = res;
			else
				others++;
		}
		out->rows += n;
		out->gone += gone;
		if (sink->failed)
			sink->ops->raise(sink);
		if (failed != NULL)
			throw_row(state, failed, others);
		note_gone(state, gone);
	}
}
