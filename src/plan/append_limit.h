/*
 * append_limit.h - LIMIT below an Append.
 */
#ifndef AMPSF_APPEND_LIMIT_H
#define AMPSF_APPEND_LIMIT_H

#include "plan/rel_info.h"

/*
 * append_limit.c: LIMIT below an Append; and the bounds and order of a path that it made, else NIL.
 */
extern void ampsf_add_append_limit_path(PlannerInfo *root, RelOptInfo *rel);
extern List *ampsf_append_limit(ForeignPath *path, const char **order);

#endif
