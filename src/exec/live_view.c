/*
 * live_view.c - what has changed in an object since its mirror's watermark: one call for the rows
 * and the log of deletions together, and one more for each further page of rows.
 *
 * A view over a mirror asks twice, for the Ids that its own rows are to be left out for and for
 * the rows in their place; and a statement may name the view more than once.  All of them get one
 * answer: it is kept for as long as the query that the executor runs, and found again by the
 * memory of that query.  The watermark is read with the snapshot of the statement, as the rows of
 * the mirror are: a run that commits meanwhile moves neither.
 *
 * The log is asked for before the rows: a row that was deleted and came back is there.
 *
 * Must not know: how a mirror is kept.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/skey.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/pg_type.h"
#include "executor/executor.h"
#include "fmgr.h"
#include "foreign/foreign.h"
#include "funcapi.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "nodes/value.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/hsearch.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "base/error.h"
#include "exec/convert.h"
#include "exec/files.h"
#include "exec/live_view.h"
#include "functions/foreign_arg.h"
#include "net/session.h"
#include "net/usage.h"
#include "wire/json_doc.h"
#include "wire/json_member.h"
#include "wire/json_scan.h"
#include "wire/text.h"
#include "wire/utf8.h"
#include "wire/wiretime.h"

PG_FUNCTION_INFO_V1(ampsf_sql_live_rows);
PG_FUNCTION_INFO_V1(ampsf_sql_live_ids);

#define ID_LENGTH 18

/* What a mirror's definition says, as of the statement's snapshot. */
typedef struct Window
{
	Oid target, source;
	char *cursor_column;   /* of the foreign table; NULL: it has none */
	TimestampTz rows_from; /* changes since then may be missing in the mirror */
	TimestampTz log_from;  /* and deletions since then */
	bool filled;		   /* is there a watermark? */
	List *left_out;		   /* of String: columns whose fields the org does not show */
} Window;

typedef struct Deletion
{
	char id[ID_LENGTH + 1]; /* the key of the hash table */
	TimestampTz at;
	bool alive; /* it is among the rows */
} Deletion;

/* One answer, for one query of the executor. */
typedef struct LiveAnswer
{
	MemoryContext cxt; /* all of it, but for this struct; below the transaction's */
	MemoryContext query;
	Oid target;
	TupleDesc desc; /* of the foreign table */
	AttrNumber id;
	Tuplestorestate *rows; /* as the foreign table would give them */
	HTAB *deletions;
	struct LiveAnswer *next;
	MemoryContextCallback on_end;
} LiveAnswer;

static LiveAnswer *answers = NULL;

/* A column of the foreign table that a field fills. */
typedef struct LiveColumn
{
	int att; /* from 0 */
	AmpsfColumnConv conv;
} LiveColumn;

/* The reading of rows. */
typedef struct LiveRead
{
	AmpsfForeignArg arg;
	LiveAnswer *answer;
	Window window;
	AmpsfUsage *usage;
	AmpsfStats stats;
	char *soql;
	int ncolumns;
	LiveColumn *columns; /* and values[i] is of columns[i]; the last value is the Id's */
	const char **fields;
	AmpsfValue *values;
	AmpsfJsonScan *scan;
	MemoryContextCallback on_reset;
	AmpsfRoom *room;
	MemoryContext row_cxt;
	MemoryContext page_cxt;
	const char *time_of_answer; /* the org's */
	int64 rows;
	int column; /* being converted, or -1 */
} LiveRead;

/* -------- the window -------- */

static Datum
definition_value(HeapTuple tuple, TupleDesc desc, const char *name, bool *isnull)
{
	for (int i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(desc, i);

		if (!att->attisdropped && strcmp(NameStr(att->attname), name) == 0)
			return heap_getattr(tuple, i + 1, desc, isnull);
	}
	elog(ERROR, "mirror_definition has no column %s", name);
}

/* The time less the lookback; 0 and true if it is null. */
static TimestampTz
window_start(HeapTuple tuple, TupleDesc desc, const char *name, bool *isnull)
{
	bool none;
	Datum at = definition_value(tuple, desc, name, isnull);
	Datum lookback = definition_value(tuple, desc, "lookback", &none);

	if (*isnull || none)
		return 0;
	return DatumGetTimestampTz(DirectFunctionCall2(timestamptz_mi_interval, at, lookback));
}

