/*
 * explain.c - what EXPLAIN shows: the statement, each clause's class, and what was spent.
 */
#include "base/ampsf.h"
#include "exec/engagement_scan.h"
#include "exec/scan.h"

#include <math.h>

#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "org/graph.h"
#include "plan/plan_private.h"
#include "rewrite/rewriteManip.h"
#include "utils/ruleutils.h"

#define NOTHING_TO_ASK "none: no row can satisfy the condition"

/* The numbers of parameters whose source PostgreSQL finds. */
static Bitmapset *
known_params(ForeignScan *plan)
{
	Bitmapset *known = NULL;
	ListCell *lc, *lp;

	foreach (lc, plan->scan.plan.initPlan)
	{
		foreach (lp, lfirst_node(SubPlan, lc)->setParam)
			known = bms_add_member(known, lfirst_int(lp));
	}
	return known;
}

static Node *
externalize(Node *node, void *context)
{
	Bitmapset *known = *(Bitmapset **) context;

	if (node == NULL)
		return NULL;
	if (IsA(node, Param))
	{
		Param *param = copyObject((Param *) node);

		if (param->paramkind == PARAM_EXEC && !bms_is_member(param->paramid, known))
			param->paramkind = PARAM_EXTERN;
		return (Node *) param;
	}
	if (IsA(node, SubPlan))
	{
		ListCell *lc;

		known = bms_copy(known);
		foreach (lc, ((SubPlan *) node)->paramIds)
			known = bms_add_member(known, lfirst_int(lc));
		return expression_tree_mutator(node, externalize, (void *) &known);
	}
	return expression_tree_mutator(node, externalize, context);
}

/*
 * A plan node that is explained here is not told its ancestors.  A parameter that one of them sets
 * cannot be shown as its source, for which an assertion of PostgreSQL's asks: it is $N.
 */
static char *
deparse_clause(ForeignScan *plan, Node *clause, List *context, bool prefix)
{
	Bitmapset *known = known_params(plan);

	return deparse_expression(externalize(clause, &known), context, prefix, false);
}

/*
 * Clauses that the planner left with its own numbers of relations: they become those of the
 * finished plan.
 */
static char *
deparse_planner_clause(ForeignScan *plan, Node *clause, List *context, bool prefix)
{
	int offset = ampsf_scan_first_rti(plan) - intVal(list_nth(plan->fdw_private, AMPSF_SCAN_RTI));

	clause = copyObject(clause);
	if (offset != 0)
		OffsetVarNodes(clause, offset, 0);
	return deparse_clause(plan, clause, context, prefix);
}

static void
explain_joins(ForeignScan *plan, List *context, ExplainState *es)
{
	List *lines = NIL;
	ListCell *lc;

	foreach (lc, list_nth(plan->fdw_private, AMPSF_SCAN_JOINS))
	{
		JoinType type = intVal(linitial(lfirst(lc)));

		lines = lappend(lines,
						psprintf("%s %s",
								 type == JOIN_LEFT	 ? "left"
								 : type == JOIN_SEMI ? "semi"
								 : type == JOIN_ANTI ? "anti"
													 : "inner",
								 deparse_planner_clause(plan, lsecond(lfirst(lc)), context, true)));
	}
	if (lines)
		ExplainPropertyList("Joins", lines, es);
}

/*
 * "Exact": the clauses that Salesforce evaluates alone.  "Superset": those it evaluates first, and
 * we again. "Local": those it never sees.  The last two with the reason.
 */
static void
explain_clauses(ForeignScan *plan, List *context, ExplainState *es)
{
	List *classes = list_nth(plan->fdw_private, AMPSF_SCAN_CLASSES);
	List *reasons = list_nth(plan->fdw_private, AMPSF_SCAN_REASONS);
	ListCell *lq, *lc, *lr;
	bool prefix = list_length(es->rtable) > 1 || es->verbose;
	List *lines[AMPSF_EXACT] = {NIL};

	if (plan->scan.scanrelid == 0)
	{
		List *exact = NIL;

		foreach (lq, list_nth(plan->fdw_private, AMPSF_SCAN_EXACT))
			exact = lappend(exact, deparse_planner_clause(plan, lfirst(lq), context, prefix));
		if (exact)
			ExplainPropertyList("Exact", exact, es);
	}
	else if (plan->fdw_recheck_quals)
		ExplainPropertyText("Exact",
							deparse_clause(plan,
										   (Node *) make_ands_explicit(plan->fdw_recheck_quals),
										   context, prefix),
							es);
	forthree(lq, plan->scan.plan.qual, lc, classes, lr, reasons)
	{
		const char *reason = strVal(lfirst(lr));
		char *clause = deparse_clause(plan, lfirst(lq), context, prefix);
		List **list = &lines[lfirst_int(lc)];

		*list = lappend(*list, *reason ? psprintf("%s: %s", clause, reason) : clause);
	}
	if (lines[AMPSF_SUPERSET])
		ExplainPropertyList("Superset", lines[AMPSF_SUPERSET], es);
	if (lines[AMPSF_LOCAL])
		ExplainPropertyList("Local", lines[AMPSF_LOCAL], es);
}

