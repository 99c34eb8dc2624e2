/*
 * schema_defaults.c - fills in what an object's file leaves out, so that a describe is always
 * complete.
 *
 * Owns: what Salesforce says of a field of a given type when nothing else is known.
 * Must not know: SQLite, HTTP.
 */
#include <stdlib.h>
#include <string.h>

#include "schema_internal.h"

/* The flags whose default depends on the type. */
#define A 1	  /* aggregatable */
#define Fl 2  /* filterable */
#define G 4	  /* groupable */
#define So 8  /* sortable */
#define N 16  /* nillable */
#define C 32  /* createable */
#define U 64  /* updateable */
#define P 128 /* permissionable */
#define AFGS (A | Fl | G | So)
#define NCUP (N | C | U | P)

typedef struct TypeInfo
{
	FieldType type;
	const char *name;
	const char *soap;
	int flags;
	int length;
	int bytes; /* bytes per character: 0 where length does not apply */
} TypeInfo;

static const TypeInfo types[] = {
	{FT_ID, "id", "tns:ID", AFGS, 18, 1},
	{FT_REFERENCE, "reference", "tns:ID", AFGS | NCUP, 18, 1},
	{FT_STRING, "string", "xsd:string", AFGS | NCUP, 255, 3},
	{FT_TEXTAREA, "textarea", "xsd:string", AFGS | NCUP, 255, 3},
	{FT_PICKLIST, "picklist", "xsd:string", AFGS | NCUP, 255, 3},
	{FT_MULTIPICKLIST, "multipicklist", "xsd:string", Fl | NCUP, 4099, 1},
	{FT_COMBOBOX, "combobox", "xsd:string", AFGS | NCUP, 255, 3},
	{FT_EMAIL, "email", "xsd:string", AFGS | NCUP, 80, 3},
	{FT_PHONE, "phone", "xsd:string", AFGS | NCUP, 40, 3},
	{FT_URL, "url", "xsd:string", AFGS | NCUP, 255, 3},
	{FT_ENCRYPTED, "encryptedstring", "xsd:string", NCUP, 175, 3},
	{FT_BOOLEAN, "boolean", "xsd:boolean", Fl | G | So | C | U | P, 0, 0},
	{FT_INT, "int", "xsd:int", AFGS | NCUP, 0, 0},
	{FT_LONG, "long", "xsd:long", AFGS | NCUP, 0, 0},
	{FT_DOUBLE, "double", "xsd:double", A | Fl | So | NCUP, 0, 0},
	{FT_CURRENCY, "currency", "xsd:double", A | Fl | So | NCUP, 0, 0},
	{FT_PERCENT, "percent", "xsd:double", A | Fl | So | NCUP, 0, 0},
	{FT_DATE, "date", "xsd:date", AFGS | NCUP, 0, 0},
	{FT_DATETIME, "datetime", "xsd:dateTime", A | Fl | So | NCUP, 0, 0},
	{FT_TIME, "time", "xsd:time", Fl | So | NCUP, 0, 0},
	{FT_BASE64, "base64", "xsd:base64Binary", NCUP, 0, 0},
	{FT_ADDRESS, "address", "urn:address", Fl | N, 0, 0},
	{FT_LOCATION, "location", "urn:location", Fl | N | P, 0, 0},
	{FT_ANYTYPE, "anyType", "xsd:anyType", N, 0, 0},
	{FT_COMPLEX, "complexvalue", "urn:RecordTypesSupported", N, 0, 0},
};

static const TypeInfo *
type_info(const char *name)
{
	size_t i;

	for (i = 0; i < sizeof(types) / sizeof(types[0]); i++)
		if (strcmp(types[i].name, name) == 0)
			return &types[i];
	return NULL;
}

