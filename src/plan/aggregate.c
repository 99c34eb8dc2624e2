/*
 * aggregate.c - aggregates, GROUP BY with HAVING, and SELECT DISTINCT as SOQL.
 *
 * Groups must be what SQL's equality makes of the keys, so texts that Salesforce compares without
 * case are no keys.  HAVING is sent as far as it can be, to stay below the number of groups that
 * Salesforce gives, and checked again here, which costs nothing.  Must not know: the executor.
 *
 * Not pushed, and why: SUM and AVG unless the table's option says so (Salesforce adds in doubles),
 * MIN and MAX of currencies (converted in orgs with several) and of texts (another order),
 * aggregates of a parent's fields (documented of the object's own only), grouping sets.
 */
#include "base/ampsf.h"
#include "plan/aggregate.h"
#include "plan/operators.h"

#include "access/transam.h"
#include "catalog/pg_aggregate.h"
#include "catalog/pg_type.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/clauses.h"
#include "optimizer/cost.h"
#include "optimizer/optimizer.h"
#include "optimizer/tlist.h"
#include "utils/lsyscache.h"

/* So many boolean keys have fewer than AMPSF_SURE_GROUPS groups. */
#define MAX_BOOLEAN_KEYS 7

/* How SOQL names a column: the Id of a parent that must be there is the reference to it. */
static char *
field_name(const AmpsfColumn *col, const AmpsfMember *member)
{
	if (member->lookup && !member->outer &&
		pg_strcasecmp(col->field + strlen(member->prefix), "Id") == 0)
		return member->lookup->field;
	return col->field;
}

static bool
is_key(const AmpsfUpper *up, const char *field)
{
	ListCell *lc;

	foreach (lc, up->keys)
		if (pg_strcasecmp(lfirst(lc), field) == 0)
			return true;
	return false;
}

/* -------- aggregates -------- */

/* An aggregate as SOQL has it. */
typedef struct Call
{
	char *text;
	Oid table; /* as in AmpsfOutput */
	int attnum;
	AmpsfColumn *col; /* as which it is compared and sorted */
} Call;

static AmpsfColumn *
value_column(char *text, const char *type, bool filterable)
{
	AmpsfColumn *col = palloc0(sizeof(AmpsfColumn));

	col->field = text;
	col->type = pstrdup(type);
	col->filterable = col->sortable = filterable;
	return col;
}

static bool
call_count(Call *call, const char *function, const char *field)
{
	call->text = psprintf("%s(%s)", function, field);
	call->attnum = 0;
	call->col = value_column(call->text, "int", true);
	return true;
}

/* count(x) */
static bool
count_column(AmpsfUpper *up, AmpsfColumn *col, AmpsfMember *member, bool distinct, Call *call)
{
	char *field = field_name(col, member);
	AmpsfFieldClass fclass = ampsf_field_class(col);
	bool whole = strcmp(col->type, "int") == 0 || strcmp(col->type, "long") == 0;

	if (!col->filterable || strchr(field, '.') || is_key(up, field))
		return false;
	switch (fclass)
	{
		case AMPSF_CLASS_BOOLEAN: /* never null */
			return !distinct && call_count(call, "COUNT", "Id");
		case AMPSF_CLASS_ID:
		case AMPSF_CLASS_DATE:
		case AMPSF_CLASS_DATETIME:
			break;
		case AMPSF_CLASS_NUMBER:
			if (distinct && (!whole || col->rounds))
				return false;
			break;
		case AMPSF_CLASS_TEXT:
		case AMPSF_CLASS_TEXT_CS:
			if (distinct)
				return false;
			break;
		default:
			return false;
	}
	return call_count(call, distinct ? "COUNT_DISTINCT" : "COUNT", field);
}

