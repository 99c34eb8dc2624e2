/*
 * wake.c - who starts a database's launcher: a backend that made work, once it has committed; the
 * first use of a foreign table in a backend, which takes up what was left before a restart of the
 * server, or the backend's first transaction, where sessions preload the library; and the starter,
 * where the server does.
 *
 * A launcher that finds nothing ends at once, so starting one too many costs a fork.  Must not
 * know: what there is to do.
 */
#include "postgres.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "access/genam.h"
#include "access/heapam.h"
#include "access/parallel.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "access/xlog.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_database.h"
#include "commands/dbcommands.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "postmaster/bgworker.h"
#include "storage/fd.h"
#include "storage/ipc.h"
#include "storage/lmgr.h"
#include "storage/latch.h"
#include "storage/proc.h"
#include "storage/procarray.h"
#include "tcop/tcopprot.h"
#include "utils/acl.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "base/ampsf.h"
#include "base/guc.h"
#include "sync/presence.h"
#include "sync/worker.h"

PG_FUNCTION_INFO_V1(ampsf_sql_wake);
PG_FUNCTION_INFO_V1(ampsf_sql_stop_workers);

extern PGDLLEXPORT void ampsf_starter_main(Datum arg);

/* A launcher that failed is started anew so much later, in seconds. */
#define RESTART_TIME 10

static bool wake_at_commit = false;
static bool start_at_commit = false; /* if there is nobody to wake */
static bool looked = false;
static bool look_at_commit = false; /* the library was there before the first transaction */
static BackgroundWorkerHandle *started = NULL;

static void
idle_file(char *name, size_t size, Oid database)
{
	snprintf(name, size, PG_STAT_TMP_DIR "/ampsf_fdw.%u.idle", database);
}

static bool
start_launcher(Oid database)
{
	BackgroundWorker worker = {0};
	char idle[MAXPGPATH];
	MemoryContext old;
	bool ok;

	idle_file(idle, sizeof(idle), database);
	(void) unlink(idle);

	worker.bgw_flags = BGWORKER_SHMEM_ACCESS | BGWORKER_BACKEND_DATABASE_CONNECTION;
	worker.bgw_start_time = BgWorkerStart_RecoveryFinished;
	worker.bgw_restart_time = RESTART_TIME;
	strlcpy(worker.bgw_library_name, AMPSF_FDW_NAME, sizeof(worker.bgw_library_name));
	strlcpy(worker.bgw_function_name, "ampsf_launcher_main", sizeof(worker.bgw_function_name));
	snprintf(worker.bgw_name, sizeof(worker.bgw_name), "ampsf launcher %u", database);
	strlcpy(worker.bgw_type, "ampsf launcher", sizeof(worker.bgw_type));
	worker.bgw_main_arg = ObjectIdGetDatum(database);
	old = MemoryContextSwitchTo(TopMemoryContext);
	if (started != NULL)
		pfree(started);
	started = NULL;
	ok = RegisterDynamicBackgroundWorker(&worker, &started);
	MemoryContextSwitchTo(old);
	return ok;
}

bool
ampsf_launcher_nudge(void)
{
	int pid = ampsf_presence_holder(ampsf_place_launcher(MyDatabaseId));
	PGPROC *proc = pid > 0 ? BackendPidGetProc(pid) : NULL;

	if (proc != NULL)
		SetLatch(&proc->procLatch);
	return pid > 0;
}

/* False where no process is to be had.  Does not raise: it may be called after a commit. */
static bool
wake_launcher(void)
{
	pid_t pid;

	if (ampsf_launcher_nudge())
		return true;
	/* One that has not begun yet will see what was committed by now. */
	if (started != NULL && GetBackgroundWorkerPid(started, &pid) == BGWH_NOT_YET_STARTED)
		return true;
	return start_launcher(MyDatabaseId);
}

