/*
 * check_access.c - which objects and fields of the org this user cannot see, or write.
 *
 * Owns: the comparison of the describes, which leave out what the user may not see, with what knows
 * of everything: EntityParticle and EntityDefinition of the Tooling API; and where the org refuses
 * those, FieldPermissions and ObjectPermissions, which know what somebody may see.  All of them ask
 * for View Setup and Configuration: without it nobody can tell, and the result says so.  Must not
 * know: foreign tables' columns, mirrors.
 */
#include "postgres.h"

#include "fmgr.h"
#include "funcapi.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/builtins.h"

#include "base/ampsf.h"
#include "base/error.h"
#include "functions/check_access.h"
#include "functions/foreign_arg.h"
#include "functions/server_arg.h"
#include "org/describe.h"
#include "wire/json_doc.h"
#include "wire/text.h"

/* Such objects give no more in an answer, and have no second page. */
#define META_ROWS_MAX 2000

PG_FUNCTION_INFO_V1(ampsf_sql_check_access);
PG_FUNCTION_INFO_V1(ampsf_sql_access_of_table);

static const char grant_object[] =
	"Give the user that the app runs as a permission set with access to the object.";
static const char grant_field[] = "Field-level security: give the user that the app runs as a "
								  "permission set with access to the field.";
static const char not_by_fls[] =
	"Not by field-level security, which the field does not have: look at the user's license, and "
	"at what is enabled in the org.";

typedef struct Asked
{
	AmpsfSession *session;
	const char *refusal; /* what the org said to the last question that it refused */
	bool partial;		 /* there may be more than it told */
} Asked;

typedef struct Finding
{
	const char *object, *field, *label, *type, *access, *found_by, *hint;
} Finding;

static char *
quoted(size_t (*quote)(const char *, size_t, char *), const char *text)
{
	size_t len = quote(text, strlen(text), NULL);
	char *out = palloc(len + 1);

	quote(text, strlen(text), out);
	out[len] = '\0';
	return out;
}

/*
 * The records; NULL if the org does not answer such a question to this user, or cannot.  What is no
 * answer to the question at all, such as an empty quota, is an error.
 */
static AmpsfJson *
ask(Asked *a, bool tooling, const char *soql)
{
	static const char what[] = "ask which objects and fields there are";
	AmpsfCallSpec spec = {0};
	AmpsfCall *call;
	AmpsfApiError error;
	AmpsfJson *doc;
	AmpsfJson *records = NULL;
	const char *body;
	size_t len;
	int status;

	spec.method = "GET";
	spec.path = psprintf("%squery?q=%s", tooling ? "tooling/" : "", quoted(ampsf_quote_url, soql));
	spec.idempotent = true;
	spec.usage = ampsf_session_usage(a->session, NULL, "metadata");
	call = ampsf_call_start(a->session, &spec, CurrentMemoryContext);
	ampsf_call_wait(call);
	status = ampsf_call_status(call);
	if (status == 0 || status == 401 || ampsf_call_is_ampersands(call))
		ampsf_call_throw(call, what, soql);
	body = ampsf_call_body(call, &len);
	if (status >= 200 && status <= 299)
	{
		doc = ampsf_json_parse(body, len, CurrentMemoryContext);
		records = ampsf_json_get(doc, "records");
		if (!ampsf_json_is_array(records))
			ereport(ERROR,
					(errcode(ERRCODE_FDW_UNABLE_TO_CREATE_REPLY), errmsg("could not %s", what),
					 errdetail("There are no records in the answer (%zu bytes).", len)));
		a->partial |= !ampsf_json_bool(doc, "done", true) ||
					  ampsf_json_array_length(records) >= META_ROWS_MAX;
	}
	else
	{
		ampsf_error_parse(status, body, len, &error);
		if (error.code && strcmp(error.code, "REQUEST_LIMIT_EXCEEDED") == 0)
			ampsf_call_throw(call, what, soql);
		a->refusal =
			psprintf("%s%s%s", error.code ? error.code : "", error.code ? ": " : "",
					 error.message ? ampsf_clean_text(error.message, strlen(error.message)) : "");
	}
	ampsf_call_free(call);
	return records;
}

