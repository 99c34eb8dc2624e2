/*
 * writeback_send.c - rows of ampsf.writeback on their way to the org, and what became of each.
 *
 * Owns: that an error, a lost connection or a cancel does not lose what became of the other rows:
 * all of it is a result here, and what to do about it is the caller's.  Must not know: the queue.
 */
#include "postgres.h"

#include "access/relation.h"
#include "access/xact.h"
#include "catalog/pg_type_d.h"
#include "fmgr.h"
#include "foreign/foreign.h"
#include "funcapi.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/resowner.h"
#include "utils/timestamp.h"

#include "base/error.h"
#include "base/options.h"
#include "exec/convert.h"
#include "exec/modify_state.h"
#include "exec/write_error.h"
#include "functions/foreign_arg.h"
#include "net/session.h"
#include "org/row_sink.h"
#include "plan/plan_modify.h"

PG_FUNCTION_INFO_V1(ampsf_sql_writeback_source);
PG_FUNCTION_INFO_V1(ampsf_sql_writeback_columns);
PG_FUNCTION_INFO_V1(ampsf_sql_writeback_rows);

/* The foreign table, opened, which the caller may use so. */
static Relation
open_source(Oid relid, AclMode need)
{
	ampsf_check_foreign_table(relid, need);
	return relation_open(relid, AccessShareLock);
}

static Datum
name_of(Relation rel, AttrNumber attno)
{
	Name name = palloc0(NAMEDATALEN);

	namestrcpy(name, NameStr(TupleDescAttr(RelationGetDescr(rel), attno - 1)->attname));
	return NameGetDatum(name);
}

/* What of a foreign table matters to writing back. */
Datum
ampsf_sql_writeback_source(PG_FUNCTION_ARGS)
{
	Oid relid = PG_GETARG_OID(0);
	Relation rel = open_source(relid, ACL_SELECT);
	AmpsfTableOptions *table = ampsf_table_options(relid);
	AttrNumber stamp = ampsf_version_column(rel);
	TupleDesc desc;
	Datum values[6];
	bool nulls[6] = {true, true, true, false, true, false};

	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	if (stamp > 0)
	{
		values[0] = name_of(rel, stamp);
		nulls[0] = false;
	}
	if (table->upsert_key != NULL)
	{
		values[1] = CStringGetTextDatum(table->upsert_key);
		nulls[1] = false;
		for (int i = 0; i < RelationGetDescr(rel)->natts; i++)
			if (!TupleDescAttr(RelationGetDescr(rel), i)->attisdropped &&
				pg_strcasecmp(ampsf_column(relid, i + 1)->field, table->upsert_key) == 0)
			{
				values[2] = name_of(rel, i + 1);
				nulls[2] = false;
			}
	}
	values[3] = BoolGetDatum(table->if_unchanged);
	/* What a job cannot promise is not left to it. */
	if (table->write_transport == AMPSF_WRITE_BULK)
		values[4] = Int32GetDatum(1);
	else
		values[4] = Int32GetDatum(table->bulk_write_threshold);
	nulls[4] = table->write_transport == AMPSF_WRITE_COLLECTIONS || table->client_name != NULL ||
			   table->assignment_rule != NULL || table->allow_duplicates;
	values[5] = BoolGetDatum(table->updatable && !table->write_api && !table->engagement);
	relation_close(rel, AccessShareLock);
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(desc), values, nulls)));
}

/* The columns whose fields UPDATE can write, but for files. */
Datum
ampsf_sql_writeback_columns(PG_FUNCTION_ARGS)
{
	Oid relid = PG_GETARG_OID(0);
	Relation rel = open_source(relid, ACL_SELECT);
	AmpsfTableOptions *table = ampsf_table_options(relid);
	TupleDesc desc = RelationGetDescr(rel);
	Datum *names = palloc(sizeof(Datum) * Max(desc->natts, 1));
	int n = 0;

	for (int i = 0; i < desc->natts; i++)
	{
		AmpsfColumn *col;

		if (TupleDescAttr(desc, i)->attisdropped)
			continue;
		col = ampsf_column(relid, i + 1);
		if (ampsf_column_refusal(table->object, col, false) == NULL &&
			strcmp(col->type, "base64") != 0)
			names[n++] = CStringGetTextDatum(NameStr(TupleDescAttr(desc, i)->attname));
	}
	relation_close(rel, AccessShareLock);
	PG_RETURN_ARRAYTYPE_P(construct_array(names, n, TEXTOID, -1, false, TYPALIGN_INT));
}

