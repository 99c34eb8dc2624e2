/*
 * event_filter.h - expressions over named values: the filter of a channel member, and the WHERE of
 * a query by the Tooling API.
 *
 * The subset of SOQL that Salesforce documents for filter expressions: = != < <= > >= LIKE IN NOT
 * IN, AND, OR, NOT and parentheses.  Must not know: events, HTTP.
 */
#ifndef SANDBOX_EVENT_FILTER_H
#define SANDBOX_EVENT_FILTER_H

#include <stdbool.h>

typedef enum FilterType
{
	FILTER_TEXT,
	FILTER_EXACT, /* text that is compared with regard to case */
	FILTER_NUMBER,
	FILTER_BOOLEAN,
	FILTER_DATE,
	FILTER_DATETIME,
	FILTER_TIME
} FilterType;

typedef struct FilterValue
{
	bool null;
	const char *text; /* of the types that are no number; lives until the next value is asked for */
	double number;	  /* boolean: 0 or 1 */
} FilterValue;

typedef struct Filter Filter;

/* The type of a name; false with a reason (malloc'ed) if there is none that may be used here. */
typedef bool (*FilterField)(void *arg, const char *name, FilterType *type, char **why);
typedef FilterValue (*FilterLookup)(void *arg, const char *name);

/*
 * NULL with *why (malloc'ed) if it is no expression; an empty text is NULL, too, without a reason.
 * The filter of a channel has no escapes of _, % and \; a query has.
 */
Filter *filter_parse(const char *text, bool query, FilterField field, void *arg, char **why);
bool filter_match(const Filter *f, FilterLookup lookup, void *arg);
void filter_free(Filter *f);
/* Calls seen() for each name in it. */
void filter_names(const Filter *f, void (*seen)(void *arg, const char *name), void *arg);

#endif