/*
 * The mirror's window.  Its definition is its owner's alone to see, but who may read both tables
 * may know how far the one is: so it is read here, and not by a query.
 */
static void
read_window(Oid target, Oid function, Window *window)
{
	Oid definitions = get_relname_relid("mirror_definition", get_func_namespace(function));
	Relation rel;
	TableScanDesc scan;
	ScanKeyData key;
	HeapTuple tuple = NULL;
	TupleTableSlot *slot;
	bool none, no_rows, no_log;
	Datum value;

	if (!OidIsValid(definitions))
		elog(ERROR, "there is no table mirror_definition");
	memset(window, 0, sizeof(*window));
	window->target = target;
	rel = table_open(definitions, AccessShareLock);
	ScanKeyInit(&key, get_attnum(definitions, "target"), BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(target));
	slot = table_slot_create(rel, NULL);
	scan = table_beginscan(rel, GetActiveSnapshot(), 1, &key);
	if (table_scan_getnextslot(scan, ForwardScanDirection, slot))
		tuple = ExecCopySlotHeapTuple(slot);
	table_endscan(scan);
	ExecDropSingleTupleTableSlot(slot);
	if (tuple == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("%s is not a mirror",
						quote_identifier(get_rel_name(target) ? get_rel_name(target) : "-"))));
	window->source = DatumGetObjectId(definition_value(tuple, rel->rd_att, "source", &none));
	value = definition_value(tuple, rel->rd_att, "cursor_column", &none);
	if (!none)
		window->cursor_column = pstrdup(NameStr(*DatumGetName(value)));
	window->rows_from = window_start(tuple, rel->rd_att, "watermark", &no_rows);
	window->log_from = window_start(tuple, rel->rd_att, "deleted_to", &no_log);
	value = definition_value(tuple, rel->rd_att, "left_out", &none);
	if (!none)
	{
		Datum *names;
		int n;

		deconstruct_array(DatumGetArrayTypeP(value), NAMEOID, NAMEDATALEN, false, TYPALIGN_CHAR,
						  &names, NULL, &n);
		for (int i = 0; i < n; i++)
			window->left_out =
				lappend(window->left_out, makeString(pstrdup(NameStr(*DatumGetName(names[i])))));
	}
	table_close(rel, AccessShareLock);
	window->filled = !no_rows && !no_log;
}

static void
check_window(const Window *window)
{
	Oid target = window->target;

	if (get_rel_relkind(window->source) == '\0')
		ereport(ERROR, (errcode(ERRCODE_UNDEFINED_TABLE),
						errmsg("the foreign table of mirror %s is gone", get_rel_name(target))));
	if (!window->cursor_column)
		ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
						errmsg("mirror %s can have no live view", get_rel_name(target)),
						errdetail("Its object has no field that tells when a row changed.")));
	if (!window->filled)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("mirror %s has not been filled yet", get_rel_name(target)),
				 errhint("CALL ampsf.sync('%s') goes on where its first run ended.",
						 quote_qualified_identifier(get_namespace_name(get_rel_namespace(target)),
													get_rel_name(target)))));
}

/* -------- asking -------- */

static const char *
soql_time(TimestampTz t)
{
	char buf[AMPSF_TIME_BUF];

	if (TIMESTAMP_NOT_FINITE(t) || t < AMPSF_DATETIME_MIN || t > AMPSF_DATETIME_MAX)
		ereport(ERROR, (errcode(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE),
						errmsg("time is out of Salesforce's range")));
	ampsf_print_datetime(t, buf);
	return pstrdup(buf);
}

static void
forget_scan(void *arg)
{
	LiveRead *read = arg;

	ampsf_json_scan_free(read->scan);
	read->scan = NULL;
}

