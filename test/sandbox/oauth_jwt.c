/*
 * oauth_jwt.c - the assertion of the JWT bearer flow: RS256 over the registered certificate.
 *
 * Owns: the public key.  Must not know: sessions, HTTP.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include "oauth.h"

/* An assertion may not reach further into the future than this, a little skew of clocks included.
 */
#define MAX_SECONDS_AHEAD 330

static EVP_PKEY *key;

bool
jwt_load(const char *file)
{
	FILE *f;
	X509 *cert;

	if (file == NULL)
		return true;
	f = fopen(file, "r");
	if (f == NULL)
	{
		perror(file);
		return false;
	}
	cert = PEM_read_X509(f, NULL, NULL, NULL);
	if (cert != NULL)
	{
		key = X509_get_pubkey(cert);
		X509_free(cert);
	}
	else
	{
		rewind(f);
		key = PEM_read_PUBKEY(f, NULL, NULL, NULL);
	}
	fclose(f);
	if (key == NULL)
		fprintf(stderr, "%s: neither a PEM certificate nor a PEM public key\n", file);
	return key != NULL;
}

void
jwt_end(void)
{
	EVP_PKEY_free(key);
	key = NULL;
}

static int
digit(char c)
{
	static const char set[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
	const char *p = c ? strchr(set, c) : NULL;

	return p ? (int) (p - set) : -1;
}

/* Strict base64url without padding; NULL if it is anything else. */
static unsigned char *
decode(const char *s, size_t n, size_t *out_len)
{
	unsigned char *out = malloc(n + 1);
	size_t o = 0;
	uint32_t acc = 0;
	int bits = 0;

	for (size_t i = 0; i < n; i++)
	{
		int d = digit(s[i]);

		if (d < 0)
		{
			free(out);
			return NULL;
		}
		acc = (acc << 6) | (uint32_t) d;
		bits += 6;
		if (bits >= 8)
		{
			bits -= 8;
			out[o++] = (unsigned char) (acc >> bits);
		}
	}
	out[o] = '\0';
	*out_len = o;
	return out;
}

void
base64url(Buf *out, const unsigned char *p, size_t n)
{
	static const char set[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
	uint32_t acc = 0;
	int bits = 0;

	for (size_t i = 0; i < n; i++)
	{
		acc = (acc << 8) | p[i];
		bits += 8;
		while (bits >= 6)
		{
			bits -= 6;
			buf_addc(out, set[(acc >> bits) & 63]);
		}
	}
	if (bits > 0)
		buf_addc(out, set[(acc << (6 - bits)) & 63]);
}

static json_object *
part(const char *s, size_t n)
{
	size_t len;
	unsigned char *text = decode(s, n, &len);
	json_object *o = text ? json_tokener_parse((char *) text) : NULL;

	free(text);
	if (o != NULL && !json_object_is_type(o, json_type_object))
	{
		json_object_put(o);
		o = NULL;
	}
	return o;
}

static const char *
claim(json_object *o, const char *name)
{
	json_object *v;

	return json_object_object_get_ex(o, name, &v) && json_object_is_type(v, json_type_string)
			   ? json_object_get_string(v)
			   : "";
}

static bool
signed_by_key(const char *text, size_t len, const char *sig, size_t sig_len)
{
	size_t n;
	unsigned char *raw = decode(sig, sig_len, &n);
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	bool ok = raw != NULL && key != NULL && ctx != NULL &&
			  EVP_DigestVerifyInit(ctx, NULL, EVP_sha256(), NULL, key) == 1 &&
			  EVP_DigestVerify(ctx, raw, n, (const unsigned char *) text, len) == 1;

	EVP_MD_CTX_free(ctx);
	free(raw);
	return ok;
}

static bool
good_audience(const char *aud, const char *base_url)
{
	size_t n = strlen(base_url);

	if (strcmp(aud, "https://login.salesforce.com") == 0 ||
		strcmp(aud, "https://test.salesforce.com") == 0)
		return true;
	return strncmp(aud, base_url, n) == 0 && (aud[n] == '\0' || strcmp(aud + n, "/") == 0);
}

static const App *
check_claims(json_object *claims, const char *base_url, OrgUser *u, const char **error,
			 const char **description)
{
	const App *app = app_find(claim(claims, "iss"));
	const char *sub = claim(claims, "sub");
	json_object *exp = NULL;
	int64_t left;

	if (*sub == '\0')
		sub = claim(claims, "prn");
	json_object_object_get_ex(claims, "exp", &exp);
	left = json_object_get_int64(exp) - (int64_t) time(NULL);
	if (!good_audience(claim(claims, "aud"), base_url))
		*description = "audience is invalid";
	else if (left <= 0 || left > MAX_SECONDS_AHEAD)
		*description = "invalid assertion";
	else if (!app->approved || !user_by_name(sub, u))
		*description = "user hasn't approved this consumer";
	else if (!u->active)
	{
		user_free(u);
		*description = "inactive user";
	}
	else
		return app;
	*error = "invalid_grant";
	return NULL;
}

const App *
jwt_verify(const char *assertion, const char *base_url, OrgUser *u, const char **error,
		   const char **description)
{
	const char *dot = strchr(assertion, '.');
	const char *dot2 = dot ? strchr(dot + 1, '.') : NULL;
	json_object *head = dot2 ? part(assertion, (size_t) (dot - assertion)) : NULL;
	json_object *claims = dot2 ? part(dot + 1, (size_t) (dot2 - dot - 1)) : NULL;
	const App *app = NULL;

	*error = "invalid_grant";
	*description = "invalid assertion";
	if (head != NULL && claims != NULL && strcmp(claim(head, "alg"), "RS256") == 0)
	{
		if (app_find(claim(claims, "iss")) == NULL)
		{
			*error = "invalid_client_id";
			*description = "client identifier invalid";
		}
		else if (signed_by_key(assertion, (size_t) (dot2 - assertion), dot2 + 1, strlen(dot2 + 1)))
			app = check_claims(claims, base_url, u, error, description);
	}
	json_object_put(head);
	json_object_put(claims);
	return app;
}
