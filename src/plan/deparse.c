/*
 * deparse.c - prints a scan as SOQL.
 *
 * Conditions come as the trees that classify.c made; parameters have their values by now (or
 * labels, for EXPLAIN).  Nothing here decides what may be pushed.
 *
 * Each printed condition is one of three things: text; true for every row, so that it can be left
 * out; or false for every row, so that a statement need not be sent at all.  SQL's null counts as
 * false: a NOT is never pushed, so the two cannot be told apart.
 */
#include "plan/plan_private.h"

#include "base/guc.h"
#include "plan/operators.h"
#include "plan/timerange.h"

#include "nodes/makefuncs.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

typedef enum Truth
{
	TEXT,
	ALWAYS,
	NEVER
} Truth;

static Truth print_qual(StringInfo out, List *qual, bool nested, AmpsfBind *bind);

static Truth
not_null(StringInfo out, const char *field)
{
	appendStringInfo(out, "%s != null", field);
	return TEXT;
}

/* Type, value and null flag of an operand; false if it is a parameter and none has a value. */
static bool
operand_value(Node *operand, const AmpsfBind *bind, Oid *typid, Datum *value, bool *isnull)
{
	if (IsA(operand, Const))
	{
		Const *c = (Const *) operand;

		*typid = c->consttype;
		*value = c->constvalue;
		*isnull = c->constisnull;
		return true;
	}
	if (!bind->values)
		return false;
	*typid = bind->types[intVal(operand)];
	*value = bind->values[intVal(operand)];
	*isnull = bind->nulls[intVal(operand)];
	return true;
}

static Truth
print_comparison(StringInfo out, const AmpsfOperator *op, const char *field, Oid typid, Datum value)
{
	StringInfoData literal;
	const char *soql_op;

	initStringInfo(&literal);
	switch (ampsf_print_literal(&literal, op, typid, value, &soql_op))
	{
		case AMPSF_LITERAL_OK:
			if (op->form == AMPSF_FORM_DISTINCT && op->fclass != AMPSF_CLASS_BOOLEAN)
				appendStringInfo(out, "(%s %s %s OR %s = null)", field, soql_op, literal.data,
								 field);
			else if (ampsf_is_includes(op))
				appendStringInfo(out, "%s %s (%s)", field, soql_op, literal.data);
			else
				appendStringInfo(out, op->not_null ? "(%s %s %s AND %s != null)" : "%s %s %s",
								 field, soql_op, literal.data, field);
			return TEXT;
		case AMPSF_LITERAL_NONE:
			return NEVER;
		case AMPSF_LITERAL_ALL:
			return op->form == AMPSF_FORM_DISTINCT ? ALWAYS : not_null(out, field);
		case AMPSF_LITERAL_CANNOT:
			return ALWAYS; /* only for clauses that are checked again */
	}
	return ALWAYS;
}

static int
compare_texts(const ListCell *a, const ListCell *b)
{
	return strcmp(lfirst(a), lfirst(b));
}

