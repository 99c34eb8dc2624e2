/*
 * ae_write.c - Account Engagement's writing: create, update, delete, upsertLatestByEmail; see ae.h.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "ae.h"

json_object *
ae_json(const Request *r, Response *w)
{
	const char *type = req_header(r, "Content-Type");
	json_object *body;

	if (type == NULL || strncasecmp(type, "application/json", 16) != 0)
	{
		ae_error(w, 400, 151, "The Content-Type header must be application/json");
		return NULL;
	}
	if (r->body_len == 0)
	{
		ae_error(w, 400, 152, "The request body is empty");
		return NULL;
	}
	body = json_tokener_parse(r->body);
	if (body && json_object_get_type(body) == json_type_object)
		return body;
	json_object_put(body);
	ae_error(w, 400, 71, "Input needs to be valid JSON or XML");
	return NULL;
}

/* What a record cannot be without. */
static const char *
required(const AeObject *o)
{
	static const char *const names[][2] = {
		{"prospects", "email"},
		{"lists", "name"},
		{"tags", "name"},
		{"forms", "name"},
		{"custom-redirects", "name"},
		{"list-emails", "name"},
		{"layout-templates", "name"},
		{"users", "email"},
		{"external-activities", "extension"},
		{"list-memberships", "prospectId"},
		{"email-templates", "name"},
	};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strcmp(names[i][0], o->name) == 0)
			return ae_field(o, names[i][1]) ? names[i][1] : NULL;
	return NULL;
}

/* Every property of values is a field that may be written; false with the error answered. */
static bool
check_values(Response *w, const AeObject *o, json_object *values, bool create)
{
	const char *needed = required(o);
	json_object *v;

	json_object_object_foreach(values, name, value)
	{
		const AeField *f = ae_field(o, name);

		(void) value;
		if (f == NULL)
		{
			ae_errorf(w, 400, 154, "Invalid property: %s", name);
			return false;
		}
		if (!f->editable)
		{
			ae_errorf(w, 400, 180,
					  "One or more of the specified fields are invalid: %s is read-only", name);
			return false;
		}
	}
	if (create && needed && !json_object_object_get_ex(values, needed, &v))
	{
		ae_errorf(w, 400, 153, "Required property is missing: %s", needed);
		return false;
	}
	if (needed && json_object_object_get_ex(values, needed, &v) &&
		(v == NULL ||
		 (json_object_get_type(v) == json_type_string && json_object_get_string_len(v) == 0)))
	{
		ae_errorf(w, 400, 154, "Invalid property: %s must not be empty", needed);
		return false;
	}
	if (strcmp(o->name, "prospects") == 0 && json_object_object_get_ex(values, "email", &v) &&
		(json_object_get_type(v) != json_type_string || !strchr(json_object_get_string(v), '@')))
	{
		ae_error(w, 400, 4, "Invalid prospect email address");
		return false;
	}
	return true;
}

/* Writes the values into the row; false with the error answered, and the row unchanged. */
static bool
set_values(Response *w, const AeObject *o, int64_t id, json_object *values)
{
	Buf sql = {0};
	sqlite3_stmt *st;
	int n = 0;
	bool ok = true;

	buf_addf(&sql, "UPDATE \"%s\" SET ", o->name);
	json_object_object_foreach(values, name, value)
	{
		(void) value;
		buf_addf(&sql, "\"%s\" = ?, ", name);
	}
	buf_addf(&sql, "id = id%s WHERE id = %lld",
			 ae_field(o, "updatedAt") ? ", \"updatedAt\" = ?" : "", (long long) id);
	st = ae_prepare(sql.data);
	{
		json_object_object_foreach(values, field, v)
		{
			if (ok && !ae_bind(st, ++n, ae_field(o, field), v))
			{
				ae_errorf(w, 400, 154, "Invalid property: the value of %s does not fit", field);
				ok = false;
			}
		}
	}
	if (ae_field(o, "updatedAt"))
		sqlite3_bind_int64(st, n + 1, ae_now());
	if (ok)
		sqlite3_step(st);
	sqlite3_finalize(st);
	buf_free(&sql);
	return ok;
}

