/*
 * json_lex.h - the words of JSON, for json_scan.c alone.
 *
 * Each function takes the place to read at, where there is a byte, and the window's end; it returns
 * the place behind what it has read, or NULL after noting why not.  None reads beyond the window.
 * What every value passes through is inline; the rest is in json_lex.c.
 */
#ifndef AMPSF_JSON_LEX_H
#define AMPSF_JSON_LEX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

#define MAX_DEPTH 64 /* open brackets, the page's own two included */
#define BLOCK 16	 /* bytes looked at together */

#define likely_true(x) __builtin_expect(!!(x), 1)
#define likely_false(x) __builtin_expect(!!(x), 0)

/* The last failure. */
typedef struct AmpsfJsonLex
{
	bool more;			 /* it is for want of bytes */
	const char *fail_at; /* where in the window */
	const char *fail_why;
} AmpsfJsonLex;

/* Note a failure and return NULL: bytes are missing; what is there is wrong. */
extern const char *ampsf_lex_more(AmpsfJsonLex *lex, const char *end) __attribute__((cold));
extern const char *ampsf_lex_fail(AmpsfJsonLex *lex, const char *at, const char *why)
	__attribute__((cold));
/* An escape, at its backslash. */
extern const char *ampsf_lex_skip_escape(AmpsfJsonLex *lex, const char *p, const char *end);
/* A value without brackets. */
extern const char *ampsf_lex_skip_scalar(AmpsfJsonLex *lex, const char *p, const char *end);
/* Any value, at depth open brackets. */
extern const char *ampsf_lex_skip_value(AmpsfJsonLex *lex, const char *p, const char *end,
										int depth);

/* Over whitespace, to a byte that there is. */
static inline const char *
skip_space(AmpsfJsonLex *lex, const char *p, const char *end)
{
	while (p < end && (*p == ' ' || *p == '\n' || *p == '\r' || *p == '\t'))
		p++;
	return likely_true(p < end) ? p : ampsf_lex_more(lex, end);
}

/* Quote, backslash or control character: the first at or after p, or end. */
static inline const char *
find_special(const char *p, const char *end)
{
#ifdef __SSE2__
	const __m128i quote = _mm_set1_epi8('"');
	const __m128i backslash = _mm_set1_epi8('\\');
	const __m128i last_control = _mm_set1_epi8(0x1f);

	while (end - p >= BLOCK)
	{
		__m128i x = _mm_loadu_si128((const __m128i *) p);
		__m128i hit =
			_mm_or_si128(_mm_or_si128(_mm_cmpeq_epi8(x, quote), _mm_cmpeq_epi8(x, backslash)),
						 _mm_cmpeq_epi8(_mm_min_epu8(x, last_control), x));
		unsigned mask = (unsigned) _mm_movemask_epi8(hit);

		if (mask)
			return p + __builtin_ctz(mask);
		p += BLOCK;
	}
#endif
	while (p < end && *p != '"' && *p != '\\' && (unsigned char) *p >= 0x20)
		p++;
	return p;
}

/* A string whose opening quote is behind: returns its closing quote. */
static inline const char *
find_quote(AmpsfJsonLex *lex, const char *p, const char *end, bool *escaped)
{
	for (;;)
	{
		p = find_special(p, end);
		if (likely_false(p == end))
			return ampsf_lex_more(lex, end);
		if (likely_true(*p == '"'))
			return p;
		if (*p != '\\')
			return ampsf_lex_fail(lex, p, "control character in a string");
		*escaped = true;
		p = ampsf_lex_skip_escape(lex, p, end);
		if (!p)
			return NULL;
	}
}

static inline bool
is_digit(char c)
{
	return (unsigned char) (c - '0') < 10;
}

/* true, false or null */
static inline const char *
skip_word(AmpsfJsonLex *lex, const char *p, const char *end, const char *word, ptrdiff_t len)
{
	if (likely_true(end - p >= len && memcmp(p, word, (size_t) len) == 0))
		return p + len;
	for (ptrdiff_t i = 0; i < len; i++)
	{
		if (p + i == end)
			return ampsf_lex_more(lex, end);
		if (p[i] != word[i])
			return ampsf_lex_fail(lex, p, "expected a value");
	}
	return p + len;
}

#endif
