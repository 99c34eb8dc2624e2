/*
 * plan_modify.c - plans writes: how a row is known again, which columns are sent, which are read
 * back.
 *
 * What Salesforce will not take is refused here, before any call.  Must not know: the network, and
 * how rows are collected into calls.
 */
#include "base/ampsf.h"
#include "plan/write_api.h"
#include "plan/plan_modify.h"
#include "plan/engagement_scan.h"

#include "access/sysattr.h"
#include "access/table.h"
#include "catalog/pg_type.h"
#include "nodes/makefuncs.h"
#include "optimizer/appendinfo.h"
#include "optimizer/inherit.h"
#include "optimizer/optimizer.h"
#include "optimizer/pathnode.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

#define OFFSET(attno) ((attno) -FirstLowInvalidHeapAttributeNumber)

AttrNumber
ampsf_id_column(Relation rel)
{
	TupleDesc desc = RelationGetDescr(rel);

	for (int i = 0; i < desc->natts; i++)
	{
		if (!TupleDescAttr(desc, i)->attisdropped &&
			!ampsf_column(RelationGetRelid(rel), i + 1)->created &&
			pg_strcasecmp(ampsf_column(RelationGetRelid(rel), i + 1)->field, "Id") == 0)
			return i + 1;
	}
	return 0;
}

AttrNumber
ampsf_version_column(Relation rel)
{
	TupleDesc desc = RelationGetDescr(rel);
	AttrNumber found = 0;

	for (int i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(desc, i);
		const char *field;

		if (att->attisdropped || (att->atttypid != TIMESTAMPTZOID && att->atttypid != TIMESTAMPOID))
			continue;
		field = ampsf_column(RelationGetRelid(rel), i + 1)->field;
		if (pg_strcasecmp(field, "SystemModstamp") == 0)
			return i + 1;
		if (pg_strcasecmp(field, "LastModifiedDate") == 0)
			found = i + 1;
	}
	return found;
}

char *
ampsf_id_junk_name(Relation rel, AttrNumber attno)
{
	/*
	 * Partitions may have it at different places, and what bears one name must be one expression.
	 */
	return psprintf("ampsf_id_%d_%u", attno,
					TupleDescAttr(RelationGetDescr(rel), attno - 1)->atttypid);
}

void
ampsfAddForeignUpdateTargets(PlannerInfo *root, Index rtindex, RangeTblEntry *target_rte,
							 Relation target_relation)
{
	AttrNumber attno = ampsf_id_column(target_relation);
	Form_pg_attribute att;
	Var *var;

	if (attno == 0)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg(root->parse->commandType == CMD_DELETE
							? "cannot delete from foreign table \"%s\""
							: "cannot update foreign table \"%s\"",
						RelationGetRelationName(target_relation)),
				 errdetail("No column shows the field Id, by which Salesforce knows the row."),
				 errhint("ALTER FOREIGN TABLE %s ADD COLUMN id text OPTIONS (field 'Id')",
						 quote_identifier(RelationGetRelationName(target_relation)))));
	att = TupleDescAttr(RelationGetDescr(target_relation), attno - 1);
	var = makeVar(rtindex, attno, att->atttypid, att->atttypmod, att->attcollation, 0);
	add_row_identity_var(root, var, rtindex, ampsf_id_junk_name(target_relation, attno));

	if (ampsf_table_options(RelationGetRelid(target_relation))->if_unchanged)
	{
		attno = ampsf_version_column(target_relation);
		if (attno == 0)
			ereport(ERROR,
					(errcode(ERRCODE_FDW_COLUMN_NAME_NOT_FOUND),
					 errmsg("foreign table \"%s\" has option \"if_unchanged\", but no column shows "
							"when a row was changed",
							RelationGetRelationName(target_relation)),
					 errhint("ALTER FOREIGN TABLE %s ADD COLUMN systemmodstamp timestamptz OPTIONS "
							 "(field 'SystemModstamp')",
							 quote_identifier(RelationGetRelationName(target_relation)))));
		att = TupleDescAttr(RelationGetDescr(target_relation), attno - 1);
		var = makeVar(rtindex, attno, att->atttypid, att->atttypmod, att->attcollation, 0);
		add_row_identity_var(root, var, rtindex, ampsf_id_junk_name(target_relation, attno));
	}

	/* What DELETE returns is gone by then.  The same expression as the executor's own old row. */
	if (root->parse->commandType == CMD_DELETE && root->parse->returningList != NIL)
	{
		var = makeVar(rtindex, InvalidAttrNumber, RECORDOID, -1, InvalidOid, 0);
		add_row_identity_var(root, var, rtindex, "wholerow");
	}
}

