/*
 * rules_reference.c - what a row may say about other rows: lookups, parents by external id,
 * uniqueness.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "locks.h"
#include "store_internal.h"

static const char *
label_of(const Field *f)
{
	json_object *fields = NULL;
	json_object *label = NULL;

	json_object_object_get_ex(f->object->describe, "fields", &fields);
	json_object_object_get_ex(json_object_array_get_idx(fields, f->index), "label", &label);
	return json_object_get_string(label);
}

static bool
refers_to(const Field *f, const char *object)
{
	int i;

	for (i = 0; i < f->n_reference_to; i++)
		if (strcmp(f->reference_to[i], object) == 0)
			return true;
	return false;
}

/* A lookup whose targets are all objects that this org does not keep (a Profile) cannot be checked.
 */
static bool
knows_targets(const Field *f)
{
	int i;

	for (i = 0; i < f->n_reference_to; i++)
		if (schema_find(f->reference_to[i], strlen(f->reference_to[i])))
			return true;
	return false;
}

bool
rules_reference(const Field *f, const Value *v, StoreError *e)
{
	Object *target;

	if (v->kind != V_TEXT)
		return true;
	target = schema_by_prefix(v->s);
	if (target && !refers_to(f, target->name))
	{
		store_error_set(e, 400, "FIELD_INTEGRITY_EXCEPTION", "%s: id value of incorrect type: %s",
						label_of(f), v->s);
		store_error_field(e, f->name);
		return false;
	}
	if (!target && !knows_targets(f))
		return true;
	switch (target ? store_row_state(target, v->s) : 0)
	{
		case 1:
			return true;
		case 2:
			store_error_set(e, 400, "ENTITY_IS_DELETED", "entity is deleted");
			return false;
		default:
			/* the master record type has an Id but no row */
			if (strcmp(v->s, "012000000000000AAA") == 0)
				return true;
			store_error_set(e, 400, "INVALID_CROSS_REFERENCE_KEY", "invalid cross reference id");
			return false;
	}
}

/* Live rows, other than this one, that hold the value; the first one's Id in other. */
static bool
value_taken(const Row *r, const Field *f, char other[SF_ID_LEN + 1])
{
	const char *id = row_text(r, "Id");
	const Value *v = &r->v[f->index];
	char number[64];
	char *ids;
	int n;
	int i;
	bool taken = false;

	if (v->kind == V_REAL || v->kind == V_INT)
		snprintf(number, sizeof(number), "%.17g", v->kind == V_REAL ? v->d : (double) v->i);
	n = store_find(r->o, f, v->kind == V_TEXT ? v->s : number, &ids);
	for (i = 0; i < n && !taken; i++)
	{
		const char *found = ids + i * (SF_ID_LEN + 1);

		if (id && strcmp(id, found) == 0)
			continue;
		taken = true;
		memcpy(other, found, SF_ID_LEN + 1);
	}
	free(ids);
	return taken;
}

bool
rules_unique(const Row *r, const Row *old, StoreError *e)
{
	char other[SF_ID_LEN + 1];
	int i;

	for (i = 0; i < r->o->n_fields; i++)
	{
		const Field *f = &r->o->fields[i];

		if (!f->unique || r->v[i].kind == V_NULL)
			continue;
		if (old && value_same(&r->v[i], &old->v[i]))
			continue;
		if (!value_taken(r, f, other))
			continue;
		if (strcmp(f->name, "Username") == 0)
			store_error_set(e, 400, "DUPLICATE_USERNAME",
							"Duplicate Username.<br>The username already exists in this or another "
							"Salesforce organization. Usernames must be unique across all "
							"Salesforce organizations. To resolve, use a different username (it "
							"doesn't need to match the user's email address). ");
		else
			store_error_set(e, 400, "DUPLICATE_VALUE",
							"duplicate value found: %s duplicates value on record with id: %.15s",
							f->name, other);
		if (strcmp(f->name, "Username") == 0)
			store_error_field(e, f->name);
		return false;
	}
	return true;
}

static bool
refuse_foreign(StoreError *e, const char *key)
{
	store_error_set(e, 400, "INVALID_FIELD",
					"The external foreign key reference does not reference a valid entity: %s",
					key);
	return false;
}

