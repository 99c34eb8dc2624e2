/*
 * login.c - gets a session its token, and a new one when the old one has died; see
 * session_private.h.
 *
 * The request belongs to the session, not to the call that wanted it: a statement that is cancelled
 * does not take down the login that others wait for, nor lose a refresh token that was just
 * replaced.
 */
#include "net/session_private.h"

#include "base/ampsf.h"
#include "net/hosts.h"
#include "utils/memutils.h"

#define LOGIN_ATTEMPTS 3
#define TOKEN_ANSWER_MAX (1024 * 1024)

void
ampsf_login_wipe(AmpsfSession *session)
{
	ampsf_http_alarm_unset(&session->login_alarm);
	ampsf_auth_wipe(session->login_form);
	session->login_form = NULL;
	session->login = NULL;
}

/* Forgets the attempt; what it left in login_cxt goes. */
static void
end_attempt(AmpsfSession *session, AmpsfLoginState state)
{
	ampsf_http_alarm_unset(&session->login_alarm);
	/* libcurl lets go of the form before it is wiped. */
	ampsf_http_free(session->login);
	session->login = NULL;
	ampsf_auth_wipe(session->login_form);
	session->login_form = NULL;
	session->login_state = state;
}

static void
send_login(AmpsfSession *session, AmpsfStats *stats)
{
	const AmpsfServerOptions *o = session->options;
	static const char *const headers[] = {"Content-Type: application/x-www-form-urlencoded",
										  "Accept: application/json",
										  "User-Agent: " AMPSF_FDW_NAME "/" AMPSF_VERSION, NULL};
	AmpsfHttpSpec spec = {0};
	MemoryContext old;

	/* Whatever fails below, the next asker starts afresh. */
	end_attempt(session, AMPSF_LOGIN_NONE);
	MemoryContextReset(session->login_cxt);
	memset(&session->login_failure, 0, sizeof(session->login_failure));
	ampsf_host_check(o->login_url, "option \"login_url\"");

	old = MemoryContextSwitchTo(session->login_cxt);
	session->login_form =
		ampsf_auth_form(session->kind, session->user, session->refresh_token, o->login_url);
	spec.method = "POST";
	spec.url = psprintf("%s/services/oauth2/token", o->login_url);
	spec.body = session->login_form;
	spec.body_len = strlen(session->login_form);
	spec.headers = headers;
	spec.ca_file = o->ca_file;
	spec.connect_timeout = o->connect_timeout;
	spec.request_timeout = o->request_timeout;
	spec.max_response = TOKEN_ANSWER_MAX;
	spec.replayable = true;
	spec.sensitive = true;
	session->login = ampsf_http_start(&spec, session->login_cxt);
	MemoryContextSwitchTo(old);

	session->login_state = AMPSF_LOGIN_SENT;
	session->login_attempts++;
	session->stats.logins++;
	if (stats)
		stats->logins++;
}

static void
fail_login(AmpsfSession *session, AmpsfHttpFailure kind, const char *text)
{
	session->login_failure.kind = kind;
	session->login_failure.text = text ? MemoryContextStrdup(session->login_cxt, text) : NULL;
	end_attempt(session, AMPSF_LOGIN_FAILED);
}

static void
replace(AmpsfSession *session, char **secret, const char *value)
{
	char *copy = MemoryContextStrdup(session->cxt, value);

	if (*secret)
	{
		ampsf_auth_wipe(*secret);
		pfree(*secret);
	}
	*secret = copy;
}

/* The answer is a token: takes it over. */
static void
accept_token(AmpsfSession *session, AmpsfToken *token)
{
	bool rotated = token->refresh_token && session->refresh_token &&
				   strcmp(token->refresh_token, session->refresh_token) != 0;

	/* First of all: the old one is dead already. */
	if (rotated)
		replace(session, &session->refresh_token, token->refresh_token);
	if (token->instance_url && !ampsf_host_allowed(token->instance_url))
	{
		char *url = pstrdup(token->instance_url);

		ampsf_auth_wipe(token->access_token);
		ampsf_auth_wipe(token->refresh_token);
		end_attempt(session, AMPSF_LOGIN_NONE);
		ampsf_host_check(url, "instance_url of the login answer");
	}
	replace(session, &session->token, token->access_token);
	if (token->instance_url)
		replace(session, &session->instance_url, token->instance_url);
	session->generation++;
	ampsf_auth_wipe(token->access_token);
	ampsf_auth_wipe(token->refresh_token);
	end_attempt(session, AMPSF_LOGIN_READY);
	if (rotated && !session->rotation_said)
	{
		session->rotation_said = true;
		ereport(
			WARNING,
			(errmsg("Salesforce replaced the refresh token"),
			 errdetail("The one in the user mapping is no longer valid; this session uses the new "
					   "one."),
			 errhint("Turn off refresh token rotation in the app's OAuth policies, or log in by "
					 "client credentials or JWT. A new session needs a new token in the user "
					 "mapping.")));
	}
}

