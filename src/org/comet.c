/*
 * comet.c - see comet.h.
 *
 * One message goes with each request, as Salesforce advises.  A request is sent once: what an
 * answer that was lost on its way has carried is had again only by a new subscription, from the
 * last replay id that is known to be kept.
 */
#include "org/comet.h"

#include <ctype.h>

#include "base/ampsf.h"
#include "base/error.h"
#include "lib/stringinfo.h"
#include "utils/memutils.h"
#include "wire/json_doc.h"
#include "wire/json_member.h"
#include "wire/text.h"

/* Until the org advises otherwise, milliseconds. */
#define ADVICE_TIMEOUT 110000
/* The answer to a long poll is late by a fifth of its time before the connection is given up. */
#define LATE_MIN 1000
#define LATE_MAX 20000
/* For whom the org has no room, so long at most. */
#define PAUSE_MAX (5 * 60 * 1000)
/* From this version of the API on events have replay ids. */
#define VERSION_MIN "37.0"
#define COOKIES_MAX 20
/* What is given away together: messages, and bytes, one message at least. */
#define PORTION_MESSAGES 1000
#define PORTION_BYTES (4 * 1024 * 1024)

typedef struct Cookie
{
	char *name, *value;
} Cookie;

struct AmpsfComet
{
	MemoryContext cxt;
	AmpsfSession *session;
	char *channel;

	char *client_id; /* NULL: no session */
	Cookie cookies[COOKIES_MAX];
	int ncookies;
	int64 next_id;
	int timeout;  /* of a long poll, as the org advises */
	int interval; /* between two of them */
	int failures; /* since the last that went well */

	const char *meta;  /* channel of the request under way, or answered */
	AmpsfCall *call;   /* under way */
	AmpsfCall *answer; /* what was taken last */
	const char
		*events; /* of the answer's body, what has not been given away; NULL: there are none */
	int pause;
	char *error; /* in cxt */
	int code;	 /* its number: 403; 0: none */
};

AmpsfComet *
ampsf_comet_new(AmpsfSession *session, const char *channel, MemoryContext cxt)
{
	MemoryContext own = AllocSetContextCreate(cxt, "ampsf comet", ALLOCSET_SMALL_SIZES);
	AmpsfComet *comet = MemoryContextAllocZero(own, sizeof(AmpsfComet));

	comet->cxt = own;
	comet->session = session;
	comet->channel = MemoryContextStrdup(own, channel);
	comet->timeout = ADVICE_TIMEOUT;
	return comet;
}

/* -------- cookies, by which the org finds the server that keeps the session -------- */

static void
drop_cookie(AmpsfComet *comet, int i)
{
	pfree(comet->cookies[i].name);
	pfree(comet->cookies[i].value);
	comet->cookies[i] = comet->cookies[--comet->ncookies];
}

/* "NAME=VALUE; path=/; ...": it goes back to the one host that it came from, so the rest is of no
 * use. */
static void
keep_cookie(AmpsfComet *comet, const char *text)
{
	size_t end = strcspn(text, ";");
	size_t name = strcspn(text, "=");
	char *key;
	int i;

	if (name == 0 || name >= end)
		return;
	key = MemoryContextAlloc(comet->cxt, name + 1);
	memcpy(key, text, name);
	key[name] = '\0';
	for (i = comet->ncookies - 1; i >= 0; i--)
		if (strcmp(comet->cookies[i].name, key) == 0)
			drop_cookie(comet, i);
	if (end == name + 1 || comet->ncookies == COOKIES_MAX)
	{
		pfree(key);
		return;
	}
	comet->cookies[comet->ncookies].name = key;
	comet->cookies[comet->ncookies].value = MemoryContextAlloc(comet->cxt, end - name);
	memcpy(comet->cookies[comet->ncookies].value, text + name + 1, end - name - 1);
	comet->cookies[comet->ncookies].value[end - name - 1] = '\0';
	comet->ncookies++;
}

static void
keep_cookies(AmpsfComet *comet)
{
	static const char key[] = "Set-Cookie:";
	const char *line;

	for (int i = 0; (line = ampsf_call_header_line(comet->answer, i)) != NULL; i++)
		if (pg_strncasecmp(line, key, strlen(key)) == 0)
		{
			line += strlen(key);
			keep_cookie(comet, line + strspn(line, " \t"));
		}
}

static const char *
cookie_header(const AmpsfComet *comet)
{
	StringInfoData line;

	if (comet->ncookies == 0)
		return NULL;
	initStringInfo(&line);
	for (int i = 0; i < comet->ncookies; i++)
		appendStringInfo(&line, "%s%s=%s", i ? "; " : "Cookie: ", comet->cookies[i].name,
						 comet->cookies[i].value);
	return line.data;
}

/* -------- requests -------- */

