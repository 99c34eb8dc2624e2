/*
 * write_error.c - the session's side of ampsf.write_error: hands rows to a background worker, which
 * has a transaction of its own (write_error_worker.c), and waits until it has committed them.
 *
 * Must not know: why a row failed, and what follows from that.
 */
#include "base/ampsf.h"
#include "exec/write_error.h"

#include "access/xact.h"
#include "catalog/namespace.h"
#include "mb/pg_wchar.h"
#include "postmaster/bgworker.h"
#include "storage/dsm.h"
#include "storage/proc.h"
#include "storage/shm_mq.h"
#include "storage/shm_toc.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"

#include "base/error.h"

/* So many bytes of a row, or of a statement, are told in a warning. */
#define WARNING_BYTES 2000
/* A statement's text is kept up to this length. */
#define STATEMENT_BYTES 10000
/* Milliseconds between two looks whether the worker is alive. */
#define LOOK_AGAIN 1000

struct AmpsfWriteErrors
{
	char *server, *relation, *object, *operation, *statement;
	Oid role;
	Oid table;
	MemoryContext cxt;
	MemoryContext row_cxt; /* of one message */
	MemoryContextCallback on_reset;
	bool tried; /* to start a worker */
	dsm_segment *seg;
	BackgroundWorkerHandle *worker;
	shm_mq_handle *queue;
	AmpsfWriteErrorShared *shared;
	uint64 sent;
};

const char *
ampsf_outcome_name(AmpsfOutcome outcome)
{
	static const char *const names[] = {"written", "refused", "in doubt", "not sent", "queued"};

	return names[outcome];
}

static void
let_go(AmpsfWriteErrors *log)
{
	if (log->seg != NULL)
		dsm_detach(log->seg);
	log->seg = NULL;
	log->queue = NULL;
	log->shared = NULL;
}

static void
forget(void *arg)
{
	let_go(arg);
}

/* Cut between characters. */
static char *
copy_text(const char *s, int max)
{
	int len = (int) strlen(s);

	return len <= max ? pstrdup(s) : pnstrdup(s, pg_mbcliplen(s, len, max));
}

AmpsfWriteErrors *
ampsf_write_errors_open(const AmpsfWriteErrorHead *head, MemoryContext cxt)
{
	MemoryContext old = MemoryContextSwitchTo(cxt);
	AmpsfWriteErrors *log = palloc0(sizeof(AmpsfWriteErrors));
	Oid schema = get_namespace_oid("ampsf", true);

	log->server = pstrdup(head->server);
	log->relation = pstrdup(head->relation);
	log->object = pstrdup(head->object);
	log->operation = pstrdup(head->operation);
	log->statement = head->statement != NULL ? copy_text(head->statement, STATEMENT_BYTES) : NULL;
	log->role = GetUserId();
	/* Looked up here: when it is needed, the transaction may be broken. */
	if (OidIsValid(schema))
		log->table = get_relname_relid("write_error", schema);
	log->cxt = cxt;
	log->row_cxt = AllocSetContextCreate(cxt, "ampsf_fdw write error", ALLOCSET_DEFAULT_SIZES);
	log->on_reset.func = forget;
	log->on_reset.arg = log;
	MemoryContextRegisterResetCallback(cxt, &log->on_reset);
	MemoryContextSwitchTo(old);
	return log;
}

void
ampsf_write_errors_close(AmpsfWriteErrors *log)
{
	let_go(log);
}

