/*
 * call.c - one call to the org: sent, repeated where that is safe, sent anew after a fresh login;
 * see session.h.
 *
 * What may be repeated: an idempotent call after a lost connection or a transient error; any call
 * of which not one byte was sent; any call that was answered by 401, once.  Nothing else, ever.
 */
#include "net/session_private.h"

#include "base/ampsf.h"
#include "base/progress.h"
#include "net/ampersand.h"
#include "net/slots.h"
#include "net/budget.h"
#include "net/usage.h"
#include "utils/memutils.h"

/* From one look for a free slot to the next. */
#define SLOT_WAIT 20
/* Salesforce refuses a request whose URI and headers are longer together. */
#define REQUEST_HEAD_MAX 16384
/* What libcurl adds by itself: Host, Accept-Encoding, Content-Length, the request line's rest. */
#define REQUEST_HEAD_SPARE 200

typedef enum CallState
{
	CALL_LOGIN,
	CALL_SENT,
	CALL_BACKOFF,
	CALL_DONE
} CallState;

struct AmpsfCall
{
	MemoryContext cxt;		   /* holds the call and the copies */
	MemoryContext attempt_cxt; /* holds http; reset for each attempt */
	MemoryContextCallback on_reset;
	AmpsfSession *session;

	char *method, *path, *body, *content_type;
	size_t body_len;
	int body_fd; /* the file that has it instead; 0: none */
	char **headers;
	int nheaders;
	bool idempotent;
	size_t window;
	bool early;
	bool engagement;
	AmpsfCallHost host;
	int slot; /* of the business unit, while a request is under way; else -1 */
	AmpsfStats *stats;
	AmpsfUsage *usage;
	bool beyond_budget, unmetered, once, oauth;
	int timeout;
	bool unsettled; /* sent, and not answered yet */

	CallState state;
	AmpsfHttp *http;
	AmpsfHttpAlarm alarm;
	int64 bytes_counted; /* of the attempt that is under way */
	int attempts;
	bool was_sent;	   /* an attempt got as far as that and no answer came */
	uint64 generation; /* of the token that was sent */
	bool fresh_login;  /* a failed login may be tried again on our account */
	bool replayed;	   /* after 401 */
	bool unknown;
	bool login_failed;
	AmpsfFailure failure;
};

/* -------- sending -------- */

/* Account Engagement takes five calls of a business unit at once, whoever sends them. */
static bool
take_slot(AmpsfCall *call)
{
	if (call->engagement && call->slot < 0)
		call->slot = ampsf_slot_take(call->session->options->business_unit);
	return !call->engagement || call->slot >= 0;
}

static void
give_slot(AmpsfCall *call)
{
	if (call->slot >= 0)
		ampsf_slot_give(call->session->options->business_unit, call->slot);
	call->slot = -1;
}

static void
settle(AmpsfCall *call)
{
	if (call->unsettled)
		ampsf_budget_settle(call->session);
	call->unsettled = false;
}

static void
forget_call(void *arg)
{
	AmpsfCall *call = arg;

	ampsf_http_alarm_unset(&call->alarm);
	give_slot(call);
	settle(call);
	call->session->users--;
}

static char *
copy_bytes(const char *s, size_t len)
{
	char *copy = MemoryContextAllocHuge(CurrentMemoryContext, len + 1);

	memcpy(copy, s, len);
	copy[len] = '\0';
	return copy;
}

