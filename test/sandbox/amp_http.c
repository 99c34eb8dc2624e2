/*
 * amp_http.c - Ampersand's hosts: keys, projects, integrations, and the proxy; see amp.h.
 *
 * The proxy's answers of its own are application/problem+json; everything else that it answers is
 * the org's.
 */
#include <ctype.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "amp.h"
#include "config.h"
#include "oauth.h"
#include "store.h"

#define AMP_USER "admin@sandbox.example"
#define AMP_SCOPE "full refresh_token"

#define AMP_DEFAULTS ((AmpSettings){.throttle_seconds = 60, .polls = 1, .deletes = true})

AmpSettings amp_settings = {.throttle_seconds = 60, .polls = 1, .deletes = true};

static const AmpIntegration integrations[] = {
	{"salesforce", "5b1f2f7e-6a0e-4b62-8a9e-0c3f5d7e9a11", "c0a8e6f4-2b7d-4e0f-9c55-7d1e3b5a8f21",
	 true, false},
	{"engagement", "8c2e4d6f-1a3b-4c5d-9e7f-2b4d6f8a0c12", "d1b9f705-3c8e-4f10-8d66-8e2f4c6b9032",
	 true, true},
	{"no-proxy", "9d3f5e70-2b4c-4d6e-8f80-3c5e70912d13", "e2ca0816-4d9f-4021-9e77-9f305d7ca143",
	 false, false},
};
#define N_INTEGRATIONS ((int) (sizeof(integrations) / sizeof(integrations[0])))

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static char *token;		/* of the connection */
static time_t retry_at; /* nothing is forwarded before */
static int forwarded, throttled;

bool
amp_set(const char *name, const char *value)
{
	char *end;
	long v = strtol(value, &end, 10);

	if (strcmp(name, "retryable") == 0)
	{
		amp_settings.locked_out = strcmp(value, "false") == 0;
		return amp_settings.locked_out || strcmp(value, "true") == 0;
	}
	if (strcmp(name, "deletes") == 0 || strcmp(name, "row-errors") == 0)
	{
		bool on = strcmp(value, "on") == 0;

		*(name[0] == 'd' ? &amp_settings.deletes : &amp_settings.row_errors) = on;
		return on || strcmp(value, "off") == 0;
	}
	if (end == value || *end || v < 0 || v > 3600)
		return false;
	if (strcmp(name, "throttle-seconds") == 0)
		amp_settings.throttle_seconds = (int) v;
	else if (strcmp(name, "polls") == 0)
		amp_settings.polls = (int) v;
	else
		return false;
	return true;
}

void
amp_reset(void)
{
	pthread_mutex_lock(&lock);
	free(token);
	token = NULL;
	retry_at = 0;
	forwarded = throttled = 0;
	amp_settings = AMP_DEFAULTS;
	pthread_mutex_unlock(&lock);
	amp_operations_reset();
}

void
amp_stats(Buf *out)
{
	pthread_mutex_lock(&lock);
	buf_addf(out, "{\"forwarded\":%d,\"throttled\":%d}", forwarded, throttled);
	pthread_mutex_unlock(&lock);
}

void
amp_problem(Response *w, int status, const char *title, const char *detail)
{
	w->status = status;
	w->content_type = "application/problem+json";
	buf_clear(&w->body);
	buf_addf(&w->body, "{\"type\":\"about:blank\",\"title\":");
	buf_jsons(&w->body, title);
	buf_addf(&w->body, ",\"status\":%d,\"detail\":", status);
	buf_jsons(&w->body, detail);
	buf_adds(&w->body,
			 ",\"subsystem\":\"api\",\"requestId\":\"89eb1ffb-0000-4000-8000-000000000000#1\"}");
}

const AmpIntegration *
amp_integration(const char *id)
{
	for (int i = 0; i < N_INTEGRATIONS; i++)
		if (strcasecmp(integrations[i].id, id) == 0)
			return &integrations[i];
	return NULL;
}

bool
amp_is_project(const char *text)
{
	return strcasecmp(text, AMP_PROJECT_ID) == 0 || strcmp(text, AMP_PROJECT_NAME) == 0;
}

/* -------- the connection's login at the org -------- */

/* A token that lives; malloc'ed, or NULL. */
static char *
live_token(void)
{
	OrgUser u;
	Grant g;
	char *copy = NULL;

	/* Takes the store's lock, and so comes first. */
	if (!user_by_name(AMP_USER, &u))
		return NULL;
	pthread_mutex_lock(&lock);
	if (token == NULL || !session_find(token, &g))
	{
		free(token);
		token = session_new(u.id, app_find("sandbox"), AMP_SCOPE, NULL);
	}
	copy = strdup(token);
	pthread_mutex_unlock(&lock);
	user_free(&u);
	return copy;
}

