/*
 * event_capture.c - from the rows that a transaction has touched to the events that it makes.
 *
 * One event a row and transaction, whatever was done to the row in between: of the kind that the
 * state before and the state after make.  Rows of one object with the same change share an event.
 * Must not know: HTTP, who listens.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "event.h"
#include "store_internal.h"
#include "tooling.h"

#define ORIGIN_LEN 200

/* A row that the transaction has touched, as it was before. */
typedef struct Touch
{
	const Object *o;
	char id[SF_ID_LEN + 1];
	bool told; /* some channel has the object; else it only uses up a sequence number */
	Row *old;  /* NULL: it was not there */
} Touch;

/* An event in the making. */
typedef struct Pending
{
	const Object *o;
	const char *change;
	char *body;
	char *changed; /* the names in changedFields, as JSON, without brackets */
	Buf ids;
	int sequence;
} Pending;

static Touch *touches;
static int n_touches, room_touches;
static int *table; /* hash of the touched Ids: index + 1 */
static int table_size;

static Pending *pending;
static int n_pending;

static char **selection; /* for each object: the channels that have it, or NULL */
static int n_selection;
static bool any_selected;
static bool selection_known;
static int paused;
static bool appended;
static _Thread_local char origin[ORIGIN_LEN];

void
event_pause(bool pause)
{
	paused += pause ? 1 : -1;
}

void
event_selection_changed(void)
{
	for (int i = 0; i < n_selection; i++)
		free(selection[i]);
	free(selection);
	selection = NULL;
	n_selection = 0;
	selection_known = false;
}

static void
load_selection(void)
{
	n_selection = schema_count();
	selection = calloc((size_t) n_selection, sizeof(char *));
	any_selected = false;
	for (int i = 0; i < n_selection; i++)
	{
		const Object *o = schema_object(i);

		selection[o->index] = event_supported(o) ? tooling_channels_of(o) : NULL;
		any_selected |= selection[o->index] != NULL;
	}
	selection_known = true;
}

static const char *
channels_of(const Object *o)
{
	if (!selection_known)
		load_selection();
	return o->index < n_selection ? selection[o->index] : NULL;
}

void
event_origin(const char *api, const char *version, const char *client)
{
	const char *p = client;

	if (api == NULL)
		origin[0] = '\0';
	else if (p == NULL || *p == '\0')
		snprintf(origin, sizeof(origin), "com/salesforce/api/%s/%s", api, version);
	else
		snprintf(origin, sizeof(origin), "com/salesforce/api/%s/%s;client=%.*s", api, version,
				 (int) strcspn(p, ",; "), p);
}

static unsigned
hash_id(const char *id)
{
	unsigned h = 2166136261u;

	for (int i = 0; i < SF_ID_LEN; i++)
		h = (h ^ (unsigned char) id[i]) * 16777619u;
	return h;
}

/* Where the Id is in the table, or where it would go. */
static int *
slot_of(const char *id)
{
	unsigned at = hash_id(id) & (unsigned) (table_size - 1);

	while (table[at] != 0 && memcmp(touches[table[at] - 1].id, id, SF_ID_LEN) != 0)
		at = (at + 1) & (unsigned) (table_size - 1);
	return &table[at];
}

static void
grow_table(void)
{
	table_size = table_size ? table_size * 2 : 1024;
	free(table);
	table = calloc((size_t) table_size, sizeof(int));
	if (table == NULL)
		schema_die("out of memory");
	for (int i = 0; i < n_touches; i++)
		*slot_of(touches[i].id) = i + 1;
}

void
event_touch(const Object *o, const char *id)
{
	bool told;
	Touch *t;
	int *slot;

	/* what is written outside of one is nobody's change: no event */
	if (paused > 0 || id == NULL || !store_in_transaction())
		return;
	told = channels_of(o) != NULL;
	if (!any_selected || (!told && !event_supported(o)))
		return;
	if ((n_touches + 1) * 2 > table_size)
		grow_table();
	slot = slot_of(id);
	if (*slot != 0)
		return;
	if (n_touches == room_touches)
	{
		room_touches = room_touches ? room_touches * 2 : 256;
		touches = realloc(touches, sizeof(Touch) * (size_t) room_touches);
		if (touches == NULL)
			schema_die("out of memory");
	}
	t = &touches[n_touches++];
	t->o = o;
	snprintf(t->id, sizeof(t->id), "%s", id);
	t->told = told;
	t->old = told ? row_load(o, id) : NULL;
	*slot = n_touches;
}

