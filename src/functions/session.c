/*
 * session.c - ampsf.disconnect(): forgets logins.
 */
#include "postgres.h"

#include "fmgr.h"
#include "utils/builtins.h"

#include "functions/server_arg.h"
#include "net/session.h"

PG_FUNCTION_INFO_V1(ampsf_sql_disconnect);

/* NULL: of all servers; it is only this backend's own sessions that end. */
Datum
ampsf_sql_disconnect(PG_FUNCTION_ARGS)
{
	Oid serverid = InvalidOid;

	if (!PG_ARGISNULL(0))
		serverid = ampsf_server_arg(NameStr(*PG_GETARG_NAME(0)))->serverid;
	PG_RETURN_INT32(ampsf_session_disconnect(serverid));
}