static const char *
unknown_hint(const Asked *a)
{
	if (a->refusal == NULL)
		return "The org tells a part only of what there is: more may be hidden.";
	return psprintf(
		"The org does not say what this user cannot see (%s): that takes the permission "
		"View Setup and Configuration. Ask by a user that has it.",
		a->refusal);
}

static Finding *
add(List **list, const char *object, const char *field, const char *access, const char *found_by,
	const char *hint)
{
	Finding *f = palloc0(sizeof(Finding));

	f->object = object;
	f->field = field;
	f->access = access;
	f->found_by = found_by;
	f->hint = hint;
	*list = lappend(*list, f);
	return f;
}

/* What may not be done to rows of an object, though it can be done: NULL, "read only", "no ...". */
static const char *
writes_missing(const AmpsfObject *object, AmpsfJson *entity)
{
	bool insert = !object->createable && ampsf_json_bool(entity, "IsEverCreatable", false);
	bool update = !object->updateable && ampsf_json_bool(entity, "IsEverUpdatable", false);
	bool delete = !object->deletable && ampsf_json_bool(entity, "IsEverDeletable", false);

	if (!insert && !update && !delete)
		return NULL;
	if (!object->createable && !object->updateable && !object->deletable)
		return "read only";
	return psprintf("%s%s%s%s%s", insert ? "no insert" : "", insert && update ? ", " : "",
					update ? "no update" : "", delete &&(insert || update) ? ", " : "",
					delete ? "no delete" : "");
}

/* An object that cannot be described: is it there? */
static void
check_hidden_object(Asked *a, const char *name, List **out)
{
	char *literal = quoted(ampsf_quote_soql, name);
	AmpsfJson *records = ask(a, true,
							 psprintf("SELECT QualifiedApiName, Label FROM EntityDefinition "
									  "WHERE QualifiedApiName = %s",
									  literal));
	AmpsfJson *row = ampsf_json_array_get(records, 0);
	Finding *f;

	if (row)
	{
		f = add(out, ampsf_json_string(row, "QualifiedApiName"), NULL, "hidden", "EntityDefinition",
				grant_object);
		f->label = ampsf_json_string(row, "Label");
		return;
	}
	if (records)
	{
		add(out, name, NULL, "gone", "EntityDefinition", "The org has no object of that name.");
		return;
	}
	records = ask(a, false,
				  psprintf("SELECT SobjectType FROM ObjectPermissions WHERE SobjectType "
						   "= %s AND PermissionsRead = true GROUP BY SobjectType",
						   literal));
	if (ampsf_json_array_length(records) > 0)
		add(out, name, NULL, "hidden", "ObjectPermissions", grant_object);
	else
		add(out, name, NULL, "unknown", NULL,
			psprintf("The object is gone, or kept from this user. %s", unknown_hint(a)));
}

/* What somebody may do with the field: nothing, see it, or edit it too. */
typedef enum Permitted
{
	PERMITTED_NOT,
	PERMITTED_READ,
	PERMITTED_EDIT
} Permitted;

typedef struct Permission
{
	const char *field;
	Permitted how;
} Permission;

/* Invoice__c.Notes__c, once or twice: a list of Permission. */
static List *
permissions_of(AmpsfJson *records)
{
	List *list = NIL;
	int n = ampsf_json_array_length(records);

	for (int i = 0; i < n; i++)
	{
		AmpsfJson *row = ampsf_json_array_get(records, i);
		const char *name = ampsf_json_string(row, "Field");
		const char *dot = name ? strchr(name, '.') : NULL;
		Permission *p = NULL;
		ListCell *lc;

		if (dot == NULL)
			continue;
		foreach (lc, list)
			if (pg_strcasecmp(((Permission *) lfirst(lc))->field, dot + 1) == 0)
				p = lfirst(lc);
		if (p == NULL)
		{
			p = palloc(sizeof(Permission));
			p->field = dot + 1;
			p->how = PERMITTED_READ;
			list = lappend(list, p);
		}
		if (ampsf_json_bool(row, "PermissionsEdit", false))
			p->how = PERMITTED_EDIT;
	}
	return list;
}