void
ampsf_explain_stats(const AmpsfStats *stats, ExplainState *es)
{
	ExplainPropertyInteger("API Calls", NULL, stats->calls, es);
	if (es->verbose)
	{
		if (stats->pages > 0)
			ExplainPropertyInteger("Pages", NULL, stats->pages, es);
		ExplainPropertyInteger("Bytes Received", NULL, stats->bytes_in, es);
		if (stats->bytes_out > 0)
			ExplainPropertyInteger("Bytes Sent", NULL, stats->bytes_out, es);
		ExplainPropertyInteger("Retries", NULL, stats->retries, es);
	}
}

/*
 * As org/bulk_ingest.c has it, of rows that are not very long: what a job takes, and what it costs.
 */
#define BULK_JOB_ROWS 100000
#define BULK_JOB_CALLS 8

/* Will so many rows be written by Bulk jobs, unless there are others than expected? */
static bool
is_written_by_bulk(const AmpsfTableOptions *table, double rows, int batch)
{
	if (table->write_at_commit || table->engagement || batch == 1 || table->all_or_none ||
		table->if_unchanged)
		return false;
	if (table->hard_delete || table->write_transport == AMPSF_WRITE_BULK)
		return true;
	return table->write_transport == AMPSF_WRITE_AUTO && rows >= table->bulk_write_threshold;
}

/* The calls that writing so many rows will be; each is read back on its own. */
void
ampsf_explain_write_calls(const AmpsfTableOptions *table, double rows, int batch, bool read_back,
						  ExplainState *es)
{
	double calls = ceil(rows / (table->write_at_commit ? AMPSF_MAX_GRAPH : batch));

	if (is_written_by_bulk(table, rows, batch))
		calls = ceil(rows / BULK_JOB_ROWS) * BULK_JOB_CALLS;
	if (read_back && !table->write_at_commit)
		calls += rows;
	ExplainPropertyInteger("Estimated Write Calls", NULL, (int64) calls, es);
}

/*
 * The calls that reading the estimated rows will be.  Where nothing is checked here, all rows that
 * come are the plan's, unless other processes get some of them.
 */
static void
explain_estimated_calls(ForeignScan *plan, const AmpsfScanState *state, ExplainState *es)
{
	double rows = plan->scan.plan.qual == NIL && !plan->scan.plan.parallel_aware
					  ? plan->scan.plan.plan_rows
					  : floatVal(list_nth(plan->fdw_private, AMPSF_SCAN_ROWS));
	AmpsfTableOptions *table = ampsf_table_options(state->relid);
	int page = table->page_size;

	if (table->engagement)
		page = page > 0 ? Min(page, 1000) : 1000;
	if (state->limit >= 0)
		rows = Min(rows, state->limit);
	ExplainPropertyInteger("Estimated API Calls", NULL, (int64) ampsf_pages(page, rows), es);
}

void
ampsfExplainForeignScan(ForeignScanState *node, ExplainState *es)
{
	ForeignScan *plan = castNode(ForeignScan, node->ss.ps.plan);
	AmpsfScanState *state = node->fdw_state;
	List *context = set_deparse_context_plan(es->deparse_cxt, (Plan *) plan, NIL);
	AmpsfBind bind = {.nparams = list_length(plan->fdw_exprs)};
	AmpsfTableOptions *table;
	char *soql;
	ListCell *lc;

	foreach (lc, plan->fdw_exprs)
		bind.labels = lappend(bind.labels, IsA(lfirst(lc), CaseTestExpr)
											   ? "keys" /* of a batched lookup */
											   : deparse_clause(plan, lfirst(lc), context, false));
	table = ampsf_table_options(state->relid);
	soql = table->engagement ? ampsf_engagement_explain(&state->select, &bind, table)
							 : ampsf_deparse_select(&state->select, &bind, NULL);

	explain_joins(plan, context, es);
	ExplainPropertyText(table->engagement ? "Request" : "SOQL", soql ? soql : NOTHING_TO_ASK, es);
	if (es->verbose)
		explain_clauses(plan, context, es);
	if (es->verbose && es->costs && soql)
		explain_estimated_calls(plan, state, es);
	if (!es->analyze)
		return;
	/* With the values of the last run. */
	if (es->verbose && state->started && plan->fdw_exprs != NIL)
		ExplainPropertyText(table->engagement ? "Request Sent" : "SOQL Sent",
							state->soql ? state->soql : NOTHING_TO_ASK, es);
	if (es->verbose && state->statements)
		ExplainPropertyInteger("Statements", NULL, list_length(state->statements), es);
	ampsf_explain_stats(&state->stats, es);
}
