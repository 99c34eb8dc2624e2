/*
 * launcher.c - the process of a database that starts workers for what is due.
 *
 * What there is to do, and for whom, tells the SQL function ampsf.work_list(); the launcher runs
 * nothing of any user's.  When there is nothing left, now or later, it ends.  Workers are processes
 * of their own, each with the rights of the role whose work it does.  Must not know: what a kind
 * of work is, except that a worker of kind "events" stays for ever.
 */
#include "postgres.h"

#include <signal.h>
#include <unistd.h>

#include "access/xact.h"
#include "catalog/dependency.h"
#include "catalog/namespace.h"
#include "catalog/pg_extension.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "commands/extension.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "nodes/value.h"
#include "parser/parse_func.h"
#include "pgstat.h"
#include "postmaster/bgworker.h"
#include "postmaster/interrupt.h"
#include "storage/dsm.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "storage/proc.h"
#include "storage/procarray.h"
#include "tcop/tcopprot.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "base/ampsf.h"
#include "base/guc.h"
#include "sync/crash_notes.h"
#include "sync/presence.h"
#include "sync/worker.h"

extern PGDLLEXPORT void ampsf_launcher_main(Datum arg);

#define MAX_WORKERS 64

/* Milliseconds. */
#define IDLE_WAIT 60000	  /* the list is looked at at least so often */
#define REST 50			  /* between two looks, however often it is woken */
#define SOON 3000		  /* work that ended and is still due: not at once again */
#define ADOPTED_WAIT 5000 /* the end of another launcher's worker is not told to this one */
#define TROUBLE_WAIT 10000
#define PREPARED_WAIT 2000 /* COMMIT PREPARED tells nobody */
#define MAX_BACKOFF 60000
#define MIN_STAY 5000 /* who stays so long has done something */

#define NO_WORKER "no background worker is free: max_worker_processes is too small"

/* A piece of work that was listed, or is being done. */
typedef struct Job
{
	char kind[AMPSF_KIND_LEN];
	int64 key;
	Oid owner;
	TimestampTz due;
	bool listed;
	bool running; /* by a worker of this launcher's */
	bool adopted; /* by one of a launcher before */
	TimestampTz started;
	TimestampTz ended;
	TimestampTz not_before;
	int failures;
	char told[400]; /* what was recorded last that hinders it; "": nothing */
	char problem[400];
} Job;

typedef struct Worker
{
	BackgroundWorkerHandle *handle; /* NULL: there is none in this slot */
	Job *job;						/* NULL: it has nothing to do */
	Oid owner;
	char kind[AMPSF_KIND_LEN];
} Worker;

static List *jobs = NIL;
static dsm_segment *segment;
static AmpsfWorkSlot *slots;
static Worker workers[MAX_WORKERS];
static MemoryContext own_context; /* lives as long as the launcher */
static MemoryContext turn_context;
static bool connected = false;
static bool prepared = false;	  /* a prepared transaction may have made work */
static bool exhausted = false;	  /* it was logged that no process is to be had */
static char last_error[400] = ""; /* logged once, not at each turn */

static bool
stays(const char *kind)
{
	return strcmp(kind, "events") == 0;
}

/* -------- SQL -------- */

static void
begin(const char *activity)
{
	SetCurrentStatementStartTimestamp();
	StartTransactionCommand();
	SPI_connect();
	PushActiveSnapshot(GetTransactionSnapshot());
	pgstat_report_activity(STATE_RUNNING, activity);
}

static void
commit(void)
{
	SPI_finish();
	PopActiveSnapshot();
	CommitTransactionCommand();
	/* The end of a transaction forgets where memory came from. */
	MemoryContextSwitchTo(turn_context);
	pgstat_report_stat(true);
	pgstat_report_activity(STATE_IDLE, NULL);
}

/* Nothing is run that is not the extension's: this process is a superuser's. */
static bool
is_member(const char *function, int nargs, const Oid *args)
{
	Oid extension = get_extension_oid(AMPSF_FDW_NAME, true);
	Oid oid;

	if (!OidIsValid(extension) || !OidIsValid(get_namespace_oid("ampsf", true)))
		return false;
	oid = LookupFuncName(list_make2(makeString("ampsf"), makeString(pstrdup(function))), nargs,
						 args, true);
	return OidIsValid(oid) && getExtensionOfObject(ProcedureRelationId, oid) == extension;
}

