/*
 * json_member.h - one member of a JSON object that holds much else, as a slice of its text.
 *
 * For answers that wrap others: those are read where they stand.  Must not know: PostgreSQL.
 */
#ifndef AMPSF_JSON_MEMBER_H
#define AMPSF_JSON_MEMBER_H

#include <stdbool.h>
#include <stddef.h>

/*
 * The value of a key of the object that begins at p, as a slice; false if the object is broken
 * before it, or has no such key.
 */
bool ampsf_json_member(const char *p, const char *end, const char *key, const char **value,
					   size_t *len);

/* The next element of an array: *p stands behind "[" or an element, and is moved behind the one
 * that is returned; false at the end, or if the array is broken. */
bool ampsf_json_element(const char **p, const char *end, const char **value, size_t *len);

#endif
