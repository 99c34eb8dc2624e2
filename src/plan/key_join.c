/*
 * key_join.c - plans batched key lookups: joins of anything with a foreign table of ours, for which
 * the table is asked by the keys of the other side, some hundreds a call.
 *
 * PostgreSQL's own joins ask the inner side once as a whole, or once a row.  In between stands a
 * custom scan with two children: the plan of the outer side, and a foreign scan with one more
 * condition, column = ANY (keys), whose keys the node gives it before each rescan.  So
 * classification, printing, fetching, conversion and EXPLAIN are those of every scan.  The keys are
 * not a Param, which the planner would want to know the source of, but a CaseTestExpr, the one
 * expression whose value is taken from the expression context that it is evaluated in.
 *
 * Salesforce's answer only has to be a superset: the node joins by the equality itself.
 *
 * A lookup by a unique field keeps the rows in the order of the outer plan.  By any other field a
 * key may match any number of rows, which are not kept but joined as they come.
 *
 * Must not know: how the node is run, but for its name.
 */
#include "base/ampsf.h"
#include "plan/key_join.h"

#include <math.h>

#include "base/guc.h"
#include "catalog/pg_class.h"
#include "nodes/extensible.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/clauses.h"
#include "optimizer/cost.h"
#include "optimizer/optimizer.h"
#include "optimizer/pathnode.h"
#include "optimizer/paths.h"
#include "optimizer/planmain.h"
#include "optimizer/restrictinfo.h"
#include "org/limits.h"
#include "plan/operators.h"
#include "plan/rel_info.h"
#include "utils/lsyscache.h"
#include "utils/selfuncs.h"

/* How many rows a key is expected to find where nothing is known, by what kind of field it is. */
#define ROWS_OF_PARENT 10
#define ROWS_OF_EMAIL 2
/* Sending a key, in units of cpu_tuple_cost: as much as receiving a row. */
#define KEY_WEIGHT 100

/* A join in the making. */
typedef struct Lookup
{
	PlannerInfo *root;
	RelOptInfo *joinrel, *outerrel, *innerrel;
	AmpsfRelInfo *inner;
	JoinType type;
	List *restrictlist;
	RestrictInfo *key; /* the equality that it goes by */
	bool outer_left;   /* is its left side the outer one's? */
	Node *outer_key, *inner_key;
	Expr *keys_clause;
	bool unique;	 /* at most one row has a key */
	double tuples;	 /* rows of the object */
	double key_rows; /* rows that one key is expected to find */
	int batch;		 /* keys of a call */
} Lookup;

static set_join_pathlist_hook_type previous_hook = NULL;

/* -------- which equality -------- */

/*
 * Nothing of a row that has to be hidden may be told: the operator sees rows of the inner side that
 * other conditions come after, and the outer side's expression rows of its own.
 */
static bool
is_secure(const Lookup *join, RestrictInfo *ri)
{
	ListCell *lc;

	if (ri->leakproof)
		return true;
	foreach (lc, join->restrictlist)
		if (lfirst_node(RestrictInfo, lc)->security_level < ri->security_level)
			return false;
	return get_func_leakproof(((OpExpr *) ri->clause)->opfuncid) ||
		   restriction_is_securely_promotable(ri, join->innerrel);
}

/*
 * Can the join go by this clause: an equality of an expression of the outer side with a column of
 * the inner one, that can be hashed, and that Salesforce evaluates at least as a superset?
 */