bool
schema_type(const char *name, FieldType *type)
{
	const TypeInfo *t = type_info(name);

	if (t)
		*type = t->type;
	return t != NULL;
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

/* Takes the value of the file where it has one, the default (whose reference it consumes)
 * otherwise. */
static void
put(json_object *out, json_object *raw, const char *key, json_object *otherwise)
{
	json_object *v;

	if (json_object_object_get_ex(raw, key, &v))
	{
		json_object_put(otherwise);
		otherwise = json_object_get(v);
	}
	json_object_object_add(out, key, otherwise);
}

static void
put_bool(json_object *out, json_object *raw, const char *key, bool otherwise)
{
	put(out, raw, key, json_object_new_boolean(otherwise));
}

static void
put_int(json_object *out, json_object *raw, const char *key, int otherwise)
{
	put(out, raw, key, json_object_new_int(otherwise));
}

static void
put_str(json_object *out, json_object *raw, const char *key, const char *otherwise)
{
	put(out, raw, key, otherwise ? json_object_new_string(otherwise) : NULL);
}

static bool
ends_with(const char *s, const char *tail)
{
	size_t n = strlen(s);
	size_t m = strlen(tail);

	return n >= m && strcmp(s + n - m, tail) == 0;
}

static bool
is_system(const char *name)
{
	static const char *const names[] = {"Id",
										"IsDeleted",
										"CreatedDate",
										"CreatedById",
										"LastModifiedDate",
										"LastModifiedById",
										"SystemModstamp"};
	size_t i;

	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strcmp(names[i], name) == 0)
			return true;
	return false;
}

/* What a dotted path uses: AccountId -> Account, Account__c -> Account__r. */
static char *
relationship_of(const char *field)
{
	char *s;

	if (!ends_with(field, "Id") && !ends_with(field, "__c"))
		return NULL;
	s = strdup(field);
	if (ends_with(field, "__c"))
		s[strlen(s) - 1] = 'r';
	else
		s[strlen(s) - 2] = '\0';
	return s;
}

static int
flags_of(json_object *raw, const TypeInfo *t, int length)
{
	int flags = t->flags;

	if (t->type == FT_TEXTAREA && length > 255)
		flags &= ~AFGS;
	if (get_bool(raw, "calculated"))
	{
		flags &= ~(C | U);
		if (t->type != FT_BOOLEAN && t->type != FT_DATE)
			flags &= ~G;
	}
	if (get_bool(raw, "autoNumber"))
		flags &= ~(C | U | G | N);
	if (is_system(get_str(raw, "name")))
		flags &= ~NCUP;
	return flags;
}

static json_object *
complete_picklist(json_object *raw)
{
	json_object *out = json_object_new_array();
	json_object *list = get(raw, "picklistValues");
	size_t n = list ? json_object_array_length(list) : 0;
	size_t i;

	for (i = 0; i < n; i++)
	{
		json_object *v = json_object_array_get_idx(list, i);
		json_object *o = json_object_new_object();

		put_bool(o, v, "active", true);
		put_bool(o, v, "defaultValue", false);
		put_str(o, v, "label", get_str(v, "value"));
		put_str(o, v, "validFor", NULL);
		put_str(o, v, "value", "");
		json_object_array_add(out, o);
	}
	return out;
}

static const char *
extra_type(const TypeInfo *t, json_object *raw)
{
	if (t->type != FT_TEXTAREA)
		return NULL;
	return get_bool(raw, "htmlFormatted") ? "richtextarea" : "plaintextarea";
}

static int
default_precision(const TypeInfo *t)
{
	if (t->type == FT_DOUBLE || t->type == FT_CURRENCY || t->type == FT_PERCENT)
		return 18;
	return t->type == FT_MULTIPICKLIST ? 4 : 0;
}

