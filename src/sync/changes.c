/*
 * changes.c - has anything changed in an object since some time: one call for five objects.
 *
 * For each the rows whose stamp is not before that time, and the log of deletions.  What came is
 * told as counts and a fingerprint: equal ones mean that nothing has happened between two
 * questions, since whatever happens to a row gives it a stamp of its own.  Must not know: who asks.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "common/hashfn.h"
#include "fmgr.h"
#include "funcapi.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "base/error.h"
#include "functions/foreign_arg.h"
#include "net/session.h"
#include "org/json_call.h"
#include "wire/text.h"
#include "wire/wiretime.h"

PG_FUNCTION_INFO_V1(ampsf_sql_changes_since);

#define WHAT "ask the org what has changed"
/* Queries that one composite request may hold. */
#define QUERIES 5

typedef struct Question
{
	Oid relid;
	AmpsfForeignArg arg;
	char *stamp; /* the field */
	char since[AMPSF_TIME_BUF];
	char until[AMPSF_TIME_BUF];
} Question;

enum
{
	COL_TABLE,
	COL_ROWS,
	COL_NEWEST,
	COL_DELETED,
	COL_FINGERPRINT,
	COL_SERVER_TIME,
	COL_PROBLEM,
	NCOLS
};

static void
print_time(TimestampTz t, char *buf)
{
	if (TIMESTAMP_NOT_FINITE(t) || t < AMPSF_DATETIME_MIN || t > AMPSF_DATETIME_MAX)
		ereport(ERROR, (errcode(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE),
						errmsg("time is out of Salesforce's range")));
	ampsf_print_datetime(t, buf);
}

static char *
query_path(const Question *q, const char *soql)
{
	const char *resource = q->arg.table->include_deleted ? "queryAll?q=" : "query?q=";
	size_t start = strlen(resource);
	size_t len = ampsf_quote_url(soql, strlen(soql), NULL);
	char *path = palloc(start + len + 1);

	strcpy(path, resource);
	ampsf_quote_url(soql, strlen(soql), path + start);
	path[start + len] = '\0';
	return path;
}

static void
append_request(StringInfo buf, AmpsfSession *session, const char *path, const char *kind, int n)
{
	char *url = psprintf("/services/data/v%s/%s", ampsf_session_version(session), path);
	size_t len = strlen(url);

	appendStringInfoString(buf, buf->data[buf->len - 1] == '[' ? "{\"method\":\"GET\",\"url\":"
															   : ",{\"method\":\"GET\",\"url\":");
	enlargeStringInfo(buf, ampsf_quote_json(url, len, NULL));
	buf->len += ampsf_quote_json(url, len, buf->data + buf->len);
	buf->data[buf->len] = '\0';
	appendStringInfo(buf, ",\"referenceId\":\"%s%d\"}", kind, n);
}

/* What a part was refused with; NULL: it was not. */
static char *
refusal(AmpsfJson *part)
{
	AmpsfJson *error;
	const char *code;
	const char *message;

	if (ampsf_json_int(part, "httpStatusCode", 0) == 200)
		return NULL;
	error = ampsf_json_array_get(ampsf_json_get(part, "body"), 0);
	code = ampsf_json_string(error, "errorCode");
	message = ampsf_json_string(error, "message");
	return psprintf("Salesforce says %s: %s", code ? code : "nothing",
					message ? ampsf_clean_text(message, strlen(message)) : "");
}

/* Continues a fingerprint by two members of each object of a list. */
static uint64
hash_list(uint64 hash, AmpsfJson *list, const char *a, const char *b)
{
	for (int i = 0; i < ampsf_json_array_length(list); i++)
	{
		AmpsfJson *item = ampsf_json_array_get(list, i);
		const char *x = ampsf_json_string(item, a);
		const char *y = ampsf_json_string(item, b);

		if (x == NULL)
			ereport(ERROR, (errcode(ERRCODE_FDW_UNABLE_TO_CREATE_REPLY), errmsg("could not " WHAT),
							errdetail("Entry %d has no %s.", i + 1, a)));
		hash = hash_bytes_extended((const unsigned char *) x, strlen(x), hash);
		if (y != NULL)
			hash = hash_bytes_extended((const unsigned char *) y, strlen(y), hash);
	}
	return hash;
}

