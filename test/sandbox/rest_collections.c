/*
 * rest_collections.c - composite/sobjects: up to 200 rows in one call.
 *
 * A well-formed request is answered 200, however many of its rows were refused.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "config.h"
#include "multipart.h"
#include "rest.h"
#include "soql.h"
#include "store_internal.h"

#define MAX_RECORDS 200
#define MAX_CHUNKS 10
#define MAX_RETRIEVE 2000

typedef enum
{
	CREATE,
	UPDATE,
	UPSERT,
	DELETE
} Operation;

/* What became of one row. */
typedef struct Outcome
{
	bool ok;
	bool created;
	char id[SF_ID_LEN + 1];
	StoreError error;
} Outcome;

typedef struct Job
{
	Request *r;
	Operation op;
	const Object *object; /* upsert: the one of the URL */
	const Field *key;	  /* upsert */
	json_object *records; /* not for delete */
	char **ids;			  /* delete */
	int n;
	bool all_or_none;
	Outcome *out;
} Job;

static const char *
text_member(json_object *o, const char *name)
{
	if (o == NULL)
		return NULL;
	json_object_object_foreach(o, key, val)
	{
		if (strcasecmp(key, name) == 0)
			return val ? json_object_get_string(val) : NULL;
	}
	return NULL;
}

/* attributes.type, or NULL. */
static const char *
type_of(json_object *record)
{
	json_object *attributes;

	if (!json_object_is_type(record, json_type_object) ||
		!json_object_object_get_ex(record, "attributes", &attributes) ||
		!json_object_is_type(attributes, json_type_object))
		return NULL;
	return text_member(attributes, "type");
}

/* The record without a key that the store is told otherwise. */
static json_object *
without(json_object *record, const char *name)
{
	json_object *copy = json_object_new_object();

	json_object_object_foreach(record, key, val)
	{
		if (strcasecmp(key, name) != 0)
			json_object_object_add(copy, key, json_object_get(val));
	}
	return copy;
}

/* Two records of a request that are one row are both refused: which would be the last word? */
static bool
id_twice(const Job *j, const Object *o, const char *full)
{
	char other[SF_ID_LEN + 1];
	int n = 0;

	for (int i = 0; i < j->n && !config.twice_allowed; i++)
	{
		json_object *record = json_object_array_get_idx(j->records, (size_t) i);
		const char *id = text_member(record, "Id");

		n += id != NULL && strcasecmp(type_of(record), o->name) == 0 &&
			 store_canonical_id(id, strlen(id), other) && strcmp(other, full) == 0;
	}
	return n > 1;
}

static bool
update_one(const Job *j, const Object *o, json_object *record, Outcome *out)
{
	const char *id = text_member(record, "Id");
	char full[SF_ID_LEN + 1];
	json_object *values;
	bool ok;

	if (id == NULL)
	{
		store_error_set(&out->error, 400, "MISSING_ARGUMENT", "Id not specified in an update call");
		return false;
	}
	if (!store_canonical_id(id, strlen(id), full) ||
		(o->key_prefix != NULL && strncmp(full, o->key_prefix, 3) != 0))
	{
		store_error_set(&out->error, 400, "MALFORMED_ID", "%s ID: id value of incorrect type: %s",
						o->label, id);
		store_error_field(&out->error, "Id");
		return false;
	}
	if (id_twice(j, o, full))
	{
		store_error_set(&out->error, 400, "DUPLICATE_VALUE", "Duplicate id specified: %s", full);
		store_error_field(&out->error, "Id");
		return false;
	}
	memcpy(out->id, full, sizeof(full));
	values = without(record, "Id");
	ok = store_update(o, full, values, &out->error);
	json_object_put(values);
	return ok;
}

/* The same of an external id. */
static bool
key_twice(const Job *j, const char *value)
{
	int n = 0;

	for (int i = 0; i < j->n; i++)
	{
		const char *v =
			text_member(json_object_array_get_idx(j->records, (size_t) i), j->key->name);

		if (v != NULL && (j->key->case_sensitive ? strcmp(v, value) : strcasecmp(v, value)) == 0)
			n++;
	}
	return n > 1;
}

