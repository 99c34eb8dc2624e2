/*
 * ampersand_options.c - the options of a server that is reached by Ampersand; see
 * ampersand_options.h.
 *
 * Each value becomes a part of a header or of a path, and is checked for that.
 */
#include "base/ampersand_options.h"

#include "base/options_private.h"

#define PROXY_URL "https://proxy.withampersand.com"
#define WRITE_URL "https://write.withampersand.com"
#define READ_URL "https://read.withampersand.com"
#define PLATFORM_URL "https://api.withampersand.com"

/* What means nothing without connection 'ampersand'. */
static const char *const of_ampersand[] = {"project",	"integration",	   "integration_id",
										   "group_ref", "installation_id", "proxy_url",
										   "write_url", "read_url",		   "platform_url"};

static bool
is_ampersand(List *options)
{
	const char *connection = get_text(options, "connection");

	return connection && strcmp(connection, "ampersand") == 0;
}

static void
check_uuid(List *options, const char *name)
{
	const char *value = get_text(options, name);
	bool ok = value && strlen(value) == 36;

	for (int i = 0; ok && i < 36; i++)
		ok = i == 8 || i == 13 || i == 18 || i == 23 ? value[i] == '-'
													 : isxdigit((unsigned char) value[i]) != 0;
	if (value && !ok)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("invalid value for option \"%s\": \"%s\"", name, value),
						errhint("It is an Id, not a name: 0d4f6c2e-7a51-4c1c-9a53-2f1f0c9d8e7b.")));
}

/* It becomes a header's value as it is. */
static void
check_header(List *options, const char *name)
{
	const char *value = get_text(options, name);

	for (const char *p = value ? value : ""; *p; p++)
		if (*p < ' ' || *p > '~')
			ereport(
				ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("invalid value for option \"%s\"", name),
				 errhint("It is sent in a header, and so has printable ASCII characters only.")));
}

bool
ampsf_ampersand_check(List *options)
{
	bool ampersand = is_ampersand(options);

	if (!ampersand)
	{
		for (size_t i = 0; i < lengthof(of_ampersand); i++)
			if (get_text(options, of_ampersand[i]))
				ereport(ERROR, (errcode(ERRCODE_FDW_INVALID_OPTION_NAME),
								errmsg("option \"%s\" is for connection \"ampersand\" only",
									   of_ampersand[i]),
								errhint("Add connection 'ampersand', or drop the option.")));
		return false;
	}
	check_uuid(options, "project");
	check_uuid(options, "integration_id");
	check_uuid(options, "installation_id");
	check_header(options, "integration");
	check_header(options, "group_ref");
	if (!get_text(options, "project"))
		ereport(
			ERROR,
			(errcode(ERRCODE_FDW_OPTION_NAME_NOT_FOUND),
			 errmsg("option \"project\" is required for connection \"ampersand\""),
			 errhint(
				 "It is the project's Id, which stands in Ampersand's dashboard under General.")));
	if (!get_text(options, "installation_id") &&
		!(get_text(options, "integration") && get_text(options, "group_ref")))
		ereport(
			ERROR,
			(errcode(ERRCODE_FDW_OPTION_NAME_NOT_FOUND),
			 errmsg("connection \"ampersand\" needs to know the installation"),
			 errhint("Give option \"installation_id\", or \"integration\" and \"group_ref\".")));
	return true;
}

/* Without the slash at the end. */
static char *
url_of(List *options, const char *name, const char *dflt)
{
	char *v = get_text(options, name);
	size_t len;

	if (!v)
		return pstrdup(dflt);
	len = strlen(v);
	if (len && v[len - 1] == '/')
		v[len - 1] = '\0';
	return v;
}

void
ampsf_ampersand_read(List *options, AmpsfServerOptions *o)
{
	o->ampersand = is_ampersand(options);
	if (!o->ampersand)
		return;
	o->instance_url = url_of(options, "proxy_url", PROXY_URL);
	o->write_url = url_of(options, "write_url", WRITE_URL);
	o->read_url = url_of(options, "read_url", READ_URL);
	o->platform_url = url_of(options, "platform_url", PLATFORM_URL);
	o->project = get_text(options, "project");
	o->integration = get_text(options, "integration");
	o->integration_id = get_text(options, "integration_id");
	o->group_ref = get_text(options, "group_ref");
	o->installation_id = get_text(options, "installation_id");
}