AmpsfCall *
ampsf_call_start(AmpsfSession *session, const AmpsfCallSpec *spec, MemoryContext cxt)
{
	MemoryContext call_cxt = AllocSetContextCreate(cxt, "ampsf call", ALLOCSET_SMALL_SIZES);
	MemoryContext old = MemoryContextSwitchTo(call_cxt);
	AmpsfCall *call = palloc0(sizeof(AmpsfCall));

	call->cxt = call_cxt;
	call->attempt_cxt = AllocSetContextCreate(call_cxt, "ampsf attempt", ALLOCSET_SMALL_SIZES);
	call->session = session;
	call->method = pstrdup(spec->method);
	if (spec->path[0] == '/')
		call->path = pstrdup(spec->path);
	else
		call->path = psprintf("/services/data/v%s/%s", session->options->api_version, spec->path);
	if (spec->body || spec->body_fd > 0)
	{
		if (spec->body)
			call->body = copy_bytes(spec->body, spec->body_len);
		call->body_fd = spec->body_fd;
		call->body_len = spec->body_len;
		call->content_type =
			pstrdup(spec->content_type ? spec->content_type : "application/json; charset=UTF-8");
	}
	for (const char *const *h = spec->headers; h && *h; h++)
		call->nheaders++;
	call->headers = palloc(sizeof(char *) * (call->nheaders + 1));
	for (int i = 0; i < call->nheaders; i++)
		call->headers[i] = pstrdup(spec->headers[i]);
	call->idempotent = spec->idempotent;
	call->window = spec->window;
	call->early = spec->early;
	call->engagement = spec->engagement;
	call->host = spec->host;
	call->slot = -1;
	call->stats = spec->stats;
	call->usage = spec->usage ? spec->usage : ampsf_usage(session->serverid, NULL, NULL);
	call->beyond_budget = spec->beyond_budget || spec->unmetered;
	call->unmetered = spec->unmetered;
	call->once = spec->once;
	call->oauth = spec->oauth;
	call->timeout = spec->timeout ? spec->timeout : session->options->request_timeout;
	call->state = CALL_LOGIN;
	call->fresh_login = true;
	session->users++;
	call->on_reset.func = forget_call;
	call->on_reset.arg = call;
	MemoryContextRegisterResetCallback(call_cxt, &call->on_reset);
	MemoryContextSwitchTo(old);

	/* Not poll(): who looks at several calls in turn must not have one of them move unseen. */
	ampsf_call_look(call);
	return call;
}

static void
count(AmpsfCall *call, const AmpsfStats *spent)
{
	ampsf_stats_add(&call->session->stats, spent);
	ampsf_usage_add(call->usage, spent);
	if (call->stats)
	{
		ampsf_stats_add(call->stats, spent);
		ampsf_progress_spent(call->stats);
	}
}

/* The bytes that have come since the last time. */
static int64
new_bytes(AmpsfCall *call)
{
	int64 before = call->bytes_counted;

	call->bytes_counted = ampsf_http_bytes_in(call->http);
	return call->bytes_counted - before;
}

static void
check_head_size(AmpsfCall *call, const char *url, const char *const *headers)
{
	size_t size = strlen(url) + REQUEST_HEAD_SPARE;

	for (const char *const *h = headers; *h; h++)
		size += strlen(*h) + 2;
	if (size > REQUEST_HEAD_MAX)
		ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
						errmsg("request to Salesforce is too long"),
						errdetail("Address and headers take %zu bytes; Salesforce accepts %d.",
								  size, REQUEST_HEAD_MAX),
						errhint("Use fewer columns or fewer values at a time.")));
}

static bool
has_header(const AmpsfCall *call, const char *name)
{
	for (int i = 0; i < call->nheaders; i++)
		if (pg_strncasecmp(call->headers[i], name, strlen(name)) == 0)
			return true;
	return false;
}

