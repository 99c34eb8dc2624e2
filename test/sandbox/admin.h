/*
 * admin.h - /__sandbox/...: what a test tells the sandbox, outside the org's API.
 */
#ifndef SANDBOX_ADMIN_H
#define SANDBOX_ADMIN_H

#include "http.h"

void admin_handle(Request *r, Response *w);
/* yyyy-mm-ddThh:mm:ss[.000][Z|+0000] or yyyy-mm-dd to epoch seconds; false if it is neither. */
bool parse_iso_time(const char *s, time_t *out);

#endif
