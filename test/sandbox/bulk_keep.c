/*
 * bulk_keep.c - results of query jobs, kept to be given again to a job that says the same.
 *
 * Owns: the results that are kept.  It is for benchmarks: an org of its own hardware makes a result
 * while the client waits, this one on the client's cores.  Must not know: HTTP, SQLite.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bulk.h"

#define MOST 64

static struct
{
	char *key;
	uint64_t version;
	BulkResult *result;
} kept[MOST];
static int next;

/* All that decides what stands in the result. */
static char *
key_of(const BulkJob *j)
{
	char *key;

	if (asprintf(&key, "%d %s %d %d %d %d %s", j->operation, j->version, j->delimiter, j->crlf,
				 bulk_settings.page_rows, bulk_settings.natural, j->soql) < 0)
		abort();
	return key;
}

BulkResult *
bulk_keep_find(const BulkJob *j)
{
	char *key;
	BulkResult *found = NULL;

	if (bulk_settings.keep == 0)
		return NULL;
	key = key_of(j);
	for (int i = 0; i < MOST && !found; i++)
		if (kept[i].result && kept[i].version == store_version() && strcmp(kept[i].key, key) == 0)
			found = bulk_result_hold(kept[i].result);
	free(key);
	return found;
}

void
bulk_keep_add(const BulkJob *j, uint64_t version, BulkResult *r)
{
	int most = bulk_settings.keep < MOST ? bulk_settings.keep : MOST;

	if (most == 0)
		return;
	next %= most;
	free(kept[next].key);
	bulk_result_release(kept[next].result);
	kept[next].key = key_of(j);
	kept[next].version = version;
	kept[next++].result = bulk_result_hold(r);
}

void
bulk_keep_clear(void)
{
	for (int i = 0; i < MOST; i++)
	{
		free(kept[i].key);
		bulk_result_release(kept[i].result);
		memset(&kept[i], 0, sizeof(kept[i]));
	}
}
