/*
 * options.c - ampsf.options(): the table of options as rows, from which docs/options.md is made.
 */
#include "base/ampsf.h"
#include "base/options.h"

#include "catalog/pg_attribute.h"
#include "catalog/pg_foreign_server.h"
#include "catalog/pg_foreign_table.h"
#include "catalog/pg_user_mapping.h"
#include "fmgr.h"
#include "funcapi.h"
#include "utils/builtins.h"

PG_FUNCTION_INFO_V1(ampsf_sql_options);

static const char *
context_name(Oid catalog)
{
	return catalog == ForeignServerRelationId  ? "server"
		   : catalog == UserMappingRelationId  ? "user mapping"
		   : catalog == ForeignTableRelationId ? "table"
											   : "column";
}

static const char *
value_form(const AmpsfOption *o)
{
	StringInfoData buf;

	switch (o->kind)
	{
		case AMPSF_OPT_BOOL:
			return "true or false";
		case AMPSF_OPT_INT:
			return o->max == INT_MAX ? psprintf("number from %d", o->min)
									 : psprintf("number from %d to %d", o->min, o->max);
		case AMPSF_OPT_ENUM:
			initStringInfo(&buf);
			for (const char *const *v = o->values; *v; v++)
				appendStringInfo(&buf, "%s%s", buf.len ? ", " : "", *v);
			return buf.data;
		case AMPSF_OPT_URL:
			return "https://host";
		case AMPSF_OPT_NAME:
			return "API name";
		case AMPSF_OPT_FILE:
			return "path on the server";
		case AMPSF_OPT_TEXT:
			break;
	}
	return "text";
}

Datum
ampsf_sql_options(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;

	InitMaterializedSRF(fcinfo, 0);
	for (const AmpsfOption *o = ampsf_options; o->name; o++)
	{
		Datum values[6];
		bool nulls[6] = {false};

		values[0] = CStringGetTextDatum(context_name(o->catalog));
		values[1] = CStringGetTextDatum(o->name);
		values[2] = CStringGetTextDatum(value_form(o));
		nulls[3] = o->dflt == NULL;
		values[3] = o->dflt ? CStringGetTextDatum(o->dflt) : (Datum) 0;
		values[4] = BoolGetDatum(o->secret);
		values[5] = CStringGetTextDatum(o->doc);
		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
	}
	return (Datum) 0;
}