static Job *
find(const char *kind, int64 key)
{
	MemoryContext old;
	ListCell *lc;
	Job *job;

	foreach (lc, jobs)
	{
		job = lfirst(lc);
		if (job->key == key && strcmp(job->kind, kind) == 0)
			return job;
	}
	old = MemoryContextSwitchTo(own_context);
	job = palloc0(sizeof(Job));
	strlcpy(job->kind, kind, sizeof(job->kind));
	job->key = key;
	jobs = lappend(jobs, job);
	MemoryContextSwitchTo(old);
	return job;
}

static void
read_row(HeapTuple row, TupleDesc desc)
{
	char *kind = SPI_getvalue(row, desc, 1);
	char *problem = SPI_getvalue(row, desc, 5);
	bool null;
	Datum key = SPI_getbinval(row, desc, 2, &null);
	Datum owner;
	Datum due;
	Job *job;

	if (kind == NULL || null || strlen(kind) >= AMPSF_KIND_LEN)
		return;
	job = find(kind, DatumGetInt64(key));
	owner = SPI_getbinval(row, desc, 3, &null);
	job->owner = null ? InvalidOid : DatumGetObjectId(owner);
	due = SPI_getbinval(row, desc, 4, &null);
	/* Somebody wants it at another time: what went before does not matter. */
	if (!null && job->due != DatumGetTimestampTz(due))
	{
		if (!stays(kind) && job->due != 0)
			job->not_before = 0;
		job->due = DatumGetTimestampTz(due);
	}
	strlcpy(job->problem, problem ? problem : "", sizeof(job->problem));
	job->listed = true;
}

/* What there is to do.  Jobs that are neither listed nor done any more are forgotten. */
static void
read_list(void)
{
	ListCell *lc;

	foreach (lc, jobs)
		((Job *) lfirst(lc))->listed = false;
	begin("ampsf.work_list()");
	if (is_member("work_list", 0, NULL))
	{
		if (SPI_execute("SELECT kind, key, owner, due, problem FROM ampsf.work_list()", false, 0) !=
			SPI_OK_SELECT)
			elog(ERROR, "could not read ampsf.work_list()");
		for (uint64 i = 0; i < SPI_processed; i++)
			read_row(SPI_tuptable->vals[i], SPI_tuptable->tupdesc);
	}
	prepared = false;
	if (is_member("work_prepared", 0, NULL))
	{
		bool null;

		if (SPI_execute("SELECT ampsf.work_prepared()", false, 0) != SPI_OK_SELECT ||
			SPI_processed != 1)
			elog(ERROR, "could not run ampsf.work_prepared()");
		prepared =
			DatumGetBool(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &null));
	}
	commit();
	foreach (lc, jobs)
	{
		Job *job = lfirst(lc);

		if (!job->listed && !job->running)
		{
			jobs = foreach_delete_current(jobs, lc);
			pfree(job);
		}
	}
}

/* "mirror contact", or "events 7"; inside of a transaction, and good for as long. */
static const char *
name_of(const Job *job)
{
	char *table = stays(job->kind) ? NULL : get_rel_name((Oid) (job->key & PG_UINT32_MAX));

	return table ? psprintf("%s %s", job->kind, table)
				 : psprintf("%s " INT64_FORMAT, job->kind, job->key);
}

/* Records why it is not done; counts: it was tried. */
static void
record(Job *job, const char *problem, bool counts)
{
	static const Oid types[] = {TEXTOID, INT8OID, TEXTOID, BOOLOID};
	Oid argtypes[4];
	Datum args[4];

