/*
 * schema.c - loads the objects, and finds and describes them.
 *
 * Owns: the Object and Field structs, which live until the program ends.
 * Must not know: SQLite, HTTP.
 */
#include <dirent.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "schema_internal.h"

static Loaded *loaded;
static int n_loaded;

void
schema_die(const char *fmt, ...)
{
	va_list ap;

	fprintf(stderr, "sandbox: ");
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fprintf(stderr, "\n");
	exit(1);
}

static void *
zalloc(size_t n, size_t size)
{
	void *p = calloc(n ? n : 1, size);

	if (!p)
		schema_die("out of memory");
	return p;
}

static json_object *
get(json_object *o, const char *key)
{
	json_object *v = NULL;

	json_object_object_get_ex(o, key, &v);
	return v;
}

static const char *
get_str(json_object *o, const char *key)
{
	return json_object_get_string(get(o, key));
}

static bool
get_bool(json_object *o, const char *key)
{
	return json_object_get_boolean(get(o, key));
}

static int
get_int(json_object *o, const char *key)
{
	return json_object_get_int(get(o, key));
}

static void
fill_flags(Field *f, json_object *d)
{
	f->aggregatable = get_bool(d, "aggregatable");
	f->auto_number = get_bool(d, "autoNumber");
	f->calculated = get_bool(d, "calculated");
	f->case_sensitive = get_bool(d, "caseSensitive");
	f->cascade_delete = get_bool(d, "cascadeDelete");
	f->createable = get_bool(d, "createable");
	f->custom = get_bool(d, "custom");
	f->defaulted_on_create = get_bool(d, "defaultedOnCreate");
	f->external_id = get_bool(d, "externalId");
	f->filterable = get_bool(d, "filterable");
	f->groupable = get_bool(d, "groupable");
	f->html_formatted = get_bool(d, "htmlFormatted");
	f->id_lookup = get_bool(d, "idLookup");
	f->name_field = get_bool(d, "nameField");
	f->name_pointing = get_bool(d, "namePointing");
	f->nillable = get_bool(d, "nillable");
	f->polymorphic = get_bool(d, "polymorphicForeignKey");
	f->restricted_delete = get_bool(d, "restrictedDelete");
	f->restricted_picklist = get_bool(d, "restrictedPicklist");
	f->sortable = get_bool(d, "sortable");
	f->unique = get_bool(d, "unique");
	f->updateable = get_bool(d, "updateable");
}

static void
fill_lists(Field *f, json_object *d)
{
	json_object *list = get(d, "referenceTo");
	int i;

	f->n_reference_to = json_object_array_length(list);
	f->reference_to = zalloc(f->n_reference_to, sizeof(char *));
	for (i = 0; i < f->n_reference_to; i++)
		f->reference_to[i] = json_object_get_string(json_object_array_get_idx(list, i));
	list = get(d, "picklistValues");
	f->n_picklist = json_object_array_length(list);
	f->picklist = zalloc(f->n_picklist, sizeof(PicklistValue));
	for (i = 0; i < f->n_picklist; i++)
	{
		json_object *v = json_object_array_get_idx(list, i);

		f->picklist[i].value = get_str(v, "value");
		f->picklist[i].label = get_str(v, "label");
		f->picklist[i].active = get_bool(v, "active");
		f->picklist[i].default_value = get_bool(v, "defaultValue");
		if (f->picklist[i].default_value && !f->default_value)
			f->default_value = f->picklist[i].value;
	}
}

void
schema_fill_field(Field *f, json_object *d, json_object *extra)
{
	f->name = get_str(d, "name");
	f->type_name = get_str(d, "type");
	schema_type(f->type_name, &f->type);
	f->stored = f->type != FT_ADDRESS && f->type != FT_LOCATION;
	f->length = get_int(d, "length");
	f->precision = get_int(d, "precision");
	f->scale = get_int(d, "scale");
	f->digits = get_int(d, "digits");
	f->compound = get_str(d, "compoundFieldName");
	f->relationship = get_str(d, "relationshipName");
	f->default_value = get_str(d, "defaultValue");
	f->mask = get_str(d, "mask");
	f->mask_type = get_str(d, "maskType");
	f->formula_sql = get_str(extra, "formula");
	f->number_format = get_str(extra, "numberFormat");
	fill_flags(f, d);
	fill_lists(f, d);
}

