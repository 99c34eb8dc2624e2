/*
 * event_filter.c - filter expressions: parsing, and what they say of values.
 */
#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "buf.h"
#include "event_filter.h"

#define MAX_DEPTH 50

typedef enum NodeKind
{
	NODE_AND,
	NODE_OR,
	NODE_NOT,
	NODE_COMPARE
} NodeKind;

typedef enum Operator
{
	OP_EQ,
	OP_NE,
	OP_LT,
	OP_LE,
	OP_GT,
	OP_GE,
	OP_LIKE,
	OP_IN,
	OP_NOT_IN
} Operator;

typedef struct Literal
{
	bool null;
	char *text;
	double number;
} Literal;

struct Filter
{
	NodeKind kind;
	Filter *left, *right;
	char *name;
	FilterType type;
	Operator op;
	Literal *values;
	int n_values;
};

typedef struct Parser
{
	const char *p;
	bool query;
	FilterField field;
	void *arg;
	char *why;
	int depth;
} Parser;

static Filter *parse_any(Parser *ps);

static void *
fail(Parser *ps, const char *fmt, ...)
{
	va_list ap;

	if (ps->why == NULL)
	{
		va_start(ap, fmt);
		if (vasprintf(&ps->why, fmt, ap) < 0)
			abort();
		va_end(ap);
	}
	return NULL;
}

void
filter_free(Filter *f)
{
	if (f == NULL)
		return;
	filter_free(f->left);
	filter_free(f->right);
	for (int i = 0; i < f->n_values; i++)
		free(f->values[i].text);
	free(f->values);
	free(f->name);
	free(f);
}

void
filter_names(const Filter *f, void (*seen)(void *arg, const char *name), void *arg)
{
	if (f == NULL)
		return;
	filter_names(f->left, seen, arg);
	filter_names(f->right, seen, arg);
	if (f->kind == NODE_COMPARE)
		seen(arg, f->name);
}

static void
skip(Parser *ps)
{
	ps->p += strspn(ps->p, " \t\r\n");
}

/* The word, if it stands here as one. */
static bool
word(Parser *ps, const char *w)
{
	size_t n = strlen(w);

	skip(ps);
	if (strncasecmp(ps->p, w, n) != 0 || isalnum((unsigned char) ps->p[n]) || ps->p[n] == '_' ||
		ps->p[n] == '.')
		return false;
	ps->p += n;
	return true;
}

static bool
sign(Parser *ps, const char *s)
{
	size_t n = strlen(s);

	skip(ps);
	if (strncmp(ps->p, s, n) != 0)
		return false;
	ps->p += n;
	return true;
}

/* wild: with escapes that are for like() to understand. */
static char *
parse_quoted(Parser *ps, bool wild)
{
	Buf b;

	buf_init(&b);
	buf_adds(&b, "");
	for (ps->p++; *ps->p && *ps->p != '\''; ps->p++)
	{
		static const char from[] = "nrtbf\"'\\";
		static const char to[] = "\n\r\t\b\f\"'\\";
		const char *at;

		if (*ps->p != '\\')
		{
			buf_addc(&b, *ps->p);
			continue;
		}
		if (wild && ps->p[1] != '\0' && strchr("_%\\", ps->p[1]) != NULL)
		{
			buf_add(&b, ps->p++, 2);
			continue;
		}
		at = ps->p[1] && (ps->query || ps->p[1] != '\\') ? strchr(from, ps->p[1]) : NULL;
		if (at == NULL)
		{
			buf_free(&b);
			return fail(ps, "invalid string literal: illegal escape sequence");
		}
		buf_addc(&b, to[at - from]);
		ps->p++;
	}
	if (*ps->p != '\'')
	{
		buf_free(&b);
		return fail(ps, "line 1: string literal is not closed");
	}
	ps->p++;
	if (b.data == NULL)
		return strdup("");
	return buf_detach(&b);
}

