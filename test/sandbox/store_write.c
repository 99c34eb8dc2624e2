/*
 * store_write.c - insert, update, upsert: from the JSON of a request to a row, through all rules in
 * turn.
 *
 * Must not know: HTTP.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "rules_org.h"
#include "store_internal.h"

static bool
writable(const Field *f, bool insert, WriteMode mode)
{
	if (mode == WRITE_SEED)
		return store_field_written(f);
	return schema_seen(f) && schema_may_write(f, insert);
}

/* The field that a key of the request means, itself or by its relationship's name. */
static const Field *
field_of_key(const Object *o, const char *key, json_object *v, bool *parent)
{
	const Field *f = schema_field(o, key, strlen(key));

	*parent = false;
	if (!f && json_object_is_type(v, json_type_object))
	{
		f = schema_relationship(o, key, strlen(key));
		*parent = f != NULL;
	}
	return f;
}

/* "Id" may be repeated in an update where it is the row's own. */
static bool
check_id_key(const Row *r, json_object *v, bool insert, StoreError *e)
{
	char full[SF_ID_LEN + 1];
	const char *s = json_object_get_string(v);
	const char *own = row_text(r, "Id");

	if (insert)
	{
		store_error_set(e, 400, "INVALID_FIELD_FOR_INSERT_UPDATE",
						"cannot specify Id in an insert call");
		store_error_field(e, "Id");
		return false;
	}
	if (s && own && store_canonical_id(s, strlen(s), full) && strcmp(full, own) == 0)
		return true;
	store_error_set(e, 400, "INVALID_FIELD",
					"The Id field should not be specified in the sobject data.");
	return false;
}

static bool
check_keys(const Row *r, json_object *values, bool insert, WriteMode mode, StoreError *e)
{
	const Field *bad[64];
	int n = 0;
	int i;
	Buf b;

	json_object_object_foreach(values, key, v)
	{
		bool parent;
		const Field *f;

		if (strcmp(key, "attributes") == 0)
			continue;
		f = field_of_key(r->o, key, v, &parent);
		if (!f)
		{
			store_error_set(e, 400, "INVALID_FIELD", "No such column '%s' on sobject of type %s",
							key, r->o->name);
			return false;
		}
		if (f->type == FT_ID && mode == WRITE_USER)
		{
			if (!check_id_key(r, v, insert, e))
				return false;
		}
		else if (!writable(f, insert, mode) && n < 64)
			bad[n++] = f;
	}
	if (n == 0)
		return true;
	buf_init(&b);
	for (i = 0; i < n; i++)
		buf_addf(&b, "%s%s", i ? ", " : "", bad[i]->name);
	store_error_set(
		e, 400, "INVALID_FIELD_FOR_INSERT_UPDATE",
		"Unable to create/update fields: %s. Please check the security settings of this "
		"field and verify that it is read/write for your profile or permission set.",
		b.data);
	for (i = 0; i < n; i++)
		store_error_field(e, bad[i]->name);
	buf_free(&b);
	return false;
}

/* Text that somebody writes has no white space at its ends, and is null if that is all it has. */
static void
trim(Value *v)
{
	const char *white = " \t\n\v\f\r";
	size_t lead, n;

	if (v->kind != V_TEXT)
		return;
	lead = strspn(v->s, white);
	n = strlen(v->s + lead);
	while (n > 0 && strchr(white, v->s[lead + n - 1]))
		n--;
	memmove(v->s, v->s + lead, n);
	v->s[n] = '\0';
	if (n == 0)
		value_clear(v);
}

static bool
apply_values(Row *r, json_object *values, bool insert, WriteMode mode, StoreError *e)
{
	if (!check_keys(r, values, insert, mode, e))
		return false;
	json_object_object_foreach(values, key, v)
	{
		bool parent;
		const Field *f;

		if (strcmp(key, "attributes") == 0)
			continue;
		f = field_of_key(r->o, key, v, &parent);
		if (f->type == FT_ID && mode == WRITE_USER)
			continue;
		if (parent ? !rules_by_external_id(f, v, &r->v[f->index], e)
				   : !rules_value(f, v, &r->v[f->index], e))
			return false;
		if (mode == WRITE_USER && !store_blanks() && f->type != FT_BASE64)
			trim(&r->v[f->index]);
		r->given[f->index] = true;
	}
	return true;
}

