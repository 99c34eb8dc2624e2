/*
 * ae_store.c - the rows of Account Engagement in an SQLite of their own; see ae.h.
 *
 * One table per object, one column per field: integers and booleans INTEGER, numbers REAL,
 * datetimes INTEGER (seconds since 1970), all else TEXT; lists and objects as JSON.  Every table
 * has isDeleted.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "ae.h"
#include "store.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static sqlite3 *db;

void
ae_lock(void)
{
	pthread_mutex_lock(&lock);
}

void
ae_unlock(void)
{
	pthread_mutex_unlock(&lock);
}

sqlite3 *
ae_db(void)
{
	return db;
}

static void
run(const char *sql)
{
	char *why = NULL;

	if (sqlite3_exec(db, sql, NULL, NULL, &why) != SQLITE_OK)
	{
		fprintf(stderr, "ampsf-sandbox: %s: %s\n", sql, why);
		abort();
	}
}

static const char *
affinity(char type)
{
	return type == 'n' ? "REAL" : strchr("ibt", type) ? "INTEGER" : "TEXT";
}

/* An empty business unit. */
void
ae_open(void)
{
	if (db)
		sqlite3_close(db);
	if (sqlite3_open(":memory:", &db) != SQLITE_OK)
		abort();
	for (AeObject *o = ae_objects; o->name; o++)
	{
		Buf sql = {0};

		buf_addf(&sql, "CREATE TABLE \"%s\" (", o->name);
		for (int i = 0; i < o->n_fields; i++)
			buf_addf(&sql, "%s\"%s\" %s", i ? ", " : "", o->fields[i].name,
					 strcmp(o->fields[i].name, "id") == 0 ? "INTEGER PRIMARY KEY AUTOINCREMENT"
														  : affinity(o->fields[i].type));
		if (!ae_field(o, "isDeleted"))
			buf_adds(&sql, ", \"isDeleted\" INTEGER DEFAULT 0");
		buf_addc(&sql, ')');
		run(sql.data);
		buf_free(&sql);
	}
	run("CREATE INDEX prospects_updated ON prospects (\"updatedAt\", id)");
	run("CREATE INDEX prospects_created ON prospects (\"createdAt\", id)");
	run("CREATE INDEX prospects_email ON prospects (email COLLATE NOCASE)");
}

sqlite3_stmt *
ae_prepare(const char *sql)
{
	sqlite3_stmt *st;

	if (sqlite3_prepare_v2(db, sql, -1, &st, NULL) != SQLITE_OK)
	{
		fprintf(stderr, "ampsf-sandbox: %s: %s\n", sql, sqlite3_errmsg(db));
		abort();
	}
	return st;
}

int64_t
ae_now(void)
{
	return (int64_t) store_now();
}

/* -------- times -------- */

/* The second of the n-th Sunday of a month, at an hour of UTC. */
static int64_t
sunday(int year, int month, int n, int hour)
{
	struct tm tm = {.tm_year = year - 1900, .tm_mon = month, .tm_mday = 1};
	time_t first = timegm(&tm);

	gmtime_r(&first, &tm);
	return (int64_t) first + (int64_t) ((7 - tm.tm_wday) % 7 + 7 * (n - 1)) * 86400 + hour * 3600;
}

void
ae_format_time(int64_t t, char out[32])
{
	time_t at = (time_t) t;
	struct tm tm;
	int hours = 8;

	gmtime_r(&at, &tm);
	if (t >= sunday(tm.tm_year + 1900, 2, 2, 10) && t < sunday(tm.tm_year + 1900, 10, 1, 9))
		hours = 7;
	at -= (time_t) hours * 3600;
	gmtime_r(&at, &tm);
	strftime(out, 26, "%Y-%m-%dT%H:%M:%S", &tm);
	strcat(out, hours == 7 ? "-07:00" : "-08:00");
}

