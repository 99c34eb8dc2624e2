/*
 * describe.c - what the org says about its objects, cached for the session.
 *
 * Owns: reading describeGlobal and describe, the cache, and asking for many at once.  Must not
 * know: SQL types, tables, who asks.
 */
#include "postgres.h"

#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"

#include "base/error.h"
#include "org/describe.h"
#include "org/json_call.h"
#include "wire/text.h"

/* API names are at most 80 bytes; twice that leaves room. */
#define KEY_SIZE 160

typedef struct DescribeCache
{
	MemoryContext cxt;
	List *global; /* NIL: not yet asked */
	HTAB *objects;
} DescribeCache;

typedef struct ObjectEntry
{
	char key[KEY_SIZE]; /* lower case */
	AmpsfObject *object;
} ObjectEntry;

static DescribeCache *
cache_of(AmpsfSession *session)
{
	void **slot = ampsf_session_slot(session, AMPSF_SLOT_DESCRIBE);
	DescribeCache *cache = *slot;

	if (cache == NULL)
	{
		MemoryContext cxt = AllocSetContextCreate(ampsf_session_context(session), "ampsf describe",
												  ALLOCSET_DEFAULT_SIZES);
		HASHCTL ctl = {0};

		cache = MemoryContextAllocZero(cxt, sizeof(DescribeCache));
		cache->cxt = cxt;
		ctl.keysize = KEY_SIZE;
		ctl.entrysize = sizeof(ObjectEntry);
		ctl.hcxt = cxt;
		cache->objects = hash_create("ampsf described objects", 64, &ctl,
									 HASH_ELEM | HASH_STRINGS | HASH_CONTEXT);
		*slot = cache;
	}
	return cache;
}

void
ampsf_describe_forget(AmpsfSession *session)
{
	void **slot = ampsf_session_slot(session, AMPSF_SLOT_DESCRIBE);
	DescribeCache *cache = *slot;

	*slot = NULL;
	if (cache)
		MemoryContextDelete(cache->cxt);
}

/* An API name as a key; one that cannot be an API name is cut, and so never found. */
static void
make_key(const char *name, char key[KEY_SIZE])
{
	int i;

	for (i = 0; i < KEY_SIZE - 1 && name[i]; i++)
		key[i] = pg_ascii_tolower((unsigned char) name[i]);
	memset(key + i, 0, KEY_SIZE - i);
}

static AmpsfObject *
cached_object(DescribeCache *cache, const char *name)
{
	char key[KEY_SIZE];
	ObjectEntry *entry;

	make_key(name, key);
	entry = hash_search(cache->objects, key, HASH_FIND, NULL);
	return entry ? entry->object : NULL;
}

/* A member as a copy in the current context, or NULL. */
static char *
dup_member(AmpsfJson *j, const char *key)
{
	const char *s = ampsf_json_string(j, key);

	return s ? pstrdup(s) : NULL;
}

static char *
need_member(AmpsfJson *j, const char *key, const char *of)
{
	char *s = dup_member(j, key);

	if (s == NULL || s[0] == '\0')
		ereport(ERROR, (errcode(ERRCODE_FDW_UNABLE_TO_CREATE_REPLY),
						errmsg("could not read the description of %s", of),
						errdetail("The answer has no \"%s\".", key)));
	return s;
}

static AmpsfField *
read_field(AmpsfJson *j, const char *object)
{
	AmpsfField *f = palloc0(sizeof(AmpsfField));
	AmpsfJson *list;
	int n;

	f->name = need_member(j, "name", object);
	f->type = need_member(j, "type", object);
	f->label = dup_member(j, "label");
	if (f->label == NULL)
		f->label = pstrdup(f->name);
	f->help = dup_member(j, "inlineHelpText");
	f->compound = dup_member(j, "compoundFieldName");
	f->relationship = dup_member(j, "relationshipName");
	f->length = (int) ampsf_json_int(j, "length", 0);
	f->precision = (int) ampsf_json_int(j, "precision", 0);
	f->scale = (int) ampsf_json_int(j, "scale", 0);
	f->digits = (int) ampsf_json_int(j, "digits", 0);
	/* What is not said is taken for the answer that promises less. */
	f->nillable = ampsf_json_bool(j, "nillable", true);
	f->createable = ampsf_json_bool(j, "createable", false);
	f->updateable = ampsf_json_bool(j, "updateable", false);
	f->filterable = ampsf_json_bool(j, "filterable", false);
	f->sortable = ampsf_json_bool(j, "sortable", false);
	f->groupable = ampsf_json_bool(j, "groupable", false);
	f->aggregatable = ampsf_json_bool(j, "aggregatable", false);
	f->case_sensitive = ampsf_json_bool(j, "caseSensitive", false);
	f->calculated = ampsf_json_bool(j, "calculated", false);
	f->auto_number = ampsf_json_bool(j, "autoNumber", false);
	f->external_id = ampsf_json_bool(j, "externalId", false);
	f->unique = ampsf_json_bool(j, "unique", false);
	f->id_lookup = ampsf_json_bool(j, "idLookup", false);
	f->name_field = ampsf_json_bool(j, "nameField", false);
	f->html = ampsf_json_bool(j, "htmlFormatted", false);
	f->restricted_picklist = ampsf_json_bool(j, "restrictedPicklist", false);
	f->defaulted_on_create = ampsf_json_bool(j, "defaultedOnCreate", false);
	f->encrypted = ampsf_json_bool(j, "encrypted", false);
	f->custom = ampsf_json_bool(j, "custom", false);

	list = ampsf_json_get(j, "referenceTo");
	n = ampsf_json_array_length(list);
	for (int i = 0; i < n; i++)
	{
		const char *s = ampsf_json_text(ampsf_json_array_get(list, i));

		if (s)
			f->reference_to = lappend(f->reference_to, pstrdup(s));
	}

	list = ampsf_json_get(j, "picklistValues");
	n = ampsf_json_array_length(list);
	for (int i = 0; i < n; i++)
	{
		AmpsfJson *v = ampsf_json_array_get(list, i);
		AmpsfPicklistValue *p;
		char *value = dup_member(v, "value");

		if (value == NULL)
			continue;
		p = palloc0(sizeof(AmpsfPicklistValue));
		p->value = value;
		p->label = dup_member(v, "label");
		p->active = ampsf_json_bool(v, "active", true);
		f->picklist = lappend(f->picklist, p);
	}
	return f;
}

