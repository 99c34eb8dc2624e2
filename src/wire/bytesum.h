/*
 * bytesum.h - a sum over a stream of bytes, to tell whether it came a second time as it came the
 * first.
 *
 * Two streams with equal sums are equal, unless somebody takes pains: it depends on each byte and
 * on its place, and not on how the stream was cut into pieces.  It is no match for an attacker, but
 * costs next to nothing.  Must not know: PostgreSQL, the network.
 */
#ifndef AMPSF_BYTESUM_H
#define AMPSF_BYTESUM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define AMPSF_BYTESUM_BLOCK 32

typedef struct AmpsfByteSum
{
	uint64_t sum[AMPSF_BYTESUM_BLOCK / 8];	/* of words */
	uint64_t sums[AMPSF_BYTESUM_BLOCK / 8]; /* of these sums: where a word stands */
	uint64_t len;
	unsigned char rest[AMPSF_BYTESUM_BLOCK]; /* what does not fill a block yet */
} AmpsfByteSum;

/* All zeroes is the sum of nothing. */
void ampsf_bytesum_add(AmpsfByteSum *s, const char *p, size_t len);
bool ampsf_bytesum_equal(const AmpsfByteSum *a, const AmpsfByteSum *b);

#endif
