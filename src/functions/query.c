/*
 * query.c - ampsf.query(): a SOQL statement as it is, its records as jsonb.
 *
 * Must not know: SOQL, but for one form whose answer has no records.
 */
#include "postgres.h"

#include "fmgr.h"
#include "funcapi.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"
#include "utils/memutils.h"

#include "functions/server_arg.h"
#include "org/row_source.h"

PG_FUNCTION_INFO_V1(ampsf_sql_query);

/* SELECT COUNT() FROM ...: the count is the answer's totalSize, there is no record. */
static bool
is_bare_count(const char *soql)
{
	static const char *const words[] = {"select", "count", "(", ")"};

	for (size_t i = 0; i < lengthof(words); i++)
	{
		size_t len = strlen(words[i]);

		soql += strspn(soql, " \t\r\n");
		if (pg_strncasecmp(soql, words[i], len) != 0)
			return false;
		soql += len;
	}
	return true;
}

/* The record's text, as received, as a jsonb in the current context. */
static Datum
record_datum(const AmpsfValue *value)
{
	char *text = pnstrdup(value->ptr, value->len);

	text = pg_any_to_server(text, value->len, PG_UTF8);
	return DirectFunctionCall1(jsonb_in, CStringGetDatum(text));
}

Datum
ampsf_sql_query(PG_FUNCTION_ARGS)
{
	static const char *const fields[] = {"*"};
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	ForeignServer *server = ampsf_server_arg(NameStr(*PG_GETARG_NAME(0)));
	char *soql = text_to_cstring(PG_GETARG_TEXT_PP(1));
	AmpsfQuerySpec spec = {0};
	AmpsfRowSource *source;
	AmpsfValue value;
	MemoryContext row_cxt;
	MemoryContext old;
	bool isnull = false;
	Datum datum;

	InitMaterializedSRF(fcinfo, MAT_SRF_USE_EXPECTED_DESC);
	if (soql[strspn(soql, " \t\r\n")] == '\0')
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("the SOQL statement is empty")));

	spec.session = ampsf_session_get(server->serverid, GetUserId());
	spec.soql = soql;
	spec.fields = fields;
	spec.nfields = lengthof(fields);
	spec.all_rows = PG_GETARG_BOOL(2);
	spec.page_size = ampsf_session_options(spec.session)->page_size;
	spec.limit = -1;

	row_cxt =
		AllocSetContextCreate(CurrentMemoryContext, "ampsf query row", ALLOCSET_DEFAULT_SIZES);
	source = ampsf_rest_query(&spec);
	source->ops->start(source);
	while (source->ops->next(source, &value))
	{
		CHECK_FOR_INTERRUPTS();
		old = MemoryContextSwitchTo(row_cxt);
		datum = record_datum(&value);
		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, &datum, &isnull);
		MemoryContextSwitchTo(old);
		MemoryContextReset(row_cxt);
	}
	if (is_bare_count(soql))
	{
		char *text = psprintf("{\"totalSize\": " INT64_FORMAT "}", source->total);

		datum = DirectFunctionCall1(jsonb_in, CStringGetDatum(text));
		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, &datum, &isnull);
	}
	source->ops->close(source);
	MemoryContextDelete(row_cxt);
	return (Datum) 0;
}
