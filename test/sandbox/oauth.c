/*
 * oauth.c - the OAuth endpoints: token, revoke, introspect, userinfo, and the identity URL.
 *
 * Must not know: libmicrohttpd, SQLite.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "config.h"
#include "oauth.h"
#include "store.h"

#define DEFAULT_SCOPE "refresh_token api pardot_api id"

/* The format in which the client wants its answer: a parameter, else the Accept header. */
typedef enum
{
	JSON,
	URLENCODED,
	XML
} Format;

static Format
format_of(Request *r)
{
	const char *f = req_form(r, "format");
	const char *accept = req_header(r, "Accept");

	if (f == NULL)
		f = req_param(r, "format");
	if (f != NULL)
		return strcmp(f, "urlencoded") == 0 ? URLENCODED : strcmp(f, "xml") == 0 ? XML : JSON;
	if (accept == NULL || strstr(accept, "json") || strstr(accept, "*/*"))
		return JSON;
	if (strstr(accept, "x-www-form-urlencoded"))
		return URLENCODED;
	return strstr(accept, "xml") ? XML : JSON;
}

static void
add_pair(Buf *b, Format f, const char *name, const char *value)
{
	if (value == NULL)
		return;
	switch (f)
	{
		case JSON:
			buf_addf(b, "%s\"%s\":", b->len ? "," : "{", name);
			buf_jsons(b, value);
			break;
		case URLENCODED:
			buf_addf(b, "%s%s=", b->len ? "&" : "", name);
			url_encode(b, value);
			break;
		case XML:
			if (b->len == 0)
				buf_adds(b, "<?xml version=\"1.0\" encoding=\"UTF-8\"?><OAuth>");
			buf_addf(b, "<%s>", name);
			for (const char *p = value; *p; p++)
			{
				if (*p == '<')
					buf_adds(b, "&lt;");
				else if (*p == '&')
					buf_adds(b, "&amp;");
				else
					buf_addc(b, *p);
			}
			buf_addf(b, "</%s>", name);
			break;
	}
}

static void
end_pairs(Response *w, Format f)
{
	if (f == JSON)
		buf_addc(&w->body, '}');
	else if (f == XML)
	{
		buf_adds(&w->body, "</OAuth>");
		w->content_type = "application/xml;charset=UTF-8";
	}
	else
		w->content_type = "application/x-www-form-urlencoded;charset=UTF-8";
	res_header(w, "Cache-Control", "no-cache, no-store");
	res_header(w, "Pragma", "no-cache");
}

static void
error_as(Response *w, Format f, int status, const char *error, const char *description)
{
	buf_clear(&w->body);
	w->status = status;
	add_pair(&w->body, f, "error", error);
	add_pair(&w->body, f, "error_description", description);
	end_pairs(w, f);
}

void
oauth_error(Response *w, int status, const char *error, const char *description)
{
	error_as(w, JSON, status, error, description);
}

static char *
base64_text(const char *s)
{
	size_t n = strlen(s);
	unsigned char *out = malloc(n + 4);
	int len;

	if (n == 0 || n % 4 != 0 || out == NULL ||
		(len = EVP_DecodeBlock(out, (const unsigned char *) s, (int) n)) < 0)
	{
		free(out);
		return NULL;
	}
	out[len] = '\0';
	return (char *) out;
}

/*
 * The app that asks, by body or by HTTP Basic.  NULL with the answer filled if it is unknown, if
 * its secret is wrong, or, where it must prove itself, if it has none.
 */
static const App *
client_of(Request *r, Response *w, bool secret_needed)
{
	const char *header = req_header(r, "Authorization");
	const char *id = req_form(r, "client_id");
	const char *secret = req_form(r, "client_secret");
	const App *app;

	if (id == NULL && header != NULL && strncasecmp(header, "Basic ", 6) == 0)
	{
		char *text = req_own(r, base64_text(header + 6));
		char *colon = text ? strchr(text, ':') : NULL;

		if (colon != NULL)
		{
			*colon = '\0';
			id = req_own(r, url_decode(text, strlen(text), true));
			secret = req_own(r, url_decode(colon + 1, strlen(colon + 1), true));
		}
	}
	app = id ? app_find(id) : NULL;
	if (id == NULL || *id == '\0')
		error_as(w, format_of(r), 400, "invalid_request", "missing required parameter: client_id");
	else if (app == NULL)
		error_as(w, format_of(r), 400, "invalid_client_id", "client identifier invalid");
	else if (secret != NULL && (app->secret == NULL || strcmp(secret, app->secret) != 0))
		error_as(w, format_of(r), 400, "invalid_client", "invalid client credentials");
	else if (secret == NULL && app->secret != NULL && secret_needed)
		error_as(w, format_of(r), 400, "invalid_request",
				 "missing required parameter: client_secret");
	else
		return app;
	return NULL;
}