/* -------- JSON of the queue into JSON of a call -------- */

typedef struct Field
{
	const char *name; /* the column's */
	AmpsfColumn *col;
	AmpsfColumnConv conv;
	FmgrInfo input;
	Oid type, ioparam;
	int32 typmod;
	const char *refused; /* NULL: it can be written */
} Field;

/* One row, and what became of it. */
typedef struct Row
{
	const char *id;
	Jsonb *fields;
	int64 version;
	AmpsfOutcome outcome;
	const char *new_id;
	const char *code, *message, *error_fields;
} Row;

typedef struct Sending
{
	Relation rel;
	AmpsfTableOptions *table;
	AmpsfWriteOp op;
	bool conditional, bulk;
	const char *upsert_key;
	Field *fields;
	int nfields;
	Row *rows;
	int nrows;
	AmpsfRowSink *volatile sink;
	AmpsfStats stats;
	MemoryContext cxt;	   /* of what is handed out */
	MemoryContext row_cxt; /* of a row's JSON */
	volatile bool failed;
	ErrorData *error; /* why not all were sent */
} Sending;

static void
open_fields(Sending *s)
{
	TupleDesc desc = RelationGetDescr(s->rel);

	s->fields = palloc0(sizeof(Field) * Max(desc->natts, 1));
	for (int i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(desc, i);
		Field *f = &s->fields[s->nfields];
		Oid input;

		if (att->attisdropped)
			continue;
		f->name = pstrdup(NameStr(att->attname));
		f->col = ampsf_column(RelationGetRelid(s->rel), att->attnum);
		f->refused = ampsf_column_refusal(s->table->object, f->col, s->op != AMPSF_UPDATE);
		ampsf_convert_init(&f->conv, att, f->col, CurrentMemoryContext);
		f->type = att->atttypid;
		f->typmod = att->atttypmod;
		getTypeInputInfo(att->atttypid, &input, &f->ioparam);
		fmgr_info_cxt(input, &f->input, CurrentMemoryContext);
		s->nfields++;
	}
}

static Field *
find_field(Sending *s, const JsonbValue *key)
{
	for (int i = 0; i < s->nfields; i++)
		if (strlen(s->fields[i].name) == (size_t) key->val.string.len &&
			memcmp(s->fields[i].name, key->val.string.val, key->val.string.len) == 0)
			return &s->fields[i];
	return NULL;
}

static Datum
text_array(const JsonbValue *list)
{
	Jsonb *j = JsonbValueToJsonb((JsonbValue *) list);
	JsonbIterator *it = JsonbIteratorInit(&j->root);
	JsonbIteratorToken token;
	JsonbValue v;
	Datum *texts = palloc(sizeof(Datum) * (JB_ROOT_COUNT(j) + 1));
	int n = 0;

	while ((token = JsonbIteratorNext(&it, &v, true)) != WJB_DONE)
		if (token == WJB_ELEM && v.type == jbvString)
			texts[n++] =
				PointerGetDatum(cstring_to_text_with_len(v.val.string.val, v.val.string.len));
	return PointerGetDatum(construct_array(texts, n, TEXTOID, -1, false, TYPALIGN_INT));
}