static void
append_json(StringInfo out, const char *s)
{
	enlargeStringInfo(out, (int) ampsf_quote_json(s, strlen(s), NULL) + 1);
	out->len += (int) ampsf_quote_json(s, strlen(s), out->data + out->len);
	out->data[out->len] = '\0';
}

static void
send_message(AmpsfComet *comet, const char *meta, const char *rest, int timeout)
{
	const char *version = ampsf_session_version(comet->session);
	const char *headers[] = {NULL, NULL};
	AmpsfCallSpec spec = {0};
	StringInfoData body;

	ampsf_call_free(comet->call);
	comet->call = NULL;
	initStringInfo(&body);
	appendStringInfo(&body, "[{\"id\":\"" INT64_FORMAT "\",\"channel\":\"%s\"", ++comet->next_id,
					 meta);
	if (comet->client_id)
	{
		appendStringInfoString(&body, ",\"clientId\":");
		append_json(&body, comet->client_id);
	}
	appendStringInfo(&body, "%s}]", rest);

	spec.method = "POST";
	spec.path = psprintf("/cometd/%s", atof(version) < atof(VERSION_MIN) ? VERSION_MIN : version);
	spec.body = body.data;
	spec.body_len = body.len;
	headers[0] = cookie_header(comet);
	spec.headers = headers;
	spec.unmetered = true;
	spec.once = true;
	/* Both names are documented; orgs that refuse Bearer here have been seen. */
	spec.oauth = true;
	spec.timeout = timeout;
	spec.usage = ampsf_session_usage(comet->session, NULL, "events");
	comet->meta = meta;
	comet->call = ampsf_call_start(comet->session, &spec, comet->cxt);
	pfree(body.data);
}

void
ampsf_comet_handshake(AmpsfComet *comet)
{
	if (comet->client_id)
		pfree(comet->client_id);
	comet->client_id = NULL;
	while (comet->ncookies > 0)
		drop_cookie(comet, 0);
	send_message(comet, "/meta/handshake",
				 ",\"version\":\"1.0\",\"minimumVersion\":\"1.0\","
				 "\"supportedConnectionTypes\":[\"long-polling\"],\"ext\":{\"replay\":true}",
				 0);
}

void
ampsf_comet_subscribe(AmpsfComet *comet, int64 replay)
{
	StringInfoData rest;

	initStringInfo(&rest);
	appendStringInfoString(&rest, ",\"subscription\":");
	append_json(&rest, comet->channel);
	appendStringInfoString(&rest, ",\"ext\":{\"replay\":{");
	append_json(&rest, comet->channel);
	appendStringInfo(&rest, ":" INT64_FORMAT "}}", replay);
	send_message(comet, "/meta/subscribe", rest.data, 0);
	pfree(rest.data);
}

void
ampsf_comet_connect(AmpsfComet *comet)
{
	int late = Min(Max(comet->timeout / 5, LATE_MIN), LATE_MAX);

	send_message(comet, "/meta/connect", ",\"connectionType\":\"long-polling\"",
				 comet->timeout + late);
}

void
ampsf_comet_disconnect(AmpsfComet *comet)
{
	send_message(comet, "/meta/disconnect", "", 0);
}

bool
ampsf_comet_poll(AmpsfComet *comet)
{
	return ampsf_call_poll(comet->call);
}

/* -------- answers -------- */

static void
set_error(AmpsfComet *comet, const char *text)
{
	char *clean = ampsf_clean_text(text, strlen(text));

	if (comet->error)
		pfree(comet->error);
	comet->error = MemoryContextStrdup(comet->cxt, clean);
	comet->code = strspn(clean, "0123456789") == 3 ? atoi(clean) : 0;
}

static bool
says(const AmpsfComet *comet, const char *what)
{
	size_t len = strlen(what);

	for (const char *p = comet->error; *p; p++)
		if (pg_strncasecmp(p, what, len) == 0)
			return true;
	return false;
}

static bool
is_about(const AmpsfComet *comet, const char *meta)
{
	return strcmp(comet->meta, meta) == 0;
}

/* What the org calls for after it has refused: its words are all there is to tell cases apart. */
static AmpsfCometOutcome
judge_refusal(const AmpsfComet *comet, const char *reconnect)
{
	if (comet->code == 401)
		return AMPSF_COMET_LOGIN;
	if (is_about(comet, "/meta/subscribe") && comet->code == 400 && says(comet, "replayId"))
		return AMPSF_COMET_BAD_REPLAY;
	if (says(comet, "unknown client") || says(comet, "not completed handshake") ||
		says(comet, "no cookie"))
		return AMPSF_COMET_HANDSHAKE;
	if (comet->code == 503 || comet->code == 429 || says(comet, "too busy") ||
		says(comet, "limit exceeded") || says(comet, "denial of service") ||
		says(comet, "denial-of-service"))
		return AMPSF_COMET_LATER;
	if (reconnect && strcmp(reconnect, "handshake") == 0)
		return AMPSF_COMET_HANDSHAKE;
	if (reconnect && strcmp(reconnect, "retry") == 0 && is_about(comet, "/meta/connect"))
		return AMPSF_COMET_AGAIN;
	return AMPSF_COMET_REFUSED;
}

