/*
 * operators.c - the table of operators and the literals they compare with; see operators.h.
 *
 * Each line rests on the semantics of SOQL: text compares without case unless the field is declared
 * case-sensitive; != and NOT IN keep nulls; datetimes have whole seconds; numbers are doubles;
 * nothing outside the years 1700 to 4000 may be written.  Must not know: expressions, the planner.
 */
#include "plan/operators.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "common/shortest_dec.h"
#include "mb/pg_wchar.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/date.h"
#include "utils/fmgroids.h"
#include "utils/numeric.h"
#include "utils/timestamp.h"
#include "wire/sfid.h"
#include "wire/text.h"
#include "wire/wiretime.h"

#define BIN AMPSF_FORM_BINARY
#define ANY AMPSF_FORM_ANY
#define ALL AMPSF_FORM_ALL
#define DIST AMPSF_FORM_DISTINCT
#define SAME AMPSF_FORM_NOT_DISTINCT
#define NO_CASE "Salesforce compares text without case"
#define FOLDS "letters that Salesforce may fold otherwise than PostgreSQL are sent as %"
#define ORDER "Salesforce knows neither case nor order of the values"
#define DIGITS "a number of more than 15 digits, or a parameter that may be one, is checked again"

const AmpsfOperator ampsf_operators[] = {
	{"=", BIN, AMPSF_CLASS_TEXT, AMPSF_SUPERSET, "=", false, NO_CASE},
	{"=", ANY, AMPSF_CLASS_TEXT, AMPSF_SUPERSET, "IN", false, NO_CASE},
	{"=", SAME, AMPSF_CLASS_TEXT, AMPSF_SUPERSET, "=", false, NO_CASE},
	{"~~", AMPSF_FORM_LIKE, AMPSF_CLASS_TEXT, AMPSF_SUPERSET, "LIKE", false, NO_CASE},
	{"~~*", AMPSF_FORM_ILIKE, AMPSF_CLASS_TEXT, AMPSF_SUPERSET, "LIKE", false, FOLDS},
	{"^@", AMPSF_FORM_PREFIX, AMPSF_CLASS_TEXT, AMPSF_SUPERSET, "LIKE", false, NO_CASE},
	{"=", AMPSF_FORM_LOWER, AMPSF_CLASS_TEXT, AMPSF_SUPERSET, "LIKE", false, FOLDS},
	{"~~", AMPSF_FORM_LOWER, AMPSF_CLASS_TEXT, AMPSF_SUPERSET, "LIKE", false, FOLDS},
	{"=", AMPSF_FORM_UPPER, AMPSF_CLASS_TEXT, AMPSF_SUPERSET, "LIKE", false, FOLDS},
	{"~~", AMPSF_FORM_UPPER, AMPSF_CLASS_TEXT, AMPSF_SUPERSET, "LIKE", false, FOLDS},

	{"=", BIN, AMPSF_CLASS_TEXT_CS, AMPSF_EXACT, "=", false, NULL},
	{"<>", BIN, AMPSF_CLASS_TEXT_CS, AMPSF_EXACT, "!=", true, NULL},
	{"=", ANY, AMPSF_CLASS_TEXT_CS, AMPSF_EXACT, "IN", false, NULL},
	{"<>", ALL, AMPSF_CLASS_TEXT_CS, AMPSF_EXACT, "NOT IN", true, NULL},
	{"~~", AMPSF_FORM_LIKE, AMPSF_CLASS_TEXT_CS, AMPSF_SUPERSET, "LIKE", false,
	 "LIKE may fold case all the same"},
	{"=", SAME, AMPSF_CLASS_TEXT_CS, AMPSF_EXACT, "=", false, NULL},
	{"<>", DIST, AMPSF_CLASS_TEXT_CS, AMPSF_EXACT, "!=", false, NULL},
	{"^@", AMPSF_FORM_PREFIX, AMPSF_CLASS_TEXT_CS, AMPSF_SUPERSET, "LIKE", false,
	 "LIKE may fold case all the same"},

	{"=", BIN, AMPSF_CLASS_ID, AMPSF_EXACT, "=", false, NULL},
	{"<>", BIN, AMPSF_CLASS_ID, AMPSF_EXACT, "!=", true, NULL},
	{"=", ANY, AMPSF_CLASS_ID, AMPSF_EXACT, "IN", false, NULL},
	{"<>", ALL, AMPSF_CLASS_ID, AMPSF_EXACT, "NOT IN", true, NULL},
	{"=", SAME, AMPSF_CLASS_ID, AMPSF_EXACT, "=", false, NULL},
	{"<>", DIST, AMPSF_CLASS_ID, AMPSF_EXACT, "!=", false, NULL},

	{"=", BIN, AMPSF_CLASS_BOOLEAN, AMPSF_EXACT, "=", false, NULL},
	{"<>", BIN, AMPSF_CLASS_BOOLEAN, AMPSF_EXACT, "!=", false, NULL},
	{"=", SAME, AMPSF_CLASS_BOOLEAN, AMPSF_EXACT, "=", false, NULL},
	{"<>", DIST, AMPSF_CLASS_BOOLEAN, AMPSF_EXACT, "!=", false, NULL},

	{"=", BIN, AMPSF_CLASS_NUMBER, AMPSF_EXACT, "=", false, DIGITS},
	{"<>", BIN, AMPSF_CLASS_NUMBER, AMPSF_EXACT, "!=", true, DIGITS},
	{"<", BIN, AMPSF_CLASS_NUMBER, AMPSF_EXACT, "<", false, DIGITS},
	{"<=", BIN, AMPSF_CLASS_NUMBER, AMPSF_EXACT, "<=", false, DIGITS},
	{">", BIN, AMPSF_CLASS_NUMBER, AMPSF_EXACT, ">", false, DIGITS},
	{">=", BIN, AMPSF_CLASS_NUMBER, AMPSF_EXACT, ">=", false, DIGITS},
	{"=", ANY, AMPSF_CLASS_NUMBER, AMPSF_EXACT, "IN", false, DIGITS},
	{"<>", ALL, AMPSF_CLASS_NUMBER, AMPSF_EXACT, "NOT IN", true, DIGITS},
	{"=", SAME, AMPSF_CLASS_NUMBER, AMPSF_EXACT, "=", false, DIGITS},
	{"<>", DIST, AMPSF_CLASS_NUMBER, AMPSF_EXACT, "!=", false, DIGITS},

	{"=", BIN, AMPSF_CLASS_DATE, AMPSF_EXACT, "=", false, NULL},
	{"<>", BIN, AMPSF_CLASS_DATE, AMPSF_EXACT, "!=", true, NULL},
	{"<", BIN, AMPSF_CLASS_DATE, AMPSF_EXACT, "<", false, NULL},
	{"<=", BIN, AMPSF_CLASS_DATE, AMPSF_EXACT, "<=", false, NULL},
	{">", BIN, AMPSF_CLASS_DATE, AMPSF_EXACT, ">", false, NULL},
	{">=", BIN, AMPSF_CLASS_DATE, AMPSF_EXACT, ">=", false, NULL},
	{"=", ANY, AMPSF_CLASS_DATE, AMPSF_EXACT, "IN", false, NULL},
	{"<>", ALL, AMPSF_CLASS_DATE, AMPSF_EXACT, "NOT IN", true, NULL},
	{"=", SAME, AMPSF_CLASS_DATE, AMPSF_EXACT, "=", false, NULL},
	{"<>", DIST, AMPSF_CLASS_DATE, AMPSF_EXACT, "!=", false, NULL},

	{"=", BIN, AMPSF_CLASS_DATETIME, AMPSF_EXACT, "=", false, NULL},
	{"<>", BIN, AMPSF_CLASS_DATETIME, AMPSF_EXACT, "!=", true, NULL},
	{"<", BIN, AMPSF_CLASS_DATETIME, AMPSF_EXACT, "<", false, NULL},
	{"<=", BIN, AMPSF_CLASS_DATETIME, AMPSF_EXACT, "<=", false, NULL},
	{">", BIN, AMPSF_CLASS_DATETIME, AMPSF_EXACT, ">", false, NULL},
	{">=", BIN, AMPSF_CLASS_DATETIME, AMPSF_EXACT, ">=", false, NULL},
	{"=", ANY, AMPSF_CLASS_DATETIME, AMPSF_EXACT, "IN", false, NULL},
	{"<>", ALL, AMPSF_CLASS_DATETIME, AMPSF_EXACT, "NOT IN", true, NULL},
	{"=", SAME, AMPSF_CLASS_DATETIME, AMPSF_EXACT, "=", false, NULL},
	{"<>", DIST, AMPSF_CLASS_DATETIME, AMPSF_EXACT, "!=", false, NULL},

	{"@>", AMPSF_FORM_CONTAINS, AMPSF_CLASS_MULTI, AMPSF_SUPERSET, "INCLUDES", false, NO_CASE},
	{"&&", AMPSF_FORM_OVERLAPS, AMPSF_CLASS_MULTI, AMPSF_SUPERSET, "INCLUDES", false, NO_CASE},
	{"<@", AMPSF_FORM_OVERLAPS, AMPSF_CLASS_MULTI, AMPSF_SUPERSET, "INCLUDES", false,
	 "SOQL cannot say that there is nothing else"},
	{"=", AMPSF_FORM_CONTAINS, AMPSF_CLASS_MULTI, AMPSF_SUPERSET, "INCLUDES", false, ORDER},
	{"=", AMPSF_FORM_MEMBER, AMPSF_CLASS_MULTI, AMPSF_SUPERSET, "INCLUDES", false, NO_CASE},
	{"=", BIN, AMPSF_CLASS_MULTI_TEXT, AMPSF_SUPERSET, "INCLUDES", false, ORDER},
	{"=", ANY, AMPSF_CLASS_MULTI_TEXT, AMPSF_SUPERSET, "INCLUDES", false, ORDER},
};

