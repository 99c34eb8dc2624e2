/*
 * ae_seed.c - what a new business unit of Account Engagement holds; see ae.h.
 *
 * The same rows each time: a value follows from the object, the number of its row, and the field.
 */
#include <stdio.h>
#include <string.h>

#include "ae.h"

/* 2024-01-01T00:00:00Z */
#define BEGINNING 1704067200

/* How many rows an object has; those not named have 10. */
static const struct
{
	const char *object;
	int rows;
} sizes[] = {
	{"campaigns", 20},
	{"custom-redirects", 25},
	{"email-templates", 18},
	{"emails", 200},
	{"exports", 0},
	{"external-activities", 40},
	{"files", 60},
	{"folder-contents", 50},
	{"folders", 15},
	{"form-fields", 30},
	{"form-handler-fields", 20},
	{"imports", 2},
	{"lifecycle-histories", 600},
	{"lifecycle-stages", 5},
	{"list-emails", 40},
	{"list-memberships", 3000},
	{"lists", 30},
	{"opportunities", 150},
	{"prospect-accounts", 300},
	{"tagged-objects", 80},
	{"tags", 40},
	{"tracker-domains", 3},
	{"users", 12},
	{"visitor-activities", 4000},
	{"visitor-page-views", 1500},
	{"visitors", 2400},
	{"visits", 800},
};

static const struct
{
	const char *id, *name, *type;
} custom[] = {
	{"favorite_color", "Favorite color", "Dropdown"},
	{"seats", "Seats", "Number"},
	{"renewal", "Renewal", "Date"},
	{"interests", "Interests", "Multi-Select"},
	{"newsletter", "Newsletter", "Checkbox"},
};

static uint32_t
mix(uint32_t a, uint32_t b)
{
	uint32_t h = a * 2654435761u ^ (b + 0x9e3779b9u + (a << 6) + (a >> 2));

	h ^= h >> 15;
	h *= 2246822519u;
	return h ^ h >> 13;
}

static uint32_t
hash(const char *s)
{
	uint32_t h = 2166136261u;

	for (; *s; s++)
		h = (h ^ (unsigned char) *s) * 16777619u;
	return h;
}

/* Ids leave gaps, as those of an account that shares its database with others do. */
static int64_t
id_of(const AeObject *o, int row)
{
	int64_t first = strcmp(o->name, "prospects") == 0 ? 1000000 : 1000;

	return first + (int64_t) row * 3 + row % 2;
}

static int
rows_of(const char *object, int prospects)
{
	if (strcmp(object, "prospects") == 0)
		return prospects;
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
		if (strcmp(sizes[i].object, object) == 0)
			return sizes[i].rows;
	return 10;
}

static void
bind_text(sqlite3_stmt *st, int at, const AeObject *o, const AeField *f, int row)
{
	static const char *const words[] = {"Zoë",	  "Müller",		 "señal",		"plain",
										"O'Neil", "a \"quote\"", "back\\slash", "Ångström",
										"x;y",	  "line\nbreak"};
	char text[160];
	uint32_t h = mix(hash(f->name), (uint32_t) row);

	if (strcmp(f->name, "email") == 0)
		snprintf(text, sizeof(text), "person%d@example%d.com", row, row % 7);
	else if (f->custom == 'd')
		snprintf(text, sizeof(text), "2025-%02d-%02d", 1 + row % 12, 1 + row % 28);
	else if (f->type == 'e' && f->values)
	{
		int n = 1;
		const char *p = f->values;

		for (const char *q = f->values; *q; q++)
			n += *q == '|';
		for (int skip = (int) (h % (uint32_t) n); skip > 0; skip--)
			p = strchr(p, '|') + 1;
		snprintf(text, sizeof(text), "%.*s", (int) strcspn(p, "|"), p);
	}
	else if (f->type == 'a')
		snprintf(text, sizeof(text), "[%d,%d]", row + 1, row + 2);
	else if (f->type == 'o')
		snprintf(text, sizeof(text), "{\"number\":%d}", row);
	else
		snprintf(text, sizeof(text), "%s %d %s", words[h % 10], row, o->name);
	sqlite3_bind_text(st, at, text, -1, SQLITE_TRANSIENT);
}