void
event_forget(void)
{
	for (int i = 0; i < n_touches; i++)
		row_free(touches[i].old);
	n_touches = 0;
	if (table != NULL)
		memset(table, 0, sizeof(int) * (size_t) table_size);
	for (int i = 0; i < n_pending; i++)
	{
		free(pending[i].body);
		free(pending[i].changed);
		buf_free(&pending[i].ids);
	}
	free(pending);
	pending = NULL;
	n_pending = 0;
}

/* Takes body and changed; shares the event of another row with the same change. */
static void
add_pending(const Touch *t, const char *change, char *body, char *changed)
{
	Pending *p;

	for (int i = n_pending - 1; i >= 0; i--)
	{
		p = &pending[i];
		if (p->o != t->o || p->change != change || strcmp(p->body, body) != 0 ||
			strcmp(p->changed, changed) != 0)
			continue;
		buf_addf(&p->ids, ",%s", t->id);
		free(body);
		free(changed);
		return;
	}
	pending = realloc(pending, sizeof(Pending) * (size_t) (n_pending + 1));
	if (pending == NULL)
		schema_die("out of memory");
	p = &pending[n_pending++];
	*p = (Pending){.o = t->o, .change = change, .body = body, .changed = changed};
	buf_init(&p->ids);
	buf_adds(&p->ids, t->id);
}

static char *
text_of(Buf *b)
{
	if (b->data == NULL)
		buf_adds(b, "");
	return buf_detach(b);
}

/* The fields in which the two differ; the number of those that count. */
static int
differences(const Row *old, const Row *now, bool *told)
{
	int n = 0;

	for (int i = 0; i < now->o->n_fields; i++)
	{
		told[i] = event_field_told(&now->o->fields[i]) && !value_same(&old->v[i], &now->v[i]);
		n += told[i];
	}
	return n;
}

/* What became of the row; the number of changes that it counts for, 0: none. */
static int
settle_row(const Touch *t)
{
	Row *now = row_load(t->o, t->id);
	bool was = t->old != NULL && !t->old->deleted;
	bool is = now != NULL && !now->deleted;
	bool *told = calloc((size_t) t->o->n_fields, sizeof(bool));
	Buf body;
	Buf changed;
	int n = 1;

	buf_init(&body);
	buf_init(&changed);
	if (was && is)
	{
		const Field *f = schema_field(t->o, "LastModifiedDate", 16);

		n = differences(t->old, now, told);
		/* also where it is the same second, or an automated change has not moved it */
		if (f != NULL)
			told[f->index] = true;
		for (int i = 0; i < t->o->n_fields; i++)
		{
			if (!told[i])
				continue;
			buf_adds(&changed, changed.len ? ",\"" : "\"");
			event_put_name(&changed, &t->o->fields[i]);
			buf_addc(&changed, '"');
		}
		event_put_fields(&body, now, told, true);
	}
	else if (is)
	{
		memset(told, 1, sizeof(bool) * (size_t) t->o->n_fields);
		event_put_fields(&body, now, told, false);
	}
	if (was == is && (!is || n == 0))
		n = 0;
	else
		add_pending(t,
					!is		 ? "DELETE"
					: was	 ? "UPDATE"
					: t->old ? "UNDELETE"
							 : "CREATE",
					text_of(&body), text_of(&changed));
	buf_free(&body);
	buf_free(&changed);
	free(told);
	row_free(now);
	return n;
}

static void
random_hex(char *out, int n)
{
	unsigned char bytes[16];

	if (getrandom(bytes, sizeof(bytes), 0) != sizeof(bytes))
		schema_die("no random numbers");
	for (int i = 0; i < n; i++)
		out[i] = "0123456789abcdef"[bytes[i / 2] >> (i % 2 * 4) & 15];
	out[n] = '\0';
}

static void
random_uuid(char out[37])
{
	char hex[33];

	random_hex(hex, 32);
	snprintf(out, 37, "%.8s-%.4s-%.4s-%.4s-%.12s", hex, hex + 8, hex + 12, hex + 16, hex + 20);
}

