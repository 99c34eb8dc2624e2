/*
 * event_worker.c - see event_worker.h.
 *
 * The long poll is outside of any transaction.  What an answer brings is stored in one transaction
 * together with the place up to which it goes; so whatever ends the process, the next one begins
 * after the last event that is stored.  Must not know: the protocol (org/comet.h), nor what rows
 * are made of events, which is SQL in the extension's script.
 */
#include "sync/event_worker.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "portability/instr_time.h"
#include "postmaster/interrupt.h"
#include "storage/latch.h"
#include "storage/proc.h"
#include "storage/procarray.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "base/ampsf.h"
#include "functions/server_arg.h"
#include "net/session.h"
#include "org/comet.h"
#include "sync/presence.h"

PG_FUNCTION_INFO_V1(ampsf_sql_subscription_worker);
PG_FUNCTION_INFO_V1(ampsf_sql_nudge);

/* How often what the org has left of delivered events is asked for at most: a call each,
 * milliseconds. */
#define QUOTA_EVERY (60 * 60 * 1000)

typedef struct Follower
{
	int64 id;
	MemoryContext cxt;		 /* of the whole */
	MemoryContext work;		 /* of an answer */
	MemoryContext comet_cxt; /* of the client */
	AmpsfSession *session;	 /* held */
	AmpsfComet *comet;
	char *channel; /* of comet */
	int64 replay;
	bool renew;	 /* the token was refused */
	int refused; /* tokens in a row, without an answer between */
	char *said;	 /* to the log, and not yet over; in cxt */
	TimestampTz quota_asked;
} Follower;

typedef enum Ending
{
	DONE, /* gone, or paused */
	ANEW  /* a new session with the event bus */
} Ending;

/* -------- transactions -------- */

/* Where memory came from before, and will come from after: the end of a transaction forgets it. */
static MemoryContext outside;

static void
begin(const char *what)
{
	if (ConfigReloadPending)
	{
		ConfigReloadPending = false;
		ProcessConfigFile(PGC_SIGHUP);
	}
	outside = CurrentMemoryContext;
	pgstat_report_activity(STATE_RUNNING, what);
	SetCurrentStatementStartTimestamp();
	StartTransactionCommand();
	SPI_connect();
	PushActiveSnapshot(GetTransactionSnapshot());
}

static void
commit(void)
{
	SPI_finish();
	PopActiveSnapshot();
	CommitTransactionCommand();
	MemoryContextSwitchTo(outside);
	pgstat_report_stat(true);
	pgstat_report_activity(STATE_IDLE, NULL);
}

/* Inside of a transaction: a function of the subscription's, which is $1; text may be NULL. */
static Datum
select_one(const Follower *f, const char *sql, const char *text, bool *isnull)
{
	Oid types[] = {INT8OID, TEXTOID};
	Datum values[] = {Int64GetDatum(f->id), (Datum) 0};
	char nulls[] = {' ', text ? ' ' : 'n'};

	if (text)
		values[1] = CStringGetTextDatum(text);
	if (SPI_execute_with_args(sql, strstr(sql, "$2") ? 2 : 1, types, values, nulls, false, 0) !=
			SPI_OK_SELECT ||
		SPI_processed != 1)
		elog(ERROR, "unexpected result of %s", sql);
	return SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, isnull);
}

/* False: there is nothing more to do. */
static bool
beat(const Follower *f, const char *state, const char *error)
{
	bool isnull;
	bool wanted;
	const char *sql;

	begin("ampsf.subscription_beat");
	sql = psprintf("SELECT ampsf.subscription_beat($1, '%s', $2)", state);
	wanted = DatumGetBool(select_one(f, sql, error, &isnull)) && !isnull;
	commit();
	return wanted;
}

static bool
is_wanted(const Follower *f)
{
	bool isnull;
	bool wanted;

	begin("ampsf.subscription");
	wanted = DatumGetBool(select_one(
		f, "SELECT EXISTS (SELECT FROM ampsf.subscription s WHERE s.id = $1 AND NOT s.paused)",
		NULL, &isnull));
	commit();
	return wanted;
}

