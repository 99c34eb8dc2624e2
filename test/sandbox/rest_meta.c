/*
 * rest_meta.c - what the org is: versions, resources, describes.
 *
 * Must not know: libmicrohttpd, SQL.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "config.h"
#include "rest.h"

/* Releases come in this order, three a year; version 31 was Summer '14. */
static const char *const seasons[] = {"Summer", "Winter", "Spring"};

void
rest_versions(Request *r, Response *w)
{
	(void) r;
	w->status = 200;
	for (int v = OLDEST_VERSION; v <= NEWEST_VERSION; v++)
	{
		int n = v - OLDEST_VERSION;
		int year = 14 + (n + 2) / 3;

		buf_addf(&w->body,
				 "%c{\"label\":\"%s '%02d\",\"url\":\"/services/data/v%d.0\",\"version\":\"%d.0\"}",
				 n ? ',' : '[', seasons[n % 3], year, v, v);
	}
	buf_addc(&w->body, ']');
}

void
rest_resources(Request *r, Response *w)
{
	static const char *const names[] = {"sobjects", "query",	 "queryAll", "limits", "composite",
										"search",	"analytics", "tooling",	 "connect"};

	w->status = 200;
	buf_adds(&w->body, "{");
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		buf_addf(&w->body, "\"%s\":\"/services/data/v%s/%s\",", names[i], r->version, names[i]);
	buf_addf(&w->body, "\"identity\":\"%s/id/%s/%s\"}", r->base_url, store_org_id(), r->user_id);
}

void
rest_http_date(time_t t, char out[40])
{
	struct tm tm;

	gmtime_r(&t, &tm);
	strftime(out, 40, "%a, %d %b %Y %H:%M:%S GMT", &tm);
}

/* 1: there is such a header, and it is a date; 0: there is none; -1: it is no date. */
static int
header_time(const Request *r, const char *name, time_t *t)
{
	const char *h = req_header(r, name);
	struct tm tm = {0};

	if (h == NULL)
		return 0;
	if (strptime(h, "%a, %d %b %Y %H:%M:%S", &tm) == NULL)
		return -1;
	*t = timegm(&tm);
	return 1;
}

/* Is the tag in a list such as "a", W/"b", or is the list a star? */
static bool
has_tag(const char *list, const char *etag)
{
	return strcmp(list, "*") == 0 || strstr(list, etag) != NULL;
}

static bool
is_list(const char *list)
{
	return list == NULL || strcmp(list, "*") == 0 || strchr(list, '"') != NULL;
}

bool
rest_precondition(const Request *r, Response *w, time_t modified, const char *etag)
{
	const char *match = etag ? req_header(r, "If-Match") : NULL;
	const char *none = etag ? req_header(r, "If-None-Match") : NULL;
	time_t since = 0, until = 0;
	int has_since = header_time(r, "If-Modified-Since", &since);
	int has_until = header_time(r, "If-Unmodified-Since", &until);
	bool tagged = none != NULL && has_tag(none, etag ? etag : "");
	char date[40];

	if (!is_get(r) && (has_until < 0 || !is_list(match) || !is_list(none)))
	{
		res_error(w, 400, "INVALID_HEADER", "The value of a conditional header is not valid");
		return true;
	}
	rest_http_date(modified, date);
	res_header(w, "Last-Modified", date);
	if (etag != NULL)
		res_header(w, "ETag", etag);
	if ((match != NULL && !has_tag(match, etag)) ||
		(match == NULL && has_until > 0 && modified > until) || (tagged && !is_get(r)))
	{
		res_error(w, 412, "PRECONDITION_FAILED",
				  "One or more of the conditions in the request headers was not met.");
		return true;
	}
	if (is_get(r) && (tagged || (none == NULL && has_since > 0 && modified <= since)))
	{
		w->status = 304;
		return true;
	}
	return false;
}

/* The describes are as old as the program's start, or as the last change of a field. */
static time_t
schema_time(void)
{
	static time_t t;

	if (t == 0)
		t = store_now();
	return schema_changed_at() > t ? schema_changed_at() : t;
}

void
rest_global(Request *r, Response *w)
{
	char etag[96];

	snprintf(etag, sizeof(etag), "\"global-%s-%lx.%u%s\"", r->version, (long) schema_time(),
			 schema_generation(), schema_hides() ? r->user_id : "");
	if (rest_precondition(r, w, schema_time(), etag))
		return;
	w->status = 200;
	schema_describe_global(&w->body, r->version);
}

void
rest_describe(Request *r, Response *w, const Object *o)
{
	char etag[160];

	snprintf(etag, sizeof(etag), "\"%s-%s-%lx.%u%s\"", o->name, r->version, (long) schema_time(),
			 schema_generation(), schema_hides() ? r->user_id : "");
	if (rest_precondition(r, w, schema_time(), etag))
		return;
	w->status = 200;
	schema_describe(&w->body, o, r->version);
}

void
rest_object(Request *r, Response *w, const Object *o)
{
	Buf all;
	json_object *doc;
	json_object *list;

	buf_init(&all);
	schema_describe_global(&all, r->version);
	doc = json_tokener_parse(all.data);
	buf_free(&all);
	w->status = 200;
	buf_adds(&w->body, "{\"objectDescribe\":");
	if (json_object_object_get_ex(doc, "sobjects", &list))
	{
		for (size_t i = 0; i < json_object_array_length(list); i++)
		{
			json_object *item = json_object_array_get_idx(list, i);
			json_object *name;

			if (json_object_object_get_ex(item, "name", &name) &&
				strcmp(json_object_get_string(name), o->name) == 0)
				buf_adds(&w->body,
						 json_object_to_json_string_ext(item, JSON_C_TO_STRING_PLAIN |
																  JSON_C_TO_STRING_NOSLASHESCAPE));
		}
	}
	buf_adds(&w->body, ",\"recentItems\":[]}");
	json_object_put(doc);
}