/*
 * Names go into statements and paths without quotes.  Salesforce has none but API names; whatever
 * else an answer may hold cannot be asked for, so it does not exist here.
 */
static bool
has_api_name(AmpsfJson *j)
{
	const char *name = ampsf_json_string(j, "name");

	return name && strchr(name, '.') == NULL && ampsf_is_api_name(name, strlen(name));
}

static AmpsfObject *
read_object(AmpsfJson *j)
{
	AmpsfObject *o = palloc0(sizeof(AmpsfObject));
	AmpsfJson *fields;
	int n;

	o->name = need_member(j, "name", "an object");
	o->label = dup_member(j, "label");
	if (o->label == NULL)
		o->label = pstrdup(o->name);
	o->label_plural = dup_member(j, "labelPlural");
	o->key_prefix = dup_member(j, "keyPrefix");
	o->queryable = ampsf_json_bool(j, "queryable", false);
	o->createable = ampsf_json_bool(j, "createable", false);
	o->updateable = ampsf_json_bool(j, "updateable", false);
	o->deletable = ampsf_json_bool(j, "deletable", false);
	o->custom = ampsf_json_bool(j, "custom", false);
	o->deprecated = ampsf_json_bool(j, "deprecatedAndHidden", false);

	fields = ampsf_json_get(j, "fields");
	n = ampsf_json_array_length(fields);
	for (int i = 0; i < n; i++)
	{
		AmpsfJson *f = ampsf_json_array_get(fields, i);

		/* Hidden fields are kept for old clients only; a query may not name them. */
		if (!ampsf_json_bool(f, "deprecatedAndHidden", false) && has_api_name(f))
			o->fields = lappend(o->fields, read_field(f, o->name));
	}
	return o;
}

/* Reads a describe into the cache; what comes back is the cache's. */
static AmpsfObject *
remember_object(DescribeCache *cache, AmpsfJson *j, const char *asked)
{
	MemoryContext old = MemoryContextSwitchTo(cache->cxt);
	AmpsfObject *object = read_object(j);
	char key[KEY_SIZE];
	ObjectEntry *entry;

	MemoryContextSwitchTo(old);
	if (object->fields == NIL)
		ereport(ERROR, (errcode(ERRCODE_FDW_UNABLE_TO_CREATE_REPLY),
						errmsg("could not read the description of %s", asked),
						errdetail("The answer lists no fields.")));
	make_key(asked, key);
	entry = hash_search(cache->objects, key, HASH_ENTER, NULL);
	entry->object = object;
	return object;
}

List *
ampsf_describe_global(AmpsfSession *session)
{
	DescribeCache *cache = cache_of(session);
	MemoryContext work;
	MemoryContext old;
	AmpsfJson *doc;
	AmpsfJson *list;
	List *result = NIL;
	int n;

	if (cache->global != NIL)
		return cache->global;

	work = AllocSetContextCreate(CurrentMemoryContext, "ampsf describe answer",
								 ALLOCSET_DEFAULT_SIZES);
	doc = ampsf_json_call(session, "sobjects/", NULL, "list the objects of the org", work);
	list = ampsf_json_get(doc, "sobjects");
	if (!ampsf_json_is_array(list))
		ereport(ERROR, (errcode(ERRCODE_FDW_UNABLE_TO_CREATE_REPLY),
						errmsg("could not list the objects of the org"),
						errdetail("The answer has no \"sobjects\".")));

	/* The call may have made the session start afresh, and with it the cache. */
	cache = cache_of(session);
	old = MemoryContextSwitchTo(cache->cxt);
	n = ampsf_json_array_length(list);
	for (int i = 0; i < n; i++)
	{
		AmpsfJson *object = ampsf_json_array_get(list, i);

		if (has_api_name(object))
			result = lappend(result, read_object(object));
	}
	cache->global = result;
	MemoryContextSwitchTo(old);
	MemoryContextDelete(work);
	return result;
}

