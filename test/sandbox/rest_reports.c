/*
 * rest_reports.c - analytics/reports: a few reports, run over the org's rows.
 *
 * Must not know: libmicrohttpd, SQLite.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config.h"
#include "rest.h"
#include "soql.h"

/* The API gives no more detail rows of a report. */
#define MAX_ROWS 2000

#define MAX_COLUMNS 6

typedef struct Report
{
	const char *id; /* 15 characters */
	const char *name, *developer_name, *object, *type_label;
	const char *group; /* field of the summary, or NULL: tabular */
	const char *sum;   /* field that is added up, or NULL */
	struct
	{
		const char *name, *field; /* the report's name for it, and the object's */
	} columns[MAX_COLUMNS];
} Report;

static const Report reports[] = {
	{"00O5g0000000001",
	 "Accounts",
	 "Accounts",
	 "Account",
	 "Accounts",
	 NULL,
	 NULL,
	 {{"ACCOUNT.NAME", "Name"}, {"INDUSTRY", "Industry"}, {"SALES", "AnnualRevenue"}}},
	{"00O5g0000000002",
	 "Pipeline by Stage",
	 "Pipeline_by_Stage",
	 "Opportunity",
	 "Opportunities",
	 "StageName",
	 "Amount",
	 {{"OPPORTUNITY_NAME", "Name"}, {"AMOUNT", "Amount"}, {"CLOSE_DATE", "CloseDate"}}},
	{"00O5g0000000003",
	 "All Contacts",
	 "All_Contacts",
	 "Contact",
	 "Contacts",
	 NULL,
	 NULL,
	 {{"LAST_NAME", "LastName"}, {"EMAIL", "Email"}}},
};

#define N_REPORTS ((int) (sizeof(reports) / sizeof(reports[0])))

static void
full_id(const Report *p, char out[19])
{
	if (!store_canonical_id(p->id, strlen(p->id), out))
		abort();
}

static const Report *
find_report(const char *id)
{
	char want[19];
	char own[19];

	if (!store_canonical_id(id, strlen(id), want))
		return NULL;
	for (int i = 0; i < N_REPORTS; i++)
	{
		full_id(&reports[i], own);
		if (strcmp(own, want) == 0)
			return &reports[i];
	}
	return NULL;
}

/* The rows as JSON objects, in the order of the groups. */
static json_object *
read_rows(Request *r, const Report *p)
{
	SoqlOptions opt = {false, r->version, config.readings};
	SoqlError e = {0};
	SoqlCursor *c;
	json_object *rows = NULL;
	Buf soql;
	Buf text;

	buf_init(&soql);
	buf_init(&text);
	buf_adds(&soql, "SELECT Id");
	for (int i = 0; i < MAX_COLUMNS && p->columns[i].field; i++)
		buf_addf(&soql, ", %s", p->columns[i].field);
	if (p->group)
		buf_addf(&soql, ", %s", p->group);
	buf_addf(&soql, " FROM %s ORDER BY %s, Id", p->object, p->group ? p->group : "Name");
	c = soql_open(soql.data, soql.len, &opt, &e);
	if (c == NULL)
		soql_error_free(&e);
	else
	{
		buf_addc(&text, '[');
		if (soql_total(c) > 0)
			soql_render(c, 0, soql_total(c), &text);
		buf_addc(&text, ']');
		rows = json_tokener_parse(text.data);
		soql_close(c);
	}
	buf_free(&soql);
	buf_free(&text);
	return rows;
}

static const char *
text_of(json_object *v)
{
	return v ? json_object_get_string(v) : "-";
}

/* {"label": "$5,000.00", "value": {"amount": 5000, "currency": null}}, or the value as it is */
static void
cell(Buf *b, const Field *f, json_object *v)
{
	const char *plain = v ? json_object_to_json_string_ext(v, JSON_C_TO_STRING_PLAIN |
																  JSON_C_TO_STRING_NOSLASHESCAPE)
						  : "null";

	buf_adds(b, "{\"label\":");
	if (v && f && f->type == FT_CURRENCY)
	{
		buf_addf(b, "\"$%.2f\",\"value\":{\"amount\":%s,\"currency\":null}}",
				 json_object_get_double(v), plain);
		return;
	}
	buf_jsons(b, text_of(v));
	buf_addf(b, ",\"value\":%s}", plain);
}

typedef struct Group
{
	const char *value; /* of the row that began it; NULL: null */
	double sum;
	long count;
	Buf rows;
} Group;

