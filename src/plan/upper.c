/*
 * upper.c - what Salesforce can compute above a scan for less than sending the rows: what all such
 * statements have in common, and the plan of each.  aggregate.c has aggregates and groups, order.c
 * ORDER BY and LIMIT.
 *
 * Only where every clause is exact: what is checked again here must arrive here.  Whatever is not
 * recognized stays PostgreSQL's.  Must not know: the executor.
 */
#include "base/ampsf.h"
#include "plan/upper.h"
#include "plan/operators.h"

#include "nodes/makefuncs.h"
#include "optimizer/cost.h"
#include "optimizer/optimizer.h"
#include "optimizer/planmain.h"
#include "utils/array.h"
#include "utils/lsyscache.h"

/*
 * Lists in conditions may be this long together, as text of a statement: a longer one may have to
 * be left out of it, or be asked for in several.
 */
#define MAX_LIST_BYTES 20000

/* Adds what a constant list takes of a statement at most; false if it is no constant, or far too
 * long. */
static bool
add_list_bytes(Node *operand, Size *bytes)
{
	Const *list = (Const *) operand;
	Oid elemtype, output;
	bool isvarlena, isnull;
	ArrayIterator it;
	Datum value;

	if (!IsA(operand, Const))
		return false;
	if (list->constisnull)
		return true;
	elemtype = get_element_type(list->consttype);
	if (!OidIsValid(elemtype)) /* one value, of a list that is a field */
		return true;
	getTypeOutputInfo(elemtype, &output, &isvarlena);
	it = array_create_iterator(DatumGetArrayTypeP(list->constvalue), 0, NULL);
	while (*bytes <= MAX_LIST_BYTES && array_iterate(it, &value, &isnull))
		if (!isnull)
			/* Quotes and a comma; a character may become an escape of six. */
			*bytes += 6 * strlen(OidOutputFunctionCall(output, value)) + 30;
	array_free_iterator(it);
	return *bytes <= MAX_LIST_BYTES;
}

/* Do the lists of a condition tree fit into a statement, whatever happens? */
static bool
lists_fit(List *tree, Size *bytes)
{
	AmpsfQualKind kind = tree ? intVal(linitial(tree)) : AMPSF_QUAL_NEVER;

	if (kind == AMPSF_QUAL_OR && list_length(tree) > AMPSF_LONG_OR)
		return false;
	if (kind == AMPSF_QUAL_AND || kind == AMPSF_QUAL_OR)
	{
		for (int i = 1; i < list_length(tree); i++)
			if (!lists_fit(list_nth(tree, i), bytes))
				return false;
		return true;
	}
	if (!ampsf_has_list(tree))
		return true;
	return kind == AMPSF_QUAL_COMPARE && add_list_bytes(lfourth(tree), bytes);
}

static bool
is_final(const AmpsfRelInfo *info)
{
	Size bytes = 0;
	ListCell *lc;

	foreach (lc, info->classes)
		if (lfirst_int(lc) != AMPSF_EXACT)
			return false;
	foreach (lc, info->trees)
		if (!lists_fit(lfirst(lc), &bytes))
			return false;
	foreach (lc, info->clauses)
		if (lfirst_node(RestrictInfo, lc)->pseudoconstant)
			return false;
	return true;
}

bool
ampsf_upper_fits(AmpsfUpper *up, List *tree)
{
	Size bytes = 0;
	ListCell *lc;

	foreach (lc, up->trees)
		if (!lists_fit(lfirst(lc), &bytes))
			return false;
	return lists_fit(tree, &bytes);
}