void
ampsf_session_lend(AmpsfSession *session, AmpsfLoan *loan)
{
	loan->token[0] = '\0';
	/* One that is given is known to all. */
	if (session->kind == AMPSF_AUTH_ACCESS_TOKEN)
		return;
	ampsf_session_login(session);
	if (strlen(session->token) >= sizeof(loan->token) ||
		strlen(session->instance_url) >= sizeof(loan->instance_url))
		return;
	strcpy(loan->token, session->token);
	strcpy(loan->instance_url, session->instance_url);
}

void
ampsf_session_borrow(AmpsfSession *session, const AmpsfLoan *loan)
{
	if (session->token || loan->token[0] == '\0')
		return;
	replace(session, &session->token, loan->token);
	replace(session, &session->instance_url, loan->instance_url);
	session->generation++;
	session->login_state = AMPSF_LOGIN_READY;
}

/* The request has ended, one way or another. */
static void
take_answer(AmpsfSession *session)
{
	AmpsfHttpFailure kind = ampsf_http_failure(session->login);
	int status = ampsf_http_status(session->login);
	bool again = kind == AMPSF_HTTP_ANSWERED ? status >= 500 || status == 429
											 : ampsf_failure_is_transient(kind);
	size_t len;
	const char *body = ampsf_http_body(session->login, &len);
	MemoryContext old;

	session->stats.bytes_in += ampsf_http_bytes_in(session->login);
	if (again && session->login_attempts < Min(LOGIN_ATTEMPTS, session->options->max_retries + 1))
	{
		int ms = ampsf_backoff(session->login_attempts - 1,
							   ampsf_http_header(session->login, "Retry-After"));

		end_attempt(session, AMPSF_LOGIN_BACKOFF);
		ampsf_http_alarm_set(&session->login_alarm, ampsf_http_now() + ms);
		return;
	}
	old = MemoryContextSwitchTo(session->login_cxt);
	if (kind != AMPSF_HTTP_ANSWERED)
		fail_login(session, kind, ampsf_http_failure_text(session->login));
	else if (status != 200)
	{
		ampsf_error_parse(status, body, len, &session->login_failure.err);
		fail_login(session, AMPSF_HTTP_ANSWERED, NULL);
	}
	else
	{
		AmpsfToken token;

		if (ampsf_auth_read(body, len, &token))
			accept_token(session, &token);
		else
			fail_login(session, AMPSF_HTTP_BROKEN, "the answer holds no token");
	}
	MemoryContextSwitchTo(old);
}

AmpsfLoginState
ampsf_login_step(AmpsfSession *session, uint64 bad, bool retry, AmpsfStats *stats)
{
	if (session->login_state == AMPSF_LOGIN_SENT && ampsf_http_done(session->login))
		take_answer(session);
	if (session->login_state == AMPSF_LOGIN_BACKOFF && session->login_alarm.due <= ampsf_http_now())
		send_login(session, stats);
	if (session->login_state == AMPSF_LOGIN_SENT || session->login_state == AMPSF_LOGIN_BACKOFF)
		return session->login_state;
	if (session->token && session->generation != bad)
		return AMPSF_LOGIN_READY;
	if (session->login_state == AMPSF_LOGIN_FAILED && !retry)
		return AMPSF_LOGIN_FAILED;
	session->login_attempts = 0;
	send_login(session, stats);
	return session->login_state;
}

void
ampsf_login_throw(AmpsfSession *session, const AmpsfFailure *failure)
{
	const char *what = psprintf("log in at %s", session->options->login_url);
	const char *hint;

	if (failure->kind == AMPSF_HTTP_ANSWERED)
		ampsf_error_throw(&failure->err, what, NULL);
	hint = ampsf_failure_hint(failure);
	ereport(ERROR, (errcode(ampsf_failure_sqlstate(failure)), errmsg("could not %s", what),
					errdetail_internal("%s", ampsf_failure_detail(failure)),
					hint ? errhint("%s", hint) : 0));
	pg_unreachable();
}
