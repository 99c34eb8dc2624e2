/*
 * comet_http.c - Bayeux messages: handshake, connect, subscribe, unsubscribe, disconnect.
 *
 * A connect waits without any lock until there are events, its time is over, or its client goes.
 * What is delivered is delivered: an answer that gets lost on its way is asked for again by its
 * replay id only.  Must not know: libmicrohttpd, SQLite.
 */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "comet.h"
#include "config.h"
#include "oauth.h"
#include "rest.h"

#define MAX_REQUEST 32768
#define OLDEST_COMETD 37
#define COOKIE "BAYEUX_BROWSER"
#define WAIT_MS 50

/* A message that is being answered. */
typedef struct Message
{
	Request *r;
	Response *w;
	json_object *in;
	const char *channel;
	char version[8];
	bool last; /* of its request: a connect before others does not wait */
} Message;

static const char *
text(json_object *o, const char *key)
{
	json_object *v;

	return json_object_object_get_ex(o, key, &v) && json_object_is_type(v, json_type_string)
			   ? json_object_get_string(v)
			   : NULL;
}

/* The answer's beginning: what it answers. */
static void
begin(Message *m)
{
	Buf *b = &m->w->body;
	json_object *id;
	const char *client = text(m->in, "clientId");

	buf_adds(b, b->len > 1 ? ",{" : "{");
	if (client != NULL && strcmp(m->channel, "/meta/connect") != 0)
	{
		buf_adds(b, "\"clientId\":");
		buf_jsons(b, client);
		buf_addc(b, ',');
	}
	buf_adds(b, "\"channel\":");
	buf_jsons(b, m->channel);
	if (json_object_object_get_ex(m->in, "id", &id))
		buf_addf(b, ",\"id\":%s", json_object_to_json_string(id));
}

static void
put_subscription(Message *m, const char *subscription)
{
	if (subscription == NULL)
		return;
	buf_adds(&m->w->body, ",\"subscription\":");
	buf_jsons(&m->w->body, subscription);
}

/* advice and more are JSON members without the comma before them, or NULL. */
static void
fail(Message *m, const char *subscription, const char *advice, const char *more, const char *error)
{
	Buf *b = &m->w->body;

	begin(m);
	if (advice != NULL)
		buf_addf(b, ",\"advice\":{%s}", advice);
	if (more != NULL)
		buf_addf(b, ",%s", more);
	put_subscription(m, subscription);
	buf_adds(b, ",\"error\":");
	buf_jsons(b, error);
	buf_adds(b, ",\"successful\":false}");
}

static void
failf(Message *m, const char *subscription, const char *fmt, const char *a)
{
	Buf b;

	buf_init(&b);
	buf_addf(&b, fmt, a);
	fail(m, subscription, NULL, NULL, b.data);
	buf_free(&b);
}

/* Why the request's token is none; NULL with the grant. */
static const char *
refused_token(const Request *r, Grant *g)
{
	const char *token;
	const char *h = req_header(r, "Authorization");
	int form = bearer_token(r, &token);

	if (form == 0)
		return "401::Request requires authentication";
	if (form == 1 || !session_find(token, g))
		return "401::Authentication invalid";
	if (event_settings.oauth_only && h != NULL && strncasecmp(h, "OAuth ", 6) != 0)
		return "401::Authentication invalid";
	return NULL;
}

static void
deny(Message *m, const char *reason)
{
	Buf b;

	buf_init(&b);
	buf_adds(&b, "\"ext\":{\"sfdc\":{\"failureReason\":");
	buf_jsons(&b, reason);
	buf_adds(&b, "},\"replay\":true,\"payload.format\":true}");
	fail(m, NULL, "\"reconnect\":\"none\"", b.data, "403::Handshake denied");
	buf_free(&b);
}

static bool
speaks_long_polling(json_object *in)
{
	json_object *list;

	if (!json_object_object_get_ex(in, "supportedConnectionTypes", &list) ||
		!json_object_is_type(list, json_type_array))
		return false;
	for (size_t i = 0; i < json_object_array_length(list); i++)
	{
		const char *type = json_object_get_string(json_object_array_get_idx(list, i));

		if (type != NULL && strcmp(type, "long-polling") == 0)
			return true;
	}
	return false;
}

