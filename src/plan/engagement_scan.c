/*
 * engagement_scan.c - see engagement_scan.h.
 *
 * Id and one datetime of an object can be bounded, and rows come in the order of either.  Bounds of
 * Id are exact. A datetime is shown in whole seconds, and may be kept finer: a lower bound is
 * exact, an upper one is sent a second later, and checked here.  What cannot be filtered but read
 * newest first has its lower bound checked here as well.  Must not know: how a request is sent.
 */
#include "base/ampsf.h"
#include "plan/engagement_scan.h"

#include "access/stratnum.h"
#include "access/sysattr.h"
#include "access/table.h"
#include "catalog/pg_type.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/clauses.h"
#include "optimizer/cost.h"
#include "optimizer/optimizer.h"
#include "optimizer/pathnode.h"
#include "optimizer/paths.h"
#include "optimizer/planmain.h"
#include "optimizer/restrictinfo.h"
#include "plan/estimate.h"
#include "plan/target_columns.h"
#include "utils/array.h"
#include "utils/fmgrprotos.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/timestamp.h"
#include "utils/typcache.h"
#include "wire/wiretime.h"

/* Seconds from 1970 to PostgreSQL's 2000. */
#define EPOCH_SHIFT INT64CONST(946684800)
/* So many rows are never more than a sequence of pages gives in an order that cannot be taken up
 * again. */
#define FEW_ROWS 10000

#define STRATEGY_ANY 0

#define LOCAL_REASON "Account Engagement filters by id and by one datetime only"
#define UPPER_REASON "a datetime may be kept finer than it is shown"
#define EXPORT_REASON "an export filters by the time of creation"
#define NEWEST_REASON "rows are read newest first, to the oldest that can pass"

/* -------- conditions -------- */

static const AmpsfEngagementObject *
object_of(const AmpsfRelInfo *info)
{
	const AmpsfEngagementObject *object = ampsf_engagement_object(info->table->object);

	if (object == NULL)
		ereport(
			ERROR,
			(errcode(ERRCODE_FDW_TABLE_NOT_FOUND),
			 errmsg("Account Engagement has no object \"%s\"", info->table->object),
			 errhint("The names are those of IMPORT FOREIGN SCHEMA account_engagement: prospects, "
					 "list_memberships ...")));
	if (!(object->allowed & AMPSF_ENGAGEMENT_READ))
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("object \"%s\" of Account Engagement cannot be read", object->name)));
	return object;
}

static const char *
time_field(const AmpsfEngagementObject *object)
{
	return object->filter ? object->filter : object->newest;
}

/* The column that an expression is, 0 if it is none. */
static AttrNumber
column_of(const RelOptInfo *rel, Node *node)
{
	Var *var = (Var *) node;

	while (IsA(node, RelabelType))
		node = (Node *) ((RelabelType *) node)->arg;
	var = (Var *) node;
	return IsA(var, Var) && var->varno == (int) rel->relid && var->varlevelsup == 0
			   ? Max(var->varattno, 0)
			   : 0;
}

/* Is the column Id (0) or the datetime (1), and of a type whose values are those that were sent?
 * Else -1. */
static int
kind_of(const AmpsfRelInfo *info, const AmpsfEngagementObject *object, AttrNumber attnum, Oid type)
{
	AmpsfColumn *col;

	if (attnum == 0)
		return -1;
	col = ampsf_member_column(linitial(info->classify.members), attnum);
	if (pg_strcasecmp(col->field, "id") == 0)
		return type == INT8OID || type == INT4OID ? 0 : -1;
	if (time_field(object) && pg_strcasecmp(col->field, time_field(object)) == 0)
		return type == TIMESTAMPTZOID ? 1 : -1;
	return -1;
}

static bool
is_value_type(int kind, Oid type)
{
	return kind == 0 ? type == INT2OID || type == INT4OID || type == INT8OID
					 : type == DATEOID || type == TIMESTAMPOID || type == TIMESTAMPTZOID;
}

/* A Const, or the index of a new parameter. */
static Node *
operand_of(AmpsfRelInfo *info, Node *expr)
{
	if (IsA(expr, Const))
		return expr;
	info->classify.params = lappend(info->classify.params, expr);
	return (Node *) makeInteger(list_length(info->classify.params) - 1);
}

static bool
is_operand(const RelOptInfo *rel, PlannerInfo *root, Node *expr)
{
	return bms_is_empty(pull_varnos(root, expr)) && !contain_volatile_functions(expr) &&
		   !contain_subplans(expr);
}

