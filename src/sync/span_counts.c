/*
 * span_counts.c - how many rows were created in each part of a span of time, and what their newest
 * stamps are: one call, whatever the number of rows.
 *
 * Months, days and hours (UTC) are groups of one statement; what is shorter is counted by a
 * statement for each part, all of them in one request; of such a part it is no error if it has more
 * rows than the org can count in its time.  Must not know: why somebody wants to know.
 */
#include "postgres.h"

#include "fmgr.h"
#include "funcapi.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "base/error.h"
#include "functions/foreign_arg.h"
#include "net/session.h"
#include "org/json_call.h"
#include "wire/text.h"
#include "wire/wiretime.h"

PG_FUNCTION_INFO_V1(ampsf_sql_span_counts);

#define WHAT "count the rows of the object"
/* Queries that one composite request may hold. */
#define PARTS 5

typedef enum Unit
{
	UNIT_MONTH,
	UNIT_DAY,
	UNIT_HOUR,
	UNIT_PART
} Unit;

static const char *const unit_names[] = {"month", "day", "hour", "part", NULL};

typedef struct SpanCount
{
	AmpsfForeignArg arg;
	ReturnSetInfo *rsinfo;
	const char *stamp;
	TimestampTz low, high; /* infinite: everything */
	Unit unit;
} SpanCount;

static void throw_reply(const char *detail) __attribute__((noreturn));

static void
throw_reply(const char *detail)
{
	ereport(ERROR, (errcode(ERRCODE_FDW_UNABLE_TO_CREATE_REPLY), errmsg("could not " WHAT),
					errdetail("%s.", detail)));
}

static const char *
soql_time(TimestampTz t)
{
	char buf[AMPSF_TIME_BUF];

	if (t < AMPSF_DATETIME_MIN || t > AMPSF_DATETIME_MAX)
		ereport(ERROR, (errcode(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE),
						errmsg("time is out of Salesforce's range")));
	ampsf_print_datetime(t, buf);
	return pstrdup(buf);
}

/* " WHERE ...", or "". */
static char *
condition(const SpanCount *count, TimestampTz low, TimestampTz high)
{
	StringInfoData buf;
	const char *word = " WHERE ";

	initStringInfo(&buf);
	if (count->arg.table->include_deleted)
	{
		appendStringInfo(&buf, "%sIsDeleted = FALSE", word);
		word = " AND ";
	}
	if (!TIMESTAMP_NOT_FINITE(low))
	{
		appendStringInfo(&buf, "%sCreatedDate >= %s", word, soql_time(low));
		word = " AND ";
	}
	if (!TIMESTAMP_NOT_FINITE(high))
		appendStringInfo(&buf, "%sCreatedDate < %s", word, soql_time(high));
	return buf.data;
}

/* The path that asks for a statement. */
static char *
query_path(const SpanCount *count, const char *soql)
{
	const char *resource = count->arg.table->include_deleted ? "queryAll?q=" : "query?q=";
	size_t len = ampsf_quote_url(soql, strlen(soql), NULL);
	size_t head = strlen(resource);
	char *path = palloc(head + len + 1);

	memcpy(path, resource, head);
	ampsf_quote_url(soql, strlen(soql), path + head);
	path[head + len] = '\0';
	return path;
}

static bool
time_member(AmpsfJson *j, const char *key, TimestampTz *out)
{
	const char *text = ampsf_json_string(j, key);
	int64 usecs;

	if (text == NULL || !ampsf_parse_datetime(text, strlen(text), &usecs))
		return false;
	*out = usecs;
	return true;
}

/* group NULL: the org could not count it. */
static void
put(const SpanCount *count, TimestampTz low, TimestampTz high, AmpsfJson *group)
{
	Datum values[5] = {TimestampTzGetDatum(low), TimestampTzGetDatum(high)};
	bool nulls[5] = {false, false, true, true, true};
	TimestampTz newest = 0;
	int64 rows;

	if (group == NULL)
	{
		tuplestore_putvalues(count->rsinfo->setResult, count->rsinfo->setDesc, values, nulls);
		return;
	}
	rows = ampsf_json_int(group, "n", -1);
	if (rows < 0)
		throw_reply("A group has no count");
	memset(nulls, 0, sizeof(nulls));
	values[2] = Int64GetDatum(rows);
	nulls[3] = !time_member(group, "x", &newest);
	values[3] = TimestampTzGetDatum(newest);
	values[4] = Int64GetDatum(ampsf_json_int(group, "d", 0));
	tuplestore_putvalues(count->rsinfo->setResult, count->rsinfo->setDesc, values, nulls);
}

