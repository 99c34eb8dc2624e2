/*
 * classify.c - which clauses may go to Salesforce, and how far its answer can be trusted.
 *
 * Walks an expression once, from the top: what it does not know is LOCAL.  What an operator means on the
 * other side stands in operators.c, not here.  Must not know: SOQL's text, the executor.
 */
#include "plan/classify.h"
#include "plan/operators.h"

#include "access/transam.h"
#include "catalog/pg_collation.h"
#include "catalog/pg_operator.h"
#include "catalog/pg_type.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "miscadmin.h"
#include "optimizer/clauses.h"
#include "optimizer/optimizer.h"
#include "parser/parse_coerce.h"
#include "utils/array.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

AmpsfMember *
ampsf_make_member(Index rti, Oid relid, const char *prefix, bool outer)
{
	AmpsfMember *member = palloc0(sizeof(AmpsfMember));

	member->rti = rti;
	member->relid = relid;
	member->prefix = prefix;
	member->outer = outer;
	return member;
}

AmpsfColumn *
ampsf_member_column(AmpsfMember *member, int attnum)
{
	AmpsfColumn *col;

	if (attnum > member->natts)
	{
		int n = attnum + 32;

		member->columns = member->columns ? repalloc(member->columns, sizeof(AmpsfColumn *) * n)
										  : palloc(sizeof(AmpsfColumn *) * n);
		memset(member->columns + member->natts, 0, sizeof(AmpsfColumn *) * (n - member->natts));
		member->natts = n;
	}
	col = member->columns[attnum - 1];
	if (!col)
	{
		col = member->columns[attnum - 1] = ampsf_column(member->relid, attnum);
		if (*member->prefix)
			col->field = psprintf("%s%s", member->prefix, col->field);
		col->of_parent |= member->outer;
	}
	return col;
}

AmpsfColumn *
ampsf_classify_column(AmpsfClassify *cxt, Node *node, AmpsfMember **member)
{
	Var *var;
	ListCell *lc;

	while (node && IsA(node, RelabelType))
		node = (Node *) ((RelabelType *) node)->arg;
	if (!node || !IsA(node, Var))
		return NULL;
	var = (Var *) node;
	if (var->varlevelsup != 0 || var->varattno <= 0)
		return NULL;
	foreach (lc, cxt->aliases)
		if (equal(linitial(lfirst(lc)), var))
			var = lsecond(lfirst(lc));
	foreach (lc, cxt->members)
	{
		AmpsfMember *m = lfirst(lc);

		if (m->rti != (Index) var->varno)
			continue;
		if (member)
			*member = m;
		return ampsf_member_column(m, var->varattno);
	}
	return NULL;
}

static List *
make_qual(AmpsfQualKind kind)
{
	return list_make1(makeInteger(kind));
}

/* Are all columns in the expression of relations whose rows are there before the scan begins? */
static bool
has_outer_columns_only(const AmpsfClassify *cxt, Node *node)
{
	ListCell *lc;

	if (!cxt->outer)
		return !contain_var_clause(node);
	foreach (lc, pull_var_clause(node, PVC_RECURSE_AGGREGATES | PVC_RECURSE_WINDOWFUNCS |
										   PVC_INCLUDE_PLACEHOLDERS))
	{
		Var *var = lfirst(lc);

		if (!IsA(var, Var) || !bms_is_member(var->varno, cxt->outer))
			return false;
	}
	return true;
}

/* Can the expression be evaluated before the scan, once? */
static bool
is_fixed(const AmpsfClassify *cxt, Node *node)
{
	return has_outer_columns_only(cxt, node) && !contain_agg_clause(node) &&
		   !contain_volatile_functions(node) && !contain_subplans(node);
}

Node *
ampsf_classify_operand(AmpsfClassify *cxt, Node *node)
{
	if (IsA(node, Const))
		return node;
	for (int i = 0; i < list_length(cxt->params); i++)
		if (equal(list_nth(cxt->params, i), node))
			return (Node *) makeInteger(i);
	cxt->params = lappend(cxt->params, node);
	return (Node *) makeInteger(list_length(cxt->params) - 1);
}

/* The name of an operator that PostgreSQL itself defines; NULL for anybody else's. */
static const char *
builtin_operator(Oid opno)
{
	return opno < FirstGenbkiObjectId ? get_opname(opno) : NULL;
}

