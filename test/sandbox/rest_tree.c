/*
 * rest_tree.c - composite/tree/X: new rows with their children, all or none.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "rest.h"

#define MAX_RECORDS 200
#define MAX_LEVELS 5
#define MAX_TYPES 5

typedef struct Tree
{
	int records;
	const Object *types[MAX_TYPES];
	int n_types;
	const char *refs[MAX_RECORDS];
	Buf results; /* {"referenceId","id"} items */
	Buf errors;	 /* {"referenceId","errors"} items */
} Tree;

static const char *
attribute(json_object *record, const char *name)
{
	json_object *attributes;
	json_object *v;

	if (!json_object_is_type(record, json_type_object) ||
		!json_object_object_get_ex(record, "attributes", &attributes) ||
		!json_object_object_get_ex(attributes, name, &v))
		return NULL;
	return json_object_get_string(v);
}

static void
add_error(Tree *t, const char *ref, StoreError *e)
{
	buf_adds(&t->errors, t->errors.len ? ",{\"referenceId\":" : "{\"referenceId\":");
	buf_jsons(&t->errors, ref ? ref : "");
	buf_adds(&t->errors, ",\"errors\":[");
	rest_error_item(&t->errors, e);
	buf_adds(&t->errors, "]}");
	store_error_free(e);
}

static void
refuse(Tree *t, const char *ref, const char *code, const char *message)
{
	StoreError e = {0};

	store_error_set(&e, 400, code, "%s", message);
	add_error(t, ref, &e);
}

/* The name of a record in the answer is its own. */
static bool
count_reference(Tree *t, const char *ref)
{
	for (int i = 0; i < t->records - 1; i++)
		if (strcmp(t->refs[i], ref) == 0)
			return false;
	t->refs[t->records - 1] = ref;
	return true;
}

static bool
count_type(Tree *t, const Object *o)
{
	for (int i = 0; i < t->n_types; i++)
	{
		if (t->types[i] == o)
			return true;
	}
	if (t->n_types == MAX_TYPES)
		return false;
	t->types[t->n_types++] = o;
	return true;
}

static void plant(Tree *t, json_object *list, const Object *o, const char *parent_field,
				  const char *parent_id, int level);

/* The children lists of a record: members named like a child relationship that hold records. */
static json_object *
records_of(json_object *v)
{
	json_object *list;

	return json_object_is_type(v, json_type_object) &&
				   json_object_object_get_ex(v, "records", &list) &&
				   json_object_is_type(list, json_type_array)
			   ? list
			   : NULL;
}

static void
plant_one(Tree *t, json_object *record, const Object *o, const char *parent_field,
		  const char *parent_id, int level)
{
	const char *type = attribute(record, "type");
	const char *ref = attribute(record, "referenceId");
	json_object *values;
	StoreError e = {0};
	char id[SF_ID_LEN + 1];
	bool ok;

	if (type == NULL || strcasecmp(type, o->name) != 0 || ref == NULL)
	{
		refuse(t, ref, "INVALID_INPUT",
			   "Include a reference ID and the right type in the attributes of every record.");
		return;
	}
	if (++t->records > MAX_RECORDS || level > MAX_LEVELS || !count_type(t, o))
	{
		refuse(t, ref, "INVALID_INPUT",
			   t->records > MAX_RECORDS ? "Include at most 200 records in a request."
			   : level > MAX_LEVELS		? "Include at most five levels of records in a request."
										: "Include at most five types of records in a request.");
		return;
	}
	if (!count_reference(t, ref))
	{
		refuse(t, ref, "INVALID_INPUT", "Duplicate ReferenceId provided in the request.");
		return;
	}
	values = json_object_new_object();
	json_object_object_foreach(record, key, val)
	{
		if (records_of(val) == NULL)
			json_object_object_add(values, key, json_object_get(val));
	}
	if (parent_field != NULL)
		json_object_object_add(values, parent_field, json_object_new_string(parent_id));
	ok = store_insert(o, values, id, &e);
	json_object_put(values);
	if (!ok)
	{
		add_error(t, ref, &e);
		return;
	}
	buf_adds(&t->results, t->results.len ? ",{\"referenceId\":" : "{\"referenceId\":");
	buf_jsons(&t->results, ref);
	buf_addf(&t->results, ",\"id\":\"%s\"}", id);
	json_object_object_foreach(record, name, children)
	{
		json_object *list = records_of(children);
		const ChildRelationship *c = list ? schema_child(o, name, strlen(name)) : NULL;

		if (list == NULL)
			continue;
		if (c == NULL)
			refuse(t, ref, "INVALID_FIELD", "A list of records is not a child relationship.");
		else
			plant(t, list, schema_find(c->child, strlen(c->child)), c->field, id, level + 1);
	}
}

static void
plant(Tree *t, json_object *list, const Object *o, const char *parent_field, const char *parent_id,
	  int level)
{
	for (size_t i = 0; o != NULL && i < json_object_array_length(list); i++)
		plant_one(t, json_object_array_get_idx(list, i), o, parent_field, parent_id, level);
}

void
rest_tree(Request *r, Response *w)
{
	const Object *o = schema_find(r->seg[2], strlen(r->seg[2]));
	Tree t = {0};
	json_object *doc;
	json_object *list;

	if (o == NULL)
	{
		res_not_found(w);
		return;
	}
	doc = req_json(r, w);
	if (doc == NULL)
		return;
	list = records_of(doc);
	buf_init(&t.results);
	buf_init(&t.errors);
	if (list == NULL || json_object_array_length(list) == 0)
		res_error(w, 400, "REQUIRED_FIELD_MISSING", "At least 1 record is required");
	else
	{
		store_begin();
		plant(&t, list, o, NULL, NULL, 1);
		if (t.errors.len > 0)
		{
			store_rollback();
			w->status = 400;
			buf_addf(&w->body, "{\"hasErrors\":true,\"results\":[%s]}", t.errors.data);
		}
		else
		{
			store_commit();
			w->status = 201;
			buf_addf(&w->body, "{\"hasErrors\":false,\"results\":[%s]}", t.results.data);
		}
	}
	buf_free(&t.results);
	buf_free(&t.errors);
	json_object_put(doc);
}
