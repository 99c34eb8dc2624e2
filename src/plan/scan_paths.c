/*
 * scan_paths.c - plans a scan of one foreign table: which clauses go out, which fields come back.
 *
 * No network here: what is known of fields stands in column options; of sizes, estimate.c knows.
 */
#include "base/ampsf.h"
#include "base/guc.h"
#include "plan/scan_paths.h"
#include "plan/engagement_scan.h"
#include "plan/operators.h"
#include "plan/plan_modify.h"

#include "access/sysattr.h"
#include "access/table.h"
#include "nodes/makefuncs.h"
#include "optimizer/cost.h"
#include "optimizer/optimizer.h"
#include "optimizer/paths.h"
#include "optimizer/planmain.h"
#include "optimizer/restrictinfo.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

bool
ampsf_has_list(List *tree)
{
	AmpsfQualKind kind = tree ? intVal(linitial(tree)) : AMPSF_QUAL_NEVER;

	if (kind == AMPSF_QUAL_COMPARE)
	{
		AmpsfOperatorForm form = ampsf_operators[intVal(lsecond(tree))].form;

		return form == AMPSF_FORM_ANY || form == AMPSF_FORM_ALL;
	}
	if (kind == AMPSF_QUAL_OR && list_length(tree) > AMPSF_LONG_OR)
		return true;
	if (kind == AMPSF_QUAL_AND || kind == AMPSF_QUAL_OR)
		for (int i = 1; i < list_length(tree); i++)
			if (ampsf_has_list(list_nth(tree, i)))
				return true;
	return false;
}

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
ampsf_classify_clauses(AmpsfRelInfo *info, List *clauses)
{
	ListCell *lc;

	foreach (lc, clauses)
	{
		RestrictInfo *ri = lfirst_node(RestrictInfo, lc);
		List *tree;
		const char *reason;
		AmpsfPushClass c = ampsf_classify(&info->classify, ri->clause, &tree, &reason);

		info->clauses = lappend(info->clauses, ri);
		info->classes = lappend_int(info->classes, c);
		info->trees = lappend(info->trees, tree);
		info->reasons = lappend(info->reasons, unconstify(char *, reason));
	}
}