static void
load_object(Loaded *l, const char *file, const char *text)
{
	enum json_tokener_error err;
	Object *o = &l->object;
	json_object *d;
	json_object *fields;
	json_object *raw_fields;
	int i;

	l->raw = json_tokener_parse_verbose(text, &err);
	if (!l->raw || !json_object_is_type(l->raw, json_type_object))
		schema_die("%s: %s", file, json_tokener_error_desc(err));
	d = o->describe = schema_complete(l->raw, file);
	o->name = get_str(d, "name");
	o->label = get_str(d, "label");
	o->label_plural = get_str(d, "labelPlural");
	o->key_prefix = get_str(d, "keyPrefix");
	o->createable = get_bool(d, "createable");
	o->updateable = get_bool(d, "updateable");
	o->deletable = get_bool(d, "deletable");
	o->undeletable = get_bool(d, "undeletable");
	o->queryable = get_bool(d, "queryable");
	o->retrieveable = get_bool(d, "retrieveable");
	o->replicateable = get_bool(d, "replicateable");
	o->searchable = get_bool(d, "searchable");
	o->custom = get_bool(d, "custom");
	o->mergeable = get_bool(d, "mergeable");
	o->triggerable = get_bool(d, "triggerable");
	fields = get(d, "fields");
	raw_fields = get(l->raw, "fields");
	o->n_fields = json_object_array_length(fields);
	o->fields = zalloc(o->n_fields + SCHEMA_SPARE, sizeof(Field));
	l->sandbox = zalloc(o->n_fields + SCHEMA_SPARE, sizeof(json_object *));
	for (i = 0; i < o->n_fields; i++)
	{
		Field *f = &o->fields[i];

		l->sandbox[i] = get(json_object_array_get_idx(raw_fields, i), "sandbox");
		schema_fill_field(f, json_object_array_get_idx(fields, i), l->sandbox[i]);
		f->index = i;
		if (f->name_field)
			o->name_field = f;
	}
}

/* The name that a lookup gives its rows as seen from the parent; malloc'ed, or NULL. */
static char *
child_name(const Loaded *l, const Field *f)
{
	const char *given = get_str(l->sandbox[f->index], "childRelationship");
	Buf b;
	const char *p;

	if (given)
		return strdup(given);
	if (!f->custom)
		return NULL;
	buf_init(&b);
	for (p = l->object.label_plural; *p; p++)
		buf_addc(&b, *p == ' ' ? '_' : *p);
	buf_adds(&b, "__r");
	return buf_detach(&b);
}

/* What the parent's own file says of this child relationship, or NULL. */
static json_object *
explicit_child(const Loaded *parent, const char *child, const char *field)
{
	json_object *list = get(parent->raw, "childRelationships");
	size_t n = list ? json_object_array_length(list) : 0;
	size_t i;

	for (i = 0; i < n; i++)
	{
		json_object *v = json_object_array_get_idx(list, i);
		const char *c = get_str(v, "childSObject");
		const char *f = get_str(v, "field");

		if (c && f && strcmp(c, child) == 0 && strcmp(f, field) == 0)
			return v;
	}
	return NULL;
}

static void
add_child(Loaded *parent, const Loaded *child, const Field *f)
{
	Object *o = &parent->object;
	json_object *list = get(o->describe, "childRelationships");
	json_object *entry = explicit_child(parent, child->object.name, f->name);
	ChildRelationship *c;
	char *name;

	if (entry)
		entry = json_object_get(entry);
	else
	{
		name = child_name(child, f);
		entry = schema_child_entry(child->object.name, f->name, name, f->cascade_delete,
								   f->restricted_delete);
		free(name);
	}
	json_object_array_add(list, entry);
	o->children = realloc(o->children, (o->n_children + 1) * sizeof(ChildRelationship));
	c = &o->children[o->n_children++];
	c->child = child->object.name;
	c->field = f->name;
	c->relationship = get_str(entry, "relationshipName");
	c->cascade_delete = get_bool(entry, "cascadeDelete");
	c->restricted_delete = get_bool(entry, "restrictedDelete");
}

/* Child relationships follow from the lookups of all objects; a parent's file may say more. */
static void
link_children(Loaded *parent)
{
	json_object *given = get(parent->raw, "childRelationships");
	json_object *list = get(parent->object.describe, "childRelationships");
	size_t n = given ? json_object_array_length(given) : 0;
	size_t g;
	int i;
	int j;
	int k;

	for (i = 0; i < n_loaded; i++)
		for (j = 0; j < loaded[i].object.n_fields; j++)
		{
			const Field *f = &loaded[i].object.fields[j];

			for (k = 0; k < f->n_reference_to; k++)
				if (strcmp(f->reference_to[k], parent->object.name) == 0)
					add_child(parent, &loaded[i], f);
		}
	for (g = 0; g < n; g++)
	{
		json_object *v = json_object_array_get_idx(given, g);
		const char *child = get_str(v, "childSObject");

		if (child && !schema_find(child, strlen(child)))
			json_object_array_add(list, json_object_get(v));
	}
}

