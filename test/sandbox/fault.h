/*
 * fault.h - failures on demand: which requests fail, and how.
 *
 * A SPEC is key=value pairs joined by ';' (see README.md).  Thread-safe.  Must not know: HTTP,
 * SQLite.
 */
#ifndef SANDBOX_FAULT_H
#define SANDBOX_FAULT_H

#include <stdbool.h>
#include "buf.h"

typedef enum FaultKind
{
	FAULT_NONE,
	FAULT_STATUS,
	FAULT_RESET_BEFORE,
	FAULT_RESET_AFTER,
	FAULT_RESET_MIDDLE,
	FAULT_TRUNCATE_JSON,
	FAULT_SLOW,
	FAULT_DELAY,
	FAULT_HOLD,
	FAULT_CONTENT_TYPE,
	FAULT_EXPIRE_TOKEN,
	FAULT_DEAD_LOCATOR,
	FAULT_LOCK_ROW,
	FAULT_REFUSE_PART, /* of subrequests alone */
	FAULT_HTML,
	FAULT_STALL,
	FAULT_BAD_HEADER,
	FAULT_BAD_ROW,
	FAULT_BAD_UTF8,
	FAULT_OTHER_VALUE,
	/* of bulk jobs: how they end, and what is wrong with their results */
	FAULT_JOB_FAILED,
	FAULT_JOB_ABORTED,
	FAULT_JOB_STUCK,
	FAULT_JOB_DELETED,
	FAULT_WRONG_COUNT,
	FAULT_DROP_ROWS,
	FAULT_DROP_PAGE,
	FAULT_EARLY_END
} FaultKind;

/* What a struck request has to do; fault_free() after use. */
typedef struct Fault
{
	FaultKind kind;
	int status;
	char *code;
	char *message;
	char *body;
	char *retry_after;
	int ms;
	unsigned era; /* when it struck: see fault_era() */
	int bytes_per_second;
	int bytes; /* of the body, that get through; -1: half of it */
	int rows;  /* of an ingest job that are written all the same; -1: not said */
} Fault;

const char *fault_name(FaultKind kind);
/* Adds one SPEC; false with a malloc'ed reason when it makes no sense. */
bool fault_add(const char *spec, char **reason);
void fault_clear(void);
/* Another one after each fault_clear(). */
unsigned fault_era(void);
/* JSON array of the faults in force. */
void fault_list(Buf *out);
/* Counts the request against every fault that it matches; the first one due is copied into *f. */
bool fault_strike(const char *method, const char *path, const char *query, const char *body,
				  Fault *f);
/* The same for a request within another one: query is all that follows its path. */
bool fault_strike_part(const char *method, const char *path, const char *query, Fault *f);
void fault_free(Fault *f);

#endif
