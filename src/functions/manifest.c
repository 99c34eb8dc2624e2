/*
 * manifest.c - ampsf.manifest(): the foreign tables of a schema as Ampersand's amp.yaml.
 *
 * One integration for each server; a name that is not plain is written as a JSON string, which YAML
 * takes as well. Must not know: the network.
 */
#include "postgres.h"

#include "access/relation.h"
#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "foreign/foreign.h"
#include "mb/pg_wchar.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/json.h"
#include "utils/jsonb.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

#include "base/options.h"

PG_FUNCTION_INFO_V1(ampsf_sql_manifest);

/* What the function looks at: a server, and its tables in the order of their objects. */
static const char servers_sql[] =
	"SELECT DISTINCT s.oid, s.srvname FROM pg_catalog.pg_class c "
	"JOIN pg_catalog.pg_foreign_table t ON t.ftrelid = c.oid "
	"JOIN pg_catalog.pg_foreign_server s ON s.oid = t.ftserver "
	"JOIN pg_catalog.pg_foreign_data_wrapper w ON w.oid = s.srvfdw "
	"JOIN pg_catalog.pg_proc h ON h.oid = w.fdwhandler "
	"WHERE c.relnamespace = $1 AND h.proname = 'ampsf_fdw_handler' ORDER BY s.srvname";
static const char tables_sql[] = "SELECT c.oid FROM pg_catalog.pg_class c JOIN "
								 "pg_catalog.pg_foreign_table t ON t.ftrelid = c.oid "
								 "WHERE c.relnamespace = $1 AND t.ftserver = $2 ORDER BY c.relname";

/* Tables of a server that the caller mirrors. */
static const char mirrored_sql[] = "SELECT c.oid FROM pg_catalog.pg_class c JOIN "
								   "pg_catalog.pg_foreign_table t ON t.ftrelid = c.oid "
								   "WHERE c.relnamespace = $1 AND t.ftserver = $2 AND EXISTS "
								   "(SELECT FROM ampsf.mirror_definition d WHERE d.source = c.oid)";

/* So many objects of an org Ampersand subscribes to. */
#define MAX_SUBSCRIBED 5

/* What of the manifest is the caller's choice. */
typedef struct Wishes
{
	const char *destination, *schedule;
	List *subscribed; /* String, lowered: objects */
	bool chosen;	  /* else as many as go */
	Jsonb *watched;	  /* NULL: all fields */
} Wishes;

static List *
select_oids(const char *sql, Oid first, Oid second)
{
	Oid types[] = {OIDOID, OIDOID};
	Datum values[] = {ObjectIdGetDatum(first), ObjectIdGetDatum(second)};
	MemoryContext cxt = CurrentMemoryContext, old;
	List *list = NIL;

	SPI_connect();
	if (SPI_execute_with_args(sql, OidIsValid(second) ? 2 : 1, types, values, NULL, true, 0) !=
		SPI_OK_SELECT)
		elog(ERROR, "could not look at the catalogs");
	old = MemoryContextSwitchTo(cxt);
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		bool isnull;

		list = lappend_oid(list, DatumGetObjectId(SPI_getbinval(
									 SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 1, &isnull)));
	}
	MemoryContextSwitchTo(old);
	SPI_finish();
	return list;
}

/* A scalar of YAML: plain where it is a word that means nothing else. */
static void
add_scalar(StringInfo out, const char *text)
{
	static const char *const words[] = {"true", "false", "yes", "no", "on",
										"off",	"null",	 "y",	"n"};
	bool plain = (*text >= 'A' && *text <= 'Z') || (*text >= 'a' && *text <= 'z');

	plain =
		plain && strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-") ==
					 strlen(text);
	for (size_t i = 0; i < lengthof(words); i++)
		plain = plain && pg_strcasecmp(text, words[i]) != 0;
	if (plain)
		appendStringInfoString(out, text);
	else
		escape_json(out, text);
}

static void
add_line(StringInfo out, const char *head, const char *value)
{
	appendStringInfo(out, "%s ", head);
	add_scalar(out, value);
	appendStringInfoChar(out, '\n');
}

/* The fields of a table; a parent's are not of its object. */
static void
add_fields(StringInfo out, Oid relid)
{
	Relation rel = relation_open(relid, AccessShareLock);
	TupleDesc desc = RelationGetDescr(rel);

	appendStringInfoString(out, "          requiredFields:\n");
	for (int i = 0; i < desc->natts; i++)
	{
		AmpsfColumn *col;

		if (TupleDescAttr(desc, i)->attisdropped)
			continue;
		col = ampsf_column(relid, i + 1);
		if (!col->created && !col->of_parent)
			add_line(out, "            - fieldName:", col->field);
	}
	relation_close(rel, AccessShareLock);
}

