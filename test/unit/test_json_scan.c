/*
 * test_json_scan.c - pages of records, whole and in pieces.
 *
 * Every page is read many times: in one window, and cut at every byte, with the window moved and
 * each window in memory of exactly its size, so that a sanitizer sees the smallest step beyond it.
 * All readings must give the same text.
 */
#include "check.h"
#include "wire/json_scan.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_FIELDS 8
#define OUT_MAX 8192

/* Field names, separated by blanks, as an array. */
typedef struct Fields
{
	char text[256];
	const char *name[MAX_FIELDS];
	int n;
} Fields;

static void
split_fields(Fields *fields, const char *text)
{
	snprintf(fields->text, sizeof(fields->text), "%s", text);
	fields->n = 0;
	for (char *p = strtok(fields->text, " "); p; p = strtok(NULL, " "))
		fields->name[fields->n++] = p;
}

static void
append(char *out, const char *s, size_t len)
{
	size_t used = strlen(out);

	if (used + len + 1 < OUT_MAX)
	{
		memcpy(out + used, s, len);
		out[used + len] = '\0';
	}
}

static void
append_record(char *out, const AmpsfValue *values, int n)
{
	static const char *const marks[] = {"-", "s:", "e:", "n:", "", "", "j:"};

	for (int i = 0; i < n; i++)
	{
		append(out, i ? "|" : "", i ? 1 : 0);
		append(out, marks[values[i].kind], strlen(marks[values[i].kind]));
		if (values[i].kind != AMPSF_VALUE_NULL)
			append(out, values[i].ptr, values[i].len);
	}
	append(out, ";", 1);
}

/*
 * Reads a page that arrives in pieces of step bytes (0: at once) and writes what it says: the
 * records, and at the end total, done and next URL, or the error.
 */
static void
read_page(AmpsfJsonScan *scan, int nfields, const char *page, size_t page_len, size_t step,
		  char *out)
{
	AmpsfValue values[MAX_FIELDS];
	size_t from = 0;				 /* the window's place in the page */
	size_t to = step ? 0 : page_len; /* its end */
	size_t pos = 0;
	char *window = malloc(to ? to : 1);

	memcpy(window, page, to);
	out[0] = '\0';
	ampsf_json_scan_reset(scan);
	for (;;)
	{
		char tail[256];
		size_t next;
		AmpsfJsonResult result =
			ampsf_json_scan_next(scan, window, to - from, &pos, to == page_len, values);

		if (result == AMPSF_JSON_RECORD)
		{
			append_record(out, values, nfields);
			continue;
		}
		if (result == AMPSF_JSON_BAD)
		{
			append(out, "!", 1);
			append(out, ampsf_json_scan_error(scan), strlen(ampsf_json_scan_error(scan)));
			break;
		}
		if (result == AMPSF_JSON_END && to == page_len)
		{
			snprintf(tail, sizeof(tail), "%lld %s %s", (long long) ampsf_json_scan_total(scan),
					 ampsf_json_scan_done(scan) ? "done" : "more",
					 ampsf_json_scan_next_url(scan) ? ampsf_json_scan_next_url(scan) : "-");
			append(out, tail, strlen(tail));
			break;
		}
		if (to == page_len)
		{
			append(out, "!asks for more than there is", 28);
			break;
		}
		/* A new window, from where the scanner is. */
		next = to + step < page_len ? to + step : page_len;
		free(window);
		from += pos;
		pos = 0;
		to = next;
		window = malloc(to - from ? to - from : 1);
		memcpy(window, page + from, to - from);
	}
	free(window);
}

static void
check_page_bytes(const char *names, const char *page, size_t len, const char *want, int line)
{
	Fields fields;
	AmpsfJsonScan *scan;
	static char out[OUT_MAX], pieces[OUT_MAX];

	split_fields(&fields, names);
	scan = ampsf_json_scan_create(fields.name, fields.n);
	read_page(scan, fields.n, page, len, 0, out);
	check_text(out, strlen(out), want, page, __FILE__, line);
	for (size_t step = 1; step <= len; step++)
	{
		read_page(scan, fields.n, page, len, step, pieces);
		if (strcmp(pieces, out) != 0)
		{
			/* One message is enough. */
			check_text(pieces, strlen(pieces), out, "in pieces", __FILE__, line);
			break;
		}
	}
	ampsf_json_scan_free(scan);
}

