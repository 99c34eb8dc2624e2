/*
 * compat.h - the differences between PostgreSQL 15 and 18, settled in one place.
 *
 * The only file that may look at PG_VERSION_NUM.
 */
#ifndef AMPSF_COMPAT_H
#define AMPSF_COMPAT_H

#include "postgres.h"
#include "access/stratnum.h"
#include "access/tupdesc.h"
#include "catalog/pg_database.h"
#include "catalog/pg_foreign_server.h"
#include "commands/explain.h"
#include "foreign/fdwapi.h"
#include "miscadmin.h"
#include "nodes/pathnodes.h"
#include "nodes/plannodes.h"
#include "optimizer/pathnode.h"
#include "parser/parse_relation.h"
#include "parser/parsetree.h"
#include "storage/latch.h"
#include "utils/acl.h"
#include "utils/backend_status.h"
#include "utils/wait_event.h"

#if PG_VERSION_NUM < 150000
#error "ampsf_fdw needs PostgreSQL 15 or later"
#endif

#if PG_VERSION_NUM >= 160000
#include "executor/executor.h"
#endif
#if PG_VERSION_NUM >= 180000
#include "commands/explain_format.h"
#include "commands/explain_state.h"
#endif

/* Arguments that the path constructors gained: 17 the clauses of a join, 18 the disabled nodes. */
#if PG_VERSION_NUM >= 180000
#define AMPSF_DISABLED_NODES 0,
#else
#define AMPSF_DISABLED_NODES
#endif
/* A path that stands on another one has its disabled nodes. */
#if PG_VERSION_NUM >= 180000
#define AMPSF_COPY_DISABLED_NODES(path, from) ((path)->disabled_nodes = (from)->disabled_nodes)
#else
#define AMPSF_COPY_DISABLED_NODES(path, from) ((void) 0)
#endif
#if PG_VERSION_NUM >= 170000
#define AMPSF_RESTRICTINFO(list) (list),
#else
#define AMPSF_RESTRICTINFO(list)
#endif

#if PG_VERSION_NUM >= 180000
#define AMPSF_MODULE_MAGIC PG_MODULE_MAGIC_EXT(.name = "ampsf_fdw", .version = "1.0")
#else
#define AMPSF_MODULE_MAGIC PG_MODULE_MAGIC
#endif

/* The user in whose name a base relation is read: the view's owner, or the caller. */
static inline Oid
ampsf_rel_user(PlannerInfo *root, RelOptInfo *rel)
{
#if PG_VERSION_NUM >= 160000
	return OidIsValid(rel->userid) ? rel->userid : GetUserId();
#else
	RangeTblEntry *rte = planner_rt_fetch(rel->relid, root);

	return OidIsValid(rte->checkAsUser) ? rte->checkAsUser : GetUserId();
#endif
}

/* The relation that is the query's FROM and WHERE; NULL if there is none. */
static inline RelOptInfo *
ampsf_query_rel(PlannerInfo *root)
{
	int relid;

	if (bms_get_singleton_member(root->all_baserels, &relid))
		return root->simple_rel_array[relid];
#if PG_VERSION_NUM >= 160000
	return bms_is_empty(root->all_baserels) ? NULL : find_join_rel(root, root->all_query_rels);
#else
	return bms_is_empty(root->all_baserels) ? NULL : find_join_rel(root, root->all_baserels);
#endif
}

/* The smallest range table index of the relations that a scan stands for. */
static inline int
ampsf_scan_first_rti(ForeignScan *plan)
{
#if PG_VERSION_NUM >= 160000
	return bms_next_member(plan->fs_base_relids, -1);
#else
	return bms_next_member(plan->fs_relids, -1);
#endif
}

/* One of the backends there are, from 1. */
static inline LocalPgBackendStatus *
ampsf_backend_status(int i)
{
#if PG_VERSION_NUM >= 160000
	return pgstat_get_local_beentry_by_index(i);
#else
	return pgstat_fetch_stat_local_beentry(i);
#endif
}

