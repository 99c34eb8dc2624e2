/*
 * schema_internal.h - what the files schema*.c, store*.c and rules*.c share beyond schema.h.
 */
#ifndef SANDBOX_SCHEMA_INTERNAL_H
#define SANDBOX_SCHEMA_INTERNAL_H

#include "schema.h"

/* Fields that may be added to an object while the program runs: they have their places beforehand.
 */
#define SCHEMA_SPARE 32

/* What stays in memory beside an Object. */
typedef struct Loaded
{
	Object object;
	json_object *raw;	   /* the file */
	json_object **sandbox; /* per field */
	char *text;			   /* the describe as JSON, with version marks */
	char *global;		   /* the entry in describeGlobal, likewise */
	/* schema_change.c: the fields as they were loaded, once any has changed */
	Field *first;
	json_object **first_describes;
	int n_first;
} Loaded;

Loaded *schema_loaded(const Object *o);
/* extra: the "sandbox" member of its file, or NULL; d and extra stay alive as long as the field. */
void schema_fill_field(Field *f, json_object *d, json_object *extra);

/* Stands where a served describe has the API version. */
#define SCHEMA_VERSION_MARK "@VERSION@"

/* Pairs of file name and text, ended by NULL: generated from objects/ by embed.sh. */
extern const char *const schema_embedded[];

/* The "sandbox" member of the field in its file, or NULL: borrowed. */
json_object *schema_sandbox(const Field *f);

/* The complete describe of one object out of what its file says; children are added afterwards. */
json_object *schema_complete(json_object *raw, const char *file);
/* The complete describe of one field. */
json_object *schema_complete_field(json_object *raw, const char *object);
bool schema_type(const char *name, FieldType *type);
json_object *schema_child_entry(const char *child, const char *field, const char *relationship,
								bool cascade, bool restricted);

void schema_die(const char *fmt, ...) __attribute__((format(printf, 1, 2), noreturn));

#endif
