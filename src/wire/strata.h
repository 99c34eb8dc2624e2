/*
 * strata.h - where a sample of an object's rows is looked for: in the order of their Ids, of which
 * only stretches are read.
 *
 * Must not know: PostgreSQL, the network.
 */
#ifndef AMPSF_STRATA_H
#define AMPSF_STRATA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define AMPSF_ID_PREFIX 3
#define AMPSF_ID_SHORT 15
/* No table is looked at in more places. */
#define AMPSF_MAX_STRETCHES 20

/* The twelve characters of an Id behind the object's prefix, as a number of base 62: two halves. */
typedef struct AmpsfIdPoint
{
	int64_t hi, lo;
} AmpsfIdPoint;

/* Rows that were read, one after the other. */
typedef struct AmpsfStretch
{
	AmpsfIdPoint first, last;
	int nrows;
	int start;	 /* index of its first row; the caller's */
	double mass; /* rows of the table that it stands for, see ampsf_strata_weigh() */
} AmpsfStretch;

/* A range of Ids, from up to but without to, of which nothing has been read. */
typedef struct AmpsfGap
{
	AmpsfIdPoint from, to;
	int left;  /* the stretch before it */
	int right; /* the stretch behind it; -1: an empty range is behind it */
	double mass;
} AmpsfGap;

typedef struct AmpsfStrata
{
	char prefix[AMPSF_ID_PREFIX + 1];
	int nstretches, ngaps;
	AmpsfStretch stretches[AMPSF_MAX_STRETCHES];
	AmpsfGap gaps[AMPSF_MAX_STRETCHES + 1];
} AmpsfStrata;

/* What to read: from <= Id < to, upward from from or downward from to. */
typedef struct AmpsfProbe
{
	char from[AMPSF_ID_SHORT + 1], to[AMPSF_ID_SHORT + 1];
	bool descending;
	int gap; /* it is a part of */
} AmpsfProbe;

/* The point of an Id; false if it is none of that prefix (an empty prefix takes the Id's). */
bool ampsf_strata_point(AmpsfStrata *strata, const char *id, size_t len, AmpsfIdPoint *point);
/* The Id of a point, of 15 characters. */
void ampsf_strata_id(const AmpsfStrata *strata, AmpsfIdPoint point, char out[AMPSF_ID_SHORT + 1]);
/* The first rows of the table, and the last ones (or NULL); complete: nothing is between them. */
void ampsf_strata_begin(AmpsfStrata *strata, const AmpsfStretch *first, const AmpsfStretch *last,
						bool complete);
/* Where most of the unread rows are likely to be; false if all have been read, or enough of them.
 */
bool ampsf_strata_next(AmpsfStrata *strata, AmpsfProbe *probe);
/* What was there: nothing (NULL), or a stretch. complete: all that the probe named. */
void ampsf_strata_found(AmpsfStrata *strata, const AmpsfProbe *probe, const AmpsfStretch *found,
						bool complete);
/* How many rows the table has, if the Ids are elsewhere as dense as where they were looked at. */
double ampsf_strata_guess(const AmpsfStrata *strata);
/* Gives each stretch its mass. */
void ampsf_strata_weigh(AmpsfStrata *strata);

#endif
