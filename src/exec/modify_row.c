/*
 * modify_row.c - a slot becomes the JSON of a row to write, and what Salesforce made of it comes
 * back.
 *
 * Must not know: batches, outcomes.
 */
#include "base/ampsf.h"
#include "exec/files.h"
#include "exec/modify_state.h"

#include "access/detoast.h"
#include "access/htup_details.h"
#include "catalog/pg_type_d.h"
#include "executor/executor.h"
#include "org/row_source.h"
#include "plan/plan_modify.h"
#include "utils/datum.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "wire/text.h"

/* Contents from this size on are not sent as base64; smaller ones go 200 rows to a call. */
#define LARGE_FILE (4 * 1024 * 1024)

AmpsfColumn *
ampsf_modify_column(AmpsfModifyState *state, AttrNumber attno)
{
	if (state->columns[attno - 1] == NULL)
	{
		MemoryContext old = MemoryContextSwitchTo(state->estate->es_query_cxt);

		state->columns[attno - 1] = ampsf_column(RelationGetRelid(state->rel), attno);
		MemoryContextSwitchTo(old);
	}
	return state->columns[attno - 1];
}

static AmpsfColumnConv *
conv_of(AmpsfModifyState *state, AttrNumber attno)
{
	if (state->convs[attno - 1] == NULL)
	{
		MemoryContext cxt = state->estate->es_query_cxt;
		AmpsfColumnConv *conv = MemoryContextAllocZero(cxt, sizeof(AmpsfColumnConv));

		ampsf_convert_init(conv, TupleDescAttr(RelationGetDescr(state->rel), attno - 1),
						   ampsf_modify_column(state, attno), cxt);
		conv->fetch_later = conv->remote_file && conv->type == BYTEAOID;
		conv->with_offset = state->table->engagement;
		state->convs[attno - 1] = conv;
	}
	return state->convs[attno - 1];
}

/* No catalog access here: the transaction may be broken already. */
static void
column_context(void *arg)
{
	AmpsfModifyState *state = arg;

	if (state->column > 0)
		errcontext("column \"%s\" of foreign table \"%s\", row %lld",
				   NameStr(TupleDescAttr(RelationGetDescr(state->rel), state->column - 1)->attname),
				   RelationGetRelationName(state->rel), (long long) (state->added + 1));
}

/* Has a trigger given that column another value than the row had? */
static bool
changed(AmpsfModifyState *state, TupleTableSlot *slot, AttrNumber attno)
{
	Form_pg_attribute att = TupleDescAttr(RelationGetDescr(state->rel), attno - 1);
	bool old_null, new_null;
	Datum old_value = slot_getattr(state->rinfo->ri_oldTupleSlot, attno, &old_null);
	Datum new_value = slot_getattr(slot, attno, &new_null);

	if (old_null || new_null)
		return old_null != new_null;
	return !datum_image_eq(old_value, new_value, att->attbyval, att->attlen);
}

/*
 * Is a column to be sent though the statement does not name it?  An INSERT sends what a default or
 * a trigger filled in, an UPDATE what a trigger changed; either also a generated column whose field
 * can be written.  A value that nobody asked for and that cannot be written is refused, not dropped
 * in silence.
 */
static bool
sends_unnamed(AmpsfModifyState *state, TupleTableSlot *slot, AttrNumber attno)
{
	Form_pg_attribute att = TupleDescAttr(RelationGetDescr(state->rel), attno - 1);
	bool insert = state->op == AMPSF_INSERT;
	char *reason;

	if (att->attgenerated != '\0' && (!insert || att->attgenerated != ATTRIBUTE_GENERATED_STORED))
		return false;
	if (insert ? slot_attisnull(slot, attno) : !changed(state, slot, attno))
		return false;
	reason = ampsf_column_refusal(state->table->object, ampsf_modify_column(state, attno), insert);
	if (reason != NULL && att->attgenerated == '\0')
		ampsf_refuse_column(state->rel, attno, insert, reason);
	return reason == NULL;
}

/*
 * A content that would be long as base64 is sent as it is.  One for each row: Salesforce's objects
 * have no more.
 */
static bool
is_large_file(AmpsfModifyState *state, const AmpsfColumn *col, TupleTableSlot *slot,
			  AttrNumber attno)
{
	bytea *data;

	if (state->file_attno > 0 || !conv_of(state, attno)->fetch_later ||
		slot->tts_isnull[attno - 1] ||
		toast_raw_datum_size(slot->tts_values[attno - 1]) <= LARGE_FILE)
		return false;
	data = DatumGetByteaPP(slot->tts_values[attno - 1]);
	state->file_attno = attno;
	state->file = VARDATA_ANY(data);
	state->file_len = VARSIZE_ANY_EXHDR(data);
	return true;
}

/* Whom Salesforce locks together with the row, as far as we know: what its first reference names.
 */
static void
note_parent(AmpsfModifyState *state, const AmpsfColumn *col, const char *json, int len)
{
	if (state->parent[0] != '\0' || col->type == NULL || strcmp(col->type, "reference") != 0 ||
		pg_strcasecmp(col->field, "OwnerId") == 0 || len < 3 || json[0] != '"')
		return;
	strlcpy(state->parent, json + 1, Min(sizeof(state->parent), (size_t) len - 1));
}

