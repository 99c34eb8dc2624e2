/*
 * ae_export.c - Account Engagement's Export API: a job whose result is a few CSV files; see ae.h.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "ae.h"

#define MAX_EXPORTS 1000
#define MAX_FIELDS 150
#define YEAR (366 * 86400)

typedef struct Export
{
	int64_t id;
	int polls; /* how often it was asked for */
	const AeObject *object;
	json_object *request;
	char *where;
	char *columns; /* joined by commas */
	int64_t rows;
	int64_t created;
} Export;

static Export list[MAX_EXPORTS];
static int n_exports;

void
ae_exports_reset(void)
{
	for (int i = 0; i < n_exports; i++)
	{
		json_object_put(list[i].request);
		free(list[i].where);
		free(list[i].columns);
	}
	n_exports = 0;
}

/* An export names its object in the singular. */
static const AeObject *
object_of(const char *name)
{
	static const char *const names[][2] = {
		{"prospect", "prospects"},
		{"visitorActivity", "visitor-activities"},
		{"listMembership", "list-memberships"},
		{"prospectAccount", "prospect-accounts"},
		{"visitor", "visitors"},
		{"externalActivity", "external-activities"},
	};

	for (size_t i = 0; name && i < sizeof(names) / sizeof(names[0]); i++)
		if (strcmp(names[i][0], name) == 0)
			return ae_object(names[i][1]);
	return NULL;
}

static const char *
text_of(json_object *o, const char *name)
{
	json_object *v;

	return json_object_object_get_ex(o, name, &v) && json_object_get_type(v) == json_type_string
			   ? json_object_get_string(v)
			   : NULL;
}

/* The procedure as a condition; false with the error answered. */
static bool
take_procedure(Response *w, const AeObject *o, json_object *procedure, Buf *where)
{
	const char *name = text_of(procedure, "name");
	bool updated = name && strcmp(name, "filter_by_updated_at") == 0 && ae_field(o, "updatedAt");
	bool created = name && strcmp(name, "filter_by_created_at") == 0 && ae_field(o, "createdAt");
	const char *prefix = updated ? "updated" : "created";
	json_object *args = NULL;
	int64_t after = 0, before = ae_now();
	bool has_after = false;
	const char *deleted = "false";

	if (!updated && !created)
	{
		ae_error(w, 400, 174, "Unknown procedure name.");
		return false;
	}
	json_object_object_get_ex(procedure, "arguments", &args);
	if (args == NULL || json_object_get_type(args) != json_type_object)
	{
		ae_error(w, 400, 176, "Missing required argument.");
		return false;
	}
	json_object_object_foreach(args, key, v)
	{
		int64_t t = 0;
		bool is_text = json_object_get_type(v) == json_type_string;

		if (strncmp(key, prefix, 7) == 0 &&
			(strcmp(key + 7, "_after") == 0 || strcmp(key + 7, "_before") == 0))
		{
			if (!is_text || !ae_parse_time(json_object_get_string(v), &t))
			{
				ae_errorf(w, 400, 177, "Invalid procedure argument. %s", key);
				return false;
			}
			if (key[8] == 'a')
			{
				after = t;
				has_after = true;
			}
			else
				before = t;
		}
		else if (strcmp(key, "deleted") == 0 && is_text)
			deleted = json_object_get_string(v);
		else
		{
			ae_errorf(w, 400, 175, "Unknown procedure argument. %s", key);
			return false;
		}
	}
	if (!has_after)
	{
		ae_errorf(w, 400, 176, "Missing required argument. %s_after", prefix);
		return false;
	}
	if (before < after || before - after > YEAR)
	{
		ae_error(w, 400, 177,
				 "Invalid procedure argument. The range must not be longer than one year.");
		return false;
	}
	/* after is open, before is closed */
	buf_addf(where, "t.\"%sAt\" > %lld AND t.\"%sAt\" <= %lld", prefix, (long long) after, prefix,
			 (long long) before);
	if (strcmp(deleted, "all") != 0)
		buf_addf(where, " AND t.\"isDeleted\" = %d", strcmp(deleted, "true") == 0);
	return true;
}

