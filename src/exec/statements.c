/*
 * statements.c - the statement of a scan, as the parameters make it; or several, where a list or a
 * field list is longer than one can be.
 *
 * Several statements go over REST, in this process alone.
 */
#include "base/ampsf.h"
#include "exec/engagement_scan.h"
#include "exec/scan.h"

#include "executor/executor.h"
#include "nodes/makefuncs.h"
#include "org/combine.h"
#include "plan/plan_private.h"

/* The place of the field Id among keys; -1: it is not there. */
static int
place_of_id(char const *const *keys, int n)
{
	for (int i = 0; i < n; i++)
		if (pg_strcasecmp(keys[i], "Id") == 0)
			return i;
	return -1;
}

void
ampsf_scan_plan_statements(AmpsfScanState *state)
{
	if (!state->pages_only && !*state->select.group_by)
		state->wide = ampsf_split_fields(state->select.fields);
}

static void
print_statements(AmpsfScanState *state, AmpsfBind *bind)
{
	AmpsfSelect select = state->select;
	ListCell *lc;

	state->statements = NIL;
	if (!state->soql)
		return;
	if (state->wide)
	{
		select.order = "Id";
		foreach (lc, state->wide)
		{
			select.fields = lfirst(lc);
			bind->list_bytes = 0;
			state->statements =
				lappend(state->statements, ampsf_deparse_select(&select, bind, NULL));
		}
	}
	else if (state->must_recheck && !state->share && !state->pages_only)
	{
		if (place_of_id(state->keys, state->nfields) < 0)
			select.fields = lappend(list_copy(select.fields), makeString(pstrdup("Id")));
		state->statements = ampsf_deparse_parts(&select, bind);
		state->must_recheck = state->statements == NIL;
	}
	if (state->wide && state->share)
		ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
						errmsg("a query of so many fields cannot be read in parallel"),
						errhint("Set the table's option parallel to false, or "
								"max_parallel_workers_per_gather to 0.")));
}

static char **
as_array(List *strings)
{
	char **array = palloc(sizeof(char *) * list_length(strings));
	ListCell *lc;

	foreach (lc, strings)
		array[foreach_current_index(lc)] = lfirst(lc);
	return array;
}

AmpsfRowSource *
ampsf_scan_open_statements(AmpsfScanState *state, AmpsfQuerySpec *spec)
{
	int n = list_length(state->statements);
	char **statements = as_array(state->statements);

	if (state->wide)
	{
		const char ***parts = palloc(sizeof(char **) * n);
		int *nparts = palloc(sizeof(int) * n);

		for (int i = 0; i < n; i++)
		{
			List *fields = list_nth(state->wide, i);
			ListCell *lc;

			nparts[i] = list_length(fields);
			parts[i] = palloc(sizeof(char *) * nparts[i]);
			foreach (lc, fields)
				parts[i][foreach_current_index(lc)] = strVal(lfirst(lc));
		}
		return ampsf_wide_query(spec, statements, (const char *const *const *) parts, nparts, n);
	}
	else
	{
		int id = place_of_id(state->keys, state->nfields);

		if (id < 0)
		{
			const char **keys = palloc(sizeof(char *) * (state->nfields + 1));

			memcpy(keys, state->keys, sizeof(char *) * state->nfields);
			id = state->nfields;
			keys[id] = "Id";
			spec->fields = keys;
			spec->nfields++;
		}
		return ampsf_union_query(spec, statements, n, id);
	}
}

void
ampsf_scan_bind(ForeignScanState *node)
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
	if (state->table->engagement)
		ampsf_engagement_bind(state, &bind);
	else
	{
		state->soql = ampsf_deparse_select(&state->select, &bind, &state->skip);
		state->must_recheck = bind.must_recheck;
		print_statements(state, &bind);
	}
	MemoryContextSwitchTo(old);
}

char *
ampsf_scan_print(AmpsfScanState *state, const AmpsfSelect *select)
{
	AmpsfBind bind = {.nparams = state->nparams,
					  .types = state->param_types,
					  .values = state->param_values,
					  .nulls = state->param_nulls};
	char *soql = ampsf_deparse_select(select, &bind, NULL);

	/* Only lists that fit were planned into a statement whose rows cannot be checked. */
	if (bind.must_recheck)
		elog(ERROR, "a list is too long for a statement with groups");
	return soql;
}

void
ampsf_scan_spec(AmpsfScanState *state, AmpsfQuerySpec *spec)
{
	state->session = ampsf_session_get(state->serverid, state->userid);
	memset(spec, 0, sizeof(*spec));
	spec->session = state->session;
	spec->all_rows = state->table->include_deleted;
	spec->limit = -1;
	spec->stats = &state->stats;
}
