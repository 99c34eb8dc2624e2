/*
 * mapping.c - what a user mapping keeps of a login that goes on; see mapping.h.
 *
 * A transaction of its own needs a process of its own: a background worker, which is given the
 * tokens in memory that is wiped.  It runs in a moment; whoever cancels the statement does not stop
 * it.
 */
#include "net/mapping.h"

#include <fcntl.h>

#include "access/htup_details.h"
#include "access/reloptions.h"
#include "access/table.h"
#include "access/xact.h"
#include "access/xlog.h"
#include "catalog/indexing.h"
#include "catalog/pg_user_mapping.h"
#include "commands/defrem.h"
#include "common/cryptohash.h"
#include "common/sha2.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "postmaster/bgworker.h"
#include "storage/dsm.h"
#include "storage/fd.h"
#include "storage/latch.h"
#include "storage/lock.h"
#include "storage/proc.h"
#include "utils/guc.h"
#include "utils/inval.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"
#include "utils/wait_event.h"

#include "base/ampsf.h"
#include "net/auth.h"

/* In the space of advisory locks, whose users have 1 and 2 here. */
#define LOCK_CLASS 0xA5F
#define LOCK_SPACE 7

#define TOKEN_MAX 8192
#define LINEAGE_LENGTH 16

static void
digest(const char *text, size_t len, uint8 out[PG_SHA256_DIGEST_LENGTH])
{
	pg_cryptohash_ctx *ctx = pg_cryptohash_create(PG_SHA256);

	if (pg_cryptohash_init(ctx) < 0 || pg_cryptohash_update(ctx, (const uint8 *) text, len) < 0 ||
		pg_cryptohash_final(ctx, out, PG_SHA256_DIGEST_LENGTH) < 0)
	{
		pg_cryptohash_free(ctx);
		elog(ERROR, "could not compute a SHA-256");
	}
	pg_cryptohash_free(ctx);
}

/* The first hexadecimal digits of a salted hash: it tells nothing of the token. */
static void
short_hash(const char *salt, const char *token, char out[LINEAGE_LENGTH + 1])
{
	char *text = psprintf("ampsf %s %s", salt, token);
	uint8 hash[PG_SHA256_DIGEST_LENGTH];

	digest(text, strlen(text), hash);
	ampsf_auth_wipe(text);
	pfree(text);
	for (int i = 0; i < LINEAGE_LENGTH / 2; i++)
		sprintf(out + 2 * i, "%02x", hash[i]);
}

/*
 * The login that a token belongs to: that of the first one, through all that replaced it.  The
 * option rotation, "LINEAGE:HASH", says so where HASH is the present token's; else the token is a
 * first one.
 */
static void
lineage_of(const char *token, const char *rotation, char out[LINEAGE_LENGTH + 1])
{
	char hash[LINEAGE_LENGTH + 1];

	if (rotation && strlen(rotation) == 2 * LINEAGE_LENGTH + 1)
	{
		memcpy(out, rotation, LINEAGE_LENGTH);
		out[LINEAGE_LENGTH] = '\0';
		short_hash(out, token, hash);
		if (strcmp(hash, rotation + LINEAGE_LENGTH + 1) == 0)
			return;
	}
	short_hash("", token, out);
}

static void
append_options(StringInfo buf, List *options)
{
	ListCell *lc;

	foreach (lc, options)
	{
		DefElem *def = lfirst_node(DefElem, lc);

		if (strcmp(def->defname, "refresh_token") != 0 &&
			strcmp(def->defname, "sfdx_auth_url") != 0 && strcmp(def->defname, "rotation") != 0)
			appendStringInfo(buf, "%s=%zu:%s\n", def->defname, strlen(defGetString(def)),
							 defGetString(def));
	}
}

