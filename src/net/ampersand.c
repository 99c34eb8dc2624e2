/*
 * ampersand.c - how a call goes to Ampersand's hosts in the place of the org's; see ampersand.h.
 *
 * The key is not handled here: it is the session's token.  Must not know: what a call means.
 */
#include "net/ampersand.h"

int
ampsf_ampersand_headers(const AmpsfServerOptions *o, const char **headers, int n)
{
	headers[n++] = "X-Amp-Proxy-Version: 1";
	headers[n++] = psprintf("X-Amp-Project-Id: %s", o->project);
	if (o->installation_id)
		headers[n++] = psprintf("X-Amp-Installation-Id: %s", o->installation_id);
	else
	{
		headers[n++] = psprintf("X-Amp-Integration-Name: %s", o->integration);
		headers[n++] = psprintf("X-Amp-Group-Ref: %s", o->group_ref);
	}
	/* Then it tells when to come back, and keeps calls from the org until then. */
	headers[n++] = "X-Amp-Rate-Limiter-Mode: throttle";
	return n;
}

const char *
ampsf_ampersand_url(const AmpsfServerOptions *o, AmpsfCallHost host)
{
	switch (host)
	{
		case AMPSF_TO_WRITE_API:
			return o->write_url;
		case AMPSF_TO_READ_API:
			return o->read_url;
		case AMPSF_TO_PLATFORM:
			return o->platform_url;
		case AMPSF_TO_ORG:
			break;
	}
	return o->instance_url;
}
