/*
 * http.h - one request and its answer, between the server (libmicrohttpd) and the resources.
 *
 * Resource files (oauth.c, rest_*.c) know only this header, never libmicrohttpd.
 */
#ifndef SANDBOX_HTTP_H
#define SANDBOX_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include "buf.h"

typedef struct Request
{
	const char *method;
	const char *path;		   /* decoded, without the query string */
	const char *raw_query;	   /* as received, "" if none */
	const char *body;		   /* inflated when it came with Content-Encoding: gzip; NUL-terminated */
	size_t body_len;
	void *connection;		   /* the server's own */
	/* filled by the dispatcher after authentication */
	const char *user_id;
	const char *version;	   /* "62.0" */
	const char *rest;		   /* path after /services/data/vXX.X/ */
	/* a subrequest of composite or batch: no transport-level limits, no fault, counts as one call */
	bool inner;
	struct Request *outer;
	char *soql;				   /* malloc'ed by the query resource: for the request log */
} Request;

typedef struct Response
{
	int status;
	const char *content_type;  /* static text; default application/json;charset=UTF-8 */
	Buf body;
	char **headers;			   /* name, value, name, value ... malloc'ed */
	int n_headers;			   /* pairs */
	/* a body served from a cache: not copied, released with free_cb(arg) after sending */
	const char *cached;
	size_t cached_len;
	void (*free_cb)(void *);
	void *free_arg;
} Response;

const char *req_header(const Request *r, const char *name);		 /* NULL if absent */
const char *req_param(const Request *r, const char *name);		 /* decoded query parameter; NULL */
void res_header(Response *w, const char *name, const char *value);
/* Body = [{"message":...,"errorCode":...}] with that status. */
void res_error(Response *w, int status, const char *code, const char *message);

#endif
