/*
 * rest_search.c - search: SOSL, over the same rows as SOQL.
 *
 * A search finds whole words (a star ends or begins a longer one), without case, in the text fields
 * of an object; what it returns is then a SOQL statement of its own.  Must not know: libmicrohttpd,
 * SQLite.
 */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "config.h"
#include "rest.h"
#include "soql.h"

#define MAX_WORDS 16
#define MAX_RESULTS 2000

typedef struct Search
{
	Request *r;
	Response *w;
	char *words[MAX_WORDS]; /* as typed, stars and all */
	int n_words;
	char scope; /* A, N, E, P */
	long limit;
	Buf out;
	long found;
	bool failed;
} Search;

static bool
malformed(Search *s, const char *fmt, const char *what)
{
	s->failed = true;
	res_errorf(s->w, 400, "MALFORMED_SEARCH", fmt, what);
	return false;
}

static const char *
skip(const char *p)
{
	return p + strspn(p, " \t\r\n");
}

static bool
keyword(const char **p, const char *word)
{
	size_t n = strlen(word);

	if (strncasecmp(*p, word, n) != 0 || isalnum((unsigned char) (*p)[n]) || (*p)[n] == '_')
		return false;
	*p = skip(*p + n);
	return true;
}

/* Is it a part of a word?  What is beyond ASCII is. */
static bool
in_word(char c)
{
	return isalnum((unsigned char) c) || (unsigned char) c >= 0x80 || c == '_';
}

/* FIND {...}: words, which must all be there; false with the answer filled. */
static bool
read_words(Search *s, const char **p)
{
	Buf word;

	if (**p != '{')
		return malformed(s, "line 1:5 no viable alternative at '%.10s'", *p);
	(*p)++;
	buf_init(&word);
	for (;; (*p)++)
	{
		char c = **p;

		if (c == '\\' && (*p)[1] != '\0')
			c = *++*p;
		else if (c == '\0')
		{
			buf_free(&word);
			return malformed(s, "line 1:%s mismatched character '<EOF>' expecting '}'", "0");
		}
		else if (c == '}' || (!in_word(c) && c != '*' && c != '?'))
		{
			if (word.len > 0 && s->n_words < MAX_WORDS && strcasecmp(word.data, "and") != 0)
				s->words[s->n_words++] = strdup(word.data);
			buf_clear(&word);
			if (c == '}')
				break;
			continue;
		}
		buf_addc(&word, c);
	}
	buf_free(&word);
	*p = skip(*p + 1);
	for (int i = 0; i < s->n_words; i++)
		if (strcasecmp(s->words[i], "or") == 0 || strcasecmp(s->words[i], "not") == 0)
			return malformed(s, "this org searches for words that must all be there, without %s",
							 s->words[i]);
	for (int i = 0; i < s->n_words; i++)
		if (strlen(s->words[i]) < 2)
			return malformed(s, "search term must be longer than one character: %s", s->words[i]);
	if (s->n_words == 0)
		return malformed(s, "search term must be longer than one character: %s", "");
	return true;
}

static bool
searched(const Search *s, const Field *f)
{
	if (!f->stored || !f->filterable || !schema_seen(f))
		return false;
	switch (s->scope)
	{
		case 'N':
			return f->name_field;
		case 'E':
			return f->type == FT_EMAIL;
		case 'P':
			return f->type == FT_PHONE;
		default:
			return f->type == FT_STRING || f->type == FT_TEXTAREA || f->type == FT_EMAIL ||
				   f->type == FT_PHONE || f->type == FT_URL;
	}
}

/* Does a text hold a word that fits the pattern? */
static bool
fits(const char *pattern, const char *word, size_t len)
{
	if (*pattern == '\0')
		return len == 0;
	if (*pattern == '*')
	{
		for (size_t i = 0; i <= len; i++)
			if (fits(pattern + 1, word + i, len - i))
				return true;
		return false;
	}
	return len > 0 &&
		   (*pattern == '?' ||
			tolower((unsigned char) *pattern) == tolower((unsigned char) *word)) &&
		   fits(pattern + 1, word + 1, len - 1);
}

static bool
holds(const char *text, const char *pattern)
{
	while (*text)
	{
		size_t n = 0;

		while (in_word(text[n]))
			n++;
		if (n > 0 && fits(pattern, text, n))
			return true;
		text += n ? n : 1;
	}
	return false;
}

/* Runs a statement; its records (at most so many; -1: all) into out; false with the answer filled.
 */
