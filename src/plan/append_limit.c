/*
 * append_limit.c - LIMIT below an Append: of a partitioned table, of inheritance children or of the
 * branches of UNION ALL, each can be asked for the first rows only.
 *
 * Under ORDER BY each gives its own first rows, in an order that nobody relies on: PostgreSQL sorts
 * what came. So the scans stay under an Append, where they run at the same time, and not under a
 * MergeAppend.
 */
#include "base/ampsf.h"
#include "plan/append_limit.h"
#include "plan/order.h"

#include "catalog/pg_type.h"
#include "nodes/makefuncs.h"
#include "optimizer/cost.h"
#include "optimizer/optimizer.h"
#include "optimizer/pathnode.h"
#include "optimizer/paths.h"

/* How many rows of all that the Append gives can be needed at most; 0 if that is not known for
 * sure. */
static int64
rows_needed(PlannerInfo *root, RelOptInfo *rel)
{
	Query *parse = root->parse;
	Const *count = (Const *) parse->limitCount;
	Const *offset = (Const *) parse->limitOffset;
	int64 n, skip = 0;

	if (rel->reloptkind != RELOPT_OTHER_MEMBER_REL ||
		!bms_equal(rel->top_parent_relids, root->all_baserels) ||
		parse->commandType != CMD_SELECT || parse->rowMarks != NIL ||
		parse->limitOption != LIMIT_OPTION_COUNT || parse->hasAggs || parse->groupClause != NIL ||
		parse->groupingSets != NIL || parse->distinctClause != NIL || parse->hasWindowFuncs ||
		parse->hasTargetSRFs || parse->setOperations || root->hasHavingQual ||
		!bms_is_empty(rel->lateral_relids))
		return 0;
	/* An estimate, such as root->limit_tuples may be, will not do. */
	if (!count || !IsA(count, Const) || count->constisnull)
		return 0;
	if (offset && !IsA(offset, Const))
		return 0;
	n = DatumGetInt64(count->constvalue);
	if (offset && !offset->constisnull)
		skip = DatumGetInt64(offset->constvalue);
	if (n <= 0 || skip < 0 || n >= INT_MAX || skip >= INT_MAX - n)
		return 0;
	return n + skip;
}

/* The columns of rel for all sort keys, as the statement's ORDER BY; NULL if Salesforce sorts
 * otherwise. */
static char *
sort_list(PlannerInfo *root, RelOptInfo *rel)
{
	AmpsfRelInfo *info = rel->fdw_private;
	StringInfoData order;
	ListCell *lk, *lc;

	initStringInfo(&order);
	foreach (lk, root->sort_pathkeys)
	{
		PathKey *key = lfirst_node(PathKey, lk);
		bool found = false;

		foreach (lc, rel->reltarget->exprs)
		{
			EquivalenceMember *em;

			if (found || !IsA(lfirst(lc), Var))
				continue;
			em = find_ec_member_matching_expr(key->pk_eclass, lfirst(lc), rel->relids);
			if (em)
				found = ampsf_append_sort_key(
					&order, key, em, ampsf_classify_column(&info->classify, lfirst(lc), NULL));
		}
		if (!found)
			return NULL;
	}
	/* Rows that tie must not change places from one page to the next. */
	if (order.len)
		appendStringInfoString(&order, ", Id");
	return order.data;
}

void
ampsf_add_append_limit_path(PlannerInfo *root, RelOptInfo *rel)
{
	AmpsfRelInfo *info = rel->fdw_private;
	int64 needed = rows_needed(root, rel);
	double rows = Min((double) needed, info->remote_rows);
	Cost startup, total;
	char *order;
	Const *limit;

	if (needed == 0 || !ampsf_all_exact(info) || (order = sort_list(root, rel)) == NULL)
		return;
	limit = makeConst(INT8OID, -1, InvalidOid, sizeof(int64), Int64GetDatum(needed), false,
					  FLOAT8PASSBYVAL);
	ampsf_cost_scan(info->server, info->table->page_size, rows, &startup, &total);
	/* Where estimates see no difference this is the better one all the same. */
	startup *= 0.98;
	total *= 0.98;
	ampsf_add_path(rel, create_foreignscan_path(
							root, rel, NULL, clamp_row_est(rows), AMPSF_DISABLED_NODES startup,
							total, NIL, NULL, NULL,
							AMPSF_RESTRICTINFO(NIL)
								list_make3(NULL, makeString(order), list_make2(limit, NULL))));
}

List *
ampsf_append_limit(ForeignPath *path, const char **order)
{
	*order = "";
	if (list_length(path->fdw_private) < 3)
		return NIL;
	*order = strVal(lsecond(path->fdw_private));
	return lthird(path->fdw_private);
}
