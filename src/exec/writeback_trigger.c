/*
 * writeback_trigger.c - the triggers of a mirror that is written back: what a user changes goes
 * into ampsf.writeback, in the same transaction.
 *
 * Owns: what of a change is to be sent, and what is refused at once.  Must not know: when and how
 * it is sent.
 *
 * Rows of the queue are added in the name of the table's owner, since who changes a mirror need not
 * be who owns it: nothing that a user could have defined (types, operators, casts) is called in
 * that name, and only tables that are mirrors have a queue.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/relation.h"
#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/partition.h"
#include "catalog/pg_class.h"
#include "catalog/pg_type_d.h"
#include "commands/trigger.h"
#include "common/shortest_dec.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/datetime.h"
#include "utils/datum.h"
#include "utils/fmgroids.h"
#include "utils/json.h"
#include "utils/jsonb.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/syscache.h"

#include "base/ampsf.h"
#include "base/guc.h"
#include "base/options.h"
#include "plan/plan_modify.h"

PG_FUNCTION_INFO_V1(ampsf_sql_writeback_trigger);

/* A key that stands for the Id of a row that is not in the org yet: no Id has such a character. */
#define LOCAL_PREFIX "new-"

/* A column of the local table that stands for a field. */
typedef struct Column
{
	bool mirrored;		 /* false: it is the local table's own */
	const char *refused; /* by UPDATE, and why; NULL: it can be written */
	const char *refused_new;
	FmgrInfo to_jsonb; /* fn_oid 0: not yet */
} Column;

/* What a statement's changes of one table need to know. */
typedef struct Mirror
{
	Oid relid;	/* the table itself, which may be a partition */
	Oid target; /* the mirror */
	Oid source, owner;
	AttrNumber key;
	AttrNumber stamp;	/* when the row was changed; 0: no column tells */
	AttrNumber deleted; /* the mark of rows that the org has deleted; 0: there is none */
	bool woken;			/* the worker will be, when this transaction has committed */
	int natts;
	Column *columns;
	MemoryContext cxt;
} Mirror;

/* -------- in the name of the queue's owner -------- */

static Oid
queue_owner(void)
{
	Oid schema = get_namespace_oid("ampsf", false);
	Oid table = get_relname_relid("writeback", schema);
	HeapTuple tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(table));
	Oid owner;

	if (!HeapTupleIsValid(tuple))
		ereport(ERROR, (errcode(ERRCODE_UNDEFINED_TABLE),
						errmsg("relation \"ampsf.writeback\" does not exist")));
	owner = ((Form_pg_class) GETSTRUCT(tuple))->relowner;
	ReleaseSysCache(tuple);
	return owner;
}

/* One statement; SPI is connected.  *plan is made when it is first needed. */
static void
run(SPIPlanPtr *plan, const char *sql, int nargs, Oid *types, Datum *values, const char *nulls)
{
	Oid user;
	int context;
	int result;

	GetUserIdAndSecContext(&user, &context);
	SetUserIdAndSecContext(queue_owner(), context | SECURITY_LOCAL_USERID_CHANGE);
	if (*plan == NULL)
	{
		SPIPlanPtr made = SPI_prepare(sql, nargs, types);

		if (made == NULL)
			elog(ERROR, "SPI_prepare failed: %s", SPI_result_code_string(SPI_result));
		SPI_keepplan(made);
		*plan = made;
	}
	result = SPI_execute_plan(*plan, values, nulls, false, 0);
	SetUserIdAndSecContext(user, context);
	if (result < 0)
		elog(ERROR, "SPI_execute_plan failed: %s", SPI_result_code_string(result));
}

/* -------- what the table is -------- */

