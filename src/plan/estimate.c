/*
 * estimate.c - how many rows a table has, and how many of them a scan gives.
 *
 * Sizes are known from a count that this backend has heard lately, from ANALYZE, from the option
 * that IMPORT FOREIGN SCHEMA wrote, or, where option use_remote_estimate is on, from Salesforce's
 * optimizer: that is the only call that planning ever makes.
 *
 * Without ANALYZE, PostgreSQL knows nothing of columns.  What matters most for joins is known all
 * the same: which columns name a row.
 */
#include "base/ampsf.h"
#include "plan/estimate.h"

#include "catalog/pg_class.h"
#include "nodes/makefuncs.h"
#include "optimizer/cost.h"
#include "optimizer/optimizer.h"
#include "org/limits.h"
#include "org/query_plan.h"
#include "utils/selfuncs.h"

/* Where nothing at all is known of a table. */
#define DEFAULT_ROWS 10000

static get_relation_stats_hook_type earlier_hook = NULL;

static double
estimate_tuples(RelOptInfo *rel, const AmpsfRelInfo *info)
{
	double rows = ampsf_record_count_cached(rel->serverid, info->userid, info->table->object);

	if (rows >= 0)
		return rows;
	/* -1: never analyzed. */
	if (rel->tuples > 0 || (rel->tuples == 0 && rel->pages > 0))
		return rel->tuples;
	return info->table->rows >= 0 ? info->table->rows : DEFAULT_ROWS;
}

/* Has every parameter of the condition tree a value? */
static bool
is_bound(List *tree, const bool *known)
{
	Node *operand;
	ListCell *lc;

	switch ((AmpsfQualKind) intVal(linitial(tree)))
	{
		case AMPSF_QUAL_NULL_TEST:
		case AMPSF_QUAL_BOOLEAN:
		case AMPSF_QUAL_NEVER:
			return true;
		case AMPSF_QUAL_COMPARE:
			operand = lfourth(tree);
			return IsA(operand, Const) || known[intVal(operand)];
		case AMPSF_QUAL_FIXED:
			operand = lsecond(tree);
			return IsA(operand, Const) || known[intVal(operand)];
		case AMPSF_QUAL_RANGE:
			operand = list_nth(tree, 4);
			return IsA(operand, Const) || known[intVal(operand)];
		case AMPSF_QUAL_AND:
		case AMPSF_QUAL_OR:
			for_each_from(lc, tree, 1)
			{
				if (!is_bound(lfirst(lc), known))
					return false;
			}
			return true;
		default:
			return false;
	}
}

/*
 * The statement of the clauses that are sent and whose values are known by now; NULL if no row can
 * pass. *asked: those clauses.
 */
static char *
known_statement(PlannerInfo *root, const AmpsfRelInfo *info, List **asked)
{
	int n = list_length(info->classify.params);
	AmpsfSelect select = {.object = info->table->object,
						  .fields = list_make1(makeString("Id")),
						  .order = "",
						  .group_by = ""};
	Oid *types = palloc0(sizeof(Oid) * Max(n, 1));
	Datum *values = palloc0(sizeof(Datum) * Max(n, 1));
	bool *nulls = palloc0(sizeof(bool) * Max(n, 1));
	bool *known = palloc0(sizeof(bool) * Max(n, 1));
	AmpsfBind bind = {.nparams = n, .types = types, .values = values, .nulls = nulls};
	ListCell *lc;

	foreach (lc, info->classify.params)
	{
		Node *value = estimate_expression_value(root, copyObject(lfirst(lc)));
		int i = foreach_current_index(lc);

		if (!IsA(value, Const))
			continue;
		known[i] = true;
		types[i] = ((Const *) value)->consttype;
		values[i] = ((Const *) value)->constvalue;
		nulls[i] = ((Const *) value)->constisnull;
	}
	*asked = NIL;
	for (int i = 0; i < list_length(info->clauses); i++)
	{
		List *tree = list_nth(info->trees, i);

		if (list_nth_int(info->classes, i) == AMPSF_LOCAL || !is_bound(tree, known))
			continue;
		*asked = lappend(*asked, list_nth(info->clauses, i));
		select.quals = lappend(select.quals, tree);
	}
	return ampsf_deparse_select(&select, &bind, NULL);
}

/* Sizes by Salesforce's optimizer; false if it does not tell. */
static bool
estimate_remotely(PlannerInfo *root, RelOptInfo *rel, AmpsfRelInfo *info, List *remote)
{
	AmpsfQueryPlan plan = {0, -1};
	List *asked;
	char *soql = known_statement(root, info, &asked);

	if (soql && !ampsf_query_plan(rel->serverid, info->userid, soql, &plan))
		return false;
	if (plan.objects >= 0)
		rel->tuples = plan.objects;
	rel->tuples = Max(rel->tuples, plan.rows);
	set_baserel_size_estimates(root, rel);
	info->remote_rows =
		clamp_row_est(plan.rows * clauselist_selectivity(root, list_difference_ptr(remote, asked),
														 rel->relid, JOIN_INNER, NULL));
	rel->rows = clamp_row_est(
		plan.rows * clauselist_selectivity(root, list_difference_ptr(rel->baserestrictinfo, asked),
										   rel->relid, JOIN_INNER, NULL));
	return true;
}

void
ampsf_estimate_size(PlannerInfo *root, RelOptInfo *rel, AmpsfRelInfo *info)
{
	List *remote = NIL;

	for (int i = 0; i < list_length(info->clauses); i++)
		if (list_nth_int(info->classes, i) != AMPSF_LOCAL)
			remote = lappend(remote, list_nth(info->clauses, i));
	rel->tuples = estimate_tuples(rel, info);
	/* explain knows no deleted rows. */
	if (info->table->use_remote_estimate && !info->table->include_deleted &&
		estimate_remotely(root, rel, info, remote))
		return;
	set_baserel_size_estimates(root, rel);
	info->remote_rows = clamp_row_est(
		rel->tuples * clauselist_selectivity(root, remote, rel->relid, JOIN_INNER, NULL));
}

/*
 * A get_relation_stats_hook: what the planner asks before it looks for the statistics of a column.
 * It leaves those alone, and says of our columns which of them name a row, as it says itself of
 * columns with a unique index.  Only estimates come of that, no proof.
 */
static bool
relation_stats(PlannerInfo *root, RangeTblEntry *rte, AttrNumber attnum, VariableStatData *vardata)
{
	RelOptInfo *rel;

	/* For an index of a table PostgreSQL comes with a vardata that it has not filled (BRIN). */
	if (rte->rtekind != RTE_RELATION || rte->relkind != RELKIND_FOREIGN_TABLE)
		return earlier_hook && earlier_hook(root, rte, attnum, vardata);
	rel = vardata->rel;
	if (ampsf_is_our_rel(rel) && rel->reloptkind != RELOPT_JOINREL && attnum > 0)
	{
		AmpsfRelInfo *info = rel->fdw_private;
		AmpsfMember *member = linitial(info->classify.members);

		if (member->relid == rte->relid)
		{
			AmpsfColumn *col = ampsf_member_column(member, attnum);

			if ((col->unique || col->external_id) && !col->of_parent)
				vardata->isunique = true;
		}
	}
	return earlier_hook && earlier_hook(root, rte, attnum, vardata);
}

void
ampsf_estimate_init(void)
{
	earlier_hook = get_relation_stats_hook;
	get_relation_stats_hook = relation_stats;
}