bool
amp_become(Request *r, Response *w)
{
	OrgUser u;

	if (!user_by_name(AMP_USER, &u))
	{
		amp_problem(w, 401, "Unauthorized", "the connection's credentials are bad");
		return false;
	}
	memcpy(r->user_id, u.id, sizeof(r->user_id));
	if (r->user_name == NULL)
		r->user_name = strdup(u.username);
	user_free(&u);
	return true;
}

int
amp_call(Request *r, const char *method, const char *url, json_object *headers, json_object *body,
		 json_object **answer)
{
	Response w = {0};
	int status;

	if (answer)
		*answer = NULL;
	if (!api_count())
		res_error(&w, 403, "REQUEST_LIMIT_EXCEEDED", "TotalRequests Limit exceeded.");
	else
	{
		store_lock();
		handle_inner(r, method, url, headers, body, &w);
		store_unlock();
	}
	status = w.status;
	if (answer && w.body.len > 0)
		*answer = json_tokener_parse(w.body.data);
	res_free(&w);
	return status;
}

/* -------- the proxy -------- */

static bool
is_uuid(const char *s)
{
	for (int i = 0; i < 36; i++)
		if (i == 8 || i == 13 || i == 18 || i == 23 ? s[i] != '-' : !isxdigit((unsigned char) s[i]))
			return false;
	return s[36] == '\0';
}

static const AmpIntegration *
installation_of(const Request *r, Response *w)
{
	const char *installation = req_header(r, "x-amp-installation-id");
	const char *name = req_header(r, "x-amp-integration-name");
	const char *group = req_header(r, "x-amp-group-ref");

	if (installation == NULL && (name == NULL || group == NULL))
	{
		amp_problem(w, 400, "Bad Request",
					"ErrNoInstallationOrGroupRefAndIntegrationNameCombination");
		return NULL;
	}
	for (int i = 0; i < N_INTEGRATIONS; i++)
	{
		const AmpIntegration *in = &integrations[i];

		if (installation ? strcasecmp(installation, in->installation) == 0
						 : strcmp(name, in->name) == 0 && strcmp(group, AMP_GROUP) == 0)
			return in;
	}
	amp_problem(w, 404, "Not Found", "installation not found");
	return NULL;
}

static void
retry_later(Response *w, time_t at)
{
	char text[64];
	struct tm tm;

	gmtime_r(&at, &tm);
	strftime(text, sizeof(text), "%a, %d %b %Y %H:%M:%S UTC", &tm);
	res_header(w, "X-Amp-Retry-After", text);
	res_header(w, "X-Amp-Retryable", amp_settings.locked_out ? "false" : "true");
}

static bool
throttles(const Request *r)
{
	const char *mode = req_header(r, "X-Amp-Rate-Limiter-Mode");

	return mode != NULL && strcmp(mode, "throttle") == 0;
}

static bool
has_key(const Request *r, Response *w)
{
	const char *key = req_header(r, "x-api-key");

	if (key != NULL && strcmp(key, AMP_KEY) == 0)
		return true;
	amp_problem(w, 401, "Unauthorized",
				key ? "API key is invalid or inactive" : "API key is missing");
	return false;
}

static bool
proxy_front(Request *r, Response *w)
{
	const char *version = req_header(r, "x-amp-proxy-version");
	const char *project = req_header(r, "x-amp-project-id");
	const AmpIntegration *in;
	char *base, *own;
	time_t at;

	/* A token of the org has no business here, and a JWT is not allowed. */
	if (req_header(r, "Authorization") != NULL)
	{
		amp_problem(w, 401, "Unauthorized",
					"the proxy takes an API key, and no other authorization");
		return true;
	}
	if (!has_key(r, w))
		return true;
	if (version == NULL || strcmp(version, "1") != 0)
	{
		amp_problem(w, 400, "Bad Request", "x-amp-proxy-version must be 1");
		return true;
	}
	if (project == NULL || !is_uuid(project))
	{
		amp_problem(w, 400, "Bad Request", "x-amp-project-id must be the ID of a project");
		return true;
	}
	if (strcasecmp(project, AMP_PROJECT_ID) != 0)
	{
		amp_problem(w, 404, "Not Found", "project not found");
		return true;
	}
	in = installation_of(r, w);
	if (in == NULL)
		return true;
	if (!in->proxy)
	{
		amp_problem(w, 403, "Forbidden", "proxy is not enabled for this integration");
		return true;
	}
	pthread_mutex_lock(&lock);
	at = throttles(r) && retry_at > time(NULL) ? retry_at : 0;
	if (at)
		throttled++;
	else
		forwarded++;
	pthread_mutex_unlock(&lock);
	if (at)
	{
		amp_problem(w, 429, "Too Many Requests", "the provider's rate limit was reached");
		retry_later(w, at);
		return true;
	}
	/* Each module has a host of its own. */
	if ((strncmp(r->raw_path, "/api/v5/", 8) == 0) != in->module)
	{
		res_not_found(w);
		return true;
	}
	own = live_token();
	if (own == NULL)
	{
		amp_problem(w, 401, "Unauthorized", "the connection's credentials are bad");
		return true;
	}
	r->bearer = req_own(r, own);
	/* What the org says of its own address. */
	base = req_own(r, strdup(r->base_url));
	memcpy(strchr(base, '/') + 2, "127.0.0.1", 9);
	r->base_url = base;
	return false;
}

