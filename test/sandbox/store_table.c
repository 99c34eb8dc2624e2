/*
 * store_table.c - how objects become SQLite tables, and how their text compares.
 *
 * Owns: the DDL, the collation SFCI, the SQL function sf_upper().  Must not know: rules.
 */
#include <locale.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <wctype.h>

#include "rules_rollup.h"

#define BMP 0x10000

/* Base letters of U+00C0 .. U+017F, for upper case; a space where there is none. */
static const char base_letters[] =
	"AAAAAA CEEEEIIII NOOOOO  UUUUY                                  "
	"A A A C C C C D   E E E E E G G G G H   I I I I I   J K  L L L  "
	"   N N N    O O O   R R R S S S S T T   U U U U U U W Y YZ Z Z  ";

static bool fold_accents;
static bool ignore_blanks;
static uint32_t *upper_table;
static locale_t utf8;
static pthread_once_t once = PTHREAD_ONCE_INIT;

/* glibc's table of the C.UTF-8 locale, which Debian always has: the environment must not matter. */
static void
load_upper(void)
{
	uint32_t c;

	utf8 = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t) 0);
	if (utf8 == (locale_t) 0)
		schema_die("locale C.UTF-8 is missing");
	upper_table = malloc(BMP * sizeof(uint32_t));
	if (!upper_table)
		schema_die("out of memory");
	for (c = 0; c < BMP; c++)
		upper_table[c] = towupper_l(c, utf8);
}

static inline uint32_t
upper(uint32_t c)
{
	return c < BMP ? upper_table[c] : (uint32_t) towupper_l(c, utf8);
}

/* The next character; a byte that is not UTF-8 stands for itself. */
static inline uint32_t
next_char(const unsigned char **p, const unsigned char *end)
{
	const unsigned char *s = *p;
	uint32_t c = *s++;
	int more = c >= 0xf0 ? 3 : c >= 0xe0 ? 2 : c >= 0xc0 ? 1 : 0;

	if (more && end - s >= more)
	{
		c &= 0x3f >> more;
		while (more-- > 0)
			c = c << 6 | (*s++ & 0x3f);
	}
	*p = s;
	return c;
}

void
store_fold_accents(bool fold)
{
	fold_accents = fold;
}

void
store_ignore_blanks(bool ignore)
{
	ignore_blanks = ignore;
}

/* The letter without its accent; 0 for an accent that stands alone. */
static uint32_t
without_accent(uint32_t c)
{
	char base;

	if (c >= 0x300 && c < 0x370)
		return 0;
	if (c < 0xc0 || c > 0x17f)
		return c;
	base = base_letters[c - 0xc0];
	return base == ' ' ? c : (uint32_t) base;
}

/* The next character as it compares; 0 at the end. */
static uint32_t
next_folded(const unsigned char **p, const unsigned char *end)
{
	uint32_t c = 0;

	while (c == 0 && *p < end)
	{
		c = upper(next_char(p, end));
		if (fold_accents)
			c = without_accent(c);
	}
	return c;
}

static int
compare_folded(const unsigned char *a, const unsigned char *ea, const unsigned char *b,
			   const unsigned char *eb)
{
	uint32_t ca, cb;

	while (ignore_blanks && ea > a && ea[-1] == ' ')
		ea--;
	while (ignore_blanks && eb > b && eb[-1] == ' ')
		eb--;
	do
	{
		ca = next_folded(&a, ea);
		cb = next_folded(&b, eb);
	} while (ca == cb && ca != 0);
	return ca == cb ? 0 : ca < cb ? -1 : 1;
}

static inline unsigned char
ascii_upper(unsigned char c)
{
	return c >= 'a' && c <= 'z' ? c - 32 : c;
}

