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
#include "miscadmin.h"
#include "net/hosts.h"
#include "net/secret_file.h"
#include "utils/memutils.h"

#define LOGIN_ATTEMPTS 3
/* How long a cancel waits for the answer to a refresh token that is on its way. */
#define REFRESH_WAIT_MAX 15000
/* Until the process that replaced our refresh token is sure to have stored the new one. */
#define REREAD_DELAY 200
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
	AmpsfUserOptions user = *session->user;
	MemoryContext old;

	/* Whatever fails below, the next asker starts afresh. */
	end_attempt(session, AMPSF_LOGIN_NONE);
	MemoryContextReset(session->login_cxt);
	memset(&session->login_failure, 0, sizeof(session->login_failure));
	ampsf_host_check(o->login_url, "option \"login_url\"");

	old = MemoryContextSwitchTo(session->login_cxt);
	if (user.client_secret_file)
		user.client_secret = ampsf_secret_file_word(user.client_secret_file, "client secret");
	session->login_form =
		ampsf_auth_form(session->kind, &user, session->refresh_token, o->login_url);
	if (user.client_secret_file)
		ampsf_auth_wipe(user.client_secret);
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

/* -------- refresh tokens, which others use as well -------- */

bool
ampsf_login_take_stored(AmpsfSession *session, const UserMapping *mapping)
{
	AmpsfUserOptions *user = ampsf_user_options(mapping);
	bool news = user->refresh_token && session->stored_token &&
				strcmp(user->refresh_token, session->stored_token) != 0;

	if (news)
	{
		replace(session, &session->refresh_token, user->refresh_token);
		replace(session, &session->stored_token, user->refresh_token);
	}
	ampsf_user_options_wipe(user);
	return news;
}

/* The refresh token as it is kept now; true if it is another one than we had. */
static bool
reread_token(AmpsfSession *session)
{
	const char *path = session->user->refresh_token_file;
	UserMapping *mapping;
	ForeignServer *server;
	uint8 fingerprint[AMPSF_FINGERPRINT_SIZE];
	bool news = false;

	if (path)
	{
		char *word = ampsf_secret_file_word(path, "refresh token");

		news = session->stored_token == NULL || strcmp(word, session->stored_token) != 0;
		if (news)
		{
			replace(session, &session->refresh_token, word);
			replace(session, &session->stored_token, word);
		}
		ampsf_auth_wipe(word);
		return news;
	}
	mapping = ampsf_mapping_read(session->umid);
	server = GetForeignServerExtended(session->serverid, FSV_MISSING_OK);
	if (mapping && server)
	{
		/* One that was altered otherwise is another login, which is not for this session. */
		ampsf_mapping_fingerprint(mapping, server, fingerprint);
		if (memcmp(fingerprint, session->fingerprint, sizeof(fingerprint)) == 0)
			news = ampsf_login_take_stored(session, mapping);
	}
	if (mapping)
		ampsf_mapping_wipe(mapping);
	return news;
}

/* Salesforce put token in the place of the one that was sent, which is dead: keeps it for
 * everybody. */
static void
store_token(AmpsfSession *session, const char *token)
{
	const char *path = session->user->refresh_token_file;
	char *problem = NULL;
	char *sent = session->refresh_token;
	bool stored;

	/* First of all for ourselves. */
	session->refresh_token = MemoryContextStrdup(session->cxt, token);
	stored = path ? ampsf_secret_file_replace(path, token, &problem)
				  : ampsf_mapping_rotate(session->umid, sent, token, &problem);
	if (stored)
		replace(session, &session->stored_token, token);
	ampsf_auth_wipe(sent);
	pfree(sent);
	if (!stored && !session->rotation_said)
	{
		session->rotation_said = true;
		ereport(
			WARNING,
			(errmsg("Salesforce replaced the refresh token, and the new one could not be stored"),
			 errdetail_internal("%s.", problem ? problem : "The reason is not known"),
			 errhint(
				 "This session goes on with it; a new one needs a new login. Turn off refresh "
				 "token rotation in the app's OAuth policies, or log in by client credentials or "
				 "JWT.")));
	}
}