bool
amp_front(Request *r, Response *w)
{
	const char *host = strstr(r->base_url, "://127.0.0.");

	if (host == NULL || host[12] != ':')
		return false;
	r->amp = host[11] == '2'   ? AMP_PROXY
			 : host[11] == '3' ? AMP_WRITE
			 : host[11] == '4' ? AMP_READ
			 : host[11] == '5' ? AMP_API
							   : AMP_NONE;
	return r->amp == AMP_PROXY && proxy_front(r, w);
}

void
amp_back(Request *r, Response *w)
{
	const char *after;
	time_t at;
	Grant g;

	if (r->amp != AMP_PROXY || r->bearer == NULL)
		return;
	/* The proxy looks after the token. */
	if (w->status == 401 && !session_find(r->bearer, &g))
	{
		char *own = live_token();

		if (own != NULL)
		{
			r->bearer = req_own(r, own);
			res_free(w);
			memset(w, 0, sizeof(*w));
			handle_request(r, w);
		}
	}
	if (w->status != 429 || !throttles(r))
		return;
	after = res_find_header(w, "Retry-After");
	at = time(NULL) +
		 (after && isdigit((unsigned char) *after) ? atoi(after) : amp_settings.throttle_seconds);
	pthread_mutex_lock(&lock);
	if (retry_at < at)
		retry_at = at;
	pthread_mutex_unlock(&lock);
	retry_later(w, at);
}

/* -------- the other hosts -------- */

/*
 * /v1/projects/P/integrations/I/objects/O of Write and Read, /v1/projects/P/operations/X[/logs] and
 * /v1/projects/P/integrations/I/installations/N/objects/O/backfill-progress of the platform.
 */
void
amp_handle(Request *r, Response *w)
{
	const AmpIntegration *in = NULL;
	bool post = strcmp(r->method, "POST") == 0, get = strcmp(r->method, "GET") == 0;

	if (!has_key(r, w))
		return;
	if (strncmp(r->raw_path, "/v1/projects/", 13) != 0)
	{
		amp_problem(w, 404, "Not Found", "no such resource");
		return;
	}
	req_split(r, r->raw_path + 13);
	if (r->n_seg < 3 || !amp_is_project(r->seg[0]))
	{
		amp_problem(w, 404, "Not Found", "project not found");
		return;
	}
	if (strcmp(r->seg[1], "integrations") == 0 && (in = amp_integration(r->seg[2])) == NULL)
	{
		amp_problem(w, 404, "Not Found", "integration not found");
		return;
	}
	if (!amp_become(r, w))
		return;
	if (in && r->n_seg == 5 && strcmp(r->seg[3], "objects") == 0 && post && r->amp == AMP_WRITE)
		amp_write(r, w, in, r->seg[4]);
	else if (in && r->n_seg == 5 && strcmp(r->seg[3], "objects") == 0 && post && r->amp == AMP_READ)
		amp_trigger(r, w, in, r->seg[4]);
	else if (r->amp == AMP_API && get && strcmp(r->seg[1], "operations") == 0 &&
			 (r->n_seg == 3 || (r->n_seg == 4 && strcmp(r->seg[3], "logs") == 0)))
		amp_operation_get(r, w, r->seg[2], r->n_seg == 4);
	else if (r->amp == AMP_API && get && in && r->n_seg == 8 &&
			 strcmp(r->seg[3], "installations") == 0 && strcmp(r->seg[5], "objects") == 0 &&
			 strcmp(r->seg[7], "backfill-progress") == 0 &&
			 strcasecmp(r->seg[4], in->installation) == 0)
		amp_progress(r, w, in, r->seg[6]);
	else
		amp_problem(w, 404, "Not Found", "no such resource");
}