void
ampsf_mapping_fingerprint(const UserMapping *mapping, const ForeignServer *server,
						  uint8 out[AMPSF_FINGERPRINT_SIZE])
{
	AmpsfUserOptions *user = ampsf_user_options(mapping);
	char lineage[LINEAGE_LENGTH + 1] = "";
	StringInfoData buf;

	initStringInfo(&buf);
	enlargeStringInfo(&buf, 32768);
	appendStringInfo(&buf, "%s %u\n", server->servername, mapping->userid);
	append_options(&buf, server->options);
	append_options(&buf, mapping->options);
	if (user->refresh_token)
		lineage_of(user->refresh_token, user->rotation, lineage);
	appendStringInfo(&buf, "%s %s %s %s", lineage, user->client_id ? user->client_id : "",
					 user->client_secret ? user->client_secret : "",
					 user->sfdx_host ? user->sfdx_host : "");
	digest(buf.data, buf.len, out);
	explicit_bzero(buf.data, buf.len);
	pfree(buf.data);
	ampsf_user_options_wipe(user);
}

UserMapping *
ampsf_mapping_read(Oid umid)
{
	HeapTuple tuple = SearchSysCache1(USERMAPPINGOID, ObjectIdGetDatum(umid));
	UserMapping *mapping;
	Datum options;
	bool isnull;

	if (!HeapTupleIsValid(tuple))
		return NULL;
	mapping = palloc0(sizeof(UserMapping));
	mapping->umid = umid;
	mapping->userid = ((Form_pg_user_mapping) GETSTRUCT(tuple))->umuser;
	mapping->serverid = ((Form_pg_user_mapping) GETSTRUCT(tuple))->umserver;
	options = SysCacheGetAttr(USERMAPPINGOID, tuple, Anum_pg_user_mapping_umoptions, &isnull);
	mapping->options = isnull ? NIL : untransformRelOptions(options);
	ReleaseSysCache(tuple);
	return mapping;
}

void
ampsf_mapping_wipe(UserMapping *mapping)
{
	ListCell *lc;

	foreach (lc, mapping->options)
		ampsf_auth_wipe(defGetString(lfirst_node(DefElem, lc)));
}

/* -------- one at a time -------- */

/*
 * The processes of a parallel statement do not conflict with each other in heavyweight locks, and
 * their tokens die all at once.  Among them a byte of a file decides, which every data directory
 * has.
 */
#define GROUP_LOCK_FILE "PG_VERSION"
#define GROUP_LOCK_POLL 20 /* milliseconds */
#ifdef F_OFD_SETLK
#define GROUP_LOCK F_OFD_SETLK
#else
#define GROUP_LOCK F_SETLK
#endif

/* Closed at the end of a transaction by itself, so what stands here may be stale. */
static int group_lock_fd = -1;

static void
lock_in_group(Oid umid)
{
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = umid, .l_len = 1};

	group_lock_fd = OpenTransientFile(GROUP_LOCK_FILE, O_RDWR | PG_BINARY);
	if (group_lock_fd < 0)
		ereport(ERROR, (errcode_for_file_access(),
						errmsg("could not open file \"%s\": %m", GROUP_LOCK_FILE)));
	while (fcntl(group_lock_fd, GROUP_LOCK, &lock) < 0)
	{
		if (errno != EAGAIN && errno != EACCES && errno != EINTR)
			ereport(ERROR, (errcode_for_file_access(),
							errmsg("could not lock file \"%s\": %m", GROUP_LOCK_FILE)));
		(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, GROUP_LOCK_POLL,
						 PG_WAIT_EXTENSION);
		ResetLatch(MyLatch);
		CHECK_FOR_INTERRUPTS();
	}
}

static void
lock_tag(Oid umid, LOCKTAG *tag)
{
	SET_LOCKTAG_ADVISORY(*tag, MyDatabaseId, LOCK_CLASS, umid, LOCK_SPACE);
}

void
ampsf_mapping_lock(Oid umid)
{
	LOCKTAG tag;

	lock_tag(umid, &tag);
	group_lock_fd = -1;
	(void) LockAcquire(&tag, ExclusiveLock, false, false);
	if (MyProc->lockGroupLeader != NULL)
		lock_in_group(umid);
	/* What the one before us stored is to be seen. */
	AcceptInvalidationMessages();
}

