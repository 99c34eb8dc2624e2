/*
 * server_arg.c - the server that a function's caller names.
 */
#include "postgres.h"

#include "foreign/foreign.h"
#include "miscadmin.h"
#include "utils/lsyscache.h"

#include "base/ampsf.h"
#include "functions/server_arg.h"

bool
ampsf_is_our_server(const ForeignServer *server)
{
	ForeignDataWrapper *fdw = GetForeignDataWrapper(server->fdwid);
	char *handler = OidIsValid(fdw->fdwhandler) ? get_func_name(fdw->fdwhandler) : NULL;

	/* By its handler, since anybody may create a wrapper of another name over the same one. */
	return handler && strcmp(handler, "ampsf_fdw_handler") == 0;
}

ForeignServer *
ampsf_server_arg(const char *name)
{
	ForeignServer *server = GetForeignServerByName(name, false);

	ampsf_check_server_usage(server->serverid, server->servername, GetUserId());
	if (!ampsf_is_our_server(server))
		ereport(ERROR, (errcode(ERRCODE_WRONG_OBJECT_TYPE),
						errmsg("server \"%s\" is not a server of %s", name, AMPSF_FDW_NAME)));
	return server;
}