static bool
take_columns(Response *w, const AeObject *o, json_object *fields, Buf *columns)
{
	size_t n = fields && json_object_get_type(fields) == json_type_array
				   ? json_object_array_length(fields)
				   : 0;
	AePath *paths;
	int n_paths;

	if (n == 0 || n > MAX_FIELDS)
	{
		ae_error(w, 400, n ? 180 : 153,
				 n ? "One or more of the specified fields are invalid: more than 150"
				   : "Required property is missing: fields");
		return false;
	}
	for (size_t i = 0; i < n; i++)
		buf_addf(columns, "%s%s", i ? "," : "",
				 json_object_get_string(json_object_array_get_idx(fields, i)));
	paths = ae_paths(o, columns->data, w, &n_paths);
	free(paths);
	return paths != NULL;
}

static json_object *
refs_of(Request *r, const Export *e)
{
	json_object *refs = json_object_new_array();
	int files = (int) ((e->rows + ae_settings.export_rows - 1) / ae_settings.export_rows);

	for (int i = 0; i < (files > 0 ? files : 1); i++)
	{
		char url[256];

		snprintf(url, sizeof(url), "%s/api/v5/exports/%lld/results/%d", r->base_url,
				 (long long) e->id, 2001 + i);
		json_object_array_add(refs, json_object_new_string(url));
	}
	return refs;
}

static const char *
status_of(const Export *e)
{
	return e->polls > ae_settings.export_polls ? "Complete"
		   : e->polls > 1					   ? "Processing"
											   : "Waiting";
}

/* The export as the fields ask for it. */
static void
answer_export(Request *r, Response *w, Export *e, int status, const char *fields)
{
	char *copy = req_own(r, strdup(fields));
	char *save = NULL;
	json_object *body = json_object_new_object();
	bool complete = strcmp(status_of(e), "Complete") == 0;
	char time[32];

	for (char *p = strtok_r(copy, ",", &save); p; p = strtok_r(NULL, ",", &save))
	{
		json_object *v = NULL;

		if (ae_field(ae_object("exports"), p) == NULL)
		{
			json_object_put(body);
			ae_errorf(w, 400, 180, "One or more of the specified fields are invalid: %s", p);
			return;
		}
		if (strcmp(p, "id") == 0)
			v = json_object_new_int64(e->id);
		else if (strcmp(p, "status") == 0)
			v = json_object_new_string(status_of(e));
		else if (strcmp(p, "isExpired") == 0)
			v = json_object_new_boolean(false);
		else if (strcmp(p, "resultRefs") == 0)
			v = complete ? refs_of(r, e) : NULL;
		else if (strcmp(p, "createdAt") == 0 || strcmp(p, "updatedAt") == 0)
		{
			ae_format_time(e->created, time);
			v = json_object_new_string(time);
		}
		else if (json_object_object_get_ex(e->request, p, &v))
			json_object_get(v);
		json_object_object_add(body, p, v);
	}
	ae_answer(w, status, body);
}

static void
create(Request *r, Response *w)
{
	const char *fields = req_param(r, "fields");
	json_object *body = ae_json(r, w);
	json_object *procedure = NULL, *columns_json = NULL;
	const AeObject *o;
	Buf where = {0}, columns = {0};

	if (body == NULL)
		return;
	o = object_of(text_of(body, "object"));
	json_object_object_get_ex(body, "procedure", &procedure);
	json_object_object_get_ex(body, "fields", &columns_json);
	if (o == NULL)
		ae_error(w, 400, 51, "Invalid parameter: object");
	else if (procedure == NULL || json_object_get_type(procedure) != json_type_object)
		ae_error(w, 400, 153, "Required property is missing: procedure");
	else if (n_exports == MAX_EXPORTS)
		ae_error(w, 400, 122, "Daily API rate limit met.");
	else if (take_columns(w, o, columns_json, &columns) && take_procedure(w, o, procedure, &where))
	{
		Export *e = &list[n_exports++];
		Buf sql = {0};
		sqlite3_stmt *st;

		memset(e, 0, sizeof(*e));
		e->id = 4000 + n_exports;
		e->object = o;
		e->request = json_object_get(body);
		e->where = strdup(where.data);
		e->columns = strdup(columns.data);
		e->created = ae_now();
		buf_addf(&sql, "SELECT count(*) FROM \"%s\" t WHERE %s", o->name, e->where);
		st = ae_prepare(sql.data);
		sqlite3_step(st);
		e->rows = sqlite3_column_int64(st, 0);
		sqlite3_finalize(st);
		buf_free(&sql);
		answer_export(r, w, e, 201, fields && *fields ? fields : "id");
	}
	buf_free(&where);
	buf_free(&columns);
	json_object_put(body);
}