/* A segment with the queue, and a worker that reads it; false if none can be had. */
static bool
start_worker(AmpsfWriteErrors *log)
{
	shm_toc_estimator est;
	BackgroundWorker worker = {0};
	shm_toc *toc;
	shm_mq *mq;
	Size size;
	MemoryContext old;

	log->tried = true;
	if (!OidIsValid(log->table))
		return false;
	old = MemoryContextSwitchTo(log->cxt);
	shm_toc_initialize_estimator(&est);
	shm_toc_estimate_chunk(&est, sizeof(AmpsfWriteErrorShared));
	shm_toc_estimate_chunk(&est, AMPSF_WRITE_ERROR_QUEUE);
	shm_toc_estimate_keys(&est, 2);
	size = shm_toc_estimate(&est);
	log->seg = dsm_create(size, DSM_CREATE_NULL_IF_MAXSEGMENTS);
	if (log->seg == NULL)
	{
		MemoryContextSwitchTo(old);
		return false;
	}
	/* It ends with our memory, not with a subtransaction. */
	dsm_pin_mapping(log->seg);
	toc = shm_toc_create(AMPSF_WRITE_ERROR_MAGIC, dsm_segment_address(log->seg), size);
	log->shared = shm_toc_allocate(toc, sizeof(AmpsfWriteErrorShared));
	log->shared->database = MyDatabaseId;
	log->shared->table = log->table;
	log->shared->role = log->role;
	log->shared->session = MyProc;
	pg_atomic_init_u64(&log->shared->committed, 0);
	shm_toc_insert(toc, AMPSF_WRITE_ERROR_KEY_SHARED, log->shared);
	mq = shm_mq_create(shm_toc_allocate(toc, AMPSF_WRITE_ERROR_QUEUE), AMPSF_WRITE_ERROR_QUEUE);
	shm_toc_insert(toc, AMPSF_WRITE_ERROR_KEY_QUEUE, mq);
	shm_mq_set_sender(mq, MyProc);

	worker.bgw_flags = BGWORKER_SHMEM_ACCESS | BGWORKER_BACKEND_DATABASE_CONNECTION;
	worker.bgw_start_time = BgWorkerStart_RecoveryFinished;
	worker.bgw_restart_time = BGW_NEVER_RESTART;
	strlcpy(worker.bgw_library_name, AMPSF_FDW_NAME, BGW_MAXLEN);
	strlcpy(worker.bgw_function_name, "ampsf_write_error_main", BGW_MAXLEN);
	snprintf(worker.bgw_name, BGW_MAXLEN, "ampsf_fdw write errors of process %d", MyProcPid);
	strlcpy(worker.bgw_type, "ampsf_fdw write errors", BGW_MAXLEN);
	worker.bgw_main_arg = UInt32GetDatum(dsm_segment_handle(log->seg));
	worker.bgw_notify_pid = MyProcPid;
	if (!RegisterDynamicBackgroundWorker(&worker, &log->worker))
	{
		let_go(log);
		MemoryContextSwitchTo(old);
		return false;
	}
	log->queue = shm_mq_attach(mq, log->seg, log->worker);
	MemoryContextSwitchTo(old);
	return true;
}

static void
put(StringInfo buf, const char *s, int len)
{
	int32 n = s != NULL ? len : -1;

	appendBinaryStringInfo(buf, (const char *) &n, sizeof(n));
	if (s != NULL)
		appendBinaryStringInfo(buf, s, len);
}

static void
put_text(StringInfo buf, const char *s)
{
	put(buf, s, s != NULL ? (int) strlen(s) : 0);
}

static char *
clean(const char *s)
{
	return s != NULL ? ampsf_clean_text(s, strlen(s)) : NULL;
}

/* The row as a JSON object in the server's encoding. */
static char *
row_text(const AmpsfWriteResult *res)
{
	char *text =
		res->row != NULL ? psprintf("{%.*s}", (int) res->row_len, res->row) : pstrdup("{}");

	/* A value of type json may hold what jsonb cannot. */
	for (char *p = text; (p = strchr(p, '\\')) != NULL; p += 2)
		if (strncmp(p, "\\u0000", 6) == 0)
			memcpy(p, "\\u0020", 6);
	/* While a transaction is being aborted, nothing can be converted. */
	if (!IsTransactionState() && GetDatabaseEncoding() != PG_UTF8)
	{
		for (char *p = text; *p != '\0'; p++)
			if (IS_HIGHBIT_SET(*p))
				*p = '?';
		return text;
	}
	return pg_any_to_server(text, (int) strlen(text), PG_UTF8);
}

