/*
 * soql.h - SOQL: from the text of a statement to the JSON of its records.
 *
 * Files: soql_lex.c, soql_parse.c (text -> tree, no schema), soql_check.c (tree against the schema:
 * names, flags, types, restrictions), soql_sql.c (tree -> SQLite), soql_run.c (rows -> JSON).
 * Must not know: HTTP.  Not thread-safe: the caller holds store_lock().
 */
#ifndef SANDBOX_SOQL_H
#define SANDBOX_SOQL_H

#include <stdbool.h>
#include <stdint.h>
#include "buf.h"
#include "schema.h"

typedef struct SoqlError
{
	char code[64];	 /* MALFORMED_QUERY, INVALID_FIELD, INVALID_TYPE ... */
	char *message;	 /* malloc'ed, as Salesforce words it, with the ^ marker where it has one */
} SoqlError;

void soql_error_free(SoqlError *e);

/*
 * How to read what Salesforce's documents leave open or say in two ways.  All zero is the default; a client
 * must give the same answer under each.
 */
typedef struct SoqlReadings
{
	bool null_first_on_desc; /* ORDER BY ... DESC puts nulls first where it does not say */
	bool nulls_not_negated;	 /* !=, NOT IN, EXCLUDES and NOT leave out rows whose field is null */
	bool lookup_nulls_asked; /* NULLS FIRST and LAST work on lookups and parents' fields too */
	bool inner_nulls_poison; /* NOT IN (SELECT ...) matches nothing where the inner field is null somewhere */
	bool groups_exact;		 /* GROUP BY and COUNT_DISTINCT tell texts apart that = does not */
	bool no_fractions;		 /* a datetime literal with a fraction of a second is refused */
	bool int32_literals;	 /* a number without a fraction has 32 bits */
	bool overflow_malformed; /* too many groups: MALFORMED_QUERY, not EXCEEDED_ID_LIMIT */
	int max_parents;		 /* relationships to parents in a statement; 0: SOQL_MAX_PARENTS */
} SoqlReadings;

typedef struct SoqlOptions
{
	bool all_rows;		 /* queryAll: deleted rows too */
	const char *version; /* "62.0": for the URLs in attributes */
	SoqlReadings readings;
} SoqlOptions;

/* What an aggregate query answers whose groups do not fit into one batch. */
#define SOQL_OVERFLOW_CODE(r) ((r).overflow_malformed ? "MALFORMED_QUERY" : "EXCEEDED_ID_LIMIT")
#define SOQL_OVERFLOW_TEXT                                                                         \
	"Aggregate query does not support queryMore(), use LIMIT to restrict the results to a single " \
	"batch"

typedef struct SoqlCursor SoqlCursor;

/*
 * Parses, checks and starts a statement; NULL with *e filled when Salesforce would refuse it.  The cursor
 * holds the whole result's row numbers, so later writes do not move its pages.
 */
SoqlCursor *soql_open(const char *text, size_t len, const SoqlOptions *opt, SoqlError *e);
void soql_close(SoqlCursor *c);

int64_t soql_total(const SoqlCursor *c);	/* rows of the whole result; COUNT() without fields: the count */
bool soql_is_count(const SoqlCursor *c);	/* SELECT COUNT(): no records, only totalSize */
bool soql_is_aggregate(const SoqlCursor *c);/* cannot page */
bool soql_has_offset(const SoqlCursor *c);	/* only the first batch is returned */
const Object *soql_object(const SoqlCursor *c);
int soql_long_text_fields(const SoqlCursor *c); /* selected custom long text fields: two or more make batches <= 200 */
bool soql_has_children(const SoqlCursor *c);

/*
 * Appends records first .. first+count-1 as JSON objects joined by commas (no brackets); returns how many.
 * Fast: this is what a benchmark would otherwise measure.
 */
int64_t soql_render(SoqlCursor *c, int64_t first, int64_t count, Buf *out);

/*
 * Child subqueries of more than batch rows print the first batch only: the whole goes as a cursor of its own
 * to the hook, which owns it from then on and returns the locator to print.  Without a hook they print all.
 */
typedef const char *(*SoqlChildHook)(void *arg, SoqlCursor *child);
void soql_page_children(SoqlCursor *c, int batch, SoqlChildHook hook, void *arg);
/* True if the hook has been called since soql_page_children: what was rendered holds locators. */
bool soql_paged_children(const SoqlCursor *c);

/* One record by Id for GET sobjects/X/id: fields NULL means all.  False if there is no such live row. */
bool soql_render_row(const Object *o, const char *id, const Field **fields, int n_fields,
					 const char *version, Buf *out);

/* The "plans" answer of ?explain=; false with *e filled when the statement is refused. */
bool soql_explain(const char *text, size_t len, const SoqlOptions *opt, Buf *out, SoqlError *e);

#endif
