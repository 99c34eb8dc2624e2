/*
 * scan_paths.c - plans a scan of one foreign table: which clauses go out, which fields come back.
 *
 * No network here: what is known of fields stands in column options; of sizes, estimate.c knows.
 */
#include "base/ampsf.h"
#include "plan/scan_paths.h"
#include "plan/append_limit.h"
#include "plan/engagement_scan.h"
#include "plan/estimate.h"
#include "plan/join.h"
#include "plan/param_paths.h"
#include "plan/partial_path.h"
#include "plan/target_columns.h"
#include "plan/upper.h"

#include "nodes/makefuncs.h"
#include "optimizer/cost.h"
#include "optimizer/optimizer.h"
#include "optimizer/planmain.h"

/*
 * Marks the columns that must come back: for the target list, and for what is checked here.  An
 * exact clause need not be, but for one case: a list may turn out too long for a statement when
 * parameters have their values, and then every clause is checked here.
 */
static Bitmapset *
columns_needed(PlannerInfo *root, RelOptInfo *rel, const AmpsfRelInfo *info)
{
	Bitmapset *used = NULL;
	bool lists = false;
	ListCell *lc;

	foreach (lc, info->trees)
		lists |= ampsf_has_list(lfirst(lc));

	ampsf_pull_target_columns(root, rel, &used);
	for (int i = 0; i < list_length(info->clauses); i++)
		if (lists || list_nth_int(info->classes, i) != AMPSF_EXACT)
			pull_varattnos((Node *) ((RestrictInfo *) list_nth(info->clauses, i))->clause,
						   rel->relid, &used);
	return used;
}

void
ampsfGetForeignRelSize(PlannerInfo *root, RelOptInfo *rel, Oid relid)
{
	AmpsfRelInfo *info = palloc0(sizeof(AmpsfRelInfo));

	rel->fdw_private = info;
	info->relid = relid;
	info->userid = ampsf_rel_user(root, rel);
	info->rti = rel->relid;
	info->table = ampsf_table_options(relid);
	info->server = ampsf_server_options(GetForeignServer(rel->serverid));
	if (info->table->engagement)
	{
		ampsf_engagement_rel_size(root, rel, info);
		return;
	}
	info->classify.members = list_make1(ampsf_make_member(rel->relid, relid, "", false));
	ampsf_classify_clauses(info, rel->baserestrictinfo);
	info->attrs_used = columns_needed(root, rel, info);
	ampsf_estimate_size(root, rel, info);
}

void
ampsfGetForeignPaths(PlannerInfo *root, RelOptInfo *rel, Oid relid)
{
	AmpsfRelInfo *info = rel->fdw_private;
	Cost startup, total;
	QualCost local;
	ForeignPath *path;

	if (info->table->engagement)
	{
		ampsf_engagement_paths(root, rel);
		return;
	}
	ampsf_cost_scan(info->server, info->table->page_size, info->remote_rows, &startup, &total);
	cost_qual_eval(&local, rel->baserestrictinfo, root);
	startup += local.startup;
	total += local.startup + local.per_tuple * info->remote_rows;
	path = create_foreignscan_path(root, rel, NULL, rel->rows, AMPSF_DISABLED_NODES startup, total,
								   NIL, rel->lateral_relids, NULL, AMPSF_RESTRICTINFO(NIL) NIL);
	ampsf_add_partial_path(root, rel, info, path);
	ampsf_add_path(rel, path);
	ampsf_add_param_paths(root, rel);
	ampsf_add_append_limit_path(root, rel);
}

bool
ampsfIsForeignPathAsyncCapable(ForeignPath *path)
{
	AmpsfRelInfo *info = path->path.parent->fdw_private;

	/* Groups are collected before the first is given. */
	return info && info->table->async_capable && !info->table->engagement &&
		   !ampsf_upper_is_grouped(path);
}

ForeignScan *
ampsfGetForeignPlan(PlannerInfo *root, RelOptInfo *rel, Oid relid, ForeignPath *path, List *tlist,
					List *scan_clauses, Plan *outer_plan)
{
	AmpsfRelInfo *info = rel->fdw_private;
	AmpsfScanClauses split;
	AmpsfOutput out = {0};
	List *bounds;
	const char *order;
	bool limited = root->limit_tuples >= 0 && root->limit_tuples < INT_MAX &&
				   root->query_pathkeys == NIL && bms_equal(rel->relids, root->all_baserels) &&
				   !path->path.parallel_aware;

	if (IS_UPPER_REL(rel))
		return ampsf_upper_plan(path, tlist, outer_plan);
	if (info->table->engagement)
		return ampsf_engagement_plan(root, rel, path, tlist, scan_clauses, outer_plan);
	info = ampsf_path_info(rel, path, IS_JOIN_REL(rel) ? NIL : scan_clauses);
	if (IS_JOIN_REL(rel))
		return ampsf_join_plan(rel, info, tlist, outer_plan);

	ampsf_split_clauses(info, scan_clauses, &split);
	ampsf_choose_fields(info, &out);
	bounds = ampsf_append_limit(path, &order);
	if (bounds != NIL)
	{
		AmpsfRelInfo *copy = palloc(sizeof(AmpsfRelInfo));

		*copy = *info;
		copy->remote_rows = path->path.rows;
		info = copy;
		limited = root->limit_tuples >= 0 && root->limit_tuples < INT_MAX;
	}
	/*
	 * exact goes where EvalPlanQual finds it; the executor also uses it when a list had to be left
	 * out of the statement.
	 */
	return make_foreignscan(
		tlist, split.checked, rel->relid, info->classify.params,
		ampsf_scan_private(info, &out, split.quals, split.classes, split.reasons,
						   limited && split.checked == NIL ? (int) root->limit_tuples : -1, order,
						   bounds),
		NIL, split.exact, outer_plan);
}
