/*
 * pagecache.h - rendered pages of query results, so that a repeated query costs a memory copy.
 *
 * A page is the text of its records up to the end of the body ("...]}"), because only the head of
 * an answer differs from one request to the next.  Thread-safe.  Must not know: HTTP, SOQL.
 */
#ifndef SANDBOX_PAGECACHE_H
#define SANDBOX_PAGECACHE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "buf.h"

typedef struct PageKey
{
	uint64_t result;  /* whose page */
	uint64_t version; /* of the store when it was made */
	int64_t first;
	int64_t count;
} PageKey;

typedef struct Page Page;

void pagecache_init(size_t cap_bytes);
void pagecache_end(void);
/* A reference, or NULL. */
Page *page_find(const PageKey *key);
/* Takes the buffer's memory; a reference even when the page is too big to be kept. */
Page *page_add(const PageKey *key, Buf *text);
void page_release(void *page);
const char *page_text(const Page *page, size_t *len);
/* The text as the end of a raw deflate stream, made at first need; and the CRC-32 of the text. */
void page_deflated(void *page, const char **data, size_t *len, uint32_t *crc);
/* Forgets the pages of one result. */
void pagecache_drop(uint64_t result);
size_t pagecache_bytes(void);

#endif