const int ampsf_n_operators = lengthof(ampsf_operators);

#define NONE AMPSF_CLASS_NONE

const AmpsfTimeFunction ampsf_time_functions[] = {
	{F_DATE_TRUNC_TEXT_TIMESTAMPTZ, AMPSF_CLASS_DATETIME, "date_trunc(unit, f)", 1, 0, -1, false,
	 false},
	{F_DATE_TRUNC_TEXT_TIMESTAMPTZ_TEXT, AMPSF_CLASS_DATETIME, "date_trunc(unit, f, zone)", 1, 0, 2,
	 false, false},
	{F_DATE_TRUNC_TEXT_TIMESTAMP, NONE, NULL, 1, 0, -1, false, false},
	{F_EXTRACT_TEXT_TIMESTAMPTZ, AMPSF_CLASS_DATETIME, "extract(year FROM f)", 1, 0, -1, false,
	 false},
	{F_EXTRACT_TEXT_TIMESTAMP, NONE, NULL, 1, 0, -1, false, false},
	{F_DATE_PART_TEXT_TIMESTAMPTZ, AMPSF_CLASS_DATETIME, "date_part('year', f)", 1, 0, -1, false,
	 false},
	{F_DATE_PART_TEXT_TIMESTAMP, NONE, NULL, 1, 0, -1, false, false},
	{F_DATE_TIMESTAMPTZ, AMPSF_CLASS_DATETIME, "f::date", 0, -1, -1, false, false},
	{F_DATE_TIMESTAMP, NONE, NULL, 0, -1, -1, false, false},
	{F_TIMESTAMP_TIMESTAMPTZ, AMPSF_CLASS_DATETIME, "f::timestamp", 0, -1, -1, false, false},
	{F_TIMEZONE_TEXT_TIMESTAMPTZ, AMPSF_CLASS_DATETIME, "f AT TIME ZONE zone", 1, -1, 0, false,
	 false},
	{F_TIMEZONE_TEXT_TIMESTAMP, NONE, NULL, 1, -1, 0, true, false},
	{F_TIMESTAMPTZ_TIMESTAMP, NONE, NULL, 0, -1, -1, true, false},
	{F_TIMESTAMPTZ_DATE, AMPSF_CLASS_DATE, "date_trunc(unit, f)", 0, -1, -1, true, false},
	{F_TIMESTAMP_DATE, AMPSF_CLASS_DATE, "date_trunc(unit, f::timestamp)", 0, -1, -1, true, false},
	{F_EXTRACT_TEXT_DATE, AMPSF_CLASS_DATE, "extract(year FROM f)", 1, 0, -1, false, false},
	{F_INT4_NUMERIC, NONE, NULL, 0, -1, -1, false, true},
	{F_INT4_FLOAT8, NONE, NULL, 0, -1, -1, false, true},
};

