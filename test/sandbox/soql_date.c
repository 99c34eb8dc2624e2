/*
 * soql_date.c - date literals (TODAY, LAST_N_DAYS:5 ...) and the stored forms of dates and times.
 *
 * Owns: calendar arithmetic, in UTC; weeks begin on Sunday, the fiscal year on January 1.
 * Must not know: the schema, SQLite.
 */
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include "soql_ast.h"
#include "store.h"

typedef enum Unit
{
	U_DAY,
	U_WEEK,
	U_MONTH,
	U_QUARTER,
	U_YEAR
} Unit;

/* from and to: units relative to the current one, to exclusive; with n: what n multiplies. */
static const struct DateFormula
{
	const char *name;
	Unit unit;
	int from, to;
	int from_n, to_n;
} formulas[] = {
	{"YESTERDAY", U_DAY, -1, 0, 0, 0},
	{"TODAY", U_DAY, 0, 1, 0, 0},
	{"TOMORROW", U_DAY, 1, 2, 0, 0},
	{"LAST_WEEK", U_WEEK, -1, 0, 0, 0},
	{"THIS_WEEK", U_WEEK, 0, 1, 0, 0},
	{"NEXT_WEEK", U_WEEK, 1, 2, 0, 0},
	{"LAST_MONTH", U_MONTH, -1, 0, 0, 0},
	{"THIS_MONTH", U_MONTH, 0, 1, 0, 0},
	{"NEXT_MONTH", U_MONTH, 1, 2, 0, 0},
	{"LAST_90_DAYS", U_DAY, -90, 1, 0, 0},
	{"NEXT_90_DAYS", U_DAY, 1, 91, 0, 0},
	{"THIS_QUARTER", U_QUARTER, 0, 1, 0, 0},
	{"LAST_QUARTER", U_QUARTER, -1, 0, 0, 0},
	{"NEXT_QUARTER", U_QUARTER, 1, 2, 0, 0},
	{"THIS_YEAR", U_YEAR, 0, 1, 0, 0},
	{"LAST_YEAR", U_YEAR, -1, 0, 0, 0},
	{"NEXT_YEAR", U_YEAR, 1, 2, 0, 0},
	{"THIS_FISCAL_QUARTER", U_QUARTER, 0, 1, 0, 0},
	{"LAST_FISCAL_QUARTER", U_QUARTER, -1, 0, 0, 0},
	{"NEXT_FISCAL_QUARTER", U_QUARTER, 1, 2, 0, 0},
	{"THIS_FISCAL_YEAR", U_YEAR, 0, 1, 0, 0},
	{"LAST_FISCAL_YEAR", U_YEAR, -1, 0, 0, 0},
	{"NEXT_FISCAL_YEAR", U_YEAR, 1, 2, 0, 0},
	/* LAST_N_DAYS takes in today, the longer LAST_N_... end before the current unit */
	{"LAST_N_DAYS", U_DAY, 0, 1, -1, 0},
	{"NEXT_N_DAYS", U_DAY, 1, 1, 0, 1},
	{"LAST_N_WEEKS", U_WEEK, 0, 0, -1, 0},
	{"NEXT_N_WEEKS", U_WEEK, 1, 1, 0, 1},
	{"LAST_N_MONTHS", U_MONTH, 0, 0, -1, 0},
	{"NEXT_N_MONTHS", U_MONTH, 1, 1, 0, 1},
	{"LAST_N_QUARTERS", U_QUARTER, 0, 0, -1, 0},
	{"NEXT_N_QUARTERS", U_QUARTER, 1, 1, 0, 1},
	{"LAST_N_YEARS", U_YEAR, 0, 0, -1, 0},
	{"NEXT_N_YEARS", U_YEAR, 1, 1, 0, 1},
	{"LAST_N_FISCAL_QUARTERS", U_QUARTER, 0, 0, -1, 0},
	{"NEXT_N_FISCAL_QUARTERS", U_QUARTER, 1, 1, 0, 1},
	{"LAST_N_FISCAL_YEARS", U_YEAR, 0, 0, -1, 0},
	{"NEXT_N_FISCAL_YEARS", U_YEAR, 1, 1, 0, 1},
	{"N_DAYS_AGO", U_DAY, 0, 1, -1, -1},
	{"N_WEEKS_AGO", U_WEEK, 0, 1, -1, -1},
	{"N_MONTHS_AGO", U_MONTH, 0, 1, -1, -1},
	{"N_QUARTERS_AGO", U_QUARTER, 0, 1, -1, -1},
	{"N_YEARS_AGO", U_YEAR, 0, 1, -1, -1},
	{"N_FISCAL_QUARTERS_AGO", U_QUARTER, 0, 1, -1, -1},
	{"N_FISCAL_YEARS_AGO", U_YEAR, 0, 1, -1, -1},
};

int
date_formula(Slice word, bool *takes_n)
{
	for (size_t i = 0; i < sizeof(formulas) / sizeof(formulas[0]); i++)
		if (slice_is(word, formulas[i].name))
		{
			*takes_n = formulas[i].from_n != 0 || formulas[i].to_n != 0;
			return (int) i;
		}
	return -1;
}

/* Days since 1970-01-01 of a proleptic Gregorian date, and back. */
static long
days_of(long y, long m, long d)
{
	long era, yoe, doy, doe;

	y -= m <= 2;
	era = (y >= 0 ? y : y - 399) / 400;
	yoe = y - era * 400;
	doy = (153 * (m + (m > 2 ? -3 : 9)) + 2) / 5 + d - 1;
	doe = yoe * 365 + yoe / 4 - yoe / 100 + doy;
	return era * 146097 + doe - 719468;
}

