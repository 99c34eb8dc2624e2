/*
 * multipart.c - bodies of several parts.
 *
 * Must not know: libmicrohttpd, SQLite.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <openssl/evp.h>

#include "multipart.h"

/* A row with its file, or as many files as a collection has rows. */
#define MAX_PARTS 202

bool
multipart_is(const Request *r)
{
	const char *type = r->inner ? NULL : req_header(r, "Content-Type");

	return type != NULL && strncasecmp(type, "multipart/form-data", 19) == 0;
}

/* What stands before each part, "--" and the boundary; false if the head does not say. */
static bool
boundary_of(const Request *r, char out[200])
{
	const char *type = req_header(r, "Content-Type");
	const char *given = type ? strcasestr(type, "boundary=") : NULL;
	bool quoted = given != NULL && given[9] == '"';

	if (given == NULL)
		return false;
	given += quoted ? 10 : 9;
	snprintf(out, 200, "--%.*s", (int) strcspn(given, quoted ? "\"" : "; "), given);
	return out[2] != '\0';
}

/* The value of a header among the lines of a part, or of a parameter in it. */
static void
head_value(const char *head, const char *end, const char *header, const char *parameter,
		   char out[80])
{
	size_t n = strlen(header);

	out[0] = '\0';
	while (head < end)
	{
		const char *line_end = memmem(head, (size_t) (end - head), "\r\n", 2);
		size_t len = (size_t) ((line_end ? line_end : end) - head);

		if (len > n && strncasecmp(head, header, n) == 0)
		{
			const char *value = head + n + strspn(head + n, " ");
			const char *stop = head + len;

			if (parameter != NULL)
			{
				value = memmem(value, (size_t) (stop - value), parameter, strlen(parameter));
				if (value == NULL)
					return;
				value += strlen(parameter);
				if (memchr(value, '"', (size_t) (stop - value)) != NULL)
					stop = memchr(value, '"', (size_t) (stop - value));
			}
			else if (memchr(value, ';', (size_t) (stop - value)) != NULL)
				stop = memchr(value, ';', (size_t) (stop - value));
			snprintf(out, 80, "%.*s", (int) (stop - value), value);
			return;
		}
		head += len + 2;
	}
}

int
multipart_read(const Request *r, Part *parts, int max)
{
	const char *end = r->body + r->body_len;
	char boundary[200];
	char between[204];
	const char *p;
	size_t n;
	int found = 0;

	if (!boundary_of(r, boundary))
		return -1;
	n = strlen(boundary);
	snprintf(between, sizeof(between), "\r\n%s", boundary);
	p = r->body_len >= n && memcmp(r->body, boundary, n) == 0
			? r->body
			: memmem(r->body, r->body_len, between, n + 2);
	if (p != NULL && p != r->body)
		p += 2;
	while (p != NULL)
	{
		const char *head = p + n;
		const char *body, *next;
		Part *part = &parts[found];

		if (end - head >= 2 && memcmp(head, "--", 2) == 0)
			return found;
		/* what begins with an empty line has no head */
		body = memmem(head, (size_t) (end - head), "\r\n\r\n", 4);
		next = body ? memmem(body + 2, (size_t) (end - body - 2), between, n + 2) : NULL;
		if (next == NULL || found == max)
			return -1;
		head_value(head + 2, body, "Content-Disposition:", "name=\"", part->name);
		head_value(head + 2, body, "Content-Type:", NULL, part->type);
		part->body = body + 4;
		part->len = next > part->body ? (size_t) (next - part->body) : 0;
		found++;
		p = next + 2;
	}
	return -1;
}

const Part *
multipart_find(const Part *parts, int n, const char *name)
{
	for (int i = 0; i < n; i++)
		if (strcmp(parts[i].name, name) == 0)
			return &parts[i];
	return NULL;
}

/* The row gets a field, in base64 as it would have come in JSON. */
static void
add_file(json_object *row, const char *field, const Part *part)
{
	char *text = malloc(part->len / 3 * 4 + 5);
	int n;

	if (text == NULL)
		abort();
	n = EVP_EncodeBlock((unsigned char *) text, (const unsigned char *) part->body,
						(int) part->len);
	json_object_object_add(row, field, json_object_new_string_len(text, n));
	free(text);
}

static const char *
attribute(json_object *row, const char *name)
{
	json_object *attributes, *v;

	return json_object_object_get_ex(row, "attributes", &attributes) &&
				   json_object_object_get_ex(attributes, name, &v)
			   ? json_object_get_string(v)
			   : NULL;
}

static bool
bad_part(Response *w, const char *what, const char *name)
{
	res_errorf(w, 400, "INVALID_MULTIPART_REQUEST", "%s: %s", what, name);
	return false;
}

/* Files of one row: the parts behind the first. */
static bool
files_of_row(Response *w, const Object *o, json_object *row, const Part *parts, int n)
{
	for (int i = 1; i < n; i++)
	{
		const Field *f = schema_seen_field(o, parts[i].name, strlen(parts[i].name));

		if (f == NULL || f->type != FT_BASE64)
			return bad_part(w, "A binary part is not named after a field that holds files",
							parts[i].name);
		add_file(row, f->name, &parts[i]);
	}
	return true;
}

/* Files of a collection: each row says which part is its, and of which field. */
static bool
files_of_rows(Response *w, json_object *doc, const Part *parts, int n)
{
	json_object *list;

	if (!json_object_object_get_ex(doc, "records", &list) ||
		!json_object_is_type(list, json_type_array))
		return true;
	for (size_t i = 0; i < json_object_array_length(list); i++)
	{
		json_object *row = json_object_array_get_idx(list, i);
		const char *name = attribute(row, "binaryPartName");
		const char *field = attribute(row, "binaryPartNameAlias");
		const Part *part = name ? multipart_find(parts, n, name) : NULL;

		if (name == NULL)
			continue;
		if (part == NULL || field == NULL)
			return bad_part(w, "A record's binary part is not there", name);
		add_file(row, field, part);
	}
	return true;
}

json_object *
multipart_rows(const Request *r, Response *w, const Object *o)
{
	Part *parts;
	Request first = *r;
	json_object *doc = NULL;
	bool good;
	int n;

	if (!multipart_is(r))
		return req_json(r, w);
	parts = calloc(MAX_PARTS, sizeof(*parts));
	if (parts == NULL)
		abort();
	n = multipart_read(r, parts, MAX_PARTS);
	if (n < 1 || strcasecmp(parts[0].type, "application/json") != 0)
		bad_part(w, "The first part has to be a row in JSON", n < 1 ? "none" : parts[0].name);
	else
	{
		first.body = strndup(parts[0].body, parts[0].len);
		first.body_len = parts[0].len;
		doc = req_json_text(&first, w);
		free((char *) first.body);
	}
	if (doc != NULL)
	{
		good = o != NULL ? files_of_row(w, o, doc, parts, n) : files_of_rows(w, doc, parts, n);
		if (!good)
		{
			json_object_put(doc);
			doc = NULL;
		}
	}
	free(parts);
	return doc;
}