	if (!counts && strcmp(job->told, problem) == 0)
		return;
	memcpy(argtypes, types, sizeof(types));
	begin("ampsf.work_failed()");
	if (is_member("work_failed", 4, types))
	{
		args[0] = CStringGetTextDatum(job->kind);
		args[1] = Int64GetDatum(job->key);
		args[2] = CStringGetTextDatum(problem);
		args[3] = BoolGetDatum(counts);
		if (SPI_execute_with_args("SELECT ampsf.work_failed($1, $2, $3, $4)", 4, argtypes, args,
								  NULL, false, 0) != SPI_OK_SELECT)
			elog(ERROR, "could not run ampsf.work_failed()");
	}
	/* In the log once, until something else is the matter. */
	if (strcmp(job->told, problem) != 0 && !(exhausted && strcmp(problem, NO_WORKER) == 0))
		ereport(LOG, (errmsg("%s: %s", name_of(job), problem), errhidestmt(true)));
	commit();
	/* Who woke the launcher while it waited for the row was not heard. */
	SetLatch(MyLatch);
	strlcpy(job->told, problem, sizeof(job->told));
	exhausted = exhausted || strcmp(problem, NO_WORKER) == 0;
}

/* -------- workers -------- */

static void
set_latch(const Worker *worker)
{
	PGPROC *proc;
	pid_t pid;

	if (GetBackgroundWorkerPid(worker->handle, &pid) == BGWH_STARTED &&
		(proc = BackendPidGetProc(pid)) != NULL)
		SetLatch(&proc->procLatch);
}

/* A worker that has nothing to do is given something, or let go; false if it is not idle. */
static bool
tell(Worker *worker, AmpsfWorkState what, int64 key)
{
	AmpsfWorkSlot *slot = &slots[worker - workers];
	uint32 idle = AMPSF_WORK_IDLE;

	if (worker->handle == NULL || worker->job != NULL)
		return false;
	slot->key = key;
	if (!pg_atomic_compare_exchange_u32(&slot->state, &idle, what))
		return false;
	set_latch(worker);
	return true;
}

static bool
start_worker(Job *job)
{
	BackgroundWorker worker = {0};
	AmpsfWorkOrder order = {0};
	MemoryContext old;
	int i = 0;

	while (i < MAX_WORKERS && workers[i].handle != NULL)
		i++;
	if (i == MAX_WORKERS)
		return false;
	memset(&slots[i], 0, sizeof(AmpsfWorkSlot));
	pg_atomic_init_u32(&slots[i].state, AMPSF_WORK_BUSY);
	order.database = MyDatabaseId;
	order.owner = job->owner;
	order.key = job->key;
	strlcpy(order.kind, job->kind, sizeof(order.kind));
	order.segment = dsm_segment_handle(segment);
	order.slot = i;

	worker.bgw_flags = BGWORKER_SHMEM_ACCESS | BGWORKER_BACKEND_DATABASE_CONNECTION;
	worker.bgw_start_time = BgWorkerStart_RecoveryFinished;
	/* The launcher starts it anew, and is started anew itself. */
	worker.bgw_restart_time = BGW_NEVER_RESTART;
	strlcpy(worker.bgw_library_name, AMPSF_FDW_NAME, sizeof(worker.bgw_library_name));
	strlcpy(worker.bgw_function_name, "ampsf_worker_main", sizeof(worker.bgw_function_name));
	snprintf(worker.bgw_name, sizeof(worker.bgw_name), "ampsf %s", job->kind);
	snprintf(worker.bgw_type, sizeof(worker.bgw_type), "ampsf %s", job->kind);
	StaticAssertStmt(sizeof(order) <= BGW_EXTRALEN, "a work order must fit into bgw_extra");
	memcpy(worker.bgw_extra, &order, sizeof(order));
	worker.bgw_notify_pid = MyProcPid;

	old = MemoryContextSwitchTo(own_context);
	if (!RegisterDynamicBackgroundWorker(&worker, &workers[i].handle))
		workers[i].handle = NULL;
	MemoryContextSwitchTo(old);
	if (workers[i].handle == NULL)
		return false;
	exhausted = false;
	workers[i].job = job;
	workers[i].owner = job->owner;
	strlcpy(workers[i].kind, job->kind, sizeof(workers[i].kind));
	return true;
}

