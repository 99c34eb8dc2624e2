/*
 * rules_org.h - what an administrator has set up in the org: rules about duplicates, and rules that
 * give new leads and cases to somebody.
 *
 * A new org has none.  A rule is a line, as --rule and /__sandbox/rules take it:
 *
 *   duplicate OBJECT FIELD[,FIELD...] block|alert|report
 *   assign OBJECT USERNAME [inactive]
 *
 * The caller holds store_lock().  Must not know: HTTP, SOQL.
 */
#ifndef SANDBOX_RULES_ORG_H
#define SANDBOX_RULES_ORG_H

#include "store_internal.h"

#define MAX_RULES 32

/* What the headers of a request say about the rows that it writes. */
typedef struct WriteHeaders
{
	bool allow_save; /* duplicates that are only warned of */
	bool details;	 /* of the rows that are there already */
	bool no_assignment;
	const char *assignment; /* Id of a rule; NULL: the active one */
} WriteHeaders;

/* They go for all writes until the next call; borrowed texts must last as long. */
void rules_headers(const WriteHeaders *h);
bool rules_details(void);

/* False if the line is no rule; the text is copied. */
bool rules_add(const char *line);
void rules_clear(void);
void rules_list(Buf *out);

/* The owner as the rule says; false with *e filled if the rule that was asked for is none. */
bool rules_assign(Row *r, const Row *old, StoreError *e);
/* True if there is an assignment rule of that Id for the object. */
bool rules_is_assignment(const Object *o, const char *id);
/* False with DUPLICATES_DETECTED if the row is there already and a rule minds. */
bool rules_duplicates(const Row *r, const Row *old, StoreError *e);
/* Of such an error: the rule's name, whether a client may insist, and its matching rule's name. */
void rules_duplicate_of(const StoreError *e, char name[120], bool *allow_save, char match[120]);

#endif
