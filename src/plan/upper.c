/*
 * upper.c - what Salesforce can compute above a scan for less than sending the rows: aggregates over all
 * rows of a condition, and ORDER BY with LIMIT.
 *
 * Both only where every clause is exact: what is checked again here must arrive here.  Whatever is not
 * recognized stays PostgreSQL's.  Must not know: the executor.
 *
 * Not pushed, and why: SUM and AVG (Salesforce adds in floating point), MIN and MAX of currencies (converted
 * in orgs with several) and of texts (another order), GROUP BY (more than 2,000 groups are an error).
 */
#include "base/ampsf.h"
#include "plan/scan_paths.h"
#include "plan/operators.h"

#include "access/transam.h"
#include "catalog/pg_aggregate.h"
#include "catalog/pg_type.h"
#include "nodes/makefuncs.h"
#include "optimizer/clauses.h"
#include "optimizer/optimizer.h"
#include "optimizer/planmain.h"
#include "optimizer/tlist.h"
#include "utils/lsyscache.h"

/* What is collected for the plan. */
typedef struct Upper
{
	PlannerInfo *root;
	AmpsfRelInfo *info;
	AmpsfOutput out;
	List *exprs; /* what the slot's columns are: Vars, or Aggrefs */
} Upper;

/*
 * The statement that gives the rows of the query's FROM and WHERE, if it is one statement of ours and
 * Salesforce's answer to its clauses is final.
 */
static bool
find_base(PlannerInfo *root, RelOptInfo *input_rel, Upper *up)
{
	RelOptInfo *rel = ampsf_query_rel(root);

	memset(up, 0, sizeof(*up));
	if (root->parse->commandType != CMD_SELECT || root->parse->rowMarks != NIL || !rel ||
		(!IS_UPPER_REL(input_rel) && input_rel != rel) || !rel->fdwroutine || !rel->fdw_private ||
		rel->fdwroutine->GetForeignPaths != ampsfGetForeignPaths)
		return false;
	up->root = root;
	up->info = rel->fdw_private;
	return ampsf_all_exact(up->info);
}

static AmpsfColumn *
column_of(Upper *up, Node *node, AmpsfMember **member)
{
	return IsA(node, Var) ? ampsf_classify_column(&up->info->classify, node, member) : NULL;
}

/* Adds a column to the slot, as the value of a field. */
static void
add_column(Upper *up, Node *expr, char *field, char *key, Oid table, AttrNumber attnum)
{
	up->exprs = lappend(up->exprs, expr);
	ampsf_output_add(&up->out, list_length(up->exprs), field, key, table, attnum);
}

/* A path for output_rel that makes the plan from what has been collected. */
static void
add_upper_path(Upper *up, RelOptInfo *output_rel, PathTarget *target, double rows, List *pathkeys,
			   const char *order, List *bounds)
{
	Cost startup, total;
	List *scan_tlist = NIL;
	List *fdw_private;
	QualCost per_row = target->cost;
	ListCell *lc;

	foreach (lc, up->exprs)
		scan_tlist = lappend(scan_tlist,
							 makeTargetEntry(lfirst(lc), foreach_current_index(lc) + 1, NULL, false));
	fdw_private = ampsf_scan_private(up->info, &up->out, up->info->trees, NIL, NIL, -1, order, bounds);

	ampsf_cost_scan(up->info->server, up->info->table->page_size, rows, &startup, &total);
	/* The same number of calls, and never more rows: let it win where estimates see no difference. */
	startup *= 0.98;
	total *= 0.98;
	startup += per_row.startup;
	total += per_row.startup + per_row.per_tuple * rows;
	output_rel->fdw_private = up->info; /* once is enough */
	add_path(output_rel,
			 (Path *) create_foreign_upper_path(
				 up->root, output_rel, target, rows, AMPSF_DISABLED_NODES startup, total, pathkeys, NULL,
				 AMPSF_RESTRICTINFO(NIL) list_make3(fdw_private, scan_tlist, up->info->classify.params)));
}

ForeignScan *
ampsf_upper_plan(ForeignPath *path, List *tlist, Plan *outer_plan)
{
	return make_foreignscan(tlist, NIL, 0, lthird(path->fdw_private), linitial(path->fdw_private),
							lsecond(path->fdw_private), NIL, outer_plan);
}