/* base64(HMAC-SHA256(secret, id + issued_at)) */
static char *
signature(const App *app, const char *id, const char *issued_at)
{
	const char *key = app->secret ? app->secret : "";
	unsigned char mac[EVP_MAX_MD_SIZE];
	unsigned int n = 0;
	char text[512];
	char *out = malloc(64);

	snprintf(text, sizeof(text), "%s%s", id, issued_at);
	HMAC(EVP_sha256(), key, (int) strlen(key), (unsigned char *) text, strlen(text), mac, &n);
	EVP_EncodeBlock((unsigned char *) out, mac, (int) n);
	return out;
}

static void
token_answer(Request *r, Response *w, const App *app, const char *user_id, const char *scope,
			 const char *parent, const char *refresh_token, bool with_signature)
{
	Format f = format_of(r);
	char *token = session_new(user_id, app, scope, parent);
	struct timespec ts;
	char issued[32];
	char id[400];
	char *sig;

	clock_gettime(CLOCK_REALTIME, &ts);
	snprintf(issued, sizeof(issued), "%lld%03ld", (long long) ts.tv_sec, ts.tv_nsec / 1000000);
	snprintf(id, sizeof(id), "%s/id/%s/%s", r->base_url, store_org_id(), user_id);
	sig = signature(app, id, issued);
	w->status = 200;
	add_pair(&w->body, f, "access_token", token);
	add_pair(&w->body, f, "refresh_token", refresh_token);
	if (with_signature)
		add_pair(&w->body, f, "signature", sig);
	add_pair(&w->body, f, "scope", scope);
	add_pair(&w->body, f, "instance_url", r->base_url);
	add_pair(&w->body, f, "id", id);
	add_pair(&w->body, f, "token_type", "Bearer");
	if (with_signature)
		add_pair(&w->body, f, "issued_at", issued);
	end_pairs(w, f);
	free(sig);
	free(token);
}

static void
grant_error(Request *r, Response *w, const char *description)
{
	error_as(w, format_of(r), 400, "invalid_grant", description);
}

static void
log_user(Request *r, const OrgUser *u)
{
	free(r->user_name);
	r->user_name = strdup(u->username);
}

static void
grant_client_credentials(Request *r, Response *w)
{
	const App *app = client_of(r, w, true);
	const char *host;
	OrgUser u;

	if (app == NULL)
		return;
	host = strstr(r->base_url, "://") + 3;
	if (strncmp(host, "login.", 6) == 0 || strncmp(host, "test.", 5) == 0)
		grant_error(r, w, "request not supported on this domain");
	else if (app->run_as == NULL)
		grant_error(r, w, "no client credentials user enabled");
	else if (app->secret == NULL)
		error_as(w, format_of(r), 400, "invalid_client", "invalid client credentials");
	else if (!app->approved)
		error_as(w, format_of(r), 400, "invalid_app_access",
				 "user is not admin approved to access this app");
	else if (!user_by_name(app->run_as, &u))
		grant_error(r, w, "no client credentials user enabled");
	else
	{
		if (!u.active)
			grant_error(r, w, "inactive user");
		else
		{
			log_user(r, &u);
			token_answer(r, w, app, u.id, "api pardot_api id", NULL, NULL, true);
		}
		user_free(&u);
	}
}

