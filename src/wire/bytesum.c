/*
 * bytesum.c - see bytesum.h.
 */
#include "wire/bytesum.h"

#include <string.h>

#define LANES (AMPSF_BYTESUM_BLOCK / 8)

/* Whole blocks only.  The lanes do not depend on each other, so they run at the same time. */
static void
add_blocks(AmpsfByteSum *s, const char *p, size_t n)
{
	uint64_t a[LANES], b[LANES];

	memcpy(a, s->sum, sizeof(a));
	memcpy(b, s->sums, sizeof(b));
	for (; n > 0; n--, p += AMPSF_BYTESUM_BLOCK)
	{
		uint64_t w[LANES];

		memcpy(w, p, sizeof(w));
		for (int i = 0; i < LANES; i++)
		{
			a[i] += w[i];
			b[i] += a[i];
		}
	}
	memcpy(s->sum, a, sizeof(a));
	memcpy(s->sums, b, sizeof(b));
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
