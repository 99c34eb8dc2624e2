/*
 * ampsf_fdw.c - the roof: the module, its start, and the table of callbacks.  Nothing else.
 */
#include "base/ampsf.h"

#include "base/guc.h"
#include "exec/analyze.h"
#include "exec/async.h"
#include "exec/key_join.h"
#include "exec/live_view.h"
#include "exec/modify.h"
#include "exec/parallel.h"
#include "exec/scan.h"
#include "fmgr.h"
#include "net/usage.h"
#include "plan/estimate.h"
#include "plan/join.h"
#include "plan/key_join.h"
#include "plan/plan_modify.h"
#include "plan/scan_paths.h"
#include "plan/upper_paths.h"
#include "schema/import.h"
#include "sync/worker.h"

AMPSF_MODULE_MAGIC;

extern PGDLLEXPORT void _PG_init(void);

void
_PG_init(void)
{
	ampsf_guc_init();
	ampsf_usage_init();
	ampsf_modify_init();
	ampsf_key_join_init();
	ampsf_key_join_plan_init();
	ampsf_live_scan_init();
	ampsf_estimate_init();
	ampsf_launcher_init();
}

PG_FUNCTION_INFO_V1(ampsf_fdw_handler);

Datum
ampsf_fdw_handler(PG_FUNCTION_ARGS)
{
	FdwRoutine *routine = makeNode(FdwRoutine);

	ampsf_launcher_first_use();

	routine->GetForeignRelSize = ampsfGetForeignRelSize;
	routine->GetForeignPaths = ampsfGetForeignPaths;
	routine->GetForeignPlan = ampsfGetForeignPlan;
	routine->GetForeignJoinPaths = ampsfGetForeignJoinPaths;
	routine->GetForeignUpperPaths = ampsfGetForeignUpperPaths;
	routine->BeginForeignScan = ampsfBeginForeignScan;
	routine->IterateForeignScan = ampsfIterateForeignScan;
	routine->ReScanForeignScan = ampsfReScanForeignScan;
	routine->EndForeignScan = ampsfEndForeignScan;

	routine->IsForeignPathAsyncCapable = ampsfIsForeignPathAsyncCapable;
	routine->ForeignAsyncRequest = ampsfForeignAsyncRequest;
	routine->ForeignAsyncConfigureWait = ampsfForeignAsyncConfigureWait;
	routine->ForeignAsyncNotify = ampsfForeignAsyncNotify;

	routine->IsForeignScanParallelSafe = ampsfIsForeignScanParallelSafe;
	routine->EstimateDSMForeignScan = ampsfEstimateDSMForeignScan;
	routine->InitializeDSMForeignScan = ampsfInitializeDSMForeignScan;
	routine->ReInitializeDSMForeignScan = ampsfReInitializeDSMForeignScan;
	routine->InitializeWorkerForeignScan = ampsfInitializeWorkerForeignScan;
	routine->ShutdownForeignScan = ampsfShutdownForeignScan;

	routine->AddForeignUpdateTargets = ampsfAddForeignUpdateTargets;
	routine->PlanForeignModify = ampsfPlanForeignModify;
	routine->BeginForeignModify = ampsfBeginForeignModify;
	routine->ExecForeignInsert = ampsfExecForeignInsert;
	routine->ExecForeignBatchInsert = ampsfExecForeignBatchInsert;
	routine->GetForeignModifyBatchSize = ampsfGetForeignModifyBatchSize;
	routine->ExecForeignUpdate = ampsfExecForeignUpdate;
	routine->ExecForeignDelete = ampsfExecForeignDelete;
	routine->EndForeignModify = ampsfEndForeignModify;
	routine->BeginForeignInsert = ampsfBeginForeignInsert;
	routine->EndForeignInsert = ampsfEndForeignInsert;
	routine->PlanDirectModify = ampsfPlanDirectModify;
	routine->BeginDirectModify = ampsfBeginDirectModify;
	routine->IterateDirectModify = ampsfIterateDirectModify;
	routine->EndDirectModify = ampsfEndDirectModify;
	routine->ExecForeignTruncate = ampsfExecForeignTruncate;
	routine->IsForeignRelUpdatable = ampsfIsForeignRelUpdatable;

	routine->ExplainForeignScan = ampsfExplainForeignScan;
	routine->ExplainForeignModify = ampsfExplainForeignModify;
	routine->ExplainDirectModify = ampsfExplainDirectModify;

	routine->AnalyzeForeignTable = ampsfAnalyzeForeignTable;

	routine->ImportForeignSchema = ampsf_import_foreign_schema;

	PG_RETURN_POINTER(routine);
}