/* fields, records as written inside [], what must come out of them */
static void
check_records(const char *names, const char *records, const char *want, int line)
{
	char page[4096], all[4096];
	int len =
		snprintf(page, sizeof(page), "{\"totalSize\":7,\"done\":true,\"records\":[%s]}", records);

	snprintf(all, sizeof(all), "%s7 done -", want);
	check_page_bytes(names, page, (size_t) len, all, line);
}

/* The record must be refused for the reason given. */
static void
check_bad_record(const char *record, const char *why, int line)
{
	char page[4096], all[512];
	int head = snprintf(page, sizeof(page), "{\"records\":[");
	int len = snprintf(page + head, sizeof(page) - (size_t) head, "%s]}", record) + head;
	Fields fields;
	AmpsfJsonScan *scan;

	split_fields(&fields, "a b.c");
	scan = ampsf_json_scan_create(fields.name, fields.n);
	for (size_t step = 0; step <= (size_t) len; step++)
	{
		read_page(scan, fields.n, page, (size_t) len, step, all);
		if (step == 0)
			check_true(strchr(all, '!') && strstr(all, why), all, __FILE__, line);
		else if (!strchr(all, '!'))
		{
			check_true(false, record, __FILE__, line);
			break;
		}
	}
	ampsf_json_scan_free(scan);
}

#define PAGE(names, page, want)                                                                    \
	check_page_bytes((names), (page), sizeof(page) - 1, (want), __LINE__)
#define RECORDS(names, records, want) check_records((names), (records), (want), __LINE__)
#define BAD(record, why) check_bad_record((record), (why), __LINE__)

