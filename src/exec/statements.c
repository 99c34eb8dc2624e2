/*
 * statements.c - a scan whose rows take more than one statement: a list or a field list is longer
 * than one can be.
 *
 * Such statements go over REST, in this process alone.
 */
#include "base/ampsf.h"
#include "exec/scan.h"

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

void
ampsf_scan_print_statements(AmpsfScanState *state, AmpsfBind *bind)
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
