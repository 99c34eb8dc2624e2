/*
 * backoff.c - how long to wait before something is done again; see session.h.
 */
#include "net/session_private.h"

#include <time.h>

#include "common/pg_prng.h"

#define BACKOFF_FIRST 200 /* milliseconds */
#define BACKOFF_MAX 10000

/* Seconds, or a date: HTTP's, or Ampersand's, which ends in UTC in the place of GMT. */
int64
ampsf_retry_after(const char *s)
{
	static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
	struct tm tm = {0};
	char month[4];
	const char *m;

	if (*s >= '0' && *s <= '9')
		return strtoll(s, NULL, 10) * 1000;
	if (sscanf(s, "%*3s, %2d %3s %4d %2d:%2d:%2d", &tm.tm_mday, month, &tm.tm_year, &tm.tm_hour,
			   &tm.tm_min, &tm.tm_sec) != 6 ||
		(m = strstr(months, month)) == NULL)
		return 0;
	tm.tm_year -= 1900;
	tm.tm_mon = (m - months) / 3;
	return ((int64) timegm(&tm) - (int64) time(NULL)) * 1000;
}

int
ampsf_backoff(int n, const char *retry_after)
{
	int64 ms = (int64) BACKOFF_FIRST << Min(n, 10);

	ms = Min(ms, BACKOFF_MAX);
	/* Between a half and the whole of it, so that many backends do not come back at once. */
	ms = ms / 2 + (int64) (pg_prng_double(&pg_global_prng_state) * (ms / 2));
	if (retry_after)
		ms = Max(ms, Min(ampsf_retry_after(retry_after), RETRY_AFTER_MAX));
	return (int) ms;
}
