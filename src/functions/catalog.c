/*
 * catalog.c - ampsf.objects(), describe(), fields(), picklist_values() and relationships(): what
 * the org says of itself, as rows.
 *
 * Each asks the org anew: it is for people who want to see what is there now.  Must not know:
 * tables.
 */
#include "postgres.h"

#include "fmgr.h"
#include "funcapi.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"

#include "functions/json_row.h"
#include "functions/server_arg.h"
#include "org/describe.h"
#include "org/json_call.h"

PG_FUNCTION_INFO_V1(ampsf_sql_objects);
PG_FUNCTION_INFO_V1(ampsf_sql_describe);
PG_FUNCTION_INFO_V1(ampsf_sql_fields);
PG_FUNCTION_INFO_V1(ampsf_sql_picklist_values);
PG_FUNCTION_INFO_V1(ampsf_sql_relationships);

static const char *const object_texts[] = {"name", "label", "labelPlural", "keyPrefix"};
static const char *const object_bools[] = {"custom",	 "queryable",  "searchable",
										   "createable", "updateable", "deletable"};

static void
object_columns(AmpsfRow *row, AmpsfJson *object)
{
	ampsf_row_texts(row, object, object_texts, lengthof(object_texts));
	ampsf_row_bools(row, object, object_bools, lengthof(object_bools));
}

static AmpsfSession *
session_arg(FunctionCallInfo fcinfo)
{
	return ampsf_session_get(ampsf_server_arg(NameStr(*PG_GETARG_NAME(0)))->serverid, GetUserId());
}

static AmpsfJson *
describe(AmpsfSession *session, const char *object)
{
	object = ampsf_name_in_path(object, "a Salesforce object");
	return ampsf_json_call(session, psprintf("sobjects/%s/describe", object), NULL,
						   psprintf("describe %s", object), CurrentMemoryContext);
}

static AmpsfJson *
describe_arg(FunctionCallInfo fcinfo)
{
	return describe(session_arg(fcinfo), text_to_cstring(PG_GETARG_TEXT_PP(1)));
}

Datum
ampsf_sql_objects(PG_FUNCTION_ARGS)
{
	AmpsfJson *list;
	AmpsfRow row;

	InitMaterializedSRF(fcinfo, 0);
	list = ampsf_json_get(ampsf_json_call(session_arg(fcinfo), "sobjects", NULL, "list the objects",
										  CurrentMemoryContext),
						  "sobjects");
	for (int i = 0; i < ampsf_json_array_length(list); i++)
	{
		ampsf_row_begin(&row, (ReturnSetInfo *) fcinfo->resultinfo);
		object_columns(&row, ampsf_json_array_get(list, i));
		ampsf_row_put(&row);
	}
	return (Datum) 0;
}

Datum
ampsf_sql_describe(PG_FUNCTION_ARGS)
{
	AmpsfJson *doc;
	AmpsfRow row;

	InitMaterializedSRF(fcinfo, 0);
	doc = describe_arg(fcinfo);
	ampsf_row_begin(&row, (ReturnSetInfo *) fcinfo->resultinfo);
	object_columns(&row, doc);
	ampsf_row_int(&row, ampsf_json_array_length(ampsf_json_get(doc, "fields")));
	ampsf_row_int(&row, ampsf_json_array_length(ampsf_json_get(doc, "childRelationships")));
	ampsf_row_int(&row, ampsf_json_array_length(ampsf_json_get(doc, "recordTypeInfos")));
	ampsf_row_json(&row, doc);
	ampsf_row_put(&row);
	return (Datum) 0;
}

Datum
ampsf_sql_fields(PG_FUNCTION_ARGS)
{
	static const char *const texts[] = {"name", "label", "type"};
	static const char *const ints[] = {"length", "precision", "scale"};
	static const char *const bools[] = {"nillable", "createable", "updateable", "filterable",
										"sortable", "groupable",  "unique",		"externalId",
										"custom",	"calculated"};
	static const char *const rest[] = {"relationshipName", "inlineHelpText"};
	AmpsfJson *list;
	AmpsfRow row;

	InitMaterializedSRF(fcinfo, 0);
	list = ampsf_json_get(describe_arg(fcinfo), "fields");
	for (int i = 0; i < ampsf_json_array_length(list); i++)
	{
		AmpsfJson *field = ampsf_json_array_get(list, i);

		ampsf_row_begin(&row, (ReturnSetInfo *) fcinfo->resultinfo);
		ampsf_row_int(&row, i + 1);
		ampsf_row_texts(&row, field, texts, lengthof(texts));
		ampsf_row_ints(&row, field, ints, lengthof(ints));
		ampsf_row_bools(&row, field, bools, lengthof(bools));
		ampsf_row_array(&row, ampsf_json_get(field, "referenceTo"));
		ampsf_row_texts(&row, field, rest, lengthof(rest));
		ampsf_row_put(&row);
	}
	return (Datum) 0;
}

