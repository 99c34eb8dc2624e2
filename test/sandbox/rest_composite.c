/*
 * rest_composite.c - composite and composite/batch: several requests in one call.
 *
 * Every subrequest goes through the router like one of its own.  Runs under store_lock(), so that a
 * transaction over several of them has the org for itself.
 */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "composite.h"
#include "fault.h"

#define MAX_SUBREQUESTS 25
#define MAX_HEAVY 5

const char *
composite_text(json_object *o, const char *name)
{
	json_object *v;

	return json_object_object_get_ex(o, name, &v) && json_object_is_type(v, json_type_string)
			   ? json_object_get_string(v)
			   : NULL;
}

static bool
flag(json_object *o, const char *name)
{
	json_object *v;

	return json_object_object_get_ex(o, name, &v) && json_object_get_boolean(v);
}

static json_object *
member_no_case(json_object *o, const char *name, size_t n)
{
	json_object_object_foreach(o, key, val)
	{
		if (strncasecmp(key, name, n) == 0 && key[n] == '\0')
			return val;
	}
	return NULL;
}

/* A subrequest has these from the request around it. */
static const char *
forbidden_header(json_object *headers)
{
	static const char *const names[] = {"Accept", "Authorization", "Content-Type"};

	for (int i = 0; i < 3; i++)
		if (member_no_case(headers, names[i], strlen(names[i])) != NULL)
			return names[i];
	return NULL;
}

/* The value at a path like ref.records[0].Id in the answers so far; NULL if there is none. */
static json_object *
resolve(Sub *subs, int done, const char *path, size_t len)
{
	const char *end = path + len;
	size_t n = 0;
	json_object *at = NULL;

	while (n < len && path[n] != '.' && path[n] != '[')
		n++;
	for (int i = 0; i < done; i++)
	{
		if (strlen(subs[i].ref) == n && strncmp(subs[i].ref, path, n) == 0)
			at = subs[i].answer;
	}
	path += n;
	while (at != NULL && path < end)
	{
		if (*path == '[')
		{
			char *close;
			long index = strtol(path + 1, &close, 10);

			if (close >= end || *close != ']' || index < 0 ||
				!json_object_is_type(at, json_type_array))
				return NULL;
			at = json_object_array_get_idx(at, (size_t) index);
			path = close + 1;
		}
		else
		{
			path++;
			for (n = 0; path + n < end && path[n] != '.' && path[n] != '['; n++)
				;
			/* An upsert answers "id", and clients ask for it as Id too. */
			at = json_object_is_type(at, json_type_object) ? member_no_case(at, path, n) : NULL;
			path += n;
		}
	}
	return at;
}

/*
 * The text with every @{ref.path} replaced, malloc'ed; NULL with the failing reference in *bad
 * (malloc'ed) if one leads nowhere.
 */
static char *
substitute(Sub *subs, int done, const char *text, bool in_url, char **bad)
{
	Buf out;

	buf_init(&out);
	buf_adds(&out, "");
	while (*text)
	{
		const char *open = strstr(text, "@{");
		const char *close = open ? strchr(open, '}') : NULL;
		json_object *v;

		if (close == NULL)
		{
			buf_adds(&out, text);
			break;
		}
		buf_add(&out, text, (size_t) (open - text));
		v = resolve(subs, done, open + 2, (size_t) (close - open - 2));
		if (v == NULL || json_object_is_type(v, json_type_object) ||
			json_object_is_type(v, json_type_array))
		{
			*bad = strndup(open + 2, (size_t) (close - open - 2));
			buf_free(&out);
			return NULL;
		}
		if (in_url)
			url_encode(&out, json_object_get_string(v));
		else
			buf_adds(&out, json_object_get_string(v));
		text = close + 1;
	}
	return buf_detach(&out);
}

/* A copy of a body with the references in its strings replaced; NULL and *bad as above. */
static json_object *
substitute_body(Sub *subs, int done, json_object *v, char **bad)
{
	json_object *copy;
	char *text;

	switch (json_object_get_type(v))
	{
		case json_type_string:
			text = substitute(subs, done, json_object_get_string(v), false, bad);
			copy = text ? json_object_new_string(text) : NULL;
			free(text);
			return copy;
		case json_type_array:
			copy = json_object_new_array();
			for (size_t i = 0; i < json_object_array_length(v) && *bad == NULL; i++)
				json_object_array_add(
					copy, substitute_body(subs, done, json_object_array_get_idx(v, i), bad));
			break;
		case json_type_object:
			copy = json_object_new_object();
			json_object_object_foreach(v, key, val)
			{
				if (*bad == NULL)
					json_object_object_add(copy, key, substitute_body(subs, done, val, bad));
			}
			break;
		default:
			return json_object_get(v);
	}
	if (*bad != NULL)
	{
		json_object_put(copy);
		return NULL;
	}
	return copy;
}

