/*
 * metadata.c - ampsf.version(), ampsf.limits() and ampsf.comment().
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/genam.h"
#include "access/table.h"
#include "catalog/namespace.h"
#include "catalog/pg_foreign_table.h"
#include "commands/comment.h"
#include "fmgr.h"
#include "funcapi.h"
#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

#include "base/ampsf.h"
#include "base/options.h"
#include "functions/server_arg.h"
#include "net/http.h"
#include "org/describe.h"
#include "org/engagement_objects.h"
#include "org/limits.h"

/* A comment says no more of a pick list than a reader takes in. */
#define COMMENT_PICKLIST_BYTES 1000

PG_FUNCTION_INFO_V1(ampsf_sql_version);
PG_FUNCTION_INFO_V1(ampsf_sql_limits);
PG_FUNCTION_INFO_V1(ampsf_sql_comment);

Datum
ampsf_sql_version(PG_FUNCTION_ARGS)
{
	const char *server = GetConfigOption("server_version", false, false);

	PG_RETURN_TEXT_P(cstring_to_text(psprintf("%s %s, PostgreSQL %s, %s", AMPSF_FDW_NAME,
											  AMPSF_VERSION, server, ampsf_http_version())));
}

static void
put_numbers(ReturnSetInfo *rsinfo, const char *name, int64 max, int64 remaining, bool known)
{
	Datum values[4];
	bool nulls[4] = {false, false, !known, !known};

	values[0] = CStringGetTextDatum(name);
	values[1] = Int64GetDatum(max);
	values[2] = Int64GetDatum(remaining);
	values[3] = Int64GetDatum(max - remaining);
	tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
}

/* One limit as a row; what has no Max is something else, and left out. */
static void
put_limit(const char *name, AmpsfJson *value, void *arg)
{
	int64 max = ampsf_json_int(value, "Max", -1);

	if (max >= 0)
		put_numbers(arg, name, max, ampsf_json_int(value, "Remaining", -1),
					ampsf_json_get(value, "Remaining") != NULL);
}

Datum
ampsf_sql_limits(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	ForeignServer *server = ampsf_server_arg(NameStr(*PG_GETARG_NAME(0)));

	AmpsfSession *session = ampsf_session_get(server->serverid, GetUserId());

	InitMaterializedSRF(fcinfo, 0);
	if (ampsf_session_options(session)->engagement)
	{
		int64 used, max;

		ampsf_engagement_quota(session, &used, &max);
		put_numbers(rsinfo, "AccountEngagementDailyApiCalls", max, Max(max - used, 0),
					used >= 0 && max >= 0);
	}
	else
		ampsf_json_each(ampsf_limits_fetch(session), put_limit, rsinfo);
	return (Datum) 0;
}

/* Remote text, in the database's encoding. */
static void
append_remote(StringInfo buf, const char *utf8)
{
	appendStringInfoString(buf, pg_any_to_server(utf8, strlen(utf8), PG_UTF8));
}

/* Ends what has been said so far as a sentence, and begins the next. */
static void
next_sentence(StringInfo buf)
{
	if (buf->len == 0)
		return;
	if (strchr(".!?", buf->data[buf->len - 1]) == NULL)
		appendStringInfoChar(buf, '.');
	appendStringInfoChar(buf, ' ');
}

static void
append_picklist(StringInfo buf, const AmpsfField *field)
{
	int start = buf->len;
	int said = 0;
	int active = 0;
	ListCell *lc;

	foreach (lc, field->picklist)
		active += ((AmpsfPicklistValue *) lfirst(lc))->active;
	if (active == 0)
		return;

	next_sentence(buf);
	appendStringInfoString(buf, field->restricted_picklist ? "Pick list: " : "Pick list (open): ");
	foreach (lc, field->picklist)
	{
		const AmpsfPicklistValue *value = lfirst(lc);

		if (!value->active)
			continue;
		if (buf->len - start > COMMENT_PICKLIST_BYTES)
		{
			appendStringInfo(buf, " and %d more", active - said);
			break;
		}
		if (said++)
			appendStringInfoString(buf, ", ");
		append_remote(buf, value->value);
		if (value->label && strcmp(value->label, value->value) != 0)
		{
			appendStringInfoString(buf, " (");
			append_remote(buf, value->label);
			appendStringInfoChar(buf, ')');
		}
	}
	appendStringInfoChar(buf, '.');
}

static char *
field_comment(const AmpsfField *field)
{
	StringInfoData buf;
	ListCell *lc;

	initStringInfo(&buf);
	append_remote(&buf, field->label);
	if (field->help && field->help[0])
	{
		next_sentence(&buf);
		append_remote(&buf, field->help);
	}
	if (field->reference_to)
	{
		next_sentence(&buf);
		appendStringInfoString(&buf, "Id of ");
		foreach (lc, field->reference_to)
		{
			/* Some polymorphic references may point at hundreds of objects. */
			if (foreach_current_index(lc) == 10)
			{
				appendStringInfo(&buf, " and %d more", list_length(field->reference_to) - 10);
				break;
			}
			appendStringInfo(&buf, "%s%s", foreach_current_index(lc) ? ", " : "",
							 (char *) lfirst(lc));
		}
		appendStringInfoChar(&buf, '.');
	}
	append_picklist(&buf, field);
	return buf.data;
}