/* The columns, how their values are converted, and the statement. */
static void
prepare(LiveRead *read)
{
	Oid relid = read->window.source;
	Relation rel = table_open(relid, AccessShareLock);
	LiveAnswer *answer = read->answer;
	MemoryContext old = MemoryContextSwitchTo(answer->cxt);
	const char *cursor = NULL;
	StringInfoData soql;

	answer->desc = CreateTupleDescCopy(RelationGetDescr(rel));
	MemoryContextSwitchTo(old);
	table_close(rel, NoLock);
	read->columns = palloc0(sizeof(LiveColumn) * answer->desc->natts);
	read->fields = palloc0(sizeof(char *) * (answer->desc->natts + 1));
	read->values = palloc0(sizeof(AmpsfValue) * (answer->desc->natts + 1));
	read->room = ampsf_room_create();
	initStringInfo(&soql);
	appendStringInfoString(&soql, "SELECT ");
	for (int i = 0; i < answer->desc->natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(answer->desc, i);
		AmpsfColumn *col;
		LiveColumn *c;
		bool known = false;

		if (att->attisdropped)
			continue;
		col = ampsf_column(relid, att->attnum);
		if (col->created || list_member(read->window.left_out, makeString(NameStr(att->attname))))
			continue;
		if (strcmp(NameStr(att->attname), read->window.cursor_column) == 0)
			cursor = col->field;
		if (pg_strcasecmp(col->field, "Id") == 0)
			answer->id = att->attnum;
		for (int k = 0; k < read->ncolumns && !known; k++)
			known = pg_strcasecmp(read->fields[k], col->field) == 0;
		if (!known)
			appendStringInfo(&soql, "%s%s", read->ncolumns ? ", " : "", col->field);
		read->fields[read->ncolumns] = col->field;
		c = &read->columns[read->ncolumns++];
		c->att = i;
		ampsf_convert_init(&c->conv, att, col, CurrentMemoryContext);
		c->conv.room = read->room;
		c->conv.fetch_later = c->conv.remote_file && c->conv.type == BYTEAOID;
	}
	if (!cursor || !answer->id)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_COLUMN),
				 errmsg("foreign table \"%s\" has no column %s any longer", get_rel_name(relid),
						answer->id ? read->window.cursor_column : "for the field Id")));
	read->fields[read->ncolumns] = "Id";
	appendStringInfo(&soql, " FROM %s WHERE %s >= %s", read->arg.table->object, cursor,
					 soql_time(read->window.rows_from));
	read->soql = soql.data;
	read->scan = ampsf_json_scan_create(read->fields, read->ncolumns + 1);
	if (!read->scan)
		ereport(ERROR, (errcode(ERRCODE_OUT_OF_MEMORY), errmsg("out of memory")));
	read->on_reset.func = forget_scan;
	read->on_reset.arg = read;
	MemoryContextRegisterResetCallback(CurrentMemoryContext, &read->on_reset);
}

static void
append_json(StringInfo buf, const char *s)
{
	size_t len = strlen(s);

	enlargeStringInfo(buf, ampsf_quote_json(s, len, NULL));
	buf->len += ampsf_quote_json(s, len, buf->data + buf->len);
	buf->data[buf->len] = '\0';
}

static void
append_url(StringInfo buf, const char *s)
{
	size_t len = strlen(s);

	enlargeStringInfo(buf, ampsf_quote_url(s, len, NULL));
	buf->len += ampsf_quote_url(s, len, buf->data + buf->len);
	buf->data[buf->len] = '\0';
}

/* Both questions as one request. */
static AmpsfCall *
ask(LiveRead *read, TimestampTz log_to)
{
	const char *version = ampsf_session_version(read->arg.session);
	const AmpsfTableOptions *table = read->arg.table;
	AmpsfCallSpec spec = {0};
	StringInfoData body, url;

	initStringInfo(&url);
	initStringInfo(&body);
	appendStringInfo(&url, "/services/data/v%s/sobjects/%s/deleted/?start=%s&end=%s", version,
					 table->object, soql_time(read->window.log_from), soql_time(log_to));
	appendStringInfoString(&body, "{\"compositeRequest\":[{\"method\":\"GET\",\"url\":");
	append_json(&body, url.data);
	appendStringInfoString(&body, ",\"referenceId\":\"log\"},{\"method\":\"GET\",\"url\":");
	resetStringInfo(&url);
	appendStringInfo(&url, "/services/data/v%s/query?q=", version);
	append_url(&url, pg_server_to_any(read->soql, strlen(read->soql), PG_UTF8));
	append_json(&body, url.data);
	if (table->page_size > 0)
		appendStringInfo(&body, ",\"httpHeaders\":{\"Sforce-Query-Options\":\"batchSize=%d\"}",
						 table->page_size);
	appendStringInfoString(&body, ",\"referenceId\":\"rows\"}]}");
	spec.method = "POST";
	spec.path = "composite";
	spec.body = body.data;
	spec.body_len = body.len;
	spec.idempotent = true;
	spec.usage = read->usage;
	spec.stats = &read->stats;
	return ampsf_call_start(read->arg.session, &spec, read->page_cxt);
}

