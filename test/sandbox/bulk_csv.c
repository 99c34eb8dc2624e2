/*
 * bulk_csv.c - CSV as clients upload it: rows of cells, one after the other.
 *
 * Must not know: Salesforce, HTTP.
 */
#include <stdlib.h>
#include <string.h>

#include "bulk_csv.h"

void
csv_open(CsvReader *c, const char *text, size_t len, char delimiter, bool crlf)
{
	/* a byte order mark is a part of the first name, as the real one takes it */
	c->at = text;
	c->end = text + len;
	c->delimiter = delimiter;
	c->crlf = crlf;
}

static void
add_cell(CsvRow *row)
{
	if (row->n + 2 > row->cap)
	{
		row->cap = row->cap ? row->cap * 2 : 32;
		row->starts = realloc(row->starts, sizeof(*row->starts) * (size_t) row->cap);
		if (row->starts == NULL)
			abort();
	}
	buf_addc(&row->text, '\0');
	row->starts[++row->n] = row->text.len;
}

/* Length of the line end here; 0 if there is none. */
static size_t
line_end(const CsvReader *c, const char *p)
{
	if (!c->crlf)
		return *p == '\n' ? 1 : 0;
	return *p == '\r' && p + 1 < c->end && p[1] == '\n' ? 2 : 0;
}

/* The first error counts, and one that is more than blanks counts most. */
static void
spoil(CsvRow *row, const char *error, bool blanks)
{
	if (row->error != NULL && (blanks || !row->blanks))
		return;
	row->error = error;
	row->blanks = blanks;
}

/* What is between the two is blank. */
static bool
blank(const char *from, const char *to)
{
	while (from < to && *from == ' ')
		from++;
	return from == to;
}

/* Reads a cell that begins with a quote; leaves the reader behind its last one. */
static void
quoted_cell(CsvReader *c, CsvRow *row)
{
	const char *p = c->at + 1;

	for (;;)
	{
		const char *quote = memchr(p, '"', (size_t) (c->end - p));

		if (quote == NULL)
		{
			buf_add(&row->text, p, (size_t) (c->end - p));
			c->at = c->end;
			spoil(row, "EOF reached before closing an opened quote", false);
			return;
		}
		buf_add(&row->text, p, (size_t) (quote - p));
		p = quote + 1;
		if (p >= c->end || *p != '"')
			break;
		buf_addc(&row->text, '"');
		p++;
	}
	c->at = p;
	if (p < c->end && *p != c->delimiter && line_end(c, p) == 0)
	{
		const char *q = p;

		while (q < c->end && *q != c->delimiter && line_end(c, q) == 0)
			q++;
		/* a line that ends as it should not is the caller's affair */
		if (*p == '\n' || *p == '\r')
			row->other_end = true;
		spoil(row, "Not expecting more text after end quote", blank(p, q));
	}
}

/* Whatever is there up to the next delimiter or line end. */
static void
plain_cell(CsvReader *c, CsvRow *row)
{
	const char *p = c->at;
	bool quote = false;

	while (p < c->end && *p != c->delimiter && line_end(c, p) == 0)
	{
		if (*p == '"' && !quote)
			spoil(row, "Found unescaped quote. A value with quote should be within a quote",
				  blank(c->at, p));
		quote |= *p == '"';
		if ((*p == '\n' && c->crlf) || (*p == '\r' && !c->crlf && p + 1 < c->end && p[1] == '\n'))
			row->other_end = true;
		p++;
	}
	buf_add(&row->text, c->at, (size_t) (p - c->at));
	c->at = p;
}

bool
csv_next(CsvReader *c, CsvRow *row)
{
	while (c->at < c->end && line_end(c, c->at) > 0)
		c->at += line_end(c, c->at);
	if (c->at >= c->end)
		return false;
	buf_clear(&row->text);
	row->n = 0;
	row->error = NULL;
	row->blanks = row->other_end = false;
	if (row->cap == 0)
	{
		add_cell(row);
		row->n = 0;
		buf_clear(&row->text);
	}
	row->starts[0] = 0;
	for (;;)
	{
		if (c->at < c->end && *c->at == '"')
			quoted_cell(c, row);
		if (c->at < c->end && *c->at != c->delimiter && line_end(c, c->at) == 0)
			plain_cell(c, row);
		add_cell(row);
		if (c->at >= c->end)
			return true;
		if (*c->at != c->delimiter)
			break;
		c->at++;
		if (c->at == c->end)
		{
			add_cell(row);
			return true;
		}
	}
	c->at += line_end(c, c->at);
	return true;
}

void
csv_free(CsvRow *row)
{
	buf_free(&row->text);
	free(row->starts);
	memset(row, 0, sizeof(*row));
}

const char *
csv_cell(const CsvRow *row, int i, size_t *len)
{
	*len = row->starts[i + 1] - row->starts[i] - 1;
	return row->text.data + row->starts[i];
}

void
csv_quote(Buf *out, const char *s, size_t n)
{
	buf_reserve(out, n * 2 + 2);
	buf_addc(out, '"');
	for (size_t i = 0; i < n; i++)
	{
		if (s[i] == '"')
			buf_addc(out, '"');
		buf_addc(out, s[i]);
	}
	buf_addc(out, '"');
}
