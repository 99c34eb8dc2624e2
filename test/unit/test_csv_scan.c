/*
 * test_csv_scan.c - Bulk's CSV: the rules one by one, and random pages in random pieces against a
 * second reader that goes byte by byte.
 */
#include "check.h"
#include "wire/csv_scan.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_FIELDS 8

/* Reads a whole page at once, and writes it as text: <value> a field, - for null, ; after a row. */
static const char *
read_page(const char *text, const char *const *fields, int nfields, char *out)
{
	AmpsfCsvScan *scan = ampsf_csv_scan_create(fields, nfields, ',');
	AmpsfValue values[MAX_FIELDS];
	size_t len = strlen(text), pos = 0;
	char *window =
		malloc(len ? len : 1); /* of exactly that size: the sanitizer sees a step too far */
	char *o = out;
	AmpsfCsvResult r;

	memcpy(window, text, len);
	ampsf_csv_scan_reset(scan);
	while ((r = ampsf_csv_scan_next(scan, window, len, &pos, true, values)) == AMPSF_CSV_ROW)
	{
		for (int i = 0; i < nfields; i++)
		{
			if (values[i].kind == AMPSF_VALUE_NULL)
				*o++ = '-';
			else
			{
				*o++ = '<';
				o += ampsf_csv_unquote(values[i].ptr, values[i].len, o);
				*o++ = '>';
			}
		}
		*o++ = ';';
	}
	*o = '\0';
	if (r != AMPSF_CSV_END)
		strcpy(o, ampsf_csv_scan_error(scan));
	ampsf_csv_scan_free(scan);
	free(window);
	return out;
}

#define PAGE(text, want)                                                                           \
	do                                                                                             \
	{                                                                                              \
		const char *got = read_page((text), two, 2, out);                                          \
		CHECK_TEXT(got, strlen(got), (want));                                                      \
	} while (0)

static void
test_rules(void)
{
	static const char *const two[] = {"Id", "Account.Name"};
	char out[1000];

	PAGE("\"Id\",\"Account.Name\"\n", "");
	PAGE("\"Id\",\"Account.Name\"\n\"1\",\"a\"\n\"2\",\"\"\n", "<1><a>;<2>-;");
	PAGE("Id,Account.Name\n1,a\n2,\n", "<1><a>;<2>-;");
	PAGE("\"account.name\",\"x\",\"ID\"\r\n\"a\",\"z\",\"1\"\r\n", "<1><a>;");
	PAGE("\"Id\",\"Account.Name\"\n\"1\",\"a\"", "<1><a>;");
	PAGE("\"Id\",\"Account.Name\"\n\"1\",\"say \"\"hi\"\"\"\n\"\"\"\",\"\"\"\"\"\"\n",
		 "<1><say \"hi\">;<\"><\"\">;");
	PAGE("\"Id\",\"Account.Name\"\n\"1\",\"two\nlines, a comma\r\n\"\n",
		 "<1><two\nlines, a comma\r\n>;");
	PAGE("\"Id\",\"Account.Name\"\n\"1\",\" a \"\n", "<1>< a >;");

	PAGE("", "row 1, column 1: the header is missing");
	PAGE("\"Id\",\"Name\"\n", "the header has no column Account.Name");
	PAGE("\"Id\",\"Account.Name\"\n\"1\"\n",
		 "row 2, column 1: the row has fewer values than the header has names");
	PAGE("\"Id\",\"Account.Name\"\n\"1\",\"a\"\n\"2\",\"b\",\"c\"\n",
		 "<1><a>;row 3, column 2: the row has more values than the header has names");
	PAGE("\"Id\",\"Account.Name\"\n\"1\",\"a",
		 "row 2, column 2: a value is followed by neither delimiter nor line end");
	PAGE("\"Id\",\"Account.Name\"\n\"1\"x,\"a\"\n",
		 "row 2, column 1: a value is followed by neither delimiter nor line end");
	PAGE("\"Id\",\"Account.Name\"\n1\"x,a\n",
		 "row 2, column 1: a value is followed by neither delimiter nor line end");
	PAGE("\"Id\",\"Account.Name\"\n\"1\",\"a\"\r\"2\",\"b\"\n",
		 "row 2, column 2: a value is followed by neither delimiter nor line end");
}

