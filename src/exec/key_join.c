/*
 * key_join.c - runs a batched key lookup: reads rows of the outer plan, asks the foreign scan by
 * their keys, and joins what comes.
 *
 * A batch is as many outer rows as have so many different keys, or as fill work_mem; later batches
 * are larger, so that a key that comes again and again is asked for seldom.  Its keys go out in
 * parts, a call each, none of them before somebody wants the rows.  What comes is found by the
 * equality itself, hashed: Salesforce may send more, and 'A' is not 'a' here.  A null key is never
 * asked for.
 *
 * Ordered (each key is unique): the rows of a part are kept and given in the order of the outer
 * rows.  Else they are not kept: each is joined with the outer rows of its key when it comes, and
 * those that found none follow at the end of the batch.
 *
 * Eager: what Salesforce answers may depend on what the statement writes, so all is read before the
 * first row is given.
 *
 * Must not know: SOQL, the network; how the scan below is run.
 */
#include "base/ampsf.h"
#include "exec/key_join.h"

#include "executor/executor.h"
#include "miscadmin.h"
#include "nodes/extensible.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "plan/key_join.h"
#include "utils/array.h"
#include "utils/datum.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/ruleutils.h"
#include "utils/tuplestore.h"

/* Each batch may have so many times the keys of the one before it ... */
#define BATCH_GROWTH 4
/* ... up to so many parts. */
#define MAX_PARTS 64
/* The keys of a statement may take so many bytes; quoting can double them. */
#define MAX_KEY_BYTES 35000
/* What a key takes besides its text: quotes, comma, blank. */
#define KEY_OVERHEAD 4

typedef struct Row
{
	struct Row *next;	   /* outer: of the batch; inner: of the key */
	struct Row *next_same; /* outer: the next of the same key */
	struct Key *key;	   /* outer: NULL if it is null */
	bool matched;		   /* outer */
	MinimalTuple tuple;
} Row;

typedef struct Key
{
	uint32 hash;
	int place;		   /* in the batch */
	struct Key *chain; /* of the same bucket */
	Datum value;
	Row *outer;		   /* the rows that have it, last one first */
	Row *inner, *last; /* ordered: the rows that it found, as they came */
} Key;

typedef enum Phase
{
	FILL,	  /* the next batch */
	IN_ORDER, /* ordered: the rows of the batch */
	ASK,	  /* the next part */
	STREAM,	  /* the rows of the part */
	REST,	  /* the outer rows that found none */
	DONE
} Phase;

typedef struct KeyJoinState
{
	CustomScanState css; /* first: PostgreSQL sees this */
	/* from the plan */
	JoinType type;
	bool ordered, eager;
	int part_keys, first_keys;
	PlanState *outer;
	ForeignScanState *inner;
	ExprState *outer_key, *inner_key, *join_qual;
	Oid key_type;
	int16 typlen;
	bool typbyval;
	char typalign;
	Oid collation;
	FmgrInfo hash_outer, hash_inner, same_outer, same_both;
	int no_param; /* the number of no parameter of the query */

	/* rows pass through these into the scan slot, whose first columns are the outer's */
	TupleTableSlot *outer_slot, *inner_slot;
	TupleTableSlot *result_slot; /* what is given if nothing is computed of the scan slot */
	int nouter;

	/* the batch */
	MemoryContext batch_cxt, part_cxt;
	Phase phase;
	bool outer_ended;
	TupleTableSlot *held; /* an outer row that has been read and belongs to the next batch */
	int max_keys;		  /* of a batch */
	Size mem;			  /* of its rows and keys */
	Size inner_mem;		  /* ordered: of the rows that were found */
	Row *rows, *last_row;
	Key **keys; /* [nkeys] in the order in which they came */
	int nkeys, keys_size;
	Key **buckets;
	int nbuckets;
	int part, asked; /* the current part is keys[part .. asked) */

	/* where it is */
	Row *row;		/* outer */
	Row *match;		/* ordered: the next inner row to try for it */
	bool row_begun; /* ordered: match is set */

	Tuplestorestate *store; /* eager */
	TupleTableSlot *store_slot;

	int64 nparts, nasked, removed;
} KeyJoinState;