static bool
is_deterministic(Oid collation)
{
	return !OidIsValid(collation) || get_collation_isdeterministic(collation);
}

/* Is every number of the operand compared exactly by a machine that computes in doubles? */
static bool
is_exact_operand(Node *operand, Oid elemtype)
{
	Const *c = (Const *) operand;

	if (!IsA(operand, Const))
		return elemtype == INT2OID || elemtype == INT4OID;
	if (c->constisnull)
		return true;
	if (c->consttype == elemtype)
		return ampsf_is_exact_number(elemtype, c->constvalue);
	else
	{
		ArrayIterator it = array_create_iterator(DatumGetArrayTypeP(c->constvalue), 0, NULL);
		Datum value;
		bool isnull;
		bool exact = true;

		while (exact && array_iterate(it, &value, &isnull))
			exact = isnull || ampsf_is_exact_number(elemtype, value);
		array_free_iterator(it);
		return exact;
	}
}

/*
 * field op value, whatever the form.  coltype is what the column is compared as, typid the type of one
 * value (an array's element).
 */
static AmpsfPushClass
classify_comparison(AmpsfClassify *cxt, AmpsfColumn *col, Oid coltype, const char *opname,
					AmpsfOperatorForm form, Oid typid, Oid collation, Node *other, List **tree,
					const char **reason)
{
	AmpsfFieldClass fclass = ampsf_field_class(col);
	const AmpsfOperator *op;
	AmpsfPushClass push;
	int i;

	if (!col->filterable)
	{
		*reason = "Salesforce cannot filter by this field";
		return AMPSF_LOCAL;
	}
	i = ampsf_find_operator(opname, form, fclass);
	if (i < 0)
	{
		*reason = ampsf_no_operator_reason(fclass);
		return AMPSF_LOCAL;
	}
	op = &ampsf_operators[i];
	if (!ampsf_literal_type_ok(fclass, typid))
	{
		*reason = "the value's type differs from the field's";
		return AMPSF_LOCAL;
	}
	if (fclass == AMPSF_CLASS_DATETIME && typid == DATEOID && coltype != TIMESTAMPTZOID)
	{
		*reason = "the value's type differs from the field's";
		return AMPSF_LOCAL;
	}
	/*
	 * Salesforce compares what it holds, with all decimals, whatever scale the field is declared with; and
	 * LIKE sees the blanks that char(n) adds.
	 */
	if (col->rounds || (coltype == BPCHAROID && form == AMPSF_FORM_LIKE))
	{
		*reason = "the column's type changes the field's value";
		return AMPSF_LOCAL;
	}
	if (!is_deterministic(collation))
	{
		*reason = "the collation is not deterministic";
		return AMPSF_LOCAL;
	}
	/* A pick list's API name, which is what we show, is not what LIKE looks at. */
	if (form == AMPSF_FORM_LIKE && strcmp(col->type, "picklist") == 0)
	{
		*reason = "SOQL's LIKE looks at the label of a picklist value";
		return AMPSF_LOCAL;
	}
	/* Whole numbers compare with whole numbers only: 2.5 would be refused. */
	if ((strcmp(col->type, "int") == 0 || strcmp(col->type, "long") == 0) && typid != INT2OID &&
		typid != INT4OID && typid != INT8OID)
	{
		*reason = "the value's type differs from the field's";
		return AMPSF_LOCAL;
	}
	push = op->push;
	*reason = push == AMPSF_EXACT ? NULL : op->note;
	if (fclass == AMPSF_CLASS_NUMBER && !is_exact_operand(other, typid))
	{
		*reason = op->note;
		if (op->not_null) /* it could leave rows out */
			return AMPSF_LOCAL;
		push = AMPSF_SUPERSET;
	}
	*tree = make_qual(AMPSF_QUAL_COMPARE);
	*tree = lappend(*tree, makeInteger(i));
	*tree = lappend(*tree, makeString(col->field));
	*tree = lappend(*tree, ampsf_classify_operand(cxt, other));
	return push;
}