static void
find_definition(Mirror *m, Relation rel)
{
	static SPIPlanPtr plan = NULL;
	static Oid types[] = {OIDARRAYOID};
	List *relids = list_make1_oid(RelationGetRelid(rel));
	Datum values[1];
	Datum *oids;
	ListCell *lc;
	bool isnull;

	if (rel->rd_rel->relispartition)
		relids = list_concat(relids, get_partition_ancestors(RelationGetRelid(rel)));
	oids = palloc(sizeof(Datum) * list_length(relids));
	foreach (lc, relids)
		oids[foreach_current_index(lc)] = ObjectIdGetDatum(lfirst_oid(lc));
	values[0] = PointerGetDatum(
		construct_array(oids, list_length(relids), OIDOID, sizeof(Oid), true, TYPALIGN_INT));
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	run(&plan,
		"SELECT d.target::pg_catalog.oid, m.source::pg_catalog.oid, d.owner::pg_catalog.oid "
		"FROM ampsf.writeback_definition d "
		"JOIN ampsf.mirror_definition m ON m.target OPERATOR(pg_catalog.=) d.target "
		"AND m.owner OPERATOR(pg_catalog.=) d.owner "
		"WHERE d.target::pg_catalog.oid OPERATOR(pg_catalog.=) ANY ($1) AND d.enabled",
		1, types, values, NULL);
	if (SPI_processed != 1)
		ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
						errmsg("\"%s\" is not a mirror that is written back",
							   RelationGetRelationName(rel)),
						errhint("ampsf.set_writeback() makes a mirror such a one, and creates its "
								"triggers.")));
	m->target =
		DatumGetObjectId(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull));
	m->source =
		DatumGetObjectId(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 2, &isnull));
	m->owner =
		DatumGetObjectId(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 3, &isnull));
	SPI_finish();
}

static AttrNumber
find_column(TupleDesc desc, const char *name)
{
	for (int i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(desc, i);

		if (!att->attisdropped && strcmp(NameStr(att->attname), name) == 0)
			return att->attnum;
	}
	return InvalidAttrNumber;
}

static Mirror *
make_mirror(Relation rel, MemoryContext cxt)
{
	MemoryContext old = MemoryContextSwitchTo(cxt);
	Mirror *m = palloc0(sizeof(Mirror));
	TupleDesc desc = RelationGetDescr(rel);
	Relation source;
	AmpsfTableOptions *options;
	AttrNumber stamp;

	m->cxt = cxt;
	m->relid = RelationGetRelid(rel);
	find_definition(m, rel);
	source = try_relation_open(m->source, AccessShareLock);
	if (source == NULL)
		ereport(ERROR, (errcode(ERRCODE_UNDEFINED_TABLE),
						errmsg("the foreign table of mirror \"%s\" does not exist",
							   RelationGetRelationName(rel))));
	options = ampsf_table_options(m->source);
	stamp = ampsf_version_column(source);
	m->natts = desc->natts;
	m->columns = palloc0(sizeof(Column) * desc->natts);
	for (int i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(desc, i);
		AttrNumber there;
		AmpsfColumn *col;

		if (att->attisdropped)
			continue;
		there = find_column(RelationGetDescr(source), NameStr(att->attname));
		if (there == InvalidAttrNumber)
		{
			if (strcmp(NameStr(att->attname), "deleted_at") == 0)
				m->deleted = att->attnum;
			continue;
		}
		col = ampsf_column(m->source, there);
		if (there == ampsf_id_column(source))
			m->key = att->attnum;
		if (there == stamp)
			m->stamp = att->attnum;
		m->columns[i].mirrored = att->attgenerated == '\0';
		m->columns[i].refused = ampsf_column_refusal(options->object, col, false);
		m->columns[i].refused_new = ampsf_column_refusal(options->object, col, true);
	}
	relation_close(source, AccessShareLock);
	MemoryContextSwitchTo(old);
	if (m->key == InvalidAttrNumber)
		ereport(ERROR, (errcode(ERRCODE_UNDEFINED_COLUMN),
						errmsg("mirror \"%s\" has no column for the field Id",
							   RelationGetRelationName(rel))));
	return m;
}

