/*
 * comet_client.c - the clients of the Streaming API and what they have subscribed to.
 *
 * Owns: the list of them, under store_lock().  Must not know: messages.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "comet.h"
#include "config.h"
#include "oauth.h"

static Client *clients;

static void
free_client(Client *c)
{
	while (c->subscriptions != NULL)
		comet_unsubscribe(c, c->subscriptions->channel);
	free(c);
}

void
comet_remove(Client *c)
{
	Client **p = &clients;

	while (*p != NULL && *p != c)
		p = &(*p)->next;
	if (*p != NULL)
	{
		*p = c->next;
		free_client(c);
	}
	/* its connects that wait find it gone */
	event_wake();
}

void
comet_drop(const char *id)
{
	Client *next;

	for (Client *c = clients; c != NULL; c = next)
	{
		next = c->next;
		if (id == NULL || strcmp(c->id, id) == 0)
			comet_remove(c);
	}
}

/* Forgets those that were silent for too long; one that waits is not. */
static void
expire(void)
{
	double now = monotonic();
	Client *next;

	for (Client *c = clients; c != NULL; c = next)
	{
		next = c->next;
		if (c->polling == 0 && now - c->heard > event_settings.session_ms / 1000.0)
			comet_remove(c);
	}
}

Client *
comet_new(const char *user_id, const char *version)
{
	Client *c = calloc(1, sizeof(Client));
	char *token = random_token("", 31);

	snprintf(c->id, sizeof(c->id), "%s", token);
	free(token);
	token = random_token("", 26);
	snprintf(c->cookie, sizeof(c->cookie), "%s", token);
	free(token);
	snprintf(c->user_id, sizeof(c->user_id), "%s", user_id);
	snprintf(c->version, sizeof(c->version), "%s", version);
	c->heard = monotonic();
	c->next = clients;
	clients = c;
	return c;
}

Client *
comet_find(const char *id)
{
	Client *c;

	expire();
	for (c = clients; c != NULL && strcmp(c->id, id) != 0; c = c->next)
		;
	return c;
}

int
comet_count(void)
{
	int n = 0;

	expire();
	for (Client *c = clients; c != NULL; c = c->next)
		n += c->subscriptions != NULL;
	return n;
}

Subscription *
comet_subscription(Client *c, const char *channel)
{
	Subscription *s = c->subscriptions;

	while (s != NULL && strcmp(s->channel, channel) != 0)
		s = s->next;
	return s;
}

void
comet_subscribe(Client *c, const char *channel, ChannelKind kind, const Object *o, int64_t at)
{
	Subscription *s = comet_subscription(c, channel);

	if (s == NULL)
	{
		s = calloc(1, sizeof(Subscription));
		s->channel = strdup(channel);
		s->next = c->subscriptions;
		c->subscriptions = s;
	}
	s->kind = kind;
	s->o = o;
	s->at = at;
}

void
comet_unsubscribe(Client *c, const char *channel)
{
	Subscription **p = &c->subscriptions;
	Subscription *s;

	while (*p != NULL && strcmp((*p)->channel, channel) != 0)
		p = &(*p)->next;
	s = *p;
	if (s == NULL)
		return;
	*p = s->next;
	free(s->channel);
	free(s);
}

void
comet_list(Buf *out)
{
	expire();
	buf_addc(out, '[');
	for (Client *c = clients; c != NULL; c = c->next)
	{
		buf_addf(out, "%s{\"clientId\":\"%s\",\"user\":\"%s\",\"waiting\":%s,\"connects\":%llu,",
				 c == clients ? "" : ",", c->id, c->user_id, c->polling ? "true" : "false",
				 (unsigned long long) c->polls);
		buf_adds(out, "\"subscriptions\":{");
		for (Subscription *s = c->subscriptions; s != NULL; s = s->next)
		{
			buf_jsons(out, s->channel);
			buf_addf(out, ":%lld%s", (long long) s->at, s->next ? "," : "");
		}
		buf_adds(out, "}}");
	}
	buf_addc(out, ']');
}
