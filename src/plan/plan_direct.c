/*
 * plan_direct.c - UPDATE and DELETE that need no row here: Salesforce alone decides which rows they
 * are, and every one is given the same values.
 *
 * Then the scan reads Ids only, and the executor never sees the rows.  Must not know: how rows are
 * written.
 */
#include "base/ampsf.h"
#include "plan/plan_modify.h"
#include "plan/plan_private.h"

#include "access/table.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/appendinfo.h"
#include "optimizer/clauses.h"
#include "optimizer/optimizer.h"
#include "utils/rel.h"

bool
ampsf_may_modify_direct(const AmpsfTableOptions *table)
{
	return !table->if_unchanged && !table->engagement;
}

/* The scan below ModifyTable that gives the rows of its relation number index; NULL: it is more. */
static ForeignScan *
find_scan(ModifyTable *plan, Index rti, int index)
{
	Plan *sub = outerPlan(plan);

	if (IsA(sub, Append))
	{
		Append *append = (Append *) sub;

		if (index >= list_length(append->appendplans))
			return NULL;
		sub = list_nth(append->appendplans, index);
	}
	else if (IsA(sub, Result) && outerPlan(sub) != NULL && IsA(outerPlan(sub), Append) &&
			 ((Result *) sub)->resconstantqual == NULL)
	{
		Append *append = (Append *) outerPlan(sub);

		if (index >= list_length(append->appendplans))
			return NULL;
		sub = list_nth(append->appendplans, index);
	}
	if (IsA(sub, ForeignScan) && ((ForeignScan *) sub)->scan.scanrelid == rti)
		return (ForeignScan *) sub;
	return NULL;
}

/* Is the expression the same for every row, and cheap to be evaluated once for all? */
static bool
is_same_for_all(Node *expr)
{
	return !contain_var_clause(expr) && !contain_volatile_functions(expr) &&
		   !contain_subplans(expr);
}

static bool
has_list_walker(Node *node, void *context)
{
	if (node == NULL)
		return false;
	if (IsA(node, ScalarArrayOpExpr) || is_orclause(node))
		return true;
	return expression_tree_walker(node, has_list_walker, context);
}

/*
 * A long list may have to be left out of the statement: then rows must be checked here, by the
 * columns in the result.  Offset as in pull_varattnos.
 */
static Bitmapset *
columns_to_check(ForeignScan *scan)
{
	Bitmapset *used = NULL;

	if (has_list_walker((Node *) scan->fdw_recheck_quals, NULL))
		pull_varattnos((Node *) scan->fdw_recheck_quals, scan->scan.scanrelid, &used);
	return used;
}

/* Leaves of what the scan reads the Id, which becomes the first field, and those columns. */
static bool
narrow_fields(ForeignScan *scan)
{
	List *private = scan->fdw_private;
	List *fields = list_nth(private, AMPSF_SCAN_FIELDS);
	List *keys = list_nth(private, AMPSF_SCAN_KEYS);
	List *slots = list_nth(private, AMPSF_SCAN_SLOTS);
	List *sources = list_nth(private, AMPSF_SCAN_SOURCES);
	List *tables = list_nth(private, AMPSF_SCAN_TABLES);
	List *attnums = list_nth(private, AMPSF_SCAN_ATTNUMS);
	Bitmapset *used = columns_to_check(scan);
	List *new_fields = list_make1(makeString(pstrdup("Id")));
	List *new_slots = NIL, *new_sources = NIL, *new_tables = NIL, *new_attnums = NIL;

	if (!equal(fields, keys))
		return false;
	for (int i = 0; i < list_length(slots); i++)
	{
		int attnum = list_nth_int(slots, i);
		String *field = list_nth(fields, list_nth_int(sources, i));
		int source;

		if (!bms_is_member(attnum - FirstLowInvalidHeapAttributeNumber, used))
			continue;
		if (pg_strcasecmp(strVal(field), "Id") == 0)
			source = 0;
		else
		{
			source = list_length(new_fields);
			new_fields = lappend(new_fields, field);
		}
		new_slots = lappend_int(new_slots, attnum);
		new_sources = lappend_int(new_sources, source);
		new_tables = lappend_oid(new_tables, list_nth_oid(tables, i));
		new_attnums = lappend_int(new_attnums, list_nth_int(attnums, i));
	}
	lfirst(list_nth_cell(private, AMPSF_SCAN_FIELDS)) = new_fields;
	lfirst(list_nth_cell(private, AMPSF_SCAN_KEYS)) = new_fields;
	lfirst(list_nth_cell(private, AMPSF_SCAN_SLOTS)) = new_slots;
	lfirst(list_nth_cell(private, AMPSF_SCAN_SOURCES)) = new_sources;
	lfirst(list_nth_cell(private, AMPSF_SCAN_TABLES)) = new_tables;
	lfirst(list_nth_cell(private, AMPSF_SCAN_ATTNUMS)) = new_attnums;
	return true;
}

bool
ampsfPlanDirectModify(PlannerInfo *root, ModifyTable *plan, Index resultRelation, int subplan_index)
{
	RangeTblEntry *rte = planner_rt_fetch(resultRelation, root);
	const AmpsfTableOptions *table = ampsf_table_options(rte->relid);
	ForeignScan *scan;
	List *values = NIL, *targets = NIL;
	ListCell *lc;

	if ((plan->operation != CMD_UPDATE && plan->operation != CMD_DELETE) ||
		plan->returningLists != NIL || !ampsf_may_modify_direct(table))
		return false;
	scan = find_scan(plan, resultRelation, subplan_index);
	/* The executor would have to look at each row. */
	if (scan == NULL || scan->scan.plan.qual != NIL ||
		list_nth(scan->fdw_private, AMPSF_SCAN_BOUNDS) != NIL)
		return false;
	if (plan->operation == CMD_UPDATE)
	{
		List *tlist;
		ListCell *le, *la;

		get_translated_update_targetlist(root, resultRelation, &tlist, &targets);
		/* Refuses what cannot be written; a generated column is made row by row. */
		(void) ampsfPlanForeignModify(root, plan, resultRelation, subplan_index);
		forboth(le, tlist, la, targets)
		{
			TargetEntry *tle = lfirst_node(TargetEntry, le);

			/* Files may go in calls of their own, which are made row by row. */
			if (!is_same_for_all((Node *) tle->expr) ||
				strcmp(ampsf_column(rte->relid, lfirst_int(la))->type, "base64") == 0)
				return false;
			values = lappend(values, tle->expr);
		}
	}
	foreach (lc, scan->fdw_exprs)
		if (IsA(lfirst(lc), CaseTestExpr))
			return false;
	if (!narrow_fields(scan))
		return false;
	/* All of it is done when the first row would be asked for. */
	scan->scan.plan.async_capable = false;
	scan->operation = plan->operation;
	scan->resultRelation = resultRelation;
	scan->fdw_private =
		lappend(scan->fdw_private, list_make3(targets, makeInteger(list_length(scan->fdw_exprs)),
											  makeInteger(plan->canSetTag)));
	scan->fdw_exprs = list_concat_copy(scan->fdw_exprs, values);
	return true;
}
