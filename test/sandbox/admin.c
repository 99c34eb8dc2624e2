/*
 * admin.c - /__sandbox/...: faults, reset, clock, counters.
 *
 * Not part of the org: nothing here is counted as an API call or logged.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "admin.h"
#include "ae.h"
#include "amp.h"
#include "bulk.h"
#include "config.h"
#include "cursors.h"
#include "event.h"
#include "fault.h"
#include "locks.h"
#include "oauth.h"
#include "org.h"
#include "pagecache.h"
#include "rules_org.h"
#include "store.h"

bool
parse_iso_time(const char *s, time_t *out)
{
	struct tm tm = {0};
	int sign = 1;
	int offset = 0;
	const char *p = strptime(s, "%Y-%m-%d", &tm);

	if (p == NULL)
		return false;
	if (*p == 'T' || *p == ' ')
	{
		p = strptime(p + 1, "%H:%M:%S", &tm);
		if (p == NULL)
			return false;
		if (*p == '.')
			p += 1 + strspn(p + 1, "0123456789");
		if (*p == 'Z')
			p++;
		else if (*p == '+' || *p == '-')
		{
			int h;
			int m;
			int n = 0;

			sign = *p == '-' ? -1 : 1;
			if (sscanf(p + 1, "%2d:%2d%n", &h, &m, &n) != 2 &&
				sscanf(p + 1, "%2d%2d%n", &h, &m, &n) != 2)
				return false;
			offset = h * 3600 + m * 60;
			p += 1 + n;
		}
	}
	*out = timegm(&tm) - sign * offset;
	return *p == '\0';
}

static void
ok(Response *w)
{
	w->status = 200;
	if (w->body.len == 0)
		buf_adds(&w->body, "{\"ok\":true}");
}

static void
bad(Response *w, const char *why)
{
	w->status = 400;
	buf_clear(&w->body);
	buf_adds(&w->body, "{\"error\":");
	buf_jsons(&w->body, why);
	buf_addc(&w->body, '}');
}

static void
faults(Request *r, Response *w)
{
	if (strcmp(r->method, "DELETE") == 0)
		fault_clear();
	else if (strcmp(r->method, "POST") == 0)
	{
		char *text = req_own(r, strdup(r->body ? r->body : ""));
		char *save = NULL;

		/* One SPEC a line. */
		for (char *p = strtok_r(text, "\r\n", &save); p; p = strtok_r(NULL, "\r\n", &save))
		{
			char *reason;

			if (!fault_add(p, &reason))
			{
				bad(w, reason);
				free(reason);
				return;
			}
		}
	}
	buf_adds(&w->body, "{\"faults\":");
	fault_list(&w->body);
	buf_addc(&w->body, '}');
	ok(w);
}

static void
reset(Request *r, Response *w)
{
	const char *seed = req_param(r, "seed");
	bool known;

	if (seed == NULL)
		seed = config.seed;
	bulk_reset();
	store_lock();
	cursors_reset();
	locks_clear();
	rules_clear();
	org_reset();
	known = store_seed(seed) && event_defaults();
	store_unlock();
	fault_clear();
	refresh_restore();
	api_reset();
	ae_reset();
	amp_reset();
	if (known)
		ok(w);
	else
		bad(w, "unknown seed");
}

static void
stats(Response *w)
{
	int locators;

	store_lock();
	locators = locator_count();
	store_unlock();
	buf_addf(&w->body,
			 "{\"calls\":%llu,\"apiCalls\":%lld,\"apiLimit\":%lld,\"bytesOut\":%llu,"
			 "\"openLocators\":%d,\"openConnections\":%u,\"sessions\":%d,\"pageCacheBytes\":%zu}",
			 (unsigned long long) server_requests(), (long long) api_used(),
			 (long long) api_limit(), (unsigned long long) server_bytes_sent(), locators,
			 server_connections(), session_count(), pagecache_bytes());
	ok(w);
}

static void
clock_set(Request *r, Response *w)
{
	const char *t = req_param(r, "t");
	time_t when = 0;

	if (t == NULL || (strcmp(t, "off") != 0 && !parse_iso_time(t, &when)))
	{
		bad(w, "t must be a time like 2024-05-01T12:00:00Z, or off");
		return;
	}
	store_lock();
	store_set_clock(when);
	store_changed();
	store_unlock();
	ok(w);
}

/* POST /__sandbox/bulk?polls=2&page-rows=100: what bulk jobs do from now on; the same of Account
 * Engagement. */
static void
take_settings(Request *r, Response *w, bool (*set)(const char *name, const char *value))
{
	char *text = req_own(r, strdup(r->raw_query));
	char *save = NULL;

	for (char *p = strtok_r(text, "&", &save); p; p = strtok_r(NULL, "&", &save))
	{
		char *eq = strchr(p, '=');

		if (eq != NULL)
			*eq = '\0';
		if (eq == NULL || !set(p, req_own(r, url_decode(eq + 1, strlen(eq + 1), true))))
		{
			bad(w, "unknown setting, or no value for it");
			return;
		}
	}
	ok(w);
}