static void throw_reply(const LiveRead *read, const char *detail) __attribute__((noreturn));

static void
throw_reply(const LiveRead *read, const char *detail)
{
	ereport(ERROR, (errcode(ERRCODE_FDW_UNABLE_TO_CREATE_REPLY),
					errmsg("could not read what changed since the last run of mirror %s",
						   get_rel_name(read->window.target)),
					errdetail("%s.", detail)));
}

/* -------- the log of deletions -------- */

static TimestampTz
time_member(const LiveRead *read, AmpsfJson *j, const char *key)
{
	const char *text = ampsf_json_string(j, key);
	int64 usecs;

	if (text == NULL || !ampsf_parse_datetime(text, strlen(text), &usecs))
		throw_reply(read, "A time is missing in the log of deletions");
	return usecs;
}

static void
no_log(const LiveRead *read, const char *detail)
{
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("the org's log of deletions does not reach back to the last run of mirror %s",
					get_rel_name(read->window.target)),
			 errdetail("%s", detail),
			 errhint("CALL ampsf.sync('%s') compares all Ids instead.",
					 quote_qualified_identifier(
						 get_namespace_name(get_rel_namespace(read->window.target)),
						 get_rel_name(read->window.target)))));
}

static void
take_log(LiveRead *read, const char *text, size_t len)
{
	AmpsfJson *doc = ampsf_json_parse(text, len, read->page_cxt);
	AmpsfJson *list = ampsf_json_get(doc, "deletedRecords");
	HASHCTL ctl = {.keysize = ID_LENGTH + 1, .entrysize = sizeof(Deletion)};
	int n;

	/* A list that is missing is no empty list. */
	if (!ampsf_json_is_array(list))
		throw_reply(read, "The log of deletions has no deletedRecords");
	if (time_member(read, doc, "earliestDateAvailable") > read->window.log_from)
		no_log(read, "Its older entries are gone.");
	n = ampsf_json_array_length(list);
	ctl.hcxt = read->answer->cxt;
	read->answer->deletions =
		hash_create("ampsf deletions", Max(n, 16), &ctl, HASH_ELEM | HASH_STRINGS | HASH_CONTEXT);
	for (int i = 0; i < n; i++)
	{
		AmpsfJson *item = ampsf_json_array_get(list, i);
		const char *id = ampsf_json_string(item, "id");
		Deletion *d;

		if (id == NULL || strlen(id) != ID_LENGTH)
			throw_reply(read, "An entry of the log of deletions has no Id");
		d = hash_search(read->answer->deletions, id, HASH_ENTER, NULL);
		d->at = time_member(read, item, "deletedDate");
		d->alive = false;
	}
}

/* -------- rows -------- */

/* Names the column of a value that does not fit. */
static void
conversion_context(void *arg)
{
	const LiveRead *read = arg;

	if (read->column >= 0)
		errcontext(
			"field %s, column \"%s\", changed row " INT64_FORMAT, read->fields[read->column],
			NameStr(TupleDescAttr(read->answer->desc, read->columns[read->column].att)->attname),
			read->rows);
}

static void
keep_row(LiveRead *read, Datum *values, bool *nulls)
{
	LiveAnswer *answer = read->answer;
	const AmpsfValue *id = &read->values[read->ncolumns];
	char key[ID_LENGTH + 1];
	Deletion *d;
	ErrorContextCallback context = {error_context_stack, conversion_context, read};
	MemoryContext old = MemoryContextSwitchTo(read->row_cxt);

	if (id->kind != AMPSF_VALUE_STRING || id->len != ID_LENGTH)
		throw_reply(read, "A row has no Id");
	memcpy(key, id->ptr, ID_LENGTH);
	key[ID_LENGTH] = '\0';
	if ((d = hash_search(answer->deletions, key, HASH_FIND, NULL)) != NULL)
		d->alive = true;
	memset(nulls, true, sizeof(bool) * answer->desc->natts);
	ampsf_room_empty(read->room);
	error_context_stack = &context;
	for (int i = 0; i < read->ncolumns; i++)
	{
		LiveColumn *c = &read->columns[i];

		read->column = i;
		values[c->att] = ampsf_convert(&c->conv, &read->values[i], &nulls[c->att]);
	}
	/* Calls for contents come last, when nothing is read from the page for this row any more. */
	for (int i = 0; i < read->ncolumns; i++)
	{
		LiveColumn *c = &read->columns[i];

		read->column = i;
		if (c->conv.fetch_later && !nulls[c->att])
			values[c->att] =
				ampsf_fetch_file(read->arg.session, DatumGetCString(values[c->att]), &read->stats);
	}
	read->column = -1;
	error_context_stack = context.previous;
	MemoryContextSwitchTo(old);
	tuplestore_putvalues(answer->rows, answer->desc, values, nulls);
	MemoryContextReset(read->row_cxt);
}