/* Where there is nobody to wake: workers of our own do not come here, as their launcher lives. */
static bool
may_wake(void)
{
	return ampsf_max_sync_workers > 0 && IsUnderPostmaster && OidIsValid(MyDatabaseId) &&
		   !IsParallelWorker() && !RecoveryInProgress() && !IsBinaryUpgrade;
}

static void
on_xact_event(XactEvent event, void *arg)
{
	/* A launcher waits for the outcome of what is prepared: who tells it need not know of us. */
	bool made = event == XACT_EVENT_COMMIT || event == XACT_EVENT_PREPARE;

	if (look_at_commit && event == XACT_EVENT_PRE_COMMIT && IsNormalProcessingMode())
	{
		look_at_commit = false;
		ampsf_launcher_first_use();
	}
	if (!wake_at_commit || event == XACT_EVENT_PRE_COMMIT || event == XACT_EVENT_PRE_PREPARE)
		return;
	if (made && !start_at_commit)
		(void) ampsf_launcher_nudge();
	else if (made && !wake_launcher())
		ereport(WARNING,
				(errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
				 errmsg("no background worker is free to keep mirrors and subscriptions"),
				 errhint("Raise max_worker_processes; CALL ampsf.sync_due() works without one.")));
	wake_at_commit = start_at_commit = false;
}

/*
 * What the caller's transaction has made is visible when it has committed: then the launcher is
 * woken, or started.  Without the latter: what it has to do may have become less.
 */
Datum
ampsf_sql_wake(PG_FUNCTION_ARGS)
{
	if (may_wake())
	{
		wake_at_commit = true;
		start_at_commit = start_at_commit || PG_GETARG_BOOL(0);
	}
	PG_RETURN_VOID();
}

/* Does a table of the extension's have a row?  What rows users see does not matter here. */
static bool
has_row(const char *name)
{
	Oid schema = get_namespace_oid("ampsf", true);
	Oid relid = OidIsValid(schema) ? get_relname_relid(name, schema) : InvalidOid;
	Relation rel;
	SysScanDesc scan;
	bool found;

	if (!OidIsValid(relid) || get_rel_relkind(relid) != RELKIND_RELATION)
		return false;
	if (!ConditionalLockRelationOid(relid, AccessShareLock))
		return false;
	rel = try_table_open(relid, NoLock);
	if (rel == NULL)
	{
		UnlockRelationOid(relid, AccessShareLock);
		return false;
	}
	scan = systable_beginscan(rel, InvalidOid, false, NULL, 0, NULL);
	found = HeapTupleIsValid(systable_getnext(scan));
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return found;
}

void
ampsf_launcher_idle(void)
{
	char name[MAXPGPATH];
	int fd;

	idle_file(name, sizeof(name), MyDatabaseId);
	(void) unlink(name);
	fd = OpenTransientFile(name, O_WRONLY | O_CREAT | PG_BINARY);
	if (fd >= 0)
		(void) CloseTransientFile(fd);
}

/* A launcher was here in the last minute, and had nothing to do: not each session is to start one.
 */
static bool
idle_lately(void)
{
	char name[MAXPGPATH];
	struct stat st;

	idle_file(name, sizeof(name), MyDatabaseId);
	return stat(name, &st) == 0 && time(NULL) - st.st_mtime < 60;
}

void
ampsf_launcher_first_use(void)
{
	if (looked || !may_wake() || !IsTransactionState())
		return;
	if (idle_lately())
		return;
	looked = true;
	/* One that is there knows what there is to do: it need not look for each session that begins.
	 */
	if (MyBgworkerEntry == NULL && ampsf_presence_holder(ampsf_place_launcher(MyDatabaseId)) == 0 &&
		(has_row("mirror_definition") || has_row("subscription")))
		looked = wake_launcher();
}

/*
 * Ends the launcher of this database, which ends its workers.  True if there was one.  It comes
 * back with the next use.
 */