/* Two tables may show one object. */
static String *
lowered(const char *object)
{
	char *name = pstrdup(object);

	for (char *p = name; *p; p++)
		*p = pg_tolower((unsigned char) *p);
	return makeString(name);
}

/* Five parts, and ten minutes between two runs at least, as far as the form of a step tells. */
static void
check_schedule(const char *schedule)
{
	const char *p = schedule + strspn(schedule, " ");
	int parts = 0;

	while (*p)
	{
		p += strcspn(p, " ");
		p += strspn(p, " ");
		parts++;
	}
	p = schedule + strspn(schedule, " ");
	if (parts != 5 || strncmp(p, "* ", 2) == 0 || (strncmp(p, "*/", 2) == 0 && atoi(p + 2) < 10))
		ereport(
			ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("\"%s\" is not a schedule that Ampersand takes", schedule),
			 errhint("It has five parts, as of cron, and at least ten minutes between two runs.")));
}

static void
add_read(StringInfo out, List *tables, const char *destination, const char *schedule)
{
	List *seen = NIL;
	ListCell *lc;

	appendStringInfoString(out, "    read:\n      objects:\n");
	foreach (lc, tables)
	{
		AmpsfTableOptions *table = ampsf_table_options(lfirst_oid(lc));

		if (list_member(seen, lowered(table->object)))
			continue;
		seen = lappend(seen, lowered(table->object));
		add_line(out, "        - objectName:", table->object);
		add_line(out, "          destination:", destination);
		add_line(out, "          schedule:", schedule);
		add_fields(out, lfirst_oid(lc));
		appendStringInfoString(
			out,
			"          backfill:\n            defaultPeriod:\n              fullHistory: true\n");
	}
}

static void
add_write(StringInfo out, List *tables)
{
	List *seen = NIL;
	ListCell *lc;

	foreach (lc, tables)
	{
		AmpsfTableOptions *table = ampsf_table_options(lfirst_oid(lc));

		if (!table->updatable || list_member(seen, lowered(table->object)))
			continue;
		if (seen == NIL)
			appendStringInfoString(out, "    write:\n      objects:\n");
		seen = lappend(seen, lowered(table->object));
		add_line(out, "        - objectName:", table->object);
	}
}

/* ---- subscribe ---- */

/* Objects that Ampersand's guide names; custom ones have change events, too.  More can be asked
 * for. */
static bool
has_events(const char *object)
{
	static const char *const names[] = {"account", "campaign",	  "case",	  "contact", "event",
										"lead",	   "opportunity", "product2", "task",	 "user"};
	size_t len = strlen(object);

	for (size_t i = 0; i < lengthof(names); i++)
		if (pg_strcasecmp(object, names[i]) == 0)
			return true;
	return len > 3 && pg_strcasecmp(object + len - 3, "__c") == 0;
}

/* The first table of each object; of those that have events, or of those that are listed. */
static List *
tables_of_objects(List *tables, List *objects, bool listed)
{
	List *seen = NIL, *found = NIL;
	ListCell *lc;

	foreach (lc, tables)
	{
		char *object = ampsf_table_options(lfirst_oid(lc))->object;

		if (list_member(seen, lowered(object)) ||
			!(listed ? list_member(objects, lowered(object)) : has_events(object)))
			continue;
		seen = lappend(seen, lowered(object));
		found = lappend_oid(found, lfirst_oid(lc));
	}
	return found;
}

/* Those of the integration: what was chosen, or all if they are few enough, or those with mirrors.
 */
static List *
subscribed_tables(List *tables, List *mirrored, const Wishes *wishes)
{
	List *found = tables_of_objects(tables, wishes->subscribed, wishes->chosen), *objects = NIL;
	ListCell *lc;

	if (list_length(found) <= MAX_SUBSCRIBED)
		return found;
	if (wishes->chosen)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("Ampersand subscribes to %d objects of an integration at most, not %d",
						MAX_SUBSCRIBED, list_length(found)),
				 errhint("Mirrors follow the others by their runs.")));
	foreach (lc, mirrored)
		objects = lappend(objects, lowered(ampsf_table_options(lfirst_oid(lc))->object));
	found = tables_of_objects(found, objects, true);
	return list_length(found) <= MAX_SUBSCRIBED ? found : NIL;
}