/* The same far from the end of the window, where whole blocks are read. */
static void
test_rules_of_blocks(void)
{
	static const char *const two[] = {"Id", "Account.Name"};
	char out[1000];

#define HEAD "\"Id\",\"Account.Name\"\n"
#define TAIL "\"9\",\"0123456789012345678901234567890123456789012345678901234567890123456789\"\n"
#define GOT_TAIL "<9><0123456789012345678901234567890123456789012345678901234567890123456789>;"
	PAGE(HEAD "\"1\",\"a\"\n\"2\",\"\"\n" TAIL, "<1><a>;<2>-;" GOT_TAIL);
	PAGE(HEAD "\"1\",\"say \"\"hi\"\"\"\n\"\"\"\",\"\"\"\"\"\"\n" TAIL,
		 "<1><say \"hi\">;<\"><\"\">;" GOT_TAIL);
	PAGE(HEAD "1,a\n\"2\",b\n\"3\",\"c\"\r\n" TAIL, "<1><a>;<2><b>;<3><c>;" GOT_TAIL);
	PAGE(HEAD "\"1\"\n" TAIL,
		 "row 2, column 1: the row has fewer values than the header has names");
	PAGE(HEAD "\"1\",\"a\"\n\"2\",\"b\",\"c\"\n" TAIL,
		 "<1><a>;row 3, column 2: the row has more values than the header has names");
	PAGE(HEAD "\"1\"x,\"a\"\n" TAIL,
		 "row 2, column 1: a value is followed by neither delimiter nor line end");
	PAGE(HEAD "1\"x,a\n" TAIL,
		 "row 2, column 1: a value is followed by neither delimiter nor line end");
	PAGE(HEAD "\"1\",\"a\"\r\"2\",\"b\"\n" TAIL,
		 "row 2, column 2: a value is followed by neither delimiter nor line end");
#undef HEAD
#undef TAIL
#undef GOT_TAIL
}

/* -------- against a second reader -------- */

static unsigned long long seed;

static unsigned
draw(unsigned n)
{
	seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
	return (unsigned) (seed >> 33) % n;
}

static size_t
make_page(char *out, int columns)
{
	static const char alphabet[] = "ab\"\",\n\r xyz0123456789;'";
	char *o = out;
	int rows = (int) draw(12);
	const char *line_end = draw(2) ? "\n" : "\r\n";

	for (int i = 0; i < columns; i++)
		o += sprintf(o, "%s\"f%d\"", i ? "," : "", i);
	o += sprintf(o, "%s", line_end);
	for (int r = 0; r < rows; r++)
	{
		for (int i = 0; i < columns; i++)
		{
			unsigned len = draw(4) ? draw(10) : draw(90);

			if (i)
				*o++ = ',';
			*o++ = '"';
			while (len--)
			{
				*o = alphabet[draw(sizeof(alphabet) - 1)];
				if (*o == '"')
					*++o = '"';
				o++;
			}
			*o++ = '"';
		}
		o += sprintf(o, "%s", line_end);
	}
	return (size_t) (o - out);
}

/* Byte by byte: everything but the header, each value ended by 1, each row by 2. */
static size_t
read_plainly(const char *p, const char *end, char *out)
{
	bool quoted = false, header = true;
	char *o = out;

	for (; p < end; p++)
	{
		char c = 0;

		if (quoted && *p == '"' && p + 1 < end && p[1] == '"')
			c = *p++;
		else if (*p == '"')
			quoted = !quoted;
		else if (quoted)
			c = *p;
		else if (*p == ',')
			c = 1;
		else if (*p == '\n')
		{
			if (!header)
			{
				*o++ = 1;
				*o++ = 2;
			}
			header = false;
		}
		if (c && !header)
			*o++ = c;
	}
	return (size_t) (o - out);
}

/* With windows of random sizes, each in memory of its own. */
static size_t
read_in_pieces(const char *text, size_t len, int columns, char *out)
{
	static const char *const names[MAX_FIELDS] = {"f0", "f1", "f2", "f3", "f4", "f5", "f6", "f7"};
	AmpsfCsvScan *scan = ampsf_csv_scan_create(names, columns, ',');
	AmpsfValue values[MAX_FIELDS];
	size_t start = 0, there = 0;
	char *o = out;

	ampsf_csv_scan_reset(scan);
	for (;;)
	{
		size_t pos = 0;
		char *window = malloc(there - start + 1);
		AmpsfCsvResult r;

		window = realloc(window, there > start ? there - start : 1);
		memcpy(window, text + start, there - start);
		while ((r = ampsf_csv_scan_next(scan, window, there - start, &pos, there == len, values)) ==
			   AMPSF_CSV_ROW)
		{
			for (int i = 0; i < columns; i++)
			{
				if (values[i].kind != AMPSF_VALUE_NULL)
					o += ampsf_csv_unquote(values[i].ptr, values[i].len, o);
				*o++ = 1;
			}
			*o++ = 2;
		}
		free(window);
		start += pos;
		if (r != AMPSF_CSV_MORE)
		{
			CHECK_INT(r, AMPSF_CSV_END);
			break;
		}
		there += 1 + draw(there == len ? 1 : 40);
		if (there > len)
			there = len;
	}
	ampsf_csv_scan_free(scan);
	return (size_t) (o - out);
}

void
test_csv_scan(void)
{
	static char text[200000], plain[200000], cut[200000];

	test_rules();
	test_rules_of_blocks();
	seed = 20240131;
	for (int i = 0; i < 3000; i++)
	{
		int columns = 1 + (int) draw(MAX_FIELDS);
		size_t len = make_page(text, columns);
		size_t n = read_plainly(text, text + len, plain);

		CHECK_INT(read_in_pieces(text, len, columns, cut), (long long) n);
		CHECK(memcmp(cut, plain, n) == 0);
	}
}
