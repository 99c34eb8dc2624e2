/*
 * engagement_import.c - IMPORT FOREIGN SCHEMA account_engagement: its objects as CREATE FOREIGN
 * TABLE statements.
 *
 * No API describes them: the fields are those of the documents, with prospects' custom fields,
 * which are asked for, and what the option extra_fields adds.
 */
#include "postgres.h"

#include "commands/defrem.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "org/engagement_objects.h"
#include "schema/engagement_import.h"
#include "utils/builtins.h"
#include "utils/formatting.h"
#include "wire/text.h"

typedef struct TypeRule
{
	char type;
	const char *name; /* in extra_fields */
	const char *sql;
	const char *option; /* of the column, where the SQL type does not say it */
} TypeRule;

static const TypeRule rules[] = {
	{'s', "text", "text", NULL},		 {'e', "enum", "text", "picklist"},
	{'i', "integer", "bigint", NULL},	 {'n', "number", "numeric", NULL},
	{'b', "boolean", "boolean", NULL},	 {'t', "datetime", "timestamptz", NULL},
	{'d', "date", "date", NULL},		 {'a', "list", "jsonb", "anyType"},
	{'o', "object", "jsonb", "anyType"},
};

static const TypeRule *
rule_of(char type)
{
	for (size_t i = 0; i < lengthof(rules); i++)
		if (rules[i].type == type)
			return &rules[i];
	elog(ERROR, "unknown type of a field: %c", type);
}

/* One field of the option extra_fields. */
typedef struct ExtraField
{
	const AmpsfEngagementObject *object;
	AmpsfEngagementField field;
} ExtraField;

static void
bad_extra(const char *item)
{
	ereport(
		ERROR,
		(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
		 errmsg("invalid value for option \"extra_fields\": \"%s\"", item),
		 errhint(
			 "It is a list such as: prospects.firstName, prospects.score integer. Types are text, "
			 "integer, number, boolean, datetime, date, list, object.")));
}

static ExtraField *
read_extra(char *item)
{
	ExtraField *extra = palloc0(sizeof(ExtraField));
	char *whole = pstrdup(item);
	char *dot = strchr(item, '.');
	char *type;

	if (dot == NULL)
		bad_extra(whole);
	*dot++ = '\0';
	type = strpbrk(dot, " \t\n");
	if (type)
	{
		*type++ = '\0';
		type += strspn(type, " \t\n");
	}
	extra->object = ampsf_engagement_object(item);
	extra->field.name = dot;
	extra->field.editable = true;
	for (size_t i = 0; i < lengthof(rules); i++)
		if (pg_strcasecmp(type ? type : "text", rules[i].name) == 0)
			extra->field.type = rules[i].type;
	if (extra->object == NULL || extra->field.type == 0 || !ampsf_is_api_name(dot, strlen(dot)))
		bad_extra(whole);
	/* A field of another object cannot be written. */
	if (strchr(dot, '.') != NULL)
		extra->field.editable = false;
	return extra;
}

/* Items are parted by commas, with blanks around them. */
static List *
read_extras(const char *value)
{
	List *extras = NIL;
	char *copy = pstrdup(value);
	char *save = NULL;

	for (char *p = strtok_r(copy, ",", &save); p; p = strtok_r(NULL, ",", &save))
	{
		size_t len;

		p += strspn(p, " \t\n");
		len = strlen(p);
		while (len > 0 && strchr(" \t\n", p[len - 1]) != NULL)
			p[--len] = '\0';
		if (len > 0)
			extras = lappend(extras, read_extra(p));
	}
	return extras;
}

static List *
read_options(List *list, bool *preserve)
{
	List *extras = NIL;
	ListCell *lc;

	*preserve = false;
	foreach (lc, list)
	{
		DefElem *def = lfirst_node(DefElem, lc);
		const char *value = defGetString(def);

		if (strcmp(def->defname, "extra_fields") == 0)
			extras = read_extras(value);
		else if (strcmp(def->defname, "case") != 0)
			ereport(ERROR,
					(errcode(ERRCODE_FDW_INVALID_OPTION_NAME),
					 errmsg("invalid option \"%s\"", def->defname),
					 errhint("Valid options of IMPORT FOREIGN SCHEMA account_engagement are: case, "
							 "extra_fields.")));
		else if (pg_strcasecmp(value, "preserve") == 0)
			*preserve = true;
		else if (pg_strcasecmp(value, "lower") != 0)
			ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
							errmsg("invalid value for option \"%s\": \"%s\"", def->defname, value),
							errhint("Valid values are: lower, preserve.")));
	}
	return extras;
}

/* The table of an object: custom-redirects becomes custom_redirects. */
static char *
table_name(const AmpsfEngagementObject *object)
{
	char *name = pstrdup(object->name);

	for (char *p = name; *p; p++)
		if (*p == '-')
			*p = '_';
	return name;
}

static bool
is_named(List *names, const AmpsfEngagementObject *object)
{
	ListCell *lc;

	foreach (lc, names)
		if (ampsf_engagement_object(lfirst_node(RangeVar, lc)->relname) == object)
			return true;
	return false;
}

