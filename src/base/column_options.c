/*
 * column_options.c - what the options of a column, and its SQL type where they are silent, say of
 * its field; see options.h.
 */
#include "base/options.h"

#include "base/options_private.h"
#include "catalog/pg_type.h"
#include "foreign/foreign.h"
#include "utils/lsyscache.h"
#include "wire/text.h"

/* The Salesforce type that a column has when no option says so. */
static const char *
default_type(Oid typid)
{
	switch (typid)
	{
		case BOOLOID:
			return "boolean";
		case INT2OID:
		case INT4OID:
			return "int";
		case INT8OID:
			return "long";
		case NUMERICOID:
		case FLOAT4OID:
		case FLOAT8OID:
			return "double";
		case DATEOID:
			return "date";
		case TIMESTAMPTZOID:
		case TIMESTAMPOID:
			return "datetime";
		case TIMEOID:
		case TIMETZOID:
			return "time";
		case JSONBOID:
		case JSONOID:
			return "address";
		case TEXTARRAYOID:
			return "multipicklist";
		default:
			return "string";
	}
}

static bool
is_one_of(const char *s, const char *const *list)
{
	for (; *list; list++)
		if (strcmp(s, *list) == 0)
			return true;
	return false;
}

char *
ampsf_default_relationship(const char *field)
{
	size_t len = strlen(field);

	if (len > 3 && pg_strcasecmp(field + len - 3, "__c") == 0)
		return psprintf("%.*s__r", (int) len - 3, field);
	if (len > 2 && strcmp(field + len - 2, "Id") == 0)
		return pnstrdup(field, len - 2);
	return NULL;
}

AmpsfColumn *
ampsf_column(Oid relid, int attnum)
{
	static const char *const opaque[] = {"address",		 "location",		"base64", "anyType",
										 "complexvalue", "encryptedstring", NULL};
	static const char *const unsortable[] = {"multipicklist", NULL};
	static const char *const ungroupable[] = {"double", "currency",		 "percent", "datetime",
											  "time",	"multipicklist", NULL};
	AmpsfColumn *c = palloc0(sizeof(AmpsfColumn));
	List *options = GetForeignColumnOptions(relid, attnum);
	Oid typid;
	int32 typmod;
	Oid collation;
	bool plain;

	get_atttypetypmodcoll(relid, attnum, &typid, &typmod, &collation);
	c->attnum = attnum;
	c->field = get_text(options, "field");
	c->parent_key = get(options, "parent_key") != NULL;
	c->created = get_bool(options, "ampsf_created", false);
	if (c->parent_key)
		c->field = get_text(options, "parent_key");
	if (!c->field)
		c->field = get_attname(relid, attnum, false);
	if (!ampsf_is_api_name(c->field, strlen(c->field)))
		ereport(
			ERROR,
			(errcode(ERRCODE_FDW_COLUMN_NAME_NOT_FOUND),
			 errmsg("column \"%s\" of foreign table \"%s\" names no field",
					get_attname(relid, attnum, false), get_rel_name(relid)),
			 errhint(
				 "Name it: ALTER FOREIGN TABLE ... ALTER COLUMN ... OPTIONS (ADD field '...').")));
	c->type = get_text(options, "type");
	if (!c->type)
		c->type =
			pstrdup(pg_strcasecmp(c->field, "Id") == 0 ? "id" : default_type(getBaseType(typid)));
	plain = !is_one_of(c->type, opaque);
	c->filterable = get_bool(options, "filterable", plain);
	c->sortable = get_bool(options, "sortable", plain && !is_one_of(c->type, unsortable));
	c->groupable = get_bool(options, "groupable", plain && !is_one_of(c->type, ungroupable));
	c->reference_to = get_text(options, "reference_to");
	c->relationship = get_text(options, "relationship");
	if (!c->relationship && c->reference_to)
		c->relationship = ampsf_default_relationship(c->field);
	c->case_sensitive = get_bool(options, "case_sensitive", false);
	c->unique = get_bool(options, "unique", pg_strcasecmp(c->field, "Id") == 0);
	c->external_id = get_bool(options, "external_id", false);
	c->createable = get_bool(options, "createable", strchr(c->field, '.') == NULL || c->parent_key);
	c->updateable = get_bool(options, "updateable", strchr(c->field, '.') == NULL || c->parent_key);
	if (c->created)
		c->filterable = c->sortable = c->groupable = c->createable = c->updateable = false;
	c->array = typid == TEXTARRAYOID;
	c->of_parent = strchr(c->field, '.') != NULL;
	typid = getBaseTypeAndTypmod(typid, &typmod);
	c->rounds = typid == FLOAT4OID || (typid == NUMERICOID && typmod >= 0);
	return c;
}