static void
heed_advice(AmpsfComet *comet, AmpsfJson *advice)
{
	int64 timeout = ampsf_json_int(advice, "timeout", comet->timeout);
	int64 interval = ampsf_json_int(advice, "interval", comet->interval);

	/* Zero is for the first answer, which does not wait for anything. */
	if (timeout > 0)
		comet->timeout = (int) Min(timeout, 10 * 60 * 1000);
	comet->interval = (int) Min(Max(interval, 0), PAUSE_MAX);
}

/* The one message of the answer that is about the request. */
static AmpsfCometOutcome
read_reply(AmpsfComet *comet, AmpsfJson *reply)
{
	AmpsfJson *advice = ampsf_json_get(reply, "advice");
	const char *reconnect = ampsf_json_string(advice, "reconnect");
	const char *reason =
		ampsf_json_string(ampsf_json_get(ampsf_json_get(reply, "ext"), "sfdc"), "failureReason");
	const char *error = ampsf_json_string(reply, "error");
	const char *client_id = ampsf_json_string(reply, "clientId");

	if (advice)
		heed_advice(comet, advice);
	if (!ampsf_json_bool(reply, "successful", false))
	{
		set_error(comet, reason ? reason : error ? error : "no reason was given");
		return judge_refusal(comet, reconnect);
	}
	if (is_about(comet, "/meta/handshake"))
	{
		if (client_id == NULL)
		{
			set_error(comet, "the handshake gave no client id");
			return AMPSF_COMET_LATER;
		}
		comet->client_id = MemoryContextStrdup(comet->cxt, client_id);
		return AMPSF_COMET_OK;
	}
	if (reconnect && strcmp(reconnect, "handshake") == 0)
	{
		set_error(comet, "the org asks for a new handshake");
		return AMPSF_COMET_HANDSHAKE;
	}
	if (reconnect && strcmp(reconnect, "none") == 0)
	{
		set_error(comet, "the org asks not to connect again");
		return AMPSF_COMET_LATER;
	}
	return AMPSF_COMET_OK;
}

/* Behind the bracket that opens an array; NULL: it is none. */
static const char *
array_begin(const char *body, const char *end)
{
	while (body < end && isspace((unsigned char) *body))
		body++;
	return body < end && *body == '[' ? body + 1 : NULL;
}

/* Is the array at its end, and nothing behind it? */
static bool
array_ends(const char *p, const char *end)
{
	bool closed = false;

	for (; p < end; p++)
	{
		if (*p == ']' && !closed)
			closed = true;
		else if (!isspace((unsigned char) *p))
			return false;
	}
	return closed;
}

/*
 * One message after the other: taken apart as a whole an answer would need many times its size.
 * Current context: of this answer.
 */
static AmpsfCometOutcome
read_messages(AmpsfComet *comet, const char *body, size_t len)
{
	MemoryContext cxt =
		AllocSetContextCreate(CurrentMemoryContext, "ampsf comet message", ALLOCSET_DEFAULT_SIZES);
	const char *end = body + len;
	const char *first = array_begin(body, end);
	const char *at = first;
	const char *text;
	const char *reply = NULL;
	size_t reply_len = 0;
	bool has_events = false;
	bool whole;

	while (at && ampsf_json_element(&at, end, &text, &len))
	{
		AmpsfJson *message = ampsf_json_parse(text, len, cxt);
		const char *channel = ampsf_json_string(message, "channel");

		if (message == NULL)
			break;
		if (channel && strcmp(channel, comet->meta) == 0)
		{
			reply = text;
			reply_len = len;
		}
		else if (channel && strncmp(channel, "/meta/", 6) != 0 && ampsf_json_get(message, "data"))
			has_events = true;
		MemoryContextReset(cxt);
	}
	whole = at && array_ends(at, end);
	if (!whole || reply == NULL)
	{
		set_error(comet, whole ? "the answer lacks what was asked for" : "the answer is not JSON");
		return AMPSF_COMET_LATER;
	}
	if (has_events)
		comet->events = first;
	return read_reply(comet, ampsf_json_parse(reply, reply_len, cxt));
}

