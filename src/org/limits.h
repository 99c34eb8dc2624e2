/*
 * limits.h - how much of the org's quota is left, and roughly how many rows an object has.
 */
#ifndef AMPSF_LIMITS_H
#define AMPSF_LIMITS_H

#include "postgres.h"
#include "net/session.h"
#include "wire/json_doc.h"

/* The answer of /limits: {"DailyApiRequests":{"Max":..,"Remaining":..},...}; lives in the current context. */
extern AmpsfJson *ampsf_limits_fetch(AmpsfSession *session);

/*
 * Rows of an object as limits/recordCount says, remembered by this backend for some minutes.
 * May make a call: not for EXPLAIN alone.  -1 if the org does not count that object.
 */
extern int64 ampsf_record_count(AmpsfSession *session, const char *object);
/* What is remembered, without any call and without a session; -1 if nothing is. */
extern int64 ampsf_record_count_cached(Oid serverid, Oid userid, const char *object);

#endif