/* The names in a JSON array; ERROR if it is none. */
static List *
texts_of(JsonbContainer *list)
{
	JsonbIterator *it = JsonbIteratorInit(list);
	JsonbIteratorToken token;
	JsonbValue v;
	List *names = NIL;

	while ((token = JsonbIteratorNext(&it, &v, true)) != WJB_DONE)
	{
		if (token != WJB_ELEM && token != WJB_BEGIN_ARRAY && token != WJB_END_ARRAY)
			break;
		if (token == WJB_ELEM && v.type != jbvString)
			break;
		if (token == WJB_ELEM)
			names = lappend(names, pnstrdup(v.val.string.val, v.val.string.len));
	}
	if (token != WJB_DONE)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("watch_fields is not what it should be"),
				 errhint("It is a list of fields, [\"Name\", \"Phone\"], or one for each object: "
						 "{\"Account\": [\"Name\"]}.")));
	return names;
}

/* The fields to be watched of an object; NIL: all. */
static List *
watched_fields(Jsonb *watched, const char *object)
{
	JsonbIterator *it;
	JsonbIteratorToken token;
	JsonbValue v;
	bool here = false;

	if (!watched)
		return NIL;
	if (!JB_ROOT_IS_OBJECT(watched))
		return texts_of(&watched->root);
	it = JsonbIteratorInit(&watched->root);
	while ((token = JsonbIteratorNext(&it, &v, true)) != WJB_DONE)
	{
		if (token == WJB_KEY)
			here = (size_t) v.val.string.len == strlen(object) &&
				   pg_strncasecmp(v.val.string.val, object, v.val.string.len) == 0;
		else if (token == WJB_VALUE && here)
			return v.type == jbvBinary ? texts_of(v.val.binary.data) : texts_of(&watched->root);
	}
	return NIL;
}

/* The name as the table has it: what is watched has to be read. */
static const char *
read_field(Oid relid, const char *name)
{
	Relation rel = relation_open(relid, AccessShareLock);
	TupleDesc desc = RelationGetDescr(rel);
	const char *found = NULL;

	for (int i = 0; i < desc->natts && !found; i++)
	{
		AmpsfColumn *col;

		if (TupleDescAttr(desc, i)->attisdropped)
			continue;
		col = ampsf_column(relid, i + 1);
		if (!col->created && !col->of_parent && pg_strcasecmp(col->field, name) == 0)
			found = col->field;
	}
	relation_close(rel, AccessShareLock);
	if (!found)
		ereport(
			ERROR,
			(errcode(ERRCODE_UNDEFINED_COLUMN),
			 errmsg("foreign table \"%s\" has no field \"%s\" to be watched", get_rel_name(relid),
					name),
			 errhint(
				 "Ampersand watches fields that it reads, by their own names without a point.")));
	return found;
}

static void
add_subscribe(StringInfo out, List *tables, List *mirrored, const Wishes *wishes)
{
	List *found = subscribed_tables(tables, mirrored, wishes);
	ListCell *lc, *field;

	if (found == NIL && !wishes->chosen && tables_of_objects(tables, NIL, false) != NIL)
		appendStringInfo(
			out,
			"    # subscribe: more than %d objects of these have change events; name some,\n"
			"    # ampsf.manifest(..., subscribe => '{Account,Contact}')\n",
			MAX_SUBSCRIBED);
	if (found != NIL)
		appendStringInfoString(out, "    subscribe:\n      objects:\n");
	foreach (lc, found)
	{
		char *object = ampsf_table_options(lfirst_oid(lc))->object;
		List *watched = watched_fields(wishes->watched, object);

		add_line(out, "        - objectName:", object);
		add_line(out, "          destination:", wishes->destination);
		appendStringInfoString(out, "          inheritFieldsAndMapping: true\n"
									"          createEvent:\n            enabled: always\n"
									"          updateEvent:\n            enabled: always\n");
		if (watched == NIL)
			appendStringInfoString(out, "            watchFieldsAuto: all\n");
		else
			appendStringInfoString(out, "            requiredWatchFields:\n");
		foreach (field, watched)
			add_line(out, "              -", read_field(lfirst_oid(lc), lfirst(field)));
		appendStringInfoString(out, "          deleteEvent:\n            enabled: always\n"
									"          otherEvents:\n            - UNDELETE\n"
									"            - GAP_CREATE\n            - GAP_UPDATE\n"
									"            - GAP_DELETE\n            - GAP_UNDELETE\n"
									"            - GAP_OVERFLOW\n");
	}
}

