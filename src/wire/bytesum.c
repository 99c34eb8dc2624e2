/*
 * bytesum.c - see bytesum.h.
 */
#include "wire/bytesum.h"

#include <string.h>

static inline uint64_t
load(const char *p)
{
	uint64_t w;

	memcpy(&w, p, sizeof(w));
	return w;
}

/*
 * Whole blocks only.  The four lanes do not depend on each other, so they run at the same time;
 * they are no arrays, which the compiler would keep in memory: an eighth of the speed.
 */
static void
add_blocks(AmpsfByteSum *s, const char *p, size_t n)
{
	uint64_t a0 = s->sum[0], a1 = s->sum[1], a2 = s->sum[2], a3 = s->sum[3];
	uint64_t b0 = s->sums[0], b1 = s->sums[1], b2 = s->sums[2], b3 = s->sums[3];

	for (; n > 0; n--, p += AMPSF_BYTESUM_BLOCK)
	{
		b0 += a0 += load(p);
		b1 += a1 += load(p + 8);
		b2 += a2 += load(p + 16);
		b3 += a3 += load(p + 24);
	}
	s->sum[0] = a0;
	s->sum[1] = a1;
	s->sum[2] = a2;
	s->sum[3] = a3;
	s->sums[0] = b0;
	s->sums[1] = b1;
	s->sums[2] = b2;
	s->sums[3] = b3;
}

void
ampsf_bytesum_add(AmpsfByteSum *s, const char *p, size_t len)
{
	size_t there = s->len % AMPSF_BYTESUM_BLOCK;
	size_t n;

	s->len += len;
	if (there > 0)
	{
		n = AMPSF_BYTESUM_BLOCK - there < len ? AMPSF_BYTESUM_BLOCK - there : len;
		memcpy(s->rest + there, p, n);
		p += n;
		len -= n;
		if (there + n < AMPSF_BYTESUM_BLOCK)
			return;
		add_blocks(s, (const char *) s->rest, 1);
	}
	n = len / AMPSF_BYTESUM_BLOCK;
	add_blocks(s, p, n);
	memcpy(s->rest, p + n * AMPSF_BYTESUM_BLOCK, len % AMPSF_BYTESUM_BLOCK);
}

bool
ampsf_bytesum_equal(const AmpsfByteSum *a, const AmpsfByteSum *b)
{
	return a->len == b->len && memcmp(a->sum, b->sum, sizeof(a->sum)) == 0 &&
		   memcmp(a->sums, b->sums, sizeof(a->sums)) == 0 &&
		   memcmp(a->rest, b->rest, a->len % AMPSF_BYTESUM_BLOCK) == 0;
}