/* A message; in the order of the worker's INSERT. */
static void
put_row(AmpsfWriteErrors *log, const AmpsfWriteResult *res, StringInfo buf)
{
	put_text(buf, log->server);
	put_text(buf, log->relation);
	put_text(buf, log->object);
	put_text(buf, log->operation);
	put_text(buf, log->statement);
	put_text(buf, psprintf(INT64_FORMAT, res->number));
	put_text(buf, res->id[0] != '\0' ? res->id : NULL);
	put_text(buf, row_text(res));
	put_text(buf, ampsf_outcome_name(res->outcome));
	put_text(buf, clean(res->code));
	put_text(buf, clean(res->message));
	put_text(buf, clean(res->fields));
}

/* Waits until the worker has committed all that it was sent; false if it never will. */
static bool
wait_for_commit(AmpsfWriteErrors *log)
{
	for (;;)
	{
		pid_t pid;

		if (pg_atomic_read_u64(&log->shared->committed) >= log->sent)
			return true;
		if (GetBackgroundWorkerPid(log->worker, &pid) == BGWH_STOPPED)
			return pg_atomic_read_u64(&log->shared->committed) >= log->sent;
		(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, LOOK_AGAIN,
						 PG_WAIT_EXTENSION);
		ResetLatch(MyLatch);
	}
}

static bool
is_kept(const AmpsfWriteResult *res, const bool *skip, int i)
{
	return res->outcome != AMPSF_WRITTEN && res->outcome != AMPSF_QUEUED &&
		   (skip == NULL || !skip[i]);
}

/* Without a worker: into the warning, and so into the server's log. */
static void
warn(AmpsfWriteErrors *log, const AmpsfWriteResult *results, int n, const bool *skip, int64 kept,
	 uint64 safe)
{
	StringInfoData detail;
	uint64 seen = 0;

	initStringInfo(&detail);
	for (int i = 0; i < n; i++)
	{
		const AmpsfWriteResult *res = &results[i];

		if (!is_kept(res, skip, i) || seen++ < safe)
			continue;
		appendStringInfo(&detail, "%srow %lld, %s", detail.len > 0 ? "\n" : "",
						 (long long) res->number, ampsf_outcome_name(res->outcome));
		if (res->id[0] != '\0')
			appendStringInfo(&detail, ", Id %s", res->id);
		if (res->code != NULL)
			appendStringInfo(&detail, ", %s", clean(res->code));
		if (res->message != NULL)
			appendStringInfo(&detail, ": %s", clean(res->message));
		appendStringInfo(&detail, " %s", row_text(res));
	}
	ereport(
		WARNING,
		(errmsg("%lld %s could not be kept in ampsf.write_error (%s %s)", (long long) (kept - safe),
				kept - safe == 1 ? "row" : "rows", log->operation, log->relation),
		 errdetail_internal("%s", detail.data),
		 errhint("The server log may tell why; max_worker_processes must leave room for one "
				 "process.")));
}

int64
ampsf_write_errors_keep(AmpsfWriteErrors *log, const AmpsfWriteResult *results, int n,
						const bool *skip)
{
	MemoryContext old;
	int64 kept = 0;
	uint64 before;
	bool ok = true;

	for (int i = 0; i < n; i++)
		kept += is_kept(&results[i], skip, i);
	if (kept == 0)
		return 0;
	HOLD_INTERRUPTS();
	if (!log->tried)
		(void) start_worker(log);
	before = log->sent;
	old = MemoryContextSwitchTo(log->row_cxt);
	for (int i = 0; log->queue != NULL && ok && i < n; i++)
	{
		StringInfoData buf;

		if (!is_kept(&results[i], skip, i))
			continue;
		MemoryContextReset(log->row_cxt);
		initStringInfo(&buf);
		put_row(log, &results[i], &buf);
		ok = shm_mq_send(log->queue, buf.len, buf.data, false, true) == SHM_MQ_SUCCESS;
		log->sent += ok ? 1 : 0;
	}
	if (log->queue == NULL || !wait_for_commit(log) || !ok)
	{
		uint64 safe =
			log->shared != NULL ? pg_atomic_read_u64(&log->shared->committed) - before : 0;

		MemoryContextReset(log->row_cxt);
		let_go(log);
		warn(log, results, n, skip, kept, safe);
	}
	MemoryContextSwitchTo(old);
	MemoryContextReset(log->row_cxt);
	RESUME_INTERRUPTS();
	return kept;
}