/* COMMENT ON, with its checks and locks: the caller must own the table. */
static void
set_comment(ObjectType type, List *names, char *text)
{
	CommentStmt *stmt = makeNode(CommentStmt);

	stmt->objtype = type;
	stmt->object = (Node *) names;
	stmt->comment = text;
	(void) CommentObject(stmt);
}

/* Comments on a table and its columns; returns how many. */
static int
comment_table(Oid relid, const char *schema, const AmpsfObject *object)
{
	Relation rel = table_open(relid, AccessShareLock);
	TupleDesc desc = RelationGetDescr(rel);
	char *table = pstrdup(RelationGetRelationName(rel));
	StringInfoData text;
	int n = 1;

	initStringInfo(&text);
	append_remote(&text, object->label);
	appendStringInfo(&text, " (Salesforce %sobject %s)", object->custom ? "custom " : "",
					 object->name);
	set_comment(OBJECT_FOREIGN_TABLE, list_make2(makeString(pstrdup(schema)), makeString(table)),
				text.data);

	for (int i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(desc, i);
		AmpsfField *field;

		if (att->attisdropped)
			continue;
		field = ampsf_describe_field(object, ampsf_column(relid, att->attnum)->field);
		if (field == NULL)
			continue;
		set_comment(OBJECT_COLUMN,
					list_make3(makeString(pstrdup(schema)), makeString(table),
							   makeString(pstrdup(NameStr(att->attname)))),
					field_comment(field));
		n++;
	}
	table_close(rel, NoLock);
	return n;
}

typedef struct CommentTable
{
	Oid relid, serverid;
} CommentTable;

/* The foreign tables of a schema, of that server (or of any of ours, if InvalidOid). */
static List *
foreign_tables(Oid schema, Oid serverid)
{
	Relation rel = table_open(ForeignTableRelationId, AccessShareLock);
	SysScanDesc scan = systable_beginscan(rel, InvalidOid, false, NULL, 0, NULL);
	List *result = NIL;
	HeapTuple tuple;

	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Form_pg_foreign_table form = (Form_pg_foreign_table) GETSTRUCT(tuple);
		CommentTable *item;

		if (get_rel_namespace(form->ftrelid) != schema ||
			(OidIsValid(serverid) && form->ftserver != serverid))
			continue;
		if (!OidIsValid(serverid) && !ampsf_is_our_server(GetForeignServer(form->ftserver)))
			continue;
		item = palloc(sizeof(CommentTable));
		item->relid = form->ftrelid;
		item->serverid = form->ftserver;
		result = lappend(result, item);
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return result;
}

/* All tables of one server: their objects are described together. */
static int
comment_server(Oid serverid, List *tables, const char *schema)
{
	ForeignServer *server = GetForeignServer(serverid);
	AmpsfSession *session;
	List *relids = NIL;
	List *names = NIL;
	List *objects;
	ListCell *lc;
	ListCell *lo;
	int n = 0;

	ampsf_check_server_usage(serverid, server->servername, GetUserId());
	if (ampsf_server_options(server)->engagement)
	{
		ereport(
			NOTICE,
			(errmsg("tables of server \"%s\" get no comments: Account Engagement describes nothing",
					server->servername)));
		return 0;
	}
	foreach (lc, tables)
	{
		const CommentTable *item = lfirst(lc);

		if (item->serverid != serverid)
			continue;
		relids = lappend_oid(relids, item->relid);
		names = lappend(names, ampsf_table_options(item->relid)->object);
	}

	session = ampsf_session_get(serverid, GetUserId());
	ampsf_describe_forget(session);
	objects = ampsf_describe_objects(session, names);
	forboth(lc, relids, lo, objects)
	{
		if (lfirst(lo))
			n += comment_table(lfirst_oid(lc), schema, lfirst(lo));
		else
			ereport(WARNING,
					(errcode(ERRCODE_FDW_TABLE_NOT_FOUND),
					 errmsg("the org refuses to describe the object of foreign table \"%s\"",
							get_rel_name(lfirst_oid(lc)))));
	}
	return n;
}

Datum
ampsf_sql_comment(PG_FUNCTION_ARGS)
{
	char *schema;
	Oid schemaid;
	Oid serverid = InvalidOid;
	List *tables;
	List *servers = NIL;
	ListCell *lc;
	int n = 0;

	if (PG_ARGISNULL(0))
		PG_RETURN_NULL();
	PreventCommandIfReadOnly("ampsf.comment()");
	schema = NameStr(*PG_GETARG_NAME(0));
	schemaid = get_namespace_oid(schema, false);
	if (!PG_ARGISNULL(1))
		serverid = ampsf_server_arg(NameStr(*PG_GETARG_NAME(1)))->serverid;

	tables = foreign_tables(schemaid, serverid);
	foreach (lc, tables)
		servers = list_append_unique_oid(servers, ((CommentTable *) lfirst(lc))->serverid);
	foreach (lc, servers)
		n += comment_server(lfirst_oid(lc), tables, schema);
	PG_RETURN_INT32(n);
}
