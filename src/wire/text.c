/*
 * text.c - quoting: text into a SOQL literal, a JSON string, a URL.
 *
 * Every function runs the same code to size and to write, so that the two can never disagree.
 * Must not know: PostgreSQL, the network.
 */
#include "wire/text.h"

#include <stdint.h>
#include <string.h>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

/* Where the text goes: counts always, writes if there is a place to write to. */
typedef struct Sink
{
	char *out;
	size_t len;
} Sink;

static inline void
put(Sink *sink, char c)
{
	if (sink->out)
		sink->out[sink->len] = c;
	sink->len++;
}

static inline void
put_pair(Sink *sink, char a, char b)
{
	put(sink, a);
	put(sink, b);
}

static inline void
put_run(Sink *sink, const char *s, size_t len)
{
	if (sink->out && len > 0)
		memcpy(sink->out + sink->len, s, len);
	sink->len += len;
}

static const char hex_lower[] = "0123456789abcdef";
static const char hex_upper[] = "0123456789ABCDEF";

/* \u00XX */
static void
put_unicode(Sink *sink, unsigned char c)
{
	put_run(sink, "\\u00", 4);
	put_pair(sink, hex_lower[c >> 4], hex_lower[c & 15]);
}

static bool
is_control(unsigned char c)
{
	return c < 0x20 || c == 0x7f;
}

/* One character of a SOQL string. */
static void
put_soql(Sink *sink, unsigned char c)
{
	switch (c)
	{
		case '\'':
		case '"':
		case '\\':
			put_pair(sink, '\\', (char) c);
			break;
		case '\n':
			put_pair(sink, '\\', 'n');
			break;
		case '\r':
			put_pair(sink, '\\', 'r');
			break;
		case '\t':
			put_pair(sink, '\\', 't');
			break;
		default:
			if (is_control(c))
				put_unicode(sink, c);
			else
				put(sink, (char) c);
	}
}

size_t
ampsf_quote_soql(const char *s, size_t len, char *out)
{
	Sink sink = {out, 0};

	put(&sink, '\'');
	for (size_t i = 0; i < len; i++)
		put_soql(&sink, (unsigned char) s[i]);
	put(&sink, '\'');
	return sink.len;
}

size_t
ampsf_quote_soql_like(const char *pattern, size_t len, char *out)
{
	Sink sink = {out, 0};

	put(&sink, '\'');
	for (size_t i = 0; i < len; i++)
	{
		char c = pattern[i];

		if (c == '\\' && i + 1 < len)
		{
			/* An escaped wildcard stays escaped; any other character stands for itself anyway. */
			c = pattern[++i];
			if (c == '%' || c == '_')
			{
				put_pair(&sink, '\\', c);
				continue;
			}
		}
		put_soql(&sink, (unsigned char) c);
	}
	put(&sink, '\'');
	return sink.len;
}

/* The first byte at or after s that a JSON string must escape; end if there is none. */
static const char *
find_json_special(const char *s, const char *end)
{
#ifdef __SSE2__
	const __m128i quote = _mm_set1_epi8('"');
	const __m128i backslash = _mm_set1_epi8('\\');
	const __m128i last_control = _mm_set1_epi8(0x1f);

	while (end - s >= 16)
	{
		__m128i x = _mm_loadu_si128((const __m128i *) s);
		__m128i hit =
			_mm_or_si128(_mm_or_si128(_mm_cmpeq_epi8(x, quote), _mm_cmpeq_epi8(x, backslash)),
						 _mm_cmpeq_epi8(_mm_min_epu8(x, last_control), x));
		unsigned mask = (unsigned) _mm_movemask_epi8(hit);

		if (mask)
			return s + __builtin_ctz(mask);
		s += 16;
	}
#endif
	while (s < end && *s != '"' && *s != '\\' && (unsigned char) *s >= 0x20)
		s++;
	return s;
}

size_t
ampsf_quote_json(const char *s, size_t len, char *out)
{
	Sink sink = {out, 0};
	const char *end = s + len;

	put(&sink, '"');
	while (s < end)
	{
		const char *special = find_json_special(s, end);

		put_run(&sink, s, (size_t) (special - s));
		if (special == end)
			break;
		switch (*special)
		{
			case '"':
			case '\\':
				put_pair(&sink, '\\', *special);
				break;
			case '\b':
				put_pair(&sink, '\\', 'b');
				break;
			case '\f':
				put_pair(&sink, '\\', 'f');
				break;
			case '\n':
				put_pair(&sink, '\\', 'n');
				break;
			case '\r':
				put_pair(&sink, '\\', 'r');
				break;
			case '\t':
				put_pair(&sink, '\\', 't');
				break;
			default:
				put_unicode(&sink, (unsigned char) *special);
		}
		s = special + 1;
	}
	put(&sink, '"');
	return sink.len;
}

static bool
is_letter(char c)
{
	return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

static bool
is_digit(char c)
{
	return c >= '0' && c <= '9';
}

size_t
ampsf_quote_url(const char *s, size_t len, char *out)
{
	Sink sink = {out, 0};

	for (size_t i = 0; i < len; i++)
	{
		unsigned char c = (unsigned char) s[i];

		if (is_letter(s[i]) || is_digit(s[i]) || c == '-' || c == '.' || c == '_' || c == '~')
			put(&sink, s[i]);
		else
		{
			put(&sink, '%');
			put_pair(&sink, hex_upper[c >> 4], hex_upper[c & 15]);
		}
	}
	return sink.len;
}

bool
ampsf_is_api_name(const char *s, size_t len)
{
	bool begins = true; /* a segment begins here */

	for (size_t i = 0; i < len; i++)
	{
		if (begins)
		{
			if (!is_letter(s[i]))
				return false;
			begins = false;
		}
		else if (s[i] == '.')
			begins = true;
		else if (!is_letter(s[i]) && !is_digit(s[i]) && s[i] != '_')
			return false;
	}
	return !begins;
}

bool
ampsf_is_token(const char *s)
{
	for (const char *p = s; *p; p++)
		if (*p <= ' ' || *p > '~')
			return false;
	return *s != '\0' && strlen(s) < 8192;
}

static char
fold(char c)
{
	return c >= 'A' && c <= 'Z' ? (char) (c - 'A' + 'a') : c;
}

bool
ampsf_text_contains(const char *text, const char *part)
{
	for (; text && *text; text++)
	{
		size_t i = 0;

		while (part[i] && fold(text[i]) == fold(part[i]))
			i++;
		if (!part[i])
			return true;
	}
	return false;
}
