/*
 * ae.h - Account Engagement (API v5), as host pi.pardot.com plays it: what its files share.
 *
 * Lives on the same port under /api/v5, beside the org, with rows, clock, quota and errors of its
 * own; only the tokens are the org's.  Everything but ae_handle() and the settings runs under
 * ae_lock().
 *
 *   ae_objects.c	the objects and their fields
 *   ae_store.c		rows in SQLite, values in and out
 *   ae_seed.c		what a new business unit holds
 *   ae_http.c		headers, quota, concurrency, paths
 *   ae_query.c		reading
 *   ae_write.c		creating, changing, deleting
 *   ae_export.c	the Export API
 */
#ifndef SANDBOX_AE_H
#define SANDBOX_AE_H

#include <sqlite3.h>

#include "http.h"

#define AE_READ 1
#define AE_CREATE 2
#define AE_UPDATE 4
#define AE_DELETE 8

typedef struct AeField
{
	const char *name;
	char type; /* i integer, n number, s string, b boolean, t datetime, e enum, a array, o object */
	bool editable;
	const char *values; /* of an enum, joined by | */
	char custom; /* of prospects: m multi-select, c checkbox (neither can be queried), d date, else
					0 */
} AeField;

typedef struct AeObject
{
	const char *name;
	const char *path;
	const char *filter; /* the datetime that queries can filter by, or NULL */
	int allowed;
	AeField *fields;
	int n_fields;
} AeObject;

extern AeObject ae_objects[];
AeObject *ae_object(const char *name);
AeField *ae_field(const AeObject *o, const char *name);
/* The object that a relation (campaign, createdBy, prospect ...) points to, and the field that
 * holds its id. */
const AeObject *ae_relation(const AeObject *o, const char *name, const AeField **by);

/* What the command line and /__sandbox/ae say. */
typedef struct AeSettings
{
	int prospects;
	int daily_limit;
	int ms;			   /* that a call takes at least */
	int sequence;	   /* rows of a sequence of tokens */
	int token_seconds; /* life of a token */
	int export_polls;  /* how often an export is asked for before it is complete */
	int export_rows;   /* rows of a file of its result */
	int concurrent;	   /* calls at once */
	bool latin1;	   /* answers are ISO-8859-1 */
	bool no_content;   /* creates and updates answer 204 ... */
	bool no_location;  /* ... and not even where the record is */
} AeSettings;

extern AeSettings ae_settings;
extern const char *ae_business_unit;
/* False if there is no such setting, or no sense in the value. */
bool ae_set(const char *name, const char *value);

/* ae_http.c */
void ae_handle(Request *r, Response *w);
void ae_error(Response *w, int status, int code, const char *message);
void ae_errorf(Response *w, int status, int code, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));
void ae_reset(void); /* seeds again, and the day begins */
void ae_stats(Buf *out);
int ae_calls_used(void);

/* ae_store.c */
void ae_lock(void);
void ae_unlock(void);
sqlite3 *ae_db(void);
void ae_open(void);
/* A text of time with an offset; false if it is none. */
bool ae_parse_time(const char *s, int64_t *out);
/* The same in the account's time zone, America/Los_Angeles. */
void ae_format_time(int64_t t, char out[32]);
int64_t ae_now(void);
/* A value of the field as JSON. */
json_object *ae_value(sqlite3_stmt *st, int column, const AeField *f);
/* Binds a JSON value; false if it does not fit the field. */
bool ae_bind(sqlite3_stmt *st, int at, const AeField *f, json_object *v);
sqlite3_stmt *ae_prepare(const char *sql);
/* 0: there is none, 1: it lives, 2: in the recycle bin */
int ae_row_state(const AeObject *o, int64_t id);

void ae_seed(int prospects);

/* ae_query.c: what is asked for, as paths of fields */
typedef struct AePath
{
	int depth;
	const AeField *by[3]; /* the fields that lead to the parents */
	const AeObject *of[3];
	const char *relation[3];
	const AeField *field;
} AePath;

/* The paths of "a,b.c"; NULL with the error answered. */
AePath *ae_paths(const AeObject *o, const char *fields, Response *w, int *n);
/* Their columns for a SELECT, each followed by a comma, of table t; and a row of them. */
void ae_columns(Buf *sql, const AePath *paths, int n);
json_object *ae_row_of(sqlite3_stmt *st, const AePath *paths, int n);
/* A row as JSON; NULL if there is none. */
json_object *ae_row(const AeObject *o, int64_t id, const AePath *paths, int n);
void ae_query(Request *r, Response *w, const AeObject *o);
void ae_read(Request *r, Response *w, const AeObject *o, const char *id);
/* The body, in the charset that is set. */
void ae_answer(Response *w, int status, json_object *body);
void ae_tokens_reset(void);

/* ae_write.c */
void ae_create(Request *r, Response *w, const AeObject *o);
void ae_update(Request *r, Response *w, const AeObject *o, const char *id);
void ae_delete(Request *r, Response *w, const AeObject *o, const char *id);
void ae_upsert(Request *r, Response *w);
/* The body as a JSON object, which the caller puts; NULL with the error answered. */
json_object *ae_json(const Request *r, Response *w);

/* ae_export.c */
void ae_exports(Request *r, Response *w);
void ae_exports_reset(void);

#endif
