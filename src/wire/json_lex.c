/*
 * json_lex.c - the words of JSON: numbers, escapes, and values that are only to be passed over.
 *
 * Must not know: PostgreSQL, the network, pages and records.
 */
#include "wire/json_lex.h"

const char *
ampsf_lex_more(AmpsfJsonLex *lex, const char *end)
{
	lex->more = true;
	lex->fail_at = end;
	lex->fail_why = "the text ends early";
	return NULL;
}

const char *
ampsf_lex_fail(AmpsfJsonLex *lex, const char *at, const char *why)
{
	lex->more = false;
	lex->fail_at = at;
	lex->fail_why = why;
	return NULL;
}

static bool
is_hex(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

const char *
ampsf_lex_skip_escape(AmpsfJsonLex *lex, const char *p, const char *end)
{
	if (end - p < 2)
		return ampsf_lex_more(lex, end);
	switch (p[1])
	{
		case '"':
		case '\\':
		case '/':
		case 'b':
		case 'f':
		case 'n':
		case 'r':
		case 't':
			return p + 2;
		case 'u':
			for (int i = 2; i < 6; i++)
			{
				if (p + i >= end)
					return ampsf_lex_more(lex, end);
				if (!is_hex(p[i]))
					return ampsf_lex_fail(lex, p + i, "expected a hexadecimal digit");
			}
			return p + 6;
		default:
			return ampsf_lex_fail(lex, p, "unknown escape");
	}
}

/* One digit or more. */
static inline const char *
skip_digits(AmpsfJsonLex *lex, const char *p, const char *end)
{
	if (p < end && !is_digit(*p))
		return ampsf_lex_fail(lex, p, "expected a digit");
	while (p < end && is_digit(*p))
		p++;
	return p < end ? p : ampsf_lex_more(lex, end);
}

/* A number; in a page something always follows it. */
static const char *
skip_number(AmpsfJsonLex *lex, const char *p, const char *end)
{
	if (*p == '-')
		p++;
	if (p < end && *p == '0')
	{
		if (++p == end)
			return ampsf_lex_more(lex, end);
		if (is_digit(*p))
			return ampsf_lex_fail(lex, p, "a number must not begin with 0");
	}
	else if (!(p = skip_digits(lex, p, end)))
		return NULL;
	if (*p == '.' && !(p = skip_digits(lex, p + 1, end)))
		return NULL;
	if (*p == 'e' || *p == 'E')
	{
		p++;
		if (p < end && (*p == '+' || *p == '-'))
			p++;
		p = skip_digits(lex, p, end);
	}
	return p;
}

const char *
ampsf_lex_skip_scalar(AmpsfJsonLex *lex, const char *p, const char *end)
{
	bool escaped;

	switch (*p)
	{
		case '"':
			p = find_quote(lex, p + 1, end, &escaped);
			return p ? p + 1 : NULL;
		case 't':
			return skip_word(lex, p, end, "true", 4);
		case 'f':
			return skip_word(lex, p, end, "false", 5);
		case 'n':
			return skip_word(lex, p, end, "null", 4);
		default:
			if (*p == '-' || is_digit(*p))
				return skip_number(lex, p, end);
			return ampsf_lex_fail(lex, p, "expected a value");
	}
}

/* A key of no interest, up to the value. */
static const char *
skip_key(AmpsfJsonLex *lex, const char *p, const char *end)
{
	bool escaped;

	if (*p != '"')
		return ampsf_lex_fail(lex, p, "expected a key");
	p = find_quote(lex, p + 1, end, &escaped);
	if (!p || !(p = skip_space(lex, p + 1, end)))
		return NULL;
	if (*p != ':')
		return ampsf_lex_fail(lex, p, "expected a colon");
	return skip_space(lex, p + 1, end);
}

const char *
ampsf_lex_skip_value(AmpsfJsonLex *lex, const char *p, const char *end, int depth)
{
	uint64_t braces = 0; /* of the open brackets, which are braces: the last is the lowest bit */
	int base = depth;

	for (;;)
	{
		if (*p == '{' || *p == '[')
		{
			bool brace = *p == '{';

			if (depth == MAX_DEPTH)
				return ampsf_lex_fail(lex, p, "nested too deeply");
			depth++;
			braces = braces << 1 | brace;
			if (!(p = skip_space(lex, p + 1, end)))
				return NULL;
			if (*p != (brace ? '}' : ']'))
			{
				if (brace && !(p = skip_key(lex, p, end)))
					return NULL;
				continue;
			}
			/* empty: closed below */
		}
		else
		{
			if (!(p = ampsf_lex_skip_scalar(lex, p, end)))
				return NULL;
			if (depth == base)
				return p;
			if (!(p = skip_space(lex, p, end)))
				return NULL;
		}
		while (*p == ((braces & 1) ? '}' : ']'))
		{
			p++;
			braces >>= 1;
			if (--depth == base)
				return p;
			if (!(p = skip_space(lex, p, end)))
				return NULL;
		}
		if (*p != ',')
			return ampsf_lex_fail(lex, p, (braces & 1) ? "expected , or }" : "expected , or ]");
		if (!(p = skip_space(lex, p + 1, end)))
			return NULL;
		if ((braces & 1) && !(p = skip_key(lex, p, end)))
			return NULL;
	}
}
