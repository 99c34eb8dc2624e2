/*
 * rules_value.c - one value of a request: is it of the field's type, does it fit, and what is
 * stored.
 *
 * Must not know: other rows, SQLite.
 */
#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <stdarg.h>
#include <string.h>
#include <strings.h>

#include "store_internal.h"

static const char *
label_of(const Field *f)
{
	json_object *fields = NULL;
	json_object *label = NULL;

	json_object_object_get_ex(f->object->describe, "fields", &fields);
	json_object_object_get_ex(json_object_array_get_idx(fields, f->index), "label", &label);
	return json_object_get_string(label);
}

/* The text of a refusal is about one field. */
static bool __attribute__((format(printf, 4, 5)))
refuse(StoreError *e, const Field *f, const char *code, const char *fmt, ...)
{
	va_list ap;
	char *text = NULL;

	va_start(ap, fmt);
	if (vasprintf(&text, fmt, ap) < 0)
		schema_die("out of memory");
	va_end(ap);
	store_error_set(e, 400, code, "%s", text);
	store_error_field(e, f->name);
	free(text);
	return false;
}

/* What the JSON reader says when a value cannot be of the field's type. */
static bool
refuse_json(StoreError *e, const Field *f, json_object *json)
{
	const char *token;
	const char *type = f->type == FT_ID || f->type == FT_REFERENCE ? "string" : f->type_name;

	switch (json_object_get_type(json))
	{
		case json_type_object:
			token = "START_OBJECT";
			break;
		case json_type_array:
			token = "START_ARRAY";
			break;
		case json_type_boolean:
			token = json_object_get_boolean(json) ? "VALUE_TRUE" : "VALUE_FALSE";
			break;
		case json_type_int:
			token = "VALUE_NUMBER_INT";
			break;
		case json_type_double:
			token = "VALUE_NUMBER_FLOAT";
			break;
		default:
			token = "VALUE_STRING";
			break;
	}
	store_error_set(
		e, 400, "JSON_PARSER_ERROR",
		"Cannot deserialize instance of %s from %s value %s or request may be missing a "
		"required field at [line:1, column:2]",
		type, token,
		json_object_is_type(json, json_type_object)	 ? "{"
		: json_object_is_type(json, json_type_array) ? "["
													 : json_object_get_string(json));
	return false;
}

static size_t
characters(const char *s)
{
	size_t n = 0;

	for (; *s; s++)
		n += (*s & 0xc0) != 0x80;
	return n;
}

static void
take_text(Value *out, const char *s)
{
	value_clear(out);
	if (s && *s)
	{
		out->kind = V_TEXT;
		out->s = strdup(s);
	}
}

/* Good enough for what Salesforce refuses: one @, a dotted domain, no spaces or controls. */
static bool
valid_email(const char *s)
{
	const char *at = strchr(s, '@');
	const char *dot;
	const char *p;

	if (!at || at == s || strchr(at + 1, '@'))
		return false;
	dot = strrchr(at, '.');
	if (!dot || dot == at + 1 || strlen(dot) < 3)
		return false;
	for (p = s; *p; p++)
		if ((unsigned char) *p <= ' ' || strchr("(),:;<>[]\\\"", *p))
			return false;
	return at[-1] != '.' && s[0] != '.' && !strstr(s, "..");
}

static const PicklistValue *
find_picklist(const Field *f, const char *value, size_t len)
{
	int i;

	for (i = 0; i < f->n_picklist; i++)
		if (f->picklist[i].active && strncmp(f->picklist[i].value, value, len) == 0 &&
			f->picklist[i].value[len] == '\0')
			return &f->picklist[i];
	return NULL;
}

