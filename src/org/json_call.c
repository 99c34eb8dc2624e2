/*
 * json_call.c - one call whose answer is a small JSON document.
 *
 * Owns: send, wait, parse, and the error for an answer that is no JSON.  Must not know: what the
 * document says.
 */
#include "postgres.h"

#include "org/json_call.h"

static AmpsfJson *
run(AmpsfSession *session, const char *path, const char *body, const char *what, MemoryContext cxt,
	int *soft_status)
{
	AmpsfCallSpec spec = {0};
	AmpsfCall *call;
	AmpsfJson *doc;
	const char *text;
	size_t len;

	spec.method = body ? "POST" : "GET";
	spec.path = path;
	spec.body = body;
	spec.body_len = body ? strlen(body) : 0;
	spec.idempotent = true;
	spec.usage = ampsf_session_usage(session, NULL, "metadata");
	/* Who asks what is left shall be told, however little it is. */
	spec.beyond_budget = strcmp(path, "limits") == 0;

	call = ampsf_call_start(session, &spec, cxt);
	if (soft_status)
	{
		int status;

		ampsf_call_wait(call);
		status = ampsf_call_status(call);
		*soft_status = status;
		if ((status == 400 || status == 403 || status == 404) && !ampsf_call_is_ampersands(call))
		{
			ampsf_call_free(call);
			return NULL;
		}
	}
	ampsf_call_finish(call, what, NULL);

	text = ampsf_call_body(call, &len);
	doc = ampsf_json_parse(text, len, cxt);
	if (doc == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_FDW_UNABLE_TO_CREATE_REPLY), errmsg("could not %s", what),
				 errdetail("The answer to %s is not JSON (%zu bytes).", path, len),
				 errhint("A proxy or a login page may stand between this server and Salesforce.")));
	ampsf_call_free(call);
	return doc;
}

AmpsfJson *
ampsf_json_call(AmpsfSession *session, const char *path, const char *body, const char *what,
				MemoryContext cxt)
{
	return run(session, path, body, what, cxt, NULL);
}

AmpsfJson *
ampsf_json_call_soft(AmpsfSession *session, const char *path, const char *what, MemoryContext cxt,
					 int *status)
{
	return run(session, path, NULL, what, cxt, status);
}