/* A date, a time or both to the form in which values are compared; false if it is none. */
static bool
parse_time(const char *s, size_t n, FilterType type, char **out)
{
	char text[64];
	struct tm tm = {0};
	const char *p;
	int h = 0, m = 0;
	time_t t;

	if (n >= sizeof(text))
		return false;
	memcpy(text, s, n);
	text[n] = '\0';
	if (type == FILTER_TIME)
	{
		p = strptime(text, "%H:%M:%S", &tm);
		if (p != NULL && *p == '.')
			p += 1 + strspn(p + 1, "0123456789");
		if (p == NULL || strcmp(p, "Z") != 0)
			return false;
		return asprintf(out, "%02d:%02d:%02d.000Z", tm.tm_hour, tm.tm_min, tm.tm_sec) > 0;
	}
	p = strptime(text, "%Y-%m-%d", &tm);
	if (p == NULL || (type == FILTER_DATE) != (*p == '\0'))
		return false;
	if (type == FILTER_DATE)
		return (*out = strdup(text)) != NULL;
	p = *p == 'T' ? strptime(p + 1, "%H:%M:%S", &tm) : NULL;
	if (p == NULL || (*p != 'Z' && sscanf(p, "%*1[+-]%2d:%2d", &h, &m) != 2) ||
		(*p == 'Z' && p[1] != '\0'))
		return false;
	t = timegm(&tm) - (*p == '-' ? -1 : 1) * (h * 3600 + m * 60);
	gmtime_r(&t, &tm);
	*out = malloc(32);
	return *out && strftime(*out, 32, "%Y-%m-%dT%H:%M:%S.000Z", &tm) > 0;
}

static bool
parse_literal(Parser *ps, const Filter *f, Literal *v)
{
	size_t n;
	char *end;

	memset(v, 0, sizeof(*v));
	if (word(ps, "null"))
	{
		v->null = true;
		return true;
	}
	skip(ps);
	if (*ps->p == '\'')
	{
		if (f->type != FILTER_TEXT && f->type != FILTER_EXACT)
			return fail(ps,
						"filter criteria must be of the type of field '%s' and must not be "
						"enclosed in quotes",
						f->name) != NULL;
		v->text = parse_quoted(ps, f->op == OP_LIKE && ps->query);
		return v->text != NULL;
	}
	if (f->type == FILTER_BOOLEAN)
	{
		v->number = word(ps, "true");
		if (v->number == 0 && !word(ps, "false"))
			return fail(ps, "value of filter criterion for field '%s' must be of type boolean",
						f->name) != NULL;
		return true;
	}
	n = strcspn(ps->p, " \t\r\n,)");
	if (f->type == FILTER_NUMBER)
	{
		v->number = strtod(ps->p, &end);
		if (n == 0 || end != ps->p + n || !strchr("+-.0123456789", *ps->p))
			return fail(ps, "value of filter criterion for field '%s' must be of type double",
						f->name) != NULL;
	}
	else if (f->type == FILTER_TEXT || f->type == FILTER_EXACT)
		return fail(ps,
					"value of filter criterion for field '%s' must be of type string and should be "
					"enclosed in quotes",
					f->name) != NULL;
	else if (!parse_time(ps->p, n, f->type, &v->text))
		return fail(ps, "value of filter criterion for field '%s' must be of type %s", f->name,
					f->type == FILTER_DATE	 ? "date"
					: f->type == FILTER_TIME ? "time"
											 : "dateTime") != NULL;
	ps->p += n;
	return true;
}

static bool
add_literal(Parser *ps, Filter *f)
{
	Literal v;

	if (!parse_literal(ps, f, &v))
		return false;
	f->values = realloc(f->values, sizeof(Literal) * (size_t) (f->n_values + 1));
	f->values[f->n_values++] = v;
	return true;
}

static bool
parse_operator(Parser *ps, Operator *op)
{
	static const struct
	{
		const char *text;
		Operator op;
	} signs[] = {{"!=", OP_NE}, {"<=", OP_LE}, {">=", OP_GE},
				 {"=", OP_EQ},	{"<", OP_LT},  {">", OP_GT}};

	if (sign(ps, "<>"))
		return fail(ps, "unexpected token: '<>'") != NULL;
	for (size_t i = 0; i < sizeof(signs) / sizeof(signs[0]); i++)
	{
		if (sign(ps, signs[i].text))
		{
			*op = signs[i].op;
			return true;
		}
	}
	*op = OP_LIKE;
	if (word(ps, "LIKE"))
		return true;
	*op = OP_IN;
	if (word(ps, "IN"))
		return true;
	*op = OP_NOT_IN;
	if (word(ps, "NOT") && word(ps, "IN"))
		return true;
	return fail(ps, "unexpected token: '%.*s'", (int) strcspn(ps->p, " \t\r\n"), ps->p) != NULL;
}