static void
refuse(Relation rel, int i, const char *reason, bool insert)
{
	ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					errmsg(insert ? "cannot insert into column \"%s\" of mirror \"%s\""
								  : "cannot update column \"%s\" of mirror \"%s\"",
						   NameStr(TupleDescAttr(RelationGetDescr(rel), i)->attname),
						   RelationGetRelationName(rel)),
					errdetail_internal("%s", reason),
					errhint("The mirror is written back, and this column's field cannot be.")));
}

/* -------- values as JSON -------- */

static JsonbValue *
put_string(JsonbValue *v, char *s)
{
	v->type = jbvString;
	v->val.string.val = s;
	v->val.string.len = (int) strlen(s);
	return v;
}

/*
 * A value whatever the session's settings are: times in UTC, floats with all of their digits.
 * Other types as to_jsonb() has them.
 */
static void
put_value(JsonbParseState **state, Mirror *m, Form_pg_attribute att, Datum value)
{
	Column *col = &m->columns[att->attnum - 1];
	JsonbValue v;
	char buf[MAXDATELEN + 1];

	switch (att->atttypid)
	{
		case TEXTOID:
		case VARCHAROID:
			put_string(&v, TextDatumGetCString(value));
			break;
		case BOOLOID:
			v.type = jbvBool;
			v.val.boolean = DatumGetBool(value);
			break;
		case TIMESTAMPTZOID:
		{
			int utc = 0;

			put_string(&v, pstrdup(JsonEncodeDateTime(buf, value, TIMESTAMPTZOID, &utc)));
			break;
		}
		case FLOAT8OID:
		{
			char *digits = palloc(DOUBLE_SHORTEST_DECIMAL_LEN);

			double_to_shortest_decimal_buf(DatumGetFloat8(value), digits);
			if (strpbrk(digits, "NI") != NULL)
				put_string(&v, digits);
			else
			{
				v.type = jbvNumeric;
				v.val.numeric = DatumGetNumeric(
					DirectFunctionCall3(numeric_in, CStringGetDatum(digits),
										ObjectIdGetDatum(InvalidOid), Int32GetDatum(-1)));
			}
			break;
		}
		default:
			if (!OidIsValid(col->to_jsonb.fn_oid))
			{
				MemoryContext old = MemoryContextSwitchTo(m->cxt);
				Node *arg = (Node *) makeNullConst(att->atttypid, -1, att->attcollation);

				fmgr_info_cxt(F_TO_JSONB, &col->to_jsonb, m->cxt);
				fmgr_info_set_expr((Node *) makeFuncExpr(F_TO_JSONB, JSONBOID, list_make1(arg),
														 InvalidOid, InvalidOid,
														 COERCE_EXPLICIT_CALL),
								   &col->to_jsonb);
				MemoryContextSwitchTo(old);
			}
			JsonbToJsonbValue(DatumGetJsonbP(FunctionCall1(&col->to_jsonb, value)), &v);
	}
	pushJsonbValue(state, WJB_VALUE, &v);
}

/* The columns in which as a JSON object; NULL: all mirrored ones that are not null, but the key. */
static Datum
row_json(Mirror *m, TupleDesc desc, HeapTuple tuple, const Bitmapset *which)
{
	JsonbParseState *state = NULL;
	JsonbValue v;

	pushJsonbValue(&state, WJB_BEGIN_OBJECT, NULL);
	for (int i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(desc, i);
		bool isnull;
		Datum value;

		if (att->attisdropped || !m->columns[i].mirrored ||
			(which == NULL ? att->attnum == m->key : !bms_is_member(att->attnum, which)))
			continue;
		value = heap_getattr(tuple, att->attnum, desc, &isnull);
		if (isnull && which == NULL)
			continue;
		pushJsonbValue(&state, WJB_KEY, put_string(&v, pstrdup(NameStr(att->attname))));
		if (isnull)
		{
			v.type = jbvNull;
			pushJsonbValue(&state, WJB_VALUE, &v);
		}
		else
			put_value(&state, m, att, value);
	}
	return JsonbPGetDatum(JsonbValueToJsonb(pushJsonbValue(&state, WJB_END_OBJECT, NULL)));
}

/* -------- the queue -------- */