static bool
run(Search *s, const char *soql, Buf *out, long *count, long most)
{
	SoqlOptions opt = {false, s->r->version, config.readings};
	SoqlError e = {0};
	SoqlCursor *c = soql_open(soql, strlen(soql), &opt, &e);

	if (c == NULL)
	{
		s->failed = true;
		res_error(s->w, 400, e.code, e.message);
		soql_error_free(&e);
		return false;
	}
	*count = (long) soql_total(c);
	if (most >= 0 && *count > most)
		*count = most;
	if (*count > 0)
		soql_render(c, 0, *count, out);
	soql_close(c);
	return true;
}

/* The Ids of the object's rows that hold every word, as a list for IN. */
static bool
find_rows(Search *s, const Object *o, Buf *ids)
{
	Buf soql;
	Buf records;
	json_object *list;
	long count = 0;
	bool any = false;

	buf_init(&soql);
	buf_init(&records);
	buf_adds(&soql, "SELECT Id");
	for (int i = 0; i < o->n_fields; i++)
		if (searched(s, &o->fields[i]) && strcmp(o->fields[i].name, "Id") != 0)
		{
			buf_addf(&soql, ", %s", o->fields[i].name);
			any = true;
		}
	buf_addf(&soql, " FROM %s", o->name);
	buf_addc(&records, '[');
	if (any && !run(s, soql.data, &records, &count, -1))
	{
		buf_free(&records);
		buf_free(&soql);
		return false;
	}
	buf_addc(&records, ']');
	list = json_tokener_parse(records.data);
	for (size_t i = 0; list != NULL && i < json_object_array_length(list); i++)
	{
		json_object *record = json_object_array_get_idx(list, i);
		json_object *id = NULL;
		int hits = 0;

		for (int k = 0; k < s->n_words; k++)
		{
			json_object_object_foreach(record, key, value)
			{
				if (strcmp(key, "Id") == 0 || !json_object_is_type(value, json_type_string))
					continue;
				if (holds(json_object_get_string(value), s->words[k]))
				{
					hits++;
					break;
				}
			}
		}
		if (hits == s->n_words && json_object_object_get_ex(record, "Id", &id))
			buf_addf(ids, "%s'%s'", ids->len ? "," : "", json_object_get_string(id));
	}
	json_object_put(list);
	buf_free(&records);
	buf_free(&soql);
	return true;
}

/* Where the list of fields ends: at a WHERE, ORDER, LIMIT or OFFSET outside quotes and brackets. */
static const char *
fields_end(const char *p, const char *end)
{
	static const char *const words[] = {"WHERE", "ORDER", "LIMIT", "OFFSET", "USING"};

	for (; p < end; p++)
	{
		if (!isspace((unsigned char) *p))
			continue;
		for (int i = 0; i < 5; i++)
		{
			size_t n = strlen(words[i]);

			if (p + 1 + n <= end && strncasecmp(p + 1, words[i], n) == 0 && !in_word(p[1 + n]))
				return p;
		}
	}
	return end;
}

/* One object: its rows that were found, as its bracket says. */
static bool
return_object(Search *s, const Object *o, const char *inner, const char *end)
{
	const char *rest = inner ? fields_end(inner, end) : NULL;
	const char *where = rest ? skip(rest) : NULL;
	Buf ids;
	Buf soql;
	Buf records;
	long count = 0;
	bool ok = true;

	if (!o->searchable)
	{
		s->failed = true;
		res_errorf(s->w, 400, "INVALID_SEARCH_SCOPE", "entity type %s does not support search",
				   o->name);
		return false;
	}
	buf_init(&ids);
	buf_init(&soql);
	buf_init(&records);
	if (!find_rows(s, o, &ids))
	{
		buf_free(&ids);
		return false;
	}
	buf_adds(&soql, "SELECT ");
	if (inner && rest > skip(inner))
		buf_add(&soql, inner, (size_t) (rest - inner));
	else
		buf_adds(&soql, "Id");
	buf_addf(&soql, " FROM %s WHERE ", o->name);
	if (ids.len > 0)
		buf_addf(&soql, "Id IN (%s)", ids.data);
	else
		buf_adds(&soql, "Id = null");
	if (rest && rest < end)
	{
		if (strncasecmp(where, "WHERE", 5) == 0)
		{
			const char *tail = where + 5;
			const char *order = tail;
			const char *next;

			/* The condition ends where the next clause begins. */
			next = fields_end(order, end);
			buf_adds(&soql, " AND (");
			buf_add(&soql, tail, (size_t) (next - tail));
			buf_addc(&soql, ')');
			buf_add(&soql, next, (size_t) (end - next));
		}
		else
			buf_add(&soql, rest, (size_t) (end - rest));
	}
	buf_addc(&records, '[');
	ok = run(s, soql.data, &records, &count, MAX_RESULTS);
	if (ok && count > 0)
	{
		json_object *list;

		buf_addc(&records, ']');
		list = json_tokener_parse(records.data);
		for (size_t i = 0; list && i < json_object_array_length(list) && s->found < s->limit; i++)
			buf_addf(&s->out, "%s%s", s->found++ ? "," : "",
					 json_object_to_json_string_ext(json_object_array_get_idx(list, i),
													JSON_C_TO_STRING_PLAIN |
														JSON_C_TO_STRING_NOSLASHESCAPE));
		json_object_put(list);
	}
	buf_free(&ids);
	buf_free(&soql);
	buf_free(&records);
	return ok;
}

