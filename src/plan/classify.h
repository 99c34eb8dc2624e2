/*
 * classify.h - decides for a clause whether Salesforce may evaluate it.
 */
#ifndef AMPSF_CLASSIFY_H
#define AMPSF_CLASSIFY_H

#include "plan/plan_private.h"
#include "base/options.h"

/* What classification needs to know of the relation, and what it collects. */
typedef struct AmpsfClassify
{
	PlannerInfo *root;
	RelOptInfo *rel;
	Oid relid;
	AmpsfColumn **columns; /* by attnum - 1, filled on demand */
	int natts;
	List *params; /* out: the expressions that become fdw_exprs, in order of their index */
} AmpsfClassify;

/*
 * The class of a boolean expression.  *tree is its condition tree unless LOCAL; *reason says why it is not
 * EXACT (a static text, or NULL).
 */
extern AmpsfPushClass ampsf_classify(AmpsfClassify *cxt, Expr *expr, List **tree, const char **reason);

/* An expression as it stands in a tree: a Const, or the index of a parameter, which is new if need be. */
extern Node *ampsf_classify_operand(AmpsfClassify *cxt, Node *node);

/* The options of a column of the relation (not a system column). */
extern AmpsfColumn *ampsf_classify_column(AmpsfClassify *cxt, int attnum);

#endif
