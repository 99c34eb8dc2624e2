/*
 * auth.h - the ways to log in: which one a user mapping means, what it sends, what comes back.
 *
 * Owns: the forms and answers of the token endpoint.  Must not know: the network, the session.
 */
#ifndef AMPSF_AUTH_H
#define AMPSF_AUTH_H

#include "postgres.h"
#include "base/options.h"

typedef enum AmpsfAuthKind
{
	AMPSF_AUTH_CLIENT_CREDENTIALS,
	AMPSF_AUTH_REFRESH_TOKEN,
	AMPSF_AUTH_JWT,
	AMPSF_AUTH_ACCESS_TOKEN, /* given as it is: there is nothing to renew it with */
	AMPSF_AUTH_API_KEY		 /* of Ampersand, which logs in at Salesforce by itself */
} AmpsfAuthKind;

/* Nothing is asked of a token endpoint, and nothing can be renewed. */
#define AMPSF_AUTH_IS_GIVEN(kind) ((kind) >= AMPSF_AUTH_ACCESS_TOKEN)

/* Decided by the options that are set; ERROR if they are too few, or contradict each other. */
extern AmpsfAuthKind ampsf_auth_kind(const AmpsfUserOptions *user);
/* The same for servers of connection 'ampersand', where it is AMPSF_AUTH_API_KEY or an ERROR. */
extern void ampsf_auth_check_api_key(const AmpsfUserOptions *user);
extern const char *ampsf_auth_kind_name(AmpsfAuthKind kind);

/*
 * The form for the token endpoint, palloc'ed: a secret, the caller wipes it.  ERROR if a private
 * key cannot be used.  Not for AMPSF_AUTH_ACCESS_TOKEN.
 */
extern char *ampsf_auth_form(AmpsfAuthKind kind, const AmpsfUserOptions *user,
							 const char *refresh_token, const char *audience);

typedef struct AmpsfToken
{
	char *access_token;
	char *instance_url;	 /* without a slash at the end; NULL if absent */
	char *refresh_token; /* NULL unless the answer carries one */
} AmpsfToken;

/* Reads a token answer into strings of the current context; false if there is no usable token in
 * it. */
extern bool ampsf_auth_read(const char *body, size_t len, AmpsfToken *token);

/* Overwrites a secret; NULL is allowed. */
extern void ampsf_auth_wipe(char *s);

#endif