/* min(x), max(x), and where the table allows them sum(x), avg(x) */
static bool
call_value(AmpsfUpper *up, Aggref *agg, const char *name, AmpsfColumn *col, AmpsfMember *member,
		   Call *call)
{
	Var *var = (Var *) linitial_node(TargetEntry, agg->args)->expr;
	AmpsfFieldClass fclass = ampsf_field_class(col);
	bool sum = strcmp(name, "sum") == 0 || strcmp(name, "avg") == 0;

	if (!col->filterable || strchr(col->field, '.') || is_key(up, col->field))
		return false;
	if (sum)
	{
		if (fclass != AMPSF_CLASS_NUMBER || !up->info->table->remote_sum ||
			agg->aggdistinct != NIL || col->rounds ||
			!ampsf_literal_type_ok(fclass, getBaseType(var->vartype)))
			return false;
		call->text = psprintf("%s(%s)", name[0] == 's' ? "SUM" : "AVG", col->field);
		call->attnum = AMPSF_ATTNUM_OF_SUM(agg->aggtype);
		call->col = value_column(call->text, "double", false);
		call->col->sortable = true;
		return true;
	}
	if (strcmp(name, "min") != 0 && strcmp(name, "max") != 0)
		return false;
	if (strcmp(col->type, "currency") == 0 ||
		(fclass != AMPSF_CLASS_NUMBER && fclass != AMPSF_CLASS_DATE &&
		 fclass != AMPSF_CLASS_DATETIME))
		return false;
	/* A column of another SQL type than the field's has another order, e.g. that of text. */
	if (!ampsf_literal_type_ok(fclass, agg->aggtype))
		return false;
	call->table = member->relid;
	call->attnum = var->varattno;
	call->text = psprintf("%s(%s)", name[1] == 'i' ? "MIN" : "MAX", col->field);
	call->col = value_column(call->text, col->type, true);
	call->col->rounds = col->rounds;
	return true;
}

/* SOQL's function for an aggregate; false if it is not pushed. */
static bool
make_call(AmpsfUpper *up, Aggref *agg, Call *call)
{
	char *name = agg->aggfnoid < FirstGenbkiObjectId ? get_func_name(agg->aggfnoid) : NULL;
	AmpsfMember *member;
	AmpsfColumn *col;
	Node *arg;

	memset(call, 0, sizeof(*call));
	call->table = up->info->relid;
	if (!name || agg->agglevelsup != 0 || agg->aggsplit != AGGSPLIT_SIMPLE ||
		agg->aggorder != NIL || agg->aggdirectargs != NIL || agg->aggvariadic ||
		agg->aggkind != AGGKIND_NORMAL)
		return false;
	if (agg->aggstar)
		return strcmp(name, "count") == 0 && call_count(call, "COUNT", "Id");
	if (list_length(agg->args) != 1)
		return false;
	arg = (Node *) linitial_node(TargetEntry, agg->args)->expr;
	/* count(1) */
	if (IsA(arg, Const))
		return strcmp(name, "count") == 0 && !((Const *) arg)->constisnull &&
			   agg->aggdistinct == NIL && call_count(call, "COUNT", "Id");
	col = ampsf_upper_column(up, arg, &member);
	if (!col)
		return false;
	if (strcmp(name, "count") == 0)
		return count_column(up, col, member, agg->aggdistinct != NIL, call);
	return call_value(up, agg, name, col, member, call);
}

static bool
add_call(AmpsfUpper *up, Aggref *agg)
{
	Call call;
	char *alias;

	if (!make_call(up, agg, &call))
		return false;
	alias = psprintf("a%d", list_length(up->exprs));
	ampsf_upper_output(up, (Node *) agg, psprintf("%s %s", call.text, alias), alias, call.table,
					   call.attnum);
	up->info->classify.aggregates =
		lappend(up->info->classify.aggregates, list_make2(agg, call.col));
	return true;
}

/*
 * FILTER, where all aggregates over all rows have the same: it is a condition of WHERE then.  With
 * GROUP BY it is not, for a group without such rows is a group.
 */
static bool
add_filter(AmpsfUpper *up, List *parts)
{
	Expr *filter = NULL;
	List *tree;
	const char *reason;
	ListCell *lc;

	foreach (lc, parts)
	{
		Aggref *agg = lfirst(lc);

		if (!IsA(agg, Aggref))
			continue;
		if (lc == list_head(parts))
			filter = agg->aggfilter;
		else if (!equal(filter, agg->aggfilter))
			return false;
	}
	if (!filter)
		return true;
	if (up->group_by.len > 0 ||
		ampsf_classify(&up->info->classify, filter, &tree, &reason) != AMPSF_EXACT ||
		!ampsf_upper_fits(up, tree))
		return false;
	up->trees = lappend(up->trees, tree);
	up->info->subquery_exprs = lappend(list_copy(up->info->subquery_exprs), filter);
	return true;
}

/* -------- groups -------- */

