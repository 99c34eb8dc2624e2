/*
 * session_private.h - what session.c, login.c and call.c share; nobody else includes it.
 */
#ifndef AMPSF_SESSION_PRIVATE_H
#define AMPSF_SESSION_PRIVATE_H

#include "postgres.h"
#include "base/error.h"
#include "net/auth.h"
#include "net/http.h"
#include "net/mapping.h"
#include "net/session.h"

/* Why something did not succeed. */
typedef struct AmpsfFailure
{
	AmpsfHttpFailure kind; /* AMPSF_HTTP_ANSWERED: see err */
	char *text;			   /* of a failure below HTTP */
	AmpsfApiError err;
} AmpsfFailure;

typedef enum AmpsfLoginState
{
	AMPSF_LOGIN_NONE,
	AMPSF_LOGIN_SENT,
	AMPSF_LOGIN_BACKOFF,
	AMPSF_LOGIN_READY,
	AMPSF_LOGIN_FAILED
} AmpsfLoginState;

struct AmpsfSession
{
	dlist_node node; /* in "sessions" or "retired" */
	MemoryContext cxt;
	MemoryContextCallback on_reset;
	Oid serverid, umid;
	char *server_name;
	uint32 server_hash, mapping_hash; /* to recognize invalidations */
	bool stale;
	uint8 fingerprint[AMPSF_FINGERPRINT_SIZE]; /* of the server and mapping that it was made from */
	int users;								   /* calls that exist, and holds */

	AmpsfServerOptions *options;
	AmpsfUserOptions *user;
	AmpsfAuthKind kind;

	/* All secrets live in cxt itself, so that on_reset can wipe them. */
	char *token;		 /* NULL: not logged in */
	char *refresh_token; /* that of the mapping, or what it was replaced by */
	char *stored_token;	 /* that of the mapping as it was last read: what differs from it is news */
	char *instance_url;	 /* as the token answer says, or the option's */
	uint64 generation;	 /* counts tokens; 0: none yet */
	bool rotation_said;

	AmpsfLoginState login_state;
	MemoryContext login_cxt; /* reset for each attempt */
	AmpsfHttp *login;
	char *login_form;
	AmpsfHttpAlarm login_alarm;
	int login_attempts;
	AmpsfFailure login_failure; /* strings in login_cxt */

	AmpsfStats stats;
	bool quota_seen;
	int64 quota_used, quota_max;
	int64 quota_at;	  /* when that was heard, by ampsf_http_now() */
	int64 unanswered; /* calls that are under way */
	void *slots[AMPSF_SLOT_MAX];
};

/*
 * A token other than that of generation bad (0: any will do).  READY, FAILED, or anything else: on
 * its way, ask again after ampsf_http_drive().  Concurrent askers share one request.  retry: a
 * login that failed before is tried anew.  May ereport (a key file, a host that is not allowed).
 */
extern AmpsfLoginState ampsf_login_step(AmpsfSession *session, uint64 bad, bool retry,
										AmpsfStats *stats);
/* ereport(ERROR) for a failed login. */
extern void ampsf_login_throw(AmpsfSession *session, const AmpsfFailure *failure)
	__attribute__((noreturn));
extern void ampsf_login_wipe(AmpsfSession *session);
/* Takes over a refresh token that another process stored in the mapping, which is as it was
 * otherwise. */
extern bool ampsf_login_take_stored(AmpsfSession *session, const UserMapping *mapping);

/* The longest wait that Retry-After can ask for, and what it asks for; milliseconds. */
#define RETRY_AFTER_MAX 60000
extern int64 ampsf_retry_after(const char *header);

/* Is it worth repeating, if repeating is safe? */
extern bool ampsf_failure_is_transient(AmpsfHttpFailure kind);
/* errdetail and errhint of a failure below HTTP. */
extern const char *ampsf_failure_detail(const AmpsfFailure *failure);
extern const char *ampsf_failure_hint(const AmpsfFailure *failure);
extern int ampsf_failure_sqlstate(const AmpsfFailure *failure);

#endif
