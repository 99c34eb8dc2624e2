/*
 * soql_func.c - the functions that SOQL's SQL calls: LIKE, INCLUDES, picklist order and labels,
 * masks, FORMAT, DISTANCE.
 *
 * Owns: their registration on a database handle.  Must not know: statements.
 */
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <wctype.h>
#include <sqlite3.h>
#include "soql_ast.h"

/* The next character of UTF-8 text; bad bytes stand for themselves. */
static unsigned
next_char(const unsigned char **p, const unsigned char *end)
{
	const unsigned char *s = *p;
	unsigned c = *s++;
	int more = c >= 0xF0 ? 3 : c >= 0xE0 ? 2 : c >= 0xC0 ? 1 : 0;

	if (c >= 0x80 && end - s >= more)
	{
		c &= more == 3 ? 0x07 : more == 2 ? 0x0F : more == 1 ? 0x1F : 0xFF;
		while (more-- > 0)
			c = c << 6 | (*s++ & 0x3F);
	}
	*p = s;
	return c;
}

static unsigned
upper(unsigned c)
{
	static locale_t utf8;

	if (c < 0x80)
		return c >= 'a' && c <= 'z' ? c - 32 : c;
	if (utf8 == (locale_t) 0)
		utf8 = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t) 0);
	return utf8 ? (unsigned) towupper_l((wint_t) c, utf8) : c;
}

/* LIKE: % any text, _ one character, \ before a character that stands for itself. */
static bool
like(const unsigned char *p, const unsigned char *pe, const unsigned char *s,
	 const unsigned char *se, bool exact)
{
	const unsigned char *back_p = NULL, *back_s = NULL;

	for (;;)
	{
		const unsigned char *q = p;
		unsigned pc, sc;

		if (p < pe && *p == '%')
		{
			back_p = ++p;
			back_s = s;
			continue;
		}
		if (s >= se)
		{
			if (p >= pe)
				return true;
			return false;
		}
		if (p < pe)
		{
			const unsigned char *t = s;
			bool any = *q == '_';

			if (*q == '\\' && q + 1 < pe)
				q++;
			pc = next_char(&q, pe);
			sc = next_char(&t, se);
			if (any || pc == sc || (!exact && upper(pc) == upper(sc)))
			{
				p = q;
				s = t;
				continue;
			}
		}
		if (back_p == NULL)
			return false;
		next_char(&back_s, se);
		p = back_p;
		s = back_s;
	}
}

/* soql_like(pattern, value, exact): null of null. */
static void
fn_like(sqlite3_context *c, int argc, sqlite3_value **v)
{
	const unsigned char *p = sqlite3_value_text(v[0]), *s = sqlite3_value_text(v[1]);

	if (p != NULL && s != NULL)
		sqlite3_result_int(c, like(p, p + sqlite3_value_bytes(v[0]), s,
								   s + sqlite3_value_bytes(v[1]), sqlite3_value_int(v[2]) != 0));
}

/* True if one of the values of a;b;c is the given one, without case. */
static bool
holds_value(const char *list, const char *want, size_t n)
{
	for (;;)
	{
		size_t len = strcspn(list, ";");
		const unsigned char *a = (const unsigned char *) list, *b = (const unsigned char *) want;
		const unsigned char *ae = a + len, *be = b + n;

		while (a < ae && b < be)
			if (upper(next_char(&a, ae)) != upper(next_char(&b, be)))
				break;
			else if (a >= ae && b >= be)
				return true;
		if (list[len] == '\0')
			return false;
		list += len + 1;
	}
}