/* Does Salesforce group by the column as SQL does? */
static bool
is_groupable(const AmpsfColumn *col, const Var *var)
{
	AmpsfFieldClass fclass = ampsf_field_class(col);
	Oid type = getBaseType(var->vartype);

	if (!col->groupable || col->rounds)
		return false;
	switch (fclass)
	{
		case AMPSF_CLASS_NUMBER:
			if (strcmp(col->type, "int") != 0 && strcmp(col->type, "long") != 0)
				return false;
			break;
		case AMPSF_CLASS_ID:
		case AMPSF_CLASS_TEXT_CS:
			if (OidIsValid(var->varcollid) && !get_collation_isdeterministic(var->varcollid))
				return false;
			if (type == VARCHAROID)
				type = TEXTOID;
			break;
		case AMPSF_CLASS_BOOLEAN:
		case AMPSF_CLASS_DATE:
			break;
		default:
			return false;
	}
	return ampsf_literal_type_ok(fclass, type);
}

/* The number of a key from its field. */
static int
key_number(const AmpsfUpper *up, const char *field)
{
	ListCell *lc;

	foreach (lc, up->keys)
		if (pg_strcasecmp(lfirst(lc), field) == 0)
			return foreach_current_index(lc);
	return -1;
}

static char *
key_alias(const AmpsfUpper *up, const char *field)
{
	return psprintf("k%d", key_number(up, field));
}

/* The index of a field that must come though no column shows it. */
static int
hidden_field(AmpsfUpper *up, char *field, char *key)
{
	ListCell *lc;

	foreach (lc, up->out.fields)
		if (strcmp(strVal(lfirst(lc)), field) == 0)
			return foreach_current_index(lc);
	up->out.fields = lappend(up->out.fields, makeString(field));
	up->out.keys = lappend(up->out.keys, makeString(key));
	return list_length(up->out.fields) - 1;
}

/*
 * The key by which to page if there are too many groups: one whose order in ORDER BY is that of >=.
 * Of Ids that is likely and not certain, so that the groups' counts are needed as a proof.
 */
static void
choose_page_key(AmpsfUpper *up, const AmpsfColumn *col, char *field)
{
	AmpsfFieldClass fclass = ampsf_field_class(col);

	if (!col->sortable || !col->filterable)
		return;
	if (fclass != AMPSF_CLASS_NUMBER && fclass != AMPSF_CLASS_DATE &&
		(fclass != AMPSF_CLASS_ID || *up->page_name))
		return;
	up->page_name = field;
	up->page_class = fclass;
}

static bool
add_keys(AmpsfUpper *up, PathTarget *target, List *group_clause)
{
	int found = 0;
	ListCell *lc;
	bool booleans = true;

	foreach (lc, target->exprs)
	{
		Node *expr = lfirst(lc);
		Index ref = get_pathtarget_sortgroupref(target, foreach_current_index(lc));
		AmpsfMember *member;
		AmpsfColumn *col;
		char *field;

		if (ref == 0 || !get_sortgroupref_clause_noerr(ref, group_clause))
			continue;
		found++;
		/* The same for all rows: no key. */
		if (!contain_var_clause(expr) && !contain_agg_clause(expr) &&
			!contain_volatile_functions(expr) && !contain_subplans(expr))
			continue;
		col = ampsf_upper_column(up, expr, &member);
		if (!col || !is_groupable(col, (Var *) expr))
			return false;
		field = field_name(col, member);
		/* Groups of one row: there is nothing to gain, and Id can be counted no more. */
		if (pg_strcasecmp(field, "Id") == 0)
			return false;
		booleans &= ampsf_field_class(col) == AMPSF_CLASS_BOOLEAN;
		if (is_key(up, field))
			continue;
		up->keys = lappend(up->keys, field);
		appendStringInfo(&up->group_by, "%s%s", up->group_by.len ? ", " : "", field);
		choose_page_key(up, col, field);
	}
	if (found != list_length(group_clause))
		return false;
	up->few = booleans && list_length(up->keys) <= MAX_BOOLEAN_KEYS;
	return group_clause == NIL || up->keys != NIL;
}

/* Can the condition stand in HAVING?  Comparisons with values only: the rest is documented of
 * WHERE. */
static bool
fits_having(List *tree)
{
	switch ((AmpsfQualKind) intVal(linitial(tree)))
	{
		case AMPSF_QUAL_AND:
		case AMPSF_QUAL_OR:
			for (int i = 1; i < list_length(tree); i++)
				if (!fits_having(list_nth(tree, i)))
					return false;
			return true;
		case AMPSF_QUAL_COMPARE:
		{
			const AmpsfOperator *op = &ampsf_operators[intVal(lsecond(tree))];

			return op->form == AMPSF_FORM_BINARY && !op->not_null;
		}
		default:
			return false;
	}
}