/* RETURNING Account(Name WHERE ...), Contact */
static bool
returning(Search *s, const char **p)
{
	for (;;)
	{
		size_t n = 0;
		const Object *o;
		const char *inner = NULL;
		const char *end = NULL;

		while (in_word((*p)[n]))
			n++;
		o = schema_find(*p, n);
		if (n == 0)
			return malformed(s, "line 1:0 no viable alternative at '%.10s'", *p);
		if (o == NULL || !o->queryable)
		{
			s->failed = true;
			res_errorf(s->w, 400, "INVALID_TYPE", "sObject type '%.*s' is not supported.", (int) n,
					   *p);
			return false;
		}
		*p = skip(*p + n);
		if (**p == '(')
		{
			int depth = 1;
			bool quoted = false;

			inner = ++*p;
			for (end = inner; *end && depth > 0; end++)
			{
				if (*end == '\\' && quoted && end[1])
					end++;
				else if (*end == '\'')
					quoted = !quoted;
				else if (!quoted && *end == '(')
					depth++;
				else if (!quoted && *end == ')')
					depth--;
			}
			if (depth > 0)
				return malformed(s, "line 1:0 mismatched input '<EOF>' expecting %s", "RPAREN");
			*p = skip(end);
			end--;
		}
		if (!return_object(s, o, inner, end))
			return false;
		if (**p != ',')
			return true;
		*p = skip(*p + 1);
	}
}

/* A LIMIT stands behind what it limits. */
static long
limit_of(const char *p)
{
	const char *last = NULL;
	int depth = 0;

	for (; *p; p++)
	{
		depth += (*p == '(') - (*p == ')');
		if (depth == 0 && strncasecmp(p, "LIMIT", 5) == 0 && isspace((unsigned char) p[5]))
			last = p + 5;
	}
	return last ? strtol(last, NULL, 10) : MAX_RESULTS;
}

static void
search(Search *s, const char *sosl)
{
	static const char *const scopes[] = {"ALL", "NAME", "EMAIL", "PHONE", "SIDEBAR"};
	const char *p = skip(sosl);

	if (!keyword(&p, "FIND"))
	{
		malformed(s, "line 1:0 no viable alternative at '%.10s'", p);
		return;
	}
	if (!read_words(s, &p))
		return;
	s->scope = 'A';
	s->limit = limit_of(p);
	if (keyword(&p, "IN"))
	{
		int i = 0;

		while (i < 5 && !keyword(&p, scopes[i]))
			i++;
		if (i == 5 || !keyword(&p, "FIELDS"))
		{
			malformed(s, "line 1:0 no viable alternative at '%.10s'", p);
			return;
		}
		s->scope = i == 4 ? 'N' : scopes[i][0];
	}
	if (keyword(&p, "RETURNING"))
	{
		if (!returning(s, &p))
			return;
	}
	else
	{
		for (int i = 0; i < schema_count() && !s->failed; i++)
			if (schema_object(i)->searchable && schema_object(i)->queryable)
				return_object(s, schema_object(i), NULL, NULL);
	}
	if (!s->failed && keyword(&p, "LIMIT"))
		p = skip(p + strspn(p, "0123456789"));
	if (!s->failed && *p)
		malformed(s, "line 1:0 unexpected token: '%.20s'", p);
}

void
rest_search(Request *r, Response *w)
{
	const char *q = req_param(r, "q");
	Search s = {0};

	if (!is_get(r))
	{
		res_not_allowed(w, r, "HEAD,GET");
		return;
	}
	if (q == NULL || *skip(q) == '\0')
	{
		res_error(w, 400, "MALFORMED_SEARCH", "A search string is required");
		return;
	}
	s.r = r;
	s.w = w;
	buf_init(&s.out);
	search(&s, q);
	if (!s.failed)
	{
		w->status = 200;
		buf_adds(&w->body, "{\"searchRecords\":[");
		buf_add(&w->body, s.out.data ? s.out.data : "", s.out.len);
		buf_adds(&w->body, "]}");
	}
	for (int i = 0; i < s.n_words; i++)
		free(s.words[i]);
	buf_free(&s.out);
}