/* field IN (...), field NOT IN (...): elements in order and without repetition. */
static Truth
print_list(StringInfo out, const AmpsfOperator *op, List *qual, Datum array, AmpsfBind *bind)
{
	ArrayType *arr = DatumGetArrayTypeP(array);
	Oid elemtype = ARR_ELEMTYPE(arr);
	int16 typlen;
	bool typbyval;
	char typalign;
	Datum *values;
	bool *nulls;
	int n;
	bool any = op->form == AMPSF_FORM_ANY;
	const char *field = strVal(lthird(qual));
	List *literals = NIL;
	ListCell *lc;
	const char *last = NULL;
	int start = out->len;

	get_typlenbyvalalign(elemtype, &typlen, &typbyval, &typalign);
	deconstruct_array(arr, elemtype, typlen, typbyval, typalign, &values, &nulls, &n);
	if (n == 0 && !any)
		return ALWAYS; /* <> ALL of nothing holds for null too */
	for (int i = 0; i < n; i++)
	{
		StringInfoData literal;
		const char *soql_op;

		if (nulls[i])
		{
			if (!any)
				return NEVER;
			continue;
		}
		initStringInfo(&literal);
		switch (ampsf_print_literal(&literal, op, elemtype, values[i], &soql_op))
		{
			case AMPSF_LITERAL_OK:
				literals = lappend(literals, literal.data);
				break;
			case AMPSF_LITERAL_CANNOT:
				return ALWAYS; /* checked again, and never NOT IN */
			case AMPSF_LITERAL_NONE:
			case AMPSF_LITERAL_ALL:
				break;
		}
	}
	if (literals == NIL)
		return any ? NEVER : not_null(out, field);

	list_sort(literals, compare_texts);
	appendStringInfo(out, op->not_null ? "(%s %s (" : "%s %s (", field, op->soql);
	foreach (lc, literals)
	{
		const char *literal = lfirst(lc);

		if (last && strcmp(last, literal) == 0)
			continue;
		appendStringInfo(out, "%s%s", last ? ", " : "", literal);
		last = literal;
		if (bind->list_bytes + out->len - start > bind->list_room)
		{
			out->len = start;
			out->data[start] = '\0';
			bind->must_recheck = true;
			bind->left_out++;
			bind->left_tree = qual;
			bind->left_literals = literals;
			return ALWAYS;
		}
	}
	bind->list_bytes += out->len - start;
	appendStringInfoChar(out, ')');
	if (op->not_null)
		appendStringInfo(out, " AND %s != null)", field);
	return TEXT;
}

/* The comparison with null. */
static Truth
print_with_null(StringInfo out, const AmpsfOperator *op, const char *field)
{
	bool boolean =
		op->fclass == AMPSF_CLASS_BOOLEAN; /* never null, and = null is not what it says */

	if (op->form == AMPSF_FORM_DISTINCT)
		return boolean ? ALWAYS : not_null(out, field);
	if (op->form != AMPSF_FORM_NOT_DISTINCT || boolean) /* all others are strict */
		return NEVER;
	appendStringInfo(out, "%s = null", field);
	return TEXT;
}

static Truth
print_compare(StringInfo out, List *qual, AmpsfBind *bind)
{
	const AmpsfOperator *op = &ampsf_operators[intVal(lsecond(qual))];
	const char *field = strVal(lthird(qual));
	Node *operand = lfourth(qual);
	bool list = op->form == AMPSF_FORM_ANY || op->form == AMPSF_FORM_ALL;
	AmpsfOperator whole;
	Oid typid;
	Datum value;
	bool isnull;

	if (list_length(qual) > 4)
	{
		whole = *op;
		whole.fclass = AMPSF_CLASS_WHOLE;
		op = &whole;
	}
	if (!operand_value(operand, bind, &typid, &value, &isnull))
	{
		appendStringInfo(out, op->not_null ? "(%s %s %s%s%s AND %s != null)" : "%s %s %s%s%s",
						 field, op->soql, list ? "(" : "",
						 (char *) list_nth(bind->labels, intVal(operand)), list ? ")" : "", field);
		return TEXT;
	}
	if (isnull)
		return print_with_null(out, op, field);
	return list ? print_list(out, op, qual, value, bind)
				: print_comparison(out, op, field, typid, value);
}

/* What is computed of a field, compared: ranges of the field. */
static Truth
print_range(StringInfo out, List *qual, AmpsfBind *bind)
{
	AmpsfTimeTest test = {.form = intVal(lsecond(qual)), .opno = (Oid) intVal(lthird(qual))};
	const char *field = strVal(lfourth(qual));
	Node *operand = list_nth(qual, 4);
	bool isnull;

	test.mapping = list_nth(qual, 5);
	if (!operand_value(operand, bind, &test.typid, &test.value, &isnull))
	{
		appendStringInfo(out, "%s in the range that %s gives", field,
						 (char *) list_nth(bind->labels, intVal(operand)));
		return TEXT;
	}
	if (isnull)
		return NEVER;
	if (test.form == AMPSF_FORM_ALL)
	{
		ArrayType *array = DatumGetArrayTypeP(test.value);

		if (ArrayGetNItems(ARR_NDIM(array), ARR_DIMS(array)) == 0)
			return ALWAYS; /* for null too */
	}
	switch (ampsf_print_time_ranges(out, field, &test))
	{
		case AMPSF_LITERAL_OK:
			return TEXT;
		case AMPSF_LITERAL_NONE:
			return NEVER;
		case AMPSF_LITERAL_ALL:
			return not_null(out, field);
		case AMPSF_LITERAL_CANNOT:
			break;
	}
	return ALWAYS;
}

