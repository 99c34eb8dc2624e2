/*
 * usage.h - what was spent on what: by server, user, object and kind, for the view ampsf.usage.
 *
 * Of this backend always; of the whole server since its start where the library is among
 * shared_preload_libraries.  Must not know: what a call means; objects and kinds are texts to it.
 */
#ifndef AMPSF_USAGE_H
#define AMPSF_USAGE_H

#include "postgres.h"
#include "base/stats.h"
#include "datatype/timestamp.h"

#define AMPSF_USAGE_OBJECT 80
#define AMPSF_USAGE_KIND 16

typedef struct AmpsfUsageKey
{
	Oid database, server, user;
	char object[AMPSF_USAGE_OBJECT]; /* "" if there is none */
	char kind[AMPSF_USAGE_KIND];
} AmpsfUsageKey;

typedef struct AmpsfUsage AmpsfUsage;

/* Called once from _PG_init. */
extern void ampsf_usage_init(void);

/* The account of that server, the current user, object (may be NULL) and kind (NULL: other); for
 * the life of the backend. */
extern AmpsfUsage *ampsf_usage(Oid server, const char *object, const char *kind);
extern void ampsf_usage_add(AmpsfUsage *usage, const AmpsfStats *spent);
/* The same of what another process spent, which has told the server itself. */
extern void ampsf_usage_note(AmpsfUsage *usage, const AmpsfStats *spent);
/* Of rows alone, which come in great numbers: cheap. */
extern void ampsf_usage_rows(AmpsfUsage *usage, int64 rows);

typedef void (*AmpsfUsageVisit)(const AmpsfUsageKey *key, const AmpsfStats *stats, void *arg);

/* All accounts of this backend; of this database since the server's start: false if those are not
 * kept.  *since: when it began. */
extern void ampsf_usage_backend(AmpsfUsageVisit visit, void *arg);
extern bool ampsf_usage_server(AmpsfUsageVisit visit, void *arg, TimestampTz *since);

#endif
