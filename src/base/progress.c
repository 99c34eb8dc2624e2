/*
 * progress.c - see progress.h; and the function behind the view.
 */
#include "postgres.h"

#include "base/progress.h"

#include "base/ampsf.h"
#include "catalog/pg_authid.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/backend_progress.h"
#include "utils/backend_status.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

/* No command of PostgreSQL's. */
#define COMMAND ((ProgressCommandType) 0x5f50)

typedef enum ProgressParam
{
	PARAM_PHASE,
	PARAM_ROWS,
	PARAM_EXPECTED,
	PARAM_BYTES,
	PARAM_CALLS
} ProgressParam;

/* Their addresses alone are of interest. */
static const void *reporting;
static const AmpsfStats *reporting_spent;

/* A failed transaction ends the report without telling us. */
static bool
is_reporting(const void *owner)
{
	return reporting == owner && MyBEEntry && MyBEEntry->st_progress_command == COMMAND;
}

void
ampsf_progress_begin(const void *owner, Oid relid, const AmpsfStats *spent)
{
	if (!MyBEEntry || MyBEEntry->st_progress_command != PROGRESS_COMMAND_INVALID)
		return;
	reporting = owner;
	reporting_spent = spent;
	pgstat_progress_start_command(COMMAND, relid);
	pgstat_progress_update_param(PARAM_EXPECTED, -1);
}

void
ampsf_progress_phase(const void *owner, AmpsfProgressPhase phase)
{
	if (is_reporting(owner))
		pgstat_progress_update_param(PARAM_PHASE, phase);
}

void
ampsf_progress_rows(const void *owner, int64 rows)
{
	if (is_reporting(owner))
		pgstat_progress_update_param(PARAM_ROWS, rows);
}

void
ampsf_progress_expected(const void *owner, int64 expected)
{
	if (is_reporting(owner))
		pgstat_progress_update_param(PARAM_EXPECTED, expected);
}

void
ampsf_progress_spent(const AmpsfStats *spent)
{
	static const int params[] = {PARAM_BYTES, PARAM_CALLS};
	const int64 values[] = {spent->bytes_in, spent->calls};

	if (spent == reporting_spent && reporting && is_reporting(reporting))
		pgstat_progress_update_multi_param(lengthof(params), params, values);
}

void
ampsf_progress_end(const void *owner)
{
	if (!is_reporting(owner))
		return;
	pgstat_progress_end_command();
	reporting = NULL;
	reporting_spent = NULL;
}

PG_FUNCTION_INFO_V1(ampsf_sql_progress);

/* pid, relation, phase, rows, rows_expected, bytes, calls of every backend of this database that
 * reads. */
Datum
ampsf_sql_progress(PG_FUNCTION_ARGS)
{
	static const char *const phases[] = {"reading pages", "creating job", "waiting for job",
										 "reading results"};
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;

	InitMaterializedSRF(fcinfo, 0);
	for (int i = 1; i <= pgstat_fetch_stat_numbackends(); i++)
	{
		const PgBackendStatus *b = &ampsf_backend_status(i)->backendStatus;
		const int64 *p = b->st_progress_param;
		Datum values[7];
		bool nulls[7] = {false};

		if (b->st_progress_command != COMMAND || b->st_databaseid != MyDatabaseId)
			continue;
		values[0] = Int32GetDatum(b->st_procpid);
		if (!has_privs_of_role(GetUserId(), ROLE_PG_READ_ALL_STATS) &&
			!has_privs_of_role(GetUserId(), b->st_userid))
			memset(nulls + 1, true, sizeof(nulls) - 1);
		else
		{
			values[1] = ObjectIdGetDatum(b->st_progress_command_target);
			values[2] = CStringGetTextDatum(
				phases[p[PARAM_PHASE] >= 0 && p[PARAM_PHASE] < (int64) lengthof(phases)
						   ? p[PARAM_PHASE]
						   : 0]);
			values[3] = Int64GetDatum(p[PARAM_ROWS]);
			values[4] = Int64GetDatum(p[PARAM_EXPECTED]);
			nulls[4] = p[PARAM_EXPECTED] < 0;
			values[5] = Int64GetDatum(p[PARAM_BYTES]);
			values[6] = Int64GetDatum(p[PARAM_CALLS]);
		}
		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
	}
	return (Datum) 0;
}
