/*
 * rules_rollup.c - fields that follow other rows and the clock.
 *
 * A roll-up is a column that every write of a child brings up to date: "sandbox": {"rollup":
 * {"child": "Invoice__c", "lookup": "Account__c", "function": "sum", "field": "Amount__c"}}.  A
 * formula is an expression that SQLite works out whenever the row is read; what it may call to look
 * beyond its row is here.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "event.h"
#include "org.h"
#include "rules_rollup.h"

#define MAX_ROLLUPS 32

typedef struct Rollup
{
	const Object *parent, *child;
	const char *field, *lookup;
	char value[400]; /* of the parent ?1 */
} Rollup;

static Rollup rollups[MAX_ROLLUPS];
static int n_rollups;

static const char *
text_of(json_object *o, const char *key)
{
	json_object *v = NULL;

	return json_object_object_get_ex(o, key, &v) ? json_object_get_string(v) : NULL;
}

/* False if the field is no roll-up, or one of what is not there. */
static bool
read_rollup(const Field *f, Rollup *out)
{
	json_object *def = NULL;
	const char *child, *lookup, *fn, *of;

	if (f->gone || schema_sandbox(f) == NULL ||
		!json_object_object_get_ex(schema_sandbox(f), "rollup", &def))
		return false;
	child = text_of(def, "child");
	lookup = text_of(def, "lookup");
	fn = text_of(def, "function");
	of = text_of(def, "field");
	out->parent = f->object;
	out->field = f->name;
	out->child = child ? schema_find(child, strlen(child)) : NULL;
	if (out->child == NULL || lookup == NULL || fn == NULL ||
		schema_field(out->child, lookup, strlen(lookup)) == NULL)
		return false;
	out->lookup = schema_field(out->child, lookup, strlen(lookup))->name;
	if (strcasecmp(fn, "count") == 0)
		snprintf(out->value, sizeof(out->value), "(SELECT count(*) FROM");
	else if ((strcasecmp(fn, "sum") == 0 || strcasecmp(fn, "min") == 0 ||
			  strcasecmp(fn, "max") == 0) &&
			 of != NULL && schema_field(out->child, of, strlen(of)) != NULL)
		snprintf(out->value, sizeof(out->value), "(SELECT %s(\"%s\")%s FROM",
				 strcasecmp(fn, "sum") == 0 ? "round(sum" : fn, of,
				 strcasecmp(fn, "sum") == 0 ? ", 2)" : "");
	else
		return false;
	snprintf(out->value + strlen(out->value), sizeof(out->value) - strlen(out->value),
			 " \"%s\" WHERE \"%s\" = ?1 AND \"IsDeleted\" = 0)", out->child->name, out->lookup);
	return true;
}

void
rollup_reload(void)
{
	n_rollups = 0;
	for (int i = 0; i < schema_count(); i++)
	{
		const Object *o = schema_object(i);

		for (int k = 0; k < o->n_fields && n_rollups < MAX_ROLLUPS; k++)
			n_rollups += read_rollup(&o->fields[k], &rollups[n_rollups]);
	}
}

static void
refresh(const Rollup *u, const char *id, bool stamp)
{
	char now[SF_STAMP_LEN + 1];
	char sql[1200];
	sqlite3_stmt *s;

	if (id == NULL)
		return;
	if (!event_rollups_silent)
		event_touch(u->parent, id);
	store_timestamp(store_began(), now);
	snprintf(sql, sizeof(sql),
			 "UPDATE \"%s\" SET \"%s\" = %s%s WHERE \"Id\" = ?1 AND \"%s\" IS NOT %s",
			 u->parent->name, u->field, u->value,
			 stamp ? ", \"SystemModstamp\" = max(\"SystemModstamp\", ?2)" : "", u->field, u->value);
	s = store_prepare(sql);
	sqlite3_bind_text(s, 1, id, -1, SQLITE_STATIC);
	if (stamp)
		sqlite3_bind_text(s, 2, now, -1, SQLITE_STATIC);
	if (sqlite3_step(s) != SQLITE_DONE)
		schema_die("%s\n%s", sqlite3_errmsg(store_db()), sql);
	sqlite3_finalize(s);
	store_changed();
}

void
rollup_fill(const Field *f)
{
	Rollup u;
	sqlite3_stmt *s;
	char sql[200];

	if (!read_rollup(f, &u))
		return;
	snprintf(sql, sizeof(sql), "SELECT \"Id\" FROM \"%s\"", f->object->name);
	s = store_prepare(sql);
	while (sqlite3_step(s) == SQLITE_ROW)
		refresh(&u, (const char *) sqlite3_column_text(s, 0), false);
	sqlite3_finalize(s);
}

void
rollup_effects(const Row *r, const Row *old)
{
	const Object *o = r ? r->o : old->o;

	for (int i = 0; i < n_rollups; i++)
	{
		const Rollup *u = &rollups[i];

		if (u->parent == o && r != NULL && old == NULL)
			refresh(u, row_text(r, "Id"), false);
		if (u->child != o)
			continue;
		if (old)
			refresh(u, row_text(old, u->lookup), org.rollups_move);
		if (r)
			refresh(u, row_text(r, u->lookup), org.rollups_move);
	}
}

void
rollup_refresh(const Object *parent, const char *id)
{
	for (int i = 0; i < n_rollups; i++)
		if (rollups[i].parent == parent)
			refresh(&rollups[i], id, org.rollups_move);
}

/* ---- formulas ---- */

/* SQLite wants functions of generated columns to be deterministic; within a statement these are. */
static void
sf_now(sqlite3_context *ctx, int argc, sqlite3_value **argv)
{
	char now[SF_STAMP_LEN + 1];

	store_timestamp(store_now(), now);
	sqlite3_result_text(ctx, now, sqlite3_user_data(ctx) ? 10 : -1, SQLITE_TRANSIENT);
}

static void
sf_value(sqlite3_context *ctx, int argc, sqlite3_value **argv)
{
	const char *object = (const char *) sqlite3_value_text(argv[0]);
	const char *field = (const char *) sqlite3_value_text(argv[2]);
	const Object *o = object ? schema_find(object, strlen(object)) : NULL;
	const Field *f = o && field ? schema_field(o, field, strlen(field)) : NULL;
	sqlite3_stmt *s;
	char sql[300];

	if (f == NULL || !f->stored || sqlite3_value_type(argv[1]) == SQLITE_NULL)
		return;
	snprintf(sql, sizeof(sql), "SELECT \"%s\" FROM \"%s\" WHERE \"Id\" = ?1 AND \"IsDeleted\" = 0",
			 f->name, o->name);
	s = store_prepare(sql);
	sqlite3_bind_value(s, 1, argv[1]);
	if (sqlite3_step(s) == SQLITE_ROW)
		sqlite3_result_value(ctx, sqlite3_column_value(s, 0));
	sqlite3_finalize(s);
}

void
formula_register(sqlite3 *db)
{
	static char day;
	const int flags = SQLITE_UTF8 | SQLITE_DETERMINISTIC;

	sqlite3_create_function(db, "sf_now", 0, flags, NULL, sf_now, NULL, NULL);
	sqlite3_create_function(db, "sf_today", 0, flags, &day, sf_now, NULL, NULL);
	sqlite3_create_function(db, "sf_value", 3, flags, NULL, sf_value, NULL, NULL);
}
