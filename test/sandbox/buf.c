/*
 * buf.c - a growable byte buffer, and the JSON text that the sandbox writes into it.
 *
 * Owns: memory for building answers.  Must not know: HTTP, SQLite, Salesforce.
 */
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include "buf.h"

void
buf_init(Buf *b)
{
	b->data = NULL;
	b->len = 0;
	b->cap = 0;
}

void
buf_free(Buf *b)
{
	free(b->data);
	buf_init(b);
}

void
buf_clear(Buf *b)
{
	b->len = 0;
	if (b->data)
		b->data[0] = '\0';
}

/* Out of line, so that the check in buf_reserve stays a compare and a jump. */
static void __attribute__((noinline))
buf_grow(Buf *b, size_t more)
{
	size_t want = b->len + more + 1;
	size_t cap = b->cap ? b->cap : 256;

	if (want <= more)
	{
		fprintf(stderr, "sandbox: answer too large\n");
		exit(1);
	}
	while (cap < want)
		cap = cap > SIZE_MAX / 2 ? want : cap * 2;
	b->data = realloc(b->data, cap);
	if (!b->data)
	{
		fprintf(stderr, "sandbox: out of memory\n");
		exit(1);
	}
	b->cap = cap;
	b->data[b->len] = '\0';
}

void
buf_reserve(Buf *b, size_t more)
{
	if (b->cap - b->len <= more)
		buf_grow(b, more);
}

void
buf_add(Buf *b, const void *p, size_t n)
{
	buf_reserve(b, n);
	if (n > 0)
		memcpy(b->data + b->len, p, n);
	b->len += n;
	b->data[b->len] = '\0';
}

void
buf_adds(Buf *b, const char *s)
{
	buf_add(b, s, strlen(s));
}

void
buf_addc(Buf *b, char c)
{
	buf_reserve(b, 1);
	b->data[b->len++] = c;
	b->data[b->len] = '\0';
}

void
buf_addf(Buf *b, const char *fmt, ...)
{
	va_list ap;
	int n;

	buf_reserve(b, 128);
	va_start(ap, fmt);
	n = vsnprintf(b->data + b->len, b->cap - b->len, fmt, ap);
	va_end(ap);
	if (n < 0)
	{
		b->data[b->len] = '\0';
		return;
	}
	if ((size_t) n >= b->cap - b->len)
	{
		buf_reserve(b, n);
		va_start(ap, fmt);
		vsnprintf(b->data + b->len, b->cap - b->len, fmt, ap);
		va_end(ap);
	}
	b->len += n;
}

char *
buf_detach(Buf *b)
{
	char *p;

	buf_reserve(b, 0);
	p = b->data;
	buf_init(b);
	return p;
}

/* How many leading bytes need no escape. */
static inline size_t
plain_run(const char *s, size_t n)
{
	size_t i = 0;

#ifdef __SSE2__
	const __m128i quote = _mm_set1_epi8('"');
	const __m128i slash = _mm_set1_epi8('\\');
	const __m128i ctl = _mm_set1_epi8(0x1f);

	for (; i + 16 <= n; i += 16)
	{
		__m128i v = _mm_loadu_si128((const __m128i *) (s + i));
		__m128i hit = _mm_or_si128(_mm_cmpeq_epi8(v, quote), _mm_cmpeq_epi8(v, slash));
		int mask;

		/* unsigned v <= 0x1f, for which SSE2 has no compare of its own */
		hit = _mm_or_si128(hit, _mm_cmpeq_epi8(_mm_min_epu8(v, ctl), v));
		mask = _mm_movemask_epi8(hit);
		if (mask)
			return i + __builtin_ctz(mask);
	}
#endif
	for (; i < n; i++)
	{
		unsigned char c = s[i];

		if (c < 0x20 || c == '"' || c == '\\')
			break;
	}
	return i;
}

static size_t
escape_char(char *out, unsigned char c)
{
	static const char hex[] = "0123456789abcdef";
	char e = 0;

	switch (c)
	{
		case '"':
		case '\\':
			e = c;
			break;
		case '\n':
			e = 'n';
			break;
		case '\r':
			e = 'r';
			break;
		case '\t':
			e = 't';
			break;
		case '\b':
			e = 'b';
			break;
		case '\f':
			e = 'f';
			break;
	}
	out[0] = '\\';
	if (e)
	{
		out[1] = e;
		return 2;
	}
	memcpy(out + 1, "u00", 3);
	out[4] = hex[c >> 4];
	out[5] = hex[c & 15];
	return 6;
}