/* The field that must not be null for the condition to hold; NULL if there is none that is cheap to
 * see. */
static const char *
strict_field(List *qual)
{
	switch ((AmpsfQualKind) intVal(linitial(qual)))
	{
		case AMPSF_QUAL_COMPARE:
		{
			AmpsfOperatorForm form = ampsf_operators[intVal(lsecond(qual))].form;

			return form == AMPSF_FORM_ALL || form == AMPSF_FORM_DISTINCT ||
						   form == AMPSF_FORM_NOT_DISTINCT
					   ? NULL
					   : strVal(lthird(qual));
		}
		case AMPSF_QUAL_NULL_TEST:
			return intVal(lsecond(qual)) ? NULL : strVal(lthird(qual));
		case AMPSF_QUAL_RANGE:
			return intVal(lsecond(qual)) == AMPSF_FORM_ALL ? NULL : strVal(lfourth(qual));
		default:
			return NULL;
	}
}

/* Must a field be null and something else at once, by two of the ANDed conditions from the one at
 * first? */
static bool
contradict(List *children, int first)
{
	for (int i = first; i < list_length(children); i++)
	{
		List *test = list_nth(children, i);

		if (intVal(linitial(test)) != AMPSF_QUAL_NULL_TEST || !intVal(lsecond(test)))
			continue;
		for (int k = first; k < list_length(children); k++)
		{
			const char *field = strict_field(list_nth(children, k));

			if (field && strcmp(field, strVal(lthird(test))) == 0)
				return true;
		}
	}
	return false;
}

/* AND or OR of qual's members from the one at first; parentheses where SOQL wants them. */
static Truth
print_junction(StringInfo out, List *children, int first, bool is_and, bool nested, AmpsfBind *bind)
{
	Truth neutral = is_and ? ALWAYS : NEVER;
	StringInfoData buf;
	int n = 0;

	if (is_and && contradict(children, first))
		return NEVER;
	initStringInfo(&buf);
	for (int i = first; i < list_length(children); i++)
	{
		StringInfoData one;
		Truth t;

		initStringInfo(&one);
		t = print_qual(&one, list_nth(children, i), true, bind);
		if (t == neutral)
			continue;
		if (t != TEXT)
			return t;
		appendStringInfo(&buf, "%s%s", n++ ? (is_and ? " AND " : " OR ") : "", one.data);
	}
	if (n == 0)
		return neutral;
	if (!is_and && list_length(children) > AMPSF_LONG_OR)
	{
		if (bind->list_bytes + buf.len > bind->list_room)
		{
			bind->must_recheck = true;
			bind->left_out++;
			bind->left_tree = NIL;
			return ALWAYS;
		}
		bind->list_bytes += buf.len;
	}
	appendStringInfo(out, nested && n > 1 ? "(%s)" : "%s", buf.data);
	return TEXT;
}

/* field IN (SELECT field FROM object WHERE ...), or NOT IN. */
static Truth
print_semi(StringInfo out, List *qual, AmpsfBind *bind)
{
	bool anti = intVal(lsecond(qual)) != 0;
	StringInfoData where;

	initStringInfo(&where);
	/* There is a text always: the subquery's field is tested for null. */
	if (print_junction(&where, list_nth(qual, 5), 0, true, false, bind) != TEXT)
		return anti ? ALWAYS : NEVER;
	appendStringInfo(out, "%s %s (SELECT %s FROM %s WHERE %s)", strVal(lthird(qual)),
					 anti ? "NOT IN" : "IN", strVal(list_nth(qual, 4)), strVal(lfourth(qual)),
					 where.data);
	return TEXT;
}

