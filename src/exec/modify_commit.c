/*
 * modify_commit.c - statements whose rows wait for the commit: what they cannot give.
 *
 * A row that waits has no Id and nothing that Salesforce would fill in.
 */
#include "base/ampsf.h"
#include "exec/modify_state.h"

#include "access/sysattr.h"
#include "optimizer/optimizer.h"
#include "utils/rel.h"

static void
refuse(AmpsfModifyState *state, const char *column)
{
	ereport(
		ERROR,
		(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
		 column
			 ? errmsg("column \"%s\" of a row inserted into foreign table \"%s\" is not known yet",
					  column, RelationGetRelationName(state->rel))
			 : errmsg("a row inserted into foreign table \"%s\" is not known as a whole yet",
					  RelationGetRelationName(state->rel)),
		 errdetail("The row is written when the transaction commits (option write_at), and only "
				   "columns that the statement gives can be returned or checked before."),
		 errhint("Return those only, or set write_at 'statement' for the table.")));
}

/*
 * returning, checks: expressions that look at the row, in which it is relation rti.  ERROR if they
 * need what is not there.  AFTER triggers see it as null.
 */
void
ampsf_modify_at_commit(AmpsfModifyState *state, List *returning, List *checks, Index rti)
{
	TupleDesc desc = RelationGetDescr(state->rel);
	Bitmapset *used = NULL;
	int bit = -1;

	/* An updated row is shown with the values that were read for it and those that it was given. */
	state->fetch = NIL;
	if (state->op != AMPSF_INSERT && state->op != AMPSF_UPSERT)
		return;
	pull_varattnos((Node *) returning, rti, &used);
	pull_varattnos((Node *) checks, rti, &used);
	while ((bit = bms_next_member(used, bit)) >= 0)
	{
		AttrNumber attno = bit + FirstLowInvalidHeapAttributeNumber;

		if (attno == InvalidAttrNumber)
			refuse(state, NULL);
		if (attno > 0 && !bms_is_member(attno, state->targets) &&
			TupleDescAttr(desc, attno - 1)->attgenerated == '\0')
			refuse(state, NameStr(TupleDescAttr(desc, attno - 1)->attname));
	}
}

static void
contradicts(AmpsfModifyState *state, const char *what, const char *why)
{
	ereport(ERROR,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			 errmsg("%s is not possible for foreign table \"%s\", which is written at commit", what,
					RelationGetRelationName(state->rel)),
			 errdetail("Changes that wait for the commit (option write_at) %s.", why)));
}

void
ampsf_modify_check_commit(AmpsfModifyState *state)
{
	if (state->table->skip_failed)
		contradicts(state, "on_error 'continue'", "are made all together or none");
	if (state->skips_duplicates)
		contradicts(state, "ON CONFLICT DO NOTHING", "are made all together or none");
	if (state->table->hard_delete && state->op == AMPSF_DELETE)
		contradicts(state, "hard_delete", "are not made by Bulk jobs");
	if (state->table->if_unchanged && state->op != AMPSF_INSERT)
		contradicts(state, "if_unchanged", "are compared with nothing");
}
