/*
 * oauth.h - who may come in: apps, sessions, refresh tokens, authorization codes.
 *
 * oauth.c has the endpoints, oauth_session.c what is kept, oauth_jwt.c the assertion, oauth_page.c
 * the login and consent page.  What is kept is thread-safe by a lock of its own.
 */
#ifndef SANDBOX_OAUTH_H
#define SANDBOX_OAUTH_H

#include "http.h"

/* A connected app of the org. */
typedef struct App
{
	const char *client_id;
	const char *secret;		   /* NULL: a public client */
	const char *refresh_token; /* the one it has from the start, or NULL */
	const char *run_as; /* user of client credentials and of that refresh token; NULL: none */
	bool approved;		/* pre-authorised for its users */
} App;

const App *app_find(const char *client_id);

/* A session, or a refresh token, as introspection shows it. */
typedef struct Grant
{
	char user_id[19];
	const App *app;
	char scope[128];
	int64_t issued;	 /* epoch seconds */
	int64_t expires; /* epoch seconds; 0: never */
} Grant;

void sessions_init(void); /* the apps' first refresh tokens */
void sessions_end(void);
/* A new access token; parent is the refresh token it came from, or NULL.  malloc'ed. */
char *session_new(const char *user_id, const App *app, const char *scope, const char *parent);
bool session_find(const char *token, Grant *g); /* false if unknown or expired */
void session_expire(const char *token);
void session_expire_all(void);
int session_count(void);

char *refresh_new(const char *user_id, const App *app, const char *scope);
bool refresh_find(const char *token, Grant *g);
/* The token dies at once, and with it the sessions made from it where sessions_too is set. */
bool refresh_kill(const char *token, bool sessions_too);
/* fresh was given for old.  Who comes with old again has stolen one of the two: see refresh_reused(). */
void refresh_replaced(const char *old, const char *fresh);
/* Was the token replaced?  Then what it was replaced by dies too, with all its sessions. */
void refresh_reused(const char *token);
void refresh_restore(void); /* the apps' first refresh tokens live again */

typedef struct AuthCode
{
	Grant grant;
	char redirect_uri[1024];
	char challenge[128]; /* "" if none */
} AuthCode;

char *code_new(const AuthCode *c);
/* 0: no such code; 1: used or too old; 2: *c filled, and the code is used up */
int code_take(const char *code, AuthCode *c);

/* Random text of n letters and digits, malloc'ed. */
char *random_token(const char *prefix, int n);
void base64url(Buf *out, const unsigned char *p, size_t n);

/* The users of the org; each takes store_lock(). */
typedef struct OrgUser
{
	char id[19];
	bool active;
	char *username, *name, *first_name, *last_name, *email, *time_zone, *locale, *language;
	char *modified;
} OrgUser;

bool user_by_name(const char *username, OrgUser *u);
bool user_by_id(const char *id, OrgUser *u);
void user_free(OrgUser *u);

/* oauth_jwt.c */
bool jwt_load(const char *file); /* PEM certificate or public key; prints why not */
void jwt_end(void);
/* Checks an assertion; NULL and *error, *description (static) when it is refused. */
const App *jwt_verify(const char *assertion, const char *base_url, OrgUser *u, const char **error,
					  const char **description);

/* oauth_page.c */
void oauth_authorize(Request *r, Response *w);
void oauth_success(Request *r, Response *w); /* where apps without a page of their own send the browser */

/* oauth.c */
void oauth_handle(Request *r, Response *w);	  /* /services/oauth2/... */
void oauth_identity(Request *r, Response *w); /* /id/<org>/<user> */
/* The token of the Authorization header: 0 absent, 1 malformed, 2 *token points to it. */
int bearer_token(const Request *r, const char **token);
void oauth_error(Response *w, int status, const char *error, const char *description);

#endif
