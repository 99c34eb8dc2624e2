/*
 * upper.h - what the planners of things above a scan share, and the plan of a path that they made.
 */
#ifndef AMPSF_UPPER_H
#define AMPSF_UPPER_H

#include "plan/rel_info.h"

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
/* The plan of such a path. */
extern ForeignScan *ampsf_upper_plan(ForeignPath *path, List *tlist, Plan *outer_plan);
/* Is the path, of any relation, one of groups? */
extern bool ampsf_upper_is_grouped(ForeignPath *path);

#endif
