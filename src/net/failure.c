/*
 * failure.c - what is said of a request that did not get as far as an answer; see
 * session_private.h.
 */
#include "net/session_private.h"

bool
ampsf_failure_is_transient(AmpsfHttpFailure kind)
{
	/* Not STALLED: that has cost request_timeout already. */
	return kind == AMPSF_HTTP_UNREACHABLE || kind == AMPSF_HTTP_LOST;
}

const char *
ampsf_failure_detail(const AmpsfFailure *failure)
{
	const char *text = failure->text ? ampsf_clean_text(failure->text, strlen(failure->text)) : "";

	switch (failure->kind)
	{
		case AMPSF_HTTP_UNREACHABLE:
			return psprintf("The host cannot be reached: %s.", text);
		case AMPSF_HTTP_TLS:
			return psprintf("The connection is not secure: %s.", text);
		case AMPSF_HTTP_LOST:
			return psprintf("The connection was lost: %s.", text);
		case AMPSF_HTTP_STALLED:
			return psprintf("No answer came: %s.", text);
		case AMPSF_HTTP_TOO_BIG:
			return psprintf("The answer was refused: %s.", text);
		default:
			return psprintf("The answer cannot be used: %s.", text);
	}
}

const char *
ampsf_failure_hint(const AmpsfFailure *failure)
{
	switch (failure->kind)
	{
		case AMPSF_HTTP_UNREACHABLE:
			return "Check the server's option \"workspace\", \"instance_url\" or \"login_url\", "
				   "and that "
				   "this machine may reach it.";
		case AMPSF_HTTP_TLS:
			return "The server's option \"ca_file\" can name further certificates to trust.";
		case AMPSF_HTTP_STALLED:
			return "The server's option \"request_timeout\" says how long to wait.";
		case AMPSF_HTTP_TOO_BIG:
			return "The server's option \"max_response_mb\" sets the limit; a smaller page_size "
				   "makes "
				   "answers smaller.";
		default:
			return NULL;
	}
}

int
ampsf_failure_sqlstate(const AmpsfFailure *failure)
{
	switch (failure->kind)
	{
		case AMPSF_HTTP_TOO_BIG:
			return ERRCODE_PROGRAM_LIMIT_EXCEEDED;
		case AMPSF_HTTP_NO_MEMORY:
			return ERRCODE_OUT_OF_MEMORY;
		case AMPSF_HTTP_BROKEN:
			return ERRCODE_FDW_UNABLE_TO_CREATE_REPLY;
		default:
			return ERRCODE_FDW_UNABLE_TO_ESTABLISH_CONNECTION;
	}
}