static void
add_integration(StringInfo out, Oid serverid, List *tables, List *mirrored, const Wishes *wishes)
{
	ForeignServer *server = GetForeignServer(serverid);
	AmpsfServerOptions *o = ampsf_server_options(server);
	const char *module = "crm";
	ListCell *lc;

	if (o->engagement)
	{
		module = "account-engagement";
		/* What the server says, also where its connection does not use it. */
		foreach (lc, server->options)
		{
			DefElem *def = lfirst_node(DefElem, lc);

			if (strcmp(def->defname, "engagement_url") == 0 && strstr(strVal(def->arg), "demo"))
				module = "account-engagement-demo";
		}
	}
	add_line(out, "  - name:", o->integration ? o->integration : server->servername);
	add_line(out, "    provider:", "salesforce");
	add_line(out, "    module:", module);
	add_read(out, tables, wishes->destination, wishes->schedule);
	/* Account Engagement has no change events. */
	if (!o->engagement)
		add_subscribe(out, tables, mirrored, wishes);
	add_write(out, tables);
	/* The validator takes the catalog's word, in which the module has no proxy; an error cannot be
	 * silenced there. */
	if (o->engagement)
		appendStringInfoString(
			out, "    # Ampersand's guide knows a proxy of this module, the catalog that its "
				 "validator reads does\n"
				 "    # not. Foreign tables need it: ask Ampersand, and take the # away.\n"
				 "    #proxy:\n    #  enabled: true\n    #  useModule: true\n");
	else
		appendStringInfoString(out, "    proxy:\n      enabled: true\n");
}

/* ERROR for an object that is not of the schema, or of Account Engagement. */
static List *
chosen_objects(ArrayType *array, Oid schema, List *servers)
{
	List *chosen = NIL, *known = NIL;
	ListCell *lc, *table;
	Datum *items;
	bool *nulls;
	int n;

	foreach (lc, servers)
	{
		if (ampsf_server_options(GetForeignServer(lfirst_oid(lc)))->engagement)
			continue;
		foreach (table, select_oids(tables_sql, schema, lfirst_oid(lc)))
			known = lappend(known, lowered(ampsf_table_options(lfirst_oid(table))->object));
	}
	deconstruct_array(array, TEXTOID, -1, false, TYPALIGN_INT, &items, &nulls, &n);
	for (int i = 0; i < n; i++)
	{
		char *object = nulls[i] ? "" : TextDatumGetCString(items[i]);

		if (!list_member(known, lowered(object)))
			ereport(ERROR, (errcode(ERRCODE_UNDEFINED_TABLE),
							errmsg("schema \"%s\" has no foreign table of object \"%s\"",
								   get_namespace_name(schema), object),
							errhint("What Ampersand subscribes to it has to read, too.")));
		chosen = lappend(chosen, lowered(object));
	}
	return chosen;
}

Datum
ampsf_sql_manifest(PG_FUNCTION_ARGS)
{
	Wishes wishes = {0};
	StringInfoData out;
	List *servers;
	ListCell *lc;
	Oid schema;

	if (PG_ARGISNULL(0) || PG_ARGISNULL(1) || PG_ARGISNULL(2))
		PG_RETURN_NULL();
	schema = get_namespace_oid(NameStr(*PG_GETARG_NAME(0)), false);
	wishes.destination = text_to_cstring(PG_GETARG_TEXT_PP(1));
	wishes.schedule = text_to_cstring(PG_GETARG_TEXT_PP(2));
	servers = select_oids(servers_sql, schema, InvalidOid);
	if (servers == NIL)
		ereport(ERROR, (errcode(ERRCODE_UNDEFINED_TABLE),
						errmsg("schema \"%s\" has no foreign tables of Salesforce",
							   NameStr(*PG_GETARG_NAME(0))),
						errhint("IMPORT FOREIGN SCHEMA makes them.")));
	if (wishes.destination[0] == '\0' ||
		strspn(wishes.destination,
			   "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-") !=
			strlen(wishes.destination))
		ereport(
			ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("\"%s\" is not the name of a destination", wishes.destination),
			 errhint("It has letters, digits and hyphens, as Ampersand's dashboard shows it.")));
	check_schedule(wishes.schedule);
	wishes.chosen = !PG_ARGISNULL(3);
	if (wishes.chosen)
		wishes.subscribed = chosen_objects(PG_GETARG_ARRAYTYPE_P(3), schema, servers);
	wishes.watched = PG_ARGISNULL(4) ? NULL : PG_GETARG_JSONB_P(4);
	initStringInfo(&out);
	appendStringInfoString(&out, "specVersion: 1.0.0\nintegrations:\n");
	foreach (lc, servers)
		add_integration(&out, lfirst_oid(lc), select_oids(tables_sql, schema, lfirst_oid(lc)),
						select_oids(mirrored_sql, schema, lfirst_oid(lc)), &wishes);
	PG_RETURN_TEXT_P(cstring_to_text(out.data));
}