void
ampsf_mapping_unlock(Oid umid)
{
	LOCKTAG tag;

	if (group_lock_fd >= 0)
		CloseTransientFile(group_lock_fd);
	group_lock_fd = -1;
	lock_tag(umid, &tag);
	(void) LockRelease(&tag, ExclusiveLock, false);
}

/* -------- storing -------- */

static DefElem *
set_option(List *options, const char *name, char *value)
{
	DefElem *def = makeDefElem(pstrdup(name), (Node *) makeString(value), -1);
	ListCell *lc;

	def->defaction = DEFELEM_ADD;
	foreach (lc, options)
		if (strcmp(lfirst_node(DefElem, lc)->defname, name) == 0)
			def->defaction = DEFELEM_SET;
	return def;
}

/* The options to change so that the mapping has this token; NIL if it has another one than
 * expected. */
static List *
token_options(UserMapping *mapping, const char *expected, const char *token, bool rotated)
{
	AmpsfUserOptions *user = ampsf_user_options(mapping);
	List *changes = NIL;
	char lineage[LINEAGE_LENGTH + 1];
	char hash[LINEAGE_LENGTH + 1];

	if (expected && (!user->refresh_token || strcmp(user->refresh_token, expected) != 0))
		return NIL;
	if (user->sfdx_auth_url)
		changes = lappend(
			changes, set_option(mapping->options, "sfdx_auth_url", ampsf_sfdx_url(user, token)));
	else
		changes = lappend(changes, set_option(mapping->options, "refresh_token", pstrdup(token)));
	if (rotated)
	{
		lineage_of(user->refresh_token, user->rotation, lineage);
		short_hash(lineage, token, hash);
		changes = lappend(
			changes, set_option(mapping->options, "rotation", psprintf("%s:%s", lineage, hash)));
	}
	ampsf_user_options_wipe(user);
	return changes;
}

bool
ampsf_mapping_set_token(Oid umid, const char *expected, const char *token, bool rotated)
{
	Relation rel = table_open(UserMappingRelationId, RowExclusiveLock);
	HeapTuple tuple = SearchSysCacheCopy1(USERMAPPINGOID, ObjectIdGetDatum(umid));
	UserMapping *mapping = ampsf_mapping_read(umid);
	List *changes = mapping ? token_options(mapping, expected, token, rotated) : NIL;
	ListCell *lc;

	if (changes && HeapTupleIsValid(tuple))
	{
		Datum values[Natts_pg_user_mapping] = {0};
		bool nulls[Natts_pg_user_mapping] = {false};
		bool replaces[Natts_pg_user_mapping] = {false};
		bool isnull;
		Datum old = SysCacheGetAttr(USERMAPPINGOID, tuple, Anum_pg_user_mapping_umoptions, &isnull);

		/* Not by the validator: it asks what the present user may write. */
		values[Anum_pg_user_mapping_umoptions - 1] = transformGenericOptions(
			UserMappingRelationId, isnull ? PointerGetDatum(NULL) : old, changes, InvalidOid);
		replaces[Anum_pg_user_mapping_umoptions - 1] = true;
		tuple = heap_modify_tuple(tuple, RelationGetDescr(rel), values, nulls, replaces);
		CatalogTupleUpdate(rel, &tuple->t_self, tuple);
		CommandCounterIncrement();
	}
	if (mapping)
		ampsf_mapping_wipe(mapping);
	foreach (lc, changes)
		ampsf_auth_wipe(defGetString(lfirst_node(DefElem, lc)));
	table_close(rel, NoLock);
	return changes != NIL;
}

typedef struct RotationOrder
{
	Oid databaseid, umid;
	bool done;
	char old[TOKEN_MAX], token[TOKEN_MAX];
} RotationOrder;

extern PGDLLEXPORT void ampsf_rotation_main(Datum arg);