/* -------- aggregates -------- */

/* SOQL's function for an aggregate, printed over its field; NULL if it is not pushed. */
static char *
aggregate_call(Upper *up, Aggref *agg, Oid *table, AttrNumber *attnum)
{
	char *name = agg->aggfnoid < FirstGenbkiObjectId ? get_func_name(agg->aggfnoid) : NULL;
	AmpsfColumn *col;
	AmpsfMember *member;
	AmpsfFieldClass fclass;
	Var *var;

	*table = up->info->relid;
	*attnum = 0;
	if (!name || agg->agglevelsup != 0 || agg->aggsplit != AGGSPLIT_SIMPLE || agg->aggfilter ||
		agg->aggorder != NIL || agg->aggdirectargs != NIL || agg->aggvariadic ||
		agg->aggkind != AGGKIND_NORMAL)
		return NULL;
	if (agg->aggstar)
		return strcmp(name, "count") == 0 ? pstrdup("COUNT(Id)") : NULL;
	if (list_length(agg->args) != 1)
		return NULL;
	var = (Var *) linitial_node(TargetEntry, agg->args)->expr;
	col = column_of(up, (Node *) var, &member);
	if (!col || !col->filterable || strchr(col->field, '.'))
		return NULL;
	fclass = ampsf_field_class(col);
	if (strcmp(name, "count") == 0)
	{
		bool distinct = agg->aggdistinct != NIL;

		if (fclass == AMPSF_CLASS_ID || fclass == AMPSF_CLASS_DATE || fclass == AMPSF_CLASS_DATETIME)
			return psprintf(distinct ? "COUNT_DISTINCT(%s)" : "COUNT(%s)", col->field);
		if ((fclass == AMPSF_CLASS_NUMBER || fclass == AMPSF_CLASS_TEXT || fclass == AMPSF_CLASS_TEXT_CS) &&
			!distinct)
			return psprintf("COUNT(%s)", col->field);
		return NULL;
	}
	if (strcmp(name, "min") != 0 && strcmp(name, "max") != 0)
		return NULL;
	if (strcmp(col->type, "currency") == 0 ||
		(fclass != AMPSF_CLASS_NUMBER && fclass != AMPSF_CLASS_DATE && fclass != AMPSF_CLASS_DATETIME))
		return NULL;
	/* A column of another SQL type than the field's has another order, e.g. that of text. */
	if (!ampsf_literal_type_ok(fclass, agg->aggtype))
		return NULL;
	*table = member->relid;
	*attnum = var->varattno;
	return psprintf(name[1] == 'i' ? "MIN(%s)" : "MAX(%s)", col->field);
}

static void
add_aggregate_path(PlannerInfo *root, RelOptInfo *input_rel, RelOptInfo *output_rel)
{
	Query *parse = root->parse;
	PathTarget *target = root->upper_targets[UPPERREL_GROUP_AGG];
	Upper up;
	List *parts;
	ListCell *lc;

	if (!parse->hasAggs || parse->groupClause != NIL || parse->groupingSets != NIL ||
		root->hasHavingQual || !find_base(root, input_rel, &up))
		return;
	parts = pull_var_clause((Node *) target->exprs,
							PVC_INCLUDE_AGGREGATES | PVC_INCLUDE_WINDOWFUNCS | PVC_INCLUDE_PLACEHOLDERS);
	foreach (lc, parts)
	{
		Oid table;
		AttrNumber attnum;
		char *call, *alias;

		if (!IsA(lfirst(lc), Aggref))
			return;
		if (list_member(up.exprs, lfirst(lc)))
			continue;
		call = aggregate_call(&up, lfirst(lc), &table, &attnum);
		if (!call)
			return;
		alias = psprintf("a%d", list_length(up.exprs));
		add_column(&up, lfirst(lc), psprintf("%s %s", call, alias), alias, table, attnum);
	}
	if (up.exprs != NIL)
		add_upper_path(&up, output_rel, target, 1, NIL, "", NIL);
}

/* -------- ORDER BY and LIMIT -------- */

