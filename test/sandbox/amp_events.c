/*
 * amp_events.c - change events as Ampersand's webhook would tell them; see amp.h.
 *
 * Nothing is sent: a test asks for the messages, with the signature that they would have, and
 * delivers them.  What the way from the org to there does to an event is done here: nulls are lost,
 * large numbers are rounded, an event of several records becomes one for each, and the record is
 * read again.
 */
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "amp.h"
#include "event.h"
#include "store.h"

#define KEY_MAX 256

static void
add_text(json_object *o, const char *name, const char *value)
{
	json_object_object_add(o, name, json_object_new_string(value));
}

/* As JavaScript writes a number that is too large for it: 17 digits, then zeros. */
static json_object *
rounded(int64_t n)
{
	char text[40] = "", digits[40];
	double d = (double) n;

	if (n > -(INT64_C(1) << 53) && n < INT64_C(1) << 53)
		return json_object_new_int64(n);
	for (int precision = 0; precision < 18; precision++)
	{
		snprintf(text, sizeof(text), "%.*e", precision, d);
		if (strtod(text, NULL) == d)
			break;
	}
	snprintf(digits, sizeof(digits), "%c%.*s", text[0], (int) strcspn(text + 2, "e"), text + 2);
	while ((int) strlen(digits) <= atoi(strchr(text, 'e') + 1))
		strcat(digits, "0");
	return json_object_new_double_s(d, digits);
}

/* Members that are null go, and what is empty then. */
static void
drop_nulls(json_object *o)
{
	for (bool found = true; found;)
	{
		found = false;
		json_object_object_foreach(o, name, value)
		{
			bool object = value && json_object_is_type(value, json_type_object);

			if (object)
				drop_nulls(value);
			if (value == NULL || (object && json_object_object_length(value) == 0))
			{
				json_object_object_del(o, name);
				found = true;
				break;
			}
		}
	}
}

/* The event as it comes to Ampersand, of one of its records. */
static json_object *
raw_event(const Event *e, const char *id)
{
	json_object *event, *header = NULL, *number;
	Buf b;

	buf_init(&b);
	buf_addf(&b, "{%s\"ChangeEventHeader\":{%s\"recordId\":\"%s\"}}", e->body, e->header, id);
	event = json_tokener_parse(b.data);
	buf_free(&b);
	drop_nulls(event);
	if (json_object_object_get_ex(event, "ChangeEventHeader", &header) &&
		json_object_object_get_ex(header, "commitNumber", &number))
		json_object_object_add(header, "commitNumber", rounded(json_object_get_int64(number)));
	return event;
}

/* The record as it is now, with these fields; NULL if it is not there. */
static json_object *
record(Request *r, const Event *e, const char *id, const char *fields)
{
	Response w = {0};
	json_object *answer;
	char *url;

	if (asprintf(&url, "/services/data/v60.0/sobjects/%s/%s?fields=%s", e->o->name, id, fields) < 0)
		abort();
	handle_inner(r, "GET", url, NULL, NULL, &w);
	answer = w.status == 200 ? json_tokener_parse(w.body.data) : NULL;
	free(url);
	res_free(&w);
	return answer;
}

static json_object *
entry(Request *r, const Event *e, const char *id, const char *fields)
{
	static const char *const known[][2] = {
		{"CREATE", "create"}, {"UPDATE", "update"}, {"DELETE", "delete"}};
	json_object *o = json_object_new_object(), *now = record(r, e, id, fields);
	const char *kind = "other";

	for (int i = 0; i < 3; i++)
		if (strcmp(e->change, known[i][0]) == 0)
			kind = known[i][1];
	add_text(o, "subscribeEventType", kind);
	add_text(o, "providerEventType", e->change);
	json_object_object_add(o, "rawEvent", raw_event(e, id));
	if (now != NULL)
	{
		json_object *lowered = json_object_new_object();

		json_object_object_foreach(now, name, value)
		{
			char *key = strdup(name);

			for (char *p = key; *p; p++)
				*p = (char) (*p >= 'A' && *p <= 'Z' ? *p + 32 : *p);
			if (strcmp(key, "attributes") != 0)
				json_object_object_add(lowered, key, json_object_get(value));
			free(key);
		}
		json_object_object_add(o, "fields", lowered);
		json_object_object_add(o, "raw", now);
	}
	else
		add_text(o, "id", id);
	return o;
}

