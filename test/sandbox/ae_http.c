/*
 * ae_http.c - Account Engagement's front: token, business unit, quota, five calls at once, paths;
 * see ae.h.
 */
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ae.h"
#include "config.h"
#include "oauth.h"

AeSettings ae_settings = {
	.prospects = 5000,
	.daily_limit = 25000,
	.sequence = 100000,
	.token_seconds = 4 * 3600,
	.export_rows = 20000,
	.concurrent = 5,
};
const char *ae_business_unit = "0Uv5e0000000001CAA";

static pthread_mutex_t counters = PTHREAD_MUTEX_INITIALIZER;
static int used;
static int at_once;
static int most_at_once;
static int refused_at_once;
static bool filled; /* under ae_lock(): not before somebody asks */

void
ae_error(Response *w, int status, int code, const char *message)
{
	json_object *body = json_object_new_object();

	json_object_object_add(body, "code", json_object_new_int(code));
	json_object_object_add(body, "message", json_object_new_string(message));
	ae_answer(w, status, body);
}

void
ae_errorf(Response *w, int status, int code, const char *fmt, ...)
{
	char text[512];
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	ae_error(w, status, code, text);
}

bool
ae_set(const char *name, const char *value)
{
	static const struct
	{
		const char *name;
		int *value;
		int least, most;
	} numbers[] = {
		{"prospects", &ae_settings.prospects, 0, 5000000},
		{"daily-limit", &ae_settings.daily_limit, 0, 100000000},
		{"ms", &ae_settings.ms, 0, 600000},
		{"sequence", &ae_settings.sequence, 1, 100000},
		{"token-seconds", &ae_settings.token_seconds, 0, 4 * 3600},
		{"export-polls", &ae_settings.export_polls, 0, 1000},
		{"export-rows", &ae_settings.export_rows, 1, 1000000},
		{"concurrent", &ae_settings.concurrent, 0, 5},
	};
	char *end;
	long v = strtol(value, &end, 10);

	if (strcmp(name, "charset") == 0)
	{
		ae_settings.latin1 = strcmp(value, "ISO-8859-1") == 0;
		return ae_settings.latin1 || strcmp(value, "UTF-8") == 0;
	}
	if (strcmp(name, "writes") == 0)
	{
		ae_settings.no_content = strcmp(value, "no-content") == 0 || strcmp(value, "silent") == 0;
		ae_settings.no_location = strcmp(value, "silent") == 0;
		return ae_settings.no_content || strcmp(value, "content") == 0;
	}
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
	{
		if (strcmp(numbers[i].name, name) != 0)
			continue;
		if (end == value || *end || v < numbers[i].least || v > numbers[i].most)
			return false;
		*numbers[i].value = (int) v;
		return true;
	}
	return false;
}

void
ae_reset(void)
{
	ae_lock();
	filled = false;
	ae_unlock();
	pthread_mutex_lock(&counters);
	used = most_at_once = refused_at_once = 0;
	pthread_mutex_unlock(&counters);
}

int
ae_calls_used(void)
{
	int n;

	pthread_mutex_lock(&counters);
	n = used;
	pthread_mutex_unlock(&counters);
	return n;
}

void
ae_stats(Buf *out)
{
	pthread_mutex_lock(&counters);
	buf_addf(out, "{\"calls\":%d,\"limit\":%d,\"mostAtOnce\":%d,\"refusedAtOnce\":%d}", used,
			 ae_settings.daily_limit, most_at_once, refused_at_once);
	pthread_mutex_unlock(&counters);
}

/* -------- who may come in -------- */

static bool
has_word(const char *list, const char *word)
{
	size_t n = strlen(word);

	for (const char *p = list; (p = strstr(p, word)) != NULL; p += n)
		if ((p == list || p[-1] == ' ') && (p[n] == ' ' || p[n] == '\0'))
			return true;
	return false;
}

static bool
let_in(Request *r, Response *w)
{
	const char *unit = req_header(r, "Pardot-Business-Unit-Id");
	const char *token;
	Grant g;
	OrgUser u;

	if (unit == NULL)
	{
		ae_error(
			w, 400, 181,
			"A required header is missing: Pardot-Business-Unit-Id header not found on request.");
		return false;
	}
	if (strlen(unit) != 18 || strncmp(unit, "0Uv", 3) != 0)
	{
		ae_error(w, 400, 182, "Invalid header value: Pardot-Business-Unit-Id");
		return false;
	}
	if (bearer_token(r, &token) != 2 || !session_find(token, &g) ||
		(!has_word(g.scope, "pardot_api") && !has_word(g.scope, "full")) ||
		!user_by_id(g.user_id, &u))
	{
		ae_error(w, 401, 184, "access_token is invalid, unknown, or malformed");
		return false;
	}
	memcpy(r->user_id, g.user_id, sizeof(r->user_id));
	r->user_name = strdup(u.username);
	user_free(&u);
	if (strcmp(unit, ae_business_unit) != 0)
	{
		ae_error(
			w, 400, 201,
			"Business Unit specified in Pardot-Business-Unit-Id header not found or inactive.");
		return false;
	}
	return true;
}

