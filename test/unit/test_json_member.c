/*
 * test_json_member.c - members and elements as slices, and broken texts that have none.
 */
#include "check.h"

#include <string.h>

#include "wire/json_member.h"

static const char *value;
static size_t len;

static bool
member(const char *json, const char *key)
{
	return ampsf_json_member(json, json + strlen(json), key, &value, &len);
}

static int
elements(const char *json)
{
	const char *at = json;
	int n = 0;

	while (ampsf_json_element(&at, json + strlen(json), &value, &len))
		n++;
	return n;
}

void
test_json_member(void)
{
	static const char whole[] =
		"{\"a\":1, \"b\" : {\"a\": [1,{\"x\":\"}\"}]} ,\"c\":\"q\\\"a\\\"\",\"d\":true}";
	const char *at = " \"x,]\" , {\"a\":[1,2]} ,[3],null,4.5]";
	const char *end = at + strlen(at);
	int bad = 0;

	CHECK(member(whole, "a"));
	CHECK_TEXT(value, len, "1");
	CHECK(member(whole, "b"));
	CHECK_TEXT(value, len, "{\"a\": [1,{\"x\":\"}\"}]}");
	CHECK(member(whole, "c"));
	CHECK_TEXT(value, len, "\"q\\\"a\\\"\"");
	CHECK(member(whole, "d"));
	CHECK_TEXT(value, len, "true");
	CHECK(!member(whole, "x"));
	CHECK(!member("{}", "a"));
	CHECK(!member("[]", "a"));
	CHECK(!member("", "a"));
	CHECK(member("{\"ab\":1,\"a\":2}", "a"));
	CHECK_TEXT(value, len, "2");
	/* Whatever is cut off has no member behind the cut. */
	for (size_t n = 0; n < strlen(whole) - 1; n++)
		bad += ampsf_json_member(whole, whole + n, "d", &value, &len) && len >= strlen("true");
	CHECK_INT(bad, 0);

	CHECK(ampsf_json_element(&at, end, &value, &len));
	CHECK_TEXT(value, len, "\"x,]\"");
	CHECK(ampsf_json_element(&at, end, &value, &len));
	CHECK_TEXT(value, len, "{\"a\":[1,2]}");
	CHECK(ampsf_json_element(&at, end, &value, &len));
	CHECK_TEXT(value, len, "[3]");
	CHECK(ampsf_json_element(&at, end, &value, &len));
	CHECK_TEXT(value, len, "null");
	CHECK(ampsf_json_element(&at, end, &value, &len));
	CHECK_TEXT(value, len, "4.5");
	CHECK(!ampsf_json_element(&at, end, &value, &len));
	CHECK_INT(elements("]"), 0);
	CHECK_INT(elements(""), 0);
	CHECK_INT(elements("1,2"), 1);
	CHECK_INT(elements("{\"a\":"), 0);
}
