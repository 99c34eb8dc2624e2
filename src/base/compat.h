/*
 * compat.h - the differences between PostgreSQL 15 and 18, settled in one place.
 *
 * The only file that may look at PG_VERSION_NUM.
 */
#ifndef AMPSF_COMPAT_H
#define AMPSF_COMPAT_H

#include "postgres.h"
#include "access/tupdesc.h"
#include "commands/explain.h"
#include "foreign/fdwapi.h"
#include "miscadmin.h"
#include "nodes/pathnodes.h"
#include "nodes/plannodes.h"
#include "optimizer/pathnode.h"
#include "parser/parse_relation.h"
#include "parser/parsetree.h"
#include "storage/latch.h"
#include "utils/wait_event.h"

#if PG_VERSION_NUM < 150000
#error "ampsf_fdw needs PostgreSQL 15 or later"
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

/* The same at execution, for a scan of one base relation. */
static inline Oid
ampsf_scan_user(ForeignScan *plan, EState *estate)
{
#if PG_VERSION_NUM >= 160000
	return OidIsValid(plan->checkAsUser) ? plan->checkAsUser : GetUserId();
#else
	RangeTblEntry *rte = rt_fetch(plan->scan.scanrelid, estate->es_range_table);

	return OidIsValid(rte->checkAsUser) ? rte->checkAsUser : GetUserId();
#endif
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

#endif
