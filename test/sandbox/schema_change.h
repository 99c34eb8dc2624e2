/*
 * schema_change.h - fields that come, go and change while the program runs.  The caller holds
 * store_lock().
 *
 * Of the objects' memory only: store_schema.c does the same to the tables, and tells one of the
 * other.
 */
#ifndef SANDBOX_SCHEMA_CHANGE_H
#define SANDBOX_SCHEMA_CHANGE_H

#include "schema_internal.h"

/* Each returns what is wrong, or NULL. */
const char *schema_add(Object *o, json_object *raw, Field **out);
const char *schema_remove(Field *f);
const char *schema_rename(Field *f, const char *name);
/* What the patch says of the field in the words of a describe, over what was said before. */
const char *schema_alter(Field *f, json_object *patch);
void schema_hide(Field *f, const char *user_id); /* "": from everybody */
void schema_show(Field *f, const char *user_id);
/* schema_access.c: o and f are NULL where the access is to none. */
void schema_forbid(Access what, const Object *o, const Field *f, const char *user_id);
void schema_allow(Access what, const Object *o, const Field *f, const char *user_id);
void schema_allow_all(void);
void schema_access_changed(int by); /* so many rules more, or less */
/*
 * Every object as it was loaded.  Before a field that was renamed or removed gets its name back,
 * and before one that was added goes, back(f, its first name) or back(f, NULL) is called.
 */
void schema_restore(void (*back)(const Field *f, const char *first_name));

#endif