/* -------- slots -------- */

/* Copies a row's columns into the scan slot, from the column at start; they live as long as the row
 * does. */
static void
put_columns(KeyJoinState *state, TupleTableSlot *from, int start)
{
	TupleTableSlot *slot = state->css.ss.ss_ScanTupleSlot;
	int natts = from->tts_tupleDescriptor->natts;

	slot_getallattrs(from);
	ExecClearTuple(slot);
	memcpy(slot->tts_values + start, from->tts_values, sizeof(Datum) * natts);
	memcpy(slot->tts_isnull + start, from->tts_isnull, sizeof(bool) * natts);
	ExecStoreVirtualTuple(slot);
}

static void
put_row(KeyJoinState *state, Row *row, bool is_outer)
{
	TupleTableSlot *slot = is_outer ? state->outer_slot : state->inner_slot;

	ExecStoreMinimalTuple(row->tuple, slot, false);
	put_columns(state, slot, is_outer ? 0 : state->nouter);
}

static void
put_no_inner(KeyJoinState *state)
{
	TupleTableSlot *slot = state->css.ss.ss_ScanTupleSlot;

	ExecClearTuple(slot);
	memset(slot->tts_isnull + state->nouter, true,
		   sizeof(bool) * (slot->tts_tupleDescriptor->natts - state->nouter));
	ExecStoreVirtualTuple(slot);
}

/* -------- keys -------- */

/* Finds the key, which is an outer or an inner row's; NULL if there is none such in the batch. */
static Key *
find_key(KeyJoinState *state, Datum value, uint32 hash, FmgrInfo *same)
{
	if (state->nbuckets == 0)
		return NULL;
	for (Key *key = state->buckets[hash & (state->nbuckets - 1)]; key; key = key->chain)
		if (key->hash == hash &&
			DatumGetBool(FunctionCall2Coll(same, state->collation, value, key->value)))
			return key;
	return NULL;
}

static void
grow_buckets(KeyJoinState *state)
{
	int n = Max(state->nbuckets * 2, 256);
	Key **buckets = palloc0(sizeof(Key *) * n);

	for (int i = 0; i < state->nkeys; i++)
	{
		Key **head = &buckets[state->keys[i]->hash & (n - 1)];

		state->keys[i]->chain = *head;
		*head = state->keys[i];
	}
	if (state->buckets)
		pfree(state->buckets);
	state->buckets = buckets;
	state->nbuckets = n;
}

/* A new key of the batch, in whose context we are. */
static Key *
add_key(KeyJoinState *state, Datum value, uint32 hash)
{
	Key *key = palloc0(sizeof(Key));
	Key **head;

	key->hash = hash;
	key->place = state->nkeys;
	key->value = datumCopy(value, state->typbyval, state->typlen);
	state->mem += sizeof(Key) + datumGetSize(value, state->typbyval, state->typlen);
	if (state->nkeys == state->keys_size)
	{
		state->keys_size = Max(state->keys_size * 2, 256);
		state->keys = state->keys ? repalloc(state->keys, sizeof(Key *) * state->keys_size)
								  : palloc(sizeof(Key *) * state->keys_size);
	}
	if (state->nkeys >= state->nbuckets)
		grow_buckets(state);
	state->keys[state->nkeys++] = key;
	head = &state->buckets[hash & (state->nbuckets - 1)];
	key->chain = *head;
	*head = key;
	return key;
}

/* -------- batches -------- */

/*
 * Adds the row of the slot to the batch; false, and nothing done, if its key would be one too many.
 */