static char *
key_text(Mirror *m, TupleDesc desc, HeapTuple tuple)
{
	bool isnull;
	Datum value = heap_getattr(tuple, m->key, desc, &isnull);
	Oid output;
	bool varlena;

	if (isnull)
		elog(ERROR, "key of a mirror is null");
	getTypeOutputInfo(TupleDescAttr(desc, m->key - 1)->atttypid, &output, &varlena);
	return OidOutputFunctionCall(output, value);
}

static bool
is_local(const char *key)
{
	return strncmp(key, LOCAL_PREFIX, strlen(LOCAL_PREFIX)) == 0;
}

/* old, new: jsonb, 0: none */
static void
enqueue(Mirror *m, const char *operation, const char *key, Datum old, Datum new, Datum base,
		bool base_null)
{
	static SPIPlanPtr plan = NULL;
	static SPIPlanPtr wake = NULL;
	static Oid types[] = {OIDOID,	OIDOID,	  NAMEOID,		  TEXTOID, TEXTOID,
						  JSONBOID, JSONBOID, TIMESTAMPTZOID, OIDOID};
	NameData role;
	Datum values[9];
	char nulls[10] = "         ";

	namestrcpy(&role, GetUserNameFromId(GetUserId(), false));
	values[0] = ObjectIdGetDatum(m->target);
	values[1] = ObjectIdGetDatum(m->owner);
	values[2] = NameGetDatum(&role);
	values[3] = CStringGetTextDatum(operation);
	values[4] = CStringGetTextDatum(key);
	values[5] = old;
	values[6] = new;
	values[7] = base;
	values[8] = ObjectIdGetDatum(MyDatabaseId);
	nulls[5] = old == 0 ? 'n' : ' ';
	nulls[6] = new == 0 ? 'n' : ' ';
	nulls[7] = base_null ? 'n' : ' ';
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	run(&plan,
		"INSERT INTO ampsf.writeback (target, owner, role, operation, record_id, local_id, old, "
		"new, base, home) VALUES ($1, $2, $3, $4, $5, "
		"CASE WHEN $4 OPERATOR(pg_catalog.=) 'insert' THEN $5 END, $6, $7, $8, $9)",
		9, types, values, nulls);
	if (!m->woken)
		run(&wake, "SELECT ampsf.wake()", 0, NULL, NULL, NULL);
	m->woken = true;
	SPI_finish();
}

static Datum
base_of(Mirror *m, TupleDesc desc, HeapTuple tuple, bool *isnull)
{
	Datum base = 0;

	*isnull = true;
	if (m->stamp != 0 && TupleDescAttr(desc, m->stamp - 1)->atttypid == TIMESTAMPTZOID)
		base = heap_getattr(tuple, m->stamp, desc, isnull);
	return base;
}

/*
 * A row that a partition of the same statement has lost is not deleted but moved: takes back what
 * was queued for it, and gives the row as it was; false if there is nothing of the kind.
 */
static bool
take_back(Mirror *m, const char *key, Jsonb **old, Datum *base, bool *base_null)
{
	static SPIPlanPtr plan = NULL;
	static Oid types[] = {OIDOID, TEXTOID, OIDOID};
	MemoryContext cxt = CurrentMemoryContext;
	Datum values[3];
	bool isnull;
	bool found;

	values[0] = ObjectIdGetDatum(m->target);
	values[1] = CStringGetTextDatum(key);
	values[2] = ObjectIdGetDatum(m->owner);
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	run(&plan,
		"DELETE FROM ampsf.writeback w WHERE w.target OPERATOR(pg_catalog.=) $1 "
		"AND w.record_id OPERATOR(pg_catalog.=) $2 AND w.pending "
		"AND w.owner OPERATOR(pg_catalog.=) $3 "
		"AND w.operation OPERATOR(pg_catalog.=) 'delete' AND w.state OPERATOR(pg_catalog.=) "
		"'queued' AND w.transaction OPERATOR(pg_catalog.=) pg_catalog.pg_current_xact_id() "
		"RETURNING w.old, w.base",
		3, types, values, NULL);
	found = SPI_processed > 0;
	if (found)
	{
		HeapTuple tuple = SPI_tuptable->vals[0];
		TupleDesc desc = SPI_tuptable->tupdesc;
		MemoryContext inner;
		Datum value = SPI_getbinval(tuple, desc, 1, &isnull);

		inner = MemoryContextSwitchTo(cxt);
		*old = DatumGetJsonbPCopy(value);
		MemoryContextSwitchTo(inner);
		*base = SPI_getbinval(tuple, desc, 2, base_null);
	}
	SPI_finish();
	return found;
}