static AmpsfCometOutcome
read_answer(AmpsfComet *comet, MemoryContext work)
{
	int status = ampsf_call_status(comet->answer);
	size_t len;
	const char *body = ampsf_call_body(comet->answer, &len);
	AmpsfJson *messages = NULL;
	AmpsfApiError err;

	if (status == 0)
	{
		set_error(comet, ampsf_call_failure(comet->answer));
		return AMPSF_COMET_LATER;
	}
	keep_cookies(comet);
	if (status == 200)
		return read_messages(comet, body, len);
	messages = ampsf_json_parse(body, len, work);
	/* Of a gateway, of the API in front, or of the event bus itself. */
	for (int i = 0; i < ampsf_json_array_length(messages); i++)
	{
		AmpsfJson *message = ampsf_json_array_get(messages, i);

		if (ampsf_json_string(message, "error"))
			(void) read_reply(comet, message);
	}
	if (comet->error == NULL)
	{
		ampsf_error_parse(status, body, len, &err);
		set_error(comet,
				  psprintf("%d::%s", status, err.message ? err.message : "no reason was given"));
	}
	comet->code = status;
	if (status >= 500)
		return AMPSF_COMET_LATER;
	return judge_refusal(comet, NULL);
}

AmpsfCometOutcome
ampsf_comet_take(AmpsfComet *comet)
{
	MemoryContext work =
		AllocSetContextCreate(comet->cxt, "ampsf comet answer", ALLOCSET_SMALL_SIZES);
	MemoryContext old = MemoryContextSwitchTo(work);
	AmpsfCometOutcome outcome;

	ampsf_call_free(comet->answer);
	comet->answer = comet->call;
	comet->call = NULL;
	comet->events = NULL;
	if (comet->error)
		pfree(comet->error);
	comet->error = NULL;
	comet->code = 0;
	outcome = read_answer(comet, work);

	comet->pause = 0;
	if (outcome == AMPSF_COMET_OK)
	{
		if (is_about(comet, "/meta/connect"))
		{
			comet->failures = 0;
			comet->pause = comet->interval;
		}
	}
	else if (outcome != AMPSF_COMET_BAD_REPLAY)
	{
		int n = comet->failures++;

		/* One that is merely forgotten comes back at once. */
		if (n > 0 || outcome == AMPSF_COMET_LATER)
			comet->pause = ampsf_backoff(n, ampsf_call_header(comet->answer, "Retry-After"));
		if (n > 6)
			comet->pause <<= Min(n - 6, 5);
		comet->pause = Min(Max(comet->pause, comet->interval), PAUSE_MAX);
	}
	MemoryContextSwitchTo(old);
	MemoryContextDelete(work);
	return outcome;
}

char *
ampsf_comet_events(AmpsfComet *comet, size_t *len)
{
	size_t body_len;
	const char *body;
	const char *at = comet->events;
	const char *first = NULL;
	const char *text;
	const char *end;
	char *portion;

	if (at == NULL)
		return NULL;
	body = ampsf_call_body(comet->answer, &body_len);
	end = body + body_len;
	for (int n = 0; n < PORTION_MESSAGES && ampsf_json_element(&at, end, &text, len); n++)
	{
		if (first == NULL)
			first = text;
		if (at - first >= PORTION_BYTES)
			break;
	}
	if (first == NULL)
	{
		/* It may be large, and the next one may be hours away. */
		comet->events = NULL;
		ampsf_call_free(comet->answer);
		comet->answer = NULL;
		return NULL;
	}
	comet->events = at;
	*len = (size_t) (at - first) + 2;
	portion = palloc(*len + 1);
	portion[0] = '[';
	memcpy(portion + 1, first, at - first);
	portion[*len - 1] = ']';
	portion[*len] = '\0';
	return portion;
}

int
ampsf_comet_pause(const AmpsfComet *comet)
{
	return comet->pause;
}

const char *
ampsf_comet_error(const AmpsfComet *comet)
{
	return comet->error ? comet->error : "";
}

void
ampsf_comet_throw(const AmpsfComet *comet)
{
	const char *hint = NULL;
	int sqlstate = ERRCODE_FDW_ERROR;

	if (says(comet, "does not exist") || says(comet, "doesn't exist"))
	{
		sqlstate = ERRCODE_UNDEFINED_OBJECT;
		hint = "Names of channels are case-sensitive. If somebody has deleted the channel, "
			   "ampsf.unsubscribe() and ampsf.subscribe() make another.";
	}
	else if (says(comet, "View All Data"))
		hint = "Give the user the permission View All Data, or View All for each of the objects.";
	else if (says(comet, "access to the entity"))
		hint = "Give the user the permission View All for the object.";
	else if (says(comet, "Restricted channel"))
		hint = "The user may not read this channel.";
	if (comet->code == 403)
		sqlstate = ERRCODE_INSUFFICIENT_PRIVILEGE;
	ereport(ERROR,
			(errcode(sqlstate), errmsg("could not follow channel %s", comet->channel),
			 errdetail_internal("%s", ampsf_comet_error(comet)), hint ? errhint("%s", hint) : 0));
	pg_unreachable();
}
