/*
 * tooling_store.c - the rows of the Tooling API: channels, members, relays.
 *
 * Owns: the table __tooling.  Must not know: HTTP.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "event.h"
#include "store_internal.h"
#include "tooling.h"

static const struct
{
	const char *name, *prefix;
} types[TOOLING_TYPES] = {
	{"PlatformEventChannel", "0YL"},
	{"PlatformEventChannelMember", "0v8"},
	{"NamedCredential", "0XA"},
	{"EventRelayConfig", "7k2"},
};

#define COLUMNS                                                                                    \
	"number, id, type, \"full\", developer, metadata, created, created_by, modified, modified_by"

void
tooling_open(void)
{
	store_exec(
		"CREATE TABLE IF NOT EXISTS \"__tooling\" (number INTEGER PRIMARY KEY AUTOINCREMENT, "
		"id TEXT UNIQUE, type INTEGER, \"full\" TEXT, developer TEXT COLLATE NOCASE, "
		"metadata TEXT, created TEXT, created_by TEXT, modified TEXT, modified_by TEXT)");
}

void
tooling_reset(void)
{
	store_exec("DELETE FROM \"__tooling\"");
	event_selection_changed();
}

const char *
tooling_type_name(ToolingType t)
{
	return types[t].name;
}

ToolingType
tooling_type(const char *name)
{
	int i = 0;

	while (i < TOOLING_TYPES && strcasecmp(types[i].name, name) != 0)
		i++;
	return (ToolingType) i;
}

void
tooling_free(Tooling *t)
{
	free(t->full);
	free(t->developer);
	json_object_put(t->metadata);
	memset(t, 0, sizeof(*t));
}

static void
copy(char *to, size_t size, sqlite3_stmt *s, int i)
{
	const char *t = (const char *) sqlite3_column_text(s, i);

	snprintf(to, size, "%s", t ? t : "");
}

/* Runs the statement for its first row, and ends it. */
static bool
read_row(sqlite3_stmt *s, Tooling *t, int64_t *number)
{
	bool found = sqlite3_step(s) == SQLITE_ROW;

	memset(t, 0, sizeof(*t));
	if (found)
	{
		if (number != NULL)
			*number = sqlite3_column_int64(s, 0);
		copy(t->id, sizeof(t->id), s, 1);
		t->type = (ToolingType) sqlite3_column_int(s, 2);
		t->full = strdup((const char *) sqlite3_column_text(s, 3));
		t->developer = strdup((const char *) sqlite3_column_text(s, 4));
		t->metadata = json_tokener_parse((const char *) sqlite3_column_text(s, 5));
		copy(t->created, sizeof(t->created), s, 6);
		copy(t->created_by, sizeof(t->created_by), s, 7);
		copy(t->modified, sizeof(t->modified), s, 8);
		copy(t->modified_by, sizeof(t->modified_by), s, 9);
	}
	sqlite3_finalize(s);
	return found;
}

bool
tooling_get(ToolingType type, const char *id, Tooling *t)
{
	char full[SF_ID_LEN + 1];
	sqlite3_stmt *s;

	if (!store_canonical_id(id, strlen(id), full))
		return false;
	s = store_prepare("SELECT " COLUMNS " FROM \"__tooling\" WHERE type = ?1 AND id = ?2");
	sqlite3_bind_int(s, 1, (int) type);
	sqlite3_bind_text(s, 2, full, -1, SQLITE_STATIC);
	return read_row(s, t, NULL);
}

bool
tooling_find(ToolingType type, const char *developer, Tooling *t)
{
	sqlite3_stmt *s =
		store_prepare("SELECT " COLUMNS " FROM \"__tooling\" WHERE type = ?1 AND developer = ?2");

	sqlite3_bind_int(s, 1, (int) type);
	sqlite3_bind_text(s, 2, developer, -1, SQLITE_STATIC);
	return read_row(s, t, NULL);
}

bool
tooling_next(ToolingType type, int64_t *at, Tooling *t)
{
	sqlite3_stmt *s = store_prepare("SELECT " COLUMNS " FROM \"__tooling\" WHERE type = ?1 AND "
									"number > ?2 ORDER BY number LIMIT 1");

	sqlite3_bind_int(s, 1, (int) type);
	sqlite3_bind_int64(s, 2, *at);
	return read_row(s, t, at);
}

const char *
tooling_text(const Tooling *t, const char *key)
{
	json_object *v;

	if (!json_object_object_get_ex(t->metadata, key, &v) ||
		!json_object_is_type(v, json_type_string))
		return NULL;
	return json_object_get_string(v);
}

static void
run_done(sqlite3_stmt *s)
{
	if (sqlite3_step(s) != SQLITE_DONE)
		schema_die("%s", sqlite3_errmsg(store_db()));
	sqlite3_finalize(s);
	event_selection_changed();
}