/* -------- the three operations -------- */

static bool
same_json(Jsonb *row, const char *name, JsonbValue *other)
{
	JsonbValue *mine = getKeyJsonValueFromContainer(&row->root, name, (int) strlen(name), NULL);

	if (mine == NULL || other == NULL)
		return mine == other;
	return compareJsonbContainers(&JsonbValueToJsonb(mine)->root,
								  &JsonbValueToJsonb(other)->root) == 0;
}

/* A row that came into a partition from another one: what changed on the way. */
static void
after_move(Mirror *m, Relation rel, HeapTuple tuple, const char *key, Jsonb *old, Datum base,
		   bool base_null)
{
	TupleDesc desc = RelationGetDescr(rel);
	Jsonb *now = DatumGetJsonbP(row_json(m, desc, tuple, NULL));
	JsonbParseState *before = NULL;
	JsonbParseState *after = NULL;
	JsonbValue null = {.type = jbvNull};
	bool any = false;

	pushJsonbValue(&before, WJB_BEGIN_OBJECT, NULL);
	pushJsonbValue(&after, WJB_BEGIN_OBJECT, NULL);
	for (int i = 0; i < desc->natts; i++)
	{
		char *name = NameStr(TupleDescAttr(desc, i)->attname);
		JsonbValue k;
		JsonbValue *v;
		JsonbValue *was;

		if (TupleDescAttr(desc, i)->attisdropped || !m->columns[i].mirrored || i == m->key - 1)
			continue;
		v = getKeyJsonValueFromContainer(&now->root, name, (int) strlen(name), NULL);
		if (same_json(old, name, v))
			continue;
		if (m->columns[i].refused != NULL && !is_local(key))
			refuse(rel, i, m->columns[i].refused, false);
		was = getKeyJsonValueFromContainer(&old->root, name, (int) strlen(name), NULL);
		pushJsonbValue(&before, WJB_KEY, put_string(&k, name));
		pushJsonbValue(&before, WJB_VALUE, was != NULL ? was : &null);
		pushJsonbValue(&after, WJB_KEY, put_string(&k, name));
		pushJsonbValue(&after, WJB_VALUE, v != NULL ? v : &null);
		any = true;
	}
	if (any)
		enqueue(m, "update", key,
				JsonbPGetDatum(JsonbValueToJsonb(pushJsonbValue(&before, WJB_END_OBJECT, NULL))),
				JsonbPGetDatum(JsonbValueToJsonb(pushJsonbValue(&after, WJB_END_OBJECT, NULL))),
				base, base_null);
}

static void
after_insert(Mirror *m, Relation rel, HeapTuple tuple)
{
	TupleDesc desc = RelationGetDescr(rel);
	char *key = key_text(m, desc, tuple);
	Jsonb *old;
	Datum base;
	bool base_null;

	if ((rel->rd_rel->relispartition || !is_local(key)) &&
		take_back(m, key, &old, &base, &base_null))
	{
		after_move(m, rel, tuple, key, old, base, base_null);
		return;
	}
	if (!is_local(key))
		ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
						errmsg("cannot insert a row with an Id into mirror \"%s\"",
							   RelationGetRelationName(rel)),
						errdetail("Id is %s. Salesforce gives new rows their Ids.", key),
						errhint("Leave column \"%s\" out.",
								NameStr(TupleDescAttr(desc, m->key - 1)->attname))));
	for (int i = 0; i < desc->natts; i++)
		if (m->columns[i].mirrored && m->columns[i].refused_new != NULL && i != m->key - 1 &&
			!heap_attisnull(tuple, i + 1, desc))
			refuse(rel, i, m->columns[i].refused_new, true);
	enqueue(m, "insert", key, 0, row_json(m, desc, tuple, NULL), 0, true);
}