static AmpsfPushClass
classify_op(AmpsfClassify *cxt, OpExpr *op, List **tree, const char **reason)
{
	Node *left, *right;
	AmpsfColumn *col;
	Oid opno = op->opno;
	const char *opname;
	AmpsfOperatorForm form = AMPSF_FORM_BINARY;
	Oid typid;

	*reason = "not a comparison of a field with a value";
	if (list_length(op->args) != 2)
		return AMPSF_LOCAL;
	left = linitial(op->args);
	right = lsecond(op->args);
	col = ampsf_classify_column(cxt, left, NULL);
	if (!col)
	{
		Node *swap = left;

		left = right;
		right = swap;
		opno = get_commutator(opno);
		col = ampsf_classify_column(cxt, left, NULL);
		if (!col || !OidIsValid(opno))
			return AMPSF_LOCAL;
	}
	opname = builtin_operator(opno);
	if (!opname)
	{
		*reason = "the operator is not PostgreSQL's own";
		return AMPSF_LOCAL;
	}
	if (!is_fixed(cxt, right))
	{
		*reason = contain_volatile_functions(right) ? "the value is volatile"
													: "SOQL compares a field with a value only";
		return AMPSF_LOCAL;
	}
	if (strcmp(opname, "~~") == 0)
		form = AMPSF_FORM_LIKE;
	typid = exprType(right);
	/*
	 * A timestamptz against a date or a timestamp compares by the session's time zone: exactly what the
	 * cast does, so the value can be cast before it is sent.  A date is cast when the statement is
	 * printed, since not all of them can be.
	 */
	if (exprType(left) == TIMESTAMPTZOID && typid == TIMESTAMPOID)
	{
		right = coerce_to_target_type(NULL, right, typid, TIMESTAMPTZOID, -1, COERCION_EXPLICIT,
									  COERCE_IMPLICIT_CAST, -1);
		if (!right)
			return AMPSF_LOCAL;
		typid = TIMESTAMPTZOID;
	}
	else if ((exprType(left) == TIMESTAMPTZOID || exprType(left) == TIMESTAMPOID ||
			  exprType(left) == DATEOID) &&
			 exprType(left) != typid && !(exprType(left) == TIMESTAMPTZOID && typid == DATEOID))
	{
		*reason = "the value's type differs from the field's";
		return AMPSF_LOCAL;
	}
	return classify_comparison(cxt, col, exprType(left), opname, form, typid, op->inputcollid, right, tree,
							   reason);
}

static AmpsfPushClass
classify_array_op(AmpsfClassify *cxt, ScalarArrayOpExpr *op, List **tree, const char **reason)
{
	Node *left = linitial(op->args);
	Node *right = lsecond(op->args);
	AmpsfColumn *col = ampsf_classify_column(cxt, left, NULL);
	const char *opname = builtin_operator(op->opno);
	Oid elemtype = get_base_element_type(exprType(right));

	*reason = "not a comparison of a field with a list of values";
	if (!col || !opname || !OidIsValid(elemtype))
		return AMPSF_LOCAL;
	if (!is_fixed(cxt, right))
	{
		*reason = "SOQL compares a field with values only";
		return AMPSF_LOCAL;
	}
	if (strcmp(opname, op->useOr ? "=" : "<>") != 0)
	{
		*reason = "SOQL has IN and NOT IN only";
		return AMPSF_LOCAL;
	}
	if ((exprType(left) == TIMESTAMPTZOID || exprType(left) == TIMESTAMPOID ||
		 exprType(left) == DATEOID) &&
		exprType(left) != elemtype)
	{
		*reason = "the value's type differs from the field's";
		return AMPSF_LOCAL;
	}
	return classify_comparison(cxt, col, exprType(left), opname,
							   op->useOr ? AMPSF_FORM_ANY : AMPSF_FORM_ALL, elemtype, op->inputcollid, right,
							   tree, reason);
}

static List *
boolean_tree(AmpsfColumn *col, bool wanted)
{
	List *tree = make_qual(AMPSF_QUAL_BOOLEAN);

	tree = lappend(tree, makeInteger(wanted));
	return lappend(tree, makeString(col->field));
}

/* A boolean field, or NOT of one, or IS TRUE and its kin: Salesforce's booleans are never null. */
static AmpsfPushClass
classify_boolean(AmpsfClassify *cxt, Node *arg, bool wanted, List **tree, const char **reason)
{
	AmpsfColumn *col = ampsf_classify_column(cxt, arg, NULL);

	*reason = "not a comparison of a field with a value";
	if (!col)
		return AMPSF_LOCAL;
	if (!col->filterable || ampsf_field_class(col) != AMPSF_CLASS_BOOLEAN)
	{
		*reason = col->filterable ? ampsf_no_operator_reason(AMPSF_CLASS_NONE)
								  : "Salesforce cannot filter by this field";
		return AMPSF_LOCAL;
	}
	*tree = boolean_tree(col, wanted);
	*reason = NULL;
	return AMPSF_EXACT;
}

