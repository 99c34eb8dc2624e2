/*
 * tooling_http.c - /tooling/sobjects/...: create, read, change, delete.
 *
 * Must not know: how it is kept.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "event.h"
#include "rest.h"
#include "tooling.h"

/* The version that channels and their members came with. */
#define OLDEST_TOOLING 47

/* Who may set up channels. */
static bool
may_customize(const Request *r, Response *w)
{
	if (event_settings.any_user || strcmp(r->user_id, store_admin_id()) == 0)
		return true;
	res_error(w, 403, "INSUFFICIENT_ACCESS",
			  "You do not have the level of access necessary to perform the operation you "
			  "requested. Please contact the owner of the record or your administrator if access "
			  "is necessary.");
	return false;
}

static bool
missing(Response *w, const char *field)
{
	w->status = 400;
	buf_addf(&w->body,
			 "[{\"message\":\"Required fields are missing: [%s]\",\"errorCode\":"
			 "\"REQUIRED_FIELD_MISSING\",\"fields\":[\"%s\"]}]",
			 field, field);
	return false;
}

/* What came with a later version is no field of an earlier one. */
static bool
too_early(json_object *metadata, const char *version, Response *w)
{
	static const struct
	{
		const char *key;
		int since;
	} later[] = {{"enrichedFields", 51}, {"filterExpression", 56}};

	for (int i = 0; i < 2; i++)
	{
		if (atoi(version) >= later[i].since ||
			!json_object_object_get_ex(metadata, later[i].key, NULL))
			continue;
		res_errorf(w, 400, "INVALID_FIELD", "No such column '%s' on sobject of type Metadata",
				   later[i].key);
		return true;
	}
	return false;
}

/* FullName and Metadata of the body; false with the refusal. */
static bool
take_body(const Request *r, json_object *body, Tooling *t, const char *type, Response *w)
{
	json_object *metadata = NULL;

	if (!json_object_is_type(body, json_type_object))
	{
		res_error(w, 400, "JSON_PARSER_ERROR",
				  "The HTTP entity body is required to be a JSON object");
		return false;
	}
	json_object_object_foreach(body, key, v)
	{
		if (strcmp(key, "FullName") == 0 && json_object_is_type(v, json_type_string))
		{
			free(t->full);
			t->full = strdup(json_object_get_string(v));
		}
		else if (strcmp(key, "Metadata") == 0 && json_object_is_type(v, json_type_object))
			metadata = v;
		else if (strcmp(key, "FullName") != 0 && strcmp(key, "Metadata") != 0 &&
				 strcmp(key, "attributes") != 0)
		{
			res_errorf(w, 400, "INVALID_FIELD", "No such column '%s' on sobject of type %s", key,
					   type);
			return false;
		}
	}
	if (metadata == NULL)
		return missing(w, "Metadata");
	if (too_early(metadata, r->version, w))
		return false;
	t->metadata = json_object_get(metadata);
	return true;
}

static void
set_developer(Tooling *t)
{
	size_t n = strlen(t->full);
	bool channel = t->type == TOOLING_CHANNEL && n > 5 && strcmp(t->full + n - 5, "__chn") == 0;

	t->developer = strndup(t->full, channel ? n - 5 : n);
}

static void
create(Request *r, Response *w, ToolingType type)
{
	json_object *body = req_json(r, w);
	Tooling t = {.type = type};
	char url[200];

	if (body == NULL)
		return;
	if (!take_body(r, body, &t, tooling_type_name(type), w))
		;
	else if (t.full == NULL || *t.full == '\0')
		missing(w, "FullName");
	else
	{
		set_developer(&t);
		if (tooling_check(&t, NULL, w))
		{
			tooling_insert(&t);
			snprintf(url, sizeof(url), "/services/data/v%s/tooling/sobjects/%s/%s", r->version,
					 tooling_type_name(type), t.id);
			res_header(w, "Location", url);
			w->status = 201;
			buf_addf(&w->body,
					 "{\"id\":\"%s\",\"success\":true,\"errors\":[],\"warnings\":[],\"infos\":[]}",
					 t.id);
		}
	}
	tooling_free(&t);
	json_object_put(body);
}

static void
change(Request *r, Response *w, const Tooling *old)
{
	json_object *body = req_json(r, w);
	Tooling t = {.type = old->type};

	if (body == NULL)
		return;
	memcpy(t.id, old->id, sizeof(t.id));
	if (!take_body(r, body, &t, tooling_type_name(old->type), w))
		;
	else if (t.full != NULL && strcasecmp(t.full, old->full) != 0)
		res_errorf(w, 400, "FIELD_INTEGRITY_EXCEPTION",
				   "Full name %s does not match the full name %s of the entity (id: %s)", t.full,
				   old->full, old->id);
	else
	{
		if (t.full == NULL)
			t.full = strdup(old->full);
		if (tooling_check(&t, old, w))
		{
			tooling_update(&t);
			w->status = 204;
		}
	}
	tooling_free(&t);
	json_object_put(body);
}

static void
one(Request *r, Response *w, ToolingType type, const char *id)
{
	Tooling t;

	if (!tooling_get(type, id, &t))
	{
		res_not_found(w);
		return;
	}
	if (is_get(r))
	{
		w->status = 200;
		tooling_put(&w->body, &t, r->version);
	}
	else if (strcmp(r->method, "PATCH") == 0)
		change(r, w, &t);
	else if (strcmp(r->method, "DELETE") != 0)
		res_not_allowed(w, r, "DELETE,GET,HEAD,PATCH");
	else if (tooling_may_delete(&t, w))
	{
		tooling_delete(t.id);
		w->status = 204;
	}
	tooling_free(&t);
}

void
tooling_resource(Request *r, Response *w)
{
	ToolingType type = r->n_seg > 2 ? tooling_type(r->seg[2]) : TOOLING_TYPES;

	if (type == TOOLING_TYPES || r->n_seg > 4 || atoi(r->version) < OLDEST_TOOLING)
		res_not_found(w);
	else if (!may_customize(r, w))
		;
	else if (r->n_seg == 4)
		one(r, w, type, r->seg[3]);
	else if (strcmp(r->method, "POST") == 0)
		create(r, w, type);
	else
		res_not_allowed(w, r, "POST");
}
