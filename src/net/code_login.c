/*
 * code_login.c - a person's login in a browser; see code_login.h.
 *
 * The verifier never leaves this process but in the request that redeems the code: a code that
 * somebody else has seen is worth nothing without it.  So both steps are done in one session, and
 * what was begun is forgotten after a while.
 */
#include "net/code_login.h"

#include "common/cryptohash.h"
#include "common/sha2.h"
#include "lib/ilist.h"
#include "lib/stringinfo.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "base/ampsf.h"
#include "base/error.h"
#include "net/auth.h"
#include "net/hosts.h"
#include "net/http.h"
#include "net/secret_file.h"
#include "net/session_private.h"
#include "wire/json_doc.h"
#include "wire/text.h"

/* 43 characters of base64url, for the verifier as for the state. */
#define SECRET_BYTES 32
#define SECRET_CHARS 43
#define PENDING_MINUTES 30
#define ANSWER_MAX (1024 * 1024)
#define DEFAULT_REDIRECT "/services/oauth2/success"

typedef struct Pending
{
	dlist_node node;
	Oid umid;
	TimestampTz begun;
	char verifier[SECRET_CHARS + 1];
	char state[SECRET_CHARS + 1];
	char redirect_uri[1024];
	char client_id[1024];
} Pending;

static dlist_head pending = DLIST_STATIC_INIT(pending);

static void
base64url(const uint8 *in, size_t len, char *out)
{
	static const char alphabet[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
	uint32 bits = 0;
	int n = 0;

	for (size_t i = 0; i < len; i++)
	{
		bits = bits << 8 | in[i];
		for (n += 8; n >= 6; n -= 6)
			*out++ = alphabet[bits >> (n - 6) & 63];
	}
	if (n > 0)
		*out++ = alphabet[bits << (6 - n) & 63];
	*out = '\0';
}

static void
random_secret(char out[SECRET_CHARS + 1])
{
	uint8 bytes[SECRET_BYTES];

	if (!pg_strong_random(bytes, sizeof(bytes)))
		ereport(ERROR,
				(errcode(ERRCODE_INTERNAL_ERROR), errmsg("could not generate a random secret")));
	base64url(bytes, sizeof(bytes), out);
	explicit_bzero(bytes, sizeof(bytes));
}

static void
challenge_of(const char *verifier, char out[SECRET_CHARS + 1])
{
	uint8 hash[PG_SHA256_DIGEST_LENGTH];
	pg_cryptohash_ctx *ctx = pg_cryptohash_create(PG_SHA256);

	if (pg_cryptohash_init(ctx) < 0 ||
		pg_cryptohash_update(ctx, (const uint8 *) verifier, strlen(verifier)) < 0 ||
		pg_cryptohash_final(ctx, hash, sizeof(hash)) < 0)
	{
		pg_cryptohash_free(ctx);
		elog(ERROR, "could not compute a SHA-256");
	}
	pg_cryptohash_free(ctx);
	base64url(hash, sizeof(hash), out);
}

static void
forget(Pending *p)
{
	dlist_delete(&p->node);
	explicit_bzero(p, sizeof(*p));
	pfree(p);
}

/* The login begun for that mapping; forgets those that are too old.  NULL if there is none. */
static Pending *
find_pending(Oid umid)
{
	dlist_mutable_iter iter;
	Pending *found = NULL;

	dlist_foreach_modify(iter, &pending)
	{
		Pending *p = dlist_container(Pending, node, iter.cur);

		if (TimestampDifferenceExceeds(p->begun, GetCurrentTimestamp(),
									   PENDING_MINUTES * 60 * 1000))
			forget(p);
		else if (p->umid == umid)
			found = p;
	}
	return found;
}

static void
append_field(StringInfo buf, char separator, const char *name, const char *value)
{
	size_t len = strlen(value);

	if (separator)
		appendStringInfoChar(buf, separator);
	appendStringInfo(buf, "%s=", name);
	enlargeStringInfo(buf, ampsf_quote_url(value, len, NULL));
	buf->len += ampsf_quote_url(value, len, buf->data + buf->len);
	buf->data[buf->len] = '\0';
}

char *
ampsf_code_login_url(Oid umid, const AmpsfServerOptions *server, const AmpsfUserOptions *user,
					 const char *scope)
{
	Pending *p = find_pending(umid);
	char challenge[SECRET_CHARS + 1];
	const char *redirect = user->redirect_uri
							   ? user->redirect_uri
							   : psprintf("%s%s", server->login_url, DEFAULT_REDIRECT);
	StringInfoData url;

	ampsf_host_check(server->login_url, "option \"login_url\"");
	if (strlen(redirect) >= sizeof(p->redirect_uri) ||
		strlen(user->client_id) >= sizeof(p->client_id))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("user mapping option \"client_id\" or \"redirect_uri\" is too long")));
	if (p)
		forget(p);
	p = MemoryContextAllocZero(TopMemoryContext, sizeof(Pending));
	p->umid = umid;
	p->begun = GetCurrentTimestamp();
	random_secret(p->verifier);
	random_secret(p->state);
	strlcpy(p->redirect_uri, redirect, sizeof(p->redirect_uri));
	strlcpy(p->client_id, user->client_id, sizeof(p->client_id));
	dlist_push_tail(&pending, &p->node);

	challenge_of(p->verifier, challenge);
	initStringInfo(&url);
	appendStringInfo(&url, "%s/services/oauth2/authorize", server->login_url);
	append_field(&url, '?', "response_type", "code");
	append_field(&url, '&', "client_id", user->client_id);
	append_field(&url, '&', "redirect_uri", redirect);
	if (*scope)
		append_field(&url, '&', "scope", scope);
	append_field(&url, '&', "state", p->state);
	append_field(&url, '&', "code_challenge", challenge);
	append_field(&url, '&', "code_challenge_method", "S256");
	return url.data;
}

