/*
 * error.h - Salesforce's errors as PostgreSQL's: SQLSTATE, message, detail, hint; and the filter
 * that keeps secrets out of all of them.
 */
#ifndef AMPSF_ERROR_H
#define AMPSF_ERROR_H

#include "postgres.h"

/* One error as Salesforce sent it. */
typedef struct AmpsfApiError
{
	int http;		  /* status; 0 where the error is one row's in a collection */
	const char *code; /* "INVALID_FIELD", "invalid_grant"; NULL if the body was not understood */
	const char *message;
	const char *fields; /* comma-separated, or NULL */
	const char *from;	/* who says so, where it is not Salesforce: "Ampersand"; a constant */
} AmpsfApiError;

/* SQLSTATE for a Salesforce errorCode (or OAuth error) with its status. */
extern int ampsf_error_sqlstate(const AmpsfApiError *err);
/* What to do about it; NULL if there is nothing better to say than the detail. */
extern const char *ampsf_error_hint(const AmpsfApiError *err);
/* Is it worth trying the same again (UNABLE_TO_LOCK_ROW, SERVER_UNAVAILABLE, 502 ...)? */
extern bool ampsf_error_is_transient(const AmpsfApiError *err);

/*
 * Reads an error body (array, object, or not JSON at all) into *err; palloc'ed in the current
 * context.
 */
extern void ampsf_error_parse(int http, const char *body, size_t len, AmpsfApiError *err);

/*
 * ereport(ERROR): "could not <what>" with Salesforce's text as detail, its hint, and soql (may be
 * NULL) as context.
 */
extern void ampsf_error_throw(const AmpsfApiError *err, const char *what, const char *soql)
	__attribute__((noreturn));

/*
 * Remote text made fit for a message: server encoding, control characters replaced, at most 512
 * bytes (…), and anything that looks like a token, secret or assertion replaced by <redacted>.
 * palloc'ed.
 */
extern char *ampsf_clean_text(const char *s, size_t len);

#endif