static void
handshake(Message *m)
{
	Buf *b = &m->w->body;
	Grant g;
	const char *reason = refused_token(m->r, &g);
	char cookie[100];
	Client *c;
	json_object *types = NULL;

	json_object_object_get_ex(m->in, "supportedConnectionTypes", &types);
	if (reason != NULL)
		deny(m, reason);
	else if (event_settings.busy > 0)
	{
		event_settings.busy--;
		deny(m, "503::Server is too busy. Please try your request again later.");
	}
	else if (event_settings.crowded > 0)
	{
		event_settings.crowded--;
		deny(m, "403::To protect all customers from excessive use and Denial of Service attacks, "
				"we limit the number of simultaneous connections per server. Your request has been "
				"denied because this limit has been exceeded. Please try your request again "
				"later.");
	}
	else if (!speaks_long_polling(m->in))
		failf(m, NULL, "400::Invalid connection type %s",
			  types ? json_object_to_json_string_ext(types, JSON_C_TO_STRING_PLAIN) : "null");
	else
	{
		c = comet_new(g.user_id, m->version);
		snprintf(cookie, sizeof(cookie), COOKIE "=%s; Path=/; HttpOnly%s", c->cookie,
				 config.tls_cert ? "; Secure" : "");
		res_header(m->w, "Set-Cookie", cookie);
		buf_addf(b,
				 "%s{\"ext\":{\"replay\":true,\"payload.format\":true},\"minimumVersion\":\"1.0\","
				 "\"clientId\":\"%s\",\"supportedConnectionTypes\":[\"long-polling\"],",
				 b->len > 1 ? "," : "", c->id);
		buf_adds(b, "\"channel\":\"/meta/handshake\",");
		if (json_object_object_get_ex(m->in, "id", &types))
			buf_addf(b, "\"id\":%s,", json_object_to_json_string(types));
		buf_adds(b, "\"version\":\"1.0\",\"successful\":true}");
	}
}

/* The value of our cookie in the request's, or NULL; malloc'ed. */
static char *
sent_cookie(const Request *r)
{
	const char *h = req_header(r, "Cookie");
	size_t n = strlen(COOKIE);

	while (h != NULL && *h)
	{
		h += strspn(h, "; ");
		if (strncmp(h, COOKIE, n) == 0 && h[n] == '=')
			return strndup(h + n + 1, strcspn(h + n + 1, "; "));
		h += strcspn(h, ";");
	}
	return NULL;
}

/* The client of the message; NULL with the refusal written. */
static Client *
client_of(Message *m)
{
	const char *id = text(m->in, "clientId");
	const char *again = "\"interval\":0,\"reconnect\":\"handshake\"";
	const char *subscription = text(m->in, "subscription");
	const char *reason;
	char error[200];
	Client *c;
	Grant g;
	char *cookie;

	if (id == NULL)
	{
		fail(m, subscription, again, NULL, "403::Client has not completed handshake");
		return NULL;
	}
	c = comet_find(id);
	reason = refused_token(m->r, &g);
	if (reason != NULL)
	{
		fail(m, subscription, "\"reconnect\":\"none\",\"interval\":0", NULL, reason);
		if (c != NULL)
			comet_remove(c);
		return NULL;
	}
	cookie = sent_cookie(m->r);
	if (c != NULL && cookie == NULL)
	{
		snprintf(error, sizeof(error),
				 "400::Client %s has established a session, but no " COOKIE " cookie present", id);
		fail(m, subscription, again, NULL, error);
		return NULL;
	}
	if (c == NULL || strcmp(cookie, c->cookie) != 0 || strcmp(c->user_id, g.user_id) != 0)
	{
		fail(m, subscription, again, NULL, "403::Unknown client");
		c = NULL;
	}
	if (c != NULL)
		c->heard = monotonic();
	free(cookie);
	return c;
}

/* What the client asked for in /meta/connect, and how long it may wait for it. */
typedef struct Wait
{
	char id[40];
	uint64_t poll;
	double end;
	bool first;
} Wait;

/* The end of a connect: 0 go on waiting, 1 answered. */
static int
look(Message *m, const Wait *wait, bool over)
{
	Client *c = comet_find(wait->id);
	Buf events;
	Grant g;
	const char *reason;

	if (c == NULL)
	{
		fail(m, NULL, "\"interval\":0,\"reconnect\":\"handshake\"", NULL, "403::Unknown client");
		return 1;
	}
	reason = refused_token(m->r, &g);
	if (reason != NULL)
	{
		fail(m, NULL, "\"reconnect\":\"none\",\"interval\":0", NULL, reason);
		comet_remove(c);
		return 1;
	}
	if (!event_allowed() && c->subscriptions != NULL)
	{
		fail(m, NULL, "\"reconnect\":\"none\",\"interval\":0", NULL,
			 "403::Organization total events daily limit exceeded");
		return 1;
	}
	buf_init(&events);
	/* a later connect of the same client takes over */
	if (c->polls == wait->poll)
		comet_deliver(c, &events);
	if (events.len == 0 && c->polls == wait->poll && !over)
		return 0;
	if (events.len > 0)
	{
		if (m->w->body.len > 1)
			buf_addc(&m->w->body, ',');
		buf_add(&m->w->body, events.data, events.len - 1);
	}
	begin(m);
	if (wait->first)
		buf_addf(&m->w->body,
				 ",\"clientId\":\"%s\",\"advice\":{\"interval\":0,\"timeout\":%d,\"reconnect\":"
				 "\"retry\"}",
				 c->id, event_settings.timeout_ms);
	buf_adds(&m->w->body, ",\"successful\":true}");
	buf_free(&events);
	return 1;
}