static int
compare_nocase(void *unused, int na, const void *va, int nb, const void *vb)
{
	const unsigned char *a = va;
	const unsigned char *b = vb;
	const unsigned char *ea = a + na;
	const unsigned char *eb = b + nb;

	if (fold_accents || ignore_blanks)
		return compare_folded(a, ea, b, eb);
	while (a < ea && b < eb)
	{
		uint32_t ca;
		uint32_t cb;

		if ((*a | *b) < 0x80)
		{
			ca = ascii_upper(*a++);
			cb = ascii_upper(*b++);
		}
		else
		{
			ca = upper(next_char(&a, ea));
			cb = upper(next_char(&b, eb));
		}
		if (ca != cb)
			return ca < cb ? -1 : 1;
	}
	return (a < ea) - (b < eb);
}

static void
add_utf8(Buf *b, uint32_t c)
{
	if (c < 0x80)
		buf_addc(b, c);
	else if (c < 0x800)
	{
		buf_addc(b, 0xc0 | c >> 6);
		buf_addc(b, 0x80 | (c & 0x3f));
	}
	else
	{
		if (c < 0x10000)
			buf_addc(b, 0xe0 | c >> 12);
		else
		{
			buf_addc(b, 0xf0 | c >> 18);
			buf_addc(b, 0x80 | (c >> 12 & 0x3f));
		}
		buf_addc(b, 0x80 | (c >> 6 & 0x3f));
		buf_addc(b, 0x80 | (c & 0x3f));
	}
}

static void
sf_upper(sqlite3_context *ctx, int argc, sqlite3_value **argv)
{
	const unsigned char *s = sqlite3_value_text(argv[0]);
	const unsigned char *end;
	Buf b;

	if (!s)
		return;
	end = s + sqlite3_value_bytes(argv[0]);
	buf_init(&b);
	buf_reserve(&b, end - s);
	while (s < end)
		add_utf8(&b, upper(next_char(&s, end)));
	sqlite3_result_text(ctx, b.data, b.len, SQLITE_TRANSIENT);
	buf_free(&b);
}

void
store_register(sqlite3 *db)
{
	pthread_once(&once, load_upper);
	sqlite3_create_collation(db, "SFCI", SQLITE_UTF8, NULL, compare_nocase);
	formula_register(db);
	sqlite3_create_function(db, "sf_upper", 1, SQLITE_UTF8 | SQLITE_DETERMINISTIC, NULL, sf_upper,
							NULL, NULL);
}

bool
store_field_written(const Field *f)
{
	return f->stored && !f->formula_sql;
}

static bool
has_field(const Object *o, const char *name)
{
	return schema_field(o, name, strlen(name)) != NULL;
}

static const char *
column_type(const Field *f)
{
	switch (f->type)
	{
		case FT_BOOLEAN:
			return f->formula_sql ? "INTEGER" : "INTEGER NOT NULL DEFAULT 0";
		case FT_INT:
		case FT_LONG:
			return "INTEGER";
		case FT_DOUBLE:
		case FT_CURRENCY:
		case FT_PERCENT:
			return "REAL";
		case FT_ANYTYPE:
			return ""; /* keeps what is put in: text or number */
		case FT_ID:
		case FT_REFERENCE:
		case FT_DATE:
		case FT_DATETIME:
		case FT_TIME:
		case FT_BASE64:
			return "TEXT";
		default:
			return f->case_sensitive ? "TEXT" : "TEXT COLLATE SFCI";
	}
}

static void
add_column(Buf *b, const Field *f)
{
	buf_addf(b, "\"%s\" %s", f->name, column_type(f));
	if (f->formula_sql)
		buf_addf(b, " GENERATED ALWAYS AS (%s) VIRTUAL", f->formula_sql);
}

