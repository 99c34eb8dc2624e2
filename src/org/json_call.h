/*
 * json_call.h - one call whose answer is a small JSON document.
 */
#ifndef AMPSF_JSON_CALL_H
#define AMPSF_JSON_CALL_H

#include "postgres.h"
#include "net/session.h"
#include "wire/json_doc.h"

/*
 * Sends, waits, and parses.  The document lives in cxt; cancel and timeouts act while waiting.
 * ERROR
 * ("could not <what>") for any answer that is not 2xx with one JSON value in it.  body: NULL for a
 * GET. Only for calls that may be repeated without harm.
 */
extern AmpsfJson *ampsf_json_call(AmpsfSession *session, const char *path, const char *body,
								  const char *what, MemoryContext cxt);
/*
 * The same, but a refusal (403, 404, 400) is no error: NULL, and *status says which.  All else
 * throws.
 */
extern AmpsfJson *ampsf_json_call_soft(AmpsfSession *session, const char *path, const char *what,
									   MemoryContext cxt, int *status);

#endif
