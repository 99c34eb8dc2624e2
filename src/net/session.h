/*
 * session.h - one login at one org for one user mapping, and calls in its name.
 *
 * Owns: the session cache, the token (in memory that is wiped), replay after 401, retries of
 * idempotent calls, the quota seen in Sforce-Limit-Info.  The floor below is http.c, the only file
 * that knows libcurl.  Must not know: what a call means.
 */
#ifndef AMPSF_SESSION_H
#define AMPSF_SESSION_H

#include "postgres.h"
#include "base/options.h"
#include "base/stats.h"

typedef struct AmpsfSession AmpsfSession;
typedef struct AmpsfCall AmpsfCall;

/*
 * The session of that user at that server; logs in at the first call, not here.  Lives in its own
 * context under CacheMemoryContext; ALTER SERVER or ALTER USER MAPPING makes the next get start
 * afresh.  ERROR if there is no user mapping, or the host is not allowed.
 */
extern AmpsfSession *ampsf_session_get(Oid serverid, Oid userid);
/* Forgets sessions of that server (of all servers if InvalidOid) that no call is using; returns how
 * many. */
extern int ampsf_session_disconnect(Oid serverid);
/* Logs in now if there is no token yet; for doctor. */
extern void ampsf_session_login(AmpsfSession *session);
/* Logs in anew: the org has refused the token by other means than 401.  ERROR where that is not in
 * our hands. */
extern void ampsf_session_renew(AmpsfSession *session);

/*
 * What another process needs to go on in the same login: in memory that only the processes of one
 * statement share, and to be wiped.  A login for each of them would take time, counts against the
 * org's limits, and a refresh token that rotates allows one only.
 */
typedef struct AmpsfLoan
{
	char token[8192]; /* "": there is none to lend */
	char instance_url[512];
} AmpsfLoan;
/* Logs in if need be, waiting. */
extern void ampsf_session_lend(AmpsfSession *session, AmpsfLoan *loan);
/* Does nothing if there is a token already. */
extern void ampsf_session_borrow(AmpsfSession *session, const AmpsfLoan *loan);

/* Keeps the session from being forgotten while somebody remembers it between calls. */
extern void ampsf_session_hold(AmpsfSession *session);
extern void ampsf_session_release(AmpsfSession *session);

extern const AmpsfServerOptions *ampsf_session_options(AmpsfSession *session);
extern const char *ampsf_session_version(AmpsfSession *session);	/* "62.0" */
extern const char *ampsf_session_login_kind(AmpsfSession *session); /* "client credentials" ... */
extern const char *
ampsf_session_instance_url(AmpsfSession *session); /* after login: the org's own */
extern const AmpsfStats *ampsf_session_stats(AmpsfSession *session); /* since it was made */
/* Adds what was read or written in the session's name; calls and bytes are counted by themselves.
 */
extern void ampsf_session_count(AmpsfSession *session, const AmpsfStats *stats);
/*
 * The account in ampsf.usage for work of that kind ("query", "insert") on an object (may be NULL);
 * for the life of the backend.  Rows are entered by ampsf_usage_rows().
 */
extern struct AmpsfUsage *ampsf_session_usage(AmpsfSession *session, const char *object,
											  const char *kind);
/* From the latest Sforce-Limit-Info, or x-api-usage of a server of Account Engagement; false if
 * none was seen. */
extern bool ampsf_session_quota(AmpsfSession *session, int64 *used, int64 *max);
/*
 * A place for caches that must live and die with the session (describes, row counts): the context,
 * and slots that their owners fill.
 */
typedef enum AmpsfSessionSlot
{
	AMPSF_SLOT_DESCRIBE,
	AMPSF_SLOT_COUNTS,
	AMPSF_SLOT_NO_BULK,
	AMPSF_SLOT_NO_PAGE_LISTS,
	AMPSF_SLOT_MAX
} AmpsfSessionSlot;
extern MemoryContext ampsf_session_context(AmpsfSession *session);
extern void **ampsf_session_slot(AmpsfSession *session, AmpsfSessionSlot slot);

/* Whom a call is for.  All but the first are Ampersand's own, under paths from "/v1/". */
typedef enum AmpsfCallHost
{
	AMPSF_TO_ORG, /* directly or by the proxy */
	AMPSF_TO_WRITE_API,
	AMPSF_TO_READ_API,
	AMPSF_TO_PLATFORM
} AmpsfCallHost;