/* A worker of the same owner and kind may have time. */
static bool
give_to_idle(Job *job)
{
	for (int i = 0; i < MAX_WORKERS; i++)
	{
		Worker *worker = &workers[i];

		if (worker->owner == job->owner && strcmp(worker->kind, job->kind) == 0 &&
			tell(worker, AMPSF_WORK_ORDERED, job->key))
		{
			worker->job = job;
			return true;
		}
	}
	return false;
}

/*
 * A failure costs a wait, twice as long each time.  Who stays, and has done so for a while, begins
 * anew.
 */
static void
failed(Job *job, TimestampTz when)
{
	int wait = Min(1000 << Min(job->failures, 10), MAX_BACKOFF);

	if (stays(job->kind) && TimestampDifferenceExceeds(job->started, when, Max(4 * wait, MIN_STAY)))
	{
		job->failures = 0;
		wait = 1000;
	}
	job->failures++;
	job->not_before = TimestampTzPlusMilliseconds(when, wait);
}

/* What is being done now, should the server crash. */
static void
note_running(void)
{
	AmpsfCrashNote notes[MAX_WORKERS];
	int n = 0;

	memset(notes, 0, sizeof(notes));
	for (int i = 0; i < MAX_WORKERS; i++)
	{
		const Job *job = workers[i].job;

		if (job == NULL)
			continue;
		strlcpy(notes[n].kind, job->kind, sizeof(notes[n].kind));
		notes[n].key = job->key;
		notes[n].failures = job->failures;
		notes[n++].started = job->started;
	}
	ampsf_crash_notes_write(MyDatabaseId, notes, n);
}

/*
 * What was being done when the server crashed may be why it did: that goes on after a while, the
 * rest at once.
 */
static void
heed_notes(void)
{
	AmpsfCrashNote notes[MAX_WORKERS];
	int n = ampsf_crash_notes_read(MyDatabaseId, notes, MAX_WORKERS);
	TimestampTz now;

	if (n == 0)
		return;
	begin("what was being done");
	for (int i = 0; i < n; i++)
	{
		Job *job = find(notes[i].kind, notes[i].key);

		job->failures = Max(notes[i].failures, 0);
		job->started = notes[i].started;
		now = GetCurrentTimestamp();
		failed(job, now);
		ereport(LOG, (errmsg("%s was being done when the server crashed: it goes on in %ld seconds",
							 name_of(job),
							 TimestampDifferenceMilliseconds(now, job->not_before) / 1000)));
	}
	commit();
}

static void
job_ended(Job *job, const char *problem)
{
	job->ended = GetCurrentTimestamp();
	job->running = false;
	if (problem == NULL)
	{
		job->failures = 0;
		job->told[0] = '\0';
		job->not_before = TimestampTzPlusMilliseconds(job->ended, SOON);
		return;
	}
	failed(job, job->ended);
	record(job, problem, true);
}

/* Which workers have done their work, or have ended: as they should, or why not. */
static void
look_after_workers(void)
{
	for (int i = 0; i < MAX_WORKERS; i++)
	{
		Worker *worker = &workers[i];
		Job *job = worker->job;
		bool stopped;
		uint32 state;
		const char *problem = NULL;
		pid_t pid;

		if (worker->handle == NULL)
			continue;
		stopped = GetBackgroundWorkerPid(worker->handle, &pid) == BGWH_STOPPED;
		state = pg_atomic_read_u32(&slots[i].state);
		if (!stopped && state != AMPSF_WORK_IDLE && state != AMPSF_WORK_LEAVING)
			continue;
		if (state == AMPSF_WORK_BUSY || state == AMPSF_WORK_ORDERED)
			problem = slots[i].error[0] != '\0' ? pstrdup(slots[i].error)
					  : slots[i].began
						  ? "the background worker was terminated"
						  : "the background worker could not begin: the server's log says why";
		worker->job = NULL;
		if (stopped)
		{
			pfree(worker->handle);
			worker->handle = NULL;
		}
		if (job != NULL)
			job_ended(job, problem);
	}
}