/* POST /__sandbox/rules, a rule a line: what an administrator would set up. */
static void
org_rules(Request *r, Response *w)
{
	char *text =
		req_own(r, strdup(strcmp(r->method, "POST") == 0 && r->body != NULL ? r->body : ""));
	char *save = NULL;
	bool good = true;

	store_lock();
	if (strcmp(r->method, "DELETE") == 0)
		rules_clear();
	for (char *p = strtok_r(text, "\r\n", &save); p && good; p = strtok_r(NULL, "\r\n", &save))
		good = rules_add(p);
	rules_list(&w->body);
	store_unlock();
	if (good)
		ok(w);
	else
		bad(w, "that is no rule");
}

/*
 * POST /__sandbox/locks?ids=A,B: somebody holds these rows, until DELETE or a reset, or, with
 * times=N, until N writes of each have been refused.
 */
static void
locks(Request *r, Response *w)
{
	char *ids = req_own(
		r,
		strdup(strcmp(r->method, "POST") == 0 && req_param(r, "ids") ? req_param(r, "ids") : ""));
	const char *times = req_param(r, "times");
	char full[SF_ID_LEN + 1];
	char *save = NULL;

	store_lock();
	if (strcmp(r->method, "DELETE") == 0)
		locks_clear();
	for (char *p = strtok_r(ids, ",", &save); p; p = strtok_r(NULL, ",", &save))
		if (store_canonical_id(p, strlen(p), full))
			locks_hold(full, times ? atoi(times) : 0);
	locks_list(&w->body);
	store_unlock();
	ok(w);
}

/* POST /__sandbox/schema, a change a line: what an administrator does to fields. */
static void
schema_changes(Request *r, Response *w)
{
	char *text =
		req_own(r, strdup(strcmp(r->method, "POST") == 0 && r->body != NULL ? r->body : ""));
	const char *wrong = NULL;
	char *save = NULL;

	store_lock();
	store_set_user(NULL);
	if (strcmp(r->method, "DELETE") == 0)
		store_schema_reset();
	for (char *p = strtok_r(text, "\r\n", &save); p && !wrong; p = strtok_r(NULL, "\r\n", &save))
		wrong = store_schema_change(p);
	store_schema_list(&w->body);
	store_unlock();
	if (wrong == NULL)
		ok(w);
	else
		bad(w, wrong);
}

static const Object *
object_of_id(const char *id)
{
	return id ? schema_by_prefix(id) : NULL;
}

static void
done(Response *w, bool good, StoreError *e)
{
	if (good)
		ok(w);
	else
		bad(w, e->message ? e->message : "no such row");
	store_error_free(e);
}

/* POST /__sandbox/undelete?id=X: somebody takes the row out of the recycle bin. */
static void
undelete(Request *r, Response *w)
{
	const char *id = req_param(r, "id");
	const Object *o = object_of_id(id);
	StoreError e = {0};

	store_lock();
	store_set_user(NULL);
	done(w, o != NULL && store_undelete(o, id, &e), &e);
	store_unlock();
}

/* POST /__sandbox/merge?master=X&losers=A,B, the master's new values as JSON in the body. */
static void
merge(Request *r, Response *w)
{
	const char *master = req_param(r, "master");
	const Object *o = object_of_id(master);
	char *ids = req_own(r, strdup(req_param(r, "losers") ? req_param(r, "losers") : ""));
	json_object *values = r->body_len > 0 ? json_tokener_parse(r->body) : NULL;
	const char *losers[3];
	char *save = NULL;
	StoreError e = {0};
	int n = 0;

	for (char *p = strtok_r(ids, ",", &save); p && n < 3; p = strtok_r(NULL, ",", &save))
		losers[n++] = p;
	store_lock();
	store_set_user(NULL);
	done(w, o != NULL && store_merge(o, master, losers, n, values, &e), &e);
	store_unlock();
	json_object_put(values);
}

/* POST /__sandbox/purge?id=X: that row, deleted or not; ?object=X: what is in the recycle bin of
 * it. */
static void
purge(Request *r, Response *w)
{
	const char *id = req_param(r, "id");
	const char *name = req_param(r, "object");
	const Object *o = id ? object_of_id(id) : name ? schema_find(name, strlen(name)) : NULL;
	char full[SF_ID_LEN + 1];
	StoreError e = {0};
	bool good = o != NULL || (id == NULL && name == NULL);

	store_lock();
	store_set_user(NULL);
	if (good && id != NULL)
	{
		good = store_canonical_id(id, strlen(id), full) && store_row_state(o, full) != 0 &&
			   (store_row_state(o, full) == 2 || store_delete(o, full, &e));
		if (good)
			store_purge(o, full);
	}
	else if (good)
		store_empty_bin(o);
	done(w, good, &e);
	store_unlock();
}