static bool
set_key(Lookup *join, RestrictInfo *ri)
{
	OpExpr *op = (OpExpr *) ri->clause;
	ScalarArrayOpExpr *any;
	CaseTestExpr *keys;
	AmpsfClassify classify = join->inner->classify;
	AmpsfColumn *col;
	AmpsfMember *member;
	Oid opno, array;
	List *tree;
	const char *reason;

	if (!OidIsValid(ri->hashjoinoperator) || ri->pseudoconstant || !IsA(op, OpExpr) ||
		(IS_OUTER_JOIN(join->type) && RINFO_IS_PUSHED_DOWN(ri, join->joinrel->relids)))
		return false;
	if (bms_is_subset(ri->left_relids, join->outerrel->relids) &&
		bms_is_subset(ri->right_relids, join->innerrel->relids))
		join->outer_left = true;
	else if (bms_is_subset(ri->right_relids, join->outerrel->relids) &&
			 bms_is_subset(ri->left_relids, join->innerrel->relids))
		join->outer_left = false;
	else
		return false;
	join->key = ri;
	join->outer_key = join->outer_left ? linitial(op->args) : lsecond(op->args);
	join->inner_key = join->outer_left ? lsecond(op->args) : linitial(op->args);
	opno = join->outer_left ? get_commutator(op->opno) : op->opno;
	array = get_array_type(exprType(join->outer_key));
	col = ampsf_classify_column(&classify, join->inner_key, &member);
	if (!col || !OidIsValid(opno) || !OidIsValid(array) || contain_subplans((Node *) op) ||
		!is_secure(join, ri))
		return false;

	keys = makeNode(CaseTestExpr);
	keys->typeId = array;
	keys->typeMod = -1;
	keys->collation = exprCollation(join->outer_key);
	any = makeNode(ScalarArrayOpExpr);
	any->opno = opno;
	any->opfuncid = get_opcode(opno);
	any->useOr = true;
	any->inputcollid = op->inputcollid;
	any->args = list_make2(join->inner_key, keys);
	any->location = -1;
	join->keys_clause = (Expr *) any;

	classify.params = NIL;
	if (ampsf_classify(&classify, join->keys_clause, &tree, &reason) == AMPSF_LOCAL)
		return false;
	join->unique =
		col->unique && member == linitial(classify.members) && !join->inner->table->include_deleted;
	return true;
}

/* How many rows of the inner side is one key expected to find, before the other conditions? */
static double
rows_of_key(const Lookup *join)
{
	AmpsfMember *member;
	AmpsfColumn *col = ampsf_classify_column(&join->inner->classify, join->inner_key, &member);
	VariableStatData vardata;
	double distinct;
	bool unknown, dflt;

	if (join->unique || (col->external_id && member == linitial(join->inner->classify.members)))
		return 1;
	examine_variable(join->root, join->inner_key, 0, &vardata);
	unknown = !HeapTupleIsValid(vardata.statsTuple);
	distinct = get_variable_numdistinct(&vardata, &dflt);
	ReleaseVariableStats(vardata);
	if (unknown && strcmp(col->type, "reference") == 0)
	{
		double parents = -1;

		if (col->reference_to && !strchr(col->reference_to, ','))
			parents = ampsf_record_count_cached(join->innerrel->serverid, join->inner->userid,
												col->reference_to);
		distinct = parents > 0 ? parents : join->tuples / ROWS_OF_PARENT;
	}
	else if (unknown && (strcmp(col->type, "email") == 0 || strcmp(col->type, "phone") == 0))
		distinct = join->tuples / ROWS_OF_EMAIL;
	return join->tuples / Max(Min(distinct, join->tuples), 1);
}

/* -------- paths -------- */

bool
ampsf_query_writes(PlannerInfo *root)
{
	Query *query;

	while (root->parent_root)
		root = root->parent_root;
	query = root->parse;
	if (query->commandType == CMD_SELECT || query->hasModifyingCTE)
		return query->hasModifyingCTE;
	/* A partitioned table may have foreign ones. */
	return rt_fetch(query->resultRelation, query->rtable)->relkind != RELKIND_RELATION;
}

static Plan *plan_key_join(PlannerInfo *root, RelOptInfo *rel, CustomPath *best_path, List *tlist,
						   List *clauses, List *custom_plans);

static const CustomPathMethods path_methods = {.CustomName = AMPSF_KEY_JOIN_NAME,
											   .PlanCustomPath = plan_key_join};

/* The foreign scan of one batch. */
static Path *
inner_path(const Lookup *join, double rows)
{
	Cost startup, total;

	ampsf_cost_scan(join->inner->server, join->inner->table->page_size, rows, &startup, &total);
	rows = clamp_row_est(rows * join->innerrel->rows / Max(join->inner->remote_rows, 1));
	if (IS_JOIN_REL(join->innerrel))
		return (Path *) create_foreign_join_path(
			join->root, join->innerrel, NULL, rows, AMPSF_DISABLED_NODES startup, total, NIL, NULL,
			NULL, AMPSF_RESTRICTINFO(NIL) list_make1(join->keys_clause));
	return (Path *) create_foreignscan_path(join->root, join->innerrel, NULL, rows,
											AMPSF_DISABLED_NODES startup, total, NIL, NULL, NULL,
											AMPSF_RESTRICTINFO(NIL) list_make1(join->keys_clause));
}

