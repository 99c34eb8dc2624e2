/*
 * drift.c - what an object has become since its foreign table was made, as statements that make the
 * table so.
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

/* The type that holds what the field has now, if the column's rounds or refuses it; else NULL. */
static const char *
wider(Oid column, const char *field)
{
	bool number = strcmp(field, "numeric") == 0;

	if (column == INT4OID && (number || strcmp(field, "bigint") == 0))
		return field;
	if (column == INT8OID && number)
		return field;
	if (column == DATEOID && strcmp(field, "timestamptz") == 0)
		return field;
	return NULL;
}

static void
put(ReturnSetInfo *rsinfo, const char *statement)
{
	Datum value = CStringGetTextDatum(statement);
	bool isnull = false;

	tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, &value, &isnull);
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
		char *column;

		if (list_member(known, makeString(asc_tolower(field->name, strlen(field->name)))))
			continue;
		column = asc_tolower(field->name, strlen(field->name));
		while (list_member(names, makeString(column)))
			column = psprintf("%s_", column);
		names = lappend(names, makeString(column));
		initStringInfo(&options);
		ampsf_column_options(&options, field, column, false);
		put(rsinfo,
			psprintf("ALTER FOREIGN TABLE %s ADD COLUMN %s %s%s%s%s;", table,
					 quote_identifier(column), ampsf_sql_type(field, false, false),
					 options.len ? " OPTIONS (" : "",
					 options.len ? options.data + strlen(", ") : "", options.len ? ")" : ""));
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
	InitMaterializedSRF(fcinfo, MAT_SRF_USE_EXPECTED_DESC);
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
		const char *type;

		if (att->attisdropped)
			continue;
		column = ampsf_column(relid, att->attnum);
		taken = lappend(taken, makeString(pstrdup(NameStr(att->attname))));
		known = lappend(known, makeString(asc_tolower(column->field, strlen(column->field))));
		/* A parent's field is not this object's to lose. */
		if (column->created || strchr(column->field, '.'))
			continue;
		field = ampsf_describe_field(object, column->field);
		if (field == NULL)
			put(rsinfo, psprintf("ALTER FOREIGN TABLE %s DROP COLUMN %s;", table,
								 quote_identifier(NameStr(att->attname))));
		else if ((type = wider(att->atttypid, ampsf_sql_type(field, false, false))) != NULL)
			put(rsinfo, psprintf("ALTER FOREIGN TABLE %s ALTER COLUMN %s TYPE %s;", table,
								 quote_identifier(NameStr(att->attname)), type));
	}
	table_close(rel, AccessShareLock);
	new_fields(rsinfo, table, object, known, taken);
	return (Datum) 0;
}