/* What an operator can be used with. */
static bool
fits(Parser *ps, const Filter *f)
{
	bool ordered = f->op >= OP_LT && f->op <= OP_GE;

	if (f->type == FILTER_BOOLEAN && f->op != OP_EQ && f->op != OP_NE)
		return fail(ps, "invalid operator on boolean field '%s'", f->name) != NULL;
	if (f->op == OP_LIKE && f->type != FILTER_TEXT && f->type != FILTER_EXACT)
		return fail(ps, "invalid operator on %s field '%s'",
					f->type == FILTER_NUMBER ? "number" : "date", f->name) != NULL;
	if ((ordered || f->op == OP_LIKE) && f->values[0].null)
		return fail(ps, "null can only be compared with = and !=: field '%s'", f->name) != NULL;
	return true;
}

static bool
parse_values(Parser *ps, Filter *f)
{
	if (f->op != OP_IN && f->op != OP_NOT_IN)
		return add_literal(ps, f);
	if (!sign(ps, "("))
		return fail(ps, "expecting a left parentheses, found '%.*s'",
					(int) strcspn(ps->p, " \t\r\n"), ps->p) != NULL;
	do
	{
		if (!add_literal(ps, f))
			return false;
	} while (sign(ps, ","));
	if (!sign(ps, ")"))
		return fail(ps, "expecting a right parentheses, found '%.*s'",
					(int) strcspn(ps->p, " \t\r\n"), ps->p) != NULL;
	return true;
}

