/*
 * populate.c - ampsf.populate(): a record as JSON into a row, its values as a foreign scan gives
 * them.
 *
 * Records come as REST shows them, or with the flattened names of change events.  Which column
 * takes which field is the foreign table's to say; the row may be that of another table, whose
 * columns go by the names of the foreign table's.  Must not know: who asks, mirrors, events.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/relation.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "foreign/foreign.h"
#include "funcapi.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/numeric.h"
#include "utils/rel.h"
#include "utils/typcache.h"

#include "base/options.h"
#include "base/stats.h"
#include "exec/convert.h"
#include "exec/files.h"
#include "functions/foreign_arg.h"
#include "net/session.h"
#include "wire/wiretime.h"

PG_FUNCTION_INFO_V1(ampsf_sql_populate);

/* One column of the row that stands for a field. */
typedef struct Target
{
	int att;	 /* index in the row */
	char *field; /* the path, in UTF-8 or ASCII as options are; "Owner.Name" */
	size_t key;	 /* length of its first part */
	bool epochs; /* a date or time, which events may give in milliseconds */
	char *name;
	AmpsfColumnConv conv;
} Target;

/* Found out once for each place of a statement that calls the function. */
typedef struct Recipe
{
	Oid rowtype;
	int32 typmod;
	Oid relid;
	char *relname;
	TupleDesc desc;
	Target *targets; /* by their keys, case aside */
	int ntargets;
	AmpsfStats stats;
} Recipe;

static int
compare_keys(const char *a, size_t alen, const char *b, size_t blen)
{
	if (alen != blen)
		return alen < blen ? -1 : 1;
	return pg_strncasecmp(a, b, alen);
}

static int
compare_targets(const void *a, const void *b)
{
	const Target *s = a, *t = b;
	int c = compare_keys(s->field, s->key, t->field, t->key);

	return c ? c : s->att - t->att;
}

/* The foreign table's column of a name; 0 if it has none. */
static AttrNumber
column_of(TupleDesc desc, const char *name)
{
	for (int i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(desc, i);

		if (!att->attisdropped && strcmp(NameStr(att->attname), name) == 0)
			return att->attnum;
	}
	return 0;
}

static Recipe *
make_recipe(Oid rowtype, int32 typmod, Oid relid, MemoryContext cxt)
{
	MemoryContext old;
	Relation rel;
	Recipe *recipe;

	ampsf_check_foreign_table(relid, ACL_SELECT);
	old = MemoryContextSwitchTo(cxt);
	recipe = palloc0(sizeof(Recipe));
	recipe->rowtype = rowtype;
	recipe->typmod = typmod;
	recipe->relid = relid;
	recipe->desc = lookup_rowtype_tupdesc_copy(rowtype, typmod);
	rel = relation_open(relid, AccessShareLock);
	recipe->relname = pstrdup(RelationGetRelationName(rel));
	recipe->targets = palloc0(sizeof(Target) * (recipe->desc->natts + 1));
	for (int i = 0; i < recipe->desc->natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(recipe->desc, i);
		AttrNumber attnum;
		AmpsfColumn *col;
		Target *t;

		if (att->attisdropped ||
			(attnum = column_of(RelationGetDescr(rel), NameStr(att->attname))) == 0)
			continue;
		col = ampsf_column(relid, attnum);
		if (col->created)
			continue;
		t = &recipe->targets[recipe->ntargets++];
		t->att = i;
		t->field = col->field;
		t->key = strcspn(col->field, ".");
		t->name = pstrdup(NameStr(att->attname));
		ampsf_convert_init(&t->conv, att, col, cxt);
		t->conv.fetch_later = t->conv.remote_file && t->conv.type == BYTEAOID;
		t->epochs = t->conv.base == TIMESTAMPTZOID || t->conv.base == TIMESTAMPOID ||
					t->conv.base == DATEOID || t->conv.base == TIMEOID;
	}
	relation_close(rel, NoLock);
	qsort(recipe->targets, recipe->ntargets, sizeof(Target), compare_targets);
	MemoryContextSwitchTo(old);
	return recipe;
}

