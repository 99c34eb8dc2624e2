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

/* What is collected for the plan; the lists are those of AmpsfScanPrivate. */
typedef struct Upper
{
	PlannerInfo *root;
	RelOptInfo *base;
	AmpsfRelInfo *info;
	Oid relid;
	List *fields, *keys, *sources, *attnums;
	List *exprs; /* what the slot's columns are: Vars, or Aggrefs */
} Upper;

/*
 * The only relation of the query, if it is a foreign table of ours and Salesforce's answer to its clauses is
 * final.  A list might have to be left out of a statement, and be checked here.
 */
static bool
find_base(PlannerInfo *root, RelOptInfo *input_rel, Upper *up)
{
	int relid;
	ListCell *lc;

	memset(up, 0, sizeof(*up));
	if (root->parse->commandType != CMD_SELECT || root->parse->rowMarks != NIL ||
		!bms_get_singleton_member(root->all_baserels, &relid) ||
		(input_rel->reloptkind != RELOPT_UPPER_REL && !bms_equal(input_rel->relids, root->all_baserels)))
		return false;
	up->root = root;
	up->base = root->simple_rel_array[relid];
	if (up->base->reloptkind != RELOPT_BASEREL || root->simple_rte_array[relid]->inh)
		return false;
	up->info = up->base->fdw_private;
	if (!up->info) /* a condition that is false by itself: there is nothing to scan */
		return false;
	up->relid = root->simple_rte_array[relid]->relid;
	foreach (lc, up->info->classes)
		if (lfirst_int(lc) != AMPSF_EXACT)
			return false;
	foreach (lc, up->info->trees)
		if (ampsf_has_list(lfirst(lc)))
			return false;
	foreach (lc, up->info->clauses)
		if (lfirst_node(RestrictInfo, lc)->pseudoconstant)
			return false;
	return true;
}

static AmpsfColumn *
column_of(Upper *up, Node *node, AttrNumber *attnum)
{
	Var *var = (Var *) node;

	if (!IsA(node, Var) || var->varno != (int) up->base->relid || var->varattno <= 0)
		return NULL;
	*attnum = var->varattno;
	return ampsf_classify_column(&up->info->classify, var->varattno);
}

/* Adds a column to the slot, as the value of a field. */
static void
add_column(Upper *up, Node *expr, char *field, char *key, AttrNumber attnum)
{
	int place = ampsf_place_of_field(&up->fields, field);

	if (place == list_length(up->keys))
		up->keys = lappend(up->keys, makeString(key));
	up->exprs = lappend(up->exprs, expr);
	up->sources = lappend_int(up->sources, place);
	up->attnums = lappend_int(up->attnums, attnum);
}

