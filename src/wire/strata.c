/*
 * strata.c - where a sample of an object's rows is looked for next.
 *
 * Salesforce can neither be asked for random rows nor for the n-th one: OFFSET ends at 2,000.  What
 * it has for every object is the order of Ids, which are counters written to base 62 (digits,
 * capitals, small letters) and compared as such; its own chunking of large extracts cuts that space
 * into ranges.  But equal ranges are not equal numbers of rows: an org that has moved between
 * instances has Ids in clusters with empty space between them that is larger than all else, and
 * counters are handed out in lots.
 *
 * So the space is bisected where most unread rows are likely to be.  Each probe reads a stretch of
 * neighbours, and a stretch tells how dense the Ids are there.  A gap between two stretches holds
 * about its length times their density; the next probe goes into the middle of the heaviest gap. If
 * it finds its first row far away, the space between is empty, and the gap before it ends in
 * nothing: the next probe into that one reads downward from its end, which finds the end of the
 * cluster at once.
 *
 * At the end each gap's mass is divided between its neighbours, and a stretch stands for as many
 * rows.  Must not know: how rows are read, PostgreSQL.
 */
#include "wire/strata.h"

#include <assert.h>
#include <string.h>

/* 62 to the sixth. */
#define HALF INT64_C(56800235584)

