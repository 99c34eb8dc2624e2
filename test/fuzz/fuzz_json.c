/*
 * fuzz_json.c - libFuzzer target: the reader of query pages.
 *
 * The first byte says how the rest arrives: at once and in pieces, each window in memory of its own
 * size. Both readings must agree in every record and in the outcome, no slice may lie outside of
 * the window, and what is accepted must be JSON for json-c too, with the same values.
 */
#include "wire/json_scan.h"

#include <json-c/json.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

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

/* Without case, as the scanner looks for keys; *twice: there are several, so that it depends on
 * order. */
static struct json_object *
member(struct json_object *object, const char *name, size_t len, bool *twice)
{
	struct json_object *found = NULL;
	int n = 0;

	if (!json_object_is_type(object, json_type_object))
		return NULL;
	json_object_object_foreach(object, key, value)
	{
		if (strlen(key) == len && strncasecmp(key, name, len) == 0)
		{
			found = value;
			n++;
		}
	}
	*twice |= n > 1;
	return found;
}

static struct json_object *
by_path(struct json_object *record, const char *path, bool *twice)
{
	while (record)
	{
		size_t len = strcspn(path, ".");

		record = member(record, path, len, twice);
		if (path[len] == '\0')
			break;
		path += len + 1;
	}
	return record;
}

static void
compare_value(const AmpsfValue *v, struct json_object *o)
{
	char *text;
	ptrdiff_t len;

	switch (v->kind)
	{
		case AMPSF_VALUE_NULL:
			if (o)
				abort();
			break;
		case AMPSF_VALUE_STRING:
		case AMPSF_VALUE_ESCAPED:
			if (!json_object_is_type(o, json_type_string))
				abort();
			text = malloc(v->len ? v->len : 1);
			memcpy(text, v->ptr, v->len);
			len = v->kind == AMPSF_VALUE_STRING ? (ptrdiff_t) v->len
												: ampsf_json_unescape(v->ptr, v->len, text);
			/* half of a surrogate pair json-c replaces, and a zero we refuse */
			if (len >= 0 && (len != json_object_get_string_len(o) ||
							 memcmp(text, json_object_get_string(o), (size_t) len) != 0))
				abort();
			free(text);
			break;
		case AMPSF_VALUE_NUMBER:
			if (!json_object_is_type(o, json_type_int) && !json_object_is_type(o, json_type_double))
				abort();
			text = strndup(v->ptr, v->len);
			/* an integer that is too large ends at the border for json-c */
			if (json_object_is_type(o, json_type_double) &&
				json_object_get_double(o) != strtod(text, NULL))
				abort();
			if (json_object_is_type(o, json_type_int) && v->len < 19 &&
				json_object_get_int64(o) != strtoll(text, NULL, 10))
				abort();
			free(text);
			break;
		case AMPSF_VALUE_TRUE:
		case AMPSF_VALUE_FALSE:
			if (!json_object_is_type(o, json_type_boolean) ||
				json_object_get_boolean(o) != (v->kind == AMPSF_VALUE_TRUE))
				abort();
			break;
		default:
			if (!json_object_is_type(o, json_type_object) &&
				!json_object_is_type(o, json_type_array))
				abort();
	}
}

/* What the scanner accepts is JSON for json-c too, and every value is the same. */
static void
check_with_json_c(AmpsfJsonScan *scan, const char *page, size_t size)
{
	struct json_tokener *tokener = json_tokener_new_ex(70);
	struct json_object *doc = json_tokener_parse_ex(tokener, page, (int) size);
	struct json_object *records;
	AmpsfValue values[NFIELDS];
	size_t pos = 0;

	if (json_tokener_get_error(tokener) != json_tokener_success ||
		!json_object_object_get_ex(doc, "records", &records))
		abort();
	ampsf_json_scan_reset(scan);
	for (size_t n = 0;
		 ampsf_json_scan_next(scan, page, size, &pos, true, values) == AMPSF_JSON_RECORD; n++)
		for (int i = 0; i < NFIELDS - 1; i++)
		{
			bool twice = false;
			struct json_object *o =
				by_path(json_object_array_get_idx(records, n), fields[i], &twice);

			if (!twice)
				compare_value(&values[i], o);
		}
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
		check_with_json_c(scan, page, size);
	}
	return 0;
}
