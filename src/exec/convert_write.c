/*
 * convert_write.c - a column's Datum into the JSON of a write.
 *
 * Owns: what Salesforce can keep of PostgreSQL's values, and how it is written.  Must not know:
 * plans, the network.
 */
#include "postgres.h"

#include <math.h>

#include "catalog/pg_type_d.h"
#include "common/shortest_dec.h"
#include "exec/convert.h"
#include "mb/pg_wchar.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/date.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"
#include "wire/text.h"
#include "wire/wiretime.h"

#define USECS_PER_MILLISECOND INT64CONST(1000)

/* Text in the server's encoding as a JSON string. */
static void
append_text(StringInfo buf, const AmpsfColumnConv *conv, const char *s, Size len)
{
	const char *utf8 = s;
	Size quoted;

	if (!conv->utf8)
	{
		utf8 = pg_server_to_any(s, (int) len, PG_UTF8);
		if (utf8 != s)
			len = strlen(utf8);
	}
	quoted = ampsf_quote_json(utf8, len, NULL);
	enlargeStringInfo(buf, (int) Min(quoted, MaxAllocSize));
	ampsf_quote_json(utf8, len, buf->data + buf->len);
	buf->len += (int) quoted;
	buf->data[buf->len] = '\0';
}

/* What is made of ASCII only, with quotes around it. */
static void
append_quoted(StringInfo buf, const char *s, int len)
{
	appendStringInfoChar(buf, '"');
	appendBinaryStringInfo(buf, s, len);
	appendStringInfoChar(buf, '"');
}

static void no_number(const AmpsfColumnConv *conv) __attribute__((noreturn));
static void no_date(const char *value) __attribute__((noreturn));

static void
no_number(const AmpsfColumnConv *conv)
{
	ereport(ERROR, (errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
					errmsg("Salesforce cannot store NaN or infinity"),
					errdetail("The value is of type %s.", format_type_be(conv->type))));
}

static void
no_date(const char *value)
{
	ereport(ERROR, (errcode(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE),
					errmsg("Salesforce cannot store the date \"%s\"", value),
					errhint("Dates must lie between 1700-01-01 and 4000-12-31.")));
}

static void
write_bool(StringInfo buf, AmpsfColumnConv *conv, Datum value)
{
	appendStringInfoString(buf, DatumGetBool(value) ? "true" : "false");
}

static void
append_int(StringInfo buf, int64 n)
{
	char digits[MAXINT8LEN + 1];

	appendBinaryStringInfo(buf, digits, pg_lltoa(n, digits));
}

static void
write_int2(StringInfo buf, AmpsfColumnConv *conv, Datum value)
{
	append_int(buf, DatumGetInt16(value));
}

static void
write_int4(StringInfo buf, AmpsfColumnConv *conv, Datum value)
{
	append_int(buf, DatumGetInt32(value));
}

static void
write_int8(StringInfo buf, AmpsfColumnConv *conv, Datum value)
{
	append_int(buf, DatumGetInt64(value));
}

static void
write_numeric(StringInfo buf, AmpsfColumnConv *conv, Datum value)
{
	char *s = OutputFunctionCall(&conv->output, value);

	/* NaN, Infinity and -Infinity are the only ones with letters. */
	if (strpbrk(s, "NI"))
		no_number(conv);
	appendStringInfoString(buf, s);
}

/* The shortest text that reads back as the same value, whatever extra_float_digits says. */
static void
write_float8(StringInfo buf, AmpsfColumnConv *conv, Datum value)
{
	char digits[DOUBLE_SHORTEST_DECIMAL_LEN];

	if (isnan(DatumGetFloat8(value)) || isinf(DatumGetFloat8(value)))
		no_number(conv);
	appendBinaryStringInfo(buf, digits,
						   double_to_shortest_decimal_buf(DatumGetFloat8(value), digits));
}

static void
write_float4(StringInfo buf, AmpsfColumnConv *conv, Datum value)
{
	char digits[FLOAT_SHORTEST_DECIMAL_LEN];

	if (isnan(DatumGetFloat4(value)) || isinf(DatumGetFloat4(value)))
		no_number(conv);
	appendBinaryStringInfo(buf, digits,
						   float_to_shortest_decimal_buf(DatumGetFloat4(value), digits));
}

