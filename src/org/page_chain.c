/*
 * page_chain.c - see page_chain.h.
 *
 * Must not know: what an address means, who asks for it and how.
 */
#include "postgres.h"

#include "org/page_chain.h"

#include "base/compat.h"
#include "org/bulk_job.h"
#include "storage/condition_variable.h"
#include "storage/latch.h"
#include "storage/proc.h"
#include "storage/spin.h"

typedef enum ChainPhase
{
	CHAIN_NEW,	 /* the query has not been asked */
	CHAIN_TAKEN, /* somebody will tell */
	CHAIN_OPEN,	 /* address is that of a page that nobody reads */
	CHAIN_ENDED	 /* all pages have been claimed */
} ChainPhase;

struct AmpsfPageChain
{
	slock_t mutex;
	ConditionVariable moved;
	ChainPhase phase;
	bool closed;
	uint32 statement;
	int begun, done; /* pages */
	int64 rows;		 /* of those done */
	int64 total;
	bool has_job, job_ended;
	char job[AMPSF_JOB_ID_SIZE];
	char address[AMPSF_PAGE_ADDRESS_MAX];
	AmpsfStats spent;
	int processes;
	Latch *latches[FLEXIBLE_ARRAY_MEMBER]; /* of those who take part; NULL: has not come */
};

Size
ampsf_chain_size(int processes)
{
	return offsetof(AmpsfPageChain, latches) + sizeof(Latch *) * processes;
}

static void
start_over(AmpsfPageChain *chain)
{
	chain->phase = CHAIN_NEW;
	chain->closed = false;
	chain->begun = chain->done = 0;
	chain->rows = 0;
	chain->total = -1;
	chain->has_job = chain->job_ended = false;
	chain->job[0] = chain->address[0] = '\0';
}

AmpsfPageChain *
ampsf_chain_create(void *place, int processes)
{
	AmpsfPageChain *chain = place;

	memset(chain, 0, ampsf_chain_size(processes));
	SpinLockInit(&chain->mutex);
	ConditionVariableInit(&chain->moved);
	chain->processes = processes;
	start_over(chain);
	return chain;
}

bool
ampsf_chain_has_result(AmpsfPageChain *chain)
{
	return chain->has_job && chain->job_ended && chain->total >= 0;
}

void
ampsf_chain_renew(AmpsfPageChain *chain, bool same)
{
	if (same)
	{
		chain->phase = CHAIN_OPEN;
		chain->closed = false;
		chain->begun = chain->done = 0;
		chain->rows = 0;
		chain->address[0] = '\0';
	}
	else
		start_over(chain);
	/* Other workers will come. */
	memset(chain->latches + 1, 0, sizeof(Latch *) * (chain->processes - 1));
}

void
ampsf_chain_close(AmpsfPageChain *chain)
{
	SpinLockAcquire(&chain->mutex);
	chain->closed = true;
	SpinLockRelease(&chain->mutex);
	ConditionVariableBroadcast(&chain->moved);
	/* Those who wait for the network.  Latches of processes that have ended may be set too. */
	for (int i = 0; i < chain->processes; i++)
		if (chain->latches[i])
			SetLatch(chain->latches[i]);
}

bool
ampsf_chain_take_job(AmpsfPageChain *chain, char *id, Size size, bool *complete)
{
	bool found;

	SpinLockAcquire(&chain->mutex);
	found = chain->has_job;
	chain->has_job = false;
	*complete = chain->job_ended;
	strlcpy(id, chain->job, size);
	SpinLockRelease(&chain->mutex);
	return found;
}

void
ampsf_chain_add_spent(AmpsfPageChain *chain, const AmpsfStats *stats)
{
	SpinLockAcquire(&chain->mutex);
	ampsf_stats_add(&chain->spent, stats);
	SpinLockRelease(&chain->mutex);
}

void
ampsf_chain_spent(AmpsfPageChain *chain, AmpsfStats *stats)
{
	SpinLockAcquire(&chain->mutex);
	*stats = chain->spent;
	SpinLockRelease(&chain->mutex);
}