/* All rows of a page; the address of the next one, in the current context, or NULL. */
static char *
take_page(LiveRead *read, const char *text, size_t len, Datum *values, bool *nulls)
{
	const AmpsfStats arrived = {.pages = 1};
	const AmpsfStats one = {.rows = 1};
	size_t pos = 0;
	const char *url;

	if (ampsf_utf8_valid(text, len) != len)
		throw_reply(read, "A page of rows is not UTF-8");
	ampsf_session_count(read->arg.session, &arrived);
	ampsf_json_scan_reset(read->scan);
	for (;;)
	{
		AmpsfJsonResult r = ampsf_json_scan_next(read->scan, text, len, &pos, true, read->values);

		if (r == AMPSF_JSON_END)
			break;
		if (r != AMPSF_JSON_RECORD)
			throw_reply(read, ampsf_json_scan_error(read->scan));
		CHECK_FOR_INTERRUPTS();
		read->rows++;
		keep_row(read, values, nulls);
		ampsf_session_count(read->arg.session, &one);
		ampsf_usage_rows(read->usage, 1);
	}
	url = ampsf_json_scan_next_url(read->scan);
	if (ampsf_json_scan_done(read->scan))
	{
		if (read->rows != ampsf_json_scan_total(read->scan))
			throw_reply(read, psprintf("The rows ended after " INT64_FORMAT ", but " INT64_FORMAT
									   " were announced",
									   read->rows, (int64) ampsf_json_scan_total(read->scan)));
		return NULL;
	}
	if (url == NULL || url[0] != '/')
		throw_reply(read, "A page of rows does not say where the next is");
	return pstrdup(url);
}

static void
read_rows(LiveRead *read, const char *text, size_t len)
{
	int natts = read->answer->desc->natts;
	Datum *values = palloc0(sizeof(Datum) * natts);
	bool *nulls = palloc0(sizeof(bool) * natts);
	char *url = take_page(read, text, len, values, nulls);

	while (url)
	{
		AmpsfCallSpec spec = {0};
		AmpsfCall *call;

		MemoryContextReset(read->page_cxt);
		spec.method = "GET";
		spec.path = url;
		spec.idempotent = true;
		spec.usage = read->usage;
		spec.stats = &read->stats;
		call = ampsf_call_start(read->arg.session, &spec, read->page_cxt);
		ampsf_call_finish(call, "read next page of query result", read->soql);
		text = ampsf_call_body(call, &len);
		url = take_page(read, text, len, values, nulls);
	}
}

/* -------- the answer -------- */

/* The answer to one of the two questions; its status. */
static int
part(const LiveRead *read, const char *body, size_t len, int which, const char **text,
	 size_t *text_len)
{
	const char *list, *item = NULL, *status;
	size_t list_len, item_len = 0, status_len;
	const char *at;

	if (!ampsf_json_member(body, body + len, "compositeResponse", &list, &list_len) ||
		list_len < 2 || *list != '[')
		throw_reply(read, "There is no compositeResponse in the answer");
	at = list + 1;
	for (int i = 0; i <= which; i++)
		if (!ampsf_json_element(&at, list + list_len, &item, &item_len))
			throw_reply(read, "An answer is missing in the compositeResponse");
	if (!ampsf_json_member(item, item + item_len, "httpStatusCode", &status, &status_len) ||
		!ampsf_json_member(item, item + item_len, "body", text, text_len))
		throw_reply(read, "There is no body and status in the compositeResponse");
	return atoi(status);
}

static bool
is_out_of_range(int status, const char *text, size_t len)
{
	AmpsfApiError err;

	if (status != 400)
		return false;
	ampsf_error_parse(status, text, len, &err);
	return err.code && strcmp(err.code, "INVALID_REPLICATION_DATE") == 0;
}

