/*
 * modify_truncate.c - TRUNCATE: reads all Ids of an object and deletes those rows.
 *
 * Salesforce has no such operation.  Rows go into the recycle bin, children go as Salesforce has
 * it, and a row that it refuses to delete stays: RESTRICT and CASCADE make no difference.
 */
#include "base/ampsf.h"
#include "exec/modify.h"
#include "exec/modify_state.h"

#include "executor/executor.h"
#include "org/query.h"
#include "tcop/tcopprot.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/rel.h"

static void
check_truncatable(Relation rel)
{
	AmpsfTableOptions *table = ampsf_table_options(RelationGetRelid(rel));

	if (table->truncatable && table->updatable && !table->engagement)
		return;
	if (table->engagement)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("foreign table \"%s\" of Account Engagement does not support truncates",
						RelationGetRelationName(rel))));
	ereport(
		ERROR,
		(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
		 errmsg("foreign table \"%s\" does not allow truncates", RelationGetRelationName(rel)),
		 errdetail("TRUNCATE would delete every row of %s that the user can see.", table->object),
		 errhint("ALTER FOREIGN TABLE %s OPTIONS (ADD truncatable 'true')",
				 quote_identifier(RelationGetRelationName(rel)))));
}

/* The Ids of all rows; lives in the current context. */
static AmpsfRowSource *
open_ids(AmpsfModifyState *state)
{
	static const char *const fields[] = {"Id"};
	static const char *types[] = {"id"};
	AmpsfQuerySpec spec = {0};
	AmpsfTransportSpec transport = {0};
	AmpsfRowSource *src;

	spec.session = ampsf_session_get(state->serverid, state->userid);
	spec.soql = psprintf("SELECT Id FROM %s", state->table->object);
	spec.fields = fields;
	spec.nfields = 1;
	spec.page_size = state->table->page_size;
	spec.limit = -1;
	spec.stats = &state->read_stats;
	transport.transport = state->table->transport;
	transport.threshold = state->table->bulk_threshold;
	transport.object = state->table->object;
	transport.types = types;
	src = ampsf_query(&spec, &transport);
	src->ops->start(src);
	return src;
}

static void
truncate_one(Relation rel)
{
	EState *estate = CreateExecutorState();
	MemoryContext old = MemoryContextSwitchTo(estate->es_query_cxt);
	ResultRelInfo *rinfo = makeNode(ResultRelInfo);
	AmpsfModifyState *state;
	AmpsfRowSource *src;
	AmpsfValue id;

	estate->es_sourceText = debug_query_string;
	InitResultRelInfo(rinfo, rel, 0, NULL, 0);
	state = ampsf_modify_make_for(estate, rinfo, AMPSF_DELETE, GetUserId());
	state->collects = true;
	state->copy = true; /* as COPY, it does not run under the executor */
	src = open_ids(state);
	while (src->ops->next(src, &id))
	{
		char text[AMPSF_SFID_LEN + 1];

		if (!ampsf_sfid_canonicalize(id.ptr, id.len, text))
			ereport(ERROR, (errcode(ERRCODE_FDW_UNABLE_TO_CREATE_REPLY),
							errmsg("Salesforce's answer holds a row of %s with an invalid Id",
								   state->table->object)));
		ampsf_modify_add_fields(state, text, NULL, 0, 0);
		ampsf_modify_flush_full(state);
	}
	src->ops->close(src);
	ampsf_modify_close(state);
	MemoryContextSwitchTo(old);
	FreeExecutorState(estate);
}

void
ampsfExecForeignTruncate(List *rels, DropBehavior behavior, bool restart_seqs)
{
	ListCell *lc;

	/* All or none of them. */
	foreach (lc, rels)
		check_truncatable(lfirst(lc));
	foreach (lc, rels)
		truncate_one(lfirst(lc));
}