static void
add_fact(Buf *b, const Report *p, const char *key, Group *g, bool details)
{
	buf_addf(b, "\"%s\":{\"aggregates\":[", key);
	if (p->sum)
		buf_addf(b, "{\"label\":\"$%.2f\",\"value\":{\"amount\":%.17g,\"currency\":null}},", g->sum,
				 g->sum);
	buf_addf(b, "{\"label\":\"%ld\",\"value\":%ld}]", g->count, g->count);
	if (details)
	{
		buf_adds(b, ",\"rows\":[");
		buf_add(b, g->rows.data ? g->rows.data : "", g->rows.len);
		buf_addc(b, ']');
	}
	buf_addc(b, '}');
}

static void
add_metadata(Buf *b, const Report *p, const Object *o, const char *id)
{
	const Field *f;

	buf_adds(b, "\"reportExtendedMetadata\":{\"aggregateColumnInfo\":{");
	if (p->sum)
		buf_addf(b, "\"s!%s\":{\"dataType\":\"currency\",\"label\":\"Sum of %s\"},", p->sum,
				 p->sum);
	buf_adds(
		b,
		"\"RowCount\":{\"dataType\":\"int\",\"label\":\"Record Count\"}},\"detailColumnInfo\":{");
	for (int i = 0; i < MAX_COLUMNS && p->columns[i].field; i++)
	{
		f = schema_field(o, p->columns[i].field, strlen(p->columns[i].field));
		buf_addf(b, "%s\"%s\":{\"dataType\":\"%s\",\"label\":\"%s\"}", i ? "," : "",
				 p->columns[i].name, f->type_name, p->columns[i].field);
	}
	buf_adds(b, "},\"groupingColumnInfo\":{");
	if (p->group)
		buf_addf(b, "\"%s\":{\"dataType\":\"picklist\",\"groupingLevel\":0,\"label\":\"%s\"}",
				 p->group, p->group);
	buf_adds(b, "}},\"reportMetadata\":{\"aggregates\":[");
	if (p->sum)
		buf_addf(b, "\"s!%s\",", p->sum);
	buf_adds(b, "\"RowCount\"],\"detailColumns\":[");
	for (int i = 0; i < MAX_COLUMNS && p->columns[i].field; i++)
		buf_addf(b, "%s\"%s\"", i ? "," : "", p->columns[i].name);
	buf_adds(b, "],\"developerName\":");
	buf_jsons(b, p->developer_name);
	buf_adds(b, ",\"groupingsAcross\":[],\"groupingsDown\":[");
	if (p->group)
		buf_addf(b, "{\"dateGranularity\":\"None\",\"name\":\"%s\",\"sortOrder\":\"Asc\"}",
				 p->group);
	buf_addf(b, "],\"id\":\"%s\",\"name\":", id);
	buf_jsons(b, p->name);
	buf_addf(b, ",\"reportFormat\":\"%s\",\"reportType\":{\"label\":\"%s\",\"type\":\"%sList\"}}",
			 p->group ? "SUMMARY" : "TABULAR", p->type_label, p->object);
}

