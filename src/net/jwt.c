/*
 * jwt.c - signs the assertion of a JWT bearer login; see jwt.h.
 *
 * The only file that knows OpenSSL.  OpenSSL's objects are not PostgreSQL's: nothing that may
 * ereport is called while one is held.  Must not know: where the assertion is sent.
 */
#include "net/jwt.h"

#include <time.h>

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>

#include "lib/stringinfo.h"
#include "net/secret_file.h"
#include "wire/text.h"

#define KEY_MAX 65536
#define LIFETIME 180 /* seconds; Salesforce accepts some minutes */

/* base64url without padding */
static void
append_base64url(StringInfo buf, const unsigned char *in, size_t len)
{
	static const char alphabet[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

	for (size_t i = 0; i < len; i += 3)
	{
		size_t left = len - i;
		uint32 v = (uint32) in[i] << 16 | (left > 1 ? (uint32) in[i + 1] << 8 : 0) |
				   (left > 2 ? in[i + 2] : 0);

		appendStringInfoChar(buf, alphabet[v >> 18 & 63]);
		appendStringInfoChar(buf, alphabet[v >> 12 & 63]);
		if (left > 1)
			appendStringInfoChar(buf, alphabet[v >> 6 & 63]);
		if (left > 2)
			appendStringInfoChar(buf, alphabet[v & 63]);
	}
}

static void
append_json(StringInfo buf, const char *s)
{
	size_t len = strlen(s);

	enlargeStringInfo(buf, ampsf_quote_json(s, len, NULL));
	buf->len += ampsf_quote_json(s, len, buf->data + buf->len);
	buf->data[buf->len] = '\0';
}

/* An encrypted key fails rather than asking for its password on the server's terminal. */
static int
no_password(char *buf, int size, int rwflag, void *arg)
{
	return -1;
}

/* Signs; NULL, or what went wrong.  out has room for outsize bytes. */
static const char *
sign(const char *key, size_t keylen, const char *text, size_t textlen, unsigned char *out,
	 size_t *outsize)
{
	BIO *bio = BIO_new_mem_buf(key, keylen);
	EVP_PKEY *pkey = bio ? PEM_read_bio_PrivateKey(bio, NULL, no_password, NULL) : NULL;
	EVP_MD_CTX *md = EVP_MD_CTX_new();
	const char *problem = NULL;

	if (!bio || !md)
		problem = "out of memory";
	else if (!pkey)
		problem = "it is not a private key in PEM without a password";
	else if (EVP_PKEY_base_id(pkey) != EVP_PKEY_RSA || EVP_PKEY_bits(pkey) < 2048)
		problem = "it is not an RSA key of at least 2048 bits";
	else if ((size_t) EVP_PKEY_size(pkey) > *outsize ||
			 EVP_DigestSignInit(md, NULL, EVP_sha256(), NULL, pkey) != 1 ||
			 EVP_DigestSign(md, out, outsize, (const unsigned char *) text, textlen) != 1)
		problem = "OpenSSL could not sign with it";
	EVP_MD_CTX_free(md);
	EVP_PKEY_free(pkey);
	BIO_free(bio);
	/* The queue is shared with the server's own TLS. */
	ERR_clear_error();
	return problem;
}

char *
ampsf_jwt_assertion(const char *client_id, const char *username, const char *audience,
					const char *key_file)
{
	static const char header[] = "{\"alg\":\"RS256\",\"typ\":\"JWT\"}";
	StringInfoData claims, jwt;
	char *key = palloc(KEY_MAX);
	unsigned char signature[2048];
	size_t keylen, siglen = sizeof(signature);
	const char *problem;

	initStringInfo(&claims);
	appendStringInfoString(&claims, "{\"iss\":");
	append_json(&claims, client_id);
	appendStringInfoString(&claims, ",\"sub\":");
	append_json(&claims, username);
	appendStringInfoString(&claims, ",\"aud\":");
	append_json(&claims, audience);
	appendStringInfo(&claims, ",\"exp\":" INT64_FORMAT "}", (int64) time(NULL) + LIFETIME);

	initStringInfo(&jwt);
	append_base64url(&jwt, (const unsigned char *) header, strlen(header));
	appendStringInfoChar(&jwt, '.');
	append_base64url(&jwt, (const unsigned char *) claims.data, claims.len);

	keylen = ampsf_secret_file_bytes(key_file, "private key", key, KEY_MAX);
	problem = sign(key, keylen, jwt.data, jwt.len, signature, &siglen);
	explicit_bzero(key, KEY_MAX);
	pfree(key);
	if (problem)
		ereport(ERROR, (errcode(ERRCODE_CONFIG_FILE_ERROR),
						errmsg("could not use private key file \"%s\"", key_file),
						errdetail("The key cannot sign: %s.", problem)));
	appendStringInfoChar(&jwt, '.');
	append_base64url(&jwt, signature, siglen);
	return jwt.data;
}