static void
create_table(const Object *o)
{
	Buf b;
	int i;

	buf_init(&b);
	buf_addf(&b, "CREATE TABLE IF NOT EXISTS \"%s\" (", o->name);
	for (i = 0; i < o->n_fields; i++)
	{
		if (!o->fields[i].stored)
			continue;
		add_column(&b, &o->fields[i]);
		buf_adds(&b, ", ");
	}
	if (!has_field(o, "IsDeleted"))
		buf_adds(&b, "\"IsDeleted\" INTEGER NOT NULL DEFAULT 0, ");
	buf_addf(&b, "\"%s\" TEXT, \"%s\" TEXT)", STORE_DELETED_DATE, STORE_DELETED_WITH);
	store_exec(b.data);
	buf_free(&b);
}

void
store_add_column(const Field *f)
{
	Buf b;

	buf_init(&b);
	buf_addf(&b, "ALTER TABLE \"%s\" ADD COLUMN ", f->object->name);
	add_column(&b, f);
	store_exec(b.data);
	buf_free(&b);
}

/* A data file that is older than an object's file lacks columns. */
static void
add_missing_columns(const Object *o)
{
	int i;

	for (i = 0; i < o->n_fields; i++)
	{
		if (!o->fields[i].stored)
			continue;
		if (sqlite3_table_column_metadata(store_db(), NULL, o->name, o->fields[i].name, NULL, NULL,
										  NULL, NULL, NULL) == SQLITE_OK)
			continue;
		store_add_column(&o->fields[i]);
	}
}

/*
 * Owner and the audit users are left out: nearly all rows share one value, and an index would only
 * slow the writes.
 */
static bool
wants_index(const Field *f)
{
	if (!store_field_written(f))
		return false;
	if (f->type == FT_ID || f->external_id || f->unique || f->id_lookup ||
		strcmp(f->name, "SystemModstamp") == 0)
		return true;
	return f->type == FT_REFERENCE && strcmp(f->name, "OwnerId") != 0 &&
		   strcmp(f->name, "CreatedById") != 0 && strcmp(f->name, "LastModifiedById") != 0;
}

void
store_index(const Object *o, bool create)
{
	Buf b;
	int i;

	buf_init(&b);
	for (i = 0; i < o->n_fields; i++)
	{
		const Field *f = &o->fields[i];

		if (!wants_index(f))
			continue;
		buf_clear(&b);
		if (!create)
			buf_addf(&b, "DROP INDEX IF EXISTS \"ix_%s_%s\"", o->name, f->name);
		else if (f->type == FT_ID)
			buf_addf(&b, "CREATE UNIQUE INDEX IF NOT EXISTS \"ix_%s_%s\" ON \"%s\" (\"%s\")",
					 o->name, f->name, o->name, f->name);
		else
			buf_addf(&b,
					 "CREATE INDEX IF NOT EXISTS \"ix_%s_%s\" ON \"%s\" (\"%s\") "
					 "WHERE \"%s\" IS NOT NULL",
					 o->name, f->name, o->name, f->name, f->name);
		store_exec(b.data);
	}
	/* The log of deletions is asked for again and again, of objects with millions of rows. */
	buf_clear(&b);
	if (create)
		buf_addf(&b,
				 "CREATE INDEX IF NOT EXISTS \"ix_%s_deleted\" ON \"%s\" (\"%s\") "
				 "WHERE \"IsDeleted\" = 1",
				 o->name, o->name, STORE_DELETED_DATE);
	else
		buf_addf(&b, "DROP INDEX IF EXISTS \"ix_%s_deleted\"", o->name);
	store_exec(b.data);
	buf_free(&b);
}

void
store_create_tables(void)
{
	int i;

	for (i = 0; i < schema_count(); i++)
	{
		const Object *o = schema_object(i);

		create_table(o);
		add_missing_columns(o);
		store_index(o, true);
	}
	store_exec("CREATE TABLE IF NOT EXISTS \"__cleared\" (object TEXT, field TEXT, id TEXT, "
			   "parent TEXT)");
	store_exec("CREATE TABLE IF NOT EXISTS \"__numbers\" (object TEXT PRIMARY KEY, last INTEGER)");
}
