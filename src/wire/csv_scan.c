/*
 * csv_scan.c - see csv_scan.h.
 *
 * A row of Salesforce's is quote, value, quote, comma, quote, ... so the whole work is to find the
 * quotes and to look at the byte behind each second one.  The quotes of 64 bytes are found at once
 * and kept as bits, of which each value takes two.  Whatever a row has that is not of this form, or
 * lies at the end of the window, is left to a second reader, which takes one value after the other
 * and also says what is wrong.  A row that is not complete is read again from its start, but only
 * when a quarter more of it is there, so that a long one costs no more than a few readings.
 */
#include "wire/csv_scan.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

#define BLOCK 64 /* bytes whose quotes are found at once */
#define likely_true(x) __builtin_expect(!!(x), 1)
#define likely_false(x) __builtin_expect(!!(x), 0)

struct AmpsfCsvScan
{
	int nfields;
	char **names; /* [nfields] */
	char delimiter;

	bool has_header;
	int ncolumns;
	int *target; /* [ncolumns] the field that a column is, -1: none */
	int columns_size;
	int64_t row;   /* of the page, the header is 1 */
	size_t enough; /* bytes of the current row below which it need not be tried again */
	char error[200];
};

AmpsfCsvScan *
ampsf_csv_scan_create(const char *const *fields, int nfields, char delimiter)
{
	AmpsfCsvScan *scan = calloc(1, sizeof(AmpsfCsvScan));

	if (!scan)
		return NULL;
	scan->delimiter = delimiter;
	scan->names = calloc((size_t) nfields + 1, sizeof(char *));
	if (!scan->names)
	{
		free(scan);
		return NULL;
	}
	for (int i = 0; i < nfields; i++)
	{
		scan->names[i] = strdup(fields[i]);
		scan->nfields = i + 1;
		if (!scan->names[i])
		{
			ampsf_csv_scan_free(scan);
			return NULL;
		}
	}
	return scan;
}

void
ampsf_csv_scan_free(AmpsfCsvScan *scan)
{
	if (!scan)
		return;
	for (int i = 0; i < scan->nfields; i++)
		free(scan->names[i]);
	free(scan->names);
	free(scan->target);
	free(scan);
}

void
ampsf_csv_scan_reset(AmpsfCsvScan *scan)
{
	scan->has_header = false;
	scan->ncolumns = 0;
	scan->row = 1;
	scan->enough = 0;
	scan->error[0] = '\0';
}

bool
ampsf_csv_scan_has_header(const AmpsfCsvScan *scan)
{
	return scan->has_header;
}

const char *
ampsf_csv_scan_error(const AmpsfCsvScan *scan)
{
	return scan->error;
}

size_t
ampsf_csv_unquote(const char *ptr, size_t len, char *out)
{
	const char *end = ptr + len;
	char *o = out;

	while (ptr < end)
	{
		const char *quote = memchr(ptr, '"', (size_t) (end - ptr));
		size_t n = (size_t) ((quote ? quote + 1 : end) - ptr);

		memcpy(o, ptr, n);
		o += n;
		ptr += n + (quote != NULL);
	}
	return (size_t) (o - out);
}

/* The first quote at or after p, or end. */
static inline const char *
find_quote(const char *p, const char *end)
{
	const char *quote = memchr(p, '"', (size_t) (end - p));

	return quote ? quote : end;
}

static AmpsfCsvResult __attribute__((cold)) bad(AmpsfCsvScan *scan, int column, const char *why)
{
	snprintf(scan->error, sizeof(scan->error), "row %lld, column %d: %s", (long long) scan->row,
			 column + 1, why);
	return AMPSF_CSV_BAD;
}

/* What stands behind a value. */
typedef enum Mark
{
	MARK_DELIMITER,
	MARK_LINE_END,
	MARK_MORE,
	MARK_BAD
} Mark;

/*
 * One value at p, and what is behind it; *next is behind that.  At the end of a final window a line
 * end is taken for granted.
 */
