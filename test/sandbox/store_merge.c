/*
 * store_merge.c - changes of rows that no resource of REST makes: merges, the end of what is in the
 * recycle bin, values that change without anybody writing the row.
 *
 * A merge is SOAP's and Apex's: up to two losers go into the recycle bin with MasterRecordId set,
 * what pointed to them points to the master, whose values may be chosen on the way.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store_internal.h"

#define MOST_LOSERS 2

static void
run(const char *sql, const char *a, const char *b)
{
	sqlite3_stmt *s = store_prepare(sql);

	sqlite3_bind_text(s, 1, a, -1, SQLITE_STATIC);
	if (b)
		sqlite3_bind_text(s, 2, b, -1, SQLITE_STATIC);
	if (sqlite3_step(s) != SQLITE_DONE)
		schema_die("%s\n%s", sqlite3_errmsg(store_db()), sql);
	sqlite3_finalize(s);
	store_changed();
}

/* One row that pointed to a loser; only SystemModstamp moves, as nobody edited the row. */
static bool
move_child(const Object *child, const Field *f, const char *id, const char *master, StoreError *e)
{
	Row *old = row_load(child, id);
	Row *r = row_copy(old);
	char now[SF_STAMP_LEN + 1];
	bool ok;

	/* the master was below its loser */
	row_set_text(r, f->name, strcmp(id, master) == 0 ? NULL : master);
	store_row_stamp(r, now);
	row_set_text(r, "SystemModstamp", now);
	ok = rules_locks(r, old, e) && row_update(r, e);
	if (ok)
		rules_effects(r, old);
	row_free(r);
	row_free(old);
	return ok;
}

/* Histories stay with what they are the history of. */
static bool
move_children(const Object *o, const char *loser, const char *master, StoreError *e)
{
	bool ok = true;

	for (int i = 0; i < o->n_children && ok; i++)
	{
		const ChildRelationship *c = &o->children[i];
		const Object *child = schema_find(c->child, strlen(c->child));
		const Field *f = schema_field(child, c->field, strlen(c->field));
		char *ids = NULL;
		int n;

		if (!child->updateable || f == NULL || strcmp(f->name, "MasterRecordId") == 0)
			continue;
		n = store_find(child, f, loser, &ids);
		for (int k = 0; k < n && ok; k++)
			ok = move_child(child, f, ids + k * (SF_ID_LEN + 1), master, e);
		free(ids);
	}
	return ok;
}

static bool
merge_one(const Object *o, const char *loser, const char *master, StoreError *e)
{
	char sql[256];

	if (!move_children(o, loser, master, e))
		return false;
	snprintf(sql, sizeof(sql), "UPDATE \"%s\" SET \"MasterRecordId\" = ?1 WHERE \"Id\" = ?2",
			 o->name);
	run(sql, master, loser);
	return store_delete(o, loser, e);
}

bool
store_merge(const Object *o, const char *master, const char *const *losers, int n,
			json_object *values, StoreError *e)
{
	char full[MOST_LOSERS + 1][SF_ID_LEN + 1];
	json_object *none = NULL;
	bool ok = true;

	memset(e, 0, sizeof(*e));
	if (!o->mergeable)
	{
		store_error_set(e, 400, "INVALID_TYPE_FOR_OPERATION",
						"entity type %s does not support merge", o->name);
		return false;
	}
	if (n < 1 || n > MOST_LOSERS)
	{
		store_error_set(e, 400, "INVALID_NUMBER_FIELD_VALUE",
						"one or two records are merged into another");
		return false;
	}
	for (int i = 0; i <= n && ok; i++)
	{
		ok = rules_target(o, i < n ? losers[i] : master, full[i], e);
		for (int k = 0; k < i && ok; k++)
			if (strcmp(full[k], full[i]) == 0)
			{
				store_error_set(e, 400, "DUPLICATE_VALUE", "duplicate id specified: %s", full[i]);
				ok = false;
			}
	}
	if (!ok)
		return false;
	store_begin();
	for (int i = 0; i < n && ok; i++)
		ok = merge_one(o, full[i], full[n], e);
	if (ok)
		ok = store_update(o, full[n], values ? values : (none = json_object_new_object()), e);
	if (ok)
		store_commit();
	else
		store_rollback();
	json_object_put(none);
	return ok;
}

/* The Ids of rows that go are not given again, though the file is opened by another program. */
static void
purge_where(const Object *o, const char *where, const char *id)
{
	char sql[512];
	sqlite3_stmt *s;

	snprintf(sql, sizeof(sql), "DELETE FROM \"%s\" WHERE %s", o->name, where);
	s = store_prepare(sql);
	if (id)
		sqlite3_bind_text(s, 1, id, -1, SQLITE_STATIC);
	if (sqlite3_step(s) != SQLITE_DONE)
		schema_die("%s\n%s", sqlite3_errmsg(store_db()), sql);
	sqlite3_finalize(s);
	if (sqlite3_changes(store_db()) > 0)
		store_keep_number(o);
}

void
store_purge(const Object *o, const char *id)
{
	for (int i = 0; i < schema_count(); i++)
	{
		const Object *x = schema_object(i);

		purge_where(x,
					x == o ? "\"" STORE_DELETED_WITH "\" = ?1 OR \"Id\" = ?1"
						   : "\"" STORE_DELETED_WITH "\" = ?1",
					id);
	}
	store_changed();
}

void
store_empty_bin(const Object *o)
{
	for (int i = 0; i < schema_count(); i++)
		if (o == NULL || o == schema_object(i))
			purge_where(schema_object(i), "\"IsDeleted\" = 1", NULL);
	store_changed();
}

bool
store_set_silently(const Object *o, const char *id, const Field *f, const char *text, StoreError *e)
{
	json_object *json = text ? json_object_new_string(text) : NULL;
	char full[SF_ID_LEN + 1];
	Row *r = NULL;
	bool ok;

	memset(e, 0, sizeof(*e));
	ok = rules_target(o, id, full, e);
	if (ok && !store_field_written(f))
	{
		store_error_set(e, 400, "INVALID_FIELD", "%s has no value of its own", f->name);
		ok = false;
	}
	if (ok)
	{
		r = row_load(o, full);
		ok = rules_value(f, json, &r->v[f->index], e) && row_update(r, e);
	}
	row_free(r);
	json_object_put(json);
	return ok;
}
