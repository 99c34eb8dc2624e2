/*
 * report.c - ampsf.search() and ampsf.report(): what the org's search and its reports find, as
 * rows.
 */
#include "postgres.h"

#include "fmgr.h"
#include "funcapi.h"
#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/builtins.h"

#include "functions/json_row.h"
#include "functions/server_arg.h"
#include "org/json_call.h"
#include "wire/text.h"

PG_FUNCTION_INFO_V1(ampsf_sql_search);
PG_FUNCTION_INFO_V1(ampsf_sql_report);

/* That of the record's address, where the statement does not ask for the field. */
static const char *
record_id(AmpsfJson *record)
{
	const char *id = ampsf_json_string(record, "Id");
	const char *url = ampsf_json_string(ampsf_json_get(record, "attributes"), "url");

	if (id == NULL && url && strrchr(url, '/'))
		id = strrchr(url, '/') + 1;
	return id;
}

Datum
ampsf_sql_search(PG_FUNCTION_ARGS)
{
	ForeignServer *server = ampsf_server_arg(NameStr(*PG_GETARG_NAME(0)));
	char *sosl = text_to_cstring(PG_GETARG_TEXT_PP(1));
	StringInfoData path;
	AmpsfJson *doc;
	AmpsfJson *list;
	AmpsfRow row;

	InitMaterializedSRF(fcinfo, 0);
	if (sosl[strspn(sosl, " \t\r\n")] == '\0')
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("the SOSL statement is empty")));
	sosl = pg_server_to_any(sosl, strlen(sosl), PG_UTF8);
	initStringInfo(&path);
	appendStringInfoString(&path, "search?q=");
	enlargeStringInfo(&path, ampsf_quote_url(sosl, strlen(sosl), NULL));
	path.len += ampsf_quote_url(sosl, strlen(sosl), path.data + path.len);
	path.data[path.len] = '\0';

	doc = ampsf_json_call(ampsf_session_get(server->serverid, GetUserId()), path.data, NULL,
						  "search", CurrentMemoryContext);
	/* Before version 37.0 the answer was the list itself. */
	list = ampsf_json_is_array(doc) ? doc : ampsf_json_get(doc, "searchRecords");
	for (int i = 0; i < ampsf_json_array_length(list); i++)
	{
		AmpsfJson *record = ampsf_json_array_get(list, i);

		ampsf_row_begin(&row, (ReturnSetInfo *) fcinfo->resultinfo);
		ampsf_row_text(&row, ampsf_json_string(ampsf_json_get(record, "attributes"), "type"));
		ampsf_row_text(&row, record_id(record));
		ampsf_row_json(&row, record);
		ampsf_row_put(&row);
	}
	return (Datum) 0;
}

/* -------- reports -------- */

static void
append_json(StringInfo buf, const char *s)
{
	enlargeStringInfo(buf, ampsf_quote_json(s, strlen(s), NULL));
	buf->len += ampsf_quote_json(s, strlen(s), buf->data + buf->len);
	buf->data[buf->len] = '\0';
}

/* {"column": cell's member, ...}; names is a list of the columns' API names. */
static char *
cells(AmpsfJson *names, AmpsfJson *list, const char *member)
{
	StringInfoData json;
	int n = Min(ampsf_json_array_length(names), ampsf_json_array_length(list));

	initStringInfo(&json);
	appendStringInfoChar(&json, '{');
	for (int i = 0; i < n; i++)
	{
		AmpsfJson *value = ampsf_json_get(ampsf_json_array_get(list, i), member);

		appendStringInfoString(&json, i ? "," : "");
		append_json(&json, ampsf_json_text(ampsf_json_array_get(names, i)));
		appendStringInfo(&json, ":%s", value ? ampsf_json_print(value) : "null");
	}
	appendStringInfoChar(&json, '}');
	return json.data;
}

/* The grouping with that key in a tree of groupings; NULL if there is none. */
static AmpsfJson *
find_grouping(AmpsfJson *list, const char *key, size_t len)
{
	for (int i = 0; i < ampsf_json_array_length(list); i++)
	{
		AmpsfJson *item = ampsf_json_array_get(list, i);
		const char *own = ampsf_json_string(item, "key");

		if (own && strlen(own) == len && strncmp(own, key, len) == 0)
			return item;
	}
	return NULL;
}