static void
send_call(AmpsfCall *call)
{
	AmpsfSession *session = call->session;
	const AmpsfServerOptions *o = session->options;
	AmpsfHttpSpec spec = {0};
	AmpsfStats spent = {0};
	MemoryContext old;
	const char **headers;
	char *authorization;
	int n = 0;

	/* Should anything below fail, it has failed for good. */
	call->state = CALL_DONE;
	call->http = NULL;
	call->failure.kind = AMPSF_HTTP_BROKEN;
	if (!call->beyond_budget)
		ampsf_budget_check(session);
	MemoryContextReset(call->attempt_cxt);
	old = MemoryContextSwitchTo(call->attempt_cxt);

	authorization = psprintf(o->ampersand  ? "X-Api-Key: %s"
							 : call->oauth ? "Authorization: OAuth %s"
										   : "Authorization: Bearer %s",
							 session->token);
	headers = palloc(sizeof(char *) * (call->nheaders + 16));
	headers[n++] = authorization;
	if (o->ampersand && call->host == AMPSF_TO_ORG)
		n = ampsf_ampersand_headers(o, headers, n);
	if (!has_header(call, "Accept:"))
		headers[n++] = "Accept: application/json";
	headers[n++] = "User-Agent: " AMPSF_FDW_NAME "/" AMPSF_VERSION;
	if (call->host != AMPSF_TO_ORG)
		;
	else if (call->engagement)
	{
		headers[n++] = psprintf("Pardot-Business-Unit-Id: %s", o->business_unit);
		headers[n++] = "X-Return-Api-Usage: 1";
	}
	else if (!has_header(call, "Sforce-Call-Options:"))
		headers[n++] = "Sforce-Call-Options: client=" AMPSF_FDW_NAME;
	if (call->content_type)
		headers[n++] = psprintf("Content-Type: %s", call->content_type);
	for (int i = 0; i < call->nheaders; i++)
		headers[n++] = call->headers[i];
	headers[n] = NULL;

	spec.method = call->method;
	spec.url = psprintf("%s%s",
						call->host != AMPSF_TO_ORG ? ampsf_ampersand_url(o, call->host)
						: call->engagement		   ? o->engagement_url
												   : session->instance_url,
						call->path);
	spec.body = call->body;
	spec.body_len = call->body_len;
	spec.body_fd = call->body_fd;
	spec.headers = headers;
	spec.ca_file = o->ca_file;
	spec.connect_timeout = o->connect_timeout;
	spec.request_timeout = call->timeout;
	spec.max_response = o->max_response;
	spec.window = call->window;
	spec.early = call->early;
	spec.compression = o->compression;
	spec.replayable = call->idempotent && !call->once;
	check_head_size(call, spec.url, headers);
	call->http = ampsf_http_start(&spec, call->attempt_cxt);
	ampsf_auth_wipe(authorization);
	MemoryContextSwitchTo(old);

	spent.calls = call->unmetered ? 0 : 1;
	spent.retries = call->attempts > 0 ? 1 : 0;
	spent.bytes_out = call->body_len;
	count(call, &spent);
	if (!call->unmetered)
		ampsf_budget_spend(session);
	call->unsettled = !call->unmetered;
	call->generation = session->generation;
	call->bytes_counted = 0;
	call->attempts++;
	call->failure.kind = AMPSF_HTTP_ANSWERED;
	call->state = CALL_SENT;
}

/* -------- receiving -------- */

/* Sforce-Limit-Info: api-usage=18/5000; per-app-api-usage=... */
static void
note_quota(AmpsfSession *session, const char *header)
{
	static const char key[] = "api-usage=";
	long long used, max;

	if (header && strncmp(header, key, strlen(key)) == 0 &&
		sscanf(header + strlen(key), "%lld/%lld", &used, &max) == 2)
	{
		session->quota_seen = true;
		session->quota_used = used;
		session->quota_max = max;
		session->quota_at = ampsf_http_now();
	}
}

/* x-api-usage: 18/25000, of the business unit.  On its server that is the quota that counts. */
static void
note_engagement_quota(AmpsfSession *session, const char *header)
{
	long long used, max;

	if (header && sscanf(header, "%lld/%lld", &used, &max) == 2)
	{
		session->quota_seen = true;
		session->quota_used = used;
		session->quota_max = max;
		session->quota_at = ampsf_http_now();
	}
}

static void
back_off(AmpsfCall *call)
{
	const char *retry_after = ampsf_http_header(call->http, "X-Amp-Retry-After");

	if (!retry_after)
		retry_after = ampsf_http_header(call->http, "Retry-After");
	ampsf_http_alarm_set(&call->alarm,
						 ampsf_http_now() + ampsf_backoff(call->attempts - 1, retry_after));
	ampsf_http_free(call->http);
	call->http = NULL;
	call->state = CALL_BACKOFF;
}

/* A 401 that no new token will cure. */
static bool
is_incurable(const AmpsfApiError *err)
{
	return err->message &&
		   (strstr(err->message, "Connected app is not attached to Agent") != NULL ||
			strstr(err->message, "This session is not valid for use with the REST API") != NULL);
}

/* Account Engagement has not even looked at what is one call at once too many, or one too many in a
 * minute. */
static bool
is_turned_away(const AmpsfCall *call, const AmpsfApiError *err)
{
	return call->engagement && err->code &&
		   (strcmp(err->code, "66") == 0 || strcmp(err->code, "202") == 0);
}

/*
 * 429 behind Ampersand's proxy: nobody has done anything, so any call may be sent again, unless it
 * says that this would harm, or it would be long until then.
 */
