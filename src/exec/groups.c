/*
 * groups.c - runs a statement that groups: all groups are collected before the first is given.
 *
 * Salesforce gives 2,000 groups at most, and pages of groups it has not.  A statement asks for as
 * many; when so many come there may be more.  (It may give fewer and refuse the statement, for a
 * page has no certain size.)  Then the groups are asked for in the order of one key, each statement
 * from the last key of the one before on, which may have been cut and is asked for once more.  What
 * this rests on - that the keys come in order - is looked at, and where Salesforce's order of a key
 * is not certain (Ids) the groups' counts must add up to the rows of the whole.  Whatever does not
 * fit, or a key that has 2,000 groups of its own: the plan below the scan groups the rows here.
 */
#include "base/ampsf.h"
#include "exec/scan.h"

#include "executor/executor.h"
#include "executor/tuptable.h"
#include "miscadmin.h"
#include "utils/memutils.h"
#include "utils/tuplestore.h"
#include "wire/sfid.h"

/* The longest text of a key to page by: numbers, dates, Ids. */
#define MAX_KEY 40

typedef struct AmpsfGroups
{
	int key; /* as AMPSF_GROUPS_KEY ... */
	const char *name;
	AmpsfFieldClass fclass;
	int count;
	bool few;

	Tuplestorestate *rows; /* all groups; NULL: not collected */
	TupleTableSlot *slot;  /* the one that is given */
	bool by_rows;		   /* the plan below does it */

	/* While groups are collected. */
	MemoryContext cxt;		/* of one statement */
	char last[MAX_KEY + 1]; /* the key of the last row; "" is null */
	bool any;				/* is there a last row? */
	bool too_many;			/* the last statement was refused: more groups than it gives */
	bool unordered;		 /* the keys did not come in order, so that nothing follows from the last */
	List *tail;			 /* MinimalTuples: the rows with that key, which may not be all of them */
	int64 sum, tail_sum; /* of COUNT(Id): of the rows that are kept, of the tail */
} AmpsfGroups;

void
ampsf_groups_begin(ForeignScanState *node)
{
	AmpsfScanState *state = node->fdw_state;
	List *private =
		list_nth(castNode(ForeignScan, node->ss.ps.plan)->fdw_private, AMPSF_SCAN_GROUPS);
	AmpsfGroups *groups = palloc0(sizeof(AmpsfGroups));

	state->groups = groups;
	groups->key = intVal(list_nth(private, AMPSF_GROUPS_KEY));
	groups->name = strVal(list_nth(private, AMPSF_GROUPS_NAME));
	groups->fclass = intVal(list_nth(private, AMPSF_GROUPS_CLASS));
	groups->count = intVal(list_nth(private, AMPSF_GROUPS_COUNT));
	groups->few = intVal(list_nth(private, AMPSF_GROUPS_FEW)) != 0;
	groups->slot = MakeSingleTupleTableSlot(node->ss.ss_ScanTupleSlot->tts_tupleDescriptor,
											&TTSOpsMinimalTuple);
	groups->cxt = AllocSetContextCreate(node->ss.ps.state->es_query_cxt, "ampsf_fdw groups",
										ALLOCSET_DEFAULT_SIZES);
}

/* A source for a statement, started; it lives in source_cxt until the next. */
static AmpsfRowSource *
open_source(AmpsfScanState *state, const char *soql, const char *const *fields, int nfields)
{
	AmpsfQuerySpec spec;
	MemoryContext old;

	if (state->source)
		state->source->ops->close(state->source);
	state->source = NULL;
	MemoryContextReset(state->source_cxt);
	ampsf_scan_spec(state, &spec);
	old = MemoryContextSwitchTo(state->source_cxt);
	spec.soql = soql;
	spec.fields = fields;
	spec.nfields = nfields;
	state->groups->too_many = false;
	spec.too_many_groups = &state->groups->too_many;
	state->source = ampsf_rest_query(&spec);
	state->source->ops->start(state->source);
	MemoryContextSwitchTo(old);
	return state->source;
}

static void
keep_tail(AmpsfGroups *groups)
{
	ListCell *lc;

	foreach (lc, groups->tail)
	{
		ExecForceStoreMinimalTuple(lfirst(lc), groups->slot, true);
		tuplestore_puttupleslot(groups->rows, groups->slot);
	}
	ExecClearTuple(groups->slot);
	groups->tail = NIL;
	groups->sum += groups->tail_sum;
	groups->tail_sum = 0;
}

