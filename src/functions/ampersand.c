/*
 * ampersand.c - ampsf.trigger_read(), ampsf.operation() and ampsf.backfill_progress(): what
 * Ampersand does by itself for an installation.
 */
#include "postgres.h"

#include "access/xact.h"
#include "fmgr.h"
#include "funcapi.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "functions/server_arg.h"
#include "org/ampersand.h"

PG_FUNCTION_INFO_V1(ampsf_sql_trigger_read);
PG_FUNCTION_INFO_V1(ampsf_sql_operation);
PG_FUNCTION_INFO_V1(ampsf_sql_backfill_progress);

static AmpsfSession *
session_of(const char *name)
{
	ForeignServer *server = ampsf_server_arg(name);

	if (!ampsf_server_options(server)->ampersand)
		ereport(ERROR, (errcode(ERRCODE_WRONG_OBJECT_TYPE),
						errmsg("server \"%s\" is not reached by Ampersand", name),
						errhint("Its option \"connection\" would be 'ampersand'.")));
	return ampsf_session_get(server->serverid, GetUserId());
}

static const char *
need(const char *value, const char *option, const char *what)
{
	if (!value)
		ereport(ERROR, (errcode(ERRCODE_FDW_OPTION_NAME_NOT_FOUND),
						errmsg("option \"%s\" of the server is required for %s", option, what)));
	return value;
}

static char *
to_utf8(text *t)
{
	char *s = text_to_cstring(t);

	return pg_server_to_any(s, strlen(s), PG_UTF8);
}

static char *
to_server(const char *utf8)
{
	return utf8 ? pg_any_to_server(utf8, strlen(utf8), PG_UTF8) : NULL;
}

/* "2024-01-01T00:00:00.123456Z" with its quotes. */
static void
add_time(StringInfo body, const char *name, TimestampTz t)
{
	struct pg_tm tm;
	fsec_t fsec;

	if (TIMESTAMP_NOT_FINITE(t) || timestamp2tm(t, NULL, &tm, &fsec, NULL, NULL) != 0 ||
		tm.tm_year < 1 || tm.tm_year > 9999)
		ereport(ERROR, (errcode(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE),
						errmsg("the bounds of a read lie in the years 1 to 9999")));
	appendStringInfo(body, ",\"%s\":\"%04d-%02d-%02dT%02d:%02d:%02d.%06dZ\"", name, tm.tm_year,
					 tm.tm_mon, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec, (int) fsec);
}

Datum
ampsf_sql_trigger_read(PG_FUNCTION_ARGS)
{
	static const char what[] = "a read that is triggered";
	AmpsfSession *session;
	const AmpsfServerOptions *o;
	StringInfoData body;
	AmpsfJson *doc;
	const char *id;

	if (PG_ARGISNULL(0) || PG_ARGISNULL(1))
		PG_RETURN_NULL();
	if (XactReadOnly)
		ereport(ERROR, (errcode(ERRCODE_READ_ONLY_SQL_TRANSACTION),
						errmsg("cannot trigger a read in a read-only transaction")));
	session = session_of(NameStr(*PG_GETARG_NAME(0)));
	o = ampsf_session_options(session);
	initStringInfo(&body);
	appendStringInfoString(&body, "{\"groupRef\":");
	ampsf_ampersand_quote(&body, need(o->group_ref, "group_ref", what));
	appendStringInfoString(&body, ",\"mode\":\"async\"");
	if (!PG_ARGISNULL(2))
		add_time(&body, "sinceTimestamp", PG_GETARG_TIMESTAMPTZ(2));
	if (!PG_ARGISNULL(3))
		add_time(&body, "untilTimestamp", PG_GETARG_TIMESTAMPTZ(3));
	appendStringInfoChar(&body, '}');
	doc = ampsf_ampersand_json(
		session, AMPSF_TO_READ_API,
		ampsf_ampersand_path(session,
							 psprintf("integrations/%s/objects/%s",
									  need(o->integration_id, "integration_id", what),
									  ampsf_ampersand_segment(to_utf8(PG_GETARG_TEXT_PP(1))))),
		body.data, false, "trigger a read", CurrentMemoryContext);
	id = ampsf_json_string(doc, "operationId");
	if (!id)
		ereport(ERROR,
				(errcode(ERRCODE_FDW_UNABLE_TO_CREATE_REPLY), errmsg("could not trigger a read"),
				 errdetail("Ampersand's answer names no operation.")));
	PG_RETURN_TEXT_P(cstring_to_text(to_server(id)));
}

