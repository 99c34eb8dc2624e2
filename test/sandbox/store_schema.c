/*
 * store_schema.c - fields that come, go and change while the program runs, as lines that a test
 * sends:
 *
 *   add OBJECT {"name": ..., "type": ...}    change OBJECT FIELD {...}
 *   rename OBJECT FIELD NAME                 remove OBJECT FIELD
 *   hide OBJECT FIELD [USERNAME]             show OBJECT FIELD [USERNAME]
 *   readonly OBJECT FIELD [USERNAME]         writable OBJECT FIELD [USERNAME]
 *   forbid OBJECT ACCESS [USERNAME]          allow OBJECT ACCESS [USERNAME]
 *   forbid setup [USERNAME]                  allow setup [USERNAME]
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

/* The user's Id, "" for everybody, NULL if there is no such user; malloc'ed. */
static char *
user_id(const char *username)
{
	const Object *user = schema_find("User", 4);
	char *id = NULL;

	if (*username == '\0')
		return strdup("");
	if (store_find(user, schema_field(user, "Username", 8), username, &id) == 1)
		return id;
	free(id);
	return NULL;
}

static const char *
see(Field *f, const char *username, bool hide)
{
	char *id = user_id(username);

	if (id == NULL)
		return "there is no such user";
	if (hide)
		schema_hide(f, id);
	else
		schema_show(f, id);
	free(id);
	return NULL;
}

static const char *
give(Access what, const Object *o, const Field *f, const char *username, bool take)
{
	char *id = user_id(username);

	if (id == NULL)
		return "there is no such user";
	if (take)
		schema_forbid(what, o, f, id);
	else
		schema_allow(what, o, f, id);
	free(id);
	return NULL;
}

static const char *
give_object(const Object *o, const char *line, bool take)
{
	static const char *const kinds[] = {"read", "create", "edit", "delete"};
	char word[16] = "";
	int at = 0;

	sscanf(line, "%15s %n", word, &at);
	for (int i = 0; i < 4; i++)
		if (strcmp(word, kinds[i]) == 0)
			return give(ACCESS_READ + i, o, NULL, line + at, take);
	return "an object's access is read, create, edit or delete";
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
	if ((strcmp(word, "forbid") == 0 || strcmp(word, "allow") == 0) && strcmp(object, "setup") == 0)
		return give(ACCESS_SETUP, NULL, NULL, line + at, *word == 'f');
	o = schema_find(object, strlen(object));
	if (o == NULL)
		return "there is no such object";
	line += at;
	if (strcmp(word, "add") == 0)
		return add(o, line);
	if (strcmp(word, "forbid") == 0 || strcmp(word, "allow") == 0)
		return give_object(o, line, *word == 'f');
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
	if (strcmp(word, "readonly") == 0 || strcmp(word, "writable") == 0)
		return give(ACCESS_WRITE, o, f, line, *word == 'r');
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

/* Is the line about users? */
static bool
is_access(const char *line)
{
	static const char *const words[] = {"hide ",	 "show ",	"readonly ",
										"writable ", "forbid ", "allow "};

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (strncmp(line, words[i], strlen(words[i])) == 0)
			return true;
	return false;
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
		const char *wrong = is_access(line) == tables ? apply(line) : NULL;

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