static void
drop_tail(AmpsfGroups *groups)
{
	list_free_deep(groups->tail);
	groups->tail = NIL;
	groups->tail_sum = 0;
}

static bool
is_number(const char *s)
{
	if (*s == '-')
		s++;
	return *s && strspn(s, "0123456789") == strlen(s) && strlen(s) <= 18;
}

static bool
is_date(const char *s)
{
	return strlen(s) == 10 && strspn(s, "0123456789-") == 10;
}

/* Copies the key of a record into key; false if it is none that can be written into a statement. */
static bool
read_key(const AmpsfGroups *groups, const AmpsfValue *value, char key[MAX_KEY + 1])
{
	key[0] = '\0';
	if (value->kind == AMPSF_VALUE_NULL)
		return true;
	if (value->len == 0 || value->len > MAX_KEY)
		return false;
	memcpy(key, value->ptr, value->len);
	key[value->len] = '\0';
	switch (groups->fclass)
	{
		case AMPSF_CLASS_NUMBER:
			return is_number(key);
		case AMPSF_CLASS_DATE:
			return is_date(key);
		default:
			return ampsf_sfid_is_canonical(key, strlen(key));
	}
}

/* Does the key come after the other?  Null is before all. */
static bool
is_after(const AmpsfGroups *groups, const char *key, const char *other)
{
	if (!*key || !*other)
		return *key != '\0';
	if (groups->fclass == AMPSF_CLASS_NUMBER)
		return strtoll(key, NULL, 10) > strtoll(other, NULL, 10);
	return strcmp(key, other) > 0;
}

/* A record's key against that of the one before. */
static void
note_key(AmpsfGroups *groups, const AmpsfValue *value)
{
	char key[MAX_KEY + 1];

	if (!read_key(groups, value, key))
		groups->unordered = true;
	if (groups->any && strcmp(key, groups->last) == 0)
		return;
	if (groups->any && !is_after(groups, key, groups->last))
		groups->unordered = true;
	keep_tail(groups);
	strcpy(groups->last, key);
	groups->any = true;
}

static int64
read_count(const AmpsfValue *value)
{
	char buf[MAX_KEY + 1] = "";

	if (value->kind != AMPSF_VALUE_NULL && value->len <= MAX_KEY)
		memcpy(buf, value->ptr, value->len);
	return strtoll(buf, NULL, 10);
}

/*
 * The groups of one statement: into the store, but those with the last key, which become the tail.
 * Returns how many there were.
 */
static int
read_statement(ForeignScanState *node, const char *soql)
{
	AmpsfScanState *state = node->fdw_state;
	AmpsfGroups *groups = state->groups;
	TupleTableSlot *slot = node->ss.ss_ScanTupleSlot;
	AmpsfRowSource *source = open_source(state, soql, state->keys, state->nfields);
	int n = 0;

	while (source->ops->next(source, state->values))
	{
		CHECK_FOR_INTERRUPTS();
		state->row++;
		n++;
		if (groups->key >= 0)
			note_key(groups, &state->values[groups->key]);
		if (groups->count >= 0)
			groups->tail_sum += read_count(&state->values[groups->count]);
		ampsf_scan_fill_slot(state, slot);
		if (groups->key >= 0)
		{
			MemoryContext old = MemoryContextSwitchTo(groups->cxt);

			groups->tail = lappend(groups->tail, ExecCopySlotMinimalTuple(slot));
			MemoryContextSwitchTo(old);
		}
		else
			tuplestore_puttupleslot(groups->rows, slot);
	}
	ExecClearTuple(slot);
	return n;
}

/* The rows that all groups must add up to. */
static int64
count_rows(AmpsfScanState *state, const AmpsfSelect *select)
{
	static const char *const fields[] = {"n"};
	AmpsfSelect total = *select;
	AmpsfRowSource *source;
	AmpsfValue value;

	total.fields = list_make1(makeString(pstrdup("COUNT(Id) n")));
	total.group_by = total.order = "";
	total.having = NIL;
	total.max_groups = 0;
	total.from_key = NULL;
	source = open_source(state, ampsf_scan_print(state, &total), fields, 1);
	return source->ops->next(source, &value) ? read_count(&value) : -1;
}

static void
start_over(AmpsfGroups *groups)
{
	tuplestore_clear(groups->rows);
	drop_tail(groups);
	groups->any = groups->unordered = false;
	groups->sum = 0;
}

