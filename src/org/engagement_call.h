/*
 * engagement_call.h - answers of Account Engagement, which may be in another encoding.
 */
#ifndef AMPSF_ENGAGEMENT_CALL_H
#define AMPSF_ENGAGEMENT_CALL_H

#include "postgres.h"
#include "net/session.h"
#include "wire/json_doc.h"

/* One GET whose answer is a small JSON document, in cxt; ERROR "could not <what>".  stats: may be
 * NULL. */
extern AmpsfJson *ampsf_engagement_json(AmpsfSession *session, const char *path, const char *what,
										AmpsfStats *stats, MemoryContext cxt);
/* The body of an answer as UTF-8, 64 bytes readable beyond it; palloc'ed if it came as ISO-8859-1.
 */
extern const char *ampsf_engagement_body(const AmpsfCall *call, size_t *len);

#endif
