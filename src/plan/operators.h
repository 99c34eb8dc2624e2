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
	AMPSF_FORM_BINARY,	 /* field op value */
	AMPSF_FORM_ANY,		 /* field = ANY (array), field IN (...) */
	AMPSF_FORM_ALL,		 /* field <> ALL (array), field NOT IN (...) */
	AMPSF_FORM_LIKE
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

extern AmpsfFieldClass ampsf_field_class(const AmpsfColumn *col);
/* Why nothing, or not this, is pushed for such a field. */
extern const char *ampsf_no_operator_reason(AmpsfFieldClass fclass);
/* Can a value of that type be printed as a literal for such a field? */
extern bool ampsf_literal_type_ok(AmpsfFieldClass fclass, Oid typid);

/* What became of a value that is to be compared. */
typedef enum AmpsfLiteral
{
	AMPSF_LITERAL_OK,	  /* printed */
	AMPSF_LITERAL_NONE,	  /* the field never compares so: no row passes */
	AMPSF_LITERAL_ALL,	  /* every row passes whose field is not null */
	AMPSF_LITERAL_CANNOT /* SOQL has no literal for it: leave the condition out */
} AmpsfLiteral;

/*
 * Prints a value as a SOQL literal for a comparison with op.  The operator that must stand before it
 * may differ (a fraction of a second is rounded away, and < becomes <=): *soql_op.
 */
extern AmpsfLiteral ampsf_print_literal(StringInfo out, const AmpsfOperator *op, Oid typid, Datum value,
										const char **soql_op);
/* Has the number so few digits that Salesforce, which computes in doubles, compares it exactly? */
extern bool ampsf_is_exact_number(Oid typid, Datum value);

#endif