/* The beginning of a month; its end with add 1. */
static TimestampTz
month_start(int year, int month, int add)
{
	struct pg_tm tm = {0};
	TimestampTz t;

	month += add;
	tm.tm_year = year + (month > 12);
	tm.tm_mon = month > 12 ? month - 12 : month;
	tm.tm_mday = 1;
	if (year < 1 || month < 1 || month > 13 || tm2timestamp(&tm, 0, NULL, &t) != 0)
		throw_reply("A group has no month");
	return t;
}

static void
put_group(const SpanCount *count, AmpsfJson *group)
{
	const char *day;
	int32 days;
	int64 hour;

	switch (count->unit)
	{
		case UNIT_MONTH:
		{
			int year = (int) ampsf_json_int(group, "y", 0);
			int month = (int) ampsf_json_int(group, "m", 0);

			put(count, month_start(year, month, 0), month_start(year, month, 1), group);
			return;
		}
		case UNIT_DAY:
			day = ampsf_json_string(group, "g");
			if (!day || !ampsf_parse_date(day, strlen(day), &days))
				throw_reply("A group has no day");
			put(count, days * USECS_PER_DAY, (days + 1) * USECS_PER_DAY, group);
			return;
		default:
			hour = ampsf_json_int(group, "g", -1);
			if (hour < 0 || hour > 23)
				throw_reply("A group has no hour");
			put(count, count->low + hour * USECS_PER_HOUR, count->low + (hour + 1) * USECS_PER_HOUR,
				group);
			return;
	}
}

/* The groups of an answer to a query. */
static AmpsfJson *
groups_of(AmpsfJson *doc)
{
	AmpsfJson *records = ampsf_json_get(doc, "records");

	if (!ampsf_json_is_array(records) || !ampsf_json_bool(doc, "done", false))
		throw_reply("The answer is not one page of groups");
	return records;
}

static void
count_groups(const SpanCount *count)
{
	const char *group = count->unit == UNIT_MONTH
							? "CALENDAR_YEAR(CreatedDate), CALENDAR_MONTH(CreatedDate)"
						: count->unit == UNIT_DAY ? "DAY_ONLY(CreatedDate)"
												  : "HOUR_IN_DAY(CreatedDate)";
	const char *shown = count->unit == UNIT_MONTH
							? "CALENDAR_YEAR(CreatedDate) y, CALENDAR_MONTH(CreatedDate) m"
							: psprintf("%s g", group);
	AmpsfJson *records;

	records = groups_of(ampsf_json_call(
		count->arg.session,
		query_path(count, psprintf("SELECT %s, COUNT(Id) n, MAX(%s) x, COUNT_DISTINCT(%s) d FROM "
								   "%s%s GROUP BY %s",
								   shown, count->stamp, count->stamp, count->arg.table->object,
								   condition(count, count->low, count->high), group)),
		NULL, WHAT, CurrentMemoryContext));
	for (int i = 0; i < ampsf_json_array_length(records); i++)
		put_group(count, ampsf_json_array_get(records, i));
}

static void
append_json(StringInfo buf, const char *s)
{
	size_t len = strlen(s);

	enlargeStringInfo(buf, ampsf_quote_json(s, len, NULL));
	buf->len += ampsf_quote_json(s, len, buf->data + buf->len);
	buf->data[buf->len] = '\0';
}