/* Milliseconds since 1970, or since midnight, as the text that the field has elsewhere. */
static const char *
epoch_text(const Target *t, const char *number)
{
	char buf[AMPSF_TIME_BUF];
	char *end;
	int64 ms;
	int64 usecs;

	errno = 0;
	ms = strtoll(number, &end, 10);
	if (errno || (*end && *end != '.') || ms < INT64CONST(-10000000000000) ||
		ms > INT64CONST(100000000000000))
		return number;
	if (t->conv.base == TIMEOID)
	{
		if (ms < 0 || ms >= INT64CONST(86400000))
			return number;
		ampsf_print_time(ms * 1000, buf);
		return pstrdup(buf);
	}
	/* PostgreSQL's days begin in 2000. */
	usecs = ms * 1000 - INT64CONST(946684800000000);
	if (usecs < AMPSF_DATETIME_MIN || usecs > AMPSF_DATETIME_MAX)
		return number;
	ampsf_print_datetime_ms(usecs, buf);
	if (t->conv.base == DATEOID)
		buf[strlen("2024-01-31")] = '\0';
	return pstrdup(buf);
}

static void
set_text(AmpsfValue *v, const char *s, size_t len, uint8 kind)
{
	v->ptr = s;
	v->len = (uint32) len;
	v->kind = kind;
}

/* What the scanner would have cut out of an answer; palloc'ed in the current context. */
static void
wire_value(const Target *t, const JsonbValue *j, AmpsfValue *v)
{
	char *s;

	switch (j->type)
	{
		case jbvNull:
			set_text(v, "", 0, AMPSF_VALUE_NULL);
			return;
		case jbvBool:
			set_text(v, j->val.boolean ? "true" : "false", j->val.boolean ? 4 : 5,
					 j->val.boolean ? AMPSF_VALUE_TRUE : AMPSF_VALUE_FALSE);
			return;
		case jbvNumeric:
			s = DatumGetCString(DirectFunctionCall1(numeric_out, NumericGetDatum(j->val.numeric)));
			if (t->epochs)
			{
				const char *text = epoch_text(t, s);

				set_text(v, text, strlen(text), AMPSF_VALUE_STRING);
			}
			else
				set_text(v, s, strlen(s), AMPSF_VALUE_NUMBER);
			return;
		case jbvString:
			s = pg_server_to_any(j->val.string.val, j->val.string.len, PG_UTF8);
			set_text(v, s, s == j->val.string.val ? (size_t) j->val.string.len : strlen(s),
					 AMPSF_VALUE_STRING);
			return;
		default:
			s = JsonbToCString(NULL, j->val.binary.data, j->val.binary.len);
			s = pg_server_to_any(s, (int) strlen(s), PG_UTF8);
			set_text(v, s, strlen(s), AMPSF_VALUE_JSON);
	}
}

/* The member at a path below an object; false if it is not there. A parent that is null has nulls.
 */
static bool
member(JsonbContainer *object, const char *path, JsonbValue *out)
{
	size_t len = strcspn(path, ".");
	JsonbIterator *it = JsonbIteratorInit(object);
	JsonbIteratorToken token;
	bool here = false;

	while ((token = JsonbIteratorNext(&it, out, true)) != WJB_DONE)
	{
		if (token == WJB_KEY)
			here = compare_keys(out->val.string.val, out->val.string.len, path, len) == 0;
		else if (token == WJB_VALUE && here)
		{
			if (path[len] == '\0' || out->type == jbvNull)
				return true;
			return out->type == jbvBinary && JsonContainerIsObject(out->val.binary.data) &&
				   member(out->val.binary.data, path + len + 1, out);
		}
	}
	return false;
}

/* ---- the row ---- */

typedef struct Place
{
	const Recipe *recipe;
	const Target *target;
} Place;

static void
populate_context(void *arg)
{
	const Place *place = arg;

	if (place->target)
		errcontext("field %s, column \"%s\" of foreign table \"%s\"", place->target->field,
				   place->target->name, place->recipe->relname);
}

static void
put(Recipe *recipe, Target *t, const JsonbValue *j, Datum *values, bool *nulls)
{
	AmpsfValue v;

	wire_value(t, j, &v);
	values[t->att] = ampsf_convert(&t->conv, &v, &nulls[t->att]);
	if (t->conv.fetch_later && !nulls[t->att])
		values[t->att] = ampsf_fetch_file(
			ampsf_session_get(GetForeignTable(recipe->relid)->serverid, GetUserId()),
			DatumGetCString(values[t->att]), &recipe->stats);
}

