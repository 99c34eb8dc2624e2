/*
 * classify.h - decides for a clause whether Salesforce may evaluate it.
 */
#ifndef AMPSF_CLASSIFY_H
#define AMPSF_CLASSIFY_H

#include "plan/plan_private.h"
#include "base/options.h"

/* One foreign table of a statement: the object that is queried, or a parent that is reached by
 * lookups. */
typedef struct AmpsfMember
{
	Index rti;
	Oid relid;
	const char *prefix;	 /* "" for the object itself; "Account.", "Account.Owner." */
	bool outer;			 /* rows without that parent stay in the result */
	AmpsfColumn *lookup; /* of a parent: the reference that leads to it */
	int natts;
	AmpsfColumn **columns; /* by attnum - 1, filled on demand; field has the prefix */
} AmpsfMember;

/* What classification needs to know of the statement, and what it collects. */
typedef struct AmpsfClassify
{
	List *members;	  /* of AmpsfMember, the object itself first */
	List *aggregates; /* of pairs: an Aggref, and the AmpsfColumn that stands for it in HAVING */
	List *aliases;	  /* of pairs of Vars: the first, of no member, always equals the second, of a
						 member */
	Relids outer; /* relations whose columns have values before the scan begins: of a parameterized
					 path */
	List *params; /* out: the expressions that become fdw_exprs, in order of their index */
} AmpsfClassify;

/* A member for one foreign table. */
extern AmpsfMember *ampsf_make_member(Index rti, Oid relid, const char *prefix, bool outer);

/*
 * The class of a boolean expression.  *tree is its condition tree unless LOCAL; *reason says why it
 * is not EXACT (a static text, or NULL).
 */
extern AmpsfPushClass ampsf_classify(AmpsfClassify *cxt, Expr *expr, List **tree,
									 const char **reason);

/* An expression as it stands in a tree: a Const, or the index of a parameter, which is new if need
 * be. */
extern Node *ampsf_classify_operand(AmpsfClassify *cxt, Node *node);

/* The options of a column of a member (not a system column), its field with the member's prefix. */
extern AmpsfColumn *ampsf_member_column(AmpsfMember *member, int attnum);
/*
 * The column that an expression is, through binary-compatible casts; NULL if it is none of the
 * members'. *member (may be NULL): whose.
 */
extern AmpsfColumn *ampsf_classify_column(AmpsfClassify *cxt, Node *node, AmpsfMember **member);

#endif
