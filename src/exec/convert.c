/*
 * convert.c - one field's text into a column's Datum.
 *
 * Owns: the choice of the conversion for a type, and the conversions.  Must not know: plans, the
 * network.
 *
 * A type's input function wants a terminated copy of the text and does more than these texts need.
 * For the types of which tables are made the conversion is done here, at a tenth of the time; where
 * the text is not in the plain form, the input function decides, so that nothing is accepted or
 * refused here that it would not.  Dates and times are the exception: they never go through
 * DateStyle.
 */
#include "postgres.h"

#include <float.h>

#include "catalog/pg_type_d.h"
#include "common/int.h"
#include "exec/convert.h"
#include "mb/pg_wchar.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/date.h"
#include "utils/lsyscache.h"
#include "utils/numeric.h"
#include "utils/timestamp.h"
#include "wire/csv_scan.h"
#include "wire/text.h"
#include "wire/wiretime.h"

/* Room on the stack for texts that are short as a rule. */
#define SHORT_TEXT 128

/* Of a row, for its short values. */
#define ROOM 8192

AmpsfRoom *
ampsf_room_create(void)
{
	AmpsfRoom *room = palloc(sizeof(AmpsfRoom));

	room->at = room->start = palloc(ROOM);
	room->end = room->start + ROOM;
	return room;
}

/* ---------------------------------------------------------------------------------------------------
 * The text of a value
 * -------------------------------------------------------------------------------------------------
 */

/* Is the text something else than the bytes that stand there? */
static inline bool
is_encoded(const AmpsfValue *v)
{
	return v->kind == AMPSF_VALUE_ESCAPED || v->kind == AMPSF_VALUE_DOUBLED;
}

/* Decodes an encoded value into out (room for v->len bytes); its length. */
static Size
decode(const AmpsfValue *v, char *out)
{
	ptrdiff_t len;

	if (v->kind == AMPSF_VALUE_DOUBLED)
		return ampsf_csv_unquote(v->ptr, v->len, out);
	len = ampsf_json_unescape(v->ptr, v->len, out);
	if (len == -2)
		ereport(
			ERROR,
			(errcode(ERRCODE_CHARACTER_NOT_IN_REPERTOIRE),
			 errmsg("text contains the character with code zero, which PostgreSQL cannot keep"),
			 errhint("Remove the character in Salesforce, or leave the column out of the query.")));
	if (len < 0)
		ereport(ERROR,
				(errcode(ERRCODE_CHARACTER_NOT_IN_REPERTOIRE),
				 errmsg("text contains a broken Unicode escape or half of a surrogate pair"),
				 errhint("Correct the text in Salesforce, or leave the column out of the query.")));
	return (Size) len;
}

/*
 * The text of a value as a C string in the server's encoding: in buf if it is short, else
 * palloc'ed.
 */
static char *
value_cstring(const AmpsfColumnConv *conv, const AmpsfValue *v, char buf[SHORT_TEXT])
{
	char *s = v->len < SHORT_TEXT ? buf : palloc((Size) v->len + 1);
	Size len = v->len;

	if (is_encoded(v))
		len = decode(v, s);
	else
		memcpy(s, v->ptr, len);
	s[len] = '\0';
	return conv->utf8 ? s : pg_any_to_server(s, (int) len, PG_UTF8);
}

/* By the type's input function. */
static Datum
convert_input(AmpsfColumnConv *conv, const AmpsfValue *v)
{
	char buf[SHORT_TEXT];

	return InputFunctionCall(&conv->input, value_cstring(conv, v, buf), conv->ioparam,
							 conv->typmod);
}

/* ---------------------------------------------------------------------------------------------------
 * Text
 * -------------------------------------------------------------------------------------------------
 */

/* memcpy of what is short as a rule, without a call. */
static inline void
copy_short(char *to, const char *from, Size n)
{
	if (n > 32)
		memcpy(to, from, n);
	else if (n >= 16)
	{
		memcpy(to, from, 16);
		memcpy(to + n - 16, from + n - 16, 16);
	}
	else if (n >= 8)
	{
		memcpy(to, from, 8);
		memcpy(to + n - 8, from + n - 8, 8);
	}
	else if (n >= 4)
	{
		memcpy(to, from, 4);
		memcpy(to + n - 4, from + n - 4, 4);
	}
	else
		for (Size i = 0; i < n; i++)
			to[i] = from[i];
}

