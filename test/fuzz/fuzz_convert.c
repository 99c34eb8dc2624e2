/*
 * fuzz_convert.c - libFuzzer target: a value's text into a Datum.
 *
 * exec/convert.c stands here without PostgreSQL: palloc is malloc, an error jumps back, and the
 * type's input function, to which it leaves all that is not plain, only notes that it was asked.
 * What was converted without it must be what the C library, or a second writer of numerics, makes
 * of the text.
 *
 * The first byte chooses the type, the second the kind of value, the third where it is put.
 */
#include "postgres.h"

#include <setjmp.h>

#include "catalog/pg_type_d.h"
#include "exec/convert.h"
#include "mb/pg_wchar.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/numeric.h"
#include "wire/csv_scan.h"

#undef snprintf

extern int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* ---- what convert.c wants of PostgreSQL ---- */

static jmp_buf on_error;
static bool asked; /* the input function, or another of PostgreSQL's */
static void *blocks[100000];
static int nblocks;

void *
palloc(Size size)
{
	if (nblocks == (int) lengthof(blocks))
		abort();
	return blocks[nblocks++] = malloc(size ? size : 1);
}

char *
pstrdup(const char *s)
{
	char *copy = palloc(strlen(s) + 1);

	strcpy(copy, s);
	return copy;
}

void
pfree(void *p)
{
	(void) p; /* with all others, when the run is over */
}

static void
free_all(void)
{
	while (nblocks > 0)
		free(blocks[--nblocks]);
}

bool
errstart(int level, const char *domain)
{
	(void) level, (void) domain;
	return true;
}

bool
errstart_cold(int level, const char *domain)
{
	return errstart(level, domain);
}

void
errfinish(const char *file, int line, const char *function)
{
	(void) file, (void) line, (void) function;
	longjmp(on_error, 1);
}

int
errcode(int code)
{
	return code;
}

int
errmsg(const char *format, ...)
{
	return format != NULL;
}

int
errhint(const char *format, ...)
{
	return format != NULL;
}

Datum
InputFunctionCall(FmgrInfo *f, char *text, Oid ioparam, int32 typmod)
{
	(void) f, (void) ioparam, (void) typmod;
	asked |= strlen(text) + 1 > 0;
	return (Datum) 0;
}

Datum
DirectFunctionCall1Coll(PGFunction f, Oid collation, Datum a)
{
	(void) f, (void) collation, (void) a;
	asked = true;
	return (Datum) 0;
}

Datum
DirectFunctionCall2Coll(PGFunction f, Oid collation, Datum a, Datum b)
{
	(void) b;
	return DirectFunctionCall1Coll(f, collation, a);
}

Datum
DirectFunctionCall3Coll(PGFunction f, Oid collation, Datum a, Datum b, Datum c)
{
	(void) b, (void) c;
	return DirectFunctionCall1Coll(f, collation, a);
}

int
GetDatabaseEncoding(void)
{
	return PG_UTF8;
}

char *
pg_any_to_server(const char *s, int len, int encoding)
{
	(void) len, (void) encoding;
	return (char *) s;
}

Oid
getBaseTypeAndTypmod(Oid type, int32 *typmod)
{
	(void) typmod;
	return type;
}

void
getTypeInputInfo(Oid type, Oid *input, Oid *ioparam)
{
	*input = *ioparam = type;
}

void
fmgr_info_cxt(Oid function, FmgrInfo *f, MemoryContext cxt)
{
	(void) function, (void) cxt;
	memset(f, 0, sizeof(*f));
}

Oid
get_element_type(Oid type)
{
	return type == TEXTARRAYOID ? TEXTOID : InvalidOid;
}

char *
format_type_be(Oid type)
{
	(void) type;
	return (char *) "?";
}

text *
cstring_to_text_with_len(const char *s, int len)
{
	text *t = palloc((Size) len + VARHDRSZ);

	SET_VARSIZE(t, (Size) len + VARHDRSZ);
	memcpy(VARDATA(t), s, (size_t) len);
	return t;
}

text *
cstring_to_text(const char *s)
{
	return cstring_to_text_with_len(s, (int) strlen(s));
}

struct varlena *
pg_detoast_datum_packed(struct varlena *datum)
{
	return datum;
}

ArrayType *
construct_array(Datum *elements, int n, Oid type, int len, bool byval, char align)
{
	(void) type, (void) len, (void) byval, (void) align;
	for (int i = 0; i < n; i++)
		asked |= VARSIZE(DatumGetPointer(elements[i])) > 0;
	return palloc(1);
}

