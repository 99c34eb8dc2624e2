/*
 * event_log.c - the log of change events, how long it is kept, how much of it may be delivered, and
 * waiting for more of it.
 *
 * Owns: the tables __event and __event_state.  Must not know: what is in an event, channels.
 */
#include <pthread.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "comet.h"
#include "event.h"
#include "store_internal.h"
#include "tooling.h"

#define DAY 86400

static const EventSettings defaults = {.retention_seconds = 72 * 3600,
									   .overflow = 100000,
									   .max_bytes = 1000000,
									   .delivered = 25000,
									   .entities = 5,
									   .timeout_ms = 110000,
									   .session_ms = 40000,
									   .clients = 1000,
									   .batch = 500};

EventSettings event_settings = {.retention_seconds = 72 * 3600,
								.overflow = 100000,
								.max_bytes = 1000000,
								.delivered = 25000,
								.entities = 5,
								.timeout_ms = 110000,
								.session_ms = 40000,
								.clients = 1000,
								.batch = 500};

static EventSettings given; /* by the command line: what a reset goes back to */
static bool any_given;
static char *given_selection;
static int64_t delivered;
static time_t delivered_since;

static pthread_mutex_t wait_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t wait_cond = PTHREAD_COND_INITIALIZER;
static uint64_t generation;

void
event_open(void)
{
	store_exec(
		"CREATE TABLE IF NOT EXISTS \"__event\" (replay INTEGER PRIMARY KEY, at REAL, "
		"uuid TEXT, entity TEXT, channels TEXT, change TEXT, ids TEXT, body TEXT, header TEXT)");
	store_exec("CREATE TABLE IF NOT EXISTS \"__event_state\" (tip INTEGER)");
	store_exec("INSERT INTO \"__event_state\" SELECT 5000000000 WHERE NOT EXISTS (SELECT 1 FROM "
			   "\"__event_state\")");
	tooling_open();
	event_selection_changed();
}

void
event_reset(void)
{
	store_exec("DELETE FROM \"__event\"");
	tooling_reset();
	event_selection_changed();
	comet_drop(NULL);
	delivered = 0;
}

static double
real_time(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return (double) ts.tv_sec + (double) ts.tv_nsec / 1e9;
}

static int64_t
ask_number(const char *sql, int64_t bound)
{
	sqlite3_stmt *s = store_prepare(sql);
	int64_t n = 0;

	if (sqlite3_bind_parameter_count(s) > 0)
		sqlite3_bind_int64(s, 1, bound);
	if (sqlite3_step(s) == SQLITE_ROW)
		n = sqlite3_column_int64(s, 0);
	sqlite3_finalize(s);
	return n;
}

/* The newest replay id that was given. */
static int64_t
last_given(void)
{
	return ask_number("SELECT tip FROM \"__event_state\"", 0);
}

/* Events of before can be heard. */
static double
horizon(void)
{
	return real_time() - event_settings.lag_ms / 1000.0;
}

int64_t
event_tip(void)
{
	char sql[120];
	int64_t hidden;

	snprintf(sql, sizeof(sql), "SELECT min(replay) FROM \"__event\" WHERE at > %.6f", horizon());
	hidden = event_settings.lag_ms > 0 ? ask_number(sql, 0) : 0;
	return hidden > 0 ? hidden - 1 : last_given();
}

void
event_append(const Event *e)
{
	/* not contiguous: some are other tenants' */
	int64_t tip = last_given();
	int64_t replay = tip + 1 + (tip % 5 == 0 ? 7 : 0);
	sqlite3_stmt *s = store_prepare("INSERT INTO \"__event\" VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)");
	const char *texts[] = {e->uuid, e->o->name, e->channels, e->change, e->ids, e->body, e->header};
	char sql[80];

	sqlite3_bind_int64(s, 1, replay);
	sqlite3_bind_double(s, 2, real_time());
	for (int i = 0; i < 7; i++)
		sqlite3_bind_text(s, 3 + i, texts[i], -1, SQLITE_STATIC);
	if (sqlite3_step(s) != SQLITE_DONE)
		schema_die("%s", sqlite3_errmsg(store_db()));
	sqlite3_finalize(s);
	snprintf(sql, sizeof(sql), "UPDATE \"__event_state\" SET tip = %lld", (long long) replay);
	store_exec(sql);
}