/*
 * Any value's text, straight into the Datum.  With a long header also where a short one would do:
 * when a tuple is formed of it, the very bytes that were copied here are copied once more, in the
 * same steps, which the processor is faster at than at any others.
 */
static Datum
convert_text(AmpsfColumnConv *conv, const AmpsfValue *v)
{
	text *t;
	Size len = v->len;
	AmpsfRoom *room = conv->room;

	if (likely(room && conv->utf8))
	{
		t = (text *) INTALIGN(room->at);
		if (likely(VARHDRSZ + len <= (Size) (room->end - (char *) t)))
		{
			if (unlikely(is_encoded(v)))
				len = decode(v, VARDATA(t));
			else
				copy_short(VARDATA(t), v->ptr, len);
			SET_VARSIZE(t, VARHDRSZ + len);
			room->at = VARDATA(t) + len;
			return PointerGetDatum(t);
		}
	}
	if (unlikely(!conv->utf8))
	{
		char buf[SHORT_TEXT];

		return CStringGetTextDatum(value_cstring(conv, v, buf));
	}
	t = palloc(VARHDRSZ + len);
	if (is_encoded(v))
		len = decode(v, VARDATA(t));
	else
		memcpy(VARDATA(t), v->ptr, len);
	SET_VARSIZE(t, VARHDRSZ + len);
	return PointerGetDatum(t);
}

/* varchar(n): what has no more bytes has no more characters either. */
static Datum
convert_varchar(AmpsfColumnConv *conv, const AmpsfValue *v)
{
	if (conv->utf8 && v->len <= (uint32) (conv->typmod - VARHDRSZ))
		return convert_text(conv, v);
	return convert_input(conv, v);
}

/* "A;B;C" into the elements of a text or varchar array. */
static Datum
convert_list(AmpsfColumnConv *conv, const AmpsfValue *v)
{
	char buf[SHORT_TEXT];
	char *s = value_cstring(conv, v, buf);
	int n = 1;
	Datum *elements;
	Oid element_type = get_element_type(conv->base);

	for (const char *p = s; (p = strchr(p, ';')) != NULL; p++)
		n++;
	elements = palloc(sizeof(Datum) * n);
	for (int i = 0; i < n; i++)
	{
		char *end = s + strcspn(s, ";");

		elements[i] = PointerGetDatum(cstring_to_text_with_len(s, (int) (end - s)));
		s = end + 1;
	}
	return PointerGetDatum(construct_array(elements, n, element_type, -1, false, TYPALIGN_INT));
}

/* jsonb and json: objects as they came, texts as JSON strings, numbers and booleans as they are. */
static Datum
convert_json(AmpsfColumnConv *conv, const AmpsfValue *v)
{
	char *s;
	Size len;

	if (v->kind == AMPSF_VALUE_STRING || v->kind == AMPSF_VALUE_DOUBLED)
	{
		const char *text = v->ptr;
		Size text_len = v->len;

		if (v->kind == AMPSF_VALUE_DOUBLED)
		{
			char *decoded = palloc(v->len);

			text_len = decode(v, decoded);
			text = decoded;
		}
		len = ampsf_quote_json(text, text_len, NULL);
		s = palloc(len + 1);
		ampsf_quote_json(text, text_len, s);
	}
	else if (v->kind == AMPSF_VALUE_ESCAPED)
	{
		len = (Size) v->len + 2;
		s = palloc(len + 1);
		s[0] = '"';
		memcpy(s + 1, v->ptr, v->len);
		s[len - 1] = '"';
	}
	else
	{
		len = v->len;
		s = palloc(len + 1);
		memcpy(s, v->ptr, len);
	}
	s[len] = '\0';
	if (!conv->utf8)
		s = pg_any_to_server(s, (int) len, PG_UTF8);
	return InputFunctionCall(&conv->input, s, conv->ioparam, conv->typmod);
}

