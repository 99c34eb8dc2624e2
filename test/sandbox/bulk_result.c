/*
 * bulk_result.c - rows of CSV, written once and served many times.
 *
 * Owns: the files.  Must not know: HTTP, SQLite, what the rows mean.
 */
#include <fcntl.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bulk_result.h"

/* From this size on a result is a file. */
#define IN_MEMORY (256 * 1024)
/* Rows between two offsets that are known without adding up lengths. */
#define STEP 1024

struct BulkResult
{
	atomic_int refs;
	char *header;
	size_t header_len;
	int64_t page_rows;
	int64_t rows;
	uint64_t bytes;	   /* with the headers of the pages */
	uint32_t *lengths; /* of each row */
	int64_t lengths_cap;
	uint64_t
		*steps; /* where row i * STEP begins, behind the header if it is the first of its page */
	Buf memory; /* all of it, or what the file does not have yet */
	int fd;		/* -1: in memory */
};

static const char *folder;

void
bulk_result_folder(const char *path)
{
	folder = path;
}

static void *
need(void *p)
{
	if (p == NULL)
	{
		fprintf(stderr, "sandbox: out of memory\n");
		exit(1);
	}
	return p;
}

BulkResult *
bulk_result_new(const char *header, size_t len, int page_rows)
{
	BulkResult *r = need(calloc(1, sizeof(*r)));

	r->refs = 1;
	r->header = need(malloc(len + 1));
	memcpy(r->header, header, len);
	r->header[len] = '\0';
	r->header_len = len;
	r->page_rows = page_rows;
	r->fd = -1;
	buf_init(&r->memory);
	return r;
}

static int
open_file(void)
{
	const char *where = folder ? folder : getenv("TMPDIR");
	char name[PATH_MAX];
	int fd;

	if (where == NULL || *where == '\0')
		where = "/tmp";
	fd = open(where, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	if (fd >= 0)
		return fd;
	/* not every file system can */
	snprintf(name, sizeof(name), "%s/ampsf-bulk-XXXXXX", where);
	fd = mkostemp(name, O_CLOEXEC);
	if (fd >= 0)
		unlink(name);
	return fd;
}

static void
flush(BulkResult *r)
{
	for (size_t at = 0; at < r->memory.len;)
	{
		ssize_t n = write(r->fd, r->memory.data + at, r->memory.len - at);

		if (n <= 0)
		{
			perror("ampsf-sandbox: bulk result");
			exit(1);
		}
		at += (size_t) n;
	}
	buf_clear(&r->memory);
}

/* Room for the length of one more row, and its offset where it is one of those that are kept. */
static void
grow(BulkResult *r)
{
	int64_t cap = r->lengths_cap ? r->lengths_cap * 2 : STEP;

	r->lengths = need(realloc(r->lengths, sizeof(*r->lengths) * (size_t) cap));
	r->steps = need(realloc(r->steps, sizeof(*r->steps) * (size_t) (cap / STEP)));
	r->lengths_cap = cap;
}

void
bulk_result_add(BulkResult *r, const char *rows, const uint32_t *lengths, int64_t n)
{
	size_t pending = 0; /* bytes of rows that are not copied yet */

	for (int64_t i = 0; i < n; i++)
	{
		if (r->rows % r->page_rows == 0)
		{
			buf_add(&r->memory, rows, pending);
			rows += pending;
			pending = 0;
			buf_add(&r->memory, r->header, r->header_len);
			r->bytes += r->header_len;
		}
		if (r->rows == r->lengths_cap)
			grow(r);
		if (r->rows % STEP == 0)
			r->steps[r->rows / STEP] = r->bytes;
		r->lengths[r->rows++] = lengths[i];
		r->bytes += lengths[i];
		pending += lengths[i];
	}
	buf_add(&r->memory, rows, pending);
	if (r->fd < 0 && r->memory.len > IN_MEMORY && (r->fd = open_file()) < 0)
		perror("ampsf-sandbox: bulk result stays in memory");
	if (r->fd >= 0 && r->memory.len > IN_MEMORY)
		flush(r);
}

void
bulk_result_end(BulkResult *r)
{
	if (r->fd >= 0)
	{
		flush(r);
		buf_free(&r->memory);
	}
}

BulkResult *
bulk_result_hold(BulkResult *r)
{
	atomic_fetch_add(&r->refs, 1);
	return r;
}

void
bulk_result_release(void *p)
{
	BulkResult *r = p;

	if (r == NULL || atomic_fetch_sub(&r->refs, 1) > 1)
		return;
	if (r->fd >= 0)
		close(r->fd);
	buf_free(&r->memory);
	free(r->header);
	free(r->lengths);
	free(r->steps);
	free(r);
}

int64_t
bulk_result_rows(const BulkResult *r)
{
	return r->rows;
}

int64_t
bulk_result_bytes(const BulkResult *r)
{
	return (int64_t) r->bytes;
}

int64_t
bulk_result_span(const BulkResult *r, int64_t first, int64_t count)
{
	int64_t end = (first / r->page_rows + 1) * r->page_rows;

	if (end > r->rows)
		end = r->rows;
	return end - first < count ? end - first : count;
}

/* Where the row begins, behind a header before it. */
static uint64_t
row_offset(const BulkResult *r, int64_t row)
{
	int64_t at = row / STEP * STEP;
	uint64_t offset = r->steps[row / STEP];

	for (; at < row; at++)
	{
		offset += r->lengths[at];
		if ((at + 1) % r->page_rows == 0)
			offset += r->header_len;
	}
	return offset;
}

void
bulk_result_range(const BulkResult *r, int64_t first, int64_t count, BulkRange *out)
{
	uint64_t begin = 0;
	uint64_t end = 0;

	memset(out, 0, sizeof(*out));
	if (count > 0)
	{
		begin = row_offset(r, first);
		end = row_offset(r, first + count - 1) + r->lengths[first + count - 1];
		out->has_header = first % r->page_rows == 0;
		if (out->has_header)
			begin -= r->header_len;
	}
	out->fd = r->fd;
	out->at = begin;
	out->len = (size_t) (end - begin);
	if (r->fd < 0)
		out->memory = r->memory.data ? r->memory.data + begin : "";
}

const char *
bulk_result_header(const BulkResult *r, size_t *len)
{
	*len = r->header_len;
	return r->header;
}