void
event_free(Event *e)
{
	free(e->channels);
	free(e->change);
	free(e->ids);
	free(e->body);
	free(e->header);
	memset(e, 0, sizeof(*e));
}

static char *
column(sqlite3_stmt *s, int i)
{
	const char *t = (const char *) sqlite3_column_text(s, i);

	return strdup(t ? t : "");
}

bool
event_next(int64_t after, Event *e)
{
	sqlite3_stmt *s = store_prepare(
		"SELECT replay, uuid, entity, channels, change, ids, body, header FROM \"__event\" "
		"WHERE replay > ?1 AND at > ?2 AND at <= ?3 ORDER BY replay LIMIT 1");
	bool found;

	memset(e, 0, sizeof(*e));
	sqlite3_bind_int64(s, 1, after);
	sqlite3_bind_double(s, 2, real_time() - event_settings.retention_seconds);
	sqlite3_bind_double(s, 3, horizon());
	found = sqlite3_step(s) == SQLITE_ROW;
	if (found)
	{
		const char *entity = (const char *) sqlite3_column_text(s, 2);

		e->replay = sqlite3_column_int64(s, 0);
		snprintf(e->uuid, sizeof(e->uuid), "%s", (const char *) sqlite3_column_text(s, 1));
		e->o = schema_find(entity, strlen(entity));
		e->channels = column(s, 3);
		e->change = column(s, 4);
		e->ids = column(s, 5);
		e->body = column(s, 6);
		e->header = column(s, 7);
	}
	sqlite3_finalize(s);
	return found;
}

bool
event_is_kept(int64_t replay)
{
	event_expire(false);
	return replay <= event_tip() &&
		   ask_number("SELECT 1 FROM \"__event\" WHERE replay = ?1", replay) == 1;
}

void
event_expire(bool all)
{
	char sql[120];

	snprintf(sql, sizeof(sql), "DELETE FROM \"__event\" WHERE at <= %.6f",
			 real_time() - (all ? 0 : event_settings.retention_seconds));
	store_exec(sql);
}

/* Counted for 24 hours. */
static void
roll_delivered(void)
{
	if (time(NULL) - delivered_since < DAY)
		return;
	delivered = 0;
	delivered_since = time(NULL);
}

bool
event_allowed(void)
{
	return event_deliveries_left() > 0;
}

void
event_delivered(int n)
{
	roll_delivered();
	delivered += n;
}

int64_t
event_deliveries_left(void)
{
	roll_delivered();
	return delivered < event_settings.delivered ? event_settings.delivered - delivered : 0;
}

static const struct
{
	const char *name;
	size_t at;
	long most;
} numbers[] = {
	{"retention", offsetof(EventSettings, retention_seconds), 1000000000},
	{"overflow", offsetof(EventSettings, overflow), 1000000000},
	{"max-bytes", offsetof(EventSettings, max_bytes), 1000000000},
	{"daily", offsetof(EventSettings, delivered), 1000000000},
	{"entities", offsetof(EventSettings, entities), 10000},
	{"timeout-ms", offsetof(EventSettings, timeout_ms), 1000000},
	{"session-ms", offsetof(EventSettings, session_ms), 100000000},
	{"clients", offsetof(EventSettings, clients), 100000},
	{"batch", offsetof(EventSettings, batch), 100000},
	{"lag-ms", offsetof(EventSettings, lag_ms), 1000000},
	{"busy", offsetof(EventSettings, busy), 1000000},
	{"crowded", offsetof(EventSettings, crowded), 1000000},
};