bool
ampsf_append_sort_key(StringInfo order, PathKey *key, EquivalenceMember *em, const AmpsfColumn *col)
{
	AmpsfFieldClass fclass;

	if (key->pk_eclass->ec_has_volatile || key->pk_opfamily >= FirstGenbkiObjectId)
		return false;
	/*
	 * Amounts sort by what they are worth in the org's own currency; a parent's fields may have their
	 * nulls where they like.
	 */
	if (!col || !col->sortable || strcmp(col->type, "currency") == 0 || strchr(col->field, '.'))
		return false;
	fclass = ampsf_field_class(col);
	if (fclass != AMPSF_CLASS_NUMBER && fclass != AMPSF_CLASS_DATE && fclass != AMPSF_CLASS_DATETIME)
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

/* Appends a sort key to ORDER BY's list; false if Salesforce sorts otherwise. */
static bool
append_sort_key(Upper *up, StringInfo order, PathKey *key)
{
	ListCell *lc;

	foreach (lc, key->pk_eclass->ec_members)
	{
		EquivalenceMember *em = lfirst(lc);

		if (ampsf_append_sort_key(order, key, em, column_of(up, (Node *) em->em_expr, NULL)))
			return true;
	}
	return false;
}

/* LIMIT or OFFSET as an operand of the plan; false if it cannot be known before the scan. */
static bool
bound_operand(Upper *up, Node *expr, Node **operand)
{
	*operand = NULL;
	if (!expr || (IsA(expr, Const) && ((Const *) expr)->constisnull))
		return true;
	if (contain_var_clause(expr) || contain_volatile_functions(expr) || contain_subplans(expr))
		return false;
	*operand = ampsf_classify_operand(&up->info->classify, expr);
	return true;
}

static void
add_limit_path(PlannerInfo *root, RelOptInfo *input_rel, RelOptInfo *output_rel)
{
	Query *parse = root->parse;
	PathTarget *target = root->upper_targets[UPPERREL_FINAL];
	Upper up;
	StringInfoData order;
	Node *limit, *offset;
	double rows;
	ListCell *lc;

	if (!parse->limitCount || parse->limitOption != LIMIT_OPTION_COUNT || parse->hasAggs ||
		parse->groupClause != NIL || parse->groupingSets != NIL || parse->distinctClause != NIL ||
		parse->hasWindowFuncs || parse->hasTargetSRFs || parse->setOperations || root->hasHavingQual ||
		!find_base(root, input_rel, &up))
		return;
	initStringInfo(&order);
	foreach (lc, root->sort_pathkeys)
		if (!append_sort_key(&up, &order, lfirst(lc)))
			return;
	/* Rows that tie must not change places from one page to the next. */
	if (order.len)
		appendStringInfoString(&order, ", Id");
	if (!bound_operand(&up, parse->limitCount, &limit) || !limit ||
		!bound_operand(&up, parse->limitOffset, &offset))
		return;
	foreach (lc, pull_var_clause((Node *) target->exprs, PVC_INCLUDE_PLACEHOLDERS))
	{
		AmpsfMember *member;
		AmpsfColumn *col = column_of(&up, lfirst(lc), &member);

		if (!col) /* a whole row, a system column */
			return;
		if (!list_member(up.exprs, lfirst(lc)))
			add_column(&up, lfirst(lc), col->field, col->field, member->relid,
					   ((Var *) lfirst(lc))->varattno);
	}
	rows = root->limit_tuples >= 0 ? Min(root->limit_tuples, up.info->remote_rows)
								   : clamp_row_est(up.info->remote_rows / 10);
	add_upper_path(&up, output_rel, target, clamp_row_est(rows), root->sort_pathkeys, order.data,
				   list_make2(limit, offset));
}

void
ampsfGetForeignUpperPaths(PlannerInfo *root, UpperRelationKind stage, RelOptInfo *input_rel,
						  RelOptInfo *output_rel, void *extra)
{
	if (output_rel->fdw_private)
		return;
	if (stage == UPPERREL_GROUP_AGG)
		add_aggregate_path(root, input_rel, output_rel);
	else if (stage == UPPERREL_FINAL)
		add_limit_path(root, input_rel, output_rel);
}
