/*
 * oauth_page.c - /services/oauth2/authorize: the page on which a person logs in and consents.
 *
 * Must not know: libmicrohttpd, SQLite.
 */
#include <stdlib.h>
#include <string.h>

#include "oauth.h"

/* Every user of the org has this password. */
#define PASSWORD "sandbox"

static const char *const carried[] = {
	"response_type", "client_id",	   "redirect_uri",		   "scope",
	"state",		 "code_challenge", "code_challenge_method"};

#define N_CARRIED ((int) (sizeof(carried) / sizeof(carried[0])))

typedef struct Ask
{
	const char *v[N_CARRIED];
} Ask;

enum
{
	RESPONSE_TYPE,
	CLIENT_ID,
	REDIRECT_URI,
	SCOPE,
	STATE,
	CHALLENGE,
	CHALLENGE_METHOD
};

static void
escape(Buf *b, const char *s)
{
	for (; s != NULL && *s; s++)
	{
		switch (*s)
		{
			case '<':
				buf_adds(b, "&lt;");
				break;
			case '>':
				buf_adds(b, "&gt;");
				break;
			case '&':
				buf_adds(b, "&amp;");
				break;
			case '"':
				buf_adds(b, "&quot;");
				break;
			default:
				buf_addc(b, *s);
		}
	}
}

static void
page_head(Response *w, int status)
{
	w->status = status;
	w->content_type = "text/html;charset=UTF-8";
	res_header(w, "Cache-Control", "no-store");
	buf_adds(
		&w->body,
		"<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>Log in to the "
		"sandbox</title>\n<style>body{font:16px sans-serif;max-width:26em;margin:4em auto}"
		"input{display:block;width:100%;margin:.3em 0 1em;padding:.4em}"
		"button{padding:.5em 1.5em;margin-right:1em}.bad{color:#a00}</style></head><body>\n"
		"<h1>Sandbox org</h1>\n");
}

/* What cannot be told to the client by a redirect is told to the person. */
static void
page_error(Response *w, const char *error, const char *description)
{
	page_head(w, 400);
	buf_adds(&w->body, "<p class=\"bad\">error=");
	escape(&w->body, error);
	buf_adds(&w->body, "&amp;error_description=");
	escape(&w->body, description);
	buf_adds(&w->body, "</p></body></html>\n");
}

static void
page_form(Response *w, const Ask *a, const char *complaint)
{
	page_head(w, 200);
	if (complaint != NULL)
	{
		buf_adds(&w->body, "<p class=\"bad\">");
		escape(&w->body, complaint);
		buf_adds(&w->body, "</p>\n");
	}
	buf_adds(&w->body, "<p>The app <b>");
	escape(&w->body, a->v[CLIENT_ID]);
	buf_adds(&w->body, "</b> asks for access to: <b>");
	escape(&w->body, a->v[SCOPE] ? a->v[SCOPE] : "everything it is registered for");
	buf_adds(&w->body, "</b></p>\n<form method=\"post\" action=\"/services/oauth2/authorize\">\n");
	for (int i = 0; i < N_CARRIED; i++)
	{
		if (a->v[i] == NULL)
			continue;
		buf_addf(&w->body, "<input type=\"hidden\" name=\"%s\" value=\"", carried[i]);
		escape(&w->body, a->v[i]);
		buf_adds(&w->body, "\">\n");
	}
	buf_adds(&w->body,
			 "<label>Username <input name=\"username\" autocomplete=\"username\" "
			 "value=\"admin@sandbox.example\"></label>\n"
			 "<label>Password <input name=\"password\" type=\"password\" "
			 "autocomplete=\"current-password\"></label>\n"
			 "<button name=\"decision\" value=\"allow\">Allow</button>\n"
			 "<button name=\"decision\" value=\"deny\">Deny</button>\n</form></body></html>\n");
}

static void
redirect(Response *w, const Ask *a, const char *pairs)
{
	Buf url;

	buf_init(&url);
	buf_adds(&url, a->v[REDIRECT_URI]);
	buf_addc(&url, strchr(a->v[REDIRECT_URI], '?') ? '&' : '?');
	buf_adds(&url, pairs);
	if (a->v[STATE] != NULL)
	{
		buf_adds(&url, "&state=");
		url_encode(&url, a->v[STATE]);
	}
	w->status = 302;
	res_header(w, "Location", url.data);
	buf_free(&url);
}

