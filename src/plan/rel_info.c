/*
 * rel_info.c - see rel_info.h.
 */
#include "base/ampsf.h"
#include "plan/rel_info.h"
#include "plan/operators.h"

#include "access/sysattr.h"
#include "access/table.h"
#include "foreign/fdwapi.h"
#include "nodes/makefuncs.h"
#include "optimizer/pathnode.h"
#include "utils/rel.h"

bool
ampsf_is_our_rel(const RelOptInfo *rel)
{
	return rel && rel->fdwroutine && rel->fdw_private &&
		   rel->fdwroutine->IsForeignScanParallelSafe == ampsfIsForeignScanParallelSafe;
}

bool
ampsfIsForeignScanParallelSafe(PlannerInfo *root, RelOptInfo *rel, RangeTblEntry *rte)
{
	AmpsfTableOptions *table = ampsf_table_options(rte->relid);

	return table->parallel && !table->engagement;
}

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

int
ampsf_output_field(AmpsfOutput *out, char *field, char *key)
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
	out->sources = lappend_int(out->sources, ampsf_output_field(out, field, key));
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

void
ampsf_choose_fields(AmpsfRelInfo *info, AmpsfOutput *out)
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

void
ampsf_add_path(RelOptInfo *rel, ForeignPath *path)
{
	path->path.parallel_safe = false;
	add_path(rel, &path->path);
}
