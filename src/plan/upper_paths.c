/*
 * upper_paths.c - see upper_paths.h.
 */
#include "base/ampsf.h"
#include "plan/upper_paths.h"
#include "plan/aggregate.h"
#include "plan/order.h"

void
ampsfGetForeignUpperPaths(PlannerInfo *root, UpperRelationKind stage, RelOptInfo *input_rel,
						  RelOptInfo *output_rel, void *extra)
{
	if (output_rel->fdw_private)
		return;
	switch (stage)
	{
		case UPPERREL_GROUP_AGG:
			ampsf_aggregate_paths(root, input_rel, output_rel, extra);
			break;
		case UPPERREL_DISTINCT:
			ampsf_distinct_paths(root, input_rel, output_rel);
			break;
		case UPPERREL_FINAL:
			ampsf_limit_paths(root, input_rel, output_rel);
			break;
		default:
			break;
	}
}
