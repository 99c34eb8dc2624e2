/*
 * fault.c - failures on demand.
 *
 * Owns: the list of faults in force and their counters.  Must not know: HTTP, SQLite.
 */
#include <fnmatch.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "fault.h"

typedef struct Rule
{
	char *spec; /* as given */
	char *path, *method, *match;
	int skip, count; /* count 0: for ever */
	int percent;	 /* of those that are left */
	long seen, struck;
	Fault fault;
	struct Rule *next;
} Rule;

static const struct
{
	const char *name;
	FaultKind kind;
} kinds[] = {
	{"status", FAULT_STATUS},
	{"reset-before", FAULT_RESET_BEFORE},
	{"reset-after", FAULT_RESET_AFTER},
	{"reset-middle", FAULT_RESET_MIDDLE},
	{"truncate-json", FAULT_TRUNCATE_JSON},
	{"slow", FAULT_SLOW},
	{"delay", FAULT_DELAY},
	{"hold", FAULT_HOLD},
	{"content-type", FAULT_CONTENT_TYPE},
	{"expire-token", FAULT_EXPIRE_TOKEN},
	{"dead-locator", FAULT_DEAD_LOCATOR},
	{"lock-row", FAULT_LOCK_ROW},
	{"refuse-part", FAULT_REFUSE_PART},
	{"html", FAULT_HTML},
	{"stall", FAULT_STALL},
	{"bad-header", FAULT_BAD_HEADER},
	{"bad-row", FAULT_BAD_ROW},
	{"bad-utf8", FAULT_BAD_UTF8},
	{"other-value", FAULT_OTHER_VALUE},
	{"job-failed", FAULT_JOB_FAILED},
	{"job-aborted", FAULT_JOB_ABORTED},
	{"job-stuck", FAULT_JOB_STUCK},
	{"job-deleted", FAULT_JOB_DELETED},
	{"wrong-count", FAULT_WRONG_COUNT},
	{"drop-rows", FAULT_DROP_ROWS},
	{"drop-page", FAULT_DROP_PAGE},
	{"early-end", FAULT_EARLY_END},
};

static const char *const keys[] = {
	"path", "method",  "match", "skip",		   "count", "percent",			"do",	 "status",
	"code", "message", "body",	"retry-after", "ms",	"bytes-per-second", "bytes", "rows"};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static Rule *rules;
static atomic_uint era;
static unsigned dice = 1;

const char *
fault_name(FaultKind kind)
{
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
	{
		if (kinds[i].kind == kind)
			return kinds[i].name;
	}
	return "none";
}

void
fault_free(Fault *f)
{
	free(f->code);
	free(f->message);
	free(f->body);
	free(f->retry_after);
	memset(f, 0, sizeof(*f));
}

static void
rule_free(Rule *r)
{
	free(r->spec);
	free(r->path);
	free(r->method);
	free(r->match);
	fault_free(&r->fault);
	free(r);
}

/* Is p at "key=" for a key that we know?  Returns the key, so that a body may contain semicolons.
 */
static const char *
known_key(const char *p)
{
	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
	{
		size_t n = strlen(keys[i]);

		if (strncmp(p, keys[i], n) == 0 && p[n] == '=')
			return keys[i];
	}
	return NULL;
}

static bool
set_number(const char *text, int *out)
{
	char *end;
	long v = strtol(text, &end, 10);

	if (end == text || *end || v < 0 || v > 1000000000)
		return false;
	*out = (int) v;
	return true;
}

/* Takes ownership of value; false if the value does not fit the key. */
static bool
set_value(Rule *r, const char *key, char *value)
{
	char **text = NULL;
	int *number = NULL;
	bool ok = true;

	if (strcmp(key, "path") == 0)
		text = &r->path;
	else if (strcmp(key, "method") == 0)
		text = &r->method;
	else if (strcmp(key, "match") == 0)
		text = &r->match;
	else if (strcmp(key, "code") == 0)
		text = &r->fault.code;
	else if (strcmp(key, "message") == 0)
		text = &r->fault.message;
	else if (strcmp(key, "body") == 0)
		text = &r->fault.body;
	else if (strcmp(key, "retry-after") == 0)
		text = &r->fault.retry_after;
	else if (strcmp(key, "skip") == 0)
		number = &r->skip;
	else if (strcmp(key, "count") == 0)
		number = &r->count;
	else if (strcmp(key, "percent") == 0)
		number = &r->percent;
	else if (strcmp(key, "status") == 0)
		number = &r->fault.status;
	else if (strcmp(key, "ms") == 0)
		number = &r->fault.ms;
	else if (strcmp(key, "bytes-per-second") == 0)
		number = &r->fault.bytes_per_second;
	else if (strcmp(key, "bytes") == 0)
		number = &r->fault.bytes;
	else if (strcmp(key, "rows") == 0)
		number = &r->fault.rows;
	else
	{
		r->fault.kind = FAULT_NONE;
		for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		{
			if (strcmp(value, kinds[i].name) == 0)
				r->fault.kind = kinds[i].kind;
		}
		ok = r->fault.kind != FAULT_NONE;
	}
	if (text != NULL)
	{
		free(*text);
		*text = value;
		return true;
	}
	if (number != NULL)
		ok = set_number(value, number) &&
			 /* an interim answer is none, and beyond 599 nothing could be sent */
			 (number != &r->fault.status || (*number >= 200 && *number <= 599));
	free(value);
	return ok;
}