/* Values come in any order and are kept in the picklist's; those it lacks follow. */
static bool
multipicklist(const Field *f, const char *text, Value *out, StoreError *e)
{
	bool *seen = calloc(f->n_picklist + 1, sizeof(bool));
	Buf kept;
	Buf unknown;
	bool ok = true;
	int i;

	buf_init(&kept);
	buf_init(&unknown);
	while (ok && *text)
	{
		size_t len = strcspn(text, ";");
		const PicklistValue *v = find_picklist(f, text, len);

		if (v)
			seen[v - f->picklist] = true;
		else if (len > 0 && f->restricted_picklist)
			ok = refuse(e, f, "INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST",
						"%s: bad value for restricted picklist field: %.*s", label_of(f), (int) len,
						text);
		else if (len > 0)
		{
			buf_addc(&unknown, ';');
			buf_add(&unknown, text, len);
		}
		text += len + (text[len] == ';');
	}
	for (i = 0; i < f->n_picklist; i++)
		if (seen[i])
			buf_addf(&kept, ";%s", f->picklist[i].value);
	buf_add(&kept, unknown.data ? unknown.data : "", unknown.len);
	if (ok)
		take_text(out, kept.len ? kept.data + 1 : NULL);
	buf_free(&kept);
	buf_free(&unknown);
	free(seen);
	return ok;
}

static bool
text_value(const Field *f, json_object *json, Value *out, StoreError *e)
{
	const char *s;

	if (json_object_is_type(json, json_type_object) || json_object_is_type(json, json_type_array))
		return refuse_json(e, f, json);
	s = json_object_get_string(json);
	if (*s == '\0')
	{
		value_clear(out);
		return true;
	}
	if (f->type == FT_MULTIPICKLIST)
		return multipicklist(f, s, out, e);
	if (f->type == FT_EMAIL && !valid_email(s))
		return refuse(e, f, "INVALID_EMAIL_ADDRESS", "%s: invalid email address: %s", label_of(f),
					  s);
	if (f->type == FT_PICKLIST && f->restricted_picklist && !find_picklist(f, s, strlen(s)))
		return refuse(e, f, "INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST",
					  "%s: bad value for restricted picklist field: %s", label_of(f), s);
	if (f->length > 0 && characters(s) > (size_t) f->length)
		return refuse(e, f, "STRING_TOO_LONG", "%s: data value too large: %s (max length=%d)",
					  label_of(f), s, f->length);
	take_text(out, s);
	return true;
}

static bool
json_number(json_object *json, double *d)
{
	const char *s;
	char *end;

	if (json_object_is_type(json, json_type_int) || json_object_is_type(json, json_type_double))
	{
		*d = json_object_get_double(json);
		return isfinite(*d);
	}
	if (!json_object_is_type(json, json_type_string))
		return false;
	s = json_object_get_string(json);
	if (!isdigit((unsigned char) *s) && *s != '-' && *s != '+' && *s != '.')
		return false;
	if (strpbrk(s, "xXnN"))
		return false;
	*d = strtod(s, &end);
	return *end == '\0' && isfinite(*d);
}

static double
limit_of(const Field *f)
{
	size_t n = strlen(f->name);

	if (f->compound && n > 8 && strstr(f->name, "Latitude"))
		return 90.0;
	if (f->compound && n > 9 && strstr(f->name, "Longitude"))
		return 180.0;
	return pow(10, f->precision - f->scale);
}

static bool
number_value(const Field *f, json_object *json, Value *out, StoreError *e)
{
	bool whole = f->type == FT_INT || f->type == FT_LONG;
	bool bounded;
	double limit;
	double d;

	if (json_object_is_type(json, json_type_string) && json_object_get_string_len(json) == 0)
	{
		value_clear(out);
		return true;
	}
	if (!json_number(json, &d))
		return refuse_json(e, f, json);
	value_clear(out);
	if (whole)
	{
		if (d != floor(d))
			return refuse_json(e, f, json);
		limit = f->type == FT_LONG ? 9.2e18 : f->digits > 0 ? pow(10, f->digits) : 2147483648.0;
		if (fabs(d) >= limit)
			return refuse(e, f, "NUMBER_OUTSIDE_VALID_RANGE",
						  "%s: value outside of valid range on numeric field: %s", label_of(f),
						  json_object_get_string(json));
		out->kind = V_INT;
		out->i =
			json_object_is_type(json, json_type_int) ? json_object_get_int64(json) : (int64_t) d;
		return true;
	}
	/* The scale is for pages only: what the API writes keeps all its decimals. */
	limit = limit_of(f);
	bounded = limit == 90.0 || limit == 180.0;
	if (f->precision > 0 && (bounded ? fabs(d) > limit : fabs(d) >= limit))
	{
		Buf b;
		bool r;

		buf_init(&b);
		buf_json_double(&b, d);
		r = refuse(e, f, "NUMBER_OUTSIDE_VALID_RANGE",
				   "%s: value outside of valid range on numeric field: %s", label_of(f), b.data);
		buf_free(&b);
		return r;
	}
	out->kind = V_REAL;
	out->d = d;
	return true;
}

