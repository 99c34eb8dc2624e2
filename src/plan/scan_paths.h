/*
 * scan_paths.h - the planner's callbacks for base relations.
 */
#ifndef AMPSF_SCAN_PATHS_H
#define AMPSF_SCAN_PATHS_H

#include "postgres.h"
#include "nodes/pathnodes.h"
#include "nodes/plannodes.h"

extern void ampsfGetForeignRelSize(PlannerInfo *root, RelOptInfo *rel, Oid relid);
extern void ampsfGetForeignPaths(PlannerInfo *root, RelOptInfo *rel, Oid relid);
extern ForeignScan *ampsfGetForeignPlan(PlannerInfo *root, RelOptInfo *rel, Oid relid,
										ForeignPath *path, List *tlist, List *scan_clauses,
										Plan *outer_plan);

/* May it be one of several that an Append asks at the same time? */
extern bool ampsfIsForeignPathAsyncCapable(ForeignPath *path);

#endif
