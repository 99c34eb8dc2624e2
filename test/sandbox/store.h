/*
 * store.h - the rows of the org in SQLite, and every rule that Salesforce has about changing them.
 *
 * Not thread-safe: the caller holds store_lock() around every call and every use of store_db().
 * Must not know: HTTP, SOQL.
 */
#ifndef SANDBOX_STORE_H
#define SANDBOX_STORE_H

#include <stdbool.h>
#include <stdint.h>
#include <time.h>
#include <sqlite3.h>
#include <json-c/json.h>
#include "schema.h"

#define SF_ID_LEN 18

/*
 * Columns of every table that no describe shows.  A delete moves neither SystemModstamp nor
 * LastModifiedDate: when it happened is kept here (a timestamp, NULL while the row is live), with the Id
 * of the row whose deletion caused it.
 */
#define STORE_DELETED_DATE "__deletedDate"
#define STORE_DELETED_WITH "__deletedWith"

/* Why a write was refused: one of Salesforce's status codes, its message, the fields it names. */
typedef struct StoreError
{
	int http;				/* status for a single-row request: 400, 404 ... */
	char code[64];			/* REQUIRED_FIELD_MISSING ... */
	char *message;			/* malloc'ed */
	char **fields;			/* malloc'ed */
	int n_fields;
	char *duplicates;		/* DUPLICATES_DETECTED: Ids of what is there, 19 bytes each, then a NUL; malloc'ed */
	int rule;				/* and whose rule it is */
} StoreError;

void store_error_free(StoreError *e);
void store_error_set(StoreError *e, int http, const char *code, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));
void store_error_field(StoreError *e, const char *field);

/* path NULL: in memory.  Makes the tables; registers collation SFCI and the SQL functions that soql uses. */
void store_open(const char *path);
void store_close(void);
void store_lock(void);
void store_unlock(void);
sqlite3 *store_db(void);
/* Changes whenever any row changes: a key for caches. */
uint64_t store_version(void);
/* What was kept is not to be used any more. */
void store_changed(void);

/* The org's clock.  --now T makes it stand still at T, so that a test sees the same timestamps. */
time_t store_now(void);
void store_set_clock(time_t fixed);			/* 0: the machine's clock, and what org.h says of it */
/* When the transaction at hand began, which is what its rows are stamped with; 0: now. */
void store_set_began(time_t t);
void store_timestamp(time_t t, char out[29]); /* yyyy-mm-ddThh:mm:ss.000+0000 */

/* How texts compare and what datetimes keep, before store_open(): false is the default (see main.c). */
void store_fold_accents(bool fold);
void store_ignore_blanks(bool ignore);
void store_keep_milliseconds(bool keep);
void store_keep_blanks(bool keep);

/* Transactions nest (savepoints), for allOrNone. */
void store_begin(void);
void store_commit(void);
void store_rollback(void);
bool store_in_transaction(void);

/* The id of the acting user, for CreatedById and LastModifiedById: set per request. */
void store_set_user(const char *user_id);
const char *store_user(void);
const char *store_org_id(void);				/* 18 characters, 00D... */
const char *store_admin_id(void);			/* 18 characters, 005...: admin@sandbox.example */

/*
 * Writes.  values is the JSON object of the request ("attributes" is ignored; parents may be given by
 * external id: "Account": {"Ext_Id__c": "x"}).  True when done; false with *e filled when refused,
 * with nothing changed.
 */
bool store_insert(const Object *o, json_object *values, char id[SF_ID_LEN + 1], StoreError *e);
bool store_update(const Object *o, const char *id, json_object *values, StoreError *e);
bool store_delete(const Object *o, const char *id, StoreError *e); /* cascades; into the recycle bin */
bool store_undelete(const Object *o, const char *id, StoreError *e);
/*
 * store_merge.c.  One or two losers go into the recycle bin, what pointed to them points to the master, and
 * that gets the values (or NULL).
 */
bool store_merge(const Object *o, const char *master, const char *const *losers, int n,
				 json_object *values, StoreError *e);
/* Out of the recycle bin for good, with what was deleted because of it; everything in the bin of an object,
 * or (NULL) of all. */
void store_purge(const Object *o, const char *id);
void store_empty_bin(const Object *o);
/* A value changes (text NULL: to null) though nobody wrote the row: no audit field moves. */
bool store_set_silently(const Object *o, const char *id, const Field *f, const char *text,
						StoreError *e);
/*
 * Upsert by an external id or idLookup field.  *created says which; *matches > 1 means ambiguous: nothing
 * written, ids of the matches (malloc'ed, 19 bytes each) in *match_ids for the 300 answer.
 */
bool store_upsert(const Object *o, const Field *key, const char *value, json_object *values,
				  char id[SF_ID_LEN + 1], bool *created, int *matches, char **match_ids,
				  StoreError *e);

/* 15 or 18 characters to canonical 18; false if the text is no Id. */
bool store_canonical_id(const char *text, size_t len, char out[SF_ID_LEN + 1]);
/* State of a row: 0 unknown, 1 live, 2 in the recycle bin. */
int store_row_state(const Object *o, const char *id);
/* Ids whose field equals the value (with the field's case rule), live rows; returns count, ids malloc'ed. */
int store_find(const Object *o, const Field *f, const char *value, char **ids);

/*
 * store_schema.c: a field comes, goes or changes, as a line says (see README.md); what is wrong with it, or
 * NULL.  All lines in force, as a JSON array; and back to the objects as they were loaded.
 */
const char *store_schema_change(const char *line);
void store_schema_list(Buf *out);
void store_schema_reset(void);

/* Live rows of the object, for recordCount and the planner's totals. */
int64_t store_count(const Object *o);

/* Empties the org and fills it again: "demo", "empty", "big:N".  False if the name is unknown. */
bool store_seed(const char *seed);

#endif