json_object *
schema_complete_field(json_object *raw, const char *object)
{
	json_object *o = json_object_new_object();
	const char *name = get_str(raw, "name");
	const char *type = get_str(raw, "type");
	const TypeInfo *t = type ? type_info(type) : NULL;
	json_object *targets = get(raw, "referenceTo");
	bool many = targets && json_object_array_length(targets) > 1;
	bool encrypted;
	bool number;
	char *relationship;
	int length;
	int flags;

	if (!name || !t)
		schema_die("%s.%s: a field needs a name and a known type", object, name ? name : "?");
	length = get(raw, "length") ? json_object_get_int(get(raw, "length")) : t->length;
	flags = flags_of(raw, t, length);
	encrypted = t->type == FT_ENCRYPTED;
	number = t->type == FT_DOUBLE || t->type == FT_CURRENCY || t->type == FT_PERCENT;
	relationship = t->type == FT_REFERENCE ? relationship_of(name) : NULL;

	put_bool(o, raw, "aggregatable", flags & A);
	put_bool(o, raw, "aiPredictionField", false);
	put_bool(o, raw, "autoNumber", false);
	put_int(o, raw, "byteLength", length * t->bytes);
	put_bool(o, raw, "calculated", false);
	put_str(o, raw, "calculatedFormula", NULL);
	put_bool(o, raw, "cascadeDelete", false);
	put_bool(o, raw, "caseSensitive", false);
	put_str(o, raw, "compoundFieldName", NULL);
	put_str(o, raw, "controllerName", NULL);
	put_bool(o, raw, "createable", flags & C);
	put_bool(o, raw, "custom", ends_with(name, "__c") || ends_with(name, "__s"));
	put(o, raw, "defaultValue", t->type == FT_BOOLEAN ? json_object_new_boolean(false) : NULL);
	put_str(o, raw, "defaultValueFormula", NULL);
	put_bool(o, raw, "defaultedOnCreate",
			 t->type == FT_BOOLEAN || is_system(name) || get_bool(raw, "autoNumber"));
	put_bool(o, raw, "dependentPicklist", false);
	put_bool(o, raw, "deprecatedAndHidden", false);
	put_int(o, raw, "digits", t->type == FT_INT ? 9 : 0);
	put_bool(o, raw, "displayLocationInDecimal", t->type == FT_LOCATION);
	put_bool(o, raw, "encrypted", encrypted);
	put_bool(o, raw, "externalId", false);
	put_str(o, raw, "extraTypeInfo", extra_type(t, raw));
	put_bool(o, raw, "filterable", flags & Fl);
	put_str(o, raw, "filteredLookupInfo", NULL);
	put_bool(o, raw, "formulaTreatNullNumberAsZero", false);
	put_bool(o, raw, "groupable", flags & G);
	put_bool(o, raw, "highScaleNumber", false);
	put_bool(o, raw, "htmlFormatted", false);
	put_bool(o, raw, "idLookup", t->type == FT_ID || get_bool(raw, "externalId"));
	put_str(o, raw, "inlineHelpText", NULL);
	put_str(o, raw, "label", name);
	put_int(o, raw, "length", length);
	put_str(o, raw, "mask", encrypted ? "*" : NULL);
	put_str(o, raw, "maskType", encrypted ? "all" : NULL);
	put_str(o, raw, "name", name);
	put_bool(o, raw, "nameField", false);
	put_bool(o, raw, "namePointing", many);
	put_bool(o, raw, "nillable", flags & N);
	put_bool(o, raw, "permissionable", flags & P);
	json_object_object_add(o, "picklistValues", complete_picklist(raw));
	put_bool(o, raw, "polymorphicForeignKey", many);
	put_int(o, raw, "precision", default_precision(t));
	put_bool(o, raw, "queryByDistance", t->type == FT_ADDRESS || t->type == FT_LOCATION);
	put_str(o, raw, "referenceTargetField", NULL);
	put(o, raw, "referenceTo", json_object_new_array());
	put_str(o, raw, "relationshipName", relationship);
	put_str(o, raw, "relationshipOrder", NULL);
	put_bool(o, raw, "restrictedDelete", false);
	put_bool(o, raw, "restrictedPicklist", false);
	put_int(o, raw, "scale", number ? 2 : 0);
	put_bool(o, raw, "searchPrefilterable", t->type == FT_REFERENCE);
	put_str(o, raw, "soapType", t->soap);
	put_bool(o, raw, "sortable", flags & So);
	put_str(o, raw, "type", type);
	put_bool(o, raw, "unique", false);
	put_bool(o, raw, "updateable", flags & U);
	put_bool(o, raw, "writeRequiresMasterRead", false);
	free(relationship);
	return o;
}

