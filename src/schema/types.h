/*
 * types.h - a Salesforce field as a PostgreSQL column: type, nullness, and the options that tell
 * the planner what the type alone does not.
 */
#ifndef AMPSF_TYPES_H
#define AMPSF_TYPES_H

#include "postgres.h"
#include "lib/stringinfo.h"
#include "org/describe.h"

/*
 * SQL text of the column's type. multipicklist_array: text[] instead of text for multi-select
 * lists; declared_numeric: numeric(p,s) as the field is declared, instead of numeric.
 */
extern char *ampsf_sql_type(const AmpsfField *field, bool multipicklist_array,
							bool declared_numeric);
/*
 * May the column say NOT NULL?  Only where no row can hold a null: the planner believes it.
 */
extern bool ampsf_never_null(const AmpsfField *field);
/*
 * Appends ", name 'value'" for each column option that departs from what options.c takes for
 * granted; column: the local name.  Nothing is appended if all is as expected.
 */
extern void ampsf_column_options(StringInfo buf, const AmpsfField *field, const char *column,
								 bool multipicklist_array);

#endif