/*
 * Calls are what it costs: one for so many different keys, and one for each further page.  The
 * first row is there when the first keys have been read and asked for.
 */
static void
cost_key_join(const Lookup *join, CustomPath *path, Path *outer, double keys, int first)
{
	double batches = 1 + ceil(Max(keys - first, 0) / join->batch);
	double remote = clamp_row_est(Min(keys * join->key_rows, join->inner->remote_rows));
	double share = Min(first / keys, 1);
	Cost startup, total;
	QualCost quals;

	ampsf_cost_scan(join->inner->server, join->inner->table->page_size, remote, &startup, &total);
	total += (batches - 1) * join->inner->server->call_cost + keys * cpu_tuple_cost * KEY_WEIGHT;
	ampsf_cost_scan(join->inner->server, join->inner->table->page_size, remote * share, &startup,
					&startup);
	cost_qual_eval(&quals, join->restrictlist, join->root);
	path->path.startup_cost = outer->startup_cost + quals.startup +
							  (outer->total_cost - outer->startup_cost) * share + startup +
							  path->path.pathtarget->cost.startup;
	path->path.total_cost = outer->total_cost + total + quals.startup +
							(cpu_operator_cost + cpu_tuple_cost) * (outer->rows + remote) +
							(quals.per_tuple + cpu_tuple_cost) * path->path.rows +
							path->path.pathtarget->cost.startup +
							path->path.pathtarget->cost.per_tuple * path->path.rows;
}

static void
add_lookup(const Lookup *join, Path *outer)
{
	PlannerInfo *root = join->root;
	CustomPath *path = makeNode(CustomPath);
	double keys = estimate_num_groups(root, list_make1(join->outer_key), outer->rows, NULL, NULL);
	bool eager = ampsf_query_writes(root);
	List *pathkeys = NIL;
	int first = join->batch;

	if (join->unique && !eager)
		pathkeys = build_join_pathkeys(root, join->joinrel, join->type, outer->pathkeys);
	/* Who may stop soon begins with few keys. */
	if (root->limit_tuples > 0 && root->limit_tuples < first && !eager &&
		pathkeys_contained_in(root->query_pathkeys, pathkeys))
		first = Min(Max((int) root->limit_tuples, 10), join->batch);

	path->path.pathtype = T_CustomScan;
	path->path.parent = join->joinrel;
	path->path.pathtarget = join->joinrel->reltarget;
	path->path.rows = join->joinrel->rows;
	path->path.pathkeys = pathkeys;
	AMPSF_COPY_DISABLED_NODES(&path->path, outer);
	path->flags = CUSTOMPATH_SUPPORT_PROJECTION;
	path->custom_paths =
		list_make2(outer, inner_path(join, Min(keys, join->batch) * join->key_rows));
	path->custom_private =
		list_make4(join->restrictlist, join->key, makeInteger(join->outer_left),
				   list_make5(makeInteger(join->type), makeInteger(join->batch), makeInteger(first),
							  makeInteger(join->unique), makeInteger(eager)));
	path->methods = &path_methods;
	cost_key_join(join, path, outer, Max(keys, 1), first);
	add_path(join->joinrel, (Path *) path);
}

/* Offers the lookup over each way to read the outer side that makes a difference. */
static void
add_lookups(const Lookup *join)
{
	PlannerInfo *root = join->root;
	RelOptInfo *outerrel = join->outerrel;
	Path *cheapest = outerrel->cheapest_total_path;
	ListCell *lc;

	add_lookup(join, cheapest);
	if (!join->unique)
		return;
	foreach (lc, outerrel->pathlist)
	{
		Path *outer = lfirst(lc);

		if (outer != cheapest && outer->pathkeys != NIL && !outer->param_info)
			add_lookup(join, outer);
	}
	/* Sorted before the lookup: then a LIMIT needs but the first keys. */
	if (root->query_pathkeys == NIL || root->limit_tuples <= 0)
		return;
	foreach (lc, root->query_pathkeys)
		if (!relation_can_be_sorted_early(root, outerrel, lfirst_node(PathKey, lc)->pk_eclass,
										  false))
			return;
	add_lookup(join, (Path *) create_sort_path(root, outerrel, cheapest, root->query_pathkeys, -1));
}

