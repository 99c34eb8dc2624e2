/*
 * wiretime.c - dates and times as Salesforce writes them, to and from PostgreSQL's counts.
 *
 * The calendar is the Gregorian one reckoned backwards without end, as PostgreSQL's is.
 * Must not know: PostgreSQL's headers, DateStyle, named time zones.
 */
#include "wire/wiretime.h"

#include <stdio.h>
#include <string.h>

#define USECS_PER_SEC INT64_C(1000000)
#define USECS_PER_DAY (86400 * USECS_PER_SEC)
#define SECS_PER_DAY 86400
#define DAYS_PER_ERA 146097			 /* 400 years */
#define EPOCH_FROM_MARCH_ZERO 730425 /* 2000-01-01, counted from 0000-03-01 */
#define EPOCH_FROM_YEAR_ONE 730119	 /* the same, from 0001-01-01 */

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

/*
 * Eight digits at once: byte i of *pairs is the number that digits i and i + 1 make, the first
 * digit in the lowest byte.  False if anything else is among them.
 */
static inline bool
read_pairs(const char digits[8], uint64_t *pairs)
{
	const uint64_t high = UINT64_C(0xf0f0f0f0f0f0f0f0);
	const uint64_t zeros = UINT64_C(0x3030303030303030);
	uint64_t w;

	memcpy(&w, digits, 8);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
	w = __builtin_bswap64(w);
#endif
	/* what is above 9 is no digit any more when 6 is added */
	if (((w & high) ^ zeros) | (((w + UINT64_C(0x0606060606060606)) & high) ^ zeros))
		return false;
	w ^= zeros;
	*pairs = w * 10 + (w >> 8);
	return true;
}

static inline int
pair_at(uint64_t pairs, int i)
{
	return (int) (pairs >> (i * 8) & 0xff);
}

static bool
is_leap(int year)
{
	return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

/* The day that is so many days from 2000-01-01. */
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
	/* days of the year before each month, and of the year */
	static const short before[2][13] = {
		{0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334, 365},
		{0, 31, 60, 91, 121, 152, 182, 213, 244, 274, 305, 335, 366},
	};
	char digits[8];
	uint64_t pairs;
	const short *months;
	int year, month, day;

	if (len != 10 || s[4] != '-' || s[7] != '-')
		return false;
	memcpy(digits, s, 4);
	memcpy(digits + 4, s + 5, 2);
	memcpy(digits + 6, s + 8, 2);
	if (!read_pairs(digits, &pairs))
		return false;
	year = pair_at(pairs, 0) * 100 + pair_at(pairs, 2);
	month = pair_at(pairs, 4);
	day = pair_at(pairs, 6);
	if (year < 1 || month < 1 || month > 12 || day < 1)
		return false;
	months = before[is_leap(year)];
	if (day > months[month] - months[month - 1])
		return false;
	year--;
	*days = year * 365 + year / 4 - year / 100 + year / 400 + months[month - 1] + day - 1 -
			EPOCH_FROM_YEAR_ONE;
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
	char digits[8];
	uint64_t pairs;

	if (len < 8 || s[2] != ':' || s[5] != ':')
		return 0;
	memcpy(digits, s, 8);
	digits[2] = digits[5] = '0';
	if (!read_pairs(digits, &pairs))
		return 0;
	hour = pair_at(pairs, 0);
	minute = pair_at(pairs, 3);
	second = pair_at(pairs, 6);
	if (hour > 23 || minute > 59 || second > 60)
		return 0;
	if (len - at >= 5 && s[at] == '.' && (s[at + 4] == 'Z' || s[at + 4] == '+') &&
		(unsigned) (s[9] - '0') <= 9 && (unsigned) (s[10] - '0') <= 9 &&
		(unsigned) (s[11] - '0') <= 9)
	{
		/* as Salesforce writes it */
		fraction = ((s[9] - '0') * 100 + (s[10] - '0') * 10 + (s[11] - '0')) * 1000;
		at = 12;
	}
	else if (at < len && s[at] == '.')
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

	if ((len == 1 && s[0] == 'Z') || (len == 5 && memcmp(s, "+0000", 5) == 0))
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