static void
answer_questions(LiveRead *read)
{
	/*
	 * The log ends where it ends, at the org's present, whatever its clock says; an org that wants
	 * no end in the future is told its own time.
	 */
	TimestampTz log_to = GetCurrentTimestamp() + USECS_PER_DAY;
	bool again = false;
	const char *body, *text;
	size_t len, text_len;
	int status;
	AmpsfCall *call;

	if (read->window.log_from <= GetCurrentTimestamp() - 15 * USECS_PER_DAY)
		no_log(read, "It has 15 days.");
	for (;;)
	{
		call = ask(read, log_to);
		ampsf_call_finish(call, "ask what changed since the last run of the mirror", read->soql);
		body = ampsf_call_body(call, &len);
		status = part(read, body, len, 0, &text, &text_len);
		if (again || !is_out_of_range(status, text, text_len) || !ampsf_call_header(call, "Date"))
			break;
		log_to = DatumGetTimestampTz(
			DirectFunctionCall3(timestamptz_in, CStringGetDatum(ampsf_call_header(call, "Date")),
								ObjectIdGetDatum(InvalidOid), Int32GetDatum(-1)));
		if (read->window.log_from > log_to - 2 * USECS_PER_MINUTE)
			read->window.log_from = log_to - 2 * USECS_PER_MINUTE;
		again = true;
	}
	if (status < 200 || status > 299)
	{
		AmpsfApiError err;

		if (is_out_of_range(status, text, text_len))
			no_log(read, "The org refuses to show it.");
		ampsf_error_parse(status, text, text_len, &err);
		ampsf_error_throw(&err, "read the log of deletions", NULL);
	}
	take_log(read, text, text_len);
	status = part(read, body, len, 1, &text, &text_len);
	if (status < 200 || status > 299)
	{
		AmpsfApiError err;

		ampsf_error_parse(status, text, text_len, &err);
		ampsf_error_throw(&err, "run query", read->soql);
	}
	read_rows(read, text, text_len);
}

bool
ampsf_live_question(Oid target, Oid function, char **soql, const char **log_from)
{
	LiveRead *read = palloc0(sizeof(LiveRead));

	/* auto_explain tells of a statement when its snapshot is gone. */
	if (!ActiveSnapshotSet())
		return false;
	read_window(target, function, &read->window);
	if (!read->window.filled || !read->window.cursor_column ||
		get_rel_relkind(read->window.source) == '\0' ||
		pg_class_aclcheck(read->window.source, GetUserId(), ACL_SELECT) != ACLCHECK_OK)
		return false;
	read->arg.table = ampsf_table_options(read->window.source);
	read->answer = palloc0(sizeof(LiveAnswer));
	read->answer->cxt = CurrentMemoryContext;
	prepare(read);
	*soql = read->soql;
	*log_from = soql_time(read->window.log_from);
	return true;
}

/*
 * The query has ended.  After an error the transaction's own cleaning has closed the tuplestore's
 * file, and memory goes with the transaction.
 */
static void
query_ended(void *arg)
{
	LiveAnswer *answer = arg;

	for (LiveAnswer **a = &answers; *a; a = &(*a)->next)
		if (*a == answer)
		{
			*a = answer->next;
			break;
		}
	if (!IsTransactionState())
		return;
	tuplestore_end(answer->rows);
	MemoryContextDelete(answer->cxt);
}