static HeapTuple
make_row(FunctionCallInfo fcinfo, char **values)
{
	TupleDesc desc;

	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "the result has no columns");
	return BuildTupleFromCStrings(TupleDescGetAttInMetadata(BlessTupleDesc(desc)), values);
}

static char *
print(AmpsfJson *j)
{
	return j ? to_server(ampsf_json_print(j)) : NULL;
}

Datum
ampsf_sql_operation(PG_FUNCTION_ARGS)
{
	AmpsfSession *session = session_of(NameStr(*PG_GETARG_NAME(0)));
	char *path = ampsf_ampersand_path(
		session, psprintf("operations/%s", ampsf_ampersand_segment(to_utf8(PG_GETARG_TEXT_PP(1)))));
	AmpsfJson *doc =
		ampsf_ampersand_json(session, AMPSF_TO_PLATFORM, path, NULL, true,
							 "ask after an operation of Ampersand", CurrentMemoryContext);
	AmpsfJson *meta, *progress, *logs = NULL;
	const char *status;
	char *values[9];

	if (doc == NULL)
		PG_RETURN_NULL();
	status = ampsf_json_string(doc, "status");
	if (status && strcmp(status, "in_progress") != 0)
		logs =
			ampsf_ampersand_json(session, AMPSF_TO_PLATFORM, psprintf("%s/logs", path), NULL, true,
								 "read the log of an operation of Ampersand", CurrentMemoryContext);
	meta = ampsf_json_get(doc, "metadata");
	progress = meta ? ampsf_json_get(meta, "progress") : NULL;
	values[0] = to_server(status);
	values[1] = to_server(ampsf_json_string(doc, "actionType"));
	values[2] = meta ? print(ampsf_json_get(meta, "objects")) : NULL;
	values[3] = to_server(ampsf_json_string(doc, "result"));
	values[4] = meta ? print(ampsf_json_get(meta, "successfulRecordIds")) : NULL;
	values[5] = progress ? to_server(ampsf_json_string(progress, "recordsProcessed")) : NULL;
	values[6] = progress ? to_server(ampsf_json_string(progress, "recordsEstimatedTotal")) : NULL;
	values[7] = to_server(ampsf_json_string(doc, "createTime"));
	values[8] = print(logs);
	PG_RETURN_DATUM(HeapTupleGetDatum(make_row(fcinfo, values)));
}

Datum
ampsf_sql_backfill_progress(PG_FUNCTION_ARGS)
{
	static const char what[] = "the progress of a backfill";
	static const char *const names[] = {"operationId", "recordsProcessed", "recordsEstimatedTotal",
										"createTime", "updateTime"};
	AmpsfSession *session = session_of(NameStr(*PG_GETARG_NAME(0)));
	const AmpsfServerOptions *o = ampsf_session_options(session);
	char *values[lengthof(names)];
	AmpsfJson *doc;

	doc = ampsf_ampersand_json(
		session, AMPSF_TO_PLATFORM,
		ampsf_ampersand_path(
			session, psprintf("integrations/%s/installations/%s/objects/%s/backfill-progress",
							  need(o->integration_id, "integration_id", what),
							  need(o->installation_id, "installation_id", what),
							  ampsf_ampersand_segment(to_utf8(PG_GETARG_TEXT_PP(1))))),
		NULL, true, "ask for the progress of a backfill", CurrentMemoryContext);
	if (doc == NULL)
		PG_RETURN_NULL();
	for (size_t i = 0; i < lengthof(names); i++)
		values[i] = to_server(ampsf_json_string(doc, names[i]));
	PG_RETURN_DATUM(HeapTupleGetDatum(make_row(fcinfo, values)));
}
