/*
 * partial_path.c - see partial_path.h.
 */
#include "base/ampsf.h"
#include "base/guc.h"
#include "plan/partial_path.h"

#include "optimizer/cost.h"
#include "optimizer/optimizer.h"
#include "optimizer/pathnode.h"
#include "optimizer/paths.h"
#include "optimizer/restrictinfo.h"

/*
 * What an average row takes in PostgreSQL's own tables, so that min_parallel_table_scan_size means
 * the same for ours: by its default a worker is worth its start from 100,000 rows on.
 */
#define ROW_BYTES 84
/* The part of a row's cost (see cost.c) that another process can take, in units of cpu_tuple_cost.
 */
#define DECODE_WEIGHT 10

/* Does one statement hold all fields of the result?  Several of them are read by one process. */
static bool
is_one_statement(const RelOptInfo *rel, AmpsfRelInfo *info)
{
	AmpsfOutput out = {0};
	List *exprs = extract_actual_clauses(info->clauses, false);
	ListCell *lc;

	if (IS_SIMPLE_REL(rel))
		ampsf_choose_fields(info, &out);
	else
		foreach (lc, pull_var_clause((Node *) list_concat(exprs, rel->reltarget->exprs),
									 PVC_RECURSE_PLACEHOLDERS))
		{
			AmpsfColumn *col = ampsf_classify_column(&info->classify, lfirst(lc), NULL);

			if (col)
				ampsf_output_field(&out, col->field, col->field);
		}
	return ampsf_split_fields(out.fields) == NIL;
}

void
ampsf_add_partial_path(PlannerInfo *root, RelOptInfo *rel, AmpsfRelInfo *info,
					   const ForeignPath *alone)
{
	double size = info->remote_rows * ROW_BYTES / BLCKSZ;
	double share;
	int workers;
	ForeignPath *path;

	if (!rel->consider_parallel || rel->lateral_relids || root->rowMarks != NIL)
		return;
	/* Each process would count its own calls. */
	if (ampsf_statement_call_limit > 0)
		return;
	/* It knows the least size of base relations only, and leaves that of partitions to the cost. */
	if (IS_JOIN_REL(rel) && size < min_parallel_table_scan_size)
		return;
	workers = compute_parallel_worker(rel, size, -1, max_parallel_workers_per_gather);
	if (workers <= 0 || !is_one_statement(rel, info))
		return;
	path = makeNode(ForeignPath);
	*path = *alone;
	path->path.parallel_safe = path->path.parallel_aware = true;
	path->path.parallel_workers = workers;

	/* As PostgreSQL guesses it for its own scans. */
	share = workers;
	if (parallel_leader_participation && workers < 4)
		share += 1.0 - 0.3 * workers;
	path->path.rows = clamp_row_est(alone->path.rows / share);
	/*
	 * A page is asked for when the one before has begun to come: the calls take their time one
	 * after the other, and what comes shares the line.  Only the rest is done by several, each over
	 * a connection of its own.
	 */
	path->path.total_cost -= info->remote_rows * cpu_tuple_cost * DECODE_WEIGHT * (1 - 1 / share);
	path->path.total_cost += info->server->call_cost;
	add_partial_path(rel, &path->path);
}