static LiveAnswer *
find_answer(FunctionCallInfo fcinfo, Oid target)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	MemoryContext query = rsinfo->econtext->ecxt_per_query_memory;
	LiveRead *read;
	LiveAnswer *answer;
	MemoryContext work, old;

	for (answer = answers; answer; answer = answer->next)
		if (answer->query == query && answer->target == target)
			return answer;

	work = AllocSetContextCreate(CurrentMemoryContext, "ampsf live view", ALLOCSET_DEFAULT_SIZES);
	old = MemoryContextSwitchTo(work);
	read = palloc0(sizeof(LiveRead));
	read->column = -1;
	read->row_cxt = AllocSetContextCreate(work, "ampsf live view row", ALLOCSET_DEFAULT_SIZES);
	read->page_cxt = AllocSetContextCreate(work, "ampsf live view page", ALLOCSET_DEFAULT_SIZES);
	read_window(target, fcinfo->flinfo->fn_oid, &read->window);
	check_window(&read->window);
	ampsf_foreign_arg(&read->arg, read->window.source);
	read->usage = ampsf_session_usage(read->arg.session, read->arg.table->object, "query");

	answer = MemoryContextAllocZero(query, sizeof(LiveAnswer));
	read->answer = answer;
	answer->query = query;
	answer->target = target;
	answer->cxt =
		AllocSetContextCreate(TopTransactionContext, "ampsf live answer", ALLOCSET_DEFAULT_SIZES);
	prepare(read);
	MemoryContextSwitchTo(answer->cxt);
	answer->rows = tuplestore_begin_heap(true, false, work_mem);
	MemoryContextSwitchTo(work);
	answer_questions(read);
	MemoryContextSwitchTo(old);
	MemoryContextDelete(work);

	answer->on_end.func = query_ended;
	answer->on_end.arg = answer;
	MemoryContextRegisterResetCallback(query, &answer->on_end);
	answer->next = answers;
	answers = answer;
	return answer;
}

/* Rows of the mirror that are not as the mirror has them: changed, or deleted at that time. */
Datum
ampsf_sql_live_ids(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	LiveAnswer *answer;
	TupleTableSlot *slot;
	HASH_SEQ_STATUS seq;
	Deletion *d;
	Datum values[2];
	bool nulls[2] = {false, true};

	InitMaterializedSRF(fcinfo, 0);
	answer = find_answer(fcinfo, PG_GETARG_OID(0));
	slot = MakeSingleTupleTableSlot(answer->desc, &TTSOpsMinimalTuple);
	tuplestore_rescan(answer->rows);
	values[1] = (Datum) 0;
	while (tuplestore_gettupleslot(answer->rows, true, false, slot))
	{
		bool none;
		Datum id = slot_getattr(slot, answer->id, &none);

		values[0] = id;
		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
	}
	ExecDropSingleTupleTableSlot(slot);
	nulls[1] = false;
	hash_seq_init(&seq, answer->deletions);
	while ((d = hash_seq_search(&seq)) != NULL)
	{
		if (d->alive)
			continue;
		values[0] = CStringGetTextDatum(d->id);
		values[1] = TimestampTzGetDatum(d->at);
		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
		pfree(DatumGetPointer(values[0]));
	}
	return (Datum) 0;
}

/* The rows that changed, as the foreign table has them; columns by the names that are asked for. */
Datum
ampsf_sql_live_rows(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	Oid target = PG_GETARG_OID(0);
	LiveAnswer *answer;
	TupleTableSlot *slot;
	TupleDesc want;
	int *from;
	Datum *values;
	bool *nulls;

	InitMaterializedSRF(fcinfo, MAT_SRF_USE_EXPECTED_DESC);
	answer = find_answer(fcinfo, target);
	want = rsinfo->setDesc;
	from = palloc(sizeof(int) * want->natts);
	values = palloc(sizeof(Datum) * want->natts);
	nulls = palloc(sizeof(bool) * want->natts);
	for (int i = 0; i < want->natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(want, i);

		from[i] = -1;
		for (int k = 0; k < answer->desc->natts; k++)
		{
			Form_pg_attribute has = TupleDescAttr(answer->desc, k);

			if (!has->attisdropped && strcmp(NameStr(has->attname), NameStr(att->attname)) == 0 &&
				has->atttypid == att->atttypid)
				from[i] = k;
		}
		if (from[i] < 0)
			ereport(
				ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("the foreign table of mirror %s has no column \"%s\" of type %s any longer",
						get_rel_name(target), NameStr(att->attname), format_type_be(att->atttypid)),
				 errhint("The mirror's next run, or ampsf.live_view(), makes the view anew.")));
	}
	slot = MakeSingleTupleTableSlot(answer->desc, &TTSOpsMinimalTuple);
	tuplestore_rescan(answer->rows);
	while (tuplestore_gettupleslot(answer->rows, true, false, slot))
	{
		slot_getallattrs(slot);
		for (int i = 0; i < want->natts; i++)
		{
			values[i] = slot->tts_values[from[i]];
			nulls[i] = slot->tts_isnull[from[i]];
		}
		tuplestore_putvalues(rsinfo->setResult, want, values, nulls);
	}
	ExecDropSingleTupleTableSlot(slot);
	return (Datum) 0;
}