const int ampsf_n_time_functions = lengthof(ampsf_time_functions);

const AmpsfTimeFunction *
ampsf_find_time_function(Oid funcid)
{
	for (int i = 0; i < ampsf_n_time_functions; i++)
		if (ampsf_time_functions[i].funcid == funcid)
			return &ampsf_time_functions[i];
	return NULL;
}

bool
ampsf_unit_is_days(const char *unit)
{
	static const char *const units[] = {"day",	"week",	  "month",	 "quarter",
										"year", "decade", "century", "millennium"};

	for (int i = 0; i < (int) lengthof(units); i++)
		if (pg_strcasecmp(units[i], unit) == 0)
			return true;
	return false;
}

bool
ampsf_time_unit_ok(const AmpsfTimeFunction *fn, const char *unit)
{
	static const char *const truncs[] = {"microseconds", "milliseconds", "second", "minute",
										 "hour"};
	static const char *const fields[] = {"year",	   "isoyear", "decade", "century",
										 "millennium", "epoch",	  "julian"};
	bool trunc = fn->funcid == F_DATE_TRUNC_TEXT_TIMESTAMPTZ ||
				 fn->funcid == F_DATE_TRUNC_TEXT_TIMESTAMPTZ_TEXT ||
				 fn->funcid == F_DATE_TRUNC_TEXT_TIMESTAMP;
	const char *const *units = trunc ? truncs : fields;
	int n = trunc ? lengthof(truncs) : lengthof(fields);

	if (trunc && ampsf_unit_is_days(unit))
		return true;
	for (int i = 0; i < n; i++)
		if (pg_strcasecmp(units[i], unit) == 0)
			return true;
	return false;
}

