/*
 * import.c - IMPORT FOREIGN SCHEMA: the org's objects as CREATE FOREIGN TABLE statements.
 *
 * Owns: which objects, under which local names.  Must not know: how a description is fetched, what
 * a column's options mean to the planner.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_collation.h"
#include "commands/defrem.h"
#include "common/hashfn.h"
#include "foreign/foreign.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/formatting.h"
#include "utils/varlena.h"

#include "base/ampsf.h"
#include "org/describe.h"
#include "org/limits.h"
#include "schema/engagement_import.h"
#include "schema/import.h"
#include "schema/types.h"

typedef struct ImportOptions
{
	bool preserve_case;
	bool multipicklist_array;
	bool declared_numeric;
} ImportOptions;

/* One object on its way to becoming a table. */
typedef struct ImportObject
{
	char *name;	 /* API name */
	char *local; /* table name */
} ImportObject;

/* The names of LIMIT TO or EXCEPT, and which of them were met. */
typedef struct NameFilter
{
	ImportForeignSchemaType kind;
	List *names; /* of char * */
	bool *met;
} NameFilter;

static ImportOptions
read_options(List *list)
{
	ImportOptions options = {false, false, false};
	ListCell *lc;

	foreach (lc, list)
	{
		DefElem *def = lfirst_node(DefElem, lc);
		const char *value = defGetString(def);
		const char *yes;
		const char *no;
		bool *target;

		if (strcmp(def->defname, "case") == 0)
		{
			yes = "preserve";
			no = "lower";
			target = &options.preserve_case;
		}
		else if (strcmp(def->defname, "multipicklist") == 0)
		{
			yes = "array";
			no = "text";
			target = &options.multipicklist_array;
		}
		else if (strcmp(def->defname, "numeric") == 0)
		{
			yes = "declared";
			no = "exact";
			target = &options.declared_numeric;
		}
		else
			ereport(
				ERROR,
				(errcode(ERRCODE_FDW_INVALID_OPTION_NAME),
				 errmsg("invalid option \"%s\"", def->defname),
				 errhint(
					 "Valid options of IMPORT FOREIGN SCHEMA are: case, multipicklist, numeric.")));

		if (pg_strcasecmp(value, yes) == 0)
			*target = true;
		else if (pg_strcasecmp(value, no) == 0)
			*target = false;
		else
			ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
							errmsg("invalid value for option \"%s\": \"%s\"", def->defname, value),
							errhint("Valid values are: %s, %s.", no, yes)));
	}
	return options;
}

#define ENGAGEMENT "account_engagement"

/* The remote schema is the server's module. */
static void
check_remote_schema(const char *name, const char *module)
{
	if (strcmp(name, module) == 0)
		return;
	if (strcmp(name, AMPSF_DEFAULT_MODULE) == 0 || strcmp(name, ENGAGEMENT) == 0)
		ereport(ERROR, (errcode(ERRCODE_FDW_SCHEMA_NOT_FOUND),
						errmsg("the server has no remote schema \"%s\", its module is \"%s\"", name,
							   module),
						errhint("Each module has a server of its own: CREATE SERVER ... OPTIONS "
								"(..., module '%s').",
								name)));
	ereport(ERROR, (errcode(ERRCODE_FDW_SCHEMA_NOT_FOUND),
					errmsg("there is no remote schema \"%s\"", name),
					errhint("The remote schema is the name of the module: "
							"IMPORT FOREIGN SCHEMA %s FROM SERVER ...",
							module)));
}

/*
 * The local name of an object or field.  A name too long for PostgreSQL is cut and gets the hash of
 * the whole, so that two that differ only at the end stay two, and a second import finds the same
 * name.
 */
static char *
local_name(const char *name, bool preserve_case)
{
	char *local = preserve_case ? pstrdup(name) : asc_tolower(name, strlen(name));
	int len = strlen(local);

	if (len >= NAMEDATALEN)
	{
		char *whole = asc_tolower(name, len);
		uint32 hash = hash_bytes((const unsigned char *) whole, len);

		snprintf(local + NAMEDATALEN - 10, 10, "_%08x", hash);
		pfree(whole);
	}
	return local;
}

static NameFilter
make_filter(const ImportForeignSchemaStmt *stmt)
{
	NameFilter filter = {stmt->list_type, NIL, NULL};
	ListCell *lc;

	foreach (lc, stmt->table_list)
		filter.names = lappend(filter.names, lfirst_node(RangeVar, lc)->relname);
	filter.met = palloc0(sizeof(bool) * (list_length(filter.names) + 1));
	return filter;
}