int
ampsfIsForeignRelUpdatable(Relation rel)
{
	const AmpsfTableOptions *table = ampsf_table_options(RelationGetRelid(rel));

	if (!table->updatable)
		return 0;
	if (table->engagement)
		return ampsf_engagement_events(table);
	if (ampsf_id_column(rel) == 0)
		return 1 << CMD_INSERT;
	return (1 << CMD_INSERT) | (1 << CMD_UPDATE) | (1 << CMD_DELETE);
}

char *
ampsf_column_refusal(const char *object, const AmpsfColumn *col, bool insert)
{
	if (col->created)
		return pstrdup("It is no field, but tells whether a row was created.");
	if (strchr(col->field, '.') != NULL && !col->parent_key)
		return psprintf("Field %s.%s belongs to another object.", object, col->field);
	if (pg_strcasecmp(col->field, "Id") == 0)
		return psprintf("Field %s.Id is given by Salesforce.", object);
	if (col->type != NULL &&
		(strcmp(col->type, "address") == 0 || strcmp(col->type, "location") == 0))
		return psprintf("Field %s.%s is made of other fields; write those.", object, col->field);
	if (insert ? !col->createable : !col->updateable)
		return psprintf("Field %s.%s is not %s.", object, col->field,
						insert ? "createable" : "updateable");
	return NULL;
}

void
ampsf_refuse_column(Relation rel, AttrNumber attno, bool insert, const char *reason)
{
	ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					errmsg(insert ? "cannot insert into column \"%s\" of foreign table \"%s\""
								  : "cannot update column \"%s\" of foreign table \"%s\"",
						   NameStr(TupleDescAttr(RelationGetDescr(rel), attno - 1)->attname),
						   RelationGetRelationName(rel)),
					errdetail_internal("%s", reason)));
}

static bool
is_null_const(Node *node)
{
	return IsA(node, Const) && ((Const *) node)->constisnull;
}

/*
 * Does an INSERT give that column nothing but NULL?  DEFAULT in a list of several rows becomes NULL
 * before it gets here, and for a column that Salesforce fills itself both mean: leave it alone.
 */
static bool
always_null(PlannerInfo *root, TargetEntry *tle)
{
	Var *var = (Var *) tle->expr;
	RangeTblEntry *rte;
	ListCell *lc;

	if (is_null_const((Node *) var))
		return true;
	if (!IsA(var, Var) || var->varlevelsup != 0 || IS_SPECIAL_VARNO(var->varno))
		return false;
	rte = planner_rt_fetch(var->varno, root);
	if (rte->rtekind != RTE_VALUES)
		return false;
	foreach (lc, rte->values_lists)
	{
		if (!is_null_const(list_nth(lfirst(lc), var->varattno - 1)))
			return false;
	}
	return true;
}

/* The columns that the statement itself names or that have a default here. */
static List *
insert_targets(PlannerInfo *root, Relation rel, const char *object)
{
	List *targets = NIL;
	ListCell *lc;

	foreach (lc, root->parse->targetList)
	{
		TargetEntry *tle = lfirst_node(TargetEntry, lc);
		char *reason;

		if (tle->resjunk)
			continue;
		reason =
			ampsf_column_refusal(object, ampsf_column(RelationGetRelid(rel), tle->resno), true);
		if (reason == NULL)
			targets = lappend_int(targets, tle->resno);
		else if (!always_null(root, tle))
			ampsf_refuse_column(rel, tle->resno, true, reason);
	}
	return targets;
}

static List *
update_targets(PlannerInfo *root, Index rti, Relation rel, const char *object)
{
	/* Those that are assigned, and generated ones that follow from them. */
	Bitmapset *updated = get_rel_all_updated_cols(root, find_base_rel(root, rti));
	List *targets = NIL;
	int bit = -1;

	while ((bit = bms_next_member(updated, bit)) >= 0)
	{
		AttrNumber attno = bit + FirstLowInvalidHeapAttributeNumber;
		char generated;
		char *reason;

		if (attno <= 0)
			elog(ERROR, "system-column update is not supported");
		generated = TupleDescAttr(RelationGetDescr(rel), attno - 1)->attgenerated;
		if (generated != '\0' && generated != ATTRIBUTE_GENERATED_STORED)
			continue;
		reason = ampsf_column_refusal(object, ampsf_column(RelationGetRelid(rel), attno), false);
		if (reason == NULL)
			targets = lappend_int(targets, attno);
		else if (generated == '\0')
			ampsf_refuse_column(rel, attno, false, reason);
	}
	return targets;
}

