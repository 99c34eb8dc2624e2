/*
 * router.c - from a path to the resource behind it: authentication, versions, quota.
 *
 * Must not know: libmicrohttpd, SQL.
 */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "admin.h"
#include "ae.h"
#include "amp.h"
#include "bulk.h"
#include "comet.h"
#include "config.h"
#include "oauth.h"
#include "org.h"
#include "reqlog.h"
#include "rest.h"
#include "rules_org.h"

/* Older than this still answers, with a warning. */
#define DEPRECATED_BELOW 41
#define DUPLICATE_HEADER 52

static void
object_resource(Request *r, Response *w)
{
	const Object *o = schema_find(r->seg[1], strlen(r->seg[1]));
	const char *third = r->n_seg > 2 ? r->seg[2] : NULL;
	const Field *f;

	if (o == NULL && event_object(r->seg[1]) != NULL)
	{
		event_schema_resource(r, w);
		return;
	}
	if (o == NULL || !schema_may(ACCESS_READ, o, NULL))
	{
		res_not_found(w);
		return;
	}
	if (third == NULL)
	{
		if (is_get(r))
			rest_object(r, w, o);
		else if (strcmp(r->method, "POST") == 0)
			rest_create(r, w, o);
		else
			res_not_allowed(w, r, "HEAD,GET,POST");
	}
	else if (r->n_seg == 3 && (strcmp(third, "describe") == 0 || strcmp(third, "updated") == 0 ||
							   strcmp(third, "deleted") == 0))
	{
		if (!is_get(r))
			res_not_allowed(w, r, "HEAD,GET");
		else if (third[1] == 'e' && third[2] == 's')
			rest_describe(r, w, o);
		else
			rest_replication(r, w, o, third[0] == 'd');
	}
	else if (r->n_seg == 3 && strcmp(third, "Id") == 0 && strcmp(r->method, "POST") == 0)
		rest_row_by_key(r, w, o, "Id", NULL);
	else if (r->n_seg == 3)
		rest_row(r, w, o, third);
	else if (r->n_seg == 4)
	{
		char id[SF_ID_LEN + 1];

		f = schema_seen_field(o, r->seg[3], strlen(r->seg[3]));
		if (f != NULL && f->type == FT_BASE64 && store_canonical_id(third, strlen(third), id))
			rest_blob(r, w, o, third, f);
		else
			rest_row_by_key(r, w, o, third, r->seg[3]);
	}
	else
		res_not_found(w);
}

static void
composite_resource(Request *r, Response *w)
{
	static const struct
	{
		const char *name;
		int least, most;
		void (*run)(Request *, Response *);
	} kinds[] = {
		{"batch", 2, 2, rest_batch},
		{"graph", 2, 2, rest_graph},
		{"tree", 3, 3, rest_tree},
	};
	void (*run)(Request *, Response *) = r->n_seg == 1 ? rest_composite : NULL;

	if (r->n_seg > 1 && strcmp(r->seg[1], "sobjects") == 0)
	{
		rest_collections(r, w);
		return;
	}
	for (int i = 0; i < 3 && r->n_seg > 1; i++)
	{
		if (strcmp(r->seg[1], kinds[i].name) == 0 && r->n_seg >= kinds[i].least &&
			r->n_seg <= kinds[i].most)
			run = kinds[i].run;
	}
	/* None of them inside another. */
	if (run == NULL || r->inner)
		res_not_found(w);
	else if (strcmp(r->method, "POST") != 0)
		res_not_allowed(w, r, "POST");
	else
		run(r, w);
}

static void
limits_resource(Request *r, Response *w)
{
	if (!is_get(r))
		res_not_allowed(w, r, "HEAD,GET");
	else if (r->n_seg == 1)
		rest_limits(r, w);
	else if (r->n_seg == 2 && strcmp(r->seg[1], "recordCount") == 0)
		rest_record_count(r, w);
	else
		res_not_found(w);
}

/* name=true in a list like "a=true; b=false". */
static bool
says_true(const char *list, const char *name)
{
	size_t n = strlen(name);

	while (list != NULL && *list)
	{
		list += strspn(list, "; ");
		if (strncasecmp(list, name, n) == 0 && list[n] == '=' &&
			strncasecmp(list + n + 1, "true", 4) == 0)
			return true;
		list += strcspn(list, ";");
	}
	return false;
}