static void
check_heads(void)
{
	PAGE("Id",
		 "{\"totalSize\":3222,\"done\":false,\"nextRecordsUrl\":\"/services/data/v62.0/query/"
		 "01g-2000\","
		 "\"records\":[{\"attributes\":{\"type\":\"A\",\"url\":\"/x\"},\"Id\":\"1\"}]}",
		 "s:1;3222 more /services/data/v62.0/query/01g-2000");
	PAGE("Id",
		 "{\"records\":[{\"Id\":\"1\"},{\"Id\":\"2\"}],\"nextRecordsUrl\":\"\\/"
		 "q\",\"done\":false,\"totalSize\":2}",
		 "s:1;s:2;2 more /q");
	PAGE("Id", "{\"totalSize\":42,\"done\":true,\"records\":[]}", "42 done -");
	PAGE("Id", "{\"totalSize\":0,\"done\":true,\"records\":null}", "0 done -");
	PAGE("Id",
		 "{\"done\":true,\"nextRecordsUrl\":null,\"records\":[ ] , \"x\":[1,{\"y\":[]}], "
		 "\"totalSize\" : 1 }",
		 "1 done -");
	PAGE("Id", "{\"done\":false,\"done\":true,\"records\":[]}", "-1 done -");
	PAGE("Id",
		 " \r\n\t{ \"records\" : [ { \"Id\" : \"1\" } , { \"Id\" : null } ] , \"done\" : true } \n",
		 "s:1;-;-1 done -");
	PAGE("Id", "{\"totalSize\":9223372036854775,\"done\":true,\"records\":[]}",
		 "9223372036854775 done -");

	PAGE("Id", "", "!the text ends early at byte 0");
	PAGE("Id", "[{\"errorCode\":\"X\"}]", "!expected { at byte 0");
	PAGE("Id", "<html>", "!expected { at byte 0");
	PAGE("Id", "{}", "!expected records at byte 1");
	PAGE("Id", "{\"done\":true}", "!expected records at byte 12");
	PAGE("Id", "{\"records\":{}}", "!expected the list of records at byte 11");
	PAGE("Id", "{\"records\":[],\"records\":[]}", "!records come twice at byte 15");
	PAGE("Id", "{\"totalSize\":-1,\"records\":[]}", "!totalSize is no count at byte 13");
	PAGE("Id", "{\"totalSize\":1.5,\"records\":[]}", "!totalSize is no count at byte 13");
	PAGE("Id", "{\"totalSize\":99999999999999999999,\"records\":[]}",
		 "!totalSize is no count at byte 13");
	PAGE("Id", "{\"done\":1,\"records\":[]}", "!done is neither true nor false at byte 8");
	PAGE("Id", "{\"nextRecordsUrl\":7,\"records\":[]}", "!the address of the next page is no text at byte 18");
	PAGE("Id", "{\"nextRecordsUrl\":\"\\ud800\",\"records\":[]}",
		 "!the address of the next page is broken at byte 19");
	PAGE("Id", "{\"records\":[]} x", "!expected the end at byte 15");
	PAGE("Id", "{\"records\":[]}}", "!expected the end at byte 14");
	PAGE("Id", "{\"records\":[],}", "!expected a key at byte 14");
	PAGE("Id", "{\"records\":[] \"a\":1}", "!expected , or } at byte 14");
	PAGE("Id", "{\"records\":[{\"Id\":\"1\"},]}", "s:1;!expected a record at byte 23");
	PAGE("Id", "{\"records\":[,{\"Id\":\"1\"}]}", "!expected a record at byte 12");
	PAGE("Id", "{\"records\":[{\"Id\":\"1\"} {\"Id\":\"2\"}]}", "s:1;!expected , or ] at byte 23");
	PAGE("Id", "{\"records\":[{\"Id\":\"1\"},null]}", "s:1;!expected a record at byte 23");
	PAGE("Id", "{\"records\":[{\"Id\":\"1\"}", "s:1;!the text ends early at byte 22");
	PAGE("Id", "{\"records\":[{\"Id\":\"1", "!the text ends early at byte 20");
	PAGE("Id", "{records:[]}", "!expected a key at byte 1");
}

