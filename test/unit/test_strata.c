/*
 * test_strata.c - samples of Id spaces of several shapes: how often they are looked at, and whether
 * each part of the rows gets its weight.
 */
#include "check.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "wire/strata.h"

/* Rows of a made-up object: clusters of so many Ids, each so far from the one before. */
typedef struct Cluster
{
	const char *start; /* Id of its first row */
	int rows;
	int step;
} Cluster;

#define MAX_ROWS 400000

static AmpsfIdPoint rows[MAX_ROWS];
static int nrows;
static int probes;
static AmpsfStrata strata;

static int64_t half = INT64_C(62) * 62 * 62 * 62 * 62 * 62;

static void
fill(const Cluster *clusters, int n)
{
	nrows = 0;
	for (int c = 0; c < n; c++)
	{
		AmpsfIdPoint p;

		if (!ampsf_strata_point(&strata, clusters[c].start, strlen(clusters[c].start), &p))
			abort();
		for (int i = 0; i < clusters[c].rows; i++)
		{
			rows[nrows++] = p;
			p.lo += clusters[c].step;
			p.hi += p.lo / half;
			p.lo %= half;
		}
	}
}

/* The place of the first row not before the Id. */
static int
place(const char *id)
{
	AmpsfIdPoint p;
	int low = 0, high = nrows;

	if (!ampsf_strata_point(&strata, id, strlen(id), &p))
		abort();
	while (low < high)
	{
		int mid = (low + high) / 2;

		if (rows[mid].hi < p.hi || (rows[mid].hi == p.hi && rows[mid].lo < p.lo))
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

static AmpsfStretch
stretch(int from, int to)
{
	AmpsfStretch s = {.first = rows[from], .last = rows[to - 1], .nrows = to - from, .start = from};

	return s;
}

/* Looks in so many places, for so many rows in each. */
static void
look(int places, int want)
{
	AmpsfStretch first = stretch(0, want), last = stretch(nrows - want, nrows);
	AmpsfProbe probe;

	probes = 2;
	ampsf_strata_begin(&strata, &first, &last, false);
	while (probes < places && ampsf_strata_next(&strata, &probe))
	{
		int from = place(probe.from), to = place(probe.to);
		bool complete = to - from <= want;
		AmpsfStretch s;

		probes++;
		if (!complete && probe.descending)
			from = to - want;
		else if (!complete)
			to = from + want;
		if (to > from)
			s = stretch(from, to);
		ampsf_strata_found(&strata, &probe, to > from ? &s : NULL, complete);
	}
	ampsf_strata_weigh(&strata);
}

/* No row is read twice. */
static bool
are_disjoint(void)
{
	for (int i = 0; i < strata.nstretches; i++)
		for (int k = 0; k < i; k++)
		{
			const AmpsfStretch *a = &strata.stretches[i], *b = &strata.stretches[k];

			if (a->start < b->start + b->nrows && b->start < a->start + a->nrows)
				return false;
		}
	return true;
}

/* The part of the mass that stretches of these rows have, in percent. */
static double
share(int from, int to)
{
	double in = 0, all = 0;

	for (int i = 0; i < strata.nstretches; i++)
	{
		const AmpsfStretch *s = &strata.stretches[i];

		all += s->mass;
		if (s->start >= from && s->start < to)
			in += s->mass;
	}
	return 100 * in / all;
}

static void
start(const Cluster *clusters, int n, int places, int want)
{
	memset(&strata, 0, sizeof(strata));
	fill(clusters, n);
	look(places, want);
	CHECK(are_disjoint());
}

void
test_strata(void)
{
	static const Cluster even[] = {{"0015g00000000zz", 200000, 1}};
	static const Cluster moved[] = {{"001300000000001", 100000, 1}, {"001Ab000004CxZ0", 300000, 1}};
	static const Cluster sparse[] = {{"0015g0000000001", 50000, 1}, {"0015g0000100000", 50000, 90}};
	static const Cluster lots[] = {{"0015g0000000001", 20000, 1},
								   {"0015g0000010000", 20000, 1},
								   {"0015g0000020000", 20000, 1},
								   {"0015g0000030000", 20000, 1},
								   {"0015g0000040000", 20000, 1}};
	static const Cluster few[] = {{"0015g0000000001", 500, 1}, {"0015h0000000001", 700, 1}};
	AmpsfIdPoint p;
	char id[AMPSF_ID_SHORT + 1];

	/* there and back, over a carry; what is no Id of the object */
	memset(&strata, 0, sizeof(strata));
	CHECK(ampsf_strata_point(&strata, "0015g00zzzzzzzzAAA", 18, &p));
	ampsf_strata_id(&strata, p, id);
	CHECK_TEXT(id, strlen(id), "0015g00zzzzzzzz");
	CHECK(!ampsf_strata_point(&strata, "0035g00zzzzzzzzAAA", 18, &p));
	CHECK(!ampsf_strata_point(&strata, "0015g00zzzzzzz", 14, &p));
	CHECK(!ampsf_strata_point(&strata, "0015g00zzz-zzzz", 15, &p));

	/* Salesforce's own example of a chunk of 250,000 */
	memset(&strata, 0, sizeof(strata));
	CHECK(ampsf_strata_point(&strata, "00130000000132G", 15, &p));
	CHECK_INT(p.lo, 250000);

	start(even, 1, 17, 1000);
	CHECK_INT(probes, 17);
	CHECK_INT(strata.nstretches, 17);
	CHECK(fabs(ampsf_strata_guess(&strata) - 200000) < 1000);
	CHECK(fabs(share(0, 100000) - 50) < 4);
	for (int i = 0; i < strata.nstretches; i++)
		CHECK(strata.stretches[i].mass < 200000 / 6);

	/* an org that has moved: no probe comes back empty */
	start(moved, 2, 17, 1000);
	CHECK_INT(strata.nstretches, 17);
	CHECK(fabs(ampsf_strata_guess(&strata) - 400000) < 4000);
	CHECK(fabs(share(0, 100000) - 25) < 4);

	start(sparse, 2, 17, 1000);
	CHECK(fabs(ampsf_strata_guess(&strata) - 100000) < 20000);
	CHECK(fabs(share(0, 50000) - 50) < 12);

	start(lots, 5, 17, 1000);
	CHECK(ampsf_strata_guess(&strata) > 50000 && ampsf_strata_guess(&strata) < 200000);
	for (int i = 0; i < 5; i++)
		CHECK(share(i * 20000, (i + 1) * 20000) > 8);

	/* all is read before the calls are spent */
	start(few, 2, 17, 400);
	CHECK(probes < 17);
	CHECK_INT(strata.ngaps, 0);
	CHECK_INT((long long) ampsf_strata_guess(&strata), 1200);
}
