/*
 * join.c - joins that one statement of SOQL can compute: a child with the parents that its lookups
 * point to, and semi- and anti-joins with another object.
 *
 * A join along a lookup adds the parent's table to the members of the child's statement, with the
 * path of the relationship before its fields (Account.Name).  The rows are the child's: SOQL cannot
 * multiply them, which is why the condition must be child.lookup = parent.Id and the parent the one
 * side.
 *
 * An inner join wants rows that have the parent (Account.Id != null).  A left join keeps the
 * others, whose parent's fields come as null; so nothing may filter the parent's rows before they
 * are joined.
 *
 * A semi- or anti-join becomes Id IN (SELECT AccountId FROM ...).  Its clauses must be exact: the
 * rows of the inner side never come here to be checked.
 *
 * Must not know: the executor, the text of SOQL beyond names of fields.
 */
#include "base/ampsf.h"
#include "plan/join.h"
#include "plan/partial_path.h"
#include "plan/operators.h"

#include "access/transam.h"
#include "catalog/pg_collation.h"
#include "catalog/pg_type.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/cost.h"
#include "optimizer/optimizer.h"
#include "optimizer/planmain.h"
#include "optimizer/restrictinfo.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

/* Relationships from the object to a parent's parent: SOQL allows so many. */
#define MAX_LEVELS 5
/* Different relationships in a statement. */
#define MAX_RELATIONSHIPS 35
/* Subqueries in a WHERE clause. */
#define MAX_SUBQUERIES 2

/* A join in the making. */
typedef struct Merge
{
	PlannerInfo *root;
	RelOptInfo *joinrel;
	JoinType type;
	List *restrictlist;
	AmpsfRelInfo *child, *parent; /* or the outer and the inner side of a semi-join */
	RestrictInfo *key;			  /* the clause that the join goes by */
} Merge;

/* -------- trees -------- */

static List *
null_test(char *field, bool is_null)
{
	return list_make3(makeInteger(AMPSF_QUAL_NULL_TEST), makeInteger(is_null), makeString(field));
}

static bool
is_semi(List *tree)
{
	return intVal(linitial(tree)) == AMPSF_QUAL_SEMI;
}

static int
count_semi(List *trees)
{
	int n = 0;
	ListCell *lc;

	foreach (lc, trees)
		n += is_semi(lfirst(lc));
	return n;
}

/* A condition that a join made, with the path of its field lengthened: it is a null test, or TYPE =
 * 'x'. */
static List *
prefixed_tree(List *tree, const char *prefix)
{
	List *copy = list_copy(tree);

	lfirst(list_nth_cell(copy, 2)) = makeString(psprintf("%s%s", prefix, strVal(lthird(tree))));
	return copy;
}

/* -------- what a join goes by -------- */

static bool
is_plain_equality(const OpExpr *op)
{
	const char *name;

	if (list_length(op->args) != 2 || op->opno >= FirstGenbkiObjectId)
		return false;
	name = get_opname(op->opno);
	return name && strcmp(name, "=") == 0 &&
		   (!OidIsValid(op->inputcollid) || get_collation_isdeterministic(op->inputcollid));
}

/* The two columns of a clause a = b, a of one statement and b of the other; false if it is
 * something else. */
static bool
key_columns(RestrictInfo *ri, AmpsfRelInfo *one, AmpsfRelInfo *other, AmpsfColumn **a,
			AmpsfMember **am, AmpsfColumn **b, AmpsfMember **bm)
{
	OpExpr *op = (OpExpr *) ri->clause;

	if (!IsA(op, OpExpr) || !is_plain_equality(op))
		return false;
	*a = ampsf_classify_column(&one->classify, linitial(op->args), am);
	*b = ampsf_classify_column(&other->classify, lsecond(op->args), bm);
	if (*a && *b)
		return true;
	*a = ampsf_classify_column(&one->classify, lsecond(op->args), am);
	*b = ampsf_classify_column(&other->classify, linitial(op->args), bm);
	return *a && *b;
}

