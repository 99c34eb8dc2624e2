/*
 * param_paths.c - scans whose conditions hold values of other relations: the inner side of a nested
 * loop, asked again for each row, and the scan of a batched key lookup, asked again for each batch.
 *
 * Each time is a call, so the cost lets a nested loop win only for very few rows.
 */
#include "base/ampsf.h"
#include "plan/key_join.h"
#include "plan/param_paths.h"

#include "optimizer/cost.h"
#include "optimizer/optimizer.h"
#include "optimizer/pathnode.h"
#include "optimizer/paths.h"
#include "optimizer/restrictinfo.h"

/*
 * How few the outer rows are is a guess, and each more of them is a call: so many calls are added,
 * which leaves the nested loop to joins that nothing else can do for less, such as those by ranges.
 */
#define RISK 0.5

AmpsfRelInfo *
ampsf_path_info(RelOptInfo *rel, ForeignPath *path, List *scan_clauses)
{
	AmpsfRelInfo *info = rel->fdw_private;
	AmpsfRelInfo *copy;
	Expr *keys = ampsf_keys_clause(path);

	if (!path->path.param_info && !keys)
		return info;
	copy = palloc(sizeof(AmpsfRelInfo));
	*copy = *info;
	copy->clauses = list_copy(info->clauses);
	copy->classes = list_copy(info->classes);
	copy->trees = list_copy(info->trees);
	copy->reasons = list_copy(info->reasons);
	copy->join_trees = list_copy(info->join_trees);
	copy->classify.params = list_copy(info->classify.params);
	copy->classify.outer = PATH_REQ_OUTER(&path->path);
	copy->remote_rows = path->path.rows;
	ampsf_classify_clauses(copy, list_difference_ptr(scan_clauses, info->clauses));
	if (keys)
	{
		List *tree;
		const char *reason;

		if (ampsf_classify(&copy->classify, keys, &tree, &reason) == AMPSF_LOCAL)
			elog(ERROR, "the keys of a lookup cannot be sent: %s", reason);
		copy->join_trees = lappend(copy->join_trees, tree);
	}
	return copy;
}

/* Is it an equality with a field that no two rows share a value of? */
static bool
is_unique_key(AmpsfClassify *classify, RestrictInfo *ri)
{
	OpExpr *op = (OpExpr *) ri->clause;
	ListCell *lc;

	if (!IsA(op, OpExpr) || list_length(op->args) != 2 || ri->mergeopfamilies == NIL)
		return false;
	foreach (lc, op->args)
	{
		AmpsfColumn *col = ampsf_classify_column(classify, lfirst(lc), NULL);

		if (col && col->unique)
			return true;
	}
	return false;
}

/* Offers the scan with the values of other relations that param_info wants; nothing if none of them
 * would be sent. */
static void
add_param_path(PlannerInfo *root, RelOptInfo *rel, ParamPathInfo *param_info)
{
	AmpsfRelInfo *info = rel->fdw_private;
	AmpsfClassify classify = info->classify;
	List *remote = NIL;
	bool sent = false, unique = false;
	double rows;
	Cost startup, total;
	QualCost local;
	ListCell *lc;

	for (int i = 0; i < list_length(info->clauses); i++)
		if (list_nth_int(info->classes, i) != AMPSF_LOCAL)
			remote = lappend(remote, list_nth(info->clauses, i));
	classify.params = NIL;
	classify.outer = param_info->ppi_req_outer;
	foreach (lc, param_info->ppi_clauses)
	{
		RestrictInfo *ri = lfirst_node(RestrictInfo, lc);
		List *tree;
		const char *reason;

		if (ri->pseudoconstant ||
			ampsf_classify(&classify, ri->clause, &tree, &reason) == AMPSF_LOCAL)
			continue;
		sent = true;
		unique |= is_unique_key(&classify, ri);
		remote = lappend(remote, ri);
	}
	if (!sent)
		return;

	rows = clamp_row_est(rel->tuples *
						 clauselist_selectivity(root, remote, rel->relid, JOIN_INNER, NULL));
	if (unique && !info->table->include_deleted)
		rows = 1;
	ampsf_cost_scan(info->server, info->table->page_size, rows, &startup, &total);
	cost_qual_eval(&local, list_concat_copy(rel->baserestrictinfo, param_info->ppi_clauses), root);
	startup += local.startup + RISK * info->server->call_cost;
	total += RISK * info->server->call_cost + local.startup + local.per_tuple * rows;
	ampsf_add_path(rel, create_foreignscan_path(root, rel, NULL, param_info->ppi_rows,
												AMPSF_DISABLED_NODES startup, total, NIL,
												param_info->ppi_req_outer, NULL,
												AMPSF_RESTRICTINFO(NIL) NIL));
}

/* The parameters that the clause calls for are added to the list, if the scan could use it. */
static List *
add_param_info(PlannerInfo *root, RelOptInfo *rel, RestrictInfo *ri, List *infos)
{
	AmpsfRelInfo *info = rel->fdw_private;
	AmpsfClassify classify = info->classify;
	Relids outer;
	List *tree;
	const char *reason;

	outer = bms_del_member(bms_union(ri->clause_relids, rel->lateral_relids), rel->relid);
	classify.params = NIL;
	classify.outer = outer;
	if (bms_is_empty(outer) || ampsf_classify(&classify, ri->clause, &tree, &reason) == AMPSF_LOCAL)
		return infos;
	return list_append_unique_ptr(infos, get_baserel_parampathinfo(root, rel, outer));
}

/* For generate_implied_equalities_for_column. */
static bool
is_column(PlannerInfo *root, RelOptInfo *rel, EquivalenceClass *ec, EquivalenceMember *em,
		  void *column)
{
	Node *expr = (Node *) em->em_expr;

	while (IsA(expr, RelabelType))
		expr = (Node *) ((RelabelType *) expr)->arg;
	return equal(expr, column);
}

void
ampsf_add_param_paths(PlannerInfo *root, RelOptInfo *rel)
{
	List *infos = NIL;
	ListCell *lc, *lr;

	/* Between two of its calls the statement may have written what the second one would see. */
	if (ampsf_query_writes(root))
		return;
	foreach (lc, rel->joininfo)
	{
		RestrictInfo *ri = lfirst_node(RestrictInfo, lc);

		if (join_clause_is_movable_to(ri, rel))
			infos = add_param_info(root, rel, ri, infos);
	}
	if (rel->has_eclass_joins)
		foreach (lc, rel->reltarget->exprs)
		{
			if (!IsA(lfirst(lc), Var))
				continue;
			foreach (lr, generate_implied_equalities_for_column(root, rel, is_column, lfirst(lc),
																rel->lateral_referencers))
			{
				RestrictInfo *ri = lfirst_node(RestrictInfo, lr);

				if (join_clause_is_movable_to(ri, rel))
					infos = add_param_info(root, rel, ri, infos);
			}
		}
	foreach (lc, infos)
		add_param_path(root, rel, lfirst(lc));
}
