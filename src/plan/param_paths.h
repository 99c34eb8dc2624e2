/*
 * param_paths.h - paths of a base relation whose conditions hold values of others.
 */
#ifndef AMPSF_PARAM_PATHS_H
#define AMPSF_PARAM_PATHS_H

#include "plan/rel_info.h"

extern void ampsf_add_param_paths(PlannerInfo *root, RelOptInfo *rel);
/*
 * What is to be planned for a path of a table or a join: rel's info, with what the path adds to it.
 */
extern AmpsfRelInfo *ampsf_path_info(RelOptInfo *rel, ForeignPath *path, List *scan_clauses);

#endif
