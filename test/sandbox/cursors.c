/*
 * cursors.c - open query results and their locators.
 *
 * Owns: the SoqlCursors.  Guarded by store_lock(), which the caller holds.  Must not know: HTTP.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config.h"
#include "cursors.h"
#include "pagecache.h"
#include "store.h"

/* Results that no locator holds, kept for the next request with the same statement. */
#define MAX_IDLE 16
/* Locators of child subqueries; beyond it the oldest is released. */
#define MAX_CHILDREN 2000

static Result *results;
static Locator *locators; /* oldest first */
static uint64_t next_result = 1;
static uint64_t uses;
static uint64_t next_locator;

static void
close_result(Result *r)
{
	Result **at = &results;

	while (*at != r)
		at = &(*at)->next;
	*at = r->next;
	pagecache_drop(r->id);
	soql_close(r->cursor);
	free(r->key);
	free(r);
}

static bool
idle(const Result *r)
{
	return r->locators == 0 && !r->in_use;
}

/* Stale idle results go at once, of the others the least recently used. */
static void
trim(void)
{
	int n = 0;
	Result *next;
	Result *old = NULL;

	for (Result *r = results; r != NULL; r = next)
	{
		next = r->next;
		if (!idle(r))
			continue;
		if (r->store_version != store_version())
			close_result(r);
		else
		{
			n++;
			if (old == NULL || r->last_used < old->last_used)
				old = r;
		}
	}
	if (n > MAX_IDLE)
		close_result(old);
}

static Result *
add_result(SoqlCursor *c, char *key, const char *version)
{
	Result *r = calloc(1, sizeof(Result));

	if (r == NULL)
		abort();
	r->id = next_result++;
	r->cursor = c;
	r->key = key;
	r->store_version = store_version();
	snprintf(r->version, sizeof(r->version), "%s", version);
	r->last_used = ++uses;
	r->next = results;
	results = r;
	return r;
}

Result *
result_open(const char *soql, const SoqlOptions *opt, SoqlError *e)
{
	Result *r;
	SoqlCursor *c;
	char *key;

	/* Date literals move with the clock, so a result is shared only within the hour; and among those who see the
	 * same fields. */
	if (asprintf(&key, "%d %s %ld %s %s", opt->all_rows, opt->version,
				 (long) (store_now() / 3600), schema_hides() ? store_user() : "", soql) < 0)
		abort();
	for (r = results; r != NULL; r = r->next)
	{
		if (r->store_version == store_version() && strcmp(r->key, key) == 0)
		{
			free(key);
			r->in_use = true;
			r->last_used = ++uses;
			return r;
		}
	}
	c = soql_open(soql, strlen(soql), opt, e);
	if (c == NULL)
	{
		free(key);
		return NULL;
	}
	r = add_result(c, key, opt->version);
	r->in_use = true;
	return r;
}

void
result_done(Result *r)
{
	r->in_use = false;
	trim();
}

static void
close_locator(Locator *l)
{
	Locator **at = &locators;

	while (*at != l)
		at = &(*at)->next;
	*at = l->next;
	l->result->locators--;
	if (l->child)
		close_result(l->result); /* nobody could ask for it again */
	free(l);
}

static void
expire(void)
{
	Locator *next;
	double now = monotonic();

	for (Locator *l = locators; l != NULL; l = next)
	{
		next = l->next;
		if (now - l->opened >= config.locator_seconds)
			close_locator(l);
	}
}

/* The one to release when a user has too many. */
static Locator *
victim(const char *user_id, int *n)
{
	Locator *oldest = NULL;
	Locator *finished = NULL;

	*n = 0;
	for (Locator *l = locators; l != NULL; l = l->next)
	{
		if (l->child || strcmp(l->user_id, user_id) != 0)
			continue;
		(*n)++;
		if (oldest == NULL)
			oldest = l;
		if (finished == NULL && l->finished)
			finished = l;
	}
	return finished ? finished : oldest;
}

static void
make_id(char out[19])
{
	static const char digits[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
	char id[16] = "01gSB0000000000";
	uint64_t v = ++next_locator;

	for (int i = 14; v > 0; i--)
	{
		id[i] = digits[v % 62];
		v /= 62;
	}
	if (!store_canonical_id(id, 15, out))
		abort();
}

static Locator *
new_locator(Result *r, const char *user_id, int batch)
{
	Locator *l = calloc(1, sizeof(Locator));
	Locator **tail = &locators;

	if (l == NULL)
		abort();
	make_id(l->id);
	snprintf(l->user_id, sizeof(l->user_id), "%s", user_id);
	l->result = r;
	l->batch = batch;
	l->opened = monotonic();
	r->locators++;
	while (*tail != NULL)
		tail = &(*tail)->next;
	*tail = l;
	return l;
}

Locator *
locator_open(Result *r, const char *user_id, int batch)
{
	Locator *out;
	int n;

	expire();
	while ((out = victim(user_id, &n)) != NULL && n >= config.max_locators)
		close_locator(out);
	return new_locator(r, user_id, batch);
}

Locator *
locator_open_child(SoqlCursor *child, const char *version, const char *user_id, int batch)
{
	Locator *oldest = NULL;
	Locator *l;
	int n = 0;

	for (l = locators; l != NULL; l = l->next)
	{
		if (l->child && oldest == NULL)
			oldest = l;
		n += l->child;
	}
	if (n >= MAX_CHILDREN)
		close_locator(oldest);
	/* no statement has an empty key, so that it is not shared */
	l = new_locator(add_result(child, strdup(""), version), user_id, batch);
	l->child = true;
	return l;
}

Locator *
locator_find(const char *id, const char *user_id)
{
	char full[19];

	expire();
	if (!store_canonical_id(id, strlen(id), full))
		return NULL;
	for (Locator *l = locators; l != NULL; l = l->next)
	{
		if (strcmp(l->id, full) == 0 && strcmp(l->user_id, user_id) == 0)
			return l;
	}
	return NULL;
}

void
locator_kill(const char *id)
{
	for (Locator *l = locators; l != NULL; l = l->next)
	{
		if (strncmp(l->id, id, 15) == 0)
		{
			close_locator(l);
			return;
		}
	}
}

int
locator_count(void)
{
	int n = 0;

	expire();
	for (Locator *l = locators; l != NULL; l = l->next)
		n += !l->finished;
	return n;
}

void
cursors_close(void)
{
	while (locators != NULL)
		close_locator(locators);
	while (results != NULL)
		close_result(results);
}

void
cursors_reset(void)
{
	cursors_close();
	next_locator = 0;
}
