/*
 * mapping_options.c - the options of a user mapping, read together; see options.h.
 *
 * Must not know: how to log in.
 */
#include "base/options.h"

#include "commands/defrem.h"

/* "force://CLIENT_ID:CLIENT_SECRET:REFRESH_TOKEN@HOST", as the Salesforce CLI prints it; the older
 * form has the token only. */
#define SFDX_SCHEME "force://"
#define SFDX_CLIENT "PlatformCLI"

static char *
text_option(const UserMapping *mapping, const char *name)
{
	ListCell *lc;

	foreach (lc, mapping->options)
	{
		DefElem *def = lfirst_node(DefElem, lc);

		if (strcmp(def->defname, name) == 0)
			return pstrdup(defGetString(def));
	}
	return NULL;
}

bool
ampsf_sfdx_parse(const char *url, AmpsfUserOptions *user)
{
	const char *rest = url + strlen(SFDX_SCHEME);
	const char *at, *first, *second;

	if (strncmp(url, SFDX_SCHEME, strlen(SFDX_SCHEME)) != 0 || (at = strrchr(rest, '@')) == NULL ||
		at == rest || at[1] == '\0')
		return false;
	first = memchr(rest, ':', at - rest);
	second = first ? memchr(first + 1, ':', at - first - 1) : NULL;
	if (first &&
		(!second || first == rest || second + 1 == at || memchr(second + 1, ':', at - second - 1)))
		return false;
	user->client_id = first ? pnstrdup(rest, first - rest) : pstrdup(SFDX_CLIENT);
	user->client_secret =
		first && second > first + 1 ? pnstrdup(first + 1, second - first - 1) : NULL;
	user->refresh_token = first ? pnstrdup(second + 1, at - second - 1) : pnstrdup(rest, at - rest);
	at++;
	if (pg_strncasecmp(at, "https://", 8) == 0)
		at += 8;
	else if (pg_strncasecmp(at, "http://", 7) == 0)
		at += 7;
	user->sfdx_host = pnstrdup(at, strcspn(at, "/"));
	return user->sfdx_host[0] != '\0';
}

char *
ampsf_sfdx_url(const AmpsfUserOptions *user, const char *token)
{
	return psprintf(SFDX_SCHEME "%s:%s:%s@%s", user->client_id,
					user->client_secret ? user->client_secret : "", token, user->sfdx_host);
}

AmpsfUserOptions *
ampsf_user_options(const UserMapping *mapping)
{
	AmpsfUserOptions *o = palloc0(sizeof(AmpsfUserOptions));

	o->client_id = text_option(mapping, "client_id");
	o->client_secret = text_option(mapping, "client_secret");
	o->client_secret_file = text_option(mapping, "client_secret_file");
	o->refresh_token = text_option(mapping, "refresh_token");
	o->refresh_token_file = text_option(mapping, "refresh_token_file");
	o->username = text_option(mapping, "username");
	o->private_key_file = text_option(mapping, "private_key_file");
	o->access_token = text_option(mapping, "access_token");
	o->sfdx_auth_url = text_option(mapping, "sfdx_auth_url");
	o->redirect_uri = text_option(mapping, "redirect_uri");
	o->rotation = text_option(mapping, "rotation");
	o->api_key = text_option(mapping, "api_key");
	/* Together with others, or in another form, it is refused where a login begins. */
	if (o->sfdx_auth_url && !o->client_id && !o->client_secret && !o->client_secret_file &&
		!o->refresh_token && !o->refresh_token_file && !o->username && !o->private_key_file &&
		!o->access_token && !ampsf_sfdx_parse(o->sfdx_auth_url, o))
		o->sfdx_host = NULL;
	return o;
}

void
ampsf_user_options_wipe(AmpsfUserOptions *user)
{
	char *secrets[] = {user->client_secret, user->refresh_token, user->access_token,
					   user->sfdx_auth_url, user->api_key};

	for (size_t i = 0; i < lengthof(secrets); i++)
		if (secrets[i])
			explicit_bzero(secrets[i], strlen(secrets[i]));
}
