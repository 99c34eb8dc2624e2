/*
 * bulk_result.h - rows of CSV, written once and served many times.
 *
 * A small result stays in memory, a larger one goes to a file without a name, which is gone with
 * the program whatever ends it.  The rows are kept in pages that begin with the header, so that a
 * page leaves straight from the file.  Must not know: HTTP, SQLite, what the rows mean.
 */
#ifndef SANDBOX_BULK_RESULT_H
#define SANDBOX_BULK_RESULT_H

#include <stdbool.h>
#include <stdint.h>
#include "buf.h"

typedef struct BulkResult BulkResult;

/* Folder of the files; NULL: the machine's temporary one. */
void bulk_result_folder(const char *path);

/* header with its line end; it is copied. */
BulkResult *bulk_result_new(const char *header, size_t len, int page_rows);
/* Rows of those lengths, one after the other. */
void bulk_result_add(BulkResult *r, const char *rows, const uint32_t *lengths, int64_t n);
/* No more rows. */
void bulk_result_end(BulkResult *r);
/* A result is shared by references: one for its job, one for each answer on its way. */
BulkResult *bulk_result_hold(BulkResult *r);
void bulk_result_release(void *r);

int64_t bulk_result_rows(const BulkResult *r);
int64_t bulk_result_bytes(const BulkResult *r);
/* How many rows a page can have that begins with that row, at most count. */
int64_t bulk_result_span(const BulkResult *r, int64_t first, int64_t count);

typedef struct BulkRange
{
	const char *memory; /* NULL: in the file */
	int fd;
	uint64_t at; /* in the file */
	size_t len;
	bool has_header; /* the range begins with it; else the header has to be sent first */
} BulkRange;

/* The bytes of rows first .. first+count-1, which bulk_result_span() has allowed. */
void bulk_result_range(const BulkResult *r, int64_t first, int64_t count, BulkRange *out);
const char *bulk_result_header(const BulkResult *r, size_t *len);

#endif
