/*
 * params.c - the parts of a request: decoded paths, parameters, forms, JSON bodies.
 *
 * Owns: the memory that hangs on a Request.  Must not know: libmicrohttpd, SQLite.
 */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "http.h"

static int
hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

char *
url_decode(const char *s, size_t n, bool plus)
{
	char *out = malloc(n + 1);
	size_t o = 0;

	if (out == NULL)
		abort();
	for (size_t i = 0; i < n; i++)
	{
		if (s[i] == '%' && i + 2 < n && hex_digit(s[i + 1]) >= 0 && hex_digit(s[i + 2]) >= 0)
		{
			int c = hex_digit(s[i + 1]) * 16 + hex_digit(s[i + 2]);

			/* A NUL would end every string early, so it stays as it was written. */
			if (c != 0)
			{
				out[o++] = (char) c;
				i += 2;
				continue;
			}
		}
		out[o++] = (plus && s[i] == '+') ? ' ' : s[i];
	}
	out[o] = '\0';
	return out;
}

void
url_encode(Buf *out, const char *s)
{
	static const char hex[] = "0123456789ABCDEF";

	for (; *s; s++)
	{
		unsigned char c = (unsigned char) *s;

		if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
			strchr("-._~", c) != NULL)
			buf_addc(out, (char) c);
		else
		{
			buf_addc(out, '%');
			buf_addc(out, hex[c >> 4]);
			buf_addc(out, hex[c & 15]);
		}
	}
}

char *
form_value(const char *text, const char *name)
{
	const char *p = text;

	while (*p)
	{
		const char *end = strchrnul(p, '&');
		const char *eq = memchr(p, '=', (size_t) (end - p));
		char *key = url_decode(p, (size_t) ((eq ? eq : end) - p), true);
		bool found = strcmp(key, name) == 0;

		free(key);
		if (found)
			return eq ? url_decode(eq + 1, (size_t) (end - eq - 1), true) : strdup("");
		p = *end ? end + 1 : end;
	}
	return NULL;
}

char *
req_own(Request *r, char *s)
{
	if (s == NULL)
		return NULL;
	r->owned = realloc(r->owned, sizeof(char *) * (size_t) (r->n_owned + 1));
	if (r->owned == NULL)
		abort();
	r->owned[r->n_owned++] = s;
	return s;
}

void
req_free(Request *r)
{
	for (int i = 0; i < r->n_owned; i++)
		free(r->owned[i]);
	free(r->owned);
	free(r->soql);
	free(r->user_name);
	free(r->job);
	r->owned = NULL;
	r->n_owned = 0;
	r->soql = r->user_name = r->job = NULL;
}

const char *
req_param(Request *r, const char *name)
{
	return req_own(r, form_value(r->raw_query, name));
}

const char *
req_form(Request *r, const char *name)
{
	return req_own(r, form_value(r->body ? r->body : "", name));
}

const char *
req_header(const Request *r, const char *name)
{
	if (!r->inner)
		return server_header(r, name);
	if (r->inner_headers != NULL)
	{
		json_object_object_foreach(r->inner_headers, key, val)
		{
			if (strcasecmp(key, name) == 0)
				return json_object_get_string(val);
		}
	}
	return NULL;
}

bool
req_take_lock(Request *r)
{
	while (r->inner && r->outer != NULL)
		r = r->outer;
	if (!r->lock_row)
		return false;
	r->lock_row = false;
	return true;
}

void
req_split(Request *r, const char *raw_rest)
{
	const char *p = raw_rest;

	r->n_seg = 0;
	while (*p)
	{
		const char *end = strchrnul(p, '/');

		/* Empty segments are kept: sobjects/X/Ext__c/ has an empty value, not none. */
		if (r->n_seg < MAX_SEGMENTS && (end > p || *end))
			r->seg[r->n_seg++] = req_own(r, url_decode(p, (size_t) (end - p), false));
		p = *end ? end + 1 : end;
	}
}

static void
parser_error(const Request *r, Response *w, json_tokener *tok, enum json_tokener_error err)
{
	size_t at = json_tokener_get_parse_end(tok);
	int line = 1;
	int column = 1;

	if (at > r->body_len)
		at = r->body_len;
	for (size_t i = 0; i < at; i++)
	{
		if (r->body[i] == '\n')
		{
			line++;
			column = 1;
		}
		else
			column++;
	}
	if (err == json_tokener_continue || at == r->body_len)
		res_errorf(w, 400, "JSON_PARSER_ERROR",
				   "Unexpected end-of-input: expected close marker at [line:%d, column:%d]", line,
				   column);
	else
		res_errorf(w, 400, "JSON_PARSER_ERROR",
				   "Unexpected character ('%.1s' (code %d)): %s at [line:%d, column:%d]",
				   ((unsigned char) r->body[at] < 128) ? r->body + at : "?",
				   (unsigned char) r->body[at], json_tokener_error_desc(err), line, column);
}

json_object *
req_json(const Request *r, Response *w)
{
	const char *type = req_header(r, "Content-Type");

	if (!r->inner)
	{
		size_t n = type ? strcspn(type, "; \t") : 0;

		if (r->body_len > 0 && (n != 16 || strncasecmp(type, "application/json", 16) != 0))
		{
			res_errorf(w, 415, "UNSUPPORTED_MEDIA_TYPE",
					   "Content-Type '%s' is not supported: use application/json",
					   type ? type : "");
			return NULL;
		}
	}
	return req_json_text(r, w);
}

json_object *
req_json_text(const Request *r, Response *w)
{
	json_tokener *tok;
	json_object *o;
	enum json_tokener_error err;

	if (r->body_len == 0)
	{
		res_error(w, 400, "JSON_PARSER_ERROR",
				  "The HTTP entity body is required, but this request has no entity body.");
		return NULL;
	}
	tok = json_tokener_new_ex(64);
	/* json-c 0.18 takes every character beyond ASCII for a control character when it is strict. */
	json_tokener_set_flags(tok, (json_c_version_num() == (18 << 8) ? 0 : JSON_TOKENER_STRICT) |
									JSON_TOKENER_VALIDATE_UTF8);
	/* The NUL is passed too, so that a number at the very end is complete. */
	o = json_tokener_parse_ex(tok, r->body, (int) r->body_len + 1);
	err = json_tokener_get_error(tok);
	if (err == json_tokener_success && json_tokener_get_parse_end(tok) < r->body_len)
	{
		json_object_put(o);
		o = NULL;
		err = json_tokener_error_parse_unexpected;
	}
	if (err != json_tokener_success)
		parser_error(r, w, tok, err);
	else if (!json_object_is_type(o, json_type_object))
	{
		json_object_put(o);
		o = NULL;
		res_error(
			w, 400, "JSON_PARSER_ERROR",
			"Cannot deserialize the request body: a JSON object is expected at [line:1, column:1]");
	}
	json_tokener_free(tok);
	return o;
}