/* A field that the describe has.  editable: somebody may write it, who may write the object. */
static void
add_seen(List **out, const AmpsfObject *object, const AmpsfField *field, bool editable,
		 const char *found_by)
{
	bool compound = strcmp(field->type, "address") == 0 || strcmp(field->type, "location") == 0;
	bool read_only = editable && !compound && (object->createable || object->updateable) &&
					 !field->createable && !field->updateable;
	Finding *f = add(out, object->name, field->name, read_only ? "read only" : "ok", found_by,
					 read_only ? grant_field : NULL);

	f->label = field->label;
	f->type = field->type;
}

/* By all fields of the object, whoever may see them; false if the org tells of none. */
static bool
check_particles(const AmpsfObject *object, AmpsfJson *records, List **out)
{
	static const char found_by[] = "EntityParticle";
	List *hidden = NIL;
	int n = ampsf_json_array_length(records);
	bool *editable = palloc0(sizeof(bool) * (list_length(object->fields) + 1));
	int known = 0;
	ListCell *lc;

	for (int i = 0; i < n; i++)
	{
		AmpsfJson *row = ampsf_json_array_get(records, i);
		const char *name = ampsf_json_string(row, "QualifiedApiName");
		bool by_fls = ampsf_json_bool(row, "IsPermissionable", false);
		bool found = false;
		Finding *f;

		if (name == NULL)
			continue;
		foreach (lc, object->fields)
		{
			if (pg_strcasecmp(((AmpsfField *) lfirst(lc))->name, name) != 0)
				continue;
			found = true;
			known++;
			editable[foreach_current_index(lc)] =
				by_fls && (ampsf_json_bool(row, "IsCreatable", false) ||
						   ampsf_json_bool(row, "IsUpdatable", false));
			break;
		}
		if (found)
			continue;
		f = add(&hidden, object->name, name, "hidden", found_by, by_fls ? grant_field : not_by_fls);
		f->label = ampsf_json_string(row, "Label");
		f->type = ampsf_json_string(row, "DataType");
	}
	if (known == 0)
		return false;
	foreach (lc, object->fields)
		add_seen(out, object, lfirst(lc), editable[foreach_current_index(lc)], found_by);
	*out = list_concat(*out, hidden);
	return true;
}

/* By what permission sets give to anybody. */
static void
check_permissions(const AmpsfObject *object, List *permissions, List **out)
{
	static const char found_by[] = "FieldPermissions";
	ListCell *lc;

	foreach (lc, object->fields)
	{
		const AmpsfField *field = lfirst(lc);
		Permitted how = PERMITTED_NOT;
		ListCell *pc;

		foreach (pc, permissions)
			if (pg_strcasecmp(((Permission *) lfirst(pc))->field, field->name) == 0)
				how = ((Permission *) lfirst(pc))->how;
		add_seen(out, object, field, how == PERMITTED_EDIT, found_by);
	}
	foreach (lc, permissions)
	{
		const Permission *p = lfirst(lc);

		if (ampsf_describe_field(object, p->field) == NULL)
			add(out, object->name, p->field, "hidden", found_by, grant_field);
	}
}