static bool
upsert_one(const Job *j, const Object *o, json_object *record, Outcome *out)
{
	const char *value = text_member(record, j->key->name);
	json_object *values;
	char *ids = NULL;
	int matches = 0;
	bool ok;

	if (j->key->type == FT_ID)
	{
		if (value != NULL)
			return update_one(j, o, record, out);
		out->created = true;
		return store_insert(o, record, out->id, &out->error);
	}
	if (value == NULL || *value == '\0')
	{
		store_error_set(&out->error, 400, "MISSING_ARGUMENT", "%s not specified", j->key->name);
		return false;
	}
	if (key_twice(j, value))
	{
		store_error_set(&out->error, 400, "DUPLICATE_VALUE", "Duplicate external id specified: %s",
						value);
		store_error_field(&out->error, j->key->name);
		return false;
	}
	values = without(record, j->key->name);
	ok =
		store_upsert(o, j->key, value, values, out->id, &out->created, &matches, &ids, &out->error);
	if (!ok && matches > 1)
	{
		Buf list;

		buf_init(&list);
		for (int i = 0; i < matches; i++)
			buf_addf(&list, "%s%s", i ? ", " : "", ids + i * 19);
		store_error_free(&out->error);
		store_error_set(&out->error, 400, "DUPLICATE_EXTERNAL_ID",
						"%s: more than one record found for external id field: [%s]", j->key->name,
						list.data);
		store_error_field(&out->error, j->key->name);
		buf_free(&list);
	}
	free(ids);
	json_object_put(values);
	return ok;
}

static bool
delete_one(const char *id, Outcome *out)
{
	const Object *o;

	if (!store_canonical_id(id, strlen(id), out->id) || (o = schema_by_prefix(out->id)) == NULL)
	{
		store_error_set(&out->error, 400, "MALFORMED_ID", "malformed id %s", id);
		return false;
	}
	return store_delete(o, out->id, &out->error);
}

static bool
do_one(const Job *j, int i, Outcome *out)
{
	json_object *record;
	const char *type;
	const Object *o;

	if (req_take_lock(j->r))
	{
		const char *id = j->op == DELETE
							 ? j->ids[i]
							 : text_member(json_object_array_get_idx(j->records, (size_t) i), "Id");

		rules_lock_error(&out->error, id ? id : "");
		return false;
	}
	if (j->op == DELETE)
		return delete_one(j->ids[i], out);
	record = json_object_array_get_idx(j->records, (size_t) i);
	type = type_of(record);
	o = schema_find(type, strlen(type));
	if (o == NULL)
	{
		store_error_set(&out->error, 400, "INVALID_TYPE", "sObject type '%s' is not supported.",
						type);
		return false;
	}
	if (j->op == UPSERT && o != j->object)
	{
		store_error_set(&out->error, 400, "INVALID_TYPE",
						"Record type %s does not match the type of the request: %s", type,
						j->object->name);
		return false;
	}
	if (j->op == CREATE)
		return store_insert(o, record, out->id, &out->error);
	return j->op == UPDATE ? update_one(j, o, record, out) : upsert_one(j, o, record, out);
}

static void
roll_back(Job *j)
{
	for (int i = 0; i < j->n; i++)
	{
		if (!j->out[i].ok)
			continue;
		j->out[i].ok = false;
		store_error_set(&j->out[i].error, 400, "ALL_OR_NONE_OPERATION_ROLLED_BACK",
						"Record rolled back because not all records were valid and the request "
						"was using AllOrNone header");
	}
}