bool
ampsf_upper_start(PlannerInfo *root, RelOptInfo *rel, AmpsfUpper *up)
{
	AmpsfRelInfo *info;

	memset(up, 0, sizeof(*up));
	if (root->parse->commandType != CMD_SELECT || root->parse->rowMarks != NIL ||
		!ampsf_is_our_rel(rel))
		return false;
	info = rel->fdw_private;
	if (info->table->engagement || !is_final(info))
		return false;
	up->root = root;
	up->info = palloc(sizeof(AmpsfRelInfo));
	*up->info = *info;
	up->info->classify.params = list_copy(info->classify.params);
	up->trees = list_copy(info->trees);
	up->page_key = up->page_count = -1;
	up->page_name = "";
	initStringInfo(&up->order);
	initStringInfo(&up->group_by);
	return true;
}

AmpsfColumn *
ampsf_upper_column(AmpsfUpper *up, Node *node, AmpsfMember **member)
{
	return IsA(node, Var) ? ampsf_classify_column(&up->info->classify, node, member) : NULL;
}

void
ampsf_upper_output(AmpsfUpper *up, Node *expr, char *field, char *key, Oid table, int attnum)
{
	up->exprs = lappend(up->exprs, expr);
	ampsf_output_add(&up->out, list_length(up->exprs), field, key, table, attnum);
}

void
ampsf_upper_path(AmpsfUpper *up, RelOptInfo *output_rel, PathTarget *target, double fetched,
				 double rows, List *pathkeys, Path *outer)
{
	Cost startup, total;
	List *scan_tlist = NIL;
	List *fdw_private;
	QualCost per_row = target->cost;
	QualCost checks;
	bool grouped = up->group_by.len > 0;
	ListCell *lc;

	foreach (lc, up->exprs)
		scan_tlist = lappend(
			scan_tlist, makeTargetEntry(lfirst(lc), foreach_current_index(lc) + 1, NULL, false));
	fdw_private = ampsf_scan_private(up->info, &up->out, up->trees, up->classes, up->reasons, -1,
									 up->order.data, up->bounds);
	if (grouped)
	{
		List *groups = list_make5(makeString(up->group_by.data), up->having, makeInteger(up->few),
								  makeInteger(up->page_key), makeString(pstrdup(up->page_name)));

		groups = lappend(groups, makeInteger(up->page_class));
		groups = lappend(groups, makeInteger(up->page_count));
		Assert(list_length(groups) == AMPSF_GROUPS_LENGTH);
		lfirst(list_nth_cell(fdw_private, AMPSF_SCAN_GROUPS)) = groups;
	}

	ampsf_cost_scan(up->info->server, grouped ? 0 : up->info->table->page_size, fetched, &startup,
					&total);
	/* The count that proves the pages complete. */
	if (grouped && fetched > AMPSF_MAX_GROUPS && up->page_count >= 0)
		total += up->info->server->call_cost;
	/*
	 * The same number of calls, and never more rows: let it win where estimates see no difference.
	 */
	startup *= 0.98;
	total *= 0.98;
	cost_qual_eval(&checks, up->checked, up->root);
	startup += per_row.startup + checks.startup;
	total +=
		per_row.startup + checks.startup + checks.per_tuple * fetched + per_row.per_tuple * rows;
	output_rel->fdw_private = up->info; /* once is enough */
	ampsf_add_path(output_rel,
				   create_foreign_upper_path(
					   up->root, output_rel, target, rows, AMPSF_DISABLED_NODES startup, total,
					   pathkeys, outer,
					   AMPSF_RESTRICTINFO(NIL) list_make4(fdw_private, scan_tlist,
														  up->info->classify.params, up->checked)));
}

bool
ampsf_upper_is_grouped(ForeignPath *path)
{
	return IS_UPPER_REL(path->path.parent) &&
		   list_nth(linitial(path->fdw_private), AMPSF_SCAN_GROUPS) != NIL;
}

ForeignScan *
ampsf_upper_plan(ForeignPath *path, List *tlist, Plan *outer_plan)
{
	return make_foreignscan(tlist, lfourth(path->fdw_private), 0, lthird(path->fdw_private),
							linitial(path->fdw_private), lsecond(path->fdw_private), NIL,
							outer_plan);
}