static void
write_date(StringInfo buf, AmpsfColumnConv *conv, Datum value)
{
	DateADT days = DatumGetDateADT(value);
	char out[AMPSF_TIME_BUF];

	if (days < AMPSF_DATE_MIN || days > AMPSF_DATE_MAX)
		no_date(DatumGetCString(DirectFunctionCall1(date_out, value)));
	append_quoted(buf, out, ampsf_print_date(days, out));
}

/* To the nearest millisecond. */
static int64
round_to_ms(int64 usecs)
{
	int64 rest = usecs % USECS_PER_MILLISECOND;

	if (rest < 0)
		rest += USECS_PER_MILLISECOND;
	return usecs - rest + (rest >= USECS_PER_MILLISECOND / 2 ? USECS_PER_MILLISECOND : 0);
}

/* timestamptz, and timestamp as the clock in UTC. */
static void
write_timestamp(StringInfo buf, AmpsfColumnConv *conv, Datum value)
{
	int64 usecs = DatumGetTimestampTz(value);
	char out[AMPSF_TIME_BUF];

	/* Before rounding, which would overflow at infinity. */
	if (usecs >= AMPSF_DATETIME_MIN && usecs <= AMPSF_DATETIME_MAX)
		usecs = round_to_ms(usecs);
	if (usecs < AMPSF_DATETIME_MIN || usecs > AMPSF_DATETIME_MAX)
		no_date(OutputFunctionCall(&conv->output, value));
	if (conv->with_offset)
	{
		int len = ampsf_print_datetime(usecs, out);

		appendStringInfo(buf, "\"%.*s+00:00\"", len - 1, out); /* without the Z */
		return;
	}
	append_quoted(buf, out, ampsf_print_datetime_ms(usecs, out));
}

/* Rounding must not leave the day. */
static void
append_time(StringInfo buf, int64 usecs)
{
	char out[AMPSF_TIME_BUF];
	int64 rounded = round_to_ms(usecs);

	if (rounded >= USECS_PER_DAY)
		rounded = USECS_PER_DAY - USECS_PER_MILLISECOND;
	append_quoted(buf, out, ampsf_print_time(rounded, out));
}

static void
write_time(StringInfo buf, AmpsfColumnConv *conv, Datum value)
{
	if (DatumGetTimeADT(value) >= USECS_PER_DAY)
		ereport(ERROR, (errcode(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE),
						errmsg("Salesforce cannot store the time 24:00:00")));
	append_time(buf, DatumGetTimeADT(value));
}

/* Salesforce's times are without a zone; they are read as UTC, and so they are written. */
static void
write_timetz(StringInfo buf, AmpsfColumnConv *conv, Datum value)
{
	TimeTzADT *time = DatumGetTimeTzADTP(value);
	int64 usecs = (time->time + time->zone * USECS_PER_SEC) % USECS_PER_DAY;

	append_time(buf, usecs < 0 ? usecs + USECS_PER_DAY : usecs);
}

static void
write_text(StringInfo buf, AmpsfColumnConv *conv, Datum value)
{
	text *t = DatumGetTextPP(value);

	append_text(buf, conv, VARDATA_ANY(t), VARSIZE_ANY_EXHDR(t));
}

/* Blanks at the end of a character(n) are padding. */
static void
write_bpchar(StringInfo buf, AmpsfColumnConv *conv, Datum value)
{
	text *t = DatumGetTextPP(value);

	append_text(buf, conv, VARDATA_ANY(t),
				bpchartruelen(VARDATA_ANY(t), (int) VARSIZE_ANY_EXHDR(t)));
}

/* json and jsonb are JSON already. */
static void
write_json(StringInfo buf, AmpsfColumnConv *conv, Datum value)
{
	char *s = OutputFunctionCall(&conv->output, value);

	appendStringInfoString(buf, conv->utf8 ? s : pg_server_to_any(s, (int) strlen(s), PG_UTF8));
}