static bool
add_row(KeyJoinState *state, TupleTableSlot *slot)
{
	ExprContext *econtext = state->css.ss.ps.ps_ExprContext;
	Key *key = NULL;
	Row *row;
	Datum value;
	bool isnull;
	MemoryContext old;

	ResetExprContext(econtext);
	put_columns(state, slot, 0);
	econtext->ecxt_scantuple = state->css.ss.ss_ScanTupleSlot;
	value = ExecEvalExprSwitchContext(state->outer_key, econtext, &isnull);
	if (!isnull)
	{
		uint32 hash;

		if (state->typlen == -1)
			value = PointerGetDatum(PG_DETOAST_DATUM_PACKED(value));
		hash = DatumGetUInt32(FunctionCall1Coll(&state->hash_outer, state->collation, value));

		key = find_key(state, value, hash, &state->same_outer);
		if (!key)
		{
			if (state->nkeys >= state->max_keys)
				return false;
			old = MemoryContextSwitchTo(state->batch_cxt);
			key = add_key(state, value, hash);
			MemoryContextSwitchTo(old);
		}
	}
	old = MemoryContextSwitchTo(state->batch_cxt);
	row = palloc0(sizeof(Row));
	row->tuple = ExecCopySlotMinimalTuple(slot);
	MemoryContextSwitchTo(old);
	state->mem += sizeof(Row) + row->tuple->t_len;
	row->key = key;
	if (key)
	{
		row->next_same = key->outer;
		key->outer = row;
	}
	if (state->last_row)
		state->last_row->next = row;
	else
		state->rows = row;
	state->last_row = row;
	return true;
}

static void
forget_batch(KeyJoinState *state)
{
	ExecClearTuple(state->css.ss.ss_ScanTupleSlot);
	ExecClearTuple(state->outer_slot);
	ExecClearTuple(state->inner_slot);
	MemoryContextReset(state->part_cxt);
	MemoryContextReset(state->batch_cxt);
	state->mem = state->inner_mem = 0;
	state->rows = state->last_row = state->row = state->match = NULL;
	state->row_begun = false;
	state->keys = state->buckets = NULL;
	state->nkeys = state->keys_size = state->nbuckets = state->part = state->asked = 0;
}

/*
 * The keys of the next batch: more than this one had, but no more than whose rows work_mem holds.
 */
static void
grow_batch(KeyJoinState *state)
{
	double keys = (double) Max(state->max_keys, state->part_keys / BATCH_GROWTH) * BATCH_GROWTH;

	keys = Min(keys, (double) state->part_keys * MAX_PARTS);
	if (state->inner_mem > 0)
		keys = Min(keys, work_mem * 1024.0 * state->asked / state->inner_mem);
	state->max_keys = (int) Max(keys, state->part_keys);
}

/* Reads the next batch; false if there is none. */
static bool
fill_batch(KeyJoinState *state)
{
	if (state->rows)
		grow_batch(state);
	forget_batch(state);
	if (state->held)
	{
		TupleTableSlot *slot = state->held;

		state->held = NULL;
		(void) add_row(state, slot);
	}
	while (!state->outer_ended && state->mem < (Size) work_mem * 1024)
	{
		TupleTableSlot *slot = ExecProcNode(state->outer);

		if (TupIsNull(slot))
			state->outer_ended = true;
		else if (!add_row(state, slot))
		{
			state->held = slot; /* it stays until the outer plan is asked again */
			break;
		}
		CHECK_FOR_INTERRUPTS();
	}
	if (!state->rows)
		return false;
	state->row = state->rows;
	return true;
}

/* Gives the next keys of the batch to the foreign scan, which will ask for them. */
static void
ask_part(KeyJoinState *state)
{
	ExprContext *scan = state->inner->ss.ps.ps_ExprContext;
	int limit = state->nparts == 0 ? state->first_keys : state->part_keys;
	Size bytes = 0;
	int n = 0;
	Datum *values;
	MemoryContext old;

	MemoryContextReset(state->part_cxt);
	old = MemoryContextSwitchTo(state->part_cxt);
	values = palloc(sizeof(Datum) * limit);
	state->part = state->asked;
	while (state->asked < state->nkeys && n < limit)
	{
		Datum value = state->keys[state->asked]->value;

		bytes += datumGetSize(value, state->typbyval, state->typlen) + KEY_OVERHEAD;
		if (n > 0 && bytes > MAX_KEY_BYTES)
			break;
		values[n++] = value;
		state->asked++;
	}
	scan->caseValue_datum = PointerGetDatum(construct_array(
		values, n, state->key_type, state->typlen, state->typbyval, state->typalign));
	scan->caseValue_isNull = false;
	MemoryContextSwitchTo(old);
	state->nparts++;
	state->nasked += n;

	/* No parameter has changed that PostgreSQL knows of, but the scan has to look at the keys
	 * again. */
	state->inner->ss.ps.chgParam = bms_add_member(state->inner->ss.ps.chgParam, state->no_param);
	ExecReScan((PlanState *) state->inner);
}

