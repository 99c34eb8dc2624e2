/*
 * ampersand.c - calls to Ampersand's own APIs; see ampersand.h.
 *
 * Owns: their paths, and the reading of their answers.  Must not know: what the documents say.
 */
#include "postgres.h"

#include "org/ampersand.h"

#include "lib/stringinfo.h"
#include "wire/text.h"

char *
ampsf_ampersand_segment(const char *text)
{
	size_t len = strlen(text);
	char *out = palloc(ampsf_quote_url(text, len, NULL) + 1);

	out[ampsf_quote_url(text, len, out)] = '\0';
	return out;
}

void
ampsf_ampersand_quote(StringInfo out, const char *text)
{
	size_t len = strlen(text);

	enlargeStringInfo(out, (int) ampsf_quote_json(text, len, NULL));
	out->len += (int) ampsf_quote_json(text, len, out->data + out->len);
	out->data[out->len] = '\0';
}

char *
ampsf_ampersand_path(AmpsfSession *session, const char *rest)
{
	return psprintf("/v1/projects/%s/%s", ampsf_session_options(session)->project, rest);
}

AmpsfJson *
ampsf_ampersand_json(AmpsfSession *session, AmpsfCallHost host, const char *path, const char *body,
					 bool missing_ok, const char *what, MemoryContext cxt)
{
	AmpsfCallSpec spec = {0};
	AmpsfCall *call;
	AmpsfJson *doc;
	const char *text;
	size_t len;

	spec.host = host;
	spec.method = body ? "POST" : "GET";
	spec.path = path;
	spec.body = body;
	spec.body_len = body ? strlen(body) : 0;
	spec.content_type = "application/json";
	spec.idempotent = body == NULL;
	spec.usage = ampsf_session_usage(session, NULL, "ampersand");
	call = ampsf_call_start(session, &spec, cxt);
	ampsf_call_wait(call);
	if (missing_ok && ampsf_call_status(call) == 404)
	{
		ampsf_call_free(call);
		return NULL;
	}
	ampsf_call_finish(call, what, NULL);
	text = ampsf_call_body(call, &len);
	doc = ampsf_json_parse(text, len, cxt);
	if (doc == NULL)
		ereport(ERROR, (errcode(ERRCODE_FDW_UNABLE_TO_CREATE_REPLY), errmsg("could not %s", what),
						errdetail("Ampersand's answer is not JSON (%zu bytes).", len)));
	ampsf_call_free(call);
	return doc;
}
