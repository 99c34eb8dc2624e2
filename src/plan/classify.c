/*
 * classify.c - which clauses may go to Salesforce, and how far its answer can be trusted.
 *
 * Walks an expression once, from the top: what it does not know is LOCAL.  What an operator means
 * on the other side stands in operators.c, not here.  Must not know: SOQL's text, the executor.
 */
#include "plan/classify.h"
#include "plan/operators.h"
#include "plan/timerange.h"

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
#include "pgtime.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
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
	AmpsfColumn *col = attnum <= member->natts ? member->columns[attnum - 1] : NULL;
	MemoryContext old;

	if (col)
		return col;
	/* GEQO joins in a context of its own, which the columns of a base relation outlive. */
	old = MemoryContextSwitchTo(GetMemoryChunkContext(member));
	if (attnum > member->natts)
	{
		int n = attnum + 32;

		member->columns = member->columns ? repalloc(member->columns, sizeof(AmpsfColumn *) * n)
										  : palloc(sizeof(AmpsfColumn *) * n);
		memset(member->columns + member->natts, 0, sizeof(AmpsfColumn *) * (n - member->natts));
		member->natts = n;
	}
	col = member->columns[attnum - 1] = ampsf_column(member->relid, attnum);
	if (*member->prefix)
		col->field = psprintf("%s%s", member->prefix, col->field);
	col->of_parent |= member->outer;
	MemoryContextSwitchTo(old);
	return col;
}

