/*
 * store.c - the database: opening, locking, transactions, the clock, counters, and simple look-ups.
 *
 * Owns: the SQLite handle.  Must not know: the rules of writing, HTTP, SOQL.
 */
#include <ctype.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "event.h"
#include "org.h"
#include "store_internal.h"

#define MAX_BIG 100000000
#define MAX_PUSH 1000000
#define PUSH 200 /* accounts of the seed that says no number */

static sqlite3 *db;
static pthread_mutex_t mutex;
static pthread_once_t mutex_once = PTHREAD_ONCE_INIT;
static uint64_t version = 1;
static time_t fixed_clock;
static time_t began;
static bool milliseconds;
static bool blanks;
static int depth;

#define MAX_DEPTH 8
static sqlite3_stmt *transactions[2][MAX_DEPTH]; /* their ends, their beginnings */
static int64_t *numbers;						 /* per object: the last one used */
static char user[SF_ID_LEN + 1];
static char org_id[SF_ID_LEN + 1];
static char admin_id[SF_ID_LEN + 1];

void
store_error_free(StoreError *e)
{
	int i;

	for (i = 0; i < e->n_fields; i++)
		free(e->fields[i]);
	free(e->fields);
	free(e->message);
	free(e->duplicates);
	memset(e, 0, sizeof(*e));
}

void
store_error_set(StoreError *e, int http, const char *code, const char *fmt, ...)
{
	va_list ap;

	store_error_free(e);
	e->http = http;
	snprintf(e->code, sizeof(e->code), "%s", code);
	va_start(ap, fmt);
	if (vasprintf(&e->message, fmt, ap) < 0)
		schema_die("out of memory");
	va_end(ap);
}

void
store_error_field(StoreError *e, const char *field)
{
	e->fields = realloc(e->fields, (e->n_fields + 1) * sizeof(char *));
	if (!e->fields)
		schema_die("out of memory");
	e->fields[e->n_fields++] = strdup(field);
}

/* Recursive, so that a resource that holds it may call one that takes it. */
static void
make_mutex(void)
{
	pthread_mutexattr_t attr;

	pthread_mutexattr_init(&attr);
	pthread_mutexattr_settype(&attr, PTHREAD_MUTEX_RECURSIVE);
	pthread_mutex_init(&mutex, &attr);
	pthread_mutexattr_destroy(&attr);
}

void
store_lock(void)
{
	pthread_once(&mutex_once, make_mutex);
	pthread_mutex_lock(&mutex);
}

void
store_unlock(void)
{
	pthread_mutex_unlock(&mutex);
}

sqlite3 *
store_db(void)
{
	return db;
}

uint64_t
store_version(void)
{
	return version;
}

void
store_changed(void)
{
	version++;
}

void
store_exec(const char *sql)
{
	char *message = NULL;

	if (sqlite3_exec(db, sql, NULL, NULL, &message) != SQLITE_OK)
		schema_die("%s\n%s", message ? message : "SQLite failed", sql);
}

sqlite3_stmt *
store_prepare(const char *sql)
{
	sqlite3_stmt *s = NULL;

	if (sqlite3_prepare_v2(db, sql, -1, &s, NULL) != SQLITE_OK)
		schema_die("%s\n%s", sqlite3_errmsg(db), sql);
	return s;
}

int64_t
store_next_number(const Object *o)
{
	return ++numbers[o->index];
}

void
store_keep_number(const Object *o)
{
	char sql[200];

	snprintf(sql, sizeof(sql), "INSERT OR REPLACE INTO \"__numbers\" VALUES ('%s', %lld)", o->name,
			 (long long) numbers[o->index]);
	store_exec(sql);
}

void
store_set_number(const Object *o, int64_t last)
{
	numbers[o->index] = last;
}

/* Counters go on where the file's rows end, or where purged ones did: Ids are never used again. */
static void
load_numbers(void)
{
	int i;

	for (i = 0; i < schema_count(); i++)
	{
		const Object *o = schema_object(i);
		char sql[256];
		sqlite3_stmt *s;

		numbers[i] = 0;
		snprintf(sql, sizeof(sql),
				 "SELECT max(\"Id\"), (SELECT last FROM \"__numbers\" WHERE object = '%s') FROM "
				 "\"%s\"",
				 o->name, o->name);
		s = store_prepare(sql);
		if (sqlite3_step(s) == SQLITE_ROW && sqlite3_column_text(s, 0))
			numbers[i] = store_id_number((const char *) sqlite3_column_text(s, 0));
		if (sqlite3_column_int64(s, 1) > numbers[i])
			numbers[i] = sqlite3_column_int64(s, 1);
		sqlite3_finalize(s);
	}
}