/* A call beyond the fifth is refused, and not counted. */
static bool
enter(Response *w)
{
	int refusal = 0;

	pthread_mutex_lock(&counters);
	if (at_once >= ae_settings.concurrent)
	{
		refusal = 66;
		refused_at_once++;
	}
	else if (used >= ae_settings.daily_limit)
		refusal = 122;
	else
	{
		used++;
		at_once++;
		if (at_once > most_at_once)
			most_at_once = at_once;
	}
	pthread_mutex_unlock(&counters);
	if (refusal == 66)
		ae_error(
			w, 400, 66,
			"You have exceeded your concurrent request limit. Please wait, before trying again");
	else if (refusal == 122)
		ae_error(w, 400, 122, "Daily API rate limit met.");
	return refusal == 0;
}

static void
leave(void)
{
	pthread_mutex_lock(&counters);
	at_once--;
	pthread_mutex_unlock(&counters);
}

/* -------- paths -------- */

static void
bad_method(Response *w)
{
	ae_error(w, 405, 60, "Invalid HTTP request method");
}

static void
account(Request *r, Response *w)
{
	static const char *const names[] = {"id", "company", "level", "maximumDailyApiCalls",
										"apiCallsUsed"};
	const char *fields = req_param(r, "fields");
	json_object *body = json_object_new_object();
	char *copy, *save = NULL;

	if (fields == NULL || *fields == '\0')
	{
		json_object_put(body);
		ae_error(w, 400, 13, "One or more required parameters are missing: fields");
		return;
	}
	copy = req_own(r, strdup(fields));
	for (char *p = strtok_r(copy, ",", &save); p; p = strtok_r(NULL, ",", &save))
	{
		json_object *v = NULL;
		bool known = false;

		for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
			known |= strcmp(names[i], p) == 0;
		if (!known)
		{
			json_object_put(body);
			ae_errorf(w, 400, 180, "One or more of the specified fields are invalid: %s", p);
			return;
		}
		if (strcmp(p, "id") == 0)
			v = json_object_new_int(100131);
		else if (strcmp(p, "company") == 0)
			v = json_object_new_string("Sandbox");
		else if (strcmp(p, "level") == 0)
			v = json_object_new_string("Growth");
		else
			v = json_object_new_int(*p == 'm' ? ae_settings.daily_limit : ae_calls_used());
		json_object_object_add(body, p, v);
	}
	ae_answer(w, 200, body);
}

static void
collection(Request *r, Response *w, const AeObject *o, const char *id)
{
	bool get = strcmp(r->method, "GET") == 0;

	if (id == NULL && get)
		ae_query(r, w, o);
	else if (id == NULL && strcmp(r->method, "POST") == 0 && (o->allowed & AE_CREATE))
		ae_create(r, w, o);
	else if (id && get)
		ae_read(r, w, o, id);
	else if (id && strcmp(r->method, "PATCH") == 0 && (o->allowed & AE_UPDATE))
		ae_update(r, w, o, id);
	else if (id && strcmp(r->method, "DELETE") == 0 && (o->allowed & AE_DELETE))
		ae_delete(r, w, o, id);
	else
		bad_method(w);
}

static void
resource(Request *r, Response *w)
{
	bool in_objects = r->n_seg > 0 && strcmp(r->seg[0], "objects") == 0;
	int first = in_objects ? 1 : 0;
	const char *name = r->n_seg > first ? r->seg[first] : NULL;
	const AeObject *o = name ? ae_object(name) : NULL;

	if (o && in_objects != (strncmp(o->path, "/api/v5/objects/", 16) == 0))
		o = NULL;
	if (in_objects && name && strcmp(name, "account") == 0 && r->n_seg == 2)
	{
		if (strcmp(r->method, "GET") == 0)
			account(r, w);
		else
			bad_method(w);
	}
	else if (o == NULL)
		ae_error(w, 404, 198, "Endpoint not found");
	else if (strcmp(name, "exports") == 0 && !(r->n_seg == 1 && strcmp(r->method, "GET") == 0))
		ae_exports(r, w);
	else if (r->n_seg == first + 3 && strcmp(name, "prospects") == 0 &&
			 strcmp(r->seg[first + 1], "do") == 0 &&
			 strcmp(r->seg[first + 2], "upsertLatestByEmail") == 0)
	{
		if (strcmp(r->method, "POST") == 0)
			ae_upsert(r, w);
		else
			bad_method(w);
	}
	else if (r->n_seg > first + 2)
		ae_error(w, 404, 205, "Action name is either missing or incorrect");
	else
		collection(r, w, o, r->n_seg > first + 1 ? r->seg[first + 1] : NULL);
}

void
ae_handle(Request *r, Response *w)
{
	const char *usage = req_header(r, "X-Return-Api-Usage");
	char text[64];

	if (!let_in(r, w) || !enter(w))
		return;
	/* until the setting is another, too */
	for (double start = monotonic(); monotonic() - start < ae_settings.ms / 1000.0;)
		nap(ae_settings.ms < 10 ? (int64_t) ae_settings.ms * 1000 : 10000);
	req_split(r, r->raw_path + strlen("/api/v5/"));
	ae_lock();
	if (!filled)
	{
		ae_open();
		ae_seed(ae_settings.prospects);
		ae_tokens_reset();
		ae_exports_reset();
		filled = true;
	}
	resource(r, w);
	ae_unlock();
	leave();
	if (usage && (strcmp(usage, "1") == 0 || strcmp(usage, "true") == 0))
	{
		snprintf(text, sizeof(text), "%d/%d", ae_calls_used(), ae_settings.daily_limit);
		res_header(w, "x-api-usage", text);
	}
}
