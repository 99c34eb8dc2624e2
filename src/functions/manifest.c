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
#include "utils/builtins.h"
#include "utils/json.h"
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

static void
add_integration(StringInfo out, Oid serverid, List *tables, const char *destination,
				const char *schedule)
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
	add_read(out, tables, destination, schedule);
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

Datum
ampsf_sql_manifest(PG_FUNCTION_ARGS)
{
	Oid schema = get_namespace_oid(NameStr(*PG_GETARG_NAME(0)), false);
	char *destination = text_to_cstring(PG_GETARG_TEXT_PP(1));
	char *schedule = text_to_cstring(PG_GETARG_TEXT_PP(2));
	List *servers = select_oids(servers_sql, schema, InvalidOid);
	StringInfoData out;
	ListCell *lc;

	if (servers == NIL)
		ereport(ERROR, (errcode(ERRCODE_UNDEFINED_TABLE),
						errmsg("schema \"%s\" has no foreign tables of Salesforce",
							   NameStr(*PG_GETARG_NAME(0))),
						errhint("IMPORT FOREIGN SCHEMA makes them.")));
	if (destination[0] == '\0' ||
		strspn(destination, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-") !=
			strlen(destination))
		ereport(
			ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("\"%s\" is not the name of a destination", destination),
			 errhint("It has letters, digits and hyphens, as Ampersand's dashboard shows it.")));
	check_schedule(schedule);
	initStringInfo(&out);
	appendStringInfoString(&out, "specVersion: 1.0.0\nintegrations:\n");
	foreach (lc, servers)
		add_integration(&out, lfirst_oid(lc), select_oids(tables_sql, schema, lfirst_oid(lc)),
						destination, schedule);
	PG_RETURN_TEXT_P(cstring_to_text(out.data));
}