/*
 * A file's content is not part of a query's answer; its address must not pass for it.  Who can make
 * a call for the content has said so, and gets the address; no call is made here, where values
 * stand in an answer that moves when others come.
 */
static Datum
convert_file(AmpsfColumnConv *conv, const AmpsfValue *v)
{
	char buf[SHORT_TEXT];

	if (conv->fetch_later)
		return CStringGetDatum(pstrdup(value_cstring(conv, v, buf)));
	ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					errmsg("the content of a file field cannot be read into a column of type %s",
						   format_type_be(conv->type)),
					errhint("Declare the column as text: it shows the address of the content.")));
	return (Datum) 0; /* not reached */
}

/* ---------------------------------------------------------------------------------------------------
 * Booleans and numbers.  Their texts come as JSON numbers, or as strings from formula and text
 * fields.
 * -------------------------------------------------------------------------------------------------
 */

static Datum
convert_bool(AmpsfColumnConv *conv, const AmpsfValue *v)
{
	if (v->kind == AMPSF_VALUE_TRUE)
		return BoolGetDatum(true);
	if (v->kind == AMPSF_VALUE_FALSE)
		return BoolGetDatum(false);
	return convert_input(conv, v);
}

/* Sign and digits only, at most 18 of them; false for any other text. */
static bool
read_int64(const AmpsfValue *v, int64 *result)
{
	const char *p = v->ptr;
	const char *end = p + v->len;
	bool negative = p < end && *p == '-';
	int64 n = 0;

	p += negative;
	if (p == end || end - p > 18 || is_encoded(v))
		return false;
	for (; p < end; p++)
	{
		unsigned digit = (unsigned char) *p - '0';

		if (digit > 9)
			return false;
		n = n * 10 + digit;
	}
	*result = negative ? -n : n;
	return true;
}

/*
 * The same for a number that is written as a double, 5.0 or 1.2E3, but is an integer: Salesforce
 * keeps its integers so.  ereports if it is beyond bigint.
 */
static bool
read_integral(AmpsfColumnConv *conv, const AmpsfValue *v, int64 *result)
{
	char buf[SHORT_TEXT];
	Datum number;
	Datum whole;

	if (v->kind != AMPSF_VALUE_NUMBER)
		return false;
	number = DirectFunctionCall3(numeric_in, CStringGetDatum(value_cstring(conv, v, buf)),
								 ObjectIdGetDatum(InvalidOid), Int32GetDatum(-1));
	whole = DirectFunctionCall2(numeric_trunc, number, Int32GetDatum(0));
	if (!DatumGetBool(DirectFunctionCall2(numeric_eq, number, whole)))
		return false;
	*result = DatumGetInt64(DirectFunctionCall1(numeric_int8, whole));
	return true;
}

/* An integer of the type's range.  False: its input function shall say what is wrong. */
static bool
read_int(AmpsfColumnConv *conv, const AmpsfValue *v, int64 min, int64 max, int64 *result)
{
	if (!read_int64(v, result) && !read_integral(conv, v, result))
		return false;
	if (*result < min || *result > max)
		ereport(ERROR, (errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
						errmsg("value \"%.*s\" is out of range for type %s", (int) v->len, v->ptr,
							   format_type_be(conv->base))));
	return true;
}

static Datum
convert_int2(AmpsfColumnConv *conv, const AmpsfValue *v)
{
	int64 n;

	if (!read_int(conv, v, PG_INT16_MIN, PG_INT16_MAX, &n))
		return convert_input(conv, v);
	return Int16GetDatum((int16) n);
}

static Datum
convert_int4(AmpsfColumnConv *conv, const AmpsfValue *v)
{
	int64 n;

	if (!read_int(conv, v, PG_INT32_MIN, PG_INT32_MAX, &n))
		return convert_input(conv, v);
	return Int32GetDatum((int32) n);
}

static Datum
convert_int8(AmpsfColumnConv *conv, const AmpsfValue *v)
{
	int64 n;

	if (!read_int(conv, v, PG_INT64_MIN, PG_INT64_MAX, &n))
		return convert_input(conv, v);
	return Int64GetDatum(n);
}

/*
 * Sign, digits, perhaps a point and more digits; 18 digits at most.  The number is *digits /
 * 10^*scale.
 */
