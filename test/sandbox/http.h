/*
 * http.h - one request and its answer, between the server (libmicrohttpd) and the resources.
 *
 * Resource files (oauth*.c, rest_*.c, admin.c) know only this header, never libmicrohttpd.
 */
#ifndef SANDBOX_HTTP_H
#define SANDBOX_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <json-c/json.h>
#include "buf.h"

#define MAX_SEGMENTS 12

struct Fault;

typedef struct Request
{
	const char *method;
	const char *raw_path;  /* as received, escapes kept, without the query string */
	const char *path;	   /* decoded */
	const char *raw_query; /* as received, "" if none */
	const char *body;	   /* inflated when it came with Content-Encoding: gzip; NUL-terminated */
	size_t body_len;
	const char *base_url; /* http://host:port as the client wrote it */
	void *connection;	  /* the server's own */
	/* filled by the dispatcher after authentication */
	char user_id[19];
	char version[8];		 /* "62.0" */
	char *seg[MAX_SEGMENTS]; /* decoded path segments after /services/data/vXX.X/ */
	int n_seg;
	/* a subrequest of composite or batch: no transport-level limits, no fault, counts as one call
	 */
	bool inner;
	struct Request *outer;
	bool all_or_none;			/* a composite: what it says goes for the collections in it */
	json_object *inner_headers; /* httpHeaders of a composite subrequest, or NULL */
	bool lock_row;				/* fault: the next row written is locked; see req_take_lock() */
	char *soql;					/* malloc'ed by the query resource: for the request log */
	char *user_name;			/* malloc'ed: who was let in, for the request log */
	char *job;					/* malloc'ed: the Id of a bulk job, for the request log */
	const struct Fault *fault; /* that struck the request, for the resources that know what to do */
	int amp;				   /* AmpHost: which of Ampersand's hosts, if any */
	const char *bearer;		   /* of a request through Ampersand's proxy: the token that it goes on with */
	char **owned;			   /* strings that live as long as the request */
	int n_owned;
} Request;

typedef struct Response
{
	int status;
	const char *content_type; /* static text; default application/json;charset=UTF-8 */
	Buf body;
	bool rows_failed; /* of a collection, though it is answered 200 */
	char **headers;	  /* name, value, name, value ... malloc'ed */
	int n_headers;	  /* pairs */
	/* a second half of the body, from a cache: not copied, released with free_cb(arg) after sending
	 */
	const char *cached;
	size_t cached_len;
	void (*free_cb)(void *);
	/* the cached half as a final raw deflate stream, and its CRC-32; may be called by any thread */
	void (*gz_cb)(void *, const char **data, size_t *len, uint32_t *crc);
	void *free_arg;
	/* or out of a file: fd_len bytes from fd_at on; the descriptor is the answer's */
	bool from_file;
	int fd;
	uint64_t fd_at;
	size_t fd_len;
} Response;

/* params.c: the parts of a request */
const char *req_header(const Request *r, const char *name); /* NULL if absent */
const char *req_param(Request *r, const char *name);		/* decoded query parameter; NULL */
const char *req_form(Request *r, const char *name);			/* the same of a form body; NULL */
char *req_own(Request *r, char *s);							/* s is freed with the request */
void req_free(Request *r);
/* Takes the pending lock-row fault of the request or of the request it is part of. */
bool req_take_lock(Request *r);
/* Decodes %xx, and + where plus is set; malloc'ed. */
char *url_decode(const char *s, size_t n, bool plus);
void url_encode(Buf *out, const char *s);
/* The decoded value of a name in a=b&c=d text, malloc'ed; NULL if absent. */
char *form_value(const char *text, const char *name);
/* Splits raw path text at '/' into decoded segments, the first into *first. */
void req_split(Request *r, const char *raw_rest);

/* response.c */
void res_free(Response *w);
void res_header(Response *w, const char *name, const char *value);
const char *res_find_header(const Response *w, const char *name);
/* Body = [{"message":...,"errorCode":...}] with that status. */
void res_error(Response *w, int status, const char *code, const char *message);
void res_errorf(Response *w, int status, const char *code, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));
void res_not_found(Response *w);
/* 405 with the methods that would be allowed, e.g. "HEAD,GET,POST". */
void res_not_allowed(Response *w, const Request *r, const char *allowed);
/* Brings the cached half of the body, or that in a file, into the body: for subrequests and small
 * answers. */
void res_flatten(Response *w);

/*
 * The body as JSON, which the caller puts; NULL with the answer filled where there is none: 415 for
 * another media type, 400 JSON_PARSER_ERROR for what is no JSON.
 */
json_object *req_json(const Request *r, Response *w);
/* The same without a look at the media type. */
json_object *req_json_text(const Request *r, Response *w);

/* router.c: everything under /services, /id and /__sandbox */
void handle_request(Request *r, Response *w);
/* One subrequest of a composite: url as the client wrote it; the caller frees w. */
void handle_inner(Request *outer, const char *method, const char *url, json_object *headers,
				  json_object *body, Response *w);

/* rest_query.c: the locator named by the path of a next-page request dies; takes store_lock() */
void rest_dead_locator(const char *path);

/* server.c: what the transport knows */
const char *server_header(const Request *r, const char *name);
bool server_hung_up(const Request *r); /* nobody waits for the answer any more */
unsigned server_connections(void);
uint64_t server_bytes_sent(void);
uint64_t server_requests(void);

#endif