static void
after_update(Mirror *m, Relation rel, HeapTuple old, HeapTuple new)
{
	TupleDesc desc = RelationGetDescr(rel);
	char *key = key_text(m, desc, old);
	Bitmapset *changed = NULL;
	Datum base;
	bool base_null;

	for (int i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(desc, i);
		bool old_null;
		bool new_null;
		Datum old_value;
		Datum new_value;

		if (!m->columns[i].mirrored)
			continue;
		old_value = heap_getattr(old, i + 1, desc, &old_null);
		new_value = heap_getattr(new, i + 1, desc, &new_null);
		if (old_null == new_null &&
			(old_null || datum_image_eq(old_value, new_value, att->attbyval, att->attlen)))
			continue;
		/* A row that was not sent yet may still be given what only new rows are. */
		if (m->columns[i].refused != NULL &&
			(i == m->key - 1 || !is_local(key) || m->columns[i].refused_new != NULL))
			refuse(rel, i, m->columns[i].refused, false);
		changed = bms_add_member(changed, i + 1);
	}
	if (bms_is_empty(changed))
		return;
	base = base_of(m, desc, old, &base_null);
	enqueue(m, "update", key, row_json(m, desc, old, changed), row_json(m, desc, new, changed),
			base, base_null);
}

static void
after_delete(Mirror *m, Relation rel, HeapTuple tuple)
{
	TupleDesc desc = RelationGetDescr(rel);
	Datum base;
	bool base_null;

	/* The org has deleted it already: the row was only its memory. */
	if (m->deleted != 0 && !heap_attisnull(tuple, m->deleted, desc))
		return;
	base = base_of(m, desc, tuple, &base_null);
	enqueue(m, "delete", key_text(m, desc, tuple), row_json(m, desc, tuple, NULL), 0, base,
			base_null);
}

/*
 * Has the row changes that were not sent yet?  Seen as of now, whatever the statement sees.  named:
 * passes over a row that has come from the org before the one here that it is got its Id.
 */
static bool
has_pending(Mirror *m, const char *key, bool named)
{
	static SPIPlanPtr plan = NULL;
	static Oid types[] = {OIDOID, TEXTOID, OIDOID, BOOLOID};
	Datum values[4];
	bool found;

	values[0] = ObjectIdGetDatum(m->target);
	values[1] = CStringGetTextDatum(key);
	values[2] = ObjectIdGetDatum(m->owner);
	values[3] = BoolGetDatum(named);
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	run(&plan,
		"SELECT FROM ampsf.writeback w WHERE w.target OPERATOR(pg_catalog.=) $1 "
		"AND w.record_id OPERATOR(pg_catalog.=) $2 AND w.pending "
		"AND w.owner OPERATOR(pg_catalog.=) $3 "
		"AND NOT ($4 AND EXISTS (SELECT FROM ampsf.writeback i WHERE i.target "
		"OPERATOR(pg_catalog.=) "
		"$1 AND i.record_id OPERATOR(pg_catalog.=) $2 AND i.pending AND i.operation "
		"OPERATOR(pg_catalog.=) 'insert' AND i.state OPERATOR(pg_catalog.=) 'done' "
		"AND i.owner OPERATOR(pg_catalog.=) $3)) LIMIT 1",
		4, types, values, NULL);
	found = SPI_processed > 0;
	SPI_finish();
	return found;
}

/*
 * What the mirror itself writes passes over rows with changes that were not sent: the row is locked
 * here, so that whoever has changed it has committed, and is seen.  Only the write-back gives a row
 * its Id.
 */
