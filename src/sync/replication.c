/*
 * replication.c - what a mirror asks of the org besides rows: its time, how many rows it has, and
 * the log of deletions.
 *
 * A foreign table stands for its object: who may read the one may ask about the other.  Must not
 * know: mirrors, which are SQL in the extension's script.
 */
#include "postgres.h"

#include <ctype.h>

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "funcapi.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "base/options.h"
#include "functions/foreign_arg.h"
#include "net/session.h"
#include "org/json_call.h"
#include "wire/json_member.h"
#include "wire/text.h"
#include "wire/wiretime.h"

PG_FUNCTION_INFO_V1(ampsf_sql_server_time);
PG_FUNCTION_INFO_V1(ampsf_sql_object_state);
PG_FUNCTION_INFO_V1(ampsf_sql_deleted);

/*
 * The org's clock, in whole seconds, as its answers carry it; and what it says of its number of
 * records without counting, which may be hours old: -1 if it does not know.  One call.
 */
static Datum
ask_state(Oid relid, int64 *count)
{
	AmpsfForeignArg arg;
	AmpsfCallSpec spec = {0};
	AmpsfCall *call;
	AmpsfJson *item;
	const char *text;
	size_t len;
	Datum result;

	ampsf_foreign_arg(&arg, relid);
	spec.method = "GET";
	spec.path = psprintf("limits/recordCount?sObjects=%s", arg.table->object);
	spec.idempotent = true;
	spec.usage = ampsf_session_usage(arg.session, NULL, "metadata");
	call = ampsf_call_start(arg.session, &spec, CurrentMemoryContext);
	ampsf_call_finish(call, "ask the org for its time", NULL);
	text = ampsf_call_header(call, "Date");
	if (text == NULL)
		ereport(ERROR, (errcode(ERRCODE_FDW_UNABLE_TO_CREATE_REPLY),
						errmsg("the org's answer has no date")));
	/* "Wed, 31 Jan 2024 10:20:30 GMT": the month has a name, so that DateStyle does not matter. */
	result = DirectFunctionCall3(timestamptz_in, CStringGetDatum(text),
								 ObjectIdGetDatum(InvalidOid), Int32GetDatum(-1));
	text = ampsf_call_body(call, &len);
	item = ampsf_json_array_get(
		ampsf_json_get(ampsf_json_parse(text, len, CurrentMemoryContext), "sObjects"), 0);
	*count = item ? ampsf_json_int(item, "count", -1) : -1;
	ampsf_call_free(call);
	return result;
}

Datum
ampsf_sql_server_time(PG_FUNCTION_ARGS)
{
	int64 count;

	PG_RETURN_DATUM(ask_state(PG_GETARG_OID(0), &count));
}

Datum
ampsf_sql_object_state(PG_FUNCTION_ARGS)
{
	TupleDesc desc;
	Datum values[2];
	bool nulls[2] = {false, false};
	int64 count;

	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	values[0] = ask_state(PG_GETARG_OID(0), &count);
	values[1] = Int64GetDatum(count);
	nulls[1] = count < 0;
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(desc), values, nulls)));
}

/* A text that is one word as it stands, in quotes. */
static bool
read_time(const char *text, size_t len, Datum *out)
{
	int64 usecs;

	if (len < 2 || *text != '"' || !ampsf_parse_datetime(text + 1, len - 2, &usecs))
		return false;
	*out = TimestampTzGetDatum(usecs);
	return true;
}

static bool
time_member(const char *p, const char *end, const char *key, Datum *out)
{
	const char *text;
	size_t len;

	return ampsf_json_member(p, end, key, &text, &len) && read_time(text, len, out);
}

static const char *
url_time(TimestampTz t)
{
	char buf[AMPSF_TIME_BUF];

	if (TIMESTAMP_NOT_FINITE(t) || t < AMPSF_DATETIME_MIN || t > AMPSF_DATETIME_MAX)
		ereport(ERROR, (errcode(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE),
						errmsg("time is out of Salesforce's range")));
	ampsf_print_datetime(t, buf);
	return pstrdup(buf);
}