/* The worker: one transaction. */
void
ampsf_rotation_main(Datum arg)
{
	dsm_segment *segment;
	RotationOrder *order;

	BackgroundWorkerUnblockSignals();
	segment = dsm_attach(DatumGetUInt32(arg));
	if (segment == NULL)
		return;
	dsm_pin_mapping(segment);
	order = dsm_segment_address(segment);
	BackgroundWorkerInitializeConnectionByOid(order->databaseid, InvalidOid, 0);
	/* Whoever holds the mapping waits for us, perhaps. */
	SetConfigOption("lock_timeout", "5s", PGC_USERSET, PGC_S_SESSION);
	SetConfigOption("synchronous_commit", "local", PGC_USERSET, PGC_S_SESSION);
	StartTransactionCommand();
	PushActiveSnapshot(GetTransactionSnapshot());
	/* A mapping that has another token by now was altered meanwhile: that one counts. */
	(void) ampsf_mapping_set_token(order->umid, order->old, order->token, true);
	PopActiveSnapshot();
	CommitTransactionCommand();
	order->done = true;
}

/* Was the mapping made or altered by the present transaction, so that no other can see it? */
static bool
is_ours(Oid umid)
{
	HeapTuple tuple = SearchSysCache1(USERMAPPINGOID, ObjectIdGetDatum(umid));
	bool ours = false;

	if (HeapTupleIsValid(tuple))
	{
		ours = TransactionIdIsCurrentTransactionId(HeapTupleHeaderGetXmin(tuple->t_data));
		ReleaseSysCache(tuple);
	}
	return ours;
}

static bool
run_worker(RotationOrder *order, dsm_segment *segment, char **problem)
{
	BackgroundWorker worker = {0};
	BackgroundWorkerHandle *handle;
	BgwHandleStatus status;

	worker.bgw_flags = BGWORKER_SHMEM_ACCESS | BGWORKER_BACKEND_DATABASE_CONNECTION;
	worker.bgw_start_time = BgWorkerStart_RecoveryFinished;
	worker.bgw_restart_time = BGW_NEVER_RESTART;
	strlcpy(worker.bgw_library_name, AMPSF_FDW_NAME, sizeof(worker.bgw_library_name));
	strlcpy(worker.bgw_function_name, "ampsf_rotation_main", sizeof(worker.bgw_function_name));
	strlcpy(worker.bgw_name, "ampsf_fdw token store", sizeof(worker.bgw_name));
	strlcpy(worker.bgw_type, "ampsf_fdw token store", sizeof(worker.bgw_type));
	worker.bgw_main_arg = UInt32GetDatum(dsm_segment_handle(segment));
	worker.bgw_notify_pid = MyProcPid;
	if (!RegisterDynamicBackgroundWorker(&worker, &handle))
	{
		*problem =
			pstrdup("no background worker is free; max_worker_processes sets how many there are");
		return false;
	}
	status = WaitForBackgroundWorkerShutdown(handle);
	if (status == BGWH_STOPPED && order->done)
		return true;
	*problem = pstrdup("the background worker failed; the server's log says why");
	return false;
}

bool
ampsf_mapping_rotate(Oid umid, const char *old, const char *token, char **problem)
{
	dsm_segment *segment;
	RotationOrder *order;
	bool done;

	if (RecoveryInProgress())
	{
		*problem = pstrdup("a standby cannot write");
		return false;
	}
	if (is_ours(umid) && !IsInParallelMode())
	{
		(void) ampsf_mapping_set_token(umid, old, token, true);
		return true;
	}

	segment = dsm_create(sizeof(RotationOrder), DSM_CREATE_NULL_IF_MAXSEGMENTS);
	if (segment == NULL)
	{
		*problem = pstrdup("no shared memory segment is free");
		return false;
	}
	order = dsm_segment_address(segment);
	memset(order, 0, sizeof(*order));
	order->databaseid = MyDatabaseId;
	order->umid = umid;
	strlcpy(order->old, old, sizeof(order->old));
	strlcpy(order->token, token, sizeof(order->token));
	/* Not to be given up half-way: the worker may not have found the segment yet. */
	HOLD_INTERRUPTS();
	done = run_worker(order, segment, problem);
	RESUME_INTERRUPTS();
	explicit_bzero(order, sizeof(*order));
	dsm_detach(segment);
	return done;
}
