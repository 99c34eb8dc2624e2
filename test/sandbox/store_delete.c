/*
 * store_delete.c - into the recycle bin and out of it again, with the rows that hang on a row.
 *
 * A delete moves SystemModstamp of the deleted rows only where the org is told to, and never
 * LastModifiedDate.  Custom lookups to a deleted row are cleared (and restored by an undelete);
 * standard ones keep pointing at it.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "org.h"
#include "event.h"
#include "rules_rollup.h"

/* Ids of the live children by one relationship, packed as store_find packs them. */
static int
live_children(const ChildRelationship *c, const char *parent, char **ids)
{
	const Object *o = schema_find(c->child, strlen(c->child));

	return store_find(o, schema_field(o, c->field, strlen(c->field)), parent, ids);
}

static const char *
plural_of(const ChildRelationship *c)
{
	return schema_find(c->child, strlen(c->child))->label_plural;
}

static void
refuse_delete(const Object *o, const char *id, const char *why, const char *names, StoreError *e)
{
	char *name = o->name_field ? lookup_text(o->name, id, o->name_field->name) : NULL;

	store_error_set(e, 400, "DELETE_FAILED",
					"Your attempt to delete %s could not be completed because %s: %s\n",
					name ? name : id, why, names);
	free(name);
}

/* The names (or numbers) of children, as a refusal lists them. */
static void
name_children(const ChildRelationship *c, const char *ids, int n, Buf *out)
{
	const Object *o = schema_find(c->child, strlen(c->child));
	int i;

	for (i = 0; i < n; i++)
	{
		const char *id = ids + i * (SF_ID_LEN + 1);
		char *name = o->name_field ? lookup_text(o->name, id, o->name_field->name) : NULL;

		buf_addf(out, "%s%s", i ? ", " : "", name ? name : id);
		free(name);
	}
}

static bool
check_restricted(const Object *o, const char *id, StoreError *e)
{
	int i;

	for (i = 0; i < o->n_children; i++)
	{
		const ChildRelationship *c = &o->children[i];
		char *ids = NULL;
		Buf why;
		Buf names;
		int n;

		if (!c->restricted_delete)
			continue;
		n = live_children(c, id, &ids);
		if (n == 0)
			continue;
		buf_init(&why);
		buf_init(&names);
		buf_addf(&why, "it is associated with the following %s.", plural_of(c));
		if (why.data)
		{
			char *p = why.data + why.len - strlen(plural_of(c)) - 1;

			*p |= 0x20; /* the plural label, in a sentence */
		}
		name_children(c, ids, n, &names);
		refuse_delete(o, id, why.data, names.data, e);
		buf_free(&why);
		buf_free(&names);
		free(ids);
		return false;
	}
	return true;
}

static bool
check_won(const Object *o, const char *id, StoreError *e)
{
	sqlite3_stmt *s;
	Buf names;

	if (strcmp(o->name, "Account") != 0 || !schema_find("Opportunity", 11))
		return true;
	buf_init(&names);
	s = store_prepare("SELECT \"Name\" FROM \"Opportunity\" WHERE \"AccountId\" = ?1 AND "
					  "\"IsWon\" = 1 AND \"IsDeleted\" = 0 ORDER BY rowid");
	sqlite3_bind_text(s, 1, id, -1, SQLITE_STATIC);
	while (sqlite3_step(s) == SQLITE_ROW)
		buf_addf(&names, "%s%s", names.len ? ", " : "", (const char *) sqlite3_column_text(s, 0));
	sqlite3_finalize(s);
	if (names.len > 0)
		refuse_delete(o, id,
					  "some opportunities in that account were closed won. The opportunities that "
					  "were closed won are shown below.",
					  names.data, e);
	buf_free(&names);
	return e->message == NULL;
}

static void
run2(const char *sql, const char *a, const char *b, const char *c)
{
	sqlite3_stmt *s = store_prepare(sql);

	sqlite3_bind_text(s, 1, a, -1, SQLITE_STATIC);
	sqlite3_bind_text(s, 2, b, -1, SQLITE_STATIC);
	if (c)
		sqlite3_bind_text(s, 3, c, -1, SQLITE_STATIC);
	if (sqlite3_step(s) != SQLITE_DONE)
		schema_die("%s\n%s", sqlite3_errmsg(store_db()), sql);
	sqlite3_finalize(s);
	store_changed();
}