static void
run(Job *j, Response *w)
{
	bool failed = false;

	j->out = calloc((size_t) j->n, sizeof(Outcome));
	store_begin();
	for (int i = 0; i < j->n; i++)
	{
		j->out[i].ok = do_one(j, i, &j->out[i]);
		failed |= !j->out[i].ok;
	}
	w->rows_failed = failed;
	if (failed && (j->all_or_none || (j->r->inner && j->r->outer->all_or_none)))
	{
		store_rollback();
		roll_back(j);
	}
	else
		store_commit();
	w->status = 200;
	buf_addc(&w->body, '[');
	for (int i = 0; i < j->n; i++)
	{
		Outcome *o = &j->out[i];

		if (i > 0)
			buf_addc(&w->body, ',');
		if (o->ok)
			buf_addf(&w->body, "{\"id\":\"%s\",\"success\":true,\"errors\":[]%s}", o->id,
					 j->op != UPSERT ? ""
					 : o->created	 ? ",\"created\":true"
									 : ",\"created\":false");
		else
		{
			buf_adds(&w->body, "{\"success\":false,\"errors\":[");
			rest_error_item(&w->body, &o->error);
			buf_adds(&w->body, "]}");
			store_error_free(&o->error);
		}
	}
	buf_addc(&w->body, ']');
	free(j->out);
}

static void
too_many(Response *w)
{
	res_error(w, 400, "EXCEEDED_ID_LIMIT",
			  "record limit reached. cannot submit more than 200 records into this call");
}

static void
too_few(Response *w)
{
	res_error(w, 400, "REQUIRED_FIELD_MISSING", "At least 1 record is required");
}

/* Runs of one type are chunks; false with the answer filled if the request is not well formed. */
static bool
well_formed(Job *j, Response *w)
{
	const char *last = NULL;
	int chunks = 0;

	if (j->n == 0)
	{
		too_few(w);
		return false;
	}
	if (j->n > MAX_RECORDS)
	{
		too_many(w);
		return false;
	}
	for (int i = 0; i < j->n; i++)
	{
		const char *type = type_of(json_object_array_get_idx(j->records, (size_t) i));

		if (type == NULL)
		{
			res_error(w, 400, "INVALID_TYPE",
					  "Every record needs an attributes object with a type");
			return false;
		}
		if (last == NULL || strcasecmp(type, last) != 0)
			chunks++;
		last = type;
	}
	if (chunks > MAX_CHUNKS)
	{
		res_errorf(w, 400, "TOO_MANY_CHUNKS",
				   "Cannot have more than %d chunks in a single operation. Please rearrange the "
				   "data to reduce chunking.",
				   MAX_CHUNKS);
		return false;
	}
	return true;
}

static void
write_records(Request *r, Response *w, Operation op, const Object *object, const Field *key)
{
	Job j = {.r = r, .op = op, .object = object, .key = key};
	json_object *doc = multipart_rows(r, w, NULL);
	json_object *all;

	if (doc == NULL)
		return;
	if (!json_object_object_get_ex(doc, "records", &j.records) ||
		!json_object_is_type(j.records, json_type_array))
		too_few(w);
	else
	{
		j.n = (int) json_object_array_length(j.records);
		j.all_or_none =
			json_object_object_get_ex(doc, "allOrNone", &all) && json_object_get_boolean(all);
		if (well_formed(&j, w))
			run(&j, w);
	}
	json_object_put(doc);
}

static char **
split_list(Request *r, const char *text, int *n)
{
	char **list = NULL;

	*n = 0;
	while (text != NULL && *text)
	{
		size_t len = strcspn(text, ",");

		list = realloc(list, sizeof(char *) * (size_t) (*n + 1));
		if (list == NULL)
			abort();
		list[(*n)++] = req_own(r, strndup(text, len));
		text += len;
		if (*text == ',')
			text++;
	}
	return list;
}

static void
delete_records(Request *r, Response *w)
{
	const char *all = req_param(r, "allOrNone");
	Job j = {.r = r, .op = DELETE};

	j.ids = split_list(r, req_param(r, "ids"), &j.n);
	j.all_or_none = all != NULL && strcasecmp(all, "true") == 0;
	if (j.n == 0)
		too_few(w);
	else if (j.n > MAX_RECORDS)
		too_many(w);
	else
		run(&j, w);
	free(j.ids);
}

