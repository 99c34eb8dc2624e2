/*
 * test_json_unescape.c - the escapes of JSON strings.
 */
#include "check.h"
#include "wire/json_scan.h"

#include <stdlib.h>
#include <string.h>

/* Decodes into exactly as much room as is promised to be enough. */
static void
check_decoded(const char *s, size_t len, const char *want, int line)
{
	char *in = malloc(len + 1);
	char *out = malloc(len + 1);
	ptrdiff_t n;

	memcpy(in, s, len);
	in = realloc(in, len ? len : 1);
	out = realloc(out, len ? len : 1);
	n = ampsf_json_unescape(in, len, out);
	check_true(n >= 0, s, __FILE__, line);
	if (n >= 0)
		check_text(out, (size_t) n, want, s, __FILE__, line);
	free(in);
	free(out);
}

#define DECODED(s, want) check_decoded((s), sizeof(s) - 1, (want), __LINE__)
#define REFUSED(s, code) CHECK_INT(ampsf_json_unescape((s), sizeof(s) - 1, out), (code))

void
test_json_unescape(void)
{
	char out[128];

	DECODED("", "");
	DECODED("plain", "plain");
	DECODED("\\\"\\\\\\/\\b\\f\\n\\r\\t", "\"\\/\b\f\n\r\t");
	DECODED("a\\nb", "a\nb");
	DECODED("\\\\n", "\\n");
	DECODED("\\u0041\\u00e4\\u20AC", "A\xc3\xa4\xe2\x82\xac");
	DECODED("\\u007f\\u0080\\u07ff\\u0800\\uffff", "\x7f\xc2\x80\xdf\xbf\xe0\xa0\x80\xef\xbf\xbf");
	DECODED("x\\ud83d\\ude00y", "x\xf0\x9f\x98\x80y");
	DECODED("\\ud800\\udc00\\udbff\\udfff", "\xf0\x90\x80\x80\xf4\x8f\xbf\xbf");
	DECODED("\xc3\xa4\\t", "\xc3\xa4\t");

	REFUSED("\\", -1);
	REFUSED("\\x", -1);
	REFUSED("\\u", -1);
	REFUSED("\\u12", -1);
	REFUSED("\\u12g4", -1);
	REFUSED("\\ud83d", -1);
	REFUSED("\\ud83dx", -1);
	REFUSED("\\ud83d\\n", -1);
	REFUSED("\\ud83d\\u0041", -1);
	REFUSED("\\ud83d\\ud83d", -1);
	REFUSED("\\ude00", -1);
	REFUSED("\\ud83d\\ude0", -1);
	REFUSED("a\\u0000b", -2);
}
