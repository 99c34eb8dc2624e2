/*
 * timerange.c - date_trunc('month', f) = x and the like as ranges of f.
 *
 * Nothing here computes with calendars.  What is computed of the field (the mapping) rises with the
 * field as long as no clock is changed, so that the first value for which it reaches x is found by
 * bisection, with PostgreSQL's own functions.  Where clocks are set back it may fall: around such a
 * bound each stretch between two changes is bisected by itself.  So local times that occur twice,
 * or never, and days that begin at one o'clock come out as PostgreSQL sees them.  Must not know:
 * the planner, SOQL beyond a comparison.
 */
#include "plan/timerange.h"

#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "nodes/nodeFuncs.h"
#include "pgtime.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/date.h"
#include "utils/lsyscache.h"
#include "utils/timestamp.h"
#include "wire/wiretime.h"

/* Values of the field are counted in seconds, or in days: from, up to and without to. */
typedef struct Span
{
	int64 from, to;
} Span;

/* Ascending, apart from each other. */
typedef struct Spans
{
	int n, size;
	Span *v;
} Spans;

typedef struct Finder
{
	ExprContext *econtext;
	ExprState *state;
	Oid fieldtype;
	bool days;				/* the field is a date: counted in days */
	int64 min, end;			/* what the field may hold */
	Oid value_type;			/* of one value */
	Datum value;			/* that is compared with */
	FmgrInfo less, greater; /* between the mapping's type and value_type */
	List *zones;			/* of pg_tz *: whose clocks matter */
} Finder;

/* More ranges than that are sent as one that holds them all; a value may take three of them. */
#define MAX_SPANS (4 * AMPSF_MAX_EXACT_LIST)
/* More values than that are not looked at. */
#define MAX_VALUES 1000

/* No clock was ever changed by more than a day. */
#define SECONDS_AROUND (INT64CONST(3) * SECS_PER_DAY)
#define DAYS_AROUND 3

#define UNIX_EPOCH ((int64) (POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * SECS_PER_DAY)

static void
add_span(Spans *s, int64 from, int64 to)
{
	if (from >= to)
		return;
	if (s->n > 0 && s->v[s->n - 1].to >= from)
	{
		s->v[s->n - 1].to = Max(s->v[s->n - 1].to, to);
		return;
	}
	if (s->n == s->size)
	{
		s->size = s->size ? s->size * 2 : 8;
		s->v = s->v ? repalloc(s->v, sizeof(Span) * s->size) : palloc(sizeof(Span) * s->size);
	}
	s->v[s->n].from = from;
	s->v[s->n++].to = to;
}

static Spans
complement(const Finder *f, Spans s)
{
	Spans out = {0};
	int64 at = f->min;

	for (int i = 0; i < s.n; i++)
	{
		add_span(&out, at, s.v[i].from);
		at = s.v[i].to;
	}
	add_span(&out, at, f->end);
	return out;
}

static Spans
intersect(Spans a, Spans b)
{
	Spans out = {0};

	for (int i = 0, k = 0; i < a.n && k < b.n;)
	{
		add_span(&out, Max(a.v[i].from, b.v[k].from), Min(a.v[i].to, b.v[k].to));
		if (a.v[i].to < b.v[k].to)
			i++;
		else
			k++;
	}
	return out;
}

static int
compare_spans(const void *a, const void *b)
{
	int64 x = ((const Span *) a)->from, y = ((const Span *) b)->from;

	return x < y ? -1 : x > y;
}

static Spans
unite(Spans a, Spans b)
{
	Spans out = {0};
	Span *all = palloc(sizeof(Span) * (a.n + b.n + 1));

	if (a.n > 0)
		memcpy(all, a.v, sizeof(Span) * a.n);
	if (b.n > 0)
		memcpy(all + a.n, b.v, sizeof(Span) * b.n);
	qsort(all, a.n + b.n, sizeof(Span), compare_spans);
	for (int i = 0; i < a.n + b.n; i++)
		add_span(&out, all[i].from, all[i].to);
	return out;
}

