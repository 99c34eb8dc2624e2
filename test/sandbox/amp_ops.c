/*
 * amp_ops.c - Ampersand's operations, reads that a client asks for, and their progress; see amp.h.
 *
 * A read goes nowhere here: webhooks are sent by tests.  What it would deliver is counted by the
 * org.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "amp.h"
#include "schema.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static AmpOperation *operations; /* the newest first */
static int made;

void
amp_operations_reset(void)
{
	pthread_mutex_lock(&lock);
	for (AmpOperation *next; operations; operations = next)
	{
		next = operations->next;
		free(operations->object);
		free(operations->result);
		free(operations->error);
		json_object_put(operations->ids);
		free(operations);
	}
	made = 0;
	pthread_mutex_unlock(&lock);
}

static void
now_text(char out[32])
{
	time_t t = time(NULL);
	struct tm tm;

	gmtime_r(&t, &tm);
	strftime(out, 32, "%Y-%m-%dT%H:%M:%SZ", &tm);
}

const char *
amp_operation(const AmpIntegration *in, const char *action, const char *object, bool failed,
			  const char *result, const char *error, json_object *ids, long long records)
{
	AmpOperation *op = calloc(1, sizeof(AmpOperation));

	op->in = in;
	op->action = action;
	op->object = strdup(object);
	op->failed = failed;
	op->result = strdup(result);
	op->error = error ? strdup(error) : NULL;
	op->ids = ids;
	op->records = records;
	op->polls = amp_settings.polls;
	now_text(op->created);
	pthread_mutex_lock(&lock);
	snprintf(op->id, sizeof(op->id), "3efc0f0f-0000-4000-8000-%012d", ++made);
	op->next = operations;
	operations = op;
	pthread_mutex_unlock(&lock);
	return op->id;
}

static void
add_text(json_object *o, const char *name, const char *value)
{
	json_object_object_add(o, name, json_object_new_string(value));
}

static json_object *
progress_of(const AmpOperation *op)
{
	json_object *p = json_object_new_object();

	add_text(p, "installationId", op->in->installation);
	add_text(p, "objectName", op->object);
	add_text(p, "operationId", op->id);
	json_object_object_add(p, "recordsProcessed",
						   json_object_new_int64(op->polls > 0 ? 0 : op->records));
	json_object_object_add(p, "recordsEstimatedTotal", json_object_new_int64(op->records));
	return p;
}

static void
answer(Response *w, json_object *o)
{
	w->status = 200;
	buf_adds(&w->body, json_object_to_json_string_ext(o, JSON_C_TO_STRING_PLAIN));
	json_object_put(o);
}

static void
put_operation(Response *w, AmpOperation *op)
{
	json_object *o = json_object_new_object(), *meta = json_object_new_object();
	json_object *objects = json_object_new_array();
	bool done = op->polls <= 0;

	add_text(o, "id", op->id);
	add_text(o, "projectId", AMP_PROJECT_ID);
	add_text(o, "integrationId", op->in->id);
	add_text(o, "installationId", op->in->installation);
	add_text(o, "configId", "a1b2c3d4-0000-4000-8000-000000000001");
	add_text(o, "actionType", op->action);
	add_text(o, "status", !done ? "in_progress" : op->failed ? "failure" : "success");
	if (done)
		add_text(o, "result", op->result);
	json_object_array_add(objects, json_object_new_string(op->object));
	json_object_object_add(meta, "objects", objects);
	if (strcmp(op->action, "read") == 0)
		json_object_object_add(meta, "progress", progress_of(op));
	else if (done && op->ids)
		json_object_object_add(meta, "successfulRecordIds", json_object_get(op->ids));
	json_object_object_add(o, "metadata", meta);
	add_text(o, "createTime", op->created);
	if (!done)
		op->polls--;
	answer(w, o);
}

void
amp_operation_get(Request *r, Response *w, const char *id, bool logs)
{
	AmpOperation *op;

	pthread_mutex_lock(&lock);
	for (op = operations; op && strcasecmp(op->id, id) != 0; op = op->next)
		;
	if (op == NULL)
		amp_problem(w, 404, "Not Found", "operation not found");
	else if (logs)
	{
		json_object *list = json_object_new_array(), *entry = json_object_new_object();
		json_object *message = json_object_new_object();

		add_text(message, "msg", op->result);
		add_text(message, "operation_id", op->id);
		if (op->error)
			add_text(message, "error", op->error);
		add_text(entry, "timestamp", op->created);
		json_object_object_add(entry, "message", message);
		add_text(entry, "severity", op->error ? "ERROR" : "INFO");
		json_object_array_add(list, entry);
		answer(w, list);
	}
	else
		put_operation(w, op);
	pthread_mutex_unlock(&lock);
}