void
store_open(const char *path)
{
	pthread_once(&mutex_once, make_mutex);
	/* store_lock() does what its own locks would */
	sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
	if (sqlite3_open_v2(path ? path : ":memory:", &db,
						SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX,
						NULL) != SQLITE_OK)
		schema_die("%s: %s", path ? path : ":memory:", sqlite3_errmsg(db));
	/* Loss of power is no concern of a test server; a rollback is, hence a journal in memory. */
	store_exec("PRAGMA synchronous = OFF");
	store_exec(path ? "PRAGMA journal_mode = WAL" : "PRAGMA journal_mode = MEMORY");
	store_exec("PRAGMA cache_size = -262144");
	store_exec("PRAGMA temp_store = MEMORY");
	store_register(db);
	numbers = calloc(schema_count(), sizeof(int64_t));
	store_make_id("00D", 1, org_id);
	store_make_id("005", 1, admin_id);
	memcpy(user, admin_id, sizeof(user));
	store_schema_replay(false);
	store_create_tables();
	store_schema_replay(true);
	event_open();
	load_numbers();
}

void
store_close(void)
{
	row_end();
	for (int i = 0; i < 2 * MAX_DEPTH; i++)
	{
		sqlite3_finalize(transactions[i % 2][i / 2]);
		transactions[i % 2][i / 2] = NULL;
	}
	sqlite3_close(db);
	db = NULL;
	free(numbers);
	numbers = NULL;
}

void
store_reset(void)
{
	char sql[256];
	int i;

	for (i = 0; i < schema_count(); i++)
	{
		snprintf(sql, sizeof(sql), "DELETE FROM \"%s\"", schema_object(i)->name);
		store_exec(sql);
		numbers[i] = 0;
	}
	store_exec("DELETE FROM \"__cleared\"");
	store_exec("DELETE FROM \"__numbers\"");
	event_reset();
	memcpy(user, admin_id, sizeof(user));
	store_changed();
}

time_t
store_now(void)
{
	return fixed_clock ? fixed_clock : time(NULL) + org.skew;
}

time_t
store_fixed_clock(void)
{
	return fixed_clock;
}

void
store_set_clock(time_t fixed)
{
	fixed_clock = fixed;
}

void
store_set_began(time_t t)
{
	began = t;
}

time_t
store_began(void)
{
	return began ? began : store_now();
}

void
store_keep_milliseconds(bool keep)
{
	milliseconds = keep;
}

bool
store_milliseconds(void)
{
	return milliseconds;
}

void
store_keep_blanks(bool keep)
{
	blanks = keep;
}

bool
store_blanks(void)
{
	return blanks;
}

void
store_timestamp(time_t t, char out[29])
{
	struct tm tm;
	char tmp[96];

	gmtime_r(&t, &tm);
	snprintf(tmp, sizeof(tmp), "%04d-%02d-%02dT%02d:%02d:%02d.000+0000", tm.tm_year + 1900,
			 tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec);
	memcpy(out, tmp, 28);
	out[28] = '\0';
}

/* Transactions of that depth, prepared once: every row of a collection has one. */
static sqlite3_stmt *
transaction(bool begin)
{
	sqlite3_stmt **s = &transactions[begin][depth];
	char sql[64];

	if (*s == NULL)
	{
		if (depth == 0)
			snprintf(sql, sizeof(sql), "%s", begin ? "BEGIN" : "COMMIT");
		else
			snprintf(sql, sizeof(sql), begin ? "SAVEPOINT sp%d" : "RELEASE sp%d", depth);
		*s = store_prepare(sql);
	}
	return *s;
}

static void
run_transaction(bool begin)
{
	sqlite3_stmt *s;

	if (depth >= MAX_DEPTH)
		schema_die("too many transactions in each other");
	s = transaction(begin);
	if (sqlite3_step(s) != SQLITE_DONE)
		schema_die("%s", sqlite3_errmsg(db));
	sqlite3_reset(s);
}

void
store_begin(void)
{
	run_transaction(true);
	depth++;
}