static void
check_values(void)
{
	RECORDS("a b c d", "{\"a\":\"x\",\"b\":1,\"c\":true,\"d\":false}", "s:x|n:1|true|false;");
	RECORDS("a", "{\"a\":\"\"}", "s:;");
	RECORDS("a", "{\"a\":\"say \\\"hi\\\" \\u00e4\"}", "e:say \\\"hi\\\" \\u00e4;");
	RECORDS("a", "{\"a\":\"ends in a backslash \\\\\"}", "e:ends in a backslash \\\\;");
	RECORDS("a", "{\"a\":\"a text of more than sixteen bytes {[,:]}\"}",
			"s:a text of more than sixteen bytes {[,:]};");
	RECORDS("a", "{\"a\":\"\xc3\xa4\xf0\x9f\x98\x80\x7f\"}", "s:\xc3\xa4\xf0\x9f\x98\x80\x7f;");
	RECORDS("a b c d e", "{\"a\":0,\"b\":-0,\"c\":-12.50,\"d\":9.12260031E8,\"e\":1e-7}",
			"n:0|n:-0|n:-12.50|n:9.12260031E8|n:1e-7;");
	RECORDS("a", "{\"a\":123456789012345678901234567890.123456789}",
			"n:123456789012345678901234567890.123456789;");
	RECORDS("a b", "{\"a\":null}", "-|-;");
	RECORDS("a b", "{}", "-|-;");
	RECORDS("a b c", "{\"a\":{\"x\":[1,{}]},\"b\":[ ],\"c\":{ }}", "j:{\"x\":[1,{}]}|j:[ ]|j:{ };");
	RECORDS("a", "{\"a\":{\"s\":\"}]\\\"{\"}}", "j:{\"s\":\"}]\\\"{\"};");

	/* whatever the order, the letter case and the spaces */
	RECORDS("a b c",
			"{\"c\":3,\"a\":1,\"b\":2},{\"b\":2,\"c\":3,\"a\":1},{\"a\":1,\"b\":2,\"c\":3}",
			"n:1|n:2|n:3;n:1|n:2|n:3;n:1|n:2|n:3;");
	RECORDS("ID Ext_id__C", "{\"Id\":1,\"Ext_Id__c\":2},{\"Id\":3,\"Ext_Id__c\":4}",
			"n:1|n:2;n:3|n:4;");
	RECORDS("a", "{ \n\t\"a\" \r: 1 }", "n:1;");
	RECORDS("a", "{\"\\u0061\":1}", "n:1;");
	RECORDS("a", "{\"x\":1,\"a\":2,\"aa\":3,\"\":4,\"\\u0062\":5}", "n:2;");
	RECORDS("a_name_longer_than_sixteen_bytes__c a_name_longer_than_sixteen_bytes_d",
			"{\"a_name_longer_than_sixteen_bytes__c\":1,\"a_name_longer_than_sixteen_bytes_d\":2}",
			"n:1|n:2;");
	/* the last of two counts */
	RECORDS("a", "{\"a\":1,\"a\":2}", "n:2;");
	RECORDS("a", "{\"a\":1,\"A\":null}", "-;");
	/* a field asked for twice */
	RECORDS("a b a A", "{\"a\":1,\"b\":2}", "n:1|n:2|n:1|n:1;");
	/* the record itself, as it is written */
	RECORDS("* a *", "{ \"a\":1},{}", "j:{ \"a\":1}|n:1|j:{ \"a\":1};j:{}|-|j:{};");
	/* nothing asked for */
	RECORDS("", "{\"a\":1},{\"b\":2}", ";;");
	/* nothing is left over from the record before */
	RECORDS("a b.c", "{\"a\":1,\"b\":{\"c\":2}},{},{\"b\":{}}", "n:1|n:2;-|-;-|-;");
	/* aggregates */
	RECORDS("expr0", "{\"attributes\":{\"type\":\"AggregateResult\"},\"expr0\":42}", "n:42;");
	RECORDS("attributes.type expr0", "{\"attributes\":{\"type\":\"AggregateResult\"},\"expr0\":42}",
			"s:AggregateResult|n:42;");
	/* no name can make what is no JSON pass */
	check_page_bytes("a\"b", "{\"records\":[{\"a\"b\":1}]}", 23, "!expected a colon at byte 16",
					 __LINE__);
	check_page_bytes("a\"b", "{\"done\":true,\"records\":[{\"a\\\"b\":1}]}", 36, "n:1;-1 done -",
					 __LINE__);
}

static void
check_parents(void)
{
	RECORDS("Id Account.Name Account.Owner.Name",
			"{\"attributes\":{\"type\":\"Contact\"},\"Id\":\"3\",\"Account\":{\"attributes\":{"
			"\"type\":\"Account\"},"
			"\"Name\":\"n\",\"Owner\":{\"attributes\":{\"type\":\"User\"},\"Name\":\"o\"}}}",
			"s:3|s:n|s:o;");
	RECORDS("Account.Name Id Account.Owner.Name",
			"{\"Account\":{\"Name\":\"n\",\"Owner\":null},\"Id\":\"3\"},{\"Account\":null,\"Id\":"
			"\"4\"}",
			"s:n|s:3|-;-|s:4|-;");
	RECORDS("account.name", "{\"Account\":{\"NAME\":1}}", "n:1;");
	/* a key of the same name elsewhere is another */
	RECORDS("Name Owner.Name", "{\"Owner\":{\"Name\":2,\"x\":{\"Name\":3}},\"Name\":1}",
			"n:1|n:2;");
	/* parent and path */
	RECORDS("a a.b", "{\"a\":{\"b\":1}},{\"a\":null}", "j:{\"b\":1}|n:1;-|-;");
	RECORDS("a.b a", "{\"a\":[{\"b\":1}]},{\"a\":\"x\"},{\"a\":5}", "-|j:[{\"b\":1}];-|s:x;-|n:5;");
	/* the last of two parents counts, with all that it has not */
	RECORDS("a.b a.c.d", "{\"a\":{\"b\":1,\"c\":{\"d\":2}},\"a\":{\"b\":3}}", "n:3|-;");
	RECORDS("a.b", "{\"a\":{\"b\":1},\"a\":null}", "-;");
	RECORDS("a.b", "{\"a\":{\"b\":1},\"a\":7}", "-;");
	RECORDS("a.b", "{\"a\":{\"b\":1},\"a\":[]}", "-;");
	/* a child subquery is JSON */
	RECORDS(
		"Contacts Id",
		"{\"Contacts\":{\"totalSize\":1,\"done\":true,\"records\":[{\"Id\":\"9\"}]},\"Id\":\"1\"},"
		"{\"Contacts\":null,\"Id\":\"2\"}",
		"j:{\"totalSize\":1,\"done\":true,\"records\":[{\"Id\":\"9\"}]}|s:1;-|s:2;");
}