static AmpsfPushClass
class_of(const AmpsfRelInfo *info, const AmpsfEngagementObject *object, int kind, int strategy,
		 const char **reason)
{
	*reason = NULL;
	if (kind == 0 && strategy != STRATEGY_ANY)
		return AMPSF_EXACT;
	*reason = UPPER_REASON;
	if (kind == 0)
		*reason = "the range of the list is asked for";
	else if (info->table->transport == AMPSF_TRANSPORT_BULK && object->singular)
		*reason = EXPORT_REASON;
	else if (!object->filter)
		*reason = NEWEST_REASON;
	else if (strategy == BTGreaterStrategyNumber || strategy == BTGreaterEqualStrategyNumber)
	{
		*reason = NULL;
		return AMPSF_EXACT;
	}
	return AMPSF_SUPERSET;
}

static AmpsfPushClass
classify(PlannerInfo *root, RelOptInfo *rel, AmpsfRelInfo *info,
		 const AmpsfEngagementObject *object, Node *clause, List **tree, const char **reason)
{
	Node *left, *right;
	Oid opno;
	int kind, strategy;
	bool any = IsA(clause, ScalarArrayOpExpr);
	TypeCacheEntry *type;

	*tree = NIL;
	*reason = LOCAL_REASON;
	if (any && ((ScalarArrayOpExpr *) clause)->useOr)
	{
		ScalarArrayOpExpr *op = (ScalarArrayOpExpr *) clause;

		left = linitial(op->args);
		right = lsecond(op->args);
		opno = op->opno;
	}
	else if (IsA(clause, OpExpr) && list_length(((OpExpr *) clause)->args) == 2)
	{
		left = linitial(((OpExpr *) clause)->args);
		right = lsecond(((OpExpr *) clause)->args);
		opno = ((OpExpr *) clause)->opno;
		if (column_of(rel, left) == 0)
		{
			Node *swap = left;

			left = right;
			right = swap;
			opno = get_commutator(opno);
		}
	}
	else
		return AMPSF_LOCAL;
	kind = kind_of(info, object, column_of(rel, left), exprType(left));
	if (kind < 0 || !OidIsValid(opno) || !is_operand(rel, root, right))
		return AMPSF_LOCAL;
	type = lookup_type_cache(exprType(left), TYPECACHE_BTREE_OPFAMILY);
	strategy = get_op_opfamily_strategy(opno, type->btree_opf);
	if (strategy == 0 || (any && (strategy != BTEqualStrategyNumber || kind != 0)) ||
		!is_value_type(kind, any ? get_element_type(exprType(right)) : exprType(right)))
		return AMPSF_LOCAL;
	/* What has no lower bound cannot end the reading. */
	if (kind == 1 && !object->filter &&
		(strategy == BTLessStrategyNumber || strategy == BTLessEqualStrategyNumber))
		return AMPSF_LOCAL;
	if (any)
		strategy = STRATEGY_ANY;
	*tree = list_make3(makeInteger(kind), makeInteger(strategy), operand_of(info, right));
	return class_of(info, object, kind, strategy, reason);
}

/* -------- size -------- */

void
ampsf_engagement_rel_size(PlannerInfo *root, RelOptInfo *rel, AmpsfRelInfo *info)
{
	const AmpsfEngagementObject *object = object_of(info);
	ListCell *lc;

	info->classify.members = list_make1(ampsf_make_member(rel->relid, info->relid, "", false));
	/* There is nobody to ask. */
	info->table->use_remote_estimate = false;
	info->table->page_size = info->table->page_size > 0
								 ? Min(info->table->page_size, AMPSF_ENGAGEMENT_PAGE)
								 : AMPSF_ENGAGEMENT_PAGE;
	ampsf_pull_target_columns(root, rel, &info->attrs_used);
	foreach (lc, rel->baserestrictinfo)
	{
		RestrictInfo *ri = lfirst_node(RestrictInfo, lc);
		List *tree;
		const char *reason;
		AmpsfPushClass c = classify(root, rel, info, object, (Node *) ri->clause, &tree, &reason);

		info->clauses = lappend(info->clauses, ri);
		info->classes = lappend_int(info->classes, c);
		info->trees = lappend(info->trees, tree);
		info->reasons = lappend(info->reasons, unconstify(char *, reason));
		if (c != AMPSF_EXACT)
			pull_varattnos((Node *) ri->clause, rel->relid, &info->attrs_used);
	}
	ampsf_estimate_size(root, rel, info);
}

/* -------- paths -------- */