/* What is done for its own sake, and may fail: it is tried again with the next answer. */
static bool
attempt(const Follower *f, const char *what, const char *sql, int64 *result)
{
	MemoryContext cxt = CurrentMemoryContext;
	bool isnull;
	volatile bool ok = true;

	PG_TRY();
	{
		begin(what);
		*result = DatumGetInt64(select_one(f, sql, NULL, &isnull));
		if (isnull)
			*result = 0;
		commit();
	}
	PG_CATCH();
	{
		HOLD_INTERRUPTS();
		MemoryContextSwitchTo(cxt);
		EmitErrorReport();
		FlushErrorState();
		AbortOutOfAnyTransaction();
		pgstat_report_activity(STATE_IDLE, NULL);
		RESUME_INTERRUPTS();
		ok = false;
	}
	PG_END_TRY();
	MemoryContextSwitchTo(cxt);
	return ok;
}

/* Where to begin, and a session that is logged in; false: there is nothing to do. */
static bool
look_up(Follower *f)
{
	AmpsfSession *session;
	const char *server;
	char *channel;
	Oid types[] = {INT8OID};
	Datum values[] = {Int64GetDatum(f->id)};
	bool isnull;

	begin("ampsf.subscription_begin");
	if (SPI_execute_with_args(
			"SELECT server::text, channel, replay FROM ampsf.subscription_begin($1)", 1, types,
			values, NULL, false, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not look at the subscription");
	if (SPI_processed == 0)
	{
		commit();
		return false;
	}
	server = SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1);
	channel = SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 2);
	f->replay =
		DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 3, &isnull));

	/* The user mapping may have been altered since: then it is another session. */
	session = ampsf_session_get(ampsf_server_arg(server)->serverid, GetUserId());
	if (f->session != session || strcmp(f->channel, channel) != 0)
	{
		MemoryContextReset(f->comet_cxt);
		if (f->session)
			ampsf_session_release(f->session);
		f->session = session;
		ampsf_session_hold(session);
		f->channel = MemoryContextStrdup(f->comet_cxt, channel);
		f->comet = ampsf_comet_new(session, channel, f->comet_cxt);
	}
	/* In a transaction: a refresh token that is replaced is stored. */
	if (f->renew)
		ampsf_session_renew(session);
	else
		ampsf_session_login(session);
	f->renew = false;
	commit();
	return true;
}

/* -------- waiting -------- */

/*
 * For the answer under way; false: there is nothing more to do.  A nudge that came while a
 * transaction waited for a lock, or for the org, has reset the latch there: so it is looked first.
 */
static bool
await(const Follower *f)
{
	if (!ampsf_comet_poll(f->comet) && !is_wanted(f))
		return false;
	while (!ampsf_comet_poll(f->comet))
	{
		ampsf_call_sleep();
		/* Somebody may have nudged us. */
		if (!ampsf_comet_poll(f->comet) && !is_wanted(f))
			return false;
	}
	return true;
}

static bool
rest(const Follower *f, int ms)
{
	instr_time began;

	/* Not by the clock, which somebody may set back. */
	INSTR_TIME_SET_CURRENT(began);
	for (;;)
	{
		instr_time now;
		long left;

		INSTR_TIME_SET_CURRENT(now);
		INSTR_TIME_SUBTRACT(now, began);
		left = ms - (long) INSTR_TIME_GET_MILLISEC(now);
		if (left <= 0)
			return true;
		if (!is_wanted(f))
			return false;
		(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, left,
						 ampsf_wait_event());
		ResetLatch(MyLatch);
		CHECK_FOR_INTERRUPTS();
	}
}

/* -------- following -------- */

/*
 * The events of the answer that was taken, some at a time, each time with the place up to which
 * they go; false: there is nothing more to do.
 */
static bool
store(const Follower *f)
{
	size_t len;
	char *events;
	bool isnull = false;

	while (!isnull && (events = ampsf_comet_events(f->comet, &len)) != NULL)
	{
		begin("ampsf.events_store");
		(void) select_one(f, "SELECT ampsf.events_store($1, $2)",
						  pg_any_to_server(events, (int) len, PG_UTF8), &isnull);
		commit();
		pfree(events);
		CHECK_FOR_INTERRUPTS();
	}
	return !isnull;
}

/* Mirrors take what has come for them, some thousands of events in a transaction. */
static void
apply(const Follower *f)
{
	int64 n;

	while (attempt(f, "ampsf.mirror_apply_due", "SELECT ampsf.mirror_apply_due($1)", &n) && n > 0)
		CHECK_FOR_INTERRUPTS();
}