static AmpsfPushClass
classify_null_test(AmpsfClassify *cxt, NullTest *test, List **tree, const char **reason)
{
	AmpsfColumn *col = ampsf_classify_column(cxt, (Node *) test->arg, NULL);

	*reason = "not a test of a field";
	if (!col || test->argisrow)
		return AMPSF_LOCAL;
	if (!col->filterable)
	{
		*reason = "Salesforce cannot filter by this field";
		return AMPSF_LOCAL;
	}
	/* What describes call filterable in a compound is its distance from a place. */
	if (strcmp(col->type, "address") == 0 || strcmp(col->type, "location") == 0)
	{
		*reason = ampsf_no_operator_reason(AMPSF_CLASS_NONE);
		return AMPSF_LOCAL;
	}
	/* Of any other type SOQL's = null means what SQL's IS NULL does, but not of a boolean. */
	if (strcmp(col->type, "boolean") == 0)
	{
		if (col->of_parent)
		{
			*reason = "a missing parent's boolean is false to Salesforce";
			return AMPSF_LOCAL;
		}
		*tree = test->nulltesttype == IS_NULL ? make_qual(AMPSF_QUAL_NEVER) : make_qual(AMPSF_QUAL_AND);
		*reason = NULL;
		return AMPSF_EXACT;
	}
	*tree = make_qual(AMPSF_QUAL_NULL_TEST);
	*tree = lappend(*tree, makeInteger(test->nulltesttype == IS_NULL));
	*tree = lappend(*tree, makeString(col->field));
	*reason = NULL;
	return AMPSF_EXACT;
}

/*
 * AND, OR.  An AND may leave out what cannot be pushed, and is a superset then; an OR may not.
 */
static AmpsfPushClass
classify_bool_expr(AmpsfClassify *cxt, BoolExpr *expr, List **tree, const char **reason)
{
	bool is_and = expr->boolop == AND_EXPR;
	AmpsfPushClass result = AMPSF_EXACT;
	List *out = make_qual(is_and ? AMPSF_QUAL_AND : AMPSF_QUAL_OR);
	ListCell *lc;

	if (expr->boolop == NOT_EXPR)
		return classify_boolean(cxt, linitial(expr->args), false, tree, reason);

	*reason = NULL;
	foreach (lc, expr->args)
	{
		List *child = NIL;
		const char *why = NULL;
		AmpsfPushClass c = ampsf_classify(cxt, lfirst(lc), &child, &why);

		if (why && !*reason)
			*reason = why;
		if (c == AMPSF_LOCAL)
		{
			if (!is_and)
				return AMPSF_LOCAL;
			result = AMPSF_SUPERSET;
			continue;
		}
		result = Min(result, c);
		out = lappend(out, child);
	}
	if (list_length(out) == 1)
		return AMPSF_LOCAL;
	*tree = out;
	return result;
}

AmpsfPushClass
ampsf_classify(AmpsfClassify *cxt, Expr *expr, List **tree, const char **reason)
{
	check_stack_depth();
	*tree = NIL;
	*reason = "SOQL has nothing like it";
	switch (nodeTag(expr))
	{
		case T_OpExpr:
			return classify_op(cxt, (OpExpr *) expr, tree, reason);
		case T_ScalarArrayOpExpr:
			return classify_array_op(cxt, (ScalarArrayOpExpr *) expr, tree, reason);
		case T_NullTest:
			return classify_null_test(cxt, (NullTest *) expr, tree, reason);
		case T_BoolExpr:
			return classify_bool_expr(cxt, (BoolExpr *) expr, tree, reason);
		case T_Var:
		case T_RelabelType:
			return classify_boolean(cxt, (Node *) expr, true, tree, reason);
		case T_BooleanTest:
		{
			BooleanTest *test = (BooleanTest *) expr;

			switch (test->booltesttype)
			{
				case IS_TRUE:
				case IS_NOT_FALSE:
					return classify_boolean(cxt, (Node *) test->arg, true, tree, reason);
				case IS_FALSE:
				case IS_NOT_TRUE:
					return classify_boolean(cxt, (Node *) test->arg, false, tree, reason);
				default:
					return AMPSF_LOCAL;
			}
		}
		default:
			return AMPSF_LOCAL;
	}
}
