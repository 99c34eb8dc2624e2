/*
 * amp_write.c - Ampersand's Write API: what it takes, and how that reaches the org; see amp.h.
 *
 * One record goes by the object's own resource, a batch by composite/sobjects.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "amp.h"
#include "schema.h"

#define BATCH_MAX 100
#define DATA "/services/data/v60.0"

typedef struct Write
{
	Request *r;
	const AmpIntegration *in;
	const char *object;
	const char *type;
	json_object *records; /* array of plain records, ours */
	json_object *headers; /* for the org, or NULL; ours */
	bool batch, all_or_none, async;
	char *raw; /* what the org has said of a single record; malloc'ed */
} Write;

static json_object *
member(json_object *o, const char *name)
{
	json_object *v;

	return json_object_object_get_ex(o, name, &v) ? v : NULL;
}

static const char *
text_of(json_object *o, const char *name)
{
	json_object *v = member(o, name);

	return v && json_object_is_type(v, json_type_string) ? json_object_get_string(v) : NULL;
}

static bool
is_in(const char *text, const char *const *list)
{
	for (; *list; list++)
		if (strcmp(text, *list) == 0)
			return true;
	return false;
}

static bool
knows_all(json_object *o, const char *const *names)
{
	json_object_object_foreach(o, name, value)
	{
		(void) value;
		if (!is_in(name, names))
			return false;
	}
	return true;
}

static const char *
take_headers(Write *x, json_object *list)
{
	if (list == NULL)
		return NULL;
	if (!json_object_is_type(list, json_type_array))
		return "headers must be a list";
	x->headers = json_object_new_object();
	for (size_t i = 0; i < json_object_array_length(list); i++)
	{
		json_object *h = json_object_array_get_idx(list, i);

		if (!json_object_is_type(h, json_type_object) || !text_of(h, "key") || !text_of(h, "value"))
			return "a header has a key and a value";
		json_object_object_add(x->headers, text_of(h, "key"), json_object_get(member(h, "value")));
	}
	return NULL;
}

static const char *
take_records(Write *x, json_object *record, json_object *batch)
{
	static const char *const parts[] = {"record", "associations", NULL};

	if ((record == NULL) == (batch == NULL))
		return record ? "exactly one of record and batch is allowed" : "required field not found";
	x->batch = batch != NULL;
	if (record)
		json_object_array_add(x->records, json_object_get(record));
	else if (!json_object_is_type(batch, json_type_array) || json_object_array_length(batch) < 1 ||
			 json_object_array_length(batch) > BATCH_MAX)
		return "batch must have 1 to 100 items";
	else if (strcmp(x->type, "delete") == 0)
		return "batch is not supported for delete";
	for (size_t i = 0; batch && i < json_object_array_length(batch); i++)
	{
		json_object *item = json_object_array_get_idx(batch, i);

		if (!json_object_is_type(item, json_type_object) || !knows_all(item, parts) ||
			!member(item, "record"))
			return "required field not found";
		json_object_array_add(x->records, json_object_get(member(item, "record")));
	}
	for (size_t i = 0; i < json_object_array_length(x->records); i++)
	{
		json_object *one = json_object_array_get_idx(x->records, i);

		if (!json_object_is_type(one, json_type_object))
			return "a record is an object";
		if (strcmp(x->type, "create") != 0 && text_of(one, "id") == NULL)
			return "required field not found";
		if (strcmp(x->type, "delete") == 0 && json_object_object_length(one) != 1)
			return "a record to be deleted has an id only";
	}
	return NULL;
}