static bool
is_heavy(const char *url)
{
	return strstr(url, "/query") != NULL || strstr(url, "/composite/sobjects") != NULL;
}

static bool
good_reference(const char *ref)
{
	if (ref == NULL || !isalpha((unsigned char) *ref))
		return false;
	for (; *ref; ref++)
	{
		if (!isalnum((unsigned char) *ref) && *ref != '_')
			return false;
	}
	return true;
}

int
composite_read(json_object *list, Sub *subs, int max, Response *w)
{
	int n = json_object_is_type(list, json_type_array) ? (int) json_object_array_length(list) : 0;
	int heavy = 0;

	if (n == 0)
	{
		res_error(w, 400, "JSON_PARSER_ERROR",
				  "compositeRequest must have at least one subrequest");
		return -1;
	}
	if (n > max)
	{
		res_errorf(w, 400, "LIMIT_EXCEEDED", "Limit of %d subrequests exceeded, got %d", max, n);
		return -1;
	}
	for (int i = 0; i < n; i++)
	{
		json_object *o = json_object_array_get_idx(list, (size_t) i);
		Sub *s = &subs[i];

		s->method = json_object_is_type(o, json_type_object) ? composite_text(o, "method") : NULL;
		s->url = s->method ? composite_text(o, "url") : NULL;
		s->ref = s->url ? composite_text(o, "referenceId") : NULL;
		if (s->url == NULL || !good_reference(s->ref))
		{
			res_error(w, 400, "JSON_PARSER_ERROR",
					  "A subrequest needs method, url and a referenceId that starts with a letter "
					  "and has only letters, digits and underscores");
			return -1;
		}
		for (int k = 0; k < i; k++)
		{
			if (strcmp(subs[k].ref, s->ref) == 0)
			{
				res_errorf(w, 400, "INVALID_INPUT", "Duplicate referenceId: %s", s->ref);
				return -1;
			}
		}
		json_object_object_get_ex(o, "body", &s->body);
		if (json_object_object_get_ex(o, "httpHeaders", &s->headers) &&
			!json_object_is_type(s->headers, json_type_object))
			s->headers = NULL;
		if (s->headers != NULL && forbidden_header(s->headers) != NULL)
		{
			res_errorf(w, 400, "INVALID_INPUT", "The header %s cannot be set in a subrequest",
					   forbidden_header(s->headers));
			return -1;
		}
		heavy += is_heavy(s->url);
	}
	if (heavy > MAX_HEAVY)
	{
		res_errorf(w, 400, "LIMIT_EXCEEDED",
				   "Limit of %d query and sObject Collections subrequests exceeded, got %d",
				   MAX_HEAVY, heavy);
		return -1;
	}
	return n;
}

/* By a fault. */
static bool
is_refused(const char *method, const char *url, Response *w)
{
	size_t len = strcspn(url, "?");
	char *path = url_decode(url, len, false);
	char *query = url[len] ? url_decode(url + len + 1, strlen(url + len + 1), true) : NULL;
	Fault f;
	bool hit = fault_strike_part(method, path, query, &f);

	if (hit)
		res_error(w, f.status, f.code ? f.code : "UNKNOWN_EXCEPTION",
				  f.message ? f.message : "An unexpected error occurred. Please try again.");
	fault_free(&f);
	free(path);
	free(query);
	return hit;
}

static void
run_sub(Request *r, Sub *subs, int i)
{
	Sub *s = &subs[i];
	char *bad = NULL;
	char *url = substitute(subs, i, s->url, true, &bad);
	json_object *body = url && s->body ? substitute_body(subs, i, s->body, &bad) : NULL;

	if (bad != NULL)
		res_errorf(&s->w, 400, "PROCESSING_HALTED",
				   "Invalid reference specified. No value for %s found in %.*s", bad,
				   (int) strcspn(bad, ".["), bad);
	else if (!is_refused(s->method, url, &s->w))
		handle_inner(r, s->method, url, s->headers, body, &s->w);
	if (s->w.body.len > 0)
		s->answer = json_tokener_parse(s->w.body.data);
	free(bad);
	free(url);
	json_object_put(body);
}

bool
composite_run(Request *r, Sub *subs, int n, bool all_or_none)
{
	int failed = -1;

	if (all_or_none)
		store_begin();
	r->all_or_none = all_or_none;
	for (int i = 0; i < n && (failed < 0 || !all_or_none); i++)
	{
		run_sub(r, subs, i);
		/* rows of a collection too: what is said here goes for them */
		if ((subs[i].w.status >= 300 || (all_or_none && subs[i].w.rows_failed)) && failed < 0)
			failed = i;
	}
	if (!all_or_none)
		return failed < 0;
	if (failed < 0)
	{
		store_commit();
		return true;
	}
	store_rollback();
	for (int i = 0; i < n; i++)
	{
		if (i == failed)
			continue;
		composite_halt(&subs[i]);
	}
	return false;
}

