/*
 * scan_paths.c - plans a scan of one foreign table: which clauses go out, which fields come back.
 *
 * No network here: what is known of fields stands in column options, what is known of sizes in
 * statistics, in this backend's memory, or in the option that IMPORT FOREIGN SCHEMA wrote.
 */
#include "base/ampsf.h"
#include "plan/scan_paths.h"
#include "plan/operators.h"
#include "plan/plan_modify.h"

#include "access/sysattr.h"
#include "access/table.h"
#include "nodes/makefuncs.h"
#include "optimizer/cost.h"
#include "optimizer/optimizer.h"
#include "optimizer/planmain.h"
#include "optimizer/restrictinfo.h"
#include "org/limits.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

/* Where nothing at all is known of a table. */
#define DEFAULT_ROWS 10000

static double
estimate_tuples(PlannerInfo *root, RelOptInfo *rel, const AmpsfRelInfo *info)
{
	double rows = ampsf_record_count_cached(rel->serverid, ampsf_rel_user(root, rel), info->table->object);

	if (rows >= 0)
		return rows;
	/* -1: never analyzed. */
	if (rel->tuples > 0 || (rel->tuples == 0 && rel->pages > 0))
		return rel->tuples;
	return info->table->rows >= 0 ? info->table->rows : DEFAULT_ROWS;
}

/* Is there a comparison with a list in the condition tree? */
bool
ampsf_has_list(List *tree)
{
	AmpsfQualKind kind = tree ? intVal(linitial(tree)) : AMPSF_QUAL_NEVER;

	if (kind == AMPSF_QUAL_COMPARE)
	{
		AmpsfOperatorForm form = ampsf_operators[intVal(lsecond(tree))].form;

		return form == AMPSF_FORM_ANY || form == AMPSF_FORM_ALL;
	}
	if (kind == AMPSF_QUAL_AND || kind == AMPSF_QUAL_OR)
		for (int i = 1; i < list_length(tree); i++)
			if (ampsf_has_list(list_nth(tree, i)))
				return true;
	return false;
}

/*
 * Marks the columns that must come back: for the target list, and for what is checked here.  An exact
 * clause need not be, but for one case: a list may turn out too long for a statement when parameters have
 * their values, and then every clause is checked here.
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
			pull_varattnos((Node *) ((RestrictInfo *) list_nth(info->clauses, i))->clause, rel->relid,
						   &used);
	return used;
}

void
ampsfGetForeignRelSize(PlannerInfo *root, RelOptInfo *rel, Oid relid)
{
	AmpsfRelInfo *info = palloc0(sizeof(AmpsfRelInfo));
	List *remote = NIL;
	ListCell *lc;

	rel->fdw_private = info;
	info->table = ampsf_table_options(relid);
	info->server = ampsf_server_options(GetForeignServer(rel->serverid));
	info->classify.root = root;
	info->classify.rel = rel;
	info->classify.relid = relid;

	foreach (lc, rel->baserestrictinfo)
	{
		RestrictInfo *ri = lfirst_node(RestrictInfo, lc);
		List *tree;
		const char *reason;
		AmpsfPushClass c = ampsf_classify(&info->classify, ri->clause, &tree, &reason);

		info->clauses = lappend(info->clauses, ri);
		info->classes = lappend_int(info->classes, c);
		info->trees = lappend(info->trees, tree);
		info->reasons = lappend(info->reasons, unconstify(char *, reason));
		if (c != AMPSF_LOCAL)
			remote = lappend(remote, ri);
	}
	info->attrs_used = columns_needed(root, rel, info);

	rel->tuples = estimate_tuples(root, rel, info);
	set_baserel_size_estimates(root, rel);
	info->remote_rows =
		clamp_row_est(rel->tuples * clauselist_selectivity(root, remote, rel->relid, JOIN_INNER, NULL));
}

void
ampsfGetForeignPaths(PlannerInfo *root, RelOptInfo *rel, Oid relid)
{
	AmpsfRelInfo *info = rel->fdw_private;
	Cost startup, total;
	QualCost local;

	ampsf_cost_scan(info->server, info->table->page_size, info->remote_rows, &startup, &total);
	cost_qual_eval(&local, rel->baserestrictinfo, root);
	startup += local.startup;
	total += local.startup + local.per_tuple * info->remote_rows;
	add_path(rel, (Path *) create_foreignscan_path(root, rel, NULL, rel->rows,
												   AMPSF_DISABLED_NODES startup, total, NIL,
												   rel->lateral_relids, NULL, AMPSF_RESTRICTINFO(NIL) NIL));
}

/* The place of a field in the list; appended if it is new. */
int
ampsf_place_of_field(List **fields, char *name)
{
	ListCell *lc;

	foreach (lc, *fields)
		if (pg_strcasecmp(strVal(lfirst(lc)), name) == 0)
			return foreach_current_index(lc);
	*fields = lappend(*fields, makeString(name));
	return list_length(*fields) - 1;
}