static bool
has_pseudoconstants(List *clauses)
{
	ListCell *lc;

	foreach (lc, clauses)
		if (lfirst_node(RestrictInfo, lc)->pseudoconstant)
			return true;
	return false;
}

static void
key_join_paths(PlannerInfo *root, RelOptInfo *joinrel, RelOptInfo *outerrel, RelOptInfo *innerrel,
			   JoinType jointype, JoinPathExtraData *extra)
{
	Lookup join = {.root = root,
				   .joinrel = joinrel,
				   .outerrel = outerrel,
				   .innerrel = innerrel,
				   .type = jointype,
				   .restrictlist = extra->restrictlist};
	Path *outer = outerrel->cheapest_total_path;
	ListCell *lc;

	if (previous_hook)
		previous_hook(root, joinrel, outerrel, innerrel, jointype, extra);
	if (!ampsf_enable_key_lookup || joinrel->reloptkind != RELOPT_JOINREL ||
		(innerrel->reloptkind != RELOPT_BASEREL && innerrel->reloptkind != RELOPT_JOINREL) ||
		!ampsf_is_our_rel(innerrel) || !bms_is_empty(joinrel->lateral_relids) || !outer ||
		outer->param_info || IS_DUMMY_REL(outerrel) || IS_DUMMY_REL(innerrel))
		return;
	/* A condition without columns would stand in a node of its own above the scan. */
	if (has_pseudoconstants(extra->restrictlist) || has_pseudoconstants(innerrel->baserestrictinfo))
		return;
	if (jointype != JOIN_INNER && jointype != JOIN_LEFT && jointype != JOIN_SEMI &&
		jointype != JOIN_ANTI && jointype != JOIN_UNIQUE_OUTER)
		return;
	if (jointype == JOIN_UNIQUE_OUTER)
		join.type = JOIN_INNER;

	join.inner = innerrel->fdw_private;
	if (join.inner->table->engagement)
		return;
	join.batch = join.inner->table->lookup_batch;
	join.tuples = Max(
		find_base_rel(root, ((AmpsfMember *) linitial(join.inner->classify.members))->rti)->tuples,
		1);
	if (jointype == JOIN_UNIQUE_OUTER)
	{
		outer = (Path *) create_unique_path(root, outerrel, outer, extra->sjinfo);
		if (!outer)
			return;
	}
	/* Where an equality is with a unique field there is nothing better. */
	for (int unique = 1; unique >= 0; unique--)
	{
		bool found = false;

		foreach (lc, extra->restrictlist)
		{
			if (!set_key(&join, lfirst_node(RestrictInfo, lc)) || join.unique != unique)
				continue;
			found = true;
			join.key_rows = rows_of_key(&join) * Min(join.inner->remote_rows / join.tuples, 1);
			if (jointype == JOIN_UNIQUE_OUTER)
				add_lookup(&join, outer);
			else
				add_lookups(&join);
		}
		if (found)
			return;
	}
}

/* -------- the plan -------- */

/* The same column or placeholder, whatever outer joins may have made it null? */
static bool
same_column(const Node *a, const Node *b)
{
	if (nodeTag(a) != nodeTag(b))
		return false;
	if (IsA(a, Var))
		return ((const Var *) a)->varno == ((const Var *) b)->varno &&
			   ((const Var *) a)->varattno == ((const Var *) b)->varattno &&
			   ((const Var *) a)->varlevelsup == ((const Var *) b)->varlevelsup;
	return IsA(a, PlaceHolderVar) &&
		   ((const PlaceHolderVar *) a)->phid == ((const PlaceHolderVar *) b)->phid &&
		   ((const PlaceHolderVar *) a)->phlevelsup == ((const PlaceHolderVar *) b)->phlevelsup;
}