int
ampsf_find_operator(const char *sql, AmpsfOperatorForm form, AmpsfFieldClass fclass)
{
	for (int i = 0; i < ampsf_n_operators; i++)
		if (ampsf_operators[i].fclass == fclass && ampsf_operators[i].form == form &&
			strcmp(ampsf_operators[i].sql, sql) == 0)
			return i;
	return -1;
}

const char *
ampsf_push_class_name(AmpsfPushClass c)
{
	static const char *const names[] = {"local", "superset", "exact"};

	return names[c];
}

const char *
ampsf_field_class_name(AmpsfFieldClass c)
{
	static const char *const names[] = {"other",
										"text",
										"case-sensitive text",
										"Id or reference",
										"boolean",
										"number",
										"date",
										"datetime",
										"multi-select list as array",
										"multi-select list as text",
										"whole number"};

	return names[c];
}

AmpsfFieldClass
ampsf_field_class(const AmpsfColumn *col)
{
	static const struct
	{
		const char *type;
		AmpsfFieldClass fclass;
	} classes[] = {{"id", AMPSF_CLASS_ID},
				   {"reference", AMPSF_CLASS_ID},
				   {"string", AMPSF_CLASS_TEXT},
				   {"picklist", AMPSF_CLASS_TEXT},
				   {"combobox", AMPSF_CLASS_TEXT},
				   {"email", AMPSF_CLASS_TEXT},
				   {"phone", AMPSF_CLASS_TEXT},
				   {"url", AMPSF_CLASS_TEXT},
				   {"textarea", AMPSF_CLASS_TEXT},
				   {"boolean", AMPSF_CLASS_BOOLEAN},
				   {"int", AMPSF_CLASS_NUMBER},
				   {"long", AMPSF_CLASS_NUMBER},
				   {"double", AMPSF_CLASS_NUMBER},
				   {"currency", AMPSF_CLASS_NUMBER},
				   {"percent", AMPSF_CLASS_NUMBER},
				   {"date", AMPSF_CLASS_DATE},
				   {"datetime", AMPSF_CLASS_DATETIME},
				   {"multipicklist", AMPSF_CLASS_MULTI_TEXT}};

	for (int i = 0; i < (int) lengthof(classes); i++)
		if (strcmp(classes[i].type, col->type) == 0)
		{
			AmpsfFieldClass c = classes[i].fclass;

			if (c == AMPSF_CLASS_MULTI_TEXT && col->array)
				return AMPSF_CLASS_MULTI;
			/* A missing parent makes its boolean null here, and false in a condition there. */
			if (c == AMPSF_CLASS_BOOLEAN && col->of_parent)
				return AMPSF_CLASS_NONE;
			return c == AMPSF_CLASS_TEXT && col->case_sensitive ? AMPSF_CLASS_TEXT_CS : c;
		}
	return AMPSF_CLASS_NONE;
}