void
buf_json(Buf *b, const char *s, size_t n)
{
	buf_reserve(b, n + 2);
	b->data[b->len++] = '"';
	while (n > 0)
	{
		size_t run = plain_run(s, n);

		/* the reserve in each round keeps room for what is left, should escapes eat the first one */
		buf_reserve(b, n + 8);
		memcpy(b->data + b->len, s, run);
		b->len += run;
		if (run == n)
			break;
		b->len += escape_char(b->data + b->len, (unsigned char) s[run]);
		s += run + 1;
		n -= run + 1;
	}
	buf_reserve(b, 1);
	b->data[b->len++] = '"';
	b->data[b->len] = '\0';
}

void
buf_jsons(Buf *b, const char *s)
{
	if (s)
		buf_json(b, s, strlen(s));
	else
		buf_add(b, "null", 4);
}

/*
 * Values of a few decimals, which is nearly all that an org holds: an integer of at most 13 digits over a
 * power of ten that divides back to v is v's shortest text.  False when v is not one of them.
 */
static bool
fast_double(Buf *b, double v, double a)
{
	static const double pow10[] = {1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6};
	char tmp[32];
	int k;

	for (k = 0; k <= 6; k++)
	{
		int64_t r = (int64_t) (a * pow10[k] + 0.5);
		int i = sizeof(tmp);
		int left = k;

		if ((double) r / pow10[k] != a)
			continue;
		if (k == 0)
		{
			tmp[--i] = '0';
			tmp[--i] = '.';
		}
		do
		{
			tmp[--i] = '0' + r % 10;
			r /= 10;
			if (left > 0 && --left == 0)
			{
				tmp[--i] = '.';
				if (r == 0)
					tmp[--i] = '0';
			}
		} while (r > 0 || left > 0);
		if (signbit(v))
			tmp[--i] = '-';
		buf_add(b, tmp + i, sizeof(tmp) - i);
		return true;
	}
	return false;
}

/* The fewest digits that read back as a (a > 0), without dot or trailing zeros; a = 0.digits * 10^(*exp). */
static int
shortest_digits(double a, char *digits, int *exp)
{
	char tmp[40];
	int prec = a < 1e-300 ? 1 : 15;
	int n = 0;
	char *p;

	for (;; prec++)
	{
		snprintf(tmp, sizeof(tmp), "%.*e", prec - 1, a);
		if (prec >= 17 || strtod(tmp, NULL) == a)
			break;
	}
	for (p = tmp; *p && *p != 'e'; p++)
		if (*p >= '0' && *p <= '9')
			digits[n++] = *p;
	*exp = atoi(p + 1) + 1;
	while (n > 1 && digits[n - 1] == '0')
		n--;
	return n;
}

void
buf_json_double(Buf *b, double v)
{
	double a = fabs(v);
	char digits[40];
	int exp;
	int n;
	int i;

	if (!isfinite(v))
	{
		buf_add(b, "null", 4);
		return;
	}
	if ((a == 0 || (a >= 1e-3 && a < 1e7)) && fast_double(b, v, a))
		return;
	if (signbit(v))
		buf_addc(b, '-');
	n = shortest_digits(a, digits, &exp);
	if (a >= 1e-3 && a < 1e7)
	{
		if (exp <= 0)
		{
			buf_add(b, "0.", 2);
			for (i = exp; i < 0; i++)
				buf_addc(b, '0');
			buf_add(b, digits, n);
			return;
		}
		for (i = 0; i < exp; i++)
			buf_addc(b, i < n ? digits[i] : '0');
		buf_addc(b, '.');
		if (n > exp)
			buf_add(b, digits + exp, n - exp);
		else
			buf_addc(b, '0');
		return;
	}
	buf_addc(b, digits[0]);
	buf_addc(b, '.');
	if (n > 1)
		buf_add(b, digits + 1, n - 1);
	else
		buf_addc(b, '0');
	buf_addf(b, "E%d", exp - 1);
}
