/*
 * comet.h - a client of the org's event bus: Bayeux over HTTP long polling (CometD), one channel.
 *
 * Owns: the protocol, its session and cookies, and what an answer means.  Must not know: what is
 * done with events, nor when to try again; the token is the call layer's.  Works outside of
 * transactions once the session has logged in.
 */
#ifndef AMPSF_COMET_H
#define AMPSF_COMET_H

#include "postgres.h"
#include "net/session.h"

typedef struct AmpsfComet AmpsfComet;

/* Where to begin: ids are positive. */
#define AMPSF_REPLAY_NEW (-1)
#define AMPSF_REPLAY_EARLIEST (-2)

typedef enum AmpsfCometOutcome
{
	AMPSF_COMET_OK,
	AMPSF_COMET_AGAIN,		/* the same again, after the pause */
	AMPSF_COMET_HANDSHAKE,	/* the session is gone, or an answer was lost: begin anew, after the
							   pause */
	AMPSF_COMET_LOGIN,		/* the token is dead: a new one, then begin anew */
	AMPSF_COMET_LATER,		/* too busy, or out of reach: begin anew, each time later */
	AMPSF_COMET_BAD_REPLAY, /* the org knows no such replay id, or no longer */
	AMPSF_COMET_REFUSED		/* until somebody has done something about it */
} AmpsfCometOutcome;

/* Lives in cxt and ends with it.  The session has to be held as long. */
extern AmpsfComet *ampsf_comet_new(AmpsfSession *session, const char *channel, MemoryContext cxt);

/*
 * A request is started, polled until it is done (sleep in between, see session.h), and taken, which
 * tells how it went.  Forgets what went before: a handshake begins a new session.
 */
extern void ampsf_comet_handshake(AmpsfComet *comet);
extern void ampsf_comet_subscribe(AmpsfComet *comet, int64 replay);
extern void ampsf_comet_connect(AmpsfComet *comet);	   /* the long poll */
extern void ampsf_comet_disconnect(AmpsfComet *comet); /* a courtesy: nobody need wait for it */
extern bool ampsf_comet_poll(AmpsfComet *comet);
extern AmpsfCometOutcome ampsf_comet_take(AmpsfComet *comet);

/*
 * After take, and before the next one.  Events may come with any answer, and a hundred thousand of
 * them after a long absence: the next portion of them, an array of messages as they were received, in
 * their order, palloc'ed; NULL if there are no more, and the answer is let go.
 */
extern char *ampsf_comet_events(AmpsfComet *comet, size_t *len);
/* Milliseconds to wait before the next request: what the org advises. */
extern int ampsf_comet_pause(const AmpsfComet *comet);
/* What the org, or the network, said; fit for a message. */
extern const char *ampsf_comet_error(const AmpsfComet *comet);
/* ereport(ERROR) for what was refused. */
extern void ampsf_comet_throw(const AmpsfComet *comet) __attribute__((noreturn));

#endif