static void
ask_quota(Follower *f)
{
	TimestampTz now = GetCurrentTimestamp();
	int64 left;

	if (f->quota_asked != 0 && !TimestampDifferenceExceeds(f->quota_asked, now, QUOTA_EVERY))
		return;
	f->quota_asked = now;
	(void) attempt(f, "ampsf.subscription_quota", "SELECT ampsf.subscription_quota($1)", &left);
}

/* The same words, whatever the numbers in them: how many milliseconds a try took, for instance. */
static bool
same_words(const char *a, const char *b)
{
	for (;;)
	{
		a += strspn(a, "0123456789");
		b += strspn(b, "0123456789");
		if (*a != *b)
			return false;
		if (*a == '\0')
			return true;
		a++;
		b++;
	}
}

/* Tells the log what keeps the channel from being followed, and not again until it is something
 * else. */
static void
say_once(Follower *f, const char *error)
{
	if (f->said && same_words(f->said, error))
		return;
	if (f->said)
		pfree(f->said);
	f->said = MemoryContextStrdup(f->cxt, error);
	ereport(LOG, (errmsg("channel %s cannot be followed for now", f->channel),
				  errdetail_internal("%s", error)));
}

static void
all_is_well(Follower *f)
{
	if (f->said)
		pfree(f->said);
	f->said = NULL;
	f->refused = 0;
}

/* What is to be done about an answer that is not what was hoped for. */
static Ending
recover(Follower *f, AmpsfCometOutcome outcome)
{
	const char *error = ampsf_comet_error(f->comet);

	switch (outcome)
	{
		case AMPSF_COMET_OK:
		case AMPSF_COMET_AGAIN:
		case AMPSF_COMET_HANDSHAKE:
			break;
		case AMPSF_COMET_LOGIN:
			f->renew = true;
			f->refused++;
			break;
		case AMPSF_COMET_LATER:
			say_once(f, error);
			break;
		case AMPSF_COMET_BAD_REPLAY:
			if (f->replay < 0)
				ampsf_comet_throw(f->comet);
			ereport(LOG, (errmsg("channel %s has no such place any more", f->channel),
						  errdetail_internal("%s", error)));
			{
				bool isnull;

				begin("ampsf.events_lost");
				(void) select_one(f, "SELECT ampsf.events_lost($1, $2)", error, &isnull);
				commit();
			}
			return ANEW;
		case AMPSF_COMET_REFUSED:
			ampsf_comet_throw(f->comet);
	}
	if (!beat(f, ampsf_comet_pause(f->comet) > 0 ? "waiting" : "connecting", error) ||
		!rest(f, ampsf_comet_pause(f->comet)))
		return DONE;
	return ANEW;
}

/* From one poll to the next, as long as it goes well. */
static Ending
poll_events(Follower *f)
{
	bool under_way = false;

	for (;;)
	{
		AmpsfCometOutcome outcome;

		MemoryContextReset(f->work);
		if (!under_way)
			ampsf_comet_connect(f->comet);
		under_way = false;
		if (!await(f))
			return DONE;
		outcome = ampsf_comet_take(f->comet);
		/* The org waits for the next request from now on, not from the end of what follows. */
		if (outcome == AMPSF_COMET_OK && ampsf_comet_pause(f->comet) == 0)
		{
			ampsf_comet_connect(f->comet);
			(void) ampsf_comet_poll(f->comet);
			under_way = true;
		}
		if (!store(f))
			return DONE;
		if (outcome != AMPSF_COMET_OK)
		{
			if (outcome != AMPSF_COMET_AGAIN)
				return recover(f, outcome);
			if (recover(f, outcome) == DONE)
				return DONE;
			continue;
		}
		all_is_well(f);
		if (!beat(f, "connected", NULL))
			return DONE;
		apply(f);
		ask_quota(f);
		if (!under_way && !rest(f, ampsf_comet_pause(f->comet)))
			return DONE;
	}
}

static Ending
follow_once(Follower *f)
{
	AmpsfCometOutcome outcome;

	MemoryContextReset(f->work);
	MemoryContextSwitchTo(f->work);
	ampsf_comet_handshake(f->comet);
	if (!await(f))
		return DONE;
	outcome = ampsf_comet_take(f->comet);
	if (outcome != AMPSF_COMET_OK)
		return recover(f, outcome);
	ampsf_comet_subscribe(f->comet, f->replay);
	if (!await(f))
		return DONE;
	outcome = ampsf_comet_take(f->comet);
	if (!store(f))
		return DONE;
	if (outcome != AMPSF_COMET_OK)
		return recover(f, outcome);
	if (!beat(f, "connected", NULL))
		return DONE;
	ask_quota(f);
	/* What was stored by a worker that did not get further. */
	apply(f);
	return poll_events(f);
}