void
domain_check(Datum value, bool isnull, Oid type, void **extra, MemoryContext cxt)
{
	(void) value, (void) isnull, (void) type, (void) extra, (void) cxt;
	abort(); /* no type here is a domain */
}

#define NEVER_CALLED(name)                                                                         \
	Datum name(PG_FUNCTION_ARGS)                                                                   \
	{                                                                                              \
		(void) fcinfo;                                                                             \
		abort();                                                                                   \
	}
NEVER_CALLED(numeric_eq)
NEVER_CALLED(numeric_in)
NEVER_CALLED(numeric_int8)
NEVER_CALLED(numeric_trim_scale)
NEVER_CALLED(numeric_trunc)
NEVER_CALLED(time_scale)
NEVER_CALLED(timestamptz_scale)

/* ---- numerics, written from their decimal digits ---- */

/* The form on disk of [-]digits[.digits], with so many digits shown behind the point. */
static Numeric
numeric_of(const char *s, size_t len, int shown)
{
	bool negative = len > 0 && *s == '-';
	const char *digits = s + negative;
	size_t n = len - negative;
	const char *point = memchr(digits, '.', n);
	size_t before = point ? (size_t) (point - digits) : n;
	size_t behind = point ? n - before - 1 : 0;
	/* the digits with zeros at both ends, up to whole groups of four */
	size_t front = (4 - before % 4) % 4, groups = (before + 3) / 4 + (behind + 3) / 4;
	char *all = palloc(groups * 4 + 1);
	int weight = (int) ((before + 3) / 4) - 1;
	int16 *values = palloc(sizeof(int16) * (groups + 1));
	size_t first = 0, last = groups;
	Numeric result;
	uint16 head;

	memset(all, '0', groups * 4 + 1);
	memcpy(all + front, digits, before);
	if (behind > 0)
		memcpy(all + front + before, point + 1, behind);
	for (size_t g = 0; g < groups; g++)
		values[g] = (int16) ((all[g * 4] - '0') * 1000 + (all[g * 4 + 1] - '0') * 100 +
							 (all[g * 4 + 2] - '0') * 10 + (all[g * 4 + 3] - '0'));
	while (last > first && values[last - 1] == 0)
		last--;
	while (first < last && values[first] == 0)
		first++;
	if (first == last)
		weight = 0, negative = false;
	else
		weight -= (int) first;
	head = (uint16) (0x8000 | (negative ? 0x2000 : 0) | shown << 7 | (weight < 0 ? 0x40 : 0) |
					 (weight & 0x3f));
	result = palloc(VARHDRSZ + 2 + sizeof(int16) * (last - first));
	SET_VARSIZE(result, VARHDRSZ + 2 + sizeof(int16) * (last - first));
	memcpy(VARDATA(result), &head, 2);
	memcpy(VARDATA(result) + 2, values + first, sizeof(int16) * (last - first));
	return result;
}

Numeric
int64_div_fast_to_numeric(int64 value, int scale)
{
	char s[64];
	int n;
	uint64 digits = value < 0 ? -(uint64) value : (uint64) value;

	n = snprintf(s, sizeof(s), "%s%0*llu", value < 0 ? "-" : "", scale + 1,
				 (unsigned long long) digits);
	if (scale > 0)
	{
		memmove(s + n - scale + 1, s + n - scale, (size_t) scale);
		s[n++ - scale] = '.';
	}
	return numeric_of(s, (size_t) n, scale);
}

/* ---- the target ---- */

/* [-]digits[.digits], and nothing else? */
static bool
is_decimal(const char *s, size_t len, size_t *behind)
{
	size_t i = len > 0 && *s == '-', first = i, point;

	while (i < len && s[i] >= '0' && s[i] <= '9')
		i++;
	*behind = 0;
	if (i == first || i == len)
		return i > first;
	if (s[i] != '.')
		return false;
	for (point = i++; i < len && s[i] >= '0' && s[i] <= '9';)
		i++;
	*behind = i - point - 1;
	return i == len && *behind > 0;
}