/*
 * "Account":{"Ext_Id__c":"A-1"}, which makes Salesforce look up the parent; and without one
 * "AccountId":null.  Names of fields have no character that JSON escapes.
 */
static void
add_parent_key(StringInfo buf, const AmpsfColumn *col, AmpsfColumnConv *conv, Datum value,
			   bool isnull)
{
	const char *field = col->field;
	const char *parents = col->reference_to;
	int len = (int) strcspn(field, ".");

	if (isnull)
	{
		if (len > 3 && pg_strncasecmp(field + len - 3, "__r", 3) == 0)
			appendStringInfo(buf, "\"%.*s__c\":null", len - 3, field);
		else
			appendStringInfo(buf, "\"%.*sId\":null", len, field);
		return;
	}
	appendStringInfo(buf, "\"%.*s\":{", len, field);
	/* A reference to several kinds of objects needs to know which. */
	if (parents != NULL && strchr(parents, ',') == NULL)
		appendStringInfo(buf, "\"attributes\":{\"type\":\"%s\"},", parents);
	appendStringInfo(buf, "\"%s\":", field + len + 1);
	ampsf_convert_to_json(buf, conv, value, false);
	appendStringInfoChar(buf, '}');
}

int
ampsf_field_json(StringInfo buf, const AmpsfColumn *col, AmpsfColumnConv *conv, Datum value,
				 bool isnull)
{
	size_t len = strlen(col->field);
	int start;

	if (buf->len > 0)
		appendStringInfoChar(buf, ',');
	if (col->parent_key)
	{
		add_parent_key(buf, col, conv, value, isnull);
		return buf->len;
	}
	enlargeStringInfo(buf, (int) (len * 6 + 2));
	buf->len += (int) ampsf_quote_json(col->field, len, buf->data + buf->len);
	appendStringInfoChar(buf, ':');
	start = buf->len;
	ampsf_convert_to_json(buf, conv, value, isnull);
	return start;
}

void
ampsf_modify_fields(AmpsfModifyState *state, TupleTableSlot *slot, StringInfo buf, bool *references)
{
	TupleDesc desc = RelationGetDescr(state->rel);
	TriggerDesc *trig = state->rinfo->ri_TrigDesc;
	bool look_further = state->op == AMPSF_INSERT || (trig != NULL && trig->trig_update_before_row);
	ErrorContextCallback errcb = {error_context_stack, column_context, state};

	*references = false;
	state->parent[0] = '\0';
	state->file_attno = 0;
	error_context_stack = &errcb;
	slot_getallattrs(slot);
	for (AttrNumber attno = 1; attno <= desc->natts; attno++)
	{
		AmpsfColumn *col;
		int start;

		if (TupleDescAttr(desc, attno - 1)->attisdropped)
			continue;
		if (!bms_is_member(attno, state->targets) &&
			(!look_further || !sends_unnamed(state, slot, attno)))
			continue;
		col = ampsf_modify_column(state, attno);
		if (col->type != NULL && strcmp(col->type, "reference") == 0 &&
			!slot->tts_isnull[attno - 1])
			*references = true;
		if (state->files && is_large_file(state, col, slot, attno))
			continue;
		if (col->parent_key)
			*references = true;
		state->column = attno;
		start = ampsf_field_json(buf, col, conv_of(state, attno), slot->tts_values[attno - 1],
								 slot->tts_isnull[attno - 1]);
		state->column = 0;
		note_parent(state, col, buf->data + start, buf->len - start);
	}
	error_context_stack = errcb.previous;
}

/*
 * Reads the columns in state->fetch of the row back by one query: values and isnull are filled, in
 * the current context.
 */
