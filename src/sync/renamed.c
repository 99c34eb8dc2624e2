/*
 * renamed.c - tells those who know a server by its name that it has another one: the event trigger
 * of ALTER SERVER.  Must not know: who they are.
 *
 * Names are kept, not oids, since a dump keeps them.  The old one is nowhere but in the statement,
 * which only C can see.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "commands/event_trigger.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "foreign/foreign.h"
#include "nodes/parsenodes.h"
#include "nodes/value.h"
#include "utils/builtins.h"

#include "base/ampsf.h"
#include "functions/server_arg.h"

PG_FUNCTION_INFO_V1(ampsf_sql_server_altered);

Datum
ampsf_sql_server_altered(PG_FUNCTION_ARGS)
{
	Oid types[2] = {NAMEOID, NAMEOID};
	NameData old_name;
	NameData new_name;
	Datum args[2] = {NameGetDatum(&old_name), NameGetDatum(&new_name)};
	const RenameStmt *stmt;

	if (!CALLED_AS_EVENT_TRIGGER(fcinfo))
		ereport(ERROR, (errcode(ERRCODE_E_R_I_E_EVENT_TRIGGER_PROTOCOL_VIOLATED),
						errmsg("this function is called by an event trigger only")));
	stmt = (const RenameStmt *) ((EventTriggerData *) fcinfo->context)->parsetree;
	if (!IsA(stmt, RenameStmt) || stmt->renameType != OBJECT_FOREIGN_SERVER ||
		!ampsf_is_our_server(GetForeignServerByName(stmt->newname, false)))
		PG_RETURN_NULL();
	namestrcpy(&old_name, strVal(stmt->object));
	namestrcpy(&new_name, stmt->newname);
	SPI_connect();
	if (SPI_execute_with_args("SELECT ampsf.server_renamed($1, $2)", 2, types, args, NULL, false,
							  0) != SPI_OK_SELECT)
		elog(ERROR, "could not run ampsf.server_renamed()");
	SPI_finish();
	PG_RETURN_NULL();
}
