/*
 * bulk_ingest.c - ingest jobs: creating, uploading, closing, what became of the rows.
 */
#include "bulk.h"

void
bulk_ingest_create(Request *r, Response *w)
{
	res_not_found(w);
}

void
bulk_ingest_upload(Request *r, Response *w, BulkJob *j)
{
	res_not_found(w);
}

void
bulk_ingest_close(Request *r, Response *w, BulkJob *j)
{
	res_not_found(w);
}

void
bulk_ingest_results(Request *r, Response *w, BulkJob *j, const char *which)
{
	res_not_found(w);
}

bool
bulk_run_ingest(BulkJob *j, char **error)
{
	return false;
}
