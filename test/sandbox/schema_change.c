/*
 * schema_change.c - fields that come, go and change while the program runs, and whom they are
 * hidden from.
 *
 * Places of fields do not move: those to come have theirs beforehand, and one that goes keeps its
 * place under a name that nobody asks for.  What a field was is kept, as strings of it may be in
 * somebody's hands.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "schema_change.h"
#include "store.h"

static unsigned generation;
static time_t changed_at;
static int n_hidden; /* fields that some users do not see, and what they may not do */
static char viewer[SF_ID_LEN + 1];
static json_object *retired; /* what fields were made of */

static void
changed(void)
{
	generation++;
	/* a client that asked in this very second must not be told that nothing has changed */
	changed_at = store_now() + 1;
}

unsigned
schema_generation(void)
{
	return generation;
}

time_t
schema_changed_at(void)
{
	return changed_at;
}

bool
schema_hides(void)
{
	return n_hidden > 0;
}

void
schema_set_viewer(const char *user_id)
{
	snprintf(viewer, sizeof(viewer), "%s", user_id ? user_id : "");
}

const char *
schema_viewer(void)
{
	return viewer;
}

void
schema_access_changed(int by)
{
	n_hidden += by;
	changed();
}

bool
schema_seen(const Field *f)
{
	if (f->gone)
		return false;
	for (int i = 0; i < f->n_hidden; i++)
		if (f->hidden[i][0] == '\0' || strcmp(f->hidden[i], viewer) == 0)
			return false;
	return true;
}

static void
retire(json_object *o)
{
	if (retired == NULL)
		retired = json_object_new_array();
	json_object_array_add(retired, o);
}

/* A copy of a text that lives as long as the program. */
static const char *
keep(const char *s)
{
	json_object *o = json_object_new_string(s);

	retire(o);
	return json_object_get_string(o);
}

static json_object *
describes(const Object *o)
{
	json_object *list = NULL;

	json_object_object_get_ex(o->describe, "fields", &list);
	return list;
}

/* The first change of an object. */
static void
remember(Object *o)
{
	Loaded *l = schema_loaded(o);

	if (l->first != NULL)
		return;
	l->n_first = o->n_fields;
	l->first = malloc(sizeof(Field) * (size_t) o->n_fields);
	l->first_describes = malloc(sizeof(json_object *) * (size_t) o->n_fields);
	if (l->first == NULL || l->first_describes == NULL)
		schema_die("out of memory");
	memcpy(l->first, o->fields, sizeof(Field) * (size_t) o->n_fields);
	for (int i = 0; i < o->n_fields; i++)
	{
		/* who sees it is not kept here */
		l->first[i].hidden = NULL;
		l->first[i].n_hidden = 0;
		l->first_describes[i] =
			json_object_get(json_object_array_get_idx(describes(o), (size_t) i));
	}
}

/* The lists that schema_fill_field() makes, unless they are those of the field as it was loaded. */
static void
free_lists(Field *f)
{
	const Loaded *l = schema_loaded(f->object);

	if (f->index < l->n_first && l->first[f->index].picklist == f->picklist)
		return;
	free(f->picklist);
	free(f->reference_to);
}

/* Field and describe anew; d is taken over. */
static void
refill(Field *f, json_object *d, json_object *extra)
{
	Object *o = f->object;
	json_object *list = describes(o);
	Field was = *f;

	retire(json_object_get(d));
	if ((size_t) f->index < json_object_array_length(list))
		json_object_array_put_idx(list, (size_t) f->index, d);
	else
		json_object_array_add(list, d);
	f->default_value = NULL;
	schema_fill_field(f, d, extra);
	free_lists(&was);
	changed();
}

const char *
schema_add(Object *o, json_object *raw, Field **out)
{
	Loaded *l = schema_loaded(o);
	json_object *v;
	const char *name;
	FieldType type;
	Field *f;

	if (!json_object_is_type(raw, json_type_object) || !json_object_object_get_ex(raw, "name", &v))
		return "a field is a JSON object with a name and a type";
	name = json_object_get_string(v);
	if (!json_object_object_get_ex(raw, "type", &v) ||
		!schema_type(json_object_get_string(v), &type))
		return "the field has no type that there is";
	if (type == FT_REFERENCE || type == FT_ADDRESS || type == FT_LOCATION || type == FT_ID)
		return "lookups and compound fields come with the objects only";
	if (schema_field(o, name, strlen(name)) != NULL)
		return "there is such a field";
	remember(o);
	if (o->n_fields >= l->n_first + SCHEMA_SPARE)
		return "there is no room for more fields";
	retire(json_object_get(raw));
	v = NULL;
	json_object_object_get_ex(raw, "sandbox", &v);
	f = &o->fields[o->n_fields];
	memset(f, 0, sizeof(*f));
	f->object = o;
	f->index = o->n_fields;
	l->sandbox[f->index] = v;
	refill(f, schema_complete_field(raw, o->name), v);
	o->n_fields++;
	*out = f;
	return NULL;
}

const char *
schema_remove(Field *f)
{
	char name[300];

	if (!f->custom || f->type == FT_REFERENCE || f->compound != NULL || f->name_field)
		return "only a custom field that is neither a lookup nor a part of another can be removed";
	remember(f->object);
	snprintf(name, sizeof(name), "__gone%d_%s", f->index, f->name);
	f->name = keep(name);
	f->gone = true;
	f->nillable = true;
	f->createable = f->updateable = f->external_id = f->id_lookup = f->unique = f->auto_number =
		false;
	changed();
	return NULL;
}

