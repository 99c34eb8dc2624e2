/*
 * estimate.h - how many rows a table has, and how many of them a scan gives.
 */
#ifndef AMPSF_ESTIMATE_H
#define AMPSF_ESTIMATE_H

#include "plan/rel_info.h"

/* estimate.c: fills rel->tuples, rel->rows and info->remote_rows of a base relation. */
extern void ampsf_estimate_size(PlannerInfo *root, RelOptInfo *rel, AmpsfRelInfo *info);
/* Once: lets the planner know which columns name a row. */
extern void ampsf_estimate_init(void);

#endif