/* What is due longest comes first; what has had its turn, after those that have not. */
static int
by_turn(const ListCell *a, const ListCell *b)
{
	const Job *x = lfirst(a);
	const Job *y = lfirst(b);
	TimestampTz tx = Max(x->due, x->ended);
	TimestampTz ty = Max(y->due, y->ended);

	return tx < ty ? -1 : tx > ty ? 1 : x->key < y->key ? -1 : x->key > y->key;
}

static void
at_most(long *wait, long ms)
{
	*wait = Min(*wait, Max(ms, 0));
}

/* Workers of this launcher's that do not stay, and what those of one before do. */
static int
count_workers(long *wait)
{
	ListCell *lc;
	int n = 0;

	for (int i = 0; i < MAX_WORKERS; i++)
		n += workers[i].handle != NULL && !stays(workers[i].kind);
	foreach (lc, jobs)
	{
		Job *job = lfirst(lc);

		job->adopted =
			!job->running &&
			ampsf_presence_holder(ampsf_place_work(MyDatabaseId, job->kind, job->key)) != 0;
		if (!job->adopted)
			continue;
		at_most(wait, ADOPTED_WAIT);
		n += !stays(job->kind);
	}
	return n;
}

static void
let_an_idle_one_go(void)
{
	for (int i = 0; i < MAX_WORKERS; i++)
		if (tell(&workers[i], AMPSF_WORK_LEAVING, 0))
			return;
}

/* False: no worker is free, for want of processes or by the setting. */
static bool
start(Job *job, int *busy, bool *waiting)
{
	if (!give_to_idle(job))
	{
		if (!stays(job->kind) && *busy >= ampsf_max_sync_workers)
		{
			*waiting = true;
			let_an_idle_one_go();
			return true;
		}
		if (!start_worker(job))
			return false;
		*busy += !stays(job->kind);
	}
	job->running = true;
	job->started = GetCurrentTimestamp();
	return true;
}

/* Milliseconds until the next look. */
static long
start_workers(void)
{
	TimestampTz now = GetCurrentTimestamp();
	long wait = IDLE_WAIT;
	bool waiting = false;
	int busy;
	ListCell *lc;

	list_sort(jobs, by_turn);
	busy = count_workers(&wait);
	foreach (lc, jobs)
	{
		Job *job = lfirst(lc);
		TimestampTz when;

		/* The clock may have been set back. */
		job->not_before = Min(job->not_before, TimestampTzPlusMilliseconds(now, MAX_BACKOFF));
		when = Max(job->due, job->not_before);
		if (job->running || job->adopted || !job->listed)
			continue;
		if (job->problem[0] != '\0')
			record(job, job->problem, false);
		else if (when > now)
			at_most(&wait, TimestampDifferenceMilliseconds(now, when) + 1);
		else if (!start(job, &busy, &waiting))
		{
			at_most(&wait, TROUBLE_WAIT);
			let_an_idle_one_go();
			record(job, NO_WORKER, false);
		}
	}
	/* Long work makes room when others wait. */
	if (waiting)
		(void) ampsf_presence_take(ampsf_place_waiting(MyDatabaseId));
	else
		ampsf_presence_give(ampsf_place_waiting(MyDatabaseId));
	return wait;
}

static void
stop_all(void)
{
	ListCell *lc;

	for (int i = 0; i < MAX_WORKERS; i++)
		if (workers[i].handle != NULL && !tell(&workers[i], AMPSF_WORK_LEAVING, 0))
			TerminateBackgroundWorker(workers[i].handle);
	foreach (lc, jobs)
	{
		Job *job = lfirst(lc);
		int pid = ampsf_presence_holder(ampsf_place_work(MyDatabaseId, job->kind, job->key));

		if (!job->running && pid > 0)
			(void) kill(pid, SIGTERM);
	}
}

/* -------- the process -------- */

/*
 * A launcher that could not connect would be started again and again: its database is gone, or
 * lets nobody in.  An exit status of 0 ends that.
 */
static void
gone(int code, Datum arg)
{
	if (!connected && code == 1)
		_exit(0);
}

/*
 * One look at what there is to do.  -1: nothing, now or later; otherwise milliseconds until the
 * next one.  An error is logged, and the next look comes later.
 */
