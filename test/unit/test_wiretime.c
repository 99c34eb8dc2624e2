/*
 * test_wiretime.c - dates and times, against a calendar that counts day by day.
 */
#include "check.h"
#include "wire/wiretime.h"

#include <stdio.h>
#include <string.h>

#define SEC INT64_C(1000000)
#define DAY (86400 * SEC)

static long long
date(const char *s)
{
	int32_t days;

	return ampsf_parse_date(s, strlen(s), &days) ? days : 99999999;
}

static long long
datetime(const char *s)
{
	int64_t usecs;

	return ampsf_parse_datetime(s, strlen(s), &usecs) ? usecs : -1;
}

static long long
clock_time(const char *s)
{
	int64_t usecs;

	return ampsf_parse_time(s, strlen(s), &usecs) ? usecs : -1;
}

/* Every day from year 1 to 4001: parse and print agree with the count. */
static void
check_calendar(void)
{
	static const int lengths[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	int32_t expected = -730119; /* 0001-01-01 */
	int wrong = 0;
	char text[AMPSF_TIME_BUF], printed[AMPSF_TIME_BUF];

	for (int year = 1; year <= 4001; year++)
	{
		bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;

		for (int month = 1; month <= 12; month++)
		{
			int last = lengths[month - 1] + (month == 2 && leap);
			int32_t days;

			for (int day = 1; day <= last; day++, expected++)
			{
				snprintf(text, sizeof(text), "%04d-%02d-%02d", year & 0xffff, month & 0xff,
						 day & 0xff);
				if (!ampsf_parse_date(text, 10, &days) || days != expected)
					wrong++;
				if (ampsf_print_date(expected, printed) != 10 || strcmp(printed, text) != 0)
					wrong++;
			}
			snprintf(text, sizeof(text), "%04d-%02d-%02d", year & 0xffff, month & 0xff,
					 (last + 1) & 0xff);
			if (ampsf_parse_date(text, 10, &days))
				wrong++;
		}
	}
	CHECK_INT(wrong, 0);
}

static void
check_dates(void)
{
	static const char *const bad[] = {
		"",			  "2024-1-31",	"2024-01-3",  "2024-01-311", "2024/01/31", "2024-00-10",
		"2024-13-01", "2024-01-00", "2024-01-32", "2023-02-29",	 "1900-02-29", "0000-01-01",
		"-001-01-01", "20x4-01-01", "2024-01-3 ", "2024-+1-01",	 "today",	   "2024-04-31"};

	CHECK_INT(date("2000-01-01"), 0);
	CHECK_INT(date("1999-12-31"), -1);
	CHECK_INT(date("1970-01-01"), -10957);
	CHECK_INT(date("2000-02-29"), 59);
	CHECK_INT(date("1582-10-04") + 1, date("1582-10-05"));
	CHECK_INT(date("1700-01-01"), AMPSF_DATE_MIN);
	CHECK_INT(date("4000-12-31"), AMPSF_DATE_MAX);
	CHECK_INT(date("9999-12-31"), 2921939);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		CHECK_INT(date(bad[i]), 99999999);
}

static void
check_datetimes(void)
{
	static const char *const bad[] = {"2024-01-31T10:20:30",
									  "2024-01-31 10:20:30Z",
									  "2024-01-31T10:20:30.Z",
									  "2024-01-31T10:20:30,5Z",
									  "2024-01-31T24:00:00Z",
									  "2024-01-31T10:60:00Z",
									  "2024-01-31T10:20:61Z",
									  "2024-01-31T10:20:30+00",
									  "2024-01-31T10:20:30+0",
									  "2024-01-31T10:20:30+1600",
									  "2024-01-31T10:20:30+00:60",
									  "2024-01-31T10:20:30.1234567890Z",
									  "2024-01-31T10:20:30ZZ",
									  "2024-02-30T10:20:30Z",
									  "2024-01-31T10:20:30z",
									  "2024-01-31T10:20:30 0000",
									  "2024-01-31T1a:20:30Z",
									  "2024-01-31T10:20:30+00.00",
									  "2024-01-31",
									  "2024-01-31T10:20Z",
									  ""};
	long long base = date("2024-01-31") * DAY + (10 * 3600 + 20 * 60 + 30) * SEC;

	CHECK_INT(datetime("2000-01-01T00:00:00Z"), 0);
	CHECK_INT(datetime("2024-01-31T10:20:30.000+0000"), base);
	CHECK_INT(datetime("2024-01-31T10:20:30.000Z"), base);
	CHECK_INT(datetime("2024-01-31T10:20:30Z"), base);
	CHECK_INT(datetime("2024-01-31T10:20:30+00:00"), base);
	CHECK_INT(datetime("2024-01-31T12:20:30+0200"), base);
	CHECK_INT(datetime("2024-01-31T05:50:30.000-0430"), base);
	CHECK_INT(datetime("2024-01-31T05:50:30-04:30"), base);
	CHECK_INT(datetime("2024-02-01T01:05:30+1445"), base);
	CHECK_INT(datetime("2024-01-30T18:20:30-1600"), -1);
	/* fractions, to the nearest microsecond */
	CHECK_INT(datetime("2024-01-31T10:20:30.5Z"), base + 500000);
	CHECK_INT(datetime("2024-01-31T10:20:30.123Z"), base + 123000);
	CHECK_INT(datetime("2024-01-31T10:20:30.123456Z"), base + 123456);
	CHECK_INT(datetime("2024-01-31T10:20:30.1234564Z"), base + 123456);
	CHECK_INT(datetime("2024-01-31T10:20:30.123456500Z"), base + 123457);
	CHECK_INT(datetime("2024-01-31T10:20:30.999999999Z"), base + SEC);
	/* a leap second is the next minute's first, whatever it carries into */
	CHECK_INT(datetime("2016-12-31T23:59:60Z"), datetime("2017-01-01T00:00:00Z"));
	/* before the epoch */
	CHECK_INT(datetime("1999-12-31T23:59:59.250Z"), -750000);
	CHECK_INT(datetime("1700-01-01T00:00:00Z"), AMPSF_DATETIME_MIN);
	CHECK_INT(datetime("4000-12-31T00:00:00Z"), AMPSF_DATETIME_MAX);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		CHECK_INT(datetime(bad[i]), -1);
}

static void
check_times(void)
{
	static const char *const bad[] = {
		"10:20",   "24:00:00Z", "10:20:30.",   "10:20:30ZZ", "10:20:30+00",
		"1:20:30", "10-20-30",	"23:59:60.5Z", "",			 "10:20:30.0000000001"};

	CHECK_INT(clock_time("00:00:00.000Z"), 0);
	CHECK_INT(clock_time("10:20:30.000Z"), (10 * 3600 + 20 * 60 + 30) * SEC);
	CHECK_INT(clock_time("23:59:59.999Z"), DAY - 1000);
	CHECK_INT(clock_time("23:59:59.9999999"), DAY);
	CHECK_INT(clock_time("23:59:60"), DAY);
	CHECK_INT(clock_time("13:00:00"), 13 * 3600 * SEC);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		CHECK_INT(clock_time(bad[i]), -1);
}

static void
check_print(void)
{
	char out[AMPSF_TIME_BUF];
	int64_t usecs = 0;

	CHECK(ampsf_parse_datetime("2024-01-31T10:20:30.4567Z", 25, &usecs));
	CHECK_TEXT(out, (size_t) ampsf_print_datetime(usecs, out), "2024-01-31T10:20:30Z");
	CHECK_TEXT(out, (size_t) ampsf_print_datetime_ms(usecs, out), "2024-01-31T10:20:30.456Z");
	CHECK_TEXT(out, (size_t) ampsf_print_http_date(usecs, out), "Wed, 31 Jan 2024 10:20:30 GMT");
	CHECK_TEXT(out, (size_t) ampsf_print_http_date(-1, out), "Fri, 31 Dec 1999 23:59:59 GMT");
	CHECK_TEXT(out, (size_t) ampsf_print_http_date(0, out), "Sat, 01 Jan 2000 00:00:00 GMT");
	CHECK_TEXT(out, (size_t) ampsf_print_http_date(-8 * DAY, out), "Fri, 24 Dec 1999 00:00:00 GMT");
	CHECK_TEXT(out, (size_t) ampsf_print_datetime_ms(-1, out), "1999-12-31T23:59:59.999Z");
	CHECK_TEXT(out, (size_t) ampsf_print_datetime(-DAY, out), "1999-12-31T00:00:00Z");
	CHECK_TEXT(out, (size_t) ampsf_print_datetime(AMPSF_DATETIME_MIN, out), "1700-01-01T00:00:00Z");
	CHECK_TEXT(out, (size_t) ampsf_print_datetime(AMPSF_DATETIME_MAX, out), "4000-12-31T00:00:00Z");
	CHECK_TEXT(out, (size_t) ampsf_print_time(13 * 3600 * SEC, out), "13:00:00.000Z");
	CHECK_TEXT(out, (size_t) ampsf_print_time(DAY - 1, out), "23:59:59.999Z");
	CHECK_TEXT(out, (size_t) ampsf_print_date(2921940, out), "10000-01-01");
	/* out of every range, and still inside the buffer */
	CHECK(ampsf_print_date(INT32_MAX, out) < AMPSF_TIME_BUF);
	CHECK(ampsf_print_date(INT32_MIN, out) < AMPSF_TIME_BUF);
	CHECK(ampsf_print_datetime_ms(INT64_MAX, out) < AMPSF_TIME_BUF);
	CHECK(ampsf_print_datetime_ms(INT64_MIN, out) < AMPSF_TIME_BUF);
}

void
test_wiretime(void)
{
	check_calendar();
	check_dates();
	check_datetimes();
	check_times();
	check_print();
}