/* The describe of a field with other members; another type brings what goes with it. */
static json_object *
patched(const Field *f, json_object *patch)
{
	static const char *const of_type[] = {"soapType", "aggregatable", "filterable", "groupable",
										  "sortable", "length",		  "byteLength", "precision",
										  "scale",	  "digits"};
	json_object *whole = json_object_array_get_idx(describes(f->object), (size_t) f->index);
	json_object *copy = NULL, *v;

	if (json_object_deep_copy(whole, &copy, NULL) != 0)
		schema_die("out of memory");
	if (json_object_object_get_ex(patch, "type", &v))
	{
		json_object *raw = json_object_new_object(), *full;

		json_object_object_add(raw, "name", json_object_new_string(f->name));
		json_object_object_add(raw, "type", json_object_get(v));
		full = schema_complete_field(raw, f->object->name);
		for (size_t i = 0; i < sizeof(of_type) / sizeof(of_type[0]); i++)
			if (json_object_object_get_ex(full, of_type[i], &v))
				json_object_object_add(copy, of_type[i], json_object_get(v));
		json_object_put(full);
		json_object_put(raw);
	}
	json_object_object_foreach(patch, key, given)
	{
		if (strcmp(key, "sandbox") != 0)
			json_object_object_add(copy, key, json_object_get(given));
	}
	return copy;
}

const char *
schema_alter(Field *f, json_object *patch)
{
	Loaded *l = schema_loaded(f->object);
	char **hidden = f->hidden;
	FieldType type = f->type;
	json_object *v;

	if (!json_object_is_type(patch, json_type_object))
		return "a change is a JSON object of what the describe says";
	if (json_object_object_get_ex(patch, "type", &v) &&
		!schema_type(json_object_get_string(v), &type))
		return "there is no such type";
	if (type != f->type && (f->type == FT_REFERENCE || type == FT_REFERENCE || type == FT_ADDRESS ||
							type == FT_LOCATION || type == FT_ID))
		return "that type comes with the objects only";
	remember(f->object);
	refill(f, patched(f, patch), l->sandbox[f->index]);
	f->hidden = hidden;
	return NULL;
}

const char *
schema_rename(Field *f, const char *name)
{
	json_object *patch;
	const char *wrong;

	if (!f->custom || f->type == FT_REFERENCE || f->compound != NULL)
		return "only a custom field that is neither a lookup nor a part of another gets another "
			   "name";
	if (schema_field(f->object, name, strlen(name)) != NULL)
		return "there is such a field";
	patch = json_object_new_object();
	json_object_object_add(patch, "name", json_object_new_string(name));
	wrong = schema_alter(f, patch);
	json_object_put(patch);
	return wrong;
}

static int
hidden_at(const Field *f, const char *user_id)
{
	for (int i = 0; i < f->n_hidden; i++)
		if (strcmp(f->hidden[i], user_id) == 0)
			return i;
	return -1;
}

void
schema_hide(Field *f, const char *user_id)
{
	if (hidden_at(f, user_id) >= 0)
		return;
	f->hidden = realloc(f->hidden, sizeof(char *) * (size_t) (f->n_hidden + 1));
	if (f->hidden == NULL)
		schema_die("out of memory");
	f->hidden[f->n_hidden++] = strdup(user_id);
	n_hidden++;
	changed();
}

void
schema_show(Field *f, const char *user_id)
{
	int i = hidden_at(f, user_id);

	if (i < 0)
		return;
	free(f->hidden[i]);
	f->hidden[i] = f->hidden[--f->n_hidden];
	if (f->n_hidden == 0)
	{
		free(f->hidden);
		f->hidden = NULL;
	}
	n_hidden--;
	changed();
}

static void
restore(Loaded *l, void (*back)(const Field *f, const char *first_name))
{
	Object *o = &l->object;
	json_object *list = describes(o);

	for (int i = o->n_fields - 1; i >= 0; i--)
		while (o->fields[i].n_hidden > 0)
			schema_show(&o->fields[i], o->fields[i].hidden[0]);
	if (l->first == NULL)
		return;
	while (o->n_fields > l->n_first)
	{
		Field *f = &o->fields[o->n_fields - 1];

		back(f, NULL);
		free_lists(f);
		l->sandbox[f->index] = NULL;
		json_object_array_del_idx(list, (size_t) f->index, 1);
		memset(f, 0, sizeof(*f));
		o->n_fields--;
	}
	for (int i = 0; i < l->n_first; i++)
	{
		Field *f = &o->fields[i];

		if (strcmp(f->name, l->first[i].name) != 0)
			back(f, l->first[i].name);
		free_lists(f);
		*f = l->first[i];
		json_object_array_put_idx(list, (size_t) i, l->first_describes[i]);
	}
	free(l->first);
	free(l->first_describes);
	l->first = NULL;
	l->first_describes = NULL;
	l->n_first = 0;
	changed();
}

void
schema_restore(void (*back)(const Field *f, const char *first_name))
{
	schema_allow_all();
	for (int i = 0; i < schema_count(); i++)
		restore(schema_loaded(schema_object(i)), back);
}