/* Is the mapping of that value of the field above the value, or (or_equal) not below it? */
static bool
reaches(Finder *f, int64 at, bool or_equal)
{
	Datum mapped;
	bool isnull;
	bool result;

	CHECK_FOR_INTERRUPTS();
	f->econtext->caseValue_datum =
		f->days ? DateADTGetDatum((DateADT) at) : TimestampTzGetDatum(at * USECS_PER_SEC);
	f->econtext->caseValue_isNull = false;
	mapped = ExecEvalExprSwitchContext(f->state, f->econtext, &isnull);
	if (isnull)
		elog(ERROR, "a function of a time is null");
	result = or_equal ? !DatumGetBool(FunctionCall2(&f->less, mapped, f->value))
					  : DatumGetBool(FunctionCall2(&f->greater, mapped, f->value));
	ResetExprContext(f->econtext);
	return result;
}

/* The first of from .. to - 1 that reaches the value; to if none does.  The mapping must not fall
 * there. */
static int64
bisect(Finder *f, int64 from, int64 to, bool or_equal)
{
	while (from < to)
	{
		int64 middle = from + (to - from) / 2;

		if (reaches(f, middle, or_equal))
			to = middle;
		else
			from = middle + 1;
	}
	return from;
}

/* The next change of a clock after that second, or to if there is none before. */
static int64
next_change(Finder *f, int64 from, int64 to)
{
	ListCell *lc;

	if (f->days)
		return Min(from + 1, to);
	foreach (lc, f->zones)
	{
		pg_time_t at = from + UNIX_EPOCH;
		pg_time_t boundary;
		long before, after;
		int before_dst, after_dst;

		if (pg_next_dst_boundary(&at, &before, &before_dst, &boundary, &after, &after_dst,
								 lfirst(lc)) == 1 &&
			boundary - UNIX_EPOCH > from)
			to = Min(to, boundary - UNIX_EPOCH);
	}
	return to;
}

/* All values of the field whose mapping reaches the value. */
static Spans
find_reaching(Finder *f, bool or_equal)
{
	Spans out = {0};
	int64 around = f->days ? DAYS_AROUND : SECONDS_AROUND;
	int64 bound = bisect(f, f->min, f->end, or_equal);
	int64 last = Min(bound + around, f->end);

	/* Farther away than any clock is set, all is as the bisection took it for. */
	for (int64 from = Max(bound - around, f->min), to; from < last; from = to)
	{
		to = next_change(f, from, last);
		add_span(&out, bisect(f, from, to, or_equal), to);
	}
	add_span(&out, last, f->end);
	return out;
}

static Spans
find_equal(Finder *f)
{
	return intersect(find_reaching(f, true), complement(f, find_reaching(f, false)));
}

static Spans
find_binary(Finder *f, const char *opname)
{
	if (strcmp(opname, ">=") == 0)
		return find_reaching(f, true);
	if (strcmp(opname, ">") == 0)
		return find_reaching(f, false);
	if (strcmp(opname, "<") == 0)
		return complement(f, find_reaching(f, true));
	if (strcmp(opname, "<=") == 0)
		return complement(f, find_reaching(f, false));
	if (strcmp(opname, "<>") == 0)
		return complement(f, find_equal(f));
	return find_equal(f);
}

/* = ANY, or <> ALL, which nothing passes if there is a null. */
static Spans
find_list(Finder *f, const AmpsfTimeTest *test)
{
	ArrayIterator it = array_create_iterator(DatumGetArrayTypeP(test->value), 0, NULL);
	Spans found = {0};
	bool isnull, has_null = false;

	while (array_iterate(it, &f->value, &isnull))
	{
		if (isnull)
			has_null = true;
		else
			found = unite(found, find_equal(f));
	}
	array_free_iterator(it);
	if (test->form == AMPSF_FORM_ANY)
		return found;
	return has_null ? (Spans){0} : complement(f, found);
}

