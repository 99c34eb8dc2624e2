/*
 * worker.c - the process that does one piece of work, as the role whose work it is.
 *
 * When it is done, the launcher may give it more.  What goes wrong is told to the launcher, which
 * records it, where the work itself has not done so.  Must not know: what the work is, except that
 * events are waited for in C.
 */
#include "postgres.h"

#include "access/xact.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "postmaster/bgworker.h"
#include "postmaster/interrupt.h"
#include "storage/dsm.h"
#include "storage/ipc.h"
#include "storage/proc.h"
#include "tcop/pquery.h"
#include "tcop/tcopprot.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/portal.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "base/ampsf.h"
#include "sync/event_worker.h"
#include "sync/presence.h"
#include "sync/worker.h"

PG_FUNCTION_INFO_V1(ampsf_sql_work_pressed);

extern PGDLLEXPORT void ampsf_worker_main(Datum arg);

/* How long work may go on while other work waits for a worker, in milliseconds. */
#define TURN 10000
/* How long a worker waits for more to do: a new one would have to log in. */
#define LINGER 60000

static bool is_worker = false;
static TimestampTz turn_began;

/*
 * Does other work wait for a worker while this one has had its turn?  Of a process that is no
 * worker: never.
 */
Datum
ampsf_sql_work_pressed(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(is_worker &&
				   TimestampDifferenceExceeds(turn_began, GetCurrentTimestamp(), TURN) &&
				   ampsf_presence_holder(ampsf_place_waiting(MyDatabaseId)) != 0);
}

/* A statement as a client sends it: a procedure that it calls may commit. */
static void
run_statement(const char *sql)
{
	MemoryContext context;
	List *trees;
	Portal portal;
	DestReceiver *none;

	debug_query_string = sql;
	pgstat_report_activity(STATE_RUNNING, sql);
	SetCurrentStatementStartTimestamp();
	StartTransactionCommand();
	/* Not the transaction's: the portal outlives those that the statement commits. */
	context = MemoryContextSwitchTo(MessageContext);
	PushActiveSnapshot(GetTransactionSnapshot());
	trees = pg_parse_query(sql);
	trees = pg_analyze_and_rewrite_fixedparams(linitial_node(RawStmt, trees), sql, NULL, 0, NULL);
	trees = pg_plan_queries(trees, sql, 0, NULL);
	PopActiveSnapshot();
	portal = CreatePortal("", true, true);
	portal->visible = false;
	PortalDefineQuery(portal, NULL, sql, CMDTAG_CALL, trees, NULL);
	PortalStart(portal, NULL, 0, InvalidSnapshot);
	MemoryContextSwitchTo(context);
	none = CreateDestReceiver(DestNone);
	(void) AMPSF_PORTAL_RUN(portal, none);
	PortalDrop(portal, false);
	CommitTransactionCommand();
	pgstat_report_stat(true);
	pgstat_report_activity(STATE_IDLE, NULL);
	debug_query_string = NULL;
}

static void
do_work(const AmpsfWorkOrder *order)
{
	char *sql;

	if (strcmp(order->kind, "events") == 0)
	{
		ampsf_event_worker(order->key);
		return;
	}
	sql = psprintf("CALL ampsf.work('%s', " INT64_FORMAT ")", order->kind, order->key);
	run_statement(sql);
}

/* What a role has set for its sessions holds, except what would end or hide a worker. */
static void
settle(void)
{
	SetConfigOption("client_encoding", GetDatabaseEncodingName(), PGC_USERSET, PGC_S_SESSION);
	SetConfigOption("statement_timeout", "0", PGC_USERSET, PGC_S_SESSION);
	if (GetConfigOption("transaction_timeout", true, false) != NULL)
		SetConfigOption("transaction_timeout", "0", PGC_USERSET, PGC_S_SESSION);
	/* What waits for a lock is to see what it has waited for. */
	SetConfigOption("default_transaction_isolation", "read committed", PGC_USERSET, PGC_S_SESSION);
	/* A role that may only read by default has its mirrors all the same. */
	SetConfigOption("default_transaction_read_only", "off", PGC_USERSET, PGC_S_SESSION);
}