/* The answer is a token: takes it over. */
static void
accept_token(AmpsfSession *session, AmpsfToken *token)
{
	bool rotated = token->refresh_token && session->refresh_token &&
				   strcmp(token->refresh_token, session->refresh_token) != 0;

	if (rotated)
		store_token(session, token->refresh_token);
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
		const AmpsfApiError *err = &session->login_failure.err;

		ampsf_error_parse(status, body, len, &session->login_failure.err);
		/* Another process, beyond the reach of our lock, may have got the next token for this one.
		 */
		if (session->kind == AMPSF_AUTH_REFRESH_TOKEN && err->code &&
			strcmp(err->code, "invalid_grant") == 0 && session->login_attempts < LOGIN_ATTEMPTS &&
			reread_token(session))
		{
			end_attempt(session, AMPSF_LOGIN_BACKOFF);
			ampsf_http_alarm_set(&session->login_alarm, ampsf_http_now() + REREAD_DELAY);
		}
		else
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

/*
 * Waits for the answer to a refresh token.  From the moment that it may have reached Salesforce no
 * cancel is heard: the answer may hold the only token that is valid from now on.
 */
static void
wait_refresh(AmpsfSession *session)
{
	int64 deadline = ampsf_http_now() + Min(session->options->request_timeout, REFRESH_WAIT_MAX);

	ampsf_http_alarm_set(&session->login_alarm, deadline);
	PG_TRY();
	{
		while (!ampsf_http_done(session->login) && ampsf_http_now() < deadline)
		{
			bool hold = ampsf_http_sent_any(session->login);

			if (hold)
				HOLD_INTERRUPTS();
			ampsf_http_sleep();
			ampsf_http_drive();
			if (hold)
				RESUME_INTERRUPTS();
		}
	}
	PG_CATCH();
	{
		end_attempt(session, AMPSF_LOGIN_NONE);
		PG_RE_THROW();
	}
	PG_END_TRY();
	ampsf_http_alarm_unset(&session->login_alarm);
}

/*
 * Sends the login.  That by a refresh token is also brought to its end, one process at a time: the
 * token may be replaced, and who came next with the old one would be locked out.
 */
static void
begin_login(AmpsfSession *session, AmpsfStats *stats)
{
	if (session->kind != AMPSF_AUTH_REFRESH_TOKEN)
	{
		send_login(session, stats);
		return;
	}
	ampsf_mapping_lock(session->umid);
	(void) reread_token(session);
	send_login(session, stats);
	wait_refresh(session);
	if (ampsf_http_done(session->login))
		take_answer(session);
	else
		fail_login(session, AMPSF_HTTP_STALLED, "the token endpoint does not answer");
	ampsf_mapping_unlock(session->umid);
	/* Calls of others may have been driven to their end here, unseen. */
	ampsf_http_ring();
}

AmpsfLoginState
ampsf_login_step(AmpsfSession *session, uint64 bad, bool retry, AmpsfStats *stats)
{
	if (session->login_state == AMPSF_LOGIN_SENT && ampsf_http_done(session->login))
		take_answer(session);
	if (session->login_state == AMPSF_LOGIN_BACKOFF && session->login_alarm.due <= ampsf_http_now())
		begin_login(session, stats);
	if (session->login_state == AMPSF_LOGIN_SENT || session->login_state == AMPSF_LOGIN_BACKOFF)
		return session->login_state;
	if (session->token && session->generation != bad)
		return AMPSF_LOGIN_READY;
	if (session->login_state == AMPSF_LOGIN_FAILED && !retry)
		return AMPSF_LOGIN_FAILED;
	session->login_attempts = 0;
	begin_login(session, stats);
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