/* -------- the answer -------- */

static int
hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = pg_ascii_tolower((unsigned char) c);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static char *
decode(const char *s, size_t len, bool plus)
{
	char *out = palloc(len + 1);
	size_t n = 0;

	for (size_t i = 0; i < len; i++)
	{
		if (s[i] == '%' && i + 2 < len && hex_value(s[i + 1]) >= 0 && hex_value(s[i + 2]) >= 0)
		{
			out[n++] = (char) (hex_value(s[i + 1]) * 16 + hex_value(s[i + 2]));
			i += 2;
		}
		else
			out[n++] = plus && s[i] == '+' ? ' ' : s[i];
	}
	out[n] = '\0';
	return out;
}

/* A parameter of the address, decoded; NULL if it has none. */
static char *
parameter(const char *url, const char *name)
{
	size_t namelen = strlen(name);
	const char *p = strchr(url, '?');

	while (p && *p && *p != '#')
	{
		size_t len = strcspn(++p, "&#");

		if (strncmp(p, name, namelen) == 0 && p[namelen] == '=')
			return decode(p + namelen + 1, len - namelen - 1, true);
		p += len;
	}
	return NULL;
}

static bool
same_secret(const char *a, const char *b)
{
	size_t len = strlen(a);
	unsigned char differ = 0;

	if (strlen(b) != len)
		return false;
	for (size_t i = 0; i < len; i++)
		differ |= a[i] ^ b[i];
	return differ == 0;
}

/* The code, decoded; what else the address says is checked. */
static char *
read_code(Pending *p, const char *answer, const char *what)
{
	char *text = pstrdup(answer + strspn(answer, " \t\r\n"));
	size_t len = strlen(text);
	char *code, *state, *error;

	while (len > 0 && strchr(" \t\r\n", text[len - 1]))
		text[--len] = '\0';
	if (strstr(text, "://") == NULL)
		code = decode(text, len, false);
	else
	{
		code = parameter(text, "code");
		state = parameter(text, "state");
		error = parameter(text, "error");
		if (state == NULL || !same_secret(state, p->state))
			ereport(
				ERROR,
				(errcode(ERRCODE_INVALID_AUTHORIZATION_SPECIFICATION),
				 errmsg("the address does not belong to the login that was begun in this session"),
				 errdetail("Its state is not the one that ampsf.login_url() sent."),
				 errhint("Begin anew with ampsf.login_url(), and finish in the same session.")));
		if (error)
		{
			AmpsfApiError err = {0};

			err.code = error;
			err.message = parameter(text, "error_description");
			forget(p);
			ampsf_error_throw(&err, what, NULL);
		}
	}
	if (code == NULL || !ampsf_is_token(code))
		ereport(
			ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("there is no code in the answer"),
			 errhint("Give the whole address that the browser shows after the login, or the code "
					 "in it.")));
	return code;
}

static char *
redeem_form(const Pending *p, const AmpsfUserOptions *user, char *code)
{
	StringInfoData form;
	char *secret = user->client_secret;

	if (user->client_secret_file)
		secret = ampsf_secret_file_word(user->client_secret_file, "client secret");
	initStringInfo(&form);
	/* Large enough that no secret is left behind by growing. */
	enlargeStringInfo(&form, 65536);
	append_field(&form, '\0', "grant_type", "authorization_code");
	append_field(&form, '&', "code", code);
	append_field(&form, '&', "client_id", p->client_id);
	if (secret)
		append_field(&form, '&', "client_secret", secret);
	append_field(&form, '&', "redirect_uri", p->redirect_uri);
	append_field(&form, '&', "code_verifier", p->verifier);
	if (user->client_secret_file)
		ampsf_auth_wipe(secret);
	ampsf_auth_wipe(code);
	return form.data;
}

