/*
 * store_internal.h - what the files store*.c, rules*.c and seed*.c share beyond store.h.
 *
 * A write goes: values of the request -> Row (rules_value.c, store_write.c), defaults and computed
 * fields (rules_standard.c), checks against other rows (rules_reference.c), one SQLite statement,
 * consequences for other rows (rules_effects.c).
 */
#ifndef SANDBOX_STORE_INTERNAL_H
#define SANDBOX_STORE_INTERNAL_H

#include "schema_internal.h"
#include "store.h"

#define SF_STAMP_LEN 28

typedef enum ValueKind
{
	V_NULL,
	V_INT,
	V_REAL,
	V_TEXT
} ValueKind;

typedef struct Value
{
	ValueKind kind;
	int64_t i;
	double d;
	char *s; /* malloc'ed, NUL-terminated */
} Value;

/* One row in memory, a value per field of the object. */
typedef struct Row
{
	const Object *o;
	Value *v;
	bool *given; /* named by the request */
	bool deleted;
} Row;

typedef enum WriteMode
{
	WRITE_USER, /* every rule */
	WRITE_SEED	/* read-only fields may be given, references and required fields are not checked */
} WriteMode;

/* store.c */
bool store_milliseconds(void);	  /* whether datetimes keep them */
bool store_blanks(void);		  /* whether texts keep those at their ends */
time_t store_fixed_clock(void);	  /* 0 while the machine's clock runs */
void store_exec(const char *sql); /* ends the program when SQLite refuses */
sqlite3_stmt *store_prepare(const char *sql);
time_t store_began(void);		  /* when the transaction at hand began */
int64_t store_next_number(const Object *o); /* 1, 2, 3 ... per object: Ids and auto-numbers */
void store_set_number(const Object *o, int64_t last);
void store_keep_number(const Object *o); /* though the rows go that tell of it */
void store_reset(void); /* empties all tables and counters */

/* store_id.c */
void store_make_id(const char *prefix, int64_t number, char out[SF_ID_LEN + 1]);
int64_t store_id_number(const char *id);

/* store_table.c */
void store_register(sqlite3 *db);
void store_create_tables(void);
void store_index(const Object *o, bool create); /* creates or drops the object's indices */
bool store_field_written(const Field *f);		/* has a column that is not generated */
void store_add_column(const Field *f);

/* store_schema.c: the lines of the file, before its tables are made, and those that need them */
void store_schema_replay(bool tables);

/* store_row.c */
Row *row_new(const Object *o);
void row_free(Row *r);
Row *row_copy(const Row *r);
Row *row_load(const Object *o, const char *id); /* NULL if unknown; deleted rows too */
bool row_insert(Row *r, StoreError *e);
bool row_update(Row *r, StoreError *e);
void row_end(void); /* lets go of the prepared statements */
void value_clear(Value *v);
void value_copy(Value *to, const Value *from);
bool value_same(const Value *a, const Value *b);
Value *row_value(const Row *r, const char *field); /* NULL if there is no such field */
const char *row_text(const Row *r, const char *field);
double row_real(const Row *r, const char *field, double otherwise);
bool row_true(const Row *r, const char *field);
bool row_given(const Row *r, const char *field);
bool row_null(const Row *r, const char *field);
/* Setters do nothing where the object has no such field. */
void row_set_null(Row *r, const char *field);
void row_set_text(Row *r, const char *field, const char *s);
void row_set_int(Row *r, const char *field, int64_t i);
void row_set_real(Row *r, const char *field, double d);
/* One text out of another row, malloc'ed; NULL if there is none. */
char *lookup_text(const char *object, const char *id, const char *field);

/* rules_value.c: request JSON to what is stored; false with *e filled. */
bool rules_value(const Field *f, json_object *json, Value *out, StoreError *e);

/* rules_reference.c */
bool rules_reference(const Field *f, const Value *v, StoreError *e);
bool rules_unique(const Row *r, const Row *old, StoreError *e);
bool rules_by_external_id(const Field *f, json_object *json, Value *out, StoreError *e);
/* The row and its parents are this transaction's, or nobody's; old is NULL on insert, r on delete. */
bool rules_locks(const Row *r, const Row *old, StoreError *e);
void rules_lock_error(StoreError *e, const char *id);
/* The id of a request for this object: canonical, of the right type, and its row live. */
bool rules_target(const Object *o, const char *id, char out[SF_ID_LEN + 1], StoreError *e);

/* rules_standard.c: what the standard objects compute and refuse; old is NULL on insert. */
bool rules_compute(Row *r, const Row *old, WriteMode mode, StoreError *e);
/* rules_effects.c: what a write means for other rows; r is NULL after a delete. */
void rules_effects(const Row *r, const Row *old);

/* store_write.c */
bool store_insert_mode(const Object *o, json_object *values, WriteMode mode, char id[SF_ID_LEN + 1],
					   StoreError *e);
/* For effects: writes one row without any rule. */
void store_insert_row(Row *r);
/* What a write stamps the row with: a row that somebody else wrote meanwhile is not set back. */
void store_row_stamp(const Row *r, char out[SF_STAMP_LEN + 1]);

/* seed.c: a row as JSON, written without asking whether a user may; the texts are copied. */
json_object *seed_row(void);
void seed_text(json_object *v, const char *field, const char *s); /* NULL: null */
void seed_textf(json_object *v, const char *field, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
void seed_number(json_object *v, const char *field, double d);
void seed_bool(json_object *v, const char *field, bool b);
/* Writes and consumes the row; its audit times follow from a counter, not from the clock. */
void seed_put(const char *object, json_object *v, char id[SF_ID_LEN + 1]);
void seed_delete(const char *object, const char *id); /* that row alone, into the recycle bin */
void seed_org(void);
const char *seed_standard_book(void);
void seed_demo(void);											  /* seed_demo.c */
void seed_invoices(const char (*accounts)[SF_ID_LEN + 1], int n); /* seed_invoice.c */
void seed_big(int64_t n);										  /* seed_big.c */
void seed_push(int accounts);									  /* seed_push.c */

#endif