void
composite_halt(Sub *s)
{
	res_free(&s->w);
	res_error(&s->w, 400, "PROCESSING_HALTED",
			  "The transaction was rolled back since another operation in the same transaction "
			  "failed.");
}

void
composite_write(Sub *subs, int n, Buf *b)
{
	buf_adds(b, "{\"compositeResponse\":[");
	for (int i = 0; i < n; i++)
	{
		Sub *s = &subs[i];

		buf_adds(b, i ? ",{\"body\":" : "{\"body\":");
		if (s->w.body.len > 0)
			buf_add(b, s->w.body.data, s->w.body.len);
		else
			buf_adds(b, "null");
		buf_adds(b, ",\"httpHeaders\":{");
		for (int k = 0; k < s->w.n_headers; k++)
		{
			buf_adds(b, k ? "," : "");
			buf_jsons(b, s->w.headers[k * 2]);
			buf_addc(b, ':');
			buf_jsons(b, s->w.headers[k * 2 + 1]);
		}
		buf_addf(b, "},\"httpStatusCode\":%d,\"referenceId\":", s->w.status);
		buf_jsons(b, s->ref);
		buf_addc(b, '}');
	}
	buf_adds(b, "]}");
}

void
composite_free(Sub *subs, int n)
{
	for (int i = 0; i < n; i++)
	{
		res_free(&subs[i].w);
		json_object_put(subs[i].answer);
	}
	free(subs);
}

void
rest_composite(Request *r, Response *w)
{
	json_object *doc = req_json(r, w);
	json_object *list = NULL;
	Sub *subs;
	int n;

	if (doc == NULL)
		return;
	subs = calloc(MAX_SUBREQUESTS, sizeof(Sub));
	json_object_object_get_ex(doc, "compositeRequest", &list);
	n = composite_read(list, subs, MAX_SUBREQUESTS, w);
	if (n > 0)
	{
		composite_run(r, subs, n, flag(doc, "allOrNone"));
		w->status = 200;
		composite_write(subs, n, &w->body);
	}
	composite_free(subs, n > 0 ? n : 0);
	json_object_put(doc);
}

/* "v62.0/sobjects/..." as batch writes it, to the path of the server. */
static char *
batch_url(const char *url)
{
	char *full;

	if (strncmp(url, "/services/data/", 15) == 0)
		return strdup(url);
	if (asprintf(&full, "/services/data/%s", *url == '/' ? url + 1 : url) < 0)
		abort();
	return full;
}

static void
batch_one(Request *r, json_object *o, Response *w)
{
	const char *method =
		json_object_is_type(o, json_type_object) ? composite_text(o, "method") : NULL;
	const char *url = method ? composite_text(o, "url") : NULL;
	json_object *body = NULL;
	char *full;

	if (url == NULL)
	{
		res_error(w, 400, "JSON_PARSER_ERROR", "A subrequest needs method and url");
		return;
	}
	json_object_object_get_ex(o, "richInput", &body);
	full = batch_url(url);
	handle_inner(r, method, full, NULL, body, w);
	free(full);
}

void
rest_batch(Request *r, Response *w)
{
	json_object *doc = req_json(r, w);
	json_object *list = NULL;
	bool halt;
	bool errors = false;
	Buf results;
	int n;

	if (doc == NULL)
		return;
	json_object_object_get_ex(doc, "batchRequests", &list);
	n = json_object_is_type(list, json_type_array) ? (int) json_object_array_length(list) : 0;
	halt = flag(doc, "haltOnError");
	if (n == 0 || n > MAX_SUBREQUESTS)
	{
		if (n == 0)
			res_error(w, 400, "JSON_PARSER_ERROR", "batchRequests must have at least one request");
		else
			res_errorf(w, 400, "LIMIT_EXCEEDED", "Limit of %d batch requests exceeded, got %d",
					   MAX_SUBREQUESTS, n);
		json_object_put(doc);
		return;
	}
	buf_init(&results);
	for (int i = 0; i < n; i++)
	{
		Response one = {0};

		if (errors && halt)
			res_error(&one, 412, "BATCH_PROCESSING_HALTED", "Batch processing halted per request");
		else
			batch_one(r, json_object_array_get_idx(list, (size_t) i), &one);
		errors |= one.status >= 300;
		buf_addf(&results, "%s{\"statusCode\":%d,\"result\":", i ? "," : "", one.status);
		if (one.body.len > 0)
			buf_add(&results, one.body.data, one.body.len);
		else
			buf_adds(&results, "null");
		buf_addc(&results, '}');
		res_free(&one);
	}
	w->status = 200;
	buf_addf(&w->body, "{\"hasErrors\":%s,\"results\":[", errors ? "true" : "false");
	buf_add(&w->body, results.data, results.len);
	buf_adds(&w->body, "]}");
	buf_free(&results);
	json_object_put(doc);
}