static bool
read_decimal(const AmpsfValue *v, int64 *digits, int *scale)
{
	const char *p = v->ptr;
	const char *end = p + v->len;
	const char *whole, *fraction;
	bool negative = p < end && *p == '-';
	int64 n = 0;
	unsigned digit;

	p += negative;
	if (end - p > 19 || is_encoded(v))
		return false;
	for (whole = p; p < end && (digit = (unsigned char) *p - '0') <= 9; p++)
		n = n * 10 + digit;
	if (p == whole || (p == end && end - whole > 18))
		return false;
	*scale = 0;
	if (p < end)
	{
		if (*p++ != '.')
			return false;
		for (fraction = p; p < end && (digit = (unsigned char) *p - '0') <= 9; p++)
			n = n * 10 + digit;
		if (p < end || p == fraction)
			return false;
		*scale = (int) (p - fraction);
	}
	*digits = negative ? -n : n;
	return true;
}

static const int64 powers_of_ten[] = {
	INT64CONST(1),
	INT64CONST(10),
	INT64CONST(100),
	INT64CONST(1000),
	INT64CONST(10000),
	INT64CONST(100000),
	INT64CONST(1000000),
	INT64CONST(10000000),
	INT64CONST(100000000),
	INT64CONST(1000000000),
	INT64CONST(10000000000),
	INT64CONST(100000000000),
	INT64CONST(1000000000000),
	INT64CONST(10000000000000),
	INT64CONST(100000000000000),
	INT64CONST(1000000000000000),
	INT64CONST(10000000000000000),
	INT64CONST(100000000000000000),
	INT64CONST(1000000000000000000),
};

/*
 * A numeric as it is kept on disk, which no version of PostgreSQL may change: a word with sign,
 * digits to show behind the point and weight, then the digits to the base of 10,000, counted from
 * the point. NULL if it takes more than a few of them, or there is no room.
 */
static char *
put_numeric(AmpsfRoom *room, int64 digits, int scale)
{
	char *start = (char *) INTALIGN(room->at);
	uint64 n = digits < 0 ? -(uint64) digits : (uint64) digits;
	int below = (scale + 3) / 4; /* digits of 10,000 behind the point */
	int16 groups[6];
	int ngroups = 0, weight = -below - 1, skipped = 0;
	uint16 head;

	if (n >= UINT64CONST(1000000000000000) || room->end - start < 32)
		return NULL;
	for (n *= (uint64) powers_of_ten[below * 4 - scale]; n > 0; n /= 10000)
	{
		groups[ngroups++] = (int16) (n % 10000);
		weight++;
	}
	if (ngroups == 0)
		weight = 0;
	while (skipped < ngroups && groups[skipped] == 0)
		skipped++;
	head = (uint16) (0x8000 | (digits < 0 ? 0x2000 : 0) | scale << 7 | (weight & 0x7f));
	memcpy(start + VARHDRSZ, &head, sizeof(head));
	for (int i = 0; i < ngroups - skipped; i++)
		memcpy(start + VARHDRSZ + sizeof(head) + i * sizeof(int16), &groups[ngroups - 1 - i],
			   sizeof(int16));
	room->at = start + VARHDRSZ + sizeof(head) + (ngroups - skipped) * sizeof(int16);
	SET_VARSIZE(start, room->at - start);
	return start;
}

/* Does this server keep them so? */
static bool
can_put_numeric(void)
{
	static const struct
	{
		int64 digits;
		int scale;
	} samples[] = {{0, 0},
				   {0, 3},
				   {1, 0},
				   {-1, 4},
				   {-52520008, 6},
				   {INT64CONST(999999999999999), 0},
				   {INT64CONST(-123456789012345), 15},
				   {50000, 9},
				   {120000000, 0}};
	static int answer = 0;
	char buf[64];

	for (int i = 0; answer == 0 && i < (int) lengthof(samples); i++)
	{
		AmpsfRoom room;
		Numeric theirs = int64_div_fast_to_numeric(samples[i].digits, samples[i].scale);
		char *ours;

		room.start = room.at = (char *) MAXALIGN(buf);
		room.end = buf + sizeof(buf);
		ours = put_numeric(&room, samples[i].digits, samples[i].scale);
		if (!ours || VARSIZE(ours) != VARSIZE(theirs) || memcmp(ours, theirs, VARSIZE(ours)) != 0)
			answer = -1;
		pfree(theirs);
	}
	if (answer == 0)
		answer = 1;
	return answer > 0;
}