/* An object without a log of deletions: its rows are counted, which is a call more. */
static int64
count_all(const Question *q)
{
	AmpsfJson *doc = ampsf_json_call(
		q->arg.session, query_path(q, psprintf("SELECT COUNT() FROM %s", q->arg.table->object)),
		NULL, WHAT, CurrentMemoryContext);

	return ampsf_json_int(doc, "totalSize", -1);
}

static void
answer(const Question *q, AmpsfJson *changed, AmpsfJson *deleted, Datum server_time,
	   ReturnSetInfo *rsinfo)
{
	Datum values[NCOLS] = {0};
	bool nulls[NCOLS] = {false, true, true, true, true, false, true};
	char *problem = refusal(changed);
	AmpsfJson *body = ampsf_json_get(changed, "body");
	AmpsfJson *list = ampsf_json_get(body, "records");
	uint64 hash;

	values[COL_TABLE] = ObjectIdGetDatum(q->relid);
	values[COL_SERVER_TIME] = server_time;
	if (problem == NULL && !ampsf_json_is_array(list))
		problem = pstrdup("the answer has no records");
	if (problem != NULL)
	{
		values[COL_PROBLEM] = CStringGetTextDatum(problem);
		nulls[COL_PROBLEM] = false;
		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
		return;
	}
	/* The newest come first: where there are more pages, what happens next is seen on this one. */
	values[COL_ROWS] = Int64GetDatum(ampsf_json_int(body, "totalSize", -1));
	nulls[COL_ROWS] = false;
	hash = hash_list(DatumGetInt64(values[COL_ROWS]), list, "Id", q->stamp);
	if (ampsf_json_array_length(list) > 0)
	{
		const char *text = ampsf_json_string(ampsf_json_array_get(list, 0), q->stamp);
		int64 usecs;

		if (text != NULL && ampsf_parse_datetime(text, strlen(text), &usecs))
		{
			values[COL_NEWEST] = TimestampTzGetDatum(usecs);
			nulls[COL_NEWEST] = false;
		}
	}
	body = ampsf_json_get(deleted, "body");
	list = ampsf_json_get(body, "deletedRecords");
	if (refusal(deleted) == NULL && ampsf_json_is_array(list))
	{
		const char *earliest = ampsf_json_string(body, "earliestDateAvailable");

		values[COL_DELETED] = Int64GetDatum(ampsf_json_array_length(list));
		nulls[COL_DELETED] = false;
		hash = hash_list(hash, list, "id", "deletedDate");
		/* A log that does not reach back so far tells nothing. */
		if (earliest != NULL && strncmp(earliest, q->since, 19) > 0)
		{
			values[COL_PROBLEM] =
				CStringGetTextDatum("the log of deletions does not reach back far enough");
			nulls[COL_PROBLEM] = false;
		}
	}
	else
		hash = hash_combine64(hash, count_all(q));
	values[COL_FINGERPRINT] = CStringGetTextDatum(psprintf("%016llx", (unsigned long long) hash));
	nulls[COL_FINGERPRINT] = false;
	tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
}