/* Remembers who pointed here, then clears the pointers; an automated change, so only SystemModstamp
 * moves. */
static void
clear_lookups(const ChildRelationship *c, const char *id)
{
	const Object *o = schema_find(c->child, strlen(c->child));
	char now[SF_STAMP_LEN + 1];
	char *ids = NULL;
	int n;
	Buf sql;

	if (!schema_field(o, c->field, strlen(c->field))->custom)
		return;
	n = live_children(c, id, &ids);
	for (int i = 0; i < n; i++)
		event_touch(o, ids + i * (SF_ID_LEN + 1));
	free(ids);
	store_timestamp(store_began(), now);
	buf_init(&sql);
	buf_addf(
		&sql,
		"INSERT INTO \"__cleared\" SELECT '%s', '%s', \"Id\", ?1 FROM \"%s\" WHERE \"%s\" = ?2 "
		"AND \"IsDeleted\" = 0",
		c->child, c->field, c->child, c->field);
	run2(sql.data, id, id, NULL);
	buf_clear(&sql);
	buf_addf(&sql,
			 "UPDATE \"%s\" SET \"%s\" = NULL, \"SystemModstamp\" = ?1 WHERE \"%s\" = ?2 AND "
			 "\"IsDeleted\" = 0",
			 c->child, c->field, c->field);
	run2(sql.data, now, id, NULL);
	buf_free(&sql);
}

static void
mark_deleted(const Object *o, const char *id, const char *root)
{
	char now[SF_STAMP_LEN + 1];
	Buf sql;

	event_touch(o, id);
	store_timestamp(store_began(), now);
	buf_init(&sql);
	buf_addf(&sql,
			 "UPDATE \"%s\" SET \"IsDeleted\" = 1, \"%s\" = ?1, \"%s\" = ?2%s WHERE \"Id\" = ?3",
			 o->name, STORE_DELETED_DATE, STORE_DELETED_WITH,
			 org.deletes_move && schema_field(o, "SystemModstamp", 14) ? ", \"SystemModstamp\" = ?1"
																	   : "");
	run2(sql.data, now, root, id);
	buf_free(&sql);
}

static bool
delete_tree(const Object *o, const char *id, const char *root, StoreError *e)
{
	Row *old;
	int i;

	if (!check_restricted(o, id, e) || !check_won(o, id, e))
		return false;
	old = row_load(o, id);
	if (!rules_locks(NULL, old, e))
	{
		row_free(old);
		return false;
	}
	/* before the children: a circle of lookups must end here */
	mark_deleted(o, id, root);
	for (i = 0; i < o->n_children; i++)
	{
		const ChildRelationship *c = &o->children[i];
		const Object *child = schema_find(c->child, strlen(c->child));
		char *ids = NULL;
		bool ok = true;
		int n;
		int j;

		if (!c->cascade_delete)
		{
			clear_lookups(c, id);
			continue;
		}
		n = live_children(c, id, &ids);
		for (j = 0; j < n && ok; j++)
			ok = store_row_state(child, ids + j * (SF_ID_LEN + 1)) != 1 ||
				 delete_tree(child, ids + j * (SF_ID_LEN + 1), root, e);
		free(ids);
		if (!ok)
		{
			row_free(old);
			return false;
		}
	}
	rules_effects(NULL, old);
	row_free(old);
	return true;
}

bool
store_delete(const Object *o, const char *id, StoreError *e)
{
	char full[SF_ID_LEN + 1];

	memset(e, 0, sizeof(*e));
	if (!o->deletable || !schema_may(ACCESS_DELETE, o, NULL))
	{
		store_error_set(e, 400, "INVALID_TYPE_FOR_OPERATION",
						"entity type %s does not support delete", o->name);
		return false;
	}
	if (!rules_target(o, id, full, e))
		return false;
	store_begin();
	if (!delete_tree(o, full, full, e))
	{
		store_rollback();
		return false;
	}
	store_commit();
	return true;
}