static void
retrieve(Request *r, Response *w, const Object *o, char **ids, int n, const char *names)
{
	const Field **fields;
	int n_fields;

	if (names == NULL || *names == '\0')
	{
		res_error(w, 400, "MISSING_ARGUMENT", "fields must be specified");
		return;
	}
	if (n == 0 || n > MAX_RETRIEVE)
	{
		if (n == 0)
			res_error(w, 400, "MISSING_ARGUMENT", "ids must be specified");
		else
			too_many(w);
		return;
	}
	fields = rest_fields(r, w, o, names, &n_fields);
	if (fields == NULL)
		return;
	w->status = 200;
	buf_addc(&w->body, '[');
	for (int i = 0; i < n; i++)
	{
		char full[SF_ID_LEN + 1];

		if (i > 0)
			buf_addc(&w->body, ',');
		if (!store_canonical_id(ids[i], strlen(ids[i]), full) || store_row_state(o, full) != 1 ||
			!soql_render_row(o, full, fields, n_fields, r->version, &w->body))
			buf_adds(&w->body, "null");
	}
	buf_addc(&w->body, ']');
	free(fields);
}

/* An array of strings as one text with commas, so that both forms of retrieve are read alike. */
static const char *
joined(Request *r, json_object *doc, const char *name)
{
	json_object *list;
	Buf b;

	if (!json_object_object_get_ex(doc, name, &list) || !json_object_is_type(list, json_type_array))
		return NULL;
	buf_init(&b);
	for (size_t i = 0; i < json_object_array_length(list); i++)
		buf_addf(&b, "%s%s", i ? "," : "",
				 json_object_get_string(json_object_array_get_idx(list, i)));
	return req_own(r, buf_detach(&b));
}

static void
retrieve_request(Request *r, Response *w, const Object *o)
{
	const char *ids;
	const char *names;
	char **list;
	int n;

	if (is_get(r))
	{
		ids = req_param(r, "ids");
		names = req_param(r, "fields");
	}
	else
	{
		json_object *doc = req_json(r, w);

		if (doc == NULL)
			return;
		ids = joined(r, doc, "ids");
		names = joined(r, doc, "fields");
		json_object_put(doc);
	}
	list = split_list(r, ids, &n);
	retrieve(r, w, o, list, n, names);
	free(list);
}

void
rest_collections(Request *r, Response *w)
{
	bool post = strcmp(r->method, "POST") == 0;
	bool patch = strcmp(r->method, "PATCH") == 0;
	const Object *o = r->n_seg > 2 ? schema_find(r->seg[2], strlen(r->seg[2])) : NULL;
	const Field *key;

	if (r->n_seg == 2)
	{
		if (post)
			write_records(r, w, CREATE, NULL, NULL);
		else if (patch)
			write_records(r, w, UPDATE, NULL, NULL);
		else if (strcmp(r->method, "DELETE") == 0)
			delete_records(r, w);
		else
			res_not_allowed(w, r, "DELETE,PATCH,POST");
	}
	else if (o == NULL || r->n_seg > 4)
		res_not_found(w);
	else if (r->n_seg == 3)
	{
		if (is_get(r) || post)
			retrieve_request(r, w, o);
		else
			res_not_allowed(w, r, "GET,HEAD,POST");
	}
	else if (!patch)
		res_not_allowed(w, r, "PATCH");
	else
	{
		key = schema_seen_field(o, r->seg[3], strlen(r->seg[3]));
		if (key == NULL || (!key->external_id && !key->id_lookup))
			res_errorf(w, 404, "NOT_FOUND",
					   "Provided external ID field does not exist or is not accessible: %s",
					   r->seg[3]);
		else
			write_records(r, w, UPSERT, o, key);
	}
}