/*
 * The deletions of a span of time: one call.  Null where the org refuses it, because the span
 * reaches back too far, holds too many, or the object has no such log: then only a comparison of
 * Ids can tell.
 */
Datum
ampsf_sql_deleted(PG_FUNCTION_ARGS)
{
	AmpsfForeignArg arg;
	AmpsfCallSpec spec = {0};
	AmpsfCall *call;
	TupleDesc desc;
	Datum values[4];
	bool nulls[4] = {false, false, false, false};
	Datum *ids;
	Datum *times;
	const char *body, *list, *item, *at, *end;
	size_t len, list_len, item_len;
	int room = 64;
	int n = 0;
	int status;

	ampsf_foreign_arg(&arg, PG_GETARG_OID(0));
	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	/* Its log tells of currencies that were only made inactive. */
	if (pg_strcasecmp(arg.table->object, "CurrencyType") == 0)
		PG_RETURN_NULL();
	spec.method = "GET";
	spec.path = psprintf("sobjects/%s/deleted/?start=%s&end=%s", arg.table->object,
						 url_time(PG_GETARG_TIMESTAMPTZ(1)), url_time(PG_GETARG_TIMESTAMPTZ(2)));
	spec.idempotent = true;
	spec.usage = ampsf_session_usage(arg.session, arg.table->object, "deleted");
	call = ampsf_call_start(arg.session, &spec, CurrentMemoryContext);
	ampsf_call_wait(call);
	status = ampsf_call_status(call);
	if (status == 400 || status == 404)
	{
		ampsf_call_free(call);
		PG_RETURN_NULL();
	}
	ampsf_call_finish(call, "read the log of deletions", NULL);
	body = ampsf_call_body(call, &len);
	/*
	 * Half a million of them may have been deleted at once: they are read where they stand.  A list
	 * that is missing is no empty list.
	 */
	if (!ampsf_json_member(body, body + len, "deletedRecords", &list, &list_len) || *list != '[')
		ereport(ERROR, (errcode(ERRCODE_FDW_UNABLE_TO_CREATE_REPLY),
						errmsg("could not read the log of deletions"),
						errdetail("The answer has no deletedRecords (%zu bytes).", len)));
	ids = palloc_array(Datum, room);
	times = palloc_array(Datum, room);
	end = list + list_len - 1;
	for (at = list + 1; ampsf_json_element(&at, end, &item, &item_len); n++)
	{
		const char *id;
		size_t id_len;

		if (n == room)
		{
			room *= 2;
			ids = repalloc_huge(ids, sizeof(Datum) * room);
			times = repalloc_huge(times, sizeof(Datum) * room);
		}
		if (!ampsf_json_member(item, item + item_len, "id", &id, &id_len) || id_len < 2 ||
			*id != '"' || memchr(id, '\\', id_len) ||
			!time_member(item, item + item_len, "deletedDate", &times[n]))
			ereport(ERROR, (errcode(ERRCODE_FDW_UNABLE_TO_CREATE_REPLY),
							errmsg("could not read the log of deletions"),
							errdetail("Entry %d has no Id or no time.", n + 1)));
		ids[n] = PointerGetDatum(cstring_to_text_with_len(id + 1, (int) id_len - 2));
	}
	while (at < end && isspace((unsigned char) *at))
		at++;
	if (at != end)
		ereport(ERROR, (errcode(ERRCODE_FDW_UNABLE_TO_CREATE_REPLY),
						errmsg("could not read the log of deletions"),
						errdetail("Behind entry %d is something else.", n)));
	values[0] = PointerGetDatum(construct_array(ids, n, TEXTOID, -1, false, TYPALIGN_INT));
	values[1] = PointerGetDatum(construct_array(times, n, TIMESTAMPTZOID, sizeof(TimestampTz),
												FLOAT8PASSBYVAL, TYPALIGN_DOUBLE));
	nulls[2] = !time_member(body, body + len, "earliestDateAvailable", &values[2]);
	nulls[3] = !time_member(body, body + len, "latestDateCovered", &values[3]);
	ampsf_call_free(call);
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(desc), values, nulls)));
}
