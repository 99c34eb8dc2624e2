/*
 * reqlog.h - the request log: one JSON object a line, on disk before the answer leaves.
 *
 * Thread-safe.  Never holds a token, a secret or a body.
 */
#ifndef SANDBOX_REQLOG_H
#define SANDBOX_REQLOG_H

#include "http.h"

/* NULL: no log.  False if the file cannot be opened. */
bool reqlog_open(const char *path);
void reqlog_close(void);
/* fault is the name of the one that struck, or NULL; status 0 means that no answer was sent. */
void reqlog_write(const Request *r, int status, double ms, size_t bytes_out, const char *fault);

#endif
