/*
 * async.h - the executor's callbacks for scans under an asynchronous Append.
 */
#ifndef AMPSF_ASYNC_H
#define AMPSF_ASYNC_H

#include "postgres.h"
#include "nodes/execnodes.h"

extern void ampsfForeignAsyncRequest(AsyncRequest *areq);
extern void ampsfForeignAsyncConfigureWait(AsyncRequest *areq);
extern void ampsfForeignAsyncNotify(AsyncRequest *areq);

#endif