/*
 * The next row of the part, in the scan slot, and its key; NULL at the end.  Rows of no key are
 * passed over, and those of another part's key: asked for 'A', Salesforce sends 'a' as well, and
 * will send it again for 'a'.
 */
static Key *
next_inner(KeyJoinState *state, TupleTableSlot **slot)
{
	ExprContext *econtext = state->css.ss.ps.ps_ExprContext;

	for (;;)
	{
		Datum value;
		bool isnull;
		Key *key;

		*slot = ExecProcNode((PlanState *) state->inner);
		if (TupIsNull(*slot))
			return NULL;
		ResetExprContext(econtext);
		put_columns(state, *slot, state->nouter);
		econtext->ecxt_scantuple = state->css.ss.ss_ScanTupleSlot;
		value = ExecEvalExprSwitchContext(state->inner_key, econtext, &isnull);
		if (isnull)
			continue;
		key =
			find_key(state, value,
					 DatumGetUInt32(FunctionCall1Coll(&state->hash_inner, state->collation, value)),
					 &state->same_both);
		if (key && key->place >= state->part && key->place < state->asked)
			return key;
		CHECK_FOR_INTERRUPTS();
	}
}

/* -------- joining -------- */

/* Do the two rows in the scan slot pass the other conditions of the join? */
static bool
passes_join(KeyJoinState *state)
{
	ExprContext *econtext = state->css.ss.ps.ps_ExprContext;

	ResetExprContext(econtext);
	econtext->ecxt_scantuple = state->css.ss.ss_ScanTupleSlot;
	if (ExecQual(state->join_qual, econtext))
		return true;
	state->removed++;
	return false;
}

/* Has the outer row got all that it can? */
static bool
is_satisfied(const KeyJoinState *state, const Row *row)
{
	return row->matched && (state->type == JOIN_SEMI || state->type == JOIN_ANTI);
}

/* Is the pair in the scan slot a row of the result? */
static bool
is_result(KeyJoinState *state, Row *row)
{
	if (!passes_join(state))
		return false;
	row->matched = true;
	return state->type != JOIN_ANTI;
}

/* Does an outer row that found nothing come alone? */
static bool
keeps_unmatched(const KeyJoinState *state)
{
	return state->type == JOIN_LEFT || state->type == JOIN_ANTI;
}

/* Ordered: reads the parts up to the one that has the key. */
static void
fetch_key(KeyJoinState *state, const Key *wanted)
{
	while (state->asked <= wanted->place)
	{
		TupleTableSlot *slot;
		Key *key;

		ask_part(state);
		while ((key = next_inner(state, &slot)) != NULL)
		{
			MemoryContext old = MemoryContextSwitchTo(state->batch_cxt);
			Row *inner = palloc0(sizeof(Row));

			inner->tuple = ExecCopySlotMinimalTuple(slot);
			MemoryContextSwitchTo(old);
			state->inner_mem += sizeof(Row) + inner->tuple->t_len;
			if (key->last)
				key->last->next = inner;
			else
				key->inner = inner;
			key->last = inner;
		}
	}
}

/* Ordered: the next row of the batch into the scan slot; false at its end. */
static bool
next_in_order(KeyJoinState *state)
{
	for (; state->row; state->row = state->row->next, state->row_begun = false)
	{
		Row *row = state->row;

		CHECK_FOR_INTERRUPTS();
		if (!state->row_begun)
		{
			if (row->key)
				fetch_key(state, row->key);
			put_row(state, row, true);
			state->match = row->key ? row->key->inner : NULL;
			state->row_begun = true;
		}
		while (state->match && !is_satisfied(state, row))
		{
			put_row(state, state->match, false);
			state->match = state->match->next;
			if (is_result(state, row))
				return true;
		}
		if (!row->matched && keeps_unmatched(state))
		{
			row->matched = true;
			state->match = NULL;
			put_no_inner(state);
			return true;
		}
	}
	return false;
}

