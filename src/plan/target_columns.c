/*
 * target_columns.c - see target_columns.h.
 */
#include "base/ampsf.h"
#include "plan/target_columns.h"

#include "access/sysattr.h"
#include "access/table.h"
#include "catalog/pg_type.h"
#include "optimizer/inherit.h"
#include "optimizer/optimizer.h"
#include "utils/rel.h"

/* Which columns of the old row will anybody look at? */
static void
add_old_row_columns(PlannerInfo *root, RelOptInfo *rel, Bitmapset **used)
{
	Query *parse = root->parse;
	Relation relation = table_open(planner_rt_fetch(rel->relid, root)->relid, NoLock);
	TriggerDesc *trig = relation->trigdesc;
	TupleConstr *constr = RelationGetDescr(relation)->constr;
	bool whole = false;

	if (trig != NULL)
		whole = parse->commandType == CMD_DELETE
					? (trig->trig_delete_before_row || trig->trig_delete_after_row)
					: (trig->trig_update_before_row || trig->trig_update_after_row);
	/* Generated columns are made of others; a view's refusal shows the row. */
	if (parse->commandType != CMD_DELETE &&
		((constr != NULL && constr->has_generated_stored) || parse->withCheckOptions != NIL))
		whole = true;
	if ((int) rel->relid == parse->resultRelation)
		pull_varattnos((Node *) parse->returningList, rel->relid, used);
	else if (parse->returningList != NIL)
		whole = true; /* a partition, whose columns may be numbered otherwise */
	if (whole)
		*used = bms_add_member(*used, 0 - FirstLowInvalidHeapAttributeNumber);
	table_close(relation, NoLock);
}

void
ampsf_pull_target_columns(PlannerInfo *root, RelOptInfo *rel, Bitmapset **used)
{
	bool target =
		(root->parse->commandType == CMD_UPDATE || root->parse->commandType == CMD_DELETE) &&
		bms_is_member(rel->relid, root->all_result_relids);
	ListCell *lc;

	foreach (lc, rel->reltarget->exprs)
	{
		Var *var = lfirst(lc);

		/* A whole row that the statement itself names has the table's row type, never record. */
		if (target && IsA(var, Var) && var->varattno == InvalidAttrNumber &&
			var->vartype == RECORDOID)
			add_old_row_columns(root, rel, used);
		else
			pull_varattnos((Node *) var, rel->relid, used);
	}
}
