/*
 * fuzz_json.c - libFuzzer target: the reader of query pages.
 *
 * The first byte says how the rest arrives: at once and in pieces, each window in memory of its own
 * size. Both readings must agree in every record and in the outcome, no slice may lie outside of
 * the window, and what is accepted must be JSON for json-c too.
 */
#include "wire/json_scan.h"

#include <json-c/json.h>
#include <stdlib.h>
#include <string.h>

#define NFIELDS 9

extern int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const fields[NFIELDS] = {"Id",		"Name",	 "a.b", "a.c.d", "a",
											"Contacts", "expr0", "id",	"*"};

typedef struct Outcome
{
	AmpsfJsonResult result;
	int records;
	uint64_t hash; /* of all values */
	int64_t total;
	bool done;
	bool has_url;
} Outcome;

static uint64_t
mix(uint64_t hash, const char *s, size_t len)
{
	for (size_t i = 0; i < len; i++)
		hash = (hash ^ (unsigned char) s[i]) * 1099511628211u;
	return hash;
}

/* A record's values: inside the window, and into the hash. */
static void
take_values(const AmpsfValue *values, const char *window, size_t len, Outcome *outcome)
{
	for (int i = 0; i < NFIELDS; i++)
	{
		const AmpsfValue *v = &values[i];
		char kind = (char) v->kind;

		outcome->hash = mix(outcome->hash, &kind, 1);
		if (v->kind == AMPSF_VALUE_NULL)
			continue;
		if (v->ptr < window || v->ptr + v->len > window + len)
			abort();
		outcome->hash = mix(outcome->hash, v->ptr, v->len);
		if (v->kind == AMPSF_VALUE_ESCAPED)
		{
			char *out = malloc(v->len ? v->len : 1);

			if (ampsf_json_unescape(v->ptr, v->len, out) > (ptrdiff_t) v->len)
				abort();
			free(out);
		}
	}
	outcome->records++;
}

static Outcome
read_page(AmpsfJsonScan *scan, const char *page, size_t size, size_t step)
{
	Outcome outcome = {AMPSF_JSON_MORE, 0, 14695981039346656037u, -1, false, false};
	AmpsfValue values[NFIELDS];
	size_t from = 0;
	size_t to = 0;
	size_t pos = 0;
	char *window = NULL;

	ampsf_json_scan_reset(scan);
	for (;;)
	{
		if (outcome.result != AMPSF_JSON_RECORD)
		{
			from += pos;
			pos = 0;
			to = size - to < step ? size : to + step;
			free(window);
			window = malloc(to - from ? to - from : 1);
			memcpy(window, page + from, to - from);
		}
		outcome.result = ampsf_json_scan_next(scan, window, to - from, &pos, to == size, values);
		if (pos > to - from)
			abort();
		if (outcome.result == AMPSF_JSON_RECORD)
			take_values(values, window, to - from, &outcome);
		else if (outcome.result == AMPSF_JSON_BAD || to == size)
			break;
	}
	free(window);
	if (outcome.result == AMPSF_JSON_MORE)
		abort(); /* there was no more */
	if (outcome.result == AMPSF_JSON_BAD && !*ampsf_json_scan_error(scan))
		abort();
	outcome.total = ampsf_json_scan_total(scan);
	outcome.done = ampsf_json_scan_done(scan);
	outcome.has_url = ampsf_json_scan_next_url(scan) != NULL;
	return outcome;
}

static void
check_with_json_c(const char *page, size_t size)
{
	struct json_tokener *tokener = json_tokener_new_ex(70);
	struct json_object *doc = json_tokener_parse_ex(tokener, page, (int) size);
	struct json_object *records;

	if (json_tokener_get_error(tokener) != json_tokener_success ||
		!json_object_object_get_ex(doc, "records", &records))
		abort();
	json_object_put(doc);
	json_tokener_free(tokener);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static AmpsfJsonScan *scan;
	const char *page = (const char *) data + 1;
	Outcome whole, pieces;

	if (size < 1)
		return 0;
	if (!scan)
		scan = ampsf_json_scan_create(fields, NFIELDS);
	size--;
	whole = read_page(scan, page, size, size ? size : 1);
	pieces = read_page(scan, page, size, (size_t) data[0] % 64 + 1);
	if (whole.result != pieces.result)
		abort();
	/* Where a broken page is noticed may differ, what a sound one says may not. */
	if (whole.result == AMPSF_JSON_END)
	{
		if (whole.records != pieces.records || whole.hash != pieces.hash ||
			whole.total != pieces.total || whole.done != pieces.done ||
			whole.has_url != pieces.has_url)
			abort();
		check_with_json_c(page, size);
	}
	return 0;
}