AmpsfColumn *
ampsf_classify_column(AmpsfClassify *cxt, Node *node, AmpsfMember **member)
{
	Var *var;
	ListCell *lc;

	while (node && IsA(node, RelabelType))
		node = (Node *) ((RelabelType *) node)->arg;
	if (node && IsA(node, Aggref))
		foreach (lc, cxt->aggregates)
			if (equal(linitial(lfirst(lc)), node))
				return lsecond(lfirst(lc));
	if (!node || !IsA(node, Var))
		return NULL;
	var = (Var *) node;
	if (var->varlevelsup != 0 || var->varattno <= 0)
		return NULL;
	/* A later one may stand for an earlier one. */
	for (int i = list_length(cxt->aliases) - 1; i >= 0; i--)
		if (equal(linitial(list_nth(cxt->aliases, i)), var))
			var = lsecond(list_nth(cxt->aliases, i));
	foreach (lc, cxt->members)
	{
		AmpsfMember *m = lfirst(lc);

		if (m->rti != (Index) var->varno)
			continue;
		if (member)
			*member = m;
		/* What is no field, the statement cannot name. */
		return ampsf_member_column(m, var->varattno)->created
				   ? NULL
				   : ampsf_member_column(m, var->varattno);
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
 * field op value, whatever the form.  coltype is what the column is compared as, typid the type of
 * one value (an array's element).
 */
static AmpsfPushClass
classify_comparison(AmpsfClassify *cxt, AmpsfColumn *col, Oid coltype, const char *opname,
					AmpsfOperatorForm form, Oid typid, Oid collation, Node *other, List **tree,
					const char **reason)
{
	AmpsfFieldClass fclass = ampsf_field_class(col);
	const AmpsfOperator *op;
	AmpsfPushClass push;
	bool is_pattern;
	bool whole;
	int i;

	if (!col->filterable)
	{
		*reason = "Salesforce cannot filter by this field";
		return AMPSF_LOCAL;
	}
	i = ampsf_find_operator(opname, form, fclass);
	if (i < 0)
	{
		*reason = form == AMPSF_FORM_ILIKE || form == AMPSF_FORM_LOWER || form == AMPSF_FORM_UPPER
					  ? "SOQL has nothing like it for this type"
					  : ampsf_no_operator_reason(fclass);
		return AMPSF_LOCAL;
	}
	op = &ampsf_operators[i];
	is_pattern = strcmp(op->soql, "LIKE") == 0;
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
	 * Salesforce compares what it holds, with all decimals, whatever scale the field is declared
	 * with; and LIKE sees the blanks that char(n) adds.
	 */
	if (col->rounds || (coltype == BPCHAROID && is_pattern))
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
	if (is_pattern && strcmp(col->type, "picklist") == 0)
	{
		*reason = "SOQL's LIKE looks at the label of a picklist value";
		return AMPSF_LOCAL;
	}
	/* Whole numbers compare with whole numbers only: 2.5 would be refused. */
	whole = strcmp(col->type, "int") == 0;
	if ((whole || strcmp(col->type, "long") == 0) && typid != INT2OID && typid != INT4OID &&
		typid != INT8OID)
	{
		*reason = "the value's type differs from the field's";
		return AMPSF_LOCAL;
	}
	push = op->push;
	*reason = push == AMPSF_EXACT ? NULL : op->note;
	if (fclass == AMPSF_CLASS_NUMBER && !whole && !is_exact_operand(other, typid))
	{
		*reason = op->note;
		if (ampsf_is_negated(op)) /* it could leave rows out */
			return AMPSF_LOCAL;
		push = AMPSF_SUPERSET;
	}
	*tree = make_qual(AMPSF_QUAL_COMPARE);
	*tree = lappend(*tree, makeInteger(i));
	*tree = lappend(*tree, makeString(col->field));
	*tree = lappend(*tree, ampsf_classify_operand(cxt, other));
	if (whole)
		*tree = lappend(*tree, makeInteger(true));
	return push;
}

/*
 * A function of a date or datetime column as a mapping, in which a CaseTestExpr stands for the
 * column; NULL if it is none, or none that rises with the column (timerange.c).  *days: has it
 * whole days only?  *whole: whole numbers?
 */
static Node *
match_time_function(AmpsfClassify *cxt, Node *node, AmpsfColumn **col, bool *days, bool *whole)
{
	FuncExpr *func = (FuncExpr *) node;
	const AmpsfTimeFunction *fn;
	const char *unit = NULL;
	Node *arg;

	*col = ampsf_classify_column(cxt, node, NULL);
	if (*col)
	{
		CaseTestExpr *field = makeNode(CaseTestExpr);
		AmpsfFieldClass fclass = ampsf_field_class(*col);

		field->typeId = exprType(node);
		field->typeMod = -1;
		*days = *whole = field->typeId == DATEOID;
		if (fclass == AMPSF_CLASS_DATE
				? field->typeId == DATEOID
				: fclass == AMPSF_CLASS_DATETIME &&
					  (field->typeId == TIMESTAMPTZOID || field->typeId == TIMESTAMPOID))
			return (Node *) field;
		return NULL;
	}
	if (!IsA(node, FuncExpr) || (fn = ampsf_find_time_function(func->funcid)) == NULL)
		return NULL;
	for (int i = 0; i < list_length(func->args); i++)
	{
		Const *c = list_nth(func->args, i);
		char *word;

		if (i == fn->arg)
			continue;
		/*
		 * A parameter might name no unit, and no time zone: an error, but only if there is a row.
		 */
		if (!IsA(c, Const) || c->constisnull || (i != fn->unit && i != fn->zone))
			return NULL;
		word = TextDatumGetCString(c->constvalue);
		if (i == fn->zone && pg_tzset(word) == NULL)
			return NULL;
		if (i == fn->unit && !ampsf_time_unit_ok(fn, word))
			return NULL;
		if (i == fn->unit)
			unit = word;
	}
	arg = match_time_function(cxt, list_nth(func->args, fn->arg), col, days, whole);
	if (!arg || (fn->wants_days && !*days) || (fn->whole && !*whole))
		return NULL;
	*whole = unit && pg_strcasecmp(unit, "epoch") != 0 && pg_strcasecmp(unit, "julian") != 0;
	*days = func->funcresulttype == DATEOID ||
			(*days && func->funcid != F_TIMEZONE_TEXT_TIMESTAMPTZ) ||
			(unit && ampsf_unit_is_days(unit));
	func = copyObject(func);
	lfirst(list_nth_cell(func->args, fn->arg)) = arg;
	return (Node *) func;
}

/* Is it a constant of so few values that the ranges of all of them can be sent? */
static bool
is_short_list(Node *node)
{
	Const *list = (Const *) node;
	ArrayType *array;

	if (!IsA(node, Const) || list->constisnull)
		return IsA(node, Const);
	array = DatumGetArrayTypeP(list->constvalue);
	return ArrayGetNItems(ARR_NDIM(array), ARR_DIMS(array)) <= AMPSF_MAX_EXACT_LIST;
}

/* f(field) op value, or an element of the value, which is an array with ANY and ALL. */
static AmpsfPushClass
classify_time(AmpsfClassify *cxt, Node *left, Oid opno, AmpsfOperatorForm form, Node *other,
			  List **tree, const char **reason)
{
	AmpsfColumn *col;
	bool days, whole;
	Node *mapping = match_time_function(cxt, left, &col, &days, &whole);
	Oid typid = exprType(other);
	const char *opname = builtin_operator(opno);
	static const char *const known[] = {"=", "<>", "<", "<=", ">", ">="};
	bool ok = false;

	if (!mapping)
		return AMPSF_LOCAL;
	for (int i = 0; opname && i < (int) lengthof(known); i++)
		ok |= strcmp(opname, known[i]) == 0;
	if (!ok)
		return AMPSF_LOCAL;
	if (!col->filterable)
	{
		*reason = "Salesforce cannot filter by this field";
		return AMPSF_LOCAL;
	}
	/* A local time is compared with an instant by what the clocks make of it: this may fall. */
	if (!days && exprType(left) == TIMESTAMPOID &&
		(form == AMPSF_FORM_BINARY ? typid : get_element_type(typid)) == TIMESTAMPTZOID)
		return AMPSF_LOCAL;
	*reason = NULL;
	if (form != AMPSF_FORM_BINARY && !is_short_list(other))
		*reason = "where it takes too many ranges, one around all of them is sent";
	*tree = make_qual(AMPSF_QUAL_RANGE);
	*tree = lappend(*tree, makeInteger(form));
	*tree = lappend(*tree, makeInteger((int) opno));
	*tree = lappend(*tree, makeString(col->field));
	*tree = lappend(*tree, ampsf_classify_operand(cxt, other));
	*tree = lappend(*tree, mapping);
	return *reason ? AMPSF_SUPERSET : AMPSF_EXACT;
}

/* lower(field), upper(field): the field, and which of them. */
static Node *
match_folded(AmpsfClassify *cxt, Node *node, AmpsfOperatorForm *form, bool *deterministic)
{
	FuncExpr *func = (FuncExpr *) node;

	if (!IsA(node, FuncExpr) || (func->funcid != F_LOWER_TEXT && func->funcid != F_UPPER_TEXT) ||
		!ampsf_classify_column(cxt, linitial(func->args), NULL))
		return NULL;
	*form = func->funcid == F_LOWER_TEXT ? AMPSF_FORM_LOWER : AMPSF_FORM_UPPER;
	*deterministic = is_deterministic(func->inputcollid);
	return linitial(func->args);
}

/* The form of an operator between a field, which is left, and a value. */
static AmpsfOperatorForm
form_of(const char *opname)
{
	static const struct
	{
		const char *opname;
		AmpsfOperatorForm form;
	} forms[] = {{"~~", AMPSF_FORM_LIKE},	  {"~~*", AMPSF_FORM_ILIKE},
				 {"^@", AMPSF_FORM_PREFIX},	  {"@>", AMPSF_FORM_CONTAINS},
				 {"<@", AMPSF_FORM_OVERLAPS}, {"&&", AMPSF_FORM_OVERLAPS}};

	for (int i = 0; i < (int) lengthof(forms); i++)
		if (strcmp(forms[i].opname, opname) == 0)
			return forms[i].form;
	return AMPSF_FORM_BINARY;
}

/*
 * The value as it is compared: a timestamptz against a date or a timestamp compares by the
 * session's time zone: exactly what the cast does, so the value can be cast before it is sent.  A
 * date is cast when the statement is printed, since not all of them can be.  NULL if the types
 * differ otherwise.
 */
static Node *
cast_time_value(Oid left, Node *right)
{
	Oid typid = exprType(right);

	if (left == TIMESTAMPTZOID && typid == TIMESTAMPOID)
		return coerce_to_target_type(NULL, right, typid, TIMESTAMPTZOID, -1, COERCION_EXPLICIT,
									 COERCE_IMPLICIT_CAST, -1);
	if ((left == TIMESTAMPTZOID || left == TIMESTAMPOID || left == DATEOID) && left != typid &&
		!(left == TIMESTAMPTZOID && typid == DATEOID))
		return NULL;
	return right;
}

/*
 * left op right, one of them a field or something computed of one, the other a value.  distinct:
 * BINARY for the operator itself, or one of the two forms of IS DISTINCT FROM, whose operator is =.
 */
static AmpsfPushClass
classify_op(AmpsfClassify *cxt, OpExpr *op, AmpsfOperatorForm distinct, List **tree,
			const char **reason)
{
	Node *left, *right, *field;
	AmpsfColumn *col = NULL;
	Oid opno = op->opno;
	const char *opname;
	AmpsfOperatorForm form = distinct;
	bool deterministic = true;

	*reason = "not a comparison of a field with a value";
	if (list_length(op->args) != 2)
		return AMPSF_LOCAL;
	left = linitial(op->args);
	right = lsecond(op->args);
	if (is_fixed(cxt, left))
	{
		Node *swap = left;

		left = right;
		right = swap;
		opno = get_commutator(opno);
		if (!OidIsValid(opno))
			return AMPSF_LOCAL;
	}
	opname = builtin_operator(opno);
	if (!opname)
	{
		*reason = "the operator is not PostgreSQL's own";
		return AMPSF_LOCAL;
	}
	field = left;
	col = ampsf_classify_column(cxt, left, NULL);
	if (!col && distinct == AMPSF_FORM_BINARY &&
		(field = match_folded(cxt, left, &form, &deterministic)) != NULL)
		col = ampsf_classify_column(cxt, field, NULL);
	if (!is_fixed(cxt, right))
	{
		*reason = contain_volatile_functions(right) ? "the value is volatile"
													: "SOQL compares a field with a value only";
		return AMPSF_LOCAL;
	}
	if (!col)
		return distinct == AMPSF_FORM_BINARY
				   ? classify_time(cxt, left, opno, AMPSF_FORM_BINARY, right, tree, reason)
				   : AMPSF_LOCAL;
	if (!deterministic)
	{
		*reason = "the collation is not deterministic";
		return AMPSF_LOCAL;
	}
	if (form == AMPSF_FORM_BINARY)
		form = form_of(opname);
	if (form == AMPSF_FORM_BINARY && strcmp(opname, "=") == 0 &&
		ampsf_field_class(col) == AMPSF_CLASS_MULTI)
		form = AMPSF_FORM_CONTAINS;
	if (form == AMPSF_FORM_DISTINCT)
		opname = "<>";
	right = cast_time_value(exprType(field), right);
	if (!right)
	{
		*reason = "the value's type differs from the field's";
		return AMPSF_LOCAL;
	}
	return classify_comparison(cxt, col, exprType(field), opname, form, exprType(right),
							   op->inputcollid, right, tree, reason);
}

/* starts_with(field, value) is field ^@ value. */
static AmpsfPushClass
classify_function(AmpsfClassify *cxt, FuncExpr *func, List **tree, const char **reason)
{
	AmpsfColumn *col;
	Node *value;

	if (func->funcid != F_STARTS_WITH)
		return AMPSF_LOCAL;
	col = ampsf_classify_column(cxt, linitial(func->args), NULL);
	value = lsecond(func->args);
	*reason = "not a comparison of a field with a value";
	if (!col || !is_fixed(cxt, value))
		return AMPSF_LOCAL;
	return classify_comparison(cxt, col, exprType(linitial(func->args)), "^@", AMPSF_FORM_PREFIX,
							   exprType(value), func->inputcollid, value, tree, reason);
}

static AmpsfPushClass
classify_array_op(AmpsfClassify *cxt, ScalarArrayOpExpr *op, List **tree, const char **reason)
{
	Node *left = linitial(op->args);
	Node *right = lsecond(op->args);
	AmpsfColumn *col = ampsf_classify_column(cxt, left, NULL);
	const char *opname = builtin_operator(op->opno);
	Oid elemtype = get_base_element_type(exprType(right));
	AmpsfOperatorForm form = op->useOr ? AMPSF_FORM_ANY : AMPSF_FORM_ALL;

	*reason = "not a comparison of a field with a list of values";
	if (!opname || !OidIsValid(elemtype))
		return AMPSF_LOCAL;
	if (is_fixed(cxt, left) && ampsf_classify_column(cxt, right, NULL))
	{
		Node *swap = left;

		col = ampsf_classify_column(cxt, right, NULL);
		form = AMPSF_FORM_MEMBER;
		left = right;
		right = swap;
		elemtype = exprType(right);
		if (!op->useOr || ampsf_field_class(col) != AMPSF_CLASS_MULTI)
		{
			*reason = "SOQL has nothing like it";
			return AMPSF_LOCAL;
		}
	}
	if (!is_fixed(cxt, right))
	{
		*reason = contain_volatile_functions(right) ? "the value is volatile"
													: "SOQL compares a field with values only";
		return AMPSF_LOCAL;
	}
	if (strcmp(opname, op->useOr ? "=" : "<>") != 0)
	{
		*reason = "SOQL has IN and NOT IN only";
		return AMPSF_LOCAL;
	}
	if (!col)
		return classify_time(cxt, left, op->opno, form, right, tree, reason);
	if ((exprType(left) == TIMESTAMPTZOID || exprType(left) == TIMESTAMPOID ||
		 exprType(left) == DATEOID) &&
		exprType(left) != elemtype)
	{
		*reason = "the value's type differs from the field's";
		return AMPSF_LOCAL;
	}
	return classify_comparison(cxt, col, exprType(left), opname, form, elemtype, op->inputcollid,
							   right, tree, reason);
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
		*tree =
			test->nulltesttype == IS_NULL ? make_qual(AMPSF_QUAL_NEVER) : make_qual(AMPSF_QUAL_AND);
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
 * A part of an AND or OR.  One that is the same for every row ($1 IS NULL, for a filter that may be
 * left out) decides, when its value is known, what of the others is sent.
 */
static AmpsfPushClass
classify_part(AmpsfClassify *cxt, Expr *expr, List **tree, const char **reason)
{
	if (!is_fixed(cxt, (Node *) expr))
		return ampsf_classify(cxt, expr, tree, reason);
	*tree = lappend(make_qual(AMPSF_QUAL_FIXED), ampsf_classify_operand(cxt, (Node *) expr));
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

	if (expr->boolop == NOT_EXPR && IsA(linitial(expr->args), DistinctExpr))
		return classify_op(cxt, linitial(expr->args), AMPSF_FORM_NOT_DISTINCT, tree, reason);
	if (expr->boolop == NOT_EXPR)
	{
		AmpsfPushClass push = classify_boolean(cxt, linitial(expr->args), false, tree, reason);

		if (push == AMPSF_LOCAL && !ampsf_classify_column(cxt, linitial(expr->args), NULL))
			*reason = "SOQL's NOT takes null for false";
		return push;
	}

	*reason = NULL;
	foreach (lc, expr->args)
	{
		List *child = NIL;
		const char *why = NULL;
		AmpsfPushClass c = classify_part(cxt, lfirst(lc), &child, &why);

		if (why && !*reason)
			*reason = why;
		if (c == AMPSF_LOCAL)
		{
			if (!is_and)
			{
				*reason = why;
				return AMPSF_LOCAL;
			}
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

/*
 * b IS TRUE and the like.  For a condition that is not a field, only where it must be true: what is
 * null counts as false here.
 */
static AmpsfPushClass
classify_boolean_test(AmpsfClassify *cxt, BooleanTest *test, List **tree, const char **reason)
{
	AmpsfPushClass push;

	if (!ampsf_classify_column(cxt, (Node *) test->arg, NULL))
	{
		if (test->booltesttype == IS_TRUE)
			return ampsf_classify(cxt, test->arg, tree, reason);
		*reason = "SOQL knows true and false only";
		return AMPSF_LOCAL;
	}
	switch (test->booltesttype)
	{
		case IS_TRUE:
		case IS_NOT_FALSE:
			return classify_boolean(cxt, (Node *) test->arg, true, tree, reason);
		case IS_FALSE:
		case IS_NOT_TRUE:
			return classify_boolean(cxt, (Node *) test->arg, false, tree, reason);
		case IS_UNKNOWN:
		case IS_NOT_UNKNOWN:
			break;
	}
	push = classify_boolean(cxt, (Node *) test->arg, true, tree, reason);
	if (push == AMPSF_EXACT)
		*tree = make_qual(test->booltesttype == IS_UNKNOWN ? AMPSF_QUAL_NEVER : AMPSF_QUAL_AND);
	return push;
}

/* coalesce(condition, false) is the condition; coalesce(field, true) the field, which is never
 * null. */
static AmpsfPushClass
classify_coalesce(AmpsfClassify *cxt, CoalesceExpr *expr, List **tree, const char **reason)
{
	Const *other = list_length(expr->args) == 2 ? lsecond(expr->args) : NULL;

	if (expr->coalescetype != BOOLOID || !other || !IsA(other, Const) || other->constisnull)
		return AMPSF_LOCAL;
	if (DatumGetBool(other->constvalue))
		return classify_boolean(cxt, linitial(expr->args), true, tree, reason);
	return ampsf_classify(cxt, linitial(expr->args), tree, reason);
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
			return classify_op(cxt, (OpExpr *) expr, AMPSF_FORM_BINARY, tree, reason);
		case T_DistinctExpr:
			return classify_op(cxt, (OpExpr *) expr, AMPSF_FORM_DISTINCT, tree, reason);
		case T_FuncExpr:
			return classify_function(cxt, (FuncExpr *) expr, tree, reason);
		case T_ScalarArrayOpExpr:
			return classify_array_op(cxt, (ScalarArrayOpExpr *) expr, tree, reason);
		case T_NullTest:
			return classify_null_test(cxt, (NullTest *) expr, tree, reason);
		case T_BoolExpr:
			return classify_bool_expr(cxt, (BoolExpr *) expr, tree, reason);
		case T_BooleanTest:
			return classify_boolean_test(cxt, (BooleanTest *) expr, tree, reason);
		case T_CoalesceExpr:
			return classify_coalesce(cxt, (CoalesceExpr *) expr, tree, reason);
		case T_Var:
		case T_RelabelType:
			return classify_boolean(cxt, (Node *) expr, true, tree, reason);
		default:
			return AMPSF_LOCAL;
	}
}