static void
add_csv(Buf *out, const char *s)
{
	if (strpbrk(s, ",\"\r\n") == NULL)
	{
		buf_adds(out, s);
		return;
	}
	buf_addc(out, '"');
	for (; *s; s++)
	{
		if (*s == '"')
			buf_addc(out, '"');
		buf_addc(out, *s);
	}
	buf_addc(out, '"');
}

/* One file, in an order that means nothing. */
static void
result(Request *r, Response *w, Export *e, const char *file)
{
	int number = atoi(file) - 2001;
	int64_t from = (int64_t) number * ae_settings.export_rows;
	AePath *paths;
	int n;
	Buf sql = {0};
	sqlite3_stmt *st;

	if (number < 0 || (from >= e->rows && number > 0))
	{
		ae_error(w, 404, 109, "The requested record was not found.");
		return;
	}
	paths = ae_paths(e->object, e->columns, w, &n);
	if (paths == NULL)
		return;
	buf_adds(&sql, "SELECT ");
	ae_columns(&sql, paths, n);
	buf_addf(&sql, "t.id FROM \"%s\" t WHERE %s ORDER BY t.id %% 7, t.id LIMIT %d OFFSET %lld",
			 e->object->name, e->where, ae_settings.export_rows, (long long) from);
	w->status = 200;
	w->content_type = "text/csv; charset=utf-8";
	buf_addf(&w->body, "%s\n", e->columns);
	st = ae_prepare(sql.data);
	while (sqlite3_step(st) == SQLITE_ROW)
	{
		json_object *row = ae_row_of(st, paths, n);

		for (int i = 0; i < n; i++)
		{
			json_object *v = row;

			for (int d = 0; v && d < paths[i].depth; d++)
				v = json_object_object_get(v, paths[i].relation[d]);
			v = v ? json_object_object_get(v, paths[i].field->name) : NULL;
			if (i)
				buf_addc(&w->body, ',');
			if (v)
				add_csv(&w->body, json_object_get_string(v));
		}
		json_object_put(row);
		buf_addc(&w->body, '\n');
	}
	sqlite3_finalize(st);
	buf_free(&sql);
	free(paths);
}

void
ae_exports(Request *r, Response *w)
{
	Export *e = NULL;

	if (r->n_seg == 1)
	{
		if (strcmp(r->method, "POST") == 0)
			create(r, w);
		else
			ae_error(w, 405, 60, "Invalid HTTP request method");
		return;
	}
	for (int i = 0; i < n_exports; i++)
		if (list[i].id == atoll(r->seg[1]))
			e = &list[i];
	if (e == NULL)
		ae_error(w, 404, 109, "The requested record was not found.");
	else if (strcmp(r->method, "GET") != 0)
		ae_error(w, 405, 60, "Invalid HTTP request method");
	else if (r->n_seg == 2)
	{
		const char *fields = req_param(r, "fields");

		e->polls++;
		if (fields == NULL || *fields == '\0')
			ae_error(w, 400, 13, "One or more required parameters are missing: fields");
		else
			answer_export(r, w, e, 200, fields);
	}
	else if (r->n_seg == 4 && strcmp(r->seg[2], "results") == 0)
	{
		if (strcmp(status_of(e), "Complete") != 0)
			ae_error(w, 400, 178, "The current state of the export does not allow the operation");
		else
			result(r, w, e, r->seg[3]);
	}
	else
		ae_error(w, 404, 198, "Endpoint not found");
}
