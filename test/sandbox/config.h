/*
 * config.h - what the command line said, and the few counters that the whole server shares.
 *
 * Filled by main.c before the first thread starts.  Must not know: HTTP, SQLite.
 */
#ifndef SANDBOX_CONFIG_H
#define SANDBOX_CONFIG_H

#include <stdbool.h>
#include <stdint.h>
#include "soql.h"

#define OLDEST_VERSION 31
#define NEWEST_VERSION 66

typedef struct Config
{
	const char *host;
	int port;
	const char *port_file;
	const char *data;
	const char *seed;
	const char *log;
	int latency_ms;
	const char *tls_cert;
	const char *tls_key;
	const char *jwt_cert;
	const char *objects;
	int session_seconds;
	bool rotate_refresh_tokens;
	int locator_seconds;
	int max_locators;
	int page_cache_mb;
	bool short_pages;
	bool stale_counts;
	bool duplicate_result;	   /* how duplicateResult is spelt */
	bool rows_by_modstamp;	   /* conditional headers look at SystemModstamp */
	bool deletes_by_condition; /* they go for DELETE too */
	bool twice_allowed;		   /* an Id may be twice in a chunk of updates */
	SoqlReadings readings;
	bool gzip;
	bool chunked;
} Config;

extern Config config;

/* Set when the program was told to end: sleeping requests wake and give up. */
extern volatile bool stopping;
/* Sleeps, or until the program ends. */
void nap(int64_t microseconds);
/* Seconds of a clock that never jumps: for sessions and locators. */
double monotonic(void);

/* api.c: the org's daily API calls.  api_count() is false when there are none left. */
bool api_count(void);
int64_t api_used(void);
int64_t api_limit(void);
void api_set_limit(int64_t n);
void api_reset(void);

#endif
