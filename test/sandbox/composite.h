/*
 * composite.h - subrequests, which composite and composite/graph have in common.
 */
#ifndef SANDBOX_COMPOSITE_H
#define SANDBOX_COMPOSITE_H

#include "rest.h"

typedef struct Sub
{
	const char *method, *url, *ref;
	json_object *headers, *body;
	Response w;
	json_object *answer; /* parsed body, for references */
} Sub;

/* A member that is a text, or NULL. */
const char *composite_text(json_object *o, const char *name);
/* Reads a compositeRequest; the number of subrequests, or -1 with the answer filled. */
int composite_read(json_object *list, Sub *subs, int max, Response *w);
/* True if all of them succeeded; all or none: else nothing of them has happened. */
bool composite_run(Request *r, Sub *subs, int n, bool all_or_none);
/* The answer of a subrequest that was not carried out, or not to last. */
void composite_halt(Sub *s);
void composite_write(Sub *subs, int n, Buf *b);
void composite_free(Sub *subs, int n);

#endif