/* Does it compare counts only?  They are never null. */
static bool
compares_counts(List *tree)
{
	if (intVal(linitial(tree)) == AMPSF_QUAL_COMPARE)
		return strncmp(strVal(lthird(tree)), "COUNT", 5) == 0;
	for (int i = 1; i < list_length(tree); i++)
		if (!compares_counts(list_nth(tree, i)))
			return false;
	return true;
}

static void
add_having(AmpsfUpper *up, List *having)
{
	ListCell *lc;

	up->having_exact = true;
	foreach (lc, having)
	{
		List *tree;
		const char *reason = NULL;
		AmpsfPushClass push = ampsf_classify(&up->info->classify, lfirst(lc), &tree, &reason);

		if (push != AMPSF_LOCAL && (up->group_by.len == 0 || !fits_having(tree)))
		{
			push = AMPSF_LOCAL;
			reason = up->group_by.len == 0 ? "SOQL has HAVING with GROUP BY only"
										   : "SOQL's HAVING has nothing like it";
		}
		if (push != AMPSF_LOCAL)
			up->having = lappend(up->having, tree);
		up->having_exact &= push == AMPSF_EXACT && compares_counts(tree);
		up->checked = lappend(up->checked, lfirst(lc));
		/* What is exact is checked all the same: it may have to be left out, see groups.c. */
		up->classes = lappend_int(up->classes, push == AMPSF_LOCAL ? AMPSF_LOCAL : AMPSF_SUPERSET);
		up->reasons =
			lappend(up->reasons, makeString(pstrdup(push == AMPSF_EXACT || !reason ? "" : reason)));
	}
}

bool
ampsf_collect_groups(AmpsfUpper *up, PathTarget *target, List *group_clause, Node *having)
{
	List *parts;
	ListCell *lc;

	if (contain_subplans(having) || !add_keys(up, target, group_clause))
		return false;
	parts = list_concat(pull_var_clause((Node *) target->exprs, PVC_INCLUDE_AGGREGATES |
																	PVC_INCLUDE_WINDOWFUNCS |
																	PVC_INCLUDE_PLACEHOLDERS),
						pull_var_clause(having, PVC_INCLUDE_AGGREGATES | PVC_INCLUDE_WINDOWFUNCS |
													PVC_INCLUDE_PLACEHOLDERS));
	if (!add_filter(up, parts))
		return false;
	foreach (lc, parts)
	{
		Node *part = lfirst(lc);
		AmpsfMember *member;
		AmpsfColumn *col;
		char *field;

		if (list_member(up->exprs, part))
			continue;
		if (IsA(part, Aggref))
		{
			if (!add_call(up, (Aggref *) part))
				return false;
			continue;
		}
		col = ampsf_upper_column(up, part, &member);
		if (!col || !is_key(up, field = field_name(col, member)))
			return false;
		ampsf_upper_output(up, part, psprintf("%s %s", field, key_alias(up, field)),
						   key_alias(up, field), member->relid, ((Var *) part)->varattno);
	}
	if (up->group_by.len == 0)
	{
		add_having(up, (List *) having);
		return up->exprs != NIL;
	}
	if (up->out.fields == NIL)
		hidden_field(up, psprintf("%s k0", (char *) linitial(up->keys)), pstrdup("k0"));
	add_having(up, (List *) having);
	return true;
}

/* Lets the statement's groups be paged, if they can be. */
static void
add_paging(AmpsfUpper *up)
{
	char *alias;
	ListCell *lc;

	if (up->few || !*up->page_name)
		return;
	alias = key_alias(up, up->page_name);
	up->page_key = hidden_field(up, psprintf("%s %s", up->page_name, alias), alias);
	appendStringInfo(&up->order, "%s ASC NULLS FIRST", up->page_name);
	if (up->page_class != AMPSF_CLASS_ID)
		return;
	foreach (lc, up->out.fields)
		if (strncmp(strVal(lfirst(lc)), "COUNT(Id) ", 10) == 0)
			up->page_count = foreach_current_index(lc);
	if (up->page_count < 0)
		up->page_count = hidden_field(up, pstrdup("COUNT(Id) n"), pstrdup("n"));
}

/* What the slot holds, as the target of a path that makes the same rows here. */
static PathTarget *
slot_target(AmpsfUpper *up)
{
	PathTarget *target = create_empty_pathtarget();
	ListCell *lc;

	foreach (lc, up->exprs)
		add_column_to_pathtarget(target, lfirst(lc), 0);
	return set_pathtarget_cost_width(up->root, target);
}

