/*
 * worker.c - the process that does one piece of work, as the role whose work it is.
 *
 * It ends with it; the launcher starts another one when there is more.  What goes wrong is told to
 * the launcher, which records it, where the work itself has not done so.  Must not know: what the
 * work is, except that events are waited for in C.
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
#include "sync/presence.h"
#include "sync/worker.h"

PG_FUNCTION_INFO_V1(ampsf_sql_work_pressed);

extern PGDLLEXPORT void ampsf_worker_main(Datum arg);

/* How long work may go on while other work waits for a worker, in milliseconds. */
#define TURN 30000

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
	char *sql = MemoryContextAlloc(TopMemoryContext, 100);

	snprintf(sql, 100, "CALL ampsf.work('%s', " INT64_FORMAT ")", order->kind, order->key);
	run_statement(sql);
}

/* What a role has set for its sessions holds, except what would end or hide a worker. */
static void
settle(const AmpsfWorkOrder *order)
{
	SetConfigOption("application_name", MyBgworkerEntry->bgw_name, PGC_USERSET, PGC_S_SESSION);
	SetConfigOption("client_encoding", GetDatabaseEncodingName(), PGC_USERSET, PGC_S_SESSION);
	SetConfigOption("statement_timeout", "0", PGC_USERSET, PGC_S_SESSION);
	if (GetConfigOption("transaction_timeout", true, false) != NULL)
		SetConfigOption("transaction_timeout", "0", PGC_USERSET, PGC_S_SESSION);
	/* A role that may only read by default has its mirrors all the same. */
	SetConfigOption("default_transaction_read_only", "off", PGC_USERSET, PGC_S_SESSION);
}

void
ampsf_worker_main(Datum arg)
{
	AmpsfWorkOrder order;
	dsm_segment *segment;
	AmpsfWorkReport *report;
	MemoryContext context;

	memcpy(&order, MyBgworkerEntry->bgw_extra, sizeof(order));
	pqsignal(SIGHUP, SignalHandlerForConfigReload);
	pqsignal(SIGTERM, die);
	BackgroundWorkerUnblockSignals();
	segment = dsm_attach(order.segment);
	/* The launcher is gone; the next one starts another worker. */
	if (segment == NULL)
		proc_exit(0);
	dsm_pin_mapping(segment);
	report = (AmpsfWorkReport *) dsm_segment_address(segment) + order.slot;
	if (!ampsf_presence_take(ampsf_place_work(order.database, order.kind, order.key)))
	{
		report->done = true;
		proc_exit(0);
	}
	BackgroundWorkerInitializeConnectionByOid(order.database, order.owner, 0);
	settle(&order);
	is_worker = true;
	turn_began = GetCurrentTimestamp();
	report->started = true;
	MessageContext =
		AllocSetContextCreate(TopMemoryContext, "ampsf worker", ALLOCSET_DEFAULT_SIZES);
	context = MemoryContextSwitchTo(MessageContext);

	PG_TRY();
	{
		do_work(&order);
		report->done = true;
	}
	PG_CATCH();
	{
		ErrorData *error;

		HOLD_INTERRUPTS();
		MemoryContextSwitchTo(context);
		error = CopyErrorData();
		FlushErrorState();
		strlcpy(report->error, error->message, sizeof(report->error));
		AbortOutOfAnyTransaction();
		RESUME_INTERRUPTS();
	}
	PG_END_TRY();
	proc_exit(0);
}
