/*
 * auth.c - OAuth 2.0 as Salesforce speaks it; see auth.h.
 */
#include "net/auth.h"

#include "lib/stringinfo.h"
#include "net/jwt.h"
#include "utils/memutils.h"
#include "wire/json_doc.h"
#include "wire/text.h"

#define WAYS                                                                                       \
	"A login needs one of: client_id and client_secret (client credentials); client_id and "       \
	"refresh_token, "                                                                              \
	"with client_secret where the app requires it; client_id, username and private_key_file "      \
	"(JWT); "                                                                                      \
	"sfdx_auth_url alone; access_token alone. A person logs in with ampsf.login_url(server)."

static void
reject(bool missing, const char *message)
{
	ereport(ERROR,
			(errcode(missing ? ERRCODE_FDW_OPTION_NAME_NOT_FOUND : ERRCODE_FDW_INVALID_OPTION_NAME),
			 errmsg_internal("%s", message), errhint(WAYS)));
}

AmpsfAuthKind
ampsf_auth_kind(const AmpsfUserOptions *user)
{
	bool jwt = user->username || user->private_key_file;
	bool secret = user->client_secret || user->client_secret_file;
	bool refresh = user->refresh_token || user->refresh_token_file;

	if (user->sfdx_auth_url)
	{
		if (!user->sfdx_host)
			reject(false, "user mapping option \"sfdx_auth_url\" excludes all others");
		return AMPSF_AUTH_REFRESH_TOKEN;
	}
	if (user->api_key)
		ereport(
			ERROR,
			(errcode(ERRCODE_FDW_INVALID_OPTION_NAME),
			 errmsg("user mapping option \"api_key\" is for servers of connection \"ampersand\""),
			 errhint(WAYS)));
	if (user->access_token)
	{
		if (user->client_id || secret || refresh || jwt)
			reject(false, "user mapping option \"access_token\" excludes all others");
		if (!ampsf_is_token(user->access_token))
			ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
							errmsg("invalid value for option \"access_token\""),
							errdetail("A token has no spaces and no characters beyond ASCII.")));
		return AMPSF_AUTH_ACCESS_TOKEN;
	}
	if (user->client_secret && user->client_secret_file)
		reject(
			false,
			"user mapping options \"client_secret\" and \"client_secret_file\" exclude each other");
	if (user->refresh_token && user->refresh_token_file)
		reject(
			false,
			"user mapping options \"refresh_token\" and \"refresh_token_file\" exclude each other");
	if (refresh && jwt)
		reject(false,
			   "user mapping options \"refresh_token\" and \"username\" or \"private_key_file\" "
			   "exclude each other");
	if (secret && jwt)
		reject(false,
			   "user mapping options \"client_secret\" and \"username\" or \"private_key_file\" "
			   "exclude each other");
	if (!user->client_id)
		reject(true, secret || refresh || jwt ? "user mapping lacks option \"client_id\""
											  : "user mapping has no credentials");
	if (refresh)
		return AMPSF_AUTH_REFRESH_TOKEN;
	if (jwt)
	{
		if (!user->username)
			reject(true, "user mapping lacks option \"username\"");
		if (!user->private_key_file)
			reject(true, "user mapping lacks option \"private_key_file\"");
		return AMPSF_AUTH_JWT;
	}
	if (!secret)
		reject(true, "user mapping has \"client_id\" and nothing to prove it");
	return AMPSF_AUTH_CLIENT_CREDENTIALS;
}

void
ampsf_auth_check_api_key(const AmpsfUserOptions *user)
{
	if (!user->api_key)
		ereport(
			ERROR,
			(errcode(ERRCODE_FDW_OPTION_NAME_NOT_FOUND),
			 errmsg("user mapping lacks option \"api_key\""),
			 errhint("A server of connection \"ampersand\" is used with an API key of the project: "
					 "ALTER USER MAPPING ... OPTIONS (ADD api_key '...').")));
	if (user->client_id || user->client_secret || user->client_secret_file || user->refresh_token ||
		user->refresh_token_file || user->username || user->private_key_file ||
		user->access_token || user->sfdx_auth_url)
		ereport(ERROR, (errcode(ERRCODE_FDW_INVALID_OPTION_NAME),
						errmsg("user mapping option \"api_key\" excludes all others"),
						errhint("Ampersand logs in at Salesforce by the connection that the "
								"customer made there.")));
	if (!ampsf_is_token(user->api_key))
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("invalid value for option \"api_key\""),
						errdetail("A key has no spaces and no characters beyond ASCII.")));
}

