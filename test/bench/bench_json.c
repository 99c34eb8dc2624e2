/*
 * bench_json.c - the page reader against json-c, on the same page, in the same run.
 *
 * The page has 2,000 records of 20 fields, such as Salesforce sends for contacts.  Both readers
 * look at every field of every record and must count the same values.  What is printed is the ratio;
 * the absolute figures belong to the machine.
 *
 *   cc -O2 -Isrc test/bench/bench_json.c src/wire/json_scan.c src/wire/json_lex.c src/wire/json_unescape.c -ljson-c
 */
#include "wire/json_scan.h"

#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define RECORDS 2000
#define NFIELDS 20
#define ROUNDS 5

static const char *const fields[NFIELDS] = {"Id",
											"AccountId",
											"LastName",
											"FirstName",
											"Salutation",
											"Email",
											"Phone",
											"MailingStreet",
											"MailingCity",
											"MailingPostalCode",
											"Title",
											"Department",
											"LeadSource",
											"Birthdate",
											"HasOptedOutOfEmail",
											"AnnualRevenue__c",
											"Score__c",
											"CreatedDate",
											"SystemModstamp",
											"Description"};

static double
now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double) t.tv_sec + (double) t.tv_nsec / 1e9;
}

/* One page; malloc'ed. */
static char *
make_page(size_t *len)
{
	static const char *const description =
		"Met at the fair in spring; wants an offer for the second half of the year, to be sent to "
		"the office "
		"and not to the works. Prefers to be called in the morning.";
	size_t room = RECORDS * 1200 + 200;
	char *page = malloc(room);
	size_t n =
		(size_t) snprintf(page, room, "{\"totalSize\":%d,\"done\":true,\"records\":[", RECORDS);

	for (int i = 0; i < RECORDS; i++)
	{
		n += (size_t) snprintf(
			page + n, room - n,
			"%s{\"attributes\":{\"type\":\"Contact\",\"url\":\"/services/data/v62.0/sobjects/"
			"Contact/"
			"003000000%06dAAA\"},\"Id\":\"003000000%06dAAA\",\"AccountId\":\"001000000%06dAAA\","
			"\"LastName\":\"Name%d\",\"FirstName\":%s,\"Salutation\":\"Ms.\",\"Email\":\"name%d@"
			"example.com\","
			"\"Phone\":\"+49 30 %06d\",\"MailingStreet\":\"%d Long "
			"Street%s\",\"MailingCity\":\"Berlin\","
			"\"MailingPostalCode\":\"1%04d\",\"Title\":\"Head of "
			"Purchasing\",\"Department\":\"Purchasing\","
			"\"LeadSource\":%s,\"Birthdate\":\"19%02d-0%d-1%d\",\"HasOptedOutOfEmail\":%s,"
			"\"AnnualRevenue__c\":%d.%02d,\"Score__c\":%d,\"CreatedDate\":\"2024-01-31T10:20:30."
			"000+0000\","
			"\"SystemModstamp\":\"2024-02-29T23:59:59.000+0000\",\"Description\":\"%s\"}",
			i ? "," : "", i, i, i / 5, i, i % 20 ? "\"Marie\"" : "null", i, i, i,
			i % 20 ? "" : "\\n2nd floor", i, i % 5 ? "\"Web\"" : "null", i % 80 + 10, i % 9 + 1,
			i % 9, i % 7 ? "false" : "true", i * 17, i % 100, i, description);
	}
	n += (size_t) snprintf(page + n, room - n, "]}");
	*len = n;
	return page;
}

static size_t
read_with_scan(AmpsfJsonScan *scan, const char *page, size_t len)
{
	AmpsfValue values[NFIELDS];
	size_t pos = 0;
	size_t seen = 0;

	ampsf_json_scan_reset(scan);
	while (ampsf_json_scan_next(scan, page, len, &pos, true, values) == AMPSF_JSON_RECORD)
	{
		for (int i = 0; i < NFIELDS; i++)
			seen += values[i].kind == AMPSF_VALUE_NULL ? 0 : 1;
	}
	return seen;
}

static size_t
read_with_json_c(const char *page, size_t len)
{
	struct json_tokener *tokener = json_tokener_new();
	struct json_object *doc = json_tokener_parse_ex(tokener, page, (int) len);
	struct json_object *records, *value;
	size_t seen = 0;

	json_object_object_get_ex(doc, "records", &records);
	for (size_t r = 0; r < json_object_array_length(records); r++)
	{
		struct json_object *record = json_object_array_get_idx(records, r);

		for (int i = 0; i < NFIELDS; i++)
			seen += json_object_object_get_ex(record, fields[i], &value) && value ? 1 : 0;
	}
	json_object_put(doc);
	json_tokener_free(tokener);
	return seen;
}

static int
by_size(const void *a, const void *b)
{
	double x = *(const double *) a, y = *(const double *) b;

	return x < y ? -1 : x > y;
}

int
main(void)
{
	size_t len;
	char *page = make_page(&len);
	AmpsfJsonScan *scan = ampsf_json_scan_create(fields, NFIELDS);
	double scan_time[ROUNDS], json_c_time[ROUNDS];
	size_t found = 0, expected = 0;
	const int repeat = 50;

	for (int round = 0; round < ROUNDS; round++)
	{
		double start = now();

		for (int i = 0; i < repeat; i++)
			found = read_with_scan(scan, page, len);
		scan_time[round] = (now() - start) / repeat;
		start = now();
		expected = read_with_json_c(page, len);
		json_c_time[round] = now() - start;
	}
	if (found != expected || found == 0)
	{
		fprintf(stderr, "json_scan found %zu values, json-c %zu\n", found, expected);
		return 1;
	}
	qsort(scan_time, ROUNDS, sizeof(double), by_size);
	qsort(json_c_time, ROUNDS, sizeof(double), by_size);
	printf(
		"json page of %d records, %zu bytes: json_scan %.0f MB/s, json-c %.0f MB/s, ratio %.1f\n",
		RECORDS, len, (double) len / scan_time[ROUNDS / 2] / 1e6,
		(double) len / json_c_time[ROUNDS / 2] / 1e6,
		json_c_time[ROUNDS / 2] / scan_time[ROUNDS / 2]);
	ampsf_json_scan_free(scan);
	free(page);
	return 0;
}