/* {00000} in the format is the number with that many digits at least. */
static void
set_auto_number(Row *r, const Field *f, int64_t number)
{
	const char *format = f->number_format ? f->number_format : "{0}";
	const char *open = strchr(format, '{');
	const char *close = open ? strchr(open, '}') : NULL;
	json_object *start = NULL;
	Buf b;

	json_object_object_get_ex(schema_sandbox(f), "numberStart", &start);
	if (start)
		number += json_object_get_int64(start) - 1;
	buf_init(&b);
	if (!close)
		buf_addf(&b, "%s%lld", format, (long long) number);
	else
		buf_addf(&b, "%.*s%0*lld%s", (int) (open - format), format, (int) (close - open - 1),
				 (long long) number, close + 1);
	row_set_text(r, f->name, b.data);
	buf_free(&b);
}

static const char *
default_record_type(const Object *o)
{
	json_object *list = NULL;
	size_t i;

	json_object_object_get_ex(o->describe, "recordTypeInfos", &list);
	for (i = 0; list && i < json_object_array_length(list); i++)
	{
		json_object *v = json_object_array_get_idx(list, i);
		json_object *x;

		if (json_object_object_get_ex(v, "defaultRecordTypeMapping", &x) &&
			json_object_get_boolean(x) && json_object_object_get_ex(v, "master", &x) &&
			!json_object_get_boolean(x) && json_object_object_get_ex(v, "recordTypeId", &x))
			return json_object_get_string(x);
	}
	return NULL;
}

static void
set_default(Row *r, const Field *f)
{
	Value *v = &r->v[f->index];

	if (f->type == FT_BOOLEAN)
	{
		v->kind = V_INT;
		v->i = f->default_value && strcmp(f->default_value, "true") == 0;
	}
	else if (strcmp(f->name, "OwnerId") == 0)
		row_set_text(r, f->name, store_user());
	else if (r->given[f->index])
		return;
	else if (strcmp(f->name, "RecordTypeId") == 0)
		row_set_text(r, f->name, default_record_type(r->o));
	else if (f->default_value)
	{
		json_object *json = json_object_new_string(f->default_value);
		StoreError ignored = {0};

		rules_value(f, json, v, &ignored);
		store_error_free(&ignored);
		json_object_put(json);
	}
	else if (!f->nillable && !f->createable &&
			 (f->type == FT_INT || f->type == FT_DOUBLE || f->type == FT_CURRENCY))
		row_set_real(r, f->name, 0);
}

void
store_row_stamp(const Row *r, char out[SF_STAMP_LEN + 1])
{
	const char *last = row_text(r, "SystemModstamp");

	store_timestamp(store_began(), out);
	if (last && strcmp(last, out) > 0 && store_began() != store_now())
		memcpy(out, last, SF_STAMP_LEN + 1);
}

/* Times of the row: now, unless a seed says when. */
static void
set_audit(Row *r, bool insert)
{
	char now[SF_STAMP_LEN + 1];

	store_row_stamp(r, now);
	if (insert)
	{
		if (row_null(r, "CreatedDate"))
			row_set_text(r, "CreatedDate", now);
		if (row_null(r, "CreatedById"))
			row_set_text(r, "CreatedById", store_user());
		if (row_null(r, "LastModifiedDate"))
			row_set_text(r, "LastModifiedDate", row_text(r, "CreatedDate"));
		if (row_null(r, "LastModifiedById"))
			row_set_text(r, "LastModifiedById", row_text(r, "CreatedById"));
		if (row_null(r, "SystemModstamp"))
			row_set_text(r, "SystemModstamp", row_text(r, "LastModifiedDate"));
		return;
	}
	row_set_text(r, "LastModifiedDate", now);
	row_set_text(r, "LastModifiedById", store_user());
	row_set_text(r, "SystemModstamp", now);
}