const char *
ampsf_no_operator_reason(AmpsfFieldClass fclass)
{
	switch (fclass)
	{
		case AMPSF_CLASS_NONE:
			return "Salesforce cannot filter fields of this type as SQL does";
		case AMPSF_CLASS_TEXT:
			return "Salesforce compares and sorts text without case, and would leave rows out";
		case AMPSF_CLASS_TEXT_CS:
			return "Salesforce sorts text by the user's locale";
		case AMPSF_CLASS_ID:
			return "Ids have no order that SOQL shares with SQL";
		case AMPSF_CLASS_MULTI:
		case AMPSF_CLASS_MULTI_TEXT:
			return "Salesforce compares the values of a multi-select list without case and order";
		default:
			return "SOQL has no such operator";
	}
}

bool
ampsf_literal_type_ok(AmpsfFieldClass fclass, Oid typid)
{
	switch (fclass)
	{
		case AMPSF_CLASS_TEXT:
		case AMPSF_CLASS_TEXT_CS:
		case AMPSF_CLASS_MULTI_TEXT:
			return typid == TEXTOID;
		case AMPSF_CLASS_MULTI: /* one of them, or the whole */
			return typid == TEXTOID || typid == TEXTARRAYOID;
		case AMPSF_CLASS_ID:
			return typid == TEXTOID || typid == BPCHAROID;
		case AMPSF_CLASS_BOOLEAN:
			return typid == BOOLOID;
		case AMPSF_CLASS_NUMBER:
			return typid == INT2OID || typid == INT4OID || typid == INT8OID ||
				   typid == NUMERICOID || typid == FLOAT4OID || typid == FLOAT8OID;
		case AMPSF_CLASS_DATE:
			return typid == DATEOID;
		case AMPSF_CLASS_DATETIME:
			return typid == TIMESTAMPTZOID || typid == TIMESTAMPOID || typid == DATEOID;
		default:
			return false;
	}
}

bool
ampsf_is_negated(const AmpsfOperator *op)
{
	return op->soql[0] == '!' || op->soql[0] == 'N';
}

bool
ampsf_is_includes(const AmpsfOperator *op)
{
	return op->fclass == AMPSF_CLASS_MULTI || op->fclass == AMPSF_CLASS_MULTI_TEXT;
}

static bool
is_range(const AmpsfOperator *op)
{
	return op->soql[0] == '<' || op->soql[0] == '>';
}

/* The answer for a value that no field can have; side: -1 below all of them, 1 above, 0 between
 * two. */
static AmpsfLiteral
impossible(const AmpsfOperator *op, int side)
{
	if (is_range(op))
		return (op->soql[0] == '<') == (side > 0) ? AMPSF_LITERAL_ALL : AMPSF_LITERAL_NONE;
	return ampsf_is_negated(op) ? AMPSF_LITERAL_ALL : AMPSF_LITERAL_NONE;
}

/* Appends what one of the two-pass quoting functions makes of a text. */
static void
append_quoted(StringInfo out, size_t (*quote)(const char *, size_t, char *), const char *s,
			  size_t len)
{
	size_t need = quote(s, len, NULL);

	enlargeStringInfo(out, need);
	out->len += quote(s, len, out->data + out->len);
	out->data[out->len] = '\0';
}

/* In the server's encoding: the statement as a whole becomes UTF-8 when it is sent. */
static AmpsfLiteral
print_text(StringInfo out, const AmpsfOperator *op, Datum value)
{
	char *s = TextDatumGetCString(value);
	size_t len = strlen(s);

	/* Salesforce keeps no empty text. */
	if (len == 0)
		return impossible(op, 0);
	/* No field that can be filtered is longer than a literal can be. */
	if (pg_mbstrlen(s) > AMPSF_MAX_LITERAL)
		return impossible(op, 0);
	append_quoted(out, ampsf_quote_soql, s, len);
	return AMPSF_LITERAL_OK;
}

/*
 * May another letter become this one, by a change of case that Salesforce does not know?  The
 * Kelvin sign is a k in lower case, Turkish has its own i; ligatures fall into their letters in
 * upper case.
 */
