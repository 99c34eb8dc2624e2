/*
 * operators.h - the one table of what can be pushed: classification, printing and the documentation
 * are made from it.
 */
#ifndef AMPSF_OPERATORS_H
#define AMPSF_OPERATORS_H

#include "plan/plan_private.h"
#include "base/options.h"

typedef enum AmpsfOperatorForm
{
	AMPSF_FORM_BINARY,		 /* field op value */
	AMPSF_FORM_ANY,			 /* field = ANY (array), field IN (...) */
	AMPSF_FORM_ALL,			 /* field <> ALL (array), field NOT IN (...) */
	AMPSF_FORM_DISTINCT,	 /* field IS DISTINCT FROM value; under the name <> */
	AMPSF_FORM_NOT_DISTINCT, /* field IS NOT DISTINCT FROM value; under the name = */
	AMPSF_FORM_LIKE,
	AMPSF_FORM_ILIKE,
	AMPSF_FORM_PREFIX,	 /* field ^@ value, starts_with(field, value) */
	AMPSF_FORM_LOWER,	 /* lower(field) = value, or LIKE value */
	AMPSF_FORM_UPPER,	 /* upper(field) = value, or LIKE value */
	AMPSF_FORM_CONTAINS, /* field, an array, has all elements of the value, which is one too */
	AMPSF_FORM_OVERLAPS, /* the two have an element in common */
	AMPSF_FORM_MEMBER	 /* value = ANY (field) */
} AmpsfOperatorForm;

typedef struct AmpsfOperator
{
	const char *sql; /* the operator's name in pg_catalog */
	AmpsfOperatorForm form;
	AmpsfFieldClass fclass;
	AmpsfPushClass push; /* at best: a number that is no exact double is only SUPERSET */
	const char *soql;
	bool not_null; /* SOQL's answer has null rows that SQL's has not: add AND field != null */
	const char *note;
} AmpsfOperator;

extern const AmpsfOperator ampsf_operators[];
extern const int ampsf_n_operators;

/* Index into ampsf_operators, or -1. */
extern int ampsf_find_operator(const char *sql, AmpsfOperatorForm form, AmpsfFieldClass fclass);

/*
 * A function of a date or a time that never falls while its argument rises, but for changes of a
 * time zone's clocks: where its value is compared, so is the field with bounds that are found at
 * execution.
 */
typedef struct AmpsfTimeFunction
{
	Oid funcid;
	AmpsfFieldClass fclass; /* AMPSF_CLASS_NONE: of the result of another of them only */
	const char *sql;		/* as documented, or NULL */
	int arg;				/* which argument comes of the field; the others are constants: */
	int unit, zone;	 /* what date_trunc or extract takes; a time zone's name; -1: there is none */
	bool wants_days; /* rises with whole days only: a local time may be left out, or come twice */
	bool whole;		 /* takes whole numbers only: not extract's epoch */
} AmpsfTimeFunction;

/* NULL if it is none. */
extern const AmpsfTimeFunction *ampsf_find_time_function(Oid funcid);
extern const AmpsfTimeFunction ampsf_time_functions[];
extern const int ampsf_n_time_functions;
/* Does the function rise with its argument for that unit? */
extern bool ampsf_time_unit_ok(const AmpsfTimeFunction *fn, const char *unit);
/* Is a unit of date_trunc a day, or made of days? */
extern bool ampsf_unit_is_days(const char *unit);

extern AmpsfFieldClass ampsf_field_class(const AmpsfColumn *col);
/* Why nothing, or not this, is pushed for such a field. */
extern const char *ampsf_no_operator_reason(AmpsfFieldClass fclass);
/* Can a value of that type be printed as a literal for such a field? */
extern bool ampsf_literal_type_ok(AmpsfFieldClass fclass, Oid typid);

/* What became of a value that is to be compared. */
typedef enum AmpsfLiteral
{
	AMPSF_LITERAL_OK,	 /* printed */
	AMPSF_LITERAL_NONE,	 /* the field never compares so: no row passes */
	AMPSF_LITERAL_ALL,	 /* every row passes whose field is not null */
	AMPSF_LITERAL_CANNOT /* SOQL has no literal for it: leave the condition out */
} AmpsfLiteral;

/*
 * Prints a value as a SOQL literal for a comparison with op.  The operator that must stand before
 * it may differ (a fraction of a second is rounded away, and < becomes <=): *soql_op.
 */
extern AmpsfLiteral ampsf_print_literal(StringInfo out, const AmpsfOperator *op, Oid typid,
										Datum value, const char **soql_op);
/* Does the operator hold for what differs? */
extern bool ampsf_is_negated(const AmpsfOperator *op);
/*
 * The elements of a multi-select list's value as a statement takes them: ('a', 'b'), any of them.
 */
extern bool ampsf_is_includes(const AmpsfOperator *op);
/* Has the number so few digits that Salesforce, which computes in doubles, compares it exactly? */
extern bool ampsf_is_exact_number(Oid typid, Datum value);

#endif