/* Called with the lock, which it lets go while it waits. */
static void
wait_for_events(Message *m, Wait *wait)
{
	Client *c;

	for (;;)
	{
		uint64_t seen = event_generation();
		double left = (wait->end - monotonic()) * 1000;

		if (look(m, wait, left <= 0 || stopping))
			break;
		store_unlock();
		event_wait(seen, left < WAIT_MS ? (int) left + 1 : WAIT_MS);
		left = server_hung_up(m->r);
		store_lock();
		if (left > 0)
			break;
	}
	c = comet_find(wait->id);
	if (c != NULL)
	{
		c->polling--;
		c->heard = monotonic();
	}
}

static void
connect_client(Message *m, Client *c)
{
	const char *type = text(m->in, "connectionType");
	json_object *advice, *timeout;
	int ms = event_settings.timeout_ms;
	Wait wait = {.first = c->polls == 0};

	if (type == NULL || strcmp(type, "long-polling") != 0)
	{
		failf(m, NULL, "400::Invalid connection type %s", type ? type : "null");
		return;
	}
	if (json_object_object_get_ex(m->in, "advice", &advice) &&
		json_object_object_get_ex(advice, "timeout", &timeout) && json_object_get_int(timeout) < ms)
		ms = json_object_get_int(timeout);
	snprintf(wait.id, sizeof(wait.id), "%s", c->id);
	c->polling++;
	wait.poll = ++c->polls;
	wait.end = monotonic() + (wait.first || !m->last ? 0 : ms / 1000.0);
	/* one that waits already is answered */
	if (c->polling > 1)
		event_wake();
	wait_for_events(m, &wait);
}

/* The position from which on a channel is to be told; false: the replay id is none. */
static bool
start_of(json_object *in, const char *channel, int64_t *at, char given[40])
{
	json_object *ext, *replay, *v;
	int64_t n = -1;

	if (json_object_object_get_ex(in, "ext", &ext) &&
		json_object_object_get_ex(ext, "replay", &replay) &&
		json_object_is_type(replay, json_type_object) &&
		json_object_object_get_ex(replay, channel, &v))
		n = json_object_get_int64(v);
	snprintf(given, 40, "%lld", (long long) n);
	*at = n == -1 ? event_tip() : n == -2 ? 0 : n;
	return n == -1 || n == -2 || (n >= 0 && event_is_kept(n));
}

static void
subscribe(Message *m, Client *c, const char *channel)
{
	const Object *o = NULL;
	ChannelKind kind;
	int64_t at;
	char given[40];

	if (channel == NULL || *channel == '\0')
		return fail(m, channel, NULL, NULL, "400::Channel name not specified");
	if (*channel != '/')
		return fail(m, channel, NULL, NULL,
					"400::Channel subscriptions must start with a leading '/'");
	if (strncmp(channel, "/meta/", 6) == 0 || strchr(channel, '*') != NULL)
		return fail(m, channel, NULL, NULL, "403::Restricted channel");
	kind = comet_channel(channel, &o);
	if (kind == CHANNEL_NONE)
		return failf(m, channel,
					 "400::The channel you requested to subscribe to does not exist {%s}", channel);
	if (!event_settings.any_user && strcmp(c->user_id, store_admin_id()) != 0)
		return fail(m, channel, NULL, NULL,
					kind == CHANNEL_ENTITY
						? "403::Subscriber does not have access to the entity in this topic"
						: "403::User not allowed to subscribe CDC without View All Data "
						  "permissions");
	if (c->subscriptions == NULL && comet_count() >= event_settings.clients)
		return fail(m, channel, NULL, NULL, "403::Organization concurrent user limit exceeded");
	if (!start_of(m->in, channel, &at, given))
		return failf(m, channel,
					 "400::The replayId {%s} you provided was invalid.  Please provide a valid ID, "
					 "-2 to replay all events, or -1 to replay only new events.",
					 given);
	comet_subscribe(c, channel, kind, o, at);
	/* a connect that waits already may have something to tell */
	event_wake();
	begin(m);
	put_subscription(m, channel);
	buf_adds(&m->w->body, ",\"successful\":true}");
}

