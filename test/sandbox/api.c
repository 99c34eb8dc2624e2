/*
 * api.c - the org's daily API calls, its clocks, and waiting.
 *
 * Owns: the call counter.  Must not know: HTTP, SQLite.
 */
#include <pthread.h>
#include <time.h>

#include "config.h"

Config config;
volatile bool stopping;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int64_t used;
static int64_t limit = 100000;
static double window_start;

double
monotonic(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double) ts.tv_sec + (double) ts.tv_nsec / 1e9;
}

void
nap(int64_t microseconds)
{
	double end = monotonic() + (double) microseconds / 1e6;

	while (!stopping)
	{
		double left = end - monotonic();
		struct timespec ts = {0, 20000000};

		if (left <= 0)
			return;
		if (left < 0.02)
			ts.tv_nsec = (long) (left * 1e9) + 1;
		nanosleep(&ts, NULL);
	}
}

bool
api_count(void)
{
	bool ok;

	pthread_mutex_lock(&lock);
	if (monotonic() - window_start > 86400)
	{
		window_start = monotonic();
		used = 0;
	}
	ok = used < limit;
	if (ok)
		used++;
	pthread_mutex_unlock(&lock);
	return ok;
}

int64_t
api_used(void)
{
	int64_t n;

	pthread_mutex_lock(&lock);
	n = used;
	pthread_mutex_unlock(&lock);
	return n;
}

int64_t
api_limit(void)
{
	int64_t n;

	pthread_mutex_lock(&lock);
	n = limit;
	pthread_mutex_unlock(&lock);
	return n;
}

void
api_set_limit(int64_t n)
{
	pthread_mutex_lock(&lock);
	limit = n;
	pthread_mutex_unlock(&lock);
}

void
api_reset(void)
{
	pthread_mutex_lock(&lock);
	used = 0;
	window_start = monotonic();
	pthread_mutex_unlock(&lock);
}