static bool
is_throttled(const AmpsfCall *call, int status, bool *hopeless)
{
	const char *retryable = ampsf_http_header(call->http, "X-Amp-Retryable");
	const char *after = ampsf_http_header(call->http, "X-Amp-Retry-After");

	*hopeless = false;
	if (status != 429 || !call->session->options->ampersand)
		return false;
	*hopeless = (retryable && strcmp(retryable, "false") == 0) ||
				(after && ampsf_retry_after(after) > RETRY_AFTER_MAX);
	return true;
}

/* A complete answer: is it final? */
static void
judge_answer(AmpsfCall *call)
{
	int status = ampsf_http_status(call->http);
	size_t len;
	const char *body = ampsf_http_body(call->http, &len);
	AmpsfApiError err;
	MemoryContext old;
	bool again, throttled, hopeless;

	call->state = CALL_DONE;
	if (status < 400 || call->once)
		return;
	/* A gateway that lost its server does not know what that server did. */
	call->unknown = !call->idempotent && (status == 502 || status == 504);

	old = MemoryContextSwitchTo(call->attempt_cxt);
	ampsf_error_parse(status, body, len, &err);
	MemoryContextSwitchTo(old);
	if (status == 401)
	{
		if (!call->replayed && !AMPSF_AUTH_IS_GIVEN(call->session->kind) && !is_incurable(&err))
		{
			call->replayed = true;
			call->fresh_login = true;
			call->state = CALL_LOGIN;
		}
		return;
	}
	again = ampsf_error_is_transient(&err) ||
			(call->attempts == 1 && err.code && strcmp(err.code, "QUERY_TIMEOUT") == 0);
	throttled = is_throttled(call, status, &hopeless);
	if (hopeless)
		return;
	if (again && (call->idempotent || throttled || is_turned_away(call, &err)) &&
		call->attempts <= call->session->options->max_retries)
		back_off(call);
}

static void
judge_failure(AmpsfCall *call, AmpsfHttpFailure kind)
{
	/* Of an answer that is read while it comes, the reader has seen something already. */
	bool seen = call->window > 0 && ampsf_http_begun(call->http);
	bool safe;

	call->was_sent |= ampsf_http_sent_all(call->http);
	safe = (call->idempotent && !seen) || !ampsf_http_sent_any(call->http);

	if (safe && !call->once && ampsf_failure_is_transient(kind) &&
		call->attempts <= call->session->options->max_retries)
	{
		back_off(call);
		return;
	}
	call->unknown = !call->idempotent && ampsf_http_sent_all(call->http);
	call->failure.kind = kind;
	call->failure.text = MemoryContextStrdup(call->cxt, ampsf_http_failure_text(call->http));
	call->state = CALL_DONE;
}

static void
take_answer(AmpsfCall *call)
{
	AmpsfHttpFailure kind = ampsf_http_failure(call->http);
	AmpsfStats spent = {0};

	settle(call);
	spent.bytes_in = new_bytes(call);
	if (!ampsf_http_sent_any(call->http))
	{
		/* The org never saw it. */
		spent.calls = call->unmetered ? 0 : -1;
		spent.retries = call->attempts > 1 ? -1 : 0;
		spent.bytes_out = -(int64) call->body_len;
		if (!call->unmetered)
			ampsf_budget_refund();
	}
	count(call, &spent);
	give_slot(call);
	if (call->engagement)
		note_engagement_quota(call->session, ampsf_http_header(call->http, "x-api-usage"));
	else if (!call->session->options->engagement)
		note_quota(call->session, ampsf_http_header(call->http, "Sforce-Limit-Info"));
	if (kind == AMPSF_HTTP_ANSWERED)
		judge_answer(call);
	else
		judge_failure(call, kind);
}

static char *
copy_text(MemoryContext cxt, const char *s)
{
	return s ? MemoryContextStrdup(cxt, s) : NULL;
}

/* The session's failure may be overwritten by the next login; ours stays. */
static void
fail_by_login(AmpsfCall *call)
{
	const AmpsfFailure *f = &call->session->login_failure;

	call->failure = *f;
	call->failure.text = copy_text(call->cxt, f->text);
	call->failure.err.code = copy_text(call->cxt, f->err.code);
	call->failure.err.message = copy_text(call->cxt, f->err.message);
	call->failure.err.fields = NULL;
	call->login_failed = true;
	call->http = NULL;
	call->state = CALL_DONE;
}

