/*
 * event_deliver.c - from the log to what a subscriber sees: channels, enrichment, filters.
 *
 * Enriched fields, and those that a filter names, are read from the row when the event is
 * delivered, as Salesforce does; an event of several rows is then told row by row, each with the
 * same replay id.  Must not know: HTTP.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "comet.h"
#include "event.h"
#include "store_internal.h"
#include "tooling.h"

#define FIRST_UUID 52 /* the version from which on events have an EventUuid */

/* How a channel shows the events of one object. */
typedef struct View
{
	const Object *o;
	bool *enriched; /* NULL: nothing is added */
	Filter *filter;
} View;

ChannelKind
comet_channel(const char *name, const Object **o)
{
	const char *rest = name + 6;
	Tooling t;

	*o = NULL;
	if (strncmp(name, "/data/", 6) != 0)
		return CHANNEL_NONE;
	if (strcmp(rest, EVENT_STANDARD) == 0)
		return CHANNEL_ALL;
	*o = event_object(rest);
	if (*o != NULL)
		return CHANNEL_ENTITY;
	if (!tooling_channel(rest, &t))
		return CHANNEL_NONE;
	tooling_free(&t);
	return CHANNEL_CUSTOM;
}

/* The name is among those of the list. */
static bool
listed(const char *list, const char *name)
{
	size_t n = strlen(name);

	for (const char *p = list; *p; p += strspn(p, ","))
	{
		size_t len = strcspn(p, ",");

		if (len == n && memcmp(p, name, n) == 0)
			return true;
		p += len;
	}
	return false;
}

static bool
belongs(const Subscription *s, const Event *e)
{
	switch (s->kind)
	{
		case CHANNEL_ALL:
			return listed(e->channels, EVENT_STANDARD);
		case CHANNEL_ENTITY:
			return e->o == s->o && listed(e->channels, EVENT_STANDARD);
		case CHANNEL_CUSTOM:
			return listed(e->channels, s->channel + 6);
		default:
			return false;
	}
}

/* A field by the name that events have for it: also a compound's, which means all its parts. */
static void
enrich(View *v, const char *name)
{
	Buf b;

	if (v->enriched == NULL)
		v->enriched = calloc((size_t) v->o->n_fields, sizeof(bool));
	for (int i = 0; i < v->o->n_fields; i++)
	{
		const Field *f = &v->o->fields[i];
		const Field *compound = event_compound(f);

		buf_init(&b);
		event_put_name(&b, f);
		if (strcasecmp(b.data, name) == 0 ||
			(compound != NULL && strcasecmp(compound->name, name) == 0))
			v->enriched[i] = true;
		buf_free(&b);
	}
}

static void
enrich_filtered(void *view, const char *name)
{
	if (strncmp(name, "ChangeEventHeader.", 18) != 0)
		enrich(view, name);
}

/* Channels of one object have neither enrichment nor filter. */
static void
view_open(View *v, const Subscription *s, const Object *o)
{
	json_object *list;
	const char *text;
	char *why;
	Tooling t;

	*v = (View){.o = o};
	if (s->kind == CHANNEL_ENTITY || !tooling_member(s->channel + 6, o, &t))
		return;
	if (json_object_object_get_ex(t.metadata, "enrichedFields", &list) &&
		json_object_is_type(list, json_type_array))
	{
		for (size_t i = 0; i < json_object_array_length(list); i++)
		{
			json_object *name = NULL;

			json_object_object_get_ex(json_object_array_get_idx(list, i), "name", &name);
			enrich(v, json_object_get_string(name));
		}
	}
	text = tooling_text(&t, "filterExpression");
	if (text != NULL)
	{
		v->filter = filter_parse(text, false, tooling_filter_field, (void *) o, &why);
		free(why);
		filter_names(v->filter, enrich_filtered, v);
	}
	tooling_free(&t);
}

static void
view_close(View *v)
{
	free(v->enriched);
	filter_free(v->filter);
}