/* s: the text of the value, len bytes and a zero. */
static void
check(const AmpsfColumnConv *conv, const AmpsfValue *v, Datum d, const char *s, size_t len)
{
	size_t behind;

	switch (conv->type)
	{
		case TEXTOID:
		{
			text *t = DatumGetTextPP(d);

			if (VARSIZE_ANY_EXHDR(t) != len || memcmp(VARDATA_ANY(t), s, len) != 0)
				abort();
			break;
		}
		case BOOLOID:
			if (DatumGetBool(d) != (v->kind == AMPSF_VALUE_TRUE))
				abort();
			break;
		case INT2OID:
		case INT4OID:
		case INT8OID:
		{
			int64 n = conv->type == INT2OID	  ? DatumGetInt16(d)
					  : conv->type == INT4OID ? DatumGetInt32(d)
											  : DatumGetInt64(d);

			if (!is_decimal(s, len, &behind) || behind > 0 || n != strtoll(s, NULL, 10))
				abort();
			break;
		}
		case FLOAT8OID:
		{
			double x = DatumGetFloat8(d), y = strtod(s, NULL);

			if (!is_decimal(s, len, &behind) || memcmp(&x, &y, sizeof(x)) != 0)
				abort();
			break;
		}
		case FLOAT4OID:
		{
			float x = DatumGetFloat4(d), y = strtof(s, NULL);

			if (!is_decimal(s, len, &behind) || memcmp(&x, &y, sizeof(x)) != 0)
				abort();
			break;
		}
		case NUMERICOID:
		{
			Numeric n = (Numeric) DatumGetPointer(d), wanted;

			if (!is_decimal(s, len, &behind))
				abort();
			for (size_t end = len; behind > 0 && s[end - 1] == '0'; end--)
				behind--;
			if (conv->typmod >= 0)
				behind = (size_t) (conv->typmod - VARHDRSZ) & 0x7ff;
			wanted = numeric_of(s, len, (int) behind);
			if (VARSIZE(n) != VARSIZE(wanted) || memcmp(n, wanted, VARSIZE(n)) != 0)
				abort();
			break;
		}
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const Oid types[] = {TEXTOID,		BOOLOID,	INT2OID,	  INT4OID,
								INT8OID,		FLOAT4OID,	FLOAT8OID,	  NUMERICOID,
								NUMERICOID,		DATEOID,	TIMEOID,	  TIMESTAMPOID,
								TIMESTAMPTZOID, VARCHAROID, TEXTARRAYOID, JSONBOID};
	static const uint8 kinds[] = {AMPSF_VALUE_STRING,  AMPSF_VALUE_NUMBER, AMPSF_VALUE_ESCAPED,
								  AMPSF_VALUE_DOUBLED, AMPSF_VALUE_TRUE,   AMPSF_VALUE_FALSE};
	FormData_pg_attribute att = {.atttypmod = -1};
	AmpsfColumnConv conv;
	AmpsfValue v;
	char *volatile copy = NULL;
	char *volatile plain = NULL;
	char *text, *decoded;
	ptrdiff_t len;

	if (size < 3)
		return 0;
	/* a copy of just this size, so that the sanitizer sees a step beyond it */
	copy = text = malloc(size - 3 ? size - 3 : 1);
	plain = decoded = malloc(size);
	memcpy(text, data + 3, size - 3);
	/* the text of a value has no zeros: it was checked to be UTF-8 */
	v.ptr = text;
	v.len = (uint32) strnlen(text, size - 3);
	v.kind = kinds[data[1] % lengthof(kinds)];
	memcpy(decoded, text, v.len);
	len = v.kind == AMPSF_VALUE_ESCAPED	  ? ampsf_json_unescape(text, v.len, decoded)
		  : v.kind == AMPSF_VALUE_DOUBLED ? (ptrdiff_t) ampsf_csv_unquote(text, v.len, decoded)
										  : (ptrdiff_t) v.len;
	att.atttypid = types[data[0] % lengthof(types)];
	if (data[0] % lengthof(types) == 8)
		att.atttypmod = VARHDRSZ + ((1 + data[2] / 2 % 18) << 16 | data[2] % 8);
	if (setjmp(on_error) == 0)
	{
		ampsf_convert_init(&conv, &att, NULL, NULL);
		if (data[2] % 2)
			conv.room = ampsf_room_create();
		/* until the room is full, and then once */
		for (int i = 0; i < (data[2] % 32 == 31 ? 600 : 2); i++)
		{
			bool isnull;
			Datum d;

			asked = false;
			d = ampsf_convert(&conv, &v, &isnull);
			if (!asked && len >= 0)
			{
				decoded[len] = '\0';
				check(&conv, &v, d, decoded, (size_t) len);
			}
		}
	}
	free_all();
	free(copy);
	free(plain);
	return 0;
}
