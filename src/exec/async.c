/*
 * async.c - scans under an asynchronous Append: the first requests of all of them are on their way
 * at once, and rows are taken from whichever has some.
 *
 * PostgreSQL's contract (execAsync.c, nodeAppend.c): ForeignAsyncRequest either delivers a row or
 * the end (ExecAsyncRequestDone) or says that there is none yet (ExecAsyncRequestPending).  Before
 * the Append sleeps, it calls ForeignAsyncConfigureWait for each scan that is pending, to register
 * what to wait for; if nothing is registered it does not sleep.  When an event comes,
 * ForeignAsyncNotify is called for the scan that registered it.
 *
 * All calls of a backend share one descriptor, which an event set takes only once.  So of the
 * pending scans of an Append the first registers for all.  Before that all of them are looked at:
 * whatever drove the network in the meantime may have completed a call of any of them, and no event
 * will tell of it.
 */
#include "base/ampsf.h"
#include "exec/async.h"

#include "exec/scan.h"
#include "executor/execAsync.h"
#include "executor/executor.h"
#include "executor/instrument.h"
#include "net/session.h"
#include "storage/latch.h"

/*
 * How many scans of an Append read at the same time.  Each takes a connection, and an org refuses
 * calls when some twenty of them have been running for long.
 */
#define MAX_READING 16

/* The scan of request i of the Append, if it is one of ours; else NULL. */
static ForeignScanState *
our_scan(AppendState *append, int i)
{
	PlanState *requestee = append->as_asyncrequests[i]->requestee;

	if (!IsA(requestee, ForeignScanState) ||
		((ForeignScanState *) requestee)->fdwroutine->ForeignAsyncRequest !=
			ampsfForeignAsyncRequest)
		return NULL;
	return (ForeignScanState *) requestee;
}

/* May one more scan of the Append begin?  Those that were pruned since the last rescan do not
 * count. */
static bool
may_begin(AppendState *append)
{
	int reading = 0;
	int i = -1;

	while (reading < MAX_READING && (i = bms_next_member(append->as_valid_asyncplans, i)) >= 0)
	{
		ForeignScanState *node = our_scan(append, i);

		if (node && ampsf_scan_is_reading(node))
			reading++;
	}
	return reading < MAX_READING;
}

/* Marks the request as done, with a row or the end, or as pending. */
static void
produce(AsyncRequest *areq)
{
	ForeignScanState *node = castNode(ForeignScanState, areq->requestee);
	TupleTableSlot *slot;

	if (!ampsf_scan_has_begun(node) && !may_begin(castNode(AppendState, areq->requestor)))
	{
		ExecAsyncRequestPending(areq);
		return;
	}
	/* Not ExecProcNode: the caller counts for EXPLAIN ANALYZE. */
	slot = areq->requestee->ExecProcNodeReal(areq->requestee);
	if (!TupIsNull(slot))
		ExecAsyncRequestDone(areq, slot);
	else if (ampsf_scan_is_pending(node))
		ExecAsyncRequestPending(areq);
	else
		ExecAsyncRequestDone(areq, NULL);
}

/* Outside of Request and Notify: delivers to the Append what a pending scan has, if it has
 * something. */
static void
serve(AsyncRequest *areq, bool counted)
{
	Instrumentation *instr = areq->requestee->instrument;

	areq->callback_pending = false;
	if (instr && !counted)
		InstrStartNode(instr);
	produce(areq);
	ExecAsyncResponse(areq);
	if (instr && !counted)
		InstrStopNode(instr, TupIsNull(areq->result) ? 0.0 : 1.0);
	else if (instr)
		InstrUpdateTupleCount(instr, TupIsNull(areq->result) ? 0.0 : 1.0);
}

/* Looks at all pending scans of the Append, until one look at all of them changed nothing. */
static void
serve_all(AppendState *append, AsyncRequest *current)
{
	uint64 moves;

	do
	{
		int i = -1;

		moves = ampsf_call_moves();
		while ((i = bms_next_member(append->as_asyncplans, i)) >= 0)
		{
			AsyncRequest *areq = append->as_asyncrequests[i];

			if (areq->callback_pending && our_scan(append, i))
				serve(areq, areq == current); /* core counts the one that it is configuring */
		}
	} while (bms_is_empty(append->as_needrequest) && moves != ampsf_call_moves());
}

/* Is a scan of another wrapper pending? */
static bool
others_wait(AppendState *append)
{
	int i = -1;

	while ((i = bms_next_member(append->as_asyncplans, i)) >= 0)
		if (append->as_asyncrequests[i]->callback_pending && !our_scan(append, i))
			return true;
	return false;
}

void
ampsfForeignAsyncRequest(AsyncRequest *areq)
{
	produce(areq);
}

void
ampsfForeignAsyncNotify(AsyncRequest *areq)
{
	/* The others are looked at before the Append sleeps again. */
	ampsf_call_drive();
	produce(areq);
}

void
ampsfForeignAsyncConfigureWait(AsyncRequest *areq)
{
	AppendState *append = castNode(AppendState, areq->requestor);

	/* There is a row already: the Append will not sleep, or whoever has it has seen to that. */
	if (!bms_is_empty(append->as_needrequest))
		return;
	/* A pending scan of ours before this one has registered for all. */
	for (int i = 0; i < areq->request_index; i++)
		if (bms_is_member(i, append->as_asyncplans) &&
			append->as_asyncrequests[i]->callback_pending && our_scan(append, i))
			return;

	serve_all(append, areq);
	if (bms_is_empty(append->as_needrequest))
	{
		/* If this was its end, the next pending scan will come here. */
		if (areq->callback_pending)
			AddWaitEventToSet(append->as_eventset, WL_SOCKET_READABLE, ampsf_call_fd(), NULL, areq);
	}
	else if (others_wait(append))
	{
		/* The Append will sleep although it has a row, because they register anyhow: wake it. */
		AddWaitEventToSet(append->as_eventset, WL_SOCKET_READABLE, ampsf_call_fd(), NULL, areq);
		ampsf_call_ring();
	}
}