/* A redirect to this machine, or to https anywhere, counts as registered. */
static bool
registered(const char *uri)
{
	static const char *const ok[] = {"https://", "http://localhost", "http://127.0.0.1",
									 "http://[::1]"};

	for (int i = 0; i < 4; i++)
	{
		size_t n = strlen(ok[i]);

		if (strncmp(uri, ok[i], n) == 0 && (i == 0 || uri[n] == ':' || uri[n] == '/' || !uri[n]))
			return strchr(uri, '#') == NULL && strpbrk(uri, "\r\n") == NULL;
	}
	return false;
}

/* True if the request makes sense; else the answer is filled. */
static bool
check(Response *w, const Ask *a, const App *app, const char *prompt)
{
	size_t n = a->v[CHALLENGE] ? strlen(a->v[CHALLENGE]) : 0;

	if (app == NULL)
		page_error(w, "invalid_client_id", "client identifier invalid");
	else if (a->v[REDIRECT_URI] == NULL || !registered(a->v[REDIRECT_URI]))
		page_error(w, "redirect_uri_mismatch", "redirect_uri must match configuration");
	else if (a->v[RESPONSE_TYPE] == NULL || strcmp(a->v[RESPONSE_TYPE], "code") != 0)
		redirect(
			w, a,
			"error=unsupported_response_type&error_description=response%20type%20not%20supported");
	else if (a->v[CHALLENGE] != NULL &&
			 (n != 43 || (a->v[CHALLENGE_METHOD] && strcmp(a->v[CHALLENGE_METHOD], "S256") != 0)))
		redirect(w, a, "error=invalid_request&error_description=invalid%20code%20challenge");
	else if (app->secret == NULL && n == 0)
		redirect(w, a,
				 "error=invalid_request&error_description=missing%20required%20code%20challenge");
	else if (prompt != NULL && strcmp(prompt, "none") == 0)
		redirect(w, a,
				 "error=login_required&error_description=external%20user%20is%20not%20logged%20in");
	else
		return true;
	return false;
}

static void
decide(Request *r, Response *w, const Ask *a, const App *app)
{
	const char *decision = req_form(r, "decision");
	const char *username = req_form(r, "username");
	const char *password = req_form(r, "password");
	AuthCode c = {0};
	OrgUser u;
	Buf b;
	char *code;

	if (decision != NULL && strcmp(decision, "deny") == 0)
	{
		redirect(w, a, "error=access_denied&error_description=end-user%20denied%20authorization");
		return;
	}
	if (username == NULL || password == NULL || strcmp(password, PASSWORD) != 0 ||
		!user_by_name(username, &u))
	{
		page_form(w, a, "Please check your username and password.");
		return;
	}
	if (!u.active || !app->approved)
	{
		redirect(w, a,
				 u.active ? "error=invalid_app_access&error_description=user%20is%20not%20admin%20"
							"approved%20to%20access%20this%20app"
						  : "error=inactive_user&error_description=user%20is%20inactive");
		user_free(&u);
		return;
	}
	memcpy(c.grant.user_id, u.id, sizeof(c.grant.user_id));
	c.grant.app = app;
	strncpy(c.grant.scope, a->v[SCOPE] ? a->v[SCOPE] : "refresh_token api pardot_api id",
			sizeof(c.grant.scope) - 1);
	strncpy(c.redirect_uri, a->v[REDIRECT_URI], sizeof(c.redirect_uri) - 1);
	strncpy(c.challenge, a->v[CHALLENGE] ? a->v[CHALLENGE] : "", sizeof(c.challenge) - 1);
	code = code_new(&c);
	buf_init(&b);
	buf_adds(&b, "code=");
	url_encode(&b, code);
	redirect(w, a, b.data);
	buf_free(&b);
	free(code);
	user_free(&u);
}

void
oauth_success(Request *r, Response *w)
{
	(void) r;
	page_head(w, 200);
	buf_adds(&w->body, "<p>Logged in. The address of this page holds the code.</p></body></html>\n");
}

void
oauth_authorize(Request *r, Response *w)
{
	bool post = strcmp(r->method, "POST") == 0;
	const App *app;
	Ask a;

	for (int i = 0; i < N_CARRIED; i++)
		a.v[i] = post ? req_form(r, carried[i]) : req_param(r, carried[i]);
	app = a.v[CLIENT_ID] ? app_find(a.v[CLIENT_ID]) : NULL;
	if (!check(w, &a, app, req_param(r, "prompt")))
		return;
	if (post)
		decide(r, w, &a, app);
	else
		page_form(w, &a, NULL);
}