/* POST /__sandbox/set?id=X&FIELD=VALUE: the value changes, and nothing tells of it. */
static void
set_values(Request *r, Response *w)
{
	const char *id = req_param(r, "id");
	const Object *o = object_of_id(id);
	char *text = req_own(r, strdup(r->raw_query));
	char *save = NULL;
	StoreError e = {0};
	bool good = o != NULL;

	store_lock();
	for (char *p = strtok_r(text, "&", &save); p && good; p = strtok_r(NULL, "&", &save))
	{
		char *eq = strchr(p, '=');
		const Field *f = eq ? schema_field(o, p, (size_t) (eq - p)) : NULL;
		char *value = eq ? req_own(r, url_decode(eq + 1, strlen(eq + 1), true)) : NULL;

		if (strncmp(p, "id=", 3) == 0)
			continue;
		good = f != NULL && store_set_silently(o, id, f, *value ? value : NULL, &e);
	}
	done(w, good, &e);
	store_unlock();
}

/*
 * POST /__sandbox/events?gap=UPDATE&ids=A,B, or gap=OVERFLOW&object=Account: an event without data
 * that no write has caused; ids may be 001* for all rows.
 */
static bool
event_gap(Request *r)
{
	const char *gap = req_param(r, "gap");
	const char *ids = req_param(r, "ids");
	const char *name = req_param(r, "object");
	const Object *o = name ? schema_find(name, strlen(name)) : ids ? schema_by_prefix(ids) : NULL;
	bool overflow = strcmp(gap, "OVERFLOW") == 0;

	return o != NULL && overflow == (ids == NULL) && event_inject_gap(o, gap, ids);
}

/* Settings and what happens to events: see event_set(); GET: what there is. */
static void
events(Request *r, Response *w)
{
	bool good = true;

	store_lock();
	if (strcmp(r->method, "POST") == 0 && req_param(r, "gap") != NULL)
		good = event_gap(r);
	else if (strcmp(r->method, "POST") == 0)
	{
		take_settings(r, w, event_set);
		good = w->status < 400;
		buf_clear(&w->body);
	}
	if (good)
		event_stats(&w->body);
	store_unlock();
	if (good)
		ok(w);
	else
		bad(w, "unknown setting, or an object that is not selected");
}

void
admin_handle(Request *r, Response *w)
{
	const char *name = r->path + strlen("/__sandbox/");
	bool post = strcmp(r->method, "POST") == 0;

	if (strcmp(name, "faults") == 0)
		faults(r, w);
	else if (strcmp(name, "stats") == 0)
		stats(w);
	else if (strcmp(name, "rules") == 0)
		org_rules(r, w);
	else if (strcmp(name, "schema") == 0)
		schema_changes(r, w);
	else if (strcmp(name, "locks") == 0)
		locks(r, w);
	else if (strcmp(name, "org") == 0)
	{
		if (post)
			take_settings(r, w, org_set);
		if (w->status != 400)
		{
			buf_clear(&w->body);
			org_list(&w->body);
			ok(w);
		}
	}
	else if (strcmp(name, "events") == 0)
		events(r, w);
	else if (strcmp(name, "jobs") == 0)
	{
		bulk_list_admin(&w->body);
		ok(w);
	}
	else if (strcmp(name, "ae-stats") == 0)
	{
		ae_stats(&w->body);
		ok(w);
	}
	else if (strcmp(name, "amp-stats") == 0)
	{
		amp_stats(&w->body);
		ok(w);
	}
	else if (strcmp(name, "amp-messages") == 0)
		amp_messages(r, w);
	else if (!post)
		bad(w, "POST it");
	else if (strcmp(name, "reset") == 0)
		reset(r, w);
	else if (strcmp(name, "undelete") == 0)
		undelete(r, w);
	else if (strcmp(name, "merge") == 0)
		merge(r, w);
	else if (strcmp(name, "purge") == 0)
		purge(r, w);
	else if (strcmp(name, "set") == 0)
		set_values(r, w);
	else if (strcmp(name, "now") == 0)
		clock_set(r, w);
	else if (strcmp(name, "bulk") == 0)
		take_settings(r, w, bulk_set);
	else if (strcmp(name, "ae") == 0)
		take_settings(r, w, ae_set);
	else if (strcmp(name, "amp") == 0)
		take_settings(r, w, amp_set);
	else if (strcmp(name, "expire-sessions") == 0)
	{
		session_expire_all();
		ok(w);
	}
	else if (strcmp(name, "api-limit") == 0)
	{
		const char *n = req_param(r, "n");

		if (n == NULL)
			bad(w, "n is missing");
		else
		{
			api_set_limit(atoll(n));
			ok(w);
		}
	}
	else
		bad(w, "no such resource of the sandbox");
}