bool
ampsf_all_exact(const AmpsfRelInfo *info)
{
	ListCell *lc;

	foreach (lc, info->classes)
		if (lfirst_int(lc) != AMPSF_EXACT)
			return false;
	/* A list might have to be left out of a statement, and be checked here. */
	foreach (lc, info->trees)
		if (ampsf_has_list(lfirst(lc)))
			return false;
	foreach (lc, info->clauses)
		if (lfirst_node(RestrictInfo, lc)->pseudoconstant)
			return false;
	return true;
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
ampsfIsForeignScanParallelSafe(PlannerInfo *root, RelOptInfo *rel, RangeTblEntry *rte)
{
	AmpsfTableOptions *table = ampsf_table_options(rte->relid);

	return table->parallel && !table->engagement;
}

void
ampsf_add_path(RelOptInfo *rel, ForeignPath *path)
{
	path->path.parallel_safe = false;
	add_path(rel, &path->path);
}

bool
ampsfIsForeignPathAsyncCapable(ForeignPath *path)
{
	AmpsfRelInfo *info = path->path.parent->fdw_private;

	/* Groups are collected before the first is given. */
	return info && info->table->async_capable && !info->table->engagement &&
		   !ampsf_upper_is_grouped(path);
}

/* The place of a field in the list; appended if it is new. */
static int
place_of_field(AmpsfOutput *out, char *field, char *key)
{
	ListCell *lc;

	foreach (lc, out->fields)
		if (pg_strcasecmp(strVal(lfirst(lc)), field) == 0)
			return foreach_current_index(lc);
	out->fields = lappend(out->fields, makeString(field));
	out->keys = lappend(out->keys, makeString(key));
	return list_length(out->fields) - 1;
}

void
ampsf_output_add(AmpsfOutput *out, int slot, char *field, char *key, Oid table, int attnum)
{
	out->slots = lappend_int(out->slots, slot);
	out->sources = lappend_int(out->sources, place_of_field(out, field, key));
	out->tables = lappend_oid(out->tables, table);
	out->attnums = lappend_int(out->attnums, attnum);
}

/* For EXPLAIN of a statement that is more than a scan, where the plan has no place for them. */
static List *
exact_clauses(const AmpsfRelInfo *info)
{
	List *exact = list_copy(info->subquery_exprs);

	for (int i = 0; i < list_length(info->clauses); i++)
		if (list_nth_int(info->classes, i) == AMPSF_EXACT)
			exact = lappend(exact, list_nth_node(RestrictInfo, info->clauses, i)->clause);
	return exact;
}

List *
ampsf_scan_private(const AmpsfRelInfo *info, AmpsfOutput *out, List *quals, List *classes,
				   List *reasons, int limit, const char *order, List *bounds)
{
	List *l;

	/* SELECT count(*): SOQL wants a field, and every object has an Id. */
	if (out->fields == NIL)
		out->fields = out->keys = list_make1(makeString(pstrdup("Id")));

	l = list_make4(makeInteger((int) info->relid), makeString(info->table->object), out->fields,
				   out->keys);
	l = lappend(l, out->slots);
	l = lappend(l, out->sources);
	l = lappend(l, out->tables);
	l = lappend(l, out->attnums);
	l = lappend(l, list_concat_copy(quals, info->join_trees));
	l = lappend(l, classes);
	l = lappend(l, reasons);
	l = lappend(l, makeInteger(limit));
	l = lappend(l, makeString(pstrdup(order)));
	l = lappend(l, bounds);
	l = lappend(l, info->joins);
	l = lappend(l, exact_clauses(info));
	l = lappend(l, makeInteger((int) info->rti));
	l = lappend(l, makeFloat(psprintf("%.0f", info->remote_rows)));
	l = lappend(l, NIL); /* of groups aggregate.c knows */
	Assert(list_length(l) == AMPSF_SCAN_LENGTH);
	return l;
}

/*
 * The fields to ask for, and the columns that they fill.  Two columns may show the same field; SOQL
 * takes it once.
 */
static void
choose_fields(AmpsfRelInfo *info, AmpsfOutput *out)
{
	Relation relation = table_open(info->relid, NoLock);
	TupleDesc desc = RelationGetDescr(relation);
	bool whole_row = bms_is_member(0 - FirstLowInvalidHeapAttributeNumber, info->attrs_used);

	for (int attnum = 1; attnum <= desc->natts; attnum++)
	{
		AmpsfColumn *col;

		if (TupleDescAttr(desc, attnum - 1)->attisdropped)
			continue;
		if (!whole_row &&
			!bms_is_member(attnum - FirstLowInvalidHeapAttributeNumber, info->attrs_used))
			continue;
		col = ampsf_member_column(linitial(info->classify.members), attnum);
		if (!col->created)
			ampsf_output_add(out, attnum, col->field, col->field, info->relid, attnum);
	}
	table_close(relation, NoLock);
}

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
		choose_fields(info, &out);
	else
		foreach (lc, pull_var_clause((Node *) list_concat(exprs, rel->reltarget->exprs),
									 PVC_RECURSE_PLACEHOLDERS))
		{
			AmpsfColumn *col = ampsf_classify_column(&info->classify, lfirst(lc), NULL);

			if (col)
				place_of_field(&out, col->field, col->field);
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

void
ampsf_split_clauses(const AmpsfRelInfo *info, List *scan_clauses, AmpsfScanClauses *split)
{
	ListCell *lc;

	memset(split, 0, sizeof(*split));
	foreach (lc, scan_clauses)
	{
		RestrictInfo *ri = lfirst_node(RestrictInfo, lc);
		const char *reason = NULL;
		AmpsfPushClass c = AMPSF_LOCAL;
		int i = 0;
		ListCell *known;

		if (ri->pseudoconstant) /* belongs to a gating Result */
			continue;
		foreach (known, info->clauses)
		{
			if (lfirst(known) == ri)
			{
				c = list_nth_int(info->classes, i);
				reason = list_nth(info->reasons, i);
				if (c != AMPSF_LOCAL)
					split->quals = lappend(split->quals, list_nth(info->trees, i));
				break;
			}
			i++;
		}
		if (c == AMPSF_EXACT)
		{
			split->exact = lappend(split->exact, ri->clause);
			continue;
		}
		split->checked = lappend(split->checked, ri->clause);
		split->classes = lappend_int(split->classes, c);
		split->reasons = lappend(split->reasons, makeString(pstrdup(reason ? reason : "")));
	}
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
	choose_fields(info, &out);
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
