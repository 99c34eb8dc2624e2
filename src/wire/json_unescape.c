/*
 * json_unescape.c - decodes the escapes of a JSON string.
 *
 * Must not know: PostgreSQL, the network, where the string came from.
 */
#include "wire/json_scan.h"

#include <string.h>

#define BROKEN (-1)
#define HAS_NUL (-2)

/* Four hexadecimal digits; -1 if they are not. */
static int
read_hex4(const char *s)
{
	int value = 0;

	for (int i = 0; i < 4; i++)
	{
		char c = s[i];
		int digit;

		if (c >= '0' && c <= '9')
			digit = c - '0';
		else if (c >= 'a' && c <= 'f')
			digit = c - 'a' + 10;
		else if (c >= 'A' && c <= 'F')
			digit = c - 'A' + 10;
		else
			return -1;
		value = value * 16 + digit;
	}
	return value;
}

/* Writes a code point as UTF-8. */
static char *
put_utf8(char *out, unsigned code)
{
	if (code < 0x80)
		*out++ = (char) code;
	else if (code < 0x800)
	{
		*out++ = (char) (0xc0 | code >> 6);
		*out++ = (char) (0x80 | (code & 0x3f));
	}
	else if (code < 0x10000)
	{
		*out++ = (char) (0xe0 | code >> 12);
		*out++ = (char) (0x80 | (code >> 6 & 0x3f));
		*out++ = (char) (0x80 | (code & 0x3f));
	}
	else
	{
		*out++ = (char) (0xf0 | code >> 18);
		*out++ = (char) (0x80 | (code >> 12 & 0x3f));
		*out++ = (char) (0x80 | (code >> 6 & 0x3f));
		*out++ = (char) (0x80 | (code & 0x3f));
	}
	return out;
}

/*
 * The code point of the \u escape at *s, *s is moved behind it; a surrogate pair is one code point.
 * BROKEN for bad digits and for half a pair.
 */
static int
read_unicode(const char **s, const char *end)
{
	const char *p = *s;
	int code, low;

	if (end - p < 6 || (code = read_hex4(p + 2)) < 0)
		return BROKEN;
	p += 6;
	if (code >= 0xdc00 && code <= 0xdfff)
		return BROKEN;
	if (code >= 0xd800 && code <= 0xdbff)
	{
		if (end - p < 6 || p[0] != '\\' || p[1] != 'u')
			return BROKEN;
		low = read_hex4(p + 2);
		if (low < 0xdc00 || low > 0xdfff)
			return BROKEN;
		p += 6;
		code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
	}
	*s = p;
	return code;
}

ptrdiff_t
ampsf_json_unescape(const char *ptr, size_t len, char *out)
{
	const char *s = ptr;
	const char *end = ptr + len;
	char *o = out;

	while (s < end)
	{
		const char *backslash = memchr(s, '\\', (size_t) (end - s));
		size_t run = (size_t) ((backslash ? backslash : end) - s);

		memcpy(o, s, run);
		o += run;
		s += run;
		if (s == end)
			break;
		if (end - s < 2)
			return BROKEN;
		if (s[1] == 'u')
		{
			int code = read_unicode(&s, end);

			if (code < 0)
				return BROKEN;
			if (code == 0)
				return HAS_NUL;
			o = put_utf8(o, (unsigned) code);
			continue;
		}
		switch (s[1])
		{
			case '"':
			case '\\':
			case '/':
				*o++ = s[1];
				break;
			case 'b':
				*o++ = '\b';
				break;
			case 'f':
				*o++ = '\f';
				break;
			case 'n':
				*o++ = '\n';
				break;
			case 'r':
				*o++ = '\r';
				break;
			case 't':
				*o++ = '\t';
				break;
			default:
				return BROKEN;
		}
		s += 2;
	}
	return o - out;
}