/* The column by which a sort key sorts, if it is one of this table. */
static AttrNumber
key_column(const RelOptInfo *rel, const PathKey *key, Oid *type)
{
	ListCell *lc;

	foreach (lc, key->pk_eclass->ec_members)
	{
		EquivalenceMember *em = lfirst(lc);
		AttrNumber attnum = column_of(rel, (Node *) em->em_expr);

		if (attnum == 0 || em->em_is_child)
			continue;
		*type = exprType((Node *) em->em_expr);
		return lookup_type_cache(*type, TYPECACHE_BTREE_OPFAMILY)->btree_opf == key->pk_opfamily
				   ? attnum
				   : 0;
	}
	return 0;
}

static bool
has_time_bound(const AmpsfRelInfo *info)
{
	for (int i = 0; i < list_length(info->trees); i++)
		if (list_nth(info->trees, i) != NIL && intVal(linitial(list_nth(info->trees, i))) == 1)
			return true;
	return false;
}

/* Do the first rows of the order decide, and are few of them enough? */
static bool
is_few(PlannerInfo *root, const RelOptInfo *rel, const AmpsfRelInfo *info)
{
	ListCell *lc;

	foreach (lc, info->classes)
		if (lfirst_int(lc) == AMPSF_LOCAL)
			return false;
	return root->limit_tuples >= 0 && root->limit_tuples <= FEW_ROWS &&
		   bms_equal(rel->relids, root->all_baserels);
}

/* ORDER BY's first key as the request says it; NULL if rows do not come in that order. */
static char *
order_of(PlannerInfo *root, const RelOptInfo *rel, const AmpsfRelInfo *info, const PathKey *key)
{
	const AmpsfEngagementObject *object = object_of(info);
	Oid type;
	AttrNumber attnum = key_column(rel, key, &type);
	int kind = kind_of(info, object, attnum, attnum ? type : InvalidOid);
	bool descending = ampsf_pathkey_descends(unconstify(PathKey *, key));

	/* All rows by Id, where the newest are enough? */
	if (kind == 0 && !object->filter && has_time_bound(info))
		return NULL;
	if (kind == 1)
	{
		/* Only these two are never null. */
		if (strcmp(time_field(object), "updatedAt") != 0 &&
			strcmp(time_field(object), "createdAt") != 0)
			return NULL;
		/* An order that cannot be taken up again behind 100,000 rows. */
		if (!object->filter && !(descending && is_few(root, rel, info)))
			return NULL;
	}
	if (kind < 0)
		return NULL;
	return psprintf("%s%s", kind == 0 ? "id" : time_field(object), descending ? " DESC" : "");
}

void
ampsf_engagement_paths(PlannerInfo *root, RelOptInfo *rel)
{
	AmpsfRelInfo *info = rel->fdw_private;
	Cost startup, total;
	QualCost local;
	char *order;

	ampsf_cost_scan(info->server, info->table->page_size, info->remote_rows, &startup, &total);
	cost_qual_eval(&local, rel->baserestrictinfo, root);
	startup += local.startup;
	total += local.startup + local.per_tuple * info->remote_rows;
	ampsf_add_path(rel, create_foreignscan_path(
							root, rel, NULL, rel->rows, AMPSF_DISABLED_NODES startup, total, NIL,
							rel->lateral_relids, NULL, AMPSF_RESTRICTINFO(NIL) NIL));
	if (root->query_pathkeys == NIL)
		return;
	order = order_of(root, rel, info, linitial(root->query_pathkeys));
	if (order)
		ampsf_add_path(rel, create_foreignscan_path(
								root, rel, NULL, rel->rows, AMPSF_DISABLED_NODES startup, total,
								list_make1(linitial(root->query_pathkeys)), rel->lateral_relids,
								NULL, AMPSF_RESTRICTINFO(NIL) list_make1(makeString(order))));
}

/* -------- plan -------- */

static void
choose_fields(AmpsfRelInfo *info, AmpsfOutput *out)
{
	const AmpsfEngagementObject *object = object_of(info);
	Relation relation = table_open(info->relid, NoLock);
	TupleDesc desc = RelationGetDescr(relation);
	bool whole_row = bms_is_member(0 - FirstLowInvalidHeapAttributeNumber, info->attrs_used);

	for (int attnum = 1; attnum <= desc->natts; attnum++)
	{
		char *field;

		if (TupleDescAttr(desc, attnum - 1)->attisdropped ||
			(!whole_row &&
			 !bms_is_member(attnum - FirstLowInvalidHeapAttributeNumber, info->attrs_used)))
			continue;
		field = ampsf_engagement_spelling(
			object, ampsf_member_column(linitial(info->classify.members), attnum)->field);
		ampsf_output_add(out, attnum, field, field, info->relid, attnum);
	}
	table_close(relation, NoLock);
	if (out->fields == NIL)
		out->fields = out->keys = list_make1(makeString(pstrdup("id")));
}