List *
ampsf_columns_to_fetch(Relation rel, Index rti, List *exprs, List *checks, bool whole_row,
					   const Bitmapset *skip)
{
	TupleDesc desc = RelationGetDescr(rel);
	Bitmapset *used = NULL;
	AttrNumber id = ampsf_id_column(rel);
	List *result = NIL;

	pull_varattnos((Node *) exprs, rti, &used);
	pull_varattnos((Node *) checks, rti, &used);
	whole_row |= bms_is_member(OFFSET(0), used);
	for (int attno = 1; attno <= desc->natts; attno++)
	{
		Form_pg_attribute att = TupleDescAttr(desc, attno - 1);

		if (att->attisdropped || attno == id || bms_is_member(attno, skip) ||
			att->attgenerated != '\0')
			continue;
		if ((whole_row || bms_is_member(OFFSET(attno), used)) &&
			!ampsf_column(RelationGetRelid(rel), attno)->created)
			result = lappend_int(result, attno);
	}
	return result;
}

static bool
has_after_row_trigger(Relation rel, CmdType op)
{
	TriggerDesc *desc = rel->trigdesc;

	if (desc == NULL)
		return false;
	return op == CMD_INSERT	  ? desc->trig_insert_after_row
		   : op == CMD_UPDATE ? desc->trig_update_after_row
							  : desc->trig_delete_after_row;
}

/* DO NOTHING passes over rows that Salesforce refuses as duplicates; there is no more to be had. */
void
ampsf_check_conflict(Relation rel, const ModifyTable *plan)
{
	const char *key = ampsf_table_options(RelationGetRelid(rel))->upsert_key;

	if (plan->onConflictAction == ONCONFLICT_NONE)
		return;
	if (plan->onConflictAction == ONCONFLICT_UPDATE)
		ereport(
			ERROR,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			 errmsg("foreign table \"%s\" does not support ON CONFLICT DO UPDATE",
					RelationGetRelationName(rel)),
			 errhint(
				 "With the table's option upsert_key INSERT updates the rows that are there.")));
	if (key != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("foreign table \"%s\" does not support ON CONFLICT, for it has option "
						"\"upsert_key\"",
						RelationGetRelationName(rel)),
				 errdetail("INSERT updates the row with the same %s.", key)));
}

List *
ampsfPlanForeignModify(PlannerInfo *root, ModifyTable *plan, Index resultRelation,
					   int subplan_index)
{
	RangeTblEntry *rte = planner_rt_fetch(resultRelation, root);
	Relation rel = table_open(rte->relid, NoLock);
	const char *object = ampsf_table_options(rte->relid)->object;
	List *targets = NIL, *fetch = NIL, *returning = NIL, *checks = NIL;
	Bitmapset *sent = NULL;
	ListCell *lc;

	ampsf_check_conflict(rel, plan);
	if (plan->operation == CMD_INSERT)
		targets = insert_targets(root, rel, object);
	else if (plan->operation == CMD_UPDATE)
		targets = update_targets(root, resultRelation, rel, object);

	if (plan->operation != CMD_DELETE)
	{
		foreach (lc, targets)
			sent = bms_add_member(sent, lfirst_int(lc));
		if (plan->returningLists != NIL)
			returning = list_nth(plan->returningLists, subplan_index);
		if (plan->withCheckOptionLists != NIL)
			checks = list_nth(plan->withCheckOptionLists, subplan_index);
		fetch = ampsf_columns_to_fetch(rel, resultRelation, returning, checks,
									   has_after_row_trigger(rel, plan->operation), sent);
	}
	if (ampsf_table_options(rte->relid)->engagement)
		ampsf_engagement_check_write(rel, fetch);
	if (ampsf_table_options(rte->relid)->write_api)
		ampsf_write_api_check(rel);
	table_close(rel, NoLock);
	return list_make4(targets, fetch, makeInteger(bms_num_members(root->all_baserels) > 1),
					  makeInteger(plan->onConflictAction == ONCONFLICT_NOTHING));
}