static inline Mark
read_value(const AmpsfCsvScan *scan, const char *p, const char *end, bool final, AmpsfValue *v,
		   const char **next)
{
	const char *start = p;
	uint8_t kind = AMPSF_VALUE_STRING;

	if (likely_true(p < end && *p == '"'))
	{
		start++;
		p = start;
		for (;;)
		{
			p = find_quote(p, end);
			if (likely_false(end - p < 2))
			{
				if (p == end || !final)
					return final ? MARK_BAD : MARK_MORE;
				break;
			}
			if (likely_true(p[1] != '"'))
				break;
			kind = AMPSF_VALUE_DOUBLED;
			p += 2;
		}
		v->ptr = start;
		v->len = (uint32_t) (p - start);
		p++;
	}
	else
	{
		while (p < end && *p != scan->delimiter && *p != '\n' && *p != '\r' && *p != '"')
			p++;
		v->ptr = start;
		v->len = (uint32_t) (p - start);
	}
	v->kind = v->len == 0 ? AMPSF_VALUE_NULL : kind;

	if (likely_false(p == end))
	{
		*next = p;
		return final ? MARK_LINE_END : MARK_MORE;
	}
	*next = p + 1;
	if (likely_true(*p == scan->delimiter))
		return MARK_DELIMITER;
	if (likely_true(*p == '\n'))
		return MARK_LINE_END;
	if (*p != '\r')
		return MARK_BAD;
	if (end - p < 2)
		return final ? MARK_BAD : MARK_MORE;
	*next = p + 2;
	return p[1] == '\n' ? MARK_LINE_END : MARK_BAD;
}

static AmpsfCsvResult
more(AmpsfCsvScan *scan, size_t there)
{
	scan->enough = there + there / 4;
	return AMPSF_CSV_MORE;
}

/* Which field is each column?  The names are short, and are read once a page. */
static AmpsfCsvResult
read_header(AmpsfCsvScan *scan, const char *data, size_t len, size_t *pos, bool final)
{
	const char *p = data + *pos;
	const char *end = data + len;
	Mark mark = MARK_DELIMITER;
	int n = 0;

	if (p == end)
		return final ? bad(scan, 0, "the header is missing") : AMPSF_CSV_MORE;
	for (; mark == MARK_DELIMITER; n++)
	{
		AmpsfValue v;

		mark = read_value(scan, p, end, final, &v, &p);
		if (mark == MARK_MORE)
			return more(scan, len - *pos);
		if (mark == MARK_BAD)
			return bad(scan, n, "a name is followed by neither delimiter nor line end");
		if (n == scan->columns_size)
		{
			int size = n ? n * 2 : 64;
			int *target = realloc(scan->target, sizeof(int) * (size_t) size);

			if (!target)
				return bad(scan, n, "out of memory");
			scan->target = target;
			scan->columns_size = size;
		}
		scan->target[n] = -1;
		for (int i = 0; i < scan->nfields && scan->target[n] < 0; i++)
			if (v.kind == AMPSF_VALUE_STRING && strlen(scan->names[i]) == v.len &&
				strncasecmp(scan->names[i], v.ptr, v.len) == 0)
				scan->target[n] = i;
	}
	for (int i = 0; i < scan->nfields; i++)
	{
		int column = 0;

		while (column < n && scan->target[column] != i)
			column++;
		if (column == n)
		{
			snprintf(scan->error, sizeof(scan->error), "the header has no column %s",
					 scan->names[i]);
			return AMPSF_CSV_BAD;
		}
	}
	scan->ncolumns = n;
	scan->has_header = true;
	scan->row = 2;
	scan->enough = 0;
	*pos = (size_t) (p - data);
	return AMPSF_CSV_ROW;
}

#ifdef __SSE2__
/* The quotes among the BLOCK bytes at p, the first of them the lowest bit. */
static inline uint64_t
find_quotes(const char *p)
{
	const __m128i quote = _mm_set1_epi8('"');
	const __m128i *block = (const __m128i *) p;
	uint64_t a =
		(uint64_t) (unsigned) _mm_movemask_epi8(_mm_cmpeq_epi8(_mm_loadu_si128(block), quote));
	uint64_t b =
		(uint64_t) (unsigned) _mm_movemask_epi8(_mm_cmpeq_epi8(_mm_loadu_si128(block + 1), quote));
	uint64_t c =
		(uint64_t) (unsigned) _mm_movemask_epi8(_mm_cmpeq_epi8(_mm_loadu_si128(block + 2), quote));
	uint64_t d =
		(uint64_t) (unsigned) _mm_movemask_epi8(_mm_cmpeq_epi8(_mm_loadu_si128(block + 3), quote));

	return a | b << 16 | c << 32 | d << 48;
}