static void
grant_refresh(Request *r, Response *w)
{
	const App *app = client_of(r, w, false);
	const char *token = req_form(r, "refresh_token");
	char *fresh = NULL;
	bool found = false;
	OrgUser u;
	Grant g;

	if (app == NULL)
		return;
	if (token == NULL)
	{
		error_as(w, format_of(r), 400, "invalid_request",
				 "missing required parameter: refresh_token");
		return;
	}
	if (refresh_find(token, &g) && g.app == app)
		found = g.user_id[0] ? user_by_id(g.user_id, &u) : user_by_name(app->run_as, &u);
	/* With rotation, only the request that kills the old token gets the new one. */
	if (!found || (config.rotate_refresh_tokens && !refresh_kill(token, false)))
	{
		refresh_reused(token);
		grant_error(r, w, "expired access/refresh token");
	}
	else if (!u.active)
		grant_error(r, w, "inactive user");
	else
	{
		if (config.rotate_refresh_tokens)
		{
			fresh = refresh_new(u.id, app, g.scope);
			refresh_replaced(token, fresh);
		}
		log_user(r, &u);
		token_answer(r, w, app, u.id, g.scope, fresh ? fresh : token, fresh, true);
	}
	free(fresh);
	if (found)
		user_free(&u);
}

static void
grant_jwt(Request *r, Response *w)
{
	const char *assertion = req_form(r, "assertion");
	const char *error;
	const char *description;
	const App *app;
	OrgUser u;

	if (assertion == NULL)
	{
		error_as(w, format_of(r), 400, "invalid_request", "missing required parameter: assertion");
		return;
	}
	app = jwt_verify(assertion, r->base_url, &u, &error, &description);
	if (app == NULL)
	{
		error_as(w, format_of(r), 400, error, description);
		return;
	}
	log_user(r, &u);
	token_answer(r, w, app, u.id, "api pardot_api id", NULL, NULL, false);
	user_free(&u);
}

static bool
verifier_fits(const char *verifier, const char *challenge)
{
	size_t n = strlen(verifier);
	unsigned char hash[EVP_MAX_MD_SIZE];
	unsigned int len = 0;
	bool ok;
	Buf b;

	if (n < 43 || n > 128)
		return false;
	EVP_Digest(verifier, n, hash, &len, EVP_sha256(), NULL);
	buf_init(&b);
	base64url(&b, hash, len);
	ok = strcmp(b.data, challenge) == 0;
	buf_free(&b);
	return ok;
}

static void
grant_code(Request *r, Response *w)
{
	const App *app = client_of(r, w, true);
	const char *code = req_form(r, "code");
	const char *uri = req_form(r, "redirect_uri");
	const char *verifier = req_form(r, "code_verifier");
	char *refresh = NULL;
	AuthCode c = {0};
	OrgUser u;
	int state;

	if (app == NULL)
		return;
	if (code == NULL || uri == NULL)
	{
		error_as(w, format_of(r), 400, "invalid_request",
				 code == NULL ? "missing required parameter: code"
							  : "missing required parameter: redirect_uri");
		return;
	}
	state = code_take(code, &c);
	if (state == 1)
		grant_error(r, w, "expired authorization code");
	else if (state == 0 || c.grant.app != app)
		grant_error(r, w, "invalid authorization code");
	else if (strcmp(uri, c.redirect_uri) != 0)
		error_as(w, format_of(r), 400, "redirect_uri_mismatch",
				 "redirect_uri must match configuration");
	else if (c.challenge[0] && (verifier == NULL || !verifier_fits(verifier, c.challenge)))
		grant_error(r, w, "invalid code verifier");
	else if (!user_by_id(c.grant.user_id, &u))
		grant_error(r, w, "invalid authorization code");
	else
	{
		if (strstr(c.grant.scope, "refresh_token") || strstr(c.grant.scope, "offline_access"))
			refresh = refresh_new(u.id, app, c.grant.scope);
		log_user(r, &u);
		token_answer(r, w, app, u.id, c.grant.scope, refresh, refresh, true);
		free(refresh);
		user_free(&u);
	}
}

static void
token_endpoint(Request *r, Response *w)
{
	const char *grant;

	if (strcmp(r->method, "POST") != 0)
	{
		error_as(w, format_of(r), 400, "invalid_request", "must use HTTP POST");
		return;
	}
	grant = req_form(r, "grant_type");
	if (grant == NULL)
		error_as(w, format_of(r), 400, "unsupported_grant_type", "grant type not supported");
	else if (strcmp(grant, "client_credentials") == 0)
		grant_client_credentials(r, w);
	else if (strcmp(grant, "refresh_token") == 0)
		grant_refresh(r, w);
	else if (strcmp(grant, "authorization_code") == 0)
		grant_code(r, w);
	else if (strcmp(grant, "urn:ietf:params:oauth:grant-type:jwt-bearer") == 0)
		grant_jwt(r, w);
	/* This org has username-password logins switched off, as new orgs do. */
	else if (strcmp(grant, "password") == 0)
		grant_error(r, w, "authentication failure");
	else
		error_as(w, format_of(r), 400, "unsupported_grant_type", "grant type not supported");
}