static bool
digits(const char *s, int n, int *out)
{
	int i;

	*out = 0;
	for (i = 0; i < n; i++)
	{
		if (!isdigit((unsigned char) s[i]))
			return false;
		*out = *out * 10 + s[i] - '0';
	}
	return true;
}

static bool
parse_date(const char *s, struct tm *tm)
{
	static const int month_days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	int y;
	int m;
	int d;
	bool leap;

	if (!digits(s, 4, &y) || s[4] != '-' || !digits(s + 5, 2, &m) || s[7] != '-' ||
		!digits(s + 8, 2, &d))
		return false;
	leap = (y % 4 == 0 && y % 100 != 0) || y % 400 == 0;
	if (m < 1 || m > 12 || d < 1 || d > month_days[m - 1] + (m == 2 && leap))
		return false;
	memset(tm, 0, sizeof(*tm));
	tm->tm_year = y - 1900;
	tm->tm_mon = m - 1;
	tm->tm_mday = d;
	return true;
}

/* hh:mm:ss with an optional fraction; returns what follows, or NULL. */
static const char *
parse_time(const char *s, struct tm *tm, int *millis)
{
	int unit = 100;

	*millis = 0;
	if (!digits(s, 2, &tm->tm_hour) || s[2] != ':' || !digits(s + 3, 2, &tm->tm_min) ||
		s[5] != ':' || !digits(s + 6, 2, &tm->tm_sec))
		return NULL;
	if (tm->tm_hour > 23 || tm->tm_min > 59 || tm->tm_sec > 59)
		return NULL;
	s += 8;
	if (*s == '.')
	{
		if (!isdigit((unsigned char) s[1]))
			return NULL;
		for (s++; isdigit((unsigned char) *s); s++)
		{
			*millis += unit * (*s - '0');
			unit /= 10;
		}
	}
	return s;
}

/* Z, +hh:mm or +hhmm, in seconds. */
static bool
parse_offset(const char *s, int *seconds)
{
	int sign = *s == '-' ? -1 : 1;
	int h;
	int m;

	*seconds = 0;
	if (strcmp(s, "Z") == 0)
		return true;
	if ((*s != '+' && *s != '-') || !digits(s + 1, 2, &h))
		return false;
	s += 3;
	if (*s == ':')
		s++;
	if (!digits(s, 2, &m) || s[2] != '\0')
		return false;
	*seconds = sign * (h * 3600 + m * 60);
	return true;
}

/* Java's Date.toString, which the refusal of an impossible year quotes. */
static bool
refuse_date(StoreError *e, const Field *f, time_t t)
{
	struct tm tm;
	char text[64];

	gmtime_r(&t, &tm);
	strftime(text, sizeof(text), "%a %b %d %H:%M:%S GMT %Y", &tm);
	return refuse(e, f, "FIELD_INTEGRITY_EXCEPTION", "%s: invalid date: %s", label_of(f), text);
}

