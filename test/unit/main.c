/*
 * main.c - runs the unit tests of wire/ and counts.
 */
#include "check.h"

#include <stdio.h>
#include <string.h>

static int passed, failed;

void
check_true(bool ok, const char *what, const char *file, int line)
{
	if (ok)
		passed++;
	else
	{
		failed++;
		printf("  %s:%d: not so: %s\n", file, line, what);
	}
}

void
check_int(long long got, long long want, const char *what, const char *file, int line)
{
	if (got == want)
		passed++;
	else
	{
		failed++;
		printf("  %s:%d: %s is %lld, not %lld\n", file, line, what, got, want);
	}
}

void
check_text(const char *got, size_t len, const char *want, const char *what, const char *file,
		   int line)
{
	if (got && len == strlen(want) && memcmp(got, want, len) == 0)
		passed++;
	else
	{
		failed++;
		printf("  %s:%d: %s is <%.*s>, not <%s>\n", file, line, what, got ? (int) len : 0,
			   got ? got : "", want);
	}
}

static void
run(const char *name, void (*test)(void))
{
	int passed_before = passed;
	int failed_before = failed;

	test();
	printf("%-16s %d checks, %d wrong\n", name, passed - passed_before + failed - failed_before,
		   failed - failed_before);
	fflush(stdout);
}

int
main(void)
{
	run("sfid", test_sfid);
	run("wiretime", test_wiretime);
	run("text", test_text);
	run("json_unescape", test_json_unescape);
	run("json_scan", test_json_scan);
	run("json_member", test_json_member);
	run("csv_scan", test_csv_scan);
	run("strata", test_strata);
	run("bytesum", test_bytesum);
	run("utf8", test_utf8);
	printf("%d passed, %d failed\n", passed, failed);
	return failed > 0;
}