static void
unsubscribe(Message *m, Client *c, const char *channel)
{
	if (channel == NULL || *channel == '\0')
		return fail(m, channel, NULL, NULL, "400::Channel name not specified");
	comet_unsubscribe(c, channel);
	begin(m);
	put_subscription(m, channel);
	buf_adds(&m->w->body, ",\"successful\":true}");
}

/* One channel, or a list of them. */
static void
each_subscription(Message *m, Client *c, void (*run)(Message *, Client *, const char *))
{
	json_object *v = NULL;

	json_object_object_get_ex(m->in, "subscription", &v);
	if (json_object_is_type(v, json_type_array))
		for (size_t i = 0; i < json_object_array_length(v); i++)
			run(m, c, json_object_get_string(json_object_array_get_idx(v, i)));
	else
		run(m, c, json_object_is_type(v, json_type_string) ? json_object_get_string(v) : NULL);
}

static void
message(Message *m)
{
	Client *c;

	if (strcmp(m->channel, "/meta/handshake") == 0)
	{
		handshake(m);
		return;
	}
	c = client_of(m);
	if (c == NULL)
		return;
	if (strcmp(m->channel, "/meta/connect") == 0)
		connect_client(m, c);
	else if (strcmp(m->channel, "/meta/subscribe") == 0)
		each_subscription(m, c, subscribe);
	else if (strcmp(m->channel, "/meta/unsubscribe") == 0)
		each_subscription(m, c, unsubscribe);
	else if (strcmp(m->channel, "/meta/disconnect") == 0)
	{
		comet_remove(c);
		begin(m);
		buf_adds(&m->w->body, ",\"successful\":true}");
		return;
	}
	else
		fail(m, NULL, NULL, NULL, "403:denied_by_security_policy:publish_denied");
	c = comet_find(text(m->in, "clientId"));
	if (c != NULL)
		c->heard = monotonic();
}

/* The version behind /cometd/; false with the refusal. */
static bool
cometd_version(Request *r, Response *w, char out[8])
{
	const char *p = r->path + strlen("/cometd");
	int major = 0;
	int n = 0;

	if (sscanf(p, "/%2d.0%n", &major, &n) < 1 || n == 0 || (p[n] != '\0' && p[n] != '/'))
		res_errorf(w, 400, "400", "API version in the URI is mandatory. URI format: '/cometd/%d.0'",
				   NEWEST_VERSION);
	else if (major < OLDEST_COMETD || major > NEWEST_VERSION)
		res_errorf(w, 400, "400",
				   "Unsupported API version. Only API versions '%d.0' and above are supported. URI "
				   "format: '/cometd/%d.0'",
				   OLDEST_COMETD, NEWEST_VERSION);
	else
	{
		snprintf(out, 8, "%d.0", major);
		return true;
	}
	return false;
}

static void
log_user(Request *r)
{
	Grant g;
	OrgUser u;

	if (r->user_name != NULL || refused_token(r, &g) != NULL || !user_by_id(g.user_id, &u))
		return;
	r->user_name = strdup(u.username);
	user_free(&u);
}

static void
messages(Request *r, Response *w, json_object *body, const char *version)
{
	size_t n = json_object_is_type(body, json_type_array) ? json_object_array_length(body) : 1;

	w->status = 200;
	buf_addc(&w->body, '[');
	for (size_t i = 0; i < n; i++)
	{
		Message m = {.r = r, .w = w, .last = i + 1 == n};

		m.in =
			json_object_is_type(body, json_type_array) ? json_object_array_get_idx(body, i) : body;
		m.channel = text(m.in, "channel");
		snprintf(m.version, sizeof(m.version), "%s", version);
		if (m.channel == NULL)
		{
			m.channel = "";
			fail(&m, NULL, NULL, NULL, "400::Channel name not specified");
			continue;
		}
		store_lock();
		message(&m);
		store_unlock();
	}
	buf_addc(&w->body, ']');
}

void
comet_handle(Request *r, Response *w)
{
	json_object *body;
	char version[8];

	if (strcmp(r->method, "POST") != 0)
		res_not_allowed(w, r, "POST");
	else if (r->body_len > MAX_REQUEST)
		res_error(w, 413, "413", "Maximum Request Size Exceeded");
	else if (cometd_version(r, w, version))
	{
		body = json_tokener_parse(r->body);
		log_user(r);
		if (json_object_is_type(body, json_type_array) ||
			json_object_is_type(body, json_type_object))
			messages(r, w, body, version);
		else
			res_error(w, 400, "400", "The body is no list of messages");
		json_object_put(body);
	}
}