/* What is wrong with the request; NULL: nothing. */
static const char *
take(Write *x, json_object *body)
{
	static const char *const keys[] = {
		"groupRef",		"type",		   "mode",		  "record",
		"batch",		"batchPolicy", "retryPolicy", "autoBatchPolicy",
		"associations", "headers",	   NULL};
	static const char *const types[] = {"create", "update", "delete", NULL};
	const char *mode, *wrong;
	json_object *policy;

	if (body == NULL || !json_object_is_type(body, json_type_object))
		return "the body is no JSON object";
	if (!knows_all(body, keys))
		return "unknown field";
	if (!text_of(body, "groupRef") || !(x->type = text_of(body, "type")))
		return "required field not found";
	if (strcmp(text_of(body, "groupRef"), AMP_GROUP) != 0)
		return "installation not found";
	if (!is_in(x->type, types))
		return "type must be one of create, update, delete";
	mode = text_of(body, "mode");
	if (member(body, "mode") &&
		(!mode || (strcmp(mode, "synchronous") && strcmp(mode, "asynchronous"))))
		return "mode must be one of synchronous, asynchronous";
	x->async = mode && strcmp(mode, "asynchronous") == 0 && strcmp(x->type, "delete") != 0;
	if ((member(body, "retryPolicy") || member(body, "autoBatchPolicy")) && !x->async)
		return "the policy is for asynchronous mode only";
	wrong = take_headers(x, member(body, "headers"));
	if (!wrong)
		wrong = take_records(x, member(body, "record"), member(body, "batch"));
	policy = member(body, "batchPolicy");
	if (!wrong && policy && !x->batch)
		return "batchPolicy is for batches only";
	x->all_or_none = policy && json_object_get_boolean(member(policy, "allOrNone"));
	/* One object is kept out of the manifest. */
	if (!wrong && (x->in->module || strcasecmp(x->object, "campaign") == 0 ||
				   schema_find(x->object, strlen(x->object)) == NULL))
		return "object not found in the manifest";
	if (!wrong && strcmp(x->type, "delete") == 0 && !amp_settings.deletes)
		return "deletion is not enabled for this object";
	return wrong;
}

/* -------- the org's answers, as Ampersand's -------- */

static void
add_message(json_object *errors, const char *text)
{
	json_object *e = json_object_new_object();

	json_object_object_add(e, "message", json_object_new_string(text));
	json_object_array_add(errors, e);
}

/* The message of an error of the org: [{"message":..}], or the row of a collection. */
static void
describe(const Write *x, json_object *answer, json_object *errors)
{
	json_object *first = json_object_is_type(answer, json_type_array)
							 ? json_object_array_get_idx(answer, 0)
							 : answer;
	char text[1200];

	snprintf(text, sizeof(text), "error writing %s: bad request: %s", x->object,
			 first && text_of(first, "message") ? text_of(first, "message") : "unknown error");
	add_message(errors, text);
}

/* The id under the name that the org knows; ours. */
static json_object *
org_record(const Write *x, json_object *record, bool in_batch)
{
	json_object *o = json_object_new_object();

	if (in_batch)
	{
		json_object *attributes = json_object_new_object();

		json_object_object_add(attributes, "type", json_object_new_string(x->object));
		json_object_object_add(o, "attributes", attributes);
	}
	json_object_object_foreach(record, name, value)
	{
		if (strcmp(name, "id") != 0 || in_batch)
			json_object_object_add(o, name, json_object_get(value));
	}
	return o;
}

/* results and errors are filled; the number of records that were written. */
static int
write_one(Write *x, json_object *results, json_object *errors, json_object *ids)
{
	json_object *record = json_object_array_get_idx(x->records, 0);
	const char *id = strcmp(x->type, "create") == 0 ? NULL : text_of(record, "id");
	json_object *body = strcmp(x->type, "delete") == 0 ? NULL : org_record(x, record, false);
	json_object *answer, *result = json_object_new_object();
	char url[300];
	int status;
	bool done;

	snprintf(url, sizeof(url), DATA "/sobjects/%.80s%s%.40s", x->object, id ? "/" : "",
			 id ? id : "");
	status =
		amp_call(x->r, body ? id ? "PATCH" : "POST" : "DELETE", url, x->headers, body, &answer);
	done = status >= 200 && status <= 299;
	if (done && id == NULL)
		id = text_of(answer, "id");
	json_object_object_add(result, "success", json_object_new_boolean(done));
	if (done)
	{
		json_object_object_add(result, "recordId", json_object_new_string(id));
		json_object_array_add(ids, json_object_new_string(id));
	}
	else
	{
		describe(x, answer, errors);
		x->raw = strdup(json_object_to_json_string_ext(answer, JSON_C_TO_STRING_PLAIN));
	}
	json_object_array_add(results, result);
	json_object_put(answer);
	json_object_put(body);
	return done;
}

