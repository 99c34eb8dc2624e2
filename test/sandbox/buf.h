/*
 * buf.h - a growable byte buffer, and the JSON text that the sandbox writes into it.
 *
 * Owns: memory for building answers.  Must not know: HTTP, SQLite, Salesforce.
 * Allocation failure ends the program: this is a test server.
 */
#ifndef SANDBOX_BUF_H
#define SANDBOX_BUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct Buf
{
	char *data; /* NUL-terminated after every call, may be NULL while cap is 0 */
	size_t len; /* bytes, without the NUL */
	size_t cap;
} Buf;

void buf_init(Buf *b);
void buf_free(Buf *b);
void buf_clear(Buf *b);
void buf_reserve(Buf *b, size_t more); /* room for that many more bytes and a NUL */
void buf_add(Buf *b, const void *p, size_t n);
void buf_adds(Buf *b, const char *s);
void buf_addc(Buf *b, char c);
void buf_addf(Buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
char *buf_detach(Buf *b); /* the caller frees it; the buffer is empty afterwards */

/* A JSON string with its quotes; the text must be UTF-8.  Plain runs are copied at memory speed. */
void buf_json(Buf *b, const char *s, size_t n);
void buf_jsons(Buf *b, const char *s); /* NULL becomes null */
/* A number the way Salesforce's REST API prints a double (Java's Double.toString: 12.5, 1.0E8). */
void buf_json_double(Buf *b, double v);

#endif