/* Does the reference point to that object?  *only: and to no other? */
static bool
points_to(const AmpsfColumn *col, const char *object, bool *only)
{
	const char *p = col->reference_to;
	bool found = false;

	*only = true;
	while (p && *p)
	{
		size_t len = strcspn(p, ",");

		if (len == strlen(object) && pg_strncasecmp(p, object, len) == 0)
			found = true;
		else
			*only = false;
		p += len + (p[len] == ',');
	}
	return found;
}

/* Would a reference to any of several objects give that field of its parent?  They share few. */
static bool
is_shared_field(const char *field)
{
	return pg_strcasecmp(field, "Id") == 0 || pg_strcasecmp(field, "Name") == 0;
}

/* Does the query look at no column of the table but the shared ones? */
static bool
uses_shared_fields_only(Merge *join, AmpsfMember *member)
{
	List *exprs = list_copy(join->joinrel->reltarget->exprs);
	ListCell *lc;

	exprs = list_concat(exprs, extract_actual_clauses(join->parent->clauses, false));
	exprs = list_concat(exprs, extract_actual_clauses(join->restrictlist, false));
	foreach (lc, pull_var_clause((Node *) exprs, PVC_RECURSE_AGGREGATES | PVC_RECURSE_WINDOWFUNCS |
													 PVC_RECURSE_PLACEHOLDERS))
	{
		Var *var = lfirst(lc);

		if ((Index) var->varno == member->rti &&
			(var->varattno <= 0 ||
			 !is_shared_field(ampsf_member_column(member, var->varattno)->field)))
			return false;
	}
	return true;
}

/* -------- building -------- */

/* Plain columns are all that a slot of a join can hold. */
static bool
has_plain_columns(AmpsfClassify *classify, List *exprs)
{
	ListCell *lc;

	foreach (lc, pull_var_clause((Node *) exprs, PVC_INCLUDE_PLACEHOLDERS))
		if (!IsA(lfirst(lc), Var) || !ampsf_classify_column(classify, lfirst(lc), NULL))
			return false;
	return true;
}

static bool
has_pseudoconstant(List *clauses)
{
	ListCell *lc;

	foreach (lc, clauses)
		if (lfirst_node(RestrictInfo, lc)->pseudoconstant)
			return true;
	return false;
}

static AmpsfRelInfo *
start_info(const AmpsfRelInfo *child)
{
	AmpsfRelInfo *info = palloc0(sizeof(AmpsfRelInfo));

	info->table = child->table;
	info->server = child->server;
	info->relid = child->relid;
	info->userid = child->userid;
	info->classify.members = list_copy(child->classify.members);
	info->classify.aliases = list_copy(child->classify.aliases);
	/* A subquery of the child's has its place among the parameters already. */
	info->classify.params = list_copy(child->classify.params);
	info->join_trees = list_copy(child->join_trees);
	info->joins = list_copy(child->joins);
	info->subquery_exprs = list_copy(child->subquery_exprs);
	return info;
}

