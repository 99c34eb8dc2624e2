/*
 * oauth_session.c - sessions, refresh tokens, authorization codes, apps and users.
 *
 * Owns: every token.  Must not know: HTTP, SOQL.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <openssl/rand.h>

#include "config.h"
#include "oauth.h"
#include "store.h"

/* Salesforce keeps that many approvals for a user and an app; one more revokes the oldest. */
#define MAX_APPROVALS 5
#define CODE_SECONDS 600

typedef struct Token
{
	char *text;
	Grant grant;
	double deadline; /* monotonic; 0: never */
	char *parent;	 /* sessions: the refresh token; refresh tokens: the one that took its place */
	bool built_in;	 /* refresh tokens: an app's first one */
	bool dead;
	AuthCode code; /* codes */
	struct Token *next;
} Token;

/*
 * The last three exist so that the refusals can be met: no run-as user, not approved, no secret.
 */
static const App apps[] = {
	{"sandbox", "sandbox", "sandbox", "admin@sandbox.example", true},
	{"sandbox-user", "sandbox", "sandbox-user", "user1@sandbox.example", true},
	{"sandbox-no-user", "sandbox", NULL, NULL, true},
	{"sandbox-not-approved", "sandbox", NULL, "admin@sandbox.example", false},
	{"sandbox-public", NULL, NULL, "admin@sandbox.example", true},
};

#define N_APPS ((int) (sizeof(apps) / sizeof(apps[0])))

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static Token *sessions, *refreshes, *codes;

const App *
app_find(const char *client_id)
{
	for (int i = 0; i < N_APPS; i++)
	{
		if (strcmp(apps[i].client_id, client_id) == 0)
			return &apps[i];
	}
	return NULL;
}