/* As to_jsonb() wrote it, a value of the column's type again. */
static Datum
value_of(Field *f, JsonbValue *v, bool *isnull)
{
	char *text;

	*isnull = false;
	switch (v->type)
	{
		case jbvNull:
			*isnull = true;
			return (Datum) 0;
		case jbvString:
			text = pnstrdup(v->val.string.val, v->val.string.len);
			break;
		case jbvNumeric:
			text =
				DatumGetCString(DirectFunctionCall1(numeric_out, NumericGetDatum(v->val.numeric)));
			break;
		case jbvBool:
			text = v->val.boolean ? "true" : "false";
			break;
		default:
			if (f->type == TEXTARRAYOID)
				return text_array(v);
			text = JsonbToCString(NULL, v->val.binary.data, v->val.binary.len);
	}
	return InputFunctionCall(&f->input, text, f->ioparam, f->typmod);
}

/* The fields of a row as a call has them; ERROR for a value that Salesforce cannot keep. */
static void
build_fields(Sending *s, const Row *row, StringInfo buf, bool *references)
{
	JsonbIterator *it;
	JsonbIteratorToken token;
	JsonbValue key;
	JsonbValue v;

	initStringInfo(buf);
	if (s->op == AMPSF_DELETE)
		return;
	it = JsonbIteratorInit(&row->fields->root);
	while ((token = JsonbIteratorNext(&it, &key, true)) != WJB_DONE)
	{
		Field *f;
		Datum value;
		bool isnull;

		if (token != WJB_KEY)
			continue;
		(void) JsonbIteratorNext(&it, &v, true);
		f = find_field(s, &key);
		if (f == NULL)
			ereport(ERROR, (errcode(ERRCODE_DATA_EXCEPTION),
							errmsg("the foreign table has no column \"%s\" any more",
								   pnstrdup(key.val.string.val, key.val.string.len))));
		if (f->refused != NULL)
			ereport(ERROR, (errcode(ERRCODE_DATA_EXCEPTION),
							errmsg("column \"%s\" cannot be written", f->name),
							errdetail_internal("%s", f->refused)));
		value = value_of(f, &v, &isnull);
		(void) ampsf_field_json(buf, f->col, &f->conv, value, isnull);
		if (!isnull && strcmp(f->col->type, "reference") == 0)
			*references = true;
	}
}

/*
 * The same; a value that cannot be sent is that row's refusal.  What converts values holds no
 * resources, so that an error in it needs no subtransaction.
 */
static bool
try_fields(Sending *s, Row *row, StringInfo buf, bool *references)
{
	MemoryContext cxt = CurrentMemoryContext;
	volatile bool ok = true;

	PG_TRY();
	{
		build_fields(s, row, buf, references);
	}
	PG_CATCH();
	{
		ErrorData *error;

		MemoryContextSwitchTo(s->cxt);
		error = CopyErrorData();
		if (ERRCODE_TO_CATEGORY(error->sqlerrcode) != ERRCODE_DATA_EXCEPTION)
			PG_RE_THROW();
		FlushErrorState();
		row->outcome = AMPSF_REFUSED;
		row->code = "INVALID_VALUE";
		row->message = error->message;
		ok = false;
	}
	PG_END_TRY();
	MemoryContextSwitchTo(cxt);
	return ok;
}

/* -------- sending -------- */

static const char *
keep(Sending *s, const char *text)
{
	return text != NULL && *text ? MemoryContextStrdup(s->cxt, text) : NULL;
}

/*
 * Outcomes that the sink has.  Of a call that came to nothing as a whole its rows know no more than
 * that: nothing is wrong with them.
 */
static void
take_results(Sending *s)
{
	AmpsfWriteResult *results;
	int n;

	while ((n = s->sink->ops->results(s->sink, &results)) > 0)
		for (int i = 0; i < n; i++)
		{
			Row *row = &s->rows[results[i].number - 1];

			row->outcome = results[i].outcome;
			if (row->outcome == AMPSF_REFUSED && s->sink->failed)
				row->outcome = AMPSF_NOT_SENT;
			row->new_id = keep(s, results[i].id);
			row->code = keep(s, results[i].code);
			row->message = keep(s, results[i].message);
			row->error_fields = keep(s, results[i].fields);
		}
}