static void
write_headers(const Request *r)
{
	const char *duplicates =
		atoi(r->version) >= DUPLICATE_HEADER ? req_header(r, "Sforce-Duplicate-Rule-Header") : NULL;
	const char *assign = req_header(r, "Sforce-Auto-Assign");
	WriteHeaders h = {0};

	h.allow_save = says_true(duplicates, "allowSave");
	h.details = says_true(duplicates, "includeRecordDetails");
	h.no_assignment = assign != NULL && strcasecmp(assign, "FALSE") == 0;
	h.assignment =
		assign != NULL && !h.no_assignment && strcasecmp(assign, "TRUE") != 0 ? assign : NULL;
	rules_headers(&h);
}

/* The caller holds store_lock(). */
static void
resource(Request *r, Response *w)
{
	const char *first = r->n_seg > 0 ? r->seg[0] : NULL;

	store_set_user(r->user_id);
	write_headers(r);
	if (first == NULL)
	{
		if (is_get(r))
			rest_resources(r, w);
		else
			res_not_allowed(w, r, "HEAD,GET");
	}
	else if (strcmp(first, "sobjects") == 0 && r->n_seg == 1)
	{
		if (is_get(r))
			rest_global(r, w);
		else
			res_not_allowed(w, r, "HEAD,GET");
	}
	else if (strcmp(first, "sobjects") == 0)
		object_resource(r, w);
	else if (strcmp(first, "query") == 0 || strcmp(first, "queryAll") == 0)
		rest_query(r, w);
	else if (strcmp(first, "composite") == 0)
		composite_resource(r, w);
	else if (strcmp(first, "limits") == 0)
		limits_resource(r, w);
	else if (strcmp(first, "search") == 0 && r->n_seg == 1)
		rest_search(r, w);
	else if (strcmp(first, "analytics") == 0)
		rest_reports(r, w);
	else if (strcmp(first, "tooling") == 0)
		rest_tooling(r, w);
	else if (strcmp(first, "event") == 0)
		event_schema_resource(r, w);
	else if (strcmp(first, "connect") == 0)
		rest_connect(r, w);
	else
		res_not_found(w);
}

/* "v62.0" to "62.0" in r->version; 0 no version, 1 retired, 2 served */
static int
version_of(Request *r, const char *text, size_t n)
{
	int major = 0;
	size_t i = 1;

	if (n < 4 || n > 6 || text[0] != 'v')
		return 0;
	for (; i < n && isdigit((unsigned char) text[i]); i++)
		major = major * 10 + (text[i] - '0');
	if (i + 2 != n || text[i] != '.' || text[i + 1] != '0' || i == 1 || major > NEWEST_VERSION ||
		major < 20)
		return 0;
	if (major < OLDEST_VERSION)
		return 1;
	snprintf(r->version, sizeof(r->version), "%d.0", major);
	return 2;
}

static bool
authenticate(Request *r, Response *w)
{
	const char *token;
	int form = bearer_token(r, &token);
	Grant g;
	OrgUser u;

	if (form == 1)
		res_error(w, 401, "INVALID_AUTH_HEADER", "INVALID_HEADER_TYPE");
	else if (form == 0 || !session_find(token, &g))
		res_error(w, 401, "INVALID_SESSION_ID", "Session expired or invalid");
	else
	{
		memcpy(r->user_id, g.user_id, sizeof(r->user_id));
		if (user_by_id(g.user_id, &u))
		{
			r->user_name = strdup(u.username);
			user_free(&u);
			return true;
		}
		res_error(w, 401, "INVALID_SESSION_ID", "Session expired or invalid");
	}
	res_header(w, "WWW-Authenticate", "Token");
	return false;
}

/* POST ...?_HttpMethod=PATCH is how clients without PATCH send one. */
static void
override_method(Request *r)
{
	const char *m = strcmp(r->method, "POST") == 0 ? req_param(r, "_HttpMethod") : NULL;

	if (m != NULL && (strcmp(m, "PATCH") == 0 || strcmp(m, "DELETE") == 0))
		r->method = m;
}

/* By which it introduces itself; the events of its changes have it. */
static const char *
client_name(const Request *r)
{
	const char *h = req_header(r, "Sforce-Call-Options");
	const char *p = h ? strstr(h, "client=") : NULL;

	return p ? p + 7 : NULL;
}

static bool
is_write(const Request *r)
{
	return !is_get(r) && r->n_seg > 0 &&
		   (strcmp(r->seg[0], "sobjects") == 0 || strcmp(r->seg[0], "composite") == 0);
}