/*
 * numeric from the digits themselves.  With numeric(p,s) only where no digit needs to go and none
 * is too many; all else is the input function's, with its rounding and its error.
 */
static Datum
convert_numeric(AmpsfColumnConv *conv, const AmpsfValue *v)
{
	int64 digits;
	int scale;

	if (!read_decimal(v, &digits, &scale))
		return conv->typmod < 0 ? DirectFunctionCall1(numeric_trim_scale, convert_input(conv, v))
								: convert_input(conv, v);
	if (conv->typmod >= (int32) VARHDRSZ)
	{
		int precision = (conv->typmod - VARHDRSZ) >> 16 & 0xffff;
		/* eleven bits with a sign */
		int wanted = (((conv->typmod - VARHDRSZ) & 0x7ff) ^ 1024) - 1024;

		if (precision > 18 || wanted > precision || wanted < scale ||
			pg_mul_s64_overflow(digits, powers_of_ten[wanted - scale], &digits) ||
			digits >= powers_of_ten[precision] || digits <= -powers_of_ten[precision])
			return convert_input(conv, v);
		scale = wanted;
	}
	else
	{
		/* Salesforce writes 100.0 for 100: its zero says nothing of the number. */
		while (scale > 0 && digits % 10 == 0)
		{
			digits /= 10;
			scale--;
		}
	}
	if (conv->put_numeric && conv->room)
	{
		char *n = put_numeric(conv->room, digits, scale);

		if (likely(n != NULL))
			return PointerGetDatum(n);
	}
	return NumericGetDatum(int64_div_fast_to_numeric(digits, scale));
}

/*
 * A decimal whose digits and power of ten are both exact as doubles, so that one division gives the
 * nearest double.  max_digits and max_scale: what is exact in the type.
 */
static bool
read_double(const AmpsfValue *v, int64 max_digits, int max_scale, int64 *digits, int *scale)
{
	return read_decimal(v, digits, scale) && *digits <= max_digits && *digits >= -max_digits &&
		   *scale <= max_scale && (*digits != 0 || v->ptr[0] != '-');
}

static Datum
convert_float8(AmpsfColumnConv *conv, const AmpsfValue *v)
{
	int64 digits;
	int scale;

	if (FLT_EVAL_METHOD != 0 || !read_double(v, INT64CONST(1) << 53, 18, &digits, &scale))
		return convert_input(conv, v);
	return Float8GetDatum((double) digits / (double) powers_of_ten[scale]);
}

static Datum
convert_float4(AmpsfColumnConv *conv, const AmpsfValue *v)
{
	int64 digits;
	int scale;

	if (FLT_EVAL_METHOD != 0 || !read_double(v, 1 << 24, 10, &digits, &scale))
		return convert_input(conv, v);
	return Float4GetDatum((float) digits / (float) powers_of_ten[scale]);
}

/* ---------------------------------------------------------------------------------------------------
 * Dates and times
 * -------------------------------------------------------------------------------------------------
 */

/* The text of a value without its escapes, which nobody writes in a date. */
static const char *
plain_text(AmpsfColumnConv *conv, const AmpsfValue *v, char buf[SHORT_TEXT], Size *len)
{
	const char *s;

	if (!is_encoded(v))
	{
		*len = v->len;
		return v->ptr;
	}
	s = value_cstring(conv, v, buf);
	*len = strlen(s);
	return s;
}

static void no_datetime(AmpsfColumnConv *conv, const AmpsfValue *v) __attribute__((noreturn));

static void
no_datetime(AmpsfColumnConv *conv, const AmpsfValue *v)
{
	char buf[SHORT_TEXT];

	ereport(ERROR, (errcode(ERRCODE_INVALID_DATETIME_FORMAT),
					errmsg("invalid input syntax for type %s: \"%s\"", format_type_be(conv->base),
						   value_cstring(conv, v, buf))));
}

