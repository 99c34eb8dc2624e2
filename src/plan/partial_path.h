/*
 * partial_path.h - several processes that share the pages of one result.
 */
#ifndef AMPSF_PARTIAL_PATH_H
#define AMPSF_PARTIAL_PATH_H

#include "plan/rel_info.h"

/*
 * Adds, where it may pay, the path of several processes that share the pages of the result of
 * info's statement; alone is the one of one process, which is to be added afterwards (and may be
 * freed then).
 */
extern void ampsf_add_partial_path(PlannerInfo *root, RelOptInfo *rel, AmpsfRelInfo *info,
								   const ForeignPath *alone);

#endif