static void
open_sink(Sending *s)
{
	AmpsfWriteSpec spec = {0};
	AmpsfWriteTransport transport = s->bulk ? AMPSF_WRITE_BULK : AMPSF_WRITE_COLLECTIONS;

	spec.session =
		ampsf_session_get(GetForeignTable(RelationGetRelid(s->rel))->serverid, GetUserId());
	spec.op = s->op;
	spec.object = s->table->object;
	spec.key = s->upsert_key;
	spec.max_rows = s->table->batch_size;
	if (s->conditional)
		spec.conditional =
			ampsf_column(RelationGetRelid(s->rel), ampsf_version_column(s->rel))->field;
	spec.headers = ampsf_write_headers(s->table);
	spec.stats = &s->stats;
	if (s->op == AMPSF_DELETE && s->table->hard_delete)
	{
		spec.hard_delete = true;
		transport = AMPSF_WRITE_BULK;
	}
	s->sink = ampsf_write_open(&spec, transport, 0);
}

static void
send_rows(Sending *s)
{
	open_sink(s);
	for (int i = 0; i < s->nrows && !s->sink->failed; i++)
	{
		Row *row = &s->rows[i];
		AmpsfWriteRow to = {0};
		StringInfoData buf;
		bool references = false;
		MemoryContext old;

		CHECK_FOR_INTERRUPTS();
		MemoryContextReset(s->row_cxt);
		old = MemoryContextSwitchTo(s->row_cxt);
		if (!try_fields(s, row, &buf, &references))
		{
			MemoryContextSwitchTo(old);
			continue;
		}
		MemoryContextSwitchTo(old);
		if (!s->sink->ops->has_room(s->sink, buf.len))
		{
			s->sink->ops->flush(s->sink, false);
			take_results(s);
			if (s->sink->failed)
				break;
		}
		to.number = i + 1;
		to.id = row->id;
		to.version = row->version;
		to.fields = buf.data;
		to.len = buf.len;
		to.flags = references ? AMPSF_ROW_REFERS : 0;
		s->sink->ops->add(s->sink, &to);
	}
	s->sink->ops->flush(s->sink, true);
	take_results(s);
	if (s->sink->failed)
	{
		s->failed = true;
		if (s->sink->ops->stop != NULL)
		{
			s->sink->ops->stop(s->sink);
			take_results(s);
		}
		s->sink->ops->raise(s->sink);
	}
}

/* Whatever is raised, a cancel too, is kept; what was on its way is in doubt. */
static void
send_guarded(Sending *s)
{
	MemoryContext cxt = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;

	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(cxt);
	PG_TRY();
	{
		send_rows(s);
		ReleaseCurrentSubTransaction();
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(s->cxt);
		s->error = CopyErrorData();
		FlushErrorState();
		if (s->sink != NULL && !s->failed)
		{
			s->sink->ops->abandon(s->sink);
			take_results(s);
		}
		RollbackAndReleaseCurrentSubTransaction();
	}
	PG_END_TRY();
	MemoryContextSwitchTo(cxt);
	CurrentResourceOwner = owner;
	if (s->sink != NULL)
		s->sink->ops->close(s->sink);
}

/* -------- the function -------- */

static int
array_of(ArrayType *array, Oid type, Datum **values, bool **nulls)
{
	int16 len;
	bool byval;
	char align;
	int n;

	get_typlenbyvalalign(type, &len, &byval, &align);
	deconstruct_array(array, type, len, byval, align, values, nulls, &n);
	return n;
}

