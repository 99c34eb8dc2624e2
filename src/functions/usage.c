/*
 * usage.c - the function behind the view ampsf.usage.
 */
#include "postgres.h"

#include "base/ampsf.h"
#include "catalog/pg_authid.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "net/usage.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

PG_FUNCTION_INFO_V1(ampsf_sql_usage);

typedef struct Output
{
	ReturnSetInfo *rsinfo;
	const char *scope;
	TimestampTz since;
} Output;

/* What others spent is for those who may read all statistics. */
static void
put_row(const AmpsfUsageKey *key, const AmpsfStats *stats, void *arg)
{
	Output *out = arg;
	Datum values[11];
	bool nulls[11] = {false};

	if (!has_privs_of_role(GetUserId(), ROLE_PG_READ_ALL_STATS) &&
		!(OidIsValid(key->user) && has_privs_of_role(GetUserId(), key->user)))
		return;
	values[0] = CStringGetTextDatum(out->scope);
	values[1] = TimestampTzGetDatum(out->since);
	values[2] = ObjectIdGetDatum(key->server);
	values[3] = ObjectIdGetDatum(key->user);
	values[4] = CStringGetTextDatum(key->object);
	nulls[4] = key->object[0] == '\0';
	values[5] = CStringGetTextDatum(key->kind);
	values[6] = Int64GetDatum(stats->calls);
	values[7] = Int64GetDatum(stats->retries);
	values[8] = Int64GetDatum(stats->bytes_in);
	values[9] = Int64GetDatum(stats->bytes_out);
	values[10] = Int64GetDatum(stats->rows);
	tuplestore_putvalues(out->rsinfo->setResult, out->rsinfo->setDesc, values, nulls);
}

Datum
ampsf_sql_usage(PG_FUNCTION_ARGS)
{
	Output out = {(ReturnSetInfo *) fcinfo->resultinfo, "backend", MyStartTimestamp};
	Output server = {out.rsinfo, "server", 0};

	InitMaterializedSRF(fcinfo, 0);
	ampsf_usage_backend(put_row, &out);
	(void) ampsf_usage_server(put_row, &server, &server.since);
	return (Datum) 0;
}
