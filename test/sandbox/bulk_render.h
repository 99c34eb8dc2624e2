/*
 * bulk_render.h - the rows of a statement as Bulk API 2.0 writes them: CSV.
 *
 * The caller holds store_lock() around every call.  Must not know: HTTP, jobs.
 */
#ifndef SANDBOX_BULK_RENDER_H
#define SANDBOX_BULK_RENDER_H

#include "soql.h"

typedef struct BulkStatement
{
	const Object *object;
	bool bounded; /* it says ORDER BY or LIMIT: no chunks by Id */
	bool ordered; /* it says ORDER BY */
} BulkStatement;

/* Parses and checks without running; false with *e filled where Salesforce or its Bulk API refuses
 * it. */
bool bulk_check(const char *soql, const SoqlOptions *opt, BulkStatement *out, SoqlError *e);

typedef struct BulkRender BulkRender;

/* The cursor stays the caller's and has to live as long. */
BulkRender *bulk_render_open(SoqlCursor *c, char delimiter, bool crlf);
void bulk_render_close(BulkRender *b);
void bulk_render_header(const BulkRender *b, Buf *out);
/*
 * Appends rows first .. first+count-1 and the length of each to lengths; returns how many there
 * were: rows that are gone for good are left out.
 */
int64_t bulk_render_rows(BulkRender *b, int64_t first, int64_t count, Buf *out, uint32_t *lengths);
/* Changes the order of the rows, the same way each time. */
void bulk_shuffle(SoqlCursor *c);

#endif