static char *
render_global(json_object *describe)
{
	static const char *const keys[] = {"activateable",
									   "associateEntityType",
									   "associateParentEntity",
									   "createable",
									   "custom",
									   "customSetting",
									   "deepCloneable",
									   "deletable",
									   "deprecatedAndHidden",
									   "feedEnabled",
									   "hasSubtypes",
									   "isInterface",
									   "isSubtype",
									   "keyPrefix",
									   "label",
									   "labelPlural",
									   "layoutable",
									   "mergeable",
									   "mruEnabled",
									   "name",
									   "queryable",
									   "replicateable",
									   "retrieveable",
									   "searchable",
									   "triggerable",
									   "undeletable",
									   "updateable",
									   "urls"};
	json_object *o = json_object_new_object();
	char *text;
	size_t i;

	for (i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
		json_object_object_add(o, keys[i], json_object_get(get(describe, keys[i])));
	text = strdup(
		json_object_to_json_string_ext(o, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE));
	json_object_put(o);
	return text;
}

static int
by_name(const void *a, const void *b)
{
	return strcasecmp(((const Loaded *) a)->object.name, ((const Loaded *) b)->object.name);
}

static void
load_text(const char *file, const char *text)
{
	loaded = realloc(loaded, (n_loaded + 1) * sizeof(Loaded));
	if (!loaded)
		schema_die("out of memory");
	memset(&loaded[n_loaded], 0, sizeof(Loaded));
	load_object(&loaded[n_loaded++], file, text);
}

static void
load_dir(const char *dir)
{
	DIR *d = opendir(dir);
	struct dirent *e;
	Buf path;
	Buf text;

	if (!d)
		schema_die("cannot open folder %s", dir);
	buf_init(&path);
	buf_init(&text);
	while ((e = readdir(d)) != NULL)
	{
		size_t n = strlen(e->d_name);
		char chunk[8192];
		size_t got;
		FILE *in;

		if (n < 6 || strcmp(e->d_name + n - 5, ".json") != 0)
			continue;
		buf_clear(&path);
		buf_addf(&path, "%s/%s", dir, e->d_name);
		in = fopen(path.data, "r");
		if (!in)
			schema_die("cannot read %s", path.data);
		buf_clear(&text);
		while ((got = fread(chunk, 1, sizeof(chunk), in)) > 0)
			buf_add(&text, chunk, got);
		fclose(in);
		load_text(path.data, text.data ? text.data : "");
	}
	closedir(d);
	buf_free(&path);
	buf_free(&text);
}

void
schema_load(const char *dir)
{
	int i;
	int j;

	if (dir)
		load_dir(dir);
	else
		for (i = 0; schema_embedded[i]; i += 2)
			load_text(schema_embedded[i], schema_embedded[i + 1]);
	if (n_loaded == 0)
		schema_die("no objects in %s", dir ? dir : "the program");
	qsort(loaded, n_loaded, sizeof(Loaded), by_name);
	for (i = 0; i < n_loaded; i++)
	{
		loaded[i].object.index = i;
		for (j = 0; j < loaded[i].object.n_fields; j++)
			loaded[i].object.fields[j].object = &loaded[i].object;
		if (i > 0 && by_name(&loaded[i - 1], &loaded[i]) == 0)
			schema_die("object %s is there twice", loaded[i].object.name);
	}
	for (i = 0; i < n_loaded; i++)
		link_children(&loaded[i]);
	for (i = 0; i < n_loaded; i++)
	{
		json_object *d = loaded[i].object.describe;

		loaded[i].text = strdup(json_object_to_json_string_ext(
			d, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE));
		loaded[i].global = render_global(d);
	}
}

int
schema_count(void)
{
	return n_loaded;
}

Object *
schema_object(int index)
{
	return index >= 0 && index < n_loaded ? &loaded[index].object : NULL;
}

static bool
same_name(const char *have, const char *name, size_t len)
{
	/* most names differ in their first letter, and a write asks for many */
	return have && ((*have ^ *name) & ~0x20) == 0 && strncasecmp(have, name, len) == 0 &&
		   have[len] == '\0';
}

Object *
schema_find(const char *name, size_t len)
{
	int i;

	for (i = 0; i < n_loaded; i++)
		if (same_name(loaded[i].object.name, name, len))
			return &loaded[i].object;
	return NULL;
}

Object *
schema_by_prefix(const char *id)
{
	int i;

	for (i = 0; i < n_loaded; i++)
		if (loaded[i].object.key_prefix && strncmp(loaded[i].object.key_prefix, id, 3) == 0)
			return &loaded[i].object;
	return NULL;
}

Field *
schema_field(const Object *o, const char *name, size_t len)
{
	int i;

	for (i = 0; i < o->n_fields; i++)
		if (same_name(o->fields[i].name, name, len))
			return &o->fields[i];
	return NULL;
}

Field *
schema_seen_field(const Object *o, const char *name, size_t len)
{
	Field *f = schema_field(o, name, len);

	return f && schema_seen(f) ? f : NULL;
}

Field *
schema_relationship(const Object *o, const char *name, size_t len)
{
	int i;

	for (i = 0; i < o->n_fields; i++)
		if (same_name(o->fields[i].relationship, name, len) && schema_seen(&o->fields[i]))
			return &o->fields[i];
	return NULL;
}

const ChildRelationship *
schema_child(const Object *o, const char *name, size_t len)
{
	int i;

	for (i = 0; i < o->n_children; i++)
		if (same_name(o->children[i].relationship, name, len))
			return &o->children[i];
	return NULL;
}

Loaded *
schema_loaded(const Object *o)
{
	return &loaded[o->index];
}

json_object *
schema_sandbox(const Field *f)
{
	return loaded[f->object->index].sandbox[f->index];
}

/* An object's, or a field's, entry in a describe, without what the user at hand may not do. */
static json_object *
allowed(json_object *entry, bool create, bool edit, bool delete)
{
	json_object *o;

	if (create && edit && delete)
		return json_object_get(entry);
	o = json_object_new_object();
	json_object_object_foreach(entry, key, v)
	{
		bool off = (!create && strcmp(key, "createable") == 0) ||
				   (!edit && strcmp(key, "updateable") == 0) ||
				   (!delete &&(strcmp(key, "deletable") == 0 || strcmp(key, "undeletable") == 0));

		json_object_object_add(o, key, off ? json_object_new_boolean(false) : json_object_get(v));
	}
	return o;
}

static json_object *
allowed_object(const Object *o, json_object *entry)
{
	return allowed(entry, schema_may(ACCESS_CREATE, o, NULL), schema_may(ACCESS_EDIT, o, NULL),
				   schema_may(ACCESS_DELETE, o, NULL));
}

/* The describe as the user at hand sees it; released by json_object_put(). */
static json_object *
seen_describe(const Loaded *l)
{
	const Object *object = &l->object;
	json_object *all = get(object->describe, "fields");
	json_object *seen = json_object_new_array();
	json_object *o = json_object_new_object();
	json_object *top = allowed_object(object, object->describe);

	for (int i = 0; i < object->n_fields; i++)
	{
		bool write = schema_may(ACCESS_WRITE, object, &object->fields[i]);

		if (schema_seen(&object->fields[i]))
			json_object_array_add(seen,
								  allowed(json_object_array_get_idx(all, i),
										  write && schema_may(ACCESS_CREATE, object, NULL),
										  write && schema_may(ACCESS_EDIT, object, NULL), true));
	}
	json_object_object_foreach(top, key, v)
	{
		json_object_object_add(o, key, strcmp(key, "fields") == 0 ? seen : json_object_get(v));
	}
	json_object_put(top);
	return o;
}

/* Copies text, with the version where the marks are. */
static void
add_versioned(Buf *out, const char *text, const char *version)
{
	const char *mark;

	while ((mark = strstr(text, SCHEMA_VERSION_MARK)) != NULL)
	{
		buf_add(out, text, mark - text);
		buf_adds(out, version);
		text = mark + strlen(SCHEMA_VERSION_MARK);
	}
	buf_adds(out, text);
}

/* The entry in the list of all objects, likewise. */
static void
put_global(Buf *out, const Loaded *l, const char *version)
{
	json_object *all;
	json_object *o;

	if (!schema_hides())
	{
		add_versioned(out, l->global, version);
		return;
	}
	all = json_tokener_parse(l->global);
	o = allowed_object(&l->object, all);
	add_versioned(
		out,
		json_object_to_json_string_ext(o, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE),
		version);
	json_object_put(o);
	json_object_put(all);
}

void
schema_describe_global(Buf *out, const char *version)
{
	bool any = false;
	int i;

	buf_adds(out, "{\"encoding\":\"UTF-8\",\"maxBatchSize\":200,\"sobjects\":[");
	for (i = 0; i < n_loaded; i++)
	{
		if (!schema_may(ACCESS_READ, &loaded[i].object, NULL))
			continue;
		if (any)
			buf_addc(out, ',');
		any = true;
		put_global(out, &loaded[i], version);
	}
	buf_adds(out, "]}");
}

void
schema_describe(Buf *out, const Object *o, const char *version)
{
	const Loaded *l = &loaded[o->index];
	json_object *d;

	if (l->first == NULL && !schema_hides())
	{
		add_versioned(out, l->text, version);
		return;
	}
	d = seen_describe(l);
	add_versioned(
		out,
		json_object_to_json_string_ext(d, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE),
		version);
	json_object_put(d);
}
