/*
 * csv_scan.h - cuts a page of Bulk results, which is CSV, into rows and fields while it arrives.
 *
 * Owns: reading RFC 4180 as Salesforce writes it: a header row with the names of the fields, values
 * between double quotes, a quote inside of a value doubled, an empty value for null, rows that end
 * in LF or CRLF.  What is not quoted is read too.  Must not know: PostgreSQL, the network, what a
 * value means.  Nothing is allocated per row.
 *
 * The caller keeps the bytes, as for json_scan.h: it hands over a window [data, data+len) and the
 * position up to which the scanner has come; when a row is not complete in the window the answer is
 * AMPSF_CSV_MORE, the caller adds bytes (it may move the window, dropping what is before the
 * position) and calls again.
 */
#ifndef AMPSF_CSV_SCAN_H
#define AMPSF_CSV_SCAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "wire/json_scan.h"

typedef enum AmpsfCsvResult
{
	AMPSF_CSV_ROW,	/* values[] are filled; valid until the window changes */
	AMPSF_CSV_MORE, /* needs bytes beyond the window */
	AMPSF_CSV_END,	/* the page is through; only if final */
	AMPSF_CSV_BAD	/* not what a job's result is; see ampsf_csv_scan_error() */
} AmpsfCsvResult;

typedef struct AmpsfCsvScan AmpsfCsvScan;

/*
 * fields: API names, dotted for parents, matched without case with those of the header; values[i]
 * belongs to fields[i].  Each must be in the header; what else is there is passed over.  malloc'ed;
 * NULL when memory is out.
 */
AmpsfCsvScan *ampsf_csv_scan_create(const char *const *fields, int nfields, char delimiter);
void ampsf_csv_scan_free(AmpsfCsvScan *scan);

/* A new page begins, with its own header. */
void ampsf_csv_scan_reset(AmpsfCsvScan *scan);

/*
 * Reads on at *pos.  final: no byte will follow, so the last row may lack its line end, and one
 * that is cut inside of quotes is AMPSF_CSV_BAD.  On AMPSF_CSV_ROW *pos is behind the row.  A value
 * is AMPSF_VALUE_NULL (empty), AMPSF_VALUE_STRING, or AMPSF_VALUE_DOUBLED: ampsf_csv_unquote().
 */
AmpsfCsvResult ampsf_csv_scan_next(AmpsfCsvScan *scan, const char *data, size_t len, size_t *pos,
								   bool final, AmpsfValue *values);

/* Has the header of the page been read? */
bool ampsf_csv_scan_has_header(const AmpsfCsvScan *scan);
/* Text of the last AMPSF_CSV_BAD: what was expected, and in which row of the page. */
const char *ampsf_csv_scan_error(const AmpsfCsvScan *scan);

/* Makes one quote of each pair; room for len bytes is always enough.  The length. */
size_t ampsf_csv_unquote(const char *ptr, size_t len, char *out);

#endif