/* Signs the body as Svix does. */
static json_object *
headers(const char *id, const char *body, const char *secret)
{
	json_object *o = json_object_new_object();
	unsigned char key[KEY_MAX + 4], mac[EVP_MAX_MD_SIZE];
	unsigned int n = 0;
	size_t len = strlen(secret);
	int key_len =
		len <= KEY_MAX ? EVP_DecodeBlock(key, (const unsigned char *) secret, (int) len) : -1;
	char signature[100] = "v1,", stamp[24];
	Buf b;

	if (key_len > 0)
		key_len -= (secret[len - 1] == '=') + (secret[len - 2] == '=');
	snprintf(stamp, sizeof(stamp), "%lld", (long long) time(NULL));
	buf_init(&b);
	buf_addf(&b, "%s.%s.", id, stamp);
	buf_adds(&b, body);
	HMAC(EVP_sha256(), key, key_len < 0 ? 0 : key_len, (unsigned char *) b.data, b.len, mac, &n);
	buf_free(&b);
	EVP_EncodeBlock((unsigned char *) signature + 3, mac, (int) n);
	add_text(o, "svix-id", id);
	add_text(o, "svix-timestamp", stamp);
	add_text(o, "svix-signature", signature);
	return o;
}

static json_object *
message(Request *r, const Event *e, const char *fields, const char *secret)
{
	json_object *doc = json_object_new_object(), *list = json_object_new_array();
	json_object *info = json_object_new_object(), *out = json_object_new_object();
	const char *body;
	char id[48];

	for (const char *p = e->ids; *p; p += strspn(p, ","))
	{
		char record_id[SF_ID_LEN + 1];
		size_t n = strcspn(p, ",");

		snprintf(record_id, sizeof(record_id), "%.*s", (int) n, p);
		json_object_array_add(list, entry(r, e, record_id, fields));
		p += n;
	}
	add_text(doc, "action", "subscribe");
	add_text(doc, "projectId", AMP_PROJECT_ID);
	add_text(doc, "provider", "salesforce");
	add_text(doc, "groupRef", AMP_GROUP);
	add_text(doc, "groupName", AMP_GROUP);
	add_text(doc, "consumerRef", "ada");
	add_text(doc, "consumerName", "ada");
	add_text(doc, "objectName", e->o->name);
	add_text(doc, "rawObjectName", e->o->name);
	add_text(doc, "installationId", "c0a8e6f4-2b7d-4e0f-9c55-7d1e3b5a8f21");
	add_text(doc, "installationUpdateTime", "2025-04-10T23:00:52.618406Z");
	add_text(info, "type", "inline");
	json_object_object_add(info, "numRecords",
						   json_object_new_int64((int64_t) json_object_array_length(list)));
	json_object_object_add(doc, "resultInfo", info);
	json_object_object_add(doc, "result", list);
	body = json_object_to_json_string_ext(doc, JSON_C_TO_STRING_PLAIN);
	snprintf(id, sizeof(id), "msg_%lld", (long long) e->replay);
	json_object_object_add(out, "replayId", json_object_new_int64(e->replay));
	json_object_object_add(out, "headers", headers(id, body, secret));
	add_text(out, "body", body);
	json_object_put(doc);
	return out;
}

void
amp_messages(Request *r, Response *w)
{
	const char *object = req_param(r, "object"), *fields = req_param(r, "fields");
	const char *secret = req_param(r, "secret"), *after = req_param(r, "after");
	int64_t at = after ? strtoll(after, NULL, 10) : 0;
	json_object *list = json_object_new_array();
	Event e;

	if (object == NULL || fields == NULL || secret == NULL || *secret == '\0')
	{
		amp_problem(w, 400, "Bad Request", "object, fields and secret are needed");
		json_object_put(list);
		return;
	}
	if (amp_become(r, w))
	{
		store_lock();
		while (event_next(at, &e))
		{
			at = e.replay;
			if (e.o != NULL && strcasecmp(e.o->name, object) == 0)
				json_object_array_add(list, message(r, &e, fields, secret));
			event_free(&e);
		}
		store_unlock();
		w->status = 200;
		buf_clear(&w->body);
		buf_adds(&w->body, json_object_to_json_string_ext(list, JSON_C_TO_STRING_PLAIN));
	}
	json_object_put(list);
}