/*
 * A row at p all of whose values are between quotes, and which lies a block before the end: what is
 * behind it.  NULL: it is not so, or wrong, and some values may have been filled.
 */
static inline const char *
read_quoted_row(const AmpsfCsvScan *scan, const char *p, const char *end, AmpsfValue *values)
{
	const int *target = scan->target;
	const int *last = target + scan->ncolumns - 1;
	const char delimiter = scan->delimiter;
	const char *block = p;
	const char *far = end - BLOCK; /* up to here a block is there, and the byte behind it */
	AmpsfValue skipped;
	uint64_t quotes;

	if (end - p <= BLOCK)
		return NULL;
	quotes = find_quotes(block);

	/* Where the next quote is; it is taken. */
#define TAKE_QUOTE(where)                                                                          \
	do                                                                                             \
	{                                                                                              \
		while (likely_false(quotes == 0))                                                          \
		{                                                                                          \
			block += BLOCK;                                                                        \
			if (likely_false(block >= far))                                                        \
				return NULL;                                                                       \
			quotes = find_quotes(block);                                                           \
		}                                                                                          \
		(where) = block + __builtin_ctzll(quotes);                                                 \
		quotes &= quotes - 1;                                                                      \
	} while (0)

	for (;; target++)
	{
		AmpsfValue *v = *target >= 0 ? &values[*target] : &skipped;
		uint8_t kind = AMPSF_VALUE_STRING;
		const char *start, *quote;
		ptrdiff_t len;

		/* Else the next quote may be far away, and would be looked for again in each row. */
		if (likely_false(p == end || *p != '"'))
			return NULL;
		TAKE_QUOTE(start);
		start++;
		for (;;)
		{
			TAKE_QUOTE(quote);
			if (likely_true(quote[1] != '"'))
				break;
			kind = AMPSF_VALUE_DOUBLED;
			TAKE_QUOTE(quote);
		}
		len = quote - start;
		v->ptr = start;
		v->len = (uint32_t) len;
		v->kind = len == 0 ? AMPSF_VALUE_NULL : kind;
		p = quote + 2;
		if (likely_true(quote[1] == delimiter))
		{
			if (likely_false(target == last))
				return NULL;
		}
		else
			return quote[1] == '\n' && target == last ? p : NULL;
	}
#undef TAKE_QUOTE
}
#endif

AmpsfCsvResult
ampsf_csv_scan_next(AmpsfCsvScan *scan, const char *data, size_t len, size_t *pos, bool final,
					AmpsfValue *values)
{
	const char *p, *end = data + len;
	const int *target;
	int last;

	if (likely_false(!scan->has_header))
	{
		AmpsfCsvResult r;

		if (len - *pos < scan->enough && !final)
			return AMPSF_CSV_MORE;
		r = read_header(scan, data, len, pos, final);
		if (r != AMPSF_CSV_ROW)
			return r;
	}
	p = data + *pos;
	if (likely_false(p == end))
		return final ? AMPSF_CSV_END : AMPSF_CSV_MORE;
	if (likely_false((size_t) (end - p) < scan->enough) && !final)
		return AMPSF_CSV_MORE;

#ifdef __SSE2__
	{
		const char *behind = read_quoted_row(scan, p, end, values);

		if (likely_true(behind != NULL))
		{
			scan->row++;
			scan->enough = 0;
			*pos = (size_t) (behind - data);
			return AMPSF_CSV_ROW;
		}
	}
#endif
	target = scan->target;
	last = scan->ncolumns - 1;
	for (int column = 0;; column++)
	{
		AmpsfValue skipped;
		AmpsfValue *v = likely_true(target[column] >= 0) ? &values[target[column]] : &skipped;
		Mark mark = read_value(scan, p, end, final, v, &p);

		if (likely_true(mark == MARK_DELIMITER))
		{
			if (likely_false(column == last))
				return bad(scan, column, "the row has more values than the header has names");
			continue;
		}
		if (mark == MARK_MORE)
			return more(scan, len - *pos);
		if (mark == MARK_BAD)
			return bad(scan, column, "a value is followed by neither delimiter nor line end");
		if (likely_false(column != last))
			return bad(scan, column, "the row has fewer values than the header has names");
		break;
	}
	scan->row++;
	scan->enough = 0;
	*pos = (size_t) (p - data);
	return AMPSF_CSV_ROW;
}