void
store_commit(void)
{
	if (depth == 1)
		event_settle();
	depth--;
	run_transaction(false);
	if (depth == 0)
		event_committed();
}

void
store_rollback(void)
{
	char sql[64];

	depth--;
	snprintf(sql, sizeof(sql), depth ? "ROLLBACK TO sp%d; RELEASE sp%d" : "ROLLBACK", depth, depth);
	store_exec(sql);
	store_changed();
	if (depth == 0)
		event_forget();
}

bool
store_in_transaction(void)
{
	return depth > 0;
}

void
store_set_user(const char *user_id)
{
	snprintf(user, sizeof(user), "%s", user_id && *user_id ? user_id : admin_id);
	schema_set_viewer(user);
}

const char *
store_user(void)
{
	return user;
}

const char *
store_org_id(void)
{
	return org_id;
}

const char *
store_admin_id(void)
{
	return admin_id;
}

int
store_row_state(const Object *o, const char *id)
{
	char sql[256];
	char full[SF_ID_LEN + 1];
	sqlite3_stmt *s;
	int state = 0;

	if (!store_canonical_id(id, strlen(id), full))
		return 0;
	snprintf(sql, sizeof(sql), "SELECT \"IsDeleted\" FROM \"%s\" WHERE \"Id\" = ?1", o->name);
	s = store_prepare(sql);
	sqlite3_bind_text(s, 1, full, -1, SQLITE_STATIC);
	if (sqlite3_step(s) == SQLITE_ROW)
		state = sqlite3_column_int(s, 0) ? 2 : 1;
	sqlite3_finalize(s);
	return state;
}

int
store_find(const Object *o, const Field *f, const char *value, char **ids)
{
	char sql[400];
	char full[SF_ID_LEN + 1];
	sqlite3_stmt *s;
	Buf b;
	int n = 0;

	*ids = NULL;
	if (!f->stored)
		return 0;
	if (f->type == FT_ID || f->type == FT_REFERENCE)
	{
		if (!store_canonical_id(value, strlen(value), full))
			return 0;
		value = full;
	}
	snprintf(sql, sizeof(sql),
			 "SELECT \"Id\" FROM \"%s\" WHERE \"%s\" = ?1 AND \"IsDeleted\" = 0 ORDER BY rowid",
			 o->name, f->name);
	s = store_prepare(sql);
	sqlite3_bind_text(s, 1, value, -1, SQLITE_STATIC);
	buf_init(&b);
	while (sqlite3_step(s) == SQLITE_ROW)
	{
		buf_add(&b, sqlite3_column_text(s, 0), SF_ID_LEN);
		buf_add(&b, "", 1);
		n++;
	}
	sqlite3_finalize(s);
	if (n > 0)
		*ids = buf_detach(&b);
	return n;
}

int64_t
store_count(const Object *o)
{
	char sql[256];
	sqlite3_stmt *s;
	int64_t n = 0;

	snprintf(sql, sizeof(sql), "SELECT count(*) FROM \"%s\" WHERE \"IsDeleted\" = 0", o->name);
	s = store_prepare(sql);
	if (sqlite3_step(s) == SQLITE_ROW)
		n = sqlite3_column_int64(s, 0);
	sqlite3_finalize(s);
	return n;
}

/* The number behind the name of a seed; false if it is another seed, or too much. */
static bool
seed_size(const char *seed, const char *name, int64_t most, int64_t *n)
{
	size_t len = strlen(name);
	char *end;
	int64_t v;

	if (strncmp(seed, name, len) != 0 || !isdigit((unsigned char) seed[len]))
		return false;
	v = strtoll(seed + len, &end, 10);
	if (*end != '\0' || v > most)
		return false;
	*n = v;
	return true;
}

bool
store_seed(const char *seed)
{
	int64_t big = -1, push = strcmp(seed, "push") == 0 ? PUSH : -1;

	if (!seed_size(seed, "big:", MAX_BIG, &big) && !seed_size(seed, "push:", MAX_PUSH, &push) &&
		push < 0 && strcmp(seed, "demo") != 0 && strcmp(seed, "empty") != 0)
		return false;
	store_schema_reset();
	event_pause(true);
	store_begin();
	store_reset();
	seed_org();
	if (big >= 0)
		seed_big(big);
	else if (push >= 0)
		seed_push((int) push);
	else if (strcmp(seed, "demo") == 0)
		seed_demo();
	store_commit();
	event_pause(false);
	store_changed();
	return true;
}