static void
check_seen_object(Asked *a, const AmpsfObject *object, List **out)
{
	Finding *top = add(out, object->name, NULL, "ok", NULL, NULL);
	char *literal = quoted(ampsf_quote_soql, object->name);
	const char *missing = NULL;
	const char *caution = NULL;
	int hidden = 0;
	int read_only = 0;
	AmpsfJson *records;
	StringInfoData hint;
	ListCell *lc;

	top->label = object->label;
	records = ask(a, true,
				  psprintf("SELECT QualifiedApiName, Label, DataType, IsCreatable, IsUpdatable, "
						   "IsPermissionable, EntityDefinition.IsEverCreatable, "
						   "EntityDefinition.IsEverUpdatable, EntityDefinition.IsEverDeletable "
						   "FROM EntityParticle WHERE EntityDefinition.QualifiedApiName = %s",
						   literal));
	if (records && check_particles(object, records, out))
	{
		top->found_by = "EntityParticle";
		missing = writes_missing(
			object, ampsf_json_get(ampsf_json_array_get(records, 0), "EntityDefinition"));
	}
	else
	{
		const char *refusal = a->refusal ? a->refusal : "it tells of no field";

		records = ask(a, false,
					  psprintf("SELECT Field, PermissionsEdit FROM FieldPermissions WHERE "
							   "SobjectType = %s AND PermissionsRead = true GROUP BY Field, "
							   "PermissionsEdit",
							   literal));
		if (records)
		{
			top->found_by = "FieldPermissions";
			check_permissions(object, permissions_of(records), out);
			caution =
				psprintf("EntityParticle was refused (%s): fields that no permission set gives "
						 "to anybody, and which writes the object lacks, are not known.",
						 refusal);
		}
		else
		{
			a->partial = true;
			foreach (lc, object->fields)
				add_seen(out, object, lfirst(lc), false, NULL);
		}
	}
	foreach (lc, *out)
	{
		const Finding *f = lfirst(lc);

		hidden += f->field && strcmp(f->access, "hidden") == 0;
		read_only += f->field && strcmp(f->access, "read only") == 0;
	}
	if (missing)
		top->access = missing;
	if (a->partial)
		top->access = "unknown";
	initStringInfo(&hint);
	if (hidden + read_only > 0)
		appendStringInfo(&hint, "%d of %d fields are hidden from this user, %d can only be read. ",
						 hidden, hidden + list_length(object->fields), read_only);
	if (a->partial)
		appendStringInfo(&hint, "%s ", unknown_hint(a));
	else if (missing)
		appendStringInfo(&hint, "%s ", grant_object);
	if (caution)
		appendStringInfo(&hint, "%s ", caution);
	if (hint.len > 0)
		top->hint = pnstrdup(hint.data, hint.len - 1);
}

static const AmpsfObject *
queryable_object(List *global, const char *name)
{
	ListCell *lc;

	foreach (lc, global)
	{
		const AmpsfObject *object = lfirst(lc);

		if (object->queryable && pg_strcasecmp(object->name, name) == 0)
			return object;
	}
	return NULL;
}

/* Returns how many objects the org knows; -1 if it does not tell.  insist: it is asked twice. */
static int
check_objects(Asked *a, bool insist, List **out, const char **found_by)
{
	List *global = ampsf_describe_global(a->session);
	AmpsfJson *records =
		ask(a, true,
			"SELECT QualifiedApiName, Label, IsEverCreatable, IsEverUpdatable, "
			"IsEverDeletable FROM EntityDefinition WHERE IsCustomizable = true AND "
			"IsQueryable = true AND IsDeprecatedAndHidden = false");
	const char *key = "QualifiedApiName";
	int n;

	*found_by = "EntityDefinition";
	if (records == NULL && insist)
	{
		*found_by = "ObjectPermissions";
		key = "SobjectType";
		records = ask(a, false,
					  "SELECT SobjectType FROM ObjectPermissions WHERE PermissionsRead = true "
					  "GROUP BY SobjectType");
	}
	if (records == NULL)
		return -1;
	n = ampsf_json_array_length(records);
	for (int i = 0; i < n; i++)
	{
		AmpsfJson *row = ampsf_json_array_get(records, i);
		const char *name = ampsf_json_string(row, key);
		const AmpsfObject *object = name ? queryable_object(global, name) : NULL;
		const char *missing = object ? writes_missing(object, row) : "hidden";
		Finding *f;

		if (name == NULL || missing == NULL)
			continue;
		f = add(out, name, NULL, missing, *found_by, grant_object);
		f->label = object ? object->label : ampsf_json_string(row, "Label");
	}
	return n;
}

static int
by_object(const ListCell *a, const ListCell *b)
{
	return pg_strcasecmp(((Finding *) lfirst(a))->object, ((Finding *) lfirst(b))->object);
}

