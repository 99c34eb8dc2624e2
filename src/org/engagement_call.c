/*
 * engagement_call.c - see engagement_call.h.
 */
#include "postgres.h"

#include "org/engagement_call.h"

#include "utils/memutils.h"

/* ISO-8859-1 as UTF-8. */
static char *
from_latin1(const char *s, size_t len, size_t *out_len)
{
	char *out = MemoryContextAllocHuge(CurrentMemoryContext, len * 2 + 64);
	size_t n = 0;

	for (size_t i = 0; i < len; i++)
	{
		unsigned char c = (unsigned char) s[i];

		if (c < 0x80)
			out[n++] = (char) c;
		else
		{
			out[n++] = (char) (0xc0 | c >> 6);
			out[n++] = (char) (0x80 | (c & 0x3f));
		}
	}
	memset(out + n, 0, 64);
	*out_len = n;
	return out;
}

static bool
is_latin1(const char *type)
{
	for (const char *p = type; p && *p; p++)
		if (pg_strncasecmp(p, "charset=", 8) == 0)
		{
			p += 8 + (p[8] == '"');
			return pg_strncasecmp(p, "iso-8859-1", 10) == 0 || pg_strncasecmp(p, "latin1", 6) == 0;
		}
	return false;
}

const char *
ampsf_engagement_body(const AmpsfCall *call, size_t *len)
{
	const char *body = ampsf_call_body(call, len);

	return is_latin1(ampsf_call_header(call, "Content-Type")) ? from_latin1(body, *len, len) : body;
}

AmpsfJson *
ampsf_engagement_json(AmpsfSession *session, const char *path, const char *what, AmpsfStats *stats,
					  MemoryContext cxt)
{
	AmpsfCallSpec spec = {
		.method = "GET", .path = path, .idempotent = true, .engagement = true, .stats = stats};
	AmpsfCall *call;
	AmpsfJson *doc;
	const char *text;
	size_t len;

	/* Who looks how much is left. */
	spec.beyond_budget = strstr(path, "/objects/account?") != NULL;
	call = ampsf_call_start(session, &spec, cxt);
	ampsf_call_finish(call, what, NULL);
	text = ampsf_engagement_body(call, &len);
	doc = ampsf_json_parse(text, len, cxt);
	if (doc == NULL || !ampsf_json_is_object(doc))
		ereport(ERROR, (errcode(ERRCODE_FDW_UNABLE_TO_CREATE_REPLY), errmsg("could not %s", what),
						errdetail("The answer to %s is not JSON (%zu bytes).", path, len)));
	ampsf_call_free(call);
	return doc;
}