bool
ampsf_call_look(AmpsfCall *call)
{
	for (;;)
	{
		switch (call->state)
		{
			case CALL_LOGIN:
			{
				bool retry = call->fresh_login;
				AmpsfLoginState state;

				call->fresh_login = false;
				state = ampsf_login_step(call->session, call->generation, retry, call->stats);
				if (state == AMPSF_LOGIN_READY && !take_slot(call))
				{
					ampsf_http_alarm_set(&call->alarm, ampsf_http_now() + SLOT_WAIT);
					call->state = CALL_BACKOFF;
				}
				else if (state == AMPSF_LOGIN_READY)
					send_call(call);
				else if (state == AMPSF_LOGIN_FAILED)
					fail_by_login(call);
				else
					return false;
				break;
			}
			case CALL_SENT:
				if (!ampsf_http_done(call->http))
					return false;
				take_answer(call);
				break;
			case CALL_BACKOFF:
				if (call->alarm.due > ampsf_http_now())
					return false;
				ampsf_http_alarm_unset(&call->alarm);
				/* Not send_call: the token may have died in the meantime, and been renewed. */
				call->state = CALL_LOGIN;
				call->generation = 0;
				break;
			case CALL_DONE:
				return true;
		}
	}
}

bool
ampsf_call_poll(AmpsfCall *call)
{
	ampsf_http_drive();
	return ampsf_call_look(call);
}

bool
ampsf_call_was_sent(const AmpsfCall *call)
{
	return call->was_sent;
}

void
ampsf_call_disown(AmpsfCall *call)
{
	call->stats = NULL;
}

bool
ampsf_call_in_flight(const AmpsfCall *call)
{
	return call->state == CALL_SENT && !ampsf_http_done(call->http) &&
		   ampsf_http_sent_all(call->http);
}

/* For an error, most likely a cancel, that interrupts the wait. */
static void
say_unknown(void *arg)
{
	AmpsfCall *call = arg;

	if (ampsf_call_in_flight(call))
		errcontext(
			"waiting for Salesforce's answer to a write that was sent: whether it was applied is "
			"unknown");
}

void
ampsf_call_wait(AmpsfCall *call)
{
	ErrorContextCallback context;

	if (!call->idempotent)
	{
		context.callback = say_unknown;
		context.arg = call;
		context.previous = error_context_stack;
		error_context_stack = &context;
	}
	while (!ampsf_call_poll(call))
		ampsf_http_sleep();
	if (!call->idempotent)
		error_context_stack = context.previous;
}

void
ampsf_call_free(AmpsfCall *call)
{
	if (call)
		MemoryContextDelete(call->cxt);
}

int
ampsf_call_status(const AmpsfCall *call)
{
	return call->http && call->failure.kind == AMPSF_HTTP_ANSWERED ? ampsf_http_status(call->http)
																   : 0;
}

const char *
ampsf_call_body(const AmpsfCall *call, size_t *len)
{
	static const char nothing[64] = {0};

	*len = 0;
	return call->http ? ampsf_http_body(call->http, len) : nothing;
}

const char *
ampsf_call_header(const AmpsfCall *call, const char *name)
{
	return call->http ? ampsf_http_header(call->http, name) : NULL;
}

const char *
ampsf_call_header_line(const AmpsfCall *call, int n)
{
	return call->http ? ampsf_http_header_line(call->http, n) : NULL;
}

bool
ampsf_call_begun(const AmpsfCall *call)
{
	return call->http && ampsf_http_begun(call->http);
}

const char *
ampsf_call_part(const AmpsfCall *call, size_t *len)
{
	return ampsf_http_part(call->http, len);
}

void
ampsf_call_consume(AmpsfCall *call, size_t n, size_t wanted)
{
	const AmpsfStats spent = {.bytes_in = new_bytes(call)};

	count(call, &spent);
	ampsf_http_consume(call->http, n, wanted);
}

void
ampsf_call_sleep(void)
{
	ampsf_http_sleep();
}

bool
ampsf_call_unknown_outcome(const AmpsfCall *call)
{
	return call->unknown;
}

