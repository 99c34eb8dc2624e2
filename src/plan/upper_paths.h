/*
 * upper_paths.h - the planner's callback for what is computed above a scan.
 */
#ifndef AMPSF_UPPER_PATHS_H
#define AMPSF_UPPER_PATHS_H

#include "postgres.h"
#include "nodes/pathnodes.h"

extern void ampsfGetForeignUpperPaths(PlannerInfo *root, UpperRelationKind stage,
									  RelOptInfo *input_rel, RelOptInfo *output_rel, void *extra);

#endif