static int
write_batch(Write *x, json_object *results, json_object *errors, json_object *ids)
{
	json_object *body = json_object_new_object(), *list = json_object_new_array(), *answer;
	size_t n = json_object_array_length(x->records);
	int written = 0;

	for (size_t i = 0; i < n; i++)
		json_object_array_add(list, org_record(x, json_object_array_get_idx(x->records, i), true));
	json_object_object_add(body, "allOrNone", json_object_new_boolean(x->all_or_none));
	json_object_object_add(body, "records", list);
	if (amp_call(x->r, strcmp(x->type, "create") == 0 ? "POST" : "PATCH",
				 DATA "/composite/sobjects", x->headers, body, &answer) != 200)
		describe(x, answer, errors);
	for (size_t i = 0;
		 json_object_is_type(answer, json_type_array) && i < json_object_array_length(answer); i++)
	{
		json_object *row = json_object_array_get_idx(answer, i), *result;
		json_object *wrong = member(row, "errors");
		bool done = json_object_get_boolean(member(row, "success"));

		if (member(row, "success") == NULL)
			break;
		result = json_object_new_object();
		json_object_object_add(result, "success", json_object_new_boolean(done));
		if (done)
		{
			json_object_object_add(result, "recordId", json_object_get(member(row, "id")));
			json_object_array_add(ids, json_object_get(member(row, "id")));
			written++;
		}
		else
		{
			describe(x, wrong, errors);
			if (amp_settings.row_errors)
				json_object_object_add(result, "errors", json_object_get(wrong));
		}
		json_object_array_add(results, result);
	}
	json_object_put(answer);
	json_object_put(body);
	return written;
}

static void
put(json_object *reply, const char *name, json_object *value)
{
	json_object_object_add(reply, name, value);
}

static void
run(Write *x, Response *w)
{
	json_object *results = json_object_new_array(), *errors = json_object_new_array(),
				*ids = json_object_new_array();
	json_object *reply = json_object_new_object();
	int n = (int) json_object_array_length(x->records);
	int written =
		x->batch ? write_batch(x, results, errors, ids) : write_one(x, results, errors, ids);
	char text[200];
	Buf all = {0};
	const char *id;

	for (size_t i = 0; i < json_object_array_length(errors); i++)
		buf_addf(&all, "%s%s", i ? "; " : "",
				 text_of(json_object_array_get_idx(errors, i), "message"));
	if (x->batch)
		snprintf(text, sizeof(text), "Batch write completed (%d succeeded, %d failed)", written,
				 n - written);
	else
		snprintf(text, sizeof(text),
				 written ? "[%.80s] Write completed" : "[%.80s] Error writing to provider",
				 x->object);
	/* A batch of which a part was written counts as success. */
	id = amp_operation(x->in, "write", x->object, written == 0, text, all.data,
					   json_object_get(ids), 0);
	buf_free(&all);
	put(reply, "operationId", json_object_new_string(id));
	w->status = x->async || written > 0 ? 200 : 422;
	if (!x->async && !x->batch)
	{
		put(reply, "result", json_object_get(json_object_array_get_idx(results, 0)));
		if (!written)
		{
			put(reply, "errors", json_object_get(errors));
			put(reply, "rawResponse", json_object_new_string(x->raw ? x->raw : ""));
		}
	}
	else if (!x->async)
	{
		put(reply, "successCount", json_object_new_int(written));
		put(reply, "failureCount", json_object_new_int(n - written));
		if (x->all_or_none && written == 0)
		{
			json_object_put(errors);
			errors = json_object_new_array();
			add_message(errors, "Batch write failed: provider rolled back all records");
		}
		else
			put(reply, "results", json_object_get(results));
		if (written < n)
			put(reply, "errors", json_object_get(errors));
	}
	buf_adds(&w->body, json_object_to_json_string_ext(reply, JSON_C_TO_STRING_PLAIN));
	json_object_put(reply);
	json_object_put(results);
	json_object_put(errors);
	json_object_put(ids);
}

void
amp_write(Request *r, Response *w, const AmpIntegration *in, const char *object)
{
	json_object *body = json_tokener_parse(r->body);
	Write x = {.r = r, .in = in, .object = object, .records = json_object_new_array()};
	const char *wrong = take(&x, body);

	if (wrong)
	{
		w->status = 400;
		w->content_type = "text/plain";
		buf_adds(&w->body, wrong);
	}
	else
		run(&x, w);
	free(x.raw);
	json_object_put(x.records);
	json_object_put(x.headers);
	json_object_put(body);
}
