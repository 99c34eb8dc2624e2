/*
 * soql_lex.c - SOQL text to tokens, the memory of a statement, and the words of its errors.
 *
 * Owns: the arena, the ^ marker, string escapes.  Must not know: grammar, schema, SQLite.
 */
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include "soql_ast.h"

struct ArenaChunk
{
	ArenaChunk *next;
	size_t used, size;
	_Alignas(16) char data[];
};

void
ctx_init(Ctx *cx, const char *text, size_t len, const SoqlOptions *opt, SoqlError *err)
{
	memset(cx, 0, sizeof(*cx));
	cx->text = text;
	cx->len = (int) (len > 10 * SOQL_MAX_TEXT ? 10 * SOQL_MAX_TEXT : len);
	cx->opt = opt;
	cx->err = err;
}

void
ctx_free(Ctx *cx)
{
	while (cx->arena)
	{
		ArenaChunk *next = cx->arena->next;

		free(cx->arena);
		cx->arena = next;
	}
}

void *
ctx_alloc(Ctx *cx, size_t n)
{
	ArenaChunk *c = cx->arena;
	void *p;

	n = (n + 15) & ~(size_t) 15;
	if (c == NULL || c->size - c->used < n)
	{
		size_t size = n > 8192 ? n : 8192;

		c = malloc(sizeof(ArenaChunk) + size);
		if (c == NULL)
			abort();
		c->next = cx->arena;
		c->used = 0;
		c->size = size;
		cx->arena = c;
	}
	p = c->data + c->used;
	c->used += n;
	return memset(p, 0, n);
}

char *
ctx_strndup(Ctx *cx, const char *s, size_t n)
{
	char *p = ctx_alloc(cx, n + 1);

	if (n > 0)
		memcpy(p, s, n);
	return p;
}

char *
ctx_printf(Ctx *cx, const char *fmt, ...)
{
	va_list ap;
	int n;
	char *p;

	va_start(ap, fmt);
	n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	p = ctx_alloc(cx, (size_t) n + 1);
	va_start(ap, fmt);
	vsnprintf(p, (size_t) n + 1, fmt, ap);
	va_end(ap);
	return p;
}

/* Every VEC() has this layout. */
typedef struct AnyVec
{
	void *v;
	int n, cap;
} AnyVec;

void *
vec_push(Ctx *cx, void *vec, size_t item)
{
	AnyVec a;
	char *p;

	memcpy(&a, vec, sizeof(a));
	if (a.n == a.cap)
	{
		int cap = a.cap ? a.cap * 2 : 4;

		p = ctx_alloc(cx, item * (size_t) cap);
		if (a.n > 0)
			memcpy(p, a.v, item * (size_t) a.n);
		a.v = p;
		a.cap = cap;
	}
	p = (char *) a.v + item * (size_t) a.n++;
	memcpy(vec, &a, sizeof(a));
	return p;
}

/*
 * The excerpt that Salesforce puts in front of a message: the line with up to four words before the
 * place and a few after it, and the marker below.
 */
static void
add_marker(Buf *b, const char *text, int len, int pos)
{
	int row = 1, line = 0, start, end, words;

	if (pos > len)
		pos = len;
	for (int i = 0; i < pos; i++)
		if (text[i] == '\n')
		{
			row++;
			line = i + 1;
		}
	start = pos;
	for (words = 0; start > line; start--)
		if (text[start - 1] == ' ' && start < pos && text[start] != ' ' && ++words == 4)
			break;
	end = pos;
	for (words = 0; end < len && text[end] != '\n'; end++)
		if (text[end] == ' ' && ++words == 5)
			break;
	buf_addc(b, '\n');
	buf_add(b, text + start, (size_t) (end - start));
	buf_addc(b, '\n');
	for (int i = start; i < pos; i++)
		if (((unsigned char) text[i] & 0xC0) != 0x80)
			buf_addc(b, ' ');
	buf_addf(b, "^\nERROR at Row:%d:Column:%d\n", row, pos - line + 1);
}

