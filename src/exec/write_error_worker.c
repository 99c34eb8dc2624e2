/*
 * write_error_worker.c - the background worker that writes rows into ampsf.write_error and commits
 * them, while the session that sends them may be about to roll back.
 *
 * It acts as the table's owner, never as the session's user or as a superuser: nobody else needs
 * the right to add rows, so that nobody can forge them.
 */
#include "base/ampsf.h"
#include "exec/write_error.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "libpq/pqsignal.h"
#include "postmaster/bgworker.h"
#include "storage/dsm.h"
#include "storage/ipc.h"
#include "storage/proc.h"
#include "storage/shm_mq.h"
#include "storage/shm_toc.h"
#include "tcop/tcopprot.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "access/table.h"

extern PGDLLEXPORT void ampsf_write_error_main(Datum arg);

static void
become_owner(Oid table)
{
	Relation rel = table_open(table, AccessShareLock);
	Oid owner = rel->rd_rel->relowner;

	table_close(rel, NoLock);
	SetUserIdAndSecContext(owner, SECURITY_LOCAL_USERID_CHANGE | SECURITY_RESTRICTED_OPERATION);
}

static void
insert_row(const AmpsfWriteErrorShared *shared, const char *sql, const char *data, Size len)
{
	Oid types[AMPSF_WRITE_ERROR_COLUMNS + 1];
	Datum values[AMPSF_WRITE_ERROR_COLUMNS + 1];
	char nulls[AMPSF_WRITE_ERROR_COLUMNS + 1];
	const char *end = data + len;

	for (int i = 0; i < AMPSF_WRITE_ERROR_COLUMNS; i++)
	{
		int32 n;

		if (end - data < (ptrdiff_t) sizeof(n))
			elog(ERROR, "message too short");
		memcpy(&n, data, sizeof(n));
		data += sizeof(n);
		if (n > end - data)
			elog(ERROR, "message too short");
		types[i] = TEXTOID;
		nulls[i] = n < 0 ? 'n' : ' ';
		values[i] = n < 0 ? (Datum) 0 : PointerGetDatum(cstring_to_text_with_len(data, n));
		data += Max(n, 0);
	}
	types[AMPSF_WRITE_ERROR_COLUMNS] = OIDOID;
	nulls[AMPSF_WRITE_ERROR_COLUMNS] = ' ';
	values[AMPSF_WRITE_ERROR_COLUMNS] = ObjectIdGetDatum(shared->role);
	if (SPI_execute_with_args(sql, AMPSF_WRITE_ERROR_COLUMNS + 1, types, values, nulls, false, 0) !=
		SPI_OK_INSERT)
		elog(ERROR, "could not insert into ampsf.write_error");
}

/* The first message that is there, and all that follow it at once, in one transaction. */
static uint64
write_batch(const AmpsfWriteErrorShared *shared, shm_mq_handle *queue, Size len, void *data)
{
	Oid user;
	int context;
	uint64 n = 0;
	char *sql;

	SetCurrentStatementStartTimestamp();
	StartTransactionCommand();
	PushActiveSnapshot(GetTransactionSnapshot());
	GetUserIdAndSecContext(&user, &context);
	become_owner(shared->table);
	SPI_connect();
	sql = psprintf(
		"INSERT INTO %s (server, relation, object, operation, statement, row_number, record_id, "
		"row, outcome, error_code, message, fields, role) VALUES ($1, $2, $3, $4, $5, $6::bigint, "
		"$7, $8::jsonb, $9, $10, $11, string_to_array($12, ', '), $13::regrole)",
		quote_qualified_identifier(get_namespace_name(get_rel_namespace(shared->table)),
								   get_rel_name(shared->table)));
	do
	{
		insert_row(shared, sql, data, len);
		n++;
	} while (shm_mq_receive(queue, &len, &data, true) == SHM_MQ_SUCCESS);
	SPI_finish();
	SetUserIdAndSecContext(user, context);
	PopActiveSnapshot();
	CommitTransactionCommand();
	return n;
}

void
ampsf_write_error_main(Datum arg)
{
	dsm_segment *seg;
	shm_toc *toc;
	AmpsfWriteErrorShared *shared;
	shm_mq *mq;
	shm_mq_handle *queue;

	pqsignal(SIGTERM, die);
	BackgroundWorkerUnblockSignals();
	CurrentResourceOwner = ResourceOwnerCreate(NULL, "ampsf_fdw write errors");
	seg = dsm_attach(DatumGetUInt32(arg));
	if (seg == NULL)
		proc_exit(0); /* the session is gone, and with it what it might have sent */
	dsm_pin_mapping(seg);
	toc = shm_toc_attach(AMPSF_WRITE_ERROR_MAGIC, dsm_segment_address(seg));
	if (toc == NULL)
		proc_exit(1);
	shared = shm_toc_lookup(toc, AMPSF_WRITE_ERROR_KEY_SHARED, false);
	mq = shm_toc_lookup(toc, AMPSF_WRITE_ERROR_KEY_QUEUE, false);
	shm_mq_set_receiver(mq, MyProc);
	queue = shm_mq_attach(mq, seg, NULL);
	BackgroundWorkerInitializeConnectionByOid(shared->database, InvalidOid, 0);

	/* Objects are named in full; and a table that somebody has locked must not stop the session. */
	SetConfigOption("search_path", "pg_catalog, pg_temp", PGC_SUSET, PGC_S_SESSION);
	SetConfigOption("lock_timeout", "5s", PGC_SUSET, PGC_S_SESSION);
	SetConfigOption("synchronous_commit", "local", PGC_SUSET, PGC_S_SESSION);
	pgstat_report_appname("ampsf_fdw write errors");
	for (;;)
	{
		Size len;
		void *data;
		uint64 n;

		if (shm_mq_receive(queue, &len, &data, false) != SHM_MQ_SUCCESS)
			break;
		pgstat_report_activity(STATE_RUNNING, "insert into ampsf.write_error");
		n = write_batch(shared, queue, len, data);
		pgstat_report_activity(STATE_IDLE, NULL);
		pg_atomic_fetch_add_u64(&shared->committed, n);
		SetLatch(&shared->session->procLatch);
	}
	dsm_detach(seg);
	proc_exit(0);
}
