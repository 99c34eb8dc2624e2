/*
 * order.h - ORDER BY and LIMIT.
 */
#ifndef AMPSF_ORDER_H
#define AMPSF_ORDER_H

#include "plan/upper.h"

extern void ampsf_limit_paths(PlannerInfo *root, RelOptInfo *input_rel, RelOptInfo *output_rel);
/*
 * Appends a sort key that is the column (which may be NULL) to ORDER BY's list; false if Salesforce
 * sorts it otherwise than SQL.
 */
extern bool ampsf_append_sort_key(StringInfo order, PathKey *key, EquivalenceMember *em,
								  const AmpsfColumn *col);

#endif