/* One call. */
static void
ask(const Question *q, int n, ReturnSetInfo *rsinfo)
{
	AmpsfSession *session = q[0].arg.session;
	AmpsfCallSpec spec = {0};
	AmpsfCall *call;
	AmpsfJson *list;
	StringInfoData body;
	const char *text;
	size_t len;
	Datum server_time;

	initStringInfo(&body);
	appendStringInfoString(&body, "{\"compositeRequest\":[");
	for (int i = 0; i < n; i++)
	{
		append_request(&body, session,
					   query_path(&q[i], psprintf("SELECT Id, %s FROM %s WHERE %s >= %s ORDER BY "
												  "%s DESC, Id",
												  q[i].stamp, q[i].arg.table->object, q[i].stamp,
												  q[i].since, q[i].stamp)),
					   "changed", i);
		append_request(&body, session,
					   psprintf("sobjects/%s/deleted/?start=%s&end=%s", q[i].arg.table->object,
								q[i].since, q[i].until),
					   "deleted", i);
	}
	appendStringInfoString(&body, "]}");

	spec.method = "POST";
	spec.path = "composite";
	spec.body = body.data;
	spec.body_len = body.len;
	spec.idempotent = true;
	spec.usage =
		ampsf_session_usage(session, n == 1 ? q[0].arg.table->object : NULL, "changed since");
	call = ampsf_call_start(session, &spec, CurrentMemoryContext);
	ampsf_call_finish(call, WHAT, NULL);
	text = ampsf_call_header(call, "Date");
	if (text == NULL)
		ereport(ERROR, (errcode(ERRCODE_FDW_UNABLE_TO_CREATE_REPLY),
						errmsg("the org's answer has no date")));
	server_time = DirectFunctionCall3(timestamptz_in, CStringGetDatum(text),
									  ObjectIdGetDatum(InvalidOid), Int32GetDatum(-1));
	text = ampsf_call_body(call, &len);
	list = ampsf_json_get(ampsf_json_parse(text, len, CurrentMemoryContext), "compositeResponse");
	if (ampsf_json_array_length(list) != 2 * n)
		ereport(ERROR, (errcode(ERRCODE_FDW_UNABLE_TO_CREATE_REPLY), errmsg("could not " WHAT),
						errdetail("The answer has not as many parts as the request.")));
	ampsf_call_free(call);
	for (int i = 0; i < n; i++)
		answer(&q[i], ampsf_json_array_get(list, 2 * i), ampsf_json_array_get(list, 2 * i + 1),
			   server_time, rsinfo);
}

static Datum *
elements(Datum array, Oid type, int16 len, bool byval, char align, int expected)
{
	Datum *values;
	bool *nulls;
	int n;

	deconstruct_array(DatumGetArrayTypeP(array), type, len, byval, align, &values, &nulls, &n);
	if (n != expected && expected >= 0)
		ereport(ERROR, (errcode(ERRCODE_ARRAY_SUBSCRIPT_ERROR), errmsg("arrays differ in length")));
	for (int i = 0; i < n; i++)
		if (nulls[i])
			ereport(ERROR,
					(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED), errmsg("array has a null in it")));
	return values;
}

/*
 * Foreign tables, the field of each that is its stamp, since when, and until when (deletions).
 * Tables of one server should follow each other.
 */
Datum
ampsf_sql_changes_since(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	int n = ArrayGetNItems(ARR_NDIM(PG_GETARG_ARRAYTYPE_P(0)), ARR_DIMS(PG_GETARG_ARRAYTYPE_P(0)));
	Datum *tables = elements(PG_GETARG_DATUM(0), REGCLASSOID, 4, true, TYPALIGN_INT, n);
	Datum *stamps = elements(PG_GETARG_DATUM(1), TEXTOID, -1, false, TYPALIGN_INT, n);
	Datum *since =
		elements(PG_GETARG_DATUM(2), TIMESTAMPTZOID, 8, FLOAT8PASSBYVAL, TYPALIGN_DOUBLE, n);
	Datum *until =
		elements(PG_GETARG_DATUM(3), TIMESTAMPTZOID, 8, FLOAT8PASSBYVAL, TYPALIGN_DOUBLE, n);
	Question q[QUERIES];
	int asked = 0;

	InitMaterializedSRF(fcinfo, 0);
	for (int i = 0; i < n; i++)
	{
		Question next = {.relid = DatumGetObjectId(tables[i])};

		ampsf_foreign_arg(&next.arg, next.relid);
		next.stamp = TextDatumGetCString(stamps[i]);
		if (!ampsf_is_api_name(next.stamp, strlen(next.stamp)))
			ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
							errmsg("\"%s\" is not a name of a field", next.stamp)));
		print_time(DatumGetTimestampTz(since[i]), next.since);
		print_time(DatumGetTimestampTz(until[i]), next.until);
		if (asked == QUERIES || (asked > 0 && q[0].arg.session != next.arg.session))
		{
			ask(q, asked, rsinfo);
			asked = 0;
		}
		q[asked++] = next;
	}
	if (asked > 0)
		ask(q, asked, rsinfo);
	return (Datum) 0;
}
