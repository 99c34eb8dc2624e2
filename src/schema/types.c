/*
 * types.c - a Salesforce field as a PostgreSQL column.
 *
 * Owns: the type table.  Its last three columns repeat what ampsf_column() in base/options.c
 * assumes when an option is not given: only departures are written into the catalog.  Must not
 * know: statements, the network.
 */
#include "postgres.h"

#include "utils/builtins.h"

#include "base/options.h"
#include "schema/types.h"

typedef struct TypeRule
{
	const char *type;
	const char *sql;
	bool implied; /* ampsf_column() concludes this Salesforce type from the SQL type */
	bool filterable, sortable, groupable;
} TypeRule;

static const TypeRule rules[] = {
	{"id", "text", false, true, true, true},
	{"reference", "text", false, true, true, true},
	{"string", "text", true, true, true, true},
	{"textarea", "text", false, true, true, true},
	{"picklist", "text", false, true, true, true},
	{"multipicklist", "text", false, true, false, false},
	{"combobox", "text", false, true, true, true},
	{"email", "text", false, true, true, true},
	{"phone", "text", false, true, true, true},
	{"url", "text", false, true, true, true},
	{"encryptedstring", "text", false, false, false, false},
	{"boolean", "boolean", true, true, true, true},
	{"int", "integer", true, true, true, true},
	{"long", "bigint", true, true, true, true},
	{"double", "numeric", true, true, true, false},
	{"currency", "numeric", false, true, true, false},
	{"percent", "numeric", false, true, true, false},
	{"date", "date", true, true, true, true},
	{"datetime", "timestamptz", true, true, true, false},
	{"time", "time", true, true, true, false},
	{"base64", "bytea", false, false, false, false},
	{"address", "jsonb", true, false, false, false},
	{"location", "jsonb", false, false, false, false},
	{"anyType", "text", false, false, false, false},
	{"complexvalue", "text", false, false, false, false},
};

/* A type that Salesforce has invented since is text of which nothing is known. */
static const TypeRule unknown_rule = {"complexvalue", "text", false, false, false, false};

static const TypeRule *
rule_of(const AmpsfField *field)
{
	for (size_t i = 0; i < lengthof(rules); i++)
		if (pg_strcasecmp(rules[i].type, field->type) == 0)
			return &rules[i];
	return &unknown_rule;
}

char *
ampsf_sql_type(const AmpsfField *field, bool multipicklist_array, bool declared_numeric)
{
	const TypeRule *rule = rule_of(field);

	if (multipicklist_array && strcmp(rule->type, "multipicklist") == 0)
		return pstrdup("text[]");
	/*
	 * The scale of a field is enforced by Salesforce's pages only: what the API or Apex wrote keeps
	 * its decimals, and numeric(p,s) would round them away.  A formula computes past it as well.
	 * precision counts all digits.
	 */
	if (declared_numeric && strcmp(rule->sql, "numeric") == 0 && !field->calculated &&
		field->precision > 0 && field->precision <= 1000 && field->scale >= 0 &&
		field->scale <= field->precision)
		return psprintf("numeric(%d,%d)", field->precision, field->scale);
	return pstrdup(rule->sql);
}

bool
ampsf_never_null(const AmpsfField *field)
{
	if (pg_strcasecmp(field->type, "boolean") == 0 || pg_strcasecmp(field->type, "id") == 0)
		return true;
	/*
	 * "nillable": false speaks of what may be written from now on.  An administrator can make a
	 * custom field required while older rows have no value, and a formula is null when its inputs
	 * are; so only the fields that Salesforce itself defined are taken at their word.
	 */
	return !field->nillable && !field->calculated && !field->custom &&
		   strstr(field->name, "__") == NULL;
}

static void
flag(StringInfo buf, const char *option, bool value, bool assumed)
{
	if (value != assumed)
		appendStringInfo(buf, ", %s '%s'", option, value ? "true" : "false");
}

void
ampsf_column_options(StringInfo buf, const AmpsfField *field, const char *column,
					 bool multipicklist_array)
{
	const TypeRule *rule = rule_of(field);
	bool implied = rule->implied;

	if (strcmp(rule->type, "multipicklist") == 0 && multipicklist_array)
		implied = true;
	if (strcmp(rule->type, "id") == 0 && pg_strcasecmp(field->name, "Id") == 0)
		implied = true;

	if (strcmp(column, field->name) != 0)
		appendStringInfo(buf, ", field %s", quote_literal_cstr(field->name));
	if (!implied)
		appendStringInfo(buf, ", type '%s'", rule->type);
	flag(buf, "filterable", field->filterable, rule->filterable);
	flag(buf, "sortable", field->sortable, rule->sortable);
	flag(buf, "groupable", field->groupable, rule->groupable);
	flag(buf, "case_sensitive", field->case_sensitive, false);
	if (strcmp(rule->type, "reference") == 0 && field->relationship && field->reference_to != NIL)
	{
		char *usual = ampsf_default_relationship(field->name);
		ListCell *lc;

		appendStringInfoString(buf, ", reference_to '");
		foreach (lc, field->reference_to)
			appendStringInfo(buf, "%s%s", foreach_current_index(lc) ? "," : "",
							 (char *) lfirst(lc));
		appendStringInfoChar(buf, '\'');
		if (!usual || strcmp(usual, field->relationship) != 0)
			appendStringInfo(buf, ", relationship '%s'", field->relationship);
	}
	/* Of Id the describe says false, though no two rows share one. */
	if (strcmp(rule->type, "id") != 0)
		flag(buf, "unique", field->unique, false);
	flag(buf, "external_id", field->external_id, false);
	flag(buf, "calculated", field->calculated, false);
	flag(buf, "createable", field->createable, true);
	flag(buf, "updateable", field->updateable, true);
}
