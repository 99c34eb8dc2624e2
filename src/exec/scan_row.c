/*
 * scan_row.c - a record becomes a slot: each field converted into the columns that it fills.
 *
 * A datum lives in row_cxt until the next row is asked for.
 */
#include "base/ampsf.h"
#include "exec/files.h"
#include "exec/scan.h"

#include "access/table.h"
#include "catalog/pg_type.h"
#include "utils/fmgrprotos.h"
#include "utils/memutils.h"
#include "utils/rel.h"

/* What a count is converted as. */
static FormData_pg_attribute count_attribute = {.atttypid = INT8OID, .atttypmod = -1};

/* What a sum or an average of a type is; that of integers comes as any number may be written. */
static FormData_pg_attribute
sum_attribute(Oid typid)
{
	FormData_pg_attribute att = {.atttypid = typid == INT8OID ? NUMERICOID : typid,
								 .atttypmod = -1};

	return att;
}

void
ampsf_scan_prepare_row(AmpsfScanState *state, List *fdw_private)
{
	List *keys = list_nth(fdw_private, AMPSF_SCAN_KEYS);
	List *slots = list_nth(fdw_private, AMPSF_SCAN_SLOTS);
	List *sources = list_nth(fdw_private, AMPSF_SCAN_SOURCES);
	List *tables = list_nth(fdw_private, AMPSF_SCAN_TABLES);
	List *attnums = list_nth(fdw_private, AMPSF_SCAN_ATTNUMS);

	state->nfields = list_length(keys);
	state->keys = palloc0(sizeof(char *) * state->nfields);
	state->values = palloc0(sizeof(AmpsfValue) * (state->nfields + 1));
	state->types = palloc(sizeof(char *) * state->nfields);
	for (int i = 0; i < state->nfields; i++)
	{
		state->keys[i] = strVal(list_nth(keys, i));
		state->types[i] = "string";
	}
	/* Aggregates have aliases; LIMIT and ORDER BY make a job slow. */
	state->pages_only = !equal(keys, list_nth(fdw_private, AMPSF_SCAN_FIELDS)) ||
						state->select.bounds != NIL || *state->select.order;

	state->ncolumns = list_length(slots);
	state->slots = palloc0(sizeof(int) * state->ncolumns);
	state->sources = palloc0(sizeof(int) * state->ncolumns);
	state->relnames = palloc0(sizeof(char *) * state->ncolumns);
	state->names = palloc0(sizeof(char *) * state->ncolumns);
	state->conv = palloc0(sizeof(AmpsfColumnConv) * state->ncolumns);
	state->whole = palloc0(sizeof(bool) * state->ncolumns);
	state->fills = palloc0(sizeof(AmpsfFill) * state->ncolumns);
	state->room = ampsf_room_create();
	for (int i = 0; i < state->ncolumns; i++)
	{
		int attnum = list_nth_int(attnums, i);
		AmpsfColumn *col;
		/* A parallel worker has no lock of its own yet on a table of a join. */
		Relation relation = table_open(list_nth_oid(tables, i), AccessShareLock);
		FormData_pg_attribute sum = sum_attribute((Oid) -attnum);
		Form_pg_attribute att = attnum > 0	 ? TupleDescAttr(RelationGetDescr(relation), attnum - 1)
								: attnum < 0 ? &sum
											 : &count_attribute;

		state->slots[i] = list_nth_int(slots, i) - 1;
		state->sources[i] = list_nth_int(sources, i);
		state->relnames[i] = pstrdup(RelationGetRelationName(relation));
		state->names[i] = pstrdup(NameStr(att->attname));
		state->whole[i] = attnum < 0 && -attnum == INT8OID;
		col = attnum > 0 ? ampsf_column(RelationGetRelid(relation), attnum) : NULL;
		if (col)
			state->types[state->sources[i]] = col->type;
		ampsf_convert_init(&state->conv[i], att, col, CurrentMemoryContext);
		state->conv[i].room = state->room;
		state->conv[i].fetch_later = state->conv[i].remote_file && state->conv[i].type == BYTEAOID;
		state->files |= state->conv[i].fetch_later;
		state->fills[i].conv = &state->conv[i];
		state->fills[i].source = state->sources[i];
		state->fills[i].slot = state->slots[i];
		state->fills[i].simple = !state->whole[i] && !state->conv[i].domain;
		table_close(relation, NoLock);
	}
}

/* Names the column and the row of a value that does not fit.  No catalog access: the transaction is
 * broken. */
static void
conversion_context(void *arg)
{
	AmpsfScanState *state = arg;

	if (state->column >= 0)
		errcontext("field %s, column \"%s\" of foreign table \"%s\", row " INT64_FORMAT,
				   state->keys[state->sources[state->column]], state->names[state->column],
				   state->relnames[state->column], state->row);
}

static void
fill_slot(AmpsfScanState *state, TupleTableSlot *slot)
{
	ErrorContextCallback context;
	MemoryContext old;
	const AmpsfFill *fills = state->fills;
	const AmpsfValue *fields = state->values;
	Datum *values = slot->tts_values;
	bool *isnull = slot->tts_isnull;
	int n = state->ncolumns;

	MemoryContextReset(state->row_cxt);
	ampsf_room_empty(state->room);
	memset(isnull, true, sizeof(bool) * slot->tts_tupleDescriptor->natts);

	context.callback = conversion_context;
	context.arg = state;
	context.previous = error_context_stack;
	error_context_stack = &context;
	old = MemoryContextSwitchTo(state->row_cxt);
	for (int i = 0; i < n; i++)
	{
		const AmpsfFill *fill = &fills[i];
		const AmpsfValue *v = &fields[fill->source];

		if (likely(fill->simple))
		{
			if (v->kind == AMPSF_VALUE_NULL)
				continue;
			state->column = i;
			values[fill->slot] = fill->conv->fn(fill->conv, v);
			isnull[fill->slot] = false;
			continue;
		}
		state->column = i;
		values[fill->slot] = ampsf_convert(fill->conv, v, &isnull[fill->slot]);
		if (state->whole[i] && !isnull[fill->slot])
			values[fill->slot] = DirectFunctionCall1(numeric_int8, values[fill->slot]);
	}
	/* Calls for contents move the record: they come last. */
	for (int i = 0; state->files && i < n; i++)
	{
		if (!state->conv[i].fetch_later || isnull[fills[i].slot])
			continue;
		state->column = i;
		values[fills[i].slot] =
			ampsf_fetch_file(state->session, DatumGetCString(values[fills[i].slot]), &state->stats);
	}
	state->column = -1;
	MemoryContextSwitchTo(old);
	error_context_stack = context.previous;
}

void
ampsf_scan_fill_slot(AmpsfScanState *state, TupleTableSlot *slot)
{
	ExecClearTuple(slot);
	fill_slot(state, slot);
	ExecStoreVirtualTuple(slot);
}