AmpsfShare *
ampsf_share_join(AmpsfPageChain *chain, int number)
{
	AmpsfShare *share = palloc0(sizeof(AmpsfShare));

	Assert(number < chain->processes);
	share->chain = chain;
	chain->latches[number] = &MyProc->procLatch;
	return share;
}

bool
ampsf_share_claim(AmpsfShare *share)
{
	AmpsfPageChain *chain = share->chain;

	if (share->claimed)
		return true;
	for (;;)
	{
		bool over;

		SpinLockAcquire(&chain->mutex);
		over = chain->closed || chain->phase == CHAIN_ENDED;
		if (!over && chain->phase != CHAIN_TAKEN)
		{
			share->claimed = true;
			share->first = chain->phase == CHAIN_NEW;
			share->page_no = ++chain->begun;
			strcpy(share->address, chain->address);
			if (share->first)
				chain->statement = share->statement;
			chain->phase = CHAIN_TAKEN;
		}
		SpinLockRelease(&chain->mutex);
		if (over || share->claimed)
			break;
		ConditionVariableSleep(&chain->moved, ampsf_wait_event());
	}
	ConditionVariableCancelSleep();
	/* What decides a parameter's value is the same for all; if not, rows would be mixed. */
	if (share->claimed && chain->statement != share->statement)
		elog(ERROR, "the processes of a parallel scan disagree on the statement");
	return share->claimed;
}

void
ampsf_share_tell(AmpsfShare *share, const char *address)
{
	AmpsfPageChain *chain = share->chain;

	Assert(share->claimed);
	if (address && strlen(address) >= AMPSF_PAGE_ADDRESS_MAX)
		ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
						errmsg("the address of a result page is too long to be shared"),
						errhint("The table's option parallel 'false' reads without workers.")));
	SpinLockAcquire(&chain->mutex);
	chain->phase = address ? CHAIN_OPEN : CHAIN_ENDED;
	if (address)
		strcpy(chain->address, address);
	SpinLockRelease(&chain->mutex);
	share->claimed = false;
	if (address)
		ConditionVariableSignal(&chain->moved);
	else
		ConditionVariableBroadcast(&chain->moved);
}

bool
ampsf_share_page_done(AmpsfShare *share, int64 rows, int64 *all_rows, int64 *total)
{
	AmpsfPageChain *chain = share->chain;
	bool all;

	SpinLockAcquire(&chain->mutex);
	chain->done++;
	chain->rows += rows;
	all = chain->phase == CHAIN_ENDED && chain->done == chain->begun;
	*all_rows = chain->rows;
	*total = chain->total;
	SpinLockRelease(&chain->mutex);
	return !all || *total < 0 || *all_rows == *total;
}

bool
ampsf_share_is_closed(AmpsfShare *share)
{
	bool closed;

	SpinLockAcquire(&share->chain->mutex);
	closed = share->chain->closed;
	SpinLockRelease(&share->chain->mutex);
	return closed;
}

void
ampsf_share_set_total(AmpsfShare *share, int64 total)
{
	SpinLockAcquire(&share->chain->mutex);
	share->chain->total = total;
	SpinLockRelease(&share->chain->mutex);
}

int64
ampsf_share_total(AmpsfShare *share)
{
	int64 total;

	SpinLockAcquire(&share->chain->mutex);
	total = share->chain->total;
	SpinLockRelease(&share->chain->mutex);
	return total;
}

bool
ampsf_share_set_job(AmpsfShare *share, const char *id)
{
	bool closed;

	SpinLockAcquire(&share->chain->mutex);
	closed = share->chain->closed;
	if (!closed)
	{
		share->chain->has_job = true;
		strlcpy(share->chain->job, id, sizeof(share->chain->job));
	}
	SpinLockRelease(&share->chain->mutex);
	return !closed;
}

void
ampsf_share_job_ended(AmpsfShare *share)
{
	SpinLockAcquire(&share->chain->mutex);
	share->chain->job_ended = true;
	SpinLockRelease(&share->chain->mutex);
}

/* Does not change once a page's address has been told. */
const char *
ampsf_share_job(AmpsfShare *share)
{
	return share->chain->job;
}
