/*
 * join.h - joins along lookups, in one statement.
 */
#ifndef AMPSF_JOIN_H
#define AMPSF_JOIN_H

#include "plan/rel_info.h"

extern void ampsfGetForeignJoinPaths(PlannerInfo *root, RelOptInfo *joinrel, RelOptInfo *outerrel,
									 RelOptInfo *innerrel, JoinType jointype,
									 JoinPathExtraData *extra);
extern ForeignScan *ampsf_join_plan(RelOptInfo *rel, AmpsfRelInfo *info, List *tlist,
									Plan *outer_plan);

#endif
