/*
 * explain.c - what EXPLAIN shows: the statement, each clause's class, and what was spent.
 */
#include "base/ampsf.h"
#include "exec/scan.h"

#include "nodes/makefuncs.h"
#include "plan/plan_private.h"
#include "utils/ruleutils.h"

#define NOTHING_TO_ASK "none: no row can satisfy the condition"

/*
 * "Pushed": the clauses that Salesforce evaluates alone; "Rechecked": those it evaluates first, and we
 * again; "Local" those it never sees, with the reason.
 */
static void
explain_clauses(ForeignScan *plan, List *context, ExplainState *es)
{
	List *classes = list_nth(plan->fdw_private, AMPSF_SCAN_CLASSES);
	List *reasons = list_nth(plan->fdw_private, AMPSF_SCAN_REASONS);
	ListCell *lq, *lc, *lr;
	bool prefix = list_length(es->rtable) > 1 || es->verbose;
	StringInfoData lines[2];

	if (plan->fdw_recheck_quals)
		ExplainPropertyText("Pushed exactly",
							deparse_expression((Node *) make_ands_explicit(plan->fdw_recheck_quals), context,
											   prefix, false),
							es);
	initStringInfo(&lines[AMPSF_LOCAL]);
	initStringInfo(&lines[AMPSF_SUPERSET]);
	forthree(lq, plan->scan.plan.qual, lc, classes, lr, reasons)
	{
		const char *reason = strVal(lfirst(lr));
		StringInfo line = &lines[lfirst_int(lc)];

		appendStringInfo(line, "%s%s", line->len ? "; " : "",
						 deparse_expression(lfirst(lq), context, prefix, false));
		if (*reason)
			appendStringInfo(line, ": %s", reason);
	}
	if (lines[AMPSF_SUPERSET].len)
		ExplainPropertyText("Pushed and rechecked", lines[AMPSF_SUPERSET].data, es);
	if (lines[AMPSF_LOCAL].len)
		ExplainPropertyText("Evaluated locally", lines[AMPSF_LOCAL].data, es);
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

void
ampsfExplainForeignScan(ForeignScanState *node, ExplainState *es)
{
	ForeignScan *plan = castNode(ForeignScan, node->ss.ps.plan);
	AmpsfScanState *state = node->fdw_state;
	List *context = set_deparse_context_plan(es->deparse_cxt, (Plan *) plan, NIL);
	AmpsfBind bind = {.nparams = list_length(plan->fdw_exprs)};
	char *soql;
	ListCell *lc;

	foreach (lc, plan->fdw_exprs)
		bind.labels = lappend(bind.labels, deparse_expression(lfirst(lc), context, false, false));
	soql = ampsf_deparse_select(state->object, state->fields, state->quals, &bind);

	ExplainPropertyText("SOQL", soql ? soql : NOTHING_TO_ASK, es);
	if (es->verbose)
		explain_clauses(plan, context, es);
	if (!es->analyze)
		return;
	/* With the values of the last run. */
	if (es->verbose && state->started && plan->fdw_exprs != NIL)
		ExplainPropertyText("SOQL Sent", state->soql ? state->soql : NOTHING_TO_ASK, es);
	ampsf_explain_stats(&state->stats, es);
}