/* Labels of one half of a fact's key: "0_1" is the second group within the first; "T" the total. */
static void
append_labels(StringInfo json, AmpsfJson *dimension, const char *key, size_t len)
{
	AmpsfJson *list = ampsf_json_get(dimension, "groupings");

	for (size_t end = 0; list && end < len;)
	{
		AmpsfJson *item;
		const char *label;

		/* Each level's key contains those above it. */
		end += strcspn(key + end, "_!");
		end = Min(end, len);
		item = find_grouping(list, key, end++);
		label = item ? ampsf_json_string(item, "label") : NULL;
		if (label == NULL)
			return;
		appendStringInfoString(json, json->len > 1 ? "," : "");
		append_json(json, label);
		list = ampsf_json_get(item, "groupings");
	}
}

typedef struct Report
{
	ReturnSetInfo *rsinfo;
	AmpsfJson *columns, *aggregates, *down, *across;
	bool details;
} Report;

/* The rows of one group, and the group's own: its aggregates. */
static void
put_fact(const char *key, AmpsfJson *fact, void *arg)
{
	Report *report = arg;
	AmpsfJson *rows = ampsf_json_get(fact, "rows");
	size_t len = strcspn(key, "!");
	StringInfoData groups;
	AmpsfRow row;

	initStringInfo(&groups);
	appendStringInfoChar(&groups, '[');
	append_labels(&groups, report->down, key, len);
	append_labels(&groups, report->across, key[len] ? key + len + 1 : "",
				  key[len] ? strlen(key + len + 1) : 0);
	appendStringInfoChar(&groups, ']');

	for (int i = -1; i < ampsf_json_array_length(rows); i++)
	{
		AmpsfJson *list = i < 0 ? ampsf_json_get(fact, "aggregates")
								: ampsf_json_get(ampsf_json_array_get(rows, i), "dataCells");
		AmpsfJson *names = i < 0 ? report->aggregates : report->columns;

		ampsf_row_begin(&row, report->rsinfo);
		ampsf_row_text(&row, key);
		ampsf_row_json_text(&row, groups.data);
		if (i < 0)
			ampsf_row_null(&row);
		else
			ampsf_row_int(&row, i + 1);
		ampsf_row_json_text(&row, cells(names, list, "value"));
		ampsf_row_json_text(&row, cells(names, list, "label"));
		ampsf_row_put(&row);
	}
}

Datum
ampsf_sql_report(PG_FUNCTION_ARGS)
{
	ForeignServer *server = ampsf_server_arg(NameStr(*PG_GETARG_NAME(0)));
	char *id = text_to_cstring(PG_GETARG_TEXT_PP(1));
	Report report = {0};
	AmpsfJson *doc;
	AmpsfJson *meta;

	InitMaterializedSRF(fcinfo, 0);
	if ((strlen(id) != 15 && strlen(id) != 18) ||
		strspn(id, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789") != strlen(id))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("\"%s\" is not the Id of a report", id),
				 errhint("It has 15 or 18 letters and digits and begins with 00O; the address "
						 "of the report in Salesforce shows it.")));
	doc = ampsf_json_call(ampsf_session_get(server->serverid, GetUserId()),
						  psprintf("analytics/reports/%s?includeDetails=true", id), NULL,
						  psprintf("run report %s", id), CurrentMemoryContext);
	meta = ampsf_json_get(doc, "reportMetadata");
	report.rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	report.columns = ampsf_json_get(meta, "detailColumns");
	report.aggregates = ampsf_json_get(meta, "aggregates");
	report.down = ampsf_json_get(doc, "groupingsDown");
	report.across = ampsf_json_get(doc, "groupingsAcross");
	if (ampsf_json_get(doc, "factMap") == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_FDW_UNABLE_TO_CREATE_REPLY), errmsg("could not run report %s", id),
				 errdetail("The answer has no facts.")));
	ampsf_json_each(ampsf_json_get(doc, "factMap"), put_fact, &report);
	if (!ampsf_json_bool(doc, "allData", true))
		ereport(
			WARNING,
			(errmsg("the report holds more rows than Salesforce gives"),
			 errdetail("A report gives its first 2000 detail rows; totals are those of all rows."),
			 errhint("Narrow the report's filters, or read the objects' tables.")));
	return (Datum) 0;
}
