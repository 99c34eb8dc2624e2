/*
 * aggregate.h - aggregates, GROUP BY and DISTINCT.
 */
#ifndef AMPSF_AGGREGATE_H
#define AMPSF_AGGREGATE_H

#include "plan/upper.h"

/* Aggregates and GROUP BY; children of a partitioned table as well. */
extern void ampsf_aggregate_paths(PlannerInfo *root, RelOptInfo *input_rel, RelOptInfo *output_rel,
								  GroupPathExtraData *extra);
/* SELECT DISTINCT. */
extern void ampsf_distinct_paths(PlannerInfo *root, RelOptInfo *input_rel, RelOptInfo *output_rel);
/*
 * Collects what the query groups by and computes of groups, as far as target and having show it;
 * false if Salesforce cannot do it.  group_clause: of SortGroupClause.
 */
extern bool ampsf_collect_groups(AmpsfUpper *up, PathTarget *target, List *group_clause,
								 Node *having);
/* SELECT DISTINCT of columns, with nothing else that groups? */
extern bool ampsf_is_plain_distinct(Query *parse);
/* The key of groups, or the aggregate, that an expression is; NULL if it is none. */
extern AmpsfColumn *ampsf_group_column(AmpsfUpper *up, Node *expr);

#endif