/* The value of a filter's name in the payload. */
static FilterValue
payload_value(void *payload, const char *name)
{
	json_object *o = payload;
	char key[200];
	FilterValue v = {.null = true};

	while (o != NULL && *name)
	{
		size_t n = strcspn(name, ".");
		json_object *in = NULL;

		snprintf(key, sizeof(key), "%.*s", (int) n, name);
		if (json_object_is_type(o, json_type_object))
		{
			/* names of fields are no matter of case */
			json_object_object_foreach(o, k, value)
			{
				if (strcasecmp(k, key) == 0)
					in = value;
			}
		}
		o = in;
		name += n + (name[n] == '.');
	}
	if (o == NULL)
		return v;
	v.null = false;
	v.text = json_object_get_string(o);
	v.number = json_object_is_type(o, json_type_boolean) ? json_object_get_boolean(o)
														 : json_object_get_double(o);
	return v;
}

/* What is in more and not in body, of compounds part by part. */
static void
add_missing(json_object *body, json_object *more)
{
	json_object_object_foreach(more, key, v)
	{
		json_object *there;

		if (!json_object_object_get_ex(body, key, &there))
			json_object_object_add(body, key, json_object_get(v));
		else if (json_object_is_type(there, json_type_object))
			add_missing(there, v);
	}
}

/* The members of the event's body, and of what the row has in the enriched fields beyond them. */
static void
put_enriched(Buf *out, const View *v, const Event *e, const char *id)
{
	Row *r = row_load(v->o, id);
	json_object *body;
	json_object *more;
	Buf b;

	buf_init(&b);
	buf_addf(&b, "{%s\"\":0}", e->body);
	body = json_tokener_parse(b.data);
	buf_clear(&b);
	buf_addc(&b, '{');
	if (r != NULL)
		event_put_fields(&b, r, v->enriched, false);
	buf_adds(&b, "\"\":0}");
	more = json_tokener_parse(b.data);
	add_missing(body, more);
	json_object_object_del(body, "");
	json_object_object_foreach(body, key, value)
	{
		buf_jsons(out, key);
		buf_addf(out, ":%s,",
				 json_object_to_json_string_ext(value, JSON_C_TO_STRING_PLAIN |
														   JSON_C_TO_STRING_NOSLASHESCAPE));
	}
	json_object_put(body);
	json_object_put(more);
	row_free(r);
	buf_free(&b);
}

static void
put_ids(Buf *out, const char *ids)
{
	buf_adds(out, "\"recordIds\":[");
	for (const char *p = ids; *p;)
	{
		size_t n = strcspn(p, ",");

		buf_addf(out, "%s\"%.*s\"", p == ids ? "" : ",", (int) n, p);
		p += n + (p[n] == ',');
	}
	buf_addc(out, ']');
}

/* Takes what the client's user does not see out of an object of the payload, or of changedFields.
 */
static void
hide(json_object *payload, json_object *changed, const Field *f)
{
	const Field *compound = event_compound(f);
	json_object *in = payload;
	size_t n = changed ? json_object_array_length(changed) : 0;
	Buf b;

	buf_init(&b);
	event_put_name(&b, f);
	if (compound != NULL)
		json_object_object_get_ex(payload, compound->name, &in);
	if (in != NULL)
		json_object_object_del(in, compound ? b.data + strlen(compound->name) + 1 : b.data);
	if (compound != NULL && in != NULL && json_object_object_length(in) == 0)
		json_object_object_del(payload, compound->name);
	while (n-- > 0)
		if (strcmp(json_object_get_string(json_object_array_get_idx(changed, n)), b.data) == 0)
			json_object_array_del_idx(changed, n, 1);
	buf_free(&b);
}