bool
ae_parse_time(const char *s, int64_t *out)
{
	struct tm tm = {0};
	int n = 0, h = 0, m = 0;
	char sign = 0;
	time_t t;
	struct tm back;

	if (sscanf(s, "%4d-%2d-%2dT%2d:%2d:%2d%c%2d:%2d%n", &tm.tm_year, &tm.tm_mon, &tm.tm_mday,
			   &tm.tm_hour, &tm.tm_min, &tm.tm_sec, &sign, &h, &m, &n) != 9 ||
		s[n] != '\0' || n != 25 || (sign != '+' && sign != '-') || h > 14 || m > 59 ||
		tm.tm_hour > 23 || tm.tm_min > 59 || tm.tm_sec > 59)
		return false;
	tm.tm_year -= 1900;
	tm.tm_mon -= 1;
	back = tm;
	t = timegm(&back);
	if (back.tm_mday != tm.tm_mday || back.tm_mon != tm.tm_mon)
		return false;
	*out = (int64_t) t - (sign == '-' ? -1 : 1) * (h * 3600 + m * 60);
	return true;
}

/* -------- values -------- */

json_object *
ae_value(sqlite3_stmt *st, int column, const AeField *f)
{
	char text[32];

	if (sqlite3_column_type(st, column) == SQLITE_NULL)
		return f->type == 'b' ? json_object_new_boolean(false) : NULL;
	switch (f->type)
	{
		case 'i':
			return json_object_new_int64(sqlite3_column_int64(st, column));
		case 'n':
			return json_object_new_double(sqlite3_column_double(st, column));
		case 'b':
			return json_object_new_boolean(sqlite3_column_int(st, column));
		case 't':
			ae_format_time(sqlite3_column_int64(st, column), text);
			return json_object_new_string(text);
		case 'a':
		case 'o':
			return json_tokener_parse((const char *) sqlite3_column_text(st, column));
		default:
			return json_object_new_string((const char *) sqlite3_column_text(st, column));
	}
}

static bool
is_enum_value(const char *values, const char *s)
{
	size_t len = strlen(s);

	for (const char *p = values; p && *p;)
	{
		size_t n = strcspn(p, "|");

		if (n == len && strncmp(p, s, n) == 0)
			return true;
		p += n + (p[n] == '|');
	}
	return values == NULL;
}

bool
ae_bind(sqlite3_stmt *st, int at, const AeField *f, json_object *v)
{
	enum json_type t = json_object_get_type(v);
	int64_t time;

	if (t == json_type_null)
		return sqlite3_bind_null(st, at) == SQLITE_OK;
	switch (f->type)
	{
		case 'i':
			if (t != json_type_int)
				return false;
			sqlite3_bind_int64(st, at, json_object_get_int64(v));
			return true;
		case 'n':
			if (t != json_type_int && t != json_type_double)
				return false;
			sqlite3_bind_double(st, at, json_object_get_double(v));
			return true;
		case 'b':
			if (t != json_type_boolean)
				return false;
			sqlite3_bind_int(st, at, json_object_get_boolean(v));
			return true;
		case 't':
			if (t != json_type_string || !ae_parse_time(json_object_get_string(v), &time))
				return false;
			sqlite3_bind_int64(st, at, time);
			return true;
		case 'a':
		case 'o':
			if (t != (f->type == 'a' ? json_type_array : json_type_object))
				return false;
			break;
		default:
			if (t != json_type_string ||
				(f->type == 'e' && !is_enum_value(f->values, json_object_get_string(v))))
				return false;
			sqlite3_bind_text(st, at, json_object_get_string(v), json_object_get_string_len(v),
							  SQLITE_TRANSIENT);
			return true;
	}
	sqlite3_bind_text(st, at, json_object_to_json_string_ext(v, JSON_C_TO_STRING_PLAIN), -1,
					  SQLITE_TRANSIENT);
	return true;
}

int
ae_row_state(const AeObject *o, int64_t id)
{
	char sql[128];
	sqlite3_stmt *st;
	int state = 0;

	snprintf(sql, sizeof(sql), "SELECT \"isDeleted\" FROM \"%s\" WHERE id = ?", o->name);
	st = ae_prepare(sql);
	sqlite3_bind_int64(st, 1, id);
	if (sqlite3_step(st) == SQLITE_ROW)
		state = sqlite3_column_int(st, 0) ? 2 : 1;
	sqlite3_finalize(st);
	return state;
}