const char *
ampsf_auth_kind_name(AmpsfAuthKind kind)
{
	switch (kind)
	{
		case AMPSF_AUTH_CLIENT_CREDENTIALS:
			return "client credentials";
		case AMPSF_AUTH_REFRESH_TOKEN:
			return "refresh token";
		case AMPSF_AUTH_JWT:
			return "JWT bearer";
		case AMPSF_AUTH_ACCESS_TOKEN:
			return "access token";
		case AMPSF_AUTH_API_KEY:
			return "Ampersand API key";
	}
	return "";
}

static void
append_field(StringInfo form, const char *name, const char *value)
{
	size_t len = strlen(value);

	appendStringInfo(form, "%s%s=", form->len ? "&" : "", name);
	enlargeStringInfo(form, ampsf_quote_url(value, len, NULL));
	form->len += ampsf_quote_url(value, len, form->data + form->len);
	form->data[form->len] = '\0';
}

char *
ampsf_auth_form(AmpsfAuthKind kind, const AmpsfUserOptions *user, const char *refresh_token,
				const char *audience)
{
	StringInfoData form;
	char *assertion;

	initStringInfo(&form);
	/* Large enough that no secret is left behind by growing. */
	enlargeStringInfo(&form, 16384);
	switch (kind)
	{
		case AMPSF_AUTH_CLIENT_CREDENTIALS:
			append_field(&form, "grant_type", "client_credentials");
			append_field(&form, "client_id", user->client_id);
			append_field(&form, "client_secret", user->client_secret);
			break;
		case AMPSF_AUTH_REFRESH_TOKEN:
			append_field(&form, "grant_type", "refresh_token");
			append_field(&form, "refresh_token", refresh_token);
			append_field(&form, "client_id", user->client_id);
			if (user->client_secret)
				append_field(&form, "client_secret", user->client_secret);
			break;
		case AMPSF_AUTH_JWT:
			assertion = ampsf_jwt_assertion(user->client_id, user->username, audience,
											user->private_key_file);
			append_field(&form, "grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer");
			append_field(&form, "assertion", assertion);
			ampsf_auth_wipe(assertion);
			break;
		case AMPSF_AUTH_ACCESS_TOKEN:
		case AMPSF_AUTH_API_KEY:
			elog(ERROR, "an access token is not asked for");
	}
	return form.data;
}

bool
ampsf_auth_read(const char *body, size_t len, AmpsfToken *token)
{
	MemoryContext cxt =
		AllocSetContextCreate(CurrentMemoryContext, "ampsf token answer", ALLOCSET_SMALL_SIZES);
	AmpsfJson *doc = ampsf_json_parse(body, len, cxt);
	const char *access = doc ? ampsf_json_string(doc, "access_token") : NULL;
	const char *instance = doc ? ampsf_json_string(doc, "instance_url") : NULL;
	const char *refresh = doc ? ampsf_json_string(doc, "refresh_token") : NULL;

	memset(token, 0, sizeof(*token));
	if (access && ampsf_is_token(access))
	{
		token->access_token = pstrdup(access);
		token->refresh_token = refresh && ampsf_is_token(refresh) ? pstrdup(refresh) : NULL;
		if (instance)
		{
			size_t n = strlen(instance);

			token->instance_url = pstrdup(instance);
			while (n > 0 && token->instance_url[n - 1] == '/')
				token->instance_url[--n] = '\0';
		}
	}
	MemoryContextDelete(cxt);
	return token->access_token != NULL;
}

void
ampsf_auth_wipe(char *s)
{
	if (s)
		explicit_bzero(s, strlen(s));
}
