/*
 * foreign_arg.c - see foreign_arg.h.
 */
#include "postgres.h"

#include "catalog/pg_class.h"
#include "foreign/foreign.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/lsyscache.h"

#include "base/ampsf.h"
#include "functions/foreign_arg.h"
#include "functions/server_arg.h"

void
ampsf_check_foreign_table(Oid relid, AclMode need)
{
	const char *name = get_rel_name(relid);

	if (get_rel_relkind(relid) != RELKIND_FOREIGN_TABLE)
		ereport(ERROR, (errcode(ERRCODE_WRONG_OBJECT_TYPE),
						errmsg("\"%s\" is not a foreign table", name ? name : "-")));
	if (pg_class_aclcheck(relid, GetUserId(), need) != ACLCHECK_OK)
		aclcheck_error(ACLCHECK_NO_PRIV, OBJECT_FOREIGN_TABLE, name);
	if (!ampsf_is_our_server(GetForeignServer(GetForeignTable(relid)->serverid)))
		ereport(ERROR, (errcode(ERRCODE_WRONG_OBJECT_TYPE),
						errmsg("\"%s\" is not a foreign table of %s", name, AMPSF_FDW_NAME)));
}

void
ampsf_foreign_arg(AmpsfForeignArg *arg, Oid relid)
{
	ampsf_check_foreign_table(relid, ACL_SELECT);
	arg->table = ampsf_table_options(relid);
	if (arg->table->engagement)
		ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
						errmsg("\"%s\" is a table of Account Engagement", get_rel_name(relid)),
						errhint("This is for objects of the CRM module.")));
	arg->session = ampsf_session_get(GetForeignTable(relid)->serverid, GetUserId());
}