static void
add_url(json_object *urls, const char *key, const char *object, const char *tail)
{
	Buf b;

	buf_init(&b);
	buf_addf(&b, "/services/data/v%s/sobjects/%s%s", SCHEMA_VERSION_MARK, object, tail);
	json_object_object_add(urls, key, json_object_new_string(b.data));
	buf_free(&b);
}

static json_object *
make_urls(const char *name, bool layouts)
{
	json_object *urls = json_object_new_object();

	if (layouts)
	{
		add_url(urls, "compactLayouts", name, "/describe/compactLayouts");
		add_url(urls, "approvalLayouts", name, "/describe/approvalLayouts");
		add_url(urls, "listviews", name, "/listviews");
		add_url(urls, "quickActions", name, "/quickActions");
		add_url(urls, "layouts", name, "/describe/layouts");
	}
	add_url(urls, "rowTemplate", name, "/{ID}");
	add_url(urls, "describe", name, "/describe");
	add_url(urls, "sobject", name, "");
	return urls;
}

/* The record types of the file, or the master record type that every object has. */
static json_object *
complete_record_types(json_object *raw, const char *name)
{
	json_object *out = json_object_new_array();
	json_object *list = get(raw, "recordTypeInfos");
	size_t n = list ? json_object_array_length(list) : 0;
	json_object *none = json_object_new_object();
	size_t i;

	for (i = 0; i < (n ? n : 1); i++)
	{
		json_object *v = n ? json_object_array_get_idx(list, i) : none;
		json_object *o = json_object_new_object();
		json_object *urls = json_object_new_object();
		Buf tail;

		put_bool(o, v, "active", true);
		put_bool(o, v, "available", true);
		put_bool(o, v, "defaultRecordTypeMapping", n == 0);
		put_str(o, v, "developerName", "Master");
		put_bool(o, v, "master", n == 0);
		put_str(o, v, "name", "Master");
		put_str(o, v, "recordTypeId", "012000000000000AAA");
		buf_init(&tail);
		buf_addf(&tail, "/describe/layouts/%s", get_str(o, "recordTypeId"));
		add_url(urls, "layout", name, tail.data);
		buf_free(&tail);
		json_object_object_add(o, "urls", urls);
		json_object_array_add(out, o);
	}
	json_object_put(none);
	return out;
}

static json_object *
default_scopes(const char *name, bool owner)
{
	json_object *list = json_object_new_array();
	json_object *o = json_object_new_object();
	Buf b;

	buf_init(&b);
	buf_addf(&b, "All %s", name);
	json_object_object_add(o, "label", json_object_new_string(b.data));
	json_object_object_add(o, "name", json_object_new_string("everything"));
	json_object_array_add(list, o);
	if (owner)
	{
		buf_clear(&b);
		buf_addf(&b, "My %s", name);
		o = json_object_new_object();
		json_object_object_add(o, "label", json_object_new_string(b.data));
		json_object_object_add(o, "name", json_object_new_string("mine"));
		json_object_array_add(list, o);
	}
	buf_free(&b);
	return list;
}

static json_object *
complete_fields(json_object *raw, const char *name, bool *has_owner)
{
	json_object *list = get(raw, "fields");
	json_object *fields = json_object_new_array();
	size_t i;

	for (i = 0; list && i < json_object_array_length(list); i++)
	{
		json_object *f = schema_complete_field(json_object_array_get_idx(list, i), name);

		if (strcmp(get_str(f, "name"), "OwnerId") == 0)
			*has_owner = true;
		json_object_array_add(fields, f);
	}
	return fields;
}

