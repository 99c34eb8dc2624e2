/*
 * multipart.h - bodies of several parts: a job with its content, a row with its file.
 *
 * Must not know: libmicrohttpd, SQLite.
 */
#ifndef SANDBOX_MULTIPART_H
#define SANDBOX_MULTIPART_H

#include "http.h"
#include "schema.h"

typedef struct Part
{
	char name[80];
	char type[80];	  /* Content-Type, "" if it has none */
	const char *body; /* in the request's */
	size_t len;
} Part;

/* True if the request says that its body is multipart. */
bool multipart_is(const Request *r);
/* The parts of the body, at most max; -1 if it is none as its head says. */
int multipart_read(const Request *r, Part *parts, int max);
const Part *multipart_find(const Part *parts, int n, const char *name);
/*
 * The body as req_json() reads it.  If it is multipart, its first part is the row, and a part named
 * after a field is that field's file; or the part named collection has the rows, which name theirs.
 */
json_object *multipart_rows(const Request *r, Response *w, const Object *o);

#endif