static void
check_refusals(void)
{
	BAD("{\"a\":01}", "must not begin with 0");
	BAD("{\"a\":-01}", "must not begin with 0");
	BAD("{\"a\":-}", "expected a digit");
	BAD("{\"a\":+1}", "expected a value");
	BAD("{\"a\":.5}", "expected a value");
	BAD("{\"a\":1.}", "expected a digit");
	BAD("{\"a\":1e}", "expected a digit");
	BAD("{\"a\":1e+}", "expected a digit");
	BAD("{\"a\":1x}", "expected , or }");
	BAD("{\"a\":0x10}", "expected , or }");
	BAD("{\"a\":NaN}", "expected a value");
	BAD("{\"a\":tru}", "expected a value");
	BAD("{\"a\":True}", "expected a value");
	BAD("{\"a\":nul1}", "expected a value");
	BAD("{\"a\":nullx}", "expected , or }");
	BAD("{\"a\":falsey}", "expected , or }");
	BAD("{\"a\":'x'}", "expected a value");
	BAD("{\"a\":}", "expected a value");
	BAD("{\"a\":\"x\ny\"}", "control character");
	BAD("{\"a\":\"a text of more than sixteen bytes\ty\"}", "control character");
	BAD("{\"a\x01\":1}", "control character");
	BAD("{\"a\":\"\\x\"}", "unknown escape");
	BAD("{\"a\":\"\\u12g4\"}", "expected a hexadecimal digit");
	BAD("{\"x\":\"\\u12g4\"}", "expected a hexadecimal digit");
	BAD("{\"a\" 1}", "expected a colon");
	BAD("{\"x\" 1}", "expected a colon");
	BAD("{\"x\":{\"y\" 1}}", "expected a colon");
	BAD("{\"a\":1,}", "expected a key");
	BAD("{\"a\":1 \"b\":2}", "expected , or }");
	BAD("{,}", "expected a key");
	BAD("{a:1}", "expected a key");
	BAD("{\"a\":[1,]}", "expected a value");
	BAD("{\"a\":[1 2]}", "expected , or ]");
	BAD("{\"a\":[,1]}", "expected a value");
	BAD("{\"a\":[1}}", "expected , or ]");
	BAD("{\"a\":{\"b\":1]}", "expected , or }");
	BAD("{\"a\":{\"b\":1,}}", "expected a key");
	BAD("{\"b\":{\"c\":1]}", "expected , or }");
	BAD("{\"a\":1]", "expected , or }");
	BAD("[]", "expected a record");
	BAD("\"x\"", "expected a record");
	BAD("{\"a\":1}}", "expected , or ]");
	BAD("{\"a\":/**/1}", "expected a value");
}

