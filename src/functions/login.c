/*
 * login.c - ampsf.login_url() and ampsf.login(): a person's login, kept in the caller's user
 * mapping; and ampsf.login_errors().
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_user_mapping.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/syscache.h"

#include "base/ampsf.h"
#include "base/error.h"
#include "base/login_error.h"
#include "functions/server_arg.h"
#include "net/auth.h"
#include "net/code_login.h"
#include "net/mapping.h"
#include "net/secret_file.h"

PG_FUNCTION_INFO_V1(ampsf_sql_login_url);
PG_FUNCTION_INFO_V1(ampsf_sql_login);
PG_FUNCTION_INFO_V1(ampsf_sql_login_errors);

/*
 * The caller's own mapping, never that of PUBLIC: one person's token is not for all.  Its options
 * must be those of an app, with a token or without.
 */
static AmpsfUserOptions *
own_mapping(const ForeignServer *server, Oid *umid)
{
	const char *user = quote_identifier(GetUserNameFromId(GetUserId(), false));
	const char *name = quote_identifier(server->servername);
	UserMapping *mapping;
	AmpsfUserOptions *options;

	*umid = GetSysCacheOid2(USERMAPPINGUSERSERVER, Anum_pg_user_mapping_oid,
							ObjectIdGetDatum(GetUserId()), ObjectIdGetDatum(server->serverid));
	if (!OidIsValid(*umid))
		ereport(ERROR, (errcode(ERRCODE_UNDEFINED_OBJECT),
						errmsg("user \"%s\" has no user mapping of its own for server \"%s\"",
							   GetUserNameFromId(GetUserId(), false), server->servername),
						errhint("CREATE USER MAPPING FOR %s SERVER %s OPTIONS (client_id '...')",
								user, name)));
	mapping = ampsf_mapping_read(*umid);
	options = ampsf_user_options(mapping);
	ampsf_mapping_wipe(mapping);
	if (!options->client_id || options->sfdx_auth_url || options->access_token ||
		options->username || options->private_key_file)
		ereport(ERROR, (errcode(ERRCODE_FDW_INVALID_OPTION_NAME),
						errmsg("the user mapping is not one for a login by browser"),
						errdetail("It needs the option client_id, and client_secret or "
								  "client_secret_file where the app "
								  "requires the secret; no other way to log in goes with it.")));
	return options;
}

Datum
ampsf_sql_login_url(PG_FUNCTION_ARGS)
{
	ForeignServer *server = ampsf_server_arg(NameStr(*PG_GETARG_NAME(0)));
	char *scope = text_to_cstring(PG_GETARG_TEXT_PP(1));
	Oid umid;
	AmpsfUserOptions *user = own_mapping(server, &umid);
	char *url = ampsf_code_login_url(umid, ampsf_server_options(server), user, scope);

	ampsf_user_options_wipe(user);
	PG_RETURN_TEXT_P(cstring_to_text(url));
}

static void
store(Oid umid, const AmpsfUserOptions *user, const char *token)
{
	char *problem = NULL;

	if (!user->refresh_token_file)
	{
		if (!ampsf_mapping_set_token(umid, NULL, token, false))
			ereport(ERROR, (errcode(ERRCODE_UNDEFINED_OBJECT), errmsg("the user mapping is gone")));
	}
	else if (!ampsf_secret_file_replace(user->refresh_token_file, token, &problem))
		ereport(ERROR, (errcode(ERRCODE_IO_ERROR), errmsg("could not store the refresh token"),
						errdetail_internal("%s.", problem)));
}

Datum
ampsf_sql_login(PG_FUNCTION_ARGS)
{
	ForeignServer *server = ampsf_server_arg(NameStr(*PG_GETARG_NAME(0)));
	char *answer = text_to_cstring(PG_GETARG_TEXT_PP(1));
	AmpsfServerOptions *options = ampsf_server_options(server);
	AmpsfCodeLogin login = {0};
	Oid umid;
	AmpsfUserOptions *user;
	TupleDesc desc;
	Datum values[3] = {0};
	bool nulls[3] = {true, true, true};
	const char *who;

	PreventCommandIfReadOnly("ampsf.login()");
	user = own_mapping(server, &umid);
	ampsf_code_login(umid, options, user, answer, &login);
	store(umid, user, login.refresh_token);
	ampsf_auth_wipe(login.refresh_token);
	ampsf_user_options_wipe(user);

	if (login.instance_url && pg_strcasecmp(login.instance_url, options->instance_url) != 0)
		ereport(WARNING,
				(errmsg("the login is one of another org than the server's"),
				 errdetail("It is at %s, the server at %s.",
						   ampsf_clean_text(login.instance_url, strlen(login.instance_url)),
						   options->instance_url),
				 errhint("Log in with a user of the server's org, or set the server's option "
						 "\"instance_url\".")));
	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	/* https://login.salesforce.com/id/00D.../005... */
	who = login.id ? strrchr(login.id, '/') : NULL;
	if (who)
	{
		values[0] = CStringGetTextDatum(who + 1);
		nulls[0] = false;
	}
	if (login.instance_url)
	{
		values[1] = CStringGetTextDatum(login.instance_url);
		nulls[1] = false;
	}
	if (login.scope)
	{
		values[2] = CStringGetTextDatum(login.scope);
		nulls[2] = false;
	}
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(desc), values, nulls)));
}

Datum
ampsf_sql_login_errors(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;

	InitMaterializedSRF(fcinfo, 0);
	for (const AmpsfLoginError *e = ampsf_login_errors; e->error; e++)
	{
		Datum values[4] = {0};
		bool nulls[4] = {false};

		values[0] = CStringGetTextDatum(e->error);
		nulls[1] = e->description == NULL;
		if (e->description)
			values[1] = CStringGetTextDatum(e->description);
		values[2] = CStringGetTextDatum(e->cause);
		values[3] = CStringGetTextDatum(e->cure);
		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
	}
	return (Datum) 0;
}
