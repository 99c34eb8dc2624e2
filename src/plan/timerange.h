/*
 * timerange.h - which values of a date or time field satisfy a comparison of what is computed of
 * it.
 */
#ifndef AMPSF_TIMERANGE_H
#define AMPSF_TIMERANGE_H

#include "plan/operators.h"

/* A comparison: op(mapping of the field, value), or with the elements of value. */
typedef struct AmpsfTimeTest
{
	Expr *mapping;			/* a CaseTestExpr stands for the field */
	AmpsfOperatorForm form; /* BINARY, ANY or ALL */
	Oid opno;				/* one of PostgreSQL's six comparisons */
	Oid typid;				/* of value: an array's with ANY and ALL */
	Datum value;			/* not null */
} AmpsfTimeTest;

/* How many values a list may have for its ranges to be exact. */
#define AMPSF_MAX_EXACT_LIST 40

/*
 * Appends the condition on the field.  Exact, whatever the clocks of the time zones do, but for
 * longer lists; evaluated in the session's TimeZone.
 */
extern AmpsfLiteral ampsf_print_time_ranges(StringInfo out, const char *field,
											const AmpsfTimeTest *test);

#endif