ForeignScan *
ampsf_engagement_plan(PlannerInfo *root, RelOptInfo *rel, ForeignPath *path, List *tlist,
					  List *scan_clauses, Plan *outer_plan)
{
	AmpsfRelInfo *info = rel->fdw_private;
	AmpsfScanClauses split;
	AmpsfOutput out = {0};
	const char *order = path->fdw_private ? strVal(linitial(path->fdw_private)) : "";
	bool limited = root->limit_tuples >= 0 && root->limit_tuples < INT_MAX &&
				   bms_equal(rel->relids, root->all_baserels) &&
				   pathkeys_contained_in(root->query_pathkeys, path->path.pathkeys);

	ampsf_split_clauses(info, scan_clauses, &split);
	choose_fields(info, &out);
	return make_foreignscan(
		tlist, split.checked, rel->relid, info->classify.params,
		ampsf_scan_private(info, &out, split.quals, split.classes, split.reasons,
						   limited && split.checked == NIL ? (int) root->limit_tuples : -1, order,
						   NIL),
		NIL, split.exact, outer_plan);
}

/* -------- the request -------- */

/* The second in which a time is, or with up the next, unless it begins there. */
static int64
second_of(TimestampTz time, bool up)
{
	int64 seconds = time / USECS_PER_SEC;
	int64 rest = time % USECS_PER_SEC;

	if (rest < 0)
		seconds--;
	return seconds + (up && rest != 0) + EPOCH_SHIFT;
}

static TimestampTz
time_value(Datum value, Oid type)
{
	if (type == DATEOID)
		return DatumGetTimestampTz(DirectFunctionCall1(date_timestamptz, value));
	if (type == TIMESTAMPOID)
		return DatumGetTimestampTz(DirectFunctionCall1(timestamp_timestamptz, value));
	return DatumGetTimestampTz(value);
}

/* What can be said in a request, in seconds since 1970; false if no row can pass. */
static bool
bound_time(AmpsfEngagementRequest *request, int strategy, TimestampTz time)
{
	const int64 least = AMPSF_DATETIME_MIN / USECS_PER_SEC + EPOCH_SHIFT;
	const int64 most = AMPSF_DATETIME_MAX / USECS_PER_SEC + EPOCH_SHIFT;
	bool lower = strategy >= BTEqualStrategyNumber;
	bool upper = strategy <= BTEqualStrategyNumber;
	int64 from, to;

	if (TIMESTAMP_IS_NOBEGIN(time))
		return strategy > BTEqualStrategyNumber;
	if (TIMESTAMP_IS_NOEND(time))
		return strategy < BTEqualStrategyNumber;
	/* What is shown are whole seconds. */
	from = strategy == BTGreaterStrategyNumber ? second_of(time, false) + 1 : second_of(time, true);
	to = strategy == BTLessStrategyNumber ? second_of(time, true) : second_of(time, false) + 1;
	if (lower && from > most)
		return false;
	if (upper && to < least)
		return false;
	if (lower && from > least)
		request->time_from = Max(request->time_from, from);
	if (upper && to < most)
		request->time_to = Min(request->time_to, to);
	return true;
}

static bool
bound_id(AmpsfEngagementRequest *request, int strategy, int64 id)
{
	if ((strategy == BTGreaterStrategyNumber && id == PG_INT64_MAX) ||
		(strategy == BTLessStrategyNumber && id == PG_INT64_MIN))
		return false;
	if (strategy == BTGreaterStrategyNumber)
		id++;
	else if (strategy == BTLessStrategyNumber)
		id--;
	if (strategy >= BTEqualStrategyNumber)
		request->id_from = Max(request->id_from, id);
	if (strategy <= BTEqualStrategyNumber)
		request->id_to = Min(request->id_to, id);
	return true;
}

static int64
id_value(Datum value, Oid type)
{
	return type == INT2OID	 ? DatumGetInt16(value)
		   : type == INT4OID ? DatumGetInt32(value)
							 : DatumGetInt64(value);
}

