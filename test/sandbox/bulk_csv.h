/*
 * bulk_csv.h - CSV as clients upload it: rows of cells, one after the other.
 *
 * Must not know: Salesforce, HTTP.
 */
#ifndef SANDBOX_BULK_CSV_H
#define SANDBOX_BULK_CSV_H

#include "buf.h"

typedef struct CsvReader
{
	const char *at, *end;
	char delimiter;
	bool crlf;
} CsvReader;

typedef struct CsvRow
{
	Buf text;		/* of all cells, quotes taken off, each with a NUL behind it */
	size_t *starts; /* n + 1 of them */
	int n, cap;
	const char *error; /* why it cannot be used, else NULL; static */
	bool blanks;	   /* all that is wrong are blanks outside of the quotes of a value */
	bool other_end;	   /* it ends as the job's rows do not */
} CsvRow;

void csv_open(CsvReader *c, const char *text, size_t len, char delimiter, bool crlf);
/*
 * The next row that is not empty; false at the end.  What follows a row with an error that is more
 * than blanks cannot be told.
 */
bool csv_next(CsvReader *c, CsvRow *row);
void csv_free(CsvRow *row);
const char *csv_cell(const CsvRow *row, int i, size_t *len);
/* Appends the text in quotes. */
void csv_quote(Buf *out, const char *s, size_t n);

#endif
