/*
 * comet.h - the Streaming API: Bayeux over long polling.
 *
 * comet_http.c has the messages, comet_client.c the clients; both under store_lock() but for
 * comet_handle().
 */
#ifndef SANDBOX_COMET_H
#define SANDBOX_COMET_H

#include "event.h"
#include "http.h"

typedef enum ChannelKind
{
	CHANNEL_NONE,
	CHANNEL_ALL,	/* /data/ChangeEvents */
	CHANNEL_ENTITY, /* /data/AccountChangeEvent */
	CHANNEL_CUSTOM	/* /data/Name__chn */
} ChannelKind;

/* What a client has subscribed to, and the last event that it was sent. */
typedef struct Subscription
{
	char *channel;
	ChannelKind kind;
	const Object *o;
	int64_t at;
	struct Subscription *next;
} Subscription;

typedef struct Client
{
	char id[40];
	char cookie[40];
	char user_id[SF_ID_LEN + 1];
	char version[8];
	Subscription *subscriptions;
	double heard;	/* when it was last answered */
	int polling;	/* connects that wait */
	uint64_t polls; /* connects that there were */
	struct Client *next;
} Client;

/* comet_client.c */
Client *comet_new(const char *user_id, const char *version);
Client *comet_find(const char *id); /* NULL: unknown, or silent for too long */
void comet_remove(Client *c);
void comet_drop(const char *id); /* the session is lost; NULL: all of them */
int comet_count(void);			 /* clients that have a subscription */
void comet_list(Buf *out);
Subscription *comet_subscription(Client *c, const char *channel);
void comet_subscribe(Client *c, const char *channel, ChannelKind kind, const Object *o, int64_t at);
void comet_unsubscribe(Client *c, const char *channel);

/* event_deliver.c */
ChannelKind comet_channel(const char *name, const Object **o);
/* Messages, each with a comma behind it, of what has happened behind its positions; their number.
 */
int comet_deliver(Client *c, Buf *out);

/* comet_http.c: POST /cometd/NN.N */
void comet_handle(Request *r, Response *w);

#endif