/* To the first row that is given: those before it are OFFSET's. */
static void
go_to_start(AmpsfScanState *state)
{
	tuplestore_rescan(state->groups->rows);
	tuplestore_skiptuples(state->groups->rows, state->skip, true);
}

/* There are more groups than a statement gives, and the first have been read. */
static bool
collect_others(ForeignScanState *node)
{
	AmpsfScanState *state = node->fdw_state;
	AmpsfGroups *groups = state->groups;
	AmpsfSelect select = state->select;
	int n = AMPSF_MAX_GROUPS;

	if (groups->key < 0)
		return false;
	/* HAVING is checked again here; without it the counts are those of all rows. */
	if (groups->count >= 0 && select.having != NIL)
	{
		select.having = NIL;
		start_over(groups);
		n = read_statement(node, ampsf_scan_print(state, &select));
	}
	while (n >= AMPSF_MAX_GROUPS)
	{
		char quote[] = {groups->fclass == AMPSF_CLASS_ID ? '\'' : '\0', '\0'};

		/* One key with so many groups, or nulls at the end. */
		if (groups->too_many || groups->unordered ||
			list_length(groups->tail) >= AMPSF_MAX_GROUPS || !*groups->last)
			return false;
		drop_tail(groups);
		groups->any = false;
		MemoryContextReset(groups->cxt);
		select.from_key = psprintf("%s >= %s%s%s", groups->name, quote, groups->last, quote);
		n = read_statement(node, ampsf_scan_print(state, &select));
	}
	if (groups->too_many || groups->unordered)
		return false;
	keep_tail(groups);
	return groups->count < 0 || count_rows(state, &select) == groups->sum;
}

static void
collect(ForeignScanState *node)
{
	AmpsfScanState *state = node->fdw_state;
	AmpsfGroups *groups = state->groups;
	MemoryContext old = MemoryContextSwitchTo(node->ss.ps.state->es_query_cxt);
	int n = 0;

	groups->rows = tuplestore_begin_heap(true, false, work_mem);
	MemoryContextSwitchTo(old);
	groups->any = groups->unordered = groups->too_many = false;
	groups->sum = groups->tail_sum = 0;
	groups->tail = NIL;
	old = MemoryContextSwitchTo(groups->cxt);
	if (state->soql)
		n = read_statement(node, state->soql);
	if (groups->too_many)
		groups->by_rows = true;
	else if (groups->few || n < AMPSF_MAX_GROUPS)
		keep_tail(groups);
	else
		groups->by_rows = !collect_others(node);
	if (groups->by_rows)
		start_over(groups);
	else
		go_to_start(state);
	MemoryContextSwitchTo(old);
	MemoryContextReset(groups->cxt);
	if (state->source)
		state->source->ops->close(state->source);
	state->source = NULL;
	MemoryContextReset(state->source_cxt);
	if (groups->by_rows && !outerPlanState(node))
		ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
						errmsg("Salesforce has more groups than it gives"),
						errcontext("SOQL: %s", state->soql)));
}

TupleTableSlot *
ampsf_groups_next(ForeignScanState *node)
{
	AmpsfScanState *state = node->fdw_state;
	AmpsfGroups *groups = state->groups;

	if (!state->started)
	{
		ampsf_scan_bind(node);
		state->started = true;
		state->row = 0;
		groups->by_rows = false;
		collect(node);
	}
	if (groups->by_rows)
		return ExecProcNode(outerPlanState(node));
	tuplestore_gettupleslot(groups->rows, true, false, groups->slot);
	return groups->slot;
}

void
ampsf_groups_rescan(ForeignScanState *node)
{
	AmpsfScanState *state = node->fdw_state;
	AmpsfGroups *groups = state->groups;

	if (node->ss.ps.chgParam != NULL && state->nparams > 0)
	{
		char *before = state->soql ? pstrdup(state->soql) : NULL;

		ampsf_scan_bind(node);
		if (!before || !state->soql || strcmp(before, state->soql) != 0)
		{
			ampsf_groups_end(node);
			state->started = false;
			return;
		}
	}
	/* The plan below is rescanned by the executor. */
	ExecClearTuple(groups->slot);
	if (!groups->by_rows)
		go_to_start(state);
}

void
ampsf_groups_end(ForeignScanState *node)
{
	AmpsfGroups *groups = ((AmpsfScanState *) node->fdw_state)->groups;

	ExecClearTuple(groups->slot);
	if (groups->rows)
		tuplestore_end(groups->rows);
	groups->rows = NULL;
}