/* Classifies what remains of the join's clauses, and offers the statement as a path. */
static bool
finish(Merge *join, AmpsfRelInfo *info, bool parents_clauses)
{
	RelOptInfo *joinrel = join->joinrel;
	AmpsfScanClauses split;
	List *others = list_delete_ptr(list_copy(join->restrictlist), join->key);
	Cost startup, total;
	QualCost local;
	ForeignPath *path;

	info->rti = Min(join->child->rti, join->parent->rti);
	info->joins = list_concat(info->joins, join->parent->joins);
	info->joins = lappend(info->joins, list_make2(makeInteger(join->type), join->key->clause));
	if (has_pseudoconstant(join->restrictlist) || has_pseudoconstant(join->child->clauses) ||
		has_pseudoconstant(join->parent->clauses))
		return false;
	ampsf_classify_clauses(info, join->child->clauses);
	if (parents_clauses)
		ampsf_classify_clauses(info, join->parent->clauses);
	ampsf_classify_clauses(info, others);
	ampsf_split_clauses(info, info->clauses, &split);
	if (!has_plain_columns(&info->classify, joinrel->reltarget->exprs) ||
		!has_plain_columns(&info->classify, split.checked) ||
		!has_plain_columns(&info->classify, split.exact))
		return false;

	/* The rows are the child's: a join along lookups can only take some of them away. */
	joinrel->rows = clamp_row_est(Min(joinrel->rows, join->child->remote_rows));
	info->remote_rows =
		split.checked == NIL ? joinrel->rows : Max(joinrel->rows, join->child->remote_rows);
	ampsf_cost_scan(info->server, info->table->page_size, info->remote_rows, &startup, &total);
	cost_qual_eval(&local, split.checked, join->root);
	startup += local.startup + joinrel->reltarget->cost.startup;
	total += local.startup + local.per_tuple * info->remote_rows +
			 joinrel->reltarget->cost.startup + joinrel->reltarget->cost.per_tuple * joinrel->rows;
	joinrel->fdw_private = info;
	path = create_foreign_join_path(join->root, joinrel, NULL, joinrel->rows,
									AMPSF_DISABLED_NODES startup, total, NIL,
									joinrel->lateral_relids, NULL, AMPSF_RESTRICTINFO(NIL) NIL);
	ampsf_add_partial_path(join->root, joinrel, info, path);
	ampsf_add_path(joinrel, path);
	return true;
}

/* -------- joins along a lookup -------- */

/* Relationships on a path. */
static int
count_levels(const char *prefix)
{
	int n = 0;

	for (; *prefix; prefix++)
		n += *prefix == '.';
	return n;
}

/* Relationships on the longest path of a statement. */
static int
longest_path(const AmpsfRelInfo *info)
{
	int n = 0;
	ListCell *lc;

	foreach (lc, info->classify.members)
		n = Max(n, count_levels(((AmpsfMember *) lfirst(lc))->prefix));
	/* A parent that must not be there is no member, but its path is in the statement. */
	foreach (lc, info->join_trees)
	{
		List *tree = lfirst(lc);

		if (intVal(linitial(tree)) == AMPSF_QUAL_NULL_TEST)
			n = Max(n, count_levels(strVal(lthird(tree))));
	}
	return n;
}

/* Parents on the paths of a statement, at most, and its own object. */
static int
count_relationships(const AmpsfRelInfo *info)
{
	int n = list_length(info->classify.members);
	ListCell *lc;

	foreach (lc, info->join_trees)
	{
		List *tree = lfirst(lc);

		if (intVal(linitial(tree)) == AMPSF_QUAL_NULL_TEST && intVal(lsecond(tree)))
			n++;
	}
	return n;
}

/*
 * The clause child.lookup = parent.Id, and the path from the child's object to the parent; NULL if
 * there is none.  *typed: the condition that a reference to any of several objects needs, or NIL.
 */