/* The elements with semicolons between them, as a multi-select picklist is written. */
static void
write_list(StringInfo buf, AmpsfColumnConv *conv, Datum value)
{
	Datum *elements;
	bool *nulls;
	int n;
	StringInfoData joined;

	deconstruct_array(DatumGetArrayTypeP(value), get_element_type(conv->base), -1, false,
					  TYPALIGN_INT, &elements, &nulls, &n);
	initStringInfo(&joined);
	for (int i = 0; i < n; i++)
	{
		text *element;
		int len;

		if (nulls[i])
			ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
							errmsg("a value of a multi-select picklist cannot be null")));
		element = DatumGetTextPP(elements[i]);
		len = (int) VARSIZE_ANY_EXHDR(element);
		if (len == 0 || memchr(VARDATA_ANY(element), ';', len))
			ereport(
				ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 len == 0 ? errmsg("a value of a multi-select picklist cannot be empty")
						  : errmsg("a value of a multi-select picklist cannot contain a semicolon"),
				 errdetail("The value is \"%.*s\".", pg_mbcliplen(VARDATA_ANY(element), len, 100),
						   VARDATA_ANY(element))));
		if (i > 0)
			appendStringInfoChar(&joined, ';');
		appendBinaryStringInfo(&joined, VARDATA_ANY(element), len);
	}
	append_text(buf, conv, joined.data, joined.len);
	pfree(joined.data);
}

/* The content of a file: base64. */
static void
write_bytea(StringInfo buf, AmpsfColumnConv *conv, Datum value)
{
	static const char alphabet[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	bytea *data = DatumGetByteaPP(value);
	const unsigned char *p = (const unsigned char *) VARDATA_ANY(data);
	Size len = VARSIZE_ANY_EXHDR(data);
	char *out;

	/* An int holds it: a bytea has less than 1 GB. */
	enlargeStringInfo(buf, (int) ((len + 2) / 3 * 4 + 2));
	out = buf->data + buf->len;
	*out++ = '"';
	for (; len >= 3; len -= 3, p += 3)
	{
		*out++ = alphabet[p[0] >> 2];
		*out++ = alphabet[(p[0] & 3) << 4 | p[1] >> 4];
		*out++ = alphabet[(p[1] & 15) << 2 | p[2] >> 6];
		*out++ = alphabet[p[2] & 63];
	}
	if (len > 0)
	{
		unsigned second = len == 2 ? p[1] : 0;

		*out++ = alphabet[p[0] >> 2];
		*out++ = alphabet[(p[0] & 3) << 4 | second >> 4];
		*out++ = len == 2 ? alphabet[(second & 15) << 2] : '=';
		*out++ = '=';
	}
	*out++ = '"';
	*out = '\0';
	buf->len = (int) (out - buf->data);
}

/* Any other type: the text of its output function. */
static void
write_output(StringInfo buf, AmpsfColumnConv *conv, Datum value)
{
	char *s = OutputFunctionCall(&conv->output, value);

	append_text(buf, conv, s, strlen(s));
}

static AmpsfWriteFn
choose(Oid base)
{
	switch (base)
	{
		case TEXTOID:
		case VARCHAROID:
			return write_text;
		case BPCHAROID:
			return write_bpchar;
		case BOOLOID:
			return write_bool;
		case INT2OID:
			return write_int2;
		case INT4OID:
			return write_int4;
		case INT8OID:
			return write_int8;
		case NUMERICOID:
			return write_numeric;
		case FLOAT4OID:
			return write_float4;
		case FLOAT8OID:
			return write_float8;
		case DATEOID:
			return write_date;
		case TIMESTAMPTZOID:
		case TIMESTAMPOID:
			return write_timestamp;
		case TIMEOID:
			return write_time;
		case TIMETZOID:
			return write_timetz;
		case JSONBOID:
		case JSONOID:
			return write_json;
		case TEXTARRAYOID:
		case VARCHARARRAYOID:
			return write_list;
		case BYTEAOID:
			return write_bytea;
		default:
			return write_output;
	}
}

void
ampsf_convert_to_json(StringInfo buf, AmpsfColumnConv *conv, Datum value, bool isnull)
{
	if (isnull)
	{
		appendStringInfoString(buf, "null");
		return;
	}
	if (!conv->write)
	{
		Oid output;
		bool varlena;

		getTypeOutputInfo(conv->base, &output, &varlena);
		fmgr_info_cxt(output, &conv->output, conv->cxt);
		conv->write = choose(conv->base);
	}
	conv->write(buf, conv, value);
}