/* The newest read of everything. */
void
amp_progress(Request *r, Response *w, const AmpIntegration *in, const char *object)
{
	AmpOperation *op;

	pthread_mutex_lock(&lock);
	for (op = operations; op; op = op->next)
		if (op->in == in && strcmp(op->action, "read") == 0 && strcasecmp(op->object, object) == 0)
			break;
	if (op == NULL)
		amp_problem(w, 404, "Not Found", "no backfill progress found");
	else
	{
		json_object *o = progress_of(op);

		add_text(o, "createTime", op->created);
		add_text(o, "updateTime", op->created);
		answer(w, o);
	}
	pthread_mutex_unlock(&lock);
}

/* RFC 3339 in UTC, as SOQL has it too; fractions are cut off. */
static bool
soql_time(const char *text, char out[32])
{
	int y, mo, d, h, mi, s, n = 0;

	if (strlen(text) < 20 || text[strlen(text) - 1] != 'Z' ||
		sscanf(text, "%4d-%2d-%2dT%2d:%2d:%2d%n", &y, &mo, &d, &h, &mi, &s, &n) != 6 || n != 19)
		return false;
	snprintf(out, 32, "%.19sZ", text);
	return true;
}

static const char *
text_of(json_object *o, const char *name)
{
	json_object *v;

	return json_object_object_get_ex(o, name, &v) && json_object_is_type(v, json_type_string)
			   ? json_object_get_string(v)
			   : NULL;
}

static void
count_url(Buf *url, const char *object, const char *since, const char *until)
{
	Buf soql;

	buf_init(&soql);
	buf_addf(&soql, "SELECT COUNT() FROM %s", object);
	if (since)
		buf_addf(&soql, " WHERE SystemModstamp > %s", since);
	if (until)
		buf_addf(&soql, " %s SystemModstamp <= %s", since ? "AND" : "WHERE", until);
	buf_adds(url, "/services/data/v60.0/query?q=");
	url_encode(url, soql.data);
	buf_free(&soql);
}

void
amp_trigger(Request *r, Response *w, const AmpIntegration *in, const char *object)
{
	json_object *body = json_tokener_parse(r->body), *reply = NULL, *total;
	const char *group = body ? text_of(body, "groupRef") : NULL;
	const char *mode = body ? text_of(body, "mode") : NULL;
	const char *since = body ? text_of(body, "sinceTimestamp") : NULL;
	const char *until = body ? text_of(body, "untilTimestamp") : NULL;
	char from[32], to[32], result[120];
	const char *wrong = NULL;
	const char *id;
	long long n;
	Buf url;

	if (body == NULL || !json_object_is_type(body, json_type_object))
		wrong = "the body is no JSON object";
	else if (group == NULL || strcmp(group, AMP_GROUP) != 0)
		wrong = group ? "installation not found" : "groupRef is required";
	else if (mode == NULL || strcmp(mode, "async") != 0)
		wrong = "mode must be async";
	else if ((since && !soql_time(since, from)) || (until && !soql_time(until, to)))
		wrong = "timestamps are RFC 3339, in UTC";
	else if (in->module || schema_find(object, strlen(object)) == NULL)
		wrong = "the object is not in the manifest";
	if (wrong)
	{
		amp_problem(w, 400, "Bad Request", wrong);
		w->content_type = "application/json";
		json_object_put(body);
		return;
	}
	buf_init(&url);
	count_url(&url, object, since ? from : NULL, until ? to : NULL);
	n = amp_call(r, "GET", url.data, NULL, NULL, &reply) == 200 &&
				json_object_object_get_ex(reply, "totalSize", &total)
			? json_object_get_int64(total)
			: -1;
	buf_free(&url);
	json_object_put(reply);
	json_object_put(body);
	snprintf(result, sizeof(result),
			 n < 0	  ? "[%s] Error reading from provider"
			 : n == 0 ? "[%s] No new data found"
					  : "[%s] Read completed",
			 object);
	id = amp_operation(in, "read", object, n < 0, result, NULL, NULL, n < 0 ? 0 : n);
	w->status = 201;
	buf_addf(&w->body, "{\"operationId\":\"%s\"}", id);
}