static const struct
{
	const char *name, *first, *second;
	size_t at;
} words[] = {
	{"scheme", "any", "oauth", offsetof(EventSettings, oauth_only)},
	{"view-all-data", "admin", "all", offsetof(EventSettings, any_user)},
};

/* What is done at once; true if the name was one of these. */
static bool
act(const char *name, const char *value, bool *good)
{
	*good = true;
	if (strcmp(name, "select") == 0)
		*good = tooling_select(value);
	else if (strcmp(name, "expire") == 0)
	{
		if (strcmp(value, "now") == 0)
			event_expire(true);
		else
		{
			char sql[80];

			snprintf(sql, sizeof(sql), "DELETE FROM \"__event\" WHERE replay <= %lld",
					 atoll(value));
			store_exec(sql);
		}
	}
	else if (strcmp(name, "delivered") == 0)
	{
		roll_delivered();
		delivered = atoll(value);
	}
	else if (strcmp(name, "drop") == 0)
		comet_drop(strcmp(value, "all") == 0 ? NULL : value);
	else
		return false;
	return true;
}

bool
event_set(const char *name, const char *value)
{
	char *base = (char *) &event_settings;
	char *end;
	long v = strtol(value, &end, 10);
	bool good;

	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
	{
		if (strcmp(numbers[i].name, name) != 0)
			continue;
		if (end == value || *end || v < 0 || v > numbers[i].most)
			return false;
		*(int *) (base + numbers[i].at) = (int) v;
		return true;
	}
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
	{
		if (strcmp(words[i].name, name) != 0)
			continue;
		*(bool *) (base + words[i].at) = strcmp(value, words[i].second) == 0;
		return *(bool *) (base + words[i].at) || strcmp(value, words[i].first) == 0;
	}
	return act(name, value, &good) && good;
}

bool
event_option(const char *name, const char *value)
{
	if (strcmp(name, "select") == 0)
	{
		given_selection = strdup(value);
		return true;
	}
	if (!event_set(name, value))
		return false;
	given = event_settings;
	any_given = true;
	return true;
}

bool
event_defaults(void)
{
	event_settings = any_given ? given : defaults;
	return given_selection == NULL || tooling_select(given_selection);
}

void
event_stats(Buf *out)
{
	event_expire(false);
	buf_addf(out,
			 "{\"events\":%lld,\"first\":%lld,\"last\":%lld,\"tip\":%lld,\"delivered\":%lld,"
			 "\"remaining\":%lld,\"selected\":",
			 (long long) ask_number("SELECT count(*) FROM \"__event\"", 0),
			 (long long) ask_number("SELECT min(replay) FROM \"__event\"", 0),
			 (long long) ask_number("SELECT max(replay) FROM \"__event\"", 0),
			 (long long) event_tip(), (long long) delivered, (long long) event_deliveries_left());
	tooling_list_selected(out);
	buf_adds(out, ",\"clients\":");
	comet_list(out);
	buf_addc(out, '}');
}

uint64_t
event_generation(void)
{
	uint64_t g;

	pthread_mutex_lock(&wait_lock);
	g = generation;
	pthread_mutex_unlock(&wait_lock);
	return g;
}

void
event_wait(uint64_t seen, int ms)
{
	struct timespec until;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += ms / 1000;
	until.tv_nsec += (long) (ms % 1000) * 1000000;
	if (until.tv_nsec >= 1000000000)
	{
		until.tv_sec++;
		until.tv_nsec -= 1000000000;
	}
	pthread_mutex_lock(&wait_lock);
	if (generation == seen)
		pthread_cond_timedwait(&wait_cond, &wait_lock, &until);
	pthread_mutex_unlock(&wait_lock);
}

void
event_wake(void)
{
	pthread_mutex_lock(&wait_lock);
	generation++;
	pthread_cond_broadcast(&wait_cond);
	pthread_mutex_unlock(&wait_lock);
}
