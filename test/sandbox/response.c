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
#include <unistd.h>

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
	if (w->from_file)
		close(w->fd);
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

static void
read_file(Response *w)
{
	buf_reserve(&w->body, w->fd_len);
	while (w->fd_len > 0)
	{
		ssize_t n = pread(w->fd, w->body.data + w->body.len, w->fd_len, (off_t) w->fd_at);

		if (n <= 0)
			break;
		w->body.len += (size_t) n;
		w->fd_at += (uint64_t) n;
		w->fd_len -= (size_t) n;
	}
	w->body.data[w->body.len] = '\0';
	close(w->fd);
	w->from_file = false;
	w->fd_len = 0;
}

void
res_flatten(Response *w)
{
	if (w->from_file)
		read_file(w);
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
