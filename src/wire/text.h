/*
 * text.h - quoting: text into a SOQL literal, a JSON string, a URL.
 *
 * Everything that becomes part of a request passes through here, so that no value can end the place
 * it was put in.  Must not know: PostgreSQL, the network.  The functions size first (out NULL),
 * then write: both passes return the number of bytes, without a NUL.
 */
#ifndef AMPSF_TEXT_H
#define AMPSF_TEXT_H

#include <stdbool.h>
#include <stddef.h>

/* 'O\'Brien', with its quotes: backslash, quotes and control characters escaped as SOQL knows them.
 */
size_t ampsf_quote_soql(const char *s, size_t len, char *out);
/* The same for a LIKE pattern given in SQL's form (escape character backslash); % and _ stay
 * wildcards. */
size_t ampsf_quote_soql_like(const char *pattern, size_t len, char *out);
/* A JSON string with its quotes. */
size_t ampsf_quote_json(const char *s, size_t len, char *out);
/* Percent-encoding of all but the unreserved characters (a space becomes %20). */
size_t ampsf_quote_url(const char *s, size_t len, char *out);
/* Is it an API name, dotted or not: letters, digits, underscores, beginning with a letter? */
bool ampsf_is_api_name(const char *s, size_t len);
/* Is it a token, or the like, that can stand in a header? */
bool ampsf_is_token(const char *s);
/* Is the part in the text, ASCII letters without case?  Never in NULL. */
bool ampsf_text_contains(const char *text, const char *part);

#endif