/* Is the object named, by its API name or the local one, in whatever case? */
static bool
is_named(NameFilter *filter, const char *name, const char *local)
{
	bool found = false;
	ListCell *lc;

	foreach (lc, filter->names)
	{
		const char *wanted = lfirst(lc);

		if (pg_strcasecmp(wanted, name) == 0 || pg_strcasecmp(wanted, local) == 0)
		{
			filter->met[foreach_current_index(lc)] = true;
			found = true;
		}
	}
	return found;
}

/* The object whose name is most like a mistyped one; NULL if none is alike. */
static const char *
nearest_object(List *global, const char *name)
{
	const char *best = NULL;
	char *wanted = asc_tolower(name, strlen(name));
	int len = strlen(wanted);
	int limit = Min(len / 2, 4) + 1;
	ListCell *lc;

	foreach (lc, global)
	{
		const AmpsfObject *object = lfirst(lc);
		char *candidate = asc_tolower(object->name, strlen(object->name));
		int distance = varstr_levenshtein_less_equal(wanted, len, candidate, strlen(candidate), 1,
													 1, 1, limit, true);

		/* Forgetting the __c of a custom object is the commonest mistake of all. */
		if (strncmp(candidate, wanted, len) == 0 && strcmp(candidate + len, "__c") == 0)
			distance = 0;
		if (distance < limit)
		{
			limit = distance;
			best = object->name;
		}
		pfree(candidate);
	}
	return best;
}

static void
warn_unknown(const NameFilter *filter, List *global)
{
	ListCell *lc;

	foreach (lc, filter->names)
	{
		const char *name = lfirst(lc);
		const char *near;

		if (filter->met[foreach_current_index(lc)])
			continue;
		near = nearest_object(global, name);
		ereport(WARNING, (errcode(ERRCODE_FDW_TABLE_NOT_FOUND),
						  errmsg("the org has no object \"%s\" that this user may see", name),
						  near ? errhint("Perhaps you meant \"%s\".", near)
							   : errhint("Names are API names, custom objects end in __c.")));
	}
}

/* Which objects become tables, in the org's order, with their local names. */
static List *
choose_objects(AmpsfSession *session, NameFilter *filter, const ImportOptions *options)
{
	List *global = ampsf_describe_global(session);
	List *chosen = NIL;
	ListCell *lc;

	foreach (lc, global)
	{
		const AmpsfObject *object = lfirst(lc);
		char *local = local_name(object->name, options->preserve_case);
		bool named = is_named(filter, object->name, local);
		ImportObject *item;

		if (filter->kind == FDW_IMPORT_SCHEMA_LIMIT_TO ? !named : named)
			continue;
		if (!object->queryable || (object->deprecated && !named))
		{
			if (named)
				ereport(WARNING, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
								  errmsg("object \"%s\" cannot be queried, it is not imported",
										 object->name)));
			continue;
		}
		item = palloc(sizeof(ImportObject));
		item->name = pstrdup(object->name);
		item->local = local;
		chosen = lappend(chosen, item);
	}
	warn_unknown(filter, global);
	return chosen;
}

/* Can a column not have this name, because another has it or PostgreSQL keeps it for itself? */
static bool
is_taken(const char *column, List *taken)
{
	static const char *const system_columns[] = {"ctid", "xmin", "cmin",
												 "xmax", "cmax", "tableoid"};
	ListCell *lc;

	foreach (lc, taken)
		if (strcmp(lfirst(lc), column) == 0)
			return true;
	for (size_t i = 0; i < lengthof(system_columns); i++)
		if (strcmp(column, system_columns[i]) == 0)
			return true;
	return false;
}

/*
 * The column of a field.  API names are unique without case, so a clash is rare; the field then
 * keeps its own spelling, and if that does not help either, gets underscores.
 */
static char *
column_name(const AmpsfObject *object, const AmpsfField *field, const ImportOptions *options,
			List *taken)
{
	char *column = local_name(field->name, options->preserve_case);

	if (!is_taken(column, taken))
		return column;
	column = local_name(field->name, true);
	while (is_taken(column, taken))
		column = local_name(psprintf("%s_", column), true);
	ereport(WARNING, (errcode(ERRCODE_DUPLICATE_COLUMN),
					  errmsg("field \"%s\" of object \"%s\" becomes column \"%s\"", field->name,
							 object->name, column),
					  errdetail("The name that the import would give it is taken.")));
	return column;
}

