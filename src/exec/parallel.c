/*
 * parallel.c - a scan that several processes share: sets up the chain of pages that they read, see
 * org/page_chain.h, and takes it down.  All of them go by the leader's login.
 *
 * The leader takes it down, whatever happens: when it leaves the shared memory segment, at the end
 * of the query or of a transaction that failed, the Bulk job is discarded and what the workers
 * spent is added to what it spent itself.
 */
#include "base/ampsf.h"
#include "exec/parallel.h"

#include "exec/scan.h"
#include "miscadmin.h"
#include "net/usage.h"
#include "org/bulk_job.h"
#include "org/page_chain.h"
#include "storage/dsm.h"
#include "utils/memutils.h"

/* The shared memory of a scan; the chain is behind it. */
typedef struct Shared
{
	AmpsfLoan loan;
} Shared;

/* What the leader must do when it leaves; in TopMemoryContext. */
typedef struct AmpsfLeave
{
	ParallelContext *pcxt;
	Shared *shared;
	AmpsfPageChain *chain;
	AmpsfShare *share;	   /* the leader's own */
	AmpsfSession *session; /* held */
	AmpsfUsage *usage;
	AmpsfScanState *state; /* NULL: the executor's memory is gone */
} AmpsfLeave;

static void *
place_of_chain(Shared *shared)
{
	return (char *) shared + MAXALIGN(sizeof(Shared));
}

static void
discard_job(AmpsfPageChain *chain, AmpsfSession *session)
{
	char id[AMPSF_JOB_ID_SIZE];
	bool ended;

	if (ampsf_chain_take_job(chain, id, sizeof(id), &ended))
		ampsf_bulk_discard(session, id, ended);
}

/* May run while a failed transaction is taken down: neither throws nor allocates. */
static void
leave_chain(dsm_segment *seg, Datum arg)
{
	AmpsfLeave *leave = (AmpsfLeave *) DatumGetPointer(arg);
	AmpsfStats spent;

	/* Workers that are still on their way must not leave a job behind. */
	ampsf_chain_close(leave->chain);
	discard_job(leave->chain, leave->session);
	ampsf_chain_spent(leave->chain, &spent);
	ampsf_session_count(leave->session, &spent);
	ampsf_usage_note(leave->usage, &spent);
	ampsf_session_release(leave->session);
	explicit_bzero(&leave->shared->loan, sizeof(AmpsfLoan));
	if (leave->state)
	{
		ampsf_stats_add(&leave->state->stats, &spent);
		leave->state->share = NULL;
		leave->state->leave = NULL;
	}
	pfree(leave);
}

static void
forget_state(void *arg)
{
	AmpsfScanState *state = arg;

	if (state->leave)
		state->leave->state = NULL;
}

Size
ampsfEstimateDSMForeignScan(ForeignScanState *node, ParallelContext *pcxt)
{
	return MAXALIGN(sizeof(Shared)) + ampsf_chain_size(pcxt->nworkers + 1);
}

void
ampsfInitializeDSMForeignScan(ForeignScanState *node, ParallelContext *pcxt, void *coordinate)
{
	AmpsfScanState *state = node->fdw_state;
	Shared *shared = coordinate;
	AmpsfSession *session;
	AmpsfLeave *leave;
	MemoryContext old;

	/* Without shared memory there will be no workers. */
	if (!pcxt->seg)
		return;
	session = ampsf_session_get(state->serverid, state->userid);
	ampsf_session_lend(session, &shared->loan);
	leave = MemoryContextAllocZero(TopMemoryContext, sizeof(AmpsfLeave));
	leave->pcxt = pcxt;
	leave->shared = shared;
	leave->session = session;
	leave->chain = ampsf_chain_create(place_of_chain(shared), pcxt->nworkers + 1);
	leave->usage = ampsf_session_usage(session, state->select.object, "query");
	on_dsm_detach(pcxt->seg, leave_chain, PointerGetDatum(leave));
	ampsf_session_hold(session);
	if (!state->on_reset.func)
	{
		state->on_reset.func = forget_state;
		state->on_reset.arg = state;
		MemoryContextRegisterResetCallback(node->ss.ps.state->es_query_cxt, &state->on_reset);
	}
	old = MemoryContextSwitchTo(node->ss.ps.state->es_query_cxt);
	leave->share = ampsf_share_join(leave->chain, 0);
	MemoryContextSwitchTo(old);
	leave->state = state;
	state->leave = leave;
	state->share = leave->share;
}

/* The workers of the run before have ended. */
void
ampsfReInitializeDSMForeignScan(ForeignScanState *node, ParallelContext *pcxt, void *coordinate)
{
	AmpsfLeave *leave = ((AmpsfScanState *) node->fdw_state)->leave;
	bool same;

	if (!leave)
		return;
	/* With parameters it may be another statement; a job that has no result yet is given up. */
	same =
		((AmpsfScanState *) node->fdw_state)->nparams == 0 && ampsf_chain_has_result(leave->chain);
	if (!same)
		discard_job(leave->chain, leave->session);
	ampsf_chain_renew(leave->chain, same);
	leave->share->claimed = false;
	/* It may be another by now. */
	ampsf_session_lend(leave->session, &leave->shared->loan);
}

void
ampsfInitializeWorkerForeignScan(ForeignScanState *node, shm_toc *toc, void *coordinate)
{
	AmpsfScanState *state = node->fdw_state;
	Shared *shared = coordinate;

	ampsf_session_borrow(ampsf_session_get(state->serverid, state->userid), &shared->loan);
	state->share = ampsf_share_join(place_of_chain(shared), ParallelWorkerNumber + 1);
}

/* A process that is alone asks for pages ahead, which those who share do not. */
void
ampsf_parallel_settle(ForeignScanState *node)
{
	AmpsfScanState *state = node->fdw_state;

	if (state->leave)
		state->share = state->leave->pcxt->nworkers_launched > 0 ? state->leave->share : NULL;
}

/*
 * Of the leader: the query wants no more rows, and the workers shall not wait for what nobody
 * wants. Of a worker: it will end, and with it what it knows.
 */
void
ampsfShutdownForeignScan(ForeignScanState *node)
{
	AmpsfScanState *state = node->fdw_state;

	if (!state || !state->share)
		return;
	if (!IsParallelWorker())
		ampsf_chain_close(state->share->chain);
	else
	{
		ampsf_chain_add_spent(state->share->chain, &state->stats);
		memset(&state->stats, 0, sizeof(state->stats));
	}
}