/*
 * The columns of the node's rows: those of the outer plan, and those of the scan.  Above an outer
 * join the planner calls the same column by another name, "may be null by that join"; the node has
 * but one of each, and that is the name it gets, if anybody above uses it.  (The target list that
 * the plan is made with may be empty, and be set afterwards.)
 */
static List *
make_scan_tlist(List *custom_plans, RelOptInfo *rel)
{
	List *above = pull_var_clause((Node *) rel->reltarget->exprs, PVC_INCLUDE_AGGREGATES |
																	  PVC_INCLUDE_WINDOWFUNCS |
																	  PVC_INCLUDE_PLACEHOLDERS);
	List *result = NIL;
	ListCell *lp, *lt, *la;

	foreach (lp, custom_plans)
		foreach (lt, ((Plan *) lfirst(lp))->targetlist)
		{
			Expr *expr = lfirst_node(TargetEntry, lt)->expr;

			foreach (la, above)
				if (same_column((Node *) expr, lfirst(la)))
				{
					expr = lfirst(la);
					break;
				}
			result = lappend(
				result, makeTargetEntry(copyObject(expr), list_length(result) + 1, NULL, false));
		}
	return result;
}

/* The expression with its columns called as the rows of the node call them. */
static Node *
use_scan_tlist(Node *node, void *scan_tlist)
{
	if (!node)
		return NULL;
	if (IsA(node, Var) || IsA(node, PlaceHolderVar))
	{
		ListCell *lc;

		foreach (lc, (List *) scan_tlist)
		{
			Node *expr = (Node *) lfirst_node(TargetEntry, lc)->expr;

			if (same_column(node, expr))
				return copyObject(expr);
		}
	}
	return expression_tree_mutator(node, use_scan_tlist, scan_tlist);
}

/* By security level, as the planner orders conditions that are checked one after another. */
static int
compare_security(const ListCell *a, const ListCell *b)
{
	Index one = lfirst_node(RestrictInfo, a)->security_level;
	Index other = lfirst_node(RestrictInfo, b)->security_level;

	return one < other ? -1 : one > other;
}

static Plan *
plan_key_join(PlannerInfo *root, RelOptInfo *rel, CustomPath *best_path, List *tlist, List *clauses,
			  List *custom_plans)
{
	CustomScan *plan = makeNode(CustomScan);
	List *restrictlist = list_copy(linitial(best_path->custom_private));
	RestrictInfo *key = lsecond(best_path->custom_private);
	List *private = lfourth(best_path->custom_private);
	JoinType type = intVal(list_nth(private, AMPSF_KEY_JOIN_TYPE));
	bool outer_left = intVal(lthird(best_path->custom_private));
	OpExpr *equality;
	List *on, *filter = NIL;

	restrictlist = list_delete_ptr(restrictlist, key);
	list_sort(restrictlist, compare_security);
	if (IS_OUTER_JOIN(type))
		extract_actual_join_clauses(restrictlist, rel->relids, &on, &filter);
	else
		on = extract_actual_clauses(restrictlist, false);

	/* The node evaluates  column = expression. */
	equality = copyObject((OpExpr *) key->clause);
	if (outer_left)
		CommuteOpExpr(equality);

	plan->custom_scan_tlist = make_scan_tlist(custom_plans, rel);
	plan->scan.plan.targetlist = tlist;
	plan->scan.plan.qual = (List *) use_scan_tlist((Node *) filter, plan->custom_scan_tlist);
	plan->scan.scanrelid = 0;
	plan->flags = best_path->flags;
	plan->custom_plans = custom_plans;
	plan->custom_exprs =
		(List *) use_scan_tlist((Node *) lcons(equality, on), plan->custom_scan_tlist);
	plan->custom_private = private;
	plan->methods = GetCustomScanMethods(AMPSF_KEY_JOIN_NAME, false);
	return (Plan *) plan;
}

Expr *
ampsf_keys_clause(const ForeignPath *path)
{
	return path->fdw_private ? linitial(path->fdw_private) : NULL;
}

void
ampsf_key_join_plan_init(void)
{
	previous_hook = set_join_pathlist_hook;
	set_join_pathlist_hook = key_join_paths;
}