Datum
ampsf_sql_stop_workers(PG_FUNCTION_ARGS)
{
	uint64 place = ampsf_place_launcher(MyDatabaseId);
	int pid = ampsf_presence_holder(place);

	if (!ampsf_owns_database(MyDatabaseId, GetUserId()))
		aclcheck_error(ACLCHECK_NOT_OWNER, OBJECT_DATABASE, get_database_name(MyDatabaseId));
	/* The next use in this session is not the first one: it does not bring it back. */
	looked = true;
	if (pid == 0)
		PG_RETURN_BOOL(false);
	if (BackendPidGetProc(pid) != NULL)
		(void) kill(pid, SIGTERM);
	while (ampsf_presence_holder(place) == pid)
	{
		(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, 20,
						 ampsf_wait_event());
		ResetLatch(MyLatch);
		CHECK_FOR_INTERRUPTS();
	}
	PG_RETURN_BOOL(true);
}

/*
 * Starts a launcher for each database, one after the other as processes are free; where there is
 * nothing to do it ends at once.
 */
void
ampsf_starter_main(Datum arg)
{
	List *databases = NIL;
	MemoryContext context;
	Relation rel;
	TableScanDesc scan;
	HeapTuple tuple;
	ListCell *lc;
	int patience = 60;

	pqsignal(SIGTERM, die);
	BackgroundWorkerUnblockSignals();
	if (ampsf_max_sync_workers == 0)
		proc_exit(0);
	BackgroundWorkerInitializeConnectionByOid(InvalidOid, InvalidOid, 0);
	context = CurrentMemoryContext;
	StartTransactionCommand();
	(void) GetTransactionSnapshot();
	rel = table_open(DatabaseRelationId, AccessShareLock);
	scan = table_beginscan_catalog(rel, 0, NULL);
	while ((tuple = heap_getnext(scan, ForwardScanDirection)) != NULL)
	{
		Form_pg_database database = (Form_pg_database) GETSTRUCT(tuple);

		if (database->datallowconn && !database->datistemplate)
		{
			MemoryContext old = MemoryContextSwitchTo(context);

			databases = lappend_oid(databases, database->oid);
			MemoryContextSwitchTo(old);
		}
	}
	table_endscan(scan);
	table_close(rel, AccessShareLock);
	CommitTransactionCommand();

	foreach (lc, databases)
	{
		while (ampsf_presence_holder(ampsf_place_launcher(lfirst_oid(lc))) == 0 &&
			   !start_launcher(lfirst_oid(lc)))
		{
			if (patience-- == 0)
				ereport(FATAL,
						(errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
						 errmsg("no background worker is free to keep mirrors and subscriptions"),
						 errhint("Raise max_worker_processes.")));
			(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, 1000,
							 ampsf_wait_event());
			ResetLatch(MyLatch);
			CHECK_FOR_INTERRUPTS();
		}
	}
	proc_exit(0);
}

void
ampsf_launcher_init(void)
{
	BackgroundWorker worker = {0};

	RegisterXactCallback(on_xact_event, NULL);
	/* By session_preload_libraries: whatever else loads it does so when the session has begun. */
	look_at_commit = IsUnderPostmaster && !IsNormalProcessingMode();
	if (!process_shared_preload_libraries_in_progress || IsBinaryUpgrade)
		return;
	worker.bgw_flags = BGWORKER_SHMEM_ACCESS | BGWORKER_BACKEND_DATABASE_CONNECTION;
	worker.bgw_start_time = BgWorkerStart_RecoveryFinished;
	worker.bgw_restart_time = BGW_NEVER_RESTART;
	strlcpy(worker.bgw_library_name, AMPSF_FDW_NAME, sizeof(worker.bgw_library_name));
	strlcpy(worker.bgw_function_name, "ampsf_starter_main", sizeof(worker.bgw_function_name));
	strlcpy(worker.bgw_name, "ampsf starter", sizeof(worker.bgw_name));
	strlcpy(worker.bgw_type, "ampsf starter", sizeof(worker.bgw_type));
	RegisterBackgroundWorker(&worker);
}