static void
run_report(Request *r, Response *w, const Report *p)
{
	const char *with = req_param(r, "includeDetails");
	bool details = with != NULL && strcmp(with, "true") == 0;
	const Object *o = schema_find(p->object, strlen(p->object));
	json_object *rows = o ? read_rows(r, p) : NULL;
	size_t n = rows ? json_object_array_length(rows) : 0;
	Group total = {0};
	Group *groups = calloc(n + 1, sizeof(Group));
	int n_groups = 0;
	Buf *b = &w->body;
	char id[19];
	char key[32];

	if (rows == NULL)
	{
		free(groups);
		res_error(w, 400, "BAD_REQUEST", "The report definition is obsolete.");
		return;
	}
	full_id(p, id);
	buf_init(&total.rows);
	for (size_t i = 0; i < n; i++)
	{
		json_object *row = json_object_array_get_idx(rows, i);
		json_object *v = NULL;
		Group *g = &total;

		if (p->group)
		{
			const char *value;

			json_object_object_get_ex(row, p->group, &v);
			value = v ? json_object_get_string(v) : NULL;
			g = n_groups ? &groups[n_groups - 1] : NULL;
			if (g == NULL || strcmp(g->value ? g->value : "", value ? value : "") != 0)
			{
				g = &groups[n_groups++];
				g->value = value;
				buf_init(&g->rows);
			}
		}
		if (p->sum && json_object_object_get_ex(row, p->sum, &v) && v)
		{
			g->sum += json_object_get_double(v);
			total.sum += p->group ? json_object_get_double(v) : 0;
		}
		g->count++;
		total.count += p->group ? 1 : 0;
		if (i >= MAX_ROWS)
			continue;
		buf_addf(&g->rows, "%s{\"dataCells\":[", g->rows.len ? "," : "");
		for (int k = 0; k < MAX_COLUMNS && p->columns[k].field; k++)
		{
			json_object_object_get_ex(row, p->columns[k].field, &v);
			buf_adds(&g->rows, k ? "," : "");
			cell(&g->rows, schema_field(o, p->columns[k].field, strlen(p->columns[k].field)), v);
		}
		buf_adds(&g->rows, "]}");
	}

	w->status = 200;
	buf_addf(
		b,
		"{\"attributes\":{\"describeUrl\":\"/services/data/v%s/analytics/reports/%s/describe\","
		"\"instancesUrl\":\"/services/data/v%s/analytics/reports/%s/"
		"instances\",\"reportId\":\"%s\","
		"\"reportName\":",
		r->version, id, r->version, id, id);
	buf_jsons(b, p->name);
	buf_addf(b, ",\"type\":\"Report\"},\"allData\":%s,\"factMap\":{",
			 n <= MAX_ROWS || !details ? "true" : "false");
	for (int i = 0; i < n_groups; i++)
	{
		snprintf(key, sizeof(key), "%d!T", i);
		add_fact(b, p, key, &groups[i], details);
		buf_addc(b, ',');
	}
	add_fact(b, p, "T!T", &total, details);
	buf_adds(b, "},\"groupingsAcross\":{\"groupings\":[]},\"groupingsDown\":{\"groupings\":[");
	for (int i = 0; i < n_groups; i++)
	{
		buf_addf(b, "%s{\"groupings\":[],\"key\":\"%d\",\"label\":", i ? "," : "", i);
		buf_jsons(b, groups[i].value ? groups[i].value : "-");
		buf_adds(b, ",\"value\":");
		buf_jsons(b, groups[i].value);
		buf_addc(b, '}');
	}
	buf_addf(b, "]},\"hasDetailRows\":%s,", details ? "true" : "false");
	add_metadata(b, p, o, id);
	buf_addc(b, '}');
	for (int i = 0; i < n_groups; i++)
		buf_free(&groups[i].rows);
	buf_free(&total.rows);
	free(groups);
	json_object_put(rows);
}

static void
list_reports(Request *r, Response *w)
{
	char id[19];

	w->status = 200;
	buf_addc(&w->body, '[');
	for (int i = 0; i < N_REPORTS; i++)
	{
		full_id(&reports[i], id);
		buf_addf(&w->body,
				 "%s{\"describeUrl\":\"/services/data/v%s/analytics/reports/%s/"
				 "describe\",\"id\":\"%s\",\"name\":",
				 i ? "," : "", r->version, id, id);
		buf_jsons(&w->body, reports[i].name);
		buf_addf(&w->body, ",\"url\":\"/services/data/v%s/analytics/reports/%s\"}", r->version, id);
	}
	buf_addc(&w->body, ']');
}

void
rest_reports(Request *r, Response *w)
{
	const Report *p = r->n_seg > 2 ? find_report(r->seg[2]) : NULL;

	if (r->n_seg < 2 || r->n_seg > 4 || strcmp(r->seg[1], "reports") != 0)
		res_not_found(w);
	else if (r->n_seg == 2 && is_get(r))
		list_reports(r, w);
	else if (r->n_seg > 2 && p == NULL)
		res_error(w, 404, "NOT_FOUND", "The data you’re trying to access is unavailable.");
	else if (r->n_seg == 3 && is_get(r))
		run_report(r, w, p);
	else if (r->n_seg == 4 && strcmp(r->seg[3], "describe") == 0 && is_get(r))
	{
		char id[19];

		full_id(p, id);
		w->status = 200;
		buf_addc(&w->body, '{');
		add_metadata(&w->body, p, schema_find(p->object, strlen(p->object)), id);
		buf_addc(&w->body, '}');
	}
	else if (r->n_seg <= 3)
		res_not_allowed(w, r, "HEAD,GET");
	else
		res_not_found(w);
}
