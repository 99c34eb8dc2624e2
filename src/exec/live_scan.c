/*
 * live_scan.c - EXPLAIN of a live view: a node above the scan of each of its functions, which
 * passes the rows on and tells what the org is asked.
 *
 * Must not know: how it is asked.
 */
#include "postgres.h"

#include "commands/explain.h"
#include "executor/executor.h"
#include "nodes/extensible.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/paths.h"
#include "utils/lsyscache.h"

#include "base/compat.h"
#include "exec/live_view.h"

#define NODE_NAME "Ampsf Live"

static set_rel_pathlist_hook_type previous_hook = NULL;

static Plan *plan_live(PlannerInfo *root, RelOptInfo *rel, CustomPath *best_path, List *tlist,
					   List *clauses, List *custom_plans);
static Node *create_live_state(CustomScan *plan);

static const CustomPathMethods path_methods = {.CustomName = NODE_NAME,
											   .PlanCustomPath = plan_live};
static const CustomScanMethods scan_methods = {.CustomName = NODE_NAME,
											   .CreateCustomScanState = create_live_state};

/* -------- planning -------- */

/* The function of a table function that is one of ours, of a mirror that is known; else NULL. */
static FuncExpr *
live_function(RangeTblEntry *rte)
{
	FuncExpr *call;
	FmgrInfo info;
	char *name;

	if (rte->rtekind != RTE_FUNCTION || list_length(rte->functions) != 1)
		return NULL;
	call = (FuncExpr *) linitial_node(RangeTblFunction, rte->functions)->funcexpr;
	if (!IsA(call, FuncExpr) || list_length(call->args) != 1 || !IsA(linitial(call->args), Const) ||
		linitial_node(Const, call->args)->constisnull)
		return NULL;
	name = get_func_name(call->funcid);
	if (!name || (strcmp(name, "live_rows") != 0 && strcmp(name, "live_ids") != 0))
		return NULL;
	fmgr_info(call->funcid, &info);
	return info.fn_addr == ampsf_sql_live_rows || info.fn_addr == ampsf_sql_live_ids ? call : NULL;
}

static void
live_paths(PlannerInfo *root, RelOptInfo *rel, Index rti, RangeTblEntry *rte)
{
	FuncExpr *call;
	Path *scan;
	CustomPath *path;

	if (previous_hook)
		previous_hook(root, rel, rti, rte);
	if (rel->pathlist == NIL || list_length(rel->pathlist) != 1 ||
		!bms_is_empty(rel->lateral_relids) || (call = live_function(rte)) == NULL)
		return;
	scan = linitial(rel->pathlist);
	if (scan->pathtype != T_FunctionScan || scan->param_info)
		return;
	path = makeNode(CustomPath);
	path->path.pathtype = T_CustomScan;
	path->path.parent = rel;
	path->path.pathtarget = scan->pathtarget;
	path->path.rows = scan->rows;
	path->path.startup_cost = scan->startup_cost;
	path->path.total_cost = scan->total_cost;
	path->flags = CUSTOMPATH_SUPPORT_PROJECTION;
	path->custom_paths = list_make1(scan);
	path->custom_private =
		list_make2(makeInteger(call->funcid),
				   makeInteger(DatumGetObjectId(linitial_node(Const, call->args)->constvalue)));
	path->methods = &path_methods;
	rel->pathlist = list_make1(path);
}

/* Conditions are the scan's below. */
static Plan *
plan_live(PlannerInfo *root, RelOptInfo *rel, CustomPath *best_path, List *tlist, List *clauses,
		  List *custom_plans)
{
	CustomScan *plan = makeNode(CustomScan);

	plan->scan.plan.targetlist = tlist;
	plan->scan.scanrelid = 0;
	plan->flags = best_path->flags;
	plan->custom_plans = custom_plans;
	plan->custom_scan_tlist = copyObject(((Plan *) linitial(custom_plans))->targetlist);
	plan->custom_private = best_path->custom_private;
	plan->methods = &scan_methods;
	return (Plan *) plan;
}

/* -------- running -------- */

static void
begin_live(CustomScanState *node, EState *estate, int eflags)
{
	CustomScan *plan = castNode(CustomScan, node->ss.ps.plan);

	node->custom_ps = list_make1(ExecInitNode(linitial(plan->custom_plans), estate,
											  eflags & ~(EXEC_FLAG_BACKWARD | EXEC_FLAG_MARK)));
}

static TupleTableSlot *
exec_live(CustomScanState *node)
{
	TupleTableSlot *from = ExecProcNode(linitial(node->custom_ps));
	TupleTableSlot *slot = node->ss.ss_ScanTupleSlot;
	ExprContext *econtext = node->ss.ps.ps_ExprContext;

	ExecClearTuple(slot);
	if (TupIsNull(from))
		return slot;
	slot_getallattrs(from);
	memcpy(slot->tts_values, from->tts_values, sizeof(Datum) * slot->tts_tupleDescriptor->natts);
	memcpy(slot->tts_isnull, from->tts_isnull, sizeof(bool) * slot->tts_tupleDescriptor->natts);
	ExecStoreVirtualTuple(slot);
	if (!node->ss.ps.ps_ProjInfo)
		return slot;
	ResetExprContext(econtext);
	econtext->ecxt_scantuple = slot;
	return ExecProject(node->ss.ps.ps_ProjInfo);
}

static void
rescan_live(CustomScanState *node)
{
	PlanState *scan = linitial(node->custom_ps);

	if (node->ss.ps.chgParam)
		UpdateChangedParamSet(scan, node->ss.ps.chgParam);
	ExecReScan(scan);
}

static void
end_live(CustomScanState *node)
{
	ExecEndNode(linitial(node->custom_ps));
}

static void
explain_live(CustomScanState *node, List *ancestors, ExplainState *es)
{
	List *private = castNode(CustomScan, node->ss.ps.plan)->custom_private;
	char *soql;
	const char *log_from;

	if (!ampsf_live_question((Oid) intVal(lsecond(private)), (Oid) intVal(linitial(private)), &soql,
							 &log_from))
		return;
	ExplainPropertyText("Asked Once", soql, es);
	ExplainPropertyText("With Deletions Since", log_from, es);
}

static const CustomExecMethods exec_methods = {.CustomName = NODE_NAME,
											   .BeginCustomScan = begin_live,
											   .ExecCustomScan = exec_live,
											   .EndCustomScan = end_live,
											   .ReScanCustomScan = rescan_live,
											   .ExplainCustomScan = explain_live};

static Node *
create_live_state(CustomScan *plan)
{
	CustomScanState *state = palloc0(sizeof(CustomScanState));

	NodeSetTag(state, T_CustomScanState);
	state->methods = &exec_methods;
	state->flags = plan->flags;
	return (Node *) state;
}

void
ampsf_live_scan_init(void)
{
	RegisterCustomScanMethods(&scan_methods);
	previous_hook = set_rel_pathlist_hook;
	set_rel_pathlist_hook = live_paths;
}