static const char *
find_lookup(Merge *join, AmpsfColumn **lookup_column, List **typed)
{
	ListCell *lc;

	*typed = NIL;
	foreach (lc, join->restrictlist)
	{
		RestrictInfo *ri = lfirst_node(RestrictInfo, lc);
		AmpsfColumn *lookup, *id;
		AmpsfMember *from, *to;
		char *prefix;
		bool only;

		if (!key_columns(ri, join->child, join->parent, &lookup, &from, &id, &to) ||
			strcmp(lookup->type, "reference") != 0 || !lookup->relationship ||
			strchr(lookup->field + strlen(from->prefix), '.') ||
			to != linitial(join->parent->classify.members) || pg_strcasecmp(id->field, "Id") != 0 ||
			strcmp(id->type, "id") != 0 || !points_to(lookup, join->parent->table->object, &only))
			continue;
		/* An outer join's own condition, not a filter above it. */
		if (join->type == JOIN_LEFT && RINFO_IS_PUSHED_DOWN(ri, join->joinrel->relids))
			continue;
		prefix = psprintf("%s%s.", from->prefix, lookup->relationship);
		if (!only)
		{
			char *field = psprintf("%sType", prefix);
			const char *object = join->parent->table->object;
			int equal = ampsf_find_operator("=", AMPSF_FORM_BINARY, AMPSF_CLASS_TEXT);

			/* A left or anti-join would have to keep the rows with a parent of another object. */
			if (join->type == JOIN_LEFT || join->type == JOIN_ANTI ||
				!uses_shared_fields_only(join, linitial(join->parent->classify.members)) ||
				list_length(join->parent->classify.members) > 1 || join->parent->join_trees != NIL)
				continue;
			*typed =
				list_make4(makeInteger(AMPSF_QUAL_COMPARE), makeInteger(equal), makeString(field),
						   makeConst(TEXTOID, -1, DEFAULT_COLLATION_OID, -1,
									 PointerGetDatum(cstring_to_text(object)), false, false));
		}
		if (count_levels(prefix) + longest_path(join->parent) > MAX_LEVELS)
			continue;
		join->key = ri;
		*lookup_column = lookup;
		return prefix;
	}
	*typed = NIL;
	return NULL;
}

static bool
try_lookup(Merge *join, AmpsfRelInfo *child, AmpsfRelInfo *parent)
{
	AmpsfRelInfo *info;
	const char *prefix;
	AmpsfColumn *lookup;
	List *typed;
	bool left = join->type == JOIN_LEFT;
	bool anti = join->type == JOIN_ANTI;
	ListCell *lc;

	join->child = child;
	join->parent = parent;
	if (count_relationships(child) + count_relationships(parent) > MAX_RELATIONSHIPS ||
		count_semi(parent->join_trees) > 0)
		return false;
	prefix = find_lookup(join, &lookup, &typed);
	if (!prefix)
		return false;
	if (left || anti)
	{
		if (parent->clauses != NIL || parent->join_trees != NIL)
			return false;
		foreach (lc, join->restrictlist)
			if (lfirst(lc) != join->key &&
				(anti ||
				 !RINFO_IS_PUSHED_DOWN(lfirst_node(RestrictInfo, lc), join->joinrel->relids)))
				return false;
	}

	info = start_info(child);
	if (anti)
	{
		info->join_trees = lappend(info->join_trees, null_test(psprintf("%sId", prefix), true));
		return finish(join, info, false);
	}
	foreach (lc, parent->classify.members)
	{
		AmpsfMember *m = lfirst(lc);
		AmpsfMember *own = ampsf_make_member(m->rti, m->relid, psprintf("%s%s", prefix, m->prefix),
											 left || m->outer);

		own->lookup = *m->prefix ? NULL : lookup;
		info->classify.members = lappend(info->classify.members, own);
	}
	info->classify.aliases = list_concat(info->classify.aliases, parent->classify.aliases);
	/* The same parent may be joined twice. */
	foreach (lc, parent->join_trees)
		info->join_trees = list_append_unique(info->join_trees, prefixed_tree(lfirst(lc), prefix));
	if (typed)
		info->join_trees = list_append_unique(info->join_trees, typed);
	if (!left)
		info->join_trees =
			list_append_unique(info->join_trees, null_test(psprintf("%sId", prefix), false));
	return finish(join, info, true);
}

/* -------- semi- and anti-joins -------- */

/* Is it a reference to exactly one object, or the Id of the object itself?  Then that object. */
static const char *
key_object(const AmpsfColumn *col, const AmpsfRelInfo *info)
{
	if (strcmp(col->type, "id") == 0 && pg_strcasecmp(col->field, "Id") == 0)
		return info->table->object;
	if (strcmp(col->type, "reference") == 0 && col->reference_to && !strchr(col->reference_to, ','))
		return col->reference_to;
	return NULL;
}

/*
 * The inner side's column equals the outer's in every row that passes, and PostgreSQL may use the
 * one for the other in clauses that come later.
 */