static void
hide_fields(Buf *payload, const Client *c, const Object *o)
{
	json_object *root = NULL;
	json_object *header = NULL;
	json_object *changed = NULL;

	schema_set_viewer(c->user_id);
	for (int i = 0; i < o->n_fields; i++)
	{
		if (o->fields[i].gone || schema_seen(&o->fields[i]))
			continue;
		if (root == NULL)
		{
			root = json_tokener_parse(payload->data);
			json_object_object_get_ex(root, "ChangeEventHeader", &header);
			json_object_object_get_ex(header, "changedFields", &changed);
		}
		hide(root, changed, &o->fields[i]);
	}
	schema_set_viewer(NULL);
	if (root == NULL)
		return;
	buf_clear(payload);
	buf_adds(payload, json_object_to_json_string_ext(root, JSON_C_TO_STRING_PLAIN |
															   JSON_C_TO_STRING_NOSLASHESCAPE));
	json_object_put(root);
}

/* One message; false if the filter keeps it back. */
static bool
put_message(Buf *out, const Client *c, const Subscription *s, const View *v, const Event *e,
			const char *ids, bool enriched)
{
	char schema[23];
	char name[128];
	Buf payload;
	bool passes = true;

	buf_init(&payload);
	buf_addc(&payload, '{');
	if (enriched)
		put_enriched(&payload, v, e, ids);
	else
		buf_adds(&payload, e->body);
	buf_addf(&payload, "\"ChangeEventHeader\":{%s", e->header);
	put_ids(&payload, ids);
	buf_adds(&payload, "}}");
	if (v->filter != NULL)
	{
		json_object *o = json_tokener_parse(payload.data);

		passes = filter_match(v->filter, payload_value, o);
		json_object_put(o);
	}
	if (passes)
	{
		hide_fields(&payload, c, e->o);
		event_schema_id(e->o, schema);
		event_name(e->o, name);
		buf_addf(out, "{\"data\":{\"schema\":\"%s\",\"payload\":", schema);
		buf_add(out, payload.data, payload.len);
		buf_addf(out, ",\"event\":{");
		if (atoi(c->version) >= FIRST_UUID)
			buf_addf(out, "\"EventUuid\":\"%s\",", e->uuid);
		buf_addf(out, "\"replayId\":%lld", (long long) e->replay);
		if (atoi(c->version) >= FIRST_UUID)
			buf_addf(out, ",\"EventApiName\":\"%s\"", name);
		buf_adds(out, "}},\"channel\":");
		buf_jsons(out, s->channel);
		buf_adds(out, "},");
	}
	buf_free(&payload);
	return passes;
}

/* The event as that subscription sees it; the number of messages. */
static int
put_event(Buf *out, const Client *c, const Subscription *s, const Event *e)
{
	bool changed = strcmp(e->change, "UPDATE") == 0 || strcmp(e->change, "DELETE") == 0;
	int n = 0;
	View v;

	view_open(&v, s, e->o);
	if (v.enriched == NULL || !changed)
		n = put_message(out, c, s, &v, e, e->ids, false);
	else
		for (const char *p = e->ids; *p; p += strspn(p, ","))
		{
			char id[SF_ID_LEN + 1];
			size_t len = strcspn(p, ",");

			snprintf(id, sizeof(id), "%.*s", (int) len, p);
			n += put_message(out, c, s, &v, e, id, true);
			p += len;
		}
	view_close(&v);
	return n;
}

int
comet_deliver(Client *c, Buf *out)
{
	int64_t at = INT64_MAX;
	int n = 0;
	Event e;

	for (Subscription *s = c->subscriptions; s != NULL; s = s->next)
		at = s->at < at ? s->at : at;
	while (at != INT64_MAX && n < event_settings.batch && event_next(at, &e))
	{
		at = e.replay;
		for (Subscription *s = c->subscriptions; s != NULL; s = s->next)
		{
			if (s->at >= e.replay)
				continue;
			s->at = e.replay;
			if (e.o != NULL && belongs(s, &e))
				n += put_event(out, c, s, &e);
		}
		event_free(&e);
	}
	event_delivered(n);
	return n;
}
