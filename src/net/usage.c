/*
 * usage.c - see usage.h.
 *
 * A backend counts for itself and hands on to shared memory what is new with each call and at the
 * end of a transaction, so that rows cost no lock.
 */
#include "net/usage.h"

#include "access/xact.h"
#include "miscadmin.h"
#include "storage/ipc.h"
#include "storage/lwlock.h"
#include "storage/shmem.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

/* So many accounts are kept for the server; what comes later is counted in one account without
 * names. */
#define MAX_SHARED 2000

struct AmpsfUsage
{
	AmpsfUsageKey key; /* first: the hash table's */
	AmpsfStats stats;
	AmpsfStats unshared; /* of these, what shared memory has not heard of */
	AmpsfUsage *next_dirty;
	bool dirty;
};

typedef struct SharedUsage
{
	AmpsfUsageKey key;
	AmpsfStats stats;
} SharedUsage;

typedef struct SharedHead
{
	LWLock *lock;
	TimestampTz since;
} SharedHead;

static HTAB *accounts = NULL;
static AmpsfUsage *dirty = NULL;

static SharedHead *shared = NULL; /* NULL: there is none */
static HTAB *shared_accounts = NULL;
static shmem_request_hook_type prev_request = NULL;
static shmem_startup_hook_type prev_startup = NULL;

static void
request_shmem(void)
{
	if (prev_request)
		prev_request();
	RequestAddinShmemSpace(add_size(MAXALIGN(sizeof(SharedHead)),
									hash_estimate_size(MAX_SHARED + 1, sizeof(SharedUsage))));
	RequestNamedLWLockTranche("ampsf_usage", 1);
}

static void
start_shmem(void)
{
	HASHCTL ctl = {.keysize = sizeof(AmpsfUsageKey), .entrysize = sizeof(SharedUsage)};
	bool found;

	if (prev_startup)
		prev_startup();
	LWLockAcquire(AddinShmemInitLock, LW_EXCLUSIVE);
	shared = ShmemInitStruct("ampsf usage", sizeof(SharedHead), &found);
	if (!found)
	{
		shared->lock = &(GetNamedLWLockTranche("ampsf_usage"))->lock;
		shared->since = GetCurrentTimestamp();
	}
	shared_accounts = ShmemInitHash("ampsf usage accounts", MAX_SHARED + 1, MAX_SHARED + 1, &ctl,
									HASH_ELEM | HASH_BLOBS);
	LWLockRelease(AddinShmemInitLock);
}

static SharedUsage *
shared_account(const AmpsfUsageKey *key)
{
	SharedUsage *to = hash_search(shared_accounts, key, HASH_FIND, NULL);
	AmpsfUsageKey rest = {.database = key->database};
	bool found;

	if (to)
		return to;
	if (hash_get_num_entries(shared_accounts) >= MAX_SHARED)
	{
		strlcpy(rest.kind, "other", sizeof(rest.kind));
		key = &rest;
	}
	to = hash_search(shared_accounts, key, HASH_ENTER_NULL, &found);
	if (to && !found)
		memset(&to->stats, 0, sizeof(to->stats));
	return to;
}

/* Hands on what is new. */
static void
publish(void)
{
	if (shared && dirty)
		LWLockAcquire(shared->lock, LW_EXCLUSIVE);
	else if (!dirty)
		return;
	for (AmpsfUsage *u = dirty; u; u = u->next_dirty)
	{
		SharedUsage *to = shared ? shared_account(&u->key) : NULL;

		if (to)
			ampsf_stats_add(&to->stats, &u->unshared);
		memset(&u->unshared, 0, sizeof(u->unshared));
		u->dirty = false;
	}
	dirty = NULL;
	if (shared)
		LWLockRelease(shared->lock);
}

static void
at_xact_end(XactEvent event, void *arg)
{
	switch (event)
	{
		case XACT_EVENT_COMMIT:
		case XACT_EVENT_PARALLEL_COMMIT:
		case XACT_EVENT_ABORT:
		case XACT_EVENT_PARALLEL_ABORT:
		case XACT_EVENT_PREPARE:
			publish();
			break;
		default:
			break;
	}
}

void
ampsf_usage_init(void)
{
	RegisterXactCallback(at_xact_end, NULL);
	if (!process_shared_preload_libraries_in_progress)
		return;
	prev_request = shmem_request_hook;
	shmem_request_hook = request_shmem;
	prev_startup = shmem_startup_hook;
	shmem_startup_hook = start_shmem;
}

AmpsfUsage *
ampsf_usage(Oid server, const char *object, const char *kind)
{
	AmpsfUsageKey key;
	AmpsfUsage *usage;
	bool found;

	if (!accounts)
	{
		HASHCTL ctl = {.keysize = sizeof(AmpsfUsageKey), .entrysize = sizeof(AmpsfUsage)};

		ctl.hcxt = TopMemoryContext;
		accounts = hash_create("ampsf usage", 64, &ctl, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	}
	memset(&key, 0, sizeof(key));
	key.database = MyDatabaseId;
	key.server = server;
	key.user = GetOuterUserId();
	strlcpy(key.object, object ? object : "", sizeof(key.object));
	strlcpy(key.kind, kind ? kind : "other", sizeof(key.kind));
	usage = hash_search(accounts, &key, HASH_ENTER, &found);
	if (!found)
		memset((char *) usage + sizeof(key), 0, sizeof(*usage) - sizeof(key));
	return usage;
}

static void
mark_dirty(AmpsfUsage *usage)
{
	if (usage->dirty)
		return;
	usage->dirty = true;
	usage->next_dirty = dirty;
	dirty = usage;
}

void
ampsf_usage_rows(AmpsfUsage *usage, int64 rows)
{
	usage->stats.rows += rows;
	usage->unshared.rows += rows;
	mark_dirty(usage);
}

void
ampsf_usage_add(AmpsfUsage *usage, const AmpsfStats *spent)
{
	ampsf_stats_add(&usage->stats, spent);
	ampsf_stats_add(&usage->unshared, spent);
	mark_dirty(usage);
	/* A call takes far longer than the lock. */
	if (spent->calls != 0)
		publish();
}

void
ampsf_usage_note(AmpsfUsage *usage, const AmpsfStats *spent)
{
	ampsf_stats_add(&usage->stats, spent);
}

void
ampsf_usage_backend(AmpsfUsageVisit visit, void *arg)
{
	HASH_SEQ_STATUS seq;
	AmpsfUsage *usage;

	if (!accounts)
		return;
	hash_seq_init(&seq, accounts);
	while ((usage = hash_seq_search(&seq)) != NULL)
		visit(&usage->key, &usage->stats, arg);
}

bool
ampsf_usage_server(AmpsfUsageVisit visit, void *arg, TimestampTz *since)
{
	HASH_SEQ_STATUS seq;
	SharedUsage *usage, *copy;
	int n = 0;

	if (!shared)
		return false;
	publish();
	*since = shared->since;
	copy = palloc(sizeof(SharedUsage) * (MAX_SHARED + 1));
	LWLockAcquire(shared->lock, LW_SHARED);
	hash_seq_init(&seq, shared_accounts);
	while ((usage = hash_seq_search(&seq)) != NULL)
	{
		if (usage->key.database == MyDatabaseId)
			copy[n++] = *usage;
	}
	LWLockRelease(shared->lock);
	for (int i = 0; i < n; i++)
		visit(&copy[i].key, &copy[i].stats, arg);
	pfree(copy);
	return true;
}
