/*
 * event.h - change events: what a transaction has changed, the log of it, and how it is told.
 *
 * A transaction names the rows that it is about to write (event_touch); when it commits, what they
 * were is compared with what they are (event_capture.c), and what differs becomes events
 * (event_body.c) in the log (event_log.c), a table of the database, so that rows and events commit
 * together.  Subscribers read the log through channels (event_deliver.c).
 *
 * Everything here is called under store_lock(), but for the three functions about waiting.  Must
 * not know: HTTP, Bayeux.
 */
#ifndef SANDBOX_EVENT_H
#define SANDBOX_EVENT_H

#include "schema.h"
#include "store.h"

struct Row;

/* The standard channel; the others are custom ones, Name__chn. */
#define EVENT_STANDARD "ChangeEvents"
#define EVENT_NO_RECORD "000000000000000AAA"

typedef struct EventSettings
{
	int retention_seconds; /* how long an event can be asked for */
	int overflow;		   /* changes of one transaction that are told one by one */
	int max_bytes;		   /* of one event; what is larger is told as a gap */
	int delivered;		   /* events delivered in 24 hours */
	int entities;		   /* objects that may be selected */
	int timeout_ms;		   /* how long a connect waits */
	int session_ms;		   /* and how long a client may be silent */
	int clients;		   /* with a subscription, at a time */
	int batch;			   /* events of one answer */
	int lag_ms;			   /* from the commit until the event can be heard */
	int busy;			   /* so many handshakes are refused: the server is too busy */
	int crowded;		   /* or there are too many connections */
	bool oauth_only;	   /* the scheme of the Authorization header is OAuth, not Bearer */
	bool any_user;		   /* every user may see all data and set up channels */
} EventSettings;

extern EventSettings event_settings;
/* Reading: a part of a compound that became null is not in the event, only in changedFields. */
extern bool event_parts_absent;
/* Reading: a roll-up that changes makes no event of its own. */
extern bool event_rollups_silent;

/* event_capture.c */
/* The row is about to be inserted, updated, deleted or undeleted by this transaction. */
void event_touch(const Object *o, const char *id);
/* Before the outermost COMMIT, after it, and after the outermost ROLLBACK. */
void event_settle(void);
void event_committed(void);
void event_forget(void);
/* While a seed is written there are no events. */
void event_pause(bool pause);
/* Which objects are selected on which channel has changed. */
void event_selection_changed(void);
/* What makes the changes of this thread's request: "rest", "62.0", "name" or NULL; api NULL: none.
 */
void event_origin(const char *api, const char *version, const char *client);
/* An event that no write has caused: change "UPDATE" ... of these Ids (separated by commas) without
 * data, or, with ids NULL, an overflow. */
bool event_inject_gap(const Object *o, const char *change, const char *ids);

/* event_body.c */
/* Whether change events of the object exist at all, and whether they carry the field. */
bool event_supported(const Object *o);
bool event_field_told(const Field *f);
/* AccountChangeEvent, Invoice__ChangeEvent; and back, NULL if it is no such name (case matters). */
void event_name(const Object *o, char out[128]);
const Object *event_object(const char *name);
/* Members of a JSON object, each with a comma behind it, of the fields for which told is set. */
void event_put_fields(Buf *out, const struct Row *r, const bool *told, bool nulls);
/* LastName of Contact is Name.LastName. */
void event_put_name(Buf *out, const Field *f);
/* The field that holds this one as a part of it, or NULL. */
const Field *event_compound(const Field *f);
/* What stands for the fields of the object: 22 characters that change when they do. */
void event_schema_id(const Object *o, char out[23]);

/* event_log.c */
typedef struct Event
{
	int64_t replay;
	char uuid[37];
	const Object *o;
	char *channels; /* on which it was selected, separated by commas */
	char *change;	/* CREATE ... */
	char *ids;		/* separated by commas */
	char *body;		/* members with a comma behind each */
	char *header;	/* of ChangeEventHeader, but for recordIds, likewise */
} Event;

void event_open(void);	/* makes the tables */
void event_reset(void); /* forgets everything, channels too */
void event_append(const Event *e);
void event_free(Event *e);
/* The first event behind that replay id; false if there is none. */
bool event_next(int64_t after, Event *e);
int64_t event_tip(void);			/* the newest replay id that can be heard of */
bool event_is_kept(int64_t replay); /* in the log, and within the retention */
void event_expire(bool all);
/* Deliveries count against the org's allocation; false: it is used up. */
bool event_allowed(void);
void event_delivered(int n);
int64_t event_deliveries_left(void);
/* --events and /__sandbox/events: a setting; or select=Account,Contact; expire=now; delivered=0. */
bool event_set(const char *name, const char *value);
/* The same from the command line, which a reset goes back to; select waits for event_defaults(). */
bool event_option(const char *name, const char *value);
/* Settings and selection as the command line has them; false if it selects what cannot be. */
bool event_defaults(void);
void event_stats(Buf *out);

/* Waiting for events, without any lock: until the number is another one, at most so long. */
uint64_t event_generation(void);
void event_wait(uint64_t seen, int ms);
void event_wake(void);

#endif
