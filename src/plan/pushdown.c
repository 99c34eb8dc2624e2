/*
 * pushdown.c - ampsf.pushdown(): the table of operators as rows, from which docs/pushdown.md is
 * made.
 */
#include "base/ampsf.h"
#include "plan/operators.h"

#include "fmgr.h"
#include "funcapi.h"
#include "utils/builtins.h"

PG_FUNCTION_INFO_V1(ampsf_sql_pushdown);

static const char *
sql_form(const AmpsfOperator *op)
{
	const char *shown = strcmp(op->sql, "~~") == 0 ? "LIKE" : op->sql;

	switch (op->form)
	{
		case AMPSF_FORM_DISTINCT:
			return "IS DISTINCT FROM";
		case AMPSF_FORM_NOT_DISTINCT:
			return "IS NOT DISTINCT FROM";
		case AMPSF_FORM_ILIKE:
			return "ILIKE";
		case AMPSF_FORM_PREFIX:
			return "starts_with, ^@";
		case AMPSF_FORM_LOWER:
			return psprintf("lower(f) %s", shown);
		case AMPSF_FORM_UPPER:
			return psprintf("upper(f) %s", shown);
		case AMPSF_FORM_MEMBER:
			return "x = ANY (f)";
		case AMPSF_FORM_CONTAINS:
		case AMPSF_FORM_OVERLAPS:
			break;
		case AMPSF_FORM_ANY:
			return "IN, = ANY";
		case AMPSF_FORM_ALL:
			return "NOT IN, <> ALL";
		case AMPSF_FORM_LIKE:
			return "LIKE";
		case AMPSF_FORM_BINARY:
			break;
	}
	return op->sql;
}

static char *
soql_form(const AmpsfOperator *op)
{
	const char *text = "f %s %s";
	const char *value = "x";

	if (op->form == AMPSF_FORM_DISTINCT && op->fclass != AMPSF_CLASS_BOOLEAN)
		text = "(f %s %s OR f = null)";
	else if (op->not_null)
		text = "f %s %s AND f != null";
	if (op->form == AMPSF_FORM_ANY || op->form == AMPSF_FORM_ALL)
		value = "(...)";
	else if (op->form == AMPSF_FORM_OVERLAPS)
		value = "('a', 'b')";
	else if (op->form == AMPSF_FORM_MEMBER)
		value = "('a')";
	else if (ampsf_is_includes(op))
		value = "('a;b')";
	return psprintf(text, op->soql, value);
}

static void
put(ReturnSetInfo *rsinfo, const char *field, const char *sql, const char *push, const char *soql,
	const char *note)
{
	Datum values[5];
	bool nulls[5] = {false};

	values[0] = CStringGetTextDatum(field);
	values[1] = CStringGetTextDatum(sql);
	values[2] = CStringGetTextDatum(push);
	values[3] = CStringGetTextDatum(soql);
	nulls[4] = note == NULL;
	values[4] = note ? CStringGetTextDatum(note) : (Datum) 0;
	tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
}

Datum
ampsf_sql_pushdown(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;

	InitMaterializedSRF(fcinfo, 0);
	for (int i = 0; i < ampsf_n_operators; i++)
	{
		const AmpsfOperator *op = &ampsf_operators[i];

		put(rsinfo, ampsf_field_class_name(op->fclass), sql_form(op),
			ampsf_push_class_name(op->push), soql_form(op), op->note);
	}
	for (int i = 0; i < ampsf_n_time_functions; i++)
	{
		const AmpsfTimeFunction *fn = &ampsf_time_functions[i];

		if (fn->sql)
			put(rsinfo, ampsf_field_class_name(fn->fclass),
				psprintf("%s = <> < <= > >= IN, NOT IN", fn->sql),
				ampsf_push_class_name(AMPSF_EXACT), "f >= x AND f < y",
				"the bounds are PostgreSQL's, in its time zone");
	}
	put(rsinfo, "boolean", "f, NOT f, IS [NOT] TRUE, IS [NOT] FALSE",
		ampsf_push_class_name(AMPSF_EXACT), "f = TRUE, f = FALSE",
		"Salesforce's booleans are never null");
	put(rsinfo, "any filterable field but boolean", "IS [NOT] NULL",
		ampsf_push_class_name(AMPSF_EXACT), "f = null, f != null", NULL);
	put(rsinfo, "boolean", "IS [NOT] NULL", ampsf_push_class_name(AMPSF_EXACT),
		"no statement, no condition", "Salesforce's booleans are never null");
	put(rsinfo, "conditions", "AND", "as its weakest part", "a AND b",
		"a local part is left out, and checked");
	put(rsinfo, "conditions", "OR", "as its weakest part", "(a OR b)", "local if one part is");
	return (Datum) 0;
}