/* Which object the parent is: the only one, or the one its attributes name. */
static Object *
foreign_object(const Field *f, json_object *json)
{
	json_object *attributes;
	json_object *type;
	const char *name = f->n_reference_to == 1 ? f->reference_to[0] : NULL;

	if (json_object_object_get_ex(json, "attributes", &attributes) &&
		json_object_object_get_ex(attributes, "type", &type))
		name = json_object_get_string(type);
	if (!name || !refers_to(f, name))
		return NULL;
	return schema_find(name, strlen(name));
}

bool
rules_by_external_id(const Field *f, json_object *json, Value *out, StoreError *e)
{
	Object *target = foreign_object(f, json);
	const Field *key = NULL;
	const char *name = NULL;
	json_object *given = NULL;
	const char *text;
	char *ids;
	int n;

	json_object_object_foreach(json, k, v)
	{
		if (strcmp(k, "attributes") == 0)
			continue;
		if (name)
			return refuse_foreign(e, k);
		name = k;
		given = v;
	}
	if (!name || !target)
		return refuse_foreign(e, name ? name : f->relationship);
	key = schema_seen_field(target, name, strlen(name));
	if (!key || !(key->external_id || key->id_lookup))
		return refuse_foreign(e, name);
	text = given ? json_object_get_string(given) : NULL;
	n = text && *text ? store_find(target, key, text, &ids) : 0;
	if (n == 1)
	{
		value_clear(out);
		out->kind = V_TEXT;
		out->s = strdup(ids);
	}
	else if (n == 0)
		store_error_set(e, 400, "INVALID_FIELD",
						"Foreign key external ID: %s not found for field %s in entity %s",
						text ? text : "", key->name, target->name);
	else
		store_error_set(e, 400, "INVALID_FIELD",
						"More than one record found for external id field: [%.18s, %.18s]", ids,
						ids + SF_ID_LEN + 1);
	if (n > 0)
		free(ids);
	return n == 1;
}

void
rules_lock_error(StoreError *e, const char *id)
{
	store_error_set(e, 400, "UNABLE_TO_LOCK_ROW",
					"unable to obtain exclusive access to this record or 1 records: %s", id);
}

/* A write takes its parents too, where it names them or hangs on them; but neither users nor types.
 */
static bool
takes_parent(const Row *r, const Row *old, const Field *f)
{
	const Value *v = &r->v[f->index];

	if (f->type != FT_REFERENCE || v->kind != V_TEXT || strncmp(v->s, "005", 3) == 0 ||
		strncmp(v->s, "012", 3) == 0)
		return false;
	return f->cascade_delete ||
		   (r->given[f->index] && (old == NULL || !value_same(v, &old->v[f->index])));
}

static bool
take_all(const Row *r, const Row *old, StoreError *e)
{
	const char *id = row_text(r, "Id");

	if (id != NULL && !locks_take(id))
	{
		rules_lock_error(e, id);
		return false;
	}
	for (int i = 0; i < r->o->n_fields; i++)
		if (takes_parent(r, old, &r->o->fields[i]) && !locks_take(r->v[i].s))
		{
			rules_lock_error(e, r->v[i].s);
			return false;
		}
	return true;
}

bool
rules_locks(const Row *r, const Row *old, StoreError *e)
{
	return r != NULL ? take_all(r, old, e) : take_all(old, old, e);
}

bool
rules_target(const Object *o, const char *id, char out[SF_ID_LEN + 1], StoreError *e)
{
	if (!store_canonical_id(id, strlen(id), out) ||
		(o->key_prefix && strncmp(out, o->key_prefix, 3) != 0))
	{
		store_error_set(e, 400, "MALFORMED_ID", "%s ID: id value of incorrect type: %s", o->label,
						id);
		store_error_field(e, "Id");
		return false;
	}
	switch (store_row_state(o, out))
	{
		case 1:
			return true;
		case 2:
			store_error_set(e, 404, "ENTITY_IS_DELETED", "entity is deleted");
			return false;
		default:
			store_error_set(e, 404, "NOT_FOUND", "The requested resource does not exist");
			return false;
	}
}