Datum
ampsf_sql_picklist_values(PG_FUNCTION_ARGS)
{
	AmpsfJson *list;
	AmpsfRow row;

	InitMaterializedSRF(fcinfo, 0);
	list = ampsf_json_get(describe_arg(fcinfo), "fields");
	for (int i = 0; i < ampsf_json_array_length(list); i++)
	{
		AmpsfJson *field = ampsf_json_array_get(list, i);
		AmpsfJson *values = ampsf_json_get(field, "picklistValues");

		for (int k = 0; k < ampsf_json_array_length(values); k++)
		{
			AmpsfJson *value = ampsf_json_array_get(values, k);

			ampsf_row_begin(&row, (ReturnSetInfo *) fcinfo->resultinfo);
			ampsf_row_text(&row, ampsf_json_string(field, "name"));
			ampsf_row_int(&row, k + 1);
			ampsf_row_text(&row, ampsf_json_string(value, "value"));
			ampsf_row_text(&row, ampsf_json_string(value, "label"));
			ampsf_row_bool(&row, ampsf_json_bool(value, "active", false));
			ampsf_row_bool(&row, ampsf_json_bool(value, "defaultValue", false));
			ampsf_row_bool(&row, ampsf_json_bool(field, "restrictedPicklist", false));
			ampsf_row_text(&row, ampsf_json_string(field, "controllerName"));
			ampsf_row_put(&row);
		}
	}
	return (Datum) 0;
}

/* -------- relationships -------- */

/* A reference as its field and as the parent's list of children tell it; the two come in different
 * answers. */
typedef struct Relationship
{
	char *child, *field, *parent;
	char *to_parent, *to_children; /* names in SOQL, or NULL */
	bool cascade, restricted;
	struct Relationship *next;
} Relationship;

typedef struct RelationshipEntry
{
	char key[256]; /* child field parent */
	Relationship *relationship;
} RelationshipEntry;

typedef struct Relationships
{
	MemoryContext cxt;
	HTAB *by_key;
	Relationship *first, **last;
} Relationships;

static Relationship *
relationship_of(Relationships *all, const char *child, const char *field, const char *parent)
{
	RelationshipEntry *entry;
	char key[256] = {0};
	bool found;

	snprintf(key, sizeof(key), "%s %s %s", child, field, parent);
	entry = hash_search(all->by_key, key, HASH_ENTER, &found);
	if (!found)
	{
		Relationship *r = MemoryContextAllocZero(all->cxt, sizeof(Relationship));

		r->child = MemoryContextStrdup(all->cxt, child);
		r->field = MemoryContextStrdup(all->cxt, field);
		r->parent = MemoryContextStrdup(all->cxt, parent);
		entry->relationship = r;
		*all->last = r;
		all->last = &r->next;
	}
	return entry->relationship;
}

static void
note_object(Relationships *all, AmpsfJson *object)
{
	const char *name = ampsf_json_string(object, "name");
	AmpsfJson *fields = ampsf_json_get(object, "fields");
	AmpsfJson *children = ampsf_json_get(object, "childRelationships");

	for (int i = 0; name && i < ampsf_json_array_length(fields); i++)
	{
		AmpsfJson *field = ampsf_json_array_get(fields, i);
		AmpsfJson *parents = ampsf_json_get(field, "referenceTo");
		const char *to_parent = ampsf_json_string(field, "relationshipName");

		for (int k = 0; k < ampsf_json_array_length(parents); k++)
		{
			Relationship *r = relationship_of(all, name, ampsf_json_string(field, "name"),
											  ampsf_json_text(ampsf_json_array_get(parents, k)));

			r->to_parent = to_parent ? MemoryContextStrdup(all->cxt, to_parent) : NULL;
			r->cascade |= ampsf_json_bool(field, "cascadeDelete", false);
			r->restricted |= ampsf_json_bool(field, "restrictedDelete", false);
		}
	}
	for (int i = 0; name && i < ampsf_json_array_length(children); i++)
	{
		AmpsfJson *item = ampsf_json_array_get(children, i);
		const char *child = ampsf_json_string(item, "childSObject");
		const char *field = ampsf_json_string(item, "field");
		const char *to_children = ampsf_json_string(item, "relationshipName");
		Relationship *r;

		if (!child || !field)
			continue;
		r = relationship_of(all, child, field, name);
		r->to_children = to_children ? MemoryContextStrdup(all->cxt, to_children) : NULL;
		r->cascade |= ampsf_json_bool(item, "cascadeDelete", false);
		r->restricted |= ampsf_json_bool(item, "restrictedDelete", false);
	}
}