static void
set_defaults(Row *r)
{
	int64_t number = store_next_number(r->o);
	char id[SF_ID_LEN + 1];
	int i;

	if (row_null(r, "Id"))
	{
		store_make_id(r->o->key_prefix ? r->o->key_prefix : "000", number, id);
		row_set_text(r, "Id", id);
	}
	for (i = 0; i < r->o->n_fields; i++)
	{
		const Field *f = &r->o->fields[i];

		if (r->v[i].kind != V_NULL || !store_field_written(f))
			continue;
		if (f->auto_number)
			set_auto_number(r, f, number);
		else
			set_default(r, f);
	}
	set_audit(r, true);
}

static bool
check_required(const Row *r, bool insert, StoreError *e)
{
	const Field *missing[64];
	int n = 0;
	int i;
	Buf b;

	for (i = 0; i < r->o->n_fields && n < 64; i++)
	{
		const Field *f = &r->o->fields[i];

		if (f->nillable || f->type == FT_BOOLEAN || f->type == FT_ID || r->v[i].kind != V_NULL)
			continue;
		if (insert ? f->createable && (r->given[i] || !f->defaulted_on_create) : r->given[i])
			missing[n++] = f;
	}
	if (n == 0)
		return true;
	buf_init(&b);
	for (i = 0; i < n; i++)
		buf_addf(&b, "%s%s", i ? ", " : "", missing[i]->name);
	store_error_set(e, 400, "REQUIRED_FIELD_MISSING", "Required fields are missing: [%s]", b.data);
	for (i = 0; i < n; i++)
		store_error_field(e, missing[i]->name);
	buf_free(&b);
	return false;
}

static bool
check_references(const Row *r, StoreError *e)
{
	int i;

	for (i = 0; i < r->o->n_fields; i++)
		if (r->given[i] && r->o->fields[i].type == FT_REFERENCE &&
			!rules_reference(&r->o->fields[i], &r->v[i], e))
			return false;
	return true;
}

static bool
refuse_operation(const Object *o, const char *what, StoreError *e)
{
	store_error_set(e, 400, "INVALID_TYPE_FOR_OPERATION", "entity type %s does not support %s",
					o->name, what);
	return false;
}

bool
store_insert_mode(const Object *o, json_object *values, WriteMode mode, char id[SF_ID_LEN + 1],
				  StoreError *e)
{
	Row *r = row_new(o);
	bool ok;

	memset(e, 0, sizeof(*e));
	if (mode == WRITE_USER && !(o->createable && schema_may(ACCESS_CREATE, o, NULL)))
		ok = refuse_operation(o, "create", e);
	else
		ok = apply_values(r, values, true, mode, e);
	if (ok)
	{
		store_begin();
		set_defaults(r);
		ok = (mode == WRITE_SEED || rules_assign(r, NULL, e)) && rules_compute(r, NULL, mode, e);
		if (mode == WRITE_USER && ok)
			ok = check_required(r, true, e) && check_references(r, e) && rules_locks(r, NULL, e) &&
				 rules_duplicates(r, NULL, e);
		ok = ok && rules_unique(r, NULL, e) && row_insert(r, e);
		if (ok)
		{
			memcpy(id, row_text(r, "Id"), SF_ID_LEN + 1);
			rules_effects(r, NULL);
			store_commit();
		}
		else
			store_rollback();
	}
	row_free(r);
	return ok;
}

bool
store_insert(const Object *o, json_object *values, char id[SF_ID_LEN + 1], StoreError *e)
{
	return store_insert_mode(o, values, WRITE_USER, id, e);
}

void
store_insert_row(Row *r)
{
	StoreError e = {0};

	set_defaults(r);
	if (!row_insert(r, &e))
		schema_die("%s", e.message);
}