static void
add_alias(AmpsfRelInfo *info, RestrictInfo *key, AmpsfRelInfo *inner)
{
	List *args = ((OpExpr *) key->clause)->args;
	Var *vars[2];

	for (int i = 0; i < 2; i++)
	{
		Node *arg = list_nth(args, i);

		while (IsA(arg, RelabelType))
			arg = (Node *) ((RelabelType *) arg)->arg;
		vars[i] = (Var *) arg;
	}
	if (ampsf_classify_column(&inner->classify, (Node *) vars[0], NULL))
		info->classify.aliases = lappend(info->classify.aliases, list_make2(vars[0], vars[1]));
	else
		info->classify.aliases = lappend(info->classify.aliases, list_make2(vars[1], vars[0]));
}

/* Objects that cannot stand in a subquery, as SOQL's documentation lists them. */
static bool
is_inner_object(const char *object)
{
	static const char *const refused[] = {"ActivityHistory", "Attachment", "Event", "Note",
										  "OpenActivity",	 "Task"};
	size_t len = strlen(object);

	for (size_t i = 0; i < lengthof(refused); i++)
		if (pg_strcasecmp(object, refused[i]) == 0)
			return false;
	/* AccountTag, ContactTag, "and all other tag objects" */
	return len < 3 || pg_strcasecmp(object + len - 3, "Tag") != 0;
}

static bool
try_subquery(Merge *join, AmpsfRelInfo *outer, AmpsfRelInfo *inner)
{
	bool anti = join->type == JOIN_ANTI;
	AmpsfColumn *left, *right;
	AmpsfMember *left_member, *right_member;
	const char *left_object, *right_object;
	AmpsfRelInfo *info;
	AmpsfRelInfo sub = {0};
	List *tree;

	join->child = outer;
	join->parent = inner;
	if (list_length(join->restrictlist) != 1 || !ampsf_all_exact(inner) ||
		count_semi(inner->join_trees) > 0 || count_semi(outer->join_trees) >= MAX_SUBQUERIES ||
		pg_strcasecmp(outer->table->object, inner->table->object) == 0 ||
		!is_inner_object(inner->table->object))
		return false;
	join->key = linitial_node(RestrictInfo, join->restrictlist);
	if (!key_columns(join->key, outer, inner, &left, &left_member, &right, &right_member))
		return false;
	/* The Id of a parent is what the object's own reference holds. */
	if (left_member->lookup && !left_member->outer &&
		pg_strcasecmp(left->field + strlen(left_member->prefix), "Id") == 0)
	{
		left = left_member->lookup;
		left_member = linitial(outer->classify.members);
	}
	if (left_member != linitial(outer->classify.members) ||
		right_member != linitial(inner->classify.members) || strchr(left->field, '.') ||
		strchr(right->field, '.') || !left->filterable || !right->filterable)
		return false;
	left_object = key_object(left, outer);
	right_object = key_object(right, inner);
	if (!left_object || !right_object || pg_strcasecmp(left_object, right_object) != 0 ||
		strcmp(right->type, "reference") != 0)
		return false;
	/* What NOT IN says of a null is not documented; an Id is never null. */
	if (anti && strcmp(left->type, "id") != 0)
		return false;

	info = start_info(outer);
	sub.classify.members = inner->classify.members;
	/* The parameters of the subquery are the statement's. */
	sub.classify.params = info->classify.params;
	ampsf_classify_clauses(&sub, inner->clauses);
	info->classify.params = sub.classify.params;
	tree = list_make5(makeInteger(AMPSF_QUAL_SEMI), makeInteger(anti), makeString(left->field),
					  makeString(inner->table->object), makeString(right->field));
	tree = lappend(tree, list_append_unique(list_concat_copy(sub.trees, inner->join_trees),
											null_test(right->field, false)));
	if (!anti)
		add_alias(info, join->key, inner);
	info->join_trees = lappend(info->join_trees, tree);
	info->subquery_exprs =
		list_concat(info->subquery_exprs, extract_actual_clauses(inner->clauses, false));
	return finish(join, info, false);
}