static AmpsfHttp *
redeem(const AmpsfServerOptions *o, const char *form)
{
	static const char *const headers[] = {"Content-Type: application/x-www-form-urlencoded",
										  "Accept: application/json",
										  "User-Agent: " AMPSF_FDW_NAME "/" AMPSF_VERSION, NULL};
	AmpsfHttpSpec spec = {0};
	AmpsfHttp *request;

	spec.method = "POST";
	spec.url = psprintf("%s/services/oauth2/token", o->login_url);
	spec.body = form;
	spec.body_len = strlen(form);
	spec.headers = headers;
	spec.ca_file = o->ca_file;
	spec.connect_timeout = o->connect_timeout;
	spec.request_timeout = o->request_timeout;
	spec.max_response = ANSWER_MAX;
	spec.sensitive = true;
	request = ampsf_http_start(&spec, CurrentMemoryContext);
	while (!ampsf_http_done(request))
	{
		ampsf_http_sleep();
		ampsf_http_drive();
	}
	return request;
}

static char *
copy_member(AmpsfJson *doc, const char *key)
{
	const char *s = doc ? ampsf_json_string(doc, key) : NULL;

	return s ? pstrdup(s) : NULL;
}

static void
read_answer(AmpsfHttp *request, const char *what, AmpsfCodeLogin *login)
{
	size_t len;
	const char *body = ampsf_http_body(request, &len);
	MemoryContext cxt;
	AmpsfJson *doc;
	AmpsfToken token;

	if (ampsf_http_failure(request) != AMPSF_HTTP_ANSWERED)
	{
		AmpsfFailure failure = {0};
		const char *hint;

		failure.kind = ampsf_http_failure(request);
		failure.text = pstrdup(ampsf_http_failure_text(request));
		hint = ampsf_failure_hint(&failure);
		ereport(ERROR, (errcode(ampsf_failure_sqlstate(&failure)), errmsg("could not %s", what),
						errdetail_internal("%s", ampsf_failure_detail(&failure)),
						hint ? errhint("%s", hint) : 0));
	}
	if (ampsf_http_status(request) != 200)
	{
		AmpsfApiError err;

		ampsf_error_parse(ampsf_http_status(request), body, len, &err);
		ampsf_error_throw(&err, what, NULL);
	}
	if (!ampsf_auth_read(body, len, &token))
		ereport(ERROR, (errcode(ERRCODE_FDW_UNABLE_TO_CREATE_REPLY), errmsg("could not %s", what),
						errdetail("The answer holds no token.")));
	ampsf_auth_wipe(token.access_token);
	cxt = AllocSetContextCreate(CurrentMemoryContext, "ampsf token answer", ALLOCSET_SMALL_SIZES);
	doc = ampsf_json_parse(body, len, cxt);
	login->refresh_token = token.refresh_token;
	login->instance_url = token.instance_url;
	login->id = copy_member(doc, "id");
	login->scope = copy_member(doc, "scope");
	MemoryContextDelete(cxt);
	if (login->refresh_token == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_AUTHORIZATION_SPECIFICATION), errmsg("could not %s", what),
				 errdetail("Salesforce gave no refresh token; the scopes are: %s.",
						   login->scope ? ampsf_clean_text(login->scope, strlen(login->scope))
										: "none"),
				 errhint("Add the scope \"Perform requests at any time (refresh_token, "
						 "offline_access)\" to the "
						 "app's OAuth settings.")));
}

void
ampsf_code_login(Oid umid, const AmpsfServerOptions *server, const AmpsfUserOptions *user,
				 const char *answer, AmpsfCodeLogin *login)
{
	Pending *p = find_pending(umid);
	const char *what = psprintf("log in at %s", server->login_url);
	AmpsfHttp *request;
	char *form;

	ampsf_host_check(server->login_url, "option \"login_url\"");
	if (p == NULL)
		ereport(
			ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("no login was begun in this session"),
			 errhint(
				 "Open the address that ampsf.login_url() gives, and come back to the same session "
				 "within %d minutes.",
				 PENDING_MINUTES)));
	form = redeem_form(p, user, read_code(p, answer, what));
	request = redeem(server, form);
	/* libcurl lets go of the form only with the request. */
	PG_TRY();
	{
		/* A code is good for once, whatever was answered. */
		if (ampsf_http_failure(request) == AMPSF_HTTP_ANSWERED)
			forget(p);
		read_answer(request, what, login);
	}
	PG_FINALLY();
	{
		ampsf_http_free(request);
		ampsf_auth_wipe(form);
	}
	PG_END_TRY();
}
