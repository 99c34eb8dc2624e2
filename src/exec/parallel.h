/*
 * parallel.h - the executor's callbacks for scans that several processes share.
 */
#ifndef AMPSF_PARALLEL_H
#define AMPSF_PARALLEL_H

#include "postgres.h"
#include "access/parallel.h"
#include "nodes/execnodes.h"

extern Size ampsfEstimateDSMForeignScan(ForeignScanState *node, ParallelContext *pcxt);
extern void ampsfInitializeDSMForeignScan(ForeignScanState *node, ParallelContext *pcxt,
										  void *coordinate);
extern void ampsfReInitializeDSMForeignScan(ForeignScanState *node, ParallelContext *pcxt,
											void *coordinate);
extern void ampsfInitializeWorkerForeignScan(ForeignScanState *node, shm_toc *toc,
											 void *coordinate);
extern void ampsfShutdownForeignScan(ForeignScanState *node);

/* Before a run: if no worker could be had, nothing is shared. */
extern void ampsf_parallel_settle(ForeignScanState *node);

#endif