void
ampsfGetForeignJoinPaths(PlannerInfo *root, RelOptInfo *joinrel, RelOptInfo *outerrel,
						 RelOptInfo *innerrel, JoinType jointype, JoinPathExtraData *extra)
{
	AmpsfRelInfo *outer = outerrel->fdw_private;
	AmpsfRelInfo *inner = innerrel->fdw_private;
	CmdType command = root->parse->commandType;
	Merge join = {
		.root = root, .joinrel = joinrel, .type = jointype, .restrictlist = extra->restrictlist};

	/*
	 * A row that is locked or written may have to be fetched again by its own table's scan.  An
	 * object with its deleted rows: what a path to a deleted parent shows is not documented.
	 */
	if (joinrel->fdw_private || !outer || !inner || outer->table->engagement ||
		joinrel->lateral_relids || root->rowMarks != NIL ||
		(command != CMD_SELECT && command != CMD_INSERT) || outer->table->include_deleted ||
		inner->table->include_deleted)
		return;
	switch (jointype)
	{
		case JOIN_INNER:
			if (!try_lookup(&join, outer, inner))
				try_lookup(&join, inner, outer);
			break;
		case JOIN_LEFT:
			try_lookup(&join, outer, inner);
			break;
		case JOIN_SEMI: /* an Id is met once, so a semi-join with a parent is an inner one */
			if (!try_lookup(&join, outer, inner))
				try_subquery(&join, outer, inner);
			break;
		case JOIN_ANTI: /* of a parent: the rows that have none */
			if (!try_lookup(&join, outer, inner))
				try_subquery(&join, outer, inner);
			break;
		default:
			break;
	}
}

/* -------- the plan -------- */

/* PostgreSQL sorts the clauses of a table's scan so that none sees rows which one before it has to
 * hide. */
static int
compare_security(const ListCell *a, const ListCell *b)
{
	Index one = ((RestrictInfo *) lfirst(a))->security_level;
	Index other = ((RestrictInfo *) lfirst(b))->security_level;

	return one < other ? -1 : one > other;
}

ForeignScan *
ampsf_join_plan(RelOptInfo *rel, AmpsfRelInfo *info, List *tlist, Plan *outer_plan)
{
	AmpsfScanClauses split;
	AmpsfOutput out = {0};
	List *exprs = list_copy(rel->reltarget->exprs);
	List *columns = NIL;
	List *scan_tlist = NIL;
	List *clauses;
	bool lists = false;
	ListCell *lc;

	clauses = list_copy(info->clauses);
	list_sort(clauses, compare_security);
	ampsf_split_clauses(info, clauses, &split);
	exprs = list_concat(exprs, split.checked);
	foreach (lc, info->trees)
		lists |= ampsf_has_list(lfirst(lc));
	/* A list that is too long for a statement makes the exact clauses ones to be checked. */
	if (lists)
		exprs = list_concat(exprs, split.exact);
	foreach (lc, pull_var_clause((Node *) exprs, PVC_INCLUDE_PLACEHOLDERS))
	{
		Var *var = lfirst_node(Var, lc);
		AmpsfMember *member;
		AmpsfColumn *col;

		if (list_member(columns, var))
			continue;
		columns = lappend(columns, var);
		col = ampsf_classify_column(&info->classify, (Node *) var, &member);
		ampsf_output_add(&out, list_length(columns), col->field, col->field, member->relid,
						 col->attnum);
		scan_tlist =
			lappend(scan_tlist, makeTargetEntry((Expr *) var, list_length(columns), NULL, false));
	}
	return make_foreignscan(
		tlist, split.checked, 0, info->classify.params,
		ampsf_scan_private(info, &out, split.quals, split.classes, split.reasons, -1, "", NIL),
		scan_tlist, lists ? split.exact : NIL, outer_plan);
}