/* What is no condition of a field stands in no statement, but in EXPLAIN's. */
static Truth
print_fixed(StringInfo out, Node *operand, AmpsfBind *bind)
{
	Oid typid;
	Datum value;
	bool isnull;

	if (operand_value(operand, bind, &typid, &value, &isnull))
		return !isnull && DatumGetBool(value) ? ALWAYS : NEVER;
	appendStringInfoString(out, list_nth(bind->labels, intVal(operand)));
	return TEXT;
}

static Truth
print_qual(StringInfo out, List *qual, bool nested, AmpsfBind *bind)
{
	switch ((AmpsfQualKind) intVal(linitial(qual)))
	{
		case AMPSF_QUAL_AND:
		case AMPSF_QUAL_OR:
			return print_junction(out, qual, 1, intVal(linitial(qual)) == AMPSF_QUAL_AND, nested,
								  bind);
		case AMPSF_QUAL_COMPARE:
			return print_compare(out, qual, bind);
		case AMPSF_QUAL_NULL_TEST:
			appendStringInfo(out, "%s %s null", strVal(lthird(qual)),
							 intVal(lsecond(qual)) ? "=" : "!=");
			return TEXT;
		case AMPSF_QUAL_BOOLEAN:
			appendStringInfo(out, "%s = %s", strVal(lthird(qual)),
							 intVal(lsecond(qual)) ? "TRUE" : "FALSE");
			return TEXT;
		case AMPSF_QUAL_RANGE:
			return print_range(out, qual, bind);
		case AMPSF_QUAL_SEMI:
			return print_semi(out, qual, bind);
		case AMPSF_QUAL_FIXED:
			return print_fixed(out, lsecond(qual), bind);
		case AMPSF_QUAL_NEVER:
			return NEVER;
	}
	elog(ERROR, "unrecognized kind of condition: %d", (int) intVal(linitial(qual)));
	return NEVER;
}

void
ampsf_read_select(List *fdw_private, AmpsfSelect *select)
{
	List *groups;

	Assert(list_length(fdw_private) >= AMPSF_SCAN_LENGTH);
	select->object = strVal(list_nth(fdw_private, AMPSF_SCAN_OBJECT));
	select->fields = list_nth(fdw_private, AMPSF_SCAN_FIELDS);
	select->quals = list_nth(fdw_private, AMPSF_SCAN_QUALS);
	select->order = strVal(list_nth(fdw_private, AMPSF_SCAN_ORDER));
	select->bounds = list_nth(fdw_private, AMPSF_SCAN_BOUNDS);
	select->group_by = "";
	select->having = NIL;
	select->max_groups = 0;
	select->from_key = NULL;
	groups = list_nth(fdw_private, AMPSF_SCAN_GROUPS);
	if (groups)
	{
		select->group_by = strVal(list_nth(groups, AMPSF_GROUPS_BY));
		select->having = list_nth(groups, AMPSF_GROUPS_HAVING);
		if (!intVal(list_nth(groups, AMPSF_GROUPS_FEW)))
			select->max_groups = AMPSF_MAX_GROUPS;
	}
}

/* The value of LIMIT or OFFSET; -1 if it is absent or NULL, which means the same. */
static int64
bound_value(Node *operand, const AmpsfBind *bind, bool is_limit)
{
	Oid typid;
	Datum value;
	bool isnull;
	int64 n;

	if (!operand || !operand_value(operand, bind, &typid, &value, &isnull) || isnull)
		return -1;
	n = DatumGetInt64(value);
	if (n < 0)
		ereport(ERROR,
				(errcode(is_limit ? ERRCODE_INVALID_ROW_COUNT_IN_LIMIT_CLAUSE
								  : ERRCODE_INVALID_ROW_COUNT_IN_RESULT_OFFSET_CLAUSE),
				 errmsg(is_limit ? "LIMIT must not be negative" : "OFFSET must not be negative")));
	return n;
}