/* All columns that stand for a key of the record, or for something below it. */
static void
put_key(Recipe *recipe, const char *key, size_t len, const JsonbValue *j, Place *place,
		Datum *values, bool *nulls)
{
	size_t first = strnlen(key, len);
	int low = 0, high = recipe->ntargets;

	for (size_t i = 0; i < first; i++)
		if (key[i] == '.')
			first = i;
	while (low < high)
	{
		int mid = (low + high) / 2;

		if (compare_keys(recipe->targets[mid].field, recipe->targets[mid].key, key, first) < 0)
			low = mid + 1;
		else
			high = mid;
	}
	for (; low < recipe->ntargets; low++)
	{
		Target *t = &recipe->targets[low];
		JsonbValue found;

		if (compare_keys(t->field, t->key, key, first) != 0)
			break;
		place->target = t;
		if (compare_keys(t->field, strlen(t->field), key, len) == 0)
			put(recipe, t, j, values, nulls);
		else if (first == len && t->field[first] == '.')
		{
			if (j->type == jbvNull)
				put(recipe, t, j, values, nulls);
			else if (j->type == jbvBinary && JsonContainerIsObject(j->val.binary.data) &&
					 member(j->val.binary.data, t->field + first + 1, &found))
				put(recipe, t, &found, values, nulls);
		}
	}
	place->target = NULL;
}

Datum
ampsf_sql_populate(PG_FUNCTION_ARGS)
{
	Oid type = get_fn_expr_argtype(fcinfo->flinfo, 0);
	int32 typmod = -1;
	HeapTupleHeader base = NULL;
	ErrorContextCallback context;
	Place place = {0};
	JsonbIterator *it;
	JsonbIteratorToken token;
	JsonbValue key = {0}, value;
	Jsonb *record;
	Recipe *recipe;
	Datum *values;
	bool *nulls;

	if (!type_is_rowtype(type) || (type == RECORDOID && PG_ARGISNULL(0)) ||
		get_typtype(type) == TYPTYPE_DOMAIN)
		ereport(ERROR, (errcode(ERRCODE_DATATYPE_MISMATCH),
						errmsg("the first argument of ampsf.populate() is not a row of a table"),
						errhint("Write NULL::name_of_the_table for an empty one.")));
	if (!PG_ARGISNULL(0))
		base = PG_GETARG_HEAPTUPLEHEADER(0);
	if (PG_ARGISNULL(1) || PG_ARGISNULL(2))
	{
		if (!base)
			PG_RETURN_NULL();
		PG_RETURN_DATUM(PG_GETARG_DATUM(0));
	}
	if (base)
	{
		type = HeapTupleHeaderGetTypeId(base);
		typmod = HeapTupleHeaderGetTypMod(base);
	}
	record = PG_GETARG_JSONB_P(2);
	if (!JB_ROOT_IS_OBJECT(record))
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("the record is not a JSON object")));

	recipe = fcinfo->flinfo->fn_extra;
	if (!recipe || recipe->relid != PG_GETARG_OID(1) || recipe->rowtype != type ||
		recipe->typmod != typmod)
	{
		/* What an older one holds stays until the statement ends: tables alternate seldom. */
		recipe = make_recipe(type, typmod, PG_GETARG_OID(1), fcinfo->flinfo->fn_mcxt);
		fcinfo->flinfo->fn_extra = recipe;
	}
	values = palloc0(sizeof(Datum) * (recipe->desc->natts + 1));
	nulls = palloc(sizeof(bool) * (recipe->desc->natts + 1));
	memset(nulls, true, sizeof(bool) * (recipe->desc->natts + 1));
	if (base)
	{
		HeapTupleData tuple = {0};

		tuple.t_len = HeapTupleHeaderGetDatumLength(base);
		tuple.t_data = base;
		heap_deform_tuple(&tuple, recipe->desc, values, nulls);
	}

	place.recipe = recipe;
	context.callback = populate_context;
	context.arg = &place;
	context.previous = error_context_stack;
	error_context_stack = &context;
	it = JsonbIteratorInit(&record->root);
	while ((token = JsonbIteratorNext(&it, &value, true)) != WJB_DONE)
	{
		if (token == WJB_KEY)
			key = value;
		else if (token == WJB_VALUE)
			put_key(recipe, key.val.string.val, key.val.string.len, &value, &place, values, nulls);
	}
	error_context_stack = context.previous;
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(recipe->desc, values, nulls)));
}