void
tooling_insert(Tooling *t)
{
	sqlite3_stmt *s = store_prepare(
		"INSERT INTO \"__tooling\" (type, \"full\", developer, metadata, created, created_by, "
		"modified, modified_by) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?5, ?6)");

	store_timestamp(store_now(), t->created);
	sqlite3_bind_int(s, 1, (int) t->type);
	sqlite3_bind_text(s, 2, t->full, -1, SQLITE_STATIC);
	sqlite3_bind_text(s, 3, t->developer, -1, SQLITE_STATIC);
	sqlite3_bind_text(s, 4, json_object_to_json_string(t->metadata), -1, SQLITE_STATIC);
	sqlite3_bind_text(s, 5, t->created, -1, SQLITE_STATIC);
	sqlite3_bind_text(s, 6, store_user(), -1, SQLITE_STATIC);
	run_done(s);
	store_make_id(types[t->type].prefix, sqlite3_last_insert_rowid(store_db()), t->id);
	s = store_prepare("UPDATE \"__tooling\" SET id = ?1 WHERE number = ?2");
	sqlite3_bind_text(s, 1, t->id, -1, SQLITE_STATIC);
	sqlite3_bind_int64(s, 2, sqlite3_last_insert_rowid(store_db()));
	run_done(s);
}

void
tooling_update(const Tooling *t)
{
	char now[29];
	sqlite3_stmt *s = store_prepare(
		"UPDATE \"__tooling\" SET metadata = ?1, modified = ?2, modified_by = ?3 WHERE id = ?4");

	store_timestamp(store_now(), now);
	sqlite3_bind_text(s, 1, json_object_to_json_string(t->metadata), -1, SQLITE_STATIC);
	sqlite3_bind_text(s, 2, now, -1, SQLITE_STATIC);
	sqlite3_bind_text(s, 3, store_user(), -1, SQLITE_STATIC);
	sqlite3_bind_text(s, 4, t->id, -1, SQLITE_STATIC);
	run_done(s);
}

void
tooling_delete(const char *id)
{
	sqlite3_stmt *s = store_prepare("DELETE FROM \"__tooling\" WHERE id = ?1");

	sqlite3_bind_text(s, 1, id, -1, SQLITE_STATIC);
	run_done(s);
}

bool
tooling_channel(const char *full, Tooling *t)
{
	size_t n = strlen(full);
	char *developer;
	bool found;

	if (n <= 5 || strcmp(full + n - 5, "__chn") != 0)
		return false;
	developer = strndup(full, n - 5);
	found = tooling_find(TOOLING_CHANNEL, developer, t);
	free(developer);
	if (found && strcmp(t->full, full) != 0)
	{
		tooling_free(t);
		found = false;
	}
	return found;
}

bool
tooling_member(const char *channel, const Object *o, Tooling *t)
{
	char name[128];
	int64_t at = 0;

	event_name(o, name);
	while (tooling_next(TOOLING_MEMBER, &at, t))
	{
		if (strcmp(tooling_text(t, "eventChannel"), channel) == 0 &&
			strcmp(tooling_text(t, "selectedEntity"), name) == 0)
			return true;
		tooling_free(t);
	}
	return false;
}

char *
tooling_channels_of(const Object *o)
{
	char name[128];
	int64_t at = 0;
	Tooling t;
	Buf b;

	buf_init(&b);
	event_name(o, name);
	while (tooling_next(TOOLING_MEMBER, &at, &t))
	{
		if (strcmp(tooling_text(&t, "selectedEntity"), name) == 0)
			buf_addf(&b, "%s%s", b.len ? "," : "", tooling_text(&t, "eventChannel"));
		tooling_free(&t);
	}
	return b.len ? buf_detach(&b) : NULL;
}

static bool
select_one(const char *name)
{
	const Object *o = schema_find(name, strlen(name));
	char entity[128];
	Buf b;
	Tooling t = {.type = TOOLING_MEMBER};

	if (o == NULL || !event_supported(o))
		return false;
	event_name(o, entity);
	buf_init(&b);
	buf_addf(&b, EVENT_STANDARD "_%s", entity);
	/* no two underscores in a row */
	for (char *p; (p = strstr(b.data, "__")) != NULL; b.len--)
		memmove(p, p + 1, strlen(p));
	t.full = b.data;
	t.developer = b.data;
	t.metadata = json_object_new_object();
	json_object_object_add(t.metadata, "eventChannel", json_object_new_string(EVENT_STANDARD));
	json_object_object_add(t.metadata, "selectedEntity", json_object_new_string(entity));
	tooling_insert(&t);
	json_object_put(t.metadata);
	buf_free(&b);
	return true;
}

bool
tooling_select(const char *objects)
{
	char *list = strdup(objects);
	char *save = NULL;
	int64_t at = 0;
	bool good = true;
	Tooling t;

	store_begin();
	while (tooling_next(TOOLING_MEMBER, &at, &t))
	{
		if (strcmp(tooling_text(&t, "eventChannel"), EVENT_STANDARD) == 0)
			tooling_delete(t.id);
		tooling_free(&t);
	}
	for (char *p = strtok_r(list, ",", &save); p && good; p = strtok_r(NULL, ",", &save))
		good = select_one(p);
	if (good)
		store_commit();
	else
		store_rollback();
	event_selection_changed();
	free(list);
	return good;
}

void
tooling_list_selected(Buf *out)
{
	bool first = true;

	buf_addc(out, '{');
	for (int i = 0; i < schema_count(); i++)
	{
		char *channels =
			event_supported(schema_object(i)) ? tooling_channels_of(schema_object(i)) : NULL;

		if (channels == NULL)
			continue;
		buf_addf(out, "%s\"%s\":\"%s\"", first ? "" : ",", schema_object(i)->name, channels);
		first = false;
		free(channels);
	}
	buf_addc(out, '}');
}