static const char *
bound_label(Node *operand, const AmpsfBind *bind)
{
	return IsA(operand, Const)
			   ? psprintf(INT64_FORMAT, DatumGetInt64(((Const *) operand)->constvalue))
			   : (const char *) list_nth(bind->labels, intVal(operand));
}

/*
 * LIMIT.  OFFSET is not sent: SOQL's ends at 2,000 and gives one page only.  The rows before it are
 * asked for as well, and passed over.  False if no row is wanted.
 */
static bool
print_bounds(StringInfo out, const AmpsfSelect *select, const AmpsfBind *bind, int64 *skip)
{
	Node *limit, *offset;
	int64 count, before;

	if (skip)
		*skip = 0;
	if (select->bounds == NIL)
	{
		if (select->max_groups > 0)
			appendStringInfo(out, " LIMIT %d", select->max_groups);
		return true;
	}
	limit = linitial(select->bounds);
	offset = lsecond(select->bounds);
	if (!bind->values && ((limit && !IsA(limit, Const)) || (offset && !IsA(offset, Const))))
	{
		appendStringInfo(out, " LIMIT %s%s%s", bound_label(limit, bind), offset ? " + " : "",
						 offset ? bound_label(offset, bind) : "");
		return true;
	}
	count = bound_value(limit, bind, true);
	before = Max(bound_value(offset, bind, false), 0);
	if (skip)
		*skip = before;
	if (count == 0)
		return false;
	/* A number beyond that is no limit, and SOQL's is a 32-bit one. */
	if (count > 0 && count < INT_MAX && before < INT_MAX - count)
		appendStringInfo(out, " LIMIT " INT64_FORMAT, count + before);
	return true;
}

/*
 * HAVING; false if no group can pass.  A test for null is documented of WHERE only, and all of
 * HAVING is checked again.
 */
static bool
print_having(StringInfo out, List *having, AmpsfBind *bind)
{
	int n = 0;
	ListCell *lc;

	foreach (lc, having)
	{
		StringInfoData one;
		Truth t;

		initStringInfo(&one);
		t = print_qual(&one, lfirst(lc), true, bind);
		if (t == NEVER)
			return false;
		if (t == TEXT && !strstr(one.data, "= null"))
			appendStringInfo(out, "%s%s", n++ ? " AND " : " HAVING ", one.data);
	}
	return true;
}

/* What lists can have of a statement, when its fields and the other conditions have their part. */
static int
list_room(const AmpsfSelect *select)
{
	int fields = 0;
	ListCell *lc;

	foreach (lc, select->fields)
		fields += strlen(strVal(lfirst(lc))) + 2;
	return Max(ampsf_max_soql_length - fields - 15000, 5000);
}

char *
ampsf_deparse_select(const AmpsfSelect *select, AmpsfBind *bind, int64 *skip)
{
	StringInfoData buf;
	StringInfoData where;
	ListCell *lc;

	initStringInfo(&buf);
	initStringInfo(&where);
	bind->list_room = list_room(select);
	switch (print_junction(&where, select->quals, 0, true, false, bind))
	{
		case NEVER:
			return NULL;
		case ALWAYS:
			resetStringInfo(&where);
			break;
		case TEXT:
			break;
	}
	foreach (lc, select->fields)
		appendStringInfo(&buf, "%s%s", lc == list_head(select->fields) ? "SELECT " : ", ",
						 strVal(lfirst(lc)));
	appendStringInfo(&buf, " FROM %s", select->object);
	if (select->from_key)
		appendStringInfo(&where, "%s%s", where.len > 0 ? " AND " : "", select->from_key);
	if (where.len > 0)
		appendStringInfo(&buf, " WHERE %s", where.data);
	if (*select->group_by)
		appendStringInfo(&buf, " GROUP BY %s", select->group_by);
	if (!print_having(&buf, select->having, bind))
		return NULL;
	if (*select->order)
		appendStringInfo(&buf, " ORDER BY %s", select->order);
	if (!print_bounds(&buf, select, bind, skip))
		return NULL;
	return buf.data;
}