static long
turn(void)
{
	volatile long wait = TROUBLE_WAIT;
	MemoryContext old = MemoryContextSwitchTo(turn_context);

	PG_TRY();
	{
		look_after_workers();
		read_list();
		wait = jobs == NIL ? -1 : start_workers();
		if (prepared)
			wait = wait < 0 ? PREPARED_WAIT : Min(wait, PREPARED_WAIT);
		note_running();
		last_error[0] = '\0';
	}
	PG_CATCH();
	{
		ErrorData *error;

		HOLD_INTERRUPTS();
		MemoryContextSwitchTo(turn_context);
		error = CopyErrorData();
		FlushErrorState();
		AbortOutOfAnyTransaction();
		/* Somebody has locked the extension's tables: that passes. */
		if (error->sqlerrcode != ERRCODE_LOCK_NOT_AVAILABLE &&
			strcmp(last_error, error->message) != 0)
		{
			strlcpy(last_error, error->message, sizeof(last_error));
			ereport(LOG, (errmsg("looking for work of mirrors and subscriptions failed: %s",
								 error->message),
						  errdetail("It is tried again each %d seconds.", TROUBLE_WAIT / 1000)));
		}
		pgstat_report_activity(STATE_IDLE, NULL);
		RESUME_INTERRUPTS();
	}
	PG_END_TRY();
	MemoryContextSwitchTo(old);
	MemoryContextReset(turn_context);
	return wait;
}

static void
launch(void)
{
	while (!ShutdownRequestPending)
	{
		long wait;

		CHECK_FOR_INTERRUPTS();
		if (ConfigReloadPending)
		{
			ConfigReloadPending = false;
			ProcessConfigFile(PGC_SIGHUP);
		}
		if (ampsf_max_sync_workers == 0)
			return;
		wait = turn();
		if (wait < 0)
		{
			/* Who commits work from here on finds no launcher, and starts one: what was committed
			 * before is seen by one more look. */
			ampsf_presence_give(ampsf_place_launcher(MyDatabaseId));
			if (turn() < 0)
			{
				ampsf_launcher_idle();
				return;
			}
			if (!ampsf_presence_take(ampsf_place_launcher(MyDatabaseId)))
				return;
			continue;
		}
		/* Each commit that makes work wakes it. */
		(void) WaitLatch(MyLatch, WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, Min(wait, REST),
						 PG_WAIT_EXTENSION);
		(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, wait,
						 PG_WAIT_EXTENSION);
		ResetLatch(MyLatch);
	}
}

void
ampsf_launcher_main(Datum arg)
{
	Oid database = DatumGetObjectId(arg);

	pqsignal(SIGHUP, SignalHandlerForConfigReload);
	pqsignal(SIGTERM, SignalHandlerForShutdownRequest);
	BackgroundWorkerUnblockSignals();
	if (!ampsf_presence_take(ampsf_place_launcher(database)))
		proc_exit(0);
	on_proc_exit(gone, (Datum) 0);
	BackgroundWorkerInitializeConnectionByOid(database, InvalidOid, 0);
	connected = true;
	SetConfigOption("search_path", "pg_catalog, pg_temp", PGC_USERSET, PGC_S_SESSION);
	SetConfigOption("lock_timeout", "2s", PGC_USERSET, PGC_S_SESSION);
	SetConfigOption("default_transaction_read_only", "off", PGC_USERSET, PGC_S_SESSION);
	SetConfigOption("synchronous_commit", "local", PGC_USERSET, PGC_S_SESSION);
	own_context = AllocSetContextCreate(TopMemoryContext, "ampsf launcher", ALLOCSET_SMALL_SIZES);
	turn_context =
		AllocSetContextCreate(TopMemoryContext, "ampsf launcher turn", ALLOCSET_DEFAULT_SIZES);
	segment = dsm_create(sizeof(AmpsfWorkSlot) * MAX_WORKERS, 0);
	dsm_pin_mapping(segment);
	slots = dsm_segment_address(segment);
	heed_notes();
	launch();
	stop_all();
	ampsf_crash_notes_write(database, NULL, 0);
	proc_exit(0);
}