static bool
may_apply(Mirror *m, TriggerData *t)
{
	TupleDesc desc = RelationGetDescr(t->tg_relation);
	char *key;

	if (TRIGGER_FIRED_BY_INSERT(t->tg_event) && heap_attisnull(t->tg_trigtuple, m->key, desc))
		return true;
	key = key_text(m, desc, t->tg_trigtuple);
	if (TRIGGER_FIRED_BY_UPDATE(t->tg_event) && strcmp(key, key_text(m, desc, t->tg_newtuple)) != 0)
		return true;
	return !has_pending(m, key, TRIGGER_FIRED_BY_DELETE(t->tg_event));
}

static Datum
give_key(Mirror *m, TriggerData *t)
{
	TupleDesc desc = RelationGetDescr(t->tg_relation);
	Oid input;
	Oid param;
	Oid schema = get_namespace_oid("ampsf", false);
	Oid sequence = get_relname_relid("writeback_key", schema);
	int64 n = DatumGetInt64(DirectFunctionCall1(nextval_oid, ObjectIdGetDatum(sequence)));
	int key = m->key;
	Datum value;
	bool isnull = false;

	getTypeInputInfo(TupleDescAttr(desc, key - 1)->atttypid, &input, &param);
	value = OidInputFunctionCall(input, psprintf(LOCAL_PREFIX "%014lld", (long long) n), param,
								 TupleDescAttr(desc, key - 1)->atttypmod);
	return PointerGetDatum(
		heap_modify_tuple_by_cols(t->tg_trigtuple, desc, 1, &key, &value, &isnull));
}

Datum
ampsf_sql_writeback_trigger(PG_FUNCTION_ARGS)
{
	TriggerData *t = (TriggerData *) fcinfo->context;
	Mirror *m;
	HeapTuple result;

	if (!CALLED_AS_TRIGGER(fcinfo))
		ereport(ERROR, (errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
						errmsg("ampsf.writeback_trigger() is not called as a trigger")));
	result = TRIGGER_FIRED_BY_UPDATE(t->tg_event) ? t->tg_newtuple : t->tg_trigtuple;
	if (TRIGGER_FIRED_BY_TRUNCATE(t->tg_event))
	{
		if (!ampsf_applying)
			ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
							errmsg("cannot truncate mirror \"%s\"",
								   RelationGetRelationName(t->tg_relation)),
							errdetail("It is written back, and the org would keep its rows."),
							errhint("DELETE deletes them there too.")));
		return PointerGetDatum(NULL);
	}
	if (!TRIGGER_FIRED_FOR_ROW(t->tg_event))
		elog(ERROR, "ampsf.writeback_trigger() is fired for a statement");
	if (TRIGGER_FIRED_AFTER(t->tg_event) && ampsf_applying)
		return PointerGetDatum(NULL);
	if (TRIGGER_FIRED_BEFORE(t->tg_event) && !ampsf_applying &&
		!TRIGGER_FIRED_BY_INSERT(t->tg_event))
		return PointerGetDatum(result);

	m = fcinfo->flinfo->fn_extra;
	if (m == NULL || m->relid != RelationGetRelid(t->tg_relation))
	{
		m = make_mirror(t->tg_relation, fcinfo->flinfo->fn_mcxt);
		fcinfo->flinfo->fn_extra = m;
	}
	if (TRIGGER_FIRED_BEFORE(t->tg_event))
	{
		if (ampsf_applying)
			return PointerGetDatum(may_apply(m, t) ? result : NULL);
		if (heap_attisnull(result, m->key, RelationGetDescr(t->tg_relation)))
			return give_key(m, t);
		return PointerGetDatum(result);
	}
	if (TRIGGER_FIRED_BY_INSERT(t->tg_event))
		after_insert(m, t->tg_relation, t->tg_trigtuple);
	else if (TRIGGER_FIRED_BY_UPDATE(t->tg_event))
		after_update(m, t->tg_relation, t->tg_trigtuple, t->tg_newtuple);
	else
		after_delete(m, t->tg_relation, t->tg_trigtuple);
	return PointerGetDatum(NULL);
}