/* Up to 25 objects in one call; one that is refused there is asked for alone, which has an error to
 * show. */
static void
note_batch(Relationships *all, AmpsfSession *session, List *names)
{
	MemoryContext work =
		AllocSetContextCreate(CurrentMemoryContext, "ampsf relationships", ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(work);
	StringInfoData body;
	AmpsfJson *results;
	ListCell *lc;

	initStringInfo(&body);
	appendStringInfoString(&body, "{\"haltOnError\":false,\"batchRequests\":[");
	foreach (lc, names)
		appendStringInfo(&body, "%s{\"method\":\"GET\",\"url\":\"v%s/sobjects/%s/describe\"}",
						 foreach_current_index(lc) ? "," : "", ampsf_session_version(session),
						 (char *) lfirst(lc));
	appendStringInfoString(&body, "]}");
	results = ampsf_json_get(
		ampsf_json_call(session, "composite/batch", body.data, "describe objects", work),
		"results");
	foreach (lc, names)
	{
		AmpsfJson *item = ampsf_json_array_get(results, foreach_current_index(lc));

		note_object(all, ampsf_json_int(item, "statusCode", 0) == 200
							 ? ampsf_json_get(item, "result")
							 : describe(session, lfirst(lc)));
	}
	MemoryContextSwitchTo(old);
	MemoryContextDelete(work);
}

static Relationships *
all_relationships(AmpsfSession *session)
{
	Relationships *all = palloc0(sizeof(Relationships));
	HASHCTL ctl = {0};
	List *batch = NIL;
	AmpsfJson *list = ampsf_json_get(
		ampsf_json_call(session, "sobjects", NULL, "list the objects", CurrentMemoryContext),
		"sobjects");
	int n = ampsf_json_array_length(list);

	all->cxt = CurrentMemoryContext;
	all->last = &all->first;
	ctl.keysize = sizeof(((RelationshipEntry *) NULL)->key);
	ctl.entrysize = sizeof(RelationshipEntry);
	ctl.hcxt = all->cxt;
	all->by_key =
		hash_create("ampsf relationships", 1024, &ctl, HASH_ELEM | HASH_STRINGS | HASH_CONTEXT);
	for (int i = 0; i < n; i++)
	{
		const char *name = ampsf_json_string(ampsf_json_array_get(list, i), "name");

		if (name)
			batch = lappend(batch, ampsf_name_in_path(name, "a Salesforce object"));
		if (batch && (list_length(batch) == AMPSF_DESCRIBE_BATCH || i == n - 1))
		{
			CHECK_FOR_INTERRUPTS();
			note_batch(all, session, batch);
			list_free_deep(batch);
			batch = NIL;
		}
	}
	return all;
}

Datum
ampsf_sql_relationships(PG_FUNCTION_ARGS)
{
	AmpsfRow row;

	InitMaterializedSRF(fcinfo, 0);
	for (Relationship *r = all_relationships(session_arg(fcinfo))->first; r; r = r->next)
	{
		ampsf_row_begin(&row, (ReturnSetInfo *) fcinfo->resultinfo);
		ampsf_row_text(&row, r->child);
		ampsf_row_text(&row, r->field);
		ampsf_row_text(&row, r->parent);
		ampsf_row_text(&row, r->to_parent);
		ampsf_row_text(&row, r->to_children);
		ampsf_row_bool(&row, r->cascade);
		ampsf_row_bool(&row, r->restricted);
		ampsf_row_put(&row);
	}
	return (Datum) 0;
}