static bool
is_risky(AmpsfOperatorForm form, unsigned char c)
{
	static const char *const upper = "afhijlnstwyAFHIJLNSTWY";

	switch (form)
	{
		case AMPSF_FORM_ILIKE:
		case AMPSF_FORM_LOWER:
			return c >= 0x80 || strchr("iIkK", c);
		case AMPSF_FORM_UPPER:
			return c >= 0x80 || strchr(upper, c) || strchr("iIkK", c);
		default:
			return false;
	}
}

static void
add_wildcard(StringInfo pattern)
{
	if (pattern->len == 0 || pattern->data[pattern->len - 1] != '%' ||
		(pattern->len > 1 && pattern->data[pattern->len - 2] == '\\'))
		appendStringInfoChar(pattern, '%');
}

static void
add_literally(StringInfo pattern, AmpsfOperatorForm form, char c)
{
	if (is_risky(form, (unsigned char) c))
		add_wildcard(pattern);
	else
	{
		if (c == '%' || c == '_' || c == '\\')
			appendStringInfoChar(pattern, '\\');
		appendStringInfoChar(pattern, c);
	}
}

/*
 * A LIKE pattern that lets through at least what SQL's does.  _ becomes %: PostgreSQL counts
 * characters, Salesforce may count UTF-16 units.
 */
static AmpsfLiteral
print_pattern(StringInfo out, const AmpsfOperator *op, Datum value)
{
	char *s = TextDatumGetCString(value);
	StringInfoData pattern;
	bool literally = op->form == AMPSF_FORM_PREFIX || op->sql[0] == '=';

	initStringInfo(&pattern);
	for (const char *p = s; *p; p++)
	{
		if (literally)
			add_literally(&pattern, op->form, *p);
		else if (*p == '\\')
		{
			if (p[1] == '\0') /* PostgreSQL's own error, when it evaluates the clause */
				return AMPSF_LITERAL_CANNOT;
			add_literally(&pattern, op->form, *++p);
		}
		else if (*p == '_' || *p == '%')
			add_wildcard(&pattern);
		else
			add_literally(&pattern, op->form, *p);
	}
	if (op->form == AMPSF_FORM_PREFIX)
		add_wildcard(&pattern);
	if (pattern.len == 0)
		return AMPSF_LITERAL_NONE;
	if (strcmp(pattern.data, "%") == 0)
		return AMPSF_LITERAL_ALL;
	if (pattern.len > AMPSF_MAX_LITERAL)
		return AMPSF_LITERAL_CANNOT;
	append_quoted(out, ampsf_quote_soql_like, pattern.data, pattern.len);
	return AMPSF_LITERAL_OK;
}

static int
compare_elements(const ListCell *a, const ListCell *b)
{
	return strcmp(lfirst(a), lfirst(b));
}

/*
 * The values of a multi-select list that a row must have, all of them or any: INCLUDES wants 'a;b'
 * or 'a', 'b'.  No row has an empty value, or one with a semicolon.
 */
static AmpsfLiteral
print_values(StringInfo out, List *values, bool all)
{
	List *wanted = NIL;
	const char *last = NULL;
	StringInfoData text;
	ListCell *lc;

	foreach (lc, values)
	{
		char *s = lfirst(lc);

		if (s && *s && !strchr(s, ';'))
			wanted = lappend(wanted, s);
		else if (all)
			return AMPSF_LITERAL_NONE;
	}
	if (wanted == NIL)
		return all ? AMPSF_LITERAL_ALL : AMPSF_LITERAL_NONE;
	list_sort(wanted, compare_elements);
	initStringInfo(&text);
	foreach (lc, wanted)
	{
		const char *s = lfirst(lc);

		if (last && strcmp(last, s) == 0)
			continue;
		if (all)
			appendStringInfo(&text, "%s%s", last ? ";" : "", s);
		else
		{
			appendStringInfoString(&text, last ? ", " : "");
			append_quoted(&text, ampsf_quote_soql, s, strlen(s));
		}
		last = s;
	}
	if (text.len > AMPSF_MAX_LITERAL)
		return AMPSF_LITERAL_CANNOT;
	if (all)
		append_quoted(out, ampsf_quote_soql, text.data, text.len);
	else
		appendBinaryStringInfo(out, text.data, text.len);
	return AMPSF_LITERAL_OK;
}

/* A multi-select list as one text: its values, in whatever order. */
static AmpsfLiteral
print_multi_text(StringInfo out, Datum value)
{
	char *s = TextDatumGetCString(value);
	List *values = NIL;

	for (char *save, *v = strtok_r(s, ";", &save); v; v = strtok_r(NULL, ";", &save))
		values = lappend(values, v);
	return values ? print_values(out, values, true) : AMPSF_LITERAL_NONE;
}

