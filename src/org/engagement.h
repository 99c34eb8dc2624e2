/*
 * engagement.h - Account Engagement's API v5: records out of it.
 *
 * Hosts, tokens, the five calls at once and their repetition are the session's, see
 * AmpsfCallSpec.engagement.
 */
#ifndef AMPSF_ENGAGEMENT_H
#define AMPSF_ENGAGEMENT_H

#include "postgres.h"
#include "org/engagement_objects.h"
#include "org/row_sink.h"
#include "org/row_source.h"
#include "wire/json_doc.h"

/* Rows of a page at most. */
#define AMPSF_ENGAGEMENT_PAGE 1000
/* Rows of a sequence of pages, then a new one must begin behind its end. */
#define AMPSF_ENGAGEMENT_SEQUENCE 100000

typedef struct AmpsfEngagementRequest
{
	const AmpsfEngagementObject *object;
	const char *const *fields; /* names, dotted for parents */
	int nfields;
	bool deleted;		  /* what is in the recycle bin, too */
	int64 id_from, id_to; /* rows outside of these are never given */
	/*
	 * Seconds since 1970 of object->filter, or of object->newest; PG_INT64_MIN and PG_INT64_MAX:
	 * none.  Rows outside may be given.
	 */
	int64 time_from, time_to;
	const char *order; /* "id", or the name of a datetime; NULL: any */
	bool descending;
} AmpsfEngagementRequest;

/* The request as a text to be looked at: the first that is sent, without escapes. */
extern char *ampsf_engagement_print(const AmpsfEngagementRequest *request);

/*
 * The records page by page.  spec: soql, all_rows and share are not looked at, of the rest fields
 * are those of the request.  It lives in a child of the current context.
 */
extern AmpsfRowSource *ampsf_engagement_query(const AmpsfEngagementRequest *request,
											  const AmpsfQuerySpec *spec);
/* The same by the Export API: all rows within id_from and id_to, in no order.  spec->kinds says
 * what values are. */
extern AmpsfRowSource *ampsf_engagement_export(const AmpsfEngagementRequest *request,
											   const AmpsfQuerySpec *spec);

/*
 * Writes, a call for each row.  spec: AMPSF_UPSERT is of prospects by their e-mail; all_or_none and
 * headers are not looked at.
 */
extern AmpsfRowSink *ampsf_engagement_open_sink(const AmpsfWriteSpec *spec);

/* For a value of a query string; palloc'ed. */
extern char *ampsf_engagement_escape(const char *text);
/* 2024-01-31T10:20:30+00:00 */
extern char *ampsf_engagement_time(int64 seconds);

#endif
