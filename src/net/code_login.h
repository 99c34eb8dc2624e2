/*
 * code_login.h - a person's login in a browser: authorization code with PKCE.
 *
 * Owns: the verifier and the state of logins that were begun, in this backend's memory.  Must not
 * know: SQL, where the token is kept.
 */
#ifndef AMPSF_CODE_LOGIN_H
#define AMPSF_CODE_LOGIN_H

#include "postgres.h"
#include "base/options.h"

/*
 * Begins a login for that mapping, in the place of one begun before; the address for the browser,
 * palloc'ed.
 */
extern char *ampsf_code_login_url(Oid umid, const AmpsfServerOptions *server,
								  const AmpsfUserOptions *user, const char *scope);

typedef struct AmpsfCodeLogin
{
	char *refresh_token;
	char *instance_url, *id, *scope; /* or NULL */
} AmpsfCodeLogin;

/*
 * Ends it: answer is the code, or the whole address to which the browser was sent.  Waits.  ERROR
 * if none was begun here, if the answer belongs to another, or if Salesforce refuses.  The token is
 * a secret, the caller wipes it.
 */
extern void ampsf_code_login(Oid umid, const AmpsfServerOptions *server,
							 const AmpsfUserOptions *user, const char *answer,
							 AmpsfCodeLogin *login);

#endif
