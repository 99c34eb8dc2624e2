/*
 * budget.c - see budget.h.
 *
 * A statement is what the client sent: all that runs inside it counts with it, functions and
 * triggers included, and so does a string of several statements that is sent as one message.  Its
 * begin is told by the timestamp that PostgreSQL takes for each message.
 */
#include "net/budget.h"

#include "access/xact.h"
#include "base/guc.h"
#include "net/session_private.h"

/* What was heard of the quota is believed for so long, in milliseconds; calls of long ago are free
 * again. */
#define QUOTA_FRESH (5 * 60 * 1000)

static TimestampTz statement = 0;
static int64 statement_calls = 0;

static int64
calls_so_far(void)
{
	TimestampTz now = GetCurrentStatementStartTimestamp();

	if (now != statement)
	{
		statement = now;
		statement_calls = 0;
	}
	return statement_calls;
}

/* Calls that the server's option keeps. */
static int64
reserved(const AmpsfSession *session)
{
	const AmpsfServerOptions *o = session->options;

	if (!o->quota_reserve_percent)
		return o->quota_reserve;
	return (session->quota_max * o->quota_reserve + 99) / 100;
}

static const char *
what_is_left(const AmpsfSession *session)
{
	if (!session->quota_seen)
		return "";
	return psprintf(" " INT64_FORMAT " of the org's " INT64_FORMAT
					" calls in 24 hours are left; each comes back 24 hours after it was made.",
					Max(session->quota_max - session->quota_used, 0), session->quota_max);
}

void
ampsf_budget_check(AmpsfSession *session)
{
	int64 left = session->quota_max - session->quota_used - session->unanswered;

	if (ampsf_statement_call_limit > 0 && calls_so_far() >= ampsf_statement_call_limit)
		ereport(ERROR,
				(errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
				 errmsg("statement would make more than %d API %s", ampsf_statement_call_limit,
						ampsf_statement_call_limit == 1 ? "call" : "calls"),
				 errdetail("The limit is ampsf.statement_call_limit.%s", what_is_left(session)),
				 errhint("Raise the setting, or narrow the statement: EXPLAIN (VERBOSE) estimates "
						 "its calls.")));

	if (session->options->quota_reserve == 0 || !session->quota_seen || left > reserved(session) ||
		ampsf_http_now() - session->quota_at > QUOTA_FRESH)
		return;
	ereport(
		ERROR,
		(errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
		 errmsg("the API calls that are left for server \"%s\" are reserved", session->server_name),
		 errdetail("Option quota_reserve keeps " INT64_FORMAT ".%s", reserved(session),
				   what_is_left(session)),
		 errhint("Wait, or lower the server's option quota_reserve.  ampsf.limits() looks anew.")));
}

void
ampsf_budget_spend(AmpsfSession *session)
{
	statement_calls = calls_so_far() + 1;
	session->unanswered++;
}

void
ampsf_budget_settle(AmpsfSession *session)
{
	if (session->unanswered > 0)
		session->unanswered--;
}

void
ampsf_budget_refund(void)
{
	if (calls_so_far() > 0)
		statement_calls--;
}
