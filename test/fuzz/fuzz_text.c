/*
 * fuzz_text.c - libFuzzer target: quoting, escapes, Ids and times.
 *
 * Each function writes what it has promised and no more, and what has an inverse comes back the
 * same.
 */
#include "wire/json_scan.h"
#include "wire/sfid.h"
#include "wire/text.h"
#include "wire/wiretime.h"

#include <stdlib.h>
#include <string.h>

extern int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

typedef size_t (*Quote)(const char *s, size_t len, char *out);

static char *
quoted(Quote quote, const char *s, size_t len, size_t *size)
{
	char *out;

	*size = quote(s, len, NULL);
	out = malloc(*size ? *size : 1);
	if (quote(s, len, out) != *size)
		abort();
	return out;
}

/* A JSON string holds no quote and no control character, and reads back. */
static void
check_json(const char *s, size_t len)
{
	size_t size;
	char *out = quoted(ampsf_quote_json, s, len, &size);
	char *back = malloc(size);
	ptrdiff_t n = ampsf_json_unescape(out + 1, size - 2, back);

	if (memchr(s, '\0', len) ? n != -2 : n != (ptrdiff_t) len || memcmp(back, s, len) != 0)
		abort();
	for (size_t i = 0; i < size; i++)
	{
		if ((unsigned char) out[i] < 0x20)
			abort();
	}
	free(back);
	free(out);
}

/* No place inside of a SOQL literal ends it. */
static void
check_soql(Quote quote, const char *s, size_t len)
{
	size_t size;
	char *out = quoted(quote, s, len, &size);

	if (size < 2 || out[0] != '\'' || out[size - 1] != '\'')
		abort();
	for (size_t i = 1; i < size - 1; i++)
	{
		if (out[i] == '\\')
		{
			if (++i == size - 1 || !strchr("nrtf\"'\\u%_", out[i]))
				abort();
		}
		else if (out[i] == '\'' || out[i] == '"' || (unsigned char) out[i] < 0x20)
			abort();
	}
	free(out);
}

static void
check_url(const char *s, size_t len)
{
	size_t size;
	char *out = quoted(ampsf_quote_url, s, len, &size);

	for (size_t i = 0; i < size; i++)
	{
		if (strchr("&=+?#/ \"'<>", out[i]))
			abort();
	}
	free(out);
}

static void
check_id(const char *s, size_t len)
{
	char once[AMPSF_SFID_LEN + 1], twice[AMPSF_SFID_LEN + 1];

	if (ampsf_sfid_canonicalize(s, len, once))
	{
		if (!ampsf_sfid_is_canonical(once, AMPSF_SFID_LEN) ||
			!ampsf_sfid_canonicalize(once, AMPSF_SFID_LEN, twice) ||
			memcmp(once, twice, sizeof(once)) != 0)
			abort();
	}
	else if (ampsf_sfid_is_canonical(s, len))
		abort();
}

static void
check_times(const char *s, size_t len)
{
	char out[AMPSF_TIME_BUF];
	int32_t days, days2;
	int64_t usecs, usecs2;

	if (ampsf_parse_date(s, len, &days) &&
		(!ampsf_parse_date(out, (size_t) ampsf_print_date(days, out), &days2) || days != days2 ||
		 memcmp(out, s, 10) != 0))
		abort();
	/* Printing cuts to milliseconds; years before 1 and after 9999 come of offsets and cannot be
	 * read. */
	if (ampsf_parse_datetime(s, len, &usecs) && usecs >= AMPSF_DATETIME_MIN &&
		usecs <= AMPSF_DATETIME_MAX &&
		(!ampsf_parse_datetime(out, (size_t) ampsf_print_datetime_ms(usecs, out), &usecs2) ||
		 usecs - usecs2 < 0 || usecs - usecs2 >= 1000))
		abort();
	if (ampsf_parse_time(s, len, &usecs) && usecs < INT64_C(86400000000) &&
		(!ampsf_parse_time(out, (size_t) ampsf_print_time(usecs, out), &usecs2) ||
		 usecs - usecs2 < 0 || usecs - usecs2 >= 1000))
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	/* A copy of just this size, so that the sanitizer sees a step beyond it. */
	char *s = malloc(size ? size : 1);
	char *out = malloc(size ? size : 1);

	memcpy(s, data, size);
	if (ampsf_json_unescape(s, size, out) > (ptrdiff_t) size)
		abort();
	check_json(s, size);
	check_soql(ampsf_quote_soql, s, size);
	check_soql(ampsf_quote_soql_like, s, size);
	check_url(s, size);
	check_id(s, size);
	check_times(s, size);
	(void) ampsf_is_api_name(s, size);
	free(out);
	free(s);
	return 0;
}
