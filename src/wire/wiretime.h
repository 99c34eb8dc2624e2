/*
 * wiretime.h - Salesforce's dates and times, read from and written as text.
 *
 * Counts are PostgreSQL's: days and microseconds since 2000-01-01 (UTC).  Must not know:
 * PostgreSQL's headers, time zones other than a numeric offset, DateStyle.
 */
#ifndef AMPSF_WIRETIME_H
#define AMPSF_WIRETIME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The first and last instant that SOQL accepts: 1700-01-01T00:00:00Z and 4000-12-31T00:00:00Z. */
#define AMPSF_DATE_MIN (-109572)
#define AMPSF_DATE_MAX 730850
#define AMPSF_DATETIME_MIN (INT64_C(-109572) * 86400000000)
#define AMPSF_DATETIME_MAX (INT64_C(730850) * 86400000000)

/* yyyy-MM-dd */
bool ampsf_parse_date(const char *s, size_t len, int32_t *days);
/* yyyy-MM-ddTHH:mm:ss[.fraction](Z|+hhmm|+hh:mm) */
bool ampsf_parse_datetime(const char *s, size_t len, int64_t *usecs);
/* HH:mm:ss[.fraction][Z] */
bool ampsf_parse_time(const char *s, size_t len, int64_t *usecs);

#define AMPSF_TIME_BUF 32
/*
 * As SOQL writes them; the caller has checked the range.  What is finer than the form can say is
 * cut off toward the past.  Each returns the length, out is NUL-terminated.
 */
int ampsf_print_date(int32_t days, char out[AMPSF_TIME_BUF]); /* 2024-01-31 */
int ampsf_print_datetime(int64_t usecs,
						 char out[AMPSF_TIME_BUF]); /* 2024-01-31T10:20:30Z, whole seconds */
int ampsf_print_datetime_ms(int64_t usecs,
							char out[AMPSF_TIME_BUF]); /* 2024-01-31T10:20:30.000Z, for writes */
int ampsf_print_http_date(int64_t usecs,
						  char out[AMPSF_TIME_BUF]);		   /* Wed, 31 Jan 2024 10:20:30 GMT */
int ampsf_print_time(int64_t usecs, char out[AMPSF_TIME_BUF]); /* 13:00:00.000Z */

#endif