/* A path for output_rel that makes the plan from what has been collected. */
static void
add_upper_path(Upper *up, RelOptInfo *output_rel, PathTarget *target, double rows, List *pathkeys,
			   const char *order, List *bounds)
{
	Cost startup, total;
	List *slots = NIL;
	List *scan_tlist = NIL;
	List *fdw_private;
	QualCost per_row = target->cost;
	ListCell *lc;

	foreach (lc, up->exprs)
	{
		slots = lappend_int(slots, foreach_current_index(lc) + 1);
		scan_tlist = lappend(scan_tlist,
							 makeTargetEntry(lfirst(lc), foreach_current_index(lc) + 1, NULL, false));
	}
	if (up->fields == NIL)
		up->fields = up->keys = list_make1(makeString(pstrdup("Id")));

	fdw_private = list_make4(makeInteger((int) up->relid), makeString(up->info->table->object), up->fields,
							 up->keys);
	fdw_private = lappend(fdw_private, slots);
	fdw_private = lappend(fdw_private, up->sources);
	fdw_private = lappend(fdw_private, up->attnums);
	fdw_private = lappend(fdw_private, up->info->trees);
	fdw_private = lappend(fdw_private, NIL);
	fdw_private = lappend(fdw_private, NIL);
	fdw_private = lappend(fdw_private, makeInteger(-1));
	fdw_private = lappend(fdw_private, makeString(pstrdup(order)));
	fdw_private = lappend(fdw_private, bounds);
	Assert(list_length(fdw_private) == AMPSF_SCAN_LENGTH);

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
aggregate_call(Upper *up, Aggref *agg, AttrNumber *attnum)
{
	char *name = agg->aggfnoid < FirstGenbkiObjectId ? get_func_name(agg->aggfnoid) : NULL;
	AmpsfColumn *col;
	AmpsfFieldClass fclass;

	*attnum = 0;
	if (!name || agg->agglevelsup != 0 || agg->aggsplit != AGGSPLIT_SIMPLE || agg->aggfilter ||
		agg->aggorder != NIL || agg->aggdirectargs != NIL || agg->aggvariadic ||
		agg->aggkind != AGGKIND_NORMAL)
		return NULL;
	if (agg->aggstar)
		return strcmp(name, "count") == 0 ? pstrdup("COUNT(Id)") : NULL;
	if (list_length(agg->args) != 1)
		return NULL;
	col = column_of(up, (Node *) linitial_node(TargetEntry, agg->args)->expr, attnum);
	if (!col || !col->filterable || strchr(col->field, '.'))
		return NULL;
	fclass = ampsf_field_class(col);
	if (strcmp(name, "count") == 0)
	{
		bool distinct = agg->aggdistinct != NIL;

		*attnum = 0;
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
		AttrNumber attnum;
		char *call, *alias;

		if (!IsA(lfirst(lc), Aggref))
			return;
		if (list_member(up.exprs, lfirst(lc)))
			continue;
		call = aggregate_call(&up, lfirst(lc), &attnum);
		if (!call)
			return;
		alias = psprintf("a%d", list_length(up.exprs));
		add_column(&up, lfirst(lc), psprintf("%s %s", call, alias), alias, attnum);
	}
	if (up.exprs != NIL)
		add_upper_path(&up, output_rel, target, 1, NIL, "", NIL);
}

/* -------- ORDER BY and LIMIT -------- */

/* Appends a sort key to ORDER BY's list; false if Salesforce sorts otherwise. */
static bool
append_sort_key(Upper *up, StringInfo order, PathKey *key)
{
	EquivalenceClass *ec = key->pk_eclass;
	ListCell *lc;

	if (ec->ec_has_volatile || key->pk_opfamily >= FirstGenbkiObjectId)
		return false;
	foreach (lc, ec->ec_members)
	{
		EquivalenceMember *em = lfirst(lc);
		AttrNumber attnum;
		AmpsfColumn *col = column_of(up, (Node *) em->em_expr, &attnum);
		AmpsfFieldClass fclass;

		/*
		 * Amounts sort by what they are worth in the org's own currency; a parent's fields may have their
		 * nulls where they like.
		 */
		if (!col || !col->sortable || strcmp(col->type, "currency") == 0 || strchr(col->field, '.'))
			continue;
		fclass = ampsf_field_class(col);
		if (fclass != AMPSF_CLASS_NUMBER && fclass != AMPSF_CLASS_DATE && fclass != AMPSF_CLASS_DATETIME)
			continue;
		/*
		 * A column of another SQL type than the field's is sorted as that type, e.g. as text; and what
		 * it rounds ties where the field does not.
		 */
		if (!ampsf_literal_type_ok(fclass, em->em_datatype) || col->rounds)
			continue;
		appendStringInfo(order, "%s%s %s NULLS %s", order->len ? ", " : "", col->field,
						 ampsf_pathkey_descends(key) ? "DESC" : "ASC",
						 key->pk_nulls_first ? "FIRST" : "LAST");
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
		AttrNumber attnum;
		AmpsfColumn *col = column_of(&up, lfirst(lc), &attnum);

		if (!col) /* a whole row, a system column */
			return;
		if (!list_member(up.exprs, lfirst(lc)))
			add_column(&up, lfirst(lc), col->field, col->field, attnum);
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