static const char digits[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

static int64_t
parse_half(const char *p)
{
	int64_t n = 0;

	for (int i = 0; i < 6; i++)
	{
		const char *d = p[i] ? strchr(digits, p[i]) : NULL;

		if (!d)
			return -1;
		n = n * 62 + (d - digits);
	}
	return n;
}

bool
ampsf_strata_point(AmpsfStrata *strata, const char *id, size_t len, AmpsfIdPoint *point)
{
	if (len < AMPSF_ID_SHORT)
		return false;
	if (strata->prefix[0] == '\0')
		memcpy(strata->prefix, id, AMPSF_ID_PREFIX);
	if (memcmp(strata->prefix, id, AMPSF_ID_PREFIX) != 0)
		return false;
	point->hi = parse_half(id + AMPSF_ID_PREFIX);
	point->lo = parse_half(id + AMPSF_ID_PREFIX + 6);
	return point->hi >= 0 && point->lo >= 0;
}

static void
print_half(char *p, int64_t n)
{
	for (int i = 5; i >= 0; i--)
	{
		p[i] = digits[n % 62];
		n /= 62;
	}
}

void
ampsf_strata_id(const AmpsfStrata *strata, AmpsfIdPoint point, char out[AMPSF_ID_SHORT + 1])
{
	memcpy(out, strata->prefix, AMPSF_ID_PREFIX);
	print_half(out + AMPSF_ID_PREFIX, point.hi);
	print_half(out + AMPSF_ID_PREFIX + 6, point.lo);
	out[AMPSF_ID_SHORT] = '\0';
}

/* b - a. */
static double
distance(AmpsfIdPoint a, AmpsfIdPoint b)
{
	return (double) (b.hi - a.hi) * HALF + (double) (b.lo - a.lo);
}

static AmpsfIdPoint
middle(AmpsfIdPoint a, AmpsfIdPoint b)
{
	int64_t hi = a.hi + b.hi;
	AmpsfIdPoint m;

	m.hi = hi / 2;
	m.lo = (a.lo + b.lo + (hi % 2) * HALF) / 2;
	if (m.lo >= HALF)
	{
		m.hi++;
		m.lo -= HALF;
	}
	return m;
}

static AmpsfIdPoint
behind(AmpsfIdPoint p)
{
	if (++p.lo == HALF)
	{
		p.hi++;
		p.lo = 0;
	}
	return p;
}

static double
density(const AmpsfStretch *s)
{
	return s->nrows / (distance(s->first, s->last) + 1);
}

static void
add_gap(AmpsfStrata *strata, AmpsfIdPoint from, AmpsfIdPoint to, int left, int right)
{
	AmpsfGap *gap;
	double d;

	if (distance(from, to) < 1)
		return;
	assert(strata->ngaps <= AMPSF_MAX_STRETCHES);
	gap = &strata->gaps[strata->ngaps++];
	gap->from = from;
	gap->to = to;
	gap->left = left;
	gap->right = right;
	d = density(&strata->stretches[left]);
	if (right >= 0)
		d = (d + density(&strata->stretches[right])) / 2;
	gap->mass = distance(from, to) * d;
}

static void
drop_gap(AmpsfStrata *strata, int i)
{
	strata->gaps[i] = strata->gaps[--strata->ngaps];
}

static int
add_stretch(AmpsfStrata *strata, const AmpsfStretch *s)
{
	assert(strata->nstretches < AMPSF_MAX_STRETCHES);
	strata->stretches[strata->nstretches] = *s;
	return strata->nstretches++;
}

void
ampsf_strata_begin(AmpsfStrata *strata, const AmpsfStretch *first, const AmpsfStretch *last,
				   bool complete)
{
	int left = add_stretch(strata, first);
	int right;

	if (!last)
		return;
	right = add_stretch(strata, last);
	if (!complete)
		add_gap(strata, behind(first->last), last->first, left, right);
}

bool
ampsf_strata_next(AmpsfStrata *strata, AmpsfProbe *probe)
{
	AmpsfGap *heaviest = NULL;
	AmpsfIdPoint from;

	/* Every probe adds a stretch at most. */
	if (strata->nstretches == AMPSF_MAX_STRETCHES)
		return false;
	for (int i = 0; i < strata->ngaps; i++)
		if (!heaviest || strata->gaps[i].mass > heaviest->mass)
			heaviest = &strata->gaps[i];
	/* Less than a row is no reason for a call. */
	if (!heaviest || heaviest->mass < 1)
		return false;
	probe->gap = heaviest - strata->gaps;
	probe->descending = heaviest->right < 0;
	from = probe->descending ? heaviest->from : middle(heaviest->from, heaviest->to);
	ampsf_strata_id(strata, from, probe->from);
	ampsf_strata_id(strata, heaviest->to, probe->to);
	return true;
}

void
ampsf_strata_found(AmpsfStrata *strata, const AmpsfProbe *probe, const AmpsfStretch *found,
				   bool complete)
{
	AmpsfGap gap = strata->gaps[probe->gap];
	AmpsfIdPoint from;
	int s;

	drop_gap(strata, probe->gap);
	if (probe->descending)
	{
		if (!found)
			return;
		s = add_stretch(strata, found);
		if (!complete)
			add_gap(strata, gap.from, found->first, gap.left, s);
		return;
	}
	from = middle(gap.from, gap.to);
	if (!found)
	{
		add_gap(strata, gap.from, from, gap.left, -1);
		return;
	}
	s = add_stretch(strata, found);
	/* Is the first row as near as its neighbours, or has the probe fallen into an empty space? */
	add_gap(strata, gap.from, from, gap.left,
			distance(from, found->first) <= distance(found->first, found->last) + 1 ? s : -1);
	if (!complete)
		add_gap(strata, behind(found->last), gap.to, s, gap.right);
}

/*
 * The unread rows of a gap.  Of one that ends in nothing it is not known where the nothing begins:
 * it holds no more than the heaviest of the others.
 */
static double
gap_mass(const AmpsfStrata *strata, const AmpsfGap *gap)
{
	double most = 0;

	if (gap->right >= 0)
		return gap->mass;
	for (int i = 0; i < strata->ngaps; i++)
		if (strata->gaps[i].right >= 0 && strata->gaps[i].mass > most)
			most = strata->gaps[i].mass;
	return gap->mass < most ? gap->mass : most;
}

double
ampsf_strata_guess(const AmpsfStrata *strata)
{
	double rows = 0;

	for (int i = 0; i < strata->nstretches; i++)
		rows += strata->stretches[i].nrows;
	for (int i = 0; i < strata->ngaps; i++)
		rows += gap_mass(strata, &strata->gaps[i]);
	return rows;
}

void
ampsf_strata_weigh(AmpsfStrata *strata)
{
	for (int i = 0; i < strata->nstretches; i++)
		strata->stretches[i].mass = strata->stretches[i].nrows;
	for (int i = 0; i < strata->ngaps; i++)
	{
		const AmpsfGap *gap = &strata->gaps[i];
		double mass = gap_mass(strata, gap);
		AmpsfStretch *left = &strata->stretches[gap->left];

		if (gap->right < 0)
			left->mass += mass;
		else
		{
			AmpsfStretch *right = &strata->stretches[gap->right];
			double dl = density(left), dr = density(right);

			left->mass += mass * dl / (dl + dr);
			right->mass += mass * dr / (dl + dr);
		}
	}
}
