/*
 * test_text.c - quoting.
 */
#include "check.h"
#include "wire/json_scan.h"
#include "wire/text.h"

#include <stdlib.h>
#include <string.h>

typedef size_t (*Quote)(const char *s, size_t len, char *out);

/* Sizes, writes into exactly that room, and compares. */
static void
check_quote(Quote quote, const char *s, size_t len, const char *want, int line)
{
	size_t size = quote(s, len, NULL);
	char *out = malloc(size + 1);

	check_int((long long) quote(s, len, out), (long long) size, "written", __FILE__, line);
	check_text(out, size, want, "quoted", __FILE__, line);
	free(out);
}

#define SOQL(s, want) check_quote(ampsf_quote_soql, (s), sizeof(s) - 1, (want), __LINE__)
#define LIKE(s, want) check_quote(ampsf_quote_soql_like, (s), sizeof(s) - 1, (want), __LINE__)
#define JSON(s, want) check_quote(ampsf_quote_json, (s), sizeof(s) - 1, (want), __LINE__)
#define URL(s, want) check_quote(ampsf_quote_url, (s), sizeof(s) - 1, (want), __LINE__)
#define NAME(s) ampsf_is_api_name((s), sizeof(s) - 1)

/* Every byte, at every place in a block: what is quoted is read back. */
static void
check_json_round_trip(void)
{
	int wrong = 0;
	char s[40], quoted[256], back[256];

	for (int c = 1; c < 256; c++)
	{
		for (size_t len = 1; len < sizeof(s); len += 3)
		{
			size_t n;

			memset(s, 'x', sizeof(s));
			s[len - 1] = (char) c;
			n = ampsf_quote_json(s, len, quoted);
			if (quoted[0] != '"' || quoted[n - 1] != '"' || memchr(quoted + 1, '\n', n - 2))
				wrong++;
			if (ampsf_json_unescape(quoted + 1, n - 2, back) != (ptrdiff_t) len ||
				memcmp(back, s, len) != 0)
				wrong++;
		}
	}
	CHECK_INT(wrong, 0);
}

void
test_text(void)
{
	SOQL("", "''");
	SOQL("plain", "'plain'");
	SOQL("O'Brien", "'O\\'Brien'");
	SOQL("\\' OR Id != '", "'\\\\\\' OR Id != \\''");
	SOQL("say \"hi\"", "'say \\\"hi\\\"'");
	SOQL("a\nb\rc\td\fe", "'a\\nb\\rc\\td\\u000ce'");
	SOQL("a\0b\x01\x7f\b", "'a\\u0000b\\u0001\\u007f\\u0008'");
	SOQL("\xc3\xa4\xf0\x9f\x98\x80", "'\xc3\xa4\xf0\x9f\x98\x80'");
	SOQL("100%_", "'100%_'");

	LIKE("a%_b", "'a%_b'");
	LIKE("100\\%", "'100\\%'");
	LIKE("a\\_b", "'a\\_b'");
	LIKE("a\\\\b", "'a\\\\b'");
	LIKE("a\\\\%", "'a\\\\%'");
	LIKE("\\O'x", "'O\\'x'");
	LIKE("\\'", "'\\''");
	LIKE("end\\", "'end\\\\'");

	JSON("", "\"\"");
	JSON("plain", "\"plain\"");
	JSON("a\"b\\c/d", "\"a\\\"b\\\\c/d\"");
	JSON("\b\f\n\r\t\x01\x1f\x7f", "\"\\b\\f\\n\\r\\t\\u0001\\u001f\x7f\"");
	JSON("0123456789abcde\"0123456789abcdef\"", "\"0123456789abcde\\\"0123456789abcdef\\\"\"");
	JSON("\xc3\xa4\xe2\x82\xac", "\"\xc3\xa4\xe2\x82\xac\"");
	check_json_round_trip();

	URL("", "");
	URL("azAZ09-._~", "azAZ09-._~");
	URL("a b+c/d?e=f&g%", "a%20b%2Bc%2Fd%3Fe%3Df%26g%25");
	URL("\xc3\xa4\n", "%C3%A4%0A");

	CHECK(NAME("Id"));
	CHECK(NAME("Ext_Id__c"));
	CHECK(NAME("Account.Owner.Name"));
	CHECK(NAME("a1"));
	CHECK(!NAME(""));
	CHECK(!NAME("1a"));
	CHECK(!NAME("_a"));
	CHECK(!NAME("a."));
	CHECK(!NAME(".a"));
	CHECK(!NAME("a..b"));
	CHECK(!NAME("a.1b"));
	CHECK(!NAME("a b"));
	CHECK(!NAME("a-b"));
	CHECK(!NAME("a\0b"));
	CHECK(!NAME("n\xc3\xa4me"));
	CHECK(!NAME("a FROM b"));

	CHECK(ampsf_text_contains("Read timed OUT.", "timed out"));
	CHECK(ampsf_text_contains("aab", "AB"));
	CHECK(!ampsf_text_contains("timed ou", "timed out"));
	CHECK(!ampsf_text_contains("", "a"));
	CHECK(!ampsf_text_contains(NULL, "a"));
}