/* The next ';' that ends the value at p: one before another known key, or the end of the text. */
static const char *
value_end(const char *p)
{
	for (; *p; p++)
	{
		if (*p == ';' && (known_key(p + 1) != NULL || p[1] == '\0'))
			return p;
	}
	return p;
}

static void
set_defaults(Rule *r)
{
	Fault *f = &r->fault;

	if (f->status == 0)
		f->status = 503;
	if (f->bytes_per_second == 0)
		f->bytes_per_second = 1000;
	if (f->kind == FAULT_DELAY && f->ms == 0)
		f->ms = 1000;
}

bool
fault_add(const char *spec, char **reason)
{
	Rule *r = calloc(1, sizeof(Rule));
	Rule **tail = &rules;
	const char *p = spec;

	*reason = NULL;
	r->spec = strdup(spec);
	r->count = 1;
	r->percent = 100;
	r->fault.bytes = -1;
	r->fault.rows = -1;
	while (*p)
	{
		const char *key = known_key(p);
		const char *value = key ? p + strlen(key) + 1 : NULL;
		const char *end = key ? value_end(value) : NULL;

		if (key == NULL || !set_value(r, key, strndup(value, (size_t) (end - value))))
		{
			if (asprintf(reason, "cannot understand \"%s\" in fault \"%s\"", p, spec) < 0)
				abort();
			rule_free(r);
			return false;
		}
		p = *end ? end + 1 : end;
	}
	if (r->fault.kind == FAULT_NONE)
	{
		if (asprintf(reason, "fault \"%s\" has no do=", spec) < 0)
			abort();
		rule_free(r);
		return false;
	}
	set_defaults(r);
	pthread_mutex_lock(&lock);
	while (*tail != NULL)
		tail = &(*tail)->next;
	*tail = r;
	pthread_mutex_unlock(&lock);
	return true;
}

void
fault_clear(void)
{
	pthread_mutex_lock(&lock);
	while (rules != NULL)
	{
		Rule *r = rules;

		rules = r->next;
		rule_free(r);
	}
	atomic_fetch_add(&era, 1);
	pthread_mutex_unlock(&lock);
}

unsigned
fault_era(void)
{
	return atomic_load(&era);
}

void
fault_list(Buf *out)
{
	pthread_mutex_lock(&lock);
	buf_addc(out, '[');
	for (Rule *r = rules; r != NULL; r = r->next)
	{
		buf_adds(out, r == rules ? "{\"spec\":" : ",{\"spec\":");
		buf_jsons(out, r->spec);
		buf_addf(out, ",\"seen\":%ld,\"struck\":%ld}", r->seen, r->struck);
	}
	buf_addc(out, ']');
	pthread_mutex_unlock(&lock);
}

static char *
copy(const char *s)
{
	return s ? strdup(s) : NULL;
}

static bool
strike(bool part, const char *method, const char *path, const char *query, const char *body,
	   Fault *f)
{
	bool hit = false;

	memset(f, 0, sizeof(*f));
	pthread_mutex_lock(&lock);
	for (Rule *r = rules; r != NULL; r = r->next)
	{
		if ((r->fault.kind == FAULT_REFUSE_PART) != part)
			continue;
		if (r->path != NULL && fnmatch(r->path, path, 0) != 0)
			continue;
		if (r->method != NULL && strcasecmp(r->method, method) != 0)
			continue;
		if (r->match != NULL && !(query != NULL && strstr(query, r->match)) &&
			!(body != NULL && strstr(body, r->match)))
			continue;
		if (++r->seen <= r->skip || hit || (r->count > 0 && r->struck >= r->count))
			continue;
		if (r->percent < 100 && rand_r(&dice) / (RAND_MAX / 100 + 1) >= r->percent)
			continue;
		r->struck++;
		hit = true;
		*f = r->fault;
		f->era = atomic_load(&era);
		f->code = copy(r->fault.code);
		f->message = copy(r->fault.message);
		f->body = copy(r->fault.body);
		f->retry_after = copy(r->fault.retry_after);
	}
	pthread_mutex_unlock(&lock);
	return hit;
}

bool
fault_strike(const char *method, const char *path, const char *query, const char *body, Fault *f)
{
	return strike(false, method, path, query, body, f);
}

bool
fault_strike_part(const char *method, const char *path, const char *query, Fault *f)
{
	return strike(true, method, path, query, NULL, f);
}
