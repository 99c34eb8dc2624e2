/*
 * fuzz_csv.c - libFuzzer target: the reader of Bulk results.
 *
 * The first byte says how the rest arrives: at once and in pieces, each window in memory of its own
 * size.  Both readings must agree in every row and in the outcome, and no slice may lie outside of
 * the window.  And both must agree with a second reader, which goes byte by byte.
 */
#include "wire/csv_scan.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define NFIELDS 3

extern int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const fields[NFIELDS] = {"Id", "Name", "a.b"};

typedef struct Outcome
{
	AmpsfCsvResult result;
	int rows;
	uint64_t hash;
} Outcome;

static void
take(const AmpsfValue *values, const char *window, size_t len, Outcome *outcome)
{
	outcome->rows++;
	for (int i = 0; i < NFIELDS; i++)
	{
		const AmpsfValue *v = &values[i];
		char *out;
		size_t n;

		outcome->hash = (outcome->hash ^ (v->kind != AMPSF_VALUE_NULL)) * 1099511628211u;
		if (v->kind == AMPSF_VALUE_NULL)
			continue;
		if (v->ptr < window || v->ptr + v->len > window + len)
			abort();
		out = malloc(v->len);
		n = v->kind == AMPSF_VALUE_DOUBLED ? ampsf_csv_unquote(v->ptr, v->len, out) : v->len;
		if (v->kind != AMPSF_VALUE_DOUBLED)
			memcpy(out, v->ptr, n);
		for (size_t j = 0; j < n; j++)
			outcome->hash = (outcome->hash ^ (unsigned char) out[j]) * 1099511628211u;
		free(out);
	}
}

static Outcome
read_all(const char *text, size_t len, size_t step)
{
	AmpsfCsvScan *scan = ampsf_csv_scan_create(fields, NFIELDS, ',');
	Outcome outcome = {AMPSF_CSV_MORE, 0, 14695981039346656037u};
	size_t start = 0, there = step < len ? step : len;

	ampsf_csv_scan_reset(scan);
	while (outcome.result == AMPSF_CSV_MORE)
	{
		size_t size = there - start, pos = 0;
		char *window = malloc(size ? size : 1);
		AmpsfValue values[NFIELDS];

		memcpy(window, text + start, size);
		while ((outcome.result = ampsf_csv_scan_next(scan, window, size, &pos, there == len,
													 values)) == AMPSF_CSV_ROW)
			take(values, window, size, &outcome);
		if (outcome.result == AMPSF_CSV_MORE && there == len)
			abort();
		free(window);
		start += pos;
		there = there + step < len ? there + step : len;
	}
	ampsf_csv_scan_free(scan);
	return outcome;
}

/* ---- the second reader ---- */

#define MAX_COLUMNS 4096

typedef struct Cell
{
	char *text;
	size_t len;
} Cell;

/* The value at *p, and what stands behind it: ',', '\n' for a line end, 0 for what must not be. */
static char
read_cell(const char **p, const char *end, Cell *cell)
{
	const char *s = *p;

	cell->text = malloc((size_t) (end - s) + 1);
	cell->len = 0;
	if (s < end && *s == '"')
	{
		bool closed = false;

		for (s++; s < end && !closed; s++)
		{
			if (*s != '"')
				cell->text[cell->len++] = *s;
			else if (s + 1 < end && s[1] == '"')
				cell->text[cell->len++] = *s++;
			else
				closed = true;
		}
		if (!closed)
			return 0;
	}
	else
		while (s < end && *s != ',' && *s != '"' && *s != '\r' && *s != '\n')
			cell->text[cell->len++] = *s++;
	*p = s + 1;
	if (s == end)
	{
		*p = s;
		return '\n';
	}
	if (*s == '\r' && s + 1 < end && s[1] == '\n')
	{
		*p = s + 2;
		return '\n';
	}
	return *s == ',' || *s == '\n' ? *s : 0;
}

/* The cells of the line at *p; their number, or 0 if it is broken. */
static int
read_line(const char **p, const char *end, Cell *cells)
{
	for (int n = 0; n < MAX_COLUMNS; n++)
	{
		char mark = read_cell(p, end, &cells[n]);

		if (mark == '\n')
			return n + 1;
		if (mark == 0)
		{
			for (int i = 0; i <= n; i++)
				free(cells[i].text);
			return 0;
		}
	}
	exit(1); /* no input is so long */
}

static Outcome
read_plainly(const char *text, size_t len)
{
	static Cell cells[MAX_COLUMNS];
	Outcome outcome = {AMPSF_CSV_BAD, 0, 14695981039346656037u};
	const char *p = text, *end = text + len;
	int column[NFIELDS] = {-1, -1, -1};
	int ncolumns = len > 0 ? read_line(&p, end, cells) : 0;

	for (int i = 0; i < ncolumns; i++)
	{
		for (int f = 0; f < NFIELDS; f++)
			if (cells[i].len == strlen(fields[f]) &&
				strncasecmp(cells[i].text, fields[f], cells[i].len) == 0)
				column[f] = i;
		free(cells[i].text);
	}
	for (int f = 0; f < NFIELDS; f++)
		if (column[f] < 0)
			return outcome;
	while (p < end)
	{
		int n = read_line(&p, end, cells);

		if (n == ncolumns)
		{
			outcome.rows++;
			for (int f = 0; f < NFIELDS; f++)
			{
				const Cell *c = &cells[column[f]];

				/* null or not, as take() writes it; how a value was written is not compared */
				outcome.hash = (outcome.hash ^ (c->len > 0)) * 1099511628211u;
				for (size_t j = 0; j < c->len; j++)
					outcome.hash = (outcome.hash ^ (unsigned char) c->text[j]) * 1099511628211u;
			}
		}
		for (int i = 0; i < n; i++)
			free(cells[i].text);
		if (n != ncolumns)
			return outcome;
	}
	outcome.result = AMPSF_CSV_END;
	return outcome;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	Outcome whole, pieces, plain;

	if (size < 1)
		return 0;
	whole = read_all((const char *) data + 1, size - 1, size);
	pieces = read_all((const char *) data + 1, size - 1, 1 + data[0] % 61);
	if (whole.result != pieces.result || whole.rows != pieces.rows || whole.hash != pieces.hash)
		abort();
	plain = read_plainly((const char *) data + 1, size - 1);
	if (whole.result != plain.result || whole.rows != plain.rows || whole.hash != plain.hash)
		abort();
	return 0;
}
