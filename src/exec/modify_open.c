/*
 * modify_open.c - the writes that are open in this backend, those of surrounding statements
 * included.
 */
#include "base/ampsf.h"
#include "exec/modify_state.h"

#include "utils/rel.h"

static dlist_head open_writes = DLIST_STATIC_INIT(open_writes);

void
ampsf_modify_unlist(AmpsfModifyState *state)
{
	if (state->listed)
		dlist_delete(&state->node);
	state->listed = false;
	ampsf_xact_writer_close(&state->writer);
}

static void
unlist(void *arg)
{
	ampsf_modify_unlist(arg);
}

void
ampsf_modify_open(AmpsfModifyState *state)
{
	dlist_push_tail(&open_writes, &state->node);
	state->listed = true;
	ampsf_xact_writer_open(&state->writer, &state->stats, state->op,
						   RelationGetRelationName(state->rel));
	state->unlist.func = unlist;
	state->unlist.arg = state;
	MemoryContextRegisterResetCallback(state->cxt, &state->unlist);
}

void
ampsf_modify_each(EState *estate, void (*fn)(AmpsfModifyState *state, void *arg), void *arg)
{
	dlist_iter iter;

	dlist_foreach(iter, &open_writes)
	{
		AmpsfModifyState *state = dlist_container(AmpsfModifyState, node, iter.cur);

		if (estate == NULL || state->estate == estate)
			fn(state, arg);
	}
}