/* Adds the path of a grouped statement, unless there may be more groups than can be had. */
static void
add_grouped_path(AmpsfUpper *up, RelOptInfo *output_rel, PathTarget *target, Path *local,
				 double groups)
{
	double fetched = up->having == NIL ? groups : local->rows;

	if (fetched > AMPSF_MAX_GROUPS && !up->few && up->page_key < 0)
		return;
	ampsf_upper_path(up, output_rel, target, fetched, local->rows, NIL, up->few ? NULL : local);
}

/* The cheapest path that groups the rows here, as one whose rows fill the slot; NULL if there is
 * none. */
static Path *
local_grouping(AmpsfUpper *up, RelOptInfo *rel, double *groups)
{
	Path *best = NULL;
	PathTarget *target = slot_target(up);
	ListCell *lc;

	foreach (lc, rel->pathlist)
	{
		Path *path = lfirst(lc);

		if ((IsA(path, GroupPath) ||
			 (IsA(path, AggPath) && ((AggPath *) path)->aggsplit == AGGSPLIT_SIMPLE)) &&
			(!best || path->total_cost < best->total_cost))
			best = path;
	}
	if (!best)
		return NULL;
	if (IsA(best, GroupPath))
	{
		GroupPath *copy = makeNode(GroupPath);

		*copy = *(GroupPath *) best;
		copy->path.pathtarget = target;
		*groups = copy->path.rows;
		return (Path *) copy;
	}
	else
	{
		AggPath *copy = makeNode(AggPath);

		*copy = *(AggPath *) best;
		copy->path.pathtarget = target;
		*groups = copy->numGroups;
		return (Path *) copy;
	}
}

void
ampsf_aggregate_paths(PlannerInfo *root, RelOptInfo *input_rel, RelOptInfo *output_rel,
					  GroupPathExtraData *extra)
{
	Query *parse = root->parse;
	PathTarget *target = output_rel->reltarget;
	AmpsfUpper up;
	Path *local;
	double groups;

	if (extra->patype == PARTITIONWISE_AGGREGATE_PARTIAL || parse->groupingSets != NIL ||
		parse->hasTargetSRFs || IS_UPPER_REL(input_rel) ||
		!ampsf_upper_start(root, input_rel, &up) ||
		!ampsf_collect_groups(&up, target, parse->groupClause, extra->havingQual))
		return;
	if (up.group_by.len == 0)
	{
		ampsf_upper_path(&up, output_rel, target, 1, 1, NIL, NULL);
		return;
	}
	add_paging(&up);
	local = local_grouping(&up, output_rel, &groups);
	if (local)
		add_grouped_path(&up, output_rel, target, local, groups);
}

void
ampsf_distinct_paths(PlannerInfo *root, RelOptInfo *input_rel, RelOptInfo *output_rel)
{
	Query *parse = root->parse;
	PathTarget *target = root->upper_targets[UPPERREL_DISTINCT];
	AmpsfUpper up;
	double groups;
	Path *local;

	if (!ampsf_is_plain_distinct(parse) || IS_UPPER_REL(input_rel) || output_rel->pathlist == NIL ||
		!ampsf_upper_start(root, input_rel, &up) ||
		!ampsf_collect_groups(&up, target, parse->distinctClause, NULL) || up.group_by.len == 0 ||
		!grouping_is_hashable(parse->distinctClause))
		return;
	add_paging(&up);
	groups = ((Path *) linitial(output_rel->pathlist))->rows;
	local = (Path *) create_agg_path(root, output_rel, input_rel->cheapest_total_path,
									 slot_target(&up), AGG_HASHED, AGGSPLIT_SIMPLE,
									 parse->distinctClause, NIL, NULL, groups);
	add_grouped_path(&up, output_rel, target, local, groups);
}

bool
ampsf_is_plain_distinct(Query *parse)
{
	return parse->distinctClause != NIL && !parse->hasDistinctOn && !parse->hasAggs &&
		   parse->groupClause == NIL && parse->groupingSets == NIL && !parse->havingQual &&
		   !parse->hasWindowFuncs && !parse->hasTargetSRFs;
}

AmpsfColumn *
ampsf_group_column(AmpsfUpper *up, Node *expr)
{
	AmpsfColumn *col = ampsf_classify_column(&up->info->classify, expr, NULL);

	return col && (IsA(expr, Aggref) || is_key(up, col->field)) ? col : NULL;
}