static void
revoke_endpoint(Request *r, Response *w)
{
	const char *token = req_form(r, "token");
	Grant g;

	if (token == NULL)
		token = req_param(r, "token");
	if (token != NULL && refresh_find(token, &g))
		refresh_kill(token, true);
	else if (token != NULL && session_find(token, &g))
		session_expire(token);
	else
	{
		oauth_error(w, 400, token ? "unsupported_token_type" : "invalid_request",
					token ? "this token type is not supported"
						  : "missing required parameter: token");
		return;
	}
	w->status = 200;
	w->content_type = "text/html;charset=UTF-8";
}

static void
introspect_endpoint(Request *r, Response *w)
{
	const App *app = client_of(r, w, true);
	const char *token = req_form(r, "token");
	bool is_access;
	OrgUser u;
	Grant g;

	if (app == NULL)
		return;
	if (token == NULL)
	{
		oauth_error(w, 400, "invalid_request", "missing required parameter: token");
		return;
	}
	w->status = 200;
	is_access = session_find(token, &g);
	if ((!is_access && !refresh_find(token, &g)) || g.app != app ||
		!(g.user_id[0] ? user_by_id(g.user_id, &u) : user_by_name(app->run_as, &u)))
	{
		buf_adds(&w->body, "{\"active\":false}");
		return;
	}
	buf_adds(&w->body, "{\"active\":true,\"scope\":");
	buf_jsons(&w->body, g.scope);
	buf_adds(&w->body, ",\"client_id\":");
	buf_jsons(&w->body, app->client_id);
	buf_adds(&w->body, ",\"username\":");
	buf_jsons(&w->body, u.username);
	buf_addf(&w->body, ",\"sub\":\"%s/id/%s/%s\",\"token_type\":\"%s\"", r->base_url,
			 store_org_id(), u.id, is_access ? "access_token" : "refresh_token");
	if (g.expires)
		buf_addf(&w->body, ",\"exp\":%lld", (long long) g.expires);
	buf_addf(&w->body, ",\"iat\":%lld,\"nbf\":%lld}", (long long) g.issued, (long long) g.issued);
	user_free(&u);
}

int
bearer_token(const Request *r, const char **token)
{
	const char *h = req_header(r, "Authorization");

	*token = r->bearer;
	if (r->bearer != NULL)
		return 2;
	if (h == NULL)
		return 0;
	if (strncasecmp(h, "Bearer ", 7) == 0)
		*token = h + 7;
	else if (strncasecmp(h, "OAuth ", 6) == 0)
		*token = h + 6;
	else
		return 1;
	*token += strspn(*token, " ");
	if (**token == '\0' || strpbrk(*token, " \t,") != NULL)
		return 1;
	return 2;
}

static void
forbidden(Response *w, const char *text)
{
	w->status = 403;
	w->content_type = "text/html;charset=UTF-8";
	buf_adds(&w->body, text);
}

/* The user of the request's token; false with the plain-text refusal of these two resources. */
static bool
token_user(Request *r, Response *w, OrgUser *u)
{
	const char *token;
	int form = bearer_token(r, &token);
	Grant g;

	if (form == 0)
		forbidden(w, "Missing_OAuth_Token");
	else if (form == 1 || !session_find(token, &g) || !user_by_id(g.user_id, u))
		forbidden(w, "Bad_OAuth_Token");
	else
	{
		log_user(r, u);
		return true;
	}
	return false;
}

static void
text_field(Buf *b, const char *name, const char *value)
{
	buf_addf(b, ",\"%s\":", name);
	buf_jsons(b, value);
}