void
soql_fail(Ctx *cx, const char *code, int pos, const char *fmt, ...)
{
	Buf b;
	va_list ap;
	char *text;
	int n;

	buf_init(&b);
	if (pos >= 0)
		add_marker(&b, cx->text, cx->len, pos);
	va_start(ap, fmt);
	n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	text = malloc((size_t) n + 1);
	if (text == NULL)
		abort();
	va_start(ap, fmt);
	vsnprintf(text, (size_t) n + 1, fmt, ap);
	va_end(ap);
	buf_add(&b, text, (size_t) n);
	free(text);
	snprintf(cx->err->code, sizeof(cx->err->code), "%s", code);
	cx->err->message = buf_detach(&b);
	longjmp(cx->env, 1);
}

void
soql_error_free(SoqlError *e)
{
	free(e->message);
	e->message = NULL;
	e->code[0] = '\0';
}

static bool
is_digit(int c)
{
	return c >= '0' && c <= '9';
}

static bool
is_name_start(int c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool
is_name(int c)
{
	return is_name_start(c) || is_digit(c) || c == '_';
}

/* True if the text at p has the shape: d a digit, anything else itself. */
static bool
has_shape(const char *p, const char *end, const char *shape)
{
	for (; *shape; shape++, p++)
		if (p >= end || (*shape == 'd' ? !is_digit(*p) : *p != *shape))
			return false;
	return true;
}

/* Length of a zone (Z, +01:00, +0100) at p; 0 if there is none. */
static int
zone_length(const char *p, const char *end)
{
	if (p < end && (*p == 'Z' || *p == 'z'))
		return 1;
	if (has_shape(p, end, "+dd:dd") || has_shape(p, end, "-dd:dd"))
		return 6;
	if (has_shape(p, end, "+dddd") || has_shape(p, end, "-dddd"))
		return 5;
	return 0;
}

/* hh:mm:ss[.f...]zone at p; 0 if it is none. */
static int
time_length(const char *p, const char *end)
{
	const char *q = p + 8;
	int zone;

	if (!has_shape(p, end, "dd:dd:dd"))
		return 0;
	if (q < end && *q == '.')
	{
		q++;
		if (q >= end || !is_digit(*q))
			return 0;
		while (q < end && is_digit(*q))
			q++;
	}
	zone = zone_length(q, end);
	return zone ? (int) (q - p) + zone : 0;
}

/* A token that begins with a digit (or a point and a digit): number, date, datetime or time. */
static int
lex_number(const char *p, const char *end, TokenKind *kind)
{
	const char *q = p;
	int n;

	if (has_shape(p, end, "dddd-dd-dd"))
	{
		if (p + 10 < end && p[10] == 'T' && (n = time_length(p + 11, end)) > 0)
		{
			*kind = TK_DATETIME;
			return 11 + n;
		}
		*kind = TK_DATE;
		return 10;
	}
	if ((n = time_length(p, end)) > 0)
	{
		*kind = TK_TIME;
		return n;
	}
	*kind = TK_INT;
	while (q < end && is_digit(*q))
		q++;
	if (q + 1 < end && *q == '.' && is_digit(q[1]))
	{
		*kind = TK_DECIMAL;
		q++;
		while (q < end && is_digit(*q))
			q++;
	}
	return (int) (q - p);
}

/* The end of the string literal at p, past its closing quote. */
static const char *
lex_string(Ctx *cx, const char *p, const char *end)
{
	const char *q = p + 1;

	while (q < end && *q != '\'')
		q += (*q == '\\' && q + 1 < end) ? 2 : 1;
	if (q >= end)
		soql_fail(cx, "MALFORMED_QUERY", (int) (p - cx->text), "unexpected token: '<EOF>'");
	return q + 1;
}

static bool
two_char_operator(const char *p, const char *end)
{
	return p + 1 < end &&
		   ((*p == '!' && p[1] == '=') || (*p == '<' && (p[1] == '=' || p[1] == '>')) ||
			(*p == '>' && p[1] == '='));
}

/* Length of the UTF-8 character at p, or 0 if the bytes are none. */
static int
utf8_length(const unsigned char *p, const unsigned char *end)
{
	int n = *p < 0x80 ? 1 : *p < 0xC2 ? 0 : *p < 0xE0 ? 2 : *p < 0xF0 ? 3 : *p < 0xF5 ? 4 : 0;

	if (n == 0 || end - p < n)
		return 0;
	for (int i = 1; i < n; i++)
		if ((p[i] & 0xC0) != 0x80)
			return 0;
	if (n == 3 && ((*p == 0xE0 && p[1] < 0xA0) || (*p == 0xED && p[1] >= 0xA0)))
		return 0;
	if (n == 4 && ((*p == 0xF0 && p[1] < 0x90) || (*p == 0xF4 && p[1] >= 0x90)))
		return 0;
	return n;
}

/* Characters of the statement; what is not UTF-8 is refused, so that messages can quote it. */
static int
count_characters(Ctx *cx)
{
	const unsigned char *p = (const unsigned char *) cx->text, *end = p + cx->len;
	int chars = 0, n;

	for (; p < end; p += n, chars++)
		if ((n = utf8_length(p, end)) == 0)
			soql_fail(cx, "MALFORMED_QUERY", -1, "The query is not valid UTF-8");
	return chars;
}

/* Fills cx->tokens, closed by a TK_EOF. */
void
lex_statement(Ctx *cx)
{
	const char *p = cx->text, *end = cx->text + cx->len;
	VEC(Token) toks = {0};
	Token *t;

	if (count_characters(cx) > SOQL_MAX_TEXT)
		soql_fail(cx, "MALFORMED_QUERY", -1, "SOQL statements can not be longer than %d characters.",
				  SOQL_MAX_TEXT);
	while (p < end)
	{
		TokenKind kind;
		int n;

		if (*p == ' ' || *p == '\t' || *p == '\n' || *p == '\r')
		{
			p++;
			continue;
		}
		if (is_name_start(*p))
		{
			kind = TK_NAME;
			for (n = 1; p + n < end && is_name(p[n]);)
				n++;
		}
		else if (is_digit(*p) || (*p == '.' && p + 1 < end && is_digit(p[1])))
			n = lex_number(p, end, &kind);
		else if (*p == '\'')
		{
			kind = TK_STRING;
			n = (int) (lex_string(cx, p, end) - p);
		}
		else if (*p != '\0' && (two_char_operator(p, end) || strchr("(),.:+-=<>", *p)))
		{
			kind = TK_PUNCT;
			n = two_char_operator(p, end) ? 2 : 1;
		}
		else
		{
			for (n = 1; p + n < end && ((unsigned char) p[n] & 0xC0) == 0x80;)
				n++;
			soql_fail(cx, "MALFORMED_QUERY", (int) (p - cx->text), "unexpected token: '%.*s'", n,
					  p);
		}
		t = PUSH(cx, toks);
		t->kind = kind;
		t->pos = (int) (p - cx->text);
		t->len = n;
		p += n;
	}
	t = PUSH(cx, toks);
	t->kind = TK_EOF;
	t->pos = cx->len;
	cx->tokens = toks.v;
	cx->n_tokens = toks.n;
}

static int
hex_value(int c)
{
	if (is_digit(c))
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static int
put_utf8(char *out, unsigned cp)
{
	if (cp < 0x80)
	{
		out[0] = (char) cp;
		return 1;
	}
	if (cp < 0x800)
	{
		out[0] = (char) (0xC0 | cp >> 6);
		out[1] = (char) (0x80 | (cp & 0x3F));
		return 2;
	}
	if (cp < 0x10000)
	{
		out[0] = (char) (0xE0 | cp >> 12);
		out[1] = (char) (0x80 | (cp >> 6 & 0x3F));
		out[2] = (char) (0x80 | (cp & 0x3F));
		return 3;
	}
	out[0] = (char) (0xF0 | cp >> 18);
	out[1] = (char) (0x80 | (cp >> 12 & 0x3F));
	out[2] = (char) (0x80 | (cp >> 6 & 0x3F));
	out[3] = (char) (0x80 | (cp & 0x3F));
	return 4;
}

/* The four digits after \u at p; fails where they are none or stand for a NUL. */
static unsigned
hex4(Ctx *cx, const char *p, const char *end)
{
	unsigned v = 0;

	for (int i = 0; i < 4; i++)
	{
		int h = p + i < end ? hex_value(p[i]) : -1;

		if (h < 0)
			soql_fail(cx, "MALFORMED_QUERY", (int) (p - cx->text) - 2,
					  "Illegal string literal: invalid Unicode escape");
		v = v * 16 + (unsigned) h;
	}
	if (v == 0)
		soql_fail(cx, "MALFORMED_QUERY", (int) (p - cx->text) - 2,
				  "Illegal string literal: invalid Unicode escape");
	return v;
}

/*
 * The value of a string token.  For LIKE the result is a pattern in which \ stands before every
 * character that is meant literally: \_ \% and \\ stay as they are.
 */
Slice
lex_decode(Ctx *cx, const Token *t, bool like)
{
	const char *p = cx->text + t->pos + 1, *end = cx->text + t->pos + t->len - 1;
	char *out = ctx_alloc(cx, (size_t) t->len + 1);
	Slice s = {out, 0};
	int chars = 0;

	while (p < end)
	{
		static const char from[] = "nrtbf\"'\\";
		static const char to[] = "\n\r\t\b\f\"'\\";
		const char *hit;
		unsigned cp;

		if (*p != '\\')
		{
			chars += ((unsigned char) *p & 0xC0) != 0x80;
			*out++ = *p++;
			continue;
		}
		p++;
		chars++;
		if (p >= end)
			soql_fail(cx, "MALFORMED_QUERY", t->pos, "Illegal string literal");
		if (like && (*p == '_' || *p == '%' || *p == '\\'))
		{
			*out++ = '\\';
			*out++ = *p++;
		}
		else if (*p == 'u' || *p == 'U')
		{
			cp = hex4(cx, p + 1, end);
			p += 5;
			if (cp >= 0xD800 && cp < 0xDC00 && p + 1 < end && p[0] == '\\' && (p[1] | 0x20) == 'u')
			{
				unsigned low = hex4(cx, p + 2, end);

				if (low >= 0xDC00 && low < 0xE000)
				{
					cp = 0x10000 + ((cp - 0xD800) << 10) + (low - 0xDC00);
					p += 6;
				}
			}
			if (cp >= 0xD800 && cp < 0xE000)
				soql_fail(cx, "MALFORMED_QUERY", t->pos,
						  "Illegal string literal: invalid Unicode escape");
			out += put_utf8(out, cp);
		}
		else if (*p != '\0' && (hit = strchr(from, is_name_start(*p) ? *p | 0x20 : *p)) != NULL)
		{
			*out++ = to[hit - from];
			p++;
		}
		else
			soql_fail(
				cx, "MALFORMED_QUERY", (int) (p - cx->text) - 1,
				"Invalid string literal '%.*s'. Illegal character sequence '\\%.*s' in string "
				"literal.",
				t->len - 2, cx->text + t->pos + 1,
				utf8_length((const unsigned char *) p, (const unsigned char *) end), p);
	}
	s.n = (size_t) (out - s.p);
	if (chars > SOQL_MAX_STRING)
		soql_fail(cx, "MALFORMED_QUERY", t->pos,
				  "String literals cannot be longer than %d characters.", SOQL_MAX_STRING);
	if (memchr(s.p, 0, s.n))
		soql_fail(cx, "MALFORMED_QUERY", t->pos, "Illegal string literal");
	return s;
}
