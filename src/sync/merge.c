/*
 * merge.c - which deleted rows of an object were merged into others: the org keeps their master's
 * Id with them, as long as they are in the recycle bin.
 *
 * Must not know: mirrors, which are SQL in the extension's script.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"

#include "functions/foreign_arg.h"
#include "org/row_source.h"
#include "wire/sfid.h"

PG_FUNCTION_INFO_V1(ampsf_sql_merged);

/* More Ids than these are not listed: merged rows of the whole recycle bin are few. */
#define MAX_LISTED 200

/* Of the Ids named, those that lost in a merge, with the Id that they were merged into. */
Datum
ampsf_sql_merged(PG_FUNCTION_ARGS)
{
	static const char *const fields[] = {"Id", "MasterRecordId"};
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	AmpsfForeignArg arg;
	AmpsfQuerySpec spec = {0};
	AmpsfRowSource *source;
	AmpsfValue values[lengthof(fields)];
	StringInfoData list;
	StringInfoData soql;
	Datum *ids;
	int listed = 0;
	int n;

	ampsf_foreign_arg(&arg, PG_GETARG_OID(0));
	InitMaterializedSRF(fcinfo, 0);
	deconstruct_array(PG_GETARG_ARRAYTYPE_P(1), TEXTOID, -1, false, TYPALIGN_INT, &ids, NULL, &n);
	initStringInfo(&list);
	for (int i = 0; i < n; i++)
	{
		char *id = TextDatumGetCString(ids[i]);

		/* What somebody else has put there is no row of the org. */
		if (ampsf_sfid_is_canonical(id, strlen(id)))
		{
			appendStringInfo(&list, "%s'%s'", listed ? ", " : "", id);
			listed++;
		}
		pfree(id);
	}
	if (listed == 0)
		return (Datum) 0;
	initStringInfo(&soql);
	appendStringInfo(&soql,
					 "SELECT Id, MasterRecordId FROM %s WHERE IsDeleted = TRUE AND MasterRecordId "
					 "!= null",
					 arg.table->object);
	if (listed <= MAX_LISTED)
		appendStringInfo(&soql, " AND Id IN (%s)", list.data);

	spec.session = arg.session;
	spec.soql = soql.data;
	spec.fields = fields;
	spec.nfields = lengthof(fields);
	spec.all_rows = true;
	spec.limit = -1;
	source = ampsf_rest_query(&spec);
	source->ops->start(source);
	while (source->ops->next(source, values))
	{
		Datum row[2];
		bool nulls[2] = {false, false};

		CHECK_FOR_INTERRUPTS();
		for (int i = 0; i < 2; i++)
			row[i] = PointerGetDatum(cstring_to_text_with_len(values[i].ptr, values[i].len));
		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, row, nulls);
	}
	source->ops->close(source);
	return (Datum) 0;
}