static Datum
convert_date(AmpsfColumnConv *conv, const AmpsfValue *v)
{
	char buf[SHORT_TEXT];
	Size len;
	const char *s = plain_text(conv, v, buf, &len);
	int32 days;

	if (!ampsf_parse_date(s, len, &days))
		no_datetime(conv, v);
	return DateADTGetDatum(days);
}

/* timestamptz, and timestamp as the clock in UTC shows it. */
static Datum
convert_timestamp(AmpsfColumnConv *conv, const AmpsfValue *v)
{
	char buf[SHORT_TEXT];
	Size len;
	const char *s = plain_text(conv, v, buf, &len);
	int64 usecs;
	Datum result;

	if (!ampsf_parse_datetime(s, len, &usecs))
		no_datetime(conv, v);
	result = TimestampTzGetDatum(usecs);
	if (conv->typmod >= 0)
		result = DirectFunctionCall2(timestamptz_scale, result, Int32GetDatum(conv->typmod));
	return result;
}

static Datum
convert_time(AmpsfColumnConv *conv, const AmpsfValue *v)
{
	char buf[SHORT_TEXT];
	Size len;
	const char *s = plain_text(conv, v, buf, &len);
	int64 usecs;
	Datum result;

	if (!ampsf_parse_time(s, len, &usecs))
		no_datetime(conv, v);
	result = TimeADTGetDatum(usecs);
	if (conv->typmod >= 0)
		result = DirectFunctionCall2(time_scale, result, Int32GetDatum(conv->typmod));
	return result;
}

/* ---------------------------------------------------------------------------------------------------
 * The choice
 * -------------------------------------------------------------------------------------------------
 */

static AmpsfConvertFn
choose(const AmpsfColumnConv *conv)
{
	switch (conv->base)
	{
		case TEXTOID:
			return convert_text;
		case VARCHAROID:
			return conv->typmod < (int32) VARHDRSZ ? convert_text : convert_varchar;
		case BOOLOID:
			return convert_bool;
		case INT2OID:
			return convert_int2;
		case INT4OID:
			return convert_int4;
		case INT8OID:
			return convert_int8;
		case NUMERICOID:
			return convert_numeric;
		case FLOAT4OID:
			return convert_float4;
		case FLOAT8OID:
			return convert_float8;
		case DATEOID:
			return convert_date;
		case TIMESTAMPTZOID:
		case TIMESTAMPOID:
			return convert_timestamp;
		case TIMEOID:
			return convert_time;
		case JSONBOID:
		case JSONOID:
			return convert_json;
		case TEXTARRAYOID:
			return convert_list;
		case VARCHARARRAYOID:
			return conv->typmod < 0 ? convert_list : convert_input;
		case BYTEAOID:
			return conv->remote_file ? convert_file : convert_input;
		default:
			return convert_input;
	}
}

void
ampsf_convert_init(AmpsfColumnConv *conv, Form_pg_attribute att, const AmpsfColumn *col,
				   MemoryContext cxt)
{
	Oid input;

	memset(conv, 0, sizeof(AmpsfColumnConv));
	conv->type = att->atttypid;
	conv->typmod = att->atttypmod;
	conv->base = getBaseTypeAndTypmod(conv->type, &conv->typmod);
	conv->domain = conv->base != conv->type;
	conv->remote_file = col && col->type && strcmp(col->type, "base64") == 0;
	conv->fetch_later = false;
	conv->utf8 = GetDatabaseEncoding() == PG_UTF8;
	conv->cxt = cxt;
	getTypeInputInfo(conv->base, &input, &conv->ioparam);
	fmgr_info_cxt(input, &conv->input, cxt);
	conv->fn = choose(conv);
	conv->put_numeric = conv->base == NUMERICOID && can_put_numeric();
}

Datum
ampsf_convert_domain(AmpsfColumnConv *conv, const AmpsfValue *v)
{
	bool isnull = v->kind == AMPSF_VALUE_NULL;
	Datum value = isnull ? (Datum) 0 : conv->fn(conv, v);

	domain_check(value, isnull, conv->type, &conv->domain_extra, conv->cxt);
	return value;
}