static bool
date_value(const Field *f, json_object *json, Value *out, StoreError *e)
{
	const char *s = json_object_get_string(json);
	struct tm tm = {0};
	int millis = 0;
	int offset = 0;
	char text[64];
	time_t t;

	if (!json_object_is_type(json, json_type_string))
		return refuse_json(e, f, json);
	if (*s == '\0')
	{
		value_clear(out);
		return true;
	}
	if (f->type == FT_TIME)
	{
		const char *rest = parse_time(s, &tm, &millis);

		if (!rest || (*rest != '\0' && strcmp(rest, "Z") != 0))
			return refuse_json(e, f, json);
		snprintf(text, sizeof(text), "%02d:%02d:%02d.%03dZ", tm.tm_hour, tm.tm_min, tm.tm_sec,
				 millis);
		take_text(out, text);
		return true;
	}
	if (strlen(s) < 10 || !parse_date(s, &tm))
		return refuse_json(e, f, json);
	if (f->type == FT_DATE && s[10] != '\0')
		return refuse_json(e, f, json);
	if (f->type == FT_DATETIME)
	{
		const char *rest =
			s[10] == 'T' && strlen(s) >= 20 ? parse_time(s + 11, &tm, &millis) : NULL;

		if (!rest || !parse_offset(rest, &offset))
			return refuse_json(e, f, json);
	}
	t = timegm(&tm) - offset;
	if (t < -8520336000LL || t > 64092124800LL)
		return refuse_date(e, f, t);
	if (f->type == FT_DATE)
		snprintf(text, sizeof(text), "%.10s", s);
	else
	{
		store_timestamp(t, text);
		if (store_milliseconds())
		{
			snprintf(text + 20, 4, "%03d", millis);
			text[23] = '+';
		}
	}
	take_text(out, text);
	return true;
}

static bool
boolean_value(const Field *f, json_object *json, Value *out, StoreError *e)
{
	bool b;

	if (!json)
		return refuse(e, f, "INVALID_TYPE_ON_FIELD_IN_RECORD",
					  "%s: value not of required type: null", label_of(f));
	if (json_object_is_type(json, json_type_boolean))
		b = json_object_get_boolean(json);
	else if (json_object_is_type(json, json_type_string) &&
			 (strcasecmp(json_object_get_string(json), "true") == 0 ||
			  strcasecmp(json_object_get_string(json), "false") == 0))
		b = tolower((unsigned char) json_object_get_string(json)[0]) == 't';
	else
		return refuse_json(e, f, json);
	value_clear(out);
	out->kind = V_INT;
	out->i = b;
	return true;
}

static bool
id_value(const Field *f, json_object *json, Value *out, StoreError *e)
{
	char full[SF_ID_LEN + 1];
	const char *s;

	if (!json_object_is_type(json, json_type_string))
		return refuse_json(e, f, json);
	s = json_object_get_string(json);
	if (*s == '\0')
	{
		value_clear(out);
		return true;
	}
	if (!store_canonical_id(s, strlen(s), full))
		return refuse(e, f, "MALFORMED_ID", "%s: id value of incorrect type: %s", label_of(f), s);
	take_text(out, full);
	return true;
}

static bool
base64_value(const Field *f, json_object *json, Value *out, StoreError *e)
{
	const char *s = json_object_get_string(json);
	size_t n;

	if (!json_object_is_type(json, json_type_string))
		return refuse_json(e, f, json);
	n = strspn(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/");
	n += strspn(s + n, "=");
	if (s[n] != '\0' || n % 4 != 0)
		return refuse_json(e, f, json);
	take_text(out, s);
	return true;
}

static bool
any_value(json_object *json, Value *out)
{
	value_clear(out);
	if (json_object_is_type(json, json_type_double) || json_object_is_type(json, json_type_int))
	{
		out->kind = V_REAL;
		out->d = json_object_get_double(json);
	}
	else
		take_text(out, json_object_get_string(json));
	return true;
}

bool
rules_value(const Field *f, json_object *json, Value *out, StoreError *e)
{
	if (f->type == FT_BOOLEAN)
		return boolean_value(f, json, out, e);
	if (!json)
	{
		value_clear(out);
		return true;
	}
	/* rows are kept as C strings: a text is refused rather than cut */
	if (json_object_is_type(json, json_type_string) &&
		strlen(json_object_get_string(json)) != (size_t) json_object_get_string_len(json))
		return refuse_json(e, f, json);
	switch (f->type)
	{
		case FT_ID:
		case FT_REFERENCE:
			return id_value(f, json, out, e);
		case FT_INT:
		case FT_LONG:
		case FT_DOUBLE:
		case FT_CURRENCY:
		case FT_PERCENT:
			return number_value(f, json, out, e);
		case FT_DATE:
		case FT_DATETIME:
		case FT_TIME:
			return date_value(f, json, out, e);
		case FT_BASE64:
			return base64_value(f, json, out, e);
		case FT_ANYTYPE:
			return any_value(json, out);
		default:
			return text_value(f, json, out, e);
	}
}
