/*
 * order.c - ORDER BY with LIMIT as SOQL: of rows, and of groups.
 *
 * Only keys that Salesforce sorts as SQL does, always with the place of nulls.  Must not know: the
 * executor.
 */
#include "base/ampsf.h"
#include "plan/order.h"
#include "plan/aggregate.h"
#include "plan/operators.h"

#include "access/transam.h"
#include "catalog/pg_type.h"
#include "optimizer/clauses.h"
#include "optimizer/optimizer.h"

bool
ampsf_append_sort_key(StringInfo order, PathKey *key, EquivalenceMember *em, const AmpsfColumn *col)
{
	AmpsfFieldClass fclass;

	if (key->pk_eclass->ec_has_volatile || key->pk_opfamily >= FirstGenbkiObjectId)
		return false;
	/* Amounts sort by what they are worth in the org's own currency. */
	if (!col || !col->sortable || strcmp(col->type, "currency") == 0)
		return false;
	/* A parent's nulls are on top, whatever is asked for. */
	if (strchr(col->field, '.') && !key->pk_nulls_first)
		return false;
	fclass = ampsf_field_class(col);
	if (fclass != AMPSF_CLASS_NUMBER && fclass != AMPSF_CLASS_DATE &&
		fclass != AMPSF_CLASS_DATETIME)
		return false;
	/*
	 * A column of another SQL type than the field's is sorted as that type, e.g. as text; and what
	 * it rounds ties where the field does not.
	 */
	if (!ampsf_literal_type_ok(fclass, em->em_datatype) || col->rounds)
		return false;
	appendStringInfo(order, "%s%s %s NULLS %s", order->len ? ", " : "", col->field,
					 ampsf_pathkey_descends(key) ? "DESC" : "ASC",
					 key->pk_nulls_first ? "FIRST" : "LAST");
	return true;
}

/* Appends a sort key to the statement's; false if Salesforce sorts otherwise. */
static bool
append_sort_key(AmpsfUpper *up, PathKey *key)
{
	ListCell *lc;

	foreach (lc, key->pk_eclass->ec_members)
	{
		EquivalenceMember *em = lfirst(lc);
		AmpsfColumn *col = up->group_by.len > 0
							   ? ampsf_group_column(up, (Node *) em->em_expr)
							   : ampsf_upper_column(up, (Node *) em->em_expr, NULL);

		if (ampsf_append_sort_key(&up->order, key, em, col))
			return true;
	}
	return false;
}

static bool
append_sort_keys(AmpsfUpper *up)
{
	ListCell *lc;

	foreach (lc, up->root->sort_pathkeys)
		if (!append_sort_key(up, lfirst(lc)))
			return false;
	return true;
}

/* LIMIT or OFFSET as an operand of the plan; false if it cannot be known before the scan. */
static bool
bound_operand(AmpsfUpper *up, Node *expr, Node **operand)
{
	*operand = NULL;
	if (!expr || (IsA(expr, Const) && ((Const *) expr)->constisnull))
		return true;
	if (contain_var_clause(expr) || contain_volatile_functions(expr) || contain_subplans(expr))
		return false;
	*operand = ampsf_classify_operand(&up->info->classify, expr);
	return true;
}

/* The rows that a constant LIMIT lets through, or that a constant OFFSET passes over; -1: not
 * known. */
static int64
constant_bound(Node *operand)
{
	if (!operand)
		return 0;
	return IsA(operand, Const) ? DatumGetInt64(((Const *) operand)->constvalue) : -1;
}

/* The first groups: no more than any statement can give, so that nothing has to be done about
 * others. */
static bool
collect_first_groups(AmpsfUpper *up, PathTarget *target)
{
	Query *parse = up->root->parse;
	bool distinct = ampsf_is_plain_distinct(parse);
	int64 limit = constant_bound(linitial(up->bounds));
	int64 offset = constant_bound(lsecond(up->bounds));

	if (parse->groupingSets != NIL ||
		(!distinct && (parse->groupClause == NIL || parse->distinctClause != NIL)) || limit < 0 ||
		offset < 0 || limit > AMPSF_SURE_GROUPS || limit + offset > AMPSF_SURE_GROUPS)
		return false;
	if (!ampsf_collect_groups(up, target, distinct ? parse->distinctClause : parse->groupClause,
							  parse->havingQual) ||
		up->group_by.len == 0 || !up->having_exact)
		return false;
	up->few = true;
	return append_sort_keys(up);
}

static bool
collect_first_rows(AmpsfUpper *up, PathTarget *target)
{
	ListCell *lc;

	if (!append_sort_keys(up))
		return false;
	/* Rows that tie must not change places from one page to the next. */
	if (up->order.len)
		appendStringInfoString(&up->order, ", Id");
	foreach (lc, pull_var_clause((Node *) target->exprs, PVC_INCLUDE_PLACEHOLDERS))
	{
		AmpsfMember *member;
		AmpsfColumn *col = ampsf_upper_column(up, lfirst(lc), &member);

		if (!col) /* a whole row, a system column */
			return false;
		if (!list_member(up->exprs, lfirst(lc)))
			ampsf_upper_output(up, lfirst(lc), col->field, col->field, member->relid,
							   ((Var *) lfirst(lc))->varattno);
	}
	/* So many fields take several statements, each with a row's other half. */
	return ampsf_split_fields(up->out.fields) == NIL;
}

void
ampsf_limit_paths(PlannerInfo *root, RelOptInfo *input_rel, RelOptInfo *output_rel)
{
	Query *parse = root->parse;
	RelOptInfo *rel = ampsf_query_rel(root);
	PathTarget *target = root->upper_targets[UPPERREL_FINAL];
	bool grouped = parse->groupClause != NIL || parse->distinctClause != NIL;
	AmpsfUpper up;
	Node *limit, *offset;
	double rows;

	if (!parse->limitCount || parse->limitOption != LIMIT_OPTION_COUNT || parse->hasWindowFuncs ||
		parse->hasTargetSRFs || parse->setOperations ||
		(!IS_UPPER_REL(input_rel) && input_rel != rel) || !ampsf_upper_start(root, rel, &up))
		return;
	if (!grouped && (parse->hasAggs || parse->groupingSets != NIL || root->hasHavingQual))
		return;
	if (!bound_operand(&up, parse->limitCount, &limit) || !limit ||
		!bound_operand(&up, parse->limitOffset, &offset))
		return;
	up.bounds = list_make2(limit, offset);
	if (grouped ? !collect_first_groups(&up, target) : !collect_first_rows(&up, target))
		return;
	/* Of groups PostgreSQL does not tell how many rows LIMIT will need. */
	if (grouped)
		rows = constant_bound(limit);
	else
		rows = root->limit_tuples >= 0 ? root->limit_tuples : up.info->remote_rows / 10;
	rows = clamp_row_est(Min(rows, up.info->remote_rows));
	ampsf_upper_path(&up, output_rel, target, rows, rows, root->sort_pathkeys, NULL);
}
