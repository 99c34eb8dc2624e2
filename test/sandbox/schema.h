/*
 * schema.h - the objects of the org: what their describe says, and how they are kept.
 *
 * Every file in objects/ is one object in the shape of a real describe; see objects/README.md.
 * Loaded once at start; what changes afterwards (schema_change.h) does so under store_lock(), and never moves
 * or frees an Object or a Field that somebody may hold.
 *
 * How rows are kept in SQLite (the contract between store.c and soql_*.c):
 *  - one table per object, named by its API name in double quotes; one column per stored field, named
 *    by its API name in double quotes; rowid is the order of creation.  Every table has "Id" and
 *    "IsDeleted" (also where the describe has no IsDeleted).
 *  - boolean: INTEGER 0 or 1, never NULL.  int: INTEGER.  double, currency, percent: REAL.
 *  - date: TEXT yyyy-mm-dd.  datetime: TEXT yyyy-mm-ddThh:mm:ss.000+0000.  time: TEXT hh:mm:ss.000Z.
 *    Thus text order is time order, and what is stored is what is sent.
 *  - id, reference: TEXT of 18 characters, compared binary.
 *  - all other text: TEXT, never empty ('' is stored as NULL).  Columns of fields that are not
 *    caseSensitive have COLLATE SFCI (Unicode, without case; order: by upper case); the others BINARY.
 *  - multipicklist: TEXT, values in picklist order joined by ';'.
 *  - compounds (address, location) are not stored: stored is false, their components are.
 *    A person's Name is stored (computed on write).  Formulas are SQLite generated columns.
 */
#ifndef SANDBOX_SCHEMA_H
#define SANDBOX_SCHEMA_H

#include <stdbool.h>
#include <time.h>
#include <json-c/json.h>
#include "buf.h"

typedef enum FieldType
{
	FT_ID,
	FT_REFERENCE,
	FT_STRING,
	FT_TEXTAREA,
	FT_PICKLIST,
	FT_MULTIPICKLIST,
	FT_COMBOBOX,
	FT_EMAIL,
	FT_PHONE,
	FT_URL,
	FT_ENCRYPTED,
	FT_BOOLEAN,
	FT_INT,
	FT_LONG,
	FT_DOUBLE,
	FT_CURRENCY,
	FT_PERCENT,
	FT_DATE,
	FT_DATETIME,
	FT_TIME,
	FT_BASE64,
	FT_ADDRESS,
	FT_LOCATION,
	FT_ANYTYPE,
	FT_COMPLEX
} FieldType;

typedef struct PicklistValue
{
	const char *value;
	const char *label;
	bool active;
	bool default_value;
} PicklistValue;

struct Object;

typedef struct Field
{
	const char *name;
	FieldType type;
	const char *type_name;	 /* as in the describe: "string", "reference" ... */
	bool stored;			 /* has a column */
	int length;				 /* characters; 0 where it does not apply */
	int precision, scale, digits;
	bool aggregatable, auto_number, calculated, case_sensitive, cascade_delete, createable, custom,
		defaulted_on_create, external_id, filterable, groupable, html_formatted, id_lookup, name_field,
		name_pointing, nillable, polymorphic, restricted_delete, restricted_picklist, sortable, unique,
		updateable;
	const char *compound;		/* compoundFieldName or NULL */
	const char *relationship;	/* relationshipName or NULL: what a dotted path uses */
	const char **reference_to;	/* API names */
	int n_reference_to;
	PicklistValue *picklist;
	int n_picklist;
	const char *default_value;	/* text form, or NULL */
	const char *mask, *mask_type;	/* of encrypted text, else NULL */
	const char *formula_sql;	/* sandbox only: an SQLite expression over the row's own columns */
	const char *number_format;	/* sandbox only: auto-number, e.g. INV-{00000} */
	struct Object *object;
	int index;					/* in object->fields */
	bool gone;					/* removed: its name is one that nobody asks for */
	char **hidden;				/* Ids of users who do not see it; "": nobody does */
	int n_hidden;
} Field;

typedef struct ChildRelationship
{
	const char *child;			/* API name of the child object */
	const char *field;			/* its lookup field */
	const char *relationship;	/* name in a child subquery, or NULL */
	bool cascade_delete, restricted_delete;
} ChildRelationship;

typedef struct Object
{
	const char *name, *label, *label_plural, *key_prefix;
	bool createable, updateable, deletable, undeletable, queryable, retrieveable, replicateable,
		searchable, custom, mergeable, triggerable;
	Field *fields;
	int n_fields;
	ChildRelationship *children;
	int n_children;
	Field *name_field;			/* or NULL */
	json_object *describe;		/* complete, every attribute, as served; borrowed */
	int index;
} Object;

/* Reads every *.json of the folder; the embedded copy where dir is NULL.  Prints and exits on error. */
void schema_load(const char *dir);

int schema_count(void);
Object *schema_object(int index);			   /* in order of name */
Object *schema_find(const char *name, size_t len); /* case-insensitive; NULL if unknown */
Object *schema_by_prefix(const char *id);	   /* by the first three characters of an Id */
Field *schema_field(const Object *o, const char *name, size_t len); /* case-insensitive; NULL */
/* The same, if the user at hand may see the field. */
Field *schema_seen_field(const Object *o, const char *name, size_t len);
/* The lookup whose relationshipName this is, case-insensitive; NULL if there is none. */
Field *schema_relationship(const Object *o, const char *name, size_t len); /* that may be seen */
/* The child relationship of that name, case-insensitive; NULL if there is none. */
const ChildRelationship *schema_child(const Object *o, const char *name, size_t len);

/* Is the field there, and does the user at hand see it? */
bool schema_seen(const Field *f);
/* Who asks; NULL: the org itself, which sees what is not hidden from everybody. */
void schema_set_viewer(const char *user_id);
const char *schema_viewer(void); /* "": the org itself */

/* What may be taken away from users; schema_access.c. */
typedef enum Access
{
	ACCESS_SETUP, /* View Setup and Configuration */
	ACCESS_READ,  /* an object ... */
	ACCESS_CREATE,
	ACCESS_EDIT,
	ACCESS_DELETE,
	ACCESS_WRITE /* a field */
} Access;

/* Is it left to the user at hand? */
bool schema_may(Access what, const Object *o, const Field *f);
/* May the user at hand write the field, which is to be seen? */
bool schema_may_write(const Field *f, bool insert);
/* A number that changes with every change of the objects, and the time of the last one (0: none). */
unsigned schema_generation(void);
time_t schema_changed_at(void);
/* Is anything kept from some users only? */
bool schema_hides(void);

/* The sObject entry of describeGlobal (urls included), and the whole describe, for that version ("62.0"). */
void schema_describe_global(Buf *out, const char *version);
void schema_describe(Buf *out, const Object *o, const char *version);

#endif