/*
 * The fields to ask for, the columns to fill, and which field fills each.  Two columns may show the same
 * field; SOQL takes it once.
 */
static void
choose_fields(RelOptInfo *rel, AmpsfRelInfo *info, Oid relid, List **fields, List **attnums,
			  List **sources)
{
	Relation relation = table_open(relid, NoLock);
	TupleDesc desc = RelationGetDescr(relation);
	bool whole_row = bms_is_member(0 - FirstLowInvalidHeapAttributeNumber, info->attrs_used);

	*fields = *attnums = *sources = NIL;
	for (int attnum = 1; attnum <= desc->natts; attnum++)
	{
		if (TupleDescAttr(desc, attnum - 1)->attisdropped)
			continue;
		if (!whole_row &&
			!bms_is_member(attnum - FirstLowInvalidHeapAttributeNumber, info->attrs_used))
			continue;
		*attnums = lappend_int(*attnums, attnum);
		*sources = lappend_int(
			*sources, ampsf_place_of_field(fields, ampsf_classify_column(&info->classify, attnum)->field));
	}
	/* SELECT count(*): SOQL wants a field, and every object has an Id. */
	if (*fields == NIL)
		*fields = list_make1(makeString(pstrdup("Id")));
	table_close(relation, NoLock);
}

ForeignScan *
ampsfGetForeignPlan(PlannerInfo *root, RelOptInfo *rel, Oid relid, ForeignPath *path, List *tlist,
					List *scan_clauses, Plan *outer_plan)
{
	AmpsfRelInfo *info = rel->fdw_private;
	List *fields, *attnums, *sources;
	List *quals = NIL, *checked = NIL, *exact = NIL;
	List *classes = NIL, *reasons = NIL;
	bool limited = root->limit_tuples >= 0 && root->limit_tuples < INT_MAX &&
				   root->query_pathkeys == NIL && bms_equal(rel->relids, root->all_baserels);
	List *fdw_private;
	ListCell *lc;

	if (rel->reloptkind == RELOPT_UPPER_REL)
		return ampsf_upper_plan(path, tlist, outer_plan);

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
					quals = lappend(quals, list_nth(info->trees, i));
				break;
			}
			i++;
		}
		if (c == AMPSF_EXACT)
		{
			exact = lappend(exact, ri->clause);
			continue;
		}
		limited = false;
		checked = lappend(checked, ri->clause);
		classes = lappend_int(classes, c);
		reasons = lappend(reasons, makeString(pstrdup(reason ? reason : "")));
	}
	choose_fields(rel, info, relid, &fields, &attnums, &sources);

	fdw_private = list_make4(makeInteger((int) relid), makeString(info->table->object), fields, fields);
	fdw_private = lappend(fdw_private, attnums);
	fdw_private = lappend(fdw_private, sources);
	fdw_private = lappend(fdw_private, attnums);
	fdw_private = lappend(fdw_private, quals);
	fdw_private = lappend(fdw_private, classes);
	fdw_private = lappend(fdw_private, reasons);
	fdw_private = lappend(fdw_private, makeInteger(limited ? (int) root->limit_tuples : -1));
	fdw_private = lappend(fdw_private, makeString(pstrdup("")));
	fdw_private = lappend(fdw_private, NIL);
	Assert(list_length(fdw_private) == AMPSF_SCAN_LENGTH);

	/*
	 * exact goes where EvalPlanQual finds it; the executor also uses it when a list had to be left out of
	 * the statement.
	 */
	return make_foreignscan(tlist, checked, rel->relid, info->classify.params, fdw_private, NIL, exact,
							outer_plan);
}