static void
date_of(long days, long *y, long *m, long *d)
{
	long era, doe, yoe, doy, mp;

	days += 719468;
	era = (days >= 0 ? days : days - 146096) / 146097;
	doe = days - era * 146097;
	yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
	doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
	mp = (5 * doy + 2) / 153;
	*d = doy - (153 * mp + 2) / 5 + 1;
	*m = mp < 10 ? mp + 3 : mp - 9;
	*y = yoe + era * 400 + (*m <= 2);
}

/* First day of the unit that lies k units from the one that holds today. */
static long
unit_start(Unit unit, long today, long k)
{
	long y, m, d, months;

	if (unit == U_DAY)
		return today + k;
	if (unit == U_WEEK)
		return today - (today + 4) % 7 + 7 * k;
	date_of(today, &y, &m, &d);
	months = y * 12 + m - 1;
	if (unit == U_MONTH)
		months += k;
	else if (unit == U_QUARTER)
		months = (months / 3 + k) * 3;
	else
		months = (y + k) * 12;
	if (months < 0)
		months = 0;
	return days_of(months / 12, months % 12 + 1, 1);
}

/* Clamped to what text order can compare: years 0001 .. 9999. */
static void
put_date(long days, char out[11])
{
	long y, m, d, low = days_of(1, 1, 1), high = days_of(9999, 12, 31);
	char text[40];

	date_of(days < low ? low : days > high ? high : days, &y, &m, &d);
	snprintf(text, sizeof(text), "%04ld-%02ld-%02ld", y, m, d);
	memcpy(out, text, 10);
	out[10] = '\0';
}

void
date_formula_range(int formula, long n, long today, char lo[11], char hi[11])
{
	const struct DateFormula *f = &formulas[formula];

	put_date(unit_start(f->unit, today, f->from + f->from_n * n), lo);
	put_date(unit_start(f->unit, today, f->to + f->to_n * n), hi);
}

long
date_today(void)
{
	return (long) (store_now() / 86400);
}

static int
number_at(const char *p, int n)
{
	int v = 0;

	for (int i = 0; i < n; i++)
		v = v * 10 + (p[i] - '0');
	return v;
}

/* Days of the yyyy-mm-dd at p; false if there is no such day or it is out of range. */
static bool
days_at(const char *p, long *days)
{
	static const int lengths[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	int y = number_at(p, 4), m = number_at(p + 5, 2), d = number_at(p + 8, 2), len;

	if (m < 1 || m > 12 || y < 1700 || y > 4000)
		return false;
	len = lengths[m - 1] + (m == 2 && y % 4 == 0 && (y % 100 != 0 || y % 400 == 0));
	if (d < 1 || d > len)
		return false;
	*days = days_of(y, m, d);
	return true;
}

bool
date_literal(Slice s, char out[11])
{
	long days;

	if (!days_at(s.p, &days))
		return false;
	memcpy(out, s.p, 10);
	out[10] = '\0';
	return true;
}

/* hh:mm:ss[.f]zone at p, up to end: seconds of the day in UTC (may lie outside of it) and
 * milliseconds. */
static bool
clock_at(const char *p, const char *end, long *seconds, int *ms)
{
	int h = number_at(p, 2), m = number_at(p + 3, 2), s = number_at(p + 6, 2), scale = 100;
	const char *q = p + 8;

	*ms = 0;
	if (h > 23 || m > 59 || s > 59)
		return false;
	if (q < end && *q == '.')
		for (q++; q < end && *q >= '0' && *q <= '9'; q++, scale /= 10)
			*ms += (*q - '0') * scale;
	*seconds = h * 3600 + m * 60 + s;
	if (*q == '+' || *q == '-')
	{
		int zh = number_at(q + 1, 2), zm = number_at(end - 2, 2);

		if (zh > 15 || zm > 59)
			return false;
		*seconds -= (*q == '+' ? 1 : -1) * (zh * 3600 + zm * 60);
	}
	return true;
}

bool
datetime_literal(Slice s, char out[29])
{
	long days, sec;
	int ms;
	char date[11], text[64];

	if (!days_at(s.p, &days) || !clock_at(s.p + 11, s.p + s.n, &sec, &ms))
		return false;
	while (sec < 0)
	{
		sec += 86400;
		days--;
	}
	while (sec >= 86400)
	{
		sec -= 86400;
		days++;
	}
	if (days < days_of(1700, 1, 1) || days > days_of(4000, 12, 31))
		return false;
	put_date(days, date);
	snprintf(text, sizeof(text), "%sT%02ld:%02ld:%02ld.%03d+0000", date, sec / 3600, sec / 60 % 60,
			 sec % 60, ms % 1000);
	memcpy(out, text, 28);
	out[28] = '\0';
	return true;
}

bool
time_literal(Slice s, char out[14])
{
	long sec;
	int ms;
	char text[64];

	if (!clock_at(s.p, s.p + s.n, &sec, &ms))
		return false;
	sec = (sec % 86400 + 86400) % 86400;
	snprintf(text, sizeof(text), "%02ld:%02ld:%02ld.%03dZ", sec / 3600, sec / 60 % 60, sec % 60,
			 ms % 1000);
	memcpy(out, text, 13);
	out[13] = '\0';
	return true;
}