/* n brackets inside a record's value. */
static void
check_depth(int n, const char *open, const char *inner, const char *close, bool ok)
{
	char page[4096] = "{\"done\":true,\"records\":[{\"a\":";
	char out[OUT_MAX];
	Fields fields;
	AmpsfJsonScan *scan;

	for (int i = 0; i < n; i++)
		strcat(page, open);
	strcat(page, inner);
	for (int i = 0; i < n; i++)
		strcat(page, close);
	strcat(page, "}]}");
	for (int wanted = 0; wanted < 2; wanted++)
	{
		split_fields(&fields, wanted ? "a" : "x");
		scan = ampsf_json_scan_create(fields.name, fields.n);
		read_page(scan, fields.n, page, strlen(page), 0, out);
		CHECK(ok ? strstr(out, "done") != NULL : strstr(out, "nested too deeply") != NULL);
		ampsf_json_scan_free(scan);
	}
}

/* A path of n parents, with a record to match. */
static void
check_deep_path(int n, bool ok)
{
	char page[4096] = "{\"done\":true,\"records\":[";
	char path[512] = "";
	char out[OUT_MAX];
	const char *fields[1] = {path};
	AmpsfJsonScan *scan;

	for (int i = 0; i < n; i++)
	{
		strcat(path, "p.");
		strcat(page, "{\"p\":");
	}
	strcat(path, "x");
	strcat(page, "{\"x\":1}");
	for (int i = 0; i < n; i++)
		strcat(page, "}");
	strcat(page, "]}");
	scan = ampsf_json_scan_create(fields, 1);
	read_page(scan, 1, page, strlen(page), 0, out);
	CHECK(strstr(out, ok ? "n:1;-1 done" : "nested too deeply") != NULL);
	ampsf_json_scan_free(scan);
}

/*
 * A record of a megabyte that comes in small pieces, with everything in it that could mislead the
 * counting of brackets.
 */
static void
check_huge(void)
{
	static const char *const piece =
		"{\"k\":\"}]\\\\\\\"[{ text that is longer than sixteen bytes\"},";
	size_t piece_len = strlen(piece);
	size_t room = 1200000;
	char *page = malloc(room);
	size_t len = (size_t) snprintf(page, room, "{\"done\":true,\"records\":[{\"a\":[");
	const char *fields[2] = {"a", "b"};
	AmpsfJsonScan *scan = ampsf_json_scan_create(fields, 2);
	size_t json_len;

	while (len < 1000000)
	{
		memcpy(page + len, piece, piece_len);
		len += piece_len;
	}
	json_len = len - 29 + 3; /* from the list's bracket on */
	len += (size_t) snprintf(page + len, room - len, "{}],\"b\":1},{\"b\":2}]}");
	for (size_t step = 1009; step < 100000; step = step * 7 + 1)
	{
		AmpsfValue values[2] = {{NULL, 0, 0}};
		size_t pos = 0;
		size_t to = 0;
		int records = 0;
		AmpsfJsonResult result;

		ampsf_json_scan_reset(scan);
		for (;;)
		{
			result = ampsf_json_scan_next(scan, page, to, &pos, to == len, values);
			if (result == AMPSF_JSON_RECORD)
			{
				if (records++ == 0)
				{
					CHECK_INT(values[0].kind, AMPSF_VALUE_JSON);
					CHECK_INT(values[0].len, (long long) json_len);
				}
			}
			else if (result == AMPSF_JSON_MORE && to < len)
				to = to + step < len ? to + step : len;
			else
				break;
		}
		CHECK_INT(result, AMPSF_JSON_END);
		CHECK_INT(records, 2);
		CHECK_TEXT(values[1].ptr, values[1].len, "2");
	}
	ampsf_json_scan_free(scan);
	free(page);
}

void
test_json_scan(void)
{
	check_heads();
	check_values();
	check_parents();
	check_refusals();
	check_depth(61, "[", "", "]", true);
	check_depth(62, "[", "", "]", false);
	check_depth(61, "{\"k\":", "1", "}", true);
	check_depth(62, "{\"k\":", "1", "}", false);
	check_depth(61, "[", "[]", "]", false);
	check_deep_path(61, true);
	check_deep_path(62, false);
	check_huge();
}