/* Does the sort key descend? */
static inline bool
ampsf_pathkey_descends(PathKey *key)
{
#if PG_VERSION_NUM >= 180000
	return key->pk_cmptype == COMPARE_GT;
#else
	return key->pk_strategy == BTGreaterStrategyNumber;
#endif
}

/* The user in whose name a scan is run, of a base relation or of something computed above one. */
static inline Oid
ampsf_scan_user(ForeignScan *plan, EState *estate)
{
#if PG_VERSION_NUM >= 160000
	return OidIsValid(plan->checkAsUser) ? plan->checkAsUser : GetUserId();
#else
	int relid = plan->scan.scanrelid > 0 ? (int) plan->scan.scanrelid
										 : bms_next_member(plan->fs_relids, -1);
	RangeTblEntry *rte = rt_fetch(relid, estate->es_range_table);

	return OidIsValid(rte->checkAsUser) ? rte->checkAsUser : GetUserId();
#endif
}

/* ERROR unless the user may use the server. */
static inline void
ampsf_check_server_usage(Oid serverid, const char *servername, Oid userid)
{
	AclResult result;

#if PG_VERSION_NUM >= 160000
	result = object_aclcheck(ForeignServerRelationId, serverid, userid, ACL_USAGE);
#else
	result = pg_foreign_server_aclcheck(serverid, userid, ACL_USAGE);
#endif
	if (result != ACLCHECK_OK)
		aclcheck_error(result, OBJECT_FOREIGN_SERVER, servername);
}

/* A wait event set that lives as long as the backend. */
static inline WaitEventSet *
ampsf_create_wait_set(int nevents)
{
#if PG_VERSION_NUM >= 170000
	return CreateWaitEventSet(NULL, nevents);
#else
	return CreateWaitEventSet(TopMemoryContext, nevents);
#endif
}

/* What pg_stat_activity shows while an answer is awaited. */
static inline uint32
ampsf_wait_event(void)
{
#if PG_VERSION_NUM >= 170000
	static uint32 event = 0;

	if (event == 0)
		event = WaitEventExtensionNew("AmpsfAnswer");
	return event;
#else
	return PG_WAIT_EXTENSION;
#endif
}

/*
 * The user in whose name a table is written; a partition that tuples are routed to has its root's.
 */
static inline Oid
ampsf_result_user(ResultRelInfo *rri, EState *estate)
{
#if PG_VERSION_NUM >= 160000
	return ExecGetResultRelCheckAsUser(rri, estate);
#else
	RangeTblEntry *rte;

	if (rri->ri_RangeTableIndex == 0 && rri->ri_RootResultRelInfo != NULL)
		rri = rri->ri_RootResultRelInfo;
	if (rri->ri_RangeTableIndex == 0)
		return GetUserId();
	rte = rt_fetch(rri->ri_RangeTableIndex, estate->es_range_table);
	return OidIsValid(rte->checkAsUser) ? rte->checkAsUser : GetUserId();
#endif
}

static inline bool
ampsf_owns_database(Oid database, Oid userid)
{
#if PG_VERSION_NUM >= 160000
	return object_ownercheck(DatabaseRelationId, database, userid);
#else
	return pg_database_ownercheck(database, userid);
#endif
}

/* PortalRun lost its argument run_once in 18. */
#if PG_VERSION_NUM >= 180000
#define AMPSF_PORTAL_RUN(portal, dest) PortalRun(portal, FETCH_ALL, true, dest, dest, NULL)
#else
#define AMPSF_PORTAL_RUN(portal, dest) PortalRun(portal, FETCH_ALL, true, true, dest, dest, NULL)
#endif

/* ExecutorRun_hook lost its last argument in 18. */
#if PG_VERSION_NUM >= 180000
#define AMPSF_RUN_PARAMS QueryDesc *desc, ScanDirection direction, uint64 count
#define AMPSF_RUN_ARGS desc, direction, count
#else
#define AMPSF_RUN_PARAMS QueryDesc *desc, ScanDirection direction, uint64 count, bool execute_once
#define AMPSF_RUN_ARGS desc, direction, count, execute_once
#endif

#endif
