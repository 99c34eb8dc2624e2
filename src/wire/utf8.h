/*
 * utf8.h - is it UTF-8?
 */
#ifndef AMPSF_UTF8_H
#define AMPSF_UTF8_H

#include <stddef.h>

/*
 * How many bytes from s on are whole characters of UTF-8, of at most len: neither a zero byte, nor
 * a surrogate, nor a longer form than is needed.  It is len if all is well; a character that is cut
 * by the end is not counted.
 */
extern size_t ampsf_utf8_valid(const char *s, size_t len);

#endif