json_object *
schema_complete(json_object *raw, const char *file)
{
	json_object *o = json_object_new_object();
	const char *name = get_str(raw, "name");
	bool custom = name && ends_with(name, "__c");
	bool has_owner = false;
	json_object *fields;
	const char *label;

	if (!name)
		schema_die("%s: an object needs a name", file);
	fields = complete_fields(raw, name, &has_owner);
	if (json_object_array_length(fields) == 0)
		schema_die("%s: an object needs fields", file);
	label = get_str(raw, "labelPlural") ? get_str(raw, "labelPlural") : name;

	put(o, raw, "actionOverrides", json_object_new_array());
	put_bool(o, raw, "activateable", false);
	put_str(o, raw, "associateEntityType", NULL);
	put_str(o, raw, "associateParentEntity", NULL);
	json_object_object_add(o, "childRelationships", json_object_new_array());
	put_bool(o, raw, "compactLayoutable", true);
	put_bool(o, raw, "createable", true);
	put_bool(o, raw, "custom", custom);
	put_bool(o, raw, "customSetting", false);
	put_bool(o, raw, "deepCloneable", false);
	put_str(o, raw, "defaultImplementation", NULL);
	put_bool(o, raw, "deletable", true);
	put_bool(o, raw, "deprecatedAndHidden", false);
	put_str(o, raw, "extendedBy", NULL);
	put_str(o, raw, "extendsInterfaces", NULL);
	put_bool(o, raw, "feedEnabled", false);
	json_object_object_add(o, "fields", fields);
	put_bool(o, raw, "hasSubtypes", false);
	put_str(o, raw, "implementedBy", NULL);
	put_str(o, raw, "implementsInterfaces", NULL);
	put_bool(o, raw, "isInterface", false);
	put_bool(o, raw, "isSubtype", false);
	put_str(o, raw, "keyPrefix", NULL);
	put_str(o, raw, "label", name);
	put_str(o, raw, "labelPlural", name);
	put_bool(o, raw, "layoutable", true);
	put_str(o, raw, "listviewable", NULL);
	put_str(o, raw, "lookupLayoutable", NULL);
	put_bool(o, raw, "mergeable", false);
	put_bool(o, raw, "mruEnabled", true);
	put_str(o, raw, "name", name);
	put(o, raw, "namedLayoutInfos", json_object_new_array());
	put_str(o, raw, "networkScopeFieldName", NULL);
	put_bool(o, raw, "queryable", true);
	json_object_object_add(o, "recordTypeInfos", complete_record_types(raw, name));
	put_bool(o, raw, "replicateable", true);
	put_bool(o, raw, "retrieveable", true);
	put_bool(o, raw, "searchLayoutable", true);
	put_bool(o, raw, "searchable", true);
	put_str(o, raw, "sobjectDescribeOption", "FULL");
	put(o, raw, "supportedScopes", default_scopes(label, has_owner));
	put_bool(o, raw, "triggerable", true);
	put_bool(o, raw, "undeletable", true);
	put_bool(o, raw, "updateable", true);
	json_object_object_add(o, "urls", make_urls(name, get_bool(o, "layoutable")));
	return o;
}

json_object *
schema_child_entry(const char *child, const char *field, const char *relationship, bool cascade,
				   bool restricted)
{
	json_object *o = json_object_new_object();

	json_object_object_add(o, "cascadeDelete", json_object_new_boolean(cascade));
	json_object_object_add(o, "childSObject", json_object_new_string(child));
	json_object_object_add(o, "deprecatedAndHidden", json_object_new_boolean(false));
	json_object_object_add(o, "field", json_object_new_string(field));
	json_object_object_add(o, "junctionIdListNames", json_object_new_array());
	json_object_object_add(o, "junctionReferenceTo", json_object_new_array());
	json_object_object_add(o, "relationshipName",
						   relationship ? json_object_new_string(relationship) : NULL);
	json_object_object_add(o, "restrictedDelete", json_object_new_boolean(restricted));
	return o;
}