/* Not ordered: the next pair of the part into the scan slot; false at its end. */
static bool
next_of_stream(KeyJoinState *state)
{
	for (;;)
	{
		TupleTableSlot *slot;
		Key *key;

		while (state->row)
		{
			Row *row = state->row;

			state->row = row->next_same;
			if (is_satisfied(state, row))
				continue;
			put_row(state, row, true);
			if (is_result(state, row))
				return true;
		}
		key = next_inner(state, &slot);
		if (!key)
			return false;
		state->row = key->outer;
	}
}

/* Not ordered: the next outer row that found nothing; false if there is none left. */
static bool
next_of_rest(KeyJoinState *state)
{
	while (state->row)
	{
		Row *row = state->row;

		state->row = row->next;
		if (row->matched)
			continue;
		put_row(state, row, true);
		put_no_inner(state);
		return true;
	}
	return false;
}

/* The next row of the join into the scan slot; false at the end. */
static bool
next_joined(KeyJoinState *state)
{
	for (;;)
		switch (state->phase)
		{
			case FILL:
				if (!fill_batch(state))
					state->phase = DONE;
				else
					state->phase = state->ordered ? IN_ORDER : ASK;
				break;
			case IN_ORDER:
				if (next_in_order(state))
					return true;
				state->phase = FILL;
				break;
			case ASK:
				if (state->asked < state->nkeys)
				{
					state->row = NULL;
					ask_part(state);
					state->phase = STREAM;
					break;
				}
				state->row = keeps_unmatched(state) ? state->rows : NULL;
				state->phase = REST;
				break;
			case STREAM:
				if (next_of_stream(state))
					return true;
				state->phase = ASK;
				break;
			case REST:
				if (next_of_rest(state))
					return true;
				state->phase = FILL;
				break;
			case DONE:
				return false;
		}
}

/*
 * The scan slot as a result.  Not the slot itself: who gets it may make it own its values, which
 * the next row could not share then.
 */
static TupleTableSlot *
copy_scan_slot(KeyJoinState *state)
{
	TupleTableSlot *from = state->css.ss.ss_ScanTupleSlot;
	TupleTableSlot *to = state->result_slot;

	ExecClearTuple(to);
	memcpy(to->tts_values, from->tts_values, sizeof(Datum) * from->tts_tupleDescriptor->natts);
	memcpy(to->tts_isnull, from->tts_isnull, sizeof(bool) * from->tts_tupleDescriptor->natts);
	return ExecStoreVirtualTuple(to);
}

/* The next row of the result; NULL at the end. */
static TupleTableSlot *
next_result(KeyJoinState *state)
{
	ScanState *ss = &state->css.ss;
	ExprContext *econtext = ss->ps.ps_ExprContext;

	while (next_joined(state))
	{
		ResetExprContext(econtext);
		econtext->ecxt_scantuple = ss->ss_ScanTupleSlot;
		if (!ExecQual(ss->ps.qual, econtext))
		{
			InstrCountFiltered1(ss, 1);
			continue;
		}
		return ss->ps.ps_ProjInfo ? ExecProject(ss->ps.ps_ProjInfo) : copy_scan_slot(state);
	}
	return NULL;
}

