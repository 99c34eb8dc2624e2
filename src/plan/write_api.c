/*
 * write_api.c - what Ampersand's Write API cannot do, said before anything is sent; see
 * write_api.h.
 */
#include "postgres.h"

#include "plan/write_api.h"

#include "base/options.h"
#include "foreign/foreign.h"

void
ampsf_write_api_check(Relation rel)
{
	const AmpsfTableOptions *table = ampsf_table_options(RelationGetRelid(rel));
	const AmpsfServerOptions *server;
	const char *option = table->upsert_key							  ? "upsert_key"
						 : table->write_transport == AMPSF_WRITE_BULK ? "write_transport"
						 : table->write_at_commit					  ? "write_at"
						 : table->if_unchanged						  ? "if_unchanged"
						 : table->hard_delete						  ? "hard_delete"
																	  : NULL;

	if (option)
		ereport(
			ERROR,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			 errmsg("foreign table \"%s\" cannot be written with option \"%s\" by the Write API",
					RelationGetRelationName(rel), option),
			 errdetail(
				 "Ampersand's Write API creates, updates and deletes records, and has neither "
				 "upserts nor Bulk jobs."),
			 errhint("Set write_via 'proxy', which can do all of it.")));
	server =
		ampsf_server_options(GetForeignServer(GetForeignTable(RelationGetRelid(rel))->serverid));
	if (!server->ampersand || table->engagement)
		ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
						errmsg("foreign table \"%s\" cannot be written by the Write API",
							   RelationGetRelationName(rel)),
						table->engagement ? errdetail("It is an object of Account Engagement.")
										  : errdetail("Its server is not reached by Ampersand."),
						errhint("Set write_via 'proxy'.")));
	if (!server->integration_id || !server->group_ref)
		ereport(ERROR, (errcode(ERRCODE_FDW_OPTION_NAME_NOT_FOUND),
						errmsg("option \"%s\" is required for the Write API",
							   server->integration_id ? "group_ref" : "integration_id"),
						errhint("Set it on the server, or write_via 'proxy'.")));
}
