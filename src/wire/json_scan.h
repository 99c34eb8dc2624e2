/*
 * json_scan.h - cuts a page of query results into records and fields while it arrives.
 *
 * Owns: reading {"totalSize":..,"done":..,"nextRecordsUrl":..,"records":[...]}.  Must not know:
 * PostgreSQL, the network, what a value means.  Nothing is allocated per record.
 *
 * The caller keeps the bytes.  It hands over a window [data, data+len) and the position up to which
 * the scanner has come; when a record is not complete in the window the answer is AMPSF_JSON_MORE,
 * the caller adds bytes (it may move the window, dropping what is before the position) and calls
 * again.
 */
#ifndef AMPSF_JSON_SCAN_H
#define AMPSF_JSON_SCAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* One field of a record, as a slice of the source text. */
typedef enum AmpsfValueKind
{
	AMPSF_VALUE_NULL,	 /* null, or a parent on the path is null, or the key is absent */
	AMPSF_VALUE_STRING,	 /* without its quotes, no escapes inside: usable as it stands */
	AMPSF_VALUE_ESCAPED, /* without its quotes, with escapes: ampsf_json_unescape() */
	AMPSF_VALUE_NUMBER,	 /* the source text */
	AMPSF_VALUE_TRUE,
	AMPSF_VALUE_FALSE,
	AMPSF_VALUE_JSON,	/* an object or array: its source text */
	AMPSF_VALUE_DOUBLED /* of CSV: without its quotes, those inside are doubled: ampsf_csv_unquote()
						 */
} AmpsfValueKind;

typedef struct AmpsfValue
{
	const char *ptr;
	uint32_t len;
	uint8_t kind; /* AmpsfValueKind */
} AmpsfValue;

typedef enum AmpsfJsonResult
{
	AMPSF_JSON_RECORD, /* values[] are filled; valid until the window changes */
	AMPSF_JSON_MORE,   /* needs bytes beyond the window */
	AMPSF_JSON_END,	   /* the closing brace has been read, and nothing but space is behind it in the
						  window */
	AMPSF_JSON_BAD	   /* not what a query answers; see ampsf_json_error() */
} AmpsfJsonResult;

typedef struct AmpsfJsonScan AmpsfJsonScan;

/*
 * fields: API names, dotted for parents ("Account.Owner.Name"), matched without case; values[i]
 * belongs to fields[i].  "*" is the whole record.  The order of keys in the record may be any; the
 * order of fields[] is the fast one. malloc'ed; NULL when memory is out.
 */
AmpsfJsonScan *ampsf_json_scan_create(const char *const *fields, int nfields);
void ampsf_json_scan_free(AmpsfJsonScan *scan);
/*
 * Pages are Account Engagement's: {"values":[...],"nextPageToken":...}.  What next_url gives is the
 * token, and done is true where it is null.
 */
void ampsf_json_scan_engagement(AmpsfJsonScan *scan);

/* A new page begins. */
void ampsf_json_scan_reset(AmpsfJsonScan *scan);

/*
 * Reads on at *pos.  final: no byte will follow, so an incomplete page is AMPSF_JSON_BAD.
 * On AMPSF_JSON_RECORD *pos is behind the record.
 */
AmpsfJsonResult ampsf_json_scan_next(AmpsfJsonScan *scan, const char *data, size_t len, size_t *pos,
									 bool final, AmpsfValue *values);

/* Of the page so far; -1, false, NULL while not yet seen. nextRecordsUrl is unescaped, owned by the
 * scan. */
int64_t ampsf_json_scan_total(const AmpsfJsonScan *scan);
bool ampsf_json_scan_done(const AmpsfJsonScan *scan);
const char *ampsf_json_scan_next_url(const AmpsfJsonScan *scan);
/* Text of the last AMPSF_JSON_BAD: what was expected and at which byte of the page. */
const char *ampsf_json_scan_error(const AmpsfJsonScan *scan);

/*
 * Decodes the escapes of a string slice into out (room for len bytes is always enough); returns the
 * length, or -1 for a broken escape, a lone surrogate, or -2 for \u0000, which PostgreSQL cannot
 * keep.
 */
ptrdiff_t ampsf_json_unescape(const char *ptr, size_t len, char *out);

#endif
