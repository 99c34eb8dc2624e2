/*
 * response.c - building an answer: headers, Salesforce's error bodies.
 *
 * Must not know: libmicrohttpd, SQLite.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "http.h"

void
res_free(Response *w)
{
	for (int i = 0; i < w->n_headers * 2; i++)
		free(w->headers[i]);
	free(w->headers);
	buf_free(&w->body);
	if (w->free_cb != NULL)
		w->free_cb(w->free_arg);
	memset(w, 0, sizeof(*w));
}

void
res_header(Response *w, const char *name, const char *value)
{
	w->headers = realloc(w->headers, sizeof(char *) * (size_t) (w->n_headers + 1) * 2);
	if (w->headers == NULL)
		abort();
	w->headers[w->n_headers * 2] = strdup(name);
	w->headers[w->n_headers * 2 + 1] = strdup(value);
	w->n_headers++;
}

const char *
res_find_header(const Response *w, const char *name)
{
	for (int i = 0; i < w->n_headers; i++)
	{
		if (strcasecmp(w->headers[i * 2], name) == 0)
			return w->headers[i * 2 + 1];
	}
	return NULL;
}

void
res_error(Response *w, int status, const char *code, const char *message)
{
	w->status = status;
	buf_clear(&w->body);
	buf_adds(&w->body, "[{\"message\":");
	buf_jsons(&w->body, message);
	buf_adds(&w->body, ",\"errorCode\":");
	buf_jsons(&w->body, code);
	buf_adds(&w->body, "}]");
}

void
res_errorf(Response *w, int status, const char *code, const char *fmt, ...)
{
	char *text = NULL;
	va_list ap;

	va_start(ap, fmt);
	if (vasprintf(&text, fmt, ap) < 0)
		abort();
	va_end(ap);
	res_error(w, status, code, text);
	free(text);
}

void
res_not_found(Response *w)
{
	res_error(w, 404, "NOT_FOUND", "The requested resource does not exist");
}

void
res_not_allowed(Response *w, const Request *r, const char *allowed)
{
	res_header(w, "Allow", allowed);
	res_errorf(w, 405, "METHOD_NOT_ALLOWED", "HTTP Method '%s' not allowed. Allowed are %s",
			   r->method, allowed);
}

void
res_flatten(Response *w)
{
	if (w->free_cb == NULL)
		return;
	buf_add(&w->body, w->cached, w->cached_len);
	w->free_cb(w->free_arg);
	w->free_cb = NULL;
	w->gz_cb = NULL;
	w->free_arg = NULL;
	w->cached = NULL;
	w->cached_len = 0;
}
