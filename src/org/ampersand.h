/*
 * ampersand.h - Ampersand's own APIs: writes, operations, reads that are asked for.
 *
 * What goes through its proxy is the org's API, and none of this.
 */
#ifndef AMPSF_ORG_AMPERSAND_H
#define AMPSF_ORG_AMPERSAND_H

#include "postgres.h"
#include "net/session.h"
#include "org/row_sink.h"
#include "wire/json_doc.h"

/* The Write API as a sink.  async: asks for operations and waits for their end.  Not for upserts,
 * versions, hard deletes. */
extern AmpsfRowSink *ampsf_ampersand_open_sink(const AmpsfWriteSpec *spec, bool async);

/* "/v1/projects/ID/" and rest, palloc'ed; rest is a path already. */
extern char *ampsf_ampersand_path(AmpsfSession *session, const char *rest);
/* Part of a path, percent-encoded, palloc'ed. */
extern char *ampsf_ampersand_segment(const char *text);
/* Appends a JSON string. */
extern void ampsf_ampersand_quote(StringInfo out, const char *text);
/*
 * One call whose answer is a small document, in cxt.  body: NULL for a GET.  missing_ok: NULL for
 * 404.  ERROR
 * ("could not <what>") for all else that is not 2xx.
 */
extern AmpsfJson *ampsf_ampersand_json(AmpsfSession *session, AmpsfCallHost host, const char *path,
									   const char *body, bool missing_ok, const char *what,
									   MemoryContext cxt);

#endif
