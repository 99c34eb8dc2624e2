/*
 * files.c - reads the content of a file field into a bytea, while it comes.
 *
 * Must not know: scans, columns.
 */
#include "base/ampsf.h"
#include "exec/files.h"

#include "utils/memutils.h"

/* Bytes that wait to be copied. */
#define WINDOW (256 * 1024)
#define MAX_FILE (MaxAllocSize - VARHDRSZ - 1)

static void
too_large(void)
{
	ereport(ERROR,
			(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED), errmsg("a file is too large to be read"),
			 errdetail("A value of type bytea has less than 1 GB."),
			 errhint("A column of type text shows the address of the content instead.")));
}

/* What the header promises, so that memory is taken once; 0 if it does not say. */
static Size
promised(AmpsfCall *call)
{
	const char *h = ampsf_call_header(call, "Content-Length");
	const char *encoding = ampsf_call_header(call, "Content-Encoding");
	unsigned long n = h != NULL && encoding == NULL ? strtoul(h, NULL, 10) : 0;

	if (n > MAX_FILE)
		too_large();
	return n;
}

Datum
ampsf_fetch_file(AmpsfSession *session, const char *path, AmpsfStats *stats)
{
	static const char *const headers[] = {"Accept: */*", NULL};
	MemoryContext cxt =
		AllocSetContextCreate(CurrentMemoryContext, "ampsf file", ALLOCSET_SMALL_SIZES);
	AmpsfCallSpec spec = {0};
	AmpsfCall *call;
	Size room = 0, have = 0;
	char *out = NULL;
	int status;

	/* Never to another host, and never past the API. */
	if (strncmp(path, "/services/data/", 15) != 0)
		ereport(ERROR, (errcode(ERRCODE_FDW_UNABLE_TO_CREATE_REPLY),
						errmsg("Salesforce gave a file an address that is none of its API")));
	spec.method = "GET";
	spec.path = path;
	spec.headers = headers;
	spec.idempotent = true;
	spec.window = WINDOW;
	spec.stats = stats;
	call = ampsf_call_start(session, &spec, cxt);
	for (;;)
	{
		bool done = ampsf_call_poll(call);

		if (ampsf_call_begun(call))
		{
			size_t len;
			const char *part = ampsf_call_part(call, &len);

			if (out == NULL)
			{
				room = Max(promised(call), 1024);
				out = palloc(room + VARHDRSZ);
			}
			if (len > MAX_FILE - have)
				too_large();
			if (have + len > room)
			{
				room = Min(Max(room * 2, have + len), MAX_FILE);
				out = repalloc(out, room + VARHDRSZ);
			}
			memcpy(out + VARHDRSZ + have, part, len);
			have += len;
			ampsf_call_consume(call, len, WINDOW);
		}
		if (done)
			break;
		ampsf_call_sleep();
	}
	status = ampsf_call_status(call);
	if (status < 200 || status > 299)
		ampsf_call_throw(call, "read the content of a file", NULL);
	MemoryContextDelete(cxt);
	if (out == NULL)
		out = palloc(VARHDRSZ);
	SET_VARSIZE(out, have + VARHDRSZ);
	return PointerGetDatum(out);
}
