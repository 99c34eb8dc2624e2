/*
 * describe.h - what the org says about its objects, cached for the session.
 *
 * Labels, help texts and pick list values are UTF-8 as received: a database in another encoding may
 * be unable to keep them, and only who shows them needs to care.  API names are ASCII.
 */
#ifndef AMPSF_DESCRIBE_H
#define AMPSF_DESCRIBE_H

#include "postgres.h"
#include "nodes/pg_list.h"
#include "net/session.h"

typedef struct AmpsfPicklistValue
{
	char *value, *label;
	bool active;
} AmpsfPicklistValue;

typedef struct AmpsfField
{
	char *name, *label, *type, *help;
	char *compound;		/* compoundFieldName, or NULL */
	char *relationship; /* relationshipName, or NULL */
	List *reference_to; /* of char * */
	int length, precision, scale, digits;
	bool nillable, createable, updateable, filterable, sortable, groupable, aggregatable,
		case_sensitive, calculated, auto_number, external_id, unique, id_lookup, name_field, html,
		restricted_picklist, defaulted_on_create, encrypted, custom;
	List *picklist; /* of AmpsfPicklistValue * */
} AmpsfField;

typedef struct AmpsfObject
{
	char *name, *label, *label_plural, *key_prefix;
	bool queryable, createable, updateable, deletable, custom, deprecated;
	List *fields; /* of AmpsfField *, without hidden ones; NIL when it comes from the global list */
} AmpsfObject;

/*
 * Every object of the org (no fields): one call.  Owned by the session's cache, as are all below.
 */
extern List *ampsf_describe_global(AmpsfSession *session);
/*
 * Objects with their fields, 25 to a call by composite/batch; those already cached cost nothing. In
 * the order asked, with NULL in the place of one that the org refuses to describe (not found, no
 * access).
 */
extern List *ampsf_describe_objects(AmpsfSession *session, List *names);
/* NULL if there is no such field; without case. */
extern AmpsfField *ampsf_describe_field(const AmpsfObject *object, const char *name);
/*
 * Drops all that is cached, so that what comes next is fresh.  Pointers from above die: only for
 * one who holds none.
 */
extern void ampsf_describe_forget(AmpsfSession *session);

/* How many describes go into one call. */
#define AMPSF_DESCRIBE_BATCH 25

#endif
