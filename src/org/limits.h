/*
 * limits.h - how much of the org's quota is left, and roughly how many rows an object has.
 */
#ifndef AMPSF_LIMITS_H
#define AMPSF_LIMITS_H

#include "postgres.h"
#include "nodes/pg_list.h"
#include "net/session.h"
#include "wire/json_doc.h"

/* The answer of /limits: {"DailyApiRequests":{"Max":..,"Remaining":..},...}; lives in the current
 * context. */
extern AmpsfJson *ampsf_limits_fetch(AmpsfSession *session);

/*
 * Rows of objects (char *) as limits/recordCount says, asked afresh, as few calls as the length of
 * a URL allows; remembered by this backend for ten minutes, to be had by the next function.
 * serverid and userid: whose session it is.  Only estimates hang on it, so an org that refuses to
 * count is no error.
 */
extern void ampsf_record_counts_fetch(AmpsfSession *session, Oid serverid, Oid userid,
									  List *objects);
/* What is remembered, without any call and without a session; -1 if nothing is. */
extern int64 ampsf_record_count_cached(Oid serverid, Oid userid, const char *object);
/* Somebody learned the number of rows on the way (totalSize of an unfiltered query). */
extern void ampsf_record_count_note(Oid serverid, Oid userid, const char *object, int64 rows);

#endif