/* From what has been read before the first row was given. */
static TupleTableSlot *
next_stored(KeyJoinState *state)
{
	ScanState *ss = &state->css.ss;
	TupleTableSlot *out = ss->ps.ps_ProjInfo ? ss->ps.ps_ResultTupleSlot : ss->ss_ScanTupleSlot;

	if (!state->store)
	{
		TupleTableSlot *slot;
		MemoryContext old = MemoryContextSwitchTo(ss->ps.state->es_query_cxt);

		state->store = tuplestore_begin_heap(false, false, work_mem);
		state->store_slot = MakeSingleTupleTableSlot(out->tts_tupleDescriptor, &TTSOpsMinimalTuple);
		MemoryContextSwitchTo(old);
		while ((slot = next_result(state)) != NULL)
			tuplestore_puttupleslot(state->store, slot);
	}
	ExecClearTuple(out);
	if (!tuplestore_gettupleslot(state->store, true, false, state->store_slot))
		return out;
	slot_getallattrs(state->store_slot);
	memcpy(out->tts_values, state->store_slot->tts_values,
		   sizeof(Datum) * out->tts_tupleDescriptor->natts);
	memcpy(out->tts_isnull, state->store_slot->tts_isnull,
		   sizeof(bool) * out->tts_tupleDescriptor->natts);
	return ExecStoreVirtualTuple(out);
}

/* -------- the node's callbacks -------- */

static TupleTableSlot *
exec_key_join(CustomScanState *node)
{
	KeyJoinState *state = (KeyJoinState *) node;

	return state->eager ? next_stored(state) : next_result(state);
}

/* The functions that hash and compare keys. */
static void
prepare_keys(KeyJoinState *state, const OpExpr *op)
{
	RegProcedure inner_hash, outer_hash;
	Oid inner_same, outer_same;

	if (!get_op_hash_functions(op->opno, &inner_hash, &outer_hash) ||
		!get_compatible_hash_operators(op->opno, &inner_same, &outer_same))
		elog(ERROR, "operator %u cannot be hashed", op->opno);
	fmgr_info(inner_hash, &state->hash_inner);
	fmgr_info(outer_hash, &state->hash_outer);
	fmgr_info(get_opcode(outer_same), &state->same_outer);
	fmgr_info(get_opcode(op->opno), &state->same_both);
	state->collation = op->inputcollid;
	state->key_type = exprType(lsecond(op->args));
	get_typlenbyvalalign(state->key_type, &state->typlen, &state->typbyval, &state->typalign);
}

static void
start_over(KeyJoinState *state)
{
	forget_batch(state);
	state->phase = FILL;
	state->held = NULL;
	state->outer_ended = false;
	state->max_keys = state->first_keys;
}

static void
begin_key_join(CustomScanState *node, EState *estate, int eflags)
{
	KeyJoinState *state = (KeyJoinState *) node;
	CustomScan *plan = castNode(CustomScan, node->ss.ps.plan);
	const OpExpr *op = linitial_node(OpExpr, plan->custom_exprs);
	PlanState *inner;

	state->type = intVal(list_nth(plan->custom_private, AMPSF_KEY_JOIN_TYPE));
	state->part_keys = intVal(list_nth(plan->custom_private, AMPSF_KEY_JOIN_BATCH));
	state->first_keys = intVal(list_nth(plan->custom_private, AMPSF_KEY_JOIN_FIRST));
	state->ordered = intVal(list_nth(plan->custom_private, AMPSF_KEY_JOIN_ORDERED));
	state->eager = intVal(list_nth(plan->custom_private, AMPSF_KEY_JOIN_EAGER));

	/* The outer plan is read once, forward; the scan is asked again and again. */
	state->outer = ExecInitNode(linitial(plan->custom_plans), estate,
								eflags & ~(EXEC_FLAG_BACKWARD | EXEC_FLAG_MARK));
	inner = ExecInitNode(lsecond(plan->custom_plans), estate,
						 eflags & ~(EXEC_FLAG_BACKWARD | EXEC_FLAG_MARK));
	state->inner = castNode(ForeignScanState, inner);
	node->custom_ps = list_make2(state->outer, inner);

	state->nouter = ExecGetResultType(state->outer)->natts;
	state->outer_slot =
		ExecInitExtraTupleSlot(estate, ExecGetResultType(state->outer), &TTSOpsMinimalTuple);
	state->inner_slot =
		ExecInitExtraTupleSlot(estate, ExecGetResultType(inner), &TTSOpsMinimalTuple);
	state->result_slot = ExecInitExtraTupleSlot(
		estate, node->ss.ss_ScanTupleSlot->tts_tupleDescriptor, &TTSOpsVirtual);
	state->inner_key = ExecInitExpr(linitial(op->args), &node->ss.ps);
	state->outer_key = ExecInitExpr(lsecond(op->args), &node->ss.ps);
	state->join_qual = ExecInitQual(list_copy_tail(plan->custom_exprs, 1), &node->ss.ps);
	prepare_keys(state, op);
	state->no_param = list_length(estate->es_plannedstmt->paramExecTypes);
	state->batch_cxt =
		AllocSetContextCreate(estate->es_query_cxt, "ampsf_fdw key batch", ALLOCSET_DEFAULT_SIZES);
	state->part_cxt =
		AllocSetContextCreate(estate->es_query_cxt, "ampsf_fdw keys", ALLOCSET_DEFAULT_SIZES);
	start_over(state);
}