static AmpsfLiteral
print_multi(StringInfo out, const AmpsfOperator *op, Datum value)
{
	List *values = NIL;
	ArrayType *array;
	Datum *elements;
	bool *nulls;
	int n;

	if (op->form == AMPSF_FORM_MEMBER)
		return print_values(out, list_make1(TextDatumGetCString(value)), true);
	array = DatumGetArrayTypeP(value);
	deconstruct_array(array, ARR_ELEMTYPE(array), -1, false, TYPALIGN_INT, &elements, &nulls, &n);
	/* No list is empty here: it is null. */
	if (n == 0 && op->sql[0] == '=')
		return AMPSF_LITERAL_NONE;
	for (int i = 0; i < n; i++)
		values = lappend(values, nulls[i] ? NULL : TextDatumGetCString(elements[i]));
	return print_values(out, values, op->form == AMPSF_FORM_CONTAINS);
}

static AmpsfLiteral
print_id(StringInfo out, const AmpsfOperator *op, Oid typid, Datum value)
{
	char *s = TextDatumGetCString(value);
	size_t len = strlen(s);

	if (typid == BPCHAROID)
		while (len > 0 && s[len - 1] == ' ')
			len--;
	/*
	 * What is not spelled as Salesforce spells it equals no Id as SQL sees it, though Salesforce
	 * would take 15 characters for the same row.
	 */
	if (!ampsf_sfid_is_canonical(s, len))
		return impossible(op, 0);
	appendStringInfo(out, "'%.*s'", (int) len, s);
	return AMPSF_LITERAL_OK;
}

/* The number's plain text (no exponent), palloc'ed; NaN and the infinities as numeric_out prints
 * them. */
static char *
number_text(Oid typid, Datum value)
{
	Datum num;

	switch (typid)
	{
		case INT2OID:
			return psprintf("%d", DatumGetInt16(value));
		case INT4OID:
			return psprintf("%d", DatumGetInt32(value));
		case INT8OID:
			return psprintf(INT64_FORMAT, DatumGetInt64(value));
		case FLOAT4OID:
		case FLOAT8OID:
		{
			/* The shortest text that reads back as the same double, then without its exponent. */
			double d = typid == FLOAT4OID ? (double) DatumGetFloat4(value) : DatumGetFloat8(value);
			char text[DOUBLE_SHORTEST_DECIMAL_LEN];

			if (isnan(d))
				return pstrdup("NaN");
			if (isinf(d))
				return pstrdup(d > 0 ? "Infinity" : "-Infinity");
			double_to_shortest_decimal_buf(d, text);
			num = DirectFunctionCall3(numeric_in, CStringGetDatum(text),
									  ObjectIdGetDatum(InvalidOid), Int32GetDatum(-1));
			return DatumGetCString(DirectFunctionCall1(numeric_out, num));
		}
		default:
			return DatumGetCString(DirectFunctionCall1(numeric_out, value));
	}
}

static int
significant_digits(const char *s)
{
	int n = 0, zeros = 0;
	bool fraction = false;

	for (; *s; s++)
	{
		if (*s == '.')
			fraction = true;
		else if (*s == '0')
			zeros += n > 0;
		else if (*s != '-')
		{
			n += zeros + 1;
			zeros = 0;
		}
	}
	/* Zeros at the end of a whole number may or may not be digits of a double: count them. */
	return fraction ? n : n + zeros;
}

bool
ampsf_is_exact_number(Oid typid, Datum value)
{
	char *text;

	if (typid == FLOAT4OID || typid == FLOAT8OID)
		return false;
	text = number_text(typid, value);
	return strpbrk(text, "NI") != NULL || significant_digits(text) <= 15;
}

/*
 * A whole number of 32 bits, as is all that a field of type int can hold.  Salesforce may take no
 * longer number for one at all.
 */
static AmpsfLiteral
print_whole(StringInfo out, const AmpsfOperator *op, Oid typid, Datum value)
{
	int64 n = typid == INT8OID	 ? DatumGetInt64(value)
			  : typid == INT4OID ? DatumGetInt32(value)
								 : DatumGetInt16(value);

	if (n < PG_INT32_MIN || n > PG_INT32_MAX)
		return impossible(op, n < 0 ? -1 : 1);
	appendStringInfo(out, INT64_FORMAT, n);
	return AMPSF_LITERAL_OK;
}

