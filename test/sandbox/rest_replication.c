/*
 * rest_replication.c - sobjects/X/updated and sobjects/X/deleted.
 *
 * Reads SystemModstamp for the one and the hidden time of deletion for the other.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "admin.h"
#include "rest.h"

#define DAY 86400
#define UPDATED_DAYS 30
#define DELETED_DAYS 15
#define MAX_IDS 600000

/* True with both ends filled; else the answer says what is wrong. */
static bool
window(Request *r, Response *w, int days, time_t *start, time_t *end)
{
	const char *s = req_param(r, "start");
	const char *e = req_param(r, "end");
	time_t now = store_now();

	if (s == NULL || e == NULL || !parse_iso_time(s, start) || !parse_iso_time(e, end))
		res_errorf(w, 400, "INVALID_REPLICATION_DATE", "%s is not a valid date",
				   s == NULL || !parse_iso_time(s, start) ? "start" : "end");
	else if (*start < now - (time_t) days * DAY)
		res_errorf(w, 400, "INVALID_REPLICATION_DATE", "startDate cannot be more than %d days ago",
				   days);
	else if (*start / 60 >= *end / 60)
		res_error(w, 400, "INVALID_REPLICATION_DATE",
				  "endDate must be at least one minute greater than startDate");
	else if (*start > now)
		res_error(w, 400, "INVALID_REPLICATION_DATE", "startDate cannot be in the future");
	else
		return true;
	return false;
}

static sqlite3_stmt *
rows_between(const Object *o, bool deleted, time_t start, time_t end)
{
	char from[29];
	char to[29];
	char sql[400];
	const char *when = deleted ? STORE_DELETED_DATE : "SystemModstamp";
	sqlite3_stmt *s = NULL;

	store_timestamp(start, from);
	store_timestamp(end, to);
	snprintf(sql, sizeof(sql),
			 "SELECT \"Id\", \"%s\" FROM \"%s\" WHERE \"IsDeleted\" = %d AND "
			 "\"%s\" >= ?1 AND \"%s\" < ?2 ORDER BY \"%s\", rowid LIMIT %d",
			 when, o->name, deleted, when, when, when, MAX_IDS + 1);
	if (sqlite3_prepare_v2(store_db(), sql, -1, &s, NULL) != SQLITE_OK)
		return NULL;
	sqlite3_bind_text(s, 1, from, -1, SQLITE_TRANSIENT);
	sqlite3_bind_text(s, 2, to, -1, SQLITE_TRANSIENT);
	return s;
}

void
rest_replication(Request *r, Response *w, const Object *o, bool deleted)
{
	time_t start;
	time_t end;
	time_t now = store_now();
	sqlite3_stmt *s;
	char stamp[29];
	long n = 0;

	if (!o->replicateable || schema_field(o, "SystemModstamp", 14) == NULL)
	{
		res_errorf(w, 400, "INVALID_TYPE", "entity type %s is not replicateable", o->name);
		return;
	}
	if (!window(r, w, deleted ? DELETED_DAYS : UPDATED_DAYS, &start, &end))
		return;
	s = rows_between(o, deleted, start, end);
	if (s == NULL)
	{
		res_error(w, 500, "UNKNOWN_EXCEPTION", sqlite3_errmsg(store_db()));
		return;
	}
	w->status = 200;
	buf_adds(&w->body, deleted ? "{\"deletedRecords\":[" : "{\"ids\":[");
	while (sqlite3_step(s) == SQLITE_ROW && n <= MAX_IDS)
	{
		buf_adds(&w->body, n++ ? "," : "");
		if (deleted)
			buf_addf(&w->body, "{\"id\":\"%s\",\"deletedDate\":\"%s\"}", sqlite3_column_text(s, 0),
					 sqlite3_column_text(s, 1));
		else
			buf_addf(&w->body, "\"%s\"", sqlite3_column_text(s, 0));
	}
	sqlite3_finalize(s);
	if (n > MAX_IDS)
	{
		res_error(w, 400, "EXCEEDED_ID_LIMIT",
				  "Too many ids in the result: choose a shorter range of dates");
		return;
	}
	buf_addc(&w->body, ']');
	if (deleted)
	{
		store_timestamp(now - DELETED_DAYS * DAY, stamp);
		buf_addf(&w->body, ",\"earliestDateAvailable\":\"%s\"", stamp);
	}
	store_timestamp(end < now ? end : now, stamp);
	buf_addf(&w->body, ",\"latestDateCovered\":\"%s\"}", stamp);
}
