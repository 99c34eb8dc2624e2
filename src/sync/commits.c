/*
 * commits.c - procedures that commit as they go say so before they begin.
 */
#include "postgres.h"

#include "access/xact.h"
#include "fmgr.h"
#include "utils/builtins.h"

PG_FUNCTION_INFO_V1(ampsf_sql_commits);

/* ERROR in a transaction block, where PostgreSQL's own comes with the first COMMIT and says less.
 */
Datum
ampsf_sql_commits(PG_FUNCTION_ARGS)
{
	if (IsTransactionBlock())
		ereport(ERROR, (errcode(ERRCODE_ACTIVE_SQL_TRANSACTION),
						errmsg("%s cannot run inside a transaction block",
							   text_to_cstring(PG_GETARG_TEXT_PP(0))),
						errhint("It commits as it goes: call it outside of BEGIN and COMMIT.")));
	PG_RETURN_VOID();
}