/* The least and the greatest of a list. */
static bool
bound_ids(AmpsfEngagementRequest *request, Datum list)
{
	ArrayType *array = DatumGetArrayTypeP(list);
	Oid type = ARR_ELEMTYPE(array);
	int16 len;
	bool byval;
	char align;
	Datum *values;
	bool *nulls;
	int n;
	int64 least = PG_INT64_MAX, most = PG_INT64_MIN;

	get_typlenbyvalalign(type, &len, &byval, &align);
	deconstruct_array(array, type, len, byval, align, &values, &nulls, &n);
	for (int i = 0; i < n; i++)
		if (!nulls[i])
		{
			least = Min(least, id_value(values[i], type));
			most = Max(most, id_value(values[i], type));
		}
	request->id_from = Max(request->id_from, least);
	request->id_to = Min(request->id_to, most);
	return least <= most;
}

static bool
bound(AmpsfEngagementRequest *request, int kind, int strategy, Datum value, Oid type)
{
	if (strategy == STRATEGY_ANY)
		return bound_ids(request, value);
	return kind == 0 ? bound_id(request, strategy, id_value(value, type))
					 : bound_time(request, strategy, time_value(value, type));
}

bool
ampsf_engagement_request(const AmpsfSelect *select, const AmpsfBind *bind,
						 AmpsfEngagementRequest *request, List **open)
{
	static const char *const operators[] = {"= ANY", "<", "<=", "=", ">=", ">"};
	size_t n = strcspn(select->order, " ");
	ListCell *lc;

	memset(request, 0, sizeof(*request));
	request->object = ampsf_engagement_object(select->object);
	request->id_to = PG_INT64_MAX;
	request->time_from = PG_INT64_MIN;
	request->time_to = PG_INT64_MAX;
	request->order = n ? pnstrdup(select->order, n) : NULL;
	request->descending = select->order[n] != '\0';
	foreach (lc, select->quals)
	{
		List *tree = lfirst(lc);
		int kind = intVal(linitial(tree));
		int strategy = intVal(lsecond(tree));
		Node *operand = lthird(tree);

		if (IsA(operand, Const))
		{
			Const *c = (Const *) operand;

			if (c->constisnull || !bound(request, kind, strategy, c->constvalue, c->consttype))
				return false;
		}
		else if (bind->values == NULL)
			*open =
				lappend(*open, psprintf("%s %s %s", kind == 0 ? "id" : time_field(request->object),
										operators[strategy],
										(char *) list_nth(bind->labels, intVal(operand))));
		else
		{
			int i = intVal(operand);

			if (bind->nulls[i] || !bound(request, kind, strategy, bind->values[i], bind->types[i]))
				return false;
		}
	}
	return request->id_from <= request->id_to && request->time_from <= request->time_to;
}

/* -------- writes -------- */

int
ampsf_engagement_events(const AmpsfTableOptions *table)
{
	const AmpsfEngagementObject *object = ampsf_engagement_object(table->object);
	int events = 0;

	if (object && (object->allowed & AMPSF_ENGAGEMENT_CREATE))
		events |= 1 << CMD_INSERT;
	if (object && (object->allowed & AMPSF_ENGAGEMENT_UPDATE))
		events |= 1 << CMD_UPDATE;
	if (object && (object->allowed & AMPSF_ENGAGEMENT_DELETE))
		events |= 1 << CMD_DELETE;
	return events;
}

void
ampsf_engagement_check_options(Relation rel)
{
	const AmpsfTableOptions *table = ampsf_table_options(RelationGetRelid(rel));
	const char *option = table->write_at_commit ? "write_at"
						 : table->all_or_none	? "all_or_none"
						 : table->if_unchanged	? "if_unchanged"
						 : table->hard_delete	? "hard_delete"
												: NULL;

	if (option)
		ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
						errmsg("foreign table \"%s\" cannot be written with option \"%s\"",
							   RelationGetRelationName(rel), option),
						errdetail("Account Engagement takes each record by itself.")));
	if (table->upsert_key &&
		(strcmp(table->object, "prospects") != 0 || strcmp(table->upsert_key, "email") != 0))
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("Account Engagement cannot upsert into foreign table \"%s\" by \"%s\"",
						RelationGetRelationName(rel), table->upsert_key),
				 errhint("It upserts prospects, by upsert_key 'email'.")));
}

void
ampsf_engagement_check_write(Relation rel, List *fetch)
{
	ampsf_engagement_check_options(rel);
	if (fetch != NIL)
		ereport(
			ERROR,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			 errmsg("cannot return column \"%s\" of foreign table \"%s\"",
					NameStr(TupleDescAttr(RelationGetDescr(rel), linitial_int(fetch) - 1)->attname),
					RelationGetRelationName(rel)),
			 errdetail("Account Engagement may show a record as it was, for a minute after it was "
					   "written."),
			 errhint("RETURNING can show the id and the columns that the statement gives.")));
}