static void
read_back(AmpsfModifyState *state, const char *id, Datum *values, bool *isnull)
{
	int n = list_length(state->fetch);
	const char **fields = palloc(sizeof(char *) * n);
	int *source = palloc(sizeof(int) * n);
	AmpsfValue *found;
	AmpsfQuerySpec spec = {0};
	AmpsfRowSource *src;
	StringInfoData soql;
	ErrorContextCallback errcb;
	ListCell *lc;
	int nfields = 0;
	bool there;

	initStringInfo(&soql);
	foreach (lc, state->fetch)
	{
		const char *field = ampsf_modify_column(state, lfirst_int(lc))->field;
		int i = 0;

		/* Two columns may show one field, which SOQL takes once. */
		while (i < nfields && pg_strcasecmp(fields[i], field) != 0)
			i++;
		if (i == nfields)
		{
			appendStringInfo(&soql, "%s%s", nfields > 0 ? ", " : "SELECT ", field);
			fields[nfields++] = field;
		}
		source[foreach_current_index(lc)] = i;
	}
	appendStringInfo(&soql, " FROM %s WHERE Id = '%s'", state->table->object, id);
	spec.session = state->session;
	spec.soql = soql.data;
	spec.fields = fields;
	spec.nfields = nfields;
	spec.limit = 1;
	spec.stats = &state->read_stats;
	found = palloc0(sizeof(AmpsfValue) * nfields);
	src = ampsf_rest_query(&spec);
	src->ops->start(src);
	there = src->ops->next(src, found);
	if (!there)
		ereport(WARNING,
				(errmsg("row %s was written to foreign table \"%s\" but cannot be read back", id,
						RelationGetRelationName(state->rel)),
				 errdetail("Columns that were not sent are shown as null.")));
	else
	{
		errcb.callback = column_context;
		errcb.arg = state;
		errcb.previous = error_context_stack;
		error_context_stack = &errcb;
		foreach (lc, state->fetch)
		{
			state->column = lfirst_int(lc);
			values[state->column - 1] = ampsf_convert(conv_of(state, state->column),
													  &found[source[foreach_current_index(lc)]],
													  &isnull[state->column - 1]);
			if (conv_of(state, state->column)->fetch_later)
				continue;
			values[state->column - 1] =
				isnull[state->column - 1]
					? (Datum) 0
					: datumCopy(
						  values[state->column - 1],
						  TupleDescAttr(RelationGetDescr(state->rel), state->column - 1)->attbyval,
						  TupleDescAttr(RelationGetDescr(state->rel), state->column - 1)->attlen);
		}
		state->column = 0;
		error_context_stack = errcb.previous;
	}
	src->ops->close(src);
	if (!there)
		return;
	foreach (lc, state->fetch)
	{
		int i = lfirst_int(lc) - 1;

		if (conv_of(state, i + 1)->fetch_later && !isnull[i])
			values[i] =
				ampsf_fetch_file(state->session, DatumGetCString(values[i]), &state->read_stats);
	}
}

/* Replaces the slot's row. */
static void
store_row(AmpsfModifyState *state, TupleTableSlot *slot, Datum *values, bool *isnull)
{
	HeapTuple tuple;

	/* The values may point into the very tuple that the slot holds: copy first. */
	tuple = heap_form_tuple(RelationGetDescr(state->rel), values, isnull);
	ExecForceStoreHeapTuple(tuple, slot, false);
	slot->tts_tableOid = RelationGetRelid(state->rel);
}

void
ampsf_modify_complete(AmpsfModifyState *state, TupleTableSlot *slot, const AmpsfFlushed *out)
{
	TupleDesc desc = RelationGetDescr(state->rel);
	MemoryContext old;
	Datum *values;
	bool *isnull;

	if (!state->returns || state->table->write_at_commit)
		return;
	/* The row must last until the executor has looked at it. */
	old = MemoryContextSwitchTo(GetPerTupleMemoryContext(state->estate));
	slot_getallattrs(slot);
	values = palloc(sizeof(Datum) * desc->natts);
	isnull = palloc(sizeof(bool) * desc->natts);
	memcpy(values, slot->tts_values, sizeof(Datum) * desc->natts);
	memcpy(isnull, slot->tts_isnull, sizeof(bool) * desc->natts);
	if (state->id_attno > 0)
	{
		AmpsfValue v = {0};

		/* Account Engagement may say no more than that it was done. */
		v.kind = *out->id ? AMPSF_VALUE_STRING : AMPSF_VALUE_NULL;
		v.ptr = out->id;
		v.len = strlen(out->id);
		values[state->id_attno - 1] =
			ampsf_convert(conv_of(state, state->id_attno), &v, &isnull[state->id_attno - 1]);
	}
	if (state->fetch != NIL)
		read_back(state, out->id, values, isnull);
	for (int i = 0; i < desc->natts; i++)
		if (!TupleDescAttr(desc, i)->attisdropped && ampsf_modify_column(state, i + 1)->created &&
			TupleDescAttr(desc, i)->atttypid == BOOLOID)
		{
			values[i] = BoolGetDatum(out->created);
			isnull[i] = false;
		}
	store_row(state, slot, values, isnull);
	MemoryContextSwitchTo(old);
}

void
ampsf_modify_old_row(AmpsfModifyState *state, TupleTableSlot *slot, TupleTableSlot *planSlot)
{
	TupleDesc desc = RelationGetDescr(state->rel);
	MemoryContext old;
	HeapTupleData tuple;
	Datum *values, row;
	bool *isnull, null;

	if (state->old_junk == 0)
		return;
	row = ExecGetJunkAttribute(planSlot, state->old_junk, &null);
	if (null)
		return;
	old = MemoryContextSwitchTo(GetPerTupleMemoryContext(state->estate));
	tuple.t_data = DatumGetHeapTupleHeader(row);
	tuple.t_len = HeapTupleHeaderGetDatumLength(tuple.t_data);
	ItemPointerSetInvalid(&tuple.t_self);
	tuple.t_tableOid = RelationGetRelid(state->rel);
	values = palloc(sizeof(Datum) * desc->natts);
	isnull = palloc(sizeof(bool) * desc->natts);
	heap_deform_tuple(&tuple, desc, values, isnull);
	store_row(state, slot, values, isnull);
	MemoryContextSwitchTo(old);
}