static char *
table_statement(const AmpsfObject *object, const char *local, const char *server,
				const ImportOptions *options, int64 rows)
{
	StringInfoData buf;
	StringInfoData column_options;
	List *taken = NIL;
	ListCell *lc;

	if (list_length(object->fields) > MaxHeapAttributeNumber)
		ereport(ERROR,
				(errcode(ERRCODE_TOO_MANY_COLUMNS),
				 errmsg("object \"%s\" has %d fields, a table can have at most %d columns",
						object->name, list_length(object->fields), MaxHeapAttributeNumber),
				 errhint("Leave it out with EXCEPT (%s), and write a CREATE FOREIGN TABLE with the "
						 "fields you need.",
						 quote_identifier(local))));

	initStringInfo(&buf);
	initStringInfo(&column_options);
	appendStringInfo(&buf, "CREATE FOREIGN TABLE %s (", quote_identifier(local));
	foreach (lc, object->fields)
	{
		const AmpsfField *field = lfirst(lc);
		char *column = column_name(object, field, options, taken);

		taken = lappend(taken, column);
		resetStringInfo(&column_options);
		ampsf_column_options(&column_options, field, column, options->multipicklist_array);
		appendStringInfo(
			&buf, "%s\n\t%s %s", foreach_current_index(lc) ? "," : "", quote_identifier(column),
			ampsf_sql_type(field, options->multipicklist_array, options->declared_numeric));
		if (column_options.len)
			appendStringInfo(&buf, " OPTIONS (%s)", column_options.data + strlen(", "));
		if (ampsf_never_null(field))
			appendStringInfoString(&buf, " NOT NULL");
	}
	appendStringInfo(&buf, "\n) SERVER %s OPTIONS (object %s", quote_identifier(server),
					 quote_literal_cstr(object->name));
	if (rows >= 0)
		appendStringInfo(&buf, ", rows '%d'", (int) Min(rows, PG_INT32_MAX));
	if (!object->createable && !object->updateable && !object->deletable)
		appendStringInfoString(&buf, ", updatable 'false'");
	appendStringInfoString(&buf, ")");

	list_free_deep(taken);
	pfree(column_options.data);
	return buf.data;
}

/*
 * Statements for up to a batch of objects.  Nothing of their descriptions is kept: a whole org's
 * would fill the memory of a session that only wanted tables.
 */
static List *
import_batch(AmpsfSession *session, List *batch, const ForeignServer *server, Oid userid,
			 const ImportOptions *options)
{
	List *names = NIL;
	List *objects;
	List *commands = NIL;
	ListCell *lc;
	ListCell *lo;

	foreach (lc, batch)
		names = lappend(names, ((ImportObject *) lfirst(lc))->name);
	objects = ampsf_describe_objects(session, names);

	forboth(lc, batch, lo, objects)
	{
		const ImportObject *item = lfirst(lc);
		const AmpsfObject *object = lfirst(lo);

		if (object == NULL)
		{
			ereport(WARNING,
					(errcode(ERRCODE_FDW_TABLE_NOT_FOUND),
					 errmsg("the org refuses to describe object \"%s\", it is not imported",
							item->name)));
			continue;
		}
		commands = lappend(
			commands,
			table_statement(object, item->local, server->servername, options,
							ampsf_record_count_cached(server->serverid, userid, object->name)));
	}
	ampsf_describe_forget(session);
	return commands;
}

List *
ampsf_import_foreign_schema(ImportForeignSchemaStmt *stmt, Oid serverOid)
{
	ForeignServer *server = GetForeignServer(serverOid);
	bool engagement = ampsf_server_options(server)->engagement;
	ImportOptions options;
	Oid userid = GetUserId();
	AmpsfSession *session;
	NameFilter filter;
	List *chosen;
	List *names = NIL;
	List *batch = NIL;
	List *commands = NIL;
	ListCell *lc;

	check_remote_schema(stmt->remote_schema, engagement ? ENGAGEMENT : AMPSF_DEFAULT_MODULE);
	if (engagement)
		return ampsf_engagement_import(stmt, server);
	options = read_options(stmt->options);
	session = ampsf_session_get(serverOid, userid);
	/* Whoever imports again does so because something has changed. */
	ampsf_describe_forget(session);

	filter = make_filter(stmt);
	chosen = choose_objects(session, &filter, &options);
	if (chosen != NIL)
	{
		foreach (lc, chosen)
			names = lappend(names, ((ImportObject *) lfirst(lc))->name);
		ampsf_record_counts_fetch(session, serverOid, userid, names);
	}

	foreach (lc, chosen)
	{
		batch = lappend(batch, lfirst(lc));
		if (list_length(batch) == AMPSF_DESCRIBE_BATCH || lnext(chosen, lc) == NULL)
		{
			CHECK_FOR_INTERRUPTS();
			commands =
				list_concat(commands, import_batch(session, batch, server, userid, &options));
			list_free(batch);
			batch = NIL;
		}
	}

	/*
	 * PostgreSQL would now compare the names of LIMIT TO and EXCEPT with those of the tables,
	 * letter by letter, and drop account where "Account" was asked for.  The choice has been made
	 * above, so it is told to take everything.  The statement is a private copy of the caller's
	 * (ProcessUtility sees to that wherever a tree may be used again), so nobody else sees the
	 * change.
	 */
	stmt->list_type = FDW_IMPORT_SCHEMA_ALL;
	return commands;
}
