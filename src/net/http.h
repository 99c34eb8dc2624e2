/*
 * http.h - one HTTP request and its whole answer, without blocking the backend.
 *
 * Owns: sockets, TLS, timers, the answer's bytes.  Must not know: Salesforce, tokens, retries.
 * http.c is the only file that knows libcurl.
 */
#ifndef AMPSF_HTTP_H
#define AMPSF_HTTP_H

#include "postgres.h"
#include "lib/ilist.h"

typedef struct AmpsfHttp AmpsfHttp;

typedef struct AmpsfHttpSpec
{
	const char *method;
	const char *url;  /* its host has been checked by the caller */
	const char *body; /* not copied: lives at least as long as the request; NULL if none */
	size_t body_len;
	int body_fd; /* > 0: body_len bytes of that file are the body, which stays open as long; body is
					NULL */
	const char *const *headers; /* "Name: value", NULL-terminated; copied */
	const char *ca_file;		/* or NULL */
	int connect_timeout;		/* milliseconds */
	int request_timeout;		/* milliseconds without a byte moving */
	int64 max_response;			/* bytes after decompression */
	size_t window; /* > 0: a 2xx answer is read while it comes, and waits where so much is unread */
	bool early;	   /* a 2xx answer is looked at while it comes */
	bool compression;
	bool replayable; /* libcurl may send it again when a kept connection turns out to be dead */
	bool sensitive;	 /* the answer is a secret: wiped before it is freed */
} AmpsfHttpSpec;

/* How a request without a complete answer ended. */
typedef enum AmpsfHttpFailure
{
	AMPSF_HTTP_ANSWERED,	/* no failure: there is a status and a complete body */
	AMPSF_HTTP_UNREACHABLE, /* name, route, refused, connect timeout */
	AMPSF_HTTP_TLS,			/* certificate or handshake: repeating is useless */
	AMPSF_HTTP_LOST,		/* the connection broke */
	AMPSF_HTTP_STALLED,		/* request_timeout */
	AMPSF_HTTP_TOO_BIG,		/* max_response */
	AMPSF_HTTP_NO_MEMORY,
	AMPSF_HTTP_BROKEN /* bad compression, protocol error, anything else */
} AmpsfHttpFailure;

/*
 * Starts a request.  It lives in cxt: resetting that cancels it and frees everything.  May ereport
 * (out of memory, file descriptors); never waits.
 */
extern AmpsfHttp *ampsf_http_start(const AmpsfHttpSpec *spec, MemoryContext cxt);
/* Cancels if need be and frees the buffers; the little that stays goes with the context. */
extern void ampsf_http_free(AmpsfHttp *req);
/* Moves every request of the backend as far as it goes without waiting. */
extern void ampsf_http_drive(void);
/* Another number whenever a request may have moved, was started, or an alarm was set or fell due.
 */
extern uint64 ampsf_http_moves(void);
extern bool ampsf_http_done(const AmpsfHttp *req);
/*
 * Sleeps until something may have moved: a socket, a timer, the latch.  Cancel and termination are
 * thrown from here.
 */
extern void ampsf_http_sleep(void);
/* Readable when ampsf_http_drive() would have something to do. */
extern int ampsf_http_fd(void);
/* Makes it readable now, until the next drive. */
extern void ampsf_http_ring(void);

/* After completion; the pointers live as long as the request. */
extern AmpsfHttpFailure ampsf_http_failure(const AmpsfHttp *req);
extern const char *ampsf_http_failure_text(const AmpsfHttp *req);
extern int ampsf_http_status(const AmpsfHttp *req);
extern const char *ampsf_http_body(const AmpsfHttp *req, size_t *len); /* 64 zero bytes follow */
extern const char *ampsf_http_header(const AmpsfHttp *req, const char *name);
/* "Name: value", n from 0; NULL behind the last one. */
extern const char *ampsf_http_header_line(const AmpsfHttp *req, int n);
extern int64 ampsf_http_bytes_in(const AmpsfHttp *req); /* of the body, as received; so far */
/*
 * Of a request with a window, or an early one: has a 2xx answer begun?  Then what has come and was
 * not consumed; it may have moved after the next drive, and 64 bytes behind it can be read.
 */
extern bool ampsf_http_begun(const AmpsfHttp *req);
extern const char *ampsf_http_part(const AmpsfHttp *req, size_t *len);
/* Drops n bytes from its front, and makes the window so wide that it holds wanted bytes. */
extern void ampsf_http_consume(AmpsfHttp *req, size_t n, size_t wanted);
/* May a byte of it have reached the server?  May all of it? */
extern bool ampsf_http_sent_any(const AmpsfHttp *req);
extern bool ampsf_http_sent_all(const AmpsfHttp *req);

/* A moment at which ampsf_http_fd() becomes readable; the owner embeds it and unsets it in time. */
typedef struct AmpsfHttpAlarm
{
	dlist_node node;
	int64 due; /* of ampsf_http_now(); 0: not set */
} AmpsfHttpAlarm;

extern int64 ampsf_http_now(void); /* milliseconds, monotonic, never 0 */
extern void ampsf_http_alarm_set(AmpsfHttpAlarm *alarm, int64 due);
extern void ampsf_http_alarm_unset(AmpsfHttpAlarm *alarm);

/* "libcurl/7.88.1 OpenSSL/3.0.1 ...", for doctor. */
extern const char *ampsf_http_version(void);

#endif