static void
follow(Follower *f)
{
	while (look_up(f))
	{
		if (follow_once(f) == DONE)
		{
			/* So that the org need not wait until it gives us up. */
			ampsf_comet_disconnect(f->comet);
			for (int i = 0; i < 5; i++)
				(void) ampsf_comet_poll(f->comet);
			return;
		}
		/* A token that is new and does not please either will not be bettered by another one. */
		if (f->refused > 2)
			ampsf_comet_throw(f->comet);
	}
}

/* Recorded where its owner looks; the log is told of the first of a row, unless the channel has
 * gone with the subscription. */
static void
record_failure(const Follower *f, ErrorData *error)
{
	const char *text = psprintf("%s%s%s%s%s", error->message, error->detail ? ": " : "",
								error->detail ? error->detail : "", error->hint ? "  " : "",
								error->hint ? error->hint : "");
	bool isnull;
	bool first;

	begin("ampsf.subscription_failed");
	first = DatumGetBool(select_one(f, "SELECT ampsf.subscription_failed($1, $2)", text, &isnull));
	commit();
	if (first)
		ereport(LOG, (errcode(error->sqlerrcode),
					  errmsg("subscription " INT64_FORMAT " failed: %s", f->id, error->message),
					  error->detail ? errdetail_internal("%s", error->detail) : 0));
}

static void
let_go(Follower *f)
{
	MemoryContextReset(f->comet_cxt);
	if (f->session)
		ampsf_session_release(f->session);
	f->session = NULL;
}

void
ampsf_event_worker(int64 subscription)
{
	Follower *f = MemoryContextAllocZero(TopMemoryContext, sizeof(Follower));
	MemoryContext old = CurrentMemoryContext;

	f->id = subscription;
	f->cxt = AllocSetContextCreate(TopMemoryContext, "ampsf event worker", ALLOCSET_DEFAULT_SIZES);
	f->comet_cxt = AllocSetContextCreate(f->cxt, "ampsf comet", ALLOCSET_SMALL_SIZES);
	f->work = AllocSetContextCreate(f->cxt, "ampsf events", ALLOCSET_DEFAULT_SIZES);
	PG_TRY();
	{
		follow(f);
	}
	PG_CATCH();
	{
		ErrorData *error;

		HOLD_INTERRUPTS();
		MemoryContextSwitchTo(f->cxt);
		error = CopyErrorData();
		FlushErrorState();
		AbortOutOfAnyTransaction();
		RESUME_INTERRUPTS();
		let_go(f);
		MemoryContextSwitchTo(f->cxt);
		record_failure(f, error);
	}
	PG_END_TRY();
	let_go(f);
	MemoryContextSwitchTo(old);
	MemoryContextDelete(f->cxt);
	pfree(f);
}

/* The process that follows it; null if there is none. */
Datum
ampsf_sql_subscription_worker(PG_FUNCTION_ARGS)
{
	int pid = ampsf_presence_holder(ampsf_place_work(MyDatabaseId, "events", PG_GETARG_INT64(0)));

	if (pid == 0)
		PG_RETURN_NULL();
	PG_RETURN_INT32(pid);
}

/* -------- nudging -------- */

#define NUDGES_MAX 64

static int nudges[NUDGES_MAX];
static int nnudges = 0;

static void
nudge_at_commit(XactEvent event, void *arg)
{
	if (event != XACT_EVENT_COMMIT && event != XACT_EVENT_ABORT && event != XACT_EVENT_PREPARE)
		return;
	for (int i = 0; i < nnudges && event == XACT_EVENT_COMMIT; i++)
	{
		PGPROC *proc = BackendPidGetProc(nudges[i]);

		if (proc)
			SetLatch(&proc->procLatch);
	}
	nnudges = 0;
}

Datum
ampsf_sql_nudge(PG_FUNCTION_ARGS)
{
	static bool registered = false;

	if (!registered)
		RegisterXactCallback(nudge_at_commit, NULL);
	registered = true;
	/* Who is not told notices with the next answer of the org. */
	if (nnudges < NUDGES_MAX)
		nudges[nnudges++] = PG_GETARG_INT32(0);
	PG_RETURN_VOID();
}
