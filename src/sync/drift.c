/*
 * drift.c - what an object has become since its foreign table was made: each of its fields, and
 * each column, with the statement that makes the table follow.
 *
 * Owns: which difference is drift.  A column of another type than IMPORT would give it may be
 * somebody's choice: only types that lose values are told.  Must not know: mirrors.
 */
#include "postgres.h"

#include "access/table.h"
#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "nodes/value.h"
#include "utils/builtins.h"
#include "utils/formatting.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

#include "functions/foreign_arg.h"
#include "org/describe.h"
#include "schema/types.h"

PG_FUNCTION_INFO_V1(ampsf_sql_drift);

/*
 * The type that holds what the field has now, if the column's rounds or refuses it; else NULL.
 * *text: nobody can say so by the types alone, since a column may be a number of somebody's choice
 * where the field is a text.
 */
static const char *
wider(Form_pg_attribute att, const AmpsfField *field, bool *text)
{
	Oid column = att->atttypid;
	const char *type = ampsf_sql_type(field, false, false);
	bool number = strcmp(type, "numeric") == 0;

	*text = false;
	if (column == INT4OID && (number || strcmp(type, "bigint") == 0))
		return type;
	if (column == INT8OID && number)
		return type;
	if (column == DATEOID && strcmp(type, "timestamptz") == 0)
		return type;
	if (column == NUMERICOID && number && att->atttypmod >= (int32) VARHDRSZ &&
		!field->calculated && field->precision > 0)
	{
		int scale = (att->atttypmod - VARHDRSZ) & 0x7ff;
		int whole = (((att->atttypmod - VARHDRSZ) >> 16) & 0xffff) - scale;

		if (field->scale <= scale && field->precision - field->scale <= whole)
			return NULL;
		scale = Max(scale, field->scale);
		whole = Max(whole, field->precision - field->scale);
		return scale >= 0 && whole >= 0 && whole + scale <= 1000
				   ? psprintf("numeric(%d,%d)", whole + scale, scale)
				   : type;
	}
	if (strcmp(type, "text") == 0 &&
		(column == INT4OID || column == INT8OID || column == NUMERICOID || column == BOOLOID ||
		 column == DATEOID || column == TIMEOID || column == TIMESTAMPTZOID))
	{
		*text = true;
		return type;
	}
	return NULL;
}

/*
 * The field that a column stands for, a parent's too: NULL if there is none, or if *unknown nobody
 * can say, since the parent may be of several kinds or is not described.  A describe for each kind
 * of parent.
 */
static const AmpsfField *
find_field(AmpsfSession *session, const AmpsfObject *object, const char *path, bool *unknown)
{
	const char *dot;

	*unknown = false;
	while ((dot = strchr(path, '.')) != NULL)
	{
		char *relationship = pnstrdup(path, dot - path);
		const AmpsfField *lookup = NULL;
		ListCell *lc;

		foreach (lc, object->fields)
		{
			const AmpsfField *field = lfirst(lc);

			if (field->relationship && pg_strcasecmp(field->relationship, relationship) == 0)
				lookup = field;
		}
		if (lookup == NULL)
			return NULL;
		object = list_length(lookup->reference_to) == 1
					 ? linitial(ampsf_describe_objects(session,
													   list_make1(linitial(lookup->reference_to))))
					 : NULL;
		if (object == NULL)
		{
			*unknown = true;
			return NULL;
		}
		path = dot + 1;
	}
	return ampsf_describe_field(object, path);
}

/* One field or column: a statement, or NULL where none is due.  length: of a text, in characters.
 */
static void
put(ReturnSetInfo *rsinfo, const char *field, const char *column, const char *change,
	const char *type, const char *statement, int length)
{
	const char *texts[] = {field, column, change, type, statement};
	Datum values[lengthof(texts) + 1];
	bool nulls[lengthof(texts) + 1];

	for (size_t i = 0; i < lengthof(texts); i++)
	{
		nulls[i] = texts[i] == NULL;
		if (texts[i])
			values[i] = CStringGetTextDatum(texts[i]);
	}
	values[lengthof(texts)] = Int32GetDatum(length);
	nulls[lengthof(texts)] = length <= 0;
	tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
}

