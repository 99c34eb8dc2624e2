/*
 * key_join.h - the plan of a batched key lookup, as src/plan/key_join.c makes it and
 * src/exec/key_join.c runs it.
 *
 * custom_plans: the outer plan, then the foreign scan that is asked by keys.  custom_exprs: the
 * equality that the lookup goes by, its left side the foreign scan's, then the other conditions of
 * the join.  custom_scan_tlist: the outer plan's columns, then the foreign scan's.
 */
#ifndef AMPSF_PLAN_KEY_JOIN_H
#define AMPSF_PLAN_KEY_JOIN_H

#include "postgres.h"
#include "nodes/pathnodes.h"
#include "nodes/plannodes.h"
#include "plan/classify.h"

#define AMPSF_KEY_JOIN_NAME "Ampsf Key Lookup"

/* Positions in CustomScan.custom_private. */
typedef enum AmpsfKeyJoinPrivate
{
	AMPSF_KEY_JOIN_TYPE,  /* Integer: JOIN_INNER, LEFT, SEMI or ANTI */
	AMPSF_KEY_JOIN_BATCH, /* Integer: keys of a call */
	AMPSF_KEY_JOIN_FIRST, /* Integer: keys of the first call, fewer where a LIMIT may end it soon */
	AMPSF_KEY_JOIN_ORDERED, /* Integer: must the rows come in the order of the outer plan? */
	AMPSF_KEY_JOIN_EAGER,	/* Integer: must all be read before the first row is given? */
	AMPSF_KEY_JOIN_LENGTH
} AmpsfKeyJoinPrivate;

/* Puts the planner's hook in place. */
extern void ampsf_key_join_plan_init(void);

/*
 * The clause  column = ANY (keys)  of a foreign scan's path that is asked by keys; NULL of any
 * other path.  The keys are a CaseTestExpr: the node above gives their value by the scan's
 * expression context.
 */
extern Expr *ampsf_keys_clause(const ForeignPath *path);

/*
 * May the query, or one that it is a part of, write to Salesforce?  Reads that follow one another
 * would see what it has written meanwhile.
 */
extern bool ampsf_query_writes(PlannerInfo *root);

#endif