/* pg_stat_activity shows what it does; idle: only the kind. */
static void
show(const AmpsfWorkOrder *order, bool idle)
{
	char name[64];

	snprintf(name, sizeof(name), idle ? "ampsf %s" : "ampsf %s " INT64_FORMAT, order->kind,
			 order->key);
	SetConfigOption("application_name", name, PGC_USERSET, PGC_S_SESSION);
}

/* One piece of work.  False if it failed: the slot says why. */
static bool
work(const AmpsfWorkOrder *order, AmpsfWorkSlot *slot)
{
	uint64 place = ampsf_place_work(order->database, order->kind, order->key);
	volatile bool ok = false;

	/* Somebody does it: a worker of a launcher that has ended. */
	if (!ampsf_presence_take(place))
		return true;
	show(order, false);
	turn_began = GetCurrentTimestamp();
	PG_TRY();
	{
		do_work(order);
		ok = true;
	}
	PG_CATCH();
	{
		ErrorData *error;

		HOLD_INTERRUPTS();
		MemoryContextSwitchTo(MessageContext);
		error = CopyErrorData();
		FlushErrorState();
		strlcpy(slot->error, error->message, sizeof(slot->error));
		AbortOutOfAnyTransaction();
		RESUME_INTERRUPTS();
	}
	PG_END_TRY();
	ampsf_presence_give(place);
	show(order, true);
	MemoryContextSwitchTo(MessageContext);
	MemoryContextReset(MessageContext);
	return ok;
}

/* Waits for more to do, some time.  False: it is to end, and the slot says that it does. */
static bool
wait_for_order(AmpsfWorkOrder *order, AmpsfWorkSlot *slot)
{
	TimestampTz since = GetCurrentTimestamp();

	pg_atomic_write_u32(&slot->state, AMPSF_WORK_IDLE);
	(void) ampsf_launcher_nudge();
	for (;;)
	{
		uint32 state = pg_atomic_read_u32(&slot->state);
		long left = LINGER - TimestampDifferenceMilliseconds(since, GetCurrentTimestamp());

		if (state == AMPSF_WORK_ORDERED)
		{
			order->key = slot->key;
			pg_atomic_write_u32(&slot->state, AMPSF_WORK_BUSY);
			return true;
		}
		if (state == AMPSF_WORK_LEAVING)
			return false;
		if (left <= 0)
		{
			/* Unless an order comes at this moment. */
			(void) pg_atomic_compare_exchange_u32(&slot->state, &state, AMPSF_WORK_LEAVING);
			continue;
		}
		(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, left,
						 PG_WAIT_EXTENSION);
		ResetLatch(MyLatch);
		CHECK_FOR_INTERRUPTS();
		if (ConfigReloadPending)
		{
			ConfigReloadPending = false;
			ProcessConfigFile(PGC_SIGHUP);
		}
	}
}

void
ampsf_worker_main(Datum arg)
{
	AmpsfWorkOrder order;
	dsm_segment *segment;
	AmpsfWorkSlot *slot;

	memcpy(&order, MyBgworkerEntry->bgw_extra, sizeof(order));
	pqsignal(SIGHUP, SignalHandlerForConfigReload);
	pqsignal(SIGTERM, die);
	BackgroundWorkerUnblockSignals();
	segment = dsm_attach(order.segment);
	/* The launcher is gone; the next one starts another worker. */
	if (segment == NULL)
		proc_exit(0);
	dsm_pin_mapping(segment);
	slot = (AmpsfWorkSlot *) dsm_segment_address(segment) + order.slot;
	BackgroundWorkerInitializeConnectionByOid(order.database, order.owner, 0);
	settle();
	slot->began = true;
	is_worker = true;
	MessageContext =
		AllocSetContextCreate(TopMemoryContext, "ampsf worker", ALLOCSET_DEFAULT_SIZES);
	MemoryContextSwitchTo(MessageContext);
	while (work(&order, slot) && wait_for_order(&order, slot))
		;
	proc_exit(0);
}