const char *
ampsf_call_failure(const AmpsfCall *call)
{
	const AmpsfFailure *f = &call->failure;

	return f->kind == AMPSF_HTTP_ANSWERED && f->err.message ? f->err.message
															: ampsf_failure_detail(f);
}

static void
throw_unknown(const AmpsfCall *call, const char *what)
{
	int status = ampsf_call_status(call);

	ereport(
		ERROR,
		(errcode(ERRCODE_TRANSACTION_RESOLUTION_UNKNOWN), errmsg("could not %s", what),
		 status
			 ? errdetail("The request was sent, and answered by status %d from a gateway. Whether "
						 "it was applied is unknown.",
						 status)
			 : errdetail("The request was sent, but no answer came. Whether it was applied is "
						 "unknown. %s",
						 ampsf_failure_detail(&call->failure)),
		 errhint("Look at the records before you repeat the statement.")));
}

void
ampsf_call_throw(const AmpsfCall *call, const char *what, const char *soql)
{
	AmpsfSession *session = call->session;
	AmpsfApiError err;
	const char *body, *hint;
	size_t len;

	if (call->login_failed)
		ampsf_login_throw(session, &call->failure);
	if (call->unknown)
		throw_unknown(call, what);
	if (ampsf_call_status(call) == 0)
	{
		hint = ampsf_failure_hint(&call->failure);
		ereport(ERROR,
				(errcode(ampsf_failure_sqlstate(&call->failure)), errmsg("could not %s", what),
				 errdetail_internal("%s", ampsf_failure_detail(&call->failure)),
				 hint ? errhint("%s", hint) : 0));
	}
	body = ampsf_call_body(call, &len);
	ampsf_error_parse(ampsf_call_status(call), body, len, &err);
	if (call->host != AMPSF_TO_ORG)
		err.from = "Ampersand";
	if (err.http == 401 && session->kind == AMPSF_AUTH_ACCESS_TOKEN)
		ereport(
			ERROR,
			(errcode(ERRCODE_INVALID_AUTHORIZATION_SPECIFICATION), errmsg("could not %s", what),
			 errdetail("Salesforce does not accept the access token, or no longer."),
			 errhint(
				 "Store a new one with ALTER USER MAPPING ... OPTIONS (SET access_token '...'), or "
				 "use a login that renews itself, such as client credentials.")));
	if (err.http == 401 && session->kind == AMPSF_AUTH_API_KEY && !err.from)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_AUTHORIZATION_SPECIFICATION), errmsg("could not %s", what),
				 errdetail("Salesforce does not accept the login of Ampersand's connection: %s",
						   err.message ? ampsf_clean_text(err.message, strlen(err.message)) : ""),
				 errhint("Look at the connection in Ampersand's dashboard; the customer may have "
						 "to authorise it "
						 "anew.")));
	if (err.http == 429 && session->options->ampersand &&
		ampsf_call_header(call, "X-Amp-Retry-After"))
	{
		const char *after = ampsf_call_header(call, "X-Amp-Retry-After");

		err.message = psprintf("%s (not before %s)", err.message ? err.message : "",
							   ampsf_clean_text(after, strlen(after)));
	}
	if (ampsf_error_sqlstate(&err) == ERRCODE_CONFIGURATION_LIMIT_EXCEEDED && session->quota_seen)
		err.message =
			psprintf("%s (" INT64_FORMAT " of " INT64_FORMAT " API calls used)",
					 err.message ? err.message : "", session->quota_used, session->quota_max);
	ampsf_error_throw(&err, what, soql);
}

void
ampsf_call_finish(AmpsfCall *call, const char *what, const char *soql)
{
	int status;

	ampsf_call_wait(call);
	status = ampsf_call_status(call);
	if (status < 200 || status > 299)
		ampsf_call_throw(call, what, soql);
}

bool
ampsf_call_is_ampersands(const AmpsfCall *call)
{
	const char *type = ampsf_call_header(call, "Content-Type");

	return call->session->options->ampersand && type &&
		   pg_strncasecmp(type, "application/problem+json", 24) == 0;
}

int
ampsf_call_fd(void)
{
	return ampsf_http_fd();
}

void
ampsf_call_drive(void)
{
	ampsf_http_drive();
}

uint64
ampsf_call_moves(void)
{
	return ampsf_http_moves();
}

void
ampsf_call_ring(void)
{
	ampsf_http_ring();
}
