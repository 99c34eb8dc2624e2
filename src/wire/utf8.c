/*
 * utf8.c - see utf8.h.
 *
 * What Salesforce sends is ASCII for the most part, with a few letters in between that are not:
 * blocks of ASCII are passed over as a whole, and characters of several bytes are looked at one by
 * one. Must not know: PostgreSQL, the network.
 */
#include "wire/utf8.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

/* The first byte at or after p that is not ASCII, or is zero; or end. */
static inline const unsigned char *
skip_ascii(const unsigned char *p, const unsigned char *end)
{
#ifdef __SSE2__
	const __m128i zero = _mm_setzero_si128();

	while (end - p >= 64)
	{
		const __m128i *b = (const __m128i *) p;
		/* as signed bytes, what we want is above zero */
		__m128i least = _mm_and_si128(_mm_and_si128(_mm_cmpgt_epi8(_mm_loadu_si128(b), zero),
													_mm_cmpgt_epi8(_mm_loadu_si128(b + 1), zero)),
									  _mm_and_si128(_mm_cmpgt_epi8(_mm_loadu_si128(b + 2), zero),
													_mm_cmpgt_epi8(_mm_loadu_si128(b + 3), zero)));

		if (_mm_movemask_epi8(least) != 0xffff)
			break;
		p += 64;
	}
	while (end - p >= 16)
	{
		unsigned other = (unsigned) _mm_movemask_epi8(
							 _mm_cmpgt_epi8(_mm_loadu_si128((const __m128i *) p), zero)) ^
						 0xffff;

		if (other)
			return p + __builtin_ctz(other);
		p += 16;
	}
#else
	const uint64_t high = UINT64_C(0x8080808080808080);
	const uint64_t ones = UINT64_C(0x0101010101010101);

	while (end - p >= 8)
	{
		uint64_t w;

		memcpy(&w, p, 8);
		/* a high bit is set, or taking one from each byte borrows */
		if ((w | (w - ones)) & high)
			break;
		p += 8;
	}
#endif
	while (p < end && *p - 1u < 0x7f)
		p++;
	return p;
}

static inline bool
is_between(unsigned char c, unsigned from, unsigned to)
{
	return c - from <= to - from;
}

/* Length of the character at p, which is not ASCII; 0 if it is none. */
static inline size_t
read_character(const unsigned char *p, const unsigned char *end)
{
	ptrdiff_t left = end - p;
	unsigned char c = *p;

	if (is_between(c, 0xc2, 0xdf))
		return left >= 2 && is_between(p[1], 0x80, 0xbf) ? 2 : 0;
	if (is_between(c, 0xe0, 0xef))
		return left >= 3 && is_between(p[1], c == 0xe0 ? 0xa0 : 0x80, c == 0xed ? 0x9f : 0xbf) &&
					   is_between(p[2], 0x80, 0xbf)
				   ? 3
				   : 0;
	if (is_between(c, 0xf0, 0xf4))
		return left >= 4 && is_between(p[1], c == 0xf0 ? 0x90 : 0x80, c == 0xf4 ? 0x8f : 0xbf) &&
					   is_between(p[2], 0x80, 0xbf) && is_between(p[3], 0x80, 0xbf)
				   ? 4
				   : 0;
	return 0;
}

size_t
ampsf_utf8_valid(const char *s, size_t len)
{
	const unsigned char *start = (const unsigned char *) s;
	const unsigned char *end = start + len;
	const unsigned char *p = start;

	while ((p = skip_ascii(p, end)) < end)
	{
		do
		{
			size_t n = read_character(p, end);

			if (n == 0)
				return (size_t) (p - start);
			p += n;
		} while (p < end && *p >= 0x80);
	}
	return len;
}