static void
begin(const char *what)
{
	sqlite3_exec(ae_db(), what, NULL, NULL, NULL);
}

/* A new row; 0 with the error answered. */
static int64_t
new_row(Response *w, const AeObject *o, json_object *values)
{
	char sql[256];
	sqlite3_stmt *st;
	int64_t id;

	if (!check_values(w, o, values, true))
		return 0;
	begin("SAVEPOINT w");
	snprintf(sql, sizeof(sql), "INSERT INTO \"%s\" (\"isDeleted\"%s) VALUES (0%s)", o->name,
			 ae_field(o, "createdAt") ? ", \"createdAt\"" : "",
			 ae_field(o, "createdAt") ? ", ?" : "");
	st = ae_prepare(sql);
	if (ae_field(o, "createdAt"))
		sqlite3_bind_int64(st, 1, ae_now());
	sqlite3_step(st);
	sqlite3_finalize(st);
	id = sqlite3_last_insert_rowid(ae_db());
	if (!set_values(w, o, id, values))
	{
		begin("ROLLBACK TO w");
		id = 0;
	}
	begin("RELEASE w");
	return id;
}

/* The record as the fields ask for it, or nothing where none are asked for. */
static void
answer_row(Request *r, Response *w, const AeObject *o, int64_t id, int status, const char *fields)
{
	AePath *paths = NULL;
	int n = 0;

	if (status == 201 && !ae_settings.no_location)
	{
		Buf at = {0};

		buf_addf(&at, "%s%s/%lld", r->base_url, o->path, (long long) id);
		res_header(w, "Location", at.data);
		buf_free(&at);
	}
	if (fields == NULL || *fields == '\0' || ae_settings.no_content)
	{
		w->status = 204;
		return;
	}
	paths = ae_paths(o, fields, w, &n);
	if (paths)
		ae_answer(w, status, ae_row(o, id, paths, n));
	free(paths);
}

/* Are the fields that the answer shall have known?  Asked before anything is written. */
static bool
check_fields(Response *w, const AeObject *o, const char *fields)
{
	int n;
	AePath *paths;

	if (fields == NULL || *fields == '\0')
		return true;
	paths = ae_paths(o, fields, w, &n);
	free(paths);
	return paths != NULL;
}

void
ae_create(Request *r, Response *w, const AeObject *o)
{
	const char *fields = req_param(r, "fields");
	json_object *values = ae_json(r, w);
	int64_t id;

	if (values == NULL)
		return;
	if (check_fields(w, o, fields) && (id = new_row(w, o, values)) != 0)
		answer_row(r, w, o, id, 201, fields);
	json_object_put(values);
}

/* The row that a path names; 0 with the error answered. */
static int64_t
find_row(Response *w, const AeObject *o, const char *id, bool update)
{
	char *end;
	long long number = strtoll(id, &end, 10);
	int state;

	if (*id == '\0' || *end || number <= 0)
	{
		ae_error(w, 400, 16, "Invalid ID");
		return 0;
	}
	state = ae_row_state(o, number);
	if (state == 1)
		return number;
	if (state == 2 && update)
		ae_error(w, 400, 219, "Deleted records can't be updated. Please undelete before updating.");
	else
	{
		ae_error(w, 404, 109, "The requested record was not found.");
		if (state == 2)
			res_header(w, "Pardot-Warning", "201;Record In Recycle Bin");
	}
	return 0;
}

void
ae_update(Request *r, Response *w, const AeObject *o, const char *id)
{
	const char *fields = req_param(r, "fields");
	json_object *values = ae_json(r, w);
	int64_t number;

	if (values == NULL)
		return;
	if (check_fields(w, o, fields) && (number = find_row(w, o, id, true)) != 0 &&
		check_values(w, o, values, false) && set_values(w, o, number, values))
		answer_row(r, w, o, number, 200, fields);
	json_object_put(values);
}

