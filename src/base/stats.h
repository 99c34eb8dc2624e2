/*
 * stats.h - what was spent: counted per scan or statement, and added up per session.
 */
#ifndef AMPSF_STATS_H
#define AMPSF_STATS_H

#include "postgres.h"

typedef struct AmpsfStats
{
	int64 calls;	 /* requests that count against the org's quota, retries included */
	int64 retries;	 /* of those, how many repeated an earlier one */
	int64 bytes_in;	 /* of bodies, as they came over the wire */
	int64 bytes_out; /* of request bodies */
	int64 pages;	 /* result pages read */
	int64 rows;		 /* records read or written */
	int64 logins;	 /* token requests (not counted as calls) */
} AmpsfStats;

void ampsf_stats_add(AmpsfStats *into, const AmpsfStats *from);

#endif