bool
store_update(const Object *o, const char *id, json_object *values, StoreError *e)
{
	char full[SF_ID_LEN + 1];
	Row *old;
	Row *r;
	bool ok;

	memset(e, 0, sizeof(*e));
	if (!o->updateable || !schema_may(ACCESS_EDIT, o, NULL))
		return refuse_operation(o, "update", e);
	if (!rules_target(o, id, full, e))
		return false;
	old = row_load(o, full);
	r = row_copy(old);
	ok = apply_values(r, values, false, WRITE_USER, e);
	if (ok)
	{
		store_begin();
		set_audit(r, false);
		ok = check_required(r, false, e) && rules_assign(r, old, e) &&
			 rules_compute(r, old, WRITE_USER, e) && check_references(r, e) &&
			 rules_locks(r, old, e) && rules_duplicates(r, old, e) && rules_unique(r, old, e) &&
			 row_update(r, e);
		if (ok)
		{
			rules_effects(r, old);
			store_commit();
		}
		else
			store_rollback();
	}
	row_free(r);
	row_free(old);
	return ok;
}

/*
 * The key's value stands beside the values; a collection's record repeats it, which is fine where
 * both agree.  A copy without it, to be released.
 */
static json_object *
without_key(json_object *values, const Field *key)
{
	json_object *out = json_object_new_object();

	json_object_object_foreach(values, k, v)
	{
		if (strcasecmp(k, key->name) != 0)
			json_object_object_add(out, k, json_object_get(v));
	}
	return out;
}

static bool
key_conflicts(json_object *values, const Field *key, const char *value, StoreError *e)
{
	json_object_object_foreach(values, k, v)
	{
		const char *s = json_object_get_string(v);

		if (strcasecmp(k, key->name) != 0 || (s && strcmp(s, value) == 0))
			continue;
		store_error_set(e, 400, "INVALID_FIELD",
						"The %s field should not be specified in the sobject data.", key->name);
		return true;
	}
	return false;
}

static bool
upsert_insert(const Object *o, const Field *key, const char *value, json_object *rest,
			  char id[SF_ID_LEN + 1], StoreError *e)
{
	if (key->type != FT_ID)
		json_object_object_add(rest, key->name, json_object_new_string(value));
	else if (*value)
	{
		char full[SF_ID_LEN + 1];

		/* an Id that is given must be there */
		return rules_target(o, value, full, e);
	}
	return store_insert(o, rest, id, e);
}

bool
store_upsert(const Object *o, const Field *key, const char *value, json_object *values,
			 char id[SF_ID_LEN + 1], bool *created, int *matches, char **match_ids, StoreError *e)
{
	json_object *rest;
	char *ids = NULL;
	bool ok;
	int n;

	memset(e, 0, sizeof(*e));
	*created = false;
	*matches = 0;
	*match_ids = NULL;
	if (!key->external_id && !key->id_lookup)
	{
		store_error_set(e, 400, "INVALID_FIELD",
						"Field name provided, %s is not an External ID or indexed field for %s",
						key->name, o->name);
		return false;
	}
	if (*value == '\0' && key->type != FT_ID)
	{
		store_error_set(e, 400, "MISSING_ARGUMENT", "%s not specified", key->name);
		store_error_field(e, key->name);
		return false;
	}
	if (key_conflicts(values, key, value, e))
		return false;
	n = *value ? store_find(o, key, value, &ids) : 0;
	*matches = n;
	if (n > 1)
	{
		*match_ids = ids;
		store_error_set(e, 300, "DUPLICATE_EXTERNAL_ID",
						"%s: more than one record found for external id field: [%.18s, %.18s]",
						key->name, ids, ids + SF_ID_LEN + 1);
		return false;
	}
	rest = without_key(values, key);
	if (n == 1)
	{
		memcpy(id, ids, SF_ID_LEN + 1);
		ok = store_update(o, id, rest, e);
	}
	else
	{
		ok = upsert_insert(o, key, value, rest, id, e);
		*created = ok;
	}
	json_object_put(rest);
	free(ids);
	return ok;
}