typedef struct AmpsfCallSpec
{
	const char *method; /* GET POST PATCH PUT DELETE */
	const char *path;	/* "/services/data/..." as returned, or relative: "query?q=..." gets
						   /services/data/vXX.X/ */
	const char *body;	/* copied; NULL if none */
	size_t body_len;
	int body_fd; /* > 0: body_len bytes of that file are the body; it stays open as long as the
					call; body is NULL */
	const char *content_type;	/* default application/json; charset=UTF-8 */
	const char *const *headers; /* "Name: value", NULL-terminated; may be NULL */
	bool idempotent;			/* may be sent again after a lost connection or 5xx */
	size_t window; /* > 0: a 2xx answer is read by ampsf_call_part() while it comes, which waits
					  where so much is unread */
	bool
		early; /* a 2xx answer can be looked at by ampsf_call_part() while it comes, not consumed */
	bool engagement; /* goes to Account Engagement, in the name of the server's business unit */
	AmpsfCallHost host;
	AmpsfStats *stats; /* what is spent is added here too; may be NULL; must outlive the call */
	struct AmpsfUsage
		*usage; /* the account that pays, see ampsf_session_usage(); NULL: that of all else */
	bool beyond_budget; /* not held back by limits: it tidies up, or looks what is left */
	bool unmetered; /* no API call by the org's count: costs nothing of the quota, nor of limits */
	bool once;		/* sent once, whatever comes; a 401 is an answer like any other */
	bool oauth;		/* the token goes by the name of OAuth, not Bearer */
	int timeout;	/* milliseconds without a byte moving; 0: the server's request_timeout */
} AmpsfCallSpec;

/*
 * Starts a call and returns at once (it may wait for a login first).  Everything, the answer
 * included, lives in cxt and ends with it: resetting cxt while the call runs cancels it.  Strings
 * of spec are copied.
 */
extern AmpsfCall *ampsf_call_start(AmpsfSession *session, const AmpsfCallSpec *spec,
								   MemoryContext cxt);
/*
 * True when the answer is complete (any status) or the call has finally failed; drives the network
 * without waiting, and does what falls due (retry, login and replay after 401).
 */
extern bool ampsf_call_poll(AmpsfCall *call);
/* The same, but the network stays as it is: nothing else can be completed by looking. */
extern bool ampsf_call_look(AmpsfCall *call);
/* Waits until then; cancel, statement_timeout and termination act at once. */
extern void ampsf_call_wait(AmpsfCall *call);
extern void ampsf_call_free(AmpsfCall *call);

/* After completion.  status 0: no answer (see ampsf_call_unknown_outcome, ampsf_call_throw). */
extern int ampsf_call_status(const AmpsfCall *call);
extern const char *ampsf_call_body(const AmpsfCall *call,
								   size_t *len); /* readable 64 bytes beyond len */
extern const char *ampsf_call_header(const AmpsfCall *call, const char *name); /* NULL if absent */
/* "Name: value", n from 0; NULL behind the last one. */
extern const char *ampsf_call_header_line(const AmpsfCall *call, int n);
/*
 * Of a call with a window, or an early one: has a 2xx answer begun?  Then its headers can be read,
 * and what has come of its body and was not consumed.  The bytes may move with the next drive, poll
 * or wait; 64 behind them can be read.  A call with a window is not repeated by itself once its
 * answer has begun.
 */
extern bool ampsf_call_begun(const AmpsfCall *call);
extern const char *ampsf_call_part(const AmpsfCall *call, size_t *len);
/* Drops n bytes from the front; wanted: the window shall be able to hold so many.  Moves the rest.
 */
extern void ampsf_call_consume(AmpsfCall *call, size_t n, size_t wanted);
/* Is the answer Ampersand's own word, and not that of the org behind it? */
extern bool ampsf_call_is_ampersands(const AmpsfCall *call);
/* Waits until something has moved. */
extern void ampsf_call_sleep(void);
/* Milliseconds to wait before something is done for the n-th time again, from 0; retry_after: that
 * header, or NULL. */
extern int ampsf_backoff(int n, const char *retry_after);
/* The connection was lost after the request had been sent in full, and it was not idempotent. */
extern bool ampsf_call_unknown_outcome(const AmpsfCall *call);
/* The same, of any of its attempts, idempotent or not. */
extern bool ampsf_call_was_sent(const AmpsfCall *call);
/* What it spends is no longer added to the stats of its spec. */
extern void ampsf_call_disown(AmpsfCall *call);
/* The request has been sent in full and its answer is not there yet. */
extern bool ampsf_call_in_flight(const AmpsfCall *call);
/* Why there is no answer: a sentence. */
extern const char *ampsf_call_failure(const AmpsfCall *call);
/* ereport(ERROR) for a call that did not succeed: "could not <what>", with all that is known. */
extern void ampsf_call_throw(const AmpsfCall *call, const char *what, const char *soql)
	__attribute__((noreturn));
/* Wait, and throw unless the status is 2xx. */
extern void ampsf_call_finish(AmpsfCall *call, const char *what, const char *soql);

/*
 * The descriptor that becomes readable when any call of this backend may have moved.  It stands for
 * all of them: driving for one of two waiters may complete the call of the other, and then it does
 * not become readable again for that one.  So who sleeps on it has looked at all of its calls since
 * anything moved; ampsf_call_moves() returns another number when something may have.
 */
extern int ampsf_call_fd(void);
extern void ampsf_call_drive(void);
extern uint64 ampsf_call_moves(void);
/* Makes the descriptor readable now, until the next drive. */
extern void ampsf_call_ring(void);

#endif