static void
data_handle(Request *r, Response *w)
{
	const char *rest = r->raw_path + strlen("/services/data");
	char info[80];
	size_t n;
	int known;

	while (*rest == '/')
		rest++;
	if (*rest == '\0')
	{
		if (is_get(r))
			rest_versions(r, w);
		else
			res_not_allowed(w, r, "HEAD,GET");
		return;
	}
	n = strcspn(rest, "/");
	known = version_of(r, rest, n);
	if (known == 0)
	{
		res_not_found(w);
		return;
	}
	if (known == 1)
	{
		res_error(w, 410, "UNSUPPORTED_API_VERSION", "410:GONE");
		return;
	}
	override_method(r);
	req_split(r, rest[n] ? rest + n + 1 : rest + n);
	if (r->inner)
	{
		resource(r, w);
		return;
	}
	if (!authenticate(r, w))
		return;
	if (!api_count())
		res_error(w, 403, "REQUEST_LIMIT_EXCEEDED", "TotalRequests Limit exceeded.");
	else if (r->n_seg > 0 && strcmp(r->seg[0], "jobs") == 0)
		bulk_resource(r, w);
	else
	{
		time_t began = is_write(r) ? org_late() : 0;

		store_lock();
		store_set_began(began);
		event_origin("rest", r->version, client_name(r));
		resource(r, w);
		event_origin(NULL, NULL, NULL);
		store_set_began(0);
		store_unlock();
	}
	snprintf(info, sizeof(info), "api-usage=%lld/%lld", (long long) api_used(),
			 (long long) api_limit());
	res_header(w, "Sforce-Limit-Info", info);
	if (atoi(r->version) < DEPRECATED_BELOW)
		res_header(w, "Warning",
				   "299 - \"This API is deprecated and will be removed in the future.\"");
}

/* Apex REST has no version in its path. */
static void
apex_handle(Request *r, Response *w)
{
	char info[80];

	if (!authenticate(r, w))
		return;
	if (!api_count())
		res_error(w, 403, "REQUEST_LIMIT_EXCEEDED", "TotalRequests Limit exceeded.");
	else
		rest_apex(r, w);
	snprintf(info, sizeof(info), "api-usage=%lld/%lld", (long long) api_used(),
			 (long long) api_limit());
	res_header(w, "Sforce-Limit-Info", info);
}

static bool
under(const char *path, const char *prefix)
{
	size_t n = strlen(prefix);

	return strncmp(path, prefix, n) == 0 && (path[n] == '/' || path[n] == '\0');
}

void
handle_request(Request *r, Response *w)
{
	if (r->amp != AMP_NONE && r->amp != AMP_PROXY)
		amp_handle(r, w);
	else if (r->amp == AMP_NONE && under(r->path, "/__sandbox") && r->path[10] == '/')
		admin_handle(r, w);
	else if (under(r->raw_path, "/services/data"))
		data_handle(r, w);
	else if (under(r->raw_path, "/cometd"))
		comet_handle(r, w);
	else if (strncmp(r->raw_path, "/api/v5/", 8) == 0)
		ae_handle(r, w);
	else if (under(r->raw_path, "/services/apexrest"))
		apex_handle(r, w);
	else if (strncmp(r->path, "/services/oauth2/", 17) == 0)
		oauth_handle(r, w);
	else if (under(r->path, "/id"))
		oauth_identity(r, w);
	else
		res_not_found(w);
}

void
handle_inner(Request *outer, const char *method, const char *url, json_object *headers,
			 json_object *body, Response *w)
{
	Request r = {0};
	const char *question = strchr(url, '?');
	size_t n = question ? (size_t) (question - url) : strlen(url);
	char *raw = strndup(url, n);
	double start = monotonic();

	r.inner = true;
	r.outer = outer;
	r.method = method;
	r.inner_headers = headers;
	r.raw_path = raw;
	r.path = req_own(&r, url_decode(url, n, false));
	r.raw_query = question ? question + 1 : "";
	r.base_url = outer->base_url;
	r.body = body ? json_object_to_json_string_ext(body, JSON_C_TO_STRING_PLAIN) : "";
	r.body_len = strlen(r.body);
	memcpy(r.user_id, outer->user_id, sizeof(r.user_id));
	r.user_name = outer->user_name ? strdup(outer->user_name) : NULL;
	if (under(raw, "/services/data"))
		data_handle(&r, w);
	else
		res_not_found(w);
	res_flatten(w);
	reqlog_write(&r, w->status, (monotonic() - start) * 1000, w->body.len, NULL);
	req_free(&r);
	free(raw);
}
