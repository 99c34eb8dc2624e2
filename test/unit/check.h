/*
 * check.h - the few lines that the unit tests stand on.
 *
 * A test file exports one function that makes checks; main.c runs the files and counts.
 */
#ifndef AMPSF_UNIT_CHECK_H
#define AMPSF_UNIT_CHECK_H

#include <stdbool.h>
#include <stddef.h>

extern void check_true(bool ok, const char *what, const char *file, int line);
extern void check_int(long long got, long long want, const char *what, const char *file, int line);
/* got: len bytes; want: a C string. */
extern void check_text(const char *got, size_t len, const char *want, const char *what,
					   const char *file, int line);

#define CHECK(cond) check_true((cond), #cond, __FILE__, __LINE__)
#define CHECK_INT(got, want) check_int((got), (want), #got, __FILE__, __LINE__)
#define CHECK_TEXT(got, len, want) check_text((got), (len), (want), #got, __FILE__, __LINE__)

extern void test_sfid(void);
extern void test_wiretime(void);
extern void test_text(void);
extern void test_json_unescape(void);
extern void test_json_scan(void);
extern void test_json_member(void);
extern void test_csv_scan(void);
extern void test_strata(void);
extern void test_bytesum(void);
extern void test_utf8(void);

#endif