/* What the events of one transaction have in common. */
typedef struct Commit
{
	char key[37];
	long long number, timestamp;
} Commit;

static void
new_commit(Commit *c)
{
	static long long last;
	struct timespec ts;
	char hex[29];

	/* more than a double can hold, as those of today's orgs; odd, so that one shows when it tries
	 */
	clock_gettime(CLOCK_REALTIME, &ts);
	c->number = ((long long) ts.tv_sec * 1000000000 + ts.tv_nsec) | 1;
	if (c->number <= last)
		c->number = last + 2;
	last = c->number;
	c->timestamp = (long long) store_now() * 1000;
	random_hex(hex, 28);
	snprintf(c->key, sizeof(c->key), "0000%.4s-%.4s-%.4s-%.4s-%.12s", hex, hex + 4, hex + 8,
			 hex + 12, hex + 16);
}

static void
append(const Commit *c, const Object *o, const char *change, int sequence, char *ids, char *body,
	   const char *changed)
{
	Event e = {.o = o, .change = (char *) change, .ids = ids, .body = body};
	Buf h;

	random_uuid(e.uuid);
	e.channels = (char *) channels_of(o);
	buf_init(&h);
	buf_addf(&h, "\"commitNumber\":%lld,\"commitUser\":\"%s\",\"sequenceNumber\":%d,", c->number,
			 store_user(), sequence);
	buf_addf(&h, "\"entityName\":\"%s\",\"changeType\":\"%s\",\"changedFields\":[%s],", o->name,
			 change, changed);
	buf_adds(&h, "\"changeOrigin\":");
	buf_jsons(&h, origin);
	buf_addf(&h, ",\"transactionKey\":\"%s\",\"commitTimestamp\":%lld,", c->key, c->timestamp);
	e.header = h.data;
	event_append(&e);
	buf_free(&h);
	appended = true;
}

static const char *
gap_of(const char *change)
{
	static const char *const pairs[][2] = {{"CREATE", "GAP_CREATE"},
										   {"UPDATE", "GAP_UPDATE"},
										   {"DELETE", "GAP_DELETE"},
										   {"UNDELETE", "GAP_UNDELETE"}};

	for (int i = 0; i < 4; i++)
		if (strcmp(pairs[i][0], change) == 0)
			return pairs[i][1];
	return NULL;
}

/* One event for each object whose changes came after the first hundred thousand. */
static void
append_overflow(const Commit *c, const bool *over, int *sequence)
{
	for (int i = 0; i < schema_count(); i++)
		if (over[i])
			append(c, schema_object(i), "GAP_OVERFLOW", ++*sequence, (char *) EVENT_NO_RECORD,
				   (char *) "", "");
}

void
event_settle(void)
{
	bool *over = NULL;
	int64_t changes = 0;
	int sequence = 0;
	Commit c;

	if (n_touches == 0)
		return;
	over = calloc((size_t) schema_count(), sizeof(bool));
	for (int i = 0; i < n_touches; i++)
	{
		const Touch *t = &touches[i];
		int before = n_pending;

		if (!t->told)
			sequence++;
		else if (changes >= event_settings.overflow)
			over[t->o->index] = true;
		else
			changes += settle_row(t);
		if (n_pending > before)
			pending[n_pending - 1].sequence = ++sequence;
	}
	new_commit(&c);
	for (int i = 0; i < n_pending; i++)
	{
		Pending *p = &pending[i];
		bool large =
			p->ids.len + strlen(p->body) + strlen(p->changed) > (size_t) event_settings.max_bytes;

		append(&c, p->o, large ? gap_of(p->change) : p->change, p->sequence, p->ids.data,
			   large ? (char *) "" : p->body, large ? "" : p->changed);
	}
	append_overflow(&c, over, &sequence);
	free(over);
	event_forget();
}

void
event_committed(void)
{
	if (appended)
		event_wake();
	appended = false;
}

bool
event_inject_gap(const Object *o, const char *change, const char *ids)
{
	const char *gap = ids ? gap_of(change) : "GAP_OVERFLOW";
	Commit c;

	if (gap == NULL || channels_of(o) == NULL)
		return false;
	new_commit(&c);
	append(&c, o, gap, 1, (char *) (ids ? ids : EVENT_NO_RECORD), (char *) "", "");
	event_committed();
	return true;
}