static void
check_server(Asked *a, List **out)
{
	List *findings = NIL;
	const char *found_by;
	int known = check_objects(a, true, &findings, &found_by);
	int hidden = 0;
	Finding *top;
	ListCell *lc;

	foreach (lc, findings)
		hidden += strcmp(((Finding *) lfirst(lc))->access, "hidden") == 0;
	top = add(out, NULL, NULL, known < 0 || a->partial ? "unknown" : "ok",
			  known < 0 ? NULL : found_by, NULL);
	if (known < 0 || a->partial)
		top->hint = unknown_hint(a);
	else if (a->refusal)
		top->hint =
			psprintf("%d of %d objects are hidden from this user. EntityDefinition was refused "
					 "(%s): objects that no permission set gives to anybody, and which writes "
					 "the others lack, are not known.",
					 hidden, known, a->refusal);
	else if (findings)
		top->hint = psprintf("%d of %d objects are hidden from this user, %d cannot be written in "
							 "every way.",
							 hidden, known, list_length(findings) - hidden);
	list_sort(findings, by_object);
	*out = list_concat(*out, findings);
}

int
ampsf_hidden_objects(AmpsfSession *session, StringInfo names, int *known)
{
	Asked a = {.session = session};
	List *findings = NIL;
	const char *found_by;
	int hidden = 0;
	ListCell *lc;

	*known = check_objects(&a, false, &findings, &found_by);
	if (*known < 0 || a.partial)
		return -1;
	list_sort(findings, by_object);
	foreach (lc, findings)
	{
		const Finding *f = lfirst(lc);

		if (strcmp(f->access, "hidden") != 0)
			continue;
		if (++hidden <= 3)
			appendStringInfo(names, "%s%s", names->len ? ", " : "", f->object);
		else if (hidden == 4)
			appendStringInfoString(names, ", ...");
	}
	return hidden;
}

/* seen: fields with which all is well, too; else there is a column for columns. */
static void
put_findings(ReturnSetInfo *rsinfo, List *findings, bool seen)
{
	ListCell *lc;

	foreach (lc, findings)
	{
		const Finding *f = lfirst(lc);
		const char *texts[] = {f->object, f->field,	   f->label, f->type,
							   f->access, f->found_by, f->hint};
		Datum values[lengthof(texts) + 1];
		bool nulls[lengthof(texts) + 1];
		int n = 0;

		if (!seen && f->field && strcmp(f->access, "ok") == 0)
			continue;
		for (size_t i = 0; i < lengthof(texts); i++)
		{
			nulls[n] = texts[i] == NULL;
			values[n++] =
				texts[i]
					? CStringGetTextDatum(pg_any_to_server(texts[i], strlen(texts[i]), PG_UTF8))
					: (Datum) 0;
			if (!seen && i == 1)
			{
				values[n] = (Datum) 0;
				nulls[n++] = true;
			}
		}
		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
	}
}

static void
run(FunctionCallInfo fcinfo, AmpsfSession *session, const char *name, bool seen)
{
	Asked a = {.session = session};
	List *findings = NIL;
	AmpsfObject *object;

	InitMaterializedSRF(fcinfo, 0);
	ampsf_describe_forget(session);
	if (name == NULL)
		check_server(&a, &findings);
	else if ((object = linitial(ampsf_describe_objects(session, list_make1(pstrdup(name))))) ==
			 NULL)
		check_hidden_object(&a, name, &findings);
	else
		check_seen_object(&a, object, &findings);
	put_findings((ReturnSetInfo *) fcinfo->resultinfo, findings, seen);
}

/* Of an object, or, without a name, of all of them. */
Datum
ampsf_sql_check_access(PG_FUNCTION_ARGS)
{
	ForeignServer *server;

	if (PG_ARGISNULL(0))
		ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED), errmsg("no server is named")));
	server = ampsf_server_arg(NameStr(*PG_GETARG_NAME(0)));
	if (ampsf_server_options(server)->engagement)
		ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
						errmsg("server \"%s\" is one of Account Engagement", server->servername),
						errhint("This is for objects of the CRM module.")));
	run(fcinfo, ampsf_session_get(server->serverid, GetUserId()),
		PG_ARGISNULL(1) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(1)), false);
	return (Datum) 0;
}

/* Of the object of a foreign table, with each of its fields. */
Datum
ampsf_sql_access_of_table(PG_FUNCTION_ARGS)
{
	AmpsfForeignArg arg;

	ampsf_foreign_arg(&arg, PG_GETARG_OID(0));
	run(fcinfo, arg.session, arg.table->object, true);
	return (Datum) 0;
}
