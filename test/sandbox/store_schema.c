/*
 * store_schema.c - fields that come, go and change while the program runs, as lines that a test
 * sends:
 *
 *   add OBJECT {"name": ..., "type": ...}     change OBJECT FIELD {...}     rename OBJECT FIELD
 * NAME remove OBJECT FIELD                       hide OBJECT FIELD [USERNAME]  show OBJECT FIELD
 * [USERNAME]
 *
 * The lines are kept in the file, so that a program that opens it again knows the same objects.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cursors.h"
#include "rules_rollup.h"
#include "schema_change.h"
#include "store_internal.h"

static bool replaying; /* the tables are as the lines say already */

static void execf(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

static void
execf(const char *fmt, ...)
{
	va_list ap;
	char *sql;

	if (replaying)
		return;
	va_start(ap, fmt);
	if (vasprintf(&sql, fmt, ap) < 0)
		schema_die("out of memory");
	va_end(ap);
	store_exec(sql);
	free(sql);
}

/* What was prepared for the tables as they were. */
static void
let_go(void)
{
	row_end();
	cursors_close();
}

static void
rename_column(const Object *o, const char *from, const char *to)
{
	let_go();
	execf("ALTER TABLE \"%s\" RENAME COLUMN \"%s\" TO \"%s\"", o->name, from, to);
}

static const char *
add(Object *o, const char *text)
{
	json_object *raw = json_tokener_parse(text);
	Field *f = NULL;
	const char *wrong = schema_add(o, raw, &f);

	json_object_put(raw);
	if (wrong != NULL || replaying)
		return wrong;
	let_go();
	store_add_column(f);
	if (f->external_id || f->unique)
		store_index(o, true);
	rollup_fill(f);
	return NULL;
}

static const char *
remove_field(Field *f)
{
	const char *was = f->name;
	const char *wrong = schema_remove(f);

	if (wrong == NULL)
		rename_column(f->object, was, f->name);
	return wrong;
}

static const char *
rename_field(Field *f, const char *name)
{
	const char *was = f->name;
	const char *wrong = schema_rename(f, name);

	if (wrong == NULL)
		rename_column(f->object, was, f->name);
	return wrong;
}

static const char *
alter(Field *f, const char *text)
{
	json_object *patch = json_tokener_parse(text);
	json_object *v;
	const char *wrong = patch && json_object_object_get_ex(patch, "name", &v)
							? "rename gives another name"
							: schema_alter(f, patch);

	json_object_put(patch);
	if (wrong == NULL)
		let_go();
	return wrong;
}

static const char *
see(Field *f, const char *username, bool hide)
{
	const Object *user = schema_find("User", 4);
	char *ids = NULL;
	const char *id = "";

	if (*username)
	{
		if (store_find(user, schema_field(user, "Username", 8), username, &ids) != 1)
			return "there is no such user";
		id = ids;
	}
	if (hide)
		schema_hide(f, id);
	else
		schema_show(f, id);
	free(ids);
	return NULL;
}

/* A line; what is wrong with it, or NULL. */
static const char *
apply(const char *line)
{
	char word[16], object[80], field[80];
	int at = 0;
	Object *o;
	Field *f;

	if (sscanf(line, "%15s %79s %n", word, object, &at) < 2 || at == 0)
		return "a line begins with what is to be done, and an object";
	o = schema_find(object, strlen(object));
	if (o == NULL)
		return "there is no such object";
	line += at;
	if (strcmp(word, "add") == 0)
		return add(o, line);
	at = 0;
	if (sscanf(line, "%79s %n", field, &at) < 1)
		return "which field?";
	f = schema_field(o, field, strlen(field));
	if (f == NULL || f->gone)
		return "there is no such field";
	line += at > 0 ? (size_t) at : strlen(line);
	if (strcmp(word, "remove") == 0)
		return remove_field(f);
	if (strcmp(word, "rename") == 0)
		return rename_field(f, line);
	if (strcmp(word, "change") == 0)
		return alter(f, line);
	if (strcmp(word, "hide") == 0 || strcmp(word, "show") == 0)
		return see(f, line, *word == 'h');
	return "that is nothing that can be done with a field";
}

const char *
store_schema_change(const char *line)
{
	const char *wrong = apply(line);
	sqlite3_stmt *s;

	if (wrong != NULL)
		return wrong;
	s = store_prepare("INSERT INTO \"__schema\" VALUES (?1)");
	sqlite3_bind_text(s, 1, line, -1, SQLITE_STATIC);
	sqlite3_step(s);
	sqlite3_finalize(s);
	rollup_reload();
	store_changed();
	return NULL;
}

void
store_schema_list(Buf *out)
{
	sqlite3_stmt *s = store_prepare("SELECT line FROM \"__schema\" ORDER BY rowid");
	bool first = true;

	buf_addc(out, '[');
	while (sqlite3_step(s) == SQLITE_ROW)
	{
		buf_adds(out, first ? "" : ",");
		buf_jsons(out, (const char *) sqlite3_column_text(s, 0));
		first = false;
	}
	buf_addc(out, ']');
	sqlite3_finalize(s);
}

/* Who may not see what depends on who there is: once the tables are there. */
void
store_schema_replay(bool tables)
{
	sqlite3_stmt *s;

	store_exec("CREATE TABLE IF NOT EXISTS \"__schema\" (line TEXT)");
	replaying = true;
	s = store_prepare("SELECT line FROM \"__schema\" ORDER BY rowid");
	while (sqlite3_step(s) == SQLITE_ROW)
	{
		const char *line = (const char *) sqlite3_column_text(s, 0);
		bool sight = strncmp(line, "hide", 4) == 0 || strncmp(line, "show", 4) == 0;
		const char *wrong = sight == tables ? apply(line) : NULL;

		if (wrong != NULL)
			fprintf(stderr, "sandbox: %s: %s\n", line, wrong);
	}
	sqlite3_finalize(s);
	replaying = false;
	if (tables)
		rollup_reload();
}

/* Their names are those that the field had when they were made. */
static void
drop_indices(const Field *f)
{
	sqlite3_stmt *s = store_prepare("SELECT name FROM sqlite_master WHERE type = 'index' AND "
									"tbl_name = ?1 AND instr(sql, '(\"' || ?2 || '\")') > 0");
	Buf names;

	buf_init(&names);
	sqlite3_bind_text(s, 1, f->object->name, -1, SQLITE_STATIC);
	sqlite3_bind_text(s, 2, f->name, -1, SQLITE_STATIC);
	while (sqlite3_step(s) == SQLITE_ROW)
		buf_add(&names, sqlite3_column_text(s, 0), (size_t) sqlite3_column_bytes(s, 0) + 1);
	sqlite3_finalize(s);
	for (size_t i = 0; i < names.len; i += strlen(names.data + i) + 1)
		execf("DROP INDEX \"%s\"", names.data + i);
	buf_free(&names);
}

static void
back(const Field *f, const char *first_name)
{
	if (first_name != NULL)
	{
		rename_column(f->object, f->name, first_name);
		return;
	}
	let_go();
	drop_indices(f);
	execf("ALTER TABLE \"%s\" DROP COLUMN \"%s\"", f->object->name, f->name);
}

void
store_schema_reset(void)
{
	schema_restore(back);
	store_exec("DELETE FROM \"__schema\"");
	rollup_reload();
	store_changed();
}