char *
random_token(const char *prefix, int n)
{
	static const char letters[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._";
	size_t at = strlen(prefix);
	unsigned char *bytes = malloc((size_t) n);
	char *out = malloc(at + (size_t) n + 1);

	if (bytes == NULL || out == NULL || RAND_bytes(bytes, n) != 1)
		abort();
	memcpy(out, prefix, at);
	for (int i = 0; i < n; i++)
		out[at + (size_t) i] = letters[bytes[i] & 63];
	out[at + (size_t) n] = '\0';
	free(bytes);
	return out;
}

static void
token_free(Token *t)
{
	free(t->text);
	free(t->parent);
	free(t);
}

static Token *
find(Token *list, const char *text)
{
	for (; list != NULL; list = list->next)
	{
		if (strcmp(list->text, text) == 0)
			return list;
	}
	return NULL;
}

static void
drop(Token **at)
{
	Token *t = *at;

	*at = t->next;
	token_free(t);
}

static bool
late(const Token *t)
{
	return t->deadline > 0 && monotonic() >= t->deadline;
}

static Token *
add(Token **list, char *text, const char *user_id, const App *app, const char *scope)
{
	Token *t = calloc(1, sizeof(Token));

	t->text = text;
	snprintf(t->grant.user_id, sizeof(t->grant.user_id), "%s", user_id);
	snprintf(t->grant.scope, sizeof(t->grant.scope), "%s", scope);
	t->grant.app = app;
	t->grant.issued = (int64_t) time(NULL);
	t->next = *list;
	*list = t;
	return t;
}

char *
session_new(const char *user_id, const App *app, const char *scope, const char *parent)
{
	char prefix[24];
	char *text;
	Token *t;

	snprintf(prefix, sizeof(prefix), "%.15s!AQ", store_org_id());
	text = random_token(prefix, 94);
	pthread_mutex_lock(&lock);
	for (Token **at = &sessions; *at != NULL;)
	{
		if (late(*at))
			drop(at);
		else
			at = &(*at)->next;
	}
	t = add(&sessions, text, user_id, app, scope);
	t->deadline = monotonic() + config.session_seconds;
	t->grant.expires = t->grant.issued + config.session_seconds;
	t->parent = parent ? strdup(parent) : NULL;
	text = strdup(text);
	pthread_mutex_unlock(&lock);
	return text;
}

bool
session_find(const char *token, Grant *g)
{
	Token *t;

	pthread_mutex_lock(&lock);
	t = find(sessions, token);
	if (t != NULL && late(t))
		t = NULL;
	if (t != NULL)
		*g = t->grant;
	pthread_mutex_unlock(&lock);
	return t != NULL;
}

void
session_expire(const char *token)
{
	pthread_mutex_lock(&lock);
	for (Token **at = &sessions; *at != NULL; at = &(*at)->next)
	{
		if (strcmp((*at)->text, token) == 0)
		{
			drop(at);
			break;
		}
	}
	pthread_mutex_unlock(&lock);
}

void
session_expire_all(void)
{
	pthread_mutex_lock(&lock);
	while (sessions != NULL)
		drop(&sessions);
	pthread_mutex_unlock(&lock);
}

int
session_count(void)
{
	int n = 0;

	pthread_mutex_lock(&lock);
	for (Token *t = sessions; t != NULL; t = t->next)
		n += !late(t);
	pthread_mutex_unlock(&lock);
	return n;
}

/* The user is looked up when the token is used, so an app's first token outlives a new seed. */
void
sessions_init(void)
{
	pthread_mutex_lock(&lock);
	for (int i = 0; i < N_APPS; i++)
	{
		if (apps[i].refresh_token != NULL)
			add(&refreshes, strdup(apps[i].refresh_token), "", &apps[i], "refresh_token api pardot_api id")
				->built_in = true;
	}
	pthread_mutex_unlock(&lock);
}

void
refresh_restore(void)
{
	pthread_mutex_lock(&lock);
	for (Token *t = refreshes; t != NULL; t = t->next)
	{
		if (t->built_in)
		{
			t->dead = false;
			free(t->parent);
			t->parent = NULL;
		}
	}
	pthread_mutex_unlock(&lock);
}

char *
refresh_new(const char *user_id, const App *app, const char *scope)
{
	char *text = random_token("5Aep861", 80);
	int n = 0;
	Token **oldest = NULL;

	pthread_mutex_lock(&lock);
	add(&refreshes, text, user_id, app, scope);
	/* Newest first, so the last one met is the oldest. */
	for (Token **at = &refreshes; *at != NULL; at = &(*at)->next)
	{
		if ((*at)->built_in || (*at)->dead || (*at)->grant.app != app ||
			strcmp((*at)->grant.user_id, user_id) != 0)
			continue;
		n++;
		oldest = at;
	}
	if (n > MAX_APPROVALS)
		drop(oldest);
	text = strdup(text);
	pthread_mutex_unlock(&lock);
	return text;
}

bool
refresh_find(const char *token, Grant *g)
{
	Token *t;

	pthread_mutex_lock(&lock);
	t = find(refreshes, token);
	if (t != NULL && t->dead)
		t = NULL;
	if (t != NULL)
		*g = t->grant;
	pthread_mutex_unlock(&lock);
	return t != NULL;
}

bool
refresh_kill(const char *token, bool sessions_too)
{
	Token *t;
	bool alive;

	pthread_mutex_lock(&lock);
	t = find(refreshes, token);
	alive = t != NULL && !t->dead;
	if (t != NULL)
		t->dead = true;
	if (sessions_too)
	{
		for (Token **at = &sessions; *at != NULL;)
		{
			if ((*at)->parent != NULL && strcmp((*at)->parent, token) == 0)
				drop(at);
			else
				at = &(*at)->next;
		}
	}
	pthread_mutex_unlock(&lock);
	return alive;
}

void
refresh_replaced(const char *old, const char *fresh)
{
	Token *t;

	pthread_mutex_lock(&lock);
	t = find(refreshes, old);
	if (t != NULL)
	{
		free(t->parent);
		t->parent = strdup(fresh);
	}
	pthread_mutex_unlock(&lock);
}

void
refresh_reused(const char *token)
{
	char *next = NULL;
	Token *t;

	pthread_mutex_lock(&lock);
	t = find(refreshes, token);
	if (t != NULL && t->dead && t->parent != NULL)
		next = strdup(t->parent);
	pthread_mutex_unlock(&lock);
	while (next != NULL)
	{
		char *after = NULL;

		refresh_kill(next, true);
		pthread_mutex_lock(&lock);
		t = find(refreshes, next);
		if (t != NULL && t->parent != NULL)
			after = strdup(t->parent);
		pthread_mutex_unlock(&lock);
		free(next);
		next = after;
	}
}

char *
code_new(const AuthCode *c)
{
	char *text = random_token("aPrx", 76);
	Token *t;

	pthread_mutex_lock(&lock);
	t = add(&codes, text, c->grant.user_id, c->grant.app, c->grant.scope);
	t->code = *c;
	t->deadline = monotonic() + CODE_SECONDS;
	text = strdup(text);
	pthread_mutex_unlock(&lock);
	return text;
}

int
code_take(const char *code, AuthCode *c)
{
	Token *t;
	int state = 0;

	pthread_mutex_lock(&lock);
	t = find(codes, code);
	if (t != NULL)
		state = (t->dead || late(t)) ? 1 : 2;
	if (state == 2)
	{
		*c = t->code;
		t->dead = true;
	}
	pthread_mutex_unlock(&lock);
	return state;
}

static char *
column(sqlite3_stmt *s, int i)
{
	const char *v = (const char *) sqlite3_column_text(s, i);

	return strdup(v ? v : "");
}

/* User.Username has no case in Salesforce, and its column's collation says so. */
static bool
load_user(const char *column_name, const char *value, OrgUser *u)
{
	char sql[512];
	sqlite3_stmt *s = NULL;
	bool found = false;

	memset(u, 0, sizeof(*u));
	snprintf(sql, sizeof(sql),
			 "SELECT \"Id\", \"IsActive\", \"Username\", \"Name\", \"FirstName\", \"LastName\", "
			 "\"Email\", \"TimeZoneSidKey\", \"LocaleSidKey\", \"LanguageLocaleKey\", "
			 "\"SystemModstamp\" FROM \"User\" WHERE \"%s\" = ?1 LIMIT 1",
			 column_name);
	store_lock();
	if (sqlite3_prepare_v2(store_db(), sql, -1, &s, NULL) != SQLITE_OK)
		fprintf(stderr, "ampsf-sandbox: users: %s\n", sqlite3_errmsg(store_db()));
	else
	{
		sqlite3_bind_text(s, 1, value, -1, SQLITE_STATIC);
		found = sqlite3_step(s) == SQLITE_ROW;
	}
	if (found)
	{
		snprintf(u->id, sizeof(u->id), "%s", (const char *) sqlite3_column_text(s, 0));
		u->active = sqlite3_column_int(s, 1) != 0;
		u->username = column(s, 2);
		u->name = column(s, 3);
		u->first_name = column(s, 4);
		u->last_name = column(s, 5);
		u->email = column(s, 6);
		u->time_zone = column(s, 7);
		u->locale = column(s, 8);
		u->language = column(s, 9);
		u->modified = column(s, 10);
	}
	sqlite3_finalize(s);
	store_unlock();
	return found;
}

bool
user_by_name(const char *username, OrgUser *u)
{
	return load_user("Username", username, u);
}

bool
user_by_id(const char *id, OrgUser *u)
{
	return load_user("Id", id, u);
}

void
user_free(OrgUser *u)
{
	free(u->username);
	free(u->name);
	free(u->first_name);
	free(u->last_name);
	free(u->email);
	free(u->time_zone);
	free(u->locale);
	free(u->language);
	free(u->modified);
	memset(u, 0, sizeof(*u));
}

void
sessions_end(void)
{
	while (sessions != NULL)
		drop(&sessions);
	while (refreshes != NULL)
		drop(&refreshes);
	while (codes != NULL)
		drop(&codes);
}