/* Fields without a column, in the org's order.  Names are folded as IMPORT does by default. */
static void
new_fields(ReturnSetInfo *rsinfo, const char *table, const AmpsfObject *object, List *known,
		   List *taken)
{
	List *names = list_copy(taken);
	ListCell *lc;

	foreach (lc, object->fields)
	{
		const AmpsfField *field = lfirst(lc);
		StringInfoData options;
		const char *type;
		char *column;

		if (list_member(known, makeString(asc_tolower(field->name, strlen(field->name)))))
			continue;
		column = asc_tolower(field->name, strlen(field->name));
		while (list_member(names, makeString(column)))
			column = psprintf("%s_", column);
		names = lappend(names, makeString(column));
		initStringInfo(&options);
		ampsf_column_options(&options, field, column, false);
		type = ampsf_sql_type(field, false, false);
		put(rsinfo, field->name, column, "new", type,
			psprintf("ALTER FOREIGN TABLE %s ADD COLUMN %s %s%s%s%s;", table,
					 quote_identifier(column), type, options.len ? " OPTIONS (" : "",
					 options.len ? options.data + strlen(", ") : "", options.len ? ")" : ""),
			field->length);
	}
}

Datum
ampsf_sql_drift(PG_FUNCTION_ARGS)
{
	Oid relid = PG_GETARG_OID(0);
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	AmpsfForeignArg arg;
	AmpsfObject *object;
	Relation rel;
	char *table;
	List *known = NIL;
	List *taken = NIL;

	ampsf_foreign_arg(&arg, relid);
	InitMaterializedSRF(fcinfo, 0);
	if (PG_GETARG_BOOL(1))
		ampsf_describe_forget(arg.session);
	object = linitial(ampsf_describe_objects(arg.session, list_make1(arg.table->object)));
	if (object == NULL)
		ereport(ERROR, (errcode(ERRCODE_FDW_TABLE_NOT_FOUND),
						errmsg("the org refuses to describe object \"%s\"", arg.table->object),
						errdetail("It is gone, or this user may not see it.")));

	table = quote_qualified_identifier(get_namespace_name(get_rel_namespace(relid)),
									   get_rel_name(relid));
	rel = table_open(relid, AccessShareLock);
	for (int i = 0; i < RelationGetDescr(rel)->natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(RelationGetDescr(rel), i);
		AmpsfColumn *column;
		const AmpsfField *field;
		const char *name;
		const char *type;
		bool unknown;
		bool text;

		if (att->attisdropped)
			continue;
		column = ampsf_column(relid, att->attnum);
		taken = lappend(taken, makeString(pstrdup(NameStr(att->attname))));
		known = lappend(known, makeString(asc_tolower(column->field, strlen(column->field))));
		if (column->created)
			continue;
		name = pstrdup(NameStr(att->attname));
		field = find_field(arg.session, object, column->field, &unknown);
		if (unknown)
			continue;
		if (field == NULL)
			put(rsinfo, column->field, name, "gone", NULL,
				psprintf("ALTER FOREIGN TABLE %s DROP COLUMN %s;", table, quote_identifier(name)),
				0);
		else if ((type = wider(att, field, &text)) != NULL)
			put(rsinfo, column->field, name, text ? "text" : "wider", type,
				psprintf("ALTER FOREIGN TABLE %s ALTER COLUMN %s TYPE %s;", table,
						 quote_identifier(name), type),
				field->length);
		else
			put(rsinfo, column->field, name, "same", NULL, NULL, field->length);
	}
	table_close(rel, AccessShareLock);
	new_fields(rsinfo, table, object, known, taken);
	return (Datum) 0;
}
