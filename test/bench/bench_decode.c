/*
 * bench_decode.c - the decoders alone: ours, json-c, PostgreSQL's JSON parser and libcsv, each over the
 * same bytes in memory.
 *
 *   bench_decode DECODER FILE ROUNDS FIELD...
 *
 * DECODER is json_scan, json-c, pg_json, csv_scan or libcsv; FILE a page of a query's answer, or a page of
 * a Bulk result.  Every reader must hand over every value of the fields, and all must count the same
 * values.  Prints seconds, bytes, rows and values.
 */
#include "wire/csv_scan.h"
#include "wire/json_scan.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#ifdef WITH_LIBCSV
#include <csv.h>
#endif
#include <json-c/json.h>

static char *text;
static size_t size;
static const char *const *fields;
static int nfields;
static size_t rows, values;

/* pg_json.c, because json-c and PostgreSQL's headers do not go together. */
extern int parse_with_pg(const char *page, size_t len, size_t *rows, size_t *values);

static void
die(const char *what)
{
	fprintf(stderr, "bench_decode: %s\n", what);
	exit(1);
}

static void
read_json_scan(void)
{
	AmpsfJsonScan *scan = ampsf_json_scan_create(fields, nfields);
	AmpsfValue *v = calloc((size_t) nfields, sizeof(AmpsfValue));
	AmpsfJsonResult r;
	size_t pos = 0;

	ampsf_json_scan_reset(scan);
	while ((r = ampsf_json_scan_next(scan, text, size, &pos, true, v)) == AMPSF_JSON_RECORD)
	{
		rows++;
		for (int i = 0; i < nfields; i++)
			values += v[i].kind != AMPSF_VALUE_NULL;
	}
	if (r != AMPSF_JSON_END)
		die(ampsf_json_scan_error(scan));
	free(v);
	ampsf_json_scan_free(scan);
}

static void
read_csv_scan(void)
{
	AmpsfCsvScan *scan = ampsf_csv_scan_create(fields, nfields, ',');
	AmpsfValue *v = calloc((size_t) nfields, sizeof(AmpsfValue));
	AmpsfCsvResult r;
	size_t pos = 0;

	ampsf_csv_scan_reset(scan);
	while ((r = ampsf_csv_scan_next(scan, text, size, &pos, true, v)) == AMPSF_CSV_ROW)
	{
		rows++;
		for (int i = 0; i < nfields; i++)
			values += v[i].kind != AMPSF_VALUE_NULL;
	}
	if (r != AMPSF_CSV_END)
		die(ampsf_csv_scan_error(scan));
	free(v);
	ampsf_csv_scan_free(scan);
}

static void
read_json_c(void)
{
	struct json_tokener *tokener = json_tokener_new();
	struct json_object *doc = json_tokener_parse_ex(tokener, text, (int) size);
	struct json_object *records, *value;

	if (!json_object_object_get_ex(doc, "records", &records))
		die("json-c finds no records");
	for (size_t r = 0; r < json_object_array_length(records); r++)
	{
		struct json_object *record = json_object_array_get_idx(records, r);

		rows++;
		for (int i = 0; i < nfields; i++)
			values += json_object_object_get_ex(record, fields[i], &value) && value;
	}
	json_object_put(doc);
	json_tokener_free(tokener);
}

#ifdef WITH_LIBCSV
static void
on_field(void *s, size_t len, void *arg)
{
	(void) s;
	(void) arg;
	values += len > 0;
}

static void
on_row(int c, void *arg)
{
	(void) c;
	(void) arg;
	rows++;
}

static void
read_libcsv(void)
{
	struct csv_parser parser;

	if (csv_init(&parser, CSV_STRICT) != 0 ||
		csv_parse(&parser, text, size, on_field, on_row, NULL) != size ||
		csv_fini(&parser, on_field, on_row, NULL) != 0)
		die("libcsv refuses it");
	csv_free(&parser);
	/* the header is none */
	rows--;
	values -= (size_t) nfields;
}
#endif

static void
read_pg_json(void)
{
#ifdef WITH_PG_JSON
	if (!parse_with_pg(text, size, &rows, &values))
		die("PostgreSQL's parser refuses it");
#else
	die("built without PostgreSQL's parser");
#endif
}

int
main(int argc, char **argv)
{
	static const struct
	{
		const char *name;
		void (*read)(void);
	} decoders[] = {
		{"json_scan", read_json_scan}, {"json-c", read_json_c}, {"pg_json", read_pg_json},
		{"csv_scan", read_csv_scan},
#ifdef WITH_LIBCSV
		{"libcsv", read_libcsv},
#endif
	};
	struct timespec a, b;
	FILE *f;
	int rounds;

	if (argc < 5 || (f = fopen(argv[2], "rb")) == NULL)
		die("use: bench_decode DECODER FILE ROUNDS FIELD...");
	fseek(f, 0, SEEK_END);
	size = (size_t) ftell(f);
	rewind(f);
	text = malloc(size + 1);
	if (fread(text, 1, size, f) != size)
		die("cannot read the file");
	text[size] = '\0';
	fclose(f);
	rounds = atoi(argv[3]);
	fields = (const char *const *) argv + 4;
	nfields = argc - 4;
	for (size_t d = 0; d < sizeof(decoders) / sizeof(decoders[0]); d++)
		if (strcmp(argv[1], decoders[d].name) == 0)
		{
			clock_gettime(CLOCK_MONOTONIC, &a);
			for (int i = 0; i < rounds; i++)
				decoders[d].read();
			clock_gettime(CLOCK_MONOTONIC, &b);
			printf("%.6f %zu %zu %zu\n",
				   (double) (b.tv_sec - a.tv_sec) + (double) (b.tv_nsec - a.tv_nsec) / 1e9,
				   size * (size_t) rounds, rows, values);
			free(text);
			return 0;
		}
	die("no such decoder");
}
