/*
 * login_error.c - what may go wrong with a login at Salesforce; see login_error.h.
 *
 * One table, from which the hints of errors, the advice of ampsf.doctor(), ampsf.login_errors() and
 * docs/connect.md are made.  Must not know: how one logs in.
 */
#include "base/login_error.h"
#include "wire/text.h"

#define AUTHORIZATION ERRCODE_INVALID_AUTHORIZATION_SPECIFICATION
#define PASSWORD ERRCODE_INVALID_PASSWORD

/* Entries with a description come before those of the same error without one. */
const AmpsfLoginError ampsf_login_errors[] = {
	{"invalid_grant", "no client credentials user", AUTHORIZATION, "The app has no user to run as.",
	 "Edit the app's policies: enable the Client Credentials Flow and name the user to run as."},
	{"invalid_grant", "not supported on this domain", AUTHORIZATION,
	 "Client credentials are accepted by the org's My Domain host only.",
	 "Set the server's option \"workspace\", and no \"login_url\" of login.salesforce.com or "
	 "test.salesforce.com."},
	{"invalid_grant", "expired access/refresh token", AUTHORIZATION,
	 "The refresh token was revoked, has expired, or was replaced by a session that could not "
	 "store the new one; "
	 "a sixth login of the same user to the same app revokes the first.",
	 "Log in anew, with ampsf.login_url() or by ALTER USER MAPPING ... OPTIONS (SET refresh_token "
	 "'...')."},
	{"invalid_grant", "expired authorization code", AUTHORIZATION,
	 "The code of a login by browser is good for some minutes, and for one use.",
	 "Begin anew with ampsf.login_url()."},
	{"invalid_grant", "invalid authorization code", AUTHORIZATION,
	 "The code is not one that this app was given; perhaps it was not copied whole.",
	 "Begin anew with ampsf.login_url(), and give the whole address that the browser shows."},
	{"invalid_grant", "code verifier", AUTHORIZATION,
	 "The code belongs to a login that was begun later, or elsewhere.",
	 "Begin anew with ampsf.login_url(), and finish in the same session."},
	{"invalid_grant", "hasn't approved this consumer", AUTHORIZATION,
	 "The app is not pre-authorized for the user of the JWT.",
	 "In the app's policies choose \"Admin approved users are pre-authorized\", and give the user "
	 "a permission set "
	 "or profile that is assigned there."},
	{"invalid_grant", "audience", AUTHORIZATION, "The JWT names another login host than the org's.",
	 "Set the server's option \"login_url\" to https://login.salesforce.com, or "
	 "https://test.salesforce.com for a "
	 "sandbox."},
	{"invalid_grant", "assertion", AUTHORIZATION,
	 "The signature or the time of the JWT is not accepted.",
	 "Check that the certificate in the app belongs to private_key_file, and that this server's "
	 "clock is right."},
	{"invalid_grant", "ip restricted", AUTHORIZATION, "The address of this server is not allowed.",
	 "Relax IP restrictions in the app's policies, or allow this server's address in the user's "
	 "profile."},
	{"invalid_grant", "inactive", AUTHORIZATION, "The user or the org is not active.",
	 "Activate the user in Setup, Users, or name another one to run as."},
	{"invalid_grant", "authentication failure", PASSWORD,
	 "The user's name or password is wrong, or the org no longer accepts logins by password.",
	 "Use one of the ways in docs/connect.md."},
	{"invalid_grant", NULL, AUTHORIZATION,
	 "Salesforce does not accept what the user mapping offers.",
	 "Check the options of the user mapping."},
	{"invalid_client", "invalid client credentials", PASSWORD, "The consumer secret is wrong.",
	 "Check option \"client_secret\" of the user mapping; the secret may have been rotated in the "
	 "app."},
	{"invalid_client", "must be installed", AUTHORIZATION,
	 "The app is not installed in this org, and the user may not approve such apps.",
	 "Install the app in the org, or give the user the permission \"Approve Uninstalled Connected "
	 "Apps\" for the "
	 "first login."},
	{"invalid_client", NULL, AUTHORIZATION, "The org does not know the app.",
	 "Check option \"client_id\" of the user mapping, and that the app belongs to this org."},
	{"invalid_client_id", NULL, AUTHORIZATION,
	 "The org does not know the consumer key: it is another org's, or the app is some minutes old, "
	 "or an External "
	 "Client App was asked for at login.salesforce.com.",
	 "Check option \"client_id\" of the user mapping, and that the server's \"login_url\" is the "
	 "org's My Domain. A "
	 "new app needs some minutes until it is known everywhere."},
	{"OAUTH_EC_APP_NOT_FOUND", NULL, AUTHORIZATION,
	 "The External Client App is not installed in this org, or it is of distribution state Local "
	 "and belongs to "
	 "another.",
	 "Install the app's package in the org, and log in at the org's My Domain, not at "
	 "login.salesforce.com."},
	{"OAUTH_APP_BLOCKED", NULL, AUTHORIZATION, "An administrator has blocked the app.",
	 "Setup, Connected Apps OAuth Usage: unblock or install it."},
	{"OAUTH_APPROVAL_ERROR_GENERIC", NULL, AUTHORIZATION,
	 "The user may not approve the app: it is not installed, the user is API-only, or a scope is "
	 "not the app's.",
	 "Install the app, log in with a user who may use the browser, and ask for scopes that the app "
	 "has."},
	{"unsupported_grant_type", NULL, AUTHORIZATION, "The app does not offer this way to log in.",
	 "Enable the flow in the app's OAuth settings: Client Credentials, JWT Bearer, or "
	 "Authorization Code."},
	{"unsupported_response_type", NULL, AUTHORIZATION, "The app does not offer a login by browser.",
	 "Enable the Authorization Code flow in the app's OAuth settings."},
	{"redirect_uri_mismatch", NULL, AUTHORIZATION, "The callback URL is none of the app's.",
	 "Add the address to the app's callback URLs, or set option \"redirect_uri\" of the user "
	 "mapping to one of them."},
	{"invalid_app_access", NULL, AUTHORIZATION, "The user is not among those who may use the app.",
	 "Give the user a profile or permission set that is assigned in the app's policies."},
	{"access_denied", NULL, AUTHORIZATION, "The person declined.",
	 "Begin anew with ampsf.login_url()."},
	{"login_required", NULL, AUTHORIZATION, "Nobody is logged in to the browser.",
	 "Open the address in a browser in which one can log in."},
	{"inactive_user", NULL, AUTHORIZATION, "The user is not active.",
	 "Activate the user in Setup, Users."},
	{"inactive_org", NULL, AUTHORIZATION, "The org is locked, suspended or being deleted.",
	 "Ask Salesforce; or correct the server's option \"workspace\"."},
	{"invalid_scope", NULL, AUTHORIZATION, "A scope was asked for that the app does not have.",
	 "Add \"Manage user data via APIs (api)\" and \"Perform requests at any time (refresh_token, "
	 "offline_access)\" to "
	 "the app's scopes, or name others in ampsf.login_url()."},
	{"invalid_request", "code challenge", AUTHORIZATION,
	 "The app requires PKCE, and the challenge is not accepted.",
	 "Begin anew with ampsf.login_url()."},
	{"invalid_request", "client_secret", AUTHORIZATION, "The app requires its secret.",
	 "Set option \"client_secret\" of the user mapping, or let the app do without: \"Require "
	 "Secret for Refresh Token "
	 "Flow\" and \"Require secret for Web Server Flow\"."},
	{"invalid_request", NULL, AUTHORIZATION, "Salesforce misses something in the request.",
	 "Check the options of the user mapping."},
	{"rate_limit_exceeded", NULL, ERRCODE_CONFIGURATION_LIMIT_EXCEEDED,
	 "The user logs in too often: Salesforce allows 3,600 logins an hour.",
	 "Keep sessions open, for instance by a connection pool."},
	{NULL, NULL, 0, NULL, NULL}};

const AmpsfLoginError *
ampsf_login_error(const char *error, const char *description)
{
	for (const AmpsfLoginError *e = ampsf_login_errors; error && e->error; e++)
		if (strcmp(e->error, error) == 0 &&
			(!e->description || ampsf_text_contains(description, e->description)))
			return e;
	return NULL;
}