static void
add_urls(Buf *b, const char *base, const char *user_id)
{
	static const char *const urls[][2] = {
		{"rest", "/services/data/v{version}/"},
		{"sobjects", "/services/data/v{version}/sobjects/"},
		{"query", "/services/data/v{version}/query/"},
		{"recent", "/services/data/v{version}/recent/"},
	};

	buf_adds(b, ",\"urls\":{");
	for (int i = 0; i < 4; i++)
		buf_addf(b, "\"%s\":\"%s%s\",", urls[i][0], base, urls[i][1]);
	buf_addf(b, "\"profile\":\"%s/%s\"}", base, user_id);
}

/* 2024-09-05T21:57:31.000+0000 is shown here as 2024-09-05T21:57:31Z. */
static void
updated_at(Buf *b, const char *name, const char *modified)
{
	buf_addf(b, ",\"%s\":\"%.19sZ\"", name, modified);
}

static void
userinfo_endpoint(Request *r, Response *w)
{
	Buf *b = &w->body;
	OrgUser u;

	if (!token_user(r, w, &u))
		return;
	w->status = 200;
	buf_addf(b, "{\"sub\":\"%s/id/%s/%s\",\"user_id\":\"%s\",\"organization_id\":\"%s\"",
			 r->base_url, store_org_id(), u.id, u.id, store_org_id());
	text_field(b, "preferred_username", u.username);
	text_field(b, "nickname", u.username);
	text_field(b, "name", u.name);
	text_field(b, "email", u.email);
	buf_adds(b, ",\"email_verified\":true");
	text_field(b, "given_name", u.first_name);
	text_field(b, "family_name", u.last_name);
	text_field(b, "zoneinfo", u.time_zone);
	buf_adds(b, ",\"photos\":{},\"address\":{}");
	add_urls(b, r->base_url, u.id);
	buf_addf(b, ",\"active\":%s,\"user_type\":\"STANDARD\"", u.active ? "true" : "false");
	text_field(b, "language", u.language);
	text_field(b, "locale", u.locale);
	buf_adds(b, ",\"utcOffset\":0");
	updated_at(b, "updated_at", u.modified);
	buf_addc(b, '}');
	user_free(&u);
}

void
oauth_identity(Request *r, Response *w)
{
	Buf *b = &w->body;
	char want[64];
	OrgUser u;

	if (!token_user(r, w, &u))
		return;
	snprintf(want, sizeof(want), "/id/%s/%s", store_org_id(), u.id);
	if (strcmp(r->path, want) != 0)
	{
		forbidden(w, strncmp(r->path, want, 23) == 0 ? "Bad_Id" : "Wrong_Org");
		user_free(&u);
		return;
	}
	w->status = 200;
	buf_addf(
		b, "{\"id\":\"%s%s\",\"asserted_user\":true,\"user_id\":\"%s\",\"organization_id\":\"%s\"",
		r->base_url, want, u.id, store_org_id());
	text_field(b, "username", u.username);
	text_field(b, "nick_name", u.username);
	text_field(b, "display_name", u.name);
	text_field(b, "email", u.email);
	buf_adds(b, ",\"email_verified\":true");
	text_field(b, "first_name", u.first_name);
	text_field(b, "last_name", u.last_name);
	text_field(b, "timezone", u.time_zone);
	add_urls(b, r->base_url, u.id);
	buf_addf(b, ",\"active\":%s,\"user_type\":\"STANDARD\"", u.active ? "true" : "false");
	text_field(b, "language", u.language);
	text_field(b, "locale", u.locale);
	buf_adds(b, ",\"utcOffset\":0");
	updated_at(b, "last_modified_date", u.modified);
	buf_addc(b, '}');
	user_free(&u);
}

void
oauth_handle(Request *r, Response *w)
{
	const char *name = r->path + strlen("/services/oauth2/");

	if (strcmp(name, "token") == 0)
		token_endpoint(r, w);
	else if (strcmp(name, "authorize") == 0)
		oauth_authorize(r, w);
	else if (strcmp(name, "success") == 0)
		oauth_success(r, w);
	else if (strcmp(name, "revoke") == 0)
		revoke_endpoint(r, w);
	else if (strcmp(name, "introspect") == 0)
		introspect_endpoint(r, w);
	else if (strcmp(name, "userinfo") == 0)
		userinfo_endpoint(r, w);
	else
		res_not_found(w);
}