static bool
is_chosen(const ImportForeignSchemaStmt *stmt, const AmpsfEngagementObject *object)
{
	bool named = is_named(stmt->table_list, object);

	switch (stmt->list_type)
	{
		case FDW_IMPORT_SCHEMA_LIMIT_TO:
			return named;
		case FDW_IMPORT_SCHEMA_EXCEPT:
			return object->documented && !named;
		default:
			return object->documented;
	}
}

static void
warn_unknown(const ImportForeignSchemaStmt *stmt)
{
	ListCell *lc;

	foreach (lc, stmt->table_list)
	{
		const char *name = lfirst_node(RangeVar, lc)->relname;

		if (ampsf_engagement_object(name) == NULL)
			ereport(WARNING,
					(errcode(ERRCODE_FDW_TABLE_NOT_FOUND),
					 errmsg("Account Engagement has no object \"%s\"", name),
					 errhint("Names are those of its API: prospects, list_memberships ...")));
	}
}

/* A list of the object's fields, each once: those carried here, the unit's own, those asked for. */
static List *
fields_of(const AmpsfEngagementObject *object, List *custom, List *extras)
{
	List *fields = ampsf_engagement_fields(object);
	List *more = list_copy(custom);
	ListCell *lc, *known;

	foreach (lc, extras)
	{
		ExtraField *extra = lfirst(lc);

		if (extra->object == object)
			more = lappend(more, &extra->field);
	}
	foreach (lc, more)
	{
		AmpsfEngagementField *field = lfirst(lc);
		bool found = false;

		foreach (known, fields)
			found |=
				pg_strcasecmp(((AmpsfEngagementField *) lfirst(known))->name, field->name) == 0;
		if (!found)
			fields = lappend(fields, field);
	}
	return fields;
}

static void
append_column(StringInfo buf, const AmpsfEngagementObject *object,
			  const AmpsfEngagementField *field, bool preserve)
{
	const TypeRule *rule = rule_of(field->type);
	char *column = preserve ? pstrdup(field->name) : asc_tolower(field->name, strlen(field->name));
	const char *start = " OPTIONS (";
	bool is_id = strcmp(field->name, "id") == 0;

	/* campaign.name: a name that needs no quotes */
	for (char *p = column; *p; p++)
		if (*p == '.')
			*p = '_';
	if (strlen(column) >= NAMEDATALEN)
		column[NAMEDATALEN - 1] = '\0';
	appendStringInfo(buf, "\n\t%s %s", quote_identifier(column), rule->sql);
	if (strcmp(column, field->name) != 0)
	{
		appendStringInfo(buf, "%sfield %s", start, quote_literal_cstr(field->name));
		start = ", ";
	}
	if (rule->option)
	{
		appendStringInfo(buf, "%stype '%s'", start, rule->option);
		start = ", ";
	}
	if (!field->editable && !is_id && (object->allowed & ~AMPSF_ENGAGEMENT_READ))
	{
		appendStringInfo(buf, "%screateable 'false', updateable 'false'", start);
		start = ", ";
	}
	if (*start == ',')
		appendStringInfoChar(buf, ')');
	if (is_id)
		appendStringInfoString(buf, " NOT NULL");
}

static char *
table_statement(const AmpsfEngagementObject *object, const char *server, List *custom, List *extras,
				bool preserve)
{
	StringInfoData buf;
	ListCell *lc;

	initStringInfo(&buf);
	appendStringInfo(&buf, "CREATE FOREIGN TABLE %s (", quote_identifier(table_name(object)));
	foreach (lc, fields_of(object, custom, extras))
	{
		appendStringInfoString(&buf, foreach_current_index(lc) ? "," : "");
		append_column(&buf, object, lfirst(lc), preserve);
	}
	appendStringInfo(&buf, "\n) SERVER %s OPTIONS (object '%s'", quote_identifier(server),
					 object->name);
	if (!(object->allowed & ~AMPSF_ENGAGEMENT_READ))
		appendStringInfoString(&buf, ", updatable 'false'");
	appendStringInfoString(&buf, ")");
	return buf.data;
}

List *
ampsf_engagement_import(ImportForeignSchemaStmt *stmt, ForeignServer *server)
{
	bool preserve;
	List *extras = read_options(stmt->options, &preserve);
	List *commands = NIL;

	warn_unknown(stmt);
	for (const AmpsfEngagementObject *o = ampsf_engagement_objects; o->name; o++)
	{
		List *custom = NIL;

		if (!is_chosen(stmt, o))
			continue;
		if (strcmp(o->name, "prospects") == 0)
			custom =
				ampsf_engagement_custom_fields(ampsf_session_get(server->serverid, GetUserId()));
		commands =
			lappend(commands, table_statement(o, server->servername, custom, extras, preserve));
	}
	/* The choice has been made; see ampsf_import_foreign_schema(). */
	stmt->list_type = FDW_IMPORT_SCHEMA_ALL;
	return commands;
}