/* Without a fraction, a number of more than nine digits may be taken for one beyond 32 bits, and
 * refused. */
static AmpsfLiteral
print_number(StringInfo out, const AmpsfOperator *op, Oid typid, Datum value, const char **soql_op)
{
	char *text = number_text(typid, value);

	if (strpbrk(text, "NI")) /* NaN sorts above all numbers */
		return impossible(op, text[0] == '-' ? -1 : 1);
	/* 309 digits and more are beyond every double. */
	if (strcspn(text + (*text == '-'), ".") > 300)
		return impossible(op, text[0] == '-' ? -1 : 1);
	if (is_range(op) && !ampsf_is_exact_number(typid, value))
		*soql_op = op->soql[0] == '<' ? "<=" : ">=";
	appendStringInfoString(out, text);
	if (!strchr(text, '.') && strlen(text) > 9)
		appendStringInfoString(out, ".0");
	return AMPSF_LITERAL_OK;
}

static AmpsfLiteral
print_date(StringInfo out, const AmpsfOperator *op, Datum value)
{
	DateADT days = DatumGetDateADT(value);
	char buf[AMPSF_TIME_BUF];

	if (days < AMPSF_DATE_MIN || days > AMPSF_DATE_MAX)
		return impossible(op, days < AMPSF_DATE_MIN ? -1 : 1);
	ampsf_print_date(days, buf);
	appendStringInfoString(out, buf);
	return AMPSF_LITERAL_OK;
}

static AmpsfLiteral
print_datetime(StringInfo out, const AmpsfOperator *op, Oid typid, Datum value,
			   const char **soql_op)
{
	int64 usecs;
	int64 rest;
	char buf[AMPSF_TIME_BUF];

	if (typid == DATEOID)
	{
		int overflow;

		usecs = date2timestamptz_opt_overflow(DatumGetDateADT(value), &overflow);
		if (overflow != 0)
			return impossible(op, overflow);
	}
	else
		usecs = DatumGetTimestampTz(value);
	if (usecs < AMPSF_DATETIME_MIN || usecs > AMPSF_DATETIME_MAX)
		return impossible(op, usecs < AMPSF_DATETIME_MIN ? -1 : 1);
	rest = usecs % USECS_PER_SEC;
	if (rest != 0)
	{
		/* Between two seconds: no field equals it; what is below it is at or below the second
		 * before. */
		if (!is_range(op))
			return impossible(op, 0);
		usecs -= rest < 0 ? rest + USECS_PER_SEC : rest;
		*soql_op = op->soql[0] == '<' ? "<=" : ">";
	}
	ampsf_print_datetime(usecs, buf);
	appendStringInfoString(out, buf);
	return AMPSF_LITERAL_OK;
}

AmpsfLiteral
ampsf_print_literal(StringInfo out, const AmpsfOperator *op, Oid typid, Datum value,
					const char **soql_op)
{
	*soql_op = op->soql;
	switch (op->fclass)
	{
		case AMPSF_CLASS_TEXT:
		case AMPSF_CLASS_TEXT_CS:
			return strcmp(op->soql, "LIKE") == 0 ? print_pattern(out, op, value)
												 : print_text(out, op, value);
		case AMPSF_CLASS_MULTI:
			return print_multi(out, op, value);
		case AMPSF_CLASS_MULTI_TEXT:
			return print_multi_text(out, value);
		case AMPSF_CLASS_ID:
			return print_id(out, op, typid, value);
		case AMPSF_CLASS_BOOLEAN:
			appendStringInfoString(out, DatumGetBool(value) ? "TRUE" : "FALSE");
			return AMPSF_LITERAL_OK;
		case AMPSF_CLASS_NUMBER:
			return print_number(out, op, typid, value, soql_op);
		case AMPSF_CLASS_WHOLE:
			return print_whole(out, op, typid, value);
		case AMPSF_CLASS_DATE:
			return print_date(out, op, value);
		case AMPSF_CLASS_DATETIME:
			return print_datetime(out, op, typid, value, soql_op);
		default:
			elog(ERROR, "no literal for field class %d", (int) op->fclass);
	}
	return AMPSF_LITERAL_CANNOT; /* not reached */
}