/* Equal parts of whole seconds, each counted by a statement of one request. */
static void
count_parts(const SpanCount *count)
{
	int64 seconds = (count->high - count->low) / USECS_PER_SEC;
	int64 each = Max((seconds + PARTS - 1) / PARTS, 1);
	TimestampTz ends[PARTS + 1];
	StringInfoData body;
	AmpsfJson *list;
	int n = 0;

	initStringInfo(&body);
	appendStringInfoString(&body, "{\"compositeRequest\":[");
	ends[0] = count->low;
	while (n < PARTS && ends[n] < count->high)
	{
		char *soql;

		ends[n + 1] = Min(ends[n] + each * USECS_PER_SEC, count->high);
		soql = psprintf("SELECT COUNT(Id) n, MAX(%s) x, COUNT_DISTINCT(%s) d FROM %s%s",
						count->stamp, count->stamp, count->arg.table->object,
						condition(count, ends[n], ends[n + 1]));
		appendStringInfoString(&body, n ? ",{\"method\":\"GET\",\"url\":"
										: "{\"method\":\"GET\",\"url\":");
		append_json(&body,
					psprintf("/services/data/v%s/%s", ampsf_session_version(count->arg.session),
							 query_path(count, soql)));
		appendStringInfo(&body, ",\"referenceId\":\"part%d\"}", n);
		n++;
	}
	appendStringInfoString(&body, "]}");
	list = ampsf_json_get(
		ampsf_json_call(count->arg.session, "composite", body.data, WHAT, CurrentMemoryContext),
		"compositeResponse");
	if (ampsf_json_array_length(list) != n)
		throw_reply("The answer has not as many parts as the request");
	for (int i = 0; i < n; i++)
	{
		AmpsfJson *part = ampsf_json_array_get(list, i);
		AmpsfJson *answer = ampsf_json_get(part, "body");

		if (ampsf_json_int(part, "httpStatusCode", 0) != 200)
		{
			AmpsfJson *error = ampsf_json_array_get(answer, 0);
			const char *code = ampsf_json_string(error, "errorCode");
			const char *message = ampsf_json_string(error, "message");

			if (code &&
				(strcmp(code, "QUERY_TIMEOUT") == 0 || strcmp(code, "OPERATION_TOO_LARGE") == 0))
			{
				put(count, ends[i], ends[i + 1], NULL);
				continue;
			}
			throw_reply(psprintf("Salesforce says %s: %s", code ? code : "nothing",
								 message ? ampsf_clean_text(message, strlen(message)) : ""));
		}
		put(count, ends[i], ends[i + 1], ampsf_json_array_get(groups_of(answer), 0));
	}
}

/*
 * Foreign table, stamp, unit, low, high.  The stamp is a field of the object, checked to be a name.
 */
Datum
ampsf_sql_span_counts(PG_FUNCTION_ARGS)
{
	char *stamp = text_to_cstring(PG_GETARG_TEXT_PP(1));
	char *unit = text_to_cstring(PG_GETARG_TEXT_PP(2));
	SpanCount count = {.rsinfo = (ReturnSetInfo *) fcinfo->resultinfo,
					   .stamp = stamp,
					   .low = PG_GETARG_TIMESTAMPTZ(3),
					   .high = PG_GETARG_TIMESTAMPTZ(4)};

	ampsf_foreign_arg(&count.arg, PG_GETARG_OID(0));
	if (!ampsf_is_api_name(stamp, strlen(stamp)))
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("\"%s\" is not a name of a field", stamp)));
	while (unit_names[count.unit] && strcmp(unit_names[count.unit], unit) != 0)
		count.unit++;
	if (!unit_names[count.unit])
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("\"%s\" is not a unit of time", unit),
						errhint("It is month, day, hour, or part.")));
	if (count.unit >= UNIT_HOUR &&
		(TIMESTAMP_NOT_FINITE(count.low) || TIMESTAMP_NOT_FINITE(count.high) ||
		 count.high <= count.low ||
		 (count.unit == UNIT_HOUR &&
		  (count.low % USECS_PER_DAY != 0 || count.high != count.low + USECS_PER_DAY))))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("hours are those of a day (UTC), parts those of a span with two ends")));
	InitMaterializedSRF(fcinfo, 0);
	if (count.unit == UNIT_PART)
		count_parts(&count);
	else
		count_groups(&count);
	return (Datum) 0;
}