/* soql_includes(value, 'a;b', 'c' ...): (a and b) or c; null of null. */
static void
fn_includes(sqlite3_context *c, int argc, sqlite3_value **v)
{
	const char *list = (const char *) sqlite3_value_text(v[0]);

	for (int i = 1; list != NULL && i < argc; i++)
	{
		const char *w = (const char *) sqlite3_value_text(v[i]);
		bool all = w != NULL;

		while (all)
		{
			size_t n = strcspn(w, ";");

			all = holds_value(list, w, n);
			if (w[n] == '\0')
				break;
			w += n + 1;
		}
		if (all)
		{
			sqlite3_result_int(c, 1);
			return;
		}
	}
	if (list != NULL)
		sqlite3_result_int(c, 0);
}

int
func_picklist_rank(const Field *f, const char *value, size_t n)
{
	for (int i = 0; i < f->n_picklist; i++)
		if (strlen(f->picklist[i].value) == n && strncasecmp(f->picklist[i].value, value, n) == 0)
			return i;
	return 99999;
}

/* The field that two leading arguments number. */
static const Field *
field_argument(sqlite3_value **v)
{
	const Object *o = schema_object(sqlite3_value_int(v[0]));

	return &o->fields[sqlite3_value_int(v[1])];
}

/* soql_rank(object, field, value): five digits that sort as the picklist does; null of null. */
static void
fn_rank(sqlite3_context *c, int argc, sqlite3_value **v)
{
	const char *s = (const char *) sqlite3_value_text(v[2]);
	char text[16];

	if (s == NULL)
		return;
	snprintf(text, sizeof(text), "%05d",
			 func_picklist_rank(field_argument(v), s, (size_t) sqlite3_value_bytes(v[2])));
	sqlite3_result_text(c, text, 5, SQLITE_TRANSIENT);
}

/* soql_label(object, field, value): the labels of one value or of a;b;c. */
static void
fn_label(sqlite3_context *c, int argc, sqlite3_value **v)
{
	const Field *f = field_argument(v);
	const char *s = (const char *) sqlite3_value_text(v[2]);
	Buf b;

	if (s == NULL)
		return;
	buf_init(&b);
	for (;;)
	{
		size_t n = f->type == FT_MULTIPICKLIST ? strcspn(s, ";") : strlen(s);
		int rank = func_picklist_rank(f, s, n);

		if (rank < f->n_picklist && f->picklist[rank].label)
			buf_adds(&b, f->picklist[rank].label);
		else
			buf_add(&b, s, n);
		if (s[n] == '\0')
			break;
		buf_addc(&b, ';');
		s += n + 1;
	}
	sqlite3_result_text(c, b.data, (int) b.len, SQLITE_TRANSIENT);
	buf_free(&b);
}

/*
 * soql_mask(object, field, value): what a user without "View Encrypted Data" sees.  The mask types lastFour,
 * creditCard and ssn leave the last four characters, sin the last three, the others none.
 */
static void
fn_mask(sqlite3_context *c, int argc, sqlite3_value **v)
{
	const Field *f = field_argument(v);
	const unsigned char *s = sqlite3_value_text(v[2]);
	const unsigned char *end;
	int n = 0, shown;
	Buf b;

	if (s == NULL)
		return;
	end = s + sqlite3_value_bytes(v[2]);
	for (const unsigned char *p = s; p < end; n++)
		next_char(&p, end);
	shown = strcmp(f->mask_type, "lastFour") == 0 || strcmp(f->mask_type, "creditCard") == 0 ||
					strcmp(f->mask_type, "ssn") == 0
				? 4
			: strcmp(f->mask_type, "sin") == 0 ? 3
											   : 0;
	buf_init(&b);
	buf_reserve(&b, 1);
	for (; n > shown; n--)
	{
		next_char(&s, end);
		buf_adds(&b, f->mask);
	}
	buf_add(&b, s, (size_t) (end - s) * (shown > 0));
	sqlite3_result_text(c, b.data, (int) b.len, SQLITE_TRANSIENT);
	buf_free(&b);
}