void
ae_delete(Request *r, Response *w, const AeObject *o, const char *id)
{
	int64_t number = find_row(w, o, id, false);
	char sql[256];
	sqlite3_stmt *st;

	(void) r;
	if (number == 0)
		return;
	/* A tag that is in use stays. */
	if (strcmp(o->name, "tags") == 0)
	{
		bool used;

		st = ae_prepare("SELECT 1 FROM \"tagged-objects\" WHERE \"tagId\" = ?");
		sqlite3_bind_int64(st, 1, number);
		used = sqlite3_step(st) == SQLITE_ROW;
		sqlite3_finalize(st);
		if (used)
		{
			ae_error(w, 405, 108, "Could not delete the object because it is in use");
			return;
		}
	}
	snprintf(sql, sizeof(sql), "UPDATE \"%s\" SET \"isDeleted\" = 1%s WHERE id = ?", o->name,
			 ae_field(o, "updatedAt") ? ", \"updatedAt\" = ?" : "");
	st = ae_prepare(sql);
	sqlite3_bind_int64(st, 1, number);
	if (ae_field(o, "updatedAt"))
	{
		sqlite3_bind_int64(st, 1, ae_now());
		sqlite3_bind_int64(st, 2, number);
	}
	sqlite3_step(st);
	sqlite3_finalize(st);
	w->status = 204;
}

/* {"matchEmail":"a@b.c","prospect":{...},"fields":["id"]} */
void
ae_upsert(Request *r, Response *w)
{
	const AeObject *o = ae_object("prospects");
	json_object *body = ae_json(r, w);
	json_object *email = NULL, *values = NULL, *list = NULL;
	Buf fields = {0};
	int64_t id = 0;
	bool bad = false;

	if (body == NULL)
		return;
	json_object_object_foreach(body, name, v)
	{
		(void) v;
		if (strcmp(name, "matchEmail") != 0 && strcmp(name, "prospect") != 0 &&
			strcmp(name, "fields") != 0 && !bad)
		{
			ae_errorf(w, 400, 208, "Unknown action argument: %s", name);
			bad = true;
		}
	}
	json_object_object_get_ex(body, "matchEmail", &email);
	json_object_object_get_ex(body, "prospect", &values);
	json_object_object_get_ex(body, "fields", &list);
	if (!bad && (email == NULL || values == NULL))
	{
		ae_errorf(w, 400, 207, "Missing required action argument: %s",
				  email ? "prospect" : "matchEmail");
		bad = true;
	}
	if (!bad && (json_object_get_type(email) != json_type_string ||
				 json_object_get_type(values) != json_type_object ||
				 (list && json_object_get_type(list) != json_type_array)))
	{
		ae_error(w, 400, 206, "Invalid action argument value");
		bad = true;
	}
	for (size_t i = 0; !bad && list && i < json_object_array_length(list); i++)
		buf_addf(&fields, "%s%s", i ? "," : "",
				 json_object_get_string(json_object_array_get_idx(list, i)));
	if (!bad && check_fields(w, o, fields.data))
	{
		sqlite3_stmt *st = ae_prepare(
			"SELECT id FROM prospects WHERE email = ? COLLATE NOCASE AND \"isDeleted\" = 0 "
			"ORDER BY \"updatedAt\" DESC, id DESC LIMIT 1");

		sqlite3_bind_text(st, 1, json_object_get_string(email), -1, SQLITE_TRANSIENT);
		if (sqlite3_step(st) == SQLITE_ROW)
			id = sqlite3_column_int64(st, 0);
		sqlite3_finalize(st);
		if (id != 0)
		{
			if (check_values(w, o, values, false) && set_values(w, o, id, values))
				answer_row(r, w, o, id, 200, fields.data);
		}
		else
		{
			json_object *copy = NULL;

			json_object_deep_copy(values, &copy, NULL);
			if (!json_object_object_get_ex(copy, "email", NULL))
				json_object_object_add(copy, "email", json_object_get(email));
			if ((id = new_row(w, o, copy)) != 0)
				answer_row(r, w, o, id, 201, fields.data);
			json_object_put(copy);
		}
	}
	buf_free(&fields);
	json_object_put(body);
}
