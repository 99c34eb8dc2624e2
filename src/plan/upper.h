/*
 * upper.h - what the planners of things above a scan share: upper.c, aggregate.c, order.c.
 */
#ifndef AMPSF_UPPER_H
#define AMPSF_UPPER_H

#include "plan/scan_paths.h"

/* What is collected for the plan of a statement that computes more than rows. */
typedef struct AmpsfUpper
{
	PlannerInfo *root;
	AmpsfRelInfo *info; /* a copy, whose parameters are this statement's alone */
	AmpsfOutput out;
	List *exprs; /* what the slot's columns are: Vars, or Aggrefs */
	List *trees; /* the conditions of WHERE */

	/* ORDER BY and LIMIT */
	StringInfoData order;
	List *bounds;

	/* GROUP BY: "" if none */
	StringInfoData group_by;
	List *keys;		   /* of char *: its fields */
	List *having;	   /* of trees */
	bool having_exact; /* all of HAVING is sent, and Salesforce's answer final */
	List *checked;	   /* what is checked here: all of HAVING */
	List *classes;	   /* IntList: of each of them its class */
	List *reasons;	   /* of String */
	bool few;		   /* as AMPSF_GROUPS_FEW */
	int page_key;	   /* as AMPSF_GROUPS_KEY */
	const char *page_name;
	AmpsfFieldClass page_class;
	int page_count; /* as AMPSF_GROUPS_COUNT */
} AmpsfUpper;

/*
 * The statement that gives a relation's rows, if it is one statement of ours and Salesforce's
 * answer to its clauses is final.
 */
extern bool ampsf_upper_start(PlannerInfo *root, RelOptInfo *rel, AmpsfUpper *up);
/* The options of a column of the statement, and whose it is; NULL for anything else. */
extern AmpsfColumn *ampsf_upper_column(AmpsfUpper *up, Node *node, AmpsfMember **member);
/* Do the lists of one more condition fit into the statement, with those that it has? */
extern bool ampsf_upper_fits(AmpsfUpper *up, List *tree);
/* Adds a column to the slot, as the value of a field. */
extern void ampsf_upper_output(AmpsfUpper *up, Node *expr, char *field, char *key, Oid table,
							   int attnum);
/*
 * A path for output_rel that makes the plan from what has been collected.  fetched: how many rows
 * come; rows: how many remain; outer: the path that is taken if Salesforce has too many groups, or
 * NULL.
 */
extern void ampsf_upper_path(AmpsfUpper *up, RelOptInfo *output_rel, PathTarget *target,
							 double fetched, double rows, List *pathkeys, Path *outer);

/* aggregate.c: aggregates and GROUP BY; children of a partitioned table as well. */
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

/* order.c: ORDER BY and LIMIT. */
extern void ampsf_limit_paths(PlannerInfo *root, RelOptInfo *input_rel, RelOptInfo *output_rel);
/* As in scan_paths.h. */
extern bool ampsf_append_sort_key(StringInfo order, PathKey *key, EquivalenceMember *em,
								  const AmpsfColumn *col);

#endif
