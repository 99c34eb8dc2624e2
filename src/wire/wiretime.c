/*
 * wiretime.c - dates and times as Salesforce writes them, to and from PostgreSQL's counts.
 *
 * The calendar is the Gregorian one reckoned backwards without end, as PostgreSQL's is.
 * Must not know: PostgreSQL's headers, DateStyle, named time zones.
 */
#include "wire/wiretime.h"

#include <stdio.h>

#define USECS_PER_SEC INT64_C(1000000)
#define USECS_PER_DAY (86400 * USECS_PER_SEC)
#define SECS_PER_DAY 86400
#define DAYS_PER_ERA 146097			 /* 400 years */
#define EPOCH_FROM_MARCH_ZERO 730425 /* 2000-01-01, counted from 0000-03-01 */

/* Reads exactly n digits; -1 if there is anything else among them. */
static int
read_digits(const char *s, int n)
{
	int value = 0;

	for (int i = 0; i < n; i++)
	{
		unsigned digit = (unsigned) (s[i] - '0');

		if (digit > 9)
			return -1;
		value = value * 10 + (int) digit;
	}
	return value;
}

static bool
is_leap(int year)
{
	return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

/*
 * Days since 2000-01-01.  The year is taken to begin in March, so that the leap day is its last and
 * the months before it follow one rule.
 */
static int32_t
days_of(int year, int month, int day)
{
	int shifted = month > 2 ? month - 3 : month + 9;
	int64_t y = month > 2 ? year : year - 1;
	int64_t era = (y >= 0 ? y : y - 399) / 400;
	int64_t year_of_era = y - era * 400;
	int64_t day_of_year = (153 * shifted + 2) / 5 + day - 1;
	int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;

	return (int32_t) (era * DAYS_PER_ERA + day_of_era - EPOCH_FROM_MARCH_ZERO);
}

/* The inverse of days_of. */
static void
date_of(int64_t days, int64_t *year, int *month, int *day)
{
	int64_t z = days + EPOCH_FROM_MARCH_ZERO;
	int64_t era = (z >= 0 ? z : z - (DAYS_PER_ERA - 1)) / DAYS_PER_ERA;
	int64_t doe = z - era * DAYS_PER_ERA;
	int64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
	int64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
	int shifted = (int) ((5 * doy + 2) / 153);

	*day = (int) (doy - (153 * shifted + 2) / 5) + 1;
	*month = shifted < 10 ? shifted + 3 : shifted - 9;
	*year = yoe + era * 400 + (*month <= 2 ? 1 : 0);
}

bool
ampsf_parse_date(const char *s, size_t len, int32_t *days)
{
	static const int month_days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	int year, month, day;

	if (len != 10 || s[4] != '-' || s[7] != '-')
		return false;
	year = read_digits(s, 4);
	month = read_digits(s + 5, 2);
	day = read_digits(s + 8, 2);
	if (year < 1 || month < 1 || month > 12 || day < 1)
		return false;
	if (day > month_days[month - 1] && !(month == 2 && day == 29 && is_leap(year)))
		return false;
	*days = days_of(year, month, day);
	return true;
}

/*
 * HH:mm:ss[.fraction]: returns the number of bytes read, 0 if it is none.  Second 60 is the next
 * minute's first, as PostgreSQL has it; a fraction has up to nine digits and is rounded to
 * microseconds.
 */
static size_t
read_clock(const char *s, size_t len, int64_t *usecs)
{
	int hour, minute, second;
	size_t at = 8;
	int64_t fraction = 0;

	if (len < 8 || s[2] != ':' || s[5] != ':')
		return 0;
	hour = read_digits(s, 2);
	minute = read_digits(s + 3, 2);
	second = read_digits(s + 6, 2);
	if (hour < 0 || hour > 23 || minute < 0 || minute > 59 || second < 0 || second > 60)
		return 0;
	if (at < len && s[at] == '.')
	{
		int64_t unit = 100000000; /* of the digit at hand, in nanoseconds */
		size_t first = ++at;

		while (at < len && s[at] >= '0' && s[at] <= '9')
		{
			if (unit == 0)
				return 0;
			fraction += (s[at] - '0') * unit;
			unit /= 10;
			at++;
		}
		if (at == first)
			return 0;
		fraction = (fraction + 500) / 1000;
	}
	*usecs = ((hour * 60 + minute) * 60 + second) * USECS_PER_SEC + fraction;
	return at;
}

/* Z, +hhmm or +hh:mm, to the end; seconds east of UTC. */
static bool
read_offset(const char *s, size_t len, int *seconds)
{
	int hours, minutes;

	if (len == 1 && s[0] == 'Z')
	{
		*seconds = 0;
		return true;
	}
	if ((len != 5 && len != 6) || (s[0] != '+' && s[0] != '-') || (len == 6 && s[3] != ':'))
		return false;
	hours = read_digits(s + 1, 2);
	minutes = read_digits(s + len - 2, 2);
	if (hours < 0 || hours > 15 || minutes < 0 || minutes > 59)
		return false;
	*seconds = (hours * 60 + minutes) * 60;
	if (s[0] == '-')
		*seconds = -*seconds;
	return true;
}

bool
ampsf_parse_datetime(const char *s, size_t len, int64_t *usecs)
{
	int32_t days;
	int64_t clock;
	int offset;
	size_t at;

	if (len < 20 || s[10] != 'T' || !ampsf_parse_date(s, 10, &days))
		return false;
	at = read_clock(s + 11, len - 11, &clock);
	if (at == 0 || !read_offset(s + 11 + at, len - 11 - at, &offset))
		return false;
	*usecs = days * USECS_PER_DAY + clock - offset * USECS_PER_SEC;
	return true;
}

bool
ampsf_parse_time(const char *s, size_t len, int64_t *usecs)
{
	int64_t clock;
	size_t at = read_clock(s, len, &clock);

	if (at == 0 || clock > USECS_PER_DAY)
		return false;
	if (at < len && s[at] == 'Z')
		at++;
	if (at != len)
		return false;
	*usecs = clock;
	return true;
}

/* Writes value with n digits. */
static char *
put_digits(char *out, int value, int n)
{
	for (int i = n - 1; i >= 0; i--)
	{
		out[i] = (char) ('0' + value % 10);
		value /= 10;
	}
	return out + n;
}

/* yyyy-MM-dd; years beyond four digits take the room they need, those before 0 a sign. */
static char *
put_date(char *out, int64_t days)
{
	int64_t year;
	int month, day;
	int width = 4;

	date_of(days, &year, &month, &day);
	if (year < 0)
	{
		*out++ = '-';
		year = -year;
	}
	for (int64_t bound = 10000; year >= bound; bound *= 10)
		width++;
	out = put_digits(out, (int) year, width);
	*out++ = '-';
	out = put_digits(out, month, 2);
	*out++ = '-';
	return put_digits(out, day, 2);
}

/* HH:mm:ss */
static char *
put_clock(char *out, int64_t usecs)
{
	int second = (int) (usecs / USECS_PER_SEC);

	out = put_digits(out, second / 3600, 2);
	*out++ = ':';
	out = put_digits(out, second / 60 % 60, 2);
	*out++ = ':';
	return put_digits(out, second % 60, 2);
}

/* .SSS */
static char *
put_millis(char *out, int64_t usecs)
{
	*out++ = '.';
	return put_digits(out, (int) (usecs % USECS_PER_SEC / 1000), 3);
}

/* Ends the text; its length. */
static int
finish(const char *out, char *end)
{
	*end = '\0';
	return (int) (end - out);
}

/* Splits an instant into its day and the time of that day, which is never negative. */
static int64_t
split_day(int64_t usecs, int64_t *clock)
{
	int64_t days = usecs / USECS_PER_DAY;

	*clock = usecs % USECS_PER_DAY;
	if (*clock < 0)
	{
		*clock += USECS_PER_DAY;
		days--;
	}
	return days;
}

int
ampsf_print_date(int32_t days, char out[AMPSF_TIME_BUF])
{
	return finish(out, put_date(out, days));
}

int
ampsf_print_datetime(int64_t usecs, char out[AMPSF_TIME_BUF])
{
	int64_t clock;
	char *p = put_date(out, split_day(usecs, &clock));

	*p++ = 'T';
	p = put_clock(p, clock);
	*p++ = 'Z';
	return finish(out, p);
}

int
ampsf_print_datetime_ms(int64_t usecs, char out[AMPSF_TIME_BUF])
{
	int64_t clock;
	char *p = put_date(out, split_day(usecs, &clock));

	*p++ = 'T';
	p = put_millis(put_clock(p, clock), clock);
	*p++ = 'Z';
	return finish(out, p);
}

int
ampsf_print_http_date(int64_t usecs, char out[AMPSF_TIME_BUF])
{
	static const char days[] = "SatSunMonTueWedThuFri"; /* 2000-01-01 was a Saturday */
	static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
	char date[AMPSF_TIME_BUF];
	char time[AMPSF_TIME_BUF];
	int64_t clock;
	int32_t day = split_day(usecs, &clock);

	finish(date, put_date(date, day));
	finish(time, put_clock(time, clock));
	return snprintf(out, AMPSF_TIME_BUF, "%.3s, %.2s %.3s %.4s %.8s GMT",
					days + ((day % 7) + 7) % 7 * 3, date + 8,
					months + ((date[5] - '0') * 10 + date[6] - '0' - 1) * 3, date, time);
}

int
ampsf_print_time(int64_t usecs, char out[AMPSF_TIME_BUF])
{
	char *p = put_millis(put_clock(out, usecs), usecs);

	*p++ = 'Z';
	return finish(out, p);
}