/* One object by a call of its own; NULL where the org refuses. */
static AmpsfObject *
fetch_object(AmpsfSession *session, const char *name)
{
	MemoryContext work = AllocSetContextCreate(CurrentMemoryContext, "ampsf describe answer",
											   ALLOCSET_DEFAULT_SIZES);
	char *path = psprintf("sobjects/%s/describe", name);
	char *what = psprintf("describe the object \"%s\"", name);
	AmpsfObject *object = NULL;
	AmpsfJson *doc;
	int status;

	doc = ampsf_json_call_soft(session, path, what, work, &status);
	if (doc)
		object = remember_object(cache_of(session), doc, name);
	MemoryContextDelete(work);
	return object;
}

/* Names go into paths, and nothing but a name may. */
static void
check_name(const char *name)
{
	size_t len = strlen(name);

	if (len >= KEY_SIZE || strchr(name, '.') || !ampsf_is_api_name(name, len))
		ereport(ERROR, (errcode(ERRCODE_FDW_TABLE_NOT_FOUND),
						errmsg("\"%s\" is not the API name of a Salesforce object", name)));
}

/*
 * Describes up to 25 objects in one call and leaves what succeeded in the cache.  What did not
 * succeed is asked for alone, because only a call of its own has retries and an error that says
 * everything.
 */
static void
fetch_batch(AmpsfSession *session, List *names)
{
	MemoryContext work = AllocSetContextCreate(CurrentMemoryContext, "ampsf describe answer",
											   ALLOCSET_DEFAULT_SIZES);
	StringInfoData body;
	AmpsfJson *doc;
	AmpsfJson *results;
	ListCell *lc;
	int i = 0;

	initStringInfo(&body);
	appendStringInfoString(&body, "{\"haltOnError\":false,\"batchRequests\":[");
	foreach (lc, names)
	{
		const char *name = lfirst(lc);

		appendStringInfo(&body, "%s{\"method\":\"GET\",\"url\":\"v%s/sobjects/%s/describe\"}",
						 i++ ? "," : "", ampsf_session_version(session), name);
	}
	appendStringInfoString(&body, "]}");

	doc = ampsf_json_call(session, "composite/batch", body.data, "describe objects", work);
	pfree(body.data);
	results = ampsf_json_get(doc, "results");
	if (ampsf_json_array_length(results) != list_length(names))
		ereport(ERROR,
				(errcode(ERRCODE_FDW_UNABLE_TO_CREATE_REPLY), errmsg("could not describe objects"),
				 errdetail("Asked for %d, got %d answers.", list_length(names),
						   ampsf_json_array_length(results))));

	i = 0;
	foreach (lc, names)
	{
		char *name = lfirst(lc);
		AmpsfJson *item = ampsf_json_array_get(results, i++);
		int status = (int) ampsf_json_int(item, "statusCode", 0);

		if (status == 200)
			remember_object(cache_of(session), ampsf_json_get(item, "result"), name);
		else
			(void) fetch_object(session, name);
	}
	MemoryContextDelete(work);
}

static bool
contains(List *names, const char *name)
{
	ListCell *lc;

	foreach (lc, names)
		if (pg_strcasecmp(lfirst(lc), name) == 0)
			return true;
	return false;
}

List *
ampsf_describe_objects(AmpsfSession *session, List *names)
{
	List *missing = NIL;
	List *result = NIL;
	ListCell *lc;

	foreach (lc, names)
	{
		char *name = lfirst(lc);

		/* Two tables may show one object. */
		if (cached_object(cache_of(session), name) == NULL && !contains(missing, name))
		{
			check_name(name);
			missing = lappend(missing, name);
		}
	}

	if (list_length(missing) == 1)
		(void) fetch_object(session, linitial(missing));
	else
	{
		List *batch = NIL;

		foreach (lc, missing)
		{
			batch = lappend(batch, lfirst(lc));
			if (list_length(batch) == AMPSF_DESCRIBE_BATCH || lnext(missing, lc) == NULL)
			{
				CHECK_FOR_INTERRUPTS();
				fetch_batch(session, batch);
				list_free(batch);
				batch = NIL;
			}
		}
	}

	/* A name that is not in the cache now was refused. */
	foreach (lc, names)
		result = lappend(result, cached_object(cache_of(session), lfirst(lc)));
	list_free(missing);
	return result;
}

AmpsfField *
ampsf_describe_field(const AmpsfObject *object, const char *name)
{
	ListCell *lc;

	foreach (lc, object->fields)
	{
		AmpsfField *f = lfirst(lc);

		if (pg_strcasecmp(f->name, name) == 0)
			return f;
	}
	return NULL;
}