/* Finds the field's type, and the time zones that are named in the mapping. */
static bool
find_zones(Node *node, void *context)
{
	Finder *f = context;

	if (node == NULL)
		return false;
	if (IsA(node, CaseTestExpr))
	{
		f->fieldtype = ((CaseTestExpr *) node)->typeId;
		return false;
	}
	if (IsA(node, FuncExpr))
	{
		const AmpsfTimeFunction *fn = ampsf_find_time_function(((FuncExpr *) node)->funcid);

		if (fn && fn->zone >= 0)
		{
			Const *zone = list_nth_node(Const, ((FuncExpr *) node)->args, fn->zone);
			pg_tz *tz = pg_tzset(TextDatumGetCString(zone->constvalue));

			if (tz)
				f->zones = lappend(f->zones, tz);
		}
	}
	return expression_tree_walker(node, find_zones, context);
}

static Oid
comparison_function(const char *name, Oid left, Oid right)
{
	return get_opcode(OpernameGetOprid(
		list_make2(makeString("pg_catalog"), makeString(unconstify(char *, name))), left, right));
}

static void
start_finder(Finder *f, const AmpsfTimeTest *test)
{
	Oid left = exprType((Node *) test->mapping);

	memset(f, 0, sizeof(*f));
	f->zones = list_make1(session_timezone);
	find_zones((Node *) test->mapping, f);
	f->days = f->fieldtype == DATEOID;
	f->min = f->days ? AMPSF_DATE_MIN : AMPSF_DATETIME_MIN / USECS_PER_SEC;
	f->end = (f->days ? AMPSF_DATE_MAX : AMPSF_DATETIME_MAX / USECS_PER_SEC) + 1;
	f->value_type = test->form == AMPSF_FORM_BINARY ? test->typid : get_element_type(test->typid);
	f->value = test->value;
	fmgr_info(comparison_function("<", left, f->value_type), &f->less);
	fmgr_info(comparison_function(">", left, f->value_type), &f->greater);
	f->state = ExecInitExpr(test->mapping, NULL);
	f->econtext = CreateStandaloneExprContext();
}

static void
print_bound(StringInfo out, const Finder *f, const char *field, const char *op, int64 at)
{
	char buf[AMPSF_TIME_BUF];

	if (f->days)
		ampsf_print_date((int32) at, buf);
	else
		ampsf_print_datetime(at * USECS_PER_SEC, buf);
	appendStringInfo(out, "%s %s %s", field, op, buf);
}

static void
print_span(StringInfo out, const Finder *f, const char *field, const Span *span)
{
	if (span->to == span->from + 1)
	{
		print_bound(out, f, field, "=", span->from);
		return;
	}
	if (span->from > f->min)
		print_bound(out, f, field, ">=", span->from);
	if (span->from > f->min && span->to < f->end)
		appendStringInfoString(out, " AND ");
	if (span->to < f->end)
		print_bound(out, f, field, "<", span->to);
}

AmpsfLiteral
ampsf_print_time_ranges(StringInfo out, const char *field, const AmpsfTimeTest *test)
{
	Finder f;
	Spans found;

	if (test->form != AMPSF_FORM_BINARY)
	{
		ArrayType *array = DatumGetArrayTypeP(test->value);

		if (ArrayGetNItems(ARR_NDIM(array), ARR_DIMS(array)) > MAX_VALUES)
			return AMPSF_LITERAL_CANNOT;
	}
	start_finder(&f, test);
	if (test->form == AMPSF_FORM_BINARY)
		found = find_binary(&f, get_opname(test->opno));
	else
		found = find_list(&f, test);
	FreeExprContext(f.econtext, true);

	if (found.n == 0)
		return AMPSF_LITERAL_NONE;
	if (found.n > MAX_SPANS)
	{
		found.v[0].to = found.v[found.n - 1].to;
		found.n = 1;
	}
	if (found.n == 1 && found.v[0].from == f.min && found.v[0].to == f.end)
		return AMPSF_LITERAL_ALL;
	if (found.n > 1)
		appendStringInfoChar(out, '(');
	for (int i = 0; i < found.n; i++)
	{
		StringInfoData one;

		initStringInfo(&one);
		print_span(&one, &f, field, &found.v[i]);
		appendStringInfo(out, strstr(one.data, " AND ") ? "%s(%s)" : "%s%s", i ? " OR " : "",
						 one.data);
	}
	if (found.n > 1)
		appendStringInfoChar(out, ')');
	return AMPSF_LITERAL_OK;
}