static void
rescan_key_join(CustomScanState *node)
{
	KeyJoinState *state = (KeyJoinState *) node;

	if (state->store)
		tuplestore_end(state->store);
	state->store = NULL;
	if (node->ss.ps.chgParam)
	{
		UpdateChangedParamSet(state->outer, node->ss.ps.chgParam);
		UpdateChangedParamSet((PlanState *) state->inner, node->ss.ps.chgParam);
	}
	ExecReScan(state->outer);
	start_over(state);
}

static void
end_key_join(CustomScanState *node)
{
	KeyJoinState *state = (KeyJoinState *) node;

	if (state->store)
		tuplestore_end(state->store);
	if (state->store_slot)
		ExecDropSingleTupleTableSlot(state->store_slot);
	ExecEndNode(state->outer);
	ExecEndNode((PlanState *) state->inner);
}

static void
explain_key_join(CustomScanState *node, List *ancestors, ExplainState *es)
{
	KeyJoinState *state = (KeyJoinState *) node;
	CustomScan *plan = castNode(CustomScan, node->ss.ps.plan);
	List *context = set_deparse_context_plan(es->deparse_cxt, (Plan *) plan, ancestors);
	List *filter = list_copy_tail(plan->custom_exprs, 1);
	const char *type = state->type == JOIN_LEFT	  ? "Left"
					   : state->type == JOIN_SEMI ? "Semi"
					   : state->type == JOIN_ANTI ? "Anti"
												  : "Inner";

	ExplainPropertyText("Join Type", type, es);
	ExplainPropertyText("Key",
						deparse_expression(linitial(plan->custom_exprs), context, true, false), es);
	if (filter)
		ExplainPropertyText(
			"Join Filter",
			deparse_expression((Node *) make_ands_explicit(filter), context, true, false), es);
	if (es->analyze && state->removed > 0)
		ExplainPropertyInteger("Rows Removed by Join Filter", NULL, state->removed, es);
	ExplainPropertyInteger("Batch Size", NULL, state->part_keys, es);
	if (!es->analyze)
		return;
	ExplainPropertyInteger("Batches", NULL, state->nparts, es);
	ExplainPropertyInteger("Keys", NULL, state->nasked, es);
}

static Node *create_key_join_state(CustomScan *plan);

static const CustomScanMethods scan_methods = {.CustomName = AMPSF_KEY_JOIN_NAME,
											   .CreateCustomScanState = create_key_join_state};

static const CustomExecMethods exec_methods = {.CustomName = AMPSF_KEY_JOIN_NAME,
											   .BeginCustomScan = begin_key_join,
											   .ExecCustomScan = exec_key_join,
											   .EndCustomScan = end_key_join,
											   .ReScanCustomScan = rescan_key_join,
											   .ExplainCustomScan = explain_key_join};

static Node *
create_key_join_state(CustomScan *plan)
{
	KeyJoinState *state = palloc0(sizeof(KeyJoinState));

	NodeSetTag(state, T_CustomScanState);
	state->css.methods = &exec_methods;
	state->css.flags = plan->flags;
	return (Node *) state;
}

void
ampsf_key_join_init(void)
{
	RegisterCustomScanMethods(&scan_methods);
}