static void
read_rows(Sending *s, FunctionCallInfo fcinfo)
{
	Datum *ids;
	Datum *fields;
	Datum *stamps = NULL;
	bool *id_null;
	bool *fields_null;
	bool *stamp_null = NULL;

	s->nrows = array_of(PG_GETARG_ARRAYTYPE_P(2), TEXTOID, &ids, &id_null);
	if (array_of(PG_GETARG_ARRAYTYPE_P(3), JSONBOID, &fields, &fields_null) != s->nrows ||
		(!PG_ARGISNULL(4) &&
		 array_of(PG_GETARG_ARRAYTYPE_P(4), TIMESTAMPTZOID, &stamps, &stamp_null) != s->nrows))
		ereport(ERROR, (errcode(ERRCODE_ARRAY_SUBSCRIPT_ERROR),
						errmsg("the arrays have different lengths")));
	s->conditional = stamps != NULL && s->op == AMPSF_UPDATE;
	s->rows = palloc0(sizeof(Row) * Max(s->nrows, 1));
	for (int i = 0; i < s->nrows; i++)
	{
		s->rows[i].outcome = AMPSF_NOT_SENT;
		s->rows[i].id = id_null[i] ? NULL : TextDatumGetCString(ids[i]);
		if ((id_null[i] && (s->op == AMPSF_UPDATE || s->op == AMPSF_DELETE)) ||
			(fields_null[i] && s->op != AMPSF_DELETE) || (s->conditional && stamp_null[i]))
			ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
							errmsg("a row to be written lacks its Id, its fields or its time")));
		if (!fields_null[i])
			s->rows[i].fields = DatumGetJsonbP(fields[i]);
		if (s->conditional)
			s->rows[i].version = DatumGetTimestampTz(stamps[i]);
	}
}

static void
put_row(ReturnSetInfo *rsinfo, int n, const char *outcome, const char *id, const char *code,
		const char *message, const char *fields)
{
	const char *texts[] = {outcome, id, code, message, fields};
	Datum values[6];
	bool nulls[6] = {false};

	values[0] = Int32GetDatum(n);
	for (int i = 0; i < 5; i++)
	{
		nulls[i + 1] = texts[i] == NULL;
		/* What Salesforce says is UTF-8. */
		if (texts[i] != NULL)
			values[i + 1] =
				CStringGetTextDatum(pg_any_to_server(texts[i], (int) strlen(texts[i]), PG_UTF8));
	}
	tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
}

/*
 * Writes rows and tells of each what became of it, by its place from 1; and in place 0 an error
 * that kept some from being sent.  Raises none for what Salesforce or the network do.
 */
Datum
ampsf_sql_writeback_rows(PG_FUNCTION_ARGS)
{
	static const char *const operations[] = {"insert", "update", "delete", "upsert"};
	static const AclMode rights[] = {ACL_INSERT, ACL_UPDATE, ACL_DELETE, ACL_INSERT};
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	Sending s = {0};
	char *operation;
	int op = 0;

	for (int i = 0; i < 4; i++)
		if (PG_ARGISNULL(i))
			ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
							errmsg("rows to be written are null")));
	operation = text_to_cstring(PG_GETARG_TEXT_PP(1));
	while (op < 4 && strcmp(operation, operations[op]) != 0)
		op++;
	if (op == 4)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("\"%s\" is no way to write rows", operation)));
	InitMaterializedSRF(fcinfo, 0);
	PreventCommandIfReadOnly("ampsf.writeback_rows()");
	s.op = (AmpsfWriteOp) op;
	s.rel = open_source(PG_GETARG_OID(0), rights[op]);
	s.table = ampsf_table_options(RelationGetRelid(s.rel));
	if (!s.table->updatable || s.table->write_api || s.table->engagement)
		ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
						errmsg("foreign table \"%s\" cannot be written to by a mirror",
							   RelationGetRelationName(s.rel))));
	s.upsert_key = s.table->upsert_key;
	s.bulk = PG_GETARG_BOOL(5);
	s.cxt = CurrentMemoryContext;
	s.row_cxt = AllocSetContextCreate(s.cxt, "ampsf writeback row", ALLOCSET_DEFAULT_SIZES);
	open_fields(&s);
	read_rows(&s, fcinfo);
	send_guarded(&s);
	relation_close(s.rel, AccessShareLock);

	for (int i = 0; i < s.nrows; i++)
		put_row(rsinfo, i + 1, ampsf_outcome_name(s.rows[i].outcome), s.rows[i].new_id,
				s.rows[i].code, s.rows[i].message, s.rows[i].error_fields);
	if (s.error != NULL)
		put_row(rsinfo, 0, "failed", unpack_sql_state(s.error->sqlerrcode),
				s.error->detail ? s.error->detail : NULL, s.error->message,
				s.error->hint ? s.error->hint : NULL);
	return (Datum) 0;
}