static void
bind_value(sqlite3_stmt *st, int at, const AeObject *o, const AeField *f, int row, int prospects)
{
	uint32_t h = mix(hash(f->name) ^ hash(o->name), (uint32_t) row);
	/* Changes come in no order of Ids, and many at the same second. */
	int64_t created = BEGINNING + (int64_t) (row / 2) * 613;

	if (strcmp(f->name, "id") == 0)
		sqlite3_bind_int64(st, at, id_of(o, row));
	else if (strcmp(f->name, "createdAt") == 0)
		sqlite3_bind_int64(st, at, created);
	else if (strcmp(f->name, "updatedAt") == 0)
		sqlite3_bind_int64(st, at, created + h % 977 * 5021);
	else if (strcmp(f->name, "sentAt") == 0 && strcmp(o->name, "emails") == 0)
		sqlite3_bind_int64(st, at, created + 60);
	else if (strcmp(f->name, "isDeleted") == 0)
		sqlite3_bind_int(st, at, row % 97 == 13);
	else if (f->type != 'b' && strcmp(f->name, "email") != 0 && strcmp(f->name, "name") != 0 &&
			 strcmp(f->name, "createdById") != 0 && h % 7 == 3)
		sqlite3_bind_null(st, at);
	else if (strcmp(f->name, "prospectId") == 0 && prospects > 0)
		sqlite3_bind_int64(st, at, id_of(ae_object("prospects"), (int) (h % (uint32_t) prospects)));
	else if (f->type == 'i' && strlen(f->name) > 2 &&
			 strcmp(f->name + strlen(f->name) - 2, "Id") == 0)
		sqlite3_bind_int64(st, at, id_of(ae_object("tags"), (int) (h % 5)));
	else if (f->type == 'i')
		sqlite3_bind_int64(st, at, h % 1000);
	else if (f->type == 'n')
		sqlite3_bind_double(st, at, (double) (h % 100000) / 4);
	else if (f->type == 'b')
		sqlite3_bind_int(st, at, h % 3 == 0);
	else if (f->type == 't')
		sqlite3_bind_int64(st, at, created + h % 100 * 86400);
	else
		bind_text(st, at, o, f, row);
}

static void
seed_object(AeObject *o, int rows, int prospects)
{
	Buf sql = {0};
	sqlite3_stmt *st;

	buf_addf(&sql, "INSERT INTO \"%s\" (", o->name);
	for (int i = 0; i < o->n_fields; i++)
		buf_addf(&sql, "%s\"%s\"", i ? ", " : "", o->fields[i].name);
	buf_adds(&sql, ") VALUES (");
	for (int i = 0; i < o->n_fields; i++)
		buf_adds(&sql, i ? ", ?" : "?");
	buf_addc(&sql, ')');
	st = ae_prepare(sql.data);
	for (int row = 0; row < rows; row++)
	{
		for (int i = 0; i < o->n_fields; i++)
			bind_value(st, i + 1, o, &o->fields[i], row, prospects);
		sqlite3_step(st);
		sqlite3_reset(st);
	}
	sqlite3_finalize(st);
	buf_free(&sql);
}

void
ae_seed(int prospects)
{
	sqlite3_stmt *st;

	sqlite3_exec(ae_db(), "BEGIN", NULL, NULL, NULL);
	for (AeObject *o = ae_objects; strcmp(o->name, "custom-fields") != 0; o++)
		seed_object(o, rows_of(o->name, prospects), prospects);
	st = ae_prepare("INSERT INTO \"custom-fields\" (id, \"fieldId\", name, type, \"isRequired\", "
					"\"createdAt\", "
					"\"updatedAt\") VALUES (?, ?, ?, ?, 0, ?, ?)");
	for (int i = 0; i < (int) (sizeof(custom) / sizeof(custom[0])); i++)
	{
		sqlite3_bind_int(st, 1, 500 + i);
		sqlite3_bind_text(st, 2, custom[i].id, -1, SQLITE_STATIC);
		sqlite3_bind_text(st, 3, custom[i].name, -1, SQLITE_STATIC);
		sqlite3_bind_text(st, 4, custom[i].type, -1, SQLITE_STATIC);
		sqlite3_bind_int64(st, 5, BEGINNING);
		sqlite3_bind_int64(st, 6, BEGINNING);
		sqlite3_step(st);
		sqlite3_reset(st);
	}
	sqlite3_finalize(st);
	sqlite3_exec(ae_db(), "COMMIT", NULL, NULL, NULL);
}