static Filter *
parse_compare(Parser *ps)
{
	Filter *f = calloc(1, sizeof(Filter));
	size_t n;

	skip(ps);
	n = strspn(ps->p, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.");
	f->kind = NODE_COMPARE;
	f->name = strndup(ps->p, n);
	if (n == 0 || !isalpha((unsigned char) *ps->p))
		fail(ps, "unexpected token: '%.*s'", (int) strcspn(ps->p, " \t\r\n"), ps->p);
	else
	{
		char *why = NULL;

		ps->p += n;
		if (!ps->field(ps->arg, f->name, &f->type, &why))
		{
			fail(ps, "%s", why ? why : f->name);
			free(why);
		}
		else if (parse_operator(ps, &f->op) && parse_values(ps, f) && fits(ps, f))
			return f;
	}
	filter_free(f);
	return NULL;
}

static Filter *
parse_one(Parser *ps)
{
	Filter *f;

	if (++ps->depth > MAX_DEPTH)
		return fail(ps, "the expression is too complicated");
	if (word(ps, "NOT"))
	{
		Filter *inner = parse_one(ps);

		if (inner == NULL)
			return NULL;
		f = calloc(1, sizeof(Filter));
		f->kind = NODE_NOT;
		f->left = inner;
	}
	else if (sign(ps, "("))
	{
		f = parse_any(ps);
		if (f != NULL && !sign(ps, ")"))
		{
			filter_free(f);
			return fail(ps, "expecting a right parentheses, found '%.*s'",
						(int) strcspn(ps->p, " \t\r\n"), ps->p);
		}
	}
	else
		f = parse_compare(ps);
	ps->depth--;
	return f;
}

/* As in SOQL, AND and OR are not mixed without parentheses. */
static Filter *
parse_any(Parser *ps)
{
	Filter *f = parse_one(ps);
	bool first = true;
	NodeKind kind = NODE_AND;

	while (f != NULL)
	{
		bool and = word(ps, "AND");
		Filter *both;

		if (!and&&!word(ps, "OR"))
			break;
		if (!first && kind != (and? NODE_AND : NODE_OR))
		{
			filter_free(f);
			return fail(ps, "unexpected token: '%s'", and? "AND" : "OR");
		}
		first = false;
		kind = and? NODE_AND : NODE_OR;
		both = calloc(1, sizeof(Filter));
		both->kind = kind;
		both->left = f;
		both->right = parse_one(ps);
		f = both;
		if (both->right == NULL)
		{
			filter_free(both);
			return NULL;
		}
	}
	return f;
}

Filter *
filter_parse(const char *text, bool query, FilterField field, void *arg, char **why)
{
	Parser ps = {.p = text, .query = query, .field = field, .arg = arg};
	Filter *f;

	*why = NULL;
	skip(&ps);
	if (*ps.p == '\0')
		return NULL;
	f = parse_any(&ps);
	skip(&ps);
	if (f != NULL && *ps.p != '\0')
	{
		fail(&ps, "unexpected token: '%.*s'", (int) strcspn(ps.p, " \t\r\n"), ps.p);
		filter_free(f);
		f = NULL;
	}
	*why = ps.why;
	return f;
}

/* % any number of characters, _ one; texts are UTF-8. */
static bool
like(const char *s, const char *pattern, bool exact)
{
	for (; *pattern; pattern++)
	{
		bool escaped = *pattern == '\\' && pattern[1] != '\0';

		pattern += escaped;
		if (*pattern == '%' && !escaped)
		{
			while (*pattern == '%')
				pattern++;
			for (;; s++)
			{
				if (like(s, pattern, exact))
					return true;
				if (*s == '\0')
					return false;
			}
		}
		if (*s == '\0')
			return false;
		if (*pattern == '_' && !escaped)
		{
			do
				s++;
			while ((*s & 0xc0) == 0x80);
			continue;
		}
		if (exact ? *s != *pattern
				  : tolower((unsigned char) *s) != tolower((unsigned char) *pattern))
			return false;
		s++;
	}
	return *s == '\0';
}

static int
compare(const Filter *f, const FilterValue *a, const Literal *b)
{
	if (f->type == FILTER_NUMBER || f->type == FILTER_BOOLEAN)
		return (a->number > b->number) - (a->number < b->number);
	return f->type == FILTER_TEXT ? strcasecmp(a->text, b->text) : strcmp(a->text, b->text);
}

static bool
same(const Filter *f, const FilterValue *a, const Literal *b)
{
	/* a checkbox is never null, and '' is */
	bool null_b = b->null || (b->text != NULL && *b->text == '\0');

	if (f->type == FILTER_BOOLEAN)
		return (a->null ? 0 : a->number) == (b->null ? 0 : b->number);
	if (a->null || null_b)
		return a->null && null_b;
	return compare(f, a, b) == 0;
}

static bool
match_compare(const Filter *f, FilterLookup lookup, void *arg)
{
	FilterValue a = lookup(arg, f->name);
	bool among = false;

	for (int i = 0; i < f->n_values && !among; i++)
		among = f->op != OP_LIKE && (f->op < OP_LT || f->op > OP_GE) && same(f, &a, &f->values[i]);
	switch (f->op)
	{
		case OP_EQ:
		case OP_IN:
			return among;
		case OP_NE:
		case OP_NOT_IN:
			return !among;
		case OP_LIKE:
			return !a.null && like(a.text, f->values[0].text, f->type == FILTER_EXACT);
		default:
			break;
	}
	if (a.null)
		return false;
	switch (f->op)
	{
		case OP_LT:
			return compare(f, &a, &f->values[0]) < 0;
		case OP_LE:
			return compare(f, &a, &f->values[0]) <= 0;
		case OP_GT:
			return compare(f, &a, &f->values[0]) > 0;
		default:
			return compare(f, &a, &f->values[0]) >= 0;
	}
}

bool
filter_match(const Filter *f, FilterLookup lookup, void *arg)
{
	if (f == NULL)
		return true;
	switch (f->kind)
	{
		case NODE_AND:
			return filter_match(f->left, lookup, arg) && filter_match(f->right, lookup, arg);
		case NODE_OR:
			return filter_match(f->left, lookup, arg) || filter_match(f->right, lookup, arg);
		case NODE_NOT:
			return !filter_match(f->left, lookup, arg);
		default:
			return match_compare(f, lookup, arg);
	}
}
