/*
 * fuzz_csv.c - libFuzzer target: the reader of Bulk results.
 *
 * The first byte says how the rest arrives: at once and in pieces, each window in memory of its own
 * size.  Both readings must agree in every row and in the outcome, and no slice may lie outside of
 * the window.
 */
#include "wire/csv_scan.h"

#include <stdlib.h>
#include <string.h>

#define NFIELDS 3

extern int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const fields[NFIELDS] = {"Id", "Name", "a.b"};

typedef struct Outcome
{
	AmpsfCsvResult result;
	int rows;
	uint64_t hash;
} Outcome;

static void
take(const AmpsfValue *values, const char *window, size_t len, Outcome *outcome)
{
	outcome->rows++;
	for (int i = 0; i < NFIELDS; i++)
	{
		const AmpsfValue *v = &values[i];
		char *out;
		size_t n;

		outcome->hash = (outcome->hash ^ v->kind) * 1099511628211u;
		if (v->kind == AMPSF_VALUE_NULL)
			continue;
		if (v->ptr < window || v->ptr + v->len > window + len)
			abort();
		out = malloc(v->len);
		n = v->kind == AMPSF_VALUE_DOUBLED ? ampsf_csv_unquote(v->ptr, v->len, out) : v->len;
		if (v->kind != AMPSF_VALUE_DOUBLED)
			memcpy(out, v->ptr, n);
		for (size_t j = 0; j < n; j++)
			outcome->hash = (outcome->hash ^ (unsigned char) out[j]) * 1099511628211u;
		free(out);
	}
}

static Outcome
read_all(const char *text, size_t len, size_t step)
{
	AmpsfCsvScan *scan = ampsf_csv_scan_create(fields, NFIELDS, ',');
	Outcome outcome = {AMPSF_CSV_MORE, 0, 14695981039346656037u};
	size_t start = 0, there = step < len ? step : len;

	ampsf_csv_scan_reset(scan);
	while (outcome.result == AMPSF_CSV_MORE)
	{
		size_t size = there - start, pos = 0;
		char *window = malloc(size ? size : 1);
		AmpsfValue values[NFIELDS];

		memcpy(window, text + start, size);
		while ((outcome.result = ampsf_csv_scan_next(scan, window, size, &pos, there == len,
													 values)) == AMPSF_CSV_ROW)
			take(values, window, size, &outcome);
		if (outcome.result == AMPSF_CSV_MORE && there == len)
			abort();
		free(window);
		start += pos;
		there = there + step < len ? there + step : len;
	}
	ampsf_csv_scan_free(scan);
	return outcome;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	Outcome whole, pieces;

	if (size < 1)
		return 0;
	whole = read_all((const char *) data + 1, size - 1, size);
	pieces = read_all((const char *) data + 1, size - 1, 1 + data[0] % 61);
	if (whole.result != pieces.result || whole.rows != pieces.rows || whole.hash != pieces.hash)
		abort();
	return 0;
}