static void
restore_lookups(const char *id)
{
	sqlite3_stmt *s =
		store_prepare("SELECT object, field, id FROM \"__cleared\" WHERE parent = ?1");
	Buf sql;

	buf_init(&sql);
	sqlite3_bind_text(s, 1, id, -1, SQLITE_STATIC);
	while (sqlite3_step(s) == SQLITE_ROW)
	{
		const char *object = (const char *) sqlite3_column_text(s, 0);
		const char *field = (const char *) sqlite3_column_text(s, 1);
		char now[SF_STAMP_LEN + 1];

		event_touch(schema_find(object, strlen(object)), (const char *) sqlite3_column_text(s, 2));
		store_timestamp(store_began(), now);
		buf_clear(&sql);
		buf_addf(&sql,
				 "UPDATE \"%s\" SET \"%s\" = ?1, \"SystemModstamp\" = ?2 WHERE \"Id\" = ?3 AND "
				 "\"%s\" IS NULL",
				 object, field, field);
		run2(sql.data, id, now, (const char *) sqlite3_column_text(s, 2));
	}
	sqlite3_finalize(s);
	buf_free(&sql);
	run2("DELETE FROM \"__cleared\" WHERE parent = ?1 OR parent = ?2", id, id, NULL);
}

/* Brings back one object's rows that went with the root. */
static bool
restore_rows(const Object *o, const char *root, StoreError *e)
{
	Buf sql;
	Buf ids;
	sqlite3_stmt *s;
	char now[SF_STAMP_LEN + 1];
	size_t i;
	bool ok = true;

	buf_init(&sql);
	buf_init(&ids);
	buf_addf(&sql, "SELECT \"Id\" FROM \"%s\" WHERE \"%s\" = ?1 AND \"IsDeleted\" = 1", o->name,
			 STORE_DELETED_WITH);
	s = store_prepare(sql.data);
	sqlite3_bind_text(s, 1, root, -1, SQLITE_STATIC);
	while (sqlite3_step(s) == SQLITE_ROW)
		buf_add(&ids, sqlite3_column_text(s, 0), SF_ID_LEN + 1);
	sqlite3_finalize(s);
	store_timestamp(store_began(), now);
	for (i = 0; ok && i < ids.len; i += SF_ID_LEN + 1)
	{
		Row *r = row_load(o, ids.data + i);

		ok = rules_unique(r, NULL, e);
		if (ok)
		{
			event_touch(o, ids.data + i);
			buf_clear(&sql);
			buf_addf(&sql,
					 "UPDATE \"%s\" SET \"IsDeleted\" = 0, \"%s\" = NULL, \"%s\" = NULL%s%s WHERE "
					 "\"Id\" = ?2 AND ?1 IS NOT NULL",
					 o->name, STORE_DELETED_DATE, STORE_DELETED_WITH,
					 schema_field(o, "SystemModstamp", 14) ? ", \"SystemModstamp\" = ?1" : "",
					 schema_field(o, "MasterRecordId", 14) ? ", \"MasterRecordId\" = NULL" : "");
			run2(sql.data, now, ids.data + i, NULL);
			restore_lookups(ids.data + i);
			rollup_refresh(o, ids.data + i);
			rules_effects(NULL, r);
		}
		row_free(r);
	}
	buf_free(&sql);
	buf_free(&ids);
	return ok;
}

bool
store_undelete(const Object *o, const char *id, StoreError *e)
{
	char full[SF_ID_LEN + 1];
	char *root;
	bool ok = true;
	int i;

	memset(e, 0, sizeof(*e));
	if (!store_canonical_id(id, strlen(id), full) || store_row_state(o, full) == 0)
	{
		store_error_set(e, 400, "INVALID_CROSS_REFERENCE_KEY", "invalid cross reference id");
		return false;
	}
	if (store_row_state(o, full) == 1 || !o->undeletable)
	{
		store_error_set(e, 400, "UNDELETE_FAILED", "Entity is not in the recycle bin");
		return false;
	}
	root = lookup_text(o->name, full, STORE_DELETED_WITH);
	if (!root || strcmp(root, full) != 0)
	{
		store_error_set(e, 400, "UNDELETE_FAILED", "Entity is not in the recycle bin");
		free(root);
		return false;
	}
	store_begin();
	for (i = 0; i < schema_count() && ok; i++)
		ok = restore_rows(schema_object(i), full, e);
	if (ok)
		store_commit();
	else
		store_rollback();
	free(root);
	return ok;
}