/* 1234567.5 -> 1,234,567.50 */
static void
grouped_number(Buf *b, double value, int scale)
{
	char text[400];
	int n = snprintf(text, sizeof(text), "%.*f", scale, fabs(value));
	int whole = (int) strcspn(text, ".");

	for (int i = 0; i < n; i++)
	{
		if (i > 0 && i < whole && (whole - i) % 3 == 0)
			buf_addc(b, ',');
		buf_addc(b, text[i]);
	}
}

/* soql_format(kind, scale, value): as the locale en_US shows it. */
static void
fn_format(sqlite3_context *c, int argc, sqlite3_value **v)
{
	const char *k = (const char *) sqlite3_value_text(v[0]);
	int scale = sqlite3_value_int(v[1]), y, mo, d, h = 0, mi = 0;
	double value;
	Buf b;

	if (sqlite3_value_type(v[2]) == SQLITE_NULL)
		return;
	buf_init(&b);
	if (*k == 'd' || *k == 't')
	{
		if (sscanf((const char *) sqlite3_value_text(v[2]), "%d-%d-%dT%d:%d", &y, &mo, &d, &h,
				   &mi) >= 3)
			buf_addf(&b, "%d/%d/%d", mo, d, y);
		if (*k == 't')
			buf_addf(&b, ", %d:%02d %s", h % 12 ? h % 12 : 12, mi, h < 12 ? "AM" : "PM");
	}
	else if (*k == 'h')
	{
		if (sscanf((const char *) sqlite3_value_text(v[2]), "%d:%d", &h, &mi) == 2)
			buf_addf(&b, "%d:%02d %s", h % 12 ? h % 12 : 12, mi, h < 12 ? "AM" : "PM");
	}
	else
	{
		value = sqlite3_value_double(v[2]);
		buf_adds(&b, value < 0 ? "-" : "");
		if (*k == 'c')
			buf_addc(&b, '$');
		grouped_number(&b, value, scale < 0 ? 0 : scale > 18 ? 18 : scale);
		if (*k == 'p')
			buf_addc(&b, '%');
	}
	sqlite3_result_text(c, b.data ? b.data : "", (int) b.len, SQLITE_TRANSIENT);
	buf_free(&b);
}

/* soql_distance(lat, lon, lat0, lon0, miles): along the great circle; null if the place is unknown.
 */
static void
fn_distance(sqlite3_context *c, int argc, sqlite3_value **v)
{
	double a[4], s;

	for (int i = 0; i < 4; i++)
	{
		if (sqlite3_value_type(v[i]) == SQLITE_NULL)
			return;
		a[i] = sqlite3_value_double(v[i]) * M_PI / 180;
	}
	s = pow(sin((a[2] - a[0]) / 2), 2) + cos(a[0]) * cos(a[2]) * pow(sin((a[3] - a[1]) / 2), 2);
	s = 2 * asin(fmin(1, sqrt(s)));
	sqlite3_result_double(c, s * (sqlite3_value_int(v[4]) ? 3958.7613 : 6371.0088));
}

/* Registers the functions unless the handle has them: it may be a new one at an old address. */
void
func_register(sqlite3 *db)
{
	static const struct
	{
		const char *name;
		int args;
		void (*fn)(sqlite3_context *, int, sqlite3_value **);
	} list[] = {{"soql_like", 3, fn_like},	   {"soql_includes", -1, fn_includes},
				{"soql_rank", 3, fn_rank},	   {"soql_label", 3, fn_label},	 {"soql_mask", 3, fn_mask},
				{"soql_format", 3, fn_format}, {"soql_distance", 5, fn_distance}};
	sqlite3_stmt *probe = NULL;
	bool known = sqlite3_prepare_v2(db, "SELECT soql_like('','',0)", -1, &probe, NULL) == SQLITE_OK;

	sqlite3_finalize(probe);
	if (known)
		return;
	for (size_t i = 0; i < sizeof(list) / sizeof(list[0]); i++)
		sqlite3_create_function(db, list[i].name, list[i].args, SQLITE_UTF8 | SQLITE_DETERMINISTIC,
								NULL, list[i].fn, NULL, NULL);
}
