/*
 * json_doc.c - small JSON documents, by json-c.
 *
 * The only file that includes json-c.  It must not include utils/builtins.h or fmgrprotos.h, which
 * declare a function with the name of json-c's type json_object.
 */
#include "wire/json_doc.h"

#include <limits.h>
#include <json-c/json.h>

#define MAX_DEPTH 64

static void
release_document(void *arg)
{
	json_object_put((struct json_object *) arg);
}

/* Is there nothing but whitespace from s to end? */
static bool
only_space(const char *s, const char *end)
{
	while (s < end && (*s == ' ' || *s == '\t' || *s == '\n' || *s == '\r'))
		s++;
	return s == end;
}

AmpsfJson *
ampsf_json_parse(const char *text, size_t len, MemoryContext cxt)
{
	MemoryContextCallback *callback;
	struct json_tokener *tokener;
	struct json_object *doc;
	enum json_tokener_error error;
	size_t end;

	if (len > INT_MAX)
		return NULL;
	/* What may throw comes before what json-c allocates. */
	callback = MemoryContextAlloc(cxt, sizeof(MemoryContextCallback));
	tokener = json_tokener_new_ex(MAX_DEPTH);
	if (!tokener)
		ereport(ERROR, (errcode(ERRCODE_OUT_OF_MEMORY), errmsg("out of memory")));
	/* Not STRICT: in json-c 0.18 that refuses every character beyond ASCII. */
	json_tokener_set_flags(tokener, JSON_TOKENER_VALIDATE_UTF8);

	doc = json_tokener_parse_ex(tokener, text, (int) len);
	error = json_tokener_get_error(tokener);
	end = json_tokener_get_parse_end(tokener);
	if (error == json_tokener_continue)
	{
		/* A number may go on until the end is said to be there. */
		doc = json_tokener_parse_ex(tokener, "", 1);
		error = json_tokener_get_error(tokener);
		end = len;
	}
	json_tokener_free(tokener);

	if (error != json_tokener_success || !only_space(text + Min(end, len), text + len))
	{
		json_object_put(doc);
		return NULL;
	}
	if (doc)
	{
		callback->func = release_document;
		callback->arg = doc;
		MemoryContextRegisterResetCallback(cxt, callback);
	}
	return doc;
}

bool
ampsf_json_is_object(AmpsfJson *j)
{
	return json_object_is_type(j, json_type_object);
}

bool
ampsf_json_is_array(AmpsfJson *j)
{
	return json_object_is_type(j, json_type_array);
}

AmpsfJson *
ampsf_json_get(AmpsfJson *j, const char *key)
{
	struct json_object *value;

	if (!ampsf_json_is_object(j) || !json_object_object_get_ex(j, key, &value))
		return NULL;
	return value;
}

int
ampsf_json_array_length(AmpsfJson *j)
{
	return ampsf_json_is_array(j) ? (int) json_object_array_length(j) : 0;
}

AmpsfJson *
ampsf_json_array_get(AmpsfJson *j, int i)
{
	if (i < 0 || i >= ampsf_json_array_length(j))
		return NULL;
	return json_object_array_get_idx(j, i);
}

const char *
ampsf_json_string(AmpsfJson *j, const char *key)
{
	struct json_object *value = ampsf_json_get(j, key);

	switch (json_object_get_type(value))
	{
		case json_type_string:
		case json_type_int:
		case json_type_double:
			return json_object_get_string(value);
		default:
			return NULL;
	}
}

const char *
ampsf_json_text(AmpsfJson *j)
{
	if (json_object_is_type(j, json_type_string))
		return json_object_get_string(j);
	return j ? ampsf_json_print(j) : NULL;
}

int64
ampsf_json_int(AmpsfJson *j, const char *key, int64 dflt)
{
	struct json_object *value = ampsf_json_get(j, key);
	int64_t number;

	switch (json_object_get_type(value))
	{
		case json_type_int:
		case json_type_double:
			return json_object_get_int64(value);
		case json_type_string:
			/* Some numbers come as strings, such as issued_at. */
			return json_parse_int64(json_object_get_string(value), &number) == 0 ? number : dflt;
		default:
			return dflt;
	}
}

bool
ampsf_json_bool(AmpsfJson *j, const char *key, bool dflt)
{
	struct json_object *value = ampsf_json_get(j, key);

	return json_object_is_type(value, json_type_boolean) ? json_object_get_boolean(value) : dflt;
}

const char *
ampsf_json_print(AmpsfJson *j)
{
	return json_object_to_json_string_ext(j,
										  JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE);
}

void
ampsf_json_each(AmpsfJson *j, void (*fn)(const char *key, AmpsfJson *value, void *arg), void *arg)
{
	struct json_object_iterator it, end;

	if (!ampsf_json_is_object(j))
		return;
	it = json_object_iter_begin(j);
	end = json_object_iter_end(j);
	while (!json_object_iter_equal(&it, &end))
	{
		fn(json_object_iter_peek_name(&it), json_object_iter_peek_value(&it), arg);
		json_object_iter_next(&it);
	}
}
